"""The terminal: one screen at the end, live progress on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from privity.demo.report import render_html
from privity.demo.result import DemoResult, TreesLine
from privity.demo.screen import LiveProgress, duration, show_result
from privity.types import Progress


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, force_terminal=terminal, width=100, height=40, color_system=None), stream


class Clock:
    """Seconds that pass only when told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_fits_one_screen_and_says_it_all(result: DemoResult) -> None:
    many = [*result.views, *(msgspec.structs.replace(result.views[0], party=f"party_{k}") for k in range(9))]
    openings = result.openings * 6
    out, stream = console(terminal=False)
    show_result(out, msgspec.structs.replace(result, views=many, openings=openings), (Path("out/[x]/report.html"),))
    text = stream.getvalue()
    lines = text.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
    assert "\x1b" not in text
    for words in ("bank_e alone", "0.7672", "+0.006 to +0.018", "3.2e-04", "4,321 rounds", "152.0 MB"):
        assert words in text
    for words in ("4 of 5 banks clearly gain", "coefficients", "2 more", "looks like noise", "out/[x]/report.html"):
        assert words in text


@pytest.mark.parametrize("which", ["result", "hospitals_result"])
def test_eighty_columns_are_enough(which: str, request: pytest.FixtureRequest) -> None:
    """One line for each row of the table, and for each fact: nothing wraps that is not a sentence."""
    result: DemoResult = request.getfixturevalue(which)
    stream = io.StringIO()
    show_result(Console(file=stream, width=80), result, (Path("out/result.json"),))
    lines = stream.getvalue().splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    first = next(i for i, line in enumerate(lines) if line.startswith("on the hold-out"))
    for owner, line in zip(result.rows, lines[first + 1 :], strict=False):
        gain = result.evaluation.average_precision_gain[owner]
        assert line.startswith(f"{owner} alone") and line.rstrip().endswith(f"{gain.low:+.3f} to {gain.high:+.3f}")
    assert lines[first + 1 + len(result.rows)].startswith("joint, secure")
    for heading in ("Right?", "What it cost", "What was opened"):  # facts below these are indented, so would not wrap
        at = lines.index(heading)
        assert lines[at + 1].startswith("  ")
    assert all(line.startswith(("  ", "What")) for line in lines[lines.index("Right?") + 1 : -3])


def test_openings_name_their_receivers_in_short(hospitals_result: DemoResult) -> None:
    out, stream = console(terminal=False)
    show_result(out, hospitals_result)
    assert "  linked rows: one number, to all parties" in stream.getvalue()
    assert "  model: 2 × 47 numbers, to the hospitals" in stream.getvalue()
    assert "z statistic to statsmodels" in stream.getvalue()


def test_a_note_that_only_counts_is_not_said_twice() -> None:
    out, stream = console(terminal=False)
    with LiveProgress(out, "run", clock=Clock()) as progress:
        progress.update(2, 7, "step 2/7", 0, 0)
    assert stream.getvalue() == "run: step 2/7 · – left\n"


def test_narrow_terminals_wrap_instead_of_failing(result: DemoResult) -> None:
    stream = io.StringIO()
    show_result(Console(file=stream, width=40), result)
    assert max(map(len, stream.getvalue().splitlines())) <= 40


def test_without_views_or_openings(result: DemoResult) -> None:
    out, stream = console(terminal=False)
    show_result(out, msgspec.structs.replace(result, views=[], openings=[]))
    assert "--record-view" in stream.getvalue()
    assert "nothing" in stream.getvalue()


def test_plain_progress_is_a_line_now_and_then() -> None:
    out, stream = console(terminal=False)
    clock = Clock()
    with LiveProgress(out, "secure training", clock=clock) as progress:
        shown: Progress = progress
        for step in range(1, 101):
            shown.update(step, 100, "training", 10 * step, 1_000_000 * step)
            clock.now += 0.5
    lines = stream.getvalue().splitlines()
    assert lines[0] == "secure training: step 1/100 · training · 10 rounds · 1.0 MB · – left"
    assert lines[1] == "secure training: step 11/100 · training · 110 rounds · 11.0 MB · 44 s left"
    assert lines[-1].startswith("secure training: step 100/100")
    assert len(lines) == 11
    assert "\x1b" not in stream.getvalue()


def test_live_progress_redraws_one_line_and_cleans_up() -> None:
    out, stream = console(terminal=True)
    clock = Clock()
    with pytest.raises(KeyboardInterrupt), LiveProgress(out, "secure training", clock=clock) as progress:
        progress.update(1, 10, "training", 1, 1)
        clock.now += 1
        progress.update(5, 10, "training", 1, 1)
        raise KeyboardInterrupt
    assert "step 5/10" in stream.getvalue()
    assert stream.getvalue().count("\x1b[?25h") == 1  # the cursor is back


def test_a_new_phase_starts_a_new_estimate() -> None:
    out, stream = console(terminal=False)
    clock = Clock()
    with LiveProgress(out, "run", clock=clock) as progress:
        progress.update(9, 10, "one", 0, 0)
        clock.now += 100
        progress.update(1, 10, "two", 0, 0)
        clock.now += 1
        progress.update(2, 10, "three", 0, 0)
    assert stream.getvalue().splitlines()[-1].endswith("8 s left")


@pytest.mark.parametrize(("seconds", "text"), [(-1, "0 s"), (59.4, "59 s"), (65, "1 min 05 s"), (7800, "2 h 10 min")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_line_of_boosted_trees(result: DemoResult) -> None:
    trees = TreesLine(20, 3, 16, 1402, 0.8491, 0.8582, 7.9, 0.05)
    out = Console(record=True, width=80, file=io.StringIO())
    show_result(out, msgspec.structs.replace(result, trees=trees))
    assert "20 boosted trees in 7.9 s: ROC AUC 0.8491" in out.export_text()
    assert "0.8582" in render_html(msgspec.structs.replace(result, trees=trees))
