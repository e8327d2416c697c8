"""Names that people bring from NumPy, pandas and scikit-learn and that are not here: what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from .errors import UnknownName

_OPEN = "values are opened by s.reveal(x, to=..., name=..., reason=...), the one door"
_NOTHING_SEEN = (
    "rows are secret and none can be looked at; run the program on made-up data (privity.simulate), or open aggregates "
    'such as table["age"].mean(), one by one'
)
_BY_MASK = 'rows are chosen by a secret mask, table.filter(table["age"] > 50), or by public number, table.take([0, 1])'
_STATS = "privity.stats has it on tables and columns"
_COLUMN_BY_COLUMN = 'it is asked column by column, table["age"].mean() with the function wanted'
_PUBLIC_LIST = (
    "which values occur is secret; categories are those of the schema, and table.group_by(name).agg(n=\"count\") counts"
)


def _table(*groups: tuple[str, str]) -> Mapping[str, str]:
    return MappingProxyType({name: advice for names, advice in groups for name in names.split()})


ARRAY: Mapping[str, str] = _table(
    ("reveal open item tolist to_numpy values to_list tobytes", _OPEN),
    ("dtype", "x.kind ('fixed', 'int' or 'bool') and x.scale say what it is"),
    ("loc iloc at iat head tail flat", "elements are taken by public positions, x[:5], and chosen by a secret mask, "
                                       "privity.where(mask, a, b)"),
    ("sort_values", "write np.sort(x); secret arrays never change in place"),
    ("isnull", "write x.isna()"),
    ("notnull", "write x.notna()"),
    ("between", "write (x >= low) & (x <= high)"),
    ("corr", "write np.corrcoef(x, y), or privity.stats.correlation of columns"),
    ("map apply transform agg aggregate", "Python functions cannot run on secrets element by element; write it with "
                                          "arrays, np.where and NumPy's functions"),
    ("value_counts unique nunique mode", _PUBLIC_LIST + "; privity.unique_count counts different values"),
    ("str dt", "texts and dates are turned into numbers or categories by their owner, before sharing"),
    ("predict fit", "models are in privity.ml"),
    ("describe info", "every figure is an opening of its own: x.mean(), x.std(), np.quantile(x, 0.5)"),
    ("percentile", "write np.percentile(x, q)"),
    ("nbytes itemsize strides data", "secret arrays have shape, size, kind, scale and bound"),
)  # fmt: skip
"""What ndarrays, Series and tensors have and secret arrays do not."""

TABLE: Mapping[str, str] = _table(
    ("head tail sample values to_numpy to_csv to_dict items iterrows itertuples save display style plot hist "
     "to_parquet at iat", _NOTHING_SEEN),
    ("describe info", "every figure it shows is an opening, and openings are listed one by one: open those that you "
                      'need, such as table["age"].mean()'),
    ("loc iloc query where mask", _BY_MASK),
    ("groupby pivot_table pivot crosstab", 'write table.group_by("state").agg(n="count", age=("age", "mean"))'),
    ("shape size", "write (table.rows, len(table.columns)): both are public"),
    ("dtypes", "write {f.name: f.kind for f in table.fields}"),
    ("index", "rows have public numbers from 0 to table.rows - 1"),
    ("assign insert eval", 'write table.with_column("double", table["age"] * 2), which gives a new table'),
    ("rename set_axis reset_index set_index", "names are the schema's; with_column gives a column under another one"),
    ("merge join", "rows with the same keys are found by privity.link(a, b)"),
    ("append", "tables are put below each other by privity.concat([a, b])"),
    ("sort_values sort_index", 'the order of rows is public; np.sort(table["age"]) sorts a column'),
    ("mean sum std var min max median quantile nunique any all abs round isna isnull notna notnull clip",
     _COLUMN_BY_COLUMN),
    ("corr cov", _STATS + ": stats.correlation(table)"),
    ("apply map applymap agg aggregate transform pipe", "Python functions cannot run on secrets; compute with the "
                                                        'columns, table["age"] * 2, and keep them by with_column'),
    ("copy", "tables never change: use it as it is"),
    ("astype", 'a column is converted by table["age"].astype(float)'),
    ("drop_duplicates duplicated", "keys are checked at their owner: duplicates = \"first\" in the schema"),
    ("T", "write table.features.T"),
    ("get_dummies", "write OneHotEncoder().fit_transform(table) of privity.ml.preprocessing"),
    ("x X y target data", "write table.features and table.label"),
)  # fmt: skip
"""What data frames have and tables on shares do not."""

ESTIMATOR: Mapping[str, str] = _table(
    ("classes_", "classes are public: 0 and 1, or 0 to classes - 1"),
    ("n_iter_", "all max_iter steps are taken: how many were needed is secret"),
    ("n_features_in_ feature_names_in_", "the columns that a model learnt from a table are in names_"),
    ("summary", "inference(to=..., name=..., reason=...) opens coefficients with standard errors, and prints them"),
    ("to_sklearn to_onnx to_json to_xgboost_json", "open the model first: privity.ml.open_model or open_trees"),
    ("feature_importances_", "privity.ml.metrics.permutation_importance is secret; opened trees have importance()"),
    ("predict_log_proba", "write np.log(model.predict_proba(x))"),
    ("partial_fit warm_start", "bring all rows at once: owners' tables are put together by the session"),
    ("fit_predict", "write fit(x).predict(x)"),
    ("named_steps", 'write pipeline["name"]'),
    ("scale_ var_", "deviations stay behind unscale(coefficients), which brings coefficients into the table's units"),
    ("save to_pickle dump", "write privity.ml.save(model, session, name)"),
)  # fmt: skip
"""What fitted estimators of other libraries have and ours do not."""

GROUPS: Mapping[str, str] = _table(
    ("mean sum min max count size median std first last apply transform aggregate", "write "
     '.agg(age=("age", "mean"), n="count"): a name of the result = (column, aggregate)'),
)  # fmt: skip
"""What pandas' groups have and ours do not."""

