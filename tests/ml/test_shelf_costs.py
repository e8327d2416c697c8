"""Rounds and bytes of models of the shelf and of trees are those that their pages in docs/models state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.ml.decomposition import PCA, TruncatedSVD
from privity.ml.mixture import GaussianMixture
from privity.ml.naive_bayes import BernoulliNB, CategoricalNB, GaussianNB, MultinomialNB
from privity.ml.trees.boosting import GradientBoostingClassifier
from privity.ml.trees.forest import DecisionTreeClassifier, RandomForestClassifier
from privity.ml.trees.isolation import IsolationForest


def spent(model: Any, x: Any, y: Any = None, answer: str | None = "predict") -> Any:
    """Rounds and bytes (mean over the parties) of fit, and the same of an answer for the same rows."""
    found: list[tuple[int, ...]] = []

    def program(s: pv.Session) -> None:
        cells = s.secret("x", "o")
        target = {} if y is None else {"y": s.secret("y", "o")}
        party, at = s._context.protocol.party, []

        def mark() -> None:
            at.extend((party.rounds, party.sent) if party else (0, 0))

        mark()
        made = model.clone().fit(cells, **target)
        s.check_guards()
        mark()
        if answer is not None:
            getattr(made, answer)(cells)
        mark()
        if party:
            found.append(tuple(at))

    given = {"x": pv.Input(x, bound=float(max(1, np.abs(x).max())))}
    if y is not None:
        given["y"] = pv.Input(y, bound=float(max(1, y.max())))
    pv.simulate(program, inputs={"o": given})
    at = np.asarray(found, float)
    return at[:, 2].max() - at[:, 0].max(), (at[:, 3] - at[:, 1]).mean(), *(at[:, 4:] - at[:, 2:4]).mean(axis=0)


def near(got: float, stated: float, above: float = 1.15, below: float = 0.75) -> bool:
    """Formulas of pages are upper figures for usual sizes."""
    return below * stated <= got <= above * stated


RNG = np.random.default_rng(0)
NUMBERS, CODES = RNG.normal(size=(4000, 6)).clip(-4, 4), RNG.integers(0, 4, (4000, 6))
CLASS = RNG.integers(0, 3, 4000)


@pytest.mark.parametrize(("model", "x", "rounds", "per_row"), [
    (GaussianNB(3), NUMBERS, (300, 200), (627, 633)), (BernoulliNB(3), NUMBERS, (140, 42), (117, 171)),
    (MultinomialNB(3), NUMBERS.clip(0), (139, 29), (117, 179)),
    (CategoricalNB(3, n_categories=[4] * 6), CODES, (139, 33), (228, 282)),
], ids=lambda v: type(v).__name__)  # fmt: skip
def test_naive_bayes(model: Any, x: Any, rounds: tuple[int, int], per_row: tuple[int, int]) -> None:
    fit_rounds, fit, ask_rounds, ask = spent(model, x, CLASS)
    assert fit_rounds <= rounds[0] and ask_rounds <= rounds[1]
    assert near(fit / 4000, per_row[0]) and near(ask / 4000, per_row[1]), (fit / 4000, ask / 4000)


def test_mixtures() -> None:
    """About 300 rounds a step, and n (270 k + 11 d + 170) bytes."""
    starts = np.linspace(-1, 1, 3)[:, None] * np.ones((1, 6))
    one, two = (spent(GaussianMixture(3, means_init=starts, max_iter=k), NUMBERS, answer=None) for k in (1, 2))
    assert two[0] - one[0] <= 300
    assert near(two[1] - one[1], 4000 * (270 * 3 + 11 * 6 + 170))


@pytest.mark.parametrize(("model", "k", "m"), [(PCA(4), 4, 10), (TruncatedSVD(3, squarings=8), 3, 8)], ids=str)
def test_directions(model: Any, k: int, m: int) -> None:
    d = 20
    x = (RNG.normal(size=(300, d)) * np.linspace(1, 3, d)).clip(-8, 8)
    rounds, sent, *_ = spent(model, x, answer=None)
    assert rounds <= k * (41 * m + 75) + 210  # 130 of them find the common unit
    assert near(sent, k * d**2 * (21 * m + 350) + 240 * d**2 + 9000 * k * m, below=0.5)


def test_isolation() -> None:
    """About 25 rounds a level; scores 8 (3 2^(D-1) - 2) bytes for each row and tree, and the row's bins."""
    n, trees, depth, d = 500, 20, 5, 6
    rounds, _, _, asked = spent(
        IsolationForest(n_estimators=trees, max_samples=32), NUMBERS[:n], answer="score_samples"
    )
    assert rounds <= 25 * depth + 100  # the extremes of the columns
    paths = 8 * (3 * 2 ** (depth - 1) - 2) * n * trees
    assert paths <= asked <= 1.2 * (paths + 25 * n * d * 31)


@pytest.mark.parametrize("depth", [3, 5])
def test_a_boosted_tree(depth: int) -> None:
    n, d, bins = 4000, 6, 16
    x = RNG.integers(0, bins, (n, d))
    y = (x[:, 0] > 7).astype(np.int64)
    one, more = (
        spent(GradientBoostingClassifier(n_estimators=k, max_depth=depth, max_bins=bins, base_score=0.5), x, y)
        for k in (1, 3)
    )
    rounds, sent = (more[0] - one[0]) / 2, (more[1] - one[1]) / 2
    stated = 8.25 * n * (2**depth - 1) + 16 * n * (2 ** (depth - 1) - 1) + 8 * n + 240 * n
    stated += 480 * d * (bins - 1) * (2**depth - 1)
    assert rounds <= 165 * depth and near(sent, stated, above=1.3), (rounds, sent, stated)
    asked = (more[3] - one[3]) / 2
    assert near(asked, n * (8 * (2**depth + 1) + 2 ** (depth - 2)), above=1.1), asked


@pytest.mark.parametrize(("classes", "trees"), [(2, 1), (3, 1), (2, 4)])
def test_trees_and_forests(classes: int, trees: int) -> None:
    n, d, bins, depth, tried = 4000, 6, 16, 4, 6 if trees == 1 else 3
    x, y = RNG.integers(0, bins, (n, d)), RNG.integers(0, classes, n)
    model: Any = DecisionTreeClassifier(classes, max_depth=depth, max_bins=bins)
    if trees > 1:
        model = RandomForestClassifier(
            n_estimators=trees, classes=classes, max_depth=depth, max_bins=bins, max_features=tried
        )
    rounds, sent, _, asked = spent(model, x, y, "predict_proba")
    nodes = [trees << level for level in range(depth)]
    stated = 8 * n * d * (bins - 1) + sum(n * k * (8.25 + 8 * classes) for k in nodes[:-1])
    stated += sum(8 * classes * max(1, k // 2) * d * (bins - 1) + 550 * k * tried * (bins - 1) for k in nodes)
    assert rounds <= 140 * depth + 20 and near(sent, stated), (rounds, sent, stated)
    asked -= 8.5 * n * d * (bins - 1)  # of the rows' own bins, as bits: less than as integers
    assert asked <= n * trees * (8 * 2**depth + 2**depth / 4) + 8 * classes * n
