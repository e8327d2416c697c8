"""Reads a program before it runs: whether it keeps to Privity's public names.

What is found here is what a reader would stop at: names with an underscore, other code's variables, names that are made
of strings. A program that passes is reviewed, not fenced: see docs/security/programs.md.
"""

from __future__ import annotations

import ast
import builtins
import string
import sys
import warnings
from collections.abc import Iterator, Mapping
from enum import EnumMeta
from importlib import import_module
from types import ModuleType
from typing import Final

import numpy as np

from . import public
from .source import Source

_DEPTH: Final = 8  # modules beside the program through which a name may come
_OWN: Final = "."  # begins the path of what a module beside the program holds
_ANYWHERE: Final = ("__name__", "__qualname__", "__doc__", "__version__")
_MODULE_NAMES: Final = ("__name__", "__doc__", "__file__", "__all__", "__version__", "__author__")
_BARE: Final = (np.ndarray, np.recarray, np.char.chararray)  # made by a call, they show memory as it was left
_PATTERNS: Final = ("bool", "bytearray", "bytes", "dict", "float", "frozenset", "int", "list", "set", "str", "tuple")


def review(files: Mapping[str, Source]) -> list[str]:
    """What stands in the way, one line each: file, line, what it touches. Empty: nothing."""
    bindings = {name: _bindings(source, files) for name, source in files.items()}
    found: list[str] = []
    for source in files.values():
        reader = _Reader(source, files, bindings)
        reader.visit(source.tree)
        found += [f"{source.shown}:{line}: {text}" for line, text in sorted(set(reader.found))]
    return found


def _bindings(source: Source, files: Mapping[str, Source]) -> dict[str, set[str]]:
    """Name -> dotted paths that import statements of this file bind it to, in whatever function they stand."""
    bound: dict[str, set[str]] = {}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                path = alias.name if alias.asname else top
                bound.setdefault(alias.asname or top, set()).add(_OWN + path if _is_own(top, files) else path)
        elif isinstance(node, ast.ImportFrom):
            stem = _stem(source, node, files)
            for alias in node.names:
                path = f"{stem}{'' if stem == _OWN else '.'}{alias.name}"
                if public.is_model(path):
                    path = f"privity.ml.{alias.name}"  # the same object as its public name
                bound.setdefault(alias.asname or alias.name, set()).add(path)
    return bound


def _is_own(top: str, files: Mapping[str, Source]) -> bool:
    """Whether an absolute import begins with a module beside the program, or the program itself."""
    return top in files or top == files[""].stem


def _stem(source: Source, node: ast.ImportFrom, files: Mapping[str, Source]) -> str:
    """The dotted path after ``from``; what is beside the program begins with a dot."""
    stem = ".".join([*(source.base(node.level) or []), *([node.module] if node.module else [])])
    return _OWN + stem if node.level or _is_own(stem.partition(".")[0], files) else stem


