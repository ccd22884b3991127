"""From a media folder to one table of items."""

import hashlib
import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from av.stream import Disposition

from pipeline.errors import ManifestError
from pipeline.extraction.tasks import may_hold_voices
from pipeline.manifest import medium
from pipeline.manifest.build import Sources, build_manifest
from pipeline.manifest.known_media import known_path, write_known
from pipeline.manifest.schema import COLUMNS, read_manifest, write_manifest
from pipeline.settings import ManifestSettings
from tests import media_factory as make
from tests.pipeline.manifest.conftest import Build

DEMO = Path(__file__).resolve().parents[3] / "data" / "demo"


def test_video_sound_and_images_live_in_one_table(build: Build, media: Path) -> None:
    manifest = build()
    assert list(manifest.columns) == list(COLUMNS)
    assert {name: str(kind) for name, kind in manifest.dtypes.items()} == COLUMNS
    assert list(manifest["item"]) == ["ann/photo.jpg", "ann/radio/one.wav", "ann/talk.mp4", "bob/talk.mp4"]
    assert list(manifest["identity"]) == ["ann", "ann", "ann", "bob"]
    assert list(manifest["kind"]) == ["image", "audio", "video", "video"]
    assert list(manifest["path"]) == list(manifest["item"])
    for row in manifest.itertuples(index=False):
        data = (media / row.path).read_bytes()
        assert (row.digest, row.size) == (hashlib.sha256(data).hexdigest(), len(data))


def test_what_a_header_does_not_say_is_null(build: Build) -> None:
    manifest = build().set_index("item")
    photo, sound, video, mute = manifest.loc[
        ["ann/photo.jpg", "ann/radio/one.wav", "ann/talk.mp4", "bob/talk.mp4"]
    ].iloc
    assert (photo["width"], photo["height"]) == (160, 120)
    assert photo[["duration", "fps", "sample_rate"]].isna().all()
    assert sound["duration"] == pytest.approx(0.5) and sound["sample_rate"] == 16000
    assert sound[["fps", "width", "height"]].isna().all()
    assert (video["fps"], video["width"], video["sample_rate"]) == (25.0, 160, 16000)
    assert mute["fps"] == 25.0 and pd.isna(mute["sample_rate"])
    assert manifest[["gender", "nationality", "age", "language"]].isna().all(axis=None)


def test_a_mute_video_is_known_to_hold_no_voice(build: Build, media: Path, caplog: pytest.LogCaptureFixture) -> None:
    (media / "bob" / "broken.mp4").write_bytes(b"")
    with caplog.at_level(logging.INFO):
        manifest = build().set_index("item")
    tracks = manifest["audio_tracks"]
    assert tracks["ann/talk.mp4"] == tracks["ann/radio/one.wav"] == 1
    assert tracks["bob/talk.mp4"] == 0 and pd.isna(tracks["bob/broken.mp4"])
    assert "videos without an audio track: 1; no voice is embedded of them" in caplog.text
    heard = may_hold_voices(manifest.reset_index())["item"].tolist()
    assert heard == ["ann/radio/one.wav", "ann/talk.mp4", "bob/broken.mp4"]  # the broken one says why, in skipped.csv


def test_which_of_several_tracks_is_taken_is_logged_each_time(
    build: Build, media: Path, hashed: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    tones = [make.tone(0.5, 16000, frequency) for frequency in (400.0, 800.0)]
    for number in range(12):
        flags = (0, int(Disposition.default)) if number % 2 else (0, 0)
        make.write_tracks(media / "ann" / f"{number:02}.mkv", list(zip(tones, flags, strict=True)))
        tones[0] = tones[0] * np.float32(0.9)  # other bytes
    for _ in range(2):
        caplog.clear()
        build()
        assert "ann/00.mkv: audio track 1 of 2 is taken (the first; none is flagged as default)" in caplog.text
        assert "ann/01.mkv: audio track 2 of 2 is taken (the default)" in caplog.text
        assert "... and 2 more media with several tracks" in caplog.text
    assert len(hashed) == 16  # the second time nothing was read


def test_media_beside_each_other_with_one_stem_are_one_recording(build: Build, media: Path) -> None:
    make.write_sound(media / "ann" / "talk.wav", make.noise(0.5, 16000, seed=3))
    clips = build().set_index("item")["clip"]
    assert clips["ann/talk.mp4"] == clips["ann/talk.wav"] == "ann/talk"


def test_files_in_one_folder_below_the_identity_are_one_recording(build: Build, media: Path) -> None:
    make.write_image(media / "ann" / "radio" / "faces" / "0000375.jpg")
    clips = build().set_index("item")["clip"]
    assert clips["ann/radio/one.wav"] == clips["ann/radio/faces/0000375.jpg"] == "ann/radio"
    assert clips["bob/talk.mp4"] != clips["ann/talk.mp4"]


def test_the_same_folder_gives_the_same_bytes(build: Build, tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_manifest(tmp_path / name, build())
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    pd.testing.assert_frame_equal(read_manifest(tmp_path / "first"), build())


def test_a_manifest_of_other_columns_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"item": ["a"]}).to_parquet(tmp_path / "old.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 but no more")
    for name in ("old.parquet", "broken.parquet", "absent.parquet"):
        with pytest.raises(ManifestError, match=rf"{name}.*run `dvc repro manifest`"):
            read_manifest(tmp_path / name)


