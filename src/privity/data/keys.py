"""Keys at their owner: one spelling for all owners, fingerprints of 96 bits, one row for each key.

A fingerprint is never shown to anybody: it is shared like any other value, and compared on shares. That its input may
have low entropy (a date of birth) is therefore no danger by itself; what a linkage opens is (docs/linkage.md).
"""

from __future__ import annotations

import hashlib
import re
import types
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError, DataError

Kind = Literal["text", "integer"]
Duplicates = Literal["refuse", "first", "last"]
Missing = Literal["refuse", "drop"]
Words = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]

WORD_BYTES = 6
"""Bytes in each of the two words of a fingerprint."""

_DOMAIN = b"privity key 1\n"
_MOST_ROWS = 5  # row numbers in one error
_INTEGER = re.compile(r"([+-]?)0*([0-9]+)(?:\.0*)?", re.ASCII)


def _digits(text: str) -> str:
    if text.isascii():
        return re.sub(r"[^0-9]+", "", text)
    return "".join(str(unicodedata.decimal(c)) for c in text if c.isdecimal())


def _strip_zeros(text: str) -> str:
    if not text.startswith("0"):
        return text
    rest = text.lstrip("0")
    return rest if "1" <= rest[:1] <= "9" else "0" + rest


STEPS: Mapping[str, Callable[[str], str]] = types.MappingProxyType({
    "trim": str.strip,
    "casefold": str.casefold,
    "strip_zeros": _strip_zeros,
    "digits": _digits,
    "letters_digits": lambda text: "".join(c for c in text if c.isalnum()),
    "nfkc": lambda text: unicodedata.normalize("NFKC", text),
})
"""What ``normalize`` of a key column may name.

trim: no white space at the ends. casefold: no difference between capital and small letters. strip_zeros: a number at
the start without leading zeros (007a is 7a, 000 is 0). digits: nothing but digits. letters_digits: nothing but letters
and digits. nfkc: one form for what Unicode can write in several ways, such as full-width digits and composed accents;
put it first.
"""


def check_steps(name: str, steps: Sequence[str]) -> None:
    """Raises ConfigError for a step of column ``name`` that is not in ``STEPS``."""
    unknown = [step for step in steps if step not in STEPS]
    if unknown:
        raise ConfigError(
            f"column {name!r}: normalize names {unknown[0]!r}; expected steps from: {', '.join(STEPS)}. They are "
            "done in the order in which the schema lists them."
        )


def normalised(cells: Sequence[str], steps: Sequence[str] = (), kind: Kind = "text") -> list[str]:
    """The cells of one key column after all steps, in order.

    Those of an integer column then lose a sign and zeros that mean nothing (+007 is 7, and 7.0 too): they are equal as
    numbers.

    Raises ConfigError for an unknown step, DataError naming the rows of an integer column that hold something else
    (empty cells stay empty).
    """
    check_steps("key", steps)
    out = list(cells)
    for step in steps:
        out = list(map(STEPS[step], out))
    if kind == "integer":
        out = [text.strip() for text in out]
        found = [_INTEGER.fullmatch(text) for text in out]
        wrong = [row for row, (text, match) in enumerate(zip(out, found, strict=True)) if text and match is None]
        if wrong:
            raise DataError(
                f"the key is a whole number by the schema, but {_rows(wrong)} {_holds(wrong)} something else. Correct "
                "these cells, or have the schema say kind = 'text' for all owners"
            )
        out = ["" if m is None else ("-" if m[1] == "-" and m[2] != "0" else "") + m[2] for m in found]
    return out


def readable(cell: str, steps: Sequence[str], kind: Kind) -> bool:
    """Whether a single cell is a key after all steps: neither empty, nor text in an integer column."""
    try:
        return bool(normalised([cell], steps, kind)[0])
    except DataError:
        return False


def job_salt(*context: str) -> bytes:
    """Public salt of a job: 32 bytes that depend on every part of its context (consortium and job), the same at all
    owners. The same keys have other fingerprints in another job.
    """
    return _digest(_DOMAIN + b"salt", [part.encode() for part in context])


def complete(columns: Sequence[Sequence[str]], rule: Missing = "refuse") -> Rows:
    """Rows (from 0) of which no normalised part is empty. ``refuse``: DataError naming the others."""
    _same_length(columns)
    empty = np.zeros(len(columns[0]), bool)
    for cells in columns:
        empty |= np.fromiter((not text for text in cells), bool, len(cells))
    if rule == "refuse" and empty.any():
        wrong = np.flatnonzero(empty).tolist()
        raise DataError(
            f"{_rows(wrong)} {'has' if len(wrong) == 1 else 'have'} an empty key (after normalization). Fill it in, "
            "leave these rows out of the file, or have the rule for missing keys say 'drop'"
        )
    if rule not in ("refuse", "drop"):
        raise ConfigError(f"rule for missing keys: expected refuse or drop, found {rule!r}")
    return np.flatnonzero(~empty)


