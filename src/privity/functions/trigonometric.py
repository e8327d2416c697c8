"""Sine and cosine of secret arrays. Each states its range and largest error; tests sweep both."""

from __future__ import annotations

from ..array import SecureArray
from ..mpc import approx, periodic
from .cellwise import cellwise


@cellwise
def sin(x: SecureArray) -> SecureArray:
    """Sine of x in radians, any number of periods away from 0; absolute error at most 2^-16 for |x| <= 2^(38 - b).

    b: the fractional bits of x, so that is 2^20 at 18 bits. Beyond, the rounding of 1 / (2 pi) adds 3.2 |x| 2^(b - 60).
    Three rounds; 18 bytes per party and element at 18 bits and |x| <= 128.
    """
    return _wave(x, cosine=False)


@cellwise
def cos(x: SecureArray) -> SecureArray:
    """Cosine of x in radians; range, error and cost as ``sin``."""
    return _wave(x, cosine=True)


def _wave(x: SecureArray, cosine: bool) -> SecureArray:
    x = x.numeric()
    context = x._context
    bits = approx.bits_for(x.bound, x.scale)
    share = periodic.sine(context.protocol, x._ring_share(), x.scale, bits, context.fraction_bits, cosine)
    return SecureArray(context, share, context.fraction_bits, 1.0001)
