"""privity.stats beside NumPy, SciPy and statsmodels, on columns of tables (empty cells) and on arrays with masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats as plain
from statsmodels.duration.survfunc import survdiff
from statsmodels.stats.outliers_influence import variance_inflation_factor

import privity as pv
from privity import stats

from .case import ULP, Case, Limit, Within, entry, exact
from .columns import Column, Digits, Draw, cells, shared, table

PAGE = "docs/statistics.md"
FLAT = Limit("4 units in the last place|2\\^-12 of what all", f"{PAGE}: what is not constant and has no digits")


class Sampled:
    """A column as somebody has it, and how the program comes by it: an array with a mask, or a table's cells."""

    def __init__(self, draw: Draw, n: int, gaps: bool = True, **column: Any) -> None:
        self.form = draw.one("array", "array", "masked", "table", "gappy") if gaps else draw.one("array", "table")
        room = 2.0**53 if self.form in ("table", "gappy") else 2.0**38  # arrays have 18 fractional bits, tables units
        self.column: Column = draw.column(n, **{"bounded": room, **column})
        self.empty = draw.gaps(n) if self.form in ("masked", "gappy") else np.zeros(n, bool)
        f = draw.field(draw.names(1)[0], self.column, missing=self.form == "gappy")
        self.name, self.unit = f.name, f.unit
        inside = self.form in ("table", "gappy")
        self.x = cells(self.column.values, f.unit) if inside else shared(self.column.values)
        self.known = self.x[~self.empty]
        self.sheets = [table("t", [f], np.where(self.empty, np.nan, self.column.values))] if inside else []
        self.arrays = {} if inside else {"x": self.column.input()}
        if self.form == "masked":
            self.arrays["valid"] = pv.Input(~self.empty)
        self.bound = self.column.bound
        self.resolution = f.unit * 2.0**-30 if inside else ULP
        self.note = f"{self.form}, {self.empty.mean():.0%} empty: {self.column.note}"

    def take(self, s: Any, v: Any) -> tuple[Any, dict[str, Any]]:
        """The secret column and the words that say which rows count."""
        if self.sheets:
            return s.table("t")[self.name], {}
        return v["x"], {"valid": v["valid"]} if self.form == "masked" else {}


def _one(draw: Draw, call: Any, want: Any, within: Any, least: int = 1, **column: Any) -> Case:
    given = Sampled(draw, max(least, draw.rows(3, 300)), **column)

    def program(s: Any, v: Any) -> Any:
        x, words = given.take(s, v)
        return call(x, words)

    return Case(
        program,
        lambda: want(given.known),
        within(given) if callable(within) else within,
        given.arrays,
        sheets=given.sheets,
        note=given.note,
        owners=draw.owners(),
    )


def _or_nan(f: Any, least: int = 1) -> Any:
    """The plain figure, NaN where fewer than ``least`` cells count."""
    return lambda x: f(x) if len(x) >= least else np.nan


@entry("statistics", "stats.mean")
def mean(draw: Draw) -> Case:
    return _one(
        draw,
        lambda x, w: stats.mean(x, **w),
        _or_nan(np.mean),
        lambda g: Within(f"{PAGE}: mean, 2^-24 and a unit of the input's last place", 2.0**-24, 1.0, g.resolution),
    )


@entry("statistics", "stats.variance")
def variance(draw: Draw) -> Case:
    def want(x: Any) -> Any:
        return x.var(ddof=1) if len(x) > 1 else 0.0 if len(x) else np.nan

    def within(g: Any) -> Within:
        deviation = g.known.std(ddof=1) if len(g.known) > 1 else 0.0
        off = Digits(g.resolution, g.bound, len(g.x)).deviation(deviation)  # opened is the deviation, and squared
        return Within(f"{PAGE}: variance", absolute=2 * deviation * off + off * off)

    case = _one(draw, lambda x, w: stats.variance(x, **w), want, within)
    case.limits = (Limit("needs 0 <= ddof < rows", "pandas: NaN for one row"),)
    return case


