"""The bar that a terminal shows while a stage works; in a log file, a line now and then."""

import sys
from typing import Any

from tqdm import tqdm

_IN_A_LOG = 10.0  # s between two lines where stderr is no terminal: there every update stays


def progress(**settings: Any) -> "tqdm[Any]":
    """A tqdm bar with these settings of it."""
    return tqdm(mininterval=0.1 if sys.stderr.isatty() else _IN_A_LOG, **settings)
