"""Tables on shares: columns agreed in a schema, a public number of rows, a secret mask of those that are real.

What everybody knows of a column is in fields.py, what owners share in table_inputs.py, and what a column gives that has
empty cells, or rows that do not count, in functions/nullable.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import numpy as np
import numpy.typing as npt

from . import words
from .array import SecureArray
from .context import Context
from .errors import SecretUseError, ShapeError, UnknownName, UsageError
from .fields import FEATURE_BITS, Field, Kind, TableInfo, numbers
from .functions import concatenate, stack
from .functions.flags import as_flags, both, neither, secret
from .functions.nullable import NullableArray, same
from .given import name_of, names_of, real_number, shown, true_or_false, whole_number
from .grouping import GroupBy
from .ring import exact, layout
from .session import Session
from .table_inputs import KEY_BITS, table_inputs, table_shapes

__all__ = [
    "FEATURE_BITS", "KEY_BITS", "Field", "Kind", "SecureColumn", "Table", "TableInfo", "natural", "numbers", "read",
    "table_inputs", "table_shapes",
]  # fmt: skip


# -- on shares ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SecureColumn:
    """One column on shares: ``values`` (n,) in units (``field.unit``) or codes; ``missing`` (n,) flags or None.

    Whole numbers in the unit 2^u have u fractional bits, others as many as they were shared or made with.
    """

    field: Field
    values: SecureArray
    missing: SecureArray | None = None

    @property
    def natural(self) -> SecureArray:
        """The values in the column's own unit, (n,), 0 in empty cells; whole numbers as integers.

        Exact and local.
        """
        return natural(self.values, self.field.unit, self.field.name, 0 if self.whole else 1)

    @property
    def whole(self) -> bool:
        """Whether its values are whole numbers of the unit 2^u at u fractional bits: exact at any number of more."""
        return self.values.numeric().scale == self.field.whole_bits

    @property
    def fine(self) -> SecureArray:
        """``values``, whole numbers with as many fractional bits as other columns have. Local."""
        values = self.values.numeric()
        return values.rescaled(FEATURE_BITS) if self.whole and values.scale < FEATURE_BITS else values


def natural(values: SecureArray, unit: float, name: str, least: int) -> SecureArray:
    """values * unit for a power of two, exactly: another number of fractional bits for the same shares. Local.

    ``least``: fewest fractional bits of what has any, so that numbers stay fixed-point: in units beyond 2^30 their
    shares are multiplied. Raises UsageError for a unit below 2^-30 (``name``: of the column), whose digits no other
    number could be compared with.
    """
    bits, context = exact.log2_floor(unit), values._context
    least = least if values.scale else 0
    scale = values.scale - bits
    if scale > _MOST_SCALE:
        raise UsageError(
            f"column {name!r}: its bound is below 2^-30, so that its values have no digits beside other numbers; give "
            "it in a smaller unit (milligrams rather than kilograms)"
        )
    share, flags = values._ring_share(), values._flags and bits == 0
    if scale < least:
        context.fits(values.bound * unit, least, f"column {name!r} in its own unit")
        share, scale = context.protocol.mul_public(share, layout.constant(1 << (least - scale))), least
    return SecureArray(context, share, scale, values.bound * unit, flags)


_MOST_SCALE = 60  # fractional bits of a column in its own unit


def in_units(values: SecureArray, unit: float) -> SecureArray:
    """values / unit for a power of two of at least 1: more fractional bits for the same shares. Local."""
    bits = exact.log2_floor(unit)
    return SecureArray(values._context, values._ring_share(), values.scale + bits, values.bound / unit, values._flags)


class Table:
    """Rows on shares: columns by name, a secret row mask, a public number of rows (padding included).

    Made by ``Session.table``, ``privity.link``, ``privity.concat`` and by transforms. ``table["age"]`` is the secret
    column in its own unit, with its masks if cells may be empty or rows do not count (``NullableArray``);
    ``table[["age", "sex"]]`` a table of some columns. ``valid`` (n,): 0/1 integers, None when every row is real; a cell
    is empty in real rows only. ``label``: the secret column to predict, or None.
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

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __iter__(self) -> Iterator[str]:
        """Over the names of the columns, as in pandas."""
        return iter(self.columns)

    def __setitem__(self, name: Any, values: Any) -> NoReturn:
        raise UsageError(f"tables never change: write table = table.with_column({name!r}, values)")

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        raise SecretUseError(
            f"table {self.name!r} is no array: table.features has its columns side by side as a secret one, "
            'table["age"] a column'
        )

    # -- columns -------------------------------------------------------------------------------------------------------

    def column(self, name: str) -> SecureColumn:
        """One column. Raises UsageError for a name that the table does not have."""
        try:
            return self._columns[name_of(f"table {self.name!r}", name)]
        except KeyError:
            have = ", ".join(self._columns)
            meant = words.near(name, self._columns)
            raise UsageError(f"table {self.name!r} has no column {name!r}; its columns: {have}{meant}") from None

    if not TYPE_CHECKING:  # a checker goes by what is defined

        def __getattr__(self, name: str) -> NoReturn:
            what = f"table {self.__dict__.get('_name', '')!r}"
            columns = self.__dict__.get("_columns", {})
            if name in columns:
                raise UnknownName(f"{what} has no attribute {name!r}; its column of this name is table[{name!r}]")
            raise words.unknown(what, name, [*words.public_names(Table), *columns], words.TABLE)

    def __getitem__(self, name: str | Sequence[str]) -> Any:
        if isinstance(name, SecureArray | NullableArray):
            raise UsageError(f"table {self.name!r}: rows are chosen by table.filter(mask): nobody learns how many")
        if isinstance(name, list | tuple) and all(isinstance(n, str) for n in name):
            return self.select(name)
        if not isinstance(name, str):
            raise UsageError(
                f"table {self.name!r}: expected the name of a column, or a list of names, got {name!r}; rows are "
                "chosen by public number with table.take([0, 1]), by a secret mask with table.filter(mask)"
            )
        column = self.column(name)
        if column.missing is None and self.valid is None:
            return column.natural
        what = f"column {name!r} of table {self.name!r}"
        return NullableArray(column.natural, what, missing=column.missing, valid=self.valid, clean=True)

    @property
    def label(self) -> Any:
        """The column to predict in its own unit (codes for categories), (n,), as ``table[name]``, or None."""
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
        names = names_of(f"table {self.name!r}: matrix", names)
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
        names = names_of(f"table {self.name!r}: block", names)
        columns = [self.column(n) for n in names]
        values = [c.values.numeric() for c in columns]
        scales = [v.scale for v, c in zip(values, columns, strict=True) if v.scale and not c.whole]
        if not scales and any(v.scale for v in values):
            scales = [FEATURE_BITS]
        common = min(scales, default=0)
        if common != max(scales, default=0):
            common = max(common, self._context.fraction_bits)
        # whole numbers have the fewest bits that hold them, and any more for nothing
        for i, column in enumerate(columns):
            if column.whole and values[i].scale < common:
                values[i] = values[i].rescaled(common)
        finer = [i for i, v in enumerate(values) if v.scale > common]
        for scale in sorted({values[i].scale for i in finer}):
            alike = [i for i in finer if values[i].scale == scale]
            cut = stack([values[i] for i in alike], axis=1).rescaled(common)
            for k, i in enumerate(alike):
                values[i] = cut[:, k]._stated(values[i].bound + 2.0**-common)
        return stack(values, axis=1)

    # -- sums over the real rows ---------------------------------------------------------------------------------------

    @property
    def sums(self) -> SecureArray:
        """Sum of each feature, (d,), in units; empty cells do not count."""
        return self.moments(self.feature_names)[0]

    @property
    def squares(self) -> SecureArray:
        """Sum of the squares of each feature, (d,), in units; empty cells do not count. Less by up to 2^-28 for each
        owner (2^-30 for each row, if rows are not as they were brought): ``stats.variance`` has all digits."""
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
        """These columns (a name or several), in this order; the label stays."""
        names = names_of(f"table {self.name!r}: select", names)
        keep = [self.column(n) for n in names]
        if self.label_name is not None and self.label_name not in names:
            keep.append(self.column(self.label_name))
        return self.replaced(keep)

    def drop(self, names: Sequence[str]) -> Table:
        """All columns but these (a name or several)."""
        names = names_of(f"table {self.name!r}: drop", names)
        for name in names:
            self.column(name)
        label = None if self.label_name in names else self.label_name
        return self.replaced([c for n, c in self._columns.items() if n not in names], label=label)

    def with_label(self, name: str | None) -> Table:
        """The same columns with another one (or none) as the one to predict."""
        if name is not None:
            self.column(name)
        return self.replaced(list(self._columns.values()), label=name)

    def with_column(
        self, name: str, values: SecureArray | NullableArray, *, bound: float | None = None
    ) -> Table:
        """One more column (or another in its place): secret numbers, whole numbers or booleans, (n,).

        A column with masks of its own (such as ``table["x"] * 2``) keeps its empty cells; in rows that did not count
        where it came from, and do here, it is empty too. ``bound``: on |values|, where it is smaller than that of the
        array; guarded.
        """
        name, missing = name_of(f"table {self.name!r}: with_column", name), None
        if bound is not None and not real_number(f"table {self.name!r}: with_column", "bound", bound) > 0:
            raise UsageError(f"table {self.name!r}: with_column: expected bound above 0, got {bound}")
        if isinstance(values, NullableArray):
            missing, values = self._empty_cells(values)
        if not isinstance(values, SecureArray):
            raise UsageError(
                f"table {self.name!r}: expected secret values for {name!r}, got {type(values).__name__}; "
                "session.constant(values) makes them of public ones"
            )
        if values.shape != (self.rows,):
            raise ShapeError(f"table {self.name!r}: expected {self.rows} values for {name!r}, got shape {values.shape}")
        kind: Kind = "binary" if values.kind == "bool" else "integer" if values.kind == "int" else "number"
        cells = values.numeric()
        if bound is not None and bound < cells.bound:
            cells = cells.assume_bound(bound)
        most = values.bound if bound is None else min(bound, values.bound)
        made = SecureColumn(Field(name, kind, 1.0, most, missing=missing is not None), cells, missing)
        if self.valid is not None:
            (made,) = _masked([made], self.valid)
        return self.replaced([*(c for n, c in self._columns.items() if n != name), made])

    def _empty_cells(self, values: NullableArray) -> tuple[SecureArray | None, SecureArray]:
        """Flags of the cells that are empty in this table, or None, and the values, 0 there."""
        if values.valid is None or same(values.valid, self.valid):
            return values.missing, values.filled(0)
        return neither(values.present), values.filled(0)

    def dropna(self, subset: Sequence[str] | str | None = None) -> Table:
        """The rows without an empty cell in these columns (None: all, the label too); the others become padding.

        Nobody learns how many. One product a value, and one for each further column with empty cells.
        """
        names = self.columns if subset is None else names_of(f"table {self.name!r}: dropna", subset)
        gaps = [m for m in (self.column(n).missing for n in names) if m is not None]
        if not gaps:
            return self
        keep = neither(gaps[0])
        for gap in gaps[1:]:
            keep = both(keep, neither(gap))
        left = self.filter(keep)
        return left.replaced([left._full(c) if c.field.name in names else c for c in left._columns.values()])

    @staticmethod
    def _full(column: SecureColumn) -> SecureColumn:
        return SecureColumn(replace(column.field, missing=False), column.values)

    def fillna(self, value: float | str | Mapping[str, float | str]) -> Table:
        """``value`` in empty cells: a number in the column's own unit, or a category; or one for each column by name.

        A number for all fills columns of numbers, a word those that have it as a category. Local. Raises UsageError for
        a value that the column's kind, bound or categories do not allow.
        """
        gappy = [n for n, c in self._columns.items() if c.missing is not None]
        if not isinstance(value, Mapping | str):
            real_number(f"table {self.name!r}: fillna", "value", value)
        if isinstance(value, Mapping):
            for name in value:
                self.column(name)
            wanted = {n: value[n] for n in gappy if n in value}
        else:
            wanted = {n: value for n in gappy if self._columns[n].field.coded == isinstance(value, str)}
        made = [self._filled(c, wanted[n]) if n in wanted else c for n, c in self._columns.items()]
        return self.replaced(made)

    def _filled(self, column: SecureColumn, value: float | str) -> SecureColumn:
        field, values = column.field, column.values.numeric()
        fill = field.fill(value, f"table {self.name!r}: fillna")
        assert column.missing is not None
        whole = column.whole or field.coded
        units = round(fill) if whole else fill / field.unit
        added = column.missing * units if whole else column.missing.multiply(units, scale=values.scale)
        if whole:
            added = in_units(added, field.unit)
        filled = (values + added.rescaled(values.scale))._stated(max(values.bound, abs(fill) / field.unit))
        return SecureColumn(replace(field, missing=False), filled)

    def filter(self, mask: SecureArray | NullableArray) -> Table:
        """The rows where the secret boolean ``mask`` (n,) is true; the others become padding: nobody learns how many.

        What is made of booleans and binary labels alone, by products and complements, will do too, and so do columns of
        kind binary, which are checked to hold 0 and 1. An empty cell is false. One product per value.
        """
        what = f"table {self.name!r}: filter"
        secret(what, mask)
        if mask.kind != "bool" and not mask._flags and not (mask.kind == "int" and mask.bound <= 1):
            raise UsageError(
                f"{what}: expected a secret boolean mask, got {mask!r}; compare it with something first, "
                'as in table["x"] > 0.5 for a column of 0 and 1'
            )
        if mask.shape != (self.rows,):
            raise ShapeError(f"table {self.name!r}: expected a mask of shape ({self.rows},), got {mask.shape}")
        keep = mask.as_mask(what, self.valid) if isinstance(mask, NullableArray) else as_flags(mask, what)
        valid = keep if self.valid is None else keep * self.valid
        return Table(
            self._context, self.name, _masked(list(self._columns.values()), keep), rows=self.rows,
            label=self.label_name, valid=valid, keys=None,
        )  # fmt: skip

    def take(self, rows: npt.ArrayLike | slice) -> Table:
        """Rows by public number, in this order. Local."""
        if isinstance(rows, SecureArray | NullableArray):
            raise UsageError(f"table {self.name!r}: take: row numbers are public; filter(mask) takes a secret mask")
        if isinstance(rows, slice):
            return self._rows_by(lambda x: x[rows])
        try:
            chosen = np.asarray(rows)
        except ValueError:  # lists of different lengths
            chosen = np.zeros((1, 1))
        if chosen.size == 0 and isinstance(rows, list | tuple):
            chosen = chosen.astype(np.int64)
        if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
            raise UsageError(f"table {self.name!r}: take: expected rows by public number, got {shown(rows)}")
        if ((chosen < -self.rows) | (chosen >= self.rows)).any():
            raise ShapeError(f"table {self.name!r}: take: rows have the numbers 0 to {self.rows - 1}, got {rows!r}")
        return self._rows_by(lambda x: x[chosen.astype(np.int64)])

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
        what = f"table {self.name!r}: split"
        if random_state is not None:
            whole_number(what, "random_state", random_state, 0, 1 << 64)
        if not 0 < real_number(what, "test_size", test_size) < 1:
            raise UsageError(f"split: expected test_size between 0 and 1, got {test_size}")
        held = round(self.rows * test_size)
        if not 0 < held < self.rows:
            raise UsageError(f"split: {self.rows} rows leave no rows on one side with test_size={test_size}")
        seed = self._context.seed if random_state is None else random_state
        order = np.random.default_rng(seed).permutation(self.rows)  # a public choice
        return self.take(np.sort(order[held:])), self.take(np.sort(order[:held]))

    def group_by(self, *names: Any, keep_missing: bool = False) -> GroupBy:
        """Groups of rows with equal values in these columns (names, or a list of them): ``.agg(...)`` gives one row for
        each.

        Rows with an empty cell in one of them are left out; with ``keep_missing`` they are groups of their own, after
        the others.
        """
        if len(names) == 1 and not isinstance(names[0], str):
            names = names_of("group_by", names[0])
        if not names:
            raise UsageError("group_by: name at least one column")
        return GroupBy(self, names_of("group_by", names), true_or_false("group_by", "keep_missing", keep_missing))

    def to_arrays(
        self, target: str | None = None
    ) -> tuple[SecureArray, SecureArray | None, SecureArray | None, tuple[str, ...]]:
        """Features (n, d) in units, the target (n,) or None, the row mask (n,) or None, and the features' names.

        ``target``: the column to predict, None for the label. Where its cells may be empty, rows without a target do
        not count: the mask leaves them out, and all else is 0 in them. Raises UsageError as ``matrix`` does.
        """
        name = self.label_name if target is None else name_of(f"table {self.name!r}: to_arrays", target)
        names = tuple(n for n in self.feature_names if n != name)
        if name is None:
            return self.matrix(names), None, self.valid, names
        told = self.with_target(name)
        return told.matrix(names), told.column(name).natural, told.valid, names

    def with_target(self, name: str) -> Table:
        """The rows that have a value in this column; the others become padding. The table itself where all have."""
        return self.dropna([name])


