"""What training takes from the protocol: its pairs, and the trials that a model is chosen on."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from pipeline.errors import ProtocolError
from pipeline.files import sha256_hex
from pipeline.protocol import ProtocolTables
from pipeline.protocol.checks import check_fits
from pipeline.protocol.judged import judged_on, learnt_tasks
from pipeline.protocol.tables import RowIndex, parity_lists
from pipeline.protocol.usable import runs_without_trials
from pipeline.protocol.vocabulary import CROSS_MODAL, RANDOM, UNSEEN, VERIFICATION_TASKS, Task
from pipeline.settings import ALL_LANGUAGES, RunSettings
from pipeline.store import rows_of

_LOG = logging.getLogger(__name__)
TRAITS = ("gender", "nationality")  # what a method may know of an identity that it trains on


@dataclass(frozen=True)
class Trials:
    """Pairs of rows, genuine and impostor."""

    left: RowIndex  # (N,) row of the modality sides[0]
    right: RowIndex  # (N,) row of the modality sides[1]
    labels: RowIndex  # (N,) 1 same person, 0 not
    sides: tuple[str, str]  # face | voice, each
    left_person: RowIndex  # (N,) a number for each person, from 0
    right_person: RowIndex  # (N,)

    @property
    def people(self) -> RowIndex:
        """Numbers of the people, rising."""
        return np.unique(np.concatenate([self.left_person, self.right_person]))


@dataclass(frozen=True)
class TrainingLists:
    """Row i of the pairs is a face and a voice of the identity with number classes[i]."""

    face_rows: RowIndex  # (N,)
    voice_rows: RowIndex  # (N,)
    classes: RowIndex  # (N,) 0..C-1
    validation: Trials | None  # None: the protocol has none for this run
    test: Trials | None  # read only where the settings choose the model on it
    calibration: Mapping[str, Trials] = field(default_factory=dict)  # validation trials of what it learns, by task
    traits: Mapping[str, RowIndex] = field(default_factory=dict)  # trait -> code of each class (C,), -1: unknown

    @property
    def class_count(self) -> int:
        """C, the number of training identities."""
        return int(self.classes.max()) + 1

    def digest(self) -> str:
        """Hex SHA-256 of everything here."""
        pairs = [part.tobytes() for part in (self.face_rows, self.voice_rows, self.classes)]
        trials = [
            sha256_hex(*(part.tobytes() for part in (chosen.left, chosen.right, chosen.labels))) if chosen else "none"
            for chosen in (self.validation, self.test, *self.calibration.values())
        ]
        return sha256_hex(*pairs, *trials, separator=b"|")


def training_lists(tables: ProtocolTables, settings: RunSettings, faces: int, voices: int) -> TrainingLists:
    """The lists of a protocol that a run trains and is chosen on, for stores of `faces` and `voices` rows.

    Models of one modality are chosen on trials of that modality. Raises ProtocolError for a row outside the stores, a
    class without pairs, a training identity among the trials, and trials that `selection` needs but are not there.
    """
    check_fits(tables, {"face": faces, "voice": voices})
    pairs = tables.train_pairs
    if not len(pairs) or not np.array_equal(np.unique(pairs["class_index"]), np.arange(tables.classes)):
        raise ProtocolError("train_pairs: every class from 0 to the highest needs a training pair; run protocol")
    pairs = pairs_in(pairs, settings.language)
    kept, classes = np.unique(pairs["class_index"].to_numpy(np.int64), return_inverse=True)
    lists = TrainingLists(
        pairs["face_row"].to_numpy(np.int64),
        pairs["voice_row"].to_numpy(np.int64),
        classes.astype(np.int64),
        _chosen_on(tables, "validation", settings),
        _chosen_on(tables, "test", settings) if settings.selection == "test" else None,
        calibration_trials(tables, settings),
        {trait: codes[kept] for trait, codes in class_traits(tables.identities).items()},
    )
    for reason in runs_without_trials(tables, {"": settings}):
        raise ProtocolError(
            f"{reason}: there is nothing to choose a model on; mend that, take this run out of experiments: in "
            "params.yaml, or give it selection: last"
        )
    return lists


def only_named(
    lists: TrainingLists, faces: np.ndarray, voices: np.ndarray
) -> tuple[TrainingLists, np.ndarray, np.ndarray]:
    """The lists with the numbers of their rows among those that they name, and copies of these of both stores.

    faces (F, D) and voices (V, D) may hold ten times as many, on the disk.
    """
    trials = [*lists.calibration.values(), *(one for one in (lists.validation, lists.test) if one)]
    named = {"face": [lists.face_rows], "voice": [lists.voice_rows]}
    for one in trials:
        named[one.sides[0]].append(one.left)
        named[one.sides[1]].append(one.right)
    rows = {modality: np.unique(np.concatenate(parts)) for modality, parts in named.items()}

    def renumbered(one: Trials) -> Trials:
        left, right = (
            np.searchsorted(rows[side], part) for side, part in zip(one.sides, (one.left, one.right), strict=True)
        )
        return replace(one, left=left, right=right)

    kept = replace(
        lists,
        face_rows=np.searchsorted(rows["face"], lists.face_rows),
        voice_rows=np.searchsorted(rows["voice"], lists.voice_rows),
        validation=renumbered(lists.validation) if lists.validation else None,
        test=renumbered(lists.test) if lists.test else None,
        calibration={task: renumbered(one) for task, one in lists.calibration.items()},
    )
    return kept, rows_of(faces, rows["face"]), rows_of(voices, rows["voice"])


def pairs_in(pairs: pd.DataFrame, language: str) -> pd.DataFrame:
    """Training pairs in a language, or all; raises ProtocolError, naming the languages, where there is none."""
    if language == ALL_LANGUAGES:
        return pairs
    chosen = pairs[pairs["language"] == language]
    if chosen["class_index"].nunique() < 2:
        known = pairs[pairs["language"] != ""].groupby("language")["class_index"].nunique()
        people = ", ".join(f"{name} ({count} people)" for name, count in known.items()) or "none"
        raise ProtocolError(
            f"language {language!r}: training pairs of {chosen['class_index'].nunique()} people, of two at least are "
            f"needed; languages of the training pairs: {people}"
        )
    return chosen


def class_traits(identities: pd.DataFrame) -> dict[str, RowIndex]:
    """Codes (C,) of what is known of the training identities, by trait; -1 where it is not known.

    A code is the position of the value among the sorted ones of the training identities.
    """
    trained = identities[identities["class_index"] >= 0].sort_values("class_index")
    return {trait: pd.factorize(trained[trait], sort=True)[0].astype(np.int64) for trait in TRAITS if trait in trained}


def selection_trials(tables: ProtocolTables, subset: str, settings: RunSettings) -> pd.DataFrame:
    """The random list that a run's models are chosen on.

    Own trials in the language that it trains on, where the protocol has such; what it does in a language that it has
    not heard stays a question for its tests.
    """
    task = judged_on(settings.modality)
    own = tables.challenge
    own = own[(own["origin"] == "own") & (own["subset"] == subset) & (own["language"] == settings.language)]
    own = own[own["track"] == "no_gender"]
    if task == CROSS_MODAL and own["label"].nunique() == 2:
        return own
    if task == CROSS_MODAL and settings.language != ALL_LANGUAGES and len(tables.challenge):
        _LOG.warning(
            "no %s trials in %s alone (artifacts/protocol/coverage.csv says why): those in all languages stand in",
            subset,
            settings.language,
        )
    return tables.trials(subset, UNSEEN.name, task.name, RANDOM.name)


def calibration_trials(tables: ProtocolTables, settings: RunSettings) -> dict[str, Trials]:
    """The random validation list, by task, of each task that a run learns; of the one that it is judged on, that list.

    Absent is a list that lacks one kind of trial, and one whose people no list names. Raises ProtocolError for a
    training identity in one.
    """
    found = {}
    for task in learnt_tasks(settings.modality, VERIFICATION_TASKS):
        chosen = tables.trials("validation", UNSEEN.name, task.name, RANDOM.name)
        if task == judged_on(settings.modality):
            chosen = selection_trials(tables, "validation", settings)
        if (trials := _trials(tables, "validation", chosen, task)) is not None:
            found[task.name] = trials
    if f"validation_{RANDOM.name}_{UNSEEN.run_together}" in parity_lists(tables.summary):
        found.pop(CROSS_MODAL.name, None)
    return found


def _chosen_on(tables: ProtocolTables, subset: str, settings: RunSettings) -> Trials | None:
    return _trials(tables, subset, selection_trials(tables, subset, settings), judged_on(settings.modality))


def _trials(tables: ProtocolTables, subset: str, chosen: pd.DataFrame, task: Task) -> Trials | None:
    if chosen["label"].nunique() < 2:
        return None
    trained = set(tables.identities.loc[tables.identities["split"] == "train", "identity"])
    leaks = sorted(trained & (set(chosen["left_identity"]) | set(chosen["right_identity"])))
    if leaks:
        raise ProtocolError(
            f"training identity {leaks[0]!r} is in the {subset} trials ({len(leaks)} such): the splits leak"
        )
    left, right, label = (chosen[column].to_numpy(np.int64) for column in ("left_row", "right_row", "label"))
    people = pd.factorize(pd.concat([chosen["left_identity"], chosen["right_identity"]]), sort=True)[0].astype(np.int64)
    return Trials(left, right, label, task.sides, people[: len(chosen)], people[len(chosen) :])
