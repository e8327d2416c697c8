"""Openings: the list of what may be opened, the gates that give leave for it, the log of what was, and its absence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from .errors import NotForMe, OpeningRefused, UsageError
from .mpc.permits import Kind, Permit
from .mpc.shares import Share
from .types import Opening

RANGE_GUARD: Final = "range guard"
"""How the log names the outcome of guards. Reserved: no value is opened under this name."""

RANGE_GUARDS: Final = 64
"""Range flags that a job may open unless it says otherwise. A failed one ends the session, so which of them failed, if
any, is all they can tell: log2(guards + 1) bits, 6 for 64."""

MINIMUM_GROUP: Final = 10
"""Fewest rows that an opened aggregate may rest on, unless the job or an owner says otherwise; see disclosure.py."""


class Withheld:
    """Stands for a revealed value at a party it was not opened to. Any use raises NotForMe."""

    __slots__ = ("_name", "_to")

    def __init__(self, name: str, to: Sequence[str]) -> None:
        self._name, self._to = name, tuple(to)

    @property
    def receivers(self) -> tuple[str, ...]:
        """The parties to which the value was opened."""
        return self._to

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise NotForMe(
            f"{self._name!r} was opened to {', '.join(self._to)} only, not to this party; "
            "return it from the program as it is, or use it only where isinstance(value, privity.Withheld) is false"
        )

    __array__ = __float__ = __int__ = __complex__ = __bool__ = __index__ = __iter__ = __len__ = __getitem__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __matmul__ = __rmatmul__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = _refuse
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = _refuse
    __neg__ = __pos__ = __abs__ = __invert__ = __round__ = __contains__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __eq__ = __ne__ = _refuse  # else a comparison would silently differ between parties
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<withheld: {self._name} was opened to {', '.join(self._to)}>"

    def __format__(self, spec: str) -> str:
        return repr(self)  # f"{loss:.4f}" in a progress note is text like repr and str, not a use of the value


class OpeningsList:
    """The default gate: permits exactly the listed openings, each at most ``count`` times.

    ``guards``: how many range flags may be opened in all ("did every value stay within its bound?").
    """

    def __init__(self, openings: Sequence[Opening], guards: int = RANGE_GUARDS) -> None:
        if any(o.name == RANGE_GUARD for o in openings):
            raise UsageError(f"the name {RANGE_GUARD!r} is that of the session's own flags; list openings under others")
        self._left = {o.name: o.count for o in openings}
        self._guards_left = guards
        self._openings = {o.name: o for o in openings}

    def permit(self, value: Share, name: str, to: tuple[str, ...], reason: str) -> Permit:
        """Leave to open ``value`` under a listed name. Raises OpeningRefused."""
        shape = value.shape
        listed = self._openings.get(name)
        if listed is None:
            names = ", ".join(sorted(self._openings)) or "nothing"
            raise OpeningRefused(
                f"the opening {name!r} is not on this party's list (listed: {names}); nothing was sent"
            )
        if tuple(listed.shape) != tuple(shape):
            raise OpeningRefused(
                f"the opening {name!r} is listed with shape {listed.shape}, asked for {shape}; if all agree to open "
                f"that, its entry in the list says shape = {list(shape)}"
            )
        if set(to) - set(listed.to):
            extra = ", ".join(sorted(set(to) - set(listed.to)))
            raise OpeningRefused(f"the opening {name!r} may not go to {extra}; it is listed for {', '.join(listed.to)}")
        if self._left[name] <= 0:
            raise OpeningRefused(f"the opening {name!r} was already made {listed.count} time(s), as often as listed")
        self._left[name] -= 1
        return Permit(Kind.LISTED, [value], to)

    def guard(self, flag: Share, to: tuple[str, ...]) -> Permit:
        """Leave to open the one flag that a session made of its guards. OpeningRefused if there were too many."""
        if self._guards_left <= 0:
            raise OpeningRefused("no more range flags may be opened in this job; raise guards in the job file")
        self._guards_left -= 1
        return _guard_permit(flag, to)

    def receivers(self) -> list[str]:
        """To whom something may still be opened."""
        return list(dict.fromkeys(r for name, o in self._openings.items() if self._left[name] > 0 for r in o.to))


class EverythingAllowed:
    """A gate that permits all openings: for simulations, where one process holds all the data anyway."""

    def permit(self, value: Share, name: str, to: tuple[str, ...], reason: str) -> Permit:
        """Never refuses."""
        return Permit(Kind.LISTED, [value], to)

    def guard(self, flag: Share, to: tuple[str, ...]) -> Permit:
        """Never refuses a flag."""
        return _guard_permit(flag, to)

    def receivers(self) -> None:
        """To everybody."""


def _guard_permit(flag: Share, to: tuple[str, ...]) -> Permit:
    if flag.shape:
        raise OpeningRefused(f"a range guard is one flag, got an array of shape {flag.shape}; nothing was sent")
    return Permit(Kind.GUARD, [flag], to)


class OpeningsLog:
    """A ledger in memory: one entry per opening, in order, and the values that this party got.

    What is on its way counts as opened: an entry is made before anything is sent, its value when it has come.
    """

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self._values: dict[int, Any] = {}

    def opened(self, name: str, shape: tuple[int, ...], to: tuple[str, ...], reason: str) -> None:
        self.entries.append({"name": name, "shape": list(shape), "to": list(to), "reason": reason})

    def came(self, value: Any) -> None:
        """The value of the last entry, at a party that it was opened to. Kept for the case that the run fails."""
        self._values[len(self.entries) - 1] = value

    def with_values(self) -> list[dict[str, Any]]:
        """The entries, those whose value came here with it."""
        return [e | ({"value": self._values[i]} if i in self._values else {}) for i, e in enumerate(self.entries)]
