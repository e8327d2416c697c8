"""What a second-order model sees of its rows: bounded columns, weights of mean 1, and means over rows.

Objectives are means over real rows, so that a penalty means the same whatever the number of rows. Columns must be
standardised (mean square at most ``MEAN_SQUARE``), which bounds every gradient and curvature by the Cauchy-Schwarz
inequality, whatever single values may be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..array import SecureArray
from ..context import Context
from ..errors import RangeViolated, ShapeError, UsageError
from ..functions import concatenate, reciprocal, stack
from ..functions.flags import as_flags
from ..functions.select import outside_count
from ..given import the_columns
from ..ring import exact, layout
from ..types import RANGE_BITS
from .estimator import Rows
from .information import lifted
from .weights import guard_weights

MEAN_SQUARE = 4.0
"""Largest weighted mean square of a column, guarded: standardised columns have 1."""
CLASS_MEAN_SQUARE = 64.0
"""The same where classes have weights: a column that tells a rare class apart is far from 0 in the rows that count."""
PLAIN_MEAN_SQUARE = 64.0
"""The same without the weights, where there are some."""
OTHER_LABELS = "for other labels pass y == L, where L counts as 1: y == 1 of -1 and 1, y == 2 of 1 and 2"
CLIP = "values far out: cut them with StandardScaler(clip=), or raise feature_bound where it is stated"
_LEAST_MEAN = 2.0**-10  # of secret weights over their public bound, or of a row mask
_WEIGHT_BITS = 22
_LEAST_BITS = 2  # of values whose squares are summed in a guard
_LEAST_LEFT = 10  # of columns beside coefficients of a target with a large bound
_PRODUCT_BITS = RANGE_BITS - 1
_ROOM = 25  # bits of a sum of squares beside the fractional bits of both factors


@dataclass(frozen=True, slots=True)
class Design:
    """``x`` (n, d): columns, the constant one last if there is one. ``weight`` (n,): of mean 1, or None if all are 1.

    ``inverse``: 1 / mean of the weights as they were given, secret, or None: n * mean is what information grows with.
    ``strength``: by what class weights divide the mean weight, secret, or None: what alpha is multiplied with, since
    the sum of the sample weights is what it counts in. ``mean_square``: no column's weighted mean square is larger.
    """

    x: SecureArray
    weight: SecureArray | None
    inverse: SecureArray | None
    strength: SecureArray | None = None
    mean_square: float = MEAN_SQUARE

    @property
    def rows(self) -> int:
        return self.x.shape[0]

    def weighted(self, values: SecureArray) -> SecureArray:
        """Each row's values (n,) or (n, k) times its weight. At most 3 rounds."""
        if self.weight is None:
            return values
        weight = self.weight if values.ndim == 1 else self.weight.reshape((-1, 1))
        return product(values, weight)

    def ridge(self, alpha: float) -> SecureArray | float:
        """alpha times ``strength``: beside means over weights of mean 1. Local, or 2 rounds."""
        return alpha if self.strength is None else self.strength.multiply(np.asarray(alpha), scale=30)

    def mean(self, left: SecureArray, right: SecureArray, bound: float, scale: int = 26) -> SecureArray:
        """left^T right / n for (n, a) and (n, b) or (n,), where it is known not to pass ``bound``. 5 rounds."""
        context, n = self.x._context, self.rows
        columns = right if right.ndim == 2 else right.reshape((-1, 1))
        lift = max(0, exact.log2_ceil(n))
        room = max(_LEAST_BITS, _PRODUCT_BITS - exact.log2_ceil(bound * n) - left.scale)
        columns = columns if columns.scale <= room else columns.rescaled(room)
        total = left.scale + columns.scale
        context.fits(bound * n, total, "a sum over the rows of a model (before it is truncated)")
        scale = max(0, min(scale, total + lift))
        share = context.protocol.matmul(left.T._ring_share(), columns._ring_share(), total + lift - scale)
        halved = SecureArray(context, share, scale, bound * 1.01 + 2.0**-scale)  # the sum over 2^lift: at most the mean
        result = halved.multiply(np.asarray(2.0**lift / n), scale=scale) if 2**lift != n else halved
        result = result._stated(bound * 1.02 + 2.0 ** (1 - scale))
        return result if right.ndim == 2 else result.reshape((-1,))


def product(x: SecureArray, y: SecureArray, scale: int | None = None) -> SecureArray:
    """x * y, with fewer fractional bits of x where the product has no room for all of them."""
    room = max(_LEAST_BITS, _PRODUCT_BITS - exact.log2_ceil(max(x.bound * y.bound, 2.0**-16)) - y.scale)
    x = x if x.scale <= room else x.rescaled(room)
    return x * y if scale is None else x.multiply(y, scale=min(scale, x.scale + y.scale))


