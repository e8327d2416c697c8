"""Tables on shares: columns agreed in a schema, a public number of rows, a secret mask of those that are real.

An owner divides each number by its column's public unit (a power of two at least as large as the column's bound), so
that shared numbers lie in [-1, 1], and shares its local counts, sums and sums of squares beside the rows: these are
exact, in words of 32 bits, and nothing can overflow. Categories travel as whole codes, empty cells as a mask beside
a 0. In rows that are not real every value is 0. Masks and binary labels are booleans, so that they are 0 or 1 whatever
an owner puts in.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .array import SecureArray
from .context import Context
from .errors import DataError, ShapeError, UsageError
from .functions import concatenate, matmul, one_hot, stack
from .functions.flags import as_flags, secret
from .functions.spread import exact_sums
from .functions.tables import Groups, group_by
from .inputs import Declared, Input
from .ring import exact, layout, prg
from .session import Session

FEATURE_BITS = 30
"""Fractional bits of shared numbers: they lie in [-1, 1], and a column may use a small part of that range."""

KEY_BITS = 48
"""Bits in each of the two words of a key's fingerprint."""

Kind = Literal["number", "integer", "binary", "category"]


@dataclass(frozen=True, slots=True)
class Field:
    """What everybody knows of a column.

    ``unit``: the power of two by which numbers were divided (1 for categories). ``bound``: on |x|, in the column's own
    unit. ``categories``: what the codes 0, 1, 2 ... stand for. ``missing``: whether cells may be empty. ``owners``: who
    brought it.

    Numbers that their owner cut into bins are categories in order. ``edges``: the thresholds, where they are agreed on
    and public; ``cut``: the table whose thresholds these are, where the owner learnt them and nobody else knows them.
    """

    name: str
    kind: Kind = "number"
    unit: float = 1.0
    bound: float = 1.0
    categories: tuple[str, ...] = ()
    missing: bool = False
    owners: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    cut: str = ""

    @property
    def coded(self) -> bool:
        """Whether its values are codes of categories."""
        return self.kind == "category"

    @property
    def cut_at(self) -> str:
        """Where an owner cut it into bins: equal words if and only if equal bins mean the same; "" if nobody did."""
        if self.edges:
            return f"at the agreed {', '.join(format(edge, '.17g') for edge in self.edges)}"
        return f"where {' and '.join(self.owners)} cut the table {self.cut!r}" if self.cut else ""


@dataclass(frozen=True, slots=True)
class TableInfo:
    """The public description of a table: what owners agree on before anybody opens a file.

    ``label``: the column to predict, or None. ``capacity``: rows per owner after padding, or None if the true row
    counts are public. ``owners``: who must bring it, or None. ``keyed``: whether its rows can be linked.
    """

    name: str
    fields: tuple[Field, ...]
    label: Field | None = None
    capacity: int | None = None
    owners: tuple[str, ...] | None = None
    keyed: bool = False

    @property
    def numbers(self) -> tuple[Field, ...]:
        """Features that are not categories."""
        return tuple(f for f in self.fields if not f.coded)

    @property
    def coded(self) -> tuple[Field, ...]:
        """Features that are categories."""
        return tuple(f for f in self.fields if f.coded)

    @property
    def gappy(self) -> tuple[Field, ...]:
        """Features whose cells may be empty."""
        return tuple(f for f in self.fields if f.missing)


def numbers(names: Iterable[str], units: Iterable[float]) -> tuple[Field, ...]:
    """Fields of plain numbers, each with its unit as bound."""
    return tuple(Field(n, "number", u, u) for n, u in zip(names, units, strict=True))


# -- at the owner ------------------------------------------------------------------------------------------------------


