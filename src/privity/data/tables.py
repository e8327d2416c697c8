"""Read one owner's CSV file, strictly: what the schema does not allow is refused before anything is shared.

A file is parsed at full speed first. Only if that fails, or finds anything odd, is it read again cell by cell to say
exactly where the trouble is, so good files pay nothing for good messages. Messages quote the owner's own cells: they
are for the owner alone (peers get ``DataError.public_reason``, which holds no text from the file).
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import numpy.typing as npt

from privity.data.keys import Kind, readable
from privity.data.schema import Column, TableSchema
from privity.data.text import NotText, advice, any_length, composed, malformed, text_of
from privity.errors import DataError
from privity.fields import WHOLE_BITS

MOST_PROBLEMS = 5
"""Problems listed in one message; the rest are counted no further, so that a wrong file fails fast."""

Parsed = tuple[npt.NDArray[np.float64], tuple[tuple[str, ...], ...]]
"""Values (rows, columns), and the cells of each key column."""

_LARGEST_WHOLE = 1 << WHOLE_BITS
_LONGEST_QUOTE = 40
_SURE = 15  # digits of which float64 loses none
_MOST_LISTED = 8
_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*", re.ASCII)


@dataclass(frozen=True, slots=True, repr=False)
class OwnerTable:
    """An owner's rows in plain, at the owner.

    owner: the party's name.
    names: the shared columns (features and label), in schema order.
    values: float64 of shape (rows, len(names)), after each column's transform; read-only. Categories as their codes,
    NaN for an empty cell.
    keys: for each key column, in schema order, its cells as they stand in the file. digest: SHA-256 of the file (hex).
    """

    owner: str
    names: tuple[str, ...]
    values: npt.NDArray[np.float64]
    keys: tuple[tuple[str, ...], ...] = ()
    digest: str = ""

    def __repr__(self) -> str:
        rows, columns = self.values.shape
        return f"<OwnerTable of {self.owner}: {rows} rows, {columns} columns>"  # rows must not reach a log by accident

    def column(self, name: str) -> npt.NDArray[np.float64]:
        """One column, shape (rows,). Raises DataError for a name that is not in the table."""
        if name not in self.names:
            raise DataError(f"{self.owner}: no column {name!r} in the table.{_close(name, self.names)}")
        return self.values[:, self.names.index(name)]


def read_table(path: str | Path, schema: TableSchema, owner: str) -> OwnerTable:
    """Read ``path`` (UTF-8 CSV, comma separated, one header line) and check every cell against ``schema``.

    Raises DataError, naming file, line and column and up to five problems at once, for: a missing, unreadable or empty
    file, no rows, missing, extra, misnamed, repeated or reordered columns, lines of another length, text, an empty
    cell (where the schema does not allow it), NaN or infinity in a numeric column, a fraction in an integer column,
    anything but 0 or 1 in a binary column, a category that is not listed, a value outside the column's bound, bytes
    that are not UTF-8, NUL bytes, more rows than the capacity. Names and categories are compared in NFC (data/text.py).
    """
    file = _File(Path(path), schema, owner)
    text = file.text()
    with any_length():
        header, body = file.header(text)
        if not header:
            raise file.error(
                "the file is empty; expected a header line and at least one row.", "Check that the export finished"
            )
        file.check_header(header)
        parsed = _parse_fast(body, schema)
        values, keys = file.parse_carefully(text) if parsed is None else parsed
    if len(values) == 0:
        raise file.error("there is a header but no row below it.", "Check that the export finished")
    if schema.capacity is not None and len(values) > schema.capacity:
        raise file.error(
            f"expected at most {schema.capacity} rows (the capacity in the schema), found {len(values)}.",
            "Agree on a larger capacity with the other owners, or share fewer rows",
        )
    for index, column in enumerate(schema.shared):
        if column.transform == "signed_log":
            size = np.minimum(np.log1p(np.abs(values[:, index])), column.shared_bound)  # which was rounded elsewhere
            values[:, index] = np.copysign(size, values[:, index])
    values.flags.writeable = False
    return OwnerTable(owner, tuple(column.name for column in schema.shared), values, keys, file.digest)


class _File:
    """One file while it is being read; knows how to name itself in an error."""

    def __init__(self, path: Path, schema: TableSchema, owner: str) -> None:
        self._path = path
        self._schema = schema
        self._owner = owner
        self.digest = ""

    def error(self, problem: str, next_step: str) -> DataError:
        gap = "" if problem.endswith("\n") else " "
        return DataError(f"{self._owner}: table {self._schema.name!r}, file {self._path}: {problem}{gap}{next_step}.")

    def text(self) -> str:
        """The file's text without a byte-order mark."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            raise self.error(
                "the file does not exist.",
                "Check the path: under [party.tables] in this party's consortium file, or after --table NAME=FILE",
            ) from None
        except OSError as error:
            raise self.error(
                f"the file cannot be read ({error.strerror}).", "Check the path and the file's permissions"
            ) from None
        self.digest = hashlib.sha256(data).hexdigest()
        try:
            return text_of(data)
        except NotText as error:
            raise self.error(error.problem, error.next_step) from None

    def header(self, text: str) -> tuple[list[str], str]:
        """The header's names, and the text below the header."""
        stream = io.StringIO(text, newline="")
        try:
            for row in csv.reader(_lines(stream), strict=True):
                if row:
                    return [composed(name.strip()) for name in row], text[stream.tell() :]
        except csv.Error as error:
            raise self.error(
                f"the header is not well-formed CSV ({error}).", "Check the quotes in the file's first line"
            ) from None
        return [], ""

    def check_header(self, header: Sequence[str]) -> None:
        """Refuse any difference: a column in the wrong place would be trained on as another one."""
        expected = [composed(column.name) for column in self._schema.columns]
        if list(header) == expected:
            return
        separator = next((mark for mark in ";\t|" if mark in header[0]), None)
        if len(header) == 1 and len(expected) > 1 and separator is not None:
            raise self.error(
                f"the header is one name holding {separator!r}; expected {len(expected)} names separated by commas.",
                "Export with commas as separators",
            )
        problems = [f"column {name!r} comes {header.count(name)} times" for name in _repeated(header)]
        missing = [name for name in expected if name not in header]
        extra = [name for name in dict.fromkeys(header) if name not in expected]
        for name in missing:
            close = difflib.get_close_matches(name.lower(), [other.lower() for other in extra], n=1)
            found = next((other for other in extra if close and other.lower() == close[0]), None)
            if found is not None:
                extra.remove(found)
                problems.append(f"column {name!r} is missing, but there is {found!r}: rename it if it is meant")
            else:
                problems.append(f"column {name!r} is missing")
        problems += [
            f"column {name!r} is not in the schema: leave it out of the file, or list it there (role = \"ignore\": "
            "neither read nor shared)"
            for name in extra
        ]
        if not problems:
            at = next(i for i, pair in enumerate(zip(header, expected, strict=True)) if pair[0] != pair[1])
            problems.append(f"other order of columns: number {at + 1} should be {expected[at]!r}, found {header[at]!r}")
            problems.append(f"expected order: {', '.join(expected)}")
            problems.append(f"found order: {', '.join(header)}")
        raise self._problems(problems, "Make the header equal to the schema's columns; all owners' files must be alike")

    def parse_carefully(self, text: str) -> Parsed:
        """Read cell by cell. Raises DataError with the first problems; returns values and keys if there is none."""
        problems: list[str] = []
        rows: list[list[float]] = []
        keys: list[list[str]] = []
        next_step = "Correct these cells, or have the schema changed for all owners"
        at = [i for i, column in enumerate(self._schema.columns) if column.role == "key"]
        try:
            for line, cells in self._rows(text):
                row, found = self._row(cells)
                problems += [f"line {line}{problem}" for problem in found]
                rows.append(row)
                keys.append([] if found else [cells[i] for i in at])
                if len(problems) > MOST_PROBLEMS:
                    break
        except _Malformed as error:
            problems.append(str(error))
            next_step = "Correct the quotes there, or export the table anew"
        if problems:
            raise self._problems(problems, next_step)
        values = np.array(rows, dtype=np.float64).reshape(len(rows), len(self._schema.shared))
        return values, tuple(tuple(row[i] for row in keys) for i in range(len(at)))

    def _rows(self, text: str) -> Iterator[tuple[int, list[str]]]:
        """Line number (of the row's last line, as in an editor) and cells; blank lines at the end are no rows."""
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        seen_header = False
        blank: list[int] = []
        begin = 1
        while True:
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise _Malformed(malformed(error, begin, reader.line_num)) from None
            if cells is None:
                return
            begin = reader.line_num + 1
            if not cells:
                blank.append(reader.line_num)
                continue
            if seen_header:
                yield from ((line, []) for line in blank)
                yield reader.line_num, cells
            seen_header = True
            blank = []

    def _row(self, cells: Sequence[str]) -> tuple[list[float], list[str]]:
        columns = self._schema.columns
        if len(cells) != len(columns):
            more = "; a cell that holds a comma is written in quotes" if len(cells) > len(columns) else ""
            return [], [f": expected {len(columns)} cells, found {len(cells)}{more}" if cells else " is blank"]
        row: list[float] = []
        problems: list[str] = []
        for column, cell in zip(columns, cells, strict=True):
            if column.role == "ignore":
                continue
            expected, value = _check_cell(column, cell, self._schema.missing_values)
            if expected is None:
                if column.role != "key":
                    row.append(value)
            else:
                found = _quoted(cell) if cell.strip() else "an empty cell"
                if not cell.strip() and column.role == "feature":
                    found += " (a column that may have some says missing = true in the schema)"
                found += "" if column.kind in ("text", "category") else advice(cell)
                if column.normalize and cell.strip():
                    found += f", which {', '.join(column.normalize)} does not make one"
                problems.append(f", column {column.name!r}: expected {expected}, found {found}")
        return row, problems

    def _problems(self, problems: Sequence[str], next_step: str) -> DataError:
        shown = "".join(f"\n  - {problem}" for problem in problems[:MOST_PROBLEMS])
        more = "\n  - and more" if len(problems) > MOST_PROBLEMS else ""
        return self.error(f"does not fit the schema:{shown}{more}\n", next_step)


