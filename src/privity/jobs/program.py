"""A program as it is hashed and as it runs: the same bytes, read once.

A program is a file with a function ``program(session)``, and the modules beside it that it imports. All of them are
read as source, hashed together and compiled from what was hashed: byte code that lies there is neither read nor
written. What is imported by another way than a statement is not found.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import importlib.abc
import importlib.util
import inspect
import linecache
import platform
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

from ..errors import ConfigError, UsageError
from ..session import Session
from .review import review
from .source import Source, read_source

_PREFIX: Final = "privity_program_"
_COMPILED: Final = (".pyc", *EXTENSION_SUFFIXES)


@dataclass(frozen=True, slots=True)
class Program:
    """What was read and hashed. ``load`` runs it, once the job said what it may do.

    files: the program under the name "", modules beside it by dotted name. digest: SHA-256 of the program's bytes, or
    of the names and bytes of all files. packages: versions of Python, NumPy, Privity and what else the files import.
    """

    path: Path
    files: Mapping[str, Source]
    digest: bytes
    packages: Mapping[str, str] = field(default_factory=dict)

    @property
    def stem(self) -> str:
        """The name under which modules beside the program may import it."""
        return self.files[""].stem

    def load(self, *, internals: bool = False) -> Callable[[Session], Any]:
        """The function ``program``. Raises UsageError if the review or the import fails, ConfigError without one.

        internals: what the job says; true lets the program use what is below Privity's public names.
        """
        found = [] if internals else review(self.files)
        if found:
            more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            raise UsageError(
                f"{self.path.name} is not run, for it uses more than a program may without saying so: "
                f"{'; '.join(found[:_SHOWN])}{more}. "
                "Keep to the names of docs/api.md (why: docs/security/programs.md). If it must have more, write "
                "`internals = true` at the top of the job file: all parties compare that, and the report repeats it"
            )
        module = _FINDER.run(self)
        program = getattr(module, "program", None)
        if not inspect.isfunction(program):
            raise ConfigError(f"{self.path} has no function program(session); that is what every party runs")
        try:
            inspect.signature(program).bind(None)
        except TypeError:
            raise ConfigError(
                f"{self.path}: program() must take one argument, the session: def program(session): ..."
            ) from None
        return program


_SHOWN = 3  # findings of a review in one message


def load_program(path: Path, *, internals: bool = False) -> tuple[Callable[[Session], Any], bytes]:
    """The function ``program(session)`` of a party's own file, and the hash that parties compare.

    Raises ConfigError if there is no such file or function, UsageError if it may not run or fails when it is imported.
    """
    program = read_program(path)
    return program.load(internals=internals), program.digest


def read_program(path: Path) -> Program:
    """Read and hash a program with the modules beside it that it imports. Nothing of it runs.

    Raises ConfigError for what cannot be read or hashed, UsageError for what is not Python.
    """
    if path.suffix != ".py":
        raise ConfigError(f"{path} is not a Python file; a program is a .py file with a function program(session)")
    first = read_source(path, "", "the program")
    folder = Path(first.filename).parent
    _leave_path(folder)
    files: dict[str, Source] = {"": first}
    others: dict[str, str] = {}
    waiting = [first]
    while waiting:
        file = waiting.pop()
        for line, name, how in _imported(file):
            where = f"{file.shown}:{line}"
            if not how.relative and not _is_beside(folder, how.top, where):
                others.setdefault(how.top, where)
                continue
            for part in _parents(name):
                if part in files or part == first.stem:
                    continue
                source = _beside(folder, part, where)
                if source is None and part == name and how.maybe:
                    continue  # a name in the module before, not a module
                if source is None:
                    raise ConfigError(f"{where} imports {part!r}, but there is no such module beside {path.name}")
                files[part] = source
                waiting.append(source)
    return Program(path, files, _digest(files), _versions(others))


@dataclass(frozen=True, slots=True)
class _Import:
    """How a name is imported: its first part, whether that is beside by its form, whether it may be no module."""

    top: str
    relative: bool
    maybe: bool


def _imported(file: Source) -> Iterator[tuple[int, str, _Import]]:
    """(line, dotted name, how) of every import in a file, those inside functions too; relative ones made absolute."""
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, _Import(alias.name.partition(".")[0], False, False)
        elif isinstance(node, ast.ImportFrom):
            base = file.base(node.level)
            if base is None:
                raise ConfigError(
                    f"{file.shown}:{node.lineno} imports from above the program's folder; put what it needs beside it"
                )
            stem = ".".join([*base, *([node.module] if node.module else [])])
            relative = node.level > 0
            if stem:
                yield node.lineno, stem, _Import(stem.partition(".")[0], relative, False)
            for alias in node.names:
                if alias.name != "*":
                    name = f"{stem}.{alias.name}" if stem else alias.name
                    yield node.lineno, name, _Import(name.partition(".")[0], relative, bool(stem))


def _parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[: n + 1]) for n in range(len(parts)))


def _is_beside(folder: Path, top: str, where: str) -> bool:
    """Whether an absolute import means a file beside the program. Raises ConfigError where that is not clear."""
    if top == "privity" or top == "__future__":
        return False
    module, package = folder / f"{top}.py", folder / top / "__init__.py"
    here = [p for p in (module, package) if p.is_file()]
    elsewhere = top in sys.stdlib_module_names or _installed(top)
    if here and elsewhere:
        raise ConfigError(
            f"{where} imports {top!r}, which is {here[0]} beside the program and a module of this Python too; rename "
            f"the file, or import it as `from . import {top}`"
        )
    compiled = [p for p in (folder / f"{top}{suffix}" for suffix in _COMPILED) if p.is_file()]
    return bool(here) or (not elsewhere and (bool(compiled) or (folder / top).is_dir()))


def _installed(top: str) -> bool:
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return top in sys.modules


def _beside(folder: Path, name: str, where: str) -> Source | None:
    """The module ``name`` beside the program: a file, a package, an empty one for a folder; None if there is none."""
    base = folder.joinpath(*name.split("."))
    module, package = base.with_name(base.name + ".py"), base / "__init__.py"
    if module.is_file() and package.is_file():
        raise ConfigError(f"{where} imports {name!r}, which is both {module} and {package}; keep one of them")
    if package.is_file():
        return read_source(package, name, f"what {where} imports", package=True)
    if module.is_file():
        return read_source(module, name, f"what {where} imports")
    for suffix in _COMPILED:
        file = base.with_name(base.name + suffix)
        if file.is_file():
            raise ConfigError(
                f"{where} imports {file}, which is no source: nobody can review what it does, so it is not run; put "
                "its source beside the program, or install it as a package, whose version the report shows"
            )
    return Source.folder(base, name) if base.is_dir() else None


def _digest(files: Mapping[str, Source]) -> bytes:
    """Of the program's bytes where it stands alone, else of every file's name and bytes, in the order of the names."""
    if len(files) == 1:
        return hashlib.sha256(files[""].data).digest()
    digest = hashlib.sha256(b"privity program with modules 1\x00")  # a zero byte: no program begins like this
    for name in sorted(files):
        if files[name].hashed:
            for part in (files[name].relative.encode(), files[name].data):
                digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()


def _versions(others: Mapping[str, str]) -> dict[str, str]:
    """Versions of the packages that are imported, by distribution. Raises ConfigError for code that has none."""
    found = {"python": platform.python_version(), "privity": metadata.version("privity")}
    found["numpy"] = metadata.version("numpy")
    owners: Mapping[str, Sequence[str]] | None = None
    for top, where in others.items():
        if top in sys.stdlib_module_names or top in found:
            continue
        try:
            found[top] = metadata.version(top)
            continue
        except metadata.PackageNotFoundError:
            owners = metadata.packages_distributions() if owners is None else owners
        if top in owners:
            found.update({name: metadata.version(name) for name in owners[top]})
        elif not _installed(top):
            found[top] = "not installed"
        else:
            raise ConfigError(
                f"{where} imports {top!r}, which belongs to no installed package: it would be neither hashed nor shown "
                "with a version. Put it beside the program, or install it"
            )
    return dict(sorted(found.items()))


def _leave_path(folder: Path) -> None:
    """Take the program's folder off Python's path: what lies there is imported as it was hashed, or not at all."""
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != folder.resolve()]
    sys.path_importer_cache.pop(str(folder), None)


class _Loader(importlib.abc.InspectLoader):
    """Runs one file of a program from the bytes that were hashed."""

    def __init__(self, package: str, program: Program, source: Source) -> None:
        self._package = package
        self._program = program
        self._source = source

    def get_source(self, fullname: str) -> str:
        return self._source.text

    def is_package(self, fullname: str) -> bool:
        return self._source.package

    def get_code(self, fullname: str) -> CodeType:
        # assertions stay, whatever this host's PYTHONOPTIMIZE says: all parties run the same
        return compile(self._source.tree, self._source.filename, "exec", dont_inherit=True, optimize=0)

    def exec_module(self, module: ModuleType) -> None:
        text = self._source.text
        linecache.cache[self._source.filename] = (  # so that messages quote the lines that run
            len(text), None, text.splitlines(keepends=True), self._source.filename,
        )  # fmt: skip
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": self._import}
        super().exec_module(module)

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        """What the statement ``import`` does in a program: modules beside it come before all others."""
        top = name.partition(".")[0]
        if level == 0 and (top in self._program.files or top == self._program.stem):
            whole = f"{self._package}.{name}"
            if fromlist:
                return builtins.__import__(whole, globals, locals, fromlist, 0)
            importlib.import_module(whole)
            return sys.modules[f"{self._package}.{top}"]
        return builtins.__import__(name, globals, locals, fromlist or (), level)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of the programs that were loaded, each in a package of its own."""

    def __init__(self) -> None:
        self._programs: dict[str, Program] = {}

    def run(self, program: Program) -> ModuleType:
        """Import the program anew. Raises UsageError with the line if that fails."""
        package = _PREFIX + program.digest.hex()[:16]
        self._programs[package] = program
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        self._forget(package)
        name = f"{package}.{program.stem}"
        spec = self._spec(name, program.files[""])
        module = importlib.util.module_from_spec(spec)
        importlib.import_module(package)
        sys.modules[name] = module
        assert spec.loader is not None
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            self._forget(package)
            files = {file.filename: file.shown for file in program.files.values()}
            frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in files]
            at = f"{files[frames[-1].filename]}:{frames[-1].lineno}" if frames else str(program.path)
            raise UsageError(f"{at} cannot be imported: {type(error).__name__}: {error}") from error
        return module

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        package, _, name = fullname.partition(".")
        program = self._programs.get(package)
        if program is None:
            return None
        if not name:
            return self._spec(fullname, Source.folder(Path(program.files[""].filename).parent, ""))
        if name not in program.files:
            raise ModuleNotFoundError(
                f"{name!r} was not hashed with {program.path.name}, so it is not run; import it by a statement in the "
                "program or a module beside it",
                name=fullname,
            )
        return self._spec(fullname, program.files[name])

    def _spec(self, name: str, source: Source) -> ModuleSpec:
        package = name.partition(".")[0]
        loader = _Loader(package, self._programs[package], source)
        spec = ModuleSpec(name, loader, origin=source.filename, is_package=source.package)
        spec.has_location = source.hashed
        return spec

    def _forget(self, package: str) -> None:
        for name in [n for n in sys.modules if n == package or n.startswith(package + ".")]:
            del sys.modules[name]


_FINDER: Final = _Finder()
