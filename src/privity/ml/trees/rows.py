"""What trees learn from: cells (numbers, codes, some empty) side by side, and the bins that are made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...array import SecureArray
from ...context import Context
from ...errors import ShapeError, UsageError
from ...table import Field, Table
from ..estimator import rows_of, rows_with
from ..weights import guard_weights
from .bins import Binner, Bins, cells_of

DEEPEST = 16
"""Levels of splits at most: trees are complete, so another level doubles what they hold and cost."""


@dataclass(frozen=True, slots=True)
class TreeRows:
    """``cells`` (n, d): numbers in units, codes as numbers; ``gaps`` (n, d): 1 where a cell is empty, or None.

    ``y`` (n,) in its own unit, or None. ``valid``, ``weight`` (n,): as in ``estimator.Rows``, the weights guarded to
    be at least 0. ``units`` (d): by which the numbers were divided. ``fields``: what a table knows of its columns.
    ``codes``: column -> codes (n,) as whole numbers, of a table's categories.
    """

    cells: SecureArray
    gaps: SecureArray | None
    y: SecureArray | None
    valid: SecureArray | None
    weight: SecureArray | None
    names: tuple[str, ...]
    units: tuple[float, ...]
    fields: Sequence[Field] | None
    codes: Mapping[int, SecureArray]

    @property
    def _context(self) -> Context:
        return self.cells._context

    @property
    def rows(self) -> int:
        return self.cells.shape[0]

    def part(self, span: slice) -> TreeRows:
        """Some of the rows, to predict: cells alone."""
        gaps = None if self.gaps is None else self.gaps[span]
        codes = {c: v[span] for c, v in self.codes.items()}
        return replace(self, cells=self.cells[span], gaps=gaps, y=None, valid=None, weight=None, codes=codes)

    def counted(self) -> SecureArray | None:
        """Each row's weight, 0 in rows that do not count; None: all are 1."""
        if self.weight is None or self.valid is None:
            return self.valid if self.weight is None else self.weight
        return (self.weight * self.valid)._stated(self.weight.bound)


def tree_rows(
    what: str,
    x: Table | SecureArray,
    y: SecureArray | str | None = None,
    *,
    valid: SecureArray | None = None,
    sample_weight: Any = None,
    target: bool = True,
) -> TreeRows:
    """Rows of a table (empty cells and categories as they are) or of arrays. Raises as ``estimator.rows_of``."""
    gaps, fields, units = None, None, None
    codes: dict[int, SecureArray] = {}
    if isinstance(x, Table):
        if valid is not None:
            raise UsageError(f"{what}: a table carries its own row mask; valid= goes with arrays only")
        named = y if isinstance(y, str) else None
        x, y, sample_weight = rows_with(x, y, sample_weight, target=target)
        x = x.drop([named]) if named in x.feature_names else x
        cells, gaps, names = cells_of(x)
        fields, units, real = x.fields, tuple(float(u) for u in x.units), x.valid
        codes = {c: x.column(f.name).values for c, f in enumerate(fields) if f.coded}
        rows = rows_of(what, cells, y, sample_weight=sample_weight, target=target)
    else:
        rows = rows_of(what, x, y, valid=valid, sample_weight=sample_weight, target=target)
        names, real = rows.names, rows.valid
    if rows.y is not None and rows.y.ndim != 1:
        raise ShapeError(f"{what}: expected y of shape (n,), got {rows.y.shape}")
    if rows.weight is not None and isinstance(sample_weight, SecureArray):
        guard_weights(what, rows.weight, real)
    units = units or (1.0,) * len(names)
    return TreeRows(rows.x, gaps, rows.y, real, rows.weight, names, units, fields, codes)


def whole_labels(classes: int) -> str:
    """What to pass as y where it has fractional bits, for errors."""
    return "pass y > 0.5 for labels 0 and 1" if classes == 2 else "pass y.astype('int') for labels 0, 1, 2, ..."


def learn_bins(rows: TreeRows, max_bins: int) -> tuple[Bins, dict[str, Any]]:
    """Bins of rows, and what ``bins_again`` needs for others: plain values and secret arrays, which can be saved.

    Also, of columns that an owner cut: ``cut_at``, name -> ``Field.cut_at`` (None: nothing is known of an array's
    columns), and ``agreed``, name -> the thresholds where they are public.
    """
    binner = Binner(max_bins).fit(rows.cells, rows.valid, rows.gaps, rows.fields)
    agreed = {f.name: f.edges for f in rows.fields or () if f.coded and f.edges}
    kept = {**vars(binner), "gaps": rows.gaps is not None, "cut_at": _cut_at(rows), "agreed": agreed}
    return binner.transform(rows.cells, rows.gaps, rows.names, rows.codes), kept


def bins_again(what: str, rows: TreeRows, kept: dict[str, Any], *, sums: bool = False) -> Bins:
    """Other rows in the same bins; ``sums`` as in ``Binner.transform``. Raises ShapeError for other columns, UsageError
    for empty cells where none were, and where an owner cut a column elsewhere than in the rows that were learnt from.
    """
    if rows.cells.shape[1] != kept["columns"]:
        raise ShapeError(f"{what}: expected {kept['columns']} columns, as in training, got {rows.cells.shape[1]}")
    _same_cuts(what, rows, kept)
    gaps = rows.gaps
    if gaps is not None and not kept["gaps"]:
        raise UsageError(f"{what}: cells may be empty here, but not where it was trained; fill them in first")
    if gaps is None and kept["gaps"]:
        gaps = rows._context.constant(np.zeros(rows.cells.shape, np.int64))
    binner = Binner(kept["max_bins"])
    vars(binner).update({name: kept[name] for name in (*vars(binner), "columns") if name in kept})
    counts = binner.whole_numbers()
    codes = {c: v for c, v in rows.codes.items() if v.bound < max(counts[c], 1)}
    fits = len(codes) == len(rows.codes) if rows.codes else rows.cells.kind != "fixed"
    if binner.edges is None and not (fits and rows.cells.bound < binner.max_bins):
        # what was not seen is compared: a code beyond the last one is in its bin, a number in that of the nearest code
        middle = np.repeat(np.arange(1, binner.max_bins) - 0.5, kept["columns"])
        binner.edges = rows._context.constant(middle.reshape((-1, kept["columns"])))
    return binner.transform(rows.cells, gaps, rows.names, codes, sums=sums)


def _cut_at(rows: TreeRows) -> dict[str, str] | None:
    """Where owners cut columns into bins; None: nothing is known of the columns."""
    if rows.fields is None:
        return None
    return {f.name: f.cut_at for f in rows.fields if f.coded and f.cut_at}


def _same_cuts(what: str, rows: TreeRows, kept: dict[str, Any]) -> None:
    then, now = kept.get("cut_at"), _cut_at(rows)
    if then is None or now is None:
        return
    for name in sorted({*then, *now}):
        if then.get(name) != now.get(name):
            raise UsageError(
                f"{what}: column {name!r} was cut into bins {then.get(name, 'by nobody')} where the model was trained, "
                f"and {now.get(name, 'by nobody')} here; state the same bins in both schemas (bins_of = TABLE takes "
                "those that an owner learnt for another table)"
            )
