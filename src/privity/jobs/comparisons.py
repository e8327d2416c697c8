"""How often an owner's keys were compared with others': a small file beside its private key, and the limit.

Each set intersection tells the other owner which of *its* keys are here, each linkage opens a number of common rows.
Who may run again and again with other keys can ask for anybody, so runs on the same file are counted, of both kinds
together and whoever took part, and refused beyond a limit. A file with other content counts anew; the log says that it
has changed.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec

from ..errors import ConfigError, UsageError
from .consortium import Consortium
from .files import locked, write_together

_MAX_FILE: Final = 16 << 20

Count = Annotated[int, msgspec.Meta(ge=0)]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One run on a file: when (UTC), its SHA-256 (hex) and number of keys.

    An intersection names the peer and, once it has ended, how many keys that one had; a linkage its job and the table.
    """

    date: str
    sha256: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    size: Count
    peer: str | None = None
    peer_size: Count | None = None
    job: str | None = None
    table: str | None = None


class Comparisons:
    """The runs of one owner. The file is made with the first one; two processes never write it at the same time.

    ``limit``: how many runs there may be on one file. Every method raises ConfigError for a file that is damaged: a
    count that starts anew would protect nobody.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self.path = path
        self.limit = limit

    @classmethod
    def of(cls, consortium: Consortium, me: str, limit: int | None = None) -> Comparisons:
        """Those of a party whose private key is here; ``limit`` None: the one of its consortium file."""
        party = consortium.party(me)
        if party.key_path is None:
            raise ConfigError(f"{consortium.path}: no private key of {me} here; comparisons are counted beside it")
        path = party.key_path.with_suffix(".comparisons.json")
        old = consortium.path.parent / f"{me}.linkages.jsonl"
        if old.exists():
            raise ConfigError(
                f"{old} counts linkages in a form that is no longer read; runs are counted in {path} now. Move the old "
                "file away once you and your data protection officer agree that its runs need not count any more"
            )
        return cls(path, party.most_comparisons if limit is None else limit)

    def check(self, sha256: str, what: str = "this file") -> int:
        """How many runs there were on this file. Raises UsageError, naming ``what``, if there may be no more."""
        runs = sum(entry.sha256 == sha256 for entry in self.entries())
        if runs >= self.limit:
            raise UsageError(
                f"{what} (sha256 {sha256[:12]}) was compared {runs} times already and the limit is {self.limit}: "
                "every run tells others how many of its keys they share, or which. If you agree to more, raise "
                f"most_comparisons in the consortium file (or give psi --limit); the runs are listed in {self.path}"
            )
        return runs

    def changed(self, sha256: str, *, peer: str | None = None, table: str | None = None) -> str | None:
        """What the owner should know if the last run with this peer, or of this table, was on other content."""
        before = [entry for entry in self.entries() if (entry.peer, entry.table) == (peer, table)]
        if not before or before[-1].sha256 == sha256:
            return None
        last, run = before[-1], f"run with {peer}" if table is None else f"linkage of table {table!r}"
        return (
            f"the keys have changed since the last {run} on {last.date}: sha256 {last.sha256[:12]}, {last.size} rows "
            f"then, {sha256[:12]} now; what differs between two results tells about the keys that were added or removed"
        )

    def book(
        self, sha256: str, size: int, *, peer: str | None = None, job: str | None = None, table: str | None = None
    ) -> int:
        """Count one more run, on the disk when it returns, and say how many there are now.

        Raises UsageError beyond the limit, OutputError.
        """
        with self._locked():
            runs = self.check(sha256) + 1
            now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
            self._write([*self.entries(), Entry(date=now, sha256=sha256, size=size, peer=peer, job=job, table=table)])
        return runs

    def ended(self, peer: str, sha256: str, peer_size: int) -> None:
        """Note how many keys the peer had in the last run with it. Raises OutputError."""
        with self._locked():
            entries = self.entries()
            for at in reversed(range(len(entries))):
                if (entries[at].peer, entries[at].sha256) == (peer, sha256):
                    entries[at] = msgspec.structs.replace(entries[at], peer_size=peer_size)
                    self._write(entries)
                    return

    def entries(self) -> list[Entry]:
        """All runs so far, oldest first."""
        try:
            if self.path.stat().st_size > _MAX_FILE:
                raise ConfigError(f"{self.path} is larger than {_MAX_FILE} bytes; is it the list of comparisons?")
            return msgspec.json.decode(self.path.read_bytes(), type=list[Entry])
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:  # msgspec's errors and those of UTF-8 are ValueErrors
            raise ConfigError(
                f"cannot read {self.path}, which counts comparisons ({error}); repair it, or agree with your data "
                "protection officer to move it away"
            ) from None

    def _write(self, entries: list[Entry]) -> None:
        text = msgspec.json.format(msgspec.json.encode(entries), indent=1)
        write_together({self.path: text + b"\n"})

    def _locked(self) -> AbstractContextManager[None]:
        return locked(self.path, "runs must be counted there")
