"""Metrics of predicted numbers."""

from __future__ import annotations

import math
from typing import Any

from ...array import SecureArray
from ...functions import concatenate, sqrt, stack
from ...functions.nullable import listwise
from ...functions.ratio import fitting_scale, ratio
from ...functions.spread import about_zero, centred, spread_of, standardised
from ...mpc.spread import long_product
from ...ring import exact, layout
from ...types import RANGE_BITS
from ..constant import varying
from ..parameters import arguments
from .sample import check_rows, of_weight, row_weights, squared, weighted_mean, without_zeros


@arguments
@listwise
def mean_squared_error(
    y_true: SecureArray, y_pred: SecureArray, *, valid: SecureArray | None = None, sample_weight: Any = None
) -> SecureArray:
    """Mean of (prediction - truth)^2 over the rows that count, whatever their bounds. Secret scalar.

    Error: 2^-15 relative, and two units of the result, which has the session's fractional bits, or as many as fit
    beside the square of the error's bound (``root_mean_squared_error`` has more). Rounds: 3 and a mean (46 with a
    mask) where bound^2 n of the error is at most 2^28; beyond that 62, with a mask 105, with weights 170.
    """
    n = check_rows("mean_squared_error", y_true, y_pred)
    error = _errors(y_true, y_pred)
    if exact.square(error.bound) * n <= _SMALL:
        weight = row_weights("mean_squared_error", y_true, valid, sample_weight)
        return weighted_mean(squared(error), weight)
    return _size("mean_squared_error", y_true, y_pred, valid, sample_weight, root=False)


@arguments
@listwise
def root_mean_squared_error(
    y_true: SecureArray, y_pred: SecureArray, *, valid: SecureArray | None = None, sample_weight: Any = None
) -> SecureArray:
    """Square root of the mean squared error, whatever the bounds. Secret scalar; error 2^-17 relative and two units.
    Rounds as ``mean_squared_error``."""
    return _size("root_mean_squared_error", y_true, y_pred, valid, sample_weight, root=True)


_SMALL = 2.0**28  # sums of squares that have room for the session's fractional bits whatever the values


def _size(
    what: str, y_true: SecureArray, y_pred: SecureArray, valid: SecureArray | None, sample_weight: Any, root: bool
) -> SecureArray:
    check_rows(what, y_true, y_pred)
    sample_weight, y_true, y_pred, valid = without_zeros(sample_weight, y_true, y_pred, valid)
    weight = row_weights(what, y_true, valid, sample_weight)
    mask = of_weight(what, weight, valid, sample_weight)
    error = _rows([_errors(y_true, y_pred)], mask)
    context = error._context
    if weight is None or sample_weight is None:
        counts = None if mask is None else mask.sum().reshape((1,))
        spread = spread_of(about_zero(error, counts))
    else:
        # the weighted mean of squares is a part of the plain one: both are made of the same errors, divided by one
        # number
        given = about_zero(error, None)
        spread = spread_of(given)
        part = _squares(standardised(given, spread, _SCORE), weight, float(error.shape[0])).reshape(())
        part = ratio(part, weight.sum(), float(error.shape[0]), 36)
    usual, size = context.fraction_bits, exact.log2_ceil(max(error.bound, 2.0**-60))
    if root:
        scale = max(1, min(usual, 46 - size))
        found = spread.deviation(scale)
        share = sqrt(part) if sample_weight is not None else None
    else:
        scale = max(0, min(usual, math.floor(61.9 - 2 * exact.log2(max(error.bound, 1.0)))))
        found = spread.variance(scale)
        share = part if sample_weight is not None else None
    if share is None:
        return found.reshape(())
    made = long_product(context.protocol, found._ring_share(), share._fitted((1,)), share.scale)
    return SecureArray(context, made, scale, (1 if root else error.bound) * error.bound * 1.01).reshape(())


@arguments
@listwise
def mean_absolute_error(
    y_true: SecureArray, y_pred: SecureArray, *, valid: SecureArray | None = None, sample_weight: Any = None
) -> SecureArray:
    """Mean of |prediction - truth| over the rows that count, whatever their bounds. Secret scalar.

    Error: a relative 2^-24 and two units in the last place. Rounds: a sign, a product, a mean (52 with a mask).
    """
    check_rows("mean_absolute_error", y_true, y_pred)
    weight = row_weights("mean_absolute_error", y_true, valid, sample_weight)
    return weighted_mean(abs(_errors(y_true, y_pred)), weight)


