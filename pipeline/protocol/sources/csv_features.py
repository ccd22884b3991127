"""The protocol of the feature files: row i of a face file and row i of a voice file are training pair or trial i."""

from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import ConfigError, ProtocolError
from pipeline.manifest.schema import COLUMNS
from pipeline.protocol.assemble import Splits, assemble
from pipeline.protocol.corpus import Corpus, Flags, IntArray, read_corpus
from pipeline.protocol.galleries import matching_lists
from pipeline.protocol.rng import rank_key
from pipeline.protocol.sources import Draft, Inputs, register
from pipeline.protocol.sources.feature_files import ALL_LISTS, ROW_PARITY, TRAIN, TRIAL_LISTS, TrialList, labels
from pipeline.protocol.splits import LEAST, class_indexes
from pipeline.protocol.tables import VALIDATION_OF_LABELS, CoveredList, shaped
from pipeline.protocol.trials import TrialCondition, verification_list, verification_lists
from pipeline.protocol.vocabulary import CROSS_MODAL, FACES, RANDOM, TRAITS, UNSEEN, VOICES
from pipeline.settings import ProtocolSettings

SOURCE = "csv_features"
_GENERATED_FROM = TRIAL_LISTS[0]  # random, unseen-unheard: all test people are in it

_FILES_OF = {  # people of each split
    "train": "a training file or a seen-heard list",
    "validation": "a validation list",
    "test": "an unseen-unheard list",
}


@dataclass(frozen=True)
class FileRows:
    """Rows of the two stores that one pair of files became, in the files' order."""

    faces: IntArray  # (N,)
    voices: IntArray  # (N,)


@register(SOURCE)
def protocol_of_features(inputs: Inputs, settings: ProtocolSettings) -> Draft:
    """The protocol for the indexes of two stores that pack_features wrote from the folder of the inputs.

    `validation_ratio` of the training labels are kept from training, to choose models on; with 0 the training pairs are
    all of the authors', and selection must be `last` or `test`. Validation people are
    those of validation lists where the folder has some. Raises ConfigError where the stores are of media,
    ProtocolError for a file without counterpart, unequal row counts, labels that differ between the training files and
    people of two splits.
    """
    faces, voices, folder = inputs.faces, inputs.voices, inputs.folder
    if not (faces["item"] == TRAIN["face"]).any():
        raise ConfigError(f"protocol.source {SOURCE} needs features.source: csv; here the stores are of media")
    training_files, files = training_rows(faces, voices, folder), trial_rows(faces, voices, folder)
    corpus = _corpus(faces, voices)
    splits = _splits(corpus, training_files, files, settings)
    labelled = {listed: labels(listed, len(rows.faces), folder) for listed, rows in files.items()}
    lists = [_trials(corpus, listed, rows, labelled[listed][0]) for listed, rows in files.items()]
    named = _GENERATED_FROM in files and _GENERATED_FROM.source(folder).is_file()
    lists += _generated_validation(corpus, training_files, files, splits.split, settings)
    lists += _generated_test(corpus, files[_GENERATED_FROM] if named else None, splits.split, settings)
    tables = assemble(corpus, splits, lists, _training_pairs(corpus, splits.training, training_files), settings)
    sources = {listed.name: source for listed, (_, source) in labelled.items()}
    by_parity = [name for name, source in sources.items() if source == ROW_PARITY]
    counts = {name: int((splits.split == name).sum()) for name in ("validation", "test")}
    labelled_people = np.unique(corpus.faces.person[training_files.faces])
    summary = {
        **tables.summary,
        "identities": {"train": int(splits.training.sum()), **counts},  # seen-heard lists name these people once more
        "labels": sources,
        "parity_lists": by_parity,
        VALIDATION_OF_LABELS: int((splits.split[labelled_people] == "validation").sum()),
    }
    return Draft(replace(tables, summary=summary), corpus, splits.held_out)


def _corpus(faces: pd.DataFrame, voices: pd.DataFrame) -> Corpus:
    """People by name alone: the files hold nothing else of them."""
    names = pd.concat([faces["identity"], voices["identity"]]).unique()
    unknown = {trait: pd.Series([pd.NA] * len(names), dtype=COLUMNS[trait]) for trait in TRAITS}
    return read_corpus(pd.DataFrame({"item": names, "identity": names, **unknown}), faces, voices, by_bytes=False)


