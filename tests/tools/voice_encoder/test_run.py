"""A run of the recipe: it learns, and it goes on where it was."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import CheckpointError, ScoreError
from tools.voice_encoder import checkpoint
from tools.voice_encoder.crops import Voices
from tools.voice_encoder.hints import HOP
from tools.voice_encoder.recipe import Recipe, load_recipe
from tools.voice_encoder.train import Run, record, watch
from tools.voice_encoder.trials import Segment

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


def learn(run: Run, steps: int) -> list[dict[str, float]]:
    return [run.learn(drawn) for drawn, _ in zip(run.batches(1), range(steps), strict=False)]


def history(folder: Path) -> list[dict[str, str]]:
    """The lines without their time."""
    with (folder / "history.csv").open(encoding="utf-8", newline="") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def test_a_run_killed_between_history_and_checkpoint_ends_with_the_same_history_and_weights(
    recipe: Recipe, voices: Voices, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).standard_normal((3, 8000)).astype(np.float32)
    heard = [Segment(speaker, one) for speaker, one in zip("aab", noise, strict=True)]
    whole, killed = Run(recipe, voices, tmp_path / "whole"), Run(recipe, voices, tmp_path / "killed")
    for run in (whole, killed):
        run.folder.mkdir()
        watch(run, learn(run, 2), heard, 0.0)
    watch(whole, learn(whole, 2), heard, 0.0)
    columns = list(history(whole.folder)[0])
    record(killed.folder / "history.csv", {"step": 4, "seconds": 1} | dict.fromkeys(columns[1:], 9.0))
    again = Run(recipe, voices, killed.folder)
    assert again.done == 2
    watch(again, learn(again, 2), heard, 0.0)
    assert history(again.folder) == history(whole.folder)
    for name, value in whole.average.state_dict().items():
        assert torch.equal(again.average.state_dict()[name], value), name


def test_steps_whose_line_cannot_be_written_are_not_in_the_checkpoint(
    recipe: Recipe, voices: Voices, tmp_path: Path
) -> None:
    run = Run(recipe, voices, tmp_path)
    with pytest.raises(ScoreError):
        watch(run, learn(run, 1), [Segment("a", np.ones(8000, np.float32))], 0.0)
    assert not run.checkpoint.exists()


def test_a_checkpoint_of_another_recipe_is_refused(recipe: Recipe, voices: Voices, tmp_path: Path) -> None:
    run = Run(recipe, voices, tmp_path)
    checkpoint.save(run.checkpoint, 1, run.modules, run.optimisers)
    with pytest.raises(CheckpointError, match="hints is of another shape"):
        Run(recipe.model_copy(update={"hints": 4}), voices, tmp_path)
