"""Products, linear algebra, convolution and secret random numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import privity as pv

from .case import ULP, Case, Within, enter, exact
from .columns import Draw, shared
from .elementwise import TABLE, words_for
from .reductions import WIDE

ONE = Within("privity.matmul: below 1 ulp", ulps=1.0)
TWO = Within("privity.avg_pool1d: below 2 ulp and 2^-24", 2.0**-24, ulps=2.0)


def product(
    name: str,
    shapes: Callable[[Draw], tuple[tuple[int, ...], tuple[int, ...]]],
    within: Any = ONE,
    call: Callable[[Any, Any, Any], Any] = lambda f, a, b: f(a, b),
    public: bool = True,
) -> None:
    """A sum of products of two arrays, the second public at times."""
    calls = words_for(name)

    def make(draw: Draw) -> Case:
        called = draw.one(*calls)
        first, second = shapes(draw)
        n = max(1, first[-1])
        most = 2.0**12 / n**0.5  # a product and its sum stay below 2^26
        a = draw.column(int(np.prod(first)), low=-3, most=most, bounded=most)
        b = draw.column(int(np.prod(second)), low=-3, most=most, bounded=most)
        x, y = shared(a.values).reshape(first), shared(b.values).reshape(second)
        plainly = public and draw.chance(0.25)
        plain = calls[f"np.{name}"] if f"np.{name}" in calls else calls[called]
        arrays = {"x": pv.Input(x, a.bound + ULP)} | ({} if plainly else {"y": pv.Input(y, b.bound + ULP)})
        stated = within
        if plainly and within is ONE:  # the factors are rounded too
            reach = 2.0**-24 * float(np.abs(y).max(initial=0) * np.abs(x).max(initial=0)) * n
            stated = Within("docs/numerics.md: x @ c", ulps=1.5, absolute=reach)
        return Case(
            lambda s, v: call(calls[called], v["x"], y if plainly else v["y"]),
            lambda: call(plain, x, y),
            stated,
            arrays,
            whole=("x", "y"),
            note=f"{called}{first}{second}{' public' if plainly else ''}: {a.note}; {b.note}",
            words=(name.split(".")[-1],),
        )

    enter(f"{'np' if name in TABLE else 'pv'}.{name}", "functions", make, list(calls))


def _matrices(draw: Draw) -> Any:
    k = draw.whole(1, 12)
    return (draw.whole(1, 9), k), (k, draw.whole(1, 5))


def _vectors(draw: Draw) -> Any:
    k = draw.rows(1, 100)
    return (k,), (k,)


def _pairs(draw: Draw) -> Any:
    k, n = draw.whole(1, 8), draw.whole(1, 8)
    return (n, k), (n, k)


def _matrix_vector(draw: Draw) -> Any:
    k = draw.whole(1, 8)
    return (draw.whole(1, 8), k), (k,)


def _vector_matrix(draw: Draw) -> Any:
    k = draw.whole(1, 8)
    return (k,), (k, draw.whole(1, 8))


def _threes(draw: Draw) -> Any:
    n = draw.whole(1, 8)
    return (n, 3), (n, 3)


def _windows(draw: Draw) -> Any:
    return (draw.rows(3, 40, 0.0),), (draw.whole(1, 3),)


product("matmul", _matrices)
product("linalg.matmul", _matrices)
product("dot", _matrices)
product("inner", _vectors)
product("vdot", _vectors)
product("vecdot", _pairs)
product("linalg.vecdot", _pairs)
product("matvec", _matrix_vector)
product("vecmat", _vector_matrix)
product("outer", lambda d: ((d.whole(1, 9),), (d.whole(1, 9),)))
product("linalg.outer", lambda d: ((d.whole(1, 9),), (d.whole(1, 9),)))
product("kron", lambda d: ((2, d.whole(1, 3)), (d.whole(1, 3), 2)))
product("tensordot", _matrices, call=lambda f, a, b: f(a, b, 1))
product("linalg.tensordot", _matrices, call=lambda f, a, b: f(a, b, axes=1))
product("einsum", _pairs, call=lambda f, a, b: f("ij,ij->i", a, b))
product("cross", _threes, TWO)
product("linalg.cross", _threes, TWO)
product("convolve", _windows, call=lambda f, a, b: f(a, b))
product("correlate", _windows, call=lambda f, a, b: f(a, b))


def _polyval(draw: Draw) -> Case:
    n, degree = draw.rows(), draw.whole(1, 5)
    x, p = shared(draw.rng.uniform(-1, 1, n)), draw.rng.normal(size=degree + 1)
    return Case(
        lambda s, v: np.polyval(p, v["x"]),
        np.polyval(shared(p), x),
        Within("a unit for each product", ulps=2.0 * degree),
        {"x": pv.Input(x, 1.0)},
        note=f"degree {degree}",
        owners=draw.owners(),
        words=("polyval",),
    )


enter("np.polyval", "functions", _polyval)


# -- matrices --------------------------------------------------------------------------------------------------------


def positive(draw: Draw, n: int) -> tuple[Any, float]:
    """A symmetric positive definite matrix of condition up to 100, its entries at most M, and M as stated."""
    q, _ = np.linalg.qr(draw.rng.normal(size=(n, n)))
    size = draw.ten(-1, 2)
    a = shared((q * np.exp(draw.rng.uniform(np.log(0.01), 0, n))) @ q.T * size)
    a = (a + a.T) / 2
    return a, float(np.abs(a).max()) * draw.one(1.0, 1.0, 1.5)


def _cholesky(draw: Draw) -> Case:
    n = draw.whole(1, 6)
    a, m = positive(draw, n)
    call = draw.one(pv.cholesky, np.linalg.cholesky)

    def check(got: Any) -> str:
        lower = np.asarray(got)
        off, stated = np.abs(lower @ lower.T - a).max(), 2.0**-17 * (n * m) ** 0.5 + 2.0**-30 * m**1.5
        return (
            "" if off <= stated and (np.triu(lower, 1) == 0).all() else f"|L L^T - a| is {off:.3g}, stated {stated:.3g}"
        )

    return Case(
        lambda s, v: call(v["a"]),
        check=check,
        arrays={"a": pv.Input(a, m)},
        whole=("a",),
        note=f"{n}, {m:.3g}",
        words=("cholesky",),
    )


enter("pv.cholesky", "functions", _cholesky, ["pv.cholesky", "np.linalg.cholesky"])


def _solve(name: str) -> Callable[[Draw], Case]:
    def make(draw: Draw) -> Case:
        n = draw.whole(1, 6)
        a, m = positive(draw, n)
        b = shared(np.eye(n) if name == "inv" else draw.rng.normal(size=n) * draw.ten(-1, 2))
        least = float(np.linalg.eigvalsh(a)[0]) * 0.9
        own, plain = getattr(pv, name), getattr(np.linalg, name)
        given = ("a",) if name == "inv" else ("a", "b")
        if draw.chance(0.5) and least > m / 1024:
            call: Any = plain
        else:

            def call(*v: Any) -> Any:
                return own(*v, least=least)

        residual = 2.0**-12 * max(1.0, float(np.abs(b).max())) + n * m * 2.0**-17

        def check(got: Any) -> str:
            off = np.abs(a @ np.asarray(got) - b).max()
            return "" if off <= residual else f"residual {off:.3g}, stated {residual:.3g}"

        arrays = {"a": pv.Input(a, m)} | ({} if name == "inv" else {"b": pv.Input(b, float(np.abs(b).max()) + ULP)})
        return Case(
            lambda s, v: call(*(v[k] for k in given)),
            check=check,
            arrays=arrays,
            whole=("a", "b"),
            note=f"{n}, |a| <= {m:.3g}, least {least:.3g}",
            words=(name,),
        )

    return make


enter("pv.solve", "functions", _solve("solve"), ["pv.solve", "np.linalg.solve"])
enter("pv.inv", "functions", _solve("inv"), ["pv.inv", "np.linalg.inv"])


def _lstsq(draw: Draw) -> Case:
    n, d = draw.whole(20, 80), draw.whole(1, 4)
    x = shared(draw.rng.normal(size=(n, d)).clip(-4, 4))
    y = shared(x @ draw.rng.normal(size=d) + draw.rng.normal(size=n))
    least = float(np.linalg.eigvalsh(x.T @ x / n)[0])

    def check(got: Any) -> str:  # the residual of solve, with the matrix x^T x / n
        off = np.abs(x.T @ (x @ np.asarray(got) - y) / n).max()
        stated = 2.0**-12 * max(1.0, np.abs(x.T @ y / n).max()) + d * 16 * 2.0**-17
        return "" if off <= stated else f"gradient {off:.3g}, stated {stated:.3g}"

    return Case(
        lambda s, v: pv.lstsq(v["x"], v["y"], least=0.9 * least),
        check=check,
        arrays={"x": pv.Input(x, 4.0), "y": pv.Input(y, 32.0)},
        owners=draw.owners(),
        note=f"{n}, {d}",
        words=("lstsq",),
    )


enter("pv.lstsq", "functions", _lstsq)


def _eigen(draw: Draw) -> Case:
    n = draw.whole(2, 5)
    q, _ = np.linalg.qr(draw.rng.normal(size=(n, n)))
    values = np.sort(2.0 ** -np.arange(n) * draw.between(1, 4))[::-1]
    a = shared((q * values) @ q.T)
    a = (a + a.T) / 2
    right, vectors = np.linalg.eigh(a)

    def check(got: Any) -> str:
        found, directions = (np.asarray(g) for g in got)
        trace = np.trace(a)
        off = np.abs(found - right[::-1][:2]).max()
        angle = [1 - abs(directions[:, i] @ vectors[:, -1 - i]) for i in range(2)]
        wrong = off > 2.0**-12 * trace or max(angle) > 1e-5
        return f"eigenvalues off by {off:.3g}, cosines by {max(angle):.3g}" if wrong else ""

    return Case(
        lambda s, v: list(pv.top_eigenvectors(v["a"], 2)),
        check=check,
        arrays={"a": pv.Input(a, 4.0 + ULP)},
        whole=("a",),
        note=f"{values}",
        words=("top_eigenvectors",),
    )


enter("pv.top_eigenvectors", "functions", _eigen)


# -- windows ---------------------------------------------------------------------------------------------------------


def _pool(name: str, axes: int, plain: Callable[..., Any], within: Within) -> None:
    def make(draw: Draw) -> Case:
        k = draw.whole(1, 3)
        side = k * draw.whole(1, 3)
        shape = (draw.whole(1, 2), draw.whole(1, 2), *[side] * axes)
        c = draw.column(int(np.prod(shape)), most=2.0**20, bounded=2.0**20)
        x = shared(c.values).reshape(shape)
        split = x.reshape(*shape[:2], *[m for _ in range(axes) for m in (side // k, k)])
        want = plain(split, axis=(3,) if axes == 1 else (3, 5))
        return Case(
            lambda s, v: getattr(pv, name)(v["x"], k),
            want,
            within,
            {"x": pv.Input(x, c.bound + ULP)},
            whole=("x",),
            note=f"{shape}, window {k}: {c.note}",
            words=(name,),
        )

    enter(f"pv.{name}", "functions", make)


_pool("avg_pool1d", 1, np.mean, TWO)
_pool("avg_pool2d", 2, np.mean, TWO)
_pool("max_pool1d", 1, np.max, exact("privity.max_pool1d"))
_pool("max_pool2d", 2, np.max, exact("privity.max_pool1d"))


def _conv(name: str, axes: int) -> None:
    def make(draw: Draw) -> Case:
        n, c, o, k, side = draw.whole(1, 2), draw.whole(1, 3), draw.whole(1, 2), draw.whole(1, 3), draw.whole(3, 6)
        x, w = shared(draw.rng.normal(size=(n, c, *[side] * axes))), shared(draw.rng.normal(size=(o, c, *[k] * axes)))
        windows = np.lib.stride_tricks.sliding_window_view(x, (k,) * axes, axis=tuple(range(2, 2 + axes)))
        want = np.einsum("ncxi,oci->nox" if axes == 1 else "ncxyij,ocij->noxy", windows, w)
        secret = draw.chance(0.6)
        arrays = {"x": pv.Input(x, 8.0)} | ({"w": pv.Input(w, 8.0)} if secret else {})
        return Case(
            lambda s, v: getattr(pv, name)(v["x"], v["w"] if secret else w),
            want,
            Within("privity.conv1d", ulps=1),
            arrays,
            whole=("x", "w"),
            note=f"{x.shape} {w.shape} {'secret' if secret else 'public'}",
            words=(name,),
        )

    enter(f"pv.{name}", "functions", make)


_conv("conv1d", 1)
_conv("conv2d", 2)


# -- orders that nobody knows, and random numbers --------------------------------------------------------------------


def _shuffle(draw: Draw) -> Case:
    n = draw.rows()
    c = draw.column(n, **WIDE)
    x = shared(c.values)
    call = draw.one(
        lambda s, v: pv.shuffle(v["x"])[0],
        lambda s, v: pv.random.permutation(s, v["x"]),
        lambda s, v: pv.Permutation.random(s, n).apply(v["x"]),
    )
    return Case(
        lambda s, v: call(s, v),
        check=lambda got: "" if (np.sort(got) == np.sort(x)).all() else "other rows",
        arrays={"x": c.input()},
        owners=draw.owners(),
        note=c.note,
        words=("shuffle",),
    )


enter("pv.shuffle", "functions", _shuffle, ["pv.shuffle", "random.permutation", "pv.Permutation"])


def _random(name: str, program: Callable[[Any], Any], low: float, high: float, mean: float, deviation: float) -> None:
    """Within [low, high], and the mean of 400 within 7 deviations: a false alarm in 10^11 cases."""

    def make(draw: Draw) -> Case:
        def check(got: Any) -> str:
            x = np.asarray(got, np.float64)
            off = abs(x.mean() - mean) / (deviation / 20)
            inside = x.min() >= low and x.max() <= high
            return "" if inside and off < 7 else f"{x.min()} to {x.max()}, mean {x.mean()} ({off:.1f} deviations off)"

        return Case(lambda s, v: program(s), check=check)

    enter(f"random.{name}", "functions", make, weight=0.2)


_random("bits", lambda s: pv.random.bits(s, 400), 0, 1, 0.5, 0.5)
_random("bernoulli", lambda s: pv.random.bernoulli(s, 0.3, 400), 0, 1, 0.3, 0.46)
_random("integers", lambda s: pv.random.integers(s, 3, 10, 400), 3, 9, 6, 2)
_random("uniform", lambda s: pv.random.uniform(s, -1, 3, 400), -1, 3, 1, 1.1548)
_random("normal", lambda s: pv.random.normal(s, 2.0, 3.0, 400), -18, 22, 2, 3)


def _dropout(draw: Draw) -> Case:
    c = draw.column(draw.rows(), most=2.0**10, bounded=2.0**10)
    x, p = shared(c.values), draw.one(0.1, 0.5, 0.9)

    def check(got: Any) -> str:
        off = np.minimum(np.abs(got), np.abs(got - x / (1 - p)))
        return "" if off.max() <= 2 * ULP + 2.0**-24 * np.abs(x / (1 - p)).max() else f"off by {off.max():.3g}"

    return Case(
        lambda s, v: pv.random.dropout(v["x"], p),
        check=check,
        arrays={"x": c.input()},
        note=f"{p}: {c.note}",
        owners=draw.owners(),
        words=("dropout",),
    )


enter("random.dropout", "functions", _dropout)
