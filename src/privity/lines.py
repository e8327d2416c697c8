"""The user's own line: which line of a program asked for something, for messages and reports."""

from __future__ import annotations

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_PROGRAMS = (_HERE + "demo" + os.sep, _HERE + "bench" + os.sep)


def is_library(file: str) -> bool:
    """Whether a source file belongs to this package; its own programs (demo, bench) count as a user's."""
    return file.startswith(_HERE) and not file.startswith(_PROGRAMS)


def user_line() -> str:
    """File and line of the innermost frame outside this package: the line that the user wrote."""
    frame = sys._getframe(1)
    last = frame
    while frame is not None:
        last = frame
        if not is_library(frame.f_code.co_filename):
            break
        frame = frame.f_back  # type: ignore[assignment]
    return f"{os.path.basename(last.f_code.co_filename)}:{last.f_lineno}"
