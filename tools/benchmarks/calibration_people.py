"""From how many validation people on do calibrated scores mean what they say?

`python -m tools.benchmarks.calibration_people [--samples N]`.

Maps from score to log-likelihood ratio are fitted on samples of a few people and measured on trials of their
population that share nobody. Printed is the Cllr that they cost beyond the best affine map of the population, for the
map as fitted and for the one shrunken by what the fit leaves uncertain; and how far above minimum Cllr that best map
itself is on a list of so many people, though nothing is wrong with it: no honest map comes nearer to the minimum.
"""

import argparse
import sys
from dataclasses import dataclass

import numpy as np

from pipeline.metrics import cllr, equal_error_rate, min_cllr
from pipeline.scoring.calibration import FEWEST_CALIBRATED, AffineMap, logistic_map, shrunken_map
from tools.benchmarks.interval_coverage import POPULATIONS, Population

PEOPLE = (5, 8, FEWEST_CALIBRATED, 15, 32, 100)
_GENUINE, _IMPOSTORS = 24, 240  # trials a person
_BLOCKS, _BLOCK = 50, 4000  # trials that share nobody
_POPULATIONS = {**POPULATIONS, "between": Population(own=0.6, clip=0.7), "near chance": Population(own=2.0, clip=1.0)}


@dataclass(frozen=True)
class Excess:
    """Bits of Cllr beyond the best affine map of the population, a value a sample."""

    fitted: np.ndarray
    shrunken: np.ndarray
    list_of_best: np.ndarray  # Cllr of that map on the sample less the sample's minimum Cllr


def truth(population: Population, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels of trials that share nobody."""
    labels = np.arange(_BLOCK) % 2
    left = 2 * np.arange(_BLOCK)
    blocks = [population.scores(rng, np.stack([left, left + 1 - labels])) for _ in range(_BLOCKS)]
    return np.concatenate(blocks), np.tile(labels, _BLOCKS)


def excess(population: Population, people: int, samples: int, rng: np.random.Generator) -> Excess:
    """Of maps that are fitted on `people` people each."""
    scores, labels = truth(population, np.random.default_rng(0))
    best = logistic_map(scores, labels, 0.5)
    least = cllr(best(scores), labels)
    left = np.repeat(np.arange(people), _GENUINE + _IMPOSTORS)
    genuine = np.tile(np.arange(_GENUINE + _IMPOSTORS) < _GENUINE, people).astype(np.int64)
    found: list[tuple[float, float, float]] = []
    for _ in range(samples):
        right = np.where(genuine == 1, left, (left + rng.integers(1, people, len(left))) % people)
        own = population.scores(rng, np.stack([left, right]))
        maps: list[AffineMap] = [logistic_map(own, genuine, 0.5), shrunken_map(own, genuine, left, right, 0.5)]
        costs = [cllr(one(scores), labels) - least for one in maps]
        found.append((costs[0], costs[1], cllr(best(own), genuine) - min_cllr(own, genuine)))
    return Excess(*np.array(found).T)


def main() -> None:
    """Print a line for each population and number of people."""
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.calibration_people", description=__doc__)
    parser.add_argument("--samples", type=int, default=200, help="for each number of people")
    samples = parser.parse_args().samples
    for name, population in _POPULATIONS.items():
        scores, labels = truth(population, np.random.default_rng(0))
        best = cllr(logistic_map(scores, labels, 0.5)(scores), labels)
        rates = f"EER {equal_error_rate(scores, labels):.1f} %, Cllr of the best affine map {best:.3f}"
        sys.stdout.write(f"{name}: {rates}, minimum {min_cllr(scores, labels):.3f}\n")
        for people in PEOPLE:
            found = excess(population, people, samples, np.random.default_rng(people))
            mean, high = found.shrunken.mean(), np.quantile(found.shrunken, 0.9)
            sys.stdout.write(
                f"{people:6d} people: excess {mean:.3f}, of nine in ten below {high:.3f}; not shrunken "
                f"{found.fitted.mean():.3f}; the best map on their list {found.list_of_best.mean():.3f} above minimum\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
