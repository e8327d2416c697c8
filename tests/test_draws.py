"""Tests of simulated runs draw the same masks each time; runs within one test differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import privity as pv

X = np.random.default_rng(0).normal(size=500)


def noisy(s: pv.Session) -> Any:
    """Products whose last places are those of truncation, and an order that is drawn in secret."""
    x = s.secret("x", "bank")
    return s.reveal(pv.shuffle(x * x * 0.3)[0], to="all", name="y", reason="test")


def test_a_test_draws_the_same_each_time(same_draws: Any, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--fresh-draws"):
        pytest.skip("draws are fresh")
    one, other = (pv.simulate(noisy, inputs={"bank": {"x": X}}).output for _ in range(2))
    assert not np.array_equal(one, other)
    same_draws.restart()
    assert np.array_equal(pv.simulate(noisy, inputs={"bank": {"x": X}}).output, one)
