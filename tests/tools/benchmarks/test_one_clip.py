"""The benchmark's clip is a new medium of the same content, and its sums add up."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline.media import decode_audio, probe, sample_frames
from tests import media_factory as make
from tests.stages.project import ROOT
from tools.benchmarks.one_clip.__main__ import EXTRACTION, RETRAINING, Cost, Seconds
from tools.benchmarks.one_clip.clone import add_clip, alone_with, clone_project, with_other_bytes
from tools.benchmarks.one_clip.timed import Timed, run, spans


def test_clip_with_other_bytes_shows_and_sounds_the_same(tmp_path: Path) -> None:
    film, other = tmp_path / "film.mp4", tmp_path / "other.mp4"
    make.write_video(film, 0.8, samples=make.tone(0.8, 16000))
    other.write_bytes(with_other_bytes(film.read_bytes(), 1))
    assert other.read_bytes() != film.read_bytes() and probe(other) == probe(film)
    np.testing.assert_array_equal(decode_audio(other, 16000), decode_audio(film, 16000))
    for mine, theirs in zip(sample_frames(other, 5.0, 4), sample_frames(film, 5.0, 4), strict=True):
        np.testing.assert_array_equal(mine.image, theirs.image)


@pytest.mark.parametrize(("people", "left"), [(0, 128), (1, 1)])
def test_clone_keeps_the_people_asked_for_and_all_where_none_is_said(tmp_path: Path, people: int, left: int) -> None:
    clone = clone_project(tmp_path / "clone", people, all_runs=False)
    assert len([path for path in (clone / "data" / "demo").glob("id*") if path.is_dir()]) == left


def test_every_clip_that_comes_is_another_one_of_the_first_person(tmp_path: Path) -> None:
    for name in ("id0002", "id0001"):
        make.write_video(tmp_path / "data" / "demo" / name / "0.mp4", 0.4)
    clips = [add_clip(tmp_path, number) for number in range(2)]
    assert {clip.parent.name for clip in clips} == {"id0001"}
    bytes_of = [path.read_bytes() for path in (tmp_path / "data" / "demo" / "id0001").iterdir()]
    assert len({hashlib.sha256(data).digest() for data in bytes_of}) == 3


def test_clip_alone_finds_the_networks_that_the_clone_has_converted_and_no_item(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    (clone / ".sbnet" / "networks" / "facenet").mkdir(parents=True)
    (clone / ".sbnet" / "items.sqlite").touch()
    (clone / "params.yaml").write_text("manifest: {media: data/demo}\n")
    clip = make.write_video(clone / "data" / "demo" / "id0001" / "0.mp4", 0.4)
    alone = alone_with(clip, clone, tmp_path / "alone")
    assert (alone / ".sbnet" / "networks" / "facenet").is_dir() and not (alone / ".sbnet" / "items.sqlite").exists()
    assert [path.name for path in (alone / "media").rglob("*.mp4")] == ["0.mp4"]


def test_every_stage_that_a_clip_runs_is_one_of_the_parts() -> None:
    stages = set(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])
    of_other_inputs = {"settings", "import_features", "media", "manifest", "fuse"}  # the manifest counts as overhead
    assert stages - of_other_inputs == {*EXTRACTION, *RETRAINING}


def test_stage_lasts_until_the_next_one_begins() -> None:
    lines = [(1.0, "noise\n"), (2.0, "Running stage 'a':\n"), (2.5, "> a\n"), (5.0, "Running stage 'b@x':\n")]
    assert spans(lines, 9.0) == {"a": 3.0, "b@x": 4.0}
    assert spans([(1.0, "Data and pipelines are up to date.\n")], 2.0) == {}


def test_overhead_is_what_no_part_accounts_for() -> None:
    parts = {"detect_faces": Timed(3.0, 2.0, ""), "embed_voices": Timed(2.0, 1.0, "")}
    cost = Cost(Timed(20.0, 15.0, ""), parts, Seconds(7.0, 6.0))
    assert cost.overhead(Seconds(4.0, 3.0)) == Seconds(4.0, 3.0)


def test_command_is_timed_with_what_its_processes_computed(tmp_path: Path) -> None:
    timed = run(["-c", "print(sum(range(10**7)))"], tmp_path)
    assert timed.log == "49999995000000\n" and 0.02 < timed.processor <= timed.seconds + 0.1


def test_command_that_fails_says_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no such luck"):
        run(["-c", "raise SystemExit('no such luck')"], tmp_path)
