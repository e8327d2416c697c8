"""View tests above every size at which the code takes another path: one execution, many elements that are all alike.

Secrets, the observer's shares and the words of the streams that it holds are the same in every element. So what it
receives differs from element to element by masks that it lacks, and by nothing else: if masks come twice, words do.
Which sizes matter, and which test goes beyond each: docs/security/view-tests.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest

from privity.mpc import party, rep3
from privity.mpc.protocol import Scheme
from privity.mpc.rep3 import Link, Rep3, Replicated
from privity.mpc.shares import Bits, Mix, Share, Shown
from privity.ring import layout, order, reference
from privity.ring.prg import Stream
from privity.testing import (
    ByteView,
    Received,
    Run,
    ViewLeaks,
    Zeros,
    altered,
    open_value,
    reconstruct,
    rep3_share,
    require_fresh,
    require_uniform,
    run,
    shuffle_and_open,
    some_columns,
    streams_for,
)

LARGE = 2 * (1 << 15) + 3001  # three chunks of a product, the last one short; planes of 1,071 words
LANES = 16 * 64  # the last of the elements, whose bits are compared one by one
MIDDLE = 130 * 64 + 1  # planes of more than 128 words
SECRETS = (2**30 + 7, -(2**30))
FAST, RIPPLE = Link(bytes_per_s=1e30, and_s_per_word=0.0), Link(one_way_s=0.0)
TREE = Link(bytes_per_s=1e30, and_s_per_word=0.0, largest_digit=1)
DIGITS = Link(bytes_per_s=1e30, and_s_per_word=0.0, largest_digit=3)
LINKS = {"default": Link(), "fast": FAST, "digits": DIGITS, "tree": TREE, "ripple": RIPPLE}

Program = Callable[[Any, Sequence[Share]], Any]


class PublicOrders(Replicated):
    """The permutations of a shuffle are those everybody could draw: rows are alike, so they move no information."""

    def mix(self, n: int) -> Mix:
        return Mix(n, {j: order.permutation(Stream(bytes([j]) * 16).words, n) for j in {0, 1, 2} - {self.party.index}})


def executed(program: Program, observer: int | None, n: int, protocol: Scheme = Rep3(), outside: Any = None) -> Run:
    """One execution on two secrets in n equal elements. What ``observer`` draws for itself alone is zero too."""
    holder = observer or 0
    components = []
    for j, secret in enumerate(SECRETS):
        mine = [int(x) for x in np.random.default_rng([7, j]).integers(0, 1 << 64, 2, np.uint64)]
        parts = {holder: mine[0], (holder + 1) % 3: mine[1], (holder + 2) % 3: secret - sum(mine)}
        components.append([np.full(n, parts[c] % 2**64, np.uint64) for c in range(3)])

    def act(p: Any) -> Any:
        own = Zeros() if p.party.index == observer else Stream(b"sixteen bytes ok")
        p.own = Spoiled(own, p.own.change) if isinstance(p.own, Spoiled) else own
        return program(p, [rep3_share(c, p.party.index) for c in components])

    return run(protocol, act, streams=streams_for(observer), outside=outside)


def seen(program: Program, observer: int, n: int, protocol: Scheme = Rep3()) -> list[Received]:
    return executed(program, observer, n, protocol).parties[observer].view


def planes(x: Share, count: int) -> Bits:
    return Bits(tuple(reference.to_planes(a, count) for a in x.parts), x.shape, count)


def rows(x: Share, width: int) -> Share:
    return x.map(lambda a: layout.reshape((-1, 1))(a) * np.ones((1, width), np.uint64))


def stacked(x: Share) -> Share:
    """Three square matrices."""
    side = int((x.size / 3) ** 0.5)
    return x.map(layout.then(layout.take(slice(3 * side * side)), layout.reshape((3, side, side))))


def shuffled(p: Any, s: Sequence[Share], undo: bool = False) -> Any:
    """Two arrays, one of two columns, there or back."""
    n = s[0].size // 2
    one = s[0].map(layout.take(slice(n)))
    two = s[1].map(layout.then(layout.take(slice(2 * n)), layout.reshape((n, 2))))
    return p.shuffle([one, two], p.mix(n), undo=undo)


def shuffled_and_opened(p: Any, s: Sequence[Share]) -> Any:
    """Two columns opened, one of them bits under a mask; numbers and 70 planes of bits kept."""
    n = s[0].size
    shown = [Shown(s[0], 18), Shown(s[0], 18), Shown(planes(s[1], 3), 3, p.random_bits((n,), 3))]
    wide = planes(s[0], 35)
    bits = Bits(tuple(np.concatenate([a, a]) for a in wide.parts), wide.shape, 70)
    return open_shuffled(p, shown, p.mix(n), [s[1]], bits)


def open_shuffled(p: Any, *arguments: Any) -> Any:
    return shuffle_and_open(p, *arguments)


def open_outside(p: Any, x: Share, names: Sequence[str]) -> None:
    open_value(p, x, [], names, 1)


PRIMITIVES: dict[str, Program] = {
    "two products": lambda p, s: [p.mul(s[0], s[1]), p.mul(s[0], s[0])],
    "mul with truncation": lambda p, s: p.mul(s[0], s[1], 18),
    "dot": lambda p, s: p.dot(rows(s[0], 3), rows(s[1], 3)),
    "matmul": lambda p, s: p.matmul(rows(s[0], 3), s[1].map(layout.take(slice(3))).map(layout.reshape((3, 1)))),
    "sum of products": lambda p, s: p.matmul_sum(
        [(rows(s[0], 2), s[1].map(layout.take(slice(2))).map(layout.reshape((2, 1))))] * 2
    ),
    "stack of matrices": lambda p, s: p.matmul(stacked(s[0]), stacked(s[1])),
    "truncate": lambda p, s: p.truncate(s[0], 18),
    "truncate nearest": lambda p, s: p.truncate_nearest(s[0], 18),
    "msb": lambda p, s: p.msb(s[0], 62),
    "msb of 9 bits": lambda p, s: p.msb(s[0], 9),
    "bits": lambda p, s: p.bits(s[0], 13),
    "bits one by one": lambda p, s: p.bits(s[0], 13, True),
    "is_zero": lambda p, s: p.is_zero(s[0], 19),
    "and": lambda p, s: p.and_(planes(s[0], 5), planes(s[1], 5)),
    "product of bits": lambda p, s: p.bit_matmul(
        p.a2bits(s[0].map(layout.take(slice(15))).map(layout.reshape((3, 5)))), planes(s[1], 5)
    ),
    "b2a": lambda p, s: p.b2a(planes(s[0], 3)),
    "inject": lambda p, s: p.inject(planes(s[0], 1), s[1])[0],
    "sine series": lambda p, s: p.sine_series(s[0], 23, [0.5, -0.25, 2.0], 18),
    "series and sides": lambda p, s: p.series_and_sides(s[0], 23, [0.5, -0.25], 18, [], [-(2**20)], 40, 9),
    "share": lambda p, s: [
        p.share(o, sum(x.parts[0] for x in s) if p.party.index == o else None, s[0].shape) for o in range(3)
    ],
    "shuffle": shuffled,
    "shuffle back": partial(shuffled, undo=True),
    "shuffle and open": shuffled_and_opened,
    "random digits": lambda p, s: p.random_digits(s[0].size, [2, 2, 1], 17),
}
BY_LINK = ("mul with truncation", "truncate", "truncate nearest", "msb", "b2a", "inject", "series and sides")
CASES = [(name, "default") for name in PRIMITIVES]
CASES += [(name, link) for name in BY_LINK for link in ("digits", "tree")]
CASES += [("msb of 9 bits", "ripple"), ("msb of 9 bits", "fast")]


def protocol(link: str = "default") -> Scheme:
    return altered(PublicOrders, Rep3(link=LINKS[link]))


@pytest.mark.parametrize(("name", "link"), CASES, ids=["-".join(case) for case in CASES])
def test_masks_never_come_twice(name: str, link: str) -> None:
    """Nor does one message tell of another what lies in the same element beyond every threshold."""
    for n in (MIDDLE, LARGE) if link == "default" else (LARGE,):
        for observer in range(3):
            view = seen(PRIMITIVES[name], observer, n, protocol(link))
            require_fresh(view, n)
            if n == LARGE and name != "shuffle and open":  # the two parts of an opening add up to what is opened
                require_uniform(some_columns(view, n, n // 64 * 64 - LANES, LANES))


def test_bits_of_more_planes_than_a_word_has() -> None:
    def program(p: Any, s: Sequence[Share]) -> Any:
        x = planes(s[0], 35)
        return p.b2a(Bits(tuple(np.concatenate([a, a]) for a in x.parts), x.shape, 70))

    for link in ("fast", "tree"):
        for observer in range(3):
            require_fresh(seen(program, observer, 1001, protocol(link)), 70 * 1001)


def test_sizes_are_beyond_the_thresholds() -> None:
    assert LARGE - LANES - 64 > 2 * rep3.protocol._CHUNK and MIDDLE > 64 * rep3.planes._WIDE
    assert 8 * MIDDLE > party._COALESCE and rep3.shuffle._WORD < 70


def test_something_is_received() -> None:
    """An empty view would pass the tests above; these are those of the parties that only deal."""
    silent = {(name, i) for name, act in PRIMITIVES.items() for i in range(3) if not seen(act, i, 65, protocol())}
    dealt = ("b2a", "inject", "truncate", "shuffle", "random digits")
    assert silent == {(name, 1) for name in dealt} | {("shuffle back", 2)}


# -- what no compute party sends to another ----------------------------------------------------------------------


@pytest.mark.parametrize("together_with", [None, 0, 1, 2])
def test_zero_shares_of_outside_openings_never_come_twice(together_with: int | None) -> None:
    """Two receivers, who may pool what they get; with a party, one of the other parts: they add up."""

    def collect(channel: Any, names: tuple[str, ...]) -> list[Received]:
        parts = [Received(name, "opening", np.empty(LARGE, np.uint64)) for name in names]
        for part in parts:
            channel.receive(part.source, 1, part.data)
        return parts

    receivers = {"doctor": collect, "auditor": collect}
    got = executed(lambda p, s: open_outside(p, s[0], list(receivers)), together_with, LARGE, outside=receivers).outside
    for first in range(3) if together_with is None else [(together_with + 1) % 3]:
        second = (first + 1) % 3 if together_with is None else first
        require_fresh([got[name][part] for name in receivers for part in sorted({first, second})], LARGE)


@pytest.mark.parametrize("holder", [1, 2])
def test_masks_of_an_owners_inputs_never_come_twice(holder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two arrays of one owner. Parties 1 and 2 hold one of the two seeds of each: its words are zero here."""
    drawn: list[bytes] = []
    fresh_seed = rep3.inputs.new_seed

    def seed() -> bytes:
        drawn.append(fresh_seed())
        return drawn[-1]

    monkeypatch.setattr(rep3.inputs, "new_seed", seed)
    monkeypatch.setattr(rep3.inputs, "Stream", lambda key: Zeros() if key in drawn[holder % 2 :: 2] else Stream(key))
    view, x = ByteView(), np.full(LARGE, SECRETS[0], np.uint64)

    def deal(channel: Any, names: tuple[str, ...]) -> None:
        for step in (1, 2):
            Rep3().deal(channel, names, step, x)

    run(
        Rep3(), lambda p: [p.receive_input("bank", step, (LARGE,)) for step in (1, 2)], outside={"bank": deal},
        recorders={holder: view},
    )  # fmt: skip
    got = [data[16:] for source, _, _, data in view.messages if source == "bank"]
    assert len(set(drawn)) == 4
    require_fresh([Received("bank", "input", np.frombuffer(data, np.uint64)) for data in got], LARGE)


