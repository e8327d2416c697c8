"""What boosted trees minimise: the gradient and second derivative of a loss at each row's margin, on shares.

An objective knows the target; margins are the sums of all trees so far, (lanes, rows), one lane for each class of
several. Parameters and formulas are XGBoost's: the gradient is that of the loss, the second derivative may be an upper
bound of it (count:poisson, multi:softmax), and both are times the row's weight.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import final

import numpy as np

from ...array import SecureArray
from ...errors import UsageError
from ...functions import clip, log, one_hot, sigmoid, softmax, stack
from ...functions.exponential import power_of
from ...functions.flags import as_flags
from ...functions.ratio import fitting_scale, ratio
from ...ring import exact, layout
from ..design import OTHER_LABELS
from .scaled_weights import Factor, Scaling
from .target import BITS, Target

_BITS = 18  # fractional bits of gradients
_FINE = 26  # of second derivatives where classes may be rare
_LEAST_COUNT = 2.0**-10  # rows that are added to each class where margins are logarithms of their shares
_LOG2_E = exact.log2(math.e)
_LARGEST_MEAN = 1.9  # in a unit above all targets, where means are e^margin
_ROOM = 2.0  # of a first margin, above the lowest that is told apart
_FINEST = 40  # fractional bits of a mean of which the logarithm is taken
_LARGEST_LEAF = 8.0  # of a leaf, where means are e^margin
_BEYOND = 6.0  # of a margin, beyond the size of the first: a probability of 1 in 400

Derivatives = tuple[SecureArray, SecureArray, SecureArray | None]


class Objective(ABC):
    """Bounds are public. ``lanes``: trees of a round.

    ``clipped``: the default of XGBoost's max_delta_step, where all
    candidates are cut. ``margin``: of all margins, guarded each round; None: they are only added up. ``steep``: as in
    ``Growth``; ``inverse``: 1 over the secret unit of margins.
    """

    lanes: int = 1
    clipped: float | None = None
    margin: float | None = None
    steep: float | None = None
    inverse: Factor | None = None

    @abstractmethod
    def start(self, weight: SecureArray | None, score: float | None) -> SecureArray:
        """The first margin of each lane, (lanes,), from a public mean ``score`` or (None) the weighted mean target."""

    @abstractmethod
    def cut(self, start: SecureArray, rate: float) -> float | SecureArray | None:
        """``Growth.largest`` for the first margins ``start`` (lanes,) and a learning rate."""

    @abstractmethod
    def derivatives(self, margin: SecureArray) -> Derivatives:
        """Gradients and second derivatives (lanes, rows) of weight 1; and a bound on the size of each gradient, free of
        messages, or None where ``steep`` says how large they are.
        """

    def regularised(self, weights: Factor | None) -> Factor | Scaling | None:
        """``Growth.factor`` where rows' weights were multiplied by ``weights``. Local."""
        return weights

    @abstractmethod
    def guard(self, valid: SecureArray | None) -> None:
        """Add to the session's range flag that every target is one that the loss is defined for."""


def guard_low(y: SecureArray, valid: SecureArray | None) -> None:
    """Guard that no target in a real row is below 0."""
    low = (y < 0).numeric()
    hint = "count:poisson and reg:tweedie: y is at least 0"
    y._context.guard((low if valid is None else low * valid).sum()._ring_share(), hint)


def mean(y: SecureArray, weight: SecureArray | None, bits: int = _BITS) -> SecureArray:
    """Weighted mean () at ``bits`` fractional bits or fewer; 0 where all weights are 0."""
    if weight is None:
        return y.mean() if y.scale else y.rescaled(_BITS).mean()
    coarse = y.rescaled(bits) if y.scale > bits else y
    most = coarse.bound * weight.bound * y.shape[0]
    weighted = coarse.multiply(weight, scale=fitting_scale(4 * most, max(coarse.scale, bits)))
    total = weight.sum().reshape((1,))
    return ratio(weighted.sum().reshape((1,)), total, y.bound * 1.01, bits)[0]


def _sums(flags: SecureArray, weight: SecureArray | None) -> SecureArray:
    """What the rows with each flag (k, rows) weigh, (k,)."""
    if weight is None:
        return flags.sum(axis=1)
    return (flags * weight.reshape((1, -1))).sum(axis=1)._stated(flags.shape[1] * weight.bound)


