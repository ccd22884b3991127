"""The train stage, run as DVC runs it."""

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

from pipeline.protocol import write_protocol
from pipeline.store import write_store
from pipeline.training import load_model
from tests.pipeline.protocol import corpora
from tests.pipeline.training.protocol_files import FACES_EACH, PEOPLE, VOICES_EACH, tables, write

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Stores and a protocol of twelve people, and params.yaml with one short run."""
    for room, each in (("faces", FACES_EACH), ("voices", VOICES_EACH)):
        write_store(tmp_path / "artifacts" / room, *_rows(each), {"extractor": "planted"})
    write(tmp_path / "artifacts" / "protocol", tables())
    return params(tmp_path, epochs=4)


def params(folder: Path, **changes: object) -> Path:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["experiments"] = {"short": {"seeds": [0, 1], "batch_size": 16, **changes}}
    (folder / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    return folder


def _rows(each: int) -> tuple[np.ndarray, pd.DataFrame]:
    rng = np.random.default_rng(each)
    vectors = np.repeat(rng.standard_normal((PEOPLE, 512)), each, axis=0)
    vectors = vectors + 0.3 * rng.standard_normal(vectors.shape)
    people = np.repeat([f"p{number}" for number in range(PEOPLE)], each)
    names = [f"{person}/{number:04d}" for number, person in enumerate(people)]
    columns = {"item": names, "frame": -1, "identity": people, "clip": names, "digest": names, "key": names}
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), pd.DataFrame(columns)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "stages.train", *arguments]


def environment(project: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "SBNET_HOME": str(project / ".sbnet"), "SBNET_DEVICE": "cpu"}


def train(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=project, env=environment(project), capture_output=True, text=True, check=False
    )


def test_the_stage_writes_model_and_history_and_shows_its_epochs(project: Path) -> None:
    done = train(project, "short")
    assert done.returncode == 0, done.stderr
    folder = project / "artifacts" / "runs" / "short"
    model, history = load_model(folder / "model.safetensors"), pd.read_csv(folder / "history.csv")
    assert model.settings.seeds == [0, 1]
    assert history.groupby("seed")["epoch"].max().tolist() == [4, 4]
    assert history.groupby("seed")["chosen"].sum().tolist() == [1, 1]
    assert history["validation_eer"].between(0.0, 100.0).all()
    assert "4/4" in done.stderr
    assert not list((project / ".sbnet" / "training").glob("*"))


def test_again_gives_the_same_bytes(project: Path) -> None:
    files = ("model.safetensors", "history.csv")
    folder = project / "artifacts" / "runs" / "short"
    assert train(project, "short").returncode == 0
    first = [(folder / name).read_bytes() for name in files]
    assert train(project, "short").returncode == 0
    assert [(folder / name).read_bytes() for name in files] == first


HASTY = """
import functools
import stages.train
from stages.common import run_stage
stages.train.train_run = functools.partial(stages.train.train_run, save_every=0.1)
run_stage(stages.train.main, takes="run", arguments=["short"])
"""


def test_killed_and_started_again_gives_the_bytes_of_a_run_without_a_kill(project: Path) -> None:
    """The real stage, but for a state written ten times a second, so that the run need not last long."""
    params(project, epochs=400, embedding=16)
    folder = project / "artifacts" / "runs" / "short"
    hasty = [sys.executable, "-c", HASTY]
    process = subprocess.Popen(hasty, cwd=project, env=environment(project), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list((project / ".sbnet" / "training").glob("short-*/state.safetensors")):
        assert process.poll() is None and time.monotonic() < deadline, "no state was written while the run went on"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "model.safetensors").exists()
    resumed = train(project, "short")
    assert resumed.returncode == 0, resumed.stderr
    bytes_resumed = (folder / "model.safetensors").read_bytes()
    assert train(project, "short").returncode == 0
    assert (folder / "model.safetensors").read_bytes() == bytes_resumed


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [([], 2, "takes one argument, the name of a run"), (["shrot"], 1, "did you mean 'short'?")],
)
def test_a_wrong_run_ends_with_a_sentence(project: Path, arguments: list[str], code: int, message: str) -> None:
    done = train(project, *arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_every_run_that_lacks_trials_to_be_chosen_on_is_named_by_the_first(project: Path) -> None:
    parts = corpora.tables(people=24, clips=1)  # one recording a person: no genuine pair of two within a modality
    write_protocol(project / "artifacts" / "protocol", corpora.built(parts, corpora.settings()))
    for room, index in (("faces", parts.faces), ("voices", parts.voices)):
        write_store(project / "artifacts" / room, np.full((len(index), 512), 512**-0.5), index.assign(key="0"), {})
    raw = yaml.safe_load((project / "params.yaml").read_text())
    kinds = {"cross": "both", "voices": "voice", "faces": "face", "more": "voice"}
    raw["experiments"] = {name: {"modality": modality} for name, modality in kinds.items()}
    (project / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    done = train(project, "voices")
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("or give it selection: last. The same goes for more, faces")


def test_a_missing_store_ends_with_a_sentence_and_leaves_no_model(project: Path) -> None:
    (project / "artifacts" / "voices" / "embeddings.safetensors").unlink()
    done = train(project, "short")
    assert done.returncode == 1
    assert "StoreError" in done.stderr and "Traceback" not in done.stderr
    assert not (project / "artifacts" / "runs" / "short").exists()
