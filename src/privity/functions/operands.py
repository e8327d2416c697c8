"""Functions of secrets that are asked with public numbers alone: refused by name, with the way out."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from ..array import SecureArray
from ..errors import PrivityError, UsageError
from ..lines import named_as
from .nullable import NullableArray
from .tables import Permutation

Function = TypeVar("Function", bound=Callable[..., Any])


def asked(function: Function) -> Function:
    """``function``; where it fails for want of a secret array, a message that says so. Costs nothing else."""
    name = function.__name__.rstrip("_")

    @functools.wraps(function)
    def called(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except PrivityError:
            raise
        except (AttributeError, TypeError, ValueError):
            given = [*args, *options.values()]
            if not given or any(_secret(v) for v in given):
                raise
            plain = f"np.{name}(x)" if hasattr(np, name) else "NumPy"
            raise UsageError(
                f"{name}: expected at least one secret array, got {', '.join(type(v).__name__ for v in given)}; for "
                f"public arrays take {plain}, session.constant(values) makes a secret of them"
            ) from None

    made: Function = named_as(called, function)
    return made


def _secret(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_secret(v) for v in value)
    return isinstance(value, SecureArray | NullableArray | Permutation)
