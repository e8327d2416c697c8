"""Makes a consortium for trying out (certificates, keys, consortium file, all or nothing), or one party's own key."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from ..errors import ConfigError
from ..net.certificates import Identity, make_certificate
from ..net.tls import listen, parse_endpoint
from .consortium import Consortium, Role, check_name, load_consortium

FILE_NAME: Final = "consortium.toml"
CERTIFICATES: Final = "certificates"

FOR_TRYING_OUT: Final = (
    "This consortium is for trying out: the keys of all parties were made here, so whoever holds this folder, or held "
    "it, can be every one of them and read every secret.",
    "For real data each party makes its own key on its own host: privity consortium key NAME FOLDER",
    "It keeps the .key file there, and gives the others the block that the command prints and the .crt file; the "
    "blocks of all parties, in one order, are everybody's consortium file.",
)
"""Said at each founding, and in the file."""


def init_consortium(
    folder: Path,
    compute: Sequence[str],
    owners: Sequence[str] = (),
    receivers: Sequence[str] = (),
    *,
    host: str = "127.0.0.1",
    ports: Sequence[int] | None = None,
    listening: Sequence[str] = (),
    days: float = 365.0,
    overwrite: bool = False,
) -> Consortium:
    """Write ``folder/consortium.toml`` with fresh certificates and keys, and return what it says.

    A name may stand in several lists. ``ports`` are those of the compute parties; None chooses free ones (another
    program may take them later: where all parties start at once, hand each its socket instead). ``listening``
    names owners that get an endpoint too, at free ports, for set intersections. Certificates are valid for
    ``days``. The consortium file is put in place last and in one step. Raises ConfigError if it exists and
    ``overwrite`` is not set, for bad names or ports, and if something cannot be written.
    """
    names = list(dict.fromkeys([*compute, *owners, *receivers]))
    target = folder / FILE_NAME
    for name in names:
        check_name(name, str(target))
    for group in (compute, owners, receivers):
        twice = [name for name in names if group.count(name) > 1]
        if twice:
            raise ConfigError(f"{target}: {twice[0]} was named twice for one role; parties need names of their own")
    if not compute:
        raise ConfigError(f"{target}: no compute party was named; three are needed for the default protocol")
    if ports is not None and len(ports) != len(compute):
        raise ConfigError(f"{target}: {len(compute)} compute parties need as many ports, came {len(ports)}")
    if target.exists() and not overwrite:
        raise ConfigError(
            f"{target} exists already; choose another folder, or replace it and all keys beside it with --overwrite"
        )
    also = [name for name in owners if name in listening and name not in compute]
    given = list(ports or ())
    chosen = given + free_ports(host, len(compute) + len(also) - len(given))
    endpoints = {name: f"{host}:{port}" for name, port in zip([*compute, *also], chosen, strict=True)}
    members: dict[str, Sequence[str]] = {"compute": compute, "owner": owners, "receiver": receivers}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".consortium-", dir=folder))
    except OSError as error:
        raise ConfigError(f"cannot write into {folder}: {error.strerror}") from None
    try:
        blocks = []
        for name in names:
            identity = make_certificate(name, staging / CERTIFICATES, days=days)
            roles = [role for role, group in members.items() if name in group]
            blocks.append(_block(identity, roles, endpoints.get(name)))
        head = "".join(f"# {line}\n" for line in FOR_TRYING_OUT)
        (staging / FILE_NAME).write_text(head + "\n" + "\n".join(blocks), encoding="utf-8")
        (folder / CERTIFICATES).mkdir(exist_ok=True, mode=0o700)
        for file in sorted((staging / CERTIFICATES).iterdir()):
            os.replace(file, folder / CERTIFICATES / file.name)
        os.replace(staging / FILE_NAME, target)
    except OSError as error:
        raise ConfigError(f"cannot write the consortium into {folder}: {error.strerror}") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return load_consortium(target)


def make_key(
    name: str, folder: Path, roles: Sequence[Role], endpoint: str | None = None, *, days: float = 365.0
) -> tuple[str, Path]:
    """One party's own certificate and key in ``folder``; returns its block for everybody's consortium file and the key.

    The block does not name the key: the party adds that line to its own copy of the file. Raises ConfigError for a bad
    name or role, if a key of this name is there already, or if something cannot be written.
    """
    check_name(name, "the party")
    if not roles:
        raise ConfigError(f"{name} has no role; give it some of compute, owner, receiver")
    if "compute" in roles and endpoint is None:
        raise ConfigError(f'{name} computes, so the others dial it; give the address, as in "10.0.0.1:7000"')
    if endpoint is not None:
        parse_endpoint(endpoint)
    certificates = folder / CERTIFICATES
    for there in (certificates / f"{name}.key", certificates / f"{name}.crt"):
        if there.exists():
            raise ConfigError(f"{there} exists already; choose another folder, or remove it if it is not used")
    identity = make_certificate(name, certificates, days=days)
    return _block(identity, roles, endpoint, key=False), identity.key_path


def free_ports(host: str, count: int) -> list[int]:
    """``count`` different ports that are free on ``host`` now."""
    with ExitStack() as held:
        sockets: list[socket.socket] = [held.enter_context(listen(f"{host}:0")) for _ in range(count)]
        return [int(sock.getsockname()[1]) for sock in sockets]


def _block(identity: Identity, roles: Sequence[str | Role], endpoint: str | None, *, key: bool = True) -> str:
    """One ``[[party]]`` in TOML. JSON's strings and lists of strings are also TOML's."""
    lines = ["[[party]]", f"name = {json.dumps(identity.name)}", f"roles = {json.dumps(list(roles))}"]
    if endpoint is not None:
        lines.append(f"endpoint = {json.dumps(endpoint)}")
    lines.append(f"fingerprint = {json.dumps(identity.certificate.fingerprint)}")
    lines.append(f"certificate = {json.dumps(f'{CERTIFICATES}/{identity.certificate_path.name}')}")
    if key:
        lines.append(f"key = {json.dumps(f'{CERTIFICATES}/{identity.key_path.name}')}")
    return "\n".join(lines) + "\n"
