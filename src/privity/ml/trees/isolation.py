"""Isolation forest on shares: how few random cuts part a row from others, with secret cuts and secret counts.

As in Liu, Ting and Zhou, ICDM 2008, each tree takes a few rows and cuts them at random until they are alone or the
depth is reached. Two things differ from scikit-learn. Thresholds lie on a grid of equal steps between the least and the
largest value of a column, and one is drawn among those that part the rows of the node: uniform between its extremes,
as there, up to the step of the grid. And the nodes of a level share a column, so that a path still sees columns drawn
independently, but two paths of one tree do not. Which rows a tree takes, its columns and the draws are public; the
grid, the cuts and where a row falls are secret.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ...array import SecureArray
from ...errors import UsageError
from ...functions import concatenate, exp2, lookup, quantile, stack
from ...ring import exact, layout
from ...table import Table
from ..estimator import Estimator, whole_numbers
from .bins import Binner, Bins
from .rows import DEEPEST, TreeRows, bins_again, tree_rows

_DRAW = 10  # bits of a draw among thresholds
_LENGTH = 18  # fractional bits of a path's length
_AT_ONCE = 1 << 23  # numbers that the rows of one batch hold at the last level
_EULER = 0.57721566490153286


class IsolationForest(Estimator):
    """Anomaly scores: scikit-learn's ``IsolationForest`` with cuts on a grid (see the module) and public draws.

    n_estimators: trees. max_samples: rows of a tree, a number or a share, drawn by the public ``random_state`` without
    replacement; more cost more, and 64 often rank as well as scikit-learn's 256. max_bins: steps of the grid.
    max_depth: levels of cuts (None: ceil(log2 max_samples)). contamination: share of rows below the offset, or "auto"
    for scikit-learn's -0.5.

    Opens nothing. A row that does not count is in no tree, so that a tree may have fewer rows than ``max_samples``; the
    normal length of a path is that of ``max_samples`` all the same. Rounds of fit: about 25 a level, and the extremes
    of the columns. Scores cost per party, row and tree about 12 bytes for each leaf, and the row's bins.

    After fit, secret: ``cuts_`` by level (trees, nodes, thresholds), one-hot; ``lengths_`` (trees, leaves); ``offset_``
    (public for "auto"); public: ``features_`` (trees, levels), ``names_``.
    """

    def __init__(
        self,
        *,
        n_estimators: int = 100,
        max_samples: int | float = 64,
        max_bins: int = 32,
        max_depth: int | None = None,
        contamination: float | str = "auto",
        random_state: int = 0,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_samples = max_samples
        self.max_bins = max_bins
        self.max_depth = max_depth
        self.contamination = contamination
        self.random_state = random_state

    def fit(self, x: Table | SecureArray, y: Any = None, *, valid: SecureArray | None = None) -> IsolationForest:
        """Learn from x (n, d); ``y`` is not used. Raises UsageError, ShapeError."""
        self._check()
        rows = _rows(x, valid)
        context, (n, d) = rows._context, rows.cells.shape
        taken = self._taken(n)
        depth = self.max_depth or max(1, exact.log2_ceil(taken))
        draw = np.random.default_rng(self.random_state)
        drawn = np.stack([draw.choice(n, taken, replace=False) for _ in range(self.n_estimators)])
        self.features_ = draw.integers(0, d, (self.n_estimators, depth))
        used, places = np.unique(drawn, return_inverse=True)
        places = places.reshape(drawn.shape)
        cells, real = rows.cells[used], None if rows.valid is None else rows.valid[used]
        if real is not None:
            none = (real.sum() < 1).numeric()
            context.guard(none._ring_share(), "IsolationForest: at least one of the rows that are drawn counts")
        binner = Binner(self.max_bins)
        binner.columns, binner.edges = d, _grid(cells, real, self.max_bins)
        self.binner_ = {**vars(binner), "gaps": False}
        self.names_ = rows.names
        bits = _bits(binner.transform(cells, None, rows.names))
        inside = context.constant(np.ones((self.n_estimators, 1, taken), np.int64))
        if real is not None:
            inside = real[places].reshape((self.n_estimators, 1, taken))
        self.cuts_: list[SecureArray] = []
        cut = context.constant(np.zeros((self.n_estimators, 1), np.int64))
        for level in range(depth):
            beyond = bits._rearranged(layout.take((slice(None), self.features_[:, level : level + 1], places)))
            beyond = beyond.transpose(1, 0, 2)
            hot = _drawn(inside, beyond, draw.integers(0, 1 << _DRAW, (self.n_estimators, 1 << level, 1)))
            right = (inside * hot.matmul(beyond)._stated(1.0))._stated(1.0)
            inside = stack([inside - right, right], axis=2)._stated(1.0).reshape((self.n_estimators, -1, taken))
            cut = cut + hot.sum(axis=2)
            cut = stack([cut, cut], axis=2).reshape((self.n_estimators, -1))
            self.cuts_.append(hot)
            context.progress(level + 1, depth, f"level {level + 1}/{depth}")
        sizes = inside.sum(axis=2)._stated(float(taken))
        rest = lookup(normal_length(np.arange(taken + 1)), sizes)
        self.lengths_ = (cut + rest).rescaled(_LENGTH)._stated(depth + float(normal_length(np.array([taken]))[0]) + 0.1)
        self.normal_ = float(normal_length(np.array([taken]))[0])
        self.offset_: float | SecureArray = -0.5
        if not isinstance(self.contamination, str):
            self.offset_ = quantile(self.score_samples(rows.cells), self.contamination, valid=rows.valid)
        return self

    def score_samples(self, x: Table | SecureArray) -> SecureArray:
        """-2^(-mean length / normal length), (n,), secret: near -1 for anomalies, above -0.5 for normal rows."""
        self.fitted("lengths_")
        bins = bins_again("IsolationForest", _rows(x, None), self.binner_, sums=True)
        trees, leaves = self.lengths_.shape
        span = max(1, _AT_ONCE // (trees * leaves))
        bits = _bits(bins)
        parts = [self._lengths(bits[:, :, at : at + span]) for at in range(0, bins.rows, span)]
        mean = concatenate(parts).multiply(np.asarray(-1.0 / (trees * self.normal_)), scale=_LENGTH)
        return -exp2(mean._stated(self.lengths_.bound / self.normal_ + 0.01))

    def decision_function(self, x: Table | SecureArray) -> SecureArray:
        """``score_samples`` less the offset: below 0 for anomalies."""
        return self.score_samples(x) - self.offset_

    def predict(self, x: Table | SecureArray) -> SecureArray:
        """-1 for anomalies, 1 for all others, (n,), secret integers."""
        return (1 - (self.decision_function(x) < 0).numeric() * 2)._stated(1.0)

    def _lengths(self, bits: SecureArray) -> SecureArray:
        """The sum over the trees of the lengths of paths, (rows,), for bits (thresholds, columns, rows)."""
        trees, leaves = self.lengths_.shape
        depth, rows = len(self.cuts_), bits.shape[2]
        inside: SecureArray | None = None
        for level, hot in enumerate(self.cuts_[:-1]):
            goes = hot.matmul(self._beyond(bits, level))._stated(1.0)
            if inside is None:  # every row is in the root
                inside = concatenate([(1 - goes)._stated(1.0), goes], axis=1)
                continue
            right = (inside * goes)._stated(1.0)
            inside = stack([inside - right, right], axis=2)._stated(1.0).reshape((trees, -1, rows))
        ends = self.lengths_.reshape((trees, leaves // 2, 2))
        left, gap = ends[:, :, :1], (ends[:, :, 1:] - ends[:, :, :1])._stated(self.lengths_.bound)
        longer = (self.cuts_[-1] * gap)._stated(gap.bound)
        worth = (longer.matmul(self._beyond(bits, depth - 1))._stated(gap.bound) + left)._stated(gap.bound)
        bound = self.lengths_.bound * trees
        context = bits._context
        context.fits(bound, worth.scale, "a sum of lengths of paths")
        if inside is None:
            return worth.sum(axis=(0, 1))._stated(bound)
        last = layout.then(layout.transpose((2, 0, 1)), layout.reshape((rows, -1)))
        share = context.protocol.dot(inside._ring_share().map(last), worth._ring_share().map(last))
        return SecureArray(context, share, worth.scale, bound)

    def _beyond(self, bits: SecureArray, level: int) -> SecureArray:
        """Each tree's bits at a level, (trees, thresholds, rows)."""
        return bits.transpose(1, 0, 2)[self.features_[:, level]]

    def _taken(self, rows: int) -> int:
        wanted = self.max_samples
        taken = min(rows, wanted) if isinstance(wanted, int) else int(wanted * rows)
        if taken < 2:
            raise UsageError(f"IsolationForest: a tree needs 2 rows or more; {rows} rows and max_samples={wanted!r}")
        return taken

    def _check(self) -> None:
        what = "IsolationForest"
        whole_numbers(what, n_estimators=self.n_estimators)
        whole_numbers(what, most=DEEPEST, max_depth=1 if self.max_depth is None else self.max_depth)
        whole_numbers(what, least=2, max_bins=self.max_bins)
        whole_numbers(what, least=0, random_state=self.random_state)
        samples, share = self.max_samples, self.contamination
        if not isinstance(samples, int | float) or not (samples >= 2 if isinstance(samples, int) else 0 < samples <= 1):
            raise UsageError(f"IsolationForest: expected max_samples of 2 rows or more, or a share, got {samples!r}")
        if share != "auto" and not (isinstance(share, float) and 0 < share <= 0.5):
            raise UsageError(f"IsolationForest: expected contamination 'auto' or a share in (0, 0.5], got {share!r}")


