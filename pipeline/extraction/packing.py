"""From an extractor's vectors to the results of items, and from these to the packed store that DVC sees."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from pipeline.errors import ExtractionError, MediaError
from pipeline.extraction.decoding import Prepared
from pipeline.extraction.item_cache import Arrays
from pipeline.store import off_unit_norm, write_store

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
    norms = np.linalg.norm(matrix, axis=1)
    if not np.isfinite(norms).all():
        return MediaError("the extractor gave NaN or infinite values for it")
    if len(bad := off_unit_norm(matrix)):
        return MediaError(f"the extractor gave a vector of norm {norms[bad[0]]:.3g} for it, not 1")
    return {"embeddings": matrix.astype(np.float32), "frame": frames.astype(np.int32)}


def pack(
    folder: Path,
    manifest: pd.DataFrame,
    results: Mapping[str, Arrays],
    keys: Mapping[str, str],
    provenance: Mapping[str, object],
) -> None:
    """Write the store of all results (item -> embeddings (n, D), frame (n,)); `keys` are the items' cache keys."""
    items = sorted(results)
    counts = [len(results[item]["frame"]) for item in items]
    described = manifest.set_index("item").loc[items, ["identity", "clip", "digest"]]
    index = described.loc[described.index.repeat(counts)].reset_index()
    index["key"] = [keys[item] for item, count in zip(items, counts, strict=True) for _ in range(count)]
    dimension = int(str(provenance["dimension"]))
    index["frame"] = np.concatenate([np.empty(0, np.int32), *(results[item]["frame"] for item in items)])
    matrix = np.concatenate([np.empty((0, dimension), np.float32), *(results[item]["embeddings"] for item in items)])
    write_store(folder, matrix, index, provenance)
