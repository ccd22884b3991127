"""The train stage on planted embeddings; killed, in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from pipeline.scoring import load_model
from pipeline.store import write_store
from tests.oracles.seeded import single_branch_state
from tests.pipeline.scoring.test_released import checkpoint
from tests.pipeline.training.protocol_files import FACES_EACH, PEOPLE, VOICES_EACH, tables, write
from tests.stages.project import ROOT, Project

pytestmark = pytest.mark.stage


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Stores and a protocol of twelve people, and params.yaml with one short run."""
    for room, each in (("faces", FACES_EACH), ("voices", VOICES_EACH)):
        write_store(tmp_path / "artifacts" / room, *_rows(each), {"extractor": "planted"})
    write(tmp_path / "artifacts" / "protocol", tables())
    params(tmp_path, epochs=4)
    return Project(tmp_path, in_process=True)


def params(folder: Path, **changes: object) -> None:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["experiments"] = {"short": {"seeds": [0, 1], "batch_size": 16, **changes}}
    (folder / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))


def _rows(each: int) -> tuple[np.ndarray, pd.DataFrame]:
    rng = np.random.default_rng(each)
    vectors = np.repeat(rng.standard_normal((PEOPLE, 512)), each, axis=0)
    vectors = vectors + 0.3 * rng.standard_normal(vectors.shape)
    people = np.repeat([f"p{number}" for number in range(PEOPLE)], each)
    names = [f"{person}/{number:04d}" for number, person in enumerate(people)]
    columns = {"item": names, "frame": -1, "identity": people, "clip": names, "digest": names, "key": names}
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), pd.DataFrame(columns)


def train(project: Project, run: str = "short", fails: bool = False) -> str:
    return project.run("train", run, fails=fails, SBNET_DEVICE="cpu")


def test_the_stage_writes_model_and_history_and_shows_its_epochs(project: Project) -> None:
    log = train(project)
    folder = project.folder / "artifacts" / "runs" / "short"
    model, history = load_model(folder / "model.safetensors"), pd.read_csv(folder / "history.csv")
    assert model.settings["seeds"] == [0, 1]
    assert model.provenance == {"face": {"extractor": "planted"}, "voice": {"extractor": "planted"}}
    assert history.groupby("seed")["epoch"].max().tolist() == [4, 4]
    assert history.groupby("seed")["chosen"].sum().tolist() == [1, 1]
    assert history["validation_eer"].between(0.0, 100.0).all()
    assert "8/8" in log  # epochs of both seeds
    assert not list((project.folder / ".sbnet" / "training").glob("*"))


def test_again_gives_the_same_bytes(project: Project) -> None:
    files = ("model.safetensors", "history.csv")
    folder = project.folder / "artifacts" / "runs" / "short"
    train(project)
    first = [(folder / name).read_bytes() for name in files]
    train(project)
    assert [(folder / name).read_bytes() for name in files] == first


HASTY = """
import functools
import stages.train
from stages.common import run_stage
stages.train.train_run = functools.partial(stages.train.train_run, save_every=0.1)
run_stage(stages.train.main, takes="run", arguments=["short"])
"""


def test_killed_and_started_again_gives_the_bytes_of_a_run_without_a_kill(project: Project) -> None:
    """The real stage, but for a state written ten times a second, so that the run need not last long."""
    params(project.folder, epochs=200, methods={"sbnet": {"embedding": 16}})
    project.run("settings")
    folder = project.folder / "artifacts" / "runs" / "short"
    hasty = [sys.executable, "-c", HASTY]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SBNET_HOME": str(project.home), "SBNET_DEVICE": "cpu"}
    process = subprocess.Popen(hasty, cwd=project.folder, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list((project.folder / ".sbnet" / "training").glob("short-*/seed-*.safetensors")):
        assert process.poll() is None and time.monotonic() < deadline, "no state was written while the run went on"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "model.safetensors").exists()
    train(project)
    bytes_resumed = (folder / "model.safetensors").read_bytes()
    train(project)
    assert (folder / "model.safetensors").read_bytes() == bytes_resumed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [([], "takes one argument, the name of a run"), (["shrot"], "did you mean 'short'?")],
)
def test_a_wrong_run_ends_with_a_sentence(project: Project, arguments: list[str], message: str) -> None:
    assert message in project.run("train", *arguments, fails=True)


def test_a_missing_store_ends_with_a_sentence_and_leaves_no_model(project: Project) -> None:
    (project.folder / "artifacts" / "voices" / "embeddings.safetensors").unlink()
    assert "StoreError" in train(project, fails=True)
    assert not (project.folder / "artifacts" / "runs" / "short").exists()


def test_a_released_checkpoint_is_a_run_without_a_history(project: Project, tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "theirs.pth.tar", single_branch_state())
    raw = yaml.safe_load((project.folder / "params.yaml").read_text())
    raw["experiments"] = {"theirs": {"checkpoint": str(path)}}
    (project.folder / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    assert f"train theirs: released checkpoint {path}, not trained here" in train(project, "theirs")
    folder = project.folder / "artifacts" / "runs" / "theirs"
    assert (folder / "history.csv").read_text().count("\n") == 1  # its header
    model = load_model(folder / "model.safetensors")
    assert model.settings["method"] == "sbnet"
    assert "trained on the authors' features" in str(model.provenance["voice"]["extractor"])


def test_a_released_checkpoint_is_not_calibrated_on_people_whom_its_authors_trained_on(
    project: Project, tmp_path: Path
) -> None:
    path = checkpoint(tmp_path / "theirs.pth.tar", single_branch_state())
    raw = yaml.safe_load((project.folder / "params.yaml").read_text())
    raw["experiments"] = {"theirs": {"checkpoint": str(path)}}
    (project.folder / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    summary = project.folder / "artifacts" / "protocol" / "summary.json"
    summary.write_text(json.dumps(json.loads(summary.read_text()) | {"validation_of_labels": 3}))
    train(project, "theirs")
    model = load_model(project.folder / "artifacts" / "runs" / "theirs" / "model.safetensors")
    (found,) = model.calibration("voice", "face")
    assert found.reason.endswith("on which a released checkpoint was trained") and not found.thresholds
