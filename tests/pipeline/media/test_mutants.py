"""Damaged media of every kind: each call gives sound arrays or a MediaError, and frames that can be read again."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import MediaError
from pipeline.media import decode_audio, probe, read_frames, sample_frames
from tests import media_factory as make

RATE = 16000  # Hz
MUTANTS = 24  # of each medium


def originals(folder: Path) -> list[Path]:
    tone, high = make.tone(0.4, RATE), make.tone(0.4, 48000)
    return [
        make.write_video(folder / "a.mp4", 0.4, samples=tone),
        make.write_video(folder / "a.avi", 0.4, codec="mpeg4", samples=tone, audio_codec="libmp3lame"),
        make.write_video(
            folder / "a.webm", 0.4, codec="libvpx", samples=high, sample_rate=48000, audio_codec="libopus"
        ),
        make.write_video(folder / "a.mpg", 0.4, codec="mpeg2video", samples=high, sample_rate=48000, audio_codec="mp2"),
        make.write_sound(folder / "a.wav", tone, subtype="FLOAT"),
        make.write_sound(folder / "a.flac", make.noise(0.4, RATE)),
        make.write_image(folder / "a.jpg"),
        make.write_image(folder / "a.png"),
    ]


def mutants(data: bytes, generator: np.random.Generator) -> Iterator[bytes]:
    """Cut off, changed here and there, changed in the header, with a stretch overwritten or missing."""
    for number in range(MUTANTS):
        mutant = bytearray(data)
        start, length = int(generator.integers(len(data))), int(generator.integers(1, 400))
        if number % 5 == 0:
            del mutant[start:]
        elif number % 5 == 1:
            mutant[start : start + length] = generator.bytes(length)
        elif number % 5 == 2:
            del mutant[start : start + length]
        else:
            within = len(data) if number % 5 == 3 else min(200, len(data))
            for place in generator.integers(within, size=8):
                mutant[place] = generator.choice([0, 127, 128, 255, int(generator.integers(256))])
        yield bytes(mutant)


def judge(path: Path) -> None:
    """Use a medium in every way; a call that is refused must be refused by name."""
    try:
        probe(path)
    except MediaError as error:
        assert path.name in str(error)
    try:
        waveform = decode_audio(path, RATE)
        assert waveform.dtype == np.float32 and np.isfinite(waveform).all() and np.abs(waveform).max() <= 1
    except MediaError as error:
        assert path.name in str(error)
    try:
        frames = sample_frames(path, 10.0, 4)
        again = read_frames(path, [frame.frame for frame in frames])
        assert all(np.array_equal(a.image, b.image) for a, b in zip(frames, again, strict=True))
    except MediaError as error:
        assert path.name in str(error)


@pytest.mark.parametrize("which", range(8))
def test_every_mutant_gives_usable_arrays_or_a_media_error(tmp_path: Path, which: int) -> None:
    original = originals(tmp_path)[which]
    path = tmp_path / f"mutant{original.suffix}"
    for data in mutants(original.read_bytes(), np.random.default_rng(which)):
        path.write_bytes(data)
        judge(path)


def test_a_clock_without_ticks_leaves_the_frames(tmp_path: Path) -> None:
    path = make.write_video(tmp_path / "a.mp4", 1.0)
    data = bytearray(path.read_bytes())
    at = data.index(b"mdhd") + 16  # ticks a second of the track
    data[at : at + 4] = bytes(4)
    path.write_bytes(data)
    frames = sample_frames(path, 5.0, 100)
    assert [make.frame_number(frame.image) for frame in frames] == [frame.frame for frame in frames]
    assert all(np.isfinite(frame.time) for frame in frames)
