"""Which of two rows comes first, by bits that were made once for each row; written once over Protocol.

Differences say how two numbers compare only while they are small enough for the ring. Bits do for any ring value, so
the answers are those of one order whatever an owner puts in: numbers count modulo 2^planes.
"""

from __future__ import annotations

from functools import lru_cache

from ..ring import layout
from ..ring.order import Rows
from ..types import Cost, Ring
from . import tables
from .protocol import Protocol, Scheme
from .shares import Bits

_AND_S = 0.125e-9  # one AND, computed at a party with the native kernels on a server's core


class Planes:
    """Bits of many rows, laid out for taking rows again and again."""

    def __init__(self, proto: Protocol, b: Bits) -> None:
        self._proto, self._planes = proto, b.planes
        self._whole, self._rest = b.planes // 64 * 64, b.planes % 64
        # Taking and turning a word costs the same for few planes, so the last ones of all components share one.
        sharing = 0 < self._rest * len(b.parts) <= 64
        starts = range(0, self._whole if sharing else b.planes, 64)
        self._words = [[self._unpacked(part[low : low + 64], b.size) for low in starts] for part in b.parts]
        last = [part[self._whole :] for part in b.parts]
        self._shared = self._unpacked(layout.concatenate(last, 0), b.size) if sharing else None
        self._kept: tuple[Rows, Bits] | None = None

    def _unpacked(self, planes: Ring, n: int) -> Ring:
        return layout.asarray(self._proto.party.ring.from_planes(planes, n))

    def pairs(self, first: Rows, second: Rows) -> tuple[Bits, Bits]:
        """The rows ``first`` and the rows ``second``. A plan asks about the same second ones in several batches, so
        these are kept.
        """
        if self._kept is None or self._kept[0] is not second:
            self._kept = second, self._taken(second)
        return self._taken(first), self._kept[1]

    def _taken(self, rows: Rows) -> Bits:
        take, outs = layout.take(rows), [layout.empty((self._planes, (rows.size + 63) // 64)) for _ in self._words]
        for out, words in zip(outs, self._words, strict=True):
            for j, word in enumerate(words):
                block = out[64 * j : 64 * j + 64]
                self._proto.party.ring.to_planes(take(word), len(block), out=block)
        if self._shared is not None:
            last = self._proto.party.ring.to_planes(take(self._shared), self._rest * len(outs))
            for i, out in enumerate(outs):
                layout.write(out, slice(self._whole, None), last[i * self._rest : (i + 1) * self._rest])
        return Bits(tuple(outs), (rows.size,), self._planes)


def less(proto: Protocol, a: Bits, b: Bits) -> Bits:
    """1 where a < b: plane j counts 2^j, without a sign. For any bits.

    The cheaper on the session's link of two circuits: bit by bit with an AND and a round each, or by halves with about
    three ANDs a bit and ``1 + ceil(log2(planes))`` rounds.
    """
    if a.planes > 1 and by_halves(proto.of, a.size, a.planes):
        return _by_halves(proto, a, b)
    return _bit_by_bit(proto, a, b)


@lru_cache(maxsize=4096)
def by_halves(of: Scheme, n: int, planes: int) -> bool:
    """Whether the circuit with few rounds is the cheaper one."""
    slow, fast = (of.seconds(cost(of, n, planes, few_rounds)) for few_rounds in (False, True))
    ands = 2 * (planes - 1) - planes.bit_length() + 1
    return fast + ands * n * _AND_S < slow


def cost(of: Scheme, n: int, planes: int, few_rounds: bool) -> Cost:
    """What n comparisons cost bit by bit, or by halves. Counted, as running a circuit on shapes takes longer: a sort
    asks for many sizes.
    """
    if not few_rounds:
        one = of.cost("and_", n, planes=1)
        return Cost(planes * one.rounds, tuple(planes * sent for sent in one.sent))
    total = of.cost("and_", n, planes=planes)
    while planes > 1:
        total += of.cost("and_", n, planes=2 * (planes // 2) - 1)
        planes = (planes + 1) // 2
    return total


def _bit_by_bit(proto: Protocol, a: Bits, b: Bits) -> Bits:
    """Where bits are equal the answer of the lower ones stays, elsewhere b's bit is the answer:

        f_j = b_j ^ (equal_j & (f_(j-1) ^ b_j)),    kept as f_j ^ b_j, with f_-1 = 0
    """
    k = a.planes
    equal = proto.invert(proto.xor(a, b))
    steps = proto.xor(b.rows(1, k), b.rows(0, k - 1)) if k > 1 else b
    off = proto.and_(equal.rows(0, 1), b.rows(0, 1))
    for j in range(1, k):
        off = proto.and_(equal.rows(j, j + 1), proto.xor(off, steps.rows(j - 1, j)))
    return proto.xor(off, b.rows(k - 1, k))


def _by_halves(proto: Protocol, a: Bits, b: Bits) -> Bits:
    """Answers and equalities of neighbouring blocks of bits joined: the higher block's answer, or where it is equal
    the lower one's.
    """
    found = proto.and_(proto.invert(a), b)
    equal = proto.invert(proto.xor(a, b))
    while found.planes > 1:
        pairs, odd = found.planes // 2, slice(2 * (found.planes // 2), None)
        low, high = slice(0, 2 * pairs, 2), slice(1, 2 * pairs, 2)
        above = tables.every(equal, high)
        below = [tables.every(found, low), tables.every(equal, slice(2, 2 * pairs, 2))]  # the lowest is not needed
        both = proto.and_(tables.joined([above, above.rows(1, pairs)]), tables.joined(below))
        answers = proto.xor(tables.every(found, high), both.rows(0, pairs))
        found = tables.joined([answers, tables.every(found, odd)])
        # the first is a placeholder, as it is never read
        equal = tables.joined([above.rows(0, 1), both.rows(pairs, 2 * pairs - 1), tables.every(equal, odd)])
    return found