def _reach(start: SecureArray, rate: float) -> SecureArray:
    """The largest leaf (lanes,): no tree moves a row by more than |start| + 6.

    A leaf of rare rows alone has G / (H + lambda) of up to 1 / p. Where it is added in full, rows that are there by
    chance have second derivatives of 0 and the next tree sends them beyond all others.
    """
    most = start.abs() + _BEYOND
    rate = max(rate, 2.0**-16)  # below, no leaf comes near
    return most.multiply(np.asarray(1.0 / rate), scale=max(most.scale, _BITS))._stated(most.bound / rate * 1.01)


def _log_shares(flags: SecureArray, weight: SecureArray | None) -> SecureArray:
    """ln of what each class weighs, (k,), from flags (k, rows); a class without rows counts as 2^-10 of one.

    Error 2^-15, and as if each class had 2^-10 rows more. All are above -7, and below the logarithm of the rows.
    """
    found = _sums(flags, weight)
    reach = max(float(flags.shape[1]), found.bound) + 1
    bits = fitting_scale(reach, flags._context.fraction_bits)
    return log(found.rescaled(bits) + _LEAST_COUNT)._stated(7.0 + exact.ln(reach))


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
        if self.positive != 1.0:  # one Newton step from 0, as XGBoost takes it where scale_pos_weight is given
            found = _sums(stack([1 - self.y, self.y]), weight)
            step = ratio((found[1:] - found[:1]) * 2, found.sum().reshape((1,)), 2.0, context.fraction_bits)
            return step._stated(2.01)
        logs = _log_shares(stack([1 - self.y, self.y]), weight)
        return (logs[1:] - logs[:1])._stated(logs.bound)

    def cut(self, start: SecureArray, rate: float) -> SecureArray:
        return _reach(start, rate)

    def derivatives(self, margin: SecureArray) -> Derivatives:
        p, y = sigmoid(margin)._stated(1.0), self.y.reshape((1, -1))
        return (p - y)._stated(1.001), p.multiply(1 - p, scale=_FINE)._stated(0.2505), (p + y)._stated(2.0)


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
        if score is not None:  # the same number for all classes changes nothing
            return self.y._context.constant(np.zeros(self.lanes))
        logs = _log_shares(self.hot, weight)
        middle = logs.sum().multiply(np.asarray(1.0 / self.lanes), scale=logs.scale)
        return (logs - middle)._stated(logs.bound)

    def cut(self, start: SecureArray, rate: float) -> SecureArray:
        return _reach(start, rate)

    def derivatives(self, margin: SecureArray) -> Derivatives:
        p = softmax(margin, axis=0)._stated(1.001)
        return (p - self.hot)._stated(1.001), (p.multiply(1 - p) * 2)._stated(0.501), (p + self.hot)._stated(2.0)


@final
class SquaredError(Objective):
    """reg:squarederror, (f - y)^2 / 2: f - y and 1. Margins are in units of the target (see ``Target``), from its
    centre.
    """

    margin = 3.0
    steep = 4.0

    def __init__(self, target: Target, known: bool) -> None:
        """``known``: whether the target's centre is where margins start."""
        self.target = target
        self.known = known
        self.inverse = target.inverse

    def guard(self, valid: SecureArray | None) -> None:
        return None

    def start(self, weight: SecureArray | None, score: float | None) -> SecureArray:
        values = self.target.values
        if self.known:
            return values._context.constant(np.zeros(1), scale=BITS)
        return mean(values, weight, BITS).reshape((1,)).rescaled(BITS)._stated(1.01)

    def cut(self, start: SecureArray, rate: float) -> None:
        return None

    def derivatives(self, margin: SecureArray) -> Derivatives:
        gradient = margin.rescaled(BITS) - self.target.values.reshape((1, -1))
        one = gradient._context.constant(np.ones(gradient.shape), scale=BITS)
        return gradient._stated(4.0), one, None


