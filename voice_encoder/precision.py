"""What lower precision costs and saves at inference: cosine to float32, EER, and time per second of speech.

python -m voice_encoder.precision <folder of LibriSpeech .flac> [<weights.safetensors>]
"""

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from extractors.aggregator_network import UtteranceAggregator, load_state
from extractors.voice_spectrogram import SAMPLE_RATE, spectrogram
from extractors.voice_weights import DISTILLED, read_safetensors
from pipeline.metrics import equal_error_rate
from voice_encoder.recipe import load_recipe
from voice_encoder.speakers import part, utterances
from voice_encoder.trials import Segment, segments

log = logging.getLogger(__name__)
Forward = Callable[[torch.Tensor], torch.Tensor]


def forwards(network: UtteranceAggregator, device: torch.device) -> dict[str, Forward]:
    """How the network may be run."""

    def autocast(kind: torch.dtype) -> Forward:
        def forward(inputs: torch.Tensor) -> torch.Tensor:
            with torch.autocast(device.type, kind):
                residuals = network.residuals(inputs.to(memory_format=torch.channels_last))
            return network.embed(residuals.float())

        return forward

    return {"float32": network, "bfloat16": autocast(torch.bfloat16), "float16": autocast(torch.float16)}


@torch.inference_mode()
def run(forward: Forward, inputs: list[torch.Tensor]) -> tuple[NDArray[np.float32], float]:
    """(N, 512) embeddings and the seconds it took, the first utterance aside."""
    forward(inputs[0])
    started = time.process_time() if inputs[0].device.type == "cpu" else time.perf_counter()
    vectors = np.stack([forward(one)[0].float().cpu().numpy() for one in inputs])
    now = time.process_time() if inputs[0].device.type == "cpu" else time.perf_counter()
    return vectors, now - started


def rate(vectors: NDArray[np.float32], trial_segments: list[Segment]) -> float:
    """EER in percent over all pairs of segments."""
    speakers = np.array([segment.speaker for segment in trial_segments])
    left, right = np.triu_indices(len(vectors), k=1)
    return equal_error_rate((vectors @ vectors.T)[left, right], speakers[left] == speakers[right])


def main(speech: Path, weights: Path = DISTILLED) -> None:
    """Log a line per precision."""
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = load_state(read_safetensors(weights), str(weights)).to(device)
    recipe = load_recipe()
    trial_segments = segments(part(utterances(speech), "test"), recipe.watch.segment)
    inputs = [torch.from_numpy(spectrogram(one.waveform))[None, None].to(device) for one in trial_segments]
    seconds = sum(len(one.waveform) for one in trial_segments) / SAMPLE_RATE
    reference: NDArray[np.float32] | None = None
    for name, forward in forwards(network, device).items():
        vectors, took = run(forward, inputs)
        reference = vectors if reference is None else reference
        cosine = (reference * vectors).sum(axis=1)
        log.info(
            "%-9s cosine to float32 min %.5f mean %.5f  EER %.2f %%  %.1f ms per second of speech",
            name, cosine.min(), cosine.mean(), rate(vectors, trial_segments), 1000 * took / seconds,
        )  # fmt: skip


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(*map(Path, sys.argv[1:]))
