"""What a demo says in the terminal: progress while it runs, one screen when it is done.

The console is passed in (on standard error when ``--json`` keeps standard output for machines). Where it is no
terminal there are no colours, no redrawing and no control characters: a plain line of progress every few seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from privity.demo.report import receivers, shape_text, size_text, summary_of_gains
from privity.demo.result import DemoResult, Gain, ViewSummary
from privity.demo.story import story_of

PLAIN_EVERY_S = 5.0
"""Seconds between two lines of progress where nothing can be redrawn."""


class LiveProgress:
    """A ``types.Progress`` for people; use as a context manager around the run.

    clock: seconds, monotonic (replaceable in tests).
    """

    def __init__(self, console: Console, title: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._title = title
        self._clock = clock
        self._started: float | None = None
        self._first_step = 0
        self._last_line = -PLAIN_EVERY_S
        self._last_note: str | None = None
        self._live: Live | None = None

    def __enter__(self) -> LiveProgress:
        if self._console.is_terminal:
            self._live = Live(Text(self._title), console=self._console, transient=True, refresh_per_second=8)
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)
            self._live = None

    def update(self, step: int, total: int, note: str, rounds: int, bytes_sent: int) -> None:
        """Show that ``step`` of ``total`` steps are done, or a stage without steps if ``total`` is 0.

        ``bytes_sent``: by one compute party so far.
        """
        now = self._clock()
        cost = [f"{rounds:,} rounds", size_text(bytes_sent)] if rounds or bytes_sent else []
        if total == 0:
            self._started = None
            facts = " · ".join([note, *cost])
            if self._live is not None:
                self._live.update(Text.assemble(self._title, " ", (facts, "dim")))
            elif note != self._last_note:
                self._say(facts, note, now)
            return
        if self._started is None or step < self._first_step:
            self._started, self._first_step = now, step  # whatever was done before the first word is not our speed
        elapsed = now - self._started
        done = step - self._first_step
        left = "–" if done <= 0 else duration(elapsed / done * max(0, total - step))
        place = f"step {step:,}/{total:,}"
        facts = " · ".join([place, *([note] if note != place else []), *cost, f"{left} left"])
        if self._live is not None:
            bar = ProgressBar(total=max(1, total), completed=min(step, total), width=28)
            line = Table.grid(padding=(0, 1))
            line.add_row(Text(self._title), bar, Text(facts, style="dim"))
            self._live.update(line)
        elif now - self._last_line >= PLAIN_EVERY_S or step >= total or note != self._last_note:
            self._say(facts, note, now)

    def _say(self, facts: str, note: str, now: float) -> None:
        self._console.print(Text(f"{self._title}: {facts}"), soft_wrap=True)
        self._last_line, self._last_note = now, note


def duration(seconds: float) -> str:
    """Seconds as people say them: ``4 s``, ``1 min 05 s``, ``2 h 10 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def show_result(console: Console, result: DemoResult, files: tuple[Path, ...] = ()) -> None:
    """One screen about a finished run: 80 columns are enough, more than 100 are not used, at most 40 lines.

    ``files``: where the rest was written.
    """
    evaluation = result.evaluation
    story = story_of(result)
    rows = result.linked_rows if result.linked_rows is not None else sum(result.rows.values())
    compute = [party for party in result.parties if party.role == "compute"]
    lines: list[RenderableType] = [
        Text(
            f"{len(result.rows)} {story.owners} trained one model on {rows:,} {story.people} that none of them showed.",
            "bold",
        ),
        _quality(result),
        Text(summary_of_gains(evaluation.auc_gain, story.owners)),
        Text(""),
        Text("Right?", "bold"),
        Text(
            "  largest difference of a coefficient to the same fit in float64    "
            f"{evaluation.max_coef_difference:.1e}\n"
            f"  difference of ROC AUC to centralised scikit-learn                 "
            f"{evaluation.auc_difference_to_centralised:.1e}"
            + _statistics(result)
            + _trees(result)
        ),
        Text("What it cost", "bold"),
        Text(
            f"  training {result.train_wall_s:.1f} s, whole run {result.wall_s:.1f} s; the fit in the clear "
            f"{result.plain_wall_s:.3f} s ({result.slowdown:,.0f} ×)\n"
            f"  {result.rounds:,} rounds, {result.steps} steps; kernels: {result.kernels}"
        ),
    ]
    lines += [
        Text(f"  {party.party:<12} {party.cpu_s:6.1f} CPU s {size_text(party.bytes_sent):>12} sent")
        for party in compute
    ]
    lines += [Text("What was opened", "bold"), *_openings(result)]
    lines += [Text("What each party saw", "bold"), _views(result.views)]
    if files:
        lines.append(Text("Written: " + ", ".join(str(path) for path in files), "dim"))
    # Nothing may be wider than the promise, and paths and names may hold brackets that are not markup.
    console.print(Group(*lines), width=min(console.width, 100), markup=False, highlight=False)


