"""What a program may not touch unless the job says so: each way round the public names that we know is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import privity
from privity.errors import UsageError
from privity.jobs import public
from privity.jobs.program import read_program

ROOT = Path(__file__).parents[2]

HEAD = """import dataclasses
import functools
import operator
import numpy as np
import privity as pv
from privity import ml


"""

REFUSED = {
    # below the public names
    "a module below": "from privity.session import Session",
    "a module below, whole": "import privity.mpc.rep3",
    "a module below, renamed": "import privity.array as a",
    "a package below": "from privity import mpc",
    "a module of the models": "from privity.ml.selection import _folds",
    "the testing kit": "from privity.testing import reconstruct",
    "everything": "from privity import *",
    "inside a function": "def f():\n    from privity.mpc import shares",
    "an attribute of the package": "x = pv.session.Session",
    "through a public package": "x = ml.linear",
    "through a public module": "x = ml.metrics.sample",
    "through random": "x = pv.random.randomness",
    "the package renamed": "p = pv\nx = p.session",
    "the package in a call": "print([pv])",
    "the package in a default": "def f(p=ml): return p.linear",
    "the package looked up": "x = getattr(pv, 'session')",
    # underscores
    "an underscore": "def f(s): return s._context",
    "two underscores": "def f(s): return s.__dict__",
    "the class": "def f(s): return s.__class__",
    "variables of a function": "def f(g): return g.__globals__",
    "a closure": "def f(g): return g.__closure__",
    "deleted": "def f(s): del s._context",
    "assigned": "def f(s): s._gate = None",
    "the name of a class": "class C: pass\nC.__name__ = 'x'",
    "as self": "class A:\n    def peek(self): return self._context",
    "another's initialiser": "def f(x): x.__init__(1)",
    "written in wide letters": "def f(s): return s.\uff50rotocol",
    "in a pattern": "def f(s):\n    match s:\n        case pv.Session(_context=c): return c",
    "in a pattern of object": "def f(s):\n    match s:\n        case object(_gate=c): return c",
    "by places in a pattern": "def f(s):\n    match s:\n        case pv.Opening(a): return a",
    "in an annotation": "def f(x: 'print(x._context)'): return x",
    "in an annotation of a field": "@dataclasses.dataclass\nclass A:\n    x: 'pv.mpc'",
    "in an f-string": "def f(x): return f'{x._context}'",
    "in a lambda": "f = lambda s: s._context",
    "in a decorator": "def f(s):\n    @s._context\n    def g(): pass",
    "Python's builtins": "x = __builtins__",
    "the loader": "x = __loader__",
    "new builtins": "__builtins__ = {}",
    "a global of that kind": "def f():\n    global __builtins__\n    __builtins__ = 1",
    # names as strings
    "getattr": "def f(s, n): return getattr(s, n)",
    "getattr with an underscore": "def f(s): return getattr(s, '_context')",
    "getattr put together": "def f(s): return getattr(s, '_con' + 'text')",
    "getattr handed on": "f = functools.partial(getattr)",
    "getattr with a wide letter": "def f(s): return getattr(s, '\uff50rotocol')",
    "hasattr": "def f(s, n): return hasattr(s, n)",
    "setattr": "setattr(np, 'a', 1)",
    "vars": "def f(s): return vars(s)",
    "dir": "def f(s): return dir(s)",
    "eval": "def f(s): return eval('s._context')",
    "exec": "exec('import gc')",
    "compile": "compile('1', '', 'exec')",
    "import as a function": "x = __import__('gc')",
    "globals": "x = globals()['pv']",
    "format": "def f(s): return '{0._context}'.format(s)",
    "format of a variable": "def f(s, t): return t.format(s)",
    "format as a function": "f = str.format",
    "format inside the width": "def f(s): return '{0:{0._context}}'.format(s)",
    "format by an entry": "def f(s): return '{0[a]}'.format(s)",
    "format_map": "def f(s, t): return t.format_map(s)",
    "a formatter": "from string import Formatter",
    "attrgetter": "f = operator.attrgetter('_context')",
    "attrgetter imported": "from operator import attrgetter as a",
    "methodcaller": "f = operator.methodcaller('_ring_share')",
    "type hints": "from typing import get_type_hints",
    "update_wrapper": "functools.update_wrapper(print, len, ('_context',))",
    "pandas": "def f(d): return d.eval('@s._context')",
    # modules that reach others
    **{
        f"import {name}": f"import {name}"
        for name in (
            "ctypes", "gc", "inspect", "sys", "importlib", "pickle", "marshal", "builtins", "types", "traceback",
            "threading", "os", "subprocess", "pdb", "runpy", "weakref", "copy", "dis", "mmap", "cffi", "logging",
            "code", "faulthandler",
            "tracemalloc", "pkgutil", "zipimport", "timeit", "doctest", "shelve", "copyreg",
            "multiprocessing", "asyncio",
        )
    },
    "a part of importlib": "import importlib.util as u",
    "from ctypes": "from ctypes import string_at",
    "sys of another module": "x = dataclasses.sys",
    "inspect of another module": "from dataclasses import inspect",
    "builtins of another module": "import enum\nx = enum.bltns",
    "os of another module": "from pathlib import os",
    "a module renamed": "d = dataclasses\nx = d.fields",
    "ctypeslib": "x = np.ctypeslib",
    "ctypes of an array": "def f(a): return a.ctypes",
    "another's memory": "x = np.lib.stride_tricks.as_strided",
    "memory as it was left": "x = np.empty(9)",
    "memory, imported": "from numpy import empty_like as z",
    "memory of a file": "x = np.memmap",
    "a pickle": "x = np.load('x.npy', allow_pickle=True)",
    "a pickle, by place": "x = np.load('x.npy', None, True)",
    "a pickle, by a dictionary": "x = np.load('x.npy', **{'allow_pickle': True})",
    "code in a string": "np.testing.measure('1')",
    "names in the text of a matrix": "x = np.bmat('pv')",
    "NumPy renamed": "n = np\nn.testing.runstring('1', {})",
    "NumPy as a default": "def f(n=np): return n.testing",
    "NumPy in a class": "class A: n = np",
    "a part of NumPy renamed": "x = np.lib.npyio",
    "NumPy within NumPy": "np.ma.core.np.testing.runstring('1', {})",
    "functools within NumPy": "x = np.ma.core.functools.partialmethod",
    "NumPy's loader as a value": "f = np.load\nx = f('x.npy', None, True)",
    "NumPy's loader handed on": "x = functools.partial(np.load, 'x.npy', None, True)",
    "the loader within NumPy": "x = np.ma.core.np.load('x.npy', None, True)",
    "the reader of archives": "x = np.lib.npyio.NpzFile(1, True, True)",
    "memory by the class": "x = np.ndarray((5,))",
    "memory by a class of its own": "class A(np.ndarray): pass",
    "memory of records": "x = np.recarray((5,), 'f8')",
    "memory with a mask": "x = np.ma.empty(5)",
    "memory of a matrix": "x = np.matlib.empty(5)",
    "annotations in a variable": "T = 'print(1)'\ndef g(x: T): pass\n@functools.singledispatch\ndef f(x): pass",
    "the same, within another module": "import re\nf = re.functools.singledispatch",
    # frames, and what objects keep of their makers
    "a frame of a generator": "def f(g): return g.gi_frame",
    "a frame of an error": "def f(e): return e.tb_frame",
    "the frame before": "def f(x): return x.f_back.f_locals",
    "the error's traceback": "try:\n    pass\nexcept Exception as e:\n    x = e.__traceback__",
    "arguments of a context manager": "def f(s): return s.stage('x').args[0]",
    "the generator of a context manager": "def f(s): return s.stage('x').gen",
    "the object of an error": "def f(e): return e.obj",
    "a cell": "def f(c): return c.cell_contents",
    "asdict": "def f(x): return dataclasses.asdict(x)",
    "fields": "def f(x): return dataclasses.fields(x)",
    "replace": "def f(x): return dataclasses.replace(x)",
    "the protocol": "def f(s): return s.protocol",
    "raw shares": "def f(x): return x.ring_share()",
    "words to all": "def f(s): s.told(b'1')",
    # classes and changes of others
    "type": "def f(x): return type(x)",
    "type with a string": "X = type('X', (), {})",
    "a class of Privity's": "class X(pv.SecureArray): pass",
    "through a name": "B = pv.SecureArray\nclass X(B): pass",
    "through the name of one of Python's": "Exception = pv.SecureArray\nclass X(Exception): pass",
    "by places through another name": "int = pv.Opening\ndef f(s):\n    match s:\n        case int(a): return a",
    "a metaclass": "class X(metaclass=print): pass",
    "made of strings by Enum": "import enum\nX = enum.Enum('X', {'__array__': print})",
    "made of strings by an own enumeration": "import enum\nclass E(enum.Enum): pass\nX = E('X', {'__array__': print})",
    "made by ABCMeta": "from abc import ABCMeta",
    "made by a function": "X = dataclasses.make_dataclass('X', [])",
    "a stand-in": "class X:\n    def _ring_share(self): return 1",
    "a stand-in for everything": "class X:\n    def __getattr__(self, name): return 1",
    "a stand-in for a class": "class X:\n    __class__ = pv.SecureArray",
    "places of a pattern": "class X:\n    __match_args__ = ('_context',)",
    "another class as a dataclass": "dataclasses.dataclass(pv.SecureArray)",
    "a name of Privity changed": "pv.simulate = print",
    "a method of Privity changed": "pv.SecureArray.decode = print",
    "a name of NumPy changed": "np.asarray = print",
    "a name of NumPy deleted": "del np.asarray",
    "a name changed in a loop": "for np.asarray in []: pass",
}  # fmt: skip

ALLOWED = {
    "an own helper with an underscore": "def _half(x): return x * 0.5\ny = _half(2)",
    "super": "class A:\n    def __init__(self): self.x = 1\nclass B(A):\n    def __init__(self): super().__init__()",
    "an error of its own": "class E(pv.PrivityError): pass\nclass F(ValueError): pass",
    "a dataclass": "@dataclasses.dataclass(frozen=True)\nclass A:\n    x: int = 1",
    "public modules": "from privity.ml.metrics import accuracy_score\nimport privity.stats as st\nx = st.describe",
    "a model by its home": "from privity.ml.svm import LinearSVC\nx = LinearSVC.fit",
    "getattr with a plain name": "def f(x): return getattr(x, 'shape', None)",
    "format with plain fields": "x = '{} {:.3f} {name}'.format(1, 2, name=3)",
    "numpy": "x = np.linalg.norm(np.zeros(3)) + np.random.default_rng(1).normal()",
    "the class of arrays": "def f(x: np.ndarray) -> 'np.ndarray | None':\n    match x:\n"
    "        case np.ndarray(): return x\n    return x if isinstance(x, np.ndarray | np.generic) else None",
    "a function of NumPy looked up": "x = getattr(np, 'exp')(0.0)",
    "a file of arrays": "def f(): return np.load('x.npz')['a']",
    "names": "x = __name__\ndef f(): return f.__name__",
    "random numbers": "def f(s): return pv.random.normal(s)",
    "a pattern": "def f(v):\n    match v:\n        case int(n): return n\n        case pv.Opening(name=n): return n",
    "an enumeration": "import enum\nclass E(enum.Enum):\n    A = 1",
    "an annotation that is text": "def f(x: 'pv.SecureArray', y: 'a word') -> 'pv.SecureArray': return x",
    "versions and names": "x = np.__version__\ndef f(): return f.__qualname__",
    "a sequence of its own": "class A:\n    def __reversed__(self): return iter(())",
    "a file that it reads": "from pathlib import Path\nx = Path('a').suffix",
}


def written(folder: Path, body: str, name: str = "prog.py") -> Path:
    path = folder / name
    path.write_text(f"{HEAD}{body}\n\n\ndef program(session):\n    return 1\n", "utf-8")
    return path


@pytest.mark.parametrize("case", REFUSED)
def test_a_way_round_is_refused_with_its_line(tmp_path: Path, case: str) -> None:
    path = written(tmp_path, REFUSED[case])
    with pytest.raises(UsageError, match=r"prog\.py:\d+: ") as refused:
        read_program(path).load()
    last = HEAD.count("\n") + REFUSED[case].count("\n") + 1
    lines = [int(n) for n in re.findall(r"prog\.py:(\d+): ", str(refused.value))]
    assert all(HEAD.count("\n") < n <= last for n in lines)
    assert "internals = true" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("case", REFUSED)
def test_each_is_refused_in_a_module_beside_the_program_too(tmp_path: Path, case: str) -> None:
    written(tmp_path, REFUSED[case], "beside.py")
    (tmp_path / "prog.py").write_text("import beside\n\n\ndef program(session):\n    return beside\n")
    with pytest.raises(UsageError, match=r"beside\.py:\d+: "):
        read_program(tmp_path / "prog.py").load()


@pytest.mark.parametrize("case", ALLOWED)
def test_what_programs_do_is_allowed(tmp_path: Path, case: str) -> None:
    assert read_program(written(tmp_path, ALLOWED[case])).load()(None) == 1


@pytest.mark.parametrize(
    ("body", "advice"),
    [
        ("import logging", r"use print\(\), or session.stage"),
        ("import os.path", "use pathlib for paths"),
        ("import sys\nprint('x', file=sys.stderr)", r"use print\(\)"),
        ("vars = ['age', 'sex']\nfor v in vars: pass", "a name of your own needs another one"),
        ("class A:\n    def __init__(self, n): self._n = n", "a class of your own too, so rename it"),
        ("class A:\n    def __init__(self, args): self.args = args", "a class of your own too, so rename it"),
        ("try: pass\nexcept ValueError as e: print(e.args)", r"str\(error\) does"),
    ],
)
def test_what_newcomers_write_is_refused_with_what_does_instead(tmp_path: Path, body: str, advice: str) -> None:
    with pytest.raises(UsageError, match=advice):
        read_program(written(tmp_path, body)).load()


def test_advice_is_for_modules_that_are_refused() -> None:
    assert not public.INSTEAD.keys() & public.COMPUTING


@pytest.mark.parametrize(
    "body",
    [
        "import beside\nx = beside.pv.session",
        "from beside import pv\nx = pv.session",
        "from beside import pv as q\nx = q.session",
        "from . import beside\nx = beside.again.pv.session",
        "import beside as b\nm = b",
        "from beside import np\nx = np.ctypeslib",
        "import beside\nbeside.pv.reveal = 1",
    ],
)
def test_names_that_come_through_a_module_beside_are_followed(tmp_path: Path, body: str) -> None:
    (tmp_path / "beside.py").write_text("import numpy as np\nimport privity as pv\n\nfrom . import again\n")
    (tmp_path / "again.py").write_text("import prog\nimport privity as pv\n")
    (tmp_path / "prog.py").write_text(f"{body}\n\n\ndef program(session):\n    return 1\n")
    with pytest.raises(UsageError, match=r"prog\.py:[12]: "):
        read_program(tmp_path / "prog.py").load()


@pytest.mark.parametrize(
    ("body", "beside"),
    [
        ("beside.put(s)\n    return beside.thing._context", "def put(x):\n    global thing\n    thing = x"),
        ("beside.put(s)\n    return beside.thing.protocol", "def put(x):\n    global thing\n    thing = x"),
        ("return [beside._context for beside in [s]]", ""),
        ("beside = s\n    return beside._context", ""),
        ("return (lambda beside: beside._context)(s)", ""),
        ("class beside: thing = s\n    return beside._context", ""),
        ("class A(beside.B): pass", "from privity import SecureArray as S\nB = S"),
        ("class A(beside.B): pass", "from privity import SecureArray as S\nclass B: pass\nB = S"),
    ],
)
def test_the_name_of_a_module_beside_lets_nothing_else_pass(tmp_path: Path, body: str, beside: str) -> None:
    """A module's own underscores are its own; what hangs on its names, or on a name it shares, may be anything."""
    (tmp_path / "beside.py").write_text(f"_half = 0.5\n\n\n{beside}\n\n\nclass Base:\n    pass\n")
    path = tmp_path / "prog.py"
    path.write_text(f"import beside\n\n\ndef program(s):\n    {body}\n")
    with pytest.raises(UsageError, match=r"prog\.py:[56]: "):
        read_program(path).load()
    path.write_text("import beside\n\n\nclass A(beside.Base): pass\ndef program(s): return beside._half\n")
    assert read_program(path).load()(None) == 0.5


