"""Models of tables know names and units: opened, on raw DataFrames beside scikit-learn; on shares, on other tables."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression as PlainLinear
from sklearn.linear_model import LogisticRegression as PlainLogistic
from sklearn.preprocessing import StandardScaler as PlainScaler

import privity as pv
from privity.errors import ShapeError, UsageError
from privity.ml import (
    DecisionTreeRegressor,
    GaussianNB,
    KMeans,
    LinearRegression,
    LinearSVC,
    MultinomialLogisticRegression,
    Pipeline,
)
from privity.ml.opened import Encoded, OpenedModel, open_model, rows_by_name
from privity.ml.preprocessing import Clip, OneHotEncoder, OrdinalEncoder, StandardScaler
from privity.table import Field, TableInfo, table_inputs

pd = pytest.importorskip("pandas")
ROWS = 400
DRAW = np.random.default_rng(0)
AGE = DRAW.uniform(18, 90, ROWS).round()
INCOME = DRAW.lognormal(10, 0.6, ROWS).clip(0, 9e5).round()
CLASS = DRAW.integers(0, 3, ROWS)
LEVELS = ("a", "b", "z w")
SIGNAL = (AGE - 50) / 20 + (np.log(INCOME) - 10) + (CLASS == 1) * 0.7
Y = (SIGNAL + DRAW.logistic(size=ROWS) > 0).astype(np.float64)
CELLS = np.column_stack([AGE, INCOME, CLASS])
FRAME = pd.DataFrame({"income": INCOME, "class": np.array(LEVELS)[CLASS], "other": 1, "age": AGE})
"""Columns in another order, and one more."""


def info(name: str, age: float, income: float, order: tuple[int, ...] = (0, 1, 2)) -> TableInfo:
    fields = (
        Field("age", "number", age, age), Field("income", "number", income, income),
        Field("class", "category", categories=LEVELS),
    )  # fmt: skip
    return TableInfo(name, tuple(fields[i] for i in order), label=Field("y", "binary"))


TABLE = info("t", 128.0, 2.0**20)
OTHER = info("u", 1024.0, 2.0**22, (2, 1, 0))
INPUTS = {"o": table_inputs(TABLE, CELLS, Y) | table_inputs(OTHER, CELLS[:, ::-1], Y)}


def run(program: Any) -> Any:
    return pv.simulate(program, inputs=INPUTS, tables={"t": TABLE, "u": OTHER}).output


def opened(model: Any) -> Any:
    return open_model(model, to="all", name="model", reason="test")


def test_a_model_of_raw_columns() -> None:
    model, found = run(
        lambda s: (
            opened(m := LinearRegression().fit(s.table("t").drop(["class"]))),
            m.inference(to="all", name="inference", reason="test"),
        )
    )
    best = PlainLinear().fit(CELLS[:, :2], Y)
    assert np.abs(model.predict(FRAME) - best.predict(CELLS[:, :2])).max() < 1e-5
    assert np.allclose(model.coef, best.coef_, rtol=1e-4)
    assert np.allclose(found.coefficients[:2], best.coef_, rtol=1e-4)
    back = OpenedModel.from_json(model.to_json()).to_sklearn()
    assert np.allclose(back.predict(FRAME[["age", "income"]]), model.predict(FRAME))
    with pytest.raises(ValueError, match="feature names"):
        back.predict(FRAME[["income", "age"]])


def test_a_pipeline_is_a_model_of_what_came_before() -> None:
    steps = [OneHotEncoder(drop="first"), StandardScaler(), MultinomialLogisticRegression(2, alpha=0.02)]
    model = run(lambda s: opened(Pipeline([(f"s{i}", k.clone()) for i, k in enumerate(steps)]).fit(s.table("t"))))
    wide = np.column_stack([AGE, INCOME, CLASS == 1, CLASS == 2])
    z = PlainScaler().fit(wide)
    best = PlainLogistic(C=1 / (0.01 * ROWS), tol=1e-10).fit(z.transform(wide), Y)
    right = best.predict_proba(z.transform(wide))
    assert model.names == ("age", "income", "class_b", "class_z w")
    for rows in (FRAME, wide, FRAME.assign(**{"class": FRAME["class"].astype("category")})):
        assert np.abs(model.predict_proba(rows) - right).max() < 1e-4
    again = OpenedModel.from_json(model.to_json())
    assert again.encoded == model.encoded and np.array_equal(again.predict_proba(FRAME), model.predict_proba(FRAME))
    codes = run(lambda s: opened(Pipeline([("o", OrdinalEncoder()), ("m", LinearRegression())]).fit(s.table("t"))))
    assert np.abs(codes.predict(FRAME) - PlainLinear().fit(CELLS, Y).predict(CELLS)).max() < 1e-5


def test_rows_that_do_not_fit_are_refused_by_name() -> None:
    encoded = {"class_b": Encoded("class", LEVELS, "b")}
    model = OpenedModel("identity", np.ones(3), np.float64(0), ("age", "class_b", "income"), encoded=encoded)
    assert np.allclose(model.predict(FRAME), AGE + INCOME + (CLASS == 1))
    for rows, message in (
        (FRAME.drop(columns="age"), "no column age; the model wants age, class_b, income, they have income, class"),
        (FRAME.drop(columns="class"), "no column class_b"),
        (FRAME.assign(**{"class": "q"}), "'class' holds 'q', which is none of its categories: a, b, z w"),
        (FRAME.assign(age=np.nan), "column age of the rows to predict has empty cells"),
        (FRAME.assign(age="old"), "'age' of the rows to predict holds something else than numbers"),
        (pd.concat([FRAME, FRAME[["age"]]], axis=1), "the column age twice"),
    ):
        with pytest.raises(UsageError, match=message):
            model.predict(rows)
    for array in (CELLS[:, :2], CELLS[0]):
        with pytest.raises(ShapeError, match=r"expected x of shape \(n, 3\): age, class_b, income"):
            model.predict(array)
    assert np.isnan(rows_by_name(FRAME.assign(age=np.nan), ("age",), gaps=True)).all()


def test_what_has_no_opened_form_is_said() -> None:
    def program(s: pv.Session, step: Any) -> Any:
        steps = [("first", step.clone()), ("m", LinearRegression())]
        return opened(Pipeline(steps).fit(s.table("t").drop(["class"])))

    for step, message in (
        (Clip(low=0, high=50), "Pipeline, Clip"), (StandardScaler(clip=4.0), r"Scaler \(without clip\)"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=f"step 'first' of the {message}|{message}"):
            run(lambda s, k=step: program(s, k))
    with pytest.raises(UsageError, match="the last step of this Pipeline is no model"):
        run(lambda s: opened(Pipeline([("hot", OneHotEncoder())]).fit(s.table("t"))))


@pytest.mark.parametrize(
    "make",
    [LinearRegression, lambda: GaussianNB(2), lambda: DecisionTreeRegressor(max_depth=2, max_bins=8)],
    ids=["linear", "bayes", "tree"],
)
def test_another_table_is_read_by_name_and_in_the_units_of_the_first(make: Any) -> None:
    def program(s: pv.Session) -> Any:
        model = make().fit(s.table("t").drop(["class"]))
        both = [model.predict(s.table("t").drop(["class"])), model.predict(s.table("u"))]
        with pytest.raises(UsageError, match="'u' has no column age, which the model was fitted on"):
            model.predict(s.table("u").drop(["age"]))
        return [s.reveal(v, to="all", name="p", reason="test") for v in both]

    one, other = run(program)
    # a class of a row between both may fall either way: values are rounded to other units
    assert (np.abs(one - other) > 1e-4).mean() < 0.02 and np.ptp(one) > 0.2


def test_clusters_of_another_table() -> None:
    def program(s: pv.Session) -> Any:
        model = KMeans(2, max_iter=3).fit(s.table("t").drop(["class"]))
        both = [model.predict(s.table("t").drop(["class"])), model.predict(s.table("u").drop(["class"]))]
        return [s.reveal(v, to="all", name="p", reason="test") for v in both]

    one, other = run(program)
    assert (one != other).mean() < 0.02


def test_opened_trees_take_columns_by_name() -> None:
    def program(s: pv.Session) -> Any:
        model = DecisionTreeRegressor(max_depth=2, max_bins=8).fit(s.table("t").drop(["class"]))
        return pv.ml.open_trees(model, to="all", name="tree", reason="test")

    tree = run(program)
    assert np.array_equal(tree.predict(FRAME), tree.predict(CELLS[:, :2])) and np.ptp(tree.predict(FRAME)) > 0.2
    with pytest.raises(UsageError, match="no column age"):
        tree.predict(FRAME.drop(columns="age"))


def test_a_saved_model_keeps_its_units(tmp_path: Any) -> None:
    from privity.ml.saving import _described, _rebuilt

    def program(s: pv.Session) -> Any:
        model = LinearSVC(max_iter=2, tol=8.0).fit(StandardScaler().fit_transform(s.table("t").drop(["class"])))
        secrets: list[Any] = []
        node = _described(LinearRegression().fit(s.table("t").drop(["class"])), secrets)
        back = _rebuilt(s._context, node, iter([x._ring_share() for x in secrets]))
        return model.units_, back.units_

    scaled, raw = run(program)
    assert scaled == (1.0, 1.0) and raw == (128.0, 2.0**20)


@pytest.mark.parametrize("bound", [64.0, 1e5])
def test_a_pipeline_of_a_loose_target_opens(bound: float) -> None:
    """Coefficients of least squares have no bound of their own; the target's says what they can be."""
    target = 3.0 * SIGNAL + 5.0
    fields = (Field("age", "number", 128.0, 120.0), Field("income", "number", 2.0**20, 1e6))
    table = TableInfo("t", fields, label=Field("y", "number", 2.0 ** np.ceil(np.log2(bound)), bound))

    def program(s: pv.Session) -> Any:
        steps = Pipeline([("scale", StandardScaler()), ("line", LinearRegression())])
        return open_model(steps.fit(s.table("t")), to="all", name="m", reason="r")

    with pytest.warns(UserWarning) if bound > 1e4 else nullcontext():
        inputs = {"o": table_inputs(table, CELLS[:, :2], target)}
    got = pv.simulate(program, inputs=inputs, tables={"t": table}).output.predict(CELLS[:, :2])
    right = PlainLinear().fit(CELLS[:, :2], target).predict(CELLS[:, :2])
    assert np.abs(got - right).max() < 5e-4 * target.std()
