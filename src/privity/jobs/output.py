"""What a program returns: made plain for the report, and refused where it holds shares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

import numpy as np

from ..array import SecureArray
from ..errors import UsageError
from ..mpc.shares import Bits, Share
from ..openings import Withheld
from ..session import Session

_WORKINGS: Final = tuple(f"privity.{name}." for name in ("mpc", "net", "ring", "psi", "context"))
_DEPTH: Final = 32


def to_plain(value: Any) -> Any:
    """A program's return value as JSON-able data."""
    if isinstance(value, Withheld):
        return {"withheld_from_this_party": list(value.receivers)}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(v) for v in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return repr(value)


def refuse_shares(output: Any) -> None:
    """Raises UsageError if a return value holds shares, or what gives them. Secret arrays pass: reports only name them.

    A program that was reviewed has no raw shares; this is for the one that found a way.
    """
    _look(output, "the return value", set(), _DEPTH)


def _look(value: Any, where: str, seen: set[int], depth: int) -> None:
    if value is None or isinstance(value, str | bytes | int | float | np.generic | Withheld | SecureArray):
        return
    if id(value) in seen or depth == 0:
        return
    seen.add(id(value))
    kind = type(value)
    if isinstance(value, Share | Bits | Session) or f"{kind.__module__}.".startswith(_WORKINGS):
        raise UsageError(
            f"{where} of program() is or holds a {kind.__name__}, which is no result: shares and what computes on them "
            "stay inside the run. Return what session.reveal() gave; if the job is about shares themselves, it "
            "says `internals = true`"
        )
    for name, part in _parts(value):
        _look(part, f"{where}{name}", seen, depth - 1)


def _parts(value: Any) -> Iterable[tuple[str, Any]]:
    """What a value holds, each with its place."""
    if isinstance(value, Mapping):
        return [pair for k, v in value.items() for pair in ((f"[{k!r:.40}]", v), (" (a key)", k))]
    if isinstance(value, list | tuple | set | frozenset):
        return [(f"[{i}]", part) for i, part in enumerate(value)]
    if isinstance(value, np.ndarray):
        return [(".flat", part) for part in value.flat] if value.dtype == object else []
    if is_dataclass(value) and not isinstance(value, type):
        return [(f".{f.name}", getattr(value, f.name, None)) for f in fields(value) if not _is_ours(value)]
    return []


def _is_ours(value: Any) -> bool:
    """Objects of Privity's public names hold secret arrays, and show none of them."""
    return type(value).__module__.partition(".")[0] == "privity"
