"""What an owner shares for its rows of a table: cells by the agreed columns, checked, padded, empty ones marked.

Numbers are divided by their column's public unit (a power of two at least as large as its bound), so that they lie in
[-1, 1]; whole numbers are shared as they are, exact up to 2^53. Local counts, sums and sums of squares go beside the
rows: these are exact in float64 at the owner, and nothing can overflow. Categories travel as whole codes, empty cells
as a mask beside a 0. In rows that are not real every value is 0. Masks and binary labels are booleans, so that they are
0 or 1 whatever an owner puts in.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import DataError, UsageError
from .fields import FEATURE_BITS, WHOLE_BITS, Field, TableInfo
from .frames import cells_by_name, is_frame
from .functions.spread import exact_sums
from .given import shown
from .inputs import Declared, Input
from .ring import prg

KEY_BITS = 48
"""Bits in each of the two words of a key's fingerprint."""

_EXPECTED = {"binary": "0 or 1", "number": "a number", "integer": "a whole number"}


def table_inputs(
    info: TableInfo,
    features: Any,
    label: Any = None,
    keys: npt.NDArray[np.uint64] | None = None,
    note: Callable[[str], None] | None = None,
) -> dict[str, Input]:
    """What an owner shares for its rows.

    ``features``: a data frame (pandas, polars, or what has ``columns`` and gives one by name), or an array (rows, d)
    with columns as in ``info.fields``: numbers in their own units, codes of categories, numbers of bins, NaN for an
    empty cell. Columns of a frame are taken *by name*, in any order; others are left alone; categories are words of the
    schema, and None, NaN, NA and NaT are empty cells. ``label`` (rows,): None for the frame's own column of that name.
    ``keys`` (rows, 2): fingerprints; padding rows get random ones, which match nothing. ``note`` is told of
    bounds that are far too large (None: a UserWarning); it stays with the owner.

    Raises DataError if there are more rows than the capacity, for features, labels or keys of another shape, for a
    column that the frame lacks, an empty cell in a column without gaps, a cell beyond its column's bound, a whole
    number that is none or passes 2^53, a word that is no category, or a label that does not fit its kind.
    """
    if not isinstance(info, TableInfo):
        raise UsageError(f"table_inputs: expected info as a TableInfo, got {shown(info)}")
    if is_frame(features):
        cells, own = cells_by_name(info, features, with_label=label is None)
        label = own if label is None else label
    else:
        cells = _numbers(features, f"table {info.name!r}: features", (None, len(info.fields)))
    rows = len(cells)
    capacity = rows if info.capacity is None else info.capacity
    if rows > capacity:
        raise DataError(f"table {info.name!r}: {rows} rows, but the agreed capacity is {capacity} rows per owner")
    own_label = None
    if info.label is not None:
        if label is None:
            raise DataError(f"table {info.name!r}: no label; give the column {info.label.name!r} as label=")
        own_label = _numbers(label, f"table {info.name!r}, label {info.label.name!r}", (rows,))
    gaps = np.isnan(cells)
    for field, empty, column in zip(info.fields, gaps.T, cells.T, strict=True):
        if empty.any() and not field.missing:
            raise DataError(
                f"table {info.name!r}, column {field.name!r}: {int(empty.sum())} empty cells, but its schema does not "
                "say missing = true; fill them in or have the schema changed for all owners"
            )
        _check_cells(info, field, column)
    filled = np.where(gaps, 0.0, cells)
    _tell_loose_bounds(info, filled, own_label, note)
    at = {f.name: i for i, f in enumerate(info.fields)}

    def block(fields: Sequence[Field], values: npt.NDArray[Any], dtype: Any) -> npt.NDArray[Any]:
        padded = np.zeros((capacity, len(fields)), dtype)
        padded[:rows] = values[:, [at[f.name] for f in fields]]
        return padded

    inputs: dict[str, Input] = {}
    if info.numbers:
        units = block(info.numbers, filled / np.asarray([f.unit for f in info.fields]), np.float64)
        present = rows - gaps[:, [at[f.name] for f in info.numbers]].sum(0)
        # as other numbers are encoded
        rounded = np.rint(np.ldexp(np.clip(units, -1, 1), FEATURE_BITS)).astype(np.int64)
        # a whole number k is the ring integer k: at FEATURE_BITS fractional bits that is k / 2^FEATURE_BITS
        shared = units * np.asarray([f.unit / _shared_unit(f) for f in info.numbers])
        inputs["features"] = Input(shared, bound=_largest_shared(info), scale=FEATURE_BITS)
        inputs["moments"] = Input(exact_sums(rounded, present), bound=_largest_sum(capacity))
    if info.coded:
        inputs["codes"] = Input(block(info.coded, filled, np.int64), bound=_largest_code(info))
    if info.gappy:
        inputs["missing"] = Input(block(info.gappy, gaps, np.bool_))
    if info.capacity is not None:
        inputs["valid"] = Input(np.arange(capacity) < rows)
    if info.label is not None:
        assert own_label is not None
        inputs["label"] = _label_input(info, info.label, own_label, capacity)
    if info.keyed:
        if keys is None:
            raise DataError(
                f"table {info.name!r}: its rows are linked by keys, but none were given; make them with "
                "privity.data.keys.fingerprints"
            )
        random = prg.Stream(prg.new_seed()).words(2 * capacity).reshape(capacity, 2)
        words = (random >> np.uint64(64 - KEY_BITS)).astype(np.int64)
        words[:rows] = _key_words(info, keys, rows)
        inputs["keys"] = Input(words, bound=2.0**KEY_BITS)
    return {f"{info.name}.{part}": x for part, x in inputs.items()}


