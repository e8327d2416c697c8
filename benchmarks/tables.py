"""Markdown tables out of benchmark lines: `python benchmarks/tables.py lines.jsonl` after `privity bench all --json`.

Several files may be given; of one workload, size and link the line with the fewest CPU seconds is taken, whole.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from privity.bench.result import BenchResult

HEAD = (
    "Workload", "Size", "Wall", "CPU, all parties", "Sent, most", "Per element", "Rounds", "Largest error",
    "Share", "Open", "Wall / NumPy", "CPU / NumPy", "Wall / ideal",
)  # fmt: skip


def best(paths: list[Path]) -> list[BenchResult]:
    """One line for each workload, size and link, in the order in which they first come."""
    chosen: dict[tuple[str, int, str], BenchResult] = {}
    for path in paths:
        for text in path.read_bytes().splitlines():
            result = msgspec.json.decode(text, type=BenchResult)
            key = (result.workload, result.size, result.link)
            if key not in chosen or result.cpu_s < chosen[key].cpu_s:
                chosen[key] = result
    return list(chosen.values())


def table(results: list[BenchResult]) -> str:
    """All lines of one link."""
    rows = ["| " + " | ".join(HEAD) + " |", "|---|" + "---:|" * (len(HEAD) - 1)]
    for r in results:
        each = r.bytes_per_element
        wall = milliseconds(r.wall_s)
        if r.p99_ms is not None:
            wall += f" (p99 {milliseconds(r.p99_ms / 1e3)})"
        cells = (
            r.workload, f"{r.size:,}", wall, milliseconds(r.cpu_s), size(max(r.bytes_sent)),
            "" if each is None else f"{each:.2f} B", f"{r.rounds:,}", f"{r.max_abs_error:.1e}",
            milliseconds(r.share_s), milliseconds(r.open_s),
            ratio(r.wall_s, r.plain_wall_s), ratio(r.cpu_s, r.plain_cpu_s), ratio(r.wall_s, r.ideal_s),
        )  # fmt: skip
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def milliseconds(seconds: float) -> str:
    """Three figures."""
    value = seconds * 1e3
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 10 else f"{value:.2f} ms"


def size(count: int) -> str:
    """Bytes, in MB or kB."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.2f} kB"


def ratio(value: float, base: float) -> str:
    """One decimal below ten."""
    return f"{value / base:,.0f}" if value >= 10 * base else f"{value / base:.1f}"


def main() -> None:
    """Print a table for each link."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("lines", nargs="+", type=Path, metavar="FILE", help="output of privity bench --json")
    results = best(parser.parse_args().lines)
    if not results:
        parser.error("there is no line in these files")
    first = results[0]
    print(f"{first.machine}; kernels {first.kernels}; {first.protocol}.\n")
    for link in dict.fromkeys(r.link for r in results):
        print(f"`--link {link}`:\n\n{table([r for r in results if r.link == link])}\n")


if __name__ == "__main__":
    main()
