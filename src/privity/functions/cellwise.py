"""Functions of cells, on columns with empty cells: where a cell holds nothing, so does the result."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from ..lines import named_as

Function = TypeVar("Function", bound=Callable[..., Any])


def cellwise(function: Function) -> Function:
    """A function whose result has the shape of its operands: columns with masks of their own keep them."""

    @functools.wraps(function)
    def applied(*args: Any, **options: Any) -> Any:
        column = nullable.NullableArray
        places: list[Any] = [i for i, a in enumerate(args) if isinstance(a, column)]
        names = [k for k, v in options.items() if isinstance(v, column)] if options else []
        if not places and not names:
            return function(*args, **options)

        def of_values(*values: Any) -> Any:
            given = dict(zip([*places, *names], values, strict=True))
            plain = [given.get(i, a) for i, a in enumerate(args)]
            return function(*plain, **{k: given.get(k, v) for k, v in options.items()})

        columns = [*(args[i] for i in places), *(options[k] for k in names)]
        return nullable.elementwise(function.__name__, of_values, *columns)

    made: Function = named_as(applied, function)
    return made


def empty_is_no_zero(divisor: str) -> Callable[[Function], Function]:
    """For a function that guards with ``at_most`` that its ``divisor`` keeps away from 0: cells of a column that hold
    nothing do not count there. Outside of ``cellwise``."""

    def of(function: Function) -> Function:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def applied(*args: Any, **options: Any) -> Any:
            if any(isinstance(a, nullable.NullableArray) for a in (*args, *options.values())):
                given = signature.bind(*args, **options)
                column = given.arguments.get(divisor)
                if isinstance(column, nullable.NullableArray) and given.arguments.get("at_most") is not None:
                    given.arguments[divisor] = column.as_divisor(column.bound)
                args, options = given.args, given.kwargs
            return function(*args, **options)

        made: Function = named_as(applied, function)
        return made

    return of


from . import nullable  # noqa: E402  (it builds on functions of cells)
