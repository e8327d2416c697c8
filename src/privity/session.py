"""A session: the connected state of one job at one party, in which a program runs.

The same program runs at every party. Compute parties hold shares; owners and receivers that do not compute run it on
shapes, deal their own inputs and collect what is opened to them. ``reveal`` is the only door to a value.
"""

from __future__ import annotations

import hashlib
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from typing import Protocol as Interface

import numpy as np
import numpy.typing as npt

from .errors import HandshakeError, NotForMe, OpeningRefused, OverflowPlanned, RangeViolated, UsageError
from .mpc.protocol import Protocol
from .mpc.shares import Share
from .net.wire import Statement
from .ring import fixed
from .types import RANGE_BITS, Channel, Gate, Opening, Progress, Ring

if TYPE_CHECKING:
    from .array import SecureArray
    from .debug.trace import Trace, Tracer
    from .table import Table, TableInfo

RANGE_GUARD = "range guard"
RANGE_GUARDS = 64
"""Range flags that a job may open unless it says otherwise: each tells one bit."""

MINIMUM_GROUP = 10
"""Fewest rows that an opened aggregate may rest on, unless the job or an owner says otherwise; see disclosure.py."""

OUTSIDE_STEP = 1 << 31  # messages with owners and receivers are numbered apart from the compute parties' rounds
DEFAULT_BOUND = 1024.0
"""Public bound on |x| of an input whose owner states none; a value outside is refused at the owner."""


@dataclass(frozen=True, slots=True)
class Input:
    """What an owner brings: values (real, integer or bool), a public bound on |x| and the fractional bits.

    ``scale`` None: the session's default for reals, 0 for integers and booleans. ``on_share`` is called each time just
    before shares of the values leave their owner, when all parties have agreed on what everybody brings.
    """

    values: npt.NDArray[Any] = field(repr=False)
    bound: float | None = None
    scale: int | None = None
    on_share: Callable[[], None] | None = field(default=None, repr=False)

    def declared(self, fraction_bits: int) -> Declared:
        """The public part: shape, bound and scale."""
        values = np.asarray(self.values)
        whole = values.dtype.kind in "biu"
        if not whole and values.dtype.kind != "f":
            raise UsageError(f"an input must be numbers or booleans, got dtype {values.dtype}")
        bound = self.bound if self.bound is not None else (1.0 if values.dtype.kind == "b" else DEFAULT_BOUND)
        scale = self.scale if self.scale is not None else 0 if whole else fraction_bits
        return Declared(values.shape, float(bound), scale, values.dtype.kind == "b" and scale == 0)


@dataclass(frozen=True, slots=True)
class Declared:
    """What everybody knows of an input before it is shared."""

    shape: tuple[int, ...]
    bound: float
    scale: int
    boolean: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """What one section of a program cost at one party: seconds of wall and CPU time, rounds, bytes sent."""

    name: str
    wall_s: float
    cpu_s: float
    rounds: int
    bytes_sent: int


class Withheld:
    """Stands for a revealed value at a party it was not opened to. Any use raises NotForMe."""

    __slots__ = ("_name", "_to")

    def __init__(self, name: str, to: Sequence[str]) -> None:
        self._name, self._to = name, tuple(to)

    @property
    def receivers(self) -> tuple[str, ...]:
        """The parties to which the value was opened."""
        return self._to

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise NotForMe(
            f"{self._name!r} was opened to {', '.join(self._to)} only, not to this party; "
            "return it from the program as it is, or use it only where isinstance(value, privity.Withheld) is false"
        )

    __array__ = __float__ = __int__ = __complex__ = __bool__ = __index__ = __iter__ = __len__ = __getitem__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __matmul__ = __rmatmul__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = _refuse
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = _refuse
    __neg__ = __pos__ = __abs__ = __invert__ = __round__ = __contains__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __eq__ = __ne__ = _refuse  # else a comparison would silently differ between parties
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<withheld: {self._name} was opened to {', '.join(self._to)}>"

    def __format__(self, spec: str) -> str:
        return repr(self)  # f"{loss:.4f}" in a progress note is text like repr and str, not a use of the value


