"""Public numbers that are the same at all parties: compared before every opening, and made common where they are not.

Compute parties compare the running hashes of what secrets were combined with (mpc/public_numbers.py): 32 bytes to each
other, in the rounds of the guards' flag or in one round of their own. A difference ends the session and names the line
and the party. ``agree`` is the way for a program's own floating-point numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from .errors import NumbersDiffer, UsageError
from .lines import UserLines, user_line
from .mpc.public_numbers import PublicNumbers, first_difference, overall
from .net.wire import LineHash, LineHashes, Statement

if TYPE_CHECKING:
    from .context import Context

_Result = TypeVar("_Result")
_AT_ONCE: Final = 1 << 18  # bytes
_TOLERANCE: Final = {2: 2.0**-8, 4: 2.0**-18, 8: 2.0**-40}  # by bytes of a float: some hundred units in the last place


class _Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the first compute party says before its numbers follow."""

    kind: str
    shape: tuple[int, ...]


def compared(context: Context, act: Callable[[], _Result]) -> _Result:
    """What ``act`` gives, once the compute parties know that their public numbers are the same.

    Raises NumbersDiffer, after which the session has ended.
    """
    numbers = context.numbers
    if numbers is None or not numbers.met:
        return act()
    lines = numbers.lines()
    mine = overall(lines)
    others, result = context.protocol.compare(mine, act)
    if any(digest != mine for digest in others):
        context.end(NumbersDiffer(_difference(context, lines)))
    numbers.compared()
    return result


def _difference(context: Context, lines: list[tuple[str, bytes]]) -> str:
    """Where it begins: every compute party shows the others a hash of each line's numbers."""
    channel = context.channel
    if channel is None or not context.computes:
        return "public numbers differ between the parties"
    said = LineHashes(lines=tuple(LineHash(line=name[:256], value=digest) for name, digest in lines))
    others = [name for name in context.compute if name != context.me]
    for name in others:
        channel.tell(name, said)
    every = {context.me: said, **{name: channel.hear(name, LineHashes) for name in others}}
    where, odd = first_difference(
        {name: [(each.line, each.value) for each in every[name].lines] for name in context.compute}
    )
    rest = [name for name in context.compute if name not in odd]
    among = f"{', '.join(rest)} have all different ones"
    who = f"{' and '.join(odd)} has others than {' and '.join(rest)}" if odd else among
    return (
        f"public numbers that meet secrets differ between the parties, first at {where}: {who}. Nothing was opened. "
        "Floating point (exp, log, sums, matrix products) has other last digits on other processors and library "
        "versions: make such numbers common before secrets are combined with them, x = s.agree(x), or compute them in "
        "integers"
    )


def agree(context: Context, value: Any, tolerance: float | None = None) -> Any:
    """See ``Session.agree``."""
    context.going_on()
    own, kind = _own(value)
    _nothing_to_tell(context)
    slack = _tolerance(np.asarray(value), tolerance)
    first = context.compute[0]
    channel = context.channel
    if channel is None or len(context.parties) == 1:
        return value
    if context.me == first:
        for name in context.parties:
            if name != first:
                channel.tell(name, Statement(data=msgspec.msgpack.encode(_Shape(kind, own.shape))))
                for part in _parts(own):
                    channel.tell(name, Statement(data=part))
        theirs = own
    else:
        said = channel.hear(first, Statement).data
        _same_shape(context, said, kind, own)
        parts = [channel.hear(first, Statement).data for _ in _parts(own)]
        theirs = _numbers(context, parts, own)
        _close(context, theirs, own, slack)
    given = np.asarray(value)
    common = theirs.astype(given.dtype).reshape(given.shape)
    return type(value)(common.item()) if type(value) in (bool, int, float) else common if given.shape else common[()]


