"""Every kernel in plain NumPy: the definition of what it computes, and the oracle of the native code.

Written to be read, not to be fast. All integers are ``uint64`` and wrap around (Z_2^64). The functions trust their
arguments: ``privity.ring.kernels``, the one door, has checked types and shapes before it comes here.

Shapes: ``W = ceil(n / 64)`` is the number of 64-bit words of one *bit plane* of n values. ``out``, where given, has
the shape of the result and receives it.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from privity.types import Bytes1D, Ring

_Item = TypeVar("_Item", bound=np.generic)


def matmul(x: Ring, y: Ring, out: Ring | None = None) -> Ring:
    """``x @ y`` modulo 2^64: (m, k) @ (k, n) -> (m, n)."""
    return _deliver(np.matmul(x, y), out)


def rep3_matmul(xa: Ring, xb: Ring, ya: Ring, yb: Ring, out: Ring | None = None) -> Ring:
    """``xa @ (ya + yb) + xb @ ya``: what one party adds to a product of two replicated matrices (Araki et al. 2016)."""
    return _deliver(np.matmul(xa, ya + yb) + np.matmul(xb, ya), out)


def rep3_mul(xa: Ring, xb: Ring, ya: Ring, yb: Ring, ra: Ring, rb: Ring, out: Ring | None = None) -> Ring:
    """``xa * (ya + yb) + xb * ya + ra - rb``, elementwise: the masked local part of a replicated product."""
    return _deliver(xa * (ya + yb) + xb * ya + ra - rb, out)


def rep3_dot(xa: Ring, xb: Ring, ya: Ring, yb: Ring, out: Ring | None = None) -> Ring:
    """Row by row the sum of ``xa * (ya + yb) + xb * ya``: four times (m, k) -> (m,)."""
    return _deliver(np.sum(xa * (ya + yb) + xb * ya, axis=1, dtype=np.uint64), out)


def rep3_and(xa: Ring, xb: Ring, ya: Ring, yb: Ring, ra: Ring, rb: Ring, out: Ring | None = None) -> Ring:
    """``xa & (ya ^ yb) ^ xb & ya ^ ra ^ rb``, elementwise: the product of ``rep3_mul`` over bits, 64 at a time."""
    return _deliver((xa & (ya ^ yb)) ^ (xb & ya) ^ ra ^ rb, out)


def to_planes(x: Ring, k: int, out: Ring | None = None) -> Ring:
    """The low k bits of n values as k bit planes: (n,) -> (k, W).

    Bit i of word w of plane j is bit j of ``x[64 * w + i]``. The unused bits of the last word are 0.
    """
    n = x.size
    bits = np.zeros((k, _words(n) * 64), dtype=np.uint8)
    for j in range(k):
        bits[j, :n] = (x.reshape(-1) >> np.uint64(j)) & np.uint64(1)
    return _deliver(np.packbits(bits, axis=1, bitorder="little").view("<u8").astype(np.uint64), out)


def from_planes(planes: Ring, n: int, out: Ring | None = None) -> Ring:
    """Inverse of ``to_planes``: (k, W) -> (n,). Bits from k upward are 0; unused bits of the last word are ignored."""
    x = np.zeros(n, dtype=np.uint64)
    i = np.arange(n, dtype=np.uint64)
    for j in range(planes.shape[0]):
        bit = (planes[j][i >> np.uint64(6)] >> (i & np.uint64(63))) & np.uint64(1)
        x |= bit << np.uint64(j)
    return _deliver(x, out)


def pack_low(x: Ring, k: int, out: Bytes1D | None = None) -> Bytes1D:
    """The low k bits of n values as one dense little-endian bit stream: (n,) -> ceil(n * k / 8) bytes.

    Bit b of value i is bit ``i * k + b`` of the stream. The unused bits of the last byte are 0.
    """
    values = np.ascontiguousarray(x.reshape(-1), dtype="<u8").view(np.uint8).reshape(-1, 8)
    bits = np.unpackbits(values, axis=1, bitorder="little")[:, :k]
    return _deliver(np.packbits(bits.reshape(-1), bitorder="little"), out)


def unpack_low(stream: Bytes1D, k: int, n: int, out: Ring | None = None) -> Ring:
    """Inverse of ``pack_low``: ceil(n * k / 8) bytes -> (n,). Bits from k upward are 0."""
    bits = np.zeros((n, 64), dtype=np.uint8)
    bits[:, :k] = np.unpackbits(stream, count=n * k, bitorder="little").reshape(n, k)
    return _deliver(np.packbits(bits, axis=1, bitorder="little").view("<u8").reshape(n).astype(np.uint64), out)


def trunc_known_u(u: Ring, d: int, ra: Ring, mask_b: Ring, out: tuple[Ring, Ring] | None = None) -> tuple[Ring, Ring]:
    """Both values that the holder of u sends when d bits are cut off, elementwise: ``(A - ra, (b - mask_b) mod 2^d)``.

    With s the top bit of u: ``A = (u >> d) - s * 2^(64-d)`` and ``b = 1 - s``. 1 <= d <= 62.
    """
    top = u >> np.uint64(63)
    a = (u >> np.uint64(d)) - (top << np.uint64(64 - d)) - ra
    b = (np.uint64(1) - top - mask_b) & _mask(d)
    if out is None:
        return a, b
    out[0][...] = a
    out[1][...] = b
    return out


def trunc_known_v(v: Ring, d: int, t: Ring, r: Ring, out: Ring | None = None) -> Ring:
    """What the holders of v compute when d bits are cut off, elementwise. 1 <= d <= 62.

    ``(v >> d) + (v mod 2^d != 0) - t * 2^(64-d) - 2^(62-d) - r``: a floor, the rounding bit that removes the bias of
    two floors, the wrap term, the offset 2^62 that made the value non-negative, and the mask.
    """
    rounding = ((v & _mask(d)) != 0).astype(np.uint64)
    wrap = t << np.uint64(64 - d)
    return _deliver((v >> np.uint64(d)) + rounding - wrap - np.uint64(1 << (62 - d)) - r, out)


def bit_times(m: Ring, v: Ring, r: Ring, d: int, out: Ring | None = None) -> Ring:
    """``((v >> 63) * m - r) mod 2^d``, elementwise: the top bit of v times m, masked. 1 <= d <= 64."""
    return _deliver(((v >> np.uint64(63)) * m - r) & _mask(d), out)


def _words(n: int) -> int:
    return -(-n // 64)


def _mask(d: int) -> np.uint64:
    return np.uint64((1 << d) - 1)


def _deliver(result: Any, out: npt.NDArray[_Item] | None) -> npt.NDArray[_Item]:
    if out is None:
        return cast(npt.NDArray[_Item], result)
    out[...] = result
    return out
