"""Parties that die, hang, never come, are somebody else or run something else: all end, each with one message."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from privity.jobs.consortium import load_consortium
from privity.jobs.launch import party_arguments
from privity.jobs.local import PartyFailed, run_local
from privity.net.certificates import make_certificate

COMPUTE = ("compute_0", "compute_1", "compute_2")
LONG = 1_000_000


@pytest.mark.parametrize("victim", ["compute_1", "bank_a"])
def test_a_party_is_killed_in_the_middle(site: Any, victim: str) -> None:
    site.write_job(steps=LONG)
    running = site.start_run("--no-plan", "--out", site.folder / "out", "--record-view")
    site.until_reached(*COMPUTE, "bank_a")
    site.kill(victim, signal.SIGKILL)
    site.assert_failed(running.finish(), 3, f"{victim} was killed (SIGKILL)", "no result was written")


def test_a_party_hangs(site: Any) -> None:
    site.write_job(steps=LONG)
    running = site.start_run("--no-plan", "--timeout", "5")
    site.until_reached()
    site.kill("compute_1", signal.SIGSTOP)
    outcome = running.finish()
    message = site.assert_failed(outcome, 3, "hung and was ended")
    assert re.search(r"compute_1(, \w+)* hung and was ended", message)  # others too, where they are slow to report
    assert re.search(r"waited 5 s for step \d+ from compute_", message)


def test_killed_on_hosts_of_their_own(site: Any) -> None:
    """No parent sees the death: the peers find out by themselves, and say whom they lost."""
    site.write_job(steps=LONG)
    parties = {name: site.start_run("--no-plan", "--party", name) for name in (*COMPUTE, "bank_a")}
    site.until_reached()
    parties.pop("compute_2").signal(signal.SIGKILL)
    for name, running in parties.items():
        outcome = running.finish()
        assert outcome.code == 3, name
        assert "compute_2" in outcome.message
    site.until_all_are_gone()


def test_a_party_never_starts(site: Any) -> None:
    parties = [site.start_run("--party", name, "--start-timeout", "3") for name in ("compute_0", "compute_1", "bank_a")]
    for running in parties:
        outcome = running.finish(60)
        assert outcome.code == 3
        assert "compute_2" in outcome.message
        assert "within 3 s" in outcome.message or "stopped the session" in outcome.message
    site.until_all_are_gone()


def test_a_port_in_use(site: Any) -> None:
    host, port = re.search(r'endpoint = "(.+):(\d+)"', site.consortium.read_text()).groups()
    with socket.create_server((host, int(port))):
        together, alone = site.start_run(), site.start_run("--party", "compute_0")
        site.assert_failed(together.finish(60), 2, f"cannot listen at {host}:{port}", "stop the program")
        site.assert_failed(alone.finish(60), 2, f"cannot listen at {host}:{port}", "stop the program")


# ------------------------------------------------------------------------------ other program, job, version, identity


def failed_together(site: Any, arguments: Callable[[str], Sequence[str]]) -> str:
    """Run all parties under one parent, this process; the root cause."""
    consortium = load_consortium(site.consortium)
    with pytest.raises(PartyFailed) as caught:
        run_local(consortium, [party.name for party in consortium.parties], arguments)
    assert caught.value.exit_code == 3
    assert not site.processes()
    return str(caught.value)


def test_another_job_file(site: Any) -> None:
    """A bank that agreed on other features: the message says that it is the job file."""
    other = site.folder / "other.toml"
    site.write_job(path=other, edit=lambda text: text.replace('"visits"', '"calls"'))
    program = site.folder / "program.py"
    jobs = {name: other if name == "bank_a" else site.job for name in (*COMPUTE, "bank_a")}
    said = failed_together(
        site, lambda name: party_arguments(program, site.consortium, jobs[name], None, 20, 20)(name)
    )
    assert "the job differs (hash " in said
    assert "use the same job file and openings list everywhere" in said


def test_another_program(site: Any) -> None:
    other = site.folder / "other.py"
    other.write_text((site.folder / "program.py").read_text() + "\n# one more opening\n")
    programs = {name: other if name == "compute_1" else site.folder / "program.py" for name in (*COMPUTE, "bank_a")}
    said = failed_together(
        site, lambda name: party_arguments(programs[name], site.consortium, site.job, None, 20, 20)(name)
    )
    assert "the program differs (hash " in said
    assert "start the same program file everywhere" in said


OTHER_VERSION = """
import importlib.metadata, sys
real = importlib.metadata.version
importlib.metadata.version = lambda name: "99.0" if name == "privity" else real(name)
from privity.cli import main
main(sys.argv[1:])
"""


def test_another_version(site: Any) -> None:
    parties = {
        name: site.start_run(
            "--party", name, "--start-timeout", "10", python=["-c", OTHER_VERSION] if name == "compute_0" else None
        )
        for name in (*COMPUTE, "bank_a")
    }
    said = {name: running.finish(60) for name, running in parties.items()}
    assert all(outcome.code == 3 for outcome in said.values())
    assert "Privity version 99.0 here and" in said["compute_0"].message
    site.until_all_are_gone()


def replace_certificate(site: Any, party: str, *, days: float, pinned: bool, ago: float = 0.0) -> None:
    """Give ``party`` a new key and certificate; the consortium file knows of it only if ``pinned``."""
    begin = datetime.now(UTC) - timedelta(days=ago) if ago else None
    old = re.search(rf'name = "{party}"\n(?:.+\n)*?fingerprint = "(.+)"', site.consortium.read_text())
    assert old is not None
    new = make_certificate(party, site.folder / "certificates", days=days, start=begin)
    if pinned:
        text = site.consortium.read_text().replace(old[1], new.certificate.fingerprint)
        site.consortium.write_text(text)


def test_an_expired_certificate(site: Any) -> None:
    replace_certificate(site, "compute_1", days=1, ago=3, pinned=True)
    site.assert_failed(site.run(), 3, "the certificate of compute_1 expired on", "make a new one")


def test_a_certificate_that_is_not_the_pinned_one(site: Any) -> None:
    replace_certificate(site, "bank_a", days=1, pinned=False)
    site.assert_failed(site.run(), 2, "expected the certificate of bank_a to have fingerprint", "ask bank_a")


def test_a_key_of_another_certificate(site: Any) -> None:
    folder = site.folder / "certificates"
    shutil.copy(folder / "compute_0.key", folder / "bank_a.key")
    site.assert_failed(site.run(), 2, "bank_a.key does not belong to the certificate")


def test_an_unknown_certificate(site: Any, tmp_path: Path) -> None:
    """The bank made a new certificate and told nobody: it is refused by name, and nobody waits for long."""
    copy = tmp_path / "the bank's own"
    shutil.copytree(site.folder, copy)
    parties = {name: site.start_run("--party", name, "--start-timeout", "20") for name in COMPUTE}
    own = type(site)(copy)
    replace_certificate(own, "bank_a", days=1, pinned=True)
    bank = own.run("--party", "bank_a", "--start-timeout", "20")
    assert bank.code == 3
    assert "refused this party's certificate" in bank.message
    for running in parties.values():
        outcome = running.finish(30)
        assert outcome.code == 3
        assert "bank_a" in outcome.message
    site.until_all_are_gone()


# ---------------------------------------------------------------------------------------------------------- strangers

GARBAGE = {
    "nothing": b"",
    "noise": bytes(range(256)) * 8,
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a record cut short": b"\x16\x03\x01\x02\x00" + b"\x01" * 10,
    "a record that is too long": b"\x16\x03\x03\xff\xff" + b"\x00" * 4096,
    "a frame of ours": b"\x50\x52" + b"\xff" * 4096,
}


def disturb(address: tuple[str, int]) -> None:
    """Say each piece of garbage on a connection of its own; some are dropped at once, some left open."""
    for content in GARBAGE.values():
        try:
            with socket.create_connection(address, timeout=2) as sock:
                sock.sendall(content)
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused or reset: as it should be


def test_strangers_disturb_nobody(site: Any) -> None:
    """Before the session and in the middle of it."""
    endpoints = re.findall(r'endpoint = "(.+):(\d+)"', site.consortium.read_text())
    addresses = [(host, int(port)) for host, port in endpoints]
    (site.folder / "hold").touch()
    stop = threading.Event()

    def keep_on(address: tuple[str, int]) -> None:
        while not stop.is_set():
            disturb(address)
            stop.wait(0.05)

    threads = [threading.Thread(target=keep_on, args=(address,)) for address in addresses]
    for thread in threads:
        thread.start()
    try:
        running = site.start_run("--json")
        site.until_reached()  # all wait in the middle of the loop now
        for address in addresses:
            disturb(address)
        (site.folder / "hold").unlink()
        outcome = running.finish(60)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert outcome.code == 0, outcome.err
    assert '"total"' in outcome.out
