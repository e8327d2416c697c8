"""A table's columns at a glance: counts, means, deviations and quantiles, as far as groups are large enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..array import SecureArray
from ..disclosure import release
from ..errors import UsageError
from ..functions import stack
from ..ml.parameters import arguments
from ..ml.preprocessing.transform import present_cells
from ..openings import Withheld
from ..table import Table
from .moments import mean, variance
from .quantiles import quantile

MOMENTS = ("count", "mean", "std")


@dataclass(frozen=True)
class Description:
    """Secret figures of ``columns``, in rows ``labels``: count, mean, standard deviation, then quantiles."""

    columns: tuple[str, ...]
    labels: tuple[str, ...]
    values: SecureArray
    counts: SecureArray
    units: np.ndarray[Any, Any]

    def open(self, *, to: Any, name: str, reason: str) -> Any:
        """Column -> label -> number in the column's own unit, NaN where too few rows stand behind it. One opening of
        shape (labels, columns). A count below the minimum group is suppressed like all else.
        """
        opened = release(self.values._context, self.values, self.counts, to=to, name=name, reason=reason)
        if isinstance(opened, Withheld):
            return opened
        scaled = np.where(np.array([label == "count" for label in self.labels])[:, None], opened, opened * self.units)
        return {
            column: dict(zip(self.labels, map(float, scaled[:, i]), strict=True))
            for i, column in enumerate(self.columns)
        }


@arguments
def describe(
    table: Table, columns: Sequence[str] | None = None, *, quantiles: Sequence[float] = (0.25, 0.5, 0.75)
) -> Description:
    """Count, mean, standard deviation and quantiles of a table's numbers; empty cells and padding do not count.

    Smallest and largest value are single rows, so they are not among them. ``columns``: None for all that are no
    categories (for these there are ``crosstab`` and ``Table.group_by``). Cost: that of ``quantile`` a column.
    """
    names = tuple(columns) if columns is not None else tuple(f.name for f in table.fields if not f.coded)
    coded = [n for n in names if table.column(n).field.coded]
    if coded or not names:
        raise UsageError(
            f"describe: {', '.join(coded) or 'no column'}: expected columns of numbers; count categories with crosstab "
            "or Table.group_by"
        )
    if not all(0 <= q <= 1 for q in quantiles):
        raise UsageError(f"describe: expected quantiles from 0 to 1, got {tuple(quantiles)!r}")
    context = table._context
    x = table.block(names)
    present = present_cells(table, names)
    count = present.sum(axis=0)._stated(float(max(1, table.rows)))
    centre = mean(x, valid=present).value
    spread = variance(x, valid=present).deviation.value
    middle = [quantile(x[:, i], quantiles, valid=present[:, i]) for i in range(len(names))]
    bits = context.fraction_bits
    rows = [count.rescaled(bits), centre.rescaled(max(bits, centre.scale)), spread]
    scale = max(r.scale for r in rows)
    at = stack([m.value for m in middle], axis=1)
    scale = max(scale, at.scale)
    values = stack([*(r.rescaled(scale) for r in rows), *(at.rescaled(scale)[k] for k in range(len(quantiles)))])
    beside = stack([m.counts for m in middle], axis=1)
    counts = stack([count, count, count, *(beside[k] for k in range(len(quantiles)))])
    labels = (*MOMENTS, *(f"{100 * q:g}%" for q in quantiles))
    units = np.array([table.column(n).field.unit for n in names])
    return Description(names, labels, values, counts, units)

