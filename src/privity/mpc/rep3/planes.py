"""Rep3 on bits: 64 lanes a word in bit planes, comparison by a two-addend link, conversion both ways.

    b = b0 ^ b1 ^ b2;  party i holds (b_i, b_{i+1})

Adversary  as in protocol.py
Assumes    as in protocol.py
Reveals    shapes and the public bit counts
Error      none
Paper      Araki et al., CCS 2016 (AND); the carry-only tree has 181 ANDs for 63 bits

A value x = x0 + x1 + x2 is read as u + v with u = x1 + x2 known to party 1 and v = x0 known to parties 0 and 2: two
addends, so that one carry chain gives the sign, the bits of v cost nothing and those of u one message.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...ring import layout
from ...types import Ring
from ..shares import Bits, Share, xor
from . import cross, inputs
from .cost import RIPPLE, sklansky
from .seat import Seat

_WIDE = 128  # words per plane from which planes are combined one by one instead of being gathered first


# -- gates -------------------------------------------------------------------------------------------------------


def invert(seat: Seat, b: Bits) -> Bits:
    """Flip component 0, held by party 0 (first) and party 2 (second)."""
    first, second = b.parts
    if seat.party.index == 0:
        first = ~first
    elif seat.party.index == 2:
        second = ~second
    return Bits((first, second), b.shape, b.planes)


Parts = tuple[Ring, ...]
Block = tuple[Parts, Parts]


def and_(seat: Seat, b: Bits, c: Bits) -> Bits:
    """z_i = b_i (c_i ^ c_{i+1}) ^ b_{i+1} c_i ^ zero_i, passed to the previous party."""
    return _and_blocks(seat, [(b.parts, c.parts)], b.shape)


def _and_blocks(seat: Seat, blocks: Sequence[Block], shape: tuple[int, ...]) -> Bits:
    """AND of the two operands of every block, plane by plane, the results one below the other; one round in all."""
    p, k = seat.party, seat.party.ring
    w = blocks[0][0][0].shape[1]
    z = layout.empty((sum(len(left[0]) for left, _ in blocks), w))
    if w >= _WIDE:  # plane by plane: operands and masks of one AND stay in the cache
        row = 0
        for (xa, xb), (ya, yb) in blocks:
            for i in range(len(xa)):
                k.rep3_and(xa[i], xb[i], ya[i], yb[i], seat.low.words(w), seat.high.words(w), out=z[row])
                row += 1
    elif z.size:
        operands = [layout.concatenate([block[side][c] for block in blocks], 0) for side in (0, 1) for c in (0, 1)]
        masks = (seat.low.words(z.size).reshape(z.shape), seat.high.words(z.size).reshape(z.shape))
        k.rep3_and(*operands, *masks, out=z)
    nxt = layout.empty(z.shape)
    p.exchange([((p.index - 1) % 3, z)], [((p.index + 1) % 3, nxt)], "bits")
    return Bits((z, nxt), shape, len(z))


def matmul(seat: Seat, x: Bits, y: Bits) -> Bits:
    """x (m, k) times the k planes of y: as ``and_``, each party adds its parts of all products up before it sends."""
    p, k = seat.party, seat.party.ring
    marks = [k.from_planes(part, x.size).reshape(x.shape) for part in x.parts]
    z = k.rep3_select(*marks, *y.parts)
    z ^= (seat.low.words(z.size) ^ seat.high.words(z.size)).reshape(z.shape)
    nxt = layout.empty(z.shape)
    p.exchange([((p.index - 1) % 3, z)], [((p.index + 1) % 3, nxt)], "bits")
    return Bits((z, nxt), y.shape, x.shape[0])


def _planes(b: Bits, key: slice | list[int]) -> Parts:
    """Some planes of every component."""
    return tuple(part[key] for part in b.parts)


def _input_u(seat: Seat, planes: Ring, shape: tuple[int, ...]) -> Bits:
    """Party 1's ``planes`` as bits: component 1 from the stream of 0 and 1, component 2 sent to party 2.

    The other parties' ``planes`` (of v) only tell the size.
    """
    p, i = seat.party, seat.party.index
    count, w = planes.shape
    if i == 1:
        mask = seat.low.words(count * w).reshape(count, w)
        rest = planes ^ mask
        p.exchange([(2, rest)], [], "bits")
        return Bits((mask, rest), shape, count)
    if i == 0:
        mask = seat.high.words(count * w).reshape(count, w)
        p.exchange([], [], "bits")
        return Bits((layout.zeros_like(mask), mask), shape, count)
    rest = layout.empty((count, w))
    p.exchange([], [(1, rest)], "bits")
    return Bits((rest, layout.zeros_like(rest)), shape, count)


def _with_v(seat: Seat, u: Bits, v: Ring | None) -> Bits:
    """u ^ v, where v (planes) is known to parties 0 and 2: it goes into the empty component 0."""
    first, second = u.parts
    if v is None:
        return Bits((first, second), u.shape, u.planes)
    return Bits((v, second) if seat.party.index == 0 else (first, v), u.shape, u.planes)


def _and_v(seat: Seat, u: Bits, v: Ring | None, low: int, high: int) -> Bits:
    """u & v on planes low..high-1: u_1 & v at party 0, u_2 & v at party 2; only these two talk, masked."""
    p, i = seat.party, seat.party.index
    count, w = high - low, u.parts[0].shape[1]
    if i == 1:
        parts = (seat.low.words(count * w).reshape(count, w), seat.high.words(count * w).reshape(count, w))
        p.exchange([], [], "bits")
        return Bits(parts, u.shape, count)
    assert v is not None
    mask = (seat.high if i == 0 else seat.low).words(count * w).reshape(count, w)
    piece = (u.parts[1] if i == 0 else u.parts[0])[low:high] & v[low:high]
    piece ^= mask
    other = layout.empty((count, w))
    p.exchange([(2 - i, piece)], [(2 - i, other)], "bits")
    other ^= piece
    return Bits((other, mask) if i == 0 else (mask, other), u.shape, count)


# -- adders ------------------------------------------------------------------------------------------------------


def _split(seat: Seat, x: Share) -> Ring:
    """u = x1 + x2 at party 1, v = x0 at parties 0 and 2, one-dimensional."""
    a, b = x.flat()
    return (a, a + b, b)[seat.party.index]


def tree(seat: Seat, rows: Parts, shape: tuple[int, ...]) -> Bits:
    """Carry out of all positions, given in rows g_0, g_1, t_1, g_2, t_2, ... of every component; combined by halves."""
    p, k = seat.party, seat.party.ring
    a, b = rows
    w = a.shape[1]
    while len(a) > 1:
        fresh = 2 * ((len(a) + 1) // 4) - 1
        if w >= _WIDE:
            a, b = _wide_level(seat, a, b)
        else:
            masks = (seat.low.words(fresh * w).reshape(fresh, w), seat.high.words(fresh * w).reshape(fresh, w))
            a, b = k.and_level(a, b, *masks)
        p.exchange([((p.index - 1) % 3, a[:fresh])], [((p.index + 1) % 3, b[:fresh])], "bits")
    return Bits((a, b), shape, 1)


def _wide_level(seat: Seat, a: Ring, b: Ring) -> Parts:
    """As the kernel ``and_level``, plane by plane: operands and masks of one AND stay in the cache."""
    k, count, w = seat.party.ring, (len(a) + 1) // 2, a.shape[1]
    pairs, left = count // 2, 2 * (count % 2)
    za, zb = (layout.empty((2 * pairs - 1 + left, w)) for _ in range(2))
    for i in range(pairs):
        high, row = 4 * i + 2, max(0, 2 * i - 1)
        for low, to in ((max(0, 4 * i - 1), row), *(((4 * i, row + 1),) if i else ())):
            k.rep3_and(a[high], b[high], a[low], b[low], seat.low.words(w), seat.high.words(w), out=za[to])
        layout.xor_into(za[row], a[high - 1])
    for new, old in ((za, a), (zb, b)) if left else ():
        layout.write(new, slice(-2, None), old[-2:])
    return za, zb


def _ripple(seat: Seat, u: Bits, v: Ring | None, bits: int) -> Iterator[Bits]:
    """c_1 to c_bits; c_{j+1} = u_j ^ ((u_j ^ v_j) & (u_j ^ c_j)), c_1 = u_0 & v_0: one AND and one round a bit."""
    carry = _and_v(seat, u, v, 0, 1)
    both = _with_v(seat, u, v)
    yield carry
    for j in range(1, bits):
        uj = u.rows(j, j + 1)
        carry = xor(uj, and_(seat, both.rows(j, j + 1), xor(uj, carry)))
        yield carry


def _carry(seat: Seat, g: Bits, u: Bits, v: Ring | None, bits: int) -> Bits:
    """Carry out of the low ``bits`` bits of u + v, by the tree; g = u & v."""
    t = _with_v(seat, u.rows(0, bits), _rows(v, 0, bits))
    return tree(seat, tuple(layout.interleaved(*pair) for pair in zip(g.parts, t.parts, strict=True)), g.shape)


def _addends(seat: Seat, planes: Ring, shape: tuple[int, ...]) -> tuple[Bits, Ring | None]:
    """Shares of u's planes, and v's planes where they are known (parties 0 and 2)."""
    return _input_u(seat, planes, shape), None if seat.party.index == 1 else planes


def _rows(v: Ring | None, low: int, high: int) -> Ring | None:
    return None if v is None else v[low:high]


def msb(seat: Seat, x: Share, bits: int, blur: int = 0) -> Bits:
    """Bit ``bits`` of x, which is its sign when |x| < 2^bits.

    ``blur`` low bits of both addends are left out, and with them their carry: 0 <= x < 2^blur may count as negative.
    """
    k, known = seat.party.ring, _split(seat, x)
    if blur:
        known, bits = known >> layout.constant(blur), bits - blur
    circuit = seat.link.circuit(x.size, bits, seat.width)
    if circuit > 1:
        rows, top = cross.digits(seat, known, bits, circuit)
        return xor(tree(seat, rows, x.shape), Bits(top, x.shape))
    u, v = _addends(seat, k.to_planes(known, bits + 1), x.shape)
    if circuit == RIPPLE:
        *_, carry = _ripple(seat, u, v, bits)
    else:
        carry = _carry(seat, _and_v(seat, u, v, 0, bits), u, v, bits)
    return xor(carry, _with_v(seat, u.rows(bits, bits + 1), _rows(v, bits, bits + 1)))


def decompose(seat: Seat, x: Share, count: int, serial: bool = False) -> Bits:
    """The low ``count`` bits of x: sum bit j = u_j ^ v_j ^ carry_j with all carries from a Sklansky link; ``serial``:
    from one bit to the next, with a fifth of the ANDs.
    """
    u, v = _addends(seat, seat.party.ring.to_planes(_split(seat, x), count), x.shape)
    total = _with_v(seat, u, v)
    positions = count - 1
    if positions == 0:
        return total
    if serial:
        sums = tuple(layout.copy(a) for a in total.parts)
        for j, carry in enumerate(_ripple(seat, u, v, positions), 1):
            for total_part, carries in zip(sums, carry.parts, strict=True):
                layout.xor_into(total_part[j], carries[0])
        return Bits(sums, x.shape, count)
    g = _and_v(seat, u, v, 0, positions)
    g_parts = [layout.copy(a) for a in g.parts]
    t_parts = [layout.copy(a[:positions]) for a in total.parts]
    for i_g, j_g, i_t, j_t in sklansky(positions):
        t_bits, g_bits = Bits(tuple(t_parts), x.shape, positions), Bits(tuple(g_parts), x.shape, positions)
        blocks = [(_planes(t_bits, i_g), _planes(g_bits, j_g)), (_planes(t_bits, i_t), _planes(t_bits, j_t))]
        z = _and_blocks(seat, blocks, x.shape)
        for c in range(2):
            g_parts[c][i_g] ^= z.parts[c][: len(i_g)]
            t_parts[c][i_t] = z.parts[c][len(i_g) :]
    parts = []
    for a, b in zip(total.parts, g_parts, strict=True):
        out = layout.copy(a)
        out[1:] ^= b
        parts.append(out)
    return Bits(tuple(parts), x.shape, count)


def is_zero(seat: Seat, x: Share, bits: int) -> Bits:
    """u == -v on the low bits: AND over all planes of NOT(u ^ -v)."""
    known = _split(seat, x)
    known = known if seat.party.index == 1 else layout.negative(known)
    u, v = _addends(seat, seat.party.ring.to_planes(known, bits), x.shape)
    e = invert(seat, _with_v(seat, u, v))
    while e.planes > 1:
        pairs = e.planes // 2
        z = _and_blocks(seat, [(_planes(e, slice(1, 2 * pairs, 2)), _planes(e, slice(0, 2 * pairs, 2)))], x.shape)
        if e.planes % 2:
            last = e.planes - 1
            parts = tuple(layout.concatenate([a, b[last:]], 0) for a, b in zip(z.parts, e.parts, strict=True))
            z = Bits(parts, x.shape, pairs + 1)
        e = z
    return e


# -- conversion --------------------------------------------------------------------------------------------------


def b2a(seat: Seat, b: Bits) -> Share:
    """b = a ^ c = a + c - 2 a c with a = b1 ^ b2 known to party 1 and c = b0 known to parties 0 and 2.

    Party 1 inputs a as (PRG, a - PRG); a c is local to 0 and 2 and reshared between them. Few bits take one round.
    """
    p, k, i = seat.party, seat.party.ring, seat.party.index
    n = b.size
    shape = b.shape if b.planes == 1 else (b.planes, *b.shape)
    total = n * b.planes
    hurry = seat.link.hurry(8 * total)
    two = layout.constant(2)

    def ints(planes: Ring) -> Ring:
        return layout.concatenate([k.from_planes(planes[j : j + 1], n) for j in range(b.planes)], 0)

    first, second = b.parts
    if hurry:
        parts = cross.bit_to_ring(seat, ints(first ^ second if i == 1 else first if i == 0 else second))
    elif i == 1:
        a = ints(first ^ second)
        a1, r1 = seat.low.words(total), seat.low.words(total)
        r2 = seat.high.words(total)
        a2 = a - a1
        p.exchange([(2, a2)], [], "bit to ring")
        p.exchange([], [], "bit to ring")
        parts = (a1 - two * r1, a2 - two * r2)
    elif i == 0:
        c = ints(first)
        a1, r1 = seat.high.words(total), seat.high.words(total)
        p.exchange([], [], "bit to ring")
        mine, got = a1 * c - r1, layout.empty(total)
        p.exchange([(2, mine)], [(2, got)], "bit to ring")
        parts = (c - two * (mine + got), a1 - two * r1)
    else:
        c = ints(second)
        r2, a2, got = seat.low.words(total), layout.empty(total), layout.empty(total)
        p.exchange([], [(1, a2)], "bit to ring")
        mine = a2 * c - r2
        p.exchange([(0, mine)], [(0, got)], "bit to ring")
        parts = (a2 - two * r2, c - two * (mine + got))
    return Share((parts[0].reshape(shape), parts[1].reshape(shape)), shape)


def from_ring_bits(seat: Seat, x: Share) -> Bits:
    """x in {0, 1} as bits, locally: the low bit of a sum is the XOR of the low bits."""
    return Bits(tuple(seat.party.ring.to_planes(a, 1) for a in x.flat()), x.shape, 1)


def truncate_nearest(seat: Seat, x: Share, shift: int) -> Share:
    """x divided by 2^shift and rounded to nearest; see nearest_known."""
    a, b = x.flat()
    known: Ring = (a + seat.half, a + b, b + seat.half)[seat.party.index]
    return nearest_known(seat, known, x.shape, shift)


def nearest_known(seat: Seat, known: Ring, shape: tuple[int, ...], d: int) -> Share:
    """floor((x + 2^(d-1)) / 2^d), exactly, where x + 2^62 = u + v with u known to party 1 and v to parties 0 and 2.

    With y = x + 2^62 + 2^(d-1), the last term added to v:

        y >> d = (u >> d) + (v >> d) + carry_d - wrap 2^(64-d),   wrap = msb(u) OR msb(v)

    valid for 0 <= y < 2^63, hence |x| <= 2^62 - 2^(d-1). The carry of the low d bits and the wrap bit are computed
    on shares.
    """
    k, i = seat.party.ring, seat.party.index
    if i != 1:
        known = known + layout.constant(1 << (d - 1))
    flat = (known.size,)
    # Planes: the d low bits, and the top bit on plane d.
    top = k.to_planes(known >> layout.constant(seat.width - 1), 1)
    u, v = _addends(seat, layout.concatenate([k.to_planes(known, d), top], 0), flat)
    g = _and_v(seat, u, v, 0, d + 1)
    carry = _carry(seat, g.rows(0, d), u, v, d)
    wrap = xor(g.rows(d, d + 1), _with_v(seat, u.rows(d, d + 1), _rows(v, d, d + 1)))
    both = zip(carry.parts, wrap.parts, strict=True)
    flags = b2a(seat, Bits(tuple(layout.concatenate([c, e], 0) for c, e in both), flat, 2))
    shifted = known >> layout.constant(d)
    u_part = inputs.share(seat, 1, shifted if i == 1 else None, flat)
    lift = layout.constant(1 << (seat.width - d))
    first, second = (s[0] - lift * s[1] + q for s, q in zip(flags.parts, u_part.parts, strict=True))
    v_part = shifted - layout.constant(1 << (seat.width - 2 - d))
    if i == 0:
        first = first + v_part
    elif i == 2:
        second = second + v_part
    return Share((first.reshape(shape), second.reshape(shape)), shape)
