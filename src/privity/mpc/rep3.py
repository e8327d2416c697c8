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
from typing import Any, ClassVar

from ..errors import WireError
from ..ring import layout
from ..ring.prg import SEED_BYTES, Stream, digest, new_seed, same
from ..types import RANGE_BITS, RING_BITS, Channel, Cost, Ring
from . import rep3_bits, rep3_cost, rep3_cross, rep3_digits, rep3_draws, rep3_shuffle, rep3_sine
from .outside import Outside
from .party import Party, Rounds
from .protocol import CostFunction, Other, Protocol
from .rep3_cost import packed
from .shares import Bits, Mix, Mixed, Share, Shown

_CHUNK = 1 << 15  # elements: masks of one chunk stay in the second-level cache


def _ring(n: int) -> tuple[int, int, int]:
    return (8 * n, 8 * n, 8 * n)


class Rep3(Protocol):
    """The default protocol. ``exact=True`` rounds to nearest everywhere (about 2.5 times the bytes of a truncation)."""

    name = "Rep3"
    parties = 3
    costs: ClassVar[Mapping[str, CostFunction]] = {
        "input": lambda n: Cost(1, (64, 64, 64)),
        "share": lambda n, owner=0: Cost(1, tuple(8 * n if i == owner else 0 for i in range(3))),
        "open": lambda n, to=(0, 1, 2): Cost(1, tuple(8 * n if (i + 1) % 3 in to else 0 for i in range(3))),
        "open_outside": lambda n: Cost(0, _ring(n)),
        "mul": rep3_cost.cost_mul,
        "truncate": rep3_cost.cost_truncate,
        "truncate_nearest": rep3_cost.cost_truncate_nearest,
        "msb": rep3_cost.cost_msb,
        "bits": rep3_cost.cost_bits,
        "is_zero": rep3_cost.cost_is_zero,
        "and_": lambda n, planes=1: Cost(1, _ring(planes * ((n + 63) // 64))),
        "b2a": lambda n, planes=1, adder=None: rep3_cost.cost_b2a(n * planes, adder),
        "inject": rep3_cost.cost_inject,
        "sine_series": rep3_sine.cost,
        "series_and_sides": rep3_sine.cost_with_sides,
        "shuffle": rep3_shuffle.cost_shuffle,
        "shuffle_and_open": rep3_shuffle.cost_shuffle_and_open,
        "open_bits": rep3_shuffle.cost_open_bits,
        "random_digits": rep3_digits.cost,
        "random_ring": lambda n: Cost(0, (0, 0, 0)),
        "random_bits": lambda n, planes=1: Cost(0, (0, 0, 0)),
    }
    draws = rep3_draws.DRAWS

    def __init__(self, party: Party, exact: bool = False, adder: rep3_bits.Adder | None = None) -> None:
        self.party = party
        self.exact = exact
        self.adder = adder or rep3_bits.Adder()
        i = party.index
        # Component j is known to parties j and j-1, so its masks come from the stream those two share.
        self.low: Stream = party.streams[(i - 1) % 3]  # component i, shared with the previous party
        self.high: Stream = party.streams[(i + 1) % 3]  # component i+1, shared with the next party
        self.own = rep3_sine.helper_stream()
        self.width: int = getattr(party.ring, "BITS", RING_BITS)
        self.half = layout.constant(1 << (self.width - 2))  # 2^62: makes every value in range non-negative

    # -- outside parties ---------------------------------------------------------------------------------------

    @classmethod
    def deal(cls, channel: Channel, names: Sequence[str], step: int, values: Ring) -> None:
        """x0 and x1 from fresh seeds, x2 explicit: 16 bytes per element in all."""
        x = layout.flat(values)
        seed0, seed1 = new_seed(), new_seed()
        x2 = layout.as_bytes(x - Stream(seed0).words(x.size) - Stream(seed1).words(x.size))
        channel.send(names[0], step, seed0 + seed1)
        channel.send(names[1], step, layout.join_bytes([layout.from_bytes(seed1), x2]))
        channel.send(names[2], step, layout.join_bytes([layout.from_bytes(seed0), x2]))

    @classmethod
    def collect(cls, channel: Channel, names: Sequence[str], step: int, shape: tuple[int, ...]) -> Ring:
        total = layout.zeros(shape)
        for name in names:
            part = layout.empty(shape)
            channel.receive(name, step, part)
            total += part
        return total

    # -- input and output --------------------------------------------------------------------------------------

    def receive_input(self, owner: str, step: int, shape: tuple[int, ...]) -> Share:
        """Seeds and explicit component from an outside owner; the holders of each compare what they got by hash.

        Party 0 gets two seeds and nothing else, so it makes room for n elements only when both other parties have said
        what only they could say: that they hold the same, each with the n words that the owner really sent them.
        """
        i, n = self.party.index, layout.count(shape)
        first = layout.empty_bytes(SEED_BYTES)
        if i == 0:  # x_0 is shared with party 2, x_1 with party 1
            both, second = self._from_owner(owner, step, 2 * SEED_BYTES), layout.empty_bytes(SEED_BYTES)
            layout.split_bytes(both, [first, second])
            held = (layout.view(first), layout.view(second))
        else:
            both, x2 = self._from_owner(owner, step, SEED_BYTES + 8 * n), layout.empty(n)
            layout.split_bytes(both, [first, x2])
            held = (layout.view(first), layout.view(x2)) if i == 1 else (layout.view(x2), layout.view(first))
        self._compare_input(owner, n, [digest(part) for part in held])
        if i == 0:
            x_low, x_high = (Stream(bytes(seed)).words(n) for seed in (first, second))
        else:
            masked = Stream(bytes(first)).words(n)
            x_low, x_high = (masked, x2) if i == 1 else (x2, masked)
        return Share((x_low.reshape(shape), x_high.reshape(shape)), shape)

    def _compare_input(self, owner: str, n: int, held: Sequence[bytes]) -> None:
        """With the previous party x_i, with the next x_{i+1}: each says "I, this party, hold this and n elements"."""
        p, i = self.party, self.party.index
        prev, nxt = (i - 1) % 3, (i + 1) % 3
        theirs = [layout.empty_bytes(32), layout.empty_bytes(32)]
        said = [digest(b"input held", bytes([i]), n.to_bytes(8, "little"), part) for part in held]
        p.exchange(
            [(prev, layout.from_bytes(said[0])), (nxt, layout.from_bytes(said[1]))],
            [(prev, theirs[0]), (nxt, theirs[1])],
            "input digests",
        )
        for got, part, other in zip(theirs, held, (prev, nxt), strict=True):
            if not same(bytes(got), digest(b"input held", bytes([other]), n.to_bytes(8, "little"), part)):
                raise WireError(
                    f"owner {owner} sent different shares of the same input to {p.names[i]} and {p.names[other]}; "
                    "the input is not used. Ask the owner to check its node."
                )

    def _from_owner(self, owner: str, step: int, size: int) -> Any:
        buffer = layout.empty_bytes(size)
        self.party.channel.receive(owner, step, buffer)
        if self.party.recorder is not None:
            self.party.recorder.received(owner, step, "input shares", layout.view(buffer))
        return buffer

    def share(self, owner: int, values: Ring | None, shape: tuple[int, ...]) -> Share:
        """x_owner from the stream with the previous party, x_{owner+1} = x - x_owner, the third component 0."""
        p, i = self.party, self.party.index
        n = layout.count(shape)
        if i == owner:
            assert values is not None
            mask = self.low.words(n)
            rest = layout.flat(values) - mask
            p.exchange([((i + 1) % 3, rest)], [], "input")
            parts = (mask, rest)
        elif i == (owner + 1) % 3:
            rest = layout.empty(n)
            p.exchange([], [(owner, rest)], "input")
            parts = (rest, layout.zeros((n,)))
        else:
            p.exchange([], [], "input")
            parts = (layout.zeros((n,)), self.high.words(n))
        return Share((parts[0].reshape(shape), parts[1].reshape(shape)), shape)

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
            part = layout.flat(x.parts[0]) + self._zero(x.size)
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

    def _zero(self, n: int) -> Ring:
        """This party's part of a fresh sharing of zero: F(K_i) - F(K_{i+1})."""
        return self.low.words(n) - self.high.words(n)

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
        return self._finish(flat + self._zero(flat.size), shape, shift)

    def matmul_sum(self, pairs: Sequence[tuple[Share, Share]], shift: int = 0) -> Share:
        shape = layout.matmul_shape(pairs[0][0].shape, pairs[0][1].shape)
        z = layout.zeros(shape)
        for x, y in pairs:
            z += self.party.ring.rep3_matmul(*x.parts, *y.parts)
        flat = layout.flat(z)
        return self._finish(flat + self._zero(flat.size), shape, shift)

    def dot(self, x: Share, y: Share, shift: int = 0) -> Share:
        z = self.party.ring.rep3_dot(*x.parts, *y.parts)
        return self._finish(z + self._zero(z.size), (x.shape[0],), shift)

    def _finish(self, z: Ring, shape: tuple[int, ...], shift: int) -> Share:
        """From masked additive to replicated, with truncation on the way if asked."""
        if shift and not self.exact:
            return self._truncate_additive(z, shape, shift)
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
        return self.truncate_known(known, x.shape, shift)

    def _truncate_additive(self, z: Ring, shape: tuple[int, ...], shift: int) -> Share:
        """Parties 2 and 0 pass z_2 and z_0 on so that u = z_1 + z_2 is party 1's and v = z_0 that of 0 and 2."""
        p, i = self.party, self.party.index
        if i == 0:
            z = z + self.half
            p.exchange([(2, z)], [], "product")
            known = z
        elif i == 1:
            known = layout.empty(z.size)
            p.exchange([], [(2, known)], "product")
            known += z
        else:
            known = layout.empty(z.size)
            p.exchange([(1, z)], [(0, known)], "product")
        return self.truncate_known(known, shape, shift)

    def truncate_known(self, known: Ring, shape: tuple[int, ...], d: int) -> Share:
        """As ``truncation``; small batches take one round."""
        if self.adder.hurry(packed(known.size, d)):
            low, high = rep3_cross.truncate(self, known, d)
            return Share((low.reshape(shape), high.reshape(shape)), shape)
        result: Share = self.party.run(self.truncation(known, shape, d))
        return result

    def truncation(self, known: Ring, shape: tuple[int, ...], d: int, tell: bool = False) -> Rounds[Share]:
        """x + 2^62 = u + v, u at party 1, v at parties 0 and 2. With m = msb(v) and b = 1 - msb(u):

            x / 2^d = A + (v >> d) + [v mod 2^d != 0] - 2^(64-d) b m - 2^(62-d),   A = (u >> d) - msb(u) 2^(64-d)

        A and b are party 1's inputs; b m is local to 0 and 2, reshared modulo 2^d: only its low d bits count.
        ``tell``: party 2 does not know v yet (its ``known`` is to be filled); party 0 sends it in the first round.
        """
        k, i = self.party.ring, self.party.index
        n = known.size
        top = layout.constant(self.width - d)
        size = packed(n, d)
        if i == 1:
            r1, b1, s1 = (self.low.words(n) for _ in range(3))
            s2 = self.high.words(n)
            a2, b2 = k.trunc_known_u(known, d, r1, b1)
            yield [(2, a2), (2, k.pack_low(b2, d))], [], "truncation"
            yield [], [], "truncation"
            parts = (r1 - (s1 << top), a2 - (s2 << top))
        elif i == 0:
            r1, b1, s1 = (self.high.words(n) for _ in range(3))
            yield [(2, known)] if tell else [], [], "truncation"
            mine = k.bit_times(b1, known, s1, d)
            got = layout.empty_bytes(size)
            yield [(2, k.pack_low(mine, d))], [(2, got)], "truncation"
            parts = (k.trunc_known_v(known, d, mine + k.unpack_low(got, d, n)), r1 - (s1 << top))
        else:
            s2 = self.low.words(n)
            a2, got_b, got = layout.empty(n), layout.empty_bytes(size), layout.empty_bytes(size)
            yield [], [*([(0, known)] if tell else []), (1, a2), (1, got_b)], "truncation"
            mine = k.bit_times(k.unpack_low(got_b, d, n), known, s2, d)
            yield [(0, k.pack_low(mine, d))], [(0, got)], "truncation"
            parts = (a2 - (s2 << top), k.trunc_known_v(known, d, mine + k.unpack_low(got, d, n)))
        return Share((parts[0].reshape(shape), parts[1].reshape(shape)), shape)

    def truncate_nearest(self, x: Share, shift: int) -> Share:
        return rep3_bits.truncate_nearest(self, x, shift) if shift else x

    # -- randomness --------------------------------------------------------------------------------------------

    def random_ring(self, shape: tuple[int, ...]) -> Share:
        """Component j from the stream of its two holders: each party lacks one, so the sum is uniform to it."""
        n = layout.count(shape)
        return Share((self.low.words(n).reshape(shape), self.high.words(n).reshape(shape)), shape)

    def random_bits(self, shape: tuple[int, ...], planes: int = 1) -> Bits:
        """As random_ring, with XOR for the sum."""
        size = (planes, Bits((), shape).words)
        n = layout.count(size)
        return Bits((self.low.words(n).reshape(size), self.high.words(n).reshape(size)), shape, planes)

    # -- bits --------------------------------------------------------------------------------------------------

    def msb(self, x: Share, bits: int = RANGE_BITS) -> Bits:
        return rep3_bits.msb(self, x, bits)

    def bits(self, x: Share, count: int, serial: bool = False) -> Bits:
        return rep3_bits.decompose(self, x, count, serial)

    def is_zero(self, x: Share, bits: int = 64) -> Bits:
        return rep3_bits.is_zero(self, x, bits)

    def invert(self, b: Bits) -> Bits:
        return rep3_bits.invert(self, b)

    def and_(self, b: Bits, c: Bits) -> Bits:
        return rep3_bits.and_(self, b, c)

    def bit_matmul(self, x: Bits, y: Bits) -> Bits:
        return rep3_bits.matmul(self, x, y)

    def b2a(self, b: Bits) -> Share:
        return rep3_bits.b2a(self, b)

    def inject(self, b: Bits, x: Share) -> tuple[Share, Share | None]:
        if not self.adder.hurry(16 * x.size):
            flags = self.b2a(b)
            return self.mul(flags, x), flags
        low, high = rep3_cross.inject(self, b, x)
        return Share((low.reshape(x.shape), high.reshape(x.shape)), x.shape), None

    def a2bits(self, x: Share) -> Bits:
        return rep3_bits.from_ring_bits(self, x)

    def mix(self, n: int) -> Mix:
        return rep3_shuffle.draw(self, n)

    def shuffle(self, items: Sequence[Share], mix: Mix, undo: bool = False) -> list[Share]:
        return rep3_shuffle.shuffle(self, items, mix, undo)

    def _shuffle_and_open(
        self, shown: Sequence[Shown], mix: Mix, items: Sequence[Share], bits: Bits | None
    ) -> Mixed:
        return rep3_shuffle.shuffle_and_open(self, shown, mix, items, bits)

    def _open_bits(self, b: Bits) -> Ring | None:
        return rep3_shuffle.open_bits(self, b)

    def random_digits(self, n: int, widths: Sequence[int], bits: int) -> list[tuple[Bits, Share]]:
        return rep3_digits.random_digits(self, n, widths, bits)

    def _sine_series(
        self, x: Share, period: int, weights: Sequence[float], scale: int, cosines: Sequence[float]
    ) -> Share:
        return rep3_sine.sine_series(self, x, period, weights, scale, cosines)

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
        return rep3_sine.with_sides(self, x, period, weights, scale, cosines, self.stack(moved, 0), bits, blur)

    def compare(self, mine: bytes, act: Callable[[], Other]) -> tuple[list[bytes], Other]:
        party: Party = self.party
        return party.compare(mine, act)

    # -- cost --------------------------------------------------------------------------------------------------

    def planner(self) -> Outside:
        return Outside(Rep3, self.exact, self.adder)

    @classmethod
    def seconds(cls, cost: Cost, adder: rep3_bits.Adder | None = None) -> float:
        link = adder or rep3_bits.Adder()
        return cost.rounds * link.one_way_s + max(cost.sent) / link.bytes_per_s
