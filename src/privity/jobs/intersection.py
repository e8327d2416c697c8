"""One set intersection at one owner: connect to the other owner, book the run, compare, say goodbye."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import msgspec

from ..errors import PrivityError
from ..net.certificates import Identity
from ..net.tls import connect
from ..net.wire import Hello
from ..psi.intersection import BOTH, ROUNDS, Common, intersect
from ..ring import kernels
from ..ring.prg import digest
from .comparisons import Comparisons
from .consortium import Consortium
from .key_counts import KeySet
from .run import Interrupted, cpu_seconds


@dataclass(frozen=True, slots=True, repr=False)
class IntersectionTask:
    """What one owner needs. ``items``: its keys, normalised; ``keys``: as they stand in its file, for the count.

    steps: the names of the normalisation, which must be the same at both. log: where runs are counted. say: takes lines
    for the terminal. deadline_s: for the peer to come. idle_s: for one without a sign of life.
    """

    me: str
    peer: str
    consortium: Consortium
    identity: Identity
    items: Sequence[bytes]
    keys: KeySet
    log: Comparisons
    say: Callable[[str], None]
    steps: Sequence[str] = ()
    to: str = BOTH
    listener: socket.socket | None = None
    deadline_s: float = 30.0
    idle_s: float = 60.0


class IntersectionReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a run gave and cost here. ``common`` is None where only the peer learns. wall_s: without the wait for it."""

    party: str
    peer: str
    own_size: int
    peer_size: int
    common: int | None
    runs: int
    limit: int
    rounds: int
    bytes_sent: int
    wall_s: float
    cpu_s: float
    kernels: str


def run_intersection(task: IntersectionTask) -> tuple[Common, IntersectionReport]:
    """Find the common keys. Raises UsageError beyond the limit, before and after the peer has come, and NetworkErrors.

    The run is booked once the peer has come and before anything that depends on the keys is sent; it counts even if it
    fails later.
    """
    task.log.check(task.keys)
    changed = task.log.changed(task.keys, peer=task.peer)
    if changed is not None:
        task.say(changed)
    dial, accept = task.consortium.pair(task.me, task.peer)
    kernels.keep_freed_memory()
    try:
        channel = connect(
            task.identity, dial, accept, task.listener, _hello(task), deadline_s=task.deadline_s, idle_s=task.idle_s
        )
    except KeyboardInterrupt:
        raise Interrupted(f"{task.me} was interrupted while it waited for {task.peer}") from None
    start, cpu = time.monotonic(), cpu_seconds()
    try:
        runs = task.log.book(task.keys, peer=task.peer)
        common = intersect(channel, task.peer, task.items, to=task.to)
        channel.close()
    except PrivityError as error:
        channel.abort(error.public_reason)
        raise
    except KeyboardInterrupt:
        channel.abort("interrupted")
        raise Interrupted(f"{task.me} was interrupted; {task.peer} was told") from None
    except BaseException as error:
        channel.abort(type(error).__name__)
        raise
    task.log.ended(task.peer, common.peer_size)
    return common, IntersectionReport(
        party=task.me,
        peer=task.peer,
        own_size=common.own_size,
        peer_size=common.peer_size,
        common=None if common.rows is None else int(common.rows.size),
        runs=runs,
        limit=task.log.limit,
        rounds=ROUNDS - (task.to != BOTH),
        bytes_sent=channel.bytes_sent,
        wall_s=time.monotonic() - start,
        cpu_s=cpu_seconds() - cpu,
        kernels=kernels.BUILD,
    )


def _hello(task: IntersectionTask) -> Hello:
    first, second = sorted((task.me, task.peer))
    return Hello(
        party=task.me,
        version=version("privity"),
        program_hash=digest(b"privity intersection 1"),
        job_hash=digest(b"privity intersection", first.encode(), second.encode()),
        consortium_hash=task.consortium.hash(),
        parameters={"normalize": ",".join(task.steps) or "nothing", "to": task.to},
        build=kernels.BUILD,
    )
