# ruff: noqa: E402 (kernels are chosen before the package is imported)
"""Print a hash of the public numbers that each estimator, preprocessing step, statistic and function lets meet secrets.

Programs run on shapes, which is enough: what is public does not depend on shares.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import other_processor

other_processor.choose_kernels()

import privity as pv
from privity import functions, stats
from privity.debug.plan import plan
from privity.ml import metrics
from privity.ml.conformance import _TARGETS, _Trial
from privity.ml.opened import KINDS
from privity.ml.preprocessing import (
    Clip,
    KBinsDiscretizer,
    LogTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    RobustScaler,
    SimpleImputer,
    StandardScaler,
    WOEEncoder,
)
from privity.ml.samples import OWNER
from privity.mpc.public_numbers import PublicNumbers
from privity.table import Field, TableInfo, table_inputs

sys.path.insert(0, str(Path(__file__).parent.parent / "ml"))


class Recorder:
    """Keeps the hashes of all comparisons of a run, and of what came after the last."""

    def __init__(self) -> None:
        self.last: PublicNumbers | None = None
        self.seen = hashlib.sha256()
        compared, begin = PublicNumbers.compared, PublicNumbers.__init__

        def keep(numbers: PublicNumbers) -> None:
            self.seen.update(numbers.digest())
            compared(numbers)

        def start(numbers: PublicNumbers, *given: Any) -> None:
            begin(numbers, *given)
            self.last = numbers

        PublicNumbers.compared, PublicNumbers.__init__ = keep, start  # type: ignore[method-assign]

    def of(self, program: Callable[[Any], Any], **given: Any) -> str:
        self.seen, self.last = hashlib.sha256(), None
        plan(program, **given)
        assert self.last is not None
        self.seen.update(self.last.digest())
        return self.seen.hexdigest()


def fitted(model: Any, options: dict[str, Any]) -> tuple[Callable[[Any], Any], dict[str, Any]]:
    target = options.get("target") or _TARGETS[KINDS[type(model).__name__]]
    trial = _Trial(model, target, 0.0, options.get("columns", "numbers"))

    def program(s: pv.Session) -> None:
        made = trial.fit(trial.clone(), s)
        for name in trial.answers:
            getattr(made, name)(s.secret("x", OWNER))

    return program, trial.sample().inputs()


def _of(name: str) -> Callable[[Any, Any], Any]:
    return lambda v, w: getattr(functions, name)(v)


def programs() -> Iterator[tuple[str, Callable[[Any], Any], dict[str, Any]]]:
    from test_conformance import MODELS

    for model, options, _ in MODELS:
        program, inputs = fitted(model, options)
        yield repr(model), program, {"inputs": inputs}
    x = pv.Input(np.linspace(0.1, 3.0, 24).reshape(6, 4), 3.7)
    whole = pv.Input(np.arange(24).reshape(6, 4) % 3, 5)
    one: dict[str, Callable[[Any, Any], Any]] = {
        name: _of(name)
        for name in (
            "exp",
            "exp2",
            "expm1",
            "log",
            "log2",
            "log10",
            "log1p",
            "sqrt",
            "rsqrt",
            "reciprocal",
            "sigmoid",
            "sigmoid_series",
            "tanh",
            "erf",
            "gelu",
            "silu",
            "softplus",
            "relu",
            "softmax",
            "sin",
            "cos",
            "median",
            "sort",
            "var",
            "std",
            "mean",
            "cov",
            "corrcoef",
            "norm",
            "cbrt",
            "logit",
        )
        if hasattr(functions, name)
    }
    one |= {
        "power": lambda v, w: v**1.7,
        "negative power": lambda v, w: v**-3,
        "public power": lambda v, w: 1.3**v,
        "quotient": lambda v, w: v / (v + 0.3),
        "rounded": lambda v, w: v.round(3),
        "clipped": lambda v, w: v.clip(0.3, 1.7),
        "quantile": lambda v, w: functions.quantile(v, 0.37),
        "product": lambda v, w: v @ np.full((4, 2), 0.37),
        "eigenvectors": lambda v, w: functions.top_eigenvectors(v.T @ v, 2),
        "solution": lambda v, w: functions.solve(v.T @ v + np.eye(4), v[:4]),
        "least squares": lambda v, w: functions.lstsq(v, v[:, 0], ridge=0.1),
        "uniform": lambda v, w: pv.random.uniform(v.session, -0.7, 1.9, (8,)),
        "normal": lambda v, w: pv.random.normal(v.session, 0.3, 1.7, (8,)),
        "coins": lambda v, w: pv.random.bernoulli(v.session, 0.37, (8,)),
        "dropout": lambda v, w: pv.random.dropout(v, 0.3),
        "look-up": lambda v, w: functions.lookup(np.linspace(0.0, 1.0, 5) / 3, w),
        "moments": lambda v, w: [stats.mean(v), stats.variance(v), stats.covariance(v), stats.correlation(v)],
        "collinearity": lambda v, w: stats.variance_inflation(v),
        "quantiles": lambda v, w: stats.quantile(v[:, 0], [0.1, 0.37]),
        "two groups": lambda v, w: [stats.ttest(v[:, 0], w[:, 0] == 1), stats.mannwhitneyu(v[:, 0], w[:, 0] == 1)],
        "survival": lambda v, w: [
            stats.kaplan_meier(v[:, 0], w[:, 0] == 1, at=[0.5, 1.7]),
            stats.logrank(v[:, 0], w[:, 0] == 1, w[:, 1] == 1),
        ],
        "classes": lambda v, w: [
            metrics.log_loss(w[:, 0] == 1, v[:, 0] * 0.3),
            metrics.brier_score_loss(w[:, 0] == 1, v[:, 0] * 0.3),
            metrics.roc_auc_score(w[:, 0] == 1, v[:, 0]),
            metrics.average_precision_score(w[:, 0] == 1, v[:, 0]),
            metrics.calibration_curve(w[:, 0] == 1, v[:, 0] * 0.3),
            metrics.f1_score(w[:, 0] == 1, w[:, 1] == 1),
        ],
        "numbers": lambda v, w: [
            metrics.r2_score(v[:, 0], v[:, 1]),
            metrics.root_mean_squared_error(v[:, 0], v[:, 1]),
        ],
    }
    yield from steps()
    for name, fn in one.items():
        yield (
            name,
            lambda s, f=fn: f(s.secret("x", OWNER), s.secret("w", OWNER)),
            {"inputs": {OWNER: {"x": x, "w": whole}}},
        )


def steps() -> Iterator[tuple[str, Callable[[Any], Any], dict[str, Any]]]:
    """Preprocessing, on a table with a category and empty cells."""
    fields = (
        Field("a", "number", 4.0, 3.7, missing=True),
        Field("b", "number", 64.0, 41.3, missing=True),
        Field("c", "category", 1.0, 2.0, ("x", "y", "z")),
    )
    info = TableInfo("t", fields, Field("label", "binary"), 12)
    data = np.column_stack([np.linspace(-3, 3, 9), np.linspace(1, 40, 9), np.arange(9) % 3])
    given = {"inputs": {OWNER: table_inputs(info, data, (np.arange(9) % 2).astype(float))}, "tables": {"t": info}}
    for step in (
        Clip(low=-0.37, high=1.3),
        KBinsDiscretizer(n_bins=3),
        LogTransformer(offset=4.3),
        MinMaxScaler(),
        OneHotEncoder(),
        OrdinalEncoder(),
        PowerTransformer(lambdas=0.37),
        RobustScaler(),
        SimpleImputer(strategy="median"),
        SimpleImputer(),
        StandardScaler(),
        WOEEncoder(),
    ):
        yield repr(step), lambda s, made=step: made.clone().fit_transform(s.table("t")), given


def main() -> None:
    recorder = Recorder()
    for name, program, given in programs():
        try:
            print(recorder.of(program, **given), name)
        except Exception as error:  # whoever compares sees it
            print("failed", name, type(error).__name__, error)


if __name__ == "__main__":
    main()
