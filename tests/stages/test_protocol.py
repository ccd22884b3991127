"""The protocol stage on tables of planted people."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from pipeline.protocol import read_protocol
from tests.pipeline.protocol.corpora import PARAMS, Tables, tables, write_whole_manifest
from tests.stages.project import Project

pytestmark = pytest.mark.stage


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "params.yaml").write_text(PARAMS.read_text())
    return Project(tmp_path, in_process=True)


def run(project: Project, parts: Tables, fails: bool = False) -> str:
    """The stage's stderr, on these tables."""
    artifacts = project.folder / "artifacts"
    for folder, index in (("faces", parts.faces), ("voices", parts.voices)):
        (artifacts / folder).mkdir(parents=True, exist_ok=True)
        index.to_parquet(artifacts / folder / "index.parquet", index=False)
    write_whole_manifest(artifacts / "manifest.parquet", parts.manifest)
    return project.run("protocol", fails=fails)


def test_the_stage_writes_every_file(project: Project) -> None:
    run(project, tables(people=40))
    made = read_protocol(project.folder / "artifacts" / "protocol")
    assert len(made.train_pairs) and len(made.verification) and len(made.matching)
    summary = json.loads((project.folder / "artifacts" / "protocol" / "summary.json").read_text())
    assert summary["identities"] == {"train": 25, "validation": 5, "test": 10}
    assert summary["source"] == "generated"


def test_too_few_people_end_the_stage_with_the_reason(project: Project) -> None:
    log = run(project, tables(people=4), fails=True)
    assert "ProtocolError: 4 identities have both a face and a voice" in log
    assert not (project.folder / "artifacts" / "protocol").exists()


def change(project: Project, **changes: object) -> None:
    raw = yaml.safe_load((project.folder / "params.yaml").read_text())
    raw["protocol"].update(changes)
    (project.folder / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))


def test_voices_alone_end_the_stage_because_no_run_could_train(project: Project) -> None:
    parts = tables(people=30)
    log = run(project, Tables(parts.manifest, parts.faces.iloc[:0], parts.voices), fails=True)
    assert "ProtocolError: nobody has both a face and a voice (0 identities have only a face, 30 only" in log
    assert not (project.folder / "artifacts" / "protocol").exists()


def test_no_test_people_end_the_stage_before_anything_trains(project: Project) -> None:
    change(project, test_ratio=0.0)
    log = run(project, tables(people=30), fails=True)
    assert "ProtocolError: protocol.test_ratio is 0, so that nobody is tested" in log


def test_runs_that_no_model_can_be_chosen_for_are_named_all_at_once(project: Project) -> None:
    """One recording a person: no genuine pair of two recordings within a modality."""
    log = run(project, tables(people=24, clips=1))
    for modality in ("face", "voice"):
        runs = ", ".join(f"{modality}_only_{loss}" for loss in ("fop", "center", "git"))
        assert f"{modality} rows from two recordings: give {runs} selection: last, or take them out" in log
    assert "single_fop" not in log
    assert "selection: last" not in run(project, tables(people=24))


def test_a_stale_store_ends_the_stage(project: Project) -> None:
    parts = tables(people=30)
    strangers = parts.voices.assign(identity=parts.voices["identity"].replace("person007", "nobody"))
    assert "'nobody'" in run(project, Tables(parts.manifest, parts.faces, pd.DataFrame(strangers)), fails=True)
