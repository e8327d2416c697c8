"""A table on shares: columns agreed in a schema, rows of all owners one after the other, a secret row mask.

Every owner divides each feature by its public unit (a power of two at least as large as the column's bound), so that
all shared features lie in [-1, 1], and shares its local counts, sums and sums of squares beside the rows: these are
exact in float64 at the owner, and nothing can overflow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .array import SecureArray
from .errors import DataError, UsageError
from .functions import concatenate
from .session import Declared, Input, Session

FEATURE_BITS = 30
"""Fractional bits of shared features: they lie in [-1, 1], and a column may use a small part of that range."""


@dataclass(frozen=True, slots=True)
class TableInfo:
    """The public description of a table: what owners agree on before anybody opens a file.

    ``features``, ``units``: names and powers of two, in order. ``label``: name of a 0/1 column or None. ``capacity``:
    rows per owner after padding, or None if the true row counts are public. ``owners``: who must bring it, or None.
    """

    name: str
    features: tuple[str, ...]
    units: tuple[float, ...]
    label: str | None = None
    capacity: int | None = None
    owners: tuple[str, ...] | None = None


def table_inputs(
    info: TableInfo, features: npt.NDArray[np.float64], label: npt.NDArray[np.float64] | None
) -> dict[str, Input]:
    """What an owner shares for its rows: ``features`` (rows, d) in the columns' own units, ``label`` (rows,) of 0/1.

    Raises DataError if there are more rows than the capacity, or a label other than 0 and 1.
    """
    scaled = np.asarray(features, np.float64) / np.asarray(info.units)
    rows = len(scaled)
    capacity = rows if info.capacity is None else info.capacity
    if rows > capacity:
        raise DataError(f"table {info.name!r}: {rows} rows, but the agreed capacity is {capacity} rows per owner")
    padded = np.zeros((capacity, scaled.shape[1]))
    padded[:rows] = scaled
    moments = np.stack([scaled.sum(0), (scaled**2).sum(0)])
    inputs = {
        f"{info.name}.features": Input(padded, bound=1.0, scale=FEATURE_BITS),
        f"{info.name}.moments": Input(moments, bound=float(max(1, capacity)), scale=FEATURE_BITS),
    }
    if info.capacity is not None:
        valid = np.arange(capacity) < rows
        inputs[f"{info.name}.valid"] = Input(valid.astype(np.int64), bound=1.0)
    if label is not None:
        wrong = np.flatnonzero(~np.isin(label, (0.0, 1.0)))
        if len(wrong):
            raise DataError(
                f"table {info.name!r}, label {info.label!r}: expected 0 or 1, found {float(label[wrong[0]])!r} in row "
                f"{int(wrong[0]) + 1} ({len(wrong)} such rows); correct them, and give the label the kind 'binary'"
            )
        target = np.zeros(capacity, np.int64)
        target[:rows] = label
        inputs[f"{info.name}.label"] = Input(target, bound=1.0)
    return inputs


def table_shapes(info: TableInfo, rows: int) -> dict[str, Declared]:
    """What an owner of ``rows`` rows would declare: ``table_inputs`` without the data."""
    capacity = rows if info.capacity is None else info.capacity
    d = len(info.features)
    shapes = {
        f"{info.name}.features": Declared((capacity, d), 1.0, FEATURE_BITS),
        f"{info.name}.moments": Declared((2, d), float(max(1, capacity)), FEATURE_BITS),
    }
    if info.capacity is not None:
        shapes[f"{info.name}.valid"] = Declared((capacity,), 1.0, 0)
    if info.label is not None:
        shapes[f"{info.name}.label"] = Declared((capacity,), 1.0, 0)
    return shapes


class Table:
    """Rows of all owners on shares. ``features`` (n, d) in units, ``label`` (n,) 0/1 integers, ``valid`` (n,) 0/1.

    ``valid`` is None when every row is real (no capacity was agreed). ``sums`` and ``squares`` are (d,) totals over
    the real rows, in units. ``count``: number of real rows, a plain number or secret.
    """

    def __init__(
        self,
        info: TableInfo,
        features: SecureArray,
        label: SecureArray | None,
        valid: SecureArray | None,
        moments: SecureArray,
    ) -> None:
        self.info = info
        self.features = features
        self.label = label
        self.valid = valid
        self.sums, self.squares = moments[0], moments[1]
        self.count: int | SecureArray = features.shape[0] if valid is None else valid.sum()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the features."""
        return self.info.features

    @property
    def units(self) -> npt.NDArray[np.float64]:
        """Public power of two by which each feature was divided."""
        return np.asarray(self.info.units)

    @property
    def rows(self) -> int:
        """Public number of rows, padding included."""
        return self.features.shape[0]

    def to_arrays(
        self, target: str | None = None
    ) -> tuple[SecureArray, SecureArray | None, SecureArray | None, tuple[str, ...]]:
        """Features (n, d) in units, the target (n,) or None, the row mask (n,) or None, and the features' names.

        ``target``: the column to predict, None for the label. Raises UsageError for a name that is no label.
        """
        if target is not None and target != self.info.label:
            raise UsageError(f"table {self.info.name!r} has no label {target!r}; its label: {self.info.label or 'none'}")
        return self.features, self.label, self.valid, self.columns

    def __repr__(self) -> str:
        return f"Table({self.info.name!r}, rows={self.rows}, columns={len(self.columns)})"


def read(session: Session, info: TableInfo, owners: Sequence[str] | None = None) -> Table:
    """The table of all owners that brought it, rows in the order of the parties (or of ``owners``).

    Raises UsageError if nobody brought it, or not everybody who must.
    """
    brought = session.owners(f"{info.name}.features")
    names = list(owners) if owners is not None else brought
    missing = [o for o in info.owners or names if o not in brought]
    if missing:
        raise UsageError(
            f"{', '.join(missing)} did not bring the table {info.name!r}, which the job expects of each; name the file "
            "in the owner's consortium file ([party.tables]) or with --table"
        )
    if not names:
        raise UsageError(f"no owner brought the table {info.name!r}; owners name their file in the consortium file")

    def column(part: str) -> list[SecureArray]:
        return [session.secret(f"{info.name}.{part}", owner) for owner in names]

    moments = column("moments")
    total = moments[0]
    for more in moments[1:]:
        total = total + more
    return Table(
        info,
        concatenate(column("features")),
        concatenate(column("label")) if info.label is not None else None,
        concatenate(column("valid")) if info.capacity is not None else None,
        total,
    )
