"""Run all parties of a job whose keys are on this host, each in its own process, and end them all together.

A party process tells its parent what happens as JSON lines on its standard output. Its standard input is a pipe that
only the parent holds: when the parent dies, however it dies, the pipe closes and the party ends. No orphans.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec

from ..errors import ConfigError, NetworkError, PrivityError
from ..net.tls import listen
from ..net.wire import printable
from ..types import Progress
from .consortium import Consortium
from .files import write_together
from .run import Interrupted, PartyReport

_GRACE_S = 3.0  # for the others to end by themselves after one has failed
_TERMINATE_S = 3.0  # from SIGTERM to SIGKILL


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line from a party process.

    kind: 'progress', 'report', 'error', or 'said' for what its program printed or its owner should know. report: of an
    error, what had been opened before, if anything.
    """

    kind: str
    report: PartyReport | None = None
    error: str = ""
    error_type: str = ""
    exit_code: int = 0
    step: int = 0
    total: int = 0
    note: str = ""
    rounds: int = 0
    bytes_sent: int = 0


class PartyFailed(PrivityError):
    """A party process ended with an error; the message is that of the root cause.

    ``reports``: of the parties that came as far as an opening, marked as of a failed run.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.reports: dict[str, PartyReport] = {}


@dataclass
class _Process:
    party: str
    popen: subprocess.Popen[bytes]
    log: IO[bytes]
    report: PartyReport | None = None
    error: Event | None = None
    done: bool = False


def run_local(
    consortium: Consortium,
    parties: Sequence[str],
    arguments: Callable[[str], Sequence[str]],
    *,
    progress: Progress | None = None,
    on_start: Callable[[Mapping[str, int]], None] | None = None,
    on_print: Callable[[str, str], None] | None = None,
) -> dict[str, PartyReport]:
    """Start ``privity party`` for each of ``parties`` and wait for their reports.

    ``arguments(party)``: the command line after ``privity party``. ``on_start`` is told the process ids,
    ``on_print`` a party and a line that its program printed. Ports are bound here and handed over, so nobody can take
    them in between. Raises PartyFailed with the root cause, Interrupted on Ctrl-C; in both cases all processes have
    ended when it returns.
    """
    events: queue.SimpleQueue[tuple[str, Event | None]] = queue.SimpleQueue()
    processes: dict[str, _Process] = {}
    with ExitStack() as sockets:
        try:
            listeners = {p: sockets.enter_context(_listener(consortium, p)) for p in parties if p in consortium.compute}
            for party in parties:
                processes[party] = _start(party, arguments(party), listeners.get(party), events)
            sockets.close()  # the parties hold their own copies now
            if on_start is not None:
                on_start({p.party: p.popen.pid for p in processes.values()})
            _watch(processes, events, progress, consortium.compute[0], on_print)
        except KeyboardInterrupt:
            raise Interrupted("interrupted; all parties were stopped") from None
        finally:
            _end_all(processes)
    return {name: p.report for name, p in processes.items() if p.report is not None}


def _listener(consortium: Consortium, party: str) -> socket.socket:
    endpoint = consortium.party(party).endpoint
    assert endpoint is not None
    return listen(endpoint)


def _start(
    party: str,
    arguments: Sequence[str],
    listener: socket.socket | None,
    events: queue.SimpleQueue[tuple[str, Event | None]],
) -> _Process:
    log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
    # -P: a file in the current folder must not stand in for a module of Python or Privity
    command = [sys.executable, "-P", "-m", "privity", "party", *arguments]
    if listener is not None:
        command += ["--listen-fd", str(listener.fileno())]
    try:
        popen = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            pass_fds=[listener.fileno()] if listener is not None else [],
            start_new_session=True,  # Ctrl-C reaches the parent only; it stops the parties in order
            env={**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
    except OSError as error:
        raise ConfigError(
            f"cannot start the process of {party}: {error.strerror}; raise this user's limit of processes or open files"
        ) from None
    process = _Process(party, popen, log)
    threading.Thread(target=_read, args=(process, events), daemon=True).start()
    return process


def _read(process: _Process, events: queue.SimpleQueue[tuple[str, Event | None]]) -> None:
    decoder = msgspec.json.Decoder(Event)
    assert process.popen.stdout is not None
    for line in process.popen.stdout:
        try:
            events.put((process.party, decoder.decode(line)))
        except (ValueError, RecursionError):  # what the program printed is no event, whatever it looks like
            process.log.write(line)
            events.put((process.party, Event("said", note=line.decode("utf-8", "replace").rstrip())))
    process.popen.wait()
    events.put((process.party, None))


def _watch(
    processes: Mapping[str, _Process],
    events: queue.SimpleQueue[tuple[str, Event | None]],
    progress: Progress | None,
    first: str,
    on_print: Callable[[str, str], None] | None,
) -> None:
    """Until all have ended; after the first failure the others get a short grace to say what they know."""
    deadline: float | None = None
    while not all(p.done for p in processes.values()):
        try:
            party, event = events.get(timeout=0.2)
        except queue.Empty:
            if deadline is not None and time.monotonic() > deadline:
                break
            continue
        process = processes[party]
        if event is None:
            process.done = True
            if process.report is None and deadline is None:
                deadline = time.monotonic() + _GRACE_S
        elif event.kind == "report":
            process.report = event.report
        elif event.kind == "error":
            process.error = event
            deadline = deadline or time.monotonic() + _GRACE_S
        elif event.kind == "said":
            if on_print is not None:
                on_print(party, printable(event.note))
        elif progress is not None and party == first:
            progress.update(event.step, event.total, event.note, event.rounds, event.bytes_sent)
    if deadline is not None:
        failed = _root_cause(processes)
        failed.reports = {p.party: p.error.report for p in processes.values() if p.error and p.error.report is not None}
        raise failed


def _root_cause(processes: Mapping[str, _Process]) -> PartyFailed:
    """A death by signal or crash first, then an error of a party's own, then what peers said of each other."""
    dead = [p for p in processes.values() if p.done and p.report is None and p.error is None]
    for p in dead:
        code = p.popen.returncode
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in signal.Signals._value2member_map_ else str(-code)
            return PartyFailed(
                f"{p.party} was killed ({name}), so the others stopped and no result was written; look for who killed "
                "it in the system's log (often the kernel, for want of memory)",
                NetworkError.exit_code,
            )
    own = [p for p in processes.values() if p.error is not None and not _hearsay(p.error)]
    told = own or [p for p in processes.values() if p.error is not None]
    silent = [p.party for p in processes.values() if not p.done and p.error is None and p.report is None]
    if silent and told and all(p.error is not None and _rank(p.error) for p in told):
        others = "; ".join(f"{p.party}: {p.error.error}" for p in told[:1] if p.error is not None)
        return PartyFailed(
            f"{', '.join(silent)} hung and was ended, so the others stopped and no result was written ({others})",
            NetworkError.exit_code,
        )
    if told:
        error = min((p.error for p in told if p.error is not None), key=_rank)
        party = next(p.party for p in told if p.error is error)
        return PartyFailed(f"{party}: {error.error}", error.exit_code or 1)
    p = dead[0] if dead else next(iter(processes.values()))
    p.log.seek(0)
    last = p.log.read().decode("utf-8", "replace").strip().rpartition("\n")[2] or "it said nothing"
    return PartyFailed(f"{p.party} ended with exit code {p.popen.returncode}: {last}", 1)


