"""Trees grown on shares against the same algorithm in float64: the same splits, the same leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.errors import UsageError
from privity.ml.trees.bins import Binner
from privity.ml.trees.grower import Growth, grow

Split = tuple[int, int, bool] | None  # threshold, column, whether empty cells go right


class Plain:
    """One tree in float64 on bins (n, d); rows of ``gaps`` (n, d) are in bin 0 of a column and go either way."""

    def __init__(self, x: Any, g: Any, h: Any, growth: Growth, bins: int, gaps: Any = None, use: Any = None) -> None:
        n, d = x.shape
        self.levels: list[list[Split]] = []
        node, weight = np.zeros(n, int), np.zeros(n)
        for level in range(growth.depth):
            last, following = level == growth.depth - 1, 2 * node
            splits: list[Split] = []
            for k in range(2**level):
                here = node == k
                best, choice = 0.0, None
                for right_gaps in (False, True) if gaps is not None else (False,):
                    for t in range(1, bins):
                        for c in range(d):
                            if use is not None and not use[c]:
                                continue
                            right = here & (x[:, c] >= t)
                            if gaps is not None:
                                right = here & np.where(gaps[:, c], right_gaps, x[:, c] >= t)
                            score = self.score(g, h, here & ~right, growth) + self.score(g, h, right, growth)
                            heavy = min(h[right].sum(), h[here & ~right].sum()) >= growth.min_child_weight
                            if heavy and score > best:
                                best, choice = score, (t, c, right_gaps, right)
                if choice is not None and best - self.score(g, h, here, growth) <= growth.gamma:
                    choice = None
                splits.append(None if choice is None else choice[:3])
                right = here & False if choice is None else choice[3]
                following[right] += 1
                if last:
                    for side in (here & ~right, right):
                        weight[side] = self.weight(g, h, side, growth)
            self.levels.append(splits)
            node = following
        self.weights = weight

    @staticmethod
    def pull(g: Any, growth: Growth) -> Any:
        return np.sign(g) * max(abs(g) - growth.reg_alpha, 0)

    def score(self, g: Any, h: Any, rows: Any, growth: Growth) -> float:
        return float(self.pull(g[rows].sum(), growth) ** 2 / max(h[rows].sum() + growth.reg_lambda, 1e-9))

    def weight(self, g: Any, h: Any, rows: Any, growth: Growth) -> float:
        return float(-self.pull(g[rows].sum(), growth) / (h[rows].sum() + growth.reg_lambda)) if rows.any() else 0.0


def data(n: int = 600, d: int = 4, bins: int = 6, seed: int = 0) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, bins, (n, d))
    p = 1 / (1 + np.exp(-rng.normal(size=n)))
    y = rng.random(n) < 1 / (1 + np.exp(-(x[:, 0] - 2.5) - (x[:, 1] > 2) * (x[:, 2] < 3)))
    g, h = p - y, p * (1 - p)
    return x, np.round(g * 2**18) / 2**18, np.round(h * 2**18) / 2**18


def secure(x: Any, g: Any, h: Any, growth: Growth, bins: int = 6, gaps: Any = None, use: Any = None) -> dict[str, Any]:
    """What a run opens: thresholds and columns by level, weights of the rows while training and when asked again."""

    def program(s: pv.Session) -> Any:
        cells = s.secret("x", "o")
        empty = s.secret("gaps", "o") if gaps is not None else None
        made = Binner(bins).fit(cells, None).transform(cells, empty, ["c"] * x.shape[1])
        gradient, hessian = (s.secret(k, "o").reshape((1, -1)) for k in "gh")
        allowed = None if use is None else np.asarray([use])
        trees, values = grow(made, gradient, hessian, growth, allowed)
        opened = {"values": values, "again": trees.predict(made)}
        opened |= {f"level {k}": c for k, c in enumerate(trees.splits)}
        return {n: s.reveal(v, to="all", name=n, reason="test") for n, v in opened.items()}

    given = {"x": pv.Input(x, bound=bins - 1.0), "g": pv.Input(g, bound=1.0), "h": pv.Input(h, bound=0.25)}
    if gaps is not None:
        given["gaps"] = pv.Input(gaps.astype(np.int64), bound=1.0)
    got = pv.simulate(program, inputs={"o": given}, check_range=True).output
    d, splits = x.shape[1], x.shape[1] * (bins - 1)

    def split(row: Any) -> Split:
        if not row.any():
            return None
        at = int(row[:splits].argmax())
        return at // d + 1, at % d, bool(row[splits:].any())

    return {
        "levels": [[split(r) for r in got[f"level {k}"]] for k in range(growth.depth)],
        "values": got["values"][0], "again": got["again"][0],
    }  # fmt: skip


GROWTHS = [
    Growth(1), Growth(3), Growth(3, reg_lambda=0.1, min_child_weight=8.0), Growth(4, gamma=3.0),
    Growth(2, reg_alpha=6.0), Growth(3, reg_lambda=0.0, min_child_weight=2.0), Growth(3, gamma=1e5),
]  # fmt: skip


@pytest.mark.parametrize("growth", GROWTHS, ids=str)
def test_splits_and_leaves_are_those_of_float64(growth: Growth) -> None:
    x, g, h = data()
    got, want = secure(x, g, h, growth), Plain(x, g, h, growth, 6)
    assert got["levels"] == want.levels
    assert np.allclose(got["values"], want.weights, atol=3e-4)
    assert np.allclose(got["again"], got["values"], atol=2e-5)


def test_empty_cells_go_where_they_serve_best() -> None:
    x, g, h = data(seed=3)
    gaps = np.random.default_rng(1).random(x.shape) < 0.3
    gaps[:, 0] = g > 0.2  # missing on purpose: the direction matters
    got, want = secure(x, g, h, Growth(3), gaps=gaps), Plain(np.where(gaps, 0, x), g, h, Growth(3), 6, gaps)
    assert any(s and s[2] for level in want.levels for s in level)
    assert got["levels"][0] == want.levels[0]  # below, thresholds that part the rows alike may differ
    assert np.allclose(got["values"], want.weights, atol=3e-4) and np.allclose(got["again"], got["values"], atol=2e-5)


def test_only_allowed_columns_are_used() -> None:
    x, g, h = data(seed=4)
    use = np.array([False, True, False, True])
    got, want = secure(x, g, h, Growth(3), use=use), Plain(x, g, h, Growth(3), 6, use=use)
    assert got["levels"] == want.levels
    assert {s[1] for level in got["levels"] for s in level if s} <= {1, 3}


@pytest.mark.parametrize("direction", [1, -1])
def test_monotone_columns(direction: int) -> None:
    x, g, h = data(seed=5)
    got = secure(x, g, h, Growth(4, monotone=(direction, 0, 0, 0)))
    for others in {tuple(r) for r in x[:, 1:]}:
        rows = (x[:, 1:] == others).all(1)
        ordered = got["values"][rows][np.argsort(x[rows, 0], kind="stable")]
        assert (np.diff(ordered) * direction >= -1e-4).all()


def test_blocks_of_rows_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    x, g, h = data()
    whole = secure(x, g, h, Growth(3))
    monkeypatch.setattr("privity.ml.trees.bins.ROWS", 128)
    assert secure(x, g, h, Growth(3))["levels"] == whole["levels"]
    monkeypatch.setattr("privity.ml.trees.bins.IN_MEMORY", 0)  # bins in temporary files
    assert secure(x, g, h, Growth(3))["levels"] == whole["levels"]


def test_rounds_and_bytes_depend_on_public_sizes_alone() -> None:
    def cost(seed: int) -> tuple[int, Any]:
        x, g, h = data(seed=seed)
        g = np.zeros_like(g) if seed else g  # nothing to split: dummy nodes all the way down

        def program(s: pv.Session) -> None:
            cells = s.secret("x", "o")
            made = Binner(6).fit(cells, None).transform(cells, None, "abcd")
            gradient, hessian = (s.secret(k, "o").reshape((1, -1)) for k in "gh")
            grow(made, gradient, hessian, Growth(3))

        given = {"x": pv.Input(x, bound=5.0), "g": pv.Input(g, bound=1.0), "h": pv.Input(h, bound=0.25)}
        done = pv.simulate(program, inputs={"o": given})
        return done.rounds, done.payload_sent

    assert cost(0) == cost(1)


def test_what_cannot_be_grown() -> None:
    x, g, h = data()
    for growth in (Growth(0), Growth(2, reg_lambda=0.0, min_child_weight=0.0)):
        with pytest.raises(UsageError, match="depth of at least 1"):
            secure(x, g, h, growth)
    with pytest.raises(UsageError, match="max_bins"):
        Binner(1)
