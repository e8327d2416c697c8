"""Random numbers that no party knows, written once over Protocol: from bits and ring elements that cost no message."""

from __future__ import annotations

from ..ring import layout
from .protocol import Protocol
from .shares import Bits, Share


def integers(proto: Protocol, shape: tuple[int, ...], bits: int) -> Share:
    """Uniform integers in 0 .. 2^bits - 1, bits <= 61. Two rounds, 8 bytes per party, element and bit."""
    planes = proto.b2a(proto.random_bits(shape, bits))
    if bits == 1:
        return planes
    powers = layout.column([1 << j for j in range(bits)], len(shape))
    return proto.mul_public(planes, powers).map(layout.total(0, False))


def coins(proto: Protocol, shape: tuple[int, ...], threshold: int, bits: int) -> Bits:
    """1 with probability threshold / 2^bits, for 0 < threshold < 2^bits: whether random bits read as less than it.

    At most bits - 1 bits per party and element twice over, ceil(log2 bits) rounds; a threshold with j trailing zeros
    costs as if it had j bits less, and 1/2 costs nothing.
    """
    proto.note(b"coins", (threshold, bits))
    while threshold % 2 == 0:
        threshold, bits = threshold // 2, bits - 1
    # Highest position first. equal[i] says that the random bit is that of the threshold, which is itself a fair coin;
    # less[i] that it is 0 under a 1: the opposite of equal where the threshold has a 1, else never.
    equal = proto.random_bits(shape, bits)
    differs = proto.invert(equal)
    never = proto.xor(equal, equal)
    ones = [threshold >> (bits - 1 - i) & 1 for i in range(bits)]
    less = _joined([(differs if one else never).rows(i, i + 1) for i, one in enumerate(ones)])
    while less.planes > 1:  # (less, equal) of two neighbours: less_high or (equal_high and less_low)
        pairs = less.planes // 2
        high, low = slice(0, 2 * pairs, 2), slice(1, 2 * pairs, 2)
        both = proto.and_(
            _joined([_rows(equal, high), _rows(equal, high)]), _joined([_rows(less, low), _rows(equal, low)])
        )
        top = proto.xor(_rows(less, high), both.rows(0, pairs))
        rest = slice(2 * pairs, less.planes)
        less = _joined([top, _rows(less, rest)])
        equal = _joined([both.rows(pairs, 2 * pairs), _rows(equal, rest)])
    return less


def _rows(b: Bits, key: slice) -> Bits:
    return Bits(tuple(part[key] for part in b.parts), b.shape, len(range(b.planes)[key]))


def _joined(blocks: list[Bits]) -> Bits:
    parts = tuple(layout.concatenate(ps, 0) for ps in zip(*(b.parts for b in blocks), strict=True))
    return Bits(parts, blocks[0].shape, sum(b.planes for b in blocks))
