"""The benchmark's own parts: what its world holds, that its control is one, and the whole of it, small."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from pipeline.manifest.schema import read_manifest
from pipeline.protocol.sources.feature_files import read_features
from tools.benchmarks.voxceleb_scale.control import exchanged
from tools.benchmarks.voxceleb_scale.feature_files import write_feature_files
from tools.benchmarks.voxceleb_scale.planted import Strengths, planted
from tools.benchmarks.voxceleb_scale.stage import run
from tools.benchmarks.voxceleb_scale.world import Size, write_world

ROOT = Path(__file__).resolve().parents[3]


def explained(faces: np.ndarray, voices: np.ndarray) -> float:
    """Share of the variance of unseen people's mean voices that a linear map of their faces foretells."""
    half = len(faces) // 2
    ridge = faces[:half].T @ faces[:half] + 0.05 * np.eye(faces.shape[1])
    weights = np.linalg.solve(ridge, faces[:half].T @ voices[:half])
    rest = voices[half:] - faces[half:] @ weights
    return float(1.0 - rest.var() / voices[half:].var())


def means(strengths: Strengths) -> tuple[np.ndarray, np.ndarray]:
    world = planted(1200, 8, 8, 0, strengths)
    return world.faces.reshape(1200, 8, -1).mean(1), world.voices.reshape(1200, 8, -1).mean(1)


def test_faces_foretell_voices_as_far_as_something_is_shared_and_no_further() -> None:
    assert explained(*means(Strengths(gender=0.0, shared=1.0, private=0.1))) > 0.7
    assert explained(*means(Strengths(gender=2.0, shared=0.0, private=0.1))) > 0.7
    assert explained(*means(Strengths(gender=0.0, shared=0.0, private=1.0))) < 0.05


def test_rows_are_unit_vectors_sorted_by_person_and_the_same_again() -> None:
    world, again = planted(10, 3, 4, 5), planted(10, 3, 4, 5)
    assert world.faces.shape == (30, 512) and world.voices.shape == (40, 512)
    assert world.face_identity.tolist() == sorted(list(range(10)) * 3)
    np.testing.assert_allclose(np.linalg.norm(world.voices, axis=1), 1.0, atol=1e-5)
    assert np.array_equal(world.faces, again.faces)
    assert not np.array_equal(world.faces, planted(10, 3, 4, 6).faces)


def test_alternating_runs_last_until_both_modalities_have_had_their_turn(tmp_path: Path) -> None:
    write_world(tmp_path, Size(train=6, validation=2, test=4, pairs_a_person=4, trials=8), epochs=3, seeds=[0], seed=0)
    runs = yaml.safe_load((tmp_path / "params.yaml").read_text())["experiments"]
    assert {name: run.get("epochs", 3) for name, run in runs.items() if name.startswith("alternate")} == {
        "alternate_1": 3,
        "alternate_2": 4,
        "alternate_3": 6,
        "alternate_5": 10,
    }


def test_protocol_stage_reads_what_the_world_wrote(tmp_path: Path) -> None:
    size = Size(train=12, validation=4, test=6, pairs_a_person=4, trials=40)
    write_world(tmp_path, size, epochs=1, seeds=[0], seed=0)
    manifest = read_manifest(tmp_path / "artifacts" / "manifest.parquet")
    assert manifest["gender"].notna().all() and manifest["item"].is_monotonic_increasing
    run(tmp_path, "-m", "stages.protocol")
    identities = pd.read_parquet(tmp_path / "artifacts" / "protocol" / "identities.parquet")
    assert identities["split"].value_counts().to_dict() == {"train": 12, "test": 6, "validation": 4}


def test_control_gives_every_class_the_voices_of_one_other_and_tears_gender_apart() -> None:
    people = 40
    gender = np.array(["f", "m"])[np.arange(people) % 2]
    identities = pd.DataFrame({"class_index": np.arange(people), "gender": gender})
    identities = pd.concat([identities, pd.DataFrame({"class_index": [-1, -1], "gender": ["f", "m"]})])
    classes = np.repeat(np.arange(people), 6)
    pairs = pd.DataFrame({"face_row": np.arange(240), "voice_row": np.arange(240), "class_index": classes})
    found = exchanged(pairs, identities, seed=3)
    assert found["face_row"].equals(pairs["face_row"])
    owners = found["voice_row"].to_numpy() // 6
    one_owner = found.assign(owner=owners).groupby("class_index")["owner"].agg(["nunique", "first"])
    assert (one_owner["nunique"] == 1).all()
    assert sorted(one_owner["first"]) == list(range(people))
    assert (one_owner["first"] != one_owner.index).all()
    assert (gender[one_owner["first"]] == gender).mean() == 0.5


def test_feature_files_are_as_the_official_code_reads_them(tmp_path: Path) -> None:
    size = Size(train=4, validation=0, test=3, pairs_a_person=5, trials=8)
    write_feature_files(tmp_path, size, seed=0)
    table = pd.read_csv(tmp_path / "face" / "facenetfaceTrain.csv", header=None)
    assert table.shape == (20, 513)
    features = read_features(tmp_path / "voice" / "voiceTrain.csv", labelled=True)
    assert features.labels.tolist() == table[512].tolist()
    left = read_features(tmp_path / "voice" / "voice_veriflist_test_random_unseenunheard.csv", labelled=False).labels
    right = read_features(
        tmp_path / "face" / "facenet_face_veriflist_test_random_unseenunheard.csv", labelled=False
    ).labels
    assert (left == right).tolist() == [True, False] * 4


@pytest.mark.stage
@pytest.mark.slow
def test_small_world_beats_chance_and_its_control_does_not(tmp_path: Path) -> None:
    people = ["--train", "60", "--validation", "10", "--test", "20", "--pairs", "24", "--trials", "2000"]
    runs = ["--runs", "single_fop", "two_git", "--controls", "single_fop", "--epochs", "6"]
    command = [sys.executable, "-m", "tools.benchmarks.voxceleb_scale", "--folder", str(tmp_path), *people, *runs]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every run beats chance, every control does not" in done.stdout
