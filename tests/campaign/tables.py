"""Tables beside pandas: columns, filters, groups, joins, several owners, empty cells, unicode, whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

import privity as pv
from privity import stats
from privity.data.keys import fingerprints
from privity.functions.nullable import NullableArray
from privity.table import Field

from .case import ULP, Case, Limit, Within, entry, exact
from .columns import Digits, Draw, cells, power_of_two, table
from .elementwise import whole_column

PAGE = "docs/tables.md"
NULLABLE = [m for m in dir(NullableArray) if not m.startswith("_")]
EMPTY = Limit("may be empty|empty cells", f"{PAGE}: what cannot honour empty cells refuses and names the way out")


class People:
    """A table with a number, a whole number, a category and a binary column; cells may be empty. ``frame``: in pandas.

    ``frame`` holds what is shared, in the columns' own units, NaN for an empty cell.
    """

    def __init__(self, draw: Draw, rows: tuple[int, int] = (2, 300), gaps: bool = True, name: str = "t") -> None:
        self.n = draw.rows(*rows)
        self.x, self.k, self.c, self.b = draw.names(4)
        number = draw.column(self.n, low=-3, high=8, bounded=2.0**40)
        whole, bound, note = whole_column(draw, self.n)
        self.levels = draw.levels(draw.whole(2, 5))
        some = gaps and draw.chance(0.5)
        self.gappy = some
        self.fields = (
            draw.field(self.x, number, missing=some),
            Field(self.k, "integer", power_of_two(bound), bound, missing=some),
            Field(self.c, "category", categories=self.levels, missing=some),
            Field(self.b, "binary", missing=some),
        )
        self.unit = self.fields[0].unit
        raw = np.column_stack([number.values, whole, draw.codes(self.n, len(self.levels)), draw.flags(self.n)])
        empty = np.stack([draw.gaps(self.n) if some else np.zeros(self.n, bool) for _ in range(4)], 1)
        self.raw = np.where(empty, np.nan, raw)
        self.frame = pd.DataFrame(self.raw, columns=[self.x, self.k, self.c, self.b])
        self.frame[self.x] = cells(self.raw[:, 0], self.unit)
        self.whole = pd.array(whole, dtype="Int64")
        self.whole[empty[:, 1]] = pd.NA
        self.sheets = [table(name, self.fields, self.raw)]
        self.note = f"{self.n} rows, {empty.mean():.0%} empty; {number.note}; {note}; {len(self.levels)} levels"


def near(got: Any, want: Any, allowed: Any, what: str) -> str:
    a, b = np.asarray(got, np.float64), np.asarray(want, np.float64)
    if a.shape != b.shape:
        return f"{what}: shape {a.shape}, right {b.shape}"
    bad = ~(np.abs(a - b) <= allowed + 1e-12 * np.abs(b)) & ~(np.isnan(a) & np.isnan(b))
    if not bad.any():
        return ""
    i = int(np.flatnonzero(bad.reshape(-1))[0])
    return f"{what}[{i}]: {a.reshape(-1)[i]!r}, right {b.reshape(-1)[i]!r}; {int(bad.sum())} of {bad.size}"


@entry(
    "tables",
    "Table.select",
    "Table.select",
    "Table.drop",
    "Table.with_label",
    "Table.with_column",
    "Table.to_arrays",
    "Table.matrix",
    "Table.features",
    "Table.label",
    "Table.take",
    "Table.split",
)
def columns(draw: Draw) -> Case:
    """The cells themselves, through each way that gives them."""
    p = People(draw, gaps=False)
    way = draw.one("[]", "select", "drop", "with_label", "with_column", "to_arrays", "matrix", "take", "split")
    rows = draw.rng.permutation(p.n)[: max(1, p.n // 2)]

    def program(s: Any, v: Any) -> Any:
        t = s.table("t")
        if way == "select":
            t = t.select([p.x, p.k])
        elif way == "drop":
            t = t.drop([p.c])
        elif way == "with_label":
            t = t.with_label(p.k)
            return [t[p.x], t.label]
        elif way == "with_column":
            t = t.with_column("twice", t[p.x] + t[p.x])
            return [t[p.x], t[p.k], t["twice"]]
        elif way in ("to_arrays", "matrix"):
            part = t.select([p.x])
            x = part.to_arrays()[0] if way == "to_arrays" else part.features
            return [x[:, 0], t[p.k]]
        elif way == "take":
            t = t.take(rows)
        elif way == "split" and p.n > 3:
            a, b = t.split(0.5, random_state=1)
            t = pv.concat([a, b])
            return [t[p.x].sum(), t[p.k].sum()]
        return [t[p.x], t[p.k]]

    def check(got: Any) -> str:
        x, k = p.frame[p.x].to_numpy(), p.raw[:, 1]
        if way == "split" and p.n > 3:
            x, k = np.asarray(x.sum()), np.asarray(k.sum())
        elif way == "take":
            x, k = x[rows], k[rows]
        scale = p.unit if way in ("to_arrays", "matrix") else 1.0
        wrong = near(np.asarray(got[0]) * scale, x, max(p.unit, 1.0) * 2.0**-30 * (p.n if way == "split" else 1), p.x)
        wrong = wrong or near(got[1], k, 0.0, p.k)
        if way == "with_column":
            wrong = wrong or near(got[2], 2 * x, max(p.unit, 1.0) * 2.0**-29, "twice")
        return wrong

    return Case(
        program,
        check=check,
        sheets=p.sheets,
        note=f"{way}: {p.note}",
        owners=draw.owners(),
        words=("split",),
        limits=(Limit("no rows on one side", PAGE),) if p.n < 4 else (),
    )


@entry("tables", "Table.sums", "Table.sums", "Table.squares", "Table.moments", "Table.count")
def sums(draw: Draw) -> Case:
    """Sums of cells that are not empty, as owners brought them."""
    p = People(draw)

    def program(s: Any, v: Any) -> Any:
        t = s.table("t").select([p.x])
        return [t.sums, t.squares, t.moments([p.x])[2], t.count]

    def check(got: Any) -> str:
        x = p.frame[p.x]
        last = 2.0**-30 * p.n * p.unit
        return (
            near(got[0] * p.unit, [x.sum()], last, "sums")
            or near(got[1] * p.unit**2, [(x**2).sum()], 2 * last * p.unit + owners * 2.0**-28 * p.unit**2, "squares")
            or near(got[2], [x.count()], 0, "cells")
            or near(got[3], p.n, 0, "count")
        )

    owners = draw.owners()
    return Case(program, check=check, sheets=p.sheets, note=p.note, owners=owners)


@entry("tables", "Table.filter", weight=2)
def filtered(draw: Draw) -> Case:
    """Rows whose cell is empty meet no condition, as in pandas."""
    p = People(draw)
    cut = float(p.frame[p.x].dropna().median()) if p.frame[p.x].notna().any() else 0.0
    way = draw.one("<", "<=", "category", "binary", "integer")
    key = draw.whole(0, len(p.levels) - 1)
    whole = p.raw[:, 1][np.isfinite(p.raw[:, 1])]
    at = float(draw.rng.choice(whole)) if len(whole) else 0.0

    def program(s: Any, v: Any) -> Any:
        t = s.table("t")
        mask = {
            "<": lambda: t[p.x] < cut,
            "<=": lambda: t[p.x] <= cut,
            "category": lambda: t[p.c] == key,
            "binary": lambda: t[p.b] == 1,
            "integer": lambda: t[p.k] == int(at),
        }[way]()
        f = t.filter(mask)
        return [f.count, f.moments([p.x])[2], f.moments([p.x])[0]]

    def check(got: Any) -> str:
        keep = {
            "<": lambda: p.frame[p.x] < _seen(cut, p.unit),
            "<=": lambda: p.frame[p.x] <= _seen(cut, p.unit),
            "category": lambda: p.frame[p.c] == key,
            "binary": lambda: p.frame[p.b] == 1,
            "integer": lambda: p.frame[p.k] == at,
        }[way]()
        x = p.frame[p.x][keep]
        wrong = near(got[0], keep.sum(), 0, "count")
        wrong = wrong or near(got[1], [x.count()], 0, f"cells of {p.x!r}")
        return wrong or near(np.asarray(got[2]) * p.unit, [x.sum()], 2.0**-30 * p.unit * p.n, f"sum of {p.x!r}")

    return Case(
        program,
        check=check,
        sheets=p.sheets,
        note=f"{way} {cut:.6g}: {p.note}",
        owners=draw.owners(),
        words=("filter",),
    )


def _seen(x: float, unit: float) -> float:
    return float(cells(x, unit)) if abs(x) <= unit else x


AGGREGATES = ("count", "sum", "mean", "min", "max")


@entry("tables", "Table.group_by", "Table.group_by", "pv.Groups", weight=4)
def groups(draw: Draw) -> Case:
    """Group keys with empty cells are dropped, empty cells of what is aggregated skipped: pandas' rule."""
    p = People(draw, rows=(2, 200))
    keys = draw.one([p.c], [p.k], [p.c, p.b], [p.b], [p.k, p.c])
    if p.k in keys:  # some rows to a group
        few = draw.rng.choice(p.raw[:, 1], draw.whole(1, 6))
        p.raw[:, 1] = np.where(np.isnan(p.raw[:, 1]), np.nan, draw.rng.choice(few, p.n))
        p.frame[p.k] = p.raw[:, 1]
        p.sheets = [table("t", p.fields, p.raw)]
    hows = [str(h) for h in draw.rng.permutation(AGGREGATES)[: draw.whole(1, 3)]]
    grouped = p.frame.groupby(keys, dropna=True)
    order = len(grouped)

    def program(s: Any, v: Any) -> Any:
        t = s.table("t")
        wanted: dict[str, Any] = {h: (p.x, h) for h in hows if h != "count"} | {"n": "count"}
        g = t.group_by(*keys).agg(capacity=order + 2, **wanted)
        return [list(g.keys), g.valid, [g[h] for h in wanted], list(wanted)]

    def check(got: Any) -> str:
        names = got[3]
        valid = np.asarray(got[1]).astype(bool)
        right = grouped[p.x].agg([h for h in names if h != "n"]) if len(names) > 1 else grouped.size().to_frame("n")
        right = right.assign(n=grouped.size())
        if valid.sum() != order:
            return f"{int(valid.sum())} groups, right {order}"
        for j, name in enumerate(keys):
            want = right.index.get_level_values(name).to_numpy(np.float64)
            wrong = near(np.asarray(got[0][j])[valid], want, 0, f"key {name!r}")
            if wrong:
                return wrong
        for name, values in zip(names, got[2], strict=True):
            want = right[name].to_numpy(np.float64)
            known = np.isfinite(want)
            last = max(p.unit, 1.0) * 2.0**-30  # of the column in its own unit
            stated = {"mean": 2.0**-24 * np.abs(want) + 2 * last + ULP, "sum": last * p.n}
            wrong = near(
                np.asarray(values)[valid][known],
                want[known],
                np.broadcast_to(stated.get(name, last), want.shape)[known],
                name,
            )
            if wrong:
                return wrong
        return ""

    return Case(
        program,
        check=check,
        sheets=p.sheets,
        note=f"{keys} {hows}: {p.note}",
        owners=draw.owners(),
        words=("group_by", "capacity"),
    )


