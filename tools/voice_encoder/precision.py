"""What lower precision costs and saves: cosine to float32, EER, and time per second of speech.

    python -m tools.voice_encoder.precision <LibriSpeech folder> <run>/checkpoint.safetensors <weights.safetensors>

The reference is the run's float32 average; beside it the stored half-precision weights, run in three precisions.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from extractors.pretrained import read_safetensors
from extractors.voices.aggregator_network import UtteranceAggregator
from extractors.voices.aggregator_weights import load_state
from extractors.voices.utterance_aggregator import SAMPLE_RATE, spectrogram
from pipeline.metrics import equal_error_rate
from tools.voice_encoder.checkpoint import averaged
from tools.voice_encoder.command import options, run_command
from tools.voice_encoder.recipe import load_recipe
from tools.voice_encoder.speakers import part, utterances
from tools.voice_encoder.trials import Segment, require_trials, segments

log = logging.getLogger(__name__)
Forward = Callable[[torch.Tensor], torch.Tensor]
_FEW = 4  # segments in float16 on a CPU, for which few processors have fast kernels


def forwards(trained: UtteranceAggregator, stored: UtteranceAggregator, device: torch.device) -> dict[str, Forward]:
    """How the networks may be run, the reference first."""

    def autocast(kind: torch.dtype) -> Forward:
        def forward(inputs: torch.Tensor) -> torch.Tensor:
            with torch.autocast(device.type, kind):
                residuals = stored.residuals(inputs.to(memory_format=torch.channels_last))
            return stored.embed(residuals.float())

        return forward

    return {
        "float32 weights": trained,
        "stored, run in float32": stored,
        "stored, run in bfloat16": autocast(torch.bfloat16),
        "stored, run in float16": autocast(torch.float16),
    }


@torch.inference_mode()
def run(forward: Forward, inputs: list[torch.Tensor]) -> tuple[NDArray[np.float32], float]:
    """(N, 512) embeddings and the seconds it took, the first utterance aside."""
    forward(inputs[0])
    started = time.process_time() if inputs[0].device.type == "cpu" else time.perf_counter()
    vectors = np.stack([forward(one)[0].float().cpu().numpy() for one in inputs])
    now = time.process_time() if inputs[0].device.type == "cpu" else time.perf_counter()
    return vectors, now - started


def rate(vectors: NDArray[np.float32], trial_segments: list[Segment]) -> str:
    """EER over all pairs of segments, or a dash for few segments."""
    if len(vectors) <= _FEW:
        return "-"
    speakers = np.array([segment.speaker for segment in trial_segments])
    left, right = np.triu_indices(len(vectors), k=1)
    return f"{equal_error_rate((vectors @ vectors.T)[left, right], speakers[left] == speakers[right]):.2f} %"


def main() -> None:
    """Log a line per precision."""
    arguments = options(__doc__)
    arguments.add_argument("speech", type=Path)
    arguments.add_argument("checkpoint", type=Path)
    arguments.add_argument("weights", type=Path, help="what tools.voice_encoder.export made of the checkpoint")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trained = load_state(averaged(given.checkpoint), str(given.checkpoint)).to(device)
    stored = load_state(read_safetensors(given.weights), str(given.weights)).to(device)
    recipe = load_recipe()
    trial_segments = segments(part(utterances(given.speech), "test"), recipe.watch.segment)
    require_trials(trial_segments, f"the test speakers of held_out.csv in {given.speech}")
    inputs = [torch.from_numpy(spectrogram(one.waveform))[None, None].to(device) for one in trial_segments]
    reference: NDArray[np.float32] | None = None
    for name, forward in forwards(trained, stored, device).items():
        count = _FEW if name.endswith(" float16") and device.type == "cpu" else len(inputs)
        vectors, took = run(forward, inputs[:count])
        reference = vectors if reference is None else reference
        cosine = (reference[:count] * vectors).sum(axis=1)
        seconds = sum(len(one.waveform) for one in trial_segments[:count]) / SAMPLE_RATE
        log.info(
            "%-24s %3d segments  cosine min %.6f mean %.6f  EER %s  %.1f ms per second of speech",
            name, count, cosine.min(), cosine.mean(), rate(vectors, trial_segments[:count]), 1000 * took / seconds,
        )  # fmt: skip


if __name__ == "__main__":
    run_command(main)
