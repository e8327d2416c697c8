"""Categories as numbers, and numbers as categories. Lists of categories are public: they stand in the schema."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from ...array import SecureArray
from ...errors import UsageError
from ...functions import one_hot, stack
from ...functions.cuts import cut_points
from ...table import Field, SecureColumn, Table
from .scaling import MinMaxScaler
from .transform import Transform, as_fitted, chosen, filled, is_number, present_cells, swapped, units_of_columns

_AT_ONCE = 64  # columns of up to so many categories are decomposed in one batch


def _is_category(field: Field) -> bool:
    return field.coded


def meanings(table: Table, names: Sequence[str]) -> dict[str, tuple[tuple[str, ...], str]]:
    """What each column's codes stand for: its categories and, of bins, where its owner cut them."""
    fields = [table.column(n).field for n in names]
    return {f.name: (f.categories, f.cut_at) for f in fields}


def same_meanings(what: str, table: Table, learnt: Mapping[str, tuple[tuple[str, ...], str]]) -> None:
    """Raises UsageError for a column whose codes stand for something else than in the table that was learnt from."""
    for name, (categories, then) in learnt.items():
        field = table.column(name).field
        if field.cut_at != then:
            raise UsageError(
                f"{what}: {name!r} is cut into bins {field.cut_at or 'by nobody'}, but {then or 'by nobody'} in the "
                "table it was fitted on; state the same bins in both schemas (bins_of = TABLE takes those of another "
                "table)"
            )
        if field.categories != categories:
            raise UsageError(f"{what}: {name!r} has other categories than in the table it was fitted on")


class OneHotEncoder(Transform):
    """A binary column ``<name>_<category>`` for each category of the schema.

    ``drop``: None, or "first" to leave out the first category, as models with an intercept want it. An empty cell is 0
    in all of them, or with ``missing_level=True`` 1 in one more column, ``<name>_missing``. Every category of the
    schema has its column, so no category can be unknown here.

    Rounds: as ``privity.one_hot``, all columns together; 24 bytes in all per cell and category.
    """

    def __init__(
        self,
        columns: Sequence[str] | None = None,
        *,
        drop: Literal["first"] | None = None,
        missing_level: bool = False,
    ) -> None:
        self.columns = columns
        self.drop = drop
        self.missing_level = missing_level

    def fit(self, table: Table) -> OneHotEncoder:
        if self.drop not in (None, "first"):
            raise UsageError(f"OneHotEncoder: expected drop=None or 'first', got {self.drop!r}")
        self.columns_ = chosen(self, table, _is_category, "categories; for numbers there is KBinsDiscretizer")
        self.categories_ = {n: table.column(n).field.categories for n in self.columns_}
        self.meant_ = meanings(table, self.columns_)
        names: list[str] = []
        for name in table.feature_names:
            names += self._names(name, table) if name in self.columns_ else [name]
        self.feature_names_out_ = tuple(names)
        return self

    def transform(self, table: Table) -> Table:
        self.fitted("categories_")
        same_meanings("OneHotEncoder", table, self.meant_)
        hot = one_hot_columns(table, self.columns_)
        made: dict[str, list[SecureColumn]] = {}
        for name in self.columns_:
            column, flags = table.column(name), hot[name]
            parts = [flags[:, k] for k in range(1 if self.drop else 0, flags.shape[1])]
            if self.missing_level and column.missing is not None:
                parts.append(column.missing)
            made[name] = [
                SecureColumn(Field(n, "binary", owners=column.field.owners), p)
                for n, p in zip(self._names(name, table), parts, strict=True)
            ]
        return swapped(table, made, clean=True)

    def _names(self, name: str, table: Table) -> list[str]:
        names = [f"{name}_{c}" for c in self.categories_[name][1 if self.drop else 0 :]]
        if self.missing_level and table.column(name).missing is not None:
            names.append(f"{name}_missing")
        return names


def one_hot_columns(table: Table, names: Sequence[str]) -> dict[str, SecureArray]:
    """Column -> (n, categories) 0/1 integers; 0 for empty cells and in rows that are not real."""
    levels = {n: len(table.column(n).field.categories) for n in names}
    found: dict[str, SecureArray] = {}
    for batch in batches_of_levels(levels):
        hot = one_hot_batch(table, {n: table.column(n).values for n in batch}, max(levels[n] for n in batch))
        found |= {n: hot[i][:, : levels[n]] for i, n in enumerate(batch)}
    return found


def batches_of_levels(levels: Mapping[str, int]) -> list[list[str]]:
    """Which columns are decomposed together: all with few levels, and each of the others alone."""
    few = [n for n in levels if levels[n] <= _AT_ONCE]
    return [batch for batch in (few, *([n] for n in levels if n not in few)) if batch]


