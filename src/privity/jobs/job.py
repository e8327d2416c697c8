"""A job file: what is computed on which columns and what may be opened. Every party reads its own copy.

The files' hashes are compared in the handshake, so a party with another list of openings, another schema or another
program never gets a share.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from ..errors import ConfigError
from ..mpc.rep3_bits import Adder
from ..openings import MINIMUM_GROUP, RANGE_GUARD, RANGE_GUARDS
from ..ring.fixed import FRACTION_BITS
from ..types import Opening
from .program import load_program as load_program

Count = Annotated[int, msgspec.Meta(ge=0)]

MOST_ELEMENTS = 1 << 28
"""Numbers that one owner may bring to a job unless it says otherwise: 4 GiB of shares at each compute party."""


class OpeningSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line ``[[openings]]``: name, shape, receivers (party names, or "owners", "compute", "all") and count."""

    name: str
    to: list[str] | str
    shape: tuple[Count, ...] = ()
    count: Annotated[int, msgspec.Meta(ge=1)] = 1


class ArraySpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[arrays.NAME]``: an array that owners bring as a .npy file; public bound on |x| and fractional bits."""

    bound: float
    scale: Annotated[int, msgspec.Meta(ge=0, le=60)] | None = None


class LinkSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[link]``: the network between the compute parties, so that circuits are chosen for it.

    rtt_ms: round-trip time. bandwidth_mbit: what one party can send, in Mbit/s. Public, the same at all parties.
    """

    rtt_ms: Annotated[float, msgspec.Meta(ge=0)]
    bandwidth_mbit: Annotated[float, msgspec.Meta(gt=0)]

    @property
    def adder(self) -> Adder:
        """The cost model of comparisons on this link."""
        return Adder(one_way_s=self.rtt_ms / 2000, bytes_per_s=self.bandwidth_mbit * 125e3)


class JobSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A parsed job file. ``tables`` holds the raw schemas by name; ``data.schema`` validates them.

    arrays: inputs other than tables. parameters: public values that the program reads as ``session.parameters``.
    fraction_bits: fractional bits of reals. seed: of public choices, such as the order of rows. exact: round every
    truncation to nearest (slower). link: the network, if it is not one machine or a fast local network.
    guards: how many range flags may be opened (one bit each). minimum_group: fewest rows that an opened aggregate may
    rest on; a party may state a higher one in its consortium file, and the highest counts. internals: the program may
    reach below Privity's public names, so that more than the openings list says may leave it (see
    docs/security/programs.md). most_elements: numbers in all inputs of one owner together, for which compute parties
    make room. plan: public sizes for ``privity plan``, owner -> table or array -> rows or shape; a run does not use
    them.
    """

    name: str
    openings: list[OpeningSpec] = []
    tables: dict[str, dict[str, Any]] = {}
    arrays: dict[str, ArraySpec] = {}
    parameters: dict[str, str | int | float | bool] = {}
    fraction_bits: Annotated[int, msgspec.Meta(ge=8, le=26)] = FRACTION_BITS
    seed: int = 0
    exact: bool = False
    link: LinkSpec | None = None
    guards: Count = RANGE_GUARDS
    minimum_group: Annotated[int, msgspec.Meta(ge=1, le=1 << 31)] = MINIMUM_GROUP
    internals: bool = False
    most_elements: Annotated[int, msgspec.Meta(ge=1, le=1 << 40)] = MOST_ELEMENTS
    plan: dict[str, dict[str, Count | list[Count]]] = {}

    @property
    def digest(self) -> bytes:
        """SHA-256 over a canonical form: equal if and only if two parties' job files say the same."""
        return hashlib.sha256(b"privity job 1\n" + msgspec.json.encode(self, order="deterministic")).digest()

    def openings_for(self, parties: Sequence[str], compute: Sequence[str], owners: Sequence[str]) -> list[Opening]:
        """The openings list with groups spelt out. Raises ConfigError for an unknown party or a repeated name."""
        groups = {"all": tuple(parties), "compute": tuple(compute), "owners": tuple(owners)}
        result: list[Opening] = []
        for line in self.openings:
            to = groups.get(line.to, (line.to,)) if isinstance(line.to, str) else tuple(line.to)
            unknown = [name for name in to if name not in parties]
            if unknown:
                raise ConfigError(
                    f"job {self.name!r}: opening {line.name!r} goes to {', '.join(unknown)}, which the consortium does "
                    f"not have; its parties: {', '.join(parties)} (or the groups all, compute, owners)"
                )
            if line.name == RANGE_GUARD:
                raise ConfigError(
                    f"job {self.name!r}: the name {RANGE_GUARD!r} is that of the session's own flags; list openings "
                    "under other names (guards = N says how often the flags may be opened)"
                )
            if any(o.name == line.name for o in result):
                raise ConfigError(f"job {self.name!r}: opening {line.name!r} is listed twice; give one a count instead")
            result.append(Opening(line.name, tuple(line.shape), to, line.count))
        return result


def load_job(path: Path) -> JobSpec:
    """Read a TOML job file. Raises ConfigError with the file and field."""
    try:
        raw = tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"no job file at {path}; write one beside the program, or name it with --job") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the job file {path}: {error}") from None
    except (ValueError, RecursionError) as error:  # TOML's own errors, and numbers of thousands of digits
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    try:
        return msgspec.convert(raw, JobSpec)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}{_hint(str(error))}") from None


def _hint(message: str) -> str:
    """For an unknown field, the known one that it resembles."""
    unknown = re.search("unknown field `(.*?)`", message)
    if unknown is None:
        return ""
    kinds: tuple[type[msgspec.Struct], ...] = (JobSpec, OpeningSpec, ArraySpec, LinkSpec)
    known = [field for kind in kinds for field in kind.__struct_fields__]
    close = difflib.get_close_matches(unknown[1], known, n=1)
    return f"; did you mean `{close[0]}`?" if close else ""
