"""A gallery on disk: one vector of each medium, searched exactly, by blocks of a memory map.

`vectors.safetensors` holds `vectors` (N, W) float32 and their squared `lengths` (N,); `index.parquet` has a row for
each: item, digest of the medium, and how many vectors of it were averaged. A vector is what a run compares, its
networks' embeddings side by side over the root of their number, so that minus the squared distance of two is the mean
of the networks' scores. The matrix file says of which model it is, and holds digests of its values and of the index.
"""

import hashlib
import json
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.errors import ScoreError, StoreError
from pipeline.files import atomic_path, sha256_of
from pipeline.scoring.similarity import Matrix, similarity

VECTORS, INDEX = "vectors.safetensors", "index.parquet"
FOLDERS = {"face": "faces", "voice": "voices"}  # of a store, by modality
_COLUMNS = ("item", "digest", "vectors")
_BLOCK = 65536  # rows multiplied at once
_HEADER = 4096  # bytes that the header is padded to: how many rows there will be is known at the end
_KEY = "gallery"  # the one metadata key
_CHUNK = 1 << 20  # bytes hashed at a time
_ROUNDING = 8.0  # by how many units of rounding a value two ways to the same distance differ at most
_REMEDY = "index the folder again"


class GalleryWriter:
    """Takes a gallery row by row: memory grows with its index, not with its vectors."""

    def __init__(self, folder: Path, file: BinaryIO) -> None:
        self._folder = folder
        self._file = file
        self._rows: list[tuple[str, str, int]] = []
        self._lengths: list[NDArray[np.float32]] = [np.empty(0, np.float32)]
        self._width = 0
        self._digest = hashlib.sha256()
        self._file.write(bytes(8 + _HEADER))

    def add(self, items: Sequence[str], digests: Sequence[str], counts: Sequence[int], vectors: Matrix) -> None:
        """Rows (n, W) of items, with the digests of their media and how many vectors each is the mean of."""
        if not np.isfinite(vectors).all():
            raise StoreError(f"{self._folder}: the model gives values that are not finite, among {items[0]} and others")
        self._width = vectors.shape[1]
        self._rows += zip(items, digests, counts, strict=True)
        self._lengths.append(np.asarray(np.einsum("nw,nw->n", vectors, vectors), dtype=np.float32))
        self._append(np.ascontiguousarray(vectors, dtype=np.float32))

    def finish(self, index_file: Path, model: Mapping[str, object]) -> None:
        """Write the index, and the header that could not be written before the number of rows was known."""
        pd.DataFrame(self._rows, columns=list(_COLUMNS)).to_parquet(index_file, index=False)
        self._append(np.concatenate(self._lengths))
        described = {**model, "index_digest": sha256_of(index_file), "digest": self._digest.hexdigest()}
        self._file.seek(0)
        self._file.write(struct.pack("<Q", _HEADER) + _header(len(self._rows), self._width, described))

    def _append(self, values: NDArray[np.float32]) -> None:
        self._digest.update(values.data)
        self._file.write(values.data)


@contextmanager
def write_gallery(folder: Path, model: Mapping[str, object]) -> Iterator[GalleryWriter]:
    """Write a gallery whole or not at all; `model` says of what its vectors are, and is `Gallery.model` then."""
    with (
        atomic_path(folder / VECTORS) as matrix_file,
        atomic_path(folder / INDEX) as index_file,
        matrix_file.open("wb") as file,
    ):
        writer = GalleryWriter(folder, file)
        yield writer
        writer.finish(index_file, model)


