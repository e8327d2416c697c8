"""Secret thresholds that cut columns into bins: quantiles in which a frequent value counts as two bins and no more.

Plain quantiles of a column that is 0 in 92 of 100 rows are nearly all 0, so that trees see nothing of the rest. Here
each value counts with at most ``cap`` of its rows, the first ones in sorted order. Of the rows that count, those in the
first half of the cap stand for the threshold at their value, the others for that just above it. With a cap of at least
two bins both are found: a frequent value has a bin of its own, and the other rows share the bins that are left. The cap
is chosen on shares: the least of cap_0, cap_0 / 2, ... 1 that is at least two bins of the rows that count with it. So a
column without frequent values is cut at its quantiles, and one of few values between all of them.

Which rows count follows from comparing sorted values at public distances: a value counts with its first c rows where it
differs from the one c places before. Nothing is opened but what sorts and shuffles open.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ..array import SecureArray
from ..errors import UsageError
from ..mpc import approx, orders, tables
from ..mpc import sort as sorting
from ..mpc.protocol import Protocol
from ..mpc.shares import Bits, Places, Share
from ..ring import exact, layout
from .flags import as_flags
from .order import settled

Floats = npt.NDArray[np.float64]

_PLACE = 24  # fractional bits of a place among the rows that count
_PART = 14  # of these, bits between two rows that are used
_SAMPLED = 8  # of so many rows one says how many count with a cap
_AT_ONCE = 1 << 22  # values that are treated together


def shares_of_rows(bins: int, rows: int) -> Floats:
    """Where to cut for trees: the shares of rows below ``bins`` - 1 thresholds, closer together at both ends.

    Equal steps, and from 12, 24 and 48 bins one, two and three thresholds more at each end, at a half, a quarter and an
    eighth of a step, while that is four rows: a rule for the last half percent of the rows is found with 64 bins.
    """
    ends = 3 if bins >= 48 else 2 if bins >= 24 else 1 if bins >= 12 else 0
    while ends and rows < (4 << ends) * (bins - 2 * ends):
        ends -= 1
    steps = bins - 2 * ends
    inner = np.arange(1, steps) / steps
    outer = 1.0 / (steps << np.arange(ends, 0, -1))
    return np.concatenate([outer, inner, 1 - outer[::-1]])


def cut_points(x: SecureArray, at: npt.ArrayLike, valid: SecureArray | None = None) -> SecureArray:
    """Thresholds (k, d) of the columns of x (n, d), in ascending order, for public shares ``at`` (k,) of the rows.

    A row lies beyond a threshold if it is at least that. Without frequent values these are the quantiles of the column,
    interpolated between two rows to 2^-13 of their distance, and the same each time. ``valid`` (n,) or (n, d), flags:
    rows and cells that count. Where none does, a threshold is beyond every value.

    Cost: a sort of the columns, and about 110 bytes per party and value and 45 rounds; 20 and 10 more with ``valid``.
    """
    n, d = x.shape
    wanted = np.asarray(at, np.float64)
    if wanted.ndim != 1 or not len(wanted) or not ((wanted > 0) & (wanted < 1)).all():
        raise UsageError(f"cut_points: expected shares of rows between 0 and 1, got {at!r}")
    x = x.numeric()
    x = x.rescaled(max(x.scale, _PART))
    last = _beyond(x)
    if valid is not None:
        real = as_flags(valid, "cut_points: valid")
        real = real if real.ndim == 2 else real.reshape((-1, 1))
        x = ((x - last) * real + last)._stated(last)
    width = max(1, _AT_ONCE // max(1, n * len(_caps(n, wanted))))
    parts = [
        _Lanes(x[:, low : min(low + width, d)].T, wanted, last if valid is not None else None).found()
        for low in range(0, d, width)
    ]
    proto = x._context.protocol
    share = parts[0] if len(parts) == 1 else proto.concatenate(parts, 1)
    return SecureArray(x._context, share, x.scale, last + 2.0**-x.scale)


def _beyond(x: SecureArray) -> float:
    """A number above the bound of x, and near it, that is exact at its scale."""
    unit = 2.0 ** -min(x.scale, 20 - exact.log2_ceil(x.bound + 1))
    return (math.ceil(x.bound / unit) + 2) * unit


def _caps(n: int, at: Floats) -> list[int]:
    """Rows with which a value may count, descending to 1; the first always suffices."""
    caps = [max(1, math.ceil(2 * n * float(np.diff(at, prepend=0.0, append=1.0).max())))]
    while caps[-1] > 1:
        caps.append(caps[-1] // 2)
    return caps


class _Lanes:
    """Some columns, each sorted as a lane (d, n)."""

    def __init__(self, x: SecureArray, at: Floats, last: float | None) -> None:
        """``last``: what stands in rows that do not count, beyond all values; None: all count."""
        self.at, self.shape = at, x.shape
        proto = self.proto = settled(x._context)
        x._context.met(("cut", at.tolist(), last is None))
        self.bits = approx.bits_for(x.bound, x.scale)
        key = x._ring_share()
        self.values = sorting.sort_lanes(proto, key, self.bits, [key])[0].map(layout.reshape(x.shape))
        self.last = None if last is None else int(last * 2.0**x.scale)

    def found(self) -> Share:
        """Thresholds (k, d)."""
        proto, (d, n) = self.proto, self.shape
        counts, first = self._counted()
        both = proto.b2a(tables.joined([counts, first])).map(layout.reshape((2, d, n)))
        counted, lower = (both.map(layout.take(k)) for k in range(2))
        # the value, or one unit in the last place more
        thresholds = proto.add(self.values, proto.sub(counted, lower))
        places = Places(_in_front(proto, counted))  # counted is made of bits
        front = orders.scatter(proto, places, [thresholds.map(layout.reshape((d * n,)))])[0]
        return self._read(front.map(layout.reshape((d, n))), counted.map(layout.total(1, False)))

    def _counted(self) -> tuple[Bits, Bits]:
        """Rows that count, and those of them that stand for the threshold at their value, (d * n,) each."""
        proto, (d, n) = self.proto, self.shape
        caps = _caps(n, self.at)
        steps = [self._step(cap) for cap in caps]
        if self.last is not None:
            steps.append(proto.add_public(self.values, layout.constant(-self.last)))
        same = proto.is_zero(proto.stack(steps, 0), min(64, self.bits + 1))
        new = proto.invert(tables.lines(proto, Bits(same.parts, (len(steps), d * n))))
        real = None if self.last is None else new.rows(len(caps), len(caps) + 1)
        new = new.rows(0, len(caps))
        if len(caps) == 1:
            counts = first = new
        else:
            chosen = self._chosen(new, caps)
            halves = tables.chosen(new, [*range(1, len(caps)), len(caps) - 1])
            picked = proto.and_(tables.joined([chosen, chosen]), tables.joined([new, halves]))
            counts, first = (tables.xor_of(picked, range(a, a + len(caps))) for a in (0, len(caps)))
        if real is not None:
            both = proto.and_(tables.joined([counts, first]), tables.joined([real, real]))
            counts, first = both.rows(0, 1), both.rows(1, 2)
        return counts, first

    def _step(self, distance: int) -> Share:
        """What a value is more than that ``distance`` places before; 1 where there is none, (d, n)."""
        proto, (d, n) = self.proto, self.shape
        none = proto.public(layout.ones((d, min(distance, n))))
        if distance >= n:
            return none
        ahead, behind = (
            self.values.map(layout.take((slice(None), part))) for part in (slice(distance, None), slice(-distance))
        )
        return proto.concatenate([none, proto.sub(ahead, behind)], 1)

    def _chosen(self, new: Bits, caps: Sequence[int]) -> Bits:
        """A plane for each cap, 1 in the rows of the lanes that take it: the least that suffices, as all larger do.

        A cap suffices if it is at least two of the largest steps, in rows that count with it: of all rows, as many as a
        sample says.
        """
        proto, (d, n), levels = self.proto, self.shape, len(caps)
        step = min(_SAMPLED, max(1, n // 512))
        some = layout.then(layout.reshape((d, n)), layout.take((slice(None), slice(0, n, step))))
        sampled = proto.b2a(proto.map_bits(new.rows(1, levels), some))
        sampled = sampled.map(layout.reshape((levels - 1, d, -1))).map(layout.total(2, False))
        gap = float(np.diff(self.at, prepend=0.0, append=1.0).max())
        limits = [math.floor(cap / (2 * gap * step)) for cap in caps[1:]]
        few = proto.sub(proto.public(layout.constants(np.repeat(limits, d).tolist())).map(
            layout.reshape((levels - 1, d))), sampled)  # fmt: skip
        lacks = proto.msb(few.map(layout.take(slice(None, None, -1))), max(*limits, n).bit_length() + 1)
        every = approx.or_from_above(proto, tables.lines(proto, Bits(lacks.parts, (levels - 1, d))))
        lacks = tables.chosen(every, range(levels - 2, -1, -1))  # of caps 1, 2, ...
        ends = proto.invert(lacks.rows(levels - 2, levels - 1))
        hot = [lacks.rows(0, 1), *(proto.xor(lacks.rows(k, k + 1), lacks.rows(k + 1, k + 2))
                                   for k in range(levels - 2)), ends]  # fmt: skip
        wide = layout.then(layout.reshape((d, 1)), layout.then(layout.broadcast((d, n)), layout.reshape((d * n,))))
        return proto.map_bits(tables.joined(hot), wide)

    def _read(self, front: Share, count: Share) -> Share:
        """Quantiles (k, d) of the first ``count`` (d,) values of each lane of ``front`` (d, n)."""
        proto, (d, n) = self.proto, self.shape
        k = len(self.at)
        digits = max(2, (n - 1).bit_length())
        none = proto.b2a(proto.is_zero(count, n.bit_length() + 1)) if self.last is not None else None
        least = proto.add_public(count, layout.constant(-1))
        least = least if none is None else proto.add(least, none)
        factors = layout.constants([round(a * (1 << _PLACE)) for a in self.at.tolist()]).reshape((1, k))
        place = proto.mul_public(least.map(layout.then(layout.reshape((d, 1)), layout.broadcast((d, k)))), factors)
        planes = proto.bits(place, digits + _PLACE)
        low = digits // 2
        wide, tall = 1 << low, 1 << (digits - low)
        hot_low = tables._patterns(proto, planes.rows(_PLACE, _PLACE + low), wide)
        hot_high = tables._patterns(proto, planes.rows(_PLACE + low, _PLACE + digits), tall)
        part = planes.rows(_PLACE - _PART, _PLACE)
        flat = proto.b2a(tables.joined([hot_high, hot_low, part]))
        ends = pairwise((0, tall, tall + wide, tall + wide + _PART))
        high, fine, bits = (flat.map(layout.take(slice(a, b))) for a, b in ends)
        padded = front.map(layout.padded(tall * wide - n))
        step = proto.sub(padded.map(layout.then(layout.take((slice(None), slice(1, None))), layout.padded(1))), padded)
        # the last row that counts has none behind it, and place is never beyond it
        grid = proto.stack([padded.map(layout.reshape((d, tall, wide))), step.map(layout.reshape((d, tall, wide)))], 2)
        rows = proto.matmul(
            high.map(layout.transpose((1, 2, 0))), grid.map(layout.reshape((d, tall, 2 * wide)))
        ).map(layout.reshape((d, k, 2, wide)))
        column = fine.map(layout.then(layout.transpose((1, 2, 0)), layout.reshape((d, k, 1, wide))))
        column = column.map(layout.then(layout.broadcast((d, k, 2, wide)), layout.reshape((-1, wide))))
        pair = proto.dot(rows.map(layout.reshape((-1, wide))), column).map(layout.reshape((d, k, 2)))
        value, gap = (pair.map(layout.take((slice(None), slice(None), side))) for side in range(2))
        weights = layout.column([1 << i for i in range(_PART)], 2)
        share = proto.mul_public(bits, weights).map(layout.total(0, False))
        found = proto.add(value, proto.mul(gap, share, _PART))
        return found.map(layout.transpose(None))


def _in_front(proto: Protocol, flags: Share) -> Share:
    """Places (d * n,) that bring the rows with a flag of each lane (d, n) to its front, all in order. One round."""
    d, n = flags.shape
    count = flags.map(layout.cumulative(1))
    total = flags.map(layout.total(1, True)).map(layout.broadcast((d, n)))
    row = np.tile(np.arange(n, dtype=np.uint64), (d, 1))
    others = proto.add_public(proto.sub(total, count), row)
    first = proto.add_public(count, layout.constant(-1))
    places = proto.add(others, proto.mul(flags, proto.sub(first, others)))
    lanes = np.repeat(np.arange(d, dtype=np.uint64) * np.uint64(n), n)
    return proto.add_public(places.map(layout.reshape((d * n,))), lanes)
