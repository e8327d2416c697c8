"""scikit-learn's own ways to call: they work, or are refused with the way that does. Targets in other codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Lasso as PlainLasso
from sklearn.linear_model import LogisticRegression as PlainLogistic
from sklearn.neighbors import KNeighborsRegressor as PlainNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler as PlainScaler
from sklearn.svm import LinearSVC as PlainSVC

import privity as pv
from privity.errors import PrivityError, RangeViolated, ShapeError, UsageError
from privity.ml import (
    ElasticNet,
    GaussianMixture,
    GaussianNB,
    GridSearchCV,
    KMeans,
    KNeighborsClassifier,
    KNeighborsRegressor,
    Lasso,
    LinearRegression,
    LinearSVC,
    LogisticRegression,
    MultinomialLogisticRegression,
    Pipeline,
    metrics,
)
from privity.ml.preprocessing import KBinsDiscretizer, MinMaxScaler, PowerTransformer, StandardScaler
from privity.ml.selection import cross_val_score
from privity.table import Field, TableInfo, table_inputs

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(60, 2)).clip(-6, 6)
Y = (X[:, 0] + 0.5 * DRAW.normal(size=60) > 0).astype(np.int64)
Z = X[:, 0] * 2 - X[:, 1] + 0.3 * DRAW.normal(size=60)
ARRAYS = {"o": {"x": pv.Input(X, 8), "y": pv.Input(Y, 2, 0), "z": pv.Input(Z, 16)}}
INFO = TableInfo("t", (Field("k", "integer", 16.0, 9.0),))
TABLE = {"o": table_inputs(INFO, np.arange(9.0)[:, None])}


def run(program: Any, **inputs: Any) -> Any:
    return pv.simulate(program, inputs={"o": ARRAYS["o"] | inputs}).output


def shown(s: pv.Session, *values: Any) -> list[Any]:
    return [np.asarray(s.reveal(v, to="all", name="v", reason="test")) for v in values]


@pytest.mark.parametrize(("make", "message"), [
    (lambda: KBinsDiscretizer(3), r"got 3; write KBinsDiscretizer\(n_bins=3\)"),
    (lambda: MinMaxScaler((0, 1)), r"got \(0, 1\); write MinMaxScaler\(feature_range=\(0, 1\)\)"),
    (lambda: PowerTransformer("box-cox"), r"got 'box-cox'; write PowerTransformer\(method='box-cox'\)"),
    (lambda: StandardScaler("k"), r"got 'k'; write columns=\['k'\]"), (lambda: StandardScaler(2), "write columns=None"),
])  # fmt: skip
def test_positional_arguments_are_refused_by_name(make: Any, message: str) -> None:
    with pytest.raises(UsageError, match=rf"expected columns as a list of names.*{message}"):
        pv.simulate(lambda s: make().fit(s.table("t")), inputs=TABLE, tables={"t": INFO})


def test_a_transform_wants_a_table() -> None:
    with pytest.raises(UsageError, match=r"StandardScaler: expected a table .* a Pipeline makes one of an array"):
        run(lambda s: StandardScaler().fit(s.secret("x", "o")))


def test_a_pipeline_of_arrays() -> None:
    """With a mask, too; predictions as those of scikit-learn's pipeline."""
    real = np.arange(60) % 5 > 0

    def program(s: pv.Session) -> Any:
        x, y = s.secret("x", "o") * 4, s.secret("y", "o")
        steps = [("z", StandardScaler()), ("m", LogisticRegression(solver="newton", alpha=0.1, max_iter=6))]
        model = Pipeline(steps).fit(x, y, valid=s.secret("real", "o"))
        bare = Pipeline([("m", LogisticRegression(solver="newton", alpha=0.1, max_iter=6))]).fit(x, y)
        assert model.feature_names_in_ == bare.feature_names_in_ == ("x0", "x1")
        return shown(s, model.predict_proba(x), model.score(x, y), bare.predict_proba(x))

    got, score, bare = run(program, real=real.astype(np.int64))
    plain = make_pipeline(PlainScaler(), PlainLogistic(C=1 / (0.1 * real.sum()))).fit(X[real], Y[real])
    assert np.abs(got - plain.predict_proba(X)[:, 1]).max() < 1e-3
    assert abs(float(score) - plain.score(X, Y)) < 0.02
    assert np.abs(bare - PlainLogistic(C=1 / 6).fit(X * 4, Y).predict_proba(X * 4)[:, 1]).max() < 1e-3


