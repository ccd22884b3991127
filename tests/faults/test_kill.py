"""SIGKILL: of a whole extraction anywhere, and of DVC alone. What was extracted stays; the bytes come out the same."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.files import sha256_of
from tests.faults.repository import Repository, clone, environment, same_machine
from tests.stages.project import DEMO, ROOT, Project, make_project

pytestmark = [pytest.mark.faults, pytest.mark.stage]

ITEMS, PATIENCE = 20, 120.0  # s
OUTPUTS = {
    "detect_faces": ["faces/detections.parquet", "faces/detect_skipped.csv"],
    "embed_faces": ["faces/embeddings.safetensors", "faces/index.parquet", "faces/skipped.csv"],
    "embed_voices": ["voices/embeddings.safetensors", "voices/index.parquet", "voices/skipped.csv"],
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Twenty clips, extracted in peace."""
    project = make_project(tmp_path_factory.mktemp("peace"), clips())
    project.extract(SBNET_WORKERS="2")
    return project


def clips() -> dict[str, Path]:
    """Twenty clips of the shipped corpus."""
    found = sorted(DEMO.glob("id*/*.mp4"))[:ITEMS]
    return {path.relative_to(DEMO).as_posix(): path for path in found}


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("stage", OUTPUTS)
def test_killed_extraction_recomputes_one_item_at_most_and_gives_the_same_bytes(
    undisturbed: Project, tmp_path: Path, stage: str, share: float
) -> None:
    project = make_project(tmp_path, {name: undisturbed.media / name for name in clips()})
    for name in ("manifest.parquet", *OUTPUTS["detect_faces"][: 2 * (stage == "embed_faces")]):
        target = project.folder / "artifacts" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((undisturbed.folder / "artifacts" / name).read_bytes())
    calls = tmp_path / "calls"
    killed = kill_group(project, stage, calls, after=round(share * ITEMS))
    assert share * ITEMS < killed < ITEMS, "the kill fell before the end"
    assert not any((project.folder / "artifacts" / name).exists() for name in OUTPUTS[stage])
    log = finish(project, stage, calls)
    extracted, cached = map(int, re.search(r"(\d+) extracted, (\d+) cached, 0 skipped", log).groups())  # type: ignore[union-attr]
    assert extracted + cached == ITEMS and cached >= killed - 1
    assert count(calls) - ITEMS <= 1, "the model takes items one by one, so one was in hand"
    for name in OUTPUTS[stage]:
        assert sha256_of(project.folder / "artifacts" / name) == sha256_of(undisturbed.folder / "artifacts" / name)


