"""Newton's method on shares: a fixed, public number of steps to the optimum of a generalised linear model.

One evaluation at the coefficients b gives the gradient X^T r / n and the expected Hessian X^T W X / n; ``Information``
inverts it. The line search looks at the slope of the loss along the last direction, which the gradient at the new
point gives for a product of two vectors: the loss is convex, so where the slope there is not steeper uphill than it was
downhill at the start, the step is taken; else the step is cut to a quarter. Where the slope still has a quarter of its
first size downhill, the next step is doubled: where classes are apart, each of Newton's steps moves the margins by
about 1 only. It costs two comparisons of two numbers and opens nothing; computing the loss would cost a logarithm a
row.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ..array import SecureArray
from ..context import Context
from ..errors import OverflowPlanned, RangeViolated, UsageError
from ..functions import concatenate, stack
from ..functions.arithmetic import matmul
from ..lines import user_line
from ..ring import exact, layout
from ..types import RANGE_BITS
from .constant import varying
from .estimator import Rows, with_intercept
from .guards import Guards
from .information import LEAST, Information, lifted, matrix_scale
from .weights import Unit, evened, guard_weights

_FEWEST_BITS = 4  # of factors whose products are summed over the rows: their rounding averages out
_FEWEST_LEFT = 10  # of columns beside columns times the Hessian's weights
_COEF_BITS = 24
_FAR_OFF = "y of a row lies far above its mean or prediction; raise ratio_bound, or leave such rows out"
_LARGEST_TOTAL = 2.0**12  # of sample weights beside class weights that are brought to a mean of 1
_GRADIENT_BITS = 34
_SLOPE_BITS = 26  # of the gradient where it is multiplied by steps of _COEF_BITS: room for slopes up to 2^9


@dataclass(frozen=True, slots=True)
class Predictors:
    """What is fitted: ``x`` (n, d), with a last column of ones (0 in padding rows) where there is an intercept.

    ``weighted``: x times the weights. ``total``: sum of the weights over 2^shift, a number or secret. Sums over rows
    are divided by 2^shift, the power of two from n upward, which is only a shift. ``valid``: flags of the real rows.
    ``load``: what the mean of the weights cannot pass. ``unit``: what weights were multiplied by, None for 1.
    """

    x: SecureArray
    weighted: SecureArray
    weight: SecureArray | None
    total: float | SecureArray
    shift: int
    intercept: bool
    names: tuple[str, ...]
    valid: SecureArray | None = None
    load: float = 1.0
    unit: Unit | None = None
    given: SecureArray | None = None
    """Sample weights, 0 in padding, where there are some."""
    what: str = "Information"
    """Name of the model, for errors."""
    norm: float | None = None
    """What the root of the sum of squares of a column, or of a target, cannot pass; None: only bounds are known."""

    @classmethod
    def of(
        cls, what: str, rows: Rows, intercept: bool, penalised: bool, factor: SecureArray | None = None,
        heaviest: float = math.inf,
    ) -> Predictors:  # fmt: skip
        """``factor`` (n,): weights that count in the loss but not in the total (class weights).

        Weights whose public bound passes ``heaviest`` are brought to a mean between 1/4 and 1 first, ``total`` with
        them, by a secret power of two: about 40 rounds and 18 bytes a row; sums have room for them then. Raises
        UsageError for more columns than rows without a penalty. Weights below 0 raise RangeViolated later.
        """
        n, context = rows.x.shape[0], rows.x._context
        x = rows.x if rows.x.scale else rows.x.rescaled(rows.x._context.fraction_bits)
        x = with_intercept(x, rows.valid) if intercept else x
        if x.shape[1] > n and not penalised:
            raise UsageError(
                f"{what}: {x.shape[1]} coefficients cannot be told from {n} rows; set alpha > 0, or take fewer columns"
            )
        shift = exact.log2_ceil(n) if n > 1 else 0
        weight = rows.weight
        if weight is not None:
            guard_weights(what, weight, rows.valid)
        counted = weight if rows.valid is None else rows.valid if weight is None else weight * rows.valid
        total: float | SecureArray = n / 2.0**shift
        if counted is not None:
            over = lifted(counted.sum(), -shift)
            total = over.rescaled(min(over.scale, 24))
        applied = counted if factor is None else factor if counted is None else counted * factor
        load, unit = 1.0 if applied is None else applied.bound, None
        if applied is not None and load > heaviest:
            room = RANGE_BITS - 2 - x.scale - exact.log2_ceil(max(x.bound, 1.0))
            applied, unit = evened(what, applied, shift, room)
            load = 1.0
            total = _evened_total(total, unit, context)
        both = applied
        if unit is None:
            both = weight if factor is None else factor if weight is None else weight * factor
        weighted = x if both is None else x.multiply(both.reshape((-1, 1)), scale=x.scale)
        names = (*rows.names, "intercept") if intercept else rows.names
        given = None if weight is None else counted
        return cls(x, weighted, applied, total, shift, intercept, names, rows.valid, load, unit, given, what)

    def mean(self, values: SecureArray, scale: int = 24) -> SecureArray:
        """Sum over the rows of weight * values (n,) or (n, k), padding left out, over 2^shift."""
        values = values.numeric()
        if self.weight is None or not (self.weight.scale or values.scale):
            room = _room("a sum", 0, self.x.shape[0] * max(1.0, self.load) * values.bound)
            values = values.rescaled(min(values.scale, room))
            total = values.sum(0) if self.weight is None else self.weight @ values  # whole numbers stay whole
            bound = total.bound / 2.0**self.shift
            over = SecureArray(total._context, total._ring_share(), total.scale + self.shift, bound)
            return over.rescaled(min(scale, over.scale))
        reach = self.weight.size * self.load * values.bound
        room = _room("a sum", self.weight.scale, reach)
        return matmul(self.weight, values.rescaled(min(values.scale, room)), 2.0**-self.shift, scale, reach=reach)

    @property
    def columns(self) -> int:
        return self.x.shape[1]

    def varying(self, x: SecureArray | None = None) -> SecureArray:
        """1 for columns that vary (without an intercept: that are not 0 throughout), and for the intercept; (d,).

        Rows of weight 0 are not looked at: with weights a comparison a row, about 100 bytes per party. ``x`` (n, k):
        the columns as they were given, None: those of the design.
        """
        features = x if x is not None else self.x[:, :-1] if self.intercept else self.x
        among = None if self.given is None else (self.given > 0).numeric()
        found = varying(features, self.valid, self.intercept, among)
        return concatenate([found, self.x._context.constant(np.ones(1, np.int64))]) if self.intercept else found

    def slopes(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """1 for coefficients of features, 0 for the intercept."""
        return np.append(np.ones(self.columns - 1, np.int64), 0) if self.intercept else np.ones(self.columns, np.int64)


def _evened_total(total: float | SecureArray, unit: Unit, context: Context) -> SecureArray:
    """The sum of the sample weights over 2^shift, in the unit of the weights: known to be small."""
    given = total if isinstance(total, SecureArray) else context.constant(total, scale=24)
    share = context.protocol.mul(given._ring_share(), unit.power._ring_share(), unit.power.scale)
    return SecureArray(context, share, given.scale, _LARGEST_TOTAL)


class Family(ABC):
    """A model's likelihood as Newton's method needs it; one for each set of rows."""

    residual_bound: float
    weight_bound: float
    exact_bound: bool
    """Whether no residual can pass its bound; else the bound is guarded at the last step."""
    weight_bits: int = 12
    """Fractional bits that columns times their weights should keep: more where weights may be small everywhere."""
    bits: int | None = None
    """Fractional bits of the linear predictor; None: the session's."""

    @abstractmethod
    def evaluate(self, linear: SecureArray) -> tuple[SecureArray, SecureArray | None]:
        """For X b (n,): residuals r, where X^T r is the gradient of the loss, and expected weights (None: all 1)."""


