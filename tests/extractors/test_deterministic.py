"""Networks run with full float32 and fixed algorithms, and the user's own settings stay."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from extractors.deterministic import exact_inference
from extractors.voices.aggregator_network import UtteranceAggregator
from extractors.voices.utterance_aggregator import AggregatedVoice
from pipeline.errors import MediaError
from tests.extractors.voices.test_utterance_aggregator import settings, tone


@pytest.fixture(autouse=True)
def rounded_products() -> Iterator[None]:
    """The user lets matrix products be of TensorFloat-32, as NVIDIA's containers do."""
    torch.set_float32_matmul_precision("high")
    yield
    torch.set_float32_matmul_precision("highest")


def flags() -> tuple[bool, bool, bool, bool, str]:
    cudnn, products = torch.backends.cudnn, torch.get_float32_matmul_precision()
    return cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic, torch.is_inference_mode_enabled(), products


EXACT = (False, False, True, True, "highest")


def test_flags_hold_inside_alone() -> None:
    before = flags()
    with exact_inference():
        assert flags() == EXACT
    assert flags() == before != EXACT


def test_flags_come_back_after_an_error() -> None:
    before = flags()
    with pytest.raises(MediaError), exact_inference():
        raise MediaError("no sound")
    assert flags() == before


def test_networks_in_torch_run_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBNET_CPU_BACKEND", "torch")
    seen = []
    real = UtteranceAggregator.residuals

    def watched(network: UtteranceAggregator, inputs: torch.Tensor) -> torch.Tensor:
        seen.append(flags())
        return real(network, inputs)

    monkeypatch.setattr(UtteranceAggregator, "residuals", watched)
    vectors = AggregatedVoice(settings(), torch.device("cpu"))([tone(1.0)])
    assert seen == [EXACT] and np.isfinite(vectors).all()
