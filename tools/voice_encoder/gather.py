"""Make a voice of each speaker of another corpus, for prepare.py: recordings of a speaker joined to one file.

    python -m tools.voice_encoder.gather <corpus: a folder per speaker> <folder to fill> [--recordings 2] [--seconds 20]
        [--voices 1]

The longest recordings of each speaker, without silent edges, cut to `--seconds`, each at the same level, one after the
other: a crop of such a voice is of one of them, and its target is what the teacher hears in all. Any format is read.
With `--voices N` the next longest make a second file of that speaker, and so on, while there are `--recordings` left.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from tqdm import tqdm

from extractors.voices.utterance_aggregator import SAMPLE_RATE
from pipeline.errors import ManifestError, MediaError
from pipeline.files import atomic_path
from pipeline.manifest.schema import KIND_OF_SUFFIX, suffix_of
from pipeline.media import decode_audio, trimmed
from tools.voice_encoder.command import count, options, run_command
from tools.voice_encoder.prepare import sounds

log = logging.getLogger(__name__)
_PEAK = 0.9  # of full scale, of the joined voice


def joined(recordings: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Recordings (S,) one after the other, each at the same root mean square, the loudest sample at .9."""
    levelled = np.concatenate([one / np.sqrt(np.square(one, dtype=np.float64).mean()) for one in recordings])
    voice: NDArray[np.float32] = (levelled / np.abs(levelled).max() * _PEAK).astype(np.float32)
    return voice


def voices_of(paths: list[Path], recordings: int, seconds: float, voices: int = 1) -> list[NDArray[np.float32]]:
    """Voices of a speaker's recordings, longest first; none where none can be read or holds any sound."""
    read = []
    for path in paths:
        try:
            waveform = np.asarray(trimmed(decode_audio(path, SAMPLE_RATE)), np.float32)
        except MediaError as error:
            log.warning("left out: %s (%s)", path, error)
            continue
        if sounds(waveform):
            read.append(waveform[: round(seconds * SAMPLE_RATE)])
    longest = sorted(read, key=len, reverse=True)
    groups = [longest[start : start + recordings] for start in range(0, len(longest), recordings)]
    return [joined(group) for group in groups[:voices] if group is groups[0] or len(group) == recordings]


def gather(corpus: Path, target: Path, recordings: int, seconds: float, voices: int = 1) -> None:
    """Write a .flac a voice; raises ManifestError without speakers' folders, or where two voices want one name."""
    of_speaker: dict[str, list[Path]] = {}
    for path in sorted(corpus.rglob("*")):
        speaker, *below = path.relative_to(corpus).parts
        if below and KIND_OF_SUFFIX.get(suffix_of(path.name)) == "audio":
            of_speaker.setdefault(speaker, []).append(path)
    if not of_speaker:
        raise ManifestError(f"no recordings below {corpus}; want <speaker>/<recording>.wav or another format of sound")
    target.mkdir(parents=True, exist_ok=True)
    for speaker, paths in tqdm(sorted(of_speaker.items()), unit="speaker"):
        made = voices_of(paths, recordings, seconds, voices)
        if not made:
            log.warning("left out: nothing of speaker %s holds any sound", speaker)
        for number, voice in enumerate(made, start=1):
            name = speaker if number == 1 else f"{speaker}-{number}"
            if number > 1 and name in of_speaker:
                raise ManifestError(
                    f"{corpus}: voice {number} of {speaker} and speaker {name} want one file: rename one"
                )
            with atomic_path(target / f"{name}.flac") as temporary:
                soundfile.write(temporary, voice, SAMPLE_RATE, format="FLAC", subtype="PCM_16")


def _length(text: str) -> float:
    length = float(text)
    if not length > 0:
        raise argparse.ArgumentTypeError(f"{text} is no length in s")
    return length


def main() -> None:
    """Gather what the command line names."""
    arguments = options(__doc__)
    arguments.add_argument("corpus", type=Path)
    arguments.add_argument("target", type=Path, help="folder to fill, with a file a voice")
    arguments.add_argument("--recordings", type=count, default=2, help="of each speaker at most")
    arguments.add_argument("--seconds", type=_length, default=20.0, help="of each recording at most")
    arguments.add_argument("--voices", type=count, default=1, help="of each speaker at most")
    given = arguments.parse_args()
    gather(given.corpus, given.target, given.recordings, given.seconds, given.voices)


if __name__ == "__main__":
    run_command(main)
