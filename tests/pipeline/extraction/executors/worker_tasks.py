"""Decode functions that misbehave: workers import them by name, so they cannot live inside a test."""

import ctypes
import os
import signal
import time
from pathlib import Path

import numpy as np

from pipeline.errors import GoneError, MediaError
from pipeline.extraction.tasks import Task
from pipeline.manifest.medium import Measured, Unread, read_medium

SIGNALS = {"crash": signal.SIGSEGV, "killed": signal.SIGKILL}


class TooLargeToSend:
    """What memory does not suffice to copy for the pipe."""

    def __reduce__(self) -> str:
        raise MemoryError


def number_in(path: Path) -> np.ndarray:
    """The number in a file; the file may also say how to fail."""
    text = path.read_text()
    if text == "media error":
        raise MediaError("no audio track")
    if text in ("gone", "changed"):
        raise GoneError(f"{path.name}: {text}")
    if text.startswith("hang"):
        time.sleep(float(text.removeprefix("hang") or 60))
        text = "0"
    if text in SIGNALS:
        os.kill(os.getpid(), SIGNALS[text])
    if text == "too large":
        raise MemoryError
    if text == "too large to send":
        return np.array([TooLargeToSend()], dtype=object)
    if text == "bug":
        raise RuntimeError("the decoder has a bug")
    if text.startswith("slow"):
        time.sleep(0.3)
        text = text.removeprefix("slow")
    return np.array([float(text)])


def read_number(task: Task) -> np.ndarray:
    """What `number_in` gives of the task's file."""
    return number_in(task.path)


def read_number_and_note(task: Task) -> np.ndarray:
    """What `number_in` gives, with a note of every time that an item was begun."""
    with (task.path.parent / "begun").open("a") as notes:
        notes.write(f"{task.item}\n")
    return number_in(task.path)


def large_answer(task: Task) -> bytes:
    """More than a pipe holds."""
    return bytes(300_000)


def process_id(task: Task) -> int:
    """Who decoded this."""
    return os.getpid()


def process_id_then_hang(task: Task) -> None:
    """Write down who decodes, and do it for ever, in a call that holds on to the interpreter."""
    (task.path.parent / "pid").write_text(str(os.getpid()))
    ctypes.PyDLL(None).sleep(1000)


def make_task(folder: Path, item: str, content: str) -> Task:
    """A task whose medium is a file with that content."""
    path = folder / item
    path.write_text(content)
    return Task(item, path, key=f"key of {item} {content}", prepare=number_in)


def hostile_medium(medium: Unread) -> Measured | str:
    """The manifest's reading of a medium, with a library that some names do not agree with."""
    name = medium.file.stem
    if name == "hangs":
        time.sleep(60)
    if name in SIGNALS:
        os.kill(os.getpid(), SIGNALS[name])
    if name == "film":
        raise MemoryError
    return read_medium(medium)
