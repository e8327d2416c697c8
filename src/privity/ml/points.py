"""Rows without a target, as clustering, decomposition and neighbours see them: bounded columns, one weight a row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..array import SecureArray
from ..context import Context
from ..errors import ShapeError, UsageError
from ..functions.ratio import fitting_scale, mean
from ..functions.select import outside_count
from ..ring import exact
from ..table import Table
from ..types import RANGE_BITS
from .constant import varying
from .estimator import Rows, rows_of
from .information import lifted
from .weights import guard_weights

_LEAST = 2.0**-6  # mean squared distance of the rows from their mean


@dataclass(frozen=True, slots=True)
class Points:
    """``x`` (n, d) at the session's fractional bits, 0 in rows that do not count; ``names`` of its columns.

    ``weight`` (n,): the row mask times the sample weights, secret, at least 0; None where every row counts once.
    """

    x: SecureArray
    weight: SecureArray | None
    names: tuple[str, ...]

    @property
    def _context(self) -> Context:
        return self.x._context

    @property
    def total(self) -> int | SecureArray:
        """Sum of the weights: a plain number or secret."""
        return self.x.shape[0] if self.weight is None else self.weight.sum()

    def weighted(self, values: SecureArray) -> SecureArray:
        """Each row's values (n, k) or (n,) times its weight; no more than 3 rounds."""
        if self.weight is None:
            return values
        weight = self.weight.reshape((-1, *[1] * (values.ndim - 1)))
        return values.multiply(weight, scale=max(values.scale, self.weight.scale))


def points_of(
    what: str,
    x: Table | SecureArray,
    *,
    valid: SecureArray | None = None,
    sample_weight: Any = None,
    feature_bound: float | None = None,
    most_bits: int = 0,
) -> Points:
    """Rows of a table or of an array as Points. Errors as ``rows_of``; RangeViolated later for a negative weight.

    ``feature_bound``: |x| stays below it, guarded where the public bound of x is larger; None: that bound.
    ``most_bits``: x keeps as many fractional bits, where it has them; else it has the session's.
    """
    rows = rows_of(what, x, valid=valid, sample_weight=sample_weight, target=False)
    return points(what, rows, feature_bound, most_bits)


def points(what: str, rows: Rows, feature_bound: float | None, most_bits: int = 0) -> Points:
    """The same from rows that were read before."""
    context = rows.x._context
    if feature_bound is not None and not feature_bound > 0:
        raise UsageError(f"{what}: expected feature_bound above 0 or None, got {feature_bound!r}")
    x = rows.x.numeric()
    x = x.rescaled(max(context.fraction_bits, min(x.scale, most_bits)))
    if feature_bound is not None and x.bound > feature_bound:
        x = within(what, x, feature_bound)
    weight = rows.weight
    if weight is not None and weight.bound > 0:
        guard_weights(what, weight, rows.valid)
        scale = fitting_scale(weight.bound * x.shape[0], min(weight.scale, context.fraction_bits), 40)
        weight = weight.rescaled(scale)
    if rows.valid is not None:
        weight = rows.valid if weight is None else weight * rows.valid
    return Points(x, weight, rows.names)


def within(what: str, x: SecureArray, bound: float) -> SecureArray:
    """x under a smaller bound, guarded, with a message that says how to keep it."""
    hint = f"{what}: |x| <= {bound:g}, its feature_bound; cut values far out with StandardScaler(clip=), or raise it"
    x._context.guard(outside_count(x, float(bound)), hint)
    return x._stated(float(bound))


def distance_power(rows: Rows, feature_bound: float | None) -> int:
    """k so that squared distances between rows of x * 2^k have digits, and room: bounds below 4 are brought there, and
    those for which squared distances would pass 62 bits below that. Bounds of at most 1, as tables have in their units,
    may be loose by far: they are brought as high as squared distances, and their sum over all rows, have room for.
    """
    (n, d), bits = rows.x.shape, rows.x._context.fraction_bits
    size = exact.log2_ceil(max(min(rows.x.bound, feature_bound or rows.x.bound), 2.0**-30))
    left = RANGE_BITS - 3 - bits - exact.log2_ceil(d)
    room = (left - bits) // 2
    summed = (left - exact.log2_ceil(max(n, 1))) // 2 - 1
    wanted = max(2, min(room, summed)) if size <= 0 else 2
    return min(max(0, wanted - size), room - size)


def refuse_unresolved(what: str, rows: Rows, given: Points) -> None:
    """Guard that distances between the rows have digits: their mean squared distance from their mean is at least
    2^-6 in the power of two of ``given``, so that an error of 2^-17 is 2^-11 of it; or all are equal, found exactly.

    Rounds: about 30, with a mask 70. Bytes per party and row: 10, with a mask 20 a column.
    """
    context, x, valid = given._context, given.x, rows.valid
    n, d = x.shape
    if valid is None:
        away = x - x.mean(0)
        least: float | SecureArray = n * _LEAST
    else:
        middle = mean(x.sum(0).reshape((1, d)), valid.sum().reshape((1, 1)), x.bound, x.scale)
        away = (x - middle)._stated(2 * x.bound) * valid.reshape((n, 1))
        least = valid.sum() * _LEAST
    away = away._stated(2 * x.bound)
    share = context.protocol.dot(away._ring_share(), away._ring_share(), away.scale)
    squares = SecureArray(context, share, away.scale, d * exact.square(away.bound) + 2.0**-away.scale)
    few = (squares.sum() < least).numeric()
    some = (varying(rows.x.numeric(), valid, beside_ones=True).sum() > 0).numeric()
    hint = (
        f"{what}: rows differ by too little beside the public bounds of their columns, so that distances have no "
        "digits: state smaller bounds, or bring the columns to one scale with StandardScaler"
    )
    context.guard((few * some)._ring_share(), hint)


def near(what: str, rows: Rows, feature_bound: float | None, power: int) -> Points:
    """Points between which distances are taken, times 2^power: exactly, but for fractional bits that have no room.

    |x| stays below ``feature_bound``, or if that is None below what there is room for; guarded where its public bound
    is larger.
    """
    x = lifted(rows.x.numeric(), power) if power else rows.x
    if feature_bound is None:
        room = RANGE_BITS - 3 - 2 * rows.x._context.fraction_bits - exact.log2_ceil(rows.x.shape[1])
        return points(what, replace(rows, x=x), exact.exp2(room // 2))
    return points(what, replace(rows, x=x), feature_bound * exact.exp2(power))


def same_columns(what: str, x: SecureArray, columns: int) -> None:
    """Raise ShapeError unless x (n, d) has as many columns as the model learnt from."""
    if x.shape[1] != columns:
        raise ShapeError(f"{what}: expected x with {columns} columns, as it was fitted on, got {x.shape}")
