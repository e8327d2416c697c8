"""Functions of one or two arrays, element by element, beside NumPy and SciPy on the numbers that are shared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

import privity as pv
from privity.functions import names

from .case import ULP, Case, Limit, Within, enter, exact
from .columns import Draw, shared

NUMERICS = "docs/numerics.md"
ROOM = Limit("may reach|needs at most|needs more than|no room|expected a bound below", NUMERICS)
"""What by the public bounds would pass 62 bits is refused; for cases that state bounds beyond the stated range."""

TABLE = names.entries()


def numpy_function(name: str) -> Any:
    found: Any = np
    for part in name.split("."):
        found = getattr(found, part)
    return found


def exists(name: str) -> bool:
    """Whether this NumPy has a function of the name."""
    try:
        return callable(numpy_function(name))
    except AttributeError:
        return False


def words_for(name: str) -> dict[str, Any]:
    """All that does the same: NumPy's name, its aliases, Privity's own; by public name."""
    aliases = [a for a, of in names.ALIASES.items() if of == name]
    found = {f"np.{n}": numpy_function(n) for n in (name, *aliases) if n in TABLE and exists(n)}
    if name in pv.__all__:
        found[f"pv.{name}"] = getattr(pv, name)
    return found


def unary(name: str, plain: Callable[[Any], Any], within: Within, **column: Any) -> None:
    """A function of one real array. ``column``: what ``Draw.column`` draws, within the stated domain."""
    calls = words_for(name)

    def make(draw: Draw) -> Case:
        called = draw.one(*calls)
        call = calls[called]
        c = draw.column(draw.rows(), **column)
        x = shared(c.values)
        return Case(
            lambda s, v: call(v["x"]),
            lambda: plain(x),
            within,
            {"x": c.input()},
            note=f"{called}: {c.note}",
            owners=draw.owners(),
            words=(name,),
        )

    enter(f"{'np' if name in TABLE else 'pv'}.{name}", "functions", make, list(calls))


class Piecewise(Within):
    """A stated error that depends on the argument's place: by a function of the right value."""

    __slots__ = ("of",)

    def __init__(self, page: str, of: Callable[[Any], Any]) -> None:
        super().__init__(page)
        object.__setattr__(self, "of", of)

    def allowed(self, want: Any) -> Any:
        return self.of(np.nan_to_num(np.asarray(want, np.float64)))


def _rint(x: Any) -> Any:
    return np.floor(x + 0.5)


def _near_zero(relative: float) -> Callable[[Any], Any]:
    """log1p: relative where 1 + x is in [2/3, 4/3], absolute 2^-16 beyond."""

    def of(want: Any) -> Any:
        close = (want >= np.log(2 / 3)) & (want < np.log(4 / 3))
        return np.where(close, relative * np.abs(want) + 1.25 * ULP + 2.0**-21, 2.0**-16)

    return of


def _gelu(x: Any) -> Any:
    return x * special.ndtr(x)


SMALL = {"low": -5, "high": 1.3, "most": 29.0, "offset": False}
ANY: dict[str, Any] = {"bounded": 2.0**40}
PLUS = {"positive": True, **ANY}

