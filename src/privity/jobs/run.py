"""Run one job at one party: connect, compare hashes, agree on inputs, run the program, say goodbye."""

from __future__ import annotations

import builtins
import resource
import socket
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np

from ..context import Context, Stage
from ..errors import HandshakeError, PrivityError, UsageError
from ..inputs import Declared, Input
from ..lines import is_library
from ..mpc.outside import Outside
from ..mpc.party import Party, agree_streams
from ..mpc.protocol import Protocol
from ..mpc.rep3 import Rep3
from ..net.certificates import Identity
from ..net.tls import connect
from ..net.wire import AllInputs, Declare, Hello, InputDeclaration, printable
from ..openings import OpeningsList, OpeningsLog
from ..ring import kernels, layout
from ..session import Session
from ..table import TableInfo
from ..types import Channel, Progress, Recorder
from .consortium import Consortium
from .declarations import Declarations
from .files import write_outputs
from .job import JobSpec
from .notes import Notes
from .output import refuse_shares, to_plain
from .planning import Rehearsal


class Interrupted(PrivityError):
    """This party was asked to stop (Ctrl-C or a termination signal)."""

    exit_code = 130


@dataclass(frozen=True, slots=True)
class Task:
    """What one party needs to run its part. ``load_inputs`` reads its own data, after the handshake.

    deadline_s: for all parties to come. idle_s: for one without a sign of life. trace: folder for what each line cost.
    store: folder under which this party keeps shares that outlive the run, in one of its own name. failed: told what a
    run gave that came as far as its program and failed there, before the error is raised. rehearsal: plans the run
    before anything is shared (None: it does not plan).
    """

    me: str
    consortium: Consortium
    identity: Identity
    program: Callable[[Session], Any]
    program_hash: bytes
    job: JobSpec
    load_inputs: Callable[[], Mapping[str, Input]]
    tables: Mapping[str, TableInfo] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    listener: socket.socket | None = None
    deadline_s: float = 30.0
    idle_s: float = 60.0
    progress: Progress | None = None
    recorder: Recorder | None = None
    trace: Path | None = None
    store: Path | None = None
    failed: Callable[[PartyReport], None] | None = None
    rehearsal: Rehearsal | None = None


class PartyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a run gave and cost at one party.

    output: the program's return value, plain (arrays as lists; ``{"withheld_from_this_party": [...]}`` for values
    opened to others). opened: the ledger's lines. stages: the program's own sections. cpu_s: user and system seconds of
    this process. bytes_sent: headers and tags included. internals: whether the job let the program reach below
    Privity's public names. packages: versions of Python and of what the program imports. failed: empty; of a run that
    failed the error, and output then holds the values that were opened to this party before, in order:
    ``{"opened_before_the_failure": [{"name": ..., "value": ...}, ...]}``.
    """

    party: str
    output: Any
    opened: list[dict[str, Any]]
    stages: list[Stage]
    rounds: int
    bytes_sent: int
    wall_s: float
    cpu_s: float
    kernels: str
    internals: bool = False
    packages: dict[str, str] = {}
    failed: str = ""


def run_party(task: Task) -> PartyReport:
    """Run the job at this party. Raises PrivityError; the peers are told the public reason first."""
    start = time.monotonic()
    kernels.keep_freed_memory()
    notes = Notes(task.progress, task.me, task.consortium.compute)
    channel = _connected(task, notes)
    context: Context | None = None

    def report(output: Any, failed: str = "") -> PartyReport:
        assert context is not None
        return PartyReport(
            party=task.me,
            output=to_plain(output),
            opened=context.log.entries,
            stages=context.stages,
            rounds=context.rounds,
            bytes_sent=channel.bytes_sent,
            wall_s=time.monotonic() - start,
            cpu_s=cpu_seconds(),
            kernels=kernels.BUILD,
            internals=task.job.internals,
            packages=dict(task.packages),
            failed=failed,
        )

    def keep(error: BaseException) -> None:
        """What was opened before a failure is known, whatever comes after: it counts as opened, and is not lost."""
        if context is not None and context.log.entries and task.failed is not None:
            values = [{"name": e["name"], "value": e["value"]} for e in context.log.with_values() if "value" in e]
            task.failed(report({"opened_before_the_failure": values}, str(error) or type(error).__name__))

    try:
        with np.errstate(over="ignore"):
            context = _open_context(task, channel, notes)
            if task.trace is not None:
                context.start_trace()
            program = task.program if task.rehearsal is None else task.rehearsal.load()
            output = program(context.session)
            context.check_guards()
        if not task.job.internals:
            refuse_shares(output)
        channel.close()
    except PrivityError as error:
        # What a program raises itself may say what was opened to this party, whatever the class is called.
        ours = is_library(traceback.extract_tb(error.__traceback__)[-1].filename)
        channel.abort(error.public_reason if ours else "its program failed")
        keep(error)
        raise
    except KeyboardInterrupt:
        channel.abort("interrupted")
        stopped = Interrupted(f"{task.me} was interrupted; all peers were told")
        keep(stopped)
        raise stopped from None
    except BaseException as error:
        known = getattr(builtins, type(error).__name__, None) is type(error)  # the names of others are a program's
        channel.abort(f"its program failed ({type(error).__name__})" if known else "its program failed")
        blamed = _blame(task, error)
        keep(blamed)
        raise blamed from error
    if task.trace is not None:
        write_outputs(task.trace / task.me, context.trace().files())
    return report(output)


def _connected(task: Task, notes: Notes) -> Channel:
    try:
        if task.progress is not None:
            task.progress.update(0, 0, "connecting", 0, 0)
        return _connect(task, notes)
    except KeyboardInterrupt:
        raise Interrupted(f"{task.me} was interrupted while it waited for the others") from None


def _blame(task: Task, error: BaseException) -> UsageError:
    """Names the innermost line of the user's program, or of our own code if the program was not running."""
    frames = traceback.extract_tb(error.__traceback__)
    mine = [frame for frame in frames if frame.filename == task.program.__code__.co_filename]
    line = mine[-1] if mine else frames[-1]
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return UsageError(f"the program failed at {Path(line.filename).name}:{line.lineno} ({line.line}): {text}")


