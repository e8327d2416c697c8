"""Orders of many rows, and the digits that a radix sort opens under masks prepared in several groups."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pytest

from privity.mpc import radix
from privity.mpc.rep3 import Rep3, Replicated
from privity.mpc.shares import Mix, Mixed
from privity.ring import order, reference
from privity.ring.prg import Stream
from privity.testing import (
    Column,
    ViewLeaks,
    altered,
    fresh_rows,
    known_rows,
    require_uniform,
    run,
    streams_for,
)


def unrelated(one: Any, other: Any) -> bool:
    """Whether two orders have no more in common than chance: correlation, and runs of eight rows with equal steps."""
    n = one.size
    centred = [x - (n - 1) / 2 for x in (one, other)]
    correlation = abs(float(centred[0] @ centred[1])) / float(centred[0] @ centred[0])
    return correlation * n**0.5 < 9 and not runs_again(np.diff(one), np.diff(other))


def runs_again(*steps: Any) -> bool:
    factors = np.random.default_rng(5).integers(1, 1 << 63, 8, np.uint64) * np.uint64(2) + np.uint64(1)
    hashed = []
    for x in steps:
        ends = x.size - 7
        hashed.append(sum(x[j : ends + j].astype(np.uint64) * factor for j, factor in enumerate(factors)))
    ordered = np.sort(np.concatenate(hashed))
    return bool((ordered[1:] == ordered[:-1]).any())


def test_permutations_of_many_rows_are_unrelated(n: int = 65_536 + 3001) -> None:
    """To each other and to the order of the rows; the streams are the same in every run of this test."""
    mixes = run(Rep3(), lambda p: p.mix(n).known, streams=streams_for(None)).outputs
    lacked = [mixes[(j + 1) % 3][j] for j in range(3)]
    for j, rows_ in enumerate(lacked):
        np.testing.assert_array_equal(rows_, mixes[(j + 2) % 3][j], "the two holders of a permutation differ")
        np.testing.assert_array_equal(np.sort(rows_), np.arange(n))
        assert unrelated(rows_, lacked[(j + 1) % 3])
        assert unrelated(rows_, order.inverse(lacked[(j + 1) % 3]))
        assert abs(np.corrcoef(rows_, np.arange(n))[0, 1]) * n**0.5 < 9


def test_permutations_drawn_by_way_of_an_argsort_are_unrelated() -> None:
    """Above 2^20 rows the row number does not fit beside the random word."""
    one, other = (order.permutation(Stream(bytes([j]) * 16).words, (1 << 20) + 1) for j in range(2))
    assert unrelated(one, other) and np.bincount(one).max() == 1


def opened_digits(observer: int, masks: type[Replicated]) -> list[Column]:
    """What a radix sort opens of equal keys in 4,095 rows, pass by pass, digits prepared for one pass at a time."""
    lanes, same, opened = 4095, np.zeros(4095, np.int64), []

    class Watched(masks):  # type: ignore[misc, valid-type]
        def mix(self, n: int) -> Mix:
            return Mix(n, {j: np.arange(n) for j in {0, 1, 2} - {self.party.index}})

        def open_bits(self, *arguments: Any, **named: Any) -> Any:
            opened.append((self.party.index, value := super().open_bits(*arguments, **named)))
            return value

        def shuffle_and_open(self, *arguments: Any, **named: Any) -> Mixed:
            mixed: Mixed = super().shuffle_and_open(*arguments, **named)
            if mixed.opened is not None and len(mixed.opened) == 2:
                opened.append((self.party.index, mixed.opened[1]))
            return mixed

    class Rows:
        """What the observer knows is the same in every row."""

        def __init__(self, known: bool, seed: int) -> None:
            self._row = known_rows(same, seed) if known else fresh_rows(lanes, seed)

        def words(self, count: int) -> Any:
            if count % lanes == 0:
                return np.concatenate([self._row(64) for _ in range(count // lanes)])
            return np.concatenate([reference.to_planes(self._row(1), 1)[0] for _ in range(count // 64)])

    with mock.patch.object(radix, "_PREPARED", 8 * lanes):
        run(
            altered(Watched), lambda p: radix.sort(p, [(x := p.public(np.full(lanes, 5, np.uint64)), 8)], [x], 3),
            streams=lambda i: {j: Rows(observer in (i, j), i + j) for j in {0, 1, 2} - {i}},
        )  # fmt: skip
    return [Column(f"digit {j}", value, 3) for j, value in enumerate(v for i, v in opened if i == observer)]


@pytest.mark.parametrize("observer", range(3))
def test_digits_opened_by_a_radix_sort_are_independent_between_groups(observer: int) -> None:
    digits = opened_digits(observer, Replicated)
    assert len(digits) == 3
    require_uniform(digits)


# -- proof that these tests bite ---------------------------------------------------------------------------------


def test_random_digits_used_for_two_passes_are_caught() -> None:
    class Again(Replicated):
        made: Any = None

        def random_digits(self, *arguments: Any) -> Any:
            self.made = self.made or super().random_digits(*arguments)
            return self.made

    for observer in range(3):
        with pytest.raises(ViewLeaks, match="not independent"):
            require_uniform(opened_digits(observer, Again))


def test_rows_permuted_in_blocks_are_caught() -> None:
    rng, n = np.random.default_rng(1), 1 << 17
    one, other, half = rng.permutation(n), rng.permutation(n), rng.permutation(n // 2)
    assert unrelated(one, other)
    for bad in (np.concatenate([half, half + n // 2]), np.concatenate([half + n // 2, half]), one):
        assert not unrelated(one, bad) or runs_again(np.diff(bad))
