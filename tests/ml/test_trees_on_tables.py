"""Trees on tables of one owner, split by columns, by rows and both, with bins that owners cut or thresholds found on
shares: against XGBoost and scikit-learn on the same bins, on bad input, and what is seen and opened meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from sklearn.tree import DecisionTreeClassifier as PlainTree

import privity as pv
from privity.data.keys import fingerprints
from privity.data.thresholds import bins_of, quantile_edges
from privity.errors import OpeningRefused, RangeViolated, UsageError
from privity.functions.cuts import shares_of_rows
from privity.jobs.view import SIGNIFICANCE, _uniform_p
from privity.ml.saving import load, save
from privity.ml.trees.boosting import GradientBoostingClassifier, GradientBoostingRegressor
from privity.ml.trees.export import OpenedTrees, open_trees
from privity.ml.trees.forest import DecisionTreeClassifier, RandomForestClassifier, RandomForestRegressor
from privity.ml.trees.isolation import IsolationForest
from privity.mpc.plain import InsecurePlain
from privity.openings import Withheld
from privity.table import Field, Table, TableInfo, table_inputs
from privity.testing import ByteView
from privity.types import Opening

N = 300
SMALL: dict[str, Any] = {"n_estimators": 4, "max_depth": 3, "learning_rate": 0.4, "base_score": 0.5}
AGREED = (30.0, 45.0, 60.0)
BOOSTED = GradientBoostingClassifier(max_bins=16, **SMALL)


def named(count: int) -> tuple[str, ...]:
    return tuple(f"bin {k}" for k in range(count))


AGE = Field("age", "category", categories=named(4), edges=AGREED)
INCOME = Field("income", "category", categories=named(8), missing=True, cut="people")
KIND = Field("kind", "category", categories=("a", "b", "c", "d"))
RATE = Field("rate", "number", 4.0, 4.0)
LABEL = Field("y", "binary")


def people(seed: int = 0, rows: int = N) -> tuple[Any, Any, Any]:
    """Values in columns' own units (age, income with gaps, kind, rate), 0/1 labels, weights that let no gains tie."""
    rng = np.random.default_rng(seed)
    age, kind, rate = rng.integers(18, 90, rows), rng.integers(0, 3, rows), rng.uniform(-4, 4, rows).round(3)
    income = rng.lognormal(7, 1, rows).round(2)
    gone = rng.random(rows) < 0.2
    score = age / 20 + np.log(income) * ~gone + 6 * gone + 1.5 * (kind == 1) + rate / 3 + rng.normal(size=rows)
    values = np.column_stack([age, np.where(gone, np.nan, income), kind, rate]).astype(float)
    return values, (score > np.median(score)) * 1.0, np.round(rng.uniform(0.5, 1.5, rows) * 2**12) / 2**12


def edges_of(values: Any) -> dict[str, tuple[float, ...]]:
    """What the owner of ``people`` knows."""
    return {"income": quantile_edges(values[:, 1], 8)}


def codes_of(values: Any, edges: dict[str, tuple[float, ...]] | None = None) -> Any:
    """The same rows with bins in the place of age and income."""
    own = edges_of(values) if edges is None else edges
    return np.column_stack([bins_of(values[:, 0], AGREED), bins_of(values[:, 1], own["income"]), values[:, 2:]])


PEOPLE = TableInfo("people", (AGE, INCOME, KIND), LABEL)


Body = Callable[[pv.Session, Table], Any]


def run(info: TableInfo, body: Body, rows: Any, y: Any, w: Any = None, **more: Any) -> Any:
    """``body`` on the table of one owner; ``w``: weights, a secret input of that name."""
    given = table_inputs(info, rows, y) | ({} if w is None else {"w": pv.Input(w, bound=2.0)})
    return pv.simulate(lambda s: body(s, s.table(info.name)), inputs={"o": given}, tables={info.name: info}, **more)


def margins(model: Any, info: TableInfo, rows: Any, y: Any, w: Any = None) -> Any:
    def body(s: pv.Session, table: Table) -> Any:
        weight = None if w is None else s.secret("w", "o")
        made = model.clone().fit(table, sample_weight=weight).decision_function(table)
        return s.reveal(made, to="all", name="m", reason="test")

    return run(info, body, rows, y, w, check_range=True).output


