"""Linear algebra, convolution and pooling against float64 NumPy, on the reference and on Rep3."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import privity as pv
from privity.errors import OverflowPlanned, PrivityError, ShapeError, UsageError
from privity.functions import convolution, decompose, linear, random
from privity.mpc.plain import InsecurePlain
from privity.mpc.shapes import Shapes
from privity.session import Session
from privity.types import Cost

ULP = 2.0**-18
Floats = npt.NDArray[np.float64]
Compute = Callable[..., list[Any]]
BOUND = 8.0  # of arrays; see conftest.py


def real(*shape: int, seed: int = 0, largest: float = 4.0) -> Floats:
    """Values on the grid of 18 fractional bits."""
    drawn = np.random.default_rng([seed, *shape]).uniform(-largest, largest, shape)
    return np.asarray(np.rint(drawn / ULP) * ULP)


def close(got: Any, want: Any, atol: float = 1.01 * ULP) -> None:
    assert np.shape(got) == np.shape(want)
    np.testing.assert_allclose(got, want, rtol=0, atol=atol)


# -- products -------------------------------------------------------------------------------------------------------

SHAPES = [
    ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((4, 2, 3), (3, 5)), ((4, 2, 3), (4, 3, 5)), ((3,), (4, 3, 2)),
    ((1, 4, 2, 3), (6, 1, 3, 5)), ((2, 3), (4, 3, 5)), ((40, 1, 3), (40, 3, 1)), ((40, 5, 3), (40, 3, 1)),
    ((5, 8, 1, 3), (5, 1, 3, 2)), ((40, 2, 3), (3,)), ((0, 2, 3), (3, 4)), ((0, 2, 3), (0, 3, 4)),
]  # fmt: skip


def test_matmul_takes_all_shapes_of_numpy(compute: Compute) -> None:
    pairs = [(real(*a), real(*b, seed=1)) for a, b in SHAPES]

    def fn(*arrays: Any) -> list[Any]:
        both = zip(arrays[::2], arrays[1::2], pairs, strict=True)
        return [z for x, y, (a, b) in both for z in (x @ y, linear.matmul(a, y), x @ b, x.matmul(y, factor=-0.3))]

    got = iter(compute(fn, *(a for pair in pairs for a in pair)))
    for a, b in pairs:
        for factor in (1.0, 1.0, 1.0, -0.3):
            close(next(got), factor * (a @ b), atol=1.01 * ULP if factor == 1.0 else 1e-4)


def test_rounds_do_not_grow_with_the_number_of_matrices() -> None:
    def program(s: Session) -> list[int]:
        out, party = [], s._context.protocol.party
        for name in ("one", "many"):
            x = s.secret(name, "compute_0")
            before = party.rounds
            _ = x @ x
            out.append(party.rounds - before)
        return out

    inputs = {"one": pv.Input(real(3, 3), 8.0), "many": pv.Input(real(5, 4, 3, 3), 8.0)}
    assert pv.simulate(program, inputs={"compute_0": inputs}).output == [2, 2]


EINSUMS = [
    ("ij->ji", [(2, 3)]), ("ii->i", [(3, 3)]), ("ii", [(3, 3)]), ("ij->", [(2, 3)]), ("...i->...", [(2, 3, 4)]),
    ("ij,jk->ik", [(2, 3), (3, 4)]), ("ij,jk", [(2, 3), (3, 4)]), ("i,i", [(4,), (4,)]), ("i,j->ij", [(3,), (2,)]),
    ("bij,bjk->bik", [(2, 3, 4), (2, 4, 2)]), ("bij,bkj->bki", [(2, 3, 4), (2, 5, 4)]), ("ij,ij->ij", [(2, 3), (2, 3)]),
    ("...ij,...jk->...ik", [(2, 5, 3, 4), (5, 4, 2)]), ("bi,bi->b", [(20, 3), (20, 3)]),
    ("ijk,kl->jl", [(2, 3, 4), (4, 2)]), ("ii,ij->j", [(3, 3), (3, 2)]),
    ("ij,jk->ik", [(2, 1), (3, 4)]), ("i,ij->", [(3,), (3, 2)]), (",i", [(), (3,)]),
    ("abc,cd->abd", [(2, 3, 4), (4, 5)]), ("ij,k->i", [(2, 3), (2,)]),
]  # fmt: skip


@pytest.mark.parametrize(("subscripts", "shapes"), EINSUMS)
def test_einsum(compute: Compute, subscripts: str, shapes: list[tuple[int, ...]]) -> None:
    arrays = [real(*s, seed=i) for i, s in enumerate(shapes)]

    def fn(*x: Any) -> list[Any]:
        some = [linear.einsum(subscripts, *x)]
        if len(x) == 2:
            some += [linear.einsum(subscripts, x[0], arrays[1]), linear.einsum(subscripts, arrays[0], x[1])]
        return some

    want = np.einsum(subscripts, *arrays)
    for got in compute(fn, *arrays):
        close(got, want)


def test_dot_outer_and_diagonals(compute: Compute) -> None:
    x, y, z, n = real(3, 3), real(3, seed=1), real(2, 3, 4, seed=2), np.arange(12).reshape(3, 4) - 5

    def fn(x: Any, y: Any, z: Any, n: Any) -> list[Any]:
        return [
            linear.dot(x, y), linear.dot(x, z), linear.dot(y, y), linear.dot(2.0, x), linear.outer(x, y),
            linear.outer([1, 2], y), linear.diagonal(n), linear.diagonal(n, 1), linear.trace(x), linear.trace(n, -1),
            linear.diagonal(z, 1, 0, 2), linear.trace(z),
            linear.triu(x), linear.triu(n, 1), linear.tril(x), linear.tril(n, -1), linear.tril(z, 1),
        ]  # fmt: skip

    want = [
        np.dot(x, y), np.dot(x, z), np.dot(y, y), 2 * x, np.outer(x, y), np.outer([1, 2], y), np.diagonal(n),
        np.diagonal(n, 1), np.trace(x), np.trace(n, -1), np.diagonal(z, 1, 0, 2), np.trace(z),
        np.triu(x), np.triu(n, 1), np.tril(x), np.tril(n, -1),
        np.tril(z, 1),
    ]  # fmt: skip
    for got, expected in zip(compute(fn, x, y, z, n), want, strict=True):
        close(got, expected)


# -- norms and covariance -------------------------------------------------------------------------------------------


def test_norm_over_its_whole_range(compute: Compute) -> None:
    sizes = np.concatenate([[0.0, ULP, 2 * ULP, 3 * ULP], 2.0 ** np.arange(-17, 12, 0.23)])
    for bound in (4096.0, 64.0):
        x = np.rint(np.minimum(sizes, bound)[:, None] * np.array([0.6, -0.8]) / ULP) * ULP
        (got,) = compute(lambda a: linear.norm(a, axis=1), x, bound=bound)
        want = np.linalg.norm(x, axis=1)
        assert (np.abs(got - want) <= 2 * ULP + want * 2.0**-26).all()


def test_norms_of_all_kinds(compute: Compute) -> None:
    x, n = real(3, 4), np.arange(6).reshape(2, 3)

    def fn(norm: Any, x: Any, n: Any) -> list[Any]:
        many = [norm(x), norm(x, "fro"), norm(x, 2, 0), norm(x, 1, -1), norm(n, axis=1), norm(x, 2, (1,))]
        return [*many, norm(x, axis=1, keepdims=True), norm(x, axis=(0, 1))]

    want = fn(np.linalg.norm, x, n)
    for got, expected in zip(compute(partial(fn, linear.norm), x, n), want, strict=True):
        close(got, expected, atol=2.2 * ULP)


def test_norms_without_a_root_are_exact(compute: Compute) -> None:
    x, n = real(3, 4, 5) * (real(3, 4, 5, seed=1) > 0), np.arange(-5, 7).reshape(3, 4)
    bounds = (1, -1, np.inf, -np.inf)

    def fn(norm: Any, x: Any, n: Any) -> list[Any]:
        matrices = [norm(n, o) for o in bounds] + [norm(x, o, axis) for o in bounds for axis in ((0, 1), (2, 0))]
        vectors = [norm(x, o, axis) for o in (0, 1, np.inf, -np.inf) for axis in (0, -1)] + [norm(n[0], np.inf)]
        kept = [norm(n, 1, keepdims=True), norm(x, np.inf, (-1, 0), True), norm(x, 0, 1, True), norm(n[:, 1], 0)]
        return [*matrices, *vectors, *kept]

    want = fn(np.linalg.norm, x, n)
    for got, expected in zip(compute(partial(fn, linear.norm), x, n), want, strict=True):
        close(got, expected, atol=1e-12)


@pytest.mark.parametrize("count", [1, 3, 7, 1000, 99_999, 400_000])
def test_means_of_any_number_keep_24_digits(compute: Compute, count: int) -> None:
    x = np.rint(np.random.default_rng(count).uniform(500, 1000, count) / ULP) * ULP
    mean, whole = compute(lambda x, n: [x.mean(), n.mean()], x, np.rint(x).astype(np.int64), bound=1000.0)
    close(mean, x.mean(), atol=x.mean() * 2.0**-24 + ULP)
    close(whole, np.rint(x).mean(), atol=x.mean() * 2.0**-24 + ULP)


@pytest.mark.parametrize("spread", [1.0, 100.0])
def test_covariance_and_correlation(compute: Compute, spread: float) -> None:
    x = real(4, 60, largest=0.01 * spread) * np.array([[1.0], [5.0], [0.3], [2.0]])
    x[1] += x[0] * 3
    x = np.rint(x / ULP) * ULP + 4.0

    def fn(x: Any) -> list[Any]:
        return [
            linear.cov(x), linear.cov(x.T, rowvar=False), linear.cov(x, bias=True), linear.cov(x, ddof=2),
            linear.cov(x[1]), linear.corrcoef(x), linear.corrcoef(x.T, rowvar=False), linear.corrcoef(x[0]),
        ]  # fmt: skip

    got = compute(fn, x, bound=32.0)
    sd, correlation = x.std(1).max(), np.corrcoef(x)
    for have, want in zip(
        got, [np.cov(x), np.cov(x), np.cov(x, bias=True), np.cov(x, ddof=2), np.cov(x[1])], strict=False
    ):
        close(have, want, atol=2 * ULP + sd * 2**-20)
    for have, want in zip(got[5:], [correlation, correlation, 1.0], strict=True):
        close(have, want, atol=2.0**-16 + ULP / x.std(1).min())


def test_a_constant_variable_has_no_correlation(compute: Compute) -> None:
    x = np.stack([np.full(9, 2.5), np.arange(9.0)])
    close(compute(linear.corrcoef, x, bound=16.0)[0], [[0.0, 0.0], [0.0, 1.0]], atol=2.0**-16)


# -- convolution and pooling ----------------------------------------------------------------------------------------


def convolved(x: Floats, w: Floats, stride: Any, padding: Any, dilation: Any, groups: int) -> Floats:
    """The definition, in loops."""
    space = x.ndim - 2
    s, p, d = ((v,) * space if isinstance(v, int) else v for v in (stride, padding, dilation))
    x = np.pad(x, ((0, 0), (0, 0), *((q, q) for q in p)))
    sizes = [(n - e * (k - 1) - 1) // t + 1 for n, k, t, e in zip(x.shape[2:], w.shape[2:], s, d, strict=True)]
    out = np.zeros((x.shape[0], w.shape[0], *sizes))
    per_in, per_out = w.shape[1], w.shape[0] // groups
    for o in range(w.shape[0]):
        channels = x[:, o // per_out * per_in : (o // per_out + 1) * per_in]
        for place in np.ndindex(*sizes):
            at = tuple(
                slice(i * t, i * t + e * (k - 1) + 1, e) for i, t, e, k in zip(place, s, d, w.shape[2:], strict=True)
            )
            out[(slice(None), o, *place)] = (
                (channels[(slice(None), slice(None), *at)] * w[o]).reshape(len(x), -1).sum(1)
            )
    return out


CONVOLUTIONS = [
    ((2, 3, 8), (4, 3, 3), 1, 0, 1, 1), ((1, 4, 9), (6, 2, 2), 2, 1, 3, 2), ((2, 3, 5, 6), (4, 3, 3, 2), 1, 0, 1, 1),
    ((2, 4, 7, 6), (4, 1, 3, 3), (2, 1), (1, 2), (2, 1), 4), ((1, 1, 4, 4), (1, 1, 4, 4), 1, 0, 1, 1),
    ((2, 4, 5, 5), (6, 2, 1, 1), 2, 0, 1, 2),
]  # fmt: skip


@pytest.mark.parametrize(("x", "w", "stride", "padding", "dilation", "groups"), CONVOLUTIONS)
def test_convolution(compute: Compute, x: Any, w: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> None:
    a, b, c = real(*x), real(*w, seed=1), real(w[0], seed=2)
    conv = convolution.conv1d if len(x) == 3 else convolution.conv2d
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}

    def fn(p: Any, q: Any, r: Any) -> list[Any]:
        return [conv(p, q, r, **options), conv(a, q, **options), conv(p, b, c, **options), conv(p[0], q, **options)]

    plain = convolved(a, b, stride, padding, dilation, groups)
    biased = plain + c.reshape((-1,) + (1,) * (len(x) - 2))
    for got, want in zip(compute(fn, a, b, c), [biased, plain, biased, plain[0]], strict=True):
        close(got, want)


def pooled(x: Floats, fn: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, fill: float) -> Floats:
    """Windows one after the other; places beyond the edges hold ``fill``."""
    space = x.ndim - 2
    k, s, p, d = ((v,) * space if isinstance(v, int) else v for v in (kernel, stride, padding, dilation))
    x = np.pad(x, ((0, 0), (0, 0), *((q, q) for q in p)), constant_values=fill)
    sizes = [(n - e * (m - 1) - 1) // t + 1 for n, m, t, e in zip(x.shape[2:], k, s, d, strict=True)]
    out = np.zeros((*x.shape[:2], *sizes))
    for place in np.ndindex(*sizes):
        at = tuple(slice(i * t, i * t + e * (m - 1) + 1, e) for i, t, e, m in zip(place, s, d, k, strict=True))
        out[(slice(None), slice(None), *place)] = fn(x[(slice(None), slice(None), *at)].reshape(*x.shape[:2], -1), -1)
    return out


@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "padding", "dilation"),
    [((2, 3, 9), 3, None, 0, 1), ((1, 2, 8), 4, 2, 2, 1), ((2, 3, 6, 6), 2, None, 0, 1),
     ((2, 2, 7, 6), (3, 2), (2, 1), 1, 1),
     ((1, 1, 9, 9), 3, 1, 1, 2)],
)  # fmt: skip
def test_pooling(compute: Compute, shape: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> None:
    x, n = real(*shape), np.random.default_rng(0).integers(-8, 9, shape)
    largest = convolution.max_pool1d if len(shape) == 3 else convolution.max_pool2d
    average = convolution.avg_pool1d if len(shape) == 3 else convolution.avg_pool2d
    step = kernel if stride is None else stride

    def fn(x: Any, n: Any) -> list[Any]:
        maxima = [largest(v, kernel, stride, padding, dilation) for v in (x, n, x[0])]
        return [
            *maxima,
            average(x, kernel, stride, padding),
            average(x, kernel, stride, padding, count_include_pad=False),
        ]

    maxima = [pooled(v.astype(float), np.max, kernel, step, padding, dilation, -np.inf) for v in (x, n)]
    got = compute(fn, x, n)
    for have, want in zip(got, [*maxima, maxima[0][0]], strict=False):
        close(have, want, atol=0)
    close(got[3], pooled(x, np.mean, kernel, step, padding, 1, 0.0), atol=2 * ULP)
    close(got[4], pooled(x, np.nanmean, kernel, step, padding, 1, np.nan), atol=2 * ULP)


def test_what_would_not_fit_is_refused_before_it_runs() -> None:
    def program(s: Session) -> None:
        x = s.secret("x", "compute_0")
        for fn in (linear.norm, lambda x: x @ x, lambda x: linear.einsum("ij,jk", x, x)):
            with pytest.raises(OverflowPlanned, match="assume_bound"):
                fn(x)

    inputs = {"x": pv.Input(np.ones((3, 3)), 2.0**20)}
    pv.simulate(program, parties=1, protocol=InsecurePlain(), inputs={"compute_0": inputs})


# -- mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fn", "error", "says"),
    [
        (lambda x: linear.einsum("ij,jk,kl->il", x, x, x), UsageError, "chain"),
        (lambda x: linear.einsum("ij,jk->iz", x, x), UsageError, "no operand has"),
        (lambda x: linear.einsum("i?->", x), UsageError, "cannot read"),
        (lambda x: linear.einsum("ijk->", x), ShapeError, "does not fit"),
        (lambda x: linear.einsum("ij,ij->", x, np.zeros((2, 2))), ShapeError, "elements"),
        (lambda x: linear.matmul(np.eye(3), np.eye(3)), UsageError, "use NumPy"),
        (lambda x: linear.norm(x, 2), UsageError, "top_eigenvectors"),
        (lambda x: linear.norm(x[0], -1), UsageError, "over 1 axes"),
        (lambda x: linear.norm(x, axis=(0, 0)), ShapeError, "axis="),
        (lambda x: linear.norm(x, 1, axis=2), ShapeError, "axis=2"),
        (lambda x: linear.trace(x[0]), ShapeError, "two dimensions"),
        (lambda x: linear.cov(x, ddof=3), ShapeError, "ddof=3"),
        (lambda x: convolution.conv2d(x, x), ShapeError, "4 dimensions"),
        (lambda x: convolution.conv1d(x, np.zeros((2, 2, 2))), ShapeError, "groups=1"),
        (lambda x: convolution.conv1d(x, np.zeros((2, 3, 9))), ShapeError, "does not fit"),
        (lambda x: convolution.conv1d(x, np.zeros((2, 3, 1)), stride=0), UsageError, "stride"),
        (lambda x: convolution.max_pool1d(x, 2, padding=2), UsageError, "half the kernel"),
    ],
)
def test_mistakes_are_named(fn: Callable[[Any], Any], error: type[PrivityError], says: str) -> None:
    def program(s: Session) -> None:
        with pytest.raises(error, match=says):
            fn(s.secret("x", "compute_0"))

    given = {"compute_0": {"x": pv.Input(np.ones((3, 3)), 2.0)}}
    pv.simulate(program, parties=1, protocol=InsecurePlain(), inputs=given)


# -- cost -----------------------------------------------------------------------------------------------------------


def everything(s: Session) -> None:
    x, n = s.secret("x", "bank"), s.secret("n", "bank")
    gram = linear.matmul(x.T, x)._stated(64.0) + np.eye(3) * 8
    decompose.solve(gram, x[0], least=4.0)
    decompose.top_eigenvectors(decompose.inv(gram, least=4.0)._stated(1.0), 2, 3)
    decompose.cholesky(pv.stack([gram, gram]))
    decompose.lstsq(x, n[:, 0], ridge=1.0)
    linear.einsum("ij,kj->ik", x, n)
    linear.einsum("bij,bjk->bik", pv.stack([x] * 3), pv.stack([x.T] * 3))
    linear.norm(linear.cov(x) + linear.corrcoef(x, rowvar=False).sum(), axis=0)
    decompose.solve(pv.stack([gram, gram]), x.T, least=4.0)
    linear.norm(x, np.inf)
    linear.norm(x, 0, axis=1)
    n._stated(2.0**40).mean(0)
    image = x.reshape(1, 1, 4, 3)
    convolution.conv2d(image, random.dropout(image, 0.3), padding=1)
    convolution.max_pool2d(image, 2, padding=1)
    convolution.avg_pool2d(image, 2)
    random.permutation(s, random.normal(s, size=5))
    random.bernoulli(s, random.uniform(s, -1, 2, 7))
    s.reveal(random.integers(s, 10, size=3), to="all", name="y", reason="test")


def test_what_is_planned_on_shapes_is_what_is_spent() -> None:
    planned: list[Cost] = []
    spent: dict[int, Cost] = {}

    def program(s: Session) -> None:
        everything(s)
        s.check_guards()
        party = s._context.protocol.party
        if isinstance(s._context.protocol, Shapes):
            planned.append(s._context.protocol.planned)
        else:
            spent[party.index] = Cost(party.rounds, (party.sent,))

    inputs = {"x": pv.Input(real(4, 3, largest=1.0), 4.0), "n": pv.Input(np.eye(4, 3, dtype=np.int64), 1.0)}
    pv.simulate(program, inputs={"bank": inputs})
    assert planned == [Cost(spent[0].rounds, tuple(spent[i].sent[0] for i in range(3)))]
