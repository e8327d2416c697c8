"""Empty cells filled in, without anybody learning which were empty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from ...array import SecureArray
from ...errors import UsageError
from ...functions import argmax, concatenate, one_hot, quantile, segmented_sum, sort, stack
from ...ring import exact
from ...table import Field, SecureColumn, Table, in_units
from ..information import lifted
from .encode import batches_of_levels, meanings, one_hot_batch, same_meanings
from .transform import Transform, chosen, filled, per_row, present_cells, some_value, swapped, units_of_columns

Strategy = Literal["mean", "median", "most_frequent", "constant"]


class SimpleImputer(Transform):
    """Empty cells become the column's mean, median, most frequent value or a constant.

    ``strategy``: "mean" and "median" for numbers; "most_frequent" for all columns (of equally frequent values the
    smallest, or the first category); "constant" takes ``fill_value`` (a number in the column's own unit, or a
    category). ``columns`` None: all with empty cells that suit. ``add_indicator``: a binary column ``missing_<name>``
    for each. A column without a value in any row that counts fails a guard, but for "constant".

    One product per cell, all columns together; median, and the most frequent of numbers: a sort a column. After fit:
    ``statistics_``, by column, in units and secret.
    """

    def __init__(
        self,
        columns: Sequence[str] | None = None,
        *,
        strategy: Strategy = "mean",
        fill_value: float | str | None = None,
        add_indicator: bool = False,
    ) -> None:
        self.columns = columns
        self.strategy = strategy
        self.fill_value = fill_value
        self.add_indicator = add_indicator

    def fit(self, table: Table) -> SimpleImputer:
        kinds = ("mean", "median", "most_frequent", "constant")
        if not isinstance(self.strategy, str) or self.strategy not in kinds:
            raise UsageError(f"SimpleImputer: expected strategy to be one of {', '.join(kinds)}, got {self.strategy!r}")
        if (self.fill_value is not None) != (self.strategy == "constant"):
            raise UsageError("SimpleImputer: fill_value goes with strategy='constant', and only with it")
        self.columns_ = tuple(
            n for n in chosen(self, table, self._suits, self._what()) if table.column(n).missing is not None
        )
        self.statistics_ = self._statistics(table) if self.columns_ else {}
        self.units_ = units_of_columns(table, self.columns_)
        self.meant_ = meanings(table, self.columns_)
        added = [f"missing_{n}" for n in self.columns_] if self.add_indicator else []
        self.feature_names_out_ = (*table.feature_names, *added)
        return self

    def transform(self, table: Table) -> Table:
        self.fitted("statistics_")
        same_meanings("SimpleImputer", table, self.meant_)
        statistics = self._statistics_in(table)
        made: dict[str, list[SecureColumn]] = {}
        added: list[SecureColumn] = []
        filling = self._fillings(table, statistics)
        for name in self.columns_:
            column = table.column(name)
            if column.missing is None:
                continue
            values = self._cells(column) + filling[name]  # an empty cell holds 0
            fill = statistics[name].bound
            values = values._stated(max(column.values.bound, fill))
            kind = "number" if self._makes_reals else column.field.kind
            bound = column.field.bound if column.field.coded else max(column.field.bound, fill * column.field.unit)
            field = replace(column.field, kind=kind, bound=bound, missing=False)
            made[name] = [SecureColumn(field, values)]
            if self.add_indicator:
                added.append(SecureColumn(Field(f"missing_{name}", "binary", owners=field.owners), column.missing))
        out = swapped(table, made, clean=True)
        if not added:
            return out
        return out.replaced([out.column(n) for n in out.feature_names] + added + _label(out))

    def _statistics_in(self, table: Table) -> dict[str, SecureArray]:
        """``statistics_`` in the units of another table: the same ring integers. Local."""
        if self.strategy == "constant":
            return {n: self._constant(table, n) for n in self.columns_}
        found = dict(self.statistics_)
        for name, unit in zip(self.columns_, self.units_, strict=True):
            other = table.column(name).field.unit
            if other != unit:
                found[name] = lifted(found[name].numeric(), exact.log2_floor(unit) - exact.log2_floor(other))
        return found

    def _fillings(self, table: Table, statistics: dict[str, SecureArray]) -> dict[str, SecureArray]:
        """What is added to each column: one product for all columns of a scale."""
        by_scale: dict[int, list[str]] = {}
        for name in self.columns_:
            if table.column(name).missing is not None:
                by_scale.setdefault(self._cells(table.column(name)).scale, []).append(name)
        found: dict[str, SecureArray] = {}
        for scale, names in by_scale.items():
            gaps = [table.column(n).missing for n in names]
            fills = stack([statistics[n].rescaled(scale) for n in names])
            product = stack(gaps, axis=1) * fills
            found |= {n: product[:, i] for i, n in enumerate(names)}
        return found

    @property
    def _makes_reals(self) -> bool:
        """Whether columns of whole numbers get others."""
        fill = self.fill_value
        return self.strategy in ("mean", "median") or (isinstance(fill, float | int) and fill != round(fill))

    def _cells(self, column: SecureColumn) -> SecureArray:
        return column.fine if self._makes_reals else column.values.numeric()

    def _suits(self, field: Field) -> bool:
        if self.strategy in ("mean", "median"):
            return not field.coded
        if self.strategy == "most_frequent":
            return True
        return field.coded == isinstance(self.fill_value, str)

    def _what(self) -> str:
        if self.strategy == "most_frequent":
            return "columns of every kind"
        if self.strategy == "constant":
            return "categories for a text as fill_value, numbers for a number"
        return "numbers; for categories use strategy='most_frequent' or 'constant'"

    def _statistics(self, table: Table) -> dict[str, SecureArray]:
        names = self.columns_
        if self.strategy == "mean":
            moments = table.moments(names)
            means = per_row(table, names, moments[0], moments[2])
            return {n: means[i] for i, n in enumerate(names)}
        if self.strategy == "constant":
            for name in names:
                self._check_constant(table.column(name).field)
            return {n: self._constant(table, n) for n in names}
        some_value(table, names, present_cells(table, names).sum(axis=0), self.strategy)
        if self.strategy == "median":
            middle = quantile(table.block(names), 0.5, axis=0, valid=filled(table, names))
            return {n: middle[i] for i, n in enumerate(names)}
        few = [n for n in names if _levels(table.column(n).field) is not None]
        return {**self._frequent(table, few), **self._frequent_numbers(table, [n for n in names if n not in few])}

    @staticmethod
    def _frequent(table: Table, names: Sequence[str]) -> dict[str, SecureArray]:
        """Of columns whose values are few and known: how often each occurs."""
        columns = {n: table.column(n) for n in names}
        codes = {n: c.values if c.field.coded else c.natural.numeric().round() for n, c in columns.items()}
        levels = {n: _levels(c.field) or 0 for n, c in columns.items()}
        found: dict[str, SecureArray] = {}
        for batch in batches_of_levels(levels):
            hot = one_hot_batch(table, {n: codes[n] for n in batch}, max(levels[n] for n in batch))
            best = argmax(hot.sum(axis=1), axis=1)  # levels that a column does not have count 0 and come last
            found |= {n: best[i]._stated(float(max(1, levels[n] - 1))) for i, n in enumerate(batch)}
        return found

    @staticmethod
    def _frequent_numbers(table: Table, names: Sequence[str]) -> dict[str, SecureArray]:
        by_scale: dict[int, list[str]] = {}
        for name in names:
            by_scale.setdefault(table.column(name).values.numeric().scale, []).append(name)
        found: dict[str, SecureArray] = {}
        for alike in by_scale.values():
            x = stack([table.column(n).values.numeric() for n in alike], axis=1)
            most = _most_common(x, present_cells(table, alike))
            found |= {n: most[i]._stated(table.column(n).values.bound) for i, n in enumerate(alike)}
        return found

    def _check_constant(self, field: Field) -> None:
        fill = self.fill_value
        if isinstance(fill, str):
            if fill not in field.categories:
                have = ", ".join(field.categories)
                raise UsageError(f"SimpleImputer: {field.name!r} has no category {fill!r}: {have}")
        elif fill is None or not abs(fill) <= field.bound:
            what = f"SimpleImputer: fill_value {fill} passes the public bound {field.bound:g} of {field.name!r}"
            raise UsageError(what)

    def _constant(self, table: Table, name: str) -> SecureArray:
        field = table.column(name).field
        fill = self.fill_value
        if isinstance(fill, str):
            return table._context.constant(field.categories.index(fill))
        assert fill is not None
        column = table.column(name)
        if column.whole and not self._makes_reals:
            return in_units(table._context.constant(round(fill)), field.unit)
        return table._context.constant(np.float64(fill / field.unit), scale=self._cells(column).scale or None)


def _most_common(x: SecureArray, present: SecureArray) -> SecureArray:
    """The most frequent value of each column of x (n, k) among the cells that are ``present``, the smallest of equally
    frequent ones, (k,). Exact. Cost: a sort, 30 rounds and 150 bytes per party and cell."""
    n, k = x.shape
    last = 2.0 * x.bound + 2.0**-x.scale
    behind = ((x - last) * present + last)._stated(last)  # cells that do not count come after all others
    ordered = sort(behind, axis=0).T.reshape(-1)
    first = np.arange(n * k) % n == 0
    other = concatenate([ordered[:1] != ordered[:1], ordered[1:] != ordered[:-1]])
    run = segmented_sum(x._context.constant(np.ones(n * k, np.int64)), other | first)._stated(float(n))
    often = (run * (ordered <= x.bound)).reshape(k, n)
    most = one_hot(argmax(often, axis=1), n).numeric()
    return (most * ordered.reshape(k, n)).sum(axis=1)


def _levels(field: Field) -> int | None:
    """How many values a column can have, if they are few and known."""
    if field.coded:
        return len(field.categories)
    return 2 if field.kind == "binary" else None


def _label(table: Table) -> list[SecureColumn]:
    return [] if table.label_name is None else [table.column(table.label_name)]
