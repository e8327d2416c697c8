"""A fitted model's shares on the disks of those who hold them: written in one session, read in a later one.

Each compute party keeps one file in its own store (``privity run --store DIR``): the public description of the model,
which is the same at all, and its own shares. One file alone tells nothing of the secrets; whoever reads the files of
two parties of three reads the model. The files are readable by their owner only (mode 0600).

What is saved keeps its terms (terms.py): whose data it is, the minimum group, and who may be told of it. They stand in
the public part, which all parties compare, and every party of a session that loads it checks them.
"""

from __future__ import annotations

import errno
import hashlib
import importlib
import os
import pkgutil
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import numpy as np

from ..array import SecureArray
from ..context import Context
from ..errors import ConfigError, OutputError, UsageError
from ..mpc.shares import Share
from ..ring import layout
from ..ring.prg import new_seed
from ..session import Session, context_of
from ..terms import Terms
from .estimator import Estimator

ENDING: Final = ".privity-model"
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_SIZES: Final = {"f": 8, "i": 8, "b": 1}  # bytes of a public number
_LARGEST: Final = 1 << 31  # bytes of a file that is read

Natural = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]


class _Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """A public value, or the place of a secret one."""


class _Plain(_Node, frozen=True):
    value: bool | int | float | str | None


class _Many(_Node, frozen=True):
    items: list[AnyNode]
    tuple: bool


class _Named(_Node, frozen=True):
    items: dict[str, AnyNode]


class _Numbers(_Node, frozen=True):
    """A public NumPy array: ``kind`` f (float64), i (int64) or b (bool), little-endian bytes."""

    kind: str
    shape: tuple[Natural, ...]
    data: bytes


class _Secret(_Node, frozen=True):
    """A secret array, the next in the list of shares."""

    shape: tuple[Natural, ...]
    scale: Annotated[int, msgspec.Meta(ge=0, le=62)]
    bound: float
    boolean: bool


class _Model(_Node, frozen=True):
    kind: str
    parameters: dict[str, AnyNode]
    learnt: dict[str, AnyNode]


AnyNode = _Plain | _Many | _Named | _Numbers | _Secret | _Model


class _Public(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="privity model 2"):
    """What all parties know of a saved model. ``id``: of this saving; ``group``: hash of who holds the shares."""

    name: str
    id: str
    group: bytes
    compute: tuple[str, ...]
    protocol: str
    terms: Terms
    model: _Model


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="privity shares 1"):
    """One party's file. ``shares``: components of each secret array, little-endian words. ``check``: of the rest."""

    party: str
    index: int
    public: bytes
    shares: list[list[bytes]]
    check: bytes = b""

    def sealed(self) -> _File:
        """With the checksum of what it holds: for damage, not against forgery."""
        parts = [self.party.encode(), str(self.index).encode(), self.public, *(p for s in self.shares for p in s)]
        digest = hashlib.sha256(b"privity shares 1")
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)
        return msgspec.structs.replace(self, check=digest.digest())


_ENCODER: Final = msgspec.msgpack.Encoder()  # in the order of the walk, which is that of the shares
_PUBLIC: Final = msgspec.msgpack.Decoder(_Public, strict=True)
_FILE: Final = msgspec.msgpack.Decoder(_File, strict=True)


