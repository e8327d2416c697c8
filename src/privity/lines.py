"""The user's own line: which line of a program asked for something, for messages and reports."""

from __future__ import annotations

import os
import sys
from types import FrameType
from typing import Any

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_PROGRAMS = (_HERE + "demo" + os.sep, _HERE + "bench" + os.sep)


def is_library(file: str) -> bool:
    """Whether a source file belongs to this package; its own programs (demo, bench) count as a user's."""
    return file.startswith(_HERE) and not file.startswith(_PROGRAMS)


def user_line() -> str:
    """File and line of the innermost frame outside this package: the line that the user wrote."""
    frame: FrameType | None = sys._getframe(1)
    last = frame
    while frame is not None:
        last = frame
        if not is_library(frame.f_code.co_filename):
            break
        frame = frame.f_back
    assert last is not None
    return f"{os.path.basename(last.f_code.co_filename)}:{last.f_lineno}"


class UserLines:
    """The same, asked often: what is known of a file is kept. One per session."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}  # source file -> its name, empty for this package's

    def here(self) -> tuple[str, int]:
        """Name of the file and line, without a frame of the program ("outside the program", 0)."""
        names = self._names
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            file = frame.f_code.co_filename
            try:
                name = names[file]
            except KeyError:
                name = names[file] = "" if is_library(file) else os.path.basename(file)
            if name:
                return name, frame.f_lineno
            frame = frame.f_back
        return "outside the program", 0


def named_as(wrapper: Any, function: Any) -> Any:
    """``wrapper``, called by the name of the function it stands for in reports of where a program spends its time."""
    name, full = function.__name__, function.__qualname__
    wrapper.__code__ = wrapper.__code__.replace(co_name=name, co_qualname=full)
    return wrapper