for _name, _plain, _within, _column in (
    ("exp", lambda x: np.minimum(np.exp(x), 2.0**43), Within("privity.exp", 2.0**-16, 1), SMALL),
    ("exp2", lambda x: np.minimum(np.exp2(x), 2.0**43), Within("privity.exp2", 2.0**-16, 1), {**SMALL, "most": 42.0}),
    ("expm1", np.expm1, Within("privity.expm1", 2.0**-15, 1.25, 2.0**-21), SMALL),
    ("log", lambda x: np.log(np.maximum(x, ULP)), Within("privity.log", absolute=2.0**-16), PLUS),
    ("log2", lambda x: np.log2(np.maximum(x, ULP)), Within("privity.log2", absolute=2.0**-16), PLUS),
    ("log10", lambda x: np.log10(np.maximum(x, ULP)), Within("privity.log2", absolute=2.0**-16), PLUS),
    ("log1p", np.log1p, Piecewise("privity.log1p", _near_zero(2.0**-16)), PLUS),
    (
        "logit",
        lambda p: special.logit(np.clip(p, ULP, 1 - ULP)),
        Within("privity.logit", absolute=2.0**-15),
        {"low": -5, "high": 0, "most": 1.0, "positive": True, "bounded": 1.0},
    ),
    (
        "reciprocal",
        lambda x: np.divide(1.0, x, out=np.zeros_like(x), where=x != 0),
        Within("privity.reciprocal", 2.0**-20, 1),
        ANY,
    ),
    (
        "sqrt",
        lambda x: np.sqrt(np.maximum(x, 0)),
        Within("privity.sqrt", 2.0**-20, 1.25),
        {"bounded": 2.0**38, "most": 2.0**37},
    ),
    (
        "rsqrt",
        lambda x: np.divide(1, np.sqrt(np.maximum(x, 0)), out=np.zeros_like(x), where=x > 0),
        Within("privity.rsqrt", 2.0**-20, 1),
        {"bounded": 2.0**38, "most": 2.0**37},
    ),
    ("sigmoid", special.expit, Piecewise("privity.sigmoid", lambda p: 2.0**-15 * np.minimum(p, 1 - p) + 2.0**-28), ANY),
    ("sigmoid_series", special.expit, Within("privity.sigmoid_series", absolute=2.0**-14), ANY),
    ("tanh", np.tanh, Within("privity.tanh", absolute=2.0**-14), ANY),
    ("erf", special.erf, Within("privity.erf", absolute=2.0**-14), ANY),
    ("gelu", _gelu, Piecewise("privity.gelu", lambda w: 2.0**-15 + 2.0**-23 * np.abs(w)), ANY),
    ("silu", lambda x: x * special.expit(x), Within("privity.silu", absolute=2.0**-14), ANY),
    ("softplus", lambda x: np.logaddexp(0, x), Within("privity.softplus", absolute=2.0**-14), ANY),
    ("relu", lambda x: np.maximum(x, 0), exact("privity.relu"), ANY),
    ("sin", np.sin, Within("privity.sin", absolute=2.0**-16), {"most": 2.0**20, **ANY}),
    ("cos", np.cos, Within("privity.cos", absolute=2.0**-16), {"most": 2.0**20, **ANY}),
    ("sign", np.sign, exact("privity.sign"), ANY),
    ("absolute", np.abs, exact("privity.absolute"), ANY),
    ("fabs", np.abs, exact("privity.absolute"), ANY),
    ("floor", np.floor, exact("privity.floor"), ANY),
    ("ceil", np.ceil, exact("privity.ceil"), ANY),
    ("rint", _rint, exact("privity.rint"), ANY),
    ("trunc", np.trunc, exact("privity.trunc"), ANY),
    ("fix", np.trunc, exact("privity.trunc"), ANY),
    ("negative", np.negative, exact("docs/numpy.md"), ANY),
    ("positive", np.positive, exact("docs/numpy.md"), ANY),
    ("conjugate", np.conj, exact("docs/numpy.md"), ANY),
    ("real", np.real, exact("docs/numpy.md"), ANY),
    ("imag", np.imag, exact("docs/numpy.md"), ANY),
    ("signbit", lambda x: x < 0, exact("docs/numpy.md"), ANY),
    ("logical_not", np.logical_not, exact("docs/numpy.md"), ANY),
    ("nan_to_num", np.nan_to_num, exact("docs/numpy.md"), ANY),
    ("copy", np.copy, exact("docs/numpy.md"), ANY),
    ("square", np.square, Within("SecureArray.multiply", ulps=1), {"most": 2.0**12, "bounded": 2.0**12}),
    (
        "deg2rad",
        np.deg2rad,
        Within("docs/numerics.md (a product with a public number)", 2.0**-24, 2),
        {"bounded": 2.0**20, "most": 2.0**20},
    ),
    (
        "rad2deg",
        np.rad2deg,
        Within("docs/numerics.md (a product with a public number)", 2.0**-24, 2),
        {"bounded": 2.0**20, "most": 2.0**20},
    ),
    ("isfinite", np.isfinite, exact("docs/numpy.md"), ANY),
    ("isinf", np.isinf, exact("docs/numpy.md"), ANY),
    ("isnan", np.isnan, exact("docs/numpy.md"), ANY),
    ("isposinf", np.isposinf, exact("docs/numpy.md"), ANY),
    ("isneginf", np.isneginf, exact("docs/numpy.md"), ANY),
    ("isreal", np.isreal, exact("docs/numpy.md"), ANY),
    ("iscomplex", np.iscomplex, exact("docs/numpy.md"), ANY),
    ("isrealobj", np.isrealobj, exact("docs/numpy.md"), ANY),
    ("iscomplexobj", np.iscomplexobj, exact("docs/numpy.md"), ANY),
    ("zeros_like", np.zeros_like, exact("docs/numpy.md"), ANY),
    ("ones_like", np.ones_like, exact("docs/numpy.md"), ANY),
    ("empty_like", np.zeros_like, exact("docs/numpy.md"), ANY),
):
    unary(_name, _plain, _within, **_column)


