"""Trees that lower an impurity, on shares and side by side: Gini's of classes, or the variance of a number.

Both are sums of squares, so both are the growth of trees by gradients g = -y and second derivatives h = 1 without a
penalty, with one gradient for each class. A candidate's gain, divided by what a node weighs, is

    sum over classes of (g_R h - g h_R)^2 / (h_L h_R h),

with g, h the sums in the node over its weight: differences of means, so that nothing large cancels, and one division.

Rows go to a level's N nodes for 8 N n bytes per party, and their sums (weight, and one for each class but the first)
along with them; at the last level nothing moves. A histogram is 8 bytes for each sum, node, column and threshold;
scoring is about 550 bytes for each candidate in small batches, and only of the columns drawn for the node. Source:
Breiman and others, Classification and Regression Trees, 1984, chapters 2 and 8.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...array import SecureArray
from ...functions import concatenate, reciprocal, stack
from ...functions.nearest import nearest_one
from ...functions.ratio import ratio
from ...ring import exact, layout
from .bins import Bins
from .grower import _both_ways, _histogram
from .routing import Walk, carried, children, flags, weighted

VALUE = 22
"""Fractional bits of a leaf's values."""
_SUM = 28  # of sums over the largest that they can be
_MEAN = 22  # of differences of means

Integers = npt.NDArray[np.int64]
Draw = Callable[[int], Integers | None]
"""Level -> the columns that each node may use, (nodes of all trees, columns to try), public; None: all. Among equal
gains the first of these columns wins, at its lowest threshold, as in scikit-learn."""


@dataclass(frozen=True, slots=True)
class Sums:
    """What trees add up, by row: ``weight`` (trees, n) and ``values`` (k, trees, n), weight times target: the number,
    or whether it is class 1, 2, ...

    ``total``: public bound on a tree's sum of weights. ``largest``: on |target|. ``count`` (trees, n): 1 in rows that
    count towards ``min_samples_leaf``, None: the weights do. ``bits``: fractional bits at which gains are compared.
    """

    weight: SecureArray
    values: SecureArray
    total: float
    largest: float
    count: SecureArray | None = None
    bits: int = 30

    @property
    def log_weight(self) -> int:
        """2 to this is at least any sum of weights."""
        return max(1, exact.log2_ceil(self.total))

    @property
    def log_value(self) -> int:
        """2 to this is at least any sum of values."""
        return self.log_weight + exact.log2_ceil(self.largest)

    @property
    def sum_bits(self) -> int:
        """Fractional bits of sums over the largest that they can be."""
        return _SUM - max(0, self.log_weight - 18) // 2


@dataclass(frozen=True, slots=True)
class Limits:
    """``depth`` levels of splits; the least number of rows and the least weight of both sides of a split."""

    depth: int
    min_samples_leaf: int
    min_weight_leaf: float


@dataclass(frozen=True, slots=True)
class Grown:
    """Complete trees, side by side, secret. ``splits``: as in ``grower.Trees``. ``values`` (k, trees,
    leaves): mean of the target. ``covers`` (trees, leaves): sum of the weights. Leaves stand from left to right.
    """

    splits: list[SecureArray]
    values: SecureArray
    covers: SecureArray


def grow_by_impurity(bins: Bins, sums: Sums, limits: Limits, draw: Draw) -> Grown:
    """Trees of ``sums.weight.shape[0]``. A split needs enough on both sides, no gain: as in scikit-learn.

    Without columns drawn the lowest threshold wins among equal gains, then the first column. Opens nothing; the shape
    depends on public sizes alone.
    """
    count, rows = sums.weight.shape
    parts = [sums.weight.reshape((1, count, rows)), sums.values]
    if sums.count is not None:
        parts.append(sums.count.rescaled(sums.weight.scale).reshape((1, count, rows)))
    every = concatenate(parts)._stated(max(p.bound for p in parts))
    most = _largest(sums)
    found, totals = _histogram(bins, every, most), every.sum(axis=2)._stated(most)
    walk = Walk(bins)
    splits: list[SecureArray] = []
    for depth in range(limits.depth):
        level = _Level(bins, sums, limits, found, totals, draw(depth))
        splits.append(level.chosen)
        if depth < limits.depth - 1:
            right = carried(every, walk.counted(level.chosen))
            found = children(found, _histogram(bins, right, most))
            totals = children(totals, right.sum(axis=2)._stated(most))
    values, covers = level.leaves()
    return Grown(splits, values.reshape((values.shape[0], count, -1)), covers.reshape((count, -1)))


