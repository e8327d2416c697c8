"""The smallest elements of each row: flags of the first smallest one, or the k smallest with what belongs to them."""

from __future__ import annotations

import numpy as np

from ..array import SecureArray
from ..errors import ShapeError, UsageError
from ..mpc import approx
from ..mpc.shares import Share
from ..ring import layout
from ..types import RANGE_BITS


def nearest_one(x: SecureArray) -> tuple[SecureArray, SecureArray]:
    """(flags, values) of the first smallest element of each row of x (m, k): 0/1 integers (m, k) and (m,), exactly.

    A tournament of neighbours, whose comparisons are then followed down from the winner: one product of 0/1 integers
    for each, so no position is computed and taken apart again. Rounds: ceil(log2 k) times those of a sign and 3 (its
    conversion takes 1 or 2), and ceil(log2 k) - 1. Bytes per party and element: those of a sign, and 24.
    """
    x = x.numeric()
    if x.ndim != 2 or not x.shape[1]:
        raise ShapeError(f"expected rows (m, k) with k of at least 1, got {x.shape}")
    context, proto = x._context, x._context.protocol
    bits = min(RANGE_BITS + 1, approx.bits_for(x.bound, x.scale) + 1)
    items = x._ring_share().map(layout.transpose(None))
    levels: list[tuple[Share, int]] = []
    while items.shape[0] > 1:
        count = items.shape[0]
        pairs = count // 2
        left = items.map(layout.take(slice(0, 2 * pairs, 2)))
        gain = proto.sub(items.map(layout.take(slice(1, 2 * pairs, 2))), left)
        lower = proto.b2a(proto.msb(gain, bits))  # the right one wins only if it is strictly smaller
        won = proto.add(left, proto.mul(lower, gain))
        items = proto.concatenate([won, items.map(layout.take(slice(2 * pairs, None)))], 0)
        levels.append((lower, count))
    flags = proto.public(np.ones(items.shape, np.uint64))
    for level, (lower, count) in enumerate(reversed(levels)):
        pairs = count // 2
        parent = flags.map(layout.take(slice(0, pairs)))
        right = proto.mul(parent, lower) if level else lower
        both = proto.concatenate([proto.sub(parent, right), right, flags.map(layout.take(slice(pairs, None)))], 0)
        order = np.arange(2 * pairs).reshape(2, pairs).T.reshape(-1)
        flags = both.map(layout.take(np.append(order, np.arange(2 * pairs, count))))
    hot = SecureArray(context, flags.map(layout.transpose(None)), 0, 1.0)
    return hot, SecureArray(context, items.map(layout.reshape((x.shape[0],))), x.scale, x.bound)


def nearest_few(x: SecureArray, count: int, beside: SecureArray) -> tuple[SecureArray, SecureArray]:
    """The ``count`` smallest elements of each row of x (m, n), in ascending order, and what stands beside them.

    ``beside`` (m, n) or (n,): moves along. Both results (m, count). Among equal elements the choice is arbitrary, but
    the same in every run. Blocks of k elements (``count`` rounded up to a power of two) are sorted by a bitonic
    network; then two blocks at a time become one of their k smallest (Batcher 1968). Comparisons: about n (1 + log2 k)
    (2 + log2 k) / 4 twice; each costs a sign and 24 bytes per party. Rounds: about (log2 k)^2 / 2 + (1 + log2 k)
    log2(n / k) times those of a sign and 3.
    """
    x, beside = x.numeric(), beside.numeric()
    if x.ndim != 2 or not 1 <= count <= x.shape[1]:
        raise UsageError(f"expected rows (m, n) and 1 <= count <= n, got {x.shape} and {count}")
    context, proto, (m, n) = x._context, x._context.protocol, x.shape
    bits = min(RANGE_BITS + 1, approx.bits_for(x.bound, x.scale) + 1)
    size = 1 << (count - 1).bit_length()
    items = proto.stack([x._ring_share(), beside._fitted(x.shape)], 0)
    if n % size:  # padding that never wins
        far = proto.public(layout.constants([int(x.bound * 2.0**x.scale), 0])).map(layout.reshape((2, 1, 1)))
        items = proto.concatenate([items, far.map(layout.broadcast((2, m, size - n % size)))], 2)
    blocks = -(-n // size)
    items = items.map(layout.reshape((2, m, blocks, size)))

    def exchanged(low: Share, high: Share, both: bool) -> tuple[Share, Share | None]:
        gain = proto.sub(high, low)
        swap = proto.b2a(proto.msb(gain.map(layout.take(0)), bits))
        move = proto.mul(swap.map(layout.broadcast(gain.shape)), gain)
        return proto.add(low, move), proto.sub(high, move) if both else None

    def layer(items: Share, low: list[int], high: list[int]) -> Share:
        """Compare-exchange of places ``low`` with ``high`` of every block."""
        first, second = (items.map(layout.take((slice(None), slice(None), slice(None), p))) for p in (low, high))
        one, two = exchanged(first, second, True)
        assert two is not None
        back = np.argsort(np.array(low + high))
        return proto.concatenate([one, two], 3).map(layout.take((slice(None), slice(None), slice(None), back)))

    def cleaned(items: Share, width: int) -> Share:
        """Bitonic runs of ``width`` places become ascending ones."""
        half = width // 2
        while half:
            low = [i for i in range(size) if not i & half]
            items = layer(items, low, [i + half for i in low])
            half //= 2
        return items

    width = 2
    while width <= size:
        low = [i for i in range(size) if i % width < width // 2]
        items = layer(items, low, [i - i % width + width - 1 - i % width for i in low])
        items = cleaned(items, width // 2)
        width *= 2
    while items.shape[2] > 1:
        pairs = items.shape[2] // 2
        first, second = (items.map(layout.take((slice(None), slice(None), slice(s, 2 * pairs, 2)))) for s in (0, 1))
        best, _ = exchanged(first, second.map(layout.arranged(np.flip, axis=3)), False)
        rest = items.map(layout.take((slice(None), slice(None), slice(2 * pairs, None))))
        best = cleaned(best, size)
        items = proto.concatenate([best, rest], 2)
    found = items.map(layout.reshape((2, m, size)))
    values, moved = (found.map(layout.take((i, slice(None), slice(0, count)))) for i in (0, 1))
    return SecureArray(context, values, x.scale, x.bound), SecureArray(context, moved, beside.scale, beside.bound)