def _splits(corpus: Corpus, trained: FileRows, tested: dict[TrialList, FileRows], settings: ProtocolSettings) -> Splits:
    """Splits of people; raises ProtocolError for people of two."""
    people = len(corpus.people)
    labelled = np.unique(corpus.faces.person[trained.faces])
    members_of = {name: np.zeros(people, dtype=np.bool_) for name in ("train", "validation", "test")}
    members_of["train"][labelled] = True
    for listed, rows in tested.items():
        members = members_of[listed.regime.split(listed.subset)]
        members[corpus.faces.person[rows.faces]] = members[corpus.voices.person[rows.voices]] = True
    for one, other in combinations(members_of, 2):
        both = members_of[one] & members_of[other]
        if both.any():
            name = corpus.people["identity"].iloc[int(np.argmax(both))]
            raise ProtocolError(f"{name!r} is in {_FILES_OF[one]} and in {_FILES_OF[other]}: nobody can be of both")
    split = np.select([members_of["test"], members_of["validation"]], ["test", "validation"], "train").astype(object)
    names = corpus.people["identity"].iloc[labelled]
    order = np.argsort([rank_key(settings.seed, "validation", name) for name in names])
    count = max(LEAST, round(settings.validation_ratio * len(labelled))) if settings.validation_ratio > 0 else 0
    if members_of["validation"].any():
        count = 0  # the files name the validation people, and none of them is of the training files
    if len(labelled) - count < LEAST:
        raise ProtocolError(
            f"{len(labelled)} training labels, {count} of them for validation, leave too few to train on"
        )
    split[labelled[order[:count]]] = "validation"
    training = np.zeros(people, dtype=np.bool_)
    training[labelled[order[count:]]] = True
    held_out = np.ones(len(corpus.clips), dtype=np.bool_)
    held_out[corpus.faces.clip[trained.faces]] = held_out[corpus.voices.clip[trained.voices]] = False
    return Splits(split, training, held_out)


def _trials(corpus: Corpus, listed: TrialList, rows: FileRows, label: np.ndarray) -> CoveredList:
    names = corpus.people["identity"].to_numpy(dtype=object)
    table = pd.DataFrame({"left_row": rows.voices, "right_row": rows.faces, "label": label})
    table = table.assign(
        subset=listed.subset, regime=listed.regime.name, task=CROSS_MODAL.name, criterion=listed.criterion
    )
    table["left_identity"] = names[corpus.voices.person[rows.voices]]
    table["right_identity"] = names[corpus.faces.person[rows.faces]]
    table = shaped("verification", table.assign(position=np.arange(len(table))))
    name = f"verification/{listed.subset}/{listed.regime.name}/{CROSS_MODAL.name}/{listed.criterion}"
    return CoveredList(table, name, len(table), "")


def _generated_validation(
    corpus: Corpus,
    trained: FileRows,
    tested: dict[TrialList, FileRows],
    split: np.ndarray,
    settings: ProtocolSettings,
) -> list[CoveredList]:
    """Validation trials that the files lack: unimodal ones, and cross-modal ones where no validation list is there."""
    of_files = next((rows for listed, rows in tested.items() if listed.subset == "validation"), None)
    rows = trained if of_files is None else of_files
    validation = _condition(corpus, "validation", rows, np.asarray(split == "validation"))
    if of_files is not None:
        return [verification_list(corpus, validation, task, RANDOM, settings) for task in (FACES, VOICES)]
    return verification_lists(corpus, validation, settings.model_copy(update={"criteria": [RANDOM.name]}))


def _generated_test(
    corpus: Corpus, tested: FileRows | None, split: np.ndarray, settings: ProtocolSettings
) -> list[CoveredList]:
    """Unimodal test trials and galleries, of the first list's media.

    Only where the list names the people: an impostor of unknown identity might be the person.
    """
    if tested is None:
        reason = f"absent: no {_GENERATED_FROM.source(Path())} beside the features names its people"
        return [CoveredList(shaped("matching"), f"matching/test/{UNSEEN.name}", settings.galleries, reason)]
    test = _condition(corpus, "test", tested, np.asarray(split == "test"))
    lists = [verification_list(corpus, test, task, RANDOM, settings) for task in (FACES, VOICES)]
    return lists + matching_lists(corpus, test, settings)


def _condition(corpus: Corpus, subset: str, rows: FileRows, members: Flags) -> TrialCondition:
    usable = []
    for store, chosen in ((corpus.faces, rows.faces), (corpus.voices, rows.voices)):
        flags = np.zeros(len(store.person), dtype=np.bool_)
        flags[chosen] = True
        usable.append(flags & members[store.person])
    return TrialCondition(subset, UNSEEN, usable[0], usable[1])


def _training_pairs(corpus: Corpus, training: Flags, trained: FileRows) -> pd.DataFrame:
    used = training[corpus.faces.person[trained.faces]]
    classes = class_indexes(training)[corpus.faces.person[trained.faces[used]]]
    table = {"face_row": trained.faces[used], "voice_row": trained.voices[used], "class_index": classes}
    return shaped("train_pairs", pd.DataFrame({**table, "language": ""}))


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
    present = [listed for listed in ALL_LISTS if {listed.item("face"), listed.item("voice")} & items]
    return {
        listed: file_rows(faces, voices, {modality: listed.item(modality) for modality in TRAIN}, folder)
        for listed in present
    }
