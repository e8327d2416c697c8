"""Newton's method on shares: a fixed, public number of steps to the optimum of a generalised linear model.

One evaluation at the coefficients b gives the gradient X^T r / n and the expected Hessian X^T W X / n; ``Information``
inverts it. A step after which the gradient is longer is halved instead of taken: along Newton's direction a short
enough step always shortens the gradient, so this is a line search that costs a comparison of two numbers and opens
nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ..array import SecureArray
from ..context import Context
from ..errors import OverflowPlanned, RangeViolated, UsageError
from ..functions import concatenate, where
from ..functions.arithmetic import matmul
from ..lines import user_line
from ..ring import exact, layout
from ..types import RANGE_BITS
from .estimator import Rows, with_intercept
from .information import Information, matrix_scale

_FEWEST_BITS = 4  # of factors whose products are summed over the rows: their rounding averages out
_COEF_BITS = 24
_GRADIENT_BITS = 34


@dataclass(frozen=True, slots=True)
class Predictors:
    """What is fitted: ``x`` (n, d), with a last column of ones (0 in padding rows) where there is an intercept.

    ``weighted``: x times the weights. ``total``: sum of the weights over 2^shift, a number or secret. Sums over rows
    are divided by 2^shift, the power of two from n upward, which is only a shift.
    """

    x: SecureArray
    weighted: SecureArray
    weight: SecureArray | None
    total: float | SecureArray
    shift: int
    intercept: bool
    names: tuple[str, ...]

    @classmethod
    def of(
        cls, what: str, rows: Rows, intercept: bool, penalised: bool, factor: SecureArray | None = None
    ) -> Predictors:
        """``factor`` (n,): weights that count in the loss but not in the total (class weights).

        Raises UsageError for more columns than rows without a penalty. Weights below 0 raise RangeViolated later.
        """
        n = rows.x.shape[0]
        x = rows.x if rows.x.scale else rows.x.rescaled(rows.x._context.fraction_bits)
        x = with_intercept(x, rows.valid) if intercept else x
        if x.shape[1] > n and not penalised:
            raise UsageError(
                f"{what}: {x.shape[1]} coefficients cannot be told from {n} rows; set alpha > 0, or take fewer columns"
            )
        shift = exact.log2_ceil(n) if n > 1 else 0
        weight = rows.weight
        if weight is not None:
            weight._context.guard((weight < 0).numeric().sum()._ring_share())
        counted = weight if rows.valid is None else rows.valid if weight is None else weight * rows.valid
        total: float | SecureArray = n / 2.0**shift
        if counted is not None:
            total = counted.sum().multiply(2.0**-shift, scale=24)
        both = weight if factor is None else factor if weight is None else weight * factor
        weighted = x if both is None else x.multiply(both.reshape((-1, 1)), scale=x.scale)
        applied = counted if factor is None else factor if counted is None else counted * factor
        names = (*rows.names, "intercept") if intercept else rows.names
        return cls(x, weighted, applied, total, shift, intercept, names)

    def mean(self, values: SecureArray, scale: int = 24) -> SecureArray:
        """Sum over the rows of weight * values (n,) or (n, k), padding left out, over 2^shift."""
        values = values.numeric()
        if self.weight is None or not (self.weight.scale or values.scale):
            total = values.sum(0) if self.weight is None else self.weight @ values  # whole numbers stay whole
            bound = total.bound / 2.0**self.shift
            over = SecureArray(total._context, total._ring_share(), total.scale + self.shift, bound)
            return over.rescaled(min(scale, over.scale))
        room = _room("a sum", self.weight.scale, self.weight.size * self.weight.bound * values.bound)
        return matmul(self.weight, values.rescaled(min(values.scale, room)), 2.0**-self.shift, scale)

    @property
    def columns(self) -> int:
        return self.x.shape[1]

    def slopes(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """1 for coefficients of features, 0 for the intercept."""
        return np.append(np.ones(self.columns - 1, np.int64), 0) if self.intercept else np.ones(self.columns, np.int64)


class Family(ABC):
    """A model's likelihood as Newton's method needs it; one for each set of rows."""

    residual_bound: float
    weight_bound: float
    exact_bound: bool
    """Whether no residual can pass its bound; else the bound is guarded at the last step."""
    bits: int | None = None
    """Fractional bits of the linear predictor; None: the session's."""

    @abstractmethod
    def evaluate(self, linear: SecureArray) -> tuple[SecureArray, SecureArray | None]:
        """For X b (n,): residuals r, where X^T r is the gradient of the loss, and expected weights (None: all 1)."""


@dataclass(frozen=True, slots=True)
class Optimum:
    """Coefficients (d,) after the last step; the inverse of the Hessian, the residuals and r^T H^-1 r before it."""

    coef: SecureArray
    information: Information
    residual: SecureArray
    decrement: SecureArray


