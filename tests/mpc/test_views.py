"""View tests on Z_2^64: what each observer receives must be uniform, for each primitive and for very different secrets.

Every lane is one execution with the same secrets; all the observer knows is the same in every lane.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import numpy as np
import pytest

from privity.errors import PeerAborted, WireError
from privity.mpc import logistic, roots, spread
from privity.mpc.protocol import Scheme
from privity.mpc.rep3 import Link, Rep3, Replicated, seat
from privity.mpc.shares import Bits, Share
from privity.ring import layout, reference
from privity.testing import (
    ByteView,
    Column,
    LaneStream,
    Received,
    Run,
    ViewLeaks,
    altered,
    columns,
    fresh_rows,
    known_rows,
    lane_streams,
    open_value,
    reconstruct,
    reconstruct_bits,
    rep3_share,
    require_uniform,
    run,
)

LANES = 64 * 64 - 1  # elements and planes can be told apart: no plane count times 64 words is a multiple
WIDE = 129 * 64 - 1  # planes of more than 128 words are combined one by one
SECRETS = [(0, 0), (1, -1), (-(2**61) + 12345, 3), (2**30 + 7, -(2**30))]
FAST, RIPPLE = Link(bytes_per_s=1e30, and_s_per_word=0.0), Link(one_way_s=0.0)
TREE = Link(bytes_per_s=1e30, and_s_per_word=0.0, largest_digit=1)

Program = Callable[[Any, Sequence[Share]], Any]


class Executions:
    """``lanes`` executions of a program with two secrets, as one observer meets them (None: one that holds nothing)."""

    def __init__(self, program: Program, observer: int | None, secrets: tuple[int, int], *, lanes: int = LANES,
                 protocol: Scheme = Rep3(), outside: Any = None) -> None:
        same = np.zeros(lanes, np.int64)
        holder = 0 if observer is None else observer
        self.lanes, self.components = lanes, []
        for j, secret in enumerate(secrets):
            known = known_rows(same, 50 + j)
            mine = [known(64), known(64)]
            parts = {holder: mine[0], (holder + 1) % 3: mine[1]}
            parts[(holder + 2) % 3] = np.uint64(secret % 2**64) - mine[0] - mine[1]
            self.components.append([parts[c] for c in range(3)])

        def of_holder(pair: int) -> Callable[[int], Any]:
            return fresh_rows(lanes, 2000 + pair) if observer is None else known_rows(same, pair)

        streams = lane_streams(holder, lanes, of_holder, lambda: fresh_rows(lanes, 1000))
        # The helper of a sine series draws for itself: as observer it knows what it drew.
        own = mock.patch.object(seat, "Stream", lambda seed: LaneStream(lanes, known_rows(same, 77)))
        with own if observer == 2 else contextlib.nullcontext():
            self.run: Run = run(
                protocol, lambda p: program(p, [rep3_share(c, p.party.index) for c in self.components]),
                streams=streams, outside=outside,
            )  # fmt: skip
        self.observer = holder

    @property
    def view(self) -> list[Column]:
        return columns(self.run.parties[self.observer].view, self.lanes)


def bit_planes(x: Share, count: int) -> Bits:
    return Bits(tuple(reference.to_planes(a, count) for a in x.parts), x.shape, count)


def rows(x: Share, width: int) -> Share:
    return x.map(lambda a: layout.reshape((-1, 1))(a) * np.ones((1, width), np.uint64))


PRIMITIVES: dict[str, Program] = {
    "mul": lambda p, s: p.mul(s[0], s[1]),
    "two products": lambda p, s: [p.mul(s[0], s[1]), p.mul(s[0], s[1]), p.mul(s[1], s[1])],
    "mul with truncation": lambda p, s: p.mul(s[0], s[1], 18),
    "dot": lambda p, s: p.dot(rows(s[0], 3), rows(s[1], 3), 18),
    "matmul": lambda p, s: p.matmul(rows(s[0], 3), s[1].map(layout.take(slice(3))).map(layout.reshape((3, 1))), 18, 5),
    "sum of products": lambda p, s: p.matmul_sum([(rows(s[0], 3), rows(s[1], 3).map(layout.take(slice(3))))] * 2),
    "stack of matrices": lambda p, s: p.matmul(*(x.map(layout.reshape((-1, 1, 1))) for x in s), 18),
    "random ring": lambda p, s: p.random_ring(s[0].shape),
    "random bits": lambda p, s: p.random_bits(s[0].shape, 3),
    "truncate": lambda p, s: p.truncate(s[0], 18),
    "truncate by 1": lambda p, s: p.truncate(s[0], 1),
    "truncate nearest": lambda p, s: p.truncate_nearest(s[0], 18),
    "msb by tree": lambda p, s: p.msb(s[0], 62),
    "msb of 27 bits": lambda p, s: p.msb(s[0], 27),
    "bits": lambda p, s: p.bits(s[0], 13),
    "bits one by one": lambda p, s: p.bits(s[0], 13, True),
    "is_zero": lambda p, s: p.is_zero(s[0], 64),
    "and": lambda p, s: p.and_(bit_planes(s[0], 5), bit_planes(s[1], 5)),
    "product of bits": lambda p, s: p.bit_matmul(
        p.a2bits(s[0].map(layout.take(slice(15))).map(layout.reshape((3, 5)))), bit_planes(s[1], 5)
    ),
    "b2a": lambda p, s: p.b2a(bit_planes(s[0], 3)),
    "inject": lambda p, s: p.inject(bit_planes(s[0], 1), s[1])[0],
    "sine series": lambda p, s: p.sine_series(s[0], 23, [0.5, -0.25, 2.0], 18),
    "cosine series": lambda p, s: p.sine_series(s[0], 23, [0.5], 18, [0.0, -0.25, 2.0]),
    "series and sides": lambda p, s: p.series_and_sides(
        s[0], 23, [0.5, -0.25, 2.0], 18, [], [-(2**20), 2**20 - 2**9], 62, 9
    ),
    "share": lambda p, s: [
        p.share(o, sum(x.parts[0] for x in s) if p.party.index == o else None, s[0].shape) for o in range(3)
    ],
}


@pytest.mark.parametrize("observer", range(3))
@pytest.mark.parametrize("name", PRIMITIVES)
def test_a_compute_party_sees_uniform_messages(name: str, observer: int) -> None:
    for secrets in SECRETS:
        require_uniform(Executions(PRIMITIVES[name], observer, secrets).view)


@pytest.mark.parametrize("observer", range(3))
@pytest.mark.parametrize("name", ["truncate", "mul with truncation", "sine series", "truncate nearest"])
def test_exact_protocol(name: str, observer: int) -> None:
    require_uniform(Executions(PRIMITIVES[name], observer, SECRETS[2], protocol=Rep3(exact=True)).view)


@pytest.mark.parametrize("observer", range(3))
@pytest.mark.parametrize("link", [FAST, Link(largest_digit=3), TREE], ids=["fast", "digits", "tree"])
@pytest.mark.parametrize("name", ["truncate", "mul with truncation", "msb of 27 bits", "b2a", "inject"])
def test_every_form_of_a_primitive(name: str, link: Link, observer: int) -> None:
    protocol = Rep3(link=link)
    require_uniform(Executions(PRIMITIVES[name], observer, SECRETS[2], protocol=protocol).view)


@pytest.mark.parametrize("observer", range(3))
def test_ripple_carry_and_wide_planes(observer: int) -> None:
    sign: Program = lambda p, s: p.msb(s[0], 20)  # noqa: E731
    for link in (FAST, TREE, RIPPLE):
        require_uniform(Executions(sign, observer, SECRETS[3], lanes=WIDE, protocol=Rep3(link=link)).view)


FEW = 64 * 4 - 1  # lanes of long computations, whose views are wide


def _sums(p: Any, s: Sequence[Share]) -> Any:
    """Sums of squares at two levels, and which of these has digits."""
    levels = spread.levels(p, spread.limbs(p, rows(s[0], 1), 50, 1))
    return levels, p.msb(p.stack([p.add_public(v, layout.constant(-(1 << spread.DIGITS))) for v, _ in levels], 0))


def _mean(p: Any, s: Sequence[Share]) -> Any:
    """A mean by a secret count whose inverse is known."""
    count = spread.Count(100, s[1], s[1], s[1])
    return spread.mean(p, s[0], count, 40, 6)


COMPOSED: dict[str, Program] = {
    "logistic": lambda p, s: logistic.logistic(p, s[0], 28, 18),
    "log loss": lambda p, s: logistic.integral(p, s[1], 18, s[0], 28, 18),
    "quotient": lambda p, s: roots.quotient(p, s[0], 18, s[1], 18, 30, 18, 30),
    "sums of squares": _sums,
    "normal form": lambda p, s: spread.normalised(p, [(s[0], 0)], s[1], s[1], None, 100),
    "mean": _mean,
    "long product": lambda p, s: spread.long_product(p, s[0], s[1], 30),
}


@pytest.mark.parametrize("observer", range(3))
@pytest.mark.parametrize("name", COMPOSED)
def test_long_computations_send_nothing_but_what_their_primitives_do(name: str, observer: int) -> None:
    """All messages together: no mask serves for two operations. One secret is far beyond its range."""
    view = Executions(COMPOSED[name], observer, (-(2**61) + 12345, 57), lanes=FEW).view
    assert view
    require_uniform(view)


def test_something_is_received() -> None:
    """An empty view would pass every test above."""
    silent = set()
    for name, program in PRIMITIVES.items():
        seen = [len(Executions(program, observer, SECRETS[0]).view) for observer in range(3)]
        silent |= {(name, i) for i in range(3) if not seen[i]}
    # Party 1 only deals in these; random values cost no message.
    dealt = {("b2a", 1), ("truncate", 1), ("truncate by 1", 1)}
    assert silent == dealt | {(name, i) for name in ("random ring", "random bits") for i in range(3)}


@pytest.mark.parametrize("observer", range(3))
def test_no_party_knows_a_random_value(observer: int, spoil: Any) -> None:
    """All the observer holds is the same in every lane; the values must be uniform and independent over the lanes."""

    def values(protocol: Scheme) -> list[Column]:
        def program(p: Any, s: Sequence[Share]) -> Any:
            return p.random_ring(s[0].shape), p.random_bits(s[0].shape, 3)

        done = Executions(program, observer, SECRETS[0], protocol=protocol).run.outputs
        held = [done[observer][0].parts, done[observer][1].parts]
        assert all((np.asarray(a) == np.asarray(a).reshape(-1)[0]).all() for a in held[0])
        number = reconstruct([o[0] for o in done]).view(np.uint64)
        planes = reconstruct_bits([o[1] for o in done]).view(np.uint64)
        return [Column("ring", number, 64), *(Column(f"plane {j}", row, 1) for j, row in enumerate(planes))]

    require_uniform(values(Rep3()))
    lacked = {0: (1, 2), 1: (0, 2), 2: (0, 1)}[observer]
    for changes in ({0: None}, {1: None}):
        with pytest.raises(ViewLeaks):
            require_uniform(values(spoil({lacked: changes})))


# -- truncation: the declared functionality ----------------------------------------------------------------------


@pytest.mark.parametrize("observer", range(3))
@pytest.mark.parametrize("d", [1, 18, 40])
def test_a_truncated_value_is_a_function_of_the_secret_and_of_low_mask_bits_the_observer_knows(
    observer: int, d: int
) -> None:
    for secrets in SECRETS:
        e = Executions(lambda p, s: p.truncate(s[0], d), observer, secrets)
        got = reconstruct(e.run.outputs)
        assert (got == got[0]).all(), "the rounding depends on something else than x and the observer's own numbers"
        a, b = (int(c[0]) for c in rep3_share(e.components[0], observer).parts)
        mask = (a, a + b, b)[observer] % 2**d  # u at party 1, v at 0 and 2
        other = (secrets[0] - mask) % 2**d
        v = other if observer == 1 else mask
        assert got[0] == (secrets[0] >> d) - ((mask + other) >> d) + (v != 0)


# -- openings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("observer", range(3))
def test_an_opening_shows_a_party_the_value_only(observer: int) -> None:
    """The message that opens z is z less the party's own shares of it; all that came before stays uniform."""
    e = Executions(lambda p, s: (z := p.mul(s[0], s[1]), open_value(p, z, [observer])), observer, SECRETS[3])
    share, value = e.run.outputs[observer]
    before, opening = e.view[:-1], e.view[-1]
    np.testing.assert_array_equal(opening.values + share.parts[0] + share.parts[1], value)
    assert (value == np.uint64(-(2**30) * (2**30 + 7) % 2**64)).all()
    require_uniform(before)
    for other in {0, 1, 2} - {observer}:
        e = Executions(lambda p, s: open_value(p, p.mul(s[0], s[1]), [observer]), other, SECRETS[3])
        assert len(e.view) == 1
        require_uniform(e.view)


