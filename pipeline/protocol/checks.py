"""The last look at a protocol before it is written: whatever would make the numbers dishonest stops the run."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.errors import ProtocolError
from pipeline.protocol.corpus import Corpus, Flags, Rows
from pipeline.protocol.tables import ProtocolTables
from pipeline.protocol.vocabulary import MATCHING_TASKS, REGIMES, SEEN, VERIFICATION_TASKS


def check_protocol(tables: ProtocolTables, corpus: Corpus, held_out: Flags) -> None:
    """Compare every row with the stores' own identities; `held_out` (clips,) are the recordings kept from training.

    Raises ProtocolError naming table and row for: an identity in two splits, a class outside training, a training pair
    of two people, of a person outside training or of a held-out recording, a row that no store has, identities or a
    label that contradict the rows, a trial of people of the wrong split, a seen-heard trial of a recording that trains,
    an impostor who is the person.
    """
    people = _check_identities(tables.identities, corpus)
    rows = {"face": corpus.faces, "voice": corpus.voices}
    _check_training(tables.train_pairs, rows, people["class_index"].to_numpy(), held_out)
    for task in VERIFICATION_TASKS.values():
        chosen = tables.verification[tables.verification["task"] == task.name]
        _check_trials(chosen, rows[task.left], rows[task.right], people, held_out)
    for name in ("matching", "matching_released"):
        for task_name, chosen in getattr(tables, name).groupby("task"):
            task = MATCHING_TASKS[task_name]
            _check_galleries(name, chosen, rows[task.left], rows[task.right], people)


def refuse(table: str, rows: pd.Index, bad: NDArray[np.bool_], what: str) -> None:
    """Raise ProtocolError naming the first bad row of a table by its index."""
    if bad.any():
        raise ProtocolError(f"{table} row {rows[int(np.argmax(bad))]}: {what} ({int(bad.sum())} such rows)")


def _check_identities(identities: pd.DataFrame, corpus: Corpus) -> pd.DataFrame:
    """The identities in the order of corpus.people."""
    index = identities.index
    again = identities["identity"].duplicated().to_numpy()
    if again.any():
        name = identities["identity"].iloc[int(np.argmax(again))]
        splits = ", ".join(identities.loc[identities["identity"] == name, "split"])
        raise ProtocolError(f"identities row {index[int(np.argmax(again))]}: {name!r} is there twice, in {splits}")
    strange = ~identities["split"].isin(["train", "validation", "test"]).to_numpy()
    refuse("identities", index, strange, "split is none of train, validation, test")
    outside = (identities["class_index"] >= 0).to_numpy() & (identities["split"] != "train").to_numpy()
    refuse("identities", index, outside, "has a class but is not of the training split")
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


def _check_training(pairs: pd.DataFrame, rows: Mapping[str, Rows], classes: np.ndarray, held_out: Flags) -> None:
    for modality, column in (("face", "face_row"), ("voice", "voice_row")):
        row = _in_range("train_pairs", pairs, column, len(rows[modality].person))
        actual = classes[rows[modality].person[row]]
        refuse("train_pairs", pairs.index, actual < 0, f"the {modality} is of an identity that does not train")
        other = actual != pairs["class_index"].to_numpy()
        refuse("train_pairs", pairs.index, other, f"the {modality} is of another class than class_index says")
        kept = held_out[rows[modality].clip[row]]
        refuse(
            "train_pairs", pairs.index, kept, f"the {modality} is of a recording that is held out for seen-heard trials"
        )


def _check_trials(trials: pd.DataFrame, left: Rows, right: Rows, people: pd.DataFrame, held_out: Flags) -> None:
    sides = []
    for side, rows in (("left", left), ("right", right)):
        row = _in_range("verification", trials, f"{side}_row", len(rows.person))
        named = people["identity"].to_numpy(dtype=object)[rows.person[row]] == trials[f"{side}_identity"].to_numpy(
            dtype=object
        )
        refuse("verification", trials.index, ~named, f"{side}_identity is not the identity of {side}_row")
        _check_split("verification", trials, rows.person[row], people)
        trained = (trials["regime"] == SEEN.name).to_numpy() & ~held_out[rows.clip[row]]
        refuse(
            "verification", trials.index, trained, f"a seen-heard trial whose {side}_row is of a recording that trains"
        )
        sides.append(rows.person[row])
    refuse("verification", trials.index, ~trials["label"].isin([0, 1]).to_numpy(), "label is neither 0 nor 1")
    wrong = (sides[0] == sides[1]) != (trials["label"] == 1).to_numpy()
    refuse("verification", trials.index, wrong, "label contradicts the identities of its rows")


def _check_galleries(name: str, galleries: pd.DataFrame, probes: Rows, gallery: Rows, people: pd.DataFrame) -> None:
    index, sizes = galleries.index, galleries["impostor_rows"].map(len).to_numpy()
    probe = probes.person[_in_range(name, galleries, "probe_row", len(probes.person))]
    genuine = gallery.person[_in_range(name, galleries, "genuine_row", len(gallery.person))]
    flat = np.concatenate(galleries["impostor_rows"].to_list()).astype(np.int64)
    owner = np.repeat(np.arange(len(galleries)), sizes)
    outside = np.bincount(owner[(flat < 0) | (flat >= len(gallery.person))], minlength=len(galleries)) > 0
    refuse(name, index, outside, "an impostor row that the store does not have")
    named = people["identity"].to_numpy(dtype=object)[probe] == galleries["probe_identity"].to_numpy(dtype=object)
    refuse(name, index, ~named, "probe_identity is not the identity of probe_row")
    refuse(name, index, genuine != probe, "the genuine row is of another identity than the probe")
    _check_split(name, galleries, probe, people)
    own = np.bincount(owner[gallery.person[flat] == probe[owner]], minlength=len(galleries)) > 0
    refuse(name, index, own, "an impostor is of the probe's identity")
    _check_split(name, galleries.iloc[owner], gallery.person[flat], people)
    cells = owner * len(people) + gallery.person[flat]
    twice = np.ones(len(cells), dtype=np.bool_)
    twice[np.unique(cells, return_index=True)[1]] = False
    refuse(name, index, np.bincount(owner[twice], minlength=len(galleries)) > 0, "two impostors are of one identity")


def _check_split(name: str, table: pd.DataFrame, person: np.ndarray, people: pd.DataFrame) -> None:
    cells = zip(table["regime"], table["subset"], strict=True)
    due = np.array([REGIMES[regime].split(subset) for regime, subset in cells], dtype=object)
    wrong = people["split"].to_numpy(dtype=object)[person] != due
    refuse(name, table.index, wrong, "an identity is not of the split that the subset and regime ask for")


def _in_range(name: str, table: pd.DataFrame, column: str, rows: int) -> np.ndarray:
    values = table[column].to_numpy()
    refuse(name, table.index, (values < 0) | (values >= rows), f"{column} is not a row of the store (0 to {rows - 1})")
    return np.asarray(values)
