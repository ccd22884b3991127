"""A planted world for rivals: what they must solve, and the same with strangers' voices, which they must not."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import torch

from pipeline.methods import Batch, Method, Sizes, build_method
from pipeline.metrics import roc_auc
from pipeline.settings import RunSettings
from tests.pipeline.settings_for_training import shipped, train_settings
from tests.pipeline.training.world import World, make_world

SOLVED, CHANCE = 90.0, (40.0, 60.0)  # AUC in percent on 60 people that training never saw
SIZES = Sizes(12, 10, 5, {"gender": 2, "nationality": 3})


@cache
def planted() -> World:
    """60 people to train on and 60 others to judge by, so that chance is within a few points of 50."""
    return make_world(train=60, validation=10, test=60)


@cache
def shuffled() -> World:
    """The same, but every face is paired with the voice of another person.

    In so few dimensions as a face and a voice share here, strangers agree by chance, and what agrees is learnt:
    one shuffle alone may give AUC 40 or 60. Of twenty, this is the one where a linear map is closest to 50.
    """
    world, rng = planted(), np.random.default_rng(1)
    lists = world.lists
    people = lists.voice_rows.reshape(lists.class_count, -1)
    tried = [
        replace(world, lists=replace(lists, voice_rows=people[rng.permutation(len(people))].reshape(-1)))
        for _ in range(20)
    ]
    return min(tried, key=lambda one: abs(_linear_auc(one) - 50.0))


def _linear_auc(world: World) -> float:
    """AUC on unseen people of the least-squares map from voices to faces."""
    rows = world.lists.voice_rows, world.lists.face_rows
    projection = np.linalg.lstsq(world.voices[rows[0]], world.faces[rows[1]], rcond=None)[0]
    trials = world.unseen
    found = (world.voices[trials.left] @ projection * world.faces[trials.right]).sum(axis=1)
    return roc_auc(found / np.linalg.norm(world.voices[trials.left] @ projection, axis=1), trials.labels)


def settings(method: str, loss: str, **changes: object) -> RunSettings:
    """A small run of one seed; options of the method and the loss stand among `changes`."""
    small: dict[str, object] = {"epochs": 15, "batch_size": 36, "learning_rate": 3e-3, "decay": 1.0, "seeds": [0]}
    narrow = {"hidden": 32, "embedding": 16, "dropout": 0.0, "discriminator_dropout": 0.0, "stream": 32, "last": 16}
    own = {key: value for key, value in narrow.items() if key in shipped().methods[method]}
    return train_settings(**{**small, **own, "method": method, "loss": loss, **changes})


def solves(run: RunSettings, traits: Mapping[str, np.ndarray] | None = None) -> tuple[float, float]:
    """AUC of unseen people after training on the planted world, and after training on the shuffled one."""
    worlds = [replace(world, lists=replace(world.lists, traits=traits or {})) for world in (planted(), shuffled())]
    first, second = (planted().unseen_auc(world.train(run).model) for world in worlds)
    return first, second


def assert_solves(run: RunSettings, solved: float = SOLVED, traits: Mapping[str, np.ndarray] | None = None) -> None:
    """It finds what is planted, and nothing where nothing is."""
    truth, control = solves(run, traits)
    assert truth > solved, truth
    assert CHANCE[0] < control < CHANCE[1], control


def built(method: str, loss: str = "own", **changes: object) -> Method:
    """A method for faces of 12 and voices of 10 values and five people, without dropout."""
    return build_method(settings(method, loss, **changes), SIZES, torch.Generator().manual_seed(0))


def batch_of_pairs(count: int = 12) -> Batch:
    """Faces and voices of five people, of unit norm; of some gender and nationality is unknown."""
    rng = torch.Generator().manual_seed(1)
    faces, voices = (torch.randn(count, width, generator=rng) for width in (SIZES.face, SIZES.voice))
    labels = torch.arange(count) % SIZES.classes
    traits = {"gender": torch.tensor([0, 1, 0, -1, 1])[labels], "nationality": torch.tensor([2, -1, 1, 0, 2])[labels]}
    return Batch(labels, None, None, *(torch.nn.functional.normalize(side) for side in (faces, voices)), traits)
