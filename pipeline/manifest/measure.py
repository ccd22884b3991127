"""Digest and description of every medium, in decode workers; what has not changed since the last time is known.

A file that hangs or crashes a library of ours costs its worker, not the run: it is measured without description.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.errors import MediaError
from pipeline.extraction.executors.local import decode_all
from pipeline.extraction.limits import minutes_to_read, worker_count
from pipeline.manifest.checks import refuse
from pipeline.manifest.medium import Measured, Unread, read_bytes_only, read_medium, stamp_of
from pipeline.runtime.progress import progress

_THREADS = 8  # at most, to ask for the state of files: a network disk answers slowly, but many at once
_PER_WORKER = 512  # files that make up for the start of another worker
_QUIET = 2.0  # s before the bar shows


def measure(root: Path, paths: Sequence[str], known: Mapping[str, Measured]) -> dict[str, Measured]:
    """Measure the media below `root`; those whose stamp is in `known` are taken from it.

    A medium that cannot be read as one is measured without info. Raises ManifestError for files whose bytes cannot
    be read, or change meanwhile.
    """
    measured: dict[str, Measured] = {}
    problems: list[str] = []
    unread: list[Unread] = []
    for path, state in _states(root, paths):
        if isinstance(state, str):
            problems.append(f"{path!r}: {state}")
        elif found := known.get(stamp_of(state)):
            measured[path] = found
        else:
            unread.append(Unread(path, root / path, state.st_size))
    _read(unread, measured, problems)
    refuse(problems, "files whose bytes cannot be read", "Mend their permissions, or restore them.")
    return {path: measured[path] for path in paths}


def changed_since(root: Path, measured: Mapping[str, Measured]) -> list[str]:
    """The media that are no longer the files that were measured."""
    states = _states(root, list(measured))
    return [path for path, state in states if isinstance(state, str) or stamp_of(state) != measured[path].stamp]


def _states(root: Path, paths: Sequence[str]) -> Iterator[tuple[str, os.stat_result | str]]:
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        yield from zip(paths, pool.map(lambda path: _state(root / path), paths), strict=True)


def _state(path: Path) -> os.stat_result | str:
    try:
        return path.stat()
    except OSError as error:
        return error.strerror or str(error)


def _read(unread: Sequence[Unread], measured: dict[str, Measured], problems: list[str]) -> None:
    cached, unreadable = len(measured), 0
    with progress(total=cached + len(unread), initial=cached, desc="manifest", unit="item", delay=_QUIET) as bar:
        for one, outcome in _outcomes(unread):
            if isinstance(outcome, str):
                problems.append(f"{one.item!r}: {outcome}")
            else:
                measured[one.item] = outcome
                unreadable += outcome.info is None
            bar.set_postfix(cached=cached, unreadable=unreadable, refresh=False)
            bar.update()


def _outcomes(unread: Sequence[Unread]) -> Iterator[tuple[Unread, Measured | str]]:
    workers = min(worker_count(), 1 + len(unread) // _PER_WORKER)
    for one, outcome in decode_all(unread, read_medium, workers, lambda one: minutes_to_read(one.size)):
        # What its decoder died of is no matter to its bytes: to read these needs no library.
        yield one, read_bytes_only(one, str(outcome)) if isinstance(outcome, MediaError) else outcome
