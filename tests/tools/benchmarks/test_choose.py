"""Tested people are in nothing that a run is chosen by; everybody else is measured once; the better one wins."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from pipeline.errors import ConfigError
from pipeline.protocol import ProtocolTables, write_protocol
from pipeline.protocol.corpus import Corpus, read_corpus
from pipeline.protocol.sources import build_protocol
from pipeline.resolved import resolved
from pipeline.store import Store, write_store
from tests.pipeline.settings_for_training import shipped
from tools.benchmarks.choose import Figures, line, measured, rotations

ROOT = Path(__file__).resolve().parents[3]
PEOPLE, CLIPS, LATENTS, FOLDS = 60, 3, 5, 3
PROVENANCE = {"extractor": "planted", "dimension": 64, "weights": "none", "fingerprint": "planted"}


def store(code: np.ndarray, frame: int, rng: np.random.Generator) -> Store:
    """People's codes (P, L), seen through a random map with noise, as unit vectors of CLIPS items a person."""
    vectors = np.repeat(code @ rng.normal(size=(code.shape[1], 64)), CLIPS, axis=0)
    vectors += rng.normal(scale=0.5, size=vectors.shape)
    identity = [f"id{person:03}" for person in range(PEOPLE) for _ in range(CLIPS)]
    items = [f"{name}/{row % CLIPS}.mp4" for row, name in enumerate(identity)]
    index = pd.DataFrame(
        {"item": items, "frame": frame, "identity": identity, "clip": items, "digest": items, "key": items}
    )
    return Store((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), index, PROVENANCE)


@pytest.fixture(scope="module")
def stores() -> tuple[Store, Store]:
    rng = np.random.default_rng(0)
    code = np.column_stack([rng.normal(size=(PEOPLE, LATENTS)), 2.0 * (np.arange(PEOPLE) % 2)])
    return store(code, 0, rng), store(code, -1, rng)


@pytest.fixture(scope="module")
def manifest(stores: tuple[Store, Store]) -> pd.DataFrame:
    index = stores[0].index
    gender = np.where(np.repeat(np.arange(PEOPLE) % 2, CLIPS) == 1, "f", "m")
    media = index[["item", "identity", "clip", "digest"]]
    return media.assign(kind="video", gender=gender, nationality=pd.NA, age=np.nan, language=pd.NA)


@pytest.fixture(scope="module")
def corpus(manifest: pd.DataFrame, stores: tuple[Store, Store]) -> Corpus:
    return read_corpus(manifest, stores[0].index, stores[1].index)


def rotated(corpus: Corpus, draws: int = 1) -> tuple[np.ndarray, list[ProtocolTables]]:
    tested = np.arange(PEOPLE) % 5 == 0
    return tested, list(rotations(corpus, tested, shipped().protocol, FOLDS, draws))


def people_of(table: pd.DataFrame) -> set[str]:
    return {*table["left_identity"], *table["right_identity"]}


def test_tested_people_are_nowhere_and_the_others_in_the_place_of_the_test_once(
    corpus: Corpus, stores: tuple[Store, Store]
) -> None:
    tested, tables = rotated(corpus, draws=2)
    names = corpus.people["identity"].to_numpy()
    assert len(tables) == 2 * FOLDS
    for draw in (tables[:FOLDS], tables[FOLDS:]):
        measured_people: list[str] = []
        for one in draw:
            train = {stores[0].index["identity"].iloc[row] for row in one.train_pairs["face_row"]}
            parts = {subset: people_of(table) for subset, table in one.verification.groupby("subset")}
            assert not set(names[tested]) & (train | parts["validation"] | parts["test"])
            assert not train & parts["validation"] and not train & parts["test"]
            assert not parts["validation"] & parts["test"]
            assert train | parts["validation"] | parts["test"] == set(names[~tested])
            measured_people += sorted(parts["test"])
        assert sorted(measured_people) == sorted(names[~tested])
    first, second = (people_of(draw[0].verification.query("subset == 'test'")) for draw in (tables, tables[FOLDS:]))
    assert first != second


def test_folds_have_equal_shares_of_women_and_men(corpus: Corpus) -> None:
    gender = corpus.people.set_index("identity")["gender"]
    for one in rotated(corpus)[1]:
        people = sorted(people_of(one.verification.query("subset == 'test'")))
        assert abs((gender[people] == "f").sum() - (gender[people] == "m").sum()) <= 1


