"""Fill an empty item cache from the stores of the last commit, so that who pulled them extracts only what is new.

DVC removes a stage's outputs before the stage runs, but dvc.lock still names them and the local DVC cache
still holds them.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import yaml

from pipeline.detections import read_detections
from pipeline.errors import StoreError
from pipeline.item_cache import Arrays, ItemCache
from pipeline.store import INDEX, MATRIX, read_files
from pipeline.workspace import project_root

Reader = Callable[[dict[str, Path]], dict[str, Arrays]]

logger = logging.getLogger(__name__)


def seed_embeddings(cache: ItemCache, keys: Sequence[str], folder: Path) -> None:
    """Take embeddings that the cache lacks from the packed store that dvc.lock names for `folder`."""

    def read(files: dict[str, Path]) -> dict[str, Arrays]:
        store = read_files(files[MATRIX], files[INDEX])
        rows = store.index.groupby("key", sort=False).indices
        frames = store.index["frame"].to_numpy(np.int32)
        return {str(key): {"embeddings": store.matrix[at], "frame": frames[at]} for key, at in rows.items()}

    _seed(cache, keys, {INDEX: folder / INDEX, MATRIX: folder / MATRIX}, read)


def seed_detections(cache: ItemCache, keys: Sequence[str], table: Path) -> None:
    """Take face boxes that the cache lacks from the table that dvc.lock names."""
    _seed(cache, keys, {table.name: table}, lambda files: read_detections(files[table.name]))


def _seed(cache: ItemCache, keys: Sequence[str], outs: dict[str, Path], read: Reader) -> None:
    missing = set(keys) - cache.known(keys)
    files = {name: _cached_file(path) for name, path in outs.items()} if missing else {}
    found = {name: path for name, path in files.items() if path is not None}
    if not found or len(found) < len(outs):
        return
    try:
        stored = read(found)
    except (StoreError, OSError, KeyError, ValueError) as error:
        logger.warning("the stores of the last run cannot be used (%s): extracting anew", error)
        return
    taken = {key: stored[key] for key in missing & set(stored)}
    cache.put(taken)
    if taken:
        logger.info("%d items taken from the stores of the last run", len(taken))


def _cached_file(out: Path) -> Path | None:
    """The DVC cache's file of an output as dvc.lock names it; None if it is absent or not the bytes dvc.lock means."""
    digest = _locked_digest(out)
    if digest is None:
        return None
    from dvc.repo import Repo  # half a second to import, needed only where items are missing

    with Repo(str(project_root())) as repo:
        path = Path(repo.cache.local.oid_to_path(digest))
    if not path.is_file():
        return None
    with path.open("rb") as file:
        if hashlib.file_digest(file, "md5").hexdigest() == digest:
            return path
    logger.warning("%s: the DVC cache holds other bytes than dvc.lock names; run `dvc fetch` to mend it", out)
    return None


def _locked_digest(out: Path) -> str | None:
    lock = Path("dvc.lock")
    if not lock.is_file():
        return None
    stages = (yaml.safe_load(lock.read_text(encoding="utf-8")) or {}).get("stages", {})
    for stage in stages.values():
        for entry in stage.get("outs", []):
            if entry.get("path") == out.as_posix() and "md5" in entry:
                return str(entry["md5"])
    return None
