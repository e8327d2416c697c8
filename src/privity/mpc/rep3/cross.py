"""Rep3: what party 1 knows times what parties 0 and 2 know, in one round.

    y = sum_S a_S c_S,  a known to party 1, c to parties 0 and 2;  y_1 and y_2 are masks, y_0 = y - y_1 - y_2

Party 0 needs y - y_2. Party 1 sends it a_S + w_S with pads w that it shares with party 2, and party 2, which knows c,
sends sum_S c_S w_S + y_2: the difference is what party 0 needs, and both messages are uniform to it. Party 2 gets
y - y_1 in the same way and the same round, with the pads of parties 0 and 1. The forms in ``rep3.py`` and
``planes.py`` take two rounds and fewer bytes: ``Link`` chooses.

Adversary  as in protocol.py
Assumes    as in protocol.py
Reveals    shapes and the public bit counts
Error      none
Paper      the three-party oblivious transfer of ABY3 (Mohassel-Rindal, ePrint 2018/403, section 5.4) gives party 0
           one of two messages with the help of party 2; sums of terms and both directions at once are derived here
"""

from __future__ import annotations

from ...ring import layout
from ...ring.prg import Stream
from ...types import Ring
from ..shares import Bits, Share
from .cost import digit_rows, packed
from .seat import Seat

Parts = tuple[Ring, Ring]


def digits(seat: Seat, known: Ring, bits: int, digit: int) -> tuple[Parts, Parts]:
    """Carries of u + v by digits of ``digit`` bits, and bit ``bits`` of u ^ v; ``known``: u at party 1, v at 0 and 2.

    Rows g_0, g_1, t_1, g_2, t_2, ... of both components: whether a digit of the low ``bits`` bits carries out, and
    whether a carry into it comes out. Both are sums of products of bits of u, all of which party 1 sends. Parties 0
    and 2 send 2 digits - 1 planes, party 1 2 (2^digit - 1) digits + 1.
    """
    p, k, i = seat.party, seat.party.ring, seat.party.index
    count, terms = digit_rows(bits, digit)
    low = count * digit  # zeros come below, so that the lowest digit is a whole one
    planes = k.to_planes(known << layout.constant(low - bits), low + 1)
    w, rows = planes.shape[1], 2 * count - 1
    body, top = planes[:low], planes[low:]
    zero_one, one_two = _streams(seat)
    if zero_one is not None:
        pads, first, hidden = (zero_one.words(c * w).reshape(c, w) for c in (terms, rows, 1))
    if one_two is not None:
        more, second = (one_two.words(c * w).reshape(c, w) for c in (terms, rows))
    if i == 1:
        products = k.monomials(body, digit)
        p.exchange([(0, products ^ more), (2, products ^ pads), (2, top ^ hidden)], [], "bits")
        return (first, second), (hidden, top ^ hidden)
    masked, got = layout.empty((terms, w)), layout.empty((rows, w))
    if i == 0:
        p.exchange([(2, k.fold_digits(pads, body, digit, False) ^ first)], [(1, masked), (2, got)], "bits")
        return (k.fold_digits(masked, body, digit, True) ^ got ^ first, first), (top, hidden)
    rest = layout.empty((1, w))
    mine = k.fold_digits(more, body, digit, False) ^ second
    p.exchange([(0, mine)], [(1, masked), (1, rest), (0, got)], "bits")
    return (second, k.fold_digits(masked, body, digit, True) ^ got ^ second), (rest, top)


def bit_to_ring(seat: Seat, bit: Ring) -> Parts:
    """a ^ c as a ring integer, both components; ``bit``: a at party 1, c at 0 and 2, as integers.

    The term that party 0 asks for is a - y_2 or 1 - a - y_2, with pads w and 2 y_2 - w: the sum of both terms and pads
    is 1, so party 1 sends only the first. 8 bytes per element to each of 0 and 2, and 8 between these.
    """
    p, i, n = seat.party, seat.party.index, bit.size
    two, one = layout.constant(2), layout.constant(1)
    zero_one, one_two = _streams(seat)
    if zero_one is not None:
        first, pad = zero_one.words(n), zero_one.words(n)
    if one_two is not None:
        second, more = one_two.words(n), one_two.words(n)
    if i == 1:
        p.exchange([(0, bit - second + more), (2, bit - first + pad)], [], "bit to ring")
        return first, second
    mask, pad = (first, pad) if i == 0 else (second, more)
    masked, got = layout.empty(n), layout.empty(n)
    p.exchange([(2 - i, pad + two * bit * (mask - pad))], [(1, masked), (2 - i, got)], "bit to ring")
    rest = masked + bit * (one - two * masked) - got - mask
    return (rest, mask) if i == 0 else (mask, rest)


