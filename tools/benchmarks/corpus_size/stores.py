"""Stores and a manifest as extraction leaves them, without media: what the stages behind it need, in seconds."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.manifest.schema import COLUMNS, write_manifest
from pipeline.store import INDEX_COLUMNS, stream_store
from tools.benchmarks.corpus_size.media import PER_UTTERANCE, RECORDINGS, SIDE

WIDTH = 512  # of a vector
_PART = 20_000  # rows at a time


def make_stores(artifacts: Path, files: int, people: int) -> None:
    """Write the manifest of `files` frames and an eighth as many utterances, and a random unit vector of each."""
    frames = _entries(files, people, "image", "jpg")
    utterances = _entries(files // PER_UTTERANCE, people, "audio", "wav")
    manifest = pd.concat([frames, utterances], ignore_index=True)
    described = {
        "gender": np.where(manifest["identity"].str[-1].isin(list("02468")), "f", "m"),
        "size": 6000,
        "width": SIDE,
        "height": SIDE,
    }
    manifest = manifest.assign(path=manifest["item"], **described).reindex(columns=list(COLUMNS)).astype(COLUMNS)
    write_manifest(artifacts / "manifest.parquet", manifest.sort_values("item", ignore_index=True))
    for name, items in (("faces", frames), ("voices", utterances)):
        index = items.assign(frame=np.int32(0 if name == "faces" else -1), key=items["digest"])
        index = index.sort_values("item", ignore_index=True)[list(INDEX_COLUMNS)]
        provenance = {"extractor": "null", "weights": "none", "fingerprint": name, "dimension": WIDTH}
        stream_store(artifacts / name, index.iloc[:0], _parts(index), WIDTH, provenance)


def _entries(count: int, people: int, kind: str, suffix: str) -> pd.DataFrame:
    """Item, identity, clip, kind and digest of `count` media, as many of each recording."""
    recording = np.arange(count) * people * RECORDINGS // count
    identity = [f"id{number // RECORDINGS:05}" for number in recording]
    clip = [f"{person}/video{number % RECORDINGS:02}" for person, number in zip(identity, recording, strict=True)]
    item = [f"{name}/{number:07}.{suffix}" for number, name in enumerate(clip)]
    digest = [hashlib.sha256(name.encode()).hexdigest() for name in item]
    columns = {"item": item, "identity": identity, "clip": clip, "kind": kind, "digest": digest}
    return pd.DataFrame(columns).astype("string")


def _parts(index: pd.DataFrame) -> Iterator[tuple[np.ndarray, pd.DataFrame]]:
    generator = np.random.default_rng(len(index))
    for start in range(0, len(index), _PART):
        rows = index.iloc[start : start + _PART]
        vectors = generator.standard_normal((len(rows), WIDTH), np.float32)
        yield vectors / np.linalg.norm(vectors, axis=1, keepdims=True), rows
