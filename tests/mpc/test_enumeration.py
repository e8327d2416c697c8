"""Exact joint views on small rings: for every secret the same distribution of all that one party receives.

Each lane is one execution. Fixed per context: the observer's shares and the words of the streams it holds. Enumerated:
the component that the observer lacks (so every secret) and every value of the stream it lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from privity.mpc.protocol import Scheme
from privity.mpc.rep3 import Link, Rep3, Replicated
from privity.mpc.shares import Bits, Share
from privity.ring import layout, reference
from privity.ring.small import SmallRing
from privity.testing import (
    Column,
    CountedRows,
    Run,
    ViewLeaks,
    altered,
    columns,
    known_rows,
    lane_streams,
    open_value,
    reconstruct,
    reconstruct_bits,
    rep3_share,
    require_same_views,
    run,
)

Program = Callable[[Any, Sequence[Share]], Any]


class Enumeration:
    """All executions of one program as one observer may meet them; ``operands`` secrets of k bits each."""

    def __init__(self, program: Program, observer: int, k: int, *, operands: int = 1, contexts: int = 8,
                 values: range | None = None, protocol: Scheme = Rep3()) -> None:
        self.program, self.observer, self.k, self.operands = program, observer, k, operands
        self.ring, self.protocol, self.contexts = SmallRing(k), protocol, contexts
        every = np.array(values or range(-(1 << (k - 1)), 1 << (k - 1)))
        self.secrets = np.stack(np.meshgrid(*[every] * operands, indexing="ij"), -1).reshape(-1, operands)
        self.mask_bits = 0
        self.mask_bits = self._execute(np.zeros(64, np.uint64), np.zeros(64, np.int64), self.secrets[[0] * 64])[1]
        assert self.mask_bits <= 16, f"{self.mask_bits} bits of masks are too many to enumerate"
        per = self.secrets.shape[0] << self.mask_bits
        lane = np.arange(contexts * per)
        self.context = lane // per
        self.secret = self.secrets[(lane % per) >> self.mask_bits]
        self.run, used = self._execute((lane % (1 << self.mask_bits)).astype(np.uint64), self.context, self.secret)
        assert used == self.mask_bits
        self.shape = (contexts, self.secrets.shape[0], 1 << self.mask_bits)

    def _execute(self, masks: npt.NDArray[np.uint64], context: npt.NDArray[np.int64],
                 secret: npt.NDArray[np.int64]) -> tuple[Run, int]:
        lanes, garbage = masks.size, np.random.default_rng(1)
        lacked: list[CountedRows] = []

        def count() -> CountedRows:
            lacked.append(CountedRows(masks))
            return lacked[-1]

        def dirty(rows: Callable[[int], Any], seed: int) -> Callable[[int], Any]:
            """Bits above the ring's: whatever they are, they must not matter."""
            rng = np.random.default_rng(seed)

            def row(bits: int) -> Any:
                above = rng.integers(0, 9, lanes, np.uint64) << np.uint64(self.k)
                return rows(bits) if bits == 1 else rows(bits) + above

            return row

        self.operand_shares = []
        for j in range(self.operands):
            mine = [known_rows(context, 100 + 2 * j + c)(self.k) for c in range(2)]
            lack = secret[:, j].view(np.uint64) - mine[0] - mine[1]
            parts = {self.observer: mine[0], (self.observer + 1) % 3: mine[1], (self.observer + 2) % 3: lack}
            parts[(self.observer + 2) % 3] = lack + (garbage.integers(0, 99, lanes, np.uint64) << np.uint64(self.k))
            self.operand_shares.append([parts[c] for c in range(3)])

        streams = lane_streams(
            self.observer, lanes, lambda pair: dirty(known_rows(context, pair), pair), lambda: dirty(count(), 9), self.k
        )
        done = run(
            self.protocol, lambda p: self.program(p, [rep3_share(c, p.party.index) for c in self.operand_shares]),
            streams=streams, ring=self.ring,
        )  # fmt: skip
        assert len({c.used for c in lacked}) == 1, "the two holders of a stream drew differently"
        return done, lacked[0].used

    @property
    def view(self) -> list[Column]:
        return columns(self.run.parties[self.observer].view, self.context.size, self.k)

    def check(self) -> None:
        require_same_views(self.view, self.shape)

    def values(self) -> npt.NDArray[np.int64]:
        return self.ring.signed(reconstruct(self.run.outputs).view(np.uint64))


