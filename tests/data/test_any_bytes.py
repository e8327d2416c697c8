"""Every file that somebody brings: whatever stands in it, it is read or refused with an error of Privity's.

Good files are changed in a few places, by bytes and words on which parsers fail; the changes are the same in every run.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from privity.data import TableSchema, read_table
from privity.data.key_file import read_keys
from privity.data.keys import fingerprints
from privity.data.load import load_arrays, load_schemas, table_info
from privity.data.thresholds import Thresholds, _File
from privity.errors import PrivityError
from privity.jobs.consortium import load_consortium
from privity.jobs.job import ArraySpec, load_job
from privity.ml.opened import OpenedModel
from privity.table import table_inputs

WORDS = (
    b"", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"nan", b"-inf", b"1e999", b"9" * 5000, b"1_0", b'"', b"'", b",", b"\n",
    b"\r", b"\x85", b"\xe2\x80\xa8", b"\xc3\xa9", b"e\xcc\x81", b"[", b"[" * 3000, b"{" * 3000, b"{", b"}", b"=", b"-1",
    b"0x10", b"true", b"null", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"1979-05-27T07:32:00Z", b"9007199254740993",
    b"1e-400",
    b"18446744073709551616", b"1.5", b"#", b"\t", b"../x", b"[[x]]\n", b"[1,2,[3]]", b"{a=1}", b'"""', b"0",
    b"\xf0\x9f\x98\x80",
)  # fmt: skip

SCHEMA = TableSchema.from_mapping("t", {
    "columns": [
        {"name": "id", "kind": "text", "role": "key"},
        {"name": "né", "kind": "number", "bound": 100.0, "missing": True},
        {"name": "k", "kind": "integer", "bound": 2.0**53}, {"name": "b", "kind": "binary"},
        {"name": "c", "kind": "category", "categories": ["a", "é", "x y"], "missing": True},
        {"name": "y", "kind": "number", "bound": 10.0, "role": "label"},
    ]
})  # fmt: skip
ROWS = 'id,né,k,b,c,y\np1,1.5,3,0,a,1\np2,,-9007199254740991,1,é,2.25\n"p,3",99,12,0,"x y",-3\n'.encode()
CUT = TableSchema.from_mapping("t", {"columns": [{"name": "z", "kind": "number", "bound": 1e6, "bins": 4}]})
JOB = b"""name = "j"
guards = 3
minimum_group = 5
[[openings]]
name = "x"
to = "all"
shape = [2, 3]
count = 2
[link]
rtt_ms = 1.0
bandwidth_mbit = 3
[parameters]
depth = 3
[tables.t]
capacity = 9
missing_values = ["", "NA"]
[[tables.t.columns]]
name = "z"
kind = "number"
bound = 1e6
bins = [1.0, 2.0]
[[tables.t.columns]]
name = "c"
kind = "category"
categories = ["x", "y"]
[arrays.a]
bound = 5.0
[plan.o]
t = 5
"""
PARTY = """[[party]]
name = "{0}"
roles = ["compute", "owner"]
fingerprint = "sha256:{1}"
certificate = "{0}.pem"
endpoint = "10.0.0.1:700{2}"
minimum_group = 5
[party.tables]
t = "t.csv"
"""
CONSORTIUM = "".join(PARTY.format(name, f"{i}a" * 32, i) for i, name in enumerate("abc")).encode()
MODEL = OpenedModel("softmax", np.array([[1.5, 2.0], [1, 2]]), np.array([0.5, 1.0]), ("a", "b")).to_json().encode()


def changed(data: bytes, random: np.random.Generator) -> bytes:
    """One to three changes: a byte, a word put in or in place of another, a piece twice or left out."""
    for _ in range(random.integers(1, 4)):
        at, length = int(random.integers(len(data) + 1)), int(random.integers(1, 30))
        word = WORDS[random.integers(len(WORDS))]
        how = random.integers(5)
        if how == 0:
            data = data[:at] + bytes([int(random.integers(256))]) + data[at + 1 :]
        elif how == 1:
            data = data[:at] + word + data[at:]
        elif how == 2:
            data = data[:at] + data[at + length :]
        elif how == 3:
            data = data[: at + length] + data[at:]
        else:
            found = list(re.finditer(rb'[A-Za-z0-9_.+-]+|"[^"]*"', data))
            piece = found[random.integers(len(found))] if found else None
            data = data if piece is None else data[: piece.start()] + word + data[piece.end() :]
    return data


def _rows(path: Path) -> None:
    table = read_table(path, SCHEMA, "o")
    keys = fingerprints([list(column) for column in table.keys])
    table_inputs(table_info(SCHEMA), table.values[:, :-1], table.values[:, -1], keys, note=lambda _: None)


def _job(path: Path) -> None:
    job = load_job(path)
    for schema in load_schemas(job.tables).values():
        table_info(schema)
    job.openings_for(["a", "b", "c", "o"], ["a", "b", "c"], ["o"])


def _model(path: Path) -> None:
    model = OpenedModel.from_json(path.read_bytes())
    model.to_json()
    model.predict(np.ones((3, len(model.names))))


def _array() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.arange(6.0).reshape(2, 3))
    return stream.getvalue()


FILES: dict[str, tuple[bytes, Callable[[Path], object]]] = {
    "rows": (ROWS, _rows),
    "keys": (ROWS, lambda path: read_keys(path, "id", ())),
    "a job": (JOB, _job),
    "a consortium": (CONSORTIUM, lambda path: load_consortium(path).hash),
    "an opened model": (MODEL, _model),
    "an array": (_array(), lambda path: load_arrays({"x": ArraySpec(bound=10.0)}, {"x": path}, "o")),
    "thresholds": (b"", lambda path: Thresholds(path, "o").codes(CUT, {"z": np.arange(50.0)}, "ab")),
}


@pytest.mark.filterwarnings("ignore")  # NumPy's, about headers of .npy files
@pytest.mark.parametrize("what", FILES)
def test_any_bytes_are_read_or_refused(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good, read = FILES[what]
    path = tmp_path / "file"
    if what == "thresholds":
        read(path)
        good = path.read_bytes()
        monkeypatch.setattr(_File, "sealed", lambda self: self)  # else the checksum stands before all else
    path.write_bytes(good)
    read(path)
    random = np.random.default_rng(20)
    was_read = 0
    for _ in range(200):
        data = changed(good, random)
        path.write_bytes(data)
        try:
            read(path)
            was_read += 1
        except PrivityError as error:
            assert len(str(error)) < 10_000 and type(error).__name__ in error.public_reason, data
    assert was_read > 0  # the changes are small enough to reach what comes after parsing


DEEP = (b"[" * 100_000, b'{"a":' * 100_000, b"x = " + b"[" * 100_000, b"x = " + b"9" * 5000)


@pytest.mark.parametrize("what", FILES)
@pytest.mark.parametrize("data", DEEP, ids=["lists", "objects", "TOML lists", "digits"])
def test_depth_and_digits_are_refused(what: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(PrivityError):
        FILES[what][1](path)
