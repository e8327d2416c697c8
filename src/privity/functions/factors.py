"""Products of secret numbers with public factors, as precise as stated whatever the sizes of both.

One product with a rounded factor has room for 24 significant digits of it while |x| stays below 2^38 ring units or so.
Beyond that x is cut into an upper and a lower part, x = high * 2^k + low, where ``high`` is the truncated x and so
``low`` follows locally; both are multiplied, each by as many digits of the factor as it has room for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from ..context import Context
from ..mpc.shares import Share
from ..ring import exact, layout
from ..types import RANGE_BITS, Ring

Factors = npt.NDArray[np.float64]
Product = Callable[[Share, Ring], Share]

DIGITS = 23
"""A factor of at least 2^23 units moves a product by a relative 2^-24 at most when it is rounded."""
HALF = 0.5
"""Units by which rounding a factor may move a product: as much as rounding the product to nearest."""
FINE = 2.0**-8
"""As little as does not count beside a truncation."""
_MORE_DIGITS = 6
_LEAST_DIGITS = 15  # significant ones of a factor, wanted even where fewer keep within the error
_MOST_CUT = 60  # bits of a truncation
_SPREAD = 4  # bits by which factors may differ that are multiplied together in two parts
_SPARE = 6  # an error of 2^-6 units is left to what is rounded on the way


def cut_bits(size: float, factors: Factors, units: float) -> int | None:
    """Bits d so that x * round(factor * 2^d) / 2^d is right, |x| <= size; None where 62 bits have no room for them.

    Right: rounding the factor moves the product by ``units`` or a relative 2^-24 at most; and by no more than half a
    unit where there is room for that.
    """
    magnitudes = np.abs(factors)
    largest = float(magnitudes.max(initial=0.0))
    if largest == 0.0 or size == 0.0:
        return 0
    length = exact.log2_ceil(size)
    wanted = max(length, _LEAST_DIGITS - 1 - exact.log2_floor(largest), 0)
    if units < HALF:
        smallest = float(magnitudes.min(initial=largest, where=magnitudes > 0.0))
        wanted = max(wanted, min(length - 1 - exact.log2_floor(units), DIGITS - exact.log2_floor(smallest)))
    room = min(RANGE_BITS - 1 - exact.log2_floor(size * largest * (1 + 2.0**-20)), _MOST_CUT)
    if wanted <= room or room == _MOST_CUT:
        return min(wanted, room)
    if room < 0:
        return None
    scaled = np.ldexp(factors, room)
    error = np.abs(np.rint(scaled) - scaled) * size * 2.0**-room
    return room if ((error <= units) | (np.abs(scaled) >= 2.0**DIGITS)).all() else None


def as_ring(factors: Factors, bits: int) -> Ring:
    """round(factors * 2^bits) as ring integers."""
    return np.asarray(np.rint(np.ldexp(factors, bits)).astype(np.int64)).view(np.uint64)


def scaled(context: Context, x: Share, size: float, factors: Factors, units: float = FINE) -> Share:
    """x * factors in ring integers, |x| <= size < 2^62; ``factors`` broadcast to x. |x * factors| stays below 2^61.

    Error: below one unit (the truncation's) and ``units`` for the rounded factor, or for that a relative 2^-24. One
    truncation, or where x is long, two or three; then 2^-5 units more, and up to half a unit where the product may pass
    2^54 units.
    """
    proto = context.protocol
    bits = cut_bits(size, factors, units)
    if bits is not None:
        return proto.truncate(proto.mul_public(x, as_ring(factors, bits)), bits)
    factors = np.where(size * np.abs(factors) < 2.0 ** -(_SPARE + 1), 0.0, factors)
    level = np.frexp(factors)[1] // _SPREAD
    levels = sorted(set(level[factors != 0.0].tolist()))
    if len(levels) <= 1:
        return _in_two_parts(context, x, size, factors)
    wide = np.broadcast_to(factors, x.shape).reshape(-1)
    group = np.where(wide != 0.0, np.broadcast_to(level, x.shape).reshape(-1), levels[0])
    flat = x.map(layout.reshape((x.size,)))
    rows = [np.flatnonzero(group == each) for each in levels]
    made = [scaled(context, flat.map(layout.take(at)), size, wide[at], units) for at in rows]
    back = np.empty(x.size, np.int64)
    back[np.concatenate(rows)] = np.arange(x.size)
    return proto.concatenate(made, 0).map(layout.then(layout.take(back), layout.reshape(x.shape)))


def _in_two_parts(
    context: Context, x: Share, size: float, factors: Factors, multiplied: Product | None = None, inner: int = 1
) -> Share:
    """``scaled`` for factors of about one size: (high * c + low * c' / 2^(more - d)) / 2^d.

    c is the factor times 2^(k + d), with 24 digits or a few more where they cost no truncation; c' the factor times
    2^more, so that its error is 2^-6 units. ``multiplied``: another linear product with ``inner`` terms; then the
    digits are those of the largest factor.
    """
    proto = context.protocol
    of = multiplied or proto.mul_public
    size_of = np.abs(factors[factors != 0.0])
    most = float(size_of.max())
    least = exact.log2_floor(most if multiplied else float(size_of.min()))
    terms = exact.log2_ceil(inner)
    bits = max(0, min(RANGE_BITS - 2 - exact.log2_floor(size * inner * most), _MOST_CUT))
    cut = max(1, DIGITS - bits - least)
    longest = (RANGE_BITS - 2 - exact.log2_floor(most) - 2 * terms - _SPARE) // 2  # so that ``lower`` has room
    once = bits + 1 - _SPARE - terms  # up to here one truncation does for both
    cut = max(cut, min(cut + _MORE_DIGITS, once if cut <= once else longest))
    more = max(bits, cut - 1 + _SPARE + terms)
    high = proto.truncate(x, cut)
    low = proto.sub(x, proto.mul_public(high, layout.constant(1 << cut)))
    upper = of(high, as_ring(factors, cut + bits))
    lower = of(low, as_ring(factors, more))
    return proto.truncate(proto.add(upper, proto.truncate(lower, more - bits)), bits)


def summed(
    context: Context, x: Share, size: float, factors: Factors, multiplied: Product, inner: int, least: int
) -> Share:
    """Sums of ``inner`` products of x with factors, by a local linear ``multiplied`` (a matrix product); |x| <= size.

    Rounding the factors to ``least`` bits or more moves a sum by half a unit, or by 2^-24 of the largest factor times
    the sum of |x|. One truncation of the result; where the sums are long, one of x too and two of the result.
    """
    largest = float(np.abs(factors).max(initial=0.0))
    if largest == 0.0 or size == 0.0:
        return multiplied(x, as_ring(factors, 0))
    wanted = min(exact.log2_ceil(size * max(inner, 1)), max(DIGITS - exact.log2_floor(largest), least))
    wanted = max(0, min(max(wanted, least), _MOST_CUT))
    room = RANGE_BITS - 1 - exact.log2_floor(size * max(inner, 1) * largest * (1 + 2.0**-20))
    if wanted > room and DIGITS - exact.log2_floor(largest) > room:
        return _in_two_parts(context, x, size, factors, multiplied, max(inner, 1))
    bits = min(wanted, room)
    return context.protocol.truncate(multiplied(x, as_ring(factors, bits)), bits)


def of_sum(context: Context, parts: Sequence[Share], size: float, factors: Factors) -> Share:
    """(sum of parts) * factors for several |part| <= size of one shape whose sum may pass the ring.

    Each part is cut in two, and the upper and the lower halves are summed: neither sum passes 62 bits. Error as
    ``scaled`` and 2^-5 units more, three units where the result may pass 2^54. Two to eight truncations, one of them of
    every part.
    """
    proto, most = context.protocol, float(np.abs(factors).max())
    total = size * len(parts) * most
    cut = max(1, DIGITS - 3 - exact.log2_floor(most))
    guard = max(0, min(_SPARE, RANGE_BITS - 2 - exact.log2_ceil(total)))
    pieces = proto.stack(list(parts), 0)
    high = proto.truncate(pieces, cut)
    low = proto.sub(pieces, proto.mul_public(high, layout.constant(1 << cut)))
    above, below = (half.map(layout.total(0, False)) for half in (high, low))
    count = float(len(parts))
    upper = scaled(context, above, count * (size * 2.0**-cut + 1), np.ldexp(factors, cut + guard))
    lower = scaled(context, below, count * 2.0**cut, np.ldexp(factors, guard))
    return proto.truncate(proto.add(upper, lower), guard)
