"""privity.ml.preprocessing beside scikit-learn: loose bounds, offsets, empty cells, rare categories."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import preprocessing as plain
from sklearn.impute import SimpleImputer as PlainImputer

from privity.ml import preprocessing as pp
from privity.table import Field

from .case import ULP, Case, Limit, enter, entry, exact
from .columns import Draw, cells, table

PAGE = "docs/preprocessing.md"
EMPTY = Limit("empty in|no value|without a value|fully empty", PAGE)
FAR = Limit("clip", f"{PAGE}: results beyond 2^14, or 64 roots of the rows")
NAMED = Limit("units in the last place|column", f"{PAGE}: what cannot be resolved is refused by the column's name")


class Numbers:
    """A table of number columns: names, fields, what is shared (NaN for an empty cell), and the sheet."""

    def __init__(self, draw: Draw, gaps: bool = True, rows: tuple[int, int] = (2, 300), **column: Any) -> None:
        self.n, d = draw.rows(*rows), draw.whole(1, 3)
        self.names = draw.names(d)
        parts = [draw.column(self.n, **{"low": -6, "high": 9, "bounded": 2.0**53, **column}) for _ in range(d)]
        some = gaps and draw.chance(0.4)
        self.fields = [draw.field(n, c, missing=some) for n, c in zip(self.names, parts, strict=True)]
        self.units = np.array([f.unit for f in self.fields])
        raw = np.stack([c.values for c in parts], 1)
        self.empty = np.stack([draw.gaps(self.n) if some else np.zeros(self.n, bool) for _ in range(d)], 1)
        self.raw = np.where(self.empty, np.nan, raw)
        self.seen = np.where(
            self.empty, np.nan, np.stack([cells(c.values, f.unit) for c, f in zip(parts, self.fields, strict=True)], 1)
        )
        self.sheets = [table("t", self.fields, self.raw)]
        self.note = f"{self.n} rows, {self.empty.mean():.0%} empty: " + "; ".join(c.note for c in parts)
        with np.errstate(all="ignore"):
            self.spread = np.array([np.nanstd(c) if np.isfinite(c).any() else 0.0 for c in self.seen.T])

    @property
    def fine(self) -> bool:
        """Whether every column has digits: it varies by 2^-27 of its unit, or not at all."""
        return self.resolves(self.spread)

    def resolves(self, scale: Any) -> bool:
        """Whether every column's scale is 8 units in the last place, or 0."""
        return bool(((scale > 2.0**-27 * self.units) | (scale == 0)).all())

    def short(self) -> bool:
        """Whether some column has no cell."""
        return bool(self.empty.all(0).any())


def largest_gap(x: Any) -> float:
    return float(np.diff(np.sort(x[np.isfinite(x)])).max(initial=0.0))


def opened(made: Any, names: Any) -> list[Any]:
    """Values and units of the columns of a table, for ``natural``."""
    return [[made.column(n).values for n in names], [made.column(n).field.unit for n in names]]


def natural(got: Any) -> Any:
    """(n, d) in the columns' own units."""
    return np.stack([np.asarray(v, np.float64) * u for v, u in zip(got[0], got[1], strict=True)], 1)


def _deviation(x: Any, words: dict[str, Any]) -> float:
    return float(x.std())


def _range(x: Any, words: dict[str, Any]) -> float:
    low, high = words["feature_range"]
    return float(np.ptp(x)) / (high - low)


def _quartiles(x: Any, words: dict[str, Any]) -> float:
    return float(np.ptp(np.percentile(x, words["quantile_range"])))