def predicted(x: SecureArray, coef: SecureArray) -> SecureArray:
    """x @ coef, with fewer fractional bits of coef where the sums have no room for all of them, then of x."""
    bound = x.shape[1] * x.bound * coef.bound
    free = _PRODUCT_BITS - exact.log2_ceil(max(bound, 1.0))
    if free - x.scale < _LEAST_BITS and x.scale > _LEAST_LEFT:
        x = x.rescaled(max(_LEAST_LEFT, free - _LEAST_BITS))
    room = max(_LEAST_BITS, free - x.scale)
    return x @ (coef if coef.scale <= room else coef.rescaled(room))


def design_of(
    what: str,
    rows: Rows,
    feature_bound: float | None,
    constant: float | None = None,
    factor: SecureArray | None = None,
    factor_mean: float = 1.0,
    mean_square: float | None = None,
) -> Design:
    """Rows as a Design; ``constant``: value of a last column, None for none. ``factor`` (n,): class weights, whose mean
    is at most ``factor_mean``. ``mean_square``: the largest weighted mean square of a column; None: as large as sums
    have room for, 2^25 / n rows and at least 4 (64 with class weights).

    ``feature_bound``: |x| stays below it, guarded where the public bound of x is larger; None: that public bound, or
    where sums of squares have no room for it, the largest that they have room for, guarded.

    Guards, opened as one flag by ``settle``: mean squares of columns, where the bound of x does not say enough; no
    negative weight; weights of mean at least 2^-10 of their public bound. Rounds: about 40 with weights or a mask, 6
    without.
    """
    if feature_bound is not None and not feature_bound > 0:
        raise UsageError(f"{what}: expected feature_bound above 0 or None, got {feature_bound!r}")
    context, n = rows.x._context, rows.x.shape[0]
    x = rows.x.numeric()
    x = x if x.scale == context.fraction_bits else x.rescaled(context.fraction_bits)
    if feature_bound is not None and x.bound > feature_bound:
        _bounded(what, x, feature_bound)
        x = x._stated(float(feature_bound))
    raw = rows.weight
    if raw is not None and raw.bound > 0:
        guard_weights(what, raw, rows.valid)
    if raw is not None:
        raw = _over(raw, raw.bound)[0]
    if rows.valid is not None:
        raw = rows.valid if raw is None else raw * rows.valid
    counted, lift = raw, 0
    if mean_square is None:
        room = exact.exp2(_ROOM - exact.log2_ceil(n))
        mean_square = min(exact.square(x.bound), max(room, MEAN_SQUARE if factor is None else CLASS_MEAN_SQUARE))
    mean_square = max(mean_square, 1.0 if constant is None else max(1.0, exact.square(constant)))
    if factor is not None:
        factor, lift = _over(factor, factor_mean)
        raw = factor if raw is None else product(raw, factor, _WEIGHT_BITS)
    weight = inverse = strength = None
    if raw is not None:
        mean = _mean_weight(raw)
        inverse = reciprocal(mean, at_most=1.01 / _LEAST_MEAN, scale=_WEIGHT_BITS + 4)
        most = min(n * 1.01, raw.bound * 1.01 / _LEAST_MEAN)  # the largest has all the weight
        room = _PRODUCT_BITS - exact.log2_ceil(most) - inverse.scale
        raw = raw if raw.scale <= room else raw.rescaled(room)
        reach = most * max(1.0, min(x.bound, _largest(max(mean_square, PLAIN_MEAN_SQUARE), n)))
        bits = min(_WEIGHT_BITS, _PRODUCT_BITS - x.scale - exact.log2_ceil(reach), raw.scale + inverse.scale)
        bits = max(8, bits)
        share = context.protocol.mul(
            raw._ring_share(), inverse._fitted(raw.shape), raw.scale + inverse.scale - bits
        )
        weight = SecureArray(context, share, bits, most)
    if factor is not None:
        assert inverse is not None
        strength = inverse if counted is None else product(inverse, _mean_weight(counted), inverse.scale)
        strength = lifted(strength, -lift)
    if inverse is not None and rows.weight is not None:
        inverse = lifted(inverse, -_over(rows.weight, rows.weight.bound)[1])
    x = _checked_columns(what, x, weight, mean_square, rows.names)
    if constant is not None:
        x = concatenate([x, context.constant(np.full((n, 1), constant))], axis=1)
    return Design(x, weight, inverse, strength, mean_square)


def _over(weight: SecureArray, size: float) -> tuple[SecureArray, int]:
    """(weight / 2^lift, lift) for the least power of two from ``size`` upward: the same ring integers."""
    lift = exact.log2_ceil(max(size, 2.0**-30))
    return (weight if lift == 0 else lifted(weight.numeric(), -lift)), lift


