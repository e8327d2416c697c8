"""Every estimator keeps the contract, and the checks find those that do not."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from privity.array import SecureArray
from privity.errors import ShapeError, UsageError
from privity.ml.conformance import CHECKS, check_estimator, check_parameters
from privity.ml.cox import CoxPHRegressor
from privity.ml.decomposition import PCA, TruncatedSVD
from privity.ml.estimator import Estimator, rows_of
from privity.ml.factorization import MatrixFactorization
from privity.ml.glm import GammaRegressor, NegativeBinomialRegressor, PoissonRegressor, TweedieRegressor
from privity.ml.kmeans import KMeans
from privity.ml.lasso import ElasticNet, Lasso
from privity.ml.least_squares import LinearRegression, Ridge
from privity.ml.linear import LogisticRegression
from privity.ml.mixture import GaussianMixture
from privity.ml.multinomial import MultinomialLogisticRegression
from privity.ml.naive_bayes import BernoulliNB, CategoricalNB, GaussianNB, MultinomialNB
from privity.ml.neighbors import KNeighborsClassifier, KNeighborsRegressor
from privity.ml.opened import KINDS
from privity.ml.preprocessing import (
    Clip,
    KBinsDiscretizer,
    LogTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    Pipeline,
    PowerTransformer,
    RobustScaler,
    SimpleImputer,
    StandardScaler,
    WOEEncoder,
)
from privity.ml.samples import CODES
from privity.ml.saving import kinds
from privity.ml.selection import GridSearchCV
from privity.ml.svm import LinearSVC
from privity.ml.trees.boosting import GradientBoostingClassifier, GradientBoostingRegressor
from privity.ml.trees.forest import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from privity.ml.trees.isolation import IsolationForest

# Mini-batches are of rows as they stand, so padding, repeated rows and the way of a table change which rows meet.
BATCHES = ("padding", "weights", "table")
# Quantiles of columns are of rows, whatever these weigh; on codes, which are bins already, weights are checked too.
QUANTILES = ("weights",)
# Which rows and columns a tree sees is drawn by their numbers.
DRAWN = ("padding", "weights", "columns")
STARTS = np.array([[-1.0] * 3, [0.0] * 3, [1.0] * 3])  # the same for each column, whatever their order
MODELS: list[tuple[Estimator, dict[str, Any], tuple[str, ...]]] = [
    (LinearSVC(alpha=0.05, max_iter=5), {}, ()),
    (CoxPHRegressor(max_iter=4), {}, ()),
    (MultinomialLogisticRegression(3, alpha=0.05, max_iter=4), {}, ()),
    (MultinomialLogisticRegression(3, alpha=0.05, solver="accelerated", max_iter=10), {}, ()),
    (LogisticRegression(solver="newton", alpha=0.01), {}, ()),
    (LogisticRegression(epochs=2, batch_size=16, learning_rate=0.5), {}, BATCHES),
    (LinearRegression(), {}, ()),
    (Ridge(), {}, ()),
    (Lasso(alpha=0.05), {}, ()),
    (ElasticNet(alpha=0.05), {}, ()),
    (PoissonRegressor(max_iter=5), {}, ()),
    (GammaRegressor(max_iter=6), {}, ()),
    (TweedieRegressor(max_iter=6), {}, ()),
    (NegativeBinomialRegressor(max_iter=5), {}, ()),
    (GaussianNB(3), {"target": "classes", "alike": "rows that count"}, ()),  # padding is at the mean in its units
    (BernoulliNB(2), {"target": "binary"}, ()),
    (MultinomialNB(3), {"target": "classes", "columns": "counts"}, ()),
    (CategoricalNB(3, n_categories=[CODES] * 3), {"target": "classes", "columns": "codes"}, ()),
    (KNeighborsClassifier(3, 3), {"target": "classes"}, ()),
    (KNeighborsRegressor(3), {"target": "number"}, ()),
    (KMeans(3, init=STARTS, max_iter=3), {"target": "none"}, ()),
    (GaussianMixture(3, means_init=STARTS, max_iter=2), {"target": "none"}, ()),
    (PCA(2, squarings=6), {"target": "none"}, ()),
    (TruncatedSVD(2, squarings=6), {"target": "none"}, ()),
    (DecisionTreeClassifier(3, max_depth=2), {"target": "classes", "columns": "codes"}, ()),
    (DecisionTreeClassifier(max_depth=2, max_bins=8), {"target": "binary"}, QUANTILES),
    (DecisionTreeRegressor(max_depth=2), {"target": "number", "columns": "codes"}, ()),
    (
        RandomForestClassifier(classes=3, n_estimators=2, max_depth=2, max_features=None, bootstrap=False),
        {"target": "classes", "columns": "codes"}, (),
    ),
    (RandomForestClassifier(n_estimators=3, max_depth=2, max_bins=8), {"target": "binary"}, DRAWN),
    (
        RandomForestRegressor(n_estimators=2, max_depth=2, bootstrap=False),
        {"target": "number", "columns": "codes"}, (),
    ),
    (GradientBoostingClassifier(n_estimators=2, max_depth=2), {"target": "binary", "columns": "codes"}, ()),
    (  # two splits tie within rounding here: a row's score may move by 0.0016
        GradientBoostingClassifier(3, n_estimators=2, max_depth=2),
        {"target": "classes", "columns": "codes", "tolerance": 5e-3}, (),
    ),
    (GradientBoostingRegressor(n_estimators=2, max_depth=2), {"target": "number", "columns": "codes"}, ()),
    (GradientBoostingRegressor(n_estimators=2, max_depth=2, max_bins=8), {"target": "number"}, QUANTILES),
    (
        GradientBoostingRegressor(n_estimators=2, max_depth=2, objective="count:poisson"),
        {"target": "count", "columns": "codes"}, (),
    ),
    (IsolationForest(n_estimators=3, max_samples=16), {"target": "none"}, ("padding", "columns")),
]  # fmt: skip
OTHERS: list[Estimator] = [  # what learns from tables, or through another estimator
    GridSearchCV(LinearSVC(), {"alpha": [0.1]}, scoring="accuracy"),
    Clip(low=-1.0, high=1.0), KBinsDiscretizer(), LogTransformer(), MinMaxScaler(), OneHotEncoder(), OrdinalEncoder(),
    Pipeline([("scale", StandardScaler()), ("model", LinearSVC())]), PowerTransformer(), RobustScaler(),
    SimpleImputer(), StandardScaler(), WOEEncoder(),
    MatrixFactorization(),  # of a matrix of ratings: no rows with columns
]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "options", "skip"), MODELS, ids=lambda v: repr(v)[:60] if isinstance(v, Estimator) else ""
)
def test_estimators_keep_the_contract(model: Estimator, options: dict[str, Any], skip: tuple[str, ...]) -> None:
    assert check_estimator(model, **options, skip=skip) == tuple(name for name in CHECKS if name not in skip)


@pytest.mark.parametrize("other", OTHERS, ids=lambda t: type(t).__name__)
def test_all_others_keep_their_parameters(other: Estimator) -> None:
    check_parameters(other)


def test_every_estimator_is_checked() -> None:
    public = {k for k in kinds().values() if hasattr(k, "fit") and not inspect.isabstract(k) and "__init__" in vars(k)}
    checked = {type(m) for m, _, _ in MODELS} | {type(t) for t in OTHERS}
    assert checked == public, "a new estimator: add it to MODELS (check_estimator), or to OTHERS if that does not fit"
    assert {type(m).__name__ for m, _, _ in MODELS} >= set(KINDS)
    fully = {type(m) for m, _, skip in MODELS if not skip}  # in some setting, without any skip
    assert {type(m) for m, _, _ in MODELS} - fully == {IsolationForest}


class Careless(Estimator):
    """A mean that does what a test says is wrong."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault

    def fit(self, x: Any, y: Any = None, *, valid: Any = None, sample_weight: Any = None) -> Any:
        if self.fault == "wrong input":
            rows = x
            self.coef_ = rows.mean(0)
            return self
        if self.fault == "flags" and valid is not None:
            valid = SecureArray(valid._context, valid._ring_share(), 0, 1.0, flags=True)
        rows = rows_of("Careless", x, y, valid=valid, sample_weight=sample_weight)
        if rows.y.ndim != 1 and self.fault != "shape of y":
            raise ShapeError("Careless: expected y (n,)")
        weight = rows.weight
        if weight is not None and self.fault != "negative weights":
            weight._context.guard((weight < 0).numeric().sum()._ring_share())
        values = rows.x
        if weight is not None and self.fault != "weights":
            values = values * weight.reshape((-1, 1))
        self.coef_ = values.sum(0) * (1.0 / 64)
        if self.fault == "padding":
            self.coef_ = values.mean(0)
        if self.fault == "columns":
            self.coef_ = self.coef_ + np.arange(3.0)
        if self.fault == "table" and rows.names[0] == "c0":
            self.coef_ = self.coef_ * 2
        if self.fault == "opens nothing":
            rows.x.session.reveal(rows.x[0, 0], to="all", name="peek", reason="curiosity")
        self.names_ = rows.names
        if self.fault == "fit returns self":
            return None
        if self.fault == "parameters of fit":
            self.fault = "other"
        return self

    def predict(self, x: Any) -> Any:
        if self.fault != "not fitted":
            self.fitted("coef_")
        if self.fault == "predicts":
            return 1.0
        return x[:, 0]


