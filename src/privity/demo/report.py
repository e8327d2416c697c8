"""The banks demo's HTML report: one file without scripts or links to load, so it can be mailed, archived and printed.

Every text that comes from outside (names of parties and columns, reasons, versions) is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from importlib import resources

from privity.demo import plots
from privity.demo.result import BanksResult, Gain


def render_html(result: BanksResult) -> str:
    """A complete, self-contained HTML page about one run."""
    style = resources.files("privity.demo").joinpath("report.css").read_text(encoding="utf-8")
    sections = [
        _header(result),
        _happened(result),
        _quality(result),
        _gains(result),
        _agreement(result),
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
        f"<title>Privity: {_count(len(result.rows))} banks, one model</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{''.join(sections)}</main>\n</body>\n</html>\n"
    )


def size_text(count: int) -> str:
    """Bytes in the decimal unit that suits them."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e3:,.1f} kB" if count < 1_000_000 else f"{count / 1e6:,.1f} MB"


def summary_of_gains(gains: dict[str, Gain]) -> str:
    """One honest sentence: for which banks the interval excludes zero, and on which side."""
    better = [bank for bank, gain in gains.items() if gain.low > 0]
    worse = [bank for bank, gain in gains.items() if gain.high < 0]
    open_ = [bank for bank in gains if bank not in better and bank not in worse]
    parts = []
    if better:
        parts.append(f"{len(better)} of {len(gains)} banks clearly gain by joining ({', '.join(better)})")
    if open_:
        parts.append(f"for {', '.join(open_)} the hold-out shows no clear difference")
    if worse:
        parts.append(f"{', '.join(worse)} would do better alone")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "."


def _header(result: BanksResult) -> str:
    evaluation = result.evaluation
    mean = sum(gain.gain for gain in evaluation.auc_gain.values()) / len(evaluation.auc_gain)
    tiles = [
        ("ROC AUC, joint model", f"{evaluation.auc.joint:.4f}", f"centralised {evaluation.auc.centralised:.4f}"),
        ("mean gain of a bank", f"{mean:+.4f}", "ROC AUC, joint − alone"),
        ("largest difference", f"{evaluation.max_coef_difference:.1e}", "of a coefficient to float64"),
        ("secure training", f"{result.train_wall_s:.1f} s", f"{result.slowdown:,.0f} × plain NumPy"),
    ]
    cells = "".join(
        f'<div><dt>{escape(label)}</dt><dd>{escape(value)}<span class="note">{escape(note)}</span></dd></div>'
        for label, value, note in tiles
    )
    banks = _count(len(result.rows))
    return (
        f'<header>\n<p class="eyebrow">Privity · secure training report</p>\n'
        f"<h1>{banks.capitalize()} banks train one model, and none sees another's customers</h1>\n"
        f'<p class="soft">{escape(_date(result.date))} · {escape(result.machine)}</p>\n</header>\n'
        f'<p class="lead">{escape(summary_of_gains(evaluation.auc_gain))} The ROC AUC of the secure model and '
        f"that of a model trained on pooled rows differ by {evaluation.auc_difference_to_centralised:.5f}.</p>\n"
        f'<dl class="tiles">{cells}</dl>\n'
    )


def _happened(result: BanksResult) -> str:
    compute = [party.party for party in result.parties if party.role == "compute"]
    training = result.training
    rows = _table(
        "Rows per bank (public)",
        ["bank", "rows", "share"],
        [
            [bank, f"{count:,}", f"{100 * count / max(1, sum(result.rows.values())):.1f} %"]
            for bank, count in result.rows.items()
        ],
    )
    return _section(
        "What happened",
        f"<p>Each bank read only its own file and split it into secret shares on its own premises. "
        f"{_count(len(compute)).capitalize()} compute parties ({escape(', '.join(compute))}) standardised the "
        f"{sum(result.rows.values()):,} rows and {result.features} features jointly and trained a logistic regression "
        f"with {result.steps} steps of mini-batch gradient descent, on shares throughout. A common hold-out of "
        f"{result.holdout_rows:,} customers, set aside before the split, measures the outcome.</p>"
        f"<p>Protocol: {escape(result.protocol)} Security: {escape(result.security)}</p>"
        f'<p class="soft">{training.epochs} epochs, batch {training.batch:,}, learning rate {training.learning_rate:g} '
        f"falling to {training.final_learning_rate:g}, L2 {training.l2:g}, class weights "
        f"{training.class_weight[0]:g} and {training.class_weight[1]:g}, order of the rows from seed {training.seed}."
        f"</p>{rows}",
    )


