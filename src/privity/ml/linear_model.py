"""What models with one coefficient a column share: the linear predictor, and opening them for inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..array import SecureArray
from ..errors import ShapeError, UsageError
from ..functions import concatenate
from ..openings import Withheld
from ..table import Table
from .columns import as_learnt
from .design import predicted
from .estimator import Estimator, rows_of
from .inference import Inference, open_inference
from .line import predicted as predicted_in_units


class LinearModel(Estimator):
    """After ``fit``: ``coef_`` (d,), ``intercept_`` (), ``coefficients_`` (d + 1,) with the intercept last, all secret.

    ``names_``: of ``coefficients_``. ``units_``: by which the columns of the table were divided that it was fitted on,
    None for arrays; the coefficients go with the divided columns. Where the method gives them: ``standard_errors_``,
    like ``coefficients_``, and ``freedom_``, degrees of freedom for t statistics (None: normal).
    """

    coef_: SecureArray
    intercept_: SecureArray
    coefficients_: SecureArray
    standard_errors_: SecureArray | None = None
    freedom_: SecureArray | float | None = None
    names_: tuple[str, ...]
    units_: tuple[float, ...] | None = None
    target_bound_: float | None = None
    """Public bound of y, where coefficients have none of their own."""
    normal_: tuple[SecureArray, ...] | None = None
    """The same line in normal units (line.py), where coefficients in the columns' own would lack digits."""

    def learnt(self, coefficients: SecureArray, intercept: bool, names: Sequence[str]) -> None:
        """Store what was learnt; ``coefficients`` have the intercept last where there is one."""
        context = coefficients._context
        self.coef_ = coefficients[:-1] if intercept else coefficients
        self.intercept_ = coefficients[-1] if intercept else context.constant(0.0)
        self.coefficients_ = coefficients
        self.names_ = tuple(names)

    def decision_function(self, x: Table | SecureArray) -> SecureArray:
        """x @ coef_ + intercept_ (n,), secret. Three rounds; for models in normal units see
        ``line.predicted``."""
        self.fitted("coef_")
        what = type(self).__name__
        rows = rows_of(what, as_learnt(self, x), target=False)
        if rows.x.shape[1] != self.coef_.shape[0]:
            raise ShapeError(f"{what}: expected x with {self.coef_.shape[0]} columns as in fit, got {rows.x.shape}")
        if self.normal_ is not None:
            return predicted_in_units(rows.x, self.normal_, self.coef_, self.intercept_)
        slopes = predicted(rows.x.numeric(), self.coef_)
        return slopes + self.intercept_.rescaled(min(self.intercept_.scale, slopes.scale))

    def inference(self, *, to: str | Sequence[str], name: str, reason: str) -> Inference | Withheld:
        """Open coefficients and standard errors as one array (2, k) named ``name`` (k: with the intercept).

        They are for columns in their own units, whatever the table divided them by.

        With a secret number of rows a third row opens the degrees of freedom, where the model has some. Raises
        UsageError for a model without standard errors, and what ``Session.reveal`` raises.
        """
        self.fitted("coef_")
        if self.standard_errors_ is None:
            raise UsageError(f"{type(self).__name__}: this fit has no standard errors; {self._instead()}")
        found = open_inference(
            self.coefficients_, self.standard_errors_, self.names_, to=to, name=name, reason=reason,
            freedom=self.freedom_,
        )  # fmt: skip
        if self.units_ is None or isinstance(found, Withheld):
            return found
        units = np.append(self.units_, np.ones(len(self.names_) - len(self.units_)))
        return replace(
            found, coefficients=found.coefficients / units, standard_errors=found.standard_errors / units
        )  # fmt: skip

    def _instead(self) -> str:
        return "penalties on |coef| bias it, so that they would mislead"


COEFFICIENTS = "coefficients: raise coefficient_bound, or standardise the columns"
"""What a guard of them is called."""


def joined(values: Sequence[SecureArray]) -> SecureArray:
    """Secret scalars and vectors, end to end."""
    return concatenate([v.reshape((1,)) if v.ndim == 0 else v for v in values])


def check_positive(what: str, **values: Any) -> None:
    """Raise UsageError for a parameter that is below 0; counts must be at least 1."""
    for name, value in values.items():
        least = 1 if isinstance(value, int) and not isinstance(value, bool) else 0
        if value is not None and not value >= least:
            raise UsageError(f"{what}: expected {name} >= {least}, got {value!r}")
