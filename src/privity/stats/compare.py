"""Two groups compared: the t-test and the Mann-Whitney test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..array import SecureArray
from ..disclosure import opened_where
from ..errors import ShapeError
from ..functions import stack, where
from ..functions.flags import as_flags, secret
from ..functions.nullable import listwise
from ..functions.ratio import fitting_scale, ratio
from ..functions.spread import spread_of, standardised
from ..ml.metrics.ranking import curve_of, pairs_in_order
from ..ml.metrics.sample import binary
from ..ml.parameters import arguments
from ..ring import layout
from ..types import RANGE_BITS
from . import pvalues
from .sample import TestResult, both_enough, cells, opened_result

_FINE = 36  # fractional bits of shares in [0, 1] that stand for a statistic
_NAN = float("nan")


@dataclass(frozen=True)
class TTest:
    """``share`` (secret, in [-1, 1]): t^2 / (t^2 + capacity) with t's sign; ``df`` secret; ``counts`` (2,) of rows."""

    share: SecureArray
    df: SecureArray
    counts: SecureArray
    capacity: int

    def open(self, *, to: Any, name: str, reason: str) -> Any:
        """A ``TestResult``: t (group 1 less group 0), two-sided p value, degrees of freedom. One opening of shape (2,).

        Suppressed if either group is below the minimum.
        """
        context = self.share._context
        value = opened_where(
            context, stack([self.share, self.df]), both_enough(self.counts), to=to, name=name, reason=reason
        )

        def read(opened: np.ndarray) -> TestResult:
            share, df = float(opened[0]), float(opened[1])
            if not df > 0:
                return TestResult(_NAN, _NAN, _NAN)
            size = min(abs(share), 1.0 - 2.0**-_FINE)
            t = math.copysign(math.sqrt(self.capacity * size / (1.0 - size)), share)
            return TestResult(t, pvalues.of_t(t, df), df)

        return opened_result(value, read)


