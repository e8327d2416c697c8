"""Decision trees and random forests on shares: scikit-learn's estimators over bins, to a public depth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ...array import SecureArray
from ...errors import UsageError
from ...functions import argmax, concatenate, minimum, one_hot
from ...functions.ratio import ratio
from ...table import Table, natural
from ..design import guard_binary, settle
from ..estimator import Estimator, whole_numbers
from .impurity import VALUE, Draw, Grown, Limits, Sums, averaged, grow_by_impurity
from .rows import DEEPEST, TreeRows, bins_again, learn_bins, tree_rows

_TARGET = 24  # fractional bits of a number to predict, over its bound
_AT_ONCE = 1 << 23  # numbers that the trees of one batch hold at their last level
_LIGHT = 2.0**-4  # least weight of a leaf where rows have weights
_LARGEST_CLASS_WEIGHT = 64.0
_HINT = "state weights of at least 0 that are not all 0, and classes from 0 to classes - 1"


class Forest(Estimator):
    """What trees and forests share. Subclasses state the target's sums and how leaves become predictions."""

    n_estimators: int = 1
    bootstrap: bool = False
    max_samples: int | float | None = None
    max_depth: int
    max_bins: int
    max_features: int | float | str | None
    min_samples_leaf: int
    random_state: int

    def _learn(self, rows: TreeRows, base: SecureArray | None, targets: SecureArray, largest: float, bits: int) -> None:
        """Grow all trees: ``base`` (n,) weights or None, ``targets`` (k, n), |target| <= largest."""
        session, n = rows.session, rows.rows
        bins, self.binner_ = learn_bins(rows, self.max_bins)
        weighted = base is not None
        weight = base if base is not None else session.constant(np.ones(n, np.int64))
        whole = weight.scale == 0
        if weighted:
            total = weight.sum()
            session.guard((total < (1.0 if whole else _LIGHT)).numeric().ring_share(), "rows that count")
        values = targets * weight if weighted and whole else targets
        if weighted and not whole:
            values = targets.multiply(weight, scale=max(targets.scale, weight.scale))
        counted = None
        if self.min_samples_leaf > 1 and (not whole or self.bootstrap):
            counted = rows.valid if rows.valid is not None else session.constant(np.ones(n, np.int64))
        least = 1.0 if whole else _LIGHT
        if self.min_samples_leaf > 1 and counted is None:
            least = float(self.min_samples_leaf)
        limits = Limits(self.max_depth, self.min_samples_leaf, least)
        kept = 1 + len(targets) + (counted is not None)
        made: list[Grown] = []
        for span in _batches(self.n_estimators, kept * n << (self.max_depth - 1)):
            times = self._times(n, span)
            sums = Sums(
                (weight * times).stated(weight.bound * times.max()),
                (values.reshape((-1, 1, n)) * times).stated(values.bound * times.max()),
                max(1.0, float(times.sum(axis=1).max()) * weight.bound),
                largest,
                None if counted is None else (counted * (times > 0).astype(np.int64)).stated(1.0),
                bits,
            )
            made.append(grow_by_impurity(bins, sums, limits, self._draw(span, bins.columns)))
            session.progress(span.stop, self.n_estimators, f"tree {span.stop}/{self.n_estimators}")
        self.splits_ = [concatenate([g.splits[k] for g in made]) for k in range(self.max_depth)]
        self.values_ = concatenate([g.values for g in made], axis=1)
        self.covers_ = concatenate([g.covers for g in made])
        self.names_, self.units_ = rows.names, rows.units
        settle(session, type(self).__name__, _HINT)

    def _averages(self, x: Table | SecureArray) -> SecureArray:
        """Mean over the trees of the values of the leaves where rows fall, (k, rows)."""
        self.fitted("values_")
        what = type(self).__name__
        bins = bins_again(what, tree_rows(what, x, target=False), self.binner_)
        total: SecureArray | None = None
        for span in _batches(self.n_estimators, bins.rows << self.max_depth):
            splits = [c[span.start << k : span.stop << k] for k, c in enumerate(self.splits_)]
            part = averaged(bins, splits, self.values_[:, span])
            total = part if total is None else total + part
        assert total is not None
        mean = total if self.n_estimators == 1 else total.multiply(np.asarray(1.0 / self.n_estimators), scale=VALUE)
        return mean.stated(self.values_.bound + 2.0 ** (1 - VALUE))

    def _times(self, rows: int, span: slice) -> npt.NDArray[np.int64]:
        """How often each tree takes each row, (trees, rows), public."""
        made = np.ones((span.stop - span.start, rows), np.int64)
        if self.bootstrap:
            wanted = self.max_samples
            take = rows if wanted is None else wanted if isinstance(wanted, int) else max(1, round(wanted * rows))
            for k, tree in enumerate(range(span.start, span.stop)):
                drawn = np.random.default_rng([self.random_state, tree, 0]).integers(0, rows, take)
                made[k] = np.bincount(drawn, minlength=rows)
        return made

    def _draw(self, span: slice, columns: int) -> Draw:
        """The columns that each node may use, drawn anew for each and in a drawn order, which decides ties; public."""
        tried = columns_to_try(type(self).__name__, self.max_features, columns)
        if tried == columns and self.n_estimators == 1:
            return lambda level: None

        def draw(level: int) -> npt.NDArray[np.int64]:
            nodes = [
                np.random.default_rng([self.random_state, tree, 1 + level]).random((1 << level, columns))
                for tree in range(span.start, span.stop)
            ]
            return np.concatenate(nodes).argsort(axis=1)[:, :tried]

        return draw

    def _check_trees(self) -> None:
        what = type(self).__name__
        whole_numbers(what, min_samples_leaf=self.min_samples_leaf, n_estimators=self.n_estimators)
        whole_numbers(what, most=DEEPEST, max_depth=self.max_depth)
        whole_numbers(what, least=2, max_bins=self.max_bins)
        whole_numbers(what, least=0, random_state=self.random_state)
        drawn = self.max_samples
        if drawn is not None and not (drawn >= 1 if isinstance(drawn, int) else 0 < drawn <= 1):
            raise UsageError(f"{what}: expected max_samples of at least 1 row, or a share in (0, 1], got {drawn!r}")


