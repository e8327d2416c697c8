"""What everybody knows of a table before anybody opens a file: its columns, their kinds, units and bounds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from .errors import UsageError
from .given import real_number
from .ring import exact

FEATURE_BITS = 30
"""Fractional bits of shared numbers: they lie in [-1, 1], and a column may use a small part of that range."""

WHOLE_BITS = 53
"""Whole numbers of an owner's cells are exact up to 2^53: beyond that float64 has no room for their last digits."""

Kind = Literal["number", "integer", "binary", "category"]


@dataclass(frozen=True, slots=True)
class Field:
    """What everybody knows of a column.

    ``unit``: the power of two by which numbers are divided (1 for categories). ``bound``: on |x|, in the column's own
    unit; of whole numbers at most 2^53. ``categories``: what the codes 0, 1, 2 ... stand for. ``missing``: whether
    cells may be empty. ``owners``: who brought it.

    Numbers that their owner cut into bins are categories in order. ``edges``: the thresholds, where they are agreed on
    and public; ``cut``: the table whose thresholds these are, where the owner learnt them and nobody else knows them.
    """

    name: str
    kind: Kind = "number"
    unit: float = 1.0
    bound: float = 1.0
    categories: tuple[str, ...] = ()
    missing: bool = False
    owners: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    cut: str = ""

    @property
    def coded(self) -> bool:
        """Whether its values are codes of categories."""
        return self.kind == "category"

    @property
    def whole_bits(self) -> int | None:
        """u for whole numbers (kind integer or binary) in the unit 2^u, u <= 53; None for others.

        Such a cell k is shared as the ring integer k: k / 2^u at u fractional bits, so nothing of it is rounded, and
        nobody can deal anything but a whole number.
        """
        if self.kind not in ("integer", "binary") or self.unit < 1.0:
            return None
        bits = exact.log2_floor(self.unit)
        return bits if bits <= WHOLE_BITS and self.unit == float(1 << bits) else None

    def fill(self, value: float | str, what: str) -> float:
        """A public value for empty cells: a number in the column's own unit, or the code of a category.

        ``what``: for errors. Raises UsageError for one that the column's kind, bound or categories do not allow.
        """
        if self.coded or isinstance(value, str):
            if not isinstance(value, str) or value not in self.categories:
                have = ", ".join(self.categories) or "none, as it holds numbers"
                raise UsageError(f"{what}: {self.name!r} has no category {value!r}: {have}")
            return float(self.categories.index(str(value)))
        real_number(what, f"the value for {self.name!r}", value)
        if abs(value) > self.bound:
            raise UsageError(f"{what}: the value {value} passes the public bound {self.bound:g} of {self.name!r}")
        if self.kind != "number" and value != round(value):
            raise UsageError(f"{what}: {self.name!r} holds whole numbers, got {value}")
        return float(value)

    @property
    def cut_at(self) -> str:
        """Where an owner cut it into bins: equal words if and only if equal bins mean the same; "" if nobody did."""
        if self.edges:
            return f"at the agreed {', '.join(format(edge, '.17g') for edge in self.edges)}"
        return f"where {' and '.join(self.owners)} cut the table {self.cut!r}" if self.cut else ""


@dataclass(frozen=True, slots=True)
class TableInfo:
    """The public description of a table: what owners agree on before anybody opens a file.

    ``label``: the column to predict, or None. ``capacity``: rows per owner after padding, or None if the true row
    counts are public. ``owners``: who must bring it, or None. ``keyed``: whether its rows can be linked.
    """

    name: str
    fields: tuple[Field, ...]
    label: Field | None = None
    capacity: int | None = None
    owners: tuple[str, ...] | None = None
    keyed: bool = False

    @property
    def numbers(self) -> tuple[Field, ...]:
        """Features that are not categories."""
        return tuple(f for f in self.fields if not f.coded)

    @property
    def coded(self) -> tuple[Field, ...]:
        """Features that are categories."""
        return tuple(f for f in self.fields if f.coded)

    @property
    def gappy(self) -> tuple[Field, ...]:
        """Features whose cells may be empty."""
        return tuple(f for f in self.fields if f.missing)


def numbers(names: Iterable[str], units: Iterable[float]) -> tuple[Field, ...]:
    """Fields of plain numbers, each with its unit as bound."""
    return tuple(Field(n, "number", u, u) for n, u in zip(names, units, strict=True))
