"""Linkage below the tables: declared rounds and bytes, and that what it opens is the same whatever the keys are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from privity.mpc import linkage, sort
from privity.mpc.linkage import Aligned
from privity.mpc.rep3 import Rep3, Replicated
from privity.mpc.shapes import Shapes
from privity.mpc.shares import Bits, Flags, Places, Share
from privity.ring import layout
from privity.testing import altered, open_value, run
from privity.types import Cost

ROWS = [5, 4, 6, 3]
NOTHING = Cost(0, (0, 0, 0))
HASHES = np.random.default_rng(12).integers(0, 2**48, (40, 2), np.uint64)
HASHES = np.concatenate([HASHES, np.array([[1 << 63, 5], [(1 << 64) - 7, 1 << 60]], np.uint64)])  # two that are none


def words(people: Sequence[int]) -> Any:
    return HASHES[list(people)]


def keys_of(proto: Any, people: Sequence[Sequence[int]]) -> list[Share]:
    return [proto.public(words(p)) for p in people]


# -- cost ------------------------------------------------------------------------------------------------------------


Operation = tuple[str, int, dict[str, Any]]


def declared(operations: Sequence[Operation], start: Cost = NOTHING) -> Cost:
    """What these operations cost one after the other: name, elements, public parameters."""
    return sum((Rep3().cost(name, n, **parameters) for name, n, parameters in operations), start=start)


def trivial(shape: tuple[int, ...]) -> Share:
    return Share((layout.zeros(shape), layout.zeros(shape)), shape)


def an_alignment(rows: int, width: int) -> Aligned:
    empty = layout.zeros((1, (rows + 62) // 64))
    return Aligned(trivial((rows,)), Bits((empty, empty), (rows - 1,)), (trivial((rows, width)),), trivial(()))


def cost_of(act: Callable[[Any], Any]) -> Cost:
    """Measured at three parties, and equal to what is planned without shares."""
    parties = run(Rep3(), act).parties
    assert len({p.rounds for p in parties}) == 1
    spent = Cost(parties[0].rounds, tuple(p.sent for p in parties))
    outside = Shapes(Rep3())
    act(outside)
    assert outside.planned == spent
    return spent


def as_shares(proto: Any, x: Aligned) -> Aligned:
    """Without components at a party that has none."""
    if not isinstance(proto, Shapes):
        return x
    none = [Share((), c.shape) for c in x.columns]
    return Aligned(Share((), x.source.shape), Bits((), x.same.shape), tuple(none), Share((), ()))


@pytest.mark.parametrize("inputs", [2, 3, 4])
@pytest.mark.parametrize("flagged", [False, True])
def test_cost_of_aligning(inputs: int, flagged: bool) -> None:
    people = [range(n) for n in ROWS[:inputs]]
    n = sum(ROWS[:inputs])

    def act(p: Any) -> None:
        flags = [Flags(p.public(layout.ones((r,)))) if flagged else None for r in ROWS[:inputs]]
        linkage.align(p, keys_of(p, people), flags, [[p.public(layout.zeros((r, 3)))] for r in ROWS[:inputs]])

    def sorted_only(p: Any) -> None:
        x = p.public(layout.arange(n))
        sort.sort_hashed(p, p.public(layout.zeros((n, 2))), 49, [x, p.public(layout.zeros((n, 3)))])

    tag = (inputs - 1).bit_length()
    behind: list[Operation] = [
        ("is_zero", n - 1, {"bits": tag}), ("and_", n - 1, {}), ("b2a", n - 1, {}),
        *([("mul", n, {})] if flagged else []),
    ]  # fmt: skip
    assert cost_of(act) == declared(behind, cost_of(sorted_only))


@pytest.mark.parametrize("inputs", [2, 3, 4])
def test_cost_behind_the_sort(inputs: int) -> None:
    n, widths = 200, [3, 1, 2, 5][:inputs]
    x = an_alignment(n, 5)

    def cost(act: Callable[[Any, Aligned], Any]) -> Cost:
        return cost_of(lambda p: act(p, as_shares(p, x)))

    tag = (inputs - 1).bit_length()
    longer: list[Operation] = [("and_", n - d, {}) for d in range(2, inputs)]
    everywhere = [*longer, ("b2a", n - inputs + 1, {})]
    assert cost(lambda p, a: linkage.in_all(p, a, inputs)) == declared(everywhere)
    assert cost(lambda p, a: linkage.side_by_side(p, a.columns[0], widths)) == declared([])
    found: list[Operation] = [("is_zero", inputs * n, {"bits": tag}), *longer, ("b2a", n, {})]
    for d in range(1, inputs):
        planes = {"planes": inputs - d}
        found += [("and_", n - d, {}), ("and_", n - d, planes), ("b2a", n - d, planes), ("mul", n * widths[d], {})]
    assert cost(lambda p, a: linkage.beside_first(p, a, a.columns[0], widths)) == declared(found)


@pytest.mark.parametrize(("n", "rows"), [(50, 20), (50, 50), (50, 70)])
def test_cost_of_results(n: int, rows: int) -> None:
    """Rows in front and in their order: 5 rounds, 6 with padding; 32 bytes a value in all, twice, and the places."""

    def columns(p: Any, *shape: int) -> Share:
        return p.public(layout.zeros(shape))  # type: ignore[no-any-return]

    ones = layout.constants([1] * n)
    exact = cost_of(lambda p: linkage.drawn(p, Flags(p.public(ones)), columns(p, n, 4), rows))
    padded = cost_of(lambda p: linkage.drawn_padded(p, Flags(p.public(ones)), columns(p, n, 4), rows))
    assert (exact.rounds, padded.rounds) == (5, 6)
    front: list[Operation] = [("mul", n, {}), ("shuffle_and_open", n, {"values": 4 * n, "shown": (7,)})]
    assert exact == declared([*front, ("shuffle", 4 * rows, {})])
    front[1] = ("shuffle_and_open", n, {"values": 5 * n, "shown": (7,)})
    assert padded == declared([*front, ("mul", 4 * rows, {}), ("shuffle", 5 * rows, {})])


def test_cost_of_telling_rows_and_of_first_rows() -> None:
    n = 33
    x = layout.arange(n)
    found = cost_of(lambda p: linkage.each_row(p, Flags(p.public(layout.zeros((n,)))), Places(p.public(x)), 3))
    assert found.rounds == 2

    def first(p: Any) -> None:
        linkage.first_of_each(p, p.public(words(range(n))), None)

    def sorted_only(p: Any) -> None:
        sort.sort_hashed(p, p.public(layout.zeros((n, 2))), 49, [p.public(x)])

    behind: list[Operation] = [
        ("b2a", n - 1, {"planes": 2}),
        ("shuffle_and_open", n, {"values": n, "shown": (7,)}),
    ]  # fmt: skip
    assert cost_of(first) == declared(behind, cost_of(sorted_only))


# -- view ------------------------------------------------------------------------------------------------------------


def watched(act: Callable[[Any], Any], times: int) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """(answers to comparisons, row numbers) that one party saw opened in each of ``times`` executions."""
    answers: list[tuple[Any, ...]] = []
    rows: list[tuple[Any, ...]] = []

    @altered
    class Watched(Replicated):
        def _open_bits(self, b: Bits) -> Any:
            value = super()._open_bits(b)
            if self.party.index == 0 and b.planes == 1:  # more: the draw of a hash
                answers.append(tuple(value.tolist()))  # type: ignore[union-attr]
            return value

        def _shuffle_and_open(self, *args: Any) -> Any:
            mixed = super()._shuffle_and_open(*args)
            if self.party.index == 0:
                rows.append(tuple(mixed.opened[0].tolist()))  # type: ignore[index]
            return mixed

    def program(p: Any) -> None:
        for _ in range(times):
            act(p)

    run(Watched, program)
    return answers, rows


def uneven(seen: Sequence[Any], kinds: int) -> float:
    """Chi-square against the uniform distribution over ``kinds`` outcomes."""
    counts = [seen.count(key) for key in set(seen)]
    mean = len(seen) / kinds
    return sum((c - mean) ** 2 / mean for c in counts) + (kinds - len(counts)) * mean


TIMES, CELLS = 360, 24
LIMIT = 75.0  # chi-square with 23 degrees of freedom: passed by noise once in 10^6


@pytest.mark.parametrize(
    ("people", "valid"),
    [
        ([[1, 2], [3, 4]], None),  # no overlap
        ([[1, 2], [2, 1]], None),  # full overlap
        ([[1], [2], [1, 3]], None),  # two of three
        ([[1, 2], [2, 1]], [[1, 0], [0, 1]]),  # padding that repeats keys
        ([[1, 1, 1], [2]], None),  # the first owner lies: one key again and again,
        ([[2, 2, 2], [2]], None),  # that of another owner too,
        ([[1, 40, 41], [1]], None),  # and words that are no fingerprints
    ],
)
def test_the_opened_comparisons_are_those_of_a_random_order(
    people: list[list[int]], valid: list[list[int]] | None
) -> None:
    def act(p: Any) -> None:
        flags = [None if valid is None else Flags(p.public(layout.constants(v))) for v in valid or people]
        linkage.align(p, keys_of(p, people), flags, [[] for _ in people])

    answers, rows = watched(act, TIMES)
    assert len(answers) == TIMES and not rows
    assert set(answers) <= set(orders())
    assert uneven(answers, CELLS) < LIMIT


def orders() -> list[tuple[int, ...]]:
    """Answers that an order of four rows gives to the six questions."""
    first, second = np.triu_indices(4, 1)
    return [tuple(int(o[a] < o[b]) for a, b in zip(first, second, strict=True)) for o in permutations(range(4))]


def test_a_sort_without_row_numbers_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above bites: where equal keys stay equal, the answers follow the shuffled places."""

    def act(p: Any) -> None:
        linkage.align(p, keys_of(p, [[1, 1, 1], [2]]), [None, None], [[], []])

    monkeypatch.setattr(sort.orders, "row_numbers", lambda proto, n: proto.public(layout.zeros((n,))))
    assert uneven(watched(act, TIMES)[0], CELLS) > LIMIT


