"""Opened trees: plain NumPy at the receivers, and the ways out to XGBoost and ONNX."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ...array import SecureArray
from ...errors import UsageError
from ...functions import concatenate, stack
from ...functions.ratio import fitting_scale
from ...openings import Withheld
from ..estimator import Estimator
from ..opened import Encoded, encodings, rows_by_name
from ..preprocessing.pipeline import Pipeline
from .boosting import GradientBoosting
from .compact import CompactTree, ensemble
from .ensemble import Forest

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

LINKS: Final = ("identity", "log", "logistic", "softmax", "shares")
"""What becomes of a row's sums: the prediction itself, e to it, a probability, probabilities of classes, or these as
they are (one sum for two classes: that of class 1)."""
_FAR: Final = float(np.finfo(np.float32).max)  # beyond every value, also in single precision
_OBJECTIVES: Final = {
    "identity": "reg:squarederror", "shares": "reg:squarederror", "log": "count:poisson",
    "logistic": "binary:logistic", "softmax": "multi:softprob",
}  # fmt: skip


def open_trees(
    model: Estimator, *, to: str | Sequence[str], name: str, reason: str, thresholds: bool = True, covers: bool = False
) -> OpenedTrees | Withheld:
    """Open a boosted model, a forest or a tree: OpenedTrees at the receivers, Withheld at all others.

    Lines of the openings list, for t trees of depth D and k values a leaf (1 for boosted trees; classes - 1 or 1 for
    forests): ``name`` (2, t, 2^D - 1), which threshold of which column each node uses (0: it does not split), and
    whether empty cells go right; ``name_leaves`` (k, t, 2^D); ``name_base`` (lanes,) for boosted trees;
    ``name_thresholds`` (t, 2^D - 1), the values of the thresholds that are used, if ``thresholds`` and they are secret;
    ``name_covers`` (t, 2^D), what the rows in each leaf weigh, if ``covers`` (forests): small ones are about few rows.
    Without thresholds the model is one of bin numbers, and so it is in columns that their owner cut at thresholds of
    its own (``OpenedTrees.binned``); where the schema states the thresholds, they are put in. One round and 8 bytes per
    party and node, besides the openings.

    A Pipeline of ``OneHotEncoder`` and ``OrdinalEncoder`` becomes a model of the columns before them.

    Raises UsageError for a model without trees or not fitted, other transforms, and what ``Session.reveal`` raises.
    """
    encoded: dict[str, Encoded] = {}
    if isinstance(model, Pipeline):
        encoded, model = encodings("open_trees", model.transforms()), model.steps[-1][1]
    if not isinstance(model, Forest | GradientBoosting):
        raise UsageError(f"{type(model).__name__} has no opened trees; models that have: forests, trees, boosted trees")
    model.fitted("splits_")
    context = model.splits_[0]._context
    opened: dict[str, Any] = {}

    def reveal(part: str, secret: SecureArray) -> None:
        opened[part] = context.reveal(secret, to=to, name=name + part, reason=reason)

    width = model.splits_[0].shape[1]
    levels = [c.reshape((-1, 1 << k, width)) for k, c in enumerate(model.splits_)]
    nodes = concatenate(levels, axis=1)
    kept = model.binner_
    columns, steps = kept["columns"], kept["max_bins"] - 1
    chosen, gaps = nodes[:, :, : columns * steps], nodes[:, :, columns * steps :]
    code = (chosen * np.arange(1, columns * steps + 1)).sum(axis=2)._stated(float(columns * steps))
    reveal("", stack([code, gaps.sum(axis=2) if kept["gaps"] else code * 0]))
    forest = isinstance(model, Forest)
    if isinstance(model, Forest):
        leaves = model.values_
        if hasattr(model, "centre_"):  # from which all trees together predict: to each its part, what is left to one
            count, centre = model.n_estimators, model.centre_
            part = centre
            if count > 1:
                coarse = centre.rescaled(fitting_scale(centre.bound, centre.scale, 36))
                part = coarse.multiply(np.asarray(1.0 / count), scale=coarse.scale)
            first = (np.arange(count) == 0).astype(np.int64).reshape((1, -1, 1))
            leaves = leaves + part + (centre - part * count) * first
        reveal("_leaves", leaves)
    else:
        sides = stack([model.left_, model.right_], axis=1)
        reveal("_leaves", sides.reshape((1, nodes.shape[0], -1)))
        reveal("_base", model.base_)
    edges = kept["edges"]
    if thresholds and edges is not None:
        reveal("_thresholds", chosen.matmul(edges.reshape((-1,)))._stated(edges.bound))
    if covers:
        if not forest:
            raise UsageError("covers are kept of forests only; give rows of your own to OpenedTrees.covered")
        reveal("_covers", model.covers_)  # type: ignore[union-attr]
    if isinstance(opened[""], Withheld):
        return opened[""]
    code, gap_right = opened[""][0], opened[""][1] > 0
    feature = np.where(code > 0, (code - 1) % columns, -1)
    if "_thresholds" in opened:
        # a shared value is rounded to the nearest, and at the threshold goes right
        units = np.asarray(model.units_)[np.maximum(feature, 0)]
        threshold = (opened["_thresholds"] - 2.0 ** -(edges.scale + 1)) * units
    else:
        threshold = (code - 1) // columns + 0.5
    made = _forest(model, opened) if isinstance(model, Forest) else _boosted(model, opened)
    again = len(made["values"]) // len(feature)  # one tree for each class
    whole = thresholds or edges is None
    cut = tuple(kept.get("cut_at") or ()) if whole else tuple(model.names_)
    trees = OpenedTrees(
        feature=np.repeat(feature, again, axis=0), threshold=np.repeat(threshold, again, axis=0),
        gap_right=np.repeat(gap_right, again, axis=0), names=tuple(model.names_), binned=cut,
        encoded=encoded, **made,
    )  # fmt: skip
    return trees.in_values(kept.get("agreed") or {}) if whole else trees


def _forest(model: Forest, opened: dict[str, Any]) -> dict[str, Any]:
    number = hasattr(model, "centre_")
    values, link = np.asarray(opened["_leaves"]), "identity" if number else "shares"
    values = values if number else values / model.n_estimators
    if len(values) > 1:
        values = np.concatenate([1 / model.n_estimators - values.sum(0, keepdims=True), values])
    lanes, count = values.shape[:2]
    covers = opened.get("_covers")
    return {
        "values": values.transpose(1, 0, 2).reshape(count * lanes, -1), "lane": np.tile(np.arange(lanes), count),
        "base": np.zeros(lanes), "link": link, "covers": None if covers is None else np.repeat(covers, lanes, axis=0),
    }  # fmt: skip


def _boosted(model: GradientBoosting, opened: dict[str, Any]) -> dict[str, Any]:
    base = np.asarray(opened["_base"])
    values = np.asarray(opened["_leaves"])[0]
    if hasattr(model, "classes"):
        link = "logistic" if len(base) == 1 else "softmax"
    else:
        link = "identity" if model.objective == "reg:squarederror" else "log"
    return {"values": values, "lane": np.arange(len(values)) % len(base), "base": base, "link": link, "covers": None}


@dataclass(frozen=True)
class OpenedTrees:
    """Complete binary trees, breadth first: ``feature``, ``threshold``, ``gap_right`` (trees, nodes); ``values``,
    ``covers`` (trees, leaves), covers None if not known; ``lane`` (trees,): the sum to which a tree adds; ``base``
    (lanes,). A row goes right where its value is at least the threshold, or is empty (NaN) and ``gap_right``; feature
    -1: always left. Values are in columns' own units; in the columns ``binned`` they are bin numbers (from 0), and rows
    to predict must hold these there. ``encoded``: name of a column -> the column of categories that it is made of.
    ``link``: of LINKS.
    """

    feature: Integers
    threshold: Floats
    gap_right: npt.NDArray[np.bool_]
    values: Floats
    lane: Integers
    base: Floats
    link: str
    names: tuple[str, ...]
    covers: Floats | None = None
    binned: tuple[str, ...] = ()
    encoded: dict[str, Encoded] = field(default_factory=dict)

    def in_values(self, thresholds: Mapping[str, Sequence[float]]) -> OpenedTrees:
        """The same model on values in the place of bin numbers, for whoever knows the thresholds: column -> thresholds,
        ascending, as ``privity.data.thresholds.Thresholds.of`` gives them to the owner. A value is in bin k if it
        reaches k of them. Raises UsageError for a column that is not in bins.
        """
        made = self.threshold.copy()
        for name, edges in thresholds.items():
            if name not in self.binned:
                have = ", ".join(self.binned) or "none"
                raise UsageError(f"in_values: {name!r} is no column in bins; columns in bins: {have}")
            # bin 0 is reached by every value; a bin beyond the last threshold, by none
            ends = np.array([-_FAR, *edges, _FAR])
            at = self.feature == self.names.index(name)
            made[at] = ends[np.clip(np.ceil(made[at]), 0, len(ends) - 1).astype(np.int64)]
        return replace(self, threshold=made, binned=tuple(n for n in self.binned if n not in thresholds))

    def decision_function(self, x: npt.ArrayLike) -> Floats:
        """Sums (n, lanes) for x (n, d), NaN for empty cells."""
        rows = self._rows(x)
        total = np.tile(self.base, (len(rows), 1))
        for lane, leaf, values in zip(self.lane, self.leaves(rows), self.values, strict=True):
            total[:, lane] += values[leaf]
        return total

    def leaves(self, x: npt.ArrayLike) -> Integers:
        """Number of the leaf, from left to right, where each row falls: (trees, n)."""
        rows = self._rows(x)
        found = np.zeros((len(self.feature), len(rows)), np.int64)
        trees, index = np.arange(len(found))[:, None], np.arange(len(rows))
        for level in range(self.values.shape[1].bit_length() - 1):
            at = found + (1 << level) - 1
            column = self.feature[trees, at]
            cell = rows[index, np.maximum(column, 0)]
            right = np.where(np.isnan(cell), self.gap_right[trees, at], cell >= self.threshold[trees, at])
            found = 2 * found + (right & (column >= 0))
        return found

    def predict_proba(self, x: npt.ArrayLike) -> Floats:
        """Probabilities (n, classes). Raises UsageError for models of numbers."""
        sums = self.decision_function(x)
        if self.link in ("identity", "log"):
            raise UsageError("a model of numbers has no probabilities")
        if self.link == "shares":
            return sums if sums.shape[1] > 1 else np.concatenate([1 - sums, sums], axis=1)
        if self.link == "logistic":
            sums = np.concatenate([np.zeros_like(sums), sums], axis=1)
        weights = np.exp(sums - sums.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def predict(self, x: npt.ArrayLike) -> npt.NDArray[Any]:
        """Classes as integers, or numbers, (n,)."""
        if self.link in ("identity", "log"):
            sums = self.decision_function(x)[:, 0]
            return np.exp(sums) if self.link == "log" else sums
        return np.asarray(self.predict_proba(x).argmax(axis=1))

    def covered(self, x: npt.ArrayLike) -> OpenedTrees:
        """The same model with covers from rows of the receiver's own: how many of them fall in each leaf."""
        width = self.values.shape[1]
        counts = np.stack([np.bincount(leaf, minlength=width) for leaf in self.leaves(x)])
        return replace(self, covers=counts.astype(np.float64))

    def importance(self, kind: str = "gain") -> dict[str, float]:
        """By column, as in XGBoost: "weight", how many splits use it; "cover" and "gain", their mean cover and gain.

        A split's gain is what it takes from the squares of values, weighted by covers. Raises UsageError without
        covers.
        """
        if kind not in ("weight", "gain", "cover"):
            raise UsageError(f"importance: expected 'weight', 'gain' or 'cover', got {kind!r}")
        if kind != "weight" and self.covers is None:
            raise UsageError(f"importance by {kind} needs covers: open them, or use covered(x) with rows of your own")
        total, count = np.zeros(len(self.names)), np.zeros(len(self.names))
        for tree in self._trees():
            inner = tree.feature >= 0
            what = np.ones(len(inner)) if kind == "weight" else tree.cover if kind == "cover" else tree.gains()
            np.add.at(total, tree.feature[inner], what[inner])
            np.add.at(count, tree.feature[inner], 1.0)
        mean = total if kind == "weight" else total / np.maximum(count, 1)
        return {n: float(v) for n, v, c in zip(self.names, mean, count, strict=True) if c}

    def contributions(self, x: npt.ArrayLike) -> Floats:
        """SHAP values of the sums, by XGBoost's ``pred_contribs``: (n, d + 1), or (n, lanes, d + 1); the mean last.

        Raises UsageError without covers or without XGBoost. The library ``shap`` takes ``to_xgboost()`` as well.
        """
        if self.covers is None:
            raise UsageError("SHAP values need covers: open them, or use covered(x) with rows of your own")
        booster = self.to_xgboost()
        import xgboost

        data = xgboost.DMatrix(self._rows(x), feature_names=list(self.names))
        return np.asarray(booster.predict(data, pred_contribs=True), np.float64)

    # -- ways out ------------------------------------------------------------------------------------------------

    def to_xgboost_json(self) -> str:
        """The model in XGBoost's JSON, which ``Booster.load_model`` reads; thresholds and leaves in single precision.

        Columns in bins are listed in the booster's attribute ``binned``. Forests become regressions of the shares of
        classes (one target for each of more than two).
        """
        d, lanes = len(self.names), len(self.base)
        trees = [tree.to_xgboost(k, d) for k, tree in enumerate(self._trees())]
        objective: dict[str, Any] = {"name": _OBJECTIVES[self.link]}
        base = self.base
        if self.link == "softmax":
            objective["softmax_multiclass_param"] = {"num_class": str(lanes)}
        elif self.link == "log":
            objective["poisson_regression_param"] = {"max_delta_step": "0.7"}
            base = np.exp(base)  # XGBoost keeps it as a mean
        else:
            objective["reg_loss_param"] = {"scale_pos_weight": "1"}
            base = 1 / (1 + np.exp(-base)) if self.link == "logistic" else base
        many = self.link != "softmax" and lanes > 1
        model = {
            "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": str(len(trees))},
            "iteration_indptr": list(range(0, len(trees) + 1, lanes)),
            "tree_info": self.lane.tolist(),
            "trees": trees,
            "cats": {"enc": [], "feature_segments": [], "sorted_idx": []},
        }
        learner = {
            "attributes": {"binned": json.dumps(self.binned)} if self.binned else {},
            "feature_names": list(self.names), "feature_types": ["float"] * d,
            "gradient_booster": {"model": model, "name": "gbtree"},
            "learner_model_param": {
                "base_score": "[" + ",".join(repr(float(b)) for b in base) + "]", "boost_from_average": "0",
                "num_class": str(lanes if self.link == "softmax" else 0), "num_feature": str(d),
                "num_target": str(lanes if many else 1),
            },
            "objective": objective,
        }  # fmt: skip
        return json.dumps({"learner": learner, "version": [3, 0, 0]})

    def to_xgboost(self) -> Any:
        """The model as XGBoost's ``Booster``. Raises UsageError without XGBoost."""
        try:
            import xgboost
        except ModuleNotFoundError:
            raise UsageError("this needs XGBoost; install it with: pip install xgboost") from None
        return xgboost.Booster(model_file=bytearray(self.to_xgboost_json().encode()))

    def to_onnx(self) -> bytes:
        """The model as ONNX (a TreeEnsembleRegressor and its link): input ``x`` (n, d), floats; extra ``onnx``.

        Outputs: classifiers ``label`` (n,) integers and ``probabilities`` (n, classes); others ``prediction`` (n,).
        Properties: ``columns``, and ``binned`` for those in bins.
        """
        try:
            from onnx import TensorProto, checker, helper, numpy_helper
        except ModuleNotFoundError:
            raise UsageError("to_onnx needs onnx; install it with: pip install 'privity[onnx]'") from None
        lanes = len(self.base)

        def node(operator: str, inputs: list[str], output: str, **attributes: Any) -> Any:
            return helper.make_node(operator, inputs, [output], **attributes)

        graph = [
            node(
                "TreeEnsembleRegressor",
                ["x"],
                "sums",
                domain="ai.onnx.ml",
                **ensemble(self._trees(), self.lane, self.base),
            )
        ]
        label = helper.make_tensor_value_info("label", TensorProto.INT64, ["n"])
        outputs = [label, helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", max(2, lanes)])]
        if self.link in ("identity", "log"):
            graph.append(node("Squeeze", ["sums", "last"], "flat"))
            graph.append(node("Exp" if self.link == "log" else "Identity", ["flat"], "prediction"))
            outputs = [helper.make_tensor_value_info("prediction", TensorProto.FLOAT, ["n"])]
        elif lanes > 1:
            graph.append(node("Softmax", ["sums"], "probabilities", axis=1) if self.link == "softmax" else
                         node("Identity", ["sums"], "probabilities"))  # fmt: skip
        else:
            graph.append(node("Sigmoid" if self.link == "logistic" else "Identity", ["sums"], "one"))
            graph += [node("Sub", ["unit", "one"], "other"), node("Concat", ["other", "one"], "probabilities", axis=1)]
        if self.link not in ("identity", "log"):
            graph.append(node("ArgMax", ["probabilities"], "label", axis=1, keepdims=0))
        constants: dict[str, Any] = {"last": np.array([1], np.int64), "unit": np.ones(1, np.float32)}
        used = {name for n in graph for name in n.input}
        model = helper.make_model(
            helper.make_graph(
                graph, "privity_trees",
                [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", len(self.names)])], outputs,
                [numpy_helper.from_array(v, n) for n, v in constants.items() if n in used],
            ),
            opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)],
            producer_name="privity",
        )  # fmt: skip
        model.ir_version = 8
        helper.set_model_props(model, {n: json.dumps(v) for n, v in (("columns", self.names), ("binned", self.binned))})
        checker.check_model(model)
        return bytes(model.SerializeToString())

    def _rows(self, x: npt.ArrayLike) -> Floats:
        return rows_by_name(x, self.names, self.encoded, gaps=True)

    def _trees(self) -> Iterator[CompactTree]:
        """All trees, compact: a node that does not split is its left child. Two children stand side by side."""
        for k in range(len(self.feature)):
            places = [self._splitting(k, 0)]
            left: list[int] = []
            for at in places:  # which grows: breadth first
                inner = at < self.feature.shape[1]
                left.append(len(places) if inner else -1)
                places += [self._splitting(k, child) for child in (2 * at + 1, 2 * at + 2) if inner]
            yield self._compact(k, np.asarray(places), np.asarray(left))

    def _splitting(self, tree: int, at: int) -> int:
        """The first place from ``at`` to the left that splits, or a leaf."""
        while at < self.feature.shape[1] and self.feature[tree, at] < 0:
            at = 2 * at + 1
        return at

    def _compact(self, tree: int, places: Integers, left: Integers) -> CompactTree:
        """The tree of these places (nodes first, then leaves, as in a heap) and left children."""
        inner = left >= 0
        node, leaf = np.where(inner, places, 0), np.where(inner, 0, places - self.feature.shape[1])
        value = np.where(inner, 0.0, self.values[tree, leaf])
        cover = np.zeros(len(left)) if self.covers is None else np.where(inner, 0.0, self.covers[tree, leaf])
        for at in np.flatnonzero(inner)[::-1]:
            both = slice(left[at], left[at] + 2)
            cover[at] = cover[both].sum()
            value[at] = (value[both] * cover[both]).sum() / cover[at] if cover[at] else 0.0
        return CompactTree(
            np.where(inner, self.feature[tree, node], -1), self.threshold[tree, node],
            self.gap_right[tree, node] & inner, left, np.where(inner, left + 1, -1), value, cover,
        )  # fmt: skip