def table_inputs(
    info: TableInfo,
    features: npt.NDArray[np.float64],
    label: npt.NDArray[np.float64] | None = None,
    keys: npt.NDArray[np.uint64] | None = None,
    note: Callable[[str], None] | None = None,
) -> dict[str, Input]:
    """What an owner shares for its rows.

    ``features`` (rows, d), columns as in ``info.fields``: numbers in their own units, codes of categories, numbers of
    bins, NaN for an empty cell. ``label`` (rows,). ``keys`` (rows, 2): fingerprints; padding rows get random ones,
    which match nothing. ``note`` is told of bounds that are far too large (None: a UserWarning); it stays with the
    owner.

    Raises DataError if there are more rows than the capacity, an empty cell in a column without gaps, or a label that
    does not fit its kind.
    """
    features = np.asarray(features, np.float64).reshape(len(features), len(info.fields))
    rows = len(features)
    capacity = rows if info.capacity is None else info.capacity
    if rows > capacity:
        raise DataError(f"table {info.name!r}: {rows} rows, but the agreed capacity is {capacity} rows per owner")
    gaps = np.isnan(features)
    for field, empty in zip(info.fields, gaps.T, strict=True):
        if empty.any() and not field.missing:
            raise DataError(
                f"table {info.name!r}, column {field.name!r}: {int(empty.sum())} empty cells, but its schema does not "
                "say missing = true; fill them in or have the schema changed for all owners"
            )
    filled = np.where(gaps, 0.0, features)
    at = {f.name: i for i, f in enumerate(info.fields)}

    def block(fields: Sequence[Field], values: npt.NDArray[Any], dtype: Any) -> npt.NDArray[Any]:
        padded = np.zeros((capacity, len(fields)), dtype)
        padded[:rows] = values[:, [at[f.name] for f in fields]]
        return padded

    _tell_loose_bounds(info, filled, label, note)
    scaled = filled / np.asarray([f.unit for f in info.fields])
    inputs: dict[str, Input] = {}
    if info.numbers:
        units = block(info.numbers, scaled, np.float64)
        present = rows - gaps[:, [at[f.name] for f in info.numbers]].sum(0)
        # as the values are encoded; what lies outside is refused when they are
        whole = np.rint(np.ldexp(np.clip(np.nan_to_num(units), -1, 1), FEATURE_BITS)).astype(np.int64)
        inputs["features"] = Input(units, bound=1.0, scale=FEATURE_BITS)
        inputs["moments"] = Input(exact_sums(whole, present), bound=_largest_sum(capacity))
    if info.coded:
        inputs["codes"] = Input(block(info.coded, filled, np.int64), bound=_largest_code(info))
    if info.gappy:
        inputs["missing"] = Input(block(info.gappy, gaps, np.bool_))
    if info.capacity is not None:
        inputs["valid"] = Input(np.arange(capacity) < rows)
    if info.label is not None:
        assert label is not None
        inputs["label"] = _label_input(info, info.label, label, capacity)
    if info.keyed:
        assert keys is not None
        random = prg.Stream(prg.new_seed()).words(2 * capacity).reshape(capacity, 2)
        words = (random >> np.uint64(64 - KEY_BITS)).astype(np.int64)
        words[:rows] = keys
        inputs["keys"] = Input(words, bound=2.0**KEY_BITS)
    return {f"{info.name}.{part}": x for part, x in inputs.items()}


LOOSE = 1000.0
"""A bound of more than this many times a column's largest value is told to its owner."""


def _tell_loose_bounds(
    info: TableInfo,
    features: npt.NDArray[np.float64],
    label: npt.NDArray[np.float64] | None,
    note: Callable[[str], None] | None,
) -> None:
    """Tell the owner, and nobody else, of bounds that are far above all its values: digits of the unit are lost."""
    columns = [(f, features[:, i]) for i, f in enumerate(info.fields)]
    if info.label is not None and label is not None:
        columns.append((info.label, np.asarray(label, np.float64)))
    for field, values in columns:
        largest = float(np.abs(values).max(initial=0.0))
        if field.kind in ("number", "integer") and 0 < largest * LOOSE < field.bound:
            text = (
                f"table {info.name!r}, column {field.name!r}: its bound is {field.bound:g}, but the largest value "
                f"here is {largest:g}; numbers are shared in units of 2^-{FEATURE_BITS} of the bound. If no owner has "
                "larger ones, agree on a smaller bound"
            )
            if note is None:
                warnings.warn(text, UserWarning, stacklevel=3)
            else:
                note(text)


