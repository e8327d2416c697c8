"""The Cholesky factor of the benchmarks: one symmetric positive definite matrix of condition 100."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ..array import SecureArray
from ..functions import cholesky
from ..inputs import Input
from . import ideal
from .ideal import Ideal

Floats = npt.NDArray[np.float64]
_CONDITION = 100.0


def matrix(n: int) -> Mapping[str, Input]:
    """Eigenvalues spread evenly in their logarithms, largest entry 1."""
    q = np.linalg.qr(np.random.default_rng(14).normal(size=(n, n)))[0]
    a = (q * np.geomspace(1 / _CONDITION, 1, n)) @ q.T
    return {"a": Input((a + a.T) / (2 * np.abs(a).max()), bound=1.0)}


def factor(secrets: Mapping[str, SecureArray]) -> SecureArray:
    """Lower triangular, with the guard that it is one."""
    return cholesky(secrets["a"])


def factor_plain(values: Mapping[str, Floats]) -> Floats:
    """The same in float64."""
    return np.asarray(np.linalg.cholesky(values["a"]))


def factor_ideal(n: int) -> Ideal:
    """Column after column: a matrix product, the leading bit of a pivot of 31 bits, a root of eight products.

    Then the column times that root. The columns wait for each other, so nearly all of it is rounds.
    """
    total = Ideal()
    for j in range(n):
        total += ideal.matrix_product(n - j, j, 1) + ideal.product(n - j) + ideal.product(1).times(8)
        total += ideal.sign(1, 31) + ideal.selection(31)
    return total
