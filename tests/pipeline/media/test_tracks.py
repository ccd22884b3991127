"""Which of several tracks is taken: a wrong track is a wrong person."""

import logging
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from pipeline.errors import MediaError
from pipeline.media import decode_audio, probe, sample_frames
from pipeline.media.containers import codec_of, open_container, video_tracks
from tests import media_factory as make

RATE = 16000  # Hz
NONE, DEFAULT = Disposition(0), Disposition.default
ASIDE = {name: getattr(Disposition, name) for name in ("comment", "visual_impaired", "hearing_impaired", "dub")}


def pitch(path: Path) -> float:
    """Hz of what is heard, to the nearest hundred."""
    waveform = decode_audio(path, RATE)[2000:14000]
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return round(float(np.argmax(spectrum)) * RATE / len(waveform), -2)


def tracks(path: Path, *flags: Disposition, silent: tuple[int, ...] = ()) -> Path:
    """A track for each of the flags: a tone of 500 Hz, of 1,000 Hz and so on, or silence."""
    tones = [make.tone(1.0, RATE, 500.0 * (i + 1), 0.0 if i in silent else 0.5) for i in range(len(flags))]
    return make.write_tracks(path, list(zip(tones, map(int, flags), strict=True)))


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
@pytest.mark.parametrize("default", [0, 1, 2])
def test_the_default_track_is_heard(tmp_path: Path, name: str, default: int) -> None:
    path = tracks(tmp_path / name, *(DEFAULT if i == default else NONE for i in range(3)))
    assert pitch(path) == 500 * (default + 1)
    note = f"audio track {default + 1} of 3 is taken (the default), unless it is silent"
    assert (probe(path).audio_tracks, probe(path).notes) == (3, note)


def test_the_first_track_is_heard_where_none_is_the_default(tmp_path: Path) -> None:
    path = tracks(tmp_path / "a.mkv", NONE, NONE)
    assert pitch(path) == 500
    assert "track 1 of 2 is taken (the first; none is flagged as default)" in probe(path).notes


@pytest.mark.parametrize("flag", ASIDE)
def test_a_track_beside_the_main_one_is_never_preferred(tmp_path: Path, flag: str) -> None:
    path = tracks(tmp_path / "a.mkv", ASIDE[flag] | DEFAULT, NONE)
    with av.open(str(path)) as container:
        assert container.streams.audio[0].disposition & ASIDE[flag]
    assert pitch(path) == 1000
    assert "audio track 2 of 2 is taken" in probe(path).notes


def test_a_comment_alone_is_taken_and_logged(tmp_path: Path) -> None:
    path = tracks(tmp_path / "a.mkv", Disposition.comment)
    assert pitch(path) == 500
    assert probe(path).notes == "audio track 1 of 1 is taken (a comment, a dub or the like: there is no main one)"


def test_an_ordinary_file_has_no_notes(tmp_path: Path) -> None:
    for path in (
        make.write_video(tmp_path / "a.mp4", samples=make.tone(1.0, RATE)),
        make.write_video(tmp_path / "b.mp4"),
        make.write_sound(tmp_path / "a.wav", make.tone(1.0, RATE)),
    ):
        assert probe(path).notes == ""


def test_where_the_default_is_silent_the_next_with_sound_is_taken_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tracks(tmp_path / "a.mp4", DEFAULT, NONE, NONE, silent=(0, 1))
    with caplog.at_level(logging.WARNING):
        assert pitch(path) == 1500
    assert "a.mp4: audio track 1 is silent, audio track 2 is silent, so audio track 3 is used" in caplog.text


def test_where_the_default_does_not_decode_the_next_is_heard_and_the_reason_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tracks(tmp_path / "a.mp4", DEFAULT, NONE)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams.audio[0]):
            if packet.pos is not None and packet.size:
                data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        assert pitch(path) == 1000
    assert "a.mp4: audio track 1 does not decode, so audio track 2 is used" in caplog.text


