"""Transforms one after the other, and a model at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...array import SecureArray
from ...errors import ShapeError, UsageError
from ...functions.flags import as_flags, secret
from ...ring import exact
from ...table import Field, SecureColumn, Table
from ..estimator import Estimator
from ..information import lifted
from .transform import Transform


class Pipeline(Estimator):
    """``steps``: (name, transform), ..., and as the last one a transform or a model.

    ``fit(table)`` fits each step on what the steps before made of the table. An array (n, d) becomes a table of numbers
    ``x0``, ``x1``, ... in units of its public bound, ``valid`` its row mask; without transforms it goes to the model as
    it is. Parameters of steps are reached as ``step__parameter``. With a model at the end there are ``predict``,
    ``predict_proba``, ``decision_function`` and ``score``, else ``transform``.
    """

    def __init__(self, steps: Sequence[tuple[str, Any]]) -> None:
        self.steps = steps

    def fit(self, x: Table | SecureArray, y: SecureArray | str | None = None, **options: Any) -> Pipeline:
        """Fit all steps; ``options`` go to the last one. Raises UsageError for steps that do not fit together."""
        self._check()
        given = self._given(x, options)
        made, units = given, []
        for _, step in self._transforms():
            units.append({f.name: float(f.unit) for f in made.fields})
            made = step.fit_transform(made)
        last = self.steps[-1][1]
        if not isinstance(last, Transform):
            last.fit(made, y, **options)
        self.units_of_steps_ = units
        self.feature_names_in_ = (
            given.feature_names if isinstance(given, Table) else tuple(last.names_)[: given.shape[1]]
        )
        return self

    def transform(self, x: Table | SecureArray) -> Table:
        """What all transforms make of a table (the model, if there is one, is not asked)."""
        table = self._made(x)
        if not isinstance(table, Table):
            raise UsageError("Pipeline: it has no transforms, so there is nothing that an array becomes")
        return table

    def fit_transform(self, x: Table | SecureArray, y: SecureArray | str | None = None) -> Table:
        """``fit``, and what the transforms made."""
        return self.fit(x, y).transform(x)

    def fit_predict(self, x: Table | SecureArray, y: SecureArray | str | None = None, **options: Any) -> SecureArray:
        """``fit``, and the model's prediction for the same rows."""
        return self.fit(x, y, **options).predict(x)

    def predict(self, x: Table | SecureArray) -> SecureArray:
        """The model's prediction for each row, secret."""
        return self._asked("predict", x)

    def predict_proba(self, x: Table | SecureArray) -> SecureArray:
        """The model's probabilities for each row, secret."""
        return self._asked("predict_proba", x)

    def decision_function(self, x: Table | SecureArray) -> SecureArray:
        """The model's score for each row, secret."""
        return self._asked("decision_function", x)

    def score(self, x: Table | SecureArray, y: SecureArray | str | None = None, **options: Any) -> SecureArray:
        """The model's score on these rows, a secret scalar."""
        return self._asked("score", x, y, **options)

    def transforms(self) -> list[tuple[str, Transform, dict[str, float]]]:
        """Name and transform of each step but the model, and the unit of each column that it was fitted on."""
        self.fitted("feature_names_in_")
        return [(n, s, u) for (n, s), u in zip(self._transforms(), self.units_of_steps_, strict=True)]

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

    def _given(self, x: Any, options: dict[str, Any]) -> Any:
        """What the first step is given; the mask of an array goes with its table."""
        if isinstance(x, Table) or not self._transforms():
            return x
        return _table_of(x, options.pop("valid", None))

    def _made(self, x: Any, options: dict[str, Any] | None = None) -> Any:
        """What the last step is given, if it is a model."""
        self.fitted("feature_names_in_")
        made = self._given(x, {} if options is None else options)
        for _, step in self._transforms():
            made = step.transform(made)
        return made

    def _asked(self, what: str, x: Any, *given: Any, **options: Any) -> SecureArray:
        last = self.steps[-1][1]
        if not hasattr(last, what):
            raise UsageError(f"Pipeline: its last step, {type(last).__name__}, has no {what}")
        made = self._made(x, options)
        result: SecureArray = getattr(last, what)(made, *given, **options)
        return result


def _table_of(x: Any, valid: SecureArray | None) -> Table:
    """A secret array (n, d) as a table of numbers, in units of its public bound. Raises UsageError, ShapeError."""
    secret("Pipeline: x", x)
    if x.ndim != 2 or 0 in x.shape:
        raise ShapeError(f"Pipeline: expected x of shape (rows, columns) with at least one of each, got {x.shape}")
    mask = None if valid is None else as_flags(valid, "Pipeline: valid")
    if mask is not None and mask.shape != x.shape[:1]:
        raise ShapeError(f"Pipeline: expected valid with {x.shape[0]} rows like x, got {mask.shape}")
    cells = x.numeric() if mask is None else (x.numeric() * mask.reshape((-1, 1)))._stated(x.bound)
    power = exact.log2_ceil(max(cells.bound, 1.0))
    cells = lifted(cells, -power)
    unit = exact.exp2(power)
    columns = [SecureColumn(Field(f"x{i}", "number", unit, unit), cells[:, i]) for i in range(x.shape[1])]
    return Table(x._context, "x", columns, rows=x.shape[0], valid=mask)