def test_searches_and_scores_of_pipelines() -> None:
    def program(s: pv.Session) -> Any:
        x, y = s.secret("x", "o"), s.secret("y", "o")
        steps = [("z", StandardScaler()), ("m", LogisticRegression(solver="newton", alpha=0.1, max_iter=6))]
        search = GridSearchCV(Pipeline(steps), {"m__alpha": [0.1]}, scoring="roc_auc", cv=2).fit(x, y)
        scores = cross_val_score(Pipeline(steps), x, y, cv=2, scoring="accuracy")
        with pytest.raises(UsageError, match=r"got Scores; .* what has a method open\(\) by that"):
            s.reveal(scores, to="all", name="v", reason="test")
        return [search.best_params_["m__alpha"], scores.open(to="all", name="v", reason="test").shape]

    assert run(program) == [0.1, (2,)]


def test_scores_are_those_of_scikit_learn() -> None:
    def program(s: pv.Session) -> Any:
        x, y, z = (s.secret(n, "o") for n in "xyz")
        models = [LinearSVC(), MultinomialLogisticRegression(2), GaussianNB(2), KNeighborsClassifier(2, 3)]
        numbers = [Lasso(0.1), ElasticNet(0.1), KNeighborsRegressor(3)]
        found = [m.fit(x, y).score(x, y) for m in models] + [m.fit(x, z).score(x, z) for m in numbers]
        clusters = KMeans(2, max_iter=3)
        moved = clusters.fit_transform(x)
        return shown(s, *found, moved, clusters.predict(x), GaussianMixture(2, max_iter=2).fit_predict(x))

    *scores, moved, labels, mixed = run(program)
    assert all(0.7 < v <= 1 for v in scores[:4]) and (moved.argmin(1) == labels).mean() > 0.9 and mixed.shape == (60,)
    assert abs(scores[0] - PlainSVC(C=1 / 0.6, dual=False).fit(X, Y).score(X, Y)) < 0.02
    assert abs(scores[4] - PlainLasso(0.1).fit(X, Z).score(X, Z)) < 1e-3
    assert abs(scores[6] - PlainNeighbors(3).fit(X, Z).score(X, Z)) < 1e-3


def test_public_and_flat_arrays_are_refused_by_name() -> None:
    def program(s: pv.Session) -> None:
        x, y = s.secret("x", "o"), s.secret("y", "o")
        model = LinearSVC().fit(x, y)
        with pytest.raises(ShapeError, match="LinearSVC: expected x of shape"):
            model.predict(x[:, 0])
        with pytest.raises(UsageError, match=r"LinearSVC: y: expected a secret array, got ndarray; session.constant"):
            LinearSVC().fit(x, Y)
        with pytest.raises(UsageError, match=r"accuracy_score: y_true: expected a secret array \(session.constant"):
            metrics.accuracy_score(Y, y)
        with pytest.raises(UsageError, match="no target; give y="):
            model.score(x)

    run(program)


BINARY = (
    lambda: LinearSVC(max_iter=4),
    lambda: LogisticRegression(solver="newton", alpha=0.1, max_iter=5),
    lambda: LogisticRegression(learning_rate=0.5, epochs=2),
)


@pytest.mark.parametrize("make", BINARY, ids=["svc", "newton", "sgd"])
@pytest.mark.parametrize(("low", "high"), [(1, 2), (-1, 1), (0, 2)])
def test_other_labels_are_refused_and_the_advice_works(make: Any, low: int, high: int) -> None:
    labels = {"y": pv.Input(np.where(Y, high, low), 2, 0)}
    with pytest.raises(RangeViolated, match=r"y holds 0 and 1 only; for other labels pass y == L, where L counts as 1"):
        run(lambda s: shown(s, make().fit(s.secret("x", "o"), s.secret("y", "o")).coef_), **labels)
    found = run(lambda s: shown(s, make().fit(s.secret("x", "o"), s.secret("y", "o") == high).coef_), **labels)
    plain = run(lambda s: shown(s, make().fit(s.secret("x", "o"), s.secret("y", "o")).coef_))
    assert np.abs(found[0] - plain[0]).max() < 1e-3


NAMES = ("roc_auc_score", "average_precision_score", "ks_statistic", "log_loss", "brier_score_loss", "f1_score")


