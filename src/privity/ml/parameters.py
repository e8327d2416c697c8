"""Parameters of estimators, checked against the types that their constructor states, before ``fit`` uses them."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from .. import words
from ..array import SecureArray
from ..errors import OverflowPlanned, ShapeError, UsageError
from ..functions.nullable import NullableArray
from ..table import Table

Fit = TypeVar("Fit", bound=Callable[..., Any])

LARGEST = 2.0**60
"""No number that meets secrets is larger: they have 62 bits."""
MOST = 2**16
"""No whole number is larger: steps, trees, classes, bins and so on are made one by one."""
_MORE = dict.fromkeys(("batch_size", "min_samples_leaf", "max_samples", "max_features"), 2**31) | {
    "random_state": 2**64 - 1
}
"""But numbers of rows or columns, and seeds."""
LEAST = 2.0**-200
"""No number that is not 0 is smaller: so that products of a few of them are not 0 either."""
_LARGE, _SMALL = 2.0**10, 2.0**-10  # of parameters that a planned overflow may come from
_KINDS: dict[str, str] = {
    "bool": "True or False", "float": "a finite public number", "int": "a public whole number", "str": "a name",
    "None": "None", "tuple[float, float]": "a pair of finite public numbers",
    "Sequence[float]": "public numbers", "Sequence[int]": "public whole numbers",
}  # fmt: skip


def built(constructor: Fit) -> Fit:
    """A constructor that refuses arguments which it does not have by name, with what to write instead."""
    signature = inspect.signature(constructor)

    @functools.wraps(constructor)
    def made(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            signature.bind(self, *args, **kwargs)
        except TypeError as error:
            known = tuple(n for n in signature.parameters if n != "self")
            what = type(self).__name__
            wrong = [k for k in kwargs if k not in known]
            told = unknown_parameter(what, wrong[0], known) if wrong else f"{what}: {error}"
            raise WrongArguments(f"{told}; its parameters: {', '.join(known) or 'none'}") from None
        constructor(self, *args, **kwargs)

    return made  # type: ignore[return-value]


class WrongArguments(UsageError, TypeError):
    """A constructor was called with other arguments than it has."""


def unknown_parameter(what: str, name: str, known: Sequence[str]) -> str:
    """That an estimator has no such parameter, and what people mean by it."""
    meant = f": {words.PARAMETERS[name]}" if name in words.PARAMETERS else words.near(name, known)
    return f"{what} has no parameter {name!r}{meant}"


def checked(fit: Fit) -> Fit:
    """``fit`` that refuses parameters of a wrong kind by name first, and says of an overflow whose it is.

    Where ``fit`` learns from x alone a second argument ``y`` is accepted and left aside, as in scikit-learn.
    """
    places = list(inspect.signature(fit).parameters.values())[2:]
    alone = not any(p.name == "y" or p.kind is p.POSITIONAL_OR_KEYWORD for p in places)

    @functools.wraps(fit)
    def fitted(self: Any, *args: Any, **kwargs: Any) -> Any:
        check_parameters(self)
        if alone:
            args, kwargs = args[:1] + args[2:], {name: value for name, value in kwargs.items() if name != "y"}
        with _overflows_named(self):
            return fit(self, *args, **kwargs)

    return fitted  # type: ignore[return-value]


def arguments(function: Fit) -> Fit:
    """A metric or statistic that refuses arguments of another kind than its annotations state, by name, and says of
    shapes that do not fit whose they are."""
    what = function.__name__
    several = getattr(function, "side_by_side", False)
    kinds = {n: str(p.annotation).split(" | ") for n, p in inspect.signature(function).parameters.items()}
    signature = inspect.signature(function)

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise UsageError(f"{what}: {error}; its arguments: {', '.join(kinds)}") from None
        for name, value in given.items():
            known = [k for k in kinds[name] if k in _ARGUMENTS]
            if len(known) == len(kinds[name]) and not any(_ARGUMENTS[k][1](value) for k in known):
                if several and name == "x" and isinstance(value, list | tuple | Table):
                    continue  # columns, or those of a table: the function says what is wrong with them
                expected = " or ".join(_ARGUMENTS[k][0] for k in known)
                raise UsageError(f"{what}: {name}: expected {expected}, got {_shown(value)}")
        try:
            return function(*args, **kwargs)
        except ShapeError as error:
            shapes = ", ".join(f"{n} {v.shape}" for n, v in given.items() if _secret(v))
            said = str(error) if what in str(error) else f"{what}: {error}"
            raise ShapeError(f"{said}; shapes: {shapes}") from None

    return called  # type: ignore[return-value]


def _secret(value: Any) -> bool:
    return isinstance(value, SecureArray | NullableArray)


def _finite(value: Any) -> bool:
    if _secret(value) or isinstance(value, Table):
        return False
    try:
        made = np.asarray(value)
    except ValueError:  # lists of different lengths
        return False
    return made.dtype.kind in "iuf" and made.size > 0 and bool(np.isfinite(made).all())


MOST_LEVELS = 1 << 16
"""Classes, bins, rows or columns of a result, at most."""

_ARGUMENTS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "SecureArray": ("a secret array (session.constant(values) makes one of public values)", _secret),
    "Table": ("a table (session.table)", lambda v: isinstance(v, Table)),
    "None": ("None", lambda v: v is None),
    "bool": ("True or False", lambda v: _fits(v, "bool")),
    "int": (f"a public whole number from 0 to {MOST_LEVELS:,}",
            lambda v: _fits(v, "int") and 0 <= v <= MOST_LEVELS),
    "float": ("a finite public number", lambda v: _fits(v, "float")),
    "npt.ArrayLike": ("finite public numbers", lambda v: _finite(v)),
    "Sequence[float]": ("finite public numbers, at least one", lambda v: _finite(v) and np.ndim(v) == 1),
    "Sequence[str]": ("a list of names", lambda v: isinstance(v, list | tuple)
                      and all(isinstance(n, str) for n in v)),
}  # fmt: skip


def named(method: Fit) -> Fit:
    """A method of which planned overflows say whose they are."""

    @functools.wraps(method)
    def called(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _overflows_named(self):
            return method(self, *args, **kwargs)

    return called  # type: ignore[return-value]


@contextmanager
def _overflows_named(estimator: Any) -> Iterator[None]:
    name = type(estimator).__name__
    try:
        yield
    except OverflowPlanned as error:
        if str(error).startswith(f"{name}: "):
            raise
        far = [f"{n}={v:g}" for n, v in estimator.get_params(deep=False).items() if _number(v) and _far(abs(v))]
        hint = f". It may come from {', '.join(far)}" if far else ""
        raise OverflowPlanned(f"{name}: {error}{hint}") from None


def check_parameters(estimator: Any) -> None:
    """Raise UsageError for parameters that are not of the kind that the constructor states: finite numbers, 0 or
    of a size from 2^-200 to 2^60, whole numbers up to 2^16 (numbers of rows: 2^31), names, True or False. Others are
    left to the estimator."""
    wrong = []
    parameters = inspect.signature(type(estimator).__init__).parameters
    for name in estimator.parameter_names():
        value, kinds = getattr(estimator, name), str(parameters[name].annotation).split(" | ")
        most = _MORE.get(name, MOST)
        if _larger(value, kinds, most):
            wrong.append(f"{name} to be at most {most:,}, got {_shown(value)}")
            continue
        if not all(kind in _KINDS or _words(kind) for kind in kinds):
            continue
        if not any(_fits(value, kind) for kind in kinds):
            expected = " or ".join(_KINDS.get(kind) or " or ".join(map(repr, _words(kind))) for kind in kinds)
            wrong.append(f"{name} to be {expected}, got {_shown(value)}")
    if wrong:
        raise UsageError(f"{type(estimator).__name__}: expected {'; '.join(wrong)}")


def _larger(value: Any, kinds: Sequence[str], most: int) -> bool:
    """Whether a whole number is too large, or one in a sequence of them."""
    if "Sequence[int]" in kinds and _numbers(value, "iu"):
        return any(abs(int(v)) > most for v in value)
    return "int" in kinds and _fits(value, "int") and abs(int(value)) > most


def _far(size: float) -> bool:
    return size > _LARGE or 0 < size < _SMALL


def _number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _fits(value: Any, kind: str) -> bool:
    if kind == "None":
        return value is None
    if kind == "str":
        return isinstance(value, str)
    if kind == "bool":
        return isinstance(value, bool | np.bool_)
    if kind == "int":
        return isinstance(value, int | np.integer) and not isinstance(value, bool)
    if _words(kind):
        return isinstance(value, str) and value in _words(kind)
    if kind == "tuple[float, float]":
        return isinstance(value, tuple | list) and len(value) == 2 and all(_fits(v, "float") for v in value)
    if kind.startswith("Sequence"):
        return _numbers(value, "iu" if "int" in kind else "iuf")
    return _number(value) and math.isfinite(value) and (value == 0 or LEAST <= abs(value) < LARGEST)


def _words(kind: str) -> tuple[str, ...]:
    """The words of a Literal."""
    if not kind.startswith("Literal["):
        return ()
    return tuple(word.strip(" '\"") for word in kind[len("Literal[") : -1].split(","))


def _numbers(value: Any, kinds: str) -> bool:
    if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str):
        return False
    return all(isinstance(v, int | float | np.number) and np.asarray(v).dtype.kind in kinds for v in value)


def _shown(value: Any) -> str:
    """At most a line of it; what is secret shows its shape."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
