"""Order of secret values: extremes, sorting, ranks, quantiles, places among public edges.

All compare the fixed-point integers exactly. Ties: the first comes first, as in NumPy's stable sort. What sorts checks
the pending range guards first (see ``settled``).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..array import SecureArray
from ..context import Context
from ..errors import ShapeError, UsageError
from ..mpc import approx, orders, tables
from ..mpc import sort as sorting
from ..mpc.protocol import Protocol
from ..mpc.shares import Flags, Places, Share
from ..ring import exact, layout
from ..types import RANGE_BITS
from . import factors
from .cellwise import cellwise
from .flags import as_flags
from .join import concatenate
from .ratio import fitting_scale

_PLACE_BITS = 18  # fractional bits of a secret place between two rows

_SORT_ROUNDS = 200_000  # comparisons that cost as much as the rounds of a sort
_PAIRED, _AT_ONCE = 32, 8192  # elements of a lane, and comparisons in all, up to which all pairs are compared at once


def settled(context: Context) -> Protocol:
    """The session's protocol, once no guard is pending.

    A sort opens comparisons that say nothing because keys lie within their stated bounds, so these are checked first.
    """
    context.check_guards()
    return context.protocol


# -- rows along an axis ----------------------------------------------------------------------------------------------


class _Lanes:
    """An array as (lanes, n): ``axis`` last, all other axes as lanes; and the way back."""

    def __init__(self, x: SecureArray, axis: int | None, what: str) -> None:
        x = x.numeric()
        if axis is None:
            x, axis = x.ravel(), 0
        if not isinstance(axis, int | np.integer):
            raise UsageError(f"{what}: expected one axis, or None for all elements, got axis={axis!r}")
        if not -x.ndim <= axis < x.ndim:
            raise ShapeError(f"{what}: axis {axis} is out of range for an array of shape {x.shape}")
        self.axis = axis % x.ndim
        self.shape = (*x.shape[: self.axis], *x.shape[self.axis + 1 :])
        self.count, self.n = layout.count(self.shape), x.shape[self.axis]
        others = [i for i in range(x.ndim) if i != self.axis]
        self.x = x.transpose(*others, self.axis).reshape(self.count, self.n)

    def back(self, y: SecureArray) -> SecureArray:
        """(lanes, k) with k along the axis."""
        y = y.reshape(*self.shape, y.shape[1])
        last = y.ndim - 1
        return y.transpose(*range(self.axis), last, *range(self.axis, last))

    def like(self, share: Share, scale: int, bound: float) -> SecureArray:
        """A share of count * k elements as (lanes, k)."""
        k = share.size // self.count if self.count else self.n
        return SecureArray(self.x._context, share.map(layout.reshape((self.count, k))), scale, bound)

    def numbers(self) -> Share:
        """0 to n-1 in every lane."""
        return self.x._context.protocol.public(np.tile(np.arange(self.n, dtype=np.uint64), (self.count, 1)))

    def sorted(self, columns: Sequence[Share], descending: bool = False) -> list[Share]:
        """Columns of shape (lanes, n) in the order of x within each lane."""
        proto = settled(self.x._context)
        self.x._context.met(("sorted", int(descending)))
        key = self.x._ring_share()
        bits = approx.bits_for(self.x.bound, self.x.scale)
        return sorting.sort_lanes(proto, proto.neg(key) if descending else key, bits, columns)

    def values(self, descending: bool = False) -> SecureArray:
        """x sorted in each lane."""
        return self.like(self.sorted([self.x._ring_share()], descending)[0], self.x.scale, self.x.bound)


# -- sign and extremes -----------------------------------------------------------------------------------------------


@cellwise
def sign(x: SecureArray) -> SecureArray:
    """-1, 0 or 1 as secret integers, exactly; both comparisons in one batch.

    Rounds: those of a sign, and 2. For |x| <= 128 at 18 bits 25 bytes per party and element (50 in a small batch).
    """
    x = x.numeric()
    proto, share = x._context.protocol, x._ring_share()
    bits = min(RANGE_BITS, approx.bits_for(x.bound, x.scale))
    flags = proto.b2a(proto.msb(proto.stack([share, proto.neg(share)], 0), bits))
    return SecureArray(x._context, proto.sub(flags.map(layout.take(1)), flags.map(layout.take(0))), 0, 1.0)


def _extreme(x: SecureArray, axis: int | None, keepdims: bool, largest: bool, where: bool, what: str) -> SecureArray:
    """Of equal values the first wins. All pairs at once where there are few, else a tournament of neighbours.

    Tournament: ceil(log2 n) levels of a sign, its conversion (2 rounds) and one product for value and (if ``where``)
    position together. Pairs: (n - 1) / 2 times the comparisons in about a third of the rounds.
    """
    lanes = _Lanes(x, axis, what)
    if lanes.n == 0:
        raise ShapeError(f"{what} of no elements: {x!r} has none along the axis")
    few = 2 < lanes.n <= _PAIRED and lanes.count * lanes.n**2 <= 2 * _AT_ONCE
    best = (_by_pairs if few else _by_rounds)(lanes, largest, where)
    scale, bound = (0, float(max(lanes.n - 1, 1))) if where else (lanes.x.scale, lanes.x.bound)
    result = lanes.back(SecureArray(x._context, best, scale, bound))
    if keepdims:
        return result if axis is not None else result.reshape((1,) * x.ndim)
    return result.reshape(lanes.shape)


def _by_pairs(lanes: _Lanes, largest: bool, where: bool) -> Share:
    """All pairs in one batch; an element wins if it beats those before it and none after it is better: (count, 1).

    Rounds: a sign, ceil(log2(n - 1)) ANDs, a conversion and (for the value) one product.
    """
    proto, n, count = lanes.x._context.protocol, lanes.n, lanes.count
    share = lanes.x._ring_share()
    first, second = np.triu_indices(n, 1)
    lead = proto.sub(share.map(layout.take((slice(None), second))), share.map(layout.take((slice(None), first))))
    bits = min(RANGE_BITS + 1, approx.bits_for(lanes.x.bound, lanes.x.scale) + 1)
    later_wins = proto.msb(proto.neg(lead) if largest else lead, bits)
    pair = np.zeros((n, n), np.int64)
    pair[first, second] = pair[second, first] = np.arange(first.size)
    # (m, n): whom k meets; the first opponents once more up to a power of two, as AND does not mind.
    meets = 1 << (n - 2).bit_length()
    others = np.array([[o for o in range(n) if o != k] for k in range(n)]).T[np.arange(meets) % (n - 1)]
    which = pair[others, np.arange(n)]
    wins = proto.map_bits(later_wins, layout.then(layout.take((slice(None), which)), layout.transpose((1, 0, 2))))
    against_later = np.broadcast_to((others > np.arange(n))[:, None], (meets, count, n))
    wins = proto.xor(wins, proto.a2bits(proto.public(np.asarray(against_later, np.uint64))))
    while wins.shape[0] > 1:
        half = wins.shape[0] // 2
        low, high = (proto.map_bits(wins, layout.take(slice(at, at + half))) for at in (0, half))
        wins = proto.and_(low, high)
    hot = proto.b2a(wins).map(layout.reshape((count, n)))
    if where:
        return proto.mul_public(hot, layout.constants(range(n))).map(layout.total(1, True))
    return proto.dot(hot, share).map(layout.reshape((count, 1)))


def _by_rounds(lanes: _Lanes, largest: bool, where: bool) -> Share:
    """The tournament: (count, 1)."""
    proto = lanes.x._context.protocol
    bits = min(RANGE_BITS + 1, approx.bits_for(lanes.x.bound, lanes.x.scale) + 1)
    items = lanes.x._ring_share().map(layout.reshape((1, lanes.count, lanes.n)))
    if where:
        numbers = lanes.numbers().map(layout.reshape(items.shape))
        items = proto.concatenate([items, numbers], 0)
    while items.shape[2] > 1:
        pairs = items.shape[2] // 2
        left = items.map(layout.take((slice(None), slice(None), slice(0, 2 * pairs, 2))))
        right = items.map(layout.take((slice(None), slice(None), slice(1, 2 * pairs, 2))))
        gain = proto.sub(right, left)
        lead = gain.map(layout.take(0))
        # The right one wins only if it is strictly better.
        better = proto.b2a(proto.msb(proto.neg(lead) if largest else lead, bits))
        won = proto.add(left, proto.mul(better.map(layout.broadcast(gain.shape)), gain))
        rest = items.map(layout.take((slice(None), slice(None), slice(2 * pairs, None))))
        items = proto.concatenate([won, rest], 2)
    return items.map(layout.take(1 if where else 0))


def max_(a: SecureArray, axis: int | None = None, keepdims: bool = False) -> SecureArray:
    """Largest value along an axis or of all, exactly. Rounds: ceil(log2 n) times those of a sign and 3.

    Up to 32 elements in at most 8192 pairs: those of one sign, ceil(log2(n - 1)) and 3. For |x| <= 128 at 18 bits 25
    bytes per party and element in a large batch, up to 60 in a small one.
    """
    if isinstance(a, nullable.NullableArray):
        return a.max(axis, keepdims)
    return _extreme(a, axis, keepdims, True, False, "max")


def min_(a: SecureArray, axis: int | None = None, keepdims: bool = False) -> SecureArray:
    """Smallest value along an axis or of all, exactly. Cost as ``max``."""
    if isinstance(a, nullable.NullableArray):
        return a.min(axis, keepdims)
    return _extreme(a, axis, keepdims, False, False, "min")


def argmax(a: SecureArray, axis: int | None = None, keepdims: bool = False) -> SecureArray:
    """Secret position of the (first) largest value along an axis or in the flattened array, exactly.

    Cost as ``max``, and 8 bytes per party and element.
    """
    return _extreme(a, axis, keepdims, True, True, "argmax")


def argmin(a: SecureArray, axis: int | None = None, keepdims: bool = False) -> SecureArray:
    """Secret position of the (first) smallest value along an axis or in the flattened array; cost as ``argmax``."""
    return _extreme(a, axis, keepdims, False, True, "argmin")


# -- sorting ---------------------------------------------------------------------------------------------------------


def sort(a: SecureArray, axis: int | None = -1, descending: bool = False) -> SecureArray:
    """Values in ascending order along an axis (None: of the flattened array), exactly; many short rows by a network.

    About 1.3 n log2 n comparisons in few batches: 39 for 100,000 values, 77 for a million, one up to 350. Rounds: each
    batch those of a sign and 1; 3 for the shuffle. Bytes for 100,000 values of 40 bits: 380 a value and party.
    """
    lanes = _Lanes(a, axis, "sort")
    return lanes.back(lanes.values(descending))


def argsort(a: SecureArray, axis: int | None = -1, descending: bool = False) -> SecureArray:
    """Secret positions that sort along an axis, stably (equal values keep their order), exactly. Cost as ``sort``."""
    lanes = _Lanes(a, axis, "argsort")
    return lanes.back(lanes.like(lanes.sorted([lanes.numbers()], descending)[0], 0, float(max(lanes.n - 1, 1))))


def sort_by(keys: SecureArray | Sequence[SecureArray], columns: Sequence[SecureArray]) -> list[SecureArray]:
    """Columns (arrays of n rows) ordered by the first key, among equals by the second and so on; stable.

    Keys are one-dimensional; write ``-key`` for descending order. Keys that together with row numbers fit 61 bits are
    compared at once, others cost a sort each. Exact. Cost as ``sort``, and 32 bytes in all per element of the columns.
    """
    listed = [keys] if isinstance(keys, SecureArray) else list(keys)
    given = [k.numeric() for k in listed]
    moved = [c.numeric() for c in columns]
    if not given or any(k.ndim != 1 for k in given) or any(c.shape[:1] != given[0].shape for c in [*given, *moved]):
        shapes = ", ".join(str(a.shape) for a in [*given, *moved])
        raise ShapeError(f"sort_by: expected one-dimensional keys and columns with as many rows, came {shapes}")
    proto = settled(given[0]._context)
    shares = sorting.sort(proto, [sort_key(k) for k in given], [c._ring_share() for c in moved])
    results = [SecureArray(c._context, s, c.scale, c.bound, c._flags) for s, c in zip(shares, moved, strict=True)]
    kinds = zip(columns, results, strict=True)
    return [SecureArray(r._context, proto.a2bits(r._ring_share())) if c.kind == "bool" else r for c, r in kinds]


def sort_key(x: SecureArray) -> orders.Key:
    """What ``mpc.sort`` needs to know of a key."""
    return x._ring_share(), approx.bits_for(x.bound, x.scale)


def top_k(x: SecureArray, k: int, axis: int = -1) -> tuple[SecureArray, SecureArray]:
    """The k largest values along an axis, the largest first, and their secret positions, exactly. Cost as ``sort``."""
    lanes = _Lanes(x, axis, "top_k")
    if not 1 <= k <= lanes.n:
        raise UsageError(f"top_k: expected 1 <= k <= {lanes.n}, the number of values along the axis, got {k}")
    columns = [lanes.x._ring_share(), lanes.numbers()]
    values, places = lanes.sorted(columns, descending=True)
    best = lanes.like(values, lanes.x.scale, lanes.x.bound)[:, :k]
    return lanes.back(best), lanes.back(lanes.like(places, 0, float(max(lanes.n - 1, 1)))[:, :k])


def quantile(
    a: SecureArray, q: npt.ArrayLike, axis: int | None = None, *, valid: SecureArray | None = None
) -> SecureArray:
    """Quantiles 0 <= q <= 1 (public), interpolated linearly; shape of q, then that of a without the axis.

    Error at most 1.2 units in the last place whatever the gap between the two values around, none where q falls on a
    value. Cost as ``sort``. ``valid`` (secret booleans, or integers that are checked to be 0 or 1; shape of a, or of
    the axis): other elements do not count, and their number stays hidden. Then the error is a unit and 2^-17 of the
    gap, and the result is 0 where nothing counts; it has fewer fractional bits where its bound leaves no room for the
    session's.
    """
    if isinstance(a, nullable.NullableArray) or isinstance(valid, nullable.NullableArray):
        valid, (a,) = nullable.counted("quantile", valid, a)
    if valid is not None:
        return _masked_quantile(a.numeric(), np.asarray(q, np.float64), axis, as_flags(valid, "quantile: valid"))
    lanes = _Lanes(a, axis, "quantile")
    wanted = np.asarray(q, np.float64)
    if lanes.n == 0:
        raise ShapeError(f"quantile of no elements: {a!r} has none along the axis")
    if not ((wanted >= 0) & (wanted <= 1)).all():
        raise UsageError(f"quantile: expected 0 <= q <= 1, got {q!r}")
    result = between_rows(lanes.values(), wanted.reshape(-1))
    return result.transpose().reshape(*wanted.shape, *lanes.shape)


_PART_DIGITS = 24  # of a part of a gap that are multiplied at a time
_FINER = 4  # bits by which a product of a gap and a part is finer than the result


def between_rows(ordered: SecureArray, wanted: npt.NDArray[np.float64]) -> SecureArray:
    """Quantiles (lanes, k) for public ``wanted`` (k,) of lanes (lanes, n) in ascending order, interpolated linearly.

    Error: that of a truncation and 2^-4 units (one truncation), or 2^-3 and 2^-48 of
    the gap where gaps may pass 2^28 units (two more).
    """
    n = ordered.shape[1]
    place = wanted * (n - 1)
    low = np.floor(place).astype(np.int64)
    part = place - low
    result = ordered[:, low]
    if not part.any():
        return result
    context, bound = ordered._context, ordered.bound
    if ordered.scale < context.fraction_bits:
        result = result.rescaled(max(ordered.scale, fitting_scale(2 * bound, context.fraction_bits)))
    context.met(("between", part.tolist()))
    gap = ordered[:, np.minimum(low + 1, n - 1)].rescaled(result.scale) - result
    proto, size = context.protocol, gap.bound * 2.0**gap.scale
    cut = exact.log2_ceil(max(size, 1.0)) + _FINER
    if exact.log2_ceil(max(size, 1.0)) + cut < RANGE_BITS:
        added = proto.truncate(proto.mul_public(gap._ring_share(), factors.as_ring(part, cut)), cut)
    else:
        upper = np.floor(np.ldexp(part, _PART_DIGITS)) / 2.0**_PART_DIGITS
        finer = max(0, min(_FINER, RANGE_BITS - 2 - exact.log2_ceil(size)))
        pieces = [np.ldexp(np.broadcast_to(p, gap.shape), finer) for p in (upper, part - upper)]
        added = functools.reduce(proto.add, [factors.scaled(context, gap._ring_share(), size, p) for p in pieces])
        added = proto.truncate(added, finer) if finer else added
    made = SecureArray(context, added, result.scale, gap.bound)
    return (result + made)._stated(bound + 2.0 ** (1 - result.scale))


def _masked_quantile(
    a: SecureArray, wanted: npt.NDArray[np.float64], axis: int | None, valid: SecureArray
) -> SecureArray:
    """Values that do not count are sorted behind all others; the place q (count - 1) is secret.

    With s_j = min(max(place - j, 0), 1) and s_-1 = 1, element j has the weight s_(j-1) - s_j: 1 - |place - j| for the
    two elements around the place, 0 elsewhere.
    """
    if axis is None:
        a, valid, axis = a.ravel(), valid.ravel(), 0
    n = a.shape[axis] if a.ndim else 0
    if valid.ndim == 1 and a.ndim > 1:
        valid = valid.reshape(tuple(n if i == axis % a.ndim else 1 for i in range(a.ndim)))
    if valid.ndim != a.ndim or n == 0:
        raise ShapeError(f"quantile: expected valid of the shape {a.shape} or ({n},), got {valid.shape}")
    if not ((wanted >= 0) & (wanted <= 1)).all():
        raise UsageError(f"quantile: expected 0 <= q <= 1, got {wanted.tolist()}")
    last = a.bound if a.scale else float(math.ceil(a.bound))  # one of the largest may stand behind it: they are equal
    behind = ((a - last) * valid + last)._stated(last)  # exact: a whole number times anything keeps its scale
    lanes = _Lanes(behind, axis, "quantile")
    ordered = lanes.values()
    count = _Lanes(valid, axis, "quantile").x.sum(axis=1)  # one for all lanes, or one each
    asked = wanted.reshape(-1)
    place = (count - 1).reshape((1, -1, 1)).multiply(asked.reshape((-1, 1, 1)), scale=_PLACE_BITS)
    ahead = (place - np.arange(n)).clip(0.0, 1.0)
    some = (count > 0).numeric().reshape((1, -1, 1)) * np.ones((asked.size, 1, 1), np.int64)
    weights = concatenate([some, ahead[:, :, :-1]], axis=2) - ahead
    # A mean of two values, for any n, so the sum has room whatever the bounds of single products.
    scale = fitting_scale(last, max(a.scale, a._context.fraction_bits))
    total = _weighed(weights, ordered, ordered.scale + weights.scale - scale)
    return SecureArray(a._context, total, scale, last + 2.0**-scale).reshape((*wanted.shape, *lanes.shape))


def _weighed(weights: SecureArray, ordered: SecureArray, cut: int) -> Share:
    """Sums over rows of weights (k, lanes, n) or (k, 1, n) times values (lanes, n), over 2^cut, which are not larger
    than the values: (k * lanes,). Where they have no room for the bits that are cut, the values are cut in two."""
    proto, shape = ordered._context.protocol, (weights.shape[0], *ordered.shape)

    def rows(x: Share) -> Share:
        return x.map(layout.then(layout.broadcast(shape), layout.reshape((shape[0] * shape[1], shape[2]))))

    left, values = rows(weights._ring_share()), ordered._ring_share()
    if exact.log2_ceil(max(ordered.bound, 2.0**-60)) + ordered.scale + weights.scale < RANGE_BITS:
        return proto.dot(left, rows(values), cut)
    high = proto.truncate(values, cut)
    low = proto.sub(values, proto.mul_public(high, layout.constant(1 << cut)))
    return proto.add(proto.dot(left, rows(high)), proto.dot(left, rows(low), cut))


def median(a: SecureArray, axis: int | None = None) -> SecureArray:
    """Middle value, or the mean of the two in the middle (error at most 1.2 units). Cost as ``sort``."""
    return quantile(a, 0.5, axis)


# -- ranks and counts ------------------------------------------------------------------------------------------------


def unique_count(x: SecureArray) -> SecureArray:
    """Secret number of different values in the whole array, exactly. Cost as ``sort``, and one zero test."""
    lanes = _Lanes(x, None, "unique_count")
    context = x._context
    if lanes.n == 0:
        return context.constant(0)
    ordered = lanes.values().reshape(-1)
    changes = tables.ends_of_runs(context.protocol, [sort_key(ordered)])
    return SecureArray(context, changes.share.map(layout.total(None, False)), 0, float(lanes.n))


def rank(x: SecureArray, method: str = "average") -> SecureArray:
    """Secret ranks from 1 of a one-dimensional array, as ``scipy.stats.rankdata``.

    ``method``: what equal values get: "average", "min", "max", "dense" or "ordinal". Exact (averages have halves).
    Cost as ``sort`` and 5 to 23 rounds.
    """
    methods = ("average", "min", "max", "dense", "ordinal")
    if method not in methods:
        raise UsageError(f"rank: expected method= one of {', '.join(methods)}; got {method!r}")
    if x.ndim != 1:
        raise ShapeError(f"rank: expected one dimension, came shape {x.shape}")
    lanes, context, proto = _Lanes(x, 0, "rank"), x._context, x._context.protocol
    n = lanes.n
    flat = layout.reshape((n,))
    ordered, places = (c.map(flat) for c in lanes.sorted([lanes.x._ring_share(), lanes.numbers()]))
    position = proto.public(layout.constants(range(1, n + 1)))
    scale, result = 0, position
    if method != "ordinal":
        ends = tables.ends_of_runs(proto, [(ordered, approx.bits_for(x.bound, x.scale))])
        first_row = proto.public(layout.constants([1, *[0] * (n - 1)][:n]))
        starts = Flags(proto.add(tables.previous(ends.share), first_row))  # no run ended before the first row
        if method == "dense":
            result = tables.cumulative(starts.share)
        if method in ("min", "average"):
            first = tables.carried_forward(proto, starts, [position])[0]
            result = first
        if method in ("max", "average"):
            back = layout.take(slice(None, None, -1))
            last = tables.carried_forward(proto, ends.map(back), [position.map(back)])[0].map(back)
            result = last
        if method == "average":
            scale = context.fraction_bits
            result = proto.mul_public(proto.add(first, last), layout.constant(1 << (scale - 1)))
    back_again = orders.scatter(proto, Places(places), [result])[0] if n else result
    return SecureArray(context, back_again, scale, float(max(n, 1)))


@cellwise
def isin(element: SecureArray, test_elements: npt.ArrayLike) -> SecureArray:
    """Whether each element is among the public ``test_elements``: secret booleans. Rounds of one zero test.

    Compares fixed-point integers exactly, as ``==`` does; a zero test for each different value among these: for
    |x| <= 128 at 18 bits 6 rounds and 5 bytes per party, element and value.
    """
    element = element.numeric()
    proto, context = element._context.protocol, element._context
    limit = math.floor(element.bound * 2.0**element.scale)
    given = np.asarray(test_elements).reshape(-1)
    if given.dtype.kind not in "biuf" or not np.isfinite(given).all():
        raise UsageError(f"isin: expected finite public numbers, came dtype {given.dtype}")
    if element.scale == 0:
        given = given[given == np.rint(given)]
    candidates = sorted({v for v in _units(element, given) if abs(v) <= limit})
    if not candidates:
        return SecureArray(context, proto.a2bits(proto.public(layout.zeros(element.shape))))
    column = layout.column(candidates, element.ndim)
    spread = element._ring_share().map(layout.broadcast((len(candidates), *element.shape)))
    bits = min(64, approx.bits_for(element.bound, element.scale) + 1)
    same = proto.is_zero(proto.add_public(spread, layout.negative(column)), bits)
    return SecureArray(context, proto.map_bits(same, layout.total(0, False)))  # at most one is true: XOR is OR


# -- public edges ----------------------------------------------------------------------------------------------------


def _units(x: SecureArray, values: npt.NDArray[Any]) -> list[int]:
    """Public numbers in units in the last place of x, rounded to nearest; integers exactly."""
    if values.dtype.kind in "biu":
        return [int(v) << x.scale for v in values.tolist()]
    return [int(v) for v in np.rint(values * 2.0**x.scale).tolist()]


def thresholds(x: SecureArray, edges: npt.ArrayLike, above: Sequence[bool]) -> list[int]:
    """Ring integers t so that x >= t says x >= edge, or x > edge where ``above``; within reach of the bound of x.

    Edges are rounded to x's fractional bits as in ``x < edge``; those of whole numbers are not.
    """
    values = np.asarray(edges)
    numbers = values.dtype.kind in "biuf" and values.ndim == 1
    if not numbers or not np.isfinite(values).all() or (values[1:] < values[:-1]).any():
        raise UsageError("expected public edges: finite numbers in one dimension and in ascending order")
    if x.scale == 0 and values.dtype.kind == "f":
        whole = [math.floor(v) + 1 if a else math.ceil(v) for v, a in zip(values.tolist(), above, strict=True)]
    else:
        whole = [v + a for v, a in zip(_units(x, values), above, strict=True)]
    limit = math.floor(x.bound * 2.0**x.scale) + 1
    return [max(-limit, min(limit, v)) for v in whole]


def at_least(x: SecureArray, limits: Sequence[int]) -> Share:
    """1 where x >= limit for each limit: shape (limits, *x.shape). One batch of comparisons and a conversion."""
    proto = x._context.protocol
    bits = (2 * (math.floor(x.bound * 2.0**x.scale) + 1)).bit_length()
    spread = x._ring_share().map(layout.broadcast((len(limits), *x.shape)))
    column = layout.negative(layout.column(limits, x.ndim))
    return proto.b2a(proto.invert(proto.msb(proto.add_public(spread, column), min(bits, RANGE_BITS + 1))))


def prefer_sort(n: int, edges: int) -> bool:
    """Whether sorting n values among the edges is cheaper than comparing each with each edge (and converting that)."""
    together = n + edges
    return 3 * n * edges > 2 * together * exact.log2(together + 2) + _SORT_ROUNDS


def merged(x: SecureArray, limits: Sequence[int], columns: Sequence[Share]) -> tuple[Places, list[Share]]:
    """Public limits and the elements of x in one ascending order, limits before equal elements.

    Returns row numbers (limits first), and the columns given for len(limits) + x.size rows, all in that order.
    """
    proto = settled(x._context)
    flat = x._ring_share().map(layout.reshape((-1,)))
    keys = proto.concatenate([proto.public(layout.constants(limits)), flat], 0)
    rows = orders.row_numbers(proto, keys.shape[0])
    bits = (math.floor(x.bound * 2.0**x.scale) + 1).bit_length()
    rows, *moved = sorting.sort(proto, [(keys, min(bits, RANGE_BITS))], [rows, *columns])
    return Places(rows), moved


def searchsorted(a: npt.ArrayLike, v: SecureArray, side: str = "left") -> SecureArray:
    """How many of the public, ascending edges ``a`` are below each element ("left"), or below or equal ("right").

    As ``numpy.searchsorted(a, v, side)``, exactly for edges rounded to v's fractional bits as in ``v < edge``: an edge
    within half a unit of a value is equal to it, as 0.1 is to 0.1. Edges of whole numbers are not rounded. Few edges
    are compared one by one: rounds of a sign and 2. For many the elements are sorted together with them: cost as
    ``sort``, and 2 rounds.
    """
    if side not in ("left", "right"):
        raise UsageError(f"searchsorted: expected side= 'left' or 'right', got {side!r}")
    if isinstance(a, SecureArray) or not isinstance(v, SecureArray | nullable.NullableArray):
        raise UsageError("searchsorted: the edges (first) are public, the elements (second) secret")
    v = v.numeric()
    limits = thresholds(v, a, [side == "left"] * np.size(a))
    context, proto, count = v._context, v._context.protocol, len(limits)
    if count == 0 or v.size == 0:
        return context.constant(np.zeros(v.shape, np.int64))
    if not prefer_sort(v.size, count):
        places = at_least(v, limits).map(layout.total(0, False))
    else:
        is_edge = proto.public(layout.constants([1] * count + [0] * v.size))
        rows, (edges,) = merged(v, limits, [is_edge])
        spread = orders.scatter(proto, rows, [tables.cumulative(edges)])[0]
        places = spread.map(layout.then(layout.take(slice(count, None)), layout.reshape(v.shape)))
    return SecureArray(context, places, 0, float(count))


from . import nullable  # noqa: E402  (it builds on the functions above)
