"""The command line for people: it builds everything and wires it together."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, NoReturn, cast, get_args

import msgspec
import typer
from rich.console import Console

from .data.key_file import csv_column, read_keys
from .data.keys import STEPS
from .data.load import load_schemas, table_info
from .data.shapes import Size, planned_inputs, read_size
from .demo.screen import LiveProgress
from .ending import ended
from .errors import ConfigError, PrivityError
from .jobs.comparisons import Comparisons
from .jobs.consortium import Consortium, Role, load_consortium
from .jobs.files import check_writable, write_outputs
from .jobs.founding import CERTIFICATES, FOR_TRYING_OUT, init_consortium, make_key
from .jobs.intersection import IntersectionReport, IntersectionTask, run_intersection
from .jobs.job import JobSpec, LinkSpec, load_job
from .jobs.key_counts import KeySet
from .jobs.launch import party_arguments
from .jobs.local import (
    PartyFailed,
    run_local,
    write_reports,
)
from .jobs.program import read_program
from .jobs.run import PartyReport
from .jobs.view import forget
from .net.tls import listen
from .party_process import make_task, run_here
from .psi import BOTH
from .ring import kernels

app = typer.Typer(
    help="Train and evaluate models on data that nobody may show to anybody else.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
consortium_app = typer.Typer(help="Parties, endpoints and certificates.", no_args_is_help=True)
demo_app = typer.Typer(help="Complete runs on real data, all parties on this machine.", no_args_is_help=True)
app.add_typer(consortium_app, name="consortium")
app.add_typer(demo_app, name="demo")

_SHOWN = 400  # characters of an output that the terminal shows
_STEP_NAMES = {"lower": "casefold"}  # what people also call a step of normalisation

ProgramArgument = Annotated[Path, typer.Argument(help="Python file with a function program(session).")]
ConsortiumOption = Annotated[Path, typer.Option("--consortium", "-c", help="Consortium file.")]
JobOption = Annotated[Path | None, typer.Option("--job", help="Job file; default: PROGRAM with the ending .toml.")]
OutOption = Annotated[Path | None, typer.Option("--out", "-o", help="Folder for each party's report.json.")]
RecordOption = Annotated[bool, typer.Option("--record-view", help="Keep all that each party receives (in --out).")]
StartOption = Annotated[
    float, typer.Option("--start-timeout", help="Seconds for all parties to come.", min=0.1, max=1e6)
]
IdleOption = Annotated[
    float, typer.Option("--timeout", help="Seconds to wait for a party without a sign of life.", min=0.1, max=1e6)
]
TableOption = Annotated[list[str], typer.Option("--table", help="NAME=FILE: a table of this party (with --party).")]
ArrayOption = Annotated[list[str], typer.Option("--array", help="NAME=FILE.npy: an array of it (with --party).")]
TraceOption = Annotated[Path | None, typer.Option("--trace", help="Folder for what each line of the program cost.")]
StoreOption = Annotated[
    Path | None, typer.Option("--store", help="Folder where each party keeps shares that outlive the run.")
]
PlanOption = Annotated[
    bool, typer.Option("--plan/--no-plan", help="Plan first: refuse what cannot work before anything is shared.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON only.")]
DemoOutOption = Annotated[Path, typer.Option("--out", "-o", help="Folder for the report, result.json and data.")]
DemoRecordOption = Annotated[bool, typer.Option(help="Record and examine what each party saw.")]


@app.command()
def run(
    program: ProgramArgument,
    consortium: ConsortiumOption = Path("consortium.toml"),
    job: JobOption = None,
    party: Annotated[str | None, typer.Option(help="Run only this party (the others run on their own hosts).")] = None,
    table: TableOption = [],  # noqa: B006
    array: ArrayOption = [],  # noqa: B006
    out: OutOption = None,
    record_view: RecordOption = False,
    trace: TraceOption = None,
    store: StoreOption = None,
    start_timeout: StartOption = 30.0,
    timeout: IdleOption = 60.0,
    plan: PlanOption = True,
    json: JsonOption = False,
) -> None:
    """Run a program with all parties whose keys are here, or with --party as one of them."""
    console = Console(stderr=True)
    group = load_consortium(consortium)
    if record_view and out is None:
        raise ConfigError("--record-view needs --out: the folder that takes the views")
    if party is None and (table or array):
        raise ConfigError(
            "--table and --array say what one party brings, so they need --party NAME; for all parties at once name "
            f"the files in {consortium} under [party.tables] or [party.arrays]"
        )
    for folder in (out, trace, store):
        if folder is not None:
            check_writable(folder)
    progress = LiveProgress(console, program.stem)

    def keep(kept: Mapping[str, PartyReport]) -> None:
        _keep_failed(console, kept, out)

    if party is not None:
        task = make_task(
            program, group, job, party, table, array, start_timeout, timeout, trace, store, here=1 if plan else None
        )
        with progress, redirect_stdout(sys.stderr if json else sys.stdout):  # the program may print; JSON stays alone
            task = replace(task, failed=lambda report: keep({report.party: report}))
            reports = {party: run_here(task, _listen_here(group, party), out if record_view else None, progress)}
    else:
        here = [p.name for p in group.parties if p.key_path is not None]
        missing = [p.name for p in group.parties if p.key_path is None]
        if missing:
            raise ConfigError(
                f"{consortium}: no key here for {', '.join(missing)}; run each party on its own host with --party NAME"
            )
        # find mistakes once and here, before many processes find them
        make_task(program, group, job, here[0], [], [], start_timeout, timeout)
        for name in here:
            group.identity(name).certificate.check_validity(name)
        views = out if record_view else None
        arguments = party_arguments(
            program, consortium, job, views, start_timeout, timeout, trace=trace, store=store, plan=plan,
            here=len(group.compute),
        )  # fmt: skip

        def show(name: str, line: str) -> None:
            console.print(f"{name} | {line}", markup=False, highlight=False, soft_wrap=True)

        try:
            with progress:
                reports = run_local(group, here, arguments, progress=progress, on_print=show)
        except BaseException as error:
            if out is not None and record_view:
                for name in here:
                    forget(out / name)  # also of a party that was killed and could not clean up itself
            if isinstance(error, PartyFailed):
                keep(error.reports)
            raise
    if out is not None:
        write_reports(out, reports)
    if json:
        sys.stdout.write(msgspec.json.encode(reports).decode() + "\n")
    else:
        _show_reports(Console(), reports, out)


def _listen_here(group: Consortium, party: str) -> socket.socket | None:
    endpoint = group.party(party).endpoint if party in group.compute else None
    return listen(endpoint) if endpoint is not None else None


def _keep_failed(console: Console, reports: Mapping[str, PartyReport], out: Path | None) -> None:
    """What a run that failed had opened, which its receivers have: into their folders, or at least named."""
    if not reports:
        return
    names = list(dict.fromkeys(entry["name"] for report in reports.values() for entry in report.opened))
    where = "run with --out to keep the values of such a run"
    if out is not None:
        try:
            write_reports(out, reports)
            where = f"the values are in failed.json in the folders of {', '.join(reports)} in {out}"
        except PrivityError as error:
            where = str(error)
    console.print(
        f"opened before the failure, and so known: {', '.join(names)}; {where}",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip


def _show_reports(console: Console, reports: dict[str, PartyReport], out: Path | None) -> None:
    from rich.table import Table

    table = Table(title=f"privity run · kernels: {kernels.BUILD}", title_justify="left", box=None, pad_edge=False)
    for heading in ("party", "rounds", "bytes sent", "CPU s", "wall s"):
        table.add_column(heading, overflow="fold", justify="left" if heading == "party" else "right")
    outputs: dict[str, list[str]] = {}
    for report in reports.values():
        times = (f"{report.cpu_s:.2f}", f"{report.wall_s:.2f}")
        table.add_row(report.party, f"{report.rounds:,}", f"{report.bytes_sent:,}", *times)
        outputs.setdefault(msgspec.json.encode(report.output).decode(), []).append(report.party)
    console.print(table)
    for line in _of_note(list(reports.values())):
        console.print(line, markup=False, highlight=False)
    for text, parties in outputs.items():
        rest = "" if len(text) <= _SHOWN else f" ... ({len(text):,} characters; all of them are in report.json)"
        console.print(f"output at {', '.join(parties)}: {text[:_SHOWN]}{rest}", markup=False, highlight=False)
    if out is not None:
        console.print(f"reports in {out}", markup=False, highlight=False)


def _of_note(reports: Sequence[PartyReport]) -> Iterator[str]:
    """What a reader of the reports should not miss: a program with more rights, parties with other versions."""
    if any(report.internals for report in reports):
        yield "internals = true: this program may reach below the public names; more than was opened may have left it"
    for name in sorted({name for report in reports for name in report.packages}):
        versions: dict[str, list[str]] = {}
        for report in reports:
            versions.setdefault(report.packages.get(name, "none"), []).append(report.party)
        if len(versions) > 1:
            yield f"{name} differs: " + "; ".join(f"{v} at {', '.join(p)}" for v, p in versions.items())


@app.command()
def plan(
    program: ProgramArgument,
    consortium: Annotated[
        Path | None, typer.Option("--consortium", "-c", help="Consortium file: plan with its parties by name.")
    ] = None,
    job: JobOption = None,
    rows: Annotated[list[str], typer.Option("--rows", help="OWNER.TABLE=ROWS, or OWNER.ARRAY=2000x20.")] = [],  # noqa: B006
    parties: Annotated[int, typer.Option(help="Compute parties.")] = 3,
    rtt: Annotated[float | None, typer.Option(help="Round trip in ms; default: the job's link, or 1.", min=0)] = None,
    bandwidth: Annotated[
        float | None, typer.Option(help="Mbit/s that a party sends; default: the job's link, or 1000.", min=1e-3)
    ] = None,
    assume: Annotated[list[str], typer.Option("--assume", help="NAME=VALUE: plan with this opened value.")] = [],  # noqa: B006
    lines: Annotated[bool, typer.Option("--lines", help="Also what each line of the program costs.")] = False,
    json: JsonOption = False,
) -> None:
    """Say what a run will cost, from the public shapes alone: no data is read and nobody is connected."""
    from .debug.plan import plan as planned

    read = read_program(program)
    path = job if job is not None else program.with_suffix(".toml")
    spec = load_job(path) if job is not None or path.exists() else JobSpec(program.stem)
    function = read.load(internals=spec.internals)
    schemas = load_schemas(spec.tables)
    sizes: dict[str, dict[str, Size]] = {owner: dict(named) for owner, named in spec.plan.items()}
    for owner, name, size in map(read_size, rows):
        sizes.setdefault(owner, {})[name] = size
    if not sizes and (spec.tables or spec.arrays):
        raise ConfigError(f"{path} states no sizes; add [plan.OWNER] with NAME = ROWS, or give --rows OWNER.NAME=ROWS")
    group = None if consortium is None else load_consortium(consortium)
    compute = [f"compute_{i}" for i in range(parties)] if group is None else list(group.compute)
    named = [n for line in spec.openings for n in ([line.to] if isinstance(line.to, str) else line.to)]
    receivers = [n for n in dict.fromkeys(named) if n not in ("all", "compute", "owners")]
    owners = list(sizes)
    if group is not None:
        _check_owners(sizes, group)
        receivers, owners = list(group.names), list(group.owners)
    link = spec.link or LinkSpec(rtt_ms=1.0, bandwidth_mbit=1000.0)
    everybody = list(dict.fromkeys([*compute, *sizes, *receivers]))
    result = planned(
        function,
        inputs=planned_inputs(spec, schemas, sizes),
        parties=compute,
        receivers=receivers,
        openings=spec.openings_for(everybody, compute, owners) if path.exists() else None,
        exact=spec.exact,
        adder=spec.link.adder if spec.link is not None else None,
        guards=spec.guards,
        fraction_bits=spec.fraction_bits,
        seed=spec.seed,
        minimum_group=spec.minimum_group,
        tables={name: table_info(schema) for name, schema in schemas.items()},
        parameters=spec.parameters,
        assume=_assumptions(assume),
        rtt_s=(link.rtt_ms if rtt is None else rtt) / 1000,
        bytes_per_s=(link.bandwidth_mbit if bandwidth is None else bandwidth) * 125e3,
    )
    if json:
        plain = {f.name: getattr(result, f.name) for f in fields(result) if f.name != "trace"}
        sys.stdout.write(msgspec.json.encode(plain).decode() + "\n")
    else:
        sys.stdout.write(result.table() + ("\n" + result.trace.table(times=False) if lines else ""))


def _check_owners(sizes: Iterable[str], group: Consortium) -> None:
    for owner in sizes:
        if owner not in group.owners:
            have = ", ".join(group.owners) or "none"
            raise ConfigError(f"a size is stated for {owner!r}, which is no owner of {group.path}; its owners: {have}")


def _assumptions(values: Sequence[str]) -> dict[str, int | float]:
    found: dict[str, int | float] = {}
    for text in values:
        name, _, value = text.partition("=")
        try:
            found[name] = int(value) if value.lstrip("-").isdecimal() else float(value)
        except ValueError:
            raise ConfigError(f"--assume {text!r}: expected NAME=NUMBER, for example steps=20") from None
    return found


@app.command()
def psi(
    peer: Annotated[str, typer.Option("--with", help="The other owner, who runs this command too.")],
    keys: Annotated[Path, typer.Option("--keys", help="CSV file of this owner.")],
    column: Annotated[str, typer.Option("--column", help="Its column of keys.")],
    consortium: ConsortiumOption = Path("consortium.toml"),
    party: Annotated[str | None, typer.Option(help="This owner; default: the one whose key is here.")] = None,
    normalize: Annotated[str, typer.Option(help=f"Steps in their order, of: {', '.join(STEPS)}.")] = "",
    to: Annotated[str, typer.Option(help="Who learns the common keys: both, or the name of one owner.")] = BOTH,
    limit: Annotated[int | None, typer.Option(help="Runs with one key; default: the consortium file's.", min=0)] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="CSV file for the common keys.")] = None,
    start_timeout: StartOption = 30.0,
    timeout: IdleOption = 60.0,
    json: JsonOption = False,
) -> None:
    """Find the keys that another owner has too. Neither learns of the others' keys anything but their number."""
    console = Console(stderr=True)

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    group = load_consortium(consortium)
    me = party if party is not None else _only_owner(group)
    identity, own = group.identity(me), group.party(me)
    dialled, _ = group.pair(me, peer)
    steps = [_STEP_NAMES.get(s, s) for s in (part.strip().replace("-", "_") for part in normalize.split(",")) if s]
    if out is not None:
        check_writable(out.parent)
    file = read_keys(keys, column, steps)
    common, report = run_intersection(
        IntersectionTask(
            me, peer, group, identity, file.items, KeySet([file.cells]),
            log=Comparisons.of(group, me, limit), say=say, steps=steps, to=to,
            listener=None if dialled or own.endpoint is None else listen(own.endpoint),
            deadline_s=start_timeout, idle_s=timeout,
        )
    )  # fmt: skip
    if out is not None and common.rows is not None:
        write_outputs(out.parent, {out.name: csv_column(column, [file.cells[row] for row in common.rows])})
    if json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        _show_intersection(report, out)


