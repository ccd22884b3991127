"""The bar that a terminal shows while a stage works; in a log file, a line now and then."""

import os
import sys
from typing import Any

from tqdm import tqdm

_IN_A_LOG = 10.0  # s between two lines where stderr is no terminal: there every update stays


def progress(**settings: Any) -> "tqdm[Any]":
    """A tqdm bar with these settings of it; the environment variable TQDM_MININTERVAL (s) has the last word."""
    if not sys.stderr.isatty() and "TQDM_MININTERVAL" not in os.environ:
        settings["mininterval"] = _IN_A_LOG
    return tqdm(**settings)