def _mean_weight(raw: SecureArray) -> SecureArray:
    """The mean of weights (n,), which is known to be at most 1, at 22 to 26 bits."""
    n = raw.shape[0]
    lift = max(0, exact.log2_ceil(n))
    total = raw.sum()
    halved = SecureArray(raw._context, total._ring_share(), total.scale + lift, 1.0)  # over 2^lift, exactly
    wide = halved if halved.scale >= _WEIGHT_BITS else halved.rescaled(_WEIGHT_BITS)
    mean = wide.multiply(np.asarray(2.0**lift / n), scale=max(_WEIGHT_BITS, min(wide.scale, 30)))
    mean = mean if mean.scale <= _WEIGHT_BITS + 4 else mean.rescaled(_WEIGHT_BITS + 4)
    return mean._stated(1.01)


def _bounded(what: str, x: SecureArray, bound: float) -> None:
    """Guard that |x| <= bound."""
    x._context.guard(outside_count(x, float(bound)), f"{what}: |x| <= {bound:g}, its feature_bound; {CLIP}")


def _largest(mean_square: float, rows: int) -> float:
    """What no value of a column passes whose mean square over the rows does not pass ``mean_square``."""
    return math.sqrt(mean_square * rows) * 1.01


def _checked_columns(
    what: str, x: SecureArray, weight: SecureArray | None, limit: float, names: Sequence[str]
) -> SecureArray:
    """x under a bound for which there is room; guards that every column's weighted mean square is at most ``limit``,
    and at most 64 without the weights, or ``limit`` if that is more.
    """
    if limit >= exact.square(x.bound):
        return x
    context, n = x._context, x.shape[0]
    plain = max(limit, PLAIN_MEAN_SQUARE)
    heaviest = 1.0 if weight is None else max(1.0, weight.bound)
    fits = exact.exp2(math.floor((RANGE_BITS - 1 - exact.log2(n * heaviest)) / 2) - _LEAST_BITS)
    if max(x.bound, 1.0) > fits:
        if fits < 2:
            raise UsageError(f"{what}: {n} rows of such weights are too many for its sums")
        _bounded(what, x, fits)
        x = x._stated(fits)
    most = exact.log2(n * heaviest * exact.square(max(x.bound, 1.0)))
    scale = min(x.scale, math.floor((RANGE_BITS - 1 - most) / 2))
    low = x if scale == x.scale else x.rescaled(scale)
    sides, limits = [(low, low)], np.full(x.shape[1], limit * n)
    if weight is not None:
        sides.append((low.multiply(weight.reshape((-1, 1)), scale=scale), low))
        limits = np.append(np.full(x.shape[1], plain * n), limits)
    flip, proto = layout.transpose(None), context.protocol
    left, right = (proto.concatenate([side[i]._ring_share().map(flip) for side in sides], 0) for i in (0, 1))
    sums = SecureArray(context, proto.dot(left, right), 2 * scale, exact.exp2(most))
    hint = f"{what}: {the_columns(names)} have mean squares of at most {limit:g}; standardise them"
    context.guard((sums > limits).numeric().sum()._ring_share(), hint)
    return x._stated(min(x.bound, _largest(limit if weight is None else plain, n)))


def certify(what: str, gradient: SecureArray, roots: SecureArray, tol: float) -> None:
    """Guard that each element of the gradient is at most ``tol``, as it is or over the root of its curvature.

    ``roots``: 1 over these roots, of the gradient's shape. The second form is the first for columns of curvature 1 and
    does not change with a column's unit.
    """
    context, proto = gradient._context, gradient._context.protocol
    cut = gradient.scale + roots.scale - 26
    share = proto.mul(gradient._ring_share(), roots._fitted(gradient.shape), cut)
    both = stack([gradient.rescaled(min(gradient.scale, 26)), SecureArray(context, share, 26, 2.0**11)])
    limit = min(tol, both.bound)
    outside = (both > limit) | (both < -limit)
    hint = f"{what}: its steps ended at a gradient of at most tol = {tol:g}; raise max_iter or alpha"
    context.guard((outside[0] & outside[1]).numeric().sum()._ring_share(), hint)


def settle(context: Context, what: str, hint: str) -> None:
    """Open one flag for all pending guards. Raises RangeViolated with ``hint`` if one was violated."""
    try:
        context.check_guards()
    except RangeViolated as error:
        raise RangeViolated(f"{what}: {error}. {hint}") from None


def whole_target(what: str, rows: Rows) -> SecureArray:
    """The target as secret integers (n,). Raises ShapeError, UsageError."""
    y = rows.y
    assert y is not None
    if y.ndim != 1:
        raise ShapeError(f"{what}: expected y of shape (n,), got {y.shape}")
    if y.kind == "fixed":
        raise UsageError(
            f"{what}: expected y as integers or booleans, got fixed-point values; compare (y > 0.5), or use "
            "y.astype('int')"
        )
    return y.numeric()


def binary_target(what: str, rows: Rows) -> SecureArray:
    """The target as flags (n,), checked to be 0 or 1 in each row (functions/flags.py). Raises as ``whole_target``."""
    return as_flags(whole_target(what, rows), f"{what}: y", advice=OTHER_LABELS)
