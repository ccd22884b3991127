"""Layout csv: the user's own table of media."""

from pathlib import Path

import pandas as pd
import pytest

from pipeline.errors import ManifestError
from pipeline.manifest.build import Sources, build_manifest
from pipeline.settings import ManifestSettings
from tests import media_factory as make
from tests.pipeline.manifest.conftest import Build

BOTH = "path,identity\nann/talk.mp4,ann\nbob/talk.mp4,bob\n"


def test_rows_are_items_and_files_without_a_row_are_none(build: Build) -> None:
    manifest = build(BOTH, layout="csv")
    assert list(manifest["item"]) == ["ann/talk.mp4", "bob/talk.mp4"]
    assert list(manifest["clip"]) == ["ann/talk", "bob/talk"]


def test_clip_kind_and_traits_come_from_the_row(build: Build) -> None:
    table = (
        "path,identity,clip,kind,gender,nationality,age,language\n"
        "ann/talk.mp4,ann,interview,audio,female,Norway,41,no\n"
        "ann/photo.jpg,ann,interview,,,,,\n"
    )
    photo, talk = build(table, layout="csv").iloc
    assert (talk["clip"], talk["kind"], photo["clip"], photo["kind"]) == ("interview", "audio", "interview", "image")
    assert talk[["gender", "nationality", "age", "language"]].tolist() == ["f", "Norway", 41.0, "no"]
    assert talk["sample_rate"] == 16000 and pd.isna(talk["width"]) and pd.isna(talk["fps"])


