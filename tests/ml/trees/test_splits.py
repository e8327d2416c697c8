"""Every split of trees on shares is the best one in float64, but where gains tie within the error of fixed point.

The twin follows the tree: at each node, with the rows that the tree on shares has there, it scores all candidates in
float64, so that one tie does not make all nodes below it different. Bounds are those of docs/models.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from sklearn import datasets

import privity as pv
from privity.bench import datasets as judged
from privity.errors import ConfigError
from privity.ml.trees.bins import Binner
from privity.ml.trees.forest import DecisionTreeClassifier, DecisionTreeRegressor, RandomForestClassifier
from privity.ml.trees.grower import Growth, _Units, grow
from privity.ml.trees.impurity import _MEAN, _SUM

BINS = 16


def codes(x: Any) -> Any:
    """A column's place among its quantiles, and where cells are empty (0 there)."""
    cut = [np.unique(np.nanquantile(c, np.arange(1, BINS) / BINS)) for c in x.T]
    return np.stack([np.searchsorted(e, np.nan_to_num(c), side="right") for e, c in zip(cut, x.T, strict=True)], axis=1)


def made_up(n: int = 700, d: int = 6) -> tuple[Any, Any]:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(n, d))
    return x, (x[:, 0] + (x[:, 1] > 0) * x[:, 2] + rng.normal(size=n) > 0).astype(np.int64)


def holes() -> tuple[Any, Any]:
    x, y = made_up()
    x[np.random.default_rng(6).random(x.shape) < 0.2] = np.nan
    return x, y


@functools.cache
def shared(name: str) -> tuple[Any, Any]:
    """Some rows of a demo's data."""
    try:
        data = judged.SETS[name]().some(800)
    except ConfigError:
        pytest.skip("the package with the data of this demo is not installed")
    return data.x, data.y.astype(np.int64)


SETS = {
    "made up": made_up, "empty cells": holes,
    "credit": lambda: shared("credit"), "SUPPORT2": lambda: shared("support2"),
    "cancer": lambda: datasets.load_breast_cancer(return_X_y=True),
    "wine": lambda: datasets.load_wine(return_X_y=True),
    "digits": lambda: tuple(v[:500] for v in datasets.load_digits(return_X_y=True)),
    "diabetes": lambda: datasets.load_diabetes(return_X_y=True),
}  # fmt: skip


def beyond(x: Any, gaps: Any) -> Any:
    """Rows to the right of each candidate (candidates, rows), in the order of the trees on shares."""
    right = np.concatenate([(x >= t).T & ~gaps.T for t in range(1, BINS)])
    return np.concatenate([right, right | np.tile(gaps.T, (BINS - 1, 1))]) if gaps.any() else right


def chosen(row: Any, d: int) -> int | None:
    """Number of the candidate of a node (None: it does not split)."""
    splits = d * (BINS - 1)
    if not row.any():
        return None
    assert row[:splits].sum() == 1
    return int(row[:splits].argmax()) + (splits if row[splits:].any() else 0)


def opened(s: pv.Session, splits: list[Any]) -> list[Any]:
    return [s.reveal(c, to="all", name=f"level {k}", reason="test") for k, c in enumerate(splits)]


def walk(levels: list[Any], right: Any, judge: Any, d: int) -> Any:
    """(nodes that split, of these with another gain than float64's best); ``judge`` gives the difference."""
    trees = len(levels[0])
    split = other = 0
    for tree in range(trees):
        inside = [np.ones(right.shape[1], bool)]
        for level in levels:
            nodes = level[len(inside) * tree : len(inside) * (tree + 1)]
            following = []
            for rows, node in zip(inside, nodes, strict=True):
                at = chosen(node, d)
                lost = judge(tree, rows, at)
                split += at is not None
                other += lost > 1e-12  # candidates that part the rows alike are the same
                goes = rows & right[at] if at is not None else np.zeros_like(rows)
                following += [rows & ~goes, goes]
            inside = following
    return split, other


