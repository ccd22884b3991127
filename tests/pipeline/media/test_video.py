"""Frames by time, and the same frames again by number."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import MediaError
from pipeline.media import SampledFrame, read_frames, sample_frames
from tests import media_factory as make

CONTAINERS = [
    ("a.mp4", "libx264"),
    ("a.mkv", "libx264"),
    ("a.webm", "libvpx"),
    ("a.avi", "mpeg4"),
    ("a.mpg", "mpeg2video"),
    ("a.mov", "mjpeg"),
]


def numbers(frames: list[SampledFrame]) -> list[int]:
    return [frame.frame for frame in frames]


@pytest.mark.parametrize(("name", "codec"), CONTAINERS)
def test_frames_are_the_ones_their_numbers_say(tmp_path: Path, name: str, codec: str) -> None:
    path = make.write_video(tmp_path / name, 2.0, codec=codec)
    frames = sample_frames(path, 5.0, 100)
    assert len(frames) in (10, 11)
    assert [make.frame_number(frame.image) for frame in frames] == numbers(frames)
    assert all(frame.image.shape == (120, 160, 3) and frame.image.dtype == np.uint8 for frame in frames)


@pytest.mark.parametrize(("name", "codec"), CONTAINERS)
def test_reading_by_number_gives_the_pixels_that_sampling_gave(tmp_path: Path, name: str, codec: str) -> None:
    path = make.write_video(tmp_path / name, 2.0, codec=codec)
    sampled = sample_frames(path, 3.0, 4)
    again = read_frames(path, numbers(sampled))
    assert numbers(again) == numbers(sampled)
    assert [frame.time for frame in again] == [frame.time for frame in sampled]
    for first, second in zip(sampled, again, strict=True):
        np.testing.assert_array_equal(first.image, second.image)


def test_frames_come_in_the_order_asked_for(tmp_path: Path) -> None:
    path = make.write_video(tmp_path / "a.mp4")
    frames = read_frames(path, [20, 3, 11, 3])
    assert numbers(frames) == [make.frame_number(frame.image) for frame in frames] == [20, 3, 11, 3]


@pytest.mark.parametrize(("rate", "expected"), [(1.0, [0, 25, 50]), (2.0, [0, 13, 25, 38, 50, 63]), (0.3, [0])])
def test_sampling_takes_the_first_frame_of_every_interval(tmp_path: Path, rate: float, expected: list[int]) -> None:
    assert numbers(sample_frames(make.write_video(tmp_path / "a.mp4", 3.0), rate, 100)) == expected


def test_a_rate_above_the_clips_own_takes_every_frame(tmp_path: Path) -> None:
    assert numbers(sample_frames(make.write_video(tmp_path / "a.mp4", 1.0), 1000.0, 100)) == list(range(25))


@pytest.mark.parametrize("most", [1, 2, 3, 4, 7, 50])
@pytest.mark.parametrize("seconds", [0.2, 1.0, 12.0])
def test_a_bounded_number_of_frames_spreads_over_the_whole_clip(tmp_path: Path, most: int, seconds: float) -> None:
    path = make.write_video(tmp_path / "a.mp4", seconds, codec="mpeg4", size=(64, 48))
    total = round(25 * seconds)
    found = numbers(sample_frames(path, 25.0, most))
    assert len(found) == min(most, total) and found == sorted(set(found))
    ideal = (np.arange(len(found)) + 0.5) * total / len(found)
    assert np.abs(np.array(found) - ideal).max() <= max(1.0, 0.5 * total / len(found))


def test_sampling_is_deterministic(tmp_path: Path) -> None:
    path = make.write_video(tmp_path / "a.mp4", 4.0)
    first, second = (sample_frames(path, 10.0, 5) for _ in range(2))
    assert all(a.frame == b.frame and np.array_equal(a.image, b.image) for a, b in zip(first, second, strict=True))


def test_times_count_in_a_clip_of_variable_frame_rate(tmp_path: Path) -> None:
    times = [0.0, 0.12, 0.2, 1.52, 1.6, 1.72, 4.0, 4.04]
    path = make.write_video(tmp_path / "a.mkv", times=times, codec="mpeg4")
    frames = sample_frames(path, 1.0, 100)
    assert [(frame.frame, round(frame.time, 2)) for frame in frames] == [(0, 0.0), (3, 1.52), (6, 4.0)]


def test_times_count_from_the_first_frame(tmp_path: Path) -> None:
    path = make.write_video(tmp_path / "a.mkv", times=[7 + i / 25 for i in range(50)], codec="mpeg4")
    assert [(frame.frame, round(frame.time, 3)) for frame in sample_frames(path, 1.0, 9)] == [(0, 0.0), (25, 1.0)]


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_a_turned_recording_comes_upright(tmp_path: Path, rotation: int) -> None:
    straight = sample_frames(make.write_video(tmp_path / "a.mp4"), 1.0, 1)[0].image
    turned = sample_frames(make.write_video(tmp_path / "b.mp4", rotation=rotation), 1.0, 1)[0].image
    np.testing.assert_array_equal(turned, np.rot90(straight, rotation // 90))


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
@pytest.mark.parametrize("mirrored", [(True, False), (False, True), (True, True)])
def test_a_mirrored_recording_comes_as_it_is_shown(tmp_path: Path, rotation: int, mirrored: tuple[bool, bool]) -> None:
    """set_display_rotation turns first, then mirrors left to right and upside down."""
    straight = sample_frames(make.write_video(tmp_path / "a.mp4"), 1.0, 1)[0].image
    path = make.write_video(tmp_path / "b.mp4", rotation=rotation, mirrored=mirrored)
    shown = np.rot90(straight, rotation // 90)[:: -1 if mirrored[1] else 1, :: -1 if mirrored[0] else 1]
    np.testing.assert_array_equal(sample_frames(path, 1.0, 1)[0].image, shown)


@pytest.mark.parametrize(("pixel_width", "shape"), [(Fraction(2), (120, 320, 3)), (Fraction(3, 4), (120, 120, 3))])
@pytest.mark.parametrize("rotation", [0, 90])
def test_pixels_that_are_not_square_are_made_square_before_the_picture_is_turned(
    tmp_path: Path, pixel_width: Fraction, shape: tuple[int, int, int], rotation: int
) -> None:
    path = make.write_video(tmp_path / "a.mp4", 1.0, pixel_width=pixel_width, rotation=rotation)
    frames = sample_frames(path, 3.0, 3)
    upright = [np.rot90(frame.image, -rotation // 90) for frame in frames]
    assert all(image.shape == shape for image in upright)
    assert [make.frame_number(image) for image in upright] == numbers(frames)
    for first, again in zip(frames, read_frames(path, numbers(frames)), strict=True):
        np.testing.assert_array_equal(first.image, again.image)


def test_an_absurd_shape_of_pixels_is_a_damaged_header(tmp_path: Path) -> None:
    path = make.write_video(tmp_path / "a.mp4", pixel_width=Fraction(200))
    assert sample_frames(path, 1.0, 1)[0].image.shape == (120, 160, 3)


def test_pixels_made_square_are_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make.write_video(tmp_path / "wide.mp4", pixel_width=Fraction(2))
    monkeypatch.setattr("pipeline.media.video.MAX_PIXELS", 320 * 120 - 1)
    with pytest.raises(MediaError, match=r"wide\.mp4: 320 x 120 px is more than"):
        sample_frames(path, 1.0, 1)


def test_transport_streams_joined_end_to_end_are_sampled_throughout(tmp_path: Path) -> None:
    """Each begins its clock anew: the second's times are those of the first."""
    parts = [make.write_video(tmp_path / f"{i}.ts", 3.0, codec="mpeg2video", seed=i) for i in range(2)]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames = sample_frames(path, 1.0, 100)
    times = [frame.time for frame in frames]
    assert len(frames) == 6 and times == sorted(times) and times[-1] > 4.5
    assert [frame.frame for frame in frames] == pytest.approx([0, 25, 50, 75, 100, 125], abs=2)