@pytest.mark.parametrize("observer", range(3))
def test_random_values_never_come_twice(observer: int) -> None:
    """What the observer lacks of a value is fresh in each element, and so is the value."""
    done = executed(lambda p, s: (p.random_ring((LARGE,)), p.random_bits((LARGE,), 3)), observer, LARGE).outputs
    number = reconstruct([o[0] for o in done]).view(np.uint64)
    bits = np.bitwise_xor.reduce([o[1].parts[0] for o in done])
    require_fresh([Received("nobody", "random ring", number), Received("nobody", "random bits", bits)], LARGE)


# -- proof that these tests bite ---------------------------------------------------------------------------------


class Spoiled:
    """A stream whose draws are changed at both its holders, so that results stay right."""

    def __init__(self, stream: Any, change: Callable[[Any, int], Any]) -> None:
        self._stream, self.change = stream, change

    def words(self, count: int) -> Any:
        return self.change(self._stream, count)


def spoiled(change: Callable[[], Callable[[Any, int], Any]], sides: Sequence[str] = ("low", "high")) -> Scheme:
    class Broken(PublicOrders):
        def __init__(self, party: Any, of: Rep3) -> None:
            super().__init__(party, of)
            for side in sides:
                setattr(self, side, Spoiled(getattr(self, side), change()))

    return altered(Broken)