def _numbers(given: Any, what: str, shape: tuple[int | None, ...]) -> npt.NDArray[np.float64]:
    """As float64 of this shape, whatever else was given (None: any length). Raises DataError: nothing is repeated,
    reshaped or filled up, since that would be other rows than the owner has."""
    axes = ", ".join("rows" if n is None else str(n) for n in shape)
    expected = f"numbers of shape ({axes}{',' * (len(shape) == 1)})"
    try:
        raw = np.asarray(given)
        if raw.dtype.kind in "cmMV":  # complex numbers and dates would become others
            raise ValueError
        found = np.asarray(given, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{what}: expected {expected}, got what cannot be read as such") from None
    if found.ndim == len(shape) - 1 and shape == (None, 1):
        found = found.reshape(-1, 1)
    if found.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, found.shape, strict=True)):
        raise DataError(f"{what}: expected {expected}, one for each row, got shape {found.shape}")
    if raw.dtype.kind in "iu" and raw.size and max(int(raw.max()), -int(raw.min())) > 1 << WHOLE_BITS:
        raise DataError(f"{what}: whole numbers beyond 2^{WHOLE_BITS} are not exact in float64; scale such a column")
    return found


def _key_words(info: TableInfo, keys: Any, rows: int) -> npt.NDArray[np.int64]:
    """Fingerprints (rows, 2), each word below 2^KEY_BITS. Raises DataError."""
    found = np.asarray(keys)
    if found.shape != (rows, 2) or found.dtype.kind not in "iu" or ((found < 0) | (found >= 1 << KEY_BITS)).any():
        raise DataError(
            f"table {info.name!r}: expected keys of shape ({rows}, 2), whole numbers from 0 to 2^{KEY_BITS} - 1, as "
            f"privity.data.keys.fingerprints makes them, got {found.dtype} of shape {found.shape}"
        )
    return found.astype(np.int64)


def table_shapes(info: TableInfo, rows: int) -> dict[str, Declared]:
    """What an owner of ``rows`` rows would declare: ``table_inputs`` without the data."""
    capacity = rows if info.capacity is None else info.capacity
    d = len(info.numbers)
    shapes: dict[str, Declared] = {}
    if d:
        shapes["features"] = Declared((capacity, d), _largest_shared(info), FEATURE_BITS)
        shapes["moments"] = Declared((4, d), _largest_sum(capacity), 0)
    if info.coded:
        shapes["codes"] = Declared((capacity, len(info.coded)), _largest_code(info), 0)
    if info.gappy:
        shapes["missing"] = Declared((capacity, len(info.gappy)), 1.0, 0, True)
    if info.capacity is not None:
        shapes["valid"] = Declared((capacity,), 1.0, 0, True)
    if info.label is not None:
        shapes["label"] = Declared((capacity,), *_label_form(info.label))
    if info.keyed:
        shapes["keys"] = Declared((capacity, 2), 2.0**KEY_BITS, 0)
    return {f"{info.name}.{part}": shape for part, shape in shapes.items()}


