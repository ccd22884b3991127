"""The comparison with the official scripts, without a checkout of them: a small script takes their place."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pipeline.config import load_params
from tests.pipeline.protocol.sources.feature_files import write_features
from tools.benchmarks.fidelity import scripts
from tools.benchmarks.fidelity.__main__ import side_by_side, table_of
from tools.benchmarks.fidelity.ours import prepare_ours, train_ours
from tools.benchmarks.fidelity.scripts import SCRIPTS, Training, parsed, remembered_official, run_official

ROOT = Path(__file__).resolve().parents[3]
TRAINING = Training("sbnet", "fop", "vfvf")
# What the official script does that today's numpy and scipy and a machine without a GPU refuse, and no network.
SCRIPT = """
import argparse
import numpy as np
import torch
from scipy import random
import online_evaluation

def main():
    order = list(range(10))
    random.shuffle(order)
    layer = torch.nn.Linear(2, 1).cuda()
    torch.optim.Adam(layer.parameters(), lr=1e-2)
    rows = len(open('../data/face/facenetfaceTrain.csv').readlines())
    for epoch in range(1, FLAGS.max_num_epoch):
        eer, auc = online_evaluation.test(FLAGS, order[0], np.asarray([rows]).astype(np.float))
        print('EER', eer)

if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--cuda', action='store_true', default=True)
    parser.add_argument('--lr', type=float, default=1.0)
    parser.add_argument('--max_num_epoch', type=int, default=500)
    parser.add_argument('--split_type', type=str, default='hefhev')
    global FLAGS
    FLAGS, unparsed = parser.parse_known_args()
    assert not FLAGS.cuda or torch.cuda.is_available()
    assert FLAGS.split_type == 'vfvf' and FLAGS.lr == 1e-2
    main()
"""
EVALUATION = """
def calculate_val():
    raise ValueError('Expect x to not have duplicates')

def test(flags, first, rows):
    calculate_val()
    return (first + 10 * flags.seed) / 100, float(rows[0]) / 100
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout" / "ssnet_fop"
    folder.mkdir(parents=True)
    (folder / "main.py").write_text(SCRIPT)
    (folder / "online_evaluation.py").write_text(EVALUATION)
    return folder.parent


@pytest.fixture
def features(tmp_path: Path) -> Path:
    return write_features(tmp_path / "features")


@pytest.mark.slow
def test_a_script_of_2020_runs_with_its_seed_and_its_rates_come_back_in_percent(checkout: Path, features: Path) -> None:
    found = [run_official(checkout, features, TRAINING, seed, epochs=2) for seed in (3, 3, 4)]
    assert [len(run) for run in found] == [2, 2, 2]
    assert found[0][0].auc == pytest.approx(8 * 6)  # rows of the training file
    assert 30 <= found[0][0].eer < 40 <= found[2][0].eer < 50
    assert [epoch.eer for epoch in found[0]] == [epoch.eer for epoch in found[1]]  # numpy.random is seeded
    assert found[0][0].read is not None and found[0][0].read > 0


