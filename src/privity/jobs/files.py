"""Write a run's files whole or not at all: a reader never meets half a report, even when the disk fills up."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from privity.errors import OutputError


def write_outputs(folder: str | Path, files: Mapping[str, str | bytes]) -> dict[str, Path]:
    """Write ``files`` (name -> content; text as UTF-8) into ``folder``, which is made if need be; returns the paths.

    All contents reach the disk under temporary names before the first file gets its own name, so a full disk leaves
    the folder as it was. Older files of the same names are replaced.

    Raises OutputError, naming the path and the system's reason, if anything cannot be written.
    """
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(target, error) from None
    written: dict[str, Path] = {}
    paths = {name: target / name for name in files}
    try:
        for name, content in files.items():
            if not name or Path(name).name != name:
                raise OutputError(f"{name!r}: expected a plain file name to write into {target}, found a path.")
            written[name] = _write_aside(paths[name], content.encode() if isinstance(content, str) else content)
        for name in files:
            try:
                os.replace(written[name], paths[name])
            except OSError as error:
                raise _unwritable(paths[name], error) from None
            del written[name]
    finally:
        for leftover in written.values():
            leftover.unlink(missing_ok=True)
    return paths


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
