"""Many trees side by side, which scikit-learn's trees and forests are made of: growing, means, rows out of the bag."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from ...array import SecureArray
from ...errors import UsageError
from ...functions import concatenate
from ...functions.ratio import fitting_scale
from ...table import Table
from ..columns import as_learnt
from ..design import settle
from ..estimator import Estimator, whole_numbers
from .bins import Bins
from .draws import Integers, columns_of_nodes, columns_to_try, times_drawn
from .impurity import VALUE, Draw, Grown, Limits, Sums, averaged, grow_by_impurity
from .rows import DEEPEST, TreeRows, bins_again, learn_bins, tree_rows
from .scaled_weights import in_common

_AT_ONCE = 1 << 23  # numbers that the trees of one batch hold at their last level
_LIGHT = 2.0**-4  # least weight of a leaf where rows have weights
_HINT = "state weights of at least 0 that are not all 0, and classes from 0 to classes - 1"


class Forest(Estimator):
    """What trees and forests share. Subclasses state the target's sums and how leaves become predictions."""

    n_estimators: int = 1
    bootstrap: bool = False
    max_samples: int | float | None = None
    max_depth: int
    max_bins: int
    max_features: int | float | str | None
    min_samples_leaf: int
    random_state: int
    oob_score: bool = False

    def _learn(self, rows: TreeRows, base: SecureArray | None, targets: SecureArray, largest: float, bits: int) -> Bins:
        """Grow all trees: ``base`` (n,) weights or None, ``targets`` (k, n), |target| <= largest. The rows' bins."""
        context, n = rows._context, rows.rows
        bins, self.binner_ = learn_bins(rows, self.max_bins)
        weighted, factor, sum_of = base is not None, None, float(n)
        weight = base if base is not None else context.constant(np.ones(n, np.int64))
        if weight.scale + weight.bound > 1:  # more than a mask
            weight, factor = in_common(weight, _LIGHT)
            sum_of = weight.bound
        whole = weight.scale == 0
        if weighted:
            total = weight.sum()
            hint = f"{type(self).__name__}: some row counts: it is valid and has a weight above 0"
            context.guard((total < (1.0 if whole else _LIGHT)).numeric()._ring_share(), hint)
        values = targets * weight if weighted and whole else targets
        if weighted and not whole:
            values = targets.multiply(weight, scale=max(targets.scale, weight.scale))
        counted = None
        if self.min_samples_leaf > 1 and (not whole or self.bootstrap):
            counted = rows.valid if rows.valid is not None else context.constant(np.ones(n, np.int64))
        least = 1.0 if whole else _LIGHT
        if self.min_samples_leaf > 1 and counted is None:
            least = float(self.min_samples_leaf)
        limits = Limits(self.max_depth, self.min_samples_leaf, least)
        kept = 1 + len(targets) + (counted is not None)
        made: list[Grown] = []
        for span in batches(self.n_estimators, kept * n << (self.max_depth - 1)):
            times = self._times(n, span)
            sums = Sums(
                (weight * times)._stated(weight.bound * times.max()),
                (values.reshape((-1, 1, n)) * times)._stated(values.bound * times.max()),
                max(1.0, float(times.sum(axis=1).max()) * weight.bound if factor is None else sum_of * times.max()),
                largest,
                None if counted is None else (counted * (times > 0).astype(np.int64))._stated(1.0),
                bits,
            )
            made.append(grow_by_impurity(bins, sums, limits, self._draw(span, bins.columns)))
            context.progress(span.stop, self.n_estimators, f"tree {span.stop}/{self.n_estimators}")
        self.splits_ = [concatenate([g.splits[k] for g in made]) for k in range(self.max_depth)]
        self.values_ = concatenate([g.values for g in made], axis=1)
        self.covers_ = concatenate([g.covers for g in made])
        if factor is not None:
            most = n * base.bound * float(2 * n) if base is not None else 0.0
            self.covers_ = factor.undone(self.covers_, most, fitting_scale(most, 18, 58))
        self.names_, self.units_ = rows.names, rows.units
        settle(context, type(self).__name__, _HINT)
        return bins

    def _totals(self, x: Table | SecureArray) -> SecureArray:
        """Sum over the trees of the values of the leaves where rows fall, (k, rows)."""
        self.fitted("values_")
        what = type(self).__name__
        rows = tree_rows(what, as_learnt(self, x), target=False)
        bins = bins_again(what, rows, self.binner_, sums=False)
        if isinstance(x, Table) and rows.names != tuple(self.names_):
            raise UsageError(
                f"{what}: expected the columns {', '.join(self.names_)} as in fit, got {', '.join(rows.names)}"
            )
        return self._sum(bins)

    def _averages(self, x: Table | SecureArray) -> SecureArray:
        """Mean over the trees of the values of the leaves where rows fall, (k, rows)."""
        total = self._totals(x)
        mean = total if self.n_estimators == 1 else total.multiply(np.asarray(1.0 / self.n_estimators), scale=VALUE)
        return mean._stated(self.values_.bound + 2.0 ** (1 - VALUE))

    def _out_of_bag(self, bins: Bins, rows: TreeRows) -> tuple[SecureArray, SecureArray | None]:
        """(means (k, rows) over the trees that did not draw a row, 0 where all did; mask of rows that count there).

        As much as a prediction for the rows that were learnt from. Which trees drew a row is public.
        """
        left = (self._times(bins.rows, slice(0, self.n_estimators)) == 0).astype(np.int64)
        trees = left.sum(axis=0)
        share = np.where(trees > 0, 1.0 / np.maximum(trees, 1), 0.0)
        mean = self._sum(bins, left).multiply(share, scale=VALUE)._stated(self.values_.bound + 2.0 ** (1 - VALUE))
        if (trees > 0).all():
            return mean, rows.valid
        seen = self._seen(bins.rows)
        return mean, rows._context.constant(seen) if rows.valid is None else rows.valid * seen

    def _seen(self, rows: int) -> Integers:
        """1 for rows that at least one tree did not draw, public."""
        left = self._times(rows, slice(0, self.n_estimators)) == 0
        return np.asarray(left.any(axis=0), np.int64)

    def _sum(self, bins: Bins, used: Integers | None = None) -> SecureArray:
        """Sum over the trees of the values of the leaves where rows fall, (k, rows); ``used``: see ``averaged``."""
        total: SecureArray | None = None
        for span in batches(self.n_estimators, bins.rows << self.max_depth):
            splits = [c[span.start << k : span.stop << k] for k, c in enumerate(self.splits_)]
            part = averaged(bins, splits, self.values_[:, span], None if used is None else used[span])
            total = part if total is None else total + part
        assert total is not None
        return total

    def _times(self, rows: int, span: slice) -> Integers:
        """How often each tree takes each row, (trees, rows), public."""
        if not self.bootstrap:
            return np.ones((span.stop - span.start, rows), np.int64)
        return times_drawn(self.random_state, span, rows, self.max_samples)

    def _draw(self, span: slice, columns: int) -> Draw:
        """The columns that each node may use, drawn anew for each and in a drawn order, which decides ties; public."""
        tried = columns_to_try(type(self).__name__, self.max_features, columns)
        if tried == columns and self.n_estimators == 1:
            return lambda level: None

        return lambda level: columns_of_nodes(self.random_state, span, level, columns, tried)

    def _check_trees(self) -> None:
        what = type(self).__name__
        whole_numbers(what, min_samples_leaf=self.min_samples_leaf, n_estimators=self.n_estimators)
        whole_numbers(what, most=DEEPEST, max_depth=self.max_depth)
        whole_numbers(what, least=2, max_bins=self.max_bins)
        whole_numbers(what, least=0, random_state=self.random_state)
        if self.oob_score and not self.bootstrap:
            raise UsageError(f"{what}: oob_score=True needs bootstrap=True; without it every tree takes every row")
        drawn = self.max_samples
        if drawn is not None and not (1 <= drawn < 2**31 if isinstance(drawn, int) else 0 < drawn <= 1):
            raise UsageError(f"{what}: expected max_samples of at least 1 row, or a share in (0, 1], got {drawn!r}")


def batches(trees: int, size: int) -> Iterator[slice]:
    """Trees in as equal parts as fit, ``size`` numbers each."""
    parts = math.ceil(trees / max(1, _AT_ONCE // size))
    edges = [round(k * trees / parts) for k in range(parts + 1)]
    yield from (slice(a, b) for a, b in pairwise(edges))