def _only_owner(group: Consortium) -> str:
    here = [p.name for p in group.parties if p.key_path is not None and "owner" in p.roles]
    if len(here) != 1:
        raise ConfigError(f"{group.path} has the keys of {len(here)} owners; say with --party which one runs here")
    return here[0]


def _show_intersection(report: IntersectionReport, out: Path | None) -> None:
    found = "unknown here" if report.common is None else f"{report.common:,}"
    print(f"{report.party}: {report.own_size:,} keys; {report.peer}: {report.peer_size:,}; common: {found}")
    print(
        f"{report.wall_s:.2f} s, CPU {report.cpu_s:.2f} s, {report.bytes_sent:,} bytes sent, {report.rounds} rounds, "
        f"kernels: {report.kernels}"
    )
    print(f"run {report.runs} of {report.limit} with these keys")
    if out is not None and report.common is not None:
        print(f"the common keys are in {out}")


@consortium_app.command("init")
def consortium_init(
    folder: Annotated[Path, typer.Argument(help="Folder for consortium.toml, certificates and keys.")],
    compute: Annotated[list[str], typer.Option("--compute", help="A compute party (three times).")] = [],  # noqa: B006
    owner: Annotated[list[str], typer.Option("--owner", help="An owner; may be given several times.")] = [],  # noqa: B006
    receiver: Annotated[list[str], typer.Option("--receiver", help="A receiver.")] = [],  # noqa: B006
    listening: Annotated[list[str], typer.Option("--listening", help="An owner that listens, for `psi`.")] = [],  # noqa: B006
    host: Annotated[str, typer.Option(help="This host's address; edit the file for several hosts.")] = "127.0.0.1",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
) -> None:
    """Write a consortium file with fresh certificates and keys of all parties, to try things out on this machine."""
    names = compute or ["compute_0", "compute_1", "compute_2"]
    unknown = [name for name in listening if name not in owner]
    if unknown:
        raise ConfigError(f"--listening {unknown[0]}: expected an owner; there are {', '.join(owner) or 'none'}")
    group = init_consortium(folder, names, owner, receiver, host=host, listening=listening, overwrite=overwrite)
    print(f"wrote {folder / 'consortium.toml'} with {len(group.parties)} parties")
    for line in FOR_TRYING_OUT:
        print(line)


