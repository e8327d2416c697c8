"""One transform before one model, opened: what scikit-learn's pipeline gives on a raw DataFrame whose columns come in
another order and beside others, or a refusal that names the step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import linear_model, preprocessing, tree
from sklearn.pipeline import make_pipeline

import privity as pv
from privity.errors import UsageError
from privity.ml import (
    DecisionTreeClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    LinearRegression,
    LogisticRegression,
    Pipeline,
    open_model,
    open_trees,
)
from privity.ml.preprocessing import (
    Clip,
    KBinsDiscretizer,
    LogTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    RobustScaler,
    SimpleImputer,
    StandardScaler,
    WOEEncoder,
)
from privity.table import Field, TableInfo, table_inputs, table_shapes

pd = pytest.importorskip("pandas")
ROWS = 160
DRAW = np.random.default_rng(3)
AGE = DRAW.uniform(20, 80, ROWS).round()
INCOME = DRAW.uniform(1e3, 9e4, ROWS).round()
GAIN = np.where(DRAW.random(ROWS) < 0.8, 0.0, DRAW.uniform(1, 50, ROWS).round())  # equal quartiles
STATE = DRAW.integers(0, 3, ROWS)
WORDS = ("ill", "well", "not known")
Y = (DRAW.random(ROWS) < 1 / (1 + np.exp(3 - AGE / 30 - STATE - GAIN / 20))) * 1.0
FRAME = pd.DataFrame(
    {"other": 1, "state": np.array(WORDS)[STATE], "gain": GAIN, "income": INCOME, "age": AGE, "more": "x"}
)
CELLS = np.column_stack([AGE, INCOME, GAIN, STATE])

SCALERS = [
    (StandardScaler(), preprocessing.StandardScaler()),
    (MinMaxScaler(feature_range=(-1, 2)), preprocessing.MinMaxScaler((-1, 2))),
    (RobustScaler(), preprocessing.RobustScaler()),
]
CODERS = [(OneHotEncoder(drop="first"), np.eye(3)[STATE][:, 1:]), (OrdinalEncoder(), STATE[:, None])]
REFUSED = [
    SimpleImputer(), Clip(low=0, high=50), KBinsDiscretizer(n_bins=3), WOEEncoder(), LogTransformer(),
    PowerTransformer(lambdas=0.5), StandardScaler(clip=3.0), RobustScaler(clip=3.0), OneHotEncoder(missing_level=True),
]  # fmt: skip
TREES = [
    DecisionTreeClassifier(max_depth=2, max_bins=8),
    GradientBoostingClassifier(n_estimators=2, max_depth=2, max_bins=8),
    GradientBoostingRegressor(n_estimators=2, max_depth=2, max_bins=8),
]  # fmt: skip
LINES = [
    (LogisticRegression(alpha=0.01), linear_model.LogisticRegression(C=1 / (0.01 * ROWS), tol=1e-10, max_iter=5000)),
    (LinearRegression(), linear_model.LinearRegression()),
]


def name_of(v: Any) -> str:
    return type(v).__name__ if not isinstance(v, np.ndarray) else ""


def info(coded: bool, missing: bool = False) -> TableInfo:
    fields = [
        Field("age", "number", 128.0, 100.0, missing=missing), Field("income", "number", 2.0**17, 1e5),
        Field("gain", "number", 64.0, 50.0),
    ]  # fmt: skip
    state = [Field("state", "category", categories=WORDS, missing=missing)] if coded else []
    return TableInfo("t", (*fields, *state), label=Field("y", "binary"))


def opened(step: Any, model: Any, coded: bool, missing: bool = False) -> Any:
    table = info(coded, missing)
    trees = not isinstance(model, LogisticRegression | LinearRegression)

    def program(s: pv.Session) -> Any:
        pipe = Pipeline([("first", step.clone()), ("scale", StandardScaler()), ("model", model.clone())])
        if trees or isinstance(step, StandardScaler | MinMaxScaler | RobustScaler):
            pipe = Pipeline([pipe.steps[0], pipe.steps[-1]])
        pipe.fit(s.table("t"))
        return (open_trees if trees else open_model)(pipe, to="all", name="m", reason="test")

    cells = CELLS if coded else CELLS[:, :3]
    return pv.simulate(program, inputs={"o": table_inputs(table, cells, Y)}, tables={"t": table}).output


@pytest.mark.parametrize(("ours", "theirs"), SCALERS, ids=name_of)
@pytest.mark.parametrize(("model", "plain"), LINES, ids=name_of)
def test_scalers(ours: Any, theirs: Any, model: Any, plain: Any) -> None:
    best = make_pipeline(theirs, plain).fit(CELLS[:, :3], Y)
    made = opened(ours, model, coded=False)
    if isinstance(model, LogisticRegression):
        off = made.predict_proba(FRAME) - best.predict_proba(CELLS[:, :3])
    else:
        off = made.predict(FRAME) - best.predict(CELLS[:, :3])
    assert np.abs(off).max() < 1e-4, np.abs(off).max()


@pytest.mark.parametrize(("ours", "columns"), CODERS, ids=name_of)
@pytest.mark.parametrize(("model", "plain"), LINES, ids=name_of)
def test_encoders(ours: Any, columns: Any, model: Any, plain: Any) -> None:
    x = np.column_stack([CELLS[:, :3], columns])
    best = make_pipeline(preprocessing.StandardScaler(), plain).fit(x, Y)
    made = opened(ours, model, coded=True)
    if isinstance(model, LogisticRegression):
        off = made.predict_proba(FRAME) - best.predict_proba(x)
    else:
        off = made.predict(FRAME) - best.predict(x)
    assert np.abs(off).max() < 1e-4, np.abs(off).max()


@pytest.mark.parametrize(("ours", "columns"), CODERS, ids=name_of)
@pytest.mark.parametrize("model", TREES, ids=name_of)
def test_encoders_before_trees(ours: Any, columns: Any, model: Any) -> None:
    x = np.column_stack([CELLS[:, :3], columns])
    made = opened(ours, model, coded=True)
    assert np.array_equal(made.decision_function(FRAME), made.decision_function(x))
    if isinstance(model, DecisionTreeClassifier):
        best = tree.DecisionTreeClassifier(max_depth=2, random_state=0).fit(x, Y)
        assert (made.predict(FRAME) == Y).mean() > (best.predict(x) == Y).mean() - 0.05
    else:
        assert np.corrcoef(made.predict(FRAME), Y)[0, 1] > 0.3
    with pytest.raises(UsageError, match="'state' holds 'sick', which is none of its categories: ill, well, not known"):
        made.predict(FRAME.assign(state="sick"))


@pytest.mark.parametrize("step", REFUSED, ids=repr)
@pytest.mark.parametrize("model", [m for m, _ in LINES] + TREES, ids=name_of)
def test_what_has_no_opened_form_is_refused_by_its_step(step: Any, model: Any) -> None:
    coded = isinstance(step, WOEEncoder | OneHotEncoder)
    what, opens = ("open_trees", open_trees) if model in TREES else ("open_model", open_model)
    table = info(coded, missing=isinstance(step, SimpleImputer | OneHotEncoder))

    def program(s: pv.Session) -> None:
        pipe = Pipeline([("first", step.clone().fit(s.table("t"))), ("model", model.clone())])
        pipe.units_of_steps_, pipe.feature_names_in_ = [{}], ()  # as after a fit, for which trees would take long
        expected = rf"{what}: step 'first' of the Pipeline, {type(step).__name__}\(.*no opened form; those"
        with pytest.raises(UsageError, match=expected):
            opens(pipe, to="all", name="m", reason="test")

    pv.plan(program, inputs={"o": table_shapes(table, ROWS)}, tables={"t": table})


@pytest.mark.parametrize("scaler", [s for s, _ in SCALERS], ids=name_of)
def test_trees_need_no_scaling(scaler: Any) -> None:
    with pytest.raises(UsageError, match=r"open_trees: step 'first' .* as trees need no scaling"):
        opened(scaler, TREES[0], coded=False)


def test_an_imputer_of_columns_without_gaps_changes_nothing() -> None:
    made = opened(SimpleImputer(), LinearRegression(), coded=False)
    best = linear_model.LinearRegression().fit(CELLS[:, :3], Y)
    assert np.abs(made.predict(FRAME) - best.predict(CELLS[:, :3])).max() < 1e-3
    with pytest.raises(UsageError, match="column age of the rows to predict has empty cells"):
        made.predict(FRAME.assign(age=np.nan))
