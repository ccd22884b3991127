"""Broken and odd media through all extraction stages at once: each item is embedded, or skipped with its reason."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.media_factory import cut, noise, scramble, write_image, write_sound
from tests.stages.project import Project, make_project
from tests.stages.test_extraction_stages import SILENT_ABOUT_SKIPS, demo_clips

pytestmark = [pytest.mark.faults, pytest.mark.stage]

PERSON = "id9999"


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two sound clips and one of each fault, extracted."""
    loose = {**SILENT_ABOUT_SKIPS, "manifest": {"max_skip_ratio": 1.0}}
    project = make_project(tmp_path_factory.mktemp("media"), demo_clips(2, 1), **loose)
    break_videos(project.media / PERSON)
    break_sounds(project.media / PERSON)
    write_image(project.media / PERSON / "no_face.jpg")
    two_faces(project)
    project.extract()
    return project


def break_videos(folder: Path) -> None:
    """Copies of one clip, damaged here and there."""
    folder.mkdir(parents=True)
    data = list(demo_clips(3, 1).values())[2].read_bytes()
    for name in ("header", "middle", "tail", "empty", "cut"):
        (folder / f"{name}.mp4").write_bytes(data)
    scramble(folder / "header.mp4", 0.0, 0.02)
    scramble(folder / "middle.mp4", 0.45, 0.55)
    scramble(folder / "tail.mp4", 0.9, 1.0)
    cut(folder / "empty.mp4", 0.0)
    cut(folder / "cut.mp4", 0.1)


def break_sounds(folder: Path) -> None:
    """Utterances of every odd kind."""
    write_sound(folder / "silent.wav", np.zeros(16000, np.float32))
    write_sound(folder / "short.wav", noise(0.05, 16000, 1))
    write_sound(folder / "rate8k.wav", noise(1.5, 8000, 2), 8000)
    write_sound(folder / "stereo.wav", np.stack([noise(1.5, 16000, 3), noise(1.5, 16000, 4)], axis=1))
    samples = noise(1.5, 16000, 5)
    samples[8000] = np.nan
    write_sound(folder / "nan.wav", samples, subtype="FLOAT")
    for name, share in (("longer.wav", 0.75), ("tenth.wav", 0.1)):  # of the sound that the header declares
        longer = bytearray(write_sound(folder / name, noise(1.5, 16000, 6), subtype="PCM_16").read_bytes())
        at = longer.index(b"data") + 4
        longer[at : at + 4] = struct.pack("<I", round((len(longer) - at - 4) / share))
        (folder / name).write_bytes(longer)


def two_faces(project: Project) -> None:
    """A picture with the faces of two people side by side."""
    from pipeline.media import sample_frames

    faces = [sample_frames(clip, 1.0, 1)[0].image for clip in demo_clips(2, 1).values()]
    height = min(face.shape[0] for face in faces)
    Image.fromarray(np.concatenate([face[:height] for face in faces], axis=1)).save(
        project.media / PERSON / "two_faces.png"
    )


def test_every_item_is_embedded_or_skipped_with_a_reason(extracted: Project) -> None:
    manifest = extracted.table("manifest.parquet").set_index("item")
    for modality, kinds in (("faces", ("video", "image")), ("voices", ("video", "audio"))):
        skipped = extracted.table(f"{modality}/skipped.csv")
        assert skipped["reason"].str.len().min() > 5
        used = set(extracted.store(modality).index["item"])
        due = set(manifest.index[manifest["kind"].isin(kinds)])
        assert used | set(skipped["item"]) == due and not used & set(skipped["item"]), modality


@pytest.mark.parametrize(
    ("name", "modality", "reason"),
    [
        ("header.mp4", "voices", "read"),
        ("empty.mp4", "faces", "empty"),
        ("empty.mp4", "voices", "empty"),
        ("cut.mp4", "voices", "read"),
        ("no_face.jpg", "faces", "no face"),
        ("silent.wav", "voices", "silent"),
        ("short.wav", "voices", "0.050 s"),
        ("nan.wav", "voices", "NaN"),
        ("tenth.wav", "voices", "cut off or damaged"),
    ],
)
def test_unusable_item_says_why(extracted: Project, name: str, modality: str, reason: str) -> None:
    reasons = extracted.table(f"{modality}/skipped.csv").set_index("item")["reason"]
    assert reason in reasons[f"{PERSON}/{name}"]


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("middle.mp4", "faces"),
        ("tail.mp4", "faces"),
        ("rate8k.wav", "voices"),
        ("stereo.wav", "voices"),
        ("longer.wav", "voices"),
        ("two_faces.png", "faces"),
    ],
)
def test_odd_item_is_used(extracted: Project, name: str, modality: str) -> None:
    index = extracted.store(modality).index
    assert f"{PERSON}/{name}" in set(index["item"])


def test_two_faces_in_a_picture_give_the_one_that_was_asked_for(extracted: Project) -> None:
    boxes = extracted.table("faces/detections.parquet")
    assert (boxes["item"] == f"{PERSON}/two_faces.png").sum() == 1
