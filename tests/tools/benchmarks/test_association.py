"""The control must be able to fail: a planted association is found, exchanged voices hold none."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from pipeline.config import load_params
from pipeline.resolved import resolved
from pipeline.store import Store, read_store, write_store
from tools.benchmarks.association.trial import Corpus, exchange_voices, measure

ROOT = Path(__file__).resolve().parents[3]
PARAMS = load_params(ROOT / "params.yaml")
PEOPLE, CLIPS, LATENTS = 120, 3, 6
PROVENANCE = {"extractor": "planted", "dimension": 512, "weights": "none", "fingerprint": "planted"}


def vectors(code: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """People's codes (P, L) as unit vectors (P * CLIPS, 512), seen through a random map with a little noise."""
    clean = np.repeat(code @ rng.normal(size=(code.shape[1], 512)), CLIPS, axis=0)
    noisy = clean + rng.normal(scale=0.5, size=clean.shape)
    return (noisy / np.linalg.norm(noisy, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def planted() -> Corpus:
    """People whose face and voice follow one code, besides their gender."""
    rng = np.random.default_rng(0)
    gender = np.arange(PEOPLE) % 2
    code = np.concatenate([rng.normal(size=(PEOPLE, LATENTS)), 3.0 * gender[:, None]], axis=1)
    identity = [f"id{person:03}" for person in range(PEOPLE) for _ in range(CLIPS)]
    items = [f"{name}/{i % CLIPS}.mp4" for i, name in enumerate(identity)]
    index = pd.DataFrame(
        {"item": items, "frame": 0, "identity": identity, "clip": items, "digest": items, "key": items}
    )
    manifest = index[["item", "identity", "clip", "digest"]].assign(
        kind="video",
        gender=np.where(np.repeat(gender, CLIPS) == 1, "f", "m"),
        nationality=pd.NA,
        age=np.nan,
        language=pd.NA,
    )
    return Corpus(manifest, Store(vectors(code, rng), index, {}), Store(vectors(code, rng), index.assign(frame=-1), {}))


def test_everybody_gets_the_voice_of_another_of_the_same_gender(planted: Corpus) -> None:
    exchanged = exchange_voices(planted, seed=3)
    identity = planted.voices.index["identity"].to_numpy()
    gender = planted.manifest.set_index("item")["gender"].loc[planted.voices.index["item"]].to_numpy()
    origin = {vector.tobytes(): row for row, vector in enumerate(planted.voices.matrix)}
    came_from = np.array([origin[vector.tobytes()] for vector in exchanged.voices.matrix])
    assert sorted(came_from) == list(range(len(identity))), "every voice is somebody's, once"
    assert (identity[came_from] != identity).all()
    assert (gender[came_from] == gender).all()
    assert len(set(zip(identity, identity[came_from], strict=True))) == PEOPLE, "a person's clips come from one giver"


def test_planted_association_is_found_on_unseen_people_and_gone_after_the_exchange(planted: Corpus) -> None:
    settings = resolved(PARAMS, "single_fop").model_copy(update={"seeds": [0], "epochs": 20})
    quick = PARAMS.evaluate.model_copy(update={"bootstrap": 0, "matching_sizes": [2]})
    as_planted = measure(planted, PARAMS.protocol, settings, quick)
    exchanged = measure(exchange_voices(planted, 0), PARAMS.protocol, settings, quick)
    assert as_planted.overall > 75 and as_planted.within_gender > 65
    assert exchanged.overall > 60, "gender is still shared"
    assert 35 < exchanged.within_gender < 65


def test_shipped_corpus_holds_its_association_beyond_gender() -> None:
    """The fast version of `python -m tools.benchmarks.association`, on the stores of the last `dvc repro`."""
    artifacts = ROOT / "artifacts"
    if not (artifacts / "voices/index.parquet").exists() or not (artifacts / "faces/index.parquet").exists():
        pytest.skip("needs the stores of the shipped corpus: run `dvc repro` first")
    manifest = pd.read_parquet(artifacts / "manifest.parquet")
    corpus = Corpus(manifest, read_store(artifacts / "faces"), read_store(artifacts / "voices"))
    settings = resolved(PARAMS, "single_fop")
    quick = PARAMS.evaluate.model_copy(update={"bootstrap": 0, "matching_sizes": [2]})
    protocols = [PARAMS.protocol.model_copy(update={"seed": seed}) for seed in range(4)]
    planted = [measure(corpus, protocol, settings, quick) for protocol in protocols]
    exchanged = [measure(exchange_voices(corpus, p.seed), p, settings, quick) for p in protocols]
    assert np.mean([rates.overall for rates in planted]) > 65
    assert (
        np.mean([rates.within_gender for rates in planted]) > np.mean([rates.within_gender for rates in exchanged]) + 3
    )


def test_command_of_the_readme_prints_both_rows(planted: Corpus, tmp_path: Path) -> None:
    artifacts = tmp_path / "artifacts"
    for name, store in (("faces", planted.faces), ("voices", planted.voices)):
        write_store(artifacts / name, store.matrix, store.index, PROVENANCE)
    planted.manifest.to_parquet(artifacts / "manifest.parquet")
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["train"] |= {"seeds": [0], "epochs": 1}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    done = subprocess.run(
        [sys.executable, "-m", "tools.benchmarks.association", "--splits", "2"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "SBNET_HOME": str(tmp_path / ".sbnet")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split(":")[0] for line in done.stdout.splitlines()]
    assert rows == ["as planted", "voices exchanged within gender"]
    assert done.stdout.count("(2 splits)") == 2
