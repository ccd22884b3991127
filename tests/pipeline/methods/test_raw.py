"""Raw vectors: a floor within one modality, which learns nothing and takes no other modality."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import CheckpointError, ConfigError
from pipeline.methods.base import check_method, method_class
from pipeline.resolved import resolved
from pipeline.scoring import load_model, save_model
from pipeline.settings import RunSettings
from tests.pipeline.methods.rivals import built, planted, settings
from tests.pipeline.settings_for_training import shipped


def run(modality: str) -> RunSettings:
    return settings("raw", "own", modality=modality)


def test_scores_are_the_order_of_cosines() -> None:
    vectors = torch.randn(30, 12, generator=torch.Generator().manual_seed(0)) * torch.arange(1.0, 31.0)[:, None]
    unit = built("raw", modality="face").embed("face", vectors)
    torch.testing.assert_close(unit @ unit.T, torch.nn.functional.cosine_similarity(vectors[:, None], vectors, dim=-1))


@pytest.mark.parametrize("modality", ["face", "voice"])
def test_a_trained_run_is_the_vectors_of_the_store(modality: str, tmp_path: Path) -> None:
    world = planted()
    trained = world.train(run(modality)).model
    save_model(tmp_path / "model.safetensors", trained)
    model = load_model(tmp_path / "model.safetensors")
    store = world.faces if modality == "face" else world.voices
    expected = store / np.linalg.norm(store, axis=1, keepdims=True)
    np.testing.assert_allclose(model.embed(modality, store)[0], expected, rtol=1e-5, atol=1e-6)
    other = "voice" if modality == "face" else "face"
    assert not model.takes(other)
    with pytest.raises(CheckpointError, match="trained on one modality"):
        model.embed(other, world.voices)


def test_a_run_of_both_modalities_is_refused() -> None:
    with pytest.raises(ConfigError, match="modality: face or voice"):
        check_method(method_class("raw"), run("face").model_copy(update={"modality": "both"}))


def test_it_depends_on_no_key_that_trains() -> None:
    params = shipped().model_copy(update={"experiments": {"floor": {"method": "raw", "modality": "face"}}})
    train = params.train.model_copy(
        update={"loss": "git", "epochs": 3, "batch_size": 7, "learning_rate": 0.5, "decay": 0.5, "weight_decay": 0.1}
    )
    assert resolved(params, "floor") == resolved(params.model_copy(update={"train": train}), "floor")
    assert resolved(params, "floor").loss == "own"
