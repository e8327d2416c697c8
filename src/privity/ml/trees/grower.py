"""Growing trees on shares, level by level, several trees side by side: nobody learns a split, a leaf or its size.

    score = G_L^2 / (H_L + lambda) + G_R^2 / (H_R + lambda)

for the sums G and H of gradients and second derivatives of the rows to the left and right of a threshold. The best
score of a node, less its own G^2 / (H + lambda), must exceed gamma, else it does not split: its rows all go left, as
rows of a node that splits might. Every tree is complete: its shape depends on the depth alone.

For a level of N nodes and n rows each party sends 8 bytes for every element of: histograms of the right children (N
times columns * thresholds; left ones by subtraction), which rows go there (N n), and their gradients and second
derivatives there (2 N n, not at the last level); and about 480 for each candidate. Source: Chen and Guestrin, KDD
2016, section 3; histograms on shares: Lu and others, Squirrel, USENIX Security 2023.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...array import SecureArray
from ...errors import UsageError
from ...functions import argmax, concatenate, maximum, minimum, one_hot, relu, stack, where
from ...functions.ratio import ratio
from ...ring import exact, layout
from .bins import Bins
from .routing import Walk, carried, children, flags, weighted
from .scaled_weights import Factor, Scaling
from .target import BITS

_SUM = 28  # fractional bits of sums over their largest possible value
_WEIGHT = 22  # of weights in these units
_PRODUCT = 60  # bits that a product may take before it is cut
_VALUE = 18  # fractional bits of a row's weight


@dataclass(frozen=True, slots=True)
class Growth:
    """How trees grow: ``depth`` levels of splits; ``reg_lambda``, ``reg_alpha``, ``gamma``, ``min_child_weight`` as in
    XGBoost, lambda + min_child_weight above 0. ``monotone``: per column -1, 0 or 1; None for none. ``steep``: |G| is at
    most this times H, as for squared errors; None: nothing is known. ``shrink``: factor on the leaves' weights.
    ``clipped``: largest weight of a candidate, larger ones are cut (XGBoost's max_delta_step). ``largest``: of a leaf,
    before ``shrink``, which is cut there; may be secret, (trees,). None: neither. ``factor``: by which gradients and
    second derivatives were multiplied, through rows' weights or the unit of the target. ``total``: the largest that the
    sum of weights can be; None: as many as rows. ``inverse``: by which gradients alone were multiplied.
    """

    depth: int
    reg_lambda: float = 1.0
    reg_alpha: float = 0.0
    gamma: float = 0.0
    min_child_weight: float = 1.0
    monotone: tuple[int, ...] | None = None
    steep: float | None = None
    shrink: float = 1.0
    largest: float | SecureArray | None = None
    clipped: float | None = None
    factor: Factor | Scaling | None = None
    total: float | None = None
    inverse: Factor | None = None


@dataclass(frozen=True, slots=True)
class Trees:
    """``count`` complete trees of one depth, side by side; all secret.

    ``splits``: per level (count * nodes, width of a block): the chosen threshold as one-hot, a second 1 at the chosen
    column's empty cells if these go right, all 0 where a node does not split. ``left``, ``right``: weights of the
    leaves, (count * nodes of the last level,). Nodes stand tree by tree, from left to right.
    """

    splits: list[SecureArray]
    left: SecureArray
    right: SecureArray
    count: int

    def predict(self, bins: Bins, lanes: int = 1, bits: int = _VALUE) -> SecureArray:
        """The sum of the trees' weights for each row, every ``lanes``-th tree in one sum: (lanes, rows).

        At ``bits`` fractional bits, or as many as the leaves have.
        """
        return self._values(flags(bins, self.splits), lanes, bits)

    def _values(self, levels: list[SecureArray], lanes: int, bits: int = _VALUE) -> SecureArray:
        context, each = self.left._context, self.count // lanes
        leaves = stack([self.left, self.right], axis=1).reshape((1, self.count, -1))
        bound, scale = each * self.left.bound, self.left.scale
        context.fits(bound, scale, "the sum of a row's leaves")
        if lanes > 1:
            mine = np.arange(self.count) % lanes == np.arange(lanes)[:, None]
            leaves = leaves * mine[:, :, None].astype(np.int64)
        return weighted(levels, leaves, max(0, scale - bits))._stated(bound + each * 2.0**-10)


def grow(
    bins: Bins,
    gradient: SecureArray,
    hessian: SecureArray,
    growth: Growth,
    allowed: npt.NDArray[np.bool_] | None = None,
) -> tuple[Trees, SecureArray]:
    """Trees for gradients and second derivatives (trees, rows), and their weights for these rows, (trees, rows).

    Both are 0 in rows that a tree does not learn from. ``allowed`` (trees, columns): public, the columns that a tree
    may use. Weights are -G / (H + lambda).
    """
    if growth.depth < 1 or not growth.reg_lambda + growth.min_child_weight > 0:
        raise UsageError("trees need a depth of at least 1, and reg_lambda + min_child_weight above 0")
    count, rows = gradient.shape
    units = _Units.of(rows, gradient, hessian, growth)
    every = concatenate([x.rescaled(gradient.scale).reshape((1, count, rows)) for x in (gradient, hessian)])
    every = every._stated(max(gradient.bound, hessian.bound))
    most = 2.0 ** max(units.log_g, units.log_h)
    sums, totals = _histogram(bins, every, most), every.sum(axis=2)._stated(most)
    walk, levels = Walk(bins), []
    splits: list[SecureArray] = []
    limits: tuple[SecureArray, SecureArray] | None = None
    for depth in range(growth.depth):
        found = _Splits(bins, units, growth, sums, totals, allowed, limits)
        splits.append(found.chosen)
        limits = found.limits
        levels.append(walk.counted(found.chosen))
        if depth == growth.depth - 1:
            break
        right = carried(every, levels[-1])
        sums = children(sums, _histogram(bins, right, most))
        totals = children(totals, right.sum(axis=2)._stated(most))
    made = Trees(splits, *found.weights(), count)
    return made, made._values(levels, count, _VALUE if growth.inverse is None else BITS)


Scalar = float | SecureArray


@dataclass(frozen=True, slots=True)
class _Units:
    """Sums as parts of the largest they can be: G of 2^log_g, H of 2^log_h.

    ``sum_bits``: fractional bits. ``reg_lambda``, and ``least_child`` of H where a candidate counts: in units of H.
    ``alpha``: of G. ``gamma``: of G^2 / H. Public, or secret where rows' weights were multiplied by a secret factor.
    ``least``: public, of what G is divided by; ``most``: of the quotient, in units of G / H.
    """

    log_g: int
    log_h: int
    sum_bits: int
    reg_lambda: Scalar
    least_child: Scalar
    alpha: Scalar
    gamma: Scalar
    least: float
    most: float

    @staticmethod
    def of(rows: int, gradient: SecureArray, hessian: SecureArray, growth: Growth) -> _Units:
        m, sizes = max(1, (rows - 1).bit_length()), (gradient.bound, hessian.bound)
        if growth.total is None:
            log_g, log_h = (m + exact.log2_ceil(x) for x in sizes)
        else:  # the bounds are those of a row of which weight all consists
            log_g, log_h = (exact.log2_ceil(x) for x in sizes)
        bits = _SUM - max(0, m - 18) // 2

        def scaled(value: Scalar, log: int) -> Scalar:
            if growth.factor is not None:
                return growth.factor.times(value, log, bits)
            if isinstance(value, SecureArray):
                return SecureArray(value._context, value._ring_share(), value.scale + log, value.bound * 2.0**-log)
            return value * 2.0**-log

        def own(value: float, log: int) -> Scalar:
            """A penalty of gradients, in units of 2^log."""
            return value if growth.inverse is None or not value else growth.inverse.times(value, log, bits)

        alpha = scaled(own(growth.reg_alpha, log_g), 0 if growth.inverse and growth.reg_alpha else log_g)
        gamma = scaled(growth.gamma, 2 * log_g - log_h)
        if growth.inverse and growth.gamma:
            half = own(math.sqrt(growth.gamma), log_g - log_h // 2)
            assert isinstance(half, SecureArray)
            gamma = scaled(half.multiply(half, scale=bits), -(log_h % 2))
        low = 0 if growth.factor is None else growth.factor.low
        ends = [value * 2.0 ** (low - log_h) for value in (growth.reg_lambda, growth.min_child_weight)]
        # what counts weighs at least this, and the rest has 1; two units for what was rounded
        least = min(ends[1], 1.0) + ends[0] - 2.0 ** (1 - bits)
        most = 1.02 / max(sum(ends), 2.0**-bits)
        if growth.steep is not None:
            most = min(most, 1.01 * growth.steep * 2.0 ** (log_h - log_g))
        return _Units(
            log_g, log_h, bits, scaled(growth.reg_lambda, log_h), scaled(growth.min_child_weight, log_h),
            alpha, gamma, least, most,
        )  # fmt: skip

    @property
    def weight_bits(self) -> int:
        """Fractional bits of weights in units of G / H."""
        return min(_WEIGHT, _PRODUCT - self.sum_bits - exact.log2_ceil(self.most))

    def normal(self, x: SecureArray, log: int) -> SecureArray:
        """x / 2^log at ``sum_bits``, at most 1."""
        scaled = SecureArray(x._context, x._ring_share(), x.scale + log, 1.0)
        return scaled.rescaled(self.sum_bits)._stated(1.0)

    def weight(self, w: SecureArray, growth: Growth) -> SecureArray:
        """-w in the gradient's own unit, at most the session's fractional bits."""
        shift = self.log_g - self.log_h
        scale = w.scale - shift
        if scale < 0:
            w = w.rescaled(w.scale - scale)
            scale = 0
        out = SecureArray(w._context, (-w)._ring_share(), scale, w.bound * 2.0**shift)
        if isinstance(growth.largest, SecureArray):
            most = growth.largest.rescaled(min(growth.largest.scale, out.scale))
            nodes = layout.then(layout.reshape((-1, 1)), layout.broadcast((most.size, w.shape[1] // most.size)))
            most = most._rearranged(nodes).reshape((1, -1))
            out = minimum(maximum(out, -most), most)._stated(min(out.bound, most.bound))
        elif growth.largest is not None and out.bound > growth.largest:
            out = out.clip(-growth.largest, growth.largest)
        # without a unit of their own as many as a row's sum, which is exact then: equal leaves, equal margins
        bits = min(scale, _VALUE if growth.inverse is None else BITS)
        out = out.rescaled(bits)
        return out if growth.shrink == 1.0 else out.multiply(np.asarray(growth.shrink), scale=bits)


class _Splits:
    """The best split of each node of a level. ``chosen`` as in ``Trees.splits``."""

    def __init__(
        self,
        bins: Bins,
        units: _Units,
        growth: Growth,
        sums: SecureArray,
        totals: SecureArray,
        allowed: npt.NDArray[np.bool_] | None,
        limits: tuple[SecureArray, SecureArray] | None,
    ) -> None:
        """``sums`` (2, nodes, block width), ``totals`` (2, nodes): of gradients and second derivatives."""
        self.units, self.growth = units, growth
        nodes, splits, d = totals.shape[1], bins.splits, bins.columns
        self._context = totals._context
        g_all, h_all = (units.normal(totals[k], log) for k, log in enumerate((units.log_g, units.log_h)))
        g, h = (units.normal(sums[k], log) for k, log in enumerate((units.log_g, units.log_h)))
        if bins.gaps:
            g, h = (_both_ways(x, bins) for x in (g, h))
        else:
            g, h = g[:, :splits], h[:, :splits]
        sides = stack([(g_all.reshape((-1, 1)) - g)._stated(1.0), g])  # left, right
        both_g, whole, g_all = self._thresholded(sides), g_all, self._thresholded(g_all)
        both_h = stack([(h_all.reshape((-1, 1)) - h)._stated(1.0), h])
        heavy = (both_h >= units.least_child)._bit_share()
        proto = self._context.protocol
        enough = SecureArray(
            self._context, proto.and_(*(proto.map_bits(heavy, layout.take(k)) for k in range(2)))
        ).numeric()
        w, w_all = self._weights(both_g, both_h, enough, g_all, h_all)
        if growth.clipped is None:
            score = self._score(both_g, w)
            own = g_all.multiply(w_all, scale=units.sum_bits)
        else:
            most = growth.clipped * 2.0 ** (units.log_h - units.log_g)
            w, w_all = (x.clip(-most, most) for x in (w, w_all))
            # XGBoost's gains of weights that it may cut leave alpha out
            score, own = self._cut_score(sides, both_h, w).sum(axis=0), self._cut_score(whole, h_all, w_all)
        if growth.monotone is not None:
            score = score * self._ordered(w, bins, limits)
        # what does not count has at most 4, for 1 was added to its H: now less than nothing
        score = score + (enough - 1) * 8
        if allowed is not None:
            public = np.tile(np.repeat(allowed, nodes // len(allowed), axis=0), (1, score.shape[1] // d))
            score = score * public.astype(np.int64)
        best = argmax(score, axis=1)
        hot = one_hot(best, score.shape[1]).numeric()
        values = stack([score, w[0].rescaled(score.scale), w[1].rescaled(score.scale)], axis=2)
        picked = hot.reshape((nodes, 1, -1)).matmul(values).reshape((nodes, 3))
        gain = picked[:, 0]._stated(score.bound) - own
        # a gain within the error of rounding is none, as in XGBoost
        needed = units.gamma + 2.0 ** (3 - units.sum_bits)
        splits_here = (gain > needed).numeric()
        hot = hot * splits_here.reshape((-1, 1))
        self._w = [picked[:, k]._stated(w.bound) for k in (1, 2)]
        self._own, self._flag = w_all, splits_here
        self.limits = self._limits(hot, bins, limits) if growth.monotone is not None else None
        if bins.gaps:
            right = hot[:, splits:]
            columns = right.reshape((nodes, bins.thresholds, d)).sum(axis=1)
            hot = concatenate([(hot[:, :splits] + right)._stated(1.0), columns._stated(1.0)], axis=1)
        self.chosen = hot._stated(1.0)

    def weights(self) -> tuple[SecureArray, SecureArray]:
        """Weights of the leaves below these nodes: (nodes,), (nodes,)."""
        flag = self._flag
        left = where(flag > 0, self._w[0], self._own.rescaled(self._w[0].scale))
        right = self._w[1] * flag
        both = stack([left, right])._stated(self._w[0].bound)
        made = self.units.weight(both, self.growth)
        return made[0], made[1]

    def _score(self, g: SecureArray, w: SecureArray) -> SecureArray:
        """The sum of g w over both sides (first axis), one rounding."""
        bits, bound = self.units.sum_bits, 2 * g.bound * w.bound
        self._context.fits(bound, g.scale + w.scale, "the score of a split")
        sides = layout.then(layout.transpose((1, 2, 0)), layout.reshape((-1, 2)))
        pairs = [x._ring_share().map(sides) for x in (g, w)]
        share = self._context.protocol.dot(pairs[0], pairs[1], g.scale + w.scale - bits)
        return SecureArray(self._context, share.map(layout.reshape(g.shape[1:])), bits, bound)

    def _cut_score(self, g: SecureArray, h: SecureArray, w: SecureArray) -> SecureArray:
        """w (2 G - (H + lambda) w): what a weight is worth that is not G / (H + lambda) but was cut."""
        pull = (h + self.units.reg_lambda).multiply(w, scale=self.units.sum_bits)
        return (g * 2 - pull).multiply(w, scale=self.units.sum_bits)

    def _thresholded(self, g: SecureArray) -> SecureArray:
        """The sum of gradients, drawn towards 0 by alpha."""
        if not self.growth.reg_alpha:
            return g
        alpha = self.units.alpha
        return (relu(g - alpha) - relu(-g - alpha))._stated(1.0)

    def _weights(
        self, g: SecureArray, h: SecureArray, enough: SecureArray, g_all: SecureArray, h_all: SecureArray
    ) -> tuple[SecureArray, SecureArray]:
        """G / (H + lambda) of all candidates, left and right, and of the nodes. 1 is added where nothing counts."""
        units, nodes = self.units, g_all.shape[0]
        light = (h_all < units.least_child).numeric()
        below = concatenate(
            [(h + (1 - enough)._stated(1.0)).reshape((-1,)), (h_all + light).reshape((-1,))]
        )._stated(2.0) + units.reg_lambda
        above = concatenate([g.reshape((-1,)), g_all.reshape((-1,))])
        w = ratio(above, below, units.most, units.weight_bits, least=units.least)
        return w[:-nodes].reshape(g.shape), w[-nodes:]

    def _ordered(self, w: SecureArray, bins: Bins, limits: tuple[SecureArray, SecureArray] | None) -> SecureArray:
        """1 where the order of the two weights is what the column's constraint wants."""
        wanted = np.asarray(self.growth.monotone)
        sign = np.tile(wanted, w.shape[2] // bins.columns)
        # leaves have -w: an increasing column wants w of the left side at least that of the right
        wrong = ((w[0] - w[1]) * sign < 0).numeric()
        allowed: SecureArray = 1 - wrong * np.abs(sign)
        return allowed._stated(1.0)

    def _limits(
        self, hot: SecureArray, bins: Bins, limits: tuple[SecureArray, SecureArray] | None
    ) -> tuple[SecureArray, SecureArray]:
        """Lowest and highest w that descendants may have, for the children in their order."""
        sign = np.tile(np.asarray(self.growth.monotone), hot.shape[1] // bins.columns)
        direction = (hot * sign).sum(axis=1)._stated(1.0)
        bound = self._w[0].bound
        nodes = hot.shape[0]
        if limits is None:
            flat = self._context.constant(np.full(nodes, bound), scale=self._w[0].scale)
            limits = -flat, flat
        low, high = limits
        self._w = [minimum(maximum(x, low), high)._stated(bound) for x in self._w]
        self._own = minimum(maximum(self._own, low), high)._stated(bound)
        middle = (self._w[0] + self._w[1]).multiply(0.5, scale=self._w[0].scale)
        up, down = direction > 0, direction < 0
        # increasing: left leaves, with -w, stay below the middle, so their w stays above it
        lows = [where(up, middle, low), where(down, middle, low)]
        highs = [where(down, middle, high), where(up, middle, high)]
        below, above = (stack(x, axis=1).reshape((-1,))._stated(bound) for x in (lows, highs))
        return below, above


def _both_ways(x: SecureArray, bins: Bins) -> SecureArray:
    """Sums to the right of each threshold (nodes, splits), then the same with the rows whose cell is empty."""
    right, gaps = x[:, : bins.splits], x[:, bins.splits :]
    return concatenate([right, right + concatenate([gaps] * bins.thresholds, axis=1)], axis=1)._stated(1.0)


def _histogram(bins: Bins, rows: SecureArray, most: float | None = None) -> SecureArray:
    """Sums over the rows beyond each threshold, (k, nodes, width), for ``rows`` (k, nodes, n): one product.

    ``most``: public bound of a sum; None: that of as many rows.
    """
    k, nodes, n = rows.shape
    share = rows._ring_share().map(layout.reshape((k * nodes, n)))
    pairs = [  # the big matrix on the left: it is read where it lies
        (block._ring_share(), share.map(layout.then(layout.take((slice(None), span)), layout.transpose(None))))
        for span, block in zip(bins.spans(), bins.blocks, strict=True)
    ]
    total = rows._context.protocol.matmul_sum(pairs).map(layout.transpose(None))
    bound = rows.bound * n if most is None else most
    rows._context.fits(bound, rows.scale, "a histogram's sum")
    return SecureArray(rows._context, total.map(layout.reshape((k, nodes, -1))), rows.scale, bound)
