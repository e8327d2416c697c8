"""A channel that behaves like a slower network: adds latency and caps bandwidth. Stands in for a WAN in benchmarks.

It wraps any channel (threads or sockets). Each message leaves when the emulated line to its receiver has carried all
that was sent before it, and arrives a latency later. Messages overlap as on a real line: two sent at once
arrive at once.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy.typing as npt

from ..errors import PrivityError, UsageError
from ..types import Channel
from .wire import bytes_of, encode, wire_bytes


class Line:
    """When messages arrive: the arithmetic of one party's outgoing lines, one line per receiver, without a clock."""

    def __init__(self, latency_s: float, bandwidth_bytes_per_s: float | None) -> None:
        """One-way latency in seconds; bandwidth in bytes per second, None for no cap. Raises UsageError if negative."""
        if not latency_s >= 0 or (bandwidth_bytes_per_s is not None and not bandwidth_bytes_per_s > 0):
            raise UsageError(
                f"expected a latency >= 0 s and a bandwidth > 0 bytes/s, came {latency_s} and {bandwidth_bytes_per_s}"
            )
        self._latency_s = latency_s
        self._bandwidth = bandwidth_bytes_per_s
        self._busy_until: dict[str, float] = {}

    def due(self, to: str, size: int, now: float) -> float:
        """The time at which ``size`` bytes handed over at ``now`` have arrived at ``to``."""
        start = max(now, self._busy_until.get(to, now))
        end = start if self._bandwidth is None else start + size / self._bandwidth
        self._busy_until[to] = end
        return end + self._latency_s


class EmulatedLink:
    """Implements ``types.Channel`` around another channel; every party wraps its own."""

    def __init__(self, channel: Channel, latency_s: float, bandwidth_bytes_per_s: float | None = None) -> None:
        """``latency_s`` is one way, so that a request and its answer take twice as long."""
        self._channel = channel
        self._holds: Callable[[int], None] = getattr(channel, "holds", _nothing)
        self._line = Line(latency_s, bandwidth_bytes_per_s)
        self._bytes_sent = 0
        self._count = 0
        self._pending: list[tuple[float, int, Callable[[], None]]] = []
        self._changed = threading.Condition()
        self._failure: PrivityError | None = None
        self._ended = False
        self._in_flight = False
        self._postman = threading.Thread(target=self._deliver, name=f"link-{channel.me}", daemon=True)
        self._postman.start()

    @property
    def me(self) -> str:
        """This party's name."""
        return self._channel.me

    @property
    def peers(self) -> Sequence[str]:
        """Names of all parties this one is connected to."""
        return self._channel.peers

    @property
    def bytes_sent(self) -> int:
        """Bytes handed to the emulated line so far, headers and tags included; some may still be on their way."""
        return self._bytes_sent

    def send(self, to: str, step: int, data: npt.NDArray[Any] | bytes | memoryview) -> None:
        """Put a copy of ``data`` on the line to ``to``."""
        copy = bytes(bytes_of(data))
        self._post(to, len(copy), lambda: self._channel.send(to, step, copy))

    def tell(self, to: str, message: Any) -> None:
        """Put one control message on the line to ``to``."""
        self._post(to, len(encode(message)), lambda: self._channel.tell(to, message))

    def receive(self, source: str, step: int, into: npt.NDArray[Any]) -> None:
        """Fill ``into`` with the next message of ``source``, which its own link delays."""
        self._check()
        self._channel.receive(source, step, into)

    def hear(self, source: str, kind: type[Any]) -> Any:
        """Next control message of ``source``; must be a ``kind``."""
        self._check()
        return self._channel.hear(source, kind)

    def pair_secret(self, peer: str) -> bytes:
        """The wrapped channel's secret with ``peer``."""
        return self._channel.pair_secret(peer)

    def close(self) -> None:
        """Let everything arrive, then close the wrapped channel."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure is not None or not (self._pending or self._in_flight))
        self._end()
        self._check()
        self._channel.close()

    def abort(self, reason: str) -> None:
        """Abort at once: what is on the line is lost. Never raises."""
        self._end()
        self._channel.abort(reason)

    def _post(self, to: str, size: int, deliver: Callable[[], None]) -> None:
        self._check()
        if to not in self._channel.peers:
            raise UsageError(f"{self.me} has no channel to {to!r}; its peers are {', '.join(self._channel.peers)}")
        with self._changed:
            if self._ended:
                raise UsageError(f"the channel of {self.me} is closed; nothing can be sent to {to}")
            on_wire = wire_bytes(size)
            self._bytes_sent += on_wire
            due = self._line.due(to, on_wire, time.monotonic())
            self._holds(1)
            heapq.heappush(self._pending, (due, self._count, deliver))
            self._count += 1
            self._changed.notify_all()

    def _deliver(self) -> None:
        """The one thread that hands due messages to the wrapped channel, in the order in which they are due."""
        while True:
            with self._changed:
                if self._in_flight:
                    self._holds(-1)
                self._in_flight = False
                self._changed.notify_all()
                while not self._ended and (not self._pending or self._pending[0][0] > time.monotonic()):
                    self._changed.wait(self._pending[0][0] - time.monotonic() if self._pending else None)
                if self._ended:
                    return
                _, _, deliver = heapq.heappop(self._pending)
                self._in_flight = True
            try:
                deliver()
            except PrivityError as error:
                with self._changed:
                    self._failure = error
                    self._holds(-1 - len(self._pending))  # which will not arrive any more
                    self._changed.notify_all()
                return

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._postman.join(timeout=1.0)

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure


def _nothing(messages: int) -> None:
    """Channels between processes do not ask what is on the line."""
