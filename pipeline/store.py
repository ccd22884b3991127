"""The packed store: a matrix of embeddings and the table that describes each row.

`embeddings.safetensors` holds one tensor `embeddings` (N, 512) float32; `index.parquet` holds one row per row of it,
sorted, so that the same items give the same bytes whatever the order they were extracted in. The matrix file also
holds the digests of the vectors and of the index file: one flipped bit is noticed, and so are files of two runs.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from pipeline.errors import StoreError
from pipeline.files import atomic_path, sha256_hex, sha256_of

MATRIX, INDEX = "embeddings.safetensors", "index.parquet"
# frame: -1 where the row is a whole utterance; key: of the item cache, so that a store can fill an empty cache
INDEX_COLUMNS = ("item", "frame", "identity", "clip", "digest", "key")
_SORT = ["item", "frame"]
_REMEDY = "remove it and run `dvc repro` or `dvc pull` again"
_NORM_TOLERANCE = 1e-3
_DIGEST, _INDEX_DIGEST = "digest", "index_digest"  # beside the provenance, in the one metadata key


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
    with atomic_path(folder / MATRIX) as matrix_file, atomic_path(folder / INDEX) as index_file:  # renamed last
        index.to_parquet(index_file, index=False)
        described = {**provenance, _INDEX_DIGEST: sha256_of(index_file)}
        # One metadata key only: safetensors writes several in an order that changes from run to run.
        metadata = {"provenance": json.dumps({**described, _DIGEST: _digest(matrix, described)}, sort_keys=True)}
        # not save_file: it keeps the file from all other users, also in a shared DVC cache
        matrix_file.write_bytes(save({"embeddings": matrix}, metadata=metadata))


def read_store(folder: Path) -> Store:
    """Read a packed store; raises StoreError when a file is absent, damaged or does not belong to the other."""
    return read_files(folder / MATRIX, folder / INDEX)


def read_index(folder: Path) -> pd.DataFrame:
    """The index of a packed store, without its vectors; raises StoreError when it is absent or damaged."""
    try:
        return pd.read_parquet(folder / INDEX)
    except (OSError, ValueError) as error:
        raise _unreadable(folder / INDEX, error) from error


def read_files(matrix_file: Path, index_file: Path) -> Store:
    """Read a packed store from any two files, such as those in the DVC cache; raises StoreError as read_store does."""
    matrix, provenance, index_digest = _read_matrix(matrix_file)
    try:
        if sha256_of(index_file) != index_digest:
            raise StoreError(f"{index_file}: is damaged, or of another run than {matrix_file}; {_REMEDY}")
        index = pd.read_parquet(index_file)
    except (OSError, ValueError) as error:
        raise _unreadable(index_file, error) from error
    return Store(matrix, index, provenance)


def read_matrix(path: Path) -> tuple[np.ndarray, Mapping[str, object]]:
    """Embeddings (N, D) and provenance of a store's matrix file; raises StoreError when it is absent or damaged."""
    matrix, provenance, _ = _read_matrix(path)
    return matrix, provenance


def _read_matrix(path: Path) -> tuple[np.ndarray, dict[str, object], str]:
    try:
        with safe_open(path, framework="numpy") as file:
            described = dict(json.loads((file.metadata() or {})["provenance"]))
            matrix = file.get_tensor("embeddings")
        if described.pop(_DIGEST) != _digest(matrix, described):
            raise ValueError("it does not hold what was written")
        return matrix, described, str(described.pop(_INDEX_DIGEST))
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise _unreadable(path, error) from error


def _digest(matrix: np.ndarray, described: Mapping[str, object]) -> str:
    header = json.dumps([str(matrix.dtype), matrix.shape, dict(described)], sort_keys=True)
    return sha256_hex(header, np.ascontiguousarray(matrix).data, separator=b"")


def _unreadable(path: Path, error: Exception) -> StoreError:
    return StoreError(f"{path}: store cannot be read ({error}); {_REMEDY}")


def off_unit_norm(matrix: np.ndarray) -> NDArray[np.intp]:
    """Rows (K,) of vectors (N, D) that are not finite or not of unit norm, to three decimals."""
    norms = np.linalg.norm(matrix, axis=1)
    return np.flatnonzero(~(np.abs(norms - 1.0) < _NORM_TOLERANCE))  # NaN compares false, so it is found here too


def _check_vectors(matrix: np.ndarray, index: pd.DataFrame) -> None:
    bad = off_unit_norm(matrix)
    if len(bad):
        row = index.iloc[bad[0]]
        raise StoreError(
            f"{len(bad)} embedding(s) are not finite unit vectors, first: item {row['item']!r} frame {row['frame']} "
            f"with norm {np.linalg.norm(matrix[bad[0]])}"
        )
