"""Decode functions that misbehave: workers import them by name, so they cannot live inside a test."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from pipeline.errors import MediaError
from pipeline.extraction import Task


def read_number(task: Task) -> np.ndarray:
    """The number in the task's file; the file may also say how to fail."""
    text = task.path.read_text()
    if text == "media error":
        raise MediaError("no audio track")
    if text == "hang":
        time.sleep(60)
    if text == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if text == "bug":
        raise RuntimeError("the decoder has a bug")
    if text.startswith("slow"):
        time.sleep(0.3)
        text = text.removeprefix("slow")
    return np.array([float(text)])


def process_id(task: Task) -> int:
    """Who decoded this."""
    return os.getpid()


def make_task(folder: Path, item: str, content: str) -> Task:
    """A task whose medium is a file with that content."""
    path = folder / item
    path.write_text(content)
    return Task(item, path, key=f"key of {item} {content}")