def plain(rows: Any, y: Any, w: Any = None, **more: Any) -> Any:
    options = {**SMALL, "max_bin": 64, **more}
    return xgboost.XGBClassifier(tree_method="hist", n_jobs=1, **options).fit(rows, y, sample_weight=w)


def agree(got: Any, want: Any, tolerance: float = 4e-3) -> None:
    """Where two splits tie within rounding, a few rows may go elsewhere."""
    assert (np.abs(got - want) <= tolerance).mean() > 0.97, np.abs(got - want).max()


# -- one owner ---------------------------------------------------------------------------------------------------------


def test_boosted_trees_are_xgboosts_on_the_same_bins() -> None:
    values, y, w = people()
    codes = codes_of(values)[:, :3]
    agree(margins(BOOSTED, PEOPLE, codes, y, w), plain(codes, y, w).predict(codes, output_margin=True))


def model_and_edges(s: pv.Session, table: Table, model: Any = BOOSTED) -> Any:
    """Decisions, and the thresholds (thresholds, columns) in columns' own units, which no program would open."""
    made = model.clone().fit(table)
    edges = s.reveal(made.binner_["edges"], to="all", name="edges", reason="test")
    return s.reveal(made.decision_function(table), to="all", name="m", reason="test"), edges * table.units


def test_bins_beside_columns_that_are_cut_on_shares() -> None:
    values, y, _ = people()
    codes = codes_of(values)
    got, edges = run(replace(PEOPLE, fields=(*PEOPLE.fields, RATE)), model_and_edges, codes, y).output
    codes[:, 3] = bins_of(values[:, 3], edges[:, 3] - 1e-8)  # a shared number is rounded
    wanted = np.diff(shares_of_rows(16, len(codes)), prepend=0.0, append=1.0)
    assert np.abs(np.bincount(codes[:, 3].astype(int)) / len(codes) - wanted).max() <= 1.5 / len(codes)
    agree(got, plain(codes, y).predict(codes, output_margin=True))


def test_a_tree_is_scikit_learns_on_the_same_bins() -> None:
    values, y, _ = people(1)
    info = replace(PEOPLE, fields=(AGE, replace(INCOME, missing=False), KIND))
    codes = np.nan_to_num(codes_of(values)[:, :3])

    def body(s: pv.Session, table: Table) -> Any:
        made = DecisionTreeClassifier(max_depth=3, max_bins=16).fit(table)
        return s.reveal(made.predict_proba(table), to="all", name="p", reason="test")

    agree(run(info, body, codes, y).output, PlainTree(max_depth=3, random_state=0).fit(codes, y).predict_proba(codes))


@pytest.mark.parametrize("capacity", [None, N + 40])
def test_padding_and_saved_models(tmp_path: Path, capacity: int | None) -> None:
    values, y, _ = people()
    info, codes = replace(PEOPLE, capacity=capacity), codes_of(values)[:, :3]

    def first(s: pv.Session, table: Table) -> Any:
        model = GradientBoostingClassifier(max_bins=16, **SMALL).fit(table)
        save(model, s, "model")
        return s.reveal(model.decision_function(table), to="all", name="m", reason="test")

    def later(s: pv.Session, table: Table) -> Any:
        return s.reveal(load(s, "model").decision_function(table), to="all", name="m", reason="test")

    one, two = (run(info, body, codes, y, store=tmp_path).output[:N] for body in (first, later))
    assert np.allclose(one, two, atol=1e-3)
    agree(one, plain(codes, y).predict(codes, output_margin=True))


def test_bins_cost_less_than_thresholds_on_shares() -> None:
    values, y, _ = people()
    raw = TableInfo("t", (Field("income", "number", 2.0**20, 2.0**20, missing=True),), LABEL)
    cut = TableInfo("t", (replace(INCOME, categories=named(16)),), LABEL)
    codes = bins_of(values[:, 1], quantile_edges(values[:, 1], 16))

    def body(s: pv.Session, table: Table) -> None:
        GradientBoostingClassifier(n_estimators=1, max_depth=1, max_bins=16).fit(table)

    on_shares, at_owner = (run(i, body, x[:, None], y) for i, x in ((raw, values[:, 1]), (cut, codes)))
    assert max(at_owner.payload_sent.values()) < max(on_shares.payload_sent.values()) / 3
    assert at_owner.rounds < on_shares.rounds - 20