# -- boosted trees ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(
    "growth", [Growth(4), Growth(3, reg_lambda=0.1, min_child_weight=4.0, gamma=0.5)], ids=["loose", "strict"]
)
def test_boosted_splits_are_the_best_ones(name: str, growth: Growth) -> None:
    cells, y = SETS[name]()
    x, gaps, (n, d) = codes(cells), np.isnan(cells), cells.shape
    x[gaps] = 0
    rng = np.random.default_rng(0)
    margin = rng.normal(size=(3, n))
    p = 1 / (1 + np.exp(-margin))
    g = np.round((p - y / y.max()) * 2**18) / 2**18
    h = np.round(p * (1 - p) * 2**18) / 2**18
    seen: dict[str, Any] = {}

    def program(s: pv.Session) -> Any:
        given = s.secret("x", "o")
        empty = s.secret("gaps", "o") if gaps.any() else None
        bins = Binner(BINS).fit(given, None).transform(given, empty, ["c"] * d)
        gradient, hessian = s.secret("g", "o"), s.secret("h", "o")
        seen["units"] = _Units.of(n, gradient, hessian, growth)
        trees, _ = grow(bins, gradient, hessian, growth)
        return opened(s, trees.splits)

    inputs = {"x": pv.Input(x, bound=BINS - 1.0), "g": pv.Input(g, bound=1.0), "h": pv.Input(h, bound=0.25)}
    if gaps.any():
        inputs["gaps"] = gaps.astype(np.int64)
    levels = pv.simulate(program, inputs={"o": inputs}).output
    shares: list[float] = []  # of the best gain: what the bound on its error is
    right, units = beyond(x, gaps), seen["units"]
    last = 2.0**-units.sum_bits
    step = 2.0 ** -min(22, 60 - units.sum_bits - int(np.ceil(np.log2(1.02 / (units.reg_lambda + units.least_child)))))

    def side(g: Any, h: Any) -> tuple[Any, Any]:
        """Score and its error, in units of the largest sums."""
        w = np.abs(g) / np.maximum(h + units.reg_lambda, units.least_child / 2)
        return np.abs(g) * w, np.abs(g) * (2.0**-20 * w + 1.25 * step) + (2 * w + w**2) * 2 * last + 2 * last

    def judge(tree: int, rows: Any, at: int | None) -> float:
        gh = [v[tree] * rows * 2.0**-k for v, k in ((g, units.log_g), (h, units.log_h))]
        over = [right @ v for v in gh]
        (one, error_one), (two, error_two) = side(*over), side(*(v.sum() - o for v, o in zip(gh, over, strict=True)))
        own, error_own = side(*(v.sum() for v in gh))
        heavy = np.minimum(over[1], gh[1].sum() - over[1]) >= units.least_child
        gain = np.where(heavy, one + two - own, -np.inf)
        error = error_one + error_two + error_own + 8 * last
        least = growth.gamma * 2.0 ** (units.log_h - 2 * units.log_g)
        best = int(gain.argmax())
        if at is None:
            assert gain[best] <= least + error[best]
            return 0.0
        assert gain[at] > least - error[at] and gain[best] - gain[at] <= error[at] + error[best]
        shares.append(error[best] / gain[best])
        return float(gain[best] - gain[at])

    split, other = walk(levels, right, judge, d)
    assert split >= 12 and other <= 2 and np.median(shares) < 3e-4, (split, other)


# -- trees and forests -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in SETS if name not in ("empty cells", "SUPPORT2")])
@pytest.mark.parametrize("least", [1, 7])
def test_splits_by_impurity_are_the_best_ones(name: str, least: int) -> None:
    cells, y = SETS[name]()
    x, (n, d) = codes(cells), cells.shape
    y = y.astype(np.int64) if y.max() < 20 else y
    k = int(y.max()) + 1
    model: Any = DecisionTreeRegressor(max_depth=4, max_bins=BINS, min_samples_leaf=least)
    times = np.ones((1, n))
    if y.dtype.kind == "i":
        model = DecisionTreeClassifier(k, max_depth=4, max_bins=BINS, min_samples_leaf=least)
        if least > 1:
            model = RandomForestClassifier(
                classes=k, n_estimators=2, max_depth=4, max_bins=BINS, max_features=None, min_samples_leaf=least
            )
            times = model._times(n, slice(0, 2))

    def program(s: pv.Session) -> Any:
        return opened(s, model.clone().fit(s.secret("x", "o"), s.secret("y", "o")).splits_)

    inputs = {"x": pv.Input(x, bound=BINS - 1.0), "y": pv.Input(y, bound=float(np.abs(y).max()))}
    levels = pv.simulate(program, inputs={"o": inputs}).output
    if y.dtype.kind == "i":
        unit, targets, bits = 1.0, (y == np.arange(k)[:, None]).astype(float), 30
    else:
        unit = 2.0 ** np.ceil(np.log2(np.abs(y).max()) + 1)  # of differences from the mean
        targets, bits = (y - y.mean()).reshape(1, -1) / unit, 40
    shares: list[float] = []  # of the best gain: what the bound on its error is
    right = beyond(x, np.zeros(x.shape, bool))
    total = times.sum(axis=1).max()
    fine = 2.0**-_SUM if unit == 1.0 else 2.0**-_SUM * (1 + 2.0 ** np.ceil(np.log2(total)))

    def judge(tree: int, rows: Any, at: int | None) -> float:
        weight = rows * times[tree]
        whole = weight.sum()
        over = right @ weight
        counts = right @ (weight > 0).astype(float)
        fine_here = (np.minimum(counts, (weight > 0).sum() - counts) >= least) & (over > 0) & (over < whole)
        if not fine_here.any():
            assert at is None
            return 0.0
        a = np.where(fine_here, over / whole, 0.5)
        mean = targets @ weight / whole
        e = np.abs((targets * weight) @ right.T / whole - mean[:, None] * a)
        p = a * (1 - a)
        score = (e**2 / p).sum(axis=0)
        off = fine / whole if unit != 1.0 else 0.0
        error_e, error_p = (1 + np.abs(mean[:, None])) * (3 * 2.0**-_SUM + off), 4 * 2.0**-_SUM
        error = score * 2.0**-20 + 2.0**-bits * 2
        error = error + (e * 2.0**-_MEAN + 2 * e / p * error_e + error_e**2 / p + (e / p) ** 2 * error_p).sum(axis=0)
        score = np.where(fine_here, score, -np.inf)
        best = int(score.argmax())
        assert at is not None and score[best] - score[at] <= error[best] + error[at], (score[best], score[at])
        shares.append(error[best] / max(score[best], 1e-12))
        return float(score[best] - score[at])

    split, other = walk(levels, right, judge, d)
    assert split >= 10 and other <= 2 and np.median(shares) < 5e-5, (split, other)
