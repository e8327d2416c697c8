"""Fixed point: a real x is the ring integer round(x * 2^scale), taken modulo 2^64.

Error of encoding: half a unit in the last place, 2^-(scale+1). Range: |x| * 2^scale < 2^62 (see types.RANGE_BITS).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError, UsageError
from ..types import RANGE_BITS, Ring

FRACTION_BITS = 18
"""Default number of fractional bits: products of values up to 2^26 / (x * y) fit, 1 ulp is 3.8e-6."""


def encode(values: npt.ArrayLike, scale: int, bound: float, what: str = "input") -> Ring:
    """Encode reals. Raises DataError if a value is not finite or its magnitude passes ``bound``."""
    x = np.asarray(values, np.float64)
    if bound * 2.0**scale >= 2.0**RANGE_BITS:
        raise UsageError(
            f"{what}: the bound {bound:g} at {scale} fractional bits needs more than {RANGE_BITS} bits; "
            "use a smaller bound or fewer fractional bits"
        )
    bad = ~np.isfinite(x) | (np.abs(x) > bound)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0]) if x.ndim else ()
        value = float(x[where])
        raise DataError(
            f"{what}: expected finite values with |x| <= {bound:g}, got {value!r} at index {list(where)} "
            f"({int(bad.sum())} such values); clean the data or declare a larger bound="
        )
    return np.asarray(np.rint(np.ldexp(x, scale)).astype(np.int64)).view(np.uint64)


def encode_integers(values: npt.ArrayLike, bound: float, what: str = "input") -> Ring:
    """Encode integers or booleans without going through float64, so that all 62 bits are exact."""
    x = np.asarray(values)
    if x.dtype == np.bool_:
        return x.astype(np.uint64)
    if x.dtype.kind not in "iu":
        raise UsageError(f"{what}: expected integers, got dtype {x.dtype}")
    if x.size and (int(x.max()) > bound or int(x.min()) < -bound):
        raise DataError(f"{what}: expected integers with |x| <= {bound:g}, got some outside; declare a larger bound=")
    return np.asarray(x.astype(np.int64)).view(np.uint64)


def decode(ring: Ring, scale: int) -> npt.NDArray[np.float64]:
    """Ring integers (signed) back to reals; exact up to 53 significant bits."""
    return np.ldexp(np.asarray(ring).view(np.int64).astype(np.float64), -scale)


def decode_integers(ring: Ring) -> npt.NDArray[np.int64]:
    """Ring integers back to signed 64-bit integers."""
    return np.array(np.asarray(ring).view(np.int64))


def public_constant(values: npt.ArrayLike, scale: int) -> tuple[Ring, float]:
    """Encode a public operand, integers exactly; returns it with its largest magnitude (as a real, after rounding)."""
    given = np.asarray(values)
    if given.dtype.kind in "biu":
        largest = max((abs(int(v)) for v in (given.max(), given.min())), default=0) if given.size else 0
        _need_range(largest << scale, scale)
        return np.asarray(np.asarray(given.astype(np.int64) << np.int64(scale)).view(np.uint64)), float(largest)
    x = given.astype(np.float64)
    if not np.isfinite(x).all():
        raise UsageError("a public operand holds NaN or infinity; secrets can only be combined with finite numbers")
    rounded = np.rint(np.ldexp(x, scale))
    magnitude = float(np.abs(rounded).max(initial=0.0))
    _need_range(magnitude, scale)
    return np.asarray(rounded.astype(np.int64)).view(np.uint64), magnitude * 2.0**-scale


def _need_range(magnitude: float, scale: int) -> None:
    if magnitude >= 2**RANGE_BITS:
        raise UsageError(
            f"a public operand needs more than {RANGE_BITS} bits at {scale} fractional bits: numbers that are added to "
            f"secrets stay below 2^{RANGE_BITS - scale}, got {float(magnitude) * 2.0**-scale:.3g}"
        )


def reached(bound: float, scale: int) -> float:
    """The largest magnitude that encoding gives to a value within ``bound``: rounding may lift it to the next unit.

    Infinite for a bound that is no finite number; whoever plans with it refuses it.
    """
    units = bound * 2.0**scale
    return float(math.ceil(units)) * 2.0**-scale if math.isfinite(units) else math.inf


def as_ring(value: Any) -> Ring:
    """View any integer array as ring elements (a copy only if needed)."""
    return np.ascontiguousarray(np.asarray(value, np.int64)).view(np.uint64)
