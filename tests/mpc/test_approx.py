"""Real functions against float64 over their whole range; the errors that the docstrings state are the measured ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from privity.mpc import approx, periodic, polynomial, roots
from privity.mpc.plain import InsecurePlain
from privity.mpc.rep3 import Rep3
from privity.mpc.shares import Share
from privity.testing import PROTOCOLS, Scheme, reconstruct, reconstruct_bits, run

SCALE = 18
ULP = 2.0**-SCALE
Reals = npt.NDArray[np.float64]


def evaluate(protocol: Scheme, fn: Callable[[Any, Share], Share], x: Any) -> npt.NDArray[np.int64]:
    ring = np.asarray(x, np.int64).view(np.uint64)
    return reconstruct(run(protocol, lambda p: fn(p, p.share(0, ring, ring.shape))).outputs)


def everywhere(largest: float, dense: float, count: int, seed: int = 0) -> Reals:
    """Both signs: a dense grid on [-dense, dense], then every magnitude up to ``largest``."""
    rng = np.random.default_rng(seed)
    wide = np.exp2(rng.uniform(-SCALE, np.log2(largest), count)) * rng.choice([-1, 1], count)
    edges = [0.0, largest, -largest, 9.0, -9.0, 9 + ULP, -9 - ULP]
    return np.concatenate([np.linspace(-dense, dense, count), wide, edges])


# -- curves ------------------------------------------------------------------------------------------------------

CURVES: dict[str, tuple[periodic.Curve, Callable[[Reals], Reals]]] = {
    "sigmoid": (periodic.SIGMOID, lambda x: 1 / (1 + np.exp(-np.clip(x, -700, 700)))),
    "tanh": (periodic.TANH, np.tanh),
    "erf": (periodic.ERF, lambda x: np.vectorize(math.erf)(x)),
}


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
@pytest.mark.parametrize("scale", [SCALE, 12, 22])
@pytest.mark.parametrize("name", CURVES)
def test_curves_over_the_whole_range(protocol: Scheme, scale: int, name: str) -> None:
    """|x| up to 2^40 (at 22 bits: 2^38, all that fits beside the limit that is added)."""
    curve, function = CURVES[name]
    largest = min(2.0**40, 2.0 ** (60 - scale))
    x = np.rint(everywhere(largest, 12.0, 10_000) * 2.0**scale) * 2.0**-scale
    bits = approx.bits_for(largest + 10, scale)
    got = evaluate(protocol, lambda p, s: periodic.curve(p, s, scale, bits, SCALE, curve), x * 2.0**scale) * ULP
    assert np.abs(got - function(x)).max() < 2.0**-14


def test_curves_of_a_small_bound_need_no_comparison() -> None:
    x = np.linspace(-9.75, 9.75, 50_001)
    x = np.rint(x / ULP) * ULP
    for factor in (1.0, 0.1, -3.0):
        done = run(
            Rep3(),
            lambda p, f=factor: periodic.curve(p, p.share(0, ring_of(x), x.shape), 18, 0, 18, periodic.SIGMOID, f),
        )
        error = np.abs(reconstruct(done.outputs) * ULP - factor / (1 + np.exp(-x))).max()
        assert error < 2.0**-14 * abs(factor) + 2 * ULP
        assert done.parties[0].rounds <= 1 + 4


def ring_of(x: Reals) -> npt.NDArray[np.uint64]:
    return np.rint(x / ULP).astype(np.int64).view(np.uint64)


@pytest.mark.parametrize("name", CURVES)
def test_the_series_themselves(name: str) -> None:
    """The coefficients against the function, without any protocol; and that little is left beyond the limit."""
    curve, function = CURVES[name]
    x = np.linspace(-curve.limit, curve.limit, 20_001)
    turn = 2 * np.pi * x / 2**curve.period
    series = curve.middle + sum(w * np.sin(k * turn) for k, w in enumerate(curve.sines, 1))
    assert np.abs(series - function(x)).max() <= curve.error
    edge = function(np.array([-curve.limit, curve.limit]))
    assert np.abs(edge - [curve.below, curve.above]).max() < 2.0**-14


# -- leading bit -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 2, 3, 17, 31, 60])
@pytest.mark.parametrize("shape", [(30,), (), (2, 3), (0,)])
def test_leading_bit(bits: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(bits)
    x = (rng.integers(0, 1 << bits, shape) >> rng.integers(0, bits, shape)).astype(np.int64)
    hot = evaluate(Rep3(), lambda p, s: approx.leading_bit(p, s, bits), x)
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


@pytest.mark.parametrize("kind", [InsecurePlain(), Rep3()])
@pytest.mark.parametrize(("scale", "bits", "out"), [*COMMON, (0, 20, 30)])
def test_reciprocal(kind: Any, scale: int, bits: int, out: int) -> None:
    x = magnitudes(bits, 4000)
    got = evaluate(kind, lambda p, s: roots.reciprocal(p, s, scale, bits, out), np.append(x, 0))
    assert got[-1] == 0
    want = 2.0**scale / x
    error = np.abs(got[:-1] * 2.0**-out - want)
    assert (error <= 2.0**-21 * want + 2.0**-out).all(), (error / (2.0**-21 * want + 2.0**-out)).max()


@pytest.mark.parametrize("kind", [InsecurePlain(), Rep3()])
@pytest.mark.parametrize(("scale", "bits", "out"), [*COMMON, (0, 20, 28)])
def test_rsqrt(kind: Any, scale: int, bits: int, out: int) -> None:
    x = magnitudes(bits, 4000)
    got = evaluate(kind, lambda p, s: roots.rsqrt(p, s, scale, bits, out), np.append(x, 0))
    assert got[-1] == 0
    want = np.sqrt(2.0**scale / x)
    error = np.abs(got[:-1] * 2.0**-out - want)
    assert (error <= 2.0**-20 * want + 2.0**-out).all(), (error / (2.0**-20 * want + 2.0**-out)).max()


@pytest.mark.parametrize("kind", [InsecurePlain(), Rep3()])
@pytest.mark.parametrize(
    ("scale", "bits", "out"), [(18, 28, 18), (18, 57, 18), (10, 40, 20), (24, 30, 12), (0, 20, 28)]
)
def test_sqrt(kind: Any, scale: int, bits: int, out: int) -> None:
    x = magnitudes(bits, 4000)
    got = evaluate(kind, lambda p, s: roots.sqrt(p, s, scale, bits, out), np.append(x, [0, -1]))
    assert not got[-2:].any()
    want = np.sqrt(x / 2.0**scale)
    error = np.abs(got[:-2] * 2.0**-out - want)
    assert (error <= 2.0**-20 * want + 1.25 * 2.0**-out).all(), (error / (2.0**-20 * want + 2.0**-out)).max()


@pytest.mark.parametrize("kind", [InsecurePlain(), Rep3()])
def test_negative_values_have_negative_reciprocals(kind: Any) -> None:
    x = -magnitudes(28, 1000)
    got = evaluate(kind, lambda p, s: roots.reciprocal(p, s, 18, 28, 18), x)
    assert (np.abs(got - 2.0**36 / x) <= 2.0**-21 * 2.0**36 / -x + 1).all()
    got = evaluate(kind, lambda p, s: roots.reciprocal(p, s, 18, 28, 18, signed=False), x)
    assert not got.any()


@pytest.mark.parametrize("bits", [1, 2, 3, 17, 31, 60])
@pytest.mark.parametrize("signed", [False, True])
def test_distance_of_the_leading_bit(bits: int, signed: bool) -> None:
    x = magnitudes(bits, 200)
    x = np.concatenate([x, [0], -x])

    def program(p: Any) -> list[Share]:
        place = approx.leading(p, p.share(0, x.view(np.uint64), x.shape), bits, signed)
        return [place.valid, *place.digits]

    valid, *digits = (reconstruct(s) for s in zip(*run(Rep3(), program).outputs, strict=True))
    np.testing.assert_array_equal(valid, np.sign(x) if signed else x > 0)
    distance = sum((d << i for i, d in enumerate(digits)), start=np.zeros_like(x))
    for v, d in zip(x.tolist(), distance.tolist(), strict=True):
        if v > 0 or (signed and v):
            assert 1 << (bits - 1) <= abs(v) << d <= 1 << bits


# -- polynomials -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
@pytest.mark.parametrize("scale", [20, 24])
@pytest.mark.parametrize("degree", [3, 4, 5, 6])
def test_polynomial(protocol: Scheme, scale: int, degree: int) -> None:
    c = [0.4, -1.2, 0.3, 0.1, -0.05, 0.02, 0.01][: degree + 1]
    t = np.rint(np.linspace(-1, 1, 2001) * 2.0**scale)
    got = evaluate(protocol, lambda p, s: polynomial.polynomial(p, s, scale, c, 20), t) * 2.0**-20
    error = sum(map(abs, c)) * (2.0**-15 if scale == 24 else 2.0**-18) + 2.0**-20
    np.testing.assert_allclose(got, np.polyval(c[::-1], t * 2.0**-scale), rtol=0, atol=error)


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
@pytest.mark.parametrize(("x_bits", "y_bits", "shift"), [(30, 20, 10), (45, 26, 29), (52, 26, 29), (40, 20, 0)])
def test_wide_products(protocol: Scheme, x_bits: int, y_bits: int, shift: int) -> None:
    rng = np.random.default_rng(x_bits)
    x = rng.integers(-(1 << x_bits) + 1, 1 << x_bits, 3000)
    y = rng.integers(-(1 << y_bits) + 1, 1 << y_bits, 3000)

    def program(p: Any) -> Share:
        a, b = (p.share(0, v.view(np.uint64), v.shape) for v in (x, y))
        return approx.wide_product(p, a, x_bits, b, y_bits, shift)

    got = reconstruct(run(protocol, program).outputs)
    exact = x.astype(object) * y.astype(object)
    assert all(abs(2 * (int(g) << shift) - 2 * e) < 3 << shift for g, e in zip(got, exact, strict=True))


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
    got = run(Rep3(), lambda p: p.msb(p.share(0, ring, ring.shape), need)).outputs
    np.testing.assert_array_equal(reconstruct_bits(got)[0], x < 0)