@entry("statistics", "stats.quantile")
def quantile(draw: Draw) -> Case:
    q = draw.one(0.5, [0.25, 0.5, 0.75], 0.9, [0.1, 0.333])

    def want(x: Any) -> Any:
        return np.quantile(x, q) if len(x) else np.full(np.shape(q), np.nan)

    return _one(
        draw,
        lambda x, w: stats.quantile(x, q, **w),
        want,
        lambda g: Within(f"{PAGE}: quantile", ulps=2, absolute=2 * g.resolution + 2.0**-17 * _gap(g.known)),
    )


def _gap(x: Any) -> float:
    return float(np.diff(np.sort(x)).max(initial=0.0))


def _matrix(draw: Draw, n: int, d: int, **column: Any) -> tuple[Any, float, str]:
    parts = [draw.column(n, low=-1, high=6, varies=True, **column) for _ in range(d)]
    x = np.stack([p.values for p in parts], 1)
    for j in range(1, d):
        if draw.chance(0.4):
            x[:, j] = x[:, j] * 0.5 + x[:, 0] * (x[:, j].std() / max(x[:, 0].std(), 1e-12))
    bound = max(max(p.bound for p in parts), float(np.abs(x).max()))
    return x, bound, "; ".join(p.note for p in parts)


@entry("statistics", "stats.covariance")
def covariance(draw: Draw) -> Case:
    n, d = max(3, draw.rows(3, 300)), draw.whole(2, 4)
    x, bound, note = _matrix(draw, n, d)
    deviations = shared(x).std(0, ddof=1)
    off = Digits(ULP, bound, n).deviation(deviations)  # opened are deviations and correlations, and multiplied
    one, other = deviations[:, None], deviations[None, :]
    error = one * off[None, :] + other * off[:, None] + off[:, None] * off[None, :]
    return Case(
        lambda s, v: stats.covariance(v["x"]),
        lambda: np.cov(shared(x).T),
        Within(f"{PAGE}: covariance", absolute=error),
        {"x": pv.Input(x, bound)},
        note=note,
        owners=draw.owners(),
    )


@entry("statistics", "stats.correlation")
def correlation(draw: Draw) -> Case:
    n, d = max(3, draw.rows(3, 300)), draw.whole(2, 4)
    x, bound, note = _matrix(draw, n, d)
    seen = shared(x)
    least = seen.std(0).min()
    with np.errstate(all="ignore"):
        want = np.nan_to_num(np.corrcoef(seen.T))
    lost = Digits(ULP, bound, n).lost / np.maximum(seen.std(0), ULP)  # what few units in the last place lose
    return Case(
        lambda s, v: stats.correlation(v["x"]),
        want,
        Within(f"{PAGE}: correlation", absolute=2.0**-16 + lost[:, None] + lost[None, :]),
        {"x": pv.Input(x, bound)},
        note=note,
        owners=draw.owners(),
        limits=(FLAT,) if least < 8 * ULP else (),
    )


@entry("statistics", "stats.variance_inflation")
def inflation(draw: Draw) -> Case:
    n, d = max(20, draw.rows(20, 200)), draw.whole(2, 4)
    x = draw.rng.normal(size=(n, d))
    x[:, 0] += draw.one(0, 1, 3) * x[:, -1]
    x = x * draw.ten(-1, 3)
    bound = draw.loose(float(np.abs(x).max()))
    seen = shared(x)

    def want() -> Any:
        z = (seen - seen.mean(0)) / seen.std(0)
        return np.array([variance_inflation_factor(z, j) for j in range(d)])

    return Case(
        lambda s, v: stats.variance_inflation(v["x"]),
        want,
        Within(f"{PAGE}: variance_inflation", 2.0**-12),
        {"x": pv.Input(x, bound)},
        note=f"{n} x {d}, bound {bound:.3g}",
        owners=draw.owners(),
    )


