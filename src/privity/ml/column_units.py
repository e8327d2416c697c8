"""Columns in units of their own, for densities: centred, over a secret power of two next to the deviation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..array import SecureArray
from ..functions import max as highest
from ..functions import minimum
from ..functions.spread import guard_within
from ..given import one_column, the_columns
from ..mpc import spread as sums
from ..ring import exact, layout
from ..types import RANGE_BITS
from .normal_units import normalised, over_units

_LONG = 60  # bits of a product
_WIDEST = 30  # log2, at 24 fractional bits and two more, of what smoothing ends at
_LARGEST = 64.0  # of a variance that others are smoothed by, in units
_FAR = 12  # log2 of how many units a row may lie from the centre


@dataclass(frozen=True, slots=True)
class ColumnUnits:
    """``centre``, ``unit`` and ``inverse`` (1 / unit, exactly; 0 for constant columns), all (d,); flags ``varies``."""

    centre: SecureArray
    unit: SecureArray
    inverse: SecureArray
    varies: SecureArray
    exponent: SecureArray
    """log2 of the unit, whole numbers; 0 for constant columns."""

    @property
    def parts(self) -> tuple[SecureArray, ...]:
        """What makes them again, for a model that is saved."""
        return self.centre, self.unit, self.inverse, self.varies, self.exponent

    @staticmethod
    def of(
        what: str, x: SecureArray, valid: SecureArray | None, names: Sequence[str]
    ) -> tuple[SecureArray, ColumnUnits]:
        """x (n, d) in its units, at the session's fractional bits, and these. Costs as ``normalised``.

        ``names``: of the columns, for the guard of their digits.
        """
        bits = x._context.fraction_bits
        found = normalised(f"{what}: {one_column(names)}", x, valid)
        assert found.centre is not None
        context, spread = x._context, found._spread
        fine = _fine(found.centre)
        scale = _LONG - _FAR - fine
        inverse = SecureArray(context, spread.inverse(scale + spread.scale), scale, 2.0**_FAR)
        varies, exponent = SecureArray(context, spread.varies(), 0, 1.0), SecureArray(context, found.exponent, 0, 64.0)
        wide = min(spread.scale, 53 - exact.log2_ceil(2 * x.bound))
        unit = spread.deviation(wide)._stated(2 * x.bound)
        units = ColumnUnits(found.centre, unit, inverse, varies, exponent)
        return found.values.rescaled(min(found.values.scale, bits)).rescaled(bits), units

    def applied(self, what: str, x: SecureArray, valid: SecureArray | None, names: Sequence[str]) -> SecureArray:
        """Other rows x (n, d) in the same units, guarded to lie within 2^12 of them: 80 bytes per party and element."""
        context, proto = x._context, x._context.protocol
        reach = x.bound + self.centre.bound
        fine = _fine(self.centre)
        moved = (x.rescaled(fine) - self.centre.rescaled(fine))._stated(reach)
        moved = moved if valid is None else (moved * valid.reshape((-1, 1)))._stated(reach)
        unit = self.unit.rescaled(fine)
        hint = (
            f"{what}: values of {the_columns(names)} lie within 2^{_FAR} deviations of their mean in fit; leave out "
            "rows further away, or cut them with Clip"
        )
        guard_within(moved, unit, _FAR, self.varies, hint)
        wide, bits = layout.broadcast(moved.shape), context.fraction_bits
        # products of what lies within 2^12 units fit, whatever the bounds of both
        share = proto.mul(
            moved._ring_share(), self.inverse._ring_share().map(wide), max(0, fine + self.inverse.scale - bits)
        )
        return SecureArray(context, share, bits, exact.exp2(_FAR))

    def of_the_largest(self, variance: SecureArray, part: float) -> SecureArray:
        """``part`` of the largest of all columns' variances in the units of the data, in each column's own: (d,), from
        variances (d,) in these. At most 2^8. Relative error 2^-16. About 120 rounds."""
        context, proto = variance._context, variance._context.protocol
        off = 128.0 * (self.varies - 1)  # a constant column has no unit
        largest = highest((self.exponent + off)._stated(256.0))._fitted(self.exponent.shape)
        apart = proto.mul_public(proto.sub(largest, self.exponent._ring_share()), layout.constant(2))
        low = over_units(context, 1.0, proto.neg(apart), 0, 18)._stated(1.01)
        found = highest(variance.rescaled(18).multiply(low, scale=18)._stated(variance.bound))
        most = minimum(found, _LARGEST)._stated(_LARGEST)  # variances are about 1, more where few rows count
        each = over_units(context, part, apart, 0, 24, _WIDEST)._stated(exact.exp2(8))
        return each.multiply(most, scale=24)._stated(exact.exp2(8) * _LARGEST)

    def means(self, mean: SecureArray) -> SecureArray:
        """Means (k, d) in the units of the data, at 24 fractional bits or as many as their bound leaves."""
        context, proto = mean._context, mean._context.protocol
        size = exact.log2_ceil(self.centre.bound)
        fine = max(1, min(24, 56 - size))
        share = sums.long_product(
            proto, mean._ring_share(), self.unit._fitted(mean.shape), mean.scale + self.unit.scale - fine
        )
        return SecureArray(context, share, fine, exact.exp2(size + 1)) + self.centre.rescaled(fine)

    def variances(self, variance: SecureArray) -> SecureArray | None:
        """Variances (k, d) in squared units of the data, None where the square of the bound has no room."""
        context, proto = variance._context, variance._context.protocol
        size = exact.log2_ceil(self.unit.bound)
        if 2 * size > RANGE_BITS - 6:
            return None
        unit, middle = self.unit._fitted(variance.shape), 50 - size
        once = sums.long_product(proto, variance._ring_share(), unit, variance.scale + self.unit.scale - middle)
        fine = max(1, min(40, RANGE_BITS - 6 - 2 * size))
        share = sums.long_product(proto, once, unit, middle + self.unit.scale - fine)
        return SecureArray(context, share, fine, exact.exp2(2 * size + 2))


def _fine(centre: SecureArray) -> int:
    """Fractional bits of distances to the centre, so that 1 / unit has its digits beside them."""
    return max(1, min(centre.scale, _LONG - _FAR - 2 - exact.log2_ceil(2 * centre.bound)))
