"""A model whose parameters were opened: plain NumPy, and the ways out to scikit-learn, ONNX and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from ..array import SecureArray
from ..errors import ShapeError, UsageError
from ..functions import concatenate, stack
from ..openings import Withheld
from .estimator import Estimator

Floats = npt.NDArray[np.float64]

KINDS: Final = {
    "LogisticRegression": "logistic",
    "LinearSVC": "margin",
    "MultinomialLogisticRegression": "softmax",
    "CoxPHRegressor": "hazard",
    "LinearRegression": "identity",
    "Ridge": "identity",
    "Lasso": "identity",
    "ElasticNet": "identity",
    "PoissonRegressor": "log",
    "GammaRegressor": "log",
    "TweedieRegressor": "log",
    "NegativeBinomialRegressor": "log",
}
"""Estimator -> what it makes of x @ coef + intercept: itself (identity), e to it (log), a probability (logistic), its
sign (margin), probabilities of classes (softmax), the log of a relative hazard (hazard)."""

_CLASSIFIERS = ("logistic", "margin", "softmax")


def open_model(
    model: Estimator, *, to: str | Sequence[str], name: str, reason: str, standard_errors: bool = False
) -> OpenedModel | Withheld:
    """Open a fitted model's parameters as one array called ``name``: an OpenedModel at the receivers.

    Its shape on the openings list: (d + 1,), the intercept last (0 if there is none); (classes, d + 1) for softmax;
    (2, d + 1) with ``standard_errors``, which are the second row. Raises UsageError for a model that is not fitted, not
    linear or without standard errors, and what ``Session.reveal`` raises.
    """
    what = type(model).__name__
    kind = KINDS.get(what)
    if kind is None:
        raise UsageError(f"{what} has no opened form; models that have: {', '.join(KINDS)}")
    model.fitted("coef_")
    coef: SecureArray = model.coef_  # type: ignore[attr-defined]
    intercept: SecureArray = model.intercept_  # type: ignore[attr-defined]
    names = tuple(model.names_)[: coef.shape[-1]]  # type: ignore[attr-defined]
    secret = concatenate([coef, intercept.reshape((*coef.shape[:-1], 1))], axis=-1)
    if standard_errors:
        errors = getattr(model, "standard_errors_", None)
        if errors is None:
            raise UsageError(f"{what}: this fit has no standard errors; open the model without them")
        if errors.shape[0] == coef.shape[0]:
            errors = concatenate([errors, coef._context.constant(np.zeros(1))])
        secret = stack([secret, errors])
    opened = secret._context.reveal(secret, to=to, name=name, reason=reason)
    if isinstance(opened, Withheld):
        return opened
    values, deviations = (opened[0], opened[1]) if standard_errors else (opened, None)
    return OpenedModel(kind, values[..., :-1], values[..., -1], names, deviations)


@dataclass(frozen=True)
class OpenedModel:
    """Plain parameters. ``coef`` (d,) or (classes, d); ``intercept`` () or (classes,); ``names`` of the d columns.

    ``kind``: one of the values of ``KINDS``. ``standard_errors`` (d + 1,) with the intercept's last, or None.
    """

    kind: str
    coef: Floats
    intercept: Floats
    names: tuple[str, ...]
    standard_errors: Floats | None = None

    def __post_init__(self) -> None:
        """Arrays of float64. Raises UsageError for an unknown kind, ShapeError where shapes do not fit."""
        if self.kind not in KINDS.values():
            raise UsageError(f"an opened model of kind {self.kind!r}; known: {', '.join(sorted(set(KINDS.values())))}")
        for field in ("coef", "intercept", "standard_errors"):
            value = getattr(self, field)
            if value is not None:
                object.__setattr__(self, field, np.asarray(value, np.float64))
        d = len(self.names)
        expected = (self.intercept.shape[0], d) if self.kind == "softmax" and self.intercept.ndim == 1 else (d,)
        if self.coef.shape != expected or (self.kind != "softmax" and self.intercept.shape != ()):
            raise ShapeError(
                f"an opened model with {d} columns: expected coef of shape {expected}, got {self.coef.shape} and an "
                f"intercept of shape {self.intercept.shape}"
            )
        if self.standard_errors is not None and self.standard_errors.shape != (d + 1,):
            raise ShapeError(f"expected standard errors of shape ({d + 1},), got {self.standard_errors.shape}")

    def decision_function(self, x: npt.ArrayLike) -> Floats:
        """x @ coef^T + intercept: (n,), or (n, classes) for softmax. ``x`` (n, d) as the model was trained on."""
        rows = np.asarray(x, np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(self.names):
            raise ShapeError(f"expected x of shape (n, {len(self.names)}): {', '.join(self.names)}; got {rows.shape}")
        return np.asarray(rows @ self.coef.T + self.intercept)

    def predict(self, x: npt.ArrayLike) -> npt.NDArray[Any]:
        """Classes as integers; numbers for identity and log; the log of the relative hazard."""
        linear = self.decision_function(x)
        if self.kind == "softmax":
            return np.asarray(linear.argmax(axis=1))
        if self.kind in _CLASSIFIERS:
            return (linear > 0).astype(np.int64)
        return np.exp(linear) if self.kind == "log" else linear

    def predict_proba(self, x: npt.ArrayLike) -> Floats:
        """Probabilities (n, classes); (n, 2) for logistic. Raises UsageError for models without."""
        linear = self.decision_function(x)
        if self.kind == "logistic":
            linear = np.stack([np.zeros_like(linear), linear], axis=1)
        elif self.kind != "softmax":
            raise UsageError(f"a model of kind {self.kind!r} has no probabilities")
        weights = np.exp(linear - linear.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def unscaled(self, mean: npt.ArrayLike, scale: npt.ArrayLike) -> OpenedModel:
        """The same model for columns before (x - mean) / scale, both public and (d,). Standard errors are dropped.

        Where ``scale`` is 0 the column counted as constant, so its weight becomes 0.
        """
        centre, width = np.asarray(mean, np.float64), np.asarray(scale, np.float64)
        if centre.shape != (len(self.names),) or width.shape != centre.shape:
            raise ShapeError(
                f"expected mean and scale of shape ({len(self.names)},), got {centre.shape}, {width.shape}"
            )
        coef = np.where(width == 0, 0.0, self.coef / np.where(width == 0, 1.0, width))
        return OpenedModel(self.kind, coef, self.intercept - coef @ centre, self.names)

    # -- ways out ------------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        """The model as JSON text; ``from_json`` reads it. Numbers keep every digit."""
        errors = None if self.standard_errors is None else self.standard_errors.tolist()
        rows = self.coef.reshape(-1, len(self.names)).tolist()
        text = _Text(self.kind, list(self.names), rows, self.intercept.reshape(-1).tolist(), errors)
        return msgspec.json.encode(text).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> OpenedModel:
        """The model in ``text``. Raises UsageError naming the field that does not fit, ShapeError for sizes."""
        try:
            read = msgspec.json.decode(text, type=_Text, strict=True)
            coef, intercept = np.array(read.coef, np.float64), np.array(read.intercept, np.float64)
        except (msgspec.DecodeError, ValueError) as error:
            raise UsageError(f"not an opened model in JSON: {error}") from None
        if read.kind != "softmax" and len(coef) == 1 and len(intercept) == 1:
            coef, intercept = coef[0], intercept[0]
        errors = None if read.standard_errors is None else np.array(read.standard_errors, np.float64)
        return cls(read.kind, coef, np.asarray(intercept), tuple(read.names), errors)

    def to_sklearn(self) -> Any:
        """A fitted scikit-learn estimator with the same predictions (log: a PoissonRegressor).

        Raises UsageError without scikit-learn, and for the hazard model, which scikit-learn does not have.
        """
        try:
            from sklearn import linear_model, svm
        except ModuleNotFoundError:
            raise UsageError("to_sklearn needs scikit-learn; install it with: pip install scikit-learn") from None
        if self.kind == "hazard":
            raise UsageError("scikit-learn has no proportional hazards model; use to_json, to_onnx or predict")
        kinds = {
            "logistic": linear_model.LogisticRegression,
            "softmax": linear_model.LogisticRegression,
            "margin": svm.LinearSVC,
            "identity": linear_model.LinearRegression,
            "log": linear_model.PoissonRegressor,
        }
        made = kinds[self.kind]()
        made.n_features_in_ = len(self.names)
        if self.kind in _CLASSIFIERS:
            made.coef_ = self.coef.reshape(-1, len(self.names)).copy()
            made.intercept_ = self.intercept.reshape(-1).copy()
            made.classes_ = np.arange(max(2, self.intercept.size))
            made.n_iter_ = np.zeros(1, np.int32)
        else:
            made.coef_, made.intercept_ = self.coef.copy(), float(self.intercept)
            if self.kind == "log":
                made._base_loss = made._get_loss()
        return made

    def to_onnx(self) -> bytes:
        """The model as ONNX: input ``x`` (n, d) of doubles; needs the extra ``onnx``.

        Outputs: classifiers ``label`` (n,) of integers, and ``probabilities`` (n, classes) if there are some; others
        ``prediction`` (n,) of doubles. The names of the columns are in the metadata under ``columns``.
        """
        try:
            from onnx import TensorProto, checker, helper, numpy_helper
        except ModuleNotFoundError:
            raise UsageError("to_onnx needs onnx; install it with: pip install 'privity[onnx]'") from None
        nodes, outputs = self._graph(helper, TensorProto)
        columns = self.coef.reshape(-1, len(self.names)).T
        constants = {
            "coef": np.ascontiguousarray(columns),
            "intercept": self.intercept.reshape(-1),
            "zero": np.zeros(1),
            "last": np.array([1], np.int64),
        }
        used = {name for node in nodes for name in node.input}
        graph = helper.make_graph(
            nodes,
            f"privity_{self.kind}",
            [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["n", len(self.names)])],
            outputs,
            [numpy_helper.from_array(value, name) for name, value in constants.items() if name in used],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="privity")
        model.ir_version = 8
        helper.set_model_props(model, {"columns": msgspec.json.encode(list(self.names)).decode()})
        checker.check_model(model)
        return bytes(model.SerializeToString())

    def _graph(self, helper: Any, types: Any) -> tuple[list[Any], list[Any]]:
        """Nodes and outputs of the ONNX graph."""

        def node(operator: str, inputs: list[str], output: str, **attributes: Any) -> Any:
            return helper.make_node(operator, inputs, [output], **attributes)

        linear = [node("MatMul", ["x", "coef"], "product"), node("Add", ["product", "intercept"], "linear")]
        label = helper.make_tensor_value_info("label", types.INT64, ["n"])
        if self.kind == "softmax":
            chosen = [
                node("Softmax", ["linear"], "probabilities", axis=1),
                node("ArgMax", ["linear"], "label", axis=1, keepdims=0),
            ]
            size = self.intercept.size
            return linear + chosen, [label, helper.make_tensor_value_info("probabilities", types.DOUBLE, ["n", size])]
        flat = [*linear, node("Squeeze", ["linear", "last"], "flat")]
        if self.kind in _CLASSIFIERS:
            sign = [node("Greater", ["flat", "zero"], "above"), node("Cast", ["above"], "label", to=types.INT64)]
            if self.kind == "margin":
                return flat + sign, [label]
            both = [
                node("Neg", ["linear"], "against"),
                node("Concat", ["against", "linear"], "two", axis=1),
                node("Sigmoid", ["two"], "probabilities"),
            ]
            shape = helper.make_tensor_value_info("probabilities", types.DOUBLE, ["n", 2])
            return flat + sign + both, [label, shape]
        flat.append(node("Exp" if self.kind == "log" else "Identity", ["flat"], "prediction"))
        return flat, [helper.make_tensor_value_info("prediction", types.DOUBLE, ["n"])]


class _Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="privity model 1"):
    """The JSON form; ``coef`` one row per class (one row for models without classes)."""

    kind: str
    names: list[str]
    coef: list[list[float]]
    intercept: list[float]
    standard_errors: list[float] | None = None