@entry("statistics", "stats.ttest")
def ttest(draw: Draw) -> Case:
    given = Sampled(draw, max(6, draw.rows(6, 300, 0.0)), varies=True)
    group = draw.flags(len(given.x), draw.one(0.5, 0.3, 0.1))
    equal = draw.chance(0.5)
    a, b = (given.x[(group == k) & ~given.empty] for k in (1, 0))

    def program(s: Any, v: Any) -> Any:
        x, words = given.take(s, v)
        return _opened(s, stats.ttest(x, v["g"], equal_var=equal, **words), ("statistic", "df"))

    def want() -> Any:
        if min(len(a), len(b)) == 0:
            return [np.nan, np.nan]
        with np.errstate(all="ignore"):
            r = plain.ttest_ind(a, b, equal_var=equal)
            known = np.isfinite(r.statistic) and max(np.ptp(a), np.ptp(b)) > 0
        return [float(r.statistic), float(r.df)] if known else [np.nan, np.nan]

    t = want()[0]
    size = max(1.0, abs(t)) if t == t else 1.0
    together = np.r_[a, b]
    spread = float(together.std()) if len(together) else 0.0
    digits = Digits(given.resolution, given.bound, len(given.x)).unit / max(spread, given.resolution)
    error = (2.0**-12 + digits / 4) * size + digits / 64 * len(together) ** 0.5
    few = min(len(a), len(b)) < max(2, len(together) / 64)  # stated where both groups have 1/64 of the rows
    inside = max((float(g.std()) for g in (a, b) if len(g)), default=0.0)
    flat = 0 < spread < 8 * given.resolution or inside < 2.0**-11 * spread
    return Case(
        program,
        want,
        [Within(f"{PAGE}: t to 2^-12", absolute=error), Within(f"{PAGE}: degrees of freedom", 1e-3, absolute=1e-3)],
        {**given.arrays, "g": pv.Input(group, 1)},
        sheets=given.sheets,
        note=f"{len(a)} and {len(b)}; {given.note}",
        owners=draw.owners(),
        check=(lambda got: "") if few else None,
        limits=(FLAT,) if flat else (),
    )


def _opened(s: Any, found: Any, names: tuple[str, ...]) -> list[Any]:
    result = found.open(to="all", name="result", reason="campaign")
    return [getattr(result, n) for n in names] if hasattr(result, names[0]) else [np.nan for _ in names]


@entry("statistics", "stats.mannwhitneyu")
def mannwhitneyu(draw: Draw) -> Case:
    given = Sampled(draw, max(6, draw.rows(6, 200, 0.0)), varies=True)
    group = draw.flags(len(given.x), draw.one(0.5, 0.3, 0.1))
    a, b = (given.x[(group == k) & ~given.empty] for k in (1, 0))

    def program(s: Any, v: Any) -> Any:
        x, words = given.take(s, v)
        return _opened(s, stats.mannwhitneyu(x, v["g"], **words), ("effect", "p_value"))

    def want() -> Any:
        if min(len(a), len(b)) == 0 or np.ptp(np.r_[a, b]) == 0:
            return [np.nan, np.nan]
        r = plain.mannwhitneyu(a, b, method="asymptotic")
        return [r.statistic / len(a) / len(b), r.pvalue]

    flat = min(len(a), len(b)) == 0 or np.ptp(np.r_[a, b]) == 0
    return Case(
        program,
        want,
        [Within(f"{PAGE}: mannwhitneyu", absolute=1e-4), Within(f"{PAGE}: z to 1e-4", absolute=1e-4)],
        {**given.arrays, "g": pv.Input(group, 1)},
        sheets=given.sheets,
        note=f"{len(a)} and {len(b)}; {given.note}",
        owners=draw.owners(),
        check=(lambda got: "") if flat else None,
    )


