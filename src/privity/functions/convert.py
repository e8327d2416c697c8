"""Explicit conversion between the three kinds, and rounding to whole numbers. Nothing converts silently but upwards:

bool and int in arithmetic with fixed count as the same numbers; True is 1, so True + True is 2.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..array import SecureArray
from ..errors import UsageError
from ..ring import exact, layout
from ..types import RANGE_BITS
from . import arithmetic, whole
from .cellwise import cellwise


def _whole(x: SecureArray, offset: int) -> SecureArray:
    """floor((x + offset) / 2^scale) of the ring integers, exactly."""
    context, proto, d = x._context, x._context.protocol, x.scale
    context.fits(x.bound + 1.0, d, "this value, before it is rounded,")
    # truncate_nearest adds half a unit, which is taken off again here
    shifted = proto.add_public(x._ring_share(), layout.constant(offset - (1 << (d - 1))))
    return SecureArray(context, proto.truncate_nearest(shifted, d), 0, float(math.ceil(x.bound)))


@cellwise
def floor(x: SecureArray) -> SecureArray:
    """Largest integer not above x, as secret integers; exact for every x that fits. Cost: one ``truncate_nearest``
    of the fractional bits (at 18 bits 10 rounds and at most 30 bytes per element and party)."""
    x = x.numeric()
    return x if x.scale == 0 else _whole(x, 0)


@cellwise
def ceil(x: SecureArray) -> SecureArray:
    """Smallest integer not below x, as secret integers; exact. Cost as ``floor``."""
    x = x.numeric()
    return x if x.scale == 0 else _whole(x, (1 << x.scale) - 1)


@cellwise
def rint(x: SecureArray) -> SecureArray:
    """Nearest integer, as secret integers; exact; halves go up (NumPy: to the even neighbour). Cost as ``floor``."""
    x = x.numeric()
    return x if x.scale == 0 else _whole(x, 1 << (x.scale - 1))


@cellwise
def trunc(x: SecureArray) -> SecureArray:
    """The integer part (towards zero) as secret integers; exact. Cost: ``floor`` and a comparison (about 19 rounds)."""
    x = x.numeric()
    if x.scale == 0:
        return x
    proto = x._context.protocol
    lift = proto.mul_public((x < 0)._ring_share(), layout.constant((1 << x.scale) - 1))
    lifted = SecureArray(x._context, proto.add(x._ring_share(), lift), x.scale, x.bound + 2.0**-x.scale)
    return _whole(lifted, 0)._stated(float(math.ceil(x.bound)))


def rounded(x: SecureArray, decimals: int = 0) -> SecureArray:
    """x to ``decimals`` decimal places: fixed-point values next to multiples of 10^-decimals, halves up.

    Error below 1.5 units in the last place whatever the size of x; to tens, hundreds and so on (``decimals`` below 0)
    exact, as secret integers. Cost: ``rint`` and a truncation (and ``floor``, where x * 10^decimals has no room), or a
    floor quotient (``whole.floor_divide``).
    """
    x = x.numeric()
    if x.scale == 0 and decimals >= 0:
        return x
    if decimals == 0:
        return rint(x)
    power = int("1" + "0" * min(abs(decimals), 400))
    if decimals > 0 and power > 2 << x.scale:  # multiples lie closer than the last places of x
        return x
    if decimals < 0 and power > 2 * (x.bound + 1):
        return arithmetic.multiply(x, np.asarray(0))
    if decimals < 0:
        return arithmetic.multiply(whole.floor_divide(x + power // 2, power), np.asarray(power))
    if x.bound * power * 2.0**x.scale >= 2.0 ** (RANGE_BITS - 1):  # what stands behind the point, by itself
        below = floor(x).rescaled(x.scale)
        part = arithmetic.add(x, below, -1)._stated(1.0)
        return arithmetic.add(below, rounded(part, decimals))
    raised = arithmetic.multiply(x, np.asarray(power))
    off = arithmetic.add(rint(raised).rescaled(x.scale), raised, -1)._stated(0.5)  # exact, and small
    return arithmetic.add(x, arithmetic.multiply(off, np.asarray(exact.power_of_ten(-decimals)), x.scale))


def astype(x: SecureArray, kind: Any) -> SecureArray:
    """x as "fixed" (float), "int" or "bool", with NumPy's meaning: to int truncates towards zero, to bool is x != 0.

    To fixed: exact, local, at the session's fractional bits (an array that is fixed stays at its own; ``rescaled``
    changes them). From bool: one conversion of two rounds, once. Raises UsageError for other kinds.
    """
    wanted = {"f": "fixed", "i": "int", "u": "int", "b": "bool"}.get(_letter(kind))
    if wanted is None:
        raise UsageError(f'astype: expected "fixed" (float), "int" or "bool", got {kind!r}')
    if wanted == x.kind:
        return x
    if wanted == "bool":
        return x != 0
    if wanted == "int":
        return trunc(x)
    return x.numeric().rescaled(x._context.fraction_bits)


def _letter(kind: Any) -> str:
    if isinstance(kind, str) and kind == "fixed":
        return "f"
    try:
        return str(np.dtype(kind).kind)
    except TypeError:
        return ""