class _Malformed(ValueError):
    """A record is no well-formed CSV; says where it begins."""


def _lines(stream: io.StringIO) -> Iterator[str]:
    """Lines one by one through ``readline``, so that ``tell`` stays exact."""
    while line := stream.readline():
        yield line


def _parse_fast(body: str, schema: TableSchema) -> Parsed | None:
    """The whole table at once, or None if anything at all is odd: the careful reader then decides and explains."""
    if "_" in body and any(column.kind in ("number", "integer", "binary") for column in schema.shared):
        return None  # Python's float() accepts 1_000 and digits of other scripts; the careful reader does not
    if not body.isascii():
        return None
    try:
        rows = list(csv.reader(io.StringIO(body, newline=""), strict=True))
    except csv.Error:
        return None
    while rows and not rows[-1]:
        rows.pop()
    width = len(schema.columns)
    if not rows or any(len(row) != width for row in rows):
        return None
    values = np.empty((len(rows), len(schema.shared)))
    keys: list[tuple[str, ...]] = []
    place = 0
    for i, column in enumerate(schema.columns):
        if column.role == "ignore":
            continue
        cells = [row[i] for row in rows]
        if column.role == "key":
            if not _plain_keys(column, cells):
                return None
            keys.append(tuple(cells))
            continue
        read = _fast_column(column, cells, schema.missing_values)
        if read is None:
            return None
        values[:, place] = read
        place += 1
    return values, tuple(keys)