@entry("statistics", "stats.crosstab")
def crosstab(draw: Draw) -> Case:
    n, r, c = draw.rows(1, 300), draw.whole(1, 5), draw.whole(1, 5)
    a, b, valid = draw.codes(n, r), draw.codes(n, c), draw.flags(n) > 0
    masked = draw.chance(0.4)
    keep = valid if masked else np.ones(n, bool)
    want = np.zeros((r, c))
    np.add.at(want, (a[keep].astype(int), b[keep].astype(int)), 1)
    want_open = np.where(want < 1, np.nan, want)

    def program(s: Any, v: Any) -> Any:
        return stats.crosstab(v["a"], v["b"], rows=r, columns=c, **({"valid": v["valid"]} if masked else {}))

    return Case(
        program,
        check=lambda got: (
            "" if np.array_equal(np.nan_to_num(got), np.nan_to_num(want_open)) else f"{got}, right {want}"
        ),
        arrays={"a": pv.Input(a.astype(int), 8), "b": pv.Input(b.astype(int), 8), "valid": pv.Input(valid)},
        note=f"{r} x {c}, {n} rows",
        owners=draw.owners(),
    )


@entry("statistics", "stats.chi2_contingency")
def chi2(draw: Draw) -> Case:
    n, r, c = draw.rows(20, 300, 0.0), draw.whole(2, 4), draw.whole(2, 4)
    a, b = draw.codes(n, r).astype(int), draw.codes(n, c).astype(int)
    counts = np.zeros((r, c))
    np.add.at(counts, (a, b), 1)
    expected = np.outer(counts.sum(1), counts.sum(0)) / n
    full = bool((expected > 0).all())
    if full:
        value = plain.chi2_contingency(counts).statistic
    else:
        with np.errstate(all="ignore"):  # empty lines add 0 (stated); two by two with the correction of SciPy
            value = np.nan
    call = draw.one("crosstab", "counts")

    def program(s: Any, v: Any) -> Any:
        found = stats.crosstab(v["a"], v["b"], rows=r, columns=c)
        got = found.chi2() if call == "crosstab" else stats.chi2_contingency(found.counts)
        return _opened(s, got, ("statistic", "df"))

    return Case(
        program,
        [value, (r - 1) * (c - 1)],
        [Within(f"{PAGE}: chi2, 1e-4 relative", 1e-4, absolute=n * 2.0**-24 + ULP), exact(PAGE)],
        {"a": pv.Input(a, 8), "b": pv.Input(b, 8)},
        check=None if full else (lambda got: ""),
        note=f"{r} x {c}, {n} rows",
        owners=draw.owners(),
    )


def survival(draw: Draw, n: int) -> tuple[Any, Any, float, str]:
    """Durations with ties, and events that may be rare."""
    unit = draw.one(1.0, 7.0, 30.0)
    t = np.maximum(1, np.ceil(draw.rng.exponential(draw.ten(1, 3), n) / unit)) * unit
    e = draw.flags(n, draw.one(0.9, 0.6, 0.3, 0.05))
    bound = draw.loose(float(t.max()), 2.0**20)
    return t, e, bound, f"{n} rows, {int(e.sum())} events, in {unit:g} days, bound {bound:.3g}"


@entry("statistics", "stats.kaplan_meier", "stats.SurvivalCurve")
def kaplan_meier(draw: Draw) -> Case:
    n = draw.rows(5, 200)
    t, e, bound, note = survival(draw, n)
    at = [float(v) for v in np.unique(np.quantile(t, [0.2, 0.5, 0.8]))]

    def check(got: Any) -> str:
        for j, when in enumerate(at):
            if np.isnan(got.survival[j]):
                continue
            alive, variance = 1.0, 0.0
            for u in np.unique(t[(e == 1) & (t <= when)]):
                r, d = (t >= u).sum(), ((t == u) & (e == 1)).sum()
                alive *= 1 - d / r
                variance += d / (r * (r - d)) if r > d else 0.0
            if abs(got.survival[j] - alive) > 1e-5 + 2 * ULP:
                return f"survival at {when}: {got.survival[j]}, right {alive}"
            if abs(got.standard_error[j] - alive * variance**0.5) > 1e-4:
                return f"standard error at {when}: {got.standard_error[j]}, right {alive * variance**0.5}"
        return ""

    return Case(
        lambda s, v: stats.kaplan_meier(v["t"], v["e"], at=at),
        check=check,
        arrays={"t": pv.Input(t, bound), "e": pv.Input(e, 1)},
        note=note,
        owners=draw.owners(),
    )


