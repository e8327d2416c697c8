"""What owners say they will bring, compared with the job before anything is shared or memory is given to it.

A declaration comes from outside, and compute parties make room for what it says. So nothing of it is believed: a
table's inputs must be exactly those of the schema in the job, for one number of rows; an array must have the bound and
scale that the job states; nothing else may be brought, and nobody brings more than ``most_elements`` numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from ..errors import HandshakeError
from ..inputs import Declared
from ..net.wire import InputDeclaration, printable
from ..table import TableInfo, table_shapes
from ..types import RANGE_BITS
from .job import ArraySpec, JobSpec

_MOST_AXES = 32


@dataclass(frozen=True, slots=True)
class Declarations:
    """What the job lets ``owners`` bring. ``tables``: the job's schemas, as sessions know them."""

    job: JobSpec
    tables: Mapping[str, TableInfo] = field(default_factory=dict)
    owners: Sequence[str] = ()

    def check(self, owner: str, inputs: Iterable[InputDeclaration]) -> dict[str, Declared]:
        """The inputs of one owner, by name. Raises HandshakeError naming owner, input, what was expected, what came."""
        found: dict[str, Declared] = {}
        for said in inputs:
            if said.name in found:
                raise _refused(owner, said.name, "each input once", "it twice")
            found[said.name] = _sound(owner, said)
        if found and owner not in self.owners:
            raise _refused(owner, next(iter(found)), f"inputs of owners only ({', '.join(self.owners)})", "one of it")
        rest = self._check_tables(owner, found)
        for name in rest:
            if name not in self.job.arrays:
                have = ", ".join(map(repr, [*self.tables, *self.job.arrays])) or "no table and no array"
                raise _refused(owner, name, f"what the job describes ({have})", "something else")
            self._check_array(owner, name, found[name], self.job.arrays[name])
        elements = sum(prod(d.shape) for d in found.values())
        if elements > self.job.most_elements:
            largest = max(found, key=lambda name: prod(found[name].shape))
            raise _refused(
                owner, largest, f"at most {self.job.most_elements:,} numbers in all inputs of one owner",
                f"{elements:,}, of which {prod(found[largest].shape):,} in this one",
                "If that is meant, state most_elements in the job file",
            )  # fmt: skip
        return found

    def _check_tables(self, owner: str, found: Mapping[str, Declared]) -> list[str]:
        """Compares the inputs that belong to a table; the names of the others."""
        parts: dict[str, dict[str, Declared]] = {}
        rest = []
        for name, said in found.items():
            table = name.rpartition(".")[0]
            if table in self.tables and name not in self.job.arrays:
                parts.setdefault(table, {})[name] = said
            else:
                rest.append(name)
        for table, brought in parts.items():
            info = self.tables[table]
            if info.owners is not None and owner not in info.owners:
                raise _refused(owner, f"{table}", f"this table of {', '.join(info.owners)} only", f"it from {owner}")
            moments = f"{table}.moments"  # the one whose first axis are not rows
            rows = next((d.shape[0] for name, d in brought.items() if name != moments and d.shape), 0)
            expected = table_shapes(info, rows)
            for name in expected:
                if name not in brought:
                    raise _refused(owner, name, f"it with the rest of table {table!r}", "none")
            for name, said in brought.items():
                if name not in expected:
                    raise _refused(owner, name, f"for table {table!r}: {', '.join(expected)}", "another one")
                if said != expected[name]:
                    raise _refused(owner, name, f"by the job's schema {_words(expected[name])}", _words(said))
        return rest

    def _check_array(self, owner: str, name: str, said: Declared, spec: ArraySpec) -> None:
        scales = {0, self.job.fraction_bits} if spec.scale is None else {spec.scale}
        if said.bound != spec.bound or said.scale not in scales:
            bits = " or ".join(map(str, sorted(scales)))
            raise _refused(owner, name, f"by the job a bound of {spec.bound:g} at {bits} fractional bits", _words(said))


def _sound(owner: str, said: InputDeclaration) -> Declared:
    """A declaration that could be kept at all."""
    if said.bound is None or not math.isfinite(said.bound) or said.bound < 0:
        raise _refused(owner, said.name, "a finite bound that is not negative", f"the bound {said.bound}")
    if not 0 <= said.scale < RANGE_BITS or not said.bound * 2.0**said.scale < 2.0**RANGE_BITS:
        came = f"the bound {said.bound:g} at {said.scale} fractional bits"
        raise _refused(owner, said.name, f"numbers of at most {RANGE_BITS} bits", came)
    if said.boolean and said.scale:
        raise _refused(owner, said.name, "booleans without fractional bits", f"{said.scale} of them")
    if len(said.shape) > _MOST_AXES or any(size < 0 for size in said.shape):
        raise _refused(owner, said.name, f"a shape of at most {_MOST_AXES} axes", f"the shape {tuple(said.shape)}")
    longest = max(said.shape, default=0)
    if longest > 1 << 40:  # an array without elements takes no memory, but has to have a shape that arrays can have
        raise _refused(owner, said.name, "axes of at most 2^40", f"one of {longest}")
    return Declared(tuple(said.shape), float(said.bound), said.scale, said.boolean)


def _words(said: Declared) -> str:
    kind = "booleans" if said.boolean else f"|x| <= {said.bound:g} at {said.scale} fractional bits"
    return f"the shape {said.shape}, {kind}"


def _refused(owner: str, name: str, expected: str, came: str, next_step: str = "") -> HandshakeError:
    step = next_step or "Compare the owner's files and version with the job"
    return HandshakeError(
        f"{owner}: input {printable(name, 80)!r}: expected {expected}, came {came}. Nothing was shared. {step}"
    )
