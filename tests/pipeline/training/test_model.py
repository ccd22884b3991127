"""The model file: the same bytes again, what was trained comes back, and what is broken is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pipeline.errors import CheckpointError, StoreError
from pipeline.training import MODEL, TrainedRun, load_model, save_model
from tests.pipeline.settings_for_training import train_settings
from tests.pipeline.training.world import DIMENSION, World

VARIANTS = [{"branch": "single"}, {"branch": "two", "fusion": "gated"}, {"branch": "two", "fusion": "linear"}]


@pytest.fixture(scope="module")
def run(world: World) -> TrainedRun:
    return world.train(train_settings(selection="validation"))


@pytest.fixture
def path(run: TrainedRun, tmp_path: Path) -> Path:
    save_model(tmp_path / MODEL, run.model)
    return tmp_path / MODEL


def test_same_settings_same_bytes(world: World, run: TrainedRun, path: Path, tmp_path: Path) -> None:
    again = world.train(train_settings(selection="validation"))
    save_model(tmp_path / "again.safetensors", again.model)
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    assert again.history.equals(run.history)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_loaded_model_embeds_as_the_trained_one(world: World, variant: dict[str, object], tmp_path: Path) -> None:
    trained = world.train(train_settings(**variant)).model
    save_model(tmp_path / MODEL, trained)
    loaded = load_model(tmp_path / MODEL)
    assert np.array_equal(loaded.embed_faces(world.faces), trained.embed_faces(world.faces))
    assert np.array_equal(loaded.embed_voices(world.voices), trained.embed_voices(world.voices))
    assert (loaded.settings, loaded.sizes, loaded.chosen_epoch) == (
        trained.settings,
        trained.sizes,
        trained.chosen_epoch,
    )


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_embeddings_are_those_of_each_plain_network(world: World, variant: dict[str, object]) -> None:
    model = world.train(train_settings(**variant)).model
    together = model.embed_voices(world.voices)
    assert together.shape == (3, len(world.voices), 16)
    assert together.dtype == np.float32
    for index in range(3):
        with torch.no_grad():
            alone = model.network(index).embed_voices(torch.from_numpy(world.voices)).numpy()
        np.testing.assert_allclose(together[index], alone, atol=1e-6)


def test_single_branch_embeddings_have_unit_norm(world: World, run: TrainedRun) -> None:
    embeddings = run.model.embed_faces(world.faces)  # (S, N, E)
    norms = np.linalg.norm(embeddings, axis=-1)
    silent = (embeddings == 0).all(axis=-1)  # no unit of the narrow test network above zero: the documented exception
    np.testing.assert_allclose(norms[~silent], 1.0, atol=1e-5)
    assert silent.mean() < 0.01


def test_gated_embeddings_are_the_tanh_of_unit_vectors(world: World) -> None:
    model = world.train(train_settings(branch="two", fusion="gated")).model
    norms = np.linalg.norm(np.arctanh(model.embed_faces(world.faces).astype(np.float64)), axis=-1)
    np.testing.assert_allclose(norms, 1.0, atol=1e-4)


def test_score_is_minus_the_squared_distance(run: TrainedRun) -> None:
    left, right = np.float32([[0.6, 0.8]]), np.float32([[1.0, 0.0]])
    assert run.model.score(left, right) == pytest.approx(-0.8)


def test_any_number_of_rows_embeds_the_same(world: World, run: TrainedRun) -> None:
    many = np.tile(world.faces, (15, 1))  # beyond what goes through at once
    found = run.model.embed_faces(many)
    np.testing.assert_allclose(found[:, : len(world.faces)], found[:, -len(world.faces) :], atol=1e-6)


def test_vectors_of_another_width_are_refused(run: TrainedRun) -> None:
    with pytest.raises(StoreError, match=f"N, {DIMENSION}"):
        run.model.embed_faces(np.zeros((3, DIMENSION + 1), np.float32))


def test_metadata_says_how_the_model_was_made(path: Path) -> None:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    assert list(metadata) == ["sbnet"]
    described = json.loads(metadata["sbnet"])
    assert described["seeds"] == [0, 1, 2]
    assert described["selection"] == "validation"
    assert described["classes"] == 40
    assert len(described["chosen_epoch"]) == 3
    assert described["settings"]["loss"] == "fop"


def rewrite(path: Path, **changes: object) -> None:
    """The same file with something else in its metadata, or in a tensor under `tensors`."""
    with safe_open(path, framework="pt") as file:
        described = json.loads(file.metadata()["sbnet"])
    tensors = load_file(path) | changes.pop("tensors", {})
    save_file(tensors, path, metadata={"sbnet": json.dumps(described | changes)})


def poisoned(path: Path) -> dict[str, torch.Tensor]:
    bias = load_file(path)["classifier.bias"].clone()
    bias[1, 2] = torch.inf
    return {"classifier.bias": bias}


BREAKS = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no model"),
    "no metadata": lambda path: save_file(load_file(path), path),
    "other format": lambda path: rewrite(path, format=99),
    "other network": lambda path: rewrite(path, sizes={"face": 24, "voice": 24, "classes": 41}),
    "unknown setting": lambda path: rewrite(path, settings={"branch": "single"}),
    "poisoned": lambda path: rewrite(path, tensors=poisoned(path)),
    "extra tensor": lambda path: rewrite(path, tensors={"surplus": torch.zeros(1)}),
    "absent": lambda path: path.unlink(),
}


@pytest.mark.parametrize("kind", BREAKS)
def test_a_broken_model_is_refused_by_name(path: Path, kind: str) -> None:
    BREAKS[kind](path)
    with pytest.raises(CheckpointError, match=MODEL):
        load_model(path)


def test_weights_that_are_not_finite_are_never_written(run: TrainedRun, tmp_path: Path) -> None:
    model = load_model_copy(run, tmp_path)
    with torch.no_grad():
        next(model.stacked.parameters())[0, 0, 0] = torch.nan
    with pytest.raises(CheckpointError, match="not finite"):
        save_model(tmp_path / "bad.safetensors", model)
    assert not (tmp_path / "bad.safetensors").exists()


def load_model_copy(run: TrainedRun, folder: Path):
    save_model(folder / "copy.safetensors", run.model)
    return load_model(folder / "copy.safetensors")
