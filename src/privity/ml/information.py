"""The inverse of an information matrix (X^T W X, a Hessian, a Gram matrix) on shares: Newton directions and variances.

The matrix is brought to a unit diagonal, so that units of the columns do not matter, and inverted by the
Newton-Schulz iteration X <- X (2a - a^2 S X), with factors a for a spectrum that is only known to lie in
[``least``, columns] (Pan and Schreiber 1991, section 3). It takes products of matrices alone: 6 rounds a step and about
14 steps, where a Cholesky factor waits about 38 rounds for each column.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..array import SecureArray
from ..errors import ShapeError
from ..functions import concatenate, rsqrt, sqrt
from ..given import the_columns
from ..mpc import roots as real_roots
from ..mpc.shares import Share
from ..ring import exact, layout
from ..types import RANGE_BITS
from .guards import Guards

LEAST = 2.0**-12
"""Eigenvalues of the matrix with unit diagonal must reach this: variance inflation factors up to 4096."""
SMALLEST_DIAGONAL = 2.0**-24
"""A column whose diagonal element is smaller counts as constant."""
_INFLATION = 4.0  # times 1 / least: the largest variance inflation factor that is accepted
_UNIT = 25  # fractional bits of the matrix with unit diagonal
_ROOT_BITS = 56  # of a diagonal element whose root is taken
_FINEST = 28  # fractional bits of the first, small iterates
_LARGEST_ERROR = 2.0**12  # of a coefficient, times the root of the rows over the residuals' deviation
_UNCERTAIN = "standard errors times the root of the rows: a column hardly varies; standardise the columns, or drop it"
_ROOTS, _ROOT_FINE = 46, 8  # bits of numbers whose roots are taken together, and fractional bits of these beside half
_TOLERANCE = 2.0**-6  # of S X = 1: in every element, and of the number of directions that are not resolved


def lifted(x: SecureArray, power: int) -> SecureArray:
    """x * 2^power exactly: the same ring integers read at another scale. Local."""
    scale = x.scale - power
    if scale >= 1:
        return SecureArray(x._context, x._ring_share(), scale, x.bound * 2.0**power)
    whole = SecureArray(x._context, x._ring_share(), 1, x.bound * 2.0 ** (x.scale - 1))
    return whole.multiply(np.asarray(2 ** (1 - scale)))


def matrix_scale(bound: float) -> int:
    """Most fractional bits at which ``Information`` takes a matrix with |elements| <= bound."""
    magnitude = exact.log2(max(bound, 1.0))
    return min(36, math.floor(RANGE_BITS - 1 - 18 - magnitude / 2), math.floor(_ROOT_BITS - magnitude))


class Information:
    """The inverse of a symmetric positive definite matrix (d, d) on shares, as R Y R with R = diag(matrix)^(-1/2).

    ``kept`` (d,): 1 for the columns that take part, 0 for constant ones, whose row of the inverse is 0; None: those
    count as constant whose diagonal element is below 2^-24. ``roots`` (d,), beside ``kept``: diag(matrix)^(-1/2) where
    it is known already, which saves about 45 rounds. Nothing is opened here; ``guard`` adds to the session's
    range flag whether the matrix was (nearly) singular, a variance inflation factor passed 4 / ``least``, or a column
    that is kept has a smaller element.

    Error: S Y differs from 1 by at most about 2^-24 sqrt(d) |Y|, so a variance is off by a relative 2^-12 at worst
    (where an eigenvalue of S is as small as ``least``), and below 2^-20 where columns are hardly correlated.
    Rounds: about 60 and 6 a step (14 steps for 64 columns). Bytes per party: about 21 d^2 a step.
    """

    def __init__(
        self,
        matrix: SecureArray,
        least: float = LEAST,
        kept: SecureArray | None = None,
        roots: SecureArray | None = None,
    ) -> None:
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
            raise ShapeError(f"Information: expected a square matrix, got shape {matrix.shape}")
        self._context = matrix._context
        self.size = matrix.shape[0]
        matrix = matrix.rescaled(min(matrix.scale, matrix_scale(matrix.bound)))
        self._lost: SecureArray | None = None
        if roots is not None and kept is not None:
            varies = kept
        else:
            index = np.arange(self.size)
            diagonal = matrix[index, index]
            varies = (diagonal >= SMALLEST_DIAGONAL).numeric()
            if kept is not None:
                varies = (varies * kept)._stated(1.0)
                self._lost = (kept - varies)._stated(1.0).sum()
            roots = rsqrt(diagonal)._stated(1.001 / math.sqrt(SMALLEST_DIAGONAL))
        self.roots = varies.multiply(roots, scale=roots.scale)._stated(roots.bound)
        self._unit = self._with_unit_diagonal(matrix, varies)
        self._least = least
        self._inverse, self._inverse_scale = self._inverted(least)

    def solve(self, gradient: SecureArray, scale: int, bound: float) -> SecureArray:
        """matrix^-1 @ gradient (d,) at ``scale`` fractional bits, known to lie below ``bound``. Nine rounds."""
        proto = self._context.protocol
        scaled = self._scaled(gradient, 26)
        cut = self._inverse_scale + 26 - 24
        column = scaled.map(layout.reshape((self.size, 1)))
        share = proto.matmul(self._inverse, column, cut).map(layout.reshape((self.size,)))
        # |R^-1 result| = result times a standard deviation: it has room below 2^13.
        result = proto.mul(share, self.roots._ring_share(), 24 + self.roots.scale - scale)
        return SecureArray(self._context, result, scale, bound)

    def unit(self, gradient: SecureArray, scale: int) -> SecureArray:
        """diag(matrix)^(-1/2) * gradient: free of the columns' units. Three rounds."""
        return SecureArray(self._context, self._scaled(gradient, scale), scale, 2.0**11)

    def _scaled(self, gradient: SecureArray, scale: int) -> Share:
        proto = self._context.protocol
        cut = gradient.scale + self.roots.scale - scale
        return proto.mul(gradient._ring_share(), self.roots._ring_share(), cut)

    def diagonal(self) -> SecureArray:
        """Diagonal of the inverse of the matrix with unit diagonal (d,): variance inflation factors. Local."""
        index = np.arange(self.size)
        share = self._inverse.map(layout.take((index, index)))
        return SecureArray(self._context, share, self._inverse_scale, _INFLATION / self._least)

    def standard_errors(self, factor: float, dispersion: SecureArray | None = None) -> SecureArray:
        """sqrt(factor * dispersion * diag(matrix^-1)) (d,), 0 for constant columns; ``dispersion``: secret scalar or 1.

        Relative error: 2^-18 plus half that of the inverse. About 50 rounds.
        """
        each = sqrt(self.diagonal()).multiply(self.roots, scale=22).assume_bound(_LARGEST_ERROR, _UNCERTAIN)
        if dispersion is not None:
            spare = max(0, min(8, (dispersion.scale - 2) // 2, math.floor(8 - exact.log2(dispersion.bound) / 2)))
            root = lifted(sqrt(lifted(dispersion, 2 * spare)), -spare)
            each = each.multiply(root, scale=24)
        return each.multiply(math.sqrt(factor), scale=min(30, 24 - math.floor(exact.log2(factor) / 2)))

    def deviations(
        self, factor: float, dispersion: SecureArray, direction: SecureArray | None
    ) -> tuple[SecureArray, SecureArray | None]:
        """``standard_errors`` (d,) for a ``dispersion`` () of at least 0, and sqrt(factor * dispersion * v^T matrix^-1
        v) (1,) for a ``direction`` v (d,) of length 1 at most: all roots in one run, about 60 rounds.
        """
        proto, n = self._context.protocol, self.size
        given = [(self.diagonal()._ring_share(), self._inverse_scale)]
        room = _ROOTS - 1 - exact.log2_ceil(max(dispersion.bound, 1.0))
        dispersion = dispersion.rescaled(min(dispersion.scale, room))
        given.append((dispersion.reshape((1,))._ring_share(), dispersion.scale))
        if direction is not None:
            given.append((self._square_along(direction), 30))
        # as ring integers: their roots have half the scale, and _ROOT_FINE bits more
        even = [proto.mul_public(share, layout.constant(1 << (scale % 2))) for share, scale in given]
        found = real_roots.sqrt(proto, proto.concatenate(even, 0), 0, _ROOTS, _ROOT_FINE)
        bounds = (_INFLATION / self._least, dispersion.bound, exact.exp2(16))
        roots, start = [], 0
        for (share, scale), bound in zip(given, bounds, strict=False):
            place = layout.take(slice(start, start + share.shape[0]))
            start += share.shape[0]
            half = (scale + 1) // 2 + _ROOT_FINE
            roots.append(SecureArray(self._context, found.map(place), half, math.sqrt(bound) * 1.001))
        each = roots[0].multiply(self.roots, scale=22).assume_bound(_LARGEST_ERROR, _UNCERTAIN)
        each = each if direction is None else concatenate([each, roots[2].rescaled(min(22, roots[2].scale))])
        room = RANGE_BITS - 1 - 22 - exact.log2_ceil(_LARGEST_ERROR * max(1.0, roots[1].bound))
        each = each.multiply(roots[1].rescaled(min(26, room, roots[1].scale)), scale=24)
        each = each.multiply(math.sqrt(factor), scale=min(30, 24 - math.floor(exact.log2(factor) / 2)))
        return each[:n], None if direction is None else each[n:]

    def _square_along(self, direction: SecureArray) -> Share:
        """v^T matrix^-1 v (1,) at 30 bits, for v (d,) of length 1 at most."""
        proto, d = self._context.protocol, self.size
        scaled = self._scaled(direction, 22)
        turned = proto.matmul(self._inverse, scaled.map(layout.reshape((d, 1))), self._inverse_scale)
        row = layout.reshape((1, d))
        return proto.dot(scaled.map(row), turned.map(row), 14)

    def covariance(self, scale: int = 22, bound: float = 2.0**17) -> SecureArray:
        """The inverse (d, d), whose elements are known not to pass ``bound``. Six rounds."""
        proto = self._context.protocol
        roots = self.roots._ring_share()
        square = layout.broadcast((self.size, self.size))
        rows = roots.map(layout.then(layout.reshape((self.size, 1)), square))
        columns = roots.map(layout.then(layout.reshape((1, self.size)), square))
        half = proto.mul(self._inverse, rows, self._inverse_scale + self.roots.scale - scale)
        return SecureArray(self._context, proto.mul(half, columns, self.roots.scale), scale, bound)

    def guard(self, what: str, names: Sequence[str], guards: Guards | None = None) -> None:
        """Ask ``guards`` (None: of its own) for S Y = 1: in every element, and in the trace, which counts unresolved
        directions; and for variance inflation that can be told. ``names``: of the columns."""
        if guards is None:
            own = Guards(self._context)
            self.guard(what, names, own)
            return own.ask()
        most = _INFLATION / self._least
        hint = (
            f"{what}: {the_columns(names)} do not follow from each other (variance inflation at most {most:,.0f}); "
            "drop one of those that do, or set a penalty where there is one"
        )
        proto, n = self._context.protocol, self.size
        share = proto.matmul(self._unit, self._inverse, _UNIT + self._inverse_scale - 20)
        rest = SecureArray(self._context, share, 20, 2.0**20) - np.eye(n)
        index = np.arange(n)
        both = concatenate([rest.reshape((-1,)), rest[index, index].sum().reshape((1,))])
        limit = -int(_TOLERANCE * exact.exp2(both.scale))
        for share in (both._ring_share(), (-both)._ring_share()):
            guards.at_least(share, limit, hint)
        guards.at_least(
            proto.neg(self.diagonal()._ring_share()), -int(most * exact.exp2(self._inverse_scale)),
            hint,
        )  # fmt: skip
        if self._lost is not None:
            hint = (
                f"{what}: {the_columns(names)} vary enough to be resolved, or not at all; standardise them, or drop "
                "one that hardly varies"
            )
            self._context.guard(self._lost._ring_share(), hint)

    # -- inside --------------------------------------------------------------------------------------------------

    def _with_unit_diagonal(self, matrix: SecureArray, varies: SecureArray) -> Share:
        """S = R matrix R at _UNIT bits; 1 on the diagonal of constant columns.

        |R matrix| stays below the root of the matrix' bound and |S| below 1 by the Cauchy-Schwarz inequality.
        """
        proto, n = self._context.protocol, self.size
        roots, fine = self.roots._ring_share(), _UNIT + 4
        square = layout.broadcast((n, n))
        rows = roots.map(layout.then(layout.reshape((n, 1)), square))
        columns = roots.map(layout.then(layout.reshape((1, n)), square))
        half = proto.mul(rows, matrix._ring_share(), max(0, matrix.scale + self.roots.scale - fine))
        have = min(fine, matrix.scale + self.roots.scale)
        unit = proto.mul(half, columns, have + self.roots.scale - _UNIT)
        constant = proto.add_public(proto.neg(varies._ring_share()), layout.constant(1))
        one = proto.mul_public(constant, layout.constant(1 << _UNIT))
        spread = one.map(layout.then(layout.reshape((n, 1)), square))
        return proto.add(unit, proto.mul_public(spread, layout.identity(n, 0)))

    def _inverted(self, least: float) -> tuple[Share, int]:
        """(S^-1, its fractional bits): ``spectrum`` bounds the eigenvalues of S Y from below, step after step."""
        proto, n = self._context.protocol, self.size
        start = 0.98 / n  # eigenvalues of S lie below its trace, n
        bound, spectrum = start, start * least
        scale = _FINEST
        y = proto.public(layout.constant(round(start * 2.0**scale)) * layout.identity(n, 0))
        while spectrum < 1 - 2.0**-30:
            eighths = max(8, min(15, math.floor(16 / (1 + spectrum)))) if spectrum < 0.9 else 8
            a = eighths / 8
            bound = min(bound * 2 * a, 1.0 / least)
            product_scale = min(30, RANGE_BITS - 1 - scale - exact.log2_ceil(max(bound, 1.0)))
            square, cut = (1, 0) if eighths == 8 else (eighths * eighths, 6)
            product = proto.matmul(self._unit, y, _UNIT + scale + cut - product_scale, square)
            twice = layout.identity(n, product_scale) * layout.constant(eighths)
            twice = twice // layout.constant(4)
            rest = proto.add_public(proto.neg(product), twice)
            wanted = min(_FINEST, (RANGE_BITS - 1 - exact.log2_ceil(max(bound, 1.0))) // 2)
            y = proto.matmul(y, rest, scale + product_scale - wanted)
            scale = wanted
            plain = 1 - exact.square(1 - spectrum)
            spectrum = min(2 * a * spectrum - exact.square(a * spectrum), 2 * a - a * a) if a > 1 else plain
        return y, scale
