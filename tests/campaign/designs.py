"""Rows and columns of fits as people have them, and what references of several models share."""

from __future__ import annotations

from typing import Any

import numpy as np

import privity as pv
from privity.ml.preprocessing import StandardScaler
from privity.table import Field

from .case import Limit
from .columns import Draw, cells, power_of_two, shared, table

LINEAR = "docs/models/linear.md"


class Design:
    """Rows and columns of a fit. ``z``: standardised as shared; ``form``: "array", "masked", "weighted" or "table"."""

    def __init__(
        self,
        draw: Draw,
        rows: tuple[int, int] = (30, 400),
        columns: tuple[int, int] = (1, 5),
        weights: bool = True,
        forms: tuple[str, ...] = (),
    ) -> None:
        rng = draw.rng
        self.draw, self.n, self.d = draw, draw.rows(*rows, single=0.0), draw.whole(*columns)
        self.form = draw.one(
            *(forms or ("array", "array", "masked", "table", "table", *(["weighted"] if weights else [])))
        )
        x = rng.normal(size=(self.n, self.d))
        kinds = []
        for j in range(self.d):
            kind = draw.one("normal", "normal", "binary", "rare", "skewed", "counts", "correlated", "zeros")
            if kind == "binary":
                x[:, j] = rng.random(self.n) < 0.4
            elif kind == "rare":
                x[:, j] = rng.random(self.n) < max(0.02, 4 / self.n)
            elif kind == "skewed":
                x[:, j] = np.exp(x[:, j] * 0.7)
            elif kind == "counts":
                x[:, j] = rng.poisson(2, self.n)
            elif kind == "zeros":
                x[:, j] = np.where(rng.random(self.n) < 0.8, 0, np.exp(x[:, j]))
            elif kind == "correlated" and j:
                x[:, j] = 0.7 * x[:, 0] / max(x[:, 0].std(), 1e-9) + 0.7 * x[:, j]
            if np.ptp(x[:, j]) == 0:
                x[0, j] += 1.0
            kinds.append(kind)
        self.keep = rng.random(self.n) >= 0.3 if self.form == "masked" else np.ones(self.n, bool)
        self.weight = np.ones(self.n)
        if self.form == "weighted":
            self.weight = draw.one(
                rng.integers(0, 4, self.n) * 1.0,
                np.where(rng.random(self.n) < 0.05, 20.0, 1.0),
                rng.random(self.n) + 0.25,
            )
            self.weight = shared(self.weight)
        self.names = draw.names(self.d)
        self.lost = 0.0  # of a scaled column: a unit in the last place over the deviation (docs/preprocessing.md)
        if self.form == "table":
            scales, offsets = 10.0 ** rng.uniform(-3, 6, self.d), rng.normal(size=self.d) * 3
            raw = (x + offsets) * scales
            self.bounds = [
                draw.loose(float(np.abs(raw[:, j]).max()), how=draw.one(0.5, 2.0, 6.0)) for j in range(self.d)
            ]
            self.fields = [Field(n, "number", power_of_two(b), b) for n, b in zip(self.names, self.bounds, strict=True)]
            self.raw = raw
            seen = np.stack([cells(raw[:, j], f.unit) for j, f in enumerate(self.fields)], 1)
            self.seen = seen
            self.lost = max(f.unit * 2.0**-30 / seen[:, j].std() for j, f in enumerate(self.fields))
            self.z = (seen - seen.mean(0)) / seen.std(0)
            self.loose = max(b / np.abs(raw[:, j]).max() for j, b in enumerate(self.bounds))
            self.fine = all(seen[:, j].std() > 2.0**-27 * f.unit for j, f in enumerate(self.fields))
        else:
            k = self.keep
            self.z = shared((x - x[k].mean(0)) / np.where(x[k].std(0) > 0, x[k].std(0), 1.0))
            self.bound = draw.loose(float(np.abs(self.z).max()), 16.0, 3.0)
            self.loose, self.fine = self.bound / np.abs(self.z).max(), True
        self.note = f"{self.form} {self.n} x {self.d} {kinds}, loose {self.loose:.3g}"

    @property
    def rows(self) -> Any:
        return self.keep & (self.weight > 0)

    def data(self, label: Field | None, y: Any, given: pv.Input | None, **more: pv.Input) -> dict[str, Any]:
        """``arrays`` and ``sheets`` of the case. ``label``: the table's field of y; ``given``: y as an array."""
        if self.form == "table":
            return {"arrays": dict(more), "sheets": [table("t", self.fields, self.raw, label, y)]}
        arrays = {"x": pv.Input(self.z, self.bound), **({} if given is None else {"y": given}), **more}
        if self.form == "masked":
            arrays["valid"] = pv.Input(self.keep)
        if self.form == "weighted":
            arrays["weight"] = pv.Input(self.weight, 32.0)
        return {"arrays": arrays, "sheets": []}

    def fit(self, model: Any, s: Any, v: Any, target: bool = True, **more: Any) -> tuple[Any, Any]:
        """The fitted model and the rows that it answers for."""
        if self.form == "table":
            t = StandardScaler().fit_transform(s.table("t"))
            if not target:
                return model.fit(t), t
            return model.fit(t, **more), t
        words: dict[str, Any] = dict(more)
        if self.form == "masked":
            words["valid"] = v["valid"]
        if self.form == "weighted":
            words["sample_weight"] = v["weight"]
        return model.fit(v["x"], v["y"], **words) if target else model.fit(v["x"], **words), v["x"]

    def limits(self) -> tuple[Limit, ...]:
        names = (Limit("|".join(map(_escaped, self.names)), "docs/preprocessing.md: a column that cannot be resolved"),)
        return () if self.fine else names


