"""What a program gets: a session, a facade without protocol, channel, gate and shares.

The state behind it is the ``Context`` (context.py), on which Privity's own functions work. What a facade can and cannot
keep a program from is on the page docs/security/programs.md: programs are reviewed, not fenced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NoReturn

import numpy.typing as npt

from . import words
from .context import Context, Stage
from .errors import UsageError
from .inputs import Declared, Input
from .openings import Withheld

if TYPE_CHECKING:
    from .array import SecureArray
    from .debug.trace import Trace
    from .table import Table, TableInfo

__all__ = ["Declared", "Input", "Session", "Stage", "Withheld", "context_of"]

_INSIDE: Final = {"protocol", "party", "channel", "gate", "log", "guard", "fits", "told", "agreed", "own", "store"}


class Session:
    """Built by ``privity.simulate`` or ``privity run``; a program receives it as its only argument."""

    __slots__ = ("_context",)

    def __init__(self, context: Context) -> None:
        self._context = context

    def __getattr__(self, name: str) -> NoReturn:
        if name in _INSIDE:
            raise UsageError(
                f"a program has no access to the session's {name}; values are opened with session.reveal, and what a "
                "program may use is in docs/api.md"
            )
        raise words.unknown("a session", name, words.public_names(Session), {}, "what it has is in docs/api.md")

    def __repr__(self) -> str:
        return f"Session({self.me})"

    # -- what is public ----------------------------------------------------------------------------------------

    @property
    def me(self) -> str:
        """The party at which this runs."""
        return self._context.me

    @property
    def parties(self) -> tuple[str, ...]:
        """All parties, compute parties first in simulations, in the order of the consortium file else."""
        return self._context.parties

    @property
    def compute(self) -> tuple[str, ...]:
        """The compute parties."""
        return self._context.compute

    @property
    def computes(self) -> bool:
        """Whether this party holds shares."""
        return self._context.computes

    @property
    def declared(self) -> Mapping[str, Mapping[str, Declared]]:
        """What everybody brings: owner -> name of the input -> shape, bound and scale."""
        return MappingProxyType({owner: MappingProxyType(dict(d)) for owner, d in self._context.declared.items()})

    @property
    def fraction_bits(self) -> int:
        """Fractional bits of reals."""
        return self._context.fraction_bits

    @property
    def seed(self) -> int:
        """Public seed for public choices such as the order of mini-batches. Never used for masks."""
        return self._context.seed

    @property
    def minimum_group(self) -> int:
        """Cells of aggregates that rest on fewer rows are suppressed (``disclosure.release``)."""
        return self._context.minimum_group

    @property
    def tables(self) -> Mapping[str, TableInfo]:
        """The tables that the job describes."""
        return MappingProxyType(self._context.tables)

    @property
    def parameters(self) -> Mapping[str, str | int | float | bool]:
        """Public values from the job file."""
        return MappingProxyType(self._context.parameters)

    @property
    def stages(self) -> list[Stage]:
        """What the sections of the program have cost so far."""
        return list(self._context.stages)

    @property
    def opened(self) -> list[dict[str, Any]]:
        """What was opened so far, in order: name, shape, receivers and reason of each."""
        return [dict(entry) for entry in self._context.log.entries]

    # -- input -------------------------------------------------------------------------------------------------

    def owners(self, name: str) -> list[str]:
        """Owners that declared an input of this name, in the order of the parties."""
        return self._context.owners(name)

    def secret(self, name: str, owner: str) -> SecureArray:
        """The input ``name`` of ``owner`` as a secret array; its shape, bound and scale are public.

        Raises UsageError if the owner declared no such input. One round; 16 bytes per element from an outside owner.
        """
        return self._context.secret(name, owner)

    def constant(self, values: npt.ArrayLike, scale: int | None = None) -> SecureArray:
        """Public values as a secret array (a trivial sharing: everybody knows them)."""
        return self._context.constant(values, scale)

    def table(self, name: str) -> Table:
        """The table ``name`` of all owners that brought it, on shares. Raises UsageError if there is none."""
        return self._context.table(name)

    # -- public numbers ----------------------------------------------------------------------------------------

    def agree(self, value: Any, *, tolerance: float | None = None) -> Any:
        """Public numbers of the program's own, the same in every bit at all parties: those of the first compute party.

        ``np.exp``, sums, matrix products and models of other libraries have other last digits on other processors;
        where such numbers meet secrets the session would end at the next opening. ``value``: a number or an array. Each
        party computes it and checks the first one's: same shape, finite, and within ``tolerance`` * max(1, |x|) of its
        own (None: 2^-40 for float64, 2^-18 for float32, 2^-8 for float16; integers must be equal). One message of 8
        bytes an element from the first compute party to every other party. Raises NumbersDiffer; and UsageError once
        something was opened to the first compute party and not to all, which its numbers could carry to the others.
        """
        return self._context.agree(value, tolerance=tolerance)

    # -- output ------------------------------------------------------------------------------------------------

    def reveal(self, x: SecureArray, *, to: str | Sequence[str], name: str, reason: str) -> Any:
        """Open ``x``: the one door. Returns the value (NumPy array or number) at the receivers, Withheld elsewhere.

        ``to``: a party, several, or "all". ``name`` must be on the openings list of every compute party.
        Raises OpeningRefused before anything is sent; RangeViolated if a guard failed before.
        """
        return self._context.reveal(x, to=to, name=name, reason=reason)

    def check_guards(self) -> None:
        """Open one flag for all guards set since the last check. Raises RangeViolated naming their lines.

        A failed guard ends the session: whatever is asked of it later raises the same again.
        """
        self._context.check_guards()

    # -- stages and progress -----------------------------------------------------------------------------------

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a section of the program: ``with s.stage("training"): ...``; see ``stages`` in the run's report.

        Whoever watches is told its name.
        """
        with self._context.stage(name):
            yield

    def progress(self, step: int, total: int, note: str = "") -> None:
        """Tell whoever watches how far the program is; ``total`` 0: a stage begins that has no steps yet."""
        self._context.progress(step, total, note)

    def trace(self) -> Trace:
        """Rounds, bytes and seconds so far per line of the program and operation: a table and a flame graph.

        Raises UsageError unless the run was started with ``simulate(..., trace=True)`` or ``privity run --trace DIR``.
        """
        return self._context.trace()


def context_of(session: Session | Context) -> Context:
    """What is behind a program's session; for Privity's own functions."""
    return session._context if isinstance(session, Session) else session
