"""Generalised linear models and proportional hazards beside statsmodels, in standard errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import statsmodels.api as sm
from statsmodels.duration.hazard_regression import PHReg

import privity as pv
from privity import ml
from privity.ml.preprocessing import StandardScaler
from privity.table import Field

from .case import Case, Limit, entry
from .columns import Draw, cells, power_of_two, shared, table
from .designs import (
    COLLINEAR,
    LINEAR,
    Design,
    close,
    inflated,
    with_ones,
)


def _log_linear(name: str, family: Callable[[], Any], target: Callable[[Any, Any], Any], **words: Any) -> None:
    def make(draw: Draw) -> Case:
        g = Design(draw, rows=(60, 400), columns=(1, 4))
        eta = g.z @ (draw.rng.normal(size=g.d) * 0.3)
        y = target(draw, np.exp(np.clip(eta, -3, 3)) * draw.ten(-0.3, draw.one(0.5, 2.0)))
        bound = draw.loose(float(np.abs(y).max()), 2.0**20, draw.one(0.5, 2.0, 4.0))
        whole = bool((y == np.rint(y)).all())
        label = (
            Field("y", "integer", 1.0, np.ceil(bound)) if whole else Field("y", "number", power_of_two(bound), bound)
        )
        seen = y if whole else cells(y, label.unit) if g.form == "table" else np.maximum(shared(y), 0)
        k, w = g.rows, g.weight[g.rows]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            right = sm.GLM(seen[k], with_ones(g.z[k]), family=family(), freq_weights=w).fit(tol=1e-10)
        want, errors = np.asarray(right.params), np.asarray(right.bse)
        sparse = float((seen[k] > 0).sum()) < 10 * (g.d + 1)
        wild = bool(not np.isfinite(errors).all() or errors.max() > 5 or np.abs(want).max() > 12)  # no finite optimum

        def program(s: Any, v: Any) -> Any:
            model, _ = g.fit(getattr(ml, name)(**words), s, v)
            return [model.coefficients_, model.standard_errors_]

        def check(got: Any) -> str:
            if wild:
                return ""
            wrong = close(got[0], want, 0.1 * errors + 1e-4, "coefficients (0.1 standard errors)")
            return wrong or close(got[1], errors, 0.03 * errors, "standard errors (3 %)")

        limits = (
            g.limits()
            + ((COLLINEAR,) if inflated(g.z[k]) else ())
            + ((Limit("collinear|loss|target|tol", LINEAR),) if sparse or wild else ())
        )
        if seen[k].max() > 1000 * np.average(seen[k], weights=w):
            limits += (Limit("ratio_bound|mean", LINEAR),)
        given = pv.Input(y.astype(np.int64), np.ceil(bound)) if whole else pv.Input(y, bound)
        return Case(
            program,
            check=check,
            note=f"{g.note}; mean {seen[k].mean():.3g}, most {seen[k].max():.3g}, bound {bound:.3g}",
            owners=draw.owners(),
            limits=limits,
            words=(name,),
            **g.data(label, y, given),
        )

    entry("fits", f"ml.{name}")(make)


_log_linear("PoissonRegressor", sm.families.Poisson, lambda d, mu: d.rng.poisson(mu) * 1.0)
_log_linear(
    "NegativeBinomialRegressor",
    lambda: sm.families.NegativeBinomial(alpha=1.0),
    lambda d, mu: d.rng.poisson(mu * d.rng.gamma(1.0, 1.0, len(mu))) * 1.0,
)
_log_linear(
    "GammaRegressor",
    lambda: sm.families.Gamma(sm.families.links.Log()),
    lambda d, mu: np.maximum(mu * d.rng.gamma(2.0, 0.5, len(mu)), 0.01),
)
_log_linear(
    "TweedieRegressor",
    lambda: sm.families.Tweedie(sm.families.links.Log(), var_power=1.5),
    lambda d, mu: np.array([d.rng.gamma(1.0, 1.0, d.rng.poisson(m)).sum() for m in mu]) if mu.max() > 0 else mu,
)


@entry("fits", "ml.CoxPHRegressor")
def cox(draw: Draw) -> Case:
    g = Design(draw, rows=(50, 300), columns=(1, 4), weights=False)
    times = draw.rng.exponential(np.exp(np.clip(-g.z @ (draw.rng.normal(size=g.d) * 0.5), -3, 3))) * draw.ten(0, 3)
    unit = draw.one(0.0, 1.0)
    t = np.ceil(times) if unit else times + 0.01
    e = draw.flags(g.n, draw.one(0.9, 0.6, 0.3))
    e[:5] = 1
    bound = draw.loose(float(t.max()), 2.0**20, 3.0)
    field = Field("days", "number", power_of_two(bound), bound)
    seen = cells(t, field.unit) if g.form == "table" else shared(t)
    k = g.keep
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            right = PHReg(seen[k], g.z[k], status=e[k], ties="breslow").fit(disp=0)
            want, errors = np.asarray(right.params), np.asarray(right.bse)
        except np.linalg.LinAlgError:  # a constant column: statsmodels gives no answer either
            want = errors = np.full(g.d, np.inf)
    wild = bool(not np.isfinite(errors).all() or np.abs(want).max() > 5 or errors.max() > 3 or e[k].sum() < 5 * g.d)

    def program(s: Any, v: Any) -> Any:
        if g.form == "table":
            names = list(g.names)
            t = StandardScaler(names).fit_transform(s.table("t"))
            model = ml.CoxPHRegressor().fit(t, duration="days")
        else:
            model = g.fit(ml.CoxPHRegressor(), s, v, duration=v["days"])[0]
        return [model.coef_, model.standard_errors_]

    def check(got: Any) -> str:
        if wild:
            return ""
        return close(got[0], want, 0.1 * errors, "coefficients (0.1 standard errors)") or close(
            got[1], errors, 0.03 * errors, "standard errors (3 %)"
        )

    data = g.data(
        Field("event", "binary"), e * 1.0, pv.Input(e, 1), **({} if g.form == "table" else {"days": pv.Input(t, bound)})
    )
    if g.form == "table":
        data["sheets"] = [
            table("t", [*g.fields, field], np.column_stack([g.raw, t]), Field("event", "binary"), e * 1.0)
        ]
    limits = g.limits() + (
        (Limit("collinear|event|linear_bound|tol|bound", "docs/models/cox.md"),) if wild or inflated(g.z[k]) else ()
    )
    return Case(
        program,
        check=check,
        note=f"{g.note}, {int(e[k].sum())} events, ties {unit}, bound {bound:.3g}",
        owners=draw.owners(),
        limits=limits,
        words=("CoxPHRegressor",),
        **data,
    )
