"""How many processes decode, and how long one item may take.

Both come from the environment because they depend on the machine: as keys of params.yaml they would split the cache
by machine. SBNET_WORKERS is the number of processes (0: in the stage's own, without their protection). SBNET_CORES says
how many cores of the machine are ours, where that is fewer than the system lets us use.
SBNET_ITEM_SECONDS is what an item may take, and may take again for each minute that its medium lasts (`minutes_of`).
"""

import math
import os
import sys
import time
from pathlib import Path

from pipeline.errors import ConfigError

ITEM_SECONDS = 120.0  # s
_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # as a container sees its own
SLICE = 1.0  # s that an executor waits at a time
_MOST_WORKERS = 8  # decoding is seldom slower than the model by more than that
_LEAST_BYTES = 4_000.0  # a second; sparser media are speech alone, which decodes fast, or have a wrong header
_USUAL_BYTES = 50_000.0  # a second, of media whose header gives no duration
_READ_BYTES = 120e6  # a minute's worth, however short the medium: 1 MB/s, a slow network disk


def cores() -> int:
    """Cores that this process may use: what the system or a container allows, or SBNET_CORES where that is fewer."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, _quota(), _whole_number("SBNET_CORES", "cores", allowed)))


def _quota() -> int:
    """Cores whose time a container may use (`docker --cpus`), rounded up: of its control group, version 2."""
    try:
        quota, period = _QUOTA.read_text(encoding="ascii").split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError, ZeroDivisionError):  # `max`: none is set
        return sys.maxsize


def worker_count() -> int:
    """SBNET_WORKERS, or one less than the cores (at least 1, at most 8)."""
    return _whole_number("SBNET_WORKERS", "processes", max(1, min(_MOST_WORKERS, cores() - 1)))


def _whole_number(variable: str, of: str, otherwise: int) -> int:
    """What a variable of the environment says, or `otherwise` where it is unset."""
    text = os.environ.get(variable, "")
    if text and not text.isdecimal():
        raise ConfigError(f"{variable} must be a whole number of {of}, found {text!r}")
    return int(text) if text else otherwise


def item_seconds() -> float:
    """SBNET_ITEM_SECONDS, or 120 s."""
    text = os.environ.get("SBNET_ITEM_SECONDS", "") or str(ITEM_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ConfigError(f"SBNET_ITEM_SECONDS must be a number of seconds above 0, found {text!r}")
    return seconds


def minutes_of(duration: float | None, size: int) -> float:
    """Minutes that decoding a medium may take, from its duration in s (None: unknown) and its size in bytes.

    The duration comes from the header, which may be wrong: it counts only as far as the bytes could hold it.
    """
    longest = size / (_USUAL_BYTES if duration is None else _LEAST_BYTES)  # s
    lasts = longest if duration is None else min(duration, longest)
    return max(lasts / 60, minutes_to_read(size))


def minutes_to_read(size: int) -> float:
    """Minutes that reading a file of `size` bytes may take."""
    return size / _READ_BYTES


class Clock:
    """Seconds that count. Of a pause of the whole job (a suspended batch job, Ctrl-Z) next to none does.

    Who goes by it looks at it at least every SLICE seconds.
    """

    def __init__(self) -> None:
        self._seen = time.monotonic()
        self._counted = 0.0

    def now(self) -> float:
        """Seconds since the start; of those since the last call at most two slices count."""
        before, self._seen = self._seen, time.monotonic()
        self._counted += min(self._seen - before, 2 * SLICE)
        return self._counted
