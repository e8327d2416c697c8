"""Sine and cosine in integers, identical on every machine.

Two parties multiply shares by what they compute here from the same public angle; a difference of one unit in the last
place between their math libraries would turn the result into noise. So no floating point: angles are split into
chunks of at most 12 bits, each chunk has a table built by integer rotation, and rotations are multiplied.

Error: below 2^-28 for up to 16 harmonics (30 fractional bits inside; a test compares with mpmath-free float64).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..types import Ring

SCALE = 30
_CHUNK = 12
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


def weighted(values: Ints, weights: list[int], shift: int) -> Ring:
    """round(values[k] * weights[k] / 2^shift) as ring integers; |values * weights| < 2^62."""
    w = np.array(weights, np.int64)[:, None]
    return np.asarray((values * w + np.int64(1 << (shift - 1))) >> shift).view(np.uint64)


def rescaled(values: Ints, scale: int) -> Ring:
    """From SCALE to ``scale`` fractional bits (scale < SCALE), as ring integers."""
    shift = SCALE - scale
    return np.asarray((values + np.int64(1 << (shift - 1))) >> shift).view(np.uint64)
