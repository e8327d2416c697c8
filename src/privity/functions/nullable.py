"""Columns that hold nothing in some rows: values beside secret masks that they never lose.

A column of a table whose cells may be empty, or of which some rows do not count (padding, a filter), is a
``NullableArray`` and no ``SecureArray``, so that nothing can take an empty cell for a 0. Its rules are those of a
pandas column: empty cells are skipped by sums and means, compare as false, and make arithmetic with them empty. What
has no such rule refuses and names the ways out.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np
import numpy.typing as npt

from .. import words
from ..array import SecureArray
from ..errors import SecretUseError, ShapeError, UsageError
from ..lines import named_as
from ..ring import exact
from . import dispatch, order, ratio, spread
from .flags import as_flags, neither
from .ratio import fitting_scale

if TYPE_CHECKING:
    from ..session import Session

_WAYS = (
    "privity.stats and the metrics skip empty cells; fillna(value) fills them, SimpleImputer of "
    "privity.ml.preprocessing learns what with, table.dropna() leaves their rows out"
)
_OUT = "stats and the metrics skip rows that do not count, filled(0) gives plain numbers, to go with valid=table.valid"


class NullableArray:
    """A secret column (n,) with cells that hold nothing. Made by ``table["name"]`` and by operations on such columns.

    ``missing`` (n,): flags of empty cells, or None. ``valid`` (n,): flags of the rows that count, or None for all;
    cells are empty in such rows only. ``present``: where there is a value.

    * ``+ - * / **``, ``abs``, ``round``, ``clip`` and NumPy's elementwise functions: empty where an operand is;
      ``where``: where what is taken is. An empty divisor of ``//`` and ``%`` is no 0.
    * ``< <= > >= ==`` are false in an empty cell, ``!=`` is true. Secret booleans; with ``valid``, where it has one.
    * ``sum mean var std min max median quantile any all count``: over the cells that are there. 0 where there are none,
      as nobody may be told; ``count()`` says so. Errors and costs: a sum and a count are exact and local, minimum and
      maximum exact; a mean has an error of 2^-24 of itself and a unit in the last place (52 rounds).
    * ``isna notna fillna dropna filled astype``, and slices by public positions.

    All else raises UsageError: it would take empty cells for numbers.
    """

    __slots__ = ("__weakref__", "_clean", "_made", "_missing", "_name", "_valid", "_values")
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self,
        values: SecureArray,
        name: str,
        *,
        missing: SecureArray | None = None,
        valid: SecureArray | None = None,
        clean: bool = False,
    ) -> None:
        """``clean``: values are 0 in cells that hold nothing. ``name``: for messages."""
        self._values, self._name, self._missing, self._valid, self._clean = values, name, missing, valid, clean
        self._made: dict[str, SecureArray] = {}

    # -- what is public ------------------------------------------------------------------------------------------------

    @property
    def session(self) -> Session:
        """The session that this column belongs to."""
        return self._values.session

    @property
    def name(self) -> str:
        """The column's name, or the expression that made it."""
        return self._name

    @property
    def shape(self) -> tuple[int, ...]:
        return self._values.shape

    @property
    def ndim(self) -> int:
        return 1

    @property
    def size(self) -> int:
        """Number of rows, those that do not count included."""
        return self._values.size

    @property
    def kind(self) -> str:
        """'fixed', 'int' or 'bool'."""
        return self._values.kind

    @property
    def scale(self) -> int:
        """Fractional bits of its values."""
        return self._values.scale

    @property
    def bound(self) -> float:
        """Public bound on |x|."""
        return self._values.bound

    @property
    def missing(self) -> SecureArray | None:
        """Flags of the empty cells (n,), or None."""
        return self._missing

    @property
    def valid(self) -> SecureArray | None:
        """Flags of the rows that count (n,), or None."""
        return self._valid

    @property
    def present(self) -> SecureArray:
        """Flags (n,) of the cells that hold a value, in rows that count. Local."""
        return self._once("present", self._present)

    def _present(self) -> SecureArray:
        if self._missing is None:
            assert self._valid is not None
            return self._valid
        if self._valid is None:
            return neither(self._missing)
        return rest(self._valid, self._missing)

    @property
    def _flags(self) -> bool:
        return self._values._flags

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        masks = {"empty cells": self._missing, "rows that do not count": self._valid}
        parts = " and ".join(what for what, mask in masks.items() if mask is not None)
        return f"NullableArray({self._name}, shape={self.shape}, {self.kind}, may have {parts})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    # -- refused -------------------------------------------------------------------------------------------------------

    def refuse(self, what: str) -> NoReturn:
        """Raise UsageError: ``what`` would take cells that hold nothing for numbers."""
        if self._missing is not None:
            raise UsageError(f"{what}: {self._name} may have empty cells, which would count as 0. {_WAYS}")
        raise UsageError(f"{what}: some rows of {self._name} do not count (padding, a filter), and would here. {_OUT}")

    def __getattr__(self, name: str) -> NoReturn:
        if not hasattr(SecureArray, name):
            raise words.unknown("a secret column", name, words.public_names(NullableArray), words.ARRAY)
        self.refuse("an operation on plain numbers" if name.startswith("_") or name == "numeric" else name)

    def _used(self, what: str) -> NoReturn:
        raise SecretUseError(
            f"{self._name} is secret and cannot be used {what}: that would open it. To open a value that the openings "
            "list names: s.reveal(x, to=..., name=..., reason=...)"
        )

    def __bool__(self) -> bool:
        self._used("in if, while, and, or, not")

    def __float__(self) -> float:
        self._used("as a float")

    def __int__(self) -> int:
        self._used("as an int")

    def __complex__(self) -> complex:
        self._used("as a complex number")

    def __index__(self) -> int:
        self._used("as an index")

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        self.refuse("an operation of arrays")

    def __reduce__(self) -> NoReturn:
        self._used("with pickle or copy")

    def __iter__(self) -> Iterator[Any]:
        self.refuse("a loop over the cells")

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise UsageError("secret columns cannot be assigned to in place; build a new one with fillna or np.where")

    # -- NumPy's protocol ----------------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        name = ufunc.__name__
        if ufunc.signature is not None:  # of rows, not of cells
            self.refuse(f"np.{name}")
        if method == "reduce" and name in _REDUCE:
            return getattr(self, _REDUCE[name])()
        if method != "__call__" or any(v is not None for v in kwargs.values()):
            self.refuse(f"np.{name}.{method}" if method != "__call__" else f"np.{name} with {', '.join(kwargs)}")
        if name in ("isnan", "isfinite"):
            return self.isna() if name == "isnan" else self.notna()
        if name in _OPERATORS and len(inputs) == 2:
            left, right = inputs
            if isinstance(left, NullableArray):
                return getattr(left, _OPERATORS[name][0])(right)
            return getattr(right, _OPERATORS[name][1])(left)
        if name == "fmod":
            inputs = (inputs[0], _divisor(inputs[1]))
        return elementwise(f"np.{name}", lambda *given: dispatch.ufunc(ufunc, method, given, {}), *inputs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        name = dispatch.name_of(func)
        if name in _METHODS and args and args[0] is self:
            method, given = getattr(self, _METHODS[name]), _given(kwargs)
            try:
                inspect.signature(method).bind(*args[1:], **given)
            except TypeError as error:
                raise UsageError(f"np.{name} of {self._name}: {error}") from None
            return method(*args[1:], **given)
        if name in ("percentile", "nanpercentile") and len(args) == 2 and args[0] is self and not _given(kwargs):
            return self.quantile(np.asarray(args[1], np.float64) / 100)
        if name == "where" and len(args) == 3 and not _given(kwargs):
            return chosen(lambda *given: dispatch.call(name, given, {}), *args)
        if name in _ELEMENTWISE:
            return elementwise(f"np.{name}", lambda *given: dispatch.call(name, given, kwargs), *args)
        self.refuse(f"np.{name}")

    # -- arithmetic ----------------------------------------------------------------------------------------------------

    def _with(self, other: Any, apply: Callable[[Any, Any], SecureArray], clean: bool = False) -> NullableArray:
        return elementwise("arithmetic", apply, self, other, clean=clean)

    def _empty_alike(self, other: Any) -> bool:
        """Whether the same cells of both hold something, so that 0 and 0 stand in all others."""
        if not isinstance(other, NullableArray):
            return False
        pairs = ((self._missing, other._missing), (self._valid, other._valid))
        return all(b is None if a is None else same(a, b) for a, b in pairs)

    def __add__(self, other: Any) -> NullableArray:
        return self._with(other, lambda a, b: a + b, clean=self._empty_alike(other))

    def __radd__(self, other: Any) -> NullableArray:
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other: Any) -> NullableArray:
        return self._with(other, lambda a, b: a - b, clean=self._empty_alike(other))

    def __rsub__(self, other: Any) -> NullableArray:
        return self._with(other, lambda a, b: b - a)

    def __mul__(self, other: Any) -> NullableArray:
        return self._with(other, lambda a, b: a * b, clean=True)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> NullableArray:
        return self._with(other, lambda a, b: a / b, clean=not isinstance(other, SecureArray | NullableArray))

    def __rtruediv__(self, other: Any) -> NullableArray:
        return self._with(other, lambda a, b: b / a)

    def as_divisor(self, value: float = 1) -> NullableArray:
        """With ``value`` in cells that hold nothing, where a 0 would fail the guard of a division."""
        return self._like(self.filled(value))

    def __floordiv__(self, other: Any) -> NullableArray:
        return self._with(_divisor(other), lambda a, b: a // b)

    def __rfloordiv__(self, other: Any) -> NullableArray:
        return self.as_divisor()._with(other, lambda a, b: b // a)

    def __mod__(self, other: Any) -> NullableArray:
        return self._with(_divisor(other), lambda a, b: a % b)

    def __rmod__(self, other: Any) -> NullableArray:
        return self.as_divisor()._with(other, lambda a, b: b % a)

    def __divmod__(self, other: Any) -> tuple[NullableArray, NullableArray]:
        return self // other, self % other

    def __pow__(self, other: Any) -> NullableArray:
        return self._with(other, lambda a, b: a**b)

    def __rpow__(self, other: Any) -> NullableArray:
        return self._with(other, lambda a, b: b**a)

    def __neg__(self) -> NullableArray:
        return self._like(-self._values, self._clean)

    def __pos__(self) -> NullableArray:
        return self

    def abs(self) -> NullableArray:
        """|x|."""
        return self._like(self._values.abs(), self._clean)

    __abs__ = abs

    def round(self, decimals: int = 0) -> NullableArray:
        """Rounded to decimal places, halves up."""
        return self._like(self._values.round(decimals), self._clean)

    def clip(
        self, low: Any = None, high: Any = None, *, min: Any = None, max: Any = None
    ) -> NullableArray:
        """x limited to [low, high], both public; None: no limit. ``min``, ``max``: the same."""
        return self._like(self._values.clip(low, high, min=min, max=max))

    def astype(self, kind: Any) -> NullableArray:
        """As "fixed" (float), "int" (towards zero) or "bool" (x != 0)."""
        return self._like(self._values.astype(kind), self._clean)

    def rescaled(self, scale: int) -> NullableArray:
        """The same values at another number of fractional bits."""
        return self._like(self._values.rescaled(scale), self._clean)

    def assume_bound(self, bound: float) -> NullableArray:
        """State |x| <= bound, in all rows: guarded, as ``SecureArray.assume_bound``. Empty cells hold a 0 there."""
        return self._like(self._zeroed().assume_bound(bound), True)

    def _like(self, values: SecureArray, clean: bool = False) -> NullableArray:
        """Other values in the same cells."""
        return NullableArray(values, self._name, missing=self._missing, valid=self._valid, clean=clean)

    # -- comparison and logic ------------------------------------------------------------------------------------------

    def _compared(self, other: Any, empty: int, apply: Callable[[SecureArray, Any], SecureArray]) -> Any:
        """apply(x, other), where an empty cell counts as far above other (``empty`` 1) or below it (-1).

        So it costs no more than the comparison of a number that is one bit longer.
        """
        missing, valid, (x, y) = beside("a comparison", (self, other))
        if not missing:
            result = apply(x, y)
        else:
            gap = x - y
            result = apply(gap + _summed(missing) * (empty * (int(gap.bound) + 1)), 0)
        return result if valid is None else NullableArray(result, self._name, valid=valid)

    def __lt__(self, other: Any) -> Any:
        return self._compared(other, 1, lambda a, b: a < b)

    def __le__(self, other: Any) -> Any:
        return self._compared(other, 1, lambda a, b: a <= b)

    def __gt__(self, other: Any) -> Any:
        return self._compared(other, -1, lambda a, b: a > b)

    def __ge__(self, other: Any) -> Any:
        return self._compared(other, -1, lambda a, b: a >= b)

    def __eq__(self, other: object) -> Any:
        return self._compared(other, 1, lambda a, b: a == b)

    def __ne__(self, other: object) -> Any:
        return self._compared(other, 1, lambda a, b: a != b)

    def __invert__(self) -> NullableArray:
        self._decided("~")
        return self._like(~self._values)

    def __and__(self, other: Any) -> NullableArray:
        return self._logic(other, "&", lambda a, b: a & b)

    def __or__(self, other: Any) -> NullableArray:
        return self._logic(other, "|", lambda a, b: a | b)

    def __xor__(self, other: Any) -> NullableArray:
        return self._logic(other, "^", lambda a, b: a ^ b)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def _logic(self, other: Any, what: str, apply: Callable[[Any, Any], SecureArray]) -> NullableArray:
        for each in (self, other):
            if isinstance(each, NullableArray):
                each._decided(what)
        return elementwise(what, apply, self, other)

    def _decided(self, what: str) -> None:
        if self._missing is not None:
            raise UsageError(
                f"{what}: {self._name} may have empty cells, which are neither true nor false; compare it first "
                "(== 1 is false in an empty cell), or fillna(0)"
            )

    # -- empty cells ---------------------------------------------------------------------------------------------------

    def isna(self) -> Any:
        """Where a cell is empty: secret booleans (with ``valid``, where it has one). Local."""
        none = self._missing is None
        found = self._constant(0) if none else self._missing
        assert found is not None
        return self._told("isna", found, clean=True)

    def notna(self) -> Any:
        """Where a cell holds a value: secret booleans (with ``valid``, where it has one). Local."""
        return self._told("notna", self._constant(1) if self._missing is None else neither(self._missing))

    def _constant(self, value: int) -> SecureArray:
        return self._values._context.constant(np.full(self.size, value, np.int64))

    def _told(self, what: str, flags: SecureArray, clean: bool = False) -> Any:
        found = booleans(flags)
        if self._valid is None:
            return found
        return NullableArray(found, f"{self._name}.{what}()", valid=self._valid, clean=clean)

    def fillna(self, value: Any) -> Any:
        """``value`` (public, or a secret scalar) in empty cells: a SecureArray where all rows count.

        Local for a public value where the column is as its owner brought it, else a product.
        """
        if self._missing is None:
            return self
        filled = self._filled(value, self._missing)
        return filled if self._valid is None else NullableArray(filled, self._name, valid=self._valid)

    def filled(self, value: Any = 0) -> SecureArray:
        """A plain secret array: ``value`` (public, or a secret scalar) in empty cells and rows that do not count."""
        return self._filled(value, neither(self.present))

    def _filled(self, value: Any, where: SecureArray) -> SecureArray:
        kept, public = self._zeroed(), not isinstance(value, SecureArray | NullableArray)
        if (np.shape(value) if public else value.shape) != ():
            raise UsageError(f"fillna: expected one number, public or secret, for the empty cells of {self._name}")
        if public and value == 0:
            return kept
        # a public number with the digits of the column, as many as other cells have
        digits = max(kept.scale, kept._context.fraction_bits)
        added: SecureArray = where.multiply(value, scale=digits) if public else where * value
        bound = max(kept.bound, abs(float(value)) if public else value.bound) + 2.0**-added.scale * bool(added.scale)
        return (kept + added)._stated(bound)

    def dropna(self) -> NullableArray:
        """The same rows, but those with an empty cell count no more. Local."""
        if self._missing is None:
            return self
        return NullableArray(self._zeroed(), self._name, valid=self.present, clean=True)

    # -- what the cells that are there say -----------------------------------------------------------------------------

    def _once(self, key: str, make: Callable[[], SecureArray]) -> SecureArray:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def _zeroed(self) -> SecureArray:
        """Values, 0 in cells that hold nothing: a product unless they are so already."""
        return self._values.numeric() if self._clean else self._once("zeroed", self._cleaned)

    def _cleaned(self) -> SecureArray:
        return (self._values * self.present)._stated(self.bound)

    def _whole(self, what: str, axis: Any, keepdims: bool) -> None:
        if axis not in (None, 0, -1) or keepdims:
            raise ShapeError(f"{what}: {self._name} has one axis; got axis={axis!r}, keepdims={keepdims!r}")

    def count(self) -> SecureArray:
        """Secret number of cells that hold a value. Exact and local."""
        return self._once("count", lambda: self.present.sum()._stated(float(max(1, self.size))))

    def sum(self, axis: Any = None, keepdims: bool = False) -> SecureArray:
        """Sum of the cells that are there. Exact; local for columns as they are in a table."""
        self._whole("sum", axis, keepdims)
        return self._zeroed().sum()

    def mean(self, axis: Any = None, keepdims: bool = False) -> SecureArray:
        """Their mean; 0 where there is none. Relative error 2^-24 and one unit in the last place; 52 rounds."""
        self._whole("mean", axis, keepdims)
        return self._once("mean", self._mean)

    def _mean(self) -> SecureArray:
        bits = max(self._values._context.fraction_bits, self.scale)
        return ratio.mean(ratio.sums(self._zeroed()), self.count(), self.bound, fitting_scale(self.bound, bits, 58))

    def var(self, axis: Any = None, keepdims: bool = False, ddof: int = 0) -> SecureArray:
        """Variance of the cells that are there, as NumPy with ``ddof`` (pandas: 1); 0 for ``ddof`` cells or fewer."""
        self._whole("var", axis, keepdims)
        if not 0 <= ddof < max(self.size, 1):
            raise ShapeError(f"var with ddof={ddof} needs 0 <= ddof < rows, got {self.size} rows")
        found, scale = self._spread(ddof)
        finest = spread.result_scale(exact.square(found.most()), 2 * scale, scale, self._values._context.fraction_bits)
        return found.variance(finest).reshape(())

    def _spread(self, ddof: int) -> tuple[spread.Spread, int]:
        x = self._values.numeric()
        x = x if x.scale else x.rescaled(fitting_scale(x.bound, x._context.fraction_bits, 59))
        flags, counts = self.present.reshape((-1, 1)), self.count().reshape((1,))
        return spread.spread_of(spread.centred(x.reshape((-1, 1)), flags, counts), ddof), x.scale

    def std(self, axis: Any = None, keepdims: bool = False, ddof: int = 0) -> SecureArray:
        """The square root of ``var``."""
        self._whole("std", axis, keepdims)
        if not 0 <= ddof < max(self.size, 1):
            raise ShapeError(f"std with ddof={ddof} needs 0 <= ddof < rows, got {self.size} rows")
        found, scale = self._spread(ddof)
        usual = self._values._context.fraction_bits
        return found.deviation(spread.result_scale(found.most(), scale + spread.EXTRA, scale, usual)).reshape(())

    def min(self, axis: Any = None, keepdims: bool = False) -> SecureArray:
        """Smallest of the cells that are there, exactly; 0 where there is none."""
        self._whole("min", axis, keepdims)
        return self._extreme(1, order.min_)

    def max(self, axis: Any = None, keepdims: bool = False) -> SecureArray:
        """Largest of the cells that are there, exactly; 0 where there is none."""
        self._whole("max", axis, keepdims)
        return self._extreme(-1, order.max_)

    def _extreme(self, sign: int, find: Callable[[SecureArray], SecureArray]) -> SecureArray:
        kept = self._zeroed()
        found = find(kept + neither(self.present) * (sign * (int(kept.bound) + 1)))
        return (found * (self.count() > 0).numeric())._stated(kept.bound)

    def quantile(self, q: npt.ArrayLike = 0.5, axis: Any = None, keepdims: bool = False) -> SecureArray:
        """Quantiles of the cells that are there, interpolated linearly; 0 where there is none. Cost: a ``sort``."""
        self._whole("quantile", axis, keepdims)
        return order.quantile(self._values, q, valid=self.present)

    def median(self, axis: Any = None, keepdims: bool = False) -> SecureArray:
        """Their middle value, or the mean of the two in the middle."""
        return self.quantile(0.5, axis, keepdims)

    def any(self, axis: Any = None, keepdims: bool = False) -> SecureArray:
        """Whether any of the cells that are there is true (not 0); false where there is none."""
        self._whole("any", axis, keepdims)
        return self._true().sum() > 0

    def all(self, axis: Any = None, keepdims: bool = False) -> SecureArray:
        """Whether all of the cells that are there are true (not 0); true where there is none."""
        self._whole("all", axis, keepdims)
        return self._true().sum() == self.count()

    def _true(self) -> SecureArray:
        values = self._values if self.kind == "bool" or self._flags else self._values != 0
        return (values * self.present)._stated(1.0)

    def as_mask(self, what: str, known: SecureArray | None = None) -> SecureArray:
        """Flags (n,): where a value is there and true. ``known``: flags of rows that are multiplied in elsewhere."""
        flags = as_flags(self._values, what)
        if self._missing is not None:
            flags = (flags * neither(self._missing))._stated(1.0)
        if self._valid is not None and not same(self._valid, known):
            flags = (flags * self._valid)._stated(1.0)
        return flags

    # -- shape ---------------------------------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> NullableArray:
        if not isinstance(key, slice | list | np.ndarray):
            self.refuse(f"element {key!r}" if isinstance(key, int | np.integer) else "selection by a secret")
        missing, valid = (None if m is None else m[key] for m in (self._missing, self._valid))
        return NullableArray(self._values[key], self._name, missing=missing, valid=valid, clean=self._clean)

    def ravel(self) -> NullableArray:
        """Itself: it has one dimension."""
        return self

    flatten = ravel

    def opened_as(self, what: str) -> SecureArray:
        """What may be opened of it: rows that do not count as 0. Raises UsageError where cells may be empty."""
        if self._missing is not None:
            raise UsageError(
                f"{what}: {self._name} may have empty cells, and a plain number cannot say which; open {self._name} "
                "after fillna(value), or its isna() beside it, or an aggregate"
            )
        kept = self._zeroed()
        return booleans(kept) if self.kind == "bool" else kept


_REDUCE = {"add": "sum", "maximum": "max", "minimum": "min", "logical_and": "all", "logical_or": "any"}
_OPERATORS = {
    "less": ("__lt__", "__gt__"), "less_equal": ("__le__", "__ge__"), "greater": ("__gt__", "__lt__"),
    "greater_equal": ("__ge__", "__le__"), "equal": ("__eq__", "__eq__"), "not_equal": ("__ne__", "__ne__"),
    "add": ("__add__", "__radd__"), "subtract": ("__sub__", "__rsub__"), "multiply": ("__mul__", "__rmul__"),
    "divide": ("__truediv__", "__rtruediv__"), "true_divide": ("__truediv__", "__rtruediv__"),
    "floor_divide": ("__floordiv__", "__rfloordiv__"), "remainder": ("__mod__", "__rmod__"),
    "mod": ("__mod__", "__rmod__"), "power": ("__pow__", "__rpow__"), "bitwise_and": ("__and__", "__rand__"),
    "bitwise_or": ("__or__", "__ror__"), "bitwise_xor": ("__xor__", "__rxor__"), "logical_and": ("__and__", "__rand__"),
    "logical_or": ("__or__", "__ror__"), "logical_xor": ("__xor__", "__rxor__"),
}  # fmt: skip
_METHODS = {
    "sum": "sum", "mean": "mean", "var": "var", "std": "std", "min": "min", "amin": "min", "max": "max", "amax": "max",
    "average": "mean",
    "median": "median", "quantile": "quantile", "any": "any", "all": "all", "nansum": "sum", "nanmean": "mean",
    "nanvar": "var", "nanstd": "std", "nanmin": "min", "nanmax": "max", "nanmedian": "median",
    "nanquantile": "quantile", "ravel": "ravel",
}  # fmt: skip
_ELEMENTWISE = ("where", "clip", "round", "around", "isin", "digitize")


def _given(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in kwargs.items() if v is not None and v is not np._NoValue}


def same(a: SecureArray, b: SecureArray | None) -> bool:
    """Whether two masks are one and the same, as those of columns of one table."""
    return a is b or (b is not None and a._share is not None and a._share is b._share)


def booleans(flags: SecureArray) -> SecureArray:
    """Flags as secret booleans: the lowest bit of what all parties hold. Local."""
    made = SecureArray(flags._context, flags._context.protocol.a2bits(flags._ring_share()))
    made._share = flags._share
    return made


def rest(outer: SecureArray, inner: SecureArray) -> SecureArray:
    """1 where the flag ``outer`` is and ``inner`` is not; inner is set only where outer is. Local."""
    return SecureArray(outer._context, (outer - inner)._ring_share(), 0, 1.0, flags=True)


def _divisor(x: Any) -> Any:
    return x.as_divisor() if isinstance(x, NullableArray) else x


def _summed(flags: Sequence[SecureArray]) -> SecureArray:
    return functools.reduce(lambda a, b: a + b, flags)


def _product(flags: Sequence[SecureArray]) -> SecureArray:
    """Where all of several masks are set: pairs of them side by side."""
    found = list(flags)
    while len(found) > 1:
        pairs = [(a * b)._stated(1.0) for a, b in zip(found[::2], found[1::2], strict=False)]
        found = pairs + found[len(pairs) * 2 :]
    return found[0]


def _different(masks: Sequence[SecureArray | None]) -> list[SecureArray]:
    out: list[SecureArray] = []
    for mask in masks:
        if mask is not None and not any(same(mask, m) for m in out):
            out.append(mask)
    return out


def beside(
    what: str, operands: Sequence[Any]
) -> tuple[list[SecureArray], SecureArray | None, list[Any]]:
    """Masks of empty cells, the mask of rows that count (of all operands) or None, and the operands without theirs.

    Raises ShapeError unless columns, and arrays beside them, have the same number of rows.
    """
    columns = [o for o in operands if isinstance(o, NullableArray)]
    n = columns[0].shape
    for o in operands:
        shape = o.shape if isinstance(o, NullableArray | SecureArray) else np.shape(o)
        if shape not in (n, (), (1,)):
            raise ShapeError(f"{what}: {columns[0].name} has shape {n}, what stands beside it {shape}")
    valids = _different([c._valid for c in columns])
    missing = _different([c._missing for c in columns])
    values = [o._values if isinstance(o, NullableArray) else o for o in operands]
    return missing, _product(valids) if valids else None, values


def elementwise(what: str, apply: Callable[..., Any], *operands: Any, clean: bool = False) -> NullableArray:
    """What ``apply`` makes of the values, cell by cell; empty where an operand is. ``clean``: 0 in empty cells if all
    columns are 0 in theirs.
    """
    columns = [o for o in operands if isinstance(o, NullableArray)]
    missing, valid, values = beside(what, operands)
    result = apply(*values)
    if not isinstance(result, SecureArray) or result.shape != columns[0].shape:
        columns[0].refuse(what)
    name = " and ".join(dict.fromkeys(c.name for c in columns))
    return NullableArray(
        result, name, missing=_either(columns, missing, valid), valid=valid,
        clean=clean and all(c._clean for c in columns),
    )  # fmt: skip


def chosen(apply: Callable[..., Any], mask: Any, a: Any, b: Any) -> NullableArray:
    """``apply``, which takes a where the mask is true, else b: empty where what is taken is, or the mask. A product
    for each of a and b that may be empty; none where both are in the same cells.
    """
    made = elementwise("where", apply, mask, a, b)
    empty = [x._missing if isinstance(x, NullableArray) else None for x in (mask, a, b)]
    alike = empty[1] is not None and empty[2] is not None and same(empty[1], empty[2])
    if alike or (empty[1] is None and empty[2] is None):
        return made
    taken = mask._values if isinstance(mask, NullableArray) else mask
    flags = as_flags(taken, "where: mask") if isinstance(taken, SecureArray) else (
        made._values._context.constant(np.broadcast_to(np.asarray(taken, bool), made.shape).astype(np.int64))
    )
    sides = (None, flags, neither(flags))
    parts = [e if f is None else (e * f)._stated(1.0) for e, f in zip(empty, sides, strict=True) if e is not None]
    columns = [x for x in (mask, a, b) if isinstance(x, NullableArray)]
    return NullableArray(made._values, made._name, missing=_either(columns, parts, made._valid), valid=made._valid)


def _either(
    columns: Sequence[NullableArray], missing: Sequence[SecureArray], valid: SecureArray | None
) -> SecureArray | None:
    """Where any of the masks ``missing`` is set, in rows that count: what lies beyond is no flag (``rest``)."""
    if not missing:
        return None
    found = missing[0] if len(missing) == 1 else neither(_product([neither(m) for m in missing]))
    inside = len(missing) == 1 and any(c._missing is not None and same(missing[0], c._missing) and
                                       c._valid is not None and same(c._valid, valid) for c in columns)
    return found if valid is None or inside else (found * valid)._stated(1.0)


def counted(what: str, valid: Any, *columns: Any) -> tuple[SecureArray | None, list[Any]]:
    """The mask of the rows in which ``valid`` holds and no column holds nothing, and the columns as plain arrays.

    Columns that are None or plain stay as they are. Cost: a product for each mask beyond the first; nothing where all
    columns are of one table without empty cells and ``valid`` is its mask.
    """
    given = [c for c in columns if isinstance(c, NullableArray)]
    if isinstance(valid, NullableArray):
        valid = valid.as_mask(f"{what}: valid")
    if not given:
        return valid, list(columns)
    wrong = [c for c in given if isinstance(valid, SecureArray) and valid.shape[:1] != c.shape]
    masks = _different([*([valid] if isinstance(valid, SecureArray) and not wrong else []), *(c._valid for c in given)])
    masks = [as_flags(m, f"{what}: valid") for m in masks]
    for c in given:
        if c._missing is None:
            continue
        inside = c._valid is None or any(same(c._valid, m) for m in masks[:1])
        if len(masks) == 1 and c._valid is not None and inside and same(c._valid, masks[0]):
            masks = [c.present]
        else:
            masks.append(neither(c._missing))
    plain = [c._values if isinstance(c, NullableArray) else c for c in columns]
    if valid is not None and (wrong or not isinstance(valid, SecureArray)):
        return valid, plain  # the function says what is wrong with it
    return (_product(_different(masks)) if masks else None), plain


Function = TypeVar("Function", bound=Callable[..., Any])


def listwise(function: Function) -> Function:
    """For a function of columns (n,) with ``valid=``: rows in which one of them holds nothing do not count."""
    parameters = tuple(inspect.signature(function).parameters)
    what = function.__name__

    @functools.wraps(function)
    def honouring(*args: Any, **kwargs: Any) -> Any:
        if not any(isinstance(v, NullableArray) for v in (*args, *kwargs.values())):
            return function(*args, **kwargs)
        given = {**dict(zip(parameters, args, strict=False)), **kwargs}
        if len(args) > len(parameters):
            return function(*args, **kwargs)
        valid, plain = counted(what, given.pop("valid", None), *given.values())
        return function(**dict(zip(given, plain, strict=True)), valid=valid)

    made: Function = named_as(honouring, function)
    return made
