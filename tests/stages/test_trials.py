"""The stage that shows a run's errors, on tiny media: bounded, the same bytes again, and without media on demand."""

import re
from pathlib import Path

import pytest
import yaml

from tests.media_factory import noise, write_image, write_sound
from tests.stages.project import Project, make_project

pytestmark = pytest.mark.stage

PEOPLE = 12
PAGE = "artifacts/report/trials.html"
HOSTILE = 'id"><img src=x onerror=alert(1)>'


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Twelve people of noise, whom nothing could match: half of all trials are errors."""
    made = make_project(
        tmp_path_factory.mktemp("project"),
        {},
        in_process=True,
        detect_faces={"detector": "none"},
        embed_voices={"weights": "untrained"},
        protocol={"validation_ratio": 0.25, "test_ratio": 0.5, "trials": 60, "galleries": 10, "gallery_size": 3},
        train={"epochs": 1, "batch_size": 2, "seeds": [0]},
        evaluate={"matching_sizes": [2], "bootstrap": 0},
        trials={"shown": 2, "seconds": 0.2, "side": 24},
    )
    for person in range(PEOPLE):
        folder = made.media / f"{HOSTILE}{person}"
        for number in range(2):
            write_image(folder / f"{number}.png", 2 * person + number, 48, 48)
            write_sound(folder / f"{number}.wav", noise(0.6, 16000, 2 * person + number))
    made.extract()
    made.run("protocol")
    made.run("train", "single_fop")
    made.run("evaluate", "single_fop")
    return made


def changed(project: Project, tmp_path: Path, **trials: object) -> Project:
    copy = project.copy(tmp_path / "copy")
    path = copy.folder / "params.yaml"
    raw = yaml.safe_load(path.read_text())
    raw["trials"] |= trials
    path.write_text(yaml.safe_dump(raw, sort_keys=False))
    return copy


def test_page_holds_a_bounded_number_of_faces_and_voices(project: Project) -> None:
    log = project.run("trials")
    html = (project.folder / PAGE).read_text(encoding="utf-8")
    assert re.search(r"trials: \d+ wrong trials, \d+ galleries of single_fop", log)
    assert 2 <= html.count('<article class="card"') <= 2 * 2 + 2 * 2  # of the one list there is, and two directions
    assert html.count("data:image/jpeg;base64,") >= 2 and html.count('class="play"') >= 2
    assert len(html) < 200_000
    assert "<img src=x" not in html and "&lt;img src=x onerror=alert(1)&gt;" in html


def test_same_results_give_the_same_bytes(project: Project) -> None:
    project.run("trials")
    first = (project.folder / PAGE).read_bytes()
    project.run("trials")
    assert (project.folder / PAGE).read_bytes() == first


def test_media_that_must_not_be_copied_are_not(project: Project, tmp_path: Path) -> None:
    copy = changed(project, tmp_path, media=False)
    for path in sorted(copy.media.rglob("*.*")):
        path.unlink()  # nothing reads them
    copy.run("trials")
    html = (copy.folder / PAGE).read_text(encoding="utf-8")
    assert "not copied into this page" in html and "data:image/jpeg" not in html and 'class="play"' not in html
    assert '<article class="card"' in html


def test_media_that_are_elsewhere_are_named_and_harm_nothing(project: Project, tmp_path: Path) -> None:
    copy = changed(project, tmp_path)
    for path in sorted(copy.media.rglob("*.wav")):
        path.unlink()
    assert "excerpts cannot be shown" in copy.run("trials")
    html = (copy.folder / PAGE).read_text(encoding="utf-8")
    assert "the file is not there" in html and "media cannot be shown; each says why" in html


def test_fusion_is_shown_as_a_run_is_and_not_exported(project: Project, tmp_path: Path) -> None:
    copy = changed(project, tmp_path, run="both")
    path = copy.folder / "params.yaml"
    raw = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(raw | {"fusions": {"both": ["single_fop", "two_fop"]}}, sort_keys=False))
    for stage in ("settings", "train"):
        copy.run(stage, *(["two_fop"] if stage == "train" else []))
    copy.run("fuse", "both")
    assert "galleries of both" in copy.run("trials")
    html = (copy.folder / PAGE).read_text(encoding="utf-8")
    assert "<h1>Errors of both</h1>" in html and '<article class="card"' in html
    said = copy.run("export", "both", "--to", "onnx", fails=True)
    assert "run both is a fusion, which has no embeddings to export: export its members, single_fop, two_fop" in said


def test_run_that_is_unknown_or_not_evaluated_is_refused(project: Project, tmp_path: Path) -> None:
    copy = changed(project, tmp_path / "unknown", run="single_fob")
    assert "did you mean 'single_fop'" in copy.run("trials", fails=True)
    copy = changed(project, tmp_path / "other", run="two_fop")
    assert "run `dvc repro evaluate@two_fop`" in copy.run("trials", fails=True)


def test_a_model_of_another_protocol_is_not_shown(project: Project, tmp_path: Path) -> None:
    copy = changed(project, tmp_path)
    path = copy.folder / "params.yaml"
    raw = yaml.safe_load(path.read_text())
    raw["protocol"]["seed"] = 1 + raw["protocol"]["seed"]
    path.write_text(yaml.safe_dump(raw, sort_keys=False))
    copy.run("protocol")
    said = copy.run("trials", fails=True)
    assert "was trained under another protocol" in said and "run `dvc repro train@single_fop`" in said
