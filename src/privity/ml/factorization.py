"""Matrix factorisation on shares: ratings of items by users, by alternating least squares; who rated what is secret."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array import SecureArray
from ..errors import ShapeError, UsageError
from ..functions import solve
from ..functions.arithmetic import matmul
from ..functions.flags import as_flags
from ..functions.ratio import ratio
from ..ring import exact
from .design import settle
from .estimator import Estimator, whole_numbers
from .information import lifted

_SPREAD = 0.3  # standard deviation of the public start
_HINT = (
    "MatrixFactorization: raise alpha or factor_bound, or lower n_factors or rating_bound; observed= holds 0 and 1 only"
)


class MatrixFactorization(Estimator):
    """Factors of users and items whose products are the ratings: alternating least squares (Zhou et al. 2008).

    Minimises the sum over observed ratings of (r - mean - u v)^2, and alpha (|u|^2 + |v|^2) over all factors (the
    same for users with few ratings and with many). n_factors: public length k of a factor. alpha: L2 strength, above 0.
    max_iter: public number of steps, each solving for all users at once and then for all items. factor_bound: every
    element of a factor stays within it, guarded. rating_bound: |r| stays below it (None: the public bound of the
    ratings). random_state: of the public start of the items' factors.

    Opens: one flag, 'range ok', nothing else. Rounds per step: about 70 k + 20. Bytes per party and step, for s users
    and items together: about s (45 k^2 + 950 k), whatever the number of ratings; and about 26 bytes for each pair of a
    user and an item at the start. After fit, all secret: ``user_factors_`` (users, k), ``item_factors_``
    (items, k), ``mean_``: of the observed ratings. A user or an item without ratings has factors 0: its prediction is
    the mean.
    """

    def __init__(
        self,
        n_factors: int = 8,
        *,
        alpha: float = 1.0,
        max_iter: int = 10,
        factor_bound: float = 8.0,
        rating_bound: float | None = None,
        random_state: int = 0,
    ) -> None:
        self.n_factors = n_factors
        self.alpha = alpha
        self.max_iter = max_iter
        self.factor_bound = factor_bound
        self.rating_bound = rating_bound
        self.random_state = random_state

    def fit(self, ratings: SecureArray, observed: SecureArray | None = None) -> MatrixFactorization:
        """Learn from ratings (users, items) and a secret mask of the same shape (None: all observed), 1 where rated.

        What stands in ratings that were not observed does not matter. Raises UsageError, ShapeError, RangeViolated.
        """
        self._check()
        if ratings.ndim != 2 or 0 in ratings.shape:
            raise ShapeError(f"MatrixFactorization: expected ratings (users, items), got {ratings.shape}")
        context = ratings._context
        mask = context.constant(np.ones(ratings.shape, np.int64)) if observed is None else observed.numeric()
        if mask.shape != ratings.shape or mask.kind != "int":
            raise ShapeError(
                f"MatrixFactorization: expected observed as a mask of shape {ratings.shape}, "
                f"got {mask.kind} {mask.shape}"
            )
        mask = as_flags(mask, "MatrixFactorization: observed")
        known = ratings.numeric().rescaled(context.fraction_bits)
        if self.rating_bound is not None and known.bound > self.rating_bound:
            known = (known * mask)._stated(known.bound).assume_bound(self.rating_bound, "ratings: raise rating_bound")
        elif observed is not None:
            known = (known * mask)._stated(known.bound)
        self.mean_ = ratio(known.sum(), mask.sum(), known.bound)._stated(known.bound)
        rest = (known - mask * self.mean_)._stated(2 * known.bound)
        draw = exact.normal(np.random.default_rng(self.random_state), (ratings.shape[1], self.n_factors)) * _SPREAD
        items = context.constant(np.clip(draw, -self.factor_bound, self.factor_bound))._stated(self.factor_bound)
        users = items
        for step in range(self.max_iter):
            users = self._solved(mask, rest, items)
            items = self._solved(mask.T, rest.T, users)
            context.progress(step + 1, self.max_iter, f"step {step + 1}/{self.max_iter}")
        settle(context, "MatrixFactorization", _HINT)
        self.user_factors_, self.item_factors_ = users, items
        return self

    def predict(self, users: Any = None, items: Any = None) -> SecureArray:
        """All predicted ratings (users, items), or those of public pairs of row and column numbers (n,), secret."""
        self.fitted("user_factors_")
        if (users is None) != (items is None):
            raise UsageError("MatrixFactorization: give the numbers of users and of items, or neither")
        bound = self.n_factors * exact.square(self.factor_bound) + self.mean_.bound
        if users is None:
            return (matmul(self.user_factors_, self.item_factors_.T) + self.mean_)._stated(bound)
        rows, columns = np.asarray(users), np.asarray(items)
        if (
            rows.ndim != 1
            or rows.shape != columns.shape
            or rows.dtype.kind not in "iu"
            or columns.dtype.kind not in "iu"
        ):
            raise ShapeError("MatrixFactorization: expected whole numbers of users and items, as many of each")
        proto, scale = self.mean_._context.protocol, self.user_factors_.scale
        share = proto.dot(self.user_factors_[rows]._ring_share(), self.item_factors_[columns]._ring_share(), scale)
        return (SecureArray(self.mean_._context, share, scale, bound) + self.mean_)._stated(bound)

    def _solved(self, mask: SecureArray, rest: SecureArray, known: SecureArray) -> SecureArray:
        """Factors of the rows of ``mask`` and ``rest`` (m, n) for the known ones of the columns (n, k): (m, k).

        One system (k, k) a row, sum of v v^T over its ratings and alpha; both sides over a power of two above n, so
        that their size does not grow with it.
        """
        n, k = known.shape
        lift = exact.log2_ceil(max(n, 2))
        first, second = np.triu_indices(k)
        pairs = known[:, first] * known[:, second]
        where = np.zeros((k, k), np.int64)
        where[first, second] = where[second, first] = np.arange(first.size)
        sums = lifted((mask @ pairs)._stated(n * exact.square(self.factor_bound)), -lift)
        matrices = sums[:, where] + np.eye(k) * (self.alpha / 2.0**lift)
        right = matmul(rest, known, scale=2 * known.scale - lift if lift < known.scale else known.scale)
        right = lifted(right._stated(n * rest.bound * self.factor_bound), -lift)
        right = right.rescaled(min(right.scale, 26)).reshape((-1, k, 1))
        least = self.alpha / 2.0**lift
        found = solve(matrices._stated(exact.square(self.factor_bound) + least), right, least * 0.99).reshape((-1, k))
        return found.rescaled(known.scale).assume_bound(self.factor_bound, "factors: raise factor_bound or alpha")

    def _check(self) -> None:
        whole_numbers("MatrixFactorization", n_factors=self.n_factors, max_iter=self.max_iter)
        whole_numbers("MatrixFactorization", least=0, random_state=self.random_state)
        for name in ("alpha", "factor_bound") + (("rating_bound",) if self.rating_bound is not None else ()):
            if not getattr(self, name) > 0:
                raise UsageError(f"MatrixFactorization: expected {name} above 0, got {getattr(self, name)!r}")
