"""SecureArray: NumPy's names and broadcasting on secrets, never NumPy's implicit conversion.

Three kinds: *fixed* (reals, ``scale`` fractional bits), *int* (scale 0) and *bool* (bits). Every array carries a public
bound on |x|; what by these bounds would pass 62 bits raises OverflowPlanned at the line that asks for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import numpy.typing as npt

from . import words
from .context import Context
from .errors import SecretUseError, ShapeError, UnknownName, UsageError
from .lines import named_as
from .mpc.shares import Bits, Share
from .ring import fixed, layout
from .types import Ring

if TYPE_CHECKING:
    from .session import Session

Public = npt.ArrayLike
Axis = int | tuple[int, ...] | None


def _secret_used(what: str, instead: str) -> NoReturn:
    raise SecretUseError(
        f"a secret array cannot be used {what}: that would open it. {instead} "
        "To open a value that the openings list names: s.reveal(x, to=..., name=..., reason=...)"
    )


class SecureArray:
    """A secret array in one session. Made by ``Session.secret`` and by operations, not directly."""

    __slots__ = ("__weakref__", "_bits", "_bound", "_context", "_flags", "_scale", "_share")
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self, context: Context, data: Share | Bits, scale: int = 0, bound: float = 1.0, flags: bool = False
    ) -> None:
        """``flags``: integers that are 0 or 1 whatever anybody put in (see functions/flags.py)."""
        self._context = context
        self._scale = scale
        self._bound = bound
        self._flags = flags
        self._share: Share | None = None
        self._bits: Bits | None = None
        numbers = context.numbers
        if numbers is not None:
            numbers.made(data.shape, scale, bound)
        if isinstance(data, Share):
            self._share = data
            context.fits(bound, scale, "this value")
        else:
            self._bits = data
        if context.observer is not None:
            context.observer.created(self)

    # -- what is public ----------------------------------------------------------------------------------------

    @property
    def session(self) -> Session:
        """The session that this array belongs to."""
        return self._context.session

    @property
    def scale(self) -> int:
        """Fractional bits: the value is the ring integer divided by 2^scale."""
        return self._scale

    @property
    def bound(self) -> float:
        """Public bound on |x|."""
        return self._bound

    @property
    def shape(self) -> tuple[int, ...]:
        return self._share.shape if self._share is not None else self._bits.shape  # type: ignore[union-attr]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return layout.count(self.shape)

    @property
    def kind(self) -> str:
        """'fixed', 'int' or 'bool'."""
        return "bool" if self._bits is not None else "fixed" if self._scale else "int"

    @property
    def T(self) -> SecureArray:
        return self.transpose()

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a secret array without dimensions")
        return self.shape[0]

    def __repr__(self) -> str:
        scale = f", scale={self._scale}" if self._scale else ""
        return f"SecureArray(shape={self.shape}, {self.kind}{scale}, {self._context.protocol.name})"

    __str__ = __repr__

    def __getattr__(self, name: str) -> NoReturn:
        if name in ("ring_share", "bit_share", "protocol", "context", "stated", "rearranged", "gating"):
            raise UsageError(
                f"a program has no access to {name} of a secret array; values are opened with session.reveal, and what "
                "a secret array can do is in docs/api.md"
            )
        if not name.startswith("_") and name not in words.ARRAY:
            if name in dispatch.table() or name in dispatch.aliases():
                raise UnknownName(f"a secret array has no method {name!r}: write np.{name}(x)")
            if name in refused.REFUSED:
                raise UnknownName(f"a secret array has no method {name!r}: {refused.REFUSED[name]}")
        raise words.unknown("a secret array", name, words.public_names(SecureArray), words.ARRAY)

    def __format__(self, spec: str) -> str:
        return repr(self)

    # -- refused conversions -----------------------------------------------------------------------------------

    def __bool__(self) -> bool:
        _secret_used(
            "in if, while, and, or, not",
            "Use privity.where(mask, a, b), & | ~ on secret booleans, and np.max, np.min and np.sort for max(), min() "
            "and sorted().",
        )

    def __float__(self) -> float:
        _secret_used("as a float", "Keep computing with the secret.")

    def __int__(self) -> int:
        _secret_used("as an int", "Keep computing with the secret.")

    def __complex__(self) -> complex:
        _secret_used("as a complex number", "Keep computing with the secret.")

    def __round__(self, digits: int = 0) -> NoReturn:
        _secret_used("in round(), which gives plain numbers", "Write np.round(x) or x.round(digits).")

    def __index__(self) -> int:
        _secret_used("as an index", "Indices must be public; select with privity.where instead.")

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        _secret_used("where NumPy wants plain numbers", "Use the methods of SecureArray and the functions in privity.")

    # -- NumPy's protocol: np.exp(x), public + x; functions/dispatch.py --------------------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(isinstance(x, nullable.NullableArray) for x in inputs):
            return NotImplemented  # a column with masks of its own says what becomes of them
        return dispatch.ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return dispatch.function(func, args, kwargs)

    def __reduce__(self) -> NoReturn:
        _secret_used("with pickle or copy", "Shares stay inside their session.")

    # -- inside ------------------------------------------------------------------------------------------------

    def _ring_share(self) -> Share:
        """This array as ring integers (booleans are converted: two rounds)."""
        if self._share is None:
            assert self._bits is not None
            self._share = self._context.protocol.b2a(self._bits)
        return self._share

    def _bit_share(self) -> Bits:
        """This array's bits; only for booleans."""
        if self._bits is None:
            raise UsageError(f"expected a secret boolean array, got {self!r}; compare it with something first")
        return self._bits

    def decode(self, value: Ring) -> Any:
        """Ring integers that were opened, as bool, int64 or float64 (a plain number if there are no dimensions)."""
        value = np.asarray(value).reshape(self.shape)
        plain: Any
        if self.kind == "bool":
            plain = value.astype(bool)
        else:
            plain = fixed.decode(value, self._scale) if self._scale else fixed.decode_integers(value)
        return plain if self.shape else plain.item()

    def _rearranged(self, fn: layout.Local) -> SecureArray:
        """A linear rearrangement, applied to every component; keeps scale, bound and kind. Local."""
        if self._bits is not None:
            return SecureArray(self._context, self._context.protocol.map_bits(self._bits, fn))
        return SecureArray(self._context, self._ring_share().map(fn), self._scale, self._bound)

    def _moved(self, fn: layout.Local) -> SecureArray:
        """``_rearranged`` where elements are moved, repeated or left out, and flags stay flags therefore."""
        made = self._rearranged(fn)
        made._flags = self._flags
        return made

    def numeric(self) -> SecureArray:
        """This array with booleans as 0/1 integers (two rounds, once)."""
        return self if self._bits is None else SecureArray(self._context, self._ring_share(), 0, 1.0, flags=True)

    def _gating(self, x: Share) -> Share:
        """This boolean array times ring integers of its shape; a small one needs no conversion, which saves a round."""
        protocol = self._context.protocol
        if self._share is not None:
            return protocol.mul(self._share, x)
        product, self._share = protocol.inject(self._bit_share(), x)
        return product

    def operand(self, other: Any) -> SecureArray | npt.NDArray[Any]:
        """The other side of an operator: a secret array of this session, or a finite public array."""
        if isinstance(other, SecureArray):
            if other._context is not self._context:
                raise UsageError("the two secret arrays belong to different sessions")
            return other
        array = np.asarray(other)
        if isinstance(other, int) and array.dtype.kind == "O" and other.bit_length() < 1024:
            array = np.asarray(float(other))  # beyond 64 bits
        if array.dtype.kind in "US":
            raise UsageError(
                f"cannot combine a secret array with {str(other)[:40]!r}, dtype {array.dtype}. Columns of categories "
                'hold their numbers, in the order of the schema: table["state"] == '
                'table.column("state").field.categories.index("walking")'
            )
        if array.dtype.kind not in "biuf":
            raise UsageError(f"cannot combine a secret array with {type(other).__name__} of dtype {array.dtype}")
        if not np.isfinite(array).all():
            raise UsageError("a public operand holds NaN or infinity; secrets can only be combined with finite numbers")
        return array

    def _compared(self, other: Any) -> SecureArray | npt.NDArray[Any]:
        """``operand`` for a comparison: public numbers beyond every value of x, infinite ones too, as just beyond."""
        if isinstance(other, SecureArray) or np.asarray(other).dtype.kind != "f":
            return self.operand(other)
        limit = float(math.floor(self._bound)) + 2.0
        return self.operand(np.clip(np.asarray(other), -limit, limit))

    def _fitted(self, shape: tuple[int, ...]) -> Share:
        """The ring share broadcast to ``shape``."""
        share = self._ring_share()
        return share if share.shape == shape else share.map(layout.broadcast(shape))

    def rescaled(self, scale: int) -> SecureArray:
        """The same values at another number of fractional bits; fewer bits cost a truncation (two rounds)."""
        return arithmetic.rescale(self, scale)

    def astype(self, kind: Any) -> SecureArray:
        """As "fixed" (float), "int" (towards zero) or "bool" (x != 0): the only ways from one kind to another."""
        return convert.astype(self, kind)

    def round(self, decimals: int = 0) -> SecureArray:
        """Rounded to decimal places, halves up; to whole numbers gives secret integers."""
        return convert.rounded(self, decimals)

    def _stated(self, bound: float) -> SecureArray:
        """The same shares under a bound that follows from how they were computed, or that the caller guards later."""
        return SecureArray(self._context, self._ring_share(), self._scale, bound, self._flags)

    def assume_bound(self, bound: float, what: str = "") -> SecureArray:
        """State |x| <= bound. Checked at run time by a guard: one secret flag, opened as 'range ok' at the next reveal.

        A loop that would lose its bound states it here. ``what``: what x is and, after a colon, what to do if it is
        larger, for the message. Raises RangeViolated (later) if it does not hold.
        """
        x, bound = self.numeric(), float(bound)  # read once: what is stated is what is asked
        self._context.guard(select.outside_count(x, bound), f"|x| <= {bound:g}" + (f", {what}" if what else ""))
        return x._stated(bound)

    # -- arithmetic: functions/arithmetic.py, whole.py ----------------------------------------------------------

    def __add__(self, other: Any) -> SecureArray:
        return arithmetic.add(self, self.operand(other))

    __radd__ = __add__

    def __sub__(self, other: Any) -> SecureArray:
        return arithmetic.add(self, self.operand(other), -1)

    def __rsub__(self, other: Any) -> SecureArray:
        public = self.operand(other)
        result = arithmetic.add(-self, public)
        counter = self._flags or self._bits is not None
        one = isinstance(public, np.ndarray) and public.ndim == 0 and bool(public == 1)
        result._flags = counter and result.scale == 0 and one
        return result

    def __neg__(self) -> SecureArray:
        return arithmetic.negate(self)

    def __pos__(self) -> SecureArray:
        return self

    def multiply(self, other: Any, scale: int | None = None) -> SecureArray:
        """Elementwise product, rounded once to ``scale`` fractional bits (None: the session's default)."""
        return arithmetic.multiply(self, self.operand(other), scale)

    def __mul__(self, other: Any) -> SecureArray:
        return arithmetic.multiply(self, self.operand(other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> SecureArray:
        return real.divide(self, self.operand(other))

    def __rtruediv__(self, other: Any) -> SecureArray:
        return real.divide(self.operand(other), self)

    def __floordiv__(self, other: Any) -> SecureArray:
        return whole.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> SecureArray:
        return whole.floor_divide(other, self)

    def __mod__(self, other: Any) -> SecureArray:
        return whole.remainder(self, other)

    def __rmod__(self, other: Any) -> SecureArray:
        return whole.remainder(other, self)

    def __divmod__(self, other: Any) -> tuple[SecureArray, SecureArray]:
        return whole.divmod_(self, other)

    def __rdivmod__(self, other: Any) -> tuple[SecureArray, SecureArray]:
        return whole.divmod_(other, self)

    def __rshift__(self, bits: Any) -> SecureArray:
        return whole.right_shift(self, bits)

    def __lshift__(self, bits: Any) -> SecureArray:
        return whole.left_shift(self, bits)

    def __rrshift__(self, other: Any) -> NoReturn:
        raise UsageError("public >> secret: expected a public number of bits; use np.floor_divide(public, 2 ** secret)")

    def __rlshift__(self, other: Any) -> NoReturn:
        raise UsageError("public << secret: expected a public number of bits; use public * 2 ** secret")

    def __pow__(self, exponent: Any) -> SecureArray:
        return exponential.power(self, exponent)

    def __rpow__(self, base: Any) -> SecureArray:
        return exponential.public_power(base, self)

    def matmul(self, other: Any, factor: float = 1.0) -> SecureArray:
        """``factor * (self @ other)`` with one rounding; shapes as in np.matmul: stacks of matrices broadcast.

        ``factor`` is a public number, folded into the truncation where it fits: a learning rate costs nothing.
        """
        return arithmetic.matmul(self, self.operand(other), factor)

    def __matmul__(self, other: Any) -> SecureArray:
        return arithmetic.matmul(self, self.operand(other))

    def __rmatmul__(self, other: Any) -> SecureArray:
        return arithmetic.matmul_public(self, np.asarray(self.operand(other)), left=True)

    def dot(self, other: Any) -> SecureArray:
        """As ``@``."""
        return self.matmul(other)

    def sum(self, axis: Axis = None, keepdims: bool = False) -> SecureArray:
        """Sum over an axis, several, or all. Local."""
        return arithmetic.total(self, axis, keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> SecureArray:
        """Arithmetic mean; one truncation."""
        return arithmetic.mean(self, axis, keepdims)

    def var(self, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> SecureArray:
        """Variance: the mean of squared deviations."""
        return spread.variance(self, axis, keepdims, ddof)

    def std(self, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> SecureArray:
        """Standard deviation: the square root of the variance."""
        return spread.deviation(self, axis, keepdims, ddof)

    def prod(self, axis: int | None = None, keepdims: bool = False) -> SecureArray:
        """Product of all elements or along an axis, by halves."""
        return derived.prod(self, axis, keepdims=keepdims)

    def any(self, axis: Axis = None, keepdims: bool = False) -> SecureArray:
        """Whether any element is true (not zero): secret booleans."""
        return derived.any_(self, axis, keepdims=keepdims)

    def all(self, axis: Axis = None, keepdims: bool = False) -> SecureArray:
        """Whether all elements are true (not zero): secret booleans."""
        return derived.all_(self, axis, keepdims=keepdims)

    def cumsum(self, axis: int | None = None) -> SecureArray:
        """Running sums along an axis, or of the flattened array. Local."""
        return tables.cumsum(self, axis)

    # -- order: functions/order.py -----------------------------------------------------------------------------

    def max(self, axis: int | None = None, keepdims: bool = False) -> SecureArray:
        """Largest value along an axis or of all, exactly."""
        return order.max_(self, axis, keepdims)

    def min(self, axis: int | None = None, keepdims: bool = False) -> SecureArray:
        """Smallest value along an axis or of all, exactly."""
        return order.min_(self, axis, keepdims)

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> SecureArray:
        """Secret position of the first largest value."""
        return order.argmax(self, axis, keepdims)

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> SecureArray:
        """Secret position of the first smallest value."""
        return order.argmin(self, axis, keepdims)

    def argsort(self, axis: int | None = -1) -> SecureArray:
        """Secret positions that sort along an axis, stably; ``privity.sort`` gives the values."""
        return order.argsort(self, axis)

    def median(self, axis: int | None = None) -> SecureArray:
        """Middle value along an axis or of all; see ``privity.median``."""
        return order.median(self, axis)

    def quantile(self, q: npt.ArrayLike = 0.5, axis: int | None = None) -> SecureArray:
        """Quantiles, interpolated linearly; see ``privity.quantile``."""
        return order.quantile(self, q, axis)

    # -- words of columns: a program need not know which columns of a table may have empty cells ---------------

    def isna(self) -> SecureArray:
        """Secret booleans, all false: no element is empty. Local."""
        proto = self._context.protocol
        return SecureArray(self._context, proto.a2bits(proto.public(layout.zeros(self.shape))))

    def notna(self) -> SecureArray:
        """Secret booleans, all true. Local."""
        return ~self.isna()

    def fillna(self, value: Any) -> SecureArray:
        """Itself: no element is empty."""
        return self

    def dropna(self) -> SecureArray:
        """Itself: no element is empty."""
        return self

    def filled(self, value: Any = 0) -> SecureArray:
        """Itself: no element is empty."""
        return self

    def count(self) -> SecureArray:
        """Number of elements, as a secret: no element is empty. Local."""
        return self._context.constant(self.size)

    # -- comparison and logic: functions/select.py -------------------------------------------------------------

    def __lt__(self, other: Any) -> SecureArray:
        return select.negative(arithmetic.add(self, self._compared(other), -1))

    def __gt__(self, other: Any) -> SecureArray:
        return select.negative(arithmetic.add(-self, self._compared(other)))

    def __le__(self, other: Any) -> SecureArray:
        return ~self.__gt__(other)

    def __ge__(self, other: Any) -> SecureArray:
        return ~self.__lt__(other)

    def __eq__(self, other: object) -> SecureArray:  # type: ignore[override]
        return select.is_zero(arithmetic.add(self, self._compared(other), -1))

    def __ne__(self, other: object) -> SecureArray:  # type: ignore[override]
        return ~(self == other)

    def __invert__(self) -> SecureArray:
        return SecureArray(self._context, self._context.protocol.invert(self._bit_share()))

    def __and__(self, other: Any) -> SecureArray:
        return select.logic(self, self.operand(other), "and")

    def __or__(self, other: Any) -> SecureArray:
        return select.logic(self, self.operand(other), "or")

    def __xor__(self, other: Any) -> SecureArray:
        return select.logic(self, self.operand(other), "xor")

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def abs(self) -> SecureArray:
        """|x|."""
        return select.absolute(self)

    __abs__ = abs

    def clip(
        self, low: Any = None, high: Any = None, *, min: Any = None, max: Any = None
    ) -> SecureArray:
        """x limited to [low, high], both public: numbers, or arrays like x; None: no limit. Also ``min``, ``max``."""
        low, high = min if low is None else low, max if high is None else high
        if low is None and high is None:
            return self
        return select.clip(self, -math.inf if low is None else low, math.inf if high is None else high)

    # -- shape -------------------------------------------------------------------------------------------------

    def reshape(self, *shape: Any) -> SecureArray:
        """The same elements in another shape; -1 is worked out."""
        target = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
        sizes = [int(n) for n in target if n != -1]
        if len(target) - len(sizes) > 1 or (
            self.size % max(1, math.prod(sizes)) if len(sizes) < len(target) else self.size != math.prod(sizes)
        ):
            raise ShapeError(f"reshape: {self.size} elements of shape {self.shape} do not fit shape {target}")
        return self._moved(layout.reshape(target))

    def ravel(self) -> SecureArray:
        """One dimension."""
        return self.reshape(-1)

    flatten = ravel

    def squeeze(self, axis: Axis = None) -> SecureArray:
        """Without axes of length one."""
        return self._moved(layout.arranged(np.squeeze, axis=axis))

    def swapaxes(self, axis1: int, axis2: int) -> SecureArray:
        """Two axes exchanged."""
        self._context.met(("swapaxes", axis1, axis2))
        return self._moved(layout.arranged(np.swapaxes, axis1, axis2))

    def transpose(self, *axes: int) -> SecureArray:
        """Axes in another order (reversed without arguments)."""
        if len(axes) > 1:
            self._context.met(("transpose", *axes))
        return self._moved(layout.transpose(axes or None))

    def __getitem__(self, key: Any) -> SecureArray:
        for part in key if isinstance(key, tuple) else (key,):
            if isinstance(part, SecureArray):
                _secret_used("as an index", "Indices must be public; select with privity.where instead.")
        self._context.met(key)
        return self._moved(layout.take(key))

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise UsageError("secret arrays cannot be assigned to in place; build a new one with where or concatenate")

    def __iter__(self) -> Iterator[SecureArray]:
        return (self[i] for i in range(len(self)))


def broadcast_shapes(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """The common shape, or ShapeError naming both."""
    if a == b:
        return a
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        raise ShapeError(f"shapes {a} and {b} do not broadcast together") from None


def context_of(*values: Any) -> Context:
    """The session of the first secret array among ``values``. Raises UsageError if there is none."""
    for v in values:
        if isinstance(v, SecureArray):
            return v._context
    for v in values:
        if isinstance(v, nullable.NullableArray):
            v.refuse("this function")
    raise UsageError("expected at least one secret array; for public arrays use NumPy")


def secure(context: Context, value: Any) -> SecureArray:
    """``value`` as a secret array of the session: itself, or a public constant."""
    return value if isinstance(value, SecureArray) else context.constant(value)


# They build on the class above.
from .functions import (  # noqa: E402
    arithmetic,
    convert,
    derived,
    dispatch,
    exponential,
    order,
    real,
    refused,
    select,
    spread,
    tables,
    whole,
)

from .functions import nullable  # noqa: E402  # isort: skip


def _beside_columns(operator: Any) -> Any:
    """A binary operator that leaves a column with a mask of its own, on its right, to that column's."""

    @wraps(operator)
    def operated(self: SecureArray, other: Any) -> Any:
        return NotImplemented if isinstance(other, nullable.NullableArray) else operator(self, other)

    return named_as(operated, operator)


_ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")
for _name in (*_ARITHMETIC, "lt", "le", "gt", "ge", "eq", "ne", "and", "or", "xor"):
    if f"__{_name}__" in vars(SecureArray):
        setattr(SecureArray, f"__{_name}__", _beside_columns(vars(SecureArray)[f"__{_name}__"]))
