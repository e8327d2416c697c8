"""The consortium file: which parties there are, what they do, where they listen and how each is recognised.

    [[party]]
    name = "compute_0"
    roles = ["compute"]
    endpoint = "10.0.0.1:7000"          # compute parties: the others dial them; an owner needs one for set intersection
    fingerprint = "sha256:5f0c..."      # SHA-256 of the certificate's DER bytes
    certificate = "certificates/compute_0.crt"
    key = "certificates/compute_0.key"  # only in the file of the party itself, or for local use

    [party.tables]                      # only at an owner: its tables by name ([party.arrays]: its .npy arrays)
    customers = "data/customers.csv"

A party's own file may also say `minimum_group = 25`: no aggregate of fewer rows is then opened, whatever the job says;
and an owner's `most_comparisons = 3`: so often may a key take part in a linkage or a set intersection (10 if
not said).

Paths are relative to the file. The order of the compute parties is their order in the protocol. The *hash* of a
consortium covers the public part only (names, roles, endpoints, fingerprints), so that it is the same at all parties.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

import msgspec

from ..errors import ConfigError
from ..net.certificates import Certificate, Identity, load_certificate, load_identity
from ..net.tls import Peer, parse_endpoint

Role = Literal["compute", "owner", "receiver"]

NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_FINGERPRINT: Final = re.compile(r"sha256:[0-9a-f]{64}")
_MAX_FILE: Final = 1 << 20

MOST_COMPARISONS: Final = 10
"""How often a key may be compared with those of other owners', unless its owner says otherwise."""


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: str
    roles: tuple[Role, ...]
    fingerprint: str
    certificate: str
    endpoint: str | None = None
    key: str | None = None
    tables: dict[str, str] = {}
    arrays: dict[str, str] = {}
    minimum_group: Annotated[int, msgspec.Meta(ge=0, le=1 << 31)] = 0
    most_comparisons: Annotated[int, msgspec.Meta(ge=0, le=1 << 31)] = MOST_COMPARISONS


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    party: tuple[_Entry, ...]


@dataclass(frozen=True, slots=True)
class Party:
    """One organisation of the consortium. ``key_path`` is None where this host does not hold the party's key.

    minimum_group: fewest rows of an aggregate that this party lets be opened; 0 leaves it to the job. most_comparisons:
    how often one of its keys may be compared with others'.
    """

    name: str
    roles: tuple[Role, ...]
    fingerprint: str
    certificate_path: Path
    endpoint: str | None = None
    key_path: Path | None = None
    tables: dict[str, Path] = field(default_factory=dict)
    arrays: dict[str, Path] = field(default_factory=dict)
    minimum_group: int = 0
    most_comparisons: int = MOST_COMPARISONS


@dataclass(frozen=True, slots=True)
class Consortium:
    """The parties, in the order of the file, and the file they came from (for error messages)."""

    parties: tuple[Party, ...]
    path: Path

    @property
    def names(self) -> tuple[str, ...]:
        """All parties, in the order of the file."""
        return tuple(party.name for party in self.parties)

    @property
    def compute(self) -> tuple[str, ...]:
        """Names of the compute parties, in the order of the file, which is their order in the protocol."""
        return self._with("compute")

    @property
    def owners(self) -> tuple[str, ...]:
        """Names of the parties that contribute data."""
        return self._with("owner")

    @property
    def receivers(self) -> tuple[str, ...]:
        """Names of the parties to which results may be opened."""
        return self._with("receiver")

    def party(self, name: str) -> Party:
        """The party called ``name``. Raises ConfigError listing the names there are."""
        for party in self.parties:
            if party.name == name:
                return party
        raise ConfigError(f"{self.path}: no party {name!r}; there are {', '.join(self.names)}")

    def hash(self) -> bytes:
        """SHA-256 over names, roles, endpoints and fingerprints, in order: 32 bytes, compared in every handshake."""
        digest = hashlib.sha256(b"privity consortium 1")
        for party in self.parties:
            for part in (party.name, ",".join(sorted(party.roles)), party.endpoint or "", party.fingerprint):
                encoded = part.encode()
                digest.update(len(encoded).to_bytes(4, "big") + encoded)
        return digest.digest()

    def holders(self) -> bytes:
        """SHA-256 over names and fingerprints of the compute parties, in order: who holds the shares of a session."""
        digest = hashlib.sha256(b"privity group 1")
        for name in self.compute:
            for part in (name, self.party(name).fingerprint):
                encoded = part.encode()
                digest.update(len(encoded).to_bytes(4, "big") + encoded)
        return digest.digest()

    def certificate(self, name: str) -> Certificate:
        """The pinned certificate of a party. Raises ConfigError if the file does not have the pinned fingerprint."""
        party = self.party(name)
        certificate = load_certificate(party.certificate_path)
        if certificate.fingerprint != party.fingerprint:
            raise ConfigError(
                f"{self.path}: expected the certificate of {name} to have fingerprint {party.fingerprint}, "
                f"{party.certificate_path} has {certificate.fingerprint}; ask {name} which of the two is right"
            )
        return certificate

    def identity(self, me: str) -> Identity:
        """Certificate and key of the party that runs here. Raises ConfigError if there is no key or it does not fit."""
        party = self.party(me)
        if party.key_path is None:
            raise ConfigError(
                f'{self.path}: party {me} runs here and needs its private key; add `key = "..."` to its entry'
            )
        self.certificate(me)
        return load_identity(me, party.certificate_path, party.key_path)

    def links(self, me: str) -> tuple[tuple[Peer, ...], tuple[Peer, ...]]:
        """Whom ``me`` dials and who dials ``me``.

        Compute parties dial those before them in the file; everybody else dials every compute party.
        """
        self.party(me)
        compute = self.compute
        if me not in compute:
            return tuple(self._peer(name) for name in compute), ()
        at = compute.index(me)
        others = tuple(party.name for party in self.parties if party.name not in compute)
        return tuple(self._peer(n) for n in compute[:at]), tuple(self._peer(n) for n in compute[at + 1 :] + others)

    def pair(self, me: str, peer: str) -> tuple[tuple[Peer, ...], tuple[Peer, ...]]:
        """Whom ``me`` dials and who dials it when two owners meet: the first in the file that has an endpoint listens.

        Raises ConfigError if they are not two owners or neither has an endpoint.
        """
        for name in (me, peer):
            if "owner" not in self.party(name).roles:
                raise ConfigError(f"{self.path}: {name} is no owner; there are {', '.join(self.owners) or 'none'}")
        if me == peer:
            raise ConfigError(f"{self.path}: {me} cannot meet itself; name another owner")
        listening = [p.name for p in self.parties if p.name in (me, peer) and p.endpoint is not None]
        if not listening:
            raise ConfigError(
                f"{self.path}: neither {me} nor {peer} has an endpoint, so none can listen; add to one of the two, in "
                'the files of all parties, a line such as endpoint = "10.0.0.5:7100"'
            )
        return ((), (self._peer(peer),)) if listening[0] == me else ((self._peer(peer),), ())

    def _peer(self, name: str) -> Peer:
        return Peer(name, self.certificate(name), self.party(name).endpoint)

    def _with(self, role: Role) -> tuple[str, ...]:
        return tuple(party.name for party in self.parties if role in party.roles)


