"""From an extractor's vectors to the results of items, and from these to the packed store that DVC sees."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from pipeline.errors import ExtractionError, MediaError
from pipeline.extraction.decoding import Prepared
from pipeline.extraction.item_cache import Arrays
from pipeline.extraction.rows import batched, rows_in
from pipeline.store import INDEX_COLUMNS, off_unit_norm, stream_store

_PART = 512  # items; bounds memory

Outcomes = Sequence[np.ndarray | MediaError] | np.ndarray  # one a vector (D,); an array (n, D) is n of them


class Embedder(Protocol):
    """A model that makes vectors of prepared faces or utterances."""

    @property
    def dimension(self) -> int:
        """Width of its vectors."""
        ...

    def __call__(self, batch: Sequence[np.ndarray]) -> Outcomes:
        """The vector (dimension,) of each input, of unit norm, or the MediaError that says why there is none."""
        ...


@dataclass(frozen=True)
class Embed:
    """Prepared items to their results, all through the model at once."""

    embedder: Embedder

    def __call__(self, items: Sequence[Prepared]) -> list[Arrays | MediaError]:
        """The result of each item, or the MediaError of one with an input that has no vector."""
        inputs = [one for item in items for one in item.inputs]
        outcomes = self.embedder(inputs)
        if len(outcomes) != len(inputs):
            raise ExtractionError(f"the extractor gave {len(outcomes)} vectors for {len(inputs)} inputs")
        ends = np.cumsum([len(item.inputs) for item in items])
        parts = [outcomes[end - len(item.inputs) : end] for item, end in zip(items, ends, strict=True)]
        dimension = self.embedder.dimension
        return [embedding_result(part, dimension, item.frames) for part, item in zip(parts, items, strict=True)]


def embedding_result(vectors: Outcomes, dimension: int, frames: np.ndarray) -> Arrays | MediaError:
    """One item's vectors, n of (dimension,), as a cacheable result, or the MediaError of one that must not be used.

    `frames` (n,) are the frame numbers the vectors belong to. Raises ExtractionError for a wrong shape: that is no
    matter of one medium but a broken extractor.
    """
    arrays = []
    for vector in vectors:
        if isinstance(vector, MediaError):
            return vector
        arrays.append(np.asarray(vector))
    if (shapes := [array.shape for array in arrays]) != [(dimension,)] * len(frames):
        raise ExtractionError(f"the extractor gave vectors of shape {shapes}, promised {len(frames)} of {(dimension,)}")
    matrix = np.array(arrays, np.float64).reshape(len(frames), dimension)
    if len(bad := off_unit_norm(matrix)):
        norms = np.linalg.norm(matrix[bad], axis=1)
        if not np.isfinite(norms).all():
            return MediaError("the extractor gave NaN or infinite values for it")
        return MediaError(f"the extractor gave a vector of norm {norms[0]:.3g} for it, not 1")
    return {"embeddings": matrix.astype(np.float32), "frame": frames.astype(np.int32)}


def pack(
    folder: Path, manifest: pd.DataFrame, results: Iterable[tuple[str, str, Arrays]], provenance: Mapping[str, object]
) -> None:
    """Write the store of all results: item, key in the item cache, embeddings (n, D) and frame (n,), sorted by item.

    Results are taken as they come, a part of them at a time in memory.
    """
    dimension = int(str(provenance["dimension"]))
    described = _described(manifest)
    empty = _index_of([], described)
    parts = ((_matrix_of(part, dimension), _index_of(part, described)) for part in batched(results, _PART))
    stream_store(folder, empty, parts, dimension, provenance)


def _matrix_of(part: Sequence[tuple[str, str, Arrays]], dimension: int) -> np.ndarray:
    return np.concatenate([np.empty((0, dimension), np.float32), *(arrays["embeddings"] for _, _, arrays in part)])


def _described(manifest: pd.DataFrame) -> Iterator[Any]:
    """What the manifest says of each item, sorted by item."""
    columns = manifest[["item", "identity", "clip", "digest"]]
    if not columns["item"].is_monotonic_increasing:
        columns = columns.sort_values("item")
    yield from rows_in(columns)


def _index_of(part: Sequence[tuple[str, str, Arrays]], described: Iterator[Any]) -> pd.DataFrame:
    """The rows of an index; `described` comes from the manifest in the same order, with items in between."""
    rows = []
    for item, key, arrays in part:
        of_item = next((row for row in described if row.item == item), None)
        if of_item is None:
            raise ExtractionError(f"{item!r} is not in the manifest, or results are not sorted by item")
        rows += [(item, frame, of_item.identity, of_item.clip, of_item.digest, key) for frame in arrays["frame"]]
    types = {**dict.fromkeys(INDEX_COLUMNS, "string"), "frame": "int32", "key": "str"}  # as the manifest has them
    return pd.DataFrame(rows, columns=list(INDEX_COLUMNS)).astype(types)
