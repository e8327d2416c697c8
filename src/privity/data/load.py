"""From a party's files to the inputs that it shares, as the job's schemas say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError, DataError
from ..inputs import Input
from ..jobs.comparisons import Comparisons
from ..jobs.job import ArraySpec
from ..jobs.key_counts import KeySet
from ..table import Field, TableInfo, table_inputs
from .keys import Rows, Words, deduplicate, fingerprints, job_salt
from .schema import Column, TableSchema, power_of_two_bound
from .tables import OwnerTable, read_table
from .thresholds import Thresholds

Floats = npt.NDArray[np.float64]


def load_schemas(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, TableSchema]:
    """The job file's ``[tables.NAME]`` sections. Raises ConfigError."""
    schemas = {name: TableSchema.from_mapping(name, raw) for name, raw in tables.items()}
    for schema in schemas.values():
        _check_bins_of(schema, schemas)
    return schemas


def _check_bins_of(schema: TableSchema, schemas: Mapping[str, TableSchema]) -> None:
    """The other table must be cut by itself, and have the same columns with bins."""
    if schema.bins_of is None:
        return
    source = schemas.get(schema.bins_of)
    if source is None or source.bins_of is not None:
        found = "not in the job" if source is None else f"itself cut like {source.bins_of!r}"
        raise ConfigError(f"table {schema.name!r}: bins_of = {schema.bins_of!r}, which is {found}; name another table")
    theirs = {c.name: (c.kind, c.bound, c.bins) for c in source.features}
    for column in schema.features:
        if isinstance(column.bins, int) and theirs.get(column.name) != (column.kind, column.bound, column.bins):
            raise ConfigError(
                f"table {schema.name!r}: bins_of = {source.name!r}, but {column.name!r} has another kind, bound or "
                "number of bins there; make the two columns alike"
            )


def table_info(schema: TableSchema) -> TableInfo:
    """The public part that a session knows of a table."""
    return TableInfo(
        schema.name,
        tuple(_field(c, schema.cut_as) for c in schema.features),
        _field(schema.label, "") if schema.label is not None else None,
        schema.capacity,
        schema.owners,
        bool(schema.keys),
    )


def _field(column: Column, cut_as: str) -> Field:
    """Numbers are divided by a power of two; whole labels and codes are shared as they are, bins as categories."""
    if isinstance(column.bins, int):
        return Field(column.name, "category", 1.0, column.shared_bound, column.bin_names, column.missing, cut=cut_as)
    if column.bins:
        return Field(
            column.name, "category", 1.0, column.shared_bound, column.bin_names, column.missing, edges=column.bins
        )
    as_it_is = column.kind == "category" or (column.role == "label" and column.kind != "number")
    assert column.kind != "text"
    return Field(
        column.name,
        "number" if column.transform != "none" else column.kind,
        1.0 if as_it_is else power_of_two_bound(column),
        column.shared_bound,
        column.categories,
        column.missing,
    )


def check_described(owner: str, what: str, brought: Iterable[str], described: Iterable[str]) -> None:
    """Raises ConfigError for a name that an owner brings and the job does not describe; ``what``: "a table"."""
    known = list(described)
    for name in brought:
        if name not in known:
            raise ConfigError(
                f"{owner} brings {what} {name!r}, but the job describes: {', '.join(known) or 'none'}; "
                "correct one of the two"
            )


def load_arrays(specs: Mapping[str, ArraySpec], paths: Mapping[str, Path], owner: str) -> dict[str, Input]:
    """Read this owner's .npy arrays (never pickled objects). Raises DataError; ConfigError for an undescribed name."""
    inputs: dict[str, Input] = {}
    check_described(owner, "an array", paths, specs)
    for name, path in paths.items():
        try:
            values = np.load(path, allow_pickle=False)
        except Exception as error:  # NumPy parses a header of any bytes, and fails there in many ways
            raise DataError(f"{owner}: {path}: expected a NumPy .npy file with numbers: {error}") from None
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf":
            raise DataError(f"{owner}: {path}: expected an array of numbers or booleans")
        inputs[name] = Input(values, specs[name].bound, specs[name].scale)
    return inputs


