"""Class weights on shares beside scikit-learn's, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

import privity as pv
from privity.errors import RangeViolated, UsageError
from privity.ml.class_weight import check_class_weight, class_factors

ROWS = 400
DRAW = np.random.default_rng(3)
WEIGHT = DRAW.random(ROWS)
REAL = (DRAW.random(ROWS) < 0.8).astype(np.int64)
CLASSES = np.where(np.arange(ROWS) % 100 == 7, 2, DRAW.integers(0, 2, ROWS))


def factors(wanted: Any, classes: int, y: np.ndarray, masked: bool = False, weighted: bool = False) -> np.ndarray:
    def program(s: pv.Session) -> Any:
        labels = s.secret("y", "o")
        labels = (labels > 0).numeric() if classes == 2 else labels
        valid = (s.secret("valid", "o") > 0).numeric() if masked else None
        weight = s.secret("weight", "o") if weighted else None
        found = class_factors("Model", wanted, classes, labels, valid=valid, weight=weight)
        assert found is not None
        return s.reveal(found, to="all", name="factors", reason="test")

    given = {"y": y, "valid": REAL, "weight": pv.Input(WEIGHT, 1.0)}
    return np.asarray(pv.simulate(program, inputs={"o": given}).output)


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize(("masked", "weighted"), [(False, False), (True, False), (False, True), (True, True)])
def test_balanced_is_that_of_scikit_learn(classes: int, masked: bool, weighted: bool) -> None:
    """Also where a class of the model does not occur: 4 are declared, 3 are there."""
    y = np.minimum(CLASSES, classes - 1)
    real = REAL > 0 if masked else np.ones(ROWS, bool)
    there = np.unique(y[real])
    weight = WEIGHT[real] if weighted else None
    right = compute_class_weight("balanced", classes=there, y=y[real], sample_weight=weight)
    right = right[np.searchsorted(there, y[real])]
    got = factors("balanced", classes, y, masked, weighted)[real]
    assert np.abs(got / right - 1).max() < (2.0**-16 if weighted else 2.0**-19)


@pytest.mark.parametrize("wanted", [{0: 1, 1: 3}, {1: 3}, {1: 1e-3, 0: 0}, {np.int64(0): 0.5, True: 1e5}, (0.5, 10)])
def test_stated_weights(wanted: Any) -> None:
    y = (CLASSES > 0).astype(np.int64)
    each = dict(enumerate(wanted)) if isinstance(wanted, tuple) else wanted
    right = np.array([each.get(int(k), 1.0) for k in y])
    assert np.abs(factors(wanted, 2, y) - right).max() <= 2.0**-20 * max(each.values())
    wider = factors({2: 7.5, 0: 2}, 3, CLASSES)
    assert wider.tolist() == np.array([2, 1, 7.5])[CLASSES].tolist()


@pytest.mark.parametrize(("wanted", "named"), [
    ({2: 1.0}, "a weight for 2, which is no class"), ({"yes": 1.0}, "a weight for 'yes'"), ({-1: 1, 1: 2}, "for -1"),
    ({0: -1.0}, "of class 0: .* at least 0, got -1"), ({1: float("inf")}, "got inf"), ({1: float("nan")}, "got nan"),
    ({1: "3"}, "got '3'"), ({0: 0, 1: 0}, "every class the weight 0"), ("balance", "'balanced' or None, got 'balance'"),
    ("balanced_subsample", "'balanced' or None"), ((1, 2, 3), "2 weights"), (3.0, "got 3.0"),
])  # fmt: skip
def test_what_is_refused(wanted: Any, named: str) -> None:
    with pytest.raises(UsageError, match=f"Model: class_weight.*{named}"):
        check_class_weight("Model", wanted, 2)


def test_a_class_without_weight_to_speak_of_is_named() -> None:
    def program(s: pv.Session) -> None:
        y = s.constant(np.array([0, 0, 1])) > 0
        class_factors("Model", "balanced", 2, y.numeric(), weight=s.constant(np.array([1e4, 1e4, 2e-4])))
        s.check_guards()

    with pytest.raises(RangeViolated, match="Model: class_weight='balanced' has no factor"):
        pv.simulate(program)


def test_what_it_costs() -> None:
    """Rounds for public weights: none; for balanced ones those of a quotient of each class's rows."""

    def program(s: pv.Session, wanted: Any) -> None:
        flags = s.secret("y", "o")
        flags = pv.one_hot(flags, 3)
        class_factors("Model", wanted, 3, flags)

    spent = [
        pv.simulate(lambda s, w=w: program(s, w), inputs={"o": {"y": CLASSES}}) for w in (None, {1: 2.5}, "balanced")
    ]
    assert spent[0].rounds == spent[1].rounds and spent[0].payload_sent == spent[1].payload_sent
    assert spent[2].rounds - spent[0].rounds < 50
    assert max(spent[2].payload_sent.values()) - max(spent[0].payload_sent.values()) < 8 * ROWS + 2500