@entry("tables", "columns with empty cells", weight=2)
def nullable(draw: Draw) -> Case:
    """``t["x"]`` skips its empty cells in means, sums, extremes and statistics."""
    p = People(draw, rows=(3, 300))
    way = draw.one("mean", "sum", "max", "min", "stats.mean", "stats.variance", "stats.quantile")

    def program(s: Any, v: Any) -> Any:
        x = s.table("t")[p.x]
        if way.startswith("stats"):
            call = getattr(stats, way[6:])
            return call(x, 0.5) if way == "stats.quantile" else call(x)
        return getattr(x, way)()

    def want() -> Any:
        x = p.frame[p.x].dropna().to_numpy()
        if not len(x):
            return np.nan
        plain: Any = {
            "stats.mean": np.mean,
            "stats.variance": lambda v: v.var(ddof=1) if len(v) > 1 else 0.0,
            "stats.quantile": np.median,
        }.get(way)
        return plain(x) if plain else getattr(x, way)()

    right = want()
    sizes = {
        "mean": 2.0**-24 * abs(right),
        "stats.mean": 2.0**-24 * abs(right),
        "stats.variance": 1e-4 * abs(right) + p.unit**2 * 2.0**-50,
        "sum": max(p.unit, 1.0) * 2.0**-30 * p.n,
        "stats.quantile": 2.0**-17 * float(np.ptp(p.frame[p.x].dropna())) if right == right else 0,
    }
    return Case(
        program,
        check=None if right == right else (lambda got: ""),
        want=right,
        within=Within(
            f"{PAGE}: statistics honour empty cells", ulps=1, absolute=sizes.get(way, 0.0) + max(p.unit, 1.0) * 2.0**-29
        ),
        sheets=p.sheets,
        note=f"{way}: {p.note}",
        owners=draw.owners(),
        limits=(Limit("empty|needs 0 <= ddof < rows", PAGE),) if right != right or p.n < 2 else (),
        words=(way.split(".")[-1],),
    )