def _quality(result: BanksResult) -> str:
    auc, precision = result.evaluation.auc, result.evaluation.average_precision
    rows = [[bank, f"{auc.alone[bank]:.4f}", f"{precision.alone[bank]:.4f}"] for bank in auc.alone]
    rows.append(["joint, secure", f"{auc.joint:.4f}", f"{precision.joint:.4f}"])
    rows.append(["centralised, scikit-learn", f"{auc.centralised:.4f}", f"{precision.centralised:.4f}"])
    return _section(
        "Result on the hold-out",
        _figure(
            plots.metric_plot(auc, "ROC AUC"), "The scale does not start at zero. An AUC of 0.5 would be a coin toss."
        )
        + _figure(
            plots.metric_plot(precision, "average precision"), "Average precision: how clean the riskiest part is."
        )
        + _table(
            "Each bank's own model, the joint one and the centralised one",
            ["model", "ROC AUC", "average precision"],
            rows,
        ),
    )


def _gains(result: BanksResult) -> str:
    evaluation = result.evaluation
    rows = [
        [bank, _gain(evaluation.auc_gain[bank]), _gain(evaluation.average_precision_gain[bank])]
        for bank in evaluation.auc_gain
    ]
    return _section(
        "What each bank gains",
        "<p>A gain or loss is called clear if its 95 % interval excludes zero. "
        f"In ROC AUC: {escape(summary_of_gains(evaluation.auc_gain))} In average precision: "
        f"{escape(summary_of_gains(evaluation.average_precision_gain))}</p>"
        + _figure(
            plots.gain_plot({"ROC AUC": evaluation.auc_gain, "average precision": evaluation.average_precision_gain}),
            "Joint − alone with paired 95 % bootstrap intervals. Hollow points: the interval contains zero.",
        )
        + _table("Gain and 95 % interval", ["bank", "ROC AUC", "average precision"], rows),
    )


def _agreement(result: BanksResult) -> str:
    evaluation = result.evaluation
    rows = [
        [line.name, f"{line.secure:+.5f}", f"{line.plain:+.5f}", f"{line.secure - line.plain:+.1e}"]
        for line in evaluation.coefficients
    ]
    return _section(
        "Agreement with plain arithmetic",
        f"<p>The same loop in float64, on the same batches, reaches a ROC AUC of {evaluation.auc_same_loop:.4f} "
        f"(secure: {evaluation.auc.joint:.4f}). No coefficient differs by more than "
        f"{evaluation.max_coef_difference:.1e}: fixed-point rounding and the sigmoid's approximation.</p>"
        + _figure(plots.agreement_plot(evaluation.coefficients), "Coefficients on standardised features.")
        + "<details><summary>All coefficients</summary>"
        + _table("On standardised features", ["feature", "secure", "float64", "difference"], rows)
        + "</details>",
    )


def _cost(result: BanksResult) -> str:
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
            ["the same loop in NumPy, wall", f"{result.plain_wall_s:.4f}"],
        ],
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


def _views(result: BanksResult) -> str:
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


def _openings(result: BanksResult) -> str:
    rows = [
        [line.name, " × ".join(map(str, line.shape)) or "scalar", ", ".join(line.to), f"{line.count}", line.reason]
        for line in result.openings
    ]
    return _section(
        "What was opened",
        "<p>This is the ledger's full list. Whatever is not on it stayed secret-shared.</p>"
        + _table("Openings", ["name", "shape", "to", "times", "reason"], rows),
    )


def _limits(result: BanksResult) -> str:
    points = [
        "An interval shows how the gain would vary with other customers in the hold-out. It does not cover other "
        "training rows, and the two intervals per bank are not corrected for their number.",
        "“Centralised” and “float64” need everybody's rows in one place. This demonstration can compute them because "
        "the data are public; a real consortium could not.",
        "The opened coefficients are a function of all banks' rows and say something about them in total. No noise for "
        "differential privacy was added.",
        "Names of columns, their bounds, row counts, batches and hyper-parameters are public to all parties.",
        "All parties ran on one machine over its loopback: bytes and rounds carry over to a network, times do not.",
        f"Security holds only under the protocol's assumption: {result.security}",
    ]
    items = "".join(f"<li>{escape(point)}</li>" for point in points)
    return _section("How to read this, and its limits", f"<ul>{items}</ul>")


def _footer(result: BanksResult) -> str:
    versions = " · ".join(f"{name} {version}" for name, version in result.versions.items())
    return (
        f"<footer><p>{escape(versions)}</p><p>Data: I-Cheng Yeh, Default of Credit Card Clients, UCI Machine Learning "
        "Repository (2009), CC BY 4.0. All figures stand in <code>result.json</code> beside this page.</p></footer>\n"
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
