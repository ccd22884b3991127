"""A manifest's row as the stages hand it to their decode workers."""

import copy
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from extractors.faces.crop import SquareCrop
from pipeline.errors import GoneError, MediaError
from pipeline.extraction.decoding import CutFaces, SampleFrames
from pipeline.extraction.fingerprint import fingerprint_of
from pipeline.extraction.tasks import Task, prepared, task_of
from pipeline.files import sha256_of
from pipeline.media import decode_audio
from tests.media_factory import frame_number, tone, write_image, write_sound

SAMPLE = SampleFrames(1.0, 4)
FACES = CutFaces(SquareCrop(160, 0), np.array([0, 3]), np.arange(8.0).reshape(2, 4), np.arange(20.0).reshape(2, 5, 2))


def rows(**changes: object) -> list[object]:
    """Two rows: a film of two hours, and a medium of unknown duration that takes a minute at 50 kB a second."""
    columns = {"item": ["a/film.mp4", "b/0.mp4"], "path": ["a/film.mp4", "b/0.mp4"], "digest": ["d1", "d2"]}
    manifest = pd.DataFrame({**columns, "duration": [7200.0, None], "size": [900_000_000, 3_000_000], **changes})
    return list(manifest.astype({"duration": "Float64", "size": "Int64"}).itertuples(index=False))


def key(prepare: object = SAMPLE, fingerprint: str = "extractor", path: str = "a/film.mp4") -> str:
    return task_of(rows()[0], Path(path), prepare, fingerprint).key  # type: ignore[arg-type]


def test_item_is_given_the_minutes_of_its_row() -> None:
    assert [task_of(row, Path("film.mp4"), SAMPLE, "extractor").minutes for row in rows()] == [120.0, 1.0]


def test_key_follows_the_bytes_the_extractor_and_what_the_worker_runs() -> None:
    first, second = (task_of(row, Path("film.mp4"), SAMPLE, "extractor").key for row in rows())
    assert len({first, second, key(fingerprint="another"), key(replace(SAMPLE, max_frames=3))}) == 4
    assert first == key(path="moved/elsewhere.mp4")


@pytest.mark.parametrize(
    "changes",
    [
        {"prepare": SquareCrop(160, 40)},
        {"prepare": SquareCrop(112, 0)},
        {"frames": np.array([0, 4])},
        {"boxes": np.arange(8.0).reshape(2, 4) + 1},
        {"landmarks": np.full((2, 5, 2), np.nan)},
    ],
)
def test_key_of_faces_follows_every_number_of_their_crops(changes: dict[str, object]) -> None:
    assert key(replace(FACES, **changes)) != key(FACES)  # type: ignore[arg-type]
    assert key(copy.deepcopy(FACES)) == key(FACES)


def test_what_has_no_fingerprint_is_refused_instead_of_left_out() -> None:
    with pytest.raises(TypeError, match="set has no fingerprint"):
        fingerprint_of({"options": {1, 2}})
    assert fingerprint_of([1, 2]) != fingerprint_of([12])


def test_medium_that_is_not_what_the_manifest_saw_gives_no_payload(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.png", number=5)
    task = Task("a", path, "key", SAMPLE, digest=sha256_of(path))
    (frame,) = prepared(task)
    assert frame_number(frame.image) == 5
    with pytest.raises(GoneError, match="has changed since the manifest"):
        prepared(replace(task, digest="0" * 64))


@pytest.mark.parametrize("kept", [0, 30, 8000])
def test_medium_that_is_being_copied_is_gone_and_not_broken(tmp_path: Path, kept: int) -> None:
    """What it holds in the end may be the manifest's bytes again: a skip would never be made good."""
    path = write_sound(tmp_path / "a.wav", tone(1.0, 16000))
    whole = path.read_bytes()
    task = Task("a", path, "key", partial(decode_audio, sample_rate=16000), digest=sha256_of(path))
    path.write_bytes(whole[:kept])
    with pytest.raises(GoneError, match="has changed since the manifest"):
        prepared(task)
    broken = replace(task, digest=sha256_of(path))  # the manifest saw it so: then it is broken
    with pytest.raises(MediaError) as refused:
        prepared(broken)
    assert not isinstance(refused.value, GoneError)