@dataclass(frozen=True, slots=True)
class Optimum:
    """Coefficients (d,) after the last step, and what was found before it: the inverse of the Hessian, the residuals,
    and ``decrement`` = g^T H^-1 g (), over 2^shift: times 2^shift, the square of the last step in standard errors
    where the loss is minus the log likelihood.
    """

    coef: SecureArray
    information: Information
    residual: SecureArray
    decrement: SecureArray


def newton(
    design: Predictors,
    family: Family,
    start: SecureArray | None,
    *,
    alpha: float,
    steps: int,
    coefficient_bound: float,
    least: float = LEAST,
    strengths: SecureArray | None = None,
    kept: SecureArray | None = None,
    roots: SecureArray | None = None,
) -> Optimum:
    """Minimise mean loss + alpha / 2 |slopes|^2 in ``steps`` steps from ``start`` (d,), None: 0.

    ``strengths`` (d,): of the penalty on each coefficient, instead of alpha times the total. ``kept`` (d,): 1 for the
    columns that vary, 0 for the others, where it is known; ``roots`` (d,), beside it: diag(Hessian)^(-1/2), likewise.

    The last step is always Newton's: what certifies it is the decrement, which the caller guards (``certify``). What
    else has to hold is added to the session's range flag: a Hessian that is not singular (``least``: its smallest
    eigenvalue, with a diagonal of 1), coefficients below their bound. A column that is constant beside an intercept, or
    0, has coefficient 0 and standard error 0. Each step: about 170 rounds for 64 columns; 10.25 bytes per party and
    element of x, 10 for each row, and what the family's ``evaluate`` costs. Once: 12 rounds for constant columns.
    """
    context, x = design.x._context, design.x
    scale = min(_COEF_BITS, _room("the linear predictor", x.scale, design.columns * x.bound * coefficient_bound))
    first = context.constant(np.zeros(design.columns), scale=scale) if start is None else start.rescaled(scale)
    coef = first._stated(coefficient_bound)
    penalty = _Penalty.of(design, alpha, scale + exact.log2_ceil(max(coefficient_bound, 1.0)))
    penalty = penalty if strengths is None else _Penalty(strengths, np.ones(design.columns, np.int64))
    kept = design.varying() if kept is None else kept
    information: Information | None = None
    search: _Search | None = None
    left: SecureArray | None = None
    for step in range(steps):
        last = step == steps - 1
        if start is None and step == 0:
            linear = context.constant(np.zeros(x.shape[0]), scale=family.bits or context.fraction_bits)
        else:
            linear = matmul(x, coef, scale=family.bits)
        residual, weight = family.evaluate(linear)
        if last and not family.exact_bound:
            residual = residual.assume_bound(family.residual_bound, f"residuals of {design.what}: {_FAR_OFF}")
        gradient = penalty.gradient(weighted_sums(design, residual._stated(family.residual_bound)), coef)
        if information is None or weight is not None:
            if weight is not None and left is None:
                left = shortened(design, family.weight_bound, family.weight_bits)
            hessian = penalty.hessian(weighted_products(design, weight, family.weight_bound, left))
            information = Information(hessian, least, kept, roots)
        newer = -information.solve(gradient, scale, coefficient_bound)
        slopes = gradient.rescaled(min(gradient.scale, _SLOPE_BITS))
        decrement = -dot(slopes, newer)
        if search is None or last:
            search = _Search(coef, newer, newer, decrement)
        else:
            search = search.after(coef, newer, decrement, dot(slopes, search.direction))
        coef = (search.anchor + search.move)._stated(coefficient_bound)
        context.progress(step + 1, steps, f"step {step + 1}/{steps}")
    assert information is not None
    guards = Guards(context)
    information.guard(design.what, design.names, guards)
    coef = guards.bounded(
        coef, coefficient_bound, f"coefficients of {design.what}: raise coefficient_bound, or standardise the columns"
    )
    guards.ask()
    return Optimum(coef, information, residual, decrement)


