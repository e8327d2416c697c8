"""Weights and targets of any size brought to a mean of about 1, by a secret power of four: sums have room then."""

from __future__ import annotations

from dataclasses import dataclass

from ..array import SecureArray
from ..mpc import approx
from ..mpc.shares import Bits, Share
from ..ring import exact, layout
from ..types import RANGE_BITS

_LARGEST = 2.0**7  # root of what weights are multiplied by


def guard_weights(what: str, weight: SecureArray, valid: SecureArray | None = None) -> None:
    """Guard that no sample weight (n,) is below 0, and that those of the rows that ``valid`` (n,) marks are not all 0.

    The sum is taken modulo 2^64, where what is at least 0 adds up to 0 only if all of it is. About 15 rounds and 150
    bytes per party beside the comparison of each row.
    """
    weight = weight.numeric()
    hint = f"{what}: sample_weight is at least 0: correct the weights below it"
    weight._context.guard((weight < 0).numeric().sum()._ring_share(), hint)
    guard_some(weight, valid, f"{what}: sample_weight is above 0 in some row that counts; {SOME}")


SOME = "with weights of 0 alone there is nothing to learn from: give some row a weight, or leave sample_weight out"


def guard_some(weight: SecureArray, valid: SecureArray | None, hint: str) -> None:
    """Guard that weights (n,) of at least 0 are not all 0 in the rows that flags ``valid`` mark (None: in all)."""
    proto, share = weight._context.protocol, weight._ring_share()
    if valid is None:
        total = share.map(layout.total(None, True))
    else:
        row = layout.reshape((1, weight.size))
        total = proto.dot(share.map(row), valid._ring_share().map(row))
    weight._context.guard(proto.b2a(proto.is_zero(total)).map(layout.total(None, False)), hint)


@dataclass(frozen=True, slots=True)
class Unit:
    """What weights were multiplied by: ``root`` () is a power of two, ``power`` () its square."""

    root: SecureArray
    power: SecureArray
    exponent: Share
    """log2 of the power, (): a whole number."""


def evened(what: str, weight: SecureArray, shift: int, room: int) -> tuple[SecureArray, Unit]:
    """(weight * power, Unit) for weights (n,) of at least 0, n <= 2^shift: their sum over 2^shift is in [1/4, 1] then.

    The leading bit of the sum gives the power, so that not even its size is seen. Error: one unit at 24 fractional
    bits, or at ``room`` less ``shift``. Guards that the mean weight is above 2^-14. About 40 rounds; 18 bytes per party
    and row.
    """
    found, unit, small = _brought(weight, shift, room, 1 << 14)
    hint = f"{what}: the mean of all weights is above 2^-14; multiply them by a number"
    weight._context.guard(weight._context.protocol.b2a(small), hint)
    return found, unit


def evened_target(what: str, y: SecureArray, shift: int) -> tuple[SecureArray, Unit]:
    """The same for a target (n,) of at least 0, however small its mean is beside its public bound.

    Guards that it is not 0 in all rows.
    """
    found, unit, none = _brought(y, shift, RANGE_BITS - 2, None)
    hint = f"{what}: y is above 0 in some row that counts: a mean of 0 has no logarithm"
    y._context.guard(y._context.protocol.b2a(none), hint)
    return found, unit


def _brought(weight: SecureArray, shift: int, room: int, part: int | None) -> tuple[SecureArray, Unit, Bits]:
    """As ``evened``, and whether the mean is less than 1 / ``part`` (None: than a unit in the last place)."""
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
    least = 1 if part is None else max(1, (1 << have) // part)
    light = proto.msb(proto.add_public(total, layout.constant(-least)), bits)
    exponent = proto.add_public(proto.sub(root, root), layout.constant(-over))
    for i, digit in enumerate(place.digits[1:]):
        exponent = proto.add(exponent, proto.mul_public(digit, layout.constant(2 << i)))
    most = _LARGEST if part is not None else exact.exp2((have + 1) // 2)
    unit = Unit(SecureArray(context, root, over // 2, most), SecureArray(context, power, over, most * most), exponent)
    return SecureArray(context, share, out, 2.0**shift), unit, light
