"""Decode media in worker processes that may hang or crash without taking the run with them.

Workers only decode; model and cache stay in the parent. How many there are, and how long an item may take, is in
pipeline/extraction/limits.py.
"""

import logging
import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import ModuleType
from typing import Generic, TypeVar

from pipeline.errors import ExtractionError, LimitError, MediaError
from pipeline.extraction.executors.worker import NO_MEMORY, Fault, Started, decode_one, serve
from pipeline.extraction.limits import item_seconds

TaskT = TypeVar("TaskT")
PayloadT = TypeVar("PayloadT")

_START_SECONDS = 600.0  # s a worker may take to start; imports are slow on a loaded machine or a network disk
_DYING_SECONDS = 10.0  # s a killed worker may take to end
_SLICE = 1.0  # s of waiting at a time
_AHEAD = 3  # items decoded ahead of the model, per worker
_KILLED = -signal.SIGKILL  # exit code; we do not send it to workers that we bury

logger = logging.getLogger(__name__)


def decode_all(
    tasks: Sequence[TaskT],
    decode: Callable[[TaskT], PayloadT],
    workers: int,
    minutes: Callable[[TaskT], float] = lambda _: 0.0,
) -> Iterator[tuple[TaskT, PayloadT | MediaError]]:
    """Yield each task with its decoded payload, or with the MediaError that explains why there is none, in order.

    `decode` must be importable by name (it is sent to the workers); `minutes` says how long a task's medium lasts.
    Raises ExtractionError when `decode` fails otherwise.
    """
    if workers == 0 or not tasks:
        yield from ((task, decode_one(decode, task)) for task in tasks)
        return
    pool = _Pool(decode, min(workers, len(tasks)), minutes)
    try:
        yield from pool.run(tasks)
    finally:
        pool.close()


@contextmanager
def _main_module_hidden() -> Iterator[None]:
    """Keep spawn from importing the stage's own module in each worker, with pandas and all else that a stage needs."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    started: bool = False
    index: int | None = None  # of the task it works on
    limit: float = 0.0  # s that task may take
    deadline: float = 0.0


def _await_end(worker: _Worker) -> None:
    """Wait for a dead or killed worker; one that a disk holds in the kernel cannot die, and is left behind."""
    worker.process.join(timeout=_DYING_SECONDS)
    if worker.process.is_alive():
        logger.warning("decode worker %s does not end: the disk it reads from may have stopped", worker.process.pid)


class _Clock:
    """Seconds that count. Of a pause of the whole job (a suspended batch job, Ctrl-Z) next to none does."""

    def __init__(self) -> None:
        self._seen = time.monotonic()
        self._counted = 0.0

    def now(self) -> float:
        """Seconds since the start; of those since the last call at most two slices count."""
        before, self._seen = self._seen, time.monotonic()
        self._counted += min(self._seen - before, 2 * _SLICE)
        return self._counted


class _Pool(Generic[TaskT, PayloadT]):
    def __init__(self, decode: Callable[[TaskT], PayloadT], workers: int, minutes: Callable[[TaskT], float]) -> None:
        self._decode = decode
        self._minutes = minutes
        self._seconds = item_seconds()
        self._clock = _Clock()
        self._context = multiprocessing.get_context("spawn")  # fork would copy locks that torch's threads may hold
        self._workers = [self._start() for _ in range(workers)]

    def run(self, tasks: Sequence[TaskT]) -> Iterator[tuple[TaskT, PayloadT | MediaError]]:
        waiting = deque(range(len(tasks)))
        done: dict[int, PayloadT | MediaError] = {}
        for index, task in enumerate(tasks):
            while index not in done:
                self._assign(tasks, waiting, limit=index + _AHEAD * len(self._workers))
                self._collect(tasks, done)
            self._assign(tasks, waiting, limit=index + _AHEAD * len(self._workers))
            yield task, done.pop(index)

    def close(self) -> None:
        for worker in self._workers:
            worker.connection.close()
        for worker in self._workers:
            worker.process.join(timeout=0.5)
            if worker.process.is_alive():
                worker.process.kill()
                _await_end(worker)

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=serve, args=(theirs, self._decode, os.getpid()), daemon=True)
        with _main_module_hidden():
            process.start()
        theirs.close()
        return _Worker(process, ours)

    def _assign(self, tasks: Sequence[TaskT], waiting: deque[int], limit: int) -> None:
        for worker in tuple(self._workers):
            if worker.index is None and waiting and waiting[0] < limit:
                index = waiting.popleft()
                self._give(worker, index, tasks[index])

    def _give(self, worker: _Worker, index: int, task: TaskT) -> None:
        try:
            worker.connection.send(task)
        except ConnectionError:  # it died while idle, for which the item is not to blame
            worker = self._replace(worker)
            worker.connection.send(task)
        worker.index = index
        worker.limit = self._seconds * (1.0 + self._minutes(task))
        self._set_deadline(worker)

    def _set_deadline(self, worker: _Worker) -> None:
        worker.deadline = self._clock.now() + (worker.limit if worker.started else _START_SECONDS)

    def _collect(self, tasks: Sequence[TaskT], done: dict[int, PayloadT | MediaError]) -> None:
        busy = [worker for worker in self._workers if worker.index is not None]
        now, nearest = self._clock.now(), min(worker.deadline for worker in busy)
        ready = wait([worker.connection for worker in busy], timeout=min(_SLICE, max(0.0, nearest - now)))
        now = self._clock.now()
        for worker in busy:
            index = worker.index
            assert index is not None
            if worker.connection in ready:
                answer = self._receive(worker, tasks[index])
                if not isinstance(answer, Started):
                    done[index] = answer
            elif now >= worker.deadline:
                done[index] = self._stop(worker)

    def _receive(self, worker: _Worker, task: TaskT) -> PayloadT | MediaError | Started:
        try:
            answer: PayloadT | MediaError | Started | Fault = worker.connection.recv()
        except (EOFError, OSError):  # OSError: it died in the middle of its answer
            return self._bury(worker)
        except MemoryError:  # ours, while the answer was taken from the pipe, in which some of it may be left
            worker.process.kill()
            self._replace(worker)
            return LimitError(NO_MEMORY)
        if isinstance(answer, Fault):
            raise ExtractionError(f"decoding {task} failed unexpectedly:\n{answer.trace}")
        if isinstance(answer, Started):
            worker.started = True
            self._set_deadline(worker)
        else:
            worker.index = None
        return answer

    def _bury(self, worker: _Worker) -> MediaError:
        _await_end(worker)
        code = worker.process.exitcode
        if not worker.started:
            raise ExtractionError(f"a decode worker did not start (exit code {code}); its own message is above")
        self._replace(worker)
        if code == _KILLED:
            perhaps = "killed, perhaps because memory ran out; fewer SBNET_WORKERS take less"
            return LimitError(f"its decoder crashed (exit code {code}: {perhaps})")
        return MediaError(f"its decoder crashed (exit code {code})")

    def _stop(self, worker: _Worker) -> MediaError:
        worker.process.kill()
        if not worker.started:
            raise ExtractionError(f"a decode worker did not start in {_START_SECONDS:g} s: is the machine overloaded?")
        self._replace(worker)
        seconds = f"{round(worker.limit, 1):g} s"
        return LimitError(f"decoding took longer than {seconds} and was stopped; SBNET_ITEM_SECONDS allows more")

    def _replace(self, worker: _Worker) -> _Worker:
        _await_end(worker)
        worker.connection.close()
        successor = self._start()
        self._workers[self._workers.index(worker)] = successor
        return successor
