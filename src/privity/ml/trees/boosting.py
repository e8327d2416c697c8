"""Gradient-boosted trees on shares, with XGBoost's parameters and formulas (tree_method="hist").

    f_0 = base score;   f_t = f_(t-1) + learning_rate * (tree grown on the gradients of the loss at f_(t-1))

Trees, thresholds, leaves, margins and which row falls where stay secret; the number of rounds, the depth and which rows
and columns a tree may use (by ``random_state``) are public. Source: Chen and Guestrin, KDD 2016.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self, final

import numpy as np
import numpy.typing as npt

from ...array import SecureArray
from ...errors import UsageError
from ...functions import argmax, concatenate, sigmoid, softmax, stack
from ...functions.exponential import power_of
from ...ring import exact
from ...table import Table
from ..class_weight import ClassWeight, check_class_weight, class_factors
from ..classifier import Classifier, Regressor
from ..columns import as_learnt
from ..design import settle
from ..estimator import Estimator, real_numbers, whole_numbers
from .bins import ROWS, Bins
from .grower import Growth, Trees, _Units, grow
from .objectives import NAMES, Logistic, LogLink, Objective, Poisson, Softmax, SquaredError, Tweedie, guard_low
from .rows import DEEPEST, TreeRows, bins_again, learn_bins, tree_rows, whole_labels
from .scaled_weights import both, in_common
from .target import BITS, Target

_HINT = (
    "Targets: 0 and 1 for binary:logistic, 0 to classes - 1 for multi:softmax, at least 0 for count:poisson and "
    "reg:tweedie. Weights: at least 0. Margins: lower learning_rate, or raise reg_lambda or min_child_weight"
)
_TOGETHER = 1 << 23  # leaves times rows of trees that are asked at once
_MOST_RULES = 64.0  # of what rows weigh in all: beyond, regularisation leaves nothing of a tree
_FINEST_MEAN = 40  # fractional bits of predicted means, if the target has as many
_WEIGHT_BITS = 15  # fewest fractional bits of a leaf's weight
_STEEP = 2.0**14  # of a leaf's weight, where its bits are too few without a bound

Constraints = Mapping[str, int] | Sequence[int] | None


class GradientBoosting(Estimator):
    """What the classifier and the regressor share; parameters as in XGBoost.

    n_estimators: rounds, each one tree, or one for each class of several. max_depth: levels of splits; trees are
    complete, as where one stops is secret. max_bins: at most so many bins a column (see ``Binner``). reg_lambda,
    reg_alpha, gamma, min_child_weight: as in XGBoost; reg_lambda + min_child_weight above 0. subsample,
    colsample_bytree: shares of rows and columns that a tree learns from, drawn publicly by ``random_state``.
    monotone_constraints: -1, 0 or 1 for each column, or by name. max_delta_step: largest weight of a leaf, before
    learning_rate; None: 0.7 for count:poisson, else 0: none but that no tree moves a margin by more than 6 beyond the
    size of the first one (leaves of reg:tweedie are cut at 8), which keeps rare, separated classes from overshooting to
    where nothing can be learnt any more. base_score: the first prediction (a probability or a mean), None:
    the mean target, secret, as in XGBoost. Empty cells of a table go to the side that serves best, as in XGBoost.

    ``fit`` opens one flag 'range ok', and another before columns are sorted. After fit, all secret: ``splits_`` (a list
    by level), ``left_``, ``right_``: all trees side by side, as ``Trees``, those of a round next to each other;
    ``binner_``: what the ``Binner`` learnt; ``base_``: first margins (lanes,). ``names_``: of the columns.
    """

    n_estimators: int
    max_depth: int
    learning_rate: float
    max_bins: int
    reg_lambda: float
    reg_alpha: float
    gamma: float
    min_child_weight: float
    subsample: float
    colsample_bytree: float
    monotone_constraints: Constraints
    max_delta_step: float | None
    base_score: float | None
    objective: str
    random_state: int

    def fit(
        self,
        x: Table | SecureArray,
        y: SecureArray | str | None = None,
        *,
        valid: SecureArray | None = None,
        sample_weight: Any = None,
    ) -> Self:
        """Learn from x (n, d) and y (n,). Raises UsageError, ShapeError, RangeViolated (see the class)."""
        what = type(self).__name__
        self._check()
        rows = tree_rows(what, x, y, valid=valid, sample_weight=sample_weight)
        assert rows.y is not None
        monotone = self._monotone(rows.names)
        context = rows._context
        objective = self._objective(rows)
        objective.guard(rows.valid)
        weight, factor, total = self._weight(rows, objective), None, None
        if weight is not None and weight.scale + weight.bound > 1:  # more than a mask
            rules = self.reg_lambda + self.min_child_weight
            rules += 0.0 if objective.inverse else self.reg_alpha + self.gamma
            weight, factor = in_common(weight, rules / _MOST_RULES)
            total = weight.bound
        bins, self.binner_ = learn_bins(rows, self.max_bins)
        self.base_ = objective.start(weight, self.base_score)
        self.names_, self.units_ = rows.names, rows.units
        limit = objective.clipped if self.max_delta_step is None else self.max_delta_step or None
        growth = Growth(
            self.max_depth, self.reg_lambda, self.reg_alpha, self.gamma, self.min_child_weight, monotone,
            objective.steep, self.learning_rate, objective.cut(self.base_, self.learning_rate), limit,
            objective.regularised(factor), total, objective.inverse,
        )  # fmt: skip
        self._rounds(bins, objective, weight, growth)
        if isinstance(objective, SquaredError):
            self._in_own_unit(objective.target)
        elif isinstance(objective, LogLink):
            self.base_ = objective.in_unit(self.base_, -1)
        settle(context, what, _HINT)
        return self

    def _rounds(self, bins: Bins, objective: Objective, weight: SecureArray | None, growth: Growth) -> None:
        lanes, n, context = objective.lanes, bins.rows, self.base_._context
        margin = self.base_.reshape((-1, 1)) + context.constant(np.zeros((lanes, n)), scale=self.base_.scale)
        generator = np.random.default_rng(self.random_state)  # public choices: the same at all parties
        made: list[Trees] = []
        for k in range(self.n_estimators):
            if objective.margin is not None and k:
                margin = margin.assume_bound(
                    objective.margin, "sums of trees: lower learning_rate, raise reg_lambda or min_child_weight"
                )
            g, h, size = objective.derivatives(margin)
            use = _drawn(generator, self.subsample, n)
            if weight is not None:
                applied = weight if use is None else (weight * use)._stated(weight.bound)
                g, h = _times(g, applied), _times(h, applied)
                size = None if size is None else _times(size, applied)
            elif use is not None:
                g, h = (g * use)._stated(g.bound), (h * use)._stated(h.bound)
                size = None if size is None else (size * use)._stated(size.bound)
            if size is not None and _Units.of(n, g, h, growth).weight_bits < _WEIGHT_BITS:
                # a weight of a leaf has a bound then, and is less by 2^-14 of itself squared at most
                h = (h + size.rescaled(h.scale).multiply(np.asarray(1 / _STEEP), scale=h.scale))._stated(h.bound * 1.01)
                growth = replace(growth, steep=_STEEP)
            allowed = self._columns(generator, lanes, bins.columns)
            trees, values = grow(bins, g, h, growth, allowed)
            made.append(trees)
            margin = margin + values
            context.progress(k + 1, self.n_estimators, f"round {k + 1}/{self.n_estimators}")
        self.splits_ = [concatenate([t.splits[level] for t in made]) for level in range(self.max_depth)]
        self.left_, self.right_ = (concatenate([getattr(t, side) for t in made]) for side in ("left", "right"))

    def _in_own_unit(self, target: Target) -> None:
        """Leaves and the first margin from the target's secret unit to its own."""
        scale = target.scale(self.n_estimators)
        leaves = target.back(stack([self.left_, self.right_]).rescaled(BITS), scale)
        self.left_, self.right_ = (leaves[k]._stated(4 * target.most) for k in (0, 1))
        start = target.back(self.base_, scale)
        centre = target.centre.rescaled(min(target.centre.scale, scale))
        self.base_ = (start + centre)._stated(2 * target.bound + target.most)

    def _columns(self, generator: np.random.Generator, lanes: int, d: int) -> npt.NDArray[np.bool_] | None:
        """(lanes, d): as many columns as XGBoost would take, the same for all classes."""
        if self.colsample_bytree >= 1:
            return None
        marks = np.zeros((lanes, d), np.bool_)
        marks[:, generator.permutation(d)[: max(1, int(self.colsample_bytree * d))]] = True
        return marks

    def decision_function(self, x: Table | SecureArray) -> SecureArray:
        """Margins, secret: (n,), or (n, classes). Rounds: 2 a level and 3, for as many trees as fit side by side."""
        self.fitted("splits_")
        margin = self._margins(x)
        return margin.reshape((-1,)) if margin.shape[0] == 1 else margin.T

    def _margins(self, x: Table | SecureArray) -> SecureArray:
        """(lanes, n)."""
        what = type(self).__name__
        rows = tree_rows(what, as_learnt(self, x), target=False)
        if isinstance(x, Table) and rows.names != tuple(self.names_):
            raise UsageError(
                f"{what}: expected the columns {', '.join(self.names_)} as in fit, got {', '.join(rows.names)}"
            )
        lanes, parts = self.base_.shape[0], []
        for low in range(0, rows.rows, ROWS):
            span = slice(low, min(low + ROWS, rows.rows))
            parts.append(self._sum(bins_again(what, rows.part(span), self.binner_)).reshape((lanes, -1)))
        total = parts[0] if len(parts) == 1 else concatenate(parts, axis=1)
        made = total + self.base_.reshape((-1, 1))
        return made if made.scale <= self._bits() else made.rescaled(self._bits())

    def _sum(self, bins: Bins) -> SecureArray:
        """All trees' weights for rows in bins, added up by lane, (lanes, n)."""
        lanes, depth = self.base_.shape[0], len(self.splits_)
        leaves = 1 << (depth - 1)
        rounds = self.left_.shape[0] // (leaves * lanes)
        width = max(1, _TOGETHER // (leaves * lanes * bins.rows))
        total: SecureArray | None = None
        for low in range(0, rounds, width):
            high = min(low + width, rounds)
            count = (high - low) * lanes

            def part(array: SecureArray, nodes: int, low: int = low, high: int = high) -> SecureArray:
                return array[low * lanes * nodes : high * lanes * nodes]

            trees = Trees(
                [part(s, 1 << level) for level, s in enumerate(self.splits_)],
                part(self.left_, leaves), part(self.right_, leaves), count,
            )  # fmt: skip
            some = trees.predict(bins, lanes, self._bits())
            total = some if total is None else total + some
        assert total is not None
        return total

    def _bits(self) -> int:
        """Fractional bits of margins: the session's, or more where the target has more."""
        context = self.base_._context
        return max(context.fraction_bits, getattr(self, "target_bits_", 0))

    def _monotone(self, names: tuple[str, ...]) -> tuple[int, ...] | None:
        wanted = self.monotone_constraints
        if wanted is None:
            return None
        if isinstance(wanted, str) or not isinstance(wanted, Mapping | Sequence | np.ndarray):
            raise UsageError(f"monotone_constraints: expected -1, 0 or 1 for each column, or by name, got {wanted!r}")
        if isinstance(wanted, Mapping):
            unknown = sorted(set(wanted) - set(names))
            if unknown:
                raise UsageError(f"monotone_constraints: no columns {', '.join(unknown)}; there are {', '.join(names)}")
            wanted = [wanted.get(n, 0) for n in names]
        if len(wanted) != len(names) or any(v not in (-1, 0, 1) for v in wanted):
            raise UsageError(f"monotone_constraints: expected -1, 0 or 1 for each of {len(names)} columns: {wanted}")
        return tuple(wanted) if any(wanted) else None

    def _check(self) -> None:
        name = type(self).__name__
        whole_numbers(name, n_estimators=self.n_estimators)
        whole_numbers(name, most=DEEPEST, max_depth=self.max_depth)
        whole_numbers(name, least=2, max_bins=self.max_bins)
        whole_numbers(name, least=0, random_state=self.random_state)
        real_numbers(
            name, learning_rate=self.learning_rate, subsample=self.subsample, colsample_bytree=self.colsample_bytree,
            reg_lambda=self.reg_lambda, reg_alpha=self.reg_alpha, gamma=self.gamma,
            min_child_weight=self.min_child_weight, base_score=0.5 if self.base_score is None else self.base_score,
        )  # fmt: skip
        if not 0 < self.learning_rate <= 1 or not (0 < self.subsample <= 1 and 0 < self.colsample_bytree <= 1):
            raise UsageError(f"{name}: expected learning_rate, subsample and colsample_bytree above 0 and at most 1")
        if min(self.reg_lambda, self.reg_alpha, self.gamma, self.min_child_weight) < 0:
            raise UsageError(f"{name}: expected reg_lambda, reg_alpha, gamma and min_child_weight of at least 0")
        if self.max_delta_step is not None:
            real_numbers(name, max_delta_step=self.max_delta_step)
            if self.max_delta_step < 0:
                raise UsageError(f"{name}: expected max_delta_step of at least 0, got {self.max_delta_step!r}")
        if not self.reg_lambda + self.min_child_weight > 0:
            raise UsageError(f"{name}: expected reg_lambda + min_child_weight above 0")
        if self.objective not in self._objectives():
            raise UsageError(
                f"{name}: expected objective to be one of {', '.join(self._objectives())}, got {self.objective!r}"
            )

    @abstractmethod
    def _objectives(self) -> tuple[str, ...]: ...

    @abstractmethod
    def _objective(self, rows: TreeRows) -> Objective: ...

    @abstractmethod
    def _weight(self, rows: TreeRows, objective: Objective) -> SecureArray | None:
        """What each row counts, (n,); None if all count alike."""


@final
class GradientBoostingClassifier(GradientBoosting, Classifier):
    """Classes from boosted trees; see ``GradientBoosting``.

    objective: "binary:logistic" (y of 0 and 1), "multi:softmax" or "multi:softprob" (the same; y of 0 to classes - 1,
    ``classes`` public; all classes' trees of a round grow side by side). "auto": by ``classes``. scale_pos_weight:
    factor on the weights of rows with y = 1, binary only. class_weight: {class: weight}, a weight for each class,
    "balanced" or None, as in scikit-learn: factors on the weights of rows.
    """

    def __init__(
        self,
        classes: int = 2,
        *,
        n_estimators: int = 100,
        max_depth: int = 4,
        learning_rate: float = 0.3,
        max_bins: int = 32,
        reg_lambda: float = 1.0,
        reg_alpha: float = 0.0,
        gamma: float = 0.0,
        min_child_weight: float = 1.0,
        subsample: float = 1.0,
        colsample_bytree: float = 1.0,
        scale_pos_weight: float = 1.0,
        class_weight: ClassWeight = None,
        monotone_constraints: Constraints = None,
        max_delta_step: float | None = None,
        base_score: float | None = None,
        objective: str = "auto",
        random_state: int = 0,
    ) -> None:
        self.classes = classes
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.max_bins = max_bins
        self.reg_lambda = reg_lambda
        self.reg_alpha = reg_alpha
        self.gamma = gamma
        self.min_child_weight = min_child_weight
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.scale_pos_weight = scale_pos_weight
        self.class_weight = class_weight
        self.monotone_constraints = monotone_constraints
        self.max_delta_step = max_delta_step
        self.base_score = base_score
        self.objective = objective
        self.random_state = random_state

    def predict(self, x: Table | SecureArray) -> SecureArray:
        """Secret booleans (n,): margin above 0; of several classes the likeliest, secret integers."""
        margin = self.decision_function(x)
        return margin > 0 if margin.ndim == 1 else argmax(margin, axis=1)

    def predict_proba(self, x: Table | SecureArray) -> SecureArray:
        """Secret: the probability of class 1 (n,), error at most 2^-14 and the margin's; or of each class (n, k)."""
        margin = self.decision_function(x)
        return sigmoid(margin) if margin.ndim == 1 else softmax(margin, axis=1)

    def _objectives(self) -> tuple[str, ...]:
        whole_numbers("GradientBoostingClassifier", least=2, classes=self.classes)
        real_numbers("GradientBoostingClassifier", scale_pos_weight=self.scale_pos_weight)
        return ("auto", *NAMES[:1]) if self.classes == 2 else ("auto", *NAMES[1:3])

    def _objective(self, rows: TreeRows) -> Objective:
        what, y = "GradientBoostingClassifier", rows.y
        assert y is not None
        check_class_weight(what, self.class_weight, self.classes)
        if not self.scale_pos_weight > 0:
            raise UsageError(f"{what}: expected scale_pos_weight > 0, got {self.scale_pos_weight}")
        if y.kind == "fixed":
            raise UsageError(
                f"{what}: expected y as integers or booleans, got fixed-point values; {whole_labels(self.classes)}"
            )
        whole = y.numeric()
        if self.classes == 2:
            return Logistic(whole, float(self.scale_pos_weight))
        if self.scale_pos_weight != 1:
            raise UsageError(f"{what}: scale_pos_weight is for two classes; give class_weight or sample_weight")
        return Softmax(whole, self.classes)

    def _weight(self, rows: TreeRows, objective: Objective) -> SecureArray | None:
        weight, two = rows.counted(), objective if isinstance(objective, Logistic) else None
        flags = two.y if two is not None else objective.hot.T if isinstance(objective, Softmax) else None
        assert flags is not None
        by_class = class_factors(type(self).__name__, self.class_weight, self.classes, flags, valid=rows.valid)
        for factor in (by_class, two.factor() if two is not None else None):
            if factor is not None:
                weight = factor if weight is None else both(factor, weight)
        return weight


@final
class GradientBoostingRegressor(GradientBoosting, Regressor):
    """Numbers from boosted trees; see ``GradientBoosting``.

    objective: "reg:squarederror"; "count:poisson" (max_delta_step 0.7, as in XGBoost); "reg:tweedie"
    with ``tweedie_variance_power``. For squared errors the target is centred and brought to its spread on shares, so
    its bound may be loose and it may lie far from 0: a leaf has an error of 2^-18 of the farthest from the mean.
    For the other two it is divided by the secret power of two above its largest value, so its bound may be loose too:
    where a row takes XGBoost's way its mean has a relative error of 2^-10, and 2^-16 of the target's last place or the
    session's. Guarded: the mean of the target (and ``base_score``) is at least e^-14 of its largest value for
    count:poisson; for reg:tweedie e^(2 - L), L = min(12, 9 / (power - 1)). Means below e^-16 or e^-L of it are not told
    apart in gradients, and those above 1.9 times it neither.
    """

    def __init__(
        self,
        *,
        n_estimators: int = 100,
        max_depth: int = 4,
        learning_rate: float = 0.3,
        max_bins: int = 32,
        reg_lambda: float = 1.0,
        reg_alpha: float = 0.0,
        gamma: float = 0.0,
        min_child_weight: float = 1.0,
        subsample: float = 1.0,
        colsample_bytree: float = 1.0,
        monotone_constraints: Constraints = None,
        max_delta_step: float | None = None,
        base_score: float | None = None,
        objective: str = "reg:squarederror",
        tweedie_variance_power: float = 1.5,
        random_state: int = 0,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.max_bins = max_bins
        self.reg_lambda = reg_lambda
        self.reg_alpha = reg_alpha
        self.gamma = gamma
        self.min_child_weight = min_child_weight
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.monotone_constraints = monotone_constraints
        self.max_delta_step = max_delta_step
        self.base_score = base_score
        self.objective = objective
        self.tweedie_variance_power = tweedie_variance_power
        self.random_state = random_state

    def predict(self, x: Table | SecureArray) -> SecureArray:
        """Expected target of each row (n,), secret."""
        margin = self.decision_function(x)
        return margin if self.objective == "reg:squarederror" else power_of(margin, exact.log2(math.e), self._bits())

    def _objectives(self) -> tuple[str, ...]:
        return NAMES[3:]

    def _objective(self, rows: TreeRows) -> Objective:
        assert rows.y is not None
        number = rows.y.numeric()
        n = rows.rows
        if self.objective == "reg:squarederror":
            # of a spread: below, penalties leave no split
            least = max(self.reg_alpha / n, math.sqrt(self.gamma / n)) / 4
            target = Target.of("GradientBoostingRegressor", number, rows.valid, self.base_score, least)
            self.target_bits_ = min(number.scale, target.scale(self.n_estimators))
            return SquaredError(target, self.base_score is not None)
        guard_low(number, rows.valid)
        heaviest = 1.0 if rows.weight is None else max(1.0, rows.weight.bound)
        rules = self.reg_lambda + self.min_child_weight + self.reg_alpha + self.gamma
        # of the largest target: below, regularisation leaves no split; and a given mean must not lie above it
        least = rules / (4 * _MOST_RULES * n * heaviest)
        target = Target.of("GradientBoostingRegressor", number, rows.valid, 0.0, max(least, self.base_score or 0.0))
        self.target_bits_ = min(number.scale, _FINEST_MEAN)
        return Poisson(target) if self.objective == "count:poisson" else Tweedie(target, self.tweedie_variance_power)

    def _weight(self, rows: TreeRows, objective: Objective) -> SecureArray | None:
        return rows.counted()


def _times(values: SecureArray, weight: SecureArray) -> SecureArray:
    """Values (lanes, rows) times the rows' weights, with the finer one's fractional bits, ``BITS`` at most."""
    bits = min(BITS, max(values.scale, weight.scale))
    return values.multiply(weight.reshape((1, -1)), scale=bits)._stated(values.bound * weight.bound)


def _drawn(generator: np.random.Generator, share: float, n: int) -> npt.NDArray[np.int64] | None:
    """1 for the rows of a tree, each with the chance ``share``, and for one of them at least."""
    if share >= 1:
        return None
    drawn = (generator.random(n) < share).astype(np.int64)
    if not drawn.any():
        drawn[generator.integers(n)] = 1
    return drawn