def collecting(lanes: int) -> Callable[[Any, tuple[str, ...]], list[Received]]:
    def collect(channel: Any, names: tuple[str, ...]) -> list[Received]:
        got = []
        for name in names:
            part = np.empty(lanes, np.uint64)
            channel.receive(name, 1, part)
            got.append(Received(name, "opening", part))
        return got

    return collect


def open_outside(p: Any, s: Sequence[Share]) -> Any:
    open_value(p, s[0], [], ["doctor"], 1)


@pytest.mark.parametrize("together_with", [None, 0, 1, 2])
def test_an_outside_receiver_sees_the_value_only(together_with: int | None, protocol: Scheme = Rep3()) -> None:
    """Also if it pools what it sees with one compute party. Shares are constants: only the zero share hides them."""
    for secrets in SECRETS:
        e = Executions(
            open_outside, together_with, secrets, protocol=protocol, outside={"doctor": collecting(LANES)}
        )  # fmt: skip
        parts = columns(e.run.outside["doctor"], LANES)
        value = parts[0].values + parts[1].values + parts[2].values
        assert (value == np.uint64(secrets[0] % 2**64)).all()
        if together_with is None:
            require_uniform(parts[:2])
            require_uniform(parts[1:])
        else:
            assert (parts[together_with].values == parts[together_with].values[0]).all(), "its own part, which it knows"
            require_uniform([parts[(together_with + 1) % 3]])


