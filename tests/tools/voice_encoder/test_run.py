"""A run of the recipe: it learns, and it goes on where it was."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from extractors.pretrained import read_safetensors
from extractors.voices.aggregator_weights import DISTILLED
from pipeline.errors import CheckpointError, ConfigError, ScoreError, WeightsError
from tools.voice_encoder import checkpoint
from tools.voice_encoder.channels import Channel
from tools.voice_encoder.crops import Voices
from tools.voice_encoder.hints import HOP
from tools.voice_encoder.recipe import Recipe, load_recipe
from tools.voice_encoder.rooms import Rooms
from tools.voice_encoder.train import Run, first_student, record, steps_to_finish, train, watch
from tools.voice_encoder.trials import Segment

LENGTH = 4 * HOP


# Whole runs in bfloat16: on a processor without its arithmetic they take half a minute and more each.
pytestmark = pytest.mark.slow


@pytest.fixture
def recipe() -> Recipe:
    recipe = load_recipe()
    lengths = {"seconds": (0.32, 0.33), "decay_seconds": (0.32, 0.33), "batch_seconds": 4 * 0.32, "altered": 0.4}
    crops = recipe.crops.model_copy(update=lengths)
    optimiser = recipe.optimiser.model_copy(update={"steps": 40, "warmup": 2, "decay": 10, "matrix_rate": 5e-3})
    return recipe.model_copy(update={"crops": crops, "optimiser": optimiser, "hints": 3, "start": None})


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


def started(recipe: Recipe, voices: Voices, folder: Path) -> Run:
    """A run whose channels have one room without echo."""
    return Run(recipe, voices, Channel(recipe.channels, Rooms((np.ones(1, np.float32),))), folder)


def test_steps_lower_every_part_of_the_loss(recipe: Recipe, voices: Voices, tmp_path: Path) -> None:
    run = started(recipe, voices, tmp_path)
    losses = [run.learn(drawn) for drawn in run.batches(1)]
    assert run.done == 40
    for name in ("vector", "similarity", "classes", "hints", "total"):
        early, late = (np.mean([one[name] for one in part]) for part in (losses[:5], losses[-5:]))
        assert late < early, name


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(recipe: Recipe, voices: Voices, tmp_path: Path) -> None:
    whole = started(recipe, voices, tmp_path / "whole")
    losses = []
    for drawn in whole.batches(1):
        losses.append(whole.learn(drawn))
        if whole.done == 2:
            whole.folder = tmp_path
            whole.save()
        if whole.done == 4:
            break
    again = started(recipe, voices, tmp_path)
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
    whole, killed = started(recipe, voices, tmp_path / "whole"), started(recipe, voices, tmp_path / "killed")
    for run in (whole, killed):
        run.folder.mkdir()
        watch(run, learn(run, 2), {"eer": heard}, 0.0)
    watch(whole, learn(whole, 2), {"eer": heard}, 0.0)
    columns = list(history(whole.folder)[0])
    record(killed.folder / "history.csv", {"step": 4, "seconds": 1} | dict.fromkeys(columns[1:], 9.0))
    again = started(recipe, voices, killed.folder)
    assert again.done == 2
    watch(again, learn(again, 2), {"eer": heard}, 0.0)
    assert history(again.folder) == history(whole.folder)
    for name, value in whole.average.state_dict().items():
        assert torch.equal(again.average.state_dict()[name], value), name


def test_steps_whose_line_cannot_be_written_are_not_in_the_checkpoint(
    recipe: Recipe, voices: Voices, tmp_path: Path
) -> None:
    run = started(recipe, voices, tmp_path)
    with pytest.raises(ScoreError):
        watch(run, learn(run, 1), {"eer": [Segment("a", np.ones(8000, np.float32))]}, 0.0)
    assert not run.checkpoint().exists()


def test_a_checkpoint_of_another_recipe_is_refused(recipe: Recipe, voices: Voices, tmp_path: Path) -> None:
    run = started(recipe, voices, tmp_path)
    run.folder.mkdir(exist_ok=True)
    run.save()
    with pytest.raises(CheckpointError, match="hints is of another shape"):
        started(recipe.model_copy(update={"hints": 4}), voices, tmp_path)


def test_a_run_does_not_go_on_with_other_voices_unasked(recipe: Recipe, voices: Voices, tmp_path: Path) -> None:
    run = started(recipe, voices, tmp_path)
    run.require_same_voices()  # nothing to go on from
    run.save()
    started(recipe, voices, tmp_path).require_same_voices()
    others = replace(voices, vectors=voices.vectors.flip(0))
    with pytest.raises(CheckpointError, match=r"checkpoint.safetensors learnt from other voices: .* --new-voices"):
        started(recipe, others, tmp_path).require_same_voices()


def test_the_student_starts_from_the_weights_of_the_recipes_digest(
    recipe: Recipe, voices: Voices, tmp_path: Path
) -> None:
    for digest, path in DISTILLED.items():  # every version that ships
        warm = started(recipe.model_copy(update={"start": digest}), voices, tmp_path)
        for name, value in read_safetensors(path).items():
            assert torch.equal(warm.student.state_dict()[name], value), name
            assert torch.equal(warm.average.state_dict()[name], value), name
        assert all(not optimiser.state for optimiser in warm.optimisers.values())


def test_hints_are_fitted_by_least_squares_before_the_first_step(
    recipe: Recipe, voices: Voices, tmp_path: Path
) -> None:
    few = recipe.model_copy(update={"hint_batches": 3, "hint_ridge": 1e-9})
    run = started(few, voices, tmp_path)
    before = {name: value.clone() for name, value in run.student.state_dict().items()}
    run.fit_hints()
    run.student.eval()
    with torch.no_grad():
        drawn = [run.draw(step) for step in range(3)]
        with torch.autocast("cpu", torch.bfloat16):
            features = [run.student.frames(one.spectrograms)[0] for one in drawn]
        frames = torch.cat([one.float().transpose(1, 2).flatten(0, 1) for one in features])
        hints = torch.cat([one.hints.flatten(0, 1) for one in drawn])
        residual = run.hints(frames) - hints
    inputs = np.column_stack([frames.numpy(), np.ones(len(frames))])
    best = np.linalg.lstsq(inputs, hints.numpy(), rcond=None)[0]
    assert residual.square().sum() == pytest.approx(np.square(inputs @ best - hints.numpy()).sum(), abs=1e-3)
    assert all(torch.equal(run.student.state_dict()[name], value) for name, value in before.items())


def test_other_weights_to_start_from_are_refused(recipe: Recipe, voices: Voices, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"other")
    with pytest.raises(WeightsError, match=r"other.safetensors is not what recipe.yaml starts from \(0ab97b3121a8"):
        first_student(recipe.model_copy(update={"start": next(iter(DISTILLED))}), other)


def with_steps(recipe: Recipe, steps: int, decay: int) -> Recipe:
    optimiser = recipe.optimiser.model_copy(update={"steps": steps, "decay": decay})
    return recipe.model_copy(update={"optimiser": optimiser})


def test_a_run_with_more_steps_goes_on_from_before_the_decay(recipe: Recipe, voices: Voices, tmp_path: Path) -> None:
    run = started(with_steps(recipe, 4, 2), voices, tmp_path)
    for _ in range(4):
        learn(run, 1)
        run.save()
    assert started(with_steps(recipe, 4, 2), voices, tmp_path).done == 4
    assert started(with_steps(recipe, 9, 2), voices, tmp_path).done == 2


def test_a_run_is_finished_from_its_checkpoint_and_may_go_on_from_there(
    recipe: Recipe, voices: Voices, tmp_path: Path
) -> None:
    first = started(with_steps(recipe, 9, 2), voices, tmp_path)
    learn(first, 3)
    first.save()
    steps = steps_to_finish(tmp_path, first.recipe.optimiser)
    assert steps == 5
    last = started(with_steps(recipe, steps, 2), voices, tmp_path)
    assert last.done == 3
    noise = np.random.default_rng(0).standard_normal((3, 8000)).astype(np.float32)
    train(last, {"eer": [Segment(speaker, one) for speaker, one in zip("aab", noise, strict=True)]}, 1)
    assert checkpoint.step_of(tmp_path / "decayed.safetensors") == 5
    assert checkpoint.step_of(tmp_path / "checkpoint.safetensors") == 3
    assert [row["step"] for row in history(tmp_path)] == ["5"]


def test_the_checkpoint_before_the_decay_is_kept(recipe: Recipe, voices: Voices, tmp_path: Path) -> None:
    run = started(with_steps(recipe, 3, 1), voices, tmp_path)
    run.folder.mkdir(exist_ok=True)
    noise = np.random.default_rng(0).standard_normal((3, 8000)).astype(np.float32)
    train(run, {"eer": [Segment(speaker, one) for speaker, one in zip("aab", noise, strict=True)]}, 1)
    assert checkpoint.step_of(tmp_path / "checkpoint.safetensors") == 2
    assert checkpoint.step_of(tmp_path / "decayed.safetensors") == 3


def test_a_folder_without_a_run_cannot_be_finished(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no run to finish"):
        steps_to_finish(tmp_path, recipe.optimiser)
