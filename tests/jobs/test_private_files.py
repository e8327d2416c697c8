"""What a run writes is for this user alone, and never written, read or removed through a link."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from privity.errors import OutputError
from privity.jobs import files
from privity.jobs.files import locked, write_outputs, write_together
from privity.jobs.founding import init_consortium
from privity.jobs.local import write_reports
from privity.jobs.run import PartyReport
from privity.jobs.view import ViewRecorder, examine, forget
from privity.net.certificates import make_certificate

SECRET = memoryview(b"a share that nobody else may see")


@pytest.fixture(autouse=True)
def open_umask() -> object:
    old = os.umask(0)
    yield
    os.umask(old)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_bytes(b"precious")
    return path


def mode(path: Path) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


def record(folder: Path) -> None:
    recorder = ViewRecorder(folder)
    recorder.received("a", 1, "share", SECRET)
    recorder.close()


def test_views_are_for_this_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "out" / "party"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    old = folder / "view.bin"
    old.write_bytes(b"of an earlier run")
    old.chmod(0o666)
    reader = old.open("rb")  # somebody who opened the old file sees nothing of the new one
    record(folder)
    assert reader.read() == b"of an earlier run"
    reader.close()
    assert mode(folder) == 0o700 and {mode(f) for f in folder.iterdir()} == {0o600}
    assert examine(folder).bytes == len(SECRET)
    forget(folder)
    assert not folder.exists()


def test_folders_above_a_view_are_made_for_this_user_alone(tmp_path: Path) -> None:
    record(tmp_path / "new" / "out" / "party")
    assert mode(tmp_path / "new") == mode(tmp_path / "new" / "out") == 0o700


@pytest.mark.parametrize("name", ["view.bin", "view.index"])
@pytest.mark.parametrize("kind", ["link", "hard link", "dangling", "pipe"])
def test_a_view_is_never_written_onto_something_else(tmp_path: Path, victim: Path, name: str, kind: str) -> None:
    folder = tmp_path / "party"
    folder.mkdir()
    if kind == "link":
        (folder / name).symlink_to(victim)
    elif kind == "hard link":
        (folder / name).hardlink_to(victim)
    elif kind == "dangling":
        (folder / name).symlink_to(tmp_path / "made by the link")
    else:
        os.mkfifo(folder / name)
    record(folder)
    assert victim.read_bytes() == b"precious" and not (tmp_path / "made by the link").exists()
    assert stat.S_ISREG(os.lstat(folder / name).st_mode) and mode(folder / name) == 0o600
    assert os.lstat(folder / name).st_nlink == 1


def test_a_folder_that_is_a_link_takes_no_view(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "party").symlink_to(elsewhere)
    with pytest.raises(OutputError, match=r"cannot record the view .*a link is in the way"):
        record(tmp_path / "party")
    assert list(elsewhere.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot record the view"):
        record(tmp_path / "file")


def test_no_view_is_removed_or_read_through_a_link(tmp_path: Path, victim: Path) -> None:
    record(tmp_path / "real")
    (tmp_path / "party").symlink_to(tmp_path / "real")
    forget(tmp_path / "party")
    assert (tmp_path / "real" / "view.bin").exists() and (tmp_path / "party").is_symlink()
    with pytest.raises(OutputError, match=r"cannot be read .*link"):
        examine(tmp_path / "party")
    (tmp_path / "real" / "view.bin").unlink()
    (tmp_path / "real" / "view.bin").symlink_to(victim)
    with pytest.raises(OutputError, match=r"view\.bin cannot be read .*link"):
        examine(tmp_path / "real")
    forget(tmp_path / "real")
    assert victim.read_bytes() == b"precious" and not (tmp_path / "real").exists()
    forget(tmp_path / "absent")


def test_a_pipe_in_a_views_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "view.index")
    with pytest.raises(OutputError, match="it is no file"):
        examine(tmp_path)


def test_forgetting_leaves_what_else_is_there(tmp_path: Path) -> None:
    record(tmp_path / "party")
    (tmp_path / "party" / "report.json").write_text("{}")
    forget(tmp_path / "party")
    assert [f.name for f in (tmp_path / "party").iterdir()] == ["report.json"]


def test_reports_and_results_are_for_this_user_alone(tmp_path: Path, victim: Path) -> None:
    out = tmp_path / "new" / "out"
    write_outputs(out, {"result.json": "{}"})
    write_together({out / "bank" / "report.json": "{}"})
    assert [mode(p) for p in (tmp_path / "new", out, out / "bank")] == [0o700] * 3
    assert mode(out / "result.json") == mode(out / "bank" / "report.json") == 0o600
    (out / "result.json").unlink()
    (out / "result.json").symlink_to(victim)
    write_outputs(out, {"result.json": "new"})
    assert victim.read_bytes() == b"precious" and not (out / "result.json").is_symlink()


def test_what_a_failed_run_had_opened_is_for_this_user_alone(tmp_path: Path, victim: Path) -> None:
    report = PartyReport(
        party="bank", output={"opened_before_the_failure": [{"name": "total", "value": 1.0}]}, opened=[], stages=[],
        rounds=0, bytes_sent=0, wall_s=0.0, cpu_s=0.0, kernels="", failed="why",
    )  # fmt: skip
    folder = tmp_path / "out" / "bank"
    folder.mkdir(parents=True)
    (folder / "failed.json").symlink_to(victim)
    write_reports(tmp_path / "out", {"bank": report})
    assert mode(folder / "failed.json") == 0o600 and not (folder / "failed.json").is_symlink()
    assert victim.read_bytes() == b"precious" and [f.name for f in folder.iterdir()] == ["failed.json"]


def test_links_of_other_users_are_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The link is this user's own here; the check is told that this user is somebody else."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "out").symlink_to(elsewhere)
    write_outputs(tmp_path / "out", {"mine.txt": "x"})
    me = os.geteuid()
    if me == 0:
        os.lchown(tmp_path / "out", 12345, -1)
    else:
        monkeypatch.setattr(files.os, "geteuid", lambda: me + 1)
    for folder in (tmp_path / "out", tmp_path / "out" / "bank"):
        with pytest.raises(OutputError, match="a link that another user made"):
            write_outputs(folder, {"a.txt": "x"})
    assert [p.name for p in elsewhere.iterdir()] == ["mine.txt"]


def test_another_users_folder_takes_no_view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "party"
    folder.mkdir()
    me = os.geteuid()
    monkeypatch.setattr(files.os, "geteuid", lambda: me + 1)
    with pytest.raises(OutputError, match=f"belongs to another user, number {me}"):
        record(folder)
    assert list(folder.iterdir()) == []


def test_a_lock_is_not_made_through_a_link(tmp_path: Path) -> None:
    (tmp_path / ".log.lock").symlink_to(tmp_path / "made by the link")
    with pytest.raises(OutputError, match="cannot be written"), locked(tmp_path / "log", "asked for"):
        pass
    assert not (tmp_path / "made by the link").exists()


def test_keys_and_certificates_are_not_written_through_links(tmp_path: Path, victim: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    for ending in ("crt", "key"):
        (folder / f"bank.{ending}").symlink_to(victim)
    make_certificate("bank", folder)
    assert victim.read_bytes() == b"precious" and mode(folder / "bank.key") == 0o600
    group = init_consortium(tmp_path / "group", ["compute_0"], ["bank"])
    assert mode(group.path.parent / "certificates") == 0o700


def test_two_threads_make_one_folder(tmp_path: Path) -> None:
    failed: list[BaseException] = []

    def write(k: int) -> None:
        try:
            write_outputs(tmp_path / "a" / "b" / "c", {f"{k}.txt": "x"})
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert failed == [] and len(list((tmp_path / "a" / "b" / "c").iterdir())) == 8
