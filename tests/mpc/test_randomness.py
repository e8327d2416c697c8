"""Masks: no purpose is given out twice, no stream repeats, both holders draw the same, and no key ever comes again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.errors import UsageError
from privity.mpc import party
from privity.mpc.rep3 import Rep3, inputs, seat
from privity.ring import prg
from privity.ring.prg import KeySchedule, Stream
from privity.session import Session
from privity.testing import run


def test_a_purpose_is_given_out_once() -> None:
    keys = KeySchedule(bytes(32), b"session")
    keys.stream("masks")
    keys.stream("masks", lane=1)
    keys.stream("masks", shard=1)
    keys.stream("other")
    for again in ({}, {"lane": 1}, {"shard": 1}):
        with pytest.raises(UsageError, match="already taken"):
            keys.stream("masks", **again)


def test_streams_differ_by_everything_that_names_them() -> None:
    one, two = bytes(32), bytes(31) + b"\1"
    made = [
        KeySchedule(secret, context).stream(purpose, shard, lane).words(4).tobytes()
        for secret in (one, two) for context in (b"a", b"b") for purpose in ("masks", "mask")
        for shard in (0, 1) for lane in (0, 1)
    ]  # fmt: skip
    assert len(set(made)) == len(made)
    assert KeySchedule(one, b"a").stream("masks").words(4).tobytes() == made[0], "both holders derive the same"


@pytest.mark.parametrize("sizes", [[1] * 300, [2049, 1, 2048, 8191, 0, 7], [8192, 8193, 3], [200_000, 5], [0, 0, 1]])
def test_a_stream_never_repeats(sizes: list[int]) -> None:
    """64-bit words of AES in counter mode: a repeated word in so few would be a chance below 2^-28."""
    stream, twin = Stream(bytes(16)), Stream(bytes(16))
    drawn = [stream.words(n) for n in sizes]
    kept = [d.copy() for d in drawn]
    for a, n in zip(drawn, sizes, strict=True):
        assert a.size == n
        np.testing.assert_array_equal(a, twin.words(n))
    everything = np.concatenate(drawn)
    assert len(set(everything.tolist())) == everything.size
    for a, b in zip(drawn, kept, strict=True):
        np.testing.assert_array_equal(a, b, "a later draw changed an earlier one")


def test_keys_have_16_bytes() -> None:
    for size in (0, 15, 17, 32):
        with pytest.raises(UsageError, match="16 bytes"):
            Stream(bytes(size))


class Registry:
    """Every (key, counter) that any stream of a run has produced, per holder; a second use fails."""

    def __init__(self) -> None:
        self.used: set[tuple[int, bytes]] = set()
        self.keys: list[bytes] = []
        self.numbers = itertools.count()

    def stream(self, key: bytes) -> Any:
        registry, real, number = self, Stream(key), next(self.numbers)  # not its id, which a later stream may have
        registry.keys.append(key)

        class Strict:
            def words(self, count: int) -> Any:
                out = real.words(count)
                for block in {out.tobytes()[:64], out.tobytes()[-64:]}:  # 512 bits never come by chance
                    if len(block) == 64:
                        seen = (number, block)
                        assert seen not in registry.used, "a stream produced the same words twice"
                        registry.used.add(seen)
                return out

        return Strict()


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    made = Registry()
    for place in (prg, inputs, seat):
        monkeypatch.setattr(place, "Stream", made.stream)
    yield made


def test_no_key_is_used_for_two_streams_in_a_run(registry: Registry) -> None:
    """A pair's key is known to its two holders, a seed of an owner's input to the owner and the two holders."""

    def program(s: Session) -> Any:
        x = s.secret("x", "bank")
        for _ in range(3):
            y = pv.sigmoid(x * x) @ x.T
        return s.reveal(y.sum() + s.secret("y", "bank").sum(), to="all", name="y", reason="test")

    rng = np.random.default_rng(0)
    pv.simulate(program, inputs={"bank": {"x": rng.normal(size=(70, 70)), "y": rng.normal(size=3)}})
    counts = {key: registry.keys.count(key) for key in registry.keys}
    pairs = [k for k, c in counts.items() if c == 2]
    seeds = [k for k, c in counts.items() if c == 3]  # the owner and the two holders of x_0 (x_1)
    helper = [k for k, c in counts.items() if c == 1]  # what each party draws from for itself: party 2 in a sine series
    assert (len(pairs), len(seeds), len(helper)) == (3, 4, 3) and len(counts) == 10


def test_two_runs_share_no_key(registry: Registry) -> None:
    for _ in range(2):
        run(Rep3(), lambda p: p.party.streams)
    pairs = {key for key in registry.keys if registry.keys.count(key) == 2}
    assert len(pairs) == 6 and len(registry.keys) == 12 + 6, "the others are what each party draws from for itself"
    assert len(set(registry.keys)) == 6 + 6


def test_the_two_holders_of_a_pair_agree_and_the_third_does_not() -> None:
    streams = run(Rep3(), lambda p: {j: s.words(8).tobytes() for j, s in p.party.streams.items()}).outputs
    assert streams[0][1] == streams[1][0] and streams[0][2] == streams[2][0] and streams[1][2] == streams[2][1]
    assert len({streams[0][1], streams[0][2], streams[1][2]}) == 3


def test_streams_are_bound_to_the_session() -> None:
    class Pair:
        me = "a"

        def pair_secret(self, peer: str) -> bytes:
            return bytes(32)

    one, two = (party.agree_streams(Pair(), ["a", "b"], c)[1].words(4).tobytes() for c in (b"1", b"2"))  # type: ignore[arg-type]
    assert one != two