def _label_input(info: TableInfo, field: Field, label: npt.NDArray[np.float64], capacity: int) -> Input:
    whole = np.isin(label, (0.0, 1.0)) if field.kind == "binary" else label == np.rint(label)
    allowed = whole | (field.kind == "number")
    wrong = np.flatnonzero(np.isnan(label) | ~(np.abs(label) <= field.bound) | ~allowed)
    if len(wrong):
        expected = {"binary": "0 or 1", "number": "a number", "integer": "a whole number"}.get(field.kind, "a category")
        raise DataError(
            f"table {info.name!r}, label {field.name!r}: expected {expected}, found {float(label[wrong[0]])!r} in row "
            f"{int(wrong[0]) + 1} ({len(wrong)} such rows); correct them, or correct the label's kind and bound"
        )
    kinds: dict[str, Any] = {"number": np.float64, "binary": np.bool_}
    padded: npt.NDArray[Any] = np.zeros(capacity, kinds.get(field.kind, np.int64))
    padded[: len(label)] = label / field.unit
    return Input(padded, *_label_form(field)[:2])


def _label_form(field: Field) -> tuple[float, int, bool]:
    """Bound and scale of a label's shares, and whether they are those of booleans."""
    if field.kind == "number":
        return 1.0, FEATURE_BITS, False
    if field.kind == "binary":
        return 1.0, 0, True
    return float(max(1, len(field.categories) - 1)) if field.coded else max(field.bound / field.unit, 1.0), 0, False


def _largest_sum(rows: int) -> float:
    return float(max(4, rows)) * 2.0**FEATURE_BITS


def _largest_code(info: TableInfo) -> float:
    return float(max([1, *(len(f.categories) - 1 for f in info.coded)]))


def table_shapes(info: TableInfo, rows: int) -> dict[str, Declared]:
    """What an owner of ``rows`` rows would declare: ``table_inputs`` without the data."""
    capacity = rows if info.capacity is None else info.capacity
    d = len(info.numbers)
    shapes: dict[str, Declared] = {}
    if d:
        shapes["features"] = Declared((capacity, d), 1.0, FEATURE_BITS)
        shapes["moments"] = Declared((4, d), _largest_sum(capacity), 0)
    if info.coded:
        shapes["codes"] = Declared((capacity, len(info.coded)), _largest_code(info), 0)
    if info.gappy:
        shapes["missing"] = Declared((capacity, len(info.gappy)), 1.0, 0, True)
    if info.capacity is not None:
        shapes["valid"] = Declared((capacity,), 1.0, 0, True)
    if info.label is not None:
        shapes["label"] = Declared((capacity,), *_label_form(info.label))
    if info.keyed:
        shapes["keys"] = Declared((capacity, 2), 2.0**KEY_BITS, 0)
    return {f"{info.name}.{part}": shape for part, shape in shapes.items()}


# -- on shares ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SecureColumn:
    """One column on shares: ``values`` (n,) in units (``field.unit``) or codes; ``missing`` (n,) flags or None."""

    field: Field
    values: SecureArray
    missing: SecureArray | None = None

    @property
    def natural(self) -> SecureArray:
        """The values in the column's own unit, (n,). Local for units up to 2^30."""
        return natural(self.values, self.field.unit)


def natural(values: SecureArray, unit: float) -> SecureArray:
    """values * unit for a power of two: fewer fractional bits, not a product, as far as there are any. Local."""
    bits = exact.log2_floor(unit)
    if bits <= values.scale and bits >= 0:
        share, flags = values._ring_share(), values._flags and bits == 0
        return SecureArray(values._context, share, values.scale - bits, values.bound * unit, flags)
    return values * unit


