"""The hospitals demo's data: 9,105 real patients whose facts lie in three hospitals, under three spellings of a number.

Source: ``support2.py``. What each hospital's own file holds:

- hospital_1: who the patient is (age, schooling, sex, income, diagnosis, other diseases), and whether the patient died
  within 180 days of admission: the label.
- hospital_2: the state at admission (coma score, physiology score, pulse, blood pressure, temperature, daily living).
- hospital_3: laboratory values (oxygen, white cells, albumin, creatinine, sodium, glucose ...).

Left out: the forecasts of the study's own model (``surv2m``, ``surv6m``), the follow-up ``sfdm2``, whose level "<2 mo.
follow-up" says that the patient died, and ``dzclass``, which repeats ``dzgroup`` more coarsely. A fifth of all patients
is set aside before anything else. Of the others every hospital has treated some only, in its own order; the number
that links them is written with leading zeros, in capital letters, or with blanks around it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from privity.data import Column, TableSchema
from privity.jobs.files import write_outputs

from .hospitals_program import HOSPITALS as HOSPITALS
from .hospitals_program import TABLES as TABLES
from .support2 import read_support2, support2_csv

SHARE = (0.95, 0.88, 0.92)
"""Of the patients that are not set aside, how many each hospital has treated."""

HOLDOUT_SHARE = 0.2
SEED = 1994
DAYS = 180
LABEL = "died_180"
_CHECK = "abcdefghjkmnpqrstuvwxyz"  # the last character of a patient's number


def _number(name: str, bound: float, *, gaps: bool = False, log: bool = False) -> Column:
    return Column(name, "number", bound, transform="signed_log" if log else "none", missing=gaps)


def _category(name: str, *levels: str) -> Column:
    return Column(name, "category", 1.0, categories=levels)


KEY = Column("pid", "text", 1.0, role="key", normalize=("trim", "casefold", "strip_zeros"))
COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "admissions": (
        _number("age", 120.0),
        _number("edu", 40.0, gaps=True),  # years of schooling
        _number("num_co", 10.0),
        _category("sex", "female", "male"),
        _category("race", "white", "asian", "black", "hispanic", "other", "missing"),
        _category("income", "under $11k", "$11-$25k", "$25-$50k", ">$50k", "missing"),
        _category(
            "dzgroup", "ARF/MOSF w/Sepsis", "CHF", "COPD", "Cirrhosis", "Colon Cancer", "Coma", "Lung Cancer",
            "MOSF w/Malig",
        ),
        Column("diabetes", "binary", 1.0),
        Column("dementia", "binary", 1.0),
        _category("ca", "no", "yes", "metastatic"),
        Column(LABEL, "binary", 1.0, role="label"),
    ),
    "bedside": (
        _number("scoma", 100.0, gaps=True),
        _number("sps", 128.0, gaps=True),
        _number("hday", 366.0, log=True),
        _number("meanbp", 256.0, gaps=True),
        _number("hrt", 400.0, gaps=True),
        _number("resp", 128.0, gaps=True),
        _number("temp", 50.0, gaps=True),
        _number("adlp", 7.0, gaps=True),
        _number("adls", 7.0, gaps=True),
        _category("dnr", "no dnr", "dnr after sadm", "dnr before sadm", "missing"),
    ),
    "laboratory": (
        _number("pafi", 1024.0, gaps=True),
        _number("wblc", 512.0, gaps=True, log=True),
        _number("alb", 64.0, gaps=True),
        _number("bili", 128.0, gaps=True, log=True),
        _number("crea", 64.0, gaps=True, log=True),
        _number("sod", 256.0, gaps=True),
        _number("ph", 14.0, gaps=True),
        _number("glucose", 2048.0, gaps=True, log=True),
        _number("bun", 512.0, gaps=True, log=True),
        _number("urine", 16384.0, gaps=True, log=True),
    ),
}  # fmt: skip
"""Bounds are those of the scales and of what a body can have; no row was looked at for them."""


@dataclass(frozen=True, slots=True)
class HospitalFiles:
    """Where the demo's files lie.

    schemas: by table. tables: hospital -> its own CSV. holdout: patients who were set aside, one CSV per table with the
    columns of its schema. rows: per hospital. common: how many patients all three have, for the comparison alone.
    """

    schemas: Mapping[str, TableSchema]
    tables: Mapping[str, Path]
    holdout: Mapping[str, Path]
    rows: Mapping[str, int]
    common: int


def schemas() -> dict[str, TableSchema]:
    """What the three hospitals agree on."""
    return {
        name: TableSchema(name, (KEY, *COLUMNS[name]), owners=(hospital,))
        for name, hospital in zip(TABLES, HOSPITALS, strict=True)
    }


def prepare_hospitals(folder: Path) -> HospitalFiles:
    """Set the hold-out aside, split columns and patients over the hospitals, write everybody's file under ``folder``.

    Raises ConfigError if the package or its file is missing, OutputError if ``folder`` cannot be written.
    """
    header, rows = read_support2(support2_csv(folder))
    patients = [_patient(dict(zip(header, row, strict=True))) for row in rows]
    generator = np.random.default_rng(SEED)
    order = generator.permutation(len(patients))
    held = order[: round(HOLDOUT_SHARE * len(order))]
    others = order[len(held) :]
    treated = [others[generator.random(len(others)) < share] for share in SHARE]
    known = schemas()
    tables: dict[str, Path] = {}
    holdout: dict[str, Path] = {}
    for spelling, (hospital, table, mine) in enumerate(zip(HOSPITALS, TABLES, treated, strict=True)):
        names = [c.name for c in known[table].columns]
        own = [patients[i] for i in generator.permutation(mine)]
        text = _as_csv(names, [{**p, "pid": _spelt(p["pid"], spelling)} for p in own])
        tables[hospital] = write_outputs(folder / hospital, {f"{table}.csv": text})[f"{table}.csv"]
        aside = write_outputs(folder / "holdout", {f"{table}.csv": _as_csv(names, [patients[i] for i in held])})
        holdout[table] = aside[f"{table}.csv"]
    common = set(treated[0]) & set(treated[1]) & set(treated[2])
    counts = {h: len(t) for h, t in zip(HOSPITALS, treated, strict=True)}
    return HospitalFiles(known, tables, holdout, counts, len(common))


def _patient(row: Mapping[str, str]) -> dict[str, str]:
    """Names without the source's prefixes, the patient's number with its last letter, and the label."""
    named = {name.removeprefix("num_").removeprefix("fac_"): value for name, value in row.items()}
    named["num_co"] = row["num_num_co"]  # the source has it twice
    number = int(row["pid"])
    named["pid"] = f"{number}{_CHECK[number % len(_CHECK)]}"
    named[LABEL] = str(int(float(row["time"]) <= DAYS and row["event"] == "1"))
    return named


def _spelt(pid: str, hospital: int) -> str:
    """The same number as the three hospitals write it."""
    return (pid.rjust(7, "0"), pid.upper(), f" {pid.rjust(5, '0')} ")[hospital]


def _as_csv(names: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
