"""``result.json``: all that the banks demo found out, with units. The terminal summary and the report only show it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Public hyper-parameters of the logistic regression, the same for the secure and the plaintext loop.

    epochs: passes over the rows. batch: rows per step. learning_rate, final_learning_rate: of the first and the last
    step, in a straight line between. l2: strength of |coef|^2 / 2 beside the *mean* loss. class_weight: of label 0 and
    label 1. seed: of the public order of the rows.
    """

    epochs: int
    batch: int
    learning_rate: float
    final_learning_rate: float
    l2: float
    class_weight: tuple[float, float]
    seed: int


class Metric(msgspec.Struct, frozen=True):
    """A measure of ranking on the hold-out: each bank's own model, the secure joint one, scikit-learn on all rows."""

    alone: dict[str, float]
    joint: float
    centralised: float


class Gain(msgspec.Struct, frozen=True):
    """What a bank gains by joining (joint - alone) with a paired 95 % bootstrap interval."""

    gain: float
    low: float
    high: float


class Coefficient(msgspec.Struct, frozen=True):
    """One coefficient of the secure model and of the same loop in float64, on standardised features."""

    name: str
    secure: float
    plain: float


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


class BanksResult(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the banks demo.

    train_wall_s: from shares in place to trained shares. wall_s: from the first process started to the last one ended.
    cpu_s: of all compute parties together. bytes_sent: per compute party, in their order. rounds: of the compute
    parties, all phases. plain_wall_s: of the same loop in NumPy float64. steps: of SGD. rows: per bank. features:
    columns without the label. parties: every process. views: empty if no view was recorded. protocol and security: one
    sentence each from the protocol's card. kernels: the build of the native kernels. machine: processor, cores,
    memory. date: start, ISO 8601 with time zone. versions: of Privity, Python and the libraries used.
    """

    evaluation: Evaluation
    training: Training
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


def read_result(text: str | bytes) -> BanksResult:
    """The inverse of ``to_json``. Raises msgspec.ValidationError for anything else."""
    mapping: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
    mapping.pop("slowdown", None)
    evaluation = {name: mapping.pop(name) for name in Evaluation.__struct_fields__ if name in mapping}
    return msgspec.convert({**mapping, "evaluation": evaluation}, BanksResult)
