"""Comparison, logic and selection of secret arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..array import SecureArray, broadcast_shapes, context_of, secure
from ..context import Context
from ..errors import UsageError
from ..mpc import approx
from ..mpc.shares import Share
from ..ring import fixed, layout
from ..types import RANGE_BITS
from .cellwise import cellwise
from .join import stack


def negative(x: SecureArray) -> SecureArray:
    """x < 0 as secret booleans. Cost: one sign, cheaper for a smaller public bound.

    2 + ceil(log2(bits)) rounds or fewer; a large batch on a fast link takes a round per bit and fewer bytes. For
    |x| <= 128 at 18 bits: 27 rounds and 4 bytes per party and element in a large batch, as few as 3 rounds and up to 60
    bytes in a small one.
    """
    x = x.numeric()
    bits = min(RANGE_BITS, approx.bits_for(x._bound, x._scale))
    return SecureArray(x._context, x._context.protocol.msb(x._ring_share(), bits))


def is_zero(x: SecureArray) -> SecureArray:
    """x == 0 as secret booleans; compares the fixed-point integers exactly.

    1 + ceil(log2(bits)) rounds; for |x| <= 128 at 18 bits 6 rounds and 5 bytes per party and element.
    """
    x = x.numeric()
    bits = min(64, approx.bits_for(x._bound, x._scale) + 1)
    return SecureArray(x._context, x._context.protocol.is_zero(x._ring_share(), bits))


def logic(x: SecureArray, other: Any, op: str) -> SecureArray:
    """AND, OR, XOR of secret booleans (or a secret and a public boolean array)."""
    context, proto = x._context, x._context.protocol
    if not isinstance(other, SecureArray):
        public = np.asarray(other)
        if public.dtype.kind != "b":
            raise UsageError(f"logic on secret booleans needs booleans, got dtype {public.dtype}")
        other = SecureArray(context, proto.a2bits(proto.public(public.astype(np.uint64))))
    shape = broadcast_shapes(x.shape, other.shape)
    a, b = (v if v.shape == shape else v._rearranged(layout.broadcast(shape)) for v in (x, other))
    p, q = a._bit_share(), b._bit_share()
    if op == "xor":
        return SecureArray(context, proto.xor(p, q))
    both = proto.and_(p, q)
    return SecureArray(context, both if op == "and" else proto.xor(proto.xor(p, q), both))


def outside_count(x: SecureArray, bound: float) -> Share:
    """Secret number of elements with |x| > bound, as one ring integer."""
    proto = x._context.protocol
    limit = layout.constant(math.floor(bound * 2.0**x._scale))
    share = x._ring_share().map(layout.reshape((x.size,)))
    both = proto.stack([proto.add_public(share, limit), proto.add_public(proto.neg(share), limit)], 0)
    # One bit more than a value may have: the limit was added to it.
    return proto.b2a(proto.msb(both, RANGE_BITS + 1)).map(layout.total(None, False))


def where(mask: SecureArray, a: Any, b: Any) -> SecureArray:
    """Elementwise a where the secret ``mask`` is true, else b: b + mask * (a - b), exactly. Of columns with empty cells
    the result is empty where what was taken is.

    1 round and 40 bytes per party and element in a small batch, else 3 rounds and 16 bytes, or 1 and 8 if the mask was
    used as numbers before; for booleans 1 round and 1 bit.
    """
    if any(isinstance(x, nullable.NullableArray) for x in (mask, a, b)):
        made: Any = nullable.chosen(where, mask, a, b)
        return made  # type: ignore[no-any-return]
    context = context_of(mask, a, b)
    if not isinstance(mask, SecureArray):
        a, b = secure(context, a), secure(context, b)
        shape = broadcast_shapes(np.shape(mask), broadcast_shapes(a.shape, b.shape))
        public = np.broadcast_to(np.asarray(mask, bool), shape)
        result = a * public + b * ~public
        return SecureArray(context, result._ring_share(), result._scale, max(a._bound, b._bound))
    mask._bit_share()
    first, second = _booleans(context, a), _booleans(context, b)
    if first.kind == second.kind == "bool":  # one AND, and nothing is converted
        return second ^ (mask & (first ^ second))
    a, b = first, second
    scale, bound = max(a._scale, b._scale), max(a._bound, b._bound)
    result = mask * (a - b) + b
    return SecureArray(context, result._ring_share(), scale, bound)


def _booleans(context: Context, value: Any) -> SecureArray:
    """``value`` as a secret array; public booleans as secret booleans."""
    if isinstance(value, SecureArray) or np.asarray(value).dtype.kind != "b":
        return secure(context, value)
    proto = context.protocol
    return SecureArray(context, proto.a2bits(proto.public(np.asarray(value).astype(np.uint64))))


@cellwise
def maximum(a: Any, b: Any) -> SecureArray:
    """Elementwise maximum: b + [a - b > 0] (a - b), exactly. Either operand may be public, at no cost.

    The rounds of a sign and 3, and 16 bytes per party and element more (for |x| <= 128 at 18 bits 20 bytes in a large
    batch); 2 rounds less in a small batch, which has about 70 bytes.
    """
    return _extreme(a, b, largest=True)


@cellwise
def minimum(a: Any, b: Any) -> SecureArray:
    """Elementwise minimum: b + [a - b < 0] (a - b), exactly. Either operand may be public; cost as ``maximum``."""
    return _extreme(a, b, largest=False)


def _extreme(a: Any, b: Any, largest: bool) -> SecureArray:
    if not isinstance(a, SecureArray):
        a, b = b, a
    context_of(a)
    if a.kind == "bool":
        a = a.numeric()
    difference = a - b
    chosen: SecureArray = (difference > 0 if largest else difference < 0) * difference + b
    magnitude = b._bound if isinstance(b, SecureArray) else float(np.abs(np.asarray(b)).max(initial=0.0))
    return chosen._stated(min(chosen.bound, fixed.reached(max(a._bound, magnitude), chosen.scale)))


@cellwise
def absolute(x: SecureArray) -> SecureArray:
    """|x|: x - 2 [x < 0] x, exactly. Cost as ``maximum``."""
    x = x.numeric()
    result = x - (x < 0) * x * 2
    return SecureArray(x._context, result._ring_share(), x._scale, x._bound)


@cellwise
def clip(x: SecureArray, low: npt.ArrayLike, high: npt.ArrayLike) -> SecureArray:
    """x limited to [low, high] (public numbers or arrays, rounded to x's fractional bits), exactly.

    Both comparisons in one batch, and both products: the rounds and twice the bytes of ``maximum``.
    """
    least, most = np.asarray(low), np.asarray(high)
    if not (least <= most).all():
        raise UsageError(f"clip: expected low <= high, got {low!r} and {high!r}")
    x = x.numeric()
    limit = float(math.floor(x._bound)) + 2.0  # what is beyond every value of x does not cut, infinities too
    if least.dtype.kind == "f":
        least = np.maximum(least, -limit)
    if most.dtype.kind == "f":
        most = np.minimum(most, limit)
    if x._scale == 0 and not (least == np.floor(least)).all() & (most == np.floor(most)).all():
        x = x.rescaled(x._context.fraction_bits)
    room = stack([x - least, most - x])
    lacking = (room < 0) * room
    bound = min(x._bound, max(np.abs(least).max(initial=0.0), np.abs(most).max(initial=0.0))) + 2.0**-x._scale
    return (x - lacking[0] + lacking[1])._stated(bound)


from . import nullable  # noqa: E402  (it builds on the functions above)
