"""From the results of an extraction to the packed store that DVC sees."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import ExtractionError, MediaError
from pipeline.extraction.item_cache import Arrays
from pipeline.store import write_store

WHOLE_UTTERANCE = -1  # frame number of a row that stands for a whole utterance


def embedding_result(vectors: np.ndarray, dimension: int, frames: np.ndarray | None = None) -> Arrays | MediaError:
    """One item's vectors (n, dimension) as a cacheable result, or the MediaError of a vector that must not be used.

    `frames` (n,) are the frame numbers the vectors belong to. Raises ExtractionError for a wrong shape: that is no
    matter of one medium but a broken extractor.
    """
    frames = np.array([WHOLE_UTTERANCE]) if frames is None else frames
    if vectors.shape != (len(frames), dimension):
        raise ExtractionError(f"the extractor gave vectors {vectors.shape}, promised {(len(frames), dimension)}")
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    if not np.isfinite(norms).all():
        return MediaError("the extractor gave NaN or infinite values for it")
    if (np.abs(norms - 1.0) > 1e-3).any():
        return MediaError(f"the extractor gave a vector of norm {norms.min():.3g} for it, not 1")
    return {"embeddings": vectors.astype(np.float32), "frame": frames.astype(np.int32)}


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
