"""How the demos' models are fitted: public, in their programs and in ``result.json``."""

from __future__ import annotations

import msgspec


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="method", tag="sgd"):
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


class Newton(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="method", tag="newton"):
    """Public parameters of a fit by Newton's method: its number of steps, and the checked bound on coefficients."""

    steps: int
    coefficient_bound: float