def _shared_unit(field: Field) -> float:
    """By what a number is divided before it is shared at FEATURE_BITS."""
    return field.unit if field.whole_bits is None else float(1 << FEATURE_BITS)


def _largest_shared(info: TableInfo) -> float:
    """Bound on what is shared of all numbers: 1, or more for whole numbers beyond 2^FEATURE_BITS."""
    return float(max([1.0, *(f.unit / _shared_unit(f) for f in info.numbers)]))


def _largest_sum(rows: int) -> float:
    return float(max(4, rows)) * 2.0**FEATURE_BITS


def _largest_code(info: TableInfo) -> float:
    return float(max([1, *(len(f.categories) - 1 for f in info.coded)]))


def _check_cells(info: TableInfo, field: Field, cells: npt.NDArray[np.float64]) -> None:
    """Raises DataError for the first cell that its field does not allow; NaN is an empty one."""
    most = float(len(field.categories) - 1) if field.coded else min(field.bound, field.unit)
    whole = field.coded or field.whole_bits is not None
    if field.whole_bits is not None:
        most = min(most, float(1 << WHOLE_BITS))
    wrong = np.abs(cells) > most
    if whole:
        wrong |= cells != np.rint(cells)  # NaN, too, but that is no cell
    if field.coded or field.kind == "binary":
        wrong |= cells < 0
    found = np.flatnonzero(wrong & ~np.isnan(cells))
    if not len(found):
        return
    expected = f"a code from 0 to {most:.17g}" if field.coded else _EXPECTED[field.kind]
    if field.kind in ("number", "integer"):
        expected += f" of at most {most:.17g} (the column's public bound)"
    raise DataError(
        f"table {info.name!r}, column {field.name!r}: expected {expected}, found {float(cells[found[0]])!r} in row "
        f"{int(found[0]) + 1} ({len(found)} such rows); correct them, or have the schema changed for all owners"
    )


LOOSE = 1000.0
"""A bound of more than this many times a column's largest value is told to its owner."""


def _tell_loose_bounds(
    info: TableInfo,
    features: npt.NDArray[np.float64],
    label: npt.NDArray[np.float64] | None,
    note: Callable[[str], None] | None,
) -> None:
    """Tell the owner, and nobody else, of bounds that are far above all its values: digits of the unit are lost."""
    columns = [(f, features[:, i]) for i, f in enumerate(info.fields)]
    if info.label is not None and label is not None:
        columns.append((info.label, label))
    for field, values in columns:
        largest = float(np.abs(values).max(initial=0.0))
        if field.kind in ("number", "integer") and 0 < largest * LOOSE < field.bound:
            text = (
                f"table {info.name!r}, column {field.name!r}: its bound is {field.bound:g}, but the largest value "
                f"here is {largest:g}; numbers are shared in units of 2^-{FEATURE_BITS} of the bound. If no owner has "
                "larger ones, agree on a smaller bound"
            )
            if note is None:
                warnings.warn(text, UserWarning, stacklevel=3)
            else:
                note(text)


def _label_input(info: TableInfo, field: Field, label: npt.NDArray[np.float64], capacity: int) -> Input:
    whole = np.isin(label, (0.0, 1.0)) if field.kind == "binary" else label == np.rint(label)
    allowed = whole | (field.kind == "number")
    wrong = np.flatnonzero(np.isnan(label) | ~(np.abs(label) <= field.bound) | ~allowed)
    if len(wrong):
        expected = _EXPECTED.get(field.kind, "a category")
        raise DataError(
            f"table {info.name!r}, label {field.name!r}: expected {expected}, found {float(label[wrong[0]])!r} in row "
            f"{int(wrong[0]) + 1} ({len(wrong)} such rows); correct them, or correct the label's kind and bound"
        )
    kinds: dict[str, Any] = {"number": np.float64, "binary": np.bool_}
    padded: npt.NDArray[Any] = np.zeros(capacity, kinds.get(field.kind, np.int64))
    padded[: len(label)] = label / field.unit if field.kind == "number" else label
    return Input(padded, *_label_form(field)[:2])


def _label_form(field: Field) -> tuple[float, int, bool]:
    """Bound and scale of a label's shares, and whether they are those of booleans."""
    if field.kind == "number":
        return 1.0, FEATURE_BITS, False
    if field.kind == "binary":
        return 1.0, 0, True
    return float(max(1, len(field.categories) - 1)) if field.coded else max(field.bound, 1.0), 0, False
