"""One line of a benchmark: for machines (JSON) and for people."""

from __future__ import annotations

import msgspec


class BenchResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one workload cost at one size, median of ``repeat`` repetitions.

    wall_s: of the slowest party, from shares in place to shares in place. cpu_s: user and system seconds of all three
    parties together, all threads. bytes_sent: on the wire by each party, headers and tags included. rounds: exchanges.
    max_abs_error: against float64, over all repetitions. plain_wall_s, plain_cpu_s: the same in NumPy. ideal_s: see
    ``ideal``. share_s, open_s: sharing the inputs before and opening the result after, not part of wall_s. p50_ms,
    p99_ms: of wall_s over the repetitions; latencies only. elements: what bytes are divided by for people. peak_mib:
    most memory that a party's process held at any time, the sharing and what is made before included.
    """

    workload: str
    size: int
    protocol: str
    link: str
    wall_s: float
    cpu_s: float
    bytes_sent: list[int]
    rounds: int
    max_abs_error: float
    plain_wall_s: float
    plain_cpu_s: float
    ideal_s: float
    share_s: float
    open_s: float
    repeat: int
    kernels: str
    machine: str
    elements: int | None = None
    peak_mib: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None

    @property
    def bytes_per_element(self) -> float | None:
        """Of the party that sends most."""
        return None if self.elements is None else max(self.bytes_sent) / self.elements


_COLUMNS = (
    ("workload", 12), ("size", 9), ("link", 6), ("wall", 9), ("CPU, all", 9), ("max sent", 9), ("B/elem", 6),
    ("rounds", 6), ("error", 7), ("share", 9), ("open", 9), ("wall/np", 7), ("cpu/np", 7), ("wall/ideal", 10),
)  # fmt: skip


def to_json(result: BenchResult) -> str:
    """One object on one line."""
    return msgspec.json.encode(result).decode()


def heading(kernels: str, machine: str) -> str:
    """What all lines have in common, and the names of the columns."""
    lines = [f"kernels: {kernels} · {machine} · median; wall of the slowest party, CPU of all three"]
    if kernels == "pure":
        lines.append("WARNING: pure-Python kernels. These figures say nothing about the native build; install with a")
        lines.append("C++ compiler to get it.")
    return "\n".join([*lines, "  ".join(name.ljust(w) if w == 12 else name.rjust(w) for name, w in _COLUMNS)])


def line(result: BenchResult) -> str:
    """One line of the table; latencies are followed by their percentiles."""
    each = result.bytes_per_element
    cells = (
        result.workload,
        f"{result.size:,}",
        result.link,
        _seconds(result.wall_s),
        _seconds(result.cpu_s),
        _size(max(result.bytes_sent)),
        "-" if each is None else f"{each:.2f}",
        f"{result.rounds:,}",
        f"{result.max_abs_error:.1e}",
        _seconds(result.share_s),
        _seconds(result.open_s),
        _ratio(result.wall_s, result.plain_wall_s),
        _ratio(result.cpu_s, result.plain_cpu_s),
        _ratio(result.wall_s, result.ideal_s),
    )
    text = "  ".join(c.ljust(w) if w == 12 else c.rjust(w) for c, (_, w) in zip(cells, _COLUMNS, strict=True))
    if result.p50_ms is not None and result.p99_ms is not None:
        text += f"\n{'':12}  p50 {result.p50_ms:.2f} ms, p99 {result.p99_ms:.2f} ms of {result.repeat}"
    return text


def _seconds(value: float) -> str:
    return f"{value:.3f} s" if value >= 1 else f"{value * 1e3:.2f} ms" if value >= 1e-3 else f"{value * 1e6:.0f} us"


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 1e6 else f"{count / 1e3:.2f} kB"


def _ratio(value: float, base: float) -> str:
    ratio = value / max(base, 1e-12)
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}"
