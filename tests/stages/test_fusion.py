"""Fusions through DVC: they run when a member, their settings or their code changes, and at no other change."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from pipeline.config import load_params
from pipeline.resolved import resolved, settings_digest
from pipeline.scoring import MODEL
from pipeline.scoring.fusion import Fusion, load_trained
from pipeline.store import write_store
from tests.faults.repository import Repository
from tests.pipeline.training.protocol_files import FACES_EACH, VOICES_EACH, tables, write
from tests.stages.project import ROOT
from tests.stages.test_run_settings import by_hand, params, save
from tests.stages.test_train import _rows

pytestmark = [pytest.mark.stage, pytest.mark.slow]

RUNS = {"fop": {"loss": "fop"}, "git": {"loss": "git"}, "two": {"method": "two_branch", "loss": "ce"}}
FUSIONS = {"both": ["fop", "two"], "all": ["both", "git"]}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The real code, planted stores and the stages from settings to fuse of the real dvc.yaml, run once."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("pipeline", "stages", "extractors"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "weights"))
    for room, each in (("faces", FACES_EACH), ("voices", VOICES_EACH)):
        vectors, index = _rows(each)
        index["item"] = [f"{row:04d}" for row in range(len(index))]  # by which a store is sorted
        write_store(folder / "artifacts" / room, vectors, index, {"extractor": "planted"})
    write(folder / "artifacts" / "protocol", tables())
    graph = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    stages = {name: graph[name] for name in ("settings", "train", "fuse")}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["train"] |= {"epochs": 1, "batch_size": 16, "seeds": [0, 1]}
    raw["evaluate"] |= {"bootstrap": 0}
    raw |= {"experiments": RUNS, "fusions": FUSIONS}
    save(folder, raw)
    repository = Repository(folder, {"SBNET_HOME": str(folder / ".sbnet")})
    repository.git("init", "--quiet")
    repository.dvc("init", "--quiet")
    ran = repository.dvc("repro").ran
    assert sorted(ran) == sorted(["settings", *(f"train@{run}" for run in RUNS), "fuse@all", "fuse@both"])
    return repository


def test_a_fusion_is_a_run_with_a_model_and_figures(project: Repository) -> None:
    folder = project.folder / "artifacts" / "runs" / "all"
    fusion = load_trained(folder / MODEL)
    assert isinstance(fusion, Fusion) and list(fusion.contents) == ["fop", "git", "two"]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics["verification"]) == {"cross_modal", "face", "voice"}
    digest = settings_digest(resolved(load_params(project.folder / "params.yaml"), "all"))
    assert metrics["model"] == {"method": "fusion", "members": "fop, git, two", "settings": digest}
    assert metrics["selection"] == {"rule": "validation"}
    scores = pd.read_parquet(folder / "scores.parquet")
    assert {"score_0", "score_1"} <= set(scores) and "score_2" not in scores
    shown = project.dvc("metrics", "show", "--json").log
    assert "runs/all/summary.json" in shown and "runs/both/summary.json" in shown


def test_only_what_depends_on_a_change_runs_again(project: Repository) -> None:
    params(lambda raw: raw["losses"]["git"].update(alpha_git=0.5))(project.folder)
    assert sorted(project.dvc("repro").ran) == ["fuse@all", "settings", "train@git"]
    params(lambda raw: raw["evaluate"].update(dcf_target=0.1))(project.folder)
    assert sorted(project.dvc("repro").ran) == ["fuse@all", "fuse@both"]
    params(lambda raw: raw["experiments"].update(other={"loss": "ce"}))(project.folder)
    params(lambda raw: raw["fusions"].update(pair=["fop", "git"]))(project.folder)
    assert sorted(project.dvc("repro").ran) == ["fuse@pair", "settings", "train@other"]
    assert not project.dvc("repro").ran


@pytest.mark.parametrize(
    ("fusions", "message"),
    [
        ({"both": ["fop", "tow"]}, "fusions.both: no run 'tow' under experiments: or fusions:"),
        ({"both": ["fop", "choice"]}, "fusions.both: method svhf of run choice scores galleries, not pairs"),
        ({"both": ["fop", "face"]}, "fusions.both: fop was trained for modality both, face was trained for modality"),
    ],
)
def test_a_member_that_cannot_be_one_is_named_before_anything_is_trained(
    project: Repository, tmp_path: Path, fusions: dict[str, list[str]], message: str
) -> None:
    runs = {"choice": {"method": "svhf", "loss": "own", "selection": "last"}, "face": {"modality": "face"}}
    raw = yaml.safe_load((project.folder / "params.yaml").read_text())
    raw |= {"experiments": RUNS | runs, "fusions": fusions}
    copy = Repository(tmp_path / "copy", project.variables)
    shutil.copytree(project.folder, copy.folder, symlinks=True)
    save(copy.folder, raw)
    outcome = copy.dvc("repro", fails=True)
    assert outcome.ran == ["settings"] and message in outcome.log


@pytest.mark.parametrize(
    ("stage", "run", "message"),
    [
        ("train", "both", "both is a fusion, neither trained nor evaluated by itself: run `dvc repro fuse@both`"),
        ("evaluate", "both", "both is a fusion"),
        ("fuse", "fop", "no run 'fop' under fusions: in params.yaml; known: both, all"),
    ],
)
def test_a_stage_says_which_runs_are_its_own(project: Repository, stage: str, run: str, message: str) -> None:
    assert message in by_hand(project.folder, f"stages.{stage}", run)


def test_a_member_that_was_trained_otherwise_is_not_fused(project: Repository, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project.folder, copy, symlinks=True)
    params(lambda raw: raw["losses"]["fop"].update(alpha=0.25))(copy)
    subprocess.run([sys.executable, "-m", "stages.settings"], cwd=copy, check=True, capture_output=True)
    message = by_hand(copy, "stages.fuse", "both")
    assert "members of both were trained with other settings" in message and "dvc repro fuse@both" in message
