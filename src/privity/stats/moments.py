"""Means, variances, covariances and correlations over the rows that count."""

from __future__ import annotations

import math

from ..array import SecureArray
from ..errors import ShapeError
from ..functions import arithmetic
from ..functions.ratio import fitting_scale, ratio
from ..mpc import approx, linalg
from ..ring import exact, layout
from ..types import RANGE_BITS
from .sample import Cells, Estimate, cells, of_columns

_UNIT = 28  # fractional bits of columns of length 1


@of_columns(by_cell=True)
def mean(x: SecureArray, *, valid: SecureArray | None = None) -> Estimate:
    """Mean of each column: x (n,) or (n, d), ``valid`` (n,) or like x. Error: 2^-24 relative and one ulp.

    For any bound, and sums that pass 62 bits. Rounds: a truncation; with a mask a product and a division (50).
    """
    given = cells("mean", x, valid)
    return given.estimate(given.mean())


@of_columns(by_cell=True)
def variance(x: SecureArray, *, valid: SecureArray | None = None, ddof: int = 1) -> Estimate:
    """Variance of each column from deviations from the mean; 0 where no more than ``ddof`` cells count.

    x (n,) or (n, d), ``valid`` (n,) or like x. Error: 2^-19 relative, and that of squares rounded one by one. State a
    bound close to the data: where bound^2 n passes 2^24 deviations lose fractional bits.
    """
    given = cells("variance", x, valid)
    deviation = given.centred()
    most = 2 * exact.square(deviation.bound)
    squares = deviation.multiply(deviation, scale=2 * deviation.scale)
    scale = fitting_scale(most, 40, 46)
    total = squares.sum(axis=0)._stated(exact.square(deviation.bound) * x.shape[0])
    return given.estimate(ratio(total, _less("variance", given, ddof), most, scale))


@of_columns(by_cell=False)
def covariance(x: SecureArray, *, valid: SecureArray | None = None, ddof: int = 1) -> Estimate:
    """Covariance matrix of the columns, x (n, d) with n rows -> (d, d); ``valid`` (n,). Error as ``variance``."""
    given = cells("covariance", _matrix("covariance", x), valid, by_cell=False)
    deviation = given.centred()
    most = 2 * exact.square(deviation.bound)
    n = x.shape[0]
    total = arithmetic.matmul(deviation.T, deviation, 1.0, 2 * deviation.scale)
    total = total._stated(exact.square(deviation.bound) * n)
    scale = fitting_scale(most, 40, 46)
    divisor = _less("covariance", given, ddof).reshape(())
    counts = given.counts
    return Estimate(ratio(total, divisor, most, scale), counts if isinstance(counts, int) else counts.reshape(()))


@of_columns(by_cell=False)
def correlation(x: SecureArray, *, valid: SecureArray | None = None) -> Estimate:
    """Pearson's correlation matrix of the columns, x (n, d) -> (d, d); ``valid`` (n,). 0 where a column is constant, as
    one counts whose deviation (of all n rows) is of the size of roundings: below four to six units in the last place.

    Error: 2^-16 plus 2^-18 over the smaller standard deviation. Rounds: about 45, with a mask 90.
    """
    given = cells("correlation", _matrix("correlation", x), valid, by_cell=False)
    rows = given.centred().T
    context, proto = rows._context, rows._context.protocol
    total = exact.square(rows.bound) * x.shape[0]
    scale = min(2 * rows.scale, RANGE_BITS - 3 - exact.log2_ceil(max(total, 1.0)))
    share = rows._ring_share()
    squares = proto.dot(share, share, 2 * rows.scale - scale).map(layout.reshape((-1, 1)))
    fine = arithmetic.rescale(rows._stated(min(rows.bound, 2.0**30)), _UNIT)._ring_share()
    # A constant column is left with the roundings of its mean and its own; of those there is no direction.
    roundings = 2.0**-rows.scale + 2.5 * 2.0**-given.x.scale
    least = max(0, math.ceil(exact.log2(x.shape[0] * exact.square(roundings)) + scale))
    unit = linalg.over_root(proto, squares, fine, approx.bits_for(total, scale), scale, least)
    matrix = proto.matmul(unit, unit.map(layout.transpose(None)), 2 * _UNIT - context.fraction_bits)
    value = SecureArray(context, matrix, context.fraction_bits, 1.0 + 2.0**-12)
    counts = given.counts
    return Estimate(value, counts if isinstance(counts, int) else counts.reshape(()))


def _less(what: str, given: Cells, ddof: int) -> SecureArray:
    """Rows that count less ``ddof``, at least 0: (d,), (1,) or (). Raises ShapeError where all rows are too few."""
    counts, n = given.counts, given.x.shape[0]
    if n <= ddof or ddof < 0:
        raise ShapeError(f"{what} with ddof={ddof} needs 0 <= ddof < rows, got {n} rows")
    if isinstance(counts, int):
        return given.x._context.constant(counts - ddof)
    less = (counts - ddof)._stated(float(n))
    return less if ddof == 0 else (less * (less > 0))._stated(float(n))


def _matrix(what: str, x: SecureArray) -> SecureArray:
    if x.ndim != 2:
        raise ShapeError(f"{what}: expected x of shape (n, d), got {x.shape}")
    return x