def inject(seat: Seat, b: Bits, x: Share) -> Parts:
    """b x, flat, both components; b = a ^ c and x = u + v with a, u known to party 1 and c, v to parties 0 and 2.

        b x = a u + (1 - 2a) u c + a (1 - 2c) v + c v

    The two in the middle are products of what party 1 knows with what 0 and 2 know: party 1 sends each of these
    (1 - 2a) u and a under pads. a u is its input, as a mask and the rest; c v is local to 0 and 2. 40 bytes per element
    from party 1, 8 between 0 and 2.
    """
    p, i, n = seat.party, seat.party.index, x.size
    two = layout.constant(2)
    low, high = x.flat()
    bit = p.ring.from_planes((b.parts[0], b.parts[0] ^ b.parts[1], b.parts[1])[i], n)
    zero_one, one_two = _streams(seat)
    if zero_one is not None:
        pads, first, addend = [zero_one.words(n), zero_one.words(n)], zero_one.words(n), zero_one.words(n)
    if one_two is not None:
        more, second = [one_two.words(n), one_two.words(n)], one_two.words(n)
    if i == 1:
        u = low + high
        known = bit * u
        turned, rest = u - two * known, known - addend
        for_zero, for_two = [(0, turned + more[0]), (0, bit + more[1])], [(2, turned + pads[0]), (2, bit + pads[1])]
        p.exchange([*for_zero, *for_two, (2, rest)], [], "product")
        return first + addend, second + rest
    v, mine, mask = (low, pads, first) if i == 0 else (high, more, second)
    flipped = v - two * (bit * v)
    message = bit * mine[0] + flipped * mine[1] + mask
    masked, choice, got, rest = layout.empty(n), layout.empty(n), layout.empty(n), layout.empty(n if i == 2 else 0)
    expected = [(1, masked), (1, choice), *([(1, rest)] if i == 2 else []), (2 - i, got)]
    p.exchange([(2 - i, message)], expected, "product")
    zero = bit * (masked + v) + flipped * choice - got - mask
    return (zero, mask + addend) if i == 0 else (mask + rest, zero)


def truncate(seat: Seat, known: Ring, d: int) -> Parts:
    """``truncation.addends`` in one round: b of party 1 times m of 0 and 2 modulo 2^d, with pads as long."""
    p, k, i, n = seat.party, seat.party.ring, seat.party.index, known.size
    top = layout.constant(seat.width - d)
    zero_one, one_two = _streams(seat)
    if zero_one is not None:
        addend, first, pad = zero_one.words(n), zero_one.words(n), zero_one.words(n)
    if one_two is not None:
        second, more = one_two.words(n), one_two.words(n)
    if i == 1:
        rest, for_two = k.trunc_known_u(known, d, addend, first - pad)
        for_zero = for_two + (first - pad) - (second - more)
        p.exchange([(0, k.pack_low(for_zero, d)), (2, rest), (2, k.pack_low(for_two, d))], [], "truncation")
        return addend - (first << top), rest - (second << top)
    mask, pad = (first, pad) if i == 0 else (second, more)
    mine = k.pack_low(k.bit_times(pad - mask, known, layout.negative(mask), d), d)
    size = packed(n, d)
    masked, got, rest = layout.empty_bytes(size), layout.empty_bytes(size), layout.empty(n if i == 2 else 0)
    p.exchange([(2 - i, mine)], [*([(1, rest)] if i == 2 else []), (1, masked), (2 - i, got)], "truncation")
    both = k.bit_times(k.unpack_low(masked, d, n), known, k.unpack_low(got, d, n) + mask, d)
    zero = k.trunc_known_v(known, d, both)
    if i == 0:
        return zero, addend - (mask << top)
    return rest - (mask << top), zero


def _streams(seat: Seat) -> tuple[Stream | None, Stream | None]:
    """The streams of parties 0 and 1, and of 1 and 2, where they are held."""
    return ((seat.high, None), (seat.low, seat.high), (None, seat.low))[seat.party.index]
