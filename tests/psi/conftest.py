"""Two owners as threads of the test, over queues."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from privity.net.memory import MemoryChannel, memory_network

NAMES = ("bank", "clinic")

Program = Callable[[Any], Any]


def together(*programs: Program, idle_s: float = 10.0, wrap: Callable[[MemoryChannel], Any] = lambda c: c) -> list[Any]:
    """What each owner's program returns or raises; a channel is aborted when its program fails, as a run does it."""
    channels = memory_network(NAMES, idle_s=idle_s)
    outcome: dict[str, Any] = {}

    def one(name: str, program: Program) -> None:
        try:
            outcome[name] = program(wrap(channels[name]))
        except BaseException as error:
            outcome[name] = error
            channels[name].abort(type(error).__name__)

    threads = [threading.Thread(target=one, args=pair, daemon=True) for pair in zip(NAMES, programs, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive(), "an owner hangs"
    return [outcome[name] for name in NAMES]


@pytest.fixture(name="together")
def _together() -> Callable[..., list[Any]]:
    return together


def numbered(count: int, start: int = 0, prefix: bytes = b"item ") -> list[bytes]:
    return [prefix + b"%d" % i for i in range(start, start + count)]


@pytest.fixture(name="numbered")
def _numbered() -> Callable[..., list[bytes]]:
    return numbered


def other(name: str) -> str:
    return NAMES[1 - NAMES.index(name)]


__all__: Sequence[str] = ("NAMES", "numbered", "other", "together")