# -- several owners ----------------------------------------------------------------------------------------------------


def two_owners(fields: tuple[Field, ...], rows: Any, y: Any, body: Body) -> Any:
    """One table, a third of its rows with one owner and the others with another."""
    info = TableInfo("people", fields, LABEL)
    parts = {"north": slice(0, N // 3), "south": slice(N // 3, None)}
    given = {owner: table_inputs(info, rows[part], y[part]) for owner, part in parts.items()}
    return pv.simulate(lambda s: body(s, s.table("people")), inputs=given, tables={"people": info}).output


def fitted_margins(s: pv.Session, table: Table) -> Any:
    made = GradientBoostingClassifier(max_bins=16, **SMALL).fit(table).decision_function(table)
    return s.reveal(made, to="all", name="m", reason="test")


def test_split_by_rows_with_agreed_thresholds() -> None:
    values, y, _ = people()
    codes = codes_of(values)[:, [0, 2]]
    got = two_owners((AGE, KIND), codes, y, fitted_margins)
    agree(got, plain(codes, y).predict(codes, output_margin=True))


def test_split_by_rows_with_thresholds_on_shares() -> None:
    """What several owners hold is cut at joint quantiles of all rows, and the model is XGBoost's on these bins."""
    values, y, _ = people()
    raw = (Field("age", "integer", 128.0, 120.0), Field("income", "number", 2.0**20, 2.0**20, missing=True), KIND, RATE)
    got, edges = two_owners(raw, values, y, model_and_edges)
    codes = values.copy()
    for c in (0, 1, 3):
        there = values[~np.isnan(values[:, c]), c]
        below = (there[:, None] < edges[:, c] - 1e-2 * (c == 1)).mean(axis=0)  # 2^-30 of the unit, and cents
        often = np.unique(there, return_counts=True)[1].max() / len(there)
        assert np.abs(below - shares_of_rows(16, len(there))).max() < often + 2 / len(there)
        codes[:, c] = bins_of(values[:, c], edges[:, c] - (5e-3 if c == 1 else 1e-6))
    agree(got, plain(codes, y).predict(codes, output_margin=True))


def test_owners_cannot_each_cut_the_same_column() -> None:
    values, y, _ = people()
    with pytest.raises(UsageError, match=r"north, south each cut income at thresholds of their own.*bins = \[18"):
        two_owners((INCOME,), codes_of(values)[:, [1]], y, fitted_margins)


def other_tables(change: dict[str, Any], owners: tuple[str, str] = ("north", "south")) -> None:
    """Tables of two names below each other; ``change``: what the second one's schema says otherwise of income."""
    values, y, _ = people()
    column = codes_of(values)[:, [1]]
    infos = {n: TableInfo(n, (f,), LABEL) for n, f in (("people", INCOME), ("more", replace(INCOME, **change)))}
    given: dict[str, dict[str, Any]] = {}
    for owner, info in zip(owners, infos.values(), strict=True):
        given.setdefault(owner, {}).update(table_inputs(info, column, y))

    def program(s: pv.Session) -> None:
        both = pv.concat([s.table("people"), s.table("more")])
        assert both.rows == 2 * N and both.column("income").field.categories == INCOME.categories

    pv.simulate(program, inputs=given, tables=infos)


def test_tables_below_each_other_have_the_same_bins() -> None:
    other_tables({}, ("north", "north"))  # bins_of: cut like the other table of the same owner
    one, two = ("north", "north"), ("north", "south")
    for owners, change in ((two, {}), (one, {"cut": "more"}), (two, {"cut": "", "edges": AGREED})):
        with pytest.raises(UsageError, match=r"column 'income' is cut into other bins .*bins = \[18, 25, 40\]"):
            other_tables(change, owners)


def keyed(values: Any, y: Any, north: int) -> tuple[dict[str, TableInfo], dict[str, Any], Any]:
    """Age and label with one owner or (by rows, from number ``north``) two, income with another (by columns), each in
    an order of its own; and which rows both sides have.
    """
    keys = fingerprints([[f"p{i}" for i in range(N)]])
    infos = {n: TableInfo(n, (AGE, KIND), LABEL, keyed=True) for n in ("north", "south")}
    infos["bank"] = TableInfo("bank", (replace(INCOME, cut="bank"), RATE), keyed=True)
    codes, order = codes_of(values), np.random.default_rng(5).permutation(N)[: N - 50]
    given: dict[str, Any] = {"bank": table_inputs(infos["bank"], codes[order][:, [1, 3]], None, keys[order])}
    for name, part in (("north", slice(0, north)), ("south", slice(north, None))):
        given[name] = table_inputs(infos[name], codes[part][:, [0, 2]], y[part], keys[part])
    return infos, given, np.sort(order)


@pytest.mark.parametrize("north", [N, 100], ids=["by columns", "by rows and by columns"])
@pytest.mark.parametrize("capacity", [None, N])
def test_linked_rows(capacity: int | None, north: int) -> None:
    """Rows of one or two owners, linked with another one's columns: trees do not depend on the order."""
    values, y, _ = people()
    infos, given, common = keyed(values, y, north)

    def program(s: pv.Session) -> Any:
        rows = s.table("north") if north == N else pv.concat([s.table("north"), s.table("south")])
        linked = pv.link(rows, s.table("bank"), capacity=capacity).drop(["rate"])
        assert linked.column("income").field.cut_at == "where bank cut the table 'bank'"
        model = GradientBoostingClassifier(max_bins=16, **SMALL).fit(linked)
        return open_trees(model, to="all", name="model", reason="test")

    opened = pv.simulate(program, inputs=given, tables=infos).output
    assert opened.names == ("age", "kind", "income") and opened.binned == ("income",)
    codes = codes_of(values)[common][:, [0, 2, 1]]
    whole = opened.in_values(edges_of(values)).decision_function(values[common][:, [0, 2, 1]])[:, 0]
    agree(whole, plain(codes, y[common]).predict(codes, output_margin=True))


def test_anomalies_among_categories_and_bins() -> None:
    """Codes count as numbers: the same draws on an array of them."""
    values, y, _ = people()
    codes = np.nan_to_num(codes_of(values)[:, :3])
    info = replace(PEOPLE, fields=(AGE, replace(INCOME, missing=False), KIND))

    def body(s: pv.Session, table: Table) -> Any:
        forest = IsolationForest(n_estimators=5, max_samples=32)
        given = (table, s.secret("x", "o"))
        return [s.reveal(forest.clone().fit(x).score_samples(x), to="all", name="m", reason="test") for x in given]

    given = table_inputs(info, codes, y) | {"x": pv.Input(codes, bound=7.0)}
    one, two = pv.simulate(lambda s: body(s, s.table("people")), inputs={"o": given}, tables={"people": info}).output
    assert np.allclose(one, two, atol=1e-3) and np.ptp(one) > 0.1


# -- opened models -----------------------------------------------------------------------------------------------------


def opened_model(model: Any, info: TableInfo = PEOPLE, **more: Any) -> tuple[OpenedTrees, Any]:
    """The model, and its predictions on shares."""
    values, y, _ = people()

    def body(s: pv.Session, table: Table) -> Any:
        made = model.clone().fit(table)
        opened = open_trees(made, to="o", name="model", reason="test", **more)
        if s.me != "o":
            assert isinstance(opened, Withheld)
        chance = made.predict_proba(table)
        return opened, s.reveal(chance if chance.ndim == 1 else chance[:, 1], to="all", name="p", reason="test")

    opened, chances = run(info, body, codes_of(values)[:, : len(info.fields)], y).outputs["o"]
    return opened, chances


FOREST = RandomForestClassifier(n_estimators=3, max_depth=3, max_bins=16)
NARROW = GradientBoostingClassifier(max_bins=4, **SMALL)  # cuts the owner's 8 bins again, on shares


@pytest.mark.parametrize("model", [BOOSTED, FOREST, NARROW], ids=["boosted", "forest", "fewer bins"])
@pytest.mark.parametrize("fields", [PEOPLE.fields, (*PEOPLE.fields, RATE)], ids=["bins", "bins and numbers"])
def test_opened_models_name_their_bins(model: Any, fields: tuple[Field, ...]) -> None:
    """Agreed thresholds are put in, an owner's own are bin numbers until it puts them in itself."""
    values, _, _ = people()
    opened, want = opened_model(model, replace(PEOPLE, fields=fields))
    rows, half = values[:, : len(fields)], values[:, : len(fields)].copy()
    half[:, 1] = codes_of(values)[:, 1]
    assert opened.binned == ("income",)
    whole = opened.in_values(edges_of(values))
    assert whole.binned == ()
    for trees, x in ((opened, half), (whole, rows)):
        assert np.mean(np.abs(trees.predict_proba(x)[:, 1] - want) < 2e-3) > 0.99
        booster = trees.to_xgboost()
        names = list(trees.names)
        got = booster.predict(xgboost.DMatrix(x, feature_names=names))
        assert np.allclose(got, trees.predict_proba(x)[:, 1], atol=1e-4)
        assert booster.attributes() == ({"binned": '["income"]'} if trees.binned else {})
    with pytest.raises(UsageError, match="'age' is no column in bins; columns in bins: income"):
        opened.in_values({"age": AGREED})


def test_onnx_names_the_bins() -> None:
    onnx = pytest.importorskip("onnx")
    opened, _ = opened_model(BOOSTED)
    properties = {p.key: json.loads(p.value) for p in onnx.load_from_string(opened.to_onnx()).metadata_props}
    assert properties == {"columns": ["age", "income", "kind"], "binned": ["income"]}


def test_a_model_without_thresholds_is_one_of_bins() -> None:
    opened, _ = opened_model(BOOSTED, replace(PEOPLE, fields=(*PEOPLE.fields, RATE)), thresholds=False)
    assert opened.binned == opened.names


def test_thresholds_on_shares_are_opened_only_if_listed() -> None:
    values, y, _ = people()
    info = TableInfo("t", (RATE,), LABEL)
    lines = [Opening("model", (2, 1, 1), ("o",)), Opening("model_leaves", (1, 1, 2), ("o",)),
             Opening("model_base", (1,), ("o",))]  # fmt: skip

    def body(s: pv.Session, table: Table, thresholds: bool) -> Any:
        model = GradientBoostingClassifier(n_estimators=1, max_depth=1, max_bins=8).fit(table)
        return open_trees(model, to="o", name="model", reason="test", thresholds=thresholds)

    with pytest.raises(OpeningRefused, match="model_thresholds"):
        run(info, lambda s, t: body(s, t, True), values[:, 3:], y, openings=lines)
    done = run(info, lambda s, t: body(s, t, False), values[:, 3:], y, openings=lines)
    assert {o["name"] for o in done.opened} == {"model", "model_leaves", "model_base"}
    assert (done.outputs["o"].threshold % 1 == 0.5).all() and done.outputs["o"].binned == ("rate",)
    lines.append(Opening("model_thresholds", (1, 1), ("o",)))
    found = run(info, lambda s, t: body(s, t, True), values[:, 3:], y, openings=lines).outputs["o"].threshold[0, 0]
    assert np.abs(np.quantile(values[:, 3], np.arange(1, 8) / 8) - found).min() < 1e-4


# -- what is seen ------------------------------------------------------------------------------------------------------


def test_what_is_seen_does_not_depend_on_the_values_or_the_bins() -> None:
    """The owner's rows differ, and in one run its column is constant, which it alone knows: the same messages in the
    same order, of the same lengths and of uniform bytes; and nothing is opened.
    """
    values, y, _ = people()
    flat = np.column_stack([np.full(N, 50.0), np.full(N, 7.25), np.zeros(N)])
    given = [(codes_of(values)[:, :3], y), (codes_of(flat, {"income": quantile_edges(flat[:, 1], 8)}), np.zeros(N))]

    def look(which: int) -> tuple[dict[str, ByteView], Any]:
        def body(s: pv.Session, table: Table) -> None:
            GradientBoostingClassifier(n_estimators=1, max_depth=2, max_bins=16).fit(table)

        views = {f"compute_{i}": ByteView() for i in range(3)}
        done = run(PEOPLE, body, *given[which], recorders=views, seed=which)
        assert done.opened == []
        return views, (done.rounds, done.payload_sent)

    one, other = look(0), look(1)
    assert one[1] == other[1]
    for party, view in one[0].items():
        kinds = [[(m[0], m[1], m[2], len(m[3])) for m in v.messages] for v in (view, other[0][party])]
        assert kinds[0] == kinds[1]
        assert any(source == "o" for source, *_ in kinds[0])
        for messages in (view.messages, other[0][party].messages):
            pooled: dict[str, Any] = {}
            for _, _, label, data in messages:
                if label not in ("opening", "input digests"):
                    counts = np.bincount(np.frombuffer(data, np.uint8), minlength=256)
                    pooled[label] = pooled.get(label, 0) + counts
            chances = [_uniform_p(c) for c in pooled.values() if c.sum() > 2560]
            assert len(chances) >= 3 and min(chances) * len(chances) > SIGNIFICANCE, sorted(pooled)


# -- values that are rare or missing -----------------------------------------------------------------------------------


def test_a_constant_column_is_never_used() -> None:
    values, y, w = people()
    codes = codes_of(values)[:, :3]
    constant = np.column_stack([codes[:, :1], np.zeros(N), codes[:, 2:]])

    def body(s: pv.Session, table: Table) -> Any:
        model = GradientBoostingClassifier(max_bins=16, **SMALL).fit(table)
        return open_trees(model, to="all", name="model", reason="test")

    opened = run(PEOPLE, body, constant, y).output
    assert not (opened.feature == 1).any()
    agree(margins(BOOSTED, PEOPLE, constant, y, w), plain(constant, y, w).predict(constant, output_margin=True))


def test_more_bins_than_values() -> None:
    values, y, w = people()
    few = np.where(np.isnan(values[:, 1]), np.nan, np.digitize(np.nan_to_num(values[:, 1]), [500.0, 2000.0]) * 2.5)
    edges = quantile_edges(few, 8)
    assert edges == (1.25, 3.75)
    codes = np.column_stack([codes_of(values)[:, 0], bins_of(few, edges), values[:, 2]])
    agree(margins(BOOSTED, PEOPLE, codes, y, w), plain(codes, y, w).predict(codes, output_margin=True))


def test_more_bins_than_the_model_takes() -> None:
    """The model then cuts the owner's bins again, at quantiles on shares."""
    values, y, _ = people()
    codes = codes_of(values)[:, :3]
    got, edges = run(PEOPLE, lambda s, t: model_and_edges(s, t, NARROW), codes, y).output
    codes[:, 1] = bins_of(codes[:, 1], edges[:, 1])
    assert len(np.unique(codes[~np.isnan(codes[:, 1]), 1])) == 4
    agree(got, plain(codes, y).predict(codes, output_margin=True))


def predicted(model: Any, new: TableInfo, values: Any, owner: str = "o") -> Any:
    """Decisions on rows of another table, for a model of ``people``."""
    trained, y, _ = people()

    def program(s: pv.Session) -> Any:
        made = model.clone().fit(s.table("people"))
        asked = made.decision_function(s.table(new.name)) if model is BOOSTED else made.predict_proba(s.table(new.name))
        return s.reveal(asked, to="all", name="m", reason="test")

    given: dict[str, dict[str, Any]] = {"o": table_inputs(PEOPLE, codes_of(trained)[:, :3], y)}
    given.setdefault(owner, {}).update(table_inputs(new, values))
    return pv.simulate(program, inputs=given, tables={"people": PEOPLE, new.name: new}).output


def test_categories_and_values_that_nobody_had_in_training() -> None:
    """Category "d" did not occur in training; values beyond all others fall into the outer bins."""
    trained, y, _ = people()
    new = people(3)[0]
    new[:, 2] = 3
    new[:40, :2] = np.column_stack([np.tile([10.0, 119.0], 20), np.repeat([1e-3, 9e8], 20)])
    edges = edges_of(trained)
    codes, rows = codes_of(trained)[:, :3], codes_of(new, edges)[:, :3]
    assert set(rows[:40, 1]) == {0, 7} and not (trained[:, 2] == 3).any()
    got = predicted(BOOSTED, TableInfo("new", PEOPLE.fields), rows)
    agree(got, plain(codes, y).predict(rows, output_margin=True))


@pytest.mark.parametrize("model", [BOOSTED, FOREST], ids=["boosted", "forest"])
@pytest.mark.parametrize(
    ("income", "owner"),
    [
        (INCOME, "another"), (replace(INCOME, cut="new"), "o"), (replace(INCOME, cut="", edges=(1.0,) * 7), "o"),
        (replace(INCOME, cut=""), "o"), (Field("income", "number", 1024.0, 1024.0, missing=True), "o"),
    ],
    ids=["of another owner", "cut by itself", "agreed", "categories", "not cut"],
)  # fmt: skip
def test_rows_in_other_bins_are_refused(model: Any, income: Field, owner: str) -> None:
    rows = np.array([[1.0, 2.0, 0.0]])
    told = r"column 'income' was cut into bins where o cut the table 'people'.* here; .*bins_of"
    with pytest.raises(UsageError, match=told):
        predicted(model, TableInfo("new", (AGE, income, KIND)), rows, owner)


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        GradientBoostingClassifier(max_depth=0), GradientBoostingClassifier(n_estimators=0),
        GradientBoostingRegressor(max_depth=0), RandomForestClassifier(max_depth=0),
        RandomForestRegressor(n_estimators=0), DecisionTreeClassifier(max_bins=1),
    ],
    ids=str,
)  # fmt: skip
def test_no_depth_no_rounds_no_bins(model: Any) -> None:
    values, y, _ = people(rows=30)
    with pytest.raises(UsageError, match=type(model).__name__ if model.max_bins > 1 else "max_bins"):
        run(PEOPLE, lambda s, t: model.fit(t), codes_of(values)[:, :3], y)