@entry("tables", "ties of columns", weight=1)
def ties(draw: Draw) -> Case:
    """Equal cells stay equal whatever the unit: ranks, different values, groups by a number."""
    n = draw.rows(4, 150, 0.0)
    c = draw.column(n, low=-6, high=8, bounded=2.0**40)
    values = draw.rng.choice(c.values[: max(1, n // 5)], n)
    name = draw.names(1)[0]
    f = draw.field(name, c)
    x = cells(values, f.unit)
    found, times = np.unique(x, return_counts=True)
    way = draw.one("rank", "unique_count", "group_by", "==")

    def program(s: Any, v: Any) -> Any:
        t = s.table("t")
        if way == "rank":
            return pv.rank(t[name])
        if way == "unique_count":
            return pv.unique_count(t[name])
        if way == "==":
            return (t[name] == t[name][0]).sum()
        return t.group_by(name).agg(capacity=len(found), n="count")["n"]

    want: Any = {
        "rank": lambda: rankdata(x),
        "unique_count": lambda: len(found),
        "group_by": lambda: times,
        "==": lambda: int((x == x[0]).sum()),
    }[way]()
    return Case(
        program,
        want,
        exact(f"{PAGE}: equal cells are equal"),
        sheets=[table("t", [f], values)],
        note=f"{way}, {len(found)} of {n} different: {c.note}",
        owners=draw.owners(),
        words=(way, "capacity"),
    )


@entry("tables", "Table.dropna", "Table.dropna", "Table.fillna", "Table.with_target", weight=1)
def without_gaps(draw: Draw) -> Case:
    """Rows with empty cells left out, or the cells filled in, as in pandas."""
    p = People(draw)
    way = draw.one("dropna", "dropna subset", "fillna", "with_target")
    fill = round(draw.between(-0.9, 0.9) * p.fields[0].bound, 6)

    def program(s: Any, v: Any) -> Any:
        t = s.table("t")
        if way == "fillna":
            t = t.fillna({p.x: fill}) if p.gappy else t
        elif way == "with_target":
            t = t.with_target(p.k)
        else:
            t = t.dropna() if way == "dropna" else t.dropna([p.x, p.b])
        return [t.count, t.moments([p.x])[0], t.moments([p.x])[2]]

    def check(got: Any) -> str:
        frame = p.frame
        if way == "fillna":
            frame = frame.assign(**{p.x: frame[p.x].fillna(_seen(fill, p.unit))})
        else:
            frame = frame.dropna(subset={"dropna": None, "with_target": [p.k]}.get(way, [p.x, p.b]))
        x = frame[p.x]
        return (
            near(got[0], len(frame), 0, "rows")
            or near(np.asarray(got[1]) * p.unit, [x.sum()], p.unit * 2.0**-29 * p.n, p.x)
            or near(got[2], [x.count()], 0, "cells")
        )

    return Case(program, check=check, sheets=p.sheets, note=f"{way}: {p.note}", owners=draw.owners(), words=("dropna",))


@entry("tables", "NullableArray", *(f"NullableArray.{m}" for m in NULLABLE), weight=2)
def nullable_operations(draw: Draw) -> Case:
    """Operations on columns with empty cells: empty where an operand is, false in comparisons, skipped in sums."""
    p = People(draw, rows=(2, 200))
    cut = float(p.frame[p.x].dropna().median()) if p.frame[p.x].notna().any() else 0.0
    cut = float(_seen(cut, p.unit))
    ways = ("<", ">=", "==", "!=", "abs", "clip", "std")
    if p.gappy:  # a full column is a plain array
        ways += ("isna", "notna", "fillna", "dropna", "count", "+", "filled")
    way = draw.one(*ways)
    call: Any = {
        "isna": lambda x, k: x.isna().sum(),
        "notna": lambda x, k: x.notna().sum(),
        "fillna": lambda x, k: x.fillna(cut).sum(),
        "dropna": lambda x, k: x.dropna().count(),
        "count": lambda x, k: x.count(),
        "<": lambda x, k: (x < cut).sum(),
        ">=": lambda x, k: (x >= cut).sum(),
        "==": lambda x, k: (x == cut).sum(),
        "!=": lambda x, k: (x != cut).sum(),
        "+": lambda x, k: (x + k).count(),
        "abs": lambda x, k: abs(x).max(),
        "clip": lambda x, k: x.clip(cut, cut).min(),
        "std": lambda x, k: x.std(),
        "filled": lambda x, k: x.filled(0).sum(),
    }[way]
    x, k = p.frame[p.x], p.frame[p.k]
    known = x.dropna().to_numpy()
    want: Any = {
        "isna": lambda: x.isna().sum(),
        "notna": lambda: x.count(),
        "fillna": lambda: x.fillna(cut).sum(),
        "dropna": lambda: x.count(),
        "count": lambda: x.count(),
        "<": lambda: (x < cut).sum(),
        ">=": lambda: (x >= cut).sum(),
        "==": lambda: (x == cut).sum(),
        "!=": lambda: (x != cut).sum(),
        "+": lambda: (x + k).count(),
        "abs": lambda: np.abs(known).max(initial=0.0),
        "clip": lambda: cut if len(known) else 0.0,
        "std": lambda: known.std() if len(known) else 0.0,
        "filled": lambda: x.fillna(0).sum(),
    }[way]()
    last = max(p.unit, 1.0) * 2.0**-30
    off = {"fillna": last * p.n, "filled": last * p.n, "abs": last, "clip": last}.get(way, 0.0)
    if way == "std":
        off = Digits(last, p.fields[0].bound, p.n).deviation(float(want)) + last

    def program(s: Any, v: Any) -> Any:
        t = s.table("t")
        return call(t[p.x], t[p.k])

    return Case(
        program,
        want,
        Within(f"{PAGE}: empty cells", absolute=off),
        sheets=p.sheets,
        note=f"{way}: {p.note}",
        owners=draw.owners(),
        words=(way,),
    )


@entry("tables", "crosstab of tables", weight=1)
def crosstab(draw: Draw) -> Case:
    """A row with an empty cell in either column counts nowhere, as in pandas.crosstab."""
    p = People(draw)
    r = len(p.levels)
    known = p.frame[[p.c, p.b]].dropna()
    want = np.zeros((r, 2))
    np.add.at(want, (known[p.c].astype(int), known[p.b].astype(int)), 1)

    def program(s: Any, v: Any) -> Any:
        t = s.table("t")
        return stats.crosstab(t[p.c], t[p.b], rows=r, columns=2).counts

    return Case(
        program,
        want,
        exact(f"{PAGE}: empty cells"),
        sheets=p.sheets,
        note=p.note,
        owners=draw.owners(),
        words=("crosstab",),
    )


def keyed(draw: Draw, name: str, column: str, ids: Any, field: Field, values: Any) -> Any:
    return table(name, [field], np.asarray(values)[:, None], keys=fingerprints([[str(i) for i in ids]]))


@entry("tables", "pv.link", weight=2)
def linked(draw: Draw) -> Case:
    """Rows with the same keys, inner or left: pandas' merge. Cells of rows without a partner are empty."""
    n, m = draw.rows(3, 150, 0.0), draw.rows(3, 150, 0.0)
    pool = draw.rng.permutation(2 * max(n, m))
    shift = draw.one(0, max(n, m) // 2, max(n, m))
    left, right = pool[:n], np.roll(pool, -min(shift, n // 2))[:m]
    a, b = draw.column(n, low=-2, high=6, bounded=2.0**30), draw.column(m, low=-2, high=6, bounded=2.0**30)
    one, other = draw.names(2)
    fa, fb = draw.field(one, a), draw.field(other, b)
    frame = pd.DataFrame({"id": left, one: cells(a.values, fa.unit)})
    theirs = pd.DataFrame({"id": right, other: cells(b.values, fb.unit)})
    how = draw.one("inner", "capacity", "left")
    merged = frame.merge(theirs, how="left" if how == "left" else "inner", on="id")
    common = int(merged[other].notna().sum())
    room = common + draw.whole(0, 5) if how == "capacity" and common else None

    def program(s: Any, v: Any) -> Any:
        words: dict[str, Any] = {"how": "left"} if how == "left" else {} if room is None else {"capacity": room}
        t = pv.link(s.table("a"), s.table("b"), **words)
        return [t.count, t.moments([one])[0], t.moments([other])[0], t.moments([other])[2]]

    def check(got: Any) -> str:
        return (
            near(got[0], len(merged), 0, "rows")
            or near(np.asarray(got[1]) * fa.unit, [merged[one].sum()], fa.unit * 2.0**-30 * n, one)
            or near(np.asarray(got[2]) * fb.unit, [merged[other].sum()], fb.unit * 2.0**-30 * m, other)
            or near(got[3], [common], 0, f"cells of {other!r}")
        )

    # each table has its own owner: within one, every key is there once
    return Case(
        program,
        check=check,
        sheets=[keyed(draw, "a", one, left, fa, a.values), keyed(draw, "b", other, right, fb, b.values)],
        note=f"{how}, {n} and {m} rows, {common} common",
        owners=1,
        limits=(Limit("no common|common rows|too few", "docs/linkage.md"),) if common < 1 else (),
        words=("link", "capacity"),
    )


@entry("tables", "a left join and its statistics", weight=1)
def left_statistics(draw: Draw) -> Case:
    """The mean of a column of the other table skips rows without a partner; groups by it leave them out."""
    n = draw.rows(6, 120, 0.0)
    ids, m = draw.rng.permutation(10 * n)[:n], max(2, n // 2)
    a, b = draw.rng.integers(0, 3, n), np.round(draw.rng.normal(50, 10, m), 3)
    fa, fb = Field("ward", "category", categories=("u", "v", "w")), Field("b", "number", 128.0, 128.0)
    seen = cells(b, 128.0)
    mean = [seen[a[:m] == k].mean() if (a[:m] == k).any() else 0.0 for k in range(3)]
    way = draw.one("mean", "group_by")

    def program(s: Any, v: Any) -> Any:
        t = pv.link(s.table("a"), s.table("b"), how="left")
        if way == "mean":
            return t["b"].mean()
        g = t.group_by("ward").agg(capacity=3, b=("b", "mean"))
        return g["b"]

    return Case(
        program,
        seen.mean() if way == "mean" else np.array(mean),
        Within(f"{PAGE}: means", 2.0**-20, 2, 2.0**-20),
        sheets=[keyed(draw, "a", "ward", ids, fa, a), keyed(draw, "b", "b", ids[:m], fb, b)],
        note=f"{way}, {n} and {m} rows",
        words=("group_by", "link"),
    )


@entry("tables", "pv.intersect", weight=0.5)
def intersected(draw: Draw) -> Case:
    n, m = draw.rows(3, 80, 0.0), draw.rows(3, 80, 0.0)
    pool = draw.rng.permutation(n + m)
    left, right = pool[:n], pool[n // 2 : n // 2 + m]
    f = Field("x", "number", 1.0, 1.0)
    g = Field("y", "number", 1.0, 1.0)

    def check(got: Any) -> str:
        mine = np.asarray(next(iter(got.values())))
        return (
            ""
            if mine.tolist() == np.isin(left, right).tolist() or mine.tolist() == np.isin(right, left).tolist()
            else f"{mine}"
        )

    def program(s: Any, v: Any) -> Any:
        found = pv.intersect(s.table("a"), s.table("b"))
        # opened to owners alone; what one computes on them is told by the sizes that a linkage opens
        return {"size": pv.link(s.table("a"), s.table("b")).rows, **{k: None for k in found}}

    want = int(np.isin(left, right).sum())
    return Case(
        program,
        check=lambda got: "" if got["size"] == want else f"{got['size']}, right {want}",
        sheets=[keyed(draw, "a", "x", left, f, np.zeros(n)), keyed(draw, "b", "y", right, g, np.zeros(m))],
        note=f"{n} and {m} rows",
        limits=(Limit("no common|common rows|too few", "docs/linkage.md"),) if not want else (),
        words=("link", "intersect"),
    )


@entry("tables", "pv.concat", weight=0.5)
def concatenated(draw: Draw) -> Case:
    p = People(draw)

    def program(s: Any, v: Any) -> Any:
        t = s.table("t")
        both = pv.concat([t, t])
        return [both.count, both.moments([p.x])[0], both.moments([p.x])[2]]

    def check(got: Any) -> str:
        x = p.frame[p.x]
        return (
            near(got[0], 2 * p.n, 0, "rows")
            or near(np.asarray(got[1]) * p.unit, [2 * x.sum()], p.unit * 2.0**-29 * p.n, p.x)
            or near(got[2], [2 * x.count()], 0, "cells")
        )

    return Case(program, check=check, sheets=p.sheets, note=p.note, owners=draw.owners(), words=("concat",))


@entry(
    "tables",
    "selection.KFold",
    "selection.KFold",
    "selection.StratifiedKFold",
    "selection.train_test_split",
    weight=0.3,
)
def folds(draw: Draw) -> Case:
    """Every row tests once; a stratified part has its share of each class, give or take a row."""
    from privity.ml.selection import train_test_split

    n = draw.rows(10, 80, 0.0)
    y = draw.flags(n, draw.one(0.5, 0.2))
    x = np.arange(n) * 1.0

    def program(s: Any, v: Any) -> Any:
        parts = train_test_split(v["x"], v["y"], test_size=0.25, stratify=v["y"], random_state=1)
        return [p for p in parts if p is not None]

    def check(got: Any) -> str:
        train, test = np.asarray(got[0]).reshape(-1), np.asarray(got[1]).reshape(-1)
        if sorted([*train, *test]) != x.tolist():
            return "rows are lost or doubled"
        share = y[np.rint(test).astype(int)].sum()
        return (
            ""
            if abs(share - y.sum() * len(test) / n) <= 1.01
            else f"{share} of class 1 in {len(test)} test rows, {y.sum()} of {n} in all"
        )

    return Case(
        program,
        check=check,
        arrays={"x": pv.Input(x, 128.0), "y": pv.Input(y, 1)},
        note=f"{n} rows, {y.sum()} of class 1",
        owners=draw.owners(),
        words=("train_test_split", "stratify"),
    )