@pytest.mark.parametrize("name", NAMES)
def test_labels_of_metrics(name: str) -> None:
    """-1 and 1 are refused, and what the message says gives what 0 and 1 give."""
    labels, share = 2 * Y - 1, 1 / (1 + np.exp(-X[:, 0]))

    def score(s: pv.Session, y: Any) -> Any:
        p = s.secret("p", "o")
        return shown(s, getattr(metrics, name)(y, p > 0.5 if name == "f1_score" else p))[0]

    inputs = {"y": pv.Input(labels, 1, 0), "p": pv.Input(share, 1)}
    with pytest.raises(RangeViolated, match=f"{name}: y_true holds 0 and 1 only; .* y_true == 1 of -1 and 1"):
        run(lambda s: score(s, s.secret("y", "o")), **inputs)
    got = run(lambda s: score(s, s.secret("y", "o") == 1), **inputs)
    assert got == pytest.approx(run(lambda s: score(s, s.secret("y", "o")), p=pv.Input(share, 1)), abs=1e-5)


@pytest.mark.parametrize("constant", [0.0, 1.0, 3.0, -7.25])
def test_a_constant_column_has_coefficient_0(constant: float) -> None:
    """And standard error 0, where there is one; the others are as without it."""
    wide = np.column_stack([X, np.full(60, constant)])

    def program(s: pv.Session) -> Any:
        z = s.secret("z", "o")
        models = [m.fit(s.secret("x", "o"), z) for m in (LinearRegression(), Lasso(0.1))]
        return shown(s, models[0].coefficients_, models[0].standard_errors_, models[1].coefficients_)

    found, plain = run(program, x=pv.Input(wide, 8)), run(program)
    for one, other in zip(found, plain, strict=True):
        assert one[2] == 0 and np.abs(np.delete(one, 2) - other).max() < 1e-3


@pytest.mark.parametrize("scale", [2.0**-4, 1e3])
def test_lasso_in_any_unit(scale: float) -> None:
    """With an offset of 20 deviations; the first column has another unit than the second."""
    x = np.column_stack([X[:, 0] * scale + 20 * scale, X[:, 1] + 5])
    strength = 0.1 * min(1.0, scale)

    def program(s: pv.Session) -> Any:
        model = Lasso(strength).fit(s.secret("x", "o"), s.secret("z", "o"))
        return shown(s, model.coef_, model.predict(s.secret("x", "o")))

    got = run(program, x=pv.Input(x, float(2 ** np.ceil(np.log2(np.abs(x).max())))))
    best = PlainLasso(strength, tol=1e-12, max_iter=10**6).fit(x, Z)
    assert np.abs(got[1] - best.predict(x)).max() < 0.01 * Z.std()
    assert np.abs(got[0] - best.coef_).max() < 0.01 * np.abs(best.coef_).max()


@pytest.mark.parametrize("scale", [2.0**-10, 2.0**11])
def test_neighbours_in_any_unit(scale: float) -> None:
    """Their numbers are those of columns in other units, and distances go with the unit."""

    def program(s: pv.Session) -> Any:
        x = s.secret("x", "o")
        model = KNeighborsRegressor(2).fit(x, s.secret("z", "o"))
        away, places = model.kneighbors(x[:10])
        return shown(s, model.predict(x), away, places)

    numbers, away, places = run(program, x=pv.Input(X * scale, 8 * scale))
    plain = PlainNeighbors(2).fit(X * scale, Z)
    right = plain.kneighbors(X[:10] * scale)
    assert np.abs(numbers - plain.predict(X * scale)).max() < 1e-4
    assert np.array_equal(places[:, 1], right[1][:, 1]) and np.abs(away - right[0]).max() < 2e-2 * scale


def test_one_class_and_rows_of_weight_0() -> None:
    """A classifier of one class gives that class; rows of weight 0 change nothing."""

    def program(s: pv.Session) -> Any:
        x, weight = s.secret("x", "o"), s.constant(np.where(Y == 1, 1.0, 0.0))
        one = [m.fit(x, s.constant(np.ones(60, np.int64))) for m in (LinearSVC(), GaussianNB(2))]
        zero = LinearSVC().fit(x, s.secret("y", "o"), sample_weight=weight)
        return shown(s, *(m.predict(x) for m in one), zero.predict(x))

    assert all((v == 1).all() for v in run(program))
    with pytest.raises(PrivityError):
        run(lambda s: LinearSVC().fit(s.secret("x", "o"), s.secret("y", "o"), sample_weight=np.zeros(60)))
