"""Decode media in worker processes that may hang or crash without taking the run with them.

Workers only decode; model and cache stay in the parent. They take several tasks at a time where these are small, and
each of them still has its own time limit and costs only itself: what was finished beside it is kept, what was not is
given out again. How many workers there are, and how long an item may take, is in pipeline/extraction/limits.py.
"""

import heapq
import logging
import multiprocessing
import os
import pickle
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from ctypes import c_longlong
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import ModuleType
from typing import Any, Generic, TypeVar

from pipeline.errors import ExtractionError, LimitError, MediaError
from pipeline.extraction.executors.worker import NO_MEMORY, Fault, Started, answers_in, decode_one, serve
from pipeline.extraction.limits import SLICE, Clock, item_seconds

TaskT = TypeVar("TaskT")
PayloadT = TypeVar("PayloadT")

_START_SECONDS = 600.0  # s a worker may take to start; imports are slow on a loaded machine or a network disk
_DYING_SECONDS = 10.0  # s a killed worker may take to end
_AHEAD = 3  # chunks decoded ahead of the model, per worker
_CHUNK = 64  # items at most that a worker has at a time
_CHUNK_SECONDS = 0.1  # s of decoding that it has at a time: no worker is idle for long because another has the rest
_CHUNK_BYTES = 4 << 20  # of payloads: they wait in memory
_UNREAD = 1 << 16 if sys.platform == "linux" else 0  # bytes that a pipe takes although the worker does not read
_KILLED = -signal.SIGKILL  # exit code; we do not send it to workers that we bury

logger = logging.getLogger(__name__)


def decode_all(
    tasks: Iterable[TaskT],
    decode: Callable[[TaskT], PayloadT],
    workers: int,
    minutes: Callable[[TaskT], float] = lambda _: 0.0,
    spent: Callable[[float], None] = lambda _: None,
) -> Iterator[tuple[TaskT, PayloadT | MediaError]]:
    """Yield each task with its decoded payload, or with the MediaError that explains why there is none, in order.

    Tasks are taken as they are needed. `decode` must be importable by name (it is sent to the workers); `minutes` says
    how long a task's medium lasts; `spent` is called with seconds of decoding, now and then. Raises ExtractionError
    when `decode` fails otherwise.
    """
    with closing(Pool(decode, workers, minutes, spent)) as pool:
        yield from pool.run(tasks)


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
    begun: Any  # number in memory shared with it: tasks that it has begun
    started: bool = False
    given: deque[int] = field(default_factory=deque)  # tasks without an answer, in the order it takes them
    answered: int = 0
    read_from: int = 0  # tasks it has begun once its newest message is read
    current: int = 0  # tasks it had begun when the deadline was set
    limit: float = 0.0  # s its task may take
    deadline: float = 0.0

    def at(self, begun: int) -> int | None:
        """The task that it is at once it has begun so many; None between two."""
        place = begun - self.answered - 1
        return self.given[place] if 0 <= place < len(self.given) else None


def _await_end(worker: _Worker) -> None:
    """Wait for a dead or killed worker; one that a disk holds in the kernel cannot die, and is left behind."""
    worker.process.join(timeout=_DYING_SECONDS)
    if worker.process.is_alive():
        logger.warning("decode worker %s does not end: the disk it reads from may have stopped", worker.process.pid)