def _escaped(name: str) -> str:
    return "".join(f"\\{c}" if c in ".+*?()[]{}|^$" else c for c in name)


def information(x: Any, w: Any) -> Any:
    """Standard errors from the inverse of x^T w x."""
    h = x.T @ (w[:, None] * x)
    return np.sqrt(np.maximum(np.diag(np.linalg.pinv(h, hermitian=True)), 0))


def with_ones(z: Any) -> Any:
    return np.column_stack([z, np.ones(len(z))])


def inflated(z: Any, most: float = 1000.0) -> bool:
    """Columns that determine each other: a page announces a refusal from 4096 on."""
    z = z[:, z.std(0) > 0]
    c = np.corrcoef(z.T) if z.shape[1] > 1 else np.ones((1, 1))
    return (
        not np.isfinite(c).all()
        or float(np.diag(np.linalg.pinv(c)).max()) > most
        or np.linalg.matrix_rank(c, tol=1e-3) < len(c)
    )


def least_eigenvalue(z: Any) -> float:
    """Smallest eigenvalue of the columns' correlation; constant columns aside."""
    some = z[:, z.std(0) > 0]
    return float(np.linalg.eigvalsh(np.corrcoef(some.T)).min()) if some.shape[1] > 1 else 1.0


COLLINEAR = Limit("[Cc]ollinear", LINEAR)
SEPARATED = Limit("apart|separat|one class|classes|loss", LINEAR)


def close(got: Any, want: Any, allowed: Any, what: str) -> str:
    a, b = np.asarray(got, np.float64), np.asarray(want, np.float64)
    if a.shape != b.shape:
        return f"{what}: shape {a.shape}, right {b.shape}"
    off = np.abs(a - b)
    bad = ~(off <= allowed) & ~(np.isnan(a) & np.isnan(b))
    if not bad.any():
        return ""
    i = int(np.argmax(np.where(bad, off / np.broadcast_to(np.maximum(allowed, 1e-300), off.shape), -1).reshape(-1)))
    return (
        f"{what}[{i}]: {a.reshape(-1)[i]:.6g}, right {b.reshape(-1)[i]:.6g}, off by {off.reshape(-1)[i]:.3g} where "
        f"{np.broadcast_to(allowed, off.shape).reshape(-1)[i]:.3g} is allowed"
    )


def outcome(draw: Draw, g: Design, strength: float = 1.0) -> Any:
    """0 and 1, rare at times; at least two of each."""
    beta = draw.rng.normal(size=g.d) * strength
    eta = g.z @ beta
    share = draw.one(0.5, 0.5, 0.3, 0.1, 0.03)
    cut = np.quantile(eta + draw.rng.logistic(size=g.n), 1 - share)
    y = (eta + draw.rng.logistic(size=g.n) > cut).astype(np.int64)
    y[np.flatnonzero(g.rows)[:4]] = 0, 1, 0, 1
    return y


def newton(z: Any, y: Any, w: Any, alpha: float) -> tuple[Any, Any, bool]:
    """Coefficients (intercept last), standard errors, whether there is a finite maximum."""
    x, beta = with_ones(z), np.zeros(z.shape[1] + 1)
    ridge = np.diag([*[alpha * w.sum()] * z.shape[1], 0.0])
    with np.errstate(all="ignore"):
        for _ in range(100):
            p = 1 / (1 + np.exp(-x @ beta))
            h = x.T @ ((w * p * (1 - p))[:, None] * x) + ridge
            step = np.linalg.lstsq(h, x.T @ (w * (y - p)) - ridge @ beta, rcond=None)[0]
            beta = beta + np.clip(step, -2, 2)
    p = 1 / (1 + np.exp(-x @ beta))
    errors = np.sqrt(np.abs(np.diag(np.linalg.inv(h + 1e-9 * np.eye(len(h))))))
    return beta, errors, bool(np.abs(beta).max() < 8 and errors.max() < 8 and np.abs(step).max() < 1e-6)


def label_input(draw: Draw, y: Any) -> pv.Input:
    return pv.Input(y > 0) if draw.chance(0.5) else pv.Input(y, 1)


def some_classes(draw: Draw, g: Design, m: int) -> Any:
    """Classes 0 to m - 1, one of them rare at times; each with two rows."""
    scores = g.z @ draw.rng.normal(size=(g.d, m)) + draw.rng.gumbel(size=(g.n, m))
    scores[:, 0] -= draw.one(0, 0, 2)
    y = scores.argmax(1)
    y[np.flatnonzero(g.rows)[: 2 * m]] = np.tile(np.arange(m), 2)
    return y
