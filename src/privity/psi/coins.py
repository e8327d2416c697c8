"""All the randomness of one party in one set intersection: one stream from a fresh seed."""

from __future__ import annotations

from typing import Final

from ..ring.prg import SEED_BYTES, Stream, new_seed
from ..types import Ring

ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Number of points of the curve P-256."""


class Coins:
    """What this party draws, in the order of the protocol. A seed is given only by tests that repeat a run."""

    def __init__(self, seed: bytes | None = None) -> None:
        self._stream = Stream(new_seed() if seed is None else seed)

    def words(self, count: int) -> Ring:
        """``count`` uniform 64-bit words."""
        return self._stream.words(count)

    def draw(self, count: int) -> bytes:
        """``count`` uniform bytes."""
        return self.words(-(-count // 8)).tobytes()[:count]

    def seed(self) -> bytes:
        """A key for AES-128."""
        return self.draw(SEED_BYTES)

    def scalar(self) -> int:
        """A number from 1 to ``ORDER`` - 1, its distribution within 2^-128 of uniform."""
        return 1 + int.from_bytes(self.draw(48), "big") % (ORDER - 1)
