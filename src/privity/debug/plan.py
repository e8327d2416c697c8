"""What a run will cost, found on shapes alone: rounds, bytes, memory and estimated time, before any data is touched.

The program runs once at nobody: shares have no components, and every operation adds what it declares. Rounds and
payload therefore equal those of a real run with the same public shapes (a test compares). Frame headers, memory and
time are estimates.
"""

from __future__ import annotations

import os
import traceback
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import numpy as np

from ..array import SecureArray
from ..context import Context, Gate
from ..errors import NotForMe, PrivityError, UsageError
from ..inputs import DEFAULT_BOUND, Declared, Input
from ..lines import is_library, user_line
from ..mpc.outside import Outside
from ..mpc.protocol import Protocol
from ..mpc.rep3 import Rep3
from ..mpc.shares import Bits, Share
from ..net.wire import CHUNK, FRAME_OVERHEAD
from ..openings import MINIMUM_GROUP, RANGE_GUARDS, EverythingAllowed, OpeningsList, OpeningsLog
from ..ring import fixed, layout
from ..session import Session
from ..table import TableInfo
from ..types import Cost, Opening
from .trace import Trace, Tracer

NOBODY = "(planning)"
_LOOK = 64  # operations between two looks at the limits
REST = "(outside of stages)"


@dataclass(frozen=True, slots=True)
class Machine:
    """How fast one party computes: rough figures of one core of a server with the native kernels."""

    seconds_per_byte: float = 3e-9
    seconds_per_element: float = 2e-9
    multiply_adds_per_s: float = 5e9
    seconds_per_operation: float = 15e-6
    seconds_per_round: float = 60e-6


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a plan goes: seconds by ``clock``, ``least_s`` and ``share`` of what the run would have taken so far, and
    ``most_s`` at the most; and the memory of secret arrays, at one compute party, beyond which it is refused (0: none).
    """

    clock: Callable[[], float]
    least_s: float
    share: float
    most_s: float
    memory_bytes: int


class OutOfMemory(UsageError):
    """The program needs more memory than there is."""


class _Enough(BaseException):
    """The limit of time is reached: what was planned so far is the plan. No program may catch it by mistake."""


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """One section of the program. payload: bytes that each compute party sends, headers not included."""

    name: str
    rounds: int
    payload: tuple[int, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What the program will cost.

    rounds, payload_sent (bytes by compute party, headers not included): exact. dealt: bytes that owners who do not
    compute send, exact. wire_sent: with frame headers and tags, estimated. memory_bytes: of secret arrays at one
    compute party at the worst moment, estimated. seconds: estimated from the stated link. openings: in order.
    """

    rounds: int
    payload_sent: dict[str, int]
    wire_sent: dict[str, int]
    dealt: dict[str, int]
    memory_bytes: int
    seconds: float
    stages: list[PlannedStage]
    openings: list[dict[str, Any]]
    trace: Trace = field(repr=False)

    def table(self) -> str:
        """The plan as text, stage by stage; bytes are those of the busiest compute party."""
        head = ("stage", "rounds", "bytes sent", "seconds")
        rows = [(s.name, f"{s.rounds:,}", f"{max(s.payload):,}", f"{s.seconds:.2f}") for s in self.stages]
        payload = max(self.payload_sent.values())
        rows.append(("total", f"{self.rounds:,}", f"{payload:,}", f"{self.seconds:.2f}"))
        widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
        text = [
            "  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
            for row in (head, *rows)
        ]
        text.insert(1, "  ".join("-" * w for w in widths))
        text += ["", "exact: rounds, and the bytes that each party sends, frame headers not counted"]
        text += [f"  {name}: {sent:,}" for name, sent in {**self.payload_sent, **self.dealt}.items()]
        text += [
            f"estimated: {max(self.wire_sent.values()):,} bytes with headers at the busiest compute party, "
            f"{self.memory_bytes / 2**20:,.0f} MiB for its secret arrays, {self.seconds:.1f} s"
        ]
        counts: dict[str, int] = {}
        for opened in self.openings:
            line = f"{opened['name']} {tuple(opened['shape'])} to {', '.join(opened['to'])}"
            counts[line] = counts.get(line, 0) + 1
        text += ["opened:" if counts else "opened: nothing"]
        text += [f"  {line}" + (f", {n} times" if n > 1 else "") for line, n in counts.items()]
        return "\n".join(text) + "\n"


