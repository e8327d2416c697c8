"""The context of a session: the connected state of one job at one party, with its protocol, channel, gate and log.

The same program runs at every party. Compute parties hold shares; owners and receivers that do not compute run it on
shapes, deal their own inputs and collect what is opened to them. ``reveal`` is the only door to a value. Privity's own
functions work on this; a program holds the facade in session.py, which has no shares, protocol or channel.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from typing import Protocol as Interface

import numpy as np
import numpy.typing as npt

from . import common_numbers
from .errors import HandshakeError, OverflowPlanned, PrivityError, RangeViolated, UsageError
from .inputs import Declared, Input
from .lines import user_line
from .mpc.permits import Permit
from .mpc.protocol import Protocol
from .mpc.shares import Share
from .net.wire import Statement
from .openings import MINIMUM_GROUP, RANGE_GUARD, OpeningsLog, Withheld
from .ring import exact, fixed
from .terms import Terms
from .types import RANGE_BITS, Channel, Progress, Ring
from .words import near

if TYPE_CHECKING:
    from .array import SecureArray
    from .debug.trace import Trace, Tracer
    from .session import Session
    from .table import Table, TableInfo

OUTSIDE_STEP = 1 << 31  # messages with owners and receivers are numbered apart from the compute parties' rounds


_BEYOND = "a value left the bound that the program stated at"
_UNTRUE = "what the program needs does not hold at"
_EITHER = "what the program stated or needs does not hold at"
_MOST_BOUNDS = 3  # bare bounds of one line that a message lists
_ADVICE = " State a larger bound where |x| is asked, or scale the data"
_RANGE = 2.0**RANGE_BITS
_ARRAYS = (np.ndarray, np.generic)
_READABLE = (slice, int, float, str, list)  # public numbers of which the text says all


@dataclass(frozen=True, slots=True)
class Stage:
    """What one section of a program cost at one party: seconds of wall and CPU time, rounds, bytes sent."""

    name: str
    wall_s: float
    cpu_s: float
    rounds: int
    bytes_sent: int


class Observer(Interface):
    """Told of every secret array and stage: how simulations and plans look on. Sessions of real runs have none."""

    def created(self, x: SecureArray) -> None: ...

    def staged(self, name: str, ended: bool) -> None: ...

    def assumed(self, name: str) -> Any:
        """A value to go on with for an opening that gives none here (planning), or None."""
        ...


class Gate(Interface):
    """Gives leave for openings: a permit for one value and its receivers, or OpeningRefused."""

    def permit(self, value: Share, name: str, to: tuple[str, ...], reason: str) -> Permit: ...

    def guard(self, flag: Share, to: tuple[str, ...]) -> Permit:
        """For the one flag that the session made of its range guards, and nothing else."""
        ...

    def receivers(self) -> list[str] | None:
        """To whom something may still be opened; None: to everybody."""
        ...


class Ended:
    """Stands for the protocol of a session that has ended: every use raises what ended it."""

    party = None

    def __init__(self, error: PrivityError) -> None:
        self._error = error

    def __getattr__(self, name: str) -> NoReturn:
        raise self._error


class Context:
    """Built by ``privity.simulate`` or ``privity run``. Programs get a ``Session``, a facade over it."""

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
        certificates: Mapping[str, str] | None = None,
    ) -> None:
        self.me = me
        self.protocol = protocol
        self._party = protocol.party
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
        self.certificates = {name: (certificates or {}).get(name, "") for name in self.parties}
        """Fingerprint of each party's certificate; "" where parties are known by their names only."""
        self.loaded: list[Terms] = []
        """Terms of what was loaded so far: they hold for all that is opened and saved from then on."""
        self.minimum_group = minimum_group
        """Cells of aggregates that rest on fewer rows are suppressed (``disclosure.release``); public."""
        self._own = own
        self.channel = channel
        self._gate = gate
        self.log = ledger
        self.tables = dict(tables or {})
        self.parameters = dict(parameters or {})
        """Public values from the job file."""
        self.stages: list[Stage] = []
        self._progress = progress
        self._events = 0
        self._guards: list[tuple[str, str, Share]] = []
        self._ended: PrivityError | None = None
        self.observer: Observer | None = None
        self.tracer: Tracer | None = None
        self.numbers = common_numbers.watch(self)

    def __repr__(self) -> str:
        return f"Context({self.me})"

    @property
    def session(self) -> Session:
        """What a program gets to see of this."""
        from .session import Session

        return Session(self)

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

        self.going_on()
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
            if values is not None and self.channel is not None:
                self._dealt_by().deal(self.channel, self.compute, step, values)
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

        self.going_on()
        if np.asarray(values).dtype.kind not in "biufO":
            raise UsageError(f"expected public numbers, got {str(values)[:40]!r} of dtype {np.asarray(values).dtype}")
        whole = np.asarray(values).dtype.kind in "biu"
        bits = scale if scale is not None else (0 if whole else self.fraction_bits)
        ring, magnitude = fixed.public_constant(values, bits)
        flags = whole and bits == 0 and magnitude <= 1 and bool((np.asarray(values) >= 0).all())
        return SecureArray(self, self.protocol.public(ring), bits, magnitude, flags)

    def table(self, name: str) -> Table:
        """The table ``name`` of all owners that brought it, on shares. Raises UsageError if there is none."""
        from .table import read

        if not isinstance(name, str) or name not in self.tables:
            have = ", ".join(self.tables) or "none"
            raise UsageError(f"the job describes no table {name!r}; tables: {have}")
        return read(self, self.tables[name])

    # -- output ------------------------------------------------------------------------------------------------

    def reveal(self, x: SecureArray, *, to: str | Sequence[str], name: str, reason: str) -> Any:
        """Open ``x``: the one door. Returns the value (NumPy array or number) at the receivers, Withheld elsewhere.

        ``to``: a party, several, or "all". ``name`` must be on the openings list of every compute party.
        Raises OpeningRefused before anything is sent; RangeViolated if a guard failed before.
        """
        from .array import SecureArray
        from .functions.nullable import NullableArray

        name, reason = _text(name, "name"), _text(reason, "reason")
        asked = [_text(r, "to") for r in ((to,) if isinstance(to, str) else to)]
        receivers = self.parties if isinstance(to, str) and asked == ["all"] else tuple(dict.fromkeys(asked))
        unknown = [r for r in receivers if r not in self.parties]
        if unknown or not receivers:
            known = ", ".join(self.parties)
            meant = near(str(unknown[0]), self.parties) if unknown else ""
            raise UsageError(
                f"reveal({name!r}): unknown receiver {unknown or '(none)'}; parties: {known}; or \"all\", or "
                f"s.owners(name) for the owners of an input{meant}"
            )
        if name == RANGE_GUARD:
            raise UsageError(f"reveal: the name {name!r} is that of the session's own flags; open values under another")
        if isinstance(x, NullableArray):
            x = x.opened_as(f"reveal({name!r})")
        if not isinstance(x, SecureArray):
            raise UsageError(
                f"reveal({name!r}): expected a secret array, got {type(x).__name__}; reveal the arrays one by one, "
                "what has a method open() by that, and use public numbers as they are"
            )
        for terms in self.loaded:
            terms.check_opening(name, receivers, self.certificates)
        self.check_guards()
        share = x._ring_share()
        permit = self._gate.permit(share, name, receivers, reason)
        common_numbers.compared(self, lambda: None)
        self.log.opened(name, x.shape, receivers, reason)
        value = self._open(share, receivers, permit)
        if value is None and self.observer is not None:
            assumed = self.observer.assumed(name)
            if assumed is not None:
                return np.broadcast_to(np.asarray(assumed), x.shape).copy() if x.shape else assumed
        if value is None:
            return Withheld(name, receivers)
        shown = x.decode(value)
        self.log.came(shown.copy() if isinstance(shown, np.ndarray) else shown)  # the program may change its own
        return shown

    def _open(self, share: Share, receivers: Sequence[str], permit: Permit) -> Ring | None:
        step = self._next_event()
        inside = [i for i, n in enumerate(self.compute) if n in receivers]
        outside = [n for n in receivers if n not in self.compute]
        value = self.protocol.open(share, inside, outside, step, permit=permit)
        if self.me in outside and self.channel is not None:
            return np.asarray(self._dealt_by().collect(self.channel, self.compute, step, share.shape))
        return value

    def _dealt_by(self) -> Any:
        """The protocol that the compute parties run: it says how a party without shares deals and collects."""
        return getattr(self.protocol, "of", type(self.protocol))

    def accept(self, terms: Terms, what: str) -> None:
        """Take on the terms of what is loaded, or raise ConfigError or OpeningRefused."""
        self.going_on()
        terms.check(what, self.certificates, self.minimum_group, self._gate.receivers())
        self.loaded.append(terms)

    def terms(self, to: str | Sequence[str] | None) -> Terms:
        """Those of what is saved now. ``to`` None: everybody to whom the session may open anything, and the owners.

        Raises UsageError for receivers that the session does not have, or that what it loaded is not for.
        """
        owners = {p: self.certificates[p] for p in self.parties if self.declared.get(p)}
        for terms in self.loaded:
            owners.update(terms.owners)
        allowed = [p for p in self.parties if all(terms.to.get(p) == self.certificates[p] for terms in self.loaded)]
        listed = self._gate.receivers()
        usual = [p for p in allowed if listed is None or p in listed or p in owners]
        chosen = usual if to is None else allowed if to == "all" else [to] if isinstance(to, str) else list(to)
        wrong = [p for p in chosen if p not in allowed]
        if wrong:
            raise UsageError(
                f"to={', '.join(map(str, wrong))}: expected parties of this session that may be told of all it loaded: "
                f"{', '.join(allowed) or 'none'}"
            )
        return Terms(owners, self.minimum_group, {p: self.certificates[p] for p in chosen})
    # -- public numbers ----------------------------------------------------------------------------------------

    def agree(self, value: Any, *, tolerance: float | None = None) -> Any:
        """See ``Session.agree``."""
        return common_numbers.agree(self, value, tolerance)

    def met(self, value: Any) -> None:
        """Note public numbers that secrets meet other than as operands of the protocol: positions, factors."""
        numbers = self.numbers
        if numbers is None:
            return
        if isinstance(value, tuple):
            for each in value:
                self.met(each)
        elif isinstance(value, _ARRAYS):
            numbers.array(b"key", value) if value.ndim else numbers.text(b"key", repr(value.item()))
        elif value is None or value is Ellipsis or isinstance(value, _READABLE):
            numbers.text(b"key", repr(value))

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
        self.going_on()
        if self.channel is None:  # planning: nobody else is there
            return dict.fromkeys(self.compute, mine)
        if self.computes:
            for name in self.parties:
                if name != self.me:
                    self.channel.tell(name, Statement(data=mine))
        return {name: mine if name == self.me else self.channel.hear(name, Statement).data for name in self.compute}

    def _next_event(self) -> int:
        self._events += 1
        return OUTSIDE_STEP | self._events

    # -- range -------------------------------------------------------------------------------------------------

    def fits(self, bound: float, scale: int, what: str) -> None:
        """Raise OverflowPlanned, naming the user's line, if values up to ``bound`` at ``scale`` bits pass 62 bits."""
        if not bound * 2.0**scale < _RANGE:
            have = exact.log2(bound) + scale if bound > 0 and math.isfinite(bound) else math.inf
            raise OverflowPlanned(
                f"{user_line()}: {what} may reach |x| = {bound:.3g} at {scale} fractional bits, which needs {have:.1f} "
                f"bits; at most {RANGE_BITS} fit. State a tighter bound where you know one: x = x.assume_bound(b) "
                "(checked at run time), a smaller bound= at the input, or fewer fractional bits"
            )

    def guard(self, violations: Share, hint: str = "") -> None:
        """Remember a secret count of values outside a stated bound; opened as one 'range ok' flag.

        ``hint``: what must hold of which argument or column, and after a colon what to do if it does not; shown beside
        the line in errors and reports. A bound begins with "|". Public words only.
        """
        self.going_on()
        self._guards.append((user_line(), hint, violations))

    def check_guards(self) -> None:
        """Open one flag for all guards set since the last check. Raises RangeViolated naming their lines.

        A failed guard ends the session at every party: whatever is asked of it later raises the same again, so that no
        program can go on and ask with another bound.
        """
        self.going_on()
        if not self._guards:
            return
        where, what, advice = _asked([(line, hint) for line, hint, _ in self._guards])
        total = self._guards[0][2]
        for _, _, more in self._guards[1:]:
            total = self.protocol.add(total, more)
        proto = self.protocol
        flag = common_numbers.compared(self, lambda: proto.b2a(proto.invert(proto.is_zero(total))))
        reason = "values stayed within their stated bounds: " + "; ".join(where)
        permit = self._gate.guard(flag, self.parties)
        self.log.opened(RANGE_GUARD, (), self.parties, reason)
        opened = self._open(flag, self.parties, permit)
        self._guards = []  # not before: what a refusal left unasked must be asked before anything else is opened
        if opened is not None and int(np.asarray(opened).reshape(-1)[0]) != 0:
            asked = " or ".join(where)
            self.end(RangeViolated(f"{what} {asked}; results would be wrong, so the session has ended.{advice}"))

    def going_on(self) -> None:
        """Raise what ended the session, if it has ended."""
        if self._ended is not None:
            raise self._ended

    def end(self, error: PrivityError) -> NoReturn:
        """End the session: nothing is computed, sent or opened any more."""
        self._ended = error
        if self.protocol.party is not None:
            self.protocol.party.end(error)
        self.protocol = Ended(error)  # type: ignore[assignment]
        self._guards = []
        raise error

    # -- stages and progress -----------------------------------------------------------------------------------

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a section of the program: ``with s.stage("training"): ...``; see ``stages`` in the run's report.

        Whoever watches is told its name.
        """
        self.going_on()
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

    @property
    def rounds(self) -> int:
        """Rounds so far at a compute party, also of a session that has ended; 0 elsewhere."""
        return 0 if self._party is None else self._party.rounds

    def _sent(self) -> tuple[int, int]:
        return self.rounds, self.channel.bytes_sent if self.channel is not None else 0

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
        self.going_on()
        if self._progress is not None:
            self._progress.update(step, total, note, *self._sent())


def _asked(guards: Sequence[tuple[str, str]]) -> tuple[list[str], str, str]:
    """Lines with what was asked there, and how an error begins and ends: pairs of a line and a hint.

    Which guard of several failed nobody knows, so where they are of several kinds it says no more than that one did.
    """
    by_line: dict[str, list[str]] = {}
    for line, hint in sorted(set(guards)):
        by_line.setdefault(line, []).extend([hint] if hint else [])
    where = [f"{line} ({', or '.join(_shortened(hints))})" if hints else line for line, hints in by_line.items()]
    bounds = [hint for _, hint in guards if not hint or hint.startswith("|")]
    advice = any(": " not in hint for hint in bounds)
    begin = _UNTRUE if not bounds else _BEYOND if len(bounds) == len(guards) else _EITHER
    return where, begin, _ADVICE if advice else ""


def _shortened(hints: Sequence[str]) -> list[str]:
    """A line that fits a model asks for many bounds that only the model knows: they become one."""
    bare = [hint for hint in hints if hint.startswith("|x| <= ") and "," not in hint and ": " not in hint]
    if len(bare) <= _MOST_BOUNDS:
        return list(hints)
    values = sorted(float(hint.removeprefix("|x| <= ")) for hint in bare)
    return [h for h in hints if h not in bare] + [f"one of {len(bare)} bounds on |x|, {values[0]:g} to {values[-1]:g}"]


def _text(value: Any, what: str) -> str:
    """A plain string: a class on top of ``str`` could be one name for the list and another one for the log."""
    if not isinstance(value, str):
        raise UsageError(f"reveal: expected {what}= as text, got {type(value).__name__}")
    return str.__str__(value)


def _group_of(compute: Sequence[str]) -> bytes:
    """For parties that are known by their names only (simulations)."""
    return hashlib.sha256("\n".join(["privity group 1", *compute]).encode()).digest()
