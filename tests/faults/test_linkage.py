"""Linkage in real processes: keys and tables that do not fit, data that changed, limits, parties that die meanwhile."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from privity.jobs.consortium import load_consortium
from privity.jobs.launch import party_arguments
from privity.jobs.local import PartyFailed, run_local
from privity.jobs.view import Received

COMPUTE = ("compute_0", "compute_1", "compute_2")
OWNERS = ("clinic", "lab")
FILES = {"clinic": ("people", "pid,age,sex\n"), "lab": ("tests", "pid,ph,unit\n")}

JOB = """
name = "linkage"

[[openings]]
name = "linked rows"
to = "all"

[[openings]]
name = "mean"
to = "all"

[[openings]]
name = "spread"
to = "clinic"

[parameters]
steps = 0
folder = "{folder}"

[tables.people]
owners = ["clinic"]
columns = [
    {{ name = "pid", role = "key", kind = "text", normalize = ["trim", "casefold", "strip_zeros"] }},
    {{ name = "age", kind = "integer", bound = 120 }},
    {{ name = "sex", kind = "category", categories = ["f", "m"] }},
]

[tables.tests]
owners = ["lab"]
columns = [
    {{ name = "pid", role = "key", kind = "text", normalize = ["trim", "casefold", "strip_zeros"] }},
    {{ name = "ph", kind = "number", bound = 14, missing = true }},
    {{ name = "unit", kind = "number", bound = 4 }},
]
"""


def people(n: int = 60) -> list[str]:
    return [f"00{i}a,{20 + i % 70},{'fm'[i % 2]}" for i in range(1, n + 1)]


def samples(n: int = 60, first: int = 21) -> list[str]:
    """Other patients too, other spelling, another order; every fifth cell is empty."""
    rows = [f"{i}A ,{'' if i % 5 == 0 else 7 + i / 200},{2 + i % 3}" for i in range(first, first + n)]
    return rows[::-1]


@pytest.fixture
def clinics(site: Any) -> Any:
    """A site of two owners whose tables are to be linked."""
    found_clinics(site)
    return site


def found_clinics(site: Any) -> None:
    site.owners = OWNERS
    site.found()
    text = site.consortium.read_text()
    for owner, (table, _) in FILES.items():
        text = text.replace(f'rows = "{owner}.csv"', f'{table} = "{owner}.csv"')
    site.consortium.write_text(text)
    shutil.copy(Path(__file__).parent / "linkage_program.py", site.folder / "program.py")
    site.job.write_text(JOB.format(folder=site.folder))
    write(site, "clinic", people())
    write(site, "lab", samples())


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory, site_at: Any) -> Iterator[tuple[Any, Any]]:
    """A site whose good tables were linked once, and how that ended: the copies of it begin there."""
    with site_at(tmp_path_factory.mktemp("linked") / "a consortium") as site:
        found_clinics(site)
        yield site, site.run("--json")


@pytest.fixture
def linked_clinics(linked: tuple[Any, Any], site: Any) -> Any:
    """A site of one's own with such a run behind it."""
    shutil.copytree(linked[0].folder, site.folder, dirs_exist_ok=True)
    site.owners = OWNERS
    site.job.write_text(JOB.format(folder=site.folder))
    return site


def write(site: Any, owner: str, rows: list[str]) -> None:
    (site.folder / f"{owner}.csv").write_text(FILES[owner][1] + "\n".join(rows) + "\n")


def edit_job(site: Any, old: str, new: str) -> None:
    text = site.job.read_text()
    assert old in text
    site.job.write_text(text.replace(old, new))


def log(site: Any, owner: str) -> list[dict[str, Any]]:
    path = site.folder / "certificates" / f"{owner}.comparisons.json"
    return json.loads(path.read_text()) if path.exists() else []


@pytest.mark.xdist_group("linked")  # one such run for all of them
def test_good_tables_are_linked(linked: tuple[Any, Any]) -> None:
    site, outcome = linked
    assert outcome.code == 0, outcome.err
    given = json.loads(outcome.out)["clinic"]["output"]
    linked = range(21, 61)
    ph = [7 + i / 200 for i in linked if i % 5]
    assert given["rows"] == 40
    assert given["mean"] == pytest.approx(np.mean(ph), abs=1e-4)
    assert given["spread"] == pytest.approx(1.0, abs=1e-3)
    assert [len(log(site, o)) for o in OWNERS] == [1, 1]


# ----------------------------------------------------------------------------------------------------- keys and columns


