"""What retrains a run and what does not, asked of DVC itself in a project of its own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.resolved import imported_below
from pipeline.store import write_store
from tests.pipeline.training.protocol_files import FACES_EACH, VOICES_EACH, tables, write
from tests.stages.project import ROOT
from tests.stages.test_train import _rows

pytestmark = pytest.mark.stage

RUNS = {"fop": {"loss": "fop"}, "git": {"loss": "git"}, "two": {"method": "two_branch", "loss": "ce"}}
LOSS = '''
"""A loss that a user adds."""
from pipeline.losses.base import Loss, LossInput, LossSizes, register
from pipeline.losses.ce import cross_entropy
from pipeline.settings import Section


@register("mine")
class Mine(Loss):
    class Options(Section):
        weight: float

    def __init__(self, options, sizes, generator):
        super().__init__(options, sizes, generator)
        self.weight = options.weight

    def forward(self, batch):
        return self.weight * cross_entropy(batch.logits, batch.labels)
'''
METHOD = '''
"""A method that a user adds."""
from pipeline.methods.base import register
from pipeline.methods.sbnet import SBNet


@register("my_method")
class MyMethod(SBNet):
    """Another name."""
'''


def dvc(project: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "DVC_ROOT")}
    environment |= {"SBNET_DEVICE": "cpu", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=project, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the real code, planted stores, and the stages settings and train of the real dvc.yaml."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("pipeline", "stages", "extractors"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "weights"))
    for room, each in (("faces", FACES_EACH), ("voices", VOICES_EACH)):
        write_store(folder / "artifacts" / room, *_rows(each), {"extractor": "planted"})
    write(folder / "artifacts" / "protocol", tables())
    graph = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    stages = {name: graph["stages"][name] for name in ("settings", "train")}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["train"] |= {"epochs": 1, "batch_size": 16, "seeds": [0]}
    raw["experiments"] = RUNS
    save(folder, raw)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    dvc(folder, "init", "-q")
    dvc(folder, "config", "core.analytics", "false")
    dvc(folder, "repro")
    return folder


def save(project: Path, raw: dict[str, Any]) -> None:
    (project / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))


def retrained(project: Path) -> set[str]:
    """The runs that DVC would train again, once it has written the settings anew."""
    dvc(project, "repro", "settings")
    stages = json.loads(dvc(project, "status", "--json"))
    return {name.removeprefix("train@") for name in stages if name.startswith("train@")}


def params(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def changed(project: Path) -> None:
        raw = yaml.safe_load((project / "params.yaml").read_text())
        change(raw)
        save(project, raw)

    return changed


def code(name: str, text: str) -> Callable[[Path], None]:
    def changed(project: Path) -> None:
        with (project / name).open("a") as file:
            file.write(text)

    return changed


def a_loss_with_its_section(project: Path) -> None:
    code("pipeline/losses/mine.py", LOSS)(project)
    params(lambda raw: raw["losses"].update(mine={"weight": 1.0}))(project)


def a_method_with_its_section(project: Path) -> None:
    code("pipeline/methods/my_method.py", METHOD)(project)
    params(lambda raw: raw["methods"].update(my_method=raw["methods"]["sbnet"]))(project)


def a_loss_that_imports(statement: str, imported: str) -> Callable[[Path], None]:
    """The loss `mine` with one more import, and the file that it names."""

    def changed(project: Path) -> None:
        if not (project / "pipeline/losses/mine.py").exists():
            a_loss_with_its_section(project)
        code("pipeline/losses/mine.py", f"\n{statement}\n")(project)
        (project / imported).parent.mkdir(exist_ok=True)
        code(imported, "SCALE = 1.0\n")(project)

    return changed


def what_no_run_uses(project: Path) -> None:
    params(lambda raw: raw["recipes"].update(mine={"epochs": 9}))(project)  # a new recipe
    params(lambda raw: raw["recipes"]["paper"].update(epochs=9))(project)
    a_loss_with_its_section(project)
    a_method_with_its_section(project)
    params(lambda raw: raw["losses"]["center"].update(alpha=0.5, another_option=1.0))(project)
    code("pipeline/losses/ntxent.py", "\n")(project)
    params(lambda raw: raw["experiments"].pop("two"))(project)
    params(lambda raw: raw["train"].update(alternate_epochs=3))(project)


CHANGES: dict[str, tuple[Callable[[Path], None], set[str]]] = {
    "what no run uses": (what_no_run_uses, set()),
    "a run more": (params(lambda raw: raw["experiments"].update(more={"loss": "center"})), {"more"}),
    "an option of a loss": (params(lambda raw: raw["losses"]["fop"].update(alpha=0.5)), {"fop"}),
    "an option of a method": (params(lambda raw: raw["methods"]["two_branch"].update(dropout=0.1)), {"two"}),
    "code that a loss imports": (code("pipeline/losses/center.py", "\n"), {"git"}),
    "code of a method": (code("pipeline/methods/sbnet.py", "\n"), {"fop", "git"}),
    "the order of samples": (params(lambda raw: raw["train"].update(order="random")), {"fop", "git"}),
    "a key of train": (params(lambda raw: raw["train"].update(weight_decay=0.1)), {"fop", "git", "two"}),
}


# Those whose like is among the others take `make test` too long.
SLOW = ("a run more", "an option of a method", "code of a method", "the order of samples")


@pytest.mark.parametrize(
    "change", [pytest.param(one, marks=[pytest.mark.slow] if one in SLOW else []) for one in CHANGES]
)
def test_a_change_retrains_the_runs_that_use_what_changed_and_no_other(project: Path, change: str) -> None:
    make, expected = CHANGES[change]
    shutil.copytree(project, before := project.with_name("before"), symlinks=True)
    try:
        make(project)
        assert retrained(project) == expected
    finally:
        shutil.rmtree(project)
        before.rename(project)


def test_a_run_with_a_users_loss_trains_and_its_code_must_stay_what_it_was(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(project, folder, symlinks=True)
    a_loss_with_its_section(folder)
    params(lambda raw: raw["experiments"].update(mine={"loss": "mine"}))(folder)
    dvc(folder, "repro", "train@mine")
    assert (folder / "artifacts" / "runs" / "mine" / "model.safetensors").exists()
    code("pipeline/losses/mine.py", "\n")(folder)
    done = subprocess.run(
        [sys.executable, "-m", "stages.train", "mine"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "pipeline/losses/mine.py has changed since artifacts/settings/mine.json was written" in done.stderr


@pytest.mark.slow
def test_code_that_a_loss_imports_from_anywhere_below_pipeline_retrains_its_run(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(project, folder, symlinks=True)
    files = {"from .own_parts import SCALE": "pipeline/losses/own_parts.py", "import pipeline.own": "pipeline/own.py"}
    for statement, imported in files.items():
        a_loss_that_imports(statement, imported)(folder)
    params(lambda raw: raw.update(experiments={"mine": {"loss": "mine"}}))(folder)
    dvc(folder, "repro", "train@mine")
    for imported in files.values():
        text = (folder / imported).read_text()
        code(imported, "SCALE = 2.0\n")(folder)
        assert retrained(folder) == {"mine"}
        (folder / imported).write_text(text)
    assert retrained(folder) == set()


@pytest.mark.parametrize(
    ("statement", "imported"),
    [
        ("from .own_parts import SCALE", "pipeline/losses/own_parts.py"),
        ("from . import own_parts", "pipeline/losses/own_parts.py"),
        ("from ..helpers.parts import SCALE", "pipeline/helpers/parts.py"),
        ("from ..helpers import parts", "pipeline/helpers/parts.py"),
        ("from pipeline.helpers.parts import SCALE", "pipeline/helpers/parts.py"),
        ("import pipeline.own_parts", "pipeline/own_parts.py"),
    ],
)
def test_every_form_of_import_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str, imported: str
) -> None:
    monkeypatch.setattr("pipeline.resolved._ROOT", tmp_path)
    for name, text in (("pipeline/losses/mine.py", statement), (imported, "SCALE = 1.0")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    assert set(imported_below(["pipeline/losses/mine.py"])) == {"pipeline/losses/mine.py", imported}


def test_an_import_from_outside_pipeline_is_refused(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(project, folder, symlinks=True)
    a_loss_that_imports("from own_parts import SCALE", "own_parts.py")(folder)
    params(lambda raw: raw["experiments"].update(mine={"loss": "mine"}))(folder)
    message = by_hand(folder, "stages.settings")
    assert "ConfigError: pipeline/losses/mine.py imports own_parts.py" in message
    assert "move what it needs to pipeline/" in message


def by_hand(project: Path, *arguments: str) -> str:
    """What a stage that fails says."""
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize("stage", ["train", "evaluate"])
def test_a_stage_by_hand_refuses_settings_older_than_params_yaml(project: Path, tmp_path: Path, stage: str) -> None:
    folder = tmp_path / "project"
    shutil.copytree(project, folder, symlinks=True)
    params(lambda raw: raw["losses"]["fop"].update(alpha=0.5))(folder)
    message = by_hand(folder, f"stages.{stage}", "fop")
    assert "RunError: params.yaml has changed for run 'fop'" in message
    assert "run `dvc repro settings`" in message
