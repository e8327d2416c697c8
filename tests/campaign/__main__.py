"""``python -m tests.campaign``: cases of all entries on two processes, verdicts as JSON lines, a summary.

``--functions 8000 --fits 2000`` are the numbers of cases on functions, statistics, metrics, transforms and tables, and
of fits. ``--kind K --case N --seed S`` runs one case and prints what came. See tests/campaign/README.md.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import judge
from .case import ENTRIES, GROUPS
from .judge import BARE, BROKEN, DEBT, FAULTS, HUNG, REFUSED, RIGHT, UNNAMED, WRONG, Verdict

COLUMNS = (RIGHT, REFUSED, DEBT, WRONG, BARE, HUNG, UNNAMED, BROKEN)


def plan(functions: int, fits: int, only: str) -> list[tuple[str, int]]:
    """(kind, number) of all cases: each group's number spread over its entries by weight, at least one each."""
    cases: list[tuple[str, int]] = []
    for many, groups in ((functions, set(GROUPS) - {"fits"}), (fits, {"fits"})):
        chosen = [e for e in ENTRIES.values() if e.group in groups and (not only or e.kind.startswith(only))]
        # a third to functions, as much to statistics, metrics, transforms and tables as their number of entries says
        share = {e.kind: e.weight * (1.0 if e.group in ("functions", "fits") else 4.0) for e in chosen}
        total = sum(share.values())
        for e in chosen:
            count = max(1, round(many * share[e.kind] / total)) if many else 0
            cases += [(e.kind, i) for i in range(count)]
    return cases


def results(seed: int, cases: list[tuple[str, int]], workers: int) -> Iterator[Verdict]:
    """Verdicts as they come. Processes are replaced after some pieces: threads of a hung case stay with theirs."""
    pieces = [(seed, cases[i :: max(1, len(cases) // 20)]) for i in range(max(1, len(cases) // 20))]
    if workers < 2:
        for piece in pieces:
            yield from judge.judged_all(piece)
        return
    with multiprocessing.get_context("spawn").Pool(workers, maxtasksperchild=20) as pool:
        for verdicts in pool.imap_unordered(judge.judged_all, pieces):
            yield from verdicts


def summary(found: list[Verdict], seed: int) -> str:
    """By group and in all; debts by kind; then each distinct fault with its reproduction."""
    lines = [f"{'':14}{'run':>7}" + "".join(f"{c:>9}" for c in COLUMNS) + f"{'debt %':>9}"]
    for group in (*GROUPS, "all"):
        some = [v for v in found if group in (v.group, "all")]
        counts = Counter(v.verdict for v in some)
        if some:
            lines.append(
                f"{group:14}{len(some):7}"
                + "".join(f"{counts[c]:9}" for c in COLUMNS)
                + f"{100 * counts[DEBT] / len(some):9.1f}"
            )
    for title, kinds in (("Faults", FAULTS), ("Debts", (DEBT,))):
        same: dict[tuple[str, str, str], list[Verdict]] = defaultdict(list)
        for v in found:
            if v.verdict in kinds:
                same[v.kind, v.verdict, cause(v)].append(v)
        lines += ["", f"{title}: {sum(map(len, same.values()))} in {len(same)} kinds"]
        for (kind, verdict, _), these in sorted(same.items(), key=lambda item: (-len(item[1]), item[0])):
            v = these[0]
            lines.append(f"  {len(these):4} {verdict:8} {kind}: {v.detail[:300]}")
            lines.append(
                f"       [{v.note[:120]}] python -m tests.campaign --seed {seed} --kind '{kind}' --case {v.number}"
            )
    return "\n".join(lines)


def cause(v: Verdict) -> str:
    """What makes two faults of one kind the same: the words of the message without numbers."""
    if v.verdict == WRONG:
        return WRONG
    text = re.sub(r"\(shape=\S+|\w+\.py:|['\"][^'\"]*['\"]|[\d.e+]+|SecureArray", "", v.detail)
    return text[:70]


def one(kind: str, seed: int, number: int) -> int:
    """Run one case with its note, and say what came."""
    entry = ENTRIES[kind]
    case = entry.case(seed, number)
    print(f"{kind}, case {number} of seed {seed}: {case.note}\nowners: {case.owners}; arrays:")
    for name, given in case.arrays.items():
        print(f"  {name}: bound {given.bound}, {given.values!r}")
    for sheet in case.sheets:
        print(f"  table {sheet.info}\n{sheet.cells!r}\nlabel {sheet.label!r}")
    v = judge.judged(entry, seed, number)
    print(f"{v.verdict}: {v.detail} ({v.seconds} s)")
    return 1 if v.verdict in FAULTS else 0


def main(argv: list[str] | None = None) -> int:
    from . import entries as _  # noqa: F401

    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--functions", type=int, default=8000)
    parser.add_argument("--fits", type=int, default=2000)
    parser.add_argument("--kind", default="", help="only entries whose kind begins so; with --case exactly this one")
    parser.add_argument("--case", type=int, default=None)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("campaign.jsonl"))
    given: Any = parser.parse_args(argv)
    if given.case is not None:
        return one(given.kind, given.seed, given.case)
    began, found = time.monotonic(), []
    cases = plan(given.functions, given.fits, given.kind)
    with given.out.open("w", encoding="utf-8") as out:
        for v in results(given.seed, cases, given.workers):
            found.append(v)
            out.write(json.dumps(asdict(v), ensure_ascii=False) + "\n")
            if len(found) % 200 == 0:
                out.flush()
                counts = Counter(w.verdict for w in found)
                print(
                    f"{len(found)} of {len(cases)}, {time.monotonic() - began:.0f} s: {dict(counts)}", file=sys.stderr
                )
    print(f"seed {given.seed}, {len(found)} cases, {time.monotonic() - began:.0f} s\n{summary(found, given.seed)}")
    return 1 if any(v.verdict in FAULTS for v in found) else 0


if __name__ == "__main__":
    sys.exit(main())
