"""Runs a case and says: right, refused, wrong, bare, hung. One verdict for each case."""

from __future__ import annotations

import re
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import privity as pv
from privity.errors import PrivityError
from privity.table import table_inputs

from .case import Case, Entry, Refuses, Sheet, Within

RIGHT, DEBT, REFUSED, WRONG, BARE, HUNG, UNNAMED, BROKEN = (
    "right",
    "debt",
    "refused",
    "wrong",
    "bare",
    "hung",
    "unnamed",
    "broken",
)
"""debt: refused what the plain library answers. refused: rightly, as the plain library does or a page announces.
unnamed: refused by a message that names neither line, column nor argument. broken: the campaign itself failed."""

FAULTS = (WRONG, BARE, HUNG, UNNAMED, BROKEN)


@dataclass(frozen=True)
class Verdict:
    kind: str
    group: str
    seed: int
    number: int
    verdict: str
    detail: str = ""
    note: str = ""
    seconds: float = 0.0


class _Hung(BaseException):
    pass


@contextmanager
def _limit(seconds: int) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise _Hung

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def judged(entry: Entry, seed: int, number: int, limit_s: int = 60) -> Verdict:
    """The verdict on one case."""
    began = time.monotonic()
    note = ""
    try:
        with _limit(limit_s), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                case = entry.case(seed, number)
                note, want, refuses = case.note, *_reference(case)
            except Exception as error:
                verdict, detail = BROKEN, _at(error)
            else:
                verdict, detail = _verdict(case, entry.kind, want, refuses, seed + number)
    except _Hung:
        verdict, detail = HUNG, f"no answer within {limit_s} s"
    return Verdict(entry.kind, entry.group, seed, number, verdict, detail, note, round(time.monotonic() - began, 3))


def _reference(case: Case) -> tuple[Any, str]:
    """What the plain library gives, and '' or why it gives nothing."""
    if case.check is not None:
        return None, case.want if isinstance(case.want, str) else ""
    try:
        return case.want() if callable(case.want) else case.want, ""
    except Refuses as error:
        return None, str(error) or "the plain library refuses"


def _at(error: Exception) -> str:
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {where.filename.split('/')[-1]}:{where.lineno}: {error}"[:400]


def _verdict(case: Case, kind: str, want: Any, refuses: str, seed: int) -> tuple[str, str]:
    try:
        got = play(case, seed)
    except PrivityError as error:
        return _refusal(case, kind, f"{type(error).__name__}: {error}", refuses)
    except Exception as error:
        return BARE, _at(error)
    if case.check is not None:
        try:
            wrong = case.check(got)
        except Exception as error:
            return BROKEN, _at(error)
        return (WRONG, wrong) if wrong else (RIGHT, "")
    if refuses:
        return WRONG, f"answers {_short(got)} where {refuses}"
    wrong = compared(got, want, case.within)
    return (WRONG, wrong) if wrong else (RIGHT, "")


def _refusal(case: Case, kind: str, message: str, refuses: str) -> tuple[str, str]:
    names = {*case.arrays, *case.words, kind.split(".")[-1]}
    for sheet in case.sheets:
        names |= {f.name for f in sheet.info.fields} | {sheet.info.name}
        names |= {sheet.info.label.name} if sheet.info.label is not None else set()
    named = re.search(r"\w+\.py:\d+", message) or any(
        re.search(rf"(?<!\w){re.escape(n)}(?!\w)", message) for n in names
    )
    if not named:
        return UNNAMED, message[:600]
    if refuses or any(re.search(limit.pattern, message) for limit in case.limits):
        return REFUSED, message[:600]
    return DEBT, message[:600]


def play(case: Case, seed: int) -> Any:
    """What the case's program gives at the first compute party, opened."""
    rng = np.random.default_rng(seed)
    owners = [f"owner_{i}" for i in range(case.owners)]
    inputs: dict[str, dict[str, Any]] = {o: {} for o in owners}
    holders: dict[str, list[str]] = {}
    rows = min((len(np.atleast_1d(v.values)) for n, v in case.arrays.items() if n not in case.whole), default=1)
    cuts = _cuts(rng, rows, len(owners))
    for name, given in case.arrays.items():
        values = np.asarray(given.values)
        if name in case.whole or values.ndim == 0:
            pieces = {owners[0]: values}
        else:
            pieces = dict(zip(owners, np.split(values, cuts), strict=False))
        holders[name] = list(pieces)
        for owner, piece in pieces.items():
            inputs[owner][name] = pv.Input(piece, given.bound, given.scale)
    framed = rng.random() < 0.5
    for sheet in case.sheets:
        at = np.split(np.arange(len(sheet.cells)), _cuts(rng, len(sheet.cells), len(owners)))
        for owner, index in zip(owners, at, strict=False):
            keys = None if sheet.keys is None else sheet.keys[index]
            label = None if sheet.label is None else np.asarray(sheet.label, np.float64)[index]
            if framed:
                inputs[owner] |= table_inputs(sheet.info, frame(sheet, index, rng), None, keys)
            else:
                inputs[owner] |= table_inputs(sheet.info, sheet.cells[index], label, keys)

    def program(s: pv.Session) -> Any:
        x = {name: _joined(s, name, who) for name, who in holders.items()}
        return opened(s, case.program(s, x))

    tables = {sheet.info.name: sheet.info for sheet in case.sheets}
    inputs = {owner: given for owner, given in inputs.items() if given}
    words: dict[str, Any] = {"minimum_group": case.minimum_group, "seed": seed % 2**31}
    if case.then is None:
        return pv.simulate(program, inputs=inputs, tables=tables, **words).output
    later = case.then
    with tempfile.TemporaryDirectory() as folder:
        words["store"] = Path(folder)
        pv.simulate(program, inputs=inputs, tables=tables, **words)
        return pv.simulate(lambda s: opened(s, later(s)), receivers=list(inputs), **words).output