def _own(value: Any) -> tuple[npt.NDArray[Any], str]:
    """The value as little-endian 64-bit numbers, and "i", "u" or "f"."""
    given = np.asarray(value)
    kind = {"b": "i", "i": "i", "u": "u", "f": "f"}.get(given.dtype.kind)
    if kind is None or given.dtype.itemsize > 8:
        raise UsageError(
            f"{user_line()}: agree takes public numbers or arrays of them, got {type(value).__name__} of "
            f"dtype {given.dtype}"
        )
    if kind == "f" and not np.isfinite(given).all():
        raise UsageError(f"{user_line()}: agree takes finite numbers, got NaN or infinity")
    return np.ascontiguousarray(given.astype(f"<{kind}8")), kind


def _tolerance(own: npt.NDArray[Any], given: float | None) -> float:
    if given is None:
        return _TOLERANCE[own.dtype.itemsize] if own.dtype.kind == "f" else 0.0
    if not 0 <= given < 1:
        raise UsageError(f"{user_line()}: agree: expected a tolerance from 0 to 1, got {given!r}")
    return float(given)


def _nothing_to_tell(context: Context) -> None:
    """Raise UsageError if the first compute party knows an opened value that others do not: numbers it sends could
    carry it to them, in digits that no tolerance rules out."""
    first = context.compute[0]
    for entry in context.log.entries:
        to = entry["to"]
        if first in to and set(context.parties) - set(to):
            raise UsageError(
                f"{user_line()}: agree sends the numbers of {first} to all, and {entry['name']!r} was opened to "
                f"{first} but not to all: make numbers common before that, or open it to everybody or to others"
            )


def _same_shape(context: Context, said: bytes, kind: str, own: npt.NDArray[Any]) -> None:
    first = context.compute[0]
    try:
        theirs = msgspec.msgpack.decode(said, type=_Shape)
    except (ValueError, RecursionError):
        theirs = None
    if theirs is None or (theirs.kind, theirs.shape) != (kind, own.shape):
        came = "something else" if theirs is None else f"{theirs.kind!r} of shape {theirs.shape}"
        context.end(
            NumbersDiffer(
                f"{user_line()}: agree: {context.me} has numbers of kind {kind!r} and shape {own.shape}, {first} sent "
                f"{came}; the parties' programs or libraries differ in more than last digits",
                _told(first),
            )
        )


def _parts(own: npt.NDArray[Any]) -> list[bytes]:
    """The bytes of an array, in messages that a control frame takes."""
    data = own.tobytes()
    return [data[at : at + _AT_ONCE] for at in range(0, len(data), _AT_ONCE)]


def _numbers(context: Context, parts: list[bytes], own: npt.NDArray[Any]) -> npt.NDArray[Any]:
    data = b"".join(parts)
    if len(data) != own.nbytes:
        context.end(
            NumbersDiffer(f"agree: expected {own.nbytes} bytes from {context.compute[0]}, came {len(data)}")
        )
    return np.frombuffer(data, own.dtype).reshape(own.shape)


def _close(context: Context, theirs: npt.NDArray[Any], own: npt.NDArray[Any], slack: float) -> None:
    first = context.compute[0]
    finite = bool(np.isfinite(theirs).all()) if own.dtype.kind == "f" else True
    far = np.abs(theirs - own) > slack * np.maximum(1.0, np.abs(own)) if finite and slack else theirs != own
    if not finite or far.any():
        where = [int(i) for i in np.argwhere(far)[0]] if finite else []
        context.end(
            NumbersDiffer(
                f"{user_line()}: agree: {context.me} computed other numbers than {first}"
                + (f" ({int(far.sum())} of {own.size}, first at index {where})" if finite else " (not finite)")
                + f", further apart than the tolerance {slack:.3g} times max(1, |x|); find out why before you state a "
                "larger one",
                _told(first),
            )
        )


def _told(first: str) -> str:
    return f"{user_line()}: agree: it has other numbers than {first}"


def watch(context: Context) -> PublicNumbers | None:
    """Where the session notes public numbers; parties without shares and plans do so to count rounds and bytes."""
    if len(context.compute) < 2:
        return None
    protocol, places = context.protocol, UserLines()
    protocol.numbers = PublicNumbers(places.here)
    if protocol.party is not None:
        numbers = protocol.numbers
        protocol.party.place = lambda: " or ".join(dict.fromkeys(f"{f}:{n}" for f, n in (numbers.last, places.here())))
    return protocol.numbers