class Pool(Generic[TaskT, PayloadT]):
    """Decode workers, started when tasks come and kept until `close`. See decode_all."""

    def __init__(
        self,
        decode: Callable[[TaskT], PayloadT],
        workers: int,
        minutes: Callable[[TaskT], float],
        spent: Callable[[float], None],
    ) -> None:
        self._spent = spent
        self._decode = decode
        self._minutes = minutes
        self._seconds = item_seconds()
        self._clock = Clock()
        self._context = multiprocessing.get_context("spawn")  # fork would copy locks that torch's threads may hold
        self._most = workers
        self._workers: list[_Worker] = []
        self._new: Iterator[TaskT] = iter(())
        self._taken = 0  # tasks, of all runs
        self._again: list[int] = []  # a heap: given to a worker that died before it came to them
        self._open: dict[int, TaskT] = {}  # taken and not yielded
        self._done: dict[int, PayloadT | MediaError] = {}
        self._exhausted = False
        self._large = False  # the tasks themselves are
        self._chunk = 1  # items a worker has at a time
        self._item_seconds = self._item_bytes = 0.0  # of decoding, and of the payload, on average of late

    def run(self, tasks: Iterable[TaskT]) -> Iterator[tuple[TaskT, PayloadT | MediaError]]:
        """As decode_all; once it has ended, the workers wait for the tasks of another call."""
        if self._most == 0:
            yield from map(self._decoded_here, tasks)
            return
        index = self._taken
        self._new, self._exhausted = iter(tasks), False
        while True:
            self._assign(limit=index + _AHEAD * self._chunk * self._most)
            if index in self._done:
                yield self._open.pop(index), self._done.pop(index)
                index += 1
            elif index in self._open:
                self._collect()
            else:
                return

    def _decoded_here(self, task: TaskT) -> tuple[TaskT, PayloadT | MediaError]:
        start = time.perf_counter()
        answer = decode_one(self._decode, task)
        self._spent(time.perf_counter() - start)
        return task, answer

    def close(self) -> None:
        """End the workers, by force where they are busy."""
        for worker in self._workers:
            worker.connection.close()
        for worker in self._workers:
            worker.process.join(timeout=0.5)
            if worker.process.is_alive():
                worker.process.kill()
                _await_end(worker)

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        begun = self._context.RawValue(c_longlong, 0)
        process = self._context.Process(target=serve, args=(theirs, self._decode, begun, os.getpid()), daemon=True)
        with _main_module_hidden():
            process.start()
        theirs.close()
        return _Worker(process, ours, begun)

    def _assign(self, limit: int) -> None:
        """Give tasks below the number `limit` to workers that are about to have none."""
        for place in range(self._most):
            if self._exhausted and not self._again:
                return
            worker = self._workers[place] if place < len(self._workers) else None
            if worker is None or self._has_room(worker):
                held = len(worker.given) if worker else 0
                if not (chunk := self._take(self._chunk - held, limit)):
                    return
                if worker is None:
                    worker = self._start()
                    self._workers.append(worker)
                self._give(worker, chunk)

    def _has_room(self, worker: _Worker) -> bool:
        if not worker.given:
            return True
        has_read = worker.begun.value >= worker.read_from
        return bool(_UNREAD) and not self._large and has_read and len(worker.given) <= self._chunk // 2

    def _take(self, count: int, limit: int) -> list[int]:
        chunk: list[int] = []
        while len(chunk) < count and self._again and self._again[0] < limit:
            chunk.append(heapq.heappop(self._again))
        while len(chunk) < count and self._taken < limit and not self._exhausted:
            try:
                self._open[self._taken] = next(self._new)
            except StopIteration:
                self._exhausted = True
                break
            chunk.append(self._taken)
            self._taken += 1
        return chunk

    def _give(self, worker: _Worker, chunk: list[int]) -> None:
        message = pickle.dumps([self._open[index] for index in chunk], pickle.HIGHEST_PROTOCOL)
        if worker.given and len(message) > _UNREAD:  # it would block us as long as the worker waits to be read
            self._large = True
            self._give_again(chunk)
            return
        try:
            worker.connection.send_bytes(message)
        except ConnectionError:
            if worker.given:  # it is buried when its last words are read
                self._give_again(chunk)
                return
            worker = self._replace(worker)  # it died while idle, for which no item is to blame
            worker.connection.send_bytes(message)
        idle = not worker.given
        worker.given += chunk
        worker.read_from = worker.answered + len(worker.given) - len(chunk) + 1
        if idle:
            self._set_deadline(worker)

    def _give_again(self, indices: Iterable[int]) -> None:
        for index in indices:
            heapq.heappush(self._again, index)

    def _set_deadline(self, worker: _Worker) -> None:
        """The time of the task that the worker is at, or takes next, runs from now on."""
        worker.current = max(worker.begun.value, worker.answered + 1)
        index = worker.at(worker.current)
        worker.limit = self._seconds * (1.0 + self._minutes(self._open[worker.given[0] if index is None else index]))
        worker.deadline = self._clock.now() + (worker.limit if worker.started else _START_SECONDS)

    def _collect(self) -> None:
        busy = [worker for worker in self._workers if worker.given]
        now, nearest = self._clock.now(), min(worker.deadline for worker in busy)
        ready = wait([worker.connection for worker in busy], timeout=min(SLICE, max(0.0, nearest - now)))
        now = self._clock.now()
        for worker in busy:
            if worker.connection in ready:
                self._receive(worker)
            elif worker.begun.value > worker.current:
                self._set_deadline(worker)
            elif now >= worker.deadline:
                self._stop(worker)

    def _receive(self, worker: _Worker) -> None:
        try:
            message = worker.connection.recv_bytes()
            answers, seconds = answers_in(message)
        except (EOFError, OSError):  # OSError: it died in the middle of its answer
            self._bury(worker)
            return
        except MemoryError:  # ours, while the answer was taken from the pipe, in which some of it may be left
            worker.process.kill()
            self._blame(worker, worker.given[0], LimitError(NO_MEMORY))  # answers that are large travel alone
            return
        if isinstance(answers[0], Started):
            worker.started = True
        else:
            self._spent(seconds)
            self._measure(seconds / len(answers), len(message) / len(answers))
            self._accept(worker, answers)
        if worker.given:
            self._set_deadline(worker)

    def _accept(self, worker: _Worker, answers: list[Any]) -> None:
        for answer in answers:
            index = worker.given.popleft()
            worker.answered += 1
            if isinstance(answer, Fault):
                raise ExtractionError(f"decoding {self._open[index]} failed unexpectedly:\n{answer.trace}")
            self._done[index] = answer

    def _measure(self, seconds: float, size: float) -> None:
        """Adapt the size of chunks to what an item takes: seconds of decoding, bytes of its payload."""
        self._item_seconds = max(seconds, 0.8 * self._item_seconds + 0.2 * seconds)
        self._item_bytes = max(size, 0.8 * self._item_bytes + 0.2 * size)
        at_once = min(_CHUNK_SECONDS / max(self._item_seconds, 1e-9), _CHUNK_BYTES / max(self._item_bytes, 1))
        self._chunk = int(max(1, min(_CHUNK, at_once)))

    def _bury(self, worker: _Worker) -> None:
        _await_end(worker)
        code = worker.process.exitcode
        if not worker.started:
            raise ExtractionError(f"a decode worker did not start (exit code {code}); its own message is above")
        culprit = worker.at(worker.begun.value)
        if culprit is None and not worker.answered:  # whatever took it: not for ever
            culprit = worker.given[0]
        if code == _KILLED:
            perhaps = "killed, perhaps because memory ran out; fewer SBNET_WORKERS take less"
            self._blame(worker, culprit, LimitError(f"its decoder crashed (exit code {code}: {perhaps})"))
        else:
            self._blame(worker, culprit, MediaError(f"its decoder crashed (exit code {code})"))

    def _stop(self, worker: _Worker) -> None:
        worker.process.kill()
        if not worker.started:
            raise ExtractionError(f"a decode worker did not start in {_START_SECONDS:g} s: is the machine overloaded?")
        _await_end(worker)
        culprit = None if worker.begun.value > worker.current else worker.at(worker.current)  # it came through at last
        seconds = f"{round(worker.limit, 1):g} s"
        reason = f"decoding took longer than {seconds} and was stopped; SBNET_ITEM_SECONDS allows more"
        self._blame(worker, culprit, LimitError(reason))

    def _blame(self, worker: _Worker, culprit: int | None, reason: MediaError) -> None:
        """Replace a dead worker. One of its tasks has an answer by that, the others are given out again."""
        if culprit is not None:
            self._done[culprit] = reason
        self._give_again(index for index in worker.given if index != culprit)
        self._replace(worker)

    def _replace(self, worker: _Worker) -> _Worker:
        _await_end(worker)
        worker.connection.close()
        successor = self._start()
        self._workers[self._workers.index(worker)] = successor
        return successor