@dataclass(frozen=True, slots=True)
class _Search:
    """Where the loss was last known to fall, the direction from there, the step that is tried, and how steep it fell.

    ``move`` is ``direction`` times a secret power of two; ``drop`` () is the slope at the anchor, less than 0, negated.
    """

    anchor: SecureArray
    direction: SecureArray
    move: SecureArray
    drop: SecureArray

    def after(self, coef: SecureArray, newer: SecureArray, drop: SecureArray, slope: SecureArray) -> _Search:
        """The next try, given the slope along ``direction`` at ``coef``, Newton's step from there and its drop."""
        context, d = coef._context, coef.size
        proto = context.protocol
        both = proto.concatenate([self.move._ring_share(), self.drop._ring_share().map(layout.reshape((1,)))], 0)
        cut = proto.truncate(both, 2)
        quarter = SecureArray(context, cut.map(layout.take(slice(0, d))), self.move.scale, self.move.bound)
        fourth = SecureArray(context, cut.map(layout.take(d)), self.drop.scale, self.drop.bound)
        flags = (stack([self.drop - slope, slope + fourth]) < 0).numeric()
        uphill, short = flags[0], flags[1]
        scale, bound = coef.scale, coef.bound
        rows = [self.anchor - coef, self.direction - newer, quarter - newer, newer]
        factors = proto.concatenate(
            [uphill._fitted((3 * d,)), short._fitted((d,)), uphill._fitted((1,))], 0
        )
        values = proto.concatenate(
            [r._ring_share() for r in rows] + [(self.drop - drop)._fitted((1,))], 0
        )
        chosen = proto.mul(factors, values)

        def part(low: int, high: int) -> SecureArray:
            return SecureArray(context, chosen.map(layout.take(slice(low, high))), scale, bound)

        change = SecureArray(context, chosen.map(layout.take(4 * d)), drop.scale, drop.bound)
        return _Search(
            (coef + part(0, d))._stated(bound),
            (newer + part(d, 2 * d))._stated(bound),
            (newer + part(2 * d, 3 * d) + part(3 * d, 4 * d))._stated(bound),
            (drop + change)._stated(drop.bound),
        )


