"""What ``Table.group_by`` gives: groups of a table's rows by its own columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from . import words
from .array import SecureArray
from .errors import UsageError
from .functions import concatenate, matmul, one_hot, ratio, stack
from .functions.flags import neither
from .functions.groups import AGGREGATES, Groups, group_by
from .functions.nullable import NullableArray, rest
from .given import whole_number

if TYPE_CHECKING:
    from .table import SecureColumn, Table

_ALL_ROWS = ("count", None)
MOST_ROWS = 1 << 31
"""Public rows of a result, at most."""


class GroupBy:
    """Groups of a table's rows with equal values in some columns; ``agg`` says what is wanted of each."""

    def __init__(self, table: Table, names: Sequence[str], keep_missing: bool = False) -> None:
        self._table, self._names, self._keep_missing = table, tuple(names), keep_missing
        self._keys = [table.column(n) for n in names]

    if not TYPE_CHECKING:  # a checker goes by what is defined

        def __getattr__(self, name: str) -> NoReturn:
            raise words.unknown("group_by(...)", name, ["agg"], words.GROUPS)

    def __getitem__(self, name: Any) -> NoReturn:
        raise UsageError(f'group_by(...)[{name!r}]: write group_by(...).agg(result=({name!r}, "mean"))')

    def agg(self, capacity: int | None = None, **aggregates: tuple[str, str] | str) -> Groups:
        """Aggregates per group: ``mean_age=("age", "mean")``, ``n="count"`` (rows), ``cells=("age", "count")``.

        All stays secret until it is opened. Rows with an empty key are left out, unless ``group_by`` was asked to keep
        them. Aggregates are those of the cells that are there: 0 for a group without any, where ``counts["name"]`` is 0
        too, so that ``disclosure.release`` withholds it.

        A single column of categories has one row per category, in the schema's order (then one for empty cells, if they
        are kept), and costs a product with its one-hot form. Else ``capacity`` is the public number of rows of the
        result, and the cost that of a sort.
        """
        if capacity is not None and (isinstance(capacity, bool) or not isinstance(capacity, int | np.integer)):
            raise UsageError(
                f'group_by: expected agg(name=("column", "mean"), ...), got {capacity!r} as capacity'
            )
        if not aggregates:
            raise UsageError('group_by: agg names no aggregate; write agg(n="count", age=("age", "mean"))')
        wanted = {name: self._wanted(name, how) for name, how in aggregates.items()}
        single = self._keys[0]
        simple = all(how in ("sum", "count", "mean") for how, _ in wanted.values())
        if len(self._keys) == 1 and single.field.coded and simple:
            return self._by_category(single, wanted)
        if capacity is None:
            raise UsageError("group_by: state capacity=, a public number of rows that holds all groups")
        whole_number("group_by", "capacity", capacity, 1, MOST_ROWS)
        table = self._table
        named = {c.field.name: c for _, c in wanted.values() if c is not None}
        cells = {n: _cells(table, c) for n, c in named.items()}  # each once, so that it is sorted once
        columns = {n: (how, None if c is None else cells[c.field.name]) for n, (how, c) in wanted.items()}
        return group_by(
            [_cells(table, k) for k in self._keys], columns, capacity=capacity, valid=table.valid,
            keep_missing=self._keep_missing,
        )  # fmt: skip

    def _wanted(self, name: str, how: Any) -> tuple[str, SecureColumn | None]:
        if isinstance(how, str) and how == "count":
            return _ALL_ROWS
        pair = isinstance(how, tuple) and len(how) == 2 and all(isinstance(part, str) for part in how)
        if not pair or how[1] not in AGGREGATES:
            raise UsageError(
                f'group_by: expected {name}=("column", one of {", ".join(AGGREGATES)}) or {name}="count", got {how!r}'
            )
        column = self._table.column(how[0])
        return _ALL_ROWS if how[1] == "count" and column.missing is None else (how[1], column)

    def _by_category(self, key: SecureColumn, wanted: dict[str, tuple[str, SecureColumn | None]]) -> Groups:
        table, levels = self._table, len(key.field.categories)
        hot = one_hot(key.values, levels).numeric()
        mask = table.valid
        if key.missing is not None:
            mask = neither(key.missing) if mask is None else rest(mask, key.missing)
        if mask is not None:
            hot = (hot * mask.reshape((-1, 1)))._stated(1.0)
        kept = self._keep_missing and key.missing is not None
        if kept:
            assert key.missing is not None
            hot, levels = concatenate([hot, key.missing.reshape((-1, 1))], axis=1), levels + 1
        count = hot.sum(axis=0)._stated(float(table.rows))
        cells = _without_gaps(table, hot, count, [c for _, c in wanted.values() if c is not None])
        out: dict[str, SecureArray] = {}
        behind: dict[str, SecureArray] = {}
        for name, (how, column) in wanted.items():
            behind[name] = number = count if column is None else cells.get(column.field.name, count)
            if column is None or how == "count":
                out[name] = number
                continue
            values = column.natural
            table._context.fits(values.bound * table.rows, values.scale, f"{name!r}, the sum of a group")
            total = matmul(values.reshape((1, -1)), hot).reshape((levels,))._stated(values.bound * max(1, table.rows))
            bits = max(total.scale, table._context.fraction_bits)
            out[name] = total if how == "sum" else ratio.mean(total, number, values.bound, bits)
        codes = table._context.constant(np.arange(levels))
        empty = table._context.constant((np.arange(levels) == levels - 1).astype(np.int64)) if kept else None
        return Groups((codes,), count > 0, out, behind, (empty,))


def _cells(table: Table, column: SecureColumn) -> SecureArray | NullableArray:
    """A column with its empty cells; the mask of the table's rows goes beside it."""
    if column.missing is None:
        return column.natural
    name = column.field.name
    return NullableArray(column.natural, name, missing=column.missing, valid=table.valid, clean=True)


def _without_gaps(
    table: Table, hot: SecureArray, count: SecureArray, columns: Sequence[SecureColumn]
) -> dict[str, SecureArray]:
    """Column -> cells that are there in each group, of columns with empty cells: one product for all."""
    gaps = {c.field.name: c.missing for c in columns if c.missing is not None}
    if not gaps:
        return {}
    empty = matmul(stack(list(gaps.values())), hot)
    rows = float(table.rows)
    return {name: (count - empty[i])._stated(rows) for i, name in enumerate(gaps)}
