"""Transforms on shares against scikit-learn, with padding rows and empty cells; what they refuse."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import preprocessing as plain
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.impute import SimpleImputer as PlainImputer

import privity as pv
from privity.errors import RangeViolated, UsageError
from privity.ml.linear import LogisticRegression
from privity.ml.preprocessing import (
    Clip,
    KBinsDiscretizer,
    LogTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    Pipeline,
    PowerTransformer,
    RobustScaler,
    SimpleImputer,
    StandardScaler,
    WOEEncoder,
    information_value,
)
from privity.mpc.plain import InsecurePlain
from privity.table import Field, Table, TableInfo, table_inputs

RNG = np.random.default_rng(11)
WINE = load_wine().data[:, [0, 4, 12]]  # alcohol, magnesium, proline
N = len(WINE)
GAPS = WINE.copy()
GAPS[RNG.random(GAPS.shape) < 0.25] = np.nan
SHADE, DRY = RNG.integers(0, 4, N).astype(float), RNG.integers(0, 2, N).astype(float)
SHADE_GAPS, DRY_GAPS = SHADE.copy(), DRY.copy()
SHADE_GAPS[RNG.random(N) < 0.2] = np.nan
DRY_GAPS[RNG.random(N) < 0.2] = np.nan
LABEL = (RNG.random(N) < 0.2 + 0.15 * SHADE).astype(float)
NUMBERS = ("alcohol", "magnesium", "proline")
SHADES = ("pale", "rose", "red", "dark")


def fields(missing: bool) -> tuple[Field, ...]:
    units = (16.0, 256.0, 2048.0)
    return (
        *(Field(n, "number", u, u, missing=missing) for n, u in zip(NUMBERS, units, strict=True)),
        Field("shade", "category", 1.0, 3.0, SHADES, missing),
        Field("dry", "binary", missing=missing),
    )


def run(body: Callable[[Table], Any], *, gaps: bool = False, padded: bool = False, check: bool = False) -> Any:
    """What ``body`` makes of the table of two owners: real rows of tables and arrays of N rows, others as they are."""
    info = TableInfo("wine", fields(gaps), Field("label", "binary"), 120 if padded else None)
    data = np.column_stack([GAPS, SHADE_GAPS, DRY_GAPS] if gaps else [WINE, SHADE, DRY])
    parts = {"a": slice(0, 90), "b": slice(90, N)}
    real = np.r_[0:90, 120 : 120 + N - 90] if padded else np.arange(N)

    def program(s: pv.Session) -> Any:
        made = body(s.table("wine"))
        if isinstance(made, Table):
            opened: dict[str, Any] = {"rows": made.rows}
            for n in made.feature_names:
                opened[n] = s.reveal(made.column(n).natural, to="all", name=n, reason="test")
                if made.column(n).missing is not None:
                    opened[f"no {n}"] = s.reveal(made.column(n).missing, to="all", name=n, reason="test")
            return opened
        return {k: s.reveal(v, to="all", name=k, reason="test") for k, v in (made or {}).items()}

    inputs = {o: table_inputs(info, data[p], LABEL[p]) for o, p in parts.items()}
    got = pv.simulate(program, inputs=inputs, tables={"wine": info}, check_range=check).output
    rows = got.pop("rows", None)
    if rows is None:
        return got
    for name, values in got.items():
        assert not np.delete(values, real).any(), f"{name}: padding rows hold a value"
    return {n: v[real] for n, v in got.items()}


def columns(got: dict[str, Any], names: Any = NUMBERS) -> np.ndarray:
    return np.column_stack([got[n] for n in names])


SCALERS = [
    (StandardScaler, plain.StandardScaler(), {}),
    (MinMaxScaler, plain.MinMaxScaler((-1, 2)), {"feature_range": (-1, 2)}),
    (RobustScaler, plain.RobustScaler(quantile_range=(20, 80)), {"quantile_range": (20, 80)}),
]


@pytest.mark.parametrize(("ours", "theirs", "options"), SCALERS, ids=lambda v: getattr(v, "__name__", ""))
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("padded", [False, True])
def test_scalers(ours: Any, theirs: Any, options: dict[str, Any], gaps: bool, padded: bool) -> None:
    got = run(lambda t: ours(NUMBERS, **options).fit_transform(t), gaps=gaps, padded=padded, check=not gaps)
    wanted = theirs.fit_transform(GAPS if gaps else WINE)
    assert np.allclose(columns(got), np.nan_to_num(wanted), atol=3e-3)
    assert np.array_equal(got["shade"], np.nan_to_num(SHADE_GAPS if gaps else SHADE)), "other columns pass through"
    if gaps:
        assert np.array_equal(got["no alcohol"], np.isnan(GAPS[:, 0]))


def test_scaler_clips_and_undoes() -> None:
    def body(t: Table) -> dict[str, Any]:
        scaler = StandardScaler(NUMBERS, clip=1.5)
        z = scaler.fit_transform(t)
        return {"z": z.matrix(NUMBERS), "coef": scaler.unscale(t.session.constant([1.0, -2.0, 0.5, 0.25]))}

    got = run(body)
    mean, sd = WINE.mean(0), WINE.std(0)
    assert np.allclose(got["z"], np.clip((WINE - mean) / sd, -1.5, 1.5), atol=3e-3)
    units = np.array([16.0, 256.0, 2048.0])
    weights = np.array([1.0, -2.0, 0.5]) / sd
    assert np.allclose(got["coef"], np.r_[weights * units, 0.25 - weights @ mean], rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("strategy", ["mean", "median"])
def test_numbers_filled_in(strategy: Any, padded: bool) -> None:
    def body(t: Table) -> Table:
        imputer = SimpleImputer(NUMBERS, strategy=strategy, add_indicator=True)
        out = imputer.fit_transform(t)
        assert imputer.get_feature_names_out() == out.feature_names
        return out

    got = run(body, gaps=True, padded=padded)
    assert np.allclose(columns(got), PlainImputer(strategy=strategy).fit_transform(GAPS), rtol=1e-4)
    assert np.array_equal(columns(got, [f"missing_{n}" for n in NUMBERS]), np.isnan(GAPS))
    assert "no alcohol" not in got and "no dry" in got


@pytest.mark.parametrize("padded", [False, True])
def test_most_frequent_and_constant(padded: bool) -> None:
    def body(t: Table) -> Table:
        t = SimpleImputer(["shade", "dry"], strategy="most_frequent").fit_transform(t)
        t = SimpleImputer(["alcohol"], strategy="constant", fill_value=12.5).fit_transform(t)
        return SimpleImputer(strategy="mean").fit_transform(t)

    got = run(body, gaps=True, padded=padded)
    for name, values in (("shade", SHADE_GAPS), ("dry", DRY_GAPS)):
        known = values[~np.isnan(values)].astype(int)
        assert np.array_equal(got[name], np.where(np.isnan(values), np.bincount(known).argmax(), values)), name
    assert np.allclose(got["alcohol"], np.where(np.isnan(GAPS[:, 0]), 12.5, GAPS[:, 0]), atol=1e-6)


@pytest.mark.parametrize("capacity", [None, 60])
def test_most_frequent_numbers(capacity: int | None) -> None:
    """Of columns of every kind: negative and ten-digit whole numbers, fractions, ties (the smallest)."""
    n, draw = 100, np.random.default_rng(5)
    frame = pd.DataFrame({
        "negative": draw.choice([-3.0, 2.0, -7.0], n, p=[0.6, 0.2, 0.2]), "fraction": draw.choice([1.25, 3.5], n),
        "long": draw.choice([2.0**50 + 1, 2.0**50, -5.0], n, p=[0.5, 0.3, 0.2]), "flag": draw.integers(0, 2, n),
        "different": draw.normal(size=n), "one": np.full(n, -0.5),
    }).astype(float)  # fmt: skip
    frame = frame.mask(draw.random(frame.shape) < 0.4)
    frame.loc[: n - 2, "one"] = np.nan
    whole = {"negative": 8.0, "long": 2.0**51}
    fields = [Field(c, "integer", whole[c], whole[c], missing=True) if c in whole else
              Field(c, "binary" if c == "flag" else "number", 1.0 if c == "flag" else 4.0, missing=True,
                    bound=1.0 if c == "flag" else 4.0) for c in frame]  # fmt: skip
    info = TableInfo("t", tuple(fields), capacity=capacity)

    def program(s: pv.Session) -> list[Any]:
        t = SimpleImputer(strategy="most_frequent").fit_transform(s.table("t"))
        t = t if t.valid is None else t.filter(t.valid == 1)
        return [s.reveal(t.column(c).natural, to="all", name=c, reason="test") for c in frame]

    inputs = {f"o{i}": table_inputs(info, frame.iloc[half]) for i, half in enumerate((slice(50), slice(50, None)))}
    got = np.column_stack(pv.simulate(program, inputs=inputs, tables={"t": info}).output)
    real = np.arange(len(got)) % (capacity or n) < 50 if capacity else slice(None)
    want = frame.fillna(frame.mode().iloc[0]).to_numpy()
    assert np.abs(got[real] - want).max() <= 4 * 2.0**-30


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent"])
def test_nothing_to_fill_with(strategy: str) -> None:
    info = TableInfo("t", (Field("a", "number", missing=True), Field("b", "number", missing=True)))

    def program(s: pv.Session) -> Any:
        t = SimpleImputer(strategy=strategy).fit_transform(s.table("t"))
        return s.reveal(t["a"].sum(), to="all", name="a", reason="test")

    with pytest.raises(RangeViolated, match="one of the columns a, b has no value in any row that counts"):
        pv.simulate(
            program, inputs={"o": table_inputs(info, np.array([[np.nan, 1.0]] * 9))}, tables={"t": info},
            protocol=InsecurePlain(), parties=1,
        )  # fmt: skip


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("drop", [None, "first"])
def test_one_hot(gaps: bool, drop: Any) -> None:
    def body(t: Table) -> Table:
        encoder = OneHotEncoder(drop=drop, missing_level=True)
        out = encoder.fit_transform(t)
        assert encoder.get_feature_names_out() == out.feature_names
        return out

    got = run(body, gaps=gaps, padded=True)
    shade = SHADE_GAPS if gaps else SHADE
    for k, name in enumerate(SHADES):
        assert (f"shade_{name}" in got) == (k > 0 or drop is None)
        if f"shade_{name}" in got:
            assert np.array_equal(got[f"shade_{name}"], shade == k)
    assert ("shade_missing" in got) == gaps and "shade" not in got
    if gaps:
        assert np.array_equal(got["shade_missing"], np.isnan(shade))


def test_ordinal() -> None:
    got = run(lambda t: OrdinalEncoder().fit_transform(t))
    assert np.array_equal(got["shade"], SHADE)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("strategy", ["quantile", "uniform"])
def test_bins(strategy: Any, padded: bool) -> None:
    got = run(lambda t: KBinsDiscretizer(NUMBERS, n_bins=4, strategy=strategy).fit_transform(t), padded=padded)
    edges = np.quantile(WINE, [0.25, 0.5, 0.75], axis=0)
    if strategy == "uniform":
        edges = WINE.min(0) + (WINE.max(0) - WINE.min(0)) * np.array([[0.25], [0.5], [0.75]])
    units = np.array([16.0, 256.0, 2048.0])
    far = (np.abs(WINE[None] - edges[:, None]) > 2e-5 * units).all(0)  # within the error of an edge both are right
    assert far.mean() > 0.9
    assert np.array_equal(columns(got)[far], (WINE[None] >= edges[:, None]).sum(0)[far])


@pytest.mark.parametrize("level", [-4.0, 0.0, 2.5])
def test_a_constant_column_is_in_bin_0(level: float) -> None:
    """Of equal widths, as in scikit-learn; also rows that were not there in fit."""
    info = TableInfo("t", (Field("flat", "number", 4.0, 4.0), Field("x", "number", 4.0, 4.0)))
    data = np.column_stack([np.full(6, level), np.linspace(-4, 4, 6)])

    def program(s: pv.Session) -> Any:
        fitted = KBinsDiscretizer(n_bins=3, strategy="uniform").fit(s.table("t"))
        made = fitted.transform(s.table("t"))
        other = fitted.transform(s.table("u"))
        return [
            s.reveal(m.column(n).natural, to="all", name=f"{n}{k}", reason="test")
            for k, m in enumerate((made, other)) for n in ("flat", "x")
        ]  # fmt: skip

    tables = {"t": info, "u": replace(info, name="u")}
    cells = {**table_inputs(info, data), **table_inputs(tables["u"], np.full((6, 2), 4.0))}
    flat, x, far, top = pv.simulate(program, inputs={"a": cells}, tables=tables).output
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        twin = plain.KBinsDiscretizer(3, encode="ordinal", strategy="uniform").fit(data)
    assert np.array_equal(np.column_stack([flat, x]), twin.transform(data))
    assert np.array_equal(np.column_stack([far, top]), twin.transform(np.full((6, 2), 4.0)))


def test_curves() -> None:
    def body(t: Table) -> Table:
        t = Clip(["proline"], low=300, high=1000).fit_transform(t)
        t = LogTransformer(["magnesium"], offset=2.0).fit_transform(t)
        return PowerTransformer(["alcohol"], lambdas=0.5).fit_transform(t)

    got = run(body, padded=True)
    assert np.allclose(got["proline"], np.clip(WINE[:, 2], 300, 1000), atol=1e-4)
    assert np.allclose(got["magnesium"], np.log(WINE[:, 1] + 2), atol=1e-3)
    assert np.allclose(got["alcohol"], (np.sqrt(WINE[:, 0] + 1) - 1) / 0.5, atol=1e-3)


WIDE = (4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0)
"""Units of columns that keep as many fractional bits as the session has: one batch."""


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize(
    ("curve", "plain_curve"),
    [
        (Clip(low=0.5, high=3.0), lambda x: np.clip(x, 0.5, 3.0)),
        (Clip(low=-1.0, high=2.0), lambda x: np.clip(x, -1.0, 2.0)),
        (LogTransformer(offset=1.0), np.log1p),
        (PowerTransformer(lambdas=0.5), lambda x: 2 * (np.sqrt(1 + x) - 1)),
        (PowerTransformer(lambdas={f"c{i}": (0.0, 2.0)[i % 2] for i in range(6)}, method="box-cox"), None),
    ],
    ids=["clip", "clip around 0", "log", "power", "two exponents"],
)
def test_rounds_do_not_grow_with_the_columns(
    curve: Any, plain_curve: Callable[[np.ndarray], np.ndarray] | None, gaps: bool
) -> None:
    """Each column comes out as it does alone, under its own bound."""
    x = RNG.random((40, 6)) * 3.5 + 0.1
    x[(RNG.random(x.shape) < 0.2) & gaps] = np.nan

    def curved(names: list[str]) -> tuple[dict[str, np.ndarray], dict[str, float], int]:
        at = [int(n[1]) for n in names]
        fields = tuple(Field(f"c{i}", "number", WIDE[i], WIDE[i], missing=gaps) for i in at)
        info = TableInfo("t", fields, None, 50)

        def program(s: pv.Session) -> Any:
            table = s.table("t")
            with s.stage("curve"):
                made = curve.clone().fit_transform(table)
            bounds = {n: made[n].bound for n in names}
            opened = {n: s.reveal(made.column(n).natural, to="all", name=n, reason="test")[:40] for n in names}
            return opened, bounds, s.stages[0].rounds

        return pv.simulate(program, inputs={"o": table_inputs(info, x[:, at])}, tables={"t": info}).output

    names = [f"c{i}" for i in range(6)]
    together, bounds, rounds = curved(names)
    batches = []
    for i, name in ((0, "c0"), (5, "c5")):
        alone, bound, fewest = curved([name])
        batches.append(fewest)
        assert bounds[name] <= bound[name] * 1.01, "the bound of another column"
        wanted = plain_curve(x[:, i]) if plain_curve else (np.log(x[:, i]) if i == 0 else (x[:, i] ** 2 - 1) / 2)
        for got in (together[name], alone[name]):
            assert np.allclose(got, np.nan_to_num(wanted), rtol=2e-4, atol=2e-3)
    # a larger batch may take another circuit, with a few rounds more
    assert rounds <= 1.2 * (sum(batches) if plain_curve is None else max(batches)), "one batch for each exponent"


@pytest.mark.parametrize("gaps", [False, True])
def test_categories_of_all_columns_are_counted_in_one_batch(gaps: bool) -> None:
    codes = RNG.integers(0, 5, (60, 6)) % np.array([2, 3, 5, 5, 4, 3])
    data = codes.astype(float)
    data[(RNG.random(data.shape) < 0.2) & gaps] = np.nan
    bad = (RNG.random(60) < 0.4).astype(float)
    fields = tuple(
        Field(f"c{i}", "category", 1.0, float(k - 1), tuple("abcde"[:k]), gaps)
        for i, k in enumerate((2, 3, 5, 5, 4, 3))
    )  # fmt: skip
    info = TableInfo("t", fields, Field("bad", "binary"), 70)

    def learnt(names: list[str]) -> tuple[dict[str, np.ndarray], dict[str, Any], list[int]]:
        def program(s: pv.Session) -> Any:
            table = s.table("t")
            with s.stage("evidence"):
                woe = WOEEncoder(names).fit(table)
            with s.stage("frequent"):
                filled = SimpleImputer(names, strategy="most_frequent").fit(table)
            opened = {n: s.reveal(woe.woe_[n], to="all", name=n, reason="test") for n in names}
            most = {n: s.reveal(v, to="all", name=n, reason="test") for n, v in filled.statistics_.items()}
            return opened, most, [stage.rounds for stage in s.stages]

        return pv.simulate(program, inputs={"o": table_inputs(info, data, bad)}, tables={"t": info}).output

    names = [f.name for f in fields]
    opened, most, rounds = learnt(names)
    _, _, alone = learnt(["c2"])
    assert all(r <= 1.2 * a for r, a in zip(rounds, alone, strict=True))
    for i, field in enumerate(fields):
        here = ~np.isnan(data[:, i])
        counts = np.array([[np.sum((data[here, i] == k) & (bad[here] == b)) for k in range(len(field.categories))]
                           for b in (0.0, 1.0)])  # fmt: skip
        share = (counts + 0.5) / (counts + 0.5).sum(axis=1, keepdims=True)
        assert np.allclose(opened[field.name], np.log(share[0] / share[1]), atol=2e-3)
        if gaps:
            assert most[field.name] == counts.sum(axis=0).argmax()
    assert bool(most) == gaps


@pytest.mark.parametrize("method", ["yeo-johnson", "box-cox"])
@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_powers(method: Any, power: float) -> None:
    from scipy import stats

    def body(t: Table) -> Table:
        if method == "yeo-johnson":
            t = StandardScaler(["alcohol"]).fit_transform(t)
        return PowerTransformer(["alcohol"], lambdas={"alcohol": power}, method=method).fit_transform(t)

    x = WINE[:, 0] if method == "box-cox" else plain.StandardScaler().fit_transform(WINE[:, :1])[:, 0]
    wanted = (stats.boxcox if method == "box-cox" else stats.yeojohnson)(x, power)
    assert np.allclose(run(body)["alcohol"], wanted, rtol=2e-4, atol=5e-3)


@pytest.mark.parametrize("padded", [False, True])
def test_weight_of_evidence(padded: bool) -> None:
    def body(t: Table) -> dict[str, Any]:
        encoder = WOEEncoder(["shade"])
        out = encoder.fit_transform(t)
        keep = out.valid if out.valid is not None else t.session.constant(np.ones(t.rows, np.int64))
        return {
            "woe": encoder.woe_["shade"], "iv": information_value(t, ["shade"]), "encoded": out["shade"], "keep": keep
        }  # fmt: skip

    got = run(body, padded=padded)
    bad = np.array([LABEL[k == SHADE].sum() for k in range(4)])
    good = np.array([(1 - LABEL[k == SHADE]).sum() for k in range(4)])
    g, b = (good + 0.5) / (good.sum() + 2), (bad + 0.5) / (bad.sum() + 2)
    woe = np.log(g / b)
    assert np.allclose(got["woe"], woe, atol=1e-3)
    assert np.allclose(got["iv"], [((g - b) * woe).sum()], atol=1e-3)
    assert np.allclose(got["encoded"][got["keep"] > 0], woe[SHADE.astype(int)], atol=1e-3)


def test_pipeline_with_a_model_at_the_end() -> None:
    x, y = load_breast_cancer(return_X_y=True)
    x = x[:, :4]
    units = (32.0, 64.0, 256.0, 4096.0)
    info = TableInfo("t", tuple(Field(f"c{i}", "number", u, u) for i, u in enumerate(units)), Field("y", "binary"))

    def program(s: pv.Session) -> Any:
        table = s.table("t")
        model = LogisticRegression(learning_rate=0.5, epochs=4, batch_size=64)
        pipe = Pipeline([("scale", StandardScaler()), ("model", model)]).fit(table)
        assert pipe.get_params()["model__epochs"] == 4 and pipe.clone().get_params()["model__epochs"] == 4
        assert pipe.set_params(model__epochs=5)["model"].epochs == 5
        return s.reveal(pipe.predict_proba(table), to="all", name="p", reason="test")

    p = pv.simulate(program, inputs={"o": table_inputs(info, x, y)}, tables={"t": info}).output
    p = p[:, 1] if p.ndim == 2 else p
    assert ((p > 0.5) == y).mean() > 0.85  # 0.63 of the rows are of one class


def test_an_empty_column_is_found() -> None:
    info = TableInfo("t", (Field("a", missing=True), Field("b", missing=True)))
    data = np.column_stack([np.full(200, np.nan), np.ones(200)])

    def program(s: pv.Session) -> Any:
        filled = SimpleImputer().fit_transform(s.table("t"))
        return s.reveal(filled["b"].sum(), to="all", name="sum", reason="test")

    says = r"test_preprocessing.py:\d+ \(mean: one of the columns a, b has no value in any"
    with pytest.raises(RangeViolated, match=says):
        pv.simulate(program, inputs={"o": table_inputs(info, data)}, tables={"t": info})


def test_a_constant_column_becomes_zero() -> None:
    info = TableInfo("t", (Field("a"), Field("b")))
    data = np.column_stack([np.full(50, 0.7), np.linspace(-1, 1, 50)])

    def program(s: pv.Session) -> Any:
        out = {}
        for kind in (StandardScaler, MinMaxScaler, RobustScaler):
            made = kind().fit_transform(s.table("t"))["a"]
            out[kind.__name__] = s.reveal(made, to="all", name="a", reason="test")
        return out

    for values in pv.simulate(program, inputs={"o": table_inputs(info, data)}, tables={"t": info}).output.values():
        assert np.allclose(values, 0, atol=1e-4)


REFUSED: list[tuple[Callable[[Table], Any], str]] = [
    (lambda t: StandardScaler(["shade"]).fit(t), "'shade' is of kind 'category', but this works on num"),
    (lambda t: StandardScaler(["label"]).fit(t), "'label' is the label"),
    (lambda t: StandardScaler(["nothing"]).fit(t), "no column 'nothing'; its columns: alcohol"),
    (lambda t: StandardScaler().transform(t), "StandardScaler: call fit first"),
    (lambda t: MinMaxScaler(feature_range=(1, 1)).fit(t), "feature_range"),
    (lambda t: RobustScaler(quantile_range=(75, 25)).fit(t), "quantile_range"),
    (lambda t: SimpleImputer(strategy="mode").fit(t), "mean, median, most_frequent, constant"),
    (lambda t: SimpleImputer(strategy="constant").fit(t), "fill_value goes with"),
    (lambda t: SimpleImputer(["shade"], strategy="constant", fill_value="blue").fit(t), "no category 'blue'"),
    (lambda t: SimpleImputer(["alcohol"], strategy="constant", fill_value=99.0).fit(t), "passes the public bound 16"),
    (lambda t: OneHotEncoder(["alcohol"]).fit(t), "KBinsDiscretizer"),
    (lambda t: KBinsDiscretizer(n_bins=1).fit(t), "n_bins of at least 2"),
    (lambda t: Clip(low=2, high=1).fit(t), "low <= high"),
    (lambda t: PowerTransformer(NUMBERS, lambdas={"alcohol": 1.0}).fit(t), "no lambda for magnesium, proline"),
    (lambda t: WOEEncoder(smoothing=0).fit(t), "smoothing above 0"),
    (lambda t: WOEEncoder().fit(t.with_label(None)), "binary label"),
    (lambda t: Pipeline([]).fit(t), "different names"),
    (lambda t: Pipeline([("m", LogisticRegression()), ("s", StandardScaler())]).fit(t), "only the last step"),
    (lambda t: Pipeline([("s", StandardScaler(NUMBERS))]).fit(t).predict(t), "StandardScaler, has no predict"),
]


@pytest.mark.parametrize(("wrong", "told"), REFUSED, ids=lambda v: v[:24] if isinstance(v, str) else "")
def test_refused(wrong: Callable[[Table], Any], told: str) -> None:
    def body(t: Table) -> None:
        with pytest.raises(UsageError, match=told):
            wrong(t)

    run(body, gaps=True)


@pytest.mark.parametrize(("rows", "capacity"), [(1400, None), (5608, 7290)])
def test_a_column_that_varies_little_beside_its_unit_is_scaled_as_precisely(rows: int, capacity: int | None) -> None:
    """pH of blood, 7.4 with a deviation of 0.07 in a unit of 16: a mean off by 1e-6 spoils the variance by 1 %."""
    ph = np.random.default_rng(1).normal(7.4, 0.07, (rows, 1))

    def program(s: pv.Session) -> Any:
        scaler = StandardScaler().fit(s.table("blood"))
        return s.reveal(scaler.inverse_scale_, to="all", name="inverse", reason="test")

    info = TableInfo("blood", (Field("ph", "number", 16.0, 14.0),), capacity=capacity)
    found = pv.simulate(program, inputs={"owner": table_inputs(info, ph)}, tables={"blood": info}).output
    assert 16.0 / found[0] == pytest.approx(ph.std(), rel=1e-3)


@pytest.mark.parametrize("encoder", [OneHotEncoder, WOEEncoder])
@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"cut": "u"}, "is cut into bins where o cut the table 'u', but where o cut the table 't' in the table it was"),
        ({"cut": "", "edges": (2.0,)}, "is cut into bins at the agreed 2, but where o cut the table 't'"),
        ({"categories": ("low", "high")}, "'x' has other categories"),
        ({}, None),
    ],
)
def test_codes_that_stand_for_something_else_are_refused(encoder: Any, other: dict[str, Any], told: str | None) -> None:
    bins = Field("x", "category", categories=("bin 0", "bin 1"), cut="t")
    infos = {n: TableInfo(n, (f,), Field("y", "binary")) for n, f in (("t", bins), ("u", replace(bins, **other)))}
    codes, y = np.arange(20) % 2, np.arange(20) // 3 % 2
    given = {k: v for i in infos.values() for k, v in table_inputs(i, codes[:, None], y).items()}

    def program(s: pv.Session) -> None:
        fitted = encoder().fit(s.table("t"))
        if told is None:
            fitted.transform(s.table("u"))
            return
        with pytest.raises(UsageError, match=told):
            fitted.transform(s.table("u"))

    pv.simulate(program, inputs={"o": given}, tables=infos)
