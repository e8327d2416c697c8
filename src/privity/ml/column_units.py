"""Columns in units of their own, for models of densities: centred, over a secret power of two next to their deviation."""

from __future__ import annotations

from dataclasses import dataclass

from ..array import SecureArray
from ..functions.spread import guard_within
from ..mpc import spread as sums
from ..ring import exact, layout
from ..types import RANGE_BITS
from .normal_units import normalised

_LONG = 52  # bits of a factor of a long product, less its sign and one
_FAR = 12  # log2 of how many units a row may lie from the centre


@dataclass(frozen=True, slots=True)
class ColumnUnits:
    """``centre``, ``unit`` and ``inverse`` (1 / unit, exactly; 0 for constant columns), all (d,); flags ``varies``."""

    centre: SecureArray
    unit: SecureArray
    inverse: SecureArray
    varies: SecureArray

    @staticmethod
    def of(what: str, x: SecureArray, valid: SecureArray | None) -> tuple[SecureArray, ColumnUnits]:
        """x (n, d) in its units, at the session's fractional bits, and these. Costs as ``normalised``."""
        bits = x._context.fraction_bits
        found = normalised(what, x, valid, True)
        assert found.centre is not None
        varies = SecureArray(x._context, found._spread.varies(), 0, 1.0)
        units = ColumnUnits(found.centre, found.unit(), found.inverse(), varies)
        return found.values.rescaled(min(found.values.scale, bits)).rescaled(bits), units

    def applied(self, what: str, x: SecureArray, valid: SecureArray | None) -> SecureArray:
        """Other rows x (n, d) in the same units, guarded to lie within 2^12 of them: 100 bytes per party and element."""
        context, proto = x._context, x._context.protocol
        reach = x.bound + self.centre.bound
        fine = max(1, min(self.centre.scale, _LONG - exact.log2_ceil(reach)))
        moved = (x.rescaled(fine) - self.centre.rescaled(fine))._stated(reach)
        moved = moved if valid is None else (moved * valid.reshape((-1, 1)))._stated(reach)
        unit = self.unit.rescaled(fine)
        hint = f"{what}: x lies within 2^{_FAR} deviations of the mean of its column in fit: leave out rows far away"
        guard_within(moved, unit, _FAR, self.varies, hint)
        wide, bits = layout.broadcast(moved.shape), context.fraction_bits
        share = sums.long_product(
            proto, moved._ring_share(), self.inverse._ring_share().map(wide), fine + self.inverse.scale - bits
        )
        return SecureArray(context, share, bits, exact.exp2(_FAR))

    def means(self, mean: SecureArray) -> SecureArray:
        """Means (k, d) in the units of the data, at 24 fractional bits or as many as their bound leaves."""
        context, proto = mean._context, mean._context.protocol
        size = exact.log2_ceil(self.centre.bound)
        fine = max(1, min(24, _LONG + 4 - size))
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
        unit, middle = self.unit._fitted(variance.shape), _LONG - 2 - size
        once = sums.long_product(proto, variance._ring_share(), unit, variance.scale + self.unit.scale - middle)
        fine = max(1, min(40, RANGE_BITS - 6 - 2 * size))
        return SecureArray(
            context, sums.long_product(proto, once, unit, middle + self.unit.scale - fine), fine, exact.exp2(2 * size + 2)
        )
