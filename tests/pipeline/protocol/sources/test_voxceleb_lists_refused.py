"""The importer, on a small release made here: what it refuses, by file and line."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import ProtocolError
from tests.pipeline.protocol.corpora import Tables
from tests.pipeline.protocol.sources.release import corpus, doubled, imported, swapped, trial, write_release


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write_release(tmp_path / "lists")


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
        (TRIALS, 2, lambda row: row.replace("1,9,9,", "1,9.5,9,"), "line 2: voice-speaker-id is not the number"),
        (TRIALS, 2, lambda row: row.replace("1,9,9,", "1,9,1e30,"), "line 2: face-speaker-id is not the number"),
        (TRIALS, 2, lambda row: row.replace("1,9,9,", "1,inf,9,"), "line 2: voice-speaker-id is not the number"),
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


@pytest.mark.parametrize(("file", "first"), [(TRIALS, 1), ("matching/matching_f2v_U.csv", 0)])
def test_a_trial_that_is_there_twice_is_refused(release: Path, file: str, first: int) -> None:
    lines = (release / file).read_text().splitlines()
    lines.append(lines[first])
    (release / file).write_text("\n".join(lines) + "\n")
    with pytest.raises(ProtocolError, match=rf"{Path(file).name} line {len(lines)}: this trial is there twice"):
        imported(release)


@pytest.mark.parametrize(("file", "kept"), [(TRIALS, 1), ("matching/matching_f2v_U.csv", 0)])
def test_a_list_without_rows_is_refused(release: Path, file: str, kept: int) -> None:
    lines = (release / file).read_text().splitlines(keepends=True)
    (release / file).write_text("".join(lines[:kept]))
    with pytest.raises(ProtocolError, match=f"{Path(file).name} holds no rows"):
        imported(release)


def test_the_mark_of_utf8_before_a_header_is_passed_over(release: Path) -> None:
    whole = imported(release)
    for file in (TRIALS, "vox1_meta.csv", "Splits/identity_splits.txt"):
        (release / file).write_bytes(b"\xef\xbb\xbf" + (release / file).read_bytes())
    assert imported(release).verification.equals(whole.verification)


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