class Table:
    """Rows on shares: columns by name, a secret row mask, a public number of rows (padding included).

    Made by ``Session.table``, ``privity.link``, ``privity.concat`` and by transforms. ``table["age"]`` is the secret
    column in its own unit; ``table[["age", "sex"]]`` a table of some columns. ``valid`` (n,): 0/1 integers, None when
    every row is real; a cell is empty in real rows only. ``label``: the secret column to predict, or None.
    """

    def __init__(
        self,
        context: Context,
        name: str,
        columns: Sequence[SecureColumn],
        *,
        rows: int,
        label: str | None = None,
        valid: SecureArray | None = None,
        keys: SecureArray | None = None,
        moments: Mapping[str, SecureArray] | None = None,
        brought: Sequence[tuple[str, int]] = (),
    ) -> None:
        self._context, self._name, self._rows = context, name, rows
        self.brought = tuple(brought)
        """Owner and number of rows, one block after the other; empty where rows no longer are as they were brought."""
        self._columns = {c.field.name: c for c in columns}
        if len(self._columns) != len(columns):
            names = [c.field.name for c in columns]
            twice = sorted({n for n in names if names.count(n) > 1})
            raise UsageError(f"table {name!r}: column names must differ, but these come twice: {', '.join(twice)}")
        self._label_name, self._valid, self._keys = label, valid, keys
        self._moments = moments or {}
        self._count: int | SecureArray | None = None

    # -- what is public ------------------------------------------------------------------------------------------------

    @property
    def session(self) -> Session:
        """The session that this table belongs to."""
        return self._context.session

    @property
    def name(self) -> str:
        """As the job calls it."""
        return self._name

    @property
    def rows(self) -> int:
        """Public number of rows, those that do not count included."""
        return self._rows

    @property
    def label_name(self) -> str | None:
        """The column to predict, or None."""
        return self._label_name

    @property
    def valid(self) -> SecureArray | None:
        """Which rows count (n,), or None if all do."""
        return self._valid

    @property
    def keys(self) -> SecureArray | None:
        """Fingerprints of the rows' keys (n, 2), or None."""
        return self._keys

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns, the label last."""
        label = (self.label_name,) if self.label_name is not None else ()
        return (*self.feature_names, *label)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of all columns but the label."""
        return tuple(n for n in self._columns if n != self.label_name)

    @property
    def fields(self) -> tuple[Field, ...]:
        """What is known of the features, in order."""
        return tuple(self._columns[n].field for n in self.feature_names)

    @property
    def units(self) -> npt.NDArray[np.float64]:
        """Public power of two by which each feature was divided."""
        return np.asarray([f.unit for f in self.fields])

    def __repr__(self) -> str:
        return f"Table({self.name!r}, rows={self.rows}, columns={len(self._columns)})"

    def __len__(self) -> int:
        return self.rows

    # -- columns -------------------------------------------------------------------------------------------------------

    def column(self, name: str) -> SecureColumn:
        """One column. Raises UsageError for a name that the table does not have."""
        try:
            return self._columns[name]
        except KeyError:
            have = ", ".join(self._columns)
            raise UsageError(f"table {self.name!r} has no column {name!r}; its columns: {have}") from None

    def __getitem__(self, name: str | Sequence[str]) -> Any:
        return self.column(name).natural if isinstance(name, str) else self.select(name)

    @property
    def label(self) -> SecureArray | None:
        """The column to predict in its own unit (codes for categories), (n,), or None."""
        return None if self.label_name is None else self[self.label_name]

    @property
    def features(self) -> SecureArray:
        """All features as one array (n, d), in units. Raises UsageError while there are categories or empty cells."""
        return self.matrix(self.feature_names)

    @property
    def count(self) -> int | SecureArray:
        """Number of real rows: a plain number, or secret."""
        if self._count is None:
            self._count = self.rows if self.valid is None else self.valid.sum()
        return self._count

    def matrix(self, names: Sequence[str]) -> SecureArray:
        """Some columns as one array (n, k), in units.

        Whole numbers and columns of different precision are brought to one scale: the lowest that any has, but not
        below the session's. Raises UsageError for categories and for columns with empty cells.
        """
        chosen = [self.column(n) for n in names]
        if not chosen:
            raise UsageError(f"table {self.name!r}: no features; its columns: {', '.join(self.columns) or 'none'}")
        coded = [c.field.name for c in chosen if c.field.coded]
        if coded:
            raise UsageError(
                f"table {self.name!r}: {', '.join(coded)}: categories are no numbers; encode them first "
                "(OneHotEncoder or OrdinalEncoder of privity.ml.preprocessing), or select other columns"
            )
        gappy = [c.field.name for c in chosen if c.missing is not None]
        if gappy:
            raise UsageError(
                f"table {self.name!r}: {', '.join(gappy)}: some cells may be empty; fill them in first (SimpleImputer "
                "of privity.ml.preprocessing), or select other columns"
            )
        return self.block(names)

    def block(self, names: Sequence[str]) -> SecureArray:
        """``matrix`` without its checks: codes as they are, 0 for an empty cell."""
        values = [self.column(n).values.numeric() for n in names]
        scales = [v.scale for v in values if v.scale]
        common = min(scales, default=0)
        if common != max(scales, default=0):
            common = max(common, self._context.fraction_bits)
        finer = [i for i, v in enumerate(values) if v.scale > common]
        if finer:
            cut = stack([values[i] for i in finer], axis=1).rescaled(common)
            for k, i in enumerate(finer):
                values[i] = cut[:, k]._stated(values[i].bound + 2.0**-common)
        return stack(values, axis=1)

    # -- sums over the real rows ---------------------------------------------------------------------------------------

    @property
    def sums(self) -> SecureArray:
        """Sum of each feature, (d,), in units; empty cells do not count."""
        return self.moments(self.feature_names)[0]

    @property
    def squares(self) -> SecureArray:
        """Sum of the squares of each feature, (d,), in units, to 2^-28; empty cells do not count."""
        return self.moments(self.feature_names)[1]

    def moments(self, names: Sequence[str]) -> SecureArray:
        """Sums, sums of squares and numbers of cells that are not empty, (3, k), in units.

        What the owners brought where rows are as they brought them, else from the shares: one product a value.
        """
        words = self._exact_sums(names)
        if words is not None:
            share, rows = words._ring_share(), float(max(1, self.rows))
            total, high = (SecureArray(self._context, share.map(layout.take(i)), FEATURE_BITS, rows) for i in (0, 3))
            squares = SecureArray(self._context, high._ring_share(), FEATURE_BITS - 2, rows)  # of 32 bits of 60
            return stack([total, squares.rescaled(FEATURE_BITS), words[1]._stated(rows)])
        values = [self.column(n) for n in names]
        x = self.block(names).T
        # each square is cut before the sum: a sum of products at twice the scale would soon pass 62 bits
        square = x.multiply(x, scale=x.scale).sum(axis=1)
        full = self.valid.sum() if self.valid is not None else self._context.constant(self.rows)
        present = [full if c.missing is None else full - c.missing.sum() for c in values]
        return stack([x.sum(axis=1), square, stack(present)])

    def _exact_sums(self, names: Sequence[str]) -> SecureArray | None:
        """What the owners brought of these columns (``functions.spread.exact_sums``), (4, k) whole numbers in units of
        2^-FEATURE_BITS; None where rows or columns are no longer as they were brought."""
        if not names or not all(n in self._moments for n in names):
            return None
        return stack([self._moments[n] for n in names], axis=1)

    # -- other tables --------------------------------------------------------------------------------------------------

    def replaced(
        self, columns: Sequence[SecureColumn], *, label: str | Literal["same"] | None = "same", clean: bool = True
    ) -> Table:
        """The same rows with other columns. ``clean`` False: values may differ from 0 in rows that are not real."""
        made = list(columns)
        if not clean and self.valid is not None and made:
            made = _masked(made, self.valid)
        return Table(
            self._context,
            self.name,
            made,
            rows=self.rows,
            label=self.label_name if label == "same" else label,
            valid=self.valid,
            keys=self.keys,
            moments={c.field.name: self._moments[c.field.name] for c in made if self._unchanged(c)},
            brought=self.brought,
        )

    def _unchanged(self, column: SecureColumn) -> bool:
        name = column.field.name
        return name in self._moments and name in self._columns and self._columns[name] is column

    def select(self, names: Sequence[str]) -> Table:
        """These columns, in this order; the label stays."""
        keep = [self.column(n) for n in names]
        if self.label_name is not None and self.label_name not in names:
            keep.append(self.column(self.label_name))
        return self.replaced(keep)

    def drop(self, names: Sequence[str]) -> Table:
        """All columns but these."""
        for name in names:
            self.column(name)
        label = None if self.label_name in names else self.label_name
        return self.replaced([c for n, c in self._columns.items() if n not in names], label=label)

    def with_label(self, name: str | None) -> Table:
        """The same columns with another one (or none) as the one to predict."""
        if name is not None:
            self.column(name)
        return self.replaced(list(self._columns.values()), label=name)

    def with_column(self, name: str, values: SecureArray, *, bound: float | None = None) -> Table:
        """One more column (or another in its place): secret numbers, whole numbers or booleans, (n,).

        ``bound``: on |values|, where it is smaller than that of the array; guarded.
        """
        if values.shape != (self.rows,):
            raise ShapeError(f"table {self.name!r}: expected {self.rows} values for {name!r}, got shape {values.shape}")
        kind: Kind = "binary" if values.kind == "bool" else "integer" if values.kind == "int" else "number"
        cells = values.numeric()
        if bound is not None and bound < cells.bound:
            cells = cells.assume_bound(bound)
        made = SecureColumn(Field(name, kind, 1.0, bound or values.bound), cells)
        if self.valid is not None:
            (made,) = _masked([made], self.valid)
        return self.replaced([*(c for n, c in self._columns.items() if n != name), made])

    def filter(self, mask: SecureArray) -> Table:
        """The rows where the secret boolean ``mask`` (n,) is true; the others become padding: nobody learns how many.

        What is made of booleans and binary labels alone, by products and complements, will do too. One product per
        value.
        """
        what = f"table {self.name!r}: filter"
        secret(what, mask)
        if mask.kind != "bool" and not mask._flags:
            raise UsageError(
                f"{what}: expected a secret boolean mask, got {mask!r}; compare it with something first, "
                'as in table["x"] > 0.5 for a column of 0 and 1'
            )
        if mask.shape != (self.rows,):
            raise ShapeError(f"table {self.name!r}: expected a mask of shape ({self.rows},), got {mask.shape}")
        keep = as_flags(mask, what)
        valid = keep if self.valid is None else keep * self.valid
        return Table(
            self._context, self.name, _masked(list(self._columns.values()), keep), rows=self.rows,
            label=self.label_name, valid=valid, keys=None,
        )  # fmt: skip

    def take(self, rows: npt.ArrayLike | slice) -> Table:
        """Rows by public number, in this order. Local."""
        return self._rows_by(lambda x: x[rows if isinstance(rows, slice) else np.asarray(rows, np.int64)])

    def _rows_by(self, pick: Any) -> Table:
        columns = [
            SecureColumn(c.field, pick(c.values), None if c.missing is None else pick(c.missing))
            for c in self._columns.values()
        ]
        valid = None if self.valid is None else pick(self.valid)
        keys = None if self.keys is None else pick(self.keys)
        rows = columns[0].values.shape[0] if columns else 0
        return Table(
            self._context, self.name, columns, rows=rows, label=self.label_name, valid=valid, keys=keys
        )

    def split(self, test_size: float = 0.25, *, random_state: int | None = None) -> tuple[Table, Table]:
        """(training, test): a public random choice of rows, the same at all parties (``random_state`` None: the job's).

        Where row order is known to somebody (rows as owners brought them), that party knows which of its rows test.
        """
        if not 0 < test_size < 1:
            raise UsageError(f"split: expected test_size between 0 and 1, got {test_size}")
        held = round(self.rows * test_size)
        if not 0 < held < self.rows:
            raise UsageError(f"split: {self.rows} rows leave no rows on one side with test_size={test_size}")
        seed = self._context.seed if random_state is None else random_state
        order = np.random.default_rng(seed).permutation(self.rows)  # a public choice
        return self.take(np.sort(order[held:])), self.take(np.sort(order[:held]))

    def group_by(self, *names: str) -> GroupBy:
        """Groups of rows with equal values in these columns: ``.agg(...)`` gives one row for each."""
        if not names:
            raise UsageError("group_by: name at least one column")
        return GroupBy(self, names)

    def to_arrays(
        self, target: str | None = None
    ) -> tuple[SecureArray, SecureArray | None, SecureArray | None, tuple[str, ...]]:
        """Features (n, d) in units, the target (n,) or None, the row mask (n,) or None, and the features' names.

        ``target``: the column to predict, None for the label. Raises UsageError as ``matrix`` does.
        """
        name = target or self.label_name
        names = tuple(n for n in self.feature_names if n != name)
        return self.matrix(names), None if name is None else self[name], self.valid, names