def _scaler(
    name: str, options: Callable[[Draw], dict[str, Any]], theirs: Any, scale_of: Callable[[Any, Any], float]
) -> None:
    """Stated: 2^-15 of a result (of 1, if smaller), and a unit in the last place of the values over the scale (two, and
    two of the scale, for quartiles)."""

    def make(draw: Draw) -> Case:
        t = Numbers(draw)
        words = options(draw)
        scale = np.array([scale_of(c[np.isfinite(c)], words) if np.isfinite(c).any() else 0.0 for c in t.seen.T])
        with np.errstate(all="ignore"):
            want = np.nan_to_num(theirs(**words).fit_transform(t.seen))
        last = t.units * 2.0**-30
        lost = last / np.where(scale > 0, scale, 1.0)
        lost = lost * (2 if name == "RobustScaler" else 1)
        stated = 2.0**-15 * np.maximum(1, np.abs(want)) + lost * (1 + np.abs(want)) + 2 * ULP
        far = name == "RobustScaler" and float(np.sqrt((want**2).sum(0)).max()) > min(2.0**13, 32 * t.n**0.5)

        def check(got: Any) -> str:
            off = np.abs(natural(got) - want)
            bad = (off > stated) & ~t.empty & ((scale > 2.0**-27 * t.units) | (scale == 0))
            if not bad.any():
                return ""
            i, j = np.argwhere(bad)[np.argmax((off / stated)[bad])]
            return (
                f"{t.names[j]!r} row {i}: {natural(got)[i, j]!r}, right {want[i, j]!r}, off by {off[i, j]:.3g} where "
                f"{stated[i, j]:.3g} is stated; scale {scale[j]:.3g}, unit {t.units[j]:.3g}; {int(bad.sum())} cells"
            )

        limits = (*((EMPTY,) if t.short() else ()), *(() if t.resolves(scale) else (NAMED,)), *((FAR,) if far else ()))
        return Case(
            lambda s, v: opened(getattr(pp, name)(**words).fit_transform(s.table("t")), t.names),
            check=check,
            sheets=t.sheets,
            note=f"{words} {t.note}",
            owners=draw.owners(),
            limits=limits,
        )

    enter(f"preprocessing.{name}", "transforms", make)


_scaler("StandardScaler", lambda d: {}, plain.StandardScaler, _deviation)
_scaler("MinMaxScaler", lambda d: {"feature_range": d.one((0, 1), (-1, 2))}, plain.MinMaxScaler, _range)
_scaler("RobustScaler", lambda d: {"quantile_range": d.one((25.0, 75.0), (10.0, 90.0))}, plain.RobustScaler, _quartiles)


@entry("transforms", "preprocessing unscale", weight=0.5)
def unscale(draw: Draw) -> Case:
    """Coefficients brought back to the columns' own units."""
    t = Numbers(draw, gaps=False, rows=(10, 200), low=-1, high=6, varies=True)
    b = np.round(draw.rng.normal(size=len(t.names) + 1), 3)

    def program(s: Any, v: Any) -> Any:
        scaler = pp.StandardScaler().fit(s.table("t"))
        return scaler.unscale(s.constant(b))

    def check(got: Any) -> str:  # coefficients of the table's units, the intercept last
        mean, deviation = t.seen.mean(0), np.where(t.spread > 0, t.spread, np.inf)
        right = np.r_[b[:-1] / deviation * t.units, b[-1] - (b[:-1] / deviation * mean).sum()]
        off = np.abs(np.asarray(got) - right)
        size = np.r_[np.abs(right[:-1]), np.abs(b[-1]) + np.abs(b[:-1] / deviation * mean).sum()]
        lost = np.append(t.units * 2.0**-30 / deviation, 0.0)
        allowed = (2.0**-15 + lost) * size + 4 * ULP * np.maximum(1, size / 2.0**20)
        allowed[-1] += (lost[:-1] * np.abs(b[:-1])).sum()
        return "" if (off <= allowed).all() else f"{got}, right {right}"

    return Case(
        program, check=check, sheets=t.sheets, note=t.note, owners=draw.owners(), limits=() if t.fine else (NAMED,)
    )


@entry("transforms", "preprocessing.SimpleImputer")
def imputer(draw: Draw) -> Case:
    strategy = draw.one("mean", "median", "constant")
    t = Numbers(draw)
    fill = float(np.round(0.5 * min(f.bound for f in t.fields), 3))
    words: dict[str, Any] = {"strategy": strategy} | ({"fill_value": fill} if strategy == "constant" else {})

    def check(got: Any) -> str:
        want = t.seen.copy()
        for j in range(want.shape[1]):
            column = t.seen[:, j]
            if np.isfinite(column).any():
                filled = {"mean": np.nanmean, "median": np.nanmedian}.get(strategy, lambda c: fill)(column)
                want[:, j] = np.where(np.isnan(column), filled, column)
            elif strategy == "constant":
                want[:, j] = fill
        off = np.abs(natural(got) - want)
        allowed = 2.0**-24 * np.abs(want) + 2.0**-29 * t.units
        if strategy == "median":  # privity.quantile with a mask, in units
            allowed = allowed + ULP * t.units + 2.0**-17 * np.array([largest_gap(c) for c in t.seen.T])
        bad = off > allowed
        if not bad.any():
            return ""
        i, j = np.argwhere(bad)[0]
        found, right = natural(got)[i, j], want[i, j]
        return f"{t.names[j]!r} row {i}: {found!r}, right {right!r} ({strategy}), stated {allowed[i, j]:.3g}"

    limits = (EMPTY,) if t.short() and strategy != "constant" else ()

    def program(s: Any, v: Any) -> Any:
        return opened(pp.SimpleImputer(**words).fit_transform(s.table("t")), t.names)

    return Case(program, check=check, sheets=t.sheets, note=f"{words} {t.note}", owners=draw.owners(), limits=limits)


