"""Z_2^k for small k behind the same names as ``ring.kernels``: for tests that enumerate every view of a protocol.

An element lies in a ``uint64`` whose bits from k upward may be anything: sums and products do not care, and what does
care (shifts, the top bit, packing) reduces first. Written to be read; ``ring/reference.py`` with k in the place of 64.
"""

from __future__ import annotations

import numpy as np

from ..errors import UsageError
from ..types import Bytes1D, Ring
from . import reference, trig

_SMALLEST, _LARGEST = 3, 16


class SmallRing:
    """The kernels that protocols use, over Z_2^k with 3 <= k <= 16. Values in range satisfy |x| < 2^(k-2).

    Shapes as in ``ring.kernels``. Pass it as ``Party(ring=...)``. Raises UsageError for another k, or for a number of
    bits to cut that k does not allow.
    """

    def __init__(self, bits: int) -> None:
        if not _SMALLEST <= bits <= _LARGEST:
            raise UsageError(f"a small ring has {_SMALLEST} to {_LARGEST} bits, got {bits}; for 64 use ring.kernels")
        self.BITS = bits
        self._mask = np.uint64((1 << bits) - 1)

    def reduce(self, x: Ring) -> Ring:
        """The representative in 0 .. 2^k - 1."""
        return np.asarray(x & self._mask)

    def signed(self, x: Ring) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        """The representative in -2^(k-1) .. 2^(k-1) - 1, as ``int64``."""
        up = np.uint64(64 - self.BITS)
        return np.asarray(np.asarray(x << up).view(np.int64) >> np.int64(64 - self.BITS))

    def matmul(self, x: Ring, y: Ring, out: Ring | None = None) -> Ring:
        """``x @ y``."""
        return reference.matmul(x, y, out)

    def rep3_matmul(self, xa: Ring, xb: Ring, ya: Ring, yb: Ring, out: Ring | None = None) -> Ring:
        """``xa @ (ya + yb) + xb @ ya``."""
        return reference.rep3_matmul(xa, xb, ya, yb, out)

    def rep3_mul(self, xa: Ring, xb: Ring, ya: Ring, yb: Ring, ra: Ring, rb: Ring, out: Ring | None = None) -> Ring:
        """``xa * (ya + yb) + xb * ya + ra - rb``."""
        return reference.rep3_mul(xa, xb, ya, yb, ra, rb, out)

    def rep3_dot(self, xa: Ring, xb: Ring, ya: Ring, yb: Ring, out: Ring | None = None) -> Ring:
        """Row sums of ``xa * (ya + yb) + xb * ya``."""
        return reference.rep3_dot(xa, xb, ya, yb, out)

    def rep3_and(self, xa: Ring, xb: Ring, ya: Ring, yb: Ring, ra: Ring, rb: Ring, out: Ring | None = None) -> Ring:
        """``xa & (ya ^ yb) ^ xb & ya ^ ra ^ rb``; every bit of a word counts here."""
        return reference.rep3_and(xa, xb, ya, yb, ra, rb, out)

    def rep3_select(self, xa: Ring, xb: Ring, ya: Ring, yb: Ring, out: Ring | None = None) -> Ring:
        """XOR over p of ``x[:, p] & y[p]``, this party's part."""
        return reference.rep3_select(xa, xb, ya, yb, out)

    def to_planes(self, x: Ring, k: int, out: Ring | None = None) -> Ring:
        """The low ``k`` bits as planes; at most the ring's."""
        self._need("planes", k, 1, self.BITS)
        return reference.to_planes(x, k, out)

    def from_planes(self, planes: Ring, n: int, out: Ring | None = None) -> Ring:
        """Inverse of ``to_planes``."""
        return reference.from_planes(planes, n, out)

    def pack_low(self, x: Ring, k: int, out: Bytes1D | None = None) -> Bytes1D:
        """The low ``k`` bits as a dense stream."""
        return reference.pack_low(x, k, out)

    def unpack_low(self, stream: Bytes1D, k: int, n: int, out: Ring | None = None) -> Ring:
        """Inverse of ``pack_low``."""
        return reference.unpack_low(stream, k, n, out)

    def trunc_known_u(self, u: Ring, d: int, ra: Ring, mask_b: Ring) -> tuple[Ring, Ring]:
        """``((u >> d) - s 2^(k-d) - ra, (1 - s - mask_b) mod 2^d)`` with s the top bit of u; 1 <= d <= k-2."""
        self._need("bits to cut", d, 1, self.BITS - 2)
        u = self.reduce(u)
        top = u >> np.uint64(self.BITS - 1)
        a = (u >> np.uint64(d)) - (top << np.uint64(self.BITS - d)) - ra
        return np.asarray(a), np.asarray((np.uint64(1) - top - mask_b) & _low(d))

    def trunc_known_v(self, v: Ring, d: int, t: Ring) -> Ring:
        """``(v >> d) + (v mod 2^d != 0) - t 2^(k-d) - 2^(k-2-d)``; 1 <= d <= k-2."""
        self._need("bits to cut", d, 1, self.BITS - 2)
        v = self.reduce(v)
        rounding = ((v & _low(d)) != 0).astype(np.uint64)
        offset = np.uint64(1 << (self.BITS - 2 - d))
        return np.asarray((v >> np.uint64(d)) + rounding - (t << np.uint64(self.BITS - d)) - offset)

    def bit_times(self, m: Ring, v: Ring, r: Ring, d: int) -> Ring:
        """``(s * m - r) mod 2^d`` with s the top bit of v."""
        top = self.reduce(v) >> np.uint64(self.BITS - 1)
        return np.asarray((top * m - r) & _low(d))

    def monomials(self, planes: Ring, bits: int) -> Ring:
        """The AND of every set of planes of a digit; every bit of a word counts here and below."""
        return reference.monomials(planes, bits)

    def fold_digits(self, x: Ring, planes: Ring, bits: int, constant: bool) -> Ring:
        """Sums of monomials with the weights of the other addend's digits."""
        return reference.fold_digits(x, planes, bits, constant)

    def and_level(self, sa: Ring, sb: Ring, ra: Ring, rb: Ring) -> tuple[Ring, Ring]:
        """One level of a carry tree."""
        return reference.and_level(sa, sb, ra, rb)

    def waves(self, angle: Ring, turn_bits: int, count: int, scale: int) -> Ring:
        """Harmonics of angles; of an angle all 64 bits count here and below."""
        return trig.waves(angle, turn_bits, count, scale)

    def wave_sum(self, angle: Ring, dealt: Ring, turn_bits: int, factors: Ring, shift: int) -> Ring:
        """A series of sines and cosines of dealt waves."""
        return trig.wave_sum(angle, dealt, turn_bits, factors, shift)

    def _need(self, what: str, value: int, low: int, high: int) -> None:
        if not low <= value <= high:
            raise UsageError(f"a ring of {self.BITS} bits allows {low} to {high} {what}, got {value}")


def _low(d: int) -> np.uint64:
    return np.uint64((1 << d) - 1)
