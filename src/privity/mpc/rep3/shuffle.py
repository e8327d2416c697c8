"""Rep3 shuffles: rows in an order that no party knows, and openings of what only makes sense in that order.

    x = a + b, a at party A, b at party B; the pairs (A, B), (B, C), (C, A) permute one after the other

Adversary  as in protocol.py: of the three permutations a party lacks one
Assumes    as in protocol.py
Reveals    shapes; ``shuffle_and_open`` and ``open_bits`` open to all compute parties what the caller has made
           independent of the secrets: positions, masked digits and comparisons of distinct keys in shuffled order
Error      none; permutations are uniform (ring/order.py)
Paper      Laur, Willemson, Zhang, ISC 2011 (resharing-based shuffle); the form that hands an additive sharing from
           pair to pair in two rounds, and opens in the second, is derived here
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...ring import layout, order
from ...types import Cost, Ring
from ..shares import Bits, Mix, Mixed, Share, Shown
from .cost import packed
from .seat import Seat

_WORD = 64


def cost_shuffle(n: int) -> Cost:
    """n values moved (rows times columns), in either direction."""
    return Cost(2, (16 * n, 8 * n, 8 * n))


def cost_shuffle_and_open(n: int, values: int = 0, planes: int = 0, shown: Sequence[int] = ()) -> Cost:
    """n rows with ``values`` ring values and ``planes`` bits each in all moved; ``shown``: bits of what is opened."""
    moved = 8 * values + sum(packed(n, min(_WORD, planes - low)) for low in range(0, planes, _WORD))
    opened = sum(packed(n, bits) for bits in shown)
    return Cost(2, (2 * moved + 3 * opened, moved + opened, moved + 2 * opened))


def cost_open_bits(n: int, planes: int = 1) -> Cost:
    return Cost(1, (8 * planes * ((n + 63) // 64),) * 3)


def draw(seat: Seat, n: int) -> Mix:
    """The two permutations that this party knows, named by the party that does not: drawn with the third one."""
    i = seat.party.index
    low, high = order.permutation(seat.low.words, n), order.permutation(seat.high.words, n)
    return Mix(n, {(i + 1) % 3: low, (i - 1) % 3: high})


@dataclass(frozen=True, slots=True)
class _Columns:
    """Columns that move together: both components, flat, one column behind the other; only the low ``bits`` count."""

    parts: tuple[Ring, Ring]
    widths: tuple[int, ...]
    bits: int = _WORD
    xor: bool = False

    def plus(self, x: Ring, y: Ring) -> Ring:
        return x ^ y if self.xor else x + y

    def minus(self, x: Ring, y: Ring) -> Ring:
        return x ^ y if self.xor else x - y

    @property
    def size(self) -> int:
        return self.parts[0].size

    def message(self, ring: Any, x: Ring) -> Any:
        return x if self.bits == _WORD else ring.pack_low(x, self.bits)

    def buffer(self) -> Any:
        return layout.empty(self.size) if self.bits == _WORD else layout.empty_bytes(packed(self.size, self.bits))

    def values(self, ring: Any, message: Any) -> Ring:
        unpacked: Ring = message if self.bits == _WORD else ring.unpack_low(message, self.bits, self.size)
        return unpacked


def _roles(undo: bool) -> tuple[int, int, int]:
    return (0, 2, 1) if undo else (0, 1, 2)


def _stream(seat: Seat, other: int) -> Any:
    return seat.low if other == (seat.party.index - 1) % 3 else seat.high


def _lacking(i: int, a: int) -> int:
    """Which of party i's components party a lacks."""
    return 0 if i == (a - 1) % 3 else 1