def test_a_damaged_display_matrix_turns_nothing(tmp_path: Path) -> None:
    straight = sample_frames(make.write_video(tmp_path / "a.mp4"), 1.0, 1)[0].image
    path = make.write_video(tmp_path / "b.mp4", rotation=90)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd", data.index(b"trak")) + 44  # the matrix of the track header, 36 bytes
    data[at : at + 36] = bytes(36)
    path.write_bytes(data)
    np.testing.assert_array_equal(sample_frames(path, 1.0, 1)[0].image, straight)


def test_an_image_is_its_one_frame(tmp_path: Path) -> None:
    path = make.write_image(tmp_path / "a.png", number=5)
    (sampled,), (again,) = sample_frames(path, 1.0, 4), read_frames(path, [0])
    assert (sampled.frame, sampled.time, make.frame_number(sampled.image)) == (0, 0.0, 5)
    np.testing.assert_array_equal(sampled.image, again.image)
    with pytest.raises(MediaError, match=r"a\.png: has no frame 1"):
        read_frames(path, [0, 1])


@pytest.mark.parametrize("name", ["clip.mp4", "photo.jpg"])
def test_sizes_alone_are_those_of_the_frames_that_sampling_gives(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    media = make.write_video(path, 3.0) if name == "clip.mp4" else make.write_image(path, orientation=6)
    whole, sizes = sample_frames(media, 8.0, 4), sample_frames(media, 8.0, 4, pixels=False)
    assert [(one.frame, one.time) for one in sizes] == [(one.frame, one.time) for one in whole]
    assert [one.image.shape for one in sizes] == [(*one.image.shape[:2], 0) for one in whole]


def test_a_frame_beyond_the_end_is_refused(tmp_path: Path) -> None:
    path = make.write_video(tmp_path / "a.mp4", 1.0)
    with pytest.raises(MediaError, match=r"a\.mp4: has no frame 25"):
        read_frames(path, [3, 25])


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    cover = make.write_image(tmp_path / "cover.jpg")
    path = make.write_audio_track(tmp_path / "song.mp3", make.tone(1.0, 16000), 16000, "libmp3lame", cover)
    with pytest.raises(MediaError, match=r"song\.mp3: has no video track"):
        sample_frames(path, 1.0, 1)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("name", "codec"), CONTAINERS)
