"""The protocol of the feature files: row i of a face file and row i of a voice file are training pair or trial i."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import ProtocolError
from pipeline.protocol.chance import rank_key
from pipeline.protocol.checks import check_protocol
from pipeline.protocol.corpus import Corpus, Flags, read_corpus
from pipeline.protocol.galleries import matching_list
from pipeline.protocol.sources.feature_files.official import TRIAL_LISTS, TrialList
from pipeline.protocol.sources.feature_files.pairing import FileRows, training_rows, trial_rows
from pipeline.protocol.sources.feature_files.people import labels
from pipeline.protocol.sources.generated import assembled, scene_lists
from pipeline.protocol.tables import ProtocolTables, shaped
from pipeline.protocol.training_pairs import class_indexes
from pipeline.protocol.trials import Drawn, Scene, verification_list
from pipeline.protocol.vocabulary import CROSS_MODAL, FACES, MATCHING_TASKS, RANDOM, UNSEEN, VOICES
from pipeline.settings import ProtocolSettings

_LEAST = 2  # validation identities: an impostor needs a second person
_TRAITS = {"gender": "string", "nationality": "string", "age": "Float64"}
_DRAWN_FROM = TRIAL_LISTS[0]  # random, unseen-unheard: all test people are in it


def protocol_of_features(
    faces: pd.DataFrame, voices: pd.DataFrame, folder: Path, settings: ProtocolSettings
) -> ProtocolTables:
    """Build and check the protocol for the indexes of two stores that pack_features wrote from `folder`.

    `validation_ratio` of the training labels are kept from training, to choose models on; with 0 the training pairs are
    all of the authors', and selection must be `last` or `test`. Raises ProtocolError for a file without counterpart,
    unequal row counts, labels that differ between the training files and people of two splits.
    """
    trained, tried = training_rows(faces, voices, folder), trial_rows(faces, voices, folder)
    corpus = _corpus(faces, voices)
    split, training = _splits(corpus, trained, tried, settings)
    verdicts = {listed: labels(listed, len(rows.faces), folder) for listed, rows in tried.items()}
    lists = [_trials(corpus, listed, rows, verdicts[listed][0]) for listed, rows in tried.items()]
    named = _DRAWN_FROM in tried and _DRAWN_FROM.source(folder).is_file()
    lists += _drawn(corpus, trained, tried[_DRAWN_FROM] if named else None, split, settings)
    held_out = np.ones(len(corpus.clips), dtype=np.bool_)
    held_out[corpus.faces.clip[trained.faces]] = held_out[corpus.voices.clip[trained.voices]] = False
    pairs = _training_pairs(corpus, training, trained)
    tables = assembled(corpus, settings, split, training, held_out, lists, pairs)
    facts = {"source": "csv_features", "labels": {listed.name: told[1] for listed, told in verdicts.items()}}
    tables = replace(tables, summary={**tables.summary, **facts})
    check_protocol(tables, corpus, held_out)
    return tables


def _corpus(faces: pd.DataFrame, voices: pd.DataFrame) -> Corpus:
    names = pd.concat([faces["identity"], voices["identity"]]).unique()
    unknown = {trait: pd.array([None] * len(names), dtype=kind) for trait, kind in _TRAITS.items()}
    return read_corpus(pd.DataFrame({"identity": names, **unknown}), faces, voices)


def _splits(
    corpus: Corpus, trained: FileRows, tried: dict[TrialList, FileRows], settings: ProtocolSettings
) -> tuple[np.ndarray, Flags]:
    """Split of each person (P,) and who trains (P,); raises ProtocolError for people of two splits."""
    people = len(corpus.people)
    where = {"train": np.zeros(people, dtype=np.bool_), "test": np.zeros(people, dtype=np.bool_)}
    for listed, rows in tried.items():
        members = where["test" if listed.regime == UNSEEN.name else "train"]
        members[corpus.faces.person[rows.faces]] = members[corpus.voices.person[rows.voices]] = True
    both = where["train"] & where["test"]
    if both.any():
        name = corpus.people["identity"].iloc[int(np.argmax(both))]
        raise ProtocolError(
            f"{name!r} is in a seen-heard and in an unseen-unheard list: nobody can be of train and test"
        )
    split = np.where(where["test"], "test", "train").astype(object)
    labelled = np.unique(corpus.faces.person[trained.faces])
    names = corpus.people["identity"].iloc[labelled]
    order = np.argsort([rank_key(settings.seed, "validation", name) for name in names])
    count = max(_LEAST, round(settings.validation_ratio * len(labelled))) if settings.validation_ratio > 0 else 0
    if len(labelled) - count < _LEAST:
        raise ProtocolError(
            f"{len(labelled)} training labels, {count} of them for validation, leave too few to train on"
        )
    split[labelled[order[:count]]] = "validation"
    training = np.zeros(people, dtype=np.bool_)
    training[labelled[order[count:]]] = True
    return split, training


def _trials(corpus: Corpus, listed: TrialList, rows: FileRows, verdicts: np.ndarray) -> Drawn:
    names = corpus.people["identity"].to_numpy(dtype=object)
    table = pd.DataFrame({"left_row": rows.voices, "right_row": rows.faces, "label": verdicts})
    table = table.assign(subset="test", regime=listed.regime, task=CROSS_MODAL.name, criterion=listed.criterion)
    table["left_identity"] = names[corpus.voices.person[rows.voices]]
    table["right_identity"] = names[corpus.faces.person[rows.faces]]
    table = shaped("verification", table.assign(position=np.arange(len(table))))
    return Drawn(table, f"verification/test/{listed.regime}/{CROSS_MODAL.name}/{listed.criterion}", len(table), "")


def _drawn(
    corpus: Corpus, trained: FileRows, tested: FileRows | None, split: np.ndarray, settings: ProtocolSettings
) -> list[Drawn]:
    """What the files lack: trials to choose a model on, and unimodal trials and galleries of the first list's media.

    The latter only where the list names the people: an impostor whom nobody knows might be the person.
    """
    choosing = _scene(corpus, "validation", trained, np.asarray(split == "validation"))
    lists = scene_lists(corpus, choosing, settings.model_copy(update={"criteria": [RANDOM.name]}))
    if tested is None:
        reason = f"absent: no {_DRAWN_FROM.source(Path())} beside the features names its people"
        return [*lists, Drawn(shaped("matching"), f"matching/test/{UNSEEN.name}", settings.galleries, reason)]
    test = _scene(corpus, "test", tested, np.asarray(split == "test"))
    lists += [verification_list(corpus, test, task, RANDOM, settings) for task in (FACES, VOICES)]
    return lists + [matching_list(corpus, test, task, settings) for task in MATCHING_TASKS.values()]


def _scene(corpus: Corpus, subset: str, rows: FileRows, members: Flags) -> Scene:
    usable = []
    for store, chosen in ((corpus.faces, rows.faces), (corpus.voices, rows.voices)):
        flags = np.zeros(len(store.person), dtype=np.bool_)
        flags[chosen] = True
        usable.append(flags & members[store.person])
    return Scene(subset, UNSEEN, usable[0], usable[1])


def _training_pairs(corpus: Corpus, training: Flags, trained: FileRows) -> pd.DataFrame:
    kept = training[corpus.faces.person[trained.faces]]
    classes = class_indexes(training)[corpus.faces.person[trained.faces[kept]]]
    table = {"face_row": trained.faces[kept], "voice_row": trained.voices[kept], "class_index": classes}
    return shaped("train_pairs", pd.DataFrame(table))
