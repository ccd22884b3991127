"""A module that decode workers, but not the tests, find hard to import, as on a loaded machine or a network disk."""

import multiprocessing
import os
import time

from pipeline.extraction.tasks import Task

START = "SBNET_TEST_START"  # slow | broken

if multiprocessing.current_process().name != "MainProcess":  # parent_process() is not set this early
    if os.environ.get(START) == "slow":
        time.sleep(2.5)
    if os.environ.get(START) == "broken":
        raise ImportError("a library is missing here")


def length(task: Task) -> int:
    """Bytes of the task's file."""
    return task.path.stat().st_size
