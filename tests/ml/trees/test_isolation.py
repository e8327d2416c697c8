"""Isolation forests on shares: equal to the same draws in float64, and ranking like scikit-learn's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import datasets, ensemble
from sklearn.metrics import roc_auc_score

import privity as pv
from privity.errors import ShapeError, UsageError
from privity.ml.saving import load, save
from privity.ml.trees.isolation import IsolationForest, normal_length


def data(n: int = 200, d: int = 4, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * np.linspace(0.2, 1.0, d)
    x[:5] *= 4
    return np.round(np.clip(x, -7, 7) * 2**18) / 2**18


def plain(model: IsolationForest, x: Any, real: Any = None) -> Any:
    """Mean lengths of paths with the model's public draws, in float64."""
    n, d = x.shape
    real = np.ones(n, bool) if real is None else real
    taken = min(n, int(model.max_samples))
    depth = model.max_depth or int(np.ceil(np.log2(taken)))
    draw = np.random.default_rng(model.random_state)
    drawn = np.stack([draw.choice(n, taken, replace=False) for _ in range(model.n_estimators)])
    features = draw.integers(0, d, (model.n_estimators, depth))
    seen = x[np.unique(drawn)][real[np.unique(drawn)]]
    low, high = seen.min(0), seen.max(0)
    edges = low + (high - low) * (np.arange(1, model.max_bins) / model.max_bins)[:, None]
    total = np.zeros(n)
    numbers = [draw.integers(0, 1024, (model.n_estimators, 1 << level)) for level in range(depth)]
    for t, rows in enumerate(drawn):
        rows = rows[real[rows]]
        node, path = np.zeros(n, int), np.zeros(n)
        for level in range(depth):
            q, following = features[t, level], 2 * node
            for k in range(1 << level):
                here = rows[node[rows] == k]
                beyond = x[here, q][:, None] >= edges[:, q]
                parting = np.flatnonzero(beyond.any(0) & ~beyond.all(0)) if len(here) else []
                if len(parting):
                    at = parting[int(numbers[level][t, k] * len(parting) / 1024)]
                    inside = node == k
                    following[inside] += x[inside, q] >= edges[at, q]
                    path[inside] += 1
            node = following
        total += path + normal_length(np.bincount(node[rows], minlength=1 << depth))[node]
    return total / model.n_estimators


def scores(model: IsolationForest, x: Any, bound: float = 8.0, **more: Any) -> Any:
    def program(s: pv.Session) -> Any:
        cells = s.secret("x", "o")
        made = model.clone().fit(cells, **{k: s.secret(k, "o") for k in more})
        found = {"scores": made.score_samples(cells), "signs": made.predict(cells)}
        return {k: s.reveal(v, to="all", name=k, reason="test") for k, v in found.items()}

    done = pv.simulate(program, inputs={"o": {"x": pv.Input(x, bound=bound), **more}}, check_range=True)
    return done.output


@pytest.mark.parametrize("options", [
    {"max_samples": 32}, {"max_samples": 32, "max_bins": 5}, {"max_samples": 20, "max_depth": 1},
], ids=str)  # fmt: skip
def test_scores_are_those_of_the_same_draws_in_float64(options: dict[str, Any]) -> None:
    x, model = data(), IsolationForest(n_estimators=12, random_state=3, **options)
    got = scores(model, x)
    want = -(2.0 ** (-plain(model, x) / normal_length(np.array([options["max_samples"]]))[0]))
    off = np.abs(got["scores"] - want)
    assert np.mean(off > 1e-4) <= 0.01 and off.max() < 0.02  # a value on the grid may fall otherwise
    assert set(np.unique(got["signs"])) <= {-1, 1}
    assert (got["signs"] == np.where(got["scores"] < -0.5, -1, 1)).mean() > 0.99


def test_rows_that_do_not_count() -> None:
    x = data(120)
    real = np.arange(120) % 4 != 0
    model = IsolationForest(n_estimators=8, max_samples=24)
    got = scores(model, np.where(real[:, None], x, 7.5), valid=real.astype(np.int64))["scores"][real]
    want = -(2.0 ** (-plain(model, x, real) / normal_length(np.array([24]))[0]))[real]
    assert np.mean(np.abs(got - want) > 1e-4) <= 0.02


