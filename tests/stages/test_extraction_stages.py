"""The extraction stages on real media: what is extracted, what is not extracted again, what bad media does."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.files import sha256_of
from tests.media_factory import noise, write_image, write_sound
from tests.stages.project import DEMO, Project, make_project

SILENT_ABOUT_SKIPS = {
    name: {"max_skip_ratio": 1.0} for name in ("manifest", "detect_faces", "embed_faces", "embed_voices")
}


def demo_clips(people: int, clips: int) -> dict[str, Path]:
    """Clips of the shipped corpus by the name they get in a project."""
    folders = sorted(path for path in DEMO.glob("*") if path.is_dir())[:people]
    return {f"{folder.name}/{clip.name}": clip for folder in folders for clip in sorted(folder.glob("*.mp4"))[:clips]}


def last_lines(log: str) -> dict[str, str]:
    """The line of counts that each stage ends with."""
    lines = [line for line in log.splitlines() if " items: " in line]
    return {line.split(": ")[1]: line.split(" items: ")[1] for line in lines}


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    """Four demo people, two clips each, extracted once."""
    project = make_project(tmp_path_factory.mktemp("demo"), demo_clips(4, 2))
    return project, project.extract()


def test_every_clip_yields_faces_and_a_voice_as_unit_vectors(extracted: tuple[Project, str]) -> None:
    project, log = extracted
    faces, voices = project.store("faces"), project.store("voices")
    items = sorted(demo_clips(4, 2))
    assert sorted(set(faces.index["item"])) == items == voices.index["item"].tolist()
    for store in (faces, voices):
        assert store.matrix.dtype == np.float32 and store.matrix.shape == (len(store.index), 512)
        np.testing.assert_allclose(np.linalg.norm(store.matrix, axis=1), 1.0, atol=1e-4)
    assert last_lines(log)["embed_voices"] == "8 extracted, 0 cached, 0 skipped"


def test_faces_of_one_person_are_closer_than_those_of_two(extracted: tuple[Project, str]) -> None:
    faces = extracted[0].store("faces")
    similarity = faces.matrix @ faces.matrix.T
    person, clip = faces.index["identity"].to_numpy(), faces.index["clip"].to_numpy()
    same = (person[:, None] == person) & (clip[:, None] != clip)
    assert similarity[same].mean() > similarity[person[:, None] != person].mean() + 0.1


def test_second_run_extracts_nothing_and_gives_the_same_bytes(extracted: tuple[Project, str]) -> None:
    project = extracted[0]
    outputs = [path for path in project.folder.glob("artifacts/*/*") if path.is_file()]
    before = {path: sha256_of(path) for path in outputs}
    log = project.extract()
    for stage in ("detect_faces", "embed_faces", "embed_voices"):
        assert last_lines(log)[stage] == "0 extracted, 8 cached, 0 skipped"
    assert before == {path: sha256_of(path) for path in outputs}


def test_empty_cache_other_workers_and_order_give_the_same_bytes(
    extracted: tuple[Project, str], tmp_path: Path
) -> None:
    media = dict(reversed(demo_clips(4, 2).items()))
    again = make_project(tmp_path, media)
    again.extract(SBNET_WORKERS="0")
    for name in ("faces/embeddings.safetensors", "faces/index.parquet", "voices/embeddings.safetensors"):
        assert sha256_of(again.folder / "artifacts" / name) == sha256_of(extracted[0].folder / "artifacts" / name), name


def test_one_more_clip_costs_one_extraction_of_each_kind(extracted: tuple[Project, str], tmp_path: Path) -> None:
    project = make_project(tmp_path, demo_clips(2, 1))
    project.extract()
    name, clip = list(demo_clips(3, 1).items())[2]
    (project.media / name).parent.mkdir()
    (project.media / name).write_bytes(clip.read_bytes())
    log = project.extract()
    assert set(last_lines(log).values()) == {"1 extracted, 2 cached, 0 skipped"}
    (project.media / name).unlink()
    assert set(last_lines(project.extract()).values()) == {"0 extracted, 2 cached, 0 skipped"}
    assert name not in set(project.store("faces").index["item"])


def test_changed_crop_margin_embeds_faces_anew_and_detects_none(tmp_path: Path) -> None:
    project = make_project(tmp_path, demo_clips(2, 1))
    project.extract()
    before = project.store("faces").matrix
    project.params(embed_faces={"margin": 20})
    counts = last_lines(project.extract())
    assert counts["detect_faces"] == counts["embed_voices"] == "0 extracted, 2 cached, 0 skipped"
    assert counts["embed_faces"] == "2 extracted, 0 cached, 0 skipped"
    assert not np.array_equal(before, project.store("faces").matrix)


def test_renamed_medium_is_not_extracted_again(tmp_path: Path) -> None:
    project = make_project(tmp_path, demo_clips(2, 1))
    project.extract()
    name = next(iter(demo_clips(2, 1)))
    (project.media / name).rename(project.media / Path(name).parent / "renamed.mp4")
    assert set(last_lines(project.extract()).values()) == {"0 extracted, 2 cached, 0 skipped"}
    assert any(item.endswith("renamed.mp4") for item in project.store("voices").index["item"])


def test_medium_that_changed_since_the_manifest_is_not_cached_under_its_old_digest(tmp_path: Path) -> None:
    project = make_project(tmp_path, {}, **SILENT_ABOUT_SKIPS)
    sound = write_sound(project.media / "id1" / "a.wav", noise(1.2, 16000, 1))
    write_sound(project.media / "id2" / "b.wav", noise(1.2, 16000, 2))
    project.run("manifest")
    write_sound(sound, noise(1.2, 16000, 3))
    log = project.run("embed_voices", fails=True)
    assert last_lines(log) == {"embed_voices": "1 extracted, 0 cached, 1 skipped"}
    assert "id1/a.wav: a.wav: has changed since the manifest was made" in log and "run `dvc repro` again" in log
    project.run("manifest")
    counts = last_lines(project.run("embed_voices"))
    assert counts == {"embed_voices": "1 extracted, 1 cached, 0 skipped"}


def test_media_that_cannot_be_used_is_skipped_with_its_reason(tmp_path: Path) -> None:
    project = make_project(tmp_path, demo_clips(2, 1), **SILENT_ABOUT_SKIPS)
    bad = project.media / "id9999"
    bad.mkdir()
    clip = next(iter(demo_clips(1, 1).values())).read_bytes()
    (bad / "empty.mp4").write_bytes(b"")
    (bad / "text.mp4").write_text("I am no video\n" * 100)
    (bad / "cut.mp4").write_bytes(clip[: len(clip) // 10])
    write_image(bad / "faceless.jpg")
    write_sound(bad / "silent.wav", np.zeros(16000, np.float32))
    write_sound(bad / "good_8khz_stereo.wav", np.stack([noise(1.5, 8000), noise(1.5, 8000, 1)], axis=1), 8000)
    project.extract()
    faces = project.table("faces/skipped.csv").set_index("item")["reason"]
    voices = project.table("voices/skipped.csv").set_index("item")["reason"]
    assert "no face" in faces["id9999/faceless.jpg"]
    assert "silent" in voices["id9999/silent.wav"]
    for name in ("empty", "text", "cut"):
        assert f"id9999/{name}.mp4" in faces.index.union(voices.index), name
    used = set(project.store("voices").index["item"])
    assert "id9999/good_8khz_stereo.wav" in used
    manifest = set(project.table("manifest.parquet")["item"])
    seen = used | set(project.store("faces").index["item"]) | set(faces.index) | set(voices.index)
    assert manifest == seen, "every item is embedded or in a skipped.csv"


def test_too_many_unusable_media_stop_the_stage_and_say_so(tmp_path: Path) -> None:
    project = make_project(tmp_path, demo_clips(1, 1))
    write_sound(project.media / "id9999" / "silent.wav", np.zeros(16000, np.float32))
    project.run("manifest")
    log = project.run("embed_voices", fails=True)
    assert "1 of 2 items were skipped" in log and "silent.wav" in log and "max_skip_ratio" in log
    assert not (project.folder / "artifacts/voices/embeddings.safetensors").exists()


def test_corpus_of_sound_alone_passes_every_stage(tmp_path: Path) -> None:
    project = make_project(tmp_path, {})
    for person in range(2):
        write_sound(project.media / f"id{person}" / "a.wav", noise(1.2, 16000, person))
    project.extract()
    assert len(project.store("faces").index) == 0 and len(project.store("voices").index) == 2


def test_another_voice_extractor_needs_its_name_alone(tmp_path: Path) -> None:
    project = make_project(tmp_path, demo_clips(2, 1), embed_voices={"extractor": "campplus"})
    project.run("manifest")
    log = project.run("embed_voices")
    assert "embed_voices: not used by campplus: seed, weights" in log
    voices = project.store("voices")
    assert voices.matrix.shape == (2, 192)
    assert voices.provenance["extractor"] == "campplus" and voices.provenance["options"] == {"max_seconds": 20.0}


def test_unknown_extractor_lists_the_known_ones(tmp_path: Path) -> None:
    project = make_project(tmp_path, demo_clips(1, 1), embed_voices={"extractor": "wavlm"})
    project.run("manifest")
    assert "utterance_aggregator" in project.run("embed_voices", fails=True)
