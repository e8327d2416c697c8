"""Linear regressions find their own scale: units, offsets and loose bounds of columns and targets do not matter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import linear_model as central

import privity as pv
from privity.errors import RangeViolated
from privity.ml import ElasticNet, Lasso, LinearRegression, Ridge
from privity.ml.normal_units import _LEAST, _SHIFT, _WIDEST, power
from privity.mpc.plain import InsecurePlain

RNG = np.random.default_rng(5)
N = 250
Z = RNG.normal(size=(N, 3))
Z[:, 1] += 0.5 * Z[:, 0]
T = Z @ [1.0, 0.5, -0.2] + RNG.normal(size=N)

CASES: dict[str, tuple[Any, Any, float, float]] = {  # x, y, and how loose their bounds are
    "plain": (Z, T, 1, 1),
    "large columns, small target": (Z * 1e4, T * 1e3, 1, 1),
    "a loose target": (Z, T * 100, 1, 1e6),
    "loose columns": (Z, T, 1e3, 1),
    "both": (Z * 1e4, T * 1e3, 100, 1e4),
    "huge": (Z * 1e9, T * 1e9, 1, 1),
    "mixed units": (Z * [0.1, 1.0, 1e3], T, 1, 1),
    "offsets": (Z * 5 + 2000, T + 1e5, 1, 1),
}


def fitted(model: Any, x: Any, y: Any, loose: tuple[float, float], **extra: Any) -> Any:
    def program(s: pv.Session) -> Any:
        cells = s.secret("x", "o")
        made = model.clone().fit(cells, s.secret("y", "o"), **{k: s.secret(k, "o") for k in extra})
        found = {"coef": made.coefficients_, "errors": made.standard_errors_, "rows": made.predict(cells)}
        return {
            k: s.reveal(v, to="all", name=k, reason="test") for k, v in found.items() if v is not None
        }  # fmt: skip

    inputs = {
        "x": pv.Input(x, bound=float(np.abs(x).max() * loose[0])),
        "y": pv.Input(y, bound=float(np.abs(y).max() * loose[1])),
        **{k: pv.Input(v, bound=float(v.max())) for k, v in extra.items()},
    }  # fmt: skip
    return pv.simulate(program, inputs={"o": inputs}, protocol=InsecurePlain, parties=1).output


def right(x: Any, y: Any, alpha: float) -> tuple[Any, Any, Any]:
    """Coefficients, their standard errors, predictions: of centred columns, for the sake of float64."""
    apart, middle = x - x.mean(0), y.mean()
    size = apart.std(0)
    z = apart / size
    inverse = np.linalg.inv(z.T @ z + np.diag(alpha / size**2))
    slopes = inverse @ z.T @ (y - middle)
    rows = middle + z @ slopes
    variance = ((y - rows) ** 2).sum() / (len(y) - x.shape[1] - 1)
    place = x.mean(0) / size
    errors = np.sqrt(variance * np.append(np.diag(inverse) / size**2, 1 / len(y) + place @ inverse @ place))
    return np.append(slopes / size, middle - place @ slopes), errors, rows


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("alpha", [0.0, 2.0])
def test_least_squares_of_any_scale(case: str, alpha: float) -> None:
    x, y, *loose = CASES[case]
    got = fitted(Ridge(alpha) if alpha else LinearRegression(), x, y, tuple(loose))
    coef, errors, rows = right(x, y, alpha)
    within = 4e-3 if case == "a loose target" else 1e-4  # 6 fractional bits are left there, of errors of 6
    assert np.abs((got["coef"] - coef) / errors).max() < within
    assert np.abs(got["errors"] / errors - 1).max() < within
    assert np.abs(got["rows"] - rows).max() < 2e-4 * y.std()


@pytest.mark.parametrize("case", CASES)
def test_lasso_of_any_scale(case: str) -> None:
    x, y, *loose = CASES[case]
    alpha = 0.05 * y.std() * x[:, 1].std()
    for model, plain in ((Lasso(alpha), central.Lasso), (ElasticNet(alpha, l1_ratio=0.9), central.ElasticNet)):
        words = {"l1_ratio": 0.9} if isinstance(model, ElasticNet) else {}
        best = plain(alpha, tol=1e-12, max_iter=100_000, **words).fit(x, y)
        got = fitted(model, x, y, tuple(loose))
        assert np.abs((got["coef"][:-1] - best.coef_) * x.std(0)).max() < 1e-4 * y.std()
        assert ((got["coef"][:-1] == 0) == (best.coef_ == 0)).all()
        assert np.abs(got["rows"] - best.predict(x)).max() < 2e-4 * y.std()


def test_weights_and_a_mask() -> None:
    real, weight = RNG.random(N) < 0.7, RNG.integers(1, 4, N).astype(float)
    x, y = Z * 100 + 300, T * 10 + 1e4
    plain = central.LinearRegression().fit(x[real], y[real], sample_weight=weight[real])
    got = fitted(LinearRegression(), x * real[:, None], y, (10, 100), valid=real.astype(np.int64), sample_weight=weight)
    off = np.append(plain.coef_, plain.intercept_) - got["coef"]
    assert np.abs(off[:-1] * 100).max() < 1e-4 * y.std() and abs(off[-1]) < 1e-3 * y.std()
    assert np.abs(got["rows"] - plain.predict(x))[real].max() < 2e-4 * y.std()


def test_constants_have_coefficient_0() -> None:
    x = np.column_stack([Z, np.full(N, 7.0)])
    got = fitted(LinearRegression(), x, T, (1, 1))
    assert got["coef"][3] == 0 and got["errors"][3] == 0
    got = fitted(LinearRegression(), Z, np.full(N, 12.5), (1, 10))
    assert np.abs(got["coef"] - [0, 0, 0, 12.5]).max() < 1e-4


def test_what_has_no_digits_is_refused_by_name() -> None:
    with pytest.raises(RangeViolated, match="x: the values vary by less than 4 units in the last place"):
        fitted(LinearRegression(), Z * [1e-6, 1, 1], T, (1, 1))


@pytest.mark.parametrize(
    ("place", "holds"), [(_LEAST, True), (_WIDEST, True), (_LEAST - 1, False), (_WIDEST + 1, False)]
)
def test_a_power_of_two_beyond_its_room_is_guarded(place: int, holds: bool) -> None:
    """Its six digits would be those of another power, and a coefficient wrong by powers of two."""

    def program(s: pv.Session) -> Any:
        exponent = s.secret("e", "o")
        found = power(exponent._context, exponent._ring_share(), 0, "the unit has room")
        return s.reveal(pv.SecureArray(exponent._context, found, 0, 2.0**60), to="all", name="power", reason="test")

    def run() -> Any:
        return pv.simulate(program, inputs={"o": {"e": pv.Input(np.array([place - _SHIFT]), 64.0)}}).output

    if holds:
        assert run().tolist() == [2.0**place]
        return
    with pytest.raises(RangeViolated, match="the unit has room"):
        run()
