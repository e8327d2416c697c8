"""What boosted trees minimise: the gradient and second derivative of a loss at each row's margin, on shares.

An objective knows the target; margins are the sums of all trees so far, (lanes, rows), one lane for each class of
several. Parameters and formulas are XGBoost's: the gradient is that of the loss, the second derivative may be an upper
bound of it (count:poisson, multi:softmax), and both are times the row's weight.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import numpy as np

from ...array import SecureArray
from ...errors import UsageError
from ...functions import clip, exp, log, logit, one_hot, sigmoid_series, softmax, stack
from ...functions.flags import as_flags
from ...functions.ratio import ratio
from ...ring import exact
from ..design import OTHER_LABELS

_BITS = 18  # fractional bits of gradients
_LEAST_MEAN = 2.0**-10  # of a target that is at least 0, where margins are logarithms
_LARGEST_LOG = 9.0  # of |margin| where means are e^margin
_LEAST_LOG = -7.0  # below, gradients stay what they are there

Pair = tuple[SecureArray, SecureArray]


class Objective(ABC):
    """Bounds are public. ``lanes``: trees of a round. ``unit``: of margins, a power of two.

    ``largest``: of a leaf, guarded, in units; None where the second derivative bounds it. ``clipped``: leaves are cut
    at this (XGBoost's max_delta_step). ``margin``: of all margins, guarded each round; None: they are only added up.
    ``bounded``: as in ``Growth``, where all weights are 1.
    """

    lanes: int = 1
    unit: float = 1.0
    largest: float | None = 64.0
    clipped: float | None = None
    margin: float | None = None
    bounded: bool = False

    @abstractmethod
    def start(self, weight: SecureArray | None, score: float | None) -> SecureArray:
        """The first margin of each lane, (lanes,), from a public mean ``score`` or (None) the weighted mean target."""

    @abstractmethod
    def derivatives(self, margin: SecureArray) -> Pair:
        """Gradients and second derivatives (lanes, rows) of weight 1."""

    @abstractmethod
    def guard(self, valid: SecureArray | None) -> None:
        """Add to the session's range flag that every target is one that the loss is defined for."""


def guard_low(y: SecureArray, valid: SecureArray | None) -> None:
    """Guard that no target in a real row is below 0."""
    low = (y < 0).numeric()
    hint = "count:poisson and reg:tweedie: y is at least 0"
    y._context.guard((low if valid is None else low * valid).sum()._ring_share(), hint)


def mean(y: SecureArray, weight: SecureArray | None) -> SecureArray:
    """Weighted mean (); 0 where all weights are 0."""
    context = y._context
    if weight is None:
        return y.mean() if y.scale else y.rescaled(_BITS).mean()
    coarse = y.rescaled(min(y.scale, _BITS)) if y.scale > _BITS else y
    weighted = coarse.multiply(weight.rescaled(min(weight.scale, _BITS)), scale=max(coarse.scale, _BITS))
    return ratio(weighted.sum().reshape((1,)), weight.sum().reshape((1,)), y.bound * 1.01, context.fraction_bits)[0]


@final
class Logistic(Objective):
    """binary:logistic, log-loss of y in {0, 1}: p - y and p (1 - p). ``positive``: factor on rows with y = 1."""

    def __init__(self, y: SecureArray, positive: float) -> None:
        """Guards that y is 0 or 1 in each row."""
        self.y = as_flags(y, "binary:logistic: y", advice=OTHER_LABELS)
        self.positive = positive

    def guard(self, valid: SecureArray | None) -> None:
        return None  # flags

    def factor(self) -> SecureArray | None:
        """Weights from scale_pos_weight, (rows,)."""
        if self.positive == 1.0:
            return None
        extra = self.y.multiply(np.asarray(self.positive - 1.0)).rescaled(_BITS)
        return (extra + 1.0)._stated(max(1.0, self.positive) * 1.001)

    def start(self, weight: SecureArray | None, score: float | None) -> SecureArray:
        context = self.y._context
        if score is not None:
            if not 0 < score < 1:
                raise UsageError(f"base_score: a probability between 0 and 1 is expected here, got {score}")
            return context.constant(np.asarray([exact.ln(score / (1 - score))]))
        share = clip(mean(self.y, weight).reshape((1,)), _LEAST_MEAN, 1 - _LEAST_MEAN)
        return logit(share)._stated(7.0)

    def derivatives(self, margin: SecureArray) -> Pair:
        p = sigmoid_series(margin)._stated(1.0)
        return (p - self.y.reshape((1, -1)))._stated(1.001), p.multiply(1 - p)._stated(0.2505)


@final
class Softmax(Objective):
    """multi:softmax and multi:softprob, log-loss of the classes 0 to lanes - 1: p - [y = k] and 2 p (1 - p)."""

    def __init__(self, y: SecureArray, classes: int) -> None:
        self.lanes = classes
        self.y = y
        self.hot = one_hot(y, classes).numeric().T

    def guard(self, valid: SecureArray | None) -> None:
        missed = 1 - self.hot.sum(axis=0)
        hint = "multi:softmax: y holds whole numbers from 0 to classes - 1"
        self.y._context.guard((missed if valid is None else missed * valid).sum()._ring_share(), hint)

    def start(self, weight: SecureArray | None, score: float | None) -> SecureArray:
        return self.y._context.constant(np.zeros(self.lanes))  # the same number for all classes changes nothing

    def derivatives(self, margin: SecureArray) -> Pair:
        p = softmax(margin, axis=0)._stated(1.001)
        return (p - self.hot)._stated(1.001), (p.multiply(1 - p) * 2)._stated(0.501)


@final
class SquaredError(Objective):
    """reg:squarederror, (f - y)^2 / 2: f - y and 1. Margins are in units of the target's public bound."""

    largest = None
    margin = 3.0
    bounded = True

    def __init__(self, y: SecureArray) -> None:
        self.unit = 2.0 ** exact.log2_ceil(max(y.bound, 2.0**-20))
        shift = exact.log2_floor(self.unit)
        fine = y if y.scale + shift >= 0 else y.rescaled(-shift)
        inside = SecureArray(y._context, fine._ring_share(), fine.scale + shift, 1.0)
        self.y = inside.rescaled(_BITS)._stated(1.0)

    def guard(self, valid: SecureArray | None) -> None:
        return None

    def start(self, weight: SecureArray | None, score: float | None) -> SecureArray:
        if score is not None:
            return self.y._context.constant(np.asarray([score / self.unit]))
        return mean(self.y, weight).reshape((1,)).rescaled(_BITS)._stated(1.01)

    def derivatives(self, margin: SecureArray) -> Pair:
        gradient = margin.rescaled(_BITS) - self.y.reshape((1, -1))
        one = self.y._context.constant(np.ones(gradient.shape), scale=_BITS)
        return gradient._stated(4.0), one


class _LogLink(Objective):
    """Means are e^margin; targets of at least 0."""

    def __init__(self, y: SecureArray, bound: float) -> None:
        """``bound``: largest expected mean, guarded through the margin."""
        self.y = y if y.scale == 0 else y.rescaled(_BITS)
        self.top = min(_LARGEST_LOG, max(1.0, exact.ln(max(bound, 2.0))))
        self.margin = _LARGEST_LOG

    def guard(self, valid: SecureArray | None) -> None:
        guard_low(self.y, valid)

    def start(self, weight: SecureArray | None, score: float | None) -> SecureArray:
        if score is not None:
            if not score > 0:
                raise UsageError(f"base_score: a mean above 0 is expected here, got {score}")
            return self.y._context.constant(np.asarray([exact.ln(score)]))
        found = clip(mean(self.y, weight).reshape((1,)), _LEAST_MEAN, max(self.y.bound, 2 * _LEAST_MEAN))
        return log(found)._stated(_LARGEST_LOG)

    def _powers(self, margin: SecureArray, *factors: float) -> list[SecureArray]:
        """e^(factor * margin) for each factor, in one batch; margins count as at least -7 and at most ``top``."""
        below = clip(margin, _LEAST_LOG, self.top)
        scaled = stack([below * f for f in factors])
        made = exp(scaled._stated(max(abs(f) for f in factors) * _LARGEST_LOG))
        ends = [exact.exp(max(f * self.top, f * _LEAST_LOG)) * 1.01 for f in factors]
        return [made[k]._stated(e) for k, e in enumerate(ends)]


@final
class Poisson(_LogLink):
    """count:poisson, e^f - y f: e^f - y and e^(f + 0.7); weights at most 0.7, XGBoost's max_delta_step."""

    clipped = 0.7

    def __init__(self, y: SecureArray) -> None:
        super().__init__(y, 2 * y.bound)

    def derivatives(self, margin: SecureArray) -> Pair:
        (mu,) = self._powers(margin, 1.0)
        gradient = mu - self.y.reshape((1, -1))
        return gradient, mu * exact.exp(0.7)


@final
class Tweedie(_LogLink):
    """reg:tweedie, 1 < power < 2: e^((2 - power) f) - y e^((1 - power) f) and its derivative."""

    largest = 8.0

    def __init__(self, y: SecureArray, power: float) -> None:
        if not 1 < power < 2:
            raise UsageError(f"tweedie_variance_power: expected 1 < power < 2, got {power}; use count:poisson for 1")
        super().__init__(y, 2 * y.bound)
        self.power = power

    def derivatives(self, margin: SecureArray) -> Pair:
        rising, falling = self._powers(margin, 2 - self.power, 1 - self.power)
        drawn = self.y.reshape((1, -1)).multiply(falling, scale=_BITS)
        return rising - drawn, rising * (2 - self.power) + drawn * (self.power - 1)


NAMES = ("binary:logistic", "multi:softmax", "multi:softprob", "reg:squarederror", "count:poisson", "reg:tweedie")
"""The objectives by XGBoost's names."""
