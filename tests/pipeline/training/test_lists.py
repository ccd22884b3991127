"""What training reads of a protocol, and what it refuses."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import ProtocolError
from pipeline.protocol import read_protocol
from pipeline.protocol.tables import shaped
from pipeline.training import TrainingLists, training_lists
from pipeline.training.lists import only_named
from tests.pipeline.settings_for_training import train_settings
from tests.pipeline.training.protocol_files import FACES, VOICES, tables, write
from tests.pipeline.training.world import make_world


def read(folder: Path, parts: dict[str, pd.DataFrame], **changes: object) -> TrainingLists:
    write(folder, parts)
    settings = train_settings(**{"selection": "validation", **changes})
    return training_lists(read_protocol(folder), settings, FACES, VOICES)


def test_pairs_and_the_validation_trials_of_the_task_are_read(tmp_path: Path) -> None:
    parts = tables()
    lists = read(tmp_path, parts)
    assert lists.class_count == 4
    assert np.array_equal(lists.face_rows, parts["train_pairs"]["face_row"])
    wanted = parts["verification"].query("subset == 'validation' and task == 'cross_modal' and criterion == 'random'")
    assert lists.validation is not None
    assert np.array_equal(lists.validation.left, wanted["left_row"])
    assert np.array_equal(lists.validation.labels, wanted["label"])
    assert lists.validation.sides == ("voice", "face")


@pytest.mark.parametrize("modality", ["face", "voice"])
def test_one_modality_is_chosen_on_its_own_trials(tmp_path: Path, modality: str) -> None:
    parts = tables()
    lists = read(tmp_path, parts, modality=modality)
    wanted = parts["verification"].query("subset == 'validation' and task == @modality and criterion == 'random'")
    assert lists.validation is not None
    assert np.array_equal(lists.validation.right, wanted["right_row"])
    assert lists.validation.sides == (modality, modality)


def test_the_test_list_is_read_only_by_who_says_so(tmp_path: Path) -> None:
    assert read(tmp_path, tables()).test is None
    assert read(tmp_path, tables(), selection="last").test is None
    assert read(tmp_path, tables(), selection="test", recipe="official").test is not None


def test_digest_follows_every_part(tmp_path: Path) -> None:
    first = read(tmp_path, tables()).digest()
    assert read(tmp_path, tables()).digest() == first
    for table, column in (("train_pairs", "face_row"), ("train_pairs", "voice_row"), ("verification", "left_row")):
        parts = tables()
        parts[table].loc[0, column] = (parts[table].loc[0, column] + 1) % 8
        assert read(tmp_path, parts).digest() != first, column


def test_without_trials_only_the_last_epoch_can_be_taken(tmp_path: Path) -> None:
    parts = tables()
    parts["verification"] = parts["verification"].query("subset != 'validation'")
    with pytest.raises(
        ProtocolError, match="no validation trials, cross_modal absent: there is nothing to choose a model on"
    ):
        read(tmp_path, parts)
    assert read(tmp_path, parts, selection="last").validation is None


def test_a_lack_of_trials_is_reported_with_the_protocols_own_reason(tmp_path: Path) -> None:
    parts = tables()
    parts["verification"] = parts["verification"].query("task != 'face'")
    with pytest.raises(ProtocolError, match="no validation trials, face absent:"):
        read(tmp_path, parts, modality="face")
    reason = "absent: no identity has face rows from two recordings"
    name = "verification/validation/unseen_unheard/face/random"
    line = {"list": name, "rows": 8000, "used": 0, "missing_items": 0, "mismatched": None, "reason": reason}
    parts["coverage"] = pd.DataFrame([line])
    with pytest.raises(ProtocolError, match=r"face rows from two recordings.*take this run out"):
        read(tmp_path, parts, modality="face")


def test_trials_of_one_label_choose_nothing(tmp_path: Path) -> None:
    parts = tables()
    parts["verification"] = parts["verification"].query("label == 1")
    with pytest.raises(ProtocolError, match="no validation trials, cross_modal"):
        read(tmp_path, parts)


@pytest.mark.parametrize(
    ("table", "column", "value", "message"),
    [
        ("train_pairs", "face_row", FACES, "train_pairs row 2: face_row is no row of the face store (0 to 47): 48"),
        ("train_pairs", "voice_row", -1, "train_pairs row 2: voice_row is no row of the voice store (0 to 35): -1"),
        ("train_pairs", "class_index", 9, "every class from 0 to the highest"),
        ("verification", "left_row", VOICES, "verification row 2: left_row is no row of the voice store (0 to 35): 36"),
        ("verification", "left_identity", "p0", "training identity 'p0' is in the validation trials"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, table: str, column: str, value: object, message: str) -> None:
    parts = tables()
    parts[table].loc[2, column] = value
    with pytest.raises(ProtocolError) as caught:
        read(tmp_path, parts)
    assert message in str(caught.value)


def test_a_class_without_pairs_is_refused(tmp_path: Path) -> None:
    parts = tables()
    parts["train_pairs"] = parts["train_pairs"].query("class_index != 1")
    with pytest.raises(ProtocolError, match="every class"):
        read(tmp_path, parts)


def test_no_pairs_at_all_are_refused(tmp_path: Path) -> None:
    parts = tables()
    parts["train_pairs"] = parts["train_pairs"].iloc[:0]
    with pytest.raises(ProtocolError, match="every class"):
        read(tmp_path, parts)


@pytest.mark.parametrize("name", ["train_pairs", "verification", "identities"])
def test_an_absent_or_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    write(tmp_path, tables())
    path = tmp_path / f"{name}.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ProtocolError, match=name):
        read_protocol(tmp_path)
    path.unlink()
    with pytest.raises(ProtocolError, match=name):
        read_protocol(tmp_path)


def test_a_run_in_one_language_is_chosen_on_own_trials_in_it_and_says_where_there_are_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parts = tables()
    parts["train_pairs"]["language"] = np.where(np.arange(len(parts["train_pairs"])) % 2, "Urdu", "English")
    own = parts["verification"].query("subset == 'validation' and task == 'cross_modal' and criterion == 'G'")
    own = own.assign(origin="own", language="English", track="no_gender", key="")
    parts["challenge"] = shaped("challenge", own)
    chosen = read(tmp_path, parts, language="English").validation
    assert chosen is not None and np.array_equal(chosen.left, own["left_row"]) and not caplog.text
    every = parts["verification"].query("subset == 'validation' and task == 'cross_modal' and criterion == 'random'")
    stand_in = read(tmp_path, parts, language="Urdu").validation
    assert stand_in is not None and np.array_equal(stand_in.left, every["left_row"])
    assert "no validation trials in Urdu alone" in caplog.text
    caplog.clear()
    read(tmp_path, parts, language="all")
    assert not caplog.text


def test_only_the_rows_that_lists_name_are_kept_and_the_lists_name_the_same_vectors() -> None:
    world = make_world(train=4, validation=10, test=40)
    kept, faces, voices = only_named(world.lists, world.faces, world.voices)
    before, after = ({"face": world.faces, "voice": world.voices}, {"face": faces, "voice": voices})
    assert len(faces) < len(world.faces) and len(voices) < len(world.voices)
    np.testing.assert_array_equal(faces[kept.face_rows], world.faces[world.lists.face_rows])
    np.testing.assert_array_equal(voices[kept.voice_rows], world.voices[world.lists.voice_rows])
    pairs = [(world.lists.validation, kept.validation), (world.lists.test, kept.test)]
    pairs += [(world.lists.calibration[task], kept.calibration[task]) for task in world.lists.calibration]
    compared = 0
    for old, new in pairs:
        assert (old is None) == (new is None)
        if old is None or new is None:
            continue
        for side, one, other in zip(old.sides, (old.left, old.right), (new.left, new.right), strict=True):
            np.testing.assert_array_equal(after[side][other], before[side][one])
        np.testing.assert_array_equal(old.labels, new.labels)
        compared += 1
    assert compared
