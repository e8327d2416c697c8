"""The public kit for testing protocols: run one in threads, watch what a party receives, judge what it saw.

A new protocol adds itself to ``PROTOCOLS`` and gets the whole conformance suite. Privacy is tested in three ways:

- *view test*: many executions at once, one per *lane* (one element of the arrays). All that the observer knows is the
  same in every lane, what it lacks is drawn afresh; then what it receives must be uniform (``require_uniform``).
- *one large execution*: all elements are alike to the observer, and the words that it knows are zero, so that they
  differ by masks alone; then no word comes twice, whatever the size of the pieces (``require_fresh``).
- *enumeration* on ``ring.small.SmallRing``: the lanes run through every value of what the observer lacks, and the joint
  view must have the same distribution for every secret (``require_same_views``).

What such tests can and cannot show: docs/security/view-tests.md.
"""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from .errors import PeerAborted
from .mpc.party import Message, Party, agree_streams
from .mpc.permits import Kind, Permit, independent
from .mpc.plain import InsecurePlain
from .mpc.protocol import Protocol, Scheme
from .mpc.rep3 import Rep3
from .mpc.shares import Bits, Mix, Mixed, Share, Shown
from .net.memory import MemoryChannel, memory_network
from .ring import kernels, reference
from .ring.prg import Stream
from .types import Recorder, Ring

PROTOCOLS: Mapping[str, Scheme] = MappingProxyType(
    {"InsecurePlain": InsecurePlain(), "Rep3": Rep3(), "Rep3 exact": Rep3(exact=True)}
)
"""Every protocol that the conformance suite runs on: add a new one here."""


def altered(kind: type[Any], of: Scheme = Rep3()) -> Scheme:
    """``of`` with another class at its parties: one that watches, or one with a fault that a test must find."""

    class Altered(type(of)):  # type: ignore[misc]
        def at(self, party: Party) -> Protocol:
            changed: Protocol = kind(party, self)
            return changed

    return Altered(**{f.name: getattr(of, f.name) for f in dataclasses.fields(of)})  # type: ignore[arg-type]


# -- running -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Received:
    """One array that a party received in a round, with its type (a Recorder sees bytes only)."""

    source: str
    label: str
    data: npt.NDArray[Any]


class WatchedParty(Party):
    """A party that keeps a copy of every array it receives from another compute party, in ``view``."""

    view: list[Received]

    def exchange(self, send: Sequence[Message], receive: Sequence[Message], label: str = "") -> None:
        """As Party.exchange, and remembers; also what rides with the messages of this round (``Party.together``)."""
        riding = self._riding.messages if self._riding is not None else None
        super().exchange(send, receive, label)
        for arrived, what in ((receive, label), (riding[1], riding[2]) if riding else ([], "")):
            self.view.extend(Received(self.names[source], what, out.copy()) for source, out in arrived)


@dataclass(frozen=True)
class Run:
    """What every compute party (in order) and every outside party returned, and the parties themselves."""

    outputs: list[Any]
    parties: list[WatchedParty]
    outside: dict[str, Any] = field(default_factory=dict)


# -- opening: in a run, gates and secret orders make the permits that these make here ------------------------------


def open_value(p: Protocol, x: Share, to: Sequence[int], outside: Sequence[str] = (), step: int = 0) -> Ring | None:
    """``p.open`` with a permit for just that."""
    names = [] if p.party is None else [p.party.names[i] for i in to]
    return p.open(x, to, outside, step, permit=Permit(Kind.LISTED, [x], [*names, *outside]))


def open_bits(p: Protocol, b: Bits) -> Ring | None:
    """``p.open_bits`` with a permit for just that."""
    return p.open_bits(b, permit=independent(b))


def shuffle_and_open(
    p: Protocol, shown: Sequence[Shown], mix: Mix, items: Sequence[Share] = (), bits: Bits | None = None
) -> Mixed:
    """``p.shuffle_and_open`` with a permit for just that."""
    return p.shuffle_and_open(shown, mix, items, bits, permit=independent(*(each.value for each in shown)))


# -- running, with outside parties -----------------------------------------------------------------------------------


