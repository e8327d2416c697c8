"""What the other owner's messages may depend on, the bounds that the cards state, and peers that misbehave."""

from __future__ import annotations

import math
import queue
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privity.errors import NetworkError, PeerLost, PeerTimeout, PrivityError, WireError
from privity.net.memory import memory_network
from privity.net.wire import IntersectionCount, IntersectionOffer
from privity.psi import base_ot, bins, intersect, oprf
from privity.psi.coins import Coins
from privity.psi.intersection import CHOICES
from privity.psi.items import LARGEST
from privity.ring import kernels
from privity.ring.prg import Stream

Together = Callable[..., list[Any]]
Numbered = Callable[..., list[bytes]]

NAMES = ("bank", "clinic")
EXECUTIONS = 10
SIGMAS = 6.0  # a deviation that chance reaches once in 10^9


class Recording:
    """A channel that keeps what its owner receives, as (step or kind, bytes)."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self.view: list[tuple[Any, bytes]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def receive(self, source: str, step: int, into: Any) -> None:
        self._channel.receive(source, step, into)
        self.view.append((step, into.tobytes()))

    def hear(self, source: str, kind: Any) -> Any:
        message = self._channel.hear(source, kind)
        self.view.append((kind.__name__, getattr(message, "nonce", b"")))
        return message


@pytest.fixture
def ideal_transfers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The base transfers as a trusted third party would make them: their own test follows below, and they are slow."""
    between: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def sends(channel: Any, to: str, step: int, count: int, context: bytes, coins: Coins) -> Any:
        pairs = [(coins.seed(), coins.seed()) for _ in range(count)]
        between.put(pairs)
        return pairs

    def receives(channel: Any, source: str, step: int, choices: Any, context: bytes, coins: Coins) -> Any:
        return [pair[int(choice)] for pair, choice in zip(between.get(timeout=10), choices, strict=True)]

    monkeypatch.setattr(base_ot, "send", sends)
    monkeypatch.setattr(base_ot, "receive", receives)


def views(together: Together, observer: int, own: list[bytes], peers: Callable[[int], list[bytes]]) -> list[Any]:
    """The observer's view in many runs: its items and randomness are the same, those of the other are drawn again."""
    found = []
    for run in range(EXECUTIONS):
        channels: list[Recording] = []

        def wrap(channel: Any, channels: list[Recording] = channels) -> Recording:
            channels.append(Recording(channel))
            return channels[-1]

        def side(at: int, run: int = run) -> Callable[[Any], Any]:
            items, seed = (own, b"observer's seed.") if at == observer else (peers(run), b"other %010d" % run)
            return lambda channel: intersect(channel, NAMES[1 - at], items, coins=Coins(seed))

        outcome = together(side(0), side(1), wrap=wrap)
        assert not [each for each in outcome if isinstance(each, BaseException)], outcome
        found.append(next(c for c in channels if c.me == NAMES[observer]).view)
    return found


def deviation(rows: list[bytes]) -> float:
    """The share of ones and the distance of any two executions, in sigmas from those of fair coins."""
    bits = np.unpackbits(np.array([np.frombuffer(row, np.uint8) for row in rows]), axis=1).astype(float)
    count, width = bits.shape
    ones = abs(bits.mean() - 0.5) / (0.5 / math.sqrt(bits.size))
    signs = 2 * bits - 1
    pairs = signs @ signs.T / math.sqrt(width)
    return float(max(ones, np.abs(pairs[np.triu_indices(count, 1)]).max()))


@pytest.mark.parametrize("shared", [0, 3])
@pytest.mark.usefixtures("ideal_transfers")
def test_the_senders_view_is_uniform_but_for_the_common_items(
    together: Together, numbered: Numbered, shared: int
) -> None:
    """The sender gets the seed of the bins, the columns, and the digests of the common items."""
    common = numbered(shared)
    own = common + numbered(9, prefix=b"own ")
    seen = views(together, 1, own, lambda run: common + numbered(6, 100 * run, b"theirs "))
    assert [[step for step, _ in view] for view in seen] == [
        ["IntersectionOffer", 0, 3, "IntersectionCount", 6]
    ] * EXECUTIONS
    for place in (1, 2):
        assert deviation([view[place][1] for view in seen]) < SIGMAS
    assert {len(view[4][1]) for view in seen} == {16 * shared}


