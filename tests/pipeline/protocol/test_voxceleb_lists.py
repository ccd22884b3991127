"""The importer, on a small release made here: what it reads, and what it refuses."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pipeline.errors import ProtocolError
from pipeline.protocol.tables import ProtocolTables
from pipeline.protocol.voxceleb_lists.names import parse
from tests.pipeline.protocol.corpora import Tables, built, settings
from tests.pipeline.protocol.release import (
    CRITERIA,
    PEOPLE,
    SPLIT,
    corpus,
    doubled,
    swapped,
    trial,
    video,
    write_release,
)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write_release(tmp_path / "lists")


def imported(release: Path, parts: Tables | None = None, **changes: object) -> ProtocolTables:
    protocol = settings(source="voxceleb_lists", trials=40, galleries=12, **changes)
    return built(parts or corpus(), protocol, release)


@pytest.mark.parametrize(
    ("path", "modality", "key"),
    [
        ("Name_1/v_10002-001_0000012.wav", "voice", "id10002/v_10002-001/12"),
        ("id10002/v_10002-001/00012.wav", "voice", "id10002/v_10002-001/12"),
        ("wav/id10002/v_10002-001/00012.wav", "voice", "id10002/v_10002-001/12"),
        ("Name_1/v_10002-001/0000025.jpg", "face", "id10002/v_10002-001/25"),
        ("Name_1/1.6/v_10002-001/0000025.jpg", "face", "id10002/v_10002-001/25"),
        ("unzippedFaces/Name_1/1.6/v_10002-001/0000025.jpg", "face", "id10002/v_10002-001/25"),
        ("Nobody/v_10002-001/0000025.jpg", "face", None),
        ("Name_1/short/0000025.jpg", "face", None),
    ],
)
def test_both_path_styles_name_one_medium(path: str, modality: str, key: str | None) -> None:
    codes = {**{name: code for code, name in PEOPLE.items()}, **{code: code for code in PEOPLE}}
    found = parse(pd.Series([path]), modality, codes).key[0]
    assert found == key or (key is None and pd.isna(found))


def test_splits_trials_and_matching_are_the_releases(release: Path) -> None:
    made = imported(release)
    people = made.identities.set_index("identity")["split"].to_dict()
    assert people == {code: {"1": "train", "2": "validation", "4": "test"}[SPLIT[code]] for code in PEOPLE}
    parts = corpus()
    for regime, clips in (("unseen_unheard", (0, 1)), ("seen_heard", (2, 2))):
        for criterion in CRITERIA:
            trials = made.trials("test", regime, "cross_modal", criterion)
            assert trials["position"].tolist() == list(range(8 if regime == "unseen_unheard" else 12))
            for row in trials.itertuples():
                voice, face = parts.voices["item"][row.left_row], parts.faces["item"][row.right_row]
                assert voice == f"wav/{row.left_identity}/{video(row.left_identity, clips[0])}/00001.wav"
                assert face.endswith(f"/1.6/{video(row.right_identity, clips[1])}/0000025.jpg")
                assert row.label == (row.left_identity == row.right_identity)
    assert made.matching_released.groupby(["task", "criterion"]).size().to_dict() == {
        (task, criterion): 4 for task in ("f2v", "v2f") for criterion in ("U", "G", "N", "GN")
    }


def test_recordings_of_the_seen_heard_lists_do_not_train(release: Path) -> None:
    made, parts = imported(release), corpus()
    used = set(parts.faces["clip"].iloc[made.train_pairs["face_row"]]) | set(
        parts.voices["clip"].iloc[made.train_pairs["voice_row"]]
    )
    assert used == {f"{code}/{video(code, n)}" for code in PEOPLE if SPLIT[code] == "1" for n in (0, 1)}
    assert made.classes == 6


def test_what_the_release_lacks_is_drawn(release: Path) -> None:
    made = imported(release)
    assert len(made.trials("validation", "unseen_unheard", "cross_modal", "random"))
    assert len(made.trials("test", "unseen_unheard", "face", "random"))
    assert {len(rows) for rows in made.galleries("test", "unseen_unheard", "v2f")["impostor_rows"]} == {3}
    reasons = made.coverage.set_index("list")["reason"]
    assert reasons["verification/validation/unseen_unheard/cross_modal/A"].startswith("absent: no two of 2")


def test_missing_media_are_counted_and_positions_kept(release: Path) -> None:
    parts = corpus()
    code = "id10009"  # the first of the test people
    gone = f"wav/{code}/{video(code, 0)}/00001.wav"
    voices = parts.voices[parts.voices["item"] != gone].reset_index(drop=True)
    made = imported(release, Tables(parts.manifest, parts.faces, voices))
    trials = made.trials("test", "unseen_unheard", "cross_modal", "N")
    assert trials["position"].tolist() == [2, 3, 4, 5, 6, 7]
    line = made.coverage.set_index("list").loc["verification/test/unseen_unheard/cross_modal/N"]
    assert (line["rows"], line["used"], line["missing_items"]) == (8, 6, 1)
    assert line["reason"] == f"2 rows left out: media not in the stores, such as {code}/{video(code, 0)}/1"
    line = made.coverage.set_index("list").loc["matching_released/f2v/U"]
    assert (line["rows"], line["used"], line["missing_items"]) == (4, 2, 1)


def test_people_without_media_are_counted(release: Path) -> None:
    parts = corpus()
    faces, voices = (
        table[table["identity"] != "id10012"].reset_index(drop=True) for table in (parts.faces, parts.voices)
    )
    made = imported(release, Tables(parts.manifest, faces, voices))
    line = made.coverage.set_index("list").loc["identities"]
    assert (line["rows"], line["used"], line["missing_items"]) == (12, 11, 1)


def edit(path: Path, line: int, change: Callable[[str], str]) -> None:
    lines = path.read_text().splitlines()
    lines[line - 1] = change(lines[line - 1])
    path.write_text("\n".join(lines) + "\n")


TRIALS = "veriflist/veriflist_test_G_unseenunheard.txt"


@pytest.mark.parametrize(
    ("file", "line", "change", "match"),
    [
        (TRIALS, 4, lambda row: row.rsplit(",", 1)[0], "line 4: 5 fields instead of 6"),
        (TRIALS, 1, lambda row: row.replace("id,", "nr,"), "line 1: the header must be"),
        (TRIALS, 3, lambda row: row.replace(".wav", ""), "line 3: no voice path"),
        (
            TRIALS,
            3,
            lambda row: row.replace("Name_8", "Name_99"),
            "line 3: no voice path of an identity that vox1_meta",
        ),
        (TRIALS, 2, lambda row: row.replace(",1,Name", ",0,Name"), "line 2: the label contradicts the identities"),
        (TRIALS, 2, lambda row: row.replace(",1,Name", ",2,Name"), "line 2: a label is 0 or 1"),
        (TRIALS, 2, lambda row: row.replace("1,9,9,", "1,8,9,"), "line 2: voice-speaker-id is not the number"),
        (
            TRIALS,
            2,
            lambda _: trial("id10001", "id10001", (0, 1), 1),
            "line 2: an identity that is not of the test split",
        ),
        ("Splits/identity_splits.txt", 5, lambda _: "Name_1 4", "line 5: this identity is in two splits: 'Name_1 4'"),
        ("Splits/identity_splits.txt", 5, lambda _: "Name_1 1", "line 5: this identity is there twice"),
        ("Splits/identity_splits.txt", 5, lambda _: "Name_77 1", "line 5: vox1_meta.csv does not know"),
        ("Splits/identity_splits.txt", 5, lambda _: "Name_4 3", "line 5: a split is 1"),
        ("Splits/identity_splits.txt", 5, lambda _: "Name_4", "line 5: 1 fields instead of 2"),
        ("vox1_meta.csv", 5, lambda row: row.replace("id10004", "id10003"), "line 5: this identity is there twice"),
        ("matching/matching_v2f_N.csv", 2, lambda row: " ".join(row.split()[:2]), "line 2: 2 fields instead of 3"),
        ("matching/matching_v2f_N.csv", 2, swapped, "line 2: the second path is not of the probe's"),
        ("matching/matching_v2f_N.csv", 2, doubled, "line 2: the third path is of the probe's"),
    ],
)
def test_a_broken_row_is_refused_by_file_and_line(
    release: Path, file: str, line: int, change: Callable[[str], str], match: str
) -> None:
    edit(release / file, line, change)
    with pytest.raises(ProtocolError) as error:
        imported(release)
    assert str(release / file) in str(error.value) and match in str(error.value)


def test_a_trial_of_somebody_outside_the_splits_is_refused(release: Path) -> None:
    path = release / "Splits" / "identity_splits.txt"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")  # Name_11, of the test split, is gone
    parts = corpus()
    faces, voices = (
        table[table["identity"] != "id10012"].reset_index(drop=True) for table in (parts.faces, parts.voices)
    )
    with pytest.raises(ProtocolError, match=r"line 8: identity_splits.txt does not know this identity"):
        imported(release, Tables(parts.manifest, faces, voices))


def test_people_of_the_corpus_outside_the_release_are_refused(release: Path) -> None:
    path = release / "Splits" / "identity_splits.txt"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(
        ProtocolError, match=r"1 identities of the corpus are not in identity_splits.txt, first: 'id10012'"
    ):
        imported(release)


def test_absent_lists_are_refused_with_the_key_to_set(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match=r"vox1_meta.csv cannot be read.*protocol.lists"):
        imported(tmp_path)


def test_media_laid_out_otherwise_are_refused(release: Path) -> None:
    parts = corpus()
    faces = parts.faces.assign(item=[f"{row}.png" for row in range(len(parts.faces))])
    with pytest.raises(ProtocolError, match="no item of the face store is a VoxCeleb1 path"):
        imported(release, Tables(parts.manifest, faces, parts.voices))


def test_an_item_of_another_identity_than_its_path_says_is_refused(release: Path) -> None:
    parts = corpus()
    voices = parts.voices.assign(identity=parts.voices["identity"].replace({"id10002": "id10003"}))
    with pytest.raises(ProtocolError, match=r"item 'wav/id10002/.*is of identity 'id10003' in the manifest"):
        imported(release, Tables(parts.manifest, parts.faces, voices))
