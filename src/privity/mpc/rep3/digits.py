"""Rep3 random digits: w bits that no party knows, and which of the 2^w values they are, as shares.

    r = a ^ c, a = r1 ^ r2 known to party 1, c = r0 known to parties 0 and 2

Adversary  as in protocol.py: of the three components of a digit a party lacks one
Assumes    as in protocol.py
Reveals    shapes
Error      none
Paper      derived here: the conversion of bits in planes.py, for w bits at once. What it is for, a table turned by
           an opened masked value: Ishai et al., TCC 2013
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ...ring import layout, order
from ...ring.prg import Stream
from ...types import Cost, Ring
from ..shares import Bits, Share
from .cost import packed
from .seat import Seat

_each = partial(zip, strict=True)


def cost(n: int, widths: Sequence[int], bits: int) -> Cost:
    """Each party sends 2^w - 1 values of ``bits`` bits for each of n digits of w bits; two rounds for all widths."""
    return Cost(2, (sum(packed(n * ((1 << w) - 1), bits) for w in widths),) * 3)


def random_digits(seat: Seat, n: int, widths: Sequence[int], bits: int) -> list[tuple[Bits, Share]]:
    """Party 1 shares the one-hot rows of a with 0 and 2 (masked by the stream of 0 and 1). These know c, so each turns
    its part: entry j ^ c goes to entry j. Both parts, masked anew (by the streams with party 1), are exchanged.

    The last entry is 1 less the others; it is never sent.
    """
    p, k, i = seat.party, seat.party.ring, seat.party.index
    masks = [seat.unknown_bits((n,), w) for w in widths]
    shapes = [(n, 1 << w) for w in widths]
    sizes = [packed(n * ((1 << w) - 1), bits) for w in widths]

    def drawn(stream: Stream) -> list[Ring]:
        """Masks for all flags; the last of each row follows from the others, and the constant 1 is no mask's."""
        return [order.complete(stream.words(layout.count(s)).reshape(s), False) for s in shapes]

    def message(flags: Ring) -> Ring:
        packet: Ring = k.pack_low(layout.flat(flags[:, :-1]), bits)
        return packet

    def read(packet: Ring, shape: tuple[int, int], own: Ring | None = None) -> Ring:
        """Flags as they were sent, added to a party's ``own``; the constant 1 is in them."""
        rows = layout.empty(shape)
        got = k.unpack_low(packet, bits, n * (shape[1] - 1)).reshape(n, shape[1] - 1)
        layout.write(rows, (slice(None), slice(None, -1)), got if own is None else own + got)
        return order.complete(rows, True)

    if i == 1:
        hidden = drawn(seat.low)
        parts = list(_each(drawn(seat.low), drawn(seat.high)))
        known = [k.from_planes(r.parts[0] ^ r.parts[1], n) for r in masks]
        told = [message(order.one_hot(a, s[1]) - mask) for a, s, mask in _each(known, shapes, hidden)]
        p.exchange([(2, x) for x in told], [], "digits")
        p.exchange([], [], "digits")
        return [(r, Share(both, s)) for r, both, s in _each(masks, parts, shapes)]
    packets = [layout.empty_bytes(size) for size in sizes]
    if i == 0:
        given = drawn(seat.high)
        p.exchange([], [], "digits")
    else:
        p.exchange([], [(1, x) for x in packets], "digits")
        given = [read(x, s) for x, s in _each(packets, shapes)]
    again = drawn(seat.high if i == 0 else seat.low)
    mine = []
    for r, flags, mask, w in _each(masks, given, again, widths):
        turn = order.turned(k.from_planes(r.parts[0 if i == 0 else 1], n), w)
        mine.append(layout.low_bits((turn(flags) - mask)[:, :-1], bits))
    packets = [layout.empty_bytes(size) for size in sizes]
    p.exchange([(2 - i, k.pack_low(layout.flat(x), bits)) for x in mine], [(2 - i, x) for x in packets], "digits")
    sums = [read(x, s, own) for x, s, own in _each(packets, shapes, mine)]  # component 0
    parts = list(_each(sums, again) if i == 0 else _each(again, sums))
    return [(r, Share(both, s)) for r, both, s in _each(masks, parts, shapes)]
