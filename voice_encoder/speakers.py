"""Which LibriSpeech speakers train, which are watched, and which are only ever tested on.

`python -m voice_encoder.speakers <folder of .flac>` writes held_out.csv; the file in the repository is its output.
"""

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from pipeline.files import atomic_path
from voice_encoder.recipe import Recipe, load_recipe

HELD_OUT = Path(__file__).with_name("held_out.csv")


@dataclass(frozen=True)
class Utterance:
    """One recording: LibriSpeech names its files <speaker>-<chapter>-<utterance>.flac."""

    speaker: str
    path: Path
    seconds: float


def utterances(folder: Path) -> list[Utterance]:
    """Every .flac below `folder`, sorted by name."""
    found = sorted(folder.rglob("*.flac"), key=lambda path: path.name)
    return [Utterance(path.name.split("-")[0], path, soundfile.info(path).duration) for path in found]


def draw(recordings: list[Utterance], recipe: Recipe) -> dict[str, str]:
    """Draw the held-out speakers by the recipe's seed: speaker -> `test` or `validation`."""
    long_enough = sorted({one.speaker for one in recordings if one.seconds >= recipe.split.shortest_test})
    tests, validations = recipe.split.test_speakers, recipe.split.validation_speakers
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


def main(folder: Path) -> None:
    """Write held_out.csv."""
    listed = draw(utterances(folder), load_recipe())
    with atomic_path(HELD_OUT) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["speaker", "part"])
        writer.writerows(sorted(listed.items(), key=lambda item: (item[1], int(item[0]))))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
