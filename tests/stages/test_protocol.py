"""The protocol stage, run as DVC runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from pipeline.protocol import read_protocol
from tests.pipeline.protocol.corpora import PARAMS, Tables, tables

ROOT = PARAMS.parent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text(PARAMS.read_text())
    return tmp_path


def run(project: Path, parts: Tables) -> subprocess.CompletedProcess[str]:
    for folder, index in (("faces", parts.faces), ("voices", parts.voices)):
        (project / "artifacts" / folder).mkdir(parents=True, exist_ok=True)
        index.to_parquet(project / "artifacts" / folder / "index.parquet", index=False)
    parts.manifest.to_parquet(project / "artifacts" / "manifest.parquet", index=False)
    command = [sys.executable, "-m", "stages.protocol"]
    return subprocess.run(
        command, cwd=project, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )


def test_the_stage_writes_every_file(project: Path) -> None:
    done = run(project, tables(people=40))
    assert done.returncode == 0, done.stderr
    made = read_protocol(project / "artifacts" / "protocol")
    assert len(made.train_pairs) and len(made.verification) and len(made.matching)
    summary = json.loads((project / "artifacts" / "protocol" / "summary.json").read_text())
    assert summary["identities"] == {"train": 25, "validation": 5, "test": 10}
    assert summary["source"] == "generated"


def test_too_few_people_end_the_stage_with_the_reason(project: Path) -> None:
    done = run(project, tables(people=4))
    assert done.returncode == 1
    assert "ProtocolError: 4 identities have both a face and a voice" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project / "artifacts" / "protocol").exists()


def test_a_stale_store_ends_the_stage(project: Path) -> None:
    parts = tables(people=30)
    strangers = parts.voices.assign(identity=parts.voices["identity"].replace("person007", "nobody"))
    done = run(project, Tables(parts.manifest, parts.faces, pd.DataFrame(strangers)))
    assert done.returncode == 1 and "'nobody'" in done.stderr
