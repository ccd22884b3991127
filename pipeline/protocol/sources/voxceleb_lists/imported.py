"""A protocol from the released lists: their splits and trials, and what they lack drawn by our own rules."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import ProtocolError
from pipeline.protocol.corpus import Codes, Corpus, Flags
from pipeline.protocol.galleries import matching_list
from pipeline.protocol.sources.generated import assembled, scene_lists, seen, unseen
from pipeline.protocol.sources.voxceleb_lists.release import People, read_matching, read_people, read_trials
from pipeline.protocol.sources.voxceleb_lists.stores import Finder, finder
from pipeline.protocol.tables import ProtocolTables, shaped
from pipeline.protocol.training_pairs import training_pairs
from pipeline.protocol.trials import Drawn, verification_list
from pipeline.protocol.vocabulary import (
    CROSS_MODAL,
    F2V,
    FACES,
    MATCHING_TASKS,
    RANDOM,
    REGIMES,
    RELEASED_MATCHING,
    SEEN,
    UNSEEN,
    V2F,
    VOICES,
    Regime,
    Task,
)
from pipeline.settings import ProtocolSettings

_SHOWN = 3


@dataclass(frozen=True)
class Stores:
    """Where the media of the lists are found."""

    face: Finder
    voice: Finder

    def of(self, modality: str) -> Finder:
        """The store of a modality."""
        return self.face if modality == "face" else self.voice


def import_lists(
    corpus: Corpus, faces: pd.DataFrame, voices: pd.DataFrame, folder: Path, settings: ProtocolSettings
) -> tuple[ProtocolTables, Flags]:
    """Splits, cross-modal trials and 1:2 galleries of the release; what it lacks is drawn by our own rules.

    Trials whose media are missing are left out and counted. Every recording that a seen-heard list names is kept out of
    training; also returns which those are, (clips,) flags. Raises ProtocolError for lists that contradict themselves
    and for people of the corpus who are not in the release.
    """
    people = read_people(folder)
    split = _splits(corpus, people)
    stores = Stores(finder(faces, "face", people), finder(voices, "voice", people))
    released = {
        (regime, criterion): read_trials(folder, criterion, regime, people)
        for regime in REGIMES.values()
        for criterion in settings.criteria
    }
    held_out = _held_out(corpus, stores, [table for (regime, _), table in released.items() if regime is SEEN])
    training = (split == "train") & _can_train(corpus, held_out)
    lists = [_present(corpus, people)]
    lists += [_trials(table, stores, regime, criterion) for (regime, criterion), table in released.items()]
    lists += _drawn(corpus, split, held_out, settings)
    for task in (F2V, V2F):
        for criterion in RELEASED_MATCHING:
            lists.append(_galleries(read_matching(folder, task, criterion, people), stores, task, criterion))
    pairs = training_pairs(corpus, training, held_out, settings)
    return assembled(corpus, settings, split, training, held_out, lists, pairs), held_out


def _drawn(corpus: Corpus, split: np.ndarray, held_out: Flags, settings: ProtocolSettings) -> list[Drawn]:
    """What the release lacks: trials to choose a model on, unimodal trials, galleries of ten."""
    test, heard = unseen(corpus, "test", split), seen(corpus, np.asarray(split == "train"), held_out)
    lists = scene_lists(corpus, unseen(corpus, "validation", split), settings)
    for scene in (test, heard):
        lists += [verification_list(corpus, scene, task, RANDOM, settings) for task in (FACES, VOICES)]
    return lists + [matching_list(corpus, test, task, settings) for task in MATCHING_TASKS.values()]


def _splits(corpus: Corpus, people: People) -> np.ndarray:
    split = corpus.people["identity"].map(people.split)
    if split.isna().any():
        name = corpus.people["identity"][split.isna()].iloc[0]
        raise ProtocolError(
            f"{int(split.isna().sum())} identities of the corpus are not in identity_splits.txt, first: {name!r}; "
            "take their media out, or use protocol.source: generated"
        )
    return np.asarray(split, dtype=object)


def _present(corpus: Corpus, people: People) -> Drawn:
    """The line of coverage that says how many people of the release the corpus holds."""
    absent = sorted(set(people.split) - set(corpus.people["identity"]))
    reason = f"identities without any embedding, such as {', '.join(absent[:_SHOWN])}" if absent else ""
    return Drawn(corpus.people, "identities", len(people.split), reason, len(absent))


def _held_out(corpus: Corpus, stores: Stores, tables: list[pd.DataFrame]) -> Flags:
    videos = {video for table in tables for side in ("left", "right") for video in table[f"{side}_video"]}
    flags = np.zeros(len(corpus.clips), dtype=np.bool_)
    for rows, store in ((corpus.faces, stores.face), (corpus.voices, stores.voice)):
        flags[rows.clip[store.videos.isin(videos).to_numpy()]] = True
    return flags


def _can_train(corpus: Corpus, held_out: Flags) -> Flags:
    """(P,) who has a face and a voice in recordings that are not held out; media may be missing."""
    kept = [
        np.bincount(rows.person[~held_out[rows.clip]], minlength=len(corpus.people)) > 0
        for rows in (corpus.faces, corpus.voices)
    ]
    return np.asarray(kept[0] & kept[1])


def _trials(table: pd.DataFrame, stores: Stores, regime: Regime, criterion: str) -> Drawn:
    left, right = stores.voice.find(table["left_key"]), stores.face.find(table["right_key"])
    found = (left >= 0) & (right >= 0)
    names = {f"{side}_identity": table[f"{side}_person"] for side in ("left", "right")}
    rows = table.assign(subset="test", regime=regime.name, task=CROSS_MODAL.name, criterion=criterion, **names)
    rows = shaped("verification", rows.assign(left_row=left, right_row=right)[found])
    missing = _missing([(table["left_key"], left), (table["right_key"], right)])
    return _reported(rows, f"verification/test/{regime.name}/{CROSS_MODAL.name}/{criterion}", len(table), missing)


def _galleries(table: pd.DataFrame, stores: Stores, task: Task, criterion: str) -> Drawn:
    probes, gallery = (stores.of(modality) for modality in task.sides)
    at = {"probe": probes, "genuine": gallery, "impostor": gallery}
    rows = {side: store.find(table[f"{side}_key"]) for side, store in at.items()}
    found = np.logical_and.reduce([row >= 0 for row in rows.values()])
    made = table.assign(subset="test", regime=UNSEEN.name, task=task.name, criterion=criterion)
    made = made.assign(probe_row=rows["probe"], genuine_row=rows["genuine"], probe_identity=table["probe_person"])
    made = made.assign(impostor_rows=list(rows["impostor"][:, None]))[found]
    missing = _missing([(table[f"{side}_key"], row) for side, row in rows.items()])
    return _reported(
        shaped("matching_released", made), f"matching_released/{task.name}/{criterion}", len(table), missing
    )


def _missing(sides: list[tuple[pd.Series, Codes]]) -> list[str]:
    return sorted({str(key) for keys, rows in sides for key in keys[rows < 0]})


def _reported(table: pd.DataFrame, name: str, rows: int, missing: list[str]) -> Drawn:
    if not missing:
        return Drawn(table, name, rows, "")
    left_out = f"{rows - len(table)} rows left out: media not in the stores, such as {', '.join(missing[:_SHOWN])}"
    return Drawn(table, name, rows, left_out if len(table) else f"absent: {left_out}", len(missing))