def _statistics(result: DemoResult) -> str:
    if not result.inference:
        return ""
    worst = max(abs(line.z - line.plain_z) / max(1.0, abs(line.plain_z)) for line in result.inference)
    clear = sum(line.p < 0.001 for line in result.inference)
    return (
        f"\n  largest difference of a z statistic to statsmodels                {worst:.1e}"
        f"\n  {clear} of {len(result.inference)} coefficients have p < 0.001; odds ratios are in the report"
    )


def _trees(result: DemoResult) -> str:
    if result.trees is None:
        return ""
    t = result.trees
    return (
        f"\n  {t.rounds} boosted trees in {t.wall_s:.1f} s: ROC AUC {t.auc:.4f} on rows left out "
        f"(clear {t.plain_auc:.4f})"
    )


def _quality(result: DemoResult) -> Table:
    evaluation = result.evaluation
    # Gains as intervals alone: with the gains themselves, which are differences of the column before, 80 columns would
    # not do.
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("on the hold-out")
    for name in ("rows", "ROC AUC", "gain (95 %)", "avg. prec.", "gain (95 %)"):
        table.add_column(name, justify="right")
    auc, precision = evaluation.auc, evaluation.average_precision
    for bank, rows in result.rows.items():
        table.add_row(
            f"{bank} alone",
            f"{rows:,}",
            f"{auc.alone[bank]:.4f}",
            _gain(evaluation.auc_gain[bank]),
            f"{precision.alone[bank]:.4f}",
            _gain(evaluation.average_precision_gain[bank]),
        )
    total = f"{sum(result.rows.values()) if result.linked_rows is None else result.linked_rows:,}"
    table.add_row("joint, secure", total, f"{auc.joint:.4f}", "", f"{precision.joint:.4f}", "", style="bold")
    table.add_row("centralised", total, f"{auc.centralised:.4f}", "", f"{precision.centralised:.4f}", "", style="dim")
    return table


def _gain(gain: Gain) -> Text:
    style = "green" if gain.low > 0 else "red" if gain.high < 0 else "dim"
    return Text(f"{gain.low:+.3f} to {gain.high:+.3f}", style)


def _openings(result: DemoResult) -> list[Text]:
    shown = [
        Text(f"  {line.name}: {shape_text(line.shape)}, to {receivers(result, line.to)}")
        for line in result.openings[:4]
    ]
    if len(result.openings) > len(shown):
        shown.append(Text(f"  and {len(result.openings) - len(shown)} more: see the report"))
    return shown or [Text("  nothing")]


def _views(views: list[ViewSummary]) -> RenderableType:
    if not views:
        return Text("  not recorded (run with --record-view)")
    table = Table.grid(padding=(0, 2))
    for view in views[:10]:
        p = "no test" if view.p_after_correction is None else f"p {view.p_after_correction:.2g}"
        table.add_row(
            Text(f"  {view.party}", no_wrap=True),
            Text(f"{view.messages:,} messages"),
            Text(size_text(view.bytes)),
            Text(p),
            Text(view.verdict, no_wrap=True, overflow="ellipsis"),
        )
    return table if len(views) <= 10 else Group(table, Text(f"  and {len(views) - 10} more: see the report"))