# -- two arrays ------------------------------------------------------------------------------------------------------


def binary(name: str, plain: Callable[[Any, Any], Any], within: Within, public: bool = True, **column: Any) -> None:
    """A function of two real arrays, the second public at times."""
    calls = words_for(name)

    def make(draw: Draw) -> Case:
        called = draw.one(*calls)
        call = calls[called]
        n = draw.rows()
        a, b = draw.column(n, **column), draw.column(n, **column)
        if draw.chance(0.2):
            b = a
        x, y = shared(a.values), shared(b.values)
        arrays = {"x": a.input(), "y": b.input()}
        plainly = public and draw.chance(0.3)
        if plainly:
            arrays.pop("y")
        return Case(
            lambda s, v: call(v["x"], y if plainly else v["y"]),
            lambda: plain(x, y),
            within,
            arrays,
            note=f"{called}: {a.note}; {'public ' if plainly else ''}{b.note}",
            owners=draw.owners(),
            words=(name,),
        )

    enter(f"{'np' if name in TABLE else 'pv'}.{name}", "functions", make, list(calls))


SUM = {"bounded": 2.0**40, "most": 2.0**40}
PRODUCT = {"bounded": 2.0**12, "most": 2.0**12}
for _name, _other, _within, _column in (
    ("add", np.add, exact("docs/numpy.md"), SUM),
    ("subtract", np.subtract, exact("docs/numpy.md"), SUM),
    ("multiply", np.multiply, Within("SecureArray.multiply", ulps=2), PRODUCT),
    ("maximum", np.maximum, exact("privity.maximum"), SUM),
    ("minimum", np.minimum, exact("privity.minimum"), SUM),
    ("fmax", np.maximum, exact("privity.maximum"), SUM),
    ("fmin", np.minimum, exact("privity.minimum"), SUM),
    ("less", np.less, exact("docs/numpy.md"), SUM),
    ("less_equal", np.less_equal, exact("docs/numpy.md"), SUM),
    ("greater", np.greater, exact("docs/numpy.md"), SUM),
    ("greater_equal", np.greater_equal, exact("docs/numpy.md"), SUM),
    ("equal", np.equal, exact("docs/numpy.md"), SUM),
    ("not_equal", np.not_equal, exact("docs/numpy.md"), SUM),
    ("logical_and", np.logical_and, exact("docs/numpy.md"), SUM),
    ("logical_or", np.logical_or, exact("docs/numpy.md"), SUM),
    ("logical_xor", np.logical_xor, exact("docs/numpy.md"), SUM),
    (
        "hypot",
        np.hypot,
        Within("docs/numpy.md: squares must fit; privity.sqrt", 2.0**-20, 2.5),
        {"low": -2, "high": 3, "bounded": 2.0**12, "most": 2.0**12},
    ),
    ("logaddexp", np.logaddexp, Within("privity.logsumexp", absolute=2.0**-15), SUM),
    ("array_equal", np.array_equal, exact("docs/numpy.md"), SUM),
):
    if _name == "hypot":  # squares are rounded to one unit each, which a root of a small sum magnifies

        def _hypot_error(want: Any) -> Any:
            return 2.0**-20 * want + 1.25 * ULP + np.minimum(np.sqrt(2 * ULP), 2 * ULP / np.maximum(want, 1e-9))

        _within = Piecewise("docs/numpy.md: squares must fit; each is rounded to a unit", _hypot_error)
    binary(_name, _other, _within, **_column)


