"""One party in a process of its own: its task from its files, and the process that ``privity run`` starts for it.

Such processes come in fives, so this imports no more than a run needs: neither Typer nor Rich, which only people want.
"""

from __future__ import annotations

import socket
import sys
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from .data.load import check_described, load_arrays, load_inputs, load_schemas, table_info
from .data.thresholds import Thresholds
from .ending import UNEXPECTED, ended, unexpected
from .errors import ConfigError, PrivityError
from .jobs.comparisons import Comparisons
from .jobs.consortium import Consortium, load_consortium
from .jobs.job import load_job
from .jobs.local import EmitProgress, Event, emit, end_with_parent
from .jobs.planning import Rehearsal, memory_here
from .jobs.program import read_program
from .jobs.run import Interrupted, PartyReport, Task, run_party
from .jobs.view import ViewRecorder, forget
from .mpc.rep3 import Rep3
from .net.tls import adopt_listener


def make_task(
    program: Path,
    consortium: Consortium,
    job: Path | None,
    party: str,
    tables: Sequence[str],
    arrays: Sequence[str],
    start_timeout: float,
    timeout: float,
    trace: Path | None = None,
    store: Path | None = None,
    note: Callable[[str], None] | None = None,
    here: int | None = 1,
) -> Task:
    """Read a party's own files. Raises ConfigError or UsageError before anything is connected.

    ``note``: told what the owner should know of its data; None writes it to standard error. ``here``: compute parties
    that share this machine's memory; None: the run does not plan first.
    """
    read = read_program(program)
    spec = load_job(job if job is not None else program.with_suffix(".toml"))
    function = read.load(internals=spec.internals)
    schemas = load_schemas(spec.tables)
    paths = {**consortium.party(party).tables, **_named_paths(tables, "--table")}
    array_paths = {**consortium.party(party).arrays, **_named_paths(arrays, "--array")}
    check_described(party, "a table", paths, schemas)
    check_described(party, "an array", array_paths, spec.arrays)
    if len(consortium.compute) != Rep3.parties:
        raise ConfigError(
            f"{consortium.path}: {Rep3.name} needs {Rep3.parties} compute parties, there are "
            f"{len(consortium.compute)}: {', '.join(consortium.compute)}"
        )
    spec.openings_for(consortium.names, consortium.compute, consortium.owners)
    identity, log = consortium.identity(party), Comparisons.of(consortium, party)
    return Task(
        me=party,
        consortium=consortium,
        identity=identity,
        program=function,
        program_hash=read.digest,
        packages=read.packages,
        job=spec,
        load_inputs=lambda: {
            **load_inputs(
                schemas, paths, party, context=(consortium.hash().hex(), spec.name), log=log,
                note=note or _note(party),
                thresholds=Thresholds(identity.key_path.with_suffix(".bins.json"), party),
            ),
            **load_arrays(spec.arrays, array_paths, party),
        },
        tables={name: table_info(schema) for name, schema in schemas.items()},
        deadline_s=start_timeout,
        idle_s=timeout,
        trace=trace,
        store=store,
        rehearsal=None if here is None else Rehearsal(
            lambda: read.load(internals=spec.internals), memory_here() // here if party in consortium.compute else 0
        ),
    )


def _note(party: str) -> Callable[[str], None]:
    return lambda text: print(f"{party}: {text}", file=sys.stderr)


def _named_paths(values: Sequence[str], option: str) -> dict[str, Path]:
    pairs = [v.partition("=") for v in values]
    wrong = [v for v, (name, equals, path) in zip(values, pairs, strict=True) if not (name and equals and path)]
    if wrong:
        raise ConfigError(f"{option} {wrong[0]!r}: expected NAME=FILE, for example customers=data/customers.csv")
    return {name: Path(path) for name, _, path in pairs}


def run_here(task: Task, listener: socket.socket | None, view_folder: Path | None, progress: Any) -> PartyReport:
    """Run this party in this process; ``view_folder``: where all that it receives is recorded."""
    recorder: ViewRecorder | None = None
    try:
        if view_folder is not None:
            recorder = ViewRecorder(view_folder / task.me)
        report = run_party(replace(task, listener=listener, progress=progress, recorder=recorder))
        if recorder is not None:
            recorder.close()
    except BaseException:
        if view_folder is not None:
            forget(view_folder / task.me)  # also of a view whose files were just being made
        raise
    return report


def _arguments(words: Sequence[str]) -> Namespace:
    """What ``jobs.launch.party_arguments`` wrote."""
    parser = ArgumentParser("privity party", description="One party of a run; not for people.", allow_abbrev=False)
    parser.add_argument("program", type=Path)
    parser.add_argument("--consortium", type=Path, required=True)
    parser.add_argument("--party", required=True)
    parser.add_argument("--job", type=Path)
    parser.add_argument("--table", action="append", default=[])
    parser.add_argument("--array", action="append", default=[])
    parser.add_argument("--view-folder", type=Path)
    parser.add_argument("--trace", type=Path)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--listen-fd", type=int)
    parser.add_argument("--start-timeout", type=float, default=30.0)
    parser.add_argument("--timeout", type=float, default=60.0)
    parser.add_argument("--plan", action=BooleanOptionalAction, default=True)
    parser.add_argument("--here", type=int, default=1)
    return parser.parse_args(words)


def main(words: Sequence[str]) -> NoReturn:
    """``privity party WORDS``: one party under a parent that reads event lines."""
    ended(lambda: _run(_arguments(words)))


def _run(given: Namespace) -> None:
    view_folder: Path | None = given.view_folder
    end_with_parent(None if view_folder is None else lambda: forget(view_folder / given.party))
    kept: list[PartyReport] = []

    def failed(error: str, kind: type[BaseException], code: int) -> NoReturn:
        emit(Event("error", kept[-1] if kept else None, error=error, error_type=kind.__name__, exit_code=code))
        raise SystemExit(code) from None

    try:
        task = make_task(
            given.program, load_consortium(given.consortium), given.job, given.party, given.table, given.array,
            given.start_timeout, given.timeout, given.trace, given.store,
            lambda text: emit(Event("said", note=text)),  # standard error of this process is shown to nobody
            given.here if given.plan else None,
        )  # fmt: skip
        task = replace(task, failed=kept.append)
        listener = adopt_listener(given.listen_fd) if given.listen_fd is not None else None
        report = run_here(task, listener, view_folder, EmitProgress())
        emit(Event("report", report=report))
    except KeyboardInterrupt:
        raise SystemExit(Interrupted.exit_code) from None
    except PrivityError as error:
        failed(str(error), type(error), error.exit_code)
    except Exception as error:
        failed(unexpected(error), type(error), UNEXPECTED)
