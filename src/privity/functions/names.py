"""NumPy's names and what they do on secret arrays: the one table behind NumPy's protocol (``dispatch.py``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import functions as library
from ..array import SecureArray
from ..errors import UsageError
from ..ring import layout
from . import convert, derived, products, select, whole
from .join import concatenate, stack


@dataclass(frozen=True, slots=True)
class Entry:
    """What NumPy's name does on secret arrays. ``note``: what is different, '' if nothing is."""

    call: Callable[..., Any]
    note: str = ""

    @property
    def partial(self) -> bool:
        """Whether a part of what NumPy's function does is missing."""
        return self.note.startswith(("only ", "without "))


def _operator(left: str, right: str) -> Callable[[Any, Any], Any]:
    """A binary operator of SecureArray; Python's own would ask NumPy first where the left operand is its array."""

    def fn(a: Any, b: Any) -> Any:
        secret, other, name = (a, b, left) if isinstance(a, SecureArray) else (b, a, right)
        result = getattr(secret, name)(other)
        if result is NotImplemented:
            raise UsageError(f"{name.strip('_')} is not defined for {type(a).__name__} and {type(b).__name__}")
        return result

    return fn


def _logical(name: str) -> Callable[[Any, Any], Any]:
    fn = _operator(f"__{name}__", f"__r{name}__")
    return lambda a, b: fn(derived.truth(a), derived.truth(b))


def _method(name: str) -> Callable[..., Any]:
    return lambda a, *args, **kwargs: getattr(a, name)(*args, **kwargs)


def _arranged(function: Callable[..., Any], first: int = 0, skip: tuple[str, ...] = ()) -> Callable[..., Any]:
    """A function that only moves, repeats or drops elements, or puts zeros; its other arguments are public."""

    def fn(*args: Any, **kwargs: Any) -> Any:
        rest = [*args[:first], *args[first + 1 :], *kwargs.values()]
        if len(args) <= first or not isinstance(args[first], SecureArray) or any(_secret_in(v) for v in rest):
            raise UsageError(
                f"np.{function.__name__}: expected a secret array first and public positions, axes and shapes; to pick "
                "by a secret index or mask use privity.where"
            )
        before, after = args[:first], args[first + 1 :]
        kept = {k: v for k, v in kwargs.items() if k not in skip}
        args[first]._context.met((*before, *after, *kept.values()))
        return args[first]._rearranged(layout.arranged(lambda p: function(*before, p, *after, **kept)))

    return fn


def _secret_in(value: Any) -> bool:
    return isinstance(value, SecureArray) or (isinstance(value, list | tuple) and any(map(_secret_in, value)))


