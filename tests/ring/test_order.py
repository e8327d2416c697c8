"""Permutations are uniform and unbiased; the plan of a sort finds every order with the batches that it announced."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from privity.ring import order
from privity.ring.prg import Stream

STREAM = Stream(bytes(range(16)))


def sort(keys: Any) -> tuple[Any, list[int]]:
    """What the plan returns for these keys, and the sizes of its batches."""
    plan, sizes = order.comparisons(keys.size), []
    pairs = next(plan)
    while True:
        sizes.append(pairs[0].size)
        try:
            pairs = plan.send((keys[pairs[0]] < keys[pairs[1]]).astype(np.uint64))
        except StopIteration as done:
            return done.value, sizes


def planned(n: int) -> list[int]:
    plan, sizes = order.comparisons(n), []
    pairs = next(plan)
    while True:
        sizes.append(pairs[0].size)
        try:
            pairs = plan.send(None)
        except StopIteration as done:
            assert done.value.size == n
            return sizes


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 31, 32, 33, 40, 63, 64, 65, 100, 127, 500, 1000, 4000])
def test_a_sort_finds_every_order_in_the_batches_it_announced(n: int) -> None:
    for _ in range(20):
        keys = order.permutation(STREAM.words, n)
        found, sizes = sort(keys)
        np.testing.assert_array_equal(keys[found], np.arange(n))
        assert sizes == planned(n)


def test_small_sorts_work_for_all_orders() -> None:
    for keys in permutations(range(5)):
        found, _ = sort(np.array(keys))
        np.testing.assert_array_equal(np.array(keys)[found], np.arange(5))


@pytest.mark.parametrize("arrange", [np.arange, lambda n: np.arange(n)[::-1], lambda n: np.arange(n) * 7919 % n])
def test_an_unlucky_order_costs_batches_but_no_correctness(arrange: Callable[[int], Any]) -> None:
    """Rows in ascending order are what the plan is worst at: all lie beyond the sample."""
    keys = np.ascontiguousarray(arrange(200))
    found, sizes = sort(keys)
    np.testing.assert_array_equal(keys[found], np.arange(200))
    assert len(sizes) >= len(planned(200))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
def test_networks_sort_all_zeros_and_ones(n: int) -> None:
    """Then they sort everything (the 0-1 principle)."""
    rows = (np.arange(1 << n)[:, None] >> np.arange(n)) & 1
    sorted_rows = np.sort(rows, 1)
    for low, high in order.comparators(n):
        assert set(low) & set(high) == set()
        a, b = rows[:, low], rows[:, high]
        rows = np.concatenate([np.minimum(a, b), np.maximum(a, b), rows], 1)[:, order.replaced(n, low, high)]
    np.testing.assert_array_equal(rows, sorted_rows)


def test_comparisons_are_near_the_information_bound() -> None:
    n = 100_000
    bound = n * np.log2(n) - n * np.log2(np.e)
    assert sum(planned(n)) < 1.5 * bound
    assert len(planned(n)) < 40


@pytest.mark.parametrize("n", [0, 1, 2, 7, 1000])
def test_permutations_are_permutations(n: int) -> None:
    rows = order.permutation(STREAM.words, n)
    np.testing.assert_array_equal(np.sort(rows), np.arange(n))
    np.testing.assert_array_equal(order.inverse(rows)[rows], np.arange(n))


def test_permutations_are_uniform() -> None:
    """Chi-square over the 24 orders of four rows: 23 degrees of freedom, a limit that noise passes once in 10^6."""
    seen: dict[tuple[int, ...], int] = {}
    for _ in range(24_000):
        key = tuple(order.permutation(STREAM.words, 4).tolist())
        seen[key] = seen.get(key, 0) + 1
    assert len(seen) == 24
    assert sum((c - 1000) ** 2 / 1000 for c in seen.values()) < 75


@pytest.mark.parametrize("size", [3, (1 << 20) + 1])
def test_a_tie_is_drawn_again(size: int) -> None:
    """Equal words would otherwise keep their order: a bias."""
    draws: list[int] = []

    def draw(count: int) -> Any:
        draws.append(count)
        words = np.arange(count, dtype=np.uint64)[::-1] << np.uint64(40)
        if len(draws) == 1:
            words[0] = words[1]
        return words

    rows = order.permutation(draw, size)
    assert draws == [size, size]
    np.testing.assert_array_equal(rows, np.arange(size)[::-1])


def test_only_permutations_are_places() -> None:
    for good in ([], [0], [2, 0, 1]):
        rows = order.places(np.array(good, np.uint64))
        assert rows is not None and rows.tolist() == good
    for bad in ([1], [0, 0], [0, 3, 1], [2**63, 0]):
        assert order.places(np.array(bad, np.uint64)) is None


def test_rows_of_several_widths_move_together() -> None:
    a, b = np.arange(3, dtype=np.uint64), np.arange(6, dtype=np.uint64).reshape(3, 2)
    rows = np.array([2, 0, 1])
    got = order.taken(np.concatenate([a, b.ravel()]), [1, 2], rows)
    np.testing.assert_array_equal(got, np.concatenate([a[rows], b[rows].ravel()]))
