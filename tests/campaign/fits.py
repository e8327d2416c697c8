"""Least squares and classes beside scikit-learn, in standard errors where there are any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import linear_model as plain
from sklearn import svm

import privity as pv
from privity import ml
from privity.table import Field

from .case import ULP, Case, Limit, entry
from .columns import Draw, cells, power_of_two, shared
from .designs import (
    COLLINEAR,
    LINEAR,
    SEPARATED,
    Design,
    close,
    inflated,
    information,
    label_input,
    least_eigenvalue,
    newton,
    outcome,
    some_classes,
    with_ones,
)


def numbers(draw: Draw, g: Design) -> tuple[Any, float, str]:
    """A target of any size and offset, its bound loose at times."""
    beta = draw.rng.normal(size=g.d) * (draw.rng.random(g.d) < 0.8)
    y = g.z @ beta + draw.rng.normal(size=g.n) * draw.one(0.1, 1.0, 3.0)
    scale = draw.ten(-2, 6)
    y = y * scale + draw.one(0.0, 0.0, draw.rng.normal() * scale * draw.ten(0, 2))
    return y, draw.loose(float(np.abs(y).max()), how=draw.one(0.5, 2.0, 4.0)), f"target {scale:.3g}"


def _least_squares(name: str) -> Callable[[Draw], Case]:
    def make(draw: Draw) -> Case:
        g = Design(draw)
        y, bound, note = numbers(draw, g)
        label = Field("y", "number", power_of_two(bound), bound)
        seen = cells(y, label.unit) if g.form == "table" else shared(y)
        alpha = draw.one(0.01, 1.0, 10.0, 100.0)
        k, w = g.rows, g.weight[g.rows]
        x = with_ones(g.z[k])
        penalty = alpha if name == "Ridge" else 0.0
        ridge = np.diag([*[penalty] * g.d, 0.0])
        # scikit-learn's: the intercept is not penalised
        want = np.linalg.lstsq(x.T @ (w[:, None] * x) + ridge, x.T @ (w * seen[k]), rcond=None)[0]
        least = least_eigenvalue(g.z[k])
        deviation = float(np.sqrt(np.average((seen[k] - np.average(seen[k], weights=w)) ** 2, weights=w)))
        errors = information(x, w) * float(np.sqrt(np.average((seen[k] - x @ want) ** 2, weights=w)))
        allowed = 2.0**-19 * bound / max(least, 1e-6)
        allowed = (
            min(allowed, 1e-3 * deviation / max(least, 1e-6))
            + 0.01 * errors
            + 2 * ULP
            + g.lost * np.abs(want[:-1]).sum()
        )  # "about 2^-20 of the bound"

        def program(s: Any, v: Any) -> Any:
            model, rows = g.fit(getattr(ml, name)(alpha) if name == "Ridge" else ml.LinearRegression(), s, v)
            return [model.coefficients_, model.predict(rows)]

        def check(got: Any) -> str:
            wrong = close(got[0], want, allowed, "coefficients")
            fitted = np.asarray(got[1])[k]
            return wrong or close(
                fitted, x @ want, 4 * float(np.max(allowed)) * (1 + np.abs(x).sum(1)) + 2.0**-18 * bound, "predictions"
            )

        limits = g.limits() + ((COLLINEAR,) if inflated(g.z[k]) or len(x) <= g.d + 1 else ())
        return Case(
            program,
            check=check,
            note=f"{g.note}; {note}, bound {bound:.3g}",
            owners=draw.owners(),
            limits=limits,
            words=("coefficient_bound", name),
            **g.data(label, y, pv.Input(y, bound)),
        )

    return make


entry("fits", "ml.LinearRegression", "ml.open_model")(_least_squares("LinearRegression"))
entry("fits", "ml.Ridge")(_least_squares("Ridge"))


def _lasso(name: str) -> Callable[[Draw], Case]:
    def make(draw: Draw) -> Case:
        g = Design(draw, forms=("array", "masked", "table", "table"))
        y, bound, note = numbers(draw, g)
        label = Field("y", "number", power_of_two(bound), bound)
        seen = cells(y, label.unit) if g.form == "table" else shared(y)
        k = g.rows
        deviation = float(seen[k].std())
        alpha = draw.one(0.01, 0.1, 0.5) * deviation
        words: dict[str, Any] = {"l1_ratio": draw.one(0.2, 0.5, 0.9)} if name == "ElasticNet" else {}
        model = getattr(plain, name)(alpha=alpha, tol=1e-10, max_iter=100_000, **words).fit(g.z[k], seen[k])
        least = least_eigenvalue(g.z[k])
        allowed = (
            1e-3 * deviation / max(least, 1e-3) + 2 * ULP + g.lost * np.abs(model.coef_).sum()
        )  # tol is 1e-3 of the gradient, in deviations of y

        def program(s: Any, v: Any) -> Any:
            return g.fit(getattr(ml, name)(alpha, **words), s, v)[0].coefficients_

        return Case(
            program,
            check=lambda got: close(got, np.r_[model.coef_, model.intercept_], allowed, "coefficients"),
            note=f"{g.note}; {note}, bound {bound:.3g}, alpha {alpha:.3g}",
            owners=draw.owners(),
            limits=g.limits() + ((COLLINEAR,) if inflated(g.z[k]) else ()),
            words=(name, "alpha"),
            **g.data(label, y, pv.Input(y, bound)),
        )

    return make


entry("fits", "ml.Lasso")(_lasso("Lasso"))
entry("fits", "ml.ElasticNet")(_lasso("ElasticNet"))


@entry("fits", "ml.LogisticRegression", kind="ml.LogisticRegression", weight=2)
def logistic_default(draw: Draw) -> Case:
    """The default is scikit-learn's default model: C = 1."""
    g = Design(draw)
    y = outcome(draw, g)
    k, w = g.rows, g.weight[g.rows]
    want, errors, _ = newton(g.z[k], y[k], w, 1.0 / w.sum())

    def program(s: Any, v: Any) -> Any:
        model, rows = g.fit(ml.LogisticRegression(), s, v)
        return [model.coefficients_, model.predict_proba(rows)]

    def check(got: Any) -> str:
        wrong = close(got[0], want, 0.1 * errors, "coefficients (0.1 standard errors)")
        chance = 1 / (1 + np.exp(-with_ones(g.z[k]) @ want))
        return wrong or close(np.asarray(got[1])[k].reshape(-1), chance, 0.02, "probabilities")

    return Case(
        program,
        check=check,
        note=f"{g.note}, {int(y[k].sum())} of {int(k.sum())}",
        owners=draw.owners(),
        limits=g.limits(),
        words=("LogisticRegression",),
        **g.data(Field("y", "binary"), y * 1.0, label_input(draw, y)),
    )