def _plain_keys(column: Column, cells: Sequence[str]) -> bool:
    if column.kind == "integer" or column.normalize:
        plain = all(cell.strip().isdigit() for cell in cells)  # of which every step leaves digits
        return plain or all(readable(cell, column.normalize, _key_kind(column)) for cell in cells)
    return all(cell.strip() for cell in cells)


def _key_kind(column: Column) -> Kind:
    return "integer" if column.kind == "integer" else "text"


def _fast_column(column: Column, cells: Sequence[str], gaps: Sequence[str]) -> npt.NDArray[np.float64] | None:
    """One column, or None if any cell is odd."""
    empty = np.zeros(len(cells), bool)
    if column.missing:
        marks = set(gaps)
        empty = np.fromiter((cell.strip() in marks for cell in cells), bool, len(cells))
        cells = [cell for cell, gap in zip(cells, empty, strict=True) if not gap] if empty.any() else cells
    try:
        if column.kind == "category":
            codes = {name: float(code) for code, name in enumerate(column.categories)}
            found = np.array([codes[cell.strip()] for cell in cells], np.float64)
        else:
            found = np.array(list(map(float, cells)), np.float64)
    except (ValueError, KeyError):
        return None
    fits = bool(np.all(np.abs(found) <= max(column.bound, len(column.categories))))  # False for NaN and infinity too
    whole = column.kind == "number" or not np.any(found != np.rint(found))
    # at 2^53 float64 no longer says whether the cell is one more
    whole = whole and not (column.kind == "integer" and np.any(np.abs(found) >= _LARGEST_WHOLE))
    # of more digits than float64 has, a fraction may be lost
    whole = whole and not (column.kind != "number" and any(len(cell) > _SURE and "." in cell for cell in cells))
    if not fits or not whole or (column.kind == "binary" and np.any(found < 0)):
        return None
    values = np.full(len(empty), math.nan)
    values[~empty] = found
    return values


