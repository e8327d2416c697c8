"""Decision trees and random forests on shares: scikit-learn's estimators over bins, to a public depth."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...array import SecureArray
from ...errors import UsageError
from ...functions import argmax, concatenate, one_hot
from ...functions.flags import as_flags, neither
from ...table import Table
from ..class_weight import ClassWeight, check_class_weight, class_factors
from ..classifier import Classifier, Regressor
from ..design import OTHER_LABELS
from ..estimator import whole_numbers
from ..metrics import accuracy_score, r2_score
from .ensemble import Forest
from .impurity import VALUE
from .objectives import mean as weighted_mean
from .rows import TreeRows, tree_rows, whole_labels
from .scaled_weights import both
from .target import BITS, Target

# -- classes ----------------------------------------------------------------------------------------------------------


class _Classifier(Forest, Classifier):
    classes: int
    class_weight: ClassWeight

    def _fit(self, x: Table | SecureArray, y: SecureArray | str | None, valid: Any, sample_weight: Any) -> None:
        what = type(self).__name__
        self._check_trees()
        whole_numbers(what, least=2, classes=self.classes)
        check_class_weight(what, self.class_weight, self.classes)
        rows = tree_rows(what, x, y, valid=valid, sample_weight=sample_weight)
        assert rows.y is not None
        if rows.y.kind == "fixed":
            raise UsageError(
                f"{what}: expected y as integers or booleans, got fixed-point values; {whole_labels(self.classes)}"
            )
        context = rows._context
        if self.classes == 2:
            hot = as_flags(rows.y, f"{what}: y", advice=OTHER_LABELS).reshape((1, -1))
        else:
            every = one_hot(rows.y.numeric(), self.classes)
            missed = 1 - every.sum(axis=1)
            missed = missed if rows.valid is None else missed * rows.valid
            context.guard(missed.sum()._ring_share(), f"{what}: y holds whole numbers from 0 to classes - 1")
            hot = every.T[1:]
        bins = self._learn(rows, self._weights(rows, hot), hot, 1.0, 30)
        if self.oob_score:
            others, valid = self._out_of_bag(bins, rows)
            self.oob_decision_function_ = self._shares(others)
            self.oob_score_ = accuracy_score(rows.y, self._likeliest(others), valid=valid)

    def _weights(self, rows: TreeRows, hot: SecureArray) -> SecureArray | None:
        """Rows' weights times those of their classes; ``hot`` (classes - 1, n): flags of all classes but the first."""
        base = rows.counted()
        flags = hot[0]
        if self.classes > 2:
            flags = concatenate([neither(hot.sum(axis=0)).reshape((1, -1)), hot]).T._stated(1.0)
        factor = class_factors(type(self).__name__, self.class_weight, self.classes, flags, valid=rows.valid)
        return base if factor is None else factor if base is None else both(factor, base)

    def predict_proba(self, x: Table | SecureArray) -> SecureArray:
        """Probabilities (n, classes), secret: the mean over the trees of the shares of classes in the leaf."""
        return self._shares(self._averages(x))

    def predict(self, x: Table | SecureArray) -> SecureArray:
        """The likeliest class (n,): secret booleans for two classes, else integers; of equal ones the first."""
        return self._likeliest(self._averages(x))

    def _shares(self, others: SecureArray) -> SecureArray:
        """Of all classes (n, classes), from those of all but the first (classes - 1, n)."""
        others = others._stated(1.0)
        first = (1 - others.sum(axis=0)).reshape((1, -1))._stated(1.0)
        return concatenate([first, others]).T

    def _likeliest(self, others: SecureArray) -> SecureArray:
        return others[0] > 0.5 if self.classes == 2 else argmax(self._shares(others), axis=1)