def frame(sheet: Sheet, index: Any, rng: np.random.Generator) -> pd.DataFrame:
    """Rows of a sheet as an owner's data frame: words of categories, None for an empty cell, columns in any order."""
    made: dict[str, Any] = {}
    for j, field in enumerate(sheet.info.fields):
        made[field.name] = _worded(field, sheet.cells[index, j])
    if sheet.info.label is not None:
        made[sheet.info.label.name] = _worded(sheet.info.label, np.asarray(sheet.label, np.float64)[index])
    names = [str(n) for n in rng.permutation(list(made))]
    return pd.DataFrame({n: made[n] for n in names}).assign(**{"not described": 1.0})


def _worded(field: Any, cells: Any) -> Any:
    if not field.categories:
        return cells
    return pd.array([None if np.isnan(c) else field.categories[int(c)] for c in cells], dtype=object)


def _cuts(rng: np.random.Generator, rows: int, owners: int) -> list[int]:
    """Where rows pass to the next owner; every owner has at least one."""
    pieces = max(1, min(owners, rows))
    return sorted(int(c) for c in rng.choice(np.arange(1, rows), pieces - 1, replace=False)) if pieces > 1 else []


def _joined(s: pv.Session, name: str, who: list[str]) -> Any:
    parts = [s.secret(name, owner) for owner in who]
    return parts[0] if len(parts) == 1 else pv.concatenate(parts)


def opened(s: pv.Session, value: Any) -> Any:
    """The tree with every secret opened to all."""
    if isinstance(value, pv.SecureArray):
        return s.reveal(value, to="all", name="result", reason="campaign")
    if isinstance(value, list | tuple):
        return [opened(s, v) for v in value]
    if hasattr(value, "open") and hasattr(value, "__dataclass_fields__"):
        return value.open(to="all", name="result", reason="campaign")
    return value


def leaves(tree: Any) -> list[Any]:
    return [leaf for v in tree for leaf in leaves(v)] if isinstance(tree, list | tuple) else [tree]


def compared(got: Any, want: Any, within: Any) -> str:
    """'' if every leaf is within its stated error, else the worst difference."""
    ours, plain = leaves(got), leaves(want)
    if len(ours) != len(plain):
        return f"{len(ours)} results, {len(plain)} expected"
    each = [within] * len(plain) if isinstance(within, Within) else list(within)
    for at, (a, b, tolerance) in enumerate(zip(ours, plain, each, strict=True)):
        if isinstance(b, str):
            if a != b:
                return f"result {at}: {a!r}, right {b!r}"
            continue
        x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
        if x.shape != y.shape:
            return f"result {at}: shape {x.shape}, right {y.shape}"
        allowed = np.broadcast_to(np.asarray(tolerance.allowed(y), np.float64), y.shape)
        off = np.abs(x - y)
        bad = np.where(np.isnan(x) != np.isnan(y), True, ~np.isnan(y) & ~(off <= allowed))
        bad &= ~(np.isinf(y) & (x == y))
        if bad.any():
            share = np.where(bad, np.where(np.isfinite(off), off / np.maximum(allowed, 1e-300), np.inf), -1.0)
            i = int(np.argmax(share.reshape(-1)))
            return (
                f"result {at}[{i}]: {x.reshape(-1)[i]!r}, right {y.reshape(-1)[i]!r}, off by "
                f"{off.reshape(-1)[i]:.3g} where {allowed.reshape(-1)[i]:.3g} is stated ({tolerance.page}); "
                f"{int(bad.sum())} of {bad.size} elements"
            )
    return ""


def _short(value: Any) -> str:
    return repr(value).replace("\n", " ")[:120]


def judged_all(given: tuple[int, list[tuple[str, int]]]) -> list[Verdict]:
    """The verdicts of a seed and (kind, number) of cases. Here, for a process of its own cannot import ``__main__``."""
    from . import entries

    seed, cases = given
    return [judged(entries.ENTRIES[kind], seed, number) for kind, number in cases]
