"""A stage knows that the DVC that started it has ended, whichever shell stands between them."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.stages.project import ROOT

PATIENCE = 30.0  # s

STAGE = """
import pathlib, sys, time
from pipeline.errors import RunError
from pipeline.runtime.orphans import check_not_orphaned
started, go, answer = map(pathlib.Path, sys.argv[1:])
check_not_orphaned()
started.touch()
while not go.exists():
    time.sleep(0.01)
try:
    check_not_orphaned()
    said = "published"
except RunError as error:
    said = str(error)
answer.with_suffix(".part").write_text(said)
answer.with_suffix(".part").replace(answer)
"""

# What DVC does: the project's name in the command's surroundings, a shell, and waiting.
DVC = """
import os, subprocess, sys
subprocess.run(sys.argv[1:], env=dict(os.environ, DVC_ROOT=os.getcwd()))
"""

SHELLS = {
    "none": [],
    "one that waits": ["sh", "-c", '"$@"; true', "sh"],  # as dash does with any command
    "one that replaces itself": ["sh", "-c", 'exec "$@"', "sh"],
    "two": ["sh", "-c", '"$@"; true', "sh", "sh", "-c", '"$@"; true', "sh"],
}


@pytest.mark.parametrize("shell", SHELLS)
def test_stage_of_a_killed_dvc_refuses_to_publish(tmp_path: Path, shell: str) -> None:
    assert "dvc, which started this stage, has ended" in said(tmp_path, SHELLS[shell], kill=True)


@pytest.mark.parametrize("shell", SHELLS)
def test_stage_of_a_living_dvc_publishes(tmp_path: Path, shell: str) -> None:
    assert said(tmp_path, SHELLS[shell], kill=False) == "published"


def test_stage_that_somebody_runs_by_hand_outlives_its_shell(tmp_path: Path) -> None:
    assert said(tmp_path, [], kill=True, starter=DVC.replace("DVC_ROOT", "OTHER")) == "published"


@pytest.mark.skipif(not shutil.which("dash"), reason="needs dash")
def test_dash_waits_for_a_single_command() -> None:
    """Why a stage's parent is not always DVC."""
    command = f"{sys.executable} -c 'import os, psutil; print(psutil.Process(os.getppid()).name())'"
    assert subprocess.check_output(["dash", "-c", command], text=True).strip() == "dash"


def said(folder: Path, shell: list[str], kill: bool, starter: str = DVC) -> str:
    """What a stage says about publishing after the process that started it was killed, or was not."""
    script, started, go, answer = (folder / name for name in ("stage.py", "started", "go", "answer"))
    script.write_text(STAGE)
    stage = [sys.executable, str(script), *map(str, (started, go, answer))]
    plain = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}  # no DVC_ROOT of those who run the tests
    dvc = subprocess.Popen([sys.executable, "-c", starter, *shell, *stage], cwd=folder, env=plain)
    try:
        wait_for(started)
        if kill:
            dvc.send_signal(signal.SIGKILL)
            dvc.wait()
        go.touch()
        wait_for(answer)
    finally:
        go.touch()  # an orphan ends
        dvc.kill()
        dvc.wait()
    return answer.read_text()


def wait_for(path: Path) -> None:
    """Wait until a file is there."""
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path.name}"
        time.sleep(0.01)