class DecisionTreeClassifier(_Classifier):
    """One tree by Gini's impurity: scikit-learn's ``DecisionTreeClassifier`` on bins, to a public depth.

    classes: public number of classes; y holds 0 to classes - 1. max_depth: levels of splits, at least 1; the tree is
    complete, so its shape says nothing. max_bins: thresholds for a column, plus 1 (see ``bins.Binner``).
    min_samples_leaf: rows on both sides of a split. max_features: columns tried at a node, drawn by the public
    ``random_state``: a number, a share, "sqrt", "log2" or None for all. class_weight: {class: weight}, a
    weight for each class, "balanced" or None. With weights both sides of a split must weigh a sixteenth of a row of
    ordinary weight at least.

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
        class_weight: ClassWeight = None,
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
    number). Which row is drawn how often is public; where it falls is not. oob_score: whether rows are predicted by
    the trees that did not draw them, for as much as a prediction: ``oob_score_``, the share that is right, and
    ``oob_decision_function_`` (n, classes), both secret; a row that all trees drew counts for neither (its shares are
    those of class 0). All else as in ``DecisionTreeClassifier``.
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
        oob_score: bool = False,
        class_weight: ClassWeight = None,
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
        self.oob_score = oob_score
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


class _Regressor(Forest, Regressor):
    def _fit(self, x: Table | SecureArray, y: SecureArray | str | None, valid: Any, sample_weight: Any) -> None:
        self._check_trees()
        rows = tree_rows(type(self).__name__, x, y, valid=valid, sample_weight=sample_weight)
        assert rows.y is not None
        given, base = rows.y.numeric(), rows.counted()
        target = Target.of(type(self).__name__, given, rows.valid)
        values = target.values
        # from the mean, so that differences are not lost in the size of the numbers
        mean = weighted_mean(values, base, VALUE).rescaled(VALUE)._stated(1.0)
        bins = self._learn(rows, base, (values - mean)._stated(2.0).reshape((1, -1)), 2.0, 40)
        scale = target.scale(4.0)
        self.target_bits_ = max(given._context.fraction_bits, min(given.scale, scale))
        self.values_ = (self.values_ + mean)._stated(1.01)
        self.centre_ = target.centre.rescaled(min(target.centre.scale, scale))
        if self.oob_score:
            means, valid = self._out_of_bag(bins, rows)
            seen = 1 if valid is rows.valid else self._seen(bins.rows)
            self.oob_prediction_ = self._shown(target.back(means[0]._stated(1.02), scale), seen)
            self.oob_score_ = r2_score(values, means[0]._stated(1.02), valid=valid)  # the same in any unit
        part = self.values_.multiply(np.asarray(1.0 / self.n_estimators), scale=BITS) if self.n_estimators > 1 else None
        self.values_ = target.back(self.values_ if part is None else part, scale)

    def predict(self, x: Table | SecureArray) -> SecureArray:
        """The mean over the trees of the mean target in the leaf, (n,), secret."""
        return self._shown(self._totals(x)[0])

    def _shown(self, parts: SecureArray, seen: Any = 1) -> SecureArray:
        """Means from the centre as means, where ``seen``; at the fractional bits of the target."""
        made: SecureArray = parts + self.centre_ * seen
        return made if made.scale <= self.target_bits_ else made.rescaled(self.target_bits_)


class DecisionTreeRegressor(_Regressor):
    """One tree by squared errors: scikit-learn's ``DecisionTreeRegressor`` on bins, to a public depth.

    Parameters, what is opened and what is learnt: as in ``DecisionTreeClassifier``. The target is centred and brought
    to its spread on shares, so its bound may be loose and it may lie far from 0: leaves have an error of 2^-18 of the
    farthest from the mean. ``values_``: what a leaf adds to the prediction, over the number of trees, from ``centre_``.
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

    Parameters: as in ``RandomForestClassifier``; max_features: 1.0, all columns, unless stated. oob_score: also
    ``oob_prediction_`` (n,), 0 for rows that all trees drew, and ``oob_score_``, the R2 of the others; both secret.
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
        oob_score: bool = False,
        random_state: int = 0,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.max_bins = max_bins
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.bootstrap = bootstrap
        self.max_samples = max_samples
        self.oob_score = oob_score
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
