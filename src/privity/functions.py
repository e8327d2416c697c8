"""Functions of secret arrays, with NumPy's names: selection, order, joining and real functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .array import SecureArray, broadcast_shapes
from .errors import ShapeError, UsageError
from .mpc import approx
from .mpc.shares import Share
from .ring import layout
from .session import Session
from .types import RANGE_BITS


def _session(*values: Any) -> Session:
    for v in values:
        if isinstance(v, SecureArray):
            return v.session
    raise UsageError("expected at least one secret array; for public arrays use NumPy")


def _secure(session: Session, value: Any) -> SecureArray:
    return value if isinstance(value, SecureArray) else session.constant(value)


# -- order -------------------------------------------------------------------------------------------------------


def negative(x: SecureArray) -> SecureArray:
    """x < 0 as secret booleans. Cost: one sign, cheaper for a smaller public bound; rounds 2 + ceil(log2(bits))."""
    x = x._numeric()
    bits = min(RANGE_BITS, approx.bits_for(x.bound, x.scale))
    return SecureArray(x.session, x.session.protocol.msb(x.ring_share(), bits))


def is_zero(x: SecureArray) -> SecureArray:
    """x == 0 as secret booleans; compares the fixed-point integers exactly."""
    x = x._numeric()
    bits = min(64, approx.bits_for(x.bound, x.scale) + 1)
    return SecureArray(x.session, x.session.protocol.is_zero(x.ring_share(), bits))


def logic(x: SecureArray, other: Any, op: str) -> SecureArray:
    """AND, OR, XOR of secret booleans (or a secret and a public boolean array)."""
    session, proto = x.session, x.session.protocol
    if not isinstance(other, SecureArray):
        public = np.asarray(other)
        if public.dtype.kind != "b":
            raise UsageError(f"logic on secret booleans needs booleans, got dtype {public.dtype}")
        other = SecureArray(session, proto.a2bits(proto.public(public.astype(np.uint64))))
    shape = broadcast_shapes(x.shape, other.shape)
    a, b = (v if v.shape == shape else v._local(layout.broadcast(shape)) for v in (x, other))
    p, q = a.bit_share(), b.bit_share()
    if op == "xor":
        return SecureArray(session, proto.xor(p, q))
    both = proto.and_(p, q)
    return SecureArray(session, both if op == "and" else proto.xor(proto.xor(p, q), both))


def outside_count(x: SecureArray, bound: float) -> Share:
    """Secret number of elements with |x| > bound, as one ring integer."""
    proto = x.session.protocol
    limit = layout.constant(math.floor(bound * 2.0**x.scale))
    share = x.ring_share().map(layout.reshape((x.size,)))
    both = proto.stack([proto.add_public(share, limit), proto.add_public(proto.neg(share), limit)], 0)
    # One bit more than a value may have: the limit was added to it.
    return proto.b2a(proto.msb(both, RANGE_BITS + 1)).map(layout.total(None, False))


def where(mask: SecureArray, a: Any, b: Any) -> SecureArray:
    """Elementwise a where the secret ``mask`` is true, else b: b + mask * (a - b). Three rounds."""
    session = _session(mask, a, b)
    if not isinstance(mask, SecureArray):
        a, b = _secure(session, a), _secure(session, b)
        shape = broadcast_shapes(np.shape(mask), broadcast_shapes(a.shape, b.shape))
        public = np.broadcast_to(np.asarray(mask, bool), shape)
        result = a * public + b * ~public
        return SecureArray(session, result.ring_share(), result.scale, max(a.bound, b.bound))
    mask.bit_share()
    a, b = _secure(session, a), _secure(session, b)
    scale, bound = max(a.scale, b.scale), max(a.bound, b.bound)
    result = mask * (a - b) + b
    return SecureArray(session, result.ring_share(), scale, bound)


def maximum(a: Any, b: Any) -> SecureArray:
    """Elementwise maximum."""
    session = _session(a, b)
    a, b = _secure(session, a), _secure(session, b)
    return where(a > b, a, b)


def minimum(a: Any, b: Any) -> SecureArray:
    """Elementwise minimum."""
    session = _session(a, b)
    a, b = _secure(session, a), _secure(session, b)
    return where(a < b, a, b)


def absolute(x: SecureArray) -> SecureArray:
    """|x|: x - 2 [x < 0] x."""
    x = x._numeric()
    result = x - (x < 0) * x * 2
    return SecureArray(x.session, result.ring_share(), x.scale, x.bound)


def clip(x: SecureArray, low: float, high: float) -> SecureArray:
    """x limited to [low, high] (public numbers); both comparisons in one batch."""
    if not low <= high:
        raise UsageError(f"clip: expected low <= high, got {low} and {high}")
    x = x._numeric()
    if x.scale == 0 and not (float(low).is_integer() and float(high).is_integer()):
        x = x.rescaled(x.session.fraction_bits)
    flags = stack([x - low, high - x]) < 0
    below, above = flags[0], flags[1]
    result = x + below * (low - x) + above * (high - x)
    return SecureArray(x.session, result.ring_share(), x.scale, min(x.bound, max(abs(low), abs(high))) + 2.0**-x.scale)


# -- joining -----------------------------------------------------------------------------------------------------


def _joined(arrays: Sequence[Any], axis: int, new_axis: bool) -> SecureArray:
    session = _session(*arrays)
    items = [_secure(session, a) for a in arrays]
    if all(a.kind == "bool" for a in items):
        ints = _joined([a._numeric() for a in items], axis, new_axis)
        return SecureArray(session, session.protocol.a2bits(ints.ring_share()))
    numeric = [a._numeric() for a in items]
    scale = max(a.scale for a in numeric)
    shares = [a.rescaled(scale).ring_share() for a in numeric]
    proto = session.protocol
    try:
        share = (proto.stack if new_axis else proto.concatenate)(shares, axis)
    except ValueError:
        shapes = ", ".join(str(a.shape) for a in items)
        raise ShapeError(f"cannot join arrays of shapes {shapes} along axis {axis}") from None
    return SecureArray(session, share, scale, max(a.bound for a in numeric))


def concatenate(arrays: Sequence[Any], axis: int = 0) -> SecureArray:
    """Join along an existing axis. Local."""
    return _joined(arrays, axis, new_axis=False)


def stack(arrays: Sequence[Any], axis: int = 0) -> SecureArray:
    """Join along a new axis. Local."""
    return _joined(arrays, axis, new_axis=True)


# -- real functions ----------------------------------------------------------------------------------------------


def sigmoid(x: SecureArray, factor: float = 1.0) -> SecureArray:
    """factor / (1 + e^-x) for every value the ring holds; absolute error at most 1.5e-4 * factor.

    ``factor`` is a public number that costs nothing here (a learning rate, for instance).
    """
    x = x._numeric()
    session = x.session
    if x.scale == 0:
        x = x.rescaled(session.fraction_bits)
    limit = approx.SIGMOID_RANGE
    session.fits(x.bound + limit, x.scale, "the argument of sigmoid")
    bits = 0 if x.bound <= limit else approx.bits_for(x.bound + limit, x.scale)
    share = approx.sigmoid(session.protocol, x.ring_share(), x.scale, bits, session.fraction_bits, factor)
    return SecureArray(session, share, session.fraction_bits, abs(factor) * 1.001)


def reciprocal(x: SecureArray, at_most: float | None = None, scale: int | None = None) -> SecureArray:
    """1 / x; 0 where x is 0. Relative error at most 2^-20 plus one unit in the last place of ``scale`` bits.

    ``at_most``: public bound on |1 / x|, checked by a guard; it gives a small bound and room for more fractional bits
    (``scale``; at_most * 2^scale <= 2^36). Without it |1 / x| may reach 2^(x.scale), its largest possible value.
    """
    x = x._numeric()
    session, proto = x.session, x.session.protocol
    largest = 2.0**x.scale if at_most is None else float(at_most)
    out = min(session.fraction_bits if scale is None else scale, 36 - math.ceil(math.log2(largest)))
    bits = approx.bits_for(x.bound, x.scale)
    if bits > 60 or out < 1:
        raise UsageError(
            f"reciprocal of {x!r} with |x| <= {x.bound:g}: needs fewer than 60 bits and 1 / x <= 2^35; state at_most="
        )
    negative_x = x < 0
    magnitude = x - negative_x * x * 2
    if at_most is not None:
        least = math.ceil(2.0**x.scale / largest * (1 - 2.0**-20))
        shifted = proto.add_public(magnitude.ring_share(), layout.constant(-least))
        session.guard(proto.b2a(proto.msb(shifted, min(RANGE_BITS, bits + 1))).map(layout.total(None, False)))
    share = approx.reciprocal(proto, magnitude.ring_share(), x.scale, bits, out, largest)
    positive = SecureArray(session, share, out, largest * 1.01)
    result = positive - negative_x * positive * 2
    return SecureArray(session, result.ring_share(), out, largest * 1.01)


def rsqrt(x: SecureArray) -> SecureArray:
    """1 / sqrt(x) for x >= 0 (0 where x is 0). Relative error at most 2^-20 plus one unit in the last place."""
    x = x._numeric()
    session = x.session
    bits = approx.bits_for(x.bound, x.scale)
    if bits > 60:
        raise UsageError(f"rsqrt: expected a bound below 2^{60 - x.scale}, got {x!r}")
    share = approx.rsqrt(session.protocol, x.ring_share(), x.scale, bits, session.fraction_bits)
    return SecureArray(session, share, session.fraction_bits, 2.0 ** (x.scale / 2))