def save(model: Estimator, session: Session, name: str, *, to: str | Sequence[str] | None = None) -> str:
    """Write the model's shares at every compute party as ``name``; an older model of the name is replaced.

    Returns the id of this saving (hexadecimal), the same at all parties. Parameters and learnt attributes (those that
    end in an underscore) are kept; functions among the parameters are not. ``to``: who may be told anything of it in
    the sessions that load it, parties of this one or "all" of them; by default the owners, and those to whom this job
    may still open something. Recorded with it are the owners of all inputs and this session's minimum group; see
    ``load``. Nothing is opened. One round of small messages, and two for each secret boolean array. Raises UsageError
    for a model that cannot be saved, a session without a store or receivers that it does not have, OutputError if a
    file cannot be written; the parties' files then belong to different savings, and ``load`` refuses them.
    """
    context = context_of(session)
    _check_name(name)
    if context.computes and context.store is None:
        raise UsageError(f"{context.me} has no store to save {name!r} in; start the run with --store DIR")
    secrets: list[SecureArray] = []
    terms, described = context.terms(to), _described(model, secrets)
    shares = [x._ring_share() for x in secrets]
    nonces = context.told(new_seed() if context.computes else b"")
    digest = hashlib.sha256(b"privity saving 1")
    for party in context.compute:
        digest.update(nonces[party])
    number = digest.hexdigest()[:32]
    public = _Public(name, number, context.group, context.compute, _protocol(context), terms, described)
    if context.computes:
        index = context.compute.index(context.me)
        parts = [[layout.as_bytes(part).tobytes() for part in s.parts] for s in shares]
        assert context.store is not None
        content = _ENCODER.encode(_File(context.me, index, _ENCODER.encode(public), parts).sealed())
        _write(context.store / (name + ENDING), content)
    return public.id


def load(session: Session, name: str) -> Any:
    """The model that was saved as ``name``, with fresh shares: usable like one that was fitted in this session.

    All compute parties compare the public part (and with it the id of the saving) before any share is used, and the
    others are told it. Every party checks its terms: all its owners are parties of this session, with the certificates
    that they had; the session's minimum group is no smaller; and the job lists no opening to anybody whom the model is
    not for. From here on nothing at all is opened to others than these. One round of small messages, one round and 8
    bytes per party and element to make the shares new. Raises ConfigError for a missing or unreadable file, one of
    another party, group of parties or protocol, or owners or a minimum group that do not fit; OpeningRefused for
    receivers; HandshakeError if the parties' files belong to different savings.
    """
    context = context_of(session)
    _check_name(name)
    mine = _read(context, name) if context.computes else None
    stated = context.agreed(f"the saved model {name!r}", mine.public if mine is not None else b"")
    public = _decoded(stated, name)
    context.accept(public.terms, f"the saved model {name!r}")
    wanted = _secrets(public.model)
    shares = _shares(context, name, wanted, mine)
    fresh = iter(_made_new(context, shares))
    return _rebuilt(context, public.model, fresh)


# -- from a model to its description and back ---------------------------------------------------------------------


def _described(value: Any, secrets: list[SecureArray], where: str = "the model") -> Any:
    """The public form of ``value``; secret arrays are appended to ``secrets`` in the order of their places."""
    if isinstance(value, SecureArray):
        secrets.append(value)
        return _Secret(value.shape, value.scale, float(value.bound), value.kind == "bool")
    if isinstance(value, Estimator):
        what = type(value).__name__
        if kinds().get(kind_name(type(value))) is not type(value):
            raise UsageError(f"{what} cannot be saved: only estimators of Privity are known where it would be loaded")
        parameters = {
            k: _described(_no_function(v), secrets, f"{what}.{k}") for k, v in value.get_params(deep=False).items()
        }
        known = {k: v for k, v in sorted(vars(value).items()) if k.endswith("_") and not k.startswith("_")}
        if not known and not any(isinstance(node, _Many | _Model) for node in parameters.values()):
            raise UsageError(f"{what} has learnt nothing yet; call fit before it is saved")
        return _Model(
            kind_name(type(value)), parameters, {k: _described(v, secrets, f"{what}.{k}") for k, v in known.items()}
        )
    if isinstance(value, np.ndarray):
        kind, dtype = {"f": ("f", "<f8"), "i": ("i", "<i8"), "u": ("i", "<i8"), "b": ("b", "?")}.get(
            value.dtype.kind, ("", "")
        )
        if kind:
            return _Numbers(kind, value.shape, np.ascontiguousarray(value, dtype).tobytes())
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return _Plain(value)
    if isinstance(value, list | tuple):
        return _Many([_described(v, secrets, where) for v in value], isinstance(value, tuple))
    if isinstance(value, dict) and all(isinstance(k, str) for k in value):
        return _Named({k: _described(v, secrets, f"{where}[{k!r}]") for k, v in value.items()})
    raise UsageError(f"{where} is of type {type(value).__name__}, which cannot be saved")


