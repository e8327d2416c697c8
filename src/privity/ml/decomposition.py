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
from ..functions.spread import EXTRA, Centred, Spread, about_zero, centred, result_scale, spread_of, standardised
from ..given import one_column
from ..mpc.spread import Over, long_product
from ..ring import exact, layout
from ..table import Table
from ..types import RANGE_BITS
from .columns import as_learnt, units_of
from .estimator import Estimator
from .information import lifted
from .points import Points, points_of, same_columns

SMALLEST_SHARE = 2.0**-12
"""Every component must stand for this share of the (mean square) variance at least; guarded."""
_VECTOR = 28  # fractional bits of a unit vector, and of a matrix of trace 1
_MOST_BITS = 30  # of the rows
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
        given = points_of(what, x, valid=valid, feature_bound=self.feature_bound, most_bits=_MOST_BITS)
        n, d = given.x.shape
        if self.n_components > min(n, d):
            raise ShapeError(f"{what}: expected n_components of at most min(rows, columns), {min(n, d)}")
        return given

    def projected(self, x: Table | SecureArray, centre: SecureArray | None) -> SecureArray:
        """(x - centre) @ components^T."""
        self.fitted("components_")
        components: SecureArray = self.components_  # type: ignore[attr-defined]
        given = points_of(
            type(self).__name__, as_learnt(self, x), feature_bound=self.feature_bound, most_bits=_MOST_BITS
        ).x
        same_columns(type(self).__name__, given, components.shape[1])
        return _placed(given if centre is None else given - centre, components, given.scale)

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
        given = centred(rows.x, *_mask(rows), joint=True)
        total, matrix = _second_moments(f"PCA: {one_column(rows.names)}", given, 1)
        vectors, shares = leading_vectors("PCA", matrix, self.n_components, self.squarings)
        self.mean_ = _known(given.centre)
        self.components_ = vectors.T
        self.explained_variance_, self.singular_values_ = _amounts(shares, total)
        self.explained_variance_ratio_ = shares.rescaled(rows._context.fraction_bits)
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
        mask, counts = _mask(rows)
        given = about_zero(rows.x, counts)
        total, matrix = _second_moments(f"TruncatedSVD: {one_column(rows.names)}", given, 0)
        vectors, shares = leading_vectors("TruncatedSVD", matrix, self.n_components, self.squarings)
        self.components_ = vectors.T
        _, self.singular_values_ = _amounts(shares, total)
        # variances about the means, of the rows in their new places and of the columns
        places = _placed(rows.x, vectors.T)
        spreads = [spread_of(centred(v, mask, counts, joint=j), joint=j) for v, j in ((places, False), (rows.x, True))]
        scale = _amount_scale(spreads[1])
        variance, whole = (spread.variance(scale) for spread in spreads)
        self.explained_variance_ = variance._stated(whole.bound)
        self.explained_variance_ratio_ = ratio(self.explained_variance_, whole, 1.01)
        self.names_, self.units_ = rows.names, units_of(x)
        return self

    def transform(self, x: Table | SecureArray) -> SecureArray:
        """x @ components^T (n, k), secret."""
        return self.projected(x, None)

    def inverse_transform(self, x: SecureArray) -> SecureArray:
        """Rows (n, d) from their places (n, k) in the new directions."""
        return self.restored(x)


# -- moments --------------------------------------------------------------------------------------------------------


def _mask(rows: Points) -> tuple[SecureArray | None, SecureArray | None]:
    """(flags (n, 1) of the rows that count, their number (1,)), None for all."""
    if rows.weight is None:
        return None, None
    return rows.weight.reshape((-1, 1)), rows.weight.sum().reshape((1,))


def _placed(moved: SecureArray, components: SecureArray, most: int | None = None) -> SecureArray:
    """moved @ components^T for components (k, d) of length 1, at ``most`` fractional bits."""
    length = math.sqrt(moved.shape[1]) * moved.bound * 1.01  # no more: the components have length 1
    scale = fitting_scale(length, moved.scale, RANGE_BITS - 1 - components.scale)
    moved = moved if scale == moved.scale else moved.rescaled(scale)
    scale = scale if most is None else min(scale, most)
    cut = moved.scale + components.scale - scale
    share = moved._context.protocol.matmul(moved._ring_share(), components.T._ring_share(), cut)
    return SecureArray(moved._context, share, scale, length)


def _known(x: SecureArray | None) -> SecureArray:
    assert x is not None
    return x


def _second_moments(what: str, given: Centred, less: int) -> tuple[Spread, SecureArray]:
    """(sum of all squares, matrix of second moments (d, d) of trace 1): all columns are divided by one secret number,
    so that neither bounds nor units nor offsets matter."""
    spread = spread_of(given, less, joint=True)
    spread.refuse(what)
    rows = standardised(given, spread, _VECTOR, unit=True)._ring_share()
    share = given._context.protocol.matmul(rows.map(layout.transpose(None)), rows, _VECTOR)
    return spread, SecureArray(given._context, share, _VECTOR, 1.01)


# -- eigenvectors ---------------------------------------------------------------------------------------------------


def leading_vectors(
    what: str, matrix: SecureArray, count: int, squarings: int
) -> tuple[SecureArray, SecureArray]:
    """(vectors (d, count), their shares of the trace (count,)) of a positive semidefinite matrix (d, d) of trace 1.

    Largest eigenvalue first; a vector's largest entry is positive. RangeViolated later where a share is below 2^-12.
    """
    context = matrix._context
    rest = matrix
    hint = f"{what}: every component stands for 2^-12 of the variance at least; ask for fewer, drop constant columns"
    vectors: list[SecureArray] = []
    shares: list[SecureArray] = []
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
    return found, concatenate(shares)


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


def _amounts(shares: SecureArray, total: Spread) -> tuple[SecureArray, SecureArray]:
    """(variances, singular values) from shares of the sum of squares."""
    context, proto = total.context, total.context.protocol
    scale = _amount_scale(total)
    variance = total.variance(scale)
    amount = long_product(proto, shares._ring_share(), variance._fitted(shares.shape), _VECTOR)
    lift = 6  # the root of a share as small as 2^-12 has digits
    part = lifted(sqrt(lifted(shares._stated(1.01), 2 * lift)), -lift)
    bound = total.bound * math.sqrt(total.count.public)
    bits = fitting_scale(bound, max(context.fraction_bits, min(total.scale, 30)), 50)
    size = total.normal.deviation(proto, bits - total.scale, Over(1))
    root = long_product(proto, part._ring_share(), size.map(layout.broadcast(shares.shape)), part.scale)
    return SecureArray(context, amount, scale, variance.bound), SecureArray(context, root, bits, bound * 1.01)


def _amount_scale(total: Spread) -> int:
    """Fractional bits of a variance: more than the session's where values have more, fewer where they do not fit."""
    usual = total.context.fraction_bits
    return min(50, result_scale(exact.square(total.most()) * 4, 2 * total.scale, total.scale - EXTRA, usual))


def _product(x: SecureArray, y: SecureArray, scale: int = _VECTOR) -> SecureArray:
    """x @ y where the Cauchy-Schwarz inequality keeps sums within 2, whatever the bounds of single entries say."""
    share = x._context.protocol.matmul(x._ring_share(), y._ring_share(), x.scale + y.scale - scale)
    return SecureArray(x._context, share, scale, 2.0)


def _diagonal(x: SecureArray) -> SecureArray:
    return x._rearranged(layout.diagonal(0, 0, 1))


def _trace(x: SecureArray) -> SecureArray:
    return _diagonal(x).sum()
