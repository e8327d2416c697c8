"""How often an owner's keys took part in a linkage: a log beside its consortium file, and the limit that it enforces.

Each linkage opens a number of common rows. Whoever may change its own keys between runs could find out from such
numbers, one run at a time, whether a person is in this owner's table; so runs on the same data are counted.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ..errors import DataError


class LinkageRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the log: when, which table, the SHA-256 of its file, its rows, and with whom or in which job."""

    date: str
    table: str
    sha256: str
    rows: int
    job: str


class LinkageLog:
    """One JSON line per run, oldest first. Only ever appended to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def runs(self) -> list[LinkageRun]:
        """All runs so far. Raises DataError for a line that is none."""
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DataError(f"cannot read the log of linkages {self.path}: {error.strerror}") from None
        try:
            return [msgspec.json.decode(line, type=LinkageRun) for line in lines if line.strip()]
        except msgspec.DecodeError as error:
            raise DataError(
                f"{self.path} is damaged ({error}); it counts linkages, so none is made without it: restore it"
            ) from None

    def admit(self, table: str, sha256: str, rows: int, job: str, limit: int) -> str | None:
        """Count one more run, durably, before any key leaves. Returns a note if the table's file has changed.

        Raises DataError where this file's keys already took part ``limit`` times.
        """
        runs = [r for r in self.runs() if r.table == table]
        same = sum(r.sha256 == sha256 for r in runs)
        if same >= limit:
            raise DataError(
                f"table {table!r}: the keys of this file already took part in {same} linkages, as often as its limit "
                f"allows (link_limit = {limit} in the job file). Each opened a number of common rows, and many such "
                f"numbers can tell who is in the table. The runs are listed in {self.path}; agree on a higher limit "
                "with the other owners if that is what you want"
            )
        run = LinkageRun(datetime.now(UTC).isoformat(timespec="seconds"), table, sha256, rows, job)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(fd, "ab") as file:
                file.write(msgspec.json.encode(run) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise DataError(f"cannot write the log of linkages {self.path}: {error.strerror}") from None
        if runs and runs[-1].sha256 != sha256:
            return (
                f"table {table!r} has changed since its last linkage on {runs[-1].date[:10]}: "
                f"sha256 {runs[-1].sha256[:12]}..., {runs[-1].rows} rows, is now {sha256[:12]}..., {rows} rows"
            )
        return None