def in_range(k: int) -> range:
    """What truncation takes on a ring of k bits."""
    return range(-(1 << (k - 2)), 1 << (k - 2))


def signed(x: Any, k: int) -> Any:
    return (np.asarray(x) + (1 << (k - 1))) % (1 << k) - (1 << (k - 1))


# Every link chooses the same for any number of lanes. FAST: one round wherever there is such a form.
FAST, RIPPLE = Link(bytes_per_s=1e30, and_s_per_word=0.0), Link(one_way_s=0.0)
TREE = Link(bytes_per_s=1e30, and_s_per_word=0.0, largest_digit=1)
DIGITS = Link(bytes_per_s=1e30, and_s_per_word=0.0, largest_digit=2)
both_forms = pytest.mark.parametrize("link", [FAST, TREE], ids=["one round", "two rounds"])


@pytest.mark.parametrize("observer", range(3))
@pytest.mark.parametrize("k", [3, 4])
def test_product(observer: int, k: int) -> None:
    e = Enumeration(lambda p, s: p.mul(s[0], s[1]), observer, k, operands=2, contexts=64 if k == 3 else 8)
    np.testing.assert_array_equal(e.values(), signed(e.secret[:, 0] * e.secret[:, 1], k))
    assert e.mask_bits == k and len(e.view) == 1
    e.check()


@pytest.mark.parametrize("observer", range(3))
def test_products_in_sequence(observer: int) -> None:
    """x * y * y: the second product uses the result of the first."""
    e = Enumeration(lambda p, s: p.mul(p.mul(s[0], s[1]), s[1]), observer, 3, operands=2)
    np.testing.assert_array_equal(e.values(), signed(e.secret[:, 0] * e.secret[:, 1] ** 2, 3))
    e.check()


def test_product_exhaustively() -> None:
    """All components of both operands on a ring of 3 bits: 2^18 products."""
    ring, lane = SmallRing(3), np.arange(1 << 18, dtype=np.uint64)
    x, y = ([(lane >> np.uint64(3 * (c + 3 * j))) & np.uint64(7) for c in range(3)] for j in range(2))
    done = run(Rep3(), lambda p: p.mul(rep3_share(x, p.party.index), rep3_share(y, p.party.index)), ring=ring)
    got = ring.reduce(sum(s.parts[0] for s in done.outputs))
    np.testing.assert_array_equal(got, ring.reduce(sum(x) * sum(y)))


@pytest.mark.parametrize("observer", range(3))
@pytest.mark.parametrize(("k", "d"), [(3, 1), (4, 1), (4, 2), (5, 1), (5, 3)])
@both_forms
def test_truncation(observer: int, k: int, d: int, link: Link) -> None:
    """Messages carry nothing, and the result is a function of x and of the low mask bits that the observer knows."""
    e = Enumeration(
        lambda p, s: p.truncate(s[0], d), observer, k, values=in_range(k), contexts=2 if k == 5 else 16,
        protocol=Rep3(link=link),
    )  # fmt: skip
    e.check()
    low = (1 << d) - 1
    a, b = rep3_share(e.operand_shares[0], observer).parts
    known = (a + np.uint64(1 << (k - 2)), a + b, b + np.uint64(1 << (k - 2)))[observer]
    mask = e.ring.signed(known) & low  # u mod 2^d at party 1, v mod 2^d at parties 0 and 2
    x = e.secret[:, 0]
    other = (x - mask) & low  # the low bits of the other addend
    # u + v = x: two floors lose the carry of the low bits; [v mod 2^d != 0] is added instead.
    v = other if observer == 1 else mask
    carry = (mask + other) >> d
    np.testing.assert_array_equal(e.values(), (x >> d) - carry + (v != 0))


@pytest.mark.parametrize("observer", range(3))
@both_forms
def test_product_with_truncation(observer: int, link: Link) -> None:
    """x y within 2^(k-2) on 4 bits: x, y in -1 .. 1. As a dot product of one term, whose masks come in one piece."""

    def program(p: Any, s: Sequence[Share]) -> Share:
        rows = [x.map(layout.reshape((-1, 1))) for x in s]
        out: Share = p.dot(rows[0], rows[1], 1)
        return out

    e = Enumeration(
        program, observer, 4, operands=2, values=range(-1, 2), contexts=1, protocol=Rep3(link=link)
    )
    e.check()
    x = e.secret[:, 0] * e.secret[:, 1]
    assert (np.abs(2 * e.values() - x) < 2).all() and (e.values()[x % 2 == 0] * 2 == x[x % 2 == 0]).all()


