"""Words that every layer shares: party names, costs and the small interfaces between layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from typing import Protocol as Interface

import numpy as np
import numpy.typing as npt

Ring = npt.NDArray[np.uint64]
"""An array over Z_2^64: ``uint64`` with wrap-around."""

Bytes1D = npt.NDArray[np.uint8]

RING_BITS = 64
RANGE_BITS = 62
"""Every value must satisfy |x| < 2^62 as a ring integer: truncation and comparison are exact only there."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Rounds of an operation and the bytes that each compute party sends (frame headers and tags not included)."""

    rounds: int
    sent: tuple[int, ...]

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.rounds + other.rounds, tuple(a + b for a, b in zip(self.sent, other.sent, strict=True)))


class Channel(Interface):
    """What protocol code needs of a network: ordered, authenticated byte messages between named parties.

    Implementations: ``net.memory`` (threads), ``net.tls`` (mutual TLS sockets), ``net.link`` (adds latency to either).
    """

    @property
    def me(self) -> str: ...

    @property
    def peers(self) -> Sequence[str]:
        """Names of all parties this one is connected to."""
        ...

    def send(self, to: str, step: int, data: npt.NDArray[Any] | bytes | memoryview) -> None:
        """Queue one message. Never waits for the peer to read. ``data`` may be reused when the call returns."""
        ...

    def receive(self, source: str, step: int, into: npt.NDArray[Any]) -> None:
        """Fill ``into`` with the next message from ``source``; it must have this step and exactly this many bytes.

        Raises WireError (other step or length), PeerTimeout, PeerLost, PeerAborted.
        """
        ...

    def tell(self, to: str, message: Any) -> None:
        """Send one typed control message (a struct of ``net.wire``)."""
        ...

    def hear(self, source: str, kind: type[Any]) -> Any:
        """Next control message from ``source``; must be of type ``kind``."""
        ...

    def pair_secret(self, peer: str) -> bytes:
        """32 bytes that only this party and ``peer`` know, fresh for this session; both must contribute."""
        ...

    @property
    def bytes_sent(self) -> int:
        """Bytes put on the wire so far, headers and tags included."""
        ...

    def close(self) -> None:
        """Authenticated goodbye to all peers, then close."""
        ...

    def abort(self, reason: str) -> None:
        """Tell all peers why this party stops (``public_reason``), then close. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Opening:
    """One line of the openings list: what may be revealed, in which shape, to whom and how often."""

    name: str
    shape: tuple[int, ...]
    to: tuple[str, ...]
    count: int = 1


class Recorder(Interface):
    """Receives a copy of everything a party receives (its view), for the report and for view tests."""

    def received(self, source: str, step: int, label: str, data: memoryview) -> None: ...


class Progress(Interface):
    """Told how far a program has come; ``total`` 0: a stage begins and ``note`` is its name."""

    def update(self, step: int, total: int, note: str, rounds: int, bytes_sent: int) -> None: ...
