"""What an entry of the campaign is: a kind of call, and how one case of it is made.

An entry draws a case from a seeded ``Draw``: what owners bring, the program, what the plain library gives, and the
error that the page or docstring states. Reproducible by (seed, kind, number) alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import privity as pv
from privity.table import TableInfo

ULP = 2.0**-18
"""One unit in the last place at the session's 18 fractional bits."""

GROUPS = ("functions", "statistics", "metrics", "transforms", "tables", "fits")


@dataclass(frozen=True)
class Within:
    """The stated error: |got - want| <= absolute + relative |want| + ulps units in the last place.

    ``page``: where it is stated. ``absolute`` may be an array like the result. float64's own rounding of the reference
    is added.
    """

    page: str
    relative: float = 0.0
    ulps: float = 0.0
    absolute: Any = 0.0

    def allowed(self, want: Any) -> Any:
        size = np.abs(np.nan_to_num(np.asarray(want, np.float64)))
        if self.relative or self.ulps or np.any(self.absolute):
            own: Any = 1e-12 * size
        else:  # exact, as far as float64 holds reals: sums of more than 52 bits are rounded in the reference
            own = np.where(size >= 2.0**33, 2.0**-49 * size, 0.0) if np.asarray(want).dtype.kind == "f" else 0.0
        return self.absolute + self.relative * size + self.ulps * ULP + own


def exact(page: str) -> Within:
    """Equal in every bit."""
    return Within(page)


@dataclass(frozen=True)
class Limit:
    """A refusal that a page announces: the pattern of its message, and the page."""

    pattern: str
    page: str


@dataclass(frozen=True)
class Sheet:
    """A table that owners bring: its public description, cells (rows, columns), label (rows,), keys (rows, 2)."""

    info: TableInfo
    cells: Any
    label: Any = None
    keys: Any = None


class Refuses(Exception):
    """Raised by a reference: the plain library gives no answer either."""


@dataclass
class Case:
    """One case. ``program(s, x)`` returns secret arrays, things with ``open``, plain values, or trees of them.

    ``arrays``: by name, split by rows over the owners, all alike, and given to the program joined as ``x[name]``;
    those in ``whole`` have one owner. ``want``: the same tree in plain numbers, or a function that computes it (and may
    raise). ``within``: one for all leaves, or one for each. ``check``: instead of both, a function of what came that
    returns "" or what is wrong. ``limits``: refusals that are announced. ``words``: names of the user's that a refusal
    may name, beside those of arrays, columns and lines. ``then``: a second session's program; both have one store.
    """

    program: Callable[[Any, dict[str, Any]], Any]
    want: Any = None
    within: Within | Sequence[Within] = ()
    arrays: Mapping[str, pv.Input] = field(default_factory=dict)
    whole: tuple[str, ...] = ()
    sheets: Sequence[Sheet] = ()
    check: Callable[[Any], str] | None = None
    limits: tuple[Limit, ...] = ()
    note: str = ""
    words: tuple[str, ...] = ()
    then: Callable[[Any], Any] | None = None
    owners: int = 1
    minimum_group: int = 1


@dataclass(frozen=True)
class Entry:
    """``kind``: what the summary calls it. ``covers``: the public names that it tests, as coverage.py lists them."""

    kind: str
    group: str
    make: Callable[[Any], Case]
    covers: tuple[str, ...]
    weight: float = 1.0

    def case(self, seed: int, number: int) -> Case:
        from .columns import Draw

        return self.make(Draw(np.random.default_rng([seed, zlib.crc32(self.kind.encode()), number])))


ENTRIES: dict[str, Entry] = {}


def enter(kind: str, group: str, make: Callable[[Any], Case], covers: Sequence[str] = (), weight: float = 1.0) -> None:
    """Add an entry; ``covers`` empty: the kind is the public name."""
    if kind in ENTRIES or group not in GROUPS:
        raise ValueError(f"{kind!r} is entered twice, or its group {group!r} is none of {GROUPS}")
    ENTRIES[kind] = Entry(kind, group, make, tuple(covers) or (kind,), weight)


def entry(group: str, *covers: str, kind: str = "", weight: float = 1.0) -> Callable[[Any], Any]:
    """Decorator: the function makes a case of the (first) name that it covers."""

    def add(make: Callable[[Any], Case]) -> Callable[[Any], Case]:
        enter(kind or covers[0], group, make, covers, weight)
        return make

    return add
