"""Identities made once, and meshes of real sockets on loopback whose parties are threads of the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from privity.net.certificates import Identity, make_certificate
from privity.net.channel import SealedChannel
from privity.net.tls import Peer, connect, listen
from privity.net.wire import Hello

NAMES = ("compute_0", "compute_1", "compute_2", "bank_a", "bank_b")


@pytest.fixture(scope="session")
def identities(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Identity]:
    folder = tmp_path_factory.mktemp("identities")
    return {name: make_certificate(name, folder) for name in NAMES}


def hello_of(party: str, **changes: Any) -> Hello:
    common: dict[str, Any] = {
        "version": "1",
        "program_hash": b"p" * 32,
        "job_hash": b"j" * 32,
        "consortium_hash": b"c" * 32,
    }
    return Hello(party=party, **(common | changes))


@dataclass
class Mesh:
    """Outcome of a meeting: a channel or an exception for each party."""

    identities: dict[str, Identity]
    channels: dict[str, SealedChannel] = field(default_factory=dict)
    errors: dict[str, BaseException] = field(default_factory=dict)

    def meet(
        self,
        compute: Sequence[str],
        others: Sequence[str] = (),
        *,
        absent: Sequence[str] = (),
        hellos: dict[str, Hello] | None = None,
        shows: dict[str, Identity] | None = None,
        pins: dict[str, Identity] | None = None,
        deadline_s: float = 10.0,
        idle_s: float = 10.0,
        **options: Any,
    ) -> Mesh:
        """All parties connect in threads. ``shows`` swaps what a party presents, ``pins`` what others expect of it."""
        listeners = {name: listen("127.0.0.1:0") for name in compute}
        ends = {name: "{}:{}".format(*sock.getsockname()) for name, sock in listeners.items()}
        pinned = {n: (pins or {}).get(n, self.identities[n]).certificate for n in (*compute, *others)}

        def one(me: str) -> None:
            if me in compute:
                at = list(compute).index(me)
                dial = [Peer(n, pinned[n], ends[n]) for n in compute[:at]]
                accept = [Peer(n, pinned[n]) for n in (*compute[at + 1 :], *others)]
            else:
                dial = [Peer(n, pinned[n], ends[n]) for n in compute]
                accept = []
            try:
                self.channels[me] = connect(
                    (shows or {}).get(me, self.identities[me]),
                    dial,
                    accept,
                    listeners.get(me),
                    (hellos or {}).get(me, hello_of(me)),
                    deadline_s=deadline_s,
                    idle_s=idle_s,
                    watch_all=me not in compute,
                    **options,
                )
            except BaseException as error:
                self.errors[me] = error

        self.together({name: one for name in (*compute, *others) if name not in absent})
        for sock in listeners.values():
            sock.close()
        return self

    def together(self, programs: dict[str, Callable[[str], None]]) -> None:
        """Run one function per party in threads and wait; exceptions land in ``errors``."""

        def guarded(name: str, program: Callable[[str], None]) -> None:
            try:
                program(name)
            except BaseException as error:
                self.errors[name] = error

        threads = [threading.Thread(target=guarded, args=item, daemon=True) for item in programs.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
            assert not thread.is_alive(), "a party hangs"

    def close(self) -> None:
        self.together({name: lambda me: self.channels[me].close() for name in self.channels})


@pytest.fixture
def mesh(identities: dict[str, Identity]) -> Iterator[Mesh]:
    made = Mesh(identities)
    yield made
    for channel in made.channels.values():
        for connection in channel._connections.values():
            connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
