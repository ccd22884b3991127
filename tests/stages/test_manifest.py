"""The manifest stage: params.yaml in, artifacts/manifest.parquet out, errors without a traceback."""

from pathlib import Path

import pytest
import yaml

from pipeline.manifest.schema import read_manifest
from tests import media_factory as make
from tests.stages.project import ROOT, Project

pytestmark = pytest.mark.stage


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A folder with the shipped params.yaml, one person's clip and header-only tables."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["manifest"] |= {"media": "media", "table": "items.csv", "identities": "people.csv", "columns": {}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    (tmp_path / "items.csv").write_text("path,identity\n")
    (tmp_path / "people.csv").write_text("identity,gender\nann,f\n")
    make.write_video(tmp_path / "media" / "ann" / "talk.mp4", 0.4, samples=make.tone(0.4, 16000))
    return Project(tmp_path, in_process=True)


def test_the_stage_writes_the_manifest_and_says_what_it_did(project: Project) -> None:
    log = project.run("manifest")
    assert read_manifest(project.folder / "artifacts/manifest.parquet")["gender"].tolist() == ["f"]
    assert "manifest: 1 items (1 video) of 1 identities; 1 read, 0 cached, 0 unreadable" in log.splitlines()[-1]


def test_the_stage_fails_with_a_message_and_without_output(project: Project) -> None:
    (project.folder / "people.csv").write_text("identity,gender\nann,x\n")
    log = project.run("manifest", fails=True)
    assert "ManifestError: people.csv: metadata that cannot be read (1):" in log
    assert "people.csv line 2: gender 'x'" in log
    assert not (project.folder / "artifacts").exists()


def test_a_failed_run_leaves_the_last_manifest(project: Project) -> None:
    project.run("manifest")
    before = (project.folder / "artifacts/manifest.parquet").read_bytes()
    (project.media / "ann" / "two\nlines.jpg").write_bytes(b"")
    project.run("manifest", fails=True)
    assert (project.folder / "artifacts/manifest.parquet").read_bytes() == before