@dataclass(frozen=True)
class Gallery:
    """Vectors of one modality, row i of `vectors` described by row i of `index`."""

    vectors: Matrix  # (N, W), a memory map
    lengths: NDArray[np.float32]  # (N,) squared
    index: pd.DataFrame
    model: Mapping[str, Any]  # run, modality, digest of the model's file

    def search(self, query: Matrix, top: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rows (K,) and similarities (K,) of the `top` most similar to query (W,), best first; all where N is less.

        As exact as a full sort of pipeline.scoring.similarity: a matrix product, whose rounding differs with the
        library and the block, finds who comes into question, and those are scored one by one. Ties go to the row
        that comes first. Raises ScoreError for a query that is not finite or of another width.
        """
        if query.shape != self.vectors.shape[1:] or not np.isfinite(query).all():
            raise ScoreError(f"a query must hold {self.vectors.shape[1]} finite values, not {query.shape}")
        if top < 1:
            raise ScoreError(f"top {top}: ask for one at least")
        rows = self._near(query, top)
        parts = [self.vectors[rows[start : start + _BLOCK]] for start in range(0, len(rows), _BLOCK)]
        scores = np.concatenate([np.empty(0, np.float32), *(similarity(part, query) for part in parts)])
        best = np.lexsort((rows, -scores))[:top]
        return rows[best], scores[best]

    def _near(self, query: Matrix, top: int) -> NDArray[np.int64]:
        """Rows in order among which the `top` are: all whose product reaches the last of them, but for rounding."""
        longest = max(float(query @ query), float(self.lengths.max(initial=0.0)))
        slack = np.float32(_ROUNDING * (len(query) + 4) * np.finfo(np.float32).eps * longest)
        rows, products = np.empty(0, np.int64), np.empty(0, np.float32)
        floor = np.float32(-np.inf)
        for start in range(0, len(self.vectors), _BLOCK):
            block = slice(start, start + _BLOCK)
            # Not `@`: BLAS would share a block among threads, which on a busy machine wait for each other.
            found = 2.0 * np.einsum("nw,w->n", self.vectors[block], query) - self.lengths[block]
            kept = np.flatnonzero(found >= floor)
            rows, products = np.concatenate([rows, start + kept]), np.concatenate([products, found[kept]])
            if len(products) > top:
                floor = np.partition(products, -top)[-top] - slack
                rows, products = rows[products >= floor], products[products >= floor]
        return rows


def read_gallery(folder: Path, modality: str) -> Gallery:
    """Open the gallery of modality face | voice of a store, whose values are read once, to check them.

    Raises StoreError where it is absent, empty or damaged, or its files are of two runs.
    """
    matrix_file, index_file = (folder / FOLDERS[modality] / name for name in (VECTORS, INDEX))
    if not matrix_file.is_file():
        raise StoreError(f"{folder} holds no {FOLDERS[modality]}: {_REMEDY}, `python -m stages.score index`")
    try:
        gallery, described = _opened(matrix_file, index_file)
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise StoreError(f"{matrix_file} cannot be read ({error}); {_REMEDY}") from error
    if sha256_of(index_file) != described["index_digest"]:
        raise StoreError(f"{index_file} is damaged, or of another run than {matrix_file}; {_REMEDY}")
    if _digest_of(matrix_file) != described["digest"]:
        raise StoreError(f"{matrix_file} does not hold what was written; {_REMEDY}")
    if not len(gallery.vectors):
        raise StoreError(f"{folder} holds no {FOLDERS[modality]}: no medium of the folder that was indexed has one")
    return gallery


def _opened(matrix_file: Path, index_file: Path) -> tuple[Gallery, dict[str, Any]]:
    with matrix_file.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        if size != _HEADER:
            raise ValueError("it is no gallery")
        header = json.loads(file.read(size))
    described = dict(json.loads(header["__metadata__"][_KEY]))
    rows, width = header["vectors"]["shape"]
    if matrix_file.stat().st_size != 8 + _HEADER + 4 * rows * (width + 1):
        raise ValueError("it is not as long as it says")
    index = pd.read_parquet(index_file, columns=list(_COLUMNS))
    if len(index) != rows:
        raise ValueError(f"{rows} vectors do not fit an index of {len(index)} rows")
    start = 8 + _HEADER
    vectors, lengths = (
        _mapped(matrix_file, start, (rows, width)),
        _mapped(matrix_file, start + 4 * rows * width, (rows,)),
    )
    model = {key: value for key, value in described.items() if key not in ("digest", "index_digest")}
    return Gallery(vectors, lengths, index, model), described


def _mapped(path: Path, offset: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if not math.prod(shape):  # nothing cannot be mapped
        return np.empty(shape, np.float32)
    return np.memmap(path, np.float32, "r", offset, shape)


def _header(rows: int, width: int, described: Mapping[str, object]) -> bytes:
    end = 4 * rows * width
    header = {
        "__metadata__": {_KEY: json.dumps(described, sort_keys=True)},
        "vectors": {"dtype": "F32", "shape": [rows, width], "data_offsets": [0, end]},
        "lengths": {"dtype": "F32", "shape": [rows], "data_offsets": [end, end + 4 * rows]},
    }
    text = json.dumps(header).encode()
    if len(text) > _HEADER:
        raise StoreError(f"what is said of a gallery's model takes {len(text)} bytes, more than {_HEADER}")
    return text.ljust(_HEADER)  # safetensors allows spaces


def _digest_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(8 + _HEADER)
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