class _Reader(ast.NodeVisitor):
    """Collects (line, text) of one file."""

    def __init__(
        self, source: Source, files: Mapping[str, Source], bindings: Mapping[str, Mapping[str, set[str]]]
    ) -> None:
        self.found: list[tuple[int, str]] = []
        self._source = source
        self._files = files
        self._bindings = bindings
        self._bound = bindings[source.name]
        self._inner: set[ast.AST] = set()  # left of a dot: part of a longer path
        self._kinds: set[ast.AST] = set()  # in annotations, patterns, isinstance(); enumerations as bases
        self._decorators: set[ast.AST] = set()  # of classes
        self._harmless: set[ast.AST] = set()  # getattr and its like, called with a name that was read
        self._in_class = [False]
        self._line: int | None = None  # of the string that holds an annotation
        self._rebound = _rebound(source.tree, self._bound)
        self._classes = {n.name for n in ast.walk(source.tree) if isinstance(n, ast.ClassDef)} - self._rebound
        self._elsewhere = _variables(source.tree)  # names that may mean something else than what is imported

    def _say(self, node: ast.AST, text: str) -> None:
        self.found.append((self._line or int(getattr(node, "lineno", 0)), text))

    # -- imports -----------------------------------------------------------------------------------------------

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._name_bound(node, alias.asname or alias.name.partition(".")[0])
            self._import(node, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        stem = _stem(self._source, node, self._files)
        for alias in node.names:
            if alias.name == "*":
                self._say(node, f"imports all names of {node.module}; name those that it needs")
                continue
            self._name_bound(node, alias.asname or alias.name)
            if stem.startswith(_OWN):
                self._path(node, {f"{stem}{'' if stem == _OWN else '.'}{alias.name}"}, whole=False)
                if alias.name.startswith("__"):
                    self._say(node, f"imports {alias.name}, a name of Python's own workings")
            else:
                self._import(node, stem, alias.name)

    def _import(self, node: ast.AST, module: str, name: str | None = None) -> None:
        top = module.partition(".")[0]
        whole = module if name is None else f"{module}.{name}"
        if _is_own(top, self._files):
            return
        if top == "privity":
            if name is not None and public.is_model(whole):
                return
            private = public.private_part(whole)
            if private is None and "._" in whole:
                private = whole
            if private is not None:
                self._say(node, f"imports {whole}, {_below(private)}{_home_of(whole)}")
            return
        if top in sys.stdlib_module_names and top not in public.COMPUTING:
            instead = f"; use {public.INSTEAD[top]}" if top in public.INSTEAD else ""
            self._say(
                node, f"imports {top}: of Python's own modules a program has those that compute, not this one{instead}"
            )  # fmt: skip
            return
        if top in public.REACHING_PACKAGES:
            self._say(node, f"imports {top}, which reaches memory or code of others")
            return
        for part in whole.split(".")[1:]:
            self._attribute_name(node, part, f"imports {whole}: ")
        self._path(node, {whole}, whole=False)

    # -- names and attributes ----------------------------------------------------------------------------------

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            if node.id.startswith("__") and node.id not in _MODULE_NAMES:
                self._say(node, f"touches {node.id}, a name of Python's own workings")
            elif node.id in public.REACHING_BUILTINS:
                own = "; a name of your own needs another one" if node.id in self._rebound else ""
                self._say(node, f"uses {node.id}(), which {public.REACHING_BUILTINS[node.id]}{own}")
            elif node.id in ("getattr", "hasattr") and node not in self._harmless:
                self._say(node, f"uses {node.id}() with a name that is not written there as a plain string")
            if node.id in self._bound and node not in self._inner:
                self._path(node, self._bound[node.id], whole=True)
        else:
            self._name_bound(node, node.id)

    def _name_bound(self, node: ast.AST, name: str) -> None:
        """A name that is assigned, imported or defined."""
        if self._in_class[-1] and name.startswith("_") and name not in public.OWN_METHODS:
            self._say(node, f"defines {name} in a class: it could stand in for a name of Privity or Python; rename it")
        elif name.startswith("__") and name not in _MODULE_NAMES and not self._in_class[-1]:
            self._say(node, f"binds {name}, a name of Python's own workings")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._inner.add(node.value)
        paths = self._paths(node)
        meant = [p for start in paths for p in self._resolved(start, _DEPTH)]
        own = bool(meant) and all(map(self._of_module, meant)) and not node.attr.startswith("__")
        own = own and not self._elsewhere & {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}
        if node.attr.startswith("__") and not isinstance(node.ctx, ast.Load):
            self._say(node, f"changes .{node.attr}, a name of Python's own workings")
        elif not (own or _calls_parent(node)):
            self._attribute_name(node, node.attr, "", node.value)
        if paths and not isinstance(node.ctx, ast.Load):
            self._say(node, f"changes {node.attr} of something imported, which other code uses too")
        elif paths:
            self._path(node, paths, whole=node not in self._inner)
        self.generic_visit(node)

    def _of_module(self, path: str) -> bool:
        """Whether a path is a name of a module beside the program, and not something that hangs on such a name."""
        if not path.startswith(_OWN):
            return False
        *before, _ = path.lstrip(_OWN).split(".")
        if before and before[0] == self._files[""].stem:
            before = before[1:]
        inside = [".".join(before[:n]) for n in range(len(before) + 1)]
        if any(name not in self._files for name in inside[1:]):
            return False
        # a variable of a package could hide its module
        return not any(n in _variables(self._files[name].tree) for name, n in zip(inside, before, strict=False))

    def _attribute_name(self, node: ast.AST, name: str, where: str, value: ast.expr | None = None) -> None:
        if name.startswith("_"):
            if name not in _ANYWHERE:
                own = _own_too(value)
                self._say(node, f"{where}touches .{name}: names with an underscore are not for programs{own}")
        elif name in public.REACHING:
            self._say(node, f"{where}touches .{name}, which {public.REACHING[name]}{_own_too(value)}")
        elif name == "format" and value is not None and not _plain_format(value):
            self._say(node, "touches .format of a text that may name attributes; use an f-string")

    def _paths(self, node: ast.expr) -> set[str]:
        """Dotted paths that a chain of attributes means, if it begins with an imported name."""
        if isinstance(node, ast.Name):
            return self._bound.get(node.id, set())
        if isinstance(node, ast.Attribute):
            return {f"{path}.{node.attr}" for path in self._paths(node.value)}
        return set()

    def _path(self, node: ast.AST, paths: set[str], *, whole: bool) -> None:
        """Check what is reached by attributes of modules. whole: no further attribute follows."""
        for path in [p for start in paths for p in self._resolved(start, _DEPTH)]:
            if path.startswith(_OWN):
                if whole and path.lstrip(_OWN) in {*self._files, self._files[""].stem}:
                    self._say(node, f"hands on the module {path.lstrip(_OWN)} itself; use it as module.name")
            elif path.partition(".")[0] == "privity":
                self._privity(node, path, whole)
            else:
                self._other(node, path, whole)

    def _privity(self, node: ast.AST, path: str, whole: bool) -> None:
        private = public.private_part(path)
        if private is not None:
            if any(f"{bound}.".startswith(f"{private}.") for paths in self._bound.values() for bound in paths):
                return  # said where it is imported
            self._say(node, f"touches {private}, {_below(private)}")
        elif whole and public.is_public_module(path):
            self._say(node, f"hands on the module {path} itself; use it as module.name")

    def _other(self, node: ast.AST, path: str, whole: bool) -> None:
        """A module of Python or another package: what it has imported itself is not the program's."""
        parts = path.split(".")
        for n in range(2, len(parts) + 1):
            reason = public.REACHING_PATHS.get(".".join(parts[:n]))
            if reason is not None:
                self._say(node, f"touches {'.'.join(parts[:n])}, which {reason}")
                return
        if path == "dataclasses.dataclass" and whole and node not in self._decorators:
            self._say(node, "uses dataclass() other than above an own class: it changes the class that it is given")
        if parts[0] not in public.COMPUTING | {"numpy"}:
            return
        value: object = import_module(parts[0])
        for n, part in enumerate(parts[1:], 2):
            value = _attribute(value, part, ".".join(parts[:n]))
            reason = public.reaching_object(value)
            if reason is not None:  # by whatever way
                self._say(node, f"touches {'.'.join(parts[:n])}, which {reason}")
                return
            if isinstance(value, ModuleType) and value.__name__.partition(".")[0] not in public.COMPUTING | {"numpy"}:
                self._say(node, f"touches {'.'.join(parts[:n])}, the module {value.__name__}; import what it needs")
                return
        if whole and isinstance(value, ModuleType):
            self._say(node, f"hands on the module {value.__name__} itself; use it as module.name")
        elif whole and value is np.load and node not in self._harmless:
            self._say(node, "uses numpy.load other than as numpy.load(file, mode): it may run code out of a file")
        elif whole and any(value is bare for bare in _BARE) and node not in self._kinds:
            self._say(
                node, f"uses {path} other than to state a kind or ask for it: made by its class an array shows memory "
                "as its last user left it (use numpy.zeros)"
            )  # fmt: skip
        elif whole and isinstance(value, EnumMeta) and node not in self._kinds:
            self._say(node, f"uses {path} other than under an own enumeration: it makes classes of names in strings")

    def _resolved(self, path: str, depth: int) -> Iterator[str]:
        """What a path of a module beside the program stands for, through the names that it imports itself."""
        if not path.startswith(_OWN) or depth == 0:
            yield path
            return
        parts = path.lstrip(_OWN).split(".")
        if parts[0] == self._files[""].stem:
            parts = parts[1:]  # the program itself, imported by a module beside it
        n = max((n for n in range(len(parts) + 1) if ".".join(parts[:n]) in self._files), default=0)
        bound = self._bindings.get(".".join(parts[:n]), {})
        if n < len(parts) and parts[n] in bound:
            for start in bound[parts[n]]:
                yield from self._resolved(".".join([start, *parts[n + 1 :]]), depth - 1)
        else:
            yield path

    # -- calls, classes, patterns ------------------------------------------------------------------------------

    def visit_Call(self, node: ast.Call) -> None:
        called, given = node.func, node.args
        if isinstance(called, ast.Name) and called.id in ("isinstance", "issubclass"):
            self._kinds.update(part for argument in given[1:] for part in ast.walk(argument))
        if isinstance(called, ast.Name) and called.id in ("getattr", "hasattr") and len(given) > 1:
            name = given[1]
            if isinstance(name, ast.Constant) and isinstance(name.value, str) and name.value.isascii():
                self._harmless.add(called)
                self._inner.add(given[0])
                self._attribute_name(node, name.value, "", given[0])
                self._path(node, {f"{path}.{name.value}" for path in self._paths(given[0])}, whole=True)
        for keyword in node.keywords:
            off = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            if keyword.arg == "allow_pickle" and not off:
                self._say(node, "sets allow_pickle, which runs code out of a file")
        several = any(isinstance(a, ast.Starred) for a in given) or any(k.arg is None for k in node.keywords)
        if self._is_load(called):
            self._harmless.add(called)
            if several or len(given) > 2:
                self._say(node, "gives numpy.load more than a file and a mode; name its options one by one")
        self.generic_visit(node)

    def _is_load(self, node: ast.expr) -> bool:
        """Whether this is ``numpy.load``, by whatever way."""
        for start in self._paths(node):
            for path in self._resolved(start, _DEPTH):
                parts = path.split(".")
                value: object = np if parts[0] == "numpy" else None
                for n, part in enumerate(parts[1:], 2):
                    value = _attribute(value, part, ".".join(parts[:n]))
                if value is np.load:
                    return True
        return False

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._name_bound(node, node.name)
        for base in node.bases:
            if not self._may_inherit(base):
                self._say(
                    node, f"makes {node.name} a kind of {ast.unparse(base)}; a class of a program stands alone, or on "
                    "its own classes, Python's, or privity.errors",
                )  # fmt: skip
        for keyword in node.keywords:
            if keyword.arg == "metaclass" or keyword.arg is None:
                self._say(node, f"gives {node.name} a metaclass; inherit from abc.ABC or enum.Enum instead")
        self._decorators |= {d.func if isinstance(d, ast.Call) else d for d in node.decorator_list}
        for base in node.bases:
            if any(isinstance(n, ast.Assign) for n in node.body):  # one with members makes no other by a call
                self._kinds.update(ast.walk(base))
        parameters = getattr(node, "type_params", [])  # from Python 3.12 on
        for part in [*node.decorator_list, *parameters, *node.bases, *(k.value for k in node.keywords)]:
            self.visit(part)
        self._in_class.append(True)
        for statement in node.body:
            self.visit(statement)
        self._in_class.pop()

    def _may_inherit(self, base: ast.expr) -> bool:
        if isinstance(base, ast.Subscript):  # Generic[T]
            base = base.value
        paths = [p for start in self._paths(base) for p in self._resolved(start, _DEPTH)]
        if paths:
            errors = ("privity.errors.", "privity.PrivityError")
            return all(
                self._is_own_class(p) if p.startswith(_OWN)
                else p.startswith(errors) or p.partition(".")[0] != "privity"
                for p in paths
            )  # fmt: skip
        if isinstance(base, ast.Name):
            builtin = isinstance(getattr(builtins, base.id, None), type) and base.id not in self._rebound
            return base.id in self._classes or builtin
        return False

    def _is_own_class(self, path: str) -> bool:
        """Whether a class statement of a module beside the program makes what this path names, and nothing else."""
        module, _, name = path.lstrip(_OWN).rpartition(".")
        module = "" if module == self._files[""].stem else module.removeprefix(f"{self._files[''].stem}.")
        if not self._of_module(path) or module not in self._files:
            return False
        tree = self._files[module].tree
        classes = {n.name for n in ast.walk(tree) if isinstance(n, ast.ClassDef)}
        return name in classes - _rebound(tree, self._bindings[module])

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._name_bound(node, node.name)
        self._in_class.append(False)
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                self._name_bound(node, argument.arg)
        self._annotation(node.returns)
        self.generic_visit(node)
        self._in_class.pop()

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._in_class.append(False)
        self.generic_visit(node)
        self._in_class.pop()

    def visit_arg(self, node: ast.arg) -> None:
        self._annotation(node.annotation)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._annotation(node.annotation)
        self.generic_visit(node)

    def _annotation(self, node: ast.expr | None) -> None:
        """Text in an annotation is code to those who evaluate it."""
        self._kinds.update(ast.walk(node) if node is not None else ())
        for part in ast.walk(node) if node is not None else ():
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                try:
                    inside = ast.parse(part.value, mode="eval")
                except (SyntaxError, ValueError, RecursionError, MemoryError):
                    continue
                self._line = part.lineno
                self._kinds.update(ast.walk(inside))
                self.visit(inside)
                self._line = None

    def visit_MatchClass(self, node: ast.MatchClass) -> None:
        self._kinds.add(node.cls)
        for name in node.kwd_attrs:
            self._attribute_name(node, name, "matches a class and ")
        named = isinstance(node.cls, ast.Name) and (
            (node.cls.id in _PATTERNS and node.cls.id not in self._rebound) or node.cls.id in self._classes
        )
        if node.patterns and not named:
            self._say(node, "matches a class by places, which may be fields that are not public; name them")
        self.generic_visit(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name is not None:
            self._name_bound(node, node.name)
        self.generic_visit(node)

    def visit_Global(self, node: ast.Global | ast.Nonlocal) -> None:
        for name in node.names:
            self._name_bound(node, name)

    visit_Nonlocal = visit_Global

    def visit_MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> None:
        if node.name is not None:
            self._name_bound(node, node.name)
        self.generic_visit(node)

    visit_MatchStar = visit_MatchAs


def _rebound(tree: ast.Module, bound: Mapping[str, set[str]]) -> set[str]:
    """Names of the file that are bound by something else than a class statement."""
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)} | set(bound)
    names |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    named = (ast.FunctionDef, ast.AsyncFunctionDef, ast.MatchAs, ast.MatchStar, ast.ExceptHandler)
    return names | {n.name for n in ast.walk(tree) if isinstance(n, named) and n.name is not None}