def normal_length(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Mean length of a search among n rows that finds nothing: 0, 0, 1, then 2 (ln(n - 1) + 0.5772) - 2 (n - 1) / n."""
    n = np.maximum(rows, 3).astype(np.float64)
    logs = np.array([exact.ln(v) for v in (n - 1.0).ravel().tolist()]).reshape(n.shape)
    made = 2.0 * (logs + _EULER) - 2.0 * (n - 1.0) / n
    return np.asarray(np.where(rows < 2, 0.0, np.where(rows == 2, 1.0, made)))


def _rows(x: Table | SecureArray, valid: SecureArray | None) -> TreeRows:
    rows = tree_rows("IsolationForest", x, valid=valid, target=False)
    if rows.gaps is not None:
        raise UsageError("IsolationForest: some cells may be empty; fill them in first (SimpleImputer)")
    return rows


def _grid(x: SecureArray, valid: SecureArray | None, steps: int) -> SecureArray:
    """Thresholds (steps - 1, d) in equal steps between the least and the largest value of rows that count."""
    x = x.numeric()
    x = x if x.scale else x.rescaled(x._context.fraction_bits)
    far = float(math.ceil(x.bound))
    shift = 0.0 if valid is None else valid.reshape((-1, 1)) * int(far)  # x is 0 in all others
    base = 0.0 if valid is None else far
    high = ((x + shift).max(axis=0) - base)._stated(x.bound)
    low = ((x - shift).min(axis=0) + base)._stated(x.bound)
    at = (np.arange(1, steps) / steps).reshape((-1, 1))
    return (low + (high - low).reshape((1, -1)).multiply(at, scale=x.scale))._stated(x.bound + 1)


def _bits(bins: Bins) -> SecureArray:
    """(thresholds, columns, rows)."""
    whole = bins.blocks[0] if len(bins.blocks) == 1 else concatenate(bins.blocks, axis=1)
    return whole.reshape((bins.thresholds, bins.columns, bins.rows))


def _drawn(inside: SecureArray, beyond: SecureArray, draws: npt.NDArray[np.int64]) -> SecureArray:
    """One-hot (trees, nodes, thresholds): of those that part a node's rows, one with a chance equal for all.

    ``inside`` (trees, nodes, rows), ``beyond`` (trees, thresholds, rows), ``draws`` (trees, nodes, 1) below 2^_DRAW:
    the first threshold whose number among those is above draws / 2^_DRAW of theirs. All 0 where none parts the rows.
    """
    most = float(inside.shape[2])
    count = inside.matmul(beyond.transpose(0, 2, 1))._stated(most)
    rest = (inside.sum(axis=2, keepdims=True) - count)._stated(most)
    sides = stack([count, rest]) > 0
    parts = (sides[0] & sides[1]).numeric()
    number = parts.cumsum(axis=2)
    above = (number * (1 << _DRAW) > number[:, :, -1:] * draws).numeric()
    return (above - concatenate([above[:, :, :1] * 0, above[:, :, :-1]], axis=2))._stated(1.0)
