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
    locked = _locked_digests() if missing else {}
    files = {name: _cached_file(path, locked.get(path.as_posix())) for name, path in outs.items()}
    found = {name: path for name, path in files.items() if path is not None}
    if len(found) < len(outs):
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


def _cached_file(out: Path, digest: str | None) -> Path | None:
    """The DVC cache's file of an output by its MD5; None if it is absent or does not have that MD5."""
    if digest is None:
        return None
    path = _usual_place(digest)
    if not path.is_file():
        path = _configured_place(digest)
    if not path.is_file():
        return None
    with path.open("rb") as file:
        if hashlib.file_digest(file, "md5").hexdigest() == digest:
            return path
    logger.warning("%s: the DVC cache holds other bytes than dvc.lock names; run `dvc fetch` to mend it", out)
    return None


def _usual_place(digest: str) -> Path:
    return project_root() / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]


def _configured_place(digest: str) -> Path:
    from dvc.repo import Repo  # takes a second, and only those who moved their cache need it

    with Repo(str(project_root())) as repo:
        return Path(repo.cache.local.oid_to_path(digest))


def _locked_digests() -> dict[str, str]:
    """MD5 of every output that is a file, by its path, from dvc.lock."""
    lock = Path("dvc.lock")
    if not lock.is_file():
        return {}
    text = lock.read_text(encoding="utf-8")
    # By libyaml where PyYAML was built with it, as its wheels are: eight times as fast, which many runs make felt.
    read = yaml.load(text, Loader=yaml.CSafeLoader) if yaml.__with_libyaml__ else yaml.safe_load(text)
    stages = (read or {}).get("stages", {})
    outs = [out for stage in stages.values() for out in stage.get("outs", [])]
    return {str(out["path"]): str(out["md5"]) for out in outs if "md5" in out}
