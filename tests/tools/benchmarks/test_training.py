"""The comparison of epochs at VoxCeleb1's size, at a small one."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.config import load_params
from pipeline.protocol.sources.feature_files import read_features
from pipeline.resolved import resolved
from tools.benchmarks.training import __main__ as training
from tools.benchmarks.training.__main__ import KINDS
from tools.benchmarks.training.features import Size, random_lists, write_feature_files
from tools.benchmarks.training.our_epochs import measure

ROOT = Path(__file__).resolve().parents[3]
SMALL = Size(people=4, pairs_a_person=5, trials=8)


def test_feature_files_are_as_the_official_code_reads_them(tmp_path: Path) -> None:
    write_feature_files(tmp_path, SMALL)
    table = pd.read_csv(tmp_path / "face" / "facenetfaceTrain.csv", header=None)
    assert table.shape == (20, 513)
    assert table[512].tolist() == np.repeat(range(4), 5).tolist()
    features = read_features(tmp_path / "voice" / "voiceTrain.csv", labelled=True)
    assert features.labels.tolist() == table[512].tolist()
    tried = pd.read_csv(tmp_path / "voice" / "voice_veriflist_test_random_unseenunheard.csv", header=None)
    assert tried.shape == (2, 512)


def test_pairs_are_of_as_many_people_as_the_official_files_and_half_of_the_trials_are_genuine() -> None:
    assert Size().pairs == 109_922
    lists, faces, voices = random_lists(SMALL)
    assert len(faces) == len(voices) == 28 and np.bincount(lists.classes).tolist() == [5] * 4
    trials = lists.validation
    assert trials is not None and trials.labels.mean() == 0.5
    assert ((trials.left_person == trials.right_person) == (trials.labels == 1)).all()
    assert trials.left.min() >= 20  # none is a training pair


def test_the_kinds_stand_for_the_runs_of_the_papers_tables() -> None:
    assert sum(KINDS.values()) == 28
    experiments = load_params(ROOT / "params.yaml").experiments
    assert set(KINDS) <= set(experiments)


@pytest.mark.parametrize("run", ["single_git", "two_fop", "voice_only_fop"])
def test_every_epoch_of_every_seed_is_measured(run: str) -> None:
    settings = resolved(load_params(ROOT / "params.yaml"), run).model_copy(update={"seeds": [0, 1], "batch_size": 8})
    found = measure(settings, SMALL, epochs=2)
    assert [len(found[name]) for name in ("wall", "processor", "validation")] == [4, 4, 4]
    assert min(found["wall"]) > 0.0


def test_the_first_epoch_counts_nowhere(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In which torch still imports parts of itself: 90 s here, where another epoch of a seed takes 1 s."""

    def start(run: str, recipe: str, seeds: Sequence[int], epochs: int = 3) -> list[float]:
        return [90.0] * len(seeds) + [1.0] * len(seeds) * (epochs - 1)

    def finish(seconds: list[float]) -> dict[str, list[float]]:
        return {**dict.fromkeys(("wall", "processor", "validation"), seconds), "memory": [500.0]}

    monkeypatch.setattr(training, "_start", start)
    monkeypatch.setattr(training, "_finish", finish)
    assert training.in_two_processes().startswith(
        "three seeds in two processes: 2.0 s an epoch of all three, 3.0 s of the processors; resident at most 500, 500"
    )
    training._estimate()
    assert "| single_fop | 5 | 1.0 s | 1.0 s |" in capsys.readouterr().out
