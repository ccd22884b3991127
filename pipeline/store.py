"""The packed store: a matrix of embeddings and the table that describes each row.

`embeddings.safetensors` holds one tensor `embeddings` (N, 512) float32; `index.parquet` holds one row per row of it,
sorted, so that the same items give the same bytes whatever the order they were extracted in. The matrix file also
holds the digests of the vectors and of the index file: one flipped bit is noticed, and so are files of two runs.
"""

import hashlib
import json
import mmap
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from pipeline.errors import StoreError
from pipeline.files import atomic_path, sha256_of
from pipeline.runtime.parquet import write_parts

MATRIX, INDEX = "embeddings.safetensors", "index.parquet"
# frame: -1 where the row is a whole utterance; key: of the item cache, so that a store can fill an empty cache
INDEX_COLUMNS = ("item", "frame", "identity", "clip", "digest", "key")
_SORT = ["item", "frame"]
_REMEDY = "remove it and run `dvc repro` or `dvc pull` again"
_NORM_TOLERANCE = 1e-3
_TENSOR = "embeddings"  # its name in the matrix file
_CHUNK = 1 << 20  # bytes
_ROWS = 1024  # looked up at once: with their neighbours, some 64 kB each
_DIGEST, _INDEX_DIGEST = "digest", "index_digest"  # beside the provenance, in the one metadata key


@dataclass(frozen=True)
class Store:
    """Embeddings of one modality, row i of `matrix` described by row i of `index`."""

    matrix: np.ndarray  # (N, D) float32; read from a file, it stays there and cannot be changed
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
    stream_store(folder, index.iloc[:0], [(matrix, index)], matrix.shape[1], provenance)


def stream_store(
    folder: Path,
    empty: pd.DataFrame,
    parts: Iterable[tuple[np.ndarray, pd.DataFrame]],
    dimension: int,
    provenance: Mapping[str, object],
) -> None:
    """Write a store of parts (matrix (n, D) float32, its n rows of the index), as write_store writes the whole.

    The rows come in their order: by item, then by frame. `empty` is an index without a row, with its types. One part
    is in memory at a time; the vectors wait in a file without a name, since the header in front of them has their
    digest. Raises StoreError as write_store does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (
        atomic_path(folder / INDEX) as index_file,  # renamed last
        atomic_path(folder / MATRIX) as matrix_file,
        tempfile.TemporaryFile(dir=folder) as vectors,
    ):
        rows = write_parts(index_file, empty, _keeping_vectors(parts, vectors))
        described = {**provenance, _INDEX_DIGEST: sha256_of(index_file)}
        vectors.seek(0)
        digest = _digest(vectors, (rows, dimension), described)
        # One metadata key only: readers of safetensors have several in an order that changes from run to run.
        metadata = {"provenance": json.dumps({**described, _DIGEST: digest}, sort_keys=True)}
        vectors.seek(0)
        with matrix_file.open("wb") as file:
            file.write(_header(rows, dimension, metadata))
            shutil.copyfileobj(vectors, file, _CHUNK)


def _keeping_vectors(parts: Iterable[tuple[np.ndarray, pd.DataFrame]], vectors: IO[bytes]) -> Iterator[pd.DataFrame]:
    """The index of each part; its vectors are checked and written to a file."""
    for matrix, index in parts:
        _check_vectors(matrix, index)
        vectors.write(np.ascontiguousarray(matrix, dtype="<f4").data)
        yield index
    vectors.flush()


def _header(rows: int, dimension: int, metadata: Mapping[str, str]) -> bytes:
    """What a safetensors file of one matrix (rows, dimension) float32 has in front of it."""
    tensor = {"dtype": "F32", "shape": [rows, dimension], "data_offsets": [0, 4 * rows * dimension]}
    text = json.dumps({"__metadata__": metadata, _TENSOR: tensor}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


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


def rows_of(matrix: np.ndarray, rows: NDArray[np.int64]) -> np.ndarray:
    """Copies (N, D) of rows (N,) of a matrix, of which no more stays in memory if it is a store's on the disk.

    The system loads the neighbours of a row with it, so that a few rows of each part would bring in the whole file.
    """
    found = np.empty((len(rows), matrix.shape[1]), matrix.dtype)
    order = np.argsort(rows, kind="stable")
    for start in range(0, len(rows), _ROWS):
        block = order[start : start + _ROWS]
        found[block] = matrix[rows[block]]
        _forget_pages(matrix)
    return found


def _forget_pages(matrix: np.ndarray) -> None:
    """Give back the memory of a matrix that is mapped for reading; the system loads it again if it is looked at."""
    base: object = matrix
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and not matrix.flags.writeable and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def _read_matrix(path: Path) -> tuple[np.ndarray, dict[str, object], str]:
    """Matrix, provenance and digest of the index; the matrix stays on the disk until its rows are looked at."""
    try:
        with safe_open(path, framework="numpy") as file:
            described = dict(json.loads((file.metadata() or {})["provenance"]))
            rows, dimension = file.get_slice(_TENSOR).get_shape()
            if file.get_slice(_TENSOR).get_dtype() != "F32":
                raise ValueError("it holds no float32")
        with path.open("rb") as bytes_of:
            start = 8 + int.from_bytes(bytes_of.read(8), "little")
            bytes_of.seek(start)
            if described.pop(_DIGEST) != _digest(bytes_of, (rows, dimension), described):
                raise ValueError("it does not hold what was written")
            matrix = np.empty((0, dimension), np.float32)
            if rows * dimension:  # of this open file, which another may have replaced
                matrix = np.asarray(np.memmap(bytes_of, "<f4", "r", start, (rows, dimension)))
        return matrix, described, str(described.pop(_INDEX_DIGEST))
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise _unreadable(path, error) from error


def _digest(vectors: IO[bytes], shape: tuple[int, int], described: Mapping[str, object]) -> str:
    """Hex SHA-256 of type, shape and provenance, and of the vectors from where the file stands to its end."""
    digest = hashlib.sha256(json.dumps(["float32", shape, dict(described)], sort_keys=True).encode())
    while chunk := vectors.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


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
