"""One source file of a program: its bytes, read once, and the text and syntax tree that they are."""

from __future__ import annotations

import ast
import codecs
import io
import os
import re
import tokenize
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..errors import ConfigError, UsageError

_ENCODINGS: Final = ("ascii", "utf-8", "utf-8-sig")

_HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f\x85\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]|\r(?!\n)"
)
"""Characters that show a reader other lines, or another order of the text, than Python reads."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file: the program (name ""), or a module beside it by its dotted name; an empty one stands for a folder.

    filename: absolute. shown: the path as the user gave it. relative: of a module, to the program's folder.
    """

    name: str
    filename: str
    shown: str
    relative: str
    data: bytes = field(repr=False)
    text: str = field(repr=False)
    tree: ast.Module = field(repr=False)
    package: bool = False
    hashed: bool = True

    @classmethod
    def folder(cls, path: Path, name: str) -> Source:
        """A folder without code of its own: it holds modules and is not hashed."""
        return cls(name, str(path), str(path), "", b"", "", ast.parse(""), package=True, hashed=False)

    @property
    def stem(self) -> str:
        """The file's name as that of a module."""
        return Path(self.filename).stem.replace(".", "_")

    def base(self, level: int) -> list[str] | None:
        """Names of the packages that a relative import of this level begins with; None above the program's folder."""
        if level == 0:
            return []
        around = self.name.split(".") if self.name else []
        up = level - 1 if self.package else level
        if not self.name:
            up -= 1  # the program itself stands in the folder's own, nameless package
        return around[: len(around) - up] if up <= len(around) else None


def read_source(path: Path, name: str, what: str, *, package: bool = False) -> Source:
    """Read one file.

    Raises ConfigError if it cannot be read or shows another text than it holds, UsageError if it is no Python.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {what} {path}: {error.strerror}") from None
    parts = name.split(".") if name else []
    relative = "/".join(parts) + ("/__init__.py" if package else ".py") if parts else ""
    text = _decoded(path, data)
    try:
        tree = ast.parse(text, filename=str(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"{path} cannot be imported: {type(error).__name__}: {error}") from None
    return Source(name, os.path.abspath(path), str(path), relative, data, text, tree, package)


def _decoded(path: Path, data: bytes) -> str:
    """The text as every reader sees it: UTF-8, and no character that hides or reorders what stands there."""
    try:
        declared, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        encoding = codecs.lookup(declared).name
        if encoding not in _ENCODINGS:
            raise ConfigError(
                f"{path} declares the encoding {declared}; a program is UTF-8, so that all who read it read the same"
            )
        text = data.decode(encoding)
    except (SyntaxError, LookupError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not UTF-8: {error}; save it as UTF-8") from None
    hidden = _HIDDEN.search(text)
    if hidden is not None:
        line = text.count("\n", 0, hidden.start()) + 1
        raise ConfigError(
            f"{path}:{line} holds the character U+{ord(hidden.group()[0]):04X}, which shows a reader another text than "
            "Python runs; write it as an escape in a string, or remove it"
        )
    return text
