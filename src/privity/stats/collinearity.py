"""How much columns repeat each other: variance inflation factors."""

from __future__ import annotations

from ..array import SecureArray
from ..errors import ShapeError
from ..functions.spread import correlations, spread_of
from ..ml.information import Information, matrix_scale
from ..ml.parameters import arguments
from .sample import Estimate, cells, of_columns


@arguments
@of_columns(by_cell=False)
def variance_inflation(x: SecureArray, *, valid: SecureArray | None = None) -> Estimate:
    """1 / (1 - R^2) of each column of x (n, d) regressed on the others: (d,); ``valid`` (n,). 1 for a constant column.

    The diagonal of the inverse correlation matrix. Error: a relative 2^-12 up to factors of 4096; beyond that, or for
    columns that determine each other, RangeViolated at the next opening: drop one of them. Rounds: about 150.
    """
    if x.ndim != 2 or x.shape[1] < 2:
        raise ShapeError(f"variance_inflation: expected x of shape (n, d) with at least two columns, got {x.shape}")
    given = cells("variance_inflation", x, valid, by_cell=False)
    centred = given.centred()
    found = spread_of(centred)
    found.refuse("variance_inflation")
    # Correlations; a constant column has 0 on the diagonal too, which Information takes as such.
    information = Information(correlations(centred, found, matrix_scale(1.01)))
    information.guard("variance_inflation", [str(i) for i in range(x.shape[1])])  # by position
    counts = given.counts
    return Estimate(information.diagonal(), counts if isinstance(counts, int) else counts.reshape(()))
