"""The tree workloads: one round of gradient boosting on columns that are bins already, beside the same in NumPy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..array import SecureArray
from ..functions import concatenate, stack
from ..inputs import Input
from ..ml.trees.bins import Binner, Bins
from ..ml.trees.grower import Growth, grow
from ..ml.trees.objectives import Logistic
from . import ideal
from .ideal import Ideal

Floats = npt.NDArray[np.float64]
_STEP = 2.0**-10  # margins are multiples


@dataclass(frozen=True, slots=True)
class Case:
    """Sizes of one workload: a tree of ``depth`` levels over ``columns`` columns of ``bins`` bins."""

    columns: int
    bins: int
    depth: int

    def rows(self, n: int) -> dict[str, Input]:
        """Columns as bins, a target of 0 and 1 that depends on six of them, margins of earlier rounds."""
        generator = np.random.default_rng(12)
        codes = generator.integers(0, self.bins, (n, self.columns))
        unit = codes[:, : min(6, self.columns)] / self.bins - 0.5
        linear = unit @ np.linspace(4.0, 1.0, unit.shape[1]) + 6.0 * unit[:, 0] * unit[:, 1]
        y = generator.random(n) < 1 / (1 + np.exp(-linear))
        margin = np.round(generator.normal(0, 0.5, n) / _STEP) * _STEP
        return {
            "codes": Input(codes, bound=self.bins - 1.0), "y": Input(y.astype(np.int64), bound=1.0),
            "margin": Input(margin, bound=8.0),
        }  # fmt: skip

    def binned(self, secrets: Mapping[str, SecureArray]) -> dict[str, Any]:
        """The columns as secret bits: once for all rounds, and not part of what is timed."""
        codes = secrets["codes"]
        bins = Binner(self.bins).fit(codes, None).transform(codes, None, [f"x{i}" for i in range(self.columns)])
        return {**secrets, "bins": bins}

    def round(self, secrets: Mapping[str, Any]) -> SecureArray:
        """How much the next tree lowers the loss, to first and second order, and its first split, as one array.

        Not the rows' weights: two splits deep in the tree may be equally good up to rounding.
        """
        bins: Bins = secrets["bins"]
        margin = secrets["margin"].reshape((1, -1))
        gradient, hessian, _ = Logistic(secrets["y"], 1.0).derivatives(margin)
        trees, values = grow(bins, gradient, hessian, Growth(self.depth, largest=64.0))
        change = stack([(values * gradient).mean(), (values * values * hessian).mean()])
        return concatenate([change, trees.splits[0].reshape((-1,)).rescaled(change.scale)])

    def round_plain(self, values: Mapping[str, Floats]) -> Floats:
        """The same in float64: histograms by counting, the gradients' sums by ``bincount``."""
        codes, y, margin = values["codes"].astype(np.int64), values["y"], values["margin"]
        p = 1 / (1 + np.exp(-margin))
        g, h = p - y, p * (1 - p)
        n, d = codes.shape
        node, weight, root = np.zeros(n, np.int64), np.zeros(n), np.zeros((self.bins - 1, d))
        for level in range(self.depth):
            nodes = 1 << level
            flat = (node[:, None] * d + np.arange(d)) * self.bins + codes
            sums = [
                np.bincount(flat.reshape(-1), np.repeat(v, d), nodes * d * self.bins).reshape(nodes, d, self.bins)
                for v in (g, h)
            ]
            right_g, right_h = (np.cumsum(s[:, :, ::-1], axis=2)[:, :, ::-1][:, :, 1:] for s in sums)
            all_g, all_h = (s[:, :1].sum(axis=2, keepdims=True) for s in sums)
            sides = [(all_g - right_g, all_h - right_h), (right_g, right_h)]
            score = sum(a**2 / (b + 1.0) for a, b in sides) * np.all([b >= 1.0 for _, b in sides], axis=0)
            best = score.transpose(0, 2, 1).reshape(nodes, -1).argmax(axis=1)
            column, threshold = best % d, best // d + 1
            gain = score.max(axis=(1, 2)) - (all_g**2 / (all_h + 1.0))[:, 0, 0]
            if level == 0:
                root[threshold[0] - 1, column[0]] = 1.0
            right = (codes[np.arange(n), column[node]] >= threshold[node]) & (gain > 0)[node]
            node = 2 * node + right
        total_g, total_h = (np.bincount(node, v, 2 << level) for v in (g, h))
        weight = (-total_g / (total_h + 1.0))[node]
        return np.concatenate([[np.mean(weight * g), np.mean(weight**2 * h)], root.reshape(-1)])

    def outputs(self, n: int) -> tuple[int, ...]:
        return (2 + (self.bins - 1) * self.columns,)

    def ideal(self, n: int) -> Ideal:
        """Each level: histograms of right children, scores of all candidates, the best, where rows go, what they carry.

        Integers of all bins (16 bytes a party) are read once a level.
        """
        width = self.columns * (self.bins - 1)
        total = ideal.sigmoid(n) + ideal.product(n)
        for level in range(self.depth):
            nodes, last = 1 << level, level == self.depth - 1
            summed = 2 * max(1, nodes // 2)
            candidates = nodes * width
            total += Ideal(
                multiply_adds=2 * summed * n * width, moved_bytes=16.0 * n * width + nodes * n * width / 8,
                sent_bytes=8.0 * (summed * width + nodes * n) + nodes * n / 4, rounds=4,
            )  # fmt: skip
            inverse = ideal.sign(2 * candidates, 30) + ideal.product(2 * candidates).times(6)
            total += inverse + ideal.product(2 * candidates)
            halvings = math.ceil(math.log2(width))
            best = ideal.sign(2 * candidates / halvings, 30) + ideal.selection(4 * candidates / halvings)
            total += best.times(halvings)
            carried = 2 * nodes * n
            sent = 8.0 * (n if last else carried)
            total += Ideal(multiply_adds=2 * carried, moved_bytes=40.0 * carried, sent_bytes=sent, rounds=1)
        return total


BOOSTING = Case(50, 32, 5)
SMALL = Case(8, 32, 4)
LARGE = Case(20, 32, 6)
