"""privity.ml.metrics beside scikit-learn, SciPy and a count of pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import metrics as plain
from sklearn.calibration import calibration_curve

import privity as pv
from privity.ml import metrics

from .case import ULP, Case, Limit, Within, enter, entry, exact
from .columns import Draw, shared

PAGE = "docs/metrics.md"
LABELS = Limit(r": (y_true|y_pred|event_observed) holds ", PAGE)
"""Labels that are not 0 and 1 are found and named."""


class Rows:
    """Labels, weights and a mask of n rows; ``words`` for the secret call, ``plain`` for scikit-learn's."""

    def __init__(self, draw: Draw, n: int, weights: bool = True) -> None:
        self.n = n
        self.arrays: dict[str, pv.Input] = {}
        self.keep, self.weight, self.how = (
            np.ones(n, bool),
            None,
            draw.one("all", "all", "masked", "secret weights", "public weights"),
        )
        if not weights and "weights" in self.how:
            self.how = "masked"
        if self.how == "masked":
            self.keep = draw.rng.random(n) >= draw.one(0.1, 0.5, 0.9)
            self.arrays["valid"] = pv.Input(self.keep)
        if "weights" in self.how:
            self.weight = draw.one(
                draw.rng.integers(0, 4, n) * 1.0,
                draw.rng.random(n) + 0.125,
                np.where(draw.rng.random(n) < 0.1, 50.0, 1.0),
            )
            if self.weight.sum() == 0:
                self.weight[0] = 1.0
            if self.how == "secret weights":
                self.weight = shared(self.weight)
                self.arrays["weight"] = pv.Input(self.weight, draw.loose(float(self.weight.max()), 4096.0))
        whole = self.weight is None or bool((self.weight == np.rint(self.weight)).all())
        self.rounding = 0.0 if whole else n * 2.0**-10 / float(self.weight.sum())  # type: ignore[union-attr]

    def words(self, v: Any) -> dict[str, Any]:
        found: dict[str, Any] = {"valid": v["valid"]} if self.how == "masked" else {}
        if self.weight is not None:
            found["sample_weight"] = v["weight"] if self.how == "secret weights" else self.weight
        return found

    @property
    def plain(self) -> dict[str, Any]:
        return {} if self.weight is None else {"sample_weight": self.weight[self.keep]}


def _labels(draw: Draw, n: int) -> tuple[Any, pv.Input, str]:
    y = draw.flags(n)
    form = draw.one("booleans", "integers")
    return y, pv.Input(y > 0) if form == "booleans" else pv.Input(y, draw.loose(1.0, 1024.0)), form


def _classes(name: str, share: str) -> None:
    def make(draw: Draw) -> Case:
        n = draw.rows(1, 300)
        y, given, form = _labels(draw, n)
        p = np.where(draw.rng.random(n) < 0.2, 1 - y, y)
        rows = Rows(draw, n)
        k = rows.keep

        def want() -> Any:
            words = rows.plain if name == "accuracy_score" else {**rows.plain, "zero_division": 0}
            return getattr(plain, name)(y[k], p[k], **words) if k.any() else 0.0

        return Case(
            lambda s, v: getattr(metrics, name)(v["y"], v["p"], **rows.words(v)),
            want,
            Within(PAGE, 2.0**-20, 1.0, rows.rounding + ULP),
            {"y": given, "p": pv.Input(p > 0), **rows.arrays},
            note=f"{form}, {rows.how}, {int(y.sum())} of {n}",
            owners=draw.owners(),
            words=("y_true", "y_pred"),
        )

    enter(f"metrics.{name}", "metrics", make)


for _name in ("accuracy_score", "precision_score", "recall_score", "f1_score"):
    _classes(_name, "")


