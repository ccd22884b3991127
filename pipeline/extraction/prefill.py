"""Fill an empty item cache from the stores of the last commit: after `dvc pull`, only what is new is extracted.

DVC removes a stage's outputs before the stage runs, but dvc.lock still names them and the local DVC cache
still holds them.
"""

import functools
import hashlib
import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

import numpy as np

from pipeline.errors import RunError, StoreError
from pipeline.extraction.face_table import read_detections
from pipeline.extraction.item_cache import Arrays, ItemCache
from pipeline.extraction.rows import batched, rows_by_key
from pipeline.runtime.workspace import project_root
from pipeline.runtime.yaml_reader import YAMLError, parse_yaml
from pipeline.store import INDEX, MATRIX, read_files

# Files by name, and the keys that are wanted; parts of the results, by key.
Reader = Callable[[dict[str, Path], set[str]], Iterable[dict[str, Arrays]]]

_PART = 512  # results; bounds memory

logger = logging.getLogger(__name__)


def prefill_embeddings(cache: ItemCache, keys: Collection[str], folder: Path) -> None:
    """Put embeddings of these keys, which the cache lacks, into it: from the store that dvc.lock names for `folder`."""

    def read(files: dict[str, Path], wanted: set[str]) -> Iterator[dict[str, Arrays]]:
        store = read_files(files[MATRIX], files[INDEX])
        frames = store.index["frame"].to_numpy(np.int32)
        for part in batched(rows_by_key(store.index, wanted).items(), _PART):
            yield {key: {"embeddings": store.matrix[rows], "frame": frames[rows]} for key, rows in part}

    _prefill(cache, keys, {INDEX: folder / INDEX, MATRIX: folder / MATRIX}, read)


def prefill_detections(cache: ItemCache, keys: Collection[str], table: Path) -> None:
    """Put face boxes of these keys, which the cache lacks, into it: from the table that dvc.lock names."""
    _prefill(cache, keys, {table.name: table}, lambda files, wanted: read_detections(files[table.name], wanted))


def _prefill(cache: ItemCache, keys: Collection[str], outs: dict[str, Path], read: Reader) -> None:
    missing = set(keys)
    locked = _locked_digests() if missing else {}
    files = {name: _cached_file(path, locked.get(path.as_posix())) for name, path in outs.items()}
    found = {name: path for name, path in files.items() if path is not None}
    if len(found) < len(outs):
        return
    taken = 0
    try:
        for stored in read(found, missing):
            cache.put(stored)
            taken += len(stored)
    except (StoreError, OSError, KeyError, ValueError) as error:
        logger.warning("the stores of the last run cannot be used (%s): extracting anew", error)
    if taken:
        logger.info("%d items taken from the stores of the last run", taken)


def _cached_file(out: Path, digest: str | None) -> Path | None:
    """The DVC cache's file of an output by its MD5; None if no cache has one of that MD5."""
    if digest is None:
        return None
    damaged = False
    for path_of in (_in_project_cache, _in_configured_cache):
        if (path := path_of(digest)).is_file():
            with path.open("rb") as file:
                if hashlib.file_digest(file, "md5").hexdigest() == digest:
                    return path
            damaged = True
    if damaged:
        logger.warning("%s: the DVC cache holds other bytes than dvc.lock names; run `dvc fetch` to mend it", out)
    return None


def _in_project_cache(digest: str) -> Path:
    return _object_path(project_root() / ".dvc" / "cache", digest)


def _in_configured_cache(digest: str) -> Path:
    return _object_path(_configured_cache(project_root()), digest)


def _object_path(cache: Path, digest: str) -> Path:
    return cache / "files" / "md5" / digest[:2] / digest[2:]


@functools.cache
def _configured_cache(project: Path) -> Path:
    from dvc.repo import Repo  # takes a second, and only those who moved their cache need it

    with Repo(str(project)) as repo:
        return Path(repo.cache.local_cache_dir)


def _locked_digests() -> dict[str, str]:
    """MD5 of every output that is a file, by its path, from dvc.lock."""
    lock = Path("dvc.lock")
    if not lock.is_file():
        return {}
    text = lock.read_text(encoding="utf-8")
    try:
        read = parse_yaml(text)
    except YAMLError as error:  # two branches of git met in it
        raise RunError(
            f"dvc.lock is not valid YAML, as after a merge: `git checkout` one side of it ({error})"
        ) from error
    stages = (read or {}).get("stages", {})
    outs = [out for stage in stages.values() for out in stage.get("outs", [])]
    return {str(out["path"]): str(out["md5"]) for out in outs if "md5" in out}
