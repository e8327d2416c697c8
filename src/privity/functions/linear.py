"""Linear algebra in NumPy's words: products of every shape, norms, covariances, diagonals and triangles."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..array import Axis, SecureArray, context_of, secure
from ..context import Context
from ..errors import ShapeError, UsageError
from ..mpc import approx, linalg
from ..ring import exact, layout
from ..types import RANGE_BITS
from . import order, spread
from .join import concatenate

Operand = SecureArray | npt.NDArray[Any]


def matmul(x: Any, y: Any) -> SecureArray:
    """x @ y as np.matmul: stacks of matrices broadcast; one operand may be public.

    Error below 1 ulp. Secret operands: 3 rounds and 10.25 bytes per party and element of the result; a public one: 2
    rounds.
    """
    x, y = _operands(x, y)
    return _secret(x @ y)


def dot(x: Any, y: Any) -> SecureArray:
    """As np.dot: the sum over the last axis of x and the second to last of y (its last, if it has one only).

    Error and cost as ``matmul``; with more than two dimensions as ``einsum``.
    """
    x, y = _operands(x, y)
    if not x.ndim or not y.ndim:
        return _secret(x * y)
    if y.ndim <= 2:
        return _secret(x @ y)
    first = string.ascii_lowercase[: x.ndim - 1]
    second = string.ascii_uppercase[: y.ndim]
    inner = second[-2]
    return einsum(f"{first}{inner},{second}->{first}{second.replace(inner, '')}", x, y)


def outer(x: Any, y: Any) -> SecureArray:
    """All products of an element of x with one of y, both flattened.

    Error below 1 ulp; three rounds and 10.25 bytes per party and element of the result.
    """
    x, y = _operands(x, y)
    return _secret(x.reshape((-1, 1)) * y.reshape((1, -1)))


def einsum(subscripts: str, *operands: Any) -> SecureArray:
    """np.einsum for one or two operands: sums, diagonals, products, with or without ``->`` and ``...``.

    One operand: local. Two: one rounding (error below 1 ulp), 3 rounds and 10.25 bytes per party and element of the
    result (2 rounds if one is public). Raises UsageError for more operands: chain two at a time.
    """
    context_of(*operands).met(("einsum", subscripts))
    if len(operands) not in (1, 2):
        raise UsageError(f"einsum: expected one or two operands, got {len(operands)}; chain calls with two at a time")
    given = [_plain_or_secret(x) for x in operands]
    labels, out = _labels(subscripts, [x.ndim for x in given])
    sizes = _sizes(subscripts, labels, given)
    if len(given) == 1:
        return _secret(_reduced(given[0], labels[0], out))
    # An axis of size 1 broadcasts against a longer one of the same label: it is simply dropped.
    for i in (0, 1):
        thin = {c for c, n in zip(labels[i], given[i].shape, strict=True) if n == 1 and sizes[c] > 1}
        kept = "".join(c for c in labels[i] if c not in thin)
        given[i], labels[i] = _reduced(given[i], labels[i], "".join(dict.fromkeys(kept))), kept
    return _pair(given, labels, out, sizes)


def _pair(given: list[Operand], labels: list[str], out: str, sizes: Mapping[str, int]) -> SecureArray:
    """Two operands, as one product of stacks of matrices."""
    one, two = (dict.fromkeys(label) for label in labels)
    batch = [c for c in one if c in two and c in out]
    inner = [c for c in one if c in two and c not in out]
    left = [c for c in one if c not in two and c in out]
    right = [c for c in two if c not in one and c in out]
    shapes = [[sizes[c] for c in group] for group in (batch, left, inner, right)]
    b, m, k, n = (layout.count(tuple(shape)) for shape in shapes)
    stack = [b] if batch else []
    x = _apply(_reduced(given[0], "".join(one), "".join(batch + left + inner)), layout.reshape((*stack, m, k)))
    y = _apply(_reduced(given[1], "".join(two), "".join(batch + inner + right)), layout.reshape((*stack, k, n)))
    flat = matmul(x, y).reshape(tuple(shapes[0] + shapes[1] + shapes[3]))
    have = "".join(batch + left + right)
    return _secret(_reduced(flat, have, out))


def _labels(subscripts: str, ndims: list[int]) -> tuple[list[str], str]:
    """One letter per axis of each operand, and those of the result; ``...`` becomes letters of its own."""
    text = subscripts.replace(" ", "")
    inputs, arrow, out = text.partition("->")
    terms = inputs.split(",")
    if len(terms) != len(ndims) or any(
        not set(t.replace("...", "", 1)) <= set(string.ascii_letters) for t in (*terms, out)
    ):
        raise UsageError(f"einsum: cannot read {subscripts!r} for {len(ndims)} operand(s); write it like 'ij,jk->ik'")
    free = [c for c in string.ascii_letters if c not in text]
    hidden = [ndim - len(t.replace("...", "")) if "..." in t else 0 for t, ndim in zip(terms, ndims, strict=True)]
    spare = "".join(free[: max(0, *hidden)])
    labels = [t.replace("...", spare[len(spare) - h :]) for t, h in zip(terms, hidden, strict=True)]
    if any(h < 0 for h in hidden) or any(len(t) != n for t, n in zip(labels, ndims, strict=True)):
        raise ShapeError(f"einsum: {subscripts!r} does not fit operands of {ndims} dimensions")
    if not arrow:
        letters = "".join(terms).replace(".", "")
        return labels, spare + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    result = out.replace("...", spare)
    if len(set(result)) != len(result) or not set(result) <= set("".join(labels)):
        raise UsageError(f"einsum: the result of {subscripts!r} names an axis twice or one that no operand has")
    return labels, result


def _sizes(subscripts: str, labels: list[str], given: list[Operand]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for label, x in zip(labels, given, strict=True):
        for c, n in zip(label, x.shape, strict=True):
            known = sizes.setdefault(c, n)
            if n != known and 1 not in (n, known):
                raise ShapeError(f"einsum: axis {c!r} of {subscripts!r} has {known} and {n} elements")
            sizes[c] = known if n == 1 else n
    return sizes


def _reduced(x: Operand, labels: str, out: str) -> Operand:
    """Diagonals, sums over what ``out`` lacks, and its order of axes. Local."""
    if labels == out:
        return x
    fn = layout.contract(f"{labels}->{out}")
    if not isinstance(x, SecureArray):
        return np.asarray(fn(x))
    share = x._ring_share().map(fn)
    summed = {c: n for c, n in zip(labels, x.shape, strict=True) if c not in out}
    bound = x.bound * max(1, layout.count(tuple(summed.values())))
    x._context.fits(bound, x.scale, "this sum")
    return SecureArray(x._context, share, x.scale, bound)


def _apply(x: Operand, fn: layout.Local) -> Operand:
    return x._rearranged(fn) if isinstance(x, SecureArray) else np.asarray(fn(x))


def _plain_or_secret(x: Any) -> Operand:
    return x.numeric() if isinstance(x, SecureArray) else np.asarray(x)


def _secret(x: Operand) -> SecureArray:
    assert isinstance(x, SecureArray)
    return x


def _operands(x: Any, y: Any) -> tuple[Any, Any]:
    context_of(x, y)
    return _plain_or_secret(x), _plain_or_secret(y)


# -- norms and covariance -------------------------------------------------------------------------------------------


def norm(x: SecureArray, ord: float | str | None = None, axis: Axis = None, keepdims: bool = False) -> SecureArray:
    """Norms of vectors (one axis, or all without ``ord``) and of matrices (two axes), as np.linalg.norm.

    None, 2 and 'fro': the root of the sum of squares; error at most 2 ulp plus a relative 2^-26, for every value down
    to 0; about 40 rounds and 200 bytes per party and result. The others are exact. Vectors: 1 the sum of |x|, inf and
    -inf the largest and smallest |x|, 0 the number of elements that are not 0. Matrices: 1 and -1 the largest and
    smallest sum of |x| in a column, inf and -inf in a row. They cost one comparison and one product per element, and
    those of ``max``. Raises UsageError for other orders: they need singular values, or powers of |x|.
    """
    x = x.numeric()
    axes = _norm_axes(x, ord, axis)
    if ord is None or (ord == 2 and len(axes) == 1) or (ord == "fro" and len(axes) == 2):
        return _length(x, axes, keepdims)
    if ord == 0 and len(axes) == 1:
        return (x != 0).sum(axes[0], keepdims)
    if ord not in (1, -1, math.inf, -math.inf) or (ord == -1 and len(axes) == 1):
        raise UsageError(
            f"norm: expected ord=None, 2, 1, 0, inf or -inf for vectors, None, 'fro', 1, -1, inf or -inf for matrices; "
            f"got {ord!r} over {len(axes)} axes; for the largest singular value of a take the root of "
            "top_eigenvectors(a.T @ a)"
        )
    sizes = x.abs()
    summed, across = (axes if abs(float(ord)) == 1 else axes[::-1]) if len(axes) == 2 else (axes[0], axes[0])
    if len(axes) == 2 or ord == 1:
        sizes = sizes.sum(summed, keepdims=True)
    if len(axes) == 2 or ord != 1:
        sizes = (order.max_ if float(ord) > 0 else order.min_)(sizes, across, keepdims=True)
    return sizes if keepdims else sizes.reshape(tuple(n for i, n in enumerate(x.shape) if i not in axes))


def _norm_axes(x: SecureArray, ord: float | str | None, axis: Axis) -> tuple[int, ...]:
    """The axes that a norm takes together: one of vectors, two of matrices, any number without ``ord``."""
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    axes = tuple(a + x.ndim if a < 0 else a for a in axes)
    bad = len(set(axes)) != len(axes) or any(not 0 <= a < x.ndim for a in axes)
    if bad or ((ord is not None or axis is not None) and len(axes) not in (1, 2)):
        raise ShapeError(f"norm: expected one axis or two different ones of {x.ndim}, got axis={axis} with ord={ord}")
    return axes


def _length(x: SecureArray, axes: tuple[int, ...], keepdims: bool) -> SecureArray:
    """The root of the sum of squares over ``axes``."""
    context, proto = x._context, x._context.protocol
    shape = x[(slice(None),) * x.ndim].sum(axes, keepdims).shape
    last = layout.then(layout.last_axes(axes), layout.reshape((layout.count(shape), -1 if x.size else 0)))
    rows = x._ring_share().map(last)
    total = x.bound * x.bound * max(1, rows.shape[1])
    scale = min(2 * x.scale, RANGE_BITS - 3 - exact.log2_ceil(max(total, 1.0)))
    context.fits(total, 2 * x.scale, "the sum of squares in a norm")
    squares = proto.dot(rows, rows, 2 * x.scale - scale)
    result = min(context.fraction_bits, 31 - math.ceil(exact.log2(max(total, 1.0)) / 2))
    share = linalg.root(proto, squares, approx.bits_for(total, scale), scale, result)
    return SecureArray(context, share.map(layout.reshape(shape)), result, math.sqrt(total) + 2.0 ** (2 - result))


def cov(
    x: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None
) -> SecureArray:
    """Covariance matrix of the rows (columns if not ``rowvar``), as np.cov, whatever their bounds and offsets.

    ``y``: further variables of the same observations, secret or public.

    Error: 2^-17 of the product of the two standard deviations, two units of the result, and what deviations below 2^6
    units of x lose. Fractional bits of the result as ``spread.variance``. Rounds: about 75. Bytes per party: 10 or 20
    per element of x, 2 kB a variable and 60 per element of the result.
    """
    rows = _variables("cov", x, y, rowvar)
    less = (0 if bias else 1) if ddof is None else ddof
    if rows.shape[0] <= less:
        raise ShapeError(f"cov with ddof={less} needs more than {less} observations, got {rows.shape[0]}")
    given = spread.centred(rows)
    found = spread.spread_of(given, less)
    bound = exact.square(found.most())
    scale = spread.result_scale(bound, 2 * rows.scale, rows.scale, rows._context.fraction_bits)
    matrix = spread.covariances(given, found, scale)
    return matrix if matrix.shape[0] > 1 else matrix.reshape(())


def corrcoef(x: Any, y: Any = None, rowvar: bool = True) -> SecureArray:
    """Correlation matrix of the rows (columns if not ``rowvar``), as np.corrcoef; 0 where a variable is constant.

    ``y``: further variables of the same observations, secret or public. Whatever bounds and offsets: error 2^-16,
    and what deviations below 2^6 units of x lose. RangeViolated later where a variable is not constant, and varies by
    less than 4 units in the last place. Rounds: about 65. Bytes per party: 10 or 20 per element of x, 2 kB a variable
    and 10 per element of the result.
    """
    rows = _variables("corrcoef", x, y, rowvar)
    given = spread.centred(rows)
    found = spread.spread_of(given)
    found.refuse("corrcoef")
    matrix = spread.correlations(given, found, rows._context.fraction_bits)
    return matrix if matrix.shape[0] > 1 else matrix.reshape(())


def _variables(what: str, x: Any, y: Any, rowvar: Any) -> SecureArray:
    """Observations by variables, those of x and then those of y, with fractional bits."""
    if not isinstance(rowvar, bool | np.bool_ | int):
        raise UsageError(f"{what}: expected rowvar to be True or False, got {type(rowvar).__name__}")
    context = context_of(x) if y is None else context_of(x, y)
    parts = [_observed(what, context, part, bool(rowvar)) for part in (x, y) if part is not None]
    if len({part.shape[0] for part in parts}) > 1:
        raise ShapeError(f"{what}: expected as many observations of y as of x, got {[p.shape[0] for p in parts]}")
    rows = parts[0] if len(parts) == 1 else concatenate(parts, axis=1)
    if not rows.shape[0]:
        raise ShapeError(f"expected at least one observation, got shape {x.shape}")
    return rows


def _observed(what: str, context: Context, x: Any, rowvar: bool) -> SecureArray:
    if isinstance(x, nullable.NullableArray):
        x.refuse(what)
    given = secure(context, x).numeric()
    if given.ndim not in (1, 2):
        raise ShapeError(f"{what}: expected variables by observations in one or two dimensions, got {given.shape}")
    given = given if given.scale else given.rescaled(context.fraction_bits)
    return given.reshape((-1, 1)) if given.ndim == 1 else given.T if rowvar else given


# -- diagonals and triangles ----------------------------------------------------------------------------------------


def diagonal(x: SecureArray, offset: int = 0, axis1: int = 0, axis2: int = 1) -> SecureArray:
    """Diagonal of two axes of x, as the last axis of the result. Local."""
    _need_matrix("diagonal", x)
    x._context.met(("diagonal", offset, axis1, axis2))
    return x._rearranged(layout.diagonal(offset, axis1, axis2))


def trace(x: SecureArray, offset: int = 0, axis1: int = 0, axis2: int = 1) -> SecureArray:
    """Sum along the diagonal of two axes. Local."""
    return diagonal(x, offset, axis1, axis2).sum(-1)


def triu(x: SecureArray, k: int = 0) -> SecureArray:
    """x with zeros below diagonal ``k`` of the last two axes. Local."""
    _need_matrix("triu", x)
    x._context.met(("triu", k))
    return x._rearranged(layout.triangle(k, upper=True))


def tril(x: SecureArray, k: int = 0) -> SecureArray:
    """x with zeros above diagonal ``k`` of the last two axes. Local."""
    _need_matrix("tril", x)
    x._context.met(("tril", k))
    return x._rearranged(layout.triangle(k, upper=False))


def _need_matrix(name: str, x: SecureArray) -> None:
    if x.ndim < 2:
        raise ShapeError(f"{name}: expected at least two dimensions, got shape {x.shape}")


from . import nullable  # noqa: E402  (it builds on the functions above)
