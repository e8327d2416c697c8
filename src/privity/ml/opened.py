"""A model whose parameters were opened: plain NumPy, and the ways out to scikit-learn, ONNX and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from ..array import SecureArray
from ..errors import ShapeError, UsageError
from ..functions import concatenate, stack
from ..openings import Withheld
from ..ring import exact
from ..types import RANGE_BITS
from .estimator import Estimator
from .preprocessing.encode import OneHotEncoder, OrdinalEncoder
from .preprocessing.impute import SimpleImputer
from .preprocessing.pipeline import Pipeline
from .preprocessing.scaling import MinMaxScaler, RobustScaler, StandardScaler, unscaled
from .preprocessing.transform import Transform

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

    It works on columns in their own units: what a table divided them by is taken into its coefficients. A Pipeline of
    ``OneHotEncoder``, ``OrdinalEncoder`` and scalers (``StandardScaler``, ``MinMaxScaler``, ``RobustScaler``, without
    ``clip``) becomes a model of the columns before all of them; its standard errors are not opened.

    Its shape on the openings list: (d + 1,), the intercept last (0 if there is none); (classes, d + 1) for softmax;
    (2, d + 1) with ``standard_errors``, which are the second row. Raises UsageError for a model that is not fitted, not
    linear or without standard errors, and what ``Session.reveal`` raises.
    """
    steps: list[tuple[str, Transform, dict[str, float]]] = []
    if isinstance(model, Pipeline):
        steps = model.transforms()
        if len(steps) == len(model.steps):
            raise UsageError("open_model: the last step of this Pipeline is no model")
        if steps and standard_errors:
            raise UsageError("open_model: a Pipeline's standard errors are those of its model; open that, model[name]")
        model = model.steps[-1][1]
    what = type(model).__name__
    kind = KINDS.get(what)
    if kind is None:
        raise UsageError(f"{what} has no opened form; models that have: {', '.join(KINDS)}")
    encoded = encodings("open_model", steps, _LINES)
    model.fitted("coef_")
    coef: SecureArray = model.coef_  # type: ignore[attr-defined]
    intercept: SecureArray = model.intercept_  # type: ignore[attr-defined]
    names = tuple(model.names_)[: coef.shape[-1]]  # type: ignore[attr-defined]
    units = np.asarray(getattr(model, "units_", None) or np.ones(len(names)))
    raw = dict(zip(names, units, strict=True))
    for step, transform, before in reversed(steps):
        if isinstance(transform, _LINES):
            coef, intercept = _unscaled(step, transform, coef, intercept, names, _reach(model))
            raw |= {n: before[n] for n in transform.columns_}
    units = np.asarray([raw[n] for n in names])
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
    values, deviations = (opened[0], opened[1] / np.append(units, 1.0)) if standard_errors else (opened, None)
    return OpenedModel(kind, values[..., :-1] / units, values[..., -1], names, deviations, encoded)


_LINES: Final = (StandardScaler, MinMaxScaler, RobustScaler)


def encodings(
    what: str, steps: Sequence[tuple[str, Transform, Any]], lines: tuple[type[Transform], ...] = ()
) -> dict[str, Encoded]:
    """How columns of a model come from categories. ``lines``: transforms that its parameters can take in. Raises
    UsageError for one that has no opened form."""
    found: dict[str, Encoded] = {}
    for name, step, _ in steps:
        if isinstance(step, OneHotEncoder) and not step.missing_level:
            for column, levels in step.categories_.items():
                found |= {f"{column}_{v}": Encoded(column, levels, v) for v in levels[1 if step.drop else 0 :]}
        elif isinstance(step, OrdinalEncoder):
            found |= {column: Encoded(column, levels) for column, levels in step.categories_.items()}
        elif isinstance(step, SimpleImputer) and not step.columns_:
            continue  # no cell could be empty
        elif not isinstance(step, lines) or getattr(step, "clip", None) is not None:
            forms: tuple[type[Transform], ...] = (OneHotEncoder, OrdinalEncoder, *lines)
            have = ", ".join(k.__name__ for k in forms)
            raise UsageError(
                f"{what}: step {name!r} of the Pipeline, {step!r}, has no opened form; those that have: {have}"
                f"{' (without clip)' if lines else ', as trees need no scaling'}. Open the last step alone, and bring "
                "its columns as the other steps make them"
            )
    return found


def _reach(model: Estimator) -> float | None:
    """What coefficients of standardised columns cannot pass, where their own bound says less."""
    bound = getattr(model, "target_bound_", None)
    return None if bound is None else float(bound) * float(model.coefficient_bound)  # type: ignore[attr-defined]


