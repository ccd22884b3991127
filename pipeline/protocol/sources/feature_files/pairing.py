"""Row i of a face file beside row i of its voice file: what must agree between the two."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import ProtocolError
from pipeline.protocol.corpus import Codes
from pipeline.protocol.sources.feature_files.official import TRAIN, TRIAL_LISTS, TrialList


@dataclass(frozen=True)
class FileRows:
    """Rows of the two stores that one pair of files became, in the files' order."""

    faces: Codes  # (N,)
    voices: Codes  # (N,)


def file_rows(faces: pd.DataFrame, voices: pd.DataFrame, items: dict[str, str], folder: Path) -> FileRows:
    """Find the rows of a face and a voice file (items by modality) in the two indexes.

    Raises ProtocolError naming the file and line where one has no counterpart.
    """
    rows = {}
    for modality, index in (("face", faces), ("voice", voices)):
        rows[modality] = np.flatnonzero((index["item"] == items[modality]).to_numpy()).astype(np.int64)
    face, voice = len(rows["face"]), len(rows["voice"])
    if face != voice:
        shorter, longer = ("face", "voice") if face < voice else ("voice", "face")
        raise ProtocolError(
            f"{folder / items[longer]} line {min(face, voice) + 1} has no counterpart: {folder / items[shorter]} holds "
            f"{min(face, voice)} rows, this one {max(face, voice)}; row i of both must be one pair"
        )
    return FileRows(rows["face"], rows["voice"])


def training_rows(faces: pd.DataFrame, voices: pd.DataFrame, folder: Path) -> FileRows:
    """Rows of the training files; raises ProtocolError for a line whose two labels differ."""
    rows = file_rows(faces, voices, TRAIN, folder)
    left = faces["identity"].to_numpy(dtype=object)[rows.faces]
    right = voices["identity"].to_numpy(dtype=object)[rows.voices]
    wrong = np.flatnonzero(left != right)
    if len(wrong):
        line = int(wrong[0])
        raise ProtocolError(
            f"{folder / TRAIN['face']} and {folder / TRAIN['voice']} line {line + 1}: {left[line]} in one, "
            f"{right[line]} in the other; row i of both must be of one person"
        )
    return rows


def trial_rows(faces: pd.DataFrame, voices: pd.DataFrame, folder: Path) -> dict[TrialList, FileRows]:
    """Rows of every trial list that the stores hold."""
    items = set(faces["item"]) | set(voices["item"])
    there = [listed for listed in TRIAL_LISTS if {listed.item("face"), listed.item("voice")} & items]
    return {
        listed: file_rows(faces, voices, {modality: listed.item(modality) for modality in TRAIN}, folder)
        for listed in there
    }
