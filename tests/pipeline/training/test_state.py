"""Killed and resumed: bit for bit what would have been; damaged states are never believed."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from pipeline.training import StateFile, TrainedRun, loop
from pipeline.training.data import TrainingData
from tests.pipeline.settings_for_training import train_settings
from tests.pipeline.training.world import World

ROOT = Path(__file__).resolve().parents[3]
VARIANTS = [
    {"loss": "fop", "dropout": 0.5},
    {"loss": "git", "centres": "moving", "order": "alternate", "shuffle": "once"},
    {"loss": "center", "method": "two_branch", "selection": "last"},
    {"loss": "arcface"},  # owns parameters
    {"loss": "ntxent", "order": "random"},
    {"order": "identity_uniform"},
    {"method": "two_branch", "order": "identity_uniform"},
]


class KillAfter(StateFile):
    """Stops the training right after its n-th write, as a kill at that moment would."""

    def __init__(self, folder: Path, writes: int) -> None:
        super().__init__(folder, "run")
        self.writes = writes

    def save(self, seed: int, state) -> None:
        super().save(seed, state)
        self.writes -= 1
        if self.writes == 0:
            raise KeyboardInterrupt


def assert_same(one: TrainedRun, other: TrainedRun) -> None:
    assert one.model.chosen_epoch == other.model.chosen_epoch
    assert one.history.equals(other.history)
    for mine, theirs in zip(one.model.methods, other.model.methods, strict=True):
        for name, value in mine.state_dict().items():
            assert torch.equal(value, theirs.state_dict()[name]), name


# Three seeds of six epochs each. 6: the first seed is done; 18: all is done, only the model is not written.
@pytest.mark.parametrize(
    ("variant", "writes"), [*((VARIANTS[0], writes) for writes in (1, 6, 18)), *((variant, 9) for variant in VARIANTS)]
)
def test_interrupted_and_resumed_is_the_uninterrupted_run(
    world: World, tmp_path: Path, variant: dict[str, object], writes: int
) -> None:
    settings = train_settings(**{"epochs": 6, "selection": "validation", **variant})
    whole = world.train(settings)
    with pytest.raises(KeyboardInterrupt):
        world.train(settings, state_file=KillAfter(tmp_path, writes), save_every=0.0)
    state_file = StateFile(tmp_path, "run")
    assert_same(world.train(settings, state_file=state_file), whole)
    states = [state_file.load(seed) for seed in settings.seeds]
    assert [state.epochs_done for state in states if state] == [6, 6, 6]


KILLED = """
import sys
from pathlib import Path
from pipeline.training import StateFile
from tests.pipeline.settings_for_training import train_settings
from tests.pipeline.training.world import make_world
settings = train_settings(epochs=4000, seeds=[0], selection="validation")
make_world().train(settings, state_file=StateFile(Path(sys.argv[1]), "run"), save_every=0.0)
"""


def test_a_killed_process_leaves_a_state_that_another_goes_on_from(world: World, tmp_path: Path) -> None:
    """The kill falls wherever it falls; the state on disk is whole, and going on from it is bit-equal from there."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], env=environment, stderr=subprocess.DEVNULL, cwd=ROOT
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("run-*/seed-0.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (left,) = tmp_path.glob("run-*/seed-0.safetensors")
    state_file = StateFile(tmp_path, "run")
    state_file.open(key_of(left))
    state = state_file.load(0)
    assert state is not None and 0 < state.epochs_done < 4000
    # A run of just so many epochs must have come to the same networks.
    short = world.train(train_settings(epochs=state.epochs_done, seeds=[0], selection="validation"))
    for name, value in short.model.methods[0].state_dict().items():
        assert torch.equal(value, state.tensors[f"snapshot.{name}"]), name


def key_of(path: Path) -> str:
    with safe_open(path, framework="pt") as file:
        return str(json.loads(file.metadata()["state"])["key"])


def interrupted(world: World, folder: Path) -> Path:
    with pytest.raises(KeyboardInterrupt):
        world.train(train_settings(epochs=6), state_file=KillAfter(folder, 2), save_every=0.0)
    (path,) = folder.glob("run-*/seed-0.safetensors")
    return path


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 1  # one bit of one weight
    path.write_bytes(bytes(data))


DAMAGES = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "empty": lambda path: path.write_bytes(b""),
    "one bit flipped": flip,
    "rubbish": lambda path: path.write_bytes(os.urandom(2000)),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_state_is_passed_over_with_a_warning(
    world: World, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    DAMAGES[kind](interrupted(world, tmp_path))
    with caplog.at_level(logging.WARNING):
        resumed = world.train(train_settings(epochs=6), state_file=StateFile(tmp_path, "run"))
    assert "begins anew" in caplog.text
    assert_same(resumed, world.train(train_settings(epochs=6)))


@pytest.mark.parametrize("change", [{"learning_rate": 0.02}, {"seeds": [0, 1, 3]}, {"epochs": 7}], ids=str)
def test_a_state_of_other_settings_is_not_looked_at(world: World, tmp_path: Path, change: dict[str, object]) -> None:
    interrupted(world, tmp_path)
    settings = train_settings(**{"epochs": 6, **change})
    assert_same(world.train(settings, state_file=StateFile(tmp_path, "run")), world.train(settings))


def test_a_state_of_other_data_is_not_looked_at(world: World, tmp_path: Path) -> None:
    interrupted(world, tmp_path)
    faces = world.faces.copy()
    faces[0] = faces[1]
    other = World(faces, world.voices, world.lists, world.unseen)
    settings = train_settings(epochs=6)
    assert_same(other.train(settings, state_file=StateFile(tmp_path, "run")), other.train(settings))


@pytest.mark.parametrize(("code", "resumes"), [({"pipeline/losses/fop.py": "0"}, True), ({"fop.py": "1"}, False)])
def test_a_state_of_other_code_is_not_gone_on_from_and_the_log_says_so(
    world: World, tmp_path: Path, code: dict[str, str], resumes: bool, caplog: pytest.LogCaptureFixture
) -> None:
    settings, before = train_settings(epochs=6, seeds=[0]), {"pipeline/losses/fop.py": "0"}
    with pytest.raises(KeyboardInterrupt):
        world.train(settings, state_file=KillAfter(tmp_path, 2), save_every=0.0, code=before)
    again = KillAfter(tmp_path, 100)
    world.train(settings, state_file=again, save_every=0.0, code=code)
    assert 100 - again.writes == (4 if resumes else 6)  # epochs trained
    assert ("training begins anew" in caplog.text) is not resumes


def test_the_code_that_trains_every_run_is_in_the_key_of_a_training(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = train_settings()
    data = TrainingData(settings, world.lists, world.faces, world.voices, torch.device("cpu"))
    before = loop.training_key(settings, data, {})
    named = loop._own_code()
    assert {f"pipeline/{name}.py" for name in ("training/trainer", "metrics/rates", "scoring/similarity")} <= set(named)
    monkeypatch.setattr(loop, "_own_code", lambda: {**named, "pipeline/training/trainer.py": "edited"})
    assert loop.training_key(settings, data, {}) != before


def test_a_state_under_a_copied_name_is_refused(world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = interrupted(world, tmp_path)
    settings = train_settings(epochs=6, learning_rate=0.02)
    state_file = StateFile(tmp_path, "run")
    world.train(settings, state_file=state_file)  # settles the key
    state_file.folder.mkdir(parents=True, exist_ok=True)
    path.rename(state_file.path(0))
    with caplog.at_level(logging.WARNING):
        assert state_file.load(0) is None
    assert "not what was written for this training" in caplog.text


def test_removing_leaves_nothing(world: World, tmp_path: Path) -> None:
    state_file = StateFile(tmp_path, "run")
    world.train(train_settings(), state_file=state_file, save_every=0.0)
    assert all(state_file.path(seed).exists() for seed in (0, 1, 2))
    (state_file.folder / ".state.99.partial.safetensors").write_bytes(b"left by a kill")
    state_file.remove()
    assert list(tmp_path.iterdir()) == []
    state_file.remove()