def tumours() -> tuple[Any, Any]:
    """All benign ones of the breast cancer set and 21 malignant ones."""
    x, y = datasets.load_breast_cancer(return_X_y=True)
    x = np.vstack([x[y == 1], x[np.flatnonzero(y == 0)[:21]]])
    return x / 2.0 ** np.ceil(np.log2(x.max(0))), np.r_[np.zeros((y == 1).sum()), np.ones(21)]


def test_ranking_of_real_anomalies_is_that_of_scikit_learn() -> None:
    x, y = tumours()
    ours = [
        roc_auc_score(y, -scores(IsolationForest(n_estimators=50, random_state=k), x, 1.0)["scores"]) for k in (0, 1)
    ]
    other = [ensemble.IsolationForest(n_estimators=50, max_samples=64, random_state=k).fit(x) for k in range(6)]
    theirs = [roc_auc_score(y, -m.score_samples(x)) for m in other]
    assert np.mean(ours) > np.mean(theirs) - 0.015


def test_contamination_is_a_share_of_the_rows() -> None:
    model = IsolationForest(n_estimators=10, max_samples=32, contamination=0.1)
    assert np.mean(scores(model, data())["signs"] == -1) == pytest.approx(0.1, abs=0.015)


def test_normal_length_is_scikit_learns() -> None:
    assert np.allclose(normal_length(np.arange(4)), [0, 0, 1, 2 * (np.log(2) + np.euler_gamma) - 4 / 3])


def test_what_is_learnt_outlives_the_session(tmp_path: Path) -> None:
    x = data(60)

    def first(s: pv.Session) -> Any:
        made = IsolationForest(n_estimators=3, max_samples=16).fit(s.secret("x", "o"))
        save(made, s, "isolation")
        return s.reveal(made.score_samples(s.secret("x", "o")), to="all", name="p", reason="test")

    def later(s: pv.Session) -> Any:
        return s.reveal(load(s, "isolation").score_samples(s.secret("x", "o")), to="all", name="p", reason="test")

    inputs = {"o": {"x": pv.Input(x, bound=8.0)}}
    one, two = (pv.simulate(p, inputs=inputs, store=tmp_path).output for p in (first, later))
    assert np.allclose(one, two, atol=1e-4)


def test_constant_columns_are_cut_nowhere() -> None:
    x = np.zeros((40, 3))
    assert np.ptp(scores(IsolationForest(n_estimators=4, max_samples=16), x)["scores"]) < 1e-4


def test_rounds_and_bytes_depend_on_public_sizes_alone() -> None:
    def cost(x: Any) -> Any:
        def program(s: pv.Session) -> None:
            IsolationForest(n_estimators=5, max_samples=32).fit(s.secret("x", "o"))

        done = pv.simulate(program, inputs={"o": {"x": pv.Input(x, bound=8.0)}})
        return done.rounds, done.payload_sent

    assert cost(data()) == cost(np.zeros((200, 4)))
    assert cost(data())[0] <= 240


@pytest.mark.parametrize(("model", "said"), [
    (IsolationForest(n_estimators=0), "n_estimators=0"), (IsolationForest(max_depth=0), "max_depth=0"),
    (IsolationForest(max_samples=1), "max_samples"), (IsolationForest(max_samples=0.001), "2 rows or more"),
    (IsolationForest(max_bins=1), "max_bins"), (IsolationForest(contamination=0.7), "contamination"),
    (IsolationForest(contamination="some"), "contamination"),
], ids=lambda v: str(v)[:50])  # fmt: skip
def test_what_cannot_be_grown(model: IsolationForest, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        scores(model, data())


def test_other_columns_are_refused() -> None:
    def program(s: pv.Session) -> None:
        x = s.secret("x", "o")
        made = IsolationForest(n_estimators=2, max_samples=8).fit(x)
        with pytest.raises(ShapeError, match="4 columns"):
            made.score_samples(x[:, 1:])

    pv.simulate(program, inputs={"o": {"x": pv.Input(data(), bound=8.0)}})
