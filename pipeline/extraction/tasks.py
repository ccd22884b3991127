"""Items to extract: which, their medium, what makes the model's input of it, and the key of the result."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pipeline.errors import ExtractionError, GoneError, MediaError
from pipeline.extraction.fingerprint import fingerprint_of
from pipeline.extraction.item_cache import item_key
from pipeline.extraction.limits import minutes_of
from pipeline.extraction.rows import rows_in
from pipeline.files import sha256_of

if TYPE_CHECKING:
    import pandas as pd  # decode workers import this file

PayloadT = TypeVar("PayloadT")
FoundT = TypeVar("FoundT")

# What of a manifest's row extraction looks at; a large corpus's other columns need not be in memory.
MEDIA_COLUMNS = ("item", "identity", "clip", "kind", "path", "digest", "size", "duration", "audio_tracks")


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


def rows_of(manifest: "pd.DataFrame", found: Iterable[tuple[str, FoundT]]) -> Iterator[tuple[Any, FoundT]]:
    """The manifest's row of each item that something was found of; both sorted by item."""
    rows = rows_in(manifest)
    for item, what in found:
        row = next((row for row in rows if row.item == item), None)
        if row is None:
            raise ExtractionError(f"{item!r} is not in the manifest, or items are not sorted: run `dvc repro`")
        yield row, what


class Tasks(Generic[PayloadT]):
    """Tasks that are made anew whenever they are gone through: those of a large corpus would fill the memory."""

    def __init__(self, make: Callable[[], Iterable[Task[PayloadT]]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[Task[PayloadT]]:
        return iter(self._make())


def may_hold_voices(manifest: "pd.DataFrame") -> "pd.DataFrame":
    """The rows of which a voice is embedded: sound and video, not mute video; unreadable media are skipped later."""
    mute = (manifest["audio_tracks"] == 0).fillna(False)
    return manifest[manifest["kind"].isin(["video", "audio"]) & ~mute]


def task_of(
    row: Any, path: Path, prepare: Callable[[Path], PayloadT], fingerprint: str, of_prepare: str | None = None
) -> Task[PayloadT]:
    """The task of a manifest's row, as `rows_in` gives it, with the medium at `path`.

    Its key names the medium's bytes, the extractor, by its fingerprint, and `prepare` with every field of it: what
    runs in the worker cannot differ without another key. `of_prepare` is fingerprint_of(prepare), where it is the same
    for many rows.
    """
    key = item_key(row.digest, fingerprint, of_prepare or fingerprint_of(prepare))
    duration = row.duration if isinstance(row.duration, float) else None  # unknown: NA
    return Task(row.item, path, key, prepare, row.digest, minutes_of(duration, row.size))


def prepared(task: Task[PayloadT]) -> PayloadT:
    """What a decode worker does with a task; raises GoneError where the medium is not what the manifest saw.

    The bytes are compared last, so that no change before the end of reading goes unnoticed; also where nothing could be
    read, since a file that is just being copied is no broken one.
    """
    try:
        payload = task.prepare(task.path)
    except GoneError:
        raise
    except MediaError:
        _refuse_changed(task)
        raise
    _refuse_changed(task)
    return payload


def _refuse_changed(task: Task[PayloadT]) -> None:
    try:
        changed = bool(task.digest) and sha256_of(task.path) != task.digest
    except OSError as error:
        raise GoneError(f"{task.path.name}: was removed while it was read ({error.strerror})") from error
    if changed:
        raise GoneError(f"{task.path.name}: has changed since the manifest was made")
