"""One opened tree without the nodes that do not split, as XGBoost and ONNX write it down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CompactTree:
    """Nodes breadth first, the right child of a node after its left one; all arrays (nodes,).

    Leaves have ``feature``, ``left`` and ``right`` -1. ``value``, ``cover``: of a node, the mean and the sum of those
    of the leaves below; cover 0 everywhere if it is not known.
    """

    feature: Integers
    threshold: Floats
    gap_right: npt.NDArray[np.bool_]
    left: Integers
    right: Integers
    value: Floats
    cover: Floats

    @property
    def inner(self) -> npt.NDArray[np.bool_]:
        """Which nodes split."""
        return self.feature >= 0

    def gains(self) -> Floats:
        """What each split takes from the sum of squares: cover times squared value of its children, less its own."""
        square = self.cover * self.value**2
        gain = square[self.left] + square[self.right] - square
        return np.where(self.inner, np.maximum(gain, 0.0), 0.0)

    def to_xgboost(self, number: int, columns: int) -> dict[str, Any]:
        """An entry of ``trees`` in XGBoost's JSON."""
        inner, size = self.inner, len(self.feature)
        parents = np.full(size, 2**31 - 1, np.int64)
        for side in (self.left, self.right):
            parents[side[inner]] = np.flatnonzero(inner)
        return {
            "id": number, "base_weights": self.value.tolist(), "categories": [], "categories_nodes": [],
            "categories_segments": [], "categories_sizes": [],
            "default_left": (inner & ~self.gap_right).astype(int).tolist(), "left_children": self.left.tolist(),
            "right_children": self.right.tolist(), "parents": parents.tolist(), "loss_changes": self.gains().tolist(),
            "split_conditions": np.where(inner, self.threshold, self.value).tolist(),
            "split_indices": np.maximum(self.feature, 0).tolist(), "split_type": [0] * size,
            "sum_hessian": self.cover.tolist(),
            "tree_param": {
                "num_deleted": "0", "num_feature": str(columns), "num_nodes": str(size), "size_leaf_vector": "1"
            },
        }  # fmt: skip


def ensemble(trees: Iterable[CompactTree], lane: Integers, base: Floats) -> dict[str, Any]:
    """Attributes of ONNX's TreeEnsembleRegressor; ``lane`` (trees,): the target of each."""
    nodes = ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids",
             "missing_value_tracks_true")  # fmt: skip
    targets = ("treeids", "nodeids", "ids", "weights")
    made: dict[str, list[Any]] = {f"nodes_{n}": [] for n in nodes} | {f"target_{n}": [] for n in targets}
    for k, tree in enumerate(trees):
        inner, leaves = tree.inner, np.flatnonzero(~tree.inner)
        made["nodes_treeids"] += [k] * len(inner)
        made["nodes_nodeids"] += range(len(inner))
        made["nodes_featureids"] += np.maximum(tree.feature, 0).tolist()
        made["nodes_values"] += np.where(inner, tree.threshold, 0.0).tolist()
        made["nodes_modes"] += np.where(inner, "BRANCH_LT", "LEAF").tolist()
        made["nodes_truenodeids"] += np.where(inner, tree.left, 0).tolist()
        made["nodes_falsenodeids"] += np.where(inner, tree.right, 0).tolist()
        made["nodes_missing_value_tracks_true"] += (inner & ~tree.gap_right).astype(int).tolist()
        made["target_treeids"] += [k] * len(leaves)
        made["target_nodeids"] += leaves.tolist()
        made["target_ids"] += [int(lane[k])] * len(leaves)
        made["target_weights"] += tree.value[leaves].tolist()
    return {**made, "n_targets": len(base), "base_values": base.tolist(), "post_transform": "NONE"}
