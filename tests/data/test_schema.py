"""Table schemas: what is accepted, what is refused and in which words, and a hash that all parties agree on."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privity.data import Column, TableSchema
from privity.data.schema import power_of_two_bound
from privity.errors import ConfigError

MAPPING: dict[str, Any] = {
    "capacity": 100,
    "columns": [
        {"name": "ID", "role": "ignore"},
        {"name": "age", "kind": "integer", "bound": 120},
        {"name": "income", "kind": "number", "bound": 1e6, "transform": "signed_log"},
        {"name": "default", "kind": "binary", "role": "label"},
    ],
}


def with_column(**changes: Any) -> dict[str, Any]:
    return {"columns": [{"name": "age", "kind": "integer", "bound": 120, **changes}]}


def test_reads_a_job_files_table() -> None:
    schema = TableSchema.from_mapping("people", MAPPING)
    assert [column.name for column in schema.features] == ["age", "income"]
    assert schema.label is not None and schema.label.name == "default" and schema.label.bound == 1.0
    assert [column.name for column in schema.shared] == ["age", "income", "default"]
    assert schema.capacity == 100
    assert TableSchema.from_mapping("people", schema.to_mapping()) == schema


def test_without_a_capacity_the_mapping_has_none() -> None:
    schema = TableSchema.from_mapping("people", {"columns": MAPPING["columns"]})
    assert "capacity" not in schema.to_mapping()
    assert TableSchema.from_mapping("people", schema.to_mapping()) == schema


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({}, ["people", "columns"]),
        ({"columns": "age"}, ["columns"]),
        ({"columns": []}, ["at least one column"]),
        ({"columns": [{"name": "ID", "role": "ignore"}]}, ["at least one column"]),
        ({"columns": [3]}, ["columns[0]"]),
        (with_column(bounds=3), ["bounds", "Did you mean `bound`", "columns[0]"]),
        (with_column(zzzzzz=3), ["zzzzzz", "Known fields"]),
        (with_column(kind="text"), ["text", "kind"]),
        (with_column(bound="120"), ["bound", "str"]),
        (with_column(bound=0), ["'age'", "bound"]),
        (with_column(bound=-5), ["'age'", "-5"]),
        (with_column(bound=math.nan), ["'age'", "nan"]),
        (with_column(bound=1e300), ["2^53"]),
        (with_column(bound=0.5), ["could hold only 0"]),
        (with_column(kind="binary", bound=2), ["its bound is 1"]),
        (with_column(name=""), ["printable name"]),
        (with_column(name=" age"), ["spaces"]),
        (with_column(name="a\nb"), ["printable"]),
        (with_column(name="a" * 200), ["128"]),
        (with_column(role="label", transform="signed_log"), ["transform"]),
        ({"columns": [*with_column()["columns"], *with_column()["columns"]]}, ["listed twice"]),
        (
            {"columns": [{"name": n, "kind": "binary", "role": "label"} for n in ("a", "b")]},
            ["at most one label", "a, b"],
        ),
        ({**with_column(), "capacity": 0}, ["capacity", "at least 1"]),
        ({**with_column(), "capacity": 2.5}, ["capacity"]),
    ],
)
def test_refuses_with_a_clear_message(mapping: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        TableSchema.from_mapping("people", mapping)
    for word in words:
        assert word in str(caught.value)


def test_digest_is_stable_and_sees_every_difference() -> None:
    schema = TableSchema.from_mapping("people", MAPPING)
    # A literal: two versions of the software that disagree about it could not run one job.
    assert schema.digest == "c1930865be69f652f6a5d22a0a513dfa107ebe78f2b706d5683ae15ac533dd26"
    others = [
        TableSchema.from_mapping("persons", MAPPING),
        TableSchema.from_mapping("people", {**MAPPING, "capacity": 101}),
        TableSchema.from_mapping("people", {"columns": MAPPING["columns"]}),
        TableSchema.from_mapping("people", {**MAPPING, "columns": MAPPING["columns"][::-1]}),
    ]
    assert len({schema.digest, *(other.digest for other in others)}) == 5


@given(st.floats(2.0**-53, 2.0**53))
def test_power_of_two_bound_is_the_smallest(bound: float) -> None:
    power = power_of_two_bound(Column("x", "number", bound))
    assert math.frexp(power)[0] == 0.5
    assert power / 2 < bound <= power


def test_bound_after_the_transform() -> None:
    amount = Column("amount", "number", 2.0**21, transform="signed_log")
    assert amount.shared_bound == math.log1p(2.0**21)
    assert power_of_two_bound(amount) == 16.0


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ({"kind": "float"}, "number, integer, binary, category, text"),
        ({"kind": "number", "role": "target"}, "feature, label, key, ignore"),
        ({"kind": "number", "transform": "log"}, "none, signed_log"),
    ],
)
def test_an_unknown_word_lists_the_known_ones(field: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=f"Expected one of: {words}"):
        TableSchema.from_mapping("t", {"columns": [{"name": "x", "bound": 1, **field}]})
