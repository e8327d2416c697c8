"""Order of secret values against NumPy: all exact, on every protocol, at the edges of the range too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.errors import RangeViolated, ShapeError, UsageError
from privity.functions import order
from privity.mpc.plain import InsecurePlain

RNG = np.random.default_rng(5)
X = np.round(RNG.normal(size=(7, 5)) * 4) / 4  # ties, and exact in fixed point
N = RNG.integers(-6, 7, (7, 5))
LARGEST = 2.0**43
WIDE = np.array([LARGEST, -LARGEST, 0.0, 2.0**-18, -(2.0**-18), LARGEST - 2.0**-8, 1.0, -LARGEST, 0.0])


def same(got: list[Any], want: list[Any]) -> None:
    for have, expected in zip(got, want, strict=True):
        assert np.shape(have) == np.shape(expected)
        np.testing.assert_array_equal(have, expected)


def rankdata(x: Any, method: str) -> Any:
    if method == "ordinal":
        return np.argsort(np.argsort(x, kind="stable"), kind="stable") + 1
    less = (x[:, None] > x).sum(1)
    if method == "dense":
        return np.unique(x, return_inverse=True)[1] + 1
    low, high = less + 1, less + (x[:, None] == x).sum(1)
    return {"min": low, "max": high, "average": (low + high) / 2}[method]


def test_extremes_and_signs(compute: Callable[..., list[Any]]) -> None:
    def fn(x: Any, n: Any) -> list[Any]:
        return [
            order.max_(x), order.max_(x, 0), order.min_(x, 1), order.min_(n), order.max_(n, -1, keepdims=True),
            order.min_(x, keepdims=True), order.argmax(x), order.argmin(x, 0), order.argmax(n, 1), order.argmin(n),
            order.argmax(x, 0, keepdims=True), order.sign(x), order.sign(n), order.max_(x[:, :1], 1),
            order.argmin(x[:1], 0), order.max_(n > 2, 0), x.max(0), x.min(), n.argmax(1), n.argmin(0, keepdims=True),
            x.argsort(0), n.cumsum(1), np.max(x, 0), np.argmin(n), np.sort(x), np.median(n, 0),
            np.searchsorted([-0.5, 0.5], x), np.isin(n, [3, 4]), np.histogram(x, [-1, 0, 1])[0],
        ]  # fmt: skip

    want = [
        X.max(), X.max(0), X.min(1), N.min(), N.max(-1, keepdims=True), X.min(keepdims=True), X.argmax(), X.argmin(0),
        N.argmax(1), N.argmin(), X.argmax(0, keepdims=True), np.sign(X), np.sign(N), X[:, 0], X[:1].argmin(0),
        (N > 2).max(0), X.max(0), X.min(), N.argmax(1), N.argmin(0, keepdims=True),
        X.argsort(0, kind="stable"), N.cumsum(1), X.max(0), N.argmin(), np.sort(X), np.median(N, 0),
        np.searchsorted([-0.5, 0.5], X), np.isin(N, [3, 4]), np.histogram(X, [-1, 0, 1])[0],
    ]  # fmt: skip
    same(compute(fn, X, N), want)


@pytest.mark.parametrize("n", [1, 2, 3, 6, 18, 32, 33])
def test_extremes_of_any_number_of_values(compute: Callable[..., list[Any]], n: int) -> None:
    x = RNG.integers(-3, 4, n)
    same(
        compute(lambda a: [order.max_(a), order.argmax(a), order.min_(a), order.argmin(a)], x),
        [x.max(), x.argmax(), x.min(), x.argmin()],
    )


def test_sorting(compute: Callable[..., list[Any]]) -> None:
    def fn(x: Any, n: Any) -> list[Any]:
        return [
            order.sort(x), order.sort(x, 0), order.sort(x, None), order.sort(n, descending=True), order.argsort(x, 0),
            order.argsort(n), order.argsort(x[0], descending=True), *order.top_k(x, 2), *order.top_k(n, 3, axis=0),
            order.sort(x[:0]), order.sort(x[:, :1]), order.argsort(n[:1, :1]),
        ]  # fmt: skip

    first = np.argsort(-X, 1, kind="stable")[:, :2]
    top = np.argsort(-N, 0, kind="stable")[:3]
    want = [
        np.sort(X), np.sort(X, 0), np.sort(X, None), -np.sort(-N), np.argsort(X, 0, kind="stable"),
        np.argsort(N, kind="stable"), np.argsort(-X[0], kind="stable"), np.take_along_axis(X, first, 1), first,
        np.take_along_axis(N, top, 0), top, X[:0], X[:, :1], N[:1, :1] * 0,
    ]  # fmt: skip
    same(compute(fn, X, N), want)


def test_several_keys_carry_columns(compute: Callable[..., list[Any]]) -> None:
    a, b, c = RNG.integers(0, 3, 40), RNG.integers(-2, 2, 40) / 2, RNG.normal(size=(40, 2)).round(1)

    def fn(a: Any, b: Any, c: Any) -> list[Any]:
        return [*order.sort_by([a, -b], [a, b, c, b > 0]), *order.sort_by(b, [c])]

    o, p = np.lexsort((-b, a)), np.argsort(b, kind="stable")
    got = compute(fn, a, b, c)
    assert got[3].dtype == bool
    same(got[:2] + got[3:4], [a[o], b[o], b[o] > 0])
    np.testing.assert_allclose(got[2], c[o], atol=2**-18)
    np.testing.assert_allclose(got[4], c[p], atol=2**-18)


def test_the_whole_range(compute: Callable[..., list[Any]]) -> None:
    def fn(x: Any) -> list[Any]:
        return [
            order.sort(x), order.argsort(x), order.max_(x), order.argmin(x), order.sign(x), order.unique_count(x),
            order.rank(x, "min"), order.sort(x.reshape(3, 3), 0), order.searchsorted([-LARGEST, 0.0, 1.0, LARGEST], x),
            order.isin(x, [LARGEST, 2.0**-18, 3.0]),
        ]  # fmt: skip

    want = [
        np.sort(WIDE), np.argsort(WIDE, kind="stable"), WIDE.max(), WIDE.argmin(), np.sign(WIDE), 7,
        rankdata(WIDE, "min"), np.sort(WIDE.reshape(3, 3), 0), np.searchsorted([-LARGEST, 0.0, 1.0, LARGEST], WIDE),
        np.isin(WIDE, [LARGEST, 2.0**-18, 3.0]),
    ]  # fmt: skip
    same(compute(fn, pv.Input(WIDE, LARGEST * (1 + 2.0**-50))), want)


@pytest.mark.parametrize("shape", [(200,), (3000,), (2, 300)])
def test_larger_sorts(computing: Any, shape: tuple[int, ...]) -> None:
    """More than one batch of comparisons."""
    x = RNG.integers(-50, 50, shape)
    o = np.argsort(x, kind="stable")
    same(computing()(lambda a: [order.sort(a), order.argsort(a)], x), [np.take_along_axis(x, o, -1), o])


def test_quantiles(compute: Callable[..., list[Any]]) -> None:
    q = [0.0, 0.25, 0.5, 0.9, 1.0]

    def fn(x: Any, n: Any) -> list[Any]:
        return [
            order.quantile(x, q, 0), order.quantile(x, 0.3), order.median(x, 1), order.median(n, 0),
            order.quantile(n, [[0.1, 0.2]], 1), order.median(x[:6], 0),
        ]  # fmt: skip

    want = [
        np.quantile(X, q, 0), np.quantile(X, 0.3), np.median(X, 1), np.median(N, 0), np.quantile(N, [[0.1, 0.2]], 1),
        np.median(X[:6], 0),
    ]  # fmt: skip
    for have, expected in zip(compute(fn, X, N), want, strict=True):
        assert np.shape(have) == np.shape(expected)
        np.testing.assert_allclose(have, expected, rtol=0, atol=2**-17)


def test_ranks_and_counts(compute: Callable[..., list[Any]]) -> None:
    x = X[:, 0]
    methods = ("average", "min", "max", "dense", "ordinal")

    def fn(x: Any, n: Any, e: Any) -> list[Any]:
        counts = [order.unique_count(n), order.unique_count(x), order.unique_count(e), order.rank(e, "min")]
        return [*(order.rank(x, m) for m in methods), *counts]

    want = [*(rankdata(x, m) for m in methods), np.unique(N).size, np.unique(x).size, 0, np.zeros(0)]
    same(compute(fn, x, N, np.zeros(0)), want)


@pytest.mark.parametrize("side", ["left", "right"])
def test_places_among_edges(compute: Callable[..., list[Any]], side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    edges, fine, whole = [-1.0, -0.5, 0.0, 0.5, 0.5, 3.0], np.arange(-200, 200) / 4, np.array([-7, -1, 0, 3])

    def fn(x: Any, n: Any) -> list[Any]:
        return [
            order.searchsorted(edges, x, side), order.searchsorted(edges, n, side), order.searchsorted([], x, side),
            order.searchsorted(whole, n, side), order.searchsorted(fine, x, side), order.searchsorted([1e9], x, side),
        ]  # fmt: skip

    want = [
        np.searchsorted(edges, X, side), np.searchsorted(edges, N, side), np.zeros(X.shape, int),
        np.searchsorted(whole, N, side), np.searchsorted(fine, X, side), np.zeros(X.shape, int),
    ]  # fmt: skip
    same(compute(fn, X, N), want)
    monkeypatch.setattr(order, "prefer_sort", lambda n, edges: True)
    same(compute(fn, X, N), want)


def test_membership(compute: Callable[..., list[Any]]) -> None:
    def fn(x: Any, n: Any) -> list[Any]:
        return [
            order.isin(x, [0.25, -1.0, 0.25]), order.isin(n, [3, -4, 2.5]), order.isin(n, []), order.isin(n, [10**9]),
            order.isin(x[0, 0], [X[0, 0]]),
        ]  # fmt: skip

    want = [np.isin(X, [0.25, -1.0]), np.isin(N, [3, -4]), N > 99, N > 99, True]
    got = compute(fn, X, N)
    same(got, want)
    assert got[0].dtype == bool


def test_decimals_compare_as_the_operators_do(computing: Any) -> None:
    x = np.array([0.1, 0.2, 0.3])
    fn = lambda a: [order.isin(a, [0.1]), order.searchsorted([0.1, 0.2, 0.3], a, "right")]  # noqa: E731
    same(computing()(fn, x), [[True, False, False], [1, 2, 3]])


@pytest.mark.parametrize("use", [order.sort, order.rank, lambda x: order.sort_by(x, [x])[0], pv.Permutation.sorting])
def test_stated_bounds_are_checked_before_comparisons_are_opened(computing: Any, use: Callable[[Any], Any]) -> None:
    """Beyond the bound comparisons are wrong, and might say something."""

    class Watched(pv.Rep3):
        def _open_bits(self, b: Any) -> Any:
            raise AssertionError("opened before the check")

    with pytest.raises(RangeViolated):
        computing(Watched)(lambda x: use(x.assume_bound(1.0)), X[:, 0])


@pytest.mark.parametrize(
    ("use", "error", "says"),
    [
        (lambda x: order.max_(x, 2), ShapeError, "max: axis 2 is out of range"),
        (lambda x: order.argmin(x[:0]), ShapeError, "argmin of no elements"),
        (lambda x: order.top_k(x, 6)[0], UsageError, "1 <= k <= 5"),
        (lambda x: order.quantile(x, 1.5), UsageError, "0 <= q <= 1"),
        (lambda x: order.rank(x), ShapeError, "one dimension"),
        (lambda x: order.rank(x[0], "best"), UsageError, "average, min, max, dense, ordinal"),
        (lambda x: order.searchsorted([2.0, 1.0], x), UsageError, "ascending"),
        (lambda x: order.searchsorted([np.nan], x), UsageError, "finite"),
        (lambda x: order.searchsorted([1.0], x, "middle"), UsageError, "side"),
        (lambda x: order.isin(x, ["a"]), UsageError, "finite public numbers"),
        (lambda x: order.sort_by(x, [x])[0], ShapeError, "one-dimensional keys"),
        (lambda x: order.sort_by(x[0], [x])[0], ShapeError, "as many rows"),
    ],
)
def test_wrong_words_are_refused(computing: Any, use: Callable[[Any], Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        computing()(use, X)


@pytest.mark.parametrize("q", [0.5, [0.0, 0.1, 0.25, 1.0]])
def test_quantiles_of_what_counts(q: Any) -> None:
    rng = np.random.default_rng(3)
    x, rows, cells = rng.normal(size=(60, 3)), rng.random(60) < 0.5, rng.random((60, 3)) < 0.5

    def program(s: pv.Session) -> list[Any]:
        a, one, each, none = (s.secret(n, "o") for n in ("x", "rows", "cells", "none"))
        found = [pv.quantile(a, q, axis=0, valid=v) for v in (one, each, none)]
        return [s.reveal(f, to="all", name="quantiles", reason="test") for f in found]

    data = {"x": pv.Input(x, bound=8.0), "rows": rows.astype(int), "cells": cells.astype(int), "none": 0 * rows}
    data = {n: v if isinstance(v, pv.Input) else pv.Input(np.asarray(v, np.int64), bound=1.0) for n, v in data.items()}
    one, each, none = pv.simulate(program, inputs={"o": data}).output
    assert np.allclose(one, np.quantile(x[rows], q, axis=0), atol=2e-5)
    wanted = np.stack([np.quantile(x[cells[:, j], j], q) for j in range(3)], axis=-1)
    assert np.allclose(each, wanted, atol=2e-5) and not none.any()


def test_quantiles_of_what_counts_take_no_room_for_rows() -> None:
    x, some = np.round(RNG.uniform(0, 100, 6000), 1), np.arange(6000) % 2 == 0
    age = pv.Input(x, bound=128, scale=23)  # as a table's column of ages

    def program(s: pv.Session) -> Any:
        x, some = (s.secret(name, "bank") for name in ("age", "some"))
        return s.reveal(pv.quantile(x, [0.1, 0.5], valid=some), to="all", name="quantiles", reason="test")

    options: Any = {"parties": 1, "protocol": InsecurePlain, "check_range": True}
    got = pv.simulate(program, inputs={"bank": {"age": age, "some": some}}, **options).output
    assert np.allclose(got, np.quantile(x[some], [0.1, 0.5]), atol=2e-5)


@pytest.mark.parametrize("bound", [1e-2, 1.0, 1e4, 1e6, 1e9, 1e12])
def test_quantiles_between_far_values(bound: float, compute: Callable[..., list[Any]]) -> None:
    """Within 1.2 units whatever the gap; with a mask a unit and 2^-17 of the gap. Bounds to near the largest."""
    unit = 2.0**-18
    x = np.rint(np.random.default_rng(3).uniform(-bound, bound, (9, 2)) / unit) * unit
    keep = np.array([1, 0, 1, 1, 1, 0, 1, 1, 1])
    q = [0.0, 0.1, 0.333, 0.5, 0.77]

    def fn(a: Any, v: Any) -> list[Any]:
        return [order.quantile(a, q, 0), order.median(a), order.quantile(a, q, 0, valid=v > 0), a.quantile(0.4, 0)]

    got = compute(fn, pv.Input(x, bound), pv.Input(keep, 1))
    plain = [np.quantile(x, q, 0), np.median(x), np.quantile(x[keep > 0], q, 0), np.quantile(x, 0.4, 0)]
    gap = np.diff(np.sort(x[keep > 0], 0), axis=0).max()
    for have, want, stated in zip(got, plain, (1.2, 1.2, 1 + 2.0**-17 * gap / unit, 1.2), strict=True):
        assert np.abs(have - want).max() <= stated * unit + 2.0**-48 * 2 * bound


def test_quantiles_of_long_whole_numbers(compute: Callable[..., list[Any]]) -> None:
    n = np.array([2**53 - 1, 5, 2**52 + 1, -(2**53) + 1, 77])

    def fn(a: Any) -> list[Any]:
        return [a.median(), order.quantile(a, 0.25), order.quantile(a[:2], 0.5), order.quantile(a, 0.5, valid=a > 0)]

    got = compute(fn, pv.Input(n, 2**53))
    np.testing.assert_allclose(got, [77, 5, (n[0] + n[1]) / 2, (2**52 + 78) / 2], rtol=0, atol=1)