class Codes:
    """A table of one or two columns of categories and a binary label."""

    def __init__(self, draw: Draw, rows: tuple[int, int] = (1, 300), gaps: bool = True) -> None:
        self.n, d = draw.rows(*rows), draw.whole(1, 2)
        self.names = draw.names(d)
        self.levels = [draw.levels(draw.whole(2, 6)) for _ in range(d)]
        some = gaps and draw.chance(0.4)
        self.fields = [
            Field(n, "category", categories=k, missing=some) for n, k in zip(self.names, self.levels, strict=True)
        ]
        codes = np.stack([draw.codes(self.n, len(k)) for k in self.levels], 1)
        self.empty = np.stack([draw.gaps(self.n) if some else np.zeros(self.n, bool) for _ in range(d)], 1)
        self.codes = np.where(self.empty, np.nan, codes)
        self.y = draw.flags(self.n, draw.one(0.5, 0.3, 0.15)).astype(float)
        self.sheets = [table("t", self.fields, self.codes, Field("died", "binary"), self.y)]
        self.note = f"{self.n} rows, {self.empty.mean():.0%} empty, levels {[len(k) for k in self.levels]}"


@entry("transforms", "preprocessing.OneHotEncoder")
def one_hot(draw: Draw) -> Case:
    t = Codes(draw)
    drop, level = draw.one(None, "first"), draw.chance(0.5)
    made = [f"{n}_{k}" for n, ks in zip(t.names, t.levels, strict=True) for k in ks[1 if drop else 0 :]]
    made += [f"{n}_missing" for n in t.names if level and t.fields[0].missing]

    def program(s: Any, v: Any) -> Any:
        return opened(pp.OneHotEncoder(drop=drop, missing_level=level).fit_transform(s.table("t")), made)

    def want() -> Any:
        columns = [t.codes[:, j] == k for j, ks in enumerate(t.levels) for k in range(1 if drop else 0, len(ks))]
        columns += [t.empty[:, j] for j in range(len(t.names)) if level and t.fields[0].missing]
        return [[c.astype(float) for c in columns], [1.0] * len(columns)]

    return Case(program, want, exact(PAGE), sheets=t.sheets, note=f"{drop} {level} {t.note}", owners=draw.owners())


@entry("transforms", "preprocessing.OrdinalEncoder", weight=0.5)
def ordinal(draw: Draw) -> Case:
    t = Codes(draw)

    def check(got: Any) -> str:
        off = np.abs(natural(got) - t.codes)[~t.empty].max(initial=0)
        return f"off by {off}" if off else ""

    return Case(
        lambda s, v: opened(pp.OrdinalEncoder().fit_transform(s.table("t")), t.names),
        check=check,
        sheets=t.sheets,
        note=t.note,
        owners=draw.owners(),
    )


@entry("transforms", "preprocessing.SimpleImputer most frequent", weight=0.5)
def most_frequent(draw: Draw) -> Case:
    t = Codes(draw)

    def check(got: Any) -> str:
        for j, name in enumerate(t.names):
            known = t.codes[~t.empty[:, j], j]
            if len(known):
                fill = np.bincount(known.astype(int)).argmax()
                want = np.where(t.empty[:, j], fill, t.codes[:, j])
                if not np.array_equal(natural(got)[:, j], want):
                    return f"{name!r}: {natural(got)[:, j]}, right {want}"
        return ""

    short = bool(((~t.empty).mean(0) <= 1 / 32).any())
    return Case(
        lambda s, v: opened(pp.SimpleImputer(strategy="most_frequent").fit_transform(s.table("t")), t.names),
        check=check,
        sheets=t.sheets,
        note=t.note,
        owners=draw.owners(),
        limits=(EMPTY,) if short else (),
    )


