"""Results that cannot be written: said before the run where it can be known, and never half a file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
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
    site.write_job(steps=500, edit=lambda text: f"guards = 1000  # one a step: the plan counts them\n{text}")
    outcome = site.run("--out", small_disk / "out", "--record-view")
    site.assert_failed(outcome, 1, "cannot record the view in", "No space left on device")
    left = [p for p in small_disk.rglob("*") if p.is_file()]
    assert [p for p in left if p.name != "failed.json"] == []  # which says what was opened, where there is room for it


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


# ------------------------------------------------------------------------------------------------- results are not lost

PARTIES = ("compute_0", "compute_1", "compute_2", "bank_a")
LATE = """
def program(s):
    rows = s.table("rows")
    total = s.reveal(rows.sums, to="bank_a", name="total", reason="the sums of the columns")
    (rows.features[:, 0] - 5.0).assume_bound(1.0)  # the last model fails
    return total, s.reveal(rows.features.sum(), to="all", name="state", reason="all of them")
"""


def test_what_was_opened_before_a_failure_is_kept(site: Any) -> None:
    (site.folder / "program.py").write_text(LATE)
    site.write_job(edit=lambda text: text.replace('shape = [2]\nto = "all"', 'shape = [2]\nto = "bank_a"'))
    outcome = site.run("--out", site.folder / "out")
    site.assert_failed(outcome, 1, "a value left the bound that the program stated at program.py:5 (|x| <= 1)")
    assert "opened before the failure, and so known: total, range guard; the values are in failed.json" in outcome.err
    kept = {p: json.loads((site.folder / "out" / p / "failed.json").read_text()) for p in PARTIES}
    for party, report in kept.items():
        assert report["opened"][0]["name"] == "total" and report["failed"], party
        values = report["output"]["opened_before_the_failure"]
        assert [v["name"] for v in values] == (["total"] if party == "bank_a" else [])
    assert any("program.py:5 (|x| <= 1)" in report["failed"] for report in kept.values())  # others may just be told
    rows = np.arange(200)
    columns = [(rows % 900 + 0.25).sum() / 1024, (rows % 90).sum() / 128]
    assert kept["bank_a"]["output"]["opened_before_the_failure"][0]["value"] == pytest.approx(columns, abs=1e-3)


def test_what_a_plan_can_know_is_refused_before_anything_is_shared(site: Any) -> None:
    site.write_job(edit=lambda text: text.replace('name = "state"', 'name = "stale"'))
    outcome = site.run("--out", site.folder / "out")
    site.assert_failed(outcome, 1, "the opening 'state' is not on this party's list", "before anything was shared")
    assert not list((site.folder / "out").rglob("*")) if (site.folder / "out").exists() else True
