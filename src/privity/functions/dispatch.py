"""NumPy's protocol: ``np.exp(x)``, ``np.concatenate([x, y])``, ``public * x`` ... reach the functions of this package.

The table from NumPy's names to functions is in ``names.py``. What it does not have is refused with the alternative
(``refused.py``); docs/numpy.md lists both. Implicit conversion is refused elsewhere: ``np.asarray(x)`` or
``float(x)`` opens a secret.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np

from ..array import SecureArray, context_of
from ..errors import SecretUseError, UsageError
from .names import ALIASES, Entry, entries
from .products import outer_of
from .refused import REFUSED

_LAST = "To open a value that the openings list names: s.reveal(x, to=..., name=..., reason=...)"


@lru_cache(maxsize=1)
def table() -> Mapping[str, Entry]:
    """NumPy's name -> what it does on secret arrays; names of submodules as 'linalg.norm'."""
    return MappingProxyType(entries())


def aliases() -> Mapping[str, str]:
    """Names that mean the same as another one on secret arrays."""
    return MappingProxyType(ALIASES)


_REDUCE = {
    "add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min", "logical_and": "all", "logical_or": "any",
}  # fmt: skip


def ufunc(function: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What ``SecureArray.__array_ufunc__`` does."""
    name = function.__name__
    if method == "__call__" and not kwargs and name in table():
        return table()[name].call(*inputs)
    given = {k: v for k, v in kwargs.items() if v is not None}
    if "out" in given:
        raise UsageError(f"np.{name}: secret arrays cannot be written into an array; write y = np.{name}(...)")
    if method == "__call__":
        if given:
            raise UsageError(f"np.{name}: {', '.join(given)}= cannot be given with secret arrays; leave it out")
        return call(name, inputs, {})
    if method == "reduce" and name in _REDUCE:
        return call(_REDUCE[name], inputs, {"axis": 0, **kwargs})
    if method == "accumulate" and name == "add":
        return call("cumsum", inputs, {"axis": 0, **kwargs})
    if method == "outer" and name in table():
        return outer_of(table()[name].call)(*inputs)
    raise UsageError(f"np.{name}.{method} is not defined for secret arrays; use np.{name} on slices")


def function(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What ``SecureArray.__array_function__`` does."""
    name = name_of(func)
    entry = table().get(name)
    if entry is not None and len(args) > 1:
        placed, named = _by_name(func, entry.call, args, kwargs)
        return call(name, placed, named)
    return call(name, args, kwargs)


def _by_name(
    func: Callable[..., Any], ours: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """Arguments by place that stand elsewhere in our function than in NumPy's, by NumPy's names: what it calls dtype
    must not be read as a shape."""
    theirs, accepted = _places(func), _places(ours)
    for i, name in enumerate(accepted[: len(args)]):
        if i < len(theirs) and name != theirs[i] and name in theirs and len(args) <= len(theirs):
            return args[:i], {**dict(zip(theirs[i:], args[i:], strict=False)), **kwargs}
    extra = args[len(accepted) :] if len(args) <= len(theirs) else ()
    if extra and accepted:
        return args[: len(accepted)], {**dict(zip(theirs[len(accepted) :], extra, strict=False)), **kwargs}
    return args, kwargs


@lru_cache(maxsize=512)
def _places(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the arguments that a function takes by place; none where nobody knows or their number is free."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return ()
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return ()
    return tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))


def name_of(func: Callable[..., Any]) -> str:
    """'sum' for np.sum, 'linalg.norm' for np.linalg.norm."""
    module = (func.__module__ or "").removeprefix("numpy").removeprefix(".")
    part = module.partition(".")[0]
    return f"{part}.{func.__name__}" if part in ("linalg", "fft") else func.__name__


def call(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """NumPy's function ``name`` on secret arrays. Raises SecretUseError with the alternative if there is none."""
    entry = table().get(name)
    if entry is None:
        raise SecretUseError(f"np.{name} is not defined for secret arrays: {alternative(name)}. {_LAST}")
    signature = _signature(entry.call)
    accepted = signature.parameters
    anything = any(p.kind is p.VAR_KEYWORD for p in accepted.values())
    given = {k: v for k, v in kwargs.items() if anything or k in accepted or not (v is None or v is np._NoValue)}
    try:
        signature.bind(*args, **given)
    except TypeError as error:
        raise UsageError(f"np.{name} on secret arrays takes ({', '.join(accepted)}): {error}") from None
    public = [k for k in _PUBLIC if isinstance(signature.bind(*args, **given).arguments.get(k), SecureArray)]
    if public:
        raise UsageError(
            f"np.{name}: {public[0]}= must be public, got a secret array; several arrays go in a list: "
            f"np.{name}([x, y])"
        )
    context_of(*_flat([*args, *given.values()]))
    return entry.call(*args, **given)


def _flat(values: Any) -> list[Any]:
    return [leaf for v in values for leaf in (_flat(v) if isinstance(v, list | tuple) else [v])]


_PUBLIC = ("axis", "keepdims", "ddof", "rowvar", "bias", "shape")

_signature = lru_cache(maxsize=512)(inspect.signature)


def alternative(name: str) -> str:
    """What to do instead of NumPy's ``name``."""
    return REFUSED.get(name, f"see docs/numpy.md for what is, and privity.{name} or a method of the array")
