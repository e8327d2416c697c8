"""K-means on shares against scikit-learn from the same start, its secret starts, masks, weights and bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans as Plain
from sklearn.datasets import load_iris, load_wine
from sklearn.preprocessing import StandardScaler

import privity as pv
from privity.errors import RangeViolated, ShapeError, UsageError
from privity.functions.nearest import nearest_few, nearest_one
from privity.ml.kmeans import KMeans
from privity.mpc.plain import InsecurePlain
from privity.table import TableInfo, numbers, table_inputs

DATA = {f.__name__[5:]: StandardScaler().fit_transform(f().data) for f in (load_iris, load_wine)}
IRIS = DATA["iris"]
START = IRIS[[0, 60, 120]]


def fitted(model: KMeans, x: np.ndarray, masks: tuple[str, ...] = (), **more: Any) -> tuple[dict[str, Any], Any]:
    """What a fit learns, opened, and the run. ``masks``: names of inputs that are options of fit."""

    def program(s: pv.Session) -> dict[str, Any]:
        given = s.secret("x", "o")
        made = model.clone().fit(given, **{name: s.secret(name, "o") for name in masks})
        found = {n: getattr(made, n) for n in ("cluster_centers_", "labels_", "inertia_")}
        found |= {"predict": made.predict(given), "transform": made.transform(given), "score": made.score(given)}
        return {n: s.reveal(v, to="all", name=n, reason="test") for n, v in found.items()}

    run = pv.simulate(program, inputs={"o": {"x": pv.Input(x, bound=8.0), **more}}, check_range=True)
    return run.output, run


@pytest.mark.parametrize("name", DATA)
def test_clusters_are_those_of_scikit_learn_from_the_same_start(name: str) -> None:
    x = DATA[name]
    start = x[[0, 60, 120]]
    got, run = fitted(KMeans(3, init=start, max_iter=12), x)
    best = Plain(3, init=start, n_init=1, tol=0, max_iter=12).fit(x)
    assert np.abs(got["cluster_centers_"] - best.cluster_centers_).max() < 3e-5
    assert np.array_equal(got["labels_"], best.labels_) and np.array_equal(got["predict"], best.labels_)
    assert abs(got["inertia_"] / best.inertia_ - 1) < 1e-5 and abs(got["score"] / best.score(x) - 1) < 1e-5
    assert np.abs(got["transform"] - best.transform(x)).max() < 1e-4
    assert {line["name"] for line in run.opened} <= set(got) | {"range guard"}


def test_centres_far_from_0_keep_their_digits() -> None:
    """Means of columns 1,000 deviations from 0, by weights of any kind: within 2^-24 of themselves and 2 units."""
    x = np.rint((IRIS[:, :2] + 1000.0) * 2.0**18) / 2.0**18
    weight = np.rint(np.random.default_rng(1).uniform(0.2, 1.0, len(x)) * 2.0**18) / 2.0**18
    start = x[[0, 60, 120]]

    def program(s: pv.Session) -> Any:
        made = KMeans(3, init=start, max_iter=3).fit(s.secret("x", "o"), sample_weight=s.secret("w", "o"))
        return s.reveal(made.cluster_centers_, to="all", name="centres", reason="test")

    got = pv.simulate(program, inputs={"o": {"x": pv.Input(x, 2048.0), "w": pv.Input(weight, 1.0)}}).output
    best = Plain(3, init=start, n_init=1, tol=0, max_iter=3).fit(x, sample_weight=weight).cluster_centers_
    assert np.abs(got - best).max() < 1000 * 2.0**-20 / 10


@pytest.mark.parametrize("init", ["random", "k-means++"])
@pytest.mark.parametrize("masked", [False, True])
def test_own_starts_end_near_the_best_of_scikit_learn(init: str, masked: bool) -> None:
    """One start in five ends elsewhere, and starts are secret draws: all twelve do once in 10^8 runs."""
    more: dict[str, Any] = {}
    if masked:  # padding of values that would draw centres far away
        more["valid"] = np.r_[np.ones(len(IRIS), int), np.zeros(30, int)]
    x = np.vstack([IRIS, np.full((30, 4), 7.5)]) if masked else IRIS
    got, _ = fitted(KMeans(3, init=init, n_init=12, max_iter=10, random_state=2), x, tuple(more), **more)
    best = Plain(3, n_init=20, random_state=0).fit(IRIS)
    assert got["inertia_"] < best.inertia_ * 1.01
    assert abs(got["inertia_"] - ((IRIS - got["cluster_centers_"][got["labels_"][:150]]) ** 2).sum()) < 1e-2


def test_a_weight_counts_a_row_so_often() -> None:
    weight = np.random.default_rng(1).integers(0, 4, len(IRIS)).astype(float)
    got, _ = fitted(
        KMeans(3, init=START, max_iter=8), IRIS, ("sample_weight",), sample_weight=pv.Input(weight, bound=4.0)
    )
    best = Plain(3, init=START, n_init=1, tol=0, max_iter=8).fit(IRIS, sample_weight=weight)
    assert np.abs(got["cluster_centers_"] - best.cluster_centers_).max() < 3e-5
    assert abs(got["inertia_"] / best.inertia_ - 1) < 1e-3


def test_a_cluster_without_rows_keeps_its_centre_and_constant_columns_do_no_harm() -> None:
    x = np.column_stack([IRIS, np.full(len(IRIS), 2.0)])
    start = np.vstack([x[[0, 60]], np.full((1, 5), -8.0)])
    got, _ = fitted(KMeans(3, init=start, max_iter=4), x)
    assert np.array_equal(got["cluster_centers_"][2], start[2]) and not (got["labels_"] == 2).any()
    assert np.abs(got["cluster_centers_"][:2, 4] - 2.0).max() < 1e-5


def test_a_table_with_padding_gives_what_its_rows_give() -> None:
    info = TableInfo("t", numbers([f"c{i}" for i in range(4)], [8.0] * 4), None, 90)
    parts = {"a": table_inputs(info, IRIS[:80]), "b": table_inputs(info, IRIS[80:])}

    def program(s: pv.Session) -> Any:
        made = KMeans(3, init=START / 8.0, max_iter=6).fit(s.table("t"))
        assert made.names_ == ("c0", "c1", "c2", "c3")
        return s.reveal(made.cluster_centers_, to="all", name="centres", reason="test")

    best = Plain(3, init=START, n_init=1, tol=0, max_iter=6).fit(IRIS)
    got = pv.simulate(program, inputs=parts, tables={"t": info}).output
    assert np.abs(got * 8.0 - best.cluster_centers_).max() < 3e-4


@pytest.mark.parametrize("loose", [1.0, 32.0, 1000.0])
def test_raw_tables_under_loose_bounds(loose: float) -> None:
    x, _ = load_wine(return_X_y=True)
    bounds = [2.0 ** np.ceil(np.log2(c.max() * loose)) for c in np.abs(x).T]
    info = TableInfo("t", numbers([f"c{i}" for i in range(13)], bounds), None, len(x))
    start = x[[0, 70, 170]] / bounds

    def program(s: pv.Session) -> Any:
        made = KMeans(3, init=start, max_iter=8).fit(s.table("t"))
        values = (made.cluster_centers_, made.labels_, made.predict(s.table("t")))
        return [s.reveal(v, to="all", name=str(i), reason="test") for i, v in enumerate(values)]

    best = Plain(3, init=start, n_init=1, tol=0, max_iter=8).fit(x / bounds)
    centres, labels, again = pv.simulate(program, inputs={"a": table_inputs(info, x)}, tables={"t": info}).output
    assert np.abs((centres - best.cluster_centers_) / (x / bounds).std(0)).max() < 1e-3
    assert (labels == best.labels_).all() and (again == best.labels_).all()


def test_bounds_that_leave_no_digits_are_refused_and_equal_rows_are_not() -> None:
    x = np.random.default_rng(2).normal(size=(40, 2))
    info = TableInfo("t", numbers(["a", "b"], [2.0**22] * 2), None, 40)

    def program(s: pv.Session) -> Any:
        made = KMeans(2, init=np.zeros((2, 2)), max_iter=2).fit(s.table("t"))
        return s.reveal(made.labels_, to="all", name="labels", reason="test")

    with pytest.raises(RangeViolated, match="distances have no digits: state smaller bounds"):
        pv.simulate(program, inputs={"a": table_inputs(info, x)}, tables={"t": info})
    same = table_inputs(info, np.full((40, 2), 3.0))
    assert (pv.simulate(program, inputs={"a": same}, tables={"t": info}).output == 0).all()


def test_cost_of_a_step_is_what_the_page_says() -> None:
    x = np.random.default_rng(0).normal(size=(2000, 5))
    start = x[:8]
    spent = [fitted(KMeans(8, init=start, max_iter=steps), x)[1] for steps in (1, 2)]
    rounds = spent[1].rounds - spent[0].rounds
    sent = {p: spent[1].payload_sent[p] - spent[0].payload_sent[p] for p in spent[0].payload_sent}
    assert rounds <= 50 + 9 * 3
    assert sum(sent.values()) / 3 <= 42 * 2000 * 8 + 220 * 8 * 5


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"n_clusters": 0}, UsageError, "n_clusters=0"),
        ({"n_clusters": 11}, ShapeError, "at most as many clusters as rows, 10"),
        ({"max_iter": 0}, UsageError, "max_iter=0"),
        ({"init": "best"}, UsageError, "init"),
        ({"init": np.zeros((2, 3))}, ShapeError, r"\(3, 2\), got \(2, 3\)"),
        ({"init": np.zeros((3, 2)), "n_init": 2}, UsageError, "n_init=1"),
        ({"feature_bound": 0.0}, UsageError, "feature_bound"),
    ],
)
def test_wrong_settings_are_refused(change: dict[str, Any], error: type[Exception], says: str) -> None:
    def program(s: pv.Session) -> None:
        KMeans(**{"n_clusters": 3, **change}).fit(s.constant(np.zeros((10, 2))))

    with pytest.raises(error, match=says):
        pv.simulate(program, protocol=InsecurePlain(), parties=1)


def test_wrong_rows_are_refused() -> None:
    def program(s: pv.Session) -> None:
        x = s.constant(np.zeros((10, 2)))
        for wrong in (x[:, 0], x[:0], x[:, :0]):
            with pytest.raises(ShapeError):
                KMeans(1).fit(wrong)
        with pytest.raises(UsageError, match="weights of at least 0"):
            KMeans(1).fit(x, sample_weight=-np.ones(10))
        with pytest.raises(ShapeError, match="2 columns"):
            KMeans(1, init="random").fit(x).predict(x[:, :1])

    pv.simulate(program, protocol=InsecurePlain(), parties=1)
    with pytest.raises(RangeViolated, match="KMeans: sample_weight is at least 0"):
        fitted(KMeans(2, max_iter=1), IRIS, ("sample_weight",), sample_weight=pv.Input(-np.ones(150), bound=2.0))


@pytest.mark.parametrize("size", [1, 2, 3, 8, 13])
def test_flags_of_the_smallest_and_ties(size: int) -> None:
    x = np.random.default_rng(size).integers(-3, 3, (40, size))

    def program(s: pv.Session) -> Any:
        return [s.reveal(v, to="all", name="v", reason="test") for v in nearest_one(s.secret("x", "o"))]

    flags, values = pv.simulate(program, inputs={"o": {"x": x}}).output
    assert np.array_equal(flags, np.eye(size, dtype=int)[x.argmin(1)]) and np.array_equal(values, x.min(1))


@pytest.mark.parametrize(("n", "count"), [(1, 1), (5, 5), (16, 4), (37, 5), (40, 1), (64, 7)])
def test_the_few_smallest_with_what_stands_beside_them(n: int, count: int) -> None:
    x = np.random.default_rng(n).permuted(np.tile(np.arange(n) - n // 2, (6, 1)), axis=1)

    def program(s: pv.Session) -> Any:
        found = nearest_few(s.secret("x", "o"), count, s.constant(np.arange(n)))
        return [s.reveal(v, to="all", name="v", reason="test") for v in found]

    values, places = pv.simulate(program, inputs={"o": {"x": x}}, check_range=True).output
    assert np.array_equal(values, np.sort(x, 1)[:, :count]) and np.array_equal(places, np.argsort(x, 1)[:, :count])
