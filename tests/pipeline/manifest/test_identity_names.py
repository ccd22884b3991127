"""One person is one identity: names that look alike are refused or named, and metadata finds its person."""

import logging
import os
import shutil
import unicodedata
from pathlib import Path

import pytest

from pipeline.errors import ManifestError
from tests import media_factory as make
from tests.pipeline.manifest.conftest import Build

COMPOSED, DECOMPOSED = unicodedata.normalize("NFC", "José"), unicodedata.normalize("NFD", "José")


@pytest.fixture
def person(media: Path):
    """Add a clip of a person to the media."""
    made = 0

    def add(name: str, clip: str = "talk.mp4") -> None:
        nonlocal made
        made += 1
        make.write_video(media / name / clip, 0.2, seed=10 + made)

    return add


def test_two_unicode_forms_of_one_name_are_refused_with_both(build: Build, person) -> None:
    person(COMPOSED)
    person(DECOMPOSED)
    with pytest.raises(ManifestError, match="differ only by the Unicode form") as raised:
        build()
    assert r"'Jose\u0301' ('Jose\u0301/talk.mp4') and 'Jos\xe9' ('Jos\xe9/talk.mp4')" in str(raised.value)


@pytest.mark.parametrize("name", ["ann ", " ann", "ann\u00a0"])
def test_folders_that_differ_by_outer_spaces_are_refused_with_both(build: Build, person, name: str) -> None:
    person(name)
    with pytest.raises(ManifestError, match=r"or by outer spaces \(1\)") as raised:
        build()
    assert f"{name!a}" in str(raised.value) and "'ann'" in str(raised.value)


def test_a_folder_named_by_a_space_is_refused(build: Build, person) -> None:
    person(" ")
    with pytest.raises(ManifestError, match=r"names are spaces alone \(1\):\n  ' /talk.mp4'"):
        build()


@pytest.mark.parametrize(
    "names", [("Carl", "carl"), ("001", "1"), ("id01", "id1"), ("\uff211", "a1"), ("zo", "zo\u200b")]
)
def test_names_that_are_nearly_the_same_are_a_warning_with_both(
    build: Build, person, caplog: pytest.LogCaptureFixture, names: tuple[str, str]
) -> None:
    for name in names:
        person(name)
    assert set(build()["identity"]) == {"ann", "bob", *names}
    first, second = sorted(names)
    assert (
        f"{first!r} and {second!r} differ only by case, leading zeros or unseen letters: they count as" in caplog.text
    )


@pytest.mark.parametrize("names", [("10", "100"), ("1", "11"), ("ann2", "ann3"), ("a_1", "a-1")])
def test_names_that_differ_by_more_are_two_people_without_a_word(
    build: Build, person, caplog: pytest.LogCaptureFixture, names: tuple[str, str]
) -> None:
    for name in names:
        person(name)
    build()
    assert "differ only" not in caplog.text


@pytest.mark.parametrize(("folder", "row"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED), ("zoe ", "zoe")])
def test_metadata_finds_its_person_in_another_unicode_form(build: Build, person, folder: str, row: str) -> None:
    person(folder)
    manifest = build(identities=f"identity,gender\n{row},f\n").set_index("item")
    assert manifest.loc[f"{folder}/talk.mp4", ["identity", "gender"]].tolist() == [
        unicodedata.normalize("NFC", folder).strip(),
        "f",
    ]


def test_metadata_that_a_spreadsheet_took_the_zeros_from_is_named(
    build: Build, person, caplog: pytest.LogCaptureFixture
) -> None:
    person("007")
    assert build(identities="identity,gender\n7,m\n")["gender"].isna().all()
    assert "'007' and '7' differ only by" in caplog.text and "the metadata of '7' is used for nobody" in caplog.text


def test_a_table_in_another_unicode_form_finds_its_files(build: Build, person) -> None:
    person(DECOMPOSED)
    (row,) = build(f"path,identity\n{COMPOSED}/talk.mp4,{COMPOSED}\n", layout="csv").itertuples()
    assert (row.item, row.identity) == (f"{DECOMPOSED}/talk.mp4", COMPOSED)


def test_nationality_and_language_are_compared_without_case(build: Build) -> None:
    people = "identity,nationality,language\nann,NORWAY,Norsk\nbob,norway,norsk\nann,Norway,norsk\n"
    manifest = build("path,identity,nationality\nann/talk.mp4,ann,Norway\nbob/talk.mp4,bob,\n", people, layout="csv")
    assert list(manifest["nationality"]) == ["Norway", "Norway"]  # the first spelling in use, by order
    assert list(manifest["language"].unique()) == ["Norsk"]


