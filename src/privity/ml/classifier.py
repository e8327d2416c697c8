"""What classifiers share: their score is the share of rows that they predict right."""

from __future__ import annotations

from typing import Any

from ..array import SecureArray
from ..errors import UsageError
from ..table import Table
from .estimator import Estimator
from .metrics import accuracy_score, r2_score


def truth_of(what: str, x: Any, y: Any, valid: SecureArray | None) -> tuple[SecureArray, SecureArray | None]:
    """(target, row mask) of a table, by name or its label, or of arrays. Raises UsageError without a target."""
    if isinstance(x, Table):
        if valid is not None:
            raise UsageError(f"{what}: a table carries its own row mask; valid= goes with arrays only")
        valid = x.valid
        name = y if isinstance(y, str) else x.label_name
        y = y if isinstance(y, SecureArray) or name is None else x[name]
    if y is None or isinstance(y, str):
        raise UsageError(f"{what}: no target; give y=, or a table whose schema has a column with the role 'label'")
    return y, valid


class Classifier(Estimator):
    """``score`` of classifiers, as in scikit-learn."""

    def score(
        self,
        x: Table | SecureArray,
        y: SecureArray | str | None = None,
        *,
        valid: SecureArray | None = None,
        sample_weight: Any = None,
    ) -> SecureArray:
        """Share of the rows that are predicted right, a secret scalar; see ``metrics.accuracy_score``."""
        truth, mask = truth_of(f"{type(self).__name__}.score", x, y, valid)
        found = self.predict(x)  # type: ignore[attr-defined]
        return accuracy_score(truth, found, valid=mask, sample_weight=sample_weight)


class Regressor(Estimator):
    """``score`` of regressors, as in scikit-learn."""

    def score(
        self,
        x: Table | SecureArray,
        y: SecureArray | str | None = None,
        *,
        valid: SecureArray | None = None,
        sample_weight: Any = None,
    ) -> SecureArray:
        """Coefficient of determination R2, a secret scalar; see ``metrics.r2_score``."""
        truth, mask = truth_of(f"{type(self).__name__}.score", x, y, valid)
        return r2_score(truth, self.predict(x), valid=mask, sample_weight=sample_weight)  # type: ignore[attr-defined]
