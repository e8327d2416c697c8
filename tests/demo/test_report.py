"""The HTML report: complete, self-contained, well-formed, escaped and honest in words."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import msgspec
import pytest

from privity.demo.plots import agreement_plot, bar_plot, gain_plot, metric_plot, ratio_plot
from privity.demo.report import render_html, size_text, summary_of_gains
from privity.demo.result import Coefficient, DemoResult, Gain, InferenceLine, Metric, OpeningLine, read_result

VOID = {"meta"}
EMPTY_SVG = {"line", "circle", "rect"}


class Checker(HTMLParser):
    """Tags must nest; collects tags and attribute values."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in EMPTY_SVG
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag


def checked(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    assert checker.stack == []
    return checker


def test_is_complete_and_self_contained(result: DemoResult) -> None:
    page = render_html(result)
    found = checked(page)
    assert "script" not in found.tags
    assert found.links == []
    assert "url(" not in page
    assert "@import" not in page
    assert found.tags.count("svg") == found.tags.count("desc") == 5
    for words in ("What happened", "What each bank gains", "What it cost", "What was opened", "limits"):
        assert words in page
    for bank in result.rows:
        assert page.count(bank) > 5
    assert "NaN" not in page
    assert "23 November 2026" in page


def test_everything_from_outside_is_escaped(result: DemoResult) -> None:
    nasty = '<img src=x onerror="alert(1)">'
    renamed = {nasty if name == "bank_a" else name: gain for name, gain in result.evaluation.auc_gain.items()}
    metric = Metric({name: 0.7 for name in renamed}, 0.75, 0.76)
    evaluation = msgspec.structs.replace(
        result.evaluation,
        auc=metric,
        average_precision=metric,
        auc_gain=renamed,
        average_precision_gain=renamed,
        coefficients=[Coefficient(nasty, 0.1, 0.2)],
    )
    page = render_html(
        msgspec.structs.replace(
            result,
            evaluation=evaluation,
            rows={nasty: 1},
            openings=[OpeningLine(nasty, (), (nasty,), nasty)],
            views=[msgspec.structs.replace(result.views[0], party=nasty, verdict=nasty)],
            parties=[msgspec.structs.replace(result.parties[0], party=nasty)],
            protocol=nasty,
            security=nasty,
            kernels=nasty,
            machine=nasty,
            date=nasty,
            versions={nasty: nasty},
        )
    )
    assert "<img" not in page
    assert "img" not in checked(page).tags
    assert page.count("&lt;img") > 15


def test_a_model_with_standard_errors_has_its_section(hospitals_result: DemoResult) -> None:
    page = render_html(hospitals_result)
    found = checked(page)
    assert found.tags.count("svg") == found.tags.count("desc") == 6
    for words in ("Three hospitals fit one model", "the 5,608 patients in common", "Odds ratio", "z, statsmodels"):
        assert words in page
    line = hospitals_result.inference[1]
    assert f"{line.odds_ratio:.3f} ({line.odds_ratio_low:.3f} to {line.odds_ratio_high:.3f})" in page
    assert "linking patients" in page and "0.86075" in page and "all parties" in page and "the hospitals" in page
    assert not re.search(r"[{}]", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)), "an unfilled placeholder"
    assert "banks" not in page


def test_column_names_are_escaped_wherever_they_stand(hospitals_result: DemoResult) -> None:
    nasty = '<b onclick="x">&'
    lines = [msgspec.structs.replace(hospitals_result.inference[0], name=nasty)]
    page = render_html(msgspec.structs.replace(hospitals_result, inference=lines, on_shares={nasty: (0.5, 0.5)}))
    assert nasty not in page
    assert "b" not in checked(page).tags
    assert page.count("&lt;b onclick") >= 4  # in the plot twice, in its description, in the tables


def test_without_views_it_says_so(result: DemoResult) -> None:
    page = render_html(msgspec.structs.replace(result, views=[], parties=[], openings=[]))
    checked(page)
    assert "--record-view" in page


def test_words_about_gains_are_careful() -> None:
    gains = {"a": Gain(0.02, 0.01, 0.03), "b": Gain(0.001, -0.01, 0.01), "c": Gain(-0.02, -0.03, -0.01)}
    text = summary_of_gains(gains)
    assert text == (
        "1 of 3 banks clearly gain by joining (a); for b the hold-out shows no clear difference; "
        "c would do better alone."
    )
    assert summary_of_gains({"b": gains["b"]}) == "For b the hold-out shows no clear difference."


@pytest.mark.parametrize(
    "plot",
    [
        metric_plot(Metric({"a": 0.7}, 0.7, 0.7), "ROC AUC"),
        gain_plot({"ROC AUC": {"a": Gain(0.0, 0.0, 0.0)}}),
        agreement_plot([Coefficient("a", 0.0, 0.0)]),
        bar_plot("Cost", {"bytes": {"a": 0.0, "b": 0.0}}),
        ratio_plot([InferenceLine.of("a", 0.0, 1e-9, 0.0, 1.0)]),
        ratio_plot([InferenceLine.of("a", 30.0, 1.0, 0.0, 1.0), InferenceLine.of("b", -30.0, 1.0, 0.0, 1.0)]),
    ],
)
def test_plots_of_nothing_are_still_plots(plot: str) -> None:
    checked(plot)
    assert "nan" not in plot
    numbers = re.findall(r'\b(?:x|x1|x2|cx|width)="(-?[0-9.]+)"', plot)
    assert numbers
    assert all(-1 <= float(number) <= 761 for number in numbers)


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2_500_000, "2.5 MB")])
def test_sizes(count: int, text: str) -> None:
    assert size_text(count) == text


def test_the_json_has_the_promised_fields_and_comes_back(result: DemoResult) -> None:
    mapping = msgspec.json.decode(result.to_json())
    for name in ("auc", "average_precision"):
        assert set(mapping[name]) == {"alone", "joint", "centralised"}
    promised = ("max_coef_difference", "train_wall_s", "wall_s", "cpu_s", "bytes_sent", "rounds", "plain_wall_s")
    assert all(name in mapping for name in promised)
    assert len(mapping["bytes_sent"]) == 3
    assert mapping["slowdown"] == pytest.approx(4.21 / 0.048)
    assert read_result(result.to_json()) == result
