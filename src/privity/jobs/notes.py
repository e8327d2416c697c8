"""How far a program is: shown here in its own words, told to waiting parties in numbers.

A note's text is made of what this party knows, and that may have been opened to it alone. So no text crosses the wire:
a compute party tells how often its program said where it is, and whoever runs the same program has the words for it,
made of what was opened to *it*. Step and total are the program's own numbers; they are public like its traffic.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from ..net.wire import ProgressNote
from ..types import Channel, Progress

_MOST: Final = 1 << 31
_KEPT: Final = 1024
"""So many of a program's last notes are kept for a compute party that is behind this one."""
_EVERY_S: Final = 0.5


class Notes:
    """Where a session reports to (``types.Progress``). Compute parties pass it on, others show what the first says."""

    def __init__(self, show: Progress | None, me: str, compute: Sequence[str]) -> None:
        self._show = show
        self._first = compute[0]
        self._computes = me in compute
        self._channel: Channel | None = None
        self._waiting: Sequence[str] = ()
        self._said = 0
        self._own: OrderedDict[int, tuple[int, int, str]] = OrderedDict()
        self._last = ProgressNote(stage=0, step=0, total=0, rounds=0, bytes_sent=0)
        self._told = time.monotonic()

    def tell_over(self, channel: Channel, waiting: Sequence[str]) -> None:
        """From now on ``waiting`` are told, as a sign of life too; nobody is told by a party that does not compute."""
        self._channel, self._waiting = channel, tuple(waiting) if self._computes else ()

    def update(self, step: int, total: int, note: str, rounds: int, bytes_sent: int) -> None:
        """The program says where it is."""
        self._said += 1
        self._last = ProgressNote(
            stage=min(self._said, _MOST), step=_count(step), total=_count(total), rounds=rounds, bytes_sent=bytes_sent
        )
        self._own[self._said] = (step, total, note)
        if len(self._own) > _KEPT:
            self._own.popitem(last=False)
        if self._show is not None:
            self._show.update(step, total, note, rounds, bytes_sent)
        if time.monotonic() - self._told > _EVERY_S:
            self.pulse()

    def pulse(self) -> None:
        """Tell the waiting parties what was last said."""
        self._told = time.monotonic()
        if self._channel is not None:
            for name in self._waiting:
                self._channel.tell(name, self._last)

    def heard(self, source: str, note: ProgressNote) -> None:
        """A compute party tells where it is: shown if it is the first one, in this party's words where it has them."""
        if self._show is None or self._computes or source != self._first:
            return
        step, total, text = self._own.get(note.stage, (note.step, note.total, _WITHOUT_WORDS))
        self._show.update(step, total, text, note.rounds, note.bytes_sent)


_WITHOUT_WORDS: Final = "computing"


def _count(value: int) -> int:
    """A program's number within what the wire carries."""
    return max(0, min(int(value), _MOST))