def averaged(bins: Bins, splits: list[SecureArray], values: SecureArray, used: Integers | None = None) -> SecureArray:
    """The sum over the trees of the values (k, trees, leaves) of the leaves where rows fall, (k, rows).

    ``used`` (trees, rows): public, 1 where a tree counts for a row; None: everywhere. Per party, tree and row 8.25
    bytes for each node, and 8 k bytes a row in all.
    """
    values._context.fits(values.bound * values.shape[1], values.scale, "a sum over the trees")
    return weighted(flags(bins, splits), values, used=used)


class _Level:
    """The best split of each node of a level. ``chosen``: as in ``Grown.splits``."""

    def __init__(
        self, bins: Bins, sums: Sums, limits: Limits, found: SecureArray, totals: SecureArray, columns: Integers | None
    ) -> None:
        """``found`` (sums, nodes, width of a block), ``totals`` (sums, nodes)."""
        self.sums, self.totals, self._context = sums, totals._stated(_largest(sums)), totals._context
        kept, nodes = totals.shape
        right = found
        if bins.gaps:
            right = _both_ways(found.reshape((kept * nodes, -1)), bins).reshape((kept, nodes, -1))
        where, back = _places(bins, columns)
        if where is not None:
            right = right._rearranged(layout.take((slice(None), np.arange(nodes)[:, None], where)))
        self.right = right._stated(_largest(sums))
        enough = self._enough(limits)
        # a split without gain is one, as in scikit-learn; one that leaves too few rows on a side is none
        score = self._score(enough, limits.min_weight_leaf) * enough + (enough - 1)
        best, _ = nearest_one(-score._stated(1.1))
        self.hot = (best * enough)._stated(1.0)
        hot = self.hot
        if back is not None:
            none = self._context.constant(np.zeros((nodes, 1), np.int64))
            hot = concatenate([hot, none], axis=1)._rearranged(layout.take((np.arange(nodes)[:, None], back)))
        if bins.gaps:
            over = hot[:, bins.splits :]
            empty = over.reshape((nodes, bins.thresholds, bins.columns)).sum(axis=1)
            hot = concatenate([hot[:, : bins.splits] + over, empty], axis=1)
        self.chosen = hot._stated(1.0)

    def leaves(self) -> tuple[SecureArray, SecureArray]:
        """Values (classes or 1, leaves) and weights (leaves,) below these nodes, left and right in turn."""
        kept, nodes = self.totals.shape
        columns = self.right.transpose(1, 2, 0)
        right = self.hot.reshape((nodes, 1, -1)).matmul(columns).reshape((nodes, kept)).T._stated(self.right.bound)
        both = stack([self.totals - right, right], axis=2).reshape((kept, 2 * nodes))._stated(self.right.bound)
        values = ratio(both[1 : 1 + len(self.sums.values)], both[:1], self.sums.largest, VALUE)
        return values.rescaled(VALUE), both[0]._stated(self.sums.total)

    def _enough(self, limits: Limits) -> SecureArray:
        """1 where both sides of a candidate have enough rows and weight, (nodes, candidates)."""
        wanted = [(0, limits.min_weight_leaf)]
        if self.sums.count is not None:
            wanted.append((len(self.totals) - 1, float(limits.min_samples_leaf)))
        sides = []
        for k, least in wanted:
            right = self.right[k]._stated(self.sums.total)
            left = (self.totals[k].reshape((-1, 1)) - right)._stated(self.sums.total)
            sides += [left - least, right - least]
        low = stack(sides) < 0
        fine = ~low[0]
        for k in range(1, len(sides)):
            fine = fine & ~low[k]
        return fine.numeric()

    def _score(self, enough: SecureArray, least: float) -> SecureArray:
        """Gain of each candidate over the weight of its node, in units of the largest target squared."""
        sums, proto, bits = self.sums, self._context.protocol, self.sums.sum_bits
        outputs = len(sums.values)
        everything = concatenate([self.right, self.totals.reshape((*self.totals.shape, 1))], axis=2)
        h, g = _normal(everything[0], sums.log_weight, bits), _normal(everything[1 : 1 + outputs], sums.log_value, bits)
        if outputs > 1:  # the first class has what the others leave
            g = concatenate([g, (h - g.sum(axis=0))._stated(1.0).reshape((1, *h.shape))])
        unit = least * 2.0**-sums.log_weight
        light = (h[:, -1] < unit * (1 - 2.0**-8)).numeric()
        z = reciprocal((h[:, -1] + light)._stated(2.0), scale=_MEAN)._stated(1.02 / unit)
        # sums over the node's weight; |h z| <= 1, whatever the bound of z
        parts = concatenate([h.reshape((1, *h.shape)), g])
        wide = z.reshape((-1, 1))._rearranged(layout.broadcast(parts.shape))
        shares = SecureArray(self._context, proto.mul(parts._ring_share(), wide._ring_share(), _MEAN), bits, 1.02)
        a, whole = shares[0, :, :-1], shares[0, :, -1:]
        p = a.multiply(whole - a, scale=bits) + (1 - enough)
        inverse = reciprocal(p._stated(2.0), scale=_MEAN)._stated(4.1 / unit)
        e = _differences(shares[1:, :, :-1], whole, shares[1:, :, -1:], a, bits)
        # e over p is a difference of means
        means = proto.mul(e._ring_share(), inverse._fitted(e.shape), bits)
        last = layout.then(layout.transpose((1, 2, 0)), layout.reshape((-1, len(e))))
        score = proto.dot(e._ring_share().map(last), means.map(last), bits + _MEAN - sums.bits)
        return SecureArray(self._context, score.map(layout.reshape(a.shape)), sums.bits, 1.05)


