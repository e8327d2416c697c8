"""What a second-order model sees of its rows: bounded columns, weights of mean 1, and means over rows.

Objectives are means over real rows, so that a penalty means the same whatever the number of rows. Columns must be
standardised (mean square at most ``MEAN_SQUARE``), which bounds every gradient and curvature by the Cauchy-Schwarz
inequality, whatever single values may be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..array import SecureArray
from ..context import Context
from ..errors import RangeViolated, ShapeError, UsageError
from ..functions import concatenate, reciprocal
from ..functions.flags import as_flags
from ..ring import exact, layout
from ..types import RANGE_BITS
from .estimator import Rows

MEAN_SQUARE = 4.0
"""Largest weighted mean square of a column, guarded: standardised columns have 1."""
LARGEST_WEIGHT = 64.0
"""Largest weight of a row, weights having mean 1, guarded."""
OTHER_LABELS = "for other labels, such as -1 and 1, pass y > 0"
_LEAST_MEAN = 2.0**-4  # of secret weights or of a row mask
_WEIGHT_BITS = 22


@dataclass(frozen=True, slots=True)
class Design:
    """``x`` (n, d): columns, the constant one last if there is one. ``weight`` (n,): of mean 1, or None if all are 1.

    ``inverse``: 1 / mean of the weights as they were given, secret, or None: n * mean is what information grows with.
    """

    x: SecureArray
    weight: SecureArray | None
    inverse: SecureArray | None

    @property
    def rows(self) -> int:
        return self.x.shape[0]

    def weighted(self, values: SecureArray) -> SecureArray:
        """Each row's values (n,) or (n, k) times its weight. At most 3 rounds."""
        if self.weight is None:
            return values
        weight = self.weight if values.ndim == 1 else self.weight.reshape((-1, 1))
        return values * weight

    def mean(self, left: SecureArray, right: SecureArray, bound: float, scale: int = 26) -> SecureArray:
        """left^T right / n for (n, a) and (n, b) or (n,), where it is known not to pass ``bound``. 5 rounds."""
        context, n = self.x._context, self.rows
        columns = right if right.ndim == 2 else right.reshape((-1, 1))
        lift = max(0, exact.log2_ceil(n))
        total = left.scale + columns.scale
        context.fits(bound * n, total, "a sum over the rows of a model (before it is truncated)")
        scale = max(0, min(scale, total + lift))
        share = context.protocol.matmul(left.T._ring_share(), columns._ring_share(), total + lift - scale)
        halved = SecureArray(context, share, scale, bound * 1.01 + 2.0**-scale)  # the sum over 2^lift: at most the mean
        result = halved.multiply(np.asarray(2.0**lift / n), scale=scale) if 2**lift != n else halved
        result = result._stated(bound * 1.02 + 2.0 ** (1 - scale))
        return result if right.ndim == 2 else result.reshape((-1,))


def design_of(what: str, rows: Rows, feature_bound: float, constant: float | None = None) -> Design:
    """Rows as a Design; ``constant``: value of a last column, None for none.

    Guards, opened as one flag by ``settle``: |x| <= feature_bound; mean squares of columns at most 4; no negative
    weight; weights of mean at least 1/16, none above 64 times their mean. Rounds: about 40 with weights or a mask, 6
    without.
    """
    context = rows.x._context
    x = rows.x.numeric()
    x = x if x.scale == context.fraction_bits else x.rescaled(context.fraction_bits)
    if x.bound > feature_bound:
        x = x.assume_bound(feature_bound)
    if constant is not None:
        x = concatenate([x, context.constant(np.full((x.shape[0], 1), constant))], axis=1)
    raw = rows.weight
    if raw is not None and raw.bound > 0:
        context.guard((raw < 0).numeric().sum()._ring_share())
    if rows.valid is not None:
        raw = rows.valid if raw is None else raw * rows.valid
    weight = inverse = None
    if raw is not None:
        lift = max(0, exact.log2_ceil(raw.shape[0]))
        total = raw.sum()
        halved = SecureArray(context, total._ring_share(), total.scale + lift, raw.bound)  # over 2^lift, exactly
        wide = halved if halved.scale >= _WEIGHT_BITS else halved.rescaled(_WEIGHT_BITS)
        mean = wide.multiply(np.asarray(2.0**lift / raw.shape[0]), scale=max(_WEIGHT_BITS, min(wide.scale, 30)))
        mean = mean if mean.scale <= _WEIGHT_BITS + 4 else mean.rescaled(_WEIGHT_BITS + 4)
        inverse = reciprocal(mean._stated(raw.bound * 1.01), at_most=1.01 / _LEAST_MEAN, scale=_WEIGHT_BITS + 4)
        scaled = raw.multiply(inverse, scale=_WEIGHT_BITS)
        weight = (scaled if scaled.scale <= _WEIGHT_BITS else scaled.rescaled(_WEIGHT_BITS)).assume_bound(
            LARGEST_WEIGHT
        )
    design = Design(x, weight, inverse)
    _guard_columns(design)
    return design


def _guard_columns(design: Design) -> None:
    """Guard that every column's weighted mean square is at most MEAN_SQUARE."""
    x, n = design.x, design.rows
    context = x._context
    most = exact.log2(n * exact.square(max(x.bound, 1.0)) * (LARGEST_WEIGHT if design.weight is not None else 1.0))
    scale = min(x.scale, math.floor((RANGE_BITS - 1 - most) / 2))
    if scale < 6:
        raise UsageError(
            f"a model of {n} rows with |x| <= {x.bound:g}: too large for its sums; state a smaller feature_bound"
        )
    low = x if scale == x.scale else x.rescaled(scale)
    left = low if design.weight is None else low.multiply(design.weight.reshape((-1, 1)), scale=scale)
    columns = [v._ring_share().map(layout.transpose(None)) for v in (left, low)]
    sums = SecureArray(context, context.protocol.dot(columns[0], columns[1]), 2 * scale, exact.exp2(most))
    sums.assume_bound(MEAN_SQUARE * n)


def settle(context: Context, what: str, hint: str) -> None:
    """Open one flag for all pending guards. Raises RangeViolated with ``hint`` if one was violated."""
    try:
        context.check_guards()
    except RangeViolated as error:
        raise RangeViolated(f"{what}: {error}. {hint}") from None


def whole_target(what: str, rows: Rows) -> SecureArray:
    """The target as secret integers (n,). Raises ShapeError, UsageError."""
    y = rows.y
    assert y is not None
    if y.ndim != 1:
        raise ShapeError(f"{what}: expected y of shape (n,), got {y.shape}")
    if y.kind == "fixed":
        raise UsageError(f"{what}: expected y as integers or booleans, got fixed-point values; use y.astype('int')")
    return y.numeric()


def binary_target(what: str, rows: Rows) -> SecureArray:
    """The target as flags (n,), checked to be 0 or 1 in each row (functions/flags.py). Raises as ``whole_target``."""
    return as_flags(whole_target(what, rows), f"{what}: y", advice=OTHER_LABELS)
