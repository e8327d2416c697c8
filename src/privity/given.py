"""Public arguments, checked by name: names of columns, numbers, True or False."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import UsageError


def names_of(what: str, names: Any) -> tuple[str, ...]:
    """Names of columns; one alone may be given as it is. Raises UsageError for what holds anything else."""
    if isinstance(names, str):
        return (names,)
    if not isinstance(names, list | tuple | np.ndarray) or not all(isinstance(n, str) for n in names):
        raise UsageError(f"{what}: expected names of columns, such as ['age', 'sex'], got {shown(names)}")
    return tuple(str(n) for n in names)


def name_of(what: str, name: Any) -> str:
    """One name. Raises UsageError for anything else."""
    if not isinstance(name, str) or not name:
        raise UsageError(f"{what}: expected a name, got {shown(name)}")
    return name


def whole_number(what: str, argument: str, value: Any, least: int, most: int) -> int:
    """A public whole number in a range. Raises UsageError, naming the argument."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not least <= value <= most:
        raise UsageError(
            f"{what}: expected {argument} to be a public whole number from {least:,} to {most:,}, got {shown(value)}"
        )
    return int(value)


def real_number(what: str, argument: str, value: Any) -> float:
    """A finite public number. Raises UsageError, naming the argument."""
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or abs(value) > _LARGEST or not math.isfinite(value):
        raise UsageError(f"{what}: expected {argument} to be a finite public number, got {shown(value)}")
    return float(value)


def true_or_false(what: str, argument: str, value: Any) -> bool:
    """Raises UsageError, naming the argument, for anything else."""
    if not isinstance(value, bool | np.bool_):
        raise UsageError(f"{what}: expected {argument} to be True or False, got {shown(value)}")
    return bool(value)


def shown(value: Any) -> str:
    """At most a line of it; what is secret shows its shape."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


_LISTED = 20  # names of columns in a message


def the_columns(names: Sequence[str]) -> str:
    """For messages: "the columns age, income", or "the column age"; of many the first twenty."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"the column{'s' if len(names) > 1 else ''} {', '.join(names[:_LISTED])}{more}"


def one_column(names: Sequence[str]) -> str:
    """For a guard that does not tell which of the columns it was: "one of the columns age, income"."""
    return ("one of " if len(names) > 1 else "") + the_columns(names)


_LARGEST = 2.0**1000
