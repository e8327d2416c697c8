"""Every workload at a small size gives right results and a full line; no test looks at how long anything takes."""

from __future__ import annotations

import io
import json
import tomllib
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from privity.bench.ideal import Ideal, product, sign
from privity.bench.measure import WrongResult, job_text, measure
from privity.bench.result import BenchResult, heading, line
from privity.bench.suite import run_suite
from privity.bench.workloads import WORKLOADS, find
from privity.errors import UsageError
from privity.jobs.job import JobSpec

SMALL = {
    "matmul": 5, "logistic": 96, "glm": 600, "boosting": 300, "small-tree": 300, "large-tree": 300, "latency": 3,
    "latency-any": 40, "cholesky": 6, "mlp": 40, "latency-mlp": 1, "latency-softmax": 1,
    "random-forest": 1000, "decision-tree": 600,
}  # fmt: skip
FIELDS = {
    "workload", "size", "protocol", "link", "wall_s", "cpu_s", "bytes_sent", "rounds", "max_abs_error",
    "plain_wall_s", "plain_cpu_s", "ideal_s", "share_s", "open_s", "repeat", "kernels", "machine",
}  # fmt: skip


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_workload_over_the_memory_link(name: str) -> None:
    out = io.StringIO()
    run_suite(name, json=True, link="memory", repeat=1, size=SMALL.get(name, 70), out=out)
    (entry,) = [json.loads(text) for text in out.getvalue().splitlines()]
    assert set(entry) >= FIELDS
    assert entry["workload"] == name and entry["link"] == "memory" and entry["protocol"] == "Rep3"
    assert entry["max_abs_error"] <= WORKLOADS[name].tolerance
    assert len(entry["bytes_sent"]) == 3 and min(entry["bytes_sent"]) > 0 and entry["rounds"] > 0
    assert ("p50_ms" in entry and "p99_ms" in entry) is name.startswith("latency")
    assert all(entry[field] > 0 for field in FIELDS if field.endswith("_s"))


def test_three_processes_over_tls() -> None:
    result = measure(WORKLOADS["mul"], 64, "tls", 2)
    in_memory = measure(WORKLOADS["mul"], 64, "memory", 2)
    assert result.link == "tls" and result.max_abs_error <= 1e-3
    assert result.rounds == in_memory.rounds
    assert result.bytes_sent == in_memory.bytes_sent
    assert max(result.bytes_sent) > 64 * 10.25  # headers and tags count


def test_sizes_that_a_workload_names_are_all_measured() -> None:
    assert WORKLOADS["matmul"].sizes == (512, 1024)
    assert find("all") == tuple(w for w in WORKLOADS.values() if w.name != "large-tree")  # which takes minutes


@pytest.mark.parametrize(
    ("name", "link", "repeat", "size", "says"),
    [
        ("juggle", "memory", None, None, "no workload 'juggle'; there are: mul, compare"),
        ("mul", "carrier pigeon", None, 4, "--link: expected one of tls, memory"),
        ("mul", "memory", 0, 4, "--repeat: expected at least 1, got 0"),
        ("mul", "memory", None, 0, "--size: mul needs at least 1, got 0"),
        ("logistic", "memory", None, 10, "--size: logistic needs at least 64"),
    ],
)
def test_wrong_words_are_refused(name: str, link: str, repeat: int | None, size: int | None, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        run_suite(name, json=True, link=link, repeat=repeat, size=size, out=io.StringIO())


def test_a_wrong_result_is_no_result() -> None:
    broken = replace(WORKLOADS["mul"], tolerance=1e-12)
    with pytest.raises(WrongResult, match="differs from float64"):
        measure(broken, 50, "memory", 1)


def test_the_job_file_is_what_the_parties_read() -> None:
    workload = WORKLOADS["compare"]
    spec = msgspec.convert(tomllib.loads(job_text(workload, 8, 3, workload.inputs(8))), JobSpec)
    assert spec.parameters == {"workload": "compare", "size": 8, "repeat": 3}
    assert spec.openings[0].count == 4 and spec.openings[0].shape == (8,) and spec.openings[0].to == "compute_0"
    assert spec.arrays["x"].bound == workload.inputs(8)["x"].bound


def test_inputs_are_the_same_at_every_call() -> None:
    for name, workload in WORKLOADS.items():
        first, second = (workload.inputs(SMALL.get(name, 70)) for _ in range(2))
        assert first.keys() == second.keys()
        for key in first:
            np.testing.assert_array_equal(first[key].values, second[key].values)


def test_the_ideal_adds_up() -> None:
    assert product(2_000_000).seconds > product(1_000_000).seconds
    assert (Ideal(rounds=2) + Ideal(rounds=1)).times(2) == Ideal(rounds=6)
    assert sign(1).rounds == 8 and sign(1_000_000).rounds == 63  # small batches pay for rounds, big ones for bytes
    assert sign(1_000_000, 25).seconds < sign(1_000_000).seconds


def _result(**change: object) -> BenchResult:
    fields: dict[str, object] = dict(
        workload="mul", size=10, protocol="Rep3", link="tls", wall_s=0.5, cpu_s=1.5, bytes_sent=[100, 90, 95], rounds=3,
        max_abs_error=1e-5, plain_wall_s=0.25, plain_cpu_s=0.5, ideal_s=0.125, share_s=0.1, open_s=0.1, repeat=3,
        kernels="pure", machine="abacus", elements=10,
    )  # fmt: skip
    return msgspec.convert({**fields, **change}, BenchResult)


def test_the_line_for_people() -> None:
    text = line(_result())
    assert "10.00" in text  # bytes per element, of the party that sends most
    assert text.split()[-3:] == ["2.0", "3.0", "4.0"]  # ratios to NumPy (wall, CPU) and to the ideal
    assert "p50 1.00 ms, p99 2.00 ms" in line(_result(p50_ms=1.0, p99_ms=2.0))


def test_the_pure_build_warns() -> None:
    assert "WARNING" in heading("pure", "abacus")
    assert "WARNING" not in heading("native avx2", "abacus")
