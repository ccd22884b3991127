"""Workers, order and batches leave no trace in the stores."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.files import sha256_of
from tests.faults.repository import environment
from tests.stages.project import ROOT, Project, make_project
from tests.stages.test_extraction_stages import demo_clips

pytestmark = [pytest.mark.faults, pytest.mark.stage]

STORES = [
    "faces/embeddings.safetensors",
    "faces/index.parquet",
    "voices/embeddings.safetensors",
    "voices/index.parquet",
]
STAGES = ("detect_faces", "embed_faces", "embed_voices")

# A CPU takes sixteen items at once, side by side: this makes it take one.
APART = """
import sys
from importlib import import_module
from pipeline.extraction import steps
from stages.common import run_stage
steps.items_at_once = lambda device, independent: 1
run_stage(import_module(f"stages.{sys.argv[1]}").main, arguments=[])
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Eight clips, extracted with one worker, the model on one thread."""
    project = make_project(tmp_path_factory.mktemp("alone"), demo_clips(8, 1))
    project.extract(SBNET_WORKERS="1", OMP_NUM_THREADS="1")
    return project


@pytest.mark.parametrize("workers", ["2", "4"])
def test_workers_and_shuffled_input_give_the_same_hash(alone: Project, tmp_path: Path, workers: str) -> None:
    project = make_project(tmp_path, {name: alone.media / name for name in demo_clips(8, 1)})
    shuffle_manifest(alone, project)
    for stage in STAGES:
        project.run(stage, SBNET_WORKERS=workers)
    for name in STORES:
        assert sha256_of(project.folder / "artifacts" / name) == sha256_of(alone.folder / "artifacts" / name), name


@pytest.mark.parametrize("threads", ["2", "8"])
def test_threads_of_the_model_give_the_same_hash(alone: Project, tmp_path: Path, threads: str) -> None:
    project = make_project(tmp_path, {name: alone.media / name for name in demo_clips(8, 1)})
    project.extract(SBNET_WORKERS="1", OMP_NUM_THREADS=threads)
    for name in STORES:
        assert sha256_of(project.folder / "artifacts" / name) == sha256_of(alone.folder / "artifacts" / name), name


def shuffle_manifest(source: Project, target: Project) -> None:
    """The manifest of one project in another one, its rows in another order."""
    manifest = source.table("manifest.parquet").sample(frac=1.0, random_state=3)
    assert not manifest["item"].is_monotonic_increasing
    (target.folder / "artifacts").mkdir()
    manifest.to_parquet(target.folder / "artifacts" / "manifest.parquet", index=False)


def test_items_one_by_one_give_the_same_hash(alone: Project, tmp_path: Path) -> None:
    project = make_project(tmp_path, {name: alone.media / name for name in demo_clips(8, 1)})
    project.run("manifest")
    for stage in STAGES:
        answer = subprocess.run(
            [sys.executable, "-c", APART, stage],
            cwd=project.folder,
            env=environment(PYTHONPATH=str(ROOT), SBNET_HOME=str(project.home), SBNET_WORKERS="0"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
    for name in STORES:
        assert sha256_of(project.folder / "artifacts" / name) == sha256_of(alone.folder / "artifacts" / name), name


def test_torch_gives_the_same_vectors_to_rounding_and_the_same_fingerprint(alone: Project, tmp_path: Path) -> None:
    project = make_project(tmp_path, {name: alone.media / name for name in demo_clips(8, 1)})
    project.extract(SBNET_CPU_BACKEND="torch")
    for modality in ("faces", "voices"):
        reference, fast = project.store(modality), alone.store(modality)
        described = ["item", "frame", "identity", "clip", "digest"]  # a face's key has the bits of its box
        pd.testing.assert_frame_equal(reference.index[described], fast.index[described])
        np.testing.assert_allclose(fast.matrix, reference.matrix, rtol=0, atol=1e-5)
        assert str(reference.provenance["backend"]).startswith("torch")
        assert str(fast.provenance["backend"]).startswith("openvino")
        assert reference.provenance["fingerprint"] == fast.provenance["fingerprint"]