class OpeningsList:
    """The default gate: permits exactly the listed openings, each at most ``count`` times.

    ``guards``: how many range flags may be opened in all, one bit each ("did every value stay within its bound?").
    """

    def __init__(self, openings: Sequence[Opening], guards: int = RANGE_GUARDS) -> None:
        self._left = {o.name: o.count for o in openings}
        self._guards_left = guards
        self._openings = {o.name: o for o in openings}

    def permit(self, name: str, shape: tuple[int, ...], to: tuple[str, ...], reason: str) -> None:
        if name == RANGE_GUARD and not shape:
            if self._guards_left <= 0:
                raise OpeningRefused("no more range flags may be opened in this job; raise guards in the job file")
            self._guards_left -= 1
            return
        listed = self._openings.get(name)
        if listed is None:
            names = ", ".join(sorted(self._openings)) or "nothing"
            raise OpeningRefused(
                f"the opening {name!r} is not on this party's list (listed: {names}); nothing was sent"
            )
        if tuple(listed.shape) != tuple(shape):
            raise OpeningRefused(f"the opening {name!r} is listed with shape {listed.shape}, asked for {shape}")
        if set(to) - set(listed.to):
            extra = ", ".join(sorted(set(to) - set(listed.to)))
            raise OpeningRefused(f"the opening {name!r} may not go to {extra}; it is listed for {', '.join(listed.to)}")
        if self._left[name] <= 0:
            raise OpeningRefused(f"the opening {name!r} was already made {listed.count} time(s), as often as listed")
        self._left[name] -= 1


class EverythingAllowed:
    """A gate that permits all openings: for simulations, where one process holds all the data anyway."""

    def permit(self, name: str, shape: tuple[int, ...], to: tuple[str, ...], reason: str) -> None:
        """Never refuses."""


