"""Convolution and pooling in PyTorch's words and layout: (batch, channels, *space); the batch axis may be left out.

What a kernel sees at each place is gathered locally; the products are one matrix product, with one exchange.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array import SecureArray, context_of, secure
from ..errors import ShapeError, UsageError
from ..ring import layout
from .arithmetic import multiply
from .linear import matmul
from .select import maximum

Sizes = int | tuple[int, ...]


def conv1d(
    x: Any, weight: Any, bias: Any = None, stride: Sizes = 1, padding: Sizes = 0, dilation: Sizes = 1, groups: int = 1
) -> SecureArray:
    """torch.nn.functional.conv1d: x (n, c, l), weight (o, c / groups, k), bias (o,); zeros beyond the edges.

    Error below 1 ulp. Secret x and weight: 3 rounds, 10.25 bytes per party and element of the result whatever the
    kernel; if one is public: 2 rounds.
    """
    return _convolved("conv1d", x, weight, bias, stride, padding, dilation, groups, 1)


def conv2d(
    x: Any, weight: Any, bias: Any = None, stride: Sizes = 1, padding: Sizes = 0, dilation: Sizes = 1, groups: int = 1
) -> SecureArray:
    """torch.nn.functional.conv2d: x (n, c, h, w), weight (o, c / groups, kh, kw), bias (o,).

    Error and cost as ``conv1d``.
    """
    return _convolved("conv2d", x, weight, bias, stride, padding, dilation, groups, 2)


def avg_pool1d(
    x: SecureArray, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, count_include_pad: bool = True
) -> SecureArray:
    """Mean over windows of (n, c, l), as torch.nn.functional.avg_pool1d.

    Error below 2 ulp and a relative 2^-24; two rounds and 6 bytes per party and element of the result.
    """
    return _averaged("avg_pool1d", x, kernel_size, stride, padding, count_include_pad, 1)


def avg_pool2d(
    x: SecureArray, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, count_include_pad: bool = True
) -> SecureArray:
    """Mean over windows of (n, c, h, w), as torch.nn.functional.avg_pool2d. Error and cost as ``avg_pool1d``."""
    return _averaged("avg_pool2d", x, kernel_size, stride, padding, count_include_pad, 2)


def max_pool1d(
    x: SecureArray, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1
) -> SecureArray:
    """Largest value in windows of (n, c, l), as torch.nn.functional.max_pool1d: exact.

    Rounds: those of a comparison and a selection (about 12) for every doubling of the window. For |x| <= 128 at 18 bits
    about 20 bytes per party and element of x where windows do not overlap.
    """
    return _largest("max_pool1d", x, kernel_size, stride, padding, dilation, 1)


def max_pool2d(
    x: SecureArray, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1
) -> SecureArray:
    """Largest value in windows of (n, c, h, w), as torch.nn.functional.max_pool2d: exact. Cost as ``max_pool1d``."""
    return _largest("max_pool2d", x, kernel_size, stride, padding, dilation, 2)


# -- how ------------------------------------------------------------------------------------------------------------


def _convolved(
    name: str, x: Any, weight: Any, bias: Any, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int, space: int
) -> SecureArray:
    context = context_of(x, weight)
    x, weight = (v.numeric() if isinstance(v, SecureArray) else np.asarray(v) for v in (x, weight))
    batch = x.ndim == space + 2
    x = x if batch else x.reshape((1, *x.shape))
    if x.ndim != space + 2 or weight.ndim != space + 2:
        raise ShapeError(f"{name}: expected x and weight of {space + 2} dimensions, got {x.shape} and {weight.shape}")
    channels, out = x.shape[1], weight.shape[0]
    if groups < 1 or channels % groups or out % groups or weight.shape[1] * groups != channels:
        raise ShapeError(f"{name}: x {x.shape} and weight {weight.shape} do not fit with groups={groups}")
    kernel = weight.shape[2:]
    seen = _windows(name, x.shape, kernel, stride, padding, dilation)
    places = layout.result_shape(seen, x.shape)[2 : 2 + space]
    n, p = x.shape[0], layout.count(places)
    inner = channels // groups * layout.count(kernel)
    # (n, c, *places, *kernel) -> (groups, n * places, c / groups * kernel)
    split = layout.reshape((n, groups, channels // groups, p, layout.count(kernel)))
    rows = layout.then(seen, split, layout.transpose((1, 0, 3, 2, 4)), layout.reshape((groups, n * p, inner)))
    columns = layout.then(layout.reshape((groups, out // groups, inner)), layout.swap_last)
    left, right = _each(x, rows), _each(weight, columns)
    if groups == 1:
        left, right = left[0], right[0]
    product = matmul(left, right).reshape((groups, n, p, out // groups))
    result = product.transpose(1, 0, 3, 2).reshape((n, out, *places))
    if bias is not None:
        result = result + secure(context, bias).reshape((out,) + (1,) * space)
    return result if batch else result[0]


def _averaged(
    name: str, x: SecureArray, kernel_size: Sizes, stride: Sizes | None, padding: Sizes, whole: bool, space: int
) -> SecureArray:
    values, seen, kernel = _pooled(name, x, kernel_size, stride, padding, 1, space)
    over = tuple(range(-space, 0))
    sums = values._rearranged(seen).sum(over)
    if whole:
        share: Any = np.asarray(1.0 / layout.count(kernel))
    else:
        share = 1.0 / np.asarray(layout.then(seen, layout.total(over, False))(layout.ones(values.shape)), np.float64)
    result = multiply(sums, share, scale=max(values.scale, values._context.fraction_bits))
    result = result._stated(min(result.bound, values.bound + 2.0 ** (1 - result.scale)))
    return result if x.ndim == space + 2 else result[0]


def _largest(
    name: str, x: SecureArray, kernel_size: Sizes, stride: Sizes | None, padding: Sizes, dilation: Sizes, space: int
) -> SecureArray:
    values, seen, kernel = _pooled(name, x, kernel_size, stride, padding, dilation, space)
    # Raised by its bound every value is at least 0, so that the zeros beyond the edges never win.
    raised = values + values.bound if any(_sizes(name, "padding", padding, space, 0)) else values
    rows = raised._rearranged(seen)
    places = rows.shape[: 2 + space]
    items = rows.reshape((*places, layout.count(kernel)))
    if raised is not values:
        items = items - values.bound
    items = items._stated(values.bound)
    while items.shape[-1] > 1:
        half = items.shape[-1] // 2
        top = maximum(items[..., :half], items[..., half : 2 * half])
        items = top if items.shape[-1] % 2 == 0 else _appended(top, items[..., -1:])
    result = items.reshape(places)
    return result if x.ndim == space + 2 else result[0]


def _appended(x: SecureArray, last: SecureArray) -> SecureArray:
    share = x._context.protocol.concatenate([x._ring_share(), last._ring_share()], -1)
    return SecureArray(x._context, share, x.scale, max(x.bound, last.bound))


def _pooled(
    name: str, x: SecureArray, kernel_size: Sizes, stride: Sizes | None, padding: Sizes, dilation: Sizes, space: int
) -> tuple[SecureArray, layout.Local, tuple[int, ...]]:
    if x.ndim not in (space + 1, space + 2):
        raise ShapeError(f"{name}: expected x of {space + 1} or {space + 2} dimensions, got shape {x.shape}")
    values = x.numeric() if x.ndim == space + 2 else x.numeric().reshape((1, *x.shape))
    kernel = _sizes(name, "kernel_size", kernel_size, space, 1)
    pads = _sizes(name, "padding", padding, space, 0)
    if any(2 * p > k for p, k in zip(pads, kernel, strict=True)):
        raise UsageError(f"{name}: expected padding of at most half the kernel {kernel}, got {pads}")
    steps: Sizes = kernel if stride is None else stride
    return values, _windows(name, values.shape, kernel, steps, padding, dilation), kernel


def _windows(
    name: str, shape: tuple[int, ...], kernel: tuple[int, ...], stride: Sizes, padding: Sizes, dilation: Sizes
) -> layout.Local:
    space = len(kernel)
    steps = _sizes(name, "stride", stride, space, 1)
    pads = _sizes(name, "padding", padding, space, 0)
    apart = _sizes(name, "dilation", dilation, space, 1)
    for size, k, p, d in zip(shape[2:], kernel, pads, apart, strict=True):
        if k < 1 or size + 2 * p < d * (k - 1) + 1:
            raise ShapeError(
                f"{name}: a kernel {kernel} with dilation {apart} does not fit {shape[2:]} padded by {pads}"
            )
    return layout.windows(kernel, steps, pads, apart)


def _sizes(name: str, what: str, given: Sizes, space: int, least: int) -> tuple[int, ...]:
    sizes = (given,) * space if isinstance(given, int) else tuple(given)
    if len(sizes) != space or any(not isinstance(v, int) or v < least for v in sizes):
        raise UsageError(f"{name}: expected {what} as {space} integer(s) of at least {least}, got {given!r}")
    return sizes


def _each(x: Any, fn: layout.Local) -> Any:
    return x._rearranged(fn) if isinstance(x, SecureArray) else np.asarray(fn(x))