def _largest(sums: Sums) -> float:
    return sums.total * max(1.0, sums.largest)


def _normal(x: SecureArray, log: int, bits: int) -> SecureArray:
    """x / 2^log, at most 1."""
    return SecureArray(x._context, x._ring_share(), x.scale + log, 1.0).rescaled(bits)._stated(1.0)


def _differences(g: SecureArray, h: SecureArray, total_g: SecureArray, a: SecureArray, bits: int) -> SecureArray:
    """g h - total_g a for g (k, nodes, c), h (nodes, 1), total_g (k, nodes, 1), a (nodes, c); one rounding."""
    pairs = [
        stack([x._rearranged(layout.broadcast(g.shape)) for x in both], axis=-1).reshape((-1, 2))
        for both in ((g, -total_g), (h, a))
    ]
    share = g._context.protocol.dot(pairs[0]._ring_share(), pairs[1]._ring_share(), bits)
    return SecureArray(g._context, share.map(layout.reshape(g.shape)), bits, 1.05)


def _places(bins: Bins, columns: Integers | None) -> tuple[Integers | None, Integers | None]:
    """Candidates of each node (nodes, c) among all of them, and for all of them (nodes, all) the place there, or c."""
    if columns is None:
        return None, None
    step = np.arange(bins.thresholds) * bins.columns
    where = (columns[:, :, None] + step).reshape(len(columns), -1)
    if bins.gaps:
        where = np.concatenate([where, where + bins.splits], axis=1)
    back = np.full((len(columns), bins.splits * (2 if bins.gaps else 1)), where.shape[1])
    back[np.arange(len(columns))[:, None], where] = np.arange(where.shape[1])
    return where, back
