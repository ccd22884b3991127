"""What every stage does with its command line, and the commands beside the stages."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.extraction.item_cache import ItemCache
from tests.stages.project import Project

pytestmark = pytest.mark.stage

STAGES = ("import_features", "manifest", "detect_faces", "embed_faces", "embed_voices", "protocol", "report", "trials")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project of which only params.yaml exists: a stage that ran would fail or leave artifacts."""
    made = Project(tmp_path, in_process=True)
    made.params()
    return made


@pytest.mark.parametrize("stage", [*STAGES, "train", "evaluate"])
def test_help_tells_and_runs_nothing(project: Project, stage: str) -> None:
    assert project.run(stage, "--help") == ""
    assert not (project.folder / "artifacts").exists()


@pytest.mark.parametrize("stage", STAGES)
def test_arguments_that_a_stage_does_not_take_are_refused(project: Project, stage: str) -> None:
    assert "It takes no arguments, but got --days 3" in project.run(stage, "--days", "3", fails=True)
    assert not (project.folder / "artifacts").exists()


def test_a_stage_started_by_its_module_takes_its_arguments_from_the_command_line(project: Project) -> None:
    apart = Project(project.folder)
    assert "It takes no arguments, but got --days 3" in apart.run("manifest", "--days", "3", fails=True)


def test_keys_of_a_run_that_do_nothing_in_it_are_named_and_none_of_the_shipped_are(project: Project) -> None:
    assert "WARNING" not in project.run("settings")
    runs = {
        "pairs": {"method": "two_branch", "order": "random"},
        "closed": {"method": "identity_cca", "loss": "git", "learning_rate": 0.1},
        "samples": {"order": "random", "learning_rate": 0.1},
    }
    project.params(experiments=runs)
    warned = [line for line in project.run("settings").splitlines() if "WARNING" in line]
    assert len(warned) == 2
    assert "experiments.pairs: order does nothing in a run of method two_branch; remove it" in warned[0]
    assert "experiments.closed: loss, learning_rate do nothing in a run of method identity_cca" in warned[1]


@pytest.fixture
def filled(project: Project) -> Project:
    """Its item cache holds two entries."""
    with ItemCache(project.home / "items.sqlite") as cache:
        cache.put({key: {"embeddings": np.zeros(100_000, np.float32)} for key in ("one", "two")})
    return project


@pytest.mark.parametrize("days", ["-1", "nan", "inf", "soon"])
def test_days_that_are_none_drop_nothing(filled: Project, days: str) -> None:
    assert "argument --days" in filled.run("cache", "prune", f"--days={days}", fails=True)
    assert "2 entries" in filled.run("cache", "size")


def test_pruning_shrinks_the_file_and_says_so(filled: Project) -> None:
    assert "0 entries dropped" in filled.run("cache", "prune", "--days", "1")
    said = filled.run("cache", "prune", "--days", "0")
    assert "2 entries dropped" in said and "0 entries, 0.0 MB" in said
