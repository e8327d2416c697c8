"""Cox's proportional hazards model on shares: one secret sort by duration, then Newton steps on running sums.

Steps are cut to a quarter where the slope of the loss along them says that they went too far, as in newton.py, and
where they left the range in which exp(x coef) has digits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..array import SecureArray
from ..disclosure import opened_where
from ..errors import ShapeError, UsageError
from ..functions import concatenate, exp, reciprocal, segmented_sum, sort_by, sqrt, stack
from ..functions.nullable import NullableArray, counted
from ..mpc import approx, tables
from ..mpc.shares import Share
from ..ring import exact, layout
from ..table import Table
from ..types import RANGE_BITS
from .design import (
    CLIP,
    MEAN_SQUARE,
    PLAIN_MEAN_SQUARE,
    Design,
    binary_target,
    design_of,
    predicted,
    product,
    settle,
    whole_target,
)
from .estimator import Rows, rows_of, rows_with
from .information import Information
from .linear_model import COEFFICIENTS, LinearModel
from .metrics.survival import concordance_index
from .newton import dot

_NAME = "CoxPHRegressor"
_HINT = (
    f"{_NAME}: standardise the columns (mean square at most 4; {CLIP}); collinear columns: drop one level of each "
    "one-hot group, or set alpha; levels without an event have no finite coefficient: put them to others, or set "
    "alpha; give y as 0 and 1 with some events; raise max_iter, "
    "linear_bound (up to 12) or coefficient_bound where it did not converge"
)
_COEF_BITS = 24
_LOOSE = 4.0  # times coefficient_bound: what steps that are tried have room for
_FARTHEST = 2.0**12  # of a coefficient that is tried
_SLOPE_BITS = 26
_WIDEST = 12.0  # of linear_bound: e^-12 is 1.6 units in the last place
_CURVATURE = 16.0  # largest element of it
_RISK_BITS = 24  # of mean relative risks
_EARLY = 128  # rows whose risk sets are so small that one low risk may dominate them
_LATE_BOUND = 2.0**7  # of 1 / mean relative risk in all other risk sets
_HAZARD_BITS = 34
_EXPECTED = 512.0  # of expected events of one row


class CoxPHRegressor(LinearModel):
    """Proportional hazards h(t | x) = h_0(t) exp(x coef), by the partial likelihood with Breslow's form for ties.

    Maximises the mean log partial likelihood over rows less alpha / 2 |coef|^2: statsmodels' ``PHReg`` and lifelines'
    ``CoxPHFitter`` (which uses Efron's form for ties; both agree without ties, and docs/models/cox.md says by how much
    they differ with them).

    alpha: L2 strength. max_iter: Newton steps with a line search, a public number. tol: largest square of Newton's step
    after them, in standard errors, all coefficients together; that step is taken too. feature_bound: |x| stays below
    it (None: its public bound, where there is room for it). linear_bound: |x coef| does (at most 12; None: as far as
    sums over the rows have room for, 8 to 12). coefficient_bound: and |coef|.

    The columns must be standardised over the rows. The result is certified before it is used: one flag, opened as
    'range ok', says that all bounds hold and that the decrement at the result is below ``tol``. Otherwise fit raises
    RangeViolated. A further flag is opened before the sort, for the rows themselves.

    Opens: these two flags, nothing else; the order of the durations, ties and the number of events stay secret. Error:
    measured in docs/models/cox.md, below 1e-4 standard errors and relative 1e-5 of standard errors. Rounds: a sort,
    and about 220 per step for up to 64 columns. Bytes per party and step: about 50 n d + 650 n. After fit, all secret:
    ``coef_`` (d,), ``standard_errors_`` (d,) from the observed information, ``decrement_``: that square; ``names_``: of
    the columns.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.0,
        max_iter: int = 10,
        tol: float = 1e-2,
        feature_bound: float | None = None,
        linear_bound: float | None = None,
        coefficient_bound: float = 16.0,
    ) -> None:
        self.alpha = alpha
        self.max_iter = max_iter
        self.tol = tol
        self.feature_bound = feature_bound
        self.linear_bound = linear_bound
        self.coefficient_bound = coefficient_bound

    def fit(
        self,
        x: Table | SecureArray,
        y: SecureArray | str | None = None,
        *,
        duration: SecureArray | str | None = None,
        valid: SecureArray | None = None,
        sample_weight: Any = None,
    ) -> CoxPHRegressor:
        """Learn from x (n, d), y (n,): 1 where the event was seen, 0 where not, and durations (n,).

        ``duration``: a secret array, or the name of a table's column. Raises UsageError, ShapeError, RangeViolated (see
        the class).
        """
        self._check()
        rows, times = _rows(x, y, duration, valid, sample_weight)
        event = binary_target(_NAME, rows)
        n, d = rows.x.shape
        if d > n and not self.alpha:
            raise UsageError(f"{_NAME}: {d} coefficients cannot be told from {n} rows; set alpha > 0")
        design = design_of(_NAME, rows, self.feature_bound, mean_square=MEAN_SQUARE)
        context = design.x._context
        settle(context, _NAME, _HINT)
        limit = float(self.linear_bound) if self.linear_bound is not None else _room(design)
        sets = _RiskSets(design, event, times, rows.valid, limit, self.coefficient_bound)
        coef = context.constant(np.zeros(d), scale=_COEF_BITS)
        search: _Search | None = None
        for step in range(self.max_iter):
            slope, information, outside = sets.evaluate(coef, search is None)
            slope = self._slope(slope, coef)
            move = Information(self._with_ridge(information)).solve(slope, _COEF_BITS, self.coefficient_bound)
            drop = dot(slope, move)
            at = _Search(coef, move, move, drop)
            search = at if search is None else search.after(at, -dot(slope, search.direction), outside)
            coef = (search.anchor + search.move)._stated(self.coefficient_bound)
            context.progress(step + 1, self.max_iter, f"Newton step {step + 1}/{self.max_iter}")
        coef = coef._stated(_FARTHEST).assume_bound(self.coefficient_bound, COEFFICIENTS)
        slope, information = sets.certified(coef)
        left = self._slope(slope, coef)
        inverse = Information(self._with_ridge(information))
        move = inverse.solve(left, _COEF_BITS, self.coefficient_bound)
        decrement = dot(left, move)
        context.guard(
            (decrement > self._limit(design)).numeric()._ring_share(),
            f"{_NAME}: the last step moved a coefficient by a small part of its standard error (tol); raise "
            "max_iter, or set alpha",
        )
        inverse.guard(_NAME, rows.names)
        coef = (coef + move)._stated(self.coefficient_bound * 1.01)  # a small one, for nothing
        errors = inverse.standard_errors(1.0 / n)
        if design.inverse is not None:  # for as many rows as the weights add up to
            errors = errors.multiply(sqrt(design.inverse), scale=errors.scale)
        settle(context, _NAME, _HINT)
        self.learnt(coef, False, rows.names)
        self.units_ = rows.units
        self.standard_errors_ = errors
        self._baseline = sets.baseline
        return self

    def predict(self, x: Table | SecureArray) -> SecureArray:
        """Log of the relative hazard, x @ coef (n,), secret."""
        return self.decision_function(x)

    def predict_partial_hazard(self, x: Table | SecureArray) -> SecureArray:
        """The relative hazard exp(x @ coef) (n,), secret; error as ``exp``."""
        return exp(self.predict(x))

    def concordance(
        self,
        x: Table | SecureArray,
        y: SecureArray | str | None = None,
        *,
        duration: SecureArray | str | None = None,
        valid: SecureArray | None = None,
    ) -> SecureArray:
        """Harrell's concordance index of these rows, a secret scalar; see ``metrics.concordance_index``."""
        self.fitted("coef_")
        rows, times = _rows(x, y, duration, valid, None)
        return concordance_index(times, -(rows.x @ self.coef_), whole_target(_NAME, rows), valid=rows.valid)

    def baseline_cumulative_hazard(
        self, times: npt.ArrayLike, *, to: str | Sequence[str], name: str, reason: str
    ) -> Any:
        """Open Breslow's cumulative baseline hazard at public, ascending times: (k,) numbers at the receivers.

        A step from one number to the next rests on at least the session's minimum group of events. A time with fewer
        events since the last number is NaN, decided on shares before the opening, and its events count for the next.
        Only in the session in which ``fit`` ran. One opening of shape (k,). Rounds: about 30 + 12 k. Bytes per party:
        about 30 n k. Raises UsageError, and what ``Session.reveal`` raises.
        """
        self.fitted("coef_")
        if not hasattr(self, "_baseline"):
            raise UsageError(f"{_NAME}: the baseline needs the rows; ask for it in the session that called fit")
        grid = np.asarray(times, np.float64)
        if grid.ndim != 1 or not grid.size or (np.diff(grid) <= 0).any():
            raise UsageError(
                f"{_NAME}: expected public times of shape (k,), each later than the one before, got {grid.shape}"
            )
        context = self.coef_._context
        values, shown = self._baseline.at(grid, max(1, context.minimum_group))
        return opened_where(context, values, shown, to=to, name=name, reason=reason)

    def _slope(self, slope: SecureArray, coef: SecureArray) -> SecureArray:
        slope = slope - coef * self.alpha if self.alpha else slope
        return slope.rescaled(min(slope.scale, _SLOPE_BITS))

    def _limit(self, design: Design) -> SecureArray | float:
        """``tol`` for a decrement of means over the rows: what n rows, or as many as the weights add up to, make of
        it."""
        part = self.tol / design.rows
        return part if design.inverse is None else design.inverse.multiply(part, scale=48)

    def _with_ridge(self, information: SecureArray) -> SecureArray:
        return information + np.eye(information.shape[0]) * self.alpha if self.alpha else information

    def _check(self) -> None:
        most = 8.0 if self.linear_bound is None else self.linear_bound
        if self.alpha < 0 or self.max_iter < 1 or not self.tol > 0 or not 0 < most <= _WIDEST:
            raise UsageError(
                f"{_NAME}: expected alpha >= 0, max_iter >= 1, tol > 0 and 0 < linear_bound <= {_WIDEST:g}, got "
                f"{self.alpha!r}, {self.max_iter!r}, {self.tol!r}, {self.linear_bound!r}"
            )
        if not self.coefficient_bound > 0:
            raise UsageError(f"{_NAME}: expected coefficient_bound above 0, got {self.coefficient_bound!r}")


