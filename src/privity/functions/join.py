"""Joining secret arrays. Local."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..array import SecureArray, context_of, secure
from ..errors import ShapeError


def _joined(arrays: Sequence[Any], axis: int, new_axis: bool) -> SecureArray:
    context = context_of(*arrays)
    items = [secure(context, a) for a in arrays]
    try:
        if all(a.kind == "bool" for a in items):
            bits = [a._bit_share() for a in items]
            return SecureArray(context, context.protocol.join_bits(bits, axis, new_axis))
        return _joined_numbers(items, axis, new_axis)
    except ValueError:
        shapes = ", ".join(str(a.shape) for a in items)
        raise ShapeError(f"cannot join arrays of shapes {shapes} along axis {axis}") from None


def _joined_numbers(items: Sequence[SecureArray], axis: int, new_axis: bool) -> SecureArray:
    context = items[0]._context
    numeric = [a.numeric() for a in items]
    scale = max(a.scale for a in numeric)
    shares = [a.rescaled(scale)._ring_share() for a in numeric]
    proto = context.protocol
    share = (proto.stack if new_axis else proto.concatenate)(shares, axis)
    return SecureArray(context, share, scale, max(a.bound for a in numeric), all(a._flags for a in numeric))


def concatenate(arrays: Sequence[Any], axis: int = 0) -> SecureArray:
    """Join along an existing axis. Local."""
    return _joined(arrays, axis, new_axis=False)


def stack(arrays: Sequence[Any], axis: int = 0) -> SecureArray:
    """Join along a new axis. Local."""
    return _joined(arrays, axis, new_axis=True)
