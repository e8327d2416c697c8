"""Survival: Kaplan-Meier curves at public times, and the log-rank test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from ..array import SecureArray
from ..disclosure import opened_where
from ..errors import ShapeError, UsageError
from ..functions import concatenate, sort_by, sqrt, stack
from ..functions.flags import as_flags, secret
from ..functions.nullable import listwise
from ..functions.order import sort_key
from ..functions.ratio import fitting_scale, ratio
from ..functions.tables import cumsum
from ..ml.metrics.sample import binary
from ..ml.parameters import arguments
from ..mpc import orders, tables
from ..mpc.shares import Places
from ..ring import layout
from . import pvalues
from .sample import TestResult, both_enough, opened_result

_PRODUCT = 30  # fractional bits of the survival function while it is multiplied up
_RISK = 40  # fractional bits of 1 / (at risk)^2


@dataclass(frozen=True)
class SurvivalCurve:
    """An opened curve: ``times``, ``survival`` and its ``standard_error`` (Greenwood), NaN where suppressed."""

    times: npt.NDArray[np.float64]
    survival: npt.NDArray[np.float64]
    standard_error: npt.NDArray[np.float64]

    def interval(self, confidence: float = 0.95) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Pointwise confidence limits from log(-log survival), as lifelines and R's ``log-log``."""
        z = NormalDist().inv_cdf(0.5 + confidence / 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            log = np.log(self.survival)
            width = z * self.standard_error / self.survival / log
            return self.survival ** np.exp(-np.abs(width)) ** -1, self.survival ** np.exp(-np.abs(width))


@dataclass(frozen=True)
class KaplanMeier:
    """Secret, (m,) at the public ``times``: ``survival``, ``standard_error``, ``at_risk``, ``events`` so far."""

    times: tuple[float, ...]
    survival: SecureArray
    standard_error: SecureArray
    at_risk: SecureArray
    events: SecureArray

    def open(self, *, to: Any, name: str, reason: str) -> Any:
        """A ``SurvivalCurve``; one opening of shape (2, m).

        A time is suppressed if fewer rows than the minimum group are still at risk, or fewer had the event since the
        last time that is not suppressed: the step between two opened times never tells of less. Rounds: about 12 for
        each time, on one number.
        """
        context = self.survival._context
        m, least = len(self.times), context.minimum_group
        enough = (self.at_risk >= least).numeric()
        new = self.events - self.events._rearranged(layout.shifted(1))
        kept, waiting = [], context.constant(0)
        for j in range(m):
            waiting = (waiting + new[j])._stated(self.events.bound)
            keep = ((waiting >= least).numeric() * enough[j])._stated(1.0)
            waiting = (waiting * (1 - keep))._stated(self.events.bound)
            kept.append(keep)
        values = stack([self.survival, self.standard_error])
        value = opened_where(context, values, stack(kept).reshape((1, m)), to=to, name=name, reason=reason)
        if not isinstance(value, np.ndarray):
            return value
        return SurvivalCurve(np.asarray(self.times), value[0], value[1])


@arguments
@listwise
def kaplan_meier(
    times: SecureArray, events: SecureArray, *, at: Sequence[float], valid: SecureArray | None = None
) -> KaplanMeier:
    """Survival function at public times ``at`` (ascending), from times (n,) and events (n,) (1: event, 0: censored).

    With rows by time and events before censored rows the curve is a product over rows, 1 - event / rows still at
    risk: ties need no care, as the factors of a tie multiply to 1 - d / r. Censored at t counts as at risk at t. Error:
    1e-6. Cost: a ``sort`` of n + m rows, one division and log2 n products for every row.
    """
    n, m = _check("kaplan_meier", times, events, valid), len(at)
    grid = np.asarray(at, np.float64)
    if m == 0 or not np.isfinite(grid).all() or (np.diff(grid) <= 0).any():
        raise UsageError("kaplan_meier: expected at= as finite times in ascending order, at least one")
    context = times._context
    happened = binary("kaplan_meier", events, "events", valid)
    real = _real("kaplan_meier", times, valid)
    clock = times.numeric()
    if clock.scale == 0 and (grid != np.rint(grid)).any():
        clock = clock.rescaled(context.fraction_bits)
    extra = context.constant(grid, clock.scale) if clock.scale else context.constant(grid.astype(np.int64))
    none = context.constant(np.zeros(m, np.int64))
    # at one time: events, censored rows, then the time that was asked for
    kind = concatenate([(1 - happened)._stated(1.0), none + 2])._stated(2.0)
    rows = context.constant(np.arange(n + m))
    dead = happened if valid is None else (happened * real)._stated(1.0)
    columns = [concatenate([dead, none])._stated(1.0), concatenate([real, none])._stated(1.0), rows]
    dead, real, rows = sort_by([concatenate([clock, extra]), kind], columns)
    gone = cumsum(real)
    risk = (gone[-1] - gone + real)._stated(float(n))  # those from this row on
    factor = (1 - ratio(dead, risk, 1.0, _PRODUCT))._stated(1.0)
    hazard = ratio(dead, (risk * (risk - 1))._stated(float(n * n)), 0.5, _RISK)
    survival = _running_product(factor)
    # a telescoping sum, at most 1 - 1 / n
    spread = SecureArray(context, hazard._ring_share().map(layout.cumulative(0)), hazard.scale, 1.01)
    events_so_far = cumsum(dead)
    after = (gone[-1] - gone)._stated(float(n))
    parts = [survival, spread, after, events_so_far]
    shares = orders.scatter(context.protocol, Places(rows._ring_share()), [p._ring_share() for p in parts])
    curve, spread, after, count = (
        SecureArray(context, s, p.scale, p.bound)[n:] for s, p in zip(shares, parts, strict=True)
    )
    fine = curve.rescaled(context.fraction_bits)
    error = fine.multiply(sqrt(spread), scale=context.fraction_bits)
    return KaplanMeier(tuple(grid.tolist()), fine._stated(1.01), error._stated(1.01), after, count._stated(float(n)))


def _running_product(x: SecureArray) -> SecureArray:
    """Products of all elements up to each, for values in [0, 1]: by doubling, ceil(log2 n) products."""
    n, step = x.shape[0], 1
    while step < n:
        moved = x[step:].multiply(x[:-step], scale=x.scale)._stated(1.0)
        x = concatenate([x[:step], moved])._stated(1.0)
        step *= 2
    return x


def _real(what: str, times: SecureArray, valid: SecureArray | None) -> SecureArray:
    """Flags of the rows that count, (n,)."""
    if valid is None:
        return times._context.constant(np.ones(times.shape, np.int64))
    return as_flags(valid, f"{what}: valid")


def _check(what: str, times: SecureArray, events: SecureArray, valid: SecureArray | None) -> int:
    secret(f"{what}: events", events)
    if valid is not None:
        secret(f"{what}: valid", valid)
    if times.ndim != 1 or events.shape != times.shape or times.shape[0] == 0:
        raise ShapeError(f"{what}: expected times and events of shape (n,), n > 0, got {times.shape}, {events.shape}")
    if valid is not None and valid.shape != times.shape:
        raise ShapeError(f"{what}: expected valid of shape {times.shape}, got {valid.shape}")
    return times.shape[0]


@dataclass(frozen=True)
class LogRank:
    """Secret ``statistic`` (chi-square with one degree of freedom) and ``counts`` (2,) of rows in each group."""

    statistic: SecureArray
    counts: SecureArray

    def open(self, *, to: Any, name: str, reason: str) -> Any:
        """A ``TestResult``: statistic, p value, 1 degree of freedom; suppressed if a group is below the minimum.

        One opening of shape (1,).
        """
        statistic, keep = self.statistic.reshape((1,)), both_enough(self.counts)
        value = opened_where(statistic._context, statistic, keep, to=to, name=name, reason=reason)

        def read(opened: np.ndarray) -> TestResult:
            statistic = float(opened[0])
            return TestResult(statistic, pvalues.of_chi2(statistic, 1) if statistic == statistic else math.nan, 1.0)

        return opened_result(value, read)


@arguments
@listwise
def logrank(
    times: SecureArray, events: SecureArray, group: SecureArray, *, valid: SecureArray | None = None
) -> LogRank:
    """Log-rank test of equal survival in group 1 and group 0 (secret booleans or 0/1 integers), ties as in lifelines.

    (observed - expected)^2 / variance (hypergeometric) of the events in group 1, summed over different times; 0 where
    there is no variance. Error: 1e-4 relative, absolute 1e-4. Cost: a ``sort``, three divisions for every row.
    """
    n = _check("logrank", times, events, valid)
    happened, one = binary("logrank", events, "events", valid), binary("logrank", group, "group", valid)
    real = _real("logrank", times, valid)
    dead = happened if valid is None else (happened * real)._stated(1.0)
    first = one if valid is None else (one * real)._stated(1.0)
    dead_first = (dead * one)._stated(1.0)
    clock, *columns = sort_by(times.numeric(), [times.numeric(), real, first, dead, dead_first])
    context, proto = clock._context, clock._context.protocol
    sums = [cumsum(c) for c in columns]
    ends = tables.ends_of_runs(proto, [sort_key(clock)])
    shares = tables.in_front(proto, ends, [ends.share, *(c._ring_share() for c in sums)])
    flag = SecureArray(context, shares[0], 0, 1.0)
    upto = stack([SecureArray(context, s, 0, float(n)) for s in shares[1:]])
    before = stack([c._rearranged(layout.shifted(1)) for c in upto])
    died = ((upto[2:] - before[2:]) * flag)._stated(float(n))  # events at this time: all, in group 1
    totals = stack([c[-1] for c in sums[:2]])
    risk = (totals.reshape((2, 1)) - before[:2])._stated(float(n))  # at risk: all, in group 1
    expected = ratio((died[0] * risk[1])._stated(float(n * n)), risk[0], float(n))
    others = (risk[0] - risk[1])._stated(float(n))
    part = ratio(
        stack([others, (risk[0] - died[0])._stated(float(n))]),
        stack([risk[0], (risk[0] - 1)._stated(float(n))]), 2.0, 24,
    )  # fmt: skip  # without an event r / (r - 1) may reach 2; such rows expect nothing
    variance = (expected * (part[0] * part[1])._stated(2.01))._stated(float(n)).sum()._stated(float(n))
    off = (died[1].sum()._stated(float(n)) - expected.sum())._stated(float(n))
    off = off.rescaled(min(off.scale, fitting_scale(float(n * n), 2 * off.scale, 60) // 2))
    square = off.multiply(off, scale=fitting_scale(8.0 * n * n, min(18, 2 * off.scale), 58))
    statistic = ratio(square, variance, 4.0 * n + 16)
    counts = stack([totals[1], (totals[0] - totals[1])._stated(float(n))])
    return LogRank(statistic, counts)
