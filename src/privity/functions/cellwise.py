"""Functions of cells, on columns with empty cells: where a cell holds nothing, so does the result."""

from __future__ import annotations

import functools
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


from . import nullable  # noqa: E402  (it builds on functions of cells)