def _pad(array: SecureArray, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> SecureArray:
    if mode not in ("constant", "edge", "reflect", "symmetric", "wrap"):
        raise UsageError(f'np.pad: expected mode "constant", "edge", "reflect", "symmetric" or "wrap", got {mode!r}')
    array._context.met((mode, str(pad_width)))
    if mode != "constant":
        return array._rearranged(layout.arranged(np.pad, pad_width, mode=mode))
    padded = array._rearranged(layout.arranged(np.pad, pad_width))
    if not np.any(constant_values):
        return padded
    edge = np.pad(np.zeros(array.shape), pad_width, constant_values=constant_values)
    return padded + (edge if array.kind == "fixed" else edge.astype(np.int64))


def _public(value: Callable[[tuple[int, ...]], Any]) -> Callable[..., Any]:
    """What the shape alone tells, as a plain NumPy array or number."""
    return lambda a: value(a.shape)


def _without_axis_out(fn: Callable[..., Any]) -> Callable[..., Any]:
    return lambda a, axis=None, keepdims=False: fn(a, axis, keepdims=keepdims)


def _variance(a: SecureArray, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> SecureArray:
    return a.var(axis, keepdims, ddof)


def _sum(a: SecureArray, axis: Any = None, keepdims: bool = False) -> SecureArray:
    return a.sum(axis, keepdims)


def _mean(a: SecureArray, axis: Any = None, keepdims: bool = False) -> SecureArray:
    return a.mean(axis, keepdims)


def _heaviside(x1: Any, x2: Any) -> SecureArray:
    at_zero: SecureArray = (x1 == 0) * x2
    return at_zero + (x1 > 0)  # type: ignore[no-any-return]


def _operators() -> dict[str, Entry]:
    def op(name: str, mirrored: str = "", note: str = "") -> Entry:
        return Entry(_operator(f"__{name}__", f"__{mirrored or 'r' + name}__"), note)

    integers = "gives secret integers"
    divisors = "divisors are whole or multiples of 2^-18; 0 is refused"
    shifts = "only secret integers and a public number of bits"
    bits = "only booleans"
    return {
        "add": op("add", note="on two booleans: 0, 1 or 2"),
        "subtract": op("sub"),
        "multiply": op("mul"),
        "divide": op("truediv", note="0 where a secret divisor is 0; division by a public 0 raises"),
        "matmul": op("matmul"),
        "floor_divide": op("floordiv", note=f"{integers}; {divisors}"),
        "remainder": op("mod", note=divisors),
        "divmod": op("divmod", note=f"the quotient {integers}; {divisors}"),
        "fmod": Entry(whole.fmod, divisors),
        "left_shift": op("lshift", note=shifts),
        "right_shift": op("rshift", note=shifts),
        "less": op("lt", "gt"),
        "less_equal": op("le", "ge"),
        "greater": op("gt", "lt"),
        "greater_equal": op("ge", "le"),
        "equal": op("eq", "eq"),
        "not_equal": op("ne", "ne"),
        "bitwise_and": op("and", note=bits),
        "bitwise_or": op("or", note=bits),
        "bitwise_xor": op("xor", note=bits),
        "invert": Entry(_method("__invert__"), bits),
        "logical_and": Entry(_logical("and")),
        "logical_or": Entry(_logical("or")),
        "logical_xor": Entry(_logical("xor")),
        "logical_not": Entry(lambda x: ~derived.truth(x)),
        "negative": Entry(_method("__neg__")),
        "positive": Entry(lambda x: x),
        "absolute": Entry(select.absolute),
        "fabs": Entry(select.absolute),
        "square": Entry(lambda x: x * x),
        "maximum": Entry(select.maximum),
        "minimum": Entry(select.minimum),
        "fmax": Entry(select.maximum),
        "fmin": Entry(select.minimum),
        "heaviside": Entry(_heaviside),
        "signbit": Entry(lambda x: x < 0, "False for zero"),
        "floor": Entry(convert.floor, integers),
        "ceil": Entry(convert.ceil, integers),
        "trunc": Entry(convert.trunc, integers),
        "fix": Entry(convert.trunc, integers),
        "rint": Entry(convert.rint, integers + "; halves go up"),
        "round": Entry(lambda a, decimals=0: convert.rounded(a, decimals), "halves go up"),
        "conjugate": Entry(lambda x: x),
        "real": Entry(lambda val: val),
        "imag": Entry(lambda val: derived.like(val.numeric(), 0)),
        "deg2rad": Entry(lambda x: x * (np.pi / 180)),
        "rad2deg": Entry(lambda x: x * (180 / np.pi)),
        "isfinite": Entry(_public(lambda shape: np.ones(shape, bool)), "public: secrets are always finite"),
        "isinf": Entry(_public(lambda shape: np.zeros(shape, bool)), "public: always False"),
        "isnan": Entry(_public(lambda shape: np.zeros(shape, bool)), "public: always False"),
        "isposinf": Entry(_public(lambda shape: np.zeros(shape, bool)), "public: always False"),
        "isneginf": Entry(_public(lambda shape: np.zeros(shape, bool)), "public: always False"),
        "isreal": Entry(_public(lambda shape: np.ones(shape, bool)), "public: always True"),
        "iscomplex": Entry(_public(lambda shape: np.zeros(shape, bool)), "public: always False"),
        "isrealobj": Entry(_public(lambda shape: True)),
        "iscomplexobj": Entry(_public(lambda shape: False)),
    }


def _reductions() -> dict[str, Entry]:
    return {
        "sum": Entry(_sum),
        "mean": Entry(_mean),
        "var": Entry(_variance),
        "prod": Entry(derived.prod, "only one axis or all"),
        "average": Entry(derived.average, "without returned="),
        "any": Entry(_without_axis_out(derived.any_)),
        "all": Entry(_without_axis_out(derived.all_)),
        "count_nonzero": Entry(derived.count_nonzero),
        "diff": Entry(derived.diff, "without prepend=, append="),
        "trapezoid": Entry(derived.trapezoid, "only a public x"),
        "isclose": Entry(derived.isclose, "a tolerance below one unit in the last place counts as one unit"),
        "allclose": Entry(derived.allclose, "gives a secret boolean"),
        "array_equal": Entry(derived.array_equal, "gives a secret boolean"),
        "clip": Entry(derived.clip),
        "where": Entry(derived.where, "only with three arguments"),
        "select": Entry(derived.choose_first),
        "nan_to_num": Entry(lambda x: x),
        "kron": Entry(products.kron),
        "cross": Entry(products.cross, "only 3-vectors along the last axis"),
        "convolve": Entry(products.convolve),
        "correlate": Entry(products.correlate),
        "polyval": Entry(products.polyval),
        "histogram": Entry(lambda a, bins: (library.histogram(a, bins), np.asarray(bins)), "only public edges as bins"),
        "percentile": Entry(lambda a, q, axis=None: library.quantile(a, np.asarray(q) / 100, axis), "only linear"),
    }


def _shapes() -> dict[str, Entry]:
    arranged = (
        "broadcast_to delete diag diagflat diagonal expand_dims flip fliplr flipud moveaxis ravel "
        "repeat resize roll rollaxis rot90 squeeze swapaxes take take_along_axis tile transpose tril triu"
    )
    table = {name: Entry(_arranged(getattr(np, name))) for name in arranged.split()}
    table |= {name: Entry(e.call, "only public positions") for name, e in table.items() if name.startswith("take")}
    return table | {
        "reshape": Entry(_arranged(np.reshape, skip=("copy",))),
        "compress": Entry(_arranged(np.compress, first=1), "only a public condition"),
        "extract": Entry(_arranged(np.extract, first=1), "only a public condition"),
        "pad": Entry(_pad, "only modes constant, edge, reflect, symmetric, wrap"),
        "concatenate": Entry(lambda arrays, axis=0: _concatenated(arrays, axis)),
        "stack": Entry(lambda arrays, axis=0: stack(list(arrays), axis)),
        "vstack": Entry(derived.joined(2, 0)),
        "hstack": Entry(derived.joined(1, 1)),
        "dstack": Entry(derived.joined(3, 2)),
        "column_stack": Entry(derived.joined(2, 1, columns=True)),
        "append": Entry(derived.append),
        "block": Entry(derived.block),
        "array_split": Entry(derived.pieces),
        "split": Entry(derived.equal_pieces),
        "hsplit": Entry(derived.pieces_along(1)),
        "vsplit": Entry(derived.pieces_along(0)),
        "dsplit": Entry(derived.pieces_along(2)),
        "unstack": Entry(derived.unstack),
        "atleast_1d": Entry(derived.at_least(1)),
        "atleast_2d": Entry(derived.at_least(2)),
        "atleast_3d": Entry(derived.at_least(3)),
        "broadcast_arrays": Entry(derived.broadcast_arrays),
        "copy": Entry(lambda a: a, "secret arrays never change, so the array itself"),
        "astype": Entry(lambda x, dtype: convert.astype(x, dtype), "float, int or bool"),
        "zeros_like": Entry(lambda a, shape=None: derived.like(a, 0, shape), "without dtype="),
        "ones_like": Entry(lambda a, shape=None: derived.like(a, 1, shape), "without dtype="),
        "empty_like": Entry(lambda prototype, shape=None: derived.like(prototype, 0, shape), "zeros"),
        "full_like": Entry(lambda a, fill_value, shape=None: derived.like(a, fill_value, shape), "without dtype="),
        "shape": Entry(lambda a: a.shape, "public"),
        "ndim": Entry(lambda a: a.ndim, "public"),
        "size": Entry(lambda a, axis=None: a.size if axis is None else a.shape[axis], "public"),
        "array_repr": Entry(lambda arr: repr(arr), "shape and kind, never values"),
        "array_str": Entry(lambda a: str(a), "shape and kind, never values"),
        "array2string": Entry(lambda a: str(a), "shape and kind, never values"),
        "fft.fftshift": Entry(_arranged(np.fft.fftshift)),
        "fft.ifftshift": Entry(_arranged(np.fft.ifftshift)),
        "linalg.diagonal": Entry(lambda x, *, offset=0: library.diagonal(x, offset, -2, -1)),
        "matrix_transpose": Entry(derived.swapped),
        "linalg.matrix_transpose": Entry(derived.swapped),
        "linalg.cross": Entry(lambda x1, x2: products.cross(x1, x2), "only 3-vectors along the last axis"),
        "linalg.matmul": Entry(_operator("__matmul__", "__rmatmul__")),
    }


_LIBRARY = {
    "exp": "", "exp2": "", "expm1": "", "log": "", "log2": "", "log1p": "", "sqrt": "0 where x is 0",
    "reciprocal": "0 where x is 0", "tanh": "", "sin": "", "cos": "", "sign": "",
    "max": "only one axis or all", "min": "only one axis or all", "argmax": "", "argmin": "",
    "median": "only one axis or all", "quantile": "only linear interpolation and one axis or all", "cumsum": "",
    "searchsorted": "only public edges", "dot": "", "outer": "", "einsum": "only one or two operands", "trace": "",
    "cov": "without weights", "corrcoef": "0 for a constant variable",
}  # fmt: skip


def _subjects() -> dict[str, Entry]:
    """NumPy's names of public functions that have the same name and parameters, and of those made from one."""
    same = {name: Entry(getattr(library, name), note) for name, note in _LIBRARY.items()}
    symmetric = "only symmetric positive definite matrices; gives up with RangeViolated on others"
    return same | {
        "power": Entry(_operator("__pow__", "__rpow__"), "of a positive base for exponents that are not whole"),
        "log10": Entry(lambda x: library.log2(x) * 0.3010299956639812),
        "hypot": Entry(lambda x1, x2: library.sqrt(x1 * x1 + x2 * x2), "squares must fit"),
        "logaddexp": Entry(lambda x1, x2: library.logsumexp(stack(list(derived.broadcast_arrays(x1, x2))), axis=0)),
        "std": Entry(_deviation),
        "ptp": Entry(_spread, "only one axis or all"),
        "percentile": Entry(lambda a, q, axis=None: library.quantile(a, np.asarray(q) / 100, axis), _QUANTILE),
        "sort": Entry(lambda a, axis=-1, kind=None, stable=None: library.sort(a, axis), "always stable"),
        "argsort": Entry(lambda a, axis=-1, kind=None, stable=None: library.argsort(a, axis), "always stable"),
        "isin": Entry(_isin, "only a public set"),
        "in1d": Entry(lambda ar1, ar2, invert=False: _isin(ar1.ravel(), ar2, invert=invert), "only a public set"),
        "digitize": Entry(_digitize, "only public, ascending bins"),
        "histogram": Entry(_histogram, "only public edges, without weights and density"),
        "bincount": Entry(_bincount, "only with minlength=, the public number of values; others are not counted"),
        "inner": Entry(products.inner),
        "vdot": Entry(products.vdot),
        "vecdot": Entry(products.vecdot),
        "matvec": Entry(products.matvec),
        "vecmat": Entry(products.vecmat),
        "tensordot": Entry(products.tensordot),
        "linalg.vecdot": Entry(products.vecdot, "only the last axis"),
        "linalg.tensordot": Entry(lambda x1, x2, *, axes=2: products.tensordot(x1, x2, axes)),
        "linalg.outer": Entry(lambda x1, x2: library.outer(x1, x2)),
        "linalg.trace": Entry(lambda x, *, offset=0: library.trace(x, offset, -2, -1)),
        "linalg.norm": Entry(library.norm, "vectors: ord=None, 2, 1, 0, inf, -inf; matrices: without 2, -2 and 'nuc'"),
        "linalg.vector_norm": Entry(_vector_norm, "only ord=2, 1, 0, inf and -inf"),
        "linalg.matrix_norm": Entry(_matrix_norm, "without ord=2, -2 and 'nuc'"),
        "linalg.cholesky": Entry(lambda a, *, upper=False: _cholesky(a, upper), symmetric),
        "linalg.solve": Entry(lambda a, b: library.solve(a, b), symmetric),
        "linalg.inv": Entry(lambda a: library.inv(a), symmetric),
    }


_QUANTILE = "only linear interpolation and one axis or all"


def _deviation(a: SecureArray, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> SecureArray:
    return a.std(axis, keepdims, ddof)


def _spread(a: SecureArray, axis: int | None = None, keepdims: bool = False) -> SecureArray:
    return library.max(a, axis, keepdims) - library.min(a, axis, keepdims)


def _isin(element: SecureArray, test_elements: Any, assume_unique: bool = False, invert: bool = False) -> SecureArray:
    found = library.isin(element, test_elements)
    return ~found if invert else found


def _digitize(x: SecureArray, bins: Any, right: bool = False) -> SecureArray:
    return library.searchsorted(bins, x, "left" if right else "right")


def _histogram(a: SecureArray, bins: Any = None) -> tuple[SecureArray, Any]:
    edges = np.asarray(0 if bins is None else bins)
    if edges.ndim != 1:
        raise UsageError("np.histogram: expected bins= as public, ascending edges: other edges would depend on secrets")
    return library.histogram(a, edges), edges


def _bincount(x: SecureArray, minlength: int = 0) -> SecureArray:
    if minlength < 1:
        raise UsageError("np.bincount: expected minlength=, the public number of values: the largest value is secret")
    return library.one_hot(x, minlength).sum(0)


def _vector_norm(x: SecureArray, *, axis: Any = None, keepdims: bool = False, ord: float = 2) -> SecureArray:
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    axes = tuple(a % x.ndim for a in axes)
    rest = tuple(i for i in range(x.ndim) if i not in axes)
    shape = tuple(x.shape[i] for i in rest)
    lengths = library.norm(x.transpose(*rest, *axes).reshape((*shape, -1)), ord, -1)
    return lengths.reshape(tuple(1 if i in axes else n for i, n in enumerate(x.shape))) if keepdims else lengths


def _matrix_norm(x: SecureArray, *, keepdims: bool = False, ord: float | str = "fro") -> SecureArray:
    return library.norm(x, ord, (-2, -1), keepdims)


def _cholesky(a: SecureArray, upper: bool) -> SecureArray:
    lower = library.cholesky(a)
    return derived.swapped(lower) if upper else lower


def _concatenated(arrays: Any, axis: Any) -> SecureArray:
    if axis is None:
        return concatenate([a.ravel() if isinstance(a, SecureArray) else np.ravel(a) for a in arrays])
    return concatenate(list(arrays), axis)


ALIASES = {
    "mod": "remainder", "bitwise_left_shift": "left_shift", "bitwise_right_shift": "right_shift",
    "abs": "absolute", "pow": "power", "true_divide": "divide", "conj": "conjugate", "bitwise_not": "invert",
    "bitwise_invert": "invert", "degrees": "rad2deg", "radians": "deg2rad", "around": "round", "concat": "concatenate",
    "permute_dims": "transpose", "array_equiv": "array_equal", "nansum": "sum", "nanmean": "mean", "nanvar": "var",
    "nanprod": "prod", "row_stack": "vstack", "round_": "round", "product": "prod", "trapz": "trapezoid",
    "alltrue": "all", "sometrue": "any", "amax": "max", "amin": "min", "nanmax": "max", "nanmin": "min",
    "nanargmax": "argmax", "nanargmin": "argmin", "nanstd": "std", "nanmedian": "median", "nanquantile": "quantile",
    "nanpercentile": "percentile", "nancumsum": "cumsum", "cumulative_sum": "cumsum", "float_power": "power",
}  # fmt: skip


def entries() -> dict[str, Entry]:
    """The whole table, names of submodules as 'linalg.norm'."""
    found = {**_operators(), **_reductions(), **_shapes(), **_subjects()}
    return found | {alias: found[name] for alias, name in ALIASES.items()}
