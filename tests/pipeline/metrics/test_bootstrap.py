"""Identity-clustered intervals: equal to copying trials out by hand, true to fresh samples of people, and quick."""

from statistics import NormalDist

import numpy as np
import pytest

from pipeline.errors import ScoreError
from pipeline.metrics import (
    IdentityResamples,
    equal_error_rate,
    mean_interval,
    min_dcf,
    roc_auc,
    verification_intervals,
)
from pipeline.metrics.bootstrap import FEWEST_PEOPLE, WeightedTrials

Trials = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def sample_trials(rng: np.random.Generator, people: int, count: int, own: float = 0.8) -> Trials:
    """Scores, labels, left and right people of trials whose scores depend on who takes part."""
    labels = np.arange(count) % 2
    left = rng.integers(0, people, count)
    right = np.where(labels == 1, left, (left + rng.integers(1, people, count)) % people)
    ease = rng.normal(scale=own, size=people)
    return rng.normal(size=count) + 1.5 * labels + ease[left] + ease[right], labels, left, right


PRIOR = 0.05  # of a genuine trial in minDCF


@pytest.mark.parametrize("decimals", [9, 1, 0])
@pytest.mark.parametrize("prior", [0.01, 0.5, 0.9])
def test_weighted_rates_equal_those_of_trials_copied_out(decimals: int, prior: float) -> None:
    scores, labels, left, right = sample_trials(np.random.default_rng(decimals), 12, 300)
    scores = scores.round(decimals)
    weights = IdentityResamples(left, 20, seed=1).multiplicities  # (I, R)
    rates = WeightedTrials(scores, labels, left, right).rates(weights, prior)
    for column, drawn in enumerate(weights.T):
        copies = np.where(labels == 1, drawn[left], drawn[left] * drawn[right])
        kept, truth = np.repeat(scores, copies), np.repeat(labels, copies)
        assert rates[0, column] == pytest.approx(equal_error_rate(kept, truth), abs=1e-9)
        assert rates[1, column] == pytest.approx(roc_auc(kept, truth), abs=1e-9)
        assert rates[2, column] == pytest.approx(min_dcf(kept, truth, prior), abs=1e-12)


def test_interval_is_as_wide_as_fresh_samples_of_people_differ() -> None:
    rng = np.random.default_rng(0)
    fresh, clustered = [], []
    for seed in range(120):
        scores, labels, left, right = sample_trials(rng, 60, 3000)
        fresh.append(roc_auc(scores, labels))
        if seed < 20:
            bounds = verification_intervals(
                scores, labels, left, right, IdentityResamples(left, 200, seed), 0.95, PRIOR
            )
            assert bounds is not None
            clustered.append((bounds.auc.high - bounds.auc.low) / (2 * 1.96))
    truth = np.std(fresh)
    assert 0.75 * truth < np.mean(clustered) < 1.5 * truth
    unclustered = 100 * np.sqrt(0.8 * 0.2 / 1500)  # what independent trials would suggest, at most
    assert np.mean(clustered) > 1.5 * unclustered


def test_interval_holds_the_rate_and_is_the_same_for_the_same_seed() -> None:
    scores, labels, left, right = sample_trials(np.random.default_rng(3), 40, 2000)
    first, again, other = (
        verification_intervals(scores, labels, left, right, IdentityResamples(left, 300, seed), 0.95, PRIOR)
        for seed in (0, 0, 1)
    )
    assert first is not None
    assert first == again != other
    assert first.eer.low < equal_error_rate(scores, labels) < first.eer.high
    assert first.auc.low < roc_auc(scores, labels) < first.auc.high
    assert first.min_dcf.low < min_dcf(scores, labels, PRIOR) < first.min_dcf.high


