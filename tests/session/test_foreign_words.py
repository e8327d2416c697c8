"""What people write from habit, in the words of NumPy, pandas and scikit-learn: the right number, or what to write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import privity as pv
from privity import words
from privity.errors import SecretUseError, ShapeError, UnknownName, UsageError
from privity.ml import GaussianNB, KMeans, LinearRegression, LogisticRegression, RandomForestClassifier
from privity.ml.preprocessing import OneHotEncoder, StandardScaler
from privity.ml.selection import GridSearchCV, KFold, cross_val_score, train_test_split
from privity.table import Field, TableInfo, table_inputs

N = 40
GENERATOR = np.random.default_rng(5)
FRAME = pd.DataFrame({
    "age": GENERATOR.integers(20, 90, N),
    "pulse": np.where(GENERATOR.random(N) < 0.2, np.nan, GENERATOR.normal(90, 15, N)),
    "state": GENERATOR.choice(["walking", "sitting"], N),
    "stay": GENERATOR.gamma(2, 3, N).round(2),
    "died": np.arange(N) % 2,
})  # fmt: skip
WARD = TableInfo(
    "ward",
    (
        Field("age", "integer", 128.0, 120.0),
        Field("pulse", "number", 512.0, 400.0, missing=True),
        Field("state", "category", categories=("walking", "sitting")),
        Field("stay", "number", 64.0, 60.0),
    ),
    label=Field("died", "binary"),
)
X = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.5], [-7.0, 8.0, 9.0], [2.0, 2.0, 2.0]])


def on_table(ask: Callable[[Any], Any]) -> Any:
    inputs = {"north": table_inputs(WARD, FRAME[:25]), "south": table_inputs(WARD, FRAME[25:])}
    return pv.simulate(lambda s: opened(s, ask(s.table("ward"))), inputs=inputs, tables={"ward": WARD}).output


def on_array(ask: Callable[[Any], Any]) -> Any:
    return pv.simulate(
        lambda s: opened(s, ask(s.secret("x", "bank"))), inputs={"bank": {"x": pv.Input(X, 16.0)}}
    ).output


def opened(s: pv.Session, value: Any) -> Any:
    return s.reveal(value, to="all", name="x", reason="a test") if isinstance(value, pv.SecureArray) else value


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda t: t.describe(), "openings are listed one by one"),
        (lambda t: t.head(), "none can be looked at"),
        (lambda t: t.groupby("state"), r"table\.group_by"),
        (lambda t: t.loc[0], r"table\.filter"),
        (lambda t: t.shape, r"table\.rows"),
        (lambda t: t.merge(t), r"privity\.link"),
        (lambda t: t.mean(), "column by column"),
        (lambda t: t.age, r"table\['age'\]"),
        (lambda t: t.colums, "did you mean 'columns'"),
        (lambda t: t["agee"], "did you mean 'age'"),
        (lambda t: t["Age"], "did you mean 'age'"),
        (lambda t: t[0], r"table\.take"),
        (lambda t: t["age":"stay"], "expected the name of a column"),  # type: ignore[misc]
        (lambda t: t[t["age"] > 50], r"table\.filter\(mask\)"),
        (lambda t: t.__setitem__("x", t["age"]), r"with_column\('x', values\)"),
        (lambda t: t.take([N]), f"0 to {N - 1}"),
        (lambda t: t.take(t["age"]), "row numbers are public"),
        (lambda t: t.with_column("x", np.arange(N)), r"session\.constant"),
        (lambda t: np.mean(t), "is no array"),
        (lambda t: pv.concat(t), "a list of tables"),
        (lambda t: t.group_by("state").agg({"age": "mean"}), r'agg\(name=\("column", "mean"\)'),
        (lambda t: t.group_by("state").agg(), "names no aggregate"),
        (lambda t: t.group_by("state").mean(), r"\.agg\("),
        (lambda t: t.group_by("state")["age"], r"\.agg\(result=\('age'"),
        (lambda t: t["state"] == "walking", "hold their numbers, in the order of the schema"),
        (lambda t: t["pulse"].isnull(), r"x\.isna"),
        (lambda t: t["pulse"].value_counts(), "group_by"),
        (lambda t: np.corrcoef(t["pulse"], t["stay"]), "may have empty cells"),
        (lambda t: LogisticRegression().fit(t[["age"]]).ceof_, "did you mean 'coef_'"),
        (lambda t: LogisticRegression().fit(t[["age"]], sample_weight="stay"), r"table\['stay'\]"),
        (lambda t: LogisticRegression().fit(t[["age"]]).predict(FRAME), "open_model"),
        (lambda t: cross_val_score(LogisticRegression(), t[["age"]], scoring="rocauc"), "did you mean 'roc_auc'"),
        (lambda t: cross_val_score(LogisticRegression(), t[["age"]], cv=2.5), "KFold"),
        (lambda t: train_test_split(t), r"table\.split"),
    ],
)  # fmt: skip
def test_words_on_tables_are_answered_with_what_to_write(ask: Callable[[Any], Any], told: str) -> None:
    with pytest.raises(pv.PrivityError, match=told):
        on_table(ask)


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda x: x.sort(), r"np\.sort"),
        (lambda x: x.cumprod(), r"np\.cumsum\(np\.log\(x\)\)"),
        (lambda x: x.argpartition(2), r"np\.argsort"),
        (lambda x: x.tolist(), r"s\.reveal"),
        (lambda x: x.dtype, r"x\.kind"),
        (lambda x: x.iloc, "public positions"),
        (lambda x: x.sumn(), "did you mean 'sum'"),
        (lambda x: max(x[0]), r"np\.max"),
        (lambda x: round(x[0, 0]), r"np\.round"),
        (lambda x: x.max(axis=(0, 1)), "one axis"),
        (lambda x: x.reshape(5, 5), r"12 elements of shape \(4, 3\)"),
        (lambda x: x.reshape(-1, 5), "do not fit"),
        (lambda x: np.where(x > 3, "a", "b"), "expected public numbers"),
        (lambda x: np.concatenate(x, x), "in a list"),
        (lambda x: np.searchsorted(x[0], 3.0), "edges"),
        (lambda x: np.zeros_like(x, int), "dtype"),
        (lambda x: np.full_like(x, 1.0, float), "dtype"),
        (lambda x: np.bincount(x[:, 0].astype(int), X[:, 1]), "weights"),
        (lambda x: np.sum(x, 0, float), "dtype"),
        (lambda x: x.session.constant("a"), "expected public numbers"),
        (lambda x: x.session.revael(x), "did you mean 'reveal'"),
        (lambda x: x.session.reveal(x, to="bnk", name="x", reason="r"), "did you mean 'bank'"),
        (lambda _: pv.exp(X), r"np\.exp\(x\)"),
        (lambda _: pv.sort([1.0, 2.0]), "expected at least one secret array, got list"),
        (lambda _: pv.concatenate(None), "expected at least one secret array, got NoneType"),
        (lambda x: pv.cov(x, x[:, 0], rowvar=True), "as many observations"),
        (lambda x: pv.cov(x[0], None, x[1]), "True or False"),
    ],
)
def test_words_on_arrays_are_answered_with_what_to_write(ask: Callable[[Any], Any], told: str) -> None:
    with pytest.raises(pv.PrivityError, match=told):
        on_array(ask)


def test_words_that_hold_on_tables() -> None:
    assert on_table(lambda t: "age" in t and "agee" not in t and list(t) == list(FRAME.columns))
    assert on_table(lambda t: t.drop("age").columns) == ("pulse", "state", "stay", "died")
    assert on_table(lambda t: t.select("stay").columns) == ("stay", "died")
    assert on_table(lambda t: t.matrix("age").shape) == (N, 1)
    counts = on_table(lambda t: t.group_by(["state"]).agg(n="count")["n"])
    assert counts.tolist() == [int((FRAME["state"] == s).sum()) for s in ("walking", "sitting")]
    high = on_table(lambda t: t["pulse"].clip(min=90).sum())
    assert high == pytest.approx(FRAME["pulse"].clip(lower=90).sum(), abs=1e-3)
    middle = on_table(lambda t: np.nanpercentile(t["pulse"], 50))
    assert middle == pytest.approx(np.nanmedian(FRAME["pulse"]), abs=1e-3)


def test_a_second_array_of_cov_and_corrcoef_is_that_of_numpy() -> None:
    for name in ("cov", "corrcoef"):
        numpy, ours = getattr(np, name), getattr(pv, name)
        for ask in (numpy, ours):
            for second in (lambda x: x[1], lambda _: X[1], lambda x: x[1:3]):
                found = on_array(lambda x, ask=ask, second=second: ask(x[0], second(x)))
                np.testing.assert_allclose(found, numpy(X[0], second(X)), atol=2e-4)
            found = on_array(lambda x, ask=ask: ask(x[:, 0], x[:, 1:], rowvar=False))
            np.testing.assert_allclose(found, numpy(X[:, 0], X[:, 1:], rowvar=False), atol=2e-4)
        np.testing.assert_allclose(on_array(lambda x, numpy=numpy: numpy(X[0], x[1])), numpy(X[0], X[1]), atol=2e-4)
    both = on_table(lambda t: np.corrcoef(t["age"], t["stay"]))
    np.testing.assert_allclose(both, np.corrcoef(FRAME["age"], FRAME["stay"]), atol=1e-4)


def test_arguments_by_place_are_those_of_numpy() -> None:
    np.testing.assert_allclose(on_array(lambda x: np.std(x, 0, None, None, 1)), np.std(X, 0, None, None, 1), atol=1e-4)
    np.testing.assert_allclose(on_array(lambda x: np.mean(x, 1)), X.mean(1), atol=1e-4)
    np.testing.assert_allclose(on_array(lambda x: np.clip(x, 0, None)), X.clip(0), atol=1e-5)
    for ask in (lambda x: x.clip(max=3), lambda x: x.clip(None, 3)):
        np.testing.assert_allclose(on_array(ask), X.clip(max=3), atol=1e-5)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: LogisticRegression(n_jobs=-1), "'n_jobs': leave it out"),  # type: ignore[call-arg]
        (lambda: LogisticRegression(c=1.0), "did you mean 'C'"),  # type: ignore[call-arg]
        (lambda: LogisticRegression(penalty="l1"), "Lasso"),  # type: ignore[call-arg]
        (lambda: LinearRegression(normalize=True), "StandardScaler"),  # type: ignore[call-arg]
        (lambda: StandardScaler(with_mean=False), "its parameters: columns, clip"),  # type: ignore[call-arg]
        (lambda: OneHotEncoder(handle_unknown="ignore"), "those of the schema"),  # type: ignore[call-arg]
        (lambda: KMeans(2, 3), "positional"),  # type: ignore[misc]
        (lambda: LogisticRegression().set_params(c=1.0), "did you mean 'C'"),
        (lambda: LogisticRegression().coef_, "call fit first"),
        (lambda: LogisticRegression().predict_log_proba(X), r"np\.log"),
        (lambda: LogisticRegression().fti, "did you mean 'fit'"),
        (lambda: RandomForestClassifier().fit_predict(X), r"fit\(x\)\.predict"),
        (lambda: LogisticRegression().__sklearn_tags__(), r"privity\.ml\.selection"),
    ],
)
def test_words_on_estimators_are_answered_with_what_to_write(make: Callable[[], Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        make()


def test_scikit_learns_tools_say_where_ours_are() -> None:
    from sklearn.base import clone
    from sklearn.model_selection import cross_val_score as plain

    assert clone(LogisticRegression(C=3.0)).C == 3.0
    with pytest.raises(UsageError, match=r"privity\.ml\.selection"):
        plain(LogisticRegression(), X, [0, 1, 0, 1])


def test_scores_without_a_name_are_the_estimators_own() -> None:
    def program(s: pv.Session) -> Any:
        rows = s.table("ward")[["age", "stay"]]
        folds = KFold(2, random_state=1)
        own = cross_val_score(GaussianNB(2), rows, cv=folds)
        named = cross_val_score(GaussianNB(2), rows, scoring="accuracy", cv=folds)
        return opened(s, own.values), opened(s, named.values)

    inputs = {"north": table_inputs(WARD, FRAME[:25]), "south": table_inputs(WARD, FRAME[25:])}
    own, named = pv.simulate(program, inputs=inputs, tables={"ward": WARD}).output
    np.testing.assert_allclose(own, named, atol=1e-5)
    assert GridSearchCV(GaussianNB(2), {"classes": [2]}).scoring is None


def test_errors_are_those_that_python_and_ours_expect() -> None:
    for error in (UnknownName("x"),):
        assert isinstance(error, AttributeError) and isinstance(error, UsageError)
    assert not hasattr(LogisticRegression(), "coef_")
    with pytest.raises(ShapeError):
        on_array(lambda x: x.reshape(7))
    with pytest.raises(SecretUseError):
        on_table(lambda t: np.asarray(t))


def test_advice_names_nothing_that_is_there() -> None:
    have = {
        "ARRAY": (pv.SecureArray,), "TABLE": (pv.Table,), "ESTIMATOR": (LogisticRegression, StandardScaler),
    }  # fmt: skip
    for table, classes in have.items():
        assert [n for n in getattr(words, table) if any(hasattr(c, n) for c in classes)] == []
    assert words.near("agee", ["age", "sex"]) == "; did you mean 'age'?"
    assert words.near("zzz", ["age", "sex"]) == ""