def _check_cell(column: Column, cell: str, gaps: Sequence[str]) -> tuple[str | None, float]:
    """What was expected if the cell does not fit (None if it does), and the value."""
    text = cell.strip()
    if column.role == "key":
        fits = readable(cell, column.normalize, _key_kind(column)) and bool(text)
        return (None if fits else _expected(column)), math.nan
    if column.missing and text in gaps:
        return None, math.nan
    if column.kind == "category":
        listed = [composed(category) for category in column.categories]
        if composed(text) in listed:
            return None, float(listed.index(composed(text)))
        return _expected(column), math.nan
    if _NUMBER.fullmatch(cell) is None:
        return _expected(column), math.nan
    value = float(cell)
    if column.kind == "binary":
        return (None if value in (0.0, 1.0) and not _fraction(text) else _expected(column)), value
    if abs(value) > column.bound:
        return f"a magnitude of at most {column.bound:.17g} (the column's public bound)", value
    if column.kind == "integer" and (not value.is_integer() or _fraction(text)):
        return _expected(column), value
    if column.kind == "integer" and abs(value) >= _LARGEST_WHOLE and abs(Decimal(text)) > _LARGEST_WHOLE:
        return f"a whole number of at most 2^{WHOLE_BITS} (larger ones have no exact float64)", value
    return None, value


def _fraction(text: str) -> bool:
    """Whether a number's text has a fraction that float64 does not see: 30.00000000000000001."""
    if len(text) <= _SURE or "." not in text:
        return False
    number = Decimal(text)
    return number.copy_abs() < _LARGEST_WHOLE and number != number.to_integral_value()


def _expected(column: Column) -> str:
    if column.role == "key":
        return "a whole number as key" if column.kind == "integer" else "a key"
    if column.kind == "binary":
        return "0 or 1"
    if column.kind == "category":
        more = ", ..." if len(column.categories) > _MOST_LISTED else ""
        return f"one of the schema's categories ({', '.join(column.categories[:_MOST_LISTED])}{more})"
    return "a whole number" if column.kind == "integer" else "a finite number"


def _quoted(cell: str) -> str:
    return repr(cell if len(cell) <= _LONGEST_QUOTE else cell[:_LONGEST_QUOTE] + "...")


def _repeated(names: Sequence[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if names.count(name) > 1]


def _close(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else f" Columns: {', '.join(known)}."
