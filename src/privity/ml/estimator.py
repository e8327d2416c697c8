"""What all estimators share: parameters by name, and one way in for rows, from a table or from arrays.

The contract is scikit-learn's: the constructor only stores its arguments, ``fit`` learns and returns the estimator,
learnt attributes end in an underscore. What is learnt stays secret until it is opened.
"""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np

from .. import words
from ..array import SecureArray
from ..errors import ShapeError, UnknownName, UsageError
from ..functions import concatenate
from ..functions.flags import as_flags, secret
from ..functions.nullable import NullableArray, counted, same
from ..table import Table
from .parameters import built, checked, named, unknown_parameter

Same = TypeVar("Same", bound="Estimator")


class Estimator:
    """Base of estimators and transforms: ``get_params``, ``set_params``, ``clone``.

    The ``fit`` of a class is wrapped: parameters of another kind than the constructor's annotations state are refused.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = built(vars(cls)["__init__"])  # type: ignore[method-assign]
        if "fit" in vars(cls):
            cls.fit = checked(vars(cls)["fit"])  # type: ignore[attr-defined]
        if "transform" in vars(cls):
            cls.transform = named(vars(cls)["transform"])  # type: ignore[attr-defined]

    @classmethod
    def parameter_names(cls) -> tuple[str, ...]:
        """The constructor's arguments, in its order."""
        own = inspect.signature(cls.__init__).parameters.values()
        return tuple(p.name for p in own if p.name != "self" and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Constructor arguments as they are now. ``deep`` is accepted for scikit-learn's tools."""
        return {name: getattr(self, name) for name in self.parameter_names()}

    def set_params(self: Same, **parameters: Any) -> Same:
        """Change constructor arguments. Raises UsageError for a name that the constructor does not have."""
        for name, value in parameters.items():
            if name not in self.parameter_names():
                known = ", ".join(self.parameter_names())
                told = unknown_parameter(type(self).__name__, name, self.parameter_names())
                raise UsageError(f"{told}; its parameters: {known}")
            setattr(self, name, value)
        return self

    def clone(self: Same) -> Same:
        """A new estimator with the same parameters that has learnt nothing."""
        return type(self)(**self.get_params())

    if not TYPE_CHECKING:  # a checker goes by what is defined

        def __getattr__(self, name: str) -> NoReturn:
            kind = type(self)
            what = kind.__name__
            learnt = name.endswith("_") and not name.startswith("_")
            if learnt and name not in words.ESTIMATOR and not any(k.endswith("_") for k in self.__dict__):
                raise UnknownName(f"{what} has no attribute {name!r} before fit; call fit first")
            known = [*words.public_names(kind), *(k for k in self.__dict__ if not k.startswith("_"))]
            raise words.unknown(what, name, known, words.ESTIMATOR)

    def __sklearn_tags__(self) -> NoReturn:
        raise UsageError(
            f"{type(self).__name__}: scikit-learn's tools look at values; privity.ml.selection has cross_val_score, "
            "GridSearchCV and train_test_split for secrets, privity.ml.preprocessing has Pipeline"
        )

    def fitted(self, attribute: str) -> None:
        """Raise UsageError unless ``fit`` has set ``attribute``."""
        if not hasattr(self, attribute):
            raise UsageError(f"{type(self).__name__}: call fit first")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_params().items())})"


def whole_numbers(what: str, least: int = 1, most: int | None = None, **values: Any) -> None:
    """Raise UsageError unless all are public whole numbers in this range; ``what`` names the estimator."""
    wrong = [
        f"{name}={v!r}"
        for name, v in values.items()
        if isinstance(v, bool) or not isinstance(v, int | np.integer) or v < least or (most is not None and v > most)
    ]
    if wrong:
        upper = "" if most is None else f" and at most {most}"
        raise UsageError(f"{what}: expected public whole numbers of at least {least}{upper}, got {', '.join(wrong)}")


def real_numbers(what: str, **values: Any) -> None:
    """Raise UsageError unless all are finite public numbers; ``what`` names the estimator."""
    kinds = int | float | np.integer | np.floating
    wrong = [f"{n}={v!r}" for n, v in values.items() if not isinstance(v, kinds) or not math.isfinite(v)]
    if wrong:
        raise UsageError(f"{what}: expected finite public numbers, got {', '.join(wrong)}")


@dataclass(frozen=True, slots=True)
class Rows:
    """What an estimator learns from. ``x`` (n, d), zero in rows that do not count; ``y`` (n,) or None.

    ``valid`` (n,): flags of the real rows (functions/flags.py), None if all are. ``weight`` (n,): secret or public
    weights of at least 0, None if all are 1. ``names``: of the d columns. ``count``: real rows, a number or secret.
    ``units``: by which a table's numbers were divided, None for arrays: what models keep as ``units_``.
    """

    x: SecureArray
    y: SecureArray | None
    valid: SecureArray | None
    weight: SecureArray | None
    names: tuple[str, ...]
    units: tuple[float, ...] | None = None

    @property
    def count(self) -> int | SecureArray:
        return self.x.shape[0] if self.valid is None else self.valid.sum()


