"""Deviations whatever the bound and the offset: variances, covariances, scalers, components, metrics beside NumPy and
scikit-learn, for scales from 1e-6 to 1e9 and bounds that are loose by up to 10^6."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as plain_metrics
from sklearn import preprocessing as plain
from sklearn.decomposition import PCA as PlainPCA

import privity as pv
from privity import stats
from privity.errors import RangeViolated
from privity.ml import PCA
from privity.ml.metrics import mean_squared_error, r2_score, root_mean_squared_error
from privity.ml.preprocessing import MinMaxScaler, RobustScaler, StandardScaler
from privity.mpc.plain import InsecurePlain
from privity.table import Field, TableInfo, table_inputs

RNG = np.random.default_rng(5)
START = RNG.bit_generator.state
N = 300


@pytest.fixture(autouse=True)
def same_data() -> None:
    """Each test draws the same data, whichever ran before it in its process."""
    RNG.bit_generator.state = START


def run(
    fn: Callable[[Any], Any], inputs: dict[str, Any], tables: dict[str, TableInfo] | None = None, **more: Any
) -> Any:
    """What ``fn`` makes, opened."""

    def program(s: pv.Session) -> Any:
        made = fn(s)
        several = isinstance(made, list)
        return [s.reveal(v, to="all", name="x", reason="test") for v in (made if several else [made])]

    done = pv.simulate(program, inputs={"o": inputs}, tables=tables or {}, minimum_group=1, **more)
    return done.output


def columns(scale: float, offset: float) -> np.ndarray:
    """Normal, skewed, mostly zero, two values: all of this deviation and offset."""
    x = np.column_stack([
        RNG.normal(0, 1, N), RNG.exponential(1, N) - 1, np.where(RNG.random(N) < 0.1, RNG.exponential(3, N), 0.0),
        RNG.permutation(N) % 2 * 2.0 - 1.0,
    ])  # fmt: skip
    return offset + scale * x


CASES = [  # deviation, offset, bound, fractional bits
    (1e-6, 0.0, 1e-3, 40), (1e-3, 0.0, 1.0, 30), (1.0, 0.0, 16.0, 18), (1.0, 0.0, 1e6, 18), (1.0, 1e7, 1e7 + 100, 18),
    (4e3, 3e4, 1e9, 18), (1e3, 0.0, 1e9, 18), (3e7, 2e8, 1e9, 18), (0.1, 50.0, 128.0, 18), (1.0, 0.0, 1e5, 30),
]  # fmt: skip


@pytest.mark.parametrize(("scale", "offset", "bound", "bits"), CASES)
def test_variance_and_deviation_find_their_scale(scale: float, offset: float, bound: float, bits: int) -> None:
    x, unit = columns(scale, offset), 2.0**-bits
    given = {"x": pv.Input(x, bound, bits), "v": pv.Input(RNG.random(N) < 0.7)}
    found: list[int] = []

    def fn(s: Any) -> list[Any]:
        a = s.secret("x", "o")
        made = [a.var(axis=0), a.std(axis=0, ddof=1), a.std()]
        found[:] = [v.scale for v in made]
        return made

    var, std, whole = run(fn, given, check_range=True)
    ulps = [2.0**-v for v in found]
    lost = (unit / 16) ** 2
    assert np.all(np.abs(var - x.var(0)) <= 2.0**-17 * x.var(0) + 2 * ulps[0] + lost + unit * x.std(0) / 8)
    assert np.all(np.abs(std - x.std(0, ddof=1)) <= 2.0**-17 * x.std(0, ddof=1) + 2 * ulps[1] + unit / 4)
    assert abs(whole - x.std()) <= 2.0**-17 * x.std() + 2 * ulps[2] + unit / 4


@pytest.mark.parametrize(("scale", "offset", "bound", "bits"), CASES[::2])
def test_statistics_find_their_scale_with_a_mask(scale: float, offset: float, bound: float, bits: int) -> None:
    x, valid, unit = columns(scale, offset), RNG.random(N) < 0.7, 2.0**-bits
    given = {"x": pv.Input(x, bound, bits), "v": pv.Input(valid)}

    def program(s: pv.Session) -> Any:
        a, v = s.secret("x", "o"), s.secret("v", "o")
        each = (stats.variance, stats.correlation, stats.covariance)[: 3 if bound < 1e9 else 2]
        return [f(a, valid=v).open(to="all", name="x", reason="test") for f in each]

    var, corr, *cov = pv.simulate(program, inputs={"o": given}, minimum_group=1, check_range=True).output
    kept = x[valid]
    sd = kept.std(0, ddof=1)
    assert np.all(np.abs(np.sqrt(var) - sd) <= 2.0**-17 * sd + unit / 4)
    room = 2.0**-16 + unit / sd.min()
    step = 2.0 ** max(2 * np.ceil(np.log2(1.5 * bound)) - 57, -2 * bits)  # of the result beside bound^2
    for c in cov:
        assert np.all(np.abs(c - np.cov(kept.T)) <= room * np.outer(sd, sd) + 2 * step)
    assert np.all(np.abs(corr - np.corrcoef(kept.T)) <= room)


@pytest.mark.parametrize(("scale", "offset", "bound", "bits"), CASES[1::2])
def test_cov_and_corrcoef_find_their_scale(scale: float, offset: float, bound: float, bits: int) -> None:
    x, unit = columns(scale, offset), 2.0**-bits
    found: list[int] = []

    def fn(s: Any) -> list[Any]:
        made = [pv.cov(s.secret("x", "o"), rowvar=False), pv.corrcoef(s.secret("x", "o"), rowvar=False)]
        found[:] = [v.scale for v in made]
        return made

    cov, corr = run(fn, {"x": pv.Input(x, bound, bits)}, protocol=InsecurePlain(), parties=1)
    sd, room = x.std(0, ddof=1), 2.0**-16 + unit / x.std(0).min()
    assert np.all(np.abs(cov - np.cov(x.T)) <= room * np.outer(sd, sd) + 2 * 2.0 ** -found[0])
    assert np.all(np.abs(corr - np.corrcoef(x.T)) <= room)


def test_constant_columns_are_exactly_constant() -> None:
    x = np.column_stack([np.full(N, 1e7 + 0.3), np.full(N, -0.1), np.zeros(N), RNG.normal(0, 1, N)])
    given = {"x": pv.Input(x, 1e8), "v": pv.Input(RNG.random(N) < 0.5)}

    def program(s: pv.Session) -> Any:
        a, v = s.secret("x", "o"), s.secret("v", "o")
        made = [stats.correlation(a, valid=v), stats.correlation(a), stats.variance(a, valid=v)]
        return [m.open(to="all", name="x", reason="test") for m in made]

    masked, whole, variance = pv.simulate(program, inputs={"o": given}, minimum_group=1).output
    for corr in (masked, whole):
        assert np.allclose(corr, np.diag([0, 0, 0, 1.0]), atol=2.0**-16)
    assert np.all(variance[:3] == 0)


# -- scalers ---------------------------------------------------------------------------------------------------------

MANY = [  # values, bound
    (RNG.normal(0, 1, N), 8.0), (RNG.normal(30_000, 4_000, N), 1e7), (RNG.normal(1e7, 1, N), 1e7 + 10),
    (np.where(RNG.random(N) < 0.4, RNG.exponential(2e4, N), 0.0), 1e9), (np.full(N, 3.7), 10.0),
    (RNG.normal(0, 1e-6, N), 1e-3), (RNG.permutation(N) % 2 * 2.0**20, 2.0**20), (RNG.normal(0, 1, N), 1e6),
]  # fmt: skip
X = np.column_stack([x for x, _ in MANY])
UNITS = np.array([2.0 ** np.ceil(np.log2(b)) for _, b in MANY])


def info(name: str, missing: bool = False) -> TableInfo:
    bounds = [bound for _, bound in MANY]
    return TableInfo(
        name,
        tuple(Field(f"c{i}", "number", u, b, missing=missing) for i, (u, b) in enumerate(zip(UNITS, bounds,
        strict=True))),
    )


@pytest.mark.filterwarnings("ignore:table")
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("brought", [True, False])
def test_scalers_do_not_depend_on_bounds(brought: bool, missing: bool) -> None:
    x = np.where(RNG.random(X.shape) < 0.3, np.nan, X) if missing else X
    scalers = [(StandardScaler(), plain.StandardScaler()), (MinMaxScaler(), plain.MinMaxScaler()),
               (RobustScaler(quantile_range=(5, 95)), plain.RobustScaler(quantile_range=(5, 95)))]  # fmt: skip
    t = info("t", missing)

    def fn(s: Any) -> list[Any]:
        table = s.table("t")
        table = table if brought else table.take(slice(None))  # what the owners summed is gone then
        made = [scaler.clone().fit_transform(table) for scaler, _ in scalers]
        assert made[0].block(made[0].columns).bound <= np.sqrt(N) * 1.01
        return [m.block(m.columns) for m in made]

    got = run(fn, table_inputs(t, x), {"t": t}, check_range=True)
    for z, (_, best) in zip(got, scalers, strict=True):
        want = np.nan_to_num(best.fit_transform(x))
        lost = 2.0**-30 * UNITS / np.maximum(getattr(best, "scale_", np.ones(len(UNITS))), 1e-300)
        if isinstance(best, plain.MinMaxScaler):
            lost = 2.0**-30 * UNITS * best.scale_
        # half a unit more as values are shared; of quartiles, two over the scale and two of the scale
        robust = isinstance(best, plain.RobustScaler)
        units = 2.5 + 2 * np.abs(want) if robust else 2 * np.maximum(1, np.abs(want))
        assert np.all(np.abs(z - want) <= 2.0**-15 * np.maximum(1, np.abs(want)) + units * lost)


@pytest.mark.filterwarnings("ignore:table")
def test_other_tables_and_coefficients_in_the_tables_units() -> None:
    usable = [0, 1, 3, 5, 6, 7]  # c2 is a million deviations away in the other table, c4 constant
    t, u = (TableInfo(n, tuple(info(n).fields[i] for i in usable)) for n in "tu")
    other, weights = X * 0.9, np.linspace(-1, 2, len(usable) + 1)

    def fn(s: Any) -> list[Any]:
        given, more = s.table("t"), s.table("u")
        scaler, cut = StandardScaler().fit(given), StandardScaler(clip=1.5).fit(given)
        z, c = scaler.transform(more), cut.transform(more)
        return [z.block(z.columns), c.block(c.columns), scaler.unscale(s.constant(weights))]

    best = plain.StandardScaler().fit(X)
    given = {**table_inputs(t, X[:, usable]), **table_inputs(u, other[:, usable])}
    z, cut, raw = run(fn, given, {"t": t, "u": u}, check_range=True)
    want = best.transform(other)[:, usable]
    units, sd = UNITS[usable], X.std(0)[usable]
    lost = 2.0**-30 * units / sd
    room = (2.0**-15 + lost) * np.maximum(1, np.abs(want))
    assert np.all(np.abs(z - want) <= room)
    assert np.all(np.abs(cut - np.clip(want, -1.5, 1.5)) <= room + 2.0**-15) and np.abs(cut).max() <= 1.5
    slopes = weights[:-1] / sd * units
    assert np.allclose(raw[:-1], slopes, rtol=2.0**-14 + lost.max(), atol=2.0**-17)
    shift = weights[-1] - (slopes * X.mean(0)[usable] / units).sum()
    assert abs(raw[-1] - shift) < (2.0**-14 + lost.max()) * np.abs(slopes * X.mean(0)[usable] / units).sum() + 1e-4


@pytest.mark.filterwarnings("ignore:table")
def test_values_too_far_off_are_refused_by_column_and_clip_takes_them() -> None:
    t, u = (TableInfo(n, (Field("pay", "number", 1024.0, 1000.0),)) for n in "tu")
    x, far = RNG.normal(0, 0.01, (N, 1)), np.full((5, 1), 900.0)
    given = {**table_inputs(t, x), **table_inputs(u, far)}
    for scaler in (StandardScaler(), MinMaxScaler(), RobustScaler()):
        with pytest.raises(RangeViolated, match=f"{type(scaler).__name__}: the column pay has values too many"):
            run(lambda s, m=scaler: m.clone().fit(s.table("t")).transform(s.table("u"))["pay"], given, {"t": t, "u": u})
    for scaler in (StandardScaler(clip=3.0), RobustScaler(clip=3.0)):
        (z,) = run(lambda s, m=scaler: m.clone().fit(s.table("t")).transform(s.table("u"))["pay"], given,
                   {"t": t, "u": u})  # fmt: skip
        assert np.all(np.abs(z - 3.0) < 2.0**-12) and np.all(z <= 3.0)


@pytest.mark.filterwarnings("ignore:table")
def test_columns_without_digits_are_refused_by_name() -> None:
    t = TableInfo("t", (Field("flag", "number", 2.0**30, 2.0**30),))
    for scaler in (StandardScaler(), MinMaxScaler(), RobustScaler()):
        with pytest.raises(RangeViolated, match=f"{type(scaler).__name__}: the column flag.* less than 4 units"):
            run(lambda s, m=scaler: m.clone().fit_transform(s.table("t"))["flag"],
                table_inputs(t, (np.arange(N) % 2.0)[:, None]), {"t": t})  # fmt: skip


@pytest.mark.filterwarnings("ignore:table")
def test_owners_sums_are_exact_for_many_rows_and_cost_nothing_a_row() -> None:
    """70,000 rows: above 2^15 sums are taken in more parts."""
    t = TableInfo("t", (Field("a", "number", 2.0**24, 1e7), Field("b", "number", 2.0**24, 1e7), Field("c")))
    sent = {}
    for rows in (500, 70_000):
        x = np.column_stack([RNG.normal(9e6, 3, rows), RNG.uniform(-1e7, 1e7, rows), RNG.permutation(rows) % 2])

        def program(s: pv.Session) -> Any:
            scaler = StandardScaler().fit(s.table("t"))
            return [s.reveal(v, to="all", name="x", reason="test") for v in (scaler.mean_, scaler.inverse_scale_)]

        inputs = {"o": table_inputs(t, x[: rows // 3]), "p": table_inputs(t, x[rows // 3 :])}
        made = pv.simulate(program, inputs=inputs, tables={"t": t})
        units = np.array([2.0**24, 2.0**24, 1.0])
        assert np.all(np.abs(made.output[0] * units - x.mean(0)) <= units * 2.0**-31)
        shared = np.round(x / units * 2.0**30) * units * 2.0**-30  # a deviation of 3 is 192 steps
        assert np.allclose(made.output[1], units / shared.std(0), rtol=2.0**-14)
        sent[rows] = sum(made.payload_sent.values())
        assert made.rounds < 90
    assert sent[70_000] < 1.3 * sent[500]  # columns cost, rows do not


def test_an_owner_is_told_of_a_bound_far_above_its_values() -> None:
    t = TableInfo("t", (Field("pay", "number", 2.0**24, 1e7), Field("age", "number", 128.0, 120.0)))
    x = np.column_stack([RNG.uniform(0, 900, N), RNG.uniform(20, 90, N)])
    said_so = r"table 't', column 'pay': its bound is 1e\+07, but the largest value"
    with pytest.warns(UserWarning, match=said_so) as told:
        table_inputs(t, x)
    assert len(told) == 1
    said: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table_inputs(t, x, note=said.append)
    assert len(said) == 1 and "'pay'" in said[0]


# -- components and metrics --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scale", "offset", "bound"), [(1e-3, 0.0, 1.0), (1e6, 0.0, 1e8), (1.0, 1e6, 1e7)])
def test_components_do_not_depend_on_units(scale: float, offset: float, bound: float) -> None:
    across = np.linalg.qr(RNG.normal(0, 1, (4, 3)))[0].T
    x = offset + scale * RNG.normal(0, 1, (N, 3)) @ np.diag([3.0, 1.5, 0.5]) @ across
    best = PlainPCA(2, svd_solver="full").fit(x)  # its other solver cancels at offsets

    def fn(s: Any) -> list[Any]:
        a = s.secret("x", "o")
        m = PCA(2).fit(a)
        return [m.components_, m.singular_values_, m.explained_variance_ratio_, m.mean_, m.transform(a)]

    parts, sizes, shares, mean, places = run(fn, {"x": pv.Input(x, bound, 24)}, protocol=InsecurePlain(), parties=1)
    assert np.abs(parts - best.components_).max() < 1e-4
    assert np.allclose(sizes, best.singular_values_, rtol=1e-4) and np.allclose(mean, x.mean(0), atol=2.0**-24)
    assert np.allclose(shares, best.explained_variance_ratio_, atol=2.0**-16)
    assert np.abs(places - best.transform(x)).max() < 3e-4 * np.abs(places).max()


@pytest.mark.parametrize("how", ["", "mask", "weights"])
@pytest.mark.parametrize(("scale", "offset", "bound"), [(300.0, 1e6, 1e9), (0.3, 1e7, 1e7 + 10), (1.0, 0.0, 16.0)])
def test_squared_errors_do_not_depend_on_bounds(scale: float, offset: float, bound: float, how: str) -> None:
    truth = RNG.normal(offset, 2 * scale, N)
    guess, weights, valid = truth + RNG.normal(0, scale, N), RNG.exponential(1, N), RNG.random(N) < 0.6
    given = {"y": pv.Input(truth, bound), "p": pv.Input(guess, bound)}
    given |= {"w": pv.Input(weights, 16.0), "v": pv.Input(valid)}

    def fn(s: Any) -> list[Any]:
        more: dict[str, Any] = {}
        more |= {"valid": s.secret("v", "o")} if how == "mask" else {}
        more |= {"sample_weight": s.secret("w", "o")} if how == "weights" else {}
        pair = s.secret("y", "o"), s.secret("p", "o")
        return [metric(*pair, **more) for metric in (mean_squared_error, root_mean_squared_error, r2_score)]

    mse, rmse, r2 = run(fn, given, check_range=True)
    kept = valid if how == "mask" else np.full(N, True)
    used = (weights if how == "weights" else np.ones(N))[kept]
    want = plain_metrics.mean_squared_error(truth[kept], guess[kept], sample_weight=used)
    step = 2.0 ** (2 * np.log2(2 * bound) - 60)
    assert abs(mse - want) < 1e-4 * want + 2 * step + 2.0**-17
    assert rmse == pytest.approx(np.sqrt(want), rel=1e-4)
    assert r2 == pytest.approx(plain_metrics.r2_score(truth[kept], guess[kept], sample_weight=used), abs=1e-4)


@pytest.mark.parametrize("bound", [1e3, 1e9, 1e12])
def test_covariances_for_every_bound(bound: float) -> None:
    """Opened as deviations and correlations: 2^-16 of the two deviations' product, and a quarter of a unit of x each,
    or a whole one of those that large bounds leave."""
    lost = 2.0**-20 if bound < 1e9 else 2.0**-18 * bound * N * 2.0**-38
    x = RNG.normal(size=(N, 3)) * [1.0, bound / 8, 30.0] + [0.0, 0.0, 500.0]
    x[:, 2] += x[:, 0] * 20
    valid = RNG.random(N) < 0.8
    x = np.rint(x * 2.0**18) / 2.0**18

    def program(s: Any) -> Any:
        a, v = s.secret("x", "o"), s.secret("v", "o")
        made = [stats.covariance(a), stats.covariance(a, valid=v, ddof=0), stats.covariance(np.tile(a[:1], (3, 1)))]
        return [m.open(to="all", name="x", reason="test") for m in made]

    got = pv.simulate(program, inputs={"o": {"x": pv.Input(x, bound), "v": pv.Input(valid)}}, minimum_group=1).output
    for have, rows, ddof in ((got[0], x, 1), (got[1], x[valid], 0)):
        spread = rows.std(0, ddof=ddof)
        off = 2.0**-17 * spread + lost + 2 * 2.0**-18
        stated = np.outer(spread, off) + np.outer(off, spread) + np.outer(off, off)
        assert np.all(np.abs(have - np.cov(rows.T, ddof=ddof)) <= stated)
    assert not np.any(got[2])  # constant columns
