"""Naive Bayes on shares: classes by columns that are independent within a class; sums over rows and little else."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, final

import numpy as np

from ..array import SecureArray
from ..errors import ShapeError, UsageError
from ..functions import concatenate, log, log_softmax, one_hot, softmax, stack
from ..functions.arithmetic import matmul
from ..functions.flags import as_flags
from ..functions.nearest import nearest_one
from ..functions.ratio import ratio
from ..ring import exact
from ..table import Table
from ..types import RANGE_BITS
from .classifier import Classifier
from .column_units import ColumnUnits
from .columns import as_learnt
from .design import whole_target
from .estimator import Rows, real_numbers, rows_of, rows_with, whole_numbers
from .gaussian import feature_bound_for, log_densities
from .points import Points, points, same_columns, within

_SHARE_BITS = 24  # of class shares, means and variances
_OF_LARGEST = 1e-9  # of the largest variance of a column, added to all: scikit-learn's smoothing
_LEAST_VARIANCE = 2.0**-6  # that smoothing takes each column to have at least, in its unit


class NaiveBayes(Classifier):
    """What all naive Bayes models share. ``classes``: public number of classes; y holds 0 to classes - 1 (guarded).

    Opens: 'range ok', nothing else: neither counts nor which classes there are. Predictions are secret. A class without
    rows has the prior 2^-18 or so and is hardly ever predicted (scikit-learn does not know it at all).
    """

    classes: int

    @abstractmethod
    def fit(
        self,
        x: Table | SecureArray,
        y: SecureArray | str | None = None,
        *,
        valid: SecureArray | None = None,
        sample_weight: Any = None,
    ) -> NaiveBayes:
        """Learn from x (n, d) and y (n,), or a table. Raises UsageError, ShapeError, RangeViolated."""

    @abstractmethod
    def joint(self, x: Table | SecureArray) -> SecureArray:
        """Log of prior times density, for each row and class (n, classes)."""

    def predict(self, x: Table | SecureArray) -> SecureArray:
        """The likeliest class of each row (n,), secret integers."""
        flags, _ = nearest_one(-self.joint(x))
        return (flags * np.arange(self.classes)).sum(1)._stated(max(self.classes - 1, 1))

    def predict_proba(self, x: Table | SecureArray) -> SecureArray:
        """Probabilities (n, classes), secret."""
        return softmax(self.joint(x), axis=1)

    def predict_log_proba(self, x: Table | SecureArray) -> SecureArray:
        """Logarithms of the probabilities (n, classes), secret."""
        return log_softmax(self.joint(x), axis=1)

    def checked(self, **positive: float) -> None:
        """Raise UsageError for parameters that make no model."""
        name = type(self).__name__
        whole_numbers(name, least=2, classes=self.classes)
        real_numbers(name, **positive)
        for parameter, value in positive.items():
            if not 2.0**-16 <= value <= 2.0**16:
                raise UsageError(f"{name}: expected {parameter} between 2^-16 and 2^16, got {value!r}")

    def flags(self, rows: Rows, given: Points) -> tuple[SecureArray, SecureArray]:
        """(flags (n, classes) of each row's class, the same times the weights); guards that y names classes."""
        target = whole_target(type(self).__name__, rows)
        hot = one_hot(target, self.classes)
        missed = 1 - hot.sum(1)
        hint = f"{type(self).__name__}: y holds whole numbers from 0 to classes - 1"
        missed = missed if rows.valid is None else missed * rows.valid
        rows.x._context.guard(missed.sum()._ring_share(), hint)
        return hot, given.weighted(hot)


@final
class GaussianNB(NaiveBayes):
    """Normal columns within each class: scikit-learn's ``GaussianNB`` with a public number of classes.

    Columns are centred and divided by the secret power of two next to their deviation (column_units.py), so that units,
    offsets and loose bounds do not matter as long as the values have digits; a column that varies by less than 4 units
    in the last place fails a guard, and so does a row more than 2^12 deviations off, or further than there are digits
    for (see ``gaussian``; about 32 deviations for 13 columns).

    var_smoothing: share of each column's own variance that is added to it; scikit-learn's default, 1e-9 of the largest
    variance of a column, is added besides. Variances of 1e-9 are below what fixed point can tell from 0, so the default
    is larger. With sample weights these variances are weighted too (scikit-learn's are not). priors: public class
    probabilities, None: learnt. feature_bound: |x| stays below it (None: its public bound).

    Rounds: about 290 to fit, 190 to predict. Bytes per party and row: about 10 classes + 100 d to fit, 35 classes +
    90 d to predict. After fit, all secret: ``theta_`` (classes, d), ``var_`` (classes, d) and ``epsilon_`` (1, d) (None
    where the square of the bound has no room), ``class_prior_`` (classes,).
    """

    def __init__(
        self,
        classes: int,
        *,
        priors: Sequence[float] | None = None,
        var_smoothing: float = 1e-3,
        feature_bound: float | None = None,
    ) -> None:
        self.classes = classes
        self.priors = priors
        self.var_smoothing = var_smoothing
        self.feature_bound = feature_bound

    def fit(
        self,
        x: Table | SecureArray,
        y: SecureArray | str | None = None,
        *,
        valid: SecureArray | None = None,
        sample_weight: Any = None,
    ) -> GaussianNB:
        """Learn from x (n, d) and y (n,), or a table. Raises UsageError, ShapeError, RangeViolated."""
        self.checked(var_smoothing=self.var_smoothing)
        rows = rows_of("GaussianNB", x, y, valid=valid, sample_weight=sample_weight)
        x, units = ColumnUnits.of("GaussianNB", self._bounded(rows), rows.valid, rows.names)
        given = self._points(rows, x)
        hot, weighted = self.flags(rows, given)
        context, bound = given._context, given.x.bound
        count = weighted.sum(0)
        sums, over = class_sums(weighted, given.x)
        mean = ratio(sums, over.reshape((-1, 1)), bound, scale=_SHARE_BITS)._stated(bound)
        mean = mean.rescaled(context.fraction_bits)
        away = (given.x - (hot @ mean)._stated(bound))._stated(2 * bound)
        squares, over = class_sums(weighted, away.multiply(away, scale=_SHARE_BITS))
        most = 4 * bound * bound
        variance = ratio(squares, over.reshape((-1, 1)), most, scale=_SHARE_BITS)._stated(most)
        self.class_count_ = count
        share = ratio(count, count.sum(), 1.0, scale=_SHARE_BITS)
        own = _own_variances(share, mean, variance)
        smooth = own.multiply(np.asarray(self.var_smoothing), scale=30)._stated(most) + self.var_smoothing / 64
        smooth = smooth.rescaled(_SHARE_BITS) + units.of_the_largest(own, _OF_LARGEST)
        self.normal_ = (mean, variance + smooth)  # in the units of the columns
        self.column_units_ = units.parts
        self.epsilon_ = units.variances(smooth.reshape((1, -1)))
        self.theta_, self.var_ = units.means(mean), units.variances(self.normal_[1])
        self.class_prior_ = share if self.priors is None else context.constant(self._priors(), scale=_SHARE_BITS)
        self.names_, self.units_ = rows.names, rows.units
        return self

    def joint(self, x: Table | SecureArray) -> SecureArray:
        """Log of prior times density (n, classes), secret."""
        self.fitted("theta_")
        rows = rows_of("GaussianNB", as_learnt(self, x), target=False)
        x = self._bounded(rows)
        same_columns("GaussianNB", x, self.theta_.shape[1])
        units = ColumnUnits(*self.column_units_)
        given = self._points(rows, units.applied("GaussianNB", x, rows.valid, self.names_)).x
        least = self.var_smoothing * _LEAST_VARIANCE
        return log_densities("GaussianNB", given, *self.normal_, least) + log(self.class_prior_)

    def _bounded(self, rows: Rows) -> SecureArray:
        """x (n, d) as it was given, with fractional bits."""
        x = rows.x.numeric()
        x = x if x.scale else x.rescaled(rows.x._context.fraction_bits)
        if self.feature_bound is None:
            return x
        if not self.feature_bound > 0:
            raise UsageError(f"GaussianNB: expected feature_bound above 0 or None, got {self.feature_bound!r}")
        if x.bound <= self.feature_bound:
            return x
        return within("GaussianNB", x, self.feature_bound)

    def _points(self, rows: Rows, x: SecureArray) -> Points:
        """x (n, d) in its units, as far as densities have digits."""
        least = self.var_smoothing * _LEAST_VARIANCE
        room = feature_bound_for(x.shape[1], x._context.fraction_bits, least)
        return points("GaussianNB", replace(rows, x=x), room)

    def _priors(self) -> Any:
        given = np.asarray(self.priors, np.float64)
        if given.shape != (self.classes,) or not (given > 0).all() or abs(given.sum() - 1) > 1e-6:
            raise UsageError(f"GaussianNB: expected priors above 0 for {self.classes} classes that sum to 1")
        return given


def _own_variances(share: SecureArray, mean: SecureArray, variance: SecureArray) -> SecureArray:
    """The variance of each column over all classes (d,), from those within them."""
    bits = mean._context.fraction_bits
    parts = share.rescaled(bits).reshape((1, -1))
    whole = matmul(parts, mean)._stated(mean.bound)
    off = (mean - whole)._stated(2 * mean.bound)
    spread = (variance.rescaled(bits) + off * off)._stated(4 * mean.bound * mean.bound)
    return matmul(parts, spread).reshape((-1,))._stated(4 * mean.bound * mean.bound)


def class_sums(flags: SecureArray, values: SecureArray) -> tuple[SecureArray, SecureArray]:
    """(flags^T values (classes, d), sums of the same flags (classes,)), with the digits that 62 bits leave them."""
    n = flags.shape[0]
    room = RANGE_BITS - 2 - exact.log2_ceil(n * max(flags.bound, 1.0) * max(values.bound, 1.0))
    low = flags.rescaled(min(flags.scale, max(0, room // 2)))
    high = values.rescaled(min(values.scale, max(0, room - low.scale)))
    values._context.fits(n * low.bound * high.bound, low.scale + high.scale, "a sum over the rows of a class")
    return matmul(low.T, high, scale=high.scale), low.sum(0)


# -- counts ---------------------------------------------------------------------------------------------------------


class CountedBayes(NaiveBayes):
    """What the models of counts share: ``alpha`` (Laplace smoothing) and ``fit_prior`` (else all classes alike).

    Rounds: about 140 to fit, 30 to predict. Bytes per party and row: about 16 classes to fit and 35 classes to predict,
    and what the columns cost: see docs/models/naive_bayes.md. Errors of logarithms: 2^-15. After fit, secret:
    ``class_count_``, ``class_log_prior_`` (classes,), ``feature_count_`` and ``feature_log_prob_`` (classes, columns);
    ``names_``: of the columns.
    """

    alpha: float
    fit_prior: bool

    @abstractmethod
    def columns(self, x: Table | SecureArray, y: Any, **options: Any) -> tuple[Rows, SecureArray]:
        """The rows, and what is counted of them (n, m), at least 0."""

    @abstractmethod
    def learn(self, counts: SecureArray, total: SecureArray) -> tuple[SecureArray, SecureArray | None]:
        """(log of probability for each class and counted column, what every row of a class gets besides)."""

    def fit(
        self,
        x: Table | SecureArray,
        y: SecureArray | str | None = None,
        *,
        valid: SecureArray | None = None,
        sample_weight: Any = None,
    ) -> CountedBayes:
        """Learn from x (n, d) and y (n,), or a table. Raises UsageError, ShapeError, RangeViolated."""
        self.checked(alpha=self.alpha)
        rows, counted = self.columns(x, y, valid=valid, sample_weight=sample_weight)
        _, weighted = self.flags(rows, points(type(self).__name__, rows, None))
        counts, total = class_sums(weighted, counted)
        self.class_count_, self.feature_count_ = total, counts
        slopes, self.offset_ = self.learn(counts, total)
        self.feature_log_prob_ = slopes
        if self.fit_prior:
            share = ratio(total, total.sum(), 1.0, scale=_SHARE_BITS)
            self.class_log_prior_ = log(share)
        else:
            self.class_log_prior_ = counted._context.constant(np.full(self.classes, -exact.ln(self.classes)))
        self.names_, self.units_ = rows.names, rows.units
        return self

    def joint(self, x: Table | SecureArray) -> SecureArray:
        """Log of prior times probability (n, classes), secret."""
        self.fitted("feature_log_prob_")
        _, counted = self.columns(as_learnt(self, x), None, target=False)
        same_columns(type(self).__name__, counted, self.feature_log_prob_.shape[1])
        given = self.class_log_prior_
        slopes = self.feature_log_prob_
        if self.offset_ is not None:  # log(1 - p) where a column is 0
            given, slopes = given + self.offset_.sum(1), slopes - self.offset_
        return matmul(counted, slopes.T) + given


@final
class BernoulliNB(CountedBayes):
    """Columns that are 0 or 1: scikit-learn's ``BernoulliNB``. See CountedBayes.

    binarize: x counts as 1 above this number (one comparison an element); None: x is 0 or 1 already, guarded.
    """

    def __init__(
        self, classes: int, *, alpha: float = 1.0, binarize: float | None = 0.0, fit_prior: bool = True
    ) -> None:
        self.classes = classes
        self.alpha = alpha
        self.binarize = binarize
        self.fit_prior = fit_prior

    def columns(self, x: Table | SecureArray, y: Any, **options: Any) -> tuple[Rows, SecureArray]:
        """0/1 integers (n, d)."""
        rows = rows_of("BernoulliNB", x, y, **options)
        if self.binarize is not None:
            return rows, (rows.x > self.binarize).numeric()
        return rows, as_flags(rows.x, "BernoulliNB: x", advice="for other numbers let binarize be one")

    def learn(self, counts: SecureArray, total: SecureArray) -> tuple[SecureArray, SecureArray | None]:
        """log p and log(1 - p), from counts of ones."""
        ones = counts + self.alpha
        zeros = total.reshape((-1, 1)) - counts + self.alpha
        logs = log(stack([ones, zeros])) - log(total + 2 * self.alpha).reshape((1, -1, 1))
        return logs[0], logs[1]


@final
class MultinomialNB(CountedBayes):
    """Columns that count things (words in a text), at least 0 (guarded): scikit-learn's ``MultinomialNB``.

    See CountedBayes.
    """

    def __init__(self, classes: int, *, alpha: float = 1.0, fit_prior: bool = True) -> None:
        self.classes = classes
        self.alpha = alpha
        self.fit_prior = fit_prior

    def columns(self, x: Table | SecureArray, y: Any, **options: Any) -> tuple[Rows, SecureArray]:
        """x itself, at no more than the session's fractional bits."""
        rows = rows_of("MultinomialNB", x, y, **options)
        low = rows.x.numeric()
        low = low.rescaled(min(low.scale, low._context.fraction_bits))
        low._context.guard((low < 0).numeric().sum()._ring_share(), "MultinomialNB: x is at least 0")
        return rows, low

    def learn(self, counts: SecureArray, total: SecureArray) -> tuple[SecureArray, SecureArray | None]:
        """log of a column's share in all that a class counts."""
        raised = counts + self.alpha
        return log(raised) - log(raised.sum(1)).reshape((-1, 1)), None


@final
class CategoricalNB(CountedBayes):
    """Columns of categories: scikit-learn's ``CategoricalNB``, on a table's categories or on integer codes.

    n_categories: for arrays, how many codes each column has, public; tables know it from their schema. A code outside
    counts for nothing. ``feature_log_prob_`` has the categories of all columns side by side: those of column j in
    places ``starts_[j]`` to ``starts_[j + 1]``. Columns cost about 8 bytes per party, row and category. See
    CountedBayes.
    """

    def __init__(
        self,
        classes: int,
        *,
        alpha: float = 1.0,
        fit_prior: bool = True,
        n_categories: Sequence[int] | None = None,
    ) -> None:
        self.classes = classes
        self.alpha = alpha
        self.fit_prior = fit_prior
        self.n_categories = n_categories

    def columns(self, x: Table | SecureArray, y: Any, **options: Any) -> tuple[Rows, SecureArray]:
        """Flags of categories (n, sum of n_categories)."""
        what = "CategoricalNB"
        names: tuple[str, ...] = ()
        if isinstance(x, Table):
            if options.get("valid") is not None:
                raise UsageError(f"{what}: a table carries its own row mask; valid= goes with arrays only")
            table, label = x, y if isinstance(y, str) else x.label_name
            names = tuple(n for n in table.feature_names if n != label)
            sizes = [_categories(table, name) for name in names]
            table, y, weight = rows_with(
                table, y, options.get("sample_weight"), target=options.get("target", True)
            )
            x = stack([table.column(n).natural for n in names]).T
            options = {**options, "valid": table.valid, "sample_weight": weight}
        elif self.n_categories is None:
            raise UsageError(f"{what}: for arrays state n_categories, the public number of codes of each column")
        else:
            whole_numbers(what, **{f"n_categories[{i}]": c for i, c in enumerate(self.n_categories)})
            sizes = [int(c) for c in self.n_categories]
        rows = rows_of(what, x, y, **options)
        if rows.x.kind == "fixed":
            raise UsageError(f"{what}: expected x as integer codes, got fixed-point values; use x.astype('int')")
        if len(sizes) != rows.x.shape[1] or min(sizes) < 1:
            raise ShapeError(f"{what}: expected n_categories for {rows.x.shape[1]} columns, got {sizes}")
        if names:
            rows = Rows(rows.x, rows.y, rows.valid, rows.weight, names, (1.0,) * len(names))
        self.starts_ = tuple(int(s) for s in np.cumsum([0, *sizes]))
        hot = one_hot(rows.x, max(sizes))
        return rows, concatenate([hot[:, j, :c] for j, c in enumerate(sizes)], axis=1)

    def learn(self, counts: SecureArray, total: SecureArray) -> tuple[SecureArray, SecureArray | None]:
        """log of a category's share among the rows of a class, for each column."""
        sizes = np.diff(self.starts_)
        whole = log(total.reshape((-1, 1)) + (self.alpha * sizes).reshape((1, -1)))
        return log(counts + self.alpha) - whole[:, np.repeat(np.arange(len(sizes)), sizes)], None


def _categories(table: Table, name: str) -> int:
    """How many codes a table's column has, by its schema."""
    column = table.column(name)
    if column.field.kind not in ("category", "binary") or column.missing is not None:
        raise UsageError(
            f"CategoricalNB: the column {name!r} is of kind {column.field.kind}"
            f"{' with empty cells' if column.missing is not None else ''}; expected full columns of categories: use "
            "KBinsDiscretizer for numbers, SimpleImputer for empty cells, or table.drop"
        )
    return len(column.field.categories) if column.field.coded else 2