def _masked(columns: Sequence[SecureColumn], keep: SecureArray) -> list[SecureColumn]:
    """Columns and their masks, 0 where ``keep`` is 0: one product for all of a scale."""
    parts = [(i, part) for i, c in enumerate(columns) for part in ("values", "missing") if getattr(c, part) is not None]
    made: dict[tuple[int, str], SecureArray] = {}
    for scale in sorted({getattr(columns[i], part).numeric().scale for i, part in parts}):
        same = [(i, p) for i, p in parts if getattr(columns[i], p).numeric().scale == scale]
        given = [getattr(columns[i], p).numeric() for i, p in same]
        product = stack(given) * keep  # a whole number times anything keeps its scale
        for k, key in enumerate(same):
            made[key] = product[k]._stated(given[k].bound)
            made[key]._flags = given[k]._flags and keep._flags
    return [
        SecureColumn(c.field, made[i, "values"], None if c.missing is None else made[i, "missing"])
        for i, c in enumerate(columns)
    ]


class GroupBy:
    """What ``Table.group_by`` gives."""

    def __init__(self, table: Table, names: Sequence[str]) -> None:
        self._table, self._names = table, tuple(names)
        self._keys = [table.column(n) for n in names]

    def agg(self, capacity: int | None = None, **aggregates: tuple[str, str] | str) -> Groups:
        """Aggregates per group: ``mean_age=("age", "mean")``, ``n="count"``. All stays secret until it is opened.

        A single column of categories has one row per category, in the schema's order, and costs a product with its
        one-hot form. Else ``capacity`` is the public number of rows of the result, and the cost that of a sort.
        """
        wanted: dict[str, tuple[str, SecureArray | None]] = {}
        for name, how in aggregates.items():
            if how == "count":
                wanted[name] = ("count", None)
            elif isinstance(how, tuple) and len(how) == 2:
                column = self._table.column(how[0])
                if column.missing is not None:
                    raise UsageError(f"group_by: {how[0]!r} may have empty cells; fill them in first (SimpleImputer)")
                wanted[name] = (how[1], column.natural)
            else:
                raise UsageError(f'group_by: expected {name}=("column", "mean") or {name}="count", got {how!r}')
        single = self._keys[0]
        simple = all(how in ("sum", "count", "mean") for how, _ in wanted.values())
        if len(self._keys) == 1 and single.field.coded and single.missing is None and simple:
            return self._by_category(single, wanted)
        if capacity is None:
            raise UsageError("group_by: state capacity=, a public number of rows that holds all groups")
        return group_by([k.natural for k in self._keys], wanted, capacity=capacity, valid=self._table.valid)

    def _by_category(self, key: SecureColumn, wanted: Mapping[str, tuple[str, SecureArray | None]]) -> Groups:
        table, levels = self._table, len(key.field.categories)
        hot = one_hot(key.values, levels).numeric()
        if table.valid is not None:
            hot = hot * table.valid.reshape((-1, 1))
        count = hot.sum(axis=0)._stated(float(table.rows))
        out: dict[str, SecureArray] = {}
        for name, (how, values) in wanted.items():
            if values is None:
                out[name] = count
                continue
            total = matmul(values.reshape((1, -1)), hot).reshape((levels,))._stated(values.bound * max(1, table.rows))
            # an empty group has the sum 0, so its mean is 0 whatever it is divided by
            out[name] = total if how == "sum" else total / (count + (count == 0).numeric())
        codes = table._context.constant(np.arange(levels))
        return Groups((codes,), count > 0, out)