@entry("statistics", "stats.logrank")
def logrank(draw: Draw) -> Case:
    n = draw.rows(20, 200, 0.0)
    t, e, bound, note = survival(draw, n)
    g = draw.flags(n, 0.5)
    fine = 0 < g.sum() < n and e.sum() > 0

    def want() -> Any:
        return float(survdiff(t, e, g)[0])

    try:
        value = want() if fine else np.nan
    except Exception:
        value = np.nan
    if value == value and not np.isfinite(value):
        value = np.nan
    return Case(
        lambda s, v: _opened(s, stats.logrank(v["t"], v["e"], v["g"]), ("statistic",)),
        [value],
        Within(f"{PAGE}: logrank, 1e-4 relative, 1e-4 absolute", 1e-4, absolute=1e-4),
        {"t": pv.Input(t, bound), "e": pv.Input(e, 1), "g": pv.Input(g, 1)},
        note=note,
        owners=draw.owners(),
        check=None if value == value else (lambda got: ""),
    )


@entry("statistics", "stats.describe", "stats.Description")
def describe(draw: Draw) -> Case:
    n, d = max(3, draw.rows(3, 200)), draw.whole(1, 3)
    names = draw.names(d)
    parts = [draw.column(n, low=-2, high=7) for _ in range(d)]
    fields = [draw.field(name, c, missing=True) for name, c in zip(names, parts, strict=True)]
    empty = np.stack([draw.gaps(n, draw.one(0.0, 0.1, 0.4)) for _ in range(d)], 1)
    x = np.stack([c.values for c in parts], 1)
    seen = np.where(empty, np.nan, np.stack([cells(c.values, f.unit) for c, f in zip(parts, fields, strict=True)], 1))
    frame = pd.DataFrame(seen, columns=list(names))

    def check(got: Any) -> str:
        for j, f in enumerate(fields):
            column = frame[f.name].dropna()
            want = [len(column), column.mean(), column.std(), *(column.quantile(q) for q in (0.25, 0.5, 0.75))]
            last = f.unit * 2.0**-30
            gap = _gap(column.to_numpy())
            deviation = column.std() if len(column) > 1 else 0.0
            off = Digits(last, f.bound, n).deviation(deviation) + 2 * last
            stated = [0.0, abs(column.mean()) * 2.0**-24 + last, off]
            stated += [2.0**-17 * gap + 2.0**-17 * f.unit] * 3  # stated for quantiles, in units
            found = _described(got, f.name, j)
            for label, a, b, t in zip(
                ("count", "mean", "std", "25 %", "50 %", "75 %"), found, want, stated, strict=True
            ):
                if b == b and a == a and abs(a - b) > t + 1e-12 * abs(b):
                    return f"{label} of {f.name!r}: {a!r}, right {b!r} (stated {t:.3g})"
                if b == b and a != a and len(column) > 1 and label in ("count", "mean", "std"):
                    return f"{label} of {f.name!r}: NaN, right {b!r}"
        return ""

    return Case(
        lambda s, v: stats.describe(s.table("t")),
        check=check,
        sheets=[table("t", fields, np.where(empty, np.nan, x))],
        note=f"{n} rows: " + "; ".join(c.note for c in parts),
        owners=draw.owners(),
    )


def _described(got: Any, name: str, at: int) -> list[float]:
    """The six figures of one column, whatever the form of what ``open`` gives."""
    if hasattr(got, "loc"):
        return [float(v) for v in got[name].to_numpy()]
    if isinstance(got, dict):
        return [float(v) for v in (got[name].values() if isinstance(got[name], dict) else got[name])]
    return [float(v) for v in np.asarray(got)[:, at]]
