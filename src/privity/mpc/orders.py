"""Secret orders on shares, written once over Protocol: rows moved to secret places, and back.

Places are row numbers in some order, each of 0 to n-1 once. Moving rows shuffles them together with their places and
opens the shuffled places, which are a uniformly random permutation whatever the places are.

Source: Chida et al., ePrint 2019/695; Asharov et al., ePrint 2022/1595 (a shared permutation is applied by shuffling
and opening it).
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import UsageError
from ..ring import layout, order
from ..ring.order import Rows
from ..types import Ring
from .permits import independent
from .protocol import Protocol
from .shares import Places, Share, Shown

Key = tuple[Share, int]
"""(values, bits): one number per row with |value| < 2^bits."""


def row_bits(n: int) -> int:
    """Bits of the row numbers of n rows."""
    return max(1, (n - 1).bit_length())


def row_numbers(proto: Protocol, n: int) -> Share:
    """0 to n-1 as a share."""
    return proto.public(layout.arange(n))


def scatter(proto: Protocol, places: Places, columns: Sequence[Share]) -> list[Share]:
    """Row j goes to row places[j]: shuffle all, open the shuffled places (a random permutation), move. Two rounds."""
    return Scattered(proto, places, columns).columns


class Scattered:
    """``columns`` with row j moved to row places[j], and the way back for what is computed there."""

    def __init__(self, proto: Protocol, places: Places, columns: Sequence[Share]) -> None:
        """Two rounds."""
        n = places.share.shape[0]
        self._proto = proto
        self._mix = proto.mix(n)
        mixed = proto.shuffle_and_open([as_shown(places)], self._mix, columns, permit=independent(places.share))
        self._rows = rows_of(mixed.opened, n)
        rows = order.inverse(self._rows)
        self.columns = [c.map(layout.take(rows)) for c in mixed.items]

    def back(self, columns: Sequence[Share]) -> list[Share]:
        """Row places[j] of the columns moved to row j. Two rounds."""
        return self._proto.shuffle([c.map(layout.take(self._rows)) for c in columns], self._mix, undo=True)


def gather(proto: Protocol, places: Places, columns: Sequence[Share]) -> list[Share]:
    """Row j of the result is row places[j]: open the shuffled places, move, undo the shuffle. Four rounds."""
    return Scattered(proto, places, []).back(columns)


def inverse(proto: Protocol, places: Places) -> Places:
    """The secret permutation that undoes ``places``. Two rounds."""
    return Places(scatter(proto, places, [row_numbers(proto, places.share.shape[0])])[0])


def as_shown(places: Places) -> Shown:
    """Places to be opened, with one bit more than row numbers have: numbers beyond n are then found, or taken modulo a
    power of two above n.
    """
    return Shown(places.share, row_bits(places.share.shape[0]) + 1)


def rows_of(opened: Sequence[Ring] | None, n: int) -> Rows:
    """The first of what was opened as row numbers (in order, if only shapes are known). UsageError if they are none."""
    if opened is None:
        return order.identity(n)
    rows = order.places(opened[0])
    if rows is None:
        raise UsageError(f"expected a secret permutation: each of the row numbers 0 to {n - 1} once; got others")
    return rows
