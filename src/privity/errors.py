"""Every exception that Privity raises on purpose.

    PrivityError
    |-- UsageError                 the caller's program or command is wrong
    |   |-- SecretUseError         a secret was used where Python wants a plain value
    |   |-- NotForMe               a result was used at a party it was not opened to
    |   |-- UnknownName            an attribute that there is not, with what to write instead
    |   |-- ShapeError             shapes do not fit
    |   `-- OverflowPlanned        a value would provably leave 62 bits; raised before data is touched
    |-- DataError                  an owner's data does not fit the schema
    |-- ConfigError                a consortium or job file is wrong, missing or unreadable
    |-- RangeViolated              a guard found a value outside its stated bound at run time
    |-- OpeningRefused             reveal() asked for something the openings list does not name
    |-- OutputError                a result could not be written
    `-- NetworkError               something between the parties
        |-- HandshakeError         identity, version, program or job differ; nothing was computed
        |-- PeerTimeout            a peer did not come, or went silent, before the deadline
        |-- PeerLost               a connection dropped or a process died
        |-- PeerAborted            a peer stopped the session and said why
        |-- NumbersDiffer          public numbers that meet secrets are not the same at all parties
        `-- WireError              a frame was malformed, out of order, truncated, oversized or not authentic

Messages say what was expected, what came, where, from which party and what to do next. They never contain a
secret value: an owner's own DataError may quote the owner's own cell to the owner, but is never sent to a peer
(peers get ``public_reason``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class PrivityError(Exception):
    """Base of all errors raised on purpose. ``public_reason`` is what peers may be told.

    ``opened``: of a simulation, what had been opened before the error: name, shape, to, reason and value of each.
    """

    exit_code = 1
    opened: Sequence[Mapping[str, Any]] = ()

    @property
    def public_reason(self) -> str:
        """A sentence that may leave this party: the kind of the error, never its text."""
        return type(self).__name__


class UsageError(PrivityError):
    """The caller's program or command is wrong."""

    exit_code = 2


class SecretUseError(UsageError, TypeError):
    """A secret was used where Python wants a plain value (``if``, ``float()``, ``np.asarray()`` ...)."""


class NotForMe(UsageError):
    """A result was used at a party to which it was not opened."""


class UnknownName(UsageError, AttributeError):
    """An attribute that there is not; says what to write instead, or which name is near."""


class ShapeError(UsageError, ValueError):
    """Shapes do not fit; names both shapes."""


class OverflowPlanned(UsageError, OverflowError):
    """By the public bounds a value would leave the 62-bit range; names the line of the user's program."""


class DataError(PrivityError, ValueError):
    """An owner's data does not fit the schema; names file, row and column."""


class ConfigError(UsageError):
    """A consortium or job file is wrong, missing or unreadable."""


class RangeViolated(PrivityError, OverflowError):
    """A guard found a value outside the bound that the program stated."""

    @property
    def public_reason(self) -> str:
        # the guard's outcome is opened to everybody; the bound may be what was opened to some
        return "RangeViolated: what a guard asked does not hold"


class OpeningRefused(PrivityError, PermissionError):
    """reveal() asked for something that this party's openings list does not name.

    Peers hear no more than that: a name that is not listed may be made of what was opened to this party.
    """


class OutputError(PrivityError, OSError):
    """A result could not be written; nothing half-written is left behind."""


class NetworkError(PrivityError):
    """Something between the parties went wrong."""

    exit_code = 3

    @property
    def public_reason(self) -> str:
        return str(self)  # network errors name parties and sizes, never values


class HandshakeError(NetworkError):
    """Identity, version, program or job file differ between two parties; nothing was computed."""


class PeerTimeout(NetworkError, TimeoutError):
    """A peer did not come, or went silent, before the deadline."""


class PeerLost(NetworkError, ConnectionError):
    """A connection dropped without a goodbye, or a process died."""


class PeerAborted(NetworkError):
    """A peer ended the session and said why."""


class NumbersDiffer(NetworkError):
    """Public numbers that meet secrets are not the same at all parties; names the line of the program and the party.

    ``told``: what peers hear instead, where the text has shapes or places that may be made of an opened value.
    """

    def __init__(self, text: str, told: str = "") -> None:
        super().__init__(text)
        self._told = told

    @property
    def public_reason(self) -> str:
        return self._told or str(self)


class WireError(NetworkError):
    """A frame was malformed, out of order, truncated, oversized or not authentic."""
