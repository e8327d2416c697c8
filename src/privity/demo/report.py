"""A demo's HTML report: one file without scripts or links to load, so it can be mailed, archived and printed.

Every text that comes from outside (names of parties and columns, reasons, versions) is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from importlib import resources

from privity.demo import plots
from privity.demo.result import DemoResult, Gain
from privity.demo.story import how, parameters, story_of


def render_html(result: DemoResult) -> str:
    """A complete, self-contained HTML page about one run."""
    style = resources.files("privity.demo").joinpath("report.css").read_text(encoding="utf-8")
    sections = [
        _header(result),
        _happened(result),
        _quality(result),
        _gains(result),
        _agreement(result),
        _inference(result),
        _cost(result),
        _views(result),
        _openings(result),
        _limits(result),
        _footer(result),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # Nothing may be fetched, even if a text below ever slipped through unescaped.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>Privity: {_count(len(result.rows))} {story_of(result).owners}, one model</title>\n"
        f"<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{''.join(sections)}</main>\n</body>\n</html>\n"
    )


def size_text(count: int) -> str:
    """Bytes in the decimal unit that suits them."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e3:,.1f} kB" if count < 1_000_000 else f"{count / 1e6:,.1f} MB"


def shape_text(shape: Sequence[int]) -> str:
    """``one number``, ``29 numbers`` or ``2 × 47 numbers``."""
    return f"{' × '.join(map(str, shape))} numbers" if shape else "one number"


def receivers(result: DemoResult, to: Sequence[str]) -> str:
    """Who got it: ``all parties``, ``the hospitals``, or their names."""
    owners = {party.party for party in result.parties if party.role == "owner"}
    if result.parties and set(to) == {party.party for party in result.parties}:
        return "all parties"
    return f"the {story_of(result).owners}" if owners and set(to) == owners else ", ".join(to)


def summary_of_gains(gains: dict[str, Gain], owners: str = "banks") -> str:
    """One honest sentence: for which owners the interval excludes zero, and on which side."""
    better = [bank for bank, gain in gains.items() if gain.low > 0]
    worse = [bank for bank, gain in gains.items() if gain.high < 0]
    open_ = [bank for bank in gains if bank not in better and bank not in worse]
    parts = []
    if better:
        parts.append(f"{len(better)} of {len(gains)} {owners} clearly gain by joining ({', '.join(better)})")
    if open_:
        parts.append(f"for {', '.join(open_)} the hold-out shows no clear difference")
    if worse:
        parts.append(f"{', '.join(worse)} would do better alone")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "."


def _header(result: DemoResult) -> str:
    evaluation = result.evaluation
    mean = sum(gain.gain for gain in evaluation.auc_gain.values()) / len(evaluation.auc_gain)
    tiles = [
        ("ROC AUC, joint model", f"{evaluation.auc.joint:.4f}", f"centralised {evaluation.auc.centralised:.4f}"),
        (f"mean gain of a {story_of(result).owner}", f"{mean:+.4f}", "ROC AUC, joint − alone"),
        ("largest difference", f"{evaluation.max_coef_difference:.1e}", "of a coefficient to float64"),
        ("secure training", f"{result.train_wall_s:.1f} s", f"{result.slowdown:,.0f} × in the clear"),
    ]
    cells = "".join(
        f'<div><dt>{escape(label)}</dt><dd>{escape(value)}<span class="note">{escape(note)}</span></dd></div>'
        for label, value, note in tiles
    )
    story = story_of(result)
    headline = story.headline.format(count=_count(len(result.rows)).capitalize())
    return (
        f'<header>\n<p class="eyebrow">Privity · secure training report</p>\n'
        f"<h1>{escape(headline)}</h1>\n"
        f'<p class="soft">{escape(_date(result.date))} · {escape(result.machine)}</p>\n</header>\n'
        f'<p class="lead">{escape(summary_of_gains(evaluation.auc_gain, story.owners))} The ROC AUC of the secure '
        f"model and that of a model trained on pooled rows differ by "
        f"{evaluation.auc_difference_to_centralised:.1e}.</p>\n"
        f'<dl class="tiles">{cells}</dl>\n'
    )


