"""Give known speakers other throats: copies of recordings whose pitch and formants are moved apart from each other.

    python -m tools.voice_encoder.warp <folder to fill> [--speech <LibriSpeech .flac>] [--others FOLDER ...]
        [--copies 4]

Speed moves pitch, formants and tempo together (prepare.py's speed copies), so all of its voices lie on one line. Here
WORLD (Morise, Yokomori & Ozawa 2016, https://doi.org/10.1587/transinf.2015EDP7457; package pyworld, MIT) takes a
recording apart into pitch, spectral envelope and aperiodicity. The envelope is stretched along frequency, as by a
shorter or longer tract, pitch multiplied by a factor of its own, its melody made flatter or livelier, and the parts are
put together again. What the teacher hears in the copy is the target of a voice of its own, as of any other recording.
Of LibriSpeech the speakers of held_out.csv are left out.
"""

import argparse
import logging
import multiprocessing
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.errors import ManifestError, WeightsError
from pipeline.files import atomic_path, sha256_of
from tools.voice_encoder.command import count, options, run_command
from tools.voice_encoder.prepare import below, sounds
from tools.voice_encoder.recipe import Warps, load_recipe
from tools.voice_encoder.speakers import part, utterances
from tools.voice_encoder.teachers import SAMPLE_RATE
from tools.voice_encoder.trials import read

log = logging.getLogger(__name__)
_PEAK = 0.9  # of full scale


@dataclass(frozen=True)
class Analysis:
    """What WORLD takes a recording apart into, a frame every 5 ms."""

    melody: NDArray[np.float64]  # (T,) Hz, 0 where there is no voice
    envelope: NDArray[np.float64]  # (T, F) power
    aperiodicity: NDArray[np.float64]  # (T, F), 0 to 1
    samples: int


def analysed(waveform: NDArray[np.float32]) -> Analysis:
    """Take (S,) samples apart."""
    import pyworld  # only this step needs it

    samples = waveform.astype(np.float64)
    rough, times = pyworld.dio(samples, SAMPLE_RATE)
    melody = pyworld.stonemask(samples, rough, times, SAMPLE_RATE)
    envelope = pyworld.cheaptrick(samples, melody, times, SAMPLE_RATE)
    return Analysis(melody, envelope, pyworld.d4c(samples, melody, times, SAMPLE_RATE), len(samples))


def warped(speech: Analysis, pitch: float, tract: float, liveliness: float) -> NDArray[np.float32]:
    """(S,) samples with pitch and formants multiplied by `pitch`, `tract`, and the melody's octaves by `liveliness`."""
    import pyworld

    melody, voiced = speech.melody.copy(), speech.melody > 0
    if voiced.any():
        octaves = np.log2(melody[voiced])
        middle = np.median(octaves)
        melody[voiced] = np.exp2(middle + (octaves - middle) * liveliness) * pitch
    envelope = stretched(speech.envelope, tract)
    aperiodicity = np.clip(stretched(speech.aperiodicity, tract), 0.0, 1.0)
    made = pyworld.synthesize(melody, envelope, aperiodicity, SAMPLE_RATE)[: speech.samples]
    peak = np.abs(made).max(initial=0.0)
    result: NDArray[np.float32] = (made * (_PEAK / peak if peak > 0 else 1.0)).astype(np.float32)
    return result


def stretched(spectra: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """(T, F) spectra with all features at `factor` times their frequency; above the old band the last value goes on."""
    bins = np.arange(spectra.shape[1])
    where = np.minimum(bins / factor, bins[-1])
    lower = np.minimum(where.astype(int), bins[-1] - 1)
    share = where - lower
    return np.ascontiguousarray(spectra[:, lower] * (1 - share) + spectra[:, lower + 1] * share)


def write_copies(folder: Path, copies: int, path: Path) -> bool:
    """Write the copies of one recording that are not there yet; False for one without sound."""
    settings = load_recipe().warps
    waveform = read(path)
    if not sounds(waveform):
        return False
    digest = sha256_of(path)
    targets = {copy: folder / f"{path.stem}-{digest[:8]}-{copy}.flac" for copy in range(1, copies + 1)}
    absent = [copy for copy, target in targets.items() if not target.exists()]
    if absent:
        speech = analysed(waveform)
        for copy in absent:
            made, target = warped(speech, *drawn(settings, digest, copy)), targets[copy]
            with atomic_path(target) as temporary:
                soundfile.write(temporary, made, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return True


def drawn(settings: Warps, digest: str, copy: int) -> tuple[float, float, float]:
    """Pitch, tract and liveliness of a copy, by the recording's digest: the same whatever else is in the folder."""
    rng = np.random.default_rng([int(digest[:16], 16), copy])

    def factor(bounds: tuple[float, float]) -> float:
        return float(np.exp(rng.uniform(*np.log(bounds))))

    return factor(settings.pitch), factor(settings.tract), factor(settings.liveliness)


def warp(folder: Path, speech: Path | None, others: list[Path], copies: int) -> None:
    """Fill `folder`; raises ManifestError where no recording is given."""
    paths = [path for other in others for path in below(other)]
    if speech is not None:
        paths += [one.path for one in part(utterances(speech), "train")]
    if not paths:
        raise ManifestError("no recordings to warp: give --speech, --others or both")
    folder.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        heard = list(tqdm(pool.imap(partial(write_copies, folder, copies), paths), total=len(paths), unit="recording"))
    for path, sounded in zip(paths, heard, strict=True):
        if not sounded:
            log.warning("left out: %s is silent, not finite or too short", path)


def main() -> None:
    """Warp what the command line names."""
    arguments: argparse.ArgumentParser = options(__doc__)
    arguments.add_argument("folder", type=Path, help="the folder to fill")
    arguments.add_argument("--speech", type=Path, help="LibriSpeech; its held-out speakers are left out")
    arguments.add_argument("--others", type=Path, nargs="+", default=[], help="folders of other voices")
    arguments.add_argument("--copies", type=count, default=4, help="of each recording")
    given = arguments.parse_args()
    try:
        import pyworld  # noqa: F401  (before hours of work, not within)
    except ImportError as error:
        raise WeightsError("package pyworld is absent: install tools/voice_encoder/requirements.txt") from error
    warp(given.folder, given.speech, given.others, given.copies)


if __name__ == "__main__":
    run_command(main)
