"""Tables made from several: rows linked by secret keys, rows put below each other, and who is in all of them.

What is learned is in the name: ``link`` opens the number of common rows (or nothing, with a public capacity or a left
join), ``intersect`` tells each owner which of its own rows all tables have. See docs/linkage.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from .array import SecureArray
from .context import Context
from .errors import DataError, UsageError
from .functions import concatenate
from .functions.linkage import first_rows, members
from .functions.linkage import link as link_rows
from .given import name_of, shown, whole_number
from .grouping import MOST_ROWS
from .openings import Withheld
from .table import Field, SecureColumn, Table

LINKED_ROWS = "linked rows"
"""Name of the opening of a linkage's size, unless the program gives another."""


def link(
    *tables: Table, how: Literal["inner", "left"] = "inner", capacity: int | None = None, name: str = LINKED_ROWS
) -> Table:
    """One table of the rows whose keys all tables have, in an order that nobody knows.

    Keys are the columns with the role ``key`` in each table's schema; nobody learns which rows were linked. ``inner``
    opens the number of common rows to all parties as ``name``: 0 stands for fewer than the session's minimum group.
    With ``capacity`` not even that: the result has that many rows, and a secret mask says which are real. ``left``
    keeps all rows of the first table and opens nothing; a binary column ``matched_<table>`` says which rows the other
    table has too, and other tables' cells are empty where it does not.

    Where several owners brought one table, the first of rows with equal keys counts. Columns must have different
    names, and at most one table a label. Cost: one sort of all keys by 96 bits, one shuffle of the result.

    Raises UsageError for tables without keys or with clashing columns, DataError if there are too few common rows.
    """
    context = _checked(tables)
    name_of("link: name", name)
    if capacity is not None:
        whole_number("link", "capacity", capacity, 1, MOST_ROWS)
    if not isinstance(how, str) or how not in ("inner", "left"):
        raise UsageError(f"link: expected how='inner' or how='left', got {how!r}")
    labels = [t.label_name for t in tables if t.label_name is not None]
    if len(labels) > 1:
        raise UsageError(f"link: one column can be the label, but there are {', '.join(labels)}; use .with_label(None)")
    payload = [_payload(t) for t in tables]

    def open_size(count: SecureArray) -> int:
        reason = f"number of rows that {', '.join(t.name for t in tables)} have in common"
        size = context.reveal(count, to="all", name=name, reason=reason)
        if isinstance(size, Withheld):
            raise UsageError(f"link: a plan needs to know how many rows match; assume it: --assume '{name}=5000'")
        return int(size)

    linked = link_rows(
        [_keys(t) for t in tables], payload, how=how, capacity=capacity, valid=[_counting(t) for t in tables],
        open_size=open_size, minimum=context.minimum_group,
    )  # fmt: skip
    columns: list[SecureColumn] = []
    for k, table in enumerate(tables):
        made = iter(linked.columns[k])
        absent: SecureArray | None = None
        if how == "left" and k:
            matched = linked.matched[k - 1]
            columns.append(SecureColumn(Field(f"matched_{table.name}", "binary"), matched.numeric()))
            absent = 1 - matched.numeric()
        for column in _columns(table):
            values = next(made)
            missing = next(made) if column.missing is not None else None
            if absent is not None:
                missing = absent if missing is None else missing + absent  # values of absent rows are 0, gaps too
                # never both, as the guard of ``link_rows`` finds
                missing = SecureArray(context, missing._ring_share(), 0, 1.0, flags=True)
            columns.append(SecureColumn(replace(column.field, missing=missing is not None), values, missing))
    made_table = Table(
        context, "+".join(t.name for t in tables), columns, rows=linked.rows,
        label=labels[0] if labels else None, valid=linked.valid,
    )  # fmt: skip
    # in a left join, rows of the first table that repeat a key hold values that do not count
    return made_table.replaced(columns, clean=how == "inner")


def intersect(*tables: Table, name: str = "common rows") -> dict[str, Any]:
    """Owner -> which of its own rows all tables have, as a Boolean array in the order of its file.

    Opened to that owner alone as ``name (owner)``, so every owner learns the intersection of its keys with all others,
    and nothing of the rest. With two owners and no compute parties there is ``privity psi``.
    """
    context = _checked(tables)
    masks = members([_keys(t) for t in tables], [_counting(t) for t in tables])
    found: dict[str, Any] = {}
    for table, mask in zip(tables, masks, strict=True):
        at = 0
        for owner, rows in table.brought:
            mine = mask[at : at + rows]
            at += rows
            found[owner] = context.reveal(
                mine, to=owner, name=f"{name} ({owner})", reason=f"which rows of {owner} are in all tables"
            )
    return found


