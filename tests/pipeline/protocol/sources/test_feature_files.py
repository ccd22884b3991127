"""The authors' feature files: to stores and a protocol that training and evaluation take as they are."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.protocol.sources.feature_files import TRAIN, TrialList
from pipeline.protocol.tables import ProtocolTables
from pipeline.report.leaks import leaks
from tests.pipeline.protocol.corpora import galleries
from tests.pipeline.protocol.sources.feature_files import (
    PEOPLE,
    PER_PERSON,
    TESTED,
    UNSEEN,
    UNSEEN_N,
    protocol_of,
    stores_of,
    trial_people,
    write_features,
    write_rows,
)


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_features(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="module")
def made(features: Path) -> ProtocolTables:
    return protocol_of(features)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_features(tmp_path)


def in_file(path: Path) -> np.ndarray:
    """The vectors as they stand, read by another reader."""
    return pd.read_csv(path, header=None).to_numpy()[:, :512].astype(np.float32)


def test_stores_hold_the_vectors_of_the_files(features: Path) -> None:
    for store, modality in zip(stores_of(features), ("face", "voice"), strict=True):
        for item in (TRAIN[modality], UNSEEN.item(modality), UNSEEN_N.item(modality)):
            rows = store.index["item"] == item
            np.testing.assert_allclose(store.matrix[rows], in_file(features / item), atol=1e-6)
            assert store.index.loc[rows, "frame"].tolist() == list(range(rows.sum()))


def test_row_i_of_both_files_is_training_pair_i(features: Path, made: ProtocolTables) -> None:
    faces, voices = stores_of(features)
    pairs = made.train_pairs
    face, voice = faces.index.iloc[pairs["face_row"]], voices.index.iloc[pairs["voice_row"]]
    assert (face["frame"].to_numpy() == voice["frame"].to_numpy()).all()
    assert face["frame"].is_monotonic_increasing
    assert (face["identity"].to_numpy() == voice["identity"].to_numpy()).all()
    assert made.classes == pairs["class_index"].nunique() == PEOPLE - 2 and len(pairs) == PER_PERSON * (PEOPLE - 2)


def test_validation_people_are_kept_from_training(made: ProtocolTables) -> None:
    people = made.identities.set_index("identity")["split"]
    assert people.value_counts().to_dict() == {"test": TESTED, "train": PEOPLE - 2, "validation": 2}
    trials = made.trials("validation", "unseen_unheard", "cross_modal", "random")
    assert len(trials) and set(people[trials["left_identity"]]) == {"validation"}


def test_without_validation_all_pairs_train(features: Path) -> None:
    made = protocol_of(features, validation_ratio=0.0)
    assert len(made.train_pairs) == PEOPLE * PER_PERSON
    assert not len(made.trials("validation", "unseen_unheard", "cross_modal", "random"))


def test_rows_of_one_vector_are_one_recording_and_no_trial_compares_it_with_itself(folder: Path) -> None:
    labels = np.repeat(np.arange(PEOPLE), PER_PERSON)
    for modality, copies in (("face", 2), ("voice", 3)):  # a file of pairs names each recording several times
        matrix = in_file(folder / TRAIN[modality])
        write_rows(folder / TRAIN[modality], matrix[np.arange(len(labels)) // copies * copies], labels)
    made = protocol_of(folder)
    assert len(made.train_pairs) == PER_PERSON * (PEOPLE - 2)
    for store, task in zip(stores_of(folder), ("face", "voice"), strict=True):
        trials = made.trials("validation", "unseen_unheard", task, "random")
        left, right = (store.matrix[trials[f"{side}_row"]] for side in ("left", "right"))
        assert len(trials) and (left != right).any(axis=1).all()


@pytest.mark.parametrize(("listed", "alternate"), [(UNSEEN, True), (UNSEEN_N, False)])
def test_row_i_of_both_files_is_trial_i_with_the_lists_label(
    features: Path, made: ProtocolTables, listed: TrialList, alternate: bool
) -> None:
    faces, voices = stores_of(features)
    trials = made.trials("test", "unseen_unheard", "cross_modal", listed.criterion)
    pairs = trial_people(alternate)
    assert trials["position"].tolist() == list(range(len(pairs)))
    assert trials["left_identity"].tolist() == [f"P{voice}" for voice, _ in pairs]
    assert trials["right_identity"].tolist() == [f"P{face}" for _, face in pairs]
    assert trials["label"].tolist() == [int(voice == face) for voice, face in pairs]
    assert voices.index["frame"].iloc[trials["left_row"]].tolist() == list(range(len(pairs)))
    assert faces.index["frame"].iloc[trials["right_row"]].tolist() == list(range(len(pairs)))


def test_unimodal_trials_and_galleries_are_generated_where_people_have_names(made: ProtocolTables) -> None:
    assert len(made.trials("test", "unseen_unheard", "face", "random"))
    for task in ("f2v", "v2f", "f2f", "v2v"):
        assert set(galleries(made, task)["impostor_rows"].map(len)) == {9}


def test_without_the_lists_labels_follow_parity_and_the_summary_says_so(tmp_path: Path) -> None:
    made = protocol_of(write_features(tmp_path, lists=False))
    for criterion in ("random", "N"):
        trials = made.trials("test", "unseen_unheard", "cross_modal", criterion)
        assert trials["label"].tolist() == [1, 0] * TESTED
        assert ((trials["left_identity"] == trials["right_identity"]) == (trials["label"] == 1)).all()
    told = made.summary["labels"]
    assert isinstance(told, dict) and all("row parity" in source for source in told.values()) and len(told) == 2
    assert not len(made.matching)
    assert set(made.verification.loc[made.verification["subset"] == "test", "task"]) == {"cross_modal"}
    assert "names its people" in made.coverage.set_index("list")["reason"]["matching/test/unseen_unheard"]


def test_the_summary_names_the_source(made: ProtocolTables) -> None:
    assert made.summary["source"] == "csv_features"
    assert made.summary["labels"] == {
        "random_unseenunheard": "the released list's column",
        "N_unseenunheard": "the released list's column",
    }


def test_the_authors_face_features_are_flagged(features: Path, made: ProtocolTables) -> None:
    faces, voices = stores_of(features)
    found = leaks({"face": faces.provenance, "voice": voices.provenance}, made)
    assert [(leak.modality, leak.overlap) for leak in found] == [("face", "some")]


def test_vectors_are_brought_to_unit_norm_and_counted(folder: Path) -> None:
    path = folder / UNSEEN.item("face")
    matrix = in_file(path)
    write_rows(path, matrix * np.linspace(0.5, 2.0, len(matrix))[:, None], np.zeros(len(matrix), dtype=int))
    faces, _ = stores_of(folder)
    np.testing.assert_allclose(faces.matrix[(faces.index["item"] == UNSEEN.item("face")).to_numpy()], matrix, atol=1e-6)
    assert faces.provenance["rescaled_rows"] == len(matrix)


def test_test_files_without_labels_are_read_as_those_with(folder: Path) -> None:
    with_labels = stores_of(folder)
    for listed in (UNSEEN, UNSEEN_N):
        for modality in TRAIN:
            path = folder / listed.item(modality)
            path.write_text("".join(line.rsplit(",", 1)[0] + "\n" for line in path.read_text().splitlines()))
    for left, right in zip(with_labels, stores_of(folder), strict=True):
        np.testing.assert_array_equal(left.matrix, right.matrix)
        columns = ["item", "frame", "identity", "clip"]
        pd.testing.assert_frame_equal(left.index[columns], right.index[columns])


def test_people_are_counted_once_and_those_taken_from_the_training_labels_are_told(features: Path) -> None:
    counts = protocol_of(features, validation_ratio=0.25).summary
    assert counts["identities"] == {"train": 6, "validation": 2, "test": TESTED}
    assert counts["validation_of_labels"] == 2
    everybody = protocol_of(features, validation_ratio=0.0).summary
    assert everybody["identities"] == {"train": PEOPLE, "validation": 0, "test": TESTED}
    assert everybody["validation_of_labels"] == 0
