"""Real functions against float64 over their whole range: error as stated, result within its public bound, clamps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import privity as pv
from privity.errors import OverflowPlanned, PrivityError, RangeViolated, ShapeError, UsageError
from privity.functions.activation import log_one_plus_exp
from privity.mpc.plain import InsecurePlain
from privity.mpc.shapes import Shapes
from privity.session import Session
from privity.types import Cost

Reals = npt.NDArray[np.float64]
ULP = 2.0**-18
TOP = 2.0**43
PROTOCOLS: dict[str, tuple[Any, int]] = {
    "InsecurePlain": (InsecurePlain(), 1),
    "Rep3": (pv.Rep3(), 3),
    "Rep3 exact": (pv.Rep3(exact=True), 3),
}


@pytest.fixture(params=list(PROTOCOLS))
def protocol(request: pytest.FixtureRequest) -> tuple[Any, int]:
    return PROTOCOLS[request.param]


def opened(protocol: tuple[Any, int], fn: Callable[..., Any], *inputs: pv.Input, **options: Any) -> tuple[Any, float]:
    """What fn gives, opened, and the bound it states."""
    bounds: list[float] = []

    def program(s: Session) -> Any:
        y = fn(*(s.secret(f"x{i}", "bank") for i in range(len(inputs))))
        bounds.append(y.bound)
        return s.reveal(y, to="all", name="y", reason="test")

    given = {"bank": {f"x{i}": x for i, x in enumerate(inputs)}}
    done = pv.simulate(program, parties=protocol[1], protocol=protocol[0], inputs=given, **options)
    return done.outputs["bank"], bounds[0]


def magnitudes(least: float, most: float, count: int = 2000) -> Reals:
    """Reals of every magnitude, on the grid of 18 bits, with the ends and the powers of two."""
    rng = np.random.default_rng(7)
    wide = np.exp2(rng.uniform(math.log2(least), math.log2(most), count))
    powers = 2.0 ** np.arange(math.ceil(math.log2(least)), math.floor(math.log2(most)) + 1)
    return np.clip(np.rint(np.concatenate([wide, powers, [least, most]]) / ULP) * ULP, least, most)


def signed(most: float) -> Reals:
    x = magnitudes(ULP, most)
    near = np.rint(np.linspace(-16, 16, 2001) / ULP) * ULP
    return np.concatenate([x, -x, np.clip(near, -most, most), [0.0]])


@dataclass
class Case:
    function: Callable[[Any], Any]
    exact: Callable[[Reals], Reals]
    x: Reals
    bound: float = 128.0
    relative: float = 0.0
    absolute: float = ULP


def erf(x: Reals) -> Reals:
    return np.vectorize(math.erf, otypes=[float])(x)


def capped(f: Callable[[Reals], Reals], top: float = TOP) -> Callable[[Reals], Reals]:
    return lambda x: np.minimum(f(np.minimum(x, 60.0)), top)


def sigmoid(x: Reals) -> Reals:
    return np.where(x >= 0, 1, np.exp(np.minimum(x, 0))) / (1 + np.exp(-np.abs(x)))


POSITIVE, BOTH = magnitudes(ULP, 128.0), signed(128.0)
NONZERO = BOTH[BOTH != 0]
CASES = {
    "exp of a small bound": Case(pv.exp, np.exp, signed(8.0), 8.0, 2.0**-16),
    "exp": Case(pv.exp, capped(np.exp), BOTH, relative=2.0**-16),
    "exp of a large bound": Case(pv.exp, capped(np.exp), signed(2.0**40), 2.0**40, 2.0**-16),
    "exp2": Case(pv.exp2, capped(np.exp2), BOTH, relative=2.0**-16),
    "expm1": Case(pv.expm1, capped(np.expm1, TOP / 2**0.5), BOTH, 128.0, 2.0**-15, 1.25 * ULP + 2.0**-21),
    "expm1 of a small bound": Case(pv.expm1, np.expm1, signed(8.0), 8.0, 2.0**-15, 1.25 * ULP + 2.0**-21),
    "expm1 of a large bound": Case(
        pv.expm1, capped(np.expm1, TOP / 2**0.5), signed(2.0**40), 2.0**40, 2.0**-15, 1.25 * ULP + 2.0**-21
    ),
    "2 ** x": Case(lambda x: 0.5**x, lambda x: 0.5**x, signed(16.0), 16.0, 2.0**-16),
    "log": Case(pv.log, np.log, POSITIVE, absolute=2.0**-16),
    "log of a large bound": Case(pv.log, np.log, magnitudes(ULP, 2.0**41), 2.0**41, absolute=2.0**-16),
    "log2": Case(pv.log2, np.log2, POSITIVE, absolute=2.0**-16),
    "log1p": Case(pv.log1p, np.log1p, BOTH[BOTH > -1], absolute=2.0**-16),
    "logit": Case(pv.logit, lambda p: np.log(p / (1 - p)), magnitudes(ULP, 1 - ULP), 1.0, absolute=2.0**-15),
    "reciprocal": Case(pv.reciprocal, lambda x: 1 / x, NONZERO, relative=2.0**-20),
    "sqrt": Case(pv.sqrt, np.sqrt, POSITIVE, relative=2.0**-20),
    "sqrt of a large bound": Case(
        pv.sqrt, np.sqrt, magnitudes(ULP, 2.0**38), 2.0**38, relative=2.0**-20, absolute=1.25 * ULP
    ),
    "rsqrt": Case(pv.rsqrt, lambda x: x**-0.5, POSITIVE, relative=2.0**-20),
    "x ** 1.7": Case(lambda x: x**1.7, lambda x: x**1.7, POSITIVE, relative=2.0**-16),
    "x ** -0.3": Case(lambda x: x**-0.3, lambda x: x**-0.3, POSITIVE, relative=2.0**-17),
    "x ** 0.5": Case(lambda x: x**0.5, np.sqrt, POSITIVE, relative=2.0**-20),
    "x ** -1": Case(lambda x: x**-1, lambda x: 1 / x, NONZERO, relative=2.0**-20),
    "x ** -2": Case(lambda x: x**-2, lambda x: x**-2.0, NONZERO, relative=2.0**-16),
    "x ** -3": Case(lambda x: x**-3, lambda x: (x**-3.0).clip(-TOP, TOP), NONZERO, relative=2.0**-15),
    "1 / x": Case(lambda x: 1 / x, lambda x: 1 / x, NONZERO, relative=2.0**-20, absolute=1.25 * ULP),
    "1000 / x": Case(lambda x: 1000.0 / x, lambda x: 1000 / x, NONZERO, relative=2.0**-20, absolute=1.25 * ULP),
    "sigmoid": Case(pv.sigmoid, sigmoid, BOTH, 128.0, 2.0**-15, 2.0**-28),
    "sigmoid of a small bound": Case(pv.sigmoid, sigmoid, signed(8.0), 8.0, 2.0**-15, 2.0**-28),
    "sigmoid of a large bound": Case(pv.sigmoid, sigmoid, signed(2.0**40), 2.0**40, 2.0**-15, 2.0**-28),
    "1 - sigmoid": Case(lambda x: 1 - pv.sigmoid(x), lambda x: sigmoid(-x), BOTH, 128.0, 2.0**-15, 2.0**-28),
    "sigmoid_series": Case(pv.sigmoid_series, sigmoid, BOTH, absolute=2.0**-14),
    "sigmoid_series of a small bound": Case(pv.sigmoid_series, sigmoid, signed(8.0), 8.0, absolute=2.0**-14),
    "log(1 + e^x)": Case(
        lambda x: log_one_plus_exp(x, 30), lambda x: np.logaddexp(0, x), BOTH, 128.0, 2.0**-15, 2.0**-28
    ),
    "tanh": Case(pv.tanh, np.tanh, BOTH, absolute=2.0**-14),
    "erf": Case(pv.erf, erf, BOTH, absolute=2.0**-14),
    "gelu": Case(pv.gelu, lambda x: x * (1 + erf(x / 2**0.5)) / 2, BOTH, absolute=2.0**-15),
    "silu": Case(pv.silu, lambda x: x * sigmoid(x), BOTH, absolute=2.0**-14),
    "softplus": Case(pv.softplus, lambda x: np.logaddexp(0, x), BOTH, absolute=2.0**-14),
    "relu": Case(pv.relu, lambda x: np.maximum(x, 0), BOTH, absolute=0.0),
    "sin": Case(pv.sin, np.sin, BOTH, absolute=2.0**-16),
    "sin of a large bound": Case(pv.sin, np.sin, signed(2.0**20), 2.0**20, absolute=2.0**-16),
    "cos": Case(pv.cos, np.cos, BOTH, absolute=2.0**-16),
}


@pytest.mark.parametrize("name", CASES)
def test_error_over_the_whole_range(protocol: tuple[Any, int], name: str) -> None:
    case = CASES[name]
    got, bound = opened(protocol, case.function, pv.Input(case.x, case.bound))
    want = case.exact(case.x)
    allowed = case.relative * np.abs(want) + case.absolute
    worst = int(np.argmax(np.abs(got - want) - allowed))
    assert abs(got[worst] - want[worst]) <= allowed[worst], f"at {case.x[worst]!r}: {got[worst]} for {want[worst]}"
    assert np.abs(got).max() <= bound


@pytest.mark.parametrize("fraction_bits", [12, 18, 20, 22])
@pytest.mark.parametrize(
    ("case", "centre", "reach"),
    [
        (Case(pv.expm1, np.expm1, BOTH, relative=2.0**-15), 0.0, 6.0),
        (Case(pv.log1p, np.log1p, BOTH, relative=2.0**-16), 0.0, 1 / 3),
        (Case(pv.log, np.log, BOTH, relative=2.0**-16), 1.0, 1 / 3),
        (Case(pv.log2, np.log2, BOTH, relative=2.0**-16), 1.0, 1 / 3),
    ],
)
def test_relative_error_where_the_result_is_small(
    protocol: tuple[Any, int], fraction_bits: int, case: Case, centre: float, reach: float
) -> None:
    ulp = 2.0**-fraction_bits
    far = np.exp2(np.random.default_rng(2).uniform(math.log2(ulp), math.log2(reach), 4000))
    x = np.trunc(np.concatenate([far, -far, [0.0, ulp, -ulp, reach, -reach]]) / ulp) * ulp + centre
    got, bound = opened(protocol, case.function, pv.Input(x, 8.0), fraction_bits=fraction_bits)
    want = case.exact(x)
    assert (np.abs(got - want) <= case.relative * np.abs(want) + 1.25 * ulp + 2.0**-21).all()
    assert np.abs(got).max() <= bound
    assert (got[x == centre] == 0).all()


OF_ANY_SIZE = {
    name: CASES[name]
    for name in ("log", "log1p", "reciprocal", "sqrt", "rsqrt", "x ** -2", "x ** 1.7", "1 / x", "softplus")
} | {
    "exp": replace(CASES["exp"], exact=lambda x: np.exp(np.minimum(x, 60.0))),
    "expm1": replace(CASES["expm1"], exact=lambda x: np.expm1(np.minimum(x, 60.0))),
}


@pytest.mark.parametrize("fraction_bits", [12, 18, 20])
@pytest.mark.parametrize("name", OF_ANY_SIZE)
def test_error_for_bounds_of_every_size(name: str, fraction_bits: int) -> None:
    """Each number of bits takes other shifts and digits; any of them might leave the ring for some values."""
    case, ulp = OF_ANY_SIZE[name], 2.0**-fraction_bits
    top = 2.0 ** (61 - fraction_bits - (0.5 if name == "expm1" else 0))
    for exponent in range(-4, 39 - 2 * max(0, fraction_bits - 18)):
        bound = 1.4 * 2.0**exponent
        x = np.exp2(np.random.default_rng(exponent + 9).uniform(-fraction_bits, math.log2(bound), 200))
        x = np.maximum(np.concatenate([x, 2.0 ** np.arange(-fraction_bits, exponent + 1)]) // ulp, 1) * ulp
        x = np.concatenate([x, -x]) if case.x.min() < 0 else x
        x = x[x > -1] if name == "log1p" else x
        got, stated = opened(PROTOCOLS["InsecurePlain"], case.function, pv.Input(x, bound), fraction_bits=fraction_bits)
        want = np.clip(case.exact(x), -top, top)
        allowed = case.relative * np.abs(want) + case.absolute + (2.5 if "log" in name else 1.25) * ulp
        worst = int(np.argmax(np.abs(got - want) - allowed))
        assert abs(got[worst] - want[worst]) <= allowed[worst], f"|x| <= {bound}: at {x[worst]!r}: {got[worst]}"
        assert np.abs(got).max() <= stated


@pytest.mark.parametrize("scale", [0, 1, 3, 6, 10, 14, 24, 30])
@pytest.mark.parametrize(
    "name",
    ["sigmoid", "sigmoid_series", "tanh", "erf", "gelu", "silu", "softplus", "sin", "exp", "expm1", "log1p"],
)
def test_error_for_arrays_with_scales_of_their_own(name: str, scale: int) -> None:
    case, ulp = CASES[name], 2.0**-scale
    x = np.unique(np.rint(np.linspace(0 if name == "log1p" else -20, 20, 2001) / ulp) * ulp)
    given = pv.Input(x.astype(np.int64), 20.0) if scale == 0 else pv.Input(x, 20.0, scale)
    got, _ = opened(PROTOCOLS["InsecurePlain"], case.function, given)
    want = case.exact(x)
    assert (np.abs(got - want) <= case.relative * np.abs(want) + case.absolute + 0.25 * ULP).all()


@pytest.mark.parametrize(("bound", "at_most"), [(128.0, None), (1000.0, None), (1e6, 1.0), (2000.0, 2.0)])
def test_quotients(protocol: tuple[Any, int], bound: float, at_most: float | None) -> None:
    b = signed(bound)
    b = b[np.abs(b) >= (1 / at_most if at_most else ULP)]
    a = np.random.default_rng(3).permutation(signed(bound))[: len(b)]
    b = b[: len(a)]
    got, stated = opened(protocol, lambda a, b: pv.divide(a, b, at_most), pv.Input(a, bound), pv.Input(b, bound))
    assert (np.abs(got - a / b) <= 2.0**-20 * np.abs(a / b) + 1.25 * ULP).all()
    assert np.abs(got).max() <= stated


def test_quotients_of_integers_and_broadcasting(protocol: tuple[Any, int]) -> None:
    a, b = np.arange(-60, 60).reshape(6, 20), np.array([-7, 1, 2, 3, 50, 9]).reshape(6, 1)
    got, _ = opened(protocol, lambda a, b: a / b, pv.Input(a, 100.0), pv.Input(b, 64.0))
    np.testing.assert_allclose(got, a / b, rtol=2.0**-20, atol=1.25 * ULP)
    got, _ = opened(protocol, lambda a, b: b / a, pv.Input(a[:, 10:] + 100, 200.0), pv.Input(b, 64.0))
    np.testing.assert_allclose(got, b / (a[:, 10:] + 100), rtol=2.0**-20, atol=1.25 * ULP)


def test_secret_exponents(protocol: tuple[Any, int]) -> None:
    rng = np.random.default_rng(5)
    x, y = (np.rint(rng.uniform(*r, 3000) / ULP) * ULP for r in ((0.05, 8.0), (-4.0, 4.0)))
    got, bound = opened(protocol, lambda x, y: x**y, pv.Input(x, 8.0), pv.Input(y, 4.0))
    np.testing.assert_allclose(got, x**y, rtol=2.0**-15, atol=ULP)
    assert np.abs(got).max() <= bound


@pytest.mark.parametrize("axis", [-1, 0, 1])
@pytest.mark.parametrize("bound", [8.0, 1000.0])
def test_softmax_and_its_logarithms(protocol: tuple[Any, int], axis: int, bound: float) -> None:
    x = np.random.default_rng(9).choice(signed(bound), (7, 5, 6))
    x[0, 0], x[1] = bound, -bound
    top = x.max(axis, keepdims=True)
    total = np.exp(x - top).sum(axis, keepdims=True)
    got, stated = opened(protocol, lambda x: pv.softmax(x, axis), pv.Input(x, bound))
    np.testing.assert_allclose(got, np.exp(x - top) / total, rtol=0, atol=2.0**-16)
    assert got.max() <= stated
    got, stated = opened(protocol, lambda x: pv.log_softmax(x, axis), pv.Input(x, bound))
    np.testing.assert_allclose(got, x - top - np.log(total), rtol=0, atol=2.0**-15)
    assert np.abs(got).max() <= stated
    for keep in (False, True):
        got, stated = opened(protocol, lambda x, k=keep: pv.logsumexp(x, axis, k), pv.Input(x, bound))
        want = top + np.log(total)
        np.testing.assert_allclose(got, want if keep else want.squeeze(axis), rtol=0, atol=2.0**-15)
        assert np.abs(got).max() <= stated


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 0), (2, 1, 2)])
@pytest.mark.parametrize("name", [n for n in CASES if "large" not in n and "small" not in n])
def test_shapes(protocol: tuple[Any, int], name: str, shape: tuple[int, ...]) -> None:
    case = CASES[name]
    x = np.full(shape, 0.75)
    got, _ = opened(protocol, case.function, pv.Input(x, case.bound))
    assert np.shape(got) == shape
    want = case.exact(x)
    np.testing.assert_allclose(got, want, rtol=case.relative, atol=case.absolute + ULP)


def test_outside_of_the_domain(protocol: tuple[Any, int]) -> None:
    x = pv.Input(np.array([0.0, -ULP, -1.0, -127.5]), 128.0)
    for function in (pv.sqrt, pv.rsqrt):
        np.testing.assert_array_equal(opened(protocol, function, x)[0], 0.0)
    np.testing.assert_allclose(opened(protocol, pv.log, x)[0], math.log(ULP), rtol=0, atol=2.0**-16)
    np.testing.assert_allclose(opened(protocol, pv.log2, x)[0], -18, rtol=0, atol=0)
    np.testing.assert_allclose(opened(protocol, lambda x: x**0.25, x)[0], ULP**0.25, rtol=1e-4)
    zero = pv.Input(np.zeros(3), 128.0)
    np.testing.assert_array_equal(opened(protocol, lambda x: 5 / x, zero)[0], 0.0)
    far = pv.Input(np.array([127.0, 45.0, -127.0]), 128.0)
    np.testing.assert_array_equal(opened(protocol, pv.exp, far)[0], [TOP, TOP, 0.0])
    np.testing.assert_allclose(opened(protocol, pv.expm1, far)[0], [TOP / 2**0.5] * 2 + [-1.0], rtol=1e-12, atol=ULP)
    np.testing.assert_allclose(opened(protocol, pv.log1p, x)[0], np.log([1, 1 - ULP, ULP, ULP]), rtol=0, atol=2.0**-16)


@pytest.mark.parametrize("fraction_bits", [12, 16, 20])
def test_other_scales(protocol: tuple[Any, int], fraction_bits: int) -> None:
    ulp = 2.0**-fraction_bits
    x = np.rint(magnitudes(0.01, 8.0, 500) / ulp) * ulp
    for function, exact in (
        (pv.exp, np.exp), (pv.log, np.log), (pv.sqrt, np.sqrt), (pv.sigmoid, sigmoid),
        (pv.softplus, lambda x: np.logaddexp(0, x)),
        (lambda x: 3.0 / x, lambda x: 3 / x), (pv.reciprocal, lambda x: 1 / x),
        (pv.gelu, lambda x: x * (1 + erf(x / 2**0.5)) / 2), (pv.sin, np.sin),
    ):  # fmt: skip
        got, _ = opened(protocol, function, pv.Input(x, 8.0), fraction_bits=fraction_bits)
        np.testing.assert_allclose(got, exact(x), rtol=2.0**-16, atol=2.0**-14 + 2 * ulp)


@pytest.mark.parametrize(
    ("function", "error", "words"),
    [
        (lambda x: x ** float("inf"), UsageError, "power"),
        (lambda x: x ** "2", UsageError, "power"),
        (lambda x: (-2.0) ** x, UsageError, "positive public number"),
        (lambda x: (x * 1e4) / (x * 1e4), OverflowPlanned, "at_most"),
        (lambda x: pv.softmax(x, 1), ShapeError, "axis"),
        (lambda x: pv.divide(1.0, x, at_most=2.0), RangeViolated, "left the bound"),
        (lambda x: x / 0.0, ZeroDivisionError, "public zero"),
        (lambda x: pv.sqrt(x.rescaled(3)._stated(2.0**53)), UsageError, "tighter bound"),
        (lambda x: pv.log(x._stated(2.0**43)), UsageError, r"at most 2\^42"),
    ],
)
def test_mistakes_are_named(function: Callable[[Any], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        opened(PROTOCOLS["InsecurePlain"], function, pv.Input(np.array([0.25, 1.0]), 128.0))
    assert issubclass(error, (PrivityError, ZeroDivisionError))


def test_what_is_planned_on_shapes_is_what_is_spent() -> None:
    planned, spent = [], []

    def program(s: Session) -> None:
        x = s.secret("x", "bank")
        for case in CASES.values():
            case.function(x)
        pv.softmax(x)
        pv.log_softmax(x, 0)
        pv.logsumexp(x)
        (abs(x) + 0.1) ** x
        x / (x + 1).sum(0)
        if isinstance(s._context.protocol, Shapes):
            planned.append(s._context.protocol.planned)
        else:
            party = s._context.protocol.party
            spent.append((party.index, party.rounds, party.sent))

    x = np.random.default_rng(1).normal(size=(30, 4)).clip(-6, 6)
    pv.simulate(program, inputs={"bank": {"x": pv.Input(x, 6.0)}})
    assert planned == [Cost(spent[0][1], tuple(sent for _, _, sent in sorted(spent)))]
