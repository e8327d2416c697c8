"""The smallest group of which aggregates are opened: the largest that the job or a party states, at all parties."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from privity.errors import ConfigError, HandshakeError, PrivityError
from privity.jobs import run
from privity.jobs.job import JobSpec, load_job
from privity.net.memory import memory_network
from privity.net.wire import AllInputs

COMPUTE = ("c0", "c1", "c2")
NAMES = (*COMPUTE, "bank", "clinic")


def task(me: str, job: int, stated: int) -> Any:
    consortium = SimpleNamespace(
        compute=COMPUTE, names=NAMES, party=lambda name: SimpleNamespace(minimum_group=stated if name == me else 0)
    )
    return SimpleNamespace(me=me, consortium=consortium, job=JobSpec("j", minimum_group=job))


def agreed(job: int, **stated: int) -> dict[str, int]:
    network = memory_network(NAMES, idle_s=5)
    out: dict[str, int] = {}

    def party(me: str) -> None:
        out[me] = run._agree_on_inputs(task(me, job, stated.get(me, 0)), network[me], {})[1]

    threads = [threading.Thread(target=party, args=(n,)) for n in NAMES]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return out


def test_the_largest_counts_at_all_parties() -> None:
    assert agreed(10) == dict.fromkeys(NAMES, 10)
    assert agreed(10, clinic=25, c1=12, bank=3) == dict.fromkeys(NAMES, 25)


def test_a_party_that_is_told_less_than_it_stated_stops() -> None:
    network = memory_network(("c0", "c1", "c2", "clinic"), idle_s=5)
    caught: list[PrivityError] = []

    def clinic() -> None:
        try:
            run._agree_on_inputs(task("clinic", 10, 25), network["clinic"], {})
        except PrivityError as error:
            caught.append(error)

    thread = threading.Thread(target=clinic)
    thread.start()
    for c in COMPUTE:
        network[c].tell("clinic", AllInputs(inputs={}, minimum_group=10))
    thread.join()
    assert isinstance(caught[0], HandshakeError) and "none below 25" in str(caught[0])


def test_it_is_part_of_the_job_hash(tmp_path: Any) -> None:
    assert JobSpec("j").minimum_group == 10
    assert JobSpec("j").digest != JobSpec("j", minimum_group=11).digest
    path = tmp_path / "job.toml"
    path.write_text('name = "j"\nminimum_group = 0\n')
    with pytest.raises(ConfigError, match="minimum_group"):
        load_job(path)
