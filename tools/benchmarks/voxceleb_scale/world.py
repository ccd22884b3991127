"""A project folder as extraction and protocol would leave it, of VoxCeleb1's size."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from pipeline.files import sha256_hex, write_text
from pipeline.manifest.schema import COLUMNS, write_manifest
from pipeline.store import write_store
from tools.benchmarks.voxceleb_scale.planted import People, Planted, planted
from tools.benchmarks.voxceleb_scale.stage import ROOT, run

RECORDINGS, ROWS = 18, 2  # of a person, and of either modality in each; VoxCeleb1 has 22,496 videos of 1,251 people
_PROVENANCE = {"extractor": "planted", "dimension": 512, "weights": "none", "fingerprint": "planted"}


@dataclass(frozen=True)
class Size:
    """How many people of each split, and what is drawn of them."""

    train: int = 901
    validation: int = 100
    test: int = 250
    pairs_a_person: int = 32  # each face and each voice once an epoch; the official files hold 122, of more rows
    trials: int = 30_496

    @property
    def people(self) -> int:
        """All of them."""
        return self.train + self.validation + self.test


def open_world(folder: Path, size: Size, seed: int, seeds: Sequence[int]) -> Planted:
    """Make a project of a world, or find it made, with its protocol; params.yaml is the repository's, with `seeds`.

    Raises RuntimeError for a folder that holds another world.
    """
    world = planted(size.people, RECORDINGS, ROWS, seed)
    made = {"size": asdict(size), "seed": seed, "rows": sha256_hex(world.faces.vectors.data, world.voices.vectors.data)}
    note = folder / "world.json"
    if note.exists() and json.loads(note.read_text(encoding="utf-8")) != made:
        raise RuntimeError(f"{folder} holds another world, of other people, strengths or seed: take another folder")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "params.yaml", yaml.safe_dump(_params(size, seed, seeds), sort_keys=False))
    if not note.exists():
        _write_stores(folder / "artifacts", world)
        run(folder, "-m", "stages.protocol")
        write_text(note, json.dumps(made, indent=2) + "\n")
    return world


def _write_stores(artifacts: Path, world: Planted) -> None:
    names = [f"id{number:05d}" for number in range(len(world.people.age))]
    faces, voices = _index(world.faces.person, names, "jpg"), _index(world.voices.person, names, "wav")
    write_store(artifacts / "faces", world.faces.vectors, faces, _PROVENANCE)
    write_store(artifacts / "voices", world.voices.vectors, voices, _PROVENANCE)
    manifest = pd.concat([_media(faces, "image"), _media(voices, "audio")], ignore_index=True)
    write_manifest(artifacts / "manifest.parquet", _with_traits(manifest, world.people, names))


def _index(owner: np.ndarray, names: list[str], suffix: str) -> pd.DataFrame:
    number = np.arange(len(owner)) % (RECORDINGS * ROWS)
    identity = np.array(names, dtype=object)[owner]
    clip = [f"{name}/clip{row // ROWS:02d}" for name, row in zip(identity, number, strict=True)]
    item = [f"{name}/{row % ROWS:05d}.{suffix}" for name, row in zip(clip, number, strict=True)]
    return pd.DataFrame({"item": item, "frame": -1, "identity": identity, "clip": clip, "digest": item, "key": item})


def _media(index: pd.DataFrame, kind: str) -> pd.DataFrame:
    return index[["item", "identity", "clip"]].assign(kind=kind, path=index["item"], digest=index["item"], size=1)


def _with_traits(manifest: pd.DataFrame, people: People, names: list[str]) -> pd.DataFrame:
    traits = {"gender": people.gender, "nationality": people.nationalities, "age": people.age}
    table = pd.DataFrame(traits, index=names).reindex(manifest["identity"]).reset_index(drop=True)
    known = pd.concat([manifest, table], axis=1).sort_values("item", ignore_index=True)
    return known.reindex(columns=list(COLUMNS)).astype(COLUMNS)


def _params(size: Size, seed: int, seeds: Sequence[int]) -> dict[str, Any]:
    raw: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    raw["protocol"] |= {
        "seed": seed,
        "validation_ratio": size.validation / size.people,
        "test_ratio": size.test / size.people,
        "seen_heard_clips": 2 / RECORDINGS,
        "pairs_per_identity": size.pairs_a_person,
        "trials": size.trials,
    }
    raw["train"]["seeds"] = list(seeds)
    raw["fusions"] = {}
    return raw
