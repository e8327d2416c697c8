"""Whole numbers of tables are exact up to 2^53, and are whole numbers: keys of groups, labels, flags, joins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import privity as pv
from privity import stats
from privity.data.keys import fingerprints
from privity.errors import DataError, OverflowPlanned
from privity.ml import GradientBoostingClassifier, LinearRegression
from privity.ml.preprocessing import Clip, OrdinalEncoder, SimpleImputer
from privity.mpc.plain import InsecurePlain
from privity.table import Field, TableInfo, table_inputs, table_shapes

RNG = np.random.default_rng(3)
MOST = 2.0**53
N = 24


def field(name: str, bits: int, bound: float | None = None, **more: Any) -> Field:
    return Field(name, "integer", 2.0**bits, bound or 2.0**bits, **more)


EPOCH = field("s", 31, 2e9)
MILLIS = field("ms", 41, 2e12)
TABLE = TableInfo(
    "t",
    (
        field("small", 4), EPOCH, Field("real", "number", 8.0, 8.0), MILLIS, field("id", 53), Field("flag", "binary"),
        field("gap", 34, 1e10, missing=True),
    ),
)  # fmt: skip
FRAME = pd.DataFrame({
    "small": RNG.integers(-16, 17, N), "s": 1_700_000_000 + RNG.integers(0, 3, N), "real": RNG.normal(size=N),
    "ms": 1_700_000_000_000 + RNG.integers(0, 3, N), "id": (1 << 53) - RNG.integers(0, 3, N),
    "flag": RNG.integers(0, 2, N), "gap": pd.array(9_999_999_999 - RNG.integers(0, 3, N), "Int64"),
})  # fmt: skip
FRAME.loc[::5, "gap"] = pd.NA


def run(body: Callable[[pv.Session, Any], dict[str, Any]], **options: Any) -> Any:
    def program(s: pv.Session) -> Any:
        return {n: s.reveal(v, to="all", name=n, reason="test") for n, v in body(s, s.table("t")).items()}

    options = {"protocol": InsecurePlain(), "parties": 1, "minimum_group": 1, **options}
    return pv.simulate(program, inputs={"o": table_inputs(TABLE, FRAME)}, tables={"t": TABLE}, **options).output


def test_cells_are_exact_up_to_2_53() -> None:
    def body(s: pv.Session, t: Any) -> dict[str, Any]:
        for name in ("small", "s", "ms", "id", "flag"):
            assert t[name].kind == "int" and t[name].scale == 0
        whole = {n: t[n] for n in ("small", "s", "ms", "id", "flag")}
        least = {f"min {n}": t[n].min() for n in ("s", "ms", "id", "gap")}
        return {
            **whole, **least, "gap": t["gap"].fillna(0), "same": (t["id"] == 2**53 - 1).sum(), "ms sum": t["ms"].sum(),
            "mean ms": t["ms"].mean(), "median": t["gap"].median(), "gap mean": t["gap"].mean(),
            "q": stats.quantile(t["gap"], 0.5).value, "q ms": stats.quantile(t["ms"], [0.25, 0.5]).value,
            "stats": stats.mean(t["gap"]).value, "above": (t["s"] > 1_700_000_001).sum(),
            "max": t["gap"].max(), "sum": t["gap"].sum(),
        }  # fmt: skip

    for options in ({}, {"protocol": pv.Rep3(), "parties": 3}):
        got = run(body, **options)
        for name in ("small", "s", "ms", "id", "flag"):
            assert got[name].dtype == np.int64 and np.array_equal(got[name], FRAME[name]), name
        assert np.array_equal(got["gap"], FRAME["gap"].fillna(0).astype(int))
        assert all(got[f"min {n}"] == FRAME[n].min() for n in ("s", "ms", "id", "gap"))
        assert got["same"] == (FRAME["id"] == 2**53 - 1).sum() and got["ms sum"] == FRAME["ms"].sum()
        assert got["above"] == (FRAME["s"] > 1_700_000_001).sum()
        for name, right in (("mean ms", FRAME["ms"].mean()), ("gap mean", FRAME["gap"].mean())):
            assert abs(got[name] - right) <= 1 + 2.0**-24 * right
        assert abs(got["stats"] - FRAME["gap"].mean()) <= 1 + 2.0**-24 * FRAME["gap"].mean()
        assert abs(got["median"] - FRAME["gap"].median()) < 0.01 and abs(got["q"] - FRAME["gap"].median()) < 0.01
        assert np.allclose(got["q ms"], FRAME["ms"].quantile([0.25, 0.5]), rtol=0, atol=0.01)
        assert got["max"] == FRAME["gap"].max() and got["sum"] == FRAME["gap"].sum()


@pytest.mark.parametrize("key", ["s", "ms", "id", "gap", "small", "flag"])
def test_groups_by_large_whole_numbers(key: str) -> None:
    def body(s: pv.Session, t: Any) -> dict[str, Any]:
        groups = t.group_by(key).agg(20, n="count", last=("ms", "max"), first=("gap", "min"), total=("s", "sum"))
        return {"key": groups.keys[0], **{n: groups[n] for n in ("n", "last", "first", "total")}, "valid": groups.valid}

    got = run(body)
    right = FRAME.groupby(key).agg(n=("s", "size"), last=("ms", "max"), first=("gap", "min"), total=("s", "sum"))
    real = got["valid"]
    assert np.array_equal(got["key"][real], right.index) and np.array_equal(got["n"][real], right["n"])
    assert np.array_equal(got["last"][real], right["last"]) and np.array_equal(got["total"][real], right["total"])
    assert np.array_equal(got["first"][real], right["first"].fillna(0).astype(int))


def test_sorting_and_joining_keeps_every_digit() -> None:
    keys = fingerprints([[f"p{i}" for i in range(N)]])
    left, right = (TableInfo(n, TABLE.fields[i : i + 1], keyed=True) for n, i in (("a", 3), ("b", 4)))
    inputs = {
        "x": table_inputs(left, FRAME[["ms"]], keys=keys),
        "y": table_inputs(right, FRAME[["id"]], keys=keys[::-1].copy()),
    }  # fmt: skip

    def program(s: pv.Session) -> Any:
        both = pv.link(s.table("a"), s.table("b"), how="left")
        ms, ids = pv.sort_by(both["ms"], [both["ms"], both["id"].fillna(0)])
        return [s.reveal(v, to="all", name="v", reason="test") for v in (ms, ids)]

    tables = {"a": left, "b": right}
    ms, ids = pv.simulate(program, inputs=inputs, tables=tables, parties=1, protocol=InsecurePlain()).output
    assert sorted(zip(ms, ids, strict=True)) == sorted(zip(FRAME["ms"], FRAME["id"][::-1], strict=True))
    assert np.array_equal(ms, np.sort(FRAME["ms"]))


def test_flags_and_classes_need_no_comparison() -> None:
    def body(s: pv.Session, t: Any) -> dict[str, Any]:
        table = stats.crosstab(t["flag"], t["small"] > 0, rows=2, columns=2)
        tests = stats.ttest(t["real"], group=t["flag"])
        model = GradientBoostingClassifier(n_estimators=1, max_depth=1, max_bins=4).fit(t[["real"]], t["flag"])
        p = model.predict_proba(t[["real"]])
        p = p[:, 1] if p.ndim == 2 else p
        return {"n": t.filter(t["flag"]).count, "counts": table.counts, "df": tests.df, "p": p}

    got = run(body)
    assert got["n"] == FRAME["flag"].sum()
    assert np.array_equal(got["counts"], pd.crosstab(FRAME["flag"], FRAME["small"] > 0))
    assert ((got["p"] > 0) & (got["p"] < 1)).all()


def test_columns_of_all_units_stand_beside_each_other() -> None:
    names = ["small", "s", "real", "ms", "flag"]

    def body(s: pv.Session, t: Any) -> dict[str, Any]:
        part = t.filter(t["flag"])
        two = pv.concat([t, part])
        return {
            "x": t.matrix(names), "flags": t.matrix(["flag"]), "kept": part.matrix(["small", "real"]),
            "ms": part["ms"].max(), "two": two["ms"].sum(), "count": two.count,
        }  # fmt: skip

    got = run(body)
    units = np.array([2.0**4, 2.0**31, 8.0, 2.0**41, 1.0])
    assert np.allclose(got["x"], FRAME[names] / units, rtol=0, atol=2.0**-29)
    assert np.array_equal(got["flags"][:, 0], FRAME["flag"])
    kept = FRAME["flag"] == 1
    want = np.where(kept, FRAME[["small", "real"]].T / np.array([[16.0], [8.0]]), 0).T
    assert np.allclose(got["kept"], want, atol=2.0**-28)
    assert got["ms"] == FRAME["ms"][kept].max() and got["two"] == FRAME["ms"].sum() + FRAME["ms"][kept].sum()
    assert got["count"] == N + kept.sum()


def test_transforms_of_whole_numbers() -> None:
    word = Field("c", "category", categories=("a", "b"))
    info = TableInfo("t", (field("k", 7, 100, missing=True), word, field("w", 3)))
    k = np.where(np.arange(30) % 4 == 0, np.nan, np.arange(30) % 7)
    frame = pd.DataFrame({"k": k, "c": np.arange(30) % 2, "w": np.arange(30) % 8})

    def program(s: pv.Session) -> Any:
        t = s.table("t")
        made = {
            "mean": SimpleImputer(["k"]).fit_transform(t)["k"], "middle": SimpleImputer(["k"], strategy="median"),
            "most": SimpleImputer(["k"], strategy="most_frequent"),
            "ninety": SimpleImputer(["k"], strategy="constant", fill_value=90),
            "half": SimpleImputer(["k"], strategy="constant", fill_value=1.5), "clip": Clip(["w"], low=2, high=5),
            "between": Clip(["w"], low=2.5, high=5.25), "codes": OrdinalEncoder(),
        }  # fmt: skip
        out = {}
        for name, transform in made.items():
            column = {"clip": "w", "between": "w", "codes": "c"}.get(name, "k")
            x = transform.fit_transform(t)[column] if hasattr(transform, "fit") else transform
            assert (x.kind == "int") == (name in ("most", "ninety", "clip", "codes")), name
            out[name] = s.reveal(x, to="all", name=name, reason="test")
        return out

    got = pv.simulate(
        program, inputs={"o": table_inputs(info, frame)}, tables={"t": info}, parties=1, protocol=InsecurePlain()
    ).output
    series, w = frame["k"], frame["w"]
    assert np.allclose(got["mean"], series.fillna(series.mean()), atol=1e-3)
    assert np.allclose(got["middle"], series.fillna(series.median()), atol=1e-4)
    assert np.array_equal(got["most"], series.fillna(series.mode()[0]))
    assert np.array_equal(got["ninety"], series.fillna(90))
    assert np.allclose(got["half"], series.fillna(1.5), atol=1e-6) and np.array_equal(got["clip"], w.clip(2, 5))
    assert np.allclose(got["between"], w.clip(2.5, 5.25), atol=1e-6) and np.array_equal(got["codes"], frame["c"])


def test_a_target_of_whole_numbers() -> None:
    def body(s: pv.Session, t: Any) -> dict[str, Any]:
        return {"c": LinearRegression().fit(t[["real", "small"]], "small").coefficients_}

    got = run(body)
    right = np.linalg.lstsq(np.c_[FRAME["real"] / 8, np.ones(N)], FRAME["small"].astype(float), rcond=None)[0]
    assert np.allclose(got["c"], right, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("column", "cell", "told"),
    [
        ("small", 17, r"column 'small': expected a whole number of at most 16 .*found 17.0 in row 3"),
        ("small", 0.5, r"column 'small': expected a whole number.*found 0.5"),
        ("id", (1 << 53) + 1, r"column 'id': expected a whole number of at most 2\^53, found 9007199254740993 in row"),
        ("id", -(1 << 60), r"column 'id': expected a whole number of at most 2\^53"),
        ("flag", 2, r"column 'flag': expected 0 or 1, found 2.0"),
        ("flag", -1, r"column 'flag': expected 0 or 1, found -1.0"),
        ("real", 8.5, r"column 'real': expected a number of at most 8 \(the column's public bound\), found 8.5"),
    ],
)
def test_cells_that_do_not_fit_are_named(column: str, cell: float, told: str) -> None:
    wrong = FRAME.copy()
    wrong[column] = wrong[column].astype(object)
    wrong.loc[2, column] = cell
    with pytest.raises(DataError, match=told):
        table_inputs(TABLE, wrong)
    if isinstance(cell, int) and abs(cell) > 1 << 53:
        wrong[column] = wrong[column].astype(np.int64)
        with pytest.raises(DataError, match=told):
            table_inputs(TABLE, wrong)


def test_sums_that_pass_62_bits_are_refused_before_anything_runs() -> None:
    info = TableInfo("t", (field("id", 53), Field("c", "category", categories=("a", "b"))))
    rows = {"o": table_shapes(info, 2000)}

    def plan(body: Callable[[Any], Any]) -> Any:
        return pv.plan(lambda s: body(s.table("t")), inputs=rows, tables={"t": info})

    with pytest.raises(OverflowPlanned, match="'total', the sum of a group"):
        plan(lambda t: t.group_by("c").agg(total=("id", "sum")))
    with pytest.raises(OverflowPlanned, match="'total', the sum of a group"):
        plan(lambda t: t.group_by("id").agg(10, total=("id", "sum")))
    with pytest.raises(OverflowPlanned, match="sum"):
        plan(lambda t: t["id"].sum())
    plan(lambda t: t.group_by("c").agg(n="count"))


def test_a_file_is_told_where_float64_ends(tmp_path: Any) -> None:
    from privity.data.schema import TableSchema
    from privity.data.tables import read_table

    schema = TableSchema.from_mapping("t", {"columns": [{"name": "id", "kind": "integer", "bound": MOST}]})
    path = tmp_path / "t.csv"
    path.write_text("id\n9007199254740992\n-9007199254740992\n3\n")
    assert read_table(path, schema, "o").values[:, 0].tolist() == [MOST, -MOST, 3]
    for cell in ("9007199254740993", "-9007199254740993", "9007199254740993.0"):
        path.write_text(f"id\n1\n{cell}\n")
        with pytest.raises(DataError, match=r"line 3, column 'id': expected a whole number of at most 2\^53"):
            read_table(path, schema, "o")


def test_rounds_and_bytes_are_those_of_numbers() -> None:
    """Whole numbers are shared in the same input, travel in the same products, and compare in fewer bits."""

    def spent(kind: str) -> tuple[int, int, int]:
        fields = tuple(Field(f"c{u}", kind, 2.0**u, 2.0**u) for u in (0, 4, 20, 30))  # type: ignore[arg-type]
        info = TableInfo("t", fields)
        shapes = table_shapes(info, 100)
        assert shapes["t.features"].shape == (100, 4) and shapes["t.features"].bound == 1.0

        def program(s: pv.Session) -> None:
            t = s.table("t")
            with s.stage("filter"):
                t.filter(t["c4"] > 3).matrix(t.columns)

        made = pv.plan(program, inputs={"o": shapes}, tables={"t": info})
        return made.rounds, max(made.payload_sent.values()), made.dealt["o"]

    (rounds, sent, dealt), others = spent("integer"), spent("number")
    assert rounds <= others[0] and sent <= others[1] and dealt == others[2]


@pytest.mark.parametrize("bits", [45, 50, 53])
def test_means_deviations_and_quantiles_of_long_numbers(bits: int) -> None:
    """Beside masks too, where counts are secret: results keep the fractional bits that 62 leave room for."""
    n = 40
    values = RNG.integers(-(2**bits) // 2, 2**bits, n)
    frame = pd.DataFrame({"full": values.astype(float), "gaps": pd.Series(values.astype(float))})
    frame.loc[::4, "gaps"] = np.nan
    frame["g"] = np.where(np.arange(n) % 2, "a", "b")
    info = TableInfo("t", (
        Field("full", "integer", 2.0**bits, 2.0**bits), Field("gaps", "integer", 2.0**bits, 2.0**bits, missing=True),
        Field("g", "category", categories=("a", "b")),
    ))  # fmt: skip

    def program(s: Any) -> Any:
        t = s.table("t")
        groups = [t.group_by("g").agg(m=("gaps", "mean")), t.group_by("g").agg(2, m=("gaps", "mean"))]
        shown = [t["gaps"].mean(), t["gaps"].std(), t["full"].std(), pv.median(t["gaps"]), pv.median(t["full"]),
                 pv.quantile(t["gaps"], 0.3), pv.quantile(t["full"], 0.3), *(g["m"] for g in groups)]  # fmt: skip
        return [s.reveal(x, to="all", name="x", reason="test") for x in shown]

    got = pv.simulate(program, inputs={"o": table_inputs(info, frame)}, tables={"t": info}, minimum_group=1).output
    unit = 2.0 ** (bits - 60)
    there = frame["gaps"].dropna()
    mean = float(sum(map(int, there)) / len(there))
    assert abs(got[0] - mean) <= 2.0**-24 * abs(mean) + unit
    for found, column in ((got[1], there), (got[2], frame["full"])):
        assert found == pytest.approx(column.std(ddof=0), rel=2.0**-17)
    for found, column, q in ((got[3], there, 0.5), (got[4], frame["full"], 0.5), (got[5], there, 0.3),
                             (got[6], frame["full"], 0.3)):  # fmt: skip
        gap = column.max() - column.min()
        assert abs(found - column.quantile(q)) <= 2.0**-17 * gap + 2 * unit
    for found in got[7:]:
        want = frame.groupby("g")["gaps"].mean().to_numpy()
        assert np.all(np.abs(found - want) <= 2.0**-24 * np.abs(want) + unit + 1e-15 * 2.0**bits)
