"""The ``Channel`` of a real session: one sealed connection to each peer."""

from __future__ import annotations

import select
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy.typing as npt

from ..errors import NetworkError, UsageError, WireError
from .heart import Heart
from .sealed import SealedConnection
from .wire import BYE, DATA, bytes_of, decode, encode, kind_of, target_of

ABORT_S: Final = 2.0
"""Seconds that ``abort`` may take at most to tell the peers."""


class Watch:
    """Waits for one peer while listening to all: an ABORT or a lost connection of any peer wakes the waiter.

    Meant for parties that do not compute. They receive little and wait long, so one more system call per wait is
    nothing; and unlike compute parties they do not learn from the ring of messages that somebody else has failed.
    """

    def __init__(self, connections: Sequence[SealedConnection], idle_s: float) -> None:
        self._idle_s = idle_s
        self._by_descriptor = {c.fileno(): c for c in connections}
        self._poll = select.poll()
        self._paused: list[int] = []
        for descriptor in self._by_descriptor:
            self._poll.register(descriptor, select.POLLIN)

    def wait(self, source: SealedConnection) -> None:
        """Return when ``source`` can be read. Raises PeerAborted, PeerLost, WireError of any peer, or PeerTimeout.

        What others send, their signs of life too, says nothing of ``source`` and moves no deadline: else two that wait
        for a dead party would keep each other waiting.
        """
        for descriptor in self._paused:
            if not self._by_descriptor[descriptor].departed:
                self._poll.register(descriptor, select.POLLIN)
        self._paused.clear()
        deadline = time.monotonic() + self._idle_s
        while True:
            events = self._poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
            if not events:
                raise source.timeout()
            ready = [self._by_descriptor[descriptor] for descriptor, _ in events]
            if source in ready:
                return  # what has come comes before what others say: an abort must not hide an opening that is here
            for connection in ready:
                if not connection.pump():
                    self._poll.unregister(connection)
                    self._paused.append(connection.fileno())


class SealedChannel:
    """Implements ``types.Channel`` over sealed connections. Used by one thread; ``abort`` may come from any."""

    def __init__(
        self,
        me: str,
        connections: Mapping[str, SealedConnection],
        pair_secrets: Mapping[str, bytes],
        *,
        idle_s: float,
        watch_all: bool,
    ) -> None:
        """``watch_all`` is for parties that do not compute, see ``Watch``."""
        self._me = me
        self._connections = dict(connections)
        self._pair_secrets = dict(pair_secrets)
        self._ended = False
        if watch_all:
            watch = Watch(list(self._connections.values()), idle_s)
            for connection in self._connections.values():
                connection.wait = watch.wait
        self._idle_s = idle_s
        self._heart = Heart(list(self._connections.values()), idle_s)
        self._heart.start()

    @property
    def me(self) -> str:
        """This party's name."""
        return self._me

    @property
    def peers(self) -> Sequence[str]:
        """Names of all parties this one is connected to."""
        return tuple(self._connections)

    @property
    def bytes_sent(self) -> int:
        """Bytes put on the wire so far, headers and tags included; the handshake and signs of life are not."""
        return sum(c.bytes_sent for c in self._connections.values())

    def send(self, to: str, step: int, data: npt.NDArray[Any] | bytes | memoryview) -> None:
        """Send one message without waiting for the peer to read it. Raises PeerLost, PeerAborted, UsageError."""
        self._to(to).send(DATA, step, bytes_of(data))

    def receive(self, source: str, step: int, into: npt.NDArray[Any]) -> None:
        """Fill ``into`` with the next message of ``source``; see ``types.Channel.receive``."""
        self._to(source).receive(step, target_of(into))

    def tell(self, to: str, message: Any) -> None:
        """Send one control message of ``net.wire``."""
        self._to(to).send(kind_of(message), 0, encode(message))

    def hear(self, source: str, kind: type[Any]) -> Any:
        """Next control message of ``source``. Raises WireError unless it is a ``kind``."""
        message = decode(self._to(source).hear(kind.__name__), source)
        if not isinstance(message, kind):
            raise WireError(f"from {source}: expected {kind.__name__}, came {type(message).__name__}")
        return message

    def pair_secret(self, peer: str) -> bytes:
        """32 bytes from the handshake's key agreement that only this party and ``peer`` know."""
        self._to(peer)
        return self._pair_secrets[peer]

    def close(self) -> None:
        """Say goodbye to all peers, wait for theirs, then close.

        The connections are closed in any case. Raises PeerTimeout, PeerLost or PeerAborted if a peer did not say
        goodbye: what it sent last may then be missing.
        """
        if self._ended:
            return
        self._ended = True
        self._heart.stop()
        try:
            for connection in self._connections.values():
                connection.send(BYE, 0, b"")
            for connection in self._connections.values():
                connection.flush(time.monotonic() + self._idle_s)
                connection.await_goodbye()
        except NetworkError as error:
            self._abandon(error.public_reason)
            raise
        finally:
            for connection in self._connections.values():
                connection.close()

    def abort(self, reason: str) -> None:
        """Tell all peers why this party stops, within ``ABORT_S`` seconds, then close. Never raises."""
        if self._ended:
            return
        self._ended = True
        self._heart.stop()
        self._abandon(reason)

    def _abandon(self, reason: str) -> None:
        deadline = time.monotonic() + ABORT_S
        for connection in self._connections.values():
            connection.start_abort(reason)
        for connection in self._connections.values():
            connection.end_abort(deadline)

    def _to(self, peer: str) -> SealedConnection:
        try:
            return self._connections[peer]
        except KeyError:
            peers = ", ".join(self._connections)
            raise UsageError(f"{self._me} has no channel to {peer!r}; its peers are {peers}") from None