@pytest.mark.slow
def test_a_run_is_remembered_until_features_or_code_change(
    checkout: Path, features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(epochs: int = 1) -> int:
        remembered_official(tmp_path / "kept", checkout, features, TRAINING, epochs, sys.executable, 0)
        return len(list((tmp_path / "kept").iterdir()))

    assert again() == 1
    with monkeypatch.context() as patched:
        patched.setattr(scripts, "run_official", lambda *_, **__: pytest.fail("it has been run"))
        assert again() == 1
    assert again(epochs=2) == 2
    (checkout / "ssnet_fop" / "online_evaluation.py").write_text(EVALUATION + "\n")
    assert again() == 3
    path = features / "voice" / "voiceTrain.csv"
    path.write_text(path.read_text() + path.read_text().splitlines()[0] + "\n")
    assert again() == 4


def test_a_script_that_fails_or_is_of_another_version_is_named(
    checkout: Path, features: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(SCRIPTS["sbnet", "fop"], replacements={"range(100)": "range({epochs})"})
    monkeypatch.setitem(SCRIPTS, ("sbnet", "fop"), other)
    with pytest.raises(RuntimeError, match=r"ssnet_fop/main.py .*holds 'range\(100\)' 0 times instead of once"):
        run_official(checkout, features, TRAINING, 0, epochs=1)


@pytest.mark.slow
def test_a_rate_of_both_sides_is_in_the_name_and_stands_in_for_the_official_one_alone(
    checkout: Path, features: Path, tmp_path: Path
) -> None:
    slow = replace(TRAINING, rate="0.001")
    assert (slow.name, slow.words) == ("sbnet_fop_vfvf_0001", "single branch, fop, vfvf, 0.001")
    with pytest.raises(RuntimeError, match=r"FLAGS\.lr == 1e-2"):
        run_official(checkout, features, slow, 0, epochs=1)
    prepare_ours(tmp_path / "ours", features, [slow, TRAINING], [0], epochs=1)
    runs = [load_params(tmp_path / "ours" / "params.yaml").experiments[one.name] for one in (slow, TRAINING)]
    assert [run.get("learning_rate") for run in runs] == [0.001, None]


def test_output_is_parsed_in_percent_line_by_line() -> None:
    lines = [
        '{"eer": 0.25, "auc": 0.8, "read": null, "trained": 1.5, "processor": 1.4}',
        '{"eer": 0.3, "auc": 0.7, "read": 2, "trained": 1, "processor": 0.9}',
    ]
    found = parsed("\n".join(lines) + "\n")
    assert [(epoch.eer, epoch.auc, epoch.read, epoch.trained, epoch.processor) for epoch in found] == [
        (25.0, 80.0, None, 1.5, 1.4),
        (30.0, 70.0, 2, 1, 0.9),
    ]


def test_best_and_last_stand_side_by_side_as_mean_and_range_over_the_seeds() -> None:
    theirs = {0: [30.0, 26.0, 31.0], 1: [28.0, 29.0, 29.0]}
    results, course = side_by_side(TRAINING, theirs, {0: [27.0, 25.0, 25.0], 1: [27.0, 30.0, 24.0]})
    assert results["side"].tolist() == ["theirs", "ours"] * 2 and results["seed"].tolist() == [0, 0, 1, 1]
    assert results["best_epoch"].tolist() == [2, 2, 1, 3] and (results["epochs"] == 3).all()
    assert table_of(results).splitlines()[2:] == [
        "| single branch, fop, vfvf | 27.0 [26.0, 28.0] | 24.5 [24.0, 25.0] | 30.0 [29.0, 31.0] | 24.5 [24.0, 25.0] |"
    ]
    assert course.query("side == 'ours' and seed == 1")["eer"].tolist() == [27.0, 30.0, 24.0]


@pytest.mark.slow
@pytest.mark.stage
def test_our_side_trains_on_every_row_and_is_tested_on_the_random_list_after_every_epoch(
    features: Path, tmp_path: Path
) -> None:
    two = Training("two_branch", "fop", "")
    prepare_ours(tmp_path / "ours", features, [TRAINING, two], [0, 5], epochs=3)
    for training in (TRAINING, two):
        found = train_ours(tmp_path / "ours", training)
        assert {seed: len(eers) for seed, eers in found.items()} == {0: 3, 5: 3}
    assert len(pd.read_parquet(tmp_path / "ours/artifacts/protocol/train_pairs.parquet")) == 8 * 6


@pytest.mark.slow
@pytest.mark.stage
def test_what_is_not_at_hand_is_named_and_the_rest_is_compared(checkout: Path, features: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tools.benchmarks.fidelity", "--official", str(checkout), "--orders", "vfvf"]
    command += ["--features", str(features), "--folder", str(tmp_path / "work"), "--epochs", "2", "--seeds", "0"]
    command += ["--tensorflow", str(tmp_path / "no-python")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "center left out, because the official script needs TensorFlow" in done.stdout
    assert "tf/bin/pip install tensorflow-cpu tf_keras tf_slim" in done.stdout
    assert "two branches left out: --two-branch is a checkout of github.com/msaadsaeed/FOP" in done.stdout
    assert "| single branch, fop, vfvf |" in done.stdout
    rows = pd.read_csv(tmp_path / "work" / "fidelity.csv")
    assert rows["side"].tolist() == ["theirs", "ours"] and (rows["epochs"] == 2).all()
