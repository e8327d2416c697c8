"""What is wrong or odd about arrays, for every model of trees and of the wider shelf: an error that says what, or a
right answer. Wrong shapes, targets and weights of other lengths are in the contract of estimators.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.errors import PrivityError, RangeViolated, ShapeError, UsageError
from privity.ml.decomposition import PCA, TruncatedSVD
from privity.ml.estimator import Estimator
from privity.ml.factorization import MatrixFactorization
from privity.ml.kmeans import KMeans
from privity.ml.mixture import GaussianMixture
from privity.ml.naive_bayes import BernoulliNB, CategoricalNB, GaussianNB, MultinomialNB
from privity.ml.neighbors import KNeighborsClassifier, KNeighborsRegressor
from privity.ml.trees.boosting import GradientBoostingClassifier, GradientBoostingRegressor
from privity.ml.trees.export import open_trees
from privity.ml.trees.forest import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from privity.ml.trees.isolation import IsolationForest

N = 40
X = np.random.default_rng(0).normal(size=(N, 3)).clip(-3, 3)
CODES = np.random.default_rng(1).integers(0, 4, (N, 3))
CLASS = (X[:, 0] > 0).astype(np.int64)
UNEQUAL = pv.Input(np.random.default_rng(2).uniform(0.5, 1.5, N), bound=2.0)  # so that no two gains tie
ANSWERS = ("decision_function", "predict_proba", "score_samples", "transform", "predict")

SMALL = {"max_depth": 2, "max_bins": 8}
TREES: list[Any] = [
    DecisionTreeClassifier(**SMALL), DecisionTreeRegressor(**SMALL), RandomForestClassifier(n_estimators=2, **SMALL),
    RandomForestRegressor(n_estimators=2, **SMALL), GradientBoostingClassifier(n_estimators=2, **SMALL),
    GradientBoostingClassifier(3, n_estimators=2, **SMALL), GradientBoostingRegressor(n_estimators=2, **SMALL),
    GradientBoostingRegressor(n_estimators=2, objective="count:poisson", **SMALL),
]  # fmt: skip
WITHOUT: list[Any] = [
    KMeans(2, max_iter=2), GaussianMixture(2, max_iter=1, means_init=[[-1.0] * 3, [1.0] * 3]), PCA(1, squarings=3),
    TruncatedSVD(1, squarings=3), IsolationForest(n_estimators=2, max_samples=16),
]  # fmt: skip
BAYES: list[Any] = [GaussianNB(2), BernoulliNB(2), MultinomialNB(2), CategoricalNB(2, n_categories=[4] * 3)]
NEAR: list[Any] = [KNeighborsClassifier(2, 3), KNeighborsRegressor(3)]
WEIGHTED = [*TREES, *BAYES, WITHOUT[0]]


def answers(model: Any, x: Any = X, y: Any = CLASS, *, asked: Any = None, open_it: bool = False, **more: Any) -> Any:
    """What a fitted clone answers for ``asked`` (or x), and where wanted the opened trees. ``more``: of fit; NumPy
    arrays stay public.
    """
    asked = x if asked is None else asked
    if isinstance(model, CategoricalNB | MultinomialNB) and x is X:
        x, asked = CODES, CODES if asked is X else asked
    secret = {n: v for n, v in more.items() if isinstance(v, pv.Input)}

    def program(s: pv.Session) -> Any:
        options = {n: s.secret(n, "o") if n in secret else v for n, v in more.items()}
        if not any(isinstance(model, type(m)) for m in WITHOUT):
            options["y"] = s.secret("y", "o")
        made = model.clone().fit(s.secret("x", "o"), **options)
        name = next(n for n in ANSWERS if hasattr(made, n))
        opened = open_trees(made, to="all", name="trees", reason="test") if open_it else None
        found = s.reveal(getattr(made, name)(s.secret("asked", "o")), to="all", name=name, reason="test")
        return (opened, found) if open_it else found

    def given(values: Any) -> pv.Input:
        return pv.Input(values, bound=float(max(1, np.abs(values).max(initial=0))))

    inputs = {"x": given(x), "y": given(y), "asked": given(asked), **secret}
    return pv.simulate(program, inputs={"o": inputs}).output


def named(value: Any) -> str:
    return (
        f"{type(value).__name__}{getattr(value, 'objective', '')}" if isinstance(value, Estimator) else str(value)[:30]
    )


# -- rows ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [*TREES, *BAYES, *NEAR, *WITHOUT], ids=named)
def test_rows_that_cannot_be_asked_for(model: Any) -> None:
    for asked, says in ((X[:0], "at least one"), (X[:, 0], "at least one"), (X[:, :2], "3 columns|columns")):
        whole = isinstance(model, CategoricalNB)
        with pytest.raises(ShapeError, match=says):
            answers(model, asked=asked.astype(np.int64) if whole else asked)


@pytest.mark.parametrize("model", TREES, ids=named)
def test_a_constant_column_changes_nothing(model: Any) -> None:
    """Whatever one party knows of it: no threshold parts the rows."""
    model = model.clone().set_params(**({"max_features": None} if hasattr(model, "max_features") else {}))
    flat = np.c_[CODES, np.full(N, 2)]
    one, other = (answers(model, x, sample_weight=UNEQUAL) for x in (CODES, flat))
    assert np.abs(one - other).max() < 1e-3
    assert np.ptp(answers(model, np.full((N, 3), 0.75)), axis=0).max() < 1e-3


@pytest.mark.parametrize("model", TREES, ids=named)
def test_more_bins_than_values(model: Any) -> None:
    one, other = (answers(model.clone().set_params(max_bins=bins), CODES, sample_weight=UNEQUAL) for bins in (32, 4))
    assert np.abs(one - other).max() < 1e-3


@pytest.mark.parametrize("model", TREES, ids=named)
def test_codes_that_were_not_seen(model: Any) -> None:
    """Beyond the last code is the last bin, below the first the first; a number is in the bin of the nearest code. The
    opened trees say the same.
    """
    for asked, like in ((CODES + 4, np.full((N, 3), 3)), (CODES - 9, np.zeros((N, 3))), (CODES + 0.25, CODES)):
        opened, got = answers(model, CODES, asked=asked, open_it=True)
        for rows in (asked, like):
            want = opened.decision_function(rows)
            if opened.link == "shares":
                want = np.concatenate([1 - want, want], axis=1)
            assert np.abs(got - want.reshape(got.shape)).max() < 2e-3


def test_a_category_that_was_not_seen_counts_for_nothing() -> None:
    got = answers(BAYES[3], asked=np.full((1, 3), 9))
    assert np.allclose(got, np.bincount(CLASS) / N, atol=1e-3)


@pytest.mark.parametrize("model", [*TREES, GaussianNB(2), BernoulliNB(2)], ids=named)
def test_values_far_from_those_that_were_seen(model: Any) -> None:
    model = model.clone().set_params(
        **({"feature_bound": 256.0, "var_smoothing": 1.0} if "feature_bound" in vars(model) else {})
    )
    got = answers(model, asked=X * 60)
    assert np.isfinite(got.astype(float)).all() and np.abs(got).max() < 1e4


# -- weights and masks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", WEIGHTED, ids=named)
def test_public_weights_of_0(model: Any) -> None:
    with pytest.raises(UsageError, match="all weights are 0"):
        answers(model, sample_weight=np.zeros(N))


@pytest.mark.parametrize("model", [*TREES, *BAYES, *WITHOUT], ids=named)
@pytest.mark.parametrize("what", ["weights", "mask"])
def test_secret_weights_of_0_and_no_row_that_counts(model: Any, what: str) -> None:
    """Weights of 0 alone are refused by name; without a row that counts, an error or what the page of the model says:
    nothing was learnt."""
    if what == "weights" and model not in WEIGHTED:
        pytest.skip("no weights")
    none = {"sample_weight": pv.Input(np.zeros(N), bound=1.0)} if what == "weights" else {}
    none = none or {"valid": pv.Input(np.zeros(N, np.int64), bound=1.0)}
    if what == "weights":
        with pytest.raises(RangeViolated, match=f"{type(model).__name__}: sample_weight is above 0 in some row that"):
            answers(model, **none)
        return
    if "Tree" in named(model) or "Forest" in named(model) or isinstance(model, GaussianNB | PCA | TruncatedSVD):
        with pytest.raises(RangeViolated):
            answers(model, **none)
        return
    got = answers(model, **none).astype(float)
    assert np.isfinite(got).all()
    if not isinstance(model, KMeans):  # whose centres stay where they were
        assert np.ptp(got, axis=0).max() < 1e-3


@pytest.mark.parametrize("model", [*TREES, *BAYES, *NEAR, *WITHOUT], ids=named)
def test_a_mask_that_is_none(model: Any) -> None:
    with pytest.raises(RangeViolated, match="0 and 1 only"):
        answers(model, valid=pv.Input(np.full(N, 2), bound=2.0))


# -- targets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [m for m in [*TREES, *BAYES, *NEAR] if hasattr(m, "classes")], ids=named)
def test_targets_that_are_no_class(model: Any) -> None:
    with pytest.raises(UsageError, match=r"astype|pass y > 0.5"):
        answers(model, y=CLASS + 0.5)
    for value in (-1, 7):
        with pytest.raises(RangeViolated, match=r": y holds 0 and 1 only|from 0 to classes - 1"):
            answers(model, y=np.where(np.arange(N) == 3, value, CLASS))


def test_counts_below_0() -> None:
    with pytest.raises(RangeViolated, match="y is at least 0"):
        answers(TREES[7], y=CLASS - 1)


@pytest.mark.parametrize("model", [*TREES, *BAYES, *NEAR], ids=named)
def test_one_class_and_constant_targets(model: Any) -> None:
    got = answers(model, y=np.zeros(N, np.int64)).astype(float)
    if got.ndim == 2:
        assert (got.argmax(axis=1) == 0).all()
    else:
        assert got.max() < 0.01 and (np.ptp(got) < 1e-3)


# -- settings --------------------------------------------------------------------------------------------------------

NAN, INF = float("nan"), float("inf")
BOOSTED: dict[str, tuple[Any, ...]] = {
    "n_estimators": (0, 1.5, "3"), "max_depth": (0, 1.5, None, 40), "max_bins": (1, 2.5), "classes": (1, 2.5, None),
    "learning_rate": (0, NAN, None, 2), "reg_lambda": (-1, NAN, INF), "reg_alpha": (-1, NAN), "gamma": (-1, NAN),
    "min_child_weight": (-1, NAN), "subsample": (0, NAN, 2), "colsample_bytree": (0, NAN), "random_state": (-1, None),
    "scale_pos_weight": (0, NAN, INF), "base_score": (0, 1, NAN, "x"), "objective": ("x", None),
    "monotone_constraints": ([2, 0, 0], [1], {"none such": 1}, "up"),
}  # fmt: skip
SETTINGS: list[tuple[Any, dict[str, tuple[Any, ...]]]] = [
    (TREES[4], BOOSTED),
    (TREES[7], {"tweedie_variance_power": (), "objective": ("binary:logistic",), "base_score": (0.0, NAN, INF)}),
    (GradientBoostingRegressor(objective="reg:tweedie", **SMALL), {"tweedie_variance_power": (1.0, 2.0, NAN)}),
    (TREES[0], {
        "max_depth": (0, 1.5, None, 40), "max_bins": (1, 2.5), "min_samples_leaf": (0, 0.5), "classes": (1, 2.5),
        "max_features": (0, 2.0, "x", -1, True), "class_weight": ("x", {5: 1}, {0: -1}, {0: NAN}, 3),
        "random_state": (-1, None),
    }),
    (TREES[3], {"n_estimators": (0, None), "max_samples": (0, 0.0, 1.5, -3, NAN), "max_features": (NAN,)}),
    (WITHOUT[4], {
        "n_estimators": (0,), "max_samples": (1, 0.0, NAN, 2.5, "x", None), "max_bins": (1, 2.5),
        "max_depth": (0, 1.5, 40), "contamination": (0.0, 0.7, NAN, "x", None), "random_state": (-1, None),
    }),
    (WITHOUT[0], {
        "n_clusters": (0, N + 1, 2.5, None), "init": ("x", np.zeros((2, 2)), np.full((2, 3), NAN)),
        "n_init": (0, 1.5), "max_iter": (0, None), "random_state": (-1,), "feature_bound": (0, -1, NAN),
    }),
    (WITHOUT[2], {"n_components": (0, 4, 1.5, None), "squarings": (0, 1.5, None), "feature_bound": (0, NAN)}),
    (WITHOUT[3], {"n_components": (0, 4)}),
    (WITHOUT[1], {
        "n_components": (0, N + 1, 1.5), "max_iter": (0,), "reg_covar": (0, NAN, 2), "means_init": (np.zeros((3, 3)),),
        "weights_init": ([0.5, 0.25, 0.25], [0.0, 1.0], [NAN, 1.0]), "precisions_init": (-np.ones((2, 3)),),
    }),
    (BAYES[0], {
        "classes": (1, 2.5), "priors": ([0.5, 0.25, 0.25], [1, 0], [0.2, 0.2], [NAN] * 2),
        "var_smoothing": (0, NAN, -1), "feature_bound": (0, NAN),
    }),
    (BAYES[1], {"alpha": (0, NAN, -1, None)}),
    (BAYES[3], {"n_categories": ([4], [0, 1, 1], None, [4, 4, "x"])}),
    (NEAR[0], {"n_neighbors": (0, N + 1, 1.5, None), "classes": (1, None), "feature_bound": (0, NAN)}),
]  # fmt: skip


@pytest.mark.parametrize(("model", "wrong"), SETTINGS, ids=named)
def test_settings_that_make_no_model(model: Any, wrong: dict[str, tuple[Any, ...]]) -> None:
    """Each is refused before anything of the rows is used, with its name in the message or the shape that was found."""
    for name, values in wrong.items():
        for value in values:
            with pytest.raises(PrivityError) as found:
                answers(model.clone().set_params(**{name: value}))
            assert isinstance(found.value, UsageError), (name, value, found.value)


@pytest.mark.parametrize("wrong", [
    {"n_factors": 0}, {"n_factors": 1.5}, {"alpha": 0.0}, {"alpha": NAN}, {"max_iter": 0}, {"factor_bound": 0.0},
    {"rating_bound": -1.0}, {"random_state": -1}, {"random_state": None},
], ids=str)  # fmt: skip
def test_factorizations_that_make_no_model(wrong: dict[str, Any]) -> None:
    def program(s: pv.Session) -> None:
        MatrixFactorization(**{"n_factors": 1, "max_iter": 1, **wrong}).fit(s.secret("x", "o"))

    with pytest.raises(UsageError):
        pv.simulate(program, inputs={"o": {"x": pv.Input(X, bound=4.0)}})
