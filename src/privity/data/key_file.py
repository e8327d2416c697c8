"""One column of keys from an owner's CSV file, as a set."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from .keys import complete, normalised
from .text import NotText, any_length, composed, malformed, text_of


@dataclass(frozen=True, slots=True, repr=False)
class KeyFile:
    """``cells``: the keys as they stand in the file; ``items``: normalised, as bytes."""

    cells: Sequence[str]
    items: Sequence[bytes]


def read_keys(path: Path, column: str, steps: Sequence[str]) -> KeyFile:
    """Read one column of a UTF-8 CSV file with a header line, and normalise it by ``steps`` (data/keys.py).

    Raises DataError for an unreadable file, a missing column, a line of another length, an empty key or one that occurs
    twice, naming rows (1 is the first below the header) and never a key; ConfigError for an unknown step.
    """
    try:
        text = text_of(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check the path and its permissions") from None
    except NotText as error:
        raise DataError(f"{path}: {error.problem} {error.next_step}") from None
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[list[str]] = []
    begin = 1
    try:
        with any_length():
            header = [composed(name) for name in next(lines, [])]
            begin = lines.line_num + 1
            for row in lines:
                begin = lines.line_num + 1
                if row:
                    rows.append(row)
    except csv.Error as error:
        raise DataError(f"{path}, {malformed(error, begin, lines.line_num)}") from None
    column = composed(column)
    if header.count(column) != 1:
        raise DataError(f"{path}: expected one column {column!r}, found: {', '.join(header) or 'an empty file'}")
    at, width = header.index(column), len(header)
    if any(len(row) != width for row in rows):
        wrong = next(i for i, row in enumerate(rows) if len(row) != width)
        raise DataError(f"{path}, row {wrong + 1}: expected {width} cells as in the header, found {len(rows[wrong])}")
    cells = [row[at] for row in rows]
    keys = normalised(cells, steps)
    complete([keys])
    _refuse_repeated(path, keys)
    return KeyFile(cells, [key.encode() for key in keys])


def csv_column(name: str, cells: Sequence[str]) -> str:
    """A CSV file with one column."""
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n").writerows([[name], *([cell] for cell in cells)])
    return file.getvalue()


def _refuse_repeated(path: Path, keys: Sequence[str]) -> None:
    if len(set(keys)) == len(keys):
        return
    first: dict[str, int] = {}
    for row, key in enumerate(keys):
        before = first.setdefault(key, row)
        if before != row:
            raise DataError(
                f"{path}: rows {before + 1} and {row + 1} have the same key (after normalization), "
                f"{len(keys) - len(set(keys))} rows repeat one in all; a set has each key once, so leave the others out"
            )