def rows_of(
    what: str,
    x: Table | SecureArray,
    y: SecureArray | str | None = None,
    *,
    valid: SecureArray | None = None,
    sample_weight: Any = None,
    target: bool = True,
) -> Rows:
    """Rows from a table (its features, its label or the column named ``y``, its row mask) or from secret arrays.

    Rows whose target or weight is an empty cell do not count. ``what`` names the estimator in errors. ``target``:
    whether a target is needed. Raises UsageError if there is none or two masks were given, and for columns of x with
    empty cells, ShapeError if shapes do not fit or there are no rows. Arrays with a mask cost one round and 8 bytes per
    party and element, and so do tables with an empty target: what stands in rows that do not count becomes 0.
    """
    if valid is not None:
        secret(f"{what}: valid", valid)
    if target and y is not None and not isinstance(y, str):
        secret(f"{what}: y", y)
    from_table, units = isinstance(x, Table), None
    if isinstance(x, Table):
        if valid is not None:
            raise UsageError(f"{what}: a table carries its own row mask; valid= goes with arrays only")
        apart = y if isinstance(y, str) else x.label_name
        names = tuple(n for n in x.feature_names if n != apart)
        x, told, sample_weight = rows_with(x, y if target else None, sample_weight, target=target)
        units = tuple(float(x.column(n).field.unit) for n in names)
        x, valid = x.matrix(names), x.valid
    elif isinstance(x, NullableArray):
        x.refuse(f"{what}: x")
    elif not isinstance(x, SecureArray):
        raise UsageError(
            f"{what}: expected a table or a secret array of shape (rows, columns), got {type(x).__name__}; "
            "session.secret brings an owner's array, session.constant(values) makes one of public values; rows in the "
            "clear are scored by an opened model (open_model, open_trees)"
        )
    else:
        if isinstance(y, str):
            raise UsageError(f"{what}: a target by name ({y!r}) needs a table; give the secret array of its values")
        valid, (told, sample_weight) = counted(what, valid, y if target else None, sample_weight)
        names = tuple(f"x{i}" for i in range(x.shape[1] if x.ndim == 2 else 0))
    if x.ndim != 2 or 0 in x.shape:
        raise ShapeError(f"{what}: expected x of shape (rows, columns) with at least one of each, got {x.shape}")
    n = x.shape[0]
    if target and told is None:
        raise UsageError(f"{what}: no target; give y=, or a table whose schema has a column with the role 'label'")
    weight = None if sample_weight is None else _weights(what, x, sample_weight)
    for name, given in (("y", told), ("valid", valid), ("sample_weight", weight)):
        if given is not None and given.shape[:1] != (n,):
            raise ShapeError(f"{what}: expected {name} with {n} rows like x, got {given.shape}")
    mask = None if valid is None else as_flags(valid, f"{what}: valid")
    if mask is not None and not from_table:  # the rows of a table are 0 there already
        x = (x * mask.reshape((-1, 1)))._stated(x.bound)
        told = (told * mask)._stated(told.bound) if told is not None and told.ndim == 1 else told
    return Rows(x, told, mask, weight, names, units)


def rows_with(
    table: Table, y: SecureArray | NullableArray | str | None, *columns: Any, target: bool = True
) -> list[Any]:
    """The table without the rows in which the target or one of ``columns`` is an empty cell (they become padding), the
    target as a plain array or None, and the columns as plain arrays. Local where there are no such cells.

    ``y``: a column by name, values, or None for the label; with ``target`` False the label is left alone.
    """
    name = y if isinstance(y, str) else table.label_name if y is None and target else None
    if name is not None:
        table = table.with_target(name)
        y = table.column(name).natural
    mask, plain = counted("rows", table.valid, y, *columns)
    if mask is not None and not same(mask, table.valid):
        table = table.filter(mask)
    return [table, *plain]


def _weights(what: str, x: SecureArray, weights: Any) -> SecureArray:
    """Weights as a secret array; public ones are checked here, secret ones by the estimator's guard."""
    if isinstance(weights, SecureArray):
        return weights.numeric()
    if isinstance(weights, str):
        raise UsageError(f"{what}: expected sample_weight as values, got {weights!r}; write table[{weights!r}]")
    public = x._context.constant(weights)
    if public.shape != x.shape[:1] or bool((np.asarray(weights) < 0).any()):
        raise UsageError(f"{what}: expected sample_weight of shape ({x.shape[0]},) with weights of at least 0")
    if not np.any(weights):
        raise UsageError(f"{what}: all weights are 0; at least one row must count")
    return public


def with_intercept(x: SecureArray, valid: SecureArray | None = None) -> SecureArray:
    """x with a last column of ones (0 in padding rows): shape (n, d + 1)."""
    n = x.shape[0]
    ones = x._context.constant(np.ones((n, 1))) if valid is None else valid.reshape((n, 1)).rescaled(x.scale)
    return concatenate([x, ones], axis=1)
