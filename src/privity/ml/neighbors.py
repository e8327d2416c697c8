"""Nearest neighbours on shares: which rows are near, and how near, stays secret."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, final

import numpy as np

from ..array import SecureArray
from ..errors import ShapeError, UsageError
from ..functions import concatenate, one_hot, sqrt
from ..functions.arithmetic import matmul
from ..functions.nearest import nearest_few, nearest_one
from ..ring import exact
from ..table import Table
from .classifier import Classifier, Regressor
from .columns import as_learnt
from .design import whole_target
from .estimator import Estimator, rows_of
from .information import lifted
from .points import distance_power, near, refuse_unresolved, same_columns

_AT_ONCE = 1 << 20  # distances in memory at a time


class Neighbors(Estimator):
    """What the classifier and the regressor share: scikit-learn's brute-force search with Euclidean distances.

    n_neighbors: public number k, all of the same weight. feature_bound: |x| stays below it (None: its public bound).
    Rows that do not count are farther away than any other; where fewer than k count, they fill up with the target 0.

    ``fit`` keeps the rows: it opens 'range ok' where there is something to check, and nothing else, and no answer opens
    anything. Equally near rows (distances are exact to about 2^-17): the choice is arbitrary. Predicting for m rows
    from n: squared distances by one product, then ``nearest_few``. Bytes per party and distance: 45 + 30 L + 7 L^2 with
    L = log2 of k, rounded up; rounds for each 2^20 distances: 80 for k = 1 among 1,000 rows, 260 for 5 to 8.
    """

    n_neighbors: int
    feature_bound: float | None

    @abstractmethod
    def fit(
        self, x: Table | SecureArray, y: SecureArray | str | None = None, *, valid: SecureArray | None = None
    ) -> Neighbors:
        """Keep x (n, d) and y (n,), or a table. Raises UsageError, ShapeError, RangeViolated."""

    def keep(self, x: Any, y: Any, valid: Any, whole: bool) -> None:
        """The rows times 2^``power_`` as ``x_`` (n, d), ``y_`` (n,), ``half_`` (n,): half of their squared lengths."""
        what = type(self).__name__
        if not isinstance(self.n_neighbors, int) or self.n_neighbors < 1:
            raise UsageError(f"{what}: expected n_neighbors >= 1, a public whole number, got {self.n_neighbors!r}")
        rows = rows_of(what, x, y, valid=valid)
        self.power_ = distance_power(rows, self.feature_bound)
        given = near(what, rows, self.feature_bound, self.power_)
        (n, d), context, target = given.x.shape, given._context, rows.y
        if self.n_neighbors > n:
            raise ShapeError(f"{what}: expected at most as many neighbours as rows, {n}, got {self.n_neighbors}")
        refuse_unresolved(what, rows, given)
        assert target is not None
        if target.ndim != 1:
            raise ShapeError(f"{what}: expected y of shape (n,), got {target.shape}")
        self.x_, self.names_, self.units_ = given.x, rows.names, rows.units
        self.y_ = whole_target(what, rows) if whole else target.numeric()
        most = d * exact.square(given.x.bound)
        context.fits(2 * most, 2 * given.x.scale, "a squared length (state a smaller feature_bound)")
        share = context.protocol.dot(given.x._ring_share(), given.x._ring_share(), given.x.scale + 1)
        self.half_ = SecureArray(context, share, given.x.scale, most / 2 + 2.0**-given.x.scale)
        if given.weight is not None:  # |x - q|^2 / 2 is at most 2 d bound^2
            far = 3.0 * most + 1.0
            self.half_ = (self.half_ + (1 - given.weight) * far)._stated(far)

    def kneighbors(self, x: Table | SecureArray) -> tuple[SecureArray, SecureArray]:
        """(distances, row numbers) of the k nearest rows of each row of x, (m, k) both, secret, the nearest first.

        A distance is off by about 2^-17 over itself, and by 2^-8 near 0.
        """
        self.fitted("x_")
        context = self.x_._context
        half, places = self._nearest(x, context.constant(np.arange(self.x_.shape[0])))
        given = self._rows(x)
        share = context.protocol.dot(given._ring_share(), given._ring_share(), given.scale)
        most = given.shape[1] * exact.square(given.bound)
        length = SecureArray(context, share, given.scale, most + 2.0**-given.scale)
        squares = half * 2 + length.reshape((-1, 1))
        return lifted(sqrt(squares), -self.power_), places

    def found(self, x: Table | SecureArray) -> SecureArray:
        """Targets of the k nearest rows (m, k)."""
        self.fitted("x_")
        return self._nearest(x, self.y_)[1]

    def _rows(self, x: Table | SecureArray) -> SecureArray:
        what = type(self).__name__
        given = near(what, rows_of(what, as_learnt(self, x), target=False), self.feature_bound, self.power_).x
        same_columns(what, given, self.x_.shape[1])
        return given

    def _nearest(self, x: Table | SecureArray, beside: SecureArray) -> tuple[SecureArray, SecureArray]:
        """(half the squared distances less the rows' own half, what stands beside), in blocks of rows of x."""
        given = self._rows(x)
        n = self.x_.shape[0]
        step = max(1, _AT_ONCE // n)
        parts = []
        for at in range(0, given.shape[0], step):
            some = given[at : at + step]
            away = self.half_ - matmul(some, self.x_.T)
            bound = self.half_.bound + given.shape[1] * given.bound * self.x_.bound + 2.0**-10
            parts.append(nearest_few(away._stated(bound), self.n_neighbors, beside))
        near, moved = (concatenate([p[i] for p in parts], axis=0) if len(parts) > 1 else parts[0][i] for i in (0, 1))
        return near, moved


@final
class KNeighborsClassifier(Neighbors, Classifier):
    """The class of most of the k nearest rows; of equally many the first. See Neighbors.

    classes: public number of classes; y holds 0 to classes - 1 (guarded).
    """

    def __init__(self, classes: int, n_neighbors: int = 5, *, feature_bound: float | None = None) -> None:
        self.classes = classes
        self.n_neighbors = n_neighbors
        self.feature_bound = feature_bound

    def fit(
        self, x: Table | SecureArray, y: SecureArray | str | None = None, *, valid: SecureArray | None = None
    ) -> KNeighborsClassifier:
        """Keep x (n, d) and y (n,) of whole numbers, or a table."""
        if not isinstance(self.classes, int) or self.classes < 2:
            raise UsageError(f"KNeighborsClassifier: expected classes >= 2, a whole number, got {self.classes!r}")
        self.keep(x, y, valid, whole=True)
        low = (self.y_ < 0) | (self.y_ > self.classes - 1)
        hint = "KNeighborsClassifier: y holds whole numbers from 0 to classes - 1"
        self.y_._context.guard(low.numeric().sum()._ring_share(), hint)
        self.y_ = self.y_._stated(self.classes - 1)
        return self

    def predict(self, x: Table | SecureArray) -> SecureArray:
        """The class of each row (m,), secret integers."""
        flags, _ = nearest_one(-self._votes(x))
        return (flags * np.arange(self.classes)).sum(1)._stated(self.classes - 1)

    def predict_proba(self, x: Table | SecureArray) -> SecureArray:
        """Shares of the classes among the k nearest rows (m, classes), secret."""
        return self._votes(x) * (1.0 / self.n_neighbors)

    def _votes(self, x: Table | SecureArray) -> SecureArray:
        return one_hot(self.found(x), self.classes).sum(1)


@final
class KNeighborsRegressor(Neighbors, Regressor):
    """The mean target of the k nearest rows. See Neighbors."""

    def __init__(self, n_neighbors: int = 5, *, feature_bound: float | None = None) -> None:
        self.n_neighbors = n_neighbors
        self.feature_bound = feature_bound

    def fit(
        self, x: Table | SecureArray, y: SecureArray | str | None = None, *, valid: SecureArray | None = None
    ) -> KNeighborsRegressor:
        """Keep x (n, d) and y (n,), or a table."""
        self.keep(x, y, valid, whole=False)
        return self

    def predict(self, x: Table | SecureArray) -> SecureArray:
        """The mean target for each row (m,), secret."""
        return self.found(x).mean(1)
