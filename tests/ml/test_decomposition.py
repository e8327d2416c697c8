"""Principal components and the truncated singular value decomposition against scikit-learn, and bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA as PlainPCA
from sklearn.decomposition import TruncatedSVD as PlainSVD
from sklearn.preprocessing import StandardScaler

import privity as pv
from privity.errors import RangeViolated, ShapeError, UsageError
from privity.ml.decomposition import PCA, Decomposition, TruncatedSVD
from privity.mpc.plain import InsecurePlain
from privity.table import TableInfo, numbers, table_inputs

DATA = {f.__name__[5:]: StandardScaler().fit_transform(f().data) for f in (load_iris, load_wine, load_breast_cancer)}
DATA["digits"] = load_digits().data[:600] / 16
LEARNT = ("components_", "singular_values_", "explained_variance_", "explained_variance_ratio_")


def fitted(model: Decomposition, x: np.ndarray, valid: np.ndarray | None = None, **more: Any) -> tuple[Any, Any]:
    """What a fit learns and makes of its rows, opened, and the run."""

    def program(s: pv.Session) -> dict[str, Any]:
        given, mask = s.secret("x", "o"), None if valid is None else s.secret("valid", "o")
        made = model.clone().fit(given, valid=mask)
        found = {name: getattr(made, name) for name in LEARNT}
        found["transform"] = made.transform(given)
        found["back"] = made.inverse_transform(found["transform"])
        return {n: s.reveal(v, to="all", name=n, reason="test") for n, v in found.items()}

    masks = {} if valid is None else {"valid": valid}
    run = pv.simulate(program, inputs={"o": {"x": pv.Input(x, bound=16.0), **masks}}, check_range=True, **more)
    return run.output, run


def agree(got: dict[str, np.ndarray], best: Any, x: np.ndarray, room: float = 1.0) -> None:
    """Limits: three times the largest error of many runs at least, for the roundings are drawn anew each time."""

    def near(one: np.ndarray, two: np.ndarray, limit: float) -> None:
        assert np.abs(one - two).max() < limit * room

    near(got["components_"], best.components_, 6e-6)  # signs too
    near(got["singular_values_"] / best.singular_values_, np.ones(len(best.singular_values_)), 4e-5)
    near(got["explained_variance_"], best.explained_variance_, 1.5e-4)
    near(got["explained_variance_ratio_"], best.explained_variance_ratio_, 2e-5)
    near(got["transform"][: len(x)], best.transform(x), 6e-5)
    near(got["back"][: len(x)], best.inverse_transform(best.transform(x)), 6e-5)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", DATA)
def test_principal_components_are_those_of_scikit_learn(name: str, masked: bool) -> None:
    x = DATA[name]
    count = min(4, x.shape[1] - 1)
    rows = np.vstack([x, np.full((9, x.shape[1]), 5.0)]) if masked else x
    got, run = fitted(PCA(count), rows, np.r_[np.ones(len(x), int), np.zeros(9, int)] if masked else None)
    agree(got, PlainPCA(count, svd_solver="full").fit(x), x)
    assert run.rounds <= count * (41 * 10 + 70) + 60 + 10 + 70 * masked  # 10: what transforms take


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", ["iris", "digits"])
def test_singular_vectors_are_those_of_scikit_learn(name: str, masked: bool) -> None:
    x = DATA[name]
    count = min(4, x.shape[1] - 1)
    rows = np.vstack([x, np.full((9, x.shape[1]), 5.0)]) if masked else x
    got, _ = fitted(TruncatedSVD(count), rows, np.r_[np.ones(len(x), int), np.zeros(9, int)] if masked else None)
    agree(got, PlainSVD(count, algorithm="arpack").fit(x), x, room=4)  # two directions of digits are nearly as long


def test_steps_that_did_not_converge_still_give_orthogonal_directions() -> None:
    x = np.random.default_rng(3).normal(size=(300, 8))  # eigenvalues close together
    got, _ = fitted(PCA(4, squarings=2), x)
    assert np.abs(got["components_"] @ got["components_"].T - np.eye(4)).max() < 1e-5
    assert np.abs(fitted(PCA(2, squarings=10), x)[0]["components_"] - PlainPCA(2).fit(x).components_).max() < 1e-3


def test_a_constant_column_has_no_loading() -> None:
    x = np.column_stack([DATA["iris"], np.full(150, 3.0)])
    got, _ = fitted(PCA(2), x)
    assert np.abs(got["components_"][:, 4]).max() < 1e-6


@pytest.mark.parametrize(
    ("model", "x"),
    [
        (PCA(1), np.full((20, 3), 2.0)),  # nothing varies
        (PCA(2), np.outer(np.arange(20.0) / 10, [1.0, 2.0, -1.0])),  # rank 1
        (TruncatedSVD(1), np.zeros((20, 3))),
    ],
)
def test_directions_without_variance_are_found(model: Decomposition, x: np.ndarray) -> None:
    with pytest.raises(RangeViolated, match="ask for fewer, drop constant columns"):

        def program(s: pv.Session) -> None:
            model.clone().fit(s.secret("x", "o"))

        pv.simulate(program, inputs={"o": {"x": pv.Input(x, bound=16.0)}})


def test_a_table_with_padding_gives_what_its_rows_give() -> None:
    x = DATA["iris"]
    info = TableInfo("t", numbers([f"c{i}" for i in range(4)], [4.0] * 4), None, 90)
    parts = {"a": table_inputs(info, x[:80]), "b": table_inputs(info, x[80:])}

    def program(s: pv.Session) -> Any:
        made = PCA(2).fit(s.table("t"))
        assert made.names_ == ("c0", "c1", "c2", "c3")
        return s.reveal(made.components_, to="all", name="components", reason="test")

    got = pv.simulate(program, inputs=parts, tables={"t": info}).output
    assert np.abs(got - PlainPCA(2).fit(x).components_).max() < 1e-4


def test_wrong_input_is_refused() -> None:
    def program(s: pv.Session) -> None:
        x = s.constant(np.eye(4))
        for model in (PCA, TruncatedSVD):
            for wrong in (x[:, 0], x[:0], x[:, :0]):
                with pytest.raises(ShapeError):
                    model(1).fit(wrong)
            with pytest.raises(ShapeError, match="at most min"):
                model(5).fit(x)
            with pytest.raises(UsageError, match="n_components"):
                model(0).fit(x)
            with pytest.raises(UsageError, match="squarings"):
                model(1, squarings=0).fit(x)
            with pytest.raises(UsageError, match="call fit first"):
                model(1).transform(x)
        with pytest.raises(ShapeError, match="two rows"):
            PCA(1).fit(x[:1])
        with pytest.raises(ShapeError, match="4 columns"):
            PCA(1).fit(x).transform(x[:, :3])

    pv.simulate(program, protocol=InsecurePlain(), parties=1)
