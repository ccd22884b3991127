"""The planted world in the official code's feature files: 512 numbers and a label a line, no header."""

from pathlib import Path

import numpy as np

from pipeline.export.authors_csv import write_rows
from pipeline.protocol.sources.feature_files import TRAIN, TRIAL_LISTS
from tools.benchmarks.voxceleb_scale.planted import planted
from tools.benchmarks.voxceleb_scale.world import Size

_DECIMALS = 6
_RANDOM = TRIAL_LISTS[0]  # random, unseen-unheard: the list that the official training chooses on


def write_feature_files(folder: Path, size: Size, seed: int) -> None:
    """Write training pairs and the random test list; row i of a face file and of a voice file belong together."""
    trained = planted(size.train, size.pairs_a_person, 1, seed)
    tried = planted(size.test, 1, 1, seed + 1)
    left = np.random.default_rng(seed).integers(0, size.test, size.trials)
    right = np.where(np.arange(size.trials) % 2 == 0, left, (left + 1) % size.test)
    _write(folder / TRAIN["face"], trained.faces.vectors, trained.faces.person)
    _write(folder / TRAIN["voice"], trained.voices.vectors, trained.voices.person)
    _write(folder / _RANDOM.item("face"), tried.faces.vectors[right], right)
    _write(folder / _RANDOM.item("voice"), tried.voices.vectors[left], left)


def _write(path: Path, matrix: np.ndarray, labels: np.ndarray) -> None:
    write_rows(path, np.round(matrix, _DECIMALS).astype(np.float32), labels)
