"""What rows weigh, times a secret power of two that brings the sum of all weights to a public size.

Sums are kept with so many bits of the largest that they can be. Where one class weighs 10,000 times another, or the
bound of the weights is loose, that is far above what they are. So weights are multiplied by a power of two that their
sum gives; regularisation, which is stated for the weights as they were, is multiplied by the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...array import SecureArray
from ...functions import clip
from ...functions.exponential import power_of
from ...functions.ratio import fitting_scale
from ...mpc import approx
from ...ring import exact, layout

_WIDE = 60  # bits of a sum of weights
_FINE = 20  # fractional bits of a weight
_ROOM = 30  # bits of a weight, with those left of the point
_DIGITS = 12  # bits of a public number that is multiplied by the factor
_FURTHEST = 6  # of log2 of a penalty over the largest sum: beyond, it leaves nothing of a tree
_LEAST = 2.0**-4  # of a sum of weights: below, sums have an absolute error


@dataclass(frozen=True, slots=True)
class Factor:
    """A secret power of two, ``lift`` / 2^``log``: at least 2^``low`` and at most 2^``high``, both public."""

    lift: SecureArray
    log: int
    low: int
    high: int
    _turned: approx.Power
    _turned_log: int
    """1 / factor is the power over 2 to this."""
    exponent: SecureArray
    """log2 of the factor, ()."""

    def undone(self, x: SecureArray, bound: float, scale: int) -> SecureArray:
        """x / factor at ``scale`` fractional bits, where it is known not to pass ``bound``."""
        shape = layout.then(layout.reshape((1,) * x.ndim), layout.broadcast(x.shape))
        top = self._turned.top
        power = approx.Power(self._turned.low.map(shape), None if top is None else top.map(shape))
        proto = x._context.protocol
        share = approx.times_power(proto, x._ring_share(), power, x.scale + self._turned_log - scale)
        return SecureArray(x._context, share, scale, bound)

    @staticmethod
    def of(place: approx.Leading, whole: SecureArray, log: int) -> Factor:
        """2^distance over 2^``log``, for the distance of a leading bit, which ``whole`` is 2 to: at most its bound."""
        proto = whole._context.protocol
        turned = [proto.add_public(proto.neg(d), layout.constant(1)) for d in place.digits]
        power = approx.power_of_two(proto, turned, place.valid)
        farthest = exact.log2_ceil(whole.bound)
        distance = proto.public(layout.constant(-log))
        for k, digit in enumerate(place.digits):
            part = proto.mul_public(digit.map(layout.reshape(())), layout.constant(1 << k))
            distance = proto.add(distance, part)
        exponent = SecureArray(whole._context, distance, 0, float(max(log, abs(farthest - log), 1)))
        return Factor(whole, log, -log, farthest - log, power, (1 << len(turned)) - 1 - log, exponent)

    def times(self, value: float | SecureArray, log: int, scale: int) -> SecureArray:
        """value * factor / 2^log at ``scale`` fractional bits, (), for a ``value`` of at least 0.

        Relative error 2^-12 of public values that have more bits, and one unit in the last place.
        """
        context = self.lift._context
        if isinstance(value, SecureArray):
            context.fits(value.bound * 2.0 ** (self.high + self.log), value.scale, "a penalty (before it is rounded)")
            shift = value.scale + log + self.log - scale
            product = approx.shifted_product(context.protocol, value._ring_share(), self.lift._ring_share(), shift)
            return SecureArray(context, product, scale, value.bound * 2.0 ** (self.high - log) + 2.0**-scale)
        if not value > 0:
            return context.constant(np.zeros((), np.int64)).rescaled(scale)
        digits = _DIGITS - exact.log2_ceil(value)
        whole = round(value * 2.0**digits)
        shift = digits + log + self.log - scale
        share = approx.shifted_product(
            context.protocol, self.lift._ring_share(), context.protocol.public(layout.constant(whole)), shift
        )
        return SecureArray(context, share, scale, value * 2.0 ** (self.high - log) + 2.0**-scale)


@dataclass(frozen=True, slots=True)
class Scaling:
    """2^``exponent`` (), secret, at least 2^``low``: by what gradients and second derivatives were multiplied where the
    target has a secret unit that they grow with (see ``objectives.LogLink``), and rows' weights perhaps another.
    """

    exponent: SecureArray
    low: int
    _made: dict[tuple[float, int, int], SecureArray] = field(default_factory=dict)

    @staticmethod
    def of(unit: Factor, slope: float, weights: Factor | None) -> Scaling:
        """``unit`` to the power ``slope`` in (0, 1], times ``weights``. Local."""
        context, whole = unit.exponent._context, round(slope * 2.0**_FINE)
        share = context.protocol.mul_public(unit.exponent._ring_share(), layout.constant(whole))
        total = SecureArray(context, share, _FINE, unit.exponent.bound)
        low = unit.low if slope == 1 else min(unit.low, 0)
        if weights is None:
            return Scaling(total, low)
        return Scaling(total + weights.exponent, low + weights.low)

    def times(self, value: float | SecureArray, log: int, scale: int) -> SecureArray:
        """As ``Factor.times`` for public values, cut at 2^6. Relative error 2^-15; about 35 rounds for each value."""
        assert not isinstance(value, SecureArray)
        key = float(value), log, scale
        if key not in self._made:
            context = self.exponent._context
            if not value > 0:
                return context.constant(np.zeros((), np.int64)).rescaled(scale)
            at = self.exponent + (exact.ln(value) / exact.ln(2.0) - log)
            self._made[key] = power_of(clip(at, -scale - 2.0, float(_FURTHEST)), 1.0, scale, float(_FURTHEST))
        return self._made[key]


def both(first: SecureArray, second: SecureArray) -> SecureArray:
    """The product of two weights of each row (n,), with as many fractional bits as fit, 24 at most."""
    bound = first.bound * second.bound
    room = 60 - exact.log2_ceil(max(bound, 1.0))
    fine = second.rescaled(min(second.scale, max(8, room - first.scale)))
    other = first.rescaled(min(first.scale, max(0, room - fine.scale)))
    return other.multiply(fine, scale=min(24, max(other.scale, fine.scale)))._stated(bound * 1.01)


def in_common(weight: SecureArray, least: float) -> tuple[SecureArray, Factor]:
    """Weights (n,) of at least 0 times the factor, with a sum of at most 2^ceil(log2 n); the factor.

    ``least``: of a sum that has its digits, above 0. Rounds: about 20; 8 bytes a row.
    """
    context, proto, n = weight._context, weight._context.protocol, weight.shape[0]
    m = max(1, (n - 1).bit_length())
    least = max(least, _LEAST)
    reach = n * weight.bound + least
    fine = weight.rescaled(fitting_scale(reach, max(weight.scale, 8), _WIDE - _DIGITS - 2))
    bits = approx.bits_for(reach, fine.scale)
    floor = max(1, round(least * 2.0**fine.scale))
    total = proto.add_public(fine.sum()._ring_share(), layout.constant(floor)).map(layout.reshape((1,)))
    place = approx.leading(proto, total, bits, signed=False, least=floor)
    power = approx.power_of_two(proto, place.digits)
    whole = approx.lifted(proto, proto.public(layout.constants([1])), power, 0)
    farthest = bits - floor.bit_length()
    log = bits - m - fine.scale
    factor = Factor.of(place, SecureArray(context, whole.map(layout.reshape(())), 0, 2.0**farthest), log)
    scale = min(_FINE, _ROOM - m)
    share = approx.shifted_product(
        proto, fine._ring_share(), whole.map(layout.broadcast((n,))), fine.scale + log - scale
    )
    return SecureArray(context, share, scale, 2.0**m), factor
