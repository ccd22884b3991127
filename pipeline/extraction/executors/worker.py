"""The decode workers' side of pipeline/extraction/executors/local.py: tasks in; payloads, or why there is none, out.

Every worker imports this file: it imports nothing heavy.
"""

import ctypes
import io
import os
import pickle
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from pipeline.errors import LimitError, MediaError

TaskT = TypeVar("TaskT")
PayloadT = TypeVar("PayloadT")

_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_GROUP_BYTES = 512 << 10  # of answers that are sent together
_GROUP_SECONDS = 0.02  # s an answer may wait for others
NO_MEMORY = "takes more memory to decode than there is; cut it, give it more memory or fewer workers (SBNET_WORKERS)"


@dataclass(frozen=True)
class Started:
    """A worker's first word: only from then on does its item's time run."""


@dataclass(frozen=True)
class Fault:
    """A bug in the decoder: it stops the run."""

    trace: str


def decode_one(decode: Callable[[TaskT], PayloadT], task: TaskT) -> PayloadT | MediaError:
    """The payload of a task, or the MediaError of an item that cannot be decoded, for lack of memory too."""
    try:
        return decode(task)
    except MediaError as error:
        return error
    except MemoryError:
        return LimitError(NO_MEMORY)


def serve(connection: Connection, decode: Callable[[Any], Any], begun: Any, parent: int) -> None:
    """Answer tasks until the parent is gone. They come as pickled lists; answers go in groups, in the tasks' order.

    `begun` is a number in shared memory: how many tasks were begun. By it the parent knows of which item a crash is.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle; we end when its pipe closes
    _die_with(parent)
    waiting: deque[Any] = deque()
    group = _Group(connection)
    try:
        group.add(Started())
        group.send()
        while True:
            if not waiting:
                if not connection.poll():
                    group.send()
                waiting += connection.recv()
            begun.value += 1
            started = time.perf_counter()
            try:
                answer = decode_one(decode, waiting.popleft())
            except Exception:  # noqa: BLE001 - reported whole by the parent, which then stops
                answer = Fault(traceback.format_exc())
            group.seconds += time.perf_counter() - started
            group.add(answer)
    except (EOFError, ConnectionError):
        return


class _Group:
    """Answers on their way to the parent: small ones travel together, a large one by itself."""

    def __init__(self, connection: Connection) -> None:
        self.seconds = 0.0  # s of decoding since the last group was sent
        self._connection = connection
        self._answers: list[bytes] = []
        self._bytes = 0
        self._since = 0.0

    def add(self, answer: object) -> None:
        try:
            pickled = pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
        except MemoryError:
            pickled = pickle.dumps(LimitError(NO_MEMORY))
        if self._answers and self._bytes + len(pickled) > _GROUP_BYTES:
            self.send()  # so that the parent knows which one it has no memory for
        if not self._answers:
            self._since = time.monotonic()
        self._answers.append(pickled)
        self._bytes += len(pickled)
        if self._bytes >= _GROUP_BYTES or time.monotonic() - self._since >= _GROUP_SECONDS:
            self.send()

    def send(self) -> None:
        if not self._answers:
            return
        head = pickle.dumps((len(self._answers), self.seconds))
        self._connection.send_bytes(b"".join([head, *self._answers]))
        self._answers, self._bytes, self.seconds = [], 0, 0.0


def answers_in(message: bytes) -> tuple[list[Any], float]:
    """What a worker sent together, and the seconds of decoding since its last message."""
    file = io.BytesIO(message)
    count, seconds = pickle.load(file)  # noqa: S301 - of a process of our own, as Connection.recv does
    return [pickle.load(file) for _ in range(count)], seconds  # noqa: S301


def _die_with(parent: int) -> None:
    """Have the kernel kill this process once the parent is gone: a stuck decoder would never read its pipe again."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked
        os._exit(1)
