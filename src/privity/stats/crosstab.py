"""Cross tables of two secret columns of categories, and the chi-square test of their independence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..array import SecureArray
from ..disclosure import release, release_table
from ..errors import ShapeError, UsageError
from ..functions import matmul, one_hot
from ..functions.flags import as_flags, secret
from ..functions.nullable import listwise
from ..functions.ratio import ratio
from ..ml.parameters import arguments
from . import pvalues
from .sample import TestResult, opened_result

_FINE = 26  # fractional bits of shares of rows


@dataclass(frozen=True)
class CrossTable:
    """Secret counts of rows, (rows, columns)."""

    counts: SecureArray

    def open(self, *, to: Any, name: str, reason: str) -> Any:
        """The counts, float64, small ones NaN and never a single one (``disclosure.release_table``); one opening.

        Margins are not opened: see ``disclosure.margins``.
        """
        return release_table(self.counts._context, self.counts, to=to, name=name, reason=reason)

    def chi2(self, correction: bool = True) -> Chi2:
        """Pearson's test of independence, as ``scipy.stats.chi2_contingency`` (``correction``: Yates', 2 x 2 only)."""
        return chi2_contingency(self.counts, correction=correction)


@arguments
@listwise
def crosstab(
    a: SecureArray, b: SecureArray, *, rows: int, columns: int, valid: SecureArray | None = None
) -> CrossTable:
    """Rows by code of a (0 to rows - 1) and b (0 to columns - 1), both (n,) secret whole numbers or booleans.

    Other codes count nowhere; ``valid`` (n,): rows that count. Exact. Cost: two one-hot forms (24 bytes in all for each
    row and category, about 10 rounds) and one product.
    """
    if a.shape != b.shape or a.ndim != 1 or a.shape[0] == 0:
        raise ShapeError(f"crosstab: expected two columns of shape (n,) with n > 0, got {a.shape} and {b.shape}")
    if valid is not None:
        secret("crosstab: valid", valid)
    if valid is not None and valid.shape != a.shape:
        raise ShapeError(f"crosstab: expected valid of shape {a.shape}, got {valid.shape}")
    if rows < 1 or columns < 1:
        raise UsageError(f"crosstab: expected rows and columns of at least 1, got rows={rows}, columns={columns}")
    for argument, codes in (("a", a), ("b", b)):
        if codes.kind == "fixed":
            raise UsageError(
                f"crosstab: expected {argument} as secret whole numbers or booleans, got {codes!r}; write "
                f"{argument} > 0.5 for a column of 0 and 1, rint({argument}) for codes"
            )
    left, right = one_hot(a.numeric(), rows), one_hot(b.numeric(), columns)
    if valid is not None:
        left = (left * as_flags(valid, "crosstab: valid").reshape((-1, 1)))._stated(1.0)
    return CrossTable(matmul(left.T, right)._stated(float(a.shape[0])))


@dataclass(frozen=True)
class Chi2:
    """Secret ``statistic`` of a table of ``rows`` (secret) rows in all; ``df`` is public."""

    statistic: SecureArray
    rows: SecureArray
    df: int

    def open(self, *, to: Any, name: str, reason: str) -> Any:
        """A ``TestResult``: statistic, p value (float64), degrees of freedom. One opening of shape (1,).

        With an opened table of which one cell is suppressed, the statistic may tell that cell: open one of the two.
        """
        statistic = self.statistic.reshape((1,))
        value = release(statistic._context, statistic, self.rows, to=to, name=name, reason=reason)

        def read(opened: np.ndarray) -> TestResult:
            statistic = float(max(opened[0], 0.0)) if opened[0] == opened[0] else float("nan")
            known = statistic == statistic and self.df > 0
            return TestResult(statistic, pvalues.of_chi2(statistic, self.df) if known else float("nan"), float(self.df))

        return opened_result(value, read)


@arguments
def chi2_contingency(counts: SecureArray, *, correction: bool = True) -> Chi2:
    """Pearson's chi-square of a secret table of counts (r, c): sum of (observed - expected)^2 / expected.

    Cells of an empty row or column add 0, and the degrees of freedom (r - 1)(c - 1) still count it (SciPy raises: here
    nobody may know). Error: relative 2^-18, absolute rows * 2^-24. Rounds: about 100.
    """
    counts = counts.numeric()
    if counts.ndim != 2 or 0 in counts.shape or counts.kind != "int":
        raise UsageError(f"chi2_contingency: expected counts as a table of secret whole numbers, got {counts!r}")
    r, c = counts.shape
    n = counts.bound * 1.0
    total = counts.sum()._stated(n)
    of_row, of_column = counts.sum(axis=1, keepdims=True)._stated(n), counts.sum(axis=0, keepdims=True)._stated(n)
    # (observed - expected) * rows, exact
    off = ((counts * total)._stated(n * n) - (of_row * of_column)._stated(n * n))._stated(n * n)
    if correction and r == c == 2:
        less = (abs(off) * 2 - total)._stated(2 * n * n)  # half a row nearer to 0, but not beyond
        off, double = ((less > 0) * less)._stated(2 * n * n), 2
    else:
        double = 1
    by_row = ratio(off, (of_row * total)._stated(n * n) * double, 1.0, _FINE)
    by_column = ratio(off, (of_column * total)._stated(n * n) * double, 1.0, _FINE)
    products = by_row.multiply(by_column, scale=2 * _FINE).sum()._stated(float(min(r, c)))
    statistic = products.rescaled(min(2 * _FINE, max(_FINE, 60 - int(n).bit_length() - 4))) * total
    return Chi2(statistic, total, (r - 1) * (c - 1))