@entry("metrics", "metrics.confusion_matrix")
def confusion(draw: Draw) -> Case:
    n, c = draw.rows(1, 300), draw.whole(2, 5)
    y = draw.codes(n, c).astype(int)
    p = np.where(draw.rng.random(n) < 0.3, draw.codes(n, c), y).astype(int)
    masked = draw.chance(0.4)
    keep = draw.rng.random(n) < 0.5 if masked else np.ones(n, bool)
    want = np.zeros((c, c))
    np.add.at(want, (y[keep], p[keep]), 1)
    return Case(
        lambda s, v: metrics.confusion_matrix(v["y"], v["p"], classes=c, **({"valid": v["valid"]} if masked else {})),
        want,
        exact(PAGE),
        {"y": pv.Input(y, 8), "p": pv.Input(p, 8), "valid": pv.Input(keep)},
        note=f"{c} classes",
        owners=draw.owners(),
        words=("y_true", "y_pred"),
    )


def _score(
    name: str, want: Callable[[Any, Any, Any], Any], probability: bool, stated: Within, weights: bool = True
) -> None:
    def make(draw: Draw) -> Case:
        n = draw.rows(1, 300)
        y, given, form = _labels(draw, n)
        if probability:
            q = shared(np.clip(draw.rng.beta(0.5 + y, 1.5 - y), 0, 1))
            if draw.chance(0.3):
                q = np.round(q, 1)
            bound = 1.0
            note = "probabilities"
        else:
            c = draw.column(n, low=-3, high=6, most=2.0**30, bounded=2.0**30)
            q, bound, note = c.values, c.bound, c.note
        q = shared(q)
        rows = Rows(draw, n, weights)
        k = rows.keep
        within = Within(stated.page, stated.relative, stated.ulps, stated.absolute + rows.rounding)
        return Case(
            lambda s, v: getattr(metrics, name)(v["y"], v["q"], **rows.words(v)),
            lambda: want(y[k], q[k], rows.plain),
            within,
            {"y": given, "q": pv.Input(q, bound + ULP if not probability else 1.0), **rows.arrays},
            note=f"{form}, {rows.how}, {int(y.sum())} of {n}: {note}",
            owners=draw.owners(),
            words=("y_true", "y_score", "y_proba"),
        )

    enter(f"metrics.{name}", "metrics", make)


def _both(y: Any, w: dict[str, Any]) -> bool:
    """Whether both classes have weight."""
    weight = w.get("sample_weight", np.ones(len(y)))
    return len(y) > 0 and 0 < float(weight[y == 1].sum()) < float(weight.sum())


def _log_loss(y: Any, q: Any, w: dict[str, Any]) -> Any:
    if not len(y) or (w and w["sample_weight"].sum() == 0):
        return 0.0
    p = np.where(y == 1, q, 1 - q)
    return np.average(-np.log(np.maximum(p, ULP)), weights=w.get("sample_weight"))


def _ks(y: Any, q: Any, w: dict[str, Any]) -> Any:
    if not _both(y, w):
        return -1.0
    weight = w.get("sample_weight", np.ones(len(y)))
    order = np.argsort(q)
    ends = np.r_[np.diff(q[order]) > 0, True]
    one, none = (np.cumsum(np.where(y[order] == k, weight[order], 0)) for k in (1, 0))
    return np.abs(one / one[-1] - none / none[-1])[ends].max()


_score("log_loss", _log_loss, True, Within(PAGE, absolute=2.0**-16))
_score(
    "brier_score_loss",
    lambda y, q, w: np.average((q - y) ** 2, weights=w.get("sample_weight")) if len(y) else 0.0,
    True,
    Within(PAGE, 2.0**-20, absolute=2.0**-17),
)
_score(
    "roc_auc_score",
    lambda y, q, w: plain.roc_auc_score(y, q, **w) if _both(y, w) else -1.0,
    False,
    Within(PAGE, 2.0**-20, absolute=2.0**-18),
)
_score(
    "average_precision_score",
    lambda y, q, w: (
        plain.average_precision_score(y, q, **w) if len(y) and (y * w.get("sample_weight", 1.0)).sum() > 0 else 0.0
    ),
    False,
    Within(PAGE, 2.0**-19, absolute=2.0**-18),
)
_score("ks_statistic", _ks, False, Within(PAGE, 2.0**-20, absolute=2.0**-18))


