"""The benchmark of set intersection gives a full line; no test looks at how long anything takes."""

from __future__ import annotations

import io
import json

import pytest

from privity.bench.psi import OWNERS, keys_of, measure_psi
from privity.bench.suite import run_suite
from privity.errors import UsageError
from privity.psi.intersection import traffic


def test_a_line_of_the_suite() -> None:
    out = io.StringIO()
    run_suite("psi", json=True, link="memory", repeat=1, size=101, out=out)
    (line,) = [json.loads(text) for text in out.getvalue().splitlines()]
    assert (line["workload"], line["size"], line["protocol"], line["rounds"]) == ("psi", 101, "KKRT16", 6)
    for sent, payload in zip(line["bytes_sent"], traffic(101, 101, 50), strict=True):
        assert 0 < sent - payload < 1000


def test_two_processes_send_what_two_threads_do() -> None:
    tls, memory = (measure_psi(50, link, 1) for link in ("tls", "memory"))
    assert tls.bytes_sent == memory.bytes_sent and len(tls.bytes_sent) == len(OWNERS)


@pytest.mark.parametrize(("size", "link", "repeat"), [(1, "tls", 1), (10, "pigeon", 1), (10, "tls", 0)])
def test_what_cannot_be_measured_is_refused(size: int, link: str, repeat: int) -> None:
    with pytest.raises(UsageError):
        measure_psi(size, link, repeat)


@pytest.mark.parametrize("size", [2, 7, 100])
def test_half_of_the_keys_are_common(size: int) -> None:
    one, two = (keys_of(owner, size) for owner in range(2))
    assert len(set(one)) == len(set(two)) == size and len(set(one) & set(two)) == size // 2