def test_nobody_can_choose_keys_that_agree_in_what_is_sorted() -> None:
    """Another key at a distance that an owner chose never counts as alike, and repeated ones are found."""
    mine = HASHES[:20]
    near = [mine ^ np.array([1 << j, 0], np.uint64) for j in (0, 12, 47)]
    near += [mine ^ np.array([1 << j, 1 << j], np.uint64) for j in (0, 35, 47)]
    near += [mine + np.array([-1, 4096], np.int64).view(np.uint64)]

    def violations(keys: list[Any]) -> int:
        def program(p: Any) -> int:
            given = [p.public(k) for k in keys]
            aligned = linkage.align(p, given, [None] * len(keys), [[]] * len(keys))
            return int(open_value(p, aligned.violations, [0, 1, 2]))

        return int(run(Rep3(), program).outputs[0])

    assert violations([mine, np.concatenate(near)]) == 0
    assert violations([mine, mine]) == 0
    assert violations([mine, np.concatenate([near[0], near[0][:3]])]) == 3
    assert violations([mine, np.concatenate([mine[:2], mine[:2] + np.array([1 << 48, 1 << 63], np.uint64)])]) == 2


def test_no_key_is_that_of_a_row_left_out() -> None:
    """Even where an owner knows the numbers that such rows get."""
    n = 8
    theirs = np.stack([np.arange(n), np.zeros(n)], 1).astype(np.uint64)
    made = [theirs + np.array([a, 0], np.uint64) for a in (0, 1 << 47, 1 << 63, (1 << 63) + n)]
    made += [theirs * np.uint64(m) for m in (2, 3)]
    padding = np.zeros((n, 2), np.uint64)

    def program(p: Any) -> list[int]:
        out = []
        for mine in made:
            flags = [Flags(p.public(layout.zeros((n,)))), Flags(p.public(layout.ones((n,))))]
            for order in (1, -1):
                keys = [p.public(padding), p.public(mine)][::order]
                aligned = linkage.align(p, keys, flags[::order], [[], []])
                common = linkage.in_all(p, aligned, 2).share.map(layout.total(None, False))
                out.append(int(open_value(p, common, [0, 1, 2])))
        return out

    assert set(run(Rep3(), program).outputs[0]) == {0}