def test_too_few_people_for_the_folds_are_refused(corpus: Corpus) -> None:
    with pytest.raises(ConfigError, match=r"at least 3, of two people each; 48 people are not tested"):
        list(rotations(corpus, np.arange(PEOPLE) % 5 == 0, shipped().protocol, 25, 1))


def test_a_run_without_training_is_worse_than_one_with_it(corpus: Corpus, stores: tuple[Store, Store]) -> None:
    params = shipped()
    quick = params.evaluate.model_copy(update={"bootstrap": 0, "matching_sizes": [2], "retrieval_rows": 2})
    wide = {"methods": {"identity_cca": {"face_components": 64, "voice_components": 64}}}
    experiments = {"good": {"recipe": "best", **wide}, "idle": {"epochs": 1, "seeds": [0], "learning_rate": 1e-9}}
    runs = params.model_copy(update={"experiments": experiments})
    one = rotated(corpus)[1][0]
    good, idle = (measured(resolved(runs, name), one, *stores, quick) for name in experiments)
    assert good.eer < 20.0 < idle.eer
    assert good.auc_within_gender > 75.0 > idle.auc_within_gender
    assert good.matching > idle.matching


def test_a_run_that_only_matches_is_chosen_by_that() -> None:
    nan = float("nan")
    assert Figures(nan, nan, nan, nan, 80.0).error == 20.0
    assert Figures(23.0, 80.0, 30.0, 70.0, 80.0).error == 23.0


def test_cllr_is_of_the_trials_of_all_rotations_together(corpus: Corpus, stores: tuple[Store, Store]) -> None:
    params = shipped()
    quick = params.evaluate.model_copy(update={"bootstrap": 0, "matching_sizes": [2], "retrieval_rows": 2})
    wide = {"methods": {"identity_cca": {"face_components": 32, "voice_components": 32}}}
    run = resolved(params.model_copy(update={"experiments": {"good": {"recipe": "best", **wide}}}), "good")
    found = [measured(run, one, *stores, quick) for one in rotated(corpus)[1]]
    ratios, labels = (np.concatenate([getattr(one, part) for one in found]) for part in ("ratios", "labels"))
    genuine, impostor = ratios[labels == 1], ratios[labels == 0]
    expected = (np.log2(1 + np.exp(-genuine)).mean() + np.log2(1 + np.exp(impostor)).mean()) / 2  # by the definition
    columns = line("good", 1.0, found).strip(" |\n").split(" | ")
    assert [len(one.labels) for one in found] == [len(found[0].labels)] * FOLDS
    assert float(columns[-2]) == pytest.approx(expected, abs=5e-4)
    assert 0.0 < float(columns[-1]) < float(columns[-2]) < 1.0


def test_cllr_of_a_run_without_calibration_is_a_dash() -> None:
    assert line("svhf", 1.0, [Figures(50.0, 50.0, 50.0, 50.0, 50.0)] * 2).endswith(" | - | - |\n")


def test_command_prints_a_row_for_each_rate_and_the_best(
    manifest: pd.DataFrame, stores: tuple[Store, Store], tmp_path: Path
) -> None:
    artifacts = tmp_path / "artifacts"
    for name, one in zip(("faces", "voices"), stores, strict=True):
        write_store(artifacts / name, one.matrix, one.index, PROVENANCE)
    manifest.to_parquet(artifacts / "manifest.parquet")
    protocol = shipped().protocol
    tables = build_protocol(manifest, stores[0].index, stores[1].index, protocol, tmp_path)
    write_protocol(artifacts / "protocol", tables)
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["train"] |= {"seeds": [0], "epochs": 2}
    raw["experiments"]["theirs"] = {"recipe": "official"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    command = [sys.executable, "-m", "tools.benchmarks.choose", "--rates", "1e-9", "1e-2"]

    def ended(*runs: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, "--folds", "3", "--draws", "1", "--runs", *runs],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT), "SBNET_HOME": str(tmp_path / ".sbnet")},
            capture_output=True,
            text=True,
            check=False,
        )

    done = ended("single_fop")
    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ")[:2] for line in done.stdout.splitlines() if line.startswith("| single_fop")]
    assert rows == [["| single_fop", "1e-09"], ["| single_fop", "0.01"]]
    assert "lowest error: single_fop: 0.01" in done.stdout
    refused = ended("single_fop", "theirs")
    assert refused.returncode == 1 and "| single_fop" not in refused.stdout
    assert "theirs: chosen on the test list, here the people measured on" in refused.stderr