@pytest.mark.parametrize("observer", range(3))
@pytest.mark.parametrize("link", [FAST, DIGITS, TREE, RIPPLE], ids=["fast", "digits", "tree", "ripple"])
@pytest.mark.parametrize("k", [3, 4])
def test_sign(observer: int, link: Link, k: int) -> None:
    program = lambda p, s: p.msb(s[0], k - 1)  # noqa: E731
    e = Enumeration(program, observer, k, protocol=Rep3(link=link))
    np.testing.assert_array_equal(reconstruct_bits(e.run.outputs)[0], e.secret[:, 0] < 0)
    e.check()


@pytest.mark.parametrize("observer", range(3))
def test_bits_and_zero_test(observer: int) -> None:
    for serial in (False, True):
        e = Enumeration(lambda p, s, serial=serial: p.bits(s[0], 3, serial), observer, 3)
        np.testing.assert_array_equal(reconstruct_bits(e.run.outputs), (e.secret[:, 0] >> np.arange(3)[:, None]) & 1)
        e.check()
    e = Enumeration(lambda p, s: p.is_zero(s[0], 4), observer, 4)
    np.testing.assert_array_equal(reconstruct_bits(e.run.outputs)[0], e.secret[:, 0] == 0)
    e.check()


def low_bit_to_ring(p: Any, s: Sequence[Share]) -> Share:
    planes = tuple(reference.to_planes(a, 1) for a in s[0].parts)  # shares of the low bit
    out: Share = p.b2a(Bits(planes, s[0].shape))
    return out


@pytest.mark.parametrize("observer", range(3))
@pytest.mark.parametrize("k", [3, 4, 6])
@both_forms
def test_bit_to_ring(observer: int, k: int, link: Link) -> None:
    protocol = Rep3(link=link)
    e = Enumeration(low_bit_to_ring, observer, k, values=range(-1, 1), contexts=2 if k == 6 else 16, protocol=protocol)
    np.testing.assert_array_equal(e.values(), e.secret[:, 0] & 1)
    e.check()


def gated(p: Any, s: Sequence[Share]) -> Share:
    """The low bit of one value times another one."""
    out: Share = p.inject(Bits(tuple(reference.to_planes(a, 1) for a in s[0].parts), s[0].shape), s[1])[0]
    return out


@pytest.mark.parametrize("observer", range(3))
def test_bit_times_value(observer: int) -> None:
    """The form in one round; the other one is a conversion and a product."""
    e = Enumeration(gated, observer, 3, operands=2, contexts=2, protocol=Rep3(link=FAST))
    np.testing.assert_array_equal(e.values(), signed((e.secret[:, 0] & 1) * e.secret[:, 1], 3))
    e.check()


@pytest.mark.parametrize("observer", range(3))
def test_opening_shows_the_value_only(observer: int) -> None:
    """What comes in an opening of a truncated value is that value less the observer's own shares, whatever x was."""

    def program(p: Any, s: Sequence[Share]) -> tuple[Share, Any]:
        out = p.truncate(s[0], 1)
        return out, open_value(p, out, [0, 1, 2])

    e = Enumeration(program, observer, 4, values=in_range(4))
    opened, (share, value) = e.view[-1], e.run.outputs[observer]
    own = np.asarray(share.parts[0] + share.parts[1])
    np.testing.assert_array_equal(e.ring.reduce(opened.values + own), e.ring.reduce(value))
    require_same_views(e.view[:-1], e.shape)


# -- proof that these tests bite: spoiled protocols whose results are right --------------------------------------


def caught(
    program: Program, protocol: Scheme, observers: Sequence[int], sound: Scheme = Rep3(), **options: Any
) -> None:
    """The sound protocol passes; the spoiled one computes the same and is found out at exactly these observers."""
    for observer in range(3):
        Enumeration(program, observer, protocol=sound, **options).check()
        e = Enumeration(program, observer, protocol=protocol, **options)
        if observer in observers:
            with pytest.raises(ViewLeaks, match="differs between secrets"):
                e.check()
        else:
            e.check()


