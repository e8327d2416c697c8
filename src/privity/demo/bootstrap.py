"""How sure are we of a gain? The paired bootstrap over the hold-out's customers, fast enough to run every time.

Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), percentile interval. Each resample draws the hold-out's
customers with replacement and scores *all* models on the same draw, so that what is common to the models cancels. A
resample is a vector of counts; with the scores sorted once per model, ROC AUC and average precision of all resamples
are cumulative sums over those counts. Ties are treated as scikit-learn does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from privity.demo.result import Gain

Floats = npt.NDArray[np.float64]

SEED = 1993
_BLOCK = 250  # resamples at a time: bounds the memory at about 12 MB per array for 6,000 customers


@dataclass(frozen=True, slots=True)
class Gains:
    """For each bank, the gain of the joint model over the bank's own."""

    auc: dict[str, Gain]
    average_precision: dict[str, Gain]


def paired_gains(y: Floats, joint: Floats, alone: Mapping[str, Floats], *, resamples: int = 2000) -> Gains:
    """Gains with 95 % intervals.

    y: labels, shape (n,), both classes present. joint, alone[bank]: decision values of the same rows, shape (n,).
    """
    n = len(y)
    generator = np.random.default_rng(SEED)
    models = {"": joint, **alone}
    prepared = {name: RankedScores(y, scores) for name, scores in models.items()}
    found: dict[str, list[tuple[Floats, Floats]]] = {name: [] for name in models}
    done = 0
    while done < resamples:
        block = min(_BLOCK, resamples - done)
        draws = generator.integers(0, n, size=(block, n)) + n * np.arange(block)[:, None]
        counts = np.bincount(draws.ravel(), minlength=block * n).reshape(block, n).astype(np.float64)
        counts = counts[(counts @ y > 0) & (counts @ y < n)]  # a draw of one class only has no AUC
        for name, scored in prepared.items():
            found[name].append(scored.metrics(counts))
        done += block
    point = {name: scored.metrics(np.ones((1, n))) for name, scored in prepared.items()}
    result: list[dict[str, Gain]] = []
    for metric in (0, 1):
        drawn = {name: np.concatenate([pair[metric] for pair in pairs]) for name, pairs in found.items()}
        gains: dict[str, Gain] = {}
        for bank in alone:
            low, high = np.quantile(drawn[""] - drawn[bank], [0.025, 0.975])
            gain = float(point[""][metric][0] - point[bank][metric][0])
            gains[bank] = Gain(gain=gain, low=float(low), high=float(high))
        result.append(gains)
    return Gains(*result)


class RankedScores:
    """One model's hold-out scores, from the highest. Only runs of equal scores that hold a positive are summed over."""

    def __init__(self, y: Floats, scores: Floats) -> None:
        self._order = np.argsort(-scores, kind="stable")
        ranked = scores[self._order]
        starts = np.append(0, np.flatnonzero(ranked[1:] != ranked[:-1]) + 1)
        ends = np.append(starts[1:], len(y))
        self._positives = np.flatnonzero(y[self._order] > 0.5)
        run = np.searchsorted(starts, self._positives, side="right") - 1
        runs, self._first = np.unique(run, return_index=True)
        self._starts, self._ends = starts[runs], ends[runs]

    def metrics(self, counts: Floats) -> tuple[Floats, Floats]:
        """ROC AUC and average precision per resample; counts: (resamples, n), in the hold-out's own row order."""
        ranked = np.take(counts, self._order, axis=1)
        everyone = np.zeros((len(counts), counts.shape[1] + 1))  # how many rank above each place
        np.cumsum(ranked, axis=1, out=everyone[:, 1:])
        new_positives = np.add.reduceat(ranked[:, self._positives], self._first, axis=1)
        positives = np.cumsum(new_positives, axis=1)
        above, through = everyone[:, self._starts], everyone[:, self._ends]
        negatives_above = above - (positives - new_positives)
        negatives_through = through - positives
        total = positives[:, -1]
        negatives = everyone[:, -1] - total
        # A positive outranks the negatives below it, and half outranks those it ties with.
        outranked = negatives[:, None] - 0.5 * (negatives_above + negatives_through)
        precision = positives / np.maximum(through, 1.0)
        auc: Floats = np.sum(new_positives * outranked, axis=1) / (total * negatives)
        average_precision: Floats = np.sum(new_positives * precision, axis=1) / total
        return auc, average_precision
