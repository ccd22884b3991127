"""Make the training set: every voice's waveform and what the teacher hears in it, in one file.

    python -m voice_encoder.prepare <folder of LibriSpeech .flac> <voices.safetensors> [<folder of other voices>]

A voice is one recording at one speed. Its target is the teacher's vector of the whole recording, which says more about
the speaker than any crop of it; beside it the teacher's frames, which say what it heard when (hints.py). Other voices:
.wav or .flac at 16 kHz, one file a voice, no speed copies.
"""

import logging
import multiprocessing
import os
import sys
from functools import cache
from pathlib import Path

import librosa
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tqdm import tqdm

from pipeline.files import atomic_path
from voice_encoder.hints import at_student_rate, principal_axes
from voice_encoder.recipe import load_recipe
from voice_encoder.speakers import part, utterances
from voice_encoder.teachers import SAMPLE_RATE, CamPlusPlus
from voice_encoder.trials import read

log = logging.getLogger(__name__)


def at_speed(waveform: NDArray[np.float32], speed: float) -> NDArray[np.float32]:
    """Play (S,) faster or slower by resampling: pitch, formants and tempo move together, as in another throat."""
    if speed == 1.0:
        return waveform
    return librosa.resample(waveform, orig_sr=SAMPLE_RATE * speed, target_sr=SAMPLE_RATE, res_type="soxr_hq")


def sources(folder: Path, others: Path | None) -> list[tuple[Path, float]]:
    """(file, speed) of every voice."""
    recipe = load_recipe()
    recordings = [one for one in part(utterances(folder), "train") if one.seconds >= recipe.speech.shortest]
    voices = [(one.path, speed) for speed in recipe.speech.speeds for one in recordings]
    if others is not None:
        voices += [(path, 1.0) for path in sorted(others.rglob("*")) if path.suffix in {".wav", ".flac"}]
    return voices


Prepared = tuple[NDArray[np.int16], NDArray[np.float32], NDArray[np.float32]]


def voice(source: tuple[Path, float]) -> Prepared:
    """One voice: (S,) samples at full scale, the teacher's (192,) vector of it all, and hints (1 + S // 2560, 512)."""
    path, speed = source
    waveform = at_speed(read(path), speed)
    vector, frames = teacher().vector_and_frames(waveform)
    return np.round(waveform / np.abs(waveform).max() * 32767).astype(np.int16), vector, at_student_rate(frames)


@cache
def teacher() -> CamPlusPlus:
    """This process's teacher, on one thread: several processes share the cores better than several threads."""
    torch.set_num_threads(1)
    return CamPlusPlus()


def main(folder: Path, target: Path, others: Path | None = None) -> None:
    """Write waveforms (sum S,) int16, the teacher's vectors (V, 192), hints (sum N, D) and where each voice ends."""
    voices, count = sources(folder, others), load_recipe().hints
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        made = list(tqdm(pool.imap(voice, voices, chunksize=4), total=len(voices), unit="voice"))
    waveforms, vectors, hints = zip(*made, strict=True)
    every_hint = np.concatenate(hints)
    mean, axes = principal_axes(every_hint, count)
    arrays = {
        "waveforms": np.concatenate(waveforms),
        "ends": np.cumsum([len(waveform) for waveform in waveforms]),
        "vectors": np.stack(vectors),
        "hints": ((every_hint - mean) @ axes).astype(np.float16),
        "hint_ends": np.cumsum([len(own) for own in hints]),
    }
    with atomic_path(target) as temporary:
        save_file(arrays, temporary)
    log.info("%d voices, %.1f minutes", len(vectors), len(arrays["waveforms"]) / SAMPLE_RATE / 60)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    main(*map(Path, sys.argv[1:]))
