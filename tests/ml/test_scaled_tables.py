"""Transforms fitted on one table and applied to another, with other bounds and other values, beside scikit-learn; and
columns without a scale: the scale is 1 there, in the column's own unit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import preprocessing as plain
from sklearn.impute import SimpleImputer as PlainImputer

import privity as pv
from privity.errors import RangeViolated, UsageError
from privity.ml.preprocessing import KBinsDiscretizer, MinMaxScaler, RobustScaler, SimpleImputer, StandardScaler
from privity.ml.saving import _described, _rebuilt
from privity.table import Field, Table, TableInfo, table_inputs

DRAW = np.random.default_rng(5)
ROWS = 40
NAMES = ("flat", "far", "tiny", "zeros", "whole", "plain")
BOUNDS = (100.0, 1e6, 1e-3, 2e5, 1e9, 64.0)
FITTED = np.column_stack([
    np.full(ROWS, 7.25), np.full(ROWS, 5e5), np.full(ROWS, 4e-4),
    np.where(np.arange(ROWS) % 9 == 0, DRAW.uniform(1e4, 1e5, ROWS), 0.0),  # quartiles are 0
    np.full(ROWS, 123456789.0), DRAW.normal(30, 4, ROWS),
])  # fmt: skip
CONSTANT = np.array([7.25, 5e5, 4e-4, np.nan, 123456789.0, np.nan])
OTHER = np.column_stack([
    DRAW.uniform(0, 50, ROWS), DRAW.uniform(4e5, 9e5, ROWS), DRAW.uniform(0, 1e-3, ROWS),
    np.where(np.arange(ROWS) % 3 == 0, DRAW.uniform(1e4, 1e5, ROWS), 0.0),
    123456789.0 + np.arange(ROWS), DRAW.normal(28, 5, ROWS),
])  # fmt: skip
SCALERS = [
    (StandardScaler(), plain.StandardScaler()),
    (MinMaxScaler(feature_range=(-1, 3)), plain.MinMaxScaler((-1, 3))),
    (RobustScaler(), plain.RobustScaler()),
]
scalers = pytest.mark.parametrize(("ours", "theirs"), SCALERS, ids=lambda v: type(v).__name__)


def unit(bound: float) -> float:
    return float(2.0 ** np.ceil(np.log2(bound)))


def info(name: str, times: float = 1.0, missing: bool = False, only: tuple[int, ...] = tuple(range(6))) -> TableInfo:
    """Columns under their bounds times a number."""
    kinds = {"whole": "integer"}
    fields = [
        Field(NAMES[i], kinds.get(NAMES[i], "number"), unit(bound), bound, missing=missing)  # type: ignore[arg-type]
        for i, bound in ((i, BOUNDS[i] * times) for i in only)
    ]
    return TableInfo(name, tuple(fields))


def opened(s: pv.Session, table: Table) -> list[Any]:
    return [s.reveal(table.column(n).natural, to="all", name=n, reason="test") for n in table.feature_names]


def stated(want: Any, units: Any, scale: Any) -> Any:
    """2^-15 of a result (of 1, if smaller), and a unit in the last place of the values over the scale."""
    return 2.0**-15 * np.maximum(1, np.abs(want)) + units * 2.0**-30 / scale * (1 + np.abs(want)) + 2.0**-17


@scalers
@pytest.mark.parametrize("times", [1.0, 8.0])
@pytest.mark.parametrize("gaps", [False, True])
def test_another_table(ours: Any, theirs: Any, times: float, gaps: bool) -> None:
    first, second = FITTED.copy(), OTHER.copy()
    if isinstance(ours, RobustScaler):  # what has no scale lies within 2^14 there
        second[:, 1] = 5e5 + (second[:, 1] - 5e5) / 40
        first[:, 3], second[:, 3] = first[:, 3] / 10, second[:, 3] / 10
    if gaps:
        first[DRAW.random(first.shape) < 0.1] = np.nan
        second[DRAW.random(second.shape) < 0.3] = np.nan
    t, u = info("t", missing=gaps), info("u", times, gaps)
    inputs = {"o": table_inputs(t, first) | table_inputs(u, second)}

    def program(s: pv.Session) -> Any:
        made = ours.clone().fit(s.table("t"))
        with s.stage("other"):
            other = made.transform(s.table("u"))
        mine = s.table("t")
        again = opened(s, made.transform(mine))
        return opened(s, made.fit(mine).transform(mine)), again, opened(s, other), s.stages[0].rounds

    run = pv.simulate(program, inputs=inputs, tables={"t": t, "u": u}, check_range=not gaps)
    own, again, other, rounds = run.output
    assert rounds <= (60 if isinstance(ours, RobustScaler) else 50)
    want = theirs.fit(first)
    scale = 1 / want.scale_ if isinstance(ours, MinMaxScaler) else want.scale_
    units = np.array([f.unit for f in t.fields]) * times
    for got, rows in ((own, first), (other, second)):
        right = want.transform(rows)
        off = np.abs(np.column_stack(got) - right)
        assert (off <= stated(right, units, scale))[~np.isnan(rows)].all(), off.max(0)
        if gaps:
            assert not np.column_stack(got)[np.isnan(rows)].any()
    ends = -1.0 if isinstance(ours, MinMaxScaler) else 0.0
    for got, rows in ((own, first), (again, first)):
        assert (np.column_stack(got) == ends)[rows == CONSTANT].all(), "exactly, so that models see a constant column"


@pytest.mark.parametrize(("ours", "theirs"), SCALERS[::2], ids=lambda v: type(v).__name__)
@pytest.mark.parametrize("clip", [2.5, 2.0**15])
def test_results_are_cut(ours: Any, theirs: Any, clip: float) -> None:
    t, u = info("t"), info("u")
    inputs = {"o": table_inputs(t, FITTED) | table_inputs(u, OTHER)}

    def program(s: pv.Session) -> Any:
        return opened(s, ours.clone().set_params(clip=clip).fit(s.table("t")).transform(s.table("u")))

    got = np.column_stack(pv.simulate(program, inputs=inputs, tables={"t": t, "u": u}).output)
    want = theirs.fit(FITTED)
    right = np.clip(want.transform(OTHER), -clip, clip)
    assert (np.abs(got - right) <= stated(right, np.array([f.unit for f in t.fields]), want.scale_)).all()
    assert np.abs(got).max() <= clip


@scalers
def test_a_saved_scaler_still_scales(ours: Any, theirs: Any) -> None:
    t, u = info("t", only=(0, 5)), info("u", 4.0, only=(5, 0))
    inputs = {"o": table_inputs(t, FITTED[:, [0, 5]]) | table_inputs(u, OTHER[:, [5, 0]])}

    def program(s: pv.Session) -> Any:
        secrets: list[Any] = []
        node = _described(ours.clone().fit(s.table("t")), secrets)
        back = _rebuilt(s._context, node, iter([x._ring_share() for x in secrets]))
        return opened(s, back.transform(s.table("u").select(["flat", "plain"])))

    got = np.column_stack(pv.simulate(program, inputs=inputs, tables={"t": t, "u": u}).output)
    assert np.allclose(got, theirs.fit(FITTED[:, [0, 5]]).transform(OTHER[:, [0, 5]]), atol=1e-3, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:table 'u', column 'whole'. its bound is")
@pytest.mark.parametrize("strategy", ["mean", "median", "constant"])
def test_what_is_filled_in_is_in_the_other_tables_unit(strategy: Any) -> None:
    first, second = FITTED.copy(), OTHER / 16
    first[::7], second[::5] = np.nan, np.nan
    second[:, 4] = np.rint(second[:, 4])
    fill = 1e-4 if strategy == "constant" else None
    for times in (0.0625, 16.0):
        t, u = info("t", missing=True), info("u", times, missing=True)

        def program(s: pv.Session) -> Any:
            imputer = SimpleImputer(strategy=strategy, fill_value=fill).fit(s.table("t"))
            made = imputer.transform(s.table("u"))
            if fill is None:
                assert all(made.column(n).field.bound >= b * (1 - 1e-6) for n, b in zip(NAMES, BOUNDS, strict=True))
            return opened(s, made)

        inputs = {"o": table_inputs(t, first) | table_inputs(u, second)}
        got = np.column_stack(pv.simulate(program, inputs=inputs, tables={"t": t, "u": u}).output)
        right = PlainImputer(strategy=strategy, fill_value=fill).fit(first).transform(second)
        units, first_units = (np.array([f.unit for f in i.fields]) for i in (u, u if fill else t))
        assert (np.abs(got - right) <= 2.0**-16 * np.abs(right) + 2.0**-29 * np.maximum(units, first_units)).all()


def test_bins_of_another_table() -> None:
    x, z = DRAW.uniform(0, 60, ROWS), np.arange(ROWS) * 1.5
    for times in (0.25, 64.0):
        t, u = info("t", only=(5,)), info("u", times * 4, only=(5,))

        def program(s: pv.Session) -> Any:
            return opened(s, KBinsDiscretizer(n_bins=4).fit(s.table("t")).transform(s.table("u")))

        inputs = {"o": table_inputs(t, x[:, None]) | table_inputs(u, z[:, None])}
        got = pv.simulate(program, inputs=inputs, tables={"t": t, "u": u}).output[0]
        assert np.array_equal(got, np.digitize(z, np.quantile(x, [0.25, 0.5, 0.75])))


def test_what_has_no_room_is_refused_by_name() -> None:
    """A column without a scale under a bound above 2^41, and one of categories where numbers were."""
    moments = np.full((10, 1), 1.7e12)
    t = TableInfo("t", (Field("when", "number", 2.0**53, 2.0**53),))
    u = TableInfo("u", (Field("when", "category", categories=("now", "then")),))
    with pytest.warns(UserWarning, match="its bound is"):
        inputs = {"o": table_inputs(t, moments) | table_inputs(u, np.zeros((10, 1)))}

    def program(s: pv.Session, wrong: bool) -> Any:
        scaler = RobustScaler().fit(s.table("t"))
        if wrong:
            with pytest.raises(UsageError, match="'when' holds categories in the table 'u', but numbers in the one"):
                scaler.transform(s.table("u"))
            return None
        return opened(s, scaler.transform(s.table("t")))

    pv.simulate(lambda s: program(s, True), inputs=inputs, tables={"t": t, "u": u})
    with pytest.raises(RangeViolated, match="RobustScaler: the column when has no scale in the rows that were fitted"):
        pv.simulate(lambda s: program(s, False), inputs=inputs, tables={"t": t, "u": u})


def test_robust_scaler_leaves_models_room_and_refuses_what_is_far_without_a_scale() -> None:
    """A generous bound of a column that might have no scale is not the bound of its results."""
    t = TableInfo("t", (Field("pay", "number", 2.0**24, 1e7),))
    x = np.where(np.arange(40) % 5 == 0, 9e3, 0.0)[:, None]

    def program(s: pv.Session) -> Any:
        made = RobustScaler().fit_transform(s.table("t"))
        assert made.column("pay").values.bound <= 2.0**15
        return opened(s, made)

    got = pv.simulate(program, inputs={"o": table_inputs(t, x)}, tables={"t": t}).output
    assert np.abs(got[0] - x[:, 0]).max() < 0.05
    with pytest.raises(RangeViolated, match="columns without a scale are centred only; of pay, values lie too far off"):
        pv.simulate(program, inputs={"o": table_inputs(t, x * 4)}, tables={"t": t})
