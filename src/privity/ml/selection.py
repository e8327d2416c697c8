"""Model selection on shares, in scikit-learn's words: splits, cross-validated scores, a search over parameters.

Which rows belong together is public by row number. Where somebody knows whose row stands at a number (rows as owners
brought them), that party knows which of its rows test; ``secret=True`` first brings the rows into an order that no
party knows, and stratified splits into one that follows the classes. Nothing is opened but scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from ..array import SecureArray
from ..context import Context
from ..disclosure import release
from ..errors import ShapeError, UsageError
from ..functions import shuffle as secret_order
from ..functions import sort_by, stack
from ..table import Table
from .estimator import Estimator, rows_of, rows_with
from .metrics.scorers import Scorer, scorer_of

Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class KFold:
    """``n_splits`` parts of the rows, each the test rows once.

    ``shuffle``: a public random order first (``random_state``; None: the job's seed), the same at all parties.
    ``secret``: an order that no party knows instead (3 rounds, 32 bytes in all per number; arrays only).
    """

    n_splits: int = 5
    shuffle: bool = True
    random_state: int | None = None
    secret: bool = False

    def split(self, rows: int, seed: int = 0) -> Iterator[tuple[Places, Places]]:
        """(training, test) row numbers, in ascending order. Raises UsageError for fewer rows than parts."""
        if not 2 <= self.n_splits <= rows:
            raise UsageError(f"KFold: expected 2 <= n_splits <= {rows}, the number of rows, got {self.n_splits}")
        order = np.arange(rows)
        if self.shuffle and not self.secret:  # a public choice
            order = np.random.default_rng(seed if self.random_state is None else self.random_state).permutation(rows)
        for part in np.array_split(order, self.n_splits):
            test = np.sort(part)
            yield np.setdiff1d(np.arange(rows), test), test


@dataclass(frozen=True)
class StratifiedKFold:
    """``n_splits`` parts of the rows in each of which every class has the same share, give or take one row.

    The classes are secret, so the rows are first brought into a random order that no party knows and then sorted by
    class, which costs a sort of ``y`` and 32 bytes in all per number; arrays only. Nobody learns how large a class is.
    Rows that a mask leaves out are spread like a class of their own.
    """

    n_splits: int = 5

    def split(self, rows: int, seed: int = 0) -> Iterator[tuple[Places, Places]]:
        """(training, test) row numbers of the sorted rows. Raises UsageError for fewer rows than parts."""
        if not 2 <= self.n_splits <= rows:
            raise UsageError(f"StratifiedKFold: expected 2 <= n_splits <= {rows}, the rows, got {self.n_splits}")
        for part in range(self.n_splits):
            test = np.arange(part, rows, self.n_splits)
            yield np.setdiff1d(np.arange(rows), test), test


Folds = KFold | StratifiedKFold


def _by_class(what: str, arrays: Sequence[SecureArray], y: SecureArray, valid: SecureArray | None) -> list[SecureArray]:
    """Rows in an order that no party knows within each class, class after class; rows that do not count come first."""
    if y.ndim != 1 or y.kind == "fixed":
        raise UsageError(
            f"{what}: expected classes as integers or booleans of shape (rows,), got {y.kind} values, {y.shape}; "
            "numbers have no classes: cut them into bins first, or split without strata"
        )
    masks = [] if valid is None else [valid.numeric()]
    mixed = secret_order(*arrays, y.numeric(), *masks)
    moved, keys = mixed[: len(arrays)], mixed[len(arrays) :]
    return sort_by(keys[::-1], moved)


def train_test_split(
    *arrays: SecureArray,
    test_size: float = 0.25,
    random_state: int | None = None,
    secret: bool = False,
    stratify: SecureArray | None = None,
) -> list[SecureArray]:
    """Training and test rows of each array, in turn, as scikit-learn: x_train, x_test, y_train, y_test, ...

    The choice of rows is public and random (``random_state``; None: the job's seed), or with ``secret`` known to nobody
    (3 rounds). ``stratify``: secret classes (rows,), each of which has its share of rows on both sides, give or take
    one; the order is then known to nobody, at the cost of a sort by class. With a mask among the arrays the number of
    real rows on each side is secret and random. Raises UsageError or ShapeError if arrays do not fit or a side has no
    rows. For tables: ``Table.split``.
    """
    if not arrays or any(not isinstance(a, SecureArray) for a in arrays):
        raise UsageError("train_test_split: expected secret arrays; for a table: train, test = table.split(0.25)")
    rows = {a.shape[:1] for a in arrays}
    if len(rows) != 1 or () in rows:
        raise ShapeError(f"train_test_split: expected arrays with the same rows, got {[a.shape for a in arrays]}")
    n = arrays[0].shape[0]
    held = round(n * test_size) if 0 < test_size < 1 else 0
    if not 0 < held < n:
        raise UsageError(f"train_test_split: {n} rows with test_size={test_size} leave no rows on one side")
    seed = arrays[0]._context.seed if random_state is None else random_state
    if stratify is not None:
        if stratify.shape[:1] != (n,):
            raise ShapeError(f"train_test_split: expected stratify with {n} rows, got shape {stratify.shape}")
        ordered = _by_class("train_test_split", arrays, stratify, None)
        falls = np.diff(np.arange(n + 1) * held // n) > 0  # held of n, evenly spread
        sides = [secret_order(*(a[np.flatnonzero(side)] for a in ordered)) for side in (~falls, falls)]
        return [part for pair in zip(*sides, strict=True) for part in pair]  # no class shows in a row's number
    if secret:
        arrays, order = tuple(secret_order(*arrays)), np.arange(n)
    else:
        order = np.random.default_rng(seed).permutation(n)  # a public choice
    train, test = np.sort(order[held:]), np.sort(order[:held])
    return [part for a in arrays for part in (a[train], a[test])]


# -- cross-validation ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scores:
    """Secret ``values`` (k,), one for each part; ``counts`` (k,): the rows it was tested on, secret or public."""

    values: SecureArray
    counts: SecureArray | npt.NDArray[np.int64]

    @property
    def mean(self) -> SecureArray:
        """Mean over the parts, each counting the same, as in scikit-learn. Secret scalar."""
        return self.values.mean()

    def open(self, *, to: Any, name: str, reason: str) -> Any:
        """The scores (k,), float64, NaN for parts of fewer rows than the minimum group. One opening."""
        return release(self.values._context, self.values, self.counts, to=to, name=name, reason=reason)


@dataclass(frozen=True)
class _Data:
    """Rows to split: a table, or arrays."""

    x: Table | SecureArray
    y: SecureArray
    valid: SecureArray | None
    weight: Any

    @classmethod
    def of(cls, what: str, x: Any, y: Any, valid: Any, sample_weight: Any, folds: Folds) -> _Data:
        strata = isinstance(folds, StratifiedKFold)
        moves = strata or (isinstance(folds, KFold) and folds.secret)
        if isinstance(x, Table):
            x, target, sample_weight = rows_with(x, y, sample_weight)
            if valid is not None or not isinstance(target, SecureArray) or moves or target.shape != (x.rows,):
                raise UsageError(
                    f"{what}: a table carries its own row mask and needs a label (or y as a secret array of its rows); "
                    "rows in a secret order, which strata need, are for arrays (table.to_arrays())"
                )
            return cls(x, target, x.valid, sample_weight)
        rows = rows_of(what, x, y, valid=valid, sample_weight=sample_weight)
        assert rows.y is not None
        if not moves:
            return cls(rows.x, rows.y, rows.valid, rows.weight)
        given = [a for a in (rows.x, rows.y, rows.valid, rows.weight) if a is not None]
        moved = iter(_by_class(what, given, rows.y, rows.valid) if strata else secret_order(*given))
        return cls(*(None if a is None else next(moved) for a in (rows.x, rows.y, rows.valid, rows.weight)))  # type: ignore[arg-type]

    @property
    def rows(self) -> int:
        return self.y.shape[0]

    def take(self, at: Places) -> _Data:
        x = self.x.take(at) if isinstance(self.x, Table) else self.x[at]
        valid = None if self.valid is None else self.valid[at]
        weight = self.weight
        if weight is not None:
            weight = weight[at] if isinstance(weight, SecureArray) else np.asarray(weight)[at]
        return _Data(x, self.y[at], valid, weight)

    def masks(self) -> dict[str, Any]:
        """Keyword arguments of fit; a table brings its mask itself."""
        words: dict[str, Any] = {}
        if self.valid is not None and not isinstance(self.x, Table):
            words["valid"] = self.valid
        if self.weight is not None:
            words["sample_weight"] = self.weight
        return words

    def fit(self, estimator: Any) -> Any:
        return estimator.fit(self.x, self.y, **self.masks())

    def score(self, estimator: Any, scorer: Scorer) -> SecureArray:
        return scorer(estimator, self.x, self.y, valid=self.valid, sample_weight=self.weight)


def _folds(cv: int | Folds) -> Folds:
    if isinstance(cv, KFold | StratifiedKFold):
        return cv
    if isinstance(cv, bool) or not isinstance(cv, int | np.integer):
        raise UsageError(
            f"cv: expected a number of parts, KFold or StratifiedKFold of privity.ml.selection, got {type(cv).__name__}"
            f" of {type(cv).__module__}"
        )
    return KFold(int(cv))


def _scored(estimator: Any, data: _Data, scorer: Scorer, folds: Folds, context: Context) -> Scores:
    values, counts = [], []
    for train, test in folds.split(data.rows, context.seed):
        model = data.take(train).fit(estimator.clone())
        part = data.take(test)
        values.append(part.score(model, scorer))
        counts.append(len(test) if part.valid is None else part.valid.numeric().sum())
    public = all(isinstance(c, int) for c in counts)
    return Scores(stack(values), np.asarray(counts) if public else stack(counts))


def cross_val_score(
    estimator: Any,
    x: Table | SecureArray,
    y: SecureArray | None = None,
    *,
    scoring: str | Scorer | None = None,
    cv: int | Folds = 5,
    valid: SecureArray | None = None,
    sample_weight: Any = None,
) -> Scores:
    """Fit on all parts but one, score on that one, for each part. Nothing is opened but the estimator's range guards.

    ``scoring``: a name (``metrics.scorers.NAMES``) or scorer(estimator, x, y, valid=, sample_weight=) -> secret scalar;
    None: the estimator's own ``score`` (accuracy, R2), as in scikit-learn.
    ``x``: arrays, or a table with a label. A metric that has no value in a part (one class only) gives its flag there.
    Cost: ``cv`` fits and scores. Raises UsageError, ShapeError.
    """
    folds = _folds(cv)
    data = _Data.of("cross_val_score", x, y, valid, sample_weight, folds)
    return _scored(estimator, data, scorer_of(scoring), folds, data.y._context)


class GridSearchCV(Estimator):
    """The parameters with the best mean score in cross-validation; in the shape of scikit-learn's class.

    ``param_grid``: parameter -> values, or several such tables. All parties must know which parameters won, so the mean
    scores of all candidates are opened to all, once, under ``name`` with shape (candidates,): the only opening. With
    fewer test rows in a part than the minimum group they are suppressed and nothing can be chosen (UsageError).

    After fit: ``cv_results_`` (params, mean_test_score, rank_test_score), ``best_params_``, ``best_score_``,
    ``best_index_``, and with ``refit`` ``best_estimator_``, whose predict, predict_proba and decision_function answer.
    """

    def __init__(
        self,
        estimator: Any,
        param_grid: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Sequence[Any]]],
        *,
        scoring: str | Scorer | None = None,
        cv: int | Folds = 5,
        refit: bool = True,
        name: str = "cv scores",
    ) -> None:
        self.estimator = estimator
        self.param_grid = param_grid
        self.scoring = scoring
        self.cv = cv
        self.refit = refit
        self.name = name

    def candidates(self) -> list[dict[str, Any]]:
        """Every combination, in order. Raises UsageError if there is none."""
        grids = [self.param_grid] if isinstance(self.param_grid, Mapping) else list(self.param_grid)
        found = [dict(zip(grid, values, strict=True)) for grid in grids for values in product(*grid.values())]
        if not found:
            raise UsageError("GridSearchCV: param_grid names no combination; give each parameter at least one value")
        return found

    def fit(
        self,
        x: Table | SecureArray,
        y: SecureArray | None = None,
        *,
        valid: SecureArray | None = None,
        sample_weight: Any = None,
    ) -> GridSearchCV:
        """Score all candidates on the same parts, open the means, fit the best on all rows. Raises UsageError."""
        folds, scorer = _folds(self.cv), scorer_of(self.scoring)
        data = _Data.of("GridSearchCV", x, y, valid, sample_weight, folds)
        context, params = data.y._context, self.candidates()
        models = [self.estimator.clone().set_params(**p) for p in params]
        scored = []
        for k, model in enumerate(models):
            scored.append(_scored(model, data, scorer, folds, context))
            context.progress(k + 1, len(models), f"candidate {k + 1} of {len(models)}")
        counts = scored[0].counts
        fewest = counts.min() if isinstance(counts, SecureArray) else int(counts.min())
        means = release(
            context, stack([s.mean for s in scored]), fewest,
            to="all", name=self.name, reason=f"choose among {len(params)} settings of {type(self.estimator).__name__}",
        )  # fmt: skip
        means = np.asarray(means)
        if np.isnan(means).any():
            raise UsageError(
                f"GridSearchCV: a part has fewer test rows than the minimum group ({context.minimum_group}), so the "
                "scores are suppressed; take a smaller cv, or more rows"
            )
        self.best_index_ = int(np.argmax(means))
        self.best_params_, self.best_score_ = params[self.best_index_], float(means[self.best_index_])
        ranks = 1 + (means[None, :] > means[:, None]).sum(axis=1)
        self.cv_results_ = {"params": params, "mean_test_score": means, "rank_test_score": ranks}
        if self.refit:
            self.best_estimator_ = data.fit(models[self.best_index_].clone())
        return self

    def predict(self, x: Any) -> SecureArray:
        """As the best estimator. Raises UsageError before ``fit`` (and so for the two below)."""
        return self._best().predict(x)  # type: ignore[no-any-return]

    def predict_proba(self, x: Any) -> SecureArray:
        """As the best estimator."""
        return self._best().predict_proba(x)  # type: ignore[no-any-return]

    def decision_function(self, x: Any) -> SecureArray:
        """As the best estimator."""
        return self._best().decision_function(x)  # type: ignore[no-any-return]

    def _best(self) -> Any:
        self.fitted("best_estimator_")
        return self.best_estimator_
