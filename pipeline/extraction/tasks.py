"""Items to extract: which, their medium, what makes the model's input of it, and the key of the result."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import pandas as pd

from pipeline.errors import GoneError
from pipeline.extraction.fingerprint import fingerprint_of
from pipeline.extraction.item_cache import item_key
from pipeline.extraction.limits import minutes_of
from pipeline.files import sha256_of

PayloadT = TypeVar("PayloadT")


@dataclass(frozen=True)
class Task(Generic[PayloadT]):
    """One item to extract. It is sent to a decode worker, which runs `prepare`.

    The key is made of the bytes that the manifest saw: what was made of other bytes must not be cached under it, where
    it would be found as long as the cache exists.
    """

    item: str
    path: Path
    key: str
    prepare: Callable[[Path], PayloadT]  # picklable: an instance of a frozen dataclass of pipeline.extraction.decoding
    digest: str = ""  # SHA-256 of the medium as the manifest saw it; empty: not checked
    minutes: float = 0.0  # that its medium lasts, by which its time limit grows (limits.minutes_of)


def may_hold_voices(manifest: pd.DataFrame) -> pd.DataFrame:
    """The rows of which a voice is embedded: sound and video, not mute video; unreadable media are skipped later."""
    mute = (manifest["audio_tracks"] == 0).fillna(False)
    return manifest[manifest["kind"].isin(["video", "audio"]) & ~mute]


def task_of(row: Any, path: Path, prepare: Callable[[Path], PayloadT], fingerprint: str) -> Task[PayloadT]:
    """The task of a manifest's row, as `itertuples` gives it, with the medium at `path`.

    Its key names the medium's bytes, the extractor, by its fingerprint, and `prepare` with every field of it: what
    runs in the worker cannot differ without another key.
    """
    key = item_key(row.digest, fingerprint, fingerprint_of(prepare))
    duration = row.duration if isinstance(row.duration, float) else None  # unknown: NA
    return Task(row.item, path, key, prepare, row.digest, minutes_of(duration, row.size))


def prepared(task: Task[PayloadT]) -> PayloadT:
    """What a decode worker does with a task; raises GoneError where the medium is not what the manifest saw.

    The bytes are compared last, so that no change before the end of reading goes unnoticed.
    """
    payload = task.prepare(task.path)
    try:
        changed = bool(task.digest) and sha256_of(task.path) != task.digest
    except OSError as error:
        raise GoneError(f"{task.path.name}: was removed while it was read ({error.strerror})") from error
    if changed:
        raise GoneError(f"{task.path.name}: has changed since the manifest was made")
    return payload
