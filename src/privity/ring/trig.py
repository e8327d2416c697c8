"""Sine and cosine in integers, identical on every machine.

Two parties multiply shares by what they compute here from the same public angle; a difference of one unit in the last
place between their math libraries would turn the result into noise. So no floating point: angles are split into
chunks of at most 12 bits, each chunk has a table built by integer rotation, and rotations are multiplied.

``waves`` and ``wave_sum`` define what the kernels of these names compute (``kernels.py``); the native code equals them
bit for bit.

Error: below 2^-25 for up to 16 harmonics (30 fractional bits inside; a test compares with float64).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..types import Ring

SCALE = 30
_CHUNK = 12
_BLOCK = 1 << 12  # angles whose harmonics stay in the second-level cache
_WIDE = 62  # fractional bits while tables are built
_PI = 0x3243F6A8885A308D313198A2E03707344A4093822299F31D0082EFA98EC4E6C8  # floor(pi * 2^252)

Ints = npt.NDArray[np.int64]


def _rotation(turn_bits: int) -> tuple[int, int]:
    """(cos, sin) of 2 pi / 2^turn_bits at _WIDE fractional bits, by the Taylor series in integers."""
    angle = (_PI << 1) >> (252 - _WIDE + turn_bits) if turn_bits >= 0 else 0
    one = 1 << _WIDE
    cos, sin, term, n = one, 0, one, 0
    while term:
        n += 1
        term = (term * angle >> _WIDE) // n
        sign = -1 if n % 4 in (2, 3) else 1
        if n % 2:
            sin += sign * term
        else:
            cos += sign * term
    return cos, sin


@lru_cache(maxsize=64)
def _table(count_bits: int, turn_bits: int) -> tuple[Ints, Ints]:
    """cos and sin of 2 pi j / 2^turn_bits for j < 2^count_bits, at SCALE bits."""
    if turn_bits < 3:  # the Taylor series wants a small angle; a quarter turn at most
        exact = {0: [(1, 0)], 1: [(1, 0), (-1, 0)], 2: [(1, 0), (0, 1), (-1, 0), (0, -1)]}[turn_bits]
        pairs = [(c << SCALE, s << SCALE) for c, s in exact[: 1 << count_bits]]
    else:
        c1, s1 = _rotation(turn_bits)
        c, s = 1 << _WIDE, 0
        half = 1 << (_WIDE - SCALE - 1)
        pairs = []
        for _ in range(1 << count_bits):
            pairs.append(((c + half) >> (_WIDE - SCALE), (s + half) >> (_WIDE - SCALE)))
            c, s = (c * c1 - s * s1) >> _WIDE, (s * c1 + c * s1) >> _WIDE
    both = np.array(pairs, np.int64)
    return np.ascontiguousarray(both[:, 0]), np.ascontiguousarray(both[:, 1])


def _rotate(c1: Ints, s1: Ints, c2: Ints, s2: Ints) -> tuple[Ints, Ints]:
    half = np.int64(1 << (SCALE - 1))
    return (c1 * c2 - s1 * s2 + half) >> SCALE, (s1 * c2 + c1 * s2 + half) >> SCALE


def harmonics(angle: Ring, turn_bits: int, count: int) -> tuple[Ints, Ints]:
    """cos and sin of 2 pi k angle / 2^turn_bits for k = 1..count: two (count, n) arrays at SCALE fractional bits.

    ``angle`` is (n,); only its low ``turn_bits`` bits count (at most 60).
    """
    mask = np.uint64((1 << turn_bits) - 1)
    index: Any = (angle & mask).view(np.int64)
    cos = sin = None
    low = 0
    while low < turn_bits:
        width = min(_CHUNK, turn_bits - low)
        c, s = _table(width, turn_bits - low)
        j = (index >> low) & ((1 << width) - 1)
        c, s = c[j], s[j]
        cos, sin = (c, s) if cos is None or sin is None else _rotate(cos, sin, c, s)
        low += width
    assert cos is not None and sin is not None
    all_cos = np.empty((count, angle.size), np.int64)
    all_sin = np.empty((count, angle.size), np.int64)
    all_cos[0], all_sin[0] = cos, sin
    done = 1
    while done < count:  # k = done+1 .. 2 done from k - done and done: few passes over long arrays
        more = min(done, count - done)
        c, s = _rotate(all_cos[:more], all_sin[:more], all_cos[done - 1], all_sin[done - 1])
        all_cos[done : done + more], all_sin[done : done + more] = c, s
        done += more
    return all_cos, all_sin


@lru_cache(maxsize=64)
def tables(turn_bits: int) -> Ring:
    """Pairs (cos, sin) of all chunks of an angle of ``turn_bits`` bits, the lowest chunk first: (pairs, 2)."""
    chunks = [_table(min(_CHUNK, turn_bits - low), turn_bits - low) for low in range(0, turn_bits, _CHUNK)]
    pairs = np.concatenate([np.stack(chunk, 1) for chunk in chunks]).view(np.uint64)
    pairs.flags.writeable = False
    return pairs


def waves(angle: Ring, turn_bits: int, count: int, scale: int) -> Ring:
    """Cosines, then sines, of 2 pi k angle / 2^turn_bits for k = 1..count at ``scale`` bits: (2 count, n)."""
    out = np.empty((2 * count, angle.size), np.uint64)
    for low in range(0, angle.size, _BLOCK):
        part = slice(low, low + _BLOCK)
        cos, sin = harmonics(angle[part], turn_bits, count)
        out[:count, part], out[count:, part] = rescaled(cos, scale), rescaled(sin, scale)
    return out


def wave_sum(angle: Ring, dealt: Ring, turn_bits: int, factors: Ring, shift: int) -> Ring:
    """sum_k a_k sin k(x - r) + b_k cos k(x - r) from the public angle x and shares of cos kr and sin kr: (n,).

    ``dealt``: as ``waves`` of r gives them, (2 count, n). ``factors``: integers a_k and b_k, (2, count). With C, S of
    the public angle and c, s dealt: a (S c - C s) + b (C c + S s), where a S and the like are divided by 2^shift and
    rounded.
    """
    count = factors.shape[1]
    sines, cosines = (row.tolist() for row in factors.view(np.int64))
    total = np.zeros(angle.size, np.uint64)
    for low in range(0, angle.size, _BLOCK):
        part = slice(low, low + _BLOCK)
        c, s = dealt[:count, part], dealt[count:, part]
        cos, sin = harmonics(angle[part], turn_bits, count)
        if any(sines):
            terms = weighted(sin, sines, shift) * c - weighted(cos, sines, shift) * s
            total[part] += terms.sum(0, dtype=np.uint64)
        if any(cosines):
            terms = weighted(cos, cosines, shift) * c + weighted(sin, cosines, shift) * s
            total[part] += terms.sum(0, dtype=np.uint64)
    return total


def weighted(values: Ints, weights: list[int], shift: int) -> Ring:
    """round(values[k] * weights[k] / 2^shift) as ring integers; |values * weights| < 2^62."""
    w = np.array(weights, np.int64)[:, None]
    return np.asarray((values * w + np.int64(1 << (shift - 1))) >> shift).view(np.uint64)


def rescaled(values: Ints, scale: int) -> Ring:
    """From SCALE to ``scale`` fractional bits (at most SCALE), as ring integers."""
    shift = SCALE - scale
    if not shift:
        return values.view(np.uint64)
    return np.asarray((values + np.int64(1 << (shift - 1))) >> shift).view(np.uint64)
