"""Work whose model misbehaves, for actors on a cluster: they import it by name, so it cannot live inside a test."""

import os
import signal
import time
from collections.abc import Callable, Sequence

import numpy as np

from pipeline.errors import MediaError
from pipeline.extraction.item_cache import Arrays
from pipeline.extraction.work import Work

KILLS_THE_MODEL, HANGS_THE_MODEL = 666.0, 667.0


def infer(payloads: Sequence[np.ndarray]) -> list[Arrays | MediaError]:
    """Squares of numbers; one kills the process that it is asked in, one never comes back."""
    numbers = [float(payload[0]) for payload in payloads]
    if KILLS_THE_MODEL in numbers:
        os.kill(os.getpid(), signal.SIGKILL)
    if HANGS_THE_MODEL in numbers:
        time.sleep(1000)
    return [MediaError("negative") if n < 0 else {"embeddings": np.array([n * n])} for n in numbers]


def squares() -> Work[np.ndarray]:
    """The work of such a model."""
    return Work("square", infer, batch=1, describe=described)


def described() -> Callable[[], Work[np.ndarray]]:
    """What is sent to a node."""
    return squares
