"""A project folder as extraction would leave it, of VoxCeleb1's size: manifest, stores, params.yaml."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from pipeline.manifest.schema import COLUMNS, write_manifest
from pipeline.store import write_store
from tools.benchmarks.voxceleb_scale.planted import Planted, planted

ROOT = Path(__file__).resolve().parents[3]
CLIPS, ROWS_A_CLIP = 18, 5  # VoxCeleb1: 22,496 videos of 1,251 people
_NATIONALITIES = np.array(["usa", "uk", "india", "canada", "australia"])
_PROVENANCE = {"extractor": "planted", "dimension": 512, "weights": "none", "fingerprint": "planted"}


@dataclass(frozen=True)
class Size:
    """How many people of each split, and what is drawn of them."""

    train: int = 901
    validation: int = 100
    test: int = 250
    pairs_a_person: int = 122  # 109,922 pairs; the official files hold 110,272 to 110,335
    trials: int = 30_496

    @property
    def people(self) -> int:
        """All of them."""
        return self.train + self.validation + self.test


def write_world(folder: Path, size: Size, epochs: int, seeds: Sequence[int], seed: int) -> None:
    """Write stores, manifest and params.yaml; the protocol is the stage's work."""
    people = planted(size.people, CLIPS * ROWS_A_CLIP, CLIPS * ROWS_A_CLIP, seed)
    artifacts = folder / "artifacts"
    names = [f"id{number:05d}" for number in range(size.people)]
    faces = _index(people.face_identity, names, "jpg")
    voices = _index(people.voice_identity, names, "wav")
    write_store(artifacts / "faces", people.faces, faces, _PROVENANCE)
    write_store(artifacts / "voices", people.voices, voices, _PROVENANCE)
    manifest = pd.concat([_media(faces, "image"), _media(voices, "audio")], ignore_index=True)
    write_manifest(artifacts / "manifest.parquet", _with_traits(manifest, people, names, seed))
    (folder / "params.yaml").write_text(yaml.safe_dump(_params(size, epochs, seeds, seed), sort_keys=False))


def _index(owner: np.ndarray, names: list[str], suffix: str) -> pd.DataFrame:
    number = np.arange(len(owner)) % (CLIPS * ROWS_A_CLIP)
    identity = np.array(names, dtype=object)[owner]
    clip = [f"{name}/clip{row // ROWS_A_CLIP:02d}" for name, row in zip(identity, number, strict=True)]
    item = [f"{name}/{row % ROWS_A_CLIP:05d}.{suffix}" for name, row in zip(clip, number, strict=True)]
    return pd.DataFrame({"item": item, "frame": -1, "identity": identity, "clip": clip, "digest": item, "key": item})


def _media(index: pd.DataFrame, kind: str) -> pd.DataFrame:
    return index[["item", "identity", "clip"]].assign(kind=kind, path=index["item"], digest=index["item"], size=1)


def _with_traits(manifest: pd.DataFrame, people: Planted, names: list[str], seed: int) -> pd.DataFrame:
    rng = np.random.default_rng([seed, 1])
    traits = {
        "gender": people.gender,
        "nationality": _NATIONALITIES[rng.integers(0, len(_NATIONALITIES), len(names))],
        "age": rng.integers(20, 70, len(names)).astype(float),
    }
    table = pd.DataFrame(traits, index=names).reindex(manifest["identity"]).reset_index(drop=True)
    known = pd.concat([manifest, table], axis=1).sort_values("item", ignore_index=True)
    return known.reindex(columns=list(COLUMNS)).astype(COLUMNS)


def _params(size: Size, epochs: int, seeds: Sequence[int], seed: int) -> dict[str, Any]:
    raw: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    raw["protocol"] |= {
        "seed": seed,
        "validation_ratio": size.validation / size.people,
        "test_ratio": size.test / size.people,
        "seen_heard_clips": 0.1,
        "pairs_per_identity": size.pairs_a_person,
        "trials": size.trials,
    }
    raw["train"] |= {"epochs": epochs, "seeds": list(seeds)}
    for run in raw["experiments"].values():
        if run.get("order") == "alternate":  # k epochs on one modality, then k on the other: both get their turn
            run["epochs"] = max(epochs, 2 * run["alternate_epochs"])
    return raw
