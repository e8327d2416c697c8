"""How often an owner's keys were compared: counts, limits, and a file that may hold anything."""

from __future__ import annotations

import hashlib
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
from privity.jobs.key_counts import KeyCounts, KeySet


def keys(*names: str) -> KeySet:
    return KeySet([names])


A, B, C = keys("a1", "a2", "a3", "a4", "a5"), keys("b1", "b2", "b3"), keys("c1")


@pytest.fixture
def log(tmp_path: Path) -> Comparisons:
    return Comparisons(tmp_path / "bank.comparisons.json", 3)


def files(log: Comparisons) -> tuple[Path, Path, Path]:
    return log.path, log.counts, log.mark


def test_runs_of_both_kinds_count_by_the_keys(log: Comparisons) -> None:
    assert log.book(A, peer="clinic") == 1
    assert log.book(A, job="study", table="people") == 2
    assert log.book(A, peer="shop") == 3
    before = [path.read_bytes() for path in files(log)]
    with pytest.raises(UsageError, match=r"this file \(sha256 .{12}\), or keys .* 3 times .*limit is 3: .*bank"):
        log.book(A, peer="lab")
    assert [path.read_bytes() for path in files(log)] == before
    assert log.book(B, peer="clinic") == 1
    assert [(e.peer, e.table, e.size) for e in log.entries()] == [
        ("clinic", None, 5), (None, "people", 5), ("shop", None, 5), ("clinic", None, 3),
    ]  # fmt: skip
    assert [path.stat().st_mode & 0o777 for path in files(log)] == [0o600] * 3


@pytest.mark.parametrize(
    "changed",
    [
        keys("a5", "a4", "a3", "a2", "a1"),
        keys("A-1", " a2", "a3 ", "00a4", "a5", "a6"),
        keys("a1"),
        keys("a1", *(f"new {k}" for k in range(10_000))),
        keys("\uff41\uff11", "x"),  # full-width letters
        KeySet([["a1", "x"]]),
    ],
    ids=["other order", "other spelling", "a part", "one of many", "other Unicode", "a column"],
)
def test_a_file_that_changed_does_not_start_anew(log: Comparisons, changed: KeySet) -> None:
    for peer in ("clinic", "shop", "lab"):
        log.book(A, peer=peer)
    with pytest.raises(UsageError, match="3 times already"):
        log.check(changed)
    with pytest.raises(UsageError, match="3 times already"):
        log.book(changed, peer="clinic")
    assert log.check(keys("never seen")) == 0


def test_halves_by_turns_reach_the_limit_too(log: Comparisons) -> None:
    halves = (("1", "2"), ("3", "4"), ("1", "3"), ("2", "3"))
    assert [log.book(keys(*half), peer="p") for half in halves] == [1, 1, 2, 3]
    with pytest.raises(UsageError, match="3 times"):
        log.book(keys("3", "5"), peer="p")
    assert log.book(keys("1", "4"), peer="p") == 3


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sets(st.integers(0, 30), max_size=12), max_size=8))
def test_counts_are_those_of_a_plain_table(runs: list[set[int]]) -> None:
    counts, plain = KeyCounts.begun(2), dict.fromkeys(range(31), 0)
    for run in runs:
        chosen = keys(*(f"k{k}" for k in run))
        assert counts.of(chosen) == 2 + max((plain[k] for k in run), default=0)
        counts = KeyCounts.read(counts.more(chosen).written())
        for k in run:
            plain[k] += 1
    assert [counts.of(keys(f"k{k}")) for k in plain] == [2 + n for n in plain.values()]
    assert counts.runs == 2 + len(runs)


def test_keys_of_several_columns_and_odd_cells() -> None:
    salt = bytes(32)

    def same(one: list[list[str]], other: list[list[str]]) -> bool:
        return KeySet(one).digest(salt) == KeySet(other).digest(salt)

    assert same([["01", "2"], ["X", "y"]], [["2", "1"], ["Y", "x"]])
    assert not same([["ab"], ["c"]], [["a"], ["bc"]]) and not same([["1"], ["2"]], [["2"], ["1"]])
    assert same([["a\nb", "c"]], [["c", "ab"]]) and same([["Stra\xdfe"]], [["STRASSE"]]) and same([["000"]], [["0"]])
    assert len(KeySet([[]]).fingerprints(salt)) == 0 and len(KeySet([["", "-"]]).fingerprints(salt)) == 1
    assert KeySet([["\ud800"]]).digest(salt) and "a1" not in repr(A) and len(A) == 5
    with pytest.raises(UsageError, match="of one length"):
        KeySet([["a"], []])


def test_no_file_holds_a_key_or_an_unsalted_hash(log: Comparisons) -> None:
    secret = keys("4711000815")
    log.book(secret, peer="clinic")
    held = b"".join(path.read_bytes() for path in files(log))
    assert b"4711000815" not in held
    hashes = [hashlib.sha256(prefix + b"4711000815").digest() for prefix in (b"", bytes(32))]
    assert not any(h[:8] in held or h.hex().encode() in held for h in hashes)
    other = Comparisons(log.path.with_name("other.comparisons.json"), 3)
    other.book(secret, peer="clinic")
    assert other.entries()[0].sha256 != log.entries()[0].sha256


def test_other_keys_are_noted_for_the_same_peer_or_table(log: Comparisons) -> None:
    log.book(A, peer="clinic")
    log.book(B, job="study", table="people")
    assert log.changed(A, peer="clinic") is None is log.changed(C, peer="lab")
    assert log.changed(B, table="people") is None is log.changed(C, table="tests")
    assert "last run with clinic on 2" in str(log.changed(C, peer="clinic"))
    told = str(log.changed(C, table="people"))
    assert "last linkage of table 'people' on 2" in told and ", 3 rows then, " in told


