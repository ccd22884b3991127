"""Digest and description of every medium, in threads; what has not changed since the last time is not read again."""

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from pipeline.errors import MediaError
from pipeline.files import sha256_of
from pipeline.manifest.checks import refuse
from pipeline.media.probe import MediaInfo, probe

_THREADS = 8  # at most; hashing is bound by the disk
_SETTLED = 2.0  # s; a file changed later than that may change again within one tick of its clock
_QUIET = 2.0  # s before the bar shows


@dataclass(frozen=True)
class Measured:
    """One medium: its bytes and what they are."""

    digest: str  # SHA-256, hex
    size: int  # bytes
    info: MediaInfo | None  # None: it cannot be read
    reason: str = ""  # why not
    stamp: str | None = None  # state of the file by which its bytes are known again; None: not to be trusted


def measure(root: Path, paths: Sequence[str], known: Mapping[str, Measured]) -> dict[str, Measured]:
    """Measure the media below `root`; those whose stamp is in `known` are taken from there.

    A medium that cannot be read as one is measured without info. Raises ManifestError for files whose bytes cannot
    be read, or change meanwhile.
    """
    measured: dict[str, Measured] = {}
    problems: list[str] = []
    cached = unreadable = 0
    pool = ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1))
    try:
        outcomes = pool.map(lambda path: _measure(root / path, known), paths)
        with tqdm(total=len(paths), desc="manifest", unit="item", delay=_QUIET) as bar:
            for path, outcome in zip(paths, outcomes, strict=True):
                if isinstance(outcome, str):
                    problems.append(f"{path!r}: {outcome}")
                else:
                    measured[path] = outcome
                    cached, unreadable = cached + (outcome.stamp in known), unreadable + (outcome.info is None)
                bar.set_postfix(cached=cached, unreadable=unreadable, refresh=False)
                bar.update()
    finally:
        pool.shutdown(cancel_futures=True)  # else Ctrl-C would wait for the whole queue
    refuse(problems, "files whose bytes cannot be read", "Mend their permissions, or restore them.")
    return measured


def _measure(path: Path, known: Mapping[str, Measured]) -> Measured | str:
    try:
        before = path.stat()
        if found := known.get(_stamp(before)):
            return found
        digest = sha256_of(path)
        info, reason = _described(path)
        after = path.stat()
    except OSError as error:
        return error.strerror or str(error)
    if _stamp(before) != _stamp(after):
        return "changes while it is read"
    settled = time.time() - max(after.st_mtime, after.st_ctime) > _SETTLED
    return Measured(digest, after.st_size, info, reason, _stamp(after) if settled else None)


def _described(path: Path) -> tuple[MediaInfo | None, str]:
    try:
        return probe(path), ""
    except MediaError as error:
        return None, str(error)


def _stamp(state: os.stat_result) -> str:
    """The file itself, its length and its two clocks; the change time (ctime) cannot be set back by a copy."""
    return f"{state.st_dev}-{state.st_ino}-{state.st_size}-{state.st_mtime_ns}-{state.st_ctime_ns}"
