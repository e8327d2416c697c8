"""How often an owner's keys were compared: counts, limits, and a file that may hold anything."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privity.errors import ConfigError, OutputError, PrivityError, UsageError
from privity.jobs.comparisons import Comparisons
from privity.jobs.consortium import load_consortium
from privity.jobs.founding import init_consortium

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


@pytest.fixture
def log(tmp_path: Path) -> Comparisons:
    return Comparisons(tmp_path / "bank.comparisons.json", 3)


def test_runs_of_both_kinds_count_by_the_content_of_the_file(log: Comparisons) -> None:
    assert log.book(A, 5, peer="clinic") == 1
    assert log.book(A, 5, job="study", table="people") == 2
    assert log.book(A, 5, peer="shop") == 3
    before = log.path.read_bytes()
    with pytest.raises(UsageError, match=r"this file \(sha256 a{12}\) was compared 3 times .*limit is 3: .*bank"):
        log.book(A, 5, peer="lab")
    assert log.path.read_bytes() == before
    assert log.book(B, 5, peer="clinic") == 1
    assert [(e.peer, e.table, e.sha256[0]) for e in log.entries()] == [
        ("clinic", None, "a"), (None, "people", "a"), ("shop", None, "a"), ("clinic", None, "b"),
    ]  # fmt: skip
    assert log.path.stat().st_mode & 0o777 == 0o600


def test_other_content_is_noted_for_the_same_peer_or_table(log: Comparisons) -> None:
    log.book(A, 5, peer="clinic")
    log.book(B, 7, job="study", table="people")
    assert log.changed(A, peer="clinic") is None is log.changed(C, peer="lab")
    assert log.changed(B, table="people") is None is log.changed(C, table="tests")
    assert "last run with clinic on 2" in str(log.changed(C, peer="clinic"))
    told = str(log.changed(C, table="people"))
    assert "last linkage of table 'people' on 2" in told and "bbbbbbbbbbbb, 7 rows then, cccccccccccc now" in told


def test_the_end_is_noted_in_the_last_run_with_that_peer(log: Comparisons) -> None:
    for peer in ("clinic", "shop", "clinic"):
        log.book(A, 5, peer=peer)
    log.ended("clinic", A, 60)
    assert [e.peer_size for e in log.entries()] == [None, None, 60]
    log.ended("nobody", A, 60)
    assert len(log.entries()) == 3


def test_runs_at_the_same_time_all_count(tmp_path: Path) -> None:
    path = tmp_path / "bank.comparisons.json"
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda k: Comparisons(path, 100).book(A, 5, peer=f"p{k}"), range(24)))
    assert sorted(counts) == list(range(1, 25)) and len(Comparisons(path, 100).entries()) == 24


def test_where_it_lies_and_whose_limit_holds(tmp_path: Path) -> None:
    group = init_consortium(tmp_path, ["compute_0"], ["bank"])
    log = Comparisons.of(group, "bank")
    assert log.path == tmp_path / "certificates" / "bank.comparisons.json" and log.limit == 10
    text = group.path.read_text()
    group.path.write_text(text.replace('name = "bank"', 'name = "bank"\nmost_comparisons = 3'))
    stated = load_consortium(group.path)
    assert Comparisons.of(stated, "bank").limit == 3 and Comparisons.of(stated, "bank", 5).limit == 5
    assert stated.hash() == group.hash()
    group.path.write_text("\n".join(line for line in text.splitlines() if not line.startswith("key =")))
    with pytest.raises(ConfigError, match="no private key of bank here"):
        Comparisons.of(load_consortium(group.path), "bank")


def test_counts_in_an_older_form_are_never_forgotten_in_silence(tmp_path: Path) -> None:
    group = init_consortium(tmp_path, ["compute_0"], ["bank"])
    of_intersections = {"date": "2026-01-01 00:00:00", "peer": "clinic", "sha256": A, "size": 5, "peer_size": None}
    (tmp_path / "certificates" / "bank.comparisons.json").write_text(json.dumps([of_intersections] * 10))
    with pytest.raises(UsageError, match="10 times"):
        Comparisons.of(group, "bank").check(A)
    of_linkages = tmp_path / "bank.linkages.jsonl"
    of_linkages.write_text("{}\n")
    with pytest.raises(ConfigError, match=r"bank.linkages.jsonl counts linkages in a form that is no longer read.*"):
        Comparisons.of(group, "bank")
    of_linkages.unlink()
    Comparisons.of(group, "bank")


GOOD = json.dumps([{"date": "2026-01-01 00:00:00", "sha256": A, "size": 5, "job": "study", "table": "people"}]).encode()


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=80),
        st.tuples(st.integers(0, len(GOOD) - 1), st.binary(max_size=4)).map(
            lambda c: GOOD[: c[0]] + c[1] + GOOD[c[0] + 1 :]
        ),
        st.integers(0, len(GOOD) - 1).map(lambda n: GOOD[:n]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["date", "sha256", "size", "peer", "x"]), inner, max_size=4),
            max_leaves=8,
        ).map(lambda v: json.dumps(v).encode()),
    )
)
def test_whatever_the_file_holds_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """What is refused stays as it is, and no run is booked; it is never taken for an empty list."""
    path = tmp_path_factory.getbasetemp() / "fuzzed.comparisons.json"
    path.write_bytes(content)
    try:
        entries = Comparisons(path, 3).entries()
    except ConfigError as error:
        assert "cannot read" in str(error) and str(path) in str(error)
        with pytest.raises(PrivityError):
            Comparisons(path, 3).book(A, 5, peer="clinic")
        assert path.read_bytes() == content
    else:
        assert all(len(e.sha256) == 64 and e.size >= 0 for e in entries)
        assert entries or json.loads(content) == []


DAMAGED = {
    "empty": b"",
    "cut": b"[",
    "deep": b"[" * 100_000,
    "deep objects": b'[{"date":' * 1000,
    "no UTF-8": b'[{"date": "\xff"}]',
    "words": b"nonsense",
    "short hash": b'[{"date": "d", "sha256": "a", "size": 1}]',
    "hash with a line end": GOOD.replace(b"a" * 64, b"a" * 64 + b"\\n"),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_damaged_files_are_refused(log: Comparisons, content: bytes) -> None:
    log.path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"cannot read .*counts comparisons.*repair it, or agree"):
        log.check(A)


def test_a_file_that_is_too_large_or_none_is_refused(log: Comparisons) -> None:
    with log.path.open("wb") as file:
        os.truncate(file.fileno(), 17 << 20)
    with pytest.raises(ConfigError, match="larger than"):
        log.check(A)
    log.path.unlink()
    log.path.mkdir()
    with pytest.raises(ConfigError, match="cannot read"):
        log.check(A)


def test_where_nothing_can_be_written_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="runs must be counted there"):
        Comparisons(tmp_path / "absent" / "bank.comparisons.json", 3).book(A, 5, peer="clinic")
