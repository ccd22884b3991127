"""A run of the recipe: it learns, and it goes on where it was."""

from pathlib import Path

import numpy as np
import pytest
import torch

from voice_encoder import checkpoint
from voice_encoder.crops import Voices
from voice_encoder.hints import HOP
from voice_encoder.recipe import Recipe, load_recipe
from voice_encoder.train import Run

LENGTH = 4 * HOP


@pytest.fixture
def recipe() -> Recipe:
    recipe = load_recipe()
    crops = recipe.crops.model_copy(update={"seconds": 0.32, "decay_seconds": 0.32, "classes": 4, "decay_classes": 4})
    optimiser = recipe.optimiser.model_copy(update={"steps": 40, "warmup": 2})
    return recipe.model_copy(update={"crops": crops, "optimiser": optimiser, "hints": 3})


@pytest.fixture
def voices() -> Voices:
    """Four hums of different pitch."""
    time = np.arange(LENGTH) / 16000
    hums = [np.sin(2 * np.pi * pitch * time) + np.sin(6 * np.pi * pitch * time) for pitch in (110, 170, 260, 400)]
    generator = torch.Generator().manual_seed(0)
    return Voices(
        (np.concatenate(hums) * 8000).astype(np.int16),
        np.arange(1, 5) * LENGTH,
        torch.nn.functional.normalize(torch.randn(4, 192, generator=generator), dim=1),
        np.random.default_rng(0).standard_normal((20, 3)).astype(np.float16),
        np.arange(1, 5) * 5,
    )


def test_steps_lower_every_part_of_the_loss(recipe: Recipe, voices: Voices, tmp_path: Path) -> None:
    run = Run(recipe, voices, tmp_path)
    losses = [run.learn(drawn) for drawn in run.batches(1)]
    assert run.done == 40
    for name in ("vector", "similarity", "classes", "hints", "total"):
        early, late = (np.mean([one[name] for one in part]) for part in (losses[:5], losses[-5:]))
        assert late < early, name


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(recipe: Recipe, voices: Voices, tmp_path: Path) -> None:
    whole = Run(recipe, voices, tmp_path / "whole")
    losses = []
    for drawn in whole.batches(1):
        losses.append(whole.learn(drawn))
        if whole.done == 2:
            checkpoint.save(tmp_path / "checkpoint.safetensors", 2, whole.modules, whole.optimisers)
        if whole.done == 4:
            break
    again = Run(recipe, voices, tmp_path)
    assert again.done == 2
    resumed = [again.learn(drawn) for drawn, _ in zip(again.batches(1), range(2), strict=False)]
    assert [one["total"] for one in resumed] == pytest.approx([one["total"] for one in losses[2:]], rel=1e-4)