def _room(design: Design) -> float:
    """How large |x coef| may be for sums of x exp(x coef) over the rows to fit: from 8 to 12."""
    heaviest = 1.0 if design.weight is None else max(1.0, design.weight.bound)
    bits = RANGE_BITS - 2 - design.x._context.fraction_bits
    bits -= exact.log2_ceil(design.rows * heaviest * max(1.0, design.x.bound))
    return max(8.0, min(_WIDEST, float(math.floor(bits * exact.ln(2)))))


def _rows(
    x: Table | SecureArray,
    y: SecureArray | str | None,
    duration: SecureArray | str | None,
    valid: SecureArray | None,
    sample_weight: Any,
) -> tuple[Rows, SecureArray]:
    """Rows without the duration among the columns, and the durations (n,)."""
    if isinstance(x, Table) and isinstance(duration, str):
        x = x.with_target(duration)
        times = x.column(duration).natural
        x = x.drop([duration])
    elif isinstance(x, Table) and isinstance(duration, SecureArray | NullableArray):
        x, _, times = rows_with(x, None, duration, target=False)
    elif isinstance(duration, SecureArray | NullableArray):
        valid, (times, y) = counted(_NAME, valid, duration, y)
    else:
        raise UsageError(f"{_NAME}: no durations; give duration= as a secret array, or the name of a table's column")
    rows = rows_of(_NAME, x, y, valid=valid, sample_weight=sample_weight)
    if times.shape != rows.x.shape[:1]:
        raise ShapeError(f"{_NAME}: expected duration with {rows.x.shape[0]} rows like x, got {times.shape}")
    return rows, times.numeric()


