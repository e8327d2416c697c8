"""Public numbers that are the same in every bit on every machine: logarithms, exponentials, powers, normal draws.

Libraries of mathematics round their last digit as they like, and as the processor lets them: `math.log2` with fused
multiply-adds is not that without. Bounds, scales and constants that decide what parties do with shares come from here,
where all is integers, decimals of fixed precision (correctly rounded by the standard of decimal arithmetic) or single
operations + - * / and square roots, which IEEE 754 defines to the last bit.
"""

from __future__ import annotations

import math
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

_DIGITS = Context(prec=40, Emin=-999999, Emax=999999)
_LN2 = _DIGITS.ln(Decimal(2))

Floats = npt.NDArray[np.float64]


def log2_ceil(x: float) -> int:
    """The smallest k with x <= 2^k, for x > 0."""
    if isinstance(x, int):
        return (x - 1).bit_length() if x > 0 else _positive(x)
    mantissa, exponent = math.frexp(x if x > 0 and math.isfinite(x) else _positive(x))
    return exponent - 1 if mantissa == 0.5 else exponent


def log2_floor(x: float) -> int:
    """The largest k with 2^k <= x, for x > 0."""
    if isinstance(x, int):
        return x.bit_length() - 1 if x > 0 else _positive(x)
    return math.frexp(x if x > 0 and math.isfinite(x) else _positive(x))[1] - 1


def _positive(x: float) -> int:
    raise ValueError(f"expected a finite number above 0, got {x!r}")


@lru_cache(maxsize=4096)
def log2(x: float) -> float:
    """log2 x for x > 0, correctly rounded."""
    return float(_DIGITS.divide(_ln(x), _LN2))


@lru_cache(maxsize=4096)
def ln(x: float) -> float:
    """log x for x > 0, correctly rounded."""
    return float(_ln(x))


@lru_cache(maxsize=4096)
def ln1p(x: float) -> float:
    """log(1 + x) for x > -1, correctly rounded."""
    return float(_DIGITS.ln(_DIGITS.add(Decimal(1), _decimal(x))))


@lru_cache(maxsize=4096)
def exp(x: float) -> float:
    """e^x, correctly rounded. Raises OverflowError."""
    return _float(_DIGITS.exp(_decimal(x)))


@lru_cache(maxsize=4096)
def exp2(x: float) -> float:
    """2^x, correctly rounded; exact for whole x. Raises OverflowError."""
    if float(x).is_integer():
        return math.ldexp(1.0, int(x))
    return _float(_DIGITS.exp(_DIGITS.multiply(_decimal(x), _LN2)))


@lru_cache(maxsize=4096)
def power(base: float, exponent: float) -> float:
    """base^exponent for base > 0, correctly rounded but for a last digit in 10^20. Raises OverflowError."""
    return _float(_DIGITS.exp(_DIGITS.multiply(_decimal(exponent), _ln(base))))


def power_of_ten(exponent: int) -> float:
    """10^exponent, correctly rounded."""
    return float(f"1e{int(exponent)}")


def square(x: float) -> float:
    """x * x: one operation, where ``x**2`` asks the library for a power."""
    return x * x


def normal(draw: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Public numbers of mean 0 and variance 1 that are nearly normal, within 6: sums of twelve uniform ones.

    NumPy's own normal numbers take logarithms now and then. These are whole numbers over 2^32.
    """
    words = draw.integers(0, 1 << 32, (12, *shape), np.int64)
    return np.asarray((words.sum(0) - (6 << 32)) * 2.0**-32)


def total(values: npt.NDArray[Any], axis: int | tuple[int, ...], keepdims: bool) -> npt.NDArray[Any]:
    """Sums over axes: of integers exactly, of floats correctly rounded (``math.fsum``)."""
    if values.dtype.kind in "biu":
        return np.asarray(values.astype(np.int64).sum(axis=axis, keepdims=keepdims))
    axes = sorted(a % values.ndim for a in ((axis,) if isinstance(axis, int) else axis))
    rows = np.moveaxis(values.astype(np.float64), axes, range(len(axes)))
    kept = rows.shape[len(axes) :]
    flat = rows.reshape(-1, math.prod(kept))
    sums = np.asarray([math.fsum(flat[:, j].tolist()) for j in range(flat.shape[1])]).reshape(kept)
    return np.expand_dims(sums, axes) if keepdims else sums


def orthonormal(columns: Floats) -> Floats:
    """An orthonormal basis of the columns of a matrix (n, k), by the modified Gram-Schmidt process, twice.

    Sums run in order (``cumsum``): a library's matrix products and sums depend on the width of its registers.
    """
    basis = np.array(columns, np.float64)
    for _ in range(2):
        for j in range(basis.shape[1]):
            v = basis[:, j]
            for i in range(j):
                v = v - basis[:, i] * _in_order(basis[:, i] * v)
            basis[:, j] = v / math.sqrt(_in_order(v * v))
    return basis


def _in_order(terms: Floats) -> float:
    return float(np.cumsum(terms)[-1])


def _decimal(x: float) -> Decimal:
    return Decimal(x) if isinstance(x, int) else Decimal(float(x))


def _ln(x: float) -> Decimal:
    if not (x > 0 and math.isfinite(x)):
        _positive(x)
    return _DIGITS.ln(_decimal(x))


def _float(x: Decimal) -> float:
    value = float(x)
    if math.isinf(value):
        raise OverflowError(f"{x:.3e} is beyond the range of a float")
    return value
