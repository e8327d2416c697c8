"""How fast a job could be on this kind of machine, from its physical limits: the measure that ratios refer to.

    seconds = prg_bytes / PRG_RATE + multiply_adds / MULTIPLY_RATE + moved_bytes / MEMORY_RATE
              + sent_bytes / LOOPBACK_RATE + rounds * ROUND_S

Everything is counted at one party (the busiest) that has one core of its own, with the best protocol known for three
parties without preprocessing, and nothing overlaps. The rates were measured on an AMD EPYC 9004 (Zen 4) cloud machine
with two cores at 2.6 GHz; on another machine ``ideal_s`` remains what that one could do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

PRG_RATE = 9.4e9
"""Bytes a second of AES-128-CTR on one core, through ``cryptography`` into a buffer in the cache. Measured."""
MULTIPLY_RATE = 2.1e10
"""64-bit multiply-adds a second on one core: eight lanes of ``vpmullq`` a cycle. Measured."""
MEMORY_RATE = 2.0e10
"""Bytes a second that one core reads and writes in a streaming loop (c += a * b). Measured."""
LOOPBACK_RATE = 1.5e9
"""Bytes a second of one TCP stream on loopback, 1.2 to 1.9 GB/s. Measured, from Python, without encryption."""
ROUND_S = 34e-6
"""Wall seconds of one exchange of small messages between three processes on loopback. Measured, from Python."""


@dataclass(frozen=True, slots=True)
class Ideal:
    """What a job needs at its busiest party; ``seconds`` by the formula above.

    prg_bytes: pseudorandom bytes. multiply_adds: of 64 bits. moved_bytes: read and written beyond the cache.
    sent_bytes: payload. rounds: exchanges that wait for each other.
    """

    prg_bytes: float = 0.0
    multiply_adds: float = 0.0
    moved_bytes: float = 0.0
    sent_bytes: float = 0.0
    rounds: float = 0.0

    @property
    def seconds(self) -> float:
        """Wall seconds at one party."""
        return (
            self.prg_bytes / PRG_RATE
            + self.multiply_adds / MULTIPLY_RATE
            + self.moved_bytes / MEMORY_RATE
            + self.sent_bytes / LOOPBACK_RATE
            + self.rounds * ROUND_S
        )

    def __add__(self, other: Ideal) -> Ideal:
        return Ideal(
            self.prg_bytes + other.prg_bytes,
            self.multiply_adds + other.multiply_adds,
            self.moved_bytes + other.moved_bytes,
            self.sent_bytes + other.sent_bytes,
            self.rounds + other.rounds,
        )

    def times(self, count: float) -> Ideal:
        """The job ``count`` times, one after the other."""
        return Ideal(
            self.prg_bytes * count,
            self.multiply_adds * count,
            self.moved_bytes * count,
            self.sent_bytes * count,
            self.rounds * count,
        )


def truncated(n: float) -> Ideal:
    """From n masked additive products to truncated shares: 10 bytes and 3 rounds (product, two for the wrap bit).

    Masks: a zero share (16 bytes an element) and those of the inputs of the truncation (8 + 2).
    """
    return Ideal(prg_bytes=26 * n, moved_bytes=48 * n, sent_bytes=10 * n, rounds=3)


def product(n: float) -> Ideal:
    """n products with truncation: two multiplications, four words read and one written each, then ``truncated``."""
    return Ideal(multiply_adds=2 * n, moved_bytes=40 * n) + truncated(n)


def matrix_product(m: float, k: float, n: float) -> Ideal:
    """(m, k) @ (k, n) with truncation: two ring products; each operand is read once."""
    return Ideal(multiply_adds=2 * m * k * n, moved_bytes=16 * (m * k + k * n)) + truncated(m * n)


def sign(n: float, bits: int = 62) -> Ideal:
    """n signs of values below 2^bits on bit planes, with the better of two adders for this many.

    Carry-only tree: 3 bits - 5 ANDs (181 for 62), as many bits sent, ceil(log2(bits)) + 2 rounds. Ripple carry: one AND
    and one round a bit, and the bits of one operand. Two masks an AND. Moved: two transpositions (32 bytes an element)
    and six words for 64 ANDs.
    """
    ands = 3 * bits - 5
    tree = Ideal(
        prg_bytes=ands / 4 * n,
        moved_bytes=(32 + 0.75 * ands) * n,
        sent_bytes=ands / 8 * n,
        rounds=math.ceil(math.log2(bits)) + 2,
    )
    ripple = Ideal(
        prg_bytes=3 / 8 * bits * n, moved_bytes=(32 + 0.75 * bits) * n, sent_bytes=bits / 4 * n, rounds=bits + 1
    )
    return min(tree, ripple, key=lambda job: job.seconds)


def selection(n: float) -> Ideal:
    """n bits to the ring (8 bytes, 2 rounds) and one product with a value, without truncation (8 bytes, 1 round)."""
    return Ideal(prg_bytes=40 * n, multiply_adds=2 * n, moved_bytes=80 * n, sent_bytes=16 * n, rounds=3)


def sigmoid(n: float) -> Ideal:
    """n values of a series of ten sines, without comparison, in 4 rounds.

    One party deals sines and cosines of its mask (20 words an element, half of them as seeds) and opens the masked
    angle (6 bytes); the product and its truncation are small beside that.
    """
    return Ideal(prg_bytes=160 * n, moved_bytes=320 * n, sent_bytes=166 * n, rounds=4)
