"""``result.json``: all that a demo found out, with units. The terminal summary and the report only show it."""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec

from .training import Newton as Newton
from .training import Training as Training


class Metric(msgspec.Struct, frozen=True):
    """A measure of ranking on the hold-out: each owner's own model, the secure joint one, scikit-learn on all rows."""

    alone: dict[str, float]
    joint: float
    centralised: float


class Gain(msgspec.Struct, frozen=True):
    """What an owner gains by joining (joint - alone) with a paired 95 % bootstrap interval."""

    gain: float
    low: float
    high: float


class Coefficient(msgspec.Struct, frozen=True):
    """One coefficient of the secure model and of the same fit in float64, on standardised features."""

    name: str
    secure: float
    plain: float


class InferenceLine(msgspec.Struct, frozen=True):
    """One coefficient of a model with standard errors: the secure run beside statsmodels on the same rows in the clear.

    Coefficients are on standardised features; z and p follow from the opened coefficient and standard error in float64.
    odds_ratio: per standard deviation, with its 95 % interval.
    """

    name: str
    coefficient: float
    standard_error: float
    z: float
    p: float
    odds_ratio: float
    odds_ratio_low: float
    odds_ratio_high: float
    plain_coefficient: float
    plain_standard_error: float
    plain_z: float

    @staticmethod
    def of(name: str, coefficient: float, error: float, plain: float, plain_error: float) -> InferenceLine:
        """All that follows from the two coefficients and their standard errors."""
        z, reach = coefficient / error, 1.959963984540054 * error
        return InferenceLine(
            name, coefficient, error, z, math.erfc(abs(z) / math.sqrt(2.0)), math.exp(coefficient),
            math.exp(coefficient - reach), math.exp(coefficient + reach), plain, plain_error, plain / plain_error,
        )  # fmt: skip


class TreesLine(msgspec.Struct, frozen=True):
    """Boosted trees on shares and (plain) in the clear on pooled rows: ROC AUC on ``left_out`` rows, seconds to train.

    Of the secure run the seconds include thresholds, bins and the predictions of the rows left out.
    """

    rounds: int
    depth: int
    bins: int
    left_out: int
    auc: float
    plain_auc: float
    wall_s: float
    plain_wall_s: float


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """How good the joint model is, and how near to the same computation in the clear.

    auc_difference_to_centralised: |joint - centralised|. auc_same_loop: of the float64 loop. max_coef_difference: the
    largest |secure - plain| over all coefficients, on standardised features.
    """

    auc: Metric
    average_precision: Metric
    auc_gain: dict[str, Gain]
    average_precision_gain: dict[str, Gain]
    auc_difference_to_centralised: float
    auc_same_loop: float
    max_coef_difference: float
    coefficients: list[Coefficient]


class PartyCost(msgspec.Struct, frozen=True):
    """What one process spent: CPU seconds (user and system), bytes put on the wire with headers and tags, rounds."""

    party: str
    role: Literal["compute", "owner", "receiver"]
    cpu_s: float
    bytes_sent: int
    rounds: int


class ViewSummary(msgspec.Struct, frozen=True):
    """What one party saw, and whether it could be told from noise.

    messages, bytes: all it received. tested_messages: those long enough for the test. smallest_p: of all tests (None:
    nothing was tested); p_after_correction: the same, times the number of tests (Bonferroni), at most 1. verdict: one
    sentence.
    """

    party: str
    role: Literal["compute", "owner", "receiver"]
    messages: int
    bytes: int
    tested_messages: int
    smallest_p: float | None
    p_after_correction: float | None
    verdict: str


class OpeningLine(msgspec.Struct, frozen=True):
    """One line of the ledger: what was opened, its shape, to whom, how often and why."""

    name: str
    shape: tuple[int, ...]
    to: tuple[str, ...]
    reason: str
    count: int = 1


class StageCost(msgspec.Struct, frozen=True):
    """One section of the program at the first compute party: seconds, rounds, and bytes that it sent."""

    name: str
    wall_s: float
    rounds: int
    bytes_sent: int


class DemoResult(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a demo.

    demo: which one. train_wall_s: from shares in place to trained shares. wall_s: from the first process started to
    the last one ended. cpu_s: of all compute parties together. bytes_sent: per compute party, in their order. rounds:
    of the compute parties, all phases. plain_wall_s: of the fit in the clear, its best of several times (banks: the
    same loop in NumPy; hospitals: scikit-learn by Newton's method). steps: of the fit. rows: per owner. features:
    columns without the label. parties: every process. views: empty if no view was recorded. protocol and security: one
    sentence each from the protocol's card. kernels: the build of the native kernels. machine: processor, cores,
    memory. date: start, ISO 8601 with time zone. versions: of Privity, Python and the libraries used. linked_rows:
    that all owners have, where rows were linked. inference: coefficients with standard errors. on_shares: metrics of
    the training rows, computed on shares and in the clear. stages: of the program. trees: boosted trees on the same
    rows.
    """

    demo: Literal["banks", "hospitals"] = "banks"
    evaluation: Evaluation
    training: Training | Newton
    steps: int
    rows: dict[str, int]
    holdout_rows: int
    features: int
    train_wall_s: float
    wall_s: float
    cpu_s: float
    bytes_sent: list[int]
    rounds: int
    plain_wall_s: float
    parties: list[PartyCost]
    openings: list[OpeningLine]
    views: list[ViewSummary]
    protocol: str
    security: str
    kernels: str
    machine: str
    date: str
    versions: dict[str, str]
    linked_rows: int | None = None
    inference: list[InferenceLine] = []
    on_shares: dict[str, tuple[float, float]] = {}
    stages: list[StageCost] = []
    trees: TreesLine | None = None

    @property
    def slowdown(self) -> float:
        """Wall time of the secure training over that of the same loop in NumPy."""
        return self.train_wall_s / max(self.plain_wall_s, 1e-9)

    def to_mapping(self) -> dict[str, Any]:
        """As in ``result.json``: the evaluation's fields stand beside the others, and ``slowdown`` is added."""
        mapping: dict[str, Any] = msgspec.to_builtins(self)
        evaluation: dict[str, Any] = mapping.pop("evaluation")
        return {**evaluation, **mapping, "slowdown": self.slowdown}

    def to_json(self) -> str:
        """``result.json``: UTF-8, two spaces of indentation, a newline at the end."""
        return msgspec.json.format(msgspec.json.encode(self.to_mapping()), indent=2).decode() + "\n"


def read_result(text: str | bytes) -> DemoResult:
    """The inverse of ``to_json``. Raises msgspec.ValidationError for anything else."""
    mapping: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
    mapping.pop("slowdown", None)
    evaluation = {name: mapping.pop(name) for name in Evaluation.__struct_fields__ if name in mapping}
    return msgspec.convert({**mapping, "evaluation": evaluation}, DemoResult)
