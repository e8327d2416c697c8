"""What rows weigh, times a secret power of two that brings the sum of all weights to a public size.

Sums are kept with so many bits of the largest that they can be. Where one class weighs 10,000 times another, or the
bound of the weights is loose, that is far above what they are. So weights are multiplied by a power of two that their
sum gives; regularisation, which is stated for the weights as they were, is multiplied by the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...array import SecureArray
from ...functions.ratio import fitting_scale
from ...mpc import approx
from ...ring import exact, layout

_WIDE = 60  # bits of a sum of weights
_FINE = 20  # fractional bits of a weight
_ROOM = 30  # bits of a weight, with those left of the point
_DIGITS = 12  # bits of a public number that is multiplied by the factor
_LEAST = 2.0**-4  # of a sum of weights: below, sums have an absolute error


@dataclass(frozen=True, slots=True)
class Factor:
    """A secret power of two, ``lift`` / 2^``log``: at least 2^``low`` and at most 2^``high``, both public."""

    lift: SecureArray
    log: int
    low: int
    high: int

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


def in_common(weight: SecureArray, least: float) -> tuple[SecureArray, Factor]:
    """Weights (n,) of at least 0 times the factor, with a sum of at most 2^ceil(log2 n); the factor.

    ``least``: of a sum that has its digits, above 0. Rounds: about 20; 8 bytes a row.
    """
    context, proto, n = weight._context, weight._context.protocol, weight.shape[0]
    m = max(1, (n - 1).bit_length())
    least = max(least, _LEAST)
    reach = n * weight.bound + least
    fine = weight.rescaled(max(weight.scale, 8))
    fine = fine.rescaled(min(fine.scale, fitting_scale(reach, fine.scale, _WIDE - _DIGITS - 2)))
    bits = approx.bits_for(reach, fine.scale)
    floor = max(1, round(least * 2.0**fine.scale))
    total = proto.add_public(fine.sum()._ring_share(), layout.constant(floor)).map(layout.reshape((1,)))
    place = approx.leading(proto, total, bits, signed=False, least=floor)
    power = approx.power_of_two(proto, place.digits)
    whole = approx.lifted(proto, proto.public(layout.constants([1])), power, 0)
    farthest = bits - floor.bit_length()
    lift = SecureArray(context, whole.map(layout.reshape(())), 0, 2.0**farthest)
    log = bits - m - fine.scale
    scale = min(_FINE, _ROOM - m)
    share = approx.shifted_product(
        proto, fine._ring_share(), whole.map(layout.broadcast((n,))), fine.scale + log - scale
    )
    return SecureArray(context, share, scale, 2.0**m), Factor(lift, log, -log, farthest - log)
