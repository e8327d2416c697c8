"""Tables of secret rows against NumPy, on every protocol: shuffles, permutations, groups, histograms, look-ups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from privity.errors import RangeViolated, ShapeError, UsageError
from privity.functions import groups, order, tables
from privity.functions.tables import Permutation

RNG = np.random.default_rng(6)


def same(got: list[Any], want: list[Any]) -> None:
    for have, expected in zip(got, want, strict=True):
        assert np.shape(have) == np.shape(expected)
        np.testing.assert_array_equal(have, expected)


# -- secret orders -----------------------------------------------------------------------------------------------


def test_shuffled_rows_stay_together(compute: Callable[..., list[Any]]) -> None:
    x, y = np.arange(50), RNG.integers(-9, 9, (50, 2)) / 4
    a, b, c = compute(lambda x, y: tables.shuffle(x, y, x > 20), x, y)
    assert sorted(a.tolist()) == x.tolist() and (a != x).any() and c.dtype == bool
    same([b, c], [y[a], a > 20])


def test_permutations(compute: Callable[..., list[Any]]) -> None:
    n = 20
    k, x, p = RNG.integers(0, 4, n), RNG.integers(-9, 9, (n, 2)) / 4, RNG.permutation(n)

    def fn(k: Any, x: Any, p: Any) -> list[Any]:
        by_key, given = Permutation.sorting(k, -k), Permutation.stated(p)
        chance = Permutation.random(k.session, n)
        assert len(by_key) == n
        mixed = chance.apply(x)
        return [
            *by_key.apply(x, k, k > 1), *by_key.undo(*by_key.apply(x)), *given.apply(x), *given.undo(x), given.rows,
            given.inverse().rows, *chance.undo(*mixed), *chance.inverse().undo(x), *mixed, order.sort(chance.rows),
        ]  # fmt: skip

    o = np.argsort(k, kind="stable")
    undone = np.empty_like(x)
    undone[p] = x
    got = compute(fn, k, x, p)
    same(got[:9], [x[o], k[o], k[o] > 1, x, x[p], undone, p, np.argsort(p), x])
    same([got[9], got[11]], [got[10], np.arange(n)])


@pytest.mark.parametrize("rows", [[0, 1, 1], [1, 2, 3], [-1, 0, 1]])
def test_row_numbers_that_are_no_permutation_are_refused_before_they_show(computing: Any, rows: list[int]) -> None:
    with pytest.raises(RangeViolated):
        computing()(lambda r: Permutation.stated(r).rows, np.array(rows))


def test_running_sums(compute: Callable[..., list[Any]]) -> None:
    x, n = RNG.integers(-99, 99, (9, 3)) / 8, RNG.integers(-9, 9, 9)
    f = np.array([0, 0, 1, 1, 0, 0, 1, 0, 0])

    def fn(x: Any, n: Any, f: Any) -> list[Any]:
        return [
            tables.cumsum(x), tables.cumsum(x, 0), tables.cumsum(n, -1), tables.cumsum(n > 0),
            tables.segmented_sum(x, f == 1), tables.segmented_sum(n, f == 1), tables.segmented_sum(n, f == 2),
        ]  # fmt: skip

    def restarted(v: Any, flags: Any) -> Any:
        out = np.array(v)
        for j in range(1, len(v)):
            out[j] = v[j] if flags[j] else out[j - 1] + v[j]
        return out

    want = [
        np.cumsum(x), np.cumsum(x, 0), np.cumsum(n), np.cumsum(n > 0), restarted(x, f), restarted(n, f), np.cumsum(n),
    ]  # fmt: skip
    same(compute(fn, x, n, f), want)


# -- groups ------------------------------------------------------------------------------------------------------

WHAT = ("total", "rows", "largest", "smallest", "top")


def grouped(k: Any, x: Any, n: Any, capacity: int, valid: Any) -> list[Any]:
    """The same as below in NumPy, padded to the capacity."""
    names = np.unique(k[valid])
    masks = [valid & (k == v) for v in names]
    rows = [
        names, np.ones(names.size), [x[m].sum() for m in masks], [m.sum() for m in masks], [x[m].max() for m in masks],
        [x[m].min() for m in masks], [n[m].max() for m in masks], [x[m].mean() for m in masks],
    ]  # fmt: skip
    return [np.pad(np.asarray(r, float), (0, capacity - names.size)) for r in rows]


@pytest.mark.parametrize(("n", "names", "capacity"), [(1, 1, 3), (2, 2, 2), (40, 6, 8), (40, 1, 4), (5, 5, 9)])
@pytest.mark.parametrize("masked", ["no mask", "mask", "nothing valid"])
def test_groups(compute: Callable[..., list[Any]], n: int, names: int, capacity: int, masked: str) -> None:
    k, x, m = RNG.integers(-2, names - 2, n), RNG.integers(-99, 99, n) / 8, RNG.integers(-50, 50, n)
    valid = {"no mask": np.ones(n, bool), "mask": RNG.random(n) < 0.6, "nothing valid": np.zeros(n, bool)}[masked]

    def fn(k: Any, x: Any, m: Any, v: Any) -> list[Any]:
        found = groups.group_by(
            k, {"total": ("sum", x), "rows": ("count", None), "largest": ("max", x), "smallest": ("min", x),
                "top": ("max", m), "average": ("mean", x)},
            capacity=capacity, valid=None if masked == "no mask" else v == 1,
        )  # fmt: skip
        return [*found.keys, found.valid, *(found[w] for w in WHAT), found["average"]]

    *got, mean = compute(fn, k, x, m, valid.astype(int))
    *want, average = grouped(k, x, m, capacity, valid)
    same(got, want)
    np.testing.assert_allclose(mean, average, rtol=2.0**-18, atol=2.0**-16)


def test_groups_by_several_keys(compute: Callable[..., list[Any]]) -> None:
    a, b, x = RNG.integers(0, 3, 30), RNG.integers(0, 2, 30), RNG.integers(-9, 9, 30)

    def fn(a: Any, b: Any, x: Any) -> list[Any]:
        found = groups.group_by([a, b == 1], {"x": ("sum", x)}, capacity=10)
        return [*found.keys, found.valid, found["x"]]

    pairs = np.unique(np.stack([a, b], 1), axis=0)
    sums = [x[(a == p) & (b == q)].sum() for p, q in pairs]
    pad = (0, 10 - len(pairs))
    want = [np.pad(pairs[:, 0], pad), np.pad(pairs[:, 1], pad), np.arange(10) < len(pairs), np.pad(sums, pad)]
    same(compute(fn, a, b, x), want)


def test_more_groups_than_the_capacity_are_found(computing: Any) -> None:
    def fn(k: Any) -> Any:
        return groups.group_by(k, {"rows": ("count", None)}, capacity=3)["rows"]

    same(computing()(fn, np.array([5, 5, 6, 7, 7])), [[2, 1, 2]])
    with pytest.raises(RangeViolated):
        computing()(fn, np.array([5, 5, 6, 7, 8]))


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (lambda x: groups.group_by(x, {"a": ("median", x)}, capacity=3)["a"], UsageError),
        (lambda x: groups.group_by(x, {"a": ("sum", None)}, capacity=3)["a"], UsageError),
        (lambda x: groups.group_by(x, {"a": ("sum", x)}, capacity=0)["a"], UsageError),
        (lambda x: groups.group_by(x[:0], {"a": ("sum", x[:0])}, capacity=1)["a"], UsageError),
        (lambda x: groups.group_by(x, {"a": ("sum", x[1:])}, capacity=3)["a"], ShapeError),
        (lambda x: groups.group_by(x.reshape(-1, 1), {"a": ("sum", x)}, capacity=3)["a"], ShapeError),
        (lambda x: tables.histogram(x, [1.0]), UsageError),
        (lambda x: tables.one_hot(x * 0.5, 3), UsageError),
        (lambda x: tables.one_hot(x, 0), UsageError),
        (lambda x: tables.lookup(3.0, x), ShapeError),
        (lambda x: tables.cumsum(x, 1), ShapeError),
        (lambda x: tables.segmented_sum(x, x), UsageError),
        (lambda x: tables.shuffle(x, x[1:]), ShapeError),
        (lambda x: tables.shuffle(), UsageError),
        (lambda x: Permutation.random(x.session, 3).apply(x), ShapeError),
        (lambda x: Permutation.stated(x * 0.5).rows, UsageError),
    ],
)
def test_wrong_words_are_refused(computing: Any, use: Callable[[Any], Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        computing()(use, np.arange(5))


# -- histograms and look-ups -------------------------------------------------------------------------------------


def test_histograms(compute: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    x, n = RNG.integers(-40, 41, (30, 2)) / 4, RNG.integers(-5, 6, 30)
    some, many, whole = [-10.0, -2.5, 0.0, 0.25, 10.0], np.arange(-50, 51) / 4, np.array([-5, 0, 2, 5])

    def fn(x: Any, n: Any) -> list[Any]:
        return [
            tables.histogram(x, some), tables.histogram(x, many), tables.histogram(n, whole),
            tables.histogram(n, [-1.5, 1.5]), tables.histogram(x, [-1e9, 1e9]), tables.histogram(n[:0], [0, 1]),
        ]  # fmt: skip

    want = [
        np.histogram(x, some)[0], np.histogram(x, many)[0], np.histogram(n, whole)[0],
        np.histogram(n, [-1.5, 1.5])[0], [60], [0],
    ]  # fmt: skip
    same(compute(fn, x, n), want)
    monkeypatch.setattr(tables, "prefer_sort", lambda n, edges: True)
    same(compute(fn, x, n), want)


@pytest.mark.parametrize("count", [1, 2, 3, 8, 9, 37])
def test_one_hot_and_look_up(compute: Callable[..., list[Any]], count: int) -> None:
    """Integers outside of the table, negative ones too, find nothing."""
    index = np.array([[0, 1, 2, 3, 7], [8, 9, 36, 37, 38], [-1, -2, 64, 99, -100]])
    small, wide = RNG.integers(0, 2, count), RNG.integers(-(2**40), 2**40, count)
    reals, rows = RNG.integers(-99, 99, count) / 8, RNG.integers(-9, 9, (count, 2, 2))

    def fn(i: Any, secret: Any, deep: Any) -> list[Any]:
        return [
            tables.one_hot(i, count), tables.lookup(small, i), tables.lookup(wide, i), tables.lookup(reals, i),
            tables.lookup(rows, i), tables.lookup(secret, i), tables.lookup(deep, i), tables.lookup(reals, i[0, 1]),
        ]  # fmt: skip

    inside = (index >= 0) & (index < count)

    def found(table: Any, i: Any = index) -> Any:
        ok = (i >= 0) & (i < count)
        return table[np.where(ok, i, 0)] * np.reshape(ok, np.shape(ok) + (1,) * (table.ndim - 1))

    want = [
        (index[..., None] == np.arange(count)) & inside[..., None], found(small), found(wide), found(reals),
        found(rows), found(reals), found(rows), found(reals, index[0, 1]),
    ]  # fmt: skip
    same(compute(fn, index, reals, rows), want)