@consortium_app.command("key")
def consortium_key(
    name: Annotated[str, typer.Argument(help="This party's name.")],
    folder: Annotated[Path, typer.Argument(help="Folder of its consortium file; the key goes into certificates/.")],
    role: Annotated[list[str], typer.Option("--role", help="compute, owner or receiver; may be given again.")] = [],  # noqa: B006
    endpoint: Annotated[str | None, typer.Option(help="HOST:PORT where it listens; compute parties need one.")] = None,
) -> None:
    """Make this party's own key here, and print the block for everybody's consortium file. The key stays here."""
    roles = role or ["owner"]
    unknown = [r for r in roles if r not in get_args(Role)]
    if unknown:
        raise ConfigError(f"--role {unknown[0]}: expected one of {', '.join(get_args(Role))}")
    block, key = make_key(name, folder, cast(list[Role], roles), endpoint)
    print(block, end="")
    print(
        f"the key is {key}: it stays on this host. Give the others this block and {key.with_suffix('.crt')}; in your "
        f'own copy of the consortium file add under it: key = "{CERTIFICATES}/{key.name}"',
        file=sys.stderr,
    )


@demo_app.command("banks")
def demo_banks(
    out: DemoOutOption = Path("privity-demo-banks"),
    json: JsonOption = False,
    record_view: DemoRecordOption = True,
    timeout: IdleOption = 60.0,
) -> None:
    """Five banks train one credit-default model; no bank shows a row to anybody."""
    with _demo_packages():
        from .demo.banks import run_banks
    run_banks(out, json=json, record_view=record_view, timeout_s=timeout)