@pytest.mark.parametrize("shared", [0, 3])
@pytest.mark.usefixtures("ideal_transfers")
def test_the_receivers_view_is_uniform(together: Together, numbered: Numbered, shared: int) -> None:
    """The receiver gets values in sorted order: the order apart they are uniform, and new ones in each run."""
    common = numbered(shared)
    own = common + numbered(4, prefix=b"own ")
    count = shared + 30
    seen = views(together, 0, own, lambda run: common + numbered(30, 100 * run, b"theirs "))
    assert [[step for step, _ in view] for view in seen] == [["IntersectionOffer", 4, 5]] * EXECUTIONS
    pooled = np.concatenate([np.frombuffer(view[1][1], np.uint64) for view in seen])
    assert pooled.size == EXECUTIONS * CHOICES * count
    counts = np.bincount((pooled >> np.uint64(58)).astype(int), minlength=64)  # sorted in each run, uniform over all
    expected = pooled.size / 64
    assert abs(((counts - expected) ** 2 / expected).sum() - 63) < SIGMAS * math.sqrt(2 * 63)
    for bit in range(50):  # the order does not reach the lower bits
        ones = ((pooled >> np.uint64(bit)) & np.uint64(1)).mean()
        assert abs(ones - 0.5) < SIGMAS * 0.5 / math.sqrt(pooled.size), bit
    assert len(np.unique(pooled)) == pooled.size, "a value came twice: it does not depend on fresh randomness"


class Sink:
    """A channel that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, to: str, step: int, data: Any) -> None:
        self.sent.append(np.array(data))


def nearest(pairs: list[tuple[bytes, bytes]]) -> int:
    """The columns as the sender meets them, with and without the streams that it knows: how near any row comes to the
    code word of the receiver's input there, in bits of 448."""
    inputs = np.random.default_rng(5).integers(0, 2**64, (640, 2), np.uint64)
    sink, words = Sink(), oprf.code_words(inputs, bytes(32))
    oprf.receive(sink, "clinic", 0, inputs, bytes(32), pairs)  # type: ignore[arg-type]
    choices = np.arange(oprf.WIDTH) % 2
    known = oprf._drawn([Stream(pair[choice]) for pair, choice in zip(pairs, choices, strict=True)], 10)
    apart = [448]
    for columns in (sink.sent[0], sink.sent[0] ^ known):
        rows = np.stack([kernels.from_planes(columns[64 * at : 64 * at + 64], 640) for at in range(7)], axis=1)
        apart.append(int(np.unpackbits((rows ^ words).view(np.uint8), axis=1).sum(axis=1).min()))
    return min(apart)


def test_columns_hide_the_inputs_from_who_knows_one_stream_of_each_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are some 224 bits away from the code words. The test bites: without a stream they are near."""
    coins = Coins(b"sixteen bytes ok")
    pairs = [(coins.seed(), coins.seed()) for _ in range(oprf.WIDTH)]
    assert nearest(pairs) > 160
    assert nearest([(pair[0], pair[0]) for pair in pairs]) == 0
    drawn, calls = oprf._drawn, []

    def second_missing(streams: Any, width: int) -> Any:
        calls.append(width)
        return drawn(streams, width) * np.uint64(len(calls) % 2 or len(streams) == oprf.WIDTH)

    monkeypatch.setattr(oprf, "_drawn", second_missing)
    assert nearest(pairs) < 140


def test_points_of_both_choices_are_uniform_to_the_sender(together: Together) -> None:
    """The receiver's points for either choice: halves of one set of points that nobody can tell apart by their bits."""
    choices = np.arange(300) % 2 == 1
    seen: list[Recording] = []

    def wrap(channel: Any) -> Recording:
        seen.append(Recording(channel))
        return seen[-1]

    pairs, chosen = together(
        lambda c: base_ot.send(c, "clinic", 0, 300, b"x" * 32, Coins(b"observer's seed.")),
        lambda c: base_ot.receive(c, "bank", 0, choices, b"x" * 32, Coins()),
        wrap=wrap,
    )
    assert chosen == [pair[int(choice)] for pair, choice in zip(pairs, choices, strict=True)]
    assert len({key for pair in pairs for key in pair}) == 600
    points = np.frombuffer(next(c for c in seen if c.me == "bank").view[0][1], np.uint8).reshape(300, 64)
    for choice in (False, True):  # 8 sigmas: the largest of 11,175 pairs, and the points are new in each run
        assert deviation([row.tobytes() for row in points[choices == choice]]) < 8


