"""Decode media in worker processes that may hang or crash without taking the run with them.

SBNET_WORKERS says how many (0: in this process, without the protection), because it depends on the machine: as a
key of params.yaml it would split the cache by machine. Workers only decode; model and cache stay in the parent.
"""

import logging
import multiprocessing
import os
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Generic, TypeVar

from pipeline.errors import ExtractionError, MediaError

TaskT = TypeVar("TaskT")
PayloadT = TypeVar("PayloadT")

ITEM_SECONDS = 120.0  # s one item may take to decode before its worker is killed (SBNET_ITEM_SECONDS)
_START_SECONDS = 600.0  # s a worker may take to start; imports are slow on a loaded machine or a network disk
_MOST_WORKERS = 8  # decoding is seldom slower than the model by more than that
_AHEAD = 3  # items decoded ahead of the model, per worker

logger = logging.getLogger(__name__)


def worker_count() -> int:
    """SBNET_WORKERS, or one less than the cores (at least 1, at most 8)."""
    given = os.environ.get("SBNET_WORKERS", "")
    if not given:
        return max(1, min(_MOST_WORKERS, (os.cpu_count() or 1) - 1))
    if not given.isdecimal():
        raise ExtractionError(f"SBNET_WORKERS must be a whole number of processes, found {given!r}")
    return int(given)


def decode_all(
    tasks: Sequence[TaskT], decode: Callable[[TaskT], PayloadT], workers: int
) -> Iterator[tuple[TaskT, PayloadT | MediaError]]:
    """Yield each task with its decoded payload, or with the MediaError that explains why there is none, in order.

    `decode` must be importable by name (it is sent to the workers). Raises ExtractionError when it fails otherwise.
    """
    if workers == 0:
        for task in tasks:
            try:
                yield task, decode(task)
            except MediaError as error:
                yield task, error
        return
    pool = _Pool(decode, min(workers, len(tasks)))
    try:
        yield from pool.run(tasks)
    finally:
        pool.close()


def _serve(connection: Connection, decode: Callable[[Any], Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle; we end when its pipe closes
    try:
        connection.send(_Started())
        while True:
            task = connection.recv()
            try:
                answer = decode(task)
            except MediaError as error:
                answer = error
            except Exception:  # noqa: BLE001 - reported whole by the parent, which then stops
                answer = _Fault(traceback.format_exc())
            connection.send(answer)
    except (EOFError, ConnectionError):
        return  # the parent is gone


@dataclass(frozen=True)
class _Started:
    """A worker's first word: only from then on does its item's time run."""


@dataclass(frozen=True)
class _Fault:
    trace: str


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    started: bool = False
    index: int | None = None  # of the task it works on
    deadline: float = 0.0


class _Pool(Generic[TaskT, PayloadT]):
    def __init__(self, decode: Callable[[TaskT], PayloadT], workers: int) -> None:
        self._decode = decode
        self._limit = float(os.environ.get("SBNET_ITEM_SECONDS", ITEM_SECONDS))
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
                worker.process.join()

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._decode), daemon=True)
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
        self._set_deadline(worker)

    def _set_deadline(self, worker: _Worker) -> None:
        worker.deadline = time.monotonic() + (self._limit if worker.started else _START_SECONDS)

    def _collect(self, tasks: Sequence[TaskT], done: dict[int, PayloadT | MediaError]) -> None:
        busy = [worker for worker in self._workers if worker.index is not None]
        nearest = min(worker.deadline for worker in busy)
        ready = wait([worker.connection for worker in busy], timeout=max(0.0, nearest - time.monotonic()))
        for worker in busy:
            index = worker.index
            assert index is not None
            if worker.connection in ready:
                answer = self._receive(worker, tasks[index])
                if not isinstance(answer, _Started):
                    done[index] = answer
            elif time.monotonic() >= worker.deadline:
                done[index] = self._stop(worker)

    def _receive(self, worker: _Worker, task: TaskT) -> PayloadT | MediaError | _Started:
        try:
            answer: PayloadT | MediaError | _Started | _Fault = worker.connection.recv()
        except (EOFError, OSError):  # OSError: it died in the middle of its answer
            return self._bury(worker)
        if isinstance(answer, _Fault):
            raise ExtractionError(f"decoding {task} failed unexpectedly:\n{answer.trace}")
        if isinstance(answer, _Started):
            worker.started = True
            self._set_deadline(worker)
        else:
            worker.index = None
        return answer

    def _bury(self, worker: _Worker) -> MediaError:
        worker.process.join()
        code = worker.process.exitcode
        if not worker.started:
            raise ExtractionError(f"a decode worker did not start (exit code {code}); what it said is above")
        self._replace(worker)
        return MediaError(f"its decoder crashed (exit code {code})")

    def _stop(self, worker: _Worker) -> MediaError:
        worker.process.kill()
        if not worker.started:
            raise ExtractionError(f"a decode worker did not start in {_START_SECONDS:g} s: is the machine overloaded?")
        self._replace(worker)
        return MediaError(f"decoding took longer than {self._limit:g} s and was stopped")

    def _replace(self, worker: _Worker) -> _Worker:
        worker.process.join()
        worker.connection.close()
        successor = self._start()
        self._workers[self._workers.index(worker)] = successor
        return successor