def _value(name: str, want: Callable[[Any, Any, Any], Any]) -> None:
    def make(draw: Draw) -> Case:
        n = draw.rows(1, 300)
        c = draw.column(n, low=-2, high=8, most=2.0**36, bounded=2.0**40)
        y = c.values
        p = y + draw.rng.normal(size=n) * (y.std() + 1e-3 * abs(y).max() + ULP) * draw.one(0.1, 1.0, 3.0)
        if draw.chance(0.1):
            p = y.copy()
        bound = max(c.bound, float(np.abs(p).max()))
        y, p = shared(y), shared(p)
        rows = Rows(draw, n)
        k = rows.keep
        right = want(y[k], p[k], rows.plain)
        size = float(np.abs(right)) if name != "r2_score" else 1 + abs(1 - float(right))
        allowed = {
            "mean_squared_error": 2.0**-17 + 2.0**-20 * size,
            "mean_absolute_error": 2.0**-17 + 2.0**-20 * size,
            "root_mean_squared_error": 2.0**-17 + 2.0**-15 * size,
            "r2_score": 2.0**-17 * max(1.0, size),
        }[name]
        if name == "mean_squared_error" and bound * bound * n > 2.0**26:  # stated where that of the error passes 2^28
            allowed += 2.0**-15 * size + 2 * bound * bound * 2.0**-57
        return Case(
            lambda s, v: getattr(metrics, name)(v["y"], v["p"], **rows.words(v)),
            right,
            Within(PAGE, absolute=allowed + rows.rounding * size),
            {"y": pv.Input(y, bound + ULP), "p": pv.Input(p, bound + ULP), **rows.arrays},
            note=f"{rows.how}: {c.note}",
            owners=draw.owners(),
            words=("y_true", "y_pred"),
        )

    enter(f"metrics.{name}", "metrics", make)


def _r2(y: Any, p: Any, w: dict[str, Any]) -> Any:
    weight = w.get("sample_weight", np.ones(len(y)))
    if not len(y) or weight.sum() == 0:
        return 0.0
    total = (weight * (y - np.average(y, weights=weight)) ** 2).sum()
    return max(1 - (weight * (y - p) ** 2).sum() / total, -1023.0) if total > 1e-18 else 0.0


_value("mean_squared_error", lambda y, p, w: plain.mean_squared_error(y, p, **w) if len(y) else 0.0)
_value("mean_absolute_error", lambda y, p, w: plain.mean_absolute_error(y, p, **w) if len(y) else 0.0)
_value("root_mean_squared_error", lambda y, p, w: plain.root_mean_squared_error(y, p, **w) if len(y) else 0.0)
_value("r2_score", _r2)


@entry("metrics", "metrics.calibration_curve", "metrics.CalibrationBins")
def calibration(draw: Draw) -> Case:
    n, bins = draw.rows(2, 300), draw.whole(2, 8)
    y = draw.flags(n)
    q = shared(draw.rng.beta(0.5 + y, 1.5 - y))
    true, predicted = calibration_curve(y, q, n_bins=bins) if 0 < y.sum() < n else (None, None)

    def program(s: Any, v: Any) -> Any:
        found = metrics.calibration_curve(v["y"], v["q"], n_bins=bins)
        return [found.counts, found.prob_true, found.prob_pred]

    def check(got: Any) -> str:
        counts, share, chance = (np.asarray(g) for g in got)
        at = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], q)
        if not np.array_equal(counts, np.bincount(at, minlength=bins)):
            return f"counts {counts}, right {np.bincount(at, minlength=bins)}"
        if true is None:
            return ""
        off = max(np.abs(share[counts > 0] - true).max(), np.abs(chance[counts > 0] - predicted).max())
        return f"off by {off:.3g}, stated 2^-18" if off > 2.0**-18 + 2.0**-20 + ULP else ""

    return Case(
        program,
        check=check,
        arrays={"y": pv.Input(y, 1), "q": pv.Input(q, 1.0)},
        note=f"{bins} bins",
        owners=draw.owners(),
        words=("y_true", "y_proba"),
    )


