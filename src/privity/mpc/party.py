"""One compute party in one session: its index, its connections, its shared randomness and what it has spent."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, NoReturn, TypeVar

from ..errors import WireError
from ..ring import kernels, layout
from ..ring.prg import KeySchedule, Stream
from ..types import Channel, Recorder

_COALESCE = 1 << 16  # messages to one peer in one round travel together up to this many bytes
_PULSE_SECONDS = 1.0

Message = tuple[int, Any]
_Result = TypeVar("_Result")
_Other = TypeVar("_Other")
Rounds = Generator[tuple[Sequence[Message], Sequence[Message], str], None, _Result]
"""A protocol as the messages of its rounds, each as ``exchange`` takes them: so that two can share their rounds."""


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
        self.place: Callable[[], str] | None = None
        """Which lines of the program to look at when parties are out of step."""
        self._last_pulse = time.monotonic()
        self._riding: _Riding | None = None

    def end(self, error: Exception) -> None:
        """No more rounds: each further one raises ``error``. For operations that still hold this party's protocol."""

        def refuse(*args: Any, **kwargs: Any) -> NoReturn:
            raise error

        self.exchange = refuse  # type: ignore[method-assign]

    def run(self, rounds: Rounds[_Result]) -> _Result:
        """One protocol on its own."""
        while True:
            try:
                messages = next(rounds)
            except StopIteration as done:
                result: _Result = done.value
                return result
            self.exchange(*messages)

    def together(self, rounds: Rounds[_Result], act: Callable[[], _Other]) -> tuple[_Result, _Other]:
        """Two protocols that do not wait for each other: ``rounds`` travel with the exchanges of ``act``.

        Takes as many rounds as the longer one. Every party must call it with the same two.
        """
        riding = _Riding(rounds)
        if riding.messages is not None:
            self._riding = riding
        try:
            other = act()
            while self._riding is not None:
                self.exchange([], [], "")
        finally:
            self._riding = None
        return riding.result, other

    def compare(self, mine: bytes, act: Callable[[], _Other]) -> tuple[list[bytes], _Other]:
        """Public bytes of one length that all other parties state, and ``act`` in the same rounds (one at least)."""
        return self.together(self._told(mine), act)

    def _told(self, mine: bytes) -> Rounds[list[bytes]]:
        others = [j for j in range(len(self.names)) if j != self.index]
        theirs = [layout.empty_bytes(len(mine)) for _ in others]
        data = layout.from_bytes(mine)
        yield [(j, data) for j in others], list(zip(others, theirs, strict=True)), "public numbers"
        return [bytes(layout.view(each)) for each in theirs]

    def exchange(self, send: Sequence[Message], receive: Sequence[Message], label: str = "") -> None:
        """All sends and receives of one round; every party calls it once per round, with nothing if it is idle.

        ``send``: pairs (party index, array); ``receive``: pairs (party index, array to fill). ``label`` names what is
        sent, for recorded views. Raises NetworkError.
        """
        self.rounds += 1
        step = self.rounds
        riding = self._riding
        if riding is not None and riding.messages is not None:
            also = riding.messages
            send, receive = [*send, *also[0]], [*receive, *also[1]]
            label = f"{label}, {also[2]}" if label else also[2]
        channel, names = self.channel, self.names
        for to, data in self._coalesce(send) if len(send) > 1 else send:
            self.sent += data.nbytes
            channel.send(names[to], step, data)
        if len(receive) > 1:
            self._split(receive, step, label)
        else:
            for source, out in receive:
                self._receive(source, step, out, label)
        if riding is not None and not riding.advance():
            self._riding = None
        if self.pulse is not None:
            now = time.monotonic()
            if now - self._last_pulse > _PULSE_SECONDS:
                self._last_pulse = now
                self.pulse()

    def _receive(self, source: int, step: int, out: Any, label: str) -> None:
        try:
            self.channel.receive(self.names[source], step, out)
        except WireError as error:
            if self.place is None:
                raise
            raise WireError(
                f"{error}. Where public numbers decide what is sent (bounds, factors, conditions), they may differ "
                f"between {self.names[self.index]} and {self.names[source]}, in or before {self.place()}: make them "
                "common with s.agree(x)"
            ) from error
        if self.verify is not None:
            self.verify(source, label, out)
        if self.recorder is not None:
            self.recorder.received(self.names[source], step, label, layout.view(out))

    def _coalesce(self, send: Sequence[Message]) -> Sequence[Message]:
        """Join small messages to the same peer: a system call costs more than the copy."""
        if len(send) == 2 and send[0][0] != send[1][0]:
            return send
        groups: dict[int, list[Any]] = {}
        for to, data in send:
            groups.setdefault(to, []).append(data)
        joined: list[Message] = []
        for to, items in groups.items():
            if len(items) > 1 and _size(items) <= _COALESCE:
                joined.append((to, layout.join_bytes(items)))
            else:
                joined.extend((to, d) for d in items)
        return joined

    def _split(self, receive: Sequence[Message], step: int, label: str) -> None:
        if len(receive) == 2 and receive[0][0] != receive[1][0]:
            for source, out in receive:
                self._receive(source, step, out, label)
            return
        groups: dict[int, list[Any]] = {}
        for source, out in receive:
            groups.setdefault(source, []).append(out)
        for source, outs in groups.items():
            if len(outs) > 1 and (size := _size(outs)) <= _COALESCE:
                buffer = layout.empty_bytes(size)
                self._receive(source, step, buffer, label)
                layout.split_bytes(buffer, outs)
            else:
                for out in outs:
                    self._receive(source, step, out, label)


def _size(items: Sequence[Any]) -> int:
    """Bytes of several messages."""
    size = 0
    for item in items:
        size += item.nbytes
    return size


class _Riding:
    """Rounds that travel with others: the messages of the next one, or None and the result at the end."""

    def __init__(self, rounds: Rounds[Any]) -> None:
        self._rounds = rounds
        self.messages: tuple[Sequence[Message], Sequence[Message], str] | None = None
        self.result: Any = None
        self.advance()

    def advance(self) -> bool:
        """Whether there is another round, once the messages of the last one have arrived."""
        try:
            self.messages = next(self._rounds)
        except StopIteration as done:
            self.messages, self.result = None, done.value
        return self.messages is not None


def agree_streams(channel: Channel, names: Sequence[str], context: bytes) -> dict[int, Stream]:
    """The stream shared with each other compute party, from the secrets that the channel agreed with it."""
    me = names.index(channel.me)
    streams = {}
    for other, name in enumerate(names):
        if other != me:
            pair = "|".join(sorted((channel.me, name))).encode()
            streams[other] = KeySchedule(channel.pair_secret(name), context + b"|" + pair).stream("masks")
    return streams