class OpeningsLog:
    """A ledger in memory: one entry per opening, in order."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def opened(self, name: str, shape: tuple[int, ...], to: tuple[str, ...], reason: str) -> None:
        self.entries.append({"name": name, "shape": list(shape), "to": list(to), "reason": reason})


class Observer(Interface):
    """Told of every secret array and stage: how simulations and plans look on. Sessions of real runs have none."""

    def created(self, x: SecureArray) -> None: ...

    def staged(self, name: str, ended: bool) -> None: ...

    def assumed(self, name: str) -> Any:
        """A value to go on with for an opening that gives none here (planning), or None."""
        ...


class Session:
    """Built by ``privity.simulate`` or ``privity run``; a program receives it as its only argument."""

    def __init__(
        self,
        *,
        me: str,
        protocol: Protocol,
        compute: Sequence[str],
        parties: Sequence[str],
        declared: Mapping[str, Mapping[str, Declared]],
        own: Mapping[str, Input],
        channel: Channel | None,
        gate: Gate,
        ledger: OpeningsLog,
        progress: Progress | None = None,
        fraction_bits: int = fixed.FRACTION_BITS,
        seed: int = 0,
        minimum_group: int = MINIMUM_GROUP,
        tables: Mapping[str, TableInfo] | None = None,
        parameters: Mapping[str, str | int | float | bool] | None = None,
        store: Path | None = None,
        group: bytes = b"",
    ) -> None:
        self.me = me
        self.protocol = protocol
        self.compute = tuple(compute)
        self.parties = tuple(parties)
        self.declared = declared
        self.fraction_bits = fraction_bits
        self.seed = seed
        """Public seed for public choices such as the order of mini-batches. Never used for masks."""
        self.store = store
        """This party's own folder for shares that outlive the session, or None (``privity run --store``)."""
        self.group = group or _group_of(compute)
        """Hash of who holds the shares: what was saved under another one cannot be loaded."""
        self.minimum_group = minimum_group
        """Cells of aggregates that rest on fewer rows are suppressed (``disclosure.release``); public."""
        self._own = own
        self._channel = channel
        self._gate = gate
        self.log = ledger
        self.tables = dict(tables or {})
        self.parameters = dict(parameters or {})
        """Public values from the job file."""
        self.stages: list[Stage] = []
        self._progress = progress
        self._events = 0
        self._guards: list[tuple[str, Share]] = []
        self.observer: Observer | None = None
        self.tracer: Tracer | None = None

    @property
    def computes(self) -> bool:
        """Whether this party holds shares."""
        return self.me in self.compute

    # -- input -------------------------------------------------------------------------------------------------

    def owners(self, name: str) -> list[str]:
        """Owners that declared an input of this name, in the order of the parties."""
        return [p for p in self.parties if name in self.declared.get(p, {})]

    def secret(self, name: str, owner: str) -> SecureArray:
        """The input ``name`` of ``owner`` as a secret array; its shape, bound and scale are public.

        Raises UsageError if the owner declared no such input. One round; 16 bytes per element from an outside owner.
        """
        from .array import SecureArray

        try:
            known = self.declared[owner][name]
        except KeyError:
            have = ", ".join(f"{o}: {', '.join(d)}" for o, d in self.declared.items() if d) or "none"
            raise UsageError(f"{owner} declared no input {name!r}; declared inputs: {have}") from None
        step = self._next_event()
        values = self._encode_own(name, known) if owner == self.me else None
        if owner in self.compute:
            share = self.protocol.share(self.compute.index(owner), values, known.shape)
        else:
            if values is not None and self._channel is not None:
                self._dealt_by().deal(self._channel, self.compute, step, values)
            share = self.protocol.receive_input(owner, step, known.shape)
        if known.boolean:
            return SecureArray(self, self.protocol.a2bits(share))
        return SecureArray(self, share, known.scale, fixed.reached(known.bound, known.scale))

    def _encode_own(self, name: str, known: Declared) -> Ring:
        own = self._own[name]
        if own.on_share is not None:
            own.on_share()
        what = f"{self.me}: input {name!r}"
        values = np.asarray(own.values)
        if values.dtype.kind in "biu" and known.scale == 0:
            return fixed.encode_integers(values, known.bound, what)
        return fixed.encode(values, known.scale, known.bound, what)

    def constant(self, values: npt.ArrayLike, scale: int | None = None) -> SecureArray:
        """Public values as a secret array (a trivial sharing: everybody knows them)."""
        from .array import SecureArray

        whole = np.asarray(values).dtype.kind in "biu"
        bits = scale if scale is not None else (0 if whole else self.fraction_bits)
        ring, magnitude = fixed.public_constant(values, bits)
        return SecureArray(self, self.protocol.public(ring), bits, magnitude)

    def table(self, name: str) -> Table:
        """The table ``name`` of all owners that brought it, on shares. Raises UsageError if there is none."""
        from .table import read

        if name not in self.tables:
            have = ", ".join(self.tables) or "none"
            raise UsageError(f"the job describes no table {name!r}; tables: {have}")
        return read(self, self.tables[name])

    # -- output ------------------------------------------------------------------------------------------------

    def reveal(self, x: SecureArray, *, to: str | Sequence[str], name: str, reason: str) -> Any:
        """Open ``x``: the one door. Returns the value (NumPy array or number) at the receivers, Withheld elsewhere.

        ``to``: a party, several, or "all". ``name`` must be on the openings list of every compute party.
        Raises OpeningRefused before anything is sent; RangeViolated if a guard failed before.
        """
        receivers = self.parties if to == "all" else (to,) if isinstance(to, str) else tuple(dict.fromkeys(to))
        unknown = [r for r in receivers if r not in self.parties]
        if unknown or not receivers:
            known = ", ".join(self.parties)
            raise UsageError(f"reveal({name!r}): unknown receiver {unknown or '(none)'}; parties: {known}")
        self.check_guards()
        self._gate.permit(name, x.shape, receivers, reason)
        self.log.opened(name, x.shape, receivers, reason)
        value = self._open(x.ring_share(), receivers)
        if value is None and self.observer is not None:
            assumed = self.observer.assumed(name)
            if assumed is not None:
                return np.broadcast_to(np.asarray(assumed), x.shape).copy() if x.shape else assumed
        return Withheld(name, receivers) if value is None else x.decode(value)

    def _open(self, share: Share, receivers: Sequence[str]) -> Ring | None:
        step = self._next_event()
        inside = [i for i, n in enumerate(self.compute) if n in receivers]
        outside = [n for n in receivers if n not in self.compute]
        value = self.protocol.open(share, inside, outside, step)
        if self.me in outside and self._channel is not None:
            return np.asarray(self._dealt_by().collect(self._channel, self.compute, step, share.shape))
        return value

    def _dealt_by(self) -> Any:
        """The protocol that the compute parties run: it says how a party without shares deals and collects."""
        return getattr(self.protocol, "of", type(self.protocol))

    # -- words between the parties -----------------------------------------------------------------------------

    def agreed(self, what: str, mine: bytes) -> bytes:
        """The public bytes that every compute party states, at all parties. Raises HandshakeError if they differ.

        ``mine`` is read at compute parties only; the others are told. One round of small messages.
        """
        told = self.told(mine)
        first = self.compute[0]
        for name, value in told.items():
            if value != told[first]:
                raise HandshakeError(
                    f"{what} differs between {first} and {name}; nothing was computed with it. Bring the same at both"
                )
        return told[first]

    def told(self, mine: bytes) -> dict[str, bytes]:
        """Public bytes that each compute party tells everybody, by party; ``mine`` is not read elsewhere."""
        if self._channel is None:  # planning: nobody else is there
            return dict.fromkeys(self.compute, mine)
        if self.computes:
            for name in self.parties:
                if name != self.me:
                    self._channel.tell(name, Statement(data=mine))
        return {name: mine if name == self.me else self._channel.hear(name, Statement).data for name in self.compute}

    def _next_event(self) -> int:
        self._events += 1
        return OUTSIDE_STEP | self._events

    # -- range -------------------------------------------------------------------------------------------------

    def fits(self, bound: float, scale: int, what: str) -> None:
        """Raise OverflowPlanned, naming the user's line, if values up to ``bound`` at ``scale`` bits pass 62 bits."""
        if not bound * 2.0**scale < 2.0**RANGE_BITS:
            have = math.log2(bound) + scale if bound > 0 and math.isfinite(bound) else math.inf
            raise OverflowPlanned(
                f"{user_line()}: {what} may reach |x| = {bound:.3g} at {scale} fractional bits, which needs {have:.1f} "
                f"bits; at most {RANGE_BITS} fit. State a tighter bound where you know one: x = x.assume_bound(b) "
                "(checked at run time), a smaller bound= at the input, or fewer fractional bits"
            )

    def guard(self, violations: Share, hint: str = "") -> None:
        """Remember a secret count of values outside a stated bound; opened as one 'range ok' flag.

        ``hint``: what it means if the flag is not ok, shown beside the line.
        """
        line = user_line()
        self._guards.append((f"{line} ({hint})" if hint else line, violations))

    def check_guards(self) -> None:
        """Open one flag for all guards set since the last check. Raises RangeViolated naming their lines."""
        if not self._guards:
            return
        lines = sorted({line for line, _ in self._guards})
        total = self._guards[0][1]
        for _, more in self._guards[1:]:
            total = self.protocol.add(total, more)
        self._guards = []
        proto = self.protocol
        flag = proto.b2a(proto.invert(proto.is_zero(total)))
        reason = "values stayed within their stated bounds: " + "; ".join(lines)
        self._gate.permit(RANGE_GUARD, (), self.parties, reason)
        self.log.opened(RANGE_GUARD, (), self.parties, reason)
        opened = self._open(flag, self.parties)
        if opened is not None and int(np.asarray(opened).reshape(-1)[0]) != 0:
            raise RangeViolated(
                "a value left the bound that the program stated at " + " or ".join(lines) + "; results would be wrong. "
                "State a larger bound there, or scale the data"
            )

    # -- stages and progress -----------------------------------------------------------------------------------

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a section of the program: ``with s.stage("training"): ...``; see ``stages`` in the run's report.

        Whoever watches is told its name.
        """
        self.progress(0, 0, name)
        if self.observer is not None:
            self.observer.staged(name, False)
        before = self._spent()
        yield
        if self.observer is not None:
            self.observer.staged(name, True)
        wall, cpu, rounds, sent = (b - a for a, b in zip(before, self._spent(), strict=True))
        self.stages.append(Stage(name, wall, cpu, int(rounds), int(sent)))

    def _spent(self) -> tuple[float, float, int, int]:
        return time.perf_counter(), time.process_time(), *self._sent()

    def _sent(self) -> tuple[int, int]:
        party = self.protocol.party
        sent = self._channel.bytes_sent if self._channel is not None else 0
        return party.rounds if party is not None else 0, sent

    def start_trace(self) -> None:
        """Measure every protocol operation from here on, by the line that asked for it; see ``trace``."""
        from .debug.trace import Tracer

        if self.tracer is None:
            self.tracer = Tracer(self.me, self.protocol, self._sent)

    def trace(self) -> Trace:
        """Rounds, bytes and seconds so far per line of the program and operation: a table and a flame graph.

        Raises UsageError unless the run was started with ``simulate(..., trace=True)`` or ``privity run --trace DIR``.
        """
        if self.tracer is None:
            raise UsageError(
                "this run is not traced; start it with privity.simulate(..., trace=True) or privity run --trace DIR"
            )
        return self.tracer.trace()

    def progress(self, step: int, total: int, note: str = "") -> None:
        """Tell whoever watches how far the program is; ``total`` 0: a stage begins that has no steps yet."""
        if self._progress is not None:
            self._progress.update(step, total, note, *self._sent())


def _group_of(compute: Sequence[str]) -> bytes:
    """For parties that are known by their names only (simulations)."""
    return hashlib.sha256("\n".join(["privity group 1", *compute]).encode()).digest()


_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_PROGRAMS = (_HERE + "demo" + os.sep, _HERE + "bench" + os.sep)


def is_library(file: str) -> bool:
    """Whether a source file belongs to this package; its own programs (demo, bench) count as a user's."""
    return file.startswith(_HERE) and not file.startswith(_PROGRAMS)


def user_line() -> str:
    """File and line of the innermost frame outside this package: the line that the user wrote."""
    frame = sys._getframe(1)
    last = frame
    while frame is not None:
        last = frame
        if not is_library(frame.f_code.co_filename):
            break
        frame = frame.f_back  # type: ignore[assignment]
    return f"{os.path.basename(last.f_code.co_filename)}:{last.f_lineno}"
