"""What trees learn from: cells (numbers, codes, some empty) side by side, and the bins that are made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...array import SecureArray
from ...errors import ShapeError, UsageError
from ...session import Session
from ...table import Field, Table
from ..estimator import rows_of
from .bins import Binner, Bins, cells_of


@dataclass(frozen=True, slots=True)
class TreeRows:
    """``cells`` (n, d): numbers in units, codes as numbers; ``gaps`` (n, d): 1 where a cell is empty, or None.

    ``y`` (n,) in its own unit, or None. ``valid``, ``weight`` (n,): as in ``estimator.Rows``, the weights guarded to
    be at least 0. ``units`` (d): by which the numbers were divided. ``fields``: what a table knows of its columns.
    """

    cells: SecureArray
    gaps: SecureArray | None
    y: SecureArray | None
    valid: SecureArray | None
    weight: SecureArray | None
    names: tuple[str, ...]
    units: tuple[float, ...]
    fields: Sequence[Field] | None

    @property
    def session(self) -> Session:
        return self.cells.session

    @property
    def rows(self) -> int:
        return self.cells.shape[0]

    def counted(self) -> SecureArray | None:
        """Each row's weight, 0 in rows that do not count; None: all are 1."""
        if self.weight is None or self.valid is None:
            return self.valid if self.weight is None else self.weight
        return (self.weight * self.valid).stated(self.weight.bound)


def tree_rows(
    what: str,
    x: Table | SecureArray,
    y: SecureArray | str | None = None,
    *,
    valid: SecureArray | None = None,
    sample_weight: Any = None,
    target: bool = True,
) -> TreeRows:
    """Rows of a table (empty cells and categories as they are) or of arrays. Raises as ``estimator.rows_of``, and
    UsageError where all weights are public and 0.
    """
    if sample_weight is not None and not isinstance(sample_weight, SecureArray) and not np.any(sample_weight):
        raise UsageError(f"{what}: all weights are 0; at least one row must count")
    gaps, fields, units = None, None, None
    if isinstance(x, Table):
        if valid is not None:
            raise UsageError(f"{what}: a table carries its own row mask; valid= goes with arrays only")
        if isinstance(y, str):
            named = y
            y = x[named]
            x = x.drop([named]) if named in x.feature_names else x
        elif y is None and target:
            y = x.label
        cells, gaps, names = cells_of(x)
        fields, units, real = x.fields, tuple(float(u) for u in x.units), x.valid
        rows = rows_of(what, cells, y, sample_weight=sample_weight, target=target)
    else:
        rows = rows_of(what, x, y, valid=valid, sample_weight=sample_weight, target=target)
        names, real = rows.names, rows.valid
    if rows.y is not None and rows.y.ndim != 1:
        raise ShapeError(f"{what}: expected y of shape (n,), got {rows.y.shape}")
    if rows.weight is not None and isinstance(sample_weight, SecureArray):
        session = rows.x.session
        session.guard((rows.weight < 0).numeric().sum().ring_share(), f"{what}: weights are at least 0")
    units = units or (1.0,) * len(names)
    return TreeRows(rows.x, gaps, rows.y, real, rows.weight, names, units, fields)


def learn_bins(rows: TreeRows, max_bins: int) -> tuple[Bins, dict[str, Any]]:
    """Bins of rows, and what ``bins_again`` needs for others: plain values and secret arrays, which can be saved."""
    binner = Binner(max_bins).fit(rows.cells, rows.valid, rows.gaps, rows.fields)
    kept = {**vars(binner), "gaps": rows.gaps is not None}
    return binner.transform(rows.cells, rows.gaps, rows.names), kept


def bins_again(what: str, rows: TreeRows, kept: dict[str, Any]) -> Bins:
    """Other rows in the same bins. Raises ShapeError for other columns, UsageError for empty cells where none were."""
    if rows.cells.shape[1] != kept["columns"]:
        raise ShapeError(f"{what}: expected {kept['columns']} columns, as in training, got {rows.cells.shape[1]}")
    gaps = rows.gaps
    if gaps is not None and not kept["gaps"]:
        raise UsageError(f"{what}: cells may be empty here, but not where it was trained; fill them in first")
    if gaps is None and kept["gaps"]:
        gaps = rows.session.constant(np.zeros(rows.cells.shape, np.int64))
    binner = Binner(kept["max_bins"])
    vars(binner).update({name: value for name, value in kept.items() if name != "gaps"})
    return binner.transform(rows.cells, gaps, rows.names)