def newton(
    design: Predictors,
    family: Family,
    start: SecureArray,
    *,
    alpha: float,
    steps: int,
    coefficient_bound: float,
    tol: float | None,
) -> Optimum:
    """Minimise mean loss + alpha / 2 |slopes|^2 in ``steps`` steps from ``start`` (d,).

    What has to hold is added to the session's range flag: a Hessian that is not singular, coefficients below their
    bound, and a last decrement g^T H^-1 g of at most ``tol`` (None: not checked). Each step: about 170 rounds for 64
    columns; 10.25 bytes per party and element of x, 10 for each row, and what the family's ``evaluate`` costs.
    """
    context, x = design.x._context, design.x
    scale = min(_COEF_BITS, _room("the linear predictor", x.scale, design.columns * x.bound * coefficient_bound))
    coef = start.rescaled(scale)._stated(coefficient_bound)
    penalty = _Penalty.of(design, alpha, scale + exact.log2_ceil(max(coefficient_bound, 1.0)))
    information: Information | None = None
    first: Information | None = None
    anchor, move, best = coef, coef, coef
    for step in range(steps):
        last = step == steps - 1
        residual, weight = family.evaluate(matmul(x, coef, scale=family.bits))
        if last and not family.exact_bound:
            residual = residual.assume_bound(family.residual_bound)
        gradient = penalty.gradient(weighted_sums(design, residual._stated(family.residual_bound)), coef)
        if information is None or weight is not None:
            information = Information(penalty.hessian(weighted_products(design, weight, family.weight_bound)))
        first = information if first is None else first
        length = _squared(first.unit(gradient, 16))
        newer = -information.solve(gradient, scale, coefficient_bound)
        if step == 0:
            anchor, move, best = coef, newer, length
        else:
            shorter = length <= best
            half = move.multiply(0.5, scale=scale)
            chosen = where(shorter, concatenate([coef, newer]), concatenate([anchor, half]))._stated(coefficient_bound)
            anchor, move = chosen[: design.columns], chosen[design.columns :]
            best = where(shorter, length, best)
        coef = (anchor + move)._stated(coefficient_bound)
        context.progress(step + 1, steps, f"step {step + 1}/{steps}")
    assert information is not None
    information.guard()
    decrement = -_dot(gradient.rescaled(min(gradient.scale, 26)), newer)
    if tol is not None:
        context.guard((decrement > tol).numeric()._ring_share())
    return Optimum(coef.assume_bound(coefficient_bound), information, residual, decrement)


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
        bits = min(34, RANGE_BITS - 2 - coef_bits - exact.log2_ceil(largest))
        if isinstance(total, SecureArray):
            strength = total.multiply(alpha, scale=max(bits, total.scale)).rescaled(bits)
        else:
            strength = design.x._context.constant(largest, scale=bits)
        return cls(strength, design.slopes())

    def hessian(self, matrix: SecureArray) -> SecureArray:
        if self.strength is None:
            return matrix
        strength = self.strength.rescaled(min(self.strength.scale, matrix.scale))
        return matrix + strength.reshape((1, 1)) * np.diag(self.slopes)

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
        return gradient + SecureArray(context, pull, scale, coef.bound * self.strength.bound) * self.slopes


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
    weighted, rows = design.weighted, design.x.shape[0]
    room = _room("the gradient", weighted.scale, rows * weighted.bound * residual.bound)
    residual = residual.rescaled(min(residual.scale, room))
    return matmul(weighted.T, residual, 2.0**-design.shift, _GRADIENT_BITS)


def weighted_products(design: Predictors, weight: SecureArray | None, bound: float) -> SecureArray:
    """X^T diag(weight) W X / 2^shift (d, d), for 0 <= ``weight`` <= ``bound`` (n,), None: 1. Six rounds."""
    x, weighted = design.x, design.weighted
    total = x.shape[0] * weighted.bound * x.bound * bound
    room = _room("the Hessian", weighted.scale, total)
    if weight is None:
        right = x.rescaled(min(x.scale, room))
    else:
        right = x.multiply(weight._stated(bound).reshape((-1, 1)), scale=min(24, room))
    return matmul(weighted.T, right, 2.0**-design.shift, matrix_scale(total / 2.0**design.shift))


def _dot(x: SecureArray, y: SecureArray) -> SecureArray:
    """Sum of products (), at the sum of the scales, of vectors whose product is known to be small."""
    proto, n = x._context.protocol, x.size
    row = layout.reshape((1, n))
    share = proto.dot(x._ring_share().map(row), y._ring_share().map(row)).map(layout.reshape(()))
    scale = x.scale + y.scale
    return SecureArray(x._context, share, scale, 2.0 ** (RANGE_BITS - 2 - scale))


def _squared(x: SecureArray) -> SecureArray:
    return _dot(x, x)
