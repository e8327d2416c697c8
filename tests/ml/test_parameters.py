"""Parameters of every estimator, extreme and of wrong kinds: each works or is refused by name; none ends in an error
that says nothing. Planned on shapes, as parameters are public.
"""

from __future__ import annotations

import inspect
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.errors import OverflowPlanned, PrivityError, UsageError
from privity.ml.conformance import _TARGETS, _Trial
from privity.ml.estimator import Estimator
from privity.ml.inference import Inference
from privity.ml.kmeans import KMeans
from privity.ml.lasso import Lasso
from privity.ml.least_squares import Ridge
from privity.ml.multinomial import MultinomialLogisticRegression
from privity.ml.opened import KINDS
from privity.ml.parameters import check_parameters
from privity.ml.preprocessing import StandardScaler, Transform
from privity.ml.trees.boosting import GradientBoostingClassifier
from privity.table import Field, TableInfo, table_shapes

WRONG: tuple[Any, ...] = (float("nan"), float("inf"), "x", (), 1j, -1, 5e-324, np.array([1.0, 2.0]))
ODD: tuple[Any, ...] = (1e-16, 1e16)  # these may work, so each parameter is given one of them
CONTRACT = runpy.run_path(str(Path(__file__).with_name("test_conformance.py")))  # where every model is listed
KINDS_OF_MODELS = list({type(m): (m, options) for m, options, _ in CONTRACT["MODELS"]}.values())
TRANSFORMS = [m for m in CONTRACT["OTHERS"] if isinstance(m, Transform)]
INFO = TableInfo("t", (Field("a", bound=8.0), Field("b", bound=1e6), Field("c", categories=("u", "v"))))


def values(model: Estimator) -> list[tuple[str, Any]]:
    """Pairs of a parameter and a value; many steps or trees are not asked for, as they would be made."""
    return [
        (name, v) for i, name in enumerate(model.parameter_names()) for v in (*WRONG, ODD[i % len(ODD)])
    ]


def refused_well(program: Any, inputs: Any, said: str, **more: Any) -> None:
    try:
        pv.plan(program, inputs=inputs, **more)
    except PrivityError as error:
        assert "cannot be planned" not in str(error), (said, str(error))
        if isinstance(error, OverflowPlanned):  # names the model before the line
            assert not str(error).startswith("test_"), (said, str(error))


@pytest.mark.parametrize(("model", "options"), KINDS_OF_MODELS, ids=lambda v: type(v).__name__)
def test_models(model: Any, options: dict[str, Any]) -> None:
    target = options.get("target") or _TARGETS[KINDS[type(model).__name__]]
    trial = _Trial(model, target, 0.0, options.get("columns", "numbers"))
    inputs = trial.sample().inputs()
    for name, value in values(model):
        def program(s: pv.Session, name: str = name, value: Any = value) -> None:
            trial.fit(model.clone().set_params(**{name: value}), s)

        refused_well(program, inputs, f"{type(model).__name__}({name}={value!r})")


EVERY = [*(m for m, _ in KINDS_OF_MODELS), *CONTRACT["OTHERS"]]


@pytest.mark.parametrize("model", EVERY, ids=lambda v: type(v).__name__)
def test_whole_numbers_have_a_limit(model: Any) -> None:
    """Steps that nobody can wait for, and numbers beyond those of machines."""
    for name, parameter in inspect.signature(type(model).__init__).parameters.items():
        kinds = str(parameter.annotation).split(" | ")
        for value in (2**70, np.uint64(2**64 - 1), 2**33) if "int" in kinds else ():
            if name == "random_state" and value < 2**64:
                continue
            changed = model.clone().set_params(**{name: value})
            said = rf"{type(model).__name__}: expected .*{name} to be at most [\d,]+, got"
            with pytest.raises(UsageError, match=said):
                check_parameters(changed)
        if "Sequence[int]" in kinds:
            with pytest.raises(UsageError, match=f"{name} to be at most 65,536"):
                check_parameters(model.clone().set_params(**{name: [2, 2**33]}))