@pytest.mark.usefixtures("ideal_transfers")
def test_values_at_other_inputs_differ_and_look_random(together: Together) -> None:
    """The functions agree in each place at the receiver's input, and nowhere else."""
    size, salt = 64, bytes(32)
    inputs = np.random.default_rng(1).integers(0, 2**64, (size, 2), np.uint64)
    bits = np.arange(oprf.WIDTH) % 3 == 0

    def receiver(channel: Any) -> Any:
        pairs = base_ot.send(channel, "clinic", 0, oprf.WIDTH, salt, Coins())
        return oprf.receive(channel, "clinic", 2, inputs, salt, pairs)

    def sender(channel: Any) -> Any:
        seeds = base_ot.receive(channel, "bank", 0, bits, salt, Coins())
        return oprf.send(channel, "bank", 2, size, salt, bits, seeds)

    values, key = together(receiver, sender)
    places = np.arange(size, dtype=np.uint64).reshape(-1, 1)
    np.testing.assert_array_equal(key.evaluate(inputs, places)[:, 0], values)
    shifted = key.evaluate(np.roll(inputs, 1, axis=0), places)[:, 0]
    elsewhere = key.evaluate(inputs, np.roll(places, 1, axis=0))[:, 0]
    for others in (shifted, elsewhere):
        assert not (others == values).any()
        flipped = np.unpackbits((others ^ values).view(np.uint8)).mean()
        assert abs(flipped - 0.5) < SIGMAS * 0.5 / math.sqrt(128 * size)
    assert "rows" not in repr(key)


# -- bounds -------------------------------------------------------------------------------------------------------


def test_code_words_are_far_apart() -> None:
    """Fewer than 128 differing bits, over all comparisons of the largest run: below 2^-40."""
    near = sum(math.comb(oprf.WIDTH, k) for k in range(128))
    assert math.log2(near) - oprf.WIDTH + math.log2(CHOICES * LARGEST) < -40
    words = oprf.code_words(np.random.default_rng(2).integers(0, 2**64, (300, 2), np.uint64), bytes(32))
    apart = np.unpackbits((words[:, None] ^ words[None]).view(np.uint8), axis=-1).sum(axis=-1)
    assert apart[np.triu_indices(300, 1)].min() > 140
    assert abs(apart[np.triu_indices(300, 1)].mean() - 224) < 1


@pytest.mark.parametrize("count", [4, 9, 33, 100, 200, 256, 300, 400, 512, 700, 1000, 3000, 10**4, 10**6, LARGEST])
def test_a_table_exists_for_all_but_a_fraction_of_the_seeds(count: int) -> None:
    """First moment over sets of t items with t - 1 bins, each hit at least twice (else a smaller set would do)."""
    size = bins.bins_for(count)
    steps = sorted({*range(4, min(count, 300) + 1), *np.geomspace(4, count, 1200).astype(int).tolist()})
    total, before = 0.0, 3
    for t in steps:
        total += (t - before) * math.exp(_log_moment(count, size, t))
        before = t
    assert math.log2(total) < -40


def _log_moment(count: int, size: int, t: int) -> float:
    """ln of the expected number of such sets: C(n,t) C(m,t-1) (3t)! (e^z - 1 - z)^(t-1) z^(-3t) / (m(m-1)(m-2))^t at
    the best z, with the rounding of ``choices`` to bins as another factor."""
    mean, low, high = 3 * t / (t - 1), 1e-9, 60.0
    for _ in range(60):
        z = (low + high) / 2
        low, high = (z, high) if z * math.expm1(z) / (math.expm1(z) - z) < mean else (low, z)
    ways = math.lgamma(3 * t + 1) + (t - 1) * math.log(math.expm1(z) - z) - 3 * t * math.log(z)
    log_choose = _log_choose(count, t) + _log_choose(size, t - 1)
    each = math.log(size) + math.log(size - 1) + math.log(size - 2) - 3 * math.log1p(size / 2**39)
    return log_choose + ways - t * each


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def test_three_different_bins_evenly() -> None:
    items = np.random.default_rng(3).integers(0, 2**64, (60_000, 2), np.uint64)
    chosen = bins.choices(items, b"a public seed 16", 60)
    assert chosen.max() == 59 and (np.diff(np.sort(chosen, axis=1), axis=1) > 0).all()
    for column in chosen.T:
        counts = np.bincount(column.astype(int), minlength=60)
        assert ((counts - 1000) ** 2 / 1000).sum() < 59 + SIGMAS * math.sqrt(2 * 59)


