"""One run of a stage at a time in one working tree: a run that meets another of the same stage waits for it.

kill -9 of dvc leaves its stage running. What that orphan extracts is in the item cache, so a second run gains by
waiting for it instead of extracting the same beside it. The orphan publishes nothing (pipeline/runtime/orphans.py).
"""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import StoreError
from pipeline.runtime.workspace import home

logger = logging.getLogger(__name__)


@contextmanager
def stage_lock(name: str) -> Iterator[None]:
    """Hold the lock of the stage `name` in the working folder; the kernel releases it when the process ends.

    Raises StoreError where no lock file can be made or locked.
    """
    folder = hashlib.sha256(bytes(Path.cwd())).hexdigest()[:16]  # experiments work in copies, side by side
    path = home() / "locks" / f"{name}-{folder}.lock"
    # No soft lock, which is a file that a killed process leaves behind: the next run would wait for it for ever.
    lock = FileLock(path, fallback_to_soft=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            logger.warning(
                "%s runs already in this folder: waiting for it (or end it: `fuser %s` says which)", name, path
            )
            lock.acquire()
    except OSError as error:
        raise StoreError(
            f"{path} cannot be locked ({error.strerror}): set SBNET_HOME to a local disk with space"
        ) from error
    try:
        yield
    finally:
        lock.release()
