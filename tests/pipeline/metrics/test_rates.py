"""EER, AUC and minDCF against plain loops, closed forms and scikit-learn, and what ties and broken input do to them."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pipeline.errors import ScoreError
from pipeline.metrics import equal_error_rate, min_dcf, roc_auc, roc_curve


def naive_auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Share of (genuine, impostor) pairs in the right order, ties half."""
    right = 0.0
    genuine, impostors = scores[labels == 1], scores[labels == 0]
    for same in genuine:
        for other in impostors:
            right += 1.0 if same > other else 0.5 if same == other else 0.0
    return 100.0 * right / (len(genuine) * len(impostors))


def naive_eer(scores: np.ndarray, labels: np.ndarray) -> float:
    """Every threshold from strict to lax; the crossing of both error rates on the chord that holds it."""
    accepts, rejects = 0.0, 1.0
    for threshold in sorted(set(scores), reverse=True):
        new_accepts = np.mean(scores[labels == 0] >= threshold)
        new_rejects = np.mean(scores[labels == 1] < threshold)
        if new_accepts >= new_rejects:
            rise, fall = new_accepts - accepts, rejects - new_rejects
            return 100.0 * (accepts + rise * (rejects - accepts) / (rise + fall))
        accepts, rejects = new_accepts, new_rejects
    raise AssertionError("the last threshold accepts everything")


def random_trials(seed: int, count: int, decimals: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % 3 == 0).astype(int)
    scores = rng.normal(size=count) + labels
    return (scores if decimals is None else scores.round(decimals)), labels


@pytest.mark.parametrize("decimals", [None, 1, 0])
@pytest.mark.parametrize("seed", range(5))
def test_rates_equal_those_of_plain_loops_with_and_without_ties(seed: int, decimals: int | None) -> None:
    scores, labels = random_trials(seed, 61, decimals)
    assert equal_error_rate(scores, labels) == pytest.approx(naive_eer(scores, labels), abs=1e-9)
    assert roc_auc(scores, labels) == pytest.approx(naive_auc(scores, labels), abs=1e-9)


@pytest.mark.parametrize("decimals", [None, 2])
def test_auc_equals_scikit_learns(decimals: int | None) -> None:
    scores, labels = random_trials(7, 5000, decimals)
    assert roc_auc(scores, labels) == pytest.approx(100 * roc_auc_score(labels, scores), abs=1e-9)


def test_two_shifted_normals_give_their_closed_form() -> None:
    rng, count, shift = np.random.default_rng(0), 200_000, 1.5
    labels = np.arange(count) % 2
    scores = rng.normal(size=count) + shift * labels
    assert equal_error_rate(scores, labels) == pytest.approx(22.663, abs=0.3)  # 100 Phi(-shift / 2)
    assert roc_auc(scores, labels) == pytest.approx(85.558, abs=0.3)  # 100 Phi(shift / sqrt 2)


def test_perfect_scores_give_no_error_and_inverted_ones_all() -> None:
    scores, labels = [4.0, 3.0, 2.0, 1.0], [1, 1, 0, 0]
    assert (equal_error_rate(scores, labels), roc_auc(scores, labels)) == (0.0, 100.0)
    assert (equal_error_rate(scores, labels[::-1]), roc_auc(scores, labels[::-1])) == (100.0, 0.0)


@pytest.mark.parametrize("labels", [[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 0, 0]])
def test_constant_scores_are_chance_in_whatever_order_they_arrive(labels: list[int]) -> None:
    assert (equal_error_rate([0.3] * 4, labels), roc_auc([0.3] * 4, labels)) == (50.0, 50.0)


def test_order_of_trials_changes_nothing_even_among_ties() -> None:
    scores, labels = random_trials(3, 400, 1)
    order = np.lexsort((-labels, scores))  # genuine first among equals: what a naive sort would profit from
    assert equal_error_rate(scores[order], labels[order]) == equal_error_rate(scores, labels)
    assert roc_auc(scores[order], labels[order]) == roc_auc(scores, labels)


def test_tie_between_genuine_and_impostor_earns_less_than_a_win() -> None:
    assert roc_auc([2.0, 1.0, 1.0, 0.0], [1, 1, 0, 0]) == pytest.approx(87.5)
    assert equal_error_rate([2.0, 1.0, 1.0, 0.0], [1, 1, 0, 0]) == pytest.approx(25.0)


def test_monotone_transforms_of_scores_change_nothing() -> None:
    scores, labels = random_trials(5, 300)
    assert equal_error_rate(np.tanh(scores), labels) == equal_error_rate(scores, labels)
    assert roc_auc(np.tanh(scores), labels) == roc_auc(scores, labels)


def test_labels_may_be_booleans_integers_or_floats() -> None:
    scores, labels = random_trials(2, 50)
    rates = {equal_error_rate(scores, labels.astype(kind)) for kind in (bool, np.int8, float)}
    assert rates == {equal_error_rate(scores, labels)}


def test_curve_runs_from_none_to_all_with_one_point_for_each_distinct_score() -> None:
    curve = roc_curve([3.0, 2.0, 2.0, 1.0], [1, 1, 0, 0])
    assert curve.thresholds.tolist() == [np.inf, 3.0, 2.0, 1.0]
    assert curve.true_accepts.tolist() == [0.0, 0.5, 1.0, 1.0]
    assert curve.false_accepts.tolist() == [0.0, 0.0, 0.5, 1.0]


@pytest.mark.parametrize("rate", [equal_error_rate, roc_auc])
@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([0.1, np.nan], [1, 0], r"1 of 2 scores are not finite, first: nan at \(1,\)"),
        ([np.inf, 0.0], [1, 0], "not finite"),
        ([0.1, 0.2], [1, 1], "all 2 trials are genuine"),
        ([0.1, 0.2], [0, 0], "all 2 trials are impostor"),
        ([0.1, 0.2, 0.3], [1, 0], "of one length"),
        ([[0.1, 0.2]], [[1, 0]], "one row each"),
        ([], [], "no trials"),
        ([0.1, 0.2], [1, -1], "label .*-1.* at trial 1"),
        ([0.1, 0.2], [1, np.nan], "label .*nan.* at trial 1"),
    ],
)
def test_trials_without_a_rate_are_refused(rate: object, scores: list[float], labels: list[int], message: str) -> None:
    assert callable(rate)
    with pytest.raises(ScoreError, match=message):
        rate(scores, labels)


@pytest.mark.parametrize("prior", [0.01, 0.05, 0.5, 0.9])
def test_least_cost_equals_that_of_a_loop_over_thresholds(prior: float) -> None:
    scores, labels = random_trials(1, 200, 1)
    costs = []
    for threshold in [*sorted(set(scores)), np.inf]:
        misses = np.mean(scores[labels == 1] < threshold)
        alarms = np.mean(scores[labels == 0] >= threshold)
        costs.append(prior * misses + (1 - prior) * alarms)
    assert min_dcf(scores, labels, prior) == pytest.approx(min(costs) / min(prior, 1 - prior), abs=1e-12)


def test_scores_that_decide_nothing_cost_one_and_perfect_ones_nothing() -> None:
    assert min_dcf([1.0, 1.0, 1.0], [1, 0, 0], 0.05) == 1.0
    assert min_dcf([2.0, 1.0, 1.0], [1, 0, 0], 0.05) == 0.0


def test_one_kind_of_trial_has_no_cost() -> None:
    with pytest.raises(ScoreError, match="genuine"):
        min_dcf([1.0, 2.0], [1, 1], 0.05)
