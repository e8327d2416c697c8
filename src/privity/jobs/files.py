"""Write a run's files whole or not at all: a reader never meets half a report, even when the disk fills up."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import OutputError


def write_outputs(folder: str | Path, files: Mapping[str, str | bytes]) -> dict[str, Path]:
    """Write ``files`` (name -> content; text as UTF-8) into ``folder``, which is made if need be; returns the paths.

    All contents reach the disk under temporary names before the first file gets its own name, so a full disk leaves
    the folder as it was. Older files of the same names are replaced.

    Raises OutputError, naming the path and the system's reason, if anything cannot be written.
    """
    target = Path(folder)
    for name in files:
        if not name or Path(name).name != name:
            raise OutputError(f"{name!r}: expected a plain file name to write into {target}, found a path.")
    _make_folder(target)
    paths = {name: target / name for name in files}
    write_together({paths[name]: content for name, content in files.items()})
    return paths


def write_together(files: Mapping[Path, str | bytes]) -> None:
    """Like ``write_outputs`` for files in several folders, which are made if need be. Raises OutputError."""
    written: dict[Path, Path] = {}
    made: list[Path] = []
    try:
        for path, content in files.items():
            made += _make_folder(path.parent)
            written[path] = _write_aside(path, content.encode() if isinstance(content, str) else content)
        for path in files:
            try:
                os.replace(written[path], path)
            except OSError as error:
                raise _unwritable(path, error) from None
            del written[path]
    finally:
        for leftover in written.values():
            leftover.unlink(missing_ok=True)
        if written:
            _remove_empty(made)


def check_writable(folder: Path) -> None:
    """Raises OutputError if a file could not be made in ``folder``; leaves nothing behind.

    Asked before a long run: better to hear now that its result would have no place.
    """
    made = _make_folder(folder)
    try:
        handle, name = tempfile.mkstemp(prefix=".privity.", suffix=".part", dir=folder)
        os.close(handle)
        os.unlink(name)
    except OSError as error:
        raise _unwritable(folder, error) from None
    finally:
        _remove_empty(made)


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Within, no other process that asks for ``path`` goes on. Raises OutputError, which ends with ``what``."""
    lock = path.with_name(f".{path.name}.lock")
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise OutputError(f"{lock} cannot be written ({error.strerror}); {what}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _make_folder(folder: Path) -> list[Path]:
    """Make ``folder`` and what is missing above it; what was made, innermost first."""
    missing = [path for path in (folder, *folder.parents) if not os.path.exists(path)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _remove_empty(missing)
        raise _unwritable(folder, error) from None
    return missing


def _remove_empty(folders: Sequence[Path]) -> None:
    for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
        with suppress(OSError):
            folder.rmdir()


def _write_aside(path: Path, data: bytes) -> Path:
    """The content under a temporary name beside ``path``, flushed to the disk."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise _unwritable(path, error) from None
    aside = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())  # some file systems report a full disk only here
        return aside
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise _unwritable(path, error) from None
    except BaseException:  # Ctrl-C must not leave the temporary file either
        aside.unlink(missing_ok=True)
        raise


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{path} cannot be written ({error.strerror or error}). "
        "Nothing half-written was left behind. Free some space, correct the permissions or choose another folder."
    )
