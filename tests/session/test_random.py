"""Secret random numbers: their laws exactly where random bits can be enumerated, by statistics elsewhere.

Limits are six standard deviations: one false alarm in 10^9 comparisons.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import privity as pv
from privity.errors import PrivityError, UsageError
from privity.functions import random
from privity.mpc import randomness
from privity.mpc.plain import InsecurePlain, Plain
from privity.mpc.shares import Bits
from privity.ring import layout, reference
from privity.session import Session
from privity.testing import altered, reconstruct, reconstruct_bits
from privity.testing import run as run_parties

ULP = 2.0**-18
N = 20_000
Compute = Callable[[Callable[[Session], Any]], Any]


@pytest.fixture(params=["InsecurePlain", "Rep3"])
def drawn(request: pytest.FixtureRequest) -> Compute:
    """Open what a function of the session draws, and check that it keeps its own public bound."""
    kind, parties = (pv.Rep3(), 3) if request.param == "Rep3" else (InsecurePlain(), 1)

    def run(fn: Callable[[Session], Any]) -> Any:
        def program(s: Session) -> Any:
            out = fn(s)
            opened = s.reveal(out, to="all", name="y", reason="test")
            assert np.abs(np.asarray(opened, float)).max(initial=0) <= out.bound
            return opened

        done = pv.simulate(program, parties=parties, protocol=kind)
        for name in done.compute:
            np.testing.assert_array_equal(done.outputs[name], done.output)
        return done.output

    return run


class Enumerated(Plain):
    """Its random bits run through all values: element j of any draw has the bits of j, highest plane first."""

    def random_bits(self, shape: tuple[int, ...], planes: int = 1) -> Bits:
        numbers = np.arange(layout.count(shape), dtype=np.uint64)
        return Bits((reference.to_planes(numbers, planes)[::-1].copy(),), shape, planes)


ENUMERATED = altered(Enumerated, InsecurePlain())


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 7])
def test_coins_have_exactly_their_probability(bits: int) -> None:
    thresholds = range(1, 1 << bits)
    n = 1 << bits

    def program(p: Any) -> list[Bits]:
        return [randomness.coins(p, (n,), t, bits) for t in thresholds]

    for t, coin in zip(thresholds, run_parties(ENUMERATED, program).outputs[0], strict=True):
        heads = reconstruct_bits([coin])[0]
        while t % 2 == 0:  # bits that do not matter are not drawn: fewer values, each more often
            t //= 2
            heads = heads[: heads.size // 2]
        assert heads.sum() == t


def test_uniform_integers_take_every_value_once() -> None:
    for bits in (1, 2, 5):
        done = run_parties(ENUMERATED, lambda p, bits=bits: randomness.integers(p, (1 << bits,), bits)).outputs
        np.testing.assert_array_equal(np.sort(reconstruct(done)), np.arange(1 << bits))


# -- booleans -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.0, 1.0, 0.5, 0.25, 0.3, 0.999, 1e-12, 2.0**-32])
def test_bernoulli(drawn: Compute, p: float) -> None:
    got = drawn(lambda s: random.bernoulli(s, p, (N // 4, 4)))
    assert got.dtype == bool and got.shape == (N // 4, 4)
    assert abs(got.mean() - p) <= 6 * math.sqrt(p * (1 - p) / N) + 2.0**-32 + (p < 1e-6) / N  # one head may be chance


def test_bernoulli_of_an_array(drawn: Compute) -> None:
    p = np.array([0.0, 0.1, 0.5, 0.97, 1.0, -2.0, 3.0])
    for secret in (True, False):
        got = drawn(lambda s, secret=secret: random.bernoulli(s, s.constant(p) if secret else p, (N, 7)))
        chance = np.clip(p, 0, 1)
        assert (np.abs(got.mean(0) - chance) <= 6 * np.sqrt(chance * (1 - chance) / N) + ULP).all()


def test_bits(drawn: Compute) -> None:
    got = drawn(lambda s: random.bits(s, (N,)))
    assert got.dtype == bool and abs(got.mean() - 0.5) <= 3 / math.sqrt(N)
    assert isinstance(drawn(random.bits), bool)


# -- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("low", "high", "endpoint"), [(16, None, False), (-3, 7, False), (-3, 7, True), (5, 6, False)])
def test_integers(drawn: Compute, low: int, high: int | None, endpoint: bool) -> None:
    got = drawn(lambda s: random.integers(s, low, high, N, endpoint))
    first, last = (0, low) if high is None else (low, high)
    count = last - first + endpoint
    seen = np.bincount(got - first, minlength=count)
    assert got.min() >= first and len(seen) == count
    assert (np.abs(seen / N - 1 / count) <= 6 * math.sqrt(1 / count / N)).all()


def test_many_integers(drawn: Compute) -> None:
    got = drawn(lambda s: random.integers(s, -(2**20), 2**29 + 5, (100, 20)))
    assert got.min() >= -(2**20) and got.max() < 2**29 + 5
    assert abs(got.mean() - 2**28) < 6 * 2**29 / math.sqrt(12 * got.size)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-4.0, 4.0), (-1.0, 2.0), (0.0, 1 / 3), (-1e6, 1e6), (0.0, ULP)])
def test_uniform(drawn: Compute, low: float, high: float) -> None:
    got = drawn(lambda s: random.uniform(s, low, high, N))
    assert got.min() >= low - ULP and got.max() <= high + ULP
    ordered = (np.sort(got) - low) / (high - low)
    if high - low > 1e-3:
        assert np.abs(ordered - (np.arange(N) + 0.5) / N).max() < 3.5 / math.sqrt(N)  # Kolmogorov: below 10^-10


def test_uniform_with_whole_ends_is_on_the_grid(drawn: Compute) -> None:
    got = drawn(lambda s: random.uniform(s, size=N))
    assert got.max() < 1.0 and got.min() >= 0
    np.testing.assert_array_equal(got, np.rint(got / ULP) * ULP)
    assert isinstance(drawn(random.uniform), float)


@pytest.mark.parametrize(("loc", "scale"), [(0.0, 1.0), (-3.0, 0.25)])
def test_normal(drawn: Compute, loc: float, scale: float) -> None:
    got = drawn(lambda s: random.normal(s, loc, scale, N))
    z = np.sort((got - loc) / scale)
    below = 0.5 * (1 + np.vectorize(math.erf)(z / math.sqrt(2)))
    assert np.abs(below - (np.arange(N) + 0.5) / N).max() < 3.5 / math.sqrt(N)
    assert (
        abs((z**4).mean() - 3) < 6 * math.sqrt(96 / N) and abs(np.corrcoef(got[: N // 2], got[N // 2 :])[0, 1]) < 0.06
    )
    assert drawn(lambda s: random.normal(s, size=(3, 1))).shape == (3, 1)
    assert isinstance(drawn(random.normal), float)


def test_the_edges_of_the_normal_are_finite_and_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """u = 2^-30 gives the longest radius, u = 1 the shortest: both come out right."""
    edges = np.array([0, 1, 2**29, 2**30 - 2, 2**30 - 1], np.uint64)

    def program(s: Session) -> Any:
        proto = s._context.protocol
        monkeypatch.setattr(randomness, "integers", lambda *a: proto.public(edges))
        monkeypatch.setattr(proto, "random_ring", lambda shape: proto.public(np.full(shape, 1 << 27, np.uint64)))
        return s.reveal(random.normal(s, size=10), to="all", name="y", reason="test")

    got = pv.simulate(program, parties=1, protocol=InsecurePlain()).output
    radius = np.sqrt(-2 * np.log((edges + 1) / 2.0**30))
    want = np.concatenate([radius, radius]) * math.sqrt(0.5)
    np.testing.assert_allclose(
        got, want, rtol=0, atol=2.0**-7
    )  # near u = 1 the root magnifies the error of the logarithm
    np.testing.assert_allclose(got[[0, 1, 2, 5, 6, 7]], want[[0, 1, 2, 5, 6, 7]], rtol=0, atol=2.0**-15)


# -- orders and dropout ---------------------------------------------------------------------------------------------


def test_permutation(drawn: Compute) -> None:
    rows = np.arange(60.0).reshape(20, 3)
    got = drawn(lambda s: random.permutation(s, s.constant(rows)))
    np.testing.assert_array_equal(np.sort(got, 0), rows)
    np.testing.assert_array_equal(got - got[:, :1], rows - rows[:, :1])
    first = [int(drawn(lambda s: random.permutation(s, 40)).argmin()) for _ in range(8)]
    assert len(set(first)) > 2
    np.testing.assert_array_equal(np.sort(drawn(lambda s: random.permutation(s, 40))), np.arange(40))


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5])
def test_dropout(drawn: Compute, p: float) -> None:
    x = np.linspace(1, 2, N)
    got = drawn(lambda s: random.dropout(s.constant(x), p))
    kept = got != 0
    assert abs(kept.mean() - (1 - p)) <= 6 * math.sqrt(p * (1 - p) / N)
    np.testing.assert_allclose(got[kept], x[kept] / (1 - p), rtol=0, atol=2.5 * ULP)


def test_draws_differ_between_calls_and_runs(drawn: Compute) -> None:
    def program(s: Session) -> Any:
        return pv.stack([random.uniform(s, size=64), random.uniform(s, size=64)])

    values: npt.NDArray[np.float64] = np.concatenate([drawn(program), drawn(program)])
    assert len({tuple(row) for row in values}) == 4


@pytest.mark.parametrize(
    ("fn", "error", "says"),
    [
        (lambda s: random.bernoulli(s, 1.5), UsageError, "between 0 and 1"),
        (lambda s: random.bernoulli(s, [0.5, 0.5], (3,)), PrivityError, "fit|broadcast"),
        (lambda s: random.integers(s, 5, 5), UsageError, "1 to 2"),
        (lambda s: random.integers(s, 2**61, 2**61 + 2), UsageError, "below"),
        (lambda s: random.uniform(s, 1, 1), UsageError, "low < high"),
        (lambda s: random.normal(s, 0, -1), UsageError, "above 0"),
        (lambda s: random.permutation(s, 0), UsageError, "at least 1"),
        (lambda s: random.dropout(s.constant(1.0), 1.0), UsageError, "below 1"),
        (lambda s: random.bits(s, -1), UsageError, "size"),
    ],
)
def test_mistakes_are_named(fn: Callable[[Any], Any], error: type[PrivityError], says: str) -> None:
    def program(s: Session) -> None:
        with pytest.raises(error, match=says):
            fn(s)

    pv.simulate(program, parties=1, protocol=InsecurePlain())
