"""Where rows go in trees of secret splits: a bit for each row and node, packed, so that a row costs next to nothing.

A split is a one-hot choice among the thresholds of all columns, and a row's bits for these are at hand (``Bins``): the
product of the two over GF(2) is whether the row goes right. It costs an eighth of a byte per party, row and node, the
AND with the node's own rows another, and one becomes a ring integer for 8 bytes only where sums want it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...array import SecureArray
from ...functions import stack
from ...mpc import tables
from ...mpc.shares import Bits
from .bins import Bins


class Walk:
    """Rows on their way down ``count`` trees: ``inside``, a plane for each node of a level, 1 in the node's rows.

    Nodes stand tree by tree, from left to right. At the root every row is inside.
    """

    def __init__(self, bins: Bins, count: int) -> None:
        self.bins, self.count = bins, count
        self.inside: Bits | None = None
        """None at the roots: all rows."""

    def step(self, chosen: SecureArray) -> Bits:
        """Go down by the splits of a level (nodes, width), one-hot or 0; the rows that went right, a plane a node."""
        proto = chosen.session.protocol
        right = proto.bit_matmul(proto.a2bits(chosen.ring_share()), self.bins.marks)
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


def leaves(bins: Bins, splits: Sequence[SecureArray], count: int) -> SecureArray:
    """1 where a row falls into a leaf, (count * leaves, rows): 8 bytes each, and 1/4 for each node."""
    walk = Walk(bins, count)
    for chosen in splits:
        walk.step(chosen)
    assert walk.inside is not None
    return numbers(splits[0], walk.inside)


def numbers(like: SecureArray, planes: Bits) -> SecureArray:
    """Planes of a bit for each row as integers, (planes, rows)."""
    session = like.session
    made = SecureArray(session, session.protocol.b2a(planes), 0, 1.0)
    return made.reshape((planes.planes, *planes.shape))


def children(x: SecureArray, right: SecureArray) -> SecureArray:
    """What belongs to nodes (..., nodes, k) replaced by what belongs to their children, left and right in turn."""
    right = right.reshape(x.shape)
    pair = stack([x - right, right], axis=-2)
    return pair.reshape((*x.shape[:-2], 2 * x.shape[-2], x.shape[-1])).stated(x.bound)