def come_again(after: int) -> Callable[[], Callable[[Any, int], Any]]:
    """Draws repeat after so many words."""
    return lambda: lambda stream, count: np.resize(stream.words(min(count, after)), count)


def first_chunk_again() -> Callable[[Any, int], Any]:
    """All draws of 32,768 words are the first of them, the last and shorter one is its beginning."""
    drawn: list[Any] = []

    def change(stream: Any, count: int) -> Any:
        if not drawn:
            drawn.append(stream.words(count))
        return drawn[0][:count]

    return change


def low_bits_above(stream: Any, count: int) -> Any:
    """Beyond 32,768 words the lowest 48 bits only."""
    words = stream.words(count)
    words[1 << 15 :] &= np.uint64((1 << 48) - 1)
    return words


@pytest.mark.parametrize("name", PRIMITIVES)
def test_masks_that_come_again_after_a_thousand_words_are_caught(name: str) -> None:
    observer = 0 if name == "shuffle back" else 2
    with pytest.raises(ViewLeaks, match="come twice"):
        require_fresh(seen(PRIMITIVES[name], observer, LARGE, spoiled(come_again(1000))), LARGE)


@pytest.mark.parametrize("observer", range(3))
def test_a_product_that_masks_every_chunk_alike_is_caught(observer: int) -> None:
    product: Program = lambda p, s: p.mul(s[0], s[1])  # noqa: E731
    require_fresh(seen(product, observer, LARGE), LARGE)
    with pytest.raises(ViewLeaks, match=f"{LARGE - (1 << 15)} words come twice"):
        require_fresh(seen(product, observer, LARGE, spoiled(first_chunk_again)), LARGE)


