"""EER of our weights on the held-out speakers, beside the untrained network, the teacher and Resemblyzer: same trials.

    python -m voice_encoder.evaluate <folder of LibriSpeech .flac> [--weights W] [--seconds S] [--voices <folder>]

`--voices`: a folder per identity with media in it (such as data/demo), whose voices are tried too.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
import torch

from extractors.aggregator_network import load_state, untrained
from extractors.voice_spectrogram import SAMPLE_RATE
from extractors.voice_weights import DISTILLED, read_safetensors
from pipeline.media import decode_audio
from voice_encoder.recipe import Recipe, load_recipe
from voice_encoder.speakers import part, utterances
from voice_encoder.teachers import CamPlusPlus, Resemblyzer
from voice_encoder.trials import Embedder, Segment, altered, cut, embedder, error_rate, segments

log = logging.getLogger(__name__)
MEDIA = {".mp4", ".webm", ".mkv", ".mov", ".m4a", ".wav", ".flac"}


def encoders(weights: Path, recipe: Recipe) -> dict[str, Embedder]:
    """What is compared, by name."""
    return {
        f"untrained (seed {recipe.seed})": embedder(untrained(recipe.seed)),
        weights.stem: embedder(load_state(read_safetensors(weights), str(weights))),
        CamPlusPlus.name: CamPlusPlus(),
        Resemblyzer.name: Resemblyzer(),
    }


def corpus_segments(folder: Path, seconds: float) -> list[Segment]:
    """Segments of every clip below a folder per identity; a clip shorter than `seconds` is one segment."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.suffix in MEDIA):
        waveform = np.asarray(decode_audio(path, SAMPLE_RATE), np.float32)
        identity = path.relative_to(folder).parts[0]
        found += cut(identity, waveform, seconds) or [Segment(identity, waveform)]
    return found


def compare(title: str, trial_segments: list[Segment], compared: dict[str, Embedder]) -> None:
    """Log a line per encoder."""
    speakers = len({segment.speaker for segment in trial_segments})
    pairs = len(trial_segments) * (len(trial_segments) - 1) // 2
    log.info("%s: %d speakers, %d segments, %d trials", title, speakers, len(trial_segments), pairs)
    for name, embed in compared.items():
        log.info("  EER %5.2f %%  %s", error_rate(trial_segments, embed), name)


def main() -> None:
    """Run the comparison."""
    recipe = load_recipe()
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("speech", type=Path)
    arguments.add_argument("--weights", type=Path, default=DISTILLED)
    arguments.add_argument("--seconds", type=float, default=recipe.watch.segment)
    arguments.add_argument("--voices", type=Path)
    given = arguments.parse_args()
    torch.set_num_threads(1)
    compared = encoders(given.weights, recipe)
    held_out = segments(part(utterances(given.speech), "test"), given.seconds)
    compare(f"held-out LibriSpeech, segments of {given.seconds:g} s", held_out, compared)
    other_channels = altered(held_out, recipe.seed, recipe.crops.snr)
    compare("the same, each segment through its own noise, room, microphone or line", other_channels, compared)
    if given.voices:
        compare(f"{given.voices}", corpus_segments(given.voices, given.seconds), compared)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
