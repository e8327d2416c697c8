"""NumPy's names that secret arrays do not have, each with the reason and what to do instead."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


def _table() -> dict[str, str]:
    found: dict[str, str] = {}
    for reason, names in _GROUPS:
        found |= dict.fromkeys(names.split(), reason)
    return found | _SINGLE


_GROUPS = (
    (
        "the shape of its result would tell which values there are; keep the full shape and carry a secret mask "
        "(np.where)",
        "nonzero argwhere flatnonzero trim_zeros union1d intersect1d setdiff1d setxor1d unique unique_all "
        "unique_counts unique_inverse unique_values",
    ),
    (
        "secret arrays never change in place; build a new one with np.where or np.concatenate",
        "copyto put put_along_axis putmask place fill_diagonal insert",
    ),
    (
        "it would write or show secret values; open them first with s.reveal, or keep them in the session",
        "save savetxt savez savez_compressed datetime_as_string",
    ),
    (
        "it is about the bits of machine numbers; secret arrays are fixed-point, int or bool (x.kind, x.scale, "
        "x.astype)",
        "copysign nextafter spacing frexp ldexp modf isnat bitwise_count packbits unpackbits can_cast "
        "common_type min_scalar_type result_type real_if_close shares_memory may_share_memory isdtype issubdtype",
    ),
    (
        "indices and sizes must be public NumPy arrays or numbers",
        "ix_ unravel_index ravel_multi_index diag_indices_from tril_indices_from triu_indices_from linspace "
        "logspace geomspace busday_count busday_offset is_busday",
    ),
    (
        "it would leave the accuracy that Privity states; let each owner apply it before sharing, or fit a "
        "polynomial on your range (np.polyval with a secret x)",
        "arccos arccosh arcsin arcsinh arctan arctan2 arctanh acos acosh asin asinh atan atan2 atanh i0 sinc",
    ),
    (
        "secrets are real; multiply by public cosine and sine matrices instead",
        "fft.fft fft.fft2 fft.fftn fft.hfft fft.ifft fft.ifft2 fft.ifftn fft.ihfft fft.irfft fft.irfft2 "
        "fft.irfftn fft.rfft fft.rfft2 fft.rfftn angle unwrap sort_complex",
    ),
    (
        "polynomials with secret coefficients have no class of their own; add, np.convolve and np.polyval do the "
        "work",
        "poly polyadd polyder polydiv polyfit polyint polymul polysub roots vander",
    ),
    (
        "Python functions cannot run on secrets element by element; write it with arrays, np.where and the axis= "
        "of functions",
        "apply_along_axis apply_over_axes piecewise",
    ),
    (
        "it needs rotations and data-dependent pivots that have no stated accuracy on shares; for symmetric "
        "positive definite systems use privity's linear algebra, else open a covariance matrix that may be opened",
        "linalg.cond linalg.det linalg.eig linalg.eigvals linalg.eigvalsh linalg.matrix_rank linalg.pinv "
        "linalg.qr linalg.slogdet linalg.svd linalg.svdvals linalg.tensorinv linalg.tensorsolve",
    ),
    (
        "it only plans or formats and takes plain values",
        "einsum_path",
    ),
)

_SINGLE = {
    "cbrt": "use np.sign(x) * abs(x) ** (1 / 3)",
    "tan": "it has poles; use np.sin(x) / np.cos(x) where the cosine is known to stay away from 0",
    "sinh": "use (np.exp(x) - np.exp(-x)) / 2",
    "cosh": "use (np.exp(x) + np.exp(-x)) / 2",
    "gcd": "let each owner compute it before sharing",
    "lcm": "let each owner compute it before sharing",
    "logaddexp2": "use np.logaddexp, which is in natural logarithms",
    "choose": "use np.select with conditions, or np.where",
    "interp": "count the edges below x (x[..., None] >= edges) and combine the public table with them",
    "gradient": "use np.diff, or slices: (x[2:] - x[:-2]) / (2 * h)",
    "ediff1d": "use np.diff on x.ravel()",
    "cumprod": "use np.exp(np.cumsum(np.log(x))) for positive x, or np.prod",
    "cumulative_prod": "use np.exp(np.cumsum(np.log(x))) for positive x, or np.prod",
    "cumproduct": "use np.exp(np.cumsum(np.log(x))) for positive x, or np.prod",
    "msort": "use np.sort(x, axis=0)",
    "asfarray": "use x.astype(float)",
    "nancumprod": "use np.prod",
    "meshgrid": "use x[:, None] and y[None, :]: operators broadcast",
    "partition": "use np.sort",
    "argpartition": "use np.argsort",
    "lexsort": "sort by one key after the other, the least important first: the sort is stable",
    "histogramdd": "use one np.histogram per column, or comparisons with public edges and a sum",
    "histogram2d": "use comparisons with public edges and a matrix product of the two one-hot arrays",
    "histogram_bin_edges": "edges must be public: state them",
    "linalg.lstsq": "use privity.lstsq(x, y, ridge=...), which gives the coefficients",
    "linalg.eigh": "use privity.top_eigenvectors(a, count)",
    "linalg.matrix_power": "use x @ x",
    "linalg.multi_dot": "use x @ y @ z",
}

REFUSED: Mapping[str, str] = MappingProxyType(_table())
"""NumPy's name -> why not, and what to do instead."""