def _divide(draw: Draw) -> Case:
    n = draw.rows()
    called = draw.one("np.divide", "np.true_divide", "pv.divide", "/")
    call = {"/": lambda a, b: a / b, "pv.divide": pv.divide}.get(called) or numpy_function(called[3:])
    a = draw.column(n, most=2.0**10, bounded=2.0**10)
    b = draw.column(n, low=-3, most=2.0**10, bounded=2.0**10)
    x, y = shared(a.values), shared(b.values)
    if draw.chance(0.4):  # a public divisor
        y = np.where(y == 0, 1.0, np.asarray(b.values))
        return Case(
            lambda s, v: call(v["x"], y),
            lambda: x / y,
            Within("privity.divide: public b", 2.0**-20, 2.0),
            {"x": a.input()},
            note=f"{called}: {a.note}; public {b.note}",
            owners=draw.owners(),
        )
    want = np.divide(x, y, out=np.zeros(n), where=y != 0)
    return Case(
        lambda s, v: call(v["x"], v["y"]),
        want,
        Within("privity.divide", 2.0**-20, 1.25),
        {"x": a.input(), "y": b.input()},
        note=f"{called}: {a.note}; {b.note}",
        owners=draw.owners(),
        words=("divide",),
    )


enter("np.divide", "functions", _divide, ["np.divide", "np.true_divide", "pv.divide"])


def _power(draw: Draw) -> Case:
    called = draw.one("np.power", "np.pow", "np.float_power", "pv.power", "**")
    call = {"**": lambda a, b: a**b, "pv.power": pv.power}.get(called) or numpy_function(called[3:])
    n, p = draw.rows(), draw.one(2, 0.5, -0.5, -1, 1.7, 0.3, -2, 3)
    c = draw.column(n, low=-1, high=3, most=2.0**8, bounded=2.0**8, positive=True)
    x = np.maximum(shared(c.values), 0.125)
    ulps = {2: 1.0, 3: 2.0**9}.get(p, 1.25)
    relative = 0.0 if p in (2, 3) else 2.0**-20 if p in (0.5, -0.5, -1) else (1 + abs(p)) * 2.0**-18
    bound = max(c.bound, 0.125) + ULP
    return Case(
        lambda s, v: call(v["x"], p),
        x ** float(p),
        Within("privity.power", relative, ulps),
        {"x": pv.Input(x, bound)},
        note=f"{called} {p}: {c.note}",
        owners=draw.owners(),
        words=("power",),
    )


enter("np.power", "functions", _power, ["np.power", "np.pow", "np.float_power", "pv.power"])


def _heaviside(draw: Draw) -> Case:
    n = draw.rows()
    c = draw.column(n, bounded=2.0**40)
    x, middle = shared(c.values), draw.one(0.0, 0.5, 1.0)
    return Case(
        lambda s, v: np.heaviside(v["x"], middle),
        np.heaviside(x, middle),
        exact("docs/numpy.md"),
        {"x": c.input()},
        note=c.note,
        owners=draw.owners(),
    )


enter("np.heaviside", "functions", _heaviside)


def _round(draw: Draw) -> Case:
    called = draw.one(*[n for n in ("np.round", "np.around", "np.round_") if exists(n[3:])])
    call, digits = numpy_function(called[3:]), draw.one(0, 1, 2, 3)
    c = draw.column(draw.rows(), most=2.0**20, bounded=2.0**20)
    x, step = shared(c.values), 10.0**-digits

    def check(got: Any) -> str:
        got = np.asarray(got, np.float64)
        whole = np.abs(got / step - np.rint(got / step)).max() * step
        off = np.abs(got - x).max() - step / 2
        if whole > 2 * ULP + 1e-9 * np.abs(x).max():
            return f"{whole:.3g} away from a multiple of {step}"
        return f"farther than half a step by {off:.3g}" if off > 2 * ULP + 1e-9 * np.abs(x).max() else ""

    return Case(
        lambda s, v: call(v["x"], digits),
        check=check,
        arrays={"x": c.input()},
        note=f"{called} {digits}: {c.note}",
        owners=draw.owners(),
    )


enter("np.round", "functions", _round, [n for n in ("np.round", "np.around", "np.round_") if exists(n[3:])])


