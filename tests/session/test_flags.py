"""Flags: what counts, selects or moves rows is 0 or 1 in each element, whatever an owner put in.

Every public function with an argument for flags is called with arrays that are none, among them such whose mistakes add
up to 0 modulo 2^64. It must name the argument, and open nothing but the outcome of guards before it does.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.syntax import nodes

import privity as pv
from privity import disclosure, stats
from privity.array import SecureArray
from privity.errors import RangeViolated, UsageError
from privity.functions import concatenate, cuts, linkage, one_hot, order, stack
from privity.functions.flags import as_flags, both, moving, neither
from privity.ml import LinearRegression, metrics, selection
from privity.ml.estimator import Estimator
from privity.ml.factorization import MatrixFactorization
from privity.ml.glm import PoissonRegressor
from privity.ml.linear import LogisticRegression
from privity.mpc.permits import Kind, Permit
from privity.mpc.plain import InsecurePlain

N = 8
ADVICE = "0 and 1 only"


def _wrapping() -> list[int]:
    """2 and a number w with 2 (2 - 1) + w (w - 1) = 0 modulo 2^64, which a sum over the elements does not find."""
    root = 1  # of -7 modulo 2^k, for growing k
    for k in range(3, 70):
        if (root * root + 7) % (1 << (k + 1)):
            root += 1 << (k - 1)
    w = (1 + root) // 2 % (1 << 64)
    assert (2 + w * (w - 1)) % (1 << 64) == 0 and w not in (0, 1)
    return [2, w]


WRONG: dict[str, list[int]] = {
    "a weight": [7], "a sign": [-1 % (1 << 64)], "the top bit": [1 << 63, (1 << 63) + 1], "2^32": [1 << 32],
    "mistakes that cancel out": _wrapping(), "an even number": [2, 4],
}  # fmt: skip


def flagged(s: pv.Session, values: Any) -> SecureArray:
    """Integers that an owner says are at most 1, and that may be any 64 bits."""
    exact = np.array(values, dtype=object)  # no floats in between
    ring = np.array([int(v) % (1 << 64) for v in exact.reshape(-1)], np.uint64).reshape(exact.shape)
    return SecureArray(s._context, s._context.protocol.public(ring), 0, 1.0)


def wrong(s: pv.Session, kind: str) -> SecureArray:
    """N integers of which some are no flags."""
    return flagged(s, [*WRONG[kind], 1, 0, 1, 0, 1, 1, 1][:N])


def right(s: pv.Session) -> SecureArray:
    return flagged(s, [1, 0, 1, 0, 1, 1, 0, 1])


def numbers(s: pv.Session) -> SecureArray:
    return s.constant(np.linspace(-1.0, 1.0, N))


def matrix(s: pv.Session) -> SecureArray:
    return s.constant(np.stack([np.linspace(-1.0, 1.0, N), np.cos(np.arange(N))], 1))


def times(s: pv.Session) -> SecureArray:
    return s.constant(np.arange(1, N + 1))


class _Mean(Estimator):
    def predict(self, x: Any) -> Any:
        return x[:, 0]


def _linked(s: pv.Session, **valid: Any) -> Any:
    keys = [flagged(s, np.stack([np.arange(N), np.arange(N) + at], 1))._stated(2.0**48) for at in (0, 1)]
    return linkage.link(keys, [[], []], open_size=lambda n: 5, capacity=4, **valid)


def _keys(s: pv.Session) -> SecureArray:
    return flagged(s, np.stack([np.arange(N), np.arange(N)], 1))._stated(2.0**48)


def _fitted(s: pv.Session) -> Any:
    return LogisticRegression(epochs=1, batch_size=4).fit(matrix(s), numbers(s) > 0)


Call = Callable[[pv.Session, SecureArray], Any]
_SCORES = ("accuracy_score", "precision_score", "recall_score", "f1_score", "confusion_matrix")
_RANKED = ("roc_auc_score", "average_precision_score", "ks_statistic", "log_loss", "brier_score_loss",
           "calibration_curve")  # fmt: skip
_REGRESSION = ("mean_squared_error", "root_mean_squared_error", "mean_absolute_error", "r2_score")


def _metric(name: str, argument: str) -> Call:
    def call(s: pv.Session, v: SecureArray) -> Any:
        guess = {"y_pred": right(s)} if name in _SCORES else {"y_pred": numbers(s)}
        if name in _RANKED:
            guess = {("y_score" if name in _RANKED[:3] else "y_proba"): numbers(s)}
        truth = numbers(s) if name in _REGRESSION else right(s)
        return getattr(metrics, name)(**{"y_true": truth, **guess, argument: v})

    return call


CALLS: dict[tuple[str, str], Call] = {
    **{(n, "valid"): _metric(n, "valid") for n in (*_SCORES, *_RANKED, *_REGRESSION)},
    **{(n, "y_true"): _metric(n, "y_true") for n in (*_SCORES[1:], *_RANKED)},
    **{(n, "y_pred"): _metric(n, "y_pred") for n in _SCORES[1:]},
    ("concordance_index", "valid"): lambda s, v: metrics.concordance_index(times(s), numbers(s), right(s), valid=v),
    ("concordance_index", "event_observed"): lambda s, v: metrics.concordance_index(times(s), numbers(s), v),
    ("permutation_importance", "valid"): lambda s, v: metrics.permutation_importance(
        _Mean(), matrix(s), numbers(s), scoring="r2", n_repeats=1, valid=v
    ),
    ("mean", "valid"): lambda s, v: stats.mean(matrix(s), valid=v),
    ("variance", "valid"): lambda s, v: stats.variance(numbers(s), valid=v),
    ("covariance", "valid"): lambda s, v: stats.covariance(matrix(s), valid=v),
    ("correlation", "valid"): lambda s, v: stats.correlation(matrix(s), valid=v),
    ("variance_inflation", "valid"): lambda s, v: stats.variance_inflation(matrix(s), valid=v),
    ("stats.quantile", "valid"): lambda s, v: stats.quantile(numbers(s), 0.5, valid=v),
    ("cut_points", "valid"): lambda s, v: cuts.cut_points(numbers(s).reshape((-1, 1)), [0.5], v),
    ("quantile", "valid"): lambda s, v: order.quantile(numbers(s), 0.5, valid=v),
    ("crosstab", "valid"): lambda s, v: stats.crosstab(right(s), right(s), rows=2, columns=2, valid=v),
    ("ttest", "group"): lambda s, v: stats.ttest(numbers(s), v),
    ("ttest", "valid"): lambda s, v: stats.ttest(numbers(s), right(s), valid=v),
    ("mannwhitneyu", "group"): lambda s, v: stats.mannwhitneyu(numbers(s), v),
    ("mannwhitneyu", "valid"): lambda s, v: stats.mannwhitneyu(numbers(s), right(s), valid=v),
    ("kaplan_meier", "events"): lambda s, v: stats.kaplan_meier(times(s), v, at=[3.0]),
    ("kaplan_meier", "valid"): lambda s, v: stats.kaplan_meier(times(s), right(s), at=[3.0], valid=v),
    ("logrank", "events"): lambda s, v: stats.logrank(times(s), v, right(s)),
    ("logrank", "group"): lambda s, v: stats.logrank(times(s), right(s), v),
    ("logrank", "valid"): lambda s, v: stats.logrank(times(s), right(s), right(s), valid=v),
    ("opened_where", "keep"): lambda s, v: disclosure.opened_where(
        s._context, numbers(s), v, to="all", name="x", reason="test"
    ),
    ("cross_val_score", "valid"): lambda s, v: selection.cross_val_score(
        LinearRegression(), matrix(s), numbers(s), scoring="r2", cv=2, valid=v
    ),
    ("GridSearchCV.fit", "valid"): lambda s, v: selection.GridSearchCV(
        LinearRegression(), {"fit_intercept": [True]}, scoring="r2", cv=2
    ).fit(matrix(s), numbers(s), valid=v),
    ("MatrixFactorization.fit", "observed"): lambda s, v: MatrixFactorization(1, max_iter=1).fit(
        matrix(s).reshape(4, 4), concatenate([v, right(s)]).reshape(4, 4)
    ),
    ("LogisticRegression.log_likelihood", "valid"): lambda s, v: _fitted(s).log_likelihood(
        matrix(s), right(s), valid=v
    ),
    ("LogisticRegression.fit", "y"): lambda s, v: LogisticRegression(epochs=1, batch_size=4).fit(matrix(s), v),
    ("group_by", "valid"): lambda s, v: pv.functions.group_by(times(s), {"n": ("count", None)}, capacity=N, valid=v),
    ("link", "valid"): lambda s, v: _linked(s, valid=[v, None]),
    ("members", "valid"): lambda s, v: linkage.members([_keys(s), _keys(s)], [None, v]),
    ("first_rows", "valid"): lambda s, v: linkage.first_rows(_keys(s), v),
    ("drop_repeats", "valid"): lambda s, v: linkage.drop_repeats(_keys(s), v),
}
PUBLIC_TOO = {("opened_where", "keep"), ("MatrixFactorization.fit", "observed")}  # joined with a secret above
NAMED = {"link": "row mask", "members": "row mask", "first_rows": "row mask", "drop_repeats": "row mask"}

# Names of arguments that are flags, or labels of which 0/1 is meant, anywhere in the public modules.
FLAGS = {
    "valid", "mask", "where", "keep", "observed", "starts", "events", "event_observed", "group", "y_true", "y_pred",
    "real", "flags", "matched", "selected", "labels",
}  # fmt: skip
# Those that take booleans only, or no flags.
OTHERWISE: dict[tuple[str, str], str] = {
    ("where", "mask"): "booleans only", ("chosen", "mask"): "as where",
    ("normalised", "valid"): "those of rows_of, which are tested",
    **{(n, "valid"): "those of rows_of and row_weights, which are tested" for n in ("guard_weights", "guard_some")},
    ("segmented_sum", "starts"): "booleans only",
    ("Table.filter", "mask"): "booleans, or columns of kind binary, which are tested",
    ("accuracy_score", "y_true"): "classes, compared", ("accuracy_score", "y_pred"): "classes, compared",
    **{(n, a): "numbers" for n in _REGRESSION for a in ("y_true", "y_pred")},
}  # fmt: skip


def public_arguments() -> set[tuple[str, str]]:
    """(function, argument) of all public functions and methods in loaded modules of Privity that people import."""
    found: set[tuple[str, str]] = set()
    layers = ("functions", "stats", "ml", "table", "relations", "disclosure", "array")
    for module in list(sys.modules.values()):
        parts = getattr(module, "__name__", "").split(".")
        if parts[0] != "privity" or len(parts) < 2 or parts[1] not in layers:
            continue
        for name, thing in vars(module).items():
            if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
                continue
            prefix = "stats." if parts[1] == "stats" and name == "quantile" else ""
            if inspect.isfunction(thing):
                found |= {(prefix + name, a) for a in inspect.signature(thing).parameters if a in FLAGS}
            elif inspect.isclass(thing):
                for method, fn in vars(thing).items():
                    if inspect.isfunction(fn) and not method.startswith("_"):
                        found |= {(f"{name}.{method}", a) for a in inspect.signature(fn).parameters if a in FLAGS}
    return found


INSIDE = {  # shared by functions that are listed
    "rows_of", "truth_of", "class_factors", "Classifier", "Regressor", "tree_rows", "points_of", "row_weights",
    "counted_weights",
    "binary", "cells", "curve_of", "ones", "pairs_in_order", "varying", "learn_bins", "guard_low", "with_intercept",
    "as_flags", "class_sums", "Objective", "Logistic", "LogLink", "Softmax", "SquaredError", "centred",
    "counted", "booleans", "normalised", "of_weight", "ColumnUnits",
}  # fmt: skip


def test_every_argument_for_flags_is_called_with_what_is_none() -> None:
    for name in (*pv.__all__, *pv.ml.__all__):
        getattr(pv if name in pv.__all__ else pv.ml, name)
    missing = {
        (name, a) for name, a in public_arguments()
        if (name, a) not in CALLS and (name, a) not in OTHERWISE and name.split(".")[0] not in INSIDE
        and not _estimators(name)
    }  # fmt: skip
    assert not missing, "add these to CALLS (integers are tested), or to OTHERWISE and say why"


def _estimators(name: str) -> bool:
    """Methods of estimators: ``privity.ml.conformance`` calls ``fit`` of each with masks and labels that are none, and
    others read rows by the same ``rows_of``.
    """
    owner = name.split(".")[0]
    kinds = [vars(m).get(owner) for n, m in list(sys.modules.items()) if n.startswith("privity.ml") and m is not None]
    return "." in name and any(inspect.isclass(k) and hasattr(k, "fit") for k in kinds)


class Watch:
    """What is opened in a run, by the kind of the permit."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kinds: list[Kind] = []
        spend, kinds = Permit.spend, self.kinds

        def spy(permit: Permit, *args: Any) -> None:
            kinds.append(permit.kind)
            spend(permit, *args)

        monkeypatch.setattr(Permit, "spend", spy)


