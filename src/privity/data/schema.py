"""The public description of a table that all owners agree on before any of them opens a file.

A schema holds only what may be known without seeing the data: names, kinds, roles and, for each column, a public
bound on the magnitude. Bounds steer the fixed-point arithmetic, so a bound must come from the business (a legal
limit, a unit, a field width), never from an owner's rows: a bound taken from the data would publish its maximum.
"""

from __future__ import annotations

import difflib
import hashlib
import math
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal, get_args

import msgspec
import numpy as np

from privity.data.keys import Duplicates, check_steps
from privity.data.text import composed
from privity.errors import ConfigError

from ..given import shown
from ..ring import exact

Kind = Literal["number", "integer", "binary", "category", "text"]
Role = Literal["feature", "label", "key", "ignore"]
Transform = Literal["none", "signed_log"]

LARGEST_BOUND = 2.0**53
"""float64 holds every whole number up to here; beyond it a cell could be rounded without anybody noticing."""

SMALLEST_BOUND = 2.0**-53

MOST_ROWS = 1 << 31
"""Rows to which an owner's share may be padded."""

MOST_BINS = 256
"""Bins into which an owner may cut a column."""

_LONGEST_NAME = 128
_HASH_DOMAIN = b"privity table schema 3\n"


def _check_kinds(made: msgspec.Struct, where: str) -> None:
    """Raise ConfigError, naming the argument, for one of another kind than its annotation; lists become tuples."""
    for field in msgspec.structs.fields(made):
        value = getattr(made, field.name)
        try:
            plain = value.item() if isinstance(value, np.generic) else value
            msgspec.structs.force_setattr(made, field.name, msgspec.convert(plain, field.type))
        except (msgspec.ValidationError, TypeError) as error:
            raise ConfigError(f"{where}: {field.name}: {error}; got {shown(value)}.") from None


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One column of a table.

    name: as in the header of every owner's file, exact to the letter (accents in either form of Unicode).
    kind: ``number`` (any decimal number), ``integer`` (whole), ``binary`` (0 or 1), ``category`` (one of a list) or,
    for keys only, ``text``.
    bound: public; every value x of every owner satisfies |x| <= bound. In the unit of the column. Categories and keys
    have none.
    role: ``feature``, ``label`` (at most one in a table), ``key`` (by which rows are linked; only fingerprints of all
    keys together are shared) or ``ignore`` (present in the file, not read, never shared).
    categories: the public list of what a cell of a category may hold, exact to the letter.
    missing: whether a feature's cells may be empty (``TableSchema.missing_values``); which are stays secret.
    normalize: for keys, steps that owners apply before comparing, in order; see docs/linkage.md.
    transform: a public function that each owner applies to its own cells before sharing, where it costs nothing:
    ``none``, or ``signed_log`` for heavy-tailed amounts, x -> sign(x) * ln(1 + |x|).
    bins: for number and integer features, into which bins the owner cuts its cells; only the number of the bin is
    shared. A list of ascending thresholds, which are public (the first bin is below the first of them, a value on one
    belongs above it); or how many bins (2 to 256), and the owner cuts at quantiles of its own rows, which stay there.

    Raises ConfigError if the name is empty, padded, too long or unprintable, if the bound is not in
    [2^-53, 2^53], not 1 for a binary column or below 1 for an integer column, or if a kind, a role and the other fields
    do not go together.
    """

    name: str
    kind: Kind
    bound: float
    role: Role = "feature"
    transform: Transform = "none"
    categories: tuple[str, ...] = ()
    missing: bool = False
    normalize: tuple[str, ...] = ()
    bins: int | tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _check_kinds(self, f"column {self.name!r}")
        if not self.name or self.name != self.name.strip() or not self.name.isprintable():
            raise ConfigError(
                f"column {self.name!r}: expected a printable name without spaces around it. "
                "Use the name from the header of the owners' files."
            )
        if len(self.name) > _LONGEST_NAME:
            raise ConfigError(
                f"column {self.name[:20]!r}...: expected a name of at most {_LONGEST_NAME} characters, "
                f"found {len(self.name)}. Shorten it in the schema and in the files."
            )
        if not math.isfinite(self.bound) or not SMALLEST_BOUND <= self.bound <= LARGEST_BOUND:
            raise ConfigError(
                f"column {self.name!r}: expected a bound between 2^-53 and 2^53, found {self.bound!r}. "
                "State the largest magnitude that a value can have, or choose a larger unit."
            )
        if self.kind == "binary" and self.bound != 1.0:
            raise ConfigError(
                f"column {self.name!r}: a binary column holds 0 or 1, so its bound is 1, found {self.bound!r}. "
                "Leave the bound out, or make the column an integer."
            )
        if self.kind == "integer" and self.bound < 1.0:
            raise ConfigError(
                f"column {self.name!r}: an integer column with bound {self.bound!r} could hold only 0. "
                "State a bound of at least 1."
            )
        if self.transform != "none" and (self.role != "feature" or self.kind not in ("number", "integer")):
            raise ConfigError(
                f"column {self.name!r}: a {self.role if self.role != 'feature' else self.kind} column cannot have the "
                f"transform {self.transform!r}. Leave the transform out."
            )
        self._check_role()
        self._check_categories()
        if self.bins != ():
            self._check_bins()

    def _check_role(self) -> None:
        if self.role == "key" and self.kind not in ("text", "integer"):
            raise ConfigError(
                f"column {self.name!r}: a key is text or integer, found the kind {self.kind!r}. Keys are compared "
                "letter by letter after their normalization, so fractions and codes do not serve."
            )
        if self.kind == "text" and self.role not in ("key", "ignore"):
            raise ConfigError(
                f"column {self.name!r}: text can be a key or be ignored, found the role {self.role!r}. "
                "For a fixed list of words use the kind 'category'."
            )
        check_steps(self.name, self.normalize)
        if self.normalize and self.role != "key":
            raise ConfigError(f"column {self.name!r}: normalize is for keys. Leave it out, or set role = 'key'.")
        if self.missing and self.role != "feature":
            raise ConfigError(
                f"column {self.name!r}: only features may have empty cells, found missing = true for a {self.role}. "
                "Leave those rows out of the file."
            )

    def _check_categories(self) -> None:
        if self.kind != "category" or self.role == "ignore":
            if self.categories:
                raise ConfigError(f"column {self.name!r}: categories go with the kind 'category', found {self.kind!r}.")
            return
        if len(self.categories) < 2 or len(set(map(composed, self.categories))) != len(self.categories):
            raise ConfigError(
                f"column {self.name!r}: expected at least two different categories, found "
                f"{', '.join(self.categories) or 'none'}. List what the cells may hold: categories = ['a', 'b']."
            )
        if any(c != c.strip() or not c.isprintable() for c in self.categories):
            raise ConfigError(f"column {self.name!r}: categories must be printable and without spaces around them.")

    def _check_bins(self) -> None:
        if self.role != "feature" or self.kind not in ("number", "integer"):
            raise ConfigError(
                f"column {self.name!r}: bins are for features of kind number or integer, found a {self.role} of kind "
                f"{self.kind!r}. Leave bins out."
            )
        if self.transform != "none":
            raise ConfigError(
                f"column {self.name!r}: a transform changes nothing about bins, which are cut in the column's own "
                "unit. Leave the transform out."
            )
        if isinstance(self.bins, int):
            if not 2 <= self.bins <= MOST_BINS:
                raise ConfigError(
                    f"column {self.name!r}: expected 2 to {MOST_BINS} bins, found {self.bins}. For a single threshold "
                    "write it as a list: bins = [30]."
                )
        elif not (
            len(self.bins) < MOST_BINS
            and all(a < b for a, b in pairwise(self.bins))
            and all(-self.bound < edge <= self.bound for edge in self.bins)
        ):
            raise ConfigError(
                f"column {self.name!r}: expected at most {MOST_BINS - 1} thresholds in ascending order, each within "
                f"the column's bound of {self.bound:.17g}, found bins = {list(self.bins)[:8]}. Correct the list."
            )

    @property
    def bin_names(self) -> tuple[str, ...]:
        """What its bins are called: by the public thresholds, or by number; none if it is not cut."""
        if isinstance(self.bins, int):
            return tuple(f"bin {k}" for k in range(self.bins))
        edges = [format(edge, ".17g") for edge in self.bins]
        return (f"below {edges[0]}", *(f"from {edge}" for edge in edges)) if edges else ()

    @property
    def shared_bound(self) -> float:
        """Public bound on the magnitude after the transform: what the shares hold."""
        if self.bins != ():
            return float(len(self.bin_names) - 1)
        if self.kind == "category":
            return float(max(1, len(self.categories) - 1))
        return exact.ln1p(self.bound) if self.transform == "signed_log" else self.bound


class TableSchema(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Columns of a table in the order of the file, and its public capacity.

    capacity: the number of rows that every owner's share is padded to (None: the true row count is public).

    owners: the parties that must bring the table (None: whoever does). If one does not, the job stops.

    missing_values: what an empty cell looks like in columns that may have them. duplicates: what happens to rows of one
    owner with equal keys: ``refuse`` the file, keep the ``first`` or the ``last`` row.

    bins_of: another table, at whose learnt thresholds the owner cuts this one too: rows to predict fall into the bins
    of the rows that a model was trained on.

    Raises ConfigError if there is no column to share, a name comes twice, there are two labels, the capacity is not
    positive, or several owners would each learn thresholds of a column.
    """

    name: str
    columns: tuple[Column, ...]
    capacity: int | None = None
    owners: tuple[str, ...] | None = None
    missing_values: tuple[str, ...] = ("",)
    duplicates: Duplicates = "refuse"
    bins_of: str | None = None

    def __post_init__(self) -> None:
        where = f"table {self.name!r}"
        _check_kinds(self, where)
        if not self.name or not self.name.isprintable():
            raise ConfigError(f"{where}: expected a printable, non-empty table name.")
        seen: set[str] = set()
        for column in self.columns:
            if composed(column.name) in seen:
                raise ConfigError(f"{where}: column {column.name!r} is listed twice. Remove or rename one of them.")
            seen.add(composed(column.name))
        labels = [column.name for column in self.columns if column.role == "label"]
        if len(labels) > 1:
            raise ConfigError(
                f"{where}: expected at most one label, found {', '.join(labels)}. "
                "Give the others the role 'feature' or 'ignore'."
            )
        if not any(column.role != "ignore" for column in self.columns):
            raise ConfigError(f"{where}: expected at least one column with the role 'feature', 'label' or 'key'.")
        own = [column.name for column in self.features if isinstance(column.bins, int)]
        if own and self.owners is not None and len(self.owners) > 1:
            raise ConfigError(
                f"{where}: {', '.join(self.owners)} would each cut {', '.join(own)} at thresholds of their own, so "
                "equal bins would not mean the same. State thresholds for all of them (bins = [18, 25, 40]), or leave "
                "bins out: models then find common thresholds on shares."
            )
        if self.bins_of is not None and not own:
            raise ConfigError(f"{where}: bins_of is for columns with a number of bins, found none. Leave it out.")
        if self.capacity is not None and not 1 <= self.capacity <= MOST_ROWS:
            raise ConfigError(
                f"{where}: expected a capacity of at least 1 row and at most {MOST_ROWS:,}, found {self.capacity}. "
                "State the largest number of rows that an owner can have, or leave it out."
            )

    @classmethod
    def from_mapping(cls, name: str, mapping: Mapping[str, Any]) -> TableSchema:
        """Read a schema from a parsed job file's ``[tables.NAME]``; unknown and mistyped fields are refused.

        Binary columns may leave out the bound; columns with the role ``ignore`` may leave out kind and bound.

        Raises ConfigError naming the field and, for a misspelt one, the likely meaning.
        """
        try:
            return msgspec.convert({**_with_defaults(mapping), "name": name}, cls)
        except msgspec.ValidationError as error:
            raise ConfigError(f"table {name!r} in the job file: {error}.{_hint(str(error))}") from None

    def to_mapping(self) -> dict[str, Any]:
        """The inverse of ``from_mapping`` with all defaults written out (the name is the key in the file)."""
        mapping: dict[str, Any] = msgspec.to_builtins(self)
        del mapping["name"]
        for optional in ("capacity", "owners", "bins_of"):
            if mapping[optional] is None:
                del mapping[optional]  # TOML knows no null
        return mapping

    @property
    def features(self) -> tuple[Column, ...]:
        """Columns with the role ``feature``, in file order."""
        return tuple(column for column in self.columns if column.role == "feature")

    @property
    def label(self) -> Column | None:
        """The column with the role ``label``, if there is one."""
        return next((column for column in self.columns if column.role == "label"), None)

    @property
    def shared(self) -> tuple[Column, ...]:
        """Columns that are read and shared as values: features and label, in file order."""
        return tuple(column for column in self.columns if column.role in ("feature", "label"))

    @property
    def keys(self) -> tuple[Column, ...]:
        """Columns with the role ``key``, in file order: together they name a row."""
        return tuple(column for column in self.columns if column.role == "key")

    @property
    def cut_as(self) -> str:
        """The table whose learnt thresholds cut this one's columns."""
        return self.bins_of or self.name

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over a canonical form: equal if and only if the schemas are equal, at every party."""
        return hashlib.sha256(_HASH_DOMAIN + msgspec.json.encode(self, order="deterministic")).hexdigest()


def power_of_two_bound(column: Column) -> float:
    """Smallest power of two >= the column's bound after its transform.

    Owners divide by it before sharing: |x| <= 1 afterwards, and dividing by a power of two loses nothing in float64.
    """
    mantissa, exponent = math.frexp(column.shared_bound)
    return math.ldexp(1.0, exponent - 1 if mantissa == 0.5 else exponent)


def _with_defaults(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in what a kind or role already says; what is no list of columns is left for msgspec to refuse."""
    filled = dict(mapping)
    columns = filled.get("columns")
    if isinstance(columns, list):
        filled["columns"] = [_column_defaults(entry) if isinstance(entry, Mapping) else entry for entry in columns]
    return filled