def _clip(draw: Draw) -> Case:
    called = draw.one("np.clip", "pv.clip")
    c = draw.column(draw.rows(), bounded=2.0**40)
    x = shared(c.values)
    low, high = sorted(draw.one(*x, 0.0) * draw.one(1.0, 0.5, 2.0) for _ in range(2))
    call = np.clip if called == "np.clip" else pv.clip
    return Case(
        lambda s, v: call(v["x"], low, high),
        np.clip(x, shared(low), shared(high)),
        exact("privity.clip"),
        {"x": c.input()},
        note=f"{called} {low:.4g} {high:.4g}: {c.note}",
        owners=draw.owners(),
    )


enter("np.clip", "functions", _clip, ["np.clip", "pv.clip"])


def _isclose(name: str) -> Callable[[Draw], Case]:
    def make(draw: Draw) -> Case:
        n = draw.rows()
        a = draw.column(n, most=2.0**20, bounded=2.0**20)
        x = shared(a.values)
        near = shared(x * (1 + draw.rng.choice([0.0, 1e-7, 1e-3, -0.1], n)))
        tolerance = draw.one({}, {"rtol": 1e-2}, {"atol": 0.5})
        gap = np.abs(x - near) - (max(tolerance.get("atol", 1e-8), ULP) + tolerance.get("rtol", 1e-5) * np.abs(near))
        sure = np.abs(gap) > 4 * ULP + 2.0**-24 * np.abs(near)
        close = gap <= 0

        def check(got: Any) -> str:
            if name == "isclose":
                return "" if (np.asarray(got) == close)[sure].all() else f"{got} where {close}"
            known = bool((~close & sure).any()) or bool(sure.all())
            return "" if not known or bool(got) == bool(close.all()) else f"{got} where {close.all()}"

        call = numpy_function(name)
        return Case(
            lambda s, v: call(v["x"], v["y"], **tolerance),
            check=check,
            arrays={"x": a.input(), "y": pv.Input(near, max(a.bound, float(np.abs(near).max())))},
            note=f"{tolerance}: {a.note}",
            owners=draw.owners(),
        )

    return make


enter("np.isclose", "functions", _isclose("isclose"))
enter("np.allclose", "functions", _isclose("allclose"))


# -- booleans and whole numbers --------------------------------------------------------------------------------------


def _bits(name: str, plain: Callable[..., Any], count: int) -> None:
    calls = words_for(name)

    def make(draw: Draw) -> Case:
        called, n = draw.one(*calls), draw.rows()
        x, y = draw.flags(n) > 0, draw.flags(n) > 0
        given = [("x", x), ("y", y)][:count]
        return Case(
            lambda s, v: calls[called](*(v[k] for k, _ in given)),
            plain(*(a for _, a in given)),
            exact("docs/numpy.md"),
            {k: pv.Input(a) for k, a in given},
            note=called,
            owners=draw.owners(),
        )

    enter(f"np.{name}", "functions", make, list(calls))


_bits("bitwise_and", np.bitwise_and, 2)
_bits("bitwise_or", np.bitwise_or, 2)
_bits("bitwise_xor", np.bitwise_xor, 2)
_bits("invert", np.invert, 1)

WHOLE = "docs/numpy.md: exact for secret integers and public divisors"


def whole_column(draw: Draw, n: int, most: float = 2.0**53) -> tuple[Any, float, str]:
    """Whole numbers as people have them: counts, identifiers, epoch seconds and milliseconds, signed amounts."""
    kind = draw.one("counts", "identifiers", "epoch s", "epoch ms", "signed", "to 2^53", "small")
    low, high = {
        "counts": (0, 500),
        "identifiers": (10**9, 10**10),
        "epoch s": (1_600_000_000, 1_800_000_000),
        "epoch ms": (1_600_000_000_000, 1_800_000_000_000),
        "signed": (-(10**6), 10**6),
        "to 2^53": (-(2**53), 2**53),
        "small": (-3, 3),
    }[kind]
    low, high = max(low, -int(most)), min(high, int(most))
    if low >= high:
        low, high, kind = 0, int(most), "counts"
    x = draw.rng.integers(low, high, n, endpoint=True)
    bound = min(float(most), draw.loose(float(max(1, np.abs(x).max())), most))
    return x, float(np.ceil(bound)), f"{kind}, bound {bound:.3g}"