def load_consortium(path: Path) -> Consortium:
    """Read and check a consortium file. Raises ConfigError naming the file and the place in it.

    Certificates and keys are read only when ``links`` or ``identity`` needs them.
    """
    try:
        if path.stat().st_size > _MAX_FILE:
            raise ConfigError(f"{path} is larger than {_MAX_FILE} bytes; is this a consortium file?")
        file = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8-sig")), type=_File, strict=True)
    except OSError as error:
        raise ConfigError(
            f"cannot read the consortium file {path}: {error.strerror}; make one with `privity consortium init`"
        ) from None
    except msgspec.ValidationError as error:
        known = f"; expected some of {', '.join(get_args(Role))}" if "Invalid enum value" in str(error) else ""
        raise ConfigError(f"{path}: {error}{known}") from None
    except (ValueError, RecursionError) as error:  # TOML's own errors, those of UTF-8, numbers of thousands of digits
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    folder = path.resolve().parent
    parties = tuple(
        Party(
            name=entry.name,
            roles=entry.roles,
            fingerprint=entry.fingerprint.lower(),
            certificate_path=folder / entry.certificate,
            endpoint=entry.endpoint,
            key_path=None if entry.key is None else folder / entry.key,
            tables={name: folder / table for name, table in entry.tables.items()},
            arrays={name: folder / array for name, array in entry.arrays.items()},
            minimum_group=entry.minimum_group,
            most_comparisons=entry.most_comparisons,
        )
        for entry in file.party
    )
    consortium = Consortium(parties, path)
    _validate(consortium)
    return consortium


def check_name(name: str, where: str) -> None:
    """Raises ConfigError unless ``name`` may name a party: lower-case letter, then letters, digits, '_' or '-'."""
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"{where}: {name!r} cannot name a party; use a lower-case letter, then up to 62 of a-z, 0-9, '_' and '-'"
        )


def _validate(consortium: Consortium) -> None:
    seen: dict[str, str] = {}
    for index, party in enumerate(consortium.parties):
        where = f"{consortium.path}: party[{index}]"
        check_name(party.name, where)
        if not party.roles:
            raise ConfigError(f"{where} ({party.name}): no roles; expected some of compute, owner, receiver")
        if not _FINGERPRINT.fullmatch(party.fingerprint):
            raise ConfigError(f"{where} ({party.name}): fingerprint must be 'sha256:' and 64 hexadecimal digits")
        if "compute" in party.roles and party.endpoint is None:
            raise ConfigError(f'{where} ({party.name}): a compute party needs an endpoint, as in "10.0.0.1:7000"')
        if party.endpoint is not None:
            if not {"compute", "owner"} & set(party.roles):
                raise ConfigError(
                    f"{where} ({party.name}): only compute parties and owners listen; remove its endpoint"
                )
            try:
                if parse_endpoint(party.endpoint)[1] == 0:
                    raise ConfigError(f"endpoint {party.endpoint!r} has port 0; give the port that the others dial")
            except ConfigError as error:
                raise ConfigError(f"{where} ({party.name}): {error}") from None
        for what, value in (("name", party.name), ("fingerprint", party.fingerprint), ("endpoint", party.endpoint)):
            if value is not None and seen.setdefault(value, party.name) != party.name:
                raise ConfigError(f"{where} ({party.name}): {what} {value} is also that of {seen[value]}")
    names = [party.name for party in consortium.parties]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"{consortium.path}: two parties are called {twice}; names must differ")
    if not consortium.compute:
        raise ConfigError(f'{consortium.path}: no compute party; give one the role "compute"')
