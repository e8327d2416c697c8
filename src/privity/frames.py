"""Data frames of an owner's: columns by name, words of categories as codes, every sign of an empty cell as NaN.

No library of data frames is imported: a frame is what has ``columns`` and gives one of them by its name, as those of
pandas, polars and pyarrow do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import DataError
from .fields import WHOLE_BITS, Field, TableInfo

Floats = npt.NDArray[np.float64]

_MOST_LISTED = 8
_MOST_WHOLE = f"a whole number of at most 2^{WHOLE_BITS}"
_LONGEST_SHOWN = 60
_WHOLE = bool | int | np.bool_ | np.integer
_NUMBERS = bool | int | float | np.bool_ | np.integer | np.floating


def is_frame(x: Any) -> bool:
    """Whether x has columns with names, and gives them by name."""
    return not isinstance(x, np.ndarray) and hasattr(x, "columns") and hasattr(x, "__getitem__")


def cells_by_name(info: TableInfo, frame: Any, *, with_label: bool) -> tuple[Floats, Floats | None]:
    """Features (rows, d) in the order of ``info``, and its label (rows,) where ``with_label`` and it has one.

    Columns that the table does not describe are left alone. Raises DataError for one that the frame lacks or has twice,
    and for a cell that is no number, no word of its categories, or a whole number beyond 2^53.
    """
    names = _names(frame)
    wanted = [*info.fields, *([info.label] if with_label and info.label is not None else [])]
    lacking = [f.name for f in wanted if f.name not in names]
    if lacking:
        raise DataError(
            f"table {info.name!r}: the data frame lacks {', '.join(map(repr, lacking))}; its columns: "
            f"{', '.join(map(str, names)) or 'none'}. Columns are taken by name, in any order: rename them"
        )
    twice = [f.name for f in wanted if names.count(f.name) > 1]
    if twice:
        raise DataError(f"table {info.name!r}: the data frame has several columns named {', '.join(map(repr, twice))}")
    columns = [_column(info, f, frame[f.name]) for f in info.fields]
    cells = np.stack(columns, axis=1) if columns else np.zeros((len(frame), 0))
    label = _column(info, info.label, frame[info.label.name]) if with_label and info.label is not None else None
    return cells, label


def _names(frame: Any) -> list[Any]:
    given = getattr(frame, "column_names", None)  # pyarrow: ``columns`` are the values
    return list(frame.columns if given is None else given)


def _column(info: TableInfo, field: Field, series: Any) -> Floats:
    values = _plain(series)
    if values.dtype.kind in "biuf" and not field.coded:
        if values.dtype.kind in "iu":
            _exact(info, field, values)
        return values.astype(np.float64)
    listed = values.tolist()
    # beside words a number is none of the codes: the column mixes kinds
    read = _number if not field.coded else _word if any(isinstance(v, str) for v in listed) else _code
    out = np.full(len(values), np.nan)
    for i, value in enumerate(listed):
        if not _empty(value):
            out[i] = read(info, field, value, i)
    return out


def _plain(series: Any) -> npt.NDArray[Any]:
    """A column as an array: of numbers or booleans where it has a plain type, else of objects."""
    dtype = getattr(series, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf":
        return np.asarray(series)
    listed = series.to_pylist() if hasattr(series, "to_pylist") else list(series)
    made = np.empty(len(listed), object)
    made[:] = listed
    return made


def _empty(value: Any) -> bool:
    """None, pandas' NA, and what is not equal to itself: NaN, NaT."""
    if value is None or type(value).__name__ == "NAType":
        return True
    try:
        differs = value != value
        return isinstance(differs, bool | np.bool_) and bool(differs)  # arrays compare element by element
    except Exception:  # objects that will not say: they are no cells, and refused by their kind
        return False


def _number(info: TableInfo, field: Field, value: Any, row: int) -> float:
    if isinstance(value, int | np.integer) and abs(int(value)) > 1 << WHOLE_BITS:
        raise _wrong(info, field, _MOST_WHOLE, value, row)
    if isinstance(value, _NUMBERS):
        return float(value)
    expected = {"integer": "a whole number", "binary": "0 or 1"}.get(field.kind, "a number")
    raise _wrong(info, field, expected, value, row)


def _code(info: TableInfo, field: Field, value: Any, row: int) -> float:
    """As ``_word``; where no category reads as a number, a whole number is a code."""
    words = field.categories
    if _is_whole(value) and 0 <= value < len(words) and not any(map(_reads_as_number, words)):
        return float(value)
    return _word(info, field, value, row)


def _is_whole(value: Any) -> bool:
    if isinstance(value, bool | np.bool_):
        return False
    return isinstance(value, _WHOLE) or (isinstance(value, _NUMBERS) and float(value).is_integer())


def _word(info: TableInfo, field: Field, value: Any, row: int) -> float:
    """A word's place among the categories. A number is the word that it reads as."""
    words = field.categories
    text = value if isinstance(value, str) else _shown(value, str)
    for word in (text, text.strip(), _shown(int(value), str) if _is_whole(value) else text):
        if word in words:
            return float(words.index(word))
    more = ", ..." if len(words) > _MOST_LISTED else ""
    raise _wrong(info, field, f"one of the schema's categories ({', '.join(words[:_MOST_LISTED])}{more})", value, row)


def _shown(value: Any, show: Any = repr) -> str:
    """A cell in a message: objects may show themselves at any length, or not at all."""
    try:
        text = str(show(value))
    except Exception:
        return f"an object of type {type(value).__name__}"
    return text if show is str or len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."


def _reads_as_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _exact(info: TableInfo, field: Field, values: npt.NDArray[Any]) -> None:
    """Raises DataError for a whole number that float64 cannot hold."""
    if not len(values):
        return
    most = 1 << WHOLE_BITS
    for at in (int(values.argmax()), int(values.argmin())):
        if abs(int(values[at])) > most:
            raise _wrong(info, field, _MOST_WHOLE, int(values[at]), at)


def _wrong(info: TableInfo, field: Field, expected: str, value: Any, row: int) -> DataError:
    return DataError(
        f"table {info.name!r}, column {field.name!r}: expected {expected}, found {_shown(value)} in row {row + 1}; "
        "correct it, or have the schema changed for all owners"
    )