def _no_function(value: Any) -> Any:
    return None if callable(value) and not isinstance(value, Estimator) else value


def _rebuilt(context: Context, node: Any, fresh: Iterator[Share]) -> Any:
    if isinstance(node, _Plain):
        return node.value
    if isinstance(node, _Many):
        items = [_rebuilt(context, item, fresh) for item in node.items]
        return tuple(items) if node.tuple else items
    if isinstance(node, _Named):
        return {k: _rebuilt(context, item, fresh) for k, item in node.items.items()}
    if isinstance(node, _Numbers):
        return np.frombuffer(node.data, {"f": "<f8", "i": "<i8", "b": "?"}[node.kind]).reshape(node.shape).copy()
    if isinstance(node, _Secret):
        share = next(fresh)
        if node.boolean:
            return SecureArray(context, context.protocol.a2bits(share))
        return SecureArray(context, share, node.scale, node.bound)
    kind = kinds()[node.kind]
    model = kind(**{k: _rebuilt(context, v, fresh) for k, v in node.parameters.items()})
    for attribute, value in node.learnt.items():
        setattr(model, attribute, _rebuilt(context, value, fresh))
    return model


def _nodes(node: Any) -> Iterator[Any]:
    """``node`` and all below it, in the order in which ``_described`` and ``_rebuilt`` walk."""
    yield node
    items: list[Any] = []
    if isinstance(node, _Model):
        items = [*node.parameters.values(), *node.learnt.values()]
    elif isinstance(node, _Many):
        items = node.items
    elif isinstance(node, _Named):
        items = list(node.items.values())
    for item in items:
        yield from _nodes(item)


def _secrets(model: _Model) -> list[_Secret]:
    return [node for node in _nodes(model) if isinstance(node, _Secret)]


def kind_name(kind: type[Estimator]) -> str:
    """How a file names an estimator: module below privity.ml and class."""
    return f"{kind.__module__.removeprefix('privity.ml.')}:{kind.__qualname__}"


def kinds() -> dict[str, type[Estimator]]:
    """Every estimator of Privity by its name in files: no name from a file is ever imported."""
    import privity.ml as package

    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
    found: dict[str, type[Estimator]] = {}
    left = list(Estimator.__subclasses__())
    while left:
        kind = left.pop()
        left += kind.__subclasses__()
        if kind.__module__.startswith(package.__name__ + "."):
            found[kind_name(kind)] = kind
    return found


# -- files --------------------------------------------------------------------------------------------------------


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a saved model; use a lower-case letter, then up to 63 of a-z, 0-9, '_' and '-'"
        )


def _protocol(context: Context) -> str:
    return context.protocol.of.name


