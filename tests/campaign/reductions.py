"""Sums, means, orders, quantiles, counts and searches of arrays beside NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats as plain_stats

import privity as pv

from .case import ULP, Case, Limit, Within, enter, exact
from .columns import Digits, Draw, shared
from .elementwise import TABLE, Piecewise, numpy_function, words_for

MEAN = Within("docs/numerics.md: means, 2^-24 relative and a unit of the last place", 2.0**-24, 1.0)
FLAT = Limit("4 units in the last place", "privity.corrcoef: what is not constant and has no digits")
WIDE = {"most": 2.0**36, "bounded": 2.0**36}


def reduction(
    name: str, plain: Callable[..., Any], within: Any, axes: bool = True, keeps: bool = True, **column: Any
) -> None:
    """A reduction of one array over all of it or one axis. ``within``: the error, or a function of x, its bound and the
    right result that gives it.
    """
    calls = words_for(name)

    def make(draw: Draw) -> Case:
        called = draw.one(*calls)
        n = draw.rows()
        c = draw.column(n, **{**WIDE, **column})
        x, deep = shared(c.values), draw.one(1, 1, 2)
        if deep == 2:
            k = draw.whole(1, 4)
            x, n = x[: max(k, n // k * k)], max(1, n // k) * k
            x = np.resize(x, n).reshape(-1, k)
        axis = draw.one(None, 0, -1) if axes else None
        words: dict[str, Any] = {} if axis is None else {"axis": axis}
        if keeps and draw.chance(0.2) and called.startswith("np."):
            words["keepdims"] = True
        return Case(
            lambda s, v: calls[called](v["x"], **words),
            lambda: plain(x, **words),
            within(x, c.bound, plain(x, **words)) if callable(within) else within,
            {"x": pv.Input(x, c.bound + ULP)},
            note=f"{called}{x.shape} {words}: {c.note}",
            owners=draw.owners(),
            words=(name,),
        )

    enter(f"{'np' if name in TABLE else 'pv'}.{name}", "functions", make, list(calls))


def _variance_error(x: Any, bound: float, variance: Any) -> Any:
    deviation = np.sqrt(variance)
    return Digits(ULP, bound, x.size).product(deviation, deviation)


for _name, _plain, _within in (
    ("sum", np.sum, exact("docs/numpy.md")),
    ("mean", np.mean, MEAN),
    ("max", np.max, exact("privity.max")),
    ("min", np.min, exact("privity.min")),
    ("ptp", np.ptp, exact("privity.max")),
    ("any", np.any, exact("docs/numpy.md")),
    ("all", np.all, exact("docs/numpy.md")),
    ("count_nonzero", np.count_nonzero, exact("docs/numpy.md")),
):
    reduction(_name, _plain, _within)

SPREAD = "docs/numerics.md: deviations"
reduction("std", np.std, lambda x, bound, s: Within(SPREAD, absolute=Digits(ULP, bound, x.size).deviation(s)))
reduction("var", np.var, lambda x, bound, v: Within(SPREAD, absolute=_variance_error(x, bound, v)))
reduction("argmax", np.argmax, exact("privity.argmax"))
reduction("argmin", np.argmin, exact("privity.argmin"))
reduction("median", np.median, Within("privity.median", ulps=1), keeps=False)
reduction("cumsum", np.cumsum, exact("privity.cumsum"), keeps=False)
reduction(
    "prod",
    np.prod,
    Within("SecureArray.multiply: a unit a product", ulps=64),
    axes=False,
    keeps=False,
    low=-1,
    high=0,
    most=1.0,
    bounded=1.0,
    offset=False,
)


def _quantile(name: str) -> Callable[[Draw], Case]:
    calls = words_for(name)

    def make(draw: Draw) -> Case:
        called = draw.one(*calls)
        c = draw.column(draw.rows(), **WIDE)
        x = shared(c.values)
        q = draw.one(0.5, [0.25, 0.5, 0.75], [0.0, 1.0], 0.9, [0.01, 0.333])
        given: Any = np.asarray(q) * (100 if "percentile" in name else 1)
        return Case(
            lambda s, v: calls[called](v["x"], given),
            np.quantile(x, q),
            Within("privity.quantile", ulps=1.2, relative=2.0**-48),
            {"x": c.input()},
            note=f"{called} {q}: {c.note}",
            owners=draw.owners(),
            words=("quantile",),
        )

    return make


for _name in ("quantile", "percentile"):
    enter(f"np.{_name}", "functions", _quantile(_name), list(words_for(_name)))


def _average(draw: Draw) -> Case:
    n = draw.rows()
    c = draw.column(n, most=2.0**20, bounded=2.0**20)
    w = np.asarray(draw.one(draw.rng.integers(1, 5, n).astype(float), draw.rng.random(n) + 0.01, np.ones(n)))
    x, public = shared(c.values), draw.chance(0.5)
    arrays = {"x": c.input()} | ({} if public else {"w": pv.Input(w, 8.0)})
    weights = w if public else shared(w)
    return Case(
        lambda s, v: np.average(v["x"], weights=w if public else v["w"]),
        np.average(x, weights=weights),
        Within(MEAN.page, 2.0**-24 if n else 0, 2.0, 0.0),
        arrays,
        note=f"{'public' if public else 'secret'} weights: {c.note}",
        owners=draw.owners(),
        words=("average",),
    )


enter("np.average", "functions", _average)


def _simple(
    name: str,
    call: Callable[[Any], Any],
    plain: Callable[[Any], Any],
    within: Any,
    *covers: str,
    least: int = 1,
    **column: Any,
) -> None:
    """A function of one array without choices."""

    def make(draw: Draw) -> Case:
        c = draw.column(max(least, draw.rows()), **{**WIDE, **column})
        x = shared(c.values)
        return Case(
            lambda s, v: call(v["x"]),
            lambda: plain(x),
            within(x) if callable(within) else within,
            {"x": c.input()},
            note=c.note,
            owners=draw.owners(),
            words=(name.split(".")[-1],),
        )

    enter(name, "functions", make, covers)


def _order(name: str, privity: Any, plain: Callable[[Any], Any]) -> None:
    calls = words_for(name)

    def make(draw: Draw) -> Case:
        called = draw.one(*calls)
        c = draw.column(draw.rows(), **WIDE)
        x = shared(c.values)
        return Case(
            lambda s, v: calls[called](v["x"]),
            plain(x),
            exact(f"privity.{name}"),
            {"x": c.input()},
            note=f"{called}: {c.note}",
            owners=draw.owners(),
            words=(name,),
        )

    enter(f"np.{name}", "functions", make, list(calls))


_order("sort", pv.sort, np.sort)
_order("argsort", pv.argsort, lambda x: np.argsort(x, kind="stable"))
_simple(
    "pv.top_k",
    lambda x: list(pv.top_k(x, min(3, len(x)))),
    lambda x: [np.sort(x)[::-1][:3], np.argsort(-x, kind="stable")[:3]],
    exact("privity.top_k"),
)
_simple("pv.unique_count", pv.unique_count, lambda x: len(np.unique(x)), exact("privity.unique_count"))
_simple("np.diff", np.diff, np.diff, exact("docs/numpy.md"), least=2)
_simple(
    "pv.norm",
    pv.norm,
    np.linalg.norm,
    Within("privity.norm", 2.0**-26, 2),
    "pv.norm",
    "np.linalg.norm",
    most=2.0**9,
    bounded=2.0**9,
)
_simple(
    "np.linalg.vector_norm",
    np.linalg.vector_norm,
    np.linalg.vector_norm,
    Within("privity.norm", 2.0**-26, 2),
    most=2.0**9,
    bounded=2.0**9,
)
_simple(
    "np.linalg.matrix_norm",
    lambda x: np.linalg.matrix_norm(x.reshape((1, -1))),
    lambda x: np.linalg.matrix_norm(x.reshape(1, -1)),
    Within("privity.norm", 2.0**-26, 2),
    most=2.0**9,
    bounded=2.0**9,
)


def _trapezoid(draw: Draw) -> Case:
    called = draw.one(*[k for k in words_for("trapezoid")])
    c = draw.column(max(2, draw.rows()), most=2.0**16, bounded=2.0**16)
    y, dx = shared(c.values), draw.one(1.0, 0.5, 2.0)
    return Case(
        lambda s, v: numpy_function(called[3:])(v["y"], dx=dx),
        np.trapezoid(y, dx=dx),
        Within("docs/numpy.md: a unit a term", ulps=len(y)),
        {"y": c.input()},
        note=c.note,
        owners=draw.owners(),
        words=("trapezoid",),
    )


enter("np.trapezoid", "functions", _trapezoid, list(words_for("trapezoid")))


def _rank(draw: Draw) -> Case:
    method = draw.one("average", "min", "max", "dense", "ordinal")
    c = draw.column(draw.rows(), **WIDE)
    return Case(
        lambda s, v: pv.rank(v["x"], method),
        plain_stats.rankdata(shared(c.values), method),
        exact("privity.rank"),
        {"x": c.input()},
        note=f"{method}: {c.note}",
        owners=draw.owners(),
        words=("rank",),
    )


enter("pv.rank", "functions", _rank)


def _sort_by(draw: Draw) -> Case:
    n = draw.rows()
    a, b = np.round(draw.rng.normal(size=n)), draw.column(n, **WIDE)
    x = shared(b.values)
    order = np.lexsort((x, a))
    return Case(
        lambda s, v: pv.sort_by([v["a"], v["x"]], [v["a"], v["x"]]),
        [a[order], x[order]],
        exact("privity.sort_by"),
        {"a": pv.Input(a, 8.0), "x": b.input()},
        note=b.note,
        owners=draw.owners(),
        words=("sort_by",),
    )


enter("pv.sort_by", "functions", _sort_by)


def _edges(draw: Draw, x: Any) -> Any:
    own = draw.rng.choice(x, min(len(x), draw.whole(1, 12)))
    edges = np.unique(np.concatenate([own, [float(np.median(x)) + 1.0, float(x.min()) - 0.5]]))
    return edges if draw.chance(0.7) else edges + 1e-7


def _histogram(name: str) -> Callable[[Draw], Case]:
    def make(draw: Draw) -> Case:
        called = draw.one(*words_for(name))
        c = draw.column(draw.rows(), **WIDE)
        x = shared(c.values)
        edges = _edges(draw, x)
        near = shared(edges)  # as x < edge: on the numbers that are shared
        call = words_for(name)[called]
        if name == "histogram":
            plain: Any = np.histogram(x, near)[0]

            def use(s: Any, v: Any) -> Any:
                found = call(v["x"], edges)
                return found[0] if called.startswith("np.") else found
        elif name == "digitize":
            right = draw.chance(0.5)
            plain = np.digitize(x, near, right)

            def use(s: Any, v: Any) -> Any:
                return call(v["x"], edges, right)
        elif name == "searchsorted":
            side = draw.one("left", "right")
            plain = np.searchsorted(near, x, side)

            def use(s: Any, v: Any) -> Any:
                return call(edges, v["x"], side)
        else:
            plain = np.isin(x, near)

            def use(s: Any, v: Any) -> Any:
                return call(v["x"], edges)

        return Case(
            use,
            plain,
            exact(f"privity.{name}"),
            {"x": c.input()},
            note=f"{called}, {len(edges)} edges: {c.note}",
            owners=draw.owners(),
            words=(name,),
        )

    return make


for _name in ("histogram", "digitize", "searchsorted", "isin"):
    enter(f"np.{_name}", "functions", _histogram(_name), list(words_for(_name)))
if hasattr(np, "in1d"):
    _simple("np.in1d", lambda x: np.in1d(x, [0.0, 1.0]), lambda x: np.isin(x, [0.0, 1.0]), exact("privity.isin"))


def _counted(draw: Draw) -> Case:
    n, k = draw.rows(), draw.whole(1, 9)
    codes = draw.codes(n, k).astype(np.int64)
    values = draw.rng.integers(0, 10**6, k)
    return Case(
        lambda s, v: [np.bincount(v["x"], minlength=k), pv.one_hot(v["x"], k), pv.lookup(values, v["x"])],
        [np.bincount(codes, minlength=k), np.eye(k)[codes], values[codes]],
        exact("privity.one_hot, privity.lookup"),
        {"x": pv.Input(codes, draw.loose(float(k)))},
        note=f"{k} codes",
        owners=draw.owners(),
        words=("bincount", "one_hot", "lookup"),
    )


enter("np.bincount", "functions", _counted, ["np.bincount", "pv.one_hot", "pv.lookup"])


def _group_by(draw: Draw) -> Case:
    n, k = draw.rows(), draw.whole(1, 6)
    keys = draw.rng.choice(draw.rng.integers(-(2**40), 2**40, k), n)
    c = draw.column(n, **WIDE)
    x = shared(c.values)
    found, at = np.unique(keys, return_inverse=True)
    each = [x[at == j] for j in range(len(found))]

    def use(s: Any, v: Any) -> Any:
        wanted = {w: (w, None if w == "count" else v["x"]) for w in ("count", "sum", "min", "max", "mean")}
        g = pv.group_by(v["k"], wanted, capacity=len(found) + 2)
        return [g.keys[0], *(g[w] for w in wanted)]

    pad = np.zeros(2)
    want = [np.r_[found, pad], *(np.r_[[f(e) for e in each], pad] for f in (len, np.sum, np.min, np.max, np.mean))]
    same = exact("privity.group_by")
    return Case(
        use,
        want,
        [same] * 5 + [Within("privity.group_by: a mean has the error of a division", 2.0**-20, 1.25)],
        {"k": pv.Input(keys, 2.0**41), "x": c.input()},
        note=f"{k} groups: {c.note}",
        owners=draw.owners(),
        words=("group_by",),
    )


enter("pv.group_by", "functions", _group_by, ["pv.group_by", "pv.Groups"])


def _segmented(draw: Draw) -> Case:
    n = draw.rows()
    c, starts = draw.column(n, **WIDE), draw.flags(n) > 0
    x = shared(c.values)
    want, total = np.zeros(n), 0.0
    for i in range(n):
        total = x[i] if starts[i] else total + x[i]
        want[i] = total
    return Case(
        lambda s, v: pv.segmented_sum(v["x"], v["starts"]),
        want,
        exact("privity.segmented_sum"),
        {"x": c.input(), "starts": pv.Input(starts)},
        note=c.note,
        owners=draw.owners(),
        words=("segmented_sum",),
    )


enter("pv.segmented_sum", "functions", _segmented)


def _where(draw: Draw) -> Case:
    n = draw.rows()
    a, b, mask = draw.column(n, **WIDE), draw.column(n, **WIDE), draw.flags(n) > 0
    x, y = shared(a.values), shared(b.values)
    call = draw.one(np.where, pv.where, lambda m, p, q: np.select([m], [p], q))
    return Case(
        lambda s, v: call(v["m"], v["x"], v["y"]),
        np.where(mask, x, y),
        exact("privity.where"),
        {"m": pv.Input(mask), "x": a.input(), "y": b.input()},
        note=f"{a.note}; {b.note}",
        owners=draw.owners(),
        words=("where", "select"),
    )


enter("np.where", "functions", _where, ["np.where", "pv.where", "np.select"])


def _along_rows(name: str, plain: Callable[[Any], Any], within: Within) -> None:
    def make(draw: Draw) -> Case:
        k = draw.whole(1, 8)
        c = draw.column(k * draw.rows(1, 30), most=2.0**20, bounded=2.0**20)
        x = shared(c.values).reshape(-1, k)
        return Case(
            lambda s, v: getattr(pv, name)(v["x"], -1),
            plain(x),
            within,
            {"x": pv.Input(x, c.bound + ULP)},
            note=f"{x.shape} {c.note}",
            owners=draw.owners(),
            words=(name,),
        )

    enter(f"pv.{name}", "functions", make)


def _logsumexp(x: Any) -> Any:
    top = x.max(-1, keepdims=True)
    return np.log(np.exp(x - top).sum(-1)) + top[:, 0]


_along_rows("softmax", lambda x: np.exp(x - _logsumexp(x)[:, None]), Within("privity.softmax", absolute=2.0**-16))
_along_rows("log_softmax", lambda x: x - _logsumexp(x)[:, None], Within("privity.log_softmax", absolute=2.0**-15))
_along_rows("logsumexp", _logsumexp, Within("privity.logsumexp", absolute=2.0**-15))


def _moments(name: str) -> Callable[[Draw], Case]:
    def make(draw: Draw) -> Case:
        n, d = max(3, draw.rows()), draw.whole(1, 4)
        parts = [draw.column(n, low=-1, high=5, **WIDE) for _ in range(d)]
        bound = max(p.bound for p in parts)
        x = np.stack([shared(p.values) for p in parts])
        call = draw.one(getattr(np, name), getattr(pv, name))
        deviations = x.std(1, ddof=1)

        def want() -> Any:
            if name == "cov":
                return np.atleast_2d(np.cov(x)) if d > 1 else np.cov(x)
            r = np.nan_to_num(np.corrcoef(x)) if d > 1 else np.float64(deviations[0] > 0)
            return r

        digits = Digits(ULP, bound, n)
        if name == "cov":
            error = digits.product(deviations[:, None], deviations[None, :])
            within = Within("privity.cov", absolute=error if d > 1 else error[0, 0])
        else:
            lost = digits.lost / np.maximum(deviations, digits.unit)
            error = 2.0**-16 + lost[:, None] + lost[None, :]
            within = Within("privity.corrcoef", absolute=error if d > 1 else error[0, 0])
        return Case(
            lambda s, v: call(v["x"]),
            want,
            within,
            {"x": pv.Input(x, bound + ULP)},
            whole=("x",),
            note=f"{x.shape} " + "; ".join(p.note for p in parts),
            words=(name,),
            limits=(FLAT,) if name == "corrcoef" and 0 < deviations[deviations > 0].min(initial=1.0) < 8 * ULP else (),
        )

    return make


enter("np.cov", "functions", _moments("cov"), ["np.cov", "pv.cov"])
enter("np.corrcoef", "functions", _moments("corrcoef"), ["np.corrcoef", "pv.corrcoef"])

__all__ = ["MEAN", "WIDE", "Piecewise"]