@entry("transforms", "preprocessing.KBinsDiscretizer")
def bins(draw: Draw) -> Case:
    """Monotone, a value in one bin, no more bins than asked; a value of half the rows alone in its bin; even else."""
    t = Numbers(draw, rows=(10, 300))
    k, strategy = draw.whole(2, 8), draw.one("quantile", "quantile", "uniform")

    def check(got: Any) -> str:
        made = natural(got)
        for j, name in enumerate(t.names):
            x, b = t.seen[~t.empty[:, j], j], made[~t.empty[:, j], j]
            if len(x) < 2:
                continue
            order = np.argsort(x, kind="stable")
            if (np.diff(b[order]) < 0).any() or b.min() < 0 or b.max() >= k:
                return f"{name!r}: bins do not rise with the values"
            values, times = np.unique(x, return_counts=True)
            if strategy == "uniform" and len(values) > 1:
                width = (values[-1] - values[0]) / k
                right = np.clip(np.floor((x - values[0]) / width), 0, k - 1)
                near = (
                    np.abs((x - values[0]) / width - np.rint((x - values[0]) / width))
                    < 1e-4 + t.units[j] * 2.0**-28 / width
                )
                if (b != right)[~near].any():
                    return f"{name!r}: {int((b != right)[~near].sum())} values in another bin of equal width"
            if strategy == "quantile" and k > 2 and times.max() > 0.5 * len(x) and len(values) > k:
                common = values[times.argmax()]
                inside = x[b == b[x == common][0]]
                if (inside != common).any() and t.spread[j] > 2.0**-27 * t.units[j]:
                    share = (inside == common).mean()
                    rows = times.max() / len(x)
                    return f"{name!r}: {common} has {rows:.0%} of the rows but no bin of its own ({share:.0%} of it)"
            elif (
                strategy == "quantile" and times.max() == 1 and len(x) >= 4 * k and t.spread[j] > 2.0**-27 * t.units[j]
            ):
                counts = np.bincount(b.astype(int), minlength=k)
                if np.abs(counts - len(x) / k).max() > 2:
                    return f"{name!r}: {counts} rows in bins, {len(x) / k:.1f} each are right"
        return ""

    return Case(
        lambda s, v: opened(pp.KBinsDiscretizer(n_bins=k, strategy=strategy).fit_transform(s.table("t")), t.names),
        check=check,
        sheets=t.sheets,
        note=f"{k} {strategy} {t.note}",
        owners=draw.owners(),
        limits=(*((EMPTY,) if t.short() else ()), *(() if t.fine else (NAMED,))),
    )


@entry("transforms", "preprocessing.Clip", weight=0.5)
def clip(draw: Draw) -> Case:
    t = Numbers(draw)
    known = t.seen[np.isfinite(t.seen)]
    low, high = sorted(float(v) for v in draw.rng.choice(known, 2)) if len(known) else (-1.0, 1.0)
    step = t.units * 2.0**-30

    def check(got: Any) -> str:
        off = np.abs(natural(got) - np.clip(t.seen, low, high))
        bad = (off > step) & ~t.empty
        return f"off by {off[bad].max():.3g}" if bad.any() else ""

    return Case(
        lambda s, v: opened(pp.Clip(low=low, high=high).fit_transform(s.table("t")), t.names),
        check=check,
        sheets=t.sheets,
        note=f"{low:.4g} {high:.4g} {t.note}",
        owners=draw.owners(),
        words=("low", "high"),
    )


@entry("transforms", "preprocessing.LogTransformer")
def logarithm(draw: Draw) -> Case:
    t = Numbers(draw, positive=True, low=-2)

    def check(got: Any) -> str:
        off = np.abs(natural(got) - np.log1p(t.seen))
        bad = (off > 2.0**-16) & ~t.empty
        return f"off by {off[bad].max():.3g}, stated 2^-16 (privity.log)" if bad.any() else ""

    return Case(
        lambda s, v: opened(pp.LogTransformer().fit_transform(s.table("t")), t.names),
        check=check,
        sheets=t.sheets,
        note=t.note,
        owners=draw.owners(),
    )


