"""Arguments of every metric and statistic, of wrong kinds, sizes and shapes: refused by the argument's name. Planned on
shapes, as all that is wrong here is public.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import privity as pv
from privity import stats
from privity.errors import PrivityError
from privity.ml import metrics
from privity.table import Field, TableInfo, table_shapes

N = 12
INFO = TableInfo(
    "t",
    (Field("a", "number", 8.0, 8.0), Field("b", "number", 8.0, 8.0, missing=True),
     Field("c", "category", categories=("u", "v"))),
)  # fmt: skip
FUNCTIONS = {n: getattr(m, n) for m in (metrics, stats) for n in m.__all__ if inspect.isfunction(getattr(m, n))}
RIGHT = {
    "y_true": "flags", "y_pred": "flags", "y_proba": "shares", "y_score": "numbers", "x": "numbers", "a": "flags",
    "b": "flags", "group": "flags", "times": "shares", "events": "flags", "event_times": "shares", "y": "flags",
    "event_observed": "flags", "predicted_scores": "numbers", "counts": "counts", "table": "table",
}  # fmt: skip
OF_COLUMNS = ("covariance", "correlation", "variance_inflation", "permutation_importance")
PLAIN: dict[str, Any] = {"q": 0.5, "rows": 2, "columns": 2, "at": [0.5, 0.7], "scoring": "accuracy"}
NEVER: tuple[Any, ...] = (
    float("nan"), float("inf"), "x", (), 1j, -1, 1e300, 2**70, np.array([np.nan] * N), np.array(["a"] * N), object(),
    {}, -np.ones(N), ["x"] * N, [[1], [1, 2]], INFO,
)  # fmt: skip
PUBLIC: tuple[Any, ...] = (0, True, 0.5, [1, 2, 3], np.ones(N), np.array([1.0, 2.0]))
"""What may be right where a public value is wanted; never where a secret one is."""
OPTIONAL = ("valid", "sample_weight")


def test_the_functions_are_those_of_the_pages() -> None:
    assert len(FUNCTIONS) == 30 and set(FUNCTIONS) >= {"roc_auc_score", "permutation_importance", "ttest", "describe"}


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_arguments(name: str) -> None:
    function = FUNCTIONS[name]
    parameters = inspect.signature(function).parameters

    def program(s: pv.Session) -> None:
        draw = np.random.default_rng(0)
        given = {
            "flags": s.constant(draw.integers(0, 2, N)), "shares": s.constant(draw.random(N)), "table": s.table("t"),
            "numbers": s.constant(draw.normal(size=(N, 3) if name in OF_COLUMNS else N)),
            "counts": s.constant(np.arange(6).reshape(2, 3)),
        }  # fmt: skip
        shapes = (s.constant(3.5), given["shares"][:5], s.constant(np.ones((N, 2, 2))))
        right = {n: given[RIGHT[n]] for n in parameters if n in RIGHT}
        right |= {n: v for n, v in PLAIN.items() if n in parameters and (n != "columns" or name == "crosstab")}
        if name == "permutation_importance":
            right["estimator"] = None
        else:
            function(**right)
        for argument in parameters:
            if argument in ("estimator", "scoring"):
                continue
            secret = argument in RIGHT or argument == "valid"
            wrong = [*NEVER, *(PUBLIC if secret else ()), *(shapes if argument in OPTIONAL else ())]
            wrong += [] if argument in OPTIONAL or parameters[argument].default is None else [None]
            for value in wrong:
                if name == "describe" and isinstance(value, list) and argument == "columns":
                    continue  # names of columns, which the table does not have
                if argument == "sample_weight" and isinstance(value, np.ndarray) and value.dtype == float:
                    value = np.append(value, 1.0)
                with pytest.raises(PrivityError) as caught:
                    function(**{**right, argument: value})
                said = str(caught.value)
                assert argument in said and name in said and "cannot be planned" not in said, (argument, value, said)

    pv.plan(program, inputs={"o": table_shapes(INFO, N)}, tables={"t": INFO})


def test_shapes_that_do_not_fit_are_told_by_name() -> None:
    def program(s: pv.Session) -> None:
        one, two = s.constant(np.zeros(4, np.int64)), s.constant(np.zeros(5, np.int64))
        with pytest.raises(PrivityError, match=r"f1_score: .*; shapes: y_true \(4,\), y_pred \(5,\)"):
            metrics.f1_score(one, two)
        with pytest.raises(PrivityError, match=r"logrank: .*; shapes: times \(4,\), events \(4,\), group \(5,\)"):
            stats.logrank(one, one, two)
        with pytest.raises(PrivityError, match=r"f1_score: missing a required argument: 'y_pred'; its arguments: y_"):
            metrics.f1_score(one)  # type: ignore[call-arg]

    pv.plan(program)
