"""Plots for the HTML report: small, hand-written SVG that follows the page's colours, light or dark, screen or paper.

Colours come from the page's style sheet through classes, so a plot is only geometry and text. Each plot has a title and
a description for screen readers; the same numbers stand in a table beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

from privity.demo.result import Coefficient, Gain, InferenceLine, Metric

_WIDTH = 760
_ROW = 30
_LEFT = 130
_RIGHT = 24
_TOP = 34
_BOTTOM = 46
_LONGEST_LABEL = 27
"""Letters of a column's name that fit beside a plot."""


class _Axis:
    """Maps values to horizontal pixels, with round ticks."""

    def __init__(self, low: float, high: float, left: float, right: float, ticks: int = 6) -> None:
        if high <= low:
            low, high = low - 0.5, high + 0.5
        self._step = _round_step((high - low) / ticks)
        self._first = math.floor(low / self._step + 1e-9)
        self._last = math.ceil(high / self._step - 1e-9)
        self._left, self._right = left, right

    def __call__(self, value: float) -> float:
        low, high = self._first * self._step, self._last * self._step
        return self._left + (value - low) / (high - low) * (self._right - self._left)

    def ticks(self) -> list[tuple[float, str]]:
        digits = max(0, -math.floor(math.log10(self._step) + 1e-9))
        return [(self(value), f"{value:,.{digits}f}".replace("-", "−")) for value in self._values()]

    def _values(self) -> list[float]:
        return [index * self._step for index in range(self._first, self._last + 1)]

    def grid(self, top: float, bottom: float, label: str, shown: Callable[[float], str] | None = None) -> str:
        """Lines and ticks; ``shown``: what to write at a value, if not the value itself."""
        texts = self.ticks()
        if shown is not None:
            texts = [(self(value), shown(value)) for value in self._values()]
        lines = "".join(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'
            f'<text class="tick" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{text}</text>'
            for x, text in texts
        )
        middle = (self._left + self._right) / 2
        return (
            lines + f'<text class="axis" x="{middle:.1f}" y="{bottom + 36}" text-anchor="middle">{escape(label)}</text>'
        )


def metric_plot(metric: Metric, label: str, owner: str = "bank") -> str:
    """For each owner a line from what it reaches alone to what the joint model reaches, and the centralised optimum."""
    values = [*metric.alone.values(), metric.joint, metric.centralised]
    axis = _Axis(min(values) - 0.001, max(values) + 0.001, _LEFT, _WIDTH - _RIGHT)
    bottom = _TOP + _ROW * len(metric.alone)
    body = [axis.grid(_TOP, bottom, label)]
    middle = axis(metric.centralised)
    body.append(f'<line class="reference" x1="{middle:.1f}" x2="{middle:.1f}" y1="{_TOP}" y2="{bottom}"/>')
    for index, (bank, value) in enumerate(metric.alone.items()):
        y = _TOP + _ROW * (index + 0.5)
        start, end = axis(value), axis(metric.joint)
        body.append(_row_label(bank, y))
        body.append(f'<line class="span" x1="{start:.1f}" x2="{end:.1f}" y1="{y}" y2="{y}"/>')
        body.append(f'<circle class="alone" cx="{start:.1f}" cy="{y}" r="5.5"/>')
        body.append(f'<circle class="joint" cx="{end:.1f}" cy="{y}" r="5.5"/>')
    marks = [("alone", f"{owner} alone"), ("joint", "joint, secure"), ("reference", "centralised, scikit-learn")]
    legend = _legend(marks)
    described = "; ".join(f"{bank} {value:.4f}" for bank, value in metric.alone.items())
    description = f"Alone: {described}. Joint: {metric.joint:.4f}. Centralised: {metric.centralised:.4f}."
    return _svg(f"{label}: alone, joint and centralised", description, bottom + _BOTTOM, [legend, *body])