def test_two_receivers_get_independent_parts() -> None:
    e = Executions(
        lambda p, s: open_value(p, s[0], [], ["doctor", "auditor"], 1), None, SECRETS[1],
        outside={"doctor": collecting(LANES), "auditor": collecting(LANES)},
    )  # fmt: skip
    require_uniform([c for name in ("doctor", "auditor") for c in columns(e.run.outside[name][:2], LANES)])


# -- inputs of outside owners ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, -(2**61)])
def test_the_input_of_an_outside_owner_arrives_masked(value: int) -> None:
    x = np.full(LANES, value, np.int64).view(np.uint64)
    views = {i: ByteView() for i in range(3)}
    run(
        Rep3(), lambda p: p.receive_input("bank", 1, (LANES,)), recorders=views,
        outside={"bank": lambda channel, names: Rep3().deal(channel, names, 1, x)},
    )  # fmt: skip
    got = {i: [m for m in v.messages if m[0] == "bank"] for i, v in views.items()}
    assert [len(got[i][0][3]) for i in range(3)] == [32, 16 + 8 * LANES, 16 + 8 * LANES]
    for i in (1, 2):
        data = np.frombuffer(got[i][0][3][16:], np.uint64)
        require_uniform(columns([Received("bank", "input", data)], LANES))
    seeds = {got[0][0][3][:16], got[0][0][3][16:]}
    assert len(seeds) == 2 and {got[1][0][3][:16], got[2][0][3][:16]} == seeds
    assert all(m[2] == "input digests" for v in views.values() for m in v.messages if m[0] != "bank")