@entry("transforms", "preprocessing.PowerTransformer", weight=0.5)
def powers(draw: Draw) -> Case:
    t = Numbers(draw, positive=True, low=-1, high=4, how=2.0)
    lam = draw.one(0.0, 0.5, 1.0)

    def check(got: Any) -> str:
        want = plain.PowerTransformer(standardize=False)
        want.lambdas_ = np.full(len(t.names), lam)
        right = np.log1p(t.seen) if lam == 0 else ((t.seen + 1) ** lam - 1) / lam
        off = np.abs(natural(got) - right)
        stated = 2.0**-16 + 2.0**-16 * np.abs(right) + t.units * 2.0**-29
        bad = (off > stated) & ~t.empty
        return f"off by {off[bad].max():.3g}" if bad.any() else ""

    return Case(
        lambda s, v: opened(pp.PowerTransformer(lambdas=lam).fit_transform(s.table("t")), t.names),
        check=check,
        sheets=t.sheets,
        note=f"{lam} {t.note}",
        owners=draw.owners(),
        words=("lambdas",),
    )


@entry("transforms", "preprocessing.WOEEncoder", "preprocessing.WOEEncoder", "preprocessing.information_value")
def evidence(draw: Draw) -> Case:
    t = Codes(draw, rows=(20, 300))
    share = t.y.mean()
    limits = (Limit("rare|2\\^-10|sixteenth|class", PAGE),) if not 2.0**-9 < share < 1 - 2.0**-9 else ()

    def program(s: Any, v: Any) -> Any:
        ours = s.table("t")
        return [opened(pp.WOEEncoder().fit_transform(ours), t.names), pp.information_value(ours)]

    def check(got: Any) -> str:
        values = natural(got[0])
        stated = 2.0**-14
        if not 1 / 16 <= share <= 15 / 16:
            return ""
        for j, levels in enumerate(t.levels):
            known = ~t.empty[:, j]
            c, y = t.codes[known, j].astype(int), t.y[known]
            one = np.bincount(c[y == 1], minlength=len(levels)) + 0.5
            none = np.bincount(c[y == 0], minlength=len(levels)) + 0.5
            woe = np.log(none / none.sum()) - np.log(one / one.sum())
            if known.any() and not 1 / 16 <= y.mean() <= 15 / 16:
                return ""
            off = np.abs(values[known, j] - woe[c]).max(initial=0)
            if off > stated:
                return f"{t.names[j]!r}: off by {off:.3g}, stated 2^-14"
        return ""

    return Case(
        program, check=check, sheets=t.sheets, note=t.note, owners=draw.owners(), limits=limits, words=("died",)
    )


@entry("transforms", "preprocessing.Pipeline", "preprocessing.Pipeline", "ml.Pipeline", weight=0.5)
def pipeline(draw: Draw) -> Case:
    """Fill, code, scale: as scikit-learn's steps on the pooled rows."""
    t = Numbers(draw, rows=(20, 300), low=-1, high=6, how=3.0, varies=True)
    c = Codes(draw, rows=(t.n, t.n), gaps=False)
    codes = np.resize(c.codes[:, 0], t.n)
    field = Field("level", "category", categories=c.levels[0])
    names = [*t.names, *(f"level_{k}" for k in c.levels[0][1:])]

    def program(s: Any, v: Any) -> Any:
        steps = [("code", pp.OneHotEncoder(drop="first")), ("scale", pp.StandardScaler())]
        if t.fields[0].missing:
            steps.insert(0, ("fill", pp.SimpleImputer()))
        return opened(pp.Pipeline(steps).fit(s.table("t")).transform(s.table("t")), names)

    def check(got: Any) -> str:
        filled = PlainImputer(keep_empty_features=True).fit_transform(t.seen)
        x = np.column_stack([filled, *(codes == k for k in range(1, len(c.levels[0])))])
        want = plain.StandardScaler().fit_transform(x)
        off = np.abs(natural(got) - want)
        lost = np.append(t.units * 2.0**-30 / np.maximum(t.spread, 2.0**-30 * t.units), [0.0] * len(c.levels[0][1:]))
        bad = off > 2.0**-14 * (1 + np.abs(want)) + 2 * lost  # a filled mean moves the deviation
        return f"off by {off[bad].max():.3g} in {[names[j] for j in np.flatnonzero(bad.any(0))]}" if bad.any() else ""

    return Case(
        program,
        check=check,
        sheets=[table("t", [*t.fields, field], np.column_stack([t.raw, codes]))],
        note=t.note,
        owners=draw.owners(),
        limits=(*((EMPTY,) if t.short() else ()), *(() if t.fine else (NAMED,))),
    )
