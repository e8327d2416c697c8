"""Metrics on shares against scikit-learn and SciPy on real data with ties, masks and weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as plain
from sklearn.calibration import calibration_curve as plain_calibration
from sklearn.datasets import load_breast_cancer, load_diabetes

import privity as pv
from privity.errors import RangeViolated, ShapeError, UsageError
from privity.ml import metrics
from privity.openings import RANGE_GUARD
from privity.session import Session

X, Y = load_breast_cancer(return_X_y=True)
SCORE = np.round((X[:, 0].max() - X[:, 0]) / 22, 2).clip(0, 1)
assert len(np.unique(SCORE)) < 80  # many ties
GUESS = SCORE > 0.62
RNG = np.random.default_rng(0)
VALID = (RNG.random(len(Y)) < 0.7).astype(int)
WEIGHT = RNG.integers(0, 3, len(Y)) / 2 + 0.25
GIVEN = {
    "y": pv.Input(Y, 1), "score": pv.Input(SCORE, 1.0), "guess": GUESS, "valid": pv.Input(VALID, 1),
    "weight": pv.Input(WEIGHT, 4.0),
}  # fmt: skip


def run(fn: Any, given: dict[str, Any] = GIVEN, **settings: Any) -> Any:
    """What fn(secrets) returns, opened; a list of secret arrays or one."""

    def program(s: Session) -> Any:
        out = fn({name: s.secret(name, "bank") for name in given})
        many = [s.reveal(v, to="all", name="m", reason="test") for v in (out if isinstance(out, list) else [out])]
        return many if isinstance(out, list) else many[0]

    return pv.simulate(program, inputs={"bank": given}, **settings).output


BY_CLASS = ("accuracy_score", "precision_score", "recall_score", "f1_score", "confusion_matrix")
BY_SCORE = ("log_loss", "brier_score_loss", "roc_auc_score", "average_precision_score")
BY_VALUE = ("mean_squared_error", "mean_absolute_error", "r2_score", "root_mean_squared_error")


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("weighted", ["no", "secret", "public"])
def test_as_scikit_learn(masked: bool, weighted: str) -> None:
    def fn(x: dict[str, pv.SecureArray]) -> list[pv.SecureArray]:
        words: dict[str, Any] = {"valid": x["valid"] if masked else None}
        words["sample_weight"] = {"no": None, "secret": x["weight"], "public": WEIGHT}[weighted]
        by_class = [getattr(metrics, m)(x["y"], x["guess"], **words) for m in BY_CLASS]
        return by_class + [getattr(metrics, m)(x["y"], x["score"], **words) for m in BY_SCORE + BY_VALUE]

    weight = np.ones(len(Y)) if weighted == "no" else WEIGHT
    rows = VALID > 0 if masked else np.ones(len(Y), bool)
    for name, got in zip(BY_CLASS + BY_SCORE + BY_VALUE, run(fn, check_range=True), strict=True):
        other = GUESS if name in BY_CLASS else SCORE
        want = getattr(plain, name)(Y[rows], other[rows], sample_weight=weight[rows])
        np.testing.assert_allclose(got, want, atol=2e-5, err_msg=name)


def test_regression_metrics_on_values_far_from_one() -> None:
    x, y = load_diabetes(return_X_y=True)
    guess = np.round(y * 0.4 + 300 * x[:, 2] + 90, 1)

    def fn(v: dict[str, pv.SecureArray]) -> list[pv.SecureArray]:
        return [getattr(metrics, name)(v["y"], v["p"]) for name in BY_VALUE] + [
            metrics.r2_score(v["y"], v["p"] * 0 + 9.0), metrics.r2_score(v["p"] * 0 + 1.0, v["p"])
        ]  # fmt: skip

    got = run(fn, {"y": pv.Input(y, 400.0), "p": pv.Input(guess, 512.0)}, check_range=True)
    for name, value in zip(BY_VALUE, got[:4], strict=True):
        np.testing.assert_allclose(value, getattr(plain, name)(y, guess), rtol=2e-5, err_msg=name)
    np.testing.assert_allclose(got[4], plain.r2_score(y, np.full(len(y), 9.0)), rtol=1e-4)
    assert got[5] == 0.0  # truths are all equal


def test_confusion_matrix_and_accuracy_of_several_classes() -> None:
    truth, guess = RNG.integers(0, 4, 200), RNG.integers(0, 4, 200)
    given = {"t": pv.Input(truth, 3), "g": pv.Input(guess, 3)}

    def fn(v: dict[str, pv.SecureArray]) -> list[pv.SecureArray]:
        return [metrics.confusion_matrix(v["t"], v["g"], classes=4), metrics.accuracy_score(v["t"], v["g"])]

    matrix, accuracy = run(fn, given)
    np.testing.assert_array_equal(matrix, plain.confusion_matrix(truth, guess))
    np.testing.assert_allclose(accuracy, (truth == guess).mean(), atol=1e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_ks_is_that_of_scipy(masked: bool) -> None:
    rows = VALID > 0 if masked else np.ones(len(Y), bool)
    got = run(lambda x: metrics.ks_statistic(x["y"], x["score"], valid=x["valid"] if masked else None))
    want = stats.ks_2samp(SCORE[rows & (Y == 1)], SCORE[rows & (Y == 0)]).statistic
    np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("bins", [1, 4, 10])
def test_calibration(bins: int) -> None:
    def program(s: Session) -> Any:
        x = {name: s.secret(name, "bank") for name in ("y", "score", "valid")}
        curve = metrics.calibration_curve(x["y"], x["score"], n_bins=bins, valid=x["valid"])
        words: Any = {"to": "all", "reason": "test"}
        return curve.open(name="curve", **words), s.reveal(curve.counts, name="n", **words), curve.open_counts(
            name="counts", **words
        )

    rows = VALID > 0
    opened, counts, released = pv.simulate(program, inputs={"bank": GIVEN}).output
    true, pred = plain_calibration(Y[rows], SCORE[rows], n_bins=bins)
    full = counts > 0
    want = np.full((2, bins), np.nan)
    want[:, full] = true, pred
    want[:, counts < 10] = np.nan
    np.testing.assert_allclose(opened, want, atol=1e-5)
    assert counts.sum() == rows.sum()
    assert (np.isnan(released) | (released == counts)).all() and (released[~np.isnan(released)] >= 10).all()


# -- concordance -----------------------------------------------------------------------------------------------------


def concordance(times: Any, scores: Any, events: Any) -> float:
    """The definition, pair by pair."""
    right = pairs = 0.0
    for i in np.flatnonzero(events):
        later = (times > times[i]) | ((times == times[i]) & (events == 0))
        pairs += later.sum()
        right += (scores[later] > scores[i]).sum() + 0.5 * (scores[later] == scores[i]).sum()
    return right / pairs if pairs else metrics.UNDEFINED


@pytest.mark.parametrize("n", [1, 2, 5, 64, 200])
def test_concordance(n: int) -> None:
    times, events = RNG.integers(1, max(3, n // 5), n), (RNG.random(n) < 0.6).astype(int)
    scores, valid = (times / 10 + RNG.normal(size=n)).round(1), (RNG.random(n) < 0.8).astype(int)
    given = {"t": pv.Input(times, 100), "e": pv.Input(events, 1), "s": scores, "v": pv.Input(valid, 1)}

    def fn(x: dict[str, pv.SecureArray]) -> list[pv.SecureArray]:
        return [metrics.concordance_index(x["t"], x["s"], x["e"], valid=v) for v in (None, x["v"])]

    got = run(fn, given, check_range=True)
    real = valid > 0
    want = [concordance(times, scores, events), concordance(times[real], scores[real], events[real])]
    np.testing.assert_allclose(got, want, atol=1e-5)


# -- permutation importance ------------------------------------------------------------------------------------------


class Rule:
    """Predicts 1 where column 1 is positive; the other columns do not matter."""

    def predict(self, x: pv.SecureArray) -> pv.SecureArray:
        return x[:, 1] > 0


@pytest.mark.parametrize("masked", [False, True])
def test_importance_is_that_of_the_column_that_matters(masked: bool) -> None:
    x = RNG.normal(size=(300, 3))
    valid = (RNG.random(300) < 0.6).astype(int)
    x[valid == 0] = 0.0 if masked else x[valid == 0]
    y = (x[:, 1] > 0).astype(int)

    def fn(v: dict[str, pv.SecureArray]) -> list[pv.SecureArray]:
        mask = v["v"] if masked else None
        found = metrics.permutation_importance(Rule(), v["x"], v["y"], scoring="accuracy", n_repeats=8, valid=mask)
        return [found.score, found.importances, found.importances_mean, found.importances_std]

    given = {"x": pv.Input(x, 8.0), "y": pv.Input(y, 1), "v": pv.Input(valid, 1)}
    score, losses, mean, std = run(fn, given)
    np.testing.assert_allclose(score, 1.0, atol=1e-5)
    np.testing.assert_allclose(losses[[0, 2]], 0.0, atol=1e-5)
    # The share of rows that an order moves to the other answer: six of its standard deviations, and in eight orders the
    # same share each time only once in 10^6.
    real = valid > 0 if masked else valid >= 0
    ones, rows = y[real].mean(), int(real.sum())
    share = 2 * ones * (1 - ones)
    assert (np.abs(losses[1] - share) < 6 * share / np.sqrt(rows - 1)).all() and len(set(losses[1])) > 1
    np.testing.assert_allclose(mean, losses.mean(1), atol=1e-4)
    np.testing.assert_allclose(std, losses.std(1), atol=1e-3)


# -- what cannot be computed -----------------------------------------------------------------------------------------


def test_one_class_only_is_a_value_and_no_error() -> None:
    for label in (0, 1):
        given = {"y": pv.Input(np.full(20, label), 1), "s": SCORE[:20], "v": pv.Input(np.zeros(20, int), 1)}
        found = run(
            lambda x: [
                metrics.roc_auc_score(x["y"], x["s"]),
                metrics.ks_statistic(x["y"], x["s"]),
                metrics.average_precision_score(x["y"], x["s"]),
                metrics.recall_score(x["y"], x["s"] > 2),
                metrics.accuracy_score(x["y"], x["s"] > 2, valid=x["v"]),
                metrics.roc_auc_score(x["y"], x["s"], valid=x["v"]),
            ],
            given,
        )
        np.testing.assert_allclose(found, [-1, -1, label, 0, 0, -1], atol=1e-5)


def test_constant_scores_rank_nothing() -> None:
    given = {"y": pv.Input(Y[:50], 1), "s": np.full(50, 0.25)}
    found = run(lambda x: [metrics.roc_auc_score(x["y"], x["s"]), metrics.ks_statistic(x["y"], x["s"])], given)
    np.testing.assert_allclose(found, [0.5, 0.0], atol=1e-5)


@pytest.mark.parametrize("name", [*BY_CLASS, *BY_SCORE, *BY_VALUE, "ks_statistic"])
def test_shapes_are_checked(name: str) -> None:
    metric = getattr(metrics, name)
    with pytest.raises(ShapeError, match="n > 0"):
        run(lambda x: metric(x["y"][:0], x["score"][:0]))
    with pytest.raises(ShapeError, match="n > 0"):
        run(lambda x: metric(x["y"], x["score"][:-1]))
    with pytest.raises(ShapeError, match="expected valid of shape"):
        run(lambda x: metric(x["y"], x["score"], valid=x["valid"][:-1]))
    with pytest.raises(ShapeError, match="expected sample_weight of shape"):
        run(lambda x: metric(x["y"], x["score"], sample_weight=WEIGHT[:-1]))


def test_weights_below_zero() -> None:
    with pytest.raises(UsageError, match="at least 0"):
        run(lambda x: metrics.brier_score_loss(x["y"], x["score"], sample_weight=WEIGHT - 1))
    with pytest.raises(RangeViolated):
        run(lambda x: metrics.brier_score_loss(x["y"], x["score"], sample_weight=x["weight"] - 1))


def test_labels_and_probabilities_out_of_range() -> None:
    given = {"y": pv.Input(np.array([0, 1, 2]), 5), "p": np.array([0.5, 0.5, 1.5])}
    with pytest.raises(RangeViolated):
        run(lambda x: metrics.roc_auc_score(x["y"], x["p"]), given)
    with pytest.raises(RangeViolated):
        run(lambda x: metrics.log_loss(x["y"] > 0, x["p"]), given)
    with pytest.raises(UsageError, match=r"y_true > 0\.5"):
        run(lambda x: metrics.roc_auc_score(x["p"], x["p"]), given)


def test_cost_of_the_auc() -> None:
    """A sort and about seventy rounds, whatever the number of ties; nothing but the result is opened."""

    labels = np.asarray(Y, bool)

    def rounds(score: np.ndarray, y: np.ndarray = labels) -> int:
        given = {"y": y, "score": pv.Input(score, 1.0)}
        result = pv.simulate(_auc, inputs={"bank": given})
        opened = [o["name"] for o in result.opened]
        assert opened == (["auc"] if y.dtype == bool else [RANGE_GUARD, "auc"])  # integers are tested to be labels
        return result.rounds

    def sorting(s: Session) -> None:
        pv.sort_by(-s.secret("score", "bank"), [s.secret("y", "bank")] * 3)

    alone = pv.simulate(sorting, inputs={"bank": GIVEN}).rounds
    assert abs(rounds(SCORE) - rounds(np.linspace(0, 1, len(Y)))) <= 40
    assert rounds(SCORE) - alone <= 110
    assert rounds(SCORE, Y) - rounds(SCORE) <= 20


def _auc(s: Session) -> Any:
    value = metrics.roc_auc_score(s.secret("y", "bank"), s.secret("score", "bank"))
    return s.reveal(value, to="all", name="auc", reason="test")


@pytest.mark.parametrize(("bound", "scale"), [(1e9, 18), (1e11, 18), (1e9, 2)])
def test_loose_bounds_of_predictions_do_not_matter(bound: float, scale: int) -> None:
    rng = np.random.default_rng(3)
    y = rng.normal(600, 270, 100)
    found = y + rng.normal(0, 100, 100)
    found = np.ldexp(np.rint(np.ldexp(found, scale)), -scale)

    def program(s: pv.Session) -> Any:
        y, p = s.secret("y", "a"), s.secret("p", "a")
        values = metrics.r2_score(y, p), metrics.root_mean_squared_error(y, p)
        return [float(s.reveal(v, to="all", name="value", reason="test")) for v in values]

    given = {"y": pv.Input(y, bound=1e4, scale=30), "p": pv.Input(found, bound=bound, scale=scale)}
    got = pv.simulate(program, inputs={"a": given}).output
    want = [plain.r2_score(y, found), plain.root_mean_squared_error(y, found)]
    np.testing.assert_allclose(got, want, rtol=1e-4)


@pytest.mark.parametrize("scale", [1.0, 1e5, 3e10])
def test_weighted_means_keep_their_digits(scale: float) -> None:
    """A relative 2^-24 and two units, whatever the size and however rows are weighed."""
    n = 200
    y = np.rint(RNG.normal(size=n) * scale * 2.0**18) / 2.0**18
    p = np.rint((y + RNG.normal(size=n) * scale) * 2.0**18) / 2.0**18
    w, keep = RNG.integers(0, 9, n) / 4, RNG.random(n) < 0.6
    bound = float(np.abs([y, p]).max()) * 2
    given = {"y": pv.Input(y, bound), "p": pv.Input(p, bound), "w": pv.Input(w, 4.0), "v": pv.Input(keep)}

    def fn(x: dict[str, pv.SecureArray]) -> list[pv.SecureArray]:
        each: list[dict[str, Any]] = [{}, {"valid": x["v"]}, {"sample_weight": x["w"]}, {"sample_weight": w}]
        return [metrics.mean_absolute_error(x["y"], x["p"], **words) for words in each]

    off = np.abs(p - y)
    want = [off.mean(), off[keep].mean(), np.average(off, weights=w), np.average(off, weights=w)]
    for got, right in zip(run(fn, given), want, strict=True):
        assert abs(got - right) <= 2.0**-24 * right + 2 * 2.0**-18


def test_rows_of_weight_zero_have_no_say() -> None:
    """R2 of truths that are equal where they count is 0, exactly; errors elsewhere take no digits."""
    y, p = np.full(40, -136923.5), np.full(40, -136923.5)
    y[:5], p[5:20] = 9e5, -136920.25
    w = np.r_[np.zeros(5), np.full(35, 1.5)]
    given = {"y": pv.Input(y, 1e6), "p": pv.Input(p, 1e6), "w": pv.Input(w, 2.0), "v": pv.Input(w > 0)}

    def fn(x: dict[str, pv.SecureArray]) -> list[pv.SecureArray]:
        each: list[dict[str, Any]] = [{"valid": x["v"]}, {"sample_weight": x["w"]}, {"sample_weight": w}]
        pair = x["y"], x["p"]
        return [m(*pair, **words) for m in (metrics.r2_score, metrics.root_mean_squared_error) for words in each]

    got = run(fn, given)
    assert got[:3] == [0.0, 0.0, 0.0]
    right = float(np.sqrt(np.mean((p - y)[5:] ** 2)))
    np.testing.assert_allclose(got[3:], right, rtol=2.0**-15, atol=2.0**-17)


def test_r2_of_equal_truths_is_zero_without_weights() -> None:
    y = np.full(30, 77.7)
    given = {"y": pv.Input(y, 1e6), "p": pv.Input(y + np.arange(30), 1e6)}
    assert run(lambda x: [metrics.r2_score(x["y"], x["y"]), metrics.r2_score(x["y"], x["p"])], given) == [0.0, 0.0]


@pytest.mark.parametrize("size", [1e-7, 1e-3, 3.7, 1e12])
def test_public_weights_of_any_size_keep_their_digits(size: float) -> None:
    weight = np.random.default_rng(4).random(len(Y)) * size
    names = ("roc_auc_score", "average_precision_score", "brier_score_loss")
    got = run(lambda v: [getattr(metrics, m)(v["y"], v["score"], sample_weight=weight) for m in names])
    scores = np.round(SCORE * 2**18) / 2**18
    want = [getattr(plain, m)(Y, scores, sample_weight=weight) for m in names]
    np.testing.assert_allclose(got, want, atol=2e-5)


def test_weights_of_a_confusion_matrix_keep_their_bits_under_loose_bounds() -> None:
    weight = np.random.default_rng(5).random(len(Y))
    given = {"y": pv.Input(Y, 1), "guess": GUESS, "w": pv.Input(weight, 1e6)}
    got = run(lambda v: metrics.confusion_matrix(v["y"], v["guess"], sample_weight=v["w"]), given)
    want = plain.confusion_matrix(Y, GUESS, sample_weight=weight)
    assert np.abs(got - want).max() <= 2.0**-19 * len(Y)


@pytest.mark.parametrize("weighted", [False, True])
def test_log_loss_of_several_classes(weighted: bool) -> None:
    rng = np.random.default_rng(6)
    truth, chance = rng.integers(0, 3, 200), rng.dirichlet([1.0, 1.0, 1.0], 200)
    chance[:3] = np.eye(3)[truth[:3]]  # sure, and right
    weight = rng.integers(0, 3, 200) if weighted else None
    given = {"t": pv.Input(truth, 2), "p": pv.Input(chance, 1.0)}
    got = run(lambda v: metrics.log_loss(v["t"], v["p"], sample_weight=weight), given)
    seen = np.round(chance * 2**18) / 2**18
    assert abs(got - np.average(-np.log(seen[np.arange(200), truth]), weights=weight)) < 2.0**-16


@pytest.mark.parametrize("score", [metrics.accuracy_score, metrics.roc_auc_score, metrics.mean_squared_error])
def test_weights_that_are_all_0_are_refused(score: Any) -> None:
    """Public ones before anything is sent; secret ones by a guard, also where only padding has weight."""
    y, p = np.arange(12) % 2, np.linspace(0, 1, 12)
    real = (np.arange(12) < 9).astype(np.int64)

    def program(s: pv.Session, weight: Any, mask: bool) -> Any:
        labels = s.secret("y", "o")
        found = labels if score is metrics.accuracy_score else s.secret("p", "o")
        valid = {"valid": s.secret("v", "o")} if mask else {}
        given = weight if weight is not None else s.secret("w", "o")
        return s.reveal(score(labels, found, sample_weight=given, **valid), to="all", name="score", reason="test")

    def run(w: Any, weight: Any = None, mask: bool = False) -> float:
        given = {"y": y, "p": pv.Input(p, 1.0), "v": real, "w": pv.Input(w, 2.0)}
        return float(pv.simulate(lambda s: program(s, weight, mask), inputs={"o": given}).output)

    with pytest.raises(UsageError, match=f"{score.__name__}: sample_weight is 0 in every row"):
        run(np.ones(12), np.zeros(12))
    says = f"{score.__name__}: sample_weight is above 0 in some row that counts"
    for w, mask in ((np.zeros(12), False), (1.0 - real, True)):
        with pytest.raises(RangeViolated, match=says):
            run(w, mask=mask)
    tiny = np.where(np.isin(np.arange(12), (2, 3)), 2.0**-9, 0.0)
    assert np.isfinite(run(tiny))


def test_an_average_by_weights_that_are_all_0_is_refused() -> None:
    def run(w: Any, axis: int | None = None) -> Any:
        def program(s: pv.Session) -> Any:
            found = np.average(s.secret("x", "o"), axis=axis, weights=s.secret("w", "o"))
            return s.reveal(found, to="all", name="average", reason="test")

        return pv.simulate(program, inputs={"o": {"x": pv.Input(x, 8.0), "w": w}}).output

    x = np.arange(6.0).reshape(3, 2)
    w = np.array([[0.0, 2.0], [0.0, 1.0], [0.0, 1.0]])
    assert abs(run(pv.Input(w, 2.0)) - np.average(x, weights=w)) < 1e-5
    for weights, axis in ((pv.Input(w, 2.0), 0), (pv.Input(0 * w, 2.0), None), (np.zeros((3, 2), bool), None)):
        with pytest.raises(RangeViolated, match="average: the weights of a mean are not all 0"):
            run(weights, axis)

    def public(s: pv.Session) -> None:
        with pytest.raises(UsageError, match="average: the weights add up to 0"):
            np.average(s.constant(x), weights=np.zeros((3, 2)))

    pv.simulate(public)


def test_secret_weights_without_digits_under_their_bound_are_refused() -> None:
    weight = np.random.default_rng(8).random(len(Y)) * 1e-3
    for bound, refused in ((1.0, False), (2.0**12, True)):
        given = {"y": pv.Input(Y, 1), "score": SCORE, "w": pv.Input(weight, bound)}
        if refused:
            with pytest.raises(RangeViolated, match=r"the mean of sample_weight is at least .* smaller bound"):
                run(lambda v: metrics.roc_auc_score(v["y"], v["score"], sample_weight=v["w"]), given)
        else:
            got = run(lambda v: metrics.roc_auc_score(v["y"], v["score"], sample_weight=v["w"]), given)
            assert abs(got - plain.roc_auc_score(Y, np.round(SCORE * 2**18) / 2**18, sample_weight=weight)) < 2e-3
