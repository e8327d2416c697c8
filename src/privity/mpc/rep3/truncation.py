"""Rep3 truncation: divided by a power of two with one stochastic rounding, by the wrap bit of two addends.

Adversary  one curious compute party
Assumes    private, authenticated channels; pairwise streams
Reveals    nothing but shift and shape; the rounding depends on the low bits of a mask that one party knows, so it is
           secure against the functionality that gives them to the adversary: docs/security/rep3.md
Error      below 1 ulp, exact on multiples, unbiased where the shares are uniform
Paper      the wrap-bit method of MP-SPDZ ("small gap") with unbiased rounding; Curl, ePrint 2024/1127
"""

from __future__ import annotations

from ...ring import layout
from ...types import Ring
from ..party import Rounds
from ..shares import Share
from . import cross
from .cost import packed
from .seat import Seat


def additive(seat: Seat, z: Ring, shape: tuple[int, ...], shift: int) -> Share:
    """Parties 2 and 0 pass z_2 and z_0 on so that u = z_1 + z_2 is party 1's and v = z_0 that of 0 and 2."""
    p, i = seat.party, seat.party.index
    if i == 0:
        z = z + seat.half
        p.exchange([(2, z)], [], "product")
        known = z
    elif i == 1:
        known = layout.empty(z.size)
        p.exchange([], [(2, known)], "product")
        known += z
    else:
        known = layout.empty(z.size)
        p.exchange([(1, z)], [(0, known)], "product")
    return addends(seat, known, shape, shift)


def addends(seat: Seat, known: Ring, shape: tuple[int, ...], d: int) -> Share:
    """As ``truncation``; small batches take one round."""
    if seat.link.hurry(packed(known.size, d)):
        low, high = cross.truncate(seat, known, d)
        return Share((low.reshape(shape), high.reshape(shape)), shape)
    result: Share = seat.party.run(rounds(seat, known, shape, d))
    return result


def rounds(seat: Seat, known: Ring, shape: tuple[int, ...], d: int, tell: bool = False) -> Rounds[Share]:
    """x + 2^62 = u + v, u at party 1, v at parties 0 and 2. With m = msb(v) and b = 1 - msb(u):

        x / 2^d = A + (v >> d) + [v mod 2^d != 0] - 2^(64-d) b m - 2^(62-d),   A = (u >> d) - msb(u) 2^(64-d)

    A and b are party 1's inputs; b m is local to 0 and 2, reshared modulo 2^d: only its low d bits count.
    ``tell``: party 2 does not know v yet (its ``known`` is to be filled); party 0 sends it in the first round.
    """
    k, i = seat.party.ring, seat.party.index
    n = known.size
    top = layout.constant(seat.width - d)
    size = packed(n, d)
    if i == 1:
        r1, b1, s1 = (seat.low.words(n) for _ in range(3))
        s2 = seat.high.words(n)
        a2, b2 = k.trunc_known_u(known, d, r1, b1)
        yield [(2, a2), (2, k.pack_low(b2, d))], [], "truncation"
        yield [], [], "truncation"
        parts = (r1 - (s1 << top), a2 - (s2 << top))
    elif i == 0:
        r1, b1, s1 = (seat.high.words(n) for _ in range(3))
        yield [(2, known)] if tell else [], [], "truncation"
        mine = k.bit_times(b1, known, s1, d)
        got = layout.empty_bytes(size)
        yield [(2, k.pack_low(mine, d))], [(2, got)], "truncation"
        parts = (k.trunc_known_v(known, d, mine + k.unpack_low(got, d, n)), r1 - (s1 << top))
    else:
        s2 = seat.low.words(n)
        a2, got_b, got = layout.empty(n), layout.empty_bytes(size), layout.empty_bytes(size)
        yield [], [*([(0, known)] if tell else []), (1, a2), (1, got_b)], "truncation"
        mine = k.bit_times(k.unpack_low(got_b, d, n), known, s2, d)
        yield [(0, k.pack_low(mine, d))], [(0, got)], "truncation"
        parts = (a2 - (s2 << top), k.trunc_known_v(known, d, mine + k.unpack_low(got, d, n)))
    return Share((parts[0].reshape(shape), parts[1].reshape(shape)), shape)
