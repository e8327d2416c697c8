"""Metrics of predicted numbers."""

from __future__ import annotations

from typing import Any

from ...array import SecureArray
from ...functions import sqrt, stack
from ...functions.nullable import listwise
from ...functions.ratio import fitting_scale, ratio
from ...ring import exact
from .sample import check_rows, row_weights, squared, weighted_mean, weighted_sum


@listwise
def mean_squared_error(
    y_true: SecureArray, y_pred: SecureArray, *, valid: SecureArray | None = None, sample_weight: Any = None
) -> SecureArray:
    """Mean of (prediction - truth)^2 over the rows that count. Secret scalar; error below 2 ulp, 2^-20 relative.

    Where bound^2 n of the error passes 2^28 the squares keep fewer than 18 fractional bits, that all fit.
    Rounds: 3 and a mean (46 with a mask).
    """
    n = check_rows("mean_squared_error", y_true, y_pred)
    weight = row_weights("mean_squared_error", y_true, valid, sample_weight)
    error = y_pred.numeric() - y_true
    scale = fitting_scale(exact.square(error.bound) * n, error._context.fraction_bits, 46)
    return weighted_mean(squared(error, scale), weight)


@listwise
def root_mean_squared_error(
    y_true: SecureArray, y_pred: SecureArray, *, valid: SecureArray | None = None, sample_weight: Any = None
) -> SecureArray:
    """Square root of the mean squared error. Secret scalar; 43 rounds more."""
    return sqrt(mean_squared_error(y_true, y_pred, valid=valid, sample_weight=sample_weight))


@listwise
def mean_absolute_error(
    y_true: SecureArray, y_pred: SecureArray, *, valid: SecureArray | None = None, sample_weight: Any = None
) -> SecureArray:
    """Mean of |prediction - truth| over the rows that count. Secret scalar. Rounds: a sign, a product, a mean."""
    check_rows("mean_absolute_error", y_true, y_pred)
    weight = row_weights("mean_absolute_error", y_true, valid, sample_weight)
    return weighted_mean(abs(y_pred.numeric() - y_true), weight)


@listwise
def r2_score(
    y_true: SecureArray, y_pred: SecureArray, *, valid: SecureArray | None = None, sample_weight: Any = None
) -> SecureArray:
    """1 - sum (truth - prediction)^2 / sum (truth - mean)^2. Secret scalar; error 2^-17 plus 2^-20 of 1 - R2.

    0 where all truths are equal, or no row counts (scikit-learn: 0, or 1 if the prediction is perfect too). Results
    below -1023 are not told apart from -1023. Rounds: about 100.
    """
    n = check_rows("r2_score", y_true, y_pred)
    weight = row_weights("r2_score", y_true, valid, sample_weight)
    truth = y_true.numeric()
    truth = truth if truth.scale else truth.rescaled(truth._context.fraction_bits)
    guess = y_pred.numeric()
    centre = weighted_mean(truth, weight)._stated(truth.bound)
    deviation = (truth - centre)._stated(2 * truth.bound)
    error = truth - guess
    rest, spread = _sums_of_squares(error, deviation, weight, n)
    # 1 - rest / spread; where the rest is far larger than the spread the quotient would not fit
    most = 1024
    limit = spread * most - rest
    rest = (rest + (limit < 0) * limit)._stated(spread.bound * most)
    return ratio(spread - rest, spread, most)


def _sums_of_squares(
    error: SecureArray, deviation: SecureArray, weight: SecureArray | None, n: int
) -> tuple[SecureArray, SecureArray]:
    """Both sums at one scale with room for a quotient of up to 2^10 in 62 bits."""
    bound = max(error.bound, deviation.bound)
    both = stack([error, deviation], axis=1)._stated(bound)
    heaviest = 1.0 if weight is None else weight.bound
    squares = squared(both, fitting_scale(bound * bound * n * heaviest * 2048, both._context.fraction_bits, 60))
    totals = weighted_sum(squares, weight)
    totals = totals._stated(bound * bound * n * heaviest + n * 2.0**-squares.scale)
    return totals[0], totals[1]
