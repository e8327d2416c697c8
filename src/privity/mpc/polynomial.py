"""Polynomials with public coefficients on shares, written once over Protocol.

Paterson-Stockmeyer (1973): powers by squaring, then one dot product with one truncation for the whole sum: few
products, few rounds, and the rounding of one of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..errors import UsageError
from ..ring import exact, layout
from .protocol import Protocol
from .shares import Share

WORK = 20
"""Fractional bits of the powers."""

_Scaled = tuple[Share, int]


def polynomial(proto: Protocol, t: Share, scale: int, coefficients: Sequence[float], out_scale: int) -> Share:
    """sum_k coefficients[k] t^k for |t| <= 1 at ``scale`` fractional bits (20 to 24), degree 3 to 6, at ``out_scale``.

    Error: at most 2^-15 sum_k |c_k| with 24 bits, 2^-18 sum_k |c_k| with 20, plus 1 ulp. Two
    products up to degree 4, else three; rounds 6 or 9.
    """
    degree = len(coefficients) - 1
    if not 3 <= degree <= 6 or not WORK <= scale <= 24:
        raise UsageError(f"polynomial: expected degree 3 to 6 at 20 to 24 bits, got degree {degree} at {scale}")
    size = max(0, exact.log2_ceil(math.fsum(map(abs, coefficients))))
    whole = 60 - size  # fractional bits of the sum before its one truncation
    squares = (proto.mul(t, t, 2 * scale - WORK), WORK)
    low = [(t, scale), squares]
    blocks = [(squares[0], _combined(proto, low, coefficients[3:5], whole - WORK))]
    if degree > 4:
        fourth = proto.mul(squares[0], squares[0], WORK)
        blocks.append((fourth, _combined(proto, low, coefficients[5:7], whole - WORK)))
    rest = _combined(proto, low, coefficients[1:3], whole)
    rest = proto.add_public(rest, layout.constant(round(coefficients[0] * 2.0**whole)))
    return _dot(proto, [*blocks, (rest, ones(proto, t.shape))], whole - out_scale)


def _combined(proto: Protocol, powers: Sequence[_Scaled], coefficients: Sequence[float], scale: int) -> Share:
    """sum_k coefficients[k] powers[k] at ``scale`` fractional bits. Local."""
    total: Share | None = None
    for (power, have), c in zip(powers, coefficients, strict=False):
        term = proto.mul_public(power, layout.constant(round(c * 2.0 ** (scale - have))))
        total = term if total is None else proto.add(total, term)
    assert total is not None
    return total


def _dot(proto: Protocol, blocks: Sequence[tuple[Share, Share]], shift: int) -> Share:
    """Sum of the products of all blocks with one truncation."""
    shape = blocks[0][0].shape
    flat = layout.reshape((blocks[0][0].size,))
    left, right = (proto.stack([block[side].map(flat) for block in blocks], 1) for side in (0, 1))
    return proto.dot(left, right, shift).map(layout.reshape(shape))


def ones(proto: Protocol, shape: tuple[int, ...]) -> Share:
    """The public constant 1."""
    return proto.public(layout.asarray(layout.zeros(shape) + layout.constant(1)))


def product(proto: Protocol, factors: Sequence[Share]) -> Share:
    """Product of integers without truncation: one round a level of the tree."""
    left = list(factors)
    while len(left) > 1:
        half = len(left) // 2
        both = proto.mul(proto.stack(left[:half], 0), proto.stack(left[half : 2 * half], 0))
        left = [both.map(layout.take(i)) for i in range(half)] + left[2 * half :]
    return left[0]