def test_other_files_are_ignored_and_counted(build: Build, media: Path, caplog: pytest.LogCaptureFixture) -> None:
    (media / "identities.csv").write_text("identity\n")
    (media / "README").write_text("hello")
    (media / "ann" / "notes.TXT").write_text("hello")
    (media / "ann" / ".hidden.mp4").write_text("hello")
    (media / ".cache").mkdir()
    make.write_image(media / ".cache" / "a.jpg", number=3)
    make.write_image(media / "group.jpg", number=4)
    with caplog.at_level(logging.INFO):
        assert len(build()) == 4
    ignored = "1 .csv, 1 .txt, 1 hidden files, 1 hidden folders, 1 outside an identity's folder, 1 without suffix"
    assert f"ignored in media: {ignored}" in caplog.text
    assert (
        "manifest: 4 items (1 audio, 1 image, 2 video) of 2 identities; 4 read, 0 cached, 0 unreadable" in caplog.text
    )


def test_an_unreadable_medium_stays_with_nulls(build: Build, media: Path, caplog: pytest.LogCaptureFixture) -> None:
    (media / "bob" / "text.mp4").write_text("not a film\n" * 99)
    (media / "bob" / "empty.wav").write_bytes(b"")
    (media / "bob" / "empty.jpg").write_bytes(b"")
    manifest = build().set_index("item")
    assert manifest.loc["bob/text.mp4", "kind"] == "video" and manifest.loc["bob/empty.wav", "kind"] == "audio"
    assert manifest.loc["bob/empty.jpg", "kind"] == "image"
    described = ["duration", "fps", "width", "height", "sample_rate"]
    assert manifest.loc[["bob/text.mp4", "bob/empty.wav"], described].isna().all(axis=None)
    assert "unreadable, bob/empty.wav: empty.wav: is empty (0 bytes)" in caplog.text


def test_too_many_unreadable_media_stop_the_run(build: Build, media: Path) -> None:
    (media / "bob" / "text.mp4").write_text("not a film\n" * 99)
    assert len(build(max_skip_ratio=0.2)) == 5
    with pytest.raises(ManifestError, match=r"1 of 5 media, more than manifest.max_skip_ratio = 0.19 allows") as raised:
        build(max_skip_ratio=0.19)
    assert "bob/text.mp4: text.mp4: holds no audio" in str(raised.value)


def test_content_decides_the_kind(build: Build, media: Path) -> None:
    make.write_audio_track(media / "bob" / "song.mp4", make.tone(0.5, 16000))
    (media / "bob" / "portrait.mp4").write_bytes(make.write_image(media / "bob" / "face.png", number=9).read_bytes())
    manifest = build().set_index("item")
    assert manifest.loc["bob/song.mp4", "kind"] == "audio" and manifest.loc["bob/portrait.mp4", "kind"] == "image"


def test_one_medium_under_two_identities_is_refused(build: Build, media: Path) -> None:
    (media / "bob" / "copy.mp4").write_bytes((media / "ann" / "talk.mp4").read_bytes())
    with pytest.raises(ManifestError, match=r"'ann/talk.mp4' of 'ann' and 'bob/copy.mp4' of 'bob'"):
        build()


def test_empty_files_are_not_one_medium(build: Build, media: Path) -> None:
    (media / "ann" / "empty.mp4").write_bytes(b"")
    (media / "bob" / "empty.mp4").write_bytes(b"")
    assert len(build()) == 6