@entry("metrics", "metrics.concordance_index")
def concordance(draw: Draw) -> Case:
    n = draw.rows(2, 120)
    t = np.ceil(draw.rng.exponential(20, n))
    e = draw.flags(n, draw.one(0.9, 0.5, 0.1))
    c = draw.column(n, low=-2, high=4, most=2.0**30, bounded=2.0**30)
    q = shared(c.values)
    pairs = right = 0.0
    for i in range(n):
        if e[i]:
            later = (t > t[i]) | ((t == t[i]) & (e == 0))
            pairs += later.sum()
            right += (q[later] > q[i]).sum() + 0.5 * (q[later] == q[i]).sum()
    return Case(
        lambda s, v: metrics.concordance_index(v["t"], v["q"], v["e"]),
        right / pairs if pairs else -1.0,
        Within(PAGE, absolute=2.0**-18 + ULP),
        {"t": pv.Input(t, 2048.0), "q": c.input(), "e": pv.Input(e, 1)},
        note=f"{n} rows, {int(e.sum())} events: {c.note}",
        owners=draw.owners(),
        words=("event_times", "predicted_scores", "event_observed"),
    )


@entry("metrics", "metrics labels", weight=0.5)
def odd_labels(draw: Draw) -> Case:
    """-1/1 and 1/2 labels: named, never counted as if they were 0 and 1."""
    n = draw.rows(4, 60, 0.0)
    y = draw.flags(n, 0.5)
    y[:2] = 0, 1
    odd = 2 * y - 1 if draw.chance(0.5) else y + 1
    name = draw.one(
        "precision_score",
        "recall_score",
        "f1_score",
        "log_loss",
        "brier_score_loss",
        "roc_auc_score",
        "average_precision_score",
        "ks_statistic",
    )
    q = shared(draw.rng.random(n))

    def use(s: Any, v: Any) -> Any:
        second = v["q"] > 0.5 if name in ("precision_score", "recall_score", "f1_score") else v["q"]
        return getattr(metrics, name)(v["y"], second)

    return Case(
        use,
        "labels that are not 0 and 1 have no class 1",
        check=lambda got: f"{name} of labels {sorted({*odd.tolist()})} gives {got}",
        arrays={"y": pv.Input(odd, 2), "q": pv.Input(q, 1.0)},
        limits=(LABELS,),
        note=f"{name}: {sorted({*odd.tolist()})}",
        owners=draw.owners(),
        words=("y_true", "y_pred"),
    )


def _importance(draw: Draw) -> Case:
    """A column that the model does not use loses nothing; the one it uses loses most."""
    from privity.ml import LinearRegression

    n = 60
    x = shared(draw.rng.normal(size=(n, 3)).clip(-4, 4))
    y = shared(2 * x[:, 1])

    def program(s: Any, v: Any) -> Any:
        model = LinearRegression().fit(v["x"], v["y"])
        found = metrics.permutation_importance(model, v["x"], v["y"], scoring="r2", n_repeats=2)
        return [found.importances_mean, found.score]

    def check(got: Any) -> str:
        losses, score = np.asarray(got[0]), float(got[1])
        fine = abs(score - 1) < 1e-3 and losses[1] > 0.5 and abs(losses[[0, 2]]).max() < 1e-3
        return "" if fine else f"losses {losses}, score {score}"

    return Case(program, check=check, arrays={"x": pv.Input(x, 4.0), "y": pv.Input(y, 8.0)}, owners=draw.owners())


enter(
    "metrics.permutation_importance",
    "metrics",
    _importance,
    ["metrics.permutation_importance", "metrics.Importances"],
    0.2,
)
