"""Quotients of sums whose size is known from how they were computed, over the whole range of the divisor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.functions.ratio import ratio

SCALE = 28


@pytest.mark.parametrize("least", [0.0, 2.0**-13, 2.0**-20, 0.9])
def test_ratios_over_the_whole_range(least: float) -> None:
    rng = np.random.default_rng(3)
    low = max(least, 2.0**-24)
    b = np.exp(rng.uniform(np.log(low), np.log(2.0), 900))
    b[:3] = low, 2.0, 1.0
    b = np.maximum(np.round(b * 2.0**SCALE), np.ceil(low * 2.0**SCALE)) / 2.0**SCALE
    a = np.round(b * rng.uniform(-3.9, 3.9, b.shape) * 2.0**SCALE) / 2.0**SCALE

    def program(s: pv.Session) -> Any:
        x, y = (s.secret(k, "o").rescaled(SCALE) for k in "ab")
        made = ratio(x, y._stated(2.0), 4.0, 22, least=least)
        return s.reveal(made, to="all", name="r", reason="test")

    inputs = {"a": pv.Input(a, bound=8.0), "b": pv.Input(b, bound=2.0)}
    done = pv.simulate(program, inputs={"o": inputs}, fraction_bits=SCALE, check_range=True)
    got = done.output
    assert np.max(np.abs(got - a / b) / (np.abs(a / b) * 2.0**-20 + 1.25 * 2.0**-22)) < 1.0


def test_a_known_least_divisor_saves_bytes() -> None:
    def sent(least: float) -> int:
        def program(s: pv.Session) -> None:
            x, y = (s.secret(k, "o") for k in "ab")
            ratio(x, y, 1.0, least=least)

        one = pv.Input(np.ones(5000), bound=1.0)
        return int(max(pv.simulate(program, inputs={"o": {"a": one, "b": one}}).payload_sent.values()))

    assert sent(2.0**-12) < sent(0.0) - 30 * 5000
