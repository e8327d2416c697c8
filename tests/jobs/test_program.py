"""What is hashed is what runs: the program's own bytes, those of the modules beside it, nothing else."""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import marshal
import os
import subprocess
import sys
import traceback
from importlib.metadata import version
from pathlib import Path

import pytest

from privity.errors import ConfigError, UsageError
from privity.jobs.job import load_program
from privity.jobs.program import read_program

PROGRAM = "def program(session):\n    return {}\n"


def place(name: str) -> str:
    """``kit__INIT`` is kit/__init__.py."""
    return name.replace("__", "/").replace("INIT", "__init__") + ".py"


def write(folder: Path, **files: str) -> Path:
    """Files by name (see ``place``); returns the program's path."""
    for name, text in files.items():
        path = folder / place(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder / "prog.py"


def plant(source: Path, code: str) -> None:
    """Byte code that Python would believe without a look at the source (PEP 552, unchecked)."""
    cached = Path(importlib.util.cache_from_source(str(source)))
    cached.parent.mkdir(exist_ok=True)
    data = marshal.dumps(compile(code, str(source), "exec"))
    cached.write_bytes(importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + bytes(8) + data)


def test_a_program_alone_has_the_hash_of_its_file(tmp_path: Path) -> None:
    path = write(tmp_path, prog=PROGRAM.format(7))
    function, digest = load_program(path)
    assert function(None) == 7
    assert digest == hashlib.sha256(path.read_bytes()).digest()


def test_byte_code_is_neither_read_nor_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)  # as in a process that would write it, beside the source
    monkeypatch.setattr(sys, "pycache_prefix", None)
    path = write(tmp_path, prog="import beside\n" + PROGRAM.format("beside.x"), beside="x = 'reviewed'\n")
    assert load_program(path)[0](None) == "reviewed"
    assert not list(tmp_path.rglob("__pycache__"))
    plant(path, PROGRAM.format("'something else ran'"))
    plant(tmp_path / "beside.py", "x = 'something else ran'\n")
    assert load_program(path)[0](None) == "reviewed"