def _read(context: Context, name: str) -> _File:
    """This party's file. Raises ConfigError unless it is whole and belongs to this party, group and protocol."""
    if context.store is None:
        raise ConfigError(f"{context.me} has no store to load {name!r} from; start the run with --store DIR")
    path = context.store / (name + ENDING)
    try:
        if path.stat().st_size > _LARGEST:
            raise ConfigError(f"{path} is larger than {_LARGEST} bytes; is this a saved model?")
        file = _FILE.decode(path.read_bytes())
    except FileNotFoundError:
        have = ", ".join(sorted(p.name.removesuffix(ENDING) for p in context.store.glob("*" + ENDING))) or "none"
        raise ConfigError(
            f"{context.me} has no saved model {name!r} in {context.store}; models there: {have}"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is no saved model of this version, or was damaged: {error}") from None
    if file.sealed() != file:
        raise ConfigError(f"{path} was damaged: its checksum differs; bring back a copy, or train the model again")
    public = _decoded(file.public, name)
    index = context.compute.index(context.me)
    expected = (
        ("the party", f"{context.me} (number {index})", f"{file.party} (number {file.index})"),
        ("the compute parties", ", ".join(context.compute), ", ".join(public.compute)),
        ("their certificates", context.group.hex()[:16], public.group.hex()[:16]),
        ("the protocol", _protocol(context), public.protocol),
        ("the name", name, public.name),
    )
    for what, here, there in expected:
        if here != there:
            raise ConfigError(
                f"{path}: {what} differs: this session has {here}, the file is of {there}; shares are of use only to "
                "those who held them. Load the model in the group that saved it, or train it again"
            )
    return file


def _decoded(data: bytes, name: str) -> _Public:
    if b"privity model 1" in data[:64]:
        raise ConfigError(
            f"the saved model {name!r} is of an earlier version, which did not keep whose data it holds, the minimum "
            "group and who may be told of it; train it again"
        )
    try:
        public = _PUBLIC.decode(data)
    except (ValueError, msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(f"the saved model {name!r} has a public part that is not understood: {error}") from None
    known = kinds()
    for node in _nodes(public.model):
        if isinstance(node, _Model) and node.kind not in known:
            raise ConfigError(f"the saved model {name!r} is of kind {node.kind!r}, which this version does not have")
        if isinstance(node, _Secret) and not 0 <= node.bound * 2.0**node.scale < 2.0**62:
            raise ConfigError(f"the saved model {name!r} states a bound that no session could have given")
        if isinstance(node, _Numbers) and len(node.data) != layout.count(node.shape) * _SIZES.get(node.kind, -1):
            raise ConfigError(f"the saved model {name!r} holds public numbers that do not fit their shape")
    return public


def _shares(context: Context, name: str, wanted: list[_Secret], mine: _File | None) -> list[Share]:
    """The stored shares, or shapes alone at a party that holds none."""
    if mine is None:
        return [Share((), s.shape) for s in wanted]
    components = len(context.protocol.public(layout.zeros((1,))).parts)
    sizes = [[8 * layout.count(s.shape)] * components for s in wanted]
    if sizes != [[len(part) for part in parts] for parts in mine.shares]:
        raise ConfigError(f"{context.me}: the file of the saved model {name!r} does not hold the shares that it lists")
    shares = []
    for secret, parts in zip(wanted, mine.shares, strict=True):
        words = [layout.empty(secret.shape) for _ in parts]
        for word, part in zip(words, parts, strict=True):
            layout.split_bytes(layout.from_bytes(part), [word])
        shares.append(Share(tuple(words), secret.shape))
    return shares


def _made_new(context: Context, shares: list[Share]) -> list[Share]:
    """The same secrets in fresh shares: times a public 1, whose product is masked anew. One round for all."""
    if not shares:
        return []
    proto = context.protocol
    flat = proto.concatenate([s.map(layout.reshape((-1,))) for s in shares], 0)
    ones = proto.public(layout.constants([1] * flat.size))
    product, at, fresh = proto.mul(flat, ones), 0, []
    for s in shares:
        part = product.map(layout.take(slice(at, at + s.size)))
        fresh.append(part.map(layout.reshape(s.shape)))
        at += s.size
    return fresh


def _write(path: Path, content: bytes) -> None:
    """The file whole or not at all, for this user only (mode 0600). Raises OutputError."""
    try:
        for folder in (path.parent.parent, path.parent):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if folder.is_symlink() and os.lstat(folder).st_uid not in (0, os.geteuid()):
                raise OSError(errno.ELOOP, f"{folder} is a link that another user made")
        handle, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mkstemp gives mode 0600
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(aside, path)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror or error}); free some space or correct the permissions, and "
            "save again"
        ) from None
