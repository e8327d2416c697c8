"""Run a program with all its parties as threads of this process: for notebooks, tests and first steps.

The protocol, the messages and the randomness are those of a real run; only the sockets are replaced by queues.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .context import Context, Gate
from .debug.ranges import RangeBoard, RangeLine, RangeObserver
from .debug.trace import Trace
from .errors import PeerAborted, PrivityError
from .inputs import Declared, Input
from .mpc.party import Party, agree_streams
from .mpc.protocol import Protocol, Scheme
from .mpc.rep3 import Rep3
from .mpc.shapes import Shapes
from .net.memory import memory_network
from .openings import MINIMUM_GROUP, EverythingAllowed, OpeningsList, OpeningsLog
from .ring import fixed
from .session import Session
from .table import TableInfo
from .types import Channel, Opening, Recorder

Program = Callable[[Session], Any]


@dataclass(frozen=True)
class Simulation:
    """What a simulated run gave: the program's return value at every party, what was opened, and the cost.

    bytes_sent: headers and tags included. payload_sent: without them, of the compute parties. traces: by party, with
    ``trace=True``. ranges: the values of each line against their bounds, the tightest first, with ``check_range=True``.
    """

    outputs: dict[str, Any]
    opened: list[dict[str, Any]]
    rounds: int
    bytes_sent: dict[str, int]
    compute: tuple[str, ...] = field(default=())
    payload_sent: dict[str, int] = field(default_factory=dict)
    traces: dict[str, Trace] = field(default_factory=dict)
    ranges: list[RangeLine] = field(default_factory=list)

    @property
    def output(self) -> Any:
        """The return value at the first compute party."""
        return self.outputs[self.compute[0]]


def as_inputs(data: Mapping[str, Any]) -> dict[str, Input]:
    """Plain arrays as inputs with default bound and scale."""
    return {name: v if isinstance(v, Input) else Input(np.asarray(v)) for name, v in data.items()}


def simulate(
    program: Program,
    *,
    parties: int | Sequence[str] = 3,
    inputs: Mapping[str, Mapping[str, Any]] | None = None,
    openings: Sequence[Opening] | None = None,
    receivers: Sequence[str] = (),
    protocol: Scheme = Rep3(),
    fraction_bits: int = fixed.FRACTION_BITS,
    seed: int = 0,
    minimum_group: int = MINIMUM_GROUP,
    tables: Mapping[str, TableInfo] | None = None,
    parameters: Mapping[str, str | int | float | bool] | None = None,
    recorders: Mapping[str, Recorder] | None = None,
    wrap: Callable[[Channel], Channel] | None = None,
    timeout_s: float = 60.0,
    check_range: bool = False,
    trace: bool = False,
    store: Path | None = None,
) -> Simulation:
    """Run ``program(session)`` at every party and return a :class:`Simulation`.

    ``parties``: number or names of compute parties. ``inputs``: owner -> name -> array or :class:`Input`; an owner may
    be a compute party. ``openings``: the openings list to enforce; None allows every opening, since all data is in
    this process anyway. ``protocol``: with its options, as in ``Rep3(exact=True)``. ``wrap`` is applied to each
    party's channel (``net.link``). ``minimum_group``: fewest rows that an opened aggregate may rest on.

    ``check_range``: put the shares of every array together, which only a simulation can, and raise RangeViolated with
    the line and the magnitude where a value passes its public bound. ``trace``: measure every operation by line
    (``Simulation.traces``; the threads share one interpreter, so seconds include waiting for each other).

    ``store``: folder under which each party has one of its own (by name) for shares that outlive the run.

    ``timeout_s``: how long a party waits for another one that gives no sign of life. One that computes gives them for
    as long as it computes; parties that all wait for each other end at once. A program in an endless loop is ended by
    an interrupt.

    Raises the first error of any party; its ``opened`` holds what had been opened before, with the values.
    """
    compute = [f"compute_{i}" for i in range(parties)] if isinstance(parties, int) else list(parties)
    owned = {owner: as_inputs(data) for owner, data in (inputs or {}).items()}
    names = list(dict.fromkeys([*compute, *owned, *receivers]))
    declared: dict[str, dict[str, Declared]] = {
        owner: {name: x.declared(fraction_bits) for name, x in data.items()} for owner, data in owned.items()
    }
    network = memory_network(names, idle_s=timeout_s)
    outputs: dict[str, Any] = {}
    errors: dict[str, BaseException] = {}
    costs: dict[str, tuple[int, int]] = {}
    payload: dict[str, int] = {}
    traces: dict[str, Trace] = {}
    board = RangeBoard(len(compute)) if check_range else None
    logs = {name: OpeningsLog() for name in names}

    def run_party(me: str) -> None:
        channel: Channel = network[me]
        if wrap is not None:
            channel = wrap(channel)
        try:
            with np.errstate(over="ignore"):
                gate: Gate = EverythingAllowed() if openings is None else OpeningsList(openings)
                proto = _protocol_at(me, compute, channel, protocol, (recorders or {}).get(me))
                context = Context(
                    me=me,
                    protocol=proto,
                    compute=compute,
                    parties=names,
                    declared=declared,
                    own=owned.get(me, {}),
                    channel=channel,
                    gate=gate,
                    ledger=logs[me],
                    fraction_bits=fraction_bits,
                    seed=seed,
                    minimum_group=minimum_group,
                    tables=tables,
                    parameters=parameters,
                    store=None if store is None else Path(store) / me,
                )
                if board is not None and me in compute:
                    context.observer = RangeObserver(board, compute.index(me))
                if trace:
                    context.start_trace()
                outputs[me] = program(context.session)
                context.check_guards()
            costs[me] = (proto.party.rounds if me in compute else 0, channel.bytes_sent)
            if me in compute:
                payload[me] = proto.party.sent
            if trace:
                traces[me] = context.trace()
            channel.close()
        except BaseException as error:
            errors[me] = error
            channel.abort(error.public_reason if isinstance(error, PrivityError) else type(error).__name__)

    threads = [threading.Thread(target=run_party, args=(n,), name=f"privity {n}", daemon=True) for n in names]
    for name, t in zip(names, threads, strict=True):
        network[name].party_runs_in(t)
    for t in threads:
        t.start()
    try:
        for t in threads:
            t.join()
    except BaseException:  # Ctrl-C: the parties end too, at their next message
        for name in names:
            network[name].abort("interrupted")
        raise
    if errors:
        first = [e for e in errors.values() if not isinstance(e, PeerAborted)] or list(errors.values())
        raise _with_openings(first[0], [log.with_values() for log in logs.values()])
    return Simulation(
        outputs=outputs,
        opened=logs[compute[0]].entries,
        rounds=costs[compute[0]][0],
        bytes_sent={n: c[1] for n, c in costs.items()},
        compute=tuple(compute),
        payload_sent={n: payload[n] for n in compute},
        traces={n: traces[n] for n in names if n in traces},
        ranges=board.lines() if board is not None else [],
    )


def _with_openings(error: BaseException, logs: Sequence[Sequence[Mapping[str, Any]]]) -> BaseException:
    """The error, with what the party that came furthest had opened, and the values wherever they came."""
    longest = max(logs, key=len)
    opened = [dict(entry) for entry in longest]
    for log in logs:
        for mine, entry in zip(opened, log, strict=False):
            if "value" in entry and all(mine[key] == entry[key] for key in ("name", "to")):
                mine.setdefault("value", entry["value"])
    names = list(dict.fromkeys(entry["name"] for entry in opened))
    if names:
        with suppress(AttributeError):  # an exception of the program's that takes no attributes
            error.opened = opened  # type: ignore[attr-defined]
            error.add_note(f"opened before, and kept in this error's `opened`: {', '.join(names)}")
    return error


def _protocol_at(
    me: str, compute: Sequence[str], channel: Channel, scheme: Scheme, recorder: Recorder | None
) -> Protocol:
    """The protocol object of one party: real where shares are held, on shapes elsewhere."""
    Scheme.check(scheme, compute)
    if me not in compute:
        return Shapes(scheme)
    streams = agree_streams(channel, compute, b"simulation") if len(compute) > 1 else {}
    return scheme.at(Party(compute.index(me), compute, channel, streams, recorder))