def test_a_seed_without_a_table_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """With too few bins most seeds fail; the seed that comes out is one with a table."""
    items = np.random.default_rng(4).integers(0, 2**64, (64, 2), np.uint64)
    monkeypatch.setattr(bins, "bins_for", lambda count: 64)
    tried = []
    real = bins.choices
    monkeypatch.setattr(bins, "choices", lambda i, seed, size: tried.append(seed) or real(i, seed, size))
    seed, table = bins.place(items, Coins(b"sixteen bytes ok"))
    assert len(tried) > 1 and seed == tried[-1]
    assert sorted(table[table < 64].tolist()) == list(range(64))
    assert all(place in real(items, seed, 64)[int(item)] for place, item in enumerate(table) if item < 64)


# -- peers that misbehave -----------------------------------------------------------------------------------------


def offer(size: int = 3, **changes: Any) -> IntersectionOffer:
    return IntersectionOffer(**{"size": size, "to": "both", "method": "kkrt16", "nonce": bytes(32), **changes})


def test_a_peer_that_dies_or_stays_silent_ends_the_run(together: Together, numbered: Numbered) -> None:
    def dies(channel: Any) -> None:
        channel.tell("bank", offer())
        raise PeerLost("killed")

    bank, _ = together(lambda c: intersect(c, "clinic", numbered(2)), dies)
    assert isinstance(bank, NetworkError) and "clinic" in str(bank)
    bank, _ = together(lambda c: intersect(c, "clinic", numbered(2)), lambda c: None, idle_s=0.2)
    assert isinstance(bank, PeerTimeout) and "clinic" in str(bank)


def test_a_set_too_large_is_refused_before_memory_is_taken(together: Together, numbered: Numbered) -> None:
    bank, _ = together(lambda c: intersect(c, "clinic", numbered(2)), lambda c: c.tell("bank", offer(LARGEST + 1)))
    assert isinstance(bank, WireError) and "clinic" in str(bank)


def test_points_off_the_curve_are_refused(together: Together, numbered: Numbered) -> None:
    def wrong(channel: Any) -> None:
        channel.tell("bank", offer(1))
        channel.send("bank", 0, bytes(16))
        channel.send("bank", 1, b"\x01" * 64)

    bank, _ = together(lambda c: intersect(c, "clinic", numbered(2)), wrong)
    assert isinstance(bank, WireError) and "P-256" in str(bank)


@pytest.mark.parametrize("answer", ["too many", "foreign", "twice"])
def test_an_answer_that_cannot_be_true_is_refused(
    together: Together, numbered: Numbered, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lying:
        def __init__(self, channel: Any) -> None:
            self._channel = channel

        def __getattr__(self, name: str) -> Any:
            return getattr(self._channel, name)

        def tell(self, to: str, message: Any) -> None:
            if isinstance(message, IntersectionCount) and answer == "too many":
                message = IntersectionCount(count=99)
            self._channel.tell(to, message)

        def send(self, to: str, step: int, data: Any) -> None:
            if step == 6 and answer != "too many":
                data = data ^ np.uint64(1) if answer == "foreign" else np.repeat(data[:1], len(data), axis=0)
            self._channel.send(to, step, data)

    bank, clinic = together(
        lambda c: intersect(Lying(c), "clinic", numbered(3)), lambda c: intersect(c, "bank", numbered(4))
    )
    assert not isinstance(bank, BaseException)
    assert isinstance(clinic, WireError) and "bank" in str(clinic)


@given(
    script=st.lists(
        st.one_of(
            st.builds(offer, st.integers(0, 5)),
            st.builds(IntersectionCount, count=st.integers(0, 2**62)),
            st.tuples(st.integers(0, 6), st.sampled_from([0, 1, 16, 64, 90, 128, 264, 28672]), st.binary(max_size=4)),
        ),
        max_size=6,
    ),
    size=st.integers(0, 5),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_messages_end_in_a_result_or_a_clear_error(script: list[Any], size: int) -> None:
    """The peer's messages lie ready, well formed or not; then it is gone."""
    channels = memory_network(("bank", "clinic"), idle_s=0.05)
    clinic = channels["clinic"]
    clinic.tell("bank", offer(size))
    for item in script:
        if isinstance(item, tuple):
            step, length, filling = item
            clinic.send("bank", step, (filling * length)[:length].ljust(length, b"\x00"))
        else:
            clinic.tell("bank", item)
    try:
        intersect(channels["bank"], "clinic", [b"a", b"b", b"c"])
    except PrivityError as error:
        assert "clinic" in str(error)
