"""Which LibriSpeech speakers train, which are watched, and which are only ever tested on.

    python -m tools.voice_encoder.speakers <folder of LibriSpeech .flac> --force

writes held_out.csv; the file in the repository is its output.
"""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from pipeline.errors import ConfigError, ManifestError
from pipeline.files import atomic_path
from pipeline.manifest.checks import refuse
from tools.voice_encoder.command import options, run_command
from tools.voice_encoder.recipe import Recipe, load_recipe

HELD_OUT = Path(__file__).with_name("held_out.csv")
_NAME = "<speaker>-<chapter>-<utterance>.flac"


@dataclass(frozen=True)
class Utterance:
    """One recording: LibriSpeech names its files <speaker>-<chapter>-<utterance>.flac."""

    speaker: str
    path: Path
    seconds: float


def utterances(folder: Path) -> list[Utterance]:
    """Every .flac below `folder`, sorted by name; raises ManifestError for no recording, other names, damaged files."""
    found = sorted(folder.rglob("*.flac"), key=lambda path: path.name)
    if not found:
        raise ManifestError(f"no recordings below {folder}; want {_NAME}, as LibriSpeech has them")
    others = [str(path) for path in found if not re.fullmatch(r"[^-]+-[^-]+-[^-]+\.flac", path.name)]
    refuse(others, f"{folder}: recordings that do not say who speaks", f"Name them {_NAME}, or remove them.")
    return [Utterance(path.name.split("-")[0], path, _duration(path)) for path in found]


def _duration(path: Path) -> float:
    try:
        return float(soundfile.info(path).duration)
    except soundfile.LibsndfileError as error:
        raise ManifestError(f"{path} is no readable recording ({error}): mend or remove it") from error


def draw(recordings: list[Utterance], recipe: Recipe) -> dict[str, str]:
    """Draw the held-out speakers by the recipe's seed: speaker -> `test` or `validation`.

    Raises ConfigError where the recipe holds out more speakers than have a recording that is long enough.
    """
    long_enough = sorted({one.speaker for one in recordings if one.seconds >= recipe.split.shortest_test})
    tests, validations = recipe.split.test_speakers, recipe.split.validation_speakers
    if len(long_enough) < tests + validations:
        raise ConfigError(
            f"recipe.yaml holds out {tests + validations} speakers, but only {len(long_enough)} have a recording of "
            f"{recipe.split.shortest_test:g} s: lower split.test_speakers, or give more speech"
        )
    drawn = np.random.default_rng(recipe.seed).permutation(long_enough)[: tests + validations]
    return {str(speaker): "test" if index < tests else "validation" for index, speaker in enumerate(drawn)}


def held_out(path: Path = HELD_OUT) -> dict[str, str]:
    """Read the list: speaker -> `test` or `validation`."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["speaker"]: row["part"] for row in csv.DictReader(file)}


def part(recordings: list[Utterance], name: str) -> list[Utterance]:
    """The recordings of one part: `train`, `validation` or `test`."""
    listed = held_out()
    return [one for one in recordings if listed.get(one.speaker, "train") == name]


def main() -> None:
    """Write held_out.csv."""
    arguments = options(__doc__)
    arguments.add_argument("speech", type=Path)
    arguments.add_argument("--force", action="store_true", help="replace the list that there is")
    given = arguments.parse_args()
    if HELD_OUT.exists() and not given.force:
        raise ConfigError(
            f"{HELD_OUT} exists, and weights trained by it have heard everybody whom another list would test them on: "
            "--force replaces it; train anew after that"
        )
    listed = draw(utterances(given.speech), load_recipe())
    with atomic_path(HELD_OUT) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["speaker", "part"])
        writer.writerows(sorted(listed.items(), key=lambda one: (one[1], len(one[0]), one[0])))  # 78 before 103


if __name__ == "__main__":
    run_command(main)