def test_intervals_of_several_models_are_those_of_a_plain_loop_over_resamples_and_models() -> None:
    rng = np.random.default_rng(4)
    scores, labels, left, right = sample_trials(rng, 30, 1000)
    resamples = IdentityResamples(left, 70, seed=0)
    models = np.stack([scores, scores + rng.normal(size=1000)])
    bounds = verification_intervals(models, labels, left, right, resamples, 0.9, PRIOR)
    assert bounds is not None
    found = []
    for drawn in resamples.multiplicities.T:
        copies = [drawn[a] if same else drawn[a] * drawn[b] for same, a, b in zip(labels, left, right, strict=True)]
        truth = np.repeat(labels, copies)
        rows = [np.repeat(row, copies) for row in models]
        rates = [(equal_error_rate(row, truth), roc_auc(row, truth), min_dcf(row, truth, PRIOR)) for row in rows]
        found.append(np.mean(rates, axis=0))
    for column, interval in enumerate((bounds.eer, bounds.auc)):
        expected = np.quantile([rates[column] for rates in found], [0.05, 0.95])
        assert [interval.low, interval.high] == pytest.approx(expected.tolist(), abs=1e-9)
    low, high = np.quantile([rates[2] for rates in found], [0.05, 0.95])
    least = np.mean([min_dcf(row, labels, PRIOR) for row in models])
    expected_cost = [min(2 * least - high, least), min(1.0, 2 * least - low)]
    assert [bounds.min_dcf.low, bounds.min_dcf.high] == pytest.approx(expected_cost, abs=1e-9)


def test_interval_of_min_dcf_leans_up_where_a_minimum_over_few_trials_leans_down() -> None:
    """Rates of many people are the truth; of a few, a minimum over thresholds is too low, and lower when resampled."""
    rng = np.random.default_rng(8)
    large = sample_trials(rng, 3000, 60_000)
    truth = min_dcf(large[0], large[1], PRIOR)
    held, plain = 0, 0
    for seed in range(40):
        scores, labels, left, right = sample_trials(rng, 20, 600)
        resamples = IdentityResamples(left, 200, seed)
        bounds = verification_intervals(scores, labels, left, right, resamples, 0.95, PRIOR)
        assert bounds is not None
        assert 0.0 <= bounds.min_dcf.low <= min_dcf(scores, labels, PRIOR) <= bounds.min_dcf.high <= 1.0
        held += bounds.min_dcf.low <= truth <= bounds.min_dcf.high
        costs = WeightedTrials(scores, labels, left, right).rates(resamples.multiplicities, PRIOR)[2]
        low, high = np.quantile(costs, [0.025, 0.975])
        plain += low <= truth <= high
    assert held >= 34, "of forty 95 % intervals"
    assert plain <= 24, "which is why percentiles are not taken"


def test_scores_that_separate_everybody_and_scores_that_separate_nobody_have_the_cost_they_must() -> None:
    labels, left, right = round_robin(12)
    resamples = IdentityResamples(left, 200, 0)
    for scores, cost in ((labels, 0.0), (np.zeros(24), 1.0)):
        bounds = verification_intervals(scores, labels, left, right, resamples, 0.95, PRIOR)
        assert bounds is not None
        assert (bounds.min_dcf.low, bounds.min_dcf.high) == (cost, cost)


