"""The protocol stage, run as DVC runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from pipeline.protocol import read_protocol
from tests.pipeline.protocol.corpora import PARAMS, Tables, tables, write_whole_manifest

ROOT = PARAMS.parent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text(PARAMS.read_text())
    return tmp_path


def run(project: Path, parts: Tables) -> subprocess.CompletedProcess[str]:
    for folder, index in (("faces", parts.faces), ("voices", parts.voices)):
        (project / "artifacts" / folder).mkdir(parents=True, exist_ok=True)
        index.to_parquet(project / "artifacts" / folder / "index.parquet", index=False)
    write_whole_manifest(project / "artifacts" / "manifest.parquet", parts.manifest)
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


def change(project: Path, **changes: object) -> None:
    raw = yaml.safe_load((project / "params.yaml").read_text())
    raw["protocol"].update(changes)
    (project / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))


def test_voices_alone_end_the_stage_because_no_run_could_train(project: Path) -> None:
    parts = tables(people=30)
    done = run(project, Tables(parts.manifest, parts.faces.iloc[:0], parts.voices))
    assert done.returncode == 1
    assert "ProtocolError: nobody has both a face and a voice (0 identities have only a face, 30 only" in done.stderr
    assert not (project / "artifacts" / "protocol").exists()


def test_no_test_people_end_the_stage_before_anything_trains(project: Path) -> None:
    change(project, test_ratio=0.0)
    done = run(project, tables(people=30))
    assert done.returncode == 1
    assert "ProtocolError: protocol.test_ratio is 0, so that nobody is tested" in done.stderr


def test_runs_that_no_model_can_be_chosen_for_are_named_all_at_once(project: Path) -> None:
    """One recording a person: no genuine pair of two recordings within a modality."""
    done = run(project, tables(people=24, clips=1))
    assert done.returncode == 0, done.stderr
    for modality in ("face", "voice"):
        runs = ", ".join(f"{modality}_only_{loss}" for loss in ("fop", "center", "git"))
        assert f"{modality} rows from two recordings: give {runs} selection: last, or take them out" in done.stderr
    assert "single_fop" not in done.stderr
    assert "selection: last" not in run(project, tables(people=24)).stderr


def test_a_stale_store_ends_the_stage(project: Path) -> None:
    parts = tables(people=30)
    strangers = parts.voices.assign(identity=parts.voices["identity"].replace("person007", "nobody"))
    done = run(project, Tables(parts.manifest, parts.faces, pd.DataFrame(strangers)))
    assert done.returncode == 1 and "'nobody'" in done.stderr
