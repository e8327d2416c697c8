"""Which names a program may use without saying so: Privity's public ones, and the parts of Python that compute.

``docs/api.md`` lists the public names for people; a test keeps both lists together.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Final

_LISTED: Final[dict[str, frozenset[str] | None]] = {
    "privity": None,  # None: the module's own __all__
    "privity.random": frozenset({"bits", "bernoulli", "integers", "uniform", "normal", "permutation", "dropout"}),
    "privity.ml": None,
    "privity.ml.metrics": None,
    "privity.ml.preprocessing": None,
    "privity.ml.selection": frozenset(
        {"GridSearchCV", "KFold", "Scores", "StratifiedKFold", "cross_val_score", "train_test_split"}
    ),
    "privity.ml.saving": frozenset({"load", "save"}),
    "privity.ml.conformance": frozenset({"check_estimator", "check_parameters"}),
    "privity.stats": None,
    "privity.disclosure": frozenset({"release", "release_table"}),
    "privity.errors": frozenset(
        {
            "ConfigError", "DataError", "HandshakeError", "NetworkError", "NotForMe", "OpeningRefused", "OutputError",
            "OverflowPlanned", "PeerAborted", "PeerLost", "PeerTimeout", "PrivityError", "RangeViolated",
            "SecretUseError", "ShapeError", "UsageError", "WireError",
        }
    ),
    "privity.table": frozenset({"Field", "Table", "TableInfo", "numbers", "table_inputs"}),
    "privity.data": None,
    "privity.data.keys": frozenset({"fingerprints"}),
}  # fmt: skip

COMPUTING: Final = frozenset(
    {
        "__future__", "abc", "base64", "bisect", "calendar", "cmath", "collections", "contextlib", "csv", "dataclasses",
        "datetime", "decimal", "enum", "fractions", "functools", "hashlib", "heapq", "itertools", "json", "math",
        "numbers", "operator", "pathlib", "random", "re", "resource", "statistics", "string", "textwrap", "time",
        "tomllib", "typing", "unicodedata", "warnings", "zoneinfo",
    }
)  # fmt: skip
"""Modules of Python's standard library that a program may import: they reach no other code's values."""

INSTEAD: Final[dict[str, str]] = {
    "argparse": "[parameters] of the job and session.parameters",
    "copy": "list(), dict() or an array's copy()",
    "io": "pathlib's read_text and write_text",
    "logging": "print(), or session.stage and session.progress for those who watch",
    "os": "pathlib for paths, [parameters] of the job for settings",
    "pickle": "json, numpy.save, or privity.ml.saving for models",
    "pprint": "print() or json.dumps(..., indent=2)",
    "shutil": "pathlib",
    "glob": "pathlib.Path.glob",
    "sys": "print(), or an error raised where a run shall end",
    "timeit": "time.perf_counter",
    "traceback": "print() of the error, or letting it pass: Privity shows its lines",
    "types": "a dataclass",
}
"""Modules of Python that programs often import and may not -> what does instead."""

REACHING_PACKAGES: Final = frozenset({"cffi", "cloudpickle", "dill", "objgraph", "psutil", "pympler"})
"""Other packages that read memory, or that make code out of bytes."""

REACHING: Final[dict[str, str]] = {
    # frames, code and closures
    **dict.fromkeys(
        ("ag_await", "ag_code", "ag_frame", "cell_contents", "cr_await", "cr_code", "cr_frame", "cr_origin", "f_back",
         "f_builtins", "f_code", "f_globals", "f_locals", "gi_code", "gi_frame", "gi_yieldfrom", "tb_frame", "tb_next"),
        "reaches the variables of other code",
    ),
    # what context managers, partial functions and errors keep of those who made them
    "args": "reaches what other code was called with (of an error, str(error) does)",
    **dict.fromkeys(("func", "gen", "keywords", "kwds", "obj"), "reaches what other code was called with"),
    # names given as strings
    **dict.fromkeys(
        ("Formatter", "attrgetter", "bmat", "format_map", "get_annotations", "get_type_hints", "methodcaller",
         "evaluate_forward_ref", "ForwardRef", "update_wrapper", "vformat", "wraps", "eval", "query"),
        "looks up names that are given as strings",
    ),
    **dict.fromkeys(
        ("ABCMeta", "EnumMeta", "EnumType", "make_dataclass", "mro", "new_class"), "makes or takes apart classes"
    ),
    **dict.fromkeys(("asdict", "astuple"), "copies all fields of an object, those that are not public too"),
    # modules that other modules have imported
    **dict.fromkeys(
        ("builtins", "cffi", "ctypes", "ctypeslib", "f2py", "gc", "importlib", "inspect", "marshal", "os",
         "pickle", "posix", "subprocess", "sys", "threading", "traceback"),
        "is a module that reaches other code",
    ),
    **dict.fromkeys(
        ("as_strided", "fromfile", "memmap", "open_memmap", "read_pickle", "tofile"),
        "reads memory or runs code out of a file",
    ),
    # of a session and a secret array
    **dict.fromkeys(
        ("agreed", "bit_share", "observer", "protocol", "ring_share", "stated", "told", "tracer"),
        "is below Privity's public names",
    ),
}  # fmt: skip
"""Attribute -> what it does. None of them has a leading underscore, so they need a list."""

REACHING_PATHS: Final[dict[str, str]] = {
    "dataclasses.fields": "names all fields of an object, those that are not public too",
    "dataclasses.replace": "copies all fields of an object, those that are not public too",
    "functools.singledispatch": "runs annotations that are strings",
    "functools.singledispatchmethod": "runs annotations that are strings",
    "functools.partialmethod": "keeps what other code was called with",
    "numpy.empty": "shows memory as its last user left it (use numpy.zeros)",
    "numpy.empty_like": "shows memory as its last user left it (use numpy.zeros_like)",
    "numpy.lib.format": "runs code out of a file",
    "numpy.lib.npyio.NpzFile": "runs code out of a file (use numpy.load)",
    "numpy.ma.empty": "shows memory as its last user left it (use numpy.zeros)",
    "numpy.ma.empty_like": "shows memory as its last user left it (use numpy.zeros_like)",
    "numpy.ma.masked_all": "shows memory as its last user left it",
    "numpy.ma.masked_all_like": "shows memory as its last user left it",
    "numpy.matlib": "shows memory as its last user left it (use numpy.zeros)",
    "numpy.testing": "runs code that is given as a string",
    "privity.testing": "gives out protocols and raw shares",
}
"""The same for names that mean something harmless elsewhere."""


def _loaded(path: str) -> object | None:
    """What a dotted name stands for, if it was imported; to ask NumPy for some of them would import half of it."""
    module, _, name = path.rpartition(".")
    return sys.modules.get(path) or vars(sys.modules.get(module, object)).get(name)


def reaching_object(value: object) -> str | None:
    """What an object of Python's or NumPy's does that programs may not use, whatever name it was reached by.

    Whoever holds an object has imported it, so what was not imported need not be compared.
    """
    if value is None:
        return None
    return next((reason for path, reason in REACHING_PATHS.items() if _loaded(path) is value), None)


REACHING_BUILTINS: Final[dict[str, str]] = {
    **dict.fromkeys(("compile", "eval", "exec", "breakpoint"), "runs code that was not reviewed"),
    **dict.fromkeys(("delattr", "dir", "globals", "locals", "setattr", "vars"), "reaches names that are not written"),
    "type": "gives the class of an object, which can be changed (use isinstance)",
}

OWN_METHODS: Final = frozenset(
    f"__{name}__"
    for name in (
        "init", "post_init", "repr", "str", "format", "bool", "len", "iter", "next", "contains", "getitem", "setitem",
        "delitem", "call", "enter", "exit", "eq", "ne", "lt", "le", "gt", "ge", "hash", "add", "radd", "iadd", "sub",
        "rsub", "isub", "mul", "rmul", "imul", "truediv", "rtruediv", "floordiv", "rfloordiv", "mod", "rmod", "pow",
        "rpow", "matmul", "rmatmul", "neg", "pos", "abs", "invert", "and", "rand", "or", "ror", "xor", "rxor", "int",
        "float", "index", "round", "reversed", "slots", "doc",
    )
)  # fmt: skip
"""What a class of a program may define. Others stand in for attributes and classes of other objects."""


@cache
def public_names(module: str) -> frozenset[str] | None:
    """The public names of a module of Privity; None if the module is not public."""
    if module not in _LISTED:
        return None
    listed = _LISTED[module]
    return listed if listed is not None else frozenset(import_module(module).__all__)


def public_modules() -> tuple[str, ...]:
    """All of them, sorted."""
    return tuple(sorted(_LISTED))


def private_part(path: str) -> str | None:
    """The first part of a dotted path that is below Privity's public names, or None. ``path`` begins with privity."""
    module, *rest = path.split(".")
    for name in rest:
        deeper = f"{module}.{name}"
        if deeper in _LISTED:
            module = deeper
            continue
        names = public_names(module)
        return None if (names is not None and name in names) or not _exists(module, name) else deeper
    return None


def _exists(module: str, name: str) -> bool:
    """Whether a module has the name at all; what has none ends where it runs, with Python's own words."""
    if module == "privity.random":  # a name of the package whose module lies elsewhere
        module = "privity.functions.random"
    return hasattr(import_module(module), name) or find_spec(f"{module}.{name}") is not None


def is_public_module(path: str) -> bool:
    """Whether a dotted path is a public module of Privity."""
    return path in _LISTED


def is_model(path: str) -> bool:
    """Whether a path names a public model by its home, as in ``privity.ml.svm.LinearSVC``."""
    names = public_names("privity.ml")
    return path.startswith("privity.ml.") and names is not None and path.rpartition(".")[2] in names