def _happened(result: DemoResult) -> str:
    compute = [party.party for party in result.parties if party.role == "compute"]
    story = story_of(result)
    rows = _table(
        f"Rows per {story.owner} (public)",
        [story.owner, "rows", "share"],
        [
            [bank, f"{count:,}", f"{100 * count / max(1, sum(result.rows.values())):.1f} %"]
            for bank, count in result.rows.items()
        ],
    )
    return _section(
        "What happened",
        f"<p>Each {story.owner} read only its own file and split it into secret shares on its own premises. "
        f"{_count(len(compute)).capitalize()} compute parties ({escape(', '.join(compute))}) {escape(how(result))}, "
        f"on shares throughout. A common hold-out of "
        f"{result.holdout_rows:,} {story.people}, set aside before the split, measures the outcome.</p>"
        f"<p>Protocol: {escape(result.protocol)} Security: {escape(result.security)}</p>"
        f'<p class="soft">{escape(parameters(result))}</p>{rows}',
    )


def _quality(result: DemoResult) -> str:
    auc, precision = result.evaluation.auc, result.evaluation.average_precision
    owner = story_of(result).owner
    rows = [[f"{bank} alone", f"{auc.alone[bank]:.4f}", f"{precision.alone[bank]:.4f}"] for bank in auc.alone]
    rows.append(["joint, secure", f"{auc.joint:.4f}", f"{precision.joint:.4f}"])
    rows.append(["centralised, scikit-learn", f"{auc.centralised:.4f}", f"{precision.centralised:.4f}"])
    return _section(
        "Result on the hold-out",
        _figure(
            plots.metric_plot(auc, "ROC AUC", owner),
            "The scale does not start at zero. An AUC of 0.5 would be a coin toss.",
        )
        + _figure(
            plots.metric_plot(precision, "average precision", owner),
            "Average precision: how clean the riskiest part is.",
        )
        + _table(
            f"Each {owner}'s own model, the joint one and the centralised one",
            ["model", "ROC AUC", "average precision"],
            rows,
        )
        + _trees(result),
    )


def _trees(result: DemoResult) -> str:
    if result.trees is None:
        return ""
    t = result.trees
    rows = [
        ["boosted trees, on shares", f"{t.auc:.4f}", f"{t.wall_s:.1f} s"],
        ["boosted trees, scikit-learn on the pooled rows", f"{t.plain_auc:.4f}", f"{t.plain_wall_s:.2f} s"],
    ]
    return _table(
        f"{t.rounds} trees of depth {t.depth} on {t.bins} bins a column, judged on {t.left_out:,} rows of the "
        "training tables that were left out. Nothing of the trees was opened, only this AUC.",
        ["model", "ROC AUC", "seconds"],
        rows,
    )


def _gains(result: DemoResult) -> str:
    evaluation, story = result.evaluation, story_of(result)
    rows = [
        [bank, _gain(evaluation.auc_gain[bank]), _gain(evaluation.average_precision_gain[bank])]
        for bank in evaluation.auc_gain
    ]
    return _section(
        f"What each {story.owner} gains",
        "<p>A gain or loss is called clear if its 95 % interval excludes zero. "
        f"In ROC AUC: {escape(summary_of_gains(evaluation.auc_gain, story.owners))} In average precision: "
        f"{escape(summary_of_gains(evaluation.average_precision_gain, story.owners))}</p>"
        + _figure(
            plots.gain_plot(
                {"ROC AUC": evaluation.auc_gain, "average precision": evaluation.average_precision_gain}, story.owner
            ),
            "Joint − alone with paired 95 % bootstrap intervals. Hollow points: the interval contains zero.",
        )
        + _table("Gain and 95 % interval", [story.owner, "ROC AUC", "average precision"], rows),
    )


