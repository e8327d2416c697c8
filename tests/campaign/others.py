"""Bayes, neighbours, clusters and components beside scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import naive_bayes, neighbors
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.mixture import GaussianMixture

import privity as pv
from privity import ml
from privity.table import Field

from .case import Case, Limit, entry
from .columns import Draw, shared
from .designs import (
    Design,
    close,
    some_classes,
)


@entry("fits", "ml.GaussianNB")
def gaussian_bayes(draw: Draw) -> Case:
    g, m = Design(draw, weights=False), draw.whole(2, 3)
    y = some_classes(draw, g, m)
    k = g.rows
    right = naive_bayes.GaussianNB(var_smoothing=1e-3).fit(g.z[k], y[k])
    label = Field("y", "category", 1.0, m - 1.0, tuple("abc"[:m]))

    def program(s: Any, v: Any) -> Any:
        model, rows = g.fit(ml.GaussianNB(m), s, v)
        return model.predict_proba(rows)

    return Case(
        program,
        check=lambda got: close(np.asarray(got)[k], right.predict_proba(g.z[k]), 5e-3, "probabilities"),
        note=f"{g.note}, classes {np.bincount(y[k])}",
        owners=draw.owners(),
        limits=g.limits(),
        words=("GaussianNB",),
        **g.data(label, y * 1.0, pv.Input(y, m)),
    )


def _counted(name: str) -> Callable[[Draw], Case]:
    def make(draw: Draw) -> Case:
        n, d, m = draw.rows(10, 300, 0.0), draw.whole(1, 4), draw.whole(2, 3)
        y = draw.rng.integers(0, m, n)
        y[: 2 * m] = np.tile(np.arange(m), 2)[:n]
        codes = 4
        if name == "BernoulliNB":
            x = (draw.rng.random((n, d)) < 0.2 + 0.2 * y[:, None]).astype(np.int64)
            words: dict[str, Any] = {"binarize": None}
            right = naive_bayes.BernoulliNB(binarize=None).fit(x, y)
        elif name == "MultinomialNB":
            x = draw.rng.poisson(1 + y[:, None] * draw.rng.random(d), (n, d))
            words, right = {}, naive_bayes.MultinomialNB().fit(x, y)
        else:
            x = np.stack([(draw.codes(n, codes) + (draw.rng.random(n) < 0.3) * y) % codes for _ in range(d)], 1).astype(
                np.int64
            )
            words = {"n_categories": [codes] * d}
            right = naive_bayes.CategoricalNB(min_categories=codes).fit(x, y)
        want = right.predict_proba(x)

        def program(s: Any, v: Any) -> Any:
            return getattr(ml, name)(m, **words).fit(v["x"], v["y"]).predict_proba(v["x"])

        return Case(
            program,
            check=lambda got: close(got, want, 1e-3, "probabilities"),
            note=f"{n} x {d}, {m} classes",
            owners=draw.owners(),
            arrays={"x": pv.Input(x, draw.loose(float(max(1, x.max())), 1024.0)), "y": pv.Input(y, m)},
            words=(name,),
        )

    return make


for _name in ("BernoulliNB", "MultinomialNB", "CategoricalNB"):
    entry("fits", f"ml.{_name}")(_counted(_name))


def _neighbours(name: str) -> Callable[[Draw], Case]:
    def make(draw: Draw) -> Case:
        g, c = Design(draw, rows=(10, 80), weights=False), draw.one(1, 3, 5)
        k = np.flatnonzero(g.rows)
        c = min(c, len(k))
        asked = g.z[k][:10] + draw.rng.normal(size=(min(10, len(k)), g.d)) * 0.3
        asked = shared(np.clip(asked, -15, 15))
        classes = name == "KNeighborsClassifier"
        y: Any = some_classes(draw, g, 2) if classes else np.round(draw.rng.normal(size=g.n), 3)
        distances = ((asked[:, None, :] - g.z[k][None]) ** 2).sum(2)
        order = np.argsort(distances, 1, kind="stable")[:, :c]
        ranked = np.sort(distances, 1)
        sure = np.ones(len(asked), bool) if len(k) == c else ranked[:, c] - ranked[:, c - 1] > 2.0**-10
        near = y[k][order]
        want = (near.mean(1) > 0.5).astype(int) if classes else near.mean(1)

        def program(s: Any, v: Any) -> Any:
            model = ml.KNeighborsClassifier(2, c) if classes else ml.KNeighborsRegressor(c)
            return g.fit(model, s, v)[0].predict(v["asked"])

        def check(got: Any) -> str:
            return close(
                np.asarray(got, np.float64)[sure], np.asarray(want)[sure], 0 if classes else 1e-3, "predictions"
            )

        label = Field("y", "category", categories=("a", "b")) if classes else Field("y", "number", 8.0, 8.0)
        data = g.data(label, y * 1.0, pv.Input(y, 8), asked=pv.Input(asked, 16.0))
        return Case(
            program,
            check=check,
            whole=("asked",),
            note=f"{g.note}, k {c}",
            owners=draw.owners(),
            limits=g.limits(),
            words=(name,),
            **data,
        )

    return make


for _name, _of in (
    ("KNeighborsClassifier", neighbors.KNeighborsClassifier),
    ("KNeighborsRegressor", neighbors.KNeighborsRegressor),
):
    entry("fits", f"ml.{_name}")(_neighbours(_name))


@entry("fits", "ml.KMeans")
def k_means(draw: Draw) -> Case:
    g = Design(draw, rows=(20, 200), weights=False)
    k = np.flatnonzero(g.rows)
    m = draw.whole(1, 4)
    start = shared(g.z[draw.rng.choice(k, m, replace=False)] + draw.rng.normal(size=(m, g.d)) * 0.01)
    steps = draw.one(3, 10)
    centres, sure = start.copy(), True
    for _ in range(steps):
        distance = ((g.z[k][:, None] - centres[None]) ** 2).sum(2)
        ranked = np.sort(distance, 1)
        sure &= m == 1 or bool((ranked[:, 1] - ranked[:, 0] > 2.0**-12).all())
        at = distance.argmin(1)
        centres = np.stack([g.z[k][at == j].mean(0) if (at == j).any() else centres[j] for j in range(m)])

    def program(s: Any, v: Any) -> Any:
        return g.fit(ml.KMeans(m, init=start, max_iter=steps), s, v, target=False)[0].cluster_centers_

    return Case(
        program,
        check=lambda got: close(got, centres, 1e-3, "centres") if sure else "",
        note=f"{g.note}, {m} clusters, {steps} steps",
        owners=draw.owners(),
        limits=g.limits(),
        words=("KMeans",),
        **g.data(None, None, None),
    )


@entry("fits", "ml.GaussianMixture")
def mixture(draw: Draw) -> Case:
    g = Design(draw, rows=(40, 200), columns=(1, 3), weights=False, forms=("array", "masked", "table"))
    k = g.rows
    m, steps = draw.whole(1, 3), 5
    start = shared(np.clip(draw.rng.normal(size=(m, g.d)), g.z.min(), g.z.max()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        right = GaussianMixture(
            m,
            covariance_type="diag",
            reg_covar=1e-3,
            max_iter=steps,
            tol=0,
            means_init=start,
            weights_init=np.full(m, 1 / m),
            precisions_init=np.ones((m, g.d)),
        ).fit(g.z[k])

    def program(s: Any, v: Any) -> Any:
        model = g.fit(ml.GaussianMixture(m, max_iter=steps, means_init=start), s, v, target=False)[0]
        return [model.weights_, model.means_]

    def check(got: Any) -> str:
        return close(got[0], right.weights_, 1e-3, "weights") or close(got[1], right.means_, 5e-3, "means")

    return Case(
        program,
        check=check,
        note=f"{g.note}, {m} components",
        owners=draw.owners(),
        limits=g.limits(),
        words=("GaussianMixture", "feature_bound"),
        **g.data(None, None, None),
    )


def _components(name: str) -> Callable[[Draw], Case]:
    def make(draw: Draw) -> Case:
        g = Design(draw, columns=(2, 5), weights=False)
        k = g.rows
        mix = draw.rng.normal(size=(g.d, g.d))
        c = min(2, g.d - 1) if name == "TruncatedSVD" else min(2, g.d)
        small = draw.one(1.0, 1e-3, 30.0) if g.form != "table" else 1.0
        if g.form != "table":
            g.z = shared(g.z @ mix * small)
            g.bound = draw.loose(float(np.abs(g.z).max()), how=2.0)
        right = (PCA(c) if name == "PCA" else TruncatedSVD(c, algorithm="arpack")).fit(g.z[k])
        values = np.linalg.svd(g.z[k] - (g.z[k].mean(0) if name == "PCA" else 0), compute_uv=False) ** 2
        gaps = min(1 - values[j + 1] / values[j] for j in range(min(c, len(values) - 1)))
        ratios = right.explained_variance_ratio_

        def program(s: Any, v: Any) -> Any:
            model = g.fit(getattr(ml, name)(c), s, v, target=False)[0]
            return [model.components_, model.explained_variance_ratio_]

        def check(got: Any) -> str:
            wrong = close(got[1], ratios, 1e-3, "ratios") if name == "PCA" else ""
            if wrong or gaps < 0.05:
                return wrong
            cosines = np.abs((np.asarray(got[0]) * right.components_).sum(1))
            return "" if cosines.min() > 1 - 1e-4 else f"components: cosines {cosines}"

        limits = g.limits() + (
            (Limit("fewer components|second moments|2\\^-", "docs/models/decomposition.md"),)
            if values[c - 1] / values.sum() < 2.0**-10 or small < 1e-2
            else ()
        )
        return Case(
            program,
            check=check,
            note=f"{g.note}, {c} components, x {small:g}",
            owners=draw.owners(),
            limits=limits,
            words=(name,),
            **g.data(None, None, None),
        )

    return make


entry("fits", "ml.PCA")(_components("PCA"))
entry("fits", "ml.TruncatedSVD")(_components("TruncatedSVD"))


@entry("fits", "ml.MatrixFactorization", weight=0.5)
def factorization(draw: Draw) -> Case:
    """After the last half step every item's factors solve its own system, given the users'."""
    n, m, f = draw.whole(6, 20), draw.whole(4, 12), draw.whole(1, 3)
    r = shared(np.clip(np.round(3 + draw.rng.normal(size=(n, f)) @ draw.rng.normal(size=(f, m))), 0, 6))
    seen = draw.rng.random((n, m)) < 0.7
    alpha = draw.one(0.5, 1.0, 3.0)

    def program(s: Any, v: Any) -> Any:
        model = ml.MatrixFactorization(f, alpha=alpha, max_iter=4).fit(v["r"], v["seen"])
        return [model.user_factors_, model.item_factors_, model.mean_]

    def check(got: Any) -> str:
        u, w, mean = (np.asarray(x) for x in got)
        right = [
            np.linalg.solve(
                u[seen[:, j]].T @ u[seen[:, j]] + alpha * np.eye(f), u[seen[:, j]].T @ (r[seen[:, j], j] - mean)
            )
            for j in range(m)
        ]
        return close(mean, r[seen].mean(), 1e-4, "mean") or close(w, np.stack(right), 2e-3, "items' factors")

    return Case(
        program,
        check=check,
        arrays={"r": pv.Input(r, draw.loose(6.0, 64.0)), "seen": pv.Input(seen)},
        note=f"{n} x {m}, {f} factors",
        owners=draw.owners(),
        words=("MatrixFactorization",),
    )