def read(context: Context, info: TableInfo, owners: Sequence[str] | None = None) -> Table:
    """The table of all owners that brought it, rows in the order of the parties (or of ``owners``).

    Raises UsageError if nobody brought it, or not everybody who must, or if several owners each cut a column into bins
    of their own.
    """
    first = next(iter(table_shapes(info, 0)))
    brought = context.owners(first)
    names = list(owners) if owners is not None else brought
    missing = [o for o in info.owners or names if o not in brought]
    if missing:
        raise UsageError(
            f"{', '.join(missing)} did not bring the table {info.name!r}, which the job expects of each; name the file "
            "in the owner's consortium file ([party.tables]) or with --table"
        )
    if not names:
        raise UsageError(f"no owner brought the table {info.name!r}; owners name their file in the consortium file")
    own = [f.name for f in info.fields if f.cut]
    if own and len(names) > 1:
        raise UsageError(
            f"table {info.name!r}: {', '.join(names)} each cut {', '.join(own)} at thresholds of their own, so equal "
            "bins do not mean the same. State the same thresholds for all in the schema (bins = [18, 25, 40]), or "
            "leave bins out: models then find common thresholds on shares"
        )

    def brought_by_all(part: str) -> SecureArray:
        return concatenate([context.secret(f"{info.name}.{part}", owner) for owner in names])

    moments: dict[str, SecureArray] = {}
    values: dict[str, SecureArray] = {}
    gaps: dict[str, SecureArray] = {}
    if info.numbers:
        each = [context.secret(f"{info.name}.moments", owner) for owner in names]
        total = each[0]
        for more in each[1:]:
            total = total + more
        shared = brought_by_all("features")
        for i, field in enumerate(info.numbers):
            moments[field.name] = total[:, i]
            values[field.name] = shared[:, i]._stated(field.bound / field.unit)
    if info.coded:
        codes = brought_by_all("codes")
        for i, field in enumerate(info.coded):
            values[field.name] = codes[:, i]._stated(float(max(1, len(field.categories) - 1)))
    valid = brought_by_all("valid") if info.capacity is not None else None
    if info.gappy:
        empty = brought_by_all("missing")
        # an owner that calls cells of padding empty would take rows away from those that count
        empty = (empty if valid is None else empty & valid.reshape((-1, 1))).numeric()
        gaps = {field.name: empty[:, i] for i, field in enumerate(info.gappy)}
    columns = [SecureColumn(replace(f, owners=tuple(names)), values[f.name], gaps.get(f.name)) for f in info.fields]
    if info.label is not None:
        columns.append(SecureColumn(replace(info.label, owners=tuple(names)), brought_by_all("label").numeric()))
    keys = brought_by_all("keys") if info.keyed else None
    each_brought = [(o, context.declared[o][first].shape[0]) for o in names]
    return Table(
        context,
        info.name,
        columns,
        rows=sum(rows for _, rows in each_brought),
        brought=each_brought,
        label=info.label.name if info.label is not None else None,
        valid=None if valid is None else valid.numeric(),
        keys=keys,
        moments=moments,
    )