def _agreement(result: DemoResult) -> str:
    evaluation = result.evaluation
    rows = [
        [line.name, f"{line.secure:+.5f}", f"{line.plain:+.5f}", f"{line.secure - line.plain:+.1e}"]
        for line in evaluation.coefficients
    ]
    return _section(
        "Agreement with plain arithmetic",
        f"<p>The same fit in float64, on the same rows, reaches a ROC AUC of {evaluation.auc_same_loop:.4f} "
        f"(secure: {evaluation.auc.joint:.4f}). No coefficient differs by more than "
        f"{evaluation.max_coef_difference:.1e}: fixed-point rounding and the sigmoid's approximation.</p>"
        + _figure(plots.agreement_plot(evaluation.coefficients), "Coefficients on standardised features.")
        + "<details><summary>All coefficients</summary>"
        + _table("On standardised features", ["feature", "secure", "float64", "difference"], rows)
        + "</details>",
    )


def _inference(result: DemoResult) -> str:
    if not result.inference:
        return ""
    rows = [
        [
            line.name,
            f"{line.coefficient:+.4f}",
            f"{line.standard_error:.4f}",
            f"{line.z:+.3f}",
            _p_text(line.p),
            f"{line.odds_ratio:.3f} ({line.odds_ratio_low:.3f} to {line.odds_ratio_high:.3f})",
            f"{line.plain_z:+.3f}",
        ]
        for line in result.inference
    ]
    worst = max(abs(line.z - line.plain_z) / max(1.0, abs(line.plain_z)) for line in result.inference)
    metrics = [[name, f"{secure:.5f}", f"{plain:.5f}"] for name, (secure, plain) in result.on_shares.items()]
    return _section(
        "What speaks for and against",
        "<p>Coefficients with standard errors from the inverse of the information matrix, computed on shares and "
        "opened together; z, p and odds ratios follow in float64. The last column is statsmodels on the same rows in "
        f"the clear; no z statistic differs by more than {worst:.1e} of max(1, |z|).</p>"
        + _figure(
            plots.ratio_plot(result.inference),
            "Odds ratio for one standard deviation more of a column, with its 95 % interval, on a logarithmic scale. "
            "Right of 1: the outcome is more likely. Hollow points: the interval contains 1.",
        )
        + _table(
            "Per standard deviation of a column; odds ratios with their 95 % intervals",
            ["column", "coefficient", "std. error", "z", "p", "odds ratio", "z, statsmodels"],
            rows,
        )
        + (_table("The training rows, measured on shares", ["metric", "on shares", "in the clear"], metrics)),
    )


