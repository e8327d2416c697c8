"""A run plans first: what its program cannot do is refused before any owner shares anything.

Once all parties know what everybody brings, each runs the program on shapes (debug/plan.py): an opening that the list
does not name, a value that leaves 62 bits by its bounds, shapes that do not fit, and more memory than this machine has.
A plan goes as far as the program can go without data: one that computes with what it opened is planned up to there.

It is loaded afresh for it and again afterwards, so that nothing which it keeps in its own module is seen by the run;
what it prints there is not shown, and ``session.me`` is "(planning)". It may take a second of this process's time, and
a tenth of what the run is estimated to take so far, and never more than five; then the run begins. That is asked after
every 64 operations on secret arrays: what the program computes without them is done twice, however long it takes.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..debug.plan import Limits, OutOfMemory, plan
from ..errors import OpeningRefused, OverflowPlanned, PrivityError, ShapeError
from ..inputs import Declared
from ..session import Session
from ..table import TableInfo
from .consortium import Consortium
from .job import JobSpec

LEAST_S: Final = 1.0
SHARE: Final = 0.1
MOST_S: Final = 5.0

_KNOWN: Final = (OpeningRefused, OverflowPlanned, ShapeError, OutOfMemory)
"""What a plan finds that the run would meet as well. Anything else is left to the run."""
_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """``load``: the program, imported anew each time. memory_bytes: what this party's process may use (0: anything)."""

    load: Callable[[], Callable[[Session], Any]]
    memory_bytes: int = 0

    def check(
        self,
        job: JobSpec,
        consortium: Consortium,
        tables: Mapping[str, TableInfo],
        declared: Mapping[str, Mapping[str, Declared]],
        minimum_group: int,
    ) -> None:
        """Raises OpeningRefused, OverflowPlanned, ShapeError or OutOfMemory for what the run would meet."""
        compute, names = consortium.compute, consortium.names
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                plan(
                    self.load(),
                    inputs=declared,
                    parties=compute,
                    receivers=names,
                    openings=job.openings_for(names, compute, consortium.owners),
                    exact=job.exact,
                    adder=job.link.adder if job.link is not None else None,
                    guards=job.guards,
                    fraction_bits=job.fraction_bits,
                    seed=job.seed,
                    minimum_group=minimum_group,
                    tables=tables,
                    parameters=job.parameters,
                    limits=Limits(time.thread_time, LEAST_S, SHARE, MOST_S, self.memory_bytes),
                )
        except _KNOWN as error:
            kind = next(each for each in _KNOWN if isinstance(error, each))  # not a class that the program made of one
            raise kind(f"{error}. Found by the plan, before anything was shared") from error
        except PrivityError:
            return


def memory_here() -> int:
    """Bytes of memory that processes of this machine, or of this container, may use together."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):
        total = min(total, int(_LIMIT.read_text("ascii")))
    return total
