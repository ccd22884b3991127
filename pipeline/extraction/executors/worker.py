"""The decode workers' side of pipeline/extraction/executors/local.py: tasks in; payloads, or why there is none, out.

Every worker imports this file: it imports nothing heavy.
"""

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from pipeline.errors import LimitError, MediaError

TaskT = TypeVar("TaskT")
PayloadT = TypeVar("PayloadT")

_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
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


def serve(connection: Connection, decode: Callable[[Any], Any], parent: int) -> None:
    """Answer tasks until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle; we end when its pipe closes
    _die_with(parent)
    try:
        connection.send(Started())
        while True:
            task = connection.recv()
            try:
                answer = decode_one(decode, task)
            except Exception:  # noqa: BLE001 - reported whole by the parent, which then stops
                answer = Fault(traceback.format_exc())
            _send(connection, answer)
    except (EOFError, ConnectionError):
        return


def _die_with(parent: int) -> None:
    """Have the kernel kill this process once the parent is gone: a stuck decoder would never read its pipe again."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked
        os._exit(1)


def _send(connection: Connection, answer: object) -> None:
    try:
        connection.send(answer)
    except MemoryError:  # while the answer was copied for the pipe, of which nothing holds any of it yet
        connection.send(LimitError(NO_MEMORY))
