"""A stage whose inputs change while it runs does not pass for a success."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import RunError
from pipeline.runtime.input_guard import refuse_absent_inputs, unchanged_inputs, warn_of_linked_folders

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
  fuse:
    foreach: ${fusions}
    do:
      cmd: fuse ${key}
      deps: ["artifacts/${item[0]}.bin", "artifacts/${item[1]}.bin"]
"""
PARAMS = """
manifest: {media: media}
embed: {lists: lists, margin: 0}
features: {source: media, folder: none}
experiments: {one: {loss: ce}, two: {loss: git}}
fusions: {both: [one, two]}
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
        ("fuse", "both", write("artifacts/two.bin", "new"), r"artifacts/two\.bin"),
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


def test_error_of_the_stage_itself_is_the_one_that_is_raised() -> None:
    with pytest.raises(ValueError, match="its own"), unchanged_inputs("embed"):
        edit("margin: 0", "margin: 3")()
        raise ValueError("its own")


@pytest.mark.parametrize(
    ("stage", "run", "output", "target"),
    [("embed", "", "artifacts/in.bin", "embed"), ("train", "one", "artifacts/one.bin", "train@one")],
)
def test_absent_output_of_another_stage_is_named_with_the_command_that_makes_it(
    stage: str, run: str, output: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DVC_ROOT")
    refuse_absent_inputs(stage, run)
    Path(output).unlink()
    with pytest.raises(RunError, match=rf"{target} reads {output}, .* run `dvc repro {target}`, .* or `dvc pull`"):
        refuse_absent_inputs(stage, run)
    monkeypatch.setenv("DVC_ROOT", ".")  # DVC has looked
    refuse_absent_inputs(stage, run)


@pytest.mark.parametrize(("stage", "run"), [("train", "three"), ("cache", "")])
def test_run_or_command_that_the_graph_does_not_name_is_not_judged(
    stage: str, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DVC_ROOT")
    Path("artifacts/one.bin").unlink()
    refuse_absent_inputs(stage, run)


def test_absent_media_are_the_manifests_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_ROOT")
    Path("media/a.mp4").unlink()
    Path("media").rmdir()
    refuse_absent_inputs("embed")


@pytest.mark.parametrize("name", ["media/carl", "media/wav/carl"])
def test_person_linked_in_from_elsewhere_is_named(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write("elsewhere/1.mp4")()
    Path("media/wav").mkdir()
    Path(name).symlink_to(tmp_path / "elsewhere")
    warn_of_linked_folders(Path("media"))
    assert f"{name}: links to folders outside the media folder, which DVC does not follow" in caplog.text


def test_links_to_files_and_to_folders_inside_are_no_persons(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write("elsewhere/1.mp4")()
    write("media/ann/1.mp4")()
    Path("media/bob.mp4").symlink_to(tmp_path / "elsewhere/1.mp4")
    Path("media/anna").symlink_to(tmp_path / "media/ann")
    Path("media/circle").symlink_to("circle")
    Path("media/broken").symlink_to("nothing")
    warn_of_linked_folders(Path("media"))
    warn_of_linked_folders(Path("nowhere"))
    assert not caplog.text
