"""Batches hold the vectors and labels that the plan names, whichever way they are gathered."""

import numpy as np
import pytest
import torch

from pipeline.methods import build_method
from pipeline.training.data import TrainingData
from tests.pipeline.settings_for_training import train_settings
from tests.pipeline.training.world import CPU, make_world


@pytest.mark.parametrize("changes", [{}, {"modality": "face"}, {"modality": "voice"}, {"method": "two_branch"}])
def test_batches_are_those_of_a_naive_loop_over_the_plan(changes: dict[str, str]) -> None:
    world, settings = make_world(), train_settings(batch_size=16, **changes)
    data = TrainingData(settings, world.lists, world.faces, world.voices, CPU)
    method = build_method(settings, data.sizes, torch.Generator())
    plan = method.plan(settings, world.lists.classes, 1, 3)
    batches = list(data.batches(method, 1, 3))
    assert len(batches) == len(plan.pair)
    for batch, pairs, voices in zip(batches, plan.pair, plan.voice, strict=True):
        assert batch.labels.tolist() == world.lists.classes[pairs].tolist()
        faces = np.stack([world.faces[world.lists.face_rows[pair]] for pair in pairs])
        heard = np.stack([world.voices[world.lists.voice_rows[pair]] for pair in pairs])
        if method.takes == "pairs":
            assert batch.faces is not None and batch.voices is not None
            assert np.array_equal(batch.faces.numpy(), faces) and np.array_equal(batch.voices.numpy(), heard)
        else:
            assert batch.samples is not None and batch.is_voice is not None
            assert np.array_equal(batch.samples.numpy(), np.where(voices[:, None], heard, faces))
            assert batch.is_voice.tolist() == voices.tolist()


def test_all_of_it_at_once_is_the_faces_and_then_the_voices_of_every_pair() -> None:
    world, settings = make_world(), train_settings()
    data = TrainingData(settings, world.lists, world.faces, world.voices, CPU)
    whole = data.whole(build_method(settings, data.sizes, torch.Generator()))
    lists = world.lists
    wanted = np.concatenate([world.faces[lists.face_rows], world.voices[lists.voice_rows]])
    assert whole.samples is not None and np.array_equal(whole.samples.numpy(), wanted)
    assert whole.is_voice is not None and whole.is_voice.tolist() == np.repeat([0, 1], len(lists.classes)).tolist()


def test_of_a_large_store_only_the_rows_of_pairs_are_copied() -> None:
    world, settings = make_world(train=4, validation=10, test=40), train_settings()
    data = TrainingData(settings, world.lists, world.faces, world.voices, CPU)
    used = len(np.unique(world.lists.face_rows)) + len(np.unique(world.lists.voice_rows))
    assert data.both is not None and len(data.both) == used < len(world.faces)
    assert np.shares_memory(data.faces.numpy(), world.faces)
