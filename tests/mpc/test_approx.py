"""Real functions against float64 over their whole range; the errors that the docstrings state are the measured ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from privity.mpc import approx
from privity.mpc.plain import InsecurePlain
from privity.mpc.rep3 import Rep3
from privity.mpc.shares import Share
from privity.testing import PROTOCOLS, Factory, reconstruct, reconstruct_bits, run

SCALE = 18
ULP = 2.0**-SCALE
Reals = npt.NDArray[np.float64]


def evaluate(protocol: Factory, fn: Callable[[Any, Share], Share], x: Any) -> npt.NDArray[np.int64]:
    ring = np.asarray(x, np.int64).view(np.uint64)
    return reconstruct(run(protocol, lambda p: fn(p, p.share(0, ring, ring.shape))).outputs)


def everywhere(largest: float, dense: float, count: int, seed: int = 0) -> Reals:
    """Both signs: a dense grid on [-dense, dense], then every magnitude up to ``largest``."""
    rng = np.random.default_rng(seed)
    wide = np.exp2(rng.uniform(-SCALE, np.log2(largest), count)) * rng.choice([-1, 1], count)
    edges = [0.0, largest, -largest, 9.0, -9.0, 9 + ULP, -9 - ULP]
    return np.concatenate([np.linspace(-dense, dense, count), wide, edges])


# -- sigmoid -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
@pytest.mark.parametrize("scale", [SCALE, 12, 22])
def test_sigmoid_over_the_whole_range(protocol: Factory, scale: int) -> None:
    """|x| up to 2^40 (at 22 bits: 2^38, all that fits beside the 9 that is added)."""
    largest = min(2.0**40, 2.0 ** (60 - scale))
    x = np.rint(everywhere(largest, 12.0, 20_000) * 2.0**scale) * 2.0**-scale
    bits = approx.bits_for(largest + 9, scale)
    got = evaluate(protocol, lambda p, s: approx.sigmoid(p, s, scale, bits, SCALE), x * 2.0**scale) * ULP
    error = np.abs(got - 1 / (1 + np.exp(-np.clip(x, -700, 700))))
    assert error.max() < 1.5e-4
    assert got.min() > -1.5e-4 and got.max() < 1 + 1.5e-4


def test_sigmoid_of_a_small_bound_needs_no_comparison() -> None:
    x = np.linspace(-9, 9, 50_001)
    x = np.rint(x / ULP) * ULP
    for factor in (1.0, 0.1, -3.0):
        done = run(Rep3, lambda p, f=factor: approx.sigmoid(p, p.share(0, ring_of(x), x.shape), SCALE, 0, SCALE, f))
        error = np.abs(reconstruct(done.outputs) * ULP - factor / (1 + np.exp(-x))).max()
        assert error < 1.4e-4 * abs(factor) + 2 * ULP
        assert done.parties[0].rounds <= 1 + 4


def ring_of(x: Reals) -> npt.NDArray[np.uint64]:
    return np.rint(x / ULP).astype(np.int64).view(np.uint64)


def test_the_series_itself() -> None:
    """The coefficients against the function, without any protocol."""
    x = np.linspace(-approx.SIGMOID_RANGE, approx.SIGMOID_RANGE, 100_001)
    turn = 2 * np.pi * x / 2**approx.SIGMOID_PERIOD
    series = 0.5 + sum(w * np.sin(k * turn) for k, w in enumerate(approx.SIGMOID_SERIES, 1))
    assert np.abs(series - 1 / (1 + np.exp(-x))).max() < 1.35e-4


# -- leading bit -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 2, 3, 17, 31, 60])
@pytest.mark.parametrize("shape", [(30,), (), (2, 3), (0,)])
def test_leading_bit(bits: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(bits)
    x = (rng.integers(0, 1 << bits, shape) >> rng.integers(0, bits, shape)).astype(np.int64)
    hot = evaluate(Rep3, lambda p, s: approx.leading_bit(p, s, bits), x)
    want = [[int(v).bit_length() == j + 1 for v in x.reshape(-1)] for j in range(bits)]
    np.testing.assert_array_equal(hot, np.array(want, np.int64).reshape(bits, *shape))


# -- reciprocal and square root ----------------------------------------------------------------------------------


COMMON = [(18, 28, 18), (18, 60, 18), (10, 40, 20), (24, 30, 12)]


def magnitudes(bits: int, count: int) -> npt.NDArray[np.int64]:
    """Integers of every length up to ``bits`` bits, all small ones and the powers of two with their neighbours."""
    rng = np.random.default_rng(bits)
    powers = [1 << j for j in range(bits)]
    near = [p + d for p in powers for d in (-1, 0, 1) if 0 < p + d < 1 << bits]
    wide = np.exp2(rng.uniform(0, bits, count)).astype(np.int64)
    return np.unique(np.concatenate([np.clip(wide, 1, (1 << bits) - 1), np.arange(1, min(300, 1 << bits)), near]))


@pytest.mark.parametrize("kind", [InsecurePlain, Rep3])
@pytest.mark.parametrize(("scale", "bits", "out"), [*COMMON, (0, 20, 30)])
def test_reciprocal(kind: Any, scale: int, bits: int, out: int) -> None:
    x = magnitudes(bits, 4000)
    at_most = 2.0**scale
    got = evaluate(kind, lambda p, s: approx.reciprocal(p, s, scale, bits, out, at_most), np.append(x, 0))
    assert got[-1] == 0
    want = 2.0**scale / x
    error = np.abs(got[:-1] * 2.0**-out - want)
    assert (error <= 2.0**-21 * want + 2.0**-out).all(), (error / (2.0**-21 * want + 2.0**-out)).max()


@pytest.mark.parametrize("kind", [InsecurePlain, Rep3])
@pytest.mark.parametrize(("scale", "bits", "out"), [*COMMON, (0, 20, 28)])
def test_rsqrt(kind: Any, scale: int, bits: int, out: int) -> None:
    x = magnitudes(bits, 4000)
    got = evaluate(kind, lambda p, s: approx.rsqrt(p, s, scale, bits, out), np.append(x, 0))
    assert got[-1] == 0
    want = np.sqrt(2.0**scale / x)
    error = np.abs(got[:-1] * 2.0**-out - want)
    assert (error <= 2.0**-20 * want + 2.0**-out).all(), (error / (2.0**-20 * want + 2.0**-out)).max()


# -- bits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0, 18])
def test_bits_for_is_enough_and_no_more(scale: int) -> None:
    for k in range(1, 62 - scale):
        for bound, want in ((2.0**k - 2.0**-scale, k + scale), (2.0**k, k + scale + 1)):
            if (bound * 2.0**scale).is_integer() and bound * 2.0**scale < 2**53:
                assert approx.bits_for(bound, scale) == want
    x = np.array([(1 << 20) - 1, -(1 << 20) + 1, 0, 1, -1])
    ring = x.view(np.uint64)
    need = approx.bits_for(float(x.max()), 0)
    got = run(Rep3, lambda p: p.msb(p.share(0, ring, ring.shape), need)).outputs
    np.testing.assert_array_equal(reconstruct_bits(got)[0], x < 0)
