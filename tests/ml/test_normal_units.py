"""Linear regressions find their own scale: units, offsets and loose bounds of columns and targets do not matter."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from sklearn import linear_model as central

import privity as pv
from privity.errors import RangeViolated
from privity.ml import ElasticNet, Lasso, LinearRegression, Ridge
from privity.ml.guards import Guards
from privity.ml.line import _LEAST, _WIDEST, _ranged
from privity.ml.normal_units import two_to
from privity.mpc.plain import InsecurePlain

RNG = np.random.default_rng(5)
N = 250
Z = RNG.normal(size=(N, 3))
Z[:, 1] += 0.5 * Z[:, 0]
Z /= Z.std(0)
T = Z @ [1.0, 0.5, -0.2] + RNG.normal(size=N)
T /= T.std()

SIZES = (1e-4, 1.0, 1e6)  # deviations of columns and of the target
LOOSE = ((1, 1), (1e6, 1), (1, 1e6), (1e6, 1e6), (1e3, 1e3))  # bounds over the largest value
OFFSETS = ((0, 0), (1000, 0), (0, 1000), (1000, 1000))  # in deviations
CASES = [
    (sizes, loose, offsets)
    for sizes, loose, offsets in itertools.product(itertools.product(SIZES, SIZES), LOOSE, OFFSETS)
    if max(a * b for a, b in zip(loose, offsets, strict=True)) <= 1e6  # deviations are 2^-22 of their bound at least
]


def bits(values: Any, bound: float) -> int:
    """Fractional bits of numbers that have digits."""
    return int(min(44, 52 - np.ceil(np.log2(bound))))


def fitted(model: Any, x: Any, y: Any, loose: tuple[float, float], **extra: Any) -> Any:
    """What was learnt, and under its name and "unit" the unit in the last place."""

    def program(s: pv.Session) -> Any:
        cells = s.secret("x", "o")
        made = model.clone().fit(cells, s.secret("y", "o"), **{k: s.secret(k, "o") for k in extra})
        found = {
            "coef": made.coef_, "intercept": made.intercept_, "whole": made.coefficients_,
            "errors": made.standard_errors_, "rows": made.predict(cells),
        }  # fmt: skip
        units = {f"{k} unit": 2.0**-v.scale for k, v in found.items() if v is not None}
        return units | {
            k: s.reveal(v, to="all", name=k, reason="test") for k, v in found.items() if v is not None
        }  # fmt: skip

    given = {}
    for name, values, times in (("x", x, loose[0]), ("y", y, loose[1])):
        bound = float(np.abs(values).max() * times * 1.001)
        given[name] = pv.Input(values, bound=bound, scale=bits(values, bound))
    given |= {k: pv.Input(v, bound=float(v.max())) for k, v in extra.items()}
    return pv.simulate(program, inputs={"o": given}, protocol=InsecurePlain(), parties=1).output


def right(x: Any, y: Any, alpha: float, intercept: bool = True) -> tuple[Any, Any, Any]:
    """Coefficients, their standard errors, predictions: of columns of deviation 1, for the sake of float64."""
    middle, mean = (x.mean(0), y.mean()) if intercept else (0 * x[0], 0.0)
    size = x.std(0)
    z = (x - middle) / size
    inverse = np.linalg.inv(z.T @ z + np.diag(alpha / size**2))
    slopes = inverse @ z.T @ (y - mean)
    rows = mean + z @ slopes
    variance = ((y - rows) ** 2).sum() / (len(y) - x.shape[1] - intercept)
    place = middle / size
    errors = np.sqrt(variance * np.append(np.diag(inverse) / size**2, 1 / len(y) + place @ inverse @ place))
    return np.append(slopes / size, mean - place @ slopes), errors, rows


def off(got: Any, name: str, want: Any, units: float = 1.5) -> Any:
    """By how much more than ``units`` in the last place."""
    return np.maximum(0, np.abs(got[name] - want) - units * got[f"{name} unit"])


def scaled(case: Any) -> tuple[Any, Any, Any]:
    """x, y and loose bounds, rounded to the digits that are shared."""
    sizes, loose, offsets = case
    made = []
    for values, size, times, offset in zip((Z, T), sizes, loose, offsets, strict=True):
        moved = (values + offset) * size
        unit = 2.0 ** -bits(moved, float(np.abs(moved).max() * times * 1.001))
        made.append(np.round(moved / unit) * unit)
    return *made, loose


@pytest.mark.parametrize("turn", range(6))
def test_least_squares_of_any_scale(turn: int) -> None:
    """The errors that docs/models/linear.md states, over all it states."""
    for number, case in enumerate(CASES[turn::6]):
        x, y, loose = scaled(case)
        alpha = [0.0, 2.0 * case[0][0] ** 2][number % 2]
        got = fitted(Ridge(alpha) if alpha else LinearRegression(), x, y, loose)
        coef, errors, rows = right(x, y, alpha)
        assert (off(got, "coef", coef[:-1]) / errors[:-1]).max() < 1e-5, case
        assert off(got, "intercept", coef[-1]) / errors[-1] < 1e-5, case
        assert (off(got, "whole", coef) / errors).max() < 1e-5, case
        assert (off(got, "errors", errors) / errors).max() < 1e-5, case
        assert (off(got, "rows", rows, 2) / y.std()).max() < 2e-5, case


@pytest.mark.parametrize("case", [c for c in CASES if c[2] == (0, 0)][::3], ids=str)
def test_without_an_intercept(case: Any) -> None:
    x, y, loose = scaled(case)
    got = fitted(LinearRegression(fit_intercept=False), x, y, loose)
    coef, errors, rows = right(x, y, 0.0, intercept=False)
    assert (off(got, "coef", coef[:-1]) / errors[:-1]).max() < 1e-5
    assert (off(got, "errors", errors[:-1]) / errors[:-1]).max() < 1e-5
    assert (off(got, "rows", rows, 2) / y.std()).max() < 2e-5


@pytest.mark.parametrize("case", CASES[::9], ids=str)
def test_lasso_of_any_scale(case: Any) -> None:
    x, y, loose = scaled(case)
    apart, unit, size = x - x.mean(0), x.std(0).max(), y.std()
    for ratio in (1.0, 0.9):
        plain = central.ElasticNet(0.05, l1_ratio=ratio, tol=1e-12, max_iter=100_000)  # in units, for float64
        slopes = plain.fit(apart / unit, (y - y.mean()) / size).coef_ * size / unit
        absolute, squared = 0.05 * ratio * unit * size, 0.05 * (1 - ratio) * unit**2
        both = absolute + squared
        model = Lasso(absolute) if ratio == 1 else ElasticNet(both, l1_ratio=absolute / both)
        got = fitted(model, x, y, loose)
        assert (off(got, "coef", slopes) * unit).max() < 1e-4 * size
        assert ((got["coef"] == 0) == (slopes == 0)).all()
        assert off(got, "rows", y.mean() + apart @ slopes, 2).max() < 2e-4 * size


def test_weights_and_a_mask() -> None:
    real, weight = RNG.random(N) < 0.7, RNG.integers(1, 4, N).astype(float)
    x, y = Z * 100 + 300, T * 10 + 1e4
    plain = central.LinearRegression().fit(x[real], y[real], sample_weight=weight[real])
    got = fitted(LinearRegression(), x * real[:, None], y, (10, 100), valid=real.astype(np.int64), sample_weight=weight)
    assert np.abs((plain.coef_ - got["coef"]) * 100).max() < 1e-5 * y.std()
    assert abs(plain.intercept_ - got["intercept"]) < 1e-4 * y.std()
    assert np.abs(got["rows"] - plain.predict(x))[real].max() < 2e-5 * y.std()


@pytest.mark.parametrize("sizes", [(1.0, 1.0), (1e6, 1e-2), (1e-4, 1e3)])
def test_inference_and_likelihood_of_masked_rows(sizes: tuple[float, float]) -> None:
    """Degrees of freedom, which are secret, are opened beside coefficients of any scale."""
    real = RNG.random(N) < 0.8
    x, y, _ = scaled((sizes, (1, 1), (0, 0)))

    def program(s: pv.Session) -> Any:
        cells, target, valid = (s.secret(k, "o") for k in ("x", "y", "valid"))
        made = LinearRegression().fit(cells, target, valid=valid)
        score = made.log_likelihood(cells, target, valid=valid)
        found = made.inference(to="all", name="found", reason="test")
        return found, s.reveal(score, to="all", name="score", reason="test")

    given: dict[str, Any] = {"valid": real}
    for name, values in (("x", x), ("y", y)):
        bound = float(np.abs(values).max() * 1.001)
        given[name] = pv.Input(values, bound=bound, scale=bits(values, bound))
    found, score = pv.simulate(program, inputs={"o": given}, protocol=InsecurePlain(), parties=1).output
    coef, errors, rows = right(x[real], y[real], 0.0)
    left = y[real] - rows
    assert np.abs((found.coefficients - coef) / errors).max() < 2e-5
    assert np.abs(found.standard_errors / errors - 1).max() < 2e-5
    assert found.freedom == real.sum() - 4
    want = -0.5 * real.sum() * (np.log(2 * np.pi * (left**2).mean()) + 1)
    assert abs(score - want) < 5e-3


def test_constants_have_coefficient_0() -> None:
    x = np.column_stack([Z, np.full(N, 7.0)])
    got = fitted(LinearRegression(), x, T, (1, 1))
    assert got["coef"][3] == 0 and got["errors"][3] == 0
    got = fitted(LinearRegression(), Z, np.full(N, 12.5), (1, 10))
    assert np.abs(got["whole"] - [0, 0, 0, 12.5]).max() < 1e-4


def test_what_has_no_digits_is_refused_by_name() -> None:
    with pytest.raises(RangeViolated, match="columns x0, x1, x2: the values vary by less than 4 units"):
        fitted(LinearRegression(), Z * [1e-13, 1, 1], T, (1, 1))


@pytest.mark.parametrize(("model", "d", "masked", "rounds", "per_row", "asked"), [
    (LinearRegression(), 2, False, 320, 125, 46), (Ridge(2.0), 2, False, 390, 142, 46),
    (LinearRegression(), 20, False, 330, 560, 46), (LinearRegression(), 2, True, 450, 240, 46),
], ids=str)  # fmt: skip
def test_costs(model: Any, d: int, masked: bool, rounds: int, per_row: float, asked: float) -> None:
    """Rounds, and bytes per party and row of 1,000, that docs/models/linear.md states; a prediction takes 14 rounds."""
    n, found = 1000, []
    x = RNG.normal(size=(n, d)).clip(-4, 4)

    def program(s: pv.Session) -> None:
        cells, y, party = s.secret("x", "o"), s.secret("y", "o"), s._context.protocol.party
        words = {"valid": s.secret("valid", "o")} if masked else {}
        at = [(party.rounds, party.sent) if party else (0, 0)]
        made = model.clone().fit(cells, y, **words)
        at.append((party.rounds, party.sent) if party else (0, 0))
        made.predict(cells)
        at.append((party.rounds, party.sent) if party else (0, 0))
        found.append(at)

    inputs = {"x": pv.Input(x, bound=4.0), "y": pv.Input(x[:, 0], bound=16.0), "valid": np.ones(n, bool)}
    pv.simulate(program, inputs={"o": inputs})
    spent = np.diff([at for at in found if at[0][0] or at[1][0]], axis=1)
    assert spent[:, 0, 0].max() <= rounds and spent[:, 1, 0].max() <= 14, spent
    assert spent[:, :, 1].mean(0)[0] <= per_row * n and spent[:, :, 1].mean(0)[1] <= asked * n, spent.mean(0) / n


@pytest.mark.parametrize(
    ("place", "holds"), [(_LEAST, True), (_WIDEST, True), (_LEAST - 1, False), (_WIDEST + 1, False)]
)
def test_a_power_of_two_beyond_its_room_is_guarded(place: int, holds: bool) -> None:
    """Its six digits would be those of another power, and a coefficient wrong by powers of two."""

    def program(s: pv.Session) -> Any:
        given = s.secret("e", "o")
        context, guards = given._context, Guards(given._context)
        _ranged(guards, context, given._ring_share(), _LEAST, "the unit has room")
        guards.ask()
        found = pv.SecureArray(context, two_to(context.protocol, given._ring_share()), 0, 2.0**60)
        return s.reveal(found, to="all", name="power", reason="test")

    inputs = {"o": {"e": pv.Input(np.array([place]), 64.0)}}
    if holds:
        assert pv.simulate(program, inputs=inputs).output.tolist() == [2.0**place]
        return
    with pytest.raises(RangeViolated, match="the unit has room"):
        pv.simulate(program, inputs=inputs)
