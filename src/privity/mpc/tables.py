"""Tables on shares, written once over Protocol: runs of equal rows, running sums, groups, secret row numbers.

Flags are ring integers 0 or 1 of shape (n,); columns are arrays of n rows. How many flags are set stays hidden.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..ring import layout
from . import orders
from .protocol import Protocol
from .shares import Bits, Flags, Places, Share


def cumulative(x: Share) -> Share:
    """Running sums over the rows. Local."""
    return x.map(layout.cumulative(0))


def previous(x: Share, shift: int = 1) -> Share:
    """Row j holds row j - shift; zeros where there is none. Local."""
    return x.map(layout.shifted(shift))


def ends_of_runs(proto: Protocol, keys: Sequence[orders.Key]) -> Flags:
    """1 in the last row of each run of equal keys: one zero test for each key, and an AND for each key but one."""
    n = keys[0][0].shape[0]
    same: Bits | None = None
    for key, bits in keys:
        step = proto.sub(key.map(layout.take(slice(1, None))), key.map(layout.take(slice(None, -1))))
        equal = proto.is_zero(step, min(64, bits + 1))
        same = equal if same is None else proto.and_(same, equal)
    assert same is not None
    if n == 0:
        return Flags(proto.public(layout.zeros((0,))))
    changes = proto.b2a(proto.invert(same))
    return Flags(proto.concatenate([changes, proto.public(layout.constants([1]))], 0))


def both(proto: Protocol, first: Flags, second: Flags) -> Flags:
    """1 where both are. One round."""
    return Flags(proto.mul(first.share, second.share))


def neither(proto: Protocol, flags: Flags) -> Flags:
    """1 where the flag is 0. Local."""
    return Flags(proto.add_public(proto.neg(flags.share), layout.constant(1)))


def places_in_front(proto: Protocol, flags: Flags) -> Places:
    """Where each row goes if those with a flag come first and all keep their order: a secret permutation. One round.

    With c the running count of flags and m their number: flag * (c - 1) + (1 - flag) * (m + j - c).
    """
    given, n = flags.share, flags.share.shape[0]
    count = cumulative(given)
    total = given.map(layout.total(0, True)).map(layout.broadcast((n,)))
    others = proto.add_public(proto.sub(total, count), layout.arange(n))
    first = proto.add_public(count, layout.constant(-1))
    return Places(proto.add(others, proto.mul(given, proto.sub(first, others))))


def in_front(proto: Protocol, flags: Flags, columns: Sequence[Share]) -> list[Share]:
    """The columns, rows with a flag first; all keep their order otherwise. Three rounds."""
    return orders.scatter(proto, places_in_front(proto, flags), columns)


def carried_forward(proto: Protocol, starts: Flags, columns: Sequence[Share]) -> list[Share]:
    """For each row the values of the last row at or before it that has a flag (zeros before the first). Six rounds.

    Differences between the values of consecutive flagged rows are taken where these stand together, go back to their
    rows, and add up to the values again.
    """
    n = starts.share.shape[0]
    if n == 0:
        return list(columns)
    mixed = orders.Scattered(proto, places_in_front(proto, starts), columns)
    steps = mixed.back([proto.sub(c, previous(c)) for c in mixed.columns])
    return [cumulative(c) for c in masked(proto, starts.share, steps)]


def running_sums(proto: Protocol, starts: Flags, columns: Sequence[Share]) -> list[Share]:
    """Running sums that start anew in each flagged row. Six rounds; sums wrap around like all ring integers."""
    sums = [cumulative(c) for c in columns]
    before = carried_forward(proto, starts, [proto.sub(s, c) for s, c in zip(sums, columns, strict=True)])
    return [proto.sub(s, b) for s, b in zip(sums, before, strict=True)]


def masked(proto: Protocol, flags: Share, columns: Sequence[Share]) -> list[Share]:
    """The columns, zero in rows without a flag; one round for all."""
    return _products(proto, [_beside(flags, c) for c in columns], columns)


def _beside(flags: Share, column: Share) -> Share:
    """Flags broadcast over the row of a column."""
    ones = (1,) * (len(column.shape) - 1)
    return flags.map(layout.then(layout.reshape((flags.shape[0], *ones)), layout.broadcast(column.shape)))


def _products(proto: Protocol, left: Sequence[Share], right: Sequence[Share]) -> list[Share]:
    """Elementwise products of several pairs in one round."""
    flat = layout.reshape((-1,))
    product = proto.mul(
        proto.concatenate([x.map(flat) for x in left], 0), proto.concatenate([y.map(flat) for y in right], 0)
    )
    out, at = [], 0
    for x in right:
        part = product.map(layout.take(slice(at, at + x.size)))
        out.append(part.map(layout.reshape(x.shape)))
        at += x.size
    return out


# -- secret row numbers ------------------------------------------------------------------------------------------


def one_hot(proto: Protocol, x: Share, count: int, bits: int) -> Bits:
    """Plane j is 1 where x = j, for j below ``count``; all 0 where x is none of these. |x| < 2^bits.

    The bits of x in two halves, each one-hot, and all products of these: count ANDs an element and log2 of the bits
    rounds; bits above those of ``count``, the sign among them, must be zero.
    """
    low = max(1, (count - 1).bit_length())
    total = max(bits, low) + 1
    planes = proto.bits(x, total)
    rest = all_planes(proto, proto.invert(planes.rows(low, total)))
    hot = _patterns(proto, planes.rows(0, low), count)
    return proto.and_(hot, _repeated(rest, hot.planes))


def _patterns(proto: Protocol, planes: Bits, count: int) -> Bits:
    """Plane j of min(count, 2^k) is 1 where the k planes are the bits of j."""
    k = planes.planes
    if k == 1:
        return joined([proto.invert(planes), planes]) if count > 1 else proto.invert(planes)
    half = k // 2
    size = 1 << half
    low = _patterns(proto, planes.rows(0, half), min(count, size))
    high = _patterns(proto, planes.rows(half, k), -(-count // size))
    rows = [j % size for j in range(count)]
    columns = [j // size for j in range(count)]
    return proto.and_(chosen(low, rows), chosen(high, columns))


def all_planes(proto: Protocol, planes: Bits) -> Bits:
    """AND of all planes, by halves."""
    while planes.planes > 1:
        pairs = planes.planes // 2
        both = proto.and_(planes.rows(0, pairs), planes.rows(pairs, 2 * pairs))
        planes = joined([both, planes.rows(2 * pairs, planes.planes)])
    return planes


def _repeated(plane: Bits, count: int) -> Bits:
    return chosen(plane, [0] * count)


def chosen(b: Bits, planes: Sequence[int]) -> Bits:
    """Some planes of b, in this order."""
    return Bits(tuple(layout.asarray(layout.take(list(planes))(p)) for p in b.parts), b.shape, len(planes))


def every(b: Bits, planes: slice) -> Bits:
    """Planes at equal steps, without a copy."""
    return Bits(tuple(part[planes] for part in b.parts), b.shape, len(range(b.planes)[planes]))


def joined(blocks: Sequence[Bits]) -> Bits:
    """The planes of several, one below the other."""
    parts = tuple(layout.concatenate(ps, 0) for ps in zip(*(b.parts for b in blocks), strict=True))
    return Bits(parts, blocks[0].shape, sum(b.planes for b in blocks))


def lookup_public(proto: Protocol, hot: Bits, table: Sequence[int], width: int) -> Share:
    """sum_j hot_j * table[j] for integers |table[j]| < 2^width: XOR of the planes for each bit, then ``width`` + 1
    conversions; as many conversions as the table has entries if that is fewer.
    """
    if hot.planes <= width + 1:
        flags = proto.b2a(hot)
        flags = flags if hot.planes > 1 else flags.map(layout.reshape((1, *hot.shape)))
        return proto.mul_public(flags, layout.column(table, len(hot.shape))).map(layout.total(0, False))
    proto.note(b"table", table)
    bits = [[j for j, value in enumerate(table) if value >> b & 1] for b in range(width + 1)]
    planes = proto.b2a(joined([xor_of(hot, rows) for rows in bits]))
    weights = [1 << b for b in range(width)] + [-(1 << width)]
    return proto.mul_public(planes, layout.column(weights, len(hot.shape))).map(layout.total(0, False))


def lines(proto: Protocol, b: Bits) -> Bits:
    """Bits of an array (k, n) as k planes of n elements; of several planes those of the first come first. Local."""
    k, n = b.shape
    if n % 64 and b.parts:
        b = proto.map_bits(b, layout.padded(-n % 64))
    words = (n + 63) // 64
    return Bits(tuple(layout.reshape((b.planes * k, words))(p) for p in b.parts), (n,), b.planes * k)


def beside(blocks: Sequence[Bits]) -> Bits:
    """The elements of several, one behind the other; all but the last of a multiple of 64 elements. Local."""
    parts = tuple(layout.concatenate(ps, 1) for ps in zip(*(b.parts for b in blocks), strict=True))
    return Bits(parts, (sum(b.size for b in blocks),), blocks[0].planes)


def xor_of(b: Bits, planes: Sequence[int]) -> Bits:
    """XOR of some planes, as one plane. Local."""
    return Bits(tuple(layout.xor_rows(p, planes) for p in b.parts), b.shape, 1)
