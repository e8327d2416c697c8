"""K-means clustering on shares: Lloyd's steps from public or secret starts; which row is where stays secret."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array import SecureArray
from ..errors import ShapeError, UsageError
from ..functions import concatenate, minimum, sqrt, stack
from ..functions import random as secret_random
from ..functions.arithmetic import matmul
from ..functions.nearest import nearest_one
from ..functions.ratio import fitting_scale, mean, ratio
from ..ring import exact
from ..table import Table
from ..types import RANGE_BITS
from .columns import as_learnt
from .estimator import Estimator, rows_of, whole_numbers
from .information import lifted
from .points import Points, distance_power, near, refuse_unresolved, same_columns

STARTS = ("k-means++", "random")
_DRAW_BITS = 20  # of the random number that picks a row


class KMeans(Estimator):
    """Clusters of rows around centres: scikit-learn's ``KMeans`` with Lloyd's algorithm and a public number of steps.

    n_clusters: public number k. init: "k-means++" (each centre drawn with a probability that grows with the squared
    distance to those before; secret draws, one candidate each), "random" (different rows; by a public draw where every
    row counts once, else secret and in proportion to the weights), or the k centres (k, d), public or secret.
    n_init: starts, computed side by side; the one of least inertia is kept (given centres: 1). max_iter: steps, all
    taken. random_state: of the public draw. feature_bound: |x| stays below it (None: the public bound of x, as far as
    there is room for it).

    A cluster that has no row keeps its centre. Opens: 'range ok', nothing else: not which row is where, not how many
    rows a cluster has, not when the centres stopped. Rounds per step: about 50 and 9 ceil(log2 k). Bytes per party and
    step: about 42 n_init n k and 220 n_init k d, of which the products with x are a quarter.

    After fit, all secret: ``cluster_centers_`` (k, d), ``labels_`` (n,) integers, ``inertia_``: the weighted sum of
    squared distances to the nearest centre, error about 2^-17 a row. Centres are the means of their rows to a relative
    2^-24 and two units in the last place (6 rounds once). ``names_``: of the columns.
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Any = "k-means++",
        n_init: int = 1,
        max_iter: int = 20,
        random_state: int = 0,
        feature_bound: float | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.random_state = random_state
        self.feature_bound = feature_bound

    def fit(
        self,
        x: Table | SecureArray,
        y: Any = None,
        *,
        valid: SecureArray | None = None,
        sample_weight: Any = None,
    ) -> KMeans:
        """Learn from x (n, d); ``y`` is not used. Raises UsageError, ShapeError, RangeViolated."""
        self._check()
        given = rows_of("KMeans", x, valid=valid, sample_weight=sample_weight, target=False)
        self.power_ = distance_power(given, self.feature_bound)
        rows = near("KMeans", given, self.feature_bound, self.power_)
        if self.n_clusters > rows.x.shape[0]:
            raise ShapeError(
                f"KMeans: expected at most as many clusters as rows, {rows.x.shape[0]}, got {self.n_clusters}"
            )
        context, (n, d), k = rows._context, rows.x.shape, self.n_clusters
        refuse_unresolved("KMeans", given, rows)
        centres = self._starts(rows)
        starts = centres.shape[0] // k
        ones = context.constant(np.ones((n, 1))) if rows.weight is None else rows.weight.reshape((n, 1))
        sums_of = concatenate([rows.weighted(rows.x), ones], axis=1)
        for step in range(self.max_iter):
            flags, _ = _assigned(rows.x, centres, k)
            sums = flags.T @ sums_of
            if step < self.max_iter - 1:
                moved = ratio(sums[:, :d], sums[:, d:], rows.x.bound)
            else:  # of which centres are told
                moved = mean(sums[:, :d], sums[:, d:], rows.x.bound, rows.x.scale)
            moved = moved._stated(rows.x.bound)
            empty = (sums[:, d:] == 0).numeric()
            centres = (moved + empty * centres)._stated(rows.x.bound)  # moved is 0 where the cluster is empty
            context.progress(step + 1, self.max_iter, f"step {step + 1}/{self.max_iter}")
        flags, scores = _assigned(rows.x, centres, k)
        inertia = _inertia(rows, scores.reshape((n, starts)))
        labels = (flags.reshape((n, starts, k)) * np.arange(k)).sum(2)._stated(max(k - 1, 1))
        if starts > 1:
            best, _ = nearest_one(inertia.reshape((1, starts)))
            centres = (best.reshape((starts, 1, 1)) * centres.reshape((starts, k, d))).sum(0)._stated(rows.x.bound)
            labels = (labels @ best.reshape((starts,)))._stated(max(k - 1, 1))
            inertia = (inertia * best.reshape((starts,))).sum()._stated(inertia.bound)
        self.cluster_centers_ = lifted(centres, -self.power_)
        self.labels_ = labels.reshape((n,))
        self.inertia_ = lifted(inertia.reshape(()), -2 * self.power_)
        self.names_, self.units_ = rows.names, given.units
        return self

    def fit_predict(self, x: Table | SecureArray, y: Any = None, **options: Any) -> SecureArray:
        """``fit``, and the cluster of each of its rows (n,), secret integers."""
        return self.fit(x, y, **options).labels_

    def predict(self, x: Table | SecureArray) -> SecureArray:
        """The nearest centre of each row (n,), secret integers; of equally near ones the first."""
        flags, _ = _assigned(self._rows(x), self._centres(), self.n_clusters)
        return (flags * np.arange(self.n_clusters)).sum(1)._stated(max(self.n_clusters - 1, 1))

    def transform(self, x: Table | SecureArray) -> SecureArray:
        """Distance of each row to each centre (n, k), secret; error about 2^-17 over the distance."""
        given = self._rows(x)
        centres = self._centres()
        scores = _scores(given, centres) + _squares(given).reshape((-1, 1))
        away = sqrt(scores._stated(given.shape[1] * exact.square(given.bound + centres.bound) + 1.0))
        return lifted(away, -self.power_)

    def fit_transform(self, x: Table | SecureArray, y: Any = None, **options: Any) -> SecureArray:
        """``fit``, and ``transform`` of the same rows."""
        return self.fit(x, y, **options).transform(x)

    def score(self, x: Table | SecureArray, y: Any = None) -> SecureArray:
        """Minus the sum of squared distances of the rows to their nearest centre, a secret scalar."""
        given = near("KMeans", rows_of("KMeans", as_learnt(self, x), target=False), self.feature_bound, self.power_)
        _, scores = _assigned(self._rows(x), self._centres(), self.n_clusters)
        return lifted(-_inertia(given, scores.reshape((-1, 1))).reshape(()), -2 * self.power_)

    def _centres(self) -> SecureArray:
        """In the power of two of the rows, at their fractional bits."""
        centres = lifted(self.cluster_centers_, self.power_)
        return centres.rescaled(min(centres.scale, centres._context.fraction_bits))

    def _rows(self, x: Table | SecureArray) -> SecureArray:
        self.fitted("cluster_centers_")
        given = near("KMeans", rows_of("KMeans", as_learnt(self, x), target=False), self.feature_bound, self.power_).x
        same_columns("KMeans", given, self.cluster_centers_.shape[1])
        return given

    def _starts(self, rows: Points) -> SecureArray:
        """The first centres of all starts, (n_init * k, d)."""
        context, (n, d), k = rows._context, rows.x.shape, self.n_clusters
        if not isinstance(self.init, str):
            given = self.init if isinstance(self.init, SecureArray) else context.constant(np.asarray(self.init, float))
            if given.shape != (k, d):
                raise ShapeError(f"KMeans: expected init of shape ({k}, {d}), got {given.shape}")
            given = lifted(given.numeric().rescaled(context.fraction_bits), self.power_).rescaled(context.fraction_bits)
            if given.bound <= rows.x.bound:
                return given
            return given.assume_bound(rows.x.bound, "init: bring centres within the bound of x")
        if self.init == "random" and rows.weight is None:
            draw = np.random.default_rng(self.random_state)
            return rows.x[np.concatenate([draw.choice(n, k, replace=False) for _ in range(self.n_init)])]
        return _drawn(rows, k, self.n_init, self.init == "k-means++")

    def _check(self) -> None:
        whole_numbers("KMeans", n_clusters=self.n_clusters, n_init=self.n_init, max_iter=self.max_iter)
        whole_numbers("KMeans", least=0, random_state=self.random_state)
        if isinstance(self.init, str) and self.init not in STARTS:
            raise UsageError(f"KMeans: expected init to be {' or '.join(STARTS)}, or centres, got {self.init!r}")
        if not isinstance(self.init, str | SecureArray) and np.asarray(self.init).dtype.kind not in "biuf":
            raise UsageError(f"KMeans: expected init as numbers, got {type(self.init).__name__}")
        if not isinstance(self.init, str) and self.n_init != 1:
            raise UsageError("KMeans: given centres are one start; set n_init=1")