def test_a_nationality_that_is_another_word_is_still_a_contradiction(build: Build) -> None:
    table = "path,identity,nationality\nann/talk.mp4,ann,Norway\n"
    with pytest.raises(ManifestError, match=r"'ann': nationality 'Norway' in items.csv line 2, 'Sweden'"):
        build(table, identities="identity,nationality\nann,Sweden\n", layout="csv")


def test_voxceleb_people_are_found_in_another_unicode_form(build: Build, media: Path) -> None:
    shutil.rmtree(media)
    make.write_sound(media / "wav" / "id10001" / "v" / "1.wav", make.noise(0.3, 16000, 1))
    make.write_image(media / "faces" / DECOMPOSED / "1.6" / "v" / "1.jpg", 2)
    meta = f"VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\nid10001\t{COMPOSED}\tm\tSpain\tdev\n"
    assert list(build(meta, layout="voxceleb1")["identity"]) == ["id10001", "id10001"]


@pytest.mark.parametrize(
    "folder",
    ["@eaDir", "#recycle", "#snapshot", "$RECYCLE.BIN", "__MACOSX", ".thumbnails", "lost+found", "@Recycle"],
)
def test_folders_of_storage_and_desktops_are_ignored_and_counted(
    build: Build, media: Path, caplog: pytest.LogCaptureFixture, folder: str
) -> None:
    (media / folder / "ann").mkdir(parents=True)
    shutil.copy(media / "ann" / "photo.jpg", media / folder / "ann" / "photo.jpg")
    make.write_image(media / "ann" / folder / "SYNOPHOTO_THUMB_M.jpg", number=9)
    with caplog.at_level(logging.INFO):
        assert len(build()) == 4
    assert f"2 system folders ({folder})" in caplog.text


def test_hidden_files_and_folders_are_counted(build: Build, media: Path, caplog: pytest.LogCaptureFixture) -> None:
    (media / "ann" / "._talk.mp4").write_bytes(b"what macOS leaves")
    (media / ".cache").mkdir()
    with caplog.at_level(logging.INFO):
        assert len(build()) == 4
    assert "ignored in media: 1 hidden files, 1 hidden folders" in caplog.text


def test_a_person_of_whom_no_file_is_read_is_named(build: Build, media: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("IMG_1.HEIC", "IMG_2.heic", "song.ape"):
        (media / "carl" / "phone").mkdir(parents=True, exist_ok=True)
        (media / "carl" / "phone" / name).write_bytes(b"not read")
    (media / "ann" / "photo.heic").write_bytes(b"not read either, but ann has others")
    (media / "lists").mkdir()
    (media / "lists" / "trials.txt").write_text("text is no medium")
    assert set(build()["identity"]) == {"ann", "bob"}
    assert "'carl' holds no file of a kind that is read (1 .ape, 2 .heic): convert them" in caplog.text
    assert "'ann'" not in caplog.text and "'lists'" not in caplog.text


def test_a_folder_that_cannot_be_opened_is_named(build: Build, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who runs as root may open every folder, so the system's refusal is put in its place."""
    real = os.scandir

    def closed(path):
        if Path(path).name == "bob":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(ManifestError, match=r"bob cannot be opened \(Permission denied\); mend its permissions"):
        build()


VIDEO = {
    "ts": {"codec": "mpeg2video", "audio_codec": "mp2"},
    "vob": {"codec": "mpeg2video", "audio_codec": "mp2"},
    "3g2": {},
    "f4v": {},
    "ogv": {"codec": "libvpx", "audio_codec": "libopus"},
}
SOUND = {"mka": "aac", "m4b": "aac", "mp2": "mp2"}


@pytest.mark.parametrize("suffix", [*VIDEO, "qt", *SOUND, "jfif", "jpe", "TS", "JPE"])
def test_files_of_every_ending_are_read(build: Build, media: Path, tmp_path: Path, suffix: str) -> None:
    lower, sound = suffix.lower(), make.noise(0.5, 48000, 3)
    path = tmp_path / f"new.{'mov' if lower == 'qt' else lower}"
    if lower in SOUND:
        kind = "audio"
        make.write_audio_track(path, sound, 48000, SOUND[lower])
    elif lower in VIDEO or lower == "qt":
        kind = "video"
        make.write_video(path, 0.5, samples=sound, sample_rate=48000, seed=7, **VIDEO.get(lower, {}))
    else:
        kind = "image"
        make.write_image(path, 7)
    path.rename(media / "ann" / f"new.{suffix}")
    row = build(max_skip_ratio=0.0).set_index("item").loc[f"ann/new.{suffix}"]
    assert row["kind"] == kind
    assert (row["sample_rate"] == 48000) if kind != "image" else (row["width"] == 160)