def load_inputs(
    schemas: Mapping[str, TableSchema],
    paths: Mapping[str, Path],
    owner: str,
    *,
    context: Sequence[str] = (),
    log: Comparisons | None = None,
    note: Callable[[str], None] = lambda text: None,
    thresholds: Thresholds | None = None,
) -> dict[str, Input]:
    """Read this owner's tables. Raises DataError for what does not fit, ConfigError for an unknown table.

    ``context``: what all owners know of the job (the consortium's hash, the job's name), so that the same keys have
    other fingerprints in another job. ``log``: counts the linkages of tables with keys, each run once and from the
    moment in which its keys are shared (None: they are not counted, for data that is no secret); raises UsageError here
    where the file may take part no more. ``note`` is told what the owner should know. ``thresholds``: where the owner
    keeps those that it learnt (None: nowhere).
    """
    thresholds = thresholds or Thresholds(None, owner)
    inputs: dict[str, Input] = {}
    check_described(owner, "a table", paths, schemas)
    for name, path in sorted(paths.items(), key=lambda item: _takes_others_bins(schemas, item[0])):
        schema = schemas[name]
        table = read_table(path, schema, owner)
        at = [table.names.index(c.name) for c in schema.features]
        label = table.column(schema.label.name) if schema.label is not None else None
        values, keys = table.values[:, at], None
        if schema.keys:
            kept, keys = _keys(table, schema, context)
            values, label = values[kept], None if label is None else label[kept]
            if len(kept) < len(table.values):
                note(f"table {name!r}: {len(table.values) - len(kept)} rows repeat a key and are left out")
        values = _cut(schema, values, table.digest, thresholds, note)
        inputs.update(table_inputs(table_info(schema), values, label, keys, note))
        if schema.keys and log is not None:
            brought = KeySet(table.keys)
            log.check(brought, f"{owner}: the file of table {name!r}")
            changed = log.changed(brought, table=name)
            if changed is not None:
                note(changed)
            counted = f"{name}.keys"
            inputs[counted] = replace(inputs[counted], on_share=_counting(log, name, brought, " ".join(context)))
    return inputs


def _takes_others_bins(schemas: Mapping[str, TableSchema], name: str) -> bool:
    return name in schemas and schemas[name].bins_of is not None


def _cut(
    schema: TableSchema, values: Floats, digest: str, thresholds: Thresholds, note: Callable[[str], None]
) -> Floats:
    """The features (rows, d) with bins in the place of the columns that have them."""
    at = {c.name: i for i, c in enumerate(schema.features) if c.bins != ()}
    if not at:
        return values
    codes, learnt = thresholds.codes(schema, {name: values[:, i] for name, i in at.items()}, digest)
    if learnt and thresholds.path is not None:
        note(f"table {schema.name!r}: its bins were learnt from these rows and are kept in {thresholds.path}")
    values = values.copy()
    for name, i in at.items():
        values[:, i] = codes[name]
    return values


def _counting(log: Comparisons, name: str, keys: KeySet, job: str) -> Callable[[], None]:
    """Counts the run when it is first called, however often the program shares the keys."""
    booked = False

    def count() -> None:
        nonlocal booked
        if not booked:
            log.book(keys, job=job, table=name)
            booked = True

    return count


def _keys(table: OwnerTable, schema: TableSchema, context: Sequence[str]) -> tuple[Rows, Words]:
    """The rows to keep, and their fingerprints."""
    try:
        words = fingerprints(
            table.keys,
            [c.normalize for c in schema.keys],
            job_salt(*context),
            ["integer" if c.kind == "integer" else "text" for c in schema.keys],
        )
        kept = deduplicate(words, schema.duplicates)
    except DataError as error:
        raise DataError(f"{table.owner}: table {schema.name!r}: {error}") from None
    return kept, words[kept]