@dataclass(frozen=True, slots=True)
class _Search:
    """A point, the direction from there, the step that is tried, and the slope of the loss there, negated."""

    anchor: SecureArray
    direction: SecureArray
    move: SecureArray
    drop: SecureArray

    def after(self, at: _Search, slope: SecureArray, outside: SecureArray | None) -> _Search:
        """From ``at``, where this step led, if it may stay: ``slope`` () along it is not steeper uphill than it was
        downhill, and nothing was ``outside``. Else a quarter of this step from here."""
        back = self.drop - slope < 0
        back = (back if outside is None else back | outside).numeric()
        quarter = self.move.multiply(np.asarray(0.25), scale=self.move.scale)
        d, coef = at.anchor.size, at.anchor
        rows = [self.anchor - coef, self.direction - at.direction, quarter - at.move]
        chosen = concatenate(rows) * back
        drop = (at.drop + back * (self.drop - at.drop))._stated(at.drop.bound)
        parts = enumerate((coef, at.direction, at.move))
        anchor, direction, move = ((x + chosen[i * d : (i + 1) * d])._stated(coef.bound) for i, x in parts)
        return _Search(anchor, direction, move, drop)


@dataclass(frozen=True)
class Baseline:
    """Rows by falling duration with the hazard of their time (n,), 0 but at the last row of equal durations."""

    duration: SecureArray
    event: SecureArray
    hazard: SecureArray

    def at(self, grid: npt.NDArray[np.float64], minimum: int) -> tuple[SecureArray, SecureArray]:
        """Cumulative hazard (k,) and where it may be shown (k,); see ``CoxPHRegressor.baseline_cumulative_hazard``."""
        reached = (self.duration.reshape((-1, 1)) <= grid).numeric()
        values = (self.hazard.reshape((1, -1)) @ reached).reshape((-1,))
        counts = (self.event.reshape((1, -1)) @ reached).reshape((-1,))
        shown: list[SecureArray] = []
        since = counts[0] * 0  # events up to the last shown time
        for k in range(grid.size):
            enough = (counts[k] - since >= minimum).numeric()
            shown.append(enough)
            since = (since + enough * (counts[k] - since))._stated(counts.bound)
        flags = stack(shown)
        return values, flags


