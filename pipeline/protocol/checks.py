"""Checks of a protocol, when it is written and when it is read: what would make its numbers dishonest is an error."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.errors import ProtocolError
from pipeline.protocol.corpus import Corpus, Flags
from pipeline.protocol.tables import ProtocolTables
from pipeline.protocol.vocabulary import (
    CHALLENGE_TRACKS,
    CRITERIA,
    MATCHING_TASKS,
    NO_SPLIT,
    REGIMES,
    RELEASED_MATCHING,
    SEEN,
    VERIFICATION_TASKS,
    Modality,
)

Names = NDArray[np.object_]


class RowColumn(NamedTuple):
    """A column of row numbers, as far as it points into the store of one modality."""

    table: str
    rows: pd.DataFrame  # of the table; impostors of galleries one a row, under the index of their gallery
    column: str
    modality: Modality
    identity: str | None  # column that names the person of the row


def check_protocol(tables: ProtocolTables, corpus: Corpus, held_out: Flags) -> None:
    """Compare every row with the stores' own identities; `held_out` (clips,) are the recordings kept from training.

    Raises ProtocolError naming table and row for: an identity in two splits, a class outside training, a training pair
    of two people, of a person outside training or of a held-out recording, a row that no store has, identities or a
    label that contradict the rows, a trial of people of the wrong split, a seen-heard trial of a recording that trains,
    an impostor who is the person, a word that is not in the vocabulary.
    """
    people = _check_identities(tables.identities, corpus)
    names = people["identity"].to_numpy(dtype=object)
    stores: dict[Modality, Names] = {"face": names[corpus.faces.person], "voice": names[corpus.voices.person]}
    check_rows(tables, {modality: len(owners) for modality, owners in stores.items()}, stores)
    _check_training(tables.train_pairs, corpus, people["class_index"].to_numpy(), held_out)
    for one in row_columns(tables):
        if one.table not in ("train_pairs", "challenge"):
            _check_split(one, corpus, people["split"].to_numpy(dtype=object))
        if one.table == "verification":
            _check_held_out(one, corpus, held_out)
    _check_labels(tables.verification)
    _check_challenge(tables.challenge, people.set_index("identity")["split"])
    for name in ("matching", "matching_released"):
        for task, galleries in getattr(tables, name).groupby("task"):
            _check_impostors(name, galleries, stores[MATCHING_TASKS[task].right])


def check_fits(
    tables: ProtocolTables, sizes: Mapping[Modality, int], identities: Mapping[Modality, Names] | None = None
) -> None:
    """Check that a protocol which was read was made for these stores, as `check_rows` does."""
    try:
        check_rows(tables, sizes, identities)
    except ProtocolError as error:
        raise ProtocolError(f"{error}; the protocol was made for other stores: run `dvc repro protocol`") from error


def check_rows(
    tables: ProtocolTables, sizes: Mapping[Modality, int], identities: Mapping[Modality, Names] | None = None
) -> None:
    """Raise ProtocolError for a word outside the vocabulary, and for a row number outside stores of `sizes` rows.

    With the `identities` (N,) of each store's rows, also for one that is of another person than the list says.
    """
    _check_words(tables)
    for name, rows, column, modality, identity in row_columns(tables):
        row, size = rows[column].to_numpy(dtype=np.int64), sizes[modality]
        outside = (row < 0) | (row >= size)
        refuse(name, rows, outside, f"{column} is no row of the {modality} store (0 to {size - 1})", row)
        if identity is not None and identities is not None:
            named, owner = rows[identity].to_numpy(dtype=object), identities[modality][row]
            refuse(name, rows, named != owner, f"{identity} is not the identity of {column}", named, owner)


def row_columns(tables: ProtocolTables) -> Iterator[RowColumn]:
    """Every column of row numbers, one task at a time."""
    yield RowColumn("train_pairs", tables.train_pairs, "face_row", "face", None)
    yield RowColumn("train_pairs", tables.train_pairs, "voice_row", "voice", None)
    for task in VERIFICATION_TASKS.values():
        trials = tables.verification[tables.verification["task"] == task.name]
        yield RowColumn("verification", trials, "left_row", task.left, "left_identity")
        yield RowColumn("verification", trials, "right_row", task.right, "right_identity")
    found = tables.challenge[(tables.challenge[["left_row", "right_row"]] >= 0).all(axis=1)]
    yield RowColumn("challenge", found, "left_row", "voice", "left_identity")
    yield RowColumn("challenge", found, "right_row", "face", "right_identity")
    for name in ("matching", "matching_released"):
        table = getattr(tables, name)
        for task in MATCHING_TASKS.values():
            galleries = table[table["task"] == task.name]
            yield RowColumn(name, galleries, "probe_row", task.left, "probe_identity")
            yield RowColumn(name, galleries, "genuine_row", task.right, "probe_identity")
            yield RowColumn(name, _an_impostor_a_row(galleries), "impostor_rows", task.right, None)


def _an_impostor_a_row(galleries: pd.DataFrame) -> pd.DataFrame:
    return galleries[galleries["impostor_rows"].map(len) > 0].explode("impostor_rows")


def refuse(table: str, rows: pd.DataFrame, bad: NDArray[np.bool_], what: str, *found: np.ndarray) -> None:
    """Raise ProtocolError naming the first bad row of a table by its index, with what was `found` there."""
    if bad.any():
        first = int(np.argmax(bad))
        values = f": {', '.join(repr(one.tolist()[first]) for one in found)}" if found else ""
        count = f" ({int(bad.sum())} such rows)"
        raise ProtocolError(f"{table} row {rows.index[first]}: {what}{values}{count}")


def _check_identities(identities: pd.DataFrame, corpus: Corpus) -> pd.DataFrame:
    """The identities in the order of corpus.people."""
    again = identities["identity"].duplicated().to_numpy()
    if again.any():
        name = identities["identity"].iloc[int(np.argmax(again))]
        splits = ", ".join(identities.loc[identities["identity"] == name, "split"])
        raise ProtocolError(
            f"identities row {identities.index[int(np.argmax(again))]}: {name!r} is there twice, in {splits}"
        )
    strange = ~identities["split"].isin(["train", "validation", "test", NO_SPLIT]).to_numpy()
    refuse("identities", identities, strange, f"split is none of train, validation, test, {NO_SPLIT}")
    outside = (identities["class_index"] >= 0).to_numpy() & (identities["split"] != "train").to_numpy()
    refuse("identities", identities, outside, "has a class but is not of the training split")
    classes = np.sort(identities.loc[identities["class_index"] >= 0, "class_index"].to_numpy())
    if not np.array_equal(classes, np.arange(len(classes))):
        raise ProtocolError(f"identities: classes must be 0 to {len(classes) - 1}, each once")
    known = identities.set_index("identity")
    unknown = ~corpus.people["identity"].isin(known.index).to_numpy()
    if unknown.any():
        raise ProtocolError(
            f"identities: {corpus.people['identity'].iloc[int(np.argmax(unknown))]!r} has rows but no split"
        )
    return known.loc[corpus.people["identity"]].reset_index()


def _check_words(tables: ProtocolTables) -> None:
    words: dict[str, dict[str, Mapping[str, object]]] = {
        "verification": {"task": VERIFICATION_TASKS, "regime": REGIMES, "criterion": CRITERIA},
        "matching": {"task": MATCHING_TASKS, "regime": REGIMES},
        "matching_released": {"task": MATCHING_TASKS, "regime": REGIMES, "criterion": RELEASED_MATCHING},
        "challenge": {"track": CHALLENGE_TRACKS},
    }
    for name, columns in words.items():
        table: pd.DataFrame = getattr(tables, name)
        for column, known in columns.items():
            strange = ~table[column].isin(list(known)).to_numpy()
            found = table[column].to_numpy(dtype=object)
            refuse(name, table, strange, f"{column} is none of {', '.join(known)}", found)


def _check_training(pairs: pd.DataFrame, corpus: Corpus, classes: np.ndarray, held_out: Flags) -> None:
    for modality, column in (("face", "face_row"), ("voice", "voice_row")):
        rows, row = corpus.faces if modality == "face" else corpus.voices, pairs[column].to_numpy()
        actual = classes[rows.person[row]]
        refuse("train_pairs", pairs, actual < 0, f"the {modality} is of an identity that does not train")
        other = actual != pairs["class_index"].to_numpy()
        refuse("train_pairs", pairs, other, f"the {modality} is of another class than class_index says")
        excluded = held_out[rows.clip[row]]
        refuse(
            "train_pairs", pairs, excluded, f"the {modality} is of a recording that is held out for seen-heard trials"
        )


def _check_split(one: RowColumn, corpus: Corpus, split: Names) -> None:
    subset, regime = (one.rows[column].to_numpy(dtype=object) for column in ("subset", "regime"))
    wanted = subset.copy()
    for known in REGIMES.values():
        if known.trained:
            wanted[regime == known.name] = known.split("test")
    actual = split[corpus.rows(one.modality).person[one.rows[one.column].to_numpy(dtype=np.int64)]]
    refuse(one.table, one.rows, actual != wanted, "an identity is not of the split that the subset and regime ask for")


def _check_held_out(one: RowColumn, corpus: Corpus, held_out: Flags) -> None:
    trained = ~held_out[corpus.rows(one.modality).clip[one.rows[one.column].to_numpy()]]
    bad = (one.rows["regime"] == SEEN.name).to_numpy() & trained
    refuse(one.table, one.rows, bad, f"a seen-heard trial whose {one.column} is of a recording that trains")


def _check_labels(trials: pd.DataFrame) -> None:
    refuse("verification", trials, ~trials["label"].isin([0, 1]).to_numpy(), "label is neither 0 nor 1")
    same = (trials["left_identity"] == trials["right_identity"]).to_numpy()
    wrong = same != (trials["label"] == 1).to_numpy()
    refuse("verification", trials, wrong, "label contradicts the identities of its rows")


def _check_challenge(trials: pd.DataFrame, split: pd.Series) -> None:
    """Own trials are of people of their subset, with labels that their identities give; released ones of nobody's."""
    own = trials[trials["origin"] == "own"]
    _check_labels(own.astype({"label": "int64"}))
    for side in ("left", "right"):
        actual = own[f"{side}_identity"].map(split).to_numpy(dtype=object)
        refuse("challenge", own, actual != own["subset"].to_numpy(dtype=object), f"{side}_identity is of another split")
    strange = ~trials["label"].isin([0, 1]).to_numpy() & trials["label"].notna().to_numpy()
    refuse("challenge", trials, strange, "label is neither 0 nor 1 nor withheld")


def _check_impostors(name: str, galleries: pd.DataFrame, owners: Names) -> None:
    """Impostors are of other people than the probe, each of another one; `owners` (N,) are of the gallery's store."""
    flat = _an_impostor_a_row(galleries.reset_index(drop=True)[["probe_identity", "impostor_rows"]])
    impostor = owners[flat["impostor_rows"].to_numpy(dtype=np.int64)]
    gallery = flat.index.to_numpy()

    def galleries_with(bad: np.ndarray) -> np.ndarray:
        return np.asarray(np.bincount(gallery[bad], minlength=len(galleries)) > 0)

    own = impostor == flat["probe_identity"].to_numpy(dtype=object)
    refuse(name, galleries, galleries_with(own), "an impostor is of the probe's identity")
    twice = pd.DataFrame({"gallery": gallery, "impostor": impostor}).duplicated().to_numpy()
    refuse(name, galleries, galleries_with(twice), "two impostors are of one identity")