def test_one_medium_twice_under_one_identity_is_a_warning(
    build: Build, media: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("copy.mp4", "again.mp4"):
        (media / "ann" / name).write_bytes((media / "ann" / "talk.mp4").read_bytes())
    assert len(build()) == 6
    assert (
        "2 item(s) repeat the bytes of another item of the same identity, first: 'ann/copy.mp4' those of" in caplog.text
    )


def test_an_empty_folder_names_what_the_layout_wants(build: Build, media: Path) -> None:
    for path in sorted(media.rglob("*.*")):
        path.rename(media / f"{path.parent.name}_{path.name}")
    with pytest.raises(ManifestError, match=r"<identity>/clip.mp4.*Ignored there: 4 outside an identity's folder"):
        build()


def test_an_absent_folder_names_the_key(build: Build, media: Path) -> None:
    media.rename(media.with_name("elsewhere"))
    with pytest.raises(ManifestError, match=r"manifest.media, or manifest.listed, in params.yaml: .* does not exist"):
        build()


def test_a_media_folder_that_is_a_file_is_refused(build: Build, media: Path) -> None:
    shutil.rmtree(media)
    media.write_bytes(b"all in one")
    with pytest.raises(ManifestError, match=r"manifest.media, .* in params.yaml: '.*media' is no folder"):
        build()


def test_a_name_with_a_line_break_or_no_utf8_is_refused(build: Build, media: Path) -> None:
    make.write_image(media / "ann" / "two\nlines.jpg", number=6)
    make.write_image(media / "bob" / "tab\t.jpg", number=7)
    (media / "bob" / os.fsdecode(b"latin\xe9.jpg")).write_bytes(b"x")
    with pytest.raises(ManifestError, match=r"files that must not be used \(3\)") as raised:
        build()
    assert "'ann/two\\nlines.jpg' holds a line break" in str(raised.value)


def test_a_link_out_of_the_folder_is_refused(build: Build, media: Path, tmp_path: Path) -> None:
    outside = make.write_image(tmp_path / "outside" / "a.jpg", number=8)
    (media / "ann" / "link.jpg").symlink_to(outside)
    (media / "carl").symlink_to(outside.parent)
    (media / "ann" / "broken.jpg").symlink_to(media / "nothing.jpg")
    (media / "ann" / "circle.jpg").symlink_to(media / "ann" / "circle.jpg")
    with pytest.raises(ManifestError, match=r"\(4\)") as raised:
        build()
    for line in (
        "'ann/link.jpg' is a link that leads out",
        "'carl' is a link that leads out",
        "'ann/broken.jpg' does not",
    ):
        assert line in str(raised.value)


def test_links_inside_the_folder_are_used_and_linked_folders_are_not_followed(build: Build, media: Path) -> None:
    (media / "ann" / "link.jpg").symlink_to(media / "ann" / "photo.jpg")
    (media / "ann" / "loop").symlink_to(media)
    assert len(build()) == 5


def test_the_media_folder_itself_may_be_a_link(build: Build, media: Path) -> None:
    media.symlink_to(media.rename(media.with_name("big_disk")))
    assert len(build()) == 4


def test_a_pipe_named_like_a_film_is_refused_and_not_opened(build: Build, media: Path) -> None:
    os.mkfifo(media / "ann" / "pipe.mp4")
    with pytest.raises(ManifestError, match=r"'ann/pipe.mp4' is no file"):
        build()


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose bytes are read, and every file counts as settled at once."""
    names: list[str] = []
    real = medium.sha256_of

    def counted(path: Path) -> str:
        names.append(path.name)
        return real(path)

    monkeypatch.setattr(medium, "sha256_of", counted)
    monkeypatch.setattr(medium, "_SETTLED", -1.0)
    return names


def test_unchanged_media_are_read_once(build: Build, media: Path, hashed: list[str]) -> None:
    first = build()
    assert len(hashed) == 4
    pd.testing.assert_frame_equal(build(), first)
    assert len(hashed) == 4
    make.write_image(media / "bob" / "new.jpg", number=11)
    assert len(build()) == 5 and hashed[4:] == ["new.jpg"]
    (media / "bob" / "new.jpg").unlink()
    pd.testing.assert_frame_equal(build(), first)
    assert len(hashed) == 5


def test_what_was_read_is_known_again_after_the_manifest_of_another_folder(
    media: Path, tmp_path: Path, hashed: list[str]
) -> None:
    """As of two projects that share SBNET_HOME."""
    (tmp_path / "people.csv").write_text("identity\n")
    other = Path(shutil.copytree(media, tmp_path / "other"))
    for folder in (media, other, media, other):
        assert len(manifest_of(folder, tmp_path / "people.csv", tmp_path)) == 4
    assert len(hashed) == 8


def test_changed_bytes_are_seen_even_with_the_old_length_and_date(build: Build, media: Path, hashed: list[str]) -> None:
    path = media / "ann" / "radio" / "one.wav"
    before, state = build().set_index("item"), path.stat()
    make.write_sound(path, make.noise(0.5, 16000, seed=99))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert path.stat().st_size == state.st_size and path.stat().st_mtime_ns == state.st_mtime_ns
    after = build().set_index("item")
    assert hashed[4:] == ["one.wav"]
    assert after.loc["ann/radio/one.wav", "digest"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert after.loc["ann/radio/one.wav", "digest"] != before.loc["ann/radio/one.wav", "digest"]


def test_fresh_files_are_not_trusted(build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(medium, "_SETTLED", 1e6)
    build()
    (known,) = (tmp_path / "cache").glob("media-*.parquet")
    assert pd.read_parquet(known).empty


def test_a_damaged_memory_of_the_last_time_costs_only_time(
    build: Build, tmp_path: Path, hashed: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    first = build()
    (known,) = (tmp_path / "cache").glob("media-*.parquet")
    make.scramble(known, 0.2, 1.0)
    pd.testing.assert_frame_equal(build(), first)
    assert len(hashed) == 8 and "all media are read again" in caplog.text


def test_a_file_that_changes_while_it_is_read_is_named(
    build: Build, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = medium.sha256_of

    def growing(path: Path) -> str:
        digest = real(path)
        if path.name == "photo.jpg":
            path.write_bytes(path.read_bytes() + b"more")
        return digest

    monkeypatch.setattr(medium, "sha256_of", growing)
    with pytest.raises(ManifestError, match=r"'ann/photo.jpg': changes while it is read"):
        build()


def test_real_clips_and_utterances(shared: Path, build: Build, media: Path) -> None:
    for source in (
        *sorted((shared / "data/grid").glob("*.mpg"))[:3],
        *sorted((shared / "data/librispeech").glob("*.flac"))[:3],
    ):
        (media / source.stem).mkdir()
        (media / source.stem / source.name).write_bytes(source.read_bytes())
    manifest = build()
    real = manifest[~manifest["identity"].isin(["ann", "bob"])]
    assert list(real["kind"].value_counts().sort_index()) == [3, 3]
    assert np.allclose(real.loc[real["kind"] == "video", "fps"].astype(float), 25.0)
    assert set(real["sample_rate"]) == {16000, 44100}


@pytest.mark.parametrize("change", ["new", "replaced", "removed"])
def test_media_that_change_after_they_were_read_are_refused(
    build: Build, media: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """DVC would take the folder as it is after the stage for what the manifest describes."""

    def late(*_: object) -> None:
        target = media / "bob" / ("late.mp4" if change == "new" else "talk.mp4")
        target.unlink() if change == "removed" else target.write_bytes((media / "ann" / "talk.mp4").read_bytes())

    monkeypatch.setattr("pipeline.manifest.build.write_known", late)
    named = "'bob/late.mp4' is new" if change == "new" else "'bob/talk.mp4' changed"
    with pytest.raises(ManifestError, match=rf"(?s){named}.*Run `dvc repro` again"):
        build()


def manifest_of(media: Path, identities: Path, tmp_path: Path) -> pd.DataFrame:
    """With the columns of the shipped table."""
    (tmp_path / "items.csv").write_text("path,identity\n")
    settings = ManifestSettings(
        media=str(media),
        listed={},
        layout="folders",
        table="items.csv",
        identities=str(identities),
        columns={"nationality": "region"},
        max_skip_ratio=0.0,
    )
    return build_manifest(settings, Sources(media, tmp_path / "items.csv", identities, tmp_path / "cache"))


def test_traits_of_the_shipped_people_are_refused_for_other_media(media: Path, tmp_path: Path) -> None:
    """MAV-Celeb calls its people id0001, too."""
    (media / "ann").rename(media / "id0001")
    remedy = r"manifest\.identities: .* describes the synthetic people of .*/data/demo, .*or data/no_identities\.csv"
    with pytest.raises(ManifestError, match=remedy):
        manifest_of(media, DEMO / "identities.csv", tmp_path)
    (tmp_path / "people.csv").symlink_to(DEMO / "identities.csv")
    with pytest.raises(ManifestError, match=remedy):
        manifest_of(media, tmp_path / "people.csv", tmp_path)


def test_traits_of_a_synthetic_corpus_belong_to_its_own_media(media: Path, tmp_path: Path) -> None:
    (media / "truth").mkdir()
    (media / "truth" / "settings.json").write_text("{}")
    (media / "identities.csv").write_text("identity,gender,region\nann,f,A\n")
    manifest = manifest_of(media, media / "identities.csv", tmp_path)
    assert set(manifest.loc[manifest["identity"] == "ann", "gender"]) == {"f"}


def test_of_many_media_folders_the_newest_are_remembered(tmp_path: Path) -> None:
    """Each temporary copy of a project, as an experiment makes them, holds a folder of its own."""
    for number in range(20):
        path = known_path(tmp_path, tmp_path / f"copy{number}")
        write_known(path, [])
        os.utime(path, (number, number))
    kept = {known_path(tmp_path, tmp_path / f"copy{number}").name for number in range(4, 20)}
    assert {path.name for path in tmp_path.glob("*.parquet")} == kept