@entry("fits", "ml.LogisticRegression", "ml.open_inference", kind="ml.LogisticRegression newton", weight=2)
def logistic_newton(draw: Draw) -> Case:
    """Coefficients, standard errors and probabilities that leave, with and without a penalty."""
    g = Design(draw)
    y = outcome(draw, g)
    k, w = g.rows, g.weight[g.rows]
    alpha = draw.one(0.0, 0.0, 1e-3, 0.1)
    want, errors, finite = newton(g.z[k], y[k], w, alpha)

    def program(s: Any, v: Any) -> Any:
        model, rows = g.fit(ml.LogisticRegression(solver="newton", alpha=alpha), s, v)
        found = model.inference(to="all", name="result", reason="campaign")
        return [np.asarray(found.coefficients), np.asarray(found.standard_errors), model.predict_proba(rows)]

    def check(got: Any) -> str:
        if not finite:
            return ""
        wrong = close(got[0], want, 0.1 * errors, "coefficients (0.1 standard errors)")
        wrong = wrong or close(got[1], errors, 0.02 * errors, "standard errors (2 %)")
        chance = 1 / (1 + np.exp(-with_ones(g.z[k]) @ want))
        return wrong or close(
            np.asarray(got[2])[k].reshape(-1),
            chance,
            1e-3 + 2.0**-8 * chance + 0.05 * chance * (1 - chance),
            "probabilities",
        )

    limits = g.limits() + ((COLLINEAR,) if inflated(g.z[k]) else ()) + (() if finite else (SEPARATED,))
    return Case(
        program,
        check=check,
        note=f"{g.note}, {int(y[k].sum())} of {int(k.sum())}, alpha {alpha}",
        owners=draw.owners(),
        limits=limits,
        words=("LogisticRegression",),
        **g.data(Field("y", "binary"), y * 1.0, label_input(draw, y)),
    )


@entry("fits", "ml.LogisticRegression", kind="ml.LogisticRegression class_weight")
def logistic_weights(draw: Draw) -> Case:
    """Class weights by dictionary and "balanced"."""
    g = Design(draw, weights=False)
    y = outcome(draw, g)
    k = g.rows
    given: Any = draw.one("balanced", {0: 1, 1: 3}, {1: 10.0, 0: 0.5})
    n, one = k.sum(), y[k].sum()
    each = {0: n / (2 * (n - one)), 1: n / (2 * one)} if given == "balanced" else given
    w = np.where(y == 1, each[1], each[0])[k]
    alpha = 0.1
    want, errors, _ = newton(g.z[k], y[k], w, alpha * n / w.sum())

    def program(s: Any, v: Any) -> Any:
        return g.fit(ml.LogisticRegression(solver="newton", alpha=alpha, class_weight=given), s, v)[0].coefficients_

    return Case(
        program,
        check=lambda got: close(got, want, 0.1 * errors + 1e-3, "coefficients (0.1 standard errors)"),
        note=f"{g.note}, {one} of {n}, {given}",
        owners=draw.owners(),
        limits=g.limits(),
        words=("class_weight",),
        **g.data(Field("y", "binary"), y * 1.0, label_input(draw, y)),
    )


