"""Feature files to the packed store that an extractor would have written."""

import hashlib
import logging
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import StoreError
from pipeline.extraction.skips import write_skips
from pipeline.files import sha256_of
from pipeline.protocol.sources.feature_files.official import TRAIN, TRIAL_LISTS, Modality, TrialList
from pipeline.protocol.sources.feature_files.people import trained, tried
from pipeline.protocol.sources.feature_files.reading import DIMENSION, Features, read_features
from pipeline.store import write_store

_NAMES = {"face": "authors-facenet", "voice": "authors-aggregator"}
_CORPORA = {"face": "FaceNet's training sets", "voice": "VoxCeleb2"}

logger = logging.getLogger(__name__)


def pack_features(folder: Path, modality: Modality, out: Path) -> None:
    """Write the store of one modality from its official files, and an empty skipped.csv: nothing is skipped here.

    A row's item is its file and its frame the row in it, from 0. Raises StoreError and ProtocolError naming file and
    line.
    """
    files = {TRAIN[modality]: None, **{listed.item(modality): listed for listed in TRIAL_LISTS}}
    matrices, indexes, rescaled = [], [], 0
    for item, listed in files.items():
        if listed is not None and not (folder / item).exists():
            logger.info("no %s: the protocol goes without that list", folder / item)
            continue
        features = read_features(folder / item, labelled=listed is None)
        indexes.append(_index(features, item, listed, modality, folder))
        matrices.append(features.matrix)
        rescaled += features.rescaled
    if len(matrices) < 2:
        raise StoreError(f"{folder} holds no {modality} features of a test list, such as {list(files)[1]}")
    index = pd.concat(indexes, ignore_index=True)
    digests = "".join(index["digest"].unique())
    provenance = {
        "extractor": "csv",
        "dimension": DIMENSION,
        "weights": {
            "name": _NAMES[modality],
            "description": f"{_NAMES[modality]} (CSV)",
            "trained_on": [_CORPORA[modality]],
        },
        "fingerprint": hashlib.sha256(digests.encode()).hexdigest(),
        "rescaled_rows": rescaled,
    }
    write_store(out, np.concatenate(matrices), index, provenance)
    write_skips(out / "skipped.csv", [])


def _trained(features: Features) -> pd.DataFrame:
    assert features.labels is not None  # training files are read as labelled
    return trained(features.labels)


def _index(features: Features, item: str, listed: TrialList | None, modality: Modality, folder: Path) -> pd.DataFrame:
    rows = len(features.matrix)
    whose = tried(listed, modality, rows, folder) if listed else _trained(features)
    digest = sha256_of(folder / item)
    return whose.assign(item=item, frame=np.arange(rows, dtype=np.int32), digest=digest, key=digest)
