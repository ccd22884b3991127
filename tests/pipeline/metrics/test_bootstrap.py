"""Identity-clustered intervals: equal to copying trials out by hand, true to fresh samples of people, and quick."""

import numpy as np
import pytest

from pipeline.errors import ScoreError
from pipeline.metrics import (
    IdentityResamples,
    equal_error_rate,
    matching_interval,
    roc_auc,
    verification_intervals,
)
from pipeline.metrics.weighted import WeightedTrials

Trials = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def sample_trials(rng: np.random.Generator, people: int, count: int, own: float = 0.8) -> Trials:
    """Scores, labels, left and right people of trials whose scores depend on who takes part."""
    labels = np.arange(count) % 2
    left = rng.integers(0, people, count)
    right = np.where(labels == 1, left, (left + rng.integers(1, people, count)) % people)
    ease = rng.normal(scale=own, size=people)
    return rng.normal(size=count) + 1.5 * labels + ease[left] + ease[right], labels, left, right


@pytest.mark.parametrize("decimals", [9, 1, 0])
def test_weighted_rates_equal_those_of_trials_copied_out(decimals: int) -> None:
    scores, labels, left, right = sample_trials(np.random.default_rng(decimals), 12, 300)
    scores = scores.round(decimals)
    weights = IdentityResamples(left, 20, seed=1).multiplicities  # (I, R)
    rates = WeightedTrials(scores, labels, left, right).rates(weights)
    for column, drawn in enumerate(weights.T):
        copies = np.where(labels == 1, drawn[left], drawn[left] * drawn[right])
        kept, truth = np.repeat(scores, copies), np.repeat(labels, copies)
        assert rates[0, column] == pytest.approx(equal_error_rate(kept, truth), abs=1e-9)
        assert rates[1, column] == pytest.approx(roc_auc(kept, truth), abs=1e-9)


def test_interval_is_as_wide_as_fresh_samples_of_people_differ() -> None:
    rng = np.random.default_rng(0)
    fresh, clustered = [], []
    for seed in range(120):
        scores, labels, left, right = sample_trials(rng, 60, 3000)
        fresh.append(roc_auc(scores, labels))
        if seed < 20:
            bounds = verification_intervals(scores, labels, left, right, IdentityResamples(left, 200, seed), 0.95)
            assert bounds is not None
            clustered.append((bounds[1].high - bounds[1].low) / (2 * 1.96))
    truth = np.std(fresh)
    assert 0.75 * truth < np.mean(clustered) < 1.5 * truth
    unclustered = 100 * np.sqrt(0.8 * 0.2 / 1500)  # what independent trials would suggest, at most
    assert np.mean(clustered) > 1.5 * unclustered


def test_interval_holds_the_rate_and_is_the_same_for_the_same_seed() -> None:
    scores, labels, left, right = sample_trials(np.random.default_rng(3), 40, 2000)
    first, again, other = (
        verification_intervals(scores, labels, left, right, IdentityResamples(left, 300, seed), 0.95)
        for seed in (0, 0, 1)
    )
    assert first is not None
    assert first == again != other
    assert first[0].low < equal_error_rate(scores, labels) < first[0].high
    assert first[1].low < roc_auc(scores, labels) < first[1].high


def test_several_models_give_the_interval_of_their_mean() -> None:
    rng = np.random.default_rng(4)
    scores, labels, left, right = sample_trials(rng, 30, 1000)
    resamples = IdentityResamples(left, 50, seed=0)
    models = np.stack([scores, scores + rng.normal(size=1000)])
    bounds = verification_intervals(models, labels, left, right, resamples, 0.9)
    assert bounds is not None
    rates = [WeightedTrials(row, labels, left, right).rates(resamples.multiplicities) for row in models]
    expected = np.quantile(np.mean(rates, axis=0), [0.05, 0.95], axis=1)  # (2, 2)
    assert [bounds[0].low, bounds[0].high] == pytest.approx(expected[:, 0].tolist())
    assert [bounds[1].low, bounds[1].high] == pytest.approx(expected[:, 1].tolist())


def test_resamples_without_impostors_are_left_out_and_two_people_still_get_an_interval() -> None:
    names = np.array(["ann", "bob"])
    bounds = verification_intervals(
        [2.0, 1.0, 3.0, 0.0],
        [1, 0, 1, 0],
        names[[0, 0, 1, 1]],
        names[[0, 1, 1, 0]],
        IdentityResamples(names, 40, 0),
        0.95,
    )
    assert bounds is not None
    assert (bounds[0].low, bounds[0].high) == (0.0, 0.0)


def test_people_who_were_not_drawn_from_are_refused() -> None:
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
    bounds = matching_interval(hits, probes, resamples, 0.95)
    assert [bounds.low, bounds.high] == pytest.approx(np.quantile(accuracies, [0.025, 0.975]).tolist())


def test_voxceleb_sized_list_with_a_thousand_resamples_has_an_interval() -> None:
    scores, labels, left, right = sample_trials(np.random.default_rng(6), 250, 30_496)
    assert 0 < equal_error_rate(scores, labels) < 100 - roc_auc(scores, labels) + 50
    assert verification_intervals(scores, labels, left, right, IdentityResamples(left, 1000, 0), 0.95)


def test_resample_without_genuine_trials_is_nan_and_leaves_the_others_alone() -> None:
    scores, labels = [0.9, 0.8, 0.2, 0.7, 0.6], [1, 1, 1, 0, 0]
    left, right = np.array([0, 0, 1, 0, 1]), np.array([0, 0, 1, 2, 2])
    trials = WeightedTrials(scores, labels, left, right)
    weights = np.array([[1, 0, 2], [1, 0, 1], [1, 3, 1]], dtype=np.int32)  # nobody of the second column speaks
    together = trials.rates(weights)
    assert np.isnan(together[:, 1]).all()
    for column in (0, 2):
        np.testing.assert_array_equal(together[:, column], trials.rates(weights[:, [column]])[:, 0])