def _unscaled(
    step: str, scaler: StandardScaler | MinMaxScaler | RobustScaler, coef: SecureArray, intercept: SecureArray,
    names: tuple[str, ...], reach: float | None,
) -> tuple[SecureArray, SecureArray]:  # fmt: skip
    """Coefficients (.., d) and intercepts for the columns before ``scaler``, in the units of its table.

    ``reach``: a guard that coefficients of scaled columns, and the intercept, keep within it.
    """
    gone = [n for n in scaler.columns_ if n not in names]
    if gone:
        raise UsageError(f"open_model: step {step!r} scales {', '.join(gone)}, which a later step changes")
    at = np.array([names.index(n) for n in scaler.columns_], np.int64)
    rest = np.array([i for i in range(len(names)) if i not in at], np.int64)
    order = np.zeros(len(names), np.int64)
    order[np.append(at, rest)] = np.arange(len(names))
    flat, ends = coef.reshape((-1, len(names))), intercept.reshape((-1, 1))
    rows, made = [], []
    centre, inverse, span, low = scaler.line()
    if reach is not None:
        most = exact.exp2(RANGE_BITS - 3 - _WANTED_BITS - exact.log2_ceil(max(reach, 1.0) * len(at)))
        if 1.0 < most < inverse.bound:
            inverse = inverse.assume_bound(
                most, f"open_model: how much larger the bound of a column that step {step!r} scaled is than its "
                "deviation; state a bound of y, or of the column, nearer to what it holds",
            )  # fmt: skip
    for k in range(flat.shape[0]):
        scaled = flat[k][at]
        moved = ends[k] + scaled.sum().reshape((1,)) * low if low else ends[k]
        given = [scaled if span == 1 else scaled.multiply(np.asarray(span), scale=scaled.scale), moved]
        if reach is not None:
            limit = reach * max(1.0, span + abs(low) * len(at))
            what = f"open_model: coefficients of what step {step!r} scaled, and the intercept; raise coefficient_bound"
            given = [v if v.bound <= limit else v.assume_bound(limit, what) for v in given]
        rows.append(unscaled(concatenate([_shorter(v) for v in given]), inverse, centre))
        slopes = rows[-1][:-1]
        if slopes.scale < _LEAST_BITS:
            raise UsageError(
                f"open_model: under these bounds the coefficients of {', '.join(scaler.columns_)} have no digits left "
                "in the columns' own units; state a bound of y nearer to what it holds, or open the last step alone, "
                "and bring it scaled columns"
            )
        made.append((concatenate([slopes, _shorter(flat[k][rest], slopes.scale)]) if rest.size else slopes)[order])
    return stack(made).reshape(coef.shape), stack([row[-1] for row in rows]).reshape(intercept.shape)


_LEAST_BITS, _WANTED_BITS = 8, 12  # fractional bits of coefficients in a table's units
_FACTOR_BITS = 53  # of what ``long_product`` takes


def _shorter(x: SecureArray, most: int = RANGE_BITS) -> SecureArray:
    """With as many fractional bits as ``scaling.unscaled`` takes, ``most`` at most: a coefficient may be small."""
    room = _FACTOR_BITS - exact.log2_ceil(max(x.bound, 1.0))
    return x.rescaled(min(x.scale, max(room, x._context.fraction_bits), most))


@dataclass(frozen=True)
class Encoded:
    """A column of a model that is made of a ``column`` of ``categories``: 1 where it is ``level``, or the number of the
    category if ``level`` is None.
    """

    column: str
    categories: tuple[str, ...]
    level: str | None = None

    def of(self, cells: Any) -> Floats:
        """The column from cells (n,) of text. Raises UsageError for other categories."""
        given = np.asarray(cells).astype(str)
        unknown = sorted(set(given.tolist()) - set(self.categories))
        if unknown:
            raise UsageError(
                f"column {self.column!r} holds {unknown[0]!r}, which is none of its categories: "
                f"{', '.join(self.categories)}"
            )
        if self.level is not None:
            return np.asarray(given == self.level, np.float64)
        codes = {v: float(k) for k, v in enumerate(self.categories)}
        return np.array([codes[v] for v in given.tolist()])


