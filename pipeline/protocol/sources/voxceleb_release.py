"""The released VoxCeleb1 protocol of Learnable PINs as files: splits, ten verification and eight 1:2 matching lists.

A row that cannot be right is refused with its file and line.

Paths of the lists and of a VoxCeleb1 folder say which person, which video, and which utterance or frame. The lists
write `Name/<video>_0000001.wav` (verification) and `id10002/<video>/00001.wav` (matching). The two number utterances
alike: of 29,619 utterances that the matching and retrieval lists name, 29,615 are also in the verification lists with
the same person, video and number. So the number is taken unchanged, also for the files of VoxCeleb1
(`wav/id10002/<video>/00001.wav`). Face frames are `Name/<video>/0035550.jpg` and `Name/1.6/<video>/0035550.jpg`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.errors import ProtocolError
from pipeline.protocol.vocabulary import Regime, Task

_SPLITS = {"1": "train", "2": "validation", "4": "test"}  # 3, seen-heard, is of recordings and not of identities
_META = ["VoxCeleb1 ID", "VGGFace1 ID", "Gender", "Nationality", "Set"]
TRIALS_HEADER = "id,voice-speaker-id,face-speaker-id,label,voice-path,face-path"
_NUMBER = "[0-9]{1,4}"  # of a speaker
_FIRST_CODE = 10_000  # speaker 1 of the verification lists is id10001
# YouTube's video ids have eleven characters and may hold "_" and "-", so their length is what ends them.
_VOICE = r"^(?:.*/)?([^/]+)/([\w-]{11})[/_]0*(\d+)\.\w+$"
_FACE = r"^(?:.*/)?(?!1\.6/)([^/]+)/(?:1\.6/)?([\w-]{11})/0*(\d+)\.\w+$"


@dataclass(frozen=True)
class Media:
    """Parsed paths (n,): entries are missing where a path is of neither style."""

    person: pd.Series  # id10002
    video: pd.Series  # id10002/<video>: the recording
    key: pd.Series  # id10002/<video>/<number>: the utterance or frame


def parse_paths(paths: pd.Series, modality: str, codes: Mapping[str, str]) -> Media:
    """Parse voice or face paths; `codes` maps every name of a person (VGGFace1's and VoxCeleb1's) to the VoxCeleb1 ID.

    A path of a person that is not in `codes` counts as one of neither style.
    """
    parts = paths.astype("str").str.extract(_VOICE if modality == "voice" else _FACE)
    person = parts[0].map(codes)
    video = person + "/" + parts[1]
    return Media(person, video, video + "/" + parts[2])


@dataclass(frozen=True)
class People:
    """Everybody of the release."""

    codes: Mapping[str, str]  # name or VoxCeleb1 ID -> VoxCeleb1 ID
    split: Mapping[str, str]  # VoxCeleb1 ID -> train | validation | test


@dataclass(frozen=True)
class Lines:
    """A file's rows as fields, and the line number of each."""

    path: Path
    fields: pd.DataFrame  # columns 0, 1, ..., text
    first: int  # line number of row 0

    def refuse(self, bad: NDArray[np.bool_], what: str) -> None:
        """Raise ProtocolError for the first row of `bad` (n,), if any."""
        if bad.any():
            row = int(np.argmax(bad))
            shown = " ".join(str(value) for value in self.fields.iloc[row])
            raise ProtocolError(f"{self.path} line {row + self.first}: {what}: {shown!r}")


