"""Cllr, its minimum and actual DCF against loops, closed forms and sklearn; their intervals against a naive loop."""

import math

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from pipeline.errors import ScoreError
from pipeline.metrics import (
    IdentityResamples,
    actual_dcf,
    cllr,
    least_cllr_interval,
    min_cllr,
    min_dcf,
    ratio_intervals,
)


def gaussians(count: int, distance: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores N(+-distance / 2, 1) of genuine and impostor trials, whose LLR is distance * score, and labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    return rng.normal(size=count) + distance * (labels - 0.5), labels


def naive_cllr(ratios: np.ndarray, labels: np.ndarray) -> float:
    genuine = [math.log2(1.0 + math.exp(-ratio)) for ratio, label in zip(ratios, labels, strict=True) if label == 1]
    impostors = [math.log2(1.0 + math.exp(ratio)) for ratio, label in zip(ratios, labels, strict=True) if label == 0]
    return 0.5 * (sum(genuine) / len(genuine) + sum(impostors) / len(impostors))


def naive_min_cllr(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Pool adjacent violators by hand: [genuine share, impostor share] blocks whose posterior must rise."""
    counts = np.ones(len(scores)) if weights is None else weights
    totals = [counts[labels == kind].sum() for kind in (1, 0)]
    blocks: list[list[float]] = []
    for score in np.unique(scores):
        right, wrong = (
            counts[(scores == score) & (labels == kind)].sum() / total
            for kind, total in zip((1, 0), totals, strict=True)
        )
        if right + wrong == 0.0:
            continue
        blocks.append([right, wrong])
        while len(blocks) > 1 and blocks[-2][0] * sum(blocks[-1]) >= blocks[-1][0] * sum(blocks[-2]):
            last = blocks.pop()
            blocks[-1] = [blocks[-1][0] + last[0], blocks[-1][1] + last[1]]
    bits = 0.0
    for right, wrong in blocks:
        posterior = right / (right + wrong)
        bits -= right * math.log2(posterior) if right else 0.0
        bits -= wrong * math.log2(1.0 - posterior) if wrong else 0.0
    return 0.5 * bits


@pytest.mark.parametrize("distance", [0.0, 1.0, 4.0])
def test_cllr_is_that_of_a_plain_loop(distance: float) -> None:
    scores, labels = gaussians(301, distance)
    assert cllr(2.0 * scores - 0.3, labels) == pytest.approx(naive_cllr(2.0 * scores - 0.3, labels), rel=1e-12)


def test_ratios_of_nothing_cost_one_bit_and_sure_right_ones_none() -> None:
    labels = np.array([1, 0, 0, 1, 0])
    assert cllr(np.zeros(5), labels) == pytest.approx(1.0)
    assert cllr(np.where(labels == 1, 800.0, -800.0), labels) == 0.0
    assert cllr(np.where(labels == 1, -800.0, 800.0), labels) == pytest.approx(800.0 / math.log(2.0))


@pytest.mark.parametrize("distance", [0.0, 1.0, 4.0])
@pytest.mark.parametrize("decimals", [1, 6])
def test_minimum_cllr_is_that_of_pooling_by_hand_and_of_sklearn(distance: float, decimals: int) -> None:
    scores, labels = gaussians(401, distance)
    scores = scores.round(decimals)  # 1: many ties
    found = min_cllr(scores, labels)
    assert found == pytest.approx(naive_min_cllr(scores, labels), abs=1e-12)
    weights = np.where(labels == 1, 0.5 / (labels == 1).sum(), 0.5 / (labels == 0).sum())
    posterior = IsotonicRegression(y_min=0.0, y_max=1.0).fit_transform(scores, labels, sample_weight=weights)
    with np.errstate(divide="ignore"):
        ratios = np.clip(np.log(posterior) - np.log1p(-posterior), -700.0, 700.0)
    assert found == pytest.approx(cllr(ratios, labels), abs=1e-9)


def test_minimum_cllr_does_not_change_under_a_rising_map_and_bounds_every_one() -> None:
    scores, labels = gaussians(500, 1.3)
    least = min_cllr(scores, labels)
    for rising in (np.exp, np.cbrt, lambda values: 3.0 * values - 7.0):
        assert min_cllr(rising(scores), labels) == pytest.approx(least, abs=1e-12)
        assert cllr(rising(scores), labels) >= least
    assert cllr(1.3 * scores, labels) >= least


def test_minimum_cllr_is_one_of_equal_scores_and_zero_of_separated_ones() -> None:
    labels = np.arange(20) % 2
    assert min_cllr(np.zeros(20), labels) == pytest.approx(1.0)
    assert min_cllr(labels.astype(float), labels) == 0.0


def test_true_ratios_of_many_trials_are_near_their_minimum() -> None:
    scores, labels = gaussians(200_000, 1.5)
    assert cllr(1.5 * scores, labels) - min_cllr(scores, labels) < 1e-3


@pytest.mark.parametrize("prior", [0.05, 0.5, 0.9])
def test_actual_dcf_is_that_of_a_plain_loop_and_no_lower_than_the_minimum(prior: float) -> None:
    scores, labels = gaussians(400, 2.0)
    ratios = 2.0 * scores
    threshold = -math.log(prior / (1.0 - prior))
    misses = np.mean([ratio < threshold for ratio in ratios[labels == 1]])
    alarms = np.mean([ratio >= threshold for ratio in ratios[labels == 0]])
    naive = (prior * misses + (1.0 - prior) * alarms) / min(prior, 1.0 - prior)
    found = actual_dcf(ratios, labels, prior)
    assert found == pytest.approx(naive, rel=1e-12)
    assert found >= min_dcf(scores, labels, prior) - 1e-12


def listed(people: int = 9, count: int = 300) -> tuple[np.ndarray, ...]:
    """Scores of two models, labels, and both people of each trial."""
    rng = np.random.default_rng(5)
    left = rng.integers(0, people, count)
    labels = np.arange(count) % 2
    right = np.where(labels == 1, left, (left + rng.integers(1, people, count)) % people)
    shift = rng.normal(size=people)
    scores = rng.normal(size=(2, count)) + 1.5 * labels + 0.4 * (shift[left] + shift[right])
    return scores.round(2), labels, left, right


def copied(resamples: IdentityResamples, number: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """How often each trial is in a resample."""
    times = resamples.multiplicities[:, number]
    return np.where(left == right, times[left], times[left] * times[right])


def test_intervals_are_those_of_trials_copied_out() -> None:
    scores, labels, left, right = listed()
    resamples = IdentityResamples(left, 150, seed=3)
    found = ratio_intervals(scores, labels, left, right, resamples, 0.9, 0.2)
    least = least_cllr_interval(scores, labels, left, right, resamples, 0.9)
    costs, dcfs, minima = [], [], []
    for number in range(150):
        copies = np.repeat(np.arange(len(labels)), copied(resamples, number, left, right))
        costs.append(np.mean([cllr(row[copies], labels[copies]) for row in scores]))
        dcfs.append(np.mean([actual_dcf(row[copies], labels[copies], 0.2) for row in scores]))
        minima.append(np.mean([min_cllr(row[copies], labels[copies]) for row in scores]))
    assert found is not None and least is not None
    assert (found.cllr.low, found.cllr.high) == pytest.approx(tuple(np.quantile(costs, [0.05, 0.95])), abs=1e-9)
    assert (found.actual_dcf.low, found.actual_dcf.high) == pytest.approx(
        tuple(np.quantile(dcfs, [0.05, 0.95])), abs=1e-9
    )
    own = float(np.mean([min_cllr(row, labels) for row in scores]))
    low, high = 2.0 * own - np.quantile(minima, [0.95, 0.05])
    assert (least.low, least.high) == pytest.approx((max(0.0, min(low, own)), min(1.0, max(high, own))), abs=1e-9)


@pytest.mark.parametrize(("confidence", "used"), [(0.95, 200), (0.99, 200), (0.995, 400)])
def test_interval_of_minimum_cllr_has_a_resample_beyond_each_end(confidence: float, used: int) -> None:
    scores, labels, left, right = listed()
    resamples = IdentityResamples(left, 450, seed=3)
    minima = []
    for number in range(used):
        copies = np.repeat(np.arange(len(labels)), copied(resamples, number, left, right))
        minima.append(np.mean([min_cllr(row[copies], labels[copies]) for row in scores]))
    own = float(np.mean([min_cllr(row, labels) for row in scores]))
    low, high = 2.0 * own - np.quantile(minima, [(1.0 + confidence) / 2.0, (1.0 - confidence) / 2.0])
    found = least_cllr_interval(scores, labels, left, right, resamples, confidence)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((max(0.0, min(low, own)), min(1.0, max(high, own))), abs=1e-9)


def test_minimum_cllr_of_weighted_trials_is_that_of_the_naive_pooling() -> None:
    scores, labels, left, right = listed()
    resamples = IdentityResamples(left, 5, seed=1)
    for number in range(5):
        weights = copied(resamples, number, left, right)
        copies = np.repeat(np.arange(len(labels)), weights)
        naive = naive_min_cllr(scores[0], labels, weights.astype(float))
        assert min_cllr(scores[0][copies], labels[copies]) == pytest.approx(naive, abs=1e-12)


def test_too_few_people_have_no_intervals() -> None:
    scores, labels, left, right = listed(people=4)
    resamples = IdentityResamples(left, 50, seed=0)
    assert ratio_intervals(scores, labels, left, right, resamples, 0.9, 0.2) is None
    assert least_cllr_interval(scores, labels, left, right, resamples, 0.9) is None


@pytest.mark.parametrize("figure", [cllr, min_cllr, lambda ratios, labels: actual_dcf(ratios, labels, 0.5)])
def test_trials_that_allow_no_rate_are_refused(figure) -> None:
    with pytest.raises(ScoreError, match="genuine"):
        figure(np.zeros(3), np.ones(3))
    with pytest.raises(ScoreError, match="finite"):
        figure(np.array([0.0, np.nan]), np.array([1, 0]))
