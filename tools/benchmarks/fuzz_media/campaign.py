"""All mutants through the decode workers; what comes back is judged and counted."""

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pipeline.errors import ExtractionError, MediaError
from pipeline.extraction.executors.local import decode_all
from pipeline.extraction.executors.worker import NO_MEMORY
from pipeline.extraction.tasks import Task, prepared
from pipeline.media import probe
from tools.benchmarks.fuzz_media.judgement import (
    HEARING,
    SAMPLING,
    Kept,
    keep_crops,
    keep_frames,
    keep_text,
    keep_waveform,
)

PayloadT = TypeVar("PayloadT")
logger = logging.getLogger("tools.benchmarks.fuzz_media")


@dataclass
class Findings:
    """Outcomes counted, and everything that must not be."""

    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # (decoding, suffix, outcome)
    reasons: Counter[str] = field(default_factory=Counter)  # of refusals, without names and numbers
    faults: list[str] = field(default_factory=list)  # sentences that name the mutant
    caught: list[str] = field(default_factory=list)  # crashes and hangs, which only the workers' limits caught


def described(path: Path) -> str:
    """What the manifest stage asks of a file."""
    return repr(probe(path))


def run_campaign(paths: Sequence[Path], workers: int, seconds: float) -> Findings:
    """Every file through every decoding with at most `seconds` an item, and a second time to compare."""
    os.environ["SBNET_ITEM_SECONDS"] = str(seconds)  # as a user would set it
    findings = Findings()

    def decode_each(name: str, keep: Callable[[Any], Kept], tasks: Sequence[Task[Any]]):
        return _decode_each(name, keep, tasks, workers, findings)

    tasks = [Task(path.name, path, key=path.name, prepare=described) for path in paths]
    decode_each("probe", keep_text, tasks)
    heard = [replace(task, prepare=HEARING) for task in tasks]
    sounds = decode_each("waveform", keep_waveform, heard)
    again = [task for task in reversed(heard) if task.item in sounds]  # reversed: after other neighbours
    _compare(sounds, decode_each("waveform again", keep_waveform, again), findings)
    seen = [replace(task, prepare=SAMPLING) for task in tasks]
    frames = decode_each("frames", keep_frames, seen)
    wanted = [replace(task, prepare=frames[task.item].cut) for task in reversed(tasks) if task.item in frames]
    _compare(frames, decode_each("crops of these", keep_crops, wanted), findings)
    return findings


def _decode_each(
    name: str,
    keep: Callable[[PayloadT], Kept],
    tasks: Sequence[Task[PayloadT]],
    workers: int,
    findings: Findings,
) -> dict[str, Kept]:
    """What is kept of each task that has a payload; a leak is noted and left out, so that one run finds them all."""
    start, kept, left = time.monotonic(), {}, {task.item: task for task in tasks}
    while left:
        try:
            for task, outcome in decode_all(list(left.values()), prepared, workers):
                del left[task.item]
                if isinstance(outcome, MediaError):
                    _count_refusal(name, task, str(outcome), findings)
                    continue
                kept[task.item] = keep(outcome)
                findings.counts[name, task.path.suffix, "decoded"] += 1
                if fault := kept[task.item].fault:
                    findings.faults.append(f"{task.item}: {name} {fault}")
        except ExtractionError as error:
            culprit = next(item for item in left if f"'{item}'" in str(error))
            findings.faults.append(f"{culprit}: {name} stopped the run: {str(error).strip().splitlines()[-1]}")
            del left[culprit]
        else:
            findings.faults += [f"{item}: {name} gave neither result nor reason" for item in left]
            break
    logger.info("%s: %d files in %.1f s", name, len(tasks), time.monotonic() - start)
    return kept


def _count_refusal(name: str, task: Task[Any], reason: str, findings: Findings) -> None:
    outcome = "crashed" if "decoder crashed" in reason else "stopped" if "was stopped" in reason else "refused"
    findings.counts[name, task.path.suffix, outcome] += 1
    if outcome != "refused" or reason == NO_MEMORY:
        findings.caught.append(f"{task.item}: {name}: {reason}")
    elif task.item not in reason:
        findings.faults.append(f"{task.item}: {name} is refused without its name: {reason!r}")
    words = reason.replace(str(task.path), "").replace(task.item, "").split()
    findings.reasons[" ".join(word for word in words if not any(sign.isdigit() for sign in word))] += 1


def _compare(first: dict[str, Kept], second: dict[str, Kept], findings: Findings) -> None:
    """The bytes must not depend on what a worker decoded before."""
    for item, kept in first.items():
        if item not in second:
            findings.faults.append(f"{item}: decoded once, but not again")
        elif second[item].digest != kept.digest:
            findings.faults.append(f"{item}: decodes to other values the second time")
