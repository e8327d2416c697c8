"""Write a run's files whole or not at all, and for this user alone.

A reader never meets half a report, even when the disk fills up. The rule for all that a run writes, since results,
common keys, views and shares are among it: files have mode 0600 and folders that are made for them 0700, whatever the
umask; folders that were there stay as they are, except those of views, which are made private. Who wants others to
read a report copies it or changes its mode. Nothing is ever written through a link: a link in a file's place is
replaced, a folder that is another user's link is refused.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

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
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise OutputError(f"{lock} cannot be written ({error.strerror}); {what}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def opened_folder(folder: Path) -> Iterator[int]:
    """A descriptor of ``folder`` itself, for names relative to it. Raises OSError if it is a link or no folder."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


def create_private(folder: Path, names: Sequence[str]) -> list[BinaryIO]:
    """New empty files for this user alone (0600) in ``folder``, which is made if need be and made private (0700).

    What had these names before, a link for instance, is removed and never written to. Raises OutputError if the folder
    is a link or another user's, or something cannot be made.
    """
    _make_folder(folder)
    files: list[BinaryIO] = []
    try:
        with opened_folder(folder) as at:
            owner = os.fstat(at).st_uid
            if owner != os.geteuid():
                raise OSError(errno.EPERM, f"the folder belongs to another user, number {owner}")
            os.fchmod(at, 0o700)
            for name in names:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=at)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                files.append(os.fdopen(os.open(name, flags, 0o600, dir_fd=at), "wb"))
                os.fchmod(files[-1].fileno(), 0o600)
    except OSError as error:
        for file in files:
            file.close()
        raise _unwritable(folder, _without_links(error)) from None
    return files


def read_private(folder: Path, name: str) -> BinaryIO:
    """A file of ``create_private``, to read. Raises OutputError if it, or its folder, is a link or not a file."""
    try:
        with opened_folder(folder) as at:
            file = os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at), "rb")
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise OSError(errno.EINVAL, "it is no file")
        return file
    except OSError as error:
        raise OutputError(f"{folder / name} cannot be read ({_without_links(error).strerror})") from None


def remove_private(folder: Path, names: Sequence[str]) -> None:
    """Remove these files, and the folder if nothing else is in it. Links are removed and never followed."""
    try:
        with opened_folder(folder) as at:
            for name in names:
                with suppress(FileNotFoundError, IsADirectoryError):
                    os.unlink(name, dir_fd=at)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):  # nothing of ours is there
            return
        raise OutputError(f"{folder} cannot be removed ({error.strerror})") from None
    with suppress(OSError):  # it holds more than the view
        folder.rmdir()


def _without_links(error: OSError) -> OSError:
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return OSError(error.errno, "a link is in the way, or something that is no folder; remove it")
    return error


def _make_folder(folder: Path) -> list[Path]:
    """Make ``folder`` and what is missing above it, for this user alone; what was made, innermost first.

    Links of this user and of the system are followed, as their owners meant them; those of anybody else are not.
    """
    missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    made: list[Path] = []
    try:
        for path in (folder, *folder.parents):
            if path.is_symlink() and os.lstat(path).st_uid not in (0, os.geteuid()):
                raise OSError(errno.ELOOP, f"{path} is a link that another user made")
        for path in reversed(missing):
            with suppress(FileExistsError):
                os.mkdir(path, 0o700)
                made.insert(0, path)
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    except OSError as error:
        _remove_empty(made)
        raise _unwritable(folder, error) from None
    return made


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