def _column_defaults(entry: Mapping[str, Any]) -> dict[str, Any]:
    defaults: dict[str, Any] = {}
    if entry.get("role") == "ignore":
        defaults = {"kind": "number", "bound": 1.0}
    if entry.get("role") == "key":
        defaults = {"kind": "text", "bound": 1.0}
    if entry.get("kind") in ("binary", "category"):
        defaults["bound"] = 1.0
    filled = {**defaults, **entry}
    if isinstance(filled.get("name"), str):
        filled["name"] = composed(filled["name"])
    if isinstance(filled.get("categories"), list):
        filled["categories"] = [composed(c) if isinstance(c, str) else c for c in filled["categories"]]
    return filled


def _hint(message: str) -> str:
    """For an unknown field, the known one it resembles; for an unknown word, those that are known there."""
    if "Invalid enum value" in message:
        field = re.sub(r"\[.*?\]", "", message.rpartition("`$")[2].rstrip("`")).rpartition(".")[2]
        words = {"kind": Kind, "role": Role, "transform": Transform, "duplicates": Duplicates}.get(field)
        return f" Expected one of: {', '.join(get_args(words))}." if words is not None else ""
    if "unknown field `" not in message:
        return ""
    unknown = message.split("unknown field `", 1)[1].split("`", 1)[0]
    known = [*Column.__struct_fields__, *TableSchema.__struct_fields__]
    close = difflib.get_close_matches(unknown, known, n=1)
    return f" Did you mean `{close[0]}`?" if close else f" Known fields: {', '.join(known)}."
