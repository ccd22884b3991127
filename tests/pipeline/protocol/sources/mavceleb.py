"""A small MAV-Celeb of each version: lists in the released forms, and the paths of the media that they name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.manifest.mavceleb_paths import ANONYMOUS, place_of
from tests.pipeline.protocol.corpora import Tables

LANGUAGES = {
    "v1": ("English", "Urdu"),
    "v2": ("English", "Hindi"),
    "v3": ("English", "German"),
    "v4": ("English", "Bangla"),
}
TRACKS = ("no_gender", "gender")
PEOPLE = 16  # who train, of both genders in turn
CLIPS = 3  # utterances, and faces, of a person in a language
TRIALS = 6  # a test list


@dataclass(frozen=True)
class Released:
    """Lists below `folder`, and who is on each medium that they name: path below the media folder -> person."""

    folder: Path
    media: Mapping[str, str]

    @property
    def voices(self) -> list[str]:
        """Paths of the utterances."""
        return [path for path in self.media if path.endswith(".wav")]

    @property
    def faces(self) -> list[str]:
        """Paths of the faces."""
        return [path for path in self.media if path.endswith(".jpg")]


def person(version: str, number: int) -> str:
    """Name of a training person, as the version writes it."""
    return f"id{number + 1:03d}" if version == "v4" else f"id{number + 1:04d}"


def write_lists(folder: Path, version: str, truth: bool = False, people: int = PEOPLE) -> Released:
    """Lists of a version in `folder`/<version>: of training, of `TRIALS` anonymous trials each and, if asked, truth.

    Of test people hidden0, hidden1, ... every second trial is genuine.
    """
    base, media = folder / version, {}
    base.mkdir(parents=True)
    for language in LANGUAGES[version][: 1 if version == "v4" else 2]:
        lines = []
        for number in range(people):
            name = person(version, number)
            for clip in range(CLIPS):
                voice, face, line = _pair(version, language, name, number, clip)
                media |= {voice: name, face: name}
                lines.append(line)
        name = f"train_{language}.txt" if version == "v4" else f"{language}_train.txt"
        (base / name).write_text("\n".join(lines) + "\n")
    for language in LANGUAGES[version]:
        for track in TRACKS if version == "v4" else ("",):
            media |= _write_test(base, version, language, track, truth)
    return Released(base, media)


def _pair(version: str, language: str, name: str, number: int, clip: int) -> tuple[str, str, str]:
    """Paths of a voice and a face below the media folder, and the line that pairs them."""
    if version == "v4":
        voice, face = f"voices/{language}/{name}/{clip:05d}.wav", f"faces/{language}/{name}/{clip:05d}.jpg"
        return f"train_set/{voice}", f"train_set/{face}", f"key{number:02d}{clip} 1 {voice} {face} {name} {number}"
    voice = f"{name}/{language}/video_{clip}_{language[:3]}/00000.wav"
    face = f"{name}/{language}/video_{(clip + 1) % CLIPS}_{language[:3]}/0000775.jpg"
    return f"voices/{voice}", f"faces/{face}", f"{voice} {face}"


def _write_test(base: Path, version: str, language: str, track: str, truth: bool) -> dict[str, str]:
    folder, media, lines, labels = base / track, {}, [], []
    folder.mkdir(exist_ok=True)
    for trial in range(TRIALS):
        voice, face = f"voices/{language}/{trial:05d}.wav", f"faces/{language}/{trial:05d}.jpg"
        key = f"{language[:2].lower()}{track[:1]}{trial:05d}"
        lines.append(f"{key}{'  ' if version == 'v4' else ' '}{voice} {face}")  # v4's have two blanks
        label = 1 - trial % 2
        labels.append(f"{key} {label}")
        place = (lambda path, sort: f"dev_set/{track}/{language}_test/{sort}/{path.split('/')[-1]}") if track else None
        media[place(voice, "voices") if place else voice] = f"hidden{trial % 4}"
        media[place(face, "faces") if place else face] = f"hidden{trial % 4 if label else (trial + 1) % 4}"
    (folder / f"{language}_test.txt").write_text("\n".join(lines) + "\n")
    if truth:
        (base / "ground_truth").mkdir(exist_ok=True)
        name = f"{language}_test_{track}.txt" if track else f"{language}_test.txt"
        (base / "ground_truth" / name).write_text("\n".join(reversed(labels)) + "\n")
    return media


def corpus_of(released: Released) -> Tables:
    """The manifest and the indexes that the layout would give of the media, every one extracted."""

    rows = []
    for path in sorted(released.media):
        place = place_of(path)
        assert place is not None, path
        name = place.identity or ANONYMOUS + path.rpartition(".")[0]
        number = int(name[2:]) if place.identity else 0
        gender = None if place.identity is None else "f" if number % 2 else "m"
        rows.append(
            {
                "item": path,
                "identity": name,
                "clip": place.recording or name,
                "gender": gender,
                "nationality": None,
                "age": None,
                "language": place.language,
            }
        )
    manifest = pd.DataFrame(rows)
    manifest = manifest.astype({"age": "Float64", **{name: "string" for name in manifest if name != "age"}})
    index = manifest[["item", "identity", "clip"]].assign(frame=-1, digest=manifest["item"], key="0")
    is_voice = index["item"].str.endswith(".wav")
    return Tables(manifest, *(index[flags].reset_index(drop=True) for flags in (~is_voice, is_voice)))
