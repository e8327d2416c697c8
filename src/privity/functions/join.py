"""Joining secret arrays. Local."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..array import SecureArray, context_of, secure
from ..errors import ShapeError


def _joined(arrays: Sequence[Any], axis: int, new_axis: bool) -> SecureArray:
    context = context_of(*arrays)
    items = [secure(context, a) for a in arrays]
    if all(a.kind == "bool" for a in items):
        ints = _joined([a.numeric() for a in items], axis, new_axis)
        return SecureArray(context, context.protocol.a2bits(ints._ring_share()))
    numeric = [a.numeric() for a in items]
    scale = max(a.scale for a in numeric)
    shares = [a.rescaled(scale)._ring_share() for a in numeric]
    proto = context.protocol
    try:
        share = (proto.stack if new_axis else proto.concatenate)(shares, axis)
    except ValueError:
        shapes = ", ".join(str(a.shape) for a in items)
        raise ShapeError(f"cannot join arrays of shapes {shapes} along axis {axis}") from None
    return SecureArray(context, share, scale, max(a.bound for a in numeric))


def concatenate(arrays: Sequence[Any], axis: int = 0) -> SecureArray:
    """Join along an existing axis. Local."""
    return _joined(arrays, axis, new_axis=False)


def stack(arrays: Sequence[Any], axis: int = 0) -> SecureArray:
    """Join along a new axis. Local."""
    return _joined(arrays, axis, new_axis=True)