def test_names_that_come_through_the_program_itself_are_followed(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("import prog\n\n\ndef peek():\n    return prog.pv.session\n")
    (tmp_path / "prog.py").write_text("import beside\nimport privity as pv\ndef program(s):\n    return beside.peek\n")
    with pytest.raises(UsageError, match=r"beside\.py:5: touches privity\.session"):
        read_program(tmp_path / "prog.py").load()


def test_the_program_is_not_handed_on_as_a_module(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("import prog\np = prog\n")
    (tmp_path / "prog.py").write_text("import beside\n\n\ndef program(session):\n    return beside.p\n")
    with pytest.raises(UsageError, match=r"beside\.py:2: hands on the module prog itself"):
        read_program(tmp_path / "prog.py").load()


def test_internals_let_it_all_pass(tmp_path: Path) -> None:
    path = written(tmp_path, "import sys\nfrom privity.session import Session\nx = pv.SecureArray.__dict__")
    assert read_program(path).load(internals=True)(None) == 1


def test_several_findings_are_counted(tmp_path: Path) -> None:
    path = written(tmp_path, "import sys\nimport gc\nimport inspect\nimport os\nimport types")
    with pytest.raises(UsageError, match="and 2 more"):
        read_program(path).load()


def test_the_list_of_public_modules_is_that_of_the_documentation() -> None:
    page = (ROOT / "docs" / "api.md").read_text("utf-8").partition("| Name |")[0]
    named = set(re.findall(r"`(privity\.[\w.]+)`", page)) - {"privity.__all__", "privity.ml.__all__", "privity.testing"}
    assert named | {"privity", "privity.ml", "privity.random"} == set(public.public_modules())


@pytest.mark.parametrize("module", public.public_modules())
def test_every_public_name_exists(module: str) -> None:
    for name in public.public_names(module) or ():
        assert public.private_part(f"{module}.{name}") is None
        home = privity.random if module == "privity.random" else __import__(module, fromlist=["x"])
        assert getattr(home, name, None) is not None or name in ("UNDEFINED",)


def programs() -> list[Path]:
    """The programs that ship: in examples, in the README's folder of examples, and in the demos."""
    return [
        *(ROOT / "examples").rglob("*.py"),
        *(ROOT / "src" / "privity" / "demo").glob("*s_program.py"),
        *(ROOT / "tests" / "faults").glob("*program.py"),
        ROOT / "benchmarks" / "stream.py",
    ]


@pytest.mark.parametrize("path", programs(), ids=lambda p: p.stem)
def test_our_own_programs_keep_to_public_names(path: Path) -> None:
    from privity.jobs.review import review

    assert review(read_program(path).files) == []


def test_the_readmes_program_keeps_to_public_names(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    blocks = [b for b in re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE) if "def program" in b]
    assert blocks
    for number, block in enumerate(blocks):
        path = tmp_path / f"block_{number}.py"
        path.write_text(block)
        from privity.jobs.review import review

        assert review(read_program(path).files) == []
