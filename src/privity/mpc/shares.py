"""Containers for what one party holds of a secret. They show shape only and never decide anything.

A :class:`Share` is over Z_2^64, a :class:`Bits` over GF(2) in bit planes: plane j holds bit j of 64 elements a word.
The meaning of ``parts`` is the protocol's: (x_i, x_{i+1}) for replicated sharing, (x,) for the plaintext protocol,
() where only the shape is known (owners, receivers, planning).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..ring import layout
from ..ring.order import Rows
from ..types import Ring


class Share:
    """One party's part of a secret array over Z_2^64."""

    __slots__ = ("parts", "shape")

    def __init__(self, parts: tuple[Ring, ...], shape: tuple[int, ...]) -> None:
        self.parts = parts
        self.shape = shape

    @property
    def size(self) -> int:
        return layout.count(self.shape)

    def map(self, fn: layout.Local) -> Share:
        """Apply a linear rearrangement to every component."""
        if not self.parts:
            return Share((), layout.result_shape(fn, self.shape))
        parts = tuple([layout.asarray(fn(p)) for p in self.parts])
        return Share(parts, parts[0].shape)

    def flat(self) -> tuple[Ring, ...]:
        """The components, one-dimensional and contiguous."""
        return tuple([layout.flat(p) for p in self.parts])

    def __repr__(self) -> str:
        return f"Share(shape={self.shape})"


class Bits:
    """One party's part of secret bits: ``planes`` planes for each element of an array of ``shape``."""

    __slots__ = ("parts", "planes", "shape")

    def __init__(self, parts: tuple[Ring, ...], shape: tuple[int, ...], planes: int = 1) -> None:
        self.parts = parts
        self.shape = shape
        self.planes = planes

    @property
    def size(self) -> int:
        return layout.count(self.shape)

    @property
    def words(self) -> int:
        """64-bit words in one plane."""
        return (self.size + 63) // 64

    def rows(self, low: int, high: int) -> Bits:
        """Planes low..high-1."""
        return Bits(tuple(p[low:high] for p in self.parts), self.shape, high - low)

    def __repr__(self) -> str:
        return f"Bits(shape={self.shape}, planes={self.planes})"


@dataclass(frozen=True, slots=True)
class Flags:
    """One ring integer per row that is 0 or 1 whatever anybody put in: made from bits, or put together from such.

    What moves rows opens where they go in a shuffled order, which says nothing only if the places are those of true
    flags. So it takes this and not a ``Share``. Whoever makes one vouches for it; a test lists who does, and why.
    """

    share: Share

    def map(self, fn: layout.Local) -> Flags:
        """Rearranged: ``fn`` moves, repeats or leaves out elements, or puts zeros among them."""
        return Flags(self.share.map(fn))


@dataclass(frozen=True, slots=True)
class Places:
    """A secret permutation: each of the row numbers 0 to n - 1 once, whatever anybody put in. Vouched for as Flags."""

    share: Share


class Mix:
    """A secret order of n rows: ``known`` are the permutations that this party has, by the protocol's own naming."""

    __slots__ = ("known", "n")

    def __init__(self, n: int, known: Mapping[int, Rows]) -> None:
        self.n = n
        self.known = known

    def __repr__(self) -> str:
        return f"Mix({self.n} rows)"


@dataclass(frozen=True, slots=True)
class Shown:
    """What ``shuffle_and_open`` opens in the shuffled order: the low ``bits`` bits of a share of n values, or all
    planes (64 at most) of n rows of bits after an XOR with ``mask``, whose row j is for row j of the shuffled order.
    """

    value: Share | Bits
    bits: int
    mask: Bits | None = None


@dataclass(frozen=True, slots=True)
class Mixed:
    """What ``shuffle_and_open`` gives: integers for each Shown (None where no shares are held); what stays secret."""

    opened: list[Ring] | None
    items: list[Share]
    bits: Bits | None


def xor(b: Bits, c: Bits) -> Bits:
    """XOR, plane by plane: local, component by component."""
    return Bits(tuple([p ^ q for p, q in zip(b.parts, c.parts, strict=True)]), b.shape, b.planes)


def merge(shares: Sequence[Share], axis: int, new_axis: bool = False) -> Share:
    """Concatenate (or stack) shares along an axis, component by component."""
    join = layout.stack if new_axis else layout.concatenate
    shape = layout.joined_shape([s.shape for s in shares], axis, new_axis)
    parts = tuple(join(ps, axis) for ps in zip(*(s.parts for s in shares), strict=True))
    return Share(parts, shape)
