"""Keys at their owner: spelling, fingerprints, repeated and empty keys."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privity.data.keys import (
    STEPS,
    check_steps,
    complete,
    deduplicate,
    fingerprints,
    job_salt,
    normalised,
)
from privity.errors import ConfigError, DataError

texts = st.text(max_size=6)


@pytest.mark.parametrize(
    ("steps", "given_text", "wanted"),
    [
        (["trim"], "\t a b ", "a b"),
        (["casefold"], "Straße ÄB", "strasse äb"),
        (["strip_zeros"], "00012-07", "12-07"),
        (["strip_zeros"], "000", "0"),
        (["strip_zeros"], "00AB", "0AB"),
        (["strip_zeros"], "A007", "A007"),
        (["strip_zeros"], "", ""),
        (["digits"], "DE 0049-17", "004917"),
        (["digits"], "٣x٤", "34"),
        (["letters_digits"], "O'Brien-Smith 3", "OBrienSmith3"),
        (["nfkc"], "e\u0301\uff11\ufb01", "\u00e91fi"),
        (["digits", "strip_zeros"], "ID-007", "7"),
        (["strip_zeros", "digits"], "ID-007", "007"),
        (["nfkc", "trim", "casefold", "letters_digits", "strip_zeros"], " \uff10\uff10\uff11-A ", "1a"),
        ([], " A ", " A "),
    ],
)
def test_steps_are_done_in_order(steps: list[str], given_text: str, wanted: str) -> None:
    assert normalised([given_text], steps) == [wanted]


def test_the_steps_are_those_that_the_documentation_names() -> None:
    assert list(STEPS) == ["trim", "casefold", "strip_zeros", "digits", "letters_digits", "nfkc"]


def test_an_unknown_step_is_refused() -> None:
    with pytest.raises(ConfigError, match="column 'id': normalize names 'lower'; expected steps from: trim, casefold"):
        check_steps("id", ["trim", "lower"])
    with pytest.raises(ConfigError, match="'lower'"):
        fingerprints([["a"]], [["lower"]])


def test_whole_numbers_are_equal_as_numbers() -> None:
    cells = ["7", " 007", "+7", "-0", "-12", "0", "-012 "]
    assert normalised(cells, kind="integer") == ["7", "7", "7", "0", "-12", "0", "-12"]
    as_text = fingerprints([["7"]])
    assert (fingerprints([["+007 "]], kinds=["integer"]) == as_text).all()
    assert (fingerprints([["+007 "]]) != as_text).any()


def test_text_in_an_integer_key_names_the_rows() -> None:
    with pytest.raises(DataError, match=r"rows 2, 4 hold something else.*kind = 'text'"):
        normalised(["1", "1.5", "2", "x9"], kind="integer")
    with pytest.raises(DataError) as error:
        normalised(["1", "secret name"], kind="integer")
    assert "secret" not in str(error.value) and "row 2 holds" in str(error.value)


# -- fingerprints ----------------------------------------------------------------------------------------------------


def test_fingerprints_are_96_bits_of_sha_256() -> None:
    """The encoding is fixed: another release must link with this one."""
    words = fingerprints([["a", "b"], ["c", "d"]], salt=job_salt("clinics", "mortality"))
    assert words.shape == (2, 2) and words.dtype == np.uint64 and (words < 2**48).all()

    def counted(*parts: bytes) -> bytes:
        return b"".join(len(p).to_bytes(4, "little") + p for p in parts)

    salt = hashlib.sha256(b"privity key 1\nsalt" + counted(b"clinics", b"mortality")).digest()
    prefix = hashlib.sha256(b"privity key 1\n" + counted(salt, (2).to_bytes(4, "little"))).digest()
    for row, key in zip(words, [(b"a", b"c"), (b"b", b"d")], strict=True):
        digest = hashlib.sha256(prefix + counted(*key)).digest()
        assert [int.from_bytes(digest[i : i + 6], "little") for i in (0, 6)] == row.tolist()


@given(st.lists(st.lists(texts.filter(bool), min_size=1, max_size=3), min_size=2, max_size=6))
def test_fingerprints_are_equal_if_and_only_if_all_parts_are(keys: list[list[str]]) -> None:
    width = max(len(k) for k in keys)
    rows = [[*k, *["-"] * (width - len(k))] for k in keys]
    words = fingerprints(list(zip(*rows, strict=True)))
    for i, one in enumerate(rows):
        for j, other in enumerate(rows):
            assert (words[i] == words[j]).all() == (one == other)


def test_neither_borders_nor_numbers_of_columns_can_be_confused() -> None:
    a, b = fingerprints([["ab", "a"], ["c", "bc"]])
    assert (a != b).any()
    assert (fingerprints([["ab"]]) != fingerprints([["a"], ["b"]])).any()


def test_another_job_has_other_fingerprints() -> None:
    salts = [job_salt("clinics", "a"), job_salt("clinics", "b"), job_salt("clinicsa", ""), job_salt("clinics"), b""]
    assert len({fingerprints([["7"]], salt=s).tobytes() for s in salts}) == len(salts)


def test_bits_are_spread_over_both_words() -> None:
    words = fingerprints([[str(i) for i in range(4000)]])
    bits = (words[:, :, None] >> np.arange(48, dtype=np.uint64)) & np.uint64(1)
    assert (np.abs(bits.mean(0) - 0.5) < 0.05).all()  # five and a half standard deviations are 0.043


def test_columns_must_fit_each_other() -> None:
    with pytest.raises(DataError, match="different numbers of rows: 2, 1"):
        fingerprints([["a", "b"], ["c"]])
    for columns, normalize in (([], None), ([["a"]], [["trim"], []])):
        with pytest.raises(ConfigError, match="a key has a column at least"):
            fingerprints(columns, normalize)


# -- repeated and empty keys -----------------------------------------------------------------------------------------


def words_of(people: Sequence[int]) -> np.ndarray:
    return fingerprints([[str(p) for p in people]])


def test_one_row_of_each_key_is_kept() -> None:
    words = words_of([5, 3, 5, 8, 3, 5])
    assert deduplicate(words, "first").tolist() == [0, 1, 3]
    assert deduplicate(words, "last").tolist() == [3, 4, 5]
    assert deduplicate(words_of([4, 2, 9])).tolist() == [0, 1, 2]
    assert deduplicate(words_of([]).reshape(0, 2)).tolist() == []


def test_repeated_keys_are_refused_by_row_number_and_not_by_content() -> None:
    with pytest.raises(DataError, match=r"rows 2 and 5 have the same key \(2 such rows\)") as error:
        deduplicate(words_of([70001, 70002, 70003, 70004, 70002, 70003]))
    assert "7000" not in str(error.value)
    with pytest.raises(ConfigError, match="refuse, first or last, found 'any'"):
        deduplicate(words_of([1]), "any")  # type: ignore[arg-type]


@given(st.lists(st.integers(0, 5), max_size=20), st.sampled_from(["first", "last"]))
def test_kept_rows_are_those_of_a_dictionary(people: list[int], rule: str) -> None:
    rows = list(enumerate(people))
    kept = {p: i for i, p in (rows if rule == "last" else reversed(rows))}
    assert deduplicate(words_of(people), rule).tolist() == sorted(kept.values())  # type: ignore[arg-type]


def test_empty_keys_are_refused_or_dropped() -> None:
    columns = [["a", "", "c", "d"], ["1", "2", "3", ""]]
    assert complete(columns, "drop").tolist() == [0, 2]
    assert complete([["a", "b"]]).tolist() == [0, 1]
    with pytest.raises(DataError, match="rows 2, 4 have an empty key"):
        complete(columns)
    with pytest.raises(DataError, match="row 1 has an empty key"):
        fingerprints([["---", "7"]], [["digits"]])
    with pytest.raises(DataError, match="rows 1, 2, 3, 4, 5 and 3 more have"):
        complete([[""] * 8])
    with pytest.raises(ConfigError, match="refuse or drop, found 'keep'"):
        complete(columns, "keep")  # type: ignore[arg-type]
