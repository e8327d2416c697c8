"""Columns of more places than travel in one message: what hides them never comes twice. And the order of answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from privity.psi import intersect, oprf
from privity.psi.coins import Coins
from privity.ring.prg import SEED_BYTES, Stream
from privity.testing import Received, ViewLeaks, Zeros, require_fresh

PLACES = oprf.CHUNK + 64 * 65  # two messages
SALT = bytes(32)


class Sink:
    """A channel that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, to: str, step: int, data: Any) -> None:
        self.sent.append(np.array(data))


def columns_for(monkeypatch: pytest.MonkeyPatch, stream: Callable[[bytes], Any] = Stream) -> tuple[list[Any], Any]:
    """Messages and values of a receiver that asks for one input in all places; the streams that the sender knows, one
    of each pair in turn, are zero."""
    coins = Coins(b"sixteen bytes ok")
    pairs = [(coins.seed(), coins.seed()) for _ in range(oprf.WIDTH)]
    known = {pair[at % 2] for at, pair in enumerate(pairs)}
    monkeypatch.setattr(oprf, "Stream", lambda seed: Zeros() if seed in known else stream(seed))
    inputs = np.tile(np.random.default_rng(5).integers(0, 1 << 64, 2, np.uint64), (PLACES, 1))
    sink = Sink()
    values = oprf.receive(sink, "clinic", 3, inputs, SALT, pairs)  # type: ignore[arg-type]
    return sink.sent, values


def test_columns_of_many_places_never_come_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    sent, values = columns_for(monkeypatch)
    assert len(sent) == oprf.messages(PLACES) == 2
    require_fresh([Received("bank", "columns", part) for part in sent], PLACES)
    require_fresh([Received("bank", "values", values)], PLACES)


def test_streams_that_start_anew_in_each_message_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    class Anew:
        def __init__(self, seed: bytes) -> None:
            self._seed = seed

        def words(self, count: int) -> Any:
            return Stream(self._seed).words(count)

    sent, _ = columns_for(monkeypatch, Anew)
    with pytest.raises(ViewLeaks, match="come twice"):
        require_fresh([Received("bank", "columns", part) for part in sent], PLACES)


def test_both_owners_draw_each_word_of_a_stream_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 places a word, in each stream, whatever the messages; the words of a set's coins follow from its size."""
    drawn: dict[bytes, int] = {}

    class Counted:
        def __init__(self, seed: bytes) -> None:
            assert seed not in drawn, "a stream was started twice"
            drawn[seed], self._seed, self._stream = 0, seed, Stream(seed)

        def words(self, count: int) -> Any:
            drawn[self._seed] += count
            return self._stream.words(count)

    coins, sink = Coins(b"sixteen bytes ok"), Sink()
    pairs = [(coins.seed(), coins.seed()) for _ in range(oprf.WIDTH)]
    monkeypatch.setattr(oprf, "Stream", Counted)
    oprf.receive(sink, "clinic", 3, np.zeros((PLACES, 2), np.uint64), SALT, pairs)  # type: ignore[arg-type]
    assert drawn == {seed: PLACES // 64 for pair in pairs for seed in pair}
    drawn.clear()

    class Source:
        def receive(self, source: str, step: int, into: Any) -> None:
            into[:] = sink.sent[step - 3]

    choices = np.arange(oprf.WIDTH) % 2 == 1
    chosen = [pair[at % 2] for at, pair in enumerate(pairs)]
    oprf.send(Source(), "bank", 3, PLACES, SALT, choices, chosen)  # type: ignore[arg-type]
    assert drawn == dict.fromkeys(chosen, PLACES // 64)
    assert all(len(seed) == SEED_BYTES for seed in drawn)


def test_the_answer_is_in_no_order_of_the_receivers(together: Callable[..., list[Any]]) -> None:
    """Common items are told sorted by their digests, whatever the order of the items: rows would say where they lie."""
    items, told = [b"item %d" % i for i in range(40)], []

    class Watching:
        def __init__(self, channel: Any) -> None:
            self._channel = channel

        def __getattr__(self, name: str) -> Any:
            return getattr(self._channel, name)

        def send(self, to: str, step: int, data: Any) -> None:
            if step == 6:
                told.append(np.array(data))
            self._channel.send(to, step, data)

    outcome = together(
        lambda c: intersect(Watching(c), "clinic", items), lambda c: intersect(c, "bank", [*items, b"another"])
    )
    assert [each.rows.size for each in outcome] == [40, 40]
    assert len(told) == 1 and told[0].shape == (40, 2)
    assert (told[0][1:, 0] > told[0][:-1, 0]).all()  # rows in their own order would be so once in 40! runs