FORMS = {
    "a module": ("import beside", "beside.x", {"beside": "x = 1\n"}),
    "a name of it": ("from beside import x", "x", {"beside": "x = 1\n"}),
    "renamed": ("import beside as b", "b.x", {"beside": "x = 1\n"}),
    "relative": ("from . import beside", "beside.x", {"beside": "x = 1\n"}),
    "a name, relative": ("from .beside import x", "x", {"beside": "x = 1\n"}),
    "a package": ("import kit", "kit.x", {"kit__INIT": "x = 1\n"}),
    "in a package": ("import kit.part", "kit.part.x", {"kit__INIT": "", "kit__part": "x = 1\n"}),
    "from a package": ("from kit import part", "part.x", {"kit__INIT": "", "kit__part": "x = 1\n"}),
    "renamed, in a package": ("import kit.part as p", "p.x", {"kit__INIT": "", "kit__part": "x = 1\n"}),
    "a folder without __init__": ("import kit.part", "kit.part.x", {"kit__part": "x = 1\n"}),
    "from a folder without __init__": ("from kit import part", "part.x", {"kit__part": "x = 1\n"}),
    "through a package": (
        "from kit import x", "x", {"kit__INIT": "from .part import x\n", "kit__part": "from kit.deep import x\n",
                                   "kit__deep": "x = 1\n"},
    ),
    "up and down": (
        "from kit.part import x", "x", {"kit__INIT": "", "kit__part": "from ..other import x\n", "other": "x = 1\n"},
    ),
    "a name that is no module": ("from kit import x", "x", {"kit__INIT": "x = 1\n"}),
    "in a circle": ("import beside\ny = 1", "beside.f()", {"beside": "import prog\ndef f(): return prog.y\n"}),
    "in a relative circle": ("from . import beside\ny = 1", "beside.f()",
                             {"beside": "from . import prog\ndef f(): return prog.y\n"}),
    "with the name of an installed one, relative": ("from . import json", "json.x", {"json": "x = 1\n"}),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_modules_beside_the_program_are_hashed_and_run(tmp_path: Path, form: str) -> None:
    statement, value, files = FORMS[form]
    path = write(tmp_path, prog=f"{statement}\n{PROGRAM.format(value)}", **files)
    function, digest = load_program(path)
    assert function(None) == 1
    assert load_program(path)[1] == digest
    seen = {digest, hashlib.sha256(path.read_bytes()).digest()}
    for name in files:  # every byte of each file counts
        file = tmp_path / place(name)
        file.write_text(file.read_text() + "# another line\n")
        seen.add(load_program(path)[1])
    assert len(seen) == len(files) + 2
    assert not [n for n in sys.modules if n in ("beside", "kit", "other", "prog")]


@pytest.mark.parametrize("form", ["a module", "in a package", "relative"])
def test_imports_in_functions_are_hashed_too(tmp_path: Path, form: str) -> None:
    statement, value, files = FORMS[form]
    body = f"def program(session):\n    {statement}\n    return {value}\n"
    path = write(tmp_path, prog=body, **files)
    function, digest = load_program(path)
    last = tmp_path / place(list(files)[-1])
    last.write_text("x = 'changed after it was hashed'\n")
    assert function(None) == 1
    assert load_program(path)[1] != digest


def test_the_place_of_a_module_counts(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    text = "import kit\n" + PROGRAM.format("kit.x")
    first = load_program(write(one, prog=text, kit="x = 1\n"))[1]
    assert load_program(write(two, prog=text, kit__INIT="x = 1\n"))[1] != first


def test_where_the_folder_lies_does_not_count(tmp_path: Path) -> None:
    text = "import beside\n" + PROGRAM.format("beside.x")
    digests = {load_program(write(tmp_path / n, prog=text, beside="x = 1\n"))[1] for n in ("a", "b")}
    assert len(digests) == 1


def test_bytes_do_not_move_between_files(tmp_path: Path) -> None:
    text = "import p, q\n" + PROGRAM.format("1")
    a = load_program(write(tmp_path / "a", prog=text, p="x = 1\ny = 1\n", q=""))[1]
    b = load_program(write(tmp_path / "b", prog=text, p="x = 1\n", q="y = 1\n"))[1]
    assert a != b


@pytest.mark.parametrize(
    ("statement", "files", "message"),
    [
        ("import beside.part", {"beside": ""}, "imports 'beside.part', but there is no such module"),
        ("from . import missing", {}, "imports 'missing', but there is no such module"),
        ("from .. import above", {}, "from above the program's folder"),
        ("from ..other import x", {}, "from above the program's folder"),
        ("import numpy", {"numpy": ""}, "imports 'numpy', which is .* beside the program and a module of this Python"),
        ("import statistics", {"statistics": ""}, "imports 'statistics', which is .*; rename"),
        ("import kit", {"kit": "", "kit__INIT": ""}, "both .* keep one"),
    ],
)
def test_what_is_not_clear_is_refused(tmp_path: Path, statement: str, files: dict[str, str], message: str) -> None:
    path = write(tmp_path, prog=f"{statement}\n{PROGRAM.format(1)}", **files)
    with pytest.raises(ConfigError, match=rf"prog\.py:1 .*{message}"):
        read_program(path)


@pytest.mark.parametrize("suffix", [".pyc", *importlib.machinery.EXTENSION_SUFFIXES])
def test_what_is_no_source_is_refused(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"beside{suffix}").write_bytes(b"anything")
    with pytest.raises(ConfigError, match=r"prog\.py:1 imports .*beside.*, which is no source"):
        read_program(write(tmp_path, prog="import beside\n" + PROGRAM.format(1)))


def test_code_without_a_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "lib", somewhere_else="x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    with pytest.raises(ConfigError, match="imports 'somewhere_else', which belongs to no installed package"):
        read_program(write(tmp_path, prog="import somewhere_else\n" + PROGRAM.format(1)))


def test_the_folder_leaves_pythons_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module beside the program that no statement imports is not found by another way either."""
    path = write(
        tmp_path, beside="x = 'not hashed'\n",
        prog="import importlib\ndef program(session):\n    return importlib.import_module('beside').x\n",
    )  # fmt: skip
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.chdir(tmp_path)
    sys.path.insert(0, "")
    function, digest = load_program(path, internals=True)
    assert digest == hashlib.sha256(path.read_bytes()).digest()
    with pytest.raises(ModuleNotFoundError):
        function(None)


def test_a_module_that_was_not_hashed_is_refused_by_name(tmp_path: Path) -> None:
    body = "import importlib\ndef program(session):\n    return importlib.import_module('.beside', __package__)\n"
    function, _ = load_program(write(tmp_path, prog=body, beside="x = 1\n"), internals=True)
    with pytest.raises(ModuleNotFoundError, match=r"'beside' was not hashed with prog\.py"):
        function(None)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"# coding: latin-1\n", "declares the encoding"),
        (b"# coding: utf-7\n", "declares the encoding"),
        (b"# coding: raw_unicode_escape\n", "declares the encoding"),
        (b"# coding: no-such-thing\n", "is not UTF-8"),
        (b"# \xff\n", "is not UTF-8"),
        (b"x = 1\n\n# far below \xe9\n", "is not UTF-8"),
        (b"x = '\x00'\n", r"prog\.py:1 holds the character U\+0000"),
        (b"# seen\rx = 2\n", r"prog\.py:1 holds the character U\+000D"),
        ("x = 1\n# \u202e reversed\n".encode(), r"prog\.py:2 holds the character U\+202E"),
        ("# line\u2028x = 2\n".encode(), r"U\+2028"),
    ],
)
def test_a_text_that_shows_something_else_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "prog.py"
    path.write_bytes(data + PROGRAM.format(1).encode())
    with pytest.raises(ConfigError, match=message):
        read_program(path)


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "prog.py"
    path.write_bytes(b"\xef\xbb\xbf# coding: utf-8\r\n" + PROGRAM.format("'\u00e9'").replace("\n", "\r\n").encode())
    assert load_program(path)[0](None) == "\u00e9"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def program(s:\n", r"prog\.py cannot be imported: SyntaxError.*line 1"),
        ("x = 1\nraise SystemExit(3)\n", r"prog\.py:2 cannot be imported: SystemExit"),
        ("import beside\n", r"beside\.py:1 cannot be imported: ZeroDivisionError"),
        ("x = 1\n", r"has no function program\(session\)"),
        ("def program():\n    pass\n", "must take one argument"),
        ("(" * 5000 + ")" * 5000, "cannot be imported"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_program(write(tmp_path, prog=text, beside="1 / 0\n"))


def test_messages_quote_the_lines_that_run(tmp_path: Path) -> None:
    path = write(tmp_path, prog="def program(session):\n    return 1 / 0  # the line that ran\n")
    function, _ = load_program(path)
    path.write_text("# changed since\n" * 5)
    with pytest.raises(ZeroDivisionError) as failed:
        function(None)
    last = traceback.extract_tb(failed.value.__traceback__)[-1]
    assert (last.filename, last.lineno, last.line) == (str(path), 2, "return 1 / 0  # the line that ran")


def test_assertions_run_everywhere_the_same(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from privity.jobs.job import load_program\n"
        "load_program(Path(sys.argv[1]))[0](None)"
    )
    path = write(tmp_path, prog="def program(session):\n    assert session, 'it ran'\n")
    done = subprocess.run(
        [sys.executable, "-OO", "-c", code, str(path)], capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )  # fmt: skip
    assert "AssertionError: it ran" in done.stderr


def test_classes_know_their_module(tmp_path: Path) -> None:
    body = (
        "from __future__ import annotations\nimport dataclasses\nfrom beside import A\n\n\n@dataclasses.dataclass\n"
        "class B(A):\n    y: int = 2\n\n\ndef program(session):\n    return B()\n"
    )
    beside = "from __future__ import annotations\nimport dataclasses\n@dataclasses.dataclass\nclass A:\n    x: int = 1"
    made = load_program(write(tmp_path, prog=body, beside=beside))[0](None)
    assert (made.x, made.y) == (1, 2)
    assert type(made).__module__ in sys.modules


def test_a_link_to_a_program_is_read_through(tmp_path: Path) -> None:
    write(tmp_path / "real", prog="import beside\n" + PROGRAM.format("beside.x"), beside="x = 'not beside the link'\n")
    here = tmp_path / "here"
    write(here, beside="x = 'beside the link'\n")
    (here / "prog.py").symlink_to(tmp_path / "real" / "prog.py")
    assert load_program(here / "prog.py")[0](None) == "beside the link"


def test_versions_of_what_it_imports(tmp_path: Path) -> None:
    text = "import json\nimport numpy\nimport msgspec\nimport beside\n"
    tried = "".join(
        f"try:\n    import {name}\nexcept ImportError:\n    pass\n" for name in ("dateutil", "no_such_package")
    )
    packages = read_program(write(tmp_path, prog=text + PROGRAM.format(1), beside=tried)).packages
    assert packages == {
        "python": sys.version.split()[0].rstrip("+"), "privity": version("privity"), "numpy": version("numpy"),
        "msgspec": version("msgspec"), "python-dateutil": version("python-dateutil"),
        "no_such_package": "not installed",
    }  # fmt: skip


def test_two_programs_in_one_process_keep_apart(tmp_path: Path) -> None:
    body = "def program(session):\n    import beside\n    return beside.x\n"
    one, _ = load_program(write(tmp_path / "one", prog=body, beside="x = 1\n"))
    two, _ = load_program(write(tmp_path / "two", prog=body, beside="x = 2\n"))
    assert (one(None), two(None)) == (1, 2)