def one_hot_batch(table: Table, codes: Mapping[str, SecureArray], levels: int) -> SecureArray:
    """(k, n, levels) 0/1 integers of k columns of codes; 0 for empty cells and in rows that are not real."""
    present = present_cells(table, list(codes)).T.reshape((len(codes), table.rows, 1))
    return (one_hot(stack(list(codes.values())), levels).numeric() * present)._stated(1.0)


class OrdinalEncoder(Transform):
    """Categories as whole numbers 0, 1, 2 ... in the order of the schema. Local. An empty cell stays empty.

    After fit: ``categories_``, column -> its categories; other tables must have the same.
    """

    def __init__(self, columns: Sequence[str] | None = None) -> None:
        self.columns = columns

    def fit(self, table: Table) -> OrdinalEncoder:
        self.columns_ = chosen(self, table, _is_category, "categories")
        self.categories_ = {n: table.column(n).field.categories for n in self.columns_}
        self.meant_ = meanings(table, self.columns_)
        self.feature_names_out_ = table.feature_names
        return self

    def transform(self, table: Table) -> Table:
        self.fitted("categories_")
        same_meanings("OrdinalEncoder", table, self.meant_)
        made: dict[str, list[SecureColumn]] = {}
        for name in self.columns_:
            column = table.column(name)
            most = float(len(column.field.categories) - 1)
            field = replace(column.field, kind="integer", bound=most, categories=())
            made[name] = [SecureColumn(field, column.values, column.missing)]
        return swapped(table, made, clean=True)


class KBinsDiscretizer(Transform):
    """Numbers as ``n_bins`` categories "bin 0", "bin 1" ..., by secret edges: quantiles of all rows, or equal widths.

    A value on an edge belongs to the bin above it. A value that fills more than a bin has one of its own (of three bins
    or more), and the others share the rest (functions/cuts.py); without such values edges are those of
    ``numpy.quantile``. Fewer values than bins leave bins empty, as which edges are equal stays secret. With bins of
    equal width a constant column is in bin 0, as in scikit-learn: its edges lie above its bound. Empty cells stay
    empty. Cost: ``cuts.cut_points`` ("quantile") or two tournaments and a comparison a column ("uniform"), and n_bins -
    1 comparisons a value. After fit: ``bin_edges_`` (n_bins - 1, k), secret and in units.
    """

    def __init__(
        self,
        columns: Sequence[str] | None = None,
        *,
        n_bins: int = 5,
        strategy: Literal["quantile", "uniform"] = "quantile",
    ) -> None:
        self.columns = columns
        self.n_bins = n_bins
        self.strategy = strategy

    def fit(self, table: Table) -> KBinsDiscretizer:
        if self.n_bins < 2:
            raise UsageError(f"KBinsDiscretizer: expected n_bins of at least 2, got {self.n_bins}")
        if self.strategy not in ("quantile", "uniform"):
            raise UsageError(f"KBinsDiscretizer: expected strategy 'quantile' or 'uniform', got {self.strategy!r}")
        self.columns_ = chosen(self, table, is_number, "numbers")
        self.units_ = units_of_columns(table, self.columns_)
        inner = np.arange(1, self.n_bins) / self.n_bins
        if self.strategy == "quantile":
            x = table.block(self.columns_)
            self.bin_edges_ = cut_points(x, inner, filled(table, self.columns_))
        else:
            ends = MinMaxScaler(self.columns_).fit(table)
            width = ends.data_max_ - ends.data_min_
            steps = width.reshape((1, -1)).multiply(inner.reshape((-1, 1)), scale=width.scale)
            # the edges of a constant column lie above all that it could hold
            above = 2 * math.ceil(ends.data_min_.bound) + 1
            flat = (width <= 0).numeric() * above
            self.bin_edges_ = ends.data_min_ + steps + flat
        self.feature_names_out_ = table.feature_names
        return self

    def transform(self, table: Table) -> Table:
        self.fitted("bin_edges_")
        names = tuple(f"bin {k}" for k in range(self.n_bins))
        table = as_fitted(self, table)
        x = table.block(self.columns_)
        x = x.rescaled(min(x.scale, self.bin_edges_.scale) or x.scale)  # finer where its unit was smaller
        n, k = x.shape
        above = (x.reshape((1, n, k)) >= self.bin_edges_.reshape((self.n_bins - 1, 1, k))).numeric()
        codes = above.sum(axis=0)._stated(float(self.n_bins - 1)) * present_cells(table, self.columns_)
        made: dict[str, list[SecureColumn]] = {}
        for i, name in enumerate(self.columns_):
            column = table.column(name)
            field = replace(column.field, kind="category", unit=1.0, bound=float(self.n_bins - 1), categories=names)
            made[name] = [SecureColumn(field, codes[:, i]._stated(float(self.n_bins - 1)), column.missing)]
        return swapped(table, made, clean=True)