@pytest.mark.parametrize("case", list(CALLS), ids=lambda c: f"{c[0]} {c[1]}")
def test_what_is_no_flag_is_found_before_anything_is_opened(
    case: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(monkeypatch)
    for kind in WRONG:
        watch.kinds.clear()

        def program(s: pv.Session, kind: str = kind) -> None:
            CALLS[case](s, wrong(s, kind))
            s.check_guards()

        with pytest.raises(RangeViolated, match=f"{NAMED.get(case[0], case[1])}.* holds {ADVICE}"):
            pv.simulate(program, parties=1, protocol=InsecurePlain(), openings=[])
        assert set(watch.kinds) == {Kind.GUARD}, kind


@pytest.mark.parametrize("case", list(CALLS), ids=lambda c: f"{c[0]} {c[1]}")
def test_what_are_flags_passes(case: tuple[str, str]) -> None:
    """Or the tests above would find nothing but other guards; what is made of few rows does not matter here."""


    def program(s: pv.Session) -> None:
        CALLS[case](s, right(s))
        s.check_guards()

    try:
        pv.simulate(program, parties=1, protocol=InsecurePlain())
    except (RangeViolated, UsageError) as error:
        assert ADVICE not in str(error) and ("|x|" in str(error) or "minimum group" in str(error))


@pytest.mark.parametrize("values", [[0.0, 1.0, 0.5], [1.0, 1.0, 2.0], [1.0, -1.0, 1.0], [0.0, 1.0, 2.0**-18]])
def test_reals_are_flags_if_they_are_exactly_0_or_1(values: list[float]) -> None:
    def program(s: pv.Session, given: Any) -> Any:
        return s.reveal(as_flags(s.constant(np.array(given)), "test: valid"), to="all", name="x", reason="test")

    with pytest.raises(RangeViolated, match=f"test: valid holds {ADVICE}"):
        pv.simulate(lambda s: program(s, values))
    got = pv.simulate(lambda s: program(s, [0.0, 1.0, 1.0])).output
    assert got.dtype == np.int64 and got.tolist() == [0, 1, 1]


@pytest.mark.parametrize("kind", list(WRONG))
def test_integers_are_tested_one_by_one_on_shares(kind: str) -> None:
    """And what is used is 0 or 1 even so: where rows go is then a permutation before the outcome is known."""

    def program(s: pv.Session) -> Any:
        x = wrong(s, kind)
        used = as_flags(x, "test: valid")
        s._context._guards = []  # as if nothing had been found
        return s.reveal(used, to="all", name="x", reason="test")

    got = pv.simulate(program).output
    assert set(got.tolist()) <= {0, 1}
    with pytest.raises(RangeViolated, match=ADVICE):
        pv.simulate(lambda s: (as_flags(wrong(s, kind), "test: valid"), s.check_guards()))


def test_rows_that_do_not_count_may_hold_anything() -> None:
    def program(s: pv.Session, labels: list[int]) -> Any:
        y = flagged(s, labels)
        real = as_flags(s.constant(np.array([1, 1, 0, 0])), "test")
        return s.reveal(as_flags(y, "test: y", among=real), to="all", name="x", reason="test")

    assert pv.simulate(lambda s: program(s, [0, 1, 7, -1])).output[:2].tolist() == [0, 1]
    with pytest.raises(RangeViolated, match="test: y"):
        pv.simulate(lambda s: program(s, [0, 7, 1, -1]))


def test_what_is_no_secret_array_is_refused() -> None:
    for given in (np.array([1, 0]), [True, False], 1, None):
        with pytest.raises(UsageError, match=r"test: valid: expected secret booleans or secret 0/1 .*\.constant"):
            as_flags(given, "test: valid")


@pytest.mark.parametrize("case", [c for c in CALLS if c not in PUBLIC_TOO], ids=lambda c: f"{c[0]} {c[1]}")
def test_public_arrays_are_refused_by_name(case: tuple[str, str]) -> None:
    for given in (np.array([1, 0, 1, 0, 1, 1, 0, 1]), [1, 0, 1, 0, 1, 1, 0, 1]):
        with pytest.raises(UsageError, match=r": expected secret|row mask|: expected a secret"):
            pv.simulate(lambda s, given=given: CALLS[case](s, given), parties=1, protocol=InsecurePlain())


# -- the mark --------------------------------------------------------------------------------------------------------


def spent(act: Callable[[pv.Session], Any]) -> int:
    """Rounds of a function, without its inputs."""
    found: list[int] = []

    def program(s: pv.Session) -> None:
        party = s._context.protocol.party
        if party is not None:
            prepared = act(s)
            before = party.rounds
            prepared()
            found.append(party.rounds - before)
        else:
            act(s)()

    pv.simulate(program)
    return max(found)


def test_flags_are_tested_once_and_what_is_made_of_them_never() -> None:
    def tested_twice(s: pv.Session) -> Any:
        x = right(s)
        as_flags(x, "first")
        return lambda: as_flags(x, "second")

    def made(s: pv.Session) -> Any:
        a, b = (numbers(s) > 0).numeric(), (numbers(s) < 0.5).numeric()
        a, b = as_flags(right(s), "a"), b
        joined = concatenate([both(a, b), neither(a)])
        parts = [joined, stack([a, b])[0], a.reshape(2, 4).T[1], 1 - (numbers(s) > 0), a * np.array([0, 1] * 4), b[::2],
                 one_hot(times(s), 3), s.constant(np.array([0, 1])), a * (numbers(s) > 0)]  # fmt: skip
        return lambda: [as_flags(p, "made") for p in parts]

    def sorted_flags(s: pv.Session) -> Any:
        a = as_flags(right(s), "a")
        moved = [*order.sort_by(numbers(s), [a]), *pv.functions.shuffle(a)]
        return lambda: [as_flags(m, "moved") for m in moved]

    assert [spent(act) for act in (tested_twice, made, sorted_flags)] == [0, 0, 0]

    def new(s: pv.Session) -> Any:
        x = right(s)
        return lambda: as_flags(x, "new")

    assert 0 < spent(new) <= 11


def test_booleans_are_joined_as_bits_without_a_message() -> None:
    a, b = np.arange(210).reshape(3, 70) % 3 == 0, np.arange(15).reshape(3, 5) % 2 == 0

    def program(s: pv.Session) -> list[Any]:
        x, y = s.secret("a", "o"), s.secret("b", "o")
        made = [concatenate([x, y], 1), concatenate([x[:, :5], y, y]), stack([x, ~x], 1)]
        assert {m.kind for m in made} == {"bool"}
        return [s.reveal(m, to="all", name=f"m{i}", reason="test") for i, m in enumerate(made)]

    got = pv.simulate(program, inputs={"o": {"a": a, "b": b}}).output
    want = [np.concatenate([a, b], 1), np.concatenate([a[:, :5], b, b]), np.stack([a, ~a], 1)]
    assert all(np.array_equal(g, w) for g, w in zip(got, want, strict=True))

    def joined(s: pv.Session) -> Any:
        x, y = numbers(s) > 0, numbers(s) < 0
        return lambda: concatenate([x, y])

    assert spent(joined) == 0


@pytest.mark.parametrize("act", [
    lambda a: a + 1, lambda a: a - a, lambda a: -a, lambda a: 2 - a, lambda a: a * 2, lambda a: a.sum(axis=0),
    lambda a: a.cumsum(), lambda a: a * np.array([1, 2] * 4), lambda a: concatenate([a, a + a]), lambda a: a * 0.5,
    lambda a: a.rescaled(3), lambda a: a @ a, lambda a: 1.0 - a * 0.5, lambda a: a * (a + a),
])  # fmt: skip
def test_other_arithmetic_loses_the_mark(act: Any) -> None:
    def program(s: pv.Session) -> None:
        a = as_flags(right(s), "a")
        assert a._flags and not act(a)._flags
        with pytest.raises(UsageError, match="can move no rows"):
            moving(act(a))

    pv.simulate(program, parties=1, protocol=InsecurePlain())


@pytest.mark.parametrize("rows", [[0, 1, 1], [0, 1, 2 + (1 << 40)], [0, 1, (1 << 63) + 2], [0, 1, -1]])
def test_stated_row_numbers_are_tested_on_all_64_bits(rows: list[int]) -> None:
    def program(s: pv.Session, given: list[int]) -> Any:
        made = pv.Permutation.stated(flagged(s, given)._stated(2.0))
        return s.reveal(made.rows, to="all", name="x", reason="test")

    assert pv.simulate(lambda s: program(s, [2, 0, 1])).output.tolist() == [2, 0, 1]
    with pytest.raises(RangeViolated, match="each of the row numbers 0 to 2 once"):
        pv.simulate(lambda s: program(s, rows))


def test_pending_guards_are_checked_before_rows_move() -> None:
    def program(s: pv.Session) -> None:
        numbers(s).assume_bound(0.5)
        moving(as_flags(right(s), "test"))

    with pytest.raises(RangeViolated, match=r"\|x\| <= 0\.5"):
        pv.simulate(program)


# Who vouches that a share holds flags or places, and how often: a new one is reviewed here. What makes them of bits or
# sorts them is in mpc; all others say beside the line why it holds for any ring value.
VOUCHED = {
    "Flags": {
        "mpc/shares.py": 1, "mpc/tables.py": 4, "mpc/linkage.py": 5, "functions/flags.py": 1, "functions/order.py": 1,
        "functions/groups.py": 1,
    },
    "Places": {
        "mpc/orders.py": 1, "mpc/radix.py": 1, "mpc/sort.py": 1, "mpc/tables.py": 1, "mpc/linkage.py": 1,
        "functions/order.py": 2, "functions/cuts.py": 1, "functions/linkage.py": 1, "functions/tables.py": 2,
        "stats/survival.py": 1, "ml/metrics/survival.py": 1,
    },
}  # fmt: skip
MARKED = {
    "array.py": 1, "functions/flags.py": 1, "functions/linkage.py": 3, "functions/tables.py": 1,
    "functions/groups.py": 1, "functions/nullable.py": 1, "relations.py": 1,
    "ml/preprocessing/transform.py": 1, "ml/metrics/ranking.py": 1,
}  # fmt: skip


def test_who_vouches_for_flags_and_places() -> None:
    root = Path(pv.__file__).parent
    calls: dict[str, dict[str, int]] = {"Flags": {}, "Places": {}}
    marks: dict[str, int] = {}
    for file in sorted(root.rglob("*.py")):
        name = file.relative_to(root).as_posix()
        for node in nodes(file):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id in calls:
                calls[node.func.id][name] = calls[node.func.id].get(name, 0) + 1
            sure = [k for k in node.keywords if k.arg == "flags" and getattr(k.value, "value", None) is True]
            if node.func.id == "SecureArray" and sure:
                marks[name] = marks.get(name, 0) + 1
    assert calls == VOUCHED
    assert marks == MARKED


# -- what a table says of its rows -----------------------------------------------------------------------------------


def test_a_lying_owner_of_a_table_has_no_more_than_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever 64 bits it shares as its mask, gaps and binary label: they are booleans, and a gap is in a real row."""
    from privity.context import Context
    from privity.table import Field, TableInfo, table_inputs

    info = TableInfo("t", (Field("x", missing=True),), Field("y", "binary"), capacity=6)
    inputs = table_inputs(info, np.array([[0.5], [np.nan], [0.25], [0.75]]), np.array([0.0, 1.0, 1.0, 0.0]))
    lies = np.array([7, 1 << 63, (1 << 64) - 1, 3, 2, 5], np.uint64)
    encode = Context._encode_own

    def lying(self: Context, name: str, known: Any) -> Any:
        ring = encode(self, name, known)
        return lies.reshape(known.shape) if known.boolean else ring

    monkeypatch.setattr(Context, "_encode_own", lying)

    def program(s: pv.Session) -> dict[str, Any]:
        table = s.table("t")
        missing = table.column("x").missing
        assert table.valid._flags and missing._flags and table.label._flags
        parts = {"valid": table.valid, "missing": missing, "label": table.label, "count": table.count}
        return {n: s.reveal(v, to="all", name=n, reason="test") for n, v in parts.items()}

    got = pv.simulate(program, inputs={"o": inputs}, tables={"t": info}, minimum_group=1).output
    want = (lies & np.uint64(1)).astype(np.int64)
    assert got["valid"].tolist() == got["label"].tolist() == want.tolist() and got["count"] == want.sum()
    assert got["missing"].tolist() == want.tolist()


def test_a_weight_is_one_row_for_the_minimum_group() -> None:
    """Weights as a mask are refused; as weights they do not make a group larger."""

    def program(s: pv.Session, mask: list[int]) -> Any:
        return stats.mean(numbers(s), valid=s.constant(np.array(mask))).open(to="all", name="mean", reason="test")

    for mask in ([12, 0, 0, 0, 0, 0, 0, 0], [3, 3, 0, 4, 0, 0, 0, 0]):
        with pytest.raises(RangeViolated, match=f"mean: valid holds {ADVICE}"):
            pv.simulate(lambda s, mask=mask: program(s, mask), minimum_group=10)
    assert np.isnan(pv.simulate(lambda s: program(s, [1] * 4 + [0] * 4), minimum_group=5).output)
    assert np.isfinite(pv.simulate(lambda s: program(s, [1] * 5 + [0] * 3), minimum_group=5).output)


def test_minus_one_is_no_label() -> None:
    """Which is what an owner that states the bound 1 may bring; the error says what to pass."""

    def program(s: pv.Session) -> Any:
        y, p = s.secret("y", "o"), s.secret("p", "o")
        return s.reveal(metrics.roc_auc_score(y, p), to="all", name="auc", reason="test")

    y = np.where(np.arange(N) % 3 == 0, 1, -1)
    given = {"y": pv.Input(y, bound=1.0), "p": pv.Input(np.linspace(0, 1, N), bound=1.0)}
    with pytest.raises(RangeViolated, match=r"roc_auc_score: y_true holds 0 and 1 only; .* pass y_true == L, where"):
        pv.simulate(program, inputs={"o": given})


def test_minus_one_is_no_mask() -> None:
    with pytest.raises(RangeViolated, match="PoissonRegressor: valid"):
        pv.simulate(lambda s: PoissonRegressor().fit(matrix(s), right(s), valid=flagged(s, [1, -1] * 4)))


class _One(int):
    """A number that says it equals everything."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


def test_a_number_that_says_it_is_one_keeps_no_mark() -> None:
    def program(s: pv.Session) -> None:
        flags = s.secret("x", "bank") > 0
        assert (1 - flags)._flags and (np.int64(1) - flags)._flags
        assert not (_One(12) - flags)._flags
        stats.mean(s.constant(np.linspace(-1.0, 1.0, N)), valid=_One(12) - flags)
        s.check_guards()

    with pytest.raises(RangeViolated, match=ADVICE):
        pv.simulate(program, inputs={"bank": {"x": pv.Input(np.arange(N), bound=8.0)}})