@pytest.mark.parametrize("name", ["dot", "truncate", "b2a", "sine series"])
def test_masks_of_low_bits_are_caught(name: str) -> None:
    with pytest.raises(ViewLeaks, match="not balanced"):
        require_fresh(seen(PRIMITIVES[name], 2, LARGE, spoiled(lambda: low_bits_above)), LARGE)


@pytest.mark.parametrize("observer", range(2))
def test_a_masked_angle_whose_mask_comes_again_is_caught(observer: int) -> None:
    with pytest.raises(ViewLeaks, match="runs of 128 bits come twice"):
        require_fresh(seen(PRIMITIVES["sine series"], observer, LARGE, spoiled(come_again(1 << 15), ["own"])), LARGE)


def test_a_zero_share_of_an_outside_opening_that_comes_again_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Replicated, "zero", lambda p, n: np.resize(p.low.words(1 << 16) - p.high.words(1 << 16), n))
    for observer in (None, 0, 1, 2):
        with pytest.raises(ViewLeaks):
            test_zero_shares_of_outside_openings_never_come_twice(observer)


def test_a_mask_of_a_truncation_used_for_another_one_beyond_a_threshold_is_caught(observer: int = 2) -> None:
    """s1 is r1 again beyond 32,768 elements: messages of 64 and 18 bits, in each of which no word comes twice."""

    def change() -> Callable[[Any, int], Any]:
        drawn: list[Any] = []

        def third_is_first(stream: Any, count: int) -> Any:
            drawn.append(stream.words(count).copy())
            if len(drawn) == 3 and count == LARGE:
                drawn[2][1 << 15 :] = drawn[0][1 << 15 :]
            return drawn[-1]

        return third_is_first

    class Broken(PublicOrders):
        def __init__(self, party: Any, of: Rep3) -> None:
            super().__init__(party, of)
            if party.index < 2:  # the stream of parties 0 and 1
                side = "high" if party.index == 0 else "low"
                setattr(self, side, Spoiled(getattr(self, side), change()))

    view = seen(PRIMITIVES["truncate"], observer, LARGE, altered(Broken))
    require_fresh(view, LARGE)
    with pytest.raises(ViewLeaks, match="not independent"):
        require_uniform(some_columns(view, LARGE, LARGE // 64 * 64 - LANES, LANES))