def test_no_overlap_and_few_in_common(clinics: Any) -> None:
    """Nine are fewer than the smallest group: the message is the same as for none, so their number is not told."""
    write(clinics, "lab", samples(first=500))
    outcome = clinics.run("--out", clinics.folder / "out")
    words = ("link: fewer than 10 common rows", "their number stays secret", "write their keys alike")
    none = clinics.assert_failed(outcome, 1, *words)
    write(clinics, "lab", samples(first=52))
    nine = [line for line in clinics.run().err.splitlines() if line.startswith("privity: ")]
    assert nine == none.splitlines()[:1]


def test_a_key_twice(clinics: Any) -> None:
    write(clinics, "lab", [*samples(), "0033a,7,2"])
    outcome = clinics.run("--out", clinics.folder / "out")
    message = clinics.assert_failed(outcome, 1, "lab: table 'tests': rows 48 and 61 have the same key", "'first'")
    assert "33" not in message
    assert [log(clinics, owner) for owner in OWNERS] == [[], []]  # no key left any house, so it counts for nobody


def test_a_key_twice_and_the_rule_for_it(clinics: Any) -> None:
    edit_job(clinics, '[tables.tests]\n', '[tables.tests]\nduplicates = "first"\n')
    write(clinics, "lab", [*samples(), "0033a,7,2"])
    outcome = clinics.run()
    assert outcome.code == 0, outcome.err
    assert "lab | table 'tests': 1 rows repeat a key and are left out" in outcome.err


def test_a_number_here_and_a_text_there(clinics: Any) -> None:
    """Two job files: nobody compares a number with a text without saying so."""
    other = clinics.folder / "other.toml"
    other.write_text(clinics.job.read_text().replace('kind = "text", normalize = ["trim", "casefold", "strip_zeros"]',
                                                     'kind = "integer"'))  # fmt: skip
    jobs = {name: other if name == "lab" else clinics.job for name in (*COMPUTE, *OWNERS)}
    program, group = clinics.folder / "program.py", clinics.consortium
    with pytest.raises(PartyFailed) as caught:
        run_local(
            load_consortium(group), list(jobs), lambda n: party_arguments(program, group, jobs[n], None, 20, 20)(n)
        )
    assert caught.value.exit_code == 3
    assert "the job differs (hash " in str(caught.value)
    assert not clinics.processes()
    assert [log(clinics, owner) for owner in OWNERS] == [[], []]


def test_a_text_where_the_key_is_a_number(clinics: Any) -> None:
    edit_job(clinics, 'kind = "text", normalize = ["trim", "casefold", "strip_zeros"]', 'kind = "integer"')
    write(clinics, "clinic", [f"00{i},{20 + i},f" for i in range(1, 61)])
    outcome = clinics.run("--out", clinics.folder / "out")
    clinics.assert_failed(
        outcome, 1, "lab: table 'tests'", "column 'pid': expected a whole number as key, found '80A '", "and more"
    )


def test_an_unseen_category(clinics: Any) -> None:
    write(clinics, "clinic", [*people(), "777a,30,x"])
    outcome = clinics.run("--out", clinics.folder / "out")
    clinics.assert_failed(
        outcome, 1, "clinic: table 'people'", "line 62, column 'sex': expected one of the schema's categories (f, m)"
    )


def test_a_column_without_any_value(clinics: Any) -> None:
    write(clinics, "lab", [re.sub(r",[0-9.]*,", ",,", row) for row in samples()])
    outcome = clinics.run("--out", clinics.folder / "out")
    clinics.assert_failed(outcome, 1, "mean: the column ph has no value in any row that counts", "program.py")


