"""Pieces that the real functions share: leading bits, powers of two, products of wide numbers.

Written once over Protocol; ring integers in and out, with explicit scales.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import UsageError
from ..ring import layout
from ..types import RANGE_BITS
from .polynomial import product
from .protocol import Protocol
from .shares import Bits, Share

_LOW_DIGITS = 5  # binary digits of an exponent whose power of two is one ring integer with room for a factor


def bits_for(bound: float, scale: int) -> int:
    """Smallest k with bound * 2^scale < 2^k."""
    return max(1, int(bound * 2.0**scale).bit_length())


# -- leading bit -------------------------------------------------------------------------------------------------


def leading_bit(proto: Protocol, x: Share, bits: int) -> Share:
    """One-hot position of the highest set bit of 0 <= x < 2^bits: 0/1 integers of shape (bits, *x.shape).

    All zero where x is 0. Rounds: decomposition, one OR level per doubling, one conversion.
    """
    prefix = proto.bits(x, bits)
    step = 1
    while step < bits:  # prefix[j] = OR of bits j.. by doubling
        low, high = prefix.rows(0, bits - step), prefix.rows(step, bits)
        either = proto.xor(proto.xor(low, high), proto.and_(low, high))
        prefix = joined(either, prefix.rows(bits - step, bits))
        step *= 2
    if bits == 1:
        return proto.b2a(prefix).map(layout.reshape((1, *x.shape)))
    above = prefix.rows(1, bits)
    hot = joined(proto.xor(prefix.rows(0, bits - 1), above), prefix.rows(bits - 1, bits))
    return proto.b2a(hot)


@dataclass(frozen=True, slots=True)
class Leading:
    """Where the highest set bit of |x| < 2^bits stands, counted from the top.

    |x| * 2^distance is in [2^(bits-1), 2^bits].

    ``digits``: the binary digits of the distance, lowest first, as 0/1 integers. ``valid``: 0 where the function has
    no value, else 1, or the sign of x if that was asked for; None: 1 everywhere.
    """

    digits: list[Share]
    valid: Share | None


def leading(proto: Protocol, x: Share, bits: int, signed: bool, least: int = 0) -> Leading:
    """The leading bit of |x| < 2^bits. ``signed``: of either sign, invalid at 0; else positive, invalid at x <= 0.
    ``least`` above 0: x is known to be at least this, which saves the sign and digits of distances that cannot be.

    A negative x is read as |x| - 1 (all bits flipped), so that |x| * 2^distance may reach 2^bits. Rounds:
    decomposition, one OR level per doubling, one AND, two for conversion. The distance is at most bits - 1; it is
    converted by its digits, of which there are few.
    """
    if least > 0:
        prefix = or_from_above(proto, proto.bits(x, bits))
        count = max(1, (bits - least.bit_length()).bit_length())
        rows = proto.b2a(joined(*(_digit(proto, prefix, i) for i in range(count))))
        return Leading([rows] if count == 1 else [rows.map(layout.take(i)) for i in range(count)], None)
    planes = proto.bits(x, bits + 1)
    sign, low = planes.rows(bits, bits + 1), planes.rows(0, bits)
    if signed:
        first = _or(proto, low.rows(0, 1), sign)  # x = -1 would have no bit left
        low = proto.xor(low, _repeated(sign, bits))
        low = joined(first, low.rows(1, bits)) if bits > 1 else first
    prefix = or_from_above(proto, low)
    exists = prefix.rows(0, 1)
    if signed:
        flags = [exists, sign]
    else:
        flags = [proto.and_(exists, proto.invert(sign))]
    count = max(0, (bits - 1).bit_length())
    digits = [_digit(proto, prefix, i) for i in range(count)]
    rows = proto.b2a(joined(*flags, *digits))
    every = [rows] if len(flags) + count == 1 else [rows.map(layout.take(i)) for i in range(len(flags) + count)]
    valid = every[0]
    if signed:
        valid = proto.sub(valid, proto.mul_public(every[1], layout.constant(2)))
    return Leading(every[len(flags) :], valid)


def _digit(proto: Protocol, prefix: Bits, i: int) -> Bits:
    """Digit i of the distance: in how many blocks of 2^i distances with that digit set the leading bit lies (0 or 1).

    The leading bit lies within planes low..high exactly if prefix[low] ^ prefix[high + 1].
    """
    bits, total = prefix.planes, None
    for start in range(1 << i, bits, 2 << i):
        high, low = bits - 1 - start, max(0, bits - (start + (1 << i)))
        block = proto.xor(prefix.rows(low, low + 1), prefix.rows(high + 1, high + 2))
        total = block if total is None else proto.xor(total, block)
    assert total is not None
    return total


def or_from_above(proto: Protocol, b: Bits) -> Bits:
    """Plane j becomes the OR of planes j and above, by halves."""
    step, count = 1, b.planes
    while step < count:
        rows = [j for j in range(count) if ((count - 1 - j) // step) % 2 == 1]
        above = [count - 1 - ((count - 1 - j) // step * step - 1) for j in rows]
        either = _or(proto, _picked(b, rows), _picked(b, above))
        order = [count + rows.index(j) if j in rows else j for j in range(count)]
        b = _picked(joined(b, either), order)
        step *= 2
    return b


def _or(proto: Protocol, a: Bits, b: Bits) -> Bits:
    return proto.xor(proto.xor(a, b), proto.and_(a, b))


def _picked(b: Bits, rows: list[int]) -> Bits:
    return Bits(tuple(p[rows] for p in b.parts), b.shape, len(rows))


def _repeated(b: Bits, count: int) -> Bits:
    return _picked(b, [0] * count)


def joined(*bits: Bits) -> Bits:
    """The planes of all, one below the other."""
    parts = tuple(layout.concatenate(list(p), 0) for p in zip(*(b.parts for b in bits), strict=True))
    return Bits(parts, bits[0].shape, sum(b.planes for b in bits))


# -- powers of two -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Power:
    """2^e for e >= 0 given by binary digits: ``low`` = 2^(e mod 32), and ``top`` = whether e >= 32 (None: never)."""

    low: Share
    top: Share | None


def power_of_two(proto: Protocol, digits: Sequence[Share], factor: Share | None = None) -> Power:
    """factor * 2^e, e = sum_i digits[i] 2^i < 64, for an optional ``factor`` in {-1, 0, 1}.

    Rounds: log2 of the number of factors.
    """
    factors = [_lift(proto, d, 1 << i) for i, d in enumerate(digits[:_LOW_DIGITS])]
    if factor is not None:
        factors.append(factor)
    return Power(product(proto, factors), digits[_LOW_DIGITS] if len(digits) > _LOW_DIGITS else None)


def _lift(proto: Protocol, digit: Share, exponent: int) -> Share:
    """2^exponent where the digit is 1, else 1."""
    return proto.add_public(proto.mul_public(digit, layout.constant((1 << exponent) - 1)), layout.constant(1))


def lifted(proto: Protocol, x: Share, power: Power, shift: int) -> Share:
    """x * power / 2^shift where no product passes 62 bits."""
    whole = power.low
    if power.top is not None:
        whole = proto.mul(whole, _lift(proto, power.top, 32))
    return shifted_product(proto, x, whole, shift)


def times_power(proto: Protocol, y: Share, power: Power, shift: int) -> Share:
    """y * power / 2^shift, where y * 2^(e mod 32) and the result stay below 2^62."""
    if power.top is None:
        return shifted_product(proto, y, power.low, shift)
    if shift >= 32:
        high = proto.mul(y, power.low, shift - 32)  # right where e >= 32
        low = proto.truncate(high, 32)
    else:  # where e < 32 this ``high`` may pass the ring, so ``low`` is not made of it
        product = proto.mul(y, power.low)
        high = proto.mul_public(product, layout.constant(1 << (32 - shift)))
        low = proto.truncate(product, shift) if shift >= 0 else proto.mul_public(product, layout.constant(1 << -shift))
    return proto.add(low, proto.mul(power.top, proto.sub(high, low)))


def shifted_product(proto: Protocol, x: Share, y: Share, shift: int) -> Share:
    """x * y / 2^shift; a negative shift multiplies."""
    if shift >= 0:
        return proto.mul(x, y, shift)
    return proto.mul(proto.mul_public(x, layout.constant(1 << -shift)), y)


def wide_product(proto: Protocol, x: Share, x_bits: int, y: Share, y_bits: int, shift: int) -> Share:
    """x * y / 2^shift for |x| < 2^x_bits, |y| < 2^y_bits, where only the result need fit 62 bits.

    If the product does not fit, y is split into its upper part and its low bits, x shortened for the latter: seven
    rounds more. Raises UsageError where that would cost more than half a unit of the result.
    """
    part = x_bits + y_bits - 61  # low bits of y
    if part <= 0:
        return shifted_product(proto, x, y, shift)
    short = max(0, x_bits + part - 61)  # bits by which x is shortened where it meets them
    if part + short >= shift:
        raise UsageError(
            f"a product of {x_bits} and {y_bits} bits, divided by 2^{shift}, does not fit {RANGE_BITS} bits"
        )
    raised = proto.mul_public(x, layout.constant(1 << (part - short)))
    cut = proto.truncate(proto.stack([raised, y], 0), part)
    x_short, y_high = cut.map(layout.take(0)), cut.map(layout.take(1))
    y_low = proto.sub(y, proto.mul_public(y_high, layout.constant(1 << part)))
    spare = min(4, shift - part)  # so that only one of three truncations counts
    high = proto.mul(x, y_high, shift - part - spare)
    low = proto.mul(x_short, y_low, shift - short - spare)
    return proto.truncate(proto.add(high, low), spare)
