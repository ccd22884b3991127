"""The packed store: a matrix of embeddings and the table that says what each row is.

`embeddings.safetensors` holds one tensor `embeddings` (N, 512) float32; `index.parquet` holds one row per row of it,
sorted, so that the same items give the same bytes whatever the order they were extracted in.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from pipeline.errors import StoreError
from pipeline.files import atomic_path

MATRIX, INDEX = "embeddings.safetensors", "index.parquet"
# frame: -1 where the row is a whole utterance; key: of the item cache, so that a store can fill an empty cache
INDEX_COLUMNS = ("item", "frame", "identity", "clip", "digest", "key")
_SORT = ["item", "frame"]


@dataclass(frozen=True)
class Store:
    """Embeddings of one modality, row i of `matrix` described by row i of `index`."""

    matrix: np.ndarray  # (N, D) float32
    index: pd.DataFrame  # N rows of INDEX_COLUMNS
    provenance: Mapping[str, object]  # extractor, weights label, fingerprint, dimension

    def __post_init__(self) -> None:
        if self.matrix.ndim != 2 or len(self.matrix) != len(self.index):
            raise StoreError(f"matrix {self.matrix.shape} does not fit an index of {len(self.index)} rows")


def write_store(folder: Path, matrix: np.ndarray, index: pd.DataFrame, provenance: Mapping[str, object]) -> None:
    """Write matrix (N, D) and index, rows sorted by item and frame, each file whole or not at all.

    Raises StoreError for vectors that are not finite or not of unit norm, naming the first item.
    """
    if missing := [name for name in INDEX_COLUMNS if name not in index]:
        raise StoreError(f"index lacks the column(s) {', '.join(missing)}")
    index = index.loc[:, list(INDEX_COLUMNS)].astype({"frame": "int32"})
    Store(matrix, index, provenance)  # refuses a matrix that does not fit, before rows are picked from it
    order = index.reset_index(drop=True).sort_values(_SORT, kind="stable").index.to_numpy()
    matrix, index = np.ascontiguousarray(matrix, dtype=np.float32)[order], index.iloc[order].reset_index(drop=True)
    _check_vectors(matrix, index)
    # One metadata key only: safetensors writes several in an order that changes from run to run.
    metadata = {"provenance": json.dumps(dict(provenance), sort_keys=True)}
    with atomic_path(folder / MATRIX) as temporary:
        # not save_file: it keeps the file from all other users, also in a shared DVC cache
        temporary.write_bytes(save({"embeddings": matrix}, metadata=metadata))
    with atomic_path(folder / INDEX) as temporary:
        index.to_parquet(temporary, index=False)


def read_store(folder: Path) -> Store:
    """Read a packed store; raises StoreError when a file is absent, damaged or does not fit the other."""
    try:
        index = pd.read_parquet(folder / INDEX)
    except (OSError, ValueError) as error:
        raise _unreadable(folder / INDEX, error) from error
    matrix, provenance = read_matrix(folder / MATRIX)
    return Store(matrix, index, provenance)


def read_matrix(path: Path) -> tuple[np.ndarray, Mapping[str, object]]:
    """Embeddings (N, D) and provenance of a store's matrix file; raises StoreError when it is absent or damaged."""
    try:
        with safe_open(path, framework="numpy") as file:
            provenance = json.loads((file.metadata() or {}).get("provenance", "{}"))
            return file.get_tensor("embeddings"), provenance
    except (OSError, ValueError, SafetensorError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> StoreError:
    return StoreError(f"{path}: store cannot be read ({error}); run `dvc repro` or `dvc pull` again")


def _check_vectors(matrix: np.ndarray, index: pd.DataFrame) -> None:
    norms = np.linalg.norm(matrix, axis=1)
    bad = np.flatnonzero(~(np.abs(norms - 1.0) < 1e-3))  # NaN compares false, so it is caught here too
    if len(bad):
        row = index.iloc[bad[0]]
        raise StoreError(
            f"{len(bad)} embedding(s) are not finite unit vectors, first: item {row['item']!r} frame {row['frame']} "
            f"with norm {norms[bad[0]]}"
        )
