"""Ctrl-C, SIGTERM and a killed parent, at every stage of a run: no process and no half-written file stays behind."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

COMPUTE = ("compute_0", "compute_1", "compute_2")
LONG = 1_000_000

AT_IMPORT = """
from pathlib import Path
folder = Path(__file__).parent
if not (folder / "preparing").exists():
    (folder / "preparing").touch()
    (folder / "pipe").open().read()  # waits for a writer that never comes
"""

INTERRUPTED_WRITING = """
import os, signal, sys
import privity.jobs.files
real, calls = os.fsync, []
def fsync(descriptor):
    calls.append(descriptor)
    if len(calls) == 3:  # some reports are on the disk already, under temporary names
        os.kill(os.getpid(), signal.SIGINT)
    real(descriptor)
os.fsync = fsync
from privity.cli import main
main(sys.argv[1:])
"""


def test_while_the_program_is_read(site: Any) -> None:
    os.mkfifo(site.folder / "pipe")
    program = site.folder / "program.py"
    program.write_text(program.read_text() + AT_IMPORT)
    running = site.start_run("--out", site.folder / "out")
    site.until((site.folder / "preparing").exists)
    running.signal(signal.SIGINT)
    site.assert_failed(running.finish(), 130, "interrupted")


def test_while_parties_start_and_connect(site: Any) -> None:
    running = site.start_run("--out", site.folder / "out")
    site.until(lambda: len(site.processes()) > 1)  # the first parties are there, not all
    running.signal(signal.SIGINT)
    site.assert_failed(running.finish(), 130, "interrupted; all parties were stopped")


@pytest.mark.parametrize("name", ["SIGTERM", pytest.param("SIGINT", marks=pytest.mark.soak)])
def test_in_training(site: Any, name: str) -> None:
    site.write_job(steps=LONG)
    running = site.start_run("--no-plan", "--out", site.folder / "out", "--record-view")
    site.until_reached()
    running.signal(signal.Signals[name])
    site.assert_failed(running.finish(), 130, "interrupted; all parties were stopped")


def test_in_training_to_the_whole_group_and_again(site: Any) -> None:
    """A terminal sends Ctrl-C to every process of the group, and the impatient press it twice."""
    site.write_job(steps=LONG)
    running = site.start_run("--no-plan")
    site.until_reached()
    os.killpg(running.popen.pid, signal.SIGINT)
    os.killpg(running.popen.pid, signal.SIGINT)
    site.assert_failed(running.finish(), 130, "interrupted")


def test_while_reports_are_written(site: Any) -> None:
    outcome = site.run("--out", site.folder / "out", python=["-c", INTERRUPTED_WRITING])
    site.assert_failed(outcome, 130, "interrupted")
    assert not (site.folder / "out").exists()


def test_one_party_is_asked_to_stop(site: Any) -> None:
    """On hosts of their own: the peers are told, and end too."""
    site.write_job(steps=LONG)
    parties = {name: site.start_run("--no-plan", "--party", name) for name in (*COMPUTE, "bank_a")}
    site.until_reached()
    parties["compute_0"].signal(signal.SIGTERM)
    outcomes = {name: running.finish() for name, running in parties.items()}
    assert outcomes["compute_0"].code == 130
    assert "compute_0 was interrupted; all peers were told" in outcomes["compute_0"].message
    for name in ("compute_1", "compute_2", "bank_a"):
        assert outcomes[name].code == 3
        assert "stopped the session" in outcomes[name].message or "compute_0" in outcomes[name].message
    site.until_all_are_gone()


def test_while_it_waits_for_the_others(site: Any) -> None:
    running = site.start_run("--party", "compute_2")
    running.until_it_says("connecting")
    running.signal(signal.SIGINT)
    site.assert_failed(running.finish(), 130, "interrupted")


@pytest.mark.parametrize("moment", ["starting", "training"])
def test_the_parent_is_killed(site: Any, moment: str) -> None:
    """Nobody can tell the parties, so each must notice that its parent is gone."""
    site.write_job(steps=LONG)
    running = site.start_run("--no-plan", "--out", site.folder / "out", "--record-view")
    if moment == "starting":
        site.until(lambda: len(site.processes()) > 2)
    else:
        site.until_reached()
    running.signal(signal.SIGKILL)
    running.finish()
    site.until_all_are_gone()
    site.assert_nothing_half_written()