OutsideProgram = Callable[[MemoryChannel, tuple[str, ...]], Any]


def run(
    protocol: Scheme,
    program: Callable[[Any], Any],
    *,
    outside: Mapping[str, OutsideProgram] | None = None,
    streams: Callable[[int], dict[int, Any]] | None = None,
    recorders: Mapping[int, Recorder] | None = None,
    ring: Any = kernels,
    timeout_s: float = 30.0,
) -> Run:
    """Run ``program(protocol object)`` at every compute party, each in a thread, and return a :class:`Run`.

    ``outside``: name -> what an owner or receiver does with its channel and the compute parties' names. ``streams``:
    party index -> {other party: anything with ``words(n)``}; default: fresh keys. Raises the first error of any party.
    """
    count = protocol.parties
    compute = tuple(f"p{i}" for i in range(count))
    network = memory_network([*compute, *(outside or {})], idle_s=timeout_s)
    outputs: dict[str, Any] = {}
    parties: dict[str, WatchedParty] = {}
    errors: list[BaseException] = []

    def compute_party(i: int) -> None:
        channel = network[compute[i]]
        try:
            with np.errstate(over="ignore"):
                given = streams(i) if streams else agree_streams(channel, compute, b"test") if count > 1 else {}
                recorder = (recorders or {}).get(i)
                party = WatchedParty(i, compute, channel, cast(dict[int, Stream], given), recorder, ring)
                party.view = []
                parties[compute[i]] = party
                outputs[compute[i]] = program(protocol.at(party))
        except BaseException as error:
            errors.append(error)
            channel.abort(type(error).__name__)

    def outside_party(name: str, act: OutsideProgram) -> None:
        try:
            with np.errstate(over="ignore"):
                outputs[name] = act(network[name], compute)
        except BaseException as error:
            errors.append(error)
            network[name].abort(type(error).__name__)

    threads = [threading.Thread(target=compute_party, args=(i,), daemon=True) for i in range(count)]
    threads += [threading.Thread(target=outside_party, args=item, daemon=True) for item in (outside or {}).items()]
    for name, t in zip(network, threads, strict=True):
        network[name].party_runs_in(t)
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise next((e for e in errors if not isinstance(e, PeerAborted)), errors[0])
    return Run([outputs[n] for n in compute], [parties[n] for n in compute], {n: outputs[n] for n in outside or {}})


def rep3_share(components: Sequence[Ring], party: int) -> Share:
    """What ``party`` holds of a replicated sharing."""
    return Share((components[party], components[(party + 1) % 3]), components[0].shape)


def reconstruct(shares: Sequence[Share]) -> npt.NDArray[np.int64]:
    """The value behind all parties' shares, as signed integers; checks that the holders of a component agree."""
    if len(shares) == 3:
        for i, s in enumerate(shares):
            theirs = shares[(i + 1) % 3].parts[0]
            np.testing.assert_array_equal(s.parts[1], theirs, "a component differs at its holders")
    total = functools.reduce(np.add, (s.parts[0] for s in shares))
    assert all(s.shape == total.shape for s in shares), "a share's stated shape is not that of its components"
    return np.array(np.asarray(total, np.uint64).view(np.int64))


def reconstruct_bits(shares: Sequence[Bits]) -> npt.NDArray[np.int64]:
    """The bits behind all parties' shares, of shape (planes, *shape)."""
    first = shares[0]
    if len(shares) == 3:
        for i, s in enumerate(shares):
            mine, theirs = s.parts[1], shares[(i + 1) % 3].parts[0]
            assert mine.shape == theirs.shape == (first.planes, first.words)
            for a, b in zip(mine, theirs, strict=True):  # bits beyond the last element mean nothing
                here, there = (reference.from_planes(p[None], first.size) for p in (a, b))
                np.testing.assert_array_equal(here, there, "a component of the bits differs at its holders")
    total = functools.reduce(np.bitwise_xor, (s.parts[0] for s in shares))
    rows = [reference.from_planes(total[j : j + 1], first.size) for j in range(first.planes)]
    return np.array(rows, np.int64).reshape((first.planes, *first.shape))


# -- randomness by lanes -----------------------------------------------------------------------------------------


