"""EER of our weights on the held-out speakers, beside the untrained network, the teacher and Resemblyzer: same trials.

    python -m tools.voice_encoder.evaluate <folder of LibriSpeech .flac> [--weights W] [--seconds S] [--voices <folder>]

`--voices`: a folder with a folder per identity, and media in it (such as data/demo), whose voices are tried too.
"""

import argparse
import logging
import math
from pathlib import Path

import numpy as np
import torch

from extractors.pretrained import read_safetensors
from extractors.voices.aggregator_network import untrained
from extractors.voices.aggregator_weights import DISTILLED, load_state
from extractors.voices.utterance_aggregator import SAMPLE_RATE
from pipeline.errors import ManifestError
from pipeline.manifest.checks import refuse
from pipeline.manifest.media_folder import list_media
from pipeline.manifest.schema import KIND_OF_SUFFIX, suffix_of
from pipeline.media import decode_audio
from pipeline.media.audio import SHORTEST
from tools.voice_encoder.command import options, run_command
from tools.voice_encoder.recipe import Recipe, load_recipe
from tools.voice_encoder.speakers import part, utterances
from tools.voice_encoder.teachers import CamPlusPlus, Resemblyzer
from tools.voice_encoder.trials import Embedder, Segment, altered, cut, embedder, error_rate, require_trials, segments

log = logging.getLogger(__name__)


def encoders(weights: Path, recipe: Recipe) -> dict[str, Embedder]:
    """What is compared, by name."""
    return {
        f"untrained (seed {recipe.seed})": embedder(untrained(recipe.seed)),
        weights.stem: embedder(load_state(read_safetensors(weights), str(weights))),
        CamPlusPlus.name: CamPlusPlus(),
        Resemblyzer.name: Resemblyzer(),
    }


def corpus_segments(folder: Path, seconds: float) -> list[Segment]:
    """Segments of every clip below a folder per identity; a clip shorter than `seconds` is one segment.

    Pictures are passed over. Raises ManifestError for no media and for media in no identity's folder, MediaError for a
    clip whose sound cannot be read.
    """
    paths = [path for path in list_media(folder).paths if KIND_OF_SUFFIX[suffix_of(path)] != "image"]
    if not paths:
        raise ManifestError(f"{folder}: no sound or video in it; want <identity>/<clip>.mp4, .wav or another format")
    strays = [path for path in paths if "/" not in path]
    refuse(strays, f"{folder}: media in no person's folder", "Move each into a folder that names who speaks.")
    found = []
    for path in paths:
        waveform = np.asarray(decode_audio(folder / path, SAMPLE_RATE), np.float32)
        identity = path.split("/")[0]
        found += cut(identity, waveform, seconds) or [Segment(identity, waveform)]
    return found


def compare(title: str, trial_segments: list[Segment], compared: dict[str, Embedder]) -> None:
    """Log a line per encoder."""
    speakers = len({segment.speaker for segment in trial_segments})
    pairs = len(trial_segments) * (len(trial_segments) - 1) // 2
    log.info("%s: %d speakers, %d segments, %d trials", title, speakers, len(trial_segments), pairs)
    for name, embed in compared.items():
        log.info("  EER %5.2f %%  %s", error_rate(trial_segments, embed), name)


def _length(text: str) -> float:
    """An option that is a length of speech in s."""
    length = float(text)
    if not SHORTEST <= length < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no length of at least {SHORTEST:g} s")
    return length


def main() -> None:
    """Read everything that is tried, then run the comparison."""
    recipe = load_recipe()
    arguments = options(__doc__)
    arguments.add_argument("speech", type=Path)
    arguments.add_argument("--weights", type=Path, default=DISTILLED)
    arguments.add_argument("--seconds", type=_length, default=recipe.watch.segment)
    arguments.add_argument("--voices", type=Path)
    given = arguments.parse_args()
    torch.set_num_threads(1)
    held_out = segments(part(utterances(given.speech), "test"), given.seconds)
    require_trials(held_out, f"the test speakers of held_out.csv in {given.speech}")
    voices = corpus_segments(given.voices, given.seconds) if given.voices else []
    if given.voices:
        require_trials(voices, str(given.voices))
    compared = encoders(given.weights, recipe)
    compare(f"held-out LibriSpeech, segments of {given.seconds:g} s", held_out, compared)
    other_channels = altered(held_out, recipe.seed, recipe.crops.snr)
    compare("the same, each segment through its own noise, room, microphone or line", other_channels, compared)
    if voices:
        compare(f"{given.voices}", voices, compared)


if __name__ == "__main__":
    run_command(main)
