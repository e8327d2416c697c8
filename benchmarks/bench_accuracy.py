"""Largest errors, rounds and bytes of the real functions: `python benchmarks/bench_accuracy.py [--points N]`.

Sweeps each function over its domain on three parties in this process and compares with float64. Prints the two tables
of docs/numerics.md. Rounds and bytes are exact; errors vary a little with the masks, which decide how results round.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import privity as pv

Reals = npt.NDArray[np.float64]
TARGET = 2.0**-14
ROWS = 10  # of a softmax


@dataclass
class Case:
    name: str
    domain: str
    function: Callable[[Any], Any]
    exact: Callable[[Reals], Reals]
    low: float
    high: float
    relative: bool = False
    bound: float = 128.0


def erf(x: Reals) -> Reals:
    return np.vectorize(math.erf, otypes=[float])(x)


def sigmoid(x: Reals) -> Reals:
    return np.where(x >= 0, 1, np.exp(np.minimum(x, 0))) / (1 + np.exp(-np.abs(x)))


def softmax(x: Reals) -> Reals:
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def logsumexp(x: Reals) -> Reals:
    top = x.max(-1, keepdims=True)
    return np.asarray(top + np.log(np.exp(x - top).sum(-1, keepdims=True)))


def cases(fraction_bits: int) -> list[Case]:
    """The functions with their domains at this number of fractional bits."""
    unit = 2.0**-fraction_bits
    largest = (61 - fraction_bits) * math.log(2.0) - 0.01
    tiny = max(unit, 2.0**-18)
    return [
        Case("`exp` of a small bound", "[-8, 8]", pv.exp, np.exp, -8, 8, True, 8.0),
        Case("`exp`", f"to {largest:.1f}", pv.exp, np.exp, -128, largest, True),
        Case("`exp2`", f"to {61 - fraction_bits}", pv.exp2, np.exp2, -128, 61 - fraction_bits - 0.01, True),
        Case("`expm1`", f"to {largest - 0.35:.1f}", pv.expm1, np.expm1, -128, largest - 0.35, True),
        Case("`log`", "x > 0", pv.log, np.log, tiny, 128),
        Case("`log2`", "x > 0", pv.log2, np.log2, tiny, 128),
        Case("`log1p`", "[-1/3, 1/3]", pv.log1p, np.log1p, -0.333, 0.333, True, 1.0),
        Case("`logit`", "(0, 1)", pv.logit, lambda p: np.log(p / (1 - p)), tiny, 1 - tiny, bound=1.0),
        Case("`reciprocal`", "x != 0", pv.reciprocal, lambda x: 1 / x, tiny, 128, True),
        Case("`a / x`, a = 100", "x != 0", lambda x: 100.0 / x, lambda x: 100 / x, tiny, 128, True),
        Case("`sqrt`", "x >= 0", pv.sqrt, np.sqrt, tiny, 128, True),
        Case("`rsqrt`", "x > 0", pv.rsqrt, lambda x: x**-0.5, tiny, 128, True),
        Case("`x ** 1.7`", "x > 0", lambda x: x**1.7, lambda x: x**1.7, tiny, 128, True),
        Case("`sigmoid` of a small bound", "[-9.75, 9.75]", pv.sigmoid, sigmoid, -9.75, 9.75, bound=9.75),
        Case("`sigmoid_series` of one", "[-9.75, 9.75]", pv.sigmoid_series, sigmoid, -9.75, 9.75, bound=9.75),
        Case("`sigmoid`", "all", pv.sigmoid, sigmoid, -128, 128),
        Case("`sigmoid_series`", "all", pv.sigmoid_series, sigmoid, -128, 128),
        Case("`tanh`", "all", pv.tanh, np.tanh, -128, 128),
        Case("`erf`", "all", pv.erf, erf, -128, 128),
        Case("`gelu`", "all", pv.gelu, lambda x: x * (1 + erf(x / 2**0.5)) / 2, -128, 128),
        Case("`silu`", "all", pv.silu, lambda x: x * sigmoid(x), -128, 128),
        Case("`softplus`", "all", pv.softplus, lambda x: np.logaddexp(0, x), -128, 128),
        Case("`relu`", "all", pv.relu, lambda x: np.maximum(x, 0), -128, 128),
        Case("`sin`", "all", pv.sin, np.sin, -128, 128),
        Case("`cos`", "all", pv.cos, np.cos, -128, 128),
        Case("`softmax` of 10", "all", pv.softmax, softmax, -128, 128),
        Case("`log_softmax` of 10", "all", pv.log_softmax, lambda x: x - logsumexp(x), -128, 128),
    ]


def points(case: Case, count: int, fraction_bits: int) -> Reals:
    """Half on a grid where functions bend, half of every magnitude; rows of ten."""
    rng = np.random.default_rng(0)
    unit = 2.0**-fraction_bits
    grid = np.linspace(max(case.low, -20.0), min(case.high, 20.0), count // 2)
    wide = np.exp2(rng.uniform(math.log2(unit), math.log2(max(-case.low, case.high)), count - count // 2))
    wide = wide * (rng.choice([-1, 1], wide.size) if case.low < 0 else 1)
    x = rng.permutation(np.concatenate([grid, wide])).clip(case.low, case.high)
    return np.asarray(np.rint(x / unit) * unit).reshape(-1, ROWS)


def run(function: Callable[[Any], Any], x: Reals, bound: float, fraction_bits: int) -> tuple[Reals, int, float]:
    """(result, rounds, average bytes per party and element) of the function alone."""
    costs: list[tuple[int, int]] = []

    def program(s: pv.Session) -> Any:
        secret = s.secret("x", "bank")
        party = s._context.protocol.party
        before = (party.rounds, party.sent) if party else (0, 0)
        y = function(secret)
        if party:
            costs.append((party.rounds - before[0], party.sent - before[1]))
        return s.reveal(y, to=["bank"], name="y", reason="accuracy")

    inputs = {"bank": {"x": pv.Input(x, bound, fraction_bits)}}
    done = pv.simulate(program, inputs=inputs, fraction_bits=fraction_bits, timeout_s=600.0)
    return done.outputs["bank"], costs[0][0], sum(sent for _, sent in costs) / 3 / x.size


def error(case: Case, got: Reals, want: Reals, fraction_bits: int) -> float:
    """Largest error; a relative one after 1.25 units in the last place are taken off."""
    off = np.abs(got - want)
    if case.relative:
        off = np.maximum(off - 1.25 * 2.0**-fraction_bits, 0) / np.abs(want)
    return float(off.max())


def training(fraction_bits: int) -> float:
    """Largest error of the weights of a logistic regression (2,000 x 16, 40 steps) against float64."""
    rng = np.random.default_rng(4)
    x = np.rint(rng.normal(size=(2000, 16)).clip(-6, 6) * 2**12) / 2**12
    y = (rng.random(2000) < sigmoid(x @ rng.normal(size=16))).astype(float)

    def steps(x: Any, y: Any, w: Any, activation: Callable[[Any], Any]) -> Any:
        for _ in range(40):
            w = w - (x.T @ (activation(x @ w) - y)) * (0.5 / 2000)
            w = w.assume_bound(16.0) if isinstance(w, pv.SecureArray) else w
        return w

    def program(s: pv.Session) -> Any:
        w = steps(s.secret("x", "bank"), s.secret("y", "bank"), s.constant(np.zeros(16)), pv.sigmoid_series)
        return s.reveal(w, to=["bank"], name="w", reason="accuracy")

    inputs = {"bank": {"x": pv.Input(x, 6.0, fraction_bits), "y": pv.Input(y, 1.0, fraction_bits)}}
    got = pv.simulate(program, inputs=inputs, fraction_bits=fraction_bits, timeout_s=600.0).outputs["bank"]
    return float(np.abs(got - steps(x, y, np.zeros(16), sigmoid)).max())


def functions_table(count: int) -> None:
    print("| Function | Domain | Largest error | in units of 2^-14 | Rounds | Bytes |\n|---|---|---|---|---|---|")
    for case in cases(18):
        x = points(case, count, 18)
        got, rounds, sent = run(case.function, x, case.bound, 18)
        worst = error(case, got, case.exact(x), 18)
        kind = "relative" if case.relative else "absolute"
        print(f"| {case.name} | {case.domain} | {worst:.1e} {kind} | {worst / TARGET:.3f} | {rounds} | {sent:.0f} |")


def bits_table(count: int) -> None:
    columns = [
        "Fractional bits", "unit", "largest product", "`exp` on [-8, 0]", "`log`", "`softmax`",
        "`1 / x` to 128, relative", "trained weights", "bytes of `exp`, `log`, `softmax`",
    ]  # fmt: skip
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for bits in (14, 16, 18, 20, 22):
        known = {c.name: c for c in cases(bits)}
        known["inverse"] = Case("inverse", "", pv.reciprocal, lambda x: 1 / x, 0.5, 128)
        known["exp"] = Case("exp", "", pv.exp, np.exp, -8, 0, bound=8.0)
        errors, sent = [], []
        for name in ("exp", "`log`", "`softmax` of 10", "inverse"):
            case = known[name]
            x = points(case, count, bits)
            got, _, spent = run(case.function, x, case.bound, bits)
            off = np.abs(got - case.exact(x))
            errors.append(f"{(off * x if name == 'inverse' else off).max():.1e}")
            sent.append(f"{spent:.0f}")
        row = [
            str(bits),
            f"{2.0**-bits:.1e}",
            f"2^{62 - 2 * bits}",
            *errors,
            f"{training(bits):.1e}",
            ", ".join(sent[:3]),
        ]
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=100_000, help="values per function")
    chosen = parser.parse_args().points // ROWS * ROWS
    functions_table(chosen)
    print()
    bits_table(chosen)
