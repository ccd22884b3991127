"""The stages on real people, only params.yaml changed: GRID from media to report, LibriSpeech as sound alone."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tests.stages.project import Project, make_project

pytestmark = pytest.mark.stage

SMALL_PROTOCOL = {"validation_ratio": 0.2, "test_ratio": 0.3, "seen_heard_clips": 0.0, "gallery_size": 2}
ONE_QUICK_RUN = {"epochs": 2, "batch_size": 4, "seeds": [0]}


@pytest.fixture(scope="module")
def grid(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Eleven clips of ten people, extracted."""
    folder = shared / "data/grid"
    with (folder / "clips.csv").open() as file:
        media = {f"{row['identity']}/{row['clip']}": folder / row["clip"] for row in csv.DictReader(file)}
    project = make_project(
        tmp_path_factory.mktemp("grid"),
        media,
        in_process=True,
        protocol=SMALL_PROTOCOL,
        train=ONE_QUICK_RUN,
        evaluate={"matching_sizes": [2], "bootstrap": 50},
    )
    project.extract()
    return project


def test_every_grid_clip_shows_a_face_in_every_sampled_frame(grid: Project) -> None:
    detections = grid.table("faces/detections.parquet")
    assert detections["item"].nunique() == 11
    assert (detections.groupby("item").size() == detections.groupby("item")["sampled"].first()).all()
    assert grid.table("faces/skipped.csv").empty and grid.table("voices/skipped.csv").empty


def test_every_grid_vector_is_finite_and_of_unit_norm(grid: Project) -> None:
    for modality in ("faces", "voices"):
        store = grid.store(modality)
        assert store.index["item"].nunique() == 11
        np.testing.assert_allclose(np.linalg.norm(store.matrix, axis=1), 1.0, atol=1e-4)


def test_faces_of_one_speaker_are_closer_than_any_two_speakers(grid: Project) -> None:
    faces = grid.store("faces")
    means = {
        item: faces.matrix[rows].mean(axis=0) / np.linalg.norm(faces.matrix[rows].mean(axis=0))
        for item, rows in faces.index.groupby("item").indices.items()
    }
    identity = faces.index.groupby("item")["identity"].first()
    pairs = {(a, b): float(means[a] @ means[b]) for a in means for b in means if a < b}
    same = [s for (a, b), s in pairs.items() if identity[a] == identity[b]]
    different = [s for (a, b), s in pairs.items() if identity[a] != identity[b]]
    assert len(same) == 1 and same[0] > max(different)


def test_grid_goes_on_to_scores_and_a_report(grid: Project) -> None:
    grid.run("protocol")
    grid.run("train", "single_fop")
    grid.run("evaluate", "single_fop")
    metrics = json.loads((grid.folder / "artifacts/runs/single_fop/metrics.json").read_text())
    rates = metrics["verification"]["cross_modal"]["random"]
    assert 0 <= rates["eer"] <= 100 and 0 <= rates["auc"] <= 100
    grid.run("report")
    page = (grid.folder / "artifacts/report/report.html").read_text()
    assert "CASIA-WebFace" in page


def libri(shared: Path, tmp_path: Path, utterances: int) -> Project:
    """Utterances as a corpus of sound alone, a folder per speaker, shortest first."""
    files = sorted((shared / "data/librispeech").glob("*.flac"), key=lambda path: path.stat().st_size)[:utterances]
    assert files
    media = {f"{path.name.split('-')[0]}/{path.name}": path for path in files}
    return make_project(tmp_path, media, in_process=True)


def check_sound_alone(project: Project, utterances: int) -> None:
    """Every utterance has its unit vector, no face was looked for, and the protocol still says what can be done."""
    project.extract()
    voices = project.store("voices")
    assert voices.index["item"].nunique() == len(voices.index) == utterances
    np.testing.assert_allclose(np.linalg.norm(voices.matrix, axis=1), 1.0, atol=1e-4)
    assert len(np.unique(voices.matrix.round(4), axis=0)) == utterances
    assert len(project.store("faces").index) == 0
    assert project.table("voices/skipped.csv").empty


def test_some_real_utterances_as_a_corpus_of_sound_alone(shared: Path, tmp_path: Path) -> None:
    check_sound_alone(libri(shared, tmp_path, 8), 8)


@pytest.mark.slow
def test_all_real_utterances_as_a_corpus_of_sound_alone(shared: Path, tmp_path: Path) -> None:
    check_sound_alone(libri(shared, tmp_path, 251), 251)
