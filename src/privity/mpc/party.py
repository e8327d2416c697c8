"""One compute party in one session: its index, its connections, its shared randomness and what it has spent."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from ..ring import kernels, layout
from ..ring.prg import KeySchedule, Stream
from ..types import Channel, Recorder

_COALESCE = 1 << 16  # messages to one peer in one round travel together up to this many bytes
_PULSE_SECONDS = 1.0

Message = tuple[int, Any]


class Party:
    """Party ``index`` of ``len(names)``. Passed to every protocol; nothing about a session lives anywhere else."""

    def __init__(
        self,
        index: int,
        names: Sequence[str],
        channel: Channel,
        streams: dict[int, Stream],
        recorder: Recorder | None = None,
        ring: Any = kernels,
    ) -> None:
        """``streams[j]`` is the stream that this party shares with party ``j``.

        ``ring`` is the kernel set (``ring.kernels``); tests pass a small ring whose views can be enumerated.
        """
        self.index = index
        self.names = tuple(names)
        self.channel = channel
        self.streams = streams
        self.recorder = recorder
        self.ring = ring
        self.rounds = 0
        self.sent = 0
        self.pulse: Callable[[], None] | None = None
        """Called about once a second from ``exchange``: a sign of life for those who wait without computing."""
        self.verify: Callable[[int, str, Any], None] | None = None
        """Called with (sender, label, message) before anything uses it: where a malicious-secure protocol checks."""
        self._last_pulse = time.monotonic()

    def exchange(self, send: Sequence[Message], receive: Sequence[Message], label: str = "") -> None:
        """All sends and receives of one round; every party calls it once per round, with nothing if it is idle.

        ``send``: pairs (party index, array); ``receive``: pairs (party index, array to fill). ``label`` names what is
        sent, for recorded views. Raises NetworkError.
        """
        self.rounds += 1
        step = self.rounds
        if len(send) > 1 or len(receive) > 1:
            send, finish = self._coalesce(send), self._split
        else:
            finish = None
        for to, data in send:
            self.sent += data.nbytes
            self.channel.send(self.names[to], step, data)
        if finish is None:
            for source, out in receive:
                self._receive(source, step, out, label)
        else:
            finish(receive, step, label)
        if self.pulse is not None:
            now = time.monotonic()
            if now - self._last_pulse > _PULSE_SECONDS:
                self._last_pulse = now
                self.pulse()

    def _receive(self, source: int, step: int, out: Any, label: str) -> None:
        self.channel.receive(self.names[source], step, out)
        if self.verify is not None:
            self.verify(source, label, out)
        if self.recorder is not None:
            self.recorder.received(self.names[source], step, label, layout.view(out))

    def _coalesce(self, send: Sequence[Message]) -> list[Message]:
        """Join small messages to the same peer: a system call costs more than the copy."""
        groups: dict[int, list[Any]] = {}
        for to, data in send:
            groups.setdefault(to, []).append(data)
        joined: list[Message] = []
        for to, items in groups.items():
            if len(items) > 1 and sum(d.nbytes for d in items) <= _COALESCE:
                joined.append((to, layout.join_bytes(items)))
            else:
                joined.extend((to, d) for d in items)
        return joined

    def _split(self, receive: Sequence[Message], step: int, label: str) -> None:
        groups: dict[int, list[Any]] = {}
        for source, out in receive:
            groups.setdefault(source, []).append(out)
        for source, outs in groups.items():
            size = sum(o.nbytes for o in outs)
            if len(outs) > 1 and size <= _COALESCE:
                buffer = layout.empty_bytes(size)
                self._receive(source, step, buffer, label)
                layout.split_bytes(buffer, outs)
            else:
                for out in outs:
                    self._receive(source, step, out, label)


def agree_streams(channel: Channel, names: Sequence[str], context: bytes) -> dict[int, Stream]:
    """The stream shared with each other compute party, from the secrets that the channel agreed with it."""
    me = names.index(channel.me)
    streams = {}
    for other, name in enumerate(names):
        if other != me:
            pair = "|".join(sorted((channel.me, name))).encode()
            streams[other] = KeySchedule(channel.pair_secret(name), context + b"|" + pair).stream("masks")
    return streams
