"""The primitives that a protocol must offer; everything else in Privity is written once over these.

Values here are ring integers: scale, bound and dtype belong to SecureArray. A protocol is one object per party and
session; a :class:`Scheme` says which, and what each interactive operation costs; a test measures that of every scheme.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from ..errors import UsageError
from ..ring import layout
from ..types import Channel, Cost, Ring
from .party import Party
from .permits import Kind, Permit
from .public_numbers import PublicNumbers
from .shares import Bits, Mix, Mixed, Share, Shown, merge, xor

CostFunction = Callable[..., Cost]

Other = TypeVar("Other")


class Scheme(ABC):
    """Which protocol runs, and its options: what a program, a job file and a plan name, before there is any party.

    Public, frozen, hashable and equal at all parties. It knows what operations cost, and how a party that holds no
    shares deals its inputs and collects what is opened to it.
    """

    name: ClassVar[str]
    parties: ClassVar[int]
    """How many compute parties."""
    costs: ClassVar[Mapping[str, CostFunction]]
    """What each interactive operation costs: (scheme, n elements, the operation's own public parameters) -> Cost."""

    @abstractmethod
    def at(self, party: Party) -> Protocol:
        """The protocol at one compute party in one session."""

    def check(self, compute: Sequence[str]) -> None:
        """Raises UsageError if ``self`` is no scheme, or not for so many compute parties."""
        if not isinstance(self, Scheme):
            raise UsageError("protocol= must be a protocol with its options, such as Rep3() or Rep3(exact=True)")
        if len(compute) != self.parties:
            wanted = f"{self.name} needs {self.parties} compute parties"
            raise UsageError(f"{wanted}, there are {len(compute)}: {', '.join(compute)}")

    def cost(self, operation: str, n: int, **parameters: Any) -> Cost:
        """Declared rounds and payload bytes per party of an operation on ``n`` elements."""
        return self.costs[operation](self, n, **parameters)

    @abstractmethod
    def seconds(self, cost: Cost) -> float:
        """Time on the link that the scheme was given, computing not included."""

    @abstractmethod
    def deal(self, channel: Channel, names: Sequence[str], step: int, values: Ring) -> None:
        """At an owner that does not compute: split ``values`` and send each compute party its own part."""

    @abstractmethod
    def collect(self, channel: Channel, names: Sequence[str], step: int, shape: tuple[int, ...]) -> Ring:
        """At a receiver that does not compute: put together what the compute parties send for one opening."""


class Protocol(ABC):
    """What every protocol can do at one party. Shapes of the operands of binary operations must be equal."""

    of: Scheme
    """The scheme that it belongs to, with its options."""
    party: Any
    numbers: PublicNumbers | None = None
    """Where public operands are noted, so that parties can compare them; None where nobody compares."""

    # -- input and output --------------------------------------------------------------------------------------

    @abstractmethod
    def receive_input(self, owner: str, step: int, shape: tuple[int, ...]) -> Share:
        """The shares of an array that an outside owner deals in this step."""

    @abstractmethod
    def share(self, owner: int, values: Ring | None, shape: tuple[int, ...]) -> Share:
        """Shares of an array that compute party ``owner`` knows (``values`` is None at the others)."""

    def open(
        self, x: Share, to: Sequence[int], outside: Sequence[str] = (), step: int = 0, *, permit: Permit
    ) -> Ring | None:
        """Open to the compute parties ``to`` and to outside receivers; the value where it is meant, else None.

        Raises OpeningRefused unless ``permit`` is for this very value and these receivers, and unused.
        """
        party = self.party
        names = None if party is None else [*(party.names[i] for i in to), *outside]
        permit.spend((Kind.LISTED, Kind.GUARD), (x,), names)
        return self._open(x, to, outside, step)

    @abstractmethod
    def _open(self, x: Share, to: Sequence[int], outside: Sequence[str], step: int) -> Ring | None:
        """What ``open`` does once the permit is spent."""

    def public(self, values: Ring) -> Share:
        """A public constant as a share."""
        if self.numbers is not None:
            self.numbers.array(b"public", values)
        return self._public(values)

    @abstractmethod
    def _public(self, values: Ring) -> Share:
        """What ``public`` does once the operand is noted; so for all names like this one."""

    # -- linear, local -----------------------------------------------------------------------------------------

    def add(self, x: Share, y: Share) -> Share:
        return Share(tuple([a + b for a, b in zip(x.parts, y.parts, strict=True)]), x.shape)

    def sub(self, x: Share, y: Share) -> Share:
        return Share(tuple([a - b for a, b in zip(x.parts, y.parts, strict=True)]), x.shape)

    def neg(self, x: Share) -> Share:
        return Share(tuple([layout.negative(a) for a in x.parts]), x.shape)

    def add_public(self, x: Share, c: Ring) -> Share:
        """x + c, c of the same shape or broadcastable to it."""
        if self.numbers is not None:
            self.numbers.array(b"add", c)
        return self._add_public(x, c)

    @abstractmethod
    def _add_public(self, x: Share, c: Ring) -> Share: ...

    def mul_public(self, x: Share, c: Ring) -> Share:
        """x * c, c broadcastable to x's shape."""
        if self.numbers is not None:
            self.numbers.array(b"mul", c)
        return Share(tuple([layout.asarray(a * c) for a in x.parts]), x.shape)

    def matmul_public(self, x: Share, c: Ring, left: bool) -> Share:
        """c @ x if ``left``, else x @ c: stacks of matrices with the same leading axes (none: single matrices)."""
        if self.numbers is not None:
            self.numbers.array(b"matmul", c)
        parts = tuple(self.matrices(c, a) if left else self.matrices(a, c) for a in x.parts)
        return Share(parts, layout.matmul_shape(c.shape, x.shape) if left else layout.matmul_shape(x.shape, c.shape))

    def matrices(self, x: Ring, y: Ring) -> Ring:
        """Local product of stacks of matrices with the same leading axes."""
        return layout.per_matrix(self.party.ring.matmul, (x, y), layout.matmul_shape(x.shape, y.shape))

    def concatenate(self, shares: Sequence[Share], axis: int) -> Share:
        return merge(shares, axis)

    def stack(self, shares: Sequence[Share], axis: int) -> Share:
        return merge(shares, axis, new_axis=True)

    # -- products and truncation -------------------------------------------------------------------------------

    @abstractmethod
    def mul(self, x: Share, y: Share, shift: int = 0) -> Share:
        """Elementwise x * y, then divided by 2^shift with one rounding (``shift=0``: no truncation)."""

    @abstractmethod
    def matmul(self, x: Share, y: Share, shift: int = 0, factor: int = 1) -> Share:
        """(*b, m, k) @ (*b, k, n), times the public integer ``factor``, then divided by 2^shift with one rounding.

        The leading axes b are equal (or absent); rounds do not depend on them.
        """

    @abstractmethod
    def matmul_sum(self, pairs: Sequence[tuple[Share, Share]], shift: int = 0) -> Share:
        """The sum of x @ y over pairs of matrices (m, k_j), (k_j, n), one rounding; traffic is that of one product.

        For sums over more rows than should lie in one piece of memory.
        """

    @abstractmethod
    def dot(self, x: Share, y: Share, shift: int = 0) -> Share:
        """Sum of products over the last axis of two (m, k) arrays: (m,), one rounding."""

    @abstractmethod
    def truncate(self, x: Share, shift: int) -> Share:
        """x / 2^shift. Stochastic rounding: error below 1 ulp, unbiased, exact on multiples; |x| < 2^62."""

    @abstractmethod
    def truncate_nearest(self, x: Share, shift: int) -> Share:
        """floor(x / 2^shift + 1/2), exactly; |x| <= 2^62 - 2^(shift-1), so that rounding up stays in range."""

    # -- randomness --------------------------------------------------------------------------------------------

    @abstractmethod
    def random_ring(self, shape: tuple[int, ...]) -> Share:
        """Uniform ring elements that no party knows."""

    @abstractmethod
    def random_bits(self, shape: tuple[int, ...], planes: int = 1) -> Bits:
        """Uniform bits that no party knows."""

    # -- bits --------------------------------------------------------------------------------------------------

    @abstractmethod
    def msb(self, x: Share, bits: int = 62) -> Bits:
        """1 where x < 0, for |x| < 2^bits (fewer bits cost less; one too few gives random signs)."""

    @abstractmethod
    def bits(self, x: Share, count: int, serial: bool = False) -> Bits:
        """The low ``count`` bits of x as planes. ``serial``: a round for each bit, and the fewest bytes."""

    @abstractmethod
    def is_zero(self, x: Share, bits: int = 64) -> Bits:
        """1 where the low ``bits`` bits of x are all zero."""

    def xor(self, b: Bits, c: Bits) -> Bits:
        return xor(b, c)

    def map_bits(self, b: Bits, fn: layout.Local) -> Bits:
        """A rearrangement of the elements of bits, or XORs of some (unpacked, rearranged, packed again; local)."""
        if not b.parts:
            return Bits((), layout.result_shape(fn, b.shape), b.planes)
        ring, parts, shape = self.party.ring, [], b.shape
        for part in b.parts:
            blocks = []
            for low in range(0, b.planes, 64):
                planes = part[low : low + 64]
                moved = layout.asarray(fn(ring.from_planes(planes, b.size).reshape(b.shape)))
                shape = moved.shape
                blocks.append(ring.to_planes(layout.flat(moved), len(planes)))
            parts.append(blocks[0] if len(blocks) == 1 else layout.concatenate(blocks, 0))
        return Bits(tuple(parts), shape, b.planes)

    def join_bits(self, blocks: Sequence[Bits], axis: int, new_axis: bool = False) -> Bits:
        """Bits of one plane each, concatenated or stacked along an axis (unpacked, joined, packed again; local)."""
        join = layout.stack if new_axis else layout.concatenate
        shape = layout.joined_shape([b.shape for b in blocks], axis, new_axis)
        if not blocks[0].parts:
            return Bits((), shape)
        ring, parts = self.party.ring, []
        for each in zip(*(b.parts for b in blocks), strict=True):
            plain = [ring.from_planes(p, b.size).reshape(b.shape) for p, b in zip(each, blocks, strict=True)]
            parts.append(ring.to_planes(layout.flat(join(plain, axis)), 1))
        return Bits(tuple(parts), shape)

    @abstractmethod
    def invert(self, b: Bits) -> Bits:
        """NOT."""

    @abstractmethod
    def and_(self, b: Bits, c: Bits) -> Bits:
        """AND, plane by plane."""

    @abstractmethod
    def bit_matmul(self, x: Bits, y: Bits) -> Bits:
        """Matrix product over GF(2): x (m, k) of one plane, y k planes of n elements -> m planes of n elements."""

    @abstractmethod
    def b2a(self, b: Bits) -> Share:
        """Bits as ring integers 0/1: shape (planes, *shape) if there are several planes, else shape."""

    @abstractmethod
    def a2bits(self, x: Share) -> Bits:
        """Ring integers known to be 0 or 1 back to bits (the low bit of every component)."""

    @abstractmethod
    def inject(self, b: Bits, x: Share) -> tuple[Share, Share | None]:
        """b * x for one plane of bits of x's shape; and b as integers, where the cheapest form had to make them."""

    # -- orders ------------------------------------------------------------------------------------------------

    @abstractmethod
    def mix(self, n: int) -> Mix:
        """A uniform order of n rows that no party knows. Local."""

    @abstractmethod
    def shuffle(self, items: Sequence[Share], mix: Mix, undo: bool = False) -> list[Share]:
        """Arrays of ``mix.n`` rows, all with their rows in the order of ``mix``, or back from it; shares are fresh."""

    def shuffle_and_open(
        self, shown: Sequence[Shown], mix: Mix, items: Sequence[Share] = (), bits: Bits | None = None, *, permit: Permit
    ) -> Mixed:
        """``items`` (arrays) and ``bits`` (any number of planes) of ``mix.n`` rows shuffled, and ``shown`` opened in
        the shuffled order to every compute party, in the rounds of the shuffle.

        Only for what is independent of the secrets, such as row numbers in shuffled order (``permits.independent``):
        anything else leaves through ``open``, for which a gate gives leave.
        """
        permit.spend((Kind.INDEPENDENT,), [each.value for each in shown], None)
        return self._shuffle_and_open(shown, mix, items, bits)

    @abstractmethod
    def _shuffle_and_open(
        self, shown: Sequence[Shown], mix: Mix, items: Sequence[Share], bits: Bits | None
    ) -> Mixed:
        """What ``shuffle_and_open`` does once the permit is spent."""

    def open_bits(self, b: Bits, *, permit: Permit) -> Ring | None:
        """Planes of bits as integers (plane j counts 2^j) at every compute party; only for what is independent of the
        secrets.
        """
        permit.spend((Kind.INDEPENDENT,), (b,), None)
        return self._open_bits(b)

    @abstractmethod
    def _open_bits(self, b: Bits) -> Ring | None:
        """What ``open_bits`` does once the permit is spent."""

    @abstractmethod
    def random_digits(self, n: int, widths: Sequence[int], bits: int) -> list[tuple[Bits, Share]]:
        """For each width w, n uniform digits below 2^w that no party knows: w planes, and (n, 2^w) flags, 1 in the
        digit's place and 0 elsewhere, modulo 2^bits.
        """

    # -- periodic functions ------------------------------------------------------------------------------------

    def sine_series(
        self, x: Share, period: int, weights: Sequence[float], scale: int, cosines: Sequence[float] = ()
    ) -> Share:
        """sum_k weights[k-1] sin(2 pi k x / 2^period) + cosines[k-1] cos(the same) at ``scale`` bits, k = 1, 2, ..."""
        if self.numbers is not None:
            self.numbers.floats(b"series", [period, scale, len(weights), *weights, *cosines])
        return self._sine_series(x, period, weights, scale, cosines)

    @abstractmethod
    def _sine_series(
        self, x: Share, period: int, weights: Sequence[float], scale: int, cosines: Sequence[float]
    ) -> Share: ...

    def series_and_sides(
        self,
        x: Share,
        period: int,
        weights: Sequence[float],
        scale: int,
        cosines: Sequence[float],
        edges: Sequence[int],
        bits: int,
        blur: int = 0,
    ) -> tuple[Share, Share]:
        """``sine_series``, and for every edge whether x < edge as 0/1 integers (edges, *shape); |x - edge| < 2^bits.

        A value less than 2^blur above an edge may count as below it, blur < bits: what is known to matter less costs
        less.
        """
        if self.numbers is not None:
            self.numbers.floats(b"series", [period, scale, len(weights), *weights, *cosines])
            self.numbers.integers(b"sides", [*edges, bits, blur])
        return self._series_and_sides(x, period, weights, scale, cosines, edges, bits, blur)

    @abstractmethod
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
    ) -> tuple[Share, Share]: ...

    def note(self, what: bytes, values: Iterable[int]) -> None:
        """Public integers that decide what is done to shares without being operands of it; see ``numbers``."""
        if self.numbers is not None:
            self.numbers.integers(what, values)

    # -- public words ------------------------------------------------------------------------------------------

    @abstractmethod
    def compare(self, mine: bytes, act: Callable[[], Other]) -> tuple[list[bytes], Other]:
        """Public bytes of one length that the other compute parties state; and ``act``, in the same rounds."""
