"""Rep3 shuffles: rows in an order that no party knows, and openings of what only makes sense in that order.

    x = a + b, a at party A, b at party B; the pairs (A, B), (B, C), (C, A) permute one after the other

Adversary  as in rep3.py: of the three permutations a party lacks one
Assumes    as in rep3.py
Reveals    shapes; ``open_mixed`` and ``open_bits`` open to all compute parties what the caller has made independent
           of the secrets: positions and comparisons of distinct keys in shuffled order
Error      none; permutations are uniform (ring/order.py)
Paper      Laur, Willemson, Zhang, ISC 2011 (resharing-based shuffle); the form that hands an additive sharing from
           pair to pair, with one value a row and round, and two in the last, is derived here
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..ring import layout, order
from ..types import Cost, Ring
from .rep3_bits import packed
from .shares import Bits, Mix, Share

if TYPE_CHECKING:
    from .rep3 import Rep3


def cost_shuffle(n: int) -> Cost:
    """n values moved (rows times columns), in either direction."""
    return Cost(3, (16 * n, 8 * n, 8 * n))


def cost_open_mixed(n: int, bits: int) -> Cost:
    return Cost(1, (packed(n, bits),) * 3)


def cost_open_bits(n: int) -> Cost:
    return Cost(1, (8 * ((n + 63) // 64),) * 3)


def draw(proto: Rep3, n: int) -> Mix:
    """The two permutations that this party knows, named by the party that does not: drawn with the third one."""
    i = proto.party.index
    low, high = order.permutation(proto.low.words, n), order.permutation(proto.high.words, n)
    return Mix(n, {(i + 1) % 3: low, (i - 1) % 3: high})


def shuffle(proto: Rep3, items: Sequence[Share], mix: Mix, undo: bool = False) -> list[Share]:
    """Rows moved by the three permutations one after the other, the last first if ``undo``.

    A and B hold x = a + b and permute it, masked anew (z from their stream); A passes a to C, for which it is uniform.
    B and C do the same and B passes b to A. C and A permute and share the sum: component CA is what each sends the
    other, masked by the components AB and BC, which come from the streams.
    """
    p, i = proto.party, proto.party.index
    a, b, c = (0, 2, 1) if undo else (0, 1, 2)
    widths = [layout.count(x.shape[1:]) for x in items]
    n = mix.n * sum(widths)

    def moved(values: Ring, absent: int) -> Ring:
        return order.taken(values, widths, order.inverse(mix.known[absent]) if undo else mix.known[absent])

    def words(other: int) -> Ring:
        return (proto.low if other == (i - 1) % 3 else proto.high).words(n)

    if i == a:
        z = words(b)
        rest = moved(_joined([x.parts[0] + x.parts[1] for x in items]), c) + z
        p.exchange([(c, rest)], [], "shuffle")
        mine = layout.empty(n)
        p.exchange([], [(b, mine)], "shuffle")
        kept = words(b)  # component AB
        mine = moved(mine, b) - kept
        got = layout.empty(n)
        p.exchange([(c, mine)], [(c, got)], "shuffle")
    elif i == b:
        side = 0 if i == (a - 1) % 3 else 1  # the component that A lacks
        mine = moved(_joined([x.parts[side] for x in items]), c) - words(a)
        p.exchange([], [], "shuffle")
        mine = moved(mine, a) - words(c)
        p.exchange([(a, mine)], [], "shuffle")
        p.exchange([], [], "shuffle")
        mine, kept = words(a), words(c)  # components AB and BC
        low = mine if a == (i - 1) % 3 else kept
        return _split(low, kept if low is mine else mine, items, widths)
    else:
        mine = layout.empty(n)
        p.exchange([], [(a, mine)], "shuffle")
        mine = moved(mine, a) + words(b)
        p.exchange([], [], "shuffle")
        kept = words(b)  # component BC
        mine = moved(mine, b) - kept
        got = layout.empty(n)
        p.exchange([(a, mine)], [(a, got)], "shuffle")
    got += mine  # component CA
    other = c if i == a else a
    first, second = (got, kept) if other == (i - 1) % 3 else (kept, got)
    return _split(first, second, items, widths)


def _joined(parts: Sequence[Ring]) -> Ring:
    return layout.flat(parts[0]) if len(parts) == 1 else layout.concatenate([layout.flat(x) for x in parts], 0)


def _split(first: Ring, second: Ring, items: Sequence[Share], widths: Sequence[int]) -> list[Share]:
    out, at = [], 0
    for x, width in zip(items, widths, strict=True):
        end = at + x.shape[0] * width
        out.append(Share((first[at:end].reshape(x.shape), second[at:end].reshape(x.shape)), x.shape))
        at = end
    return out


def open_mixed(proto: Rep3, x: Share, bits: int) -> Ring:
    """The low ``bits`` bits of x at all compute parties: each lacks one component and gets its low bits."""
    p, k, i = proto.party, proto.party.ring, proto.party.index
    a, b = x.flat()
    missing = layout.empty_bytes(packed(x.size, bits))
    p.exchange([((i + 1) % 3, k.pack_low(a, bits))], [((i - 1) % 3, missing)], "mixed order")
    value = a + b + k.unpack_low(missing, bits, x.size)
    return layout.low_bits(value, bits).reshape(x.shape)


def open_bits(proto: Rep3, b: Bits) -> Ring:
    """One plane of bits as 0 and 1 at all compute parties."""
    p, i = proto.party, proto.party.index
    first, second = b.parts
    missing = layout.empty(first.shape)
    p.exchange([((i + 1) % 3, layout.copy(first))], [((i - 1) % 3, missing)], "bits")
    opened: Ring = p.ring.from_planes(first ^ second ^ missing, b.size)
    return opened.reshape(b.shape)
