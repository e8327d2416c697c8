"""Local, linear rearrangements of ring arrays: the same function is applied to every share component.

Protocol code does not call NumPy on shares; it passes one of these, so that shares may live elsewhere than in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..types import Ring

Local = Callable[[Ring], Ring]
_WORD = np.dtype(np.uint64)
_BYTE = bytes(1)


def zeros(shape: tuple[int, ...]) -> Ring:
    """A fresh array of zeros."""
    return np.zeros(shape, np.uint64)


def empty(shape: tuple[int, ...] | int) -> Ring:
    """A fresh array that the caller fills."""
    return np.empty(shape, np.uint64)


def empty_bytes(count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A fresh byte buffer that the caller fills."""
    return np.empty(count, np.uint8)


def flat(x: Ring) -> Ring:
    """One-dimensional contiguous array: x itself, a view or a copy."""
    return x if x.ndim == 1 and x.flags.c_contiguous else np.ascontiguousarray(x).reshape(-1)


def result_shape(fn: Local, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape that ``fn`` gives for an input of ``shape``, found on a one-byte stand-in (no share is needed)."""
    return tuple(np.shape(fn(_stand_in(shape))))


def _stand_in(shape: tuple[int, ...]) -> Any:
    """An array of one byte, seen as often as the shape says; read only. ``np.broadcast_to`` takes ten times as long."""
    return np.ndarray(shape, np.uint8, _BYTE, 0, (0,) * len(shape))


def reshape(shape: tuple[int, ...]) -> Local:
    return lambda x: x if x.shape == shape else x.reshape(shape)


def broadcast(shape: tuple[int, ...]) -> Local:
    size = count(shape)

    def fn(x: Ring) -> Ring:
        if x.shape == shape:
            return x
        if x.size == size and shape[len(shape) - x.ndim :] == x.shape:  # only axes of length one in front
            return x.reshape(shape)
        return np.broadcast_to(x, shape)

    return fn


def take(key: Any) -> Local:
    """Basic or advanced indexing with public indices."""
    if isinstance(key, np.ndarray) and key.ndim == 1 and key.dtype.kind == "i":
        first = int(key[0]) if key.size else -1
        end = first + key.size
        neighbours = first >= 0 and int(key[-1]) == end - 1 and np.array_equal(key, np.arange(first, end))
        if neighbours:  # need no copy
            return lambda x: x[first:end] if end <= len(x) else np.take(x, key, axis=0)
        return lambda x: np.take(x, key, axis=0)  # much faster than x[key] for rows
    return lambda x: np.asarray(x[key])


def transpose(axes: Sequence[int] | None) -> Local:
    return lambda x: np.transpose(x, axes)


def arranged(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Local:
    """A function of NumPy that only moves, repeats or drops elements or puts zeros, with its other public arguments."""
    return lambda x: np.asarray(function(x, *args, **kwargs))


def padded(count: int) -> Local:
    """``count`` zeros behind every line of the last axis."""
    return lambda x: np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, count)])


def total(axis: int | tuple[int, ...] | None, keepdims: bool) -> Local:
    """Sum modulo 2^64."""
    return lambda x: np.asarray(np.sum(x, axis=axis, keepdims=keepdims, dtype=np.uint64))


def put(key: Any, value: Ring) -> Local:
    """A copy of the array with ``[key]`` replaced."""

    def fn(x: Ring) -> Ring:
        out = x.copy()
        out[key] = value
        return out

    return fn


def concatenate(parts: Sequence[Ring], axis: int) -> Ring:
    return np.concatenate(list(parts), axis=axis)


def stack(parts: Sequence[Ring], axis: int) -> Ring:
    return np.stack(list(parts), axis=axis)


def asarray(x: Any) -> Ring:
    """NumPy turns zero-dimensional results into scalars; shares are always arrays."""
    return x if type(x) is np.ndarray and x.dtype is _WORD else np.asarray(x, np.uint64)


def joined_shape(shapes: Sequence[tuple[int, ...]], axis: int, new_axis: bool) -> tuple[int, ...]:
    """Shape that ``concatenate`` (or ``stack``) gives; raises ValueError if the shapes do not fit."""
    first, many = tuple(shapes[0]), len(shapes)
    if 0 <= axis < len(first) + new_axis and all(tuple(s) == first for s in shapes):
        head, tail = first[:axis], first[axis:]
        return (*head, many, *tail) if new_axis else (*head, many * tail[0], *tail[1:])
    stand_ins = [_stand_in(s) for s in shapes]
    return tuple((np.stack if new_axis else np.concatenate)(stand_ins, axis=axis).shape)


def as_bytes(x: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The bytes of a contiguous array, without a copy."""
    return np.ascontiguousarray(x).reshape(-1).view(np.uint8)


def view(x: Any) -> memoryview:
    """The bytes of a contiguous array as a memoryview."""
    return as_bytes(x).data


def join_bytes(parts: Sequence[Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The bytes of several arrays, one after the other; read only."""
    return np.frombuffer(b"".join([np.ascontiguousarray(p).data for p in parts]), np.uint8)


def split_bytes(buffer: np.ndarray[Any, np.dtype[np.uint8]], outs: Sequence[Any]) -> None:
    """Undo ``join_bytes`` into the given contiguous arrays."""
    data, low = buffer.data, 0
    for out in outs:
        size = out.nbytes
        if size:
            out.data.cast("B")[:] = data[low : low + size]
            low += size


def negative(x: Ring) -> Ring:
    return np.negative(x)


def constant(value: int) -> Any:
    """A ring constant, to be combined with arrays (negative values wrap around)."""
    return np.uint64(value % (1 << 64))


def count(shape: tuple[int, ...]) -> int:
    """Number of elements."""
    n = 1
    for d in shape:
        n *= d
    return n


def from_bytes(data: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A read-only byte array over ``data``."""
    return np.frombuffer(data, np.uint8)


def zeros_like(x: Ring) -> Ring:
    return np.zeros(x.shape, np.uint64)


def copy(x: Ring) -> Ring:
    return np.array(x)


def xor_into(target: Ring, other: Ring) -> None:
    """target ^= other, in place."""
    np.bitwise_xor(target, other, out=target)


def shift_nearest(x: Ring, shift: int) -> Ring:
    """floor(x / 2^shift + 1/2) of signed ring integers."""
    signed: Any = np.asarray(x).view(np.int64)
    return np.asarray((signed + np.int64(1 << (shift - 1))) >> np.int64(shift)).view(np.uint64)


def is_zero(x: Ring, bits: int) -> Ring:
    """1 where the low ``bits`` bits are all zero."""
    return np.asarray((x << np.uint64(64 - bits)) == 0).astype(np.uint64)


def interleaved(first: Ring, second: Ring) -> Ring:
    """Rows first[0], first[1], second[1], first[2], second[2], ...: the second's row 0 has no place."""
    out = np.empty((2 * len(first) - 1, *first.shape[1:]), first.dtype)
    out[0] = first[0]
    out[1::2], out[2::2] = first[1:], second[1:]
    return out


def column(values: Sequence[int], ndim: int) -> Ring:
    """Ring constants along a new first axis, to broadcast against ``ndim`` more."""
    return np.array([v % (1 << 64) for v in values], np.uint64).reshape((-1,) + (1,) * ndim)


def matmul_shape(x: tuple[int, ...], y: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of a product of stacks of matrices with the same leading axes."""
    return (*x[:-1], y[-1])


def per_matrix(product: Callable[..., Ring], operands: Sequence[Ring], shape: tuple[int, ...]) -> Ring:
    """``product`` of stacks of matrices, one matrix of each operand at a time."""
    if len(shape) == 2:
        return product(*operands)
    stacks = [a.reshape(-1, *a.shape[-2:]) for a in operands]
    out = np.empty((count(shape[:-2]), *shape[-2:]), np.uint64)
    for i in range(len(out)):
        product(*(a[i] for a in stacks), out=out[i])
    return out.reshape(shape)


def then(*steps: Local) -> Local:
    """One rearrangement after the other."""

    def fn(x: Ring) -> Ring:
        for step in steps:
            x = step(x)
        return x

    return fn


def swap_last(x: Ring) -> Ring:
    """The last two axes exchanged: every matrix of a stack transposed."""
    return np.swapaxes(x, -1, -2)


def low_bits(x: Ring, bits: int) -> Ring:
    """x modulo 2^bits."""
    return x & np.uint64((1 << bits) - 1)


def arange(n: int) -> Ring:
    """0 to n-1."""
    return np.arange(n, dtype=np.uint64)


def write(target: Ring, key: Any, value: Ring) -> None:
    """target[key] = value, in place."""
    target[key] = value


def identity(n: int, scale: int) -> Ring:
    """The identity matrix at ``scale`` fractional bits."""
    return np.eye(n, dtype=np.uint64) << np.uint64(scale)


def symmetric(x: Ring) -> Ring:
    """Symmetric matrices from their lower triangles."""
    return np.tril(x) + np.swapaxes(np.tril(x, -1), -1, -2)


def cumulative(axis: int) -> Local:
    """Running sums modulo 2^64."""
    return lambda x: np.cumsum(x, axis=axis, dtype=x.dtype)


def differences() -> Local:
    """Each row but the last XOR the next: of bits that are packed in words."""
    return lambda x: x[:-1] ^ x[1:]


def shifted(shift: int) -> Local:
    """Rows moved down by ``shift`` (up if negative), zeros in their place."""

    def fn(x: Ring) -> Ring:
        out = np.zeros_like(x)
        if shift > 0:
            out[shift:] = x[:-shift]
        else:
            out[:shift] = x[-shift:]
        return out

    return fn


def constants(values: Sequence[int]) -> Ring:
    """Ring constants as a one-dimensional array."""
    return np.array([v % (1 << 64) for v in values], np.uint64)


def xor_rows(x: Ring, rows: Sequence[int]) -> Ring:
    """XOR of some rows, as an array of one row."""
    return np.bitwise_xor.reduce(x[list(rows)], axis=0, keepdims=True)


def contract(subscripts: str) -> Local:
    """np.einsum of one operand: diagonals, transpositions and sums."""
    return lambda x: np.asarray(np.einsum(subscripts, x))


def windows(
    kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...], dilation: tuple[int, ...]
) -> Local:
    """(n, c, *space) -> (n, c, *places, *kernel): what a kernel sees at each place, zeros beyond the edges."""
    space = tuple(range(2, 2 + len(kernel)))
    reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    steps = (*(slice(None, None, s) for s in stride), *(slice(None, None, d) for d in dilation))

    def fn(x: Ring) -> Ring:
        padded = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding))) if any(padding) else x
        return np.lib.stride_tricks.sliding_window_view(padded, reach, space)[(slice(None), slice(None), *steps)]

    return fn


def last_axes(axes: Sequence[int]) -> Local:
    """The given axes moved to the end, in order."""
    return lambda x: np.moveaxis(x, tuple(axes), tuple(range(-len(axes), 0)))


def diagonal(offset: int, first: int, second: int) -> Local:
    """Diagonal of two axes."""
    return lambda x: np.diagonal(x, offset, first, second)


def triangle(k: int, upper: bool) -> Local:
    """Zeros below (or above) diagonal ``k`` of the last two axes."""
    return lambda x: np.triu(x, k) if upper else np.tril(x, k)


def ones(shape: tuple[int, ...]) -> Ring:
    """An array of ones."""
    return np.ones(shape, np.uint64)


def filled(shape: tuple[int, ...], value: int) -> Ring:
    """An array of one value."""
    return np.full(shape, value, np.uint64)
