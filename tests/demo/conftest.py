"""The demo's real data, if its package is installed (``make test`` installs it), and an invented result to show."""

from __future__ import annotations

import importlib.metadata
import math
from pathlib import Path

import msgspec
import pytest

from privity.demo import support2
from privity.demo.banks_data import PACKAGE, BankFiles, prepare_banks
from privity.demo.hospitals_data import HOSPITALS, HospitalFiles, prepare_hospitals
from privity.demo.result import (
    Coefficient,
    DemoResult,
    Evaluation,
    Gain,
    InferenceLine,
    Metric,
    Newton,
    OpeningLine,
    PartyCost,
    StageCost,
    Training,
    ViewSummary,
)


def wanted(package: str) -> None:
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"the demo's data package {package} is not installed")


@pytest.fixture(scope="session")
def bank_files(tmp_path_factory: pytest.TempPathFactory) -> BankFiles:
    wanted(PACKAGE)
    folder: Path = tmp_path_factory.mktemp("banks")
    return prepare_banks(folder)


@pytest.fixture(scope="session")
def hospital_files(tmp_path_factory: pytest.TempPathFactory) -> HospitalFiles:
    wanted(support2.PACKAGE)
    folder: Path = tmp_path_factory.mktemp("hospitals")
    return prepare_hospitals(folder)


@pytest.fixture
def result() -> DemoResult:
    """A plausible run, without running one."""
    gains = {"bank_a": Gain(0.0114, 0.0057, 0.0175), "bank_b": Gain(0.0132, 0.0063, 0.0201)}
    gains |= {"bank_c": Gain(0.0092, 0.0045, 0.0139), "bank_d": Gain(0.0046, 0.0018, 0.0074)}
    gains |= {"bank_e": Gain(-0.0008, -0.0038, 0.0020)}
    alone = {bank: 0.7672 - gain.gain for bank, gain in gains.items()}
    names = [*(f"MONTHS_LATE_{k}" for k in range(1, 29)), "(intercept)"]
    evaluation = Evaluation(
        auc=Metric(alone, 0.7672, 0.7673),
        average_precision=Metric({bank: value - 0.25 for bank, value in alone.items()}, 0.5212, 0.5213),
        auc_gain=gains,
        average_precision_gain=gains,
        auc_difference_to_centralised=0.0001,
        auc_same_loop=0.76716,
        max_coef_difference=3.2e-4,
        coefficients=[
            Coefficient(name, math.sin(3.0 * k) / 2 + 3e-4 * math.cos(5.0 * k), math.sin(3.0 * k) / 2)
            for k, name in enumerate(names)
        ],
    )
    compute = [PartyCost(f"compute_{k}", "compute", 7.5 + k / 10, 152_000_000 + k, 4321) for k in range(3)]
    owners = [PartyCost(bank, "owner", 0.6, 2_800_000, 4) for bank in gains]
    return DemoResult(
        evaluation=evaluation,
        training=Training(5, 1024, 0.75, 0.03125, 0.01, (0.625, 2.25), 2005),
        steps=115,
        rows=dict(zip(gains, (6088, 3854, 4902, 4379, 4777), strict=True)),
        holdout_rows=6000,
        features=28,
        train_wall_s=4.21,
        wall_s=11.9,
        cpu_s=22.8,
        bytes_sent=[152_000_000, 152_000_001, 152_000_002],
        rounds=4321,
        plain_wall_s=0.048,
        parties=[*compute, *owners],
        openings=[OpeningLine("coefficients", (29,), tuple(gains), "the model that the banks trained")],
        views=[
            ViewSummary("compute_0", "compute", 8642, 152_000_000, 8200, 1.3e-4, 1.0, "looks like noise"),
            ViewSummary("bank_a", "owner", 3, 700, 0, None, None, "too little to test"),
        ],
        protocol="replicated secret sharing over 64-bit integers (Araki et al. 2016).",
        security="semi-honest parties, at most one of three corrupted.",
        kernels="native, AVX-512",
        machine="AMD EPYC, 2 cores, 8 GB",
        date="2026-11-23T10:00:00+00:00",
        versions={"privity": "0.1.0", "python": "3.11.9", "numpy": "2.4.6"},
    )


@pytest.fixture
def hospitals_result(result: DemoResult) -> DemoResult:
    """A plausible run of the other demo: linked rows, 47 coefficients with standard errors, sections."""
    gains = {"hospital_1": Gain(0.142, 0.120, 0.164), "hospital_2": Gain(0.044, 0.032, 0.056)}
    gains |= {"hospital_3": Gain(0.338, 0.309, 0.368)}
    names = [*(f"diagnosis_group {k} with a long name" for k in range(46)), "(intercept)"]
    plain = [math.sin(3.0 * k) / 2 for k in range(47)]
    inference = [InferenceLine.of(n, x + 1e-5, 0.04, x, 0.04) for n, x in zip(names, plain, strict=True)]
    alone = {hospital: 0.8559 - gain.gain for hospital, gain in gains.items()}
    evaluation = msgspec.structs.replace(
        result.evaluation,
        auc=Metric(alone, 0.8559, 0.8559),
        average_precision=Metric(alone, 0.8670, 0.8670),
        auc_gain=gains,
        average_precision_gain=gains,
        coefficients=[Coefficient(line.name, line.coefficient, line.plain_coefficient) for line in inference],
    )
    compute = result.parties[:3]
    owners = [PartyCost(hospital, "owner", 0.8, 1_600_000, 0) for hospital in HOSPITALS]
    everybody = tuple(p.party for p in [*compute, *owners])
    return msgspec.structs.replace(
        result,
        demo="hospitals",
        evaluation=evaluation,
        training=Newton(7, 16.0),
        steps=7,
        rows=dict(zip(HOSPITALS, (6921, 6428, 6694), strict=True)),
        parties=[*compute, *owners],
        openings=[
            OpeningLine("range guard", (), everybody, "values stayed within their stated bounds", 3),
            OpeningLine("linked rows", (), everybody, "number of rows in common"),
            OpeningLine("model", (2, 47), HOSPITALS, "coefficients and standard errors"),
        ],
        linked_rows=5608,
        inference=inference,
        on_shares={"ROC AUC": (0.86075, 0.86074)},
        stages=[StageCost("linking patients", 0.45, 268, 37_000_000)],
    )
