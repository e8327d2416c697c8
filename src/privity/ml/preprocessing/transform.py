"""What all transforms share: they learn from a table and make another one, columns by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from ...array import SecureArray
from ...errors import UsageError
from ...functions import stack
from ...functions.spread import Spread, centred, from_sums, spread_of
from ...given import one_column
from ...mpc import spread
from ...table import FEATURE_BITS, Field, SecureColumn, Table
from ..columns import in_unit
from ..estimator import Estimator

Same = TypeVar("Same", bound="Transform")

class Transform(Estimator, ABC):
    """``fit`` learns from a table, ``transform`` makes another table of the same rows.

    ``columns``: names of the columns to transform, None for all that suit; the others pass through unchanged. The label
    is never transformed. What is learnt stays secret.
    """

    columns: Sequence[str] | None

    @abstractmethod
    def fit(self: Same, table: Table) -> Same:
        """Learn from the real rows of ``table``. Raises UsageError for columns that do not suit."""

    @abstractmethod
    def transform(self, table: Table) -> Table:
        """The same rows, transformed. Raises UsageError before ``fit`` and for a table without the columns."""

    def fit_transform(self, table: Table, y: Any = None) -> Table:
        """``fit`` and ``transform`` on the same table. ``y`` is left aside, here and in ``fit``, as in scikit-learn."""
        return self.fit(table).transform(table)

    def get_feature_names_out(self, input_features: Any = None) -> tuple[str, ...]:
        """Names of all features after ``transform``. Raises UsageError before ``fit``."""
        self.fitted("feature_names_out_")
        names: tuple[str, ...] = self.feature_names_out_  # type: ignore[attr-defined]
        return names


def chosen(transform: Transform, table: Table, suits: Callable[[Field], bool], what: str) -> tuple[str, ...]:
    """The columns to transform. ``what``: which columns suit, for the error about one that does not."""
    name = type(transform).__name__
    if not isinstance(table, Table):
        raise UsageError(
            f"{name}: expected a table (session.table), got {type(table).__name__}; a Pipeline makes one of an array"
        )
    _check_columns(transform, name, table)
    if transform.columns is None:
        return tuple(f.name for f in table.fields if suits(f))
    for column in transform.columns:
        if column == table.label_name:
            raise UsageError(f"{name}: {column!r} is the label, which is not transformed; use .with_label(None) first")
        field = table.column(column).field
        if not suits(field):
            raise UsageError(f"{name}: {column!r} is of kind {field.kind!r}, but this works on {what}")
    return tuple(transform.columns)


def units_of_columns(table: Table, names: Sequence[str]) -> tuple[float, ...]:
    """By which the columns of a table were divided: what a transform learns in units is learnt in these."""
    return tuple(float(table.column(n).field.unit) for n in names)


def as_fitted(transform: Transform, table: Table) -> Table:
    """The table with the transform's ``columns_`` in the units (``units_``) of the one that it was fitted on: the same
    ring integers. Local. Raises UsageError for a column of categories."""
    made: dict[str, list[SecureColumn]] = {}
    for name, unit in zip(transform.columns_, transform.units_, strict=True):  # type: ignore[attr-defined]
        column = table.column(name)
        if column.field.coded:
            what = f"{type(transform).__name__}: {name!r} holds categories in the table {table.name!r}"
            raise UsageError(f"{what}, but numbers in the one that it was fitted on")
        if column.field.unit != unit:
            made[name] = [in_unit(column, unit)]
    return swapped(table, made, clean=True) if made else table


def _check_columns(transform: Transform, name: str, table: Table) -> None:
    """Raise UsageError unless ``columns`` are names: scikit-learn's first argument is another one in some of these."""
    columns = transform.columns
    names = isinstance(columns, Sequence) and not isinstance(columns, str)
    if columns is None or (names and all(isinstance(c, str) for c in columns)):
        return
    word = _FIRST.get(name)
    instead = f"columns=[{columns!r}]" if isinstance(columns, str) and columns in table.columns else "columns=None"
    if word is not None and not (isinstance(columns, str) and columns in table.columns):
        instead = f"{name}({word}={columns!r}); all but the columns go by name here"
    expected = "expected columns as a list of names, or None for all that suit"
    raise UsageError(f"{name}: {expected}, got {columns!r}; write {instead}")


_FIRST = {"KBinsDiscretizer": "n_bins", "MinMaxScaler": "feature_range", "PowerTransformer": "method"}
"""Transforms whose first argument in scikit-learn is not the columns."""


def is_number(field: Field) -> bool:
    """Whether a column holds numbers, not codes of categories."""
    return not field.coded


def swapped(table: Table, made: dict[str, list[SecureColumn]], *, clean: bool) -> Table:
    """The table with each named column replaced by others, in its place. ``clean`` as in ``Table.replaced``."""
    columns = [c for n in table.columns for c in made.get(n, [table.column(n)])]
    return table.replaced(columns, clean=clean)


