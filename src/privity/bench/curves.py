"""The real functions of the benchmarks: 1,000 rows of 100 values each, as other frameworks' figures have them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ..array import SecureArray
from ..functions import exp, log, reciprocal, rsqrt, softmax
from ..inputs import Input
from . import ideal
from .ideal import Ideal

Floats = npt.NDArray[np.float64]
Secrets = Mapping[str, SecureArray]
_ROW = 100
_LARGEST = 8.0


def both_signs(n: int) -> Mapping[str, Input]:
    """n values in [-8, 8], in rows of 100."""
    values = np.random.default_rng(21).uniform(-_LARGEST, _LARGEST, (max(1, n // _ROW), min(n, _ROW)))
    return {"x": Input(values, bound=_LARGEST)}


def positive(n: int) -> Mapping[str, Input]:
    """n values in [1/8, 8], in rows of 100."""
    values = np.random.default_rng(22).uniform(1 / _LARGEST, _LARGEST, (max(1, n // _ROW), min(n, _ROW)))
    return {"x": Input(values, bound=_LARGEST)}


def shape(n: int) -> tuple[int, int]:
    """Rows of at most 100 values."""
    return max(1, n // _ROW), min(n, _ROW)


def exponential(secrets: Secrets) -> SecureArray:
    """e^x."""
    return exp(secrets["x"])


def logarithm(secrets: Secrets) -> SecureArray:
    """Natural logarithm."""
    return log(secrets["x"])


def inverse(secrets: Secrets) -> SecureArray:
    """1 / x."""
    return reciprocal(secrets["x"])


def inverse_root(secrets: Secrets) -> SecureArray:
    """1 / sqrt(x)."""
    return rsqrt(secrets["x"])


def shares_of_one(secrets: Secrets) -> SecureArray:
    """softmax along the rows."""
    return softmax(secrets["x"])


def shares_of_one_plain(values: Mapping[str, Floats]) -> Floats:
    """softmax in NumPy."""
    e = np.exp(values["x"] - values["x"].max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def normalised_ideal(n: int) -> Ideal:
    """A value brought to [1/2, 1) by its leading bit, then a polynomial: log, 1 / x, 1 / sqrt(x).

    The bits of 22 places (a sign's worth of carries), six products for the polynomial and the Newton step, and one
    selection for the place.
    """
    return ideal.sign(n, 22) + ideal.product(n).times(6) + ideal.selection(n)


def exponential_ideal(n: int) -> Ideal:
    """Integer and fraction by one carry chain, 2^int by five selections, a polynomial of four products."""
    return ideal.sign(n, 22) + ideal.selection(n).times(5) + ideal.product(n).times(4)


def softmax_ideal(n: int) -> Ideal:
    """The largest of each row (n comparisons and selections in log2(100) batches), exponentials, one quotient a row."""
    level = ideal.sign(n / 7, 23) + ideal.selection(n / 7)
    return level.times(7) + exponential_ideal(n) + normalised_ideal(max(1, n // _ROW)) + ideal.product(n)
