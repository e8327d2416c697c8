"""Results that cannot be written: said before the run where it can be known, and never half a file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def test_an_unwritable_folder_is_refused_before_the_run(site: Any) -> None:
    (site.folder / "file").write_text("")
    outcome = site.run("--out", site.folder / "file" / "out")
    site.assert_failed(outcome, 1, "file/out cannot be written", "choose another folder")
    assert not (site.folder / "reached.compute_0").exists()
    assert "connecting" not in outcome.err


NO_SPACE = """
import errno, os, sys
import privity.jobs.files
calls = []
def fsync(descriptor):
    calls.append(descriptor)
    if len(calls) == 3:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
os.fsync = fsync
from privity.cli import main
main(sys.argv[1:])
"""


def test_the_disk_fills_up_while_reports_are_written(site: Any) -> None:
    outcome = site.run("--out", site.folder / "out", python=["-c", NO_SPACE])
    site.assert_failed(outcome, 1, "report.json cannot be written (No space left on device)", "Free some space")
    assert not (site.folder / "out").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, where this user may mount one."""
    target = tmp_path / "disk"
    target.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(target)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield target
    subprocess.run(["umount", str(target)], check=True)


def test_the_disk_fills_up_while_a_view_is_recorded(site: Any, small_disk: Path) -> None:
    site.write_job(steps=500)
    outcome = site.run("--out", small_disk / "out", "--record-view")
    site.assert_failed(outcome, 1, "cannot record the view in", "No space left on device")
    assert [p for p in small_disk.rglob("*") if p.is_file()] == []


def test_standard_output_is_full(site: Any) -> None:
    with open("/dev/full", "w") as full:
        running = site.start("version", stdout=full)
        outcome = running.finish(60)
    assert outcome.code == 1
    assert "No space left on device: standard output" in outcome.err
    assert "Exception" not in outcome.err


def test_a_second_run_replaces_the_reports_of_the_first(site: Any) -> None:
    out = site.folder / "out"
    for steps in (3, 4):
        site.write_job(steps=steps)
        outcome = site.run("--out", out, "--record-view")
        assert outcome.code == 0, outcome.err
    found = sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file())
    parties = ("bank_a", "compute_0", "compute_1", "compute_2")
    assert found == sorted(f"{p}/{f}" for p in parties for f in ("report.json", "view.bin", "view.index"))
    report = json.loads((out / "compute_0" / "report.json").read_text())
    assert report["party"] == "compute_0"
    assert sum(line["name"] == "range guard" for line in report["opened"]) == 4
