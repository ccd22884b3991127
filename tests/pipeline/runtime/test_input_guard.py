"""A stage whose inputs change while it runs does not pass for a success."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import RunError
from pipeline.runtime.input_guard import unchanged_inputs

GRAPH = """
stages:
  embed:
    cmd: embed
    deps: [code, "${manifest.media}", "${embed.lists}", artifacts/in.bin]
    params: [embed, features.source]
  train:
    foreach: ${experiments}
    do:
      cmd: train ${key}
      deps: [code/train.py, "artifacts/${key}.bin"]
      params: ["experiments.${key}"]
"""
PARAMS = """
manifest: {media: media}
embed: {lists: lists, margin: 0}
features: {source: media, folder: none}
experiments: {one: {loss: ce}, two: {loss: git}}
"""


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    for name in ("code/train.py", "code/deep/a.py", "media/a.mp4", "lists/a.txt", "artifacts/one.bin"):
        write(name)()
    write("artifacts/in.bin", "x" * 2_000_000)()
    write("dvc.yaml", GRAPH)()
    write("params.yaml", PARAMS)()


def write(name: str, text: str = "") -> Callable[[], None]:
    def do() -> None:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)

    return do


def edit(old: str, new: str) -> Callable[[], None]:
    return write("params.yaml", PARAMS.replace(old, new))


@pytest.mark.parametrize(
    ("stage", "run", "change", "named"),
    [
        ("embed", "", edit("margin: 0", "margin: 3"), r"params\.yaml embed"),
        ("embed", "", edit("source: media", "source: csv"), r"params\.yaml features\.source"),
        ("embed", "", write("code/deep/a.py", "new"), r"code/deep/a\.py"),
        ("embed", "", write("code/new.py"), r"code/new\.py"),
        ("embed", "", lambda: Path("lists/a.txt").unlink(), r"lists/a\.txt"),
        ("embed", "", write("artifacts/in.bin", "x" * 1_999_999), r"artifacts/in\.bin"),
        ("train", "one", edit("loss: ce", "loss: fop"), r"params\.yaml experiments\.one"),
        ("train", "one", write("artifacts/one.bin", "new"), r"artifacts/one\.bin"),
        ("train", "one", write("params.yaml", "experiments: {"), r"experiments\.one"),
    ],
)
def test_changed_input_is_named(stage: str, run: str, change: Callable[[], None], named: str) -> None:
    with pytest.raises(RunError, match=named + r".* changed while .*dvc repro"), unchanged_inputs(stage, run):
        change()


@pytest.mark.parametrize(
    ("stage", "run", "change"),
    [
        ("embed", "", edit("folder: none", "folder: other")),
        ("embed", "", write("code/deep/a.py")),
        ("embed", "", write("code/__pycache__/a.pyc", "compiled")),
        ("embed", "", write("media/b.mp4", "the manifest's to notice")),
        ("train", "one", edit("loss: git", "loss: fop")),
        ("train", "one", write("code/deep/a.py", "new")),
        ("cache", "", edit("margin: 0", "margin: 3")),
    ],
)
def test_change_of_what_the_stage_does_not_read_is_none(stage: str, run: str, change: Callable[[], None]) -> None:
    with unchanged_inputs(stage, run):
        change()


def test_stage_run_by_hand_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_ROOT")
    with unchanged_inputs("embed"):
        edit("margin: 0", "margin: 3")()


def test_error_of_the_stage_itself_is_the_one_that_is_told() -> None:
    with pytest.raises(ValueError, match="its own"), unchanged_inputs("embed"):
        edit("margin: 0", "margin: 3")()
        raise ValueError("its own")
