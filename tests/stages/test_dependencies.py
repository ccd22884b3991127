"""dvc.yaml names the code that decides a stage's bytes: DVC would else call the results of older code up to date."""

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.extraction.tasks import may_hold_voices
from pipeline.protocol.judged import judged_on, learnt_tasks
from pipeline.resolved import code_of, resolved
from tests.pipeline.settings_for_training import shipped
from tests.stages.project import ROOT

STAGES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]

# How a stage is run, not what comes of it: as dependencies they would repeat everything after each mended message.
PLUMBING = {
    "pipeline/config.py",  # reads params.yaml, whose sections are dependencies
    "pipeline/settings.py",
    "pipeline/resolved.py",  # reads what the stage settings has written
    "pipeline/errors.py",
    "pipeline/files.py",
    "pipeline/runtime/parquet.py",  # writes what DataFrame.to_parquet would
    "pipeline/runtime/workspace.py",
    "pipeline/runtime/progress.py",
    "pipeline/runtime/device.py",
    "pipeline/runtime/locks.py",
    "pipeline/runtime/orphans.py",
    "pipeline/runtime/input_guard.py",
    "pipeline/runtime/yaml_reader.py",
    "pipeline/registry.py",
    "pipeline/extraction/limits.py",
    "pipeline/extraction/executors/local.py",
    "pipeline/extraction/executors/ray.py",
    "pipeline/extraction/executors/actor.py",
    "pipeline/extraction/executors/chunks.py",
    "pipeline/extraction/fingerprint.py",  # names results
    "extractors/registry.py",  # finds files by name
    "pipeline/extraction/executors/worker.py",
    "pipeline/extraction/item_cache.py",  # its entries are named by what they are made of
    "pipeline/extraction/prefill.py",
    "stages/common.py",
}
# Read, not run: the stage that writes the file names them.
_MANIFEST = {"pipeline/manifest/schema.py"}
_PROTOCOL = {f"pipeline/protocol/{name}.py" for name in ("checks", "corpus", "tables", "usable", "vocabulary")}
READ_ONLY = {
    "detect_faces": _MANIFEST | {"pipeline/store.py"},  # by seeding
    "embed_faces": _MANIFEST | {"pipeline/extraction/face_table.py"},
    "embed_voices": _MANIFEST | {"pipeline/extraction/face_table.py"},  # by seeding
    "protocol": _MANIFEST | {"pipeline/store.py"},
    "train": _PROTOCOL | {"pipeline/store.py"},
    "evaluate": _PROTOCOL | {"pipeline/store.py"},
    "fuse": _PROTOCOL | {"pipeline/store.py"},
    "report": {"pipeline/store.py"},
    "trials": _MANIFEST | _PROTOCOL | {"pipeline/store.py", "pipeline/extraction/face_table.py"},
}
# Imported along with those, and not run.
UNUSED = {
    "import_features": ("pipeline/media/",),
    "detect_faces": ("pipeline/extraction/packing.py",),  # of the other steps
    "protocol": ("pipeline/media/", "pipeline/extraction/skips.py"),
    "train": ("pipeline/metrics/llr.py", "pipeline/metrics/official_grid.py", "pipeline/metrics/ranking.py"),
    "report": ("pipeline/methods/", "pipeline/losses/"),  # options are validated, which decides no bytes
    "trials": ("pipeline/extraction/skips.py",),
}
# Named with its digest in the run's own file among the dependencies: what the run's method and loss execute.
FOLDERS = ["pipeline/methods", "pipeline/losses"]
BY_RUN = dict.fromkeys(("train", "evaluate", "fuse", "trials"), ("pipeline/methods/", "pipeline/losses/"))


def imported(*files: str) -> set[str]:
    """Every file of the project that the files import, themselves included, however deep."""
    seen: set[str] = set()
    waiting = list(files)
    while waiting:
        name = waiting.pop()
        if name in seen or not (ROOT / name).is_file():
            continue
        seen.add(name)
        if name == "pipeline/config.py":  # it compares names with registries, which decides no bytes
            continue
        for node in ast.walk(ast.parse((ROOT / name).read_text())):
            if isinstance(node, ast.Import):
                waiting += [place for alias in node.names for place in places(alias.name)]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
                waiting += [place for name in names for place in places(name)]
    return seen


