"""The stage as it is run: params.yaml in, artifacts/manifest.parquet out, errors without a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.manifest.schema import read_manifest
from tests import media_factory as make

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the shipped params.yaml, one person's clip and header-only tables."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["manifest"] |= {"media": "media", "table": "items.csv", "identities": "people.csv", "columns": {}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    (tmp_path / "items.csv").write_text("path,identity\n")
    (tmp_path / "people.csv").write_text("identity,gender\nann,f\n")
    make.write_video(tmp_path / "media" / "ann" / "talk.mp4", 0.4, samples=make.tone(0.4, 16000))
    return tmp_path


def run(project: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "SBNET_"))}
    command = [sys.executable, "-m", "stages.manifest"]
    return subprocess.run(
        command, cwd=project, env={**environment, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )


def test_the_stage_writes_the_manifest_and_says_what_it_did(project: Path) -> None:
    done = run(project)
    assert done.returncode == 0, done.stderr
    assert read_manifest(project / "artifacts/manifest.parquet")["gender"].tolist() == ["f"]
    assert "manifest: 1 items (1 video) of 1 identities; 1 read, 0 cached, 0 unreadable" in done.stderr.splitlines()[-1]
    assert done.stdout == ""


def test_the_stage_fails_with_a_message_and_without_output(project: Path) -> None:
    (project / "people.csv").write_text("identity,gender\nann,x\n")
    done = run(project)
    assert done.returncode != 0
    assert "ManifestError: people.csv: metadata that cannot be read (1):" in done.stderr
    assert "people.csv line 2: gender 'x'" in done.stderr and "Traceback" not in done.stderr
    assert not (project / "artifacts").exists()


def test_a_failed_run_leaves_the_last_manifest(project: Path) -> None:
    assert run(project).returncode == 0
    before = (project / "artifacts/manifest.parquet").read_bytes()
    (project / "media" / "ann" / "two\nlines.jpg").write_bytes(b"")
    assert run(project).returncode != 0
    assert (project / "artifacts/manifest.parquet").read_bytes() == before
