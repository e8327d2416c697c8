"""Writes docs/numpy.md from the dispatch table. A test fails when the page is not what this prints.

Run it from the repository's root: python docs/generate_numpy.py
"""

from __future__ import annotations

from pathlib import Path

import privity  # noqa: F401  (the package first: its parts import each other)
from privity.functions.dispatch import aliases, table
from privity.functions.refused import REFUSED

HEAD = """# NumPy on secret arrays

`np.exp(x)`, `np.concatenate([x, y])`, `public @ x` and the rest of this page work on secret arrays, so that one
function runs on plain and on secret data alike. Arguments have NumPy's names; `out=`, `where=`, `dtype=` and
`casting=` cannot be given, by place neither. Of ufunc methods there are `reduce` (add, multiply, maximum,
minimum, logical_and, logical_or), `add.accumulate` and `outer`. Error, range and cost are those of the function
of the same name in `privity` ([api.md](api.md)).

Never: `np.asarray(x)`, `float(x)`, `if x > 0`. They would open a secret; `s.reveal` is the only door. Comparisons
give secret booleans, for `np.where(mask, a, b)` and `& | ^ ~`.

## Kinds and conversions

| Operands | Result of `+ - *` | of `/` |
|---|---|---|
| fixed and fixed, int, bool or public | fixed | fixed |
| int and int or public integers | int | fixed |
| int or bool and public reals | fixed | fixed |
| bool and bool | int: `True + True` is 2 | fixed |

`//`, `%`, `divmod` and `np.fmod` are exact for every number within its bound, with Python's and NumPy's meaning for
negative ones: the quotient is an array of secret integers, the remainder has the kind of the dividend. Divisors are
public numbers or arrays (whole, or multiples of the last place, 2^-18; others, such as 0.1, are refused since a value
next to a multiple could fall on either side) or secret arrays, for which a guard makes sure that none is 0. Columns of
tables are divided as they are: `table["age"] // 10` gives secret integers, exactly. `x >> k` and `x << k` take secret
integers and public k. See [numerics.md](numerics.md).

Scale: the larger of the two for sums, the session's fractional bits for products of reals. Explicit:
`x.astype("fixed")` (or `float`; exact), `x.astype("int")` (towards zero, exact), `x.astype("bool")` (x != 0),
`x.rescaled(bits)`, and `privity.floor`, `ceil`, `rint`, `trunc`, which give secret integers and are exact for every
value that fits.

*Supported*: as in NumPy. *Partial*: a part is missing. *Refused*: raises `SecretUseError` with the text of the last
column.

"""


def rows() -> list[str]:
    """One line per NumPy name."""
    names = {name: None for name in (*table(), *REFUSED, *aliases())}
    lines = []
    for name in sorted(names):
        target = aliases().get(name, name)
        entry = table().get(target)
        if entry is None:
            lines.append(f"| `{name}` | refused | {REFUSED[target]} |")
        else:
            same = f"as `{target}`" if target != name else ""
            note = "; ".join(t for t in (same, entry.note) if t)
            lines.append(f"| `{name}` | {'partial' if entry.partial else 'supported'} | {note} |")
    return lines


def render() -> str:
    """The whole page."""
    listed = rows()
    states = [line.split(" | ")[1] for line in listed]
    count = ", ".join(f"{states.count(state)} {state}" for state in ("supported", "partial", "refused"))
    body = "\n".join(line.replace("|  |", "| |") for line in listed)
    head = "| Name | State | What is different, or what to do instead |\n|---|---|---|"
    return f"{HEAD}## Names\n\n{count}.\n\n{head}\n{body}\n"


if __name__ == "__main__":
    (Path(__file__).parent / "numpy.md").write_text(render(), "utf-8")