def gain_plot(panels: Mapping[str, Mapping[str, Gain]], owner: str = "bank") -> str:
    """Gains with 95 % intervals, one panel per measure, on one common scale."""
    gains = [gain for panel in panels.values() for gain in panel.values()]
    low, high = min(0.0, *(gain.low for gain in gains)), max(0.0, *(gain.high for gain in gains))
    banks = list(next(iter(panels.values())))
    bottom = _TOP + _ROW * len(banks)
    gap = 44.0
    width = (_WIDTH - _LEFT - _RIGHT - gap * (len(panels) - 1)) / len(panels)
    body = [_row_label(bank, _TOP + _ROW * (index + 0.5)) for index, bank in enumerate(banks)]
    description = []
    for number, (label, panel) in enumerate(panels.items()):
        left = _LEFT + number * (width + gap)
        axis = _Axis(low, high, left, left + width, ticks=4)
        body.append(axis.grid(_TOP, bottom, f"gain in {label}"))
        body.append(f'<line class="zero" x1="{axis(0):.1f}" x2="{axis(0):.1f}" y1="{_TOP}" y2="{bottom}"/>')
        body.append(f'<text class="panel" x="{left:.1f}" y="{_TOP - 12}">{escape(label)}</text>')
        for index, bank in enumerate(banks):
            gain = panel[bank]
            y = _TOP + _ROW * (index + 0.5)
            kind = "sure" if gain.low > 0 or gain.high < 0 else "unsure"
            start, end = axis(gain.low), axis(gain.high)
            body.append(f'<line class="interval {kind}" x1="{start:.1f}" x2="{end:.1f}" y1="{y}" y2="{y}"/>')
            body.extend(
                f'<line class="cap {kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 5}" y2="{y + 5}"/>' for x in (start, end)
            )
            body.append(f'<circle class="point {kind}" cx="{axis(gain.gain):.1f}" cy="{y}" r="5"/>')
            description.append(f"{bank}, {label}: {gain.gain:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})")
    return _svg(f"Gain of each {owner} from joining", "; ".join(description) + ".", bottom + _BOTTOM, body)