def test_a_limit_is_told_before_anything_is_planned() -> None:
    def program(s: pv.Session) -> None:
        with pytest.raises(UsageError, match=r"Lasso: expected max_iter to be at most 65,536, got 1180591620"):
            Lasso(max_iter=2**70).fit(s.constant(np.ones((8, 2))), s.constant(np.ones(8)))

    pv.plan(program)


@pytest.mark.parametrize("model", TRANSFORMS, ids=lambda v: type(v).__name__)
def test_transforms(model: Any) -> None:
    for name, value in values(model):
        def program(s: pv.Session, name: str = name, value: Any = value) -> None:
            model.clone().set_params(**{name: value}).fit_transform(s.table("t"))

        refused_well(
            program, {"o": table_shapes(INFO, 30)}, f"{type(model).__name__}({name}={value!r})", tables={"t": INFO}
        )


def test_kinds_are_named() -> None:
    def program(s: pv.Session) -> None:
        x = s.constant(np.ones((8, 2)))
        y = s.constant(np.ones(8))
        with pytest.raises(UsageError, match=r"Ridge: expected alpha to be a finite public number, got 'x'"):
            Ridge(alpha="x").fit(x, y)
        with pytest.raises(UsageError, match=r"Ridge: expected fit_intercept to be True or False, got None"):
            Ridge(fit_intercept=None).fit(x, y)
        with pytest.raises(UsageError, match=r"Ridge: expected a table or a secret array .* session\.constant"):
            Ridge().fit(np.ones((8, 2)), y)
        with pytest.raises(OverflowPlanned, match=r"Ridge: .*It may come from coefficient_bound=1e\+16"):
            Ridge(coefficient_bound=1e16).fit(x, y)

    pv.plan(program)


def test_y_is_left_aside_where_nothing_is_learnt_from_it() -> None:
    def program(s: pv.Session) -> None:
        x = s.constant(np.ones((8, 2)))
        KMeans(2, max_iter=1).fit(x, None)
        KMeans(2, max_iter=1).fit(x, y=s.constant(np.ones(8)))
        StandardScaler().fit(s.table("t"), None)
        StandardScaler().fit_transform(s.table("t"), y=None)

    pv.plan(program, inputs={"o": table_shapes(INFO, 30)}, tables={"t": INFO})


def test_a_share_of_rows_in_which_none_is_drawn() -> None:
    """Then one row is: 1e-16 of 40 rows."""

    def program(s: pv.Session) -> None:
        x, y = s.constant(np.arange(80).reshape(40, 2) % 7), s.constant(np.arange(40) % 2)
        GradientBoostingClassifier(n_estimators=2, max_depth=2, subsample=1e-16).fit(x, y)

    pv.simulate(program)


@pytest.mark.parametrize("alpha", [1e-7, 1e-10])
def test_softmax_with_hardly_any_penalty(alpha: float) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    draw = np.random.default_rng(0)
    x = draw.normal(size=(300, 2))
    y = (x @ draw.normal(size=(2, 3)) + draw.gumbel(size=(300, 3))).argmax(axis=1)

    def program(s: pv.Session) -> Any:
        model = MultinomialLogisticRegression(3, alpha=alpha).fit(s.secret("x", "o"), s.secret("y", "o"))
        return s.reveal(model.coef_, to="all", name="coef", reason="test")

    found = pv.simulate(program, inputs={"o": {"x": pv.Input(x, bound=8.0), "y": y}}).output
    want = linear_model.LogisticRegression(C=1 / (alpha * 300), tol=1e-10, max_iter=10_000).fit(x, y).coef_
    assert np.abs(found - want).max() < 1e-4


def test_small_coefficients_are_printed_with_their_digits() -> None:
    found = Inference(("income", "const"), np.array([3.21e-6, 12.5]), np.array([4.5e-7, 0.25]))
    assert "3.21e-06" in str(found) and "4.5e-07" in str(found) and "12.5000" in str(found)
