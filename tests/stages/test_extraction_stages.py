"""The extraction stages on real media: what is extracted, what is not extracted again, what bad media does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.files import sha256_of
from pipeline.media import decode_audio
from tests.media_factory import noise, rename_codec, write_image, write_sound, write_video
from tests.stages.project import DEMO, Project, make_project

pytestmark = pytest.mark.stage

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
    """Four demo people, two clips each, extracted once, by stages in processes of their own with decode workers."""
    project = make_project(tmp_path_factory.mktemp("demo"), demo_clips(4, 2))
    return project, project.extract()


@pytest.fixture(scope="module")
def two_extracted(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two demo people, one clip each, extracted once: tests change a copy."""
    project = make_project(tmp_path_factory.mktemp("two"), demo_clips(2, 1), in_process=True)
    project.extract()
    return project


@pytest.fixture
def two(two_extracted: Project, tmp_path: Path) -> Project:
    """A copy of the two people's project, with stores and item cache."""
    return two_extracted.copy(tmp_path)


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
    project = replace(extracted[0], in_process=True)
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
    again = make_project(tmp_path, media, in_process=True)
    again.extract()
    for name in ("faces/embeddings.safetensors", "faces/index.parquet", "voices/embeddings.safetensors"):
        assert sha256_of(again.folder / "artifacts" / name) == sha256_of(extracted[0].folder / "artifacts" / name), name


def test_one_more_clip_costs_one_extraction_of_each_kind(two: Project) -> None:
    name, clip = list(demo_clips(3, 1).items())[2]
    (two.media / name).parent.mkdir()
    (two.media / name).write_bytes(clip.read_bytes())
    assert set(last_lines(two.extract()).values()) == {"1 extracted, 2 cached, 0 skipped"}
    (two.media / name).unlink()
    assert set(last_lines(two.extract()).values()) == {"0 extracted, 2 cached, 0 skipped"}
    assert name not in set(two.store("faces").index["item"])


def test_mute_films_beside_sound_are_no_skips(tmp_path: Path) -> None:
    """RAVDESS and the like: a film without sound and its sound beside it; half of the items would be skipped."""
    project = make_project(tmp_path, {}, in_process=True, detect_faces={"max_skip_ratio": 1.0})
    for person in ("id1", "id2"):
        write_video(project.media / person / "talk.mp4", 0.4, seed=int(person[-1]))
        write_sound(project.media / person / "talk.wav", noise(1.2, 16000, int(person[-1])))
    assert "videos without an audio track: 2; no voice" in project.run("manifest")
    counts = last_lines(project.run("embed_voices"))
    assert counts == {"embed_voices": "2 extracted, 0 cached, 0 skipped"}
    assert project.table("voices/skipped.csv").empty
    assert list(project.store("voices").index["item"]) == ["id1/talk.wav", "id2/talk.wav"]


def test_tracks_without_a_decoder_are_skips_that_name_the_codec(tmp_path: Path) -> None:
    project = make_project(tmp_path, {}, in_process=True, **SILENT_ABOUT_SKIPS)
    film = write_video(project.media / "id1" / "sound.mov", 0.4, samples=noise(0.4, 16000), audio_codec="pcm_s16le")
    rename_codec(film, b"sowt")
    film = write_video(project.media / "id1" / "pictures.mp4", 0.4, samples=noise(1.2, 16000))
    rename_codec(film, b"avc1")
    log = project.run("manifest")
    assert "id1/sound.mov: its audio track (zzz1) has no decoder" in log
    assert "id1/pictures.mp4: its video track (zzz1) has no decoder" in log
    project.run("detect_faces")
    project.run("embed_voices")
    for table, item, words in (
        ("faces/detect_skipped.csv", "id1/pictures.mp4", "its video (zzz1) has no decoder"),
        ("voices/skipped.csv", "id1/sound.mov", "its audio (zzz1) has no decoder"),
    ):
        assert words in project.table(table).set_index("item").loc[item, "reason"]
    assert list(project.store("voices").index["item"]) == ["id1/pictures.mp4"]


