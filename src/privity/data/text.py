"""What all files of owners share: their text, cells of any length, and one form for what Unicode writes in several.

Letters with accents have two spellings in Unicode: one code point (NFC, most systems), or a letter and an accent (NFD,
what macOS exports). They look the same, so names of columns and categories are compared in NFC.
"""

from __future__ import annotations

import csv
import re
import sys
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_LOCK: Final = threading.Lock()
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_DECIMAL_COMMA: Final = re.compile(r"\s*[+-]?[0-9]+,[0-9]+\s*", re.ASCII)


class NotText(ValueError):
    """The bytes of a file are no UTF-8 text: what is wrong with them, and what to do."""

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.next_step = next_step


def text_of(data: bytes) -> str:
    """A file's text without a byte-order mark. Raises NotText."""
    if data.startswith(_UTF16):
        raise NotText("it is UTF-16; expected UTF-8.", "Export the table as UTF-8 CSV (in a spreadsheet: 'CSV UTF-8')")
    nul = data.find(b"\0")
    if nul >= 0:
        raise NotText(
            f"line {_line_of(data, nul)} holds a NUL byte; expected plain text.",
            "Export the table as UTF-8 CSV (this may be UTF-16, a spreadsheet or a damaged file)",
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotText(
            f"line {_line_of(data, error.start)} holds the byte 0x{data[error.start]:02x}, which is not UTF-8.",
            "Export the table as UTF-8 CSV",
        ) from None


@contextmanager
def any_length() -> Iterator[None]:
    """Within, the csv module reads cells of any length (its own limit is 131,072 characters).

    The limit is the module's, not a reader's, so it is put back, and one thread at a time is within.
    """
    with _LOCK:
        before = csv.field_size_limit(min(sys.maxsize, (1 << 31) - 1))
        try:
            yield
        finally:
            csv.field_size_limit(before)


def composed(text: str) -> str:
    """The text in NFC: one form for letters with accents."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def malformed(error: csv.Error, begin: int, end: int) -> str:
    """Why a record is no well-formed CSV. ``begin``, ``end``: lines where it begins, and where reading gave up."""
    if "unexpected end of data" in str(error):
        return f"line {begin}: not well-formed CSV: a quote that opens in this line is never closed"
    lines = f"line {begin}" if begin >= end else f"lines {begin} to {end}"
    return f"{lines}: not well-formed CSV: {error}; a quote within a quoted cell is written twice"


def advice(cell: str) -> str:
    """What a cell that is no number may have been meant as, or nothing."""
    return " (decimals have a point, not a comma)" if _DECIMAL_COMMA.fullmatch(cell) else ""


def _line_of(data: bytes, offset: int) -> int:
    return data.count(b"\n", 0, offset) + 1
