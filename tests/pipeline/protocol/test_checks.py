"""A protocol that was tampered with is refused, and the row is named."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import ProtocolError
from pipeline.protocol.checks import check_fits, check_protocol
from pipeline.protocol.corpus import Corpus, Flags
from pipeline.protocol.sources.generated import generate
from pipeline.protocol.tables import ProtocolTables
from tests.pipeline.protocol.corpora import settings, tables

Made = tuple[ProtocolTables, Corpus, Flags]


@pytest.fixture(scope="module")
def made() -> Made:
    draft = generate(tables(people=40, clips=6).inputs(), settings(trials=60, galleries=20))
    return draft.tables, draft.corpus, draft.held_out


def refused(made: Made, name: str, change: Callable[[pd.DataFrame, Made], pd.DataFrame], match: str) -> None:
    table = change(getattr(made[0], name).copy(), made)
    with pytest.raises(ProtocolError, match=match):
        check_protocol(replace(made[0], **{name: table}), made[1], made[2])


def setting(row: int, column: str, value: object) -> Callable[[pd.DataFrame, Made], pd.DataFrame]:
    def change(table: pd.DataFrame, made: Made) -> pd.DataFrame:
        table.at[row, column] = value
        return table

    return change


def test_an_untouched_protocol_passes(made: Made) -> None:
    check_protocol(*made)


def test_an_identity_in_two_splits(made: Made) -> None:
    def twice(table: pd.DataFrame, made: Made) -> pd.DataFrame:
        return pd.concat([table, table.iloc[[3]].assign(split="test", class_index=-1)], ignore_index=True)

    refused(made, "identities", twice, "identities row 40: 'person003' is there twice, in")


def test_an_unknown_split(made: Made) -> None:
    refused(made, "identities", setting(5, "split", "dev"), "identities row 5: split is none of")


def test_a_class_outside_training(made: Made) -> None:
    test = made[0].identities.index[made[0].identities["split"] == "test"][0]
    refused(made, "identities", setting(test, "class_index", 0), f"identities row {test}: has a class")


def test_an_identity_without_split(made: Made) -> None:
    refused(made, "identities", lambda table, _: table.iloc[:-1], "'person039' has rows but no split")


def test_a_gap_in_the_classes(made: Made) -> None:
    first = made[0].identities.index[made[0].identities["class_index"] == 0][0]
    refused(made, "identities", setting(first, "class_index", -1), "classes must be 0 to")


@pytest.mark.parametrize("row", [-1, 10_000])
def test_a_row_that_the_store_does_not_have(made: Made, row: int) -> None:
    refused(made, "train_pairs", setting(2, "face_row", row), "train_pairs row 2: face_row is no row of the face store")
    refused(made, "verification", setting(7, "right_row", row), "verification row 7: right_row is no row of")
    refused(made, "matching", setting(1, "genuine_row", row), "matching row 1: genuine_row is no row of")


@pytest.mark.parametrize(
    ("table", "column", "word", "known"),
    [
        ("verification", "task", "faces", "cross_modal, face, voice"),
        ("verification", "criterion", "GA", "random, G, N, A, GNA, L"),
        ("verification", "regime", "seen", "unseen_unheard, seen_heard"),
        ("matching", "task", "face", "f2v, v2f, f2f, v2v"),
    ],
)
def test_a_word_that_is_not_in_the_vocabulary(made: Made, table: str, column: str, word: str, known: str) -> None:
    message = f"{table} row 6: {column} is none of {known}: '{word}'"
    refused(made, table, setting(6, column, word), message)
    with pytest.raises(ProtocolError, match=f"{message}.*run `dvc repro protocol`"):
        changed = setting(6, column, word)(getattr(made[0], table).copy(), made)
        check_fits(replace(made[0], **{table: changed}), {"face": 10**6, "voice": 10**6})


def test_a_training_pair_of_two_people(made: Made) -> None:
    other = made[0].train_pairs["voice_row"].iloc[-1]
    refused(made, "train_pairs", setting(0, "voice_row", other), "train_pairs row 0: the voice is of another class")


def test_training_on_a_test_person(made: Made) -> None:
    def face_of_the_tested(table: pd.DataFrame, made: Made) -> pd.DataFrame:
        table.at[4, "face_row"] = made[0].trials("test", "unseen_unheard", "face", "random")["left_row"][0]
        return table

    refused(
        made, "train_pairs", face_of_the_tested, "train_pairs row 4: the face is of an identity that does not train"
    )


def test_training_on_a_held_out_recording(made: Made) -> None:
    def held_out_face(table: pd.DataFrame, made: Made) -> pd.DataFrame:
        corpus, held_out = made[1], made[2]
        person = corpus.faces.person[table["face_row"].iloc[0]]
        rows = np.flatnonzero((corpus.faces.person == person) & held_out[corpus.faces.clip])
        table.at[0, "face_row"] = rows[0]
        return table

    refused(made, "train_pairs", held_out_face, "train_pairs row 0: the face is of a recording that is held out")


def test_a_label_that_contradicts_the_identities(made: Made) -> None:
    refused(made, "verification", setting(9, "label", 1), "verification row 9: label contradicts")
    refused(made, "verification", setting(9, "label", 2), "verification row 9: label is neither")


def test_a_name_that_is_not_the_rows(made: Made) -> None:
    refused(made, "verification", setting(3, "left_identity", "person999"), "verification row 3: left_identity is not")
    refused(made, "matching", setting(3, "probe_identity", "person999"), "matching row 3: probe_identity is not")


def test_a_trial_of_people_of_another_split(made: Made) -> None:
    first = made[0].verification.index[made[0].verification["subset"] == "test"][0]
    refused(
        made, "verification", setting(first, "subset", "validation"), f"row {first}: an identity is not of the split"
    )


def test_a_seen_heard_trial_of_a_recording_that_trains(made: Made) -> None:
    def trained(table: pd.DataFrame, made: Made) -> pd.DataFrame:
        corpus, held_out = made[1], made[2]
        row = table.index[(table["regime"] == "seen_heard") & (table["task"] == "voice")][0]
        person = corpus.voices.person[table.at[row, "left_row"]]
        table.at[row, "left_row"] = np.flatnonzero((corpus.voices.person == person) & ~held_out[corpus.voices.clip])[0]
        return table

    refused(made, "verification", trained, "a seen-heard trial whose left_row is of a recording that trains")


def test_impostors_that_are_none(made: Made) -> None:
    def own(table: pd.DataFrame, made: Made) -> pd.DataFrame:
        rows = table.at[2, "impostor_rows"].copy()
        rows[1] = table.at[2, "genuine_row"]
        table.at[2, "impostor_rows"] = rows
        return table

    def twice(table: pd.DataFrame, made: Made) -> pd.DataFrame:
        rows = table.at[2, "impostor_rows"].copy()
        rows[1] = rows[0]
        table.at[2, "impostor_rows"] = rows
        return table

    refused(made, "matching", own, "matching row 2: an impostor is of the probe's identity")
    refused(made, "matching", twice, "matching row 2: two impostors are of one identity")


def test_a_genuine_candidate_who_is_somebody_else(made: Made) -> None:
    def swapped(table: pd.DataFrame, made: Made) -> pd.DataFrame:
        table.at[2, "genuine_row"] = table.at[2, "impostor_rows"][0]
        return table

    refused(made, "matching", swapped, "matching row 2: probe_identity is not the identity of genuine_row")
