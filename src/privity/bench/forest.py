"""The forest workloads: trees by Gini's impurity, bins included, beside the same trees in NumPy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..array import SecureArray
from ..inputs import Input
from ..ml.trees.forest import DecisionTreeClassifier, RandomForestClassifier
from . import ideal
from .ideal import Ideal
from .trees import Case

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Forest:
    """``trees`` trees over the data of ``case``; each node of several trees tries ``tried`` columns."""

    case: Case
    trees: int
    tried: int

    def model(self) -> Any:
        """The estimator that is measured."""
        depth, bins = self.case.depth, self.case.bins
        if self.trees == 1:
            return DecisionTreeClassifier(max_depth=depth, max_bins=bins)
        return RandomForestClassifier(n_estimators=self.trees, max_depth=depth, max_bins=bins, max_features=self.tried)

    def inputs(self, n: int) -> dict[str, Input]:
        given = self.case.rows(n)
        return {name: given[name] for name in ("codes", "y")}

    def fit(self, secrets: Mapping[str, SecureArray]) -> SecureArray:
        """How pure each tree's leaves are: the mean over its rows of the squared share of class 1, (trees,).

        Not the trees: two splits may be equally good.
        """
        made = self.model().fit(secrets["codes"], secrets["y"])
        squares: SecureArray = made.values_[0] * made.values_[0]
        pure: SecureArray = (squares * made.covers_).sum(axis=1) * (1.0 / secrets["y"].shape[0])
        return pure

    def fit_plain(self, values: Mapping[str, Floats]) -> Floats:
        """The same in float64."""
        codes, y = values["codes"].astype(np.int64), values["y"]
        model, n, d = self.model(), len(y), self.case.columns
        purity = []
        for tree in range(self.trees):
            times = model._times(n, slice(tree, tree + 1))[0].astype(np.float64)
            draw = model._draw(slice(tree, tree + 1), d)
            node = np.zeros(n, np.int64)
            for level in range(self.case.depth):
                allowed = draw(level)
                use = np.zeros((1 << level, d), np.bool_)
                np.put_along_axis(use, np.arange(d)[None] if allowed is None else allowed, True, axis=1)
                node = self._deeper(codes, y, times, node, use)
            weight, ones = (np.bincount(node, w, 2 << (self.case.depth - 1)) for w in (times, times * y))
            purity.append(np.sum(ones**2 / np.maximum(weight, 1.0)) / n)
        return np.asarray(purity)

    def _deeper(
        self, codes: npt.NDArray[np.int64], y: Floats, times: Floats, node: npt.NDArray[np.int64], use: Any
    ) -> npt.NDArray[np.int64]:
        (n, d), nodes, bins = codes.shape, len(use), self.case.bins
        flat = ((node[:, None] * d + np.arange(d)) * bins + codes).reshape(-1)
        size = nodes * d * bins
        h, g = (np.bincount(flat, np.repeat(w, d), size).reshape(nodes, d, bins) for w in (times, times * y))
        right_h, right_g = (np.cumsum(s[:, :, ::-1], axis=2)[:, :, ::-1][:, :, 1:] for s in (h, g))
        left_h, left_g = (s[:, :1].sum(axis=2, keepdims=True) - right for s, right in ((h, right_h), (g, right_g)))
        score = left_g**2 / np.maximum(left_h, 1) + right_g**2 / np.maximum(right_h, 1)
        score = np.where((left_h >= 1) & (right_h >= 1) & use[:, :, None], score, -1.0)
        best = score.transpose(0, 2, 1).reshape(nodes, -1).argmax(axis=1)
        column, threshold = best % d, best // d + 1
        splits = score.max(axis=(1, 2)) >= 0
        right = (codes[np.arange(n), column[node]] >= threshold[node]) & splits[node]
        return np.asarray(2 * node + right, np.int64)

    def outputs(self, n: int) -> tuple[int, ...]:
        return (self.trees,)

    def ideal(self, n: int) -> Ideal:
        """The bins; then each level: histograms of right children, scores of what is tried, the best, where rows go."""
        width = self.case.columns * (self.case.bins - 1)
        bits = math.ceil(math.log2(self.case.bins))
        total = Ideal(prg_bytes=2.0 * width * n, sent_bytes=(bits / 8 + 8.0) * width * n, rounds=bits + 2)
        for level in range(self.case.depth):
            nodes = self.trees << level
            summed = 2 * max(self.trees, nodes // 2)
            tried = self.tried if self.trees > 1 else self.case.columns
            candidates = nodes * tried * (self.case.bins - 1)
            routed = 0 if level == self.case.depth - 1 else nodes
            total += Ideal(
                multiply_adds=2.0 * (summed + routed) * n * width, moved_bytes=32.0 * n * width,
                sent_bytes=8.0 * (summed * width + 3 * routed * n), rounds=3,
            )  # fmt: skip
            total += ideal.sign(2 * candidates, math.ceil(math.log2(n)) + 1) + ideal.sign(candidates, 30)
            total += ideal.product(candidates).times(12)
            halvings = math.ceil(math.log2(max(2, tried * (self.case.bins - 1))))
            best = ideal.sign(candidates / halvings, 32) + ideal.selection(2 * candidates / halvings)
            total += best.times(halvings)
        return total


TREE = Forest(Case(8, 32, 4), 1, 8)
FOREST = Forest(Case(20, 16, 6), 10, 4)
