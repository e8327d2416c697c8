"""How often an owner's keys were compared with others': small files beside its private key, and the limit.

Each set intersection tells the other owner which of *its* keys are here, each linkage opens a number of common rows.
Who may run again and again with other keys can ask for anybody, so runs are counted, of both kinds together and whoever
took part, and refused beyond a limit. What counts is in how many runs any one of the keys took part, whatever file it
stood in. Three files hold that, and each is missed by the others:

    bank.comparisons.json   the runs, for people
    bank.comparisons.keys   in how many of them each key took part (key_counts.py)
    bank.key.begun          beside the private key: that a log was begun, how many runs it has, and their checksum
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec

from ..errors import ConfigError, UsageError
from .consortium import Consortium
from .files import locked, write_together
from .key_counts import LARGEST, KeyCounts, KeySet, chain

_MAX_FILE: Final = 16 << 20

Count = Annotated[int, msgspec.Meta(ge=0)]
T = TypeVar("T")


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One run on a file: when (UTC), the SHA-256 (hex) of its keys with this owner's salt, and their number.

    An intersection names the peer and, once it has ended, how many keys that one had; a linkage its job and the table.
    """

    date: str
    sha256: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    size: Count
    peer: str | None = None
    peer_size: Count | None = None
    job: str | None = None
    table: str | None = None


class Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is beside the private key: since when runs are counted, how many there were, and ``chain`` of these."""

    begun: str
    runs: Annotated[int, msgspec.Meta(ge=1)]
    chain: str


class Comparisons:
    """The runs of one owner. Files are made with the first one; two processes never write them at the same time.

    ``limit``: in how many runs a key may take part. ``mark``: where it is noted that runs are counted (None: beside
    ``path``). Every method raises ConfigError for a file that is damaged, missing or older than the others: a count
    that starts anew would protect nobody.
    """

    def __init__(self, path: Path, limit: int, mark: Path | None = None) -> None:
        self.path = path
        self.limit = limit
        self.counts = path.with_suffix(".keys")
        self.mark = path.with_suffix(".begun") if mark is None else mark

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
        mark = party.key_path.with_name(party.key_path.name + ".begun")
        return cls(path, party.most_comparisons if limit is None else limit, mark)

    def check(self, keys: KeySet, what: str = "this file") -> int:
        """In how many runs any of these keys took part. Raises UsageError, naming ``what``, if there may be no more."""
        return self._check(keys, what, self._looked()[1])

    def _check(self, keys: KeySet, what: str, counts: KeyCounts) -> int:
        runs = counts.of(keys)
        if runs >= self.limit:
            raise UsageError(
                f"{what} (sha256 {keys.digest(counts.salt)[:12]}), or keys in it, was compared {runs} times already "
                f"and the limit is {self.limit}: every run tells others how many of its keys they share, or which. If "
                "you agree to more, raise most_comparisons in the consortium file (or give psi --limit); the runs are "
                f"listed in {self.path}"
            )
        return runs

    def changed(self, keys: KeySet, *, peer: str | None = None, table: str | None = None) -> str | None:
        """What the owner should know if the last run with this peer, or of this table, was on other keys."""
        entries, counts = self._looked()
        before = [entry for entry in entries[counts.older :] if (entry.peer, entry.table) == (peer, table)]
        now = keys.digest(counts.salt) if before else ""
        if not before or before[-1].sha256 == now:
            return None
        last, run = before[-1], f"run with {peer}" if table is None else f"linkage of table {table!r}"
        return (
            f"the keys have changed since the last {run} on {last.date}: sha256 {last.sha256[:12]}, {last.size} rows "
            f"then, {now[:12]} now; what differs between two results tells about the keys that were added or removed"
        )

    def book(
        self, keys: KeySet, *, peer: str | None = None, job: str | None = None, table: str | None = None
    ) -> int:
        """Count one more run, on the disk when it returns, and say in how many any of these keys took part now.

        Raises UsageError beyond the limit, OutputError.
        """
        with self._locked():
            entries, counts = self._read()
            runs = self._check(keys, "this file", counts) + 1
            now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
            sha256 = keys.digest(counts.salt)
            run = Entry(date=now, sha256=sha256, size=len(keys), peer=peer, job=job, table=table)
            self._write([*entries, run], counts.more(keys))
        return runs

    def ended(self, peer: str, peer_size: int) -> None:
        """Note how many keys the peer had in the last run with it. Raises OutputError."""
        with self._locked():
            entries = self._read()[0]
            for at in reversed(range(len(entries))):
                if entries[at].peer == peer:
                    entries[at] = msgspec.structs.replace(entries[at], peer_size=peer_size)
                    write_together({self.path: _text(entries)})
                    return

    def entries(self) -> list[Entry]:
        """All runs so far, oldest first."""
        return self._looked()[0]

    def discard(self) -> None:
        """Forget all runs: for demonstrations on public data, which make new parties each time."""
        for path in (self.path, self.counts, self.mark):
            path.unlink(missing_ok=True)

    # -- the files -----------------------------------------------------------------------------------------------------

    def _looked(self) -> tuple[list[Entry], KeyCounts]:
        """``_read`` while nobody writes."""
        if not self.path.parent.is_dir():
            return self._read()
        with self._locked():
            return self._read()

    def _read(self) -> tuple[list[Entry], KeyCounts]:
        """The runs and the counts. They are written in the order counts, runs, mark: a crash in between is no fault."""
        entries = self._part(self.path, _MAX_FILE, msgspec.json.Decoder(list[Entry]).decode)
        counts = self._part(self.counts, LARGEST, KeyCounts.read)
        mark = self._part(self.mark, _MAX_FILE, msgspec.json.Decoder(Mark).decode)
        begun = "" if mark is None else f"{self.mark} says that {mark.runs} runs were counted since {mark.begun}, "
        runs = len(entries or ())
        if mark is not None and entries is None:
            raise self._refused(f"{begun}but {self.path} is missing")
        if mark is not None and (runs < mark.runs or chain(map(_fixed, (entries or [])[: mark.runs])) != mark.chain):
            raise self._refused(f"{begun}but {self.path} holds others, {runs} in all: an older copy, or a changed one")
        if mark is not None and counts is None:
            raise self._refused(f"{begun}but {self.counts} is missing")
        if counts is None:  # nothing was counted, or by a version that did not know the keys
            return entries or [], KeyCounts.begun(runs)
        if mark is None and counts.runs > counts.older + 1:
            raise self._refused(f"{self.counts} counts {counts.runs} runs, but {self.mark} is missing")
        if not counts.runs - 1 <= runs <= counts.runs:
            raise self._refused(
                f"{self.counts} counts {counts.runs} runs and {self.path} lists {runs}: one of the two is an older copy"
            )
        return entries or [], counts

    def _part(self, path: Path, largest: int, decode: Callable[[bytes], T]) -> T | None:
        try:
            if path.stat().st_size > largest:
                raise ConfigError(f"{path} is larger than {largest} bytes; is it one that counts comparisons?")
            return decode(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:  # msgspec's errors and those of UTF-8 are ValueErrors
            raise self._refused(f"cannot read {path}, which counts comparisons ({error})") from None

    def _refused(self, problem: str) -> ConfigError:
        return ConfigError(
            f"{problem}; repair it, or agree with your data protection officer to move {self.path.name}, "
            f"{self.counts.name} and {self.mark.name} away: counting then starts anew"
        )

    def _write(self, entries: list[Entry], counts: KeyCounts) -> None:
        mark = Mark(entries[0].date, len(entries), chain(map(_fixed, entries)))
        write_together({
            self.counts: counts.written(),
            self.path: _text(entries),
            self.mark: msgspec.json.format(msgspec.json.encode(mark), indent=1) + b"\n",
        })

    def _locked(self) -> AbstractContextManager[None]:
        return locked(self.path, "runs must be counted there")


def _text(entries: list[Entry]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(entries), indent=1) + b"\n"


def _fixed(entry: Entry) -> tuple[str | int | None, ...]:
    """What of an entry never changes: all but the peer's size, which is noted when the run has ended."""
    return entry.date, entry.sha256, entry.size, entry.peer, entry.job, entry.table
