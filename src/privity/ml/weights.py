"""Weights of any size brought to a mean of about 1, by a secret power of four: sums over rows have room then."""

from __future__ import annotations

from dataclasses import dataclass

from ..array import SecureArray
from ..mpc import approx
from ..ring import layout
from ..types import RANGE_BITS

_LARGEST = 2.0**7  # root of what weights are multiplied by


@dataclass(frozen=True, slots=True)
class Unit:
    """What weights were multiplied by: ``root`` () is a power of two, ``power`` () its square."""

    root: SecureArray
    power: SecureArray


def evened(what: str, weight: SecureArray, shift: int, room: int) -> tuple[SecureArray, Unit]:
    """(weight * power, Unit) for weights (n,) of at least 0, n <= 2^shift: their sum over 2^shift is in [1/4, 1] then.

    The leading bit of the sum gives the power, so that not even its size is seen. Error: one unit at 24 fractional
    bits, or at ``room`` less ``shift``. Guards that the mean weight is above 2^-14. About 40 rounds; 18 bytes per party
    and row.
    """
    context, proto = weight._context, weight._context.protocol
    weight = weight.numeric()
    size = approx.bits_for(weight.bound, 0)
    scale = max(0, min(weight.scale, RANGE_BITS - 2 - shift - size))
    weight = weight.rescaled(scale)
    # The sum over 2^shift is the sum itself, at shift more bits; the lowest ones are of no use.
    have = scale + shift
    total = weight.sum()._ring_share()
    spare = max(0, have + size - 56)
    total = proto.truncate(total, spare) if spare else total
    have -= spare
    bits = have + size
    bits += (bits - have) % 2
    place = approx.leading(proto, total, bits, signed=False)
    root = approx.power_of_two(proto, place.digits[1:]).low
    power = proto.mul(root, root)
    over = bits - have
    wide = layout.broadcast(weight.shape)
    half = proto.mul(weight._ring_share(), root.map(wide))
    out = max(1, min(24, room - shift))
    share = approx.shifted_product(proto, half, root.map(wide), scale + over - out)
    light = proto.msb(proto.add_public(total, layout.constant(-max(1, (1 << have) >> 14))), bits)
    context.guard(proto.b2a(light), f"{what}: the mean of all weights is above 2^-14; multiply them by a number")
    unit = Unit(SecureArray(context, root, over // 2, _LARGEST), SecureArray(context, power, over, _LARGEST * _LARGEST))
    return SecureArray(context, share, out, 2.0**shift), unit
