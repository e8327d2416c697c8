"""The scheme: which protocol a program, a job or a plan names, before there is a party."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

import privity as pv
from privity.errors import ConfigError, UsageError
from privity.jobs.job import load_job
from privity.mpc.rep3 import Link, Rep3
from privity.mpc.schemes import SCHEMES
from privity.testing import PROTOCOLS


@pytest.mark.parametrize("scheme", PROTOCOLS.values(), ids=list(PROTOCOLS))
def test_a_scheme_is_frozen_named_and_comparable(scheme: Any) -> None:
    again = dataclasses.replace(scheme)
    assert again == scheme and hash(again) == hash(scheme) and scheme.name and scheme.parties > 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        scheme.name = "other"


def test_options_tell_schemes_apart() -> None:
    assert len({Rep3(), Rep3(exact=True), Rep3(link=Link(one_way_s=0.1))}) == 3


@pytest.mark.parametrize("wrong", [Rep3, "Rep3", lambda party: None, None])
def test_what_is_no_scheme_is_refused(wrong: Any) -> None:
    with pytest.raises(UsageError, match=r"such as Rep3\(\) or Rep3\(exact=True\)"):
        pv.simulate(lambda s: None, protocol=wrong)
    with pytest.raises(UsageError, match=r"such as Rep3\(\) or Rep3\(exact=True\)"):
        pv.plan(lambda s: None, protocol=wrong)


def job(folder: Path, text: str) -> Any:
    path = folder / "job.toml"
    path.write_text('name = "t"\n' + text)
    return load_job(path)


def test_a_job_names_its_scheme(tmp_path: Path) -> None:
    assert job(tmp_path, "").scheme == job(tmp_path, 'protocol = "Rep3"').scheme == Rep3()
    given = job(tmp_path, "exact = true\n[link]\nrtt_ms = 20\nbandwidth_mbit = 100")
    assert given.scheme == Rep3(exact=True, link=Link(one_way_s=0.01, bytes_per_s=12.5e6))
    assert given.digest != job(tmp_path, "").digest


def test_a_job_with_a_protocol_that_is_not_known_is_refused(tmp_path: Path) -> None:
    for name in ("rep3", "InsecurePlain", "Rep4"):
        with pytest.raises(ConfigError, match=f"protocol = '{name}' is not known here; there is Rep3"):
            job(tmp_path, f'protocol = "{name}"')
    assert "InsecurePlain" not in SCHEMES