class LogLink(Objective):
    """Means are e^margin; targets of at least 0.

    The target is divided by the secret power of two above its largest value (see ``Target``), so a margin is the
    logarithm of a mean in that unit. Gradients and second derivatives are then those of the target as it is, times
    (1 / unit)^``slope``.
    """

    slope: float = 1.0

    def __init__(self, target: Target, lowest: float) -> None:
        """``lowest``: margin below which gradients stay what they are there."""
        self.target = target
        self.y = target.values
        self.lowest = lowest

    def guard(self, valid: SecureArray | None) -> None:
        return None  # the target is guarded before it is divided

    def start(self, weight: SecureArray | None, score: float | None) -> SecureArray:
        context, least = self.y._context, exact.exp(self.lowest + _ROOM)
        if score is not None:
            if not score > 0:
                raise UsageError(f"base_score: a mean above 0 is expected here, got {score}")
            margin = self.in_unit(exact.ln(score))
            low = (margin < self.lowest + _ROOM).numeric()
            hint = f"base_score is less than {least:.2g} times the largest y; give a larger one, or none"
            context.guard(low.sum()._ring_share(), hint)
            return clip(margin, self.lowest, 1.0)
        bits = fitting_scale(2.0 * self.y.shape[0], _FINEST)
        found = mean(self.y.rescaled(bits), weight, bits).reshape((1,))
        low = (found < least).numeric() - (found <= 0).numeric()
        hint = (
            f"the mean of y is less than {least:.2g} times its largest value, which leaves gradients no digits; cut "
            "the largest values of y (clip), or learn log1p(y) by reg:squarederror"
        )
        context.guard(low.sum()._ring_share(), hint)
        return log(clip(found, least, 1.0))._stated(-self.lowest)

    def regularised(self, weights: Factor | None) -> Scaling:
        return Scaling.of(self.target.inverse, self.slope, weights)

    def in_unit(self, margin: float | SecureArray, sign: int = 1) -> SecureArray:
        """The margin in the target's secret unit, (1,); with a ``sign`` of -1, out of it."""
        exponent = self.target.inverse.exponent
        context = exponent._context
        share = context.protocol.mul_public(
            exponent._ring_share(), layout.constant(sign * round(exact.ln(2.0) * 2.0**_FINE))
        )
        moved = SecureArray(context, share, _FINE, exponent.bound * 0.7).reshape((1,))
        return (moved + margin).rescaled(context.fraction_bits)

    def cut(self, start: SecureArray, rate: float) -> float:
        return _LARGEST_LEAF

    def _powers(self, margin: SecureArray, *factors: float) -> list[SecureArray]:
        """e^(factor * margin) for each factor, in one batch; margins count as at least ``lowest``, and means as at most
        1.9 times the unit, which no target passes.
        """
        top = exact.ln(_LARGEST_MEAN)
        below = clip(margin, self.lowest, top)
        ends = [max(f * top, f * self.lowest) for f in factors]
        reach = max(max(abs(f * top), abs(f * self.lowest)) for f in factors)
        scaled = stack([below * f for f in factors])._stated(reach * 1.001)
        made = power_of(scaled, _LOG2_E, BITS, max(ends) * _LOG2_E)
        return [made[k]._stated(exact.exp(e) * 1.005) for k, e in enumerate(ends)]


@final
class Poisson(LogLink):
    """count:poisson, e^f - y f: e^f - y and e^(f + 0.7); weights at most 0.7, XGBoost's max_delta_step."""

    clipped = 0.7

    def __init__(self, target: Target) -> None:
        super().__init__(target, -16.0)

    def derivatives(self, margin: SecureArray) -> Derivatives:
        (mu,) = self._powers(margin, 1.0)
        y = self.y.reshape((1, -1))
        return (mu - y)._stated(mu.bound), mu * exact.exp(0.7), mu + y


@final
class Tweedie(LogLink):
    """reg:tweedie, 1 < power < 2: e^((2 - power) f) - y e^((1 - power) f) and its derivative."""

    def __init__(self, target: Target, power: float) -> None:
        if not 1 < power < 2:
            raise UsageError(f"tweedie_variance_power: expected 1 < power < 2, got {power}; use count:poisson for 1")
        # a target's part in a gradient is at most e^9: more digits are lost to it than a small mean has
        super().__init__(target, -min(12.0, 9.0 / (power - 1)))
        self.power, self.slope = power, 2 - power

    def derivatives(self, margin: SecureArray) -> Derivatives:
        rising, falling = self._powers(margin, 2 - self.power, 1 - self.power)
        drawn = self.y.reshape((1, -1)).multiply(falling, scale=BITS)
        largest = max(rising.bound, drawn.bound)
        second = rising * (2 - self.power) + drawn * (self.power - 1)
        return (rising - drawn)._stated(largest), second, rising + drawn


NAMES = ("binary:logistic", "multi:softmax", "multi:softprob", "reg:squarederror", "count:poisson", "reg:tweedie")
"""The objectives by XGBoost's names."""
