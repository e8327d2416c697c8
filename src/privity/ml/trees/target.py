"""A number to predict, in a unit that suits it: centred, and divided by the secret power of two above its spread.

People know no tight bounds: a target may lie far from 0, or far below its bound. Its shares have all its digits, so
what trees learn from is (y - centre) / unit, which lies in [-1, 1] and reaches 1/2, whatever the bound; and what they
learnt is multiplied by the unit again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...array import SecureArray
from ...functions.ratio import fitting_scale, ratio
from ...mpc import approx
from ...mpc.protocol import Protocol
from ...mpc.shares import Bits, Share
from ...ring import exact, layout
from .scaled_weights import Factor

BITS = 24
"""Fractional bits of a target in its unit."""
_WIDE = 60  # bits of a target's ring integers, less their mean
_COARSE = 32
"""Last places that a target with fractional bits must vary by, guarded: below, mostly roundings are left of it."""


@dataclass(frozen=True, slots=True)
class Target:
    """``values`` (n,): (y - centre) / unit at ``BITS``, |values| <= 1; 0 in rows that do not count, and everywhere if
    no two rows differ. ``centre`` (): exact, in the scale of y. ``bound``: on |y|. ``inverse``: 1 / unit.
    """

    values: SecureArray
    centre: SecureArray
    bound: float
    inverse: Factor

    @staticmethod
    def of(
        what: str, y: SecureArray, valid: SecureArray | None, around: float | None = None, least: float = 0.0
    ) -> Target:
        """Of y (n,), of which the rows with a flag in ``valid`` count (None: all). ``what`` names y in errors.

        ``around``: a public centre; None: near the mean. ``least``: the unit is at least that. Rounds: about 60; a
        decomposition of the target's bits, about 300 bytes per party and row at 18 fractional bits. Guards, where y has
        fractional bits, that it varies by 32 of its last places or not at all.
        """
        context, proto = y._context, y._context.protocol
        y, steps = y.numeric(), y.scale
        # of whole numbers half a step more, as a distance of -1 is no distance for those that read |x| - 1
        y = y.rescaled(1) if not steps else y
        if approx.bits_for(2.02 * y.bound, y.scale) > _WIDE:
            y = y.rescaled(fitting_scale(2.02 * y.bound, y.scale, _WIDE - 1))
        centre = _middle(y, valid) if around is None else context.constant(np.asarray(around), scale=y.scale)
        apart = (y - centre)._stated(y.bound + centre.bound)
        if valid is not None:
            apart = (apart * valid)._stated(apart.bound)
        bits = approx.bits_for(apart.bound, y.scale)
        widest = _any_of(proto, apart._ring_share(), bits)
        floor = min((1 << bits) - 1, math.ceil(least * 2.0**y.scale))
        reach = proto.add_public(widest, layout.constant(floor)) if floor else widest
        bits = bits + 1 if floor else bits
        place = approx.leading(proto, reach, bits, signed=False)
        lift = approx.power_of_two(proto, place.digits, place.valid)
        whole = approx.lifted(proto, proto.public(layout.constants([1])), lift, 0)
        each = whole.map(layout.broadcast(apart.shape))
        share = approx.shifted_product(proto, apart._ring_share(), each, bits - BITS)
        if steps:
            spread = SecureArray(context, widest, 0, 2.0**bits)
            coarse = ((spread < _COARSE) ^ (spread < 1)).numeric()
            context.guard(
                coarse.sum()._ring_share(),
                f"{what}: y varies by less than {_COARSE} steps of 2^-{y.scale}, in which it is shared, so it has "
                "hardly any digits left; state a tighter bound for it, or give it in a smaller unit",
            )
        values = SecureArray(context, share, BITS, 1.0)
        log, farthest = bits - y.scale, bits - max(1, floor.bit_length())
        inverse = Factor.of(place, SecureArray(context, whole.map(layout.reshape(())), 0, 2.0**farthest), log)
        return Target(values, centre, y.bound, inverse)

    def back(self, x: SecureArray, scale: int) -> SecureArray:
        """x * unit for x at ``BITS`` and |x| <= 2^6, at ``scale`` fractional bits; without the centre."""
        return self.inverse.undone(x, x.bound * self.most, scale)

    @property
    def most(self) -> float:
        """The largest that the unit can be."""
        most = exact.log2_ceil(2.02 * (self.bound + self.centre.bound))
        return 2.0**most

    def scale(self, times: float) -> int:
        """Fractional bits that sums of ``times`` values within the target's range may have."""
        return fitting_scale(4 * times * (self.most + self.bound), max(self.centre.scale, BITS) + BITS, _WIDE)


def _middle(y: SecureArray, valid: SecureArray | None) -> SecureArray:
    """A number near the mean of the rows that count, in the scale of y; 0 if there are none."""
    n = y.shape[0]
    bits = max(1, n.bit_length())
    coarse = y.rescaled(fitting_scale(y.bound * 2.0 ** (bits + 1), y.scale, _WIDE))
    if valid is None:
        total, count = coarse.sum(), y._context.constant(n)
    else:
        total, count = (coarse * valid).sum(), valid.sum()
    mean = ratio(total.reshape((1,)), count.reshape((1,)), y.bound * 1.01, min(y.scale, 40))[0]
    return mean.rescaled(y.scale)._stated(y.bound * 1.02 + 2.0 ** (1 - y.scale))


def _any_of(proto: Protocol, x: Share, bits: int) -> Share:
    """The OR of the bits of all |x|, a negative one read as |x| - 1: (1,). About log2 n rounds, and a decomposition."""
    planes = proto.bits(x, bits + 1)
    low = proto.xor(planes.rows(0, bits), Bits(tuple(p[[bits] * bits] for p in planes.parts), planes.shape, bits))
    n = x.shape[0]
    size = 1 << (n - 1).bit_length()
    low = proto.map_bits(low, layout.padded(size - n)) if size > n else low
    while size > 1:
        size //= 2
        first, second = (proto.map_bits(low, layout.take(slice(at, at + size))) for at in (0, size))
        low = proto.xor(proto.xor(first, second), proto.and_(first, second))
    return proto.mul_public(proto.b2a(low), layout.column([1 << k for k in range(bits)], 1)).map(
        layout.then(layout.reshape((bits, 1)), layout.total(0, False))
    )
