"""One medium: its digest and its description. Decode workers import this file: it imports no tables."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import MediaError
from pipeline.files import sha256_of
from pipeline.media.probe import MediaInfo, probe

_SETTLED = 2.0  # s; a file changed later than that may change again within one tick of its clock


@dataclass(frozen=True, slots=True)
class Unread:
    """A medium to be measured."""

    item: str
    file: Path
    size: int  # bytes, by which its time limit grows


@dataclass(frozen=True, slots=True)
class Measured:
    """One medium: its bytes and what they are."""

    digest: str  # SHA-256, hex
    size: int  # bytes
    info: MediaInfo | None  # None: it cannot be read
    reason: str = ""  # why not
    stamp: str = ""  # state of the file
    settled: bool = True  # the stamp is old enough for the bytes to be known again by it


def read_medium(medium: Unread) -> Measured | str:
    """Measure a medium; a text says why the bytes of the file cannot be had."""
    return _measured(medium.file, _described)


def read_bytes_only(medium: Unread, reason: str) -> Measured | str:
    """Measure a medium that cannot be described, for the reason given."""
    return _measured(medium.file, lambda _: (None, reason))


def stamp_of(state: os.stat_result) -> str:
    """The file itself, its length and its two clocks; the change time (ctime) cannot be set back by a copy."""
    return f"{state.st_dev}-{state.st_ino}-{state.st_size}-{state.st_mtime_ns}-{state.st_ctime_ns}"


def _measured(path: Path, describe: Callable[[Path], tuple[MediaInfo | None, str]]) -> Measured | str:
    try:
        before = path.stat()
        digest = sha256_of(path)
        info, reason = describe(path)
        after = path.stat()
    except OSError as error:
        return error.strerror or str(error)
    if stamp_of(before) != stamp_of(after):
        return "changes while it is read"
    settled = time.time() - max(after.st_mtime, after.st_ctime) > _SETTLED
    return Measured(digest, after.st_size, info, reason, stamp_of(after), settled)


def _described(path: Path) -> tuple[MediaInfo | None, str]:
    try:
        return probe(path), ""
    except MediaError as error:
        return None, str(error)
