"""What an outsider infers of the hidden cells of an opened table: every table that looks the same is enumerated.

The attacker knows the rule, the minimum group, the cells that were opened, which ones were not, and the total.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.disclosure import release_table
from privity.session import Input, Session

Counts = tuple[int, ...]


def hidden(cells: Counts, least: int) -> tuple[bool, ...]:
    """The rule in plain: small cells, and others from the last backwards until there is room for any small ones."""
    flags = [cell < least for cell in cells]
    wanted = least * sum(flags)
    room = sum(cell for cell in cells if cell < least)
    for i in reversed(range(len(cells))):
        if cells[i] >= least and room < wanted:
            flags[i] = True
            room += cells[i] - least
    return tuple(flags)


def tables(total: int, cells: int) -> Iterator[Counts]:
    """Every table with this total."""
    if cells == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in tables(total - first, cells - 1):
            yield (first, *rest)


@pytest.mark.parametrize(
    ("cells", "least", "largest"),
    [(2, 2, 40), (2, 5, 40), (3, 2, 24), (3, 3, 28), (3, 5, 30), (4, 2, 16), (4, 3, 20), (4, 4, 20), (5, 3, 15)],
)
def test_every_table_that_looks_the_same(cells: int, least: int, largest: int) -> None:
    """Of each hidden cell many values are possible; whoever knows which cells are small still knows nothing of them."""
    for total in range(largest + 1):
        alike: dict[Any, list[Counts]] = defaultdict(list)
        for table in tables(total, cells):
            flags = hidden(table, least)
            opened = tuple(cell for cell, flag in zip(table, flags, strict=True) if not flag)
            alike[flags, opened].append(tuple(cell for cell, flag in zip(table, flags, strict=True) if flag))
        for (flags, opened), solutions in alike.items():
            for values in zip(*solutions, strict=True):  # of one hidden cell
                assert len(set(values)) >= min(least, total + 1), (total, flags, opened, set(values))
            if all(flags):  # nothing was opened: the total is all there is to know
                continue
            kinds: dict[Any, list[Counts]] = defaultdict(list)
            for solution in solutions:
                kinds[tuple(cell < least for cell in solution)].append(solution)
            for small, some in kinds.items():
                at = [k for k, flag in enumerate(small) if flag]
                assert len({tuple(s[k] for k in at) for s in some}) == least ** len(at), (total, flags, opened, small)
                assert all(len({s[k] for s in some}) >= least for k in range(len(small)))


def test_the_table_is_opened_by_this_rule() -> None:
    rng = np.random.default_rng(5)
    made = [tuple(int(c) for c in rng.choice([0, 1, 4, 9, 10, 11, 15, 40, 300], size=6)) for _ in range(40)]
    made += [(0, 10, 50, 60, 70, 80), (0, 0, 0, 0, 0, 0), (10,) * 6, (0, 10, 10, 10, 10, 10), (9,) * 5 + (10,)]

    def program(s: Session) -> Any:
        counts = s.secret("counts", "bank")
        return [release_table(s, counts[i], to="all", name="table", reason="test") for i in range(len(made))]

    given = {"bank": {"counts": Input(np.array(made), bound=300)}}
    for table, got in zip(made, pv.simulate(program, inputs=given, check_range=True).output, strict=True):
        want = [np.nan if flag else cell for cell, flag in zip(table, hidden(table, 10), strict=True)]
        np.testing.assert_array_equal(got, want, err_msg=str(table))


def test_a_minimum_of_one_hides_empty_cells_and_nothing_else() -> None:
    """What is below one is nought, which no other cell could hide."""
    given = {"bank": {"counts": Input(np.array([0, 1, 5, 0, 7]), bound=300)}}
    for least in (0, 1):
        result = pv.simulate(
            lambda s: release_table(s, s.secret("counts", "bank"), to="all", name="t", reason="test"),
            inputs=given, minimum_group=least,
        )  # fmt: skip
        empty = np.nan if least else 0
        np.testing.assert_array_equal(result.output, [empty, 1, 5, empty, 7])


def test_what_a_table_costs() -> None:
    """Eleven rounds with those of the input and the opening, however many cells there are."""
    for cells in (4, 50):
        given = {"bank": {"counts": Input(np.arange(cells), bound=300)}}
        result = pv.simulate(
            lambda s: release_table(s, s.secret("counts", "bank"), to="all", name="t", reason="test"), inputs=given
        )
        assert result.rounds <= 12, result.rounds
