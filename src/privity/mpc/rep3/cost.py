"""What Rep3's comparisons, conversions and truncations cost, and which of several circuits is the cheapest.

Rounds cost latency and messages cost bandwidth; a :class:`Link` weighs them by public parameters, so that every party
chooses alike. All functions here count; nothing communicates.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ...types import RING_BITS, Cost

RIPPLE = 0  # the circuit that carries bit by bit


def packed(n: int, bits: int) -> int:
    """Bytes of n values of ``bits`` bits, densely packed."""
    return (n * bits + 7) // 8


def words(n: int) -> int:
    """Words of one bit plane of n values."""
    return (n + 63) // 64


def tree_ands(count: int) -> tuple[int, int]:
    """(levels, ANDs) of a carry-only tree over ``count`` positions: two per pair, one for the lowest."""
    levels = ands = 0
    while count > 1:
        levels, ands = levels + 1, ands + 2 * (count // 2) - 1
        count = (count + 1) // 2
    return levels, ands


def digit_rows(bits: int, digit: int) -> tuple[int, int]:
    """(digits, rows of monomials) of a first level that reads ``digit`` bits at a time."""
    digits = -(-bits // digit)
    return digits, digits * ((1 << digit) - 1)


@dataclass(frozen=True, slots=True)
class Link:
    """The network between the compute parties, by which circuits are chosen; public, the same at all parties.

    ``one_way_s``: seconds until a message sent is used by the peer; ``bytes_per_s`` and ``and_s_per_word``: what a
    party sends and computes. The ripple carry has few ANDs, a tree few rounds, and fewer still the wider the digits of
    its first level are (``largest_digit``: 2 to 8 bits; with 1 no message grows to save a round).
    """

    one_way_s: float = 60e-6
    bytes_per_s: float = 0.7e9
    and_s_per_word: float = 8e-9
    largest_digit: int = 8

    def circuit(self, n: int, bits: int, width: int = RING_BITS) -> int:
        """The cheapest carry out of ``bits`` bits for n values: RIPPLE, or the bits of a digit of the tree.

        ``width``: bits of the ring. Digits of 1 bit take two rounds before the tree, wider ones one.
        """
        return _circuit(self, words(n), bits, width)

    def hurry(self, extra: int) -> bool:
        """Whether a round is worth ``extra`` bytes more from the busiest party."""
        return self.largest_digit > 1 and extra < self.one_way_s * self.bytes_per_s


@lru_cache(maxsize=4096)
def _circuit(link: Link, w: int, bits: int, width: int) -> int:
    per_and = w * (8 / link.bytes_per_s + link.and_s_per_word)
    levels, ands = tree_ands(bits)
    best, least = 1, (levels + 2) * link.one_way_s + (bits + ands) * per_and
    for digit in range(2, link.largest_digit + 1):
        digits, rows = digit_rows(bits, digit)
        levels, ands = tree_ands(digits)
        seconds = (levels + 1) * link.one_way_s + (2 * rows + 1 + ands) * per_and
        if seconds < least and digits * digit < width:
            best, least = digit, seconds
    return RIPPLE if (bits + 1) * link.one_way_s + bits * per_and < least else best


# -- costs -------------------------------------------------------------------------------------------------------


def cost_tree(w: int, count: int) -> Cost:
    """The levels of a carry tree over ``count`` positions, on planes of w words."""
    levels, ands = tree_ands(count)
    return Cost(levels, (8 * w * ands,) * 3)


def cost_carry(w: int, bits: int) -> Cost:
    """First AND level (party 1 silent) and the tree, on planes of w words."""
    return Cost(1, (8 * w * bits, 0, 8 * w * bits)) + cost_tree(w, bits)


def cost_input_u(w: int, planes: int) -> Cost:
    """Bits that party 1 knows."""
    return Cost(1, (0, 8 * w * planes, 0))


def cost_msb(n: int, bits: int = 62, link: Link | None = None) -> Cost:
    """Sign of n values below 2^bits, with the circuit that the link chooses."""
    w, circuit = words(n), (link or Link()).circuit(n, bits)
    if circuit == RIPPLE:  # one AND a bit; party 1 is silent in the first
        carry = Cost(bits, (8 * w * bits, 8 * w * (bits - 1), 8 * w * bits))
        return cost_input_u(w, bits + 1) + carry
    if circuit == 1:
        return cost_input_u(w, bits + 1) + cost_carry(w, bits)
    digits, rows = digit_rows(bits, circuit)
    pads = 8 * w * (2 * digits - 1)
    return Cost(1, (pads, 8 * w * (2 * rows + 1), pads)) + cost_tree(w, digits)


Level = tuple[list[int], list[int], list[int], list[int]]


@lru_cache(maxsize=64)
def sklansky(count: int) -> tuple[Level, ...]:
    """Levels that end with the carry out of every position: positions and those they absorb, for g and for t.

    The lowest absorbed position of a level already holds its final carry: the t of what absorbs it is not needed.
    """
    levels, step = [], 1
    while step < count:
        pairs = [(i, (i // step) * step - 1) for i in range(count) if (i // step) % 2 == 1]
        rest = [(i, j) for i, j in pairs if j != pairs[0][1]]
        levels.append(([i for i, _ in pairs], [j for _, j in pairs], [i for i, _ in rest], [j for _, j in rest]))
        step *= 2
    return tuple(levels)


def cost_bits(n: int, count: int, serial: bool = False) -> Cost:
    """All ``count`` low bits, by a Sklansky link, or ``serial`` by a ripple carry."""
    w, positions = words(n), count - 1
    total = cost_input_u(w, count)
    if positions and serial:  # party 1 is silent in the first
        return total + Cost(positions, (8 * w * positions, 8 * w * (positions - 1), 8 * w * positions))
    if positions:
        total += Cost(1, (8 * w * positions, 0, 8 * w * positions))
    for absorb, _, rest, _ in sklansky(positions):
        ands = len(absorb) + len(rest)
        total += Cost(1, (8 * w * ands,) * 3)
    return total


def cost_is_zero(n: int, bits: int = 64) -> Cost:
    """An AND over all bits, by halves."""
    w = words(n)
    total = cost_input_u(w, bits)
    while bits > 1:
        total += Cost(1, (8 * w * (bits // 2),) * 3)
        bits = (bits + 1) // 2
    return total


def cost_b2a(n: int, link: Link | None = None) -> Cost:
    """n bits to integers: in one round, or with half of party 1's bytes in two."""
    if (link or Link()).hurry(8 * n):
        return Cost(1, (8 * n, 16 * n, 8 * n))
    return Cost(2, (8 * n,) * 3)


