"""Exact logarithms, powers and public draws: right, and digits that are written down here for every machine."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privity.ring import exact

POSITIVE = st.floats(min_value=1e-300, max_value=1e300)


@given(POSITIVE | st.integers(1, 1 << 200))
def test_whole_logarithms(x: float) -> None:
    """By comparison of whole numbers: 2^(k-1) < x <= 2^k."""
    up, down = exact.log2_ceil(x), exact.log2_floor(x)
    n, d = x.as_integer_ratio()
    assert n <= d << up if up >= 0 else n << -up <= d
    assert n > d << (up - 1) if up > 0 else n << (1 - up) > d
    assert up - down == (0 if math.frexp(x)[0] == 0.5 and float(x) == x else 1)


@pytest.mark.parametrize("k", [-1000, -18, -1, 0, 1, 18, 62, 1000])
def test_powers_of_two_are_exact(k: int) -> None:
    assert exact.log2(2.0**k) == exact.log2_ceil(2.0**k) == exact.log2_floor(2.0**k) == k
    assert exact.exp2(k) == 2.0**k == exact.power(2.0, k)
    assert exact.log2_ceil(np.nextafter(2.0**k, np.inf)) == k + 1 == exact.log2_floor(2.0**k) + 1


@given(st.floats(min_value=-700, max_value=700))
def test_close_to_the_library(x: float) -> None:
    assert exact.exp(x) == pytest.approx(math.exp(x), rel=1e-15)
    assert exact.exp2(x) == pytest.approx(2.0**x, rel=1e-15)
    if x > 0:
        assert exact.ln(x) == pytest.approx(math.log(x), rel=1e-15, abs=1e-300)
        assert exact.log2(x) == pytest.approx(math.log2(x), rel=1e-15, abs=1e-300)
        assert exact.ln1p(x) == pytest.approx(math.log1p(x), rel=1e-15)
        assert exact.power(x, 0.37) == pytest.approx(x**0.37, rel=1e-14)


def test_digits_that_every_machine_gives() -> None:
    got = [exact.exp(0.7), exact.ln(3), exact.log2(10.0), exact.exp2(0.5)]
    wanted = ["0x1.01c2a61268987p+1", "0x1.193ea7aad030bp+0", "0x1.a934f0979a371p+1", "0x1.6a09e667f3bcdp+0"]
    assert [v.hex() for v in got] == wanted
    assert exact.power_of_ten(-3) == 0.001 and exact.power_of_ten(22) == 1e22


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
def test_no_logarithm(bad: float) -> None:
    for function in (exact.log2, exact.ln, exact.log2_ceil, exact.log2_floor):
        with pytest.raises(ValueError, match="above 0"):
            function(bad)


def test_too_large() -> None:
    for function, x in ((exact.exp, 1000.0), (exact.exp2, 2000.5), (exact.exp2, 2000)):
        with pytest.raises(OverflowError):
            function(x)
    with pytest.raises(OverflowError):
        exact.power(1e9, 99.5)


def test_nearly_normal() -> None:
    draws = exact.normal(np.random.default_rng(1), (200, 100))
    assert abs(draws.mean()) < 0.05 and abs(draws.var() - 1) < 0.05 and np.abs(draws).max() <= 6


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (40, 7)])
def test_orthonormal(shape: tuple[int, int]) -> None:
    columns = exact.normal(np.random.default_rng(2), shape)
    basis = exact.orthonormal(columns)
    np.testing.assert_allclose(basis.T @ basis, np.eye(shape[1]), atol=1e-14)
    np.testing.assert_allclose(basis @ (basis.T @ columns), columns, atol=1e-12)