def _integers(name: str, operator: Callable[[Any, Any], Any], plain: Callable[[Any, Any], Any]) -> None:
    """``//``, ``%`` and shifts of secret whole numbers and reals, by public numbers or (``//``, ``%``) secret ones."""
    calls = {**words_for(name), "operator": operator}
    shift = "shift" in name

    def make(draw: Draw) -> Case:
        called, n = draw.one(*calls), draw.rows()
        x, bound, note = whole_column(draw, n)
        arrays = {"x": pv.Input(x, bound)}
        limits: tuple[Limit, ...] = ()
        d: Any = int(draw.one(2, 3, 7, 10, 60, 86400, 1000, 2**20, 12345, -7, 1))
        if shift:
            d = draw.whole(0, 20) if name == "right_shift" else draw.whole(0, 4)
            limits = (ROOM,) if name == "left_shift" and bound * 2.0**d > 2.0**60 else ()
        elif draw.chance(0.3):  # secret divisors: the product of both bounds below 2^60, x's below 2^46
            x, bound, note = whole_column(draw, n, 2.0**40)
            d = draw.rng.integers(1, 1000, n) * draw.rng.choice([1, 1, -1], n)
            arrays = {"x": pv.Input(x, bound), "d": pv.Input(d, 1024.0)}
        elif draw.chance(0.3):  # reals, by multiples of 2^-18
            c = draw.column(n, most=2.0**30, bounded=2.0**36)
            x, note, d = shared(c.values), c.note, draw.one(1.0, 0.25, 2.5, -3.0, 7.0)
            arrays = {"x": c.input()}
        secret = "d" in arrays
        return Case(
            lambda s, v: calls[called](v["x"], v["d"] if secret else d),
            lambda: plain(x, d),
            exact(WHOLE),
            arrays,
            note=f"{called} {'secret' if secret else d}: {note}",
            owners=draw.owners(),
            words=(name, "//", "%"),
            limits=limits,
        )

    enter(f"np.{name}", "functions", make, [c for c in calls if c != "operator"])


_integers("floor_divide", lambda a, d: a // d, np.floor_divide)
_integers("remainder", lambda a, d: a % d, np.remainder)
_integers("fmod", np.fmod, np.fmod)
_integers("right_shift", lambda a, d: a >> d, np.right_shift)
_integers("left_shift", lambda a, d: a << d, np.left_shift)


def _divmod(draw: Draw) -> Case:
    x, bound, note = whole_column(draw, draw.rows())
    d = int(draw.one(2, 3, 7, 60, 86400, 1000))
    call = draw.one(np.divmod, divmod)
    return Case(
        lambda s, v: list(call(v["x"], d)),
        list(np.divmod(x, d)),
        exact(WHOLE),
        {"x": pv.Input(x, bound)},
        note=f"{d}: {note}",
        owners=draw.owners(),
        words=("divmod",),
    )


enter("np.divmod", "functions", _divmod)


def _whole_arithmetic(draw: Draw) -> Case:
    """+, -, * and comparisons of secret whole numbers are exact while they fit."""
    n = draw.rows()
    x, bound, note = whole_column(draw, n, 2.0**29)
    y, other, _ = whole_column(draw, n, 2.0**29)
    return Case(
        lambda s, v: [
            v["x"] + v["y"],
            v["x"] - v["y"],
            v["x"] * v["y"],
            v["x"] < v["y"],
            v["x"] == v["y"],
            v["x"].sum(),
        ],
        [x + y, x - y, x * y, x < y, x == y, x.sum()],
        exact("docs/numpy.md"),
        {"x": pv.Input(x, bound), "y": pv.Input(y, other)},
        note=note,
        owners=draw.owners(),
    )


enter("whole numbers", "functions", _whole_arithmetic, ["SecureArray whole numbers"])


def _astype(draw: Draw) -> Case:
    c = draw.column(draw.rows(), bounded=2.0**40)
    x, kind = shared(c.values), draw.one(int, float, bool)
    call = draw.one(lambda a: a.astype(kind), lambda a: np.astype(a, kind))
    return Case(
        lambda s, v: call(v["x"]),
        x.astype(kind),
        exact("docs/numpy.md"),
        {"x": c.input()},
        note=f"{kind}: {c.note}",
        owners=draw.owners(),
    )


enter("np.astype", "functions", _astype, ["np.astype"])
