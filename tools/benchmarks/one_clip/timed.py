"""Commands with their wall clock, and what each stage took of it."""

import re
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.repository import Outcome
from tools.benchmarks.one_clip.clone import environment

_RUNNING = re.compile(r"^Running stage '([^']+)'")


@dataclass(frozen=True)
class Timed:
    """A command that succeeded."""

    seconds: float  # of the whole command
    processor: float  # s of it, over all its processes: what a busy machine does not change much
    log: str
    stages: dict[str, float] = field(default_factory=dict)  # s from the start of a stage to the next one's, or the end

    @property
    def outcome(self) -> Outcome:
        """Which stages DVC ran, and what they counted."""
        return Outcome(0, self.log)


def run(command: Sequence[str], folder: Path, more: Mapping[str, str] | None = None) -> Timed:
    """Run a command of this Python to its end; raises RuntimeError with what it said where it fails."""
    start, used = time.monotonic(), _processor()
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env={**environment(), **(more or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    lines = [(time.monotonic() - start, line) for line in process.stdout]
    code, seconds = process.wait(), time.monotonic() - start
    log = "".join(line for _, line in lines)
    if code:
        raise RuntimeError(f"{' '.join(command)} failed ({code}):\n{log}")
    return Timed(seconds, _processor() - used, log, spans(lines, seconds))


def _processor() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def spans(lines: Sequence[tuple[float, str]], end: float) -> dict[str, float]:
    """Seconds of each stage from DVC's lines with their time."""
    begun = [(at, found[1]) for at, line in lines if (found := _RUNNING.match(line))]
    ends = [*(at for at, _ in begun), end][1:]
    return {name: until - at for (at, name), until in zip(begun, ends, strict=True)}


def dvc(folder: Path, *arguments: str) -> Timed:
    """Run DVC in a clone."""
    return run(["-m", "dvc", *arguments], folder)
