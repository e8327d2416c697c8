"""Public numbers of every size beside secrets: sums of products, rounding, polynomials, comparisons, cuts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.errors import OverflowPlanned, UsageError

UNIT = 2.0**-18
_trapezoid = getattr(np, "trapezoid", None) or np.trapz  # the first name is of newer NumPy


def opened(program: Callable[..., Any], x: Any, bound: float, scale: int | None = None) -> Any:
    def run(s: pv.Session) -> Any:
        made = program(s.secret("x", "o"))
        made = made if isinstance(made, list) else [made]
        values = [s.reveal(m, to="all", name=f"r{i}", reason="test") for i, m in enumerate(made)]
        for value, secret in zip(values, made, strict=True):
            assert np.abs(value).max(initial=0) <= secret.bound
        return values

    return pv.simulate(run, inputs={"o": {"x": pv.Input(x, bound, scale)}}, minimum_group=1).output


@pytest.mark.parametrize("size", [1.0, 300.0, 1e4, 1e6, 1e8, 1e10])
def test_sums_of_products_with_public_numbers(size: float) -> None:
    """2^-24 of the largest factor times the sum of |x|, or 1.5 units: whichever is larger."""
    rng = np.random.default_rng(1)
    x = np.trunc(rng.uniform(-1, 1, (12, 8)) * size / UNIT) * UNIT
    for factor in (1.0, 1e-3, 1e-9, 57.0):
        c, m = rng.uniform(-1, 1, 8) * factor, rng.uniform(-1, 1, (8, 3)) * factor
        programs: list[Callable[[Any], Any]] = [
            lambda a, c=c: a @ c, lambda a, m=m: a @ m, lambda a, m=m: m.T @ a.T, lambda a, m=m: np.tensordot(a, m, 1),
            lambda a, m=m: np.einsum("ij,jk->ik", a, m), lambda a, c=c: np.inner(a, c),
            lambda a, c=c: np.convolve(a[0], c), lambda a, c=c: np.convolve(c, a[:, 0]),
            lambda a, f=factor: _trapezoid(a, dx=f, axis=0), lambda a, c=c: np.vdot(a[0], c),
        ]  # fmt: skip
        got = opened(lambda a, ps=programs: [p(a) for p in ps], x, size)
        for i, (g, p) in enumerate(zip(got, programs, strict=True)):
            assert np.abs(g - p(x)).max() <= max(1.6 * UNIT, 12 * size * factor * 2.0**-24) + 1.6 * UNIT, (factor, i)


def test_products_of_pairs_keep_the_digits_of_public_ones() -> None:
    rng = np.random.default_rng(2)
    x = np.trunc(rng.uniform(-1, 1, (3, 3)) * 1e6 / UNIT) * UNIT
    c = rng.uniform(-1e-6, 1e-6, (3, 3))
    programs = [lambda a: np.kron(a, c), lambda a: np.outer(a, c), lambda a: np.cross(a, c), lambda a: np.kron(c, a)]
    got = opened(lambda a: [p(a) for p in programs], x, 1e6)
    for g, p in zip(got, programs, strict=True):
        assert np.abs(g - p(x)).max() <= 3.2 * UNIT


def test_rounding_to_decimals_of_large_numbers() -> None:
    """Numbers of 10^9 keep their last place; tens and hundreds are exact, halves up."""
    rng = np.random.default_rng(3)
    x = np.trunc(rng.uniform(-1, 1, 200) * 1e9 / UNIT) * UNIT
    for decimals in (1, 2, 3, 5, 8):
        (got,) = opened(lambda a, d=decimals: np.round(a, d), x, 1e9)
        step = 10.0**-decimals
        assert np.abs(got - x).max() <= step / 2 + 1.5 * UNIT, decimals
        assert np.abs(np.rint(got / step) * step - got).max() <= 1.5 * UNIT + 1e-6, decimals
    whole = rng.integers(-(10**12), 10**12, 200)
    whole[:4] = 250, -250, 150, 49
    for decimals in (-1, -2, -7, -15, -300):
        (got,) = opened(lambda a, d=decimals: a.round(d), whole, 1e12, 0)
        step = 10 ** min(-decimals, 16)
        assert np.array_equal(got, [(v + step // 2) // step * step for v in whole.tolist()]), decimals


def test_polynomials_of_large_numbers() -> None:
    x = np.linspace(-1000.0, 1000.0, 41)
    coefficients = [1e-6, 1e-3, 0.5]
    (got,) = opened(lambda a: np.polyval(coefficients, a), x, 1000.0)
    assert np.abs(got - np.polyval(coefficients, x)).max() <= 2 * UNIT


def test_comparisons_and_cuts_with_numbers_of_any_size() -> None:
    x = np.array([-3.0, -0.5, 0.0, 2.25])
    for far in (1e20, 1e300, np.inf):
        got = opened(
            lambda a, f=far: [
                a < f, a > f, a <= -f, a >= -f, a == f, a != -f, a.clip(-f, f), a.clip(-1.0, f), np.less(a, f),
                np.clip(a, -f, 1.0), a.astype("int") < f, a < np.array([f, -f, 0.0, 1e-300]),
            ],
            x, 3.0,
        )  # fmt: skip
        right = [
            x < far, x > far, x <= -far, x >= -far, x == far, x != -far, x, x.clip(-1.0), x < far, x.clip(None, 1.0),
            x < far, x < np.array([far, -far, 0.0, 1e-300]),
        ]  # fmt: skip
        assert all(np.array_equal(g, r) for g, r in zip(got, right, strict=True))


@pytest.mark.parametrize("factor", [0.0, 1e-12, 1e-40, 1e-300, 5e-324, 2.0**-500])
def test_tiny_factors_of_matrix_products(factor: float) -> None:
    x = np.array([[1.0, -2.0], [0.5, 3.0]])
    for program in (lambda a: a.matmul(a, factor=factor), lambda a: a.matmul(np.eye(2) / 3, factor=factor)):
        assert np.abs(opened(program, x, 3.0)[0]).max() <= UNIT


@pytest.mark.parametrize(
    ("program", "error", "words"),
    [
        (lambda a: a + 1e300, UsageError, r"stay below 2\^44, got 1e\+300"),
        (lambda a: a + 10**30, UsageError, r"stay below 2\^44, got 1e\+30"),
        (lambda a: a * 10**400, UsageError, "dtype object"),
        (lambda a: a @ np.full(2, 1e300), OverflowPlanned, "may reach"),
        (lambda a: a < float("nan"), UsageError, "NaN or infinity"),
        (lambda a: np.maximum(a, 1e300), UsageError, r"stay below 2\^44"),
        (lambda a: a.matmul(a, factor=1e300), OverflowPlanned, "may reach"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(program: Callable[..., Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        opened(program, np.eye(2), 3.0)
