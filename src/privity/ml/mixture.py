"""Mixtures of normal distributions on shares, by expectation and maximisation; no row's component is opened."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array import SecureArray
from ..context import Context
from ..errors import ShapeError, UsageError
from ..functions import log, logsumexp, one_hot, softmax
from ..functions.nearest import nearest_one
from ..functions.ratio import ratio
from ..ring import exact
from ..table import Table
from ..types import RANGE_BITS
from .columns import as_learnt, units_of
from .estimator import Estimator, rows_of
from .gaussian import feature_bound_for, log_densities
from .kmeans import KMeans
from .naive_bayes import class_sums
from .points import Points, points, same_columns

_BITS = 24  # fractional bits of means, variances and shares


class GaussianMixture(Estimator):
    """Soft clusters: scikit-learn's ``GaussianMixture(covariance_type="diag")`` with a public number of steps.

    n_components: public number k. max_iter: steps, all taken. reg_covar: added to every variance; larger than in
    scikit-learn, since fixed point has fewer digits. means_init (k, d), weights_init (k,), precisions_init (k, d),
    public or secret: where to start; without means from k-means (10 steps of one k-means++ start), as in scikit-learn;
    with means alone from equal weights and variances of 1. random_state is not needed: draws are secret. feature_bound:
    |x| stays below it (None: its public bound, or as far as there are digits for it). Columns should be standardised.

    Opens: 'range ok', nothing else. Rounds per step: about 300. Bytes per party and step: about n (270 k + 11 d + 170)
    and 1000 k d. A component that loses all rows has weight and mean 0. After fit, all secret: ``weights_`` (k,),
    ``means_``, ``covariances_`` (k, d); ``names_``: of the columns.
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        max_iter: int = 20,
        reg_covar: float = 1e-3,
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        feature_bound: float | None = None,
    ) -> None:
        self.n_components = n_components
        self.max_iter = max_iter
        self.reg_covar = reg_covar
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.feature_bound = feature_bound

    def fit(self, x: Table | SecureArray, y: Any = None, *, valid: SecureArray | None = None) -> GaussianMixture:
        """Learn from x (n, d); ``y`` is not used. Raises UsageError, ShapeError, RangeViolated."""
        self._check()
        self.units_ = None
        rows = self._points(x, valid=valid)
        if self.n_components > rows.x.shape[0]:
            raise ShapeError(
                f"GaussianMixture: expected at most as many components as rows, {rows.x.shape[0]}, "
                f"got {self.n_components}"
            )
        squares = rows.x.multiply(rows.x, scale=rows.x.scale)
        self._start(rows, squares, valid)
        for step in range(self.max_iter):
            shares = softmax(self._joint(rows.x), axis=1)
            self._maximise(rows, squares, rows.weighted(shares))
            rows._context.progress(step + 1, self.max_iter, f"step {step + 1}/{self.max_iter}")
        self.names_, self.units_ = rows.names, units_of(x)
        return self

    def predict(self, x: Table | SecureArray) -> SecureArray:
        """The likeliest component of each row (n,), secret integers."""
        flags, _ = nearest_one(-self._joint(self._rows(x).x))
        return (flags * np.arange(self.n_components)).sum(1)._stated(max(self.n_components - 1, 1))

    def fit_predict(self, x: Table | SecureArray, y: Any = None, **options: Any) -> SecureArray:
        """``fit``, and the likeliest component of each of its rows (n,)."""
        return self.fit(x, y, **options).predict(x)

    def predict_proba(self, x: Table | SecureArray) -> SecureArray:
        """Probability of each component for each row (n, k), secret."""
        return softmax(self._joint(self._rows(x).x), axis=1)

    def score_samples(self, x: Table | SecureArray) -> SecureArray:
        """Log density of each row (n,), secret."""
        return logsumexp(self._joint(self._rows(x).x), axis=1)

    def score(self, x: Table | SecureArray, y: Any = None, *, valid: SecureArray | None = None) -> SecureArray:
        """Mean log density of the rows that count, a secret scalar."""
        rows = self._points(x, valid=valid)
        each = logsumexp(self._joint(self._rows(x).x), axis=1)
        if rows.weight is None:
            return each.mean()
        return ratio((each * rows.weight).sum(), rows.weight.sum(), each.bound)

    def _points(self, x: Table | SecureArray, valid: SecureArray | None = None) -> Points:
        rows = rows_of("GaussianMixture", as_learnt(self, x), valid=valid, target=False)
        bound = self.feature_bound
        if bound is None:
            bound = feature_bound_for(rows.x.shape[1], rows.x._context.fraction_bits, self.reg_covar / 2)
        return points("GaussianMixture", rows, bound)

    def _rows(self, x: Table | SecureArray) -> Points:
        self.fitted("means_")
        given = self._points(x)
        same_columns("GaussianMixture", given.x, self.means_.shape[1])
        return given

    def _joint(self, x: SecureArray) -> SecureArray:
        """Log of weight times density (n, k)."""
        densities = log_densities("GaussianMixture", x, self.means_, self.covariances_, self.reg_covar / 2)
        return densities + log(self.weights_)

    def _maximise(self, rows: Points, squares: SecureArray, shares: SecureArray) -> None:
        """Weights, means and variances from each row's shares of the components (n, k), 0 where it does not count."""
        bits, bound = rows._context.fraction_bits, rows.x.bound
        sums, total = class_sums(shares, rows.x)
        means = ratio(sums, total.reshape((-1, 1)), bound, scale=_BITS)._stated(bound)
        sums, over = class_sums(shares, squares)
        second = ratio(sums, over.reshape((-1, 1)), bound * bound, scale=_BITS)
        narrow = means.rescaled(min(_BITS, (RANGE_BITS - 2 - 2 * exact.log2_ceil(max(bound, 1.0))) // 2))
        spread = second - narrow.multiply(narrow, scale=_BITS)
        self.covariances_ = (spread + self.reg_covar)._stated(bound * bound + self.reg_covar)
        self.means_ = means.rescaled(bits)._stated(bound)
        self.weights_ = ratio(total, total.sum(), 1.0, scale=_BITS)

    def _start(self, rows: Points, squares: SecureArray, valid: SecureArray | None) -> None:
        context, (_, d), k = rows._context, rows.x.shape, self.n_components
        if self.means_init is None:
            labels = KMeans(k, max_iter=10).fit(rows.x, valid=rows.weight).labels_
            self._maximise(rows, squares, rows.weighted(one_hot(labels, k)))
        else:
            means = _given(context, "means_init", self.means_init, (k, d))
            if means.bound > rows.x.bound:
                means = means.assume_bound(rows.x.bound, "means_init: bring means within the bound of x")
            self.means_ = means
        if self.precisions_init is not None:
            precision = _given(context, "precisions_init", self.precisions_init, (k, d))
            self.covariances_ = (1.0 / precision).assume_bound(
                exact.square(rows.x.bound), "1 / precisions_init: raise precisions_init"
            )
        elif self.means_init is not None:
            self.covariances_ = context.constant(np.ones((k, d)), scale=_BITS)
        if self.weights_init is not None:
            self.weights_ = _given(context, "weights_init", self.weights_init, (k,))
        elif self.means_init is not None:
            self.weights_ = context.constant(np.full(k, 1 / k), scale=_BITS)

    def _check(self) -> None:
        for name in ("n_components", "max_iter"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise UsageError(f"GaussianMixture: expected {name} of at least 1, a whole number, got {value!r}")
        for name in ("means_init", "weights_init", "precisions_init"):
            given = getattr(self, name)
            if given is None or isinstance(given, SecureArray):
                continue
            if np.asarray(given).dtype.kind not in "biuf":
                raise UsageError(f"GaussianMixture: expected {name} as numbers, got {type(given).__name__}")
            if name != "means_init" and not (np.asarray(given) > 0).all():
                raise UsageError(f"GaussianMixture: expected {name} above 0")
        if not 2.0**-14 <= self.reg_covar <= 1.0:
            raise UsageError(f"GaussianMixture: expected reg_covar between 2^-14 and 1, got {self.reg_covar!r}")


def _given(context: Context, name: str, value: Any, shape: tuple[int, ...]) -> SecureArray:
    """A start that was given, secret or public. Raises ShapeError."""
    found = value if isinstance(value, SecureArray) else context.constant(np.asarray(value, np.float64))
    if found.shape != shape:
        raise ShapeError(f"GaussianMixture: expected {name} of shape {shape}, got {found.shape}")
    return found.numeric().rescaled(context.fraction_bits)