@arguments
@listwise
def ttest(
    x: SecureArray, group: SecureArray, *, valid: SecureArray | None = None, equal_var: bool = False
) -> TTest:
    """t-test of the means of x (n,) in group 1 and group 0 (secret booleans or 0/1 integers, (n,)).

    As ``scipy.stats.ttest_ind(x[group == 1], x[group == 0], equal_var=...)``; the default is Welch's. Opened are t and
    the degrees of freedom, not means, deviations or sizes of the groups. NaN where both groups are constant.
    Whatever the bound and the offset of x: error of t 2^-12 (relative above 1), and what a deviation below 2^10 units
    in the last place of x loses. RangeViolated at the next opening where x is not constant, and varies by less than 4
    units in the last place, or where the groups vary by less than 2^-12 of what all rows do. Rounds: about 400.
    """
    secret("ttest: group", group)
    if valid is not None:
        secret("ttest: valid", valid)
    if x.ndim != 1 or group.shape != x.shape or x.shape[0] == 0:
        raise ShapeError(f"ttest: expected x and group of shape (n,) with n > 0, got {x.shape} and {group.shape}")
    n = x.shape[0]
    if valid is not None and valid.shape != x.shape:
        raise ShapeError(f"ttest: expected valid of shape {x.shape}, got {valid.shape}")
    one = binary("ttest", group, "group", valid)
    zero = (1 - one)._stated(1.0)
    mask = stack([one, zero], axis=1)
    if valid is not None:
        mask = (mask * as_flags(valid, "ttest: valid").reshape((-1, 1)))._stated(1.0)
    counts = mask.sum(axis=0)
    values = _scores(x, valid)
    root = values.bound
    fine = fitting_scale(root, 30, 44)
    means = ratio((values * mask)._stated(root).sum(axis=0), counts, root, fine)
    deviation = ((values - means.rescaled(values.scale)) * mask)._stated(2 * root)
    scale = fitting_scale(4.1 * n, 2 * deviation.scale, 58) // 2
    deviation = deviation if scale == deviation.scale else deviation.rescaled(scale)
    # all squares together are n at most, as those of the scores are
    each = x._context.protocol.mul(deviation._ring_share(), deviation._ring_share()).map(layout.total(0, False))
    most = 1.01 * n
    squares = SecureArray(x._context, each, 2 * scale, most)  # (2,)
    squares = squares.rescaled(fitting_scale(2 * most * n, squares.scale, 60))
    degrees = (counts - 1)._stated(counts.bound)
    if equal_var:
        within = ratio(squares.sum()._stated(most), degrees.sum()._stated(float(n)), most, 40)
        df = degrees.sum().rescaled(x._context.fraction_bits)
    else:
        # each variance times the other's part of the rows
        bits = fitting_scale(most, 60, 60)
        parts = ratio(counts, counts.sum()._stated(float(n)), 1.0, min(30, bits // 2))
        spread = ratio(squares, degrees, most, bits - parts.scale)
        crossed = spread.multiply(parts[np.array([1, 0])], scale=min(40, fitting_scale(most, 40, 58)))._stated(most)
        within = crossed.sum()._stated(2 * most)
        part = ratio(crossed[0], within, 1.0, 28)
        rest = (1 - part)._stated(1.0)
        shares = stack([part * part, rest * rest])
        df = ratio(
            (degrees[0] * degrees[1])._stated(float(n * n)),
            (shares * degrees[np.array([1, 0])]).sum()._stated(2.0 * n),
            float(n),
        )
    within, df = _resolved(within, df)
    # t^2 = K between / within with K the public number of rows: between is the gap's part of the mean square, 1 at most
    product = (counts[0] * counts[1])._stated(float(n * n))
    portion = ratio(product, (counts.sum() * n)._stated(float(n * n)), 1.0, _PART)
    gap = (means[0] - means[1])._stated(2 * root)
    between = _between(gap, portion)
    within = within.rescaled(min(within.scale, between.scale))
    between = between.rescaled(max(within.scale, fitting_scale(most + 1, between.scale, 58)))
    whole = between + within
    near, far = ratio(stack([between, within]), whole, 1.0, _FINE)  # the smaller one has the digits
    size = where(between < within, near, 1 - far)._stated(1.01)
    signed = size * (1 - (gap < 0).numeric() * 2)
    return TTest(signed._stated(1.01), df._stated(float(n)), counts, n)


def _scores(x: SecureArray, valid: SecureArray | None) -> SecureArray:
    """x (n,) less its mean and over its deviation, (n, 1): t does not change, and neither bound nor offset matter."""
    given = cells("ttest", x, valid).centred()
    spread = spread_of(given)
    spread.refuse("ttest: x")
    n = x.shape[0]
    return standardised(given, spread, fitting_scale(n, 30, 40))


_PART = 36  # fractional bits of a portion


def _between(gap: SecureArray, portion: SecureArray) -> SecureArray:
    """portion * gap^2, which lies within 1 whatever the bound of the gap; and portion * |gap| within 1/2 as well."""
    context, proto = gap._context, gap._context.protocol
    short = gap.rescaled(min(gap.scale, RANGE_BITS - 1 - _PART + 1))
    part = proto.mul(portion._ring_share(), short._ring_share(), portion.scale + short.scale - 30)
    share = proto.mul(part, gap._ring_share(), 30 + gap.scale - 40)
    return SecureArray(context, share, 40, 1.01)


_CONSTANT, _COARSE = 4, 512  # units in the last place of a variance: that count as none, that are too few


def _resolved(within: SecureArray, df: SecureArray) -> tuple[SecureArray, SecureArray]:
    """Degrees of freedom 0 where nothing varies; guarded that what varies does so by enough units in the last place."""
    unit = 2.0**-within.scale
    low = stack([within - (_CONSTANT + 1) * unit, within - _COARSE * unit]) < 0
    flat, few = stack([low[0], low[0] ^ low[1]]).numeric()  # no difference, which could be -1 under a false bound
    within._context.guard(
        few._ring_share(),
        "ttest: within the groups x varies by so little beside the distance of their means that t has no digits; there "
        "is nothing to test",
    )
    return within, (df * (1 - flat))._stated(df.bound)


@dataclass(frozen=True)
class MannWhitney:
    """``effect``: share of pairs in which group 1 has the larger value, ties half. ``share``: z^2 / (z^2 + 12)."""

    effect: SecureArray
    share: SecureArray
    counts: SecureArray

    def open(self, *, to: Any, name: str, reason: str) -> Any:
        """A ``TestResult``: z (above 0: group 1 is larger), two-sided p value, effect. One opening of shape (2,)."""
        context = self.share._context
        value = opened_where(
            context, stack([self.effect, self.share]), both_enough(self.counts), to=to, name=name, reason=reason
        )

        def read(opened: np.ndarray) -> TestResult:
            effect, share = float(opened[0]), float(opened[1])
            if share != share:
                return TestResult(_NAN, _NAN, None, _NAN)
            size = min(abs(share), 1.0 - 2.0**-_FINE)
            z = math.sqrt(12.0 * size / (1.0 - size))
            # within the correction of half a pair, p is 1
            return TestResult(math.copysign(z, effect - 0.5), pvalues.of_normal(z) if share > 0 else 1.0, None, effect)

        return opened_result(value, read)


@arguments
@listwise
def mannwhitneyu(x: SecureArray, group: SecureArray, *, valid: SecureArray | None = None) -> MannWhitney:
    """Mann-Whitney U test of x (n,) in group 1 against group 0, with ties and continuity correction.

    As ``scipy.stats.mannwhitneyu(..., method="asymptotic")``, two-sided; ``effect`` is U / (n1 n0). Opened are effect
    and z, not the sizes of the groups. At most 2^20 rows. Cost: a ``sort``, and about 250 rounds. Error of z: 1e-4.
    """
    curve = curve_of("mannwhitneyu", group, x, valid, None, "group")
    flag, hits, misses, before = curve.thresholds()
    n = float(x.shape[0])
    pairs = curve.pairs
    twice = pairs_in_order(flag, hits, misses, before)
    both = hits + misses
    size = ((both - both._rearranged(layout.shifted(1))) * flag)._stated(n)
    cubed = (size * (size * size - 1)._stated(n * n))._stated(n**3)
    cubes = SecureArray(x._context, cubed._ring_share().map(layout.total(None, False)), 0, n**3)
    rows = (curve.positive + curve.negative)._stated(n)
    ties = ratio(cubes, (rows * (rows - 1))._stated(n * n), n + 1, fitting_scale(3 * n * n, 20, 59))
    spread = ratio((rows + 1 - ties)._stated(n + 1), pairs, 3.0, 40)
    lead = (twice - pairs)._stated(n * n)  # 2 (U - n1 n0 / 2)
    ahead = (abs(lead) - 1)._stated(n * n)
    distance = ratio(ahead, pairs * 2, 1.0, 30)
    square = distance.multiply(distance, scale=40)
    share = ratio(square, square + spread, 1.0, _FINE)
    share = share * (1 - (ahead < 0).numeric() * 2)
    effect = ratio(twice, pairs * 2, 1.0)
    counts = stack([curve.positive, curve.negative])
    return MannWhitney(effect, share._stated(1.01), counts)