def test_a_comment_does_not_stand_in_for_a_silent_track(tmp_path: Path) -> None:
    path = tracks(tmp_path / "a.mkv", DEFAULT, Disposition.comment, silent=(0,))
    with pytest.raises(MediaError, match=r"a\.mkv: is silent"):
        decode_audio(path, RATE)


def test_tracks_that_are_all_silent_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"a\.mkv: is silent"):
        decode_audio(tracks(tmp_path / "a.mkv", DEFAULT, NONE, silent=(0, 1)), RATE)


def two_films(path: Path, *flags: Disposition) -> Path:
    """A video track for each of the flags, whose one picture is numbered from 1."""
    with av.open(str(path), "w") as container:
        streams = []
        for flag in flags:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
            stream.disposition = int(flag)
            streams.append(stream)
        for number, stream in enumerate(streams, 1):
            frame = av.VideoFrame.from_ndarray(make.numbered_image(number), format="rgb24")
            frame.pts = 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        ((NONE, DEFAULT), 2),
        ((NONE, NONE), 1),
        ((Disposition.comment | DEFAULT, NONE), 2),
        ((Disposition.visual_impaired, NONE), 2),
    ],
)
def test_pictures_follow_the_same_rule(tmp_path: Path, flags: tuple[Disposition, ...], shown: int) -> None:
    path = two_films(tmp_path / "a.mkv", *flags)
    assert make.frame_number(sample_frames(path, 1.0, 1)[0].image) == shown
    assert f"video track {shown} of 2 is taken" in probe(path).notes


def test_pictures_that_are_all_parts_of_another_are_no_film(shared: Path) -> None:
    with open_container(shared / "data/odd_media/heic_photo_named.jpg") as container:  # a photo in two tiles or more
        assert len(container.streams.video) > 1 and video_tracks(container) == []


def test_pictures_without_a_decoder_are_a_video_whose_codec_is_named(tmp_path: Path) -> None:
    path = make.rename_codec(make.write_video(tmp_path / "a.mp4", samples=make.tone(1.0, RATE)), b"avc1")
    info = probe(path)
    assert (info.kind, info.audio_tracks, info.width) == ("video", 1, None)
    assert info.notes == "its video track (zzz1) has no decoder"
    with pytest.raises(MediaError, match=r"a\.mp4: its video \(zzz1\) has no decoder here"):
        sample_frames(path, 1.0, 1)
    assert len(decode_audio(path, RATE)) > 0.9 * RATE


def film_with_pcm(path: Path) -> Path:
    """A film whose sound is named by its codec's code alone."""
    return make.write_video(path, samples=make.tone(1.0, RATE), audio_codec="pcm_s16le")


def test_sound_without_a_decoder_is_a_track_whose_codec_is_named(tmp_path: Path) -> None:
    path = make.rename_codec(film_with_pcm(tmp_path / "a.mov"), b"sowt")
    info = probe(path)
    assert (info.kind, info.audio_tracks, info.sample_rate, info.has_audio) == ("video", 1, None, True)
    with pytest.raises(MediaError, match=r"a\.mov: its audio \(zzz1\) has no decoder here"):
        decode_audio(path, RATE)
    assert sample_frames(path, 1.0, 1)


def test_what_has_no_decoder_at_all_is_refused_with_its_codecs(tmp_path: Path) -> None:
    path = make.rename_codec(make.rename_codec(film_with_pcm(tmp_path / "a.mov"), b"avc1"), b"sowt")
    with pytest.raises(MediaError, match=r"a\.mov: .*audio track \(zzz1\).*video track \(zzz1\)"):
        probe(path)


def test_a_codec_is_named_by_its_decoder(tmp_path: Path) -> None:
    with open_container(make.write_video(tmp_path / "a.mp4")) as container:
        assert codec_of(container, video_tracks(container)[0]) == "h264"


def test_a_video_without_sound_says_so(tmp_path: Path) -> None:
    info = probe(make.write_video(tmp_path / "a.mp4"))
    assert (info.audio_tracks, info.has_audio) == (0, False)
