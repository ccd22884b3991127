"""Speak with people who do not exist: a recording of each, blended from Kokoro's voices as the corpus's people are.

    python -m tools.voice_encoder.virtual_voices <folder> [--people N]

Runs in the corpus's environment (tools/corpus/README.md). Its people are drawn by a seed of their own, so that none
of them is in data/demo; what steers their voices follows nobody's face.
"""

import importlib.util
import logging
import multiprocessing
import os
from functools import partial
from pathlib import Path

import soundfile

from pipeline.errors import WeightsError
from pipeline.files import atomic_path
from tools.corpus.association import Association
from tools.corpus.latents import draw_latents
from tools.corpus.voices import draw_voice
from tools.corpus.waveforms import RATE
from tools.voice_encoder.command import count, options, run_command

SEED = 7001  # not the corpus's
PEOPLE = 512
_UNRELATED = Association(0.0, 0.0, 0.0, 0.0)
log = logging.getLogger(__name__)


def record(folder: Path, person: int) -> Path:
    """Write one person's sentence, three to four seconds at 16 kHz, unless it is there."""
    target = folder / f"virtual{person:04d}.flac"
    if not target.exists():
        from tools.corpus.speech import speak  # onnxruntime, which only the corpus's environment has

        voice = draw_voice(SEED, person, draw_latents(SEED, person), _UNRELATED)
        with atomic_path(target) as temporary:
            soundfile.write(temporary, speak(SEED, person, 0, voice), RATE, format="FLAC")
    return target


def main() -> None:
    """Record everybody; goes on where it was."""
    arguments = options(__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--people", type=count, default=PEOPLE)
    given = arguments.parse_args()
    if importlib.util.find_spec("onnxruntime") is None:
        raise WeightsError(
            "package onnxruntime is absent: run this in the corpus's environment (`make corpus` makes it)"
        )
    given.folder.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        everybody = range(1, given.people + 1)
        for done, _ in enumerate(pool.imap_unordered(partial(record, given.folder), everybody), start=1):
            if done % 64 == 0:
                log.info("%d of %d", done, given.people)


if __name__ == "__main__":
    run_command(main)
