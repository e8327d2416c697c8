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


def rep3_select(xa: Ring, xb: Ring, ya: Ring, yb: Ring, out: Ring | None = None) -> Ring:
    """XOR over p of ``x[:, p] & y[p]``, this party's part: x 0/1 words twice (m, k), y twice (k, W) -> (m, W)."""
    made = np.zeros((xa.shape[0], ya.shape[1]), ya.dtype)
    both = ya ^ yb
    for p in range(xa.shape[1]):
        one, two = (np.negative(x[:, p : p + 1]) for x in (xa, xb))
        made ^= (both[p] & one) ^ (ya[p] & two)
    return _deliver(made, out)


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


def trunc_known_v(v: Ring, d: int, t: Ring, out: Ring | None = None) -> Ring:
    """What the holders of v compute when d bits are cut off, elementwise. 1 <= d <= 62.

    ``(v >> d) + (v mod 2^d != 0) - t * 2^(64-d) - 2^(62-d)``: a floor, the rounding bit that removes the bias of
    two floors, the wrap term, and the offset 2^62 that made the value non-negative.
    """
    rounding = ((v & _mask(d)) != 0).astype(np.uint64)
    wrap = t << np.uint64(64 - d)
    return _deliver((v >> np.uint64(d)) + rounding - wrap - np.uint64(1 << (62 - d)), out)


def bit_times(m: Ring, v: Ring, r: Ring, d: int, out: Ring | None = None) -> Ring:
    """``((v >> 63) * m - r) mod 2^d``, elementwise: the top bit of v times m, masked. 1 <= d <= 64."""
    return _deliver(((v >> np.uint64(63)) * m - r) & _mask(d), out)


def monomials(planes: Ring, bits: int) -> Ring:
    """The AND of every non-empty set of the ``bits`` planes of each digit: (digits * bits, W) -> (digits * M, W).

    M = 2^bits - 1 rows a digit; the set {j, k, ...} is row 2^j + 2^k + ... - 1 of its digit.
    """
    u = planes.reshape(len(planes) // bits, bits, planes.shape[1])
    out = np.full((len(u), 1 << bits, planes.shape[1]), _mask(64))
    for subset in range(1, 1 << bits):
        for j in range(bits):
            if subset >> j & 1:
                out[:, subset] &= u[:, j]
    return out[:, 1:].reshape(len(u) * ((1 << bits) - 1), planes.shape[1])


def fold_digits(x: Ring, planes: Ring, bits: int, constant: bool) -> Ring:
    """XOR of the rows of x, and of all ones for the empty set if ``constant``, with weights that the digits v give.

    (digits * M, W) and (digits * bits, W) -> (2 * digits - 1, W). With x = monomials(u) and ``constant`` the rows are
    g_0, g_1, t_1, g_2, t_2, ...: g whether u + v of a digit carries out, t whether u ^ v is all ones. The weight of
    u_S in t is the AND of v_j over all j not in S; in g, over all j not in S above the lowest of S, times v at that
    one. Linear in x and the constant.
    """
    v = planes.reshape(len(planes) // bits, bits, planes.shape[1])
    rows = x.reshape(len(v), (1 << bits) - 1, x.shape[1])
    out = np.zeros((2 * len(v), x.shape[1]), np.uint64)
    for subset in range(1 << bits):
        value = rows[:, subset - 1] if subset else np.full_like(rows[:, 0], _mask(64 * constant))
        lowest = (subset & -subset).bit_length() - 1
        in_g, in_t = value.copy(), value.copy()
        for j in range(bits):
            if not subset >> j & 1:
                in_t &= v[:, j]
            if j == lowest or (j > lowest and not subset >> j & 1):
                in_g &= v[:, j]
        out[0::2] ^= in_g if subset else np.uint64(0)
        out[1::2] ^= in_t
    return np.delete(out, 1, 0)  # nothing comes into the lowest digit


def and_level(sa: Ring, sb: Ring, ra: Ring, rb: Ring) -> tuple[Ring, Ring]:
    """One level of a carry tree: this party's masked parts of the combined positions, and room for the other parts.

    ``sa``, ``sb``: rows g_0, g_1, t_1, g_2, t_2, ... of c >= 2 positions, (2c - 1, W); masks (2 * (c // 2) - 1, W).
    Positions 2i + 1 (high) and 2i (low) give ``g = g_high ^ t_high & g_low`` and ``t = t_high & t_low``. A position
    that is left over becomes the last one. Results: the new rows, of which the first 2 * (c // 2) - 1 are to be
    exchanged; in the second array only the rows of the position left over are set.
    """
    positions = (len(sa) + 1) // 2
    pairs, w = positions // 2, sa.shape[1]
    fresh = 2 * pairs - 1
    a, b = (np.zeros((2 * (positions - pairs) - 1, w), np.uint64) for _ in range(2))
    for i in range(pairs):
        t_high, g_low, to = 4 * i + 2, max(0, 4 * i - 1), max(0, 2 * i - 1)
        a[to] = rep3_and(sa[t_high], sb[t_high], sa[g_low], sb[g_low], ra[to], rb[to]) ^ sa[4 * i + 1]
        if i:
            a[to + 1] = rep3_and(sa[t_high], sb[t_high], sa[4 * i], sb[4 * i], ra[to + 1], rb[to + 1])
    if positions % 2:
        a[fresh:], b[fresh:] = sa[-2:], sb[-2:]
    return a, b


def _words(n: int) -> int:
    return -(-n // 64)


def _mask(d: int) -> np.uint64:
    return np.uint64((1 << d) - 1)


def _deliver(result: Any, out: npt.NDArray[_Item] | None) -> npt.NDArray[_Item]:
    if out is None:
        return cast(npt.NDArray[_Item], result)
    out[...] = result
    return out
