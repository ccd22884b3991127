"""Numbers and names as DVC's command line writes them into params.yaml, through real DVC and a real stage."""

from pathlib import Path

import pytest

from pipeline.config import load_params
from pipeline.runtime.yaml_reader import parse_yaml
from tests import media_factory as make
from tests.faults.repository import RUN, Repository, copy_pipeline

pytestmark = pytest.mark.stage


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """The pipeline in git with two people's media; nothing has run yet."""
    repository = copy_pipeline(tmp_path)
    for number, person in enumerate(("ann", "bob")):
        make.write_video(repository.folder / "media" / person / "talk.mp4", 0.4, seed=number)
    repository.git("add", ".")
    repository.git("commit", "--quiet", "-m", "The pipeline and two clips")
    return repository


def test_values_of_the_command_line_are_what_the_stage_reads_and_dvc_records(repository: Repository) -> None:
    changes = (
        "train.learning_rate=1e-5",
        "losses.git.alpha_git=1.0e-5",
        "manifest.max_skip_ratio=0.00002",
        "report.title=no",
    )
    options = [part for change in changes for part in ("-S", change)]
    assert repository.dvc("exp", "run", *options, "manifest").ran == ["import_features", "manifest"]
    params = load_params(repository.folder / "params.yaml")
    assert params.train.learning_rate == params.losses["git"]["alpha_git"] == 1e-5
    assert params.report.title == "no"
    lock = parse_yaml((repository.folder / "dvc.lock").read_text())["stages"]["manifest"]
    assert lock["params"]["params.yaml"]["manifest"]["max_skip_ratio"] == params.manifest.max_skip_ratio == 2e-5


def test_run_named_by_a_number_is_refused_until_it_is_quoted(repository: Repository) -> None:
    params = repository.folder / "params.yaml"
    plain = params.read_text().replace(f"  {RUN}:", "  2024_11:")
    params.write_text(plain)
    assert "experiments: YAML reads the name 2024_11 as a number" in repository.dvc("repro", "manifest", fails=True).log
    params.write_text(plain.replace("2024_11", "'2024_11'"))
    repository.dvc("repro", "manifest")
    assert "train@2024_11" in repository.dvc("stage", "list").log
