"""Signs of life: what a party that computes for long tells those who wait for it.

A thread of its own sends each peer that was sent nothing else for a second a sealed frame without content. It is no
message: no program, no running hash, no recorded view and no count of bytes knows of it.

A frame alone would say that a process is there, and processes that all wait for each other are there for ever. So it
also says, in milliseconds, how long ago somebody computed on whom this party depends: 0 if it waits for nobody, else
the age of the last sign of the one it waits for. Around a ring of waits that age only grows, by all the time that
passes but what the frames spend on the network, until the first deadline ends the session for all.

What a party cannot say so: that its program is in an endless loop, or stuck in a call into C that lets other threads
run. Such a party computes, as far as anybody can tell; whoever started it decides how long that may take.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

from .sealed import SealedConnection

PERIOD_S: Final = 1.0
"""Seconds between two signs; less where parties wait for a shorter time than four of these."""


class Heart:
    """Beats for one party, over all its connections, from ``start`` until ``stop`` or until all of them are closed."""

    def __init__(self, connections: Sequence[SealedConnection], idle_s: float) -> None:
        """``idle_s``: how long this party, and so by agreement any other, waits for a sign."""
        self._connections = tuple(connections)
        self._period_s = min(PERIOD_S, idle_s / 4)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """No beat begins after this; one that has begun may still be on its way out."""
        self._stopped.set()

    def beat(self) -> bool:
        """One sign to every peer that was sent nothing since the last one. Never raises; False if all are gone."""
        silent_s = max((connection.silent_s for connection in self._connections), default=0.0)
        return any([connection.sign(silent_s) for connection in self._connections])

    def _run(self) -> None:
        while not self._stopped.wait(self._period_s) and self.beat():
            pass
