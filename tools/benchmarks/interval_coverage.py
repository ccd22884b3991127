"""Do the 95 % intervals hold the truth in 95 of 100 samples?

`python -m tools.benchmarks.interval_coverage [--samples N]`.

Many samples of a few test people are drawn from one population, each with its list of trials; the truth is the rate of
that population, taken from trials that share nobody. Each person has a part that both sides of a trial share, and a
part of each side's own that stays from clip to clip, so that trials of one person resemble each other, as real ones do.
"""

import argparse
import sys
from dataclasses import dataclass

import numpy as np

from pipeline.metrics import IdentityResamples, equal_error_rate, min_dcf, roc_auc, verification_intervals
from pipeline.metrics.bootstrap import FEWEST_PEOPLE

_PEOPLE = (FEWEST_PEOPLE, 8, 16, 32, 64, 128)
_TRIALS_EACH = 32  # of a person, half of them genuine
_WIDTH = 16  # directions, in each of which people's shared parts have deviation 1
_ALL, _BLOCKS = 400_000, 100  # trials of a population, drawn in blocks to save memory
_CONFIDENCE, _RESAMPLES, _PRIOR = 0.95, 1000, 0.05
_RATES = ("eer", "auc", "min_dcf")


@dataclass(frozen=True)
class Population:
    """Deviations of what a side of a trial does not share with the other."""

    own: float  # of a person
    clip: float

    def scores(self, rng: np.random.Generator, pairs: np.ndarray) -> np.ndarray:
        """Minus squared distances (N,) of pairs (2, N) of numbered people, whose clips are new in each trial."""
        person = rng.normal(size=(int(pairs.max()) + 1, _WIDTH))
        left, right = (person + self.own * rng.normal(size=person.shape) for _ in range(2))
        clips = self.clip * rng.normal(size=(2, pairs.shape[1], _WIDTH))
        distances: np.ndarray = np.square(left[pairs[0]] + clips[0] - right[pairs[1]] - clips[1]).sum(axis=1)
        return -distances

    def truth(self, rng: np.random.Generator) -> dict[str, float]:
        """Rates of trials that share nobody."""
        labels = np.arange(_ALL // _BLOCKS) % 2
        left = 2 * np.arange(len(labels))
        blocks = [self.scores(rng, np.stack([left, left + 1 - labels])) for _ in range(_BLOCKS)]
        scores, labels = np.concatenate(blocks), np.tile(labels, _BLOCKS)
        figures = equal_error_rate(scores, labels), roc_auc(scores, labels), min_dcf(scores, labels, _PRIOR)
        return dict(zip(_RATES, figures, strict=True))


POPULATIONS = {"as across modalities": Population(own=1.0, clip=0.7), "as within one": Population(own=0.3, clip=0.4)}


def main() -> None:
    """Print, for each number of people, how many intervals hold the truth and on which side the others miss it."""
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.interval_coverage", description=__doc__)
    parser.add_argument("--samples", type=int, default=1000, help="for each number of people")
    samples = parser.parse_args().samples
    for name, population in POPULATIONS.items():
        truth = population.truth(np.random.default_rng(0))
        sys.stdout.write(f"{name}: {', '.join(f'{rate} {value:.3f}' for rate, value in truth.items())}\n")
        for people in _PEOPLE:
            held = coverage(population, people, truth, samples, np.random.default_rng(people))
            cells = [f"{rate} {held[rate][1]:5.1f} %, {held[rate][0]:4.1f} below it" for rate in _RATES]
            sys.stdout.write(f"{people:6d} people: {'; '.join(cells)}\n")


def coverage(
    population: Population, people: int, truth: dict[str, float], samples: int, rng: np.random.Generator
) -> dict[str, tuple[float, float]]:
    """Percent of the intervals of lists on `people` that lie below the truth, and that hold it, by rate."""
    below, held = dict.fromkeys(_RATES, 0), dict.fromkeys(_RATES, 0)
    for sample in range(samples):
        left = np.repeat(np.arange(people), _TRIALS_EACH)
        labels = np.arange(len(left)) % 2
        right = np.where(labels == 1, left, (left + rng.integers(1, people, len(left))) % people)
        scores = population.scores(rng, np.stack([left, right]))
        draws = IdentityResamples(left, _RESAMPLES, sample)
        bounds = verification_intervals(scores, labels, left, right, draws, _CONFIDENCE, _PRIOR)
        if bounds is None:
            raise SystemExit(f"no interval for {people} people")
        for rate in _RATES:
            bound = getattr(bounds, rate)
            below[rate] += bound.high < truth[rate]
            held[rate] += bound.low <= truth[rate] <= bound.high
    return {rate: (100.0 * below[rate] / samples, 100.0 * held[rate] / samples) for rate in _RATES}


if __name__ == "__main__":
    main()