def test_the_end_is_noted_in_the_last_run_with_that_peer(log: Comparisons) -> None:
    for peer in ("clinic", "shop", "clinic"):
        log.book(A, peer=peer)
    log.ended("clinic", 60)
    assert [e.peer_size for e in log.entries()] == [None, None, 60]
    log.ended("nobody", 60)
    assert len(log.entries()) == 3


# -- files that are missing, older or changed --------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2)])
def test_a_missing_file_is_missed(log: Comparisons, lost: tuple[int, ...]) -> None:
    """Without marks and counts nobody knows the keys, so that every run listed counts for all of them."""
    for peer in ("clinic", "shop", "lab"):
        log.book(A, peer=peer)
    for which in lost:
        files(log)[which].unlink()
    with pytest.raises(PrivityError, match=r"is missing|3 times already"):
        log.check(B)
    with pytest.raises(PrivityError, match=r"is missing|3 times already"):
        log.book(B, peer="clinic")
    assert not any(files(log)[which].exists() for which in lost)


@pytest.mark.parametrize("old", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)])
def test_an_older_copy_is_no_way_back(log: Comparisons, old: tuple[int, ...]) -> None:
    """An old mark alone changes nothing, and all else is noticed."""
    log.book(A, peer="clinic")
    kept = [path.read_bytes() for path in files(log)]
    log.book(A, peer="clinic")
    log.book(A, peer="clinic")
    for which in old:
        files(log)[which].write_bytes(kept[which])
    with pytest.raises(PrivityError, match=r"older copy|3 times already"):
        log.check(A)


def test_a_crash_between_the_files_is_no_fault_and_counts(log: Comparisons) -> None:
    """They are written in the order counts, runs, mark."""
    log.book(A, peer="clinic")
    before = [path.read_bytes() for path in files(log)]
    log.book(A, peer="clinic")
    after = [path.read_bytes() for path in files(log)]
    for upto in ((1,), (1, 0)):
        for which in range(3):
            files(log)[which].write_bytes(after[which] if which in upto else before[which])
        assert log.check(A) == 2
    log.discard()
    assert log.check(A) == 0
    log.book(A, peer="clinic")
    log.mark.unlink()
    assert log.check(A) == 1
    log.path.unlink()
    assert log.check(A) == 1 and log.book(A, peer="clinic") == 2


def test_an_entry_that_was_changed_is_noticed(log: Comparisons) -> None:
    for peer in ("clinic", "shop"):
        log.book(A, peer=peer)
    text = log.path.read_text()
    for changed in (text.replace("shop", "lab"), text.replace('"size": 5', '"size": 6', 1)):
        log.path.write_text(changed)
        with pytest.raises(ConfigError, match="an older copy, or a changed one"):
            log.check(B)


@pytest.mark.parametrize("which", [1, 2])
@pytest.mark.parametrize("content", [b"", b"x", b"{}", b"[" * 100_000, b"\x80"])
def test_damaged_counts_and_marks_are_refused(log: Comparisons, which: int, content: bytes) -> None:
    log.book(A, peer="clinic")
    files(log)[which].write_bytes(content)
    with pytest.raises(ConfigError, match=r"cannot read .*counts comparisons"):
        log.check(A)


def test_a_flipped_bit_in_the_counts_is_noticed(log: Comparisons) -> None:
    log.book(A, peer="clinic")
    whole = log.counts.read_bytes()
    for at in range(len(whole)):
        log.counts.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(ConfigError):
            log.check(A)


def test_runs_at_the_same_time_all_count(tmp_path: Path) -> None:
    path = tmp_path / "bank.comparisons.json"
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda k: Comparisons(path, 100).book(A, peer=f"p{k}"), range(24)))
    assert sorted(counts) == list(range(1, 25)) and len(Comparisons(path, 100).entries()) == 24


def test_where_it_lies_and_whose_limit_holds(tmp_path: Path) -> None:
    group = init_consortium(tmp_path, ["compute_0"], ["bank"])
    log = Comparisons.of(group, "bank")
    assert log.path == tmp_path / "certificates" / "bank.comparisons.json" and log.limit == 10
    assert log.mark == tmp_path / "certificates" / "bank.key.begun"
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
    """They do not know the keys, so that they count for all."""
    of_intersections = {"date": "2026-01-01 00:00:00", "peer": "clinic", "sha256": H, "size": 5, "peer_size": None}
    (tmp_path / "certificates" / "bank.comparisons.json").write_text(json.dumps([of_intersections] * 10))
    with pytest.raises(UsageError, match="10 times"):
        Comparisons.of(group, "bank").check(A)
    log = Comparisons.of(group, "bank", 12)
    assert log.changed(A, peer="clinic") is None
    assert log.book(A, peer="clinic") == 11 and log.check(A) == 11 and log.check(B) == 10
    of_linkages = tmp_path / "bank.linkages.jsonl"
    of_linkages.write_text("{}\n")
    with pytest.raises(ConfigError, match=r"bank.linkages.jsonl counts linkages in a form that is no longer read.*"):
        Comparisons.of(group, "bank")
    of_linkages.unlink()
    Comparisons.of(group, "bank")


H = "a" * 64
GOOD = json.dumps([{"date": "2026-01-01 00:00:00", "sha256": H, "size": 5, "job": "study", "table": "people"}]).encode()


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
            Comparisons(path, 3).book(A, peer="clinic")
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
        Comparisons(tmp_path / "absent" / "bank.comparisons.json", 3).book(A, peer="clinic")