def plan(
    program: Callable[[Session], Any],
    *,
    inputs: Mapping[str, Mapping[str, Any]] | None = None,
    parties: int | Sequence[str] = 3,
    receivers: Sequence[str] = (),
    openings: Sequence[Opening] | None = None,
    protocol: type[Protocol] = Rep3,
    exact: bool = False,
    adder: Any = None,
    guards: int = RANGE_GUARDS,
    fraction_bits: int = fixed.FRACTION_BITS,
    seed: int = 0,
    minimum_group: int = MINIMUM_GROUP,
    tables: Mapping[str, TableInfo] | None = None,
    parameters: Mapping[str, str | int | float | bool] | None = None,
    assume: Mapping[str, Any] | None = None,
    rtt_s: float = 0.001,
    bytes_per_s: float = 125e6,
    machine: Machine | None = None,
    limits: Limits | None = None,
) -> Plan:
    """Run ``program`` on shapes and say what a run would cost.

    ``inputs``: owner -> name -> shape (reals with the default bound), :class:`Declared`, :class:`Input` or array (its
    values are not used). ``assume``: values to plan with for openings by name, where the program computes with what
    it opened. ``exact``, ``adder``: the protocol's options. ``guards``: range flags that may be opened. ``rtt_s``,
    ``bytes_per_s``: round trip between two parties, and what one party can send. ``limits``: how far to plan.

    Raises what planning a run raises (OverflowPlanned, ShapeError, OpeningRefused ...), and UsageError naming the line
    where the program needs a value that only a run knows.
    """
    compute = [f"compute_{i}" for i in range(parties)] if isinstance(parties, int) else list(parties)
    if len(compute) != protocol.parties:
        raise UsageError(f"{protocol.name} needs {protocol.parties} compute parties, got {len(compute)}")
    owned = inputs or {}
    declared = {o: {n: _declared(v, fraction_bits) for n, v in named.items()} for o, named in owned.items()}
    gate: Gate = EverythingAllowed() if openings is None else OpeningsList(openings, guards)
    shapes = Outside(protocol, exact=exact, adder=adder)
    context = Context(
        me=NOBODY,
        protocol=shapes,
        compute=compute,
        parties=list(dict.fromkeys([*compute, *declared, *receivers])),
        declared=declared,
        own={},
        channel=None,
        gate=gate,
        ledger=OpeningsLog(),
        fraction_bits=fraction_bits,
        seed=seed,
        minimum_group=minimum_group,
        tables=tables,
        parameters=parameters,
    )
    meter = _Meter(shapes, machine or Machine(), rtt_s / 2, bytes_per_s, assume or {}, limits)
    context.observer = meter
    tracer = context.tracer = Tracer(
        NOBODY, shapes, lambda: (shapes.planned.rounds, max(shapes.planned.sent, default=0))
    )
    _run_on_shapes(program, context)
    total = meter.spent()
    return Plan(
        rounds=total.cost.rounds,
        payload_sent=dict(zip(compute, total.cost.sent, strict=True)),
        wire_sent={n: _on_the_wire(b, total.cost.rounds) for n, b in zip(compute, total.cost.sent, strict=True)},
        dealt={owner: meter.dealt.get(owner, 0) for owner in declared if owner not in compute},
        memory_bytes=meter.peak,
        seconds=meter.seconds(total),
        stages=meter.stages(total),
        openings=context.log.entries,
        trace=tracer.trace(),
    )


