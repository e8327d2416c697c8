"""Columns that are the same in every row: found exactly, so that no column that varies a little is taken for one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..array import SecureArray
from ..mpc.protocol import Protocol
from ..mpc.shares import Share
from ..ring import layout

_COMBINATIONS = 3
_SEED = 64  # a public choice: the same multipliers at all parties


def varying(
    x: SecureArray, valid: SecureArray | None, beside_ones: bool, among: SecureArray | None = None
) -> SecureArray:
    """1 for each column of x (n, d) that varies over its real rows, 0 for the others, as secret integers (d,).

    ``valid`` (n,): flags of the real rows, None if all are; x is 0 in the others. ``beside_ones``: whether a
    constant other than 0 counts, as it does beside an intercept; otherwise only a column of zeros does. ``among`` (n,),
    instead of ``valid``: flags of the rows that are looked at, those of a weight above 0; x may be anything in others.

    With random public multipliers r the sum of r x is c times the sum of r where the column is c everywhere, modulo
    2^64. Where it is not, the difference of both is 0 with a chance of at most 2^(v - 64), if 2^v divides the rows
    times each cell's distance from the mean as integers; three sums are compared, so it is 2^-60 for columns of bound
    2^13 in a million rows. About 12 rounds; 100 bytes per party and column, and nothing for a row.
    """
    proto, n = x._context.protocol, x.shape[0]
    multipliers = np.random.default_rng(_SEED).integers(0, 2**64, (n, _COMBINATIONS), dtype=np.uint64) | np.uint64(1)
    columns = x._ring_share().map(layout.transpose(None))
    if among is not None:
        found = _differences(proto, columns, multipliers, among, beside_ones)
        return SecureArray(x._context, _apart(proto, found), 0, 1.0)
    sums = proto.matmul_public(columns, multipliers, left=False)
    if beside_ones:
        total = columns.map(layout.total(1, True)).map(layout.broadcast(sums.shape))
        if valid is None:
            count, each = layout.constant(n), layout.asarray(multipliers.sum(0, dtype=np.uint64).reshape((1, -1)))
            sums = proto.sub(proto.mul_public(sums, count), proto.mul_public(total, each))
        else:
            flags = valid._ring_share().map(layout.reshape((1, n)))
            each_share = proto.matmul_public(flags, multipliers, left=False).map(layout.broadcast(sums.shape))
            count_share = flags.map(layout.total(1, True)).map(layout.broadcast(sums.shape))
            both = proto.mul(proto.stack([sums, total], 0), proto.stack([count_share, each_share], 0))
            sums = proto.sub(both.map(layout.take(0)), both.map(layout.take(1)))
    return SecureArray(x._context, _apart(proto, sums), 0, 1.0)


def _differences(
    proto: Protocol, columns: Share, multipliers: npt.NDArray[np.uint64], among: SecureArray, beside_ones: bool
) -> Share:
    """What ``_apart`` tests (d, combinations), modulo 2^64: of the rows with a flag in ``among``."""
    n = columns.shape[1]
    flags = among._ring_share().map(layout.reshape((n, 1)))
    right = proto.mul_public(flags.map(layout.broadcast((n, _COMBINATIONS))), layout.asarray(multipliers))
    if not beside_ones:
        return proto.matmul(columns, right, 0)
    right = proto.concatenate([right, flags], 1)
    sums = proto.matmul(columns, right, 0)
    over = right.map(layout.total(0, True)).map(layout.broadcast(sums.shape))
    each = layout.take((slice(None), slice(0, _COMBINATIONS)))
    last = layout.take((slice(None), slice(_COMBINATIONS, None)))
    wide = layout.broadcast((columns.shape[0], _COMBINATIONS))
    left = proto.stack([sums.map(each), sums.map(layout.then(last, wide))], 0)
    both = proto.mul(left, proto.stack([over.map(layout.then(last, wide)), over.map(each)], 0))
    return proto.sub(both.map(layout.take(0)), both.map(layout.take(1)))


def _apart(proto: Protocol, sums: Share) -> Share:
    """1 where one of the combinations (d, combinations) is not 0."""
    zero = proto.is_zero(sums)
    same = proto.map_bits(zero, layout.take((slice(None), 0)))
    for i in range(1, _COMBINATIONS):
        same = proto.and_(same, proto.map_bits(zero, layout.take((slice(None), i))))
    return proto.b2a(proto.invert(same))
