"""What a file is, judged by its header."""

from pathlib import Path

import pytest

from pipeline.errors import MediaError
from pipeline.media import MediaInfo, probe
from tests import media_factory as make


def test_a_video_with_sound(tmp_path: Path) -> None:
    info = probe(make.write_video(tmp_path / "a.mp4", 2.0, fps=30, samples=make.tone(2.0, 44100), sample_rate=44100))
    assert info == MediaInfo("video", pytest.approx(2.0, abs=0.05), 30.0, 160, 120, 44100, audio_tracks=1)
    assert info.has_audio


def test_a_video_without_sound(tmp_path: Path) -> None:
    info = probe(make.write_video(tmp_path / "a.webm", 1.0, codec="libvpx"))
    assert (info.kind, info.sample_rate, info.has_audio) == ("video", None, False)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
def test_sound(tmp_path: Path, name: str) -> None:
    info = probe(make.write_sound(tmp_path / name, make.noise(1.5, 22050), 22050))
    rate = 22050
    assert info == MediaInfo("audio", pytest.approx(1.5, abs=0.01), sample_rate=rate, audio_tracks=1)
    assert info.has_audio


def test_a_song_with_a_cover_is_sound(tmp_path: Path) -> None:
    cover = make.write_image(tmp_path / "cover.jpg")
    path = make.write_audio_track(tmp_path / "a.mp3", make.tone(1.0, 16000), 16000, "libmp3lame", cover)
    assert probe(path).kind == "audio"


def test_sound_in_a_video_container_is_sound(tmp_path: Path) -> None:
    assert probe(make.write_audio_track(tmp_path / "a.mp4", make.tone(1.0, 16000))).kind == "audio"


def test_an_image_is_measured_upright(tmp_path: Path) -> None:
    info = probe(make.write_image(tmp_path / "a.jpg", orientation=6))
    assert info == MediaInfo("image", width=120, height=160)
    assert not info.has_audio


@pytest.mark.parametrize("disguise", ["a.mp4", "a.wav", "a.txt", "a"])
def test_the_name_does_not_matter(tmp_path: Path, disguise: str) -> None:
    path = make.write_image(tmp_path / "b.jpg").rename(tmp_path / disguise)
    assert probe(path).kind == "image"


def test_what_is_no_media_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("not a film\n" * 100)
    make.cut(make.write_image(tmp_path / "stub.jpg"), 0.005)
    make.cut(make.write_sound(tmp_path / "stub.wav", make.tone(0.5, 16000)), 0.001)
    for name in ("empty.wav", "text.mp4", "stub.jpg", "stub.wav", "absent.mp4"):
        with pytest.raises(MediaError, match=name):
            probe(tmp_path / name)


def test_a_real_clip(shared: Path) -> None:
    info = probe(shared / "data/grid/bbaf2n.mpg")
    assert info == MediaInfo("video", pytest.approx(2.98), 25.0, 360, 288, 44100, audio_tracks=1)