PARAMETERS: Mapping[str, str] = _table(
    ("n_jobs verbose copy copy_X device nthread tree_method warm_start", "leave it out: it changes no result"),
    ("penalty", "C and alpha say how strong the quadratic one is (alpha=0: none); Lasso and ElasticNet have others"),
    ("normalize", "put StandardScaler of privity.ml.preprocessing before it, in a Pipeline"),
    ("handle_unknown sparse sparse_output categories", "categories are those of the schema; other cells are refused at "
                                                       "their owner"),
    ("with_mean with_std", "leave it out: columns are centred and scaled"),
    ("missing_values", "empty cells are those of the schema (missing = true)"),
    ("criterion", "leave it out: classes are split by Gini's impurity, numbers by squared errors"),
    ("early_stopping_rounds eval_metric", "choose n_estimators by privity.ml.selection.GridSearchCV"),
    ("max_leaf_nodes min_samples_split", "trees are complete to max_depth; min_samples_leaf bounds their leaves"),
)  # fmt: skip
"""Parameters of other libraries' estimators that ours do not have."""


def near(name: str, known: Iterable[str]) -> str:
    """The known name that was probably meant, as "; did you mean 'age'?", or nothing."""
    names = list(known)
    lower = {n.lower(): n for n in reversed(names)}
    found = lower.get(name.lower())
    if found is None:
        close = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.65)
        found = lower[close[0]] if close else None
    return "" if found is None or found == name else f"; did you mean {found!r}?"


def unknown(what: str, name: str, known: Iterable[str], advice: Mapping[str, str], else_: str = "") -> UnknownName:
    """The error for an attribute that ``what`` does not have: what to write instead, or the name that is near."""
    told = f"{what} has no attribute {name!r}"
    if name in advice:
        return UnknownName(f"{told}: {advice[name]}")
    meant = "" if name.startswith("__") else near(name, known)
    return UnknownName(told + (meant or (f"; {else_}" if else_ else "")))


def public_names(of: Any) -> list[str]:
    """Names of a class or module that people write."""
    return [n for n in dir(of) if not n.startswith("_")]