class LaneStream:
    """Stands for a :class:`Stream` when every element (or bit of a plane) belongs to a lane of its own.

    ``row(bits)`` gives one number of ``bits`` bits per lane; ``words`` arranges rows as elements or, where a plane
    holds 64 lanes a word, as planes. ``lanes`` must not divide a plane count times the words of a plane.
    """

    def __init__(self, lanes: int, row: Callable[[int], Ring], width: int = 64) -> None:
        self._lanes, self._row, self._width = lanes, row, width

    def words(self, count: int) -> Ring:
        """As Stream.words."""
        if count % self._lanes == 0:
            rows = [self._row(self._width) for _ in range(count // self._lanes)]
        else:
            per_plane = -(-self._lanes // 64)
            assert count % per_plane == 0, f"{count} words are neither elements nor planes of {self._lanes} lanes"
            rows = [reference.to_planes(self._row(1), 1)[0] for _ in range(count // per_plane)]
        return np.concatenate(rows) if rows else np.zeros(0, np.uint64)


def known_rows(lane_context: npt.NDArray[np.int64], seed: int) -> Callable[[int], Ring]:
    """Rows of what the observer knows: one random number per context, the same in all lanes of that context."""
    rng = np.random.default_rng(seed)
    contexts = int(lane_context.max(initial=0)) + 1

    def row(bits: int) -> Ring:
        return np.asarray(rng.integers(0, 1 << bits, contexts, np.uint64)[lane_context])

    return row


def fresh_rows(lanes: int, seed: int) -> Callable[[int], Ring]:
    """Rows of what the observer lacks, drawn at random."""
    rng = np.random.default_rng(seed)
    return lambda bits: rng.integers(0, 1 << bits, lanes, np.uint64)


class CountedRows:
    """Rows of what the observer lacks, enumerated: each takes the next ``bits`` bits of the lane's number."""

    def __init__(self, number: Ring) -> None:
        self._number, self.used = number, 0

    def __call__(self, bits: int) -> Ring:
        row = (self._number >> np.uint64(min(self.used, 63))) & np.uint64((1 << bits) - 1)
        self.used += bits
        return np.asarray(row)


def lane_streams(observer: int, lanes: int, known: Callable[[int], Callable[[int], Ring]],
                 lacked: Callable[[], Callable[[int], Ring]], width: int = 64) -> Callable[[int], dict[int, Any]]:
    """For ``run(streams=...)``: the pairs of ``observer`` draw ``known(pair)`` rows, the others ``lacked()`` rows."""

    def streams(i: int) -> dict[int, Any]:
        made: dict[int, Any] = {}
        for j in {0, 1, 2} - {i}:
            rows = known(min(i, j) + max(i, j)) if observer in (i, j) else lacked()
            made[j] = LaneStream(lanes, rows, width)
        return made

    return streams


# -- judging views -----------------------------------------------------------------------------------------------


class ViewLeaks(AssertionError):
    """What a party received is not what the protocol may show it."""


@dataclass(frozen=True, slots=True)
class Column:
    """One number of ``bits`` bits per lane, out of one received message."""

    name: str
    values: Ring
    bits: int


def columns(view: Sequence[Received], lanes: int, ring_bits: int = 64) -> list[Column]:
    """Take received arrays apart into one number per lane: elements, planes of bits, or densely packed low bits."""
    out: list[Column] = []
    for place, got in enumerate(view):
        name = f"message {place} ({got.label}, from {got.source})"
        if got.data.dtype == np.uint8:
            bits = got.data.size * 8 // lanes
            out.append(Column(name, reference.unpack_low(got.data, bits, lanes), bits))
        elif got.label == "bits":
            for j, plane in enumerate(got.data):
                out.append(Column(f"{name} plane {j}", reference.from_planes(plane[None], lanes), 1))
        else:
            mask = np.uint64((1 << ring_bits) - 1)
            for j, row in enumerate(got.data.reshape(-1, lanes)):
                out.append(Column(f"{name} row {j}", np.asarray(row & mask), ring_bits))
    return out


_LIMIT = 7.5  # standard deviations: one false alarm in 10^13 comparisons, far above the number made


def require_uniform(view: Sequence[Column]) -> None:
    """Raise ViewLeaks unless every number is uniform and no two bits of the view are correlated over the lanes.

    Bits: |z| <= 7.5 in each position. Bytes: chi-square of each position, where lanes suffice. Pairs: correlation of
    every two bits of the whole view, which finds a mask used twice. The limit covers 10^7 comparisons (Bonferroni).
    """
    if not view:
        return
    lanes = view[0].values.size
    names = [f"{c.name} bit {b}" for c in view for b in range(c.bits)]
    bits = np.concatenate([(c.values[:, None] >> np.arange(c.bits, dtype=np.uint64)) & np.uint64(1) for c in view], 1)
    signs = bits.astype(np.float32) * 2 - 1
    z = np.abs(signs.sum(0)) / np.sqrt(lanes)
    if z.max() > _LIMIT:
        raise ViewLeaks(f"{names[int(z.argmax())]} is not uniform: {z.max():.1f} standard deviations, {lanes} lanes")
    for c in view:
        for low in range(0, c.bits - 7, 8):
            seen = np.bincount((c.values >> np.uint64(low)).astype(np.uint8), minlength=256)
            chi = float(((seen - lanes / 256) ** 2).sum() / (lanes / 256))
            score = ((chi / 255) ** (1 / 3) - (1 - 2 / (9 * 255))) / np.sqrt(2 / (9 * 255))  # Wilson-Hilferty
            if lanes >= 1280 and score > _LIMIT:
                raise ViewLeaks(f"{c.name} bits {low} to {low + 7} are not uniform: chi-square {chi:.0f}, expected 255")
    together = np.abs(signs.T @ signs) / np.sqrt(lanes)
    np.fill_diagonal(together, 0)
    if together.max() > _LIMIT:
        i, j = np.unravel_index(int(together.argmax()), together.shape)
        raise ViewLeaks(f"{names[i]} and {names[j]} are not independent: {together.max():.1f} standard deviations")


def require_same_views(view: Sequence[Column], shape: tuple[int, int, int]) -> None:
    """Raise ViewLeaks unless the joint view has the same distribution for every secret.

    Lanes are ordered as ``shape`` = (contexts, secrets, values of what the observer lacks); exact, no statistics.
    """
    if not view:
        return
    if sum(c.bits for c in view) > 64:
        raise ValueError(f"a joint view of {sum(c.bits for c in view)} bits does not fit a word; use a smaller ring")
    code = np.zeros(view[0].values.size, np.uint64)
    for c in view:
        code = (code << np.uint64(c.bits)) | c.values
    ordered = np.sort(code.reshape(shape), axis=2)
    differs = (ordered != ordered[:, :1]).any(axis=2)
    if differs.any():
        context, secret = (int(i) for i in np.argwhere(differs)[0])
        raise ViewLeaks(
            f"the view differs between secrets number 0 and {secret} (context {context}; {int(differs.sum())} of "
            f"{differs.size} cases); it consists of " + ", ".join(c.name for c in view)
        )


# -- one execution of many elements ------------------------------------------------------------------------------


class Zeros:
    """Stands for a :class:`Stream` that the observer knows: what it draws tells no element from another."""

    def words(self, count: int) -> Ring:
        """As Stream.words."""
        return np.zeros(count, np.uint64)


def streams_for(observer: int | None) -> Callable[[int], dict[int, Any]]:
    """For ``run(streams=...)``: pairs of ``observer`` draw zeros, the others (all, if it is None) from real streams."""

    def streams(i: int) -> dict[int, Any]:
        return {j: Zeros() if observer in (i, j) else Stream(bytes([i + j]) * 16) for j in {0, 1, 2} - {i}}

    return streams


_BLOCK = 4096  # numbers whose bits are counted together
_BLOCK_LIMIT = 9.0  # standard deviations: with a chance of 10^-18 for each of some 10^7 counts


def require_fresh(view: Sequence[Received], elements: int) -> None:
    """Raise ViewLeaks if masks come twice in one execution, or not in full. All elements are alike to the observer.

    Words: no two are equal, nor the opposite of each other, nor differ by as much from their neighbours (a mask used
    under another constant); one such pair may come by chance. Packed bits, by ``elements``: no 128 bits from the start
    of an element on come twice. In every 4,096 numbers each bit is balanced. At any distance, also across messages.
    """
    words = [np.ascontiguousarray(got.data).reshape(-1).view(np.uint64) for got in view if got.data.dtype != np.uint8]
    packed = [_rows_of_bits(got.data, elements) for got in view if got.data.dtype == np.uint8]
    names = ", ".join(dict.fromkeys(got.label for got in view))
    steps = [x[1:] - x[:-1] for x in words]
    for what, found in (("words", [np.minimum(x, ~x) for x in words]),
                        ("steps between words", [np.minimum(x, np.negative(x)) for x in steps])):  # fmt: skip
        if found and (again := _repeats(np.concatenate(found)[:, None])) > 1:
            raise ViewLeaks(f"{again} {what} come twice in messages of {elements} elements ({names})")
    starts = [_windows(bits) for bits in packed]
    if starts and (again := _repeats(np.concatenate(starts))):
        raise ViewLeaks(f"{again} runs of 128 bits come twice in messages of {elements} elements ({names})")
    for bits in [np.unpackbits(x.view(np.uint8), bitorder="little").reshape(-1, 64) for x in words] + packed:
        for block in np.array_split(bits, max(1, len(bits) // _BLOCK)):
            z = np.abs(2 * block.sum(0, dtype=np.int64) - len(block)).max(initial=0) / np.sqrt(max(1, len(block)))
            if z > _BLOCK_LIMIT:
                raise ViewLeaks(f"a bit of {len(block)} numbers is not balanced: {z:.0f} standard deviations ({names})")


def some_columns(view: Sequence[Received], elements: int, first: int, count: int) -> list[Column]:
    """Elements ``first`` to ``first + count - 1`` (multiples of 64) as ``columns``, of messages that have all elements.

    All elements are alike to the observer, so that each is a lane: for ``require_uniform`` on one large execution.
    """
    cut, part = [], slice(first, first + count)
    for got in view:
        if got.data.dtype == np.uint8:
            data: npt.NDArray[Any] = np.packbits(_rows_of_bits(got.data, elements)[part].reshape(-1), bitorder="little")
        elif got.label == "bits":
            data = got.data[:, first // 64 : (first + count) // 64]
        elif got.data.size % elements == 0:
            data = got.data.reshape(-1, elements)[:, part]
        else:
            continue
        cut.append(Received(got.source, got.label, data))
    return columns(cut, count)


def _rows_of_bits(data: npt.NDArray[np.uint8], elements: int) -> npt.NDArray[np.uint8]:
    width = 8 * data.size // elements
    return np.unpackbits(data, bitorder="little")[: elements * width].reshape(elements, width)


def _windows(bits: npt.NDArray[np.uint8]) -> Ring:
    """128 bits from every element on, and within longer ones from every 128th bit on, as two words: (count, 2)."""
    elements, width = bits.shape
    places = (np.arange(elements)[:, None] * width + np.arange(0, width, 128)).reshape(-1)
    places = places[places <= bits.size - 128]
    every = np.lib.stride_tricks.sliding_window_view(np.pad(bits.reshape(-1), (0, 128)), 128)
    return np.packbits(every[places], axis=1).view(np.uint64)


def _repeats(rows: Ring) -> int:
    """How many rows are equal to another one before them."""
    for j in range(rows.shape[1]):  # keep those whose every word comes again
        ordered = np.sort(rows[:, j])
        again = ordered[1:][ordered[1:] == ordered[:-1]]
        if not again.size:
            return 0
        rows = rows[np.isin(rows[:, j], again)]
    both = np.sort(rows @ np.arange(1, 2 * rows.shape[1], 2, dtype=np.uint64))
    return int((both[1:] == both[:-1]).sum())


class ByteView:
    """A Recorder that keeps what one party received, in order."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, int, str, bytes]] = []

    def received(self, source: str, step: int, label: str, data: memoryview) -> None:
        """As Recorder.received."""
        self.messages.append((source, step, label, bytes(data)))