@demo_app.command("hospitals")
def demo_hospitals(
    out: DemoOutOption = Path("privity-demo-hospitals"),
    json: JsonOption = False,
    record_view: DemoRecordOption = True,
    timeout: IdleOption = 60.0,
) -> None:
    """Three hospitals link their patients in secret and fit one model with standard errors."""
    with _demo_packages():
        from .demo.hospitals import run_hospitals
    run_hospitals(out, json=json, record_view=record_view, timeout_s=timeout)


@contextmanager
def _demo_packages() -> Iterator[None]:
    """Around an import of a demo. Raises ConfigError that says how to install what it lacks."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(f"the demo needs {error.name}; install it with: pip install 'privity[demo]'") from None


@app.command()
def bench(
    workload: Annotated[str, typer.Argument(help="mul, compare, relu, matmul, logistic, latency, ... or all.")],
    json: JsonOption = False,
    link: Annotated[str, typer.Option(help="tls: three processes on loopback; memory: three threads.")] = "tls",
    repeat: Annotated[int | None, typer.Option(help="Timed repetitions; default: the workload's own.")] = None,
    size: Annotated[int | None, typer.Option(help="Elements, rows or features; default: the workload's own.")] = None,
) -> None:
    """Measure a computation on shares: time, traffic, rounds and error, beside NumPy and the machine's limits."""
    from .bench.suite import run_suite

    run_suite(workload, json=json, link=link, repeat=repeat, size=size)


@app.command()
def version() -> None:
    """Version and kernels."""
    from importlib.metadata import version as installed

    print(f"privity {installed('privity')} · kernels: {kernels.BUILD}")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point: every error ends in one message and an exit code, never in a traceback."""
    ended(lambda: app(args=list(arguments) if arguments is not None else None, standalone_mode=True))
