"""What a compute party receives has one form for all tables of the same public description: however many cells are
empty, groups there are, whether a column is constant or far from 0, a class rare, a weight 0, a fit done early."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import privity as pv
from privity import stats
from privity.functions.cuts import cut_points
from privity.jobs.view import _uniform_p
from privity.ml import (
    PCA,
    GradientBoostingRegressor,
    Lasso,
    LinearRegression,
    LinearSVC,
    LogisticRegression,
    RandomForestClassifier,
)
from privity.ml.preprocessing import KBinsDiscretizer, MinMaxScaler, SimpleImputer, StandardScaler
from privity.ml.preprocessing.transform import present_cells
from privity.session import Session
from privity.table import Field, Table, TableInfo, table_inputs
from privity.testing import ByteView

INFO = TableInfo(
    "t",
    (
        Field("a", "number", 1024.0, 1000.0, missing=True),
        Field("b", "integer", 2.0**20, 1e6, missing=True),
        Field("site", "category", categories=("x", "y", "z"), missing=True),
        Field("flag", "binary"),
    ),
    Field("y", "binary"),
    capacity=40,
)
N = 36
BY_CHANCE = 1e-13  # of one comparison of bytes; values without a mask give 0


def full() -> tuple[np.ndarray, np.ndarray]:
    """No cell is empty, all differ, classes are even."""
    random = np.random.default_rng(1)
    cells = np.column_stack([random.uniform(-1000, 1000, N), random.integers(-(10**6), 10**6, N), np.arange(N) % 3,
                             np.arange(N) % 2])  # fmt: skip
    return cells, random.integers(0, 2, N).astype(float)


def bare() -> tuple[np.ndarray, np.ndarray]:
    """Three rows, cells that are empty in all but one, one group, one rare class."""
    cells = np.array([[np.nan, 7, np.nan, 0], [0.125, np.nan, np.nan, 1], [np.nan, np.nan, np.nan, 0]])
    return cells, np.array([0.0, 1, 0])


def flat() -> tuple[np.ndarray, np.ndarray]:
    """Constant columns, far from 0."""
    cells = np.column_stack([np.full(N, 999.5), np.full(N, 10**6), np.full(N, 2), np.ones(N)])
    return cells, np.append(np.zeros(N - 1), 1)


TABLES: dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {"full": full, "bare": bare, "flat": flat}

USES: dict[str, Callable[[Table], Any]] = {
    "spreads": lambda t: (t["a"].std(), t["b"].var(ddof=1), (t["a"] * 3).mean()),
    "cells": lambda t: (t["b"] // 7, t["b"] % 1000, np.where(t["a"] > 3, t["a"], t["b"]), (t["a"] / t["b"]).sum()),
    "extremes": lambda t: (t["a"].min(), t["b"].max(), (t["a"] == 5).sum()),
    "groups by category": lambda t: t.group_by("site", keep_missing=True).agg(n="count", a=("a", "mean")),
    "statistics": lambda t: stats.describe(t, ["a", "b"]),
    "correlation": lambda t: stats.correlation(t.select(["a", "b"])),
    "two samples": lambda t: stats.ttest(t["a"], t["flag"]),
    "scaled": lambda t: StandardScaler(["a", "b"], clip=4.0).fit(t).transform(t).block(["a", "b"]),
    "within 0 and 1": lambda t: MinMaxScaler(["a", "b"]).fit(t).transform(t).block(["a", "b"]),
    "filled in": lambda t: SimpleImputer(strategy="mean").fit(t).transform(t).block(["a", "b"]),
    "quantiles": lambda t: t["a"].quantile([0.1, 0.5]),
    "groups by two": lambda t: t.group_by("site", "flag", keep_missing=True).agg(
        n="count", a=("a", "mean"), b=("b", "min"), capacity=12
    ),
    "cuts": lambda t: cut_points(t.block(["a", "b"]), [0.25, 0.5, 0.75], present_cells(t, ["a", "b"])),
    "bins": lambda t: KBinsDiscretizer(["b"], n_bins=4).fit(t).transform(t)["b"].sum(),
}

FITS: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "logistic regression": lambda x, y, r, w: LogisticRegression(class_weight="balanced").fit(x, y, sample_weight=w),
    "linear regression": lambda x, y, r, w: LinearRegression().fit(x, r, sample_weight=w),
    "support vectors": lambda x, y, r, w: LinearSVC(alpha=1.0).fit(x, y, sample_weight=w),
    "lasso": lambda x, y, r, w: Lasso(alpha=0.5).fit(x, r),
    "components": lambda x, y, r, w: PCA(1).fit(x),
    "boosted trees": lambda x, y, r, w: GradientBoostingRegressor(n_estimators=2, max_depth=2, max_bins=4).fit(x, r),
    "forest": lambda x, y, r, w: RandomForestClassifier(
        n_estimators=2, max_depth=2, max_bins=4, class_weight="balanced"
    ).fit(x, y, sample_weight=w),
}


def looked(program: Callable[[Session], Any], inputs: Any, **options: Any) -> tuple[dict[str, ByteView], Any]:
    views = {f"compute_{i}": ByteView() for i in range(3)}
    done = pv.simulate(program, inputs={"o": inputs}, recorders=views, **options)
    return views, (done.rounds, done.payload_sent, [(e["name"], e["shape"], e["reason"]) for e in done.opened])


def alike(one: tuple[dict[str, ByteView], Any], other: tuple[dict[str, ByteView], Any]) -> None:
    """The same messages in the same order, of the same lengths, and of uniform bytes where they are no openings."""
    assert one[1] == other[1]
    for party, view in one[0].items():
        forms = [[(m[0], m[1], m[2], len(m[3])) for m in v.messages] for v in (view, other[0][party])]
        assert forms[0] == forms[1]
        for messages in (view.messages, other[0][party].messages):
            pooled: dict[str, Any] = {}
            for _, _, label, data in messages:
                if label not in ("opening", "input digests") and "public numbers" not in label:
                    whole = np.frombuffer(data[:-1], np.uint8)  # the last byte of packed digits is filled up with 0
                    pooled[label] = pooled.get(label, 0) + np.bincount(whole, minlength=256)
            chances = [_uniform_p(c) for c in pooled.values() if c.sum() > 2560]
            assert min(chances, default=1.0) > BY_CHANCE, sorted(pooled)


@pytest.mark.parametrize("what", USES)
def test_a_tables_cells_are_in_no_message(what: str) -> None:
    def program(s: Session) -> None:
        USES[what](s.table("t"))
        s.check_guards()

    given = [table_inputs(INFO, *make(), note=lambda _: None) for make in TABLES.values()]
    found = [looked(program, inputs, tables={"t": INFO}) for inputs in given]
    for other in found[1:]:
        alike(found[0], other)


R = np.random.default_rng(2)
X = R.normal(size=(48, 3)).clip(-3, 3)
FLAT = np.column_stack([X[:, 0], np.full(48, 2.5), np.zeros(48)])
DATA = {
    "noise": (X, R.integers(0, 2, 48), R.normal(size=48).clip(-3, 3), R.uniform(0.5, 1, 48)),
    "flat": (FLAT, np.arange(48) < 2, np.full(48, 3.75), np.where(np.arange(48) < 30, 1.0, 0.0)),
}


@pytest.mark.parametrize("what", FITS)
def test_a_fits_rows_are_in_no_message(what: str) -> None:
    def program(s: Session) -> None:
        FITS[what](*(s.secret(n, "o") for n in "xyrw"))
        s.check_guards()

    def given(x: Any, y: Any, r: Any, w: Any) -> dict[str, pv.Input]:
        return {
            "x": pv.Input(x, 4.0), "y": pv.Input(y.astype(bool)), "r": pv.Input(r, 4.0), "w": pv.Input(w, 1.0),
        }  # fmt: skip

    one, other = (looked(program, given(*rows)) for rows in DATA.values())
    alike(one, other)