def test_what_is_done_to_a_waveform_makes_another_result_and_the_official_ones_stay_cached(tmp_path: Path) -> None:
    project = make_project(tmp_path, {}, in_process=True, **SILENT_ABOUT_SKIPS)
    speech = decode_audio(DEMO / "id0001" / "0.mp4", 16000)
    silence = np.zeros(5 * 16000, np.float32)
    write_sound(project.media / "id1" / "a.wav", speech)
    write_sound(project.media / "id2" / "b.wav", np.concatenate([silence, speech]))
    write_sound(project.media / "id3" / "c.wav", 0.5 * speech + np.float32(0.03))
    project.run("manifest")
    official = {"max_skip_ratio": 1.0}
    logs, similar = [], []
    for options in (official, {**official, "trim": True, "remove_offset": True}, official):
        project.params(embed_voices=options)
        logs.append(project.run("embed_voices"))
        vectors = project.store("voices").matrix
        similar.append(vectors[0] @ vectors[1:].T)
    counts = [last_lines(log)["embed_voices"] for log in logs]
    assert counts == ["3 extracted, 0 cached, 0 skipped"] * 2 + ["0 extracted, 3 cached, 0 skipped"]
    silent_lead, offset = np.transpose(similar)
    assert silent_lead[0] < 0.9 < silent_lead[1] and offset[0] < 0.98 < offset[1]
    assert np.array_equal(similar[0], similar[2])
    warning = "id3/c.wav: its DC offset is 3.0 % of full scale"
    assert [log.count(warning) for log in logs] == [1, 0, 0] and "id1/a.wav: its DC" not in logs[0]


def test_changed_crop_margin_embeds_faces_anew_and_detects_none(two: Project) -> None:
    before = two.store("faces").matrix
    two.params(embed_faces={"margin": 20})
    counts = last_lines(two.extract())
    assert counts["detect_faces"] == counts["embed_voices"] == "0 extracted, 2 cached, 0 skipped"
    assert counts["embed_faces"] == "2 extracted, 0 cached, 0 skipped"
    assert not np.array_equal(before, two.store("faces").matrix)


def test_renamed_medium_is_not_extracted_again(two: Project) -> None:
    name = next(iter(demo_clips(2, 1)))
    (two.media / name).rename(two.media / Path(name).parent / "renamed.mp4")
    assert set(last_lines(two.extract()).values()) == {"0 extracted, 2 cached, 0 skipped"}
    assert any(item.endswith("renamed.mp4") for item in two.store("voices").index["item"])


def test_medium_that_changed_since_the_manifest_is_not_cached_under_its_old_digest(tmp_path: Path) -> None:
    project = make_project(tmp_path, {}, in_process=True, **SILENT_ABOUT_SKIPS)
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
    project = make_project(tmp_path, demo_clips(2, 1), in_process=True, **SILENT_ABOUT_SKIPS)
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
    project = make_project(tmp_path, demo_clips(1, 1), in_process=True)
    write_sound(project.media / "id9999" / "silent.wav", np.zeros(16000, np.float32))
    project.run("manifest")
    log = project.run("embed_voices", fails=True)
    assert "1 of 2 items were skipped" in log and "silent.wav" in log and "max_skip_ratio" in log
    assert not (project.folder / "artifacts/voices/embeddings.safetensors").exists()


def test_corpus_of_sound_alone_passes_every_stage(tmp_path: Path) -> None:
    project = make_project(tmp_path, {}, in_process=True)
    for person in range(2):
        write_sound(project.media / f"id{person}" / "a.wav", noise(1.2, 16000, person))
    project.extract()
    assert len(project.store("faces").index) == 0 and len(project.store("voices").index) == 2


@pytest.mark.slow
def test_another_voice_extractor_needs_its_name_alone(tmp_path: Path) -> None:
    project = make_project(tmp_path, demo_clips(2, 1), embed_voices={"extractor": "campplus"})
    project.run("manifest")
    log = project.run("embed_voices")
    assert "embed_voices: not used by campplus: seed, weights" in log
    voices = project.store("voices")
    assert voices.matrix.shape == (2, 192)
    assert voices.provenance["reading"] == {"remove_offset": False, "trim": False}
    assert voices.provenance["extractor"] == "campplus" and voices.provenance["options"] == {
        "max_seconds": 20.0,
        "precision": "float32",
    }


def test_unknown_extractor_lists_the_known_ones(tmp_path: Path) -> None:
    project = make_project(tmp_path, demo_clips(1, 1), in_process=True, embed_voices={"extractor": "wavlm"})
    project.run("manifest")
    assert "utterance_aggregator" in project.run("embed_voices", fails=True)