def _variables(tree: ast.Module) -> set[str]:
    """Names of the file that are bound by something else than an import."""
    return _rebound(tree, {}) | {n.name for n in ast.walk(tree) if isinstance(n, ast.ClassDef)}


def _calls_parent(node: ast.Attribute) -> bool:
    """``super().__init__``"""
    value = node.value
    return (
        node.attr in ("__init__", "__post_init__")
        and isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "super"
        and not value.args
    )  # fmt: skip


def _plain_format(text: ast.expr) -> bool:
    """A literal whose fields name no attribute and no entry."""
    if not (isinstance(text, ast.Constant) and isinstance(text.value, str)):
        return False
    try:
        fields = list(string.Formatter().parse(text.value))
    except ValueError:
        return True  # it raises where it stands
    return not any(set(name or "") & set(".[") or "{" in (spec or "") for _, name, spec, _ in fields)


def _attribute(value: object, name: str, path: str) -> object:
    """An attribute of an object of Python's or NumPy's; of a package also a module that nobody has imported yet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that a later version will not have
        found = getattr(value, name, None)
        if found is None and isinstance(value, ModuleType):
            try:
                return import_module(path)
            except ImportError:
                return None
    return found


def _own_too(value: ast.expr | None) -> str:
    """For self.name: the review knows no types, so a class's own names are read as any object's."""
    own = isinstance(value, ast.Name) and value.id in ("self", "cls")
    return "; those of a class of your own too, so rename it" if own else ""


def _below(private: str) -> str:
    reason = public.REACHING_PATHS.get(private)
    return f"which {reason}" if reason is not None else "which is below Privity's public names"


def _home_of(path: str) -> str:
    """For what has a public name elsewhere, that name."""
    name = path.rpartition(".")[2]
    names = public.public_names("privity")
    return f"; write `from privity import {name}`" if names is not None and name in names else ""