def read_lines(path: Path, separator: str | None, width: int, header: str | None = None) -> Lines:
    """Rows of exactly `width` fields; raises ProtocolError for another width or header, no rows and no file."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()  # editors put the mark of UTF-8 before the header
    except (OSError, UnicodeDecodeError) as error:
        raise ProtocolError(
            f"{path} cannot be read ({error}); protocol.lists must be the folder of the released lists"
        ) from error
    if header is not None and (not lines or lines[0].strip() != header):
        raise ProtocolError(f"{path} line 1: the header must be {header!r}")
    first = 1 if header is None else 2
    rows = [line.split(separator) for line in lines[first - 1 :]]
    for number, row in enumerate(rows, start=first):
        if len(row) != width:
            raise ProtocolError(f"{path} line {number}: {len(row)} fields instead of {width}: {lines[number - 1]!r}")
    if not rows:
        raise ProtocolError(f"{path} holds no rows; restore it from the release")
    return Lines(path, pd.DataFrame(rows, columns=range(width), dtype="str"), first)


def read_people(folder: Path) -> People:
    """Read vox1_meta.csv and Splits/identity_splits.txt.

    Raises ProtocolError for somebody who is there twice (so also in two splits), a name that the other file does not
    know and a split that is none.
    """
    meta = read_lines(folder / "vox1_meta.csv", "\t", len(_META), "\t".join(_META))
    for column in (0, 1):
        meta.refuse(meta.fields[column].duplicated().to_numpy(), "this identity is there twice")
    codes = {
        **dict(zip(meta.fields[1], meta.fields[0], strict=True)),
        **dict(zip(meta.fields[0], meta.fields[0], strict=True)),
    }
    lines = read_lines(folder / "Splits" / "identity_splits.txt", None, 2)
    person = lines.fields[0].map(codes)
    lines.refuse(person.isna().to_numpy(), "vox1_meta.csv does not know this identity")
    lines.refuse(~lines.fields[1].isin(list(_SPLITS)).to_numpy(), "a split is 1 (train), 2 (validation) or 4 (test)")
    _refuse_two_splits(lines, person)
    return People(codes, dict(zip(person, lines.fields[1].map(_SPLITS), strict=True)))


def _refuse_two_splits(lines: Lines, person: pd.Series) -> None:
    splits = lines.fields[1].groupby(person).transform("nunique").to_numpy()
    again = person.duplicated().to_numpy()
    lines.refuse(again & (splits > 1), "this identity is in two splits")
    lines.refuse(again, "this identity is there twice")


def trial_list(folder: Path, criterion: str, regime: Regime) -> Path:
    """Where the release has one verification list."""
    return folder / "veriflist" / f"veriflist_test_{criterion}_{regime.run_together}.txt"


def read_trials(folder: Path, criterion: str, regime: Regime, people: People) -> pd.DataFrame:
    """One verification list in its order: left (voice) and right (face) person, video and key, and the label.

    Raises ProtocolError for a path of neither style, a person outside the split of the regime, speaker numbers that
    are not the paths' people, a label that contradicts them and a trial that is there twice.
    """
    split = regime.split("test")
    lines = read_lines(trial_list(folder, criterion, regime), ",", len(TRIALS_HEADER.split(",")), TRIALS_HEADER)
    table = pd.DataFrame()
    for side, modality, speaker, column in (("left", "voice", 1, 4), ("right", "face", 2, 5)):
        table = pd.concat([table, _side(lines, column, side, modality, people, split)], axis=1)
        number = lines.fields[speaker].str.strip()
        number = pd.to_numeric(number.where(number.str.fullmatch(_NUMBER))).astype("Int64") + _FIRST_CODE
        wrong = ("id" + number.astype("str") != table[f"{side}_person"]).to_numpy()
        lines.refuse(wrong, f"{modality}-speaker-id is not the number of the {modality} path's identity")
    lines.refuse(~lines.fields[3].isin(["0", "1"]).to_numpy(), "a label is 0 or 1")
    same = (table["left_person"] == table["right_person"]).to_numpy()
    lines.refuse(same != (lines.fields[3] == "1").to_numpy(), "the label contradicts the identities")
    lines.refuse(lines.fields.duplicated([4, 5]).to_numpy(), "this trial is there twice")
    return table.assign(label=lines.fields[3].astype("int64"), position=np.arange(len(table)))


def read_matching(folder: Path, task: Task, criterion: str, people: People) -> pd.DataFrame:
    """One 1:2 matching list in its order: probe, genuine and impostor person, video and key.

    Raises ProtocolError for a path of neither style, a person outside the test split, a genuine candidate who is not
    the probe's person, an impostor who is and a trial that is there twice.
    """
    lines = read_lines(folder / "matching" / f"matching_{task.name}_{criterion}.csv", None, 3)
    modalities = (task.left, task.right, task.right)
    sides = zip(range(3), ("probe", "genuine", "impostor"), modalities, strict=True)
    parts = [_side(lines, column, side, modality, people, "test") for column, side, modality in sides]
    table = pd.concat(parts, axis=1)
    lines.refuse(
        (table["genuine_person"] != table["probe_person"]).to_numpy(), "the second path is not of the probe's identity"
    )
    lines.refuse(
        (table["impostor_person"] == table["probe_person"]).to_numpy(), "the third path is of the probe's identity"
    )
    lines.refuse(lines.fields.duplicated().to_numpy(), "this trial is there twice")
    return table.assign(position=np.arange(len(table)))


def _side(lines: Lines, column: int, side: str, modality: str, people: People, split: str) -> pd.DataFrame:
    media = parse_paths(lines.fields[column], modality, people.codes)
    lines.refuse(media.key.isna().to_numpy(), f"no {modality} path of an identity that vox1_meta.csv knows")
    splits = media.person.map(people.split)
    lines.refuse(splits.isna().to_numpy(), "identity_splits.txt does not know this identity")
    lines.refuse((splits != split).to_numpy(), f"an identity that is not of the {split} split")
    return pd.DataFrame({f"{side}_person": media.person, f"{side}_video": media.video, f"{side}_key": media.key})