def _permuted(seat: Seat, columns: Sequence[_Columns], mix: Mix, undo: bool) -> list[Ring]:
    """The rows moved by the three permutations one after the other, the last first if ``undo``. One round.

    A and B hold x = a + b and permute it, masked anew (z from their stream); A passes a to C, for which it is uniform.
    B permutes b with C's permutation too and passes it to A, masked by t from the stream of B and C; C does and adds
    the same. What is left to do is the permutation of C and A, who now hold the sum: their parts of it (nothing at B).
    """
    p, i = seat.party, seat.party.index
    a, b, c = _roles(undo)

    def moved(of: _Columns, values: Ring, absent: int) -> Ring:
        return order.taken(values, of.widths, order.inverse(mix.known[absent]) if undo else mix.known[absent])

    if i == b:
        side, out = _lacking(i, a), []
        for of in columns:
            part = of.minus(moved(of, of.parts[side], c), _stream(seat, a).words(of.size))
            out.append(of.minus(moved(of, part, a), _stream(seat, c).words(of.size)))
        p.exchange([(a, of.message(p.ring, x)) for of, x in zip(columns, out, strict=True)], [], "shuffle")
        return []
    got = [of.buffer() for of in columns]
    if i == a:
        out = [of.plus(moved(of, of.plus(*of.parts), c), _stream(seat, b).words(of.size)) for of in columns]
        p.exchange(
            [(c, of.message(p.ring, x)) for of, x in zip(columns, out, strict=True)], [(b, x) for x in got], "shuffle"
        )
        return [moved(of, of.values(p.ring, x), b) for of, x in zip(columns, got, strict=True)]
    p.exchange([], [(a, x) for x in got], "shuffle")
    halves = []
    for of, x in zip(columns, got, strict=True):
        half = of.plus(moved(of, of.values(p.ring, x), a), _stream(seat, b).words(of.size))
        halves.append(moved(of, half, b))
    return halves


def _reshared(
    seat: Seat,
    kept: Sequence[_Columns],
    shown: Sequence[_Columns],
    halves: Sequence[Ring],
    undo: bool,
    masks: Sequence[tuple[Ring, Ring] | None],
) -> tuple[list[tuple[Ring, Ring]], list[Ring]]:
    """The second round: what A and C hold of ``kept`` becomes shares, what they hold of ``shown`` is opened to all.

    Shares: components AB and BC come from the streams; CA is what A and C send each other, masked by these. Openings:
    A and C send their parts, masked by a zero share of theirs, since B knows one part in another order; ``masks`` (in
    the shuffled order) are added first, by A the components it has, by C the one that A lacks.
    """  # fmt: skip
    p, i = seat.party, seat.party.index
    a, b, c = _roles(undo)
    if i == b:
        shares = []
        for of in kept:
            first, second = _stream(seat, a).words(of.size), _stream(seat, c).words(of.size)
            shares.append((first, second) if a == (i - 1) % 3 else (second, first))
        both = [(of.buffer(), of.buffer()) for of in shown]
        receive = [(a, x) for x, _ in both] + [(c, y) for _, y in both]
        p.exchange([], receive, "opened order" if shown else "shuffle")
        opened = [of.plus(of.values(p.ring, x), of.values(p.ring, y)) for of, (x, y) in zip(shown, both, strict=True)]
        return shares, opened
    other = c if i == a else a
    own = [_stream(seat, b).words(of.size) for of in kept]
    mine = [of.minus(half, mask) for of, half, mask in zip(kept, halves, own, strict=False)]
    told = []
    for of, half, mask in zip(shown, halves[len(kept) :], masks, strict=True):
        zero = _stream(seat, other).words(of.size)
        told.append(of.plus(half, zero) if i == a else of.minus(half, zero))
        if mask is not None:
            told[-1] = of.plus(told[-1], of.plus(*mask) if i == a else mask[_lacking(i, a)])
    sent = [of.message(p.ring, x) for of, x in zip([*kept, *shown], [*mine, *told], strict=True)]
    got = [of.buffer() for of in [*kept, *shown]]
    p.exchange(
        [(other, x) for x in sent] + [(b, x) for x in sent[len(kept) :]], [(other, x) for x in got],
        "opened order" if shown else "shuffle",
    )  # fmt: skip
    shares = []
    for of, mask, x, y in zip(kept, own, mine, got, strict=False):
        last = of.plus(x, of.values(p.ring, y))  # component CA
        shares.append((last, mask) if other == (i - 1) % 3 else (mask, last))
    opened = [of.plus(x, of.values(p.ring, y)) for of, x, y in zip(shown, told, got[len(kept) :], strict=True)]
    return shares, opened


