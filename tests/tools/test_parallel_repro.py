"""Runs side by side give what `dvc repro` gives."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

from tests.faults.repository import ROOT, RUN, Repository, environment, make_repository
from tools import parallel_repro
from tools.parallel_repro import lanes


@pytest.mark.parametrize("jobs", [1, 2, 3, 9])
def test_every_run_is_in_one_lane_and_trains_before_it_is_evaluated(jobs: int) -> None:
    runs = ["a", "b", "c", "d", "e"]
    found = lanes(runs, jobs)
    assert len(found) == min(jobs, len(runs))
    assert sorted(stage for lane in found for stage in lane) == sorted(
        f"{stage}@{run}" for run in runs for stage in ("train", "evaluate")
    )
    for lane in found:
        assert [stage.replace("train", "evaluate") for stage in lane[::2]] == lane[1::2]


def side_by_side(repository: Repository) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tools.parallel_repro", "--jobs", "2"]
    where = environment(PYTHONPATH=str(ROOT))
    return subprocess.run(command, cwd=repository.folder, env=where, capture_output=True, text=True, check=False)


def with_runs(repository: Repository, **runs: dict[str, object]) -> None:
    raw = yaml.safe_load((repository.folder / "params.yaml").read_text())
    raw["experiments"] = {RUN: raw["experiments"][RUN], **runs}
    (repository.folder / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))


def test_who_is_told_to_end_ends_those_that_it_started_and_their_stages(tmp_path: Path) -> None:
    ends = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))"
    stage = f"touch {tmp_path}/%d; sleep 60; true"
    waits = f"import subprocess; subprocess.run(['sh', '-c', {stage!r}])"
    started = "; ".join(f"a{n} = subprocess.Popen([sys.executable, '-c', {waits % n!r}])" for n in (0, 1))
    code = f"{ends}; import subprocess; from tools.parallel_repro import _finish; {started}; _finish([a0, a1])"
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    while not ((tmp_path / "0").exists() and (tmp_path / "1").exists()):
        time.sleep(0.05)
    family = psutil.Process(parent.pid).children(recursive=True)
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(timeout=30) == 143 and len(family) >= 4
    assert not psutil.wait_procs(family, timeout=10)[1]


def test_on_a_gpu_few_runs_train_at_a_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[int] = []
    monkeypatch.setattr(parallel_repro, "cores", lambda: 32)
    monkeypatch.setattr(parallel_repro, "_changed", lambda: {"train@a"})
    monkeypatch.setattr(parallel_repro, "_finish", lambda processes: None)
    monkeypatch.setattr(parallel_repro.subprocess, "Popen", lambda *_, **__: None)
    monkeypatch.setattr(parallel_repro, "lanes", lambda runs, jobs: asked.append(jobs) or [])
    monkeypatch.setattr(parallel_repro.signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["parallel_repro"])
    monkeypatch.chdir(ROOT)
    for gpu in (True, False):
        monkeypatch.setattr(parallel_repro, "_may_use_a_gpu", lambda gpu=gpu: gpu)
        parallel_repro.main()
    assert asked == [4, 32]


@pytest.mark.slow
@pytest.mark.stage
def test_two_processes_leave_nothing_to_do_and_the_bytes_of_one_and_a_run_that_fails_fails_them(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "sbnet")
    with_runs(repository, second={"loss": "center"}, third={"loss": "fop", "order": "random"})
    answer = side_by_side(repository)
    assert answer.returncode == 0, answer.stderr
    assert not repository.dvc("repro").ran
    parallel = {run: repository.output(f"runs/{run}/model.safetensors") for run in (RUN, "second", "third")}
    for run, made in parallel.items():
        repository.dvc("repro", "--force", "--single-item", f"train@{run}")
        assert repository.output(f"runs/{run}/model.safetensors") == made
    with_runs(repository, second={"loss": "center", "language": "Greek"}, third={"loss": "git"})
    answer = side_by_side(repository)
    assert answer.returncode != 0 and "language 'Greek'" in answer.stdout + answer.stderr
    assert "'train@third'" not in repository.dvc("status", "train@third").log  # the other process went on