def _squares(x: SecureArray) -> SecureArray:
    """Squared lengths of the rows (n,); 3 rounds, 10.25 bytes per party and row."""
    context, bound = x._context, x.shape[1] * x.bound * x.bound
    context.fits(bound, 2 * x.scale, "a squared length (state a smaller feature_bound)")
    share = context.protocol.dot(x._ring_share(), x._ring_share(), x.scale)
    return SecureArray(context, share, x.scale, bound + 2.0**-x.scale)


def _scores(x: SecureArray, centres: SecureArray) -> SecureArray:
    """Squared distances of x (n, d) to centres (k, d), less the squared length of each row: (n, k). 6 rounds."""
    bound = x.shape[1] * centres.bound * (2 * x.bound + centres.bound) + 2.0**-16
    return (_squares(centres) - matmul(x, centres.T) * 2)._stated(bound)


def _assigned(x: SecureArray, centres: SecureArray, k: int) -> tuple[SecureArray, SecureArray]:
    """(flags (n, starts * k) of the nearest centre, its score (n * starts,)), for each start on its own."""
    n, many = x.shape[0], centres.shape[0]
    flags, best = nearest_one(_scores(x, centres).reshape((n * (many // k), k)))
    return flags.reshape((n, many)), best


def _inertia(rows: Points, scores: SecureArray) -> SecureArray:
    """Weighted sum of squared distances, for each start (starts,)."""
    n, context = scores.shape[0], rows._context
    bound = rows.x.shape[1] * exact.square(2 * rows.x.bound) + 1.0
    squares = (scores + _squares(rows.x).reshape((-1, 1)))._stated(bound)
    if rows.weight is None:
        return squares.sum(0)
    weight = rows.weight
    room = RANGE_BITS - 1 - exact.log2_ceil(bound * max(weight.bound, 1.0) * n)
    weight = weight.rescaled(max(0, min(weight.scale, room // 2)))
    squares = squares.rescaled(max(0, min(squares.scale, room - weight.scale)))
    context.fits(bound * weight.bound * n, squares.scale + weight.scale, "an inertia (state a smaller feature_bound)")
    return matmul(weight.reshape((1, n)), squares).reshape((-1,))


# -- secret starts --------------------------------------------------------------------------------------------------


def _drawn(rows: Points, k: int, starts: int, spread: bool) -> SecureArray:
    """Rows drawn on shares, for all starts side by side: (starts * k, d). One batch of n comparisons a centre.

    ``spread``: in proportion to weight times squared distance to the centres so far (Arthur and Vassilvitskii 2007),
    else to the weight, each row once at most.
    """
    n, d = rows.x.shape
    context = rows._context
    weight = rows.weight if rows.weight is not None else context.constant(np.ones(n, np.int64))
    chance = stack([weight] * starts)
    found: list[SecureArray] = []
    nearest: SecureArray | None = None
    for _ in range(k):
        hot = _one_row(chance)
        centre = (hot @ rows.x)._stated(rows.x.bound)
        found.append(centre)
        if not spread:
            chance = (chance - hot * chance)._stated(chance.bound)
            continue
        away = rows.x.reshape((1, n, d)) - centre.reshape((starts, 1, d))
        squares = _squares(away._stated(2 * rows.x.bound).reshape((starts * n, d))).reshape((starts, n))
        nearest = squares if nearest is None else minimum(nearest, squares)._stated(squares.bound)
        chance = nearest if rows.weight is None else nearest.multiply(weight, scale=nearest.scale)
    return stack(found).transpose(1, 0, 2).reshape((starts * k, d))


def _one_row(chance: SecureArray) -> SecureArray:
    """0/1 integers (starts, n): one row each, drawn in proportion to ``chance`` (starts, n), which is at least 0.

    The first row whose running sum exceeds r times the total over 2^20, with r secret below 2^20 and no rounding: a row
    of chance 0 is never drawn, unless all are 0 (then it is the last). Chances are rounded to 40 bits in all.
    """
    context, (starts, n) = chance._context, chance.shape
    scale = fitting_scale(chance.bound * n, chance.scale, RANGE_BITS - 2 - _DRAW_BITS)
    running = chance.rescaled(scale).cumsum(1)
    draw = secret_random.integers(context.session, 0, 1 << _DRAW_BITS, (starts, 1))
    threshold = running[:, n - 1 :] * draw
    above = (running[:, : n - 1] * (1 << _DRAW_BITS) > threshold).numeric()
    ones = context.constant(np.ones((starts, 1), np.int64))
    zeros = context.constant(np.zeros((starts, 1), np.int64))
    reached = concatenate([above, ones], axis=1)
    return (reached - concatenate([zeros, above], axis=1))._stated(1.0)
