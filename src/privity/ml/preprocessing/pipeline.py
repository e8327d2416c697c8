"""Transforms one after the other, and a model at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...array import SecureArray
from ...errors import UsageError
from ...table import Table
from ..estimator import Estimator
from .transform import Transform


class Pipeline(Estimator):
    """``steps``: (name, transform), ..., and as the last one a transform or a model.

    ``fit(table)`` fits each step on what the steps before made of the table. Parameters of steps are reached as
    ``step__parameter``. With a model at the end there are ``predict``, ``predict_proba`` and ``decision_function`` of
    tables, else ``transform``.
    """

    def __init__(self, steps: Sequence[tuple[str, Any]]) -> None:
        self.steps = steps

    def fit(self, x: Table, y: SecureArray | str | None = None, **options: Any) -> Pipeline:
        """Fit all steps; ``options`` go to the last one. Raises UsageError for steps that do not fit together."""
        self._check()
        table = x
        for _, step in self._transforms():
            table = step.fit_transform(table)
        last = self.steps[-1][1]
        if not isinstance(last, Transform):
            last.fit(table, y, **options)
        self.feature_names_in_ = x.feature_names
        return self

    def transform(self, table: Table) -> Table:
        """What all transforms make of a table (the model, if there is one, is not asked)."""
        self.fitted("feature_names_in_")
        for _, step in self._transforms():
            table = step.transform(table)
        return table

    def fit_transform(self, table: Table) -> Table:
        """``fit``, and what the transforms made."""
        return self.fit(table).transform(table)

    def predict(self, table: Table) -> SecureArray:
        """The model's prediction for each row, secret."""
        return self._asked("predict", table)

    def predict_proba(self, table: Table) -> SecureArray:
        """The model's probabilities for each row, secret."""
        return self._asked("predict_proba", table)

    def decision_function(self, table: Table) -> SecureArray:
        """The model's score for each row, secret."""
        return self._asked("decision_function", table)

    def get_feature_names_out(self, input_features: Any = None) -> tuple[str, ...]:
        """Names of the features that the transforms make."""
        transforms = self._transforms()
        if not transforms:
            return self.feature_names_in_
        return transforms[-1][1].get_feature_names_out()

    def __getitem__(self, name: str) -> Any:
        for step_name, step in self.steps:
            if step_name == name:
                return step
        raise UsageError(f"Pipeline has no step {name!r}; its steps: {', '.join(n for n, _ in self.steps)}")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """``steps``, and with ``deep`` the parameters of all steps as ``step__parameter``."""
        own: dict[str, Any] = {"steps": self.steps}
        if deep:
            own |= {f"{n}__{k}": v for n, step in self.steps for k, v in step.get_params().items()}
        return own

    def set_params(self, **parameters: Any) -> Pipeline:
        """Change ``steps`` or parameters of steps."""
        for name, value in parameters.items():
            step, _, inner = name.partition("__")
            if inner:
                self[step].set_params(**{inner: value})
            elif name == "steps":
                self.steps = value
            else:
                raise UsageError(f"Pipeline has no parameter {name!r}; write step__parameter")
        return self

    def clone(self) -> Pipeline:
        """A new pipeline of cloned steps."""
        return Pipeline([(n, step.clone()) for n, step in self.steps])

    def _transforms(self) -> list[tuple[str, Transform]]:
        return [(n, s) for n, s in self.steps if isinstance(s, Transform)]

    def _check(self) -> None:
        names = [n for n, _ in self.steps]
        if not names or len(set(names)) < len(names):
            raise UsageError(f"Pipeline: expected steps with different names, got {names}")
        for name, step in self.steps[:-1]:
            if not isinstance(step, Transform):
                raise UsageError(f"Pipeline: step {name!r} is no transform; only the last step may be a model")

    def _asked(self, what: str, table: Table) -> SecureArray:
        last = self.steps[-1][1]
        if not hasattr(last, what):
            raise UsageError(f"Pipeline: its last step, {type(last).__name__}, has no {what}")
        result: SecureArray = getattr(last, what)(self.transform(table))
        return result