def _p_text(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else f"{p:.0e}"


def _cost(result: DemoResult) -> str:
    rows = [
        [party.party, party.role, f"{party.cpu_s:.2f}", size_text(party.bytes_sent), f"{party.rounds:,}"]
        for party in result.parties
    ]
    phases = _table(
        "Time",
        ["what", "seconds"],
        [
            ["secure training, wall", f"{result.train_wall_s:.2f}"],
            ["whole run with start and sharing, wall", f"{result.wall_s:.2f}"],
            ["CPU of all compute parties together", f"{result.cpu_s:.2f}"],
            ["the same fit in the clear, wall", f"{result.plain_wall_s:.4f}"],
        ],
    )
    if result.stages:
        phases += _table(
            "Sections of the program, at the first compute party",
            ["section", "rounds", "sent", "seconds"],
            [[s.name, f"{s.rounds:,}", size_text(s.bytes_sent), f"{s.wall_s:.2f}"] for s in result.stages],
        )
    plot = ""
    if result.parties:
        panels = {
            "CPU seconds": {party.party: party.cpu_s for party in result.parties},
            "megabytes sent": {party.party: party.bytes_sent / 1e6 for party in result.parties},
        }
        plot = _figure(plots.bar_plot("Cost per party", panels), "Bytes on the wire, with headers and tags.")
    return _section(
        "What it cost",
        f"<p>{result.rounds:,} rounds of messages; each compute party sent "
        f"{escape(', '.join(size_text(count) for count in result.bytes_sent))}. Kernels: {escape(result.kernels)}.</p>"
        + plot
        + _table("Per process", ["party", "role", "CPU s", "sent", "rounds"], rows)
        + phases,
    )


def _views(result: DemoResult) -> str:
    if not result.views:
        return _section("What each party saw", "<p>No view was recorded in this run (<code>--record-view</code>).</p>")
    rows = [
        [
            view.party,
            view.role,
            f"{view.messages:,}",
            size_text(view.bytes),
            f"{view.tested_messages:,}",
            "–" if view.smallest_p is None else f"{view.smallest_p:.2g}",
            "–" if view.p_after_correction is None else f"{view.p_after_correction:.2g}",
            view.verdict,
        ]
        for view in result.views
    ]
    return _section(
        "What each party saw",
        "<p>Every message that a party received, if it was long enough, was tested for uniformly distributed bytes. "
        "A small corrected p would mean that some message can be told from noise.</p>"
        + _table(
            "Views",
            ["party", "role", "messages", "size", "tested", "smallest p", "corrected p", "verdict"],
            rows,
        )
        + '<p class="soft">Such a test finds unmasked data. It cannot find a mask used twice, or a message that is '
        "uniform alone and telling beside another one: for that, the protocols' joint views are enumerated exactly in "
        "Privity's own tests.</p>",
    )


def _openings(result: DemoResult) -> str:
    rows = [
        [line.name, shape_text(line.shape), receivers(result, line.to), f"{line.count}", line.reason]
        for line in result.openings
    ]
    return _section(
        "What was opened",
        "<p>This is the ledger's full list. Whatever is not on it stayed secret-shared.</p>"
        + _table("Openings", ["name", "shape", "to", "times", "reason"], rows),
    )


def _limits(result: DemoResult) -> str:
    story = story_of(result)
    points = [
        f"An interval shows how the gain would vary with other {story.people} in the hold-out. It does not cover other "
        f"training rows, and the two intervals per {story.owner} are not corrected for their number.",
        "“Centralised” and “float64” need everybody's rows in one place. This demonstration can compute them because "
        "the data are public; a real consortium could not.",
        f"The opened coefficients are a function of all {story.owners}' rows and say something about them in total. "
        "No noise for differential privacy was added.",
        "Names of columns, their bounds, row counts, batches and hyper-parameters are public to all parties.",
        "All parties ran on one machine over its loopback: bytes and rounds carry over to a network, times do not.",
        *story.limits,
        f"Security holds only under the protocol's assumption: {result.security}",
    ]
    items = "".join(f"<li>{escape(point)}</li>" for point in points)
    return _section("How to read this, and its limits", f"<ul>{items}</ul>")


def _footer(result: DemoResult) -> str:
    versions = " · ".join(f"{name} {version}" for name, version in result.versions.items())
    return (
        f"<footer><p>{escape(versions)}</p><p>Data: {escape(story_of(result).data)}. "
        "All figures stand in <code>result.json</code> beside this page.</p></footer>\n"
    )


def _section(title: str, body: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n{body}\n</section>\n"


def _figure(plot: str, caption: str) -> str:
    return f"<figure>{plot}<figcaption>{escape(caption)}</figcaption></figure>\n"


def _table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are text and are escaped here; columns that hold only figures are set to the right."""
    right = [bool(rows) and column > 0 and all(_is_figure(row[column]) for row in rows) for column in range(len(head))]
    marks = [' class="number"' if mark else "" for mark in right]
    header = "".join(f'<th scope="col"{mark}>{escape(cell)}</th>' for cell, mark in zip(head, marks, strict=True))
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td{mark}>{escape(cell)}</td>" for cell, mark in zip(row[1:], marks[1:], strict=True))
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table><caption>{escape(caption)}</caption><thead><tr>{header}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>\n"
    )


def _is_figure(cell: str) -> bool:
    return cell[:1] in "+-−–0123456789" and " × " not in cell


def _gain(gain: Gain) -> str:
    return f"{gain.gain:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"


def _date(text: str) -> str:
    """ISO 8601 as people read it; anything else as it is."""
    try:
        return datetime.fromisoformat(text).strftime("%-d %B %Y, %H:%M %Z").strip()
    except ValueError:
        return text


def _count(number: int) -> str:
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    return words[number] if number < len(words) else str(number)
