"""One run of a stage at a time in one working tree: a run that meets another of the same stage waits for it.

kill -9 of dvc leaves its stage running. What that orphan extracts is in the item cache, so that a second run gains by
waiting for it, instead of extracting the same beside it. It publishes nothing (pipeline/runtime/orphans.py).
"""

import fcntl
import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import StoreError
from pipeline.runtime.workspace import home

logger = logging.getLogger(__name__)


@contextmanager
def turn(name: str) -> Iterator[None]:
    """Hold the turn of `name` in the working folder; the kernel gives it back when the process ends, however it ends.

    Raises StoreError where no lock file can be made or locked.
    """
    # By folder: experiments work in copies, side by side.
    path = home() / "turns" / hashlib.sha256(f"{name}\0{Path.cwd()}".encode()).hexdigest()[:16]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.warning(
                "%s runs already in this folder: waiting for it (or end it: `fuser %s` says which)", name, path
            )
            fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be locked ({error.strerror}): set SBNET_HOME to a local disk with space"
        ) from error
    with file:
        yield
