"""Linear algebra on shares, written once over Protocol: division by a square root, and the Cholesky factor.

Ring integers in and out, with explicit scales; bounds and guards are the callers' (functions/decompose.py).
"""

from __future__ import annotations

from ..ring import exact, layout
from .approx import leading_bit
from .protocol import Protocol
from .shares import Share

ROOT_BITS = 29  # fractional bits of 1 / sqrt(b) while it is computed
ROOM = 31  # fractional bits of the power of two that is half of 1 / sqrt(pivot)
_SERIES = (
    # Minimax fit of 1 / sqrt(3/4 + t) for |t| <= 1/4, relative error 1.2e-5.
    1.15471384,
    -0.769856,
    0.7660385,
    -0.8481599,
    1.15237721,
    -1.42117926,
)


def over_root(proto: Protocol, pivot: Share, rows: Share, bits: int, scale: int, least: int = 0) -> Share:
    """rows / sqrt(pivot) at the scale of ``rows``: pivot (b, 1) at ``scale`` bits, 0 <= pivot < 2^bits, rows (b, r).

    0 where the pivot is below 2^least, or 0. Relative error at most 2^-28 + sqrt(pivot) 2^-ROOM (pivot as a real), plus
    2 ulp. bits <= 60 and |rows / sqrt(pivot)| < 2^(61 - ROOM) as a ring integer. Rounds: at most
    25 + 2 ceil(log2 bits). Quintic start on the leading-bit normalised pivot, then one Newton step
    y <- y (3 - b y^2) / 2 folded into the product with the rows.
    """
    count, width = rows.shape
    hot = leading_bit(proto, pivot, bits)
    # 2^lift * pivot = b in [1/2, 1) and 1 / sqrt(pivot) = half / sqrt(b), both powers read off the leading bit.
    lift = _picked(proto, hot, [1 << (ROOM + ROOT_BITS - 1 - j) if j >= least else 0 for j in range(bits)])
    roots = [round(exact.exp2((scale - 1 - j) / 2 + ROOM)) if j >= least else 0 for j in range(bits)]
    half = _picked(proto, hot, roots)
    weights = proto.concatenate([lift, half.map(layout.broadcast((count, width)))], 1)
    scaled = proto.mul(proto.concatenate([pivot, rows], 1), weights, ROOM)
    y = _root_start(proto, scaled.map(layout.take((slice(None), slice(0, 1)))))
    wide = y.map(layout.broadcast(scaled.shape))
    by = proto.mul(scaled, wide, ROOT_BITS)
    byy = proto.mul(by.map(layout.take((slice(None), slice(0, 1)))), y, ROOT_BITS)
    newton = proto.add_public(proto.neg(byy), layout.constant(3 << ROOT_BITS)).map(layout.broadcast((count, width)))
    return proto.mul(by.map(layout.take((slice(None), slice(1, None)))), newton, ROOT_BITS + 1)


def root(proto: Protocol, x: Share, bits: int, scale: int, out_scale: int) -> Share:
    """sqrt(x) at ``out_scale`` for 0 <= x < 2^bits at ``scale`` bits. Relative error at most 2^-27, plus 2 ulp.

    bits <= 60 and sqrt(x) 2^out_scale < 2^31. Rounds: as over_root and 3. x (b,).
    """
    hot = leading_bit(proto, x, bits)
    lift = _picked(proto, hot, [1 << (ROOM + ROOT_BITS - 1 - j) for j in range(bits)])
    b = proto.mul(x, lift, ROOM)
    y = _root_start(proto, b)
    by = proto.mul(b, y, ROOT_BITS)
    newton = proto.add_public(proto.neg(proto.mul(by, y, ROOT_BITS)), layout.constant(3 << ROOT_BITS))
    normal = proto.mul(by, newton, ROOT_BITS + 1)
    back = _picked(proto, hot, [round(exact.exp2((j + 1 - scale) / 2 + out_scale)) for j in range(bits)])
    return proto.mul(normal, back, ROOT_BITS)


def _picked(proto: Protocol, hot: Share, values: list[int]) -> Share:
    """The value at the position that is hot; local."""
    return proto.mul_public(hot, layout.column(values, len(hot.shape) - 1)).map(layout.total(0, False))


def _root_start(proto: Protocol, b: Share) -> Share:
    """1 / sqrt(b) for b in [1/2, 1) at ROOT_BITS, relative error below 2^-16; nine rounds.

    Each product is truncated after the next terms of the series were added at its full scale.
    """
    t = proto.add_public(b, layout.constant(-(3 << (ROOT_BITS - 2))))
    few, more = 24, 7  # fractional bits of t^2, and of the highest coefficient
    squared = proto.mul(t, t, 2 * ROOT_BITS - few)
    inner = _linear(proto, t, _SERIES[4], _SERIES[5], more)
    for low, high, digits in ((_SERIES[2], _SERIES[3], few + more), (_SERIES[0], _SERIES[1], few)):
        product = proto.add(proto.mul(squared, inner), _linear(proto, t, low, high, digits))
        inner = proto.truncate(product, digits)
    return inner


def _linear(proto: Protocol, t: Share, constant: float, slope: float, digits: int) -> Share:
    """constant + slope t at ROOT_BITS + digits bits; local."""
    scaled = proto.mul_public(t, layout.constant(round(slope * 2.0**digits)))
    return proto.add_public(scaled, layout.constant(round(constant * 2.0 ** (ROOT_BITS + digits))))


def cholesky(proto: Protocol, stack: Share, bits: int, scale: int, grow: bool) -> tuple[Share, Share]:
    """Rows times L^-T, column by column, for stacks of symmetric positive definite matrices A = L L^T.

    ``stack`` (b, m, n), m >= n: the first n rows are A (then the rows of the result are L), at ``scale`` bits; every
    other row may have a scale of its own and keeps it. ``grow``: the last n rows are a multiple of the identity, so
    that row i of them counts from column i on only. Returns (result (b, m, n), pivots (b, n)). Pivots below 2^bits.

    Rounds per column: those of ``over_root`` and 3; the forward substitution costs no more. Left-looking, so that an
    entry is rounded once and not once per column.
    """
    count, rows, n = stack.shape
    done = proto.public(layout.zeros(stack.shape))
    pivots = []
    for j in range(n):
        high = rows - n + j + 1 if grow else rows
        column = stack.map(layout.take((slice(None), slice(j, high), j)))
        if j:
            left = done.map(layout.take((slice(None), slice(j, high), slice(0, j))))
            mine = done.map(layout.take((slice(None), j, slice(0, j)))).map(layout.reshape((count, j, 1)))
            column = proto.sub(column, proto.matmul(left, mine, scale).map(layout.reshape(column.shape)))
        pivot = column.map(layout.take((slice(None), slice(0, 1))))
        pivots.append(pivot)
        _write(done, (slice(None), slice(j, high), j), over_root(proto, pivot, column, bits, scale))
    return done, proto.concatenate(pivots, 1)


def _write(target: Share, key: tuple[slice | int, ...], value: Share) -> None:
    """target[key] = value in place, for a target that nobody else holds."""
    for part, new in zip(target.parts, value.parts, strict=True):
        layout.write(part, key, new)