def _hearsay(error: Event) -> bool:
    return error.error_type in ("PeerAborted", "PeerLost")


def _rank(error: Event) -> int:
    """A timeout is what one sees of another's failure, so it counts less than the failure itself."""
    return {"PeerTimeout": 1, "PeerAborted": 2, "PeerLost": 3}.get(error.error_type, 0)


def _end_all(processes: Mapping[str, _Process]) -> None:
    """SIGTERM, then SIGKILL; an interrupt meanwhile means SIGKILL now. Waits until all are gone."""
    alive = [p for p in processes.values() if p.popen.poll() is None]
    for p in alive:
        p.popen.terminate()
        p.popen.send_signal(signal.SIGCONT)  # a stopped process takes SIGTERM only once it goes on
    deadline = time.monotonic() + _TERMINATE_S
    for p in alive:
        while p.popen.poll() is None:
            try:
                p.popen.wait(max(0.0, deadline - time.monotonic()))
            except KeyboardInterrupt:
                deadline = 0.0
            except subprocess.TimeoutExpired:
                p.popen.kill()
                deadline = time.monotonic() + _TERMINATE_S
    for p in processes.values():
        if p.popen.stdin is not None:
            p.popen.stdin.close()


def emit(event: Event, stream: IO[Any] | None = None) -> None:
    """Write one event line to the parent."""
    out = stream if stream is not None else sys.stdout.buffer
    out.write(msgspec.json.encode(event) + b"\n")
    out.flush()


class EmitProgress:
    """Progress as event lines: each new stage, and of steps at most five a second."""

    def __init__(self) -> None:
        self._last = 0.0

    def update(self, step: int, total: int, note: str, rounds: int, bytes_sent: int) -> None:
        now = time.monotonic()
        if now - self._last > 0.2 or step == total or total == 0:
            self._last = now
            emit(Event("progress", step=step, total=total, note=note, rounds=rounds, bytes_sent=bytes_sent))


def end_with_parent(clean: Callable[[], None] | None = None) -> None:
    """In a party process: end when standard input closes, which happens when the parent is gone.

    ``clean``: removes what must not be left half written, where the main thread does not get to it in time (it may wait
    for a peer, or Python may have dropped the interrupt, as it does in finalisers).
    """

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_TERMINATE_S)
        if clean is not None:
            with contextlib.suppress(OSError):
                clean()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def stop_on_signal() -> None:
    """SIGTERM and a closed terminal act like Ctrl-C, so that peers are told why this party stops."""

    def interrupt(signum: int, frame: Any) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores it on purpose
            signal.signal(number, interrupt)


def write_reports(folder: Path, reports: Mapping[str, PartyReport]) -> None:
    """``<folder>/<party>/report.json`` of every party, written whole or not at all. Raises OutputError.

    The report of a run that failed is ``failed.json``, so that nobody takes it for the other.
    """
    names = {party: "failed.json" if report.failed else "report.json" for party, report in reports.items()}
    write_together(
        {
            folder / party / names[party]: msgspec.json.format(msgspec.json.encode(report), indent=2)
            for party, report in reports.items()
        }
    )