def test_an_owner_that_deals_different_shares_is_refused() -> None:
    def deal(channel: Any, names: tuple[str, ...]) -> None:
        seed = bytes(16)
        channel.send(names[0], 1, seed + seed)
        channel.send(names[1], 1, seed + bytes(8))
        channel.send(names[2], 1, seed + b"\1" + bytes(7))

    with pytest.raises((WireError, PeerAborted)) as caught:
        run(Rep3(), lambda p: p.receive_input("bank", 1, (1,)), outside={"bank": deal})
    assert isinstance(caught.value, WireError) and "owner bank sent different shares" in str(caught.value)


# -- proof that these tests bite ---------------------------------------------------------------------------------


def leaks(program: Program, observer: int, protocol: Scheme, secrets: tuple[int, int] = SECRETS[2]) -> None:
    require_uniform(Executions(program, observer, secrets).view)
    with pytest.raises(ViewLeaks):
        require_uniform(Executions(program, observer, secrets, protocol=protocol).view)


@pytest.mark.parametrize("observer", range(3))
def test_a_missing_zero_share_is_caught(observer: int) -> None:
    @altered
    class NoZeroShare(Replicated):
        def mul(self, x: Share, y: Share, shift: int = 0) -> Share:
            z = x.parts[0] * (y.parts[0] + y.parts[1]) + x.parts[1] * y.parts[0]
            return self._finish(z, x.shape, shift)

    leaks(PRIMITIVES["mul"], observer, NoZeroShare)


