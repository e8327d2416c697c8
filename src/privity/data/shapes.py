"""From the public shapes that a job states to the inputs that a plan assumes. No data is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import ConfigError
from ..inputs import DEFAULT_BOUND, Declared
from ..jobs.job import JobSpec
from ..table import table_shapes
from .load import table_info
from .schema import TableSchema

Size = int | Sequence[int]


def planned_inputs(
    spec: JobSpec, schemas: Mapping[str, TableSchema], sizes: Mapping[str, Mapping[str, Size]]
) -> dict[str, dict[str, Declared]]:
    """Owner -> input -> what would be declared. ``sizes``: owner -> table or array -> rows or shape.

    An array whose job states ``scale = 0`` counts as integers, any other as reals. Raises ConfigError for a name that
    the job does not describe, or a table with a shape.
    """
    result: dict[str, dict[str, Declared]] = {}
    for owner, named in sizes.items():
        mine = result.setdefault(owner, {})
        for name, size in named.items():
            shape = (size,) if isinstance(size, int) else tuple(size)
            if name in schemas:
                if len(shape) != 1:
                    raise ConfigError(f"plan, {owner}: {name!r} is a table: expected its number of rows, got {shape}")
                mine.update(table_shapes(table_info(schemas[name]), shape[0]))
            elif name in spec.arrays or not (spec.arrays or spec.tables):
                array = spec.arrays.get(name)
                scale = array.scale if array is not None and array.scale is not None else spec.fraction_bits
                mine[name] = Declared(shape, array.bound if array is not None else DEFAULT_BOUND, scale)
            else:
                have = ", ".join([*schemas, *spec.arrays])
                raise ConfigError(f"plan: {owner} brings {name!r}, the job describes: {have}; correct one of the two")
    return result


def read_size(text: str) -> tuple[str, str, Size]:
    """OWNER.NAME=ROWS or OWNER.NAME=2000x20 from the command line. Raises ConfigError."""
    name, _, size = text.partition("=")
    owner, _, what = name.partition(".")
    numbers = size.split("x")
    if not owner or not what or not all(n.isdecimal() for n in numbers):
        raise ConfigError(f"--rows {text!r}: expected OWNER.NAME=ROWS or OWNER.NAME=2000x20, like bank_a.credit=5000")
    return owner, what, int(size) if len(numbers) == 1 else tuple(int(n) for n in numbers)
