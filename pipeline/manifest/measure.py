"""Digest and description of every medium, in decode workers; what has not changed since the last time is known.

A file that hangs or crashes a library of ours costs its worker, not the run: it is measured without description.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from pipeline.errors import MediaError
from pipeline.extraction.executors.local import decode_all
from pipeline.extraction.limits import minutes_to_read, worker_count
from pipeline.manifest.checks import refuse
from pipeline.manifest.medium import Measured, Unread, read_bytes_only, read_medium, stamp_of
from pipeline.media.probe import MediaInfo
from pipeline.runtime.progress import progress

_THREADS = 8  # at most, to ask for the state of files: a network disk answers slowly, but many at once
_PER_WORKER = 512  # files that make up for the start of another worker
_PART = 4096  # files asked for at a time
_QUIET = 2.0  # s before the bar shows


def measure(root: Path, paths: Sequence[str], known: Mapping[str, Measured]) -> dict[str, Measured]:
    """Measure the media below `root`; those whose stamp is in `known` are taken from it.

    A medium that cannot be read as one is measured without info. Raises ManifestError for files whose bytes cannot
    be read, or change meanwhile.
    """
    measured: dict[str, Measured] = {}
    problems: list[str] = []
    unread: list[tuple[str, int]] = []  # path, size
    for path, state in _states(root, paths):
        if isinstance(state, str):
            problems.append(f"{path!r}: {state}")
        elif found := known.get(stamp_of(state)):
            measured[path] = found
        else:
            unread.append((path, state.st_size))
    _read(root, unread, measured, problems)
    refuse(problems, "files whose bytes cannot be read", "Mend their permissions, or restore them.")
    return {path: measured[path] for path in paths} if len(unread) < len(paths) else measured


def changed_since(root: Path, measured: Mapping[str, Measured]) -> list[str]:
    """The media that are no longer the files that were measured."""
    states = _states(root, list(measured))
    return [path for path, state in states if isinstance(state, str) or stamp_of(state) != measured[path].stamp]


def _states(root: Path, paths: Sequence[str]) -> Iterator[tuple[str, os.stat_result | str]]:
    folder = str(root)
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        for start in range(0, len(paths), _PART):  # a pool takes all it is given at once into memory
            part = paths[start : start + _PART]
            yield from zip(part, pool.map(lambda path: _state(f"{folder}/{path}"), part), strict=True)


def _state(path: str) -> os.stat_result | str:
    try:
        return os.stat(path)  # noqa: PTH116 - a Path of each of a million costs more than its state
    except OSError as error:
        return error.strerror or str(error)


def _read(root: Path, unread: Sequence[tuple[str, int]], measured: dict[str, Measured], problems: list[str]) -> None:
    cached, unreadable = len(measured), 0
    descriptions: dict[MediaInfo, MediaInfo] = {}  # frames of one size share theirs
    with progress(total=cached + len(unread), initial=cached, desc="manifest", unit="item", delay=_QUIET) as bar:
        bar.set_postfix(cached=cached, unreadable=0, refresh=False)
        for one, outcome in _outcomes(root, unread):
            if isinstance(outcome, str):
                problems.append(f"{one.item!r}: {outcome}")
            elif outcome.info is None:
                measured[one.item] = outcome
                unreadable += 1
                bar.set_postfix(cached=cached, unreadable=unreadable, refresh=False)
            else:
                measured[one.item] = replace(outcome, info=descriptions.setdefault(outcome.info, outcome.info))
            bar.update()


def _outcomes(root: Path, unread: Sequence[tuple[str, int]]) -> Iterator[tuple[Unread, Measured | str]]:
    workers = min(worker_count(), 1 + len(unread) // _PER_WORKER)
    media = (Unread(path, root / path, size) for path, size in unread)
    for one, outcome in decode_all(media, read_medium, workers, lambda one: minutes_to_read(one.size)):
        # What its decoder died of is no matter to its bytes: to read these needs no library.
        yield one, read_bytes_only(one, str(outcome)) if isinstance(outcome, MediaError) else outcome