def columns_to_try(what: str, wanted: int | float | str | None, columns: int) -> int:
    """scikit-learn's ``max_features`` as a number of columns. Raises UsageError."""
    if wanted is None:
        return columns
    if wanted == "sqrt":
        return max(1, math.isqrt(columns))
    if wanted == "log2":
        return max(1, int(math.log2(columns)))
    if isinstance(wanted, bool | str) or not (wanted >= 1 if isinstance(wanted, int) else 0 < wanted <= 1):
        raise UsageError(
            f"{what}: expected max_features 'sqrt', 'log2', None, a number of columns or a share of them in (0, 1], "
            f"got {wanted!r}"
        )
    return min(columns, wanted) if isinstance(wanted, int) else max(1, int(wanted * columns))


def _batches(trees: int, size: int) -> Iterator[slice]:
    """Trees in as equal parts as fit, ``size`` numbers each."""
    parts = math.ceil(trees / max(1, _AT_ONCE // size))
    edges = [round(k * trees / parts) for k in range(parts + 1)]
    yield from (slice(a, b) for a, b in pairwise(edges))


# -- classes ----------------------------------------------------------------------------------------------------------


class _Classifier(Forest):
    classes: int
    class_weight: Mapping[int, float] | str | None

    def _fit(self, x: Table | SecureArray, y: SecureArray | str | None, valid: Any, sample_weight: Any) -> None:
        what = type(self).__name__
        self._check_trees()
        whole_numbers(what, least=2, classes=self.classes)
        rows = tree_rows(what, x, y, valid=valid, sample_weight=sample_weight)
        assert rows.y is not None
        if rows.y.kind == "fixed":
            raise UsageError(f"{what}: expected y as integers or booleans, got fixed-point values; use y.astype('int')")
        target, session = rows.y.numeric(), rows.session
        if self.classes == 2:
            guard_binary(target, rows.valid, f"{what}: y is 0 or 1")
            hot = target.stated(1.0).reshape((1, -1))
        else:
            every = one_hot(target, self.classes)
            missed = 1 - every.sum(axis=1)
            missed = missed if rows.valid is None else missed * rows.valid
            session.guard(missed.sum().ring_share(), f"{what}: y holds whole numbers from 0 to classes - 1")
            hot = every.T[1:]
        self._learn(rows, self._weights(rows.counted(), hot), hot, 1.0, 30)

    def _weights(self, base: SecureArray | None, hot: SecureArray) -> SecureArray | None:
        """Rows' weights times those of their classes."""
        wanted, n = self.class_weight, hot.shape[1]
        if wanted is None:
            return base
        ones = hot.session.constant(np.ones(n, np.int64)) if base is None else base
        every = concatenate([(1 - hot.sum(axis=0)).reshape((1, n)), hot]).stated(1.0)
        factor: SecureArray
        if isinstance(wanted, str):
            if wanted != "balanced":
                raise UsageError(f"class_weight: expected 'balanced', a dictionary or None, got {wanted!r}")
            found = every @ ones
            share = ratio(found.sum(), found * self.classes, max(1.0, n * ones.bound))
            factor = minimum(share, _LARGEST_CLASS_WEIGHT).stated(_LARGEST_CLASS_WEIGHT) @ every
            return (factor.stated(_LARGEST_CLASS_WEIGHT) * ones).stated(_LARGEST_CLASS_WEIGHT * ones.bound)
        if not isinstance(wanted, Mapping):
            raise UsageError(f"class_weight: expected 'balanced', a dictionary or None, got {wanted!r}")
        wrong = set(wanted) - set(range(self.classes))
        public = np.asarray([float(wanted.get(k, 1.0)) for k in range(self.classes)])
        if wrong or not (public >= 0).all() or not np.isfinite(public).all() or not public.any():
            raise UsageError(
                f"class_weight: expected weights of at least 0, not all 0, for classes 0 to {self.classes - 1}"
            )
        factor = (every * public.reshape((-1, 1))).sum(axis=0).stated(float(public.max()))
        return factor if base is None else (factor * ones).stated(float(public.max()) * ones.bound)

    def predict_proba(self, x: Table | SecureArray) -> SecureArray:
        """Probabilities (n, classes), secret: the mean over the trees of the shares of classes in the leaf."""
        others = self._averages(x).stated(1.0)
        first = (1 - others.sum(axis=0)).reshape((1, -1)).stated(1.0)
        return concatenate([first, others]).T

    def predict(self, x: Table | SecureArray) -> SecureArray:
        """The likeliest class (n,): secret booleans for two classes, else integers; of equal ones the first."""
        if self.classes == 2:
            return self._averages(x)[0] > 0.5
        return argmax(self.predict_proba(x), axis=1)


class DecisionTreeClassifier(_Classifier):
    """One tree by Gini's impurity: scikit-learn's ``DecisionTreeClassifier`` on bins, to a public depth.

    classes: public number of classes; y holds 0 to classes - 1. max_depth: levels of splits, at least 1; the tree is
    complete, so its shape says nothing. max_bins: thresholds for a column, plus 1 (see ``bins.Binner``).
    min_samples_leaf: rows on both sides of a split. max_features: columns tried at a node, drawn by the public
    ``random_state``: a number, a share, "sqrt", "log2" or None for all. class_weight: {class: weight}, "balanced"
    (at most 64) or None. With weights both sides of a split must also weigh 1/16 at least.

    Opens: 'range ok', nothing else. After fit, all secret: ``splits_``, ``values_``, ``covers_`` (see
    ``impurity.Grown``), ``binner_``; public: ``names_``, ``units_``.
    """

    def __init__(
        self,
        classes: int = 2,
        *,
        max_depth: int = 4,
        max_bins: int = 32,
        min_samples_leaf: int = 1,
        max_features: int | float | str | None = None,
        class_weight: Mapping[int, float] | str | None = None,
        random_state: int = 0,
    ) -> None:
        self.classes = classes
        self.max_depth = max_depth
        self.max_bins = max_bins
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.class_weight = class_weight
        self.random_state = random_state

    def fit(
        self,
        x: Table | SecureArray,
        y: SecureArray | str | None = None,
        *,
        valid: SecureArray | None = None,
        sample_weight: Any = None,
    ) -> DecisionTreeClassifier:
        """Learn from x (n, d) and y (n,). Raises UsageError, ShapeError, RangeViolated."""
        self._fit(x, y, valid, sample_weight)
        return self


class RandomForestClassifier(_Classifier):
    """The mean of trees that see drawn rows and columns: scikit-learn's ``RandomForestClassifier`` on bins.

    n_estimators: trees, grown side by side in batches that fit memory. bootstrap: whether each tree draws its rows,
    with replacement, by the public ``random_state``; max_samples: how many (None: as many as there are, a share, or a
    number). Which row is drawn how often is public; where it falls is not. All else as in ``DecisionTreeClassifier``.
    """

    def __init__(
        self,
        classes: int = 2,
        *,
        n_estimators: int = 50,
        max_depth: int = 6,
        max_bins: int = 32,
        min_samples_leaf: int = 1,
        max_features: int | float | str | None = "sqrt",
        bootstrap: bool = True,
        max_samples: int | float | None = None,
        class_weight: Mapping[int, float] | str | None = None,
        random_state: int = 0,
    ) -> None:
        self.classes = classes
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.max_bins = max_bins
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.bootstrap = bootstrap
        self.max_samples = max_samples
        self.class_weight = class_weight
        self.random_state = random_state

    def fit(
        self,
        x: Table | SecureArray,
        y: SecureArray | str | None = None,
        *,
        valid: SecureArray | None = None,
        sample_weight: Any = None,
    ) -> RandomForestClassifier:
        """Learn from x (n, d) and y (n,). Raises UsageError, ShapeError, RangeViolated."""
        self._fit(x, y, valid, sample_weight)
        return self


# -- numbers ----------------------------------------------------------------------------------------------------------


class _Regressor(Forest):
    def _fit(self, x: Table | SecureArray, y: SecureArray | str | None, valid: Any, sample_weight: Any) -> None:
        self._check_trees()
        rows = tree_rows(type(self).__name__, x, y, valid=valid, sample_weight=sample_weight)
        assert rows.y is not None
        given, base = rows.y.numeric(), rows.counted()
        log = math.ceil(math.log2(given.bound))
        target = SecureArray(given.session, given.ring_share(), max(0, given.scale + log), 1.0)
        target = target.rescaled(_TARGET).stated(1.0)
        self.target_unit_ = 2.0**log
        # from the mean, so that differences are not lost in the size of the numbers
        if base is None:
            mean = target.mean()
        else:
            weight = base if base.scale else base.numeric()
            mean = ratio(target.multiply(weight, scale=_TARGET).sum(), weight.sum(), 1.0, VALUE)
        mean = mean.rescaled(VALUE).stated(1.0)
        self._learn(rows, base, (target - mean).stated(2.0).reshape((1, -1)), 2.0, 40)
        self.values_ = (self.values_ + mean).stated(1.01)

    def predict(self, x: Table | SecureArray) -> SecureArray:
        """The mean over the trees of the mean target in the leaf, (n,), secret."""
        return natural(self._averages(x)[0], self.target_unit_)


class DecisionTreeRegressor(_Regressor):
    """One tree by squared errors: scikit-learn's ``DecisionTreeRegressor`` on bins, to a public depth.

    Parameters, what is opened and what is learnt: as in ``DecisionTreeClassifier``. ``values_`` are in units of the
    public ``target_unit_``, the power of two at or above the bound of y.
    """

    def __init__(
        self,
        *,
        max_depth: int = 4,
        max_bins: int = 32,
        min_samples_leaf: int = 1,
        max_features: int | float | str | None = None,
        random_state: int = 0,
    ) -> None:
        self.max_depth = max_depth
        self.max_bins = max_bins
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.random_state = random_state

    def fit(
        self,
        x: Table | SecureArray,
        y: SecureArray | str | None = None,
        *,
        valid: SecureArray | None = None,
        sample_weight: Any = None,
    ) -> DecisionTreeRegressor:
        """Learn from x (n, d) and y (n,). Raises UsageError, ShapeError, RangeViolated."""
        self._fit(x, y, valid, sample_weight)
        return self


class RandomForestRegressor(_Regressor):
    """The mean of regression trees that see drawn rows (and columns): scikit-learn's ``RandomForestRegressor`` on bins.

    Parameters: as in ``RandomForestClassifier``; max_features: 1.0, all columns, unless stated.
    """

    def __init__(
        self,
        *,
        n_estimators: int = 50,
        max_depth: int = 6,
        max_bins: int = 32,
        min_samples_leaf: int = 1,
        max_features: int | float | str | None = 1.0,
        bootstrap: bool = True,
        max_samples: int | float | None = None,
        random_state: int = 0,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.max_bins = max_bins
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.bootstrap = bootstrap
        self.max_samples = max_samples
        self.random_state = random_state

    def fit(
        self,
        x: Table | SecureArray,
        y: SecureArray | str | None = None,
        *,
        valid: SecureArray | None = None,
        sample_weight: Any = None,
    ) -> RandomForestRegressor:
        """Learn from x (n, d) and y (n,). Raises UsageError, ShapeError, RangeViolated."""
        self._fit(x, y, valid, sample_weight)
        return self
