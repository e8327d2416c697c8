"""Where rows go in trees of secret splits: a bit for each row and node, packed, so that a row costs next to nothing.

A split is a one-hot choice among the thresholds of all columns, and a row's bits for these are at hand (``Bins``): the
product of the two over GF(2) is whether the row goes right. It costs an eighth of a byte per party, row and node, the
AND with the node's own rows another, and one becomes a ring integer for 8 bytes only where sums want it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ...array import SecureArray
from ...functions import stack
from ...mpc import tables
from ...mpc.shares import Bits
from .bins import Bins


class Walk:
    """Rows on their way down trees: ``inside``, a plane for each node of a level, 1 in the node's rows.

    Nodes stand tree by tree, from left to right. At the root every row is inside.
    """

    def __init__(self, bins: Bins) -> None:
        self.bins = bins
        self.inside: Bits | None = None
        """None at the roots: all rows."""

    def step(self, chosen: SecureArray) -> Bits:
        """Go down by the splits of a level (nodes, width), one-hot or 0; the rows that went right, a plane a node."""
        proto = chosen._context.protocol
        right = proto.bit_matmul(proto.a2bits(chosen._ring_share()), self.bins.marks)
        if self.inside is None:
            left = proto.invert(right)
        else:
            right = proto.and_(self.inside, right)
            left = proto.xor(self.inside, right)
        nodes = right.planes
        in_turn = [k + side for k in range(nodes) for side in (0, nodes)]
        self.inside = tables.chosen(tables.joined([left, right]), in_turn)
        return right

    def counted(self, chosen: SecureArray) -> SecureArray:
        """``step`` with its rows as ring integers, (nodes, rows): 8 bytes per party, row and node."""
        return numbers(chosen, self.step(chosen))


def flags(bins: Bins, splits: Sequence[SecureArray]) -> list[SecureArray]:
    """``Walk.counted`` of all levels: 8.25 bytes per party, row and node, and one conversion in all."""
    walk = Walk(bins)
    right = [walk.step(chosen) for chosen in splits]
    every = numbers(splits[0], tables.joined(right))
    ends = np.cumsum([0, *(r.planes for r in right)])
    return [every[low:high] for low, high in pairwise(ends.tolist())]


def weighted(
    levels: Sequence[SecureArray], values: SecureArray, shift: int = 0, used: npt.NDArray[np.int64] | None = None
) -> SecureArray:
    """The sum over the trees of the values (k, trees, leaves) of the leaves where rows fall, less ``shift`` bits.

    ``levels``: as ``flags`` gives them. ``used`` (trees, rows): public, 1 where a tree counts for a row; None:
    everywhere. (k, rows); its bound is for the caller to state. 8 k bytes a row, one exchange.

    A row that goes left at every node gets the value of the first leaf; where it goes right at a node, it gets that of
    the first leaf on the right instead of that of the first on the left. So its value is linear in the flags.
    """
    context, (k, count, leaves), rows = values._context, values.shape, levels[0].shape[1]
    every = np.ones((count, rows), np.int64) if used is None else used
    pairs = [(values[:, :, 0]._ring_share(), context.constant(every)._ring_share())]
    for level, right in enumerate(levels):
        size = leaves >> level  # leaves below a node
        slope = values[:, :, size // 2 :: size] - values[:, :, ::size]
        if used is not None:
            right = right * np.repeat(used, right.shape[0] // count, axis=0)
        pairs.append((slope.reshape((k, -1))._ring_share(), right._ring_share()))
    share = context.protocol.matmul_sum(pairs, shift)
    return SecureArray(context, share, values.scale - shift, values.bound * count)


def numbers(like: SecureArray, planes: Bits) -> SecureArray:
    """Planes of a bit for each row as integers, (planes, rows)."""
    context = like._context
    made = SecureArray(context, context.protocol.b2a(planes), 0, 1.0)
    return made.reshape((planes.planes, *planes.shape))


def carried(rows: SecureArray, right: SecureArray) -> SecureArray:
    """What rows carry (k, trees, n) to the nodes where they go right, flags (nodes, n): (k, nodes, n)."""
    k, count, n = rows.shape
    made = rows.reshape((k, count, 1, n)) * right.reshape((1, count, -1, n))
    return made.reshape((k, right.shape[0], n))._stated(rows.bound)


def children(x: SecureArray, right: SecureArray) -> SecureArray:
    """Sums over nodes (k, nodes, ...) replaced by those over their children, left and right in turn."""
    k, nodes, *rest = x.shape
    right = right.reshape(x.shape)
    return stack([x - right, right], axis=2).reshape((k, 2 * nodes, *rest))._stated(x.bound)
