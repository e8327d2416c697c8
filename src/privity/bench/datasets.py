"""Real rows on which tree models are judged: the data sets of both demos, and scikit-learn's.

In the clear; which rows are left out is fixed. For figures of accuracy and for tests, never for a run with owners.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..data.load import table_info
from ..demo.banks_data import banks_schema, credit_file, prepared_rows, stratified_holdout
from ..demo.hospitals_data import LABEL, prepare_hospitals
from ..demo.hospitals_eval import joined
from ..table import Field, TableInfo, table_inputs

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DataSet:
    """``x`` (n, d) with NaN in empty cells and ``y`` (n,); ``fields``: what a table says of the columns; ``folds``:
    masks (n,) of rows that are left out, one after the other. ``classes``: 0 for numbers.
    """

    name: str
    fields: tuple[Field, ...]
    x: Floats
    y: Floats
    classes: int
    folds: tuple[npt.NDArray[np.bool_], ...]

    def tables(self, test: npt.NDArray[np.bool_]) -> tuple[dict[str, Any], dict[str, TableInfo]]:
        """One owner's inputs for the tables "training" and "test", and what all parties know of these."""
        most = float(np.abs(self.y).max())
        label = Field("target", "integer" if self.classes else "number", 1.0, most)
        if not self.classes:
            label = Field("target", "number", 2.0 ** np.ceil(np.log2(most)), most)
        one, other = TableInfo("training", self.fields, label), TableInfo("test", self.fields)
        inputs = table_inputs(one, self.x[~test], self.y[~test]) | table_inputs(other, self.x[test])
        return inputs, {"training": one, "test": other}

    def some(self, rows: int) -> DataSet:
        """About as many rows, drawn with a fixed seed, the first fold alone."""
        keep = np.sort(np.random.default_rng(0).permutation(len(self.y))[:rows])
        return DataSet(self.name, self.fields, self.x[keep], self.y[keep], self.classes, (self.folds[0][keep],))


def _folds(rows: int, count: int) -> tuple[npt.NDArray[np.bool_], ...]:
    return tuple(np.arange(rows) % count == k for k in range(count))


def credit() -> DataSet:
    """Default of 30,000 credit-card customers; a fifth is left out. Raises ConfigError without the demo's package."""
    schema = banks_schema()
    names = [c.name for c in schema.columns]
    rows = prepared_rows(credit_file())
    logged = [c.transform == "signed_log" for c in schema.features]
    x = rows[:, [names.index(c.name) for c in schema.features]]
    x = np.where(logged, np.sign(x) * np.log1p(np.abs(x)), x)
    y = rows[:, names.index("DEFAULT")]
    return DataSet("credit default", table_info(schema).fields, x, y, 2, (stratified_holdout(y),))


def support2() -> DataSet:
    """Death within 180 days of 5,608 patients that three hospitals share. Raises ConfigError without the package."""
    with tempfile.TemporaryDirectory() as folder:
        files = prepare_hospitals(Path(folder))
        cells = joined(files)
    known = {f.name: f for schema in files.schemas.values() for f in table_info(schema).fields if f.name != LABEL}
    x = np.column_stack(list(cells.columns.values()))
    order = np.random.default_rng(0).permutation(len(x))
    fields = tuple(known[n] for n in cells.columns)
    return DataSet("SUPPORT2", fields, x[order], cells.died[order], 2, _folds(len(x), 2))


def _shipped(name: str, loader: str, classes: int, folds: int) -> DataSet:
    from sklearn import datasets

    x, y = getattr(datasets, loader)(return_X_y=True)
    units = 2.0 ** np.ceil(np.log2(np.maximum(np.abs(x).max(axis=0), 2.0**-20)))
    fields = tuple(Field(f"c{k}", "number", float(u), float(u)) for k, u in enumerate(units))
    return DataSet(name, fields, x, y.astype(np.float64), classes, _folds(len(y), folds))


SETS: Final[Mapping[str, Callable[[], DataSet]]] = {
    "credit": credit,
    "support2": support2,
    "cancer": lambda: _shipped("breast cancer", "load_breast_cancer", 2, 3),
    "wine": lambda: _shipped("wine", "load_wine", 3, 2),
    "digits": lambda: _shipped("digits", "load_digits", 10, 3),
    "diabetes": lambda: _shipped("diabetes", "load_diabetes", 0, 3),
}
"""By a short name."""
