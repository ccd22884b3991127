"""Paired differences: against plain loops, and how often equal runs are called different."""

import numpy as np
import pytest

from pipeline.metrics import IdentityResamples, equal_error_rate
from pipeline.metrics.paired import ResampledEER, eer_difference, holm, resampled_eer


class World:
    """Trials of people, and runs that score them: each with effects of people of its own, and seeds."""

    def __init__(self, rng: np.random.Generator, people: int, trials: int) -> None:
        self.rng, self.people, self.trials = rng, people, trials
        self.left = rng.integers(0, people, trials)
        self.labels = np.tile([1, 0], trials // 2)
        stranger = (self.left + rng.integers(1, people, trials)) % people
        self.right = np.where(self.labels == 1, self.left, stranger)
        self.common = self.effects()

    def effects(self) -> np.ndarray:
        """Of either person, of the two together, and of the trial; how easy a person's genuine trials are."""
        draw = self.rng.normal
        sides = 0.6 * draw(size=self.people)[self.left] + 0.6 * draw(size=self.people)[self.right]
        together = 0.5 * draw(size=(self.people, self.people))[self.left, self.right] + 0.7 * draw(size=self.trials)
        return sides + together + 0.5 * draw(size=self.people)[self.left] * self.labels

    def run(self, seeds: int, distance: float = 1.6, spread: float = 0.15) -> np.ndarray:
        """Scores (S, N): half of the effects are every run's; the seeds differ in how good they are."""
        own = np.sqrt(0.5) * self.common + np.sqrt(0.5) * self.effects()
        shifts = distance + spread * self.rng.normal(size=(seeds, 1))
        return own + self.labels * shifts + 0.3 * self.rng.normal(size=(seeds, self.trials))

    def resampled(self, scores: np.ndarray, resamples: IdentityResamples) -> ResampledEER:
        return resampled_eer(scores, self.labels, self.left, self.right, resamples)


def test_rates_of_resamples_are_those_of_trials_repeated_as_often_as_their_people() -> None:
    world = World(np.random.default_rng(0), 8, 120)
    resamples = IdentityResamples(np.arange(8), 70, 3)
    scores = world.run(2).round(1)  # with ties
    found = world.resampled(scores, resamples)
    np.testing.assert_allclose(found.models, [equal_error_rate(row, world.labels) for row in scores])
    for number in range(70):
        times = resamples.multiplicities[:, number]
        counts = np.where(world.labels == 1, times[world.left], times[world.left] * times[world.right])
        labels = np.repeat(world.labels, counts)
        both = 0 < labels.sum() < len(labels)
        rates = [equal_error_rate(np.repeat(row, counts), labels) if both else np.nan for row in scores]
        assert found.resampled[number] == pytest.approx(np.mean(rates), nan_ok=True)


def test_difference_and_its_variance_are_those_of_people_and_seeds() -> None:
    one = ResampledEER(np.array([20.0, 22.0, 24.0]), np.array([21.0, 22.0, 24.0, 23.0]), 30)
    other = ResampledEER(np.array([25.0]), np.array([25.0, 24.0, 26.0, 27.0]), 30)
    found = eer_difference(one, other, 0.95)
    people = np.var([-4.0, -2.0, -2.0, -4.0], ddof=1)
    variance = people + 4.0 / 3.0
    assert found.value == -3.0
    assert found.interval is not None
    assert (found.interval.low + found.interval.high) / 2.0 == pytest.approx(-3.0)
    freedom = variance**2 / (people**2 / 3 + (4.0 / 3.0) ** 2 / 2)
    tails = np.abs(np.random.default_rng(0).standard_t(freedom, 400_000)) >= 3.0 / variance**0.5
    assert found.p == pytest.approx(tails.mean(), abs=0.003)
    mirrored = eer_difference(other, one, 0.95)
    assert (mirrored.value, mirrored.p) == (3.0, found.p)


def test_a_run_does_not_differ_from_itself_and_few_people_say_nothing() -> None:
    world = World(np.random.default_rng(1), 8, 120)
    one = world.resampled(world.run(1), IdentityResamples(np.arange(8), 50, 0))
    same = eer_difference(one, one, 0.95)
    assert (same.value, same.p) == (0.0, 1.0)
    few = ResampledEER(one.models, one.resampled, 4)
    assert eer_difference(few, few, 0.95).interval is None
    assert np.isnan(eer_difference(few, few, 0.95).p)


@pytest.mark.parametrize(("people", "seeds", "spread"), [(32, 3, 0.0), (32, 3, 0.15), (60, 1, 0.0)])
def test_equal_runs_are_called_different_no_more_often_than_stated(people: int, seeds: int, spread: float) -> None:
    rng = np.random.default_rng(people + seeds)
    rejected, times = 0, 150
    for number in range(times):
        world = World(rng, people, 600)
        resamples = IdentityResamples(np.arange(people), 100, number)
        runs = [world.resampled(world.run(seeds, spread=spread), resamples) for _ in range(2)]
        rejected += eer_difference(*runs, 0.95).p < 0.05
    assert 0 < rejected <= 0.08 * times  # stated 5 %: more than 8 by chance once in twenty


def test_a_run_that_is_better_is_found() -> None:
    rng = np.random.default_rng(5)
    found = []
    for number in range(20):
        world = World(rng, 60, 1200)
        resamples = IdentityResamples(np.arange(60), 100, number)
        better, worse = (world.resampled(world.run(3, distance), resamples) for distance in (2.6, 1.4))
        found.append(eer_difference(better, worse, 0.95))
    assert all(one.value < 0.0 for one in found)
    assert np.mean([one.p < 0.05 for one in found]) >= 0.9


def test_holm_raises_each_p_by_the_number_of_those_not_smaller() -> None:
    values = [0.01, 0.04, 0.03, float("nan"), 0.005]
    found = holm(values)
    assert found[:3] == pytest.approx([0.03, 0.06, 0.06])
    assert np.isnan(found[3]) and found[4] == pytest.approx(0.02)
    assert holm([]) == [] and holm([0.9, 0.8]) == [1.0, 1.0]
