"""The authors' feature files: to stores and a protocol that training and evaluation take as they are."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import PipelineError, ProtocolError, StoreError
from pipeline.features.official import TRAIN, TRIAL_LISTS, TrialList
from pipeline.features.protocol import protocol_of_features
from pipeline.features.reading import read_features
from pipeline.features.stores import pack_features
from pipeline.protocol.leaks import leaks
from pipeline.protocol.tables import ProtocolTables
from pipeline.protocol.voxceleb_lists.release import TRIALS_HEADER
from pipeline.store import Store, read_store
from tests.pipeline.protocol.corpora import settings

PEOPLE, PER_PERSON, TESTED = 8, 6, 12  # training labels, rows each, test people
UNSEEN, UNSEEN_N = TRIAL_LISTS[0], TRIAL_LISTS[2]


def write_rows(path: Path, matrix: np.ndarray, labels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = np.column_stack([matrix.astype(np.float32).astype(str), labels.astype(str)])
    path.write_text("".join(",".join(row) + "\n" for row in cells))


def unit(chance: np.random.Generator, rows: int) -> np.ndarray:
    matrix = chance.normal(size=(rows, 512))
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def trial_people(alternate: bool) -> list[tuple[int, int]]:
    """Voice and face person of each trial: as `random` alternates, or two genuine ones first, as N may."""
    pairs = [(person, other) for person in range(TESTED) for other in (person, (person + 1) % TESTED)]
    return pairs if alternate else [*pairs[::2], *pairs[1::2]]


def list_text(pairs: list[tuple[int, int]]) -> str:
    rows = []
    for row, (voice, face) in enumerate(pairs, start=1):
        paths = f"P{voice}/voicevideo{row % 2}_0000001.wav,P{face}/facevideo{row % 2}0/0000025.jpg"
        rows.append(f"{row},{voice},{face},{int(voice == face)},{paths}")
    return "\n".join([TRIALS_HEADER, *rows]) + "\n"


def write_features(folder: Path, lists: bool = True) -> Path:
    chance = np.random.default_rng(0)
    labels = np.repeat(np.arange(PEOPLE), PER_PERSON)
    for path in TRAIN.values():
        write_rows(folder / path, unit(chance, len(labels)), labels)
    for listed, alternate in ((UNSEEN, True), (UNSEEN_N, False)):
        pairs = trial_people(alternate)
        for modality in TRAIN:
            write_rows(folder / listed.item(modality), unit(chance, len(pairs)), np.zeros(len(pairs), dtype=int))
        if lists:
            listed.source(folder).parent.mkdir(exist_ok=True)
            listed.source(folder).write_text(list_text(pairs))
    return folder


def stores_of(folder: Path) -> tuple[Store, Store]:
    for modality in ("face", "voice"):
        pack_features(folder, modality, folder / "stores" / modality)
    return read_store(folder / "stores" / "face"), read_store(folder / "stores" / "voice")


def protocol_of(folder: Path, **changes: object) -> ProtocolTables:
    faces, voices = stores_of(folder)
    return protocol_of_features(faces.index, voices.index, folder, settings(trials=40, galleries=20, **changes))


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


def test_unimodal_trials_and_galleries_are_drawn_where_people_have_names(made: ProtocolTables) -> None:
    assert len(made.trials("test", "unseen_unheard", "face", "random"))
    for task in ("f2v", "v2f", "f2f", "v2v"):
        assert set(made.galleries("test", "unseen_unheard", task)["impostor_rows"].map(len)) == {9}


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
    assert [(leak["modality"], leak["overlap"]) for leak in found] == [("face", "some")]


def test_vectors_are_brought_to_unit_norm_and_counted(folder: Path) -> None:
    path = folder / UNSEEN.item("face")
    matrix = in_file(path)
    write_rows(path, matrix * np.linspace(0.5, 2.0, len(matrix))[:, None], np.zeros(len(matrix), dtype=int))
    faces, _ = stores_of(folder)
    np.testing.assert_allclose(faces.matrix[(faces.index["item"] == UNSEEN.item("face")).to_numpy()], matrix, atol=1e-6)
    assert faces.provenance["rescaled_rows"] == len(matrix)


def cell(column: int, text: str) -> Callable[[str], str]:
    def change(line: str) -> str:
        cells = line.split(",")
        cells[column] = text
        return ",".join(cells)

    return change


@pytest.mark.parametrize(
    ("line", "change", "match"),
    [
        (3, lambda row: row.rsplit(",", 1)[0], "line 3: 512 cells instead of 513"),
        (5, lambda row: row + ",1", "line 5: 514 cells instead of 513"),
        (4, cell(17, "abc"), "line 4: cell 18 is not a number: 'abc'"),
        (4, cell(17, ""), "line 4: cell 18 is not a number: ''"),
        (2, cell(0, "nan"), "line 2: a cell is not a finite number"),
        (2, cell(511, "inf"), "line 2: a cell is not a finite number"),
        (6, cell(512, "1.5"), "line 6: the label, its last cell, is not a whole number"),
        (7, lambda row: ",".join(["0"] * 513), "line 7: the vector is all zeros"),
        (7, lambda row: "", "line 7: 1 cells instead of 513"),
    ],
)
def test_a_bad_line_is_refused_by_file_and_line(
    folder: Path, line: int, change: Callable[[str], str], match: str
) -> None:
    path = folder / TRAIN["voice"]
    lines = path.read_text().splitlines()
    lines[line - 1] = change(lines[line - 1])
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(StoreError) as error:
        read_features(path)
    assert f"{path} {match}" in str(error.value)


def test_an_empty_and_an_absent_file_are_refused(folder: Path) -> None:
    path = folder / TRAIN["face"]
    path.write_text("")
    with pytest.raises(StoreError, match="is empty"):
        read_features(path)
    path.unlink()
    with pytest.raises(StoreError, match="does not exist"):
        read_features(path)


def drop_last_line(path: Path) -> None:
    path.write_text("".join(f"{line}\n" for line in path.read_text().splitlines()[:-1]))


def test_training_files_of_unequal_length_are_refused(folder: Path) -> None:
    drop_last_line(folder / TRAIN["voice"])
    with pytest.raises(
        ProtocolError, match=r"facenetfaceTrain.csv line 48 has no counterpart: .*voiceTrain.csv holds 47"
    ):
        protocol_of(folder)


def test_test_files_of_unequal_length_are_refused(tmp_path: Path) -> None:
    folder = write_features(tmp_path, lists=False)
    drop_last_line(folder / UNSEEN_N.item("face"))
    with pytest.raises(ProtocolError, match=r"voice_veriflist_test_N_unseenunheard.csv line 24 has no counterpart"):
        protocol_of(folder)


def test_a_test_file_without_counterpart_is_refused(tmp_path: Path) -> None:
    folder = write_features(tmp_path, lists=False)
    (folder / UNSEEN_N.item("face")).unlink()
    with pytest.raises(ProtocolError, match=r"voice_veriflist_test_N_unseenunheard.csv line 1 has no counterpart"):
        protocol_of(folder)


def test_a_list_of_another_length_than_its_features_is_refused(folder: Path) -> None:
    drop_last_line(UNSEEN_N.source(folder))
    with pytest.raises(ProtocolError, match=r"veriflist_test_N_unseenunheard.txt ends after 23 trials"):
        stores_of(folder)


def test_training_labels_that_differ_between_the_files_are_refused(folder: Path) -> None:
    path = folder / TRAIN["voice"]
    lines = path.read_text().splitlines()
    lines[9] = cell(512, "7")(lines[9])
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ProtocolError, match=r"line 10: label 0001 in one, label 0007 in the other"):
        protocol_of(folder)


def test_a_list_whose_label_contradicts_its_people_is_refused(folder: Path) -> None:
    source = UNSEEN.source(folder)
    source.write_text(source.read_text().replace("1,0,0,1,", "1,0,0,0,", 1))
    with pytest.raises(ProtocolError, match="label contradicts the identities"):
        protocol_of(folder)


def test_somebody_in_a_seen_and_an_unseen_list_is_refused(folder: Path) -> None:
    heard = next(listed for listed in TRIAL_LISTS if listed.regime == "seen_heard")
    for modality in TRAIN:
        (folder / heard.item(modality)).write_text((folder / UNSEEN.item(modality)).read_text())
    heard.source(folder).write_text(UNSEEN.source(folder).read_text())
    with pytest.raises(ProtocolError, match=r"'P0' is in a seen-heard and in an unseen-unheard list"):
        protocol_of(folder)


def test_no_test_list_at_all_is_refused(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    write_rows(tmp_path / TRAIN["face"], unit(chance, 4), np.arange(4))
    with pytest.raises(PipelineError, match="holds no face features of a test list"):
        pack_features(tmp_path, "face", tmp_path / "out")
