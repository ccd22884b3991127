"""The shipped file: half precision, loadable, from a run's average."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from extractors.pretrained import read_safetensors
from extractors.voices.aggregator_network import untrained
from extractors.voices.aggregator_weights import load_state
from pipeline.errors import CheckpointError, WeightsError
from tools.voice_encoder import export


def test_exported_weights_embed_as_the_average_does(tmp_path: Path) -> None:
    network = untrained(0)
    tensors = {f"average.{name}": value for name, value in network.state_dict().items()}
    extra = {"student.pool.centres": torch.zeros(1), "step": torch.tensor(3)}
    save_file(tensors | extra, tmp_path / "run.safetensors")
    export.export(tmp_path / "run.safetensors", tmp_path / "weights.safetensors")
    stored = load_file(tmp_path / "weights.safetensors")
    assert {value.dtype for name, value in stored.items() if not name.endswith("running_var")} == {torch.float16}
    again = load_state(read_safetensors(tmp_path / "weights.safetensors"), "weights")
    inputs = torch.randn(1, 1, 257, 60, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.nn.functional.cosine_similarity(network(inputs), again(inputs)).item() >= 0.9999


def test_weights_beyond_half_precision_are_refused(tmp_path: Path) -> None:
    state = untrained(0).state_dict()
    state["embedding.bias"] = torch.full((512,), 1e6)
    save_file({f"average.{name}": value for name, value in state.items()}, tmp_path / "run.safetensors")
    with pytest.raises(WeightsError, match="float16"):
        export.export(tmp_path / "run.safetensors", tmp_path / "weights.safetensors")
    assert not (tmp_path / "weights.safetensors").exists()


def test_a_file_that_is_no_checkpoint_is_refused_by_name(tmp_path: Path) -> None:
    save_file({"student.pool.centres": torch.zeros(1)}, tmp_path / "other.safetensors")
    (tmp_path / "torn.safetensors").write_bytes(b"half of it")
    for name, words in (("other", "no averaged student"), ("torn", "no readable"), ("absent", "no readable")):
        with pytest.raises(CheckpointError, match=f"{name}.safetensors.*{words}"):
            export.export(tmp_path / f"{name}.safetensors", tmp_path / "weights.safetensors")
