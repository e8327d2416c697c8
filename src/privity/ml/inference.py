"""What an analyst reads off a fitted model: z or t statistics, p values, intervals and ratios, in float64.

Only coefficients and standard errors are opened, together and once; everything else follows from them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..array import SecureArray
from ..context import Context
from ..errors import ShapeError, UsageError
from ..functions import stack
from ..openings import Withheld
from ..ring import exact

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Inference:
    """Opened coefficients (k,) with their standard errors (k,) and the names of their columns.

    ``freedom``: degrees of freedom of Student's t distribution; None for the normal distribution. A coefficient whose
    standard error is 0 (a constant column) has no statistic: it is NaN there.
    """

    names: tuple[str, ...]
    coefficients: Floats
    standard_errors: Floats
    freedom: float | None = None

    @property
    def statistics(self) -> Floats:
        """Coefficient over standard error: z, or t with ``freedom``."""
        known = self.standard_errors > 0
        return np.where(known, self.coefficients / np.where(known, self.standard_errors, 1.0), np.nan)

    @property
    def p_values(self) -> Floats:
        """Two-sided p values that the coefficient is 0."""
        size = np.abs(self.statistics)
        if self.freedom is None:
            return np.array([math.erfc(z / math.sqrt(2.0)) for z in size])
        return np.asarray(2 * _student().sf(size, self.freedom))

    def intervals(self, level: float = 0.95) -> Floats:
        """Confidence intervals (k, 2). Raises UsageError unless 0 < level < 1."""
        if not 0 < level < 1:
            raise UsageError(f"intervals: expected 0 < level < 1, got {level}")
        if self.freedom is None:
            from statistics import NormalDist

            width = NormalDist().inv_cdf(0.5 + level / 2)
        else:
            width = float(_student().ppf(0.5 + level / 2, self.freedom))
        reach = width * self.standard_errors
        return np.stack([self.coefficients - reach, self.coefficients + reach], axis=1)

    @property
    def ratios(self) -> Floats:
        """e^coefficient: odds ratios of a logistic, rate ratios of a Poisson, hazard ratios of a Cox model."""
        return np.exp(self.coefficients)

    def ratio_intervals(self, level: float = 0.95) -> Floats:
        """Confidence intervals of ``ratios`` (k, 2)."""
        return np.exp(self.intervals(level))

    def as_dict(self) -> dict[str, dict[str, float]]:
        """One entry per coefficient, for JSON: coefficient, standard_error, statistic, p_value."""
        columns = zip(self.coefficients, self.standard_errors, self.statistics, self.p_values, strict=True)
        keys = ("coefficient", "standard_error", "statistic", "p_value")
        return {
            name: dict(zip(keys, map(float, row), strict=True)) for name, row in zip(self.names, columns, strict=True)
        }

    def __str__(self) -> str:
        """A table in plain text."""
        sign, wide = ("z" if self.freedom is None else "t"), max([len(n) for n in self.names], default=0)
        heads = ("coef", 10), ("std err", 10), (sign, 9), (f"P>|{sign}|", 9), ("[0.025", 10), ("0.975]", 10)
        lines = [" " * wide + " " + "".join(f" {head:>{width}}" for head, width in heads)]
        rows = zip(
            self.names, self.coefficients, self.standard_errors, self.statistics, self.p_values, self.intervals(),
            strict=True,
        )  # fmt: skip
        lines += [
            f"{n:{wide}}  {_digits(c)} {_digits(e)} {z:9.3f} {p:9.3g} {_digits(low)} {_digits(high)}"
            for n, c, e, z, p, (low, high) in rows
        ]
        return "\n".join(lines)


def _digits(value: float) -> str:
    """A number in 10 places: four decimals, or four significant digits where these would show fewer of it."""
    return f"{value:10.4f}" if value == 0 or 0.1 <= abs(value) < 1e5 else f"{value:10.4g}"


def open_inference(
    coefficients: SecureArray,
    standard_errors: SecureArray,
    names: Sequence[str],
    *,
    to: str | Sequence[str],
    name: str,
    reason: str,
    freedom: SecureArray | float | None = None,
) -> Inference | Withheld:
    """Open coefficients and standard errors (k,) as one array (2, k) called ``name``; Inference at the receivers.

    A secret ``freedom`` is opened with them, as a third row. Raises ShapeError, and what ``Session.reveal`` raises.
    """
    context: Context = coefficients._context
    if coefficients.shape != (len(names),) or standard_errors.shape != (len(names),):
        raise ShapeError(
            f"open_inference: expected {len(names)} coefficients and standard errors, one for each name, got "
            f"{coefficients.shape} and {standard_errors.shape}"
        )
    rows = [coefficients, standard_errors]
    if isinstance(freedom, SecureArray):
        # the same ring integers, read at the scale of the others: as it may be large and they small
        scale = max(coefficients.scale, standard_errors.scale)
        apart = exact.exp2(scale - freedom.scale)
        rows.append(SecureArray(context, freedom._fitted((len(names),)), scale, freedom.bound / apart))
    opened = context.reveal(stack(rows), to=to, name=name, reason=reason)
    if isinstance(opened, Withheld):
        return opened
    degrees = float(opened[2, 0]) * apart if isinstance(freedom, SecureArray) else freedom
    return Inference(tuple(names), opened[0], opened[1], degrees)


def _student() -> Any:
    """SciPy's t distribution, loaded when it is asked for."""
    try:
        from scipy.stats import t  # type: ignore[import-untyped,unused-ignore]
    except ModuleNotFoundError:
        raise UsageError("p values of a t statistic need SciPy; install it with: pip install scipy") from None
    return t