def fingerprints(
    columns: Sequence[Sequence[str]],
    normalize: Sequence[Sequence[str]] | None = None,
    salt: bytes = b"",
    kinds: Sequence[Kind] | None = None,
) -> Words:
    """(rows, 2) words of 48 bits each: the first 96 bits of SHA-256 over the salt and the composite key.

    ``columns``: the cells of each key column; ``normalize``: for each the steps, ``kinds``: for each text or integer
    (text). Every part is preceded by its length, so that ("ab", "c") and ("a", "bc") differ. Two keys agree in all 96
    bits with a chance of 2^-57 among a million. Raises what ``normalised`` and ``complete`` raise.
    """
    steps = [()] * len(columns) if normalize is None else normalize
    kinds = ["text"] * len(columns) if kinds is None else kinds
    if not columns or len(steps) != len(columns) or len(kinds) != len(columns):
        raise ConfigError(
            f"a key has a column at least, and steps and a kind for each; got {len(columns)} columns, {len(steps)} "
            f"lists of steps and {len(kinds)} kinds"
        )
    parts = [normalised(c, s, k) for c, s, k in zip(columns, steps, kinds, strict=True)]
    complete(parts)
    prefix = _digest(_DOMAIN, [salt, len(columns).to_bytes(4, "little")])
    encoded = [[_counted(text.encode()) for text in part] for part in parts]
    sha, size = hashlib.sha256, 2 * WORD_BYTES
    taken = b"".join([sha(prefix + b"".join(key)).digest()[:size] for key in zip(*encoded, strict=True)])
    words = np.zeros((len(parts[0]), 2, 8), np.uint8)
    words[:, :, :WORD_BYTES] = np.frombuffer(taken, np.uint8).reshape(-1, 2, WORD_BYTES)
    return words.view("<u8").reshape(-1, 2).astype(np.uint64)


def deduplicate(fingerprints: Words, rule: Duplicates = "refuse") -> Rows:
    """Rows (from 0, ascending) to keep so that every key is there once: the ``first`` or the ``last`` row of each.

    ``refuse``: DataError naming rows with equal keys, never the keys.
    """
    if rule not in ("refuse", "first", "last"):
        raise ConfigError(f"rule for duplicate keys: expected refuse, first or last, found {rule!r}")
    whole: Any = np.ascontiguousarray(fingerprints).view([("high", np.uint64), ("low", np.uint64)]).reshape(-1)
    n = whole.size
    ordered = whole[::-1] if rule == "last" else whole
    _, first, group = np.unique(ordered, return_index=True, return_inverse=True)
    if rule == "refuse" and first.size < n:
        again = np.setdiff1d(np.arange(n), first)
        row = int(again[0])
        raise DataError(
            f"rows {int(first[group[row]]) + 1} and {row + 1} have the same key ({again.size} such rows). A key must "
            "stand for one row: remove repeated rows, add a key column, or have the rule for duplicates say 'first' or "
            "'last'"
        )
    kept = n - 1 - first if rule == "last" else first
    return np.sort(kept).astype(np.int64)


def _digest(domain: bytes, parts: Sequence[bytes]) -> bytes:
    """SHA-256 over parts, each preceded by its length."""
    h = hashlib.sha256(domain)
    for part in parts:
        h.update(_counted(part))
    return h.digest()


def _counted(part: bytes) -> bytes:
    return len(part).to_bytes(4, "little") + part


def _same_length(columns: Sequence[Sequence[str]]) -> None:
    if len({len(c) for c in columns}) != 1:
        raise DataError(f"the key columns have different numbers of rows: {', '.join(str(len(c)) for c in columns)}")


def _rows(rows: Sequence[int]) -> str:
    """Row numbers as people count them."""
    shown = ", ".join(str(r + 1) for r in rows[:_MOST_ROWS])
    more = f" and {len(rows) - _MOST_ROWS} more" if len(rows) > _MOST_ROWS else ""
    return f"{'row' if len(rows) == 1 else 'rows'} {shown}{more}"


def _holds(rows: Sequence[int]) -> str:
    return "holds" if len(rows) == 1 else "hold"