@pytest.mark.parametrize("flags", [[0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 1]])
def test_the_opened_places_are_a_random_permutation(flags: list[int]) -> None:
    def act(p: Any) -> None:
        x = p.public(layout.constants(flags))
        linkage.drawn_padded(p, Flags(x), x.map(layout.reshape((4, 1))), 2)

    answers, rows = watched(act, TIMES)
    assert not answers and len(rows) == TIMES
    assert uneven(rows, CELLS) < LIMIT


@pytest.mark.parametrize("act", ["drawn", "drawn_padded"])
def test_results_come_in_a_random_order(act: str) -> None:
    """Four rows with a flag among six: all 24 orders, by a shuffle after they were brought in front."""
    seen: list[tuple[Any, ...]] = []

    def program(p: Any) -> None:
        flags, x = Flags(p.public(layout.constants([1, 0, 1, 1, 0, 1]))), p.public(layout.arange(6))
        columns = x.map(layout.reshape((6, 1)))
        for _ in range(TIMES):
            done = getattr(linkage, act)(p, flags, columns, 4)
            value = open_value(p, done if isinstance(done, Share) else done[1], [0, 1, 2])
            if p.party.index == 0:
                seen.append(tuple(value[:, 0].tolist()))

    run(Rep3(), program)
    assert set(seen) <= set(permutations((0, 2, 3, 5)))
    assert uneven(seen, CELLS) < LIMIT
