"""The map from score to log-likelihood ratio: closed forms, chance, separated and constant scores, few people."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from pipeline.errors import ScoreError
from pipeline.metrics import equal_error_rate
from pipeline.scoring.calibration import (
    THRESHOLDS,
    AffineMap,
    Calibration,
    absent,
    log_odds,
    logistic_map,
    score_thresholds,
    shrunken_map,
)


def gaussians(genuine: int, impostors: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores N(1, 1) of genuine trials and N(-1, 1) of impostors, whose LLR is 2 * score, and labels."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([1, 0], [genuine, impostors])
    return rng.normal(size=len(labels)) + np.where(labels == 1, 1.0, -1.0), labels


@pytest.mark.parametrize("prior", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("shares", [(60_000, 60_000), (12_000, 108_000)], ids=["even", "one in ten genuine"])
def test_two_gaussians_have_their_known_map_whatever_the_prior_and_the_shares(
    prior: float, shares: tuple[int, int]
) -> None:
    found = logistic_map(*gaussians(*shares), prior)
    assert found.slope == pytest.approx(2.0, rel=0.04)
    assert found.offset == pytest.approx(0.0, abs=0.06)


def test_the_map_is_that_of_sklearn_on_weighted_trials() -> None:
    scores, labels = gaussians(4000, 9000)
    scores, prior = 0.3 * scores + np.random.default_rng(1).normal(size=len(scores)), 0.2
    weights = np.where(labels == 1, prior / 4000, (1.0 - prior) / 9000)
    wanted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(scores[:, None], labels, sample_weight=weights)
    found = logistic_map(scores, labels, prior)
    assert found.slope == pytest.approx(float(wanted.coef_[0, 0]), rel=5e-3)  # it has 0 and 1 for labels
    assert found.offset + log_odds(prior) == pytest.approx(float(wanted.intercept_[0]), abs=5e-3)


def test_moving_and_stretching_scores_moves_and_stretches_the_map_with_them() -> None:
    scores, labels = gaussians(200, 300)
    people = np.arange(500) % 20
    for fit in (
        lambda values: logistic_map(values, labels, 0.5),
        lambda values: shrunken_map(values, labels, people, np.where(labels == 1, people, (people + 1) % 20), 0.5),
    ):
        plain, moved = fit(scores), fit(1e-4 * scores + 50.0)
        np.testing.assert_allclose(moved(1e-4 * scores + 50.0), plain(scores), rtol=1e-5, atol=1e-6)


def test_separated_scores_have_a_finite_map_that_more_trials_make_steeper() -> None:
    slopes = []
    for count in (10, 100, 1000):
        labels = np.arange(2 * count) % 2
        found = logistic_map(labels - 0.5 + 0.01 * np.sin(np.arange(2 * count)), labels, 0.5)
        assert np.isfinite([found.slope, found.offset]).all()
        slopes.append(found.slope)
    assert 0.0 < slopes[0] < slopes[1] < slopes[2]


def test_constant_scores_have_no_map() -> None:
    with pytest.raises(ScoreError, match=r"all 10 scores are 0\.3"):
        logistic_map(np.full(10, 0.3), np.arange(10) % 2, 0.5)


def repeated(people: int, each: int, seed: int) -> tuple[np.ndarray, ...]:
    """Trials of a few people, of whom each has a genuine score of their own."""
    rng = np.random.default_rng(seed)
    left = np.repeat(np.arange(people), 2 * each)
    labels = np.arange(len(left)) % 2
    right = np.where(labels == 1, left, (left + rng.integers(1, people, len(left))) % people)
    own = rng.normal(size=people)
    return rng.normal(size=len(left)) + labels * (1.0 + own[left]), labels, left, right


def test_fewer_people_shrink_the_map_more_however_many_trials_they_are_in() -> None:
    shares = []
    for people, each in ((6, 400), (24, 100), (96, 25)):
        shares.append(
            np.mean(
                [
                    shrunken_map(*repeated(people, each, seed), 0.5).slope
                    / logistic_map(*repeated(people, each, seed)[:2], 0.5).slope
                    for seed in range(20)
                ]
            )
        )
    assert 0.5 < shares[0] < shares[1] < shares[2] < 1.0


def test_shrinking_keeps_the_score_of_even_odds_where_it_is() -> None:
    trials = repeated(8, 30, 0)
    plain, shrunken = logistic_map(*trials[:2], 0.5), shrunken_map(*trials, 0.5)
    assert plain.offset / plain.slope == pytest.approx(shrunken.offset / shrunken.slope)


def test_maps_apply_one_after_another() -> None:
    first, then = AffineMap(2.0, 1.0), AffineMap(0.5, -3.0)
    np.testing.assert_allclose(then.after(first)([0.0, 4.0]), then(first([0.0, 4.0])))


def test_ratios_and_probabilities_rise_with_the_scores() -> None:
    own = Calibration(people=12, slope=3.0, offset=1.0)
    scores = np.linspace(-4.0, 0.0, 50).reshape(5, 10)
    assert own.log_likelihood_ratio(scores).shape == (5, 10)
    for prior in (0.01, 0.5):
        assert (np.diff(own.probability(scores, prior).reshape(-1)) > 0.0).all()
    assert own.probability(-1.0 / 3.0, 0.2) == pytest.approx(0.2)  # an LLR of 0 leaves the prior as it is
    ratio = float(own.log_likelihood_ratio(-0.1))
    assert own.probability(-0.1, 0.3) == pytest.approx(1.0 / (1.0 + 0.7 / 0.3 * np.exp(-ratio)))
    assert own.probability([-1e6, 1e6], 0.5) == pytest.approx([0.0, 1.0])  # no overflow


@pytest.mark.parametrize("prior", [0.0, 1.0, -0.5, 2.0])
def test_priors_that_are_none_are_refused(prior: float) -> None:
    with pytest.raises(ScoreError, match="prior"):
        Calibration(people=12, slope=3.0, offset=1.0).probability(0.0, prior)


def test_without_a_map_the_reason_is_the_error() -> None:
    with pytest.raises(ScoreError, match="validation holds 3 people"):
        absent("validation holds 3 people").probability(0.0, 0.5)


BROKEN = {
    "falling": {"slope": -1.0, "offset": 0.0},
    "flat": {"slope": 0.0, "offset": 0.0},
    "infinite": {"slope": float("inf"), "offset": 0.0},
    "poisoned": {"slope": 1.0, "offset": float("nan")},
    "poisoned threshold": {"slope": 1.0, "offset": 0.0, "thresholds": {"eer": float("nan")}},
    "neither map nor reason": {},
    "map and reason": {"slope": 1.0, "offset": 0.0, "reason": "too few"},
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_calibration_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="rising map or a reason"):
        Calibration(people=12, **BROKEN[kind])


def test_thresholds_accept_what_their_names_say() -> None:
    scores, labels = gaussians(500, 2000, seed=2)
    scores = scores + 0.6 * np.random.default_rng(0).normal(size=len(scores))
    found = score_thresholds(scores, labels)
    assert tuple(found) == THRESHOLDS
    rejected, accepted = {}, {}
    for name, threshold in found.items():
        rejected[name] = np.mean(scores[labels == 1] < threshold)
        accepted[name] = np.mean(scores[labels == 0] >= threshold)
        assert threshold in scores
    assert 0.0 <= accepted["eer"] - rejected["eer"] < 3e-3
    assert 100.0 * accepted["eer"] == pytest.approx(equal_error_rate(scores, labels), abs=0.3)
    for name, share in (("far_1", 0.01), ("far_10", 0.1)):
        assert accepted[name] <= share
        lower = np.max(scores[scores < found[name]])
        assert np.mean(scores[labels == 0] >= lower) > share or labels[scores == lower].all()


def test_a_share_that_so_few_impostors_cannot_show_has_no_threshold() -> None:
    scores, labels = gaussians(50, 60)
    assert set(score_thresholds(scores, labels)) == {"eer", "far_10"}
    assert set(score_thresholds(scores[:58], labels[:58])) == {"eer"}


def test_equal_scores_have_no_threshold_that_lets_few_impostors_in() -> None:
    assert set(score_thresholds(np.zeros(400), np.arange(400) % 2)) == {"eer"}
