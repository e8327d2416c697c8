"""A table's columns as a model learnt them: by name, and in the units of the table that it was fitted on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..array import SecureArray
from ..errors import UsageError
from ..ring import exact
from ..table import SecureColumn, Table
from .estimator import Estimator
from .information import lifted


def as_learnt(model: Estimator, x: Any) -> Any:
    """``x`` as ``model`` wants it, to predict: of a table the columns ``names_``, divided by ``units_``. Local.

    Arrays, and tables where the model was fitted on an array (``units_`` None), come back as they are: there the order
    of the columns counts. Raises UsageError for a column that the table does not have.
    """
    units = getattr(model, "units_", None)
    if not isinstance(x, Table) or units is None:
        return x
    names = tuple(model.names_)[: len(units)]  # type: ignore[attr-defined]
    missing = [n for n in names if n not in x.columns]
    if len(missing) == len(names) and names == tuple(f"x{i}" for i in range(len(names))):
        return x  # trees have units of 1 after an array, too
    if missing:
        raise UsageError(
            f"{type(model).__name__}: the table {x.name!r} has no column {', '.join(missing)}, which the model was "
            f"fitted on; its columns: {', '.join(x.columns)}"
        )
    made = [in_unit(x.column(n), unit) for n, unit in zip(names, units, strict=True)]
    if names == x.feature_names and all(x.column(n) is c for n, c in zip(names, made, strict=True)):
        return x
    return x.replaced(made, label=None)


def units_of(x: Any) -> tuple[float, ...] | None:
    """By which the features of a table were divided; None for an array."""
    return tuple(float(u) for u in x.units) if isinstance(x, Table) else None


def in_unit(column: SecureColumn, unit: float) -> SecureColumn:
    """The same values divided by another power of two: the same ring integers."""
    if column.field.unit == unit:
        return column
    power = exact.log2_floor(column.field.unit) - exact.log2_floor(unit)
    values: SecureArray = lifted(column.values.numeric(), power)
    return SecureColumn(replace(column.field, unit=unit), values, column.missing)
