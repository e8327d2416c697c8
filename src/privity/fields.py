"""What everybody knows of a table before anybody opens a file: its columns, their kinds, units and bounds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from .errors import UsageError
from .given import name_of, names_of, real_number, shown, true_or_false, whole_number
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

    def __post_init__(self) -> None:
        """Raises UsageError for what no column can be, naming the argument."""
        what = f"Field {shown(self.name)}"
        name_of(what, self.name)
        if not isinstance(self.kind, str) or self.kind not in get_args(Kind):
            raise UsageError(f"{what}: expected kind to be one of {', '.join(get_args(Kind))}, got {shown(self.kind)}")
        unit = real_number(what, "unit", self.unit)
        if not unit > 0 or math.frexp(unit)[0] != 0.5:
            raise UsageError(f"{what}: expected unit to be a power of two, such as 128.0, got {shown(self.unit)}")
        if not real_number(what, "bound", self.bound) >= 0:
            raise UsageError(f"{what}: expected bound of at least 0, got {shown(self.bound)}")
        for argument in ("categories", "owners"):
            words = getattr(self, argument)
            if not isinstance(words, tuple | list) or not all(isinstance(w, str) for w in words):
                raise UsageError(f"{what}: expected {argument} as a tuple of words, got {shown(words)}")
            if len(set(words)) < len(words):
                raise UsageError(f"{what}: expected different {argument}, got {shown(words)}")
        if self.kind == "category" and not self.categories:
            raise UsageError(f"{what}: expected categories, the words that the codes 0, 1, 2 ... stand for")
        true_or_false(what, "missing", self.missing)
        if not isinstance(self.edges, tuple | list) or not isinstance(self.cut, str):
            raise UsageError(f"{what}: expected edges as a tuple of numbers and cut as the name of a table")
        for edge in self.edges:
            real_number(what, "edges", edge)

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

    def __post_init__(self) -> None:
        """Raises UsageError for what no table can be, naming the argument."""
        what = f"TableInfo {shown(self.name)}"
        name_of(what, self.name)
        fields = self.fields
        if not isinstance(fields, tuple | list) or not all(isinstance(f, Field) for f in fields):
            raise UsageError(f"{what}: expected fields as a tuple of Field, got {shown(fields)}")
        if self.label is not None and not isinstance(self.label, Field):
            raise UsageError(f"{what}: expected label to be a Field or None, got {shown(self.label)}")
        names = [f.name for f in (*fields, *([] if self.label is None else [self.label]))]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise UsageError(f"{what}: expected different names, but {', '.join(twice)} come twice")
        if self.capacity is not None:
            whole_number(what, "capacity", self.capacity, 1, 1 << 31)
        if self.owners is not None:
            names_of(f"{what}: owners", self.owners)
        true_or_false(what, "keyed", self.keyed)

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
