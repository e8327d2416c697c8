"""One function, written with NumPy's names, runs on plain and on secret arrays alike; what cannot says so."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.errors import OverflowPlanned, PrivityError, SecretUseError, ShapeError, UsageError
from privity.mpc.plain import InsecurePlain
from privity.session import Session

X = np.array([[1.5, -2.25, 0.0], [-7.75, 3.125, 100.0]])
Y = np.array([[-0.5, 2.0, 4.0], [-7.75, 0.0625, -3.0]])
N = np.array([[3, -4, 0], [7, 7, -2]])
B = np.array([[True, False, True], [False, False, True]])
C = np.array([[False, False, True], [True, False, True]])
PROTOCOLS: dict[str, tuple[Any, int]] = {"InsecurePlain": (InsecurePlain(), 1), "Rep3": (pv.Rep3(), 3)}

area = getattr(np, "trapezoid", None) or np.trapz  # its name before NumPy 2

Function = Callable[[Any, Any, Any, Any, Any], Any]


def run(fn: Function, protocol: tuple[Any, int]) -> list[Any]:
    """What ``fn`` gives on secret arrays, opened; plain results stay as they are."""

    def program(s: Session) -> list[Any]:
        x, y, n, b, c = (s.secret(k, "bank") for k in "xynbc")
        out = fn(x, y, n, b == 1, c == 1)
        flat = out if isinstance(out, list | tuple) else [out]
        return [
            s.reveal(v, to="all", name=f"r{i}", reason="test") if isinstance(v, pv.SecureArray) else v
            for i, v in enumerate(flat)
        ]

    given = {"x": pv.Input(X, 128.0), "y": pv.Input(Y, 8.0), "n": pv.Input(N, 8.0), "b": B, "c": C}
    # check_range: every array that any function makes is within the public bound that the function states
    done = pv.simulate(
        program, protocol=protocol[0], parties=protocol[1], inputs={"bank": given}, check_range=True
    )
    opened: list[Any] = done.outputs["bank"]
    return opened


def check(fn: Function, protocol: tuple[Any, int], atol: float = 1e-4) -> None:
    want = fn(X, Y, N, B, C)
    wanted = want if isinstance(want, list | tuple) else [want]
    got = run(fn, protocol)
    assert len(got) == len(wanted)
    for mine, plain in zip(got, wanted, strict=True):
        assert np.shape(mine) == np.shape(plain)
        if np.asarray(plain).dtype.kind == "b":
            assert np.asarray(mine).dtype.kind == "b"
        np.testing.assert_allclose(np.asarray(mine, float), np.asarray(plain, float), rtol=1e-5, atol=atol)


ELEMENTS: dict[str, Function] = {
    "operators": lambda x, y, n, b, c: [
        np.add(x, y), np.subtract(x, y), np.multiply(x, y), np.negative(x), np.positive(x), np.square(y), y * y * y,
        np.add(x, n), np.multiply(n, y), np.subtract(n, x), np.divide(x, 4.0), np.divide(x, Y),
    ],
    "operators with a plain left side": lambda x, y, n, b, c: [
        X + y, X - y, X * y, X @ y.T, 3 - x, 2.5 * x, np.float64(1.5) + x, np.int64(2) * n, N * y, X[0] @ y.T, -X * y,
        *(op(X, y) for op in (operator.lt, operator.ge, operator.eq, operator.ne)), np.float64(0.5) > x, B & c,
        B | c, B ^ c,
    ],
    "comparisons": lambda x, y, n, b, c: [
        np.less(x, y), np.less_equal(x, y), np.greater(x, Y), np.greater_equal(X, y), np.equal(n, 7), np.not_equal(n,
        7),
        np.signbit(x), np.logical_and(b, c), np.logical_or(b, n), np.logical_xor(b, c), np.logical_not(n),
        np.bitwise_and(b, c), np.bitwise_or(b, C), np.invert(b), np.isclose(x, y), np.allclose(x, X),
        np.array_equal(x, y),
        np.array_equal(n, N), np.array_equal(n, N[0]),
    ],
    "selection": lambda x, y, n, b, c: [
        np.where(b, x, y), np.where(b, x, 0), np.where(B, x, y), np.where(x > 0, 1.5, y), np.where(n, x, y),
        np.where(b, c, ~c), np.maximum(x, y), np.minimum(X, y), np.fmax(x, 0), np.fmin(x, 0.25), np.clip(x, -1, 1.5),
        np.clip(x, y, None), np.select([x > 2, x < -2], [y, -1.0], 0.5), np.heaviside(x, 0.5), np.abs(x), np.fabs(n),
        np.absolute(x),
    ],
    "whole numbers": lambda x, y, n, b, c: [
        np.floor(x), np.ceil(x), np.trunc(x), np.fix(y), np.rint(x + 0.3), np.round(x + 0.01, 1), np.floor(n),
        np.rint(n),
    ],
    "what the shape tells": lambda x, y, n, b, c: [
        np.isfinite(x), np.isnan(x), np.isinf(n), np.isreal(x), np.iscomplexobj(x), np.shape(x), np.ndim(x), np.size(x),
        np.size(x, 1), np.real(x), np.imag(x), np.conj(x), np.nan_to_num(x),
    ],
    "like": lambda x, y, n, b, c: [
        np.zeros_like(x), np.ones_like(n), np.full_like(x, 2.5), np.zeros_like(b), np.full_like(b, True), np.copy(x),
        np.ones_like(x, shape=(2, 2)),
    ],
    "degrees": lambda x, y, n, b, c: [np.deg2rad(x), np.radians(x), np.rad2deg(y), np.degrees(y)],
}  # fmt: skip

REDUCTIONS: dict[str, Function] = {
    "sums": lambda x, y, n, b, c: [
        np.sum(x), np.sum(x, 0), np.sum(n, axis=1, keepdims=True), np.mean(x), np.mean(x, axis=0), np.var(y),
        np.var(y, 0),
        np.var(y, axis=1, ddof=1), np.nansum(x), np.nanmean(x), np.sum(b), np.count_nonzero(n, axis=1), np.average(x),
        np.average(x, 0, weights=[1.0, 3.0]), np.average(x, weights=Y + 8.0), np.add.reduce(x), np.add.reduce(x,
        axis=1),
    ],
    "truth": lambda x, y, n, b, c: [
        np.any(b), np.any(b, axis=0), np.all(b, axis=1), np.all(n, axis=0), np.any(x > 99), np.all(b, keepdims=True),
        np.logical_or.reduce(b), np.logical_and.reduce(b, axis=1),
    ],
    "methods": lambda x, y, n, b, c: [
        x.sum(), x.mean(0), y.var(ddof=1), y.std(0), n.prod(axis=0), b.any(), b.any(1), b.all(0), x.max(), x.min(0),
        x.argmax(1), n.cumsum(axis=1), x.flatten(), x.ravel(), x[:, :1].squeeze(), x.swapaxes(0, 1), x.reshape(3, 2),
        x.transpose(), x.T, x.clip(-1, 1), x.dot(y.T), x.round(), len(x), x.shape, x.ndim, x.size,
    ],
    "products": lambda x, y, n, b, c: [
        np.prod(n, axis=0), np.prod(n, axis=1, keepdims=True), np.prod(y[:, :2]), np.multiply.reduce(n),
        np.multiply.outer(x[0], y[1]), np.add.outer(x[0], Y[1]), np.kron(x, y[:1]), np.kron(x[0], y), np.cross(x, y),
        np.diff(x), np.diff(x, n=2), np.diff(n, axis=0), area(x, dx=0.5), area(x, [0.0, 1.0, 3.0]),
        np.polyval([2.0, -1.0, 0.5], y), np.polyval(x[0], 0.5),
    ],
    "convolutions": lambda x, y, n, b, c: [
        *(np.convolve(x[0], v, mode) for v in (y[1], Y[1, :2], y[0, :1]) for mode in ("full", "same", "valid")),
        *(np.correlate(x[0], v, mode) for v in (y[1], Y[1, :2]) for mode in ("full", "same", "valid")),
        *(np.correlate(x[0, :2], y[1], mode) for mode in ("full", "same", "valid")),
    ],
}  # fmt: skip

SHAPES: dict[str, Function] = {
    "moving": lambda x, y, n, b, c: [
        np.reshape(x, (3, 2)), np.reshape(x, (3, 2), order="F"), np.ravel(x), np.transpose(x), np.swapaxes(x, 0, 1),
        np.moveaxis(x, 0, 1), np.flip(x), np.flip(x, 1), np.fliplr(x), np.flipud(n), np.roll(x, 1), np.roll(x, 1,
        axis=1),
        np.rot90(x), np.expand_dims(x, 1), np.squeeze(x[:, :1]), np.rollaxis(x, 1), np.atleast_1d(x), np.atleast_3d(x),
        np.atleast_2d(x[0]), np.roll(b, 1), np.flip(b),
    ],
    "repeating and dropping": lambda x, y, n, b, c: [
        np.tile(x, 2), np.repeat(x, 2, axis=0), np.repeat(x, [1, 0, 2], axis=1), np.resize(x, (2, 4)), np.take(x, [0,
        2], 1),
        np.take_along_axis(x, np.array([[0], [2]]), 1), np.delete(x, 1, axis=1), np.compress([True, False, True], x,
        axis=1),
        np.extract(B, x), np.diag(x), np.diag(x[0]), np.diagonal(x, 1), np.tril(x), np.triu(x, 1), np.diagflat(x[0]),
        np.broadcast_to(x[0], (2, 3)), np.pad(x, 1), np.pad(x, ((0, 0), (2, 1)), mode="reflect"), np.pad(b, 1),
        np.pad(x, 1, constant_values=2.5), np.pad(x, (1, 0), mode="edge"), np.fft.fftshift(x),
    ],
    "joining": lambda x, y, n, b, c: [
        np.concatenate([x, Y]), np.concatenate([x, n], axis=1), np.concatenate((X, y), axis=None), np.stack([x, y],
        axis=1),
        np.vstack([x, y[0]]), np.hstack([x, y]), np.hstack([x[0], Y[0]]), np.dstack([x, y]), np.column_stack([x[0],
        Y[1]]),
        np.append(x, y), np.append(x, Y, axis=0), np.block([[x, y], [y, x]]), np.block([x[0], y[0]]),
    ],
    "splitting": lambda x, y, n, b, c: [
        *np.split(x, 3, axis=1), *np.array_split(x, 2, axis=1), *np.split(x, [1], axis=0), *np.hsplit(x, 3),
        *np.vsplit(x, 2), *np.broadcast_arrays(x, y[0]), *np.hsplit(x[0], [1]),
    ],
}  # fmt: skip


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("group", [*ELEMENTS, *REDUCTIONS, *SHAPES])
def test_same_function_on_plain_and_secret(group: str, protocol: str) -> None:
    check({**ELEMENTS, **REDUCTIONS, **SHAPES}[group], PROTOCOLS[protocol])


SUBJECTS: dict[str, Function] = {
    "real functions": lambda x, y, n, b, c: [
        np.exp(y), np.exp2(y), np.expm1(y), np.log(abs(y) + 0.5), np.log2(abs(y) + 0.5), np.log10(abs(y) + 0.5),
        np.log1p(abs(y)), np.sqrt(abs(x)), np.tanh(y), np.sin(y), np.cos(y), np.reciprocal(y + 10.5), np.sign(x),
        np.power(y, 2), np.power(abs(y) + 0.5, 0.5), np.hypot(y, 1.5), np.hypot(y, y), np.logaddexp(y, y * 0.5),
        np.logaddexp(y, 1.0),
        np.std(y), np.std(y, axis=0), np.std(y, 1, ddof=1, keepdims=True), np.divide(y, abs(y) + 1), np.exp(n * 0.25),
    ],
    "order": lambda x, y, n, b, c: [
        np.max(x), np.min(x, axis=0), np.amax(n, axis=1, keepdims=True), np.nanmin(y), np.ptp(x), np.ptp(x, axis=1),
        np.argmax(x), np.argmin(y, axis=1), np.median(x), np.median(x, axis=0), np.quantile(x, [0.1, 0.5]),
        np.percentile(y, 25, axis=1), np.sort(x), np.sort(x, axis=0, kind="stable"), np.argsort(x), np.cumsum(x),
        np.cumsum(n, axis=1), np.add.accumulate(x), np.maximum.reduce(x), np.minimum.reduce(x, axis=1),
    ],
    "counting": lambda x, y, n, b, c: [
        np.searchsorted(np.array([-3.0, 0.0, 2.0]), x), np.searchsorted([-3.0, 0.0, 2.0], x, side="right"),
        np.digitize(x, [-3.0, 0.0, 2.0]), np.digitize(x, np.array([-3.0, 0.0, 2.0]), right=True), np.isin(n, [7, 0]),
        np.isin(n, [7], invert=True), *np.histogram(x, [-8.0, 0.0, 2.0, 100.0]),
        np.bincount(np.abs(n.ravel()), minlength=8),
    ],
    "products of arrays": lambda x, y, n, b, c: [
        np.dot(x, y.T), np.dot(x[0], y[1]), np.inner(x, y), np.inner(x[0], y), np.vdot(x, y), np.outer(x[0], y[1]),
        np.outer(X[0], y[1]), np.einsum("ij,kj->ik", x, y), np.einsum("ij,ij->i", x, Y), np.einsum("ij->ji", x),
        np.tensordot(x, y, axes=([1], [1])), np.tensordot(x, y, axes=2), np.tensordot(x, Y.T, 1), np.trace(x),
        np.tensordot(x[0], y[0], 0), np.matmul(x, y.T), np.matmul(x[None], Y.T), np.cov(y), np.corrcoef(y),
        np.linalg.norm(y), np.linalg.norm(y, axis=1), np.linalg.norm(y, "fro"), np.linalg.norm(y[0], 1),
        np.linalg.norm(y, 1), np.linalg.norm(y, np.inf, (0, 1)), np.linalg.norm(y, -np.inf),
        np.linalg.norm(y, np.inf, 0),
    ],
}  # fmt: skip


def positive_definite(x: Any, y: Any, n: Any, b: Any, c: Any) -> Any:
    a = y @ y.T * (1 / 16) + np.eye(2)
    two = np.stack([a, a + np.eye(2)])
    one = [np.linalg.cholesky(a), np.linalg.solve(a, x), np.linalg.solve(a, x[:, 0]), np.linalg.inv(a)]
    return [*one, np.linalg.cholesky(two), np.linalg.solve(two, x), np.linalg.inv(two)]


RECENT = ("vecdot", "matvec", "vecmat", "cumulative_sum", "unstack", "matrix_transpose")
NORMS = ("vector_norm", "matrix_norm")
NEWER = [name for name in RECENT if hasattr(np, name)] + [name for name in NORMS if hasattr(np.linalg, name)]


def newer(name: str) -> Function:
    """Functions that not every supported NumPy has."""
    function = getattr(np.linalg if name in NORMS else np, name)
    arguments: dict[str, Function] = {
        "vecdot": lambda x, y, n, b, c: function(x, y), "matvec": lambda x, y, n, b, c: function(x, Y[0]),
        "vecmat": lambda x, y, n, b, c: function(y[:, 0], x), "unstack": lambda x, y, n, b, c: function(x, axis=1),
        "cumulative_sum": lambda x, y, n, b, c: function(x, axis=1),
        "matrix_transpose": lambda x, y, n, b, c: function(x),
        "vector_norm": lambda x, y, n, b, c: [
            function(x), function(x, ord=1), function(n, axis=0, keepdims=True), function(n, axis=(1, 0), ord=np.inf),
            function(np.stack([x, y]), axis=(0, -1), ord=1), function(n, keepdims=True), function(n, ord=0, axis=1),
        ],
        "matrix_norm": lambda x, y, n, b, c: [
            function(x), function(n, ord=1), function(np.stack([x, y]), ord=-np.inf, keepdims=True),
        ],
    }  # fmt: skip
    return arguments[name]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("group", list(SUBJECTS))
def test_functions_of_every_subject(group: str, protocol: str) -> None:
    check(SUBJECTS[group], PROTOCOLS[protocol], atol=2e-3)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_positive_definite_systems(protocol: str) -> None:
    check(positive_definite, PROTOCOLS[protocol], atol=2e-2)


@pytest.mark.parametrize("name", NEWER)
def test_functions_of_newer_numpy(name: str) -> None:
    check(newer(name), PROTOCOLS["InsecurePlain"])


KINDS: dict[str, Function] = {
    "conversions": lambda x, y, n, b, c: [
        np.asarray(x).astype(int) if isinstance(x, np.ndarray) else x.astype("int"),
        n.astype(float), b.astype(float), b.astype(int), n.astype(bool), x.astype(bool), y.astype(float),
    ],
    "mixed": lambda x, y, n, b, c: [
        x + b, x - b, x * b, b * n, n + b, n * x, n / 4, (b * 1) / 4.0, x + 1, n + 0.5, n * 0.25, b * 0.5, b * x * n,
        1 - b * 1, n - x, n > b * 1, x == n, np.where(b, n, x), np.where(c, b, 0.5), n @ x.T, b.sum() + x.sum(),
    ],
}  # fmt: skip


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("group", list(KINDS))
def test_kinds_mix_and_convert(group: str, protocol: str) -> None:
    check(KINDS[group], PROTOCOLS[protocol])


def test_kinds_of_results() -> None:
    kinds: list[list[str]] = []

    def program(s: Session) -> None:
        x, n, b = s.secret("x", "bank"), s.secret("n", "bank"), s.secret("b", "bank") == 1
        kinds.append([v.kind for v in (x + n, n + n, b + b, n * b, n / 2, n + 0.5, n + 1, b * 1.5, x > n, ~b)])
        kinds.append([v.kind for v in (x.astype("fixed"), x.astype("int"), x.astype("bool"), b.astype("fixed"),
                                       np.floor(x), x.round(), x.round(1), np.where(b, n, n), np.where(b, x,
                                       n))])  # fmt: skip
        assert x.astype(float) is x and n.astype(np.int32) is n and b.astype(bool) is b
        assert n.astype(float).scale == s.fraction_bits
        with pytest.raises(UsageError, match='"fixed"'):
            x.astype("complex")

    pv.simulate(program, inputs={"bank": {"x": X, "n": N, "b": B}})
    assert kinds[0] == ["fixed", "int", "int", "int", "fixed", "fixed", "int", "fixed", "bool", "bool"]
    assert kinds[1] == ["fixed", "int", "bool", "fixed", "int", "int", "fixed", "int", "fixed"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_rounding_is_exact_over_the_whole_range(protocol: str) -> None:
    unit = 2.0**-18
    values = np.concatenate([np.arange(-70, 70) / 8, [2.0**40, -(2.0**40) - 0.5, 0.5 - unit, -unit, unit, 7 - unit]])

    def program(s: Session) -> list[Any]:
        x = s.secret("x", "bank")
        outs = [pv.floor(x), pv.ceil(x), pv.rint(x), pv.trunc(x)]
        return [s.reveal(v, to="all", name=f"r{i}", reason="test") for i, v in enumerate(outs)]

    inputs = {"bank": {"x": pv.Input(values, 2.0**41)}}
    got = pv.simulate(program, protocol=PROTOCOLS[protocol][0], parties=PROTOCOLS[protocol][1], inputs=inputs).outputs
    for mine, want in zip(
        got["bank"], (np.floor(values), np.ceil(values), np.floor(values + 0.5), np.trunc(values)), strict=True
    ):
        np.testing.assert_array_equal(mine, want)


def test_rounding_says_when_there_is_no_room() -> None:
    with pytest.raises(OverflowPlanned, match="rounded"):
        pv.simulate(lambda s: pv.floor(s.secret("x", "bank")), inputs={"bank": {"x": pv.Input(X, 2.0**44 - 0.5)}})


REFUSALS: list[tuple[Callable[[Any], Any], type[PrivityError], str]] = [
    (lambda x: np.nonzero(x), SecretUseError, "np.where"),
    (lambda x: np.where(x > 0), UsageError, "where"),
    (lambda x: np.unique(x), SecretUseError, "mask"),
    (lambda x: np.arctan(x), SecretUseError, "np.polyval"),
    (lambda x: np.savetxt("x", x), SecretUseError, "s.reveal"),
    (lambda x: np.copyto(X.copy(), x), SecretUseError, "np.where"),
    (lambda x: np.fft.fft(x), SecretUseError, "cosine"),
    (lambda x: np.asarray(x), SecretUseError, "reveal"),
    (lambda x: np.sum(x, dtype=int), UsageError, "dtype"),
    (lambda x: np.sum(x, where=B), UsageError, "where"),
    (lambda x: np.add(x, 1, out=X.copy()), UsageError, "out|written"),
    (lambda x: np.add(x, 1, where=B), UsageError, "where="),
    (lambda x: X.copy().__iadd__(x), UsageError, "written"),
    (lambda x: np.add.at(X.copy(), 0, x), UsageError, "slices"),
    (lambda x: np.multiply.accumulate(x), UsageError, "accumulate"),
    (lambda x: np.histogram(x), UsageError, "public"),
    (lambda x: np.bincount(x.astype(int).ravel()), UsageError, "minlength"),
    (lambda x: np.linalg.lstsq(x, x), SecretUseError, r"privity\.lstsq"),
    (lambda x: np.linalg.eigh(x), SecretUseError, "top_eigenvectors"),
    (lambda x: np.take(x, x[0, 0] > 0), UsageError, "public"),
    (lambda x: np.take(X, x), SecretUseError, "reveal"),
    (lambda x: np.pad(x, 1, mode="mean"), UsageError, "mode"),
    (lambda x: np.split(x, 2, axis=1), ShapeError, "equal"),
    (lambda x: x + np.ones(5), ShapeError, "broadcast"),
    (lambda x: np.ones(5) + x, ShapeError, "broadcast"),
    (lambda x: np.full((2, 3), np.nan) * x, UsageError, "NaN"),
    (lambda x: np.array(["a"]) + x, UsageError, "dtype"),
]


@pytest.mark.parametrize("number", range(len(REFUSALS)))
def test_refusals_name_the_alternative(number: int) -> None:
    use, error, text = REFUSALS[number]
    with pytest.raises(error, match=text):
        pv.simulate(lambda s: use(s.secret("x", "bank")), inputs={"bank": {"x": pv.Input(X, 128.0)}})


def test_a_plain_left_side_is_one_operation_and_not_one_per_element() -> None:
    def program(s: Session) -> int:
        x = s.secret("x", "bank")
        s._context.start_trace()
        np.ones((1000, 50)) * 0.5 * x
        return sum(e.calls for e in s.trace().entries)

    done = pv.simulate(program, inputs={"bank": {"x": np.ones((1000, 50))}})
    assert done.output <= 4
