"""Probabilities of test statistics, in float64, after the statistics were opened."""

from __future__ import annotations

import math
from typing import Any

from ..errors import UsageError


def of_normal(z: float) -> float:
    """Two-sided, of a standard normal."""
    return math.erfc(abs(z) / math.sqrt(2.0))


def of_t(t: float, df: float) -> float:
    """Two-sided, of Student's t. Needs SciPy."""
    return float(2.0 * _distributions().t.sf(abs(t), df))


def of_chi2(statistic: float, df: float) -> float:
    """Upper tail of chi-square. One degree of freedom is that of a normal; others need SciPy."""
    if df == 1:
        return math.erfc(math.sqrt(max(statistic, 0.0) / 2.0))
    return float(_distributions().chi2.sf(statistic, df))


def _distributions() -> Any:
    """scipy.stats. Raises UsageError that says how to install it."""
    try:
        from scipy import stats
    except ImportError:
        raise UsageError(
            "p values of t and chi-square need SciPy, which is not installed: pip install 'privity[stats]'; the "
            "statistic itself was opened and is on the record"
        ) from None
    return stats
