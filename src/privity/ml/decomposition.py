"""Directions of most variance on shares: principal components, and the truncated singular value decomposition.

Both rest on the leading eigenvectors of a matrix (d, d) of second moments, found one after the other by squaring: with
the trace brought back to 1 each time, m squarings have the effect of 2^m power iterations. A direction that was found
is projected out, so later ones are orthogonal to it whatever was left to converge. Row data are touched twice.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, final

import numpy as np

from ..array import SecureArray
from ..errors import ShapeError, UsageError
from ..functions import concatenate, reciprocal, rsqrt, sqrt
from ..functions.arithmetic import matmul
from ..functions.nearest import nearest_one
from ..functions.ratio import fitting_scale, ratio
from ..ring import exact, layout
from ..table import Table
from ..types import RANGE_BITS
from .columns import as_learnt, units_of
from .estimator import Estimator
from .information import lifted
from .points import Points, points_of, same_columns

SMALLEST_SHARE = 2.0**-12
"""Every component must stand for this share of the (mean square) variance at least; guarded."""
_SMALLEST_MOMENT = 2.0**-22
"""The mean second moment of the columns must be this at least, 16 units of the matrix; guarded. Less is roundings."""
_VECTOR = 28  # fractional bits of a unit vector, and of a matrix of trace 1
_MOMENT = 26  # of second moments
_LOADING = 24  # of components that rows are multiplied with
_SQUARE = 30  # of a square before its trace becomes 1 again
_FACTOR = 20
_LENGTH = 40  # of the square of a length that may be as small as 1 / d


class Decomposition(Estimator):
    """What PCA and TruncatedSVD share.

    n_components: public number k of directions. squarings: m, 2^m power iterations (an angle to the true direction
    falls by the ratio of neighbouring eigenvalues to that power). feature_bound: |x| stays below it (None: its public
    bound).

    Opens: 'range ok', which says that bounds hold and that every component stands for 2^-12 of the whole at least;
    else RangeViolated, as where the second moments of the columns (variances, for PCA) are below 2^-22 on average.
    Rounds: about k (41 m + 75) + 80, with a mask 70 more. Bytes per party: about k d^2 (21 m + 350) + 240 d^2 +
    9000 k m, and with a mask 20 n d. Signs as in scikit-learn: a component's largest loading is positive.
    """

    n_components: int
    squarings: int
    feature_bound: float | None

    @abstractmethod
    def fit(self, x: Table | SecureArray, y: Any = None, *, valid: SecureArray | None = None) -> Decomposition:
        """Learn from x (n, d); ``y`` is not used. Raises UsageError, ShapeError, RangeViolated."""

    def fit_transform(self, x: Table | SecureArray, y: Any = None, **options: Any) -> SecureArray:
        """``fit``, and then ``transform`` of the same rows."""
        return self.fit(x, y, **options).transform(x)

    @abstractmethod
    def transform(self, x: Table | SecureArray) -> SecureArray:
        """Rows in the new directions (n, k), secret."""

    def rows(self, x: Table | SecureArray, valid: SecureArray | None = None) -> Points:
        """Rows to learn from, checked against the parameters."""
        what = type(self).__name__
        for name in ("n_components", "squarings"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise UsageError(f"{what}: expected {name} to be a public whole number of at least 1, got {value!r}")
        given = points_of(what, x, valid=valid, feature_bound=self.feature_bound)
        n, d = given.x.shape
        if self.n_components > min(n, d):
            raise ShapeError(f"{what}: expected n_components of at most min(rows, columns), {min(n, d)}")
        return given

    def projected(self, x: Table | SecureArray, centre: SecureArray | None) -> SecureArray:
        """(x - centre) @ components^T."""
        self.fitted("components_")
        components: SecureArray = self.components_  # type: ignore[attr-defined]
        given = points_of(type(self).__name__, as_learnt(self, x), feature_bound=self.feature_bound).x
        same_columns(type(self).__name__, given, components.shape[1])
        moved = given if centre is None else given - centre
        length = math.sqrt(given.shape[1]) * moved.bound  # no more: the components have length 1
        share = given._context.protocol.matmul(moved._ring_share(), components.T._ring_share(), components.scale)
        return SecureArray(given._context, share, moved.scale, length * 1.01)

    def restored(self, x: SecureArray) -> SecureArray:
        """x @ components: (n, d) from (n, k)."""
        self.fitted("components_")
        return matmul(x, self.components_)  # type: ignore[attr-defined]


@final
class PCA(Decomposition):
    """Principal components: scikit-learn's ``PCA`` with a public number of components; see Decomposition.

    After fit, all secret: ``components_`` (k, d), ``explained_variance_`` (k,), ``explained_variance_ratio_`` (k,),
    ``singular_values_`` (k,), ``mean_`` (d,); ``names_``: of the columns. Errors: an angle about 2^-24 of the variance
    over the gap to the neighbouring eigenvalues, beyond what is left to converge; a ratio 2^-17.
    """

    def __init__(self, n_components: int = 2, *, squarings: int = 10, feature_bound: float | None = None) -> None:
        self.n_components = n_components
        self.squarings = squarings
        self.feature_bound = feature_bound

    def fit(self, x: Table | SecureArray, y: Any = None, *, valid: SecureArray | None = None) -> PCA:
        """Learn from x (n, d), with at least two rows that count; ``y`` is not used."""
        rows = self.rows(x, valid)
        if rows.x.shape[0] < 2:
            raise ShapeError("PCA: expected at least two rows, got 1")
        mean = means(rows)
        centred = rows.weighted(rows.x - mean)._stated(2 * rows.x.bound)
        covariance = moments(centred, rows.total, less=1)
        vectors, shares, trace = leading_vectors("PCA", covariance, self.n_components, self.squarings)
        values = _amounts(shares, trace)
        self.mean_ = mean
        self.components_ = vectors.T
        self.explained_variance_ = values
        self.explained_variance_ratio_ = shares.rescaled(rows._context.fraction_bits)
        self.singular_values_ = sqrt((self.explained_variance_ * (rows.total - 1))._stated(trace.bound * len(rows.x)))
        self.names_, self.units_ = rows.names, units_of(x)
        return self

    def transform(self, x: Table | SecureArray) -> SecureArray:
        """(x - mean) @ components^T (n, k), secret."""
        self.fitted("components_")
        return self.projected(x, self.mean_)

    def inverse_transform(self, x: SecureArray) -> SecureArray:
        """Rows (n, d) from their places (n, k) in the new directions: what the components tell of them."""
        return self.restored(x) + self.mean_


@final
class TruncatedSVD(Decomposition):
    """Leading singular vectors of rows as they are, without centring: scikit-learn's ``TruncatedSVD``.

    After fit, all secret: ``components_`` (k, d), ``singular_values_`` (k,), ``explained_variance_`` (k,) and
    ``explained_variance_ratio_`` (k,), of the variance about the mean as in scikit-learn; ``names_``: of the columns.
    """

    def __init__(self, n_components: int = 2, *, squarings: int = 10, feature_bound: float | None = None) -> None:
        self.n_components = n_components
        self.squarings = squarings
        self.feature_bound = feature_bound

    def fit(self, x: Table | SecureArray, y: Any = None, *, valid: SecureArray | None = None) -> TruncatedSVD:
        """Learn from x (n, d); ``y`` is not used."""
        rows = self.rows(x, valid)
        bits = rows._context.fraction_bits
        squares = moments(rows.x, rows.total)
        vectors, shares, trace = leading_vectors("TruncatedSVD", squares, self.n_components, self.squarings)
        values = _amounts(shares, trace)
        mean = means(rows)
        seen = (vectors.T @ mean)._stated(math.sqrt(rows.x.shape[1]) * mean.bound * 1.01)
        variance = values - seen * seen
        spread = (trace.rescaled(bits) - (mean * mean).sum())._stated(trace.bound)
        self.components_ = vectors.T
        self.singular_values_ = sqrt((values * rows.total)._stated(trace.bound * len(rows.x)))
        self.explained_variance_ = variance._stated(trace.bound)
        self.explained_variance_ratio_ = ratio(self.explained_variance_, spread, 1.01)
        self.names_, self.units_ = rows.names, units_of(x)
        return self

    def transform(self, x: Table | SecureArray) -> SecureArray:
        """x @ components^T (n, k), secret."""
        return self.projected(x, None)

    def inverse_transform(self, x: SecureArray) -> SecureArray:
        """Rows (n, d) from their places (n, k) in the new directions."""
        return self.restored(x)


# -- moments --------------------------------------------------------------------------------------------------------


def means(rows: Points) -> SecureArray:
    """Means of the columns over rows that count (d,)."""
    if rows.weight is None:
        return rows.x.mean(0)._stated(rows.x.bound)
    sums = rows.weighted(rows.x).sum(0)
    return ratio(sums, rows.weight.sum(), rows.x.bound)._stated(rows.x.bound)


def moments(x: SecureArray, total: int | SecureArray, less: int = 0) -> SecureArray:
    """x^T x / (total - less) for x (n, d), 0 in rows that do not count; at up to 26 fractional bits."""
    n, context = x.shape[0], x._context
    size = exact.log2_ceil(n * exact.square(max(x.bound, 1.0)))
    low = x.rescaled(max(1, min(x.scale, (RANGE_BITS - 1 - size) // 2)))
    context.fits(exact.square(low.bound) * n, 2 * low.scale, "a sum of squares (state a smaller feature_bound)")
    scale = min(2 * low.scale, _MOMENT + 2)
    share = context.protocol.matmul(low.T._ring_share(), low._ring_share(), 2 * low.scale - scale)
    sums = SecureArray(context, share, scale, exact.square(low.bound) * n * 1.01)
    most = exact.square(x.bound) * 1.02 * n / max(1, n - less)
    if isinstance(total, SecureArray):
        return ratio(sums, (total - less).rescaled(2), exact.square(x.bound) * 2.02, scale=_MOMENT)
    lift = exact.log2_ceil(n)
    mean = lifted(sums, -lift)
    mean = mean.rescaled(min(mean.scale, _MOMENT + 4))
    return mean.multiply(np.asarray(2.0**lift / (total - less)), scale=_MOMENT).rescaled(_MOMENT)._stated(most)


# -- eigenvectors ---------------------------------------------------------------------------------------------------


def leading_vectors(
    what: str, matrix: SecureArray, count: int, squarings: int
) -> tuple[SecureArray, SecureArray, SecureArray]:
    """(vectors (d, count), their shares of the trace (count,), trace) of a positive semidefinite matrix (d, d).

    Largest eigenvalue first; a vector's largest entry is positive. RangeViolated later where a share is below 2^-12.
    """
    context = matrix._context
    trace = _trace(matrix)._stated(matrix.shape[0] * matrix.bound)
    rest = ratio(matrix, trace, 1.0, scale=_VECTOR)._stated(1.01)
    vectors: list[SecureArray] = []
    shares: list[SecureArray] = []
    hint = f"{what}: every component stands for 2^-12 of the variance at least; ask for fewer, drop constant columns"
    context.guard((trace < _SMALLEST_MOMENT * matrix.shape[0]).numeric()._ring_share(), hint)
    for number in range(count):
        left = _trace(rest)
        vector = _one_vector(rest if number == 0 else ratio(rest, left, 1.0, scale=_VECTOR), squarings)
        if vectors:
            known = concatenate(vectors, axis=1)
            vector = vector - _product(known, _product(known.T, vector))
        length = _product(vector.T, vector)
        vector = vector._stated(1.01).multiply(
            (3 - length).multiply(np.asarray(0.5), scale=_VECTOR)._stated(1.1), _VECTOR
        )
        vector = vector._stated(1.01)
        image = _product(rest, vector)
        share = _product(vector.T, image)._stated(1.01)
        half = image - vector.multiply(share.multiply(np.asarray(0.5), scale=_VECTOR), scale=_VECTOR)
        both = concatenate([vector, half._stated(1.01)], axis=1)
        rest = (rest - _product(both, concatenate([half._stated(1.01), vector], axis=1).T))._stated(1.01)
        # What is left is asked too: where it is roundings, the vector is noise of any length, and its share any number.
        parts = concatenate([share.reshape((1,)), left.reshape((1,))])
        context.guard((parts < SMALLEST_SHARE).numeric().sum()._ring_share(), hint)
        vectors.append(vector)
        shares.append(share.reshape((1,)))
        context.progress(number + 1, count, f"component {number + 1}/{count}")
    found = concatenate(vectors, axis=1).rescaled(_LOADING)._stated(1.01)
    return found, concatenate(shares), trace


def _one_vector(matrix: SecureArray, squarings: int) -> SecureArray:
    """The leading unit vector (d, 1), up to 2^-17, of a positive semidefinite matrix of trace 1."""
    d = matrix.shape[0]
    matrix = matrix._stated(1.01)
    for _ in range(squarings):
        square = _product(matrix, matrix, _SQUARE)._stated(1.01)
        trace = _trace(square)._stated(1.01)  # 1 / d at least
        factor = reciprocal(trace, scale=_FACTOR)._stated(1.05 * d)
        matrix = square.multiply(factor, scale=_VECTOR)._stated(1.01)
    place, _ = nearest_one(-_diagonal(matrix).reshape((1, d)))
    column = (matrix @ place.reshape((d, 1)))._stated(1.01)  # of the largest diagonal element, so 1 / d long at least
    root = rsqrt(_product(column.T, column, _LENGTH)._stated(1.05))._stated(1.05 * d)
    return column.multiply(root, scale=_VECTOR)._stated(1.01)


def _amounts(shares: SecureArray, trace: SecureArray) -> SecureArray:
    """shares * trace at the session's fractional bits."""
    bits = trace._context.fraction_bits
    low = shares.rescaled(min(_VECTOR, fitting_scale(trace.bound, _VECTOR, RANGE_BITS - 2 - bits)))
    return low.multiply(trace.rescaled(bits), scale=bits)._stated(trace.bound)


def _product(x: SecureArray, y: SecureArray, scale: int = _VECTOR) -> SecureArray:
    """x @ y where the Cauchy-Schwarz inequality keeps sums within 2, whatever the bounds of single entries say."""
    share = x._context.protocol.matmul(x._ring_share(), y._ring_share(), x.scale + y.scale - scale)
    return SecureArray(x._context, share, scale, 2.0)


def _diagonal(x: SecureArray) -> SecureArray:
    return x._rearranged(layout.diagonal(0, 0, 1))


def _trace(x: SecureArray) -> SecureArray:
    return _diagonal(x).sum()
