"""What training takes from the protocol: its pairs, and the trials that a model is chosen on."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.errors import ProtocolError
from pipeline.protocol.vocabulary import RANDOM, UNSEEN, judged_on
from pipeline.settings import TrainSettings

PAIRS, TRIALS, IDENTITIES = "train_pairs.parquet", "verification.parquet", "identities.parquet"
COVERAGE = "coverage.csv"
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Trials:
    """Pairs of rows to be told apart."""

    left: Rows  # (N,) row of the modality sides[0]
    right: Rows  # (N,) row of the modality sides[1]
    labels: Rows  # (N,) 1 same person, 0 not
    sides: tuple[str, str]  # face | voice, each


@dataclass(frozen=True)
class TrainingLists:
    """Row i of the pairs is a face and a voice of the identity with number classes[i]."""

    face_rows: Rows  # (N,)
    voice_rows: Rows  # (N,)
    classes: Rows  # (N,) 0..C-1
    validation: Trials | None  # None: the protocol has none for this run
    test: Trials | None  # read only where the settings choose the model on it

    @property
    def class_count(self) -> int:
        """C, the number of training identities."""
        return int(self.classes.max()) + 1

    def digest(self) -> str:
        """Hex SHA-256 of everything here."""
        state = hashlib.sha256()
        for part in (self.face_rows, self.voice_rows, self.classes):
            state.update(part.tobytes() + b"|")
        for trials in (self.validation, self.test):
            parts = [] if trials is None else [trials.left, trials.right, trials.labels]
            state.update(b"".join(part.tobytes() + b"," for part in parts) + b"|")
        return state.hexdigest()


def read_training_lists(folder: Path, settings: TrainSettings, faces: int, voices: int) -> TrainingLists:
    """Read the lists from a protocol's folder, for stores of `faces` and `voices` rows.

    Models of one modality are chosen on trials of that modality. Raises ProtocolError for a row outside the stores, a
    class without pairs, a training identity among the trials, and trials that `selection` needs but are not there.
    """
    pairs, trials = _read(folder / PAIRS), _read(folder / TRIALS)
    identities = _read(folder / IDENTITIES)
    trained = set(identities.loc[identities["split"] == "train", "identity"])
    lists = TrainingLists(
        _rows(pairs, "face_row", faces),
        _rows(pairs, "voice_row", voices),
        _rows(pairs, "class_index", len(trained)),
        _trials(trials, "validation", settings, trained, {"face": faces, "voice": voices}),
        _trials(trials, "test", settings, trained, {"face": faces, "voice": voices})
        if settings.selection == "test"
        else None,
    )
    if not len(pairs) or len(np.unique(lists.classes)) != lists.class_count:
        raise ProtocolError(f"{folder / PAIRS}: every class from 0 to the highest needs a training pair; run protocol")
    chosen_on = {"validation": lists.validation, "test": lists.test}
    if settings.selection in chosen_on and chosen_on[settings.selection] is None:
        task = judged_on(settings.modality).name
        raise ProtocolError(
            f"{folder / TRIALS}: no {settings.selection} trials of task {task!r} with both labels to choose a model on "
            f"({_remark(folder, settings.selection, task)}): mend that, take this run out of experiments: in "
            "params.yaml, or give it selection: last"
        )
    return lists


def _remark(folder: Path, subset: str, task: str) -> str:
    """What the protocol says of the list that models are chosen on."""
    try:
        coverage = pd.read_csv(folder / COVERAGE).set_index("list")
        used, reason = coverage.loc[f"verification/{subset}/{UNSEEN.name}/{task}/{RANDOM.name}", ["used", "reason"]]
        return f"{COVERAGE}: {used} used; {reason}"
    except (OSError, ValueError, KeyError):
        return "protocol.criteria needs random"


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ProtocolError(f"{path} cannot be read ({error}); run `dvc repro` again") from error


def _rows(table: pd.DataFrame, column: str, end: int) -> Rows:
    rows: Rows = table[column].to_numpy(np.int64)
    bad = np.flatnonzero((rows < 0) | (rows >= end))
    if len(bad):
        raise ProtocolError(f"{column} of row {bad[0]} is {rows[bad[0]]}, outside 0..{end - 1}; run `dvc repro` again")
    return rows


def _trials(
    table: pd.DataFrame, subset: str, settings: TrainSettings, trained: set[str], ends: dict[str, int]
) -> Trials | None:
    task = judged_on(settings.modality)
    wanted = {"subset": subset, "regime": UNSEEN.name, "task": task.name, "criterion": RANDOM.name}
    chosen = table[np.logical_and.reduce([table[column] == value for column, value in wanted.items()])]
    if chosen["label"].nunique() < 2:
        return None
    leaks = sorted(trained & (set(chosen["left_identity"]) | set(chosen["right_identity"])))
    if leaks:
        raise ProtocolError(
            f"training identity {leaks[0]!r} is in the {subset} trials ({len(leaks)} such): the splits leak"
        )
    left, right = _rows(chosen, "left_row", ends[task.left]), _rows(chosen, "right_row", ends[task.right])
    return Trials(left, right, chosen["label"].to_numpy(np.int64), task.sides)
