"""Factors, solutions, least squares and eigenvectors of symmetric positive definite matrices against float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import privity as pv
from privity.errors import OverflowPlanned, PrivityError, RangeViolated, ShapeError, UsageError
from privity.functions import decompose
from privity.mpc import linalg
from privity.mpc.plain import InsecurePlain
from privity.ring import layout
from privity.session import Session
from privity.testing import PROTOCOLS, Scheme, reconstruct
from privity.testing import run as run_parties

ULP = 2.0**-18
Floats = npt.NDArray[np.float64]
Compute = Callable[..., list[Any]]


def on_grid(x: Any) -> Floats:
    return np.asarray(np.rint(np.asarray(x) / ULP) * ULP)


def definite(n: int, condition: float, largest: float = 1.0, seed: int = 0) -> Floats:
    """Symmetric, eigenvalues spread evenly in their logarithms, largest entry ``largest``."""
    q = np.linalg.qr(np.random.default_rng([seed, n]).normal(size=(n, n)))[0]
    a = (q * np.geomspace(1 / condition, 1, n)) @ q.T
    return on_grid((a + a.T) / 2 * (largest / np.abs(a).max()))


# -- the ring-level root --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["InsecurePlain", "Rep3"])
@pytest.mark.parametrize(("bits", "scale"), [(1, 0), (5, 18), (20, 18), (31, 30), (40, 26), (60, 36)])
def test_division_by_a_root_over_all_magnitudes(protocol: str, bits: int, scale: int) -> None:
    kind: Scheme = PROTOCOLS[protocol]
    rng = np.random.default_rng(bits)
    powers = 2 ** np.arange(bits)
    x = np.unique(np.concatenate([powers, powers - 1, (2.0 ** rng.uniform(0, bits, 200)).astype(np.int64)]))
    root = np.sqrt(x / 2.0**scale)
    rows = np.rint(root[:, None] * rng.uniform(-1, 1, (x.size, 3)) * 2.0**30).astype(np.int64)
    out_scale = min(30, 30 + (scale - bits) // 2)

    def program(p: Any) -> Any:
        shared = [
            p.share(0, layout.asarray(v.view(np.uint64)) if p.party.index == 0 else None, v.shape) for v in (x, rows)
        ]
        pivot = shared[0].map(layout.reshape((x.size, 1)))
        return linalg.over_root(p, pivot, shared[1], bits, scale), linalg.root(p, shared[0], bits, scale, out_scale)

    done = run_parties(kind, program).outputs
    divided, rooted = (reconstruct([o[j] for o in done]) for j in (0, 1))
    want = np.where(x > 0, rows.T / np.where(x > 0, root, 1), 0).T
    relative = 2.0**-28 + root * 2.0**-linalg.ROOM
    assert (np.abs(divided - want) <= 4 + np.abs(want) * relative[:, None]).all()
    assert (np.abs(rooted - root * 2.0**out_scale) <= 2 + root * 2.0**out_scale * 2.0**-27).all()


# -- factor and solve -----------------------------------------------------------------------------------------------

CASES = [(1, 1.0, 0.5, 1.0), (5, 10.0, 1.0, 1.0), (12, 100.0, 1.0, 2.0), (12, 1e3, 4.0, 4.0), (12, 100.0, 1.0, 1024.0),
         (20, 1e4, 8.0, 8.0), (3, 2.0, 3e5, 2.0**20)]  # fmt: skip


@pytest.mark.parametrize(("n", "condition", "largest", "bound"), CASES)
def test_cholesky(compute: Compute, n: int, condition: float, largest: float, bound: float) -> None:
    a = definite(n, condition, largest)
    (lower,) = compute(decompose.cholesky, pv.Input(a, bound))
    allowed = 2.0**-17 * (n * bound) ** 0.5 + 2.0**-30 * bound**1.5
    assert np.abs(lower @ lower.T - a).max() <= allowed
    assert (np.triu(lower, 1) == 0).all()
    np.testing.assert_allclose(lower, np.linalg.cholesky(a), rtol=0, atol=allowed / np.linalg.eigvalsh(a)[0] ** 0.5)


def test_a_stack_of_matrices_takes_the_rounds_of_one() -> None:
    many = np.array([definite(4, 10.0, seed=i) for i in range(6)]).reshape(2, 3, 4, 4)

    def program(s: Session) -> Any:
        rounds, out = [s._context.protocol.party.rounds], None
        for name in ("one", "many"):
            x = s.secret(name, "compute_0")
            rounds.append(s._context.protocol.party.rounds)
            out = decompose.cholesky(x)
            rounds.append(s._context.protocol.party.rounds)
        return np.diff(rounds)[1::2], s.reveal(out, to="all", name="y", reason="test")

    inputs = {"one": pv.Input(many[0, 0], 1.0), "many": pv.Input(many, 1.0)}
    rounds, lower = pv.simulate(program, inputs={"compute_0": inputs}).output
    assert abs(rounds[0] - rounds[1]) <= 1, "a bigger batch may only take another circuit for the signs of its guard"
    assert rounds[1] <= 40 * 4 + 20
    np.testing.assert_allclose(lower, np.linalg.cholesky(many), rtol=0, atol=2 * ULP)


def test_only_the_lower_triangle_is_read(compute: Compute) -> None:
    a = definite(5, 10.0)
    (lower,) = compute(decompose.cholesky, pv.Input(np.tril(a), 1.0))
    np.testing.assert_allclose(lower, np.linalg.cholesky(a), rtol=0, atol=2 * ULP)


@pytest.mark.parametrize(("n", "condition", "largest", "bound"), CASES)
def test_solve(compute: Compute, n: int, condition: float, largest: float, bound: float) -> None:
    """Far below the guaranteed error: one step of refinement leaves the rounding of the result."""
    a, b = definite(n, condition, largest), on_grid(np.random.default_rng(n).uniform(-4, 4, (n, 2)))
    least = float(np.linalg.eigvalsh(a)[0]) * 0.99
    given = pv.Input(a, bound), pv.Input(b, 4.0)
    for columns in (slice(None), 0):
        (x,) = compute(lambda p, q, c=columns: decompose.solve(p, q[:, c], least), *given)
        assert np.abs(a @ x - b[:, columns]).max() <= 2.0**-12 * 4 + n * bound * 2.0**-17
        np.testing.assert_allclose(x, np.linalg.solve(a, b[:, columns]), rtol=0, atol=2 * ULP)
    if condition <= 100 and bound <= 2:
        (x,) = compute(decompose.solve, *given)  # without least=
        np.testing.assert_allclose(x, np.linalg.solve(a, b), rtol=0, atol=2 * ULP)
        (x,) = compute(lambda p, q: decompose.solve(p, b, least), *given)  # a public right-hand side
        np.testing.assert_allclose(x, np.linalg.solve(a, b), rtol=0, atol=2 * ULP)


def test_inverse(compute: Compute) -> None:
    a = definite(10, 50.0)
    (x,) = compute(lambda p: decompose.inv(p, least=0.01), pv.Input(a, 1.0))
    np.testing.assert_allclose(x, np.linalg.inv(a), rtol=0, atol=2 * ULP)


STACKS = [((3,), ()), ((3,), (3,)), ((2, 1), (3,)), ((), (2, 3)), ((1,), (2,))]


@pytest.mark.parametrize(("matrices", "columns"), STACKS)
def test_stacks_of_systems_broadcast(compute: Compute, matrices: tuple[int, ...], columns: tuple[int, ...]) -> None:
    n = 4
    a = np.array([definite(n, 10.0, seed=i) for i in range(int(np.prod(matrices)))]).reshape(*matrices, n, n)
    b = on_grid(np.random.default_rng(3).uniform(-2, 2, (*columns, n, 2)))
    given = pv.Input(a, 1.0), pv.Input(b, 2.0)
    got, inverses = compute(lambda p, q: (decompose.solve(p, q, 0.05), decompose.inv(p, 0.05)), *given)
    want = np.linalg.solve(np.broadcast_to(a, (*np.broadcast_shapes(matrices, columns), n, n)), b)
    assert got.shape == want.shape and inverses.shape == a.shape
    np.testing.assert_allclose(got, want, rtol=0, atol=2 * ULP)
    np.testing.assert_allclose(inverses, np.linalg.inv(a), rtol=0, atol=2 * ULP)


def test_many_systems_take_the_rounds_of_one() -> None:
    many = np.array([definite(3, 10.0, seed=i) for i in range(5)])

    def program(s: Session) -> list[int]:
        party, spent = s._context.protocol.party, []
        for name in ("one", "many"):
            a = s.secret(name, "compute_0")
            for fn in (lambda p: decompose.solve(p, np.ones(3), 0.05), lambda p: decompose.inv(p, 0.05)):
                before = party.rounds
                fn(a)
                spent.append(party.rounds - before)
        return spent

    inputs = {"one": pv.Input(many[0], 1.0), "many": pv.Input(many, 1.0)}
    one, other, *stacks = pv.simulate(program, inputs={"compute_0": inputs}).output
    # A bigger batch may only take another circuit for the signs of its guard.
    assert all(abs(a - b) <= 1 for a, b in zip(stacks, (one, other), strict=True)) and one <= 40 * 3 + 40


@pytest.mark.parametrize("ridge", [0.0, 0.25])
def test_least_squares(compute: Compute, ridge: float) -> None:
    rng = np.random.default_rng(4)
    x = on_grid(rng.normal(size=(200, 5)).clip(-4, 4))
    y = on_grid((x @ rng.normal(size=(5, 2)) + rng.normal(size=(200, 2))).clip(-16, 16))
    want = np.linalg.solve(x.T @ x / 200 + ridge * np.eye(5), x.T @ y / 200)
    for columns in (slice(None), 1):
        fn = lambda p, q, c=columns: decompose.lstsq(p, q[:, c], ridge, least=None if ridge else 0.5)  # noqa: E731
        (got,) = compute(fn, pv.Input(x, 4.0), pv.Input(y, 16.0))
        np.testing.assert_allclose(got, want[:, columns], rtol=0, atol=2 * ULP)


SINGULAR = [
    np.array([[1.0, 2.0], [2.0, 1.0]]), np.zeros((3, 3)), -np.eye(4), np.array([[ULP, 1.0], [1.0, 1.0]]),
    np.ones((3, 3)), np.diag([1.0, 1.0, -(2.0**-10)]), np.random.default_rng(5).uniform(-1, 1, (6, 6)),
]  # fmt: skip


@pytest.mark.parametrize("a", SINGULAR)
@pytest.mark.parametrize("fn", [decompose.cholesky, decompose.inv, lambda a: decompose.solve(a, np.ones(len(a)))])
def test_a_matrix_that_is_not_positive_definite_is_found(compute: Compute, a: Floats, fn: Any) -> None:
    with pytest.raises(RangeViolated):
        compute(fn, pv.Input((np.tril(a) + np.tril(a, -1).T), 4.0))


def test_a_wrong_lower_bound_on_the_eigenvalues_is_found(compute: Compute) -> None:
    a = definite(8, 1e4)
    with pytest.raises(RangeViolated):
        compute(lambda a: decompose.solve(a, np.linspace(-1, 1, 8), least=1.0), pv.Input(a, 1.0))


# -- eigenvectors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "bound"), [(1, 32.0), (3, 1024.0)])
def test_top_eigenvectors(compute: Compute, count: int, bound: float) -> None:
    q = np.linalg.qr(np.random.default_rng(2).normal(size=(9, 9)))[0]
    eigenvalues = np.array([20.0, 10.0, 5.0, 2.0, 1.0, 0.5, 0.2, 0.1, 0.01])
    a = on_grid((q * eigenvalues) @ q.T)
    values, vectors = compute(lambda a: decompose.top_eigenvectors(a, count, 16), pv.Input(a, bound))
    want, true = np.linalg.eigh(a)
    want, true = want[::-1][:count], true[:, ::-1][:, :count]
    np.testing.assert_allclose(values, want, rtol=0, atol=2.0**-16 * np.trace(a))
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(count), rtol=0, atol=2.0**-16)
    aligned = true * np.sign((true * vectors).sum(0))
    np.testing.assert_allclose(vectors, aligned, rtol=0, atol=2.0**-16 * np.trace(a) / 2.5)


INDEFINITE = [-np.eye(3), np.zeros((3, 3)), np.diag([1.0, -0.999, 0.0]), np.array([[0.0, 4.0], [4.0, 0.0625]]),
              np.diag([4.0, -3.9, -0.099]), np.diag([1.0, 0.0, 0.0])]  # fmt: skip


@pytest.mark.parametrize("a", INDEFINITE)
def test_a_matrix_without_enough_positive_eigenvalues_is_found(compute: Compute, a: Floats) -> None:
    with pytest.raises(RangeViolated):
        compute(lambda a: decompose.top_eigenvectors(a, 2, 4), pv.Input(on_grid(a), 4.0))


# -- mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fn", "error", "says"),
    [
        (lambda a: decompose.cholesky(a[0]), ShapeError, "square"),
        (lambda a: decompose.cholesky(a[:2]), ShapeError, "square"),
        (lambda a: decompose.cholesky(np.eye(2)), UsageError, "numpy.linalg"),
        (lambda a: decompose.solve(a, np.ones(2)), ShapeError, r"\(3,\)"),
        (lambda a: decompose.solve(a, np.ones((2, 3))), ShapeError, r"\(\.\.\., 3, k\)"),
        (lambda a: decompose.inv(a[:2]), ShapeError, "square"),
        (lambda a: decompose.solve(a, np.ones(3), least=-1.0), UsageError, "least"),
        (lambda a: decompose.solve(a, np.ones(3), least=1e-12), OverflowPlanned, "larger least="),
        (lambda a: decompose.cholesky(a._stated(2.0**30)), OverflowPlanned, "assume_bound"),
        (lambda a: decompose.lstsq(a, np.ones(2)), ShapeError, "lstsq"),
        (lambda a: decompose.lstsq(a, np.ones(3), ridge=-1.0), UsageError, "ridge"),
        (lambda a: decompose.top_eigenvectors(a, 4), UsageError, "count"),
    ],
)
def test_mistakes_are_named(fn: Callable[[Any], Any], error: type[PrivityError], says: str) -> None:
    def program(s: Session) -> None:
        with pytest.raises(error, match=says):
            fn(s.secret("a", "compute_0"))

    inputs = {"compute_0": {"a": pv.Input(np.eye(3), 2.0)}}
    pv.simulate(program, parties=1, protocol=InsecurePlain(), inputs=inputs)
