"""Random embeddings of VoxCeleb1's size, in memory and as the official code's feature files.

Time and memory do not depend on what the numbers are.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.export.authors_csv import write_rows
from pipeline.protocol.sources.feature_files import DIMENSION, TRAIN, TRIAL_LISTS
from pipeline.training.lists import TrainingLists, Trials

_DECIMALS = 4  # of the files, which are read before the clock starts
_RANDOM = TRIAL_LISTS[0]  # random, unseen-unheard: the list that the official training chooses on
Matrix = np.ndarray


@dataclass(frozen=True)
class Size:
    """How many of each."""

    people: int = 901
    pairs_a_person: int = 122  # 109,922 pairs; the official files hold some hundreds more, unevenly
    trials: int = 30_496

    @property
    def pairs(self) -> int:
        """Training pairs."""
        return self.people * self.pairs_a_person


def random_vectors(rows: int, seed: int) -> Matrix:
    """(rows, 512) float32 of unit norm."""
    vectors = np.random.default_rng(seed).standard_normal((rows, DIMENSION), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def random_lists(size: Size) -> tuple[TrainingLists, Matrix, Matrix]:
    """Training pairs and validation trials, of which half are genuine; the faces and the voices that they name.

    Row i of the faces and row i of the voices are training pair i; behind them come those of the trials.
    """
    trained = np.arange(size.pairs)
    tried = size.pairs + np.arange(size.trials)
    label = np.arange(size.trials) % 2
    people = np.arange(size.trials) % 100
    validation = Trials(tried, tried, label, ("voice", "face"), people, (people + 1 - label) % 100)
    classes = trained // size.pairs_a_person
    rows = size.pairs + size.trials
    return TrainingLists(trained, trained, classes, validation, None), random_vectors(rows, 1), random_vectors(rows, 2)


def write_feature_files(folder: Path, size: Size) -> None:
    """Write training pairs and a test list of two trials, unless they are there."""
    labels = np.arange(size.pairs) // size.pairs_a_person
    files = {TRAIN["face"]: (size.pairs, labels), TRAIN["voice"]: (size.pairs, labels)}
    files |= {_RANDOM.item("face"): (2, None), _RANDOM.item("voice"): (2, None)}
    for seed, (item, (rows, own)) in enumerate(files.items(), start=1):
        if not (folder / item).exists():
            write_rows(folder / item, np.round(random_vectors(rows, seed), _DECIMALS), own)