def rows_by_name(
    x: Any, names: Sequence[str], encoded: dict[str, Encoded] | None = None, *, gaps: bool = False
) -> Floats:
    """Rows (n, d) in the order of ``names``: of a DataFrame by name, whatever else it holds; of an array as it is.

    Raises UsageError, naming the column, for one that is missing, holds no numbers or, without ``gaps``, has an empty
    cell; ShapeError for an array of another shape.
    """
    known = {} if encoded is None else encoded
    if not (hasattr(x, "columns") and hasattr(x, "__getitem__")):
        rows = np.asarray(x, np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(names):
            raise ShapeError(f"expected x of shape (n, {len(names)}): {', '.join(names)}; got {rows.shape}")
        return rows
    have = [str(c) for c in x.columns]
    twice = [n for n in names if have.count(n) > 1]
    missing = [n for n in names if n not in have and (n not in known or known[n].column not in have)]
    if missing or twice:
        what = f"no column {', '.join(missing)}" if missing else f"the column {twice[0]} twice"
        wanted = f"the model wants {', '.join(names)}, they have {', '.join(have)}"
        raise UsageError(f"the rows to predict have {what}; {wanted}")
    columns = []
    for name in names:
        if name in known and (name not in have or known[name].column == name):
            cells = np.asarray(x[known[name].column])
            columns.append(cells.astype(np.float64) if cells.dtype.kind in "biuf" else known[name].of(cells))
            continue
        try:
            columns.append(np.asarray(x[name]).astype(np.float64))
        except (TypeError, ValueError):
            raise UsageError(f"column {name!r} of the rows to predict holds something else than numbers") from None
    rows = np.column_stack(columns) if columns else np.zeros((len(x), 0))
    empty = [] if gaps else [n for n, c in zip(names, columns, strict=True) if np.isnan(c).any()]
    if empty:
        raise UsageError(f"column {', '.join(empty)} of the rows to predict has empty cells (NaN); fill them in first")
    return rows


@dataclass(frozen=True)
class OpenedModel:
    """Plain parameters. ``coef`` (d,) or (classes, d); ``intercept`` () or (classes,); ``names`` of the d columns, in
    their own units.

    ``kind``: one of the values of ``KINDS``. ``standard_errors`` (d + 1,) with the intercept's last, or None.
    ``encoded``: name of a column -> the column of categories that it is made of.

    Rows to predict: a DataFrame, whose columns are found by name (those of categories as text), or an array (n, d) in
    the order of ``names``. Both are refused where a column is missing.
    """

    kind: str
    coef: Floats
    intercept: Floats
    names: tuple[str, ...]
    standard_errors: Floats | None = None
    encoded: dict[str, Encoded] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Arrays of float64. Raises UsageError for an unknown kind, ShapeError where shapes do not fit."""
        if self.kind not in KINDS.values():
            raise UsageError(f"an opened model of kind {self.kind!r}; known: {', '.join(sorted(set(KINDS.values())))}")
        for part in ("coef", "intercept", "standard_errors"):
            value = getattr(self, part)
            if value is not None:
                object.__setattr__(self, part, np.asarray(value, np.float64))
        d = len(self.names)
        expected = (self.intercept.shape[0], d) if self.kind == "softmax" and self.intercept.ndim == 1 else (d,)
        if self.coef.shape != expected or (self.kind != "softmax" and self.intercept.shape != ()):
            raise ShapeError(
                f"an opened model with {d} columns: expected coef of shape {expected}, got {self.coef.shape} and an "
                f"intercept of shape {self.intercept.shape}"
            )
        if self.standard_errors is not None and self.standard_errors.shape != (d + 1,):
            raise ShapeError(f"expected standard errors of shape ({d + 1},), got {self.standard_errors.shape}")

    def decision_function(self, x: Any) -> Floats:
        """x @ coef^T + intercept: (n,), or (n, classes) for softmax. Raises as ``rows_by_name``."""
        rows = rows_by_name(x, self.names, self.encoded)
        return np.asarray(rows @ self.coef.T + self.intercept)

    def predict(self, x: Any) -> npt.NDArray[Any]:
        """Classes as integers; numbers for identity and log; the log of the relative hazard."""
        linear = self.decision_function(x)
        if self.kind == "softmax":
            return np.asarray(linear.argmax(axis=1))
        if self.kind in _CLASSIFIERS:
            return (linear > 0).astype(np.int64)
        return np.exp(linear) if self.kind == "log" else linear

    def predict_proba(self, x: Any) -> Floats:
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
        return replace(self, coef=coef, intercept=self.intercept - coef @ centre, standard_errors=None)

    # -- ways out ------------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        """The model as JSON text; ``from_json`` reads it. Numbers keep every digit."""
        errors = None if self.standard_errors is None else self.standard_errors.tolist()
        rows = self.coef.reshape(-1, len(self.names)).tolist()
        encoded = {n: _Level(e.column, list(e.categories), e.level) for n, e in self.encoded.items()}
        text = _Text(self.kind, list(self.names), rows, self.intercept.reshape(-1).tolist(), errors, encoded)
        return msgspec.json.encode(text).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> OpenedModel:
        """The model in ``text``. Raises UsageError naming the field that does not fit, ShapeError for sizes."""
        try:
            read = msgspec.json.decode(text, type=_Text, strict=True)
            coef, intercept = np.array(read.coef, np.float64), np.array(read.intercept, np.float64)
        except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            raise UsageError(f"not an opened model in JSON: {error}") from None
        if read.kind != "softmax" and len(coef) == 1 and len(intercept) == 1:
            coef, intercept = coef[0], intercept[0]
        errors = None if read.standard_errors is None else np.array(read.standard_errors, np.float64)
        encoded = {n: Encoded(e.column, tuple(e.categories), e.level) for n, e in read.encoded.items()}
        return cls(read.kind, coef, np.asarray(intercept), tuple(read.names), errors, encoded)

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
        made.feature_names_in_ = np.array(self.names, dtype=object)
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


class _Level(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    column: str
    categories: list[str]
    level: str | None = None


class _Text(msgspec.Struct, omit_defaults=True, frozen=True, forbid_unknown_fields=True, tag="privity model 1"):
    """The JSON form; ``coef`` one row per class (one row for models without classes)."""

    kind: str
    names: list[str]
    coef: list[list[float]]
    intercept: list[float]
    standard_errors: list[float] | None = None
    encoded: dict[str, _Level] = {}