def numbers_out(table: Table, names: Sequence[str], values: SecureArray, *, clean: bool = False) -> Table:
    """``values`` (n, k), in natural units, in the place of the named columns; 0 stays in empty cells. ``clean``: it
    does already, and in rows that are not real."""
    return columns_out(table, {n: values[:, i] for i, n in enumerate(names)}, clean=clean)


def columns_out(table: Table, values: Mapping[str, SecureArray], *, clean: bool = False) -> Table:
    """``numbers_out`` for columns (n,) by name, each with its own scale and bound: one product for all of a scale."""
    gappy = {n: x for n, x in values.items() if table.column(n).missing is not None and not clean}
    present = together(gappy, lambda names, x: x * present_cells(table, names))
    made: dict[str, list[SecureColumn]] = {}
    for name, x in {**values, **present}.items():
        old, bound = table.column(name), values[name].bound
        field = replace(old.field, kind="number", unit=1.0, bound=bound, categories=())
        made[name] = [SecureColumn(field, x._stated(bound), old.missing)]
    return swapped(table, made, clean=clean)


def together(
    columns: Mapping[str, SecureArray],
    apply: Callable[[Sequence[str], SecureArray], SecureArray],
    alike: Callable[[str], Any] = lambda name: None,
) -> dict[str, SecureArray]:
    """What ``apply(names, (n, k))`` makes of columns (n,): called once for all of one scale for which ``alike`` says
    the same, so that rounds do not grow with the columns. All of a batch have its largest bound.
    """
    batches: dict[Any, list[str]] = {}
    for name, x in columns.items():
        batches.setdefault((x.scale, alike(name)), []).append(name)
    found: dict[str, SecureArray] = {}
    for names in batches.values():
        results = apply(names, stack([columns[n] for n in names], axis=1))
        found |= {n: results[:, i] for i, n in enumerate(names)}
    return found


def present_cells(table: Table, names: Sequence[str]) -> SecureArray:
    """1 where a real row has a value, (n, k) integers."""
    context = table._context
    full = context.constant(np.ones(table.rows, np.int64)) if table.valid is None else table.valid
    missing = [table.column(n).missing for n in names]
    cells = stack([full if m is None else full - m for m in missing], axis=1)  # a cell is empty in real rows only
    return SecureArray(context, cells._ring_share(), 0, 1.0, flags=True)


def filled(table: Table, names: Sequence[str]) -> SecureArray | None:
    """Which cells count: None for all, (n,) integers where whole rows do or do not, else (n, k)."""
    if any(table.column(n).missing is not None for n in names):
        return present_cells(table, names)
    return table.valid


def some_value(table: Table, names: Sequence[str], present: SecureArray, what: str) -> None:
    """Guard that every column has a value in some row that counts; ``present`` (k,): how many."""
    if table.valid is None and all(table.column(n).missing is None for n in names):
        return
    few = (present < 1).numeric()
    table._context.guard(
        few.sum()._ring_share(),
        f"{what}: {one_column(names)} has no value in any row that counts; leave it out, or fill it in first",
    )


def per_row(table: Table, names: Sequence[str], sums: SecureArray, present: SecureArray) -> SecureArray:
    """sums / present, (k,), for sums of at most one unit per row, at FEATURE_BITS: to two units in the last place.

    A column must hold a value in some row (guarded).
    """
    context, proto, rows = table._context, table._context.protocol, max(1, table.rows)
    some_value(table, names, present, "mean")
    counts = present if present.scale == 0 else present.rescaled(0)
    whole = table.valid is None and all(table.column(n).missing is None for n in names)
    count = spread.Count(rows) if whole else spread.secret_count(proto, counts._ring_share(), rows)
    share = spread.mean(proto, sums._ring_share(), count, sums.scale, 0)
    return SecureArray(context, share, sums.scale, 1.0 + 2.0**-20).rescaled(FEATURE_BITS)


def spread_of_columns(table: Table, names: Sequence[str], what: str) -> tuple[SecureArray, Spread, int]:
    """(means, spreads, fractional bits of the values) of columns over the cells that count, in units: from what the
    owners brought, for nothing, where rows are as they brought them, else from the shares. A column without digits or
    values fails a guard.
    """
    words = table._exact_sums(names)
    keep = filled(table, names)
    if words is not None:
        some_value(table, names, words[1]._stated(float(max(1, table.rows))), what)
        mean, found = from_sums(words, max(1, table.rows), FEATURE_BITS, keep is not None)
        scale = FEATURE_BITS
    else:
        x = table.block(names)
        x = x if x.scale else x.rescaled(x._context.fraction_bits)
        counts = None
        if keep is not None:
            keep = keep if keep.ndim == 2 else keep.reshape((-1, 1))
            counts = keep.sum(axis=0)
            some_value(table, names, counts, what)
        given = centred(x, keep, counts)
        assert given.centre is not None
        mean, found = given.centre, spread_of(given)
        scale = given.rows.scale - given.step
    found.refuse(f"{what}: {one_column(names)}")
    return mean, found, scale