def concat(tables: Sequence[Table], name: str | None = None) -> Table:
    """The rows of all tables, one table below the other. Local.

    Columns must be the same, with the same kinds, units and categories, and cut into bins at the same thresholds if
    they are. Raises UsageError naming one that differs.
    """
    if isinstance(tables, list | tuple) and not tables:
        raise UsageError("concat: expected at least one table")
    if not isinstance(tables, list | tuple) or not all(isinstance(t, Table) for t in tables):
        raise UsageError(f"concat: expected a list of tables, concat([a, b]), got {type(tables).__name__}")
    if name is not None:
        name_of("concat: name", name)
    first: Table = tables[0]
    for other in tables[1:]:
        if other.columns != first.columns or other.label_name != first.label_name:
            raise UsageError(f"concat: {other.name!r} has columns {other.columns}, {first.name!r} {first.columns}")
        for field, its in zip(first.fields, other.fields, strict=True):
            if field.cut_at != its.cut_at:
                ways = [f"{t.name!r}: {f.cut_at or 'not cut'}" for t, f in ((first, field), (other, its))]
                raise UsageError(
                    f"concat: column {field.name!r} is cut into other bins ({'; '.join(ways)}). State the same "
                    "thresholds in both schemas (bins = [18, 25, 40]), or leave bins out of both: models then find "
                    "common thresholds on shares"
                )
            if (field.kind, field.unit, field.categories) != (its.kind, its.unit, its.categories):
                raise UsageError(f"concat: column {field.name!r} differs in kind, unit or categories in {other.name!r}")
    context = first._context

    def zeros(table: Table) -> SecureArray:
        return context.constant([0] * table.rows)

    def ones(table: Table) -> SecureArray:
        return context.constant([1] * table.rows)

    columns = []
    for column in _columns(first):
        parts = [t.column(column.field.name) for t in tables]
        missing = None
        if any(p.missing is not None for p in parts):
            missing = concatenate(
                [p.missing if p.missing is not None else zeros(t) for p, t in zip(parts, tables, strict=True)]
            )
        owners = tuple(dict.fromkeys(o for p in parts for o in p.field.owners))
        field = replace(column.field, missing=missing is not None, owners=owners)
        columns.append(SecureColumn(field, concatenate([p.values for p in parts]), missing))
    valid = None
    if any(t.valid is not None for t in tables):
        valid = concatenate([t.valid if t.valid is not None else ones(t) for t in tables])
    keys = concatenate([_keys(t) for t in tables]) if all(t.keys is not None for t in tables) else None
    return Table(
        context, name or "+".join(dict.fromkeys(t.name for t in tables)), columns,
        rows=sum(t.rows for t in tables), label=first.label_name, valid=valid, keys=keys,
    )  # fmt: skip


def _checked(tables: Sequence[Table]) -> Context:
    if len(tables) < 2:
        raise UsageError(f"expected at least two tables to link, got {len(tables)}")
    other = [t for t in tables if not isinstance(t, Table)]
    if other:
        raise UsageError(f"expected tables to link, as session.table gives them, got {shown(other[0])}")
    keyless = [t.name for t in tables if t.keys is None]
    if keyless:
        raise UsageError(
            f"{', '.join(keyless)}: no keys to link by; give at least one column of the schema the role 'key' "
            "(a filtered table has none either: link first, filter then)"
        )
    for table in tables:
        if not table.rows:
            raise DataError(f"table {table.name!r} has no rows to link")
    names = [n for t in tables for n in t.columns]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise UsageError(f"link: several tables have columns named {', '.join(twice)}; drop or rename all but one")
    return tables[0]._context


def _keys(table: Table) -> SecureArray:
    assert table.keys is not None
    return table.keys


def _counting(table: Table) -> SecureArray | None:
    """Which rows can match: where several owners brought the table, the first of each key."""
    return first_rows(_keys(table), table.valid) if len(table.brought) > 1 else table.valid


def _columns(table: Table) -> list[SecureColumn]:
    return [table.column(n) for n in table.columns]


def _payload(table: Table) -> list[SecureArray]:
    return [x for c in _columns(table) for x in (c.values, c.missing) if x is not None]