def test_a_careful_one_passes() -> None:
    assert check_estimator(Careless(), target="number") == tuple(CHECKS)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("wrong input", "x of one dimension must raise ShapeError"),
        ("shape of y", "targets of two dimensions must raise ShapeError"),
        ("negative weights", "must raise RangeViolated"),
        ("flags", "a row mask with 2 must raise RangeViolated"),
        ("weights", "a weight of 2 must count as the row twice"),
        ("padding", "rows that are not valid must change nothing: coef_"),
        ("columns", "columns in another order"),
        ("table", "a table must give what its arrays give"),
        ("opens nothing", "it opened peek"),
        ("fit returns self", "fit must return the estimator"),
        ("parameters of fit", "fit must not change parameters"),
        ("not fitted", "predict before fit must raise UsageError"),
        ("predicts", "predictions must be secret arrays"),
    ],
)
def test_each_fault_is_found(fault: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        for name in CHECKS:  # the one that is meant, and none before it
            check_estimator(Careless(fault), target="number", skip=[n for n in CHECKS if n != name])
            if name == fault:
                break


class Aimless(Estimator):
    """A centre without a target, which does what a test says is wrong."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault

    def fit(self, x: Any, y: Any = None, *, valid: Any = None) -> Any:
        rows = rows_of("Aimless", x, valid=None if self.fault == "mask" else valid, target=False)
        self.centre_ = rows.x.sum(0) * (1.0 / 64)
        self.columns_, self.names_ = rows.x.shape[1], rows.names
        if self.fault == "columns":
            self.centre_ = self.centre_ * np.array([1.0, 2.0, 3.0])
        return self

    def transform(self, x: Any) -> Any:
        self.fitted("centre_")
        rows = rows_of("Aimless", x, target=False)
        x = rows.x
        if self.fault == "padding of tables" and rows.valid is not None:
            return (x - self.centre_).sum(1) * rows.valid
        if x.shape[1] == self.columns_:
            return (x - self.centre_).sum(1)
        if self.fault == "other columns":
            return x.sum(1)
        raise ShapeError("Aimless: other columns")


def test_without_a_target_answers_are_compared() -> None:
    assert check_estimator(Aimless(), target="none") == tuple(CHECKS)
    for fault, message in (
        ("mask", "a mask of another length must raise ShapeError"), ("columns", "columns in another order"),
        ("other columns", "x with other columns must raise ShapeError"),
    ):  # fmt: skip
        with pytest.raises(AssertionError, match=message):
            check_estimator(Aimless(fault), target="none")
    with pytest.raises(AssertionError, match="rows that are not valid must change nothing: transform"):
        check_estimator(Aimless("mask"), target="none", skip=["wrong input", "flags"])


def test_answers_for_padding_are_compared_unless_the_model_says_otherwise() -> None:
    others = [name for name in CHECKS if name != "table"]
    with pytest.raises(AssertionError, match="a table must give what its arrays give: transform"):
        check_estimator(Aimless("padding of tables"), target="none", skip=others)
    check_estimator(Aimless("padding of tables"), target="none", alike="rows that count", skip=others)
    loose = [type(m) for m, options, _ in MODELS if options.get("alike") == "rows that count"]
    assert loose == [GaussianNB]


def test_parameters_must_be_stored_as_they_are() -> None:
    class Changes(Estimator):
        def __init__(self, order: Any = ()) -> None:
            self.order = list(order)

    class Adds(Estimator):
        def __init__(self) -> None:
            self.ready = True

    with pytest.raises(AssertionError, match="the constructor changes order"):
        check_parameters(Changes())
    with pytest.raises(AssertionError, match="the constructor sets ready"):
        check_parameters(Adds())


def test_what_cannot_be_checked_is_said() -> None:
    with pytest.raises(UsageError, match="say with target="):
        check_estimator(Careless())
    with pytest.raises(UsageError, match="unknown checks"):
        check_estimator(Careless(), target="number", skip=["everything"])
    with pytest.raises(UsageError, match="unknown target"):
        check_estimator(Careless(), target="colour")
