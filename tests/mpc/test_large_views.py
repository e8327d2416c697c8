"""View tests above every size at which the code takes another path: one execution, many elements that are all alike.

Secrets, the observer's shares and the words of the streams that it holds are the same in every element. So what it
receives differs from element to element by masks that it lacks, and by nothing else: if masks come twice, words do.
Which sizes matter, and which test goes beyond each: docs/security/view-tests.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import pytest

from privity.mpc import radix, rep3
from privity.mpc.rep3 import Rep3
from privity.mpc.rep3_bits import Adder
from privity.mpc.shares import Bits, Mix, Mixed, Share, Shown
from privity.ring import layout, order, reference
from privity.ring.prg import Stream
from privity.testing import (
    ByteView,
    Column,
    Factory,
    Received,
    Run,
    ViewLeaks,
    Zeros,
    fresh_rows,
    known_rows,
    reconstruct,
    rep3_share,
    require_fresh,
    require_uniform,
    run,
    streams_for,
)

LARGE = 2 * (1 << 15) + 1065  # three chunks of a product, the last one short; planes of 1,041 words
MIDDLE = 130 * 64 + 1  # planes of more than 128 words
SECRETS = (2**30 + 7, -(2**30))
FAST, RIPPLE = Adder(bytes_per_s=1e30, and_s_per_word=0.0), Adder(one_way_s=0.0)
TREE = Adder(bytes_per_s=1e30, and_s_per_word=0.0, largest_digit=1)
DIGITS = Adder(bytes_per_s=1e30, and_s_per_word=0.0, largest_digit=3)
ADDERS = {"default": None, "fast": FAST, "digits": DIGITS, "tree": TREE, "ripple": RIPPLE}

Program = Callable[[Any, Sequence[Share]], Any]


class PublicOrders(Rep3):
    """The permutations of a shuffle are those everybody could draw: rows are alike, so they move no information."""

    def mix(self, n: int) -> Mix:
        return Mix(n, {j: order.permutation(Stream(bytes([j]) * 16).words, n) for j in {0, 1, 2} - {self.party.index}})


def executed(program: Program, observer: int | None, n: int, protocol: Factory = Rep3, outside: Any = None) -> Run:
    """One execution on two secrets in n equal elements. What ``observer`` draws for itself alone is zero too."""
    holder = observer or 0
    components = []
    for j, secret in enumerate(SECRETS):
        mine = [int(x) for x in np.random.default_rng([7, j]).integers(0, 1 << 64, 2, np.uint64)]
        parts = {holder: mine[0], (holder + 1) % 3: mine[1], (holder + 2) % 3: secret - sum(mine)}
        components.append([np.full(n, parts[c] % 2**64, np.uint64) for c in range(3)])

    def act(p: Any) -> Any:
        p.own = Zeros() if p.party.index == observer else p.own
        return program(p, [rep3_share(c, p.party.index) for c in components])

    return run(protocol, act, streams=streams_for(observer), outside=outside)


def seen(program: Program, observer: int, n: int, protocol: Factory = Rep3) -> list[Received]:
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
    return p.shuffle_and_open(*arguments)


def open_outside(p: Any, x: Share, names: Sequence[str]) -> None:
    p.open(x, [], names, 1)


# Each with elements of a message, in elements of an operand.
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
    "msb of 27 bits": lambda p, s: p.msb(s[0], 27),
    "bits": lambda p, s: p.bits(s[0], 13),
    "is_zero": lambda p, s: p.is_zero(s[0], 19),
    "and": lambda p, s: p.and_(planes(s[0], 5), planes(s[1], 5)),
    "product of bits": lambda p, s: p.bit_matmul(
        p.a2bits(s[0].map(layout.take(slice(15))).map(layout.reshape((3, 5)))), planes(s[1], 5)
    ),
    "b2a": lambda p, s: p.b2a(planes(s[0], 3)),
    "inject": lambda p, s: p.inject(planes(s[0], 1), s[1])[0],
    "sine series": lambda p, s: p.sine_series(s[0], 23, [0.5, -0.25, 2.0], 18),
    "series and sides": lambda p, s: p.series_and_sides(s[0], 23, [0.5, -0.25], 18, [], [-(2**20), 2**20], 62, 9),
    "share": lambda p, s: [
        p.share(o, sum(x.parts[0] for x in s) if p.party.index == o else None, s[0].shape) for o in range(3)
    ],
    "shuffle": shuffled,
    "shuffle back": partial(shuffled, undo=True),
    "shuffle and open": shuffled_and_opened,
    "random digits": lambda p, s: p.random_digits(s[0].size, [2, 2, 1], 17),
}
BY_ADDER = ("mul with truncation", "truncate", "truncate nearest", "msb", "b2a", "inject", "series and sides")
CASES = [(name, "default") for name in PRIMITIVES]
CASES += [(name, adder) for name in BY_ADDER for adder in ("digits", "tree")]
CASES += [("msb of 27 bits", "fast"), ("msb of 27 bits", "ripple")]


def protocol(adder: str = "default") -> Factory:
    return partial(PublicOrders, adder=ADDERS[adder])


@pytest.mark.parametrize(("name", "adder"), CASES, ids=["-".join(case) for case in CASES])
def test_masks_never_come_twice(name: str, adder: str) -> None:
    for n in (MIDDLE, LARGE):
        for observer in range(3):
            require_fresh(seen(PRIMITIVES[name], observer, n, protocol(adder)), n)


def test_bits_of_more_planes_than_a_word_has() -> None:
    def program(p: Any, s: Sequence[Share]) -> Any:
        x = planes(s[0], 35)
        return p.b2a(Bits(tuple(np.concatenate([a, a]) for a in x.parts), x.shape, 70))

    for adder in ("fast", "tree"):
        for observer in range(3):
            require_fresh(seen(program, observer, 1001, protocol(adder)), 70 * 1001)


def test_something_is_received() -> None:
    """An empty view would pass the tests above; these are those of the parties that only deal."""
    silent = {(name, i) for name, act in PRIMITIVES.items() for i in range(3) if not seen(act, i, 65, protocol())}
    dealt = ("b2a", "inject", "truncate", "shuffle", "random digits")
    assert silent == {(name, 1) for name in dealt} | {("shuffle back", 2)}
