"""A stage run as DVC runs it, and what it took."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Cost:
    """What a process took."""

    wall: float  # s
    processor: float  # s, user and system
    memory: float  # MB, resident at most

    def __str__(self) -> str:
        return f"{self.wall:7.1f} s, {self.processor:7.1f} s of processor, {self.memory:6.0f} MB"


def run(folder: Path, *arguments: str) -> Cost:
    """Run `python <arguments>` in a project folder; raises RuntimeError with its last words if it fails."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SBNET_HOME": str(folder / ".sbnet"), "DVC_ROOT": str(folder)}
    log = folder / "stage.log"
    begin = time.perf_counter()
    with log.open("w", encoding="utf-8") as words:
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=folder, env=environment, stdout=words, stderr=words
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{log.read_text(encoding='utf-8')[-2000:]}")
    # Linux counts ru_maxrss in KiB.
    return Cost(time.perf_counter() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
