"""Matrix factorisation on shares against the same steps in float64, on digits with hidden pixels, and bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

import privity as pv
from privity.errors import RangeViolated, ShapeError, UsageError
from privity.ml.factorization import MatrixFactorization
from privity.mpc.plain import InsecurePlain
from privity.ring import exact

DIGITS = load_digits().data[:120] / 4  # ratings from 0 to 4 of 64 items
SEEN = (np.random.default_rng(5).random(DIGITS.shape) < 0.7).astype(np.int64)


def fitted(
    model: MatrixFactorization, ratings: np.ndarray, seen: np.ndarray | None = None, check: bool = True
) -> tuple[Any, Any]:
    """What a fit learns and predicts, opened, and the run."""

    def program(s: pv.Session) -> dict[str, Any]:
        made = model.clone().fit(s.secret("r", "o"), None if seen is None else s.secret("seen", "o"))
        found = {n: getattr(made, n) for n in ("user_factors_", "item_factors_", "mean_")}
        found |= {"all": made.predict(), "some": made.predict(np.array([0, 3]), np.array([2, 1]))}
        return {n: s.reveal(v, to="all", name=n, reason="test") for n, v in found.items()}

    inputs = {"r": pv.Input(ratings, bound=8.0)} | ({} if seen is None else {"seen": pv.Input(seen)})
    run = pv.simulate(program, inputs={"o": inputs}, check_range=check)
    return run.output, run


def plain(model: MatrixFactorization, ratings: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """The same steps in float64."""
    mean = (ratings * seen).sum() / max(seen.sum(), 1)
    rest = (ratings - mean) * seen
    k = model.n_factors
    items = exact.normal(np.random.default_rng(model.random_state), (ratings.shape[1], k)) * 0.3
    users = items

    def solved(mask: np.ndarray, r: np.ndarray, v: np.ndarray) -> np.ndarray:
        left = np.einsum("mn,na,nb->mab", mask, v, v) + model.alpha * np.eye(k)
        return np.linalg.solve(left, (r @ v)[:, :, None])[:, :, 0]

    for _ in range(model.max_iter):
        users = solved(seen, rest, items)
        items = solved(seen.T, rest.T, users)
    return users, items, float(mean)


@pytest.mark.parametrize("masked", [True, False])
def test_factors_are_those_of_the_same_steps_in_float64(masked: bool) -> None:
    model = MatrixFactorization(4, max_iter=5)
    got, run = fitted(model, DIGITS, SEEN if masked else None)
    users, items, mean = plain(model, DIGITS, SEEN if masked else np.ones_like(SEEN))
    assert np.abs(got["user_factors_"] - users).max() < 5e-4
    assert np.abs(got["item_factors_"] - items).max() < 5e-4
    assert abs(got["mean_"] - mean) < 1e-4
    predicted = users @ items.T + mean
    assert np.abs(got["all"] - predicted).max() < 5e-4
    assert np.abs(got["some"] - predicted[[0, 3], [2, 1]]).max() < 5e-4
    assert {line["name"] for line in run.opened} <= {*got, "range guard"}


def test_hidden_ratings_are_foretold() -> None:
    got, _ = fitted(MatrixFactorization(6, max_iter=6, alpha=2.0), DIGITS + 3.9 * (1 - SEEN), SEEN)  # not looked at
    hidden = SEEN == 0
    error = np.sqrt(((got["all"] - DIGITS)[hidden] ** 2).mean())
    by_item = (DIGITS * SEEN).sum(0) / SEEN.sum(0)
    assert error < 0.8 * np.sqrt(((by_item - DIGITS)[hidden] ** 2).mean())


def test_users_and_items_without_ratings_get_the_mean() -> None:
    seen = SEEN.copy()
    seen[7], seen[:, 20] = 0, 0
    got, _ = fitted(MatrixFactorization(2, max_iter=2), DIGITS, seen)
    assert np.abs(got["all"][7] - got["mean_"]).max() < 1e-3 and np.abs(got["all"][:, 20] - got["mean_"]).max() < 1e-3
    assert np.abs(fitted(MatrixFactorization(2, max_iter=1), DIGITS, np.zeros_like(SEEN))[0]["all"]).max() < 1e-3


def test_constant_ratings_are_their_mean() -> None:
    got, _ = fitted(MatrixFactorization(2, max_iter=2), np.full((10, 6), 3.0))
    assert np.abs(got["all"] - 3.0).max() < 1e-3


def test_cost_does_not_depend_on_the_ratings() -> None:
    one, two = (fitted(MatrixFactorization(2, max_iter=1), DIGITS * f, np.roll(SEEN, f))[1] for f in (1, 0))
    assert one.rounds == two.rounds and one.payload_sent == two.payload_sent


def test_cost_of_a_step_is_what_the_page_says() -> None:
    one, two = (fitted(MatrixFactorization(4, max_iter=i), DIGITS, SEEN)[1] for i in (1, 2))
    assert two.rounds - one.rounds <= 70 * 4 + 30
    sent = (sum(two.payload_sent.values()) - sum(one.payload_sent.values())) / 3
    assert sent <= 184 * (45 * 16 + 950 * 4)


def test_wrong_input_is_refused() -> None:
    def program(s: pv.Session) -> None:
        r = s.constant(np.eye(4))
        for wrong in (r[0], r[:0], r[:, :0]):
            with pytest.raises(ShapeError, match="users, items"):
                MatrixFactorization(2).fit(wrong)
        for seen in (s.constant(np.ones((4, 3), np.int64)), s.constant(np.ones((4, 4)))):
            with pytest.raises(ShapeError, match="observed as a mask"):
                MatrixFactorization(2).fit(r, seen)
        wrong_settings: list[dict[str, Any]] = [
            {"n_factors": 0}, {"max_iter": 0}, {"alpha": 0.0}, {"factor_bound": -1.0}, {"rating_bound": 0.0}
        ]  # fmt: skip
        for change in wrong_settings:
            with pytest.raises(UsageError, match=next(iter(change))):
                MatrixFactorization(**change).fit(r)
        with pytest.raises(UsageError, match="call fit first"):
            MatrixFactorization(2).predict()

    pv.simulate(program, protocol=InsecurePlain(), parties=1)
    with pytest.raises(RangeViolated, match="0 and 1 only"):
        fitted(MatrixFactorization(2, max_iter=1), DIGITS, SEEN * 2, check=False)