def test_without_clip_a_second_folder_names_the_recording_as_in_layout_folders(
    build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    """Two utterances of one recording must not pass for a trial of two."""
    table = "path,identity\nann/radio/one.wav,ann\nann/talk.mp4,ann\nann/photo.jpg,ann\nbob/talk.mp4,bob\n"
    manifest = build(table, layout="csv").set_index("item")
    assert manifest["clip"].to_dict() == build(layout="folders").set_index("item")["clip"].to_dict()
    assert manifest.loc["ann/radio/one.wav", "clip"] == "ann/radio"
    assert "items.csv: no clip column: 1 rows are of the 1 recordings that a second folder names" in caplog.text
    assert "each of 3 others is a recording by itself" in caplog.text


def test_rows_without_clip_beside_others_are_counted(build: Build, caplog: pytest.LogCaptureFixture) -> None:
    clips = "path,identity,clip\nann/radio/one.wav,ann,{}\nann/talk.mp4,ann,interview\n"
    assert list(build(clips.format(""), layout="csv")["clip"]) == ["ann/radio", "interview"]
    assert "items.csv: 1 rows without clip: " in caplog.text
    caplog.clear()
    assert list(build(clips.format("interview"), layout="csv")["clip"]) == ["interview", "interview"]
    assert "clip" not in caplog.text


def test_the_row_fills_what_the_identities_leave_open_and_its_language_wins(build: Build) -> None:
    table = "path,identity,age,language\nann/talk.mp4,ann,41,no\nann/photo.jpg,ann,,\n"
    manifest = build(table, identities="identity,gender,language\nann,f,en\n", layout="csv").set_index("item")
    assert manifest.loc["ann/talk.mp4", ["gender", "age", "language"]].tolist() == ["f", 41.0, "no"]
    assert manifest.loc["ann/photo.jpg", "language"] == "en"


def test_columns_of_other_names_are_renamed(build: Build) -> None:
    manifest = build("file;who\nann/talk.mp4;ann\n", layout="csv", columns={"path": "file", "identity": "who"})
    assert list(manifest["identity"]) == ["ann"]


def test_a_rename_left_from_another_corpus_is_named_where_it_fits_no_column(build: Build) -> None:
    """It might be a typing error, which would leave every nationality unknown without a word."""
    left = {"nationality": "region"}
    with pytest.raises(ManifestError, match=r"not in .*items\.csv \(1\):\n  nationality: 'region'\n.*remove the line"):
        build(BOTH, layout="csv", columns=left)
    assert list(build(BOTH, layout="folders", columns=left)["item"])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("../secret.mp4,ann", r"line 2: path '../secret.mp4' leaves the media folder"),
        ("/etc/passwd,ann", r"line 2: path '/etc/passwd' leaves the media folder"),
        ("ann/../bob/talk.mp4,ann", r"leaves the media folder"),
        ("ann/nothing.mp4,ann", r"line 2: path 'ann/nothing.mp4' does not exist"),
        ('"ann/ta\nlk.mp4",ann', r"holds a line break"),
        ("ann,ann", r"path 'ann' is no file"),
        (".,ann", r"line 2: path '\.' is empty"),
        (",ann", r"line 2: path '' is empty"),
        ("ann/talk.mp4,", r"line 2: no identity"),
        (
            "ann/talk.mp4,ann\nann/talk.mp4,bob",
            r"listed twice \(1\):\n  'ann/talk.mp4': items.csv line 2 and items.csv line 3",
        ),
        ("ann/talk.mp4,ann\nann/./talk.mp4,ann", r"listed twice"),
        ("ann/talk.mp4,ann\n../x,bob\n/y,bob", r"\(2\):\n  items.csv line 3: .*\n  items.csv line 4"),
    ],
)
def test_rows_that_cannot_be_used_are_named(build: Build, rows: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        build(f"path,identity\n{rows}\n", layout="csv")


def test_a_row_may_not_follow_a_link_out_of_the_folder(build: Build, media: Path, tmp_path: Path) -> None:
    (media / "ann" / "link.jpg").symlink_to(make.write_image(tmp_path / "outside.jpg", number=5))
    with pytest.raises(ManifestError, match=r"line 2: path 'ann/link.jpg' is a link that leads out"):
        build("path,identity\nann/link.jpg,ann\n", layout="csv")


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("ann/talk.mp4", "film", r"kind 'film' is none of video, audio, image"),
        ("ann/talk.mp4", "image", r"line 2: 'ann/talk.mp4' is video, not image"),
        ("ann/photo.jpg", "video", r"'ann/photo.jpg' is image, not video"),
        ("ann/radio/one.wav", "video", r"is audio, not video"),
        ("bob/talk.mp4", "audio", r"'bob/talk.mp4' is video, not audio"),
    ],
)
def test_a_kind_that_the_medium_is_not_is_refused(build: Build, path: str, kind: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        build(f"path,identity,kind\n{path},ann,{kind}\n", layout="csv")


def test_a_person_of_two_genders_is_refused(build: Build) -> None:
    table = "path,identity,gender\nann/talk.mp4,ann,f\nann/photo.jpg,ann,m\n"
    with pytest.raises(ManifestError, match=r"'ann': gender 'm' in items.csv line 3, 'f' in items.csv line 2"):
        build(table, layout="csv")
    with pytest.raises(ManifestError, match=r"'ann': gender 'f' in items.csv line 2, 'm' in the identities' table"):
        build("path,identity,gender\nann/talk.mp4,ann,f\n", identities="identity,gender\nann,m\n", layout="csv")


def test_a_table_without_the_needed_columns_or_rows_is_refused(build: Build) -> None:
    with pytest.raises(ManifestError, match=r"no column\(s\) path, identity \(it has file, who\)"):
        build("file,who\nann/talk.mp4,ann\n", layout="csv")
    with pytest.raises(ManifestError, match=r"layout csv, which expects a row for each medium in manifest.table"):
        build("path,identity\n", layout="csv")


def test_the_table_of_the_real_grid_clips(shared: Path, tmp_path: Path) -> None:
    grid = shared / "data/grid"
    (tmp_path / "people.csv").write_text("identity\n")
    columns = {"path": "clip"}  # clips.csv: clip,identity
    settings = ManifestSettings(
        **{"media": str(grid), "listed": {}, "layout": "csv", "table": "clips.csv", "identities": "people.csv"},
        **{"columns": columns, "max_skip_ratio": 0.0},
    )
    manifest = build_manifest(settings, Sources(grid, grid / "clips.csv", tmp_path / "people.csv", tmp_path))
    assert len(manifest) == 11 and manifest["identity"].nunique() == 10 and set(manifest["kind"]) == {"video"}
    assert set(manifest["fps"]) == {25.0} and set(manifest["sample_rate"]) == {44100}


@pytest.mark.parametrize("named", ["ann/.talk.mp4", ".kept/talk.mp4", "linked/talk.mp4"])
def test_hidden_media_are_refused_where_nobody_would_see_them_change(build: Build, media: Path, named: str) -> None:
    for place in (media / "ann" / ".talk.mp4", media / ".kept" / "talk.mp4"):
        place.parent.mkdir(exist_ok=True)
        place.write_bytes((media / "ann" / "talk.mp4").read_bytes())
    (media / "linked").symlink_to(media / ".kept")
    table = f"path,identity\n{named},ann\nbob/talk.mp4,bob\n"
    assert named in set(build(table, layout="csv")["item"])
    with pytest.raises(ManifestError, match=rf"hidden media, .* \(1\):\n  '{named}'"):
        build(table, layout="csv", media="artifacts/media.json", listed={"corpus": str(media)})