def test_weights_that_are_all_0() -> None:
    values, y, _ = people(rows=60)
    codes = codes_of(values)[:, :3]
    model = GradientBoostingClassifier(max_bins=16, **{**SMALL, "base_score": 0.3})
    with pytest.raises(RangeViolated, match="sample_weight is above 0 in some row that counts"):
        margins(model, PEOPLE, codes, y, np.zeros(60))
    with pytest.raises(RangeViolated):
        run(PEOPLE, lambda s, t: FOREST.clone().fit(t, sample_weight=s.secret("w", "o")), codes, y, np.zeros(60))
    for learner in (BOOSTED, FOREST):
        with pytest.raises(UsageError, match="all weights are 0"):
            run(PEOPLE, lambda s, t, m=learner: m.clone().fit(t, sample_weight=np.zeros(60)), codes, y)


def test_scores_are_scikit_learns() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(80, 2))
    y = x[:, 0] + rng.normal(0, 0.3, 80)
    inputs = {"a": {"x": pv.Input(x, bound=8), "y": pv.Input(y, bound=1000), "c": (y > 0).astype(np.int64)}}
    numbers = [GradientBoostingRegressor(n_estimators=3), RandomForestRegressor(n_estimators=2)]
    classes = [GradientBoostingClassifier(n_estimators=3), DecisionTreeClassifier()]

    def program(s: pv.Session) -> Any:
        x, pairs = s.secret("x", "a"), []
        for name, models in (("y", numbers), ("c", classes)):
            truth = s.secret(name, "a")
            for model in models:
                fitted = model.clone().fit(x, truth)
                parts = fitted.score(x, truth), fitted.predict(x)
                pairs.append([s.reveal(v, to="all", name="value", reason="test") for v in parts])
        return pairs

    for (score, found), truth in zip(pv.simulate(program, inputs=inputs).output, (y, y, y > 0, y > 0), strict=True):
        want = (found == truth).mean() if truth.dtype == bool else 1 - ((found - truth) ** 2).mean() / truth.var()
        assert score == pytest.approx(want, abs=1e-4)


@pytest.mark.parametrize("bound", [2.0**24, 2.0**53])
def test_whole_numbers_of_a_generous_bound(bound: float) -> None:
    """Whether a column's values may be bins of their own is asked of its bound, and nothing of that size is made."""
    ids = np.rint(np.linspace(-bound, bound, 100))
    y = (ids >= 0) * 1.0
    info = TableInfo("t", (Field("id", "integer", bound, bound),), label=LABEL)

    def program(s: pv.Session) -> Any:
        model = DecisionTreeClassifier(max_depth=2, max_bins=16).fit(s.table("t"))
        return s.reveal(model.predict(s.table("t").select(["id"])), to="all", name="p", reason="test")

    got = pv.simulate(
        program, inputs={"o": table_inputs(info, ids[:, None], y)}, tables={"t": info}, protocol=InsecurePlain(),
        parties=1,
    ).output  # fmt: skip
    assert (got == y).mean() >= 0.96  # all but the rows of one bin