def certify(what: str, found: Optimum, limit: SecureArray | float) -> None:
    """Guard that the last decrement is at most ``limit``: a number, or secret ()."""
    context = found.decrement._context
    context.guard(
        (found.decrement > limit).numeric()._ring_share(),
        f"{what}: the last of max_iter steps moved a coefficient by a small part of its standard error (tol); raise "
        "max_iter, or set alpha",
    )


@contextmanager
def checked(what: str, context: Context, hint: str) -> Iterator[None]:
    """Open the range flag after the block; where it is not 'ok', RangeViolated names the model and says what to do.

    Flags from before the block are opened first, so that the model is not blamed for them.
    """
    context.check_guards()
    yield
    try:
        context.check_guards()
    except RangeViolated as error:
        raise RangeViolated(f"{what}: {hint}. ({error})") from None


@dataclass(frozen=True, slots=True)
class _Penalty:
    """alpha * total * slopes, as a secret (d,) array or None."""

    strength: SecureArray | None
    slopes: np.ndarray[tuple[int], np.dtype[np.int64]]

    @classmethod
    def of(cls, design: Predictors, alpha: float, coef_bits: int) -> _Penalty:
        """``coef_bits``: of a coefficient, so that its product with the strength fits."""
        if not alpha:
            return cls(None, design.slopes())
        total = design.total
        largest = alpha * (total.bound if isinstance(total, SecureArray) else total)
        bits = min(40, RANGE_BITS - 2 - coef_bits - exact.log2_ceil(largest))
        if isinstance(total, SecureArray):
            strength = total.multiply(alpha, scale=max(bits, total.scale)).rescaled(bits)
        else:
            strength = design.x._context.constant(largest, scale=bits)
        return cls(strength, design.slopes())

    def hessian(self, matrix: SecureArray) -> SecureArray:
        if self.strength is None:
            return matrix
        strength = self.strength.rescaled(min(self.strength.scale, matrix.scale))
        return matrix + strength.reshape((-1, 1)) * np.diag(self.slopes)

    def gradient(self, gradient: SecureArray, coef: SecureArray) -> SecureArray:
        if self.strength is None:
            return gradient
        proto, context = coef._context.protocol, coef._context
        pull = proto.mul(
            coef._ring_share(),
            self.strength._fitted(coef.shape),
            max(0, coef.scale + self.strength.scale - gradient.scale),
        )
        scale = min(gradient.scale, coef.scale + self.strength.scale)
        bound = coef.bound * self.strength.bound
        bound = min(bound, gradient.bound) if self.strength.ndim else bound  # at an optimum they are equal
        return gradient + SecureArray(context, pull, scale, bound) * self.slopes


