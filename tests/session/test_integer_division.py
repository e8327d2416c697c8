"""Floor quotients, remainders and shifts: exact for every number within its bound, of either sign, as in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.errors import OverflowPlanned, RangeViolated, UsageError


def opened(program: Callable[..., Any], **inputs: pv.Input) -> list[Any]:
    def run(s: pv.Session) -> list[Any]:
        made = program(*(s.secret(k, "o") for k in inputs))
        made = list(made) if isinstance(made, tuple | list) else [made]
        values = [s.reveal(m, to="all", name=f"r{i}", reason="test") for i, m in enumerate(made)]
        for value, secret in zip(values, made, strict=True):
            assert np.abs(value).max(initial=0) <= secret.bound
        return [*values, [m.kind for m in made]]

    return pv.simulate(run, inputs={"o": inputs}, minimum_group=1, check_range=True).output


def numbers(bound: int, divisors: list[int], seed: int = 0) -> np.ndarray:
    """Numbers of every size, and those beside the multiples of the divisors."""
    rng = np.random.default_rng(seed)
    found = [0, 1, -1, bound, -bound, bound - 1, 1 - bound]
    for d in divisors:
        multiples = rng.integers(-(bound // abs(d)), bound // abs(d) + 1, 12).tolist()
        found += [m * d + k for m in multiples for k in (-1, 0, 1)]
    found += [int(rng.integers(-(1 << k), 1 << k)) for k in range(1, bound.bit_length()) for _ in range(3)]
    return np.asarray([v for v in found if abs(v) <= bound], np.int64)


DIVISORS = [1, 2, 3, 5, 6, 7, 8, 10, 12, 365, 1000, 1024, 86400, 999983, 10**9, 2**31 - 1, 2**40, 10**15]


@pytest.mark.parametrize("bound", [1, 9, 20_000, 2**20, 10**9, 2**40, 2**53, 2**60 - 1])
def test_whole_numbers_by_public_divisors(bound: int) -> None:
    divisors = [d * sign for d in DIVISORS for sign in (1, -1)]
    x = numbers(bound, divisors)

    def program(a: pv.SecureArray) -> list[pv.SecureArray]:
        return [part for d in divisors for part in divmod(a, d)]

    *got, kinds = opened(program, x=pv.Input(x, bound, 0))
    assert set(kinds) == {"int"}
    for i, d in enumerate(divisors):
        assert np.array_equal(got[2 * i], x // d), d
        assert np.array_equal(got[2 * i + 1], x % d), d


@pytest.mark.parametrize("bound", [100, 10**6, 10**12, 2**60 - 1])
def test_arrays_of_public_divisors(bound: int) -> None:
    """Powers of two, small and large ones side by side; shapes broadcast."""
    divisors = np.asarray([3, -8, 365, 10**9, 1, -7, 10**14, 64])
    x = numbers(bound, divisors.tolist(), 1)[:, None]
    q, r, few, _ = opened(lambda a: [a // divisors, a % divisors, a // divisors[1:3]], x=pv.Input(x, bound, 0))
    assert np.array_equal(q, x // divisors) and np.array_equal(r, x % divisors)
    assert np.array_equal(few, x // divisors[1:3])


def test_divisors_beyond_every_number() -> None:
    x = np.asarray([-5, 0, 5])
    q, n, r, _ = opened(lambda a: [a // 10**18, a // -(10**18), a % 10**18], x=pv.Input(x, 5, 0))
    assert q.tolist() == [-1, 0, 0] and n.tolist() == [0, 0, -1] and r.tolist() == [10**18 - 5, 0, 5]
    assert opened(lambda a: a // 10.0**300, x=pv.Input(x, 5, 0))[0].tolist() == [-1, 0, 0]
    with pytest.raises(OverflowPlanned, match="a remainder may be as large as the divisor"):
        opened(lambda a: a % 10.0**300, x=pv.Input(x, 5, 0))


def test_names_and_operators_are_numpys() -> None:
    x = numbers(20_000, [7, 2], 2)
    wide = pv.Input(x, 20_000, 0)
    got = opened(
        lambda a: [
            np.floor_divide(a, 7), np.mod(a, 7), np.remainder(a, -7), *np.divmod(a, 7), np.fmod(a, 7), np.fmod(a, -7),
            a >> 3, a << 3, np.right_shift(a, 2), np.left_shift(a, 2), a >> np.full(x.shape, 5), a >> 70, a << 0,
            1000 // (a * a + 1), 1000 % (a * a + 1), np.arange(x.size) // (a * a + 1),
        ],
        x=wide,
    )  # fmt: skip
    squares = x * x + 1
    right = [
        x // 7, x % 7, np.remainder(x, -7), x // 7, x % 7, np.fmod(x, 7), np.fmod(x, -7), x >> 3, x << 3, x >> 2,
        x << 2, x >> 5, x >> 63, x, 1000 // squares, 1000 % squares, np.arange(x.size) // squares,
    ]  # fmt: skip
    for i, (g, r) in enumerate(zip(got, right, strict=False)):
        assert np.array_equal(g, r), i


@pytest.mark.parametrize(("bound", "most"), [(20, 20), (10**4, 300), (2**30, 2**25), (2**44, 1000)])
def test_secret_divisors(bound: int, most: int) -> None:
    rng = np.random.default_rng(3)
    y = np.concatenate([rng.integers(1, most + 1, 60), [1, most, 1, most, 2, 3]]) * rng.choice([-1, 1], 66)
    multiples = rng.integers(-(bound // most), bound // most + 1, 66) * y
    x = np.clip(multiples + rng.integers(-1, 2, 66), -bound, bound)
    x[:6], x[60:64] = rng.integers(-bound, bound + 1, 6), [bound, -bound, -bound, bound]
    q, r, d, m, kinds = opened(
        lambda a, b: [*divmod(a, b), a // b, a % b[:1]], x=pv.Input(x, bound, 0), y=pv.Input(y, most, 0)
    )
    assert np.array_equal(q, x // y) and np.array_equal(r, x % y)
    assert np.array_equal(d, x // y) and np.array_equal(m, x % y[:1])
    assert kinds == ["int"] * 4


def test_a_secret_divisor_of_0_ends_the_session_by_name() -> None:
    with pytest.raises(RangeViolated, match=r"x // y: a divisor is 0; .*np\.where"):
        opened(lambda a: a // (a - 1), x=pv.Input(np.array([1, 2]), 5, 0))


def test_numbers_with_fractions() -> None:
    """Multiples of 2^-18 are divided as they are shared: exactly."""
    rng = np.random.default_rng(4)
    for bound in (3.0, 1e4, 1e9):
        x = np.trunc(rng.uniform(-1, 1, 200) * bound * 2.0**18) / 2.0**18
        x[:40] = np.rint(x[:40])
        divisors = (7, 2, -3, 0.5, 2.25, -0.0625, 365.0, 2.0**-18 * 3)
        *got, kinds = opened(lambda a, ds=divisors: [p for d in ds for p in divmod(a, d)], x=pv.Input(x, bound))
        assert kinds == ["int", "fixed"] * len(divisors)
        for i, d in enumerate(divisors):
            assert np.array_equal(got[2 * i], np.floor_divide(x, d)), d
            assert np.array_equal(got[2 * i + 1], np.mod(x, d)), d
    x = np.trunc(rng.uniform(-1, 1, 200) * 100 * 2.0**18) / 2.0**18
    y = np.trunc(rng.uniform(0.1, 4, 200) * 2.0**18) / 2.0**18 * rng.choice([-1, 1], 200)
    q, r, _ = opened(lambda a, b: divmod(a, b), x=pv.Input(x, 100.0), y=pv.Input(y, 4.0))
    assert np.array_equal(q, np.floor_divide(x, y)) and np.array_equal(r, np.mod(x, y))


def test_whole_numbers_by_real_divisors_and_flags() -> None:
    x = np.arange(-50, 51)
    q, r, s, _ = opened(lambda a: [a // 2.5, a % 2.5, (a > 0) // 2], x=pv.Input(x, 50, 0))
    assert np.array_equal(q, x // 2.5) and np.array_equal(r, x % 2.5) and not s.any()


@pytest.mark.parametrize(
    ("program", "error", "words"),
    [
        (lambda a: a // 0, ZeroDivisionError, "a public divisor is 0"),
        (lambda a: a % np.array([1, 0]), ZeroDivisionError, "a public divisor is 0"),
        (lambda a: a // 0.1, UsageError, r"multiples of 2\^-18.*\(x \* 10\) // 1 for x // 0.1"),
        (lambda a: np.fmod(a, 0.3), UsageError, r"multiples of 2\^-18"),
        (lambda a: a >> -1, UsageError, "not negative"),
        (lambda a: a << 1.5, UsageError, "whole numbers of bits"),
        (lambda a: a >> a, UsageError, "a public number of bits"),
        (lambda a: 5 >> a, UsageError, "a public number of bits"),
        (lambda a: 5 << a, UsageError, "a public number of bits"),
        (lambda a: (a / 3) >> 1, UsageError, "expected secret integers"),
        (lambda a: a << 61, OverflowPlanned, "may reach"),
        (lambda a: a // "7", UsageError, "dtype"),
        (lambda a: a // float("nan"), UsageError, "NaN or infinity"),
        (lambda a: (a << 40) // (a << 30), OverflowPlanned, "both bounds multiplied, for a secret divisor"),
    ],
)
def test_refusals(program: Callable[..., Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        opened(program, x=pv.Input(np.array([1, 2]), 5, 0))


def test_rounds_and_bytes() -> None:
    def spent(program: Callable[..., Any], bound: float, scale: int | None = 0) -> tuple[int, int]:
        n = 1000

        def run(s: pv.Session) -> None:
            program(s.secret("x", "o"))

        one = {"o": {"x": pv.Input(np.ones(n, int if scale == 0 else float), bound, scale)}}
        done, before = (pv.simulate(p, inputs=one) for p in (run, lambda s: s.secret("x", "o")))
        sent = max(done.payload_sent.values()) - max(before.payload_sent.values())
        return done.rounds - before.rounds, round(sent / n)

    assert spent(lambda a: a // 8, 1e4) == (6, 41)
    assert spent(lambda a: a % 7, 1e4) == spent(lambda a: a // 7, 1e4) == (9, 46)
    assert spent(lambda a: a // 7, 1e8) == (9, 51)
    assert spent(lambda a: a // 7, 2.0**53) == (13, 88)
    assert spent(lambda a: a << 3, 1e4) == (0, 0)
