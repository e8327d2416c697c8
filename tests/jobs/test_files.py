"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from privity.errors import OutputError
from privity.jobs.files import write_outputs


def test_writes_and_replaces(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    write_outputs(folder, {"a.txt": "old", "b.bin": b"\0"})
    paths = write_outputs(folder, {"a.txt": "ü"})
    assert paths == {"a.txt": folder / "a.txt"}
    assert (folder / "a.txt").read_bytes() == "ü".encode()
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "b.bin"]


def test_a_full_disk_leaves_the_folder_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_outputs(tmp_path, {"a.txt": "old", "b.txt": "old"})
    calls = 0

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:  # the second file is the one that does not fit
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"b\.txt cannot be written \(No space left on device\).*half-written"):
        write_outputs(tmp_path, {"a.txt": "new", "b.txt": "new"})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.txt": "old", "b.txt": "old"}


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_outputs(blocked / "folder", {"a.txt": "x"})


def test_a_folder_in_the_files_place_is_refused_and_cleaned_up(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(OutputError, match=r"a\.txt cannot be written"):
        write_outputs(tmp_path, {"a.txt": "x"})
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_outputs(tmp_path, {"a.txt": "x"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "../a.txt", "b/a.txt"])
def test_only_plain_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="plain file name"):
        write_outputs(tmp_path, {name: "x"})
    assert list(tmp_path.iterdir()) == []
