"""Excerpts of real tiny media: the face in its box, the loudest part of a voice, and why there is neither."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.files import sha256_of
from pipeline.media import decode_audio, read_frames
from pipeline.report.trial_media import Excerpts, Sizes, excerpts, loudest, voice_clip
from tests.media_factory import noise, tone, write_image, write_sound, write_video

SIZES = Sizes(side=32, seconds=0.5)
Boxes = dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]


def found_in(media: Path, faces: list[tuple[str, int]], voices: list[str], boxes: Boxes) -> Excerpts:
    names = sorted(path.name for path in media.iterdir())
    digests = [sha256_of(media / name) for name in names]
    manifest = pd.DataFrame({"item": names, "path": names, "digest": digests})
    return excerpts(faces, voices, manifest, boxes, lambda path: media / path, SIZES)


def faces_at(frames: list[int], boxes: list[list[float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.array(frames), np.array(boxes, np.float32), np.zeros((len(frames), 5, 2), np.float32)


def test_thumbnail_is_the_box_of_its_frame(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "a.mp4", 1.0, samples=noise(1.0, 16000))
    boxes = {"a.mp4": faces_at([3, 20], [[40.2, 30.4, 103.8, 94.1], [-5.0, 60.0, 20.0, 500.0]])}
    found = found_in(tmp_path, [("a.mp4", 20), ("a.mp4", 3)], [], boxes)
    first, last = (np.array(Image.open(io.BytesIO(found.faces["a.mp4", frame])), np.float64) for frame in (3, 20))
    assert first.shape == (32, 32, 3)
    assert last.shape == (32, 11, 3)  # 20 x 60 px of the frame, the rest is outside
    frames = [sampled.image for sampled in read_frames(clip, [3, 20])]
    for thumbnail, cut in ((first, frames[0][30:94, 40:104]), (last, frames[1][60:120, 0:20])):
        assert np.abs(thumbnail.mean(axis=(0, 1)) - cut.mean(axis=(0, 1))).max() < 4.0


def test_voice_is_heard_where_it_is_loudest(tmp_path: Path) -> None:
    quiet, loud = 0.01 * tone(1.0, 16000, 300.0), tone(0.5, 16000, 1000.0)
    path = write_sound(tmp_path / "a.wav", np.concatenate([quiet, loud, quiet]))
    clip = tmp_path / "clip.mp3"
    clip.write_bytes(voice_clip(path, SIZES.seconds))
    heard = decode_audio(clip, 16000)
    assert 0.4 < len(heard) / 16000 < 0.75  # MP3's frames and its padding
    assert np.abs(np.fft.rfft(heard)).argmax() * 16000 / len(heard) == pytest.approx(1000.0, abs=5.0)
    assert np.sqrt(np.mean(np.square(heard))) > 0.25


def test_loudest_part_is_found_as_by_trying_every_start() -> None:
    waveform = noise(0.1, 1000, seed=4)
    energies = [float(np.sum(np.square(waveform[start : start + 30], dtype=np.float64))) for start in range(71)]
    assert np.array_equal(loudest(waveform, 30), waveform[(best := int(np.argmax(energies))) : best + 30])
    assert np.array_equal(loudest(waveform, 100), waveform) and np.array_equal(loudest(waveform, 101), waveform)


def test_same_media_give_the_same_bytes(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", 5)
    write_sound(tmp_path / "b.wav", noise(1.0, 16000))
    boxes = {"a.png": faces_at([0], [[10, 10, 90, 90]])}
    first, again = (found_in(tmp_path, [("a.png", 0)], ["b.wav"], boxes) for _ in range(2))
    assert first == again and isinstance(first.faces["a.png", 0], bytes) and isinstance(first.voices["b.wav"], bytes)


def test_what_cannot_be_shown_says_why(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("changed.png", "gone.png", "unseen.png"):
        write_image(tmp_path / name, 5)
    write_sound(tmp_path / "gone.wav", noise(1.0, 16000))
    names = sorted(path.name for path in tmp_path.iterdir())
    digests = [sha256_of(tmp_path / name) for name in names]
    manifest = pd.DataFrame({"item": names, "path": names, "digest": digests})
    (tmp_path / "gone.png").unlink()
    (tmp_path / "gone.wav").unlink()
    write_image(tmp_path / "changed.png", 6)
    boxes = {name: faces_at([0], [[10, 10, 90, 90]]) for name in names}
    boxes["unseen.png"] = faces_at([1], [[10, 10, 90, 90]])
    faces = [(name, 0) for name in names if name.endswith("png")]
    found = excerpts(faces, ["gone.wav"], manifest, boxes, lambda path: tmp_path / path, SIZES)
    assert found.faces["changed.png", 0] == "changed.png: has changed since the manifest was made"
    assert str(found.faces["gone.png", 0]).startswith("gone.png: the file is not there")
    assert str(found.faces["unseen.png", 0]).startswith("unseen.png: no face is known in frame 0")
    assert str(found.voices["gone.wav"]).startswith("gone.wav: the file is not there")
    assert "4 of 4 excerpts cannot be shown, first: changed.png" in caplog.text