def agreement_plot(coefficients: Sequence[Coefficient]) -> str:
    """Left: secure against float64 coefficients with the diagonal. Right: their differences, magnified."""
    size, top = 250.0, _TOP
    values = [value for line in coefficients for value in (line.secure, line.plain)]
    across = _Axis(min(values), max(values), 60, 60 + size, ticks=5)
    up = _Axis(min(values), max(values), top + size, top, ticks=5)
    body = [across.grid(top, top + size, "same fit in float64")]
    for y, text in up.ticks():
        body.append(f'<line class="grid" x1="60" x2="{60 + size}" y1="{y:.1f}" y2="{y:.1f}"/>')
        body.append(f'<text class="tick" x="52" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    body.append(f'<line class="reference" x1="60" y1="{top + size}" x2="{60 + size}" y2="{top}"/>')
    body.append(f'<text class="panel" x="60" y="{top - 12}">coefficients, secure (up) against float64</text>')
    body.extend(
        f'<circle class="small" cx="{across(line.plain):.1f}" cy="{up(line.secure):.1f}" r="4">'
        f"<title>{escape(line.name)}</title></circle>"
        for line in coefficients
    )
    differences = [line.secure - line.plain for line in coefficients]
    largest = max((abs(difference) for difference in differences), default=0.0)
    exponent = math.floor(math.log10(largest)) if largest > 0 else 0
    unit = 10.0**exponent
    left, right = 400.0, float(_WIDTH - _RIGHT)
    axis = _Axis(-largest / unit, largest / unit, left, right, ticks=4)
    body.append(axis.grid(top, top + size, f"difference, in units of {_power(exponent)}"))
    body.append(f'<line class="zero" x1="{axis(0):.1f}" x2="{axis(0):.1f}" y1="{top}" y2="{top + size}"/>')
    body.append(f'<text class="panel" x="{left}" y="{top - 12}">secure − float64, one line per coefficient</text>')
    for index, (line, difference) in enumerate(zip(coefficients, differences, strict=True)):
        y = top + size * (index + 0.5) / len(coefficients)
        x = axis(difference / unit)
        body.append(f'<line class="stem" x1="{axis(0):.1f}" x2="{x:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        body.append(
            f'<circle class="small" cx="{x:.1f}" cy="{y:.1f}" r="3.5"><title>{escape(line.name)}</title></circle>'
        )
    description = f"{len(coefficients)} coefficients; the largest difference is {largest:.2e}."
    return _svg("Agreement of secure and plain coefficients", description, int(top + size) + _BOTTOM, body)


def ratio_plot(lines: Sequence[InferenceLine]) -> str:
    """Odds ratios with their 95 % intervals, one row a coefficient (the intercept is left out), logarithmic."""
    shown = [line for line in lines if line.name != "(intercept)"]
    reach = [math.log2(v) for line in shown for v in (line.odds_ratio_low, line.odds_ratio_high)]
    row, left = 17, 190
    bottom = _TOP + row * len(shown)
    axis = _Axis(min([*reach, 0.0]), max([*reach, 0.0]), left, _WIDTH - _RIGHT)
    body = [axis.grid(_TOP, bottom, "odds ratio", lambda value: f"{2.0**value:.2g}")]
    body.append(f'<line class="zero" x1="{axis(0):.1f}" x2="{axis(0):.1f}" y1="{_TOP}" y2="{bottom}"/>')
    description = []
    for index, line in enumerate(shown):
        y = _TOP + row * (index + 0.5)
        kind = "sure" if line.odds_ratio_low > 1 or line.odds_ratio_high < 1 else "unsure"
        start, end = axis(math.log2(line.odds_ratio_low)), axis(math.log2(line.odds_ratio_high))
        name = line.name if len(line.name) <= _LONGEST_LABEL else line.name[: _LONGEST_LABEL - 1] + "…"
        body.append(f'<text class="tick" x="{left - 12}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>')
        body.append(f'<line class="interval {kind}" x1="{start:.1f}" x2="{end:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        body.append(
            f'<circle class="point {kind}" cx="{axis(math.log2(line.odds_ratio)):.1f}" cy="{y:.1f}" r="4">'
            f"<title>{escape(line.name)}: {line.odds_ratio:.3f}</title></circle>"
        )
        description.append(f"{line.name}: {line.odds_ratio:.3f}")
    return _svg("Odds ratios", "; ".join(description) + ".", bottom + _BOTTOM, body)


def bar_plot(title: str, panels: Mapping[str, Mapping[str, float]]) -> str:
    """Horizontal bars from zero, one panel per quantity (its label holds the unit), one bar per party."""
    parties = list(next(iter(panels.values())))
    row = 24
    bottom = _TOP + row * len(parties)
    gap = 44.0
    width = (_WIDTH - _LEFT - _RIGHT - gap * (len(panels) - 1)) / len(panels)
    body = [_row_label(party, _TOP + row * (index + 0.5)) for index, party in enumerate(parties)]
    description = []
    for number, (label, panel) in enumerate(panels.items()):
        left = _LEFT + number * (width + gap)
        axis = _Axis(0.0, max(panel.values()), left, left + width, ticks=4)
        body.append(axis.grid(_TOP, bottom, label))
        for index, party in enumerate(parties):
            y = _TOP + row * index + 5
            length = max(axis(panel[party]) - left, 0.0)
            body.append(f'<rect class="bar" x="{left:.1f}" y="{y}" width="{length:.1f}" height="{row - 10}" rx="2"/>')
            description.append(f"{party}: {panel[party]:.3g} ({label})")
    return _svg(title, "; ".join(description) + ".", bottom + _BOTTOM, body)


def _svg(title: str, description: str, height: int, body: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{''.join(body)}</svg>"
    )


def _row_label(text: str, y: float) -> str:
    return f'<text class="row" x="{_LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(text)}</text>'


def _legend(entries: Sequence[tuple[str, str]]) -> str:
    x = float(_LEFT)
    parts = []
    for kind, text in entries:
        if kind == "reference":
            parts.append(f'<line class="reference" x1="{x - 5}" x2="{x + 9}" y1="14" y2="14"/>')
        else:
            parts.append(f'<circle class="{kind}" cx="{x}" cy="14" r="5.5"/>')
        parts.append(f'<text class="tick" x="{x + 14}" y="18">{escape(text)}</text>')
        x += 40 + 7 * len(text)
    return "".join(parts)


def _round_step(raw: float) -> float:
    magnitude = 10.0 ** math.floor(math.log10(raw))
    return next((factor * magnitude for factor in (1.0, 2.0, 5.0) if factor * magnitude >= raw), 10.0 * magnitude)


def _power(exponent: int) -> str:
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