def _masked(columns: Sequence[SecureColumn], keep: SecureArray) -> list[SecureColumn]:
    """Columns and their masks, 0 where ``keep`` is 0: one product for all, of whatever scale."""
    parts = [x.numeric() for c in columns for x in (c.values, c.missing) if x is not None]
    if not parts:
        return []
    proto = keep._context.protocol
    stacked = proto.stack([x._ring_share() for x in parts], 0)
    product = proto.mul(stacked, keep._ring_share().map(layout.broadcast(stacked.shape)))
    made = iter([
        SecureArray(x._context, product.map(layout.take(i)), x.scale, x.bound, x._flags and keep._flags)
        for i, x in enumerate(parts)
    ])  # fmt: skip
    return [SecureColumn(c.field, next(made), None if c.missing is None else next(made)) for c in columns]


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
            values[field.name] = _cells_of(shared[:, i], field)
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
        cells = brought_by_all("label").numeric()
        if info.label.kind == "integer":
            cells = _cells_of(cells, info.label)
        columns.append(SecureColumn(replace(info.label, owners=tuple(names)), cells))
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


def _cells_of(shared: SecureArray, field: Field) -> SecureArray:
    """A column in units from what owners shared of it: whole numbers as they are, others divided by the unit."""
    bits, bound = field.whole_bits, field.bound / field.unit
    if bits is None:
        return shared._stated(bound)
    return SecureArray(shared._context, shared._ring_share(), bits, bound)