def _run_on_shapes(program: Callable[[Session], Any], context: Context) -> None:
    try:
        with np.errstate(over="ignore"):
            program(context.session)
            context.check_guards()
    except NotForMe as error:
        raise UsageError(
            f"{_line(error)}: cannot be planned, as the program computes with a value that only a run knows: {error}. "
            "Give a value to plan with (assume={name: value}; --assume NAME=VALUE), or make it a parameter of the job"
        ) from None
    except _Enough:
        return
    except (PrivityError, KeyboardInterrupt):
        raise
    except BaseException as error:  # also what a program raises so that nobody catches it
        raise UsageError(
            f"{_line(error)}: cannot be planned: {type(error).__name__}: {error}. A plan runs the program without data "
            "and without other parties"
        ) from error


def _line(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    mine = [f for f in frames if not is_library(f.filename)] or frames
    return f"{os.path.basename(mine[-1].filename)}:{mine[-1].lineno}"


def _declared(given: Any, fraction_bits: int) -> Declared:
    if isinstance(given, Declared):
        return given
    if isinstance(given, Input):
        return given.declared(fraction_bits)
    if isinstance(given, int | tuple | list):
        shape = (given,) if isinstance(given, int) else tuple(int(n) for n in given)
        return Declared(shape, DEFAULT_BOUND, fraction_bits)
    return Input(np.asarray(given)).declared(fraction_bits)


def _on_the_wire(payload: int, rounds: int) -> int:
    """About one frame a round, and one more per chunk."""
    return payload + FRAME_OVERHEAD * (rounds + payload // CHUNK)


class _Counter:
    """Stands for an owner's channel and counts."""

    def __init__(self) -> None:
        self.bytes = 0

    def send(self, to: str, step: int, data: Any) -> None:
        self.bytes += len(bytes(data))


def _dealt(protocol: type[Protocol], shape: tuple[int, ...]) -> int:
    """Bytes of dealing: linear in the number of elements, so that none and one tell all."""
    sizes: list[int] = []
    for n in (0, 1):
        counter: Any = _Counter()
        protocol.deal(counter, [str(i) for i in range(protocol.parties)], 1, layout.zeros((n,)))
        sizes.append(counter.bytes)
    return sizes[0] + layout.count(shape) * (sizes[1] - sizes[0])


@dataclass(frozen=True, slots=True)
class _Spent:
    cost: Cost
    operations: int = 0
    elements: int = 0
    multiply_adds: int = 0
    busiest: int = 0

    def minus(self, other: _Spent) -> _Spent:
        sent = tuple(a - b for a, b in zip(self.cost.sent, other.cost.sent, strict=True))
        return _Spent(
            Cost(self.cost.rounds - other.cost.rounds, sent),
            self.operations - other.operations,
            self.elements - other.elements,
            self.multiply_adds - other.multiply_adds,
            self.busiest - other.busiest,
        )


class _Meter:
    """Follows a program on shapes: what is spent, which arrays live, and where stages begin and end."""

    def __init__(
        self,
        shapes: Outside,
        machine: Machine,
        one_way_s: float,
        bytes_per_s: float,
        assume: Mapping[str, Any],
        limits: Limits | None = None,
    ) -> None:
        self._shapes = shapes
        self._machine = machine
        self._one_way_s = one_way_s
        self._bytes_per_s = bytes_per_s
        self._assume = assume
        self._limits = limits
        self._began = 0.0 if limits is None else limits.clock()
        self._inside = False
        self._operations = self._elements = self._multiply_adds = self._busiest = 0
        self._live = 0
        self.peak = 0
        self.dealt: dict[str, int] = {}
        self._open: list[tuple[str, _Spent]] = []
        self._done: list[tuple[int, str, _Spent]] = []
        for name in dir(Protocol):
            method = getattr(shapes, name, None)
            if not name.startswith("_") and name not in ("cost", "deal", "collect") and callable(method):
                setattr(shapes, name, self._counted(name, method))

    def _counted(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def counted(*args: Any, **kwargs: Any) -> Any:
            if self._inside:
                return method(*args, **kwargs)
            self._inside = True
            before = self._shapes.planned.sent
            try:
                result = method(*args, **kwargs)
            finally:
                self._inside = False
            self._operations += 1
            sent = max((b - a for a, b in zip(before, self._shapes.planned.sent, strict=True)), default=0)
            self._busiest += sent  # parties wait for the one that sends most in each operation
            if name == "receive_input":
                dealt = _dealt(self._shapes.of, args[2])
                self.dealt[args[0]] = self.dealt.get(args[0], 0) + dealt
                self._busiest += dealt
            size = _held(result)
            self._elements += size // 16
            if name in ("matmul", "dot"):
                self._multiply_adds += 2 * args[0].size * (args[1].shape[-1] if name == "matmul" else 1)
            elif name == "matmul_sum":
                self._multiply_adds += sum(2 * x.size * y.shape[-1] for x, y in args[0])
            elif name == "matmul_public":
                self._multiply_adds += 2 * layout.count(args[0].shape) * layout.count(args[1].shape) // args[0].shape[0]
            # masks, messages and intermediate results of one operation: about three times what it sends
            temporary = 3 * sent + size
            self.peak = max(self.peak, self._live + temporary)
            if self._limits is not None:
                self._look(self._limits)
            return result

        return counted

    def _look(self, limits: Limits) -> None:
        if limits.memory_bytes and self.peak > limits.memory_bytes:
            raise OutOfMemory(
                f"{user_line()}: the secret arrays need about {self.peak / 2**30:,.1f} GiB at one compute party, of "
                f"{limits.memory_bytes / 2**30:,.1f} GiB that it may use here; take fewer rows or columns at "
                "a time, run the compute parties on machines of their own, or run with --no-plan if the estimate is off"
            )
        if self._operations % _LOOK == 0:
            spent_s = limits.clock() - self._began
            if spent_s > min(limits.least_s + limits.share * self.seconds(self.spent()), limits.most_s):
                raise _Enough

    def created(self, x: SecureArray) -> None:
        """An array lives until its last reference goes."""
        size = 16 * x.size if x.kind != "bool" else 16 * ((x.size + 63) // 64)
        self._live += size
        self.peak = max(self.peak, self._live)
        weakref.finalize(x, self._freed, size)

    def _freed(self, size: int) -> None:
        self._live -= size

    def staged(self, name: str, ended: bool) -> None:
        """A stage begins or ends; stages may lie within one another."""
        if not ended:
            self._open.append((name, self.spent()))
            return
        _, before = self._open.pop()
        self._done.append((len(self._open), name, self.spent().minus(before)))

    def assumed(self, name: str) -> Any:
        """The value to plan with for an opening."""
        return self._assume.get(name)

    def spent(self) -> _Spent:
        """All so far."""
        return _Spent(
            self._shapes.planned, self._operations, self._elements, self._multiply_adds, self._busiest
        )

    def seconds(self, spent: _Spent) -> float:
        """Latency, transfer and computation, one after the other: they overlap little within one operation."""
        m = self._machine
        computing = (
            spent.busiest * m.seconds_per_byte
            + spent.elements * m.seconds_per_element
            + spent.multiply_adds / m.multiply_adds_per_s
            + spent.operations * m.seconds_per_operation
        )
        waiting = spent.cost.rounds * (self._one_way_s + m.seconds_per_round)
        return waiting + spent.busiest / self._bytes_per_s + computing

    def stages(self, total: _Spent) -> list[PlannedStage]:
        """The program's stages in the order in which they ended, and what lies outside of them."""
        rest = total
        for depth, _, spent in self._done:
            rest = rest.minus(spent) if depth == 0 else rest
        named = [(name, spent) for _, name, spent in self._done]
        return [
            PlannedStage(name, s.cost.rounds, s.cost.sent, self.seconds(s))
            for name, s in [*named, (REST, rest)]
            if name != REST or s.operations or not named
        ]


def _held(result: Any) -> int:
    """Bytes of both components of a result."""
    if isinstance(result, Share):
        return 16 * result.size
    if isinstance(result, Bits):
        return 16 * result.words * result.planes
    return 0
