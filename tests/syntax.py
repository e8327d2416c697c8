"""Syntax trees of files, each parsed once: a dozen tests read all of the package."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file; nobody changes it."""
    return ast.parse(path.read_text("utf-8"))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All nodes of a file, as ``ast.walk`` gives them."""
    return tuple(ast.walk(tree(path)))
