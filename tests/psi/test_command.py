"""`privity psi` as two owners run it, and the limit on runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from privity.data.key_file import csv_column, read_keys
from privity.errors import ConfigError, DataError
from privity.jobs.founding import init_consortium


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    path = os.pathsep.join(os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p)
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "privity", "psi", *arguments], cwd=folder, text=True,
        env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def both(folder: Path, *options: str) -> list[tuple[int, str, str]]:
    sides = (("bank", "clinic", "id"), ("clinic", "bank", "ID"))
    started = [
        start(folder, "--party", me, "--with", peer, "--keys", f"{me}.csv", "--column", column,
              "--out", f"{me}.out.csv", "--json", "--start-timeout", "60", *options)
        for me, peer, column in sides
    ]  # fmt: skip
    ended = [(*process.communicate(timeout=300), process.returncode) for process in started]
    assert all("Traceback" not in out + err for out, err, _ in ended), ended
    return [(code, out, err) for out, err, code in ended]


@pytest.fixture
def owners(tmp_path: Path) -> Path:
    init_consortium(tmp_path, ["compute_0"], ["bank", "clinic"], listening=["bank"])
    (tmp_path / "bank.csv").write_text("name,id\n" + "".join(f"n{i},00{i}\n" for i in range(1, 31)))
    (tmp_path / "clinic.csv").write_text("ID\n" + "".join(f" {i} \n" for i in range(21, 81)))
    return tmp_path


def test_two_owners_find_their_common_keys_until_the_limit(owners: Path) -> None:
    ended = both(owners, "--normalize", "trim,strip-zeros")
    assert [code for code, _, _ in ended] == [0, 0], ended
    reports = [json.loads(out) for _, out, _ in ended]
    assert [(r["own_size"], r["peer_size"], r["common"], r["runs"], r["limit"]) for r in reports] == [
        (30, 60, 10, 1, 10), (60, 30, 10, 1, 10),
    ]  # fmt: skip
    assert (owners / "bank.out.csv").read_text() == "id\n" + "".join(f"00{i}\n" for i in range(21, 31))
    assert (owners / "clinic.out.csv").read_text() == "ID\n" + "".join(f" {i} \n" for i in range(21, 31))

    (entry,) = json.loads((owners / "certificates" / "bank.comparisons.json").read_text())
    assert (entry["peer"], entry["size"], entry["peer_size"]) == ("clinic", 30, 60) and len(entry["sha256"]) == 64

    with (owners / "clinic.csv").open("a") as file:
        file.write("1\n")
    ended = both(owners, "--normalize", "trim,strip-zeros", "--to", "clinic")
    assert [code for code, _, _ in ended] == [0, 0], ended
    assert [json.loads(out)["common"] for _, out, _ in ended] == [None, 11]
    assert "have changed" in ended[1][2] and "have changed" not in ended[0][2]

    line = ("--party", "bank", "--with", "clinic", "--keys", "bank.csv", "--column", "id")
    refused = start(owners, *line, "--limit", "2")
    _, err = refused.communicate(timeout=300)
    assert refused.returncode == 2 and "limit is 2" in err and "bank.comparisons.json" in err

    (owners / "part.csv").write_text("id\n00007\n x-1\n")  # one of the keys, in other words, in another file
    refused = start(owners, *line[:5], "part.csv", *line[6:], "--limit", "2", "--normalize", "digits")
    assert "2 times already" in refused.communicate(timeout=300)[1] and refused.returncode == 2
    (owners / "certificates" / "bank.comparisons.json").unlink()
    refused = start(owners, *line)
    _, err = refused.communicate(timeout=300)
    assert refused.returncode == 2 and "says that 2 runs were counted since" in err and "is missing" in err


def test_owners_that_spell_keys_in_other_ways_do_not_start(owners: Path) -> None:
    bank = start(owners, "--party", "bank", "--with", "clinic", "--keys", "bank.csv", "--column", "id")
    clinic = start(
        owners, "--party", "clinic", "--with", "bank", "--keys", "clinic.csv", "--column", "ID", "--normalize", "trim"
    )
    errors = [process.communicate(timeout=300)[1] for process in (bank, clinic)]
    assert bank.returncode == clinic.returncode == 3
    assert all("normalize" in error for error in errors), errors


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id\n1\n01\n", "rows 1 and 2 have the same key"),
        ("id\n1\n\n \n", "row 2"),
        ("key\n1\n", "one column 'id'"),
        ("id,id\n1,2\n", "one column 'id'"),
        ("", "empty file"),
        ("id,x\n1\n", "row 1: expected 2 cells"),
        ('id\n"1\n', "line"),
    ],
)
def test_bad_key_files(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "keys.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=says):
        read_keys(path, "id", ["trim", "strip_zeros"])
    path.write_bytes(b"id\n\xff\n")
    with pytest.raises(DataError, match="UTF-8"):
        read_keys(path, "id", [])
    with pytest.raises(DataError, match="cannot be read"):
        read_keys(tmp_path / "absent.csv", "id", [])


def test_cells_come_back_as_they_were(tmp_path: Path) -> None:
    cells = ["a,b", 'say "x"', "plain", "ü"]
    path = tmp_path / "keys.csv"
    path.write_text(csv_column("id", cells), "utf-8")
    assert read_keys(path, "id", []).cells == cells


def test_who_listens(tmp_path: Path) -> None:
    group = init_consortium(tmp_path, ["compute_0"], ["bank", "clinic", "lab"], ["auditor"], listening=["clinic"])
    dial, accept = group.pair("bank", "clinic")
    assert [p.name for p in dial] == ["clinic"] and not accept
    dial, accept = group.pair("clinic", "bank")
    assert not dial and [p.name for p in accept] == ["bank"]
    for me, peer, says in (
        ("bank", "lab", "neither bank nor lab has an endpoint"), ("bank", "auditor", "auditor is no owner"),
        ("bank", "bank", "cannot meet itself"), ("bank", "nobody", "no party 'nobody'"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=says):
            group.pair(me, peer)