def round_robin(people: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and both people of one genuine and one impostor trial of each person."""
    left = np.repeat(np.arange(people), 2)
    return np.tile([1, 0], people), left, np.where(np.arange(2 * people) % 2 == 0, left, (left + 1) % people)


@pytest.mark.parametrize("people", range(2, 8))
def test_too_few_people_get_no_interval_rather_than_one_without_width(people: int) -> None:
    labels, left, right = round_robin(people)
    scores = np.random.default_rng(1).normal(size=len(labels))
    resamples = IdentityResamples(left, 200, 0)
    # With five people in a ring, 4 % of the resamples hold no two neighbours.
    expected = people >= FEWEST_PEOPLE
    assert (verification_intervals(scores, labels, left, right, resamples, 0.95, PRIOR) is not None) == expected
    assert (mean_interval(labels, left, resamples, 0.95) is not None) == expected


def test_no_interval_where_many_resamples_are_without_impostors() -> None:
    labels, left, right = round_robin(12)
    only = (labels == 1) | (left == 0)  # the impostors are all of persons 0 and 1
    resamples = IdentityResamples(left, 200, 0)
    scores = np.random.default_rng(2).normal(size=len(labels))
    assert verification_intervals(scores, labels, left, right, resamples, 0.95, PRIOR) is not None
    assert verification_intervals(scores[only], labels[only], left[only], right[only], resamples, 0.95, PRIOR) is None


def test_people_who_are_not_resampled_are_refused() -> None:
    resamples = IdentityResamples(["ann", "bob"], 10, seed=0)
    with pytest.raises(ScoreError, match="'zoe' is not among"):
        resamples.codes(["ann", "zoe"])
    with pytest.raises(ScoreError, match="0 identities"):
        IdentityResamples([], 10, seed=0)


def test_matching_interval_equals_copying_probes_out() -> None:
    rng = np.random.default_rng(5)
    probes, hits = rng.integers(0, 8, 200), rng.random((3, 200)) < 0.7
    resamples = IdentityResamples(probes, 100, seed=0)
    accuracies = []
    for drawn in resamples.multiplicities.T:
        copies = drawn[resamples.codes(probes)]
        accuracies.append(100 * np.mean([np.repeat(row, copies).mean() for row in hits]))
    bounds = mean_interval(hits, probes, resamples, 0.95)
    assert bounds is not None
    assert [bounds.low, bounds.high] == pytest.approx(np.quantile(accuracies, [0.025, 0.975]).tolist())


def test_scores_that_decide_nothing_cost_one_in_every_resample() -> None:
    labels, left = np.array([1, 0] * 10), np.repeat(np.arange(10), 2)
    flat = WeightedTrials(np.zeros(20), labels, left, np.where(labels == 1, left, (left + 1) % 10))
    weights = IdentityResamples(left, 30, seed=0).multiplicities
    usable = np.isfinite(rates := flat.rates(weights, PRIOR))[2]
    assert usable.any()
    np.testing.assert_allclose(rates[2, usable], 1.0, rtol=1e-12)


def test_interval_of_a_voxceleb_sized_list_holds_the_rates_of_the_population() -> None:
    scores, labels, left, right = sample_trials(np.random.default_rng(6), 250, 30_496)
    bounds = verification_intervals(scores, labels, left, right, IdentityResamples(left, 1000, 0), 0.95, PRIOR)
    assert bounds is not None
    assert bounds.eer.low < equal_error_rate(scores, labels) < bounds.eer.high < bounds.eer.low + 10
    assert bounds.auc.low < roc_auc(scores, labels) < bounds.auc.high < bounds.auc.low + 10
    # Scores are normal: a genuine pair has one person's ease twice, an impostor pair two people's.
    genuine, impostors = 1.0 + (2 * 0.8) ** 2, 1.0 + 2 * 0.8**2
    eer = 100 * NormalDist().cdf(-1.5 / (genuine**0.5 + impostors**0.5))
    auc = 100 * NormalDist().cdf(1.5 / (genuine + impostors) ** 0.5)
    for interval, truth in ((bounds.eer, eer), (bounds.auc, auc)):
        assert interval.low < truth < interval.high
        assert interval.high - interval.low < 8.0


def test_resample_without_genuine_trials_is_nan_and_leaves_the_others_alone() -> None:
    scores, labels = [0.9, 0.8, 0.2, 0.7, 0.6], [1, 1, 1, 0, 0]
    left, right = np.array([0, 0, 1, 0, 1]), np.array([0, 0, 1, 2, 2])
    trials = WeightedTrials(scores, labels, left, right)
    weights = np.array([[1, 0, 2], [1, 0, 1], [1, 3, 1]], dtype=np.int32)  # nobody of the second column speaks
    together = trials.rates(weights, PRIOR)
    assert np.isnan(together[:, 1]).all()
    for column in (0, 2):
        np.testing.assert_array_equal(together[:, column], trials.rates(weights[:, [column]], PRIOR)[:, 0])
