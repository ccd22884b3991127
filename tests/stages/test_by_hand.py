"""Stages that are run by hand in a project in which nothing was made: one message for all of them."""

from pathlib import Path

import pytest

from stages import detect_faces, embed_faces, embed_voices, evaluate, protocol, report, train, trials
from stages.common import run_stage
from tests.stages.project import ROOT, Project

STAGES = {
    module.__name__.removeprefix("stages."): module
    for module in (detect_faces, embed_faces, embed_voices, protocol, train, evaluate, report, trials)
}


@pytest.mark.parametrize("stage", STAGES)
def test_stage_without_its_inputs_names_the_command_that_makes_them(
    stage: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    Project(tmp_path).params()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "carl").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "dvc.yaml").write_text((ROOT / "dvc.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setattr("sys.argv", [f"stages/{stage}.py"])
    takes = "run" if stage in ("train", "evaluate") else "nothing"
    with pytest.raises(SystemExit) as ended:
        run_stage(STAGES[stage].main, takes, ["single_fop"] if takes == "run" else [])
    target = f"{stage}@single_fop" if takes == "run" else stage
    said = capsys.readouterr().err
    assert ended.value.code == 1 and "Traceback" not in said
    assert f"RunError: {target} reads artifacts/" in said
    assert f"which another stage makes and which is not there: run `dvc repro {target}`" in said
    assert "media/carl: links to folders outside the media folder" in caplog.text
    assert not (tmp_path / "artifacts").exists()
