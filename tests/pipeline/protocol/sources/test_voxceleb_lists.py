"""The importer, on a small release made here: what it reads, generates and counts."""

from pathlib import Path

import pandas as pd
import pytest

from pipeline.protocol.sources.voxceleb_release import parse_paths
from tests.pipeline.protocol.corpora import Tables, galleries
from tests.pipeline.protocol.sources.release import (
    CRITERIA,
    PEOPLE,
    SPLIT,
    corpus,
    imported,
    trial,
    video,
    write_release,
)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write_release(tmp_path / "lists")


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
    found = parse_paths(pd.Series([path]), modality, codes).key[0]
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


def test_what_the_release_lacks_is_generated(release: Path) -> None:
    made = imported(release)
    assert len(made.trials("validation", "unseen_unheard", "cross_modal", "random"))
    assert len(made.trials("test", "unseen_unheard", "face", "random"))
    assert {len(rows) for rows in galleries(made, "v2f")["impostor_rows"]} == {3}
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


def test_a_criterion_that_the_release_does_not_know_is_generated_where_the_corpus_allows_it(release: Path) -> None:
    name = "verification/test/{}/cross_modal/L"
    unknown = imported(release, criteria=["random", "L"]).coverage.set_index("list")["reason"]
    assert unknown[name.format("unseen_unheard")] == "absent: no two of 4 identities share a known language"
    parts = corpus()
    spoken = Tables(parts.manifest.assign(language="English"), parts.faces, parts.voices)
    made = imported(release, spoken, criteria=["random", "L"])
    for regime in ("unseen_unheard", "seen_heard"):
        assert len(made.trials("test", regime, "cross_modal", "L"))
        assert made.coverage.set_index("list").loc[name.format(regime), "mismatched"] == 0


def test_people_whose_other_recordings_are_missing_are_in_no_seen_heard_trial(release: Path) -> None:
    parts, idle = corpus(), "id10001"
    kept = (parts.voices["identity"] != idle) | (parts.voices["clip"] == f"{idle}/{video(idle, 2)}")
    made = imported(release, Tables(parts.manifest, parts.faces, parts.voices[kept].reset_index(drop=True)))
    assert made.classes == 5
    heard = made.verification[made.verification["regime"] == "seen_heard"]
    assert len(heard) and idle not in set(heard["left_identity"]) | set(heard["right_identity"])
    line = made.coverage.set_index("list").loc["verification/test/seen_heard/cross_modal/random"]
    assert (line["rows"], line["used"]) == (12, 9)
    assert line["reason"] == f"without people who do not train, for lack of other recordings, such as {idle}"


def test_every_seen_heard_list_keeps_its_recordings_from_training_whatever_is_asked_for(release: Path) -> None:
    line = trial("id10001", "id10001", (0, 0), 1)  # of the list A alone
    path = release / "veriflist" / "veriflist_test_A_seenheard.txt"
    path.write_text(path.read_text() + line + "\n")
    made, parts = imported(release, criteria=["random"]), corpus()
    used = set(parts.faces["clip"].iloc[made.train_pairs["face_row"]])
    assert f"id10001/{video('id10001', 0)}" not in used and f"id10001/{video('id10001', 1)}" in used
    assert set(made.verification["criterion"]) == {"random"}
    path.unlink()
    assert f"id10001/{video('id10001', 0)}" in set(
        parts.faces["clip"].iloc[imported(release, criteria=["random"]).train_pairs["face_row"]]
    )