def test_a_damaged_clip_gives_the_same_pixels_again(tmp_path: Path, name: str, codec: str, seed: int) -> None:
    path = make.write_video(tmp_path / name, 2.0, codec=codec)
    data = bytearray(path.read_bytes())
    generator = np.random.default_rng(seed)
    for place in generator.integers(len(data) // 4, 3 * len(data) // 4, 12):
        data[place] = generator.integers(256)
    path.write_bytes(data)
    sampled = sample_frames(path, 25.0, 30)
    for again in (read_frames(path, numbers(sampled)), sample_frames(path, 25.0, 30)):
        assert all(np.array_equal(a.image, b.image) for a, b in zip(sampled, again, strict=True))


def test_damage_in_the_middle_leaves_the_other_frames(tmp_path: Path) -> None:
    whole = make.write_video(tmp_path / "a.mp4", 4.0, codec="mpeg4").read_bytes()
    path = tmp_path / "damaged.mp4"
    path.write_bytes(whole)
    make.scramble(path, 0.4, 0.5)
    sampled = sample_frames(path, 5.0, 100)
    assert make.frame_number(sampled[0].image) == 0 and len(sampled) > 8
    again = read_frames(path, numbers(sampled))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(sampled, again, strict=True))


@pytest.mark.parametrize("name", ["a.mpg", "a.mkv", "a.avi"])
def test_a_cut_off_clip_gives_the_frames_before_the_cut(tmp_path: Path, name: str) -> None:
    codec = {"a.mpg": "mpeg2video", "a.mkv": "libx264", "a.avi": "mpeg4"}[name]
    path = make.cut(make.write_video(tmp_path / name, 4.0, codec=codec), 0.5)
    found = sample_frames(path, 5.0, 100)
    assert 5 <= len(found) <= 15
    assert make.frame_number(found[0].image) == 0


def test_what_has_no_decodable_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("not a film\n" * 100)
    make.write_sound(tmp_path / "voice.wav", make.tone(1.0, 16000))
    make.cut(make.write_video(tmp_path / "index_lost.mp4"), 0.5)  # the index of an mp4 is at its end
    make.scramble(make.write_video(tmp_path / "scrambled.mkv", codec="mpeg4"), 0.1, 1.0)
    for name in ("empty.mp4", "text.mp4", "voice.wav", "index_lost.mp4", "scrambled.mkv", "absent.mp4"):
        with pytest.raises(MediaError, match=name):
            sample_frames(tmp_path / name, 1.0, 4)


def test_frames_above_the_pixel_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make.write_video(tmp_path / "wide.mp4", 0.2, size=(640, 480))
    monkeypatch.setattr("pipeline.media.containers.MAX_PIXELS", 640 * 480 - 1)
    with pytest.raises(MediaError, match=r"wide\.mp4: no frame of its video \(h264\) decodes"):
        sample_frames(path, 1.0, 1)


def test_the_decoder_says_nothing_on_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = make.scramble(make.write_video(tmp_path / "a.mp4", 2.0), 0.2, 0.6)
    sample_frames(path, 5.0, 10)
    captured = capfd.readouterr()
    assert captured.out == "" and "@ 0x" not in captured.err  # as in "[h264 @ 0x55d0] error while decoding"


def test_real_clips_give_the_same_pixels_twice(shared: Path) -> None:
    for path in sorted((shared / "data/grid").glob("*.mpg")):
        sampled = sample_frames(path, 1.0, 4)
        assert numbers(sampled) == [0, 25, 50] and sampled[0].image.shape == (288, 360, 3)
        for first, second in zip(sampled, read_frames(path, [0, 25, 50]), strict=True):
            np.testing.assert_array_equal(first.image, second.image)
