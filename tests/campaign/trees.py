"""Trees, forests, boosting and model selection beside XGBoost and scikit-learn; models that are opened or kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xgboost
from sklearn import ensemble, metrics, tree
from sklearn.linear_model import Ridge

import privity as pv
from privity import ml
from privity.table import Field

from .case import Case, Limit, entry
from .columns import Draw, cells, power_of_two, shared, table
from .designs import Design, close, inflated

PAGE = "docs/models/boosting.md"


class Forest:
    """A table of raw columns (no tree needs scaling): loose bounds, offsets, zeros, few values, empty cells."""

    def __init__(self, draw: Draw, gaps: bool = True, few: bool = False) -> None:
        rng = draw.rng
        self.n, self.d = draw.rows(60, 400, 0.0), draw.whole(1, 4)
        parts, kinds = [], []
        for _ in range(self.d):
            kind = "few" if few else draw.one("normal", "skewed", "zeros", "few", "binary", "rare")
            x = rng.normal(size=self.n)
            if kind == "skewed":
                x = np.exp(x)
            elif kind == "zeros":
                x = np.where(rng.random(self.n) < draw.between(0.7, 0.95), 0, np.exp(x))
            elif kind == "few":
                x = rng.integers(0, 8, self.n) * 1.0
            elif kind == "binary":
                x = (rng.random(self.n) < 0.5) * 1.0
            elif kind == "rare":
                x = (rng.random(self.n) < 0.05) * 1.0
            parts.append(x)
            kinds.append(kind)
        self.signal = sum(np.tanh(p - np.median(p)) * rng.normal() for p in parts) + 0.5 * (
            parts[0] > np.median(parts[0])
        )
        scales = np.where([k in ("few", "binary", "rare") for k in kinds], 1.0, 10.0 ** rng.uniform(-3, 6, self.d))
        offsets = np.where(
            [k in ("few", "binary", "rare") for k in kinds], 0.0, rng.normal(size=self.d) * draw.one(0, 5)
        )
        raw = np.stack(parts, 1) * scales + offsets * scales
        self.names = draw.names(self.d)
        bounds = [draw.loose(float(np.abs(c).max()), how=draw.one(0.5, 2.0, 6.0)) for c in raw.T]
        bounds = [
            float(np.ceil(max(b, 1.0))) if k in ("few", "binary", "rare") else b
            for b, k in zip(bounds, kinds, strict=True)
        ]
        some = gaps and draw.chance(0.3)
        self.fields = [
            Field(n, "integer" if k in ("few", "binary", "rare") else "number", power_of_two(b), b, missing=some)
            for n, b, k in zip(self.names, bounds, kinds, strict=True)
        ]
        empty = np.stack(
            [draw.gaps(self.n, draw.one(0.0, 0.1, 0.5)) if some else np.zeros(self.n, bool) for _ in range(self.d)], 1
        )
        self.raw = np.where(empty, np.nan, raw)
        self.seen = np.where(
            empty, np.nan, np.stack([cells(c, f.unit) for c, f in zip(raw.T, self.fields, strict=True)], 1)
        )
        loose = max(b / max(np.abs(c).max(), 1e-9) for b, c in zip(bounds, raw.T, strict=True))
        self.note = f"{self.n} x {self.d} {kinds}, {empty.mean():.0%} empty, loose {loose:.3g}"

    def sheet(self, label: Field, y: Any) -> list[Any]:
        return [table("t", self.fields, self.raw, label, y)]


def _loss(y: Any, p: Any, weight: Any) -> float:
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return float(-np.average(np.where(y == 1, np.log(p), np.log(1 - p)), weights=weight))


def learnt(what: str, ours: float, theirs: float, nothing: float, share: float, least: float) -> str:
    """Whether we explain as much of a loss as they do, but for a share of it."""
    missed = (ours - theirs) / max(nothing - theirs, 1e-12)
    fine = ours - theirs <= share * (nothing - theirs) + least * nothing
    return (
        ""
        if fine
        else f"{what} {ours:.5g}, plain {theirs:.5g}, without a model {nothing:.5g}: {missed:.0%} of it is not learnt"
    )


@entry("fits", "ml.GradientBoostingClassifier", "ml.open_trees")
def boosted_classes(draw: Draw) -> Case:
    f = Forest(draw)
    share = draw.one(0.5, 0.3, 0.1, 0.04)
    noisy = f.signal + draw.rng.logistic(size=f.n) * 0.5
    y = (noisy > np.quantile(noisy, 1 - share)).astype(np.int64)
    words: dict[str, Any] = {"n_estimators": 5, "max_depth": 3, "learning_rate": 0.3}
    bins = draw.one(32, 64)
    spw = draw.one(1.0, 1.0, 5.0)
    right = xgboost.XGBClassifier(
        **words,
        max_bin=bins,
        tree_method="hist",
        base_score=float(np.clip(y.mean(), 1e-3, 1 - 1e-3)),
        scale_pos_weight=spw,
        n_jobs=1,
    ).fit(f.seen, y)
    chance = right.predict_proba(f.seen)[:, 1]
    opens = draw.chance(0.3)

    def program(s: Any, v: Any) -> Any:
        t = s.table("t")
        model = ml.GradientBoostingClassifier(**words, max_bins=bins, scale_pos_weight=spw).fit(t)
        p = s.reveal(model.predict_proba(t), to="all", name="result", reason="campaign")
        if not opens:
            return [p, None]
        return [p, ml.open_trees(model, to="all", name="m", reason="campaign").predict_proba(f.seen)]

    def check(got: Any) -> str:
        p = np.asarray(got[0])
        p = p[:, 1] if p.ndim == 2 else p
        if got[1] is not None:
            q = np.asarray(got[1])
            apart = np.abs((q[:, 1] if q.ndim == 2 else q) - p)
            if (apart > 1e-3).mean() > 0.02:
                return f"the opened model gives {int((apart > 1e-3).sum())} rows another probability"
        weight = np.where(y == 1, spw, 1.0)
        base = np.full(f.n, np.average(y, weights=weight))
        ours, theirs, nothing = (_loss(y, q, weight) for q in (p, chance, base))
        return learnt("log loss", ours, theirs, nothing, 0.15, 0.02)

    return Case(
        program,
        check=check,
        sheets=f.sheet(Field("y", "binary"), y * 1.0),
        note=f"{f.note}; {y.sum()} of 1, {bins} bins, {spw}",
        owners=draw.owners(),
        words=("GradientBoostingClassifier",),
    )


@entry("fits", "ml.GradientBoostingClassifier", kind="ml.GradientBoostingClassifier several classes", weight=0.5)
def boosted_several(draw: Draw) -> Case:
    f, m = Forest(draw), 3
    y = np.digitize(
        f.signal + draw.rng.normal(size=f.n) * 0.3, np.quantile(f.signal, draw.one([0.3, 0.6], [0.8, 0.95]))
    )
    words: dict[str, Any] = {"n_estimators": 4, "max_depth": 3, "learning_rate": 0.3}
    share = np.bincount(y, minlength=m) / f.n
    margin = np.tile(np.log(np.maximum(share, 1e-3)), (f.n, 1))
    right = xgboost.train(
        {
            "objective": "multi:softprob",
            "num_class": m,
            "max_depth": 3,
            "eta": 0.3,
            "max_bin": 32,
            "tree_method": "hist",
            "nthread": 1,
        },
        xgboost.DMatrix(f.seen, y, base_margin=margin),
        4,
    )
    theirs = right.predict(xgboost.DMatrix(f.seen, base_margin=margin))

    def program(s: Any, v: Any) -> Any:
        t = s.table("t")
        return ml.GradientBoostingClassifier(m, **words).fit(t).predict_proba(t)

    def loss(p: Any) -> float:
        return float(-np.mean(np.log(np.clip(p[np.arange(f.n), y], 1e-6, 1))))

    return Case(
        program,
        check=lambda got: learnt(
            "log loss", loss(np.asarray(got)), loss(theirs), loss(np.tile(share, (f.n, 1))), 0.15, 0.02
        ),
        sheets=f.sheet(Field("y", "category", 1.0, m - 1.0, ("a", "b", "c")), y * 1.0),
        note=f"{f.note}; {np.bincount(y)}",
        owners=draw.owners(),
        words=("GradientBoostingClassifier",),
    )


def _target(draw: Draw, f: Forest) -> tuple[Any, float]:
    scale = draw.ten(-2, 5)
    y = (f.signal + draw.rng.normal(size=f.n) * 0.3) * scale + draw.one(0.0, 0.0, scale * draw.ten(0, 3))
    return y, draw.loose(float(np.abs(y).max()), how=draw.one(0.5, 2.0, 4.0))


@entry("fits", "ml.GradientBoostingRegressor")
def boosted_numbers(draw: Draw) -> Case:
    f = Forest(draw)
    y, bound = _target(draw, f)
    label = Field("y", "number", power_of_two(bound), bound)
    seen = cells(y, label.unit)
    words: dict[str, Any] = {"n_estimators": 5, "max_depth": 3, "learning_rate": 0.3}
    right = xgboost.XGBRegressor(**words, max_bin=32, tree_method="hist", base_score=0.0, n_jobs=1)
    centre, deviation = float(seen.mean()), float(seen.std())  # XGBoost computes in single precision: centre first
    theirs = right.fit(f.seen, (seen - centre) / deviation).predict(f.seen) * deviation + centre

    def program(s: Any, v: Any) -> Any:
        t = s.table("t")
        return ml.GradientBoostingRegressor(**words).fit(t).predict(t)

    def loss(p: Any) -> float:
        return float(np.mean((np.asarray(p) - seen) ** 2)) / deviation**2

    return Case(
        program,
        check=lambda got: learnt("squared error", loss(got), loss(theirs), 1.0, 0.15, 0.01),
        sheets=f.sheet(label, y),
        note=f"{f.note}; y {y.mean():.3g} +- {deviation:.3g}, bound {bound:.3g}",
        owners=draw.owners(),
        words=("GradientBoostingRegressor",),
    )


@entry("fits", "ml.GradientBoostingRegressor", kind="ml.GradientBoostingRegressor counts", weight=0.5)
def boosted_counts(draw: Draw) -> Case:
    f = Forest(draw, gaps=False)
    mu = np.exp(np.clip(f.signal * 0.5, -3, 3)) * draw.one(0.5, 3.0)
    y = draw.rng.poisson(mu) * 1.0
    y[0] += y.sum() == 0
    bound = float(np.ceil(draw.loose(float(y.max()), 1024.0, 2.0)))
    words: dict[str, Any] = {"n_estimators": 5, "max_depth": 3, "learning_rate": 0.3}
    right = xgboost.XGBRegressor(
        **words, max_bin=32, tree_method="hist", objective="count:poisson", base_score=float(y.mean()), n_jobs=1
    )
    theirs = right.fit(f.seen, y).predict(f.seen)

    def program(s: Any, v: Any) -> Any:
        t = s.table("t")
        return ml.GradientBoostingRegressor(**words, objective="count:poisson").fit(t).predict(t)

    def loss(p: Any) -> float:
        p = np.maximum(np.asarray(p, np.float64), 1e-9)
        return float(np.mean(p - y * np.log(p)))

    def check(got: Any) -> str:
        best, nothing = loss(np.maximum(y, 1e-9)), loss(np.full(f.n, y.mean()))
        return learnt("deviance", loss(got) - best, loss(theirs) - best, nothing - best, 0.15, 0.02)

    return Case(
        program,
        check=check,
        sheets=f.sheet(Field("y", "integer", 1.0, bound), y),
        note=f"{f.note}; mean {y.mean():.3g}, bound {bound:.3g}",
        owners=draw.owners(),
        words=("GradientBoostingRegressor",),
    )


def _tree(name: str, classes: bool) -> None:
    def make(draw: Draw) -> Case:
        f = Forest(draw, gaps=False, few=draw.chance(0.5))
        forest = name.startswith("Random")
        if classes:
            m = draw.whole(2, 3)
            y: Any = np.digitize(f.signal + draw.rng.normal(size=f.n) * 0.3, np.quantile(f.signal, [0.4, 0.7][: m - 1]))
            y[: 2 * m] = np.tile(np.arange(m), 2)
            label, bound = Field("y", "category", 1.0, m - 1.0, ("a", "b", "c")[:m]), float(m - 1)
            seen = y
        else:
            m = 0
            y, bound = _target(draw, f)
            label = Field("y", "number", power_of_two(bound), bound)
            seen = cells(y, label.unit)
        words: dict[str, Any] = {"n_estimators": 4} if forest else {}
        ours = {**words, "max_bins": 64 if f.n <= 64 else 32}  # of few rows one threshold is much
        plain = getattr(ensemble if forest else tree, name)(max_depth=3, random_state=0, **words).fit(f.seen, seen)

        def program(s: Any, v: Any) -> Any:
            t = s.table("t")
            model = getattr(ml, name)(**({"classes": m} if classes else {}), max_depth=3, **ours).fit(t)
            return model.predict_proba(t) if classes else model.predict(t)

        def loss(p: Any) -> float:
            if classes:
                return float(np.mean(1 - np.asarray(p)[np.arange(f.n), y]))
            return float(np.mean((np.asarray(p) - seen) ** 2)) / float(seen.var())

        theirs = plain.predict_proba(f.seen) if classes else plain.predict(f.seen)
        nothing = float(1 - (np.bincount(y) / f.n) @ (np.bincount(y) / f.n)) if classes else 1.0
        share, least = (0.5, 0.1) if forest else (0.12, 0.02)
        if f.n < 100:  # splits of equal gain are more often than not, and what lies below them differs
            share = 0.5
        return Case(
            program,
            check=lambda got: learnt("loss", loss(got), loss(theirs), nothing, share, least),
            sheets=f.sheet(label, y * 1.0),
            note=f"{f.note}; {np.bincount(y) if classes else f'y {y.mean():.3g} +- {y.std():.3g}'}, bound {bound:.3g}",
            owners=draw.owners(),
            words=(name,),
        )

    entry("fits", f"ml.{name}")(make)


_tree("DecisionTreeClassifier", True)
_tree("DecisionTreeRegressor", False)
_tree("RandomForestClassifier", True)
_tree("RandomForestRegressor", False)


@entry("fits", "ml.IsolationForest", weight=0.5)
def isolation(draw: Draw) -> Case:
    """Rows that were put far away have the lowest scores."""
    g = Design(draw, rows=(60, 200), columns=(2, 4), weights=False, forms=("array",))
    z = shared(draw.rng.normal(size=(g.n, g.d)))
    out = max(2, g.n // 30)
    z[:out] = shared(draw.rng.choice([-5.0, 5.0], (out, g.d)) + z[:out] * 0.3)
    bound = draw.loose(float(np.abs(z).max()), how=3.0)
    far = np.arange(g.n) < out

    def program(s: Any, v: Any) -> Any:
        return ml.IsolationForest(n_estimators=30).fit(v["x"]).score_samples(v["x"])

    def check(got: Any) -> str:
        auc = metrics.roc_auc_score(far, -np.asarray(got))
        return "" if auc > 0.95 else f"AUC of rows five deviations away: {auc:.3f}"

    return Case(
        program,
        check=check,
        arrays={"x": pv.Input(z, bound)},
        note=f"{g.n} x {g.d}, {out} far, bound {bound:.3g}",
        owners=draw.owners(),
        words=("IsolationForest",),
    )


# -- selection, opening, keeping -------------------------------------------------------------------------------------


@entry("fits", "selection.cross_val_score", "selection.cross_val_score", "ml.GridSearchCV", weight=0.5)
def selection(draw: Draw) -> Case:
    """Scores of the same folds, and the same winner where scores are apart."""
    g = Design(draw, rows=(30, 120), weights=False, forms=("array",))
    y = shared(g.z @ draw.rng.normal(size=g.d) + draw.rng.normal(size=g.n))
    from privity.ml.selection import KFold, cross_val_score

    folds = KFold(3, random_state=1)
    alphas = [0.01, 1000.0]

    def score(alpha: float) -> list[float]:
        return [Ridge(alpha).fit(g.z[a], y[a]).score(g.z[b], y[b]) for a, b in folds.split(g.n)]

    def program(s: Any, v: Any) -> Any:
        scores = cross_val_score(ml.Ridge(1.0), v["x"], v["y"], scoring="r2", cv=folds)
        search = ml.GridSearchCV(ml.Ridge(), {"alpha": alphas}, scoring="r2", cv=folds).fit(v["x"], v["y"])
        return [scores.values, search.best_params_["alpha"], [float(x) for x in search.cv_results_["mean_test_score"]]]

    def check(got: Any) -> str:
        wrong = close(
            np.asarray(got[0], np.float64).reshape(-1), score(1.0), 1e-3 + 1e-3 * np.abs(score(1.0)), "scores"
        )
        means = [float(np.mean(score(a))) for a in alphas]
        wrong = wrong or close(got[2], means, 1e-3 + 1e-3 * np.abs(means), "mean scores")
        return wrong or (
            "" if abs(means[0] - means[1]) < 0.01 or got[1] == alphas[int(np.argmax(means))] else f"alpha {got[1]}"
        )

    rare = any(np.ptp(g.z[a], 0).min() == 0 for a, _ in folds.split(g.n))
    return Case(
        program,
        check=check,
        arrays={"x": pv.Input(g.z, g.bound), "y": pv.Input(y, float(np.abs(y).max()) + 1)},
        note=g.note,
        owners=draw.owners(),
        words=("cross_val_score", "GridSearchCV"),
        limits=(Limit("collinear", PAGE),) if rare else (),
    )


@entry("fits", "ml.open_model", weight=0.5)
def opened_model(draw: Draw) -> Case:
    """An opened model scores the raw cells of a data frame, whatever the order of its columns, as scikit-learn does."""
    g = Design(draw, weights=False, forms=("table",))
    y = np.clip(g.z @ draw.rng.normal(size=g.d) + draw.rng.normal(size=g.n), -32, 32)
    piped = draw.chance(0.7)
    k = np.column_stack([g.z if piped else g.seen, np.ones(g.n)])
    want = k @ np.linalg.lstsq(k, cells(y, 32.0), rcond=None)[0]
    frame = pd.DataFrame(g.raw, columns=list(g.names))[list(draw.rng.permutation(g.names))]

    def program(s: Any, v: Any) -> Any:
        from privity.ml.preprocessing import Pipeline, StandardScaler

        model: Any = ml.LinearRegression()
        if piped:
            model = Pipeline([("scale", StandardScaler()), ("model", model)])
        model.fit(s.table("t"))
        return ml.open_model(model, to="all", name="m", reason="campaign").predict(frame)

    loose = Limit("collinear|coefficient_bound|bound", "docs/models/linear.md: columns should be standardised")
    return Case(
        program,
        check=lambda got: close(got, want, 1e-2 * np.std(y), "predictions"),
        sheets=[table("t", g.fields, g.raw, Field("y", "number", 32.0, 32.0), y)],
        note=f"{g.note}, {'scaled' if piped else 'raw'}",
        owners=draw.owners(),
        limits=g.limits() + (() if piped and not inflated(g.z) else (loose,)),
        words=("open_model",),
    )


@entry("fits", "ml.save", "ml.save", "ml.load", weight=0.3)
def kept(draw: Draw) -> Case:
    """What a model says in a later session is what it said in the first."""
    g = Design(draw, weights=False, forms=("array",))
    y = shared(g.z @ draw.rng.normal(size=g.d) + draw.rng.normal(size=g.n))
    asked = g.z[:5]
    k = np.column_stack([g.z, np.ones(g.n)])
    want = k[:5] @ np.linalg.lstsq(k.T @ k + np.diag([*[1.0] * g.d, 0.0]), k.T @ y, rcond=None)[0]

    def program(s: Any, v: Any) -> Any:
        ml.save(ml.Ridge(1.0).fit(v["x"], v["y"]), s, "campaign", to="all")

    return Case(
        program,
        check=lambda got: close(got, want, 1e-2 * np.std(y), "predictions"),
        then=lambda s: ml.load(s, "campaign").predict(s.constant(asked)),
        arrays={"x": pv.Input(g.z, g.bound), "y": pv.Input(y, float(np.abs(y).max()) + 1)},
        note=g.note,
        words=("save", "load"),
    )