def run_by(stage: str) -> set[str]:
    """The code of a stage. What is found by name (extractors, layouts, sources) counts, whichever is chosen."""
    files = imported(f"stages/{stage}.py")
    if "extractors/registry.py" in files:
        modality = "voices" if stage == "embed_voices" else "faces"
        files |= imported(*(path.relative_to(ROOT).as_posix() for path in ROOT.glob(f"extractors/{modality}/*.py")))
    if "pipeline/manifest/layouts/__init__.py" in files:
        files |= imported(*(path.relative_to(ROOT).as_posix() for path in ROOT.glob("pipeline/manifest/layouts/*.py")))
    if "pipeline/protocol/sources/__init__.py" in files:
        files |= imported(*(path.relative_to(ROOT).as_posix() for path in ROOT.glob("pipeline/protocol/sources/*.py")))
    return files


def places(module: str) -> tuple[str, str]:
    path = module.replace(".", "/")
    return f"{path}.py", f"{path}/__init__.py"


def is_below(file: str, deps: list[str]) -> bool:
    return any(file == dep or file.startswith(f"{dep}/") for dep in deps)


@pytest.mark.parametrize("stage", STAGES)
def test_all_code_that_a_stage_runs_is_a_dependency_of_it(stage: str) -> None:
    deps = STAGES[stage].get("do", STAGES[stage])["deps"]
    excused = PLUMBING | READ_ONLY.get(stage, set())
    missing = [
        file
        for file in run_by(stage)
        if not file.endswith("__init__.py")
        and file not in excused
        and not file.startswith(UNUSED.get(stage, ("-",)) + BY_RUN.get(stage, ()))
        and not is_below(file, deps)
    ]
    assert not missing


@pytest.mark.parametrize("stage", STAGES)
def test_no_dependency_on_code_is_idle(stage: str) -> None:
    deps = [dep for dep in STAGES[stage].get("do", STAGES[stage])["deps"] if dep.startswith(("pipeline/", "stages/"))]
    files = run_by(stage)
    assert not [dep for dep in deps if not any(is_below(file, [dep]) for file in files)]


@pytest.mark.parametrize(
    ("stage", "foreign"), [("detect_faces", "voices"), ("embed_faces", "voices"), ("embed_voices", "faces")]
)
def test_an_extractor_of_one_modality_is_nothing_to_the_other(stage: str, foreign: str) -> None:
    """A change of it runs no stage of the other's again: neither DVC nor the code knows of it there."""
    folder = f"extractors/{foreign}"
    assert not [dep for dep in STAGES[stage]["deps"] if folder.startswith(dep) or dep.startswith(folder)]
    assert not [file for file in run_by(stage) if file.startswith(folder)]


DECISIVE = [
    ("embed_voices", may_hold_voices),
    *product(("train", "evaluate", "fuse", "report", "trials"), (judged_on, learnt_tasks)),
]


@pytest.mark.parametrize(("stage", "function"), DECISIVE)
def test_what_decides_results_is_not_excused_as_only_read(stage: str, function: Callable[..., object]) -> None:
    file = function.__module__.replace(".", "/") + ".py"
    assert file not in READ_ONLY.get(stage, set()) | PLUMBING
    assert is_below(file, STAGES[stage].get("do", STAGES[stage])["deps"])


def test_excuses_name_files_that_exist() -> None:
    assert not [name for name in PLUMBING.union(*READ_ONLY.values()) if not Path(ROOT / name).is_file()]


LOADED = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
names = [name for name in sys.modules if name.startswith(("pipeline.methods.", "pipeline.losses."))]
print(json.dumps([name.replace(".", "/") + ".py" for name in names]))
"""


@pytest.mark.parametrize("run", [{"loss": "git"}, {"method": "two_branch", "loss": "ce"}, {"loss": "ntxent"}], ids=str)
def test_the_file_of_a_run_names_all_code_of_its_method_and_its_loss(run: dict[str, object]) -> None:
    settings = resolved(shipped().model_copy(update={"experiments": {"run": run}}), "run")
    named, loss = set(code_of(settings)), f"pipeline/losses/{settings.loss}.py"
    assert {loss, f"pipeline/methods/{settings.method}.py"} <= named
    walked = {file for file in imported(loss, f"pipeline/methods/{settings.method}.py") if is_below(file, FOLDERS)}
    packages = {f"{folder}/__init__.py" for folder in FOLDERS}
    assert named - packages == walked - packages - {"pipeline/methods/official.py"}
    done = [sys.executable, "-c", LOADED, loss.removesuffix(".py").replace("/", ".")]
    found = set(json.loads(subprocess.run(done, cwd=ROOT, capture_output=True, text=True, check=True).stdout))
    assert found <= named  # what Python itself loads for the loss


def test_the_file_of_a_run_leaves_out_other_methods_and_losses() -> None:
    settings = resolved(shipped().model_copy(update={"experiments": {"run": {"loss": "fop"}}}), "run")
    others = ("git", "center", "ntxent", "arcface", "two_branch", "official")
    assert not [file for file in code_of(settings) if Path(file).stem in others]
