"""The shipped file: half precision, loadable, from a run's average."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from extractors.aggregator_network import load_state, untrained
from extractors.voice_weights import read_safetensors
from voice_encoder import export


def test_exported_weights_embed_as_the_average_does(tmp_path: Path) -> None:
    network = untrained(0)
    tensors = {f"average.{name}": value for name, value in network.state_dict().items()}
    extra = {"student.pool.centres": torch.zeros(1), "step": torch.tensor(3)}
    save_file(tensors | extra, tmp_path / "run.safetensors")
    export.main(tmp_path / "run.safetensors", tmp_path / "weights.safetensors")
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
    with pytest.raises(ValueError, match="float16"):
        export.main(tmp_path / "run.safetensors", tmp_path / "weights.safetensors")
    assert not (tmp_path / "weights.safetensors").exists()