class _RiskSets:
    """Rows by falling duration: the risk set of a row is all rows down to the last of equal duration.

    Sums over a risk set are running sums, divided by 2^k, the power of two at or above the number of the row, so that
    they stay of the size of a mean. What happens at equal times is put on the last of their rows.
    """

    def __init__(
        self,
        design: Design,
        event: SecureArray,
        times: SecureArray,
        valid: SecureArray | None,
        limit: float,
        coefficient_bound: float,
    ) -> None:
        context = design.x._context
        self._context, self.proto, n = context, context.protocol, design.rows
        self.limit, self.coefficient_bound = limit, coefficient_bound
        keys = [-times] if valid is None else [1 - valid, -times]
        columns = [design.x, event, times]
        columns += [c for c in (valid, design.weight) if c is not None]
        ordered = sort_by(keys, columns)
        x, event, times = ordered[:3]
        real = None if valid is None else ordered[3]
        weight = None if design.weight is None else ordered[-1]
        self.design = Design(x, weight, design.inverse)
        self.slope_bound = min(x.bound, math.sqrt(MEAN_SQUARE))
        # of a mean of expected events times x^2
        self.square_bound = min(x.bound * x.bound, _EXPECTED * (MEAN_SQUARE if weight is None else PLAIN_MEAN_SQUARE))
        if real is not None:
            event = event * real
        levels = [exact.log2_ceil(j) for j in range(1, n + 1)]
        self.height = max(levels)
        self.lift = layout.constants([1 << (self.height - k) for k in levels])
        runs = [(s._ring_share(), approx.bits_for(s.bound, s.scale)) for s in (times, real) if s is not None]
        ends = tables.ends_of_runs(self.proto, runs)
        first = self.proto.public(layout.constants([1]))
        starts = self.proto.concatenate([first, ends.share.map(layout.take(slice(0, n - 1)))], 0)
        seen = self.design.weighted(event)
        total = segmented_sum(seen, SecureArray(context, self.proto.a2bits(starts)))
        deaths = SecureArray(context, ends.share, 0, 1.0) * total
        room = RANGE_BITS - 1 - max(self.height + 7, 19)
        self.deaths = deaths if deaths.scale <= 16 else deaths.rescaled(max(8, min(16, room - 20)))
        self.inverse_bits = min(28, room - self.deaths.scale)
        self.observed = self.design.mean(x, seen, self.slope_bound)
        self.times, self.event = times, event
        self.baseline = Baseline(times, event, times)

    def evaluate(self, coef: SecureArray, first: bool) -> tuple[SecureArray, SecureArray, SecureArray | None]:
        """(gradient (d,), information (d, d)) of the mean log partial likelihood, and whether a coefficient or a row's
        x coef is out of bounds (); x coef is cut to its bound then. ``first``: coef is 0, None.
        """
        eta = predicted(self.design.x, coef._stated(coef.bound * _LOOSE))
        outside = None
        if first:
            eta = eta._stated(self.limit)
        else:
            eta, outside = self._cut(eta, coef)
        return (*self._derivatives(eta, False), outside)

    def certified(self, coef: SecureArray) -> tuple[SecureArray, SecureArray]:
        """Gradient and information at the result, with guards of the bounds that they need, and the baseline there."""
        eta = predicted(self.design.x, coef).assume_bound(
            self.limit, "x @ coef: raise linear_bound (up to 12), cut values far out with StandardScaler(clip=), or "
            "set alpha",
        )  # fmt: skip
        return self._derivatives(eta, True)

    def _cut(self, eta: SecureArray, coef: SecureArray) -> tuple[SecureArray, SecureArray]:
        """x coef within its limit, and whether anything was outside. About 12 rounds, 60 bytes a row."""
        over = stack([eta - self.limit, -eta - self.limit])
        flags = (over > 0).numeric()
        beyond = flags * over
        wide = coef._stated(_FARTHEST)
        far = (stack([wide, -wide]) > self.coefficient_bound).numeric()
        outside = flags.sum() + far.sum() > 0
        return (eta - beyond[0] + beyond[1])._stated(self.limit), outside

    def _derivatives(self, eta: SecureArray, certify: bool) -> tuple[SecureArray, SecureArray]:
        """With risk r = w exp(x coef), S0 and S1 the running sums of r and r x, and D the deaths at a time: the hazard
        is h = D / S0, its sum over all times up to a row's is A; the gradient is sum(w e x) - sum(r A x), the
        information sum(r A x x^T) - sum(D m m^T) with m = S1 / S0.
        """
        x = self.design.x
        risk = self.design.weighted(exp(eta))
        largest = exact.exp(self.limit) * (1.0 if self.design.weight is None else self.design.weight.bound) * 1.01
        sums = risk._ring_share().map(layout.cumulative(0))
        mean = SecureArray(self._context, self._per_row(sums, risk.scale, _RISK_BITS), _RISK_BITS, largest)
        over = reciprocal(mean, scale=self.inverse_bits)
        if certify:
            low = "1 / mean relative risk of those at risk"
            over[:_EARLY].assume_bound(2.0**12, f"{low}: those observed longest have hardly any; {CLIP}, or set alpha")
            if x.shape[0] > _EARLY:
                over[_EARLY:].assume_bound(_LATE_BOUND, f"{low}: few rows carry it all; {CLIP}, or set alpha")
        hazard = self._hazards(over)
        cumulated = self._from_below(hazard)
        expected = self._expected(risk, cumulated)
        if certify:
            expected.assume_bound(_EXPECTED, f"the events to expect of a row: few rows carry all risk; {CLIP}")
            at_ends = SecureArray(self._context, hazard, _HAZARD_BITS, 2.0**12)
            self.baseline = Baseline(self.times, self.event, at_ends.rescaled(24))
        slope = self.observed - self.design.mean(x, expected, min(x.bound, math.sqrt(self.square_bound)))
        matrix = self._second(x, expected) - self._means(x, risk, over, largest)
        return slope, matrix._stated(_CURVATURE)

    def _second(self, x: SecureArray, expected: SecureArray) -> SecureArray:
        """sum(r A x x^T) / n."""
        room = RANGE_BITS - 2 - x.scale - self.height - math.ceil(exact.log2(max(self.square_bound, 1.0)))
        column = expected.reshape((-1, 1))._stated(_EXPECTED)
        return self.design.mean(x, product(x, column, min(18, room)), self.square_bound)

    def _means(self, x: SecureArray, risk: SecureArray, over: SecureArray, largest: float) -> SecureArray:
        """sum(D m m^T) / n, m the mean of x over a risk set, weighted with the risks."""
        proto, (n, d) = self.proto, x.shape
        each = product(x, risk.reshape((-1, 1)))
        self._context.fits(each.bound * n, each.scale, "a sum over a risk set (state a smaller feature_bound)")
        per_row = self._per_row(each._ring_share().map(layout.cumulative(0)), each.scale, 20)
        self._context.fits(largest * x.bound, 20, "the sum of x over a risk set")
        whole = layout.broadcast((n, d))
        spread = over._ring_share().map(layout.then(layout.reshape((n, 1)), whole))
        mean = proto.mul(per_row, spread, 20 + over.scale - 18)  # a weighted mean of x is not larger than x
        deaths = self.deaths._ring_share().map(layout.then(layout.reshape((n, 1)), whole))
        room = RANGE_BITS - 2 - 18 - self.height - math.ceil(exact.log2(max(self.square_bound, 1.0)))
        cut = max(0, self.deaths.scale + 18 - min(18, room))
        heavy = proto.mul(deaths, mean, cut)
        left = SecureArray(self._context, mean, 18, x.bound * 1.01)
        right = SecureArray(self._context, heavy, self.deaths.scale + 18 - cut, x.bound * 1.01)
        return self.design.mean(left, right, self.square_bound)

    def _hazards(self, over: SecureArray) -> Share:
        """D / S0 (n,) at _HAZARD_BITS: 0 but at the last row of equal durations."""
        before = self.deaths.scale + over.scale
        middle = min(before, 30, RANGE_BITS - 14 - self.height)
        share = self.proto.mul(self.deaths._ring_share(), over._ring_share(), before - middle)
        return self._per_row(share, middle, _HAZARD_BITS)

    def _expected(self, risk: SecureArray, cumulated: Share) -> SecureArray:
        """r A (n,): events to expect of each row so far; their sum is that of the deaths."""
        scale = min(22, RANGE_BITS - 2 - risk.scale - 4 - self.height)
        coarse = self.proto.truncate(cumulated, _HAZARD_BITS - 30)
        share = self.proto.mul(risk._ring_share(), coarse, risk.scale + 30 - scale)
        return SecureArray(self._context, share, scale, _EXPECTED)

    def _per_row(self, x: Share, scale: int, wanted: int) -> Share:
        """x / 2^k, k that of each row, at ``wanted`` fractional bits."""
        factor = self.lift if len(x.shape) == 1 else layout.reshape((-1, 1))(self.lift)
        raised = self.proto.mul_public(x, factor)
        cut = scale + self.height - wanted
        if cut >= 0:
            return self.proto.truncate(raised, cut)
        return self.proto.mul_public(raised, layout.constant(1 << -cut))

    @staticmethod
    def _from_below(x: Share) -> Share:
        """Running sums from the last row upward: over all times that are not later."""
        flip = layout.take(slice(None, None, -1))
        return x.map(layout.then(flip, layout.cumulative(0), flip))
