"""Make the training set: every voice's waveform and what the teacher hears in it, in one file.

    python -m tools.voice_encoder.prepare <LibriSpeech .flac> <voices.safetensors> [OTHERS ...]
        [--as-they-are OTHERS ...]

A voice is one recording at one speed. Its target is the teacher's vector of the whole recording, which says more about
the speaker than any crop of it; beside it the teacher's frames, which say what it heard when (hints.py). OTHERS are
folders of .wav or .flac at 16 kHz, one file a speaker, several recordings of whom are joined; those after --as-they-are
get no speed copies. Recordings without sound are left out and named: they would teach noise, and one of them among
thousands is no reason to lose the hours of the teacher that lie behind.

Each voice is kept in <voices.parts>/ as soon as the teacher has heard it, under the digest of its recording: a run that
was killed goes on where it was, and voices that are added later are the only ones that cost time.
"""

import logging
import multiprocessing
import os
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

import librosa
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from tqdm import tqdm

from pipeline.errors import ManifestError
from pipeline.files import atomic_path, sha256_of
from pipeline.manifest.schema import suffix_of
from pipeline.media.audio import SHORTEST, SILENCE
from tools.voice_encoder.command import options, run_command
from tools.voice_encoder.hints import at_student_rate, principal_axes
from tools.voice_encoder.recipe import load_recipe
from tools.voice_encoder.speakers import part, utterances
from tools.voice_encoder.teachers import SAMPLE_RATE, CamPlusPlus
from tools.voice_encoder.trials import read

log = logging.getLogger(__name__)


def at_speed(waveform: NDArray[np.float32], speed: float) -> NDArray[np.float32]:
    """Play (S,) faster or slower by resampling: pitch, formants and tempo move together, as in another throat."""
    if speed == 1.0:
        return waveform
    return librosa.resample(waveform, orig_sr=SAMPLE_RATE * speed, target_sr=SAMPLE_RATE, res_type="soxr_hq")


def sources(folder: Path, others: Sequence[Path], as_they_are: Sequence[Path]) -> list[tuple[Path, float]]:
    """(file, speed) of every voice; raises ManifestError for folders that hold none."""
    recipe = load_recipe()
    recordings = [one for one in part(utterances(folder), "train") if one.seconds >= recipe.speech.shortest]
    if not recordings:
        raise ManifestError(
            f"{folder}: no recording of {recipe.speech.shortest:g} s by a speaker who is not in held_out.csv; give more"
        )
    varied = [one.path for one in recordings] + [path for other in others for path in below(other)]
    plain = [path for other in as_they_are for path in below(other)]
    return [(path, speed) for speed in recipe.speech.speeds for path in varied] + [(path, 1.0) for path in plain]


def below(folder: Path) -> list[Path]:
    """Recordings below a folder of other voices; raises ManifestError where there are none."""
    found = [path for path in sorted(folder.rglob("*")) if suffix_of(str(path)) in {".wav", ".flac"}]
    if not found:
        raise ManifestError(f"no recordings below {folder}; want .wav or .flac at {SAMPLE_RATE} Hz, one a speaker")
    return found


Prepared = tuple[NDArray[np.int16], NDArray[np.float32], NDArray[np.float32]]


def sounds(waveform: NDArray[np.float32]) -> bool:
    """Whether (S,) samples hold anything to learn from: finite, longer than a syllable, louder than 16 bits' last."""
    peak = np.abs(waveform).max(initial=0.0)
    return len(waveform) >= SHORTEST * SAMPLE_RATE and bool(SILENCE < peak < np.inf)


def kept_voice(parts: Path, source: tuple[Path, float]) -> Prepared | None:
    """`voice`, from its file in `parts` where there is one; otherwise computed, and kept there."""
    path, speed = source
    file = parts / f"{sha256_of(path)}-{speed:g}.safetensors"
    if file.exists():
        arrays = load_file(file)
        return arrays["waveform"], arrays["vector"], arrays["hints"]
    made = voice(source)
    if made is not None:
        with atomic_path(file) as temporary:
            save_file(dict(zip(("waveform", "vector", "hints"), made, strict=True)), temporary)
    return made


def voice(source: tuple[Path, float]) -> Prepared | None:
    """One voice: (S,) samples at full scale, the teacher's (192,) vector of it all, and hints (1 + S // 2560, 512).

    None for a recording without sound. Raises MediaError for one that is not mono at 16 kHz.
    """
    path, speed = source
    recorded = read(path)
    if not sounds(recorded):
        return None
    waveform = at_speed(recorded, speed)
    vector, frames = teacher().vector_and_frames(waveform)
    return np.round(waveform / np.abs(waveform).max() * 32767).astype(np.int16), vector, at_student_rate(frames)


@cache
def teacher() -> CamPlusPlus:
    """This process's teacher, on one thread: several processes share the cores better than several threads."""
    torch.set_num_threads(1)
    return CamPlusPlus()


def prepare(folder: Path, target: Path, others: Sequence[Path] = (), as_they_are: Sequence[Path] = ()) -> None:
    """Write waveforms (sum S,) int16, the teacher's vectors (V, 192), hints (sum N, D) and where each voice ends."""
    voices, count = sources(folder, others, as_they_are), load_recipe().hints
    teacher()  # where it cannot be had, here is the error to show, not in each of the processes
    parts = target.with_suffix(".parts")
    parts.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        heard = list(tqdm(pool.imap(partial(kept_voice, parts), voices, chunksize=4), total=len(voices), unit="voice"))
    for path in dict.fromkeys(path for (path, _), one in zip(voices, heard, strict=True) if one is None):
        log.warning("left out: %s is silent, not finite or shorter than %g s", path, SHORTEST)
    made = [one for one in heard if one is not None]
    if not made:
        raise ManifestError(f"{folder}: no recording holds any sound; give others")
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


def main() -> None:
    """Prepare what the command line names."""
    arguments = options(__doc__)
    arguments.add_argument("speech", type=Path)
    arguments.add_argument("voices", type=Path, help="the file to write")
    arguments.add_argument("others", type=Path, nargs="*", help="folders of other voices")
    arguments.add_argument("--as-they-are", type=Path, nargs="+", default=[], help="the same, without speed copies")
    given = arguments.parse_args()
    prepare(given.speech, given.voices, given.others, given.as_they_are)


if __name__ == "__main__":
    run_command(main)
