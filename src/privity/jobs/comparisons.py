"""How often an owner's keys were compared with others': a small file beside its private key.

Each run tells the other owner which of *its* keys are here. Who may run again and again with other keys can ask for
anybody, so runs on the same file are counted, whoever the peer is, and refused beyond a limit. A file with other
content counts anew; the log says that it has changed.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec

from ..errors import ConfigError, OutputError, UsageError
from .files import write_together

DEFAULT_LIMIT: Final = 10
_MAX_FILE: Final = 16 << 20


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One run: when (UTC), with whom, on which file (SHA-256, hex), with how many keys here and, if it ended, there."""

    date: str
    peer: str
    sha256: Annotated[str, msgspec.Meta(max_length=64)]
    size: int
    peer_size: int | None = None


class Comparisons:
    """The runs of one owner. The file is made with the first one; two processes never write it at the same time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def check(self, sha256: str, limit: int) -> int:
        """How many runs there were on this file. Raises UsageError if there may be no more, ConfigError."""
        runs = sum(entry.sha256 == sha256 for entry in self._entries())
        if runs >= limit:
            raise UsageError(
                f"this file (sha256 {sha256[:12]}) was compared {runs} times already and the limit is {limit}: every "
                "run tells the other owner which of its keys are here. If you agree to more, raise most_intersections "
                f"in the consortium file or give --limit; the runs are listed in {self._path}"
            )
        return runs

    def remarks(self, peer: str, sha256: str) -> Iterator[str]:
        """What the log should say of earlier runs with this peer."""
        before = [entry for entry in self._entries() if entry.peer == peer]
        if before and before[-1].sha256 != sha256:
            last = before[-1]
            yield (
                f"the keys have changed since the last run with {peer} on {last.date}: sha256 {last.sha256[:12]} then, "
                f"{sha256[:12]} now; what differs between two results tells about the keys that were added or removed"
            )

    def book(self, peer: str, sha256: str, size: int, limit: int) -> int:
        """Count one more run, and say how many there are now. Raises UsageError beyond the limit, OutputError."""
        with self._locked():
            runs = self.check(sha256, limit) + 1
            now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
            self._write([*self._entries(), Entry(now, peer, sha256, size)])
        return runs

    def ended(self, peer: str, sha256: str, peer_size: int) -> None:
        """Note how many keys the peer had in the last run with it. Raises OutputError, ConfigError."""
        with self._locked():
            entries = self._entries()
            for at in reversed(range(len(entries))):
                if (entries[at].peer, entries[at].sha256) == (peer, sha256):
                    entries[at] = msgspec.structs.replace(entries[at], peer_size=peer_size)
                    self._write(entries)
                    return

    def _write(self, entries: list[Entry]) -> None:
        text = msgspec.json.format(msgspec.json.encode(entries), indent=1)
        write_together({self._path: text + b"\n"})

    def _entries(self) -> list[Entry]:
        try:
            if self._path.stat().st_size > _MAX_FILE:
                raise ConfigError(f"{self._path} is larger than {_MAX_FILE} bytes; is it the list of comparisons?")
            return msgspec.json.decode(self._path.read_bytes(), type=list[Entry])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.DecodeError) as error:
            raise ConfigError(
                f"cannot read {self._path}, which counts comparisons ({error}); repair it, or agree with your data "
                "protection officer to move it away"
            ) from None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = self._path.with_name(f".{self._path.name}.lock")
        try:
            handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise OutputError(f"{lock} cannot be written ({error.strerror}); runs must be counted there") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)
