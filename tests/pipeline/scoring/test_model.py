"""The model file: the same bytes again, what was trained comes back, and what is broken is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pipeline.errors import CheckpointError
from pipeline.scoring import MODEL, load_model, save_model
from pipeline.training import TrainedRun
from tests.pipeline.settings_for_training import train_settings
from tests.pipeline.training.world import DIMENSION, World

VARIANTS = [
    {"method": "sbnet"},
    {"method": "two_branch", "fusion": "gated"},
    {"method": "two_branch", "fusion": "linear"},
]
ORIGIN = {"face": {"extractor": "planted faces"}, "voice": {"extractor": "planted voices"}}


@pytest.fixture(scope="module")
def run(world: World) -> TrainedRun:
    return world.train(train_settings(selection="validation"), provenance=ORIGIN)


@pytest.fixture
def path(run: TrainedRun, tmp_path: Path) -> Path:
    save_model(tmp_path / MODEL, run.model)
    return tmp_path / MODEL


def test_same_settings_same_bytes(world: World, run: TrainedRun, path: Path, tmp_path: Path) -> None:
    again = world.train(train_settings(selection="validation"), provenance=ORIGIN)
    save_model(tmp_path / "again.safetensors", again.model)
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    assert again.history.equals(run.history)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_loaded_model_embeds_as_the_trained_one(world: World, variant: dict[str, object], tmp_path: Path) -> None:
    trained = world.train(train_settings(**variant)).model
    save_model(tmp_path / MODEL, trained)
    loaded = load_model(tmp_path / MODEL)
    assert np.array_equal(loaded.embed("face", world.faces), trained.embed("face", world.faces))
    assert np.array_equal(loaded.embed("voice", world.voices), trained.embed("voice", world.voices))
    assert (loaded.settings, loaded.sizes, loaded.chosen_epoch) == (
        trained.settings,
        trained.sizes,
        trained.chosen_epoch,
    )


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_embeddings_are_those_of_each_plain_network(world: World, variant: dict[str, object]) -> None:
    model = world.train(train_settings(**variant)).model
    together = model.embed("voice", world.voices)
    assert together.shape == (3, len(world.voices), 16)
    assert together.dtype == np.float32
    for index in range(3):
        with torch.no_grad():
            alone = model.methods[index].embed("voice", torch.from_numpy(world.voices)).numpy()
        np.testing.assert_allclose(together[index], alone, atol=1e-6)


def test_single_branch_embeddings_have_unit_norm(world: World, run: TrainedRun) -> None:
    embeddings = run.model.embed("face", world.faces)  # (S, N, E)
    norms = np.linalg.norm(embeddings, axis=-1)
    silent = (embeddings == 0).all(axis=-1)  # no unit of the narrow test network above zero: the documented exception
    np.testing.assert_allclose(norms[~silent], 1.0, atol=1e-5)
    assert silent.mean() < 0.01


def test_gated_embeddings_are_the_tanh_of_unit_vectors(world: World) -> None:
    model = world.train(train_settings(method="two_branch", fusion="gated")).model
    norms = np.linalg.norm(np.arctanh(model.embed("face", world.faces).astype(np.float64)), axis=-1)
    np.testing.assert_allclose(norms, 1.0, atol=1e-4)


def test_any_number_of_rows_embeds_the_same(world: World, run: TrainedRun) -> None:
    many = np.tile(world.faces, (15, 1))  # beyond what goes through at once
    found = run.model.embed("face", many)
    np.testing.assert_allclose(found[:, : len(world.faces)], found[:, -len(world.faces) :], atol=1e-6)


def test_vectors_that_cannot_be_changed_embed_the_same(world: World, run: TrainedRun) -> None:
    """As those of a store are; torch would warn of them."""
    fixed = world.faces[:3].copy()
    fixed.flags.writeable = False
    np.testing.assert_array_equal(run.model.embed("face", fixed), run.model.embed("face", world.faces[:3]))


def test_vectors_of_another_width_are_refused(run: TrainedRun) -> None:
    with pytest.raises(CheckpointError, match=f"N, {DIMENSION}"):
        run.model.embed("face", np.zeros((3, DIMENSION + 1), np.float32))


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
    assert described["settings"]["loss_options"] == {"form": "official", "alpha": 1.0}
    assert described["provenance"] == ORIGIN
    assert not {"git", "center", "two_branch"} & set(json.dumps(described).split('"'))  # its own options alone


def header(path: Path) -> dict[str, object]:
    with safe_open(path, framework="pt") as file:
        found: dict[str, object] = json.loads(file.metadata()["sbnet"])
    return found


def rewrite(path: Path, **changes: object) -> None:
    """The same file with something else in its metadata, or in a tensor under `tensors`."""
    described = header(path)
    tensors = load_file(path) | changes.pop("tensors", {})
    save_file(tensors, path, metadata={"sbnet": json.dumps(described | changes)})


def poisoned(path: Path) -> dict[str, torch.Tensor]:
    bias = load_file(path)["1.network.classifier.bias"].clone()
    bias[2] = torch.inf
    return {"1.network.classifier.bias": bias}


BREAKS = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no model"),
    "no metadata": lambda path: save_file(load_file(path), path),
    "other format": lambda path: rewrite(path, format=99),
    "other network": lambda path: rewrite(path, sizes={"face": 24, "voice": 24, "classes": 41, "traits": {}}),
    "older format": lambda path: rewrite(path, format=1),
    "poisoned calibration": lambda path: rewrite(
        path, calibration={"voice": [{"slope": float("nan"), "offset": 0.0}] * 3}
    ),
    "calibration of one seed": lambda path: rewrite(path, calibration={"voice": [{"reason": "too few people"}]}),
    "other method": lambda path: rewrite(path, settings={**header(path)["settings"], "method": "svhf"}),
    "unknown setting": lambda path: rewrite(path, settings={"method": "sbnet"}),
    "poisoned": lambda path: rewrite(path, tensors=poisoned(path)),
    "extra tensor": lambda path: rewrite(path, tensors={"surplus": torch.zeros(1)}),
    "extra seed": lambda path: rewrite(path, tensors={"3.network.classifier.bias": torch.zeros(1)}),
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
        next(model.methods[1].parameters())[0, 0] = torch.nan
    with pytest.raises(CheckpointError, match="not finite"):
        save_model(tmp_path / "bad.safetensors", model)
    assert not (tmp_path / "bad.safetensors").exists()


def load_model_copy(run: TrainedRun, folder: Path):
    save_model(folder / "copy.safetensors", run.model)
    return load_model(folder / "copy.safetensors")


def test_model_that_knows_less_settings_than_there_are_now_still_loads(path: Path, world: World) -> None:
    """Trained before a key of train: and a loss's option came: neither is looked at."""
    before = load_model(path).embed("face", world.faces)
    settings = {key: value for key, value in header(path)["settings"].items() if key != "weight_decay"}
    rewrite(path, settings={**settings, "loss_options": {"alpha": 1.0}, "loss": "a loss that is no more"})
    assert np.array_equal(load_model(path).embed("face", world.faces), before)


def test_settings_that_would_train_it_are_distinguished_from_others(path: Path) -> None:
    model = load_model(path)
    assert model.was_trained_with(train_settings(selection="validation"))
    assert not model.was_trained_with(train_settings(selection="validation", alpha=0.5))
    assert not model.was_trained_with(train_settings(selection="validation", loss="git"))


def test_branch_of_one_modality_says_which_vectors_it_takes(world: World) -> None:
    narrow = World(world.faces, np.ascontiguousarray(world.voices[:, :10]), world.lists, world.unseen)
    model = narrow.train(train_settings(modality="voice", epochs=1)).model
    assert (model.takes("voice"), model.takes("face")) == (True, False)
    with pytest.raises(CheckpointError, match="face vectors are not as wide"):
        model.embed("face", world.faces)
