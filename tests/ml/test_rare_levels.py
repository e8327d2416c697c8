"""Columns with a rare level, one-hot and standardised, and class weights: beside scikit-learn and statsmodels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import statsmodels.duration.hazard_regression as hazard
from sklearn.cluster import KMeans as PlainMeans
from sklearn.linear_model import LogisticRegression as PlainLogistic
from sklearn.mixture import GaussianMixture as PlainMixture
from sklearn.naive_bayes import GaussianNB as PlainBayes
from sklearn.neighbors import KNeighborsClassifier as PlainNeighbors
from sklearn.preprocessing import StandardScaler as PlainScaler
from sklearn.svm import LinearSVC as PlainSVC

import privity as pv
from privity.errors import RangeViolated
from privity.ml import (
    CoxPHRegressor,
    GaussianMixture,
    GaussianNB,
    KMeans,
    KNeighborsClassifier,
    LinearSVC,
    MultinomialLogisticRegression,
)
from privity.ml.preprocessing import OneHotEncoder, StandardScaler
from privity.table import Field, TableInfo, table_inputs

ROWS = 1200
DRAW = np.random.default_rng(0)
RARE = (np.arange(ROWS) % 400 == 0) * 1.0
X = DRAW.normal(size=ROWS).clip(-5, 5)
Y = (DRAW.random(ROWS) < 1 / (1 + np.exp(-X - RARE))).astype(np.int64)
DAYS = DRAW.exponential(10 * np.exp(-0.5 * X)).clip(0.1, 100).round(1)
PLAIN = PlainScaler().fit_transform(np.column_stack([X, RARE]))
"""The rare level stands at 20 deviations."""
INFO = TableInfo(
    "t",
    (
        Field("x", "number", 8.0, 8.0), Field("c", "category", categories=("common", "rare")),
        Field("days", "number", 128.0, 128.0),
    ),
    label=Field("y", "binary"),
)  # fmt: skip
INPUTS = {"o": table_inputs(INFO, np.column_stack([X, RARE, DAYS]), Y.astype(np.float64))}


def run(fit: Any) -> Any:
    def program(s: pv.Session) -> Any:
        table = s.table("t")
        days = table["days"]
        wide = OneHotEncoder(drop="first").fit_transform(table.drop(["days"]))
        return np.asarray(s.reveal(fit(StandardScaler().fit_transform(wide), days), to="all", name="r", reason="test"))

    return pv.simulate(program, inputs=INPUTS, tables={"t": INFO}).output


def coefficients(model: Any) -> Any:
    wide = model.intercept_.reshape((*model.coef_.shape[:-1], 1))
    return pv.concatenate([model.coef_, wide], axis=-1)


def test_a_rare_level_of_linear_models() -> None:
    svc = PlainSVC(C=1 / (0.01 * ROWS), dual=False, tol=1e-10, max_iter=10**5).fit(PLAIN, Y)
    got = run(lambda z, _: coefficients(LinearSVC().fit(z)))
    assert np.abs(got - np.append(svc.coef_[0], svc.intercept_)).max() < 1e-3
    logistic = PlainLogistic(C=1 / (0.01 * ROWS), tol=1e-10).fit(PLAIN, Y)
    half = np.append(logistic.coef_[0], logistic.intercept_)
    softmax = run(lambda z, _: coefficients(MultinomialLogisticRegression(2, alpha=0.02).fit(z)))
    assert np.abs(softmax[1] - softmax[0] - half).max() < 1e-3  # both weights are penalised: half as much each
    cox = hazard.PHReg(DAYS, PLAIN, status=Y, ties="breslow").fit()
    assert np.abs(run(lambda z, days: CoxPHRegressor().fit(z, duration=days).coef_) - cox.params).max() < 1e-4


def test_a_rare_level_of_distances_and_densities() -> None:
    bayes = PlainBayes(var_smoothing=1e-3).fit(PLAIN, Y)
    got = run(lambda z, _: pv.stack([(m := GaussianNB(2).fit(z)).theta_, m.var_]))
    assert np.abs(got - [bayes.theta_, bayes.var_]).max() < 2e-3
    shares = run(lambda z, _: GaussianNB(2).fit(z).predict_proba(z))
    assert np.abs(shares - bayes.predict_proba(PLAIN)).max() < 2e-2
    starts = np.array([[0.0, 0.0], [0.0, 20.0]])
    centres = PlainMeans(2, init=starts, n_init=1).fit(PLAIN).cluster_centers_
    means = KMeans(2, init=starts, max_iter=3)
    assert np.abs(run(lambda z, _: means.clone().fit(z.features).cluster_centers_) - centres).max() < 1e-2
    mixture = PlainMixture(2, covariance_type="diag", means_init=starts, reg_covar=1e-3, weights_init=[0.5, 0.5],
                           precisions_init=np.ones((2, 2)), max_iter=4, tol=0.0)  # fmt: skip
    with pytest.warns(UserWarning):
        mixture.fit(PLAIN)
    model = GaussianMixture(2, means_init=starts, max_iter=4)
    assert np.abs(run(lambda z, _: model.clone().fit(z.features).means_) - mixture.means_).max() < 1e-2
    near = PlainNeighbors(15).fit(PLAIN, Y).predict_proba(PLAIN[1:20])
    got = run(lambda z, _: KNeighborsClassifier(2, 15).fit(z).predict_proba(z.take(np.arange(1, 20))))
    assert np.abs(got - near).max() < 0.2  # the last of 15 neighbours may be another that is as near


def test_what_a_stated_bound_says() -> None:
    for model, learnt in ((LinearSVC(feature_bound=16.0), "coef_"), (GaussianNB(2, feature_bound=16.0), "theta_")):
        with pytest.raises(RangeViolated, match=r"\|x\| <= 16, its feature_bound.*StandardScaler\(clip=\)"):
            run(lambda z, _, m=model, n=learnt: getattr(m.clone().fit(z), n))


WEIGHT = DRAW.random(ROWS) + 0.1
THREE = np.where(DRAW.random(ROWS) < 0.03, 2, Y)
WEIGHTS = ({0: 1, 1: 30}, {1: 0.01}, "balanced")


def fitted(model: Any, y: np.ndarray, weighted: bool) -> np.ndarray:
    def program(s: pv.Session) -> Any:
        options = {"sample_weight": s.secret("w", "o")} if weighted else {}
        made = model.clone().fit(s.secret("x", "o"), s.secret("y", "o"), **options)
        return s.reveal(coefficients(made), to="all", name="r", reason="test")

    given = {"x": pv.Input(PLAIN, 32.0), "y": y, "w": pv.Input(WEIGHT, 2.0)}
    return np.asarray(pv.simulate(program, inputs={"o": given}).output)


@pytest.mark.parametrize("wanted", WEIGHTS, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_class_weights_are_those_of_scikit_learn(wanted: Any, weighted: bool) -> None:
    weight = WEIGHT if weighted else np.ones(ROWS)
    strength = 1 / (0.01 * weight.sum())
    options = {"C": strength, "class_weight": wanted, "tol": 1e-10, "max_iter": 10**5}
    svc = PlainSVC(dual=False, **options).fit(PLAIN, Y, sample_weight=weight)
    got = fitted(LinearSVC(class_weight=wanted), Y, weighted)
    assert np.abs(got - np.append(svc.coef_[0], svc.intercept_)).max() < 2e-3
    plain = PlainLogistic(**options).fit(PLAIN, THREE, sample_weight=weight)
    right = np.column_stack([plain.coef_, plain.intercept_ - plain.intercept_.mean()])
    got = fitted(MultinomialLogisticRegression(3, class_weight=wanted, tol=1e-4), THREE, weighted)
    assert np.abs(got - right).max() < 2e-3
    if wanted == "balanced" and not weighted:
        model = MultinomialLogisticRegression(3, class_weight=wanted, solver="accelerated", max_iter=30)
        assert np.abs(fitted(model, THREE, weighted) - right).max() < 2e-2
