"""A released checkpoint as a run: measured, not trained."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.config import run_settings
from pipeline.errors import CheckpointError, ConfigError
from pipeline.files import sha256_of
from pipeline.methods import load_official_checkpoint
from pipeline.scoring import load_model, save_model
from pipeline.scoring.released import released_model
from pipeline.settings import RunSettings
from tests.oracles.seeded import single_branch_state, two_branch_state
from tests.pipeline.settings_for_training import shipped

WIDTH = 512


VOICES = {"single": 512, "two": 192}  # widths of the seeded checkpoints


def settings(checkpoint: str, **own: object) -> RunSettings:
    experiments = {"theirs": {"checkpoint": checkpoint, **own}}
    return run_settings(shipped().model_copy(update={"experiments": experiments}), "theirs")


def checkpoint(path: Path, state: dict[str, np.ndarray]) -> Path:
    """A random network in the official format."""
    tensors = {name: torch.from_numpy(np.asarray(value)) for name, value in state.items()}
    torch.save({"epoch": 1, "state_dict": tensors}, path)
    return path


@pytest.fixture
def single(tmp_path: Path) -> Path:
    return checkpoint(tmp_path / "single.pth.tar", single_branch_state())


@pytest.fixture
def two(tmp_path: Path) -> Path:
    return checkpoint(tmp_path / "two.pth.tar", two_branch_state("gated"))


@pytest.mark.parametrize(("kind", "method"), [("single", "sbnet"), ("two", "two_branch")])
def test_model_file_embeds_as_the_checkpoint(
    kind: str, method: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(kind)
    own = settings(str(path))
    save_model(tmp_path / "model.safetensors", released_model(own, WIDTH, VOICES[kind]))
    model = load_model(tmp_path / "model.safetensors")
    network = load_official_checkpoint(path)
    for modality, width in (("face", WIDTH), ("voice", VOICES[kind])):
        vectors = np.random.default_rng(0).standard_normal((5, width)).astype(np.float32)
        with torch.no_grad():
            x = torch.from_numpy(vectors)
            expected = network.embed(x) if kind == "single" else network.embed(modality, x)
        np.testing.assert_allclose(model.embed(modality, vectors)[0], expected.numpy(), atol=1e-6)  # one thread, or two
    assert model.settings["method"] == method
    assert model.was_trained_with(own)
    assert "trained on the authors' features" in model.summary()["released"]
    assert model.provenance["face"]["checkpoint"] == sha256_of(path)


def test_vectors_of_another_width_are_refused_by_name(single: Path) -> None:
    with pytest.raises(CheckpointError, match="takes voice vectors of width 512, the store's have 192"):
        released_model(settings(str(single)), WIDTH, 192)
    released_model(settings(str(single), modality="face"), WIDTH, 192)


def test_two_branches_have_no_single_modality(two: Path) -> None:
    with pytest.raises(CheckpointError, match="two branches"):
        released_model(settings(str(two), modality="face"), WIDTH, WIDTH)


def test_digest_beside_the_path_must_be_the_files(single: Path, caplog: pytest.LogCaptureFixture) -> None:
    released_model(settings(str(single)), WIDTH, WIDTH)
    digest = sha256_of(single)
    assert f"{single}#{digest[:12]}" in caplog.text
    released_model(settings(f"{single}#{digest[:12]}"), WIDTH, WIDTH)
    with pytest.raises(CheckpointError, match="other bytes"):
        released_model(settings(f"{single}#{'0' * 12}"), WIDTH, WIDTH)


def test_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        released_model(settings(str(tmp_path / "nothing.pth.tar")), WIDTH, WIDTH)


@pytest.mark.parametrize("own", [{"epochs": 3}, {"loss": "git"}, {"recipe": "official"}])
def test_a_checkpoint_takes_no_settings_of_training(own: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="is not trained"):
        settings("single.pth.tar", **own)


def test_it_counts_as_chosen_on_the_test_list() -> None:
    assert (settings("x.pth.tar").selection, settings("x.pth.tar").recipe) == ("test", "official")


@pytest.mark.parametrize("order", ["vfvf", "hefhev", "face_only"])
def test_the_authors_own_files_become_models(shared: Path, order: str) -> None:
    path = shared / "data" / "sbnet_official" / f"fop_facenet_fc2_{order}.pth.tar"
    modality = "face" if order == "face_only" else "both"
    model = released_model(settings(str(path), modality=modality), WIDTH, WIDTH)
    assert model.embed("face", np.ones((2, WIDTH), np.float32)).shape == (1, 2, 128)
