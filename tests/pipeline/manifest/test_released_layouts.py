"""VoxCeleb1, VoxCeleb2 and MAV-Celeb as they are released."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from pipeline.errors import ManifestError
from pipeline.manifest.layouts.voxceleb1 import read_meta
from tests import media_factory as make
from tests.pipeline.manifest.conftest import Build

META = (
    "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n"
    "id10001\tA.J._Buckley\tm\tIreland\tdev\n"
    "id10002\tZoë_Doe\tf\tNew Zealand\ttest\n"
)

META_OF_2 = "VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set \nid00012 ,n000012 ,m ,dev \nid00016 ,n000016 ,f ,test \n"


@pytest.fixture
def voxceleb(media: Path) -> Path:
    """Two people, utterances and face frames, in the folder that `build` reads."""
    shutil.rmtree(media)
    make.write_sound(media / "wav/id10001/1zcIwhmdeo4/00001.wav", make.noise(0.3, 16000, 1))
    make.write_sound(media / "wav/id10001/1zcIwhmdeo4/00002.wav", make.noise(0.3, 16000, 2))
    make.write_sound(media / "wav/id10002/_abc/00001.wav", make.noise(0.3, 16000, 3))
    make.write_image(media / "unzippedFaces/A.J._Buckley/1.6/1zcIwhmdeo4/0000375.jpg", 4)
    make.write_image(media / "unzippedFaces/Zoë_Doe/1.6/other/0000100.jpg", 5)
    return media


def test_voices_and_faces_of_a_voxceleb_person_meet(build: Build, voxceleb: Path) -> None:
    manifest = build(META, layout="voxceleb1").set_index("item")
    assert list(manifest.index) == [
        "unzippedFaces/A.J._Buckley/1.6/1zcIwhmdeo4/0000375.jpg",
        "unzippedFaces/Zoë_Doe/1.6/other/0000100.jpg",
        "wav/id10001/1zcIwhmdeo4/00001.wav",
        "wav/id10001/1zcIwhmdeo4/00002.wav",
        "wav/id10002/_abc/00001.wav",
    ]
    assert list(manifest["identity"]) == ["id10001", "id10002", "id10001", "id10001", "id10002"]
    recording = "id10001/1zcIwhmdeo4"
    assert list(manifest["clip"]) == [recording, "id10002/other", recording, recording, "id10002/_abc"]
    assert list(manifest["kind"]) == ["image", "image", "audio", "audio", "audio"]
    assert list(manifest["gender"]) == ["m", "f", "m", "m", "f"]
    assert manifest["nationality"].iloc[1] == "New Zealand" and manifest["age"].isna().all()


def test_ages_for_voxceleb_come_from_the_identities(build: Build, voxceleb: Path) -> None:
    manifest = build(META, identities="identity,age\nid10001,38\n", layout="voxceleb1")
    assert manifest.loc[manifest["identity"] == "id10001", ["gender", "age"]].drop_duplicates().to_numpy().tolist() == [
        ["m", 38.0]
    ]


def test_people_that_the_meta_file_does_not_know_are_named(build: Build, voxceleb: Path) -> None:
    make.write_sound(voxceleb / "wav/id19999/video/00001.wav", make.noise(0.3, 16000, 9))
    with pytest.raises(ManifestError, match=r"'wav/id19999/video/00001.wav': 'id19999'"):
        build(META, layout="voxceleb1")


def test_media_at_another_depth_are_counted_as_ignored(
    build: Build, voxceleb: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make.write_image(voxceleb / "plot.jpg", 9)
    with caplog.at_level("INFO"):
        assert len(build(META, layout="voxceleb1")) == 5
    assert "1 outside <person>/<video>/" in caplog.text


def test_another_table_is_not_taken_for_the_meta_file(build: Build, voxceleb: Path) -> None:
    with pytest.raises(ManifestError, match=r"no column\(s\) VoxCeleb1 ID, .*manifest.table to be vox1_meta.csv"):
        build("path,identity\n", layout="voxceleb1")
    with pytest.raises(ManifestError, match=r"items.csv line 4: an ID or a name is missing or is there twice"):
        build(META + "id10003\tA.J._Buckley\tm\tIreland\tdev\n", layout="voxceleb1")


def test_the_released_meta_file_is_read(shared: Path) -> None:
    people = read_meta(shared / "data/voxceleb_lists/vox1_meta.csv")
    assert len({person.identity for person in people.values()}) == 1251 and len(people) == 2502
    assert people["A.J._Buckley"] is people["id10001"]
    assert pd.Series([person.traits.gender for person in set(people.values())]).value_counts().to_dict() == {
        "m": 690,
        "f": 561,
    }


@pytest.fixture
def voxceleb2(media: Path) -> Path:
    """Two people of either split, in the folder that `build` reads."""
    shutil.rmtree(media)
    make.write_sound(media / "aac/id00012/21Uxsk56VDQ/00001.flac", make.noise(0.3, 16000, 1))  # as released: m4a
    make.write_video(media / "mp4/id00012/21Uxsk56VDQ/00001.mp4", 0.4, seed=1)
    make.write_video(media / "test/mp4/id00016/_0abc/00002.mp4", 0.4, seed=2)
    return media


def test_sounds_and_films_of_a_voxceleb2_person_meet(build: Build, voxceleb2: Path) -> None:
    manifest = build(META_OF_2, layout="voxceleb1")
    assert list(manifest["identity"]) == ["id00012", "id00012", "id00016"]
    assert list(manifest["clip"]) == ["id00012/21Uxsk56VDQ", "id00012/21Uxsk56VDQ", "id00016/_0abc"]
    assert list(manifest["gender"]) == ["m", "m", "f"] and manifest["nationality"].isna().all()


def test_folders_above_people_are_not_taken_for_people(build: Build, voxceleb2: Path) -> None:
    (voxceleb2 / "test").rename(voxceleb2 / "Test")
    with pytest.raises(ManifestError, match=r"(?s)'Test': mp4\n  'aac': id00012\n  'mp4': id00012\n.*layout voxceleb1"):
        build(META_OF_2, layout="folders")


def test_a_person_called_like_a_split_has_films_of_their_own(build: Build, media: Path) -> None:
    make.write_video(media / "Val" / "talk.mp4", 0.4, seed=3)
    assert "Val" in set(build(layout="folders")["identity"])


@pytest.fixture
def mavceleb(media: Path) -> Path:
    """One bilingual person, in the folder that `build` reads."""
    shutil.rmtree(media)
    make.write_sound(media / "voices/id0001/English/vid1/00000.wav", make.noise(0.3, 16000, 1))
    make.write_sound(media / "voices/id0001/Urdu/vid2/00000.wav", make.noise(0.3, 16000, 2))
    make.write_image(media / "faces/id0001/English/vid1/00000.jpg", 3)
    return media


def test_mavceleb_gives_the_language_of_every_item(build: Build, mavceleb: Path) -> None:
    manifest = build(layout="mavceleb")
    assert list(manifest["item"].str[:6]) == ["faces/", "voices", "voices"]
    assert list(manifest["identity"].unique()) == ["id0001"]
    assert list(manifest["clip"]) == ["id0001/vid1", "id0001/vid1", "id0001/vid2"]
    assert list(manifest["language"]) == ["English", "English", "Urdu"]


def test_mavceleb_media_outside_the_layout_are_refused_when_nothing_is_left(build: Build, mavceleb: Path) -> None:
    for folder in ("voices", "faces"):
        shutil.rmtree(mavceleb / folder)
    make.write_image(mavceleb / "id0001/photo.jpg", 3)
    with pytest.raises(ManifestError, match=r"1 in no folders of MAV-Celeb"):
        build(layout="mavceleb")
