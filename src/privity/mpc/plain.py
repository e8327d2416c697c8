"""Plain: the reference meaning of every primitive, on one party that sees everything.

Adversary  none: INSECURE by design, for tests, planning and worked examples
Assumes    nothing
Reveals    everything to the process that runs it
Error      products exact; truncation rounds to nearest
Paper      none
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..ring import layout, order, trig
from ..ring.prg import Stream, new_seed
from ..types import RANGE_BITS, Channel, Cost, Ring
from .party import Party
from .protocol import CostFunction, Other, Protocol, Scheme
from .shares import Bits, Mix, Mixed, Share, Shown

_FREE = Cost(0, (0,))


def _free(of: Scheme, n: int, **parameters: object) -> Cost:
    return _FREE


class Plain(Protocol):
    """The one party of ``InsecurePlain``."""

    def __init__(self, party: Party, of: InsecurePlain) -> None:
        self.party = party
        self.of = of

    def receive_input(self, owner: str, step: int, shape: tuple[int, ...]) -> Share:
        value = layout.empty(shape)
        self.party.channel.receive(owner, step, value)
        return Share((value,), shape)

    def share(self, owner: int, values: Ring | None, shape: tuple[int, ...]) -> Share:
        assert values is not None
        return Share((layout.copy(values).reshape(shape),), shape)

    def _open(self, x: Share, to: Sequence[int], outside: Sequence[str], step: int) -> Ring | None:
        for name in outside:
            self.party.channel.send(name, step, layout.flat(x.parts[0]))
        return layout.copy(x.parts[0]) if 0 in to else None

    def _public(self, values: Ring) -> Share:
        return Share((layout.copy(values),), values.shape)

    def _add_public(self, x: Share, c: Ring) -> Share:
        return Share((layout.asarray(x.parts[0] + c),), x.shape)

    def _share(self, value: Ring) -> Share:
        value = layout.asarray(value)
        return Share((value,), value.shape)

    def mul(self, x: Share, y: Share, shift: int = 0) -> Share:
        return self.truncate(self._share(x.parts[0] * y.parts[0]), shift)

    def matmul(self, x: Share, y: Share, shift: int = 0, factor: int = 1) -> Share:
        product = self.matrices(x.parts[0], y.parts[0]) * layout.constant(factor)
        return self.truncate(self._share(product), shift)

    def matmul_sum(self, pairs: Sequence[tuple[Share, Share]], shift: int = 0) -> Share:
        z = layout.zeros(layout.matmul_shape(pairs[0][0].shape, pairs[0][1].shape))
        for x, y in pairs:
            z += self.matrices(x.parts[0], y.parts[0])
        return self.truncate(self._share(z), shift)

    def dot(self, x: Share, y: Share, shift: int = 0) -> Share:
        return self.truncate(self._share(layout.total(-1, False)(x.parts[0] * y.parts[0])), shift)

    def truncate(self, x: Share, shift: int) -> Share:
        return self.truncate_nearest(x, shift)

    def truncate_nearest(self, x: Share, shift: int) -> Share:
        return self._share(layout.shift_nearest(x.parts[0], shift)) if shift else x

    def random_ring(self, shape: tuple[int, ...]) -> Share:
        return Share((Stream(new_seed()).words(layout.count(shape)).reshape(shape),), shape)

    def random_bits(self, shape: tuple[int, ...], planes: int = 1) -> Bits:
        words = Bits((), shape, planes).words
        return Bits((Stream(new_seed()).words(planes * words).reshape(planes, words),), shape, planes)

    def _bits(self, x: Ring, shape: tuple[int, ...], planes: int) -> Bits:
        return Bits((self.party.ring.to_planes(layout.flat(x), planes),), shape, planes)

    def msb(self, x: Share, bits: int = RANGE_BITS) -> Bits:
        return self._bits(x.parts[0] >> layout.constant(bits), x.shape, 1)

    def bits(self, x: Share, count: int, serial: bool = False) -> Bits:
        return self._bits(x.parts[0], x.shape, count)

    def is_zero(self, x: Share, bits: int = 64) -> Bits:
        return self._bits(layout.is_zero(x.parts[0], bits), x.shape, 1)

    def invert(self, b: Bits) -> Bits:
        return Bits((~b.parts[0],), b.shape, b.planes)

    def and_(self, b: Bits, c: Bits) -> Bits:
        return Bits((b.parts[0] & c.parts[0],), b.shape, b.planes)

    def bit_matmul(self, x: Bits, y: Bits) -> Bits:
        ring = self.party.ring
        marks = ring.from_planes(x.parts[0], x.size).reshape(x.shape)
        nothing = layout.zeros_like(y.parts[0])
        return Bits((ring.rep3_select(marks, layout.zeros_like(marks), y.parts[0], nothing),), y.shape, x.shape[0])

    def b2a(self, b: Bits) -> Share:
        ring = self.party.ring
        rows = [ring.from_planes(b.parts[0][j : j + 1], b.size).reshape(b.shape) for j in range(b.planes)]
        return self._share(rows[0] if b.planes == 1 else layout.stack(rows, 0))

    def inject(self, b: Bits, x: Share) -> tuple[Share, Share | None]:
        flags = self.b2a(b)
        return self.mul(flags, x), flags

    def a2bits(self, x: Share) -> Bits:
        return self._bits(x.parts[0], x.shape, 1)

    def mix(self, n: int) -> Mix:
        return Mix(n, {0: order.permutation(Stream(new_seed()).words, n)})

    def shuffle(self, items: Sequence[Share], mix: Mix, undo: bool = False) -> list[Share]:
        rows = order.inverse(mix.known[0]) if undo else mix.known[0]
        return [x.map(layout.take(rows)) for x in items]

    def _shuffle_and_open(
        self, shown: Sequence[Shown], mix: Mix, items: Sequence[Share], bits: Bits | None
    ) -> Mixed:
        rows = layout.take(mix.known[0])
        opened = []
        for each in shown:
            if isinstance(each.value, Share):
                opened.append(layout.low_bits(each.value.map(rows).parts[0], each.bits))
            else:
                moved = self.map_bits(each.value, rows)
                value = self._open_bits(moved if each.mask is None else self.xor(moved, each.mask))
                opened.append(value)
        return Mixed(opened, [x.map(rows) for x in items], None if bits is None else self.map_bits(bits, rows))

    def random_digits(self, n: int, widths: Sequence[int], bits: int) -> list[tuple[Bits, Share]]:
        made = []
        for w in widths:
            r = self.random_bits((n,), w)
            made.append((r, self._share(order.one_hot(self._open_bits(r), 1 << w))))
        return made

    def _open_bits(self, b: Bits) -> Ring:
        opened: Ring = self.party.ring.from_planes(b.parts[0], b.size).reshape(b.shape)
        return opened

    def _sine_series(
        self, x: Share, period: int, weights: Sequence[float], scale: int, cosines: Sequence[float]
    ) -> Share:
        waves = trig.harmonics(layout.flat(x.parts[0]), period, max(len(weights), len(cosines)))
        series = layout.zeros((x.size,))
        for wave, factors in zip(waves, (cosines, weights), strict=True):
            integer = [round(w * 2**20) for w in factors]
            if integer:
                series = series + layout.total(0, False)(trig.weighted(wave[: len(integer)], integer, trig.SCALE - 20))
        return self.truncate(self._share(series.reshape(x.shape)), 40 - scale)

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
        moved = self.stack([self._add_public(x, layout.constant(-e)) for e in edges], 0)
        return self._sine_series(x, period, weights, scale, cosines), self.b2a(self.msb(moved, bits))

    def compare(self, mine: bytes, act: Callable[[], Other]) -> tuple[list[bytes], Other]:
        return [], act()


@dataclass(frozen=True)
class InsecurePlain(Scheme):
    """No secrecy at all. Every secure protocol must agree with it up to its stated error."""

    name = "InsecurePlain"
    parties = 1
    costs: ClassVar[Mapping[str, CostFunction]] = dict.fromkeys(
        (
            "input",
            "share",
            "open",
            "open_outside",
            "mul",
            "truncate",
            "truncate_nearest",
            "msb",
            "bits",
            "is_zero",
            "and_",
            "b2a",
            "inject",
            "sine_series",
            "series_and_sides",
            "random_ring",
            "random_bits",
            "shuffle",
            "shuffle_and_open",
            "open_bits",
            "random_digits",
        ),
        _free,
    )

    def at(self, party: Party) -> Plain:
        return Plain(party, self)


    def seconds(self, cost: Cost) -> float:
        return 0.0

    def deal(self, channel: Channel, names: Sequence[str], step: int, values: Ring) -> None:
        channel.send(names[0], step, layout.flat(values))

    def collect(self, channel: Channel, names: Sequence[str], step: int, shape: tuple[int, ...]) -> Ring:
        part = layout.empty(shape)
        channel.receive(names[0], step, part)
        return part