def _ring_columns(items: Sequence[Share]) -> list[_Columns]:
    """Arrays of rows as one group (none if there are no arrays)."""
    if not items:
        return []
    flat = [x.flat() for x in items]
    parts = tuple(x[0] if len(x) == 1 else layout.concatenate(x, 0) for x in zip(*flat, strict=True))
    return [_Columns((parts[0], parts[1]), tuple(layout.count(x.shape[1:]) for x in items))]


def _split(parts: Sequence[tuple[Ring, Ring]], items: Sequence[Share]) -> list[Share]:
    out, at = [], 0
    for x in items:
        first, second = (part[at : at + x.size].reshape(x.shape) for part in parts[0])
        out.append(Share((first, second), x.shape))
        at += x.size
    return out


def _bit_columns(seat: Seat, b: Bits | None) -> list[_Columns]:
    """Rows of bits as words, a group for every 64 planes."""
    if b is None:
        return []
    blocks = [b.rows(low, min(low + _WORD, b.planes)) for low in range(0, b.planes, _WORD)]
    width = layout.count(b.shape[1:])
    return [_Columns(_words(seat, x), (width,), x.planes, True) for x in blocks]


def _words(seat: Seat, b: Bits) -> tuple[Ring, Ring]:
    first, second = (seat.party.ring.from_planes(part, b.size) for part in b.parts)
    return first, second


def shuffle(seat: Seat, items: Sequence[Share], mix: Mix, undo: bool = False) -> list[Share]:
    """Rows moved by the three permutations; shares are fresh. Two rounds."""
    columns = _ring_columns(items)
    halves = _permuted(seat, columns, mix, undo)
    return _split(_reshared(seat, columns, [], halves, undo, [])[0], items)


def shuffle_and_open(seat: Seat, shown: Sequence[Shown], mix: Mix, items: Sequence[Share], bits: Bits | None) -> Mixed:
    """As shuffle, and ``shown`` opened in the shuffled order, in the same two rounds."""
    k = seat.party.ring
    told: list[_Columns] = []
    for each in shown:
        if isinstance(each.value, Share):
            first, second = each.value.flat()
            told.append(_Columns((first, second), (layout.count(each.value.shape[1:]),), each.bits))
        else:
            told.extend(_bit_columns(seat, each.value))
    kept = [*_ring_columns(items), *_bit_columns(seat, bits)]
    halves = _permuted(seat, [*kept, *told], mix, False)
    masks = [None if x.mask is None else _words(seat, x.mask) for x in shown]
    shares, opened = _reshared(seat, kept, told, halves, False, masks)
    moved = None
    if bits is not None:
        words = shares[1 if items else 0 :]
        blocks = [
            [k.to_planes(part, of.bits) for part in parts]
            for of, parts in zip(kept[1 if items else 0 :], words, strict=True)
        ]
        joined = (x[0] if len(x) == 1 else layout.concatenate(x, 0) for x in zip(*blocks, strict=True))
        moved = Bits(tuple(joined), bits.shape, bits.planes)
    low = [layout.low_bits(value, of.bits) for of, value in zip(told, opened, strict=True)]
    return Mixed(low, _split(shares, items), moved)


def open_bits(seat: Seat, b: Bits) -> Ring:
    """Planes of bits as integers at all compute parties."""
    p, i = seat.party, seat.party.index
    first, second = b.parts
    missing = layout.empty(first.shape)
    p.exchange([((i + 1) % 3, layout.copy(first))], [((i - 1) % 3, missing)], "bits")
    opened: Ring = p.ring.from_planes(first ^ second ^ missing, b.size)
    return opened.reshape(b.shape)
