"""A stage runs once at a time in one folder, also after a kill; others do not wait."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.errors import StoreError
from pipeline.runtime.locks import stage_lock

ROOT = Path(__file__).resolve().parents[3]
HOLD = """
import sys, time, logging
logging.basicConfig()
from pipeline.runtime.locks import stage_lock
with stage_lock(sys.argv[1]):
    print("holds", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBNET_HOME", str(tmp_path / "home"))


def holder(folder: Path, name: str, seconds: float) -> "subprocess.Popen[str]":
    """A process that holds a stage's lock; returns once it does."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, name, str(seconds)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "holds\n"
    return process


def test_second_run_waits_for_the_first_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    with holder(tmp_path, "embed_voices", 1.0) as first, stage_lock("embed_voices"):
        # Its exit code is there a moment after the kernel has passed the lock on.
        assert first.wait(timeout=5) == 0
    assert "waiting for it" in caplog.text and "embed_voices" in caplog.text


@pytest.mark.parametrize(("name", "elsewhere"), [("embed_faces", False), ("embed_voices", True)])
def test_other_stages_and_other_folders_do_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, elsewhere: bool
) -> None:
    (tmp_path / "copy").mkdir()
    monkeypatch.chdir(tmp_path / "copy" if elsewhere else tmp_path)
    with holder(tmp_path, "embed_voices", 60.0) as other:
        with stage_lock(name):
            assert other.poll() is None
        other.kill()


def test_lock_of_a_killed_run_is_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with holder(tmp_path, "embed_voices", 60.0) as killed:
        killed.kill()
        begun = time.monotonic()
        with stage_lock("embed_voices"):
            assert time.monotonic() - begun < 10


def test_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SBNET_HOME", str(tmp_path / "file"))
    with pytest.raises(StoreError, match="SBNET_HOME"), stage_lock("embed_voices"):
        pass