@pytest.mark.parametrize("observer", range(3))
def test_a_zero_share_used_twice_is_caught(spoil: Any, observer: int) -> None:
    again = spoil({(0, 1): {1: 0}, (0, 2): {1: 0}, (1, 2): {1: 0}})
    leaks(PRIMITIVES["two products"], observer, again)
    for column in Executions(PRIMITIVES["two products"], observer, SECRETS[2], protocol=again).view:
        require_uniform([column])  # alone, each message is uniform


@pytest.mark.parametrize(
    ("name", "changes", "observer"),
    [
        ("truncate", {(0, 1): {0: None}}, 2),
        ("truncate", {(0, 1): {1: None}}, 2),
        ("truncate", {(0, 1): {2: None}}, 2),
        ("truncate", {(1, 2): {0: None}}, 0),
        ("truncate", {(0, 1): {1: 0}}, 2),
        ("truncate nearest", {(0, 1): {0: None}}, 2),
        ("msb by tree", {(0, 1): {0: None}}, 2),
        ("msb by tree", {(0, 1): {1: None}}, 2),
        ("msb by tree", {(1, 2): {0: None}}, 0),
        ("bits", {(0, 1): {0: None}}, 2),
        ("b2a", {(0, 1): {0: None}}, 2),
        ("b2a", {(0, 1): {1: None}}, 2),
        ("b2a", {(0, 1): {1: 0}}, 2),
        ("b2a", {(1, 2): {0: None}}, 0),
        ("sine series", {(0, 2): {0: None}}, 1),
        ("sine series", {(0, 1): {0: None}}, 2),
        ("share", {(0, 2): {0: None}}, 1),
    ],
)
def test_a_mask_left_out_or_used_twice_is_caught(spoil: Any, name: str, changes: Any, observer: int) -> None:
    leaks(PRIMITIVES[name], observer, spoil(changes))


@pytest.mark.parametrize("observer", [None, 0, 1, 2])
def test_an_opening_to_an_outsider_without_a_zero_share_is_caught(observer: int | None) -> None:
    @altered
    class Bare(Replicated):
        def zero(self, n: int) -> Any:
            return layout.zeros((n,))

    test_an_outside_receiver_sees_the_value_only(observer)
    with pytest.raises(ViewLeaks):
        test_an_outside_receiver_sees_the_value_only(observer, Bare)


def test_a_masked_angle_whose_mask_another_party_knows_is_caught() -> None:
    """r from the stream that parties 0 and 2 share: party 0 can take it off, and the view test finds it."""

    @altered
    class SharedMask(Replicated):
        def sine_series(
            self, x: Share, period: int, weights: Sequence[float], scale: int, cosines: Sequence[float] = ()
        ) -> Share:
            if self.party.index == 0:
                self.low.words(x.size)  # stays in step with party 2
            elif self.party.index == 2:
                self.own = self.high
            return super().sine_series(x, period, weights, scale, cosines)

    require_uniform(Executions(PRIMITIVES["sine series"], 0, SECRETS[2]).view)
    with pytest.raises(ViewLeaks):
        require_uniform(Executions(PRIMITIVES["sine series"], 0, SECRETS[2], protocol=SharedMask).view)
    require_uniform(Executions(PRIMITIVES["sine series"], 1, SECRETS[2], protocol=SharedMask).view)


def test_the_statistics_bite_on_their_own() -> None:
    rng = np.random.default_rng(3)
    mask = rng.integers(0, 1 << 64, LANES, np.uint64)
    biased = np.where(rng.random(LANES) < 0.2, np.uint64(0), mask)
    even = mask & ~np.uint64(1)
    parity = even | ((mask >> np.uint64(1) ^ mask >> np.uint64(2)) & np.uint64(1))  # fair and pairwise independent bits
    require_uniform([Column("mask", mask, 64)])
    for bad in (biased, even, parity):
        with pytest.raises(ViewLeaks):
            require_uniform([Column("bad", bad, 64)])
    for again in (mask + np.uint64(5), np.uint64(7) - mask, mask * np.uint64(2**63 + 1), mask << np.uint64(3)):
        with pytest.raises(ViewLeaks):
            require_uniform([Column("mask", mask, 64), Column("again", again, 64)])
