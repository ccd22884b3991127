"""A small world with a planted truth: what faces and voices share is known, so that training must find it."""

from dataclasses import dataclass

import numpy as np
import torch

from pipeline.metrics import roc_auc
from pipeline.scoring import Model
from pipeline.scoring.similarity import similarity
from pipeline.settings import RunSettings
from pipeline.training import TrainedRun, TrainingLists, Trials, train_run

DIMENSION, ROWS = 24, 6  # width of a vector; faces and voices an identity
CPU = torch.device("cpu")


@dataclass(frozen=True)
class World:
    """Stores of both modalities and the lists that name their rows."""

    faces: np.ndarray  # (N, 24) unit norm
    voices: np.ndarray  # (N, 24) unit norm
    lists: TrainingLists
    unseen: Trials  # of identities that neither training nor the choice of the model saw

    def train(self, settings: RunSettings, **arguments: object) -> TrainedRun:
        """Train on the CPU."""
        return train_run(settings, self.lists, self.faces, self.voices, CPU, **arguments)

    def unseen_auc(self, model: Model) -> float:
        """AUC in percent on unseen identities, the mean of the seeds."""
        stores = {"face": self.faces, "voice": self.voices}
        left, right = (model.embed(side, stores[side]) for side in self.unseen.sides)
        scores = similarity(left[:, self.unseen.left], right[:, self.unseen.right])
        return float(np.mean([roc_auc(row, self.unseen.labels) for row in scores]))


def make_world(
    train: int = 40, validation: int = 10, test: int = 20, sides: tuple[str, str] = ("voice", "face")
) -> World:
    """Faces and voices are two random maps of the same ten numbers a person, with noise."""
    rng = np.random.default_rng(0)
    people = train + validation + test
    latent = rng.standard_normal((people, 10))
    faces, voices = (_rows(latent @ rng.standard_normal((10, DIMENSION)), rng) for _ in range(2))
    classes = np.repeat(np.arange(train), ROWS)
    pairs = [classes * ROWS + rng.integers(0, ROWS, len(classes)) for _ in range(2)]
    validation_trials = _trials(rng, sides, train, train + validation)
    test_trials = _trials(rng, sides, train + validation, people)
    task = sides[0] if sides[0] == sides[1] else "cross_modal"
    lists = TrainingLists(pairs[0], pairs[1], classes, validation_trials, test_trials, {task: validation_trials})
    return World(faces, voices, lists, test_trials)


def _rows(people: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    rows = np.repeat(people, ROWS, axis=0)
    rows = rows + 0.5 * rng.standard_normal(rows.shape)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def _trials(rng: np.random.Generator, sides: tuple[str, str], begin: int, end: int, count: int = 400) -> Trials:
    left = rng.integers(begin, end, count)
    impostor = begin + (left - begin + rng.integers(1, end - begin, count)) % (end - begin)
    labels = np.tile([1, 0], count // 2)
    right = np.where(labels == 1, left, impostor)
    rows = [people * ROWS + rng.integers(0, ROWS, count) for people in (left, right)]
    return Trials(rows[0], rows[1], labels, sides, left - begin, right - begin)