@arguments
@listwise
def r2_score(
    y_true: SecureArray, y_pred: SecureArray, *, valid: SecureArray | None = None, sample_weight: Any = None
) -> SecureArray:
    """1 - sum (truth - prediction)^2 / sum (truth - mean)^2. Secret scalar; error 2^-17 plus 2^-20 of 1 - R2.

    0 where all truths that count are equal, which is found exactly, or no row counts (scikit-learn: 0, or 1 if the
    prediction is perfect too). Results below -1023 are not told apart from -1023. Rounds: about 110; secret weights
    cost a comparison a row more.
    """
    check_rows("r2_score", y_true, y_pred)
    sample_weight, y_true, y_pred, valid = without_zeros(sample_weight, y_true, y_pred, valid)
    weight = row_weights("r2_score", y_true, valid, sample_weight)
    mask = of_weight("r2_score", weight, valid, sample_weight)
    truth, error = _rows([y_true.numeric()], mask), _rows([_errors(y_true, y_pred)], mask)
    counts = None if mask is None else mask.sum().reshape((1,))
    deviation = centred(truth, None if mask is None else mask.reshape((-1, 1)), counts).rows
    most = max(error.bound, deviation.bound)
    scale = fitting_scale(most, max(error.scale, deviation.scale), RANGE_BITS - 2)
    both = concatenate([error.rescaled(scale), deviation.rescaled(scale)], axis=1)
    # All are divided by the root of the sum of all squares, so that neither bounds nor offsets matter.
    given = about_zero(both, None)
    rows = standardised(given, spread_of(given, joint=True), _UNIT, unit=True)
    if weight is not None and sample_weight is not None:  # the weighted mean differs from the plain one
        rest = weighted_mean(rows[:, 1], weight)._stated(1.01)
        moved = rows[:, 1] - rest
        rows = stack([rows[:, 0], moved if mask is None else (moved * mask)._stated(moved.bound)], axis=1)
    totals = _squares(rows, weight)
    most = 1024
    rest, spread = totals[0], totals[1]
    limit = spread * most - rest
    rest = (rest + (limit < 0) * limit)._stated(spread.bound * most)
    # found exactly, as what rounding leaves of equal numbers is a spread too
    varies = varying(truth, mask, beside_ones=True)
    return (ratio(spread - rest, spread, most) * varies[0])._stated(float(most))


_UNIT = 28  # fractional bits of numbers whose squares have the sum 1
_SCORE = 24  # of numbers whose squares have the mean 1


def _errors(y_true: SecureArray, y_pred: SecureArray) -> SecureArray:
    """Prediction - truth (n,), with fewer fractional bits where the bound of one leaves no room for those of the other.
    """
    truth, found = y_true.numeric(), y_pred.numeric()
    scale = fitting_scale(truth.bound + found.bound, max(truth.scale, found.scale), RANGE_BITS - 2)
    return found.rescaled(scale) - truth.rescaled(scale)


def _rows(columns: list[SecureArray], mask: SecureArray | None) -> SecureArray:
    """Columns (n, k) with fractional bits, 0 in rows that do not count."""
    x = stack(columns, axis=1)
    x = x if x.scale else x.rescaled(x._context.fraction_bits)
    return x if mask is None else (x * mask.reshape((-1, 1)))._stated(x.bound)


def _squares(rows: SecureArray, weight: SecureArray | None, most: float = 1.0) -> SecureArray:
    """Weighted sums of the squares of rows (n, k), which without weights are ``most`` at most: (k,), at 40 bits or
    less."""
    context, proto = rows._context, rows._context.protocol
    left, bound = rows, most * 1.01
    if weight is not None and not weight._flags:
        bound *= max(weight.bound, 2.0**-40)
        scale = fitting_scale(4 * bound, rows.scale, 60 - rows.scale)
        left = rows.multiply(weight.reshape((-1, 1)), scale=scale)
    scale = fitting_scale(bound, 40, 50)
    across = layout.transpose(None)
    pair = left._ring_share().map(across), rows._ring_share().map(across)
    return SecureArray(context, proto.dot(*pair, left.scale + rows.scale - scale), scale, bound)