def test_a_product_without_zero_share_is_caught(spoil: Any) -> None:
    @altered
    class NoZeroShare(Replicated):
        def mul(self, x: Share, y: Share, shift: int = 0) -> Share:
            z = x.parts[0] * (y.parts[0] + y.parts[1]) + x.parts[1] * y.parts[0]
            return self._finish(z, x.shape, shift)

    caught(lambda p, s: p.mul(s[0], s[1]), NoZeroShare, [0, 1, 2], k=3, operands=2)


def test_a_zero_share_used_for_two_products_is_caught(spoil: Any) -> None:
    """Each message alone is uniform: only the joint view shows it."""
    twice = lambda p, s: [p.mul(s[0], s[1]), p.mul(s[0], s[0])]  # noqa: E731
    every = spoil({(0, 1): {1: 0}, (0, 2): {1: 0}, (1, 2): {1: 0}})
    caught(twice, every, [0, 1, 2], k=3, operands=2)
    e = Enumeration(twice, 0, 3, operands=2, protocol=every)
    for column in e.view:
        require_same_views([column], e.shape)


Spoils = tuple[dict[tuple[int, int], dict[int, int | None]], list[int]]
TRUNCATIONS: list[tuple[Link, Spoils]] = [
    *[(TREE, ({(0, 1): change}, [2])) for change in ({0: None}, {1: None}, {2: None}, {1: 0})],
    (TREE, ({(1, 2): {0: None}}, [0])),
    *[(FAST, ({(0, 1): change}, [2])) for change in ({0: None}, {1: None}, {2: None}, {2: 1}, {2: 0})],
    *[(FAST, ({(1, 2): change}, [0])) for change in ({0: None}, {1: None}, {1: 0})],
]
CONVERSIONS: list[tuple[Link, Spoils]] = [
    (TREE, ({(0, 1): {1: 0}}, [2])),
    *[(FAST, ({(0, 1): change}, [2])) for change in ({0: None}, {1: None}, {1: 0})],
    *[(FAST, ({(1, 2): change}, [0])) for change in ({0: None}, {1: None}, {1: 0})],
]
GATES: list[Spoils] = [
    *[({(0, 1): change}, [2]) for change in ({0: None}, {1: None}, {2: None}, {3: None}, {1: 0}, {3: 2})],
    *[({(1, 2): change}, [0]) for change in ({0: None}, {1: None}, {2: None}, {1: 0})],
]
SIGNS: list[tuple[Link, Spoils]] = [
    *[(RIPPLE, ({(0, 1): change}, [2])) for change in ({0: None}, {1: None})],
    (RIPPLE, ({(1, 2): {0: None}}, [0])),
    # Drawn one after the other: pads, masks of the digits, mask of the top bit.
    *[(DIGITS, ({(0, 1): change}, [2])) for change in ({0: None}, {1: None}, {2: None})],
    *[(DIGITS, ({(1, 2): change}, [0])) for change in ({0: None}, {1: None})],
]


@pytest.mark.parametrize(("link", "spoils"), TRUNCATIONS)
def test_a_truncation_with_a_mask_left_out_or_used_twice_is_caught(spoil: Any, link: Link, spoils: Spoils) -> None:
    changes, observers = spoils
    caught(
        lambda p, s: p.truncate(s[0], 2), spoil(changes, link), observers, Rep3(link=link),
        k=4, values=in_range(4),
    )  # fmt: skip


@pytest.mark.parametrize("spoils", GATES)
def test_a_gate_with_a_mask_left_out_or_used_twice_is_caught(spoil: Any, spoils: Spoils) -> None:
    changes, observers = spoils
    caught(gated, spoil(changes, FAST), observers, Rep3(link=FAST), k=3, operands=2, contexts=2)


@pytest.mark.parametrize(("link", "spoils"), SIGNS)
def test_a_sign_with_a_mask_left_out_is_caught(spoil: Any, link: Link, spoils: Spoils) -> None:
    changes, observers = spoils
    caught(lambda p, s: p.msb(s[0], 3), spoil(changes, link), observers, Rep3(link=link), k=4)


@pytest.mark.parametrize(("link", "spoils"), CONVERSIONS)
def test_a_conversion_with_a_mask_left_out_or_used_twice_is_caught(spoil: Any, link: Link, spoils: Spoils) -> None:
    changes, observers = spoils
    caught(
        low_bit_to_ring, spoil(changes, link), observers, Rep3(link=link), k=4, values=range(-1, 1)
    )
