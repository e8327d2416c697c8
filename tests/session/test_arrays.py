"""SecureArray and privity's functions against NumPy: the same names, shapes and broadcasting, on every protocol."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import privity as pv
from privity.errors import ShapeError, UsageError
from privity.mpc.plain import InsecurePlain
from privity.session import Session

PROTOCOLS: dict[str, tuple[Any, int]] = {
    "InsecurePlain": (InsecurePlain(), 1),
    "Rep3": (pv.Rep3(), 3),
    "Rep3 exact": (pv.Rep3(exact=True), 3),
}
ULP = 2.0**-18


@pytest.fixture(params=list(PROTOCOLS))
def compute(request: pytest.FixtureRequest) -> Callable[..., list[Any]]:
    """Run a function of secret arrays and open what it returns."""
    return partial(opened, PROTOCOLS[request.param])


def is_bool(a: Any) -> bool:
    return not isinstance(a, pv.Input) and np.asarray(a).dtype.kind == "b"


def bounded(a: Any) -> pv.Input:
    return pv.Input(a, 128.0 if np.abs(a).max(initial=0) <= 128 else 1000.0)


def opened(protocol: tuple[Any, int], fn: Callable[..., Any], *arrays: Any) -> list[Any]:
    kind, parties = protocol

    def secret(s: Session, i: int) -> Any:
        """Real inputs get a bound of 128; booleans arrive as the integers 0 and 1."""
        x = s.secret(f"x{i}", "bank")
        return x == 1 if is_bool(arrays[i]) else x

    def program(s: Session) -> list[Any]:
        out = fn(*(secret(s, i) for i in range(len(arrays))))
        many = out if isinstance(out, list) else [out]
        return [s.reveal(v, to="all", name=f"y{j}", reason="test") for j, v in enumerate(many)]

    given = {f"x{i}": a if isinstance(a, pv.Input) or is_bool(a) else bounded(a) for i, a in enumerate(arrays)}
    done = pv.simulate(program, parties=parties, protocol=kind, inputs={"bank": given})
    results: list[Any] = done.outputs["bank"]
    for name in done.compute:
        for mine, theirs in zip(done.outputs[name], results, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    return results


def close(got: Any, want: Any, atol: float = 4 * ULP) -> None:
    want = np.asarray(want)
    assert np.shape(got) == want.shape
    if want.dtype.kind == "f":
        np.testing.assert_allclose(got, want, rtol=2e-6, atol=atol)
    else:
        np.testing.assert_array_equal(got, want)


X = np.array([[1.5, -2.25, 0.0], [-7.75, 3.125, 100.0]])
Y = np.array([[-0.5, 2.0, 4.0], [-7.75, 0.0625, -3.0]])
N = np.array([[3, -4, 0], [7, 7, -2]])
B = np.array([[True, False, True], [False, False, True]])


def test_operators(compute: Callable[..., list[Any]]) -> None:
    def fn(x: Any, y: Any, n: Any, b: Any) -> list[Any]:
        return [
            x + y, x - y, -x, +x, x * y, x + n, n - x, x * n, n * n, n + n, b + b, b * x, n - b, x * x * y,
            x + 1, 1 + x, 2.5 - x, x * 3, 0.25 * x, x / 8, x / 3.0, n * 0.5, n + 0.5, n * 7, x * Y, Y * x, Y - x,
            np.float64(2.5) * x, np.int64(3) + n, [1.0, 2.0, 3.0] * x, np.array([[2.0], [3.0]]) * n, n**3, x**2,
        ]  # fmt: skip

    def want(x: Any, y: Any, n: Any, b: Any) -> list[Any]:
        i = b.astype(int)
        return [
            x + y, x - y, -x, +x, x * y, x + n, n - x, x * n, n * n, n + n, i + i, b * x, n - i, x * x * y,
            x + 1, 1 + x, 2.5 - x, x * 3, 0.25 * x, x / 8, x / 3.0, n * 0.5, n + 0.5, n * 7, x * Y, Y * x, Y - x,
            2.5 * x, 3 + n, np.array([1.0, 2.0, 3.0]) * x, np.array([[2.0], [3.0]]) * n, n**3, x**2,
        ]  # fmt: skip

    for got, expected in zip(compute(fn, X, Y, N, B), want(X, Y, N, B), strict=True):
        close(got, expected, atol=2e-3)


def test_comparison_and_logic(compute: Callable[..., list[Any]]) -> None:
    def fn(x: Any, y: Any, n: Any, b: Any) -> list[Any]:
        return [
            x < y, x <= y, x > y, x >= y, x == y, x != y, n == 7, n < 0, n >= 0, x > 1.5, x >= 1.5, n > 0.5,
            b & (x > 0), b | (n == 7), b ^ b, ~b, b & B, B | b, b ^ True, b == b, Y < x, Y == x,  # noqa: SIM300
        ]  # fmt: skip

    for got, expected in zip(compute(fn, X, Y, N, B), fn(X, Y, N, B), strict=True):
        close(got, expected)
        assert np.asarray(got).dtype == bool


def test_shapes_and_reductions(compute: Callable[..., list[Any]]) -> None:
    def fn(x: Any, n: Any, b: Any) -> list[Any]:
        return [
            x.sum(), x.sum(0), x.sum(1), x.sum(-1, keepdims=True), x.sum((0, 1)), n.sum(), b.sum(0), x.mean(),
            x.mean(0), n.mean(1), x.var(), x.var(0), x.var(1, ddof=1), x.T, n.T, b.T, x.reshape(3, 2), x.reshape((6,)),
            b.reshape(-1), x.ravel(), x.transpose(1, 0), x[0], x[:, 1], x[1, 2], x[..., None], x[::-1, [0, 2]], x[B],
            b[0], b[:, ::2], n[0, 0], x.dot(x.T), n @ n.T, x @ n.T, x[0] @ x[1], x @ x[0], x[0] @ x.T,
            x @ Y.T, Y @ x.T, Y[0] @ x.T, N @ n.T, x.T @ np.array([0.1, 0.7]), x.clip(-2, 2.5),
            n.clip(-1, 3), abs(x), abs(n),
        ]  # fmt: skip

    for got, expected in zip(compute(fn, X, N, B), fn(X, N, B), strict=True):
        close(got, expected, atol=6e-3)


def test_functions(compute: Callable[..., list[Any]]) -> None:
    def fn(x: Any, y: Any, n: Any, b: Any) -> list[Any]:
        return [
            pv.where(b, x, y), pv.where(b, x, 1.5), pv.where(b, n, -1), pv.where(x > y, b, n), pv.maximum(x, y),
            pv.minimum(x, n), pv.maximum(n, 2), pv.absolute(x), pv.clip(x, -1, 1), pv.concatenate([x, y]),
            pv.concatenate([x, n], 1), pv.concatenate([b, b]), pv.stack([x, Y]), pv.stack([n, n], -1),
            pv.stack([b, ~b], 1), pv.where(B, x, y),
        ]  # fmt: skip

    i = B.astype(int)
    want = [
        np.where(B, X, Y), np.where(B, X, 1.5), np.where(B, N, -1), np.where(X > Y, i, N), np.maximum(X, Y),
        np.minimum(X, N), np.maximum(N, 2), abs(X), X.clip(-1, 1), np.concatenate([X, Y]),
        np.concatenate([X, N], 1), np.concatenate([B, B]), np.stack([X, Y]), np.stack([N, N], -1), np.stack([B, ~B], 1),
        np.where(B, X, Y),
    ]  # fmt: skip
    for got, expected in zip(compute(fn, X, Y, N, B), want, strict=True):
        close(got, expected)


def test_real_functions(compute: Callable[..., list[Any]]) -> None:
    x = np.array([[0.25, -3.0, 12.0], [-900.0, 0.0, 7.5]])

    def fn(x: Any) -> list[Any]:
        return [pv.sigmoid(x), pv.sigmoid(x, 0.1), pv.reciprocal(x), 1 / (abs(x) + 1), pv.rsqrt(abs(x))]

    got = compute(fn, x)
    with np.errstate(divide="ignore", over="ignore"):
        sigmoid = 1 / (1 + np.exp(-x))
        inverse, root = np.where(x == 0, 0, 1 / x), np.where(x == 0, 0, 1 / np.sqrt(abs(x)))
    for have, want, atol in zip(got, [sigmoid, 0.1 * sigmoid, inverse, 1 / (abs(x) + 1), root],
                                [2e-4, 2e-5, 4 * ULP, 4 * ULP, 4 * ULP], strict=True):  # fmt: skip
        close(have, want, atol)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (2, 1, 2)])
def test_unusual_shapes(compute: Callable[..., list[Any]], shape: tuple[int, ...]) -> None:
    x = np.linspace(-2, 2, int(np.prod(shape))).reshape(shape)

    def fn(x: Any) -> list[Any]:
        return [x + x, x * x, x * 0.3, x < 0.5, ~(x == 0), x.sum(), abs(x), x.ravel(), x.T, (x > 0) * x, x.clip(-1, 1)]

    for got, want in zip(compute(fn, x), fn(x), strict=True):
        close(got, want)
    close(compute(pv.sigmoid, x)[0], 1 / (1 + np.exp(-x)), 2e-4)


def test_results_without_dimensions_are_plain_numbers(compute: Callable[..., list[Any]]) -> None:
    got = compute(lambda x, n: [x.sum(), n[0, 0], n.sum() < 3], X, N)
    assert [type(v) for v in got] == [float, int, bool]


def test_large_integers_are_exact(compute: Callable[..., list[Any]]) -> None:
    big = 2**60 + 1
    n = pv.Input(np.array([big, -big, 7]), 2.0**61)
    got = compute(lambda n: [n, n + big, n - (big - 8), n == big, n < big, n > big, big - n], n)
    v = np.array([big, -big, 7])
    for have, want in zip(got, [v, v + big, v - (big - 8), v == big, v < big, v > big, big - v], strict=True):
        np.testing.assert_array_equal(have, want)


@pytest.mark.parametrize("bound", [(2**20 - 0.3) * ULP, 0.1, 1023.9999, 1 / 3])
def test_values_at_their_bound_keep_their_sign(compute: Callable[..., list[Any]], bound: float) -> None:
    """Rounding may lift an input half a unit above its bound; a mean may be lifted by its rounded divisor."""
    x = np.array([bound, -bound, bound])
    got = compute(lambda x: [x < 0, x.mean() < 0, (x[::2].sum() + x[0]) < 0, abs(x).mean() < 0], pv.Input(x, bound))
    for have, want in zip(got, [x < 0, False, False, False], strict=True):
        np.testing.assert_array_equal(have, want)


# -- hypothesis: broadcasting and indexing -----------------------------------------------------------------------

PLAIN = PROTOCOLS["InsecurePlain"]


@settings(max_examples=60, deadline=None)
@given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3), seed=st.integers(0, 99))
def test_broadcasting(shapes: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = (rng.normal(size=s) for s in shapes.input_shapes)

    def fn(x: Any, y: Any) -> list[Any]:
        return [x + y, x - y, x * y, x < y, (x < 0) & (y < 0)]

    for got, want in zip(opened(PLAIN, fn, x, y), fn(x, y), strict=True):
        close(got, want)
    for got, want in zip(opened(PLAIN, lambda x: fn(x, y)[:4], x), fn(x, y), strict=False):
        close(got, want)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_indexing(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
    index = data.draw(
        hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True) | hnp.integer_array_indices(shape)
    )
    x = np.arange(np.prod(shape)).reshape(shape) - 5
    got = opened(PLAIN, lambda x, b: [x[index], b[index]], x, x % 3 == 0)
    np.testing.assert_array_equal(got[0], x[index])
    np.testing.assert_array_equal(got[1], (x % 3 == 0)[index])


@settings(max_examples=15, deadline=None)
@given(shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3), seed=st.integers(0, 99))
def test_rep3_on_any_shape(shape: tuple[int, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, b = rng.normal(size=shape) * 10, rng.random(shape) < 0.5

    def fn(x: Any, b: Any) -> list[Any]:
        return [x * x, b * x, x < 1, (x > 0) | b, x.sum(), x * 0.7]

    for got, want in zip(opened(PROTOCOLS["Rep3"], fn, x, b), fn(x, b), strict=True):
        close(got, want)


# -- errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fn", "error", "words"),
    [
        (lambda x: x + np.zeros((4, 5)), ShapeError, "do not broadcast"),
        (lambda x: x @ x, ShapeError, "inner sizes differ"),
        (lambda x: np.zeros((4, 5)) @ x, ShapeError, "inner sizes differ"),
        (lambda x: pv.concatenate([x, x[:, :1]]), ShapeError, "cannot join"),
        (lambda x: x[:0].mean(), ShapeError, "empty"),
        (lambda x: x * "3", UsageError, "cannot combine"),
        (lambda x: x * np.nan, UsageError, "NaN or infinity"),
        (lambda x: x + np.inf, UsageError, "NaN or infinity"),
        (lambda x: x * np.array([np.inf, 0.5, 1]), UsageError, "NaN or infinity"),
        (lambda x: x @ np.full((3, 1), np.nan), UsageError, "NaN or infinity"),
        (lambda x: ~x, UsageError, "boolean"),
        (lambda x: pv.where(x, x, x), UsageError, "boolean"),
        (lambda x: (x < 0) & 1.5, UsageError, "boolean"),
        (lambda x: x / 0, ZeroDivisionError, "zero"),
        (lambda x: x ** float("nan"), UsageError, "power"),
        (lambda x: x.clip(2, 1), UsageError, "low <= high"),
        (lambda x: x.__setitem__(0, 1), UsageError, "in place"),
        (lambda x: x.reshape(7), ValueError, "reshape"),
        (lambda x: x[9], IndexError, "out of bounds"),
    ],
)
def test_mistakes_are_named(fn: Callable[[Any], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        opened(PLAIN, fn, X)


def test_arrays_of_two_sessions_do_not_mix() -> None:
    kept: list[Any] = []
    opened(PLAIN, lambda x: (kept.append(x), x)[1], X)
    with pytest.raises(UsageError, match="different sessions"):
        opened(PLAIN, lambda x: x + kept[0], X)
