"""Rep3: replicated secret sharing over Z_2^64 for three parties.

    x = x0 + x1 + x2;  party i holds (x_i, x_{i+1}), indices modulo 3

Adversary  one curious compute party that follows the protocol, together with any owners and receivers
Assumes    private, authenticated channels; each pair of parties shares an AES-128 key nobody else knows
Reveals    shapes, scales, shift widths and stated bounds; of the values nothing but what is opened. Truncation is
           secure against the functionality that also gives the adversary the low bits of the mask:
           docs/security/rep3.md
Error      products exact; truncate below 1 ulp, exact on multiples, unbiased where the shares are uniform (an input of
           compute party 1 is rounded down and a constant up, if truncated as they are); truncate_nearest 1/2 ulp
Paper      Araki et al., CCS 2016 (sharing, product); Mohassel-Rindal, ABY3, ePrint 2018/403 (input, matmul);
           truncation: the wrap-bit method of MP-SPDZ ("small gap") with unbiased rounding, and the rounding
           functionality of Curl, ePrint 2024/1127
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ...ring import layout
from ...types import RANGE_BITS, Channel, Cost, Ring
from ..party import Party
from ..protocol import CostFunction, Other, Protocol, Scheme
from ..shares import Bits, Mix, Mixed, Share, Shown
from . import cost, cross, digits, inputs, planes, shuffle, sine, truncation
from .cost import Link
from .seat import Seat

_CHUNK = 1 << 15  # elements: masks of one chunk stay in the second-level cache


def _ring(n: int) -> tuple[int, int, int]:
    return (8 * n, 8 * n, 8 * n)


def _mul(of: Rep3, n: int, shift: int = 0) -> Cost:
    if shift and of.exact:
        return cost.cost_mul(n) + cost.cost_truncate_nearest(n, shift, of.link)
    return cost.cost_mul(n, shift, of.link)


def _truncate(of: Rep3, n: int, shift: int) -> Cost:
    return (cost.cost_truncate_nearest if of.exact else cost.cost_truncate)(n, shift, of.link)


class Replicated(Seat, Protocol):
    """One of the three parties of :class:`Rep3`."""

    of: Rep3

    def __init__(self, party: Party, of: Rep3) -> None:
        Seat.__init__(self, party, of.exact, of.link)
        self.of = of

    # -- input and output --------------------------------------------------------------------------------------

    def receive_input(self, owner: str, step: int, shape: tuple[int, ...]) -> Share:
        return inputs.receive(self, owner, step, shape)

    def share(self, owner: int, values: Ring | None, shape: tuple[int, ...]) -> Share:
        return inputs.share(self, owner, values, shape)

    def _open(self, x: Share, to: Sequence[int], outside: Sequence[str], step: int) -> Ring | None:
        """Party i lacks x_{i-1}, which i-1 holds first. Outside receivers get x_i plus a fresh zero share."""
        p, i = self.party, self.party.index
        value = None
        if to:
            nxt, prev = (i + 1) % 3, (i - 1) % 3
            missing = layout.empty(x.shape)
            p.exchange(
                [(nxt, layout.flat(x.parts[0]))] if nxt in to else [],
                [(prev, missing)] if i in to else [],
                "opening",
            )
            if i in to:
                value = layout.asarray(x.parts[0] + x.parts[1] + missing)
        for name in outside:
            part = layout.flat(x.parts[0]) + self.zero(x.size)
            p.channel.send(name, step, part)
            p.sent += part.nbytes
        return value

    def _public(self, values: Ring) -> Share:
        return self._add_public(Share((layout.zeros(values.shape), layout.zeros(values.shape)), values.shape), values)

    def _add_public(self, x: Share, c: Ring) -> Share:
        """A constant belongs to component 0, held by party 0 (first) and party 2 (second)."""
        a, b = x.parts
        if self.party.index == 0:
            a = layout.asarray(a + c)
        elif self.party.index == 2:
            b = layout.asarray(b + c)
        return Share((a, b), x.shape)

    # -- products ----------------------------------------------------------------------------------------------

    def mul(self, x: Share, y: Share, shift: int = 0) -> Share:
        """z_i = x_i (y_i + y_{i+1}) + x_{i+1} y_i + zero_i, then passed to the previous party."""
        k = self.party.ring
        xa, xb = x.flat()
        ya, yb = y.flat()
        n = xa.size
        z = layout.empty(n)
        for lo in range(0, n, _CHUNK):
            hi = min(lo + _CHUNK, n)
            ra, rb = self.low.words(hi - lo), self.high.words(hi - lo)
            k.rep3_mul(xa[lo:hi], xb[lo:hi], ya[lo:hi], yb[lo:hi], ra, rb, out=z[lo:hi])
        return self._finish(z, x.shape, shift)

    def matmul(self, x: Share, y: Share, shift: int = 0, factor: int = 1) -> Share:
        shape = layout.matmul_shape(x.shape, y.shape)
        z = layout.per_matrix(self.party.ring.rep3_matmul, (*x.parts, *y.parts), shape)
        if factor != 1:
            z = z * layout.constant(factor)
        flat = layout.flat(z)
        return self._finish(flat + self.zero(flat.size), shape, shift)

    def matmul_sum(self, pairs: Sequence[tuple[Share, Share]], shift: int = 0) -> Share:
        shape = layout.matmul_shape(pairs[0][0].shape, pairs[0][1].shape)
        z = layout.zeros(shape)
        for x, y in pairs:
            z += self.party.ring.rep3_matmul(*x.parts, *y.parts)
        flat = layout.flat(z)
        return self._finish(flat + self.zero(flat.size), shape, shift)

    def dot(self, x: Share, y: Share, shift: int = 0) -> Share:
        z = self.party.ring.rep3_dot(*x.parts, *y.parts)
        return self._finish(z + self.zero(z.size), (x.shape[0],), shift)

    def _finish(self, z: Ring, shape: tuple[int, ...], shift: int) -> Share:
        """From masked additive to replicated, with truncation on the way if asked."""
        if shift and not self.exact:
            return truncation.additive(self, z, shape, shift)
        x = self._reshare(z, shape)
        return self.truncate_nearest(x, shift) if shift else x

    def _reshare(self, z: Ring, shape: tuple[int, ...]) -> Share:
        """Send z_i to i-1, hear z_{i+1} from i+1. ``z`` already carries a zero share."""
        p, i = self.party, self.party.index
        nxt = layout.empty(z.size)
        p.exchange([((i - 1) % 3, z)], [((i + 1) % 3, nxt)], "product")
        return Share((z.reshape(shape), nxt.reshape(shape)), shape)

    # -- truncation --------------------------------------------------------------------------------------------

    def truncate(self, x: Share, shift: int) -> Share:
        if shift == 0:
            return x
        if self.exact:
            return self.truncate_nearest(x, shift)
        a, b = x.flat()
        i = self.party.index
        known = a + b if i == 1 else (a if i == 0 else b) + self.half
        return truncation.addends(self, known, x.shape, shift)

    def truncate_nearest(self, x: Share, shift: int) -> Share:
        return planes.truncate_nearest(self, x, shift) if shift else x

    # -- randomness --------------------------------------------------------------------------------------------

    def random_ring(self, shape: tuple[int, ...]) -> Share:
        """Component j from the stream of its two holders: each party lacks one, so the sum is uniform to it."""
        n = layout.count(shape)
        return Share((self.low.words(n).reshape(shape), self.high.words(n).reshape(shape)), shape)

    def random_bits(self, shape: tuple[int, ...], planes: int = 1) -> Bits:
        """As random_ring, with XOR for the sum."""
        return self.unknown_bits(shape, planes)

    # -- bits --------------------------------------------------------------------------------------------------

    def msb(self, x: Share, bits: int = RANGE_BITS) -> Bits:
        return planes.msb(self, x, bits)

    def bits(self, x: Share, count: int, serial: bool = False) -> Bits:
        return planes.decompose(self, x, count, serial)

    def is_zero(self, x: Share, bits: int = 64) -> Bits:
        return planes.is_zero(self, x, bits)

    def invert(self, b: Bits) -> Bits:
        return planes.invert(self, b)

    def and_(self, b: Bits, c: Bits) -> Bits:
        return planes.and_(self, b, c)

    def bit_matmul(self, x: Bits, y: Bits) -> Bits:
        return planes.matmul(self, x, y)

    def b2a(self, b: Bits) -> Share:
        return planes.b2a(self, b)

    def inject(self, b: Bits, x: Share) -> tuple[Share, Share | None]:
        if not self.link.hurry(16 * x.size):
            flags = self.b2a(b)
            return self.mul(flags, x), flags
        low, high = cross.inject(self, b, x)
        return Share((low.reshape(x.shape), high.reshape(x.shape)), x.shape), None

    def a2bits(self, x: Share) -> Bits:
        return planes.from_ring_bits(self, x)

    def mix(self, n: int) -> Mix:
        return shuffle.draw(self, n)

    def shuffle(self, items: Sequence[Share], mix: Mix, undo: bool = False) -> list[Share]:
        return shuffle.shuffle(self, items, mix, undo)

    def _shuffle_and_open(
        self, shown: Sequence[Shown], mix: Mix, items: Sequence[Share], bits: Bits | None
    ) -> Mixed:
        return shuffle.shuffle_and_open(self, shown, mix, items, bits)

    def _open_bits(self, b: Bits) -> Ring | None:
        return shuffle.open_bits(self, b)

    def random_digits(self, n: int, widths: Sequence[int], bits: int) -> list[tuple[Bits, Share]]:
        return digits.random_digits(self, n, widths, bits)

    def _sine_series(
        self, x: Share, period: int, weights: Sequence[float], scale: int, cosines: Sequence[float]
    ) -> Share:
        return sine.sine_series(self, x, period, weights, scale, cosines)

    def _series_and_sides(
        self,
        x: Share,
        period: int,
        weights: Sequence[float],
        scale: int,
        cosines: Sequence[float],
        edges: Sequence[int],
        bits: int,
        blur: int,
    ) -> tuple[Share, Share]:
        moved = [self._add_public(x, layout.constant(-e)) for e in edges]
        return sine.with_sides(self, x, period, weights, scale, cosines, self.stack(moved, 0), bits, blur)

    def compare(self, mine: bytes, act: Callable[[], Other]) -> tuple[list[bytes], Other]:
        party: Party = self.party
        return party.compare(mine, act)


@dataclass(frozen=True)
class Rep3(Scheme):
    """The default protocol, for three parties of which one may be curious.

    ``exact``: round to nearest everywhere (about 2.5 times the bytes of a truncation). ``link``: the network between
    the parties, by which they choose circuits.
    """

    exact: bool = False
    link: Link = Link()

    name = "Rep3"
    parties = 3
    costs: ClassVar[Mapping[str, CostFunction]] = {
        "input": lambda of, n: Cost(1, (64, 64, 64)),
        "share": lambda of, n, owner=0: Cost(1, tuple(8 * n if i == owner else 0 for i in range(3))),
        "open": lambda of, n, to=(0, 1, 2): Cost(1, tuple(8 * n if (i + 1) % 3 in to else 0 for i in range(3))),
        "open_outside": lambda of, n: Cost(0, _ring(n)),
        "mul": _mul,
        "truncate": _truncate,
        "truncate_nearest": lambda of, n, shift: cost.cost_truncate_nearest(n, shift, of.link),
        "msb": lambda of, n, bits=RANGE_BITS: cost.cost_msb(n, bits, of.link),
        "bits": lambda of, n, count, serial=False: cost.cost_bits(n, count, serial),
        "is_zero": lambda of, n, bits=64: cost.cost_is_zero(n, bits),
        "and_": lambda of, n, planes=1: Cost(1, _ring(planes * ((n + 63) // 64))),
        "b2a": lambda of, n, planes=1: cost.cost_b2a(n * planes, of.link),
        "inject": lambda of, n: cost.cost_inject(n, of.link),
        "sine_series": lambda of, n, **series: sine.cost(n, **series, exact=of.exact, link=of.link),
        "series_and_sides": lambda of, n, **series: sine.cost_with_sides(n, **series, exact=of.exact, link=of.link),
        "shuffle": lambda of, n, **more: shuffle.cost_shuffle(n, **more),
        "shuffle_and_open": lambda of, n, **more: shuffle.cost_shuffle_and_open(n, **more),
        "open_bits": lambda of, n, **more: shuffle.cost_open_bits(n, **more),
        "random_digits": lambda of, n, widths, bits: digits.cost(n, widths, bits),
        "random_ring": lambda of, n: Cost(0, (0, 0, 0)),
        "random_bits": lambda of, n, planes=1: Cost(0, (0, 0, 0)),
    }

    def at(self, party: Party) -> Replicated:
        return Replicated(party, self)

    def seconds(self, cost: Cost) -> float:
        return cost.rounds * self.link.one_way_s + max(cost.sent) / self.link.bytes_per_s

    def deal(self, channel: Channel, names: Sequence[str], step: int, values: Ring) -> None:
        inputs.deal(channel, names, step, values)

    def collect(self, channel: Channel, names: Sequence[str], step: int, shape: tuple[int, ...]) -> Ring:
        """The sum of the three parties' re-randomised components."""
        total = layout.zeros(shape)
        for name in names:
            part = layout.empty(shape)
            channel.receive(name, step, part)
            total += part
        return total