def cost_inject(n: int, link: Link | None = None) -> Cost:
    """n bits times n numbers: in one round, or converted first and with party 1 sending 16 bytes an element less."""
    if (link or Link()).hurry(16 * n):
        return Cost(1, (8 * n, 40 * n, 8 * n))
    return cost_b2a(n, link) + cost_mul(n)


def cost_truncate(n: int, shift: int, link: Link | None = None) -> Cost:
    """Party 1's addend and wrap bit and a product of wrap bits: in one round, or with fewer bytes in two."""
    low = packed(n, shift)
    if (link or Link()).hurry(low):
        return Cost(1, (low, 8 * n + 2 * low, low))
    return Cost(2, (low, 8 * n + low, low))


def cost_mul(n: int, shift: int = 0, link: Link | None = None) -> Cost:
    """A product, and its truncation if there is a shift."""
    if not shift:
        return Cost(1, (8 * n,) * 3)
    return Cost(1, (8 * n, 0, 8 * n)) + cost_truncate(n, shift, link)


def cost_truncate_nearest(n: int, shift: int, link: Link | None = None) -> Cost:
    """Carry of the dropped bits and the wrap bit, their conversion, and party 1's shifted addend."""
    w = words(n)
    wrap = Cost(0, (8 * w, 0, 8 * w))
    total = cost_input_u(w, shift + 1) + wrap + cost_carry(w, shift)
    return total + cost_b2a(2 * n, link) + Cost(1, (0, 8 * n, 0))