def test_a_constant_column(clinics: Any) -> None:
    """It is standardised to 0, as in scikit-learn; nothing is divided by nothing."""
    write(clinics, "clinic", [re.sub(r",[0-9]+,", ",50,", row) for row in people()])
    outcome = clinics.run("--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["clinic"]["output"]["spread"] == pytest.approx(0.0, abs=1e-6)


# ----------------------------------------------------------------------------------------- the same data, and other


CHANGED = "the keys have changed since the last linkage of table 'tests' on "


@pytest.mark.xdist_group("linked")  # one such run for all of them
def test_a_table_that_changed_is_noted_and_logged(linked_clinics: Any) -> None:
    clinics = linked_clinics
    write(clinics, "lab", samples(61))
    outcome = clinics.run()
    assert outcome.code == 0, outcome.err
    runs = log(clinics, "lab")
    assert f"lab | {CHANGED}" in outcome.err
    note = re.sub(r"\s+", " ", outcome.err)
    assert f"sha256 {runs[0]['sha256'][:12]}, 60 rows then, {runs[1]['sha256'][:12]} now" in note
    assert "clinic | " not in outcome.err  # nothing changed there
    assert [len({run["sha256"] for run in log(clinics, owner)}) for owner in OWNERS] == [1, 2]


@pytest.mark.xdist_group("linked")  # one such run for all of them
def test_the_note_reaches_the_owner_on_a_host_of_its_own(linked_clinics: Any) -> None:
    clinics = linked_clinics
    write(clinics, "lab", samples(61))
    parties = {name: clinics.start_run("--party", name) for name in (*COMPUTE, *OWNERS)}
    said = {name: running.finish(60) for name, running in parties.items()}
    assert {outcome.code for outcome in said.values()} == {0}
    assert f"lab: {CHANGED}" in said.pop("lab").err
    for name, outcome in said.items():
        assert "have changed" not in outcome.err, name


@pytest.mark.xdist_group("linked")  # one such run for all of them
def test_the_limit_of_linkages(linked_clinics: Any) -> None:
    clinics = linked_clinics
    text = clinics.consortium.read_text()
    clinics.consortium.write_text(text.replace('name = "clinic"', 'name = "clinic"\nmost_comparisons = 1'))
    outcome = clinics.run("--out", clinics.folder / "out")
    clinics.assert_failed(
        outcome, 2, "clinic: the file of table 'people' (sha256 ", "was compared 1 times already and the limit is 1",
        "most_comparisons", "clinic.comparisons.json",
    )  # fmt: skip
    assert [len(log(clinics, owner)) for owner in OWNERS] == [1, 1]  # the refused run counts for nobody


# --------------------------------------------------------------------------------------------------- a party that dies


def long(site: Any) -> None:
    edit_job(site, "steps = 0", "steps = 1000000")


@pytest.mark.parametrize("victim", ["compute_1", pytest.param("lab", marks=pytest.mark.soak)])
def test_a_party_is_killed_in_the_middle_of_a_linkage(clinics: Any, victim: str) -> None:
    long(clinics)
    running = clinics.start_run("--no-plan", "--out", clinics.folder / "out", "--record-view")
    clinics.until_reached(*COMPUTE, *OWNERS)
    clinics.kill(victim, signal.SIGKILL)
    clinics.assert_failed(running.finish(), 3, f"{victim} was killed (SIGKILL)", "no result was written")
    assert [len(log(clinics, owner)) for owner in OWNERS] == [1, 1]  # the keys were shared, so it counts


@pytest.mark.soak  # as test_peers.py has it for a loop
def test_killed_in_a_linkage_on_hosts_of_their_own(clinics: Any) -> None:
    long(clinics)
    parties = {name: clinics.start_run("--no-plan", "--party", name) for name in (*COMPUTE, *OWNERS)}
    clinics.until_reached()
    parties.pop("compute_2").signal(signal.SIGKILL)
    for name, running in parties.items():
        outcome = running.finish()
        assert outcome.code == 3, name
        assert "compute_2" in outcome.message
    clinics.until_all_are_gone()


# ------------------------------------------------------------------------------------------------ what a receiver sees


def test_a_receiver_sees_masked_shares_of_what_was_opened_and_nothing_else(clinics: Any) -> None:
    """Of the size it gets three words that are new in every run and say the size only together."""
    views = []
    for run in range(2):
        out = clinics.folder / f"out {run}"
        assert clinics.run("--record-view", "--out", out).code == 0
        index = [msgspec.json.decode(x, type=Received) for x in (out / "lab" / "view.index").read_bytes().splitlines()]
        data = np.frombuffer((out / "lab" / "view.bin").read_bytes(), np.uint64)
        assert {entry.label for entry in index} == {"opening"}
        assert all(entry.size == 8 for entry in index) and len(index) == len(data)
        report = json.loads((out / "lab" / "report.json").read_text())
        mine = [line for line in report["opened"] if "lab" in line["to"]]
        assert len(data) == 3 * len(mine)  # "spread" went to the clinic: no word of it came here
        assert "spread" in {line["name"] for line in report["opened"]} - {line["name"] for line in mine}
        at = [line["name"] for line in mine].index("linked rows")
        words = data[3 * at : 3 * at + 3]
        assert int(words.sum(dtype=np.uint64)) == 40 == report["output"]["rows"]
        assert (words > 2**24).all()  # each alone is noise: one of six is below 2^24 with a chance of 2^-37
        views.append(words)
    assert not np.intersect1d(*views).size
