"""Activations of secret arrays: bounded curves, gates, and softmax. Each states its range and largest error."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..array import SecureArray
from ..errors import ShapeError
from ..mpc import approx, logistic, periodic
from ..mpc.periodic import Curve
from ..mpc.polynomial import WORK
from ..mpc.protocol import Protocol
from ..mpc.shares import Share
from ..ring import exact
from ..types import RANGE_BITS
from . import arithmetic, exponential, real
from .cellwise import cellwise
from .order import max_

_FINE = 24  # fractional bits of softmax numerators and of gates
_TAIL = 29  # fractional bits of a probability
_GRID = 10  # fewest fractional bits of x at which the ends of a curve are near enough to where it was fitted


@cellwise
def sigmoid(x: SecureArray, factor: float = 1.0) -> SecureArray:
    """factor / (1 + e^-x) for every value the ring holds, precise in both tails; at 29 fractional bits.

    The smaller of p and 1 - p has a relative error of at most 2^-15 plus an absolute one of 2^-28: it is below 2^-8 of
    a probability of 2^-20, and 2^-14 in all. What is computed with it has room for fewer other bits; ``sigmoid_series``
    is cheaper and has the session's bits. ``factor``: a public number of at most 1 in size.

    For |x| <= 16 at 18 bits: 33 rounds and 283 bytes per party and element in a small batch.
    """
    result = _folded(x, logistic.logistic, _TAIL, 1.0)
    return result if factor == 1.0 else result.multiply(factor, scale=_TAIL)


def sigmoid_series(x: SecureArray, factor: float = 1.0) -> SecureArray:
    """factor / (1 + e^-x) for every value the ring holds; absolute error at most 2^-14 * factor.

    For gradients of common classes and for answers in few rounds; small probabilities are lost in the error.
    ``factor`` is a public number that costs nothing here (a learning rate, for instance). A series of 12 sines on
    [-9.75, 9.75], 0 or ``factor`` beyond. 3 rounds and 75 bytes where |x| <= 9.75 is known, else
    5 and 117 for |x| <= 128 (18 and 103 in a large batch).
    """
    return _curve(x, periodic.SIGMOID, x._context.fraction_bits, factor)


@cellwise
def tanh(x: SecureArray) -> SecureArray:
    """Hyperbolic tangent for every value the ring holds; absolute error at most 2^-14. Cost as ``sigmoid_series``."""
    return _curve(x, periodic.TANH, x._context.fraction_bits)


@cellwise
def erf(x: SecureArray) -> SecureArray:
    """Error function for every value the ring holds; absolute error at most 2^-14. Cost as ``sigmoid_series``."""
    return _curve(x, periodic.ERF, x._context.fraction_bits)


def _real(x: SecureArray) -> SecureArray:
    """x with fractional bits: a curve of integers is the curve of reals. Local."""
    x = x.numeric()
    return x.rescaled(max(x.scale, _GRID))


def _comparison_bits(x: SecureArray, limit: float) -> int:
    """Bits for comparisons with +-limit; 0 where the public bound makes them needless."""
    x._context.fits(x.bound + limit, x.scale, "the argument of this function")
    return 0 if x.bound <= limit else approx.bits_for(x.bound + limit, x.scale)


def _curve(x: SecureArray, of: Curve, out: int, factor: float = 1.0) -> SecureArray:
    x = _real(x)
    bits = _comparison_bits(x, of.limit)
    share = periodic.curve(x._context.protocol, x._ring_share(), x.scale, bits, out, of, factor)
    return SecureArray(x._context, share, out, abs(factor) * 1.001)


@cellwise
def gelu(x: SecureArray) -> SecureArray:
    """x (1 + erf(x / sqrt 2)) / 2, the exact form. Absolute error at most 2^-15 plus 2^-23 |x| up to |x| = 4.5.

    Beyond it is x or 0 (error at most 2^-16). Cost of ``sigmoid_series`` and one product.
    """
    return _gated(x, periodic.GATE_NORMAL)


@cellwise
def silu(x: SecureArray) -> SecureArray:
    """x sigmoid(x). Absolute error at most 2^-14; beyond |x| = 12.5 it is x or 0. Cost as ``gelu``."""
    return _gated(x, periodic.GATE_LOGISTIC)


def _gated(x: SecureArray, of: Curve) -> SecureArray:
    x = _real(x)
    if approx.bits_for(x.bound, x.scale) + x._context.fraction_bits > RANGE_BITS - 1:  # no room for the product
        near = x.clip(-of.limit, of.limit)
        return arithmetic.add(_gated(near, of), relu(arithmetic.add(x, near, -1)))
    fine = max(x._context.fraction_bits, min(_FINE, RANGE_BITS - 1 - approx.bits_for(x.bound, x.scale)))
    result = arithmetic.multiply(x, _curve(x, of, fine), x._context.fraction_bits)
    return SecureArray(x._context, result._ring_share(), result.scale, x.bound + 2.0**-13)


@cellwise
def relu(x: SecureArray) -> SecureArray:
    """max(x, 0), exactly. The rounds of a comparison and 1, or 3 in a large batch.

    For |x| <= 128 at 18 bits: 5 rounds and 68 bytes per party and element in a batch of 1000, 30 and 20 in a large one.
    """
    x = x.numeric()
    positive = x > 0
    return SecureArray(x._context, (positive * x)._ring_share(), x.scale, x.bound)


@cellwise
def softplus(x: SecureArray) -> SecureArray:
    """log(1 + e^x) for every value the ring holds; absolute error at most 2^-14.

    A series of 12 cosines on [-10, 10], x or 0 beyond. Cost as ``sigmoid_series``.
    """
    x = _real(x)
    context, out = x._context, x._context.fraction_bits
    bits = _comparison_bits(x, periodic.SOFTPLUS_LIMIT)
    share = periodic.softplus(context.protocol, x._ring_share(), x.scale, bits, out)
    return SecureArray(context, share, out, max(x.bound, 0.0) + 0.7)


def log_one_plus_exp(x: SecureArray, scale: int) -> SecureArray:
    """log(1 + e^x) at ``scale`` fractional bits, from x's to 30: what ``softplus`` loses where it is small.

    Relative error at most 2^-15 plus 2 units in the last place, for every value the ring holds. Cost as ``sigmoid``.
    """
    x = _real(x)
    x._context.fits(x.bound + 1, scale, "the argument of this function")
    share = x._ring_share()
    return _folded(x, lambda *a: logistic.integral(a[0], share, x.scale, *a[1:]), scale, x.bound + 0.7)


def _folded(
    x: SecureArray, of: Callable[[Protocol, Share, int, int], Share], out: int, bound: float
) -> SecureArray:
    """A curve of mpc/logistic.py."""
    x = _real(x)
    y, reach = exponential.in_halvings(x)
    share = of(x._context.protocol, y, approx.bits_for(reach, WORK), out)
    return SecureArray(x._context, share, out, bound)


def softmax(x: SecureArray, axis: int = -1) -> SecureArray:
    """e^x / sum(e^x) along one axis; absolute error at most 2^-16, for every x.

    The row's maximum is subtracted first (cost of ``max``); then one exponential per element, one reciprocal per row.
    For rows of 10, |x| <= 128 at 18 bits: 64 rounds and 253 bytes per party and element (97 and 214 in a large batch).
    """
    shifted, _ = _from_largest(x, axis)
    numerators = _numerators(shifted)
    total = arithmetic.total(numerators, axis, keepdims=True)
    result = real.quotient(numerators, total, 1.001)
    return SecureArray(x._context, result._ring_share(), result.scale, 1.0001)


def logsumexp(x: SecureArray, axis: int = -1, keepdims: bool = False) -> SecureArray:
    """log(sum(e^x)) along one axis; absolute error at most 2^-15, for every x. Cost as ``log_softmax``."""
    shifted, largest = _from_largest(x, axis)
    total = arithmetic.total(_numerators(shifted), axis, keepdims=True)
    result = largest + exponential.log(total)
    if keepdims:
        return result
    return result.reshape(tuple(d for i, d in enumerate(x.shape) if i != axis % x.ndim))


def log_softmax(x: SecureArray, axis: int = -1) -> SecureArray:
    """x - logsumexp(x); absolute error at most 2^-15, for every x.

    For rows of 10, |x| <= 128 at 18 bits: 59 rounds and 230 bytes per party and element (90 and 193 in a large batch).
    """
    shifted, _ = _from_largest(x, axis)
    total = arithmetic.total(_numerators(shifted), axis, keepdims=True)
    return shifted - exponential.log(total)


def _numerators(shifted: SecureArray) -> SecureArray:
    """e^x for x <= 0, at more fractional bits than a result needs."""
    return exponential.power_of(shifted, exact.log2(math.e), _FINE, highest=0.0)


def _from_largest(x: SecureArray, axis: int) -> tuple[SecureArray, SecureArray]:
    """(x - max, max), the axis kept with length 1."""
    x = _real(x)
    if not x.ndim or not -x.ndim <= axis < x.ndim or not x.shape[axis]:
        raise ShapeError(f"expected an axis with elements, got axis {axis} of shape {x.shape}")
    largest = max_(x, axis, keepdims=True)
    return x - largest, largest
