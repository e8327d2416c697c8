"""SecureArray: NumPy's names and broadcasting on secrets, never NumPy's implicit conversion.

Three kinds: *fixed* (reals, ``scale`` fractional bits), *int* (scale 0) and *bool* (bits). Every array carries a public
bound on |x|; what by these bounds would pass 62 bits raises OverflowPlanned at the line that asks for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from .errors import SecretUseError, ShapeError, UsageError
from .mpc.shares import Bits, Share
from .ring import fixed, layout
from .session import Session
from .types import RANGE_BITS, Ring

Public = npt.ArrayLike
Axis = int | tuple[int, ...] | None


def _secret_used(what: str, instead: str) -> NoReturn:
    raise SecretUseError(
        f"a secret array cannot be used {what}: that would open it. {instead} "
        "To open a value that the openings list names: s.reveal(x, to=..., name=..., reason=...)"
    )


class SecureArray:
    """A secret array in one session. Made by ``Session.secret`` and by operations, not directly."""

    __slots__ = ("_bits", "_share", "bound", "scale", "session")
    __array_ufunc__ = None  # NumPy arrays on the left hand side defer to the operators here
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, session: Session, data: Share | Bits, scale: int = 0, bound: float = 1.0) -> None:
        self.session = session
        self.scale = scale
        self.bound = bound
        self._share = data if isinstance(data, Share) else None
        self._bits = data if isinstance(data, Bits) else None
        if isinstance(data, Share):
            session.fits(bound, scale, "this value")

    # -- what is public ----------------------------------------------------------------------------------------

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
        return "bool" if self._bits is not None else "fixed" if self.scale else "int"

    @property
    def T(self) -> SecureArray:
        return self.transpose()

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a secret array without dimensions")
        return self.shape[0]

    def __repr__(self) -> str:
        scale = f", scale={self.scale}" if self.scale else ""
        return f"SecureArray(shape={self.shape}, {self.kind}{scale}, {self.session.protocol.name})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    # -- refused conversions -----------------------------------------------------------------------------------

    def __bool__(self) -> bool:
        _secret_used("in if, while, and, or, not", "Use privity.where(mask, a, b), or & | ~ on secret booleans.")

    def __float__(self) -> float:
        _secret_used("as a float", "Keep computing with the secret.")

    def __int__(self) -> int:
        _secret_used("as an int", "Keep computing with the secret.")

    def __complex__(self) -> complex:
        _secret_used("as a complex number", "Keep computing with the secret.")

    def __index__(self) -> int:
        _secret_used("as an index", "Indices must be public; select with privity.where instead.")

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        _secret_used("where NumPy wants plain numbers", "Use the methods of SecureArray and the functions in privity.")

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> NoReturn:
        name = getattr(func, "__name__", str(func))
        _secret_used(f"in numpy.{name}", f"Look for privity.{name} or a method of the array.")

    def __reduce__(self) -> NoReturn:
        _secret_used("with pickle or copy", "Shares stay inside their session.")

    # -- inside ------------------------------------------------------------------------------------------------

    def ring_share(self) -> Share:
        """This array as ring integers (booleans are converted: two rounds)."""
        if self._share is None:
            assert self._bits is not None
            self._share = self.session.protocol.b2a(self._bits)
        return self._share

    def bit_share(self) -> Bits:
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
            plain = fixed.decode(value, self.scale) if self.scale else fixed.decode_integers(value)
        return plain if self.shape else plain.item()

    def _local(self, fn: layout.Local, bound: float | None = None) -> SecureArray:
        """A rearrangement, applied to every component; keeps scale and kind."""
        if self._share is None or (self._bits is not None and bound is None):
            bits = self.session.protocol.map_bits(self.bit_share(), fn)
            return SecureArray(self.session, bits)
        new = self._share.map(fn)
        return SecureArray(self.session, new, self.scale, self.bound if bound is None else bound)

    def _numeric(self) -> SecureArray:
        return self if self._bits is None else SecureArray(self.session, self.ring_share(), 0, 1.0)

    def _operand(self, other: Any) -> SecureArray | npt.NDArray[Any]:
        if isinstance(other, SecureArray):
            if other.session is not self.session:
                raise UsageError("the two secret arrays belong to different sessions")
            return other
        array = np.asarray(other)
        if array.dtype.kind not in "biuf":
            raise UsageError(f"cannot combine a secret array with {type(other).__name__} of dtype {array.dtype}")
        if not np.isfinite(array).all():
            raise UsageError("a public operand holds NaN or infinity; secrets can only be combined with finite numbers")
        return array

    def _fit(self, shape: tuple[int, ...]) -> Share:
        share = self.ring_share()
        return share if share.shape == shape else share.map(layout.broadcast(shape))

    def rescaled(self, scale: int) -> SecureArray:
        """The same values at another number of fractional bits; fewer bits cost a truncation (two rounds)."""
        x = self._numeric()
        if scale == x.scale:
            return x
        share = x.ring_share()
        proto = self.session.protocol
        if scale > x.scale:
            self.session.fits(x.bound, scale, "this value")
            return SecureArray(
                self.session, proto.mul_public(share, layout.constant(1 << (scale - x.scale))), scale, x.bound
            )
        return SecureArray(self.session, proto.truncate(share, x.scale - scale), scale, x.bound + 2.0**-scale)

    def assume_bound(self, bound: float) -> SecureArray:
        """State |x| <= bound. Checked at run time by a guard: one secret flag, opened as 'range ok' at the next reveal.

        A loop that would lose its bound states it here. Raises RangeViolated (later) if it does not hold.
        """
        from .functions import outside_count

        x = self._numeric()
        self.session.guard(outside_count(x, float(bound)))
        return SecureArray(self.session, x.ring_share(), x.scale, float(bound))

    # -- sums --------------------------------------------------------------------------------------------------

    def _add(self, other: Any, sign: int) -> SecureArray:
        other = self._operand(other)
        x = self._numeric()
        proto, session = self.session.protocol, self.session
        if isinstance(other, SecureArray):
            y = other._numeric()
            scale = max(x.scale, y.scale)
            x, y = x.rescaled(scale), y.rescaled(scale)
            shape = broadcast_shapes(x.shape, y.shape)
            session.fits(x.bound + y.bound, scale, "this sum")
            op = proto.add if sign > 0 else proto.sub
            return SecureArray(session, op(x._fit(shape), y._fit(shape)), scale, x.bound + y.bound)
        scale = x.scale
        if scale == 0 and not _whole(other):
            scale = session.fraction_bits
            x = x.rescaled(scale)
        ring, magnitude = fixed.public_constant(other, scale)
        shape = broadcast_shapes(x.shape, ring.shape)
        session.fits(x.bound + magnitude, scale, "this sum")
        ring = ring if sign > 0 else layout.negative(ring)
        return SecureArray(session, proto.add_public(x._fit(shape), ring), scale, x.bound + magnitude)

    def __add__(self, other: Any) -> SecureArray:
        return self._add(other, 1)

    __radd__ = __add__

    def __sub__(self, other: Any) -> SecureArray:
        return self._add(other, -1)

    def __rsub__(self, other: Any) -> SecureArray:
        return (-self)._add(other, 1)

    def __neg__(self) -> SecureArray:
        x = self._numeric()
        return SecureArray(self.session, self.session.protocol.neg(x.ring_share()), x.scale, x.bound)

    def __pos__(self) -> SecureArray:
        return self

    # -- products ----------------------------------------------------------------------------------------------

    def _product_scale(self, other: SecureArray, scale: int | None) -> tuple[int, int]:
        """(scale of the result, bits to cut) for a product; ``scale`` None: the session's default."""
        total = self.scale + other.scale
        if not (self.scale and other.scale):
            return total, 0
        scale = min(self.session.fraction_bits if scale is None else scale, total)
        return scale, total - scale

    def multiply(self, other: Any, scale: int | None = None) -> SecureArray:
        """Elementwise product, rounded once to ``scale`` fractional bits (None: the session's default)."""
        other = self._operand(other)
        x, session = self._numeric(), self.session
        if not isinstance(other, SecureArray):
            return x._mul_public(other, scale)
        y = other._numeric()
        scale, cut = x._product_scale(y, scale)
        session.fits(x.bound * y.bound, scale + cut, "this product (before it is truncated)")
        shape = broadcast_shapes(x.shape, y.shape)
        share = session.protocol.mul(x._fit(shape), y._fit(shape), cut)
        return SecureArray(session, share, scale, x.bound * y.bound + (2.0**-scale if cut else 0.0))

    def __mul__(self, other: Any) -> SecureArray:
        return self.multiply(other)

    __rmul__ = __mul__

    def _mul_public(self, c: npt.NDArray[Any], wanted: int | None = None) -> SecureArray:
        session, proto = self.session, self.session.protocol
        largest = float(np.abs(c).max(initial=0))
        whole = _whole(c)
        target = session.fraction_bits if wanted is None else wanted
        bits = 0 if whole else _factor_bits(largest, self.bound * 2.0**self.scale, max(target, session.fraction_bits))
        ring, magnitude = fixed.public_constant(c, bits)
        shape = broadcast_shapes(self.shape, ring.shape)
        total = self.scale + bits
        session.fits(self.bound * magnitude, total, "this product with a public factor (before it is truncated)")
        share = proto.mul_public(self._fit(shape), ring)
        scale = max(self.scale, min(total, target))
        share = proto.truncate(share, total - scale)
        return SecureArray(session, share, scale, self.bound * magnitude + (2.0**-scale if total > scale else 0.0))

    def __truediv__(self, other: Any) -> SecureArray:
        other = self._operand(other)
        if isinstance(other, SecureArray):
            from .functions import reciprocal

            return self.multiply(reciprocal(other))
        if not np.all(other):
            raise ZeroDivisionError("division of a secret array by a public zero")
        return self.multiply(1.0 / other)

    def __rtruediv__(self, other: Any) -> SecureArray:
        from .functions import reciprocal

        return reciprocal(self).multiply(other)

    def __pow__(self, exponent: int) -> SecureArray:
        if not isinstance(exponent, int) or exponent < 1:
            raise UsageError(f"only positive integer powers of secret arrays are defined here, got {exponent!r}")
        result, base = None, self
        while exponent:
            if exponent & 1:
                result = base if result is None else result * base
            exponent >>= 1
            base = base * base if exponent else base
        assert result is not None
        return result

    def matmul(self, other: Any, factor: float = 1.0) -> SecureArray:
        """``factor * (self @ other)`` with one rounding; one- and two-dimensional operands as in NumPy.

        ``factor`` is a public number, folded into the truncation where it fits: a learning rate costs nothing.
        """
        other = self._operand(other)
        if self.ndim not in (1, 2) or other.ndim not in (1, 2):
            raise ShapeError(f"matmul: expected one or two dimensions, got {self.shape} and {other.shape}")
        if self.shape[-1] != other.shape[0]:
            raise ShapeError(f"matmul: inner sizes differ: {self.shape} @ {other.shape}")
        out_shape = self.shape[:-1] + other.shape[1:]
        x = self._numeric()
        if not isinstance(other, SecureArray):
            result = x._matmul_public(other, left=False)
            return result if factor == 1.0 else result.multiply(factor)
        y = other._numeric()
        a = x.ring_share() if x.ndim == 2 else x.ring_share().map(layout.reshape((1, x.shape[0])))
        b = y.ring_share() if y.ndim == 2 else y.ring_share().map(layout.reshape((y.shape[0], 1)))
        bound = x.bound * y.bound * self.shape[-1]
        session = self.session
        multiplier, bits = _as_integer_factor(factor, bound * 2.0 ** (x.scale + y.scale))
        if multiplier == 0:  # no room for an exact enough multiplier before the truncation
            return self.matmul(other).multiply(factor)
        scale, cut = x._product_scale(y, None)
        cut += bits
        session.fits(bound * abs(multiplier), x.scale + y.scale, "this matrix product (before it is truncated)")
        share = session.protocol.matmul(a, b, cut, multiplier).map(layout.reshape(out_shape))
        return SecureArray(session, share, scale, bound * abs(factor) + (2.0**-scale if cut else 0.0))

    def _matmul_public(self, c: npt.NDArray[Any], left: bool) -> SecureArray:
        session, proto = self.session, self.session.protocol
        inner = self.shape[0] if left else self.shape[-1]
        bits = 0 if _whole(c) else session.fraction_bits
        ring, magnitude = fixed.public_constant(c, bits)
        total = self.scale + bits
        bound = self.bound * magnitude * inner
        session.fits(bound, total, "this matrix product with a public operand (before it is truncated)")
        ring2 = ring if ring.ndim == 2 else ring.reshape((1, -1) if left else (-1, 1))
        share = self.ring_share()
        if self.ndim == 1:
            share = share.map(layout.reshape((-1, 1) if left else (1, inner)))
        out_shape = c.shape[:-1] + self.shape[1:] if left else self.shape[:-1] + c.shape[1:]
        share = proto.matmul_public(share, ring2, left).map(layout.reshape(out_shape))
        scale = max(self.scale, min(total, session.fraction_bits))
        share = proto.truncate(share, total - scale)
        return SecureArray(session, share, scale, bound + (2.0**-scale if total > scale else 0.0))

    def __matmul__(self, other: Any) -> SecureArray:
        return self.matmul(other)

    def __rmatmul__(self, other: Any) -> SecureArray:
        c = np.asarray(other)
        if c.ndim not in (1, 2) or self.ndim not in (1, 2) or c.shape[-1] != self.shape[0]:
            raise ShapeError(f"matmul: shapes do not fit: {c.shape} @ {self.shape}")
        return self._numeric()._matmul_public(c, left=True)

    def dot(self, other: Any) -> SecureArray:
        """As ``@``."""
        return self.matmul(other)

    # -- comparison and logic: see functions.py ----------------------------------------------------------------

    def __lt__(self, other: Any) -> SecureArray:
        from .functions import negative

        return negative(self - other)

    def __gt__(self, other: Any) -> SecureArray:
        from .functions import negative

        return negative(-self + other)

    def __le__(self, other: Any) -> SecureArray:
        return ~(self > other)

    def __ge__(self, other: Any) -> SecureArray:
        return ~(self < other)

    def __eq__(self, other: object) -> SecureArray:  # type: ignore[override]
        from .functions import is_zero

        return is_zero(self - other)

    def __ne__(self, other: object) -> SecureArray:  # type: ignore[override]
        return ~(self == other)

    def __invert__(self) -> SecureArray:
        return SecureArray(self.session, self.session.protocol.invert(self.bit_share()))

    def _logic(self, other: Any, op: str) -> SecureArray:
        from .functions import logic

        return logic(self, self._operand(other), op)

    def __and__(self, other: Any) -> SecureArray:
        return self._logic(other, "and")

    def __or__(self, other: Any) -> SecureArray:
        return self._logic(other, "or")

    def __xor__(self, other: Any) -> SecureArray:
        return self._logic(other, "xor")

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    # -- reductions and shape ----------------------------------------------------------------------------------

    def sum(self, axis: Axis = None, keepdims: bool = False) -> SecureArray:
        """Sum over an axis, several, or all. Local."""
        x = self._numeric()
        share = x.ring_share().map(layout.total(axis, keepdims))
        terms = self.size // max(1, layout.count(share.shape))
        self.session.fits(x.bound * max(1, terms), x.scale, "this sum")
        return SecureArray(self.session, share, x.scale, x.bound * max(1, terms))

    def mean(self, axis: Axis = None, keepdims: bool = False) -> SecureArray:
        """Arithmetic mean; one truncation."""
        total = self.sum(axis, keepdims)
        terms = self.size // max(1, total.size)
        if terms == 0:
            raise ShapeError(f"mean of an empty array of shape {self.shape}")
        return total.multiply(1.0 / terms, scale=max(self.scale, self.session.fraction_bits))

    def var(self, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> SecureArray:
        """Variance as the mean of squared deviations (not E[x^2] - E[x]^2, which cancels)."""
        mean = self.mean(axis, keepdims=True)
        deviation = self - mean
        squares = (deviation * deviation).sum(axis, keepdims)
        terms = self.size // max(1, mean.size)
        if terms <= ddof:
            raise ShapeError(f"var with ddof={ddof} needs more than {ddof} values along the axis, got {terms}")
        return squares * (1.0 / (terms - ddof))

    def reshape(self, *shape: Any) -> SecureArray:
        target = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
        return self._local(layout.reshape(target))

    def ravel(self) -> SecureArray:
        return self.reshape(-1)

    def transpose(self, *axes: int) -> SecureArray:
        return self._local(layout.transpose(axes or None))

    def __getitem__(self, key: Any) -> SecureArray:
        for part in key if isinstance(key, tuple) else (key,):
            if isinstance(part, SecureArray):
                _secret_used("as an index", "Indices must be public; select with privity.where instead.")
        return self._local(layout.take(key))

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise UsageError("secret arrays cannot be assigned to in place; build a new one with where or concatenate")

    def __iter__(self) -> Iterator[SecureArray]:
        return (self[i] for i in range(len(self)))

    def abs(self) -> SecureArray:
        from .functions import absolute

        return absolute(self)

    __abs__ = abs

    def clip(self, low: float, high: float) -> SecureArray:
        from .functions import clip

        return clip(self, low, high)


def broadcast_shapes(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """The common shape, or ShapeError naming both."""
    if a == b:
        return a
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        raise ShapeError(f"shapes {a} and {b} do not broadcast together") from None


def _whole(c: npt.NDArray[Any]) -> bool:
    return c.dtype.kind in "biu" or bool(np.all(c == np.rint(c)))


def _factor_bits(largest: float, magnitude: float, wanted: int) -> int:
    """Fractional bits for a public factor: ``wanted`` significant bits for its largest value, 15 if room is short."""
    leading = math.floor(math.log2(largest)) + 1
    room = RANGE_BITS - 1 - math.ceil(math.log2(max(magnitude, 1.0))) - leading
    return max(min(max(wanted, wanted - leading), room), 15 - leading, 0)


def _as_integer_factor(factor: float, magnitude: float) -> tuple[int, int]:
    """(m, bits) with factor ~ m / 2^bits to 16 bits at least; (0, 0) if the room above ``magnitude`` is too small."""
    mantissa, exponent = math.frexp(abs(factor))
    if mantissa == 0.5 and exponent <= 1:  # a power of two is a shift: exact
        return (1 if factor > 0 else -1), 1 - exponent
    room = RANGE_BITS - 1 - math.ceil(math.log2(max(magnitude, 1.0)))
    digits = min(20, room)
    if digits < 16:
        return 0, 0
    bits = digits - 1 - math.floor(math.log2(abs(factor)))
    if bits <= 0:
        return round(factor), 0
    return round(factor * 2.0**bits), bits
