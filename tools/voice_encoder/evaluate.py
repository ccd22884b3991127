"""EER of our weights on the held-out speakers, beside the untrained network, the teacher and Resemblyzer: same trials.

    python -m tools.voice_encoder.evaluate <LibriSpeech .flac> [--weights W ...] [--voices FOLDER] [--sessions FOLDER]

Segments of the recipe's length, clean; each through a single alteration; each through a chain of them as training draws
it (needs `--rooms`); by telephone; and short segments, clean and altered.
`--voices`: a folder with a folder per identity, and media in it (such as data/demo), whose voices are tried too.
`--sessions`: the same with a folder per session below each identity, as VoxCeleb has one per video; a genuine trial is
then of two sessions. `--encoders` leaves some out, `--bfloat16` runs our network three times as fast.
"""

import argparse
import logging
import math
from pathlib import Path

import numpy as np
import torch

from extractors.pretrained import read_safetensors
from extractors.voices.aggregator_network import untrained
from extractors.voices.aggregator_weights import NEWEST, load_state
from extractors.voices.utterance_aggregator import SAMPLE_RATE
from pipeline.errors import ManifestError
from pipeline.manifest.checks import refuse
from pipeline.manifest.media_folder import list_media
from pipeline.manifest.schema import KIND_OF_SUFFIX, suffix_of
from pipeline.media import decode_audio
from pipeline.media.audio import SHORTEST
from tools.voice_encoder.channels import Channel
from tools.voice_encoder.command import options, run_command
from tools.voice_encoder.recipe import Recipe, load_recipe
from tools.voice_encoder.rooms import load_rooms
from tools.voice_encoder.speakers import part, utterances
from tools.voice_encoder.teachers import CamPlusPlus, Resemblyzer
from tools.voice_encoder.trials import (
    Embedder,
    Segment,
    altered,
    by_telephone,
    cut,
    embedder,
    error_rate,
    pairs,
    require_trials,
    segments,
    through_channels,
)

log = logging.getLogger(__name__)
ENCODERS = ("untrained", "ours", "teacher", "resemblyzer")


def encoders(weights: list[Path], recipe: Recipe, bfloat16: bool, chosen: list[str]) -> dict[str, Embedder]:
    """What is compared, by name; of `ours`, `untrained`, `teacher` and `resemblyzer`, those that are chosen."""
    compared: dict[str, Embedder] = {}
    if "untrained" in chosen:
        compared[f"untrained (seed {recipe.seed})"] = embedder(untrained(recipe.seed), bfloat16)
    if "ours" in chosen:
        for path in weights:
            compared[path.stem] = embedder(load_state(read_safetensors(path), str(path)), bfloat16)
    if "teacher" in chosen:
        compared[CamPlusPlus.name] = CamPlusPlus()
    if "resemblyzer" in chosen:
        compared[Resemblyzer.name] = Resemblyzer()
    return compared


def corpus_segments(folder: Path, seconds: float, sessions: bool = False) -> list[Segment]:
    """Segments of every clip below a folder per identity; a clip shorter than `seconds` is one segment.

    `sessions`: the folder below the identity's is one. Pictures are passed over. Raises ManifestError for no media and
    for media that lie in no such folder, MediaError for a clip whose sound cannot be read.
    """
    paths = [
        path
        for path in list_media(folder, "--sessions" if sessions else "--voices").paths
        if KIND_OF_SUFFIX[suffix_of(path)] != "image"
    ]
    if not paths:
        raise ManifestError(f"{folder}: no sound or video in it; want <identity>/<clip>.mp4, .wav or another format")
    strays = [path for path in paths if path.count("/") < (2 if sessions else 1)]
    refuse(
        strays,
        f"{folder}: media in no {'session' if sessions else 'person'}'s folder",
        f"Move each into a folder that names who speaks{', and one below it for the session' if sessions else ''}.",
    )
    found = []
    for path in paths:
        waveform = np.asarray(decode_audio(folder / path, SAMPLE_RATE), np.float32)
        identity, session, *_ = path.split("/")
        named = f"{identity}/{session}" if sessions else None
        found += cut(identity, waveform, seconds, named) or [Segment(identity, waveform, named)]
    return found


def compare(title: str, trial_segments: list[Segment], compared: dict[str, Embedder]) -> None:
    """Log a line per encoder."""
    speakers = len({segment.speaker for segment in trial_segments})
    trials = len(pairs(trial_segments)[2])
    log.info("%s: %d speakers, %d segments, %d trials", title, speakers, len(trial_segments), trials)
    for name, embed in compared.items():
        log.info("  EER %5.2f %%  %s", error_rate(trial_segments, embed), name)


def _length(text: str) -> float:
    """An option that is a length of speech in s."""
    length = float(text)
    if not SHORTEST <= length < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no length of at least {SHORTEST:g} s")
    return length


def conditions(recipe: Recipe, speech: Path, seconds: float, rooms: Path | None) -> dict[str, list[Segment]]:
    """What the held-out speakers are tried with, by title; raises ScoreError where they make no trials."""
    recordings, short = part(utterances(speech), "test"), recipe.watch.validation_segment
    held_out, brief = segments(recordings, seconds), segments(recordings, short)
    require_trials(held_out, f"the test speakers of held_out.csv in {speech}")
    snr, seed = recipe.watch.altered_snr, recipe.seed
    tried = {
        f"held-out LibriSpeech, segments of {seconds:g} s": held_out,
        "the same, each segment through its own noise, room, microphone or line": altered(held_out, seed, snr),
        "the same, by telephone": by_telephone(held_out, seed, recipe.telephone),
    }
    if rooms is not None:
        channel = Channel(recipe.channels, load_rooms(rooms))
        tried["the same, each segment through its own chain"] = through_channels(held_out, seed, channel)
    tried[f"segments of {short:g} s"] = brief
    tried[f"segments of {short:g} s, each through its own noise, room, microphone or line"] = altered(brief, seed, snr)
    return tried


def main() -> None:
    """Read everything that is tried, then run the comparison."""
    recipe = load_recipe()
    arguments = options(__doc__)
    arguments.add_argument("speech", type=Path)
    arguments.add_argument("--weights", type=Path, nargs="+", default=[NEWEST])
    arguments.add_argument("--seconds", type=_length, default=recipe.watch.segment)
    arguments.add_argument("--rooms", type=Path, help="the file of tools.voice_encoder.rooms")
    arguments.add_argument("--voices", type=Path)
    arguments.add_argument("--sessions", type=Path)
    arguments.add_argument("--encoders", choices=ENCODERS, nargs="+", default=ENCODERS)
    arguments.add_argument("--bfloat16", action="store_true")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    tried = conditions(recipe, given.speech, given.seconds, given.rooms)
    for folder, sessions in ((given.voices, False), (given.sessions, True)):
        if folder is not None:
            title = f"{folder}, genuine trials between sessions" if sessions else str(folder)
            tried[title] = corpus_segments(folder, given.seconds, sessions)
            require_trials(tried[title], str(folder))
    compared = encoders(given.weights, recipe, given.bfloat16, given.encoders)
    for title, trial_segments in tried.items():
        compare(title, trial_segments, compared)


if __name__ == "__main__":
    run_command(main)
