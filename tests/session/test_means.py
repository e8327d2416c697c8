"""Means and quotients by public numbers: the stated error over every size of numbers, bounds, terms and divisors."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import privity as pv
from privity import stats
from privity.errors import OverflowPlanned, RangeViolated, UsageError

UNIT = 2.0**-18
RELATIVE = Fraction(1, 2**24)
ROUNDED = Fraction(108, 100)  # units: a truncation, and what is rounded before it
LONG = 2.0**36  # a bound from which on there is less room at 18 bits


def opened(program: Callable[[pv.SecureArray], Any], values: Any, bound: float, scale: int | None = None) -> Any:
    def run(s: pv.Session) -> Any:
        made = program(s.secret("x", "o"))
        opened = s.reveal(made, to="all", name="r", reason="test")
        assert np.abs(opened).max() <= made.bound
        return opened, made.scale

    return pv.simulate(run, inputs={"o": {"x": pv.Input(values, bound, scale)}}, minimum_group=1).output


def on_grid(values: Any) -> np.ndarray:
    """Numbers that are shared as they are."""
    return np.trunc(np.asarray(values, np.float64) / UNIT) * UNIT


def exact_mean(values: np.ndarray) -> Fraction:
    return Fraction(sum((values / UNIT).astype(np.int64).tolist()), len(values)) * Fraction(UNIT)


def within(got: float, right: Fraction, bound: float, unit: float = UNIT) -> bool:
    units = ROUNDED if bound < LONG else 3
    return abs(Fraction(float(got)) - right) <= abs(right) * RELATIVE + units * Fraction(unit)


SIZES = (1e-6, 1e-3, 0.4, 7.3, 128.0, 4e3, 1e5, 3.3e6, 1e8, 1e9, 7e11, 1.7e13)


@pytest.mark.parametrize("terms", [1, 2, 3, 7, 40, 1000])
def test_means_of_any_size(terms: int) -> None:
    """Each column another size, under a bound that fits all and under one that is loose by up to 10^6."""
    rng = np.random.default_rng(terms)
    for loose in (1.0, 37.0, 1e6):
        for size in SIZES:
            bound = min(size * loose, 1.75e13)
            x = rng.uniform(-1.0, 1.0, (terms, 6)) * size
            x[:, 0], x[:, 1] = size, -size
            x[:, 2] = size * rng.choice([-1.0, 1.0], terms)
            x = on_grid(np.clip(x, -bound, bound))
            got, scale = opened(lambda a: a.mean(axis=0), x, bound)
            assert scale == 18
            assert all(within(g, exact_mean(x[:, j]), bound) for j, g in enumerate(got)), (size, loose)


def test_means_of_a_million_rows_whose_sum_passes_the_ring() -> None:
    n = 1 << 20
    rng = np.random.default_rng(5)
    for size, bound in ((1e9, 1e9), (1.0, 1e9), (3e4, 1e10)):
        x = on_grid(rng.uniform(0.0, 1.0, n) * size)
        got, scale = opened(lambda a: a.mean(), x, bound)
        right = exact_mean(x)
        assert scale == 18
        assert within(got, right, bound)


def test_means_of_whole_numbers() -> None:
    rng = np.random.default_rng(6)
    for bits in (1, 8, 20, 30, 40, 52, 60):
        for terms in (3, 10, 999):
            x = rng.integers(-(2**bits), 2**bits, terms)
            x[0] = 2**bits
            got, scale = opened(lambda a: a.mean(), x, 2.0**bits, 0)
            right = Fraction(sum(x.tolist()), terms)
            assert scale == min(18, 61 - bits - 1)
            assert within(got, right, 2.0**bits, 2.0**-scale)


def test_means_over_several_axes_with_a_sum_that_passes_the_ring() -> None:
    rng = np.random.default_rng(7)
    x = on_grid(rng.uniform(-1.0, 1.0, (6, 4, 5)) * 1.7e13)
    for axis, keepdims in ((None, False), (1, True), ((0, 2), False), ((2, 0), True), (-1, False)):
        got, _ = opened(lambda a, axis=axis, keepdims=keepdims: a.mean(axis, keepdims), x, 1.7e13)
        right = x.mean(axis=axis, keepdims=keepdims)
        assert np.shape(got) == np.shape(right)
        assert np.allclose(got, right, rtol=2.0**-24, atol=1.7e13 * 2.0**-50)


DIVISORS = (3.0, 1e-3, 1.0, -7.0, 365.0, 1000.0, 0.1, 2.0**-9, 123456.789, 1e9, 1e12, -1e15, 1e300)


def test_quotients_by_public_numbers() -> None:
    rng = np.random.default_rng(8)
    for size in SIZES:
        x = on_grid(np.concatenate([rng.uniform(-1, 1, 60) * size, [size, -size, 0.0], size / 10.0 ** np.arange(9)]))
        for divisor in DIVISORS:
            if size / abs(divisor) * 2.0**18 >= 2.0**61:
                continue
            got, scale = opened(lambda a, d=divisor: a / d, x, size)
            assert scale == 18
            right = [Fraction(v) / Fraction(divisor) for v in x.tolist()]
            assert all(within(g, r, size / abs(divisor)) for g, r in zip(got, right, strict=True)), (size, divisor)


@pytest.mark.parametrize("size", [5.0, 1e6, 1e9, 2e12])
def test_quotients_by_arrays_of_public_numbers_of_every_size(size: float) -> None:
    """Each divisor keeps its digits, beside others that are 10^300 times as large."""
    rng = np.random.default_rng(9)
    divisors = np.concatenate([10.0 ** rng.uniform(0.0, 16.0, 40), [1e300, 0.3, 3.0, 1.0, -2.0, 7.0]])
    x = on_grid(rng.uniform(-1, 1, (3, divisors.size)) * size)
    got, _ = opened(lambda a: a / divisors, x, size)
    for row, values in zip(got, x, strict=True):
        for g, v, d in zip(row.tolist(), values.tolist(), divisors.tolist(), strict=True):
            assert within(g, Fraction(v) / Fraction(d), size), (v, d)


def test_products_with_public_factors_keep_their_digits_whatever_is_beside_them() -> None:
    """Half a unit more than a quotient: that is what a factor is rounded for."""
    rng = np.random.default_rng(10)
    for size in (3.0, 1e4, 1e7, 1e9, 1e12):
        factors = np.concatenate([10.0 ** rng.uniform(-20.0, 1.0, 40), [1.0, 0.1, 1e-300, 5e-324, 0.0, -1e-3]])
        x = on_grid(rng.uniform(-1, 1, factors.size) * size)
        got, _ = opened(lambda a, f=factors: a * f, x, size)
        for g, v, f in zip(got.tolist(), x.tolist(), factors.tolist(), strict=True):
            right = Fraction(v) * Fraction(f)
            assert abs(Fraction(g) - right) <= abs(right) * RELATIVE + Fraction(8, 5) * Fraction(UNIT), (v, f)


@pytest.mark.parametrize("factor", [1e-12, 1e-15, 1e-30, 1e-300, 5e-324, -1e-200])
def test_tiny_factors_give_nothing(factor: float) -> None:
    x = np.array([1.0, -2.0, 3.0, 0.0])
    for program in (lambda a: a * factor, lambda a: a / (1 / factor) if abs(factor) > 1e-300 else a * factor):
        got, _ = opened(program, x, 3.0)
        assert np.abs(got).max() <= UNIT
    assert np.abs(opened(lambda a: a * factor, x.astype(int), 3, 0)[0]).max() <= UNIT


@pytest.mark.parametrize(
    "program",
    [lambda a: a * 1e300, lambda a: a / 1e-300, lambda a: a / 5e-324, lambda a: a * 1e12, lambda a: a * 10**30],
)
def test_huge_factors_are_refused_by_name(program: Callable[[pv.SecureArray], Any]) -> None:
    with pytest.raises(OverflowPlanned, match="a public factor"):
        opened(program, np.array([1.0]), 1e6)


def test_rounds_and_bytes() -> None:
    """A quotient costs its truncation; two or three where the numbers are long."""

    def spent(program: Callable[[pv.SecureArray], Any], bound: float) -> tuple[int, float]:
        n = 1000

        def run(s: pv.Session) -> None:
            program(s.secret("x", "o"))

        one = {"o": {"x": pv.Input(np.ones(n), bound)}}
        done, before = (pv.simulate(p, inputs=one) for p in (run, lambda s: s.secret("x", "o")))
        sent = max(done.payload_sent.values()) - max(before.payload_sent.values())
        return done.rounds - before.rounds, sent / n

    assert spent(lambda a: a / 3, 8.0) == (1, 14.25)
    assert spent(lambda a: a / 3, 128.0) == (1, 14.25)
    assert spent(lambda a: a / 3, 1e6) == (1, 14.25)
    assert spent(lambda a: a / 3, 1e8) == (2, 23.75)
    assert spent(lambda a: a / 3, 1e12) == (3, 38.75)
    assert spent(lambda a: a.mean(), 128.0)[0] == 1
    assert spent(lambda a: a.mean(), 1e8)[0] == 3


# -- secret counts and weights ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("terms", [1, 5, 40, 3000])
def test_means_of_a_secret_number_of_rows(terms: int) -> None:
    """The mask keeps all, some, one or none."""
    rng = np.random.default_rng(11 + terms)
    for size, loose in ((1e-4, 1e6), (0.9, 1.0), (50.0, 1e3), (1e6, 1.0), (1e6, 1e6), (1e9, 1.0), (1e12, 1.0)):
        bound = min(size * loose, 1.7e13)
        x = on_grid(rng.uniform(-1.0, 1.0, (terms, 4)) * size)
        mask = rng.random((terms, 4)) < [1.1, 0.5, 0.0, 0.0]
        mask[0, 2] = True

        def program(s: pv.Session) -> Any:
            made = stats.mean(s.secret("x", "o"), valid=s.secret("m", "o")).value
            return s.reveal(made, to="all", name="r", reason="test"), made.scale

        inputs = {"x": pv.Input(x, bound), "m": pv.Input(mask)}
        got, scale = pv.simulate(program, inputs={"o": inputs}, minimum_group=1).output
        assert scale == 18 and got[3] == 0.0
        for j, g in enumerate(got[:3].tolist()):
            if mask[:, j].any():
                assert within(g, exact_mean(x[mask[:, j], j]), bound), (size, loose, j)


def test_means_of_a_secret_number_of_rows_whose_sum_passes_the_ring() -> None:
    n = 1 << 16
    rng = np.random.default_rng(12)
    x, mask = on_grid(rng.uniform(0.0, 1.0, n) * 1e10), rng.random(n) < 0.7

    def program(s: pv.Session) -> Any:
        made = stats.mean(s.secret("x", "o"), valid=s.secret("m", "o"))
        return made.open(to="all", name="r", reason="test")

    inputs = {"x": pv.Input(x, 1e10), "m": pv.Input(mask)}
    got = pv.simulate(program, inputs={"o": inputs}, minimum_group=1).output
    assert within(got, exact_mean(x[mask]), 1e10)


@pytest.mark.parametrize("size", [1.0, 1e4, 1e7, 1e9])
def test_weighted_means(size: float) -> None:
    rng = np.random.default_rng(13)
    n = 500
    x = on_grid(rng.uniform(-1.0, 1.0, n) * size)
    weights = {
        "few": rng.integers(0, 50, n), "small": rng.random(n) * 1e-3, "large": rng.random(n) * 1e6,
        "signed": rng.random(n) * np.where(rng.random(n) < 0.1, -1.0, 1.0), "flags": rng.random(n) < 0.5,
        "parts": on_grid(rng.random(n)),
    }  # fmt: skip
    secret = {
        "few": pv.Input(weights["few"], 50, 0), "flags": pv.Input(weights["flags"]),
        "parts": pv.Input(weights["parts"], 1.0),
    }  # fmt: skip

    def program(s: pv.Session) -> Any:
        a = s.secret("x", "o")
        made = {k: np.average(a, weights=w) for k, w in weights.items()}
        made |= {f"secret {k}": np.average(a, weights=s.secret(k, "o")) for k in secret}
        assert all(m.scale == 18 for m in made.values())
        return {k: s.reveal(m, to="all", name=k, reason="test") for k, m in made.items()}

    got = pv.simulate(program, inputs={"o": {"x": pv.Input(x, size), **secret}}, minimum_group=1).output
    for name, value in got.items():
        w = [Fraction(float(v)) for v in weights[name.removeprefix("secret ")].tolist()]
        products = [Fraction(a) * b for a, b in zip(x.tolist(), w, strict=True)]
        right, size_of = sum(products) / sum(w), sum(map(abs, products)) / sum(w)
        rounded = 0 if name.startswith("secret") or name == "few" else size_of * 2 * RELATIVE
        assert abs(Fraction(value) - right) <= abs(right) * RELATIVE + ROUNDED * Fraction(UNIT) + rounded, name


def test_weights_that_are_refused() -> None:
    x = np.array([1.0, 2.0])
    with pytest.raises(RangeViolated, match="average: weights are not negative"):
        opened(lambda a: np.average(a, weights=a - 1.5), x, 2.0)
    with pytest.raises(UsageError, match="add up to 0"):
        opened(lambda a: np.average(a, weights=[1.0, -1.0]), x, 2.0)
    with pytest.raises(RangeViolated, match="average: the weights of a mean are not all 0"):
        opened(lambda a: np.average(a, weights=a * 0), x, 2.0)


def test_means_of_groups() -> None:
    rng = np.random.default_rng(14)
    n = 400
    key, x, m = rng.integers(0, 7, n), on_grid(rng.uniform(-1, 1, n) * 1e8), rng.integers(-(10**9), 10**9, n)

    def program(s: pv.Session) -> Any:
        k, a, b = (s.secret(name, "o") for name in "kam")
        groups = pv.group_by(k, {"a": ("mean", a), "b": ("mean", b)}, capacity=10)
        return [s.reveal(groups[name], to="all", name=name, reason="test") for name in "ab"]

    inputs = {"k": pv.Input(key, 7, 0), "a": pv.Input(x, 1e8), "m": pv.Input(m, 1e9, 0)}
    got, whole = pv.simulate(program, inputs={"o": inputs}, minimum_group=1).output
    for g in range(7):
        assert within(got[g], exact_mean(x[key == g]), 1e8)
        assert within(whole[g], Fraction(sum(m[key == g].tolist()), int((key == g).sum())), 1e9)
    assert not got[7:].any() and not whole[7:].any()
