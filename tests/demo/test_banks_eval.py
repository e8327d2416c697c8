"""The plaintext side of the banks demo against scikit-learn and against first principles."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from privity.data import read_table
from privity.demo.banks_data import BankFiles
from privity.demo.banks_eval import (
    Model,
    Rows,
    evaluate,
    fit_alone,
    moments,
    pool,
    same_loop,
    sgd_logistic,
    sigmoid,
    standardise,
)
from privity.demo.banks_program import BANKS_TRAINING
from privity.demo.bootstrap import RankedScores, paired_gains
from privity.demo.result import Training
from privity.errors import ShapeError
from privity.ml.linear import batch_order, learning_rate

Floats = npt.NDArray[np.float64]


def batches(rows: int, training: Training) -> list[npt.NDArray[np.int64]]:
    return batch_order(rows, training.batch, training.epochs, training.seed)


def synthetic(rows: int, seed: int) -> Rows:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows, 3)) * [1.0, 5.0, 0.1] + [0.0, 2.0, -1.0]
    log_odds = x @ [1.0, -0.2, 4.0] + 4.0
    return x, (generator.random(rows) < sigmoid(log_odds)).astype(np.float64)


def test_sigmoid_is_exact_and_does_not_overflow() -> None:
    x = np.array([-1e4, -2.0, 0.0, 2.0, 1e4])
    np.testing.assert_allclose(sigmoid(x), [0, 1 / (1 + np.exp(2)), 0.5, 1 / (1 + np.exp(-2)), 1], atol=1e-15)


def test_a_step_is_the_gradient_of_the_stated_loss() -> None:
    x, y = synthetic(8, 1)
    training = msgspec.structs.replace(BANKS_TRAINING, epochs=1, batch=8, learning_rate=1e-6, final_learning_rate=1e-6)
    weight = np.where(y > 0, training.class_weight[1], training.class_weight[0])
    share = (weight * y).sum() / weight.sum()
    begin = np.append(np.zeros(3), np.log(share / (1 - share)))
    step = (sgd_logistic(x, y, training, order=[np.arange(8)]) - begin) / 1e-6  # minus the gradient at the start

    def loss(coef: Floats) -> float:
        z = x @ coef[:-1] + coef[-1]
        return float(np.mean(weight * (np.logaddexp(0, z) - y * z)) + training.l2 / 2 * np.sum(coef[:-1] ** 2))

    for index in range(4):
        nudge = np.zeros(4)
        nudge[index] = 1e-6
        assert step[index] == pytest.approx(-(loss(begin + nudge) - loss(begin - nudge)) / 2e-6, abs=1e-6)


def test_the_intercept_is_not_penalised() -> None:
    x, y = np.zeros((64, 1)), np.ones(64)
    y[:16] = 0.0
    training = msgspec.structs.replace(
        BANKS_TRAINING, epochs=400, batch=64, l2=10.0, class_weight=(1.0, 1.0), learning_rate=1.0
    )
    assert sgd_logistic(x, y, training)[-1] == pytest.approx(np.log(3), abs=1e-3)


def test_batches_cover_an_epoch_without_repeats() -> None:
    training = msgspec.structs.replace(BANKS_TRAINING, epochs=3, batch=10)
    order = batches(35, training)
    assert len(order) == 9
    assert {len(rows) for rows in order} == {10}
    assert len(np.unique(np.concatenate(order[:3]))) == 30
    assert [rows.tolist() for rows in order] == [rows.tolist() for rows in batches(35, training)]
    assert [len(rows) for rows in batches(4, training)] == [4, 4, 4]


def test_learning_rates_fall_in_a_line() -> None:
    assert [learning_rate(1.0, 0.0, k, 5) for k in range(5)] == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert learning_rate(1.0, 0.0, 0, 1) == 1.0


def test_wrong_shapes_are_refused() -> None:
    x, y = synthetic(8, 1)
    with pytest.raises(ShapeError, match=r"\(8, 3\) and \(7,\)"):
        sgd_logistic(x, y[:7], BANKS_TRAINING)
    with pytest.raises(ShapeError, match="rows of 3 features"):
        Model(np.zeros(4), np.zeros(3), np.ones(3)).decision(x[:, :2])
    with pytest.raises(ShapeError, match="3 coefficients"):
        model = Model(np.zeros(3), np.zeros(2), np.ones(2))
        evaluate(["a", "b", "c"], {"a": (x, y)}, (x, y), model, model, BANKS_TRAINING)


def test_constant_columns_do_not_divide_by_zero() -> None:
    mean, sd = moments(np.ones((5, 2)))
    assert standardise(np.ones((5, 2)), mean, sd).tolist() == [[0.0, 0.0]] * 5


@pytest.mark.parametrize("ties", [False, True])
def test_resampled_metrics_are_scikit_learns(ties: bool) -> None:
    generator = np.random.default_rng(3)
    y = (generator.random(200) < 0.3).astype(np.float64)
    scores = generator.normal(size=200) + y
    scores = np.round(scores) if ties else scores
    counts = generator.integers(0, 4, size=(5, 200)).astype(np.float64)
    auc, precision = RankedScores(y, scores).metrics(counts)
    for row, found_auc, found_precision in zip(counts, auc, precision, strict=True):
        drawn = np.repeat(np.arange(200), row.astype(int))
        assert found_auc == pytest.approx(roc_auc_score(y[drawn], scores[drawn]), abs=1e-12)
        assert found_precision == pytest.approx(average_precision_score(y[drawn], scores[drawn]), abs=1e-12)


def test_intervals_cover_a_real_gain_and_doubt_a_false_one() -> None:
    generator = np.random.default_rng(4)
    y = (generator.random(1000) < 0.3).astype(np.float64)
    good, bad = generator.normal(size=1000) + 2 * y, generator.normal(size=1000) + 0.5 * y
    gains = paired_gains(y, good, {"worse": bad, "same": good * 2 + 1}, resamples=300)
    assert 0 < gains.auc["worse"].low < gains.auc["worse"].gain < gains.auc["worse"].high
    assert gains.auc["same"].low == gains.auc["same"].gain == gains.auc["same"].high == 0.0
    assert gains.average_precision["worse"].low > 0


def test_evaluation_names_everything() -> None:
    banks = {f"bank_{k}": synthetic(300, k) for k in range(3)}
    loop = same_loop(banks, BANKS_TRAINING)
    joint = Model(loop.coef + 1e-4 * np.array([1, -2, 0, 1]), loop.mean, loop.sd)
    found = evaluate(["a", "b", "c"], banks, synthetic(500, 9), joint, loop, BANKS_TRAINING, resamples=50)
    assert set(found.auc.alone) == set(found.auc_gain) == set(banks)
    assert found.max_coef_difference == pytest.approx(2e-4)
    assert [line.name for line in found.coefficients] == ["a", "b", "c", "(intercept)"]
    assert found.auc_gain["bank_1"].gain == pytest.approx(found.auc.joint - found.auc.alone["bank_1"], abs=1e-12)
    precision = found.average_precision
    assert found.average_precision_gain["bank_1"].gain == pytest.approx(precision.joint - precision.alone["bank_1"])


def test_the_loop_reaches_the_centralised_auc_on_the_real_data(bank_files: BankFiles) -> None:
    schema = bank_files.schema
    banks: dict[str, Rows] = {}
    for name, path in bank_files.banks.items():
        values = read_table(path, schema, name).values
        banks[name] = (values[:, :-1], values[:, -1])
    held = read_table(bank_files.holdout, schema, "holdout").values
    loop = same_loop(banks, BANKS_TRAINING)
    centralised = fit_alone(*pool(banks), BANKS_TRAINING)
    best = roc_auc_score(held[:, -1], centralised.decision(held[:, :-1]))
    assert best == pytest.approx(0.7672, abs=5e-4)
    assert roc_auc_score(held[:, -1], loop.decision(held[:, :-1])) == pytest.approx(best, abs=1e-3)
    assert np.max(np.abs(loop.coef - centralised.coef)) < 0.05
