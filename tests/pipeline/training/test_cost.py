"""What a run costs: values, seconds that a kill does not lose, microseconds of any kind of score."""

from pathlib import Path

import pytest
import torch

from pipeline.training import StateFile, cost_of
from pipeline.training.data import TrainingData
from pipeline.training.loop import train_run, training_key
from tests.pipeline.methods.rivals import planted, settings


@pytest.mark.parametrize(
    ("method", "changes", "values"),
    [
        ("multi_view", {"loss": "ce"}, 2 * (24 * 32 + 32 + 32 * 16 + 16) + 16 * 60 + 60),
        ("raw", {"loss": "own", "modality": "face"}, 0),
        ("svhf", {"loss": "own", "selection": "last"}, None),
    ],
)
def test_values_are_counted_and_scores_of_every_kind_are_timed(method: str, changes: dict, values: int | None) -> None:
    world = planted()
    trained = world.train(settings(method, **changes, seeds=[0, 1], epochs=2))
    cost = cost_of(trained, world.faces, world.voices, "cpu")
    assert values is None or cost.parameters == values
    assert len(cost.seconds) == 2 and min(cost.seconds) > 0.0
    assert 0.0 < cost.microseconds < 1e5
    assert cost.device == "cpu"


def test_seconds_before_a_kill_count(tmp_path: Path) -> None:
    world, run = planted(), settings("multi_view", "ce", epochs=3)
    cpu, state_file = torch.device("cpu"), StateFile(tmp_path, "run")
    train_run(run, world.lists, world.faces, world.voices, cpu, state_file)
    state = state_file.load(0)
    assert state is not None and state.seconds > 0.0
    again = StateFile(tmp_path, "run")
    again.open(training_key(run, TrainingData(run, world.lists, world.faces, world.voices, cpu), {}))
    resumed = train_run(run, world.lists, world.faces, world.voices, cpu, again)
    assert resumed.seconds == (state.seconds,)  # nothing was left to do
