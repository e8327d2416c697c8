"""What one of Rep3's three parties holds: connections, shared randomness, how it weighs rounds and bytes."""

from __future__ import annotations

from ...ring import layout
from ...ring.prg import Stream, new_seed
from ...types import RING_BITS, Ring
from ..party import Party
from ..shares import Bits
from .cost import Link


class Seat:
    """Party i of the three. Component j of a sharing is known to parties j and j-1: what they share masks it.

    ``low``: the stream of component i, shared with the previous party; ``high``: that of component i+1, shared with
    the next; ``own``: what this party draws from for itself alone, under a seed that never leaves it.
    """

    def __init__(self, party: Party, exact: bool = False, link: Link | None = None) -> None:
        i = party.index
        self.party = party
        self.exact = exact
        self.link = link or Link()
        self.low: Stream = party.streams[(i - 1) % 3]
        self.high: Stream = party.streams[(i + 1) % 3]
        self.own = Stream(new_seed())
        self.width: int = getattr(party.ring, "BITS", RING_BITS)
        self.half = layout.constant(1 << (self.width - 2))  # 2^62: makes every value in range non-negative

    def zero(self, n: int) -> Ring:
        """This party's part of a fresh sharing of zero: F(K_i) - F(K_{i+1})."""
        return self.low.words(n) - self.high.words(n)

    def unknown_bits(self, shape: tuple[int, ...], planes: int = 1) -> Bits:
        """Each component from the stream of its two holders: every party lacks one, so the bits are uniform to it."""
        size = (planes, Bits((), shape).words)
        n = layout.count(size)
        return Bits((self.low.words(n).reshape(size), self.high.words(n).reshape(size)), shape, planes)
