"""Workers may hang, crash or have bugs; the run learns which item it was."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ExtractionError, MediaError
from pipeline.extraction.executors.local import Pool, decode_all
from pipeline.extraction.tasks import Task
from tests.pipeline.extraction.executors.hard_start import START, length
from tests.pipeline.extraction.executors.worker_tasks import (
    large_answer,
    make_task,
    process_id,
    read_number,
    read_number_and_note,
)
from tests.stages.project import ROOT


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_payloads_come_in_the_order_of_the_tasks(tmp_path, workers) -> None:
    tasks = [make_task(tmp_path, f"{i:02}", f"slow{i}" if i == 0 else str(i)) for i in range(12)]
    answers = list(decode_all(tasks, read_number, workers))
    assert [task.item for task, _ in answers] == [task.item for task in tasks]
    assert [float(payload[0]) for _, payload in answers if isinstance(payload, np.ndarray)] == list(range(12))


@pytest.mark.parametrize("workers", [0, 2])
def test_media_error_belongs_to_its_item_alone(tmp_path, workers) -> None:
    tasks = [make_task(tmp_path, "a", "1"), make_task(tmp_path, "b", "media error"), make_task(tmp_path, "c", "3")]
    answers = {task.item: payload for task, payload in decode_all(tasks, read_number, workers)}
    assert isinstance(answers["b"], MediaError) and "no audio track" in str(answers["b"])
    assert isinstance(answers["a"], np.ndarray) and isinstance(answers["c"], np.ndarray)


def test_work_leaves_this_process_only_when_workers_are_asked_for(tmp_path) -> None:
    tasks = [make_task(tmp_path, str(i), "0") for i in range(8)]
    assert {payload for _, payload in decode_all(tasks, process_id, 0)} == {os.getpid()}
    elsewhere = {payload for _, payload in decode_all(tasks, process_id, 2)}
    assert os.getpid() not in elsewhere and len(elsewhere) <= 2


def test_workers_are_kept_from_run_to_run_even_after_a_crash(tmp_path) -> None:
    with closing(Pool(read_number, 1, lambda task: 0.0, lambda seconds: None)) as pool:
        for content, wrong in (("1", None), ("crash", MediaError), ("2", None)):
            tasks = [make_task(tmp_path, f"{content} {i}", content if i == 1 else str(i)) for i in range(3)]
            outcomes = [payload for _, payload in pool.run(tasks)]
            assert len(outcomes) == 3 and (wrong is None or isinstance(outcomes[1], wrong))
    with closing(Pool(process_id, 1, lambda task: 0.0, lambda seconds: None)) as pool:
        tasks = [make_task(tmp_path, "one", "0")]
        assert list(pool.run(tasks)) == list(pool.run(tasks))


def test_stuck_decoder_is_killed_and_the_others_go_on(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SBNET_ITEM_SECONDS", "3")
    tasks = [make_task(tmp_path, "stuck", "hang"), *(make_task(tmp_path, str(i), str(i)) for i in range(4))]
    begun = time.monotonic()
    answers = list(decode_all(tasks, read_number, 2))
    assert time.monotonic() - begun < 30
    assert isinstance(answers[0][1], MediaError) and "longer than 3 s" in str(answers[0][1])
    assert all(isinstance(payload, np.ndarray) for _, payload in answers[1:])


def test_crashed_decoder_is_replaced_and_the_item_named_by_its_reason(tmp_path) -> None:
    tasks = [make_task(tmp_path, "0", "0"), make_task(tmp_path, "bad", "crash"), make_task(tmp_path, "2", "2")]
    answers = list(decode_all(tasks, read_number, 1))
    assert isinstance(answers[1][1], MediaError) and "crashed (exit code -11)" in str(answers[1][1])
    assert isinstance(answers[2][1], np.ndarray)


@pytest.mark.parametrize(
    ("content", "reason"), [("crash", "crashed"), ("hang", "longer than 2 s"), ("too large to send", "memory")]
)
@pytest.mark.parametrize("workers", [1, 2])
def test_item_that_fails_in_the_middle_of_many_costs_only_itself(
    tmp_path, monkeypatch, workers, content, reason
) -> None:
    """Small items go to a worker in chunks; what was finished of one is not decoded twice, but for a group in hand."""
    monkeypatch.setenv("SBNET_ITEM_SECONDS", "2")
    tasks = [make_task(tmp_path, f"{i:03}", content if i in (150, 151, 290) else str(i)) for i in range(300)]
    answers = list(decode_all(iter(tasks), read_number_and_note, workers))
    assert [task.item for task, _ in answers] == [task.item for task in tasks]
    failed = {task.item: str(answer) for task, answer in answers if isinstance(answer, MediaError)}
    assert failed.keys() == {"150", "151", "290"} and all(reason in text for text in failed.values())
    assert all(float(answer[0]) == i for i, (_, answer) in enumerate(answers) if isinstance(answer, np.ndarray))
    begun = (tmp_path / "begun").read_text().split()
    assert len(begun) < 300 + 3 * 64


def test_tasks_are_taken_as_they_are_needed(tmp_path) -> None:
    taken = []

    def tasks() -> Iterator[Task]:
        for i in range(2000):
            taken.append(i)
            yield make_task(tmp_path, str(i), str(i))

    stream = decode_all(tasks(), read_number, 1)
    assert [float(next(stream)[1][0]) for _ in range(100)] == list(range(100))  # type: ignore[index]
    assert len(taken) < 600


def test_tasks_that_are_large_themselves_do_not_block_a_worker_with_large_answers(tmp_path) -> None:
    """Both pipes full, parent and worker would wait for each other."""
    tasks = [replace(make_task(tmp_path, str(i), "1"), key="k" * 300_000) for i in range(40)]
    assert sum(len(answer) for _, answer in decode_all(tasks, large_answer, 1)) == 40 * 300_000


@pytest.mark.parametrize(("workers", "content"), [(0, "too large"), (1, "too large"), (1, "too large to send")])
def test_item_that_memory_does_not_suffice_for_is_named_and_the_others_go_on(tmp_path, workers, content) -> None:
    tasks = [make_task(tmp_path, "0", "0"), make_task(tmp_path, "film", content), make_task(tmp_path, "2", "2")]
    answers = {task.item: payload for task, payload in decode_all(tasks, read_number, workers)}
    assert isinstance(answers["film"], MediaError)
    assert "more memory" in str(answers["film"]) and "SBNET_WORKERS" in str(answers["film"])
    assert isinstance(answers["0"], np.ndarray) and isinstance(answers["2"], np.ndarray)


def test_worker_that_the_kernel_kills_for_memory_costs_its_item_and_says_so(tmp_path) -> None:
    tasks = [make_task(tmp_path, "film", "killed"), make_task(tmp_path, "1", "1")]
    answers = [payload for _, payload in decode_all(tasks, read_number, 1)]
    assert isinstance(answers[0], MediaError) and "perhaps because memory ran out" in str(answers[0])
    assert isinstance(answers[1], np.ndarray)


def test_long_medium_is_given_more_time_than_a_short_one(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SBNET_ITEM_SECONDS", "1")
    tasks = [make_task(tmp_path, "short", "hang 3"), make_task(tmp_path, "long", "hang 3")]
    answers = decode_all(tasks, read_number, 2, lambda task: 20.0 if task.item == "long" else 0.0)
    short, long = (payload for _, payload in answers)
    assert isinstance(short, MediaError) and "longer than 1 s" in str(short)
    assert isinstance(long, np.ndarray)


def test_pause_of_the_whole_job_is_not_charged_to_the_item(tmp_path) -> None:
    """As a cluster suspends a job: every process of it stops, and goes on later."""
    program = (
        "import pathlib, sys\n"
        "from pipeline.extraction.executors.local import decode_all\n"
        "from tests.pipeline.extraction.executors.worker_tasks import make_task, read_number\n"
        "if __name__ == '__main__':\n"
        "    tasks = [make_task(pathlib.Path(), '0', '0'), make_task(pathlib.Path(), 'film', 'hang 3')]\n"
        "    for _, payload in decode_all(tasks, read_number, 1):\n"
        "        print(payload, flush=True)\n"
    )
    (tmp_path / "paused.py").write_text(program)
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    job = subprocess.Popen(
        [sys.executable, "-m", "paused"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path, "SBNET_ITEM_SECONDS": "6"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert job.stdout is not None and job.stdout.readline() == "[0.]\n"
    os.killpg(job.pid, signal.SIGSTOP)
    time.sleep(8)
    os.killpg(job.pid, signal.SIGCONT)
    assert job.communicate(timeout=60)[0] == "[0.]\n"


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels do not kill a process with its parent")
def test_stuck_worker_dies_with_the_stage(tmp_path) -> None:
    program = (
        "import os, pathlib\n"
        "from pipeline.extraction.executors.local import decode_all\n"
        "from tests.pipeline.extraction.executors.worker_tasks import make_task, process_id_then_hang\n"
        "if __name__ == '__main__':\n"
        "    list(decode_all([make_task(pathlib.Path(), '0', '0')], process_id_then_hang, 1))\n"
    )
    (tmp_path / "starter.py").write_text(program)
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    stage = subprocess.Popen([sys.executable, "-m", "starter"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path})
    named = tmp_path / "pid"
    deadline = time.monotonic() + 60
    while not (named.exists() and named.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    stage.kill()
    stage.wait()
    worker = Path(f"/proc/{named.read_text()}")
    while worker.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not worker.exists()


def test_workers_do_not_import_the_module_that_started_them(tmp_path) -> None:
    """With it came pandas and whatever else a stage needs: a second for each worker."""
    (tmp_path / "starter.py").write_text(
        "import os, pathlib, sys\n"
        "pathlib.Path('imported').open('a').write('x')\n"
        "from pipeline.extraction.executors.local import decode_all\n"
        "from tests.pipeline.extraction.executors.worker_tasks import make_task, read_number\n"
        "if __name__ == '__main__':\n"
        "    tasks = [make_task(pathlib.Path(), '1', '1')]\n"
        "    assert [float(payload[0]) for _, payload in decode_all(tasks, read_number, 1)] == [1.0]\n"
        "    assert sys.modules['__main__'].__file__\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    subprocess.run([sys.executable, "-m", "starter"], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "imported").read_text() == "x"


def test_worker_that_dies_while_idle_costs_no_item(tmp_path) -> None:
    tasks = [make_task(tmp_path, str(i), "0") for i in range(12)]
    stream = decode_all(tasks, process_id, 1)
    pid = next(stream)[1]
    assert isinstance(pid, int)
    time.sleep(1.0)  # it has decoded what it may ahead of the consumer, and waits
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.5)
    assert all(isinstance(payload, int) for _, payload in stream)


@pytest.mark.parametrize("workers", [1, 2])
def test_slow_start_of_a_worker_is_not_charged_to_its_item(tmp_path, monkeypatch, workers) -> None:
    monkeypatch.setenv("SBNET_ITEM_SECONDS", "1")
    monkeypatch.setenv(START, "slow")
    tasks = [make_task(tmp_path, str(i), str(i)) for i in range(3)]
    assert [payload for _, payload in decode_all(tasks, length, workers)] == [1, 1, 1]


def test_worker_that_cannot_start_stops_the_run_instead_of_using_up_the_items(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv(START, "broken")
    with pytest.raises(ExtractionError, match=r"did not start \(exit code 1\)"):
        list(decode_all([make_task(tmp_path, str(i), "0") for i in range(3)], length, 1))


def test_bug_in_a_decoder_stops_the_run_with_item_and_traceback(tmp_path) -> None:
    tasks = [make_task(tmp_path, "poor.mp4", "bug")]
    with pytest.raises(ExtractionError, match=r"(?s)poor\.mp4.*the decoder has a bug"):
        list(decode_all(tasks, read_number, 1))


def test_consumer_that_stops_early_leaves_no_process_behind(tmp_path) -> None:
    tasks = [make_task(tmp_path, str(i), "0") for i in range(50)]
    stream = decode_all(tasks, process_id, 2)
    pids = [next(stream)[1] for _ in range(4)]
    stream.close()  # type: ignore[attr-defined]
    for pid in pids:
        assert isinstance(pid, int)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