def _room(what: str, scale: int, bound: float) -> int:
    """Bits left for a factor beside ``scale`` bits and a sum of products up to ``bound``. Raises OverflowPlanned."""
    room = RANGE_BITS - 1 - scale - exact.log2_ceil(max(bound, 1.0))
    if room < _FEWEST_BITS:
        raise OverflowPlanned(
            f"{user_line()}: {what} may reach {bound:.3g} at {scale} fractional bits, which leaves {room} bits for the "
            f"other factor; at least {_FEWEST_BITS} are needed. State a tighter bound on the features: "
            "x = x.assume_bound(b), or standardise and clip them"
        )
    return room


def weighted_sums(design: Predictors, residual: SecureArray) -> SecureArray:
    """X^T W r / 2^shift (d,). Three rounds."""
    weighted = design.weighted
    reach = design.x.shape[0] * design.load * design.x.bound * residual.bound
    if design.norm is not None:  # by the Cauchy-Schwarz inequality; residuals are no longer than twice the target
        reach = min(reach, 2 * design.load * exact.square(design.norm))
    residual = residual.rescaled(min(residual.scale, _room("the gradient", weighted.scale, reach)))
    return matmul(weighted.T, residual, 2.0**-design.shift, _GRADIENT_BITS, reach=reach)


def weighted_products(
    design: Predictors, weight: SecureArray | None, bound: float, left: SecureArray | None = None
) -> SecureArray:
    """X^T diag(weight) W X / 2^shift (d, d), for 0 <= ``weight`` <= ``bound`` (n,), None: 1. Six rounds.

    ``left``: the design's ``weighted``, or what ``shortened`` made of it.
    """
    x, weighted = design.x, design.weighted if left is None else left
    total = _products_reach(design, bound)
    room = _room("the Hessian", weighted.scale, total)
    if weight is None:
        right = x.rescaled(min(x.scale, room))
    else:
        weight = weight.rescaled(min(weight.scale, _room("the Hessian", x.scale, x.bound * bound)))
        right = x.multiply(weight._stated(bound).reshape((-1, 1)), scale=min(24, room))
    scale = matrix_scale(total / 2.0**design.shift)
    return matmul(weighted.T, right, 2.0**-design.shift, scale, reach=total)


def _products_reach(design: Predictors, bound: float) -> float:
    """What the sums of ``weighted_products`` cannot pass."""
    square = design.x.shape[0] * exact.square(design.x.bound)
    return (square if design.norm is None else min(square, exact.square(design.norm))) * design.load * bound


def shortened(design: Predictors, bound: float, wanted: int) -> SecureArray:
    """``weighted`` with so few bits that x times its weight keeps ``wanted``: rare classes have small weights.

    Its own rounding is averaged over the rows, so 10 are enough. Where the bound leaves room it is ``weighted``; else
    a truncation, once for a fit: 10 bytes an element.
    """
    weighted = design.weighted
    free = RANGE_BITS - 1 - exact.log2_ceil(max(_products_reach(design, bound), 1.0)) - wanted
    return weighted if free >= weighted.scale else weighted.rescaled(min(weighted.scale, max(_FEWEST_LEFT, free)))


def dot(x: SecureArray, y: SecureArray) -> SecureArray:
    """Sum of products (), at the sum of the scales, of vectors whose product is known to be small."""
    proto, n = x._context.protocol, x.size
    row = layout.reshape((1, n))
    share = proto.dot(x._ring_share().map(row), y._ring_share().map(row)).map(layout.reshape(()))
    scale = x.scale + y.scale
    return SecureArray(x._context, share, scale, 2.0 ** (RANGE_BITS - 3 - scale))