def cpu_seconds() -> float:
    """User and system seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _connect(task: Task, notes: Notes) -> Channel:
    hello = Hello(
        party=task.me,
        version=version("privity"),
        program_hash=task.program_hash,
        job_hash=task.job.digest,
        consortium_hash=task.consortium.hash(),
        parameters={"protocol": Rep3.name, "fraction_bits": str(task.job.fraction_bits)},
        build=kernels.BUILD,
    )
    dial, accept = task.consortium.links(task.me)
    compute = task.me in task.consortium.compute
    channel: Channel = connect(
        task.identity, dial, accept, task.listener, hello,
        deadline_s=task.deadline_s, idle_s=task.idle_s, watch_all=not compute, on_progress=notes.heard,
    )
    if not compute and task.recorder is not None:
        return cast(Channel, _Recorded(channel, task.recorder))
    return channel


def _open_context(task: Task, channel: Channel, notes: Notes) -> Context:
    compute, parties = task.consortium.compute, task.consortium.names
    own = dict(task.load_inputs())
    declared, minimum_group = _agree_on_inputs(
        task, channel, {n: x.declared(task.job.fraction_bits) for n, x in own.items()}
    )
    if task.rehearsal is not None:
        task.rehearsal.check(task.job, task.consortium, task.tables, declared, minimum_group)
    protocol = _protocol(task, channel)
    notes.tell_over(channel, [p for p in parties if p not in compute])
    if protocol.party is not None:
        protocol.party.pulse = notes.pulse
    return Context(
        me=task.me,
        protocol=protocol,
        compute=compute,
        parties=parties,
        declared=declared,
        own=own,
        channel=channel,
        gate=OpeningsList(task.job.openings_for(parties, compute, task.consortium.owners), task.job.guards),
        ledger=OpeningsLog(),
        progress=notes,
        fraction_bits=task.job.fraction_bits,
        seed=task.job.seed,
        minimum_group=minimum_group,
        tables=task.tables,
        parameters=task.job.parameters,
        store=None if task.store is None else task.store / task.me,
        group=task.consortium.holders(),
        certificates={party.name: party.fingerprint for party in task.consortium.parties},
    )


def _protocol(task: Task, channel: Channel) -> Protocol:
    compute = task.consortium.compute
    adder = task.job.link.adder if task.job.link is not None else None
    if task.me not in compute:
        return Outside(Rep3, exact=task.job.exact, adder=adder)
    context = task.consortium.hash() + task.program_hash + task.job.digest
    party = Party(compute.index(task.me), compute, channel, agree_streams(channel, compute, context), task.recorder)
    return Rep3(party, exact=task.job.exact, adder=adder)


def _agree_on_inputs(
    task: Task, channel: Channel, mine: Mapping[str, Declared]
) -> tuple[dict[str, dict[str, Declared]], int]:
    """Owners tell the compute parties what they bring; the compute parties tell everybody; all must say the same.

    Every party compares what it is told with the job before anything is shared. Returns what each owner brings, and the
    smallest group of which an aggregate may be opened: the largest number that the job or any party states.
    """
    compute, me = task.consortium.compute, task.me
    declaration = tuple(
        InputDeclaration(name=n, shape=d.shape, bound=d.bound, scale=d.scale, boolean=d.boolean)
        for n, d in mine.items()
    )
    _declared(task, me, declaration)
    others = [c for c in compute if c != me]
    stated = task.consortium.party(me).minimum_group
    for name in others:
        channel.tell(name, Declare(inputs=declaration, minimum_group=stated))
    if me in compute:
        lists = {me: Declare(inputs=declaration, minimum_group=stated)}
        for name in task.consortium.names:
            if name != me:
                lists[name] = channel.hear(name, Declare)
                _declared(task, name, lists[name].inputs)
        ordered = AllInputs(
            inputs={n: lists[n].inputs for n in task.consortium.names},
            minimum_group=max(task.job.minimum_group, *(said.minimum_group for said in lists.values())),
        )
        for name in task.consortium.names:
            if name != me:
                channel.tell(name, ordered)
        told = [(c, channel.hear(c, AllInputs)) for c in others]
    else:
        told = [(c, channel.hear(c, AllInputs)) for c in compute]
        ordered = told[0][1]
    for name, other in told:
        if other != ordered:
            raise HandshakeError(
                f"{name} was told other inputs than {told[0][0] if me not in compute else me}; an owner declared "
                "different shapes or another minimum_group to different compute parties. Nothing was shared."
            )
    least = max(stated, task.job.minimum_group)
    if ordered.minimum_group < least:
        raise HandshakeError(
            f"{told[0][0]} says that groups of {ordered.minimum_group} rows may be opened, this party and the job "
            f"allow none below {least}. Nothing was shared."
        )
    strangers = set(ordered.inputs) - set(task.consortium.names)
    if strangers or ordered.inputs.get(me, ()) != declaration:
        whose = ", ".join(printable(name) for name in sorted(strangers))
        raise HandshakeError(
            f"{told[0][0]} tells of inputs of {whose}, which the consortium does not have. Nothing was shared."
            if strangers
            else f"{told[0][0]} tells of other inputs of {me} than {me} declared. Nothing was shared."
        )
    return {owner: _declared(task, owner, inputs) for owner, inputs in ordered.inputs.items()}, ordered.minimum_group


def _declared(task: Task, owner: str, inputs: Sequence[InputDeclaration]) -> dict[str, Declared]:
    """An owner's inputs, compared with the job."""
    return Declarations(task.job, task.tables, task.consortium.owners).check(owner, inputs) if inputs else {}


class _Recorded:
    """A channel that also records what an owner or receiver is sent."""

    def __init__(self, channel: Channel, recorder: Recorder) -> None:
        self._channel = channel
        self._recorder = recorder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def receive(self, source: str, step: int, into: Any) -> None:
        self._channel.receive(source, step, into)
        self._recorder.received(source, step, "opening", layout.view(into))