def kill_group(project: Project, stage: str, calls: Path, after: int) -> int:
    """Start a stage in a process group of its own, SIGKILL the group once the model was asked for more than `after`."""
    process = start(project, stage, calls, start_new_session=True)
    wait_until(lambda: count(calls) > after, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return count(calls)


def finish(project: Project, stage: str, calls: Path) -> str:
    """Run a stage to its end; returns its log."""
    process = start(project, stage, calls)
    log = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 0, log
    return log


def start(project: Project, stage: str, calls: Path, start_new_session: bool = False) -> "subprocess.Popen[str]":
    """A stage with two decode workers, its model's calls counted."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.counted_stage", stage, str(calls)],
        cwd=project.folder,
        env=environment(PYTHONPATH=str(ROOT), SBNET_HOME=str(project.home), SBNET_WORKERS="2"),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=start_new_session,
    )


def count(calls: Path) -> int:
    """How often the model was called."""
    return calls.read_text().count("\n") if calls.exists() else 0


def wait_until(true, process: "subprocess.Popen[str]") -> None:
    """Wait for something to happen while a process runs."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert process.poll() is None, f"it ended too early: {process.communicate()}"
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


@pytest.mark.parametrize("first_window", [20.0, 0.7], ids=["same params", "other params"])
def test_second_run_beside_the_orphan_of_a_killed_dvc_gives_the_same_bytes(
    finished: Repository, tmp_path: Path, first_window: float
) -> None:
    author = clone(finished, tmp_path / "author")
    author.dvc("cache", "dir", "--local", str(tmp_path / "cache"))  # its own: nothing to seed from
    copy_media(finished, author)
    author.params(embed_voices={"max_seconds": first_window})
    log = tmp_path / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            author.command("repro", "embed_voices"), cwd=author.folder, env=environment(), stdout=stream, stderr=stream
        )
        wait_until(lambda: re.search(r"embed_voices:.* [2-9]/16", log.read_text().replace("\r", "\n")), process)
        process.kill()
        process.wait()
    orphans = children_in(author.folder)
    assert orphans, "DVC's stage went on without it"
    for orphan in orphans:
        os.kill(orphan, signal.SIGSTOP)  # or on a busy machine it may have ended before the second run looks
    author.params(embed_voices={"max_seconds": 20.0})
    log = tmp_path / "second"
    with log.open("w") as stream:
        second = subprocess.Popen(
            author.command("repro", "embed_voices"),
            cwd=author.folder,
            env=environment(),
            stdout=stream,
            stderr=stream,
            text=True,
        )
        wait_until(lambda: "waiting for it" in log.read_text(), second)
        for orphan in orphans:
            os.kill(orphan, signal.SIGCONT)
        assert second.wait(PATIENCE) == 0, log.read_text()
    wait_until_gone(orphans)
    for name in OUTPUTS["embed_voices"]:
        assert author.output(name) == finished.output(name), name
    assert author.dvc("status", "embed_voices").log.strip().endswith("up to date.")
    assert author.dvc("repro", "embed_voices").ran == []


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])  # dash stays between DVC and the stage, bash does not
def test_orphan_publishes_nothing_over_what_dvc_has_restored_since(
    finished: Repository, tmp_path: Path, shell: str
) -> None:
    """Back at params whose outputs DVC has, no stage is started that could wait for the orphan."""
    if not Path(shell).exists():
        pytest.skip(f"needs {shell}")
    author = same_machine(finished, tmp_path / "author")
    author.params(embed_voices={"max_seconds": 0.7})
    log = tmp_path / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            author.command("repro", "embed_voices"),
            cwd=author.folder,
            env=environment(SHELL=shell),
            stdout=stream,
            stderr=stream,
        )
        wait_until(lambda: re.search(r"embed_voices:.* [2-9]/16", log.read_text().replace("\r", "\n")), process)
        process.kill()
        process.wait()
    orphans = children_in(author.folder)
    assert orphans, "DVC's stage went on without it"
    author.params(embed_voices={"max_seconds": 20.0})
    assert author.dvc("repro", "embed_voices").ran == []
    wait_until_gone(orphans)
    assert "dvc, which started this stage, has ended" in log.read_text()
    for name in OUTPUTS["embed_voices"]:
        assert author.output(name) == finished.output(name), name
    assert author.dvc("status", "embed_voices").log.strip().endswith("up to date.")


def test_params_edited_while_a_stage_runs_are_not_recorded_for_its_outputs(
    finished: Repository, tmp_path: Path
) -> None:
    author = same_machine(finished, tmp_path / "author")
    author.params(embed_voices={"max_seconds": 0.7})
    log = tmp_path / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            author.command("repro", "embed_voices"), cwd=author.folder, env=environment(), stdout=stream, stderr=stream
        )
        wait_until(lambda: re.search(r"embed_voices:.* [2-9]/16", log.read_text().replace("\r", "\n")), process)
        author.params(embed_voices={"max_seconds": 20.0})
        assert process.wait() != 0
    assert "params.yaml embed_voices changed while embed_voices ran" in log.read_text()
    author.dvc("repro", "embed_voices")
    for name in OUTPUTS["embed_voices"]:
        assert author.output(name) == finished.output(name), name


def copy_media(source: Repository, target: Repository) -> None:
    """Give a clone the media."""
    for clip in source.folder.glob("media/*/*.mp4"):
        path = target.folder / clip.relative_to(source.folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(clip.read_bytes())


def children_in(folder: Path) -> list[int]:
    """Processes whose working directory is a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve(strict=True) == folder.resolve():
                found.append(int(process.name))
        except OSError:
            continue  # it ended, or is not ours
    return found


def wait_until_gone(pids: list[int]) -> None:
    """Wait for processes that are not our children to end."""
    deadline = time.monotonic() + PATIENCE
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, f"{pids} never ended"
        time.sleep(0.05)
