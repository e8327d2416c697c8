"""The same program on shapes: at a party that holds no shares (an owner, a receiver) or at nobody (planning).

Adversary  none here: this party only ever holds its own inputs and what is opened to it
Assumes    nothing
Reveals    nothing; it works on shapes
Error      none
Paper      none

It does what the protocol ``of`` declares: inputs of its own are dealt, openings meant for it are collected, everything
else advances shapes and adds up declared costs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..ring import layout
from ..types import RANGE_BITS, Cost, Ring
from .protocol import Other, Protocol, Scheme
from .shares import Bits, Mix, Mixed, Share, Shown


class Shapes(Protocol):
    """Runs a program on shapes. ``planned`` is the declared cost so far."""

    def __init__(self, of: Scheme) -> None:
        self.party = None
        self.of = of
        self.planned = Cost(0, (0,) * of.parties)

    def _spend(self, operation: str, n: int, **parameters: Any) -> None:
        self.planned += self.of.cost(operation, n, **parameters)

    def receive_input(self, owner: str, step: int, shape: tuple[int, ...]) -> Share:
        self._spend("input", layout.count(shape))
        return Share((), shape)

    def share(self, owner: int, values: Ring | None, shape: tuple[int, ...]) -> Share:
        self._spend("share", layout.count(shape), owner=owner)
        return Share((), shape)

    def _open(self, x: Share, to: Sequence[int], outside: Sequence[str], step: int) -> Ring | None:
        if to:
            self._spend("open", x.size, to=tuple(to))
        for _ in outside:
            self._spend("open_outside", x.size)
        return None

    def _public(self, values: Ring) -> Share:
        return Share((), values.shape)

    def _add_public(self, x: Share, c: Ring) -> Share:
        return x

    def mul(self, x: Share, y: Share, shift: int = 0) -> Share:
        self._spend("mul", x.size, shift=shift)
        return x

    def matmul(self, x: Share, y: Share, shift: int = 0, factor: int = 1) -> Share:
        shape = layout.matmul_shape(x.shape, y.shape)
        self._spend("mul", layout.count(shape), shift=shift)
        return Share((), shape)

    def matmul_sum(self, pairs: Sequence[tuple[Share, Share]], shift: int = 0) -> Share:
        shape = layout.matmul_shape(pairs[0][0].shape, pairs[0][1].shape)
        self._spend("mul", layout.count(shape), shift=shift)
        return Share((), shape)

    def dot(self, x: Share, y: Share, shift: int = 0) -> Share:
        self._spend("mul", x.shape[0], shift=shift)
        return Share((), (x.shape[0],))

    def truncate(self, x: Share, shift: int) -> Share:
        if shift:
            self._spend("truncate", x.size, shift=shift)
        return x

    def truncate_nearest(self, x: Share, shift: int) -> Share:
        if shift:
            self._spend("truncate_nearest", x.size, shift=shift)
        return x

    def random_ring(self, shape: tuple[int, ...]) -> Share:
        self._spend("random_ring", layout.count(shape))
        return Share((), shape)

    def random_bits(self, shape: tuple[int, ...], planes: int = 1) -> Bits:
        self._spend("random_bits", layout.count(shape), planes=planes)
        return Bits((), shape, planes)

    def msb(self, x: Share, bits: int = RANGE_BITS) -> Bits:
        self._spend("msb", x.size, bits=bits)
        return Bits((), x.shape, 1)

    def bits(self, x: Share, count: int, serial: bool = False) -> Bits:
        self._spend("bits", x.size, count=count, serial=serial)
        return Bits((), x.shape, count)

    def is_zero(self, x: Share, bits: int = 64) -> Bits:
        self._spend("is_zero", x.size, bits=bits)
        return Bits((), x.shape, 1)

    def invert(self, b: Bits) -> Bits:
        return b

    def and_(self, b: Bits, c: Bits) -> Bits:
        self._spend("and_", b.size, planes=b.planes)
        return b

    def bit_matmul(self, x: Bits, y: Bits) -> Bits:
        self._spend("and_", y.size, planes=x.shape[0])
        return Bits((), y.shape, x.shape[0])

    def b2a(self, b: Bits) -> Share:
        self._spend("b2a", b.size, planes=b.planes)
        return Share((), b.shape if b.planes == 1 else (b.planes, *b.shape))

    def inject(self, b: Bits, x: Share) -> tuple[Share, Share | None]:
        one_round = self.of.cost("inject", x.size).rounds == 1
        self._spend("inject", x.size)
        return Share((), x.shape), None if one_round else Share((), b.shape)

    def a2bits(self, x: Share) -> Bits:
        return Bits((), x.shape, 1)

    def mix(self, n: int) -> Mix:
        return Mix(n, {})

    def shuffle(self, items: Sequence[Share], mix: Mix, undo: bool = False) -> list[Share]:
        self._spend("shuffle", sum(x.size for x in items))
        return list(items)

    def _shuffle_and_open(
        self, shown: Sequence[Shown], mix: Mix, items: Sequence[Share], bits: Bits | None
    ) -> Mixed:
        planes = 0 if bits is None else bits.planes
        each = tuple(s.bits for s in shown)
        self._spend("shuffle_and_open", mix.n, values=sum(x.size for x in items), planes=planes, shown=each)
        return Mixed(None, list(items), bits)

    def _open_bits(self, b: Bits) -> Ring | None:
        self._spend("open_bits", b.size, planes=b.planes)
        return None

    def random_digits(self, n: int, widths: Sequence[int], bits: int) -> list[tuple[Bits, Share]]:
        self._spend("random_digits", n, widths=tuple(widths), bits=bits)
        return [(Bits((), (n,), w), Share((), (n, 1 << w))) for w in widths]

    def _sine_series(
        self, x: Share, period: int, weights: Sequence[float], scale: int, cosines: Sequence[float]
    ) -> Share:
        count = max(len(weights), len(cosines))
        self._spend("sine_series", x.size, period=period, harmonics=count, scale=scale)
        return x

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
        self._spend(
            "series_and_sides",
            x.size,
            period=period,
            harmonics=max(len(weights), len(cosines)),
            scale=scale,
            edges=len(edges),
            bits=bits,
            blur=blur,
        )
        return x, Share((), (len(edges), *x.shape))

    def compare(self, mine: bytes, act: Callable[[], Other]) -> tuple[list[bytes], Other]:
        before = self.planned.rounds
        result = act()
        each = len(mine) * (self.of.parties - 1)
        self.planned += Cost(int(self.planned.rounds == before), (each,) * self.of.parties)
        return [], result
