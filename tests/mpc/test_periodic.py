"""Curves where they meet their limits: comparisons leave small digits out there, and the error stays what is stated."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.mpc import periodic

erf = np.vectorize(math.erf)

CURVES: list[tuple[str, Callable[[Any], Any], Callable[[Any], Any], float, float]] = [
    ("sigmoid_series", pv.sigmoid_series, lambda x: 1 / (1 + np.exp(-x)), periodic.SIGMOID.limit, 2.0**-14),
    ("tanh", pv.tanh, np.tanh, periodic.TANH.limit, 2.0**-14),
    ("erf", pv.erf, erf, periodic.ERF.limit, 2.0**-14),
    ("gelu", pv.gelu, lambda x: x * (1 + erf(x / np.sqrt(2))) / 2, periodic.GATE_NORMAL.limit, 2.0**-15 + 2.0**-20),
    ("silu", pv.silu, lambda x: x / (1 + np.exp(-x)), periodic.GATE_LOGISTIC.limit, 2.0**-14),
    ("softplus", pv.softplus, lambda x: np.log1p(np.exp(x)), periodic.SOFTPLUS_LIMIT, 2.0**-14),
]


@pytest.mark.parametrize(("name", "secure", "plain", "limit", "error"), CURVES, ids=[c[0] for c in CURVES])
def test_around_the_limits(
    name: str, secure: Callable[[Any], Any], plain: Callable[[Any], Any], limit: float, error: float
) -> None:
    near = np.linspace(-(2.0**-5), 2.0**-5, 1000)
    x = np.concatenate([limit + near, near - limit])

    def program(s: Any) -> Any:
        return s.reveal(secure(s.secret("x", "compute_0")), to="all", name="y", reason="test")

    got = pv.simulate(program, inputs={"compute_0": {"x": pv.Input(x, 128.0)}}).output
    np.testing.assert_allclose(got, plain(x), rtol=0, atol=error)
