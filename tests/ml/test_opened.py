"""Opened models predict the same in NumPy, scikit-learn and ONNX, and say who may not have them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.errors import OpeningRefused, ShapeError, UsageError
from privity.ml.opened import KINDS, OpenedModel, open_model
from privity.ml.preprocessing import StandardScaler
from privity.ml.svm import LinearSVC

RNG = np.random.default_rng(5)
X = RNG.normal(size=(25, 3))
NAMES = ("age", "height", "weight")
ONE = np.array([0.5, -1.25, 2.0])
MODELS = {
    kind: OpenedModel(kind, np.stack([ONE, -ONE, ONE[::-1]]), np.array([0.1, -0.2, 0.0]), NAMES)
    if kind == "softmax"
    else OpenedModel(kind, ONE, np.float64(0.75 if kind != "hazard" else 0.0), NAMES, np.full(4, 0.1))
    for kind in sorted(set(KINDS.values()))
}
by_kind = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())


@by_kind
def test_json_brings_back_the_same_model(model: OpenedModel) -> None:
    back = OpenedModel.from_json(model.to_json())
    assert (back.kind, back.names) == (model.kind, model.names)
    assert np.array_equal(back.coef, model.coef) and np.array_equal(back.intercept, model.intercept)
    assert (back.standard_errors is None) == (model.standard_errors is None)
    assert np.array_equal(back.predict(X), model.predict(X))


@by_kind
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_scikit_learn_predicts_the_same(model: OpenedModel) -> None:
    if model.kind == "hazard":
        with pytest.raises(UsageError, match="no proportional hazards model"):
            model.to_sklearn()
        return
    plain = model.to_sklearn()
    assert np.allclose(plain.predict(X), model.predict(X), rtol=1e-12)
    if model.kind in ("logistic", "softmax"):
        assert np.allclose(plain.predict_proba(X), model.predict_proba(X), rtol=1e-9, atol=1e-12)


@by_kind
def test_onnx_runtime_predicts_the_same(model: OpenedModel) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    session = runtime.InferenceSession(model.to_onnx(), providers=["CPUExecutionProvider"])
    got = dict(zip([o.name for o in session.get_outputs()], session.run(None, {"x": X}), strict=True))
    first = got.get("label", got.get("prediction"))
    assert first.shape == (25,) and np.allclose(first, model.predict(X), rtol=1e-12)
    if model.kind in ("logistic", "softmax"):
        assert np.allclose(got["probabilities"], model.predict_proba(X), rtol=1e-9, atol=1e-12)
    assert '["age","height","weight"]' in session.get_modelmeta().custom_metadata_map["columns"]


def test_predictions_are_what_the_kind_says() -> None:
    linear = X @ ONE + 0.75
    assert np.allclose(MODELS["identity"].predict(X), linear)
    assert np.allclose(MODELS["log"].predict(X), np.exp(linear))
    assert np.array_equal(MODELS["margin"].predict(X), linear > 0)
    assert np.allclose(MODELS["logistic"].predict_proba(X)[:, 1], 1 / (1 + np.exp(-linear)))
    assert np.allclose(MODELS["hazard"].predict(X), X @ ONE)
    assert np.allclose(MODELS["softmax"].predict_proba(X).sum(1), 1)
    with pytest.raises(UsageError, match="has no probabilities"):
        MODELS["margin"].predict_proba(X)


@by_kind
def test_weights_for_columns_before_scaling(model: OpenedModel) -> None:
    mean, scale = np.array([10.0, -3.0, 0.5]), np.array([2.0, 0.0, 0.25])
    raw = X * scale + mean  # the second column is constant
    flat = np.where(scale == 0, 0.0, X)
    assert np.allclose(model.unscaled(mean, scale).decision_function(raw), model.decision_function(flat))


def program(s: pv.Session) -> Any:
    model = LinearSVC(alpha=0.05, max_iter=5).fit(s.secret("x", "o"), s.secret("y", "o"))
    return open_model(model, to="analyst", name="model", reason="the study's result")


INPUTS = {"o": {"x": pv.Input(X, bound=8.0), "y": (X[:, 0] > 0).astype(np.int64)}}


def test_only_the_receiver_gets_the_model_and_only_if_it_is_listed() -> None:
    listed = [pv.Opening("model", (4,), ("analyst",))]
    run = pv.simulate(program, inputs=INPUTS, receivers=["analyst"], openings=listed)
    got = run.outputs["analyst"]
    assert isinstance(got, OpenedModel) and got.kind == "margin" and got.names == ("x0", "x1", "x2")
    assert (got.predict(X) == (X[:, 0] > 0)).mean() > 0.9
    assert all(isinstance(v, pv.Withheld) for n, v in run.outputs.items() if n != "analyst")
    with pytest.raises(OpeningRefused, match="'model' is not on this party's list"):
        pv.simulate(program, inputs=INPUTS, receivers=["analyst"], openings=[])


def test_what_has_no_opened_form_is_said() -> None:
    def wrong(model: Any, message: str, **options: Any) -> None:
        with pytest.raises(UsageError, match=message):
            open_model(model, to="all", name="m", reason="test", **options)

    def body(s: pv.Session) -> None:
        wrong(StandardScaler(), "StandardScaler has no opened form; models that have: LogisticRegression")
        wrong(LinearSVC(), "call fit first")
        model = LinearSVC(alpha=0.05, max_iter=5).fit(s.secret("x", "o"), s.secret("y", "o"))
        wrong(model, "this fit has no standard errors", standard_errors=True)

    pv.simulate(body, inputs=INPUTS)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"expected x of shape \(n, 3\): age, height, weight; got \(25, 2\)"):
        MODELS["identity"].predict(X[:, :2])
    with pytest.raises(ShapeError, match="expected coef of shape"):
        OpenedModel("identity", ONE[:2], np.float64(0), NAMES)
    with pytest.raises(UsageError, match="of kind 'forest'"):
        OpenedModel("forest", ONE, np.float64(0), NAMES)
    for text in ("", "{}", MODELS["margin"].to_json().replace("coef", "code"), "[" * 50):
        with pytest.raises(UsageError, match="not an opened model in JSON"):
            OpenedModel.from_json(text)
    with pytest.raises(ShapeError):
        OpenedModel.from_json(MODELS["margin"].to_json().replace('"age",', ""))