@entry("fits", "ml labels", weight=0.5)
def odd_labels(draw: Draw) -> Case:
    """-1/1 and 1/2 labels, and one class alone: refused by the name of the argument, never fitted as 0 and 1."""
    g = Design(draw, forms=("array",))
    y = outcome(draw, g)
    odd = 2 * y - 1 if draw.chance(0.5) else y + 1
    model = draw.one(
        ml.LogisticRegression,
        lambda: ml.LogisticRegression(solver="newton", alpha=0.1),
        ml.LinearSVC,
        lambda: ml.GradientBoostingClassifier(n_estimators=2, max_depth=2),
        lambda: ml.DecisionTreeClassifier(2, max_depth=2),
        lambda: ml.GaussianNB(2),
        lambda: ml.KNeighborsClassifier(2, 3),
        lambda: ml.MultinomialLogisticRegression(2),
    )

    def program(s: Any, v: Any) -> Any:
        fitted = model().fit(v["x"], v["y"])
        return fitted.predict(v["x"])

    def check(got: Any) -> str:
        return (
            ""
            if np.isin(np.asarray(got), np.unique(odd)).all()
            else f"labels {np.unique(odd)} give predictions {np.unique(got)}"
        )

    return Case(
        program,
        check=check,
        note=f"{g.note}, labels {np.unique(odd)}",
        owners=draw.owners(),
        limits=(Limit(r"\by\b|label|class", LINEAR),),
        words=("y",),
        arrays={"x": pv.Input(g.z, g.bound), "y": pv.Input(odd, 2)},
    )


@entry("fits", "ml.LinearSVC")
def linear_svc(draw: Draw) -> Case:
    g = Design(draw, weights=False)
    y = outcome(draw, g)
    k, alpha = g.rows, draw.one(0.01, 0.1, 1.0)
    right = svm.LinearSVC(C=1 / (alpha * k.sum()), dual=False, tol=1e-10, max_iter=100_000).fit(g.z[k], y[k])
    want = np.r_[right.coef_[0], right.intercept_]

    def program(s: Any, v: Any) -> Any:
        model = g.fit(ml.LinearSVC(alpha=alpha), s, v)[0]
        return [model.coef_, model.intercept_]

    return Case(
        program,
        check=lambda got: close(
            np.r_[np.ravel(got[0]), np.ravel(got[1])],
            want,
            1e-3 / alpha**0.5 + 1e-3,
            "coefficients (tol 1e-3 of the gradient)",
        ),
        note=f"{g.note}, {int(y[k].sum())} of {int(k.sum())}, alpha {alpha}",
        owners=draw.owners(),
        limits=g.limits(),
        words=("LinearSVC",),
        **g.data(Field("y", "binary"), y * 1.0, label_input(draw, y)),
    )


@entry("fits", "ml.MultinomialLogisticRegression")
def multinomial(draw: Draw) -> Case:
    g, m = Design(draw, rows=(40, 300), columns=(1, 3), weights=False), draw.whole(2, 4)
    y, alpha = some_classes(draw, g, m), draw.one(0.01, 0.1)
    k = g.rows
    if m == 2:
        beta, _, _ = newton(g.z[k], y[k], np.ones(k.sum()), alpha / 2)
        want = np.stack([-beta / 2, beta / 2])
    else:
        right = plain.LogisticRegression(C=1 / (alpha * k.sum()), tol=1e-10, max_iter=10_000).fit(g.z[k], y[k])
        want = np.column_stack([right.coef_, right.intercept_])
    chance = np.exp(with_ones(g.z[k]) @ want.T)
    chance /= chance.sum(1, keepdims=True)

    def program(s: Any, v: Any) -> Any:
        model, rows = g.fit(ml.MultinomialLogisticRegression(m, alpha=alpha), s, v)
        return model.predict_proba(rows)

    label = Field("y", "category", 1.0, m - 1.0, tuple("abcd"[:m]))
    return Case(
        program,
        check=lambda got: close(np.asarray(got)[k], chance, 5e-3, "probabilities"),
        note=f"{g.note}, classes {np.bincount(y[k])}, alpha {alpha}",
        owners=draw.owners(),
        limits=g.limits(),
        words=("MultinomialLogisticRegression",),
        **g.data(label, y * 1.0, pv.Input(y, max(m - 1, 1))),
    )
