"""Our side: the stages on the same feature files, under recipe `official`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from tools.benchmarks.fidelity.scripts import Training
from tools.benchmarks.voxceleb_scale.stage import ROOT, run

_BEFORE = ("import_features", "manifest", "detect_faces", "embed_faces", "embed_voices", "protocol", "settings")


def prepare_ours(
    project: Path, features: Path, trainings: Sequence[Training], seeds: Sequence[int], epochs: int
) -> None:
    """A project folder whose next stage is `train`, on the feature files."""
    project.mkdir(parents=True, exist_ok=True)
    _write_params(project, features, trainings, seeds, epochs)
    for stage in _BEFORE:
        run(project, "-m", f"stages.{stage}")


def train_ours(project: Path, training: Training) -> dict[int, list[float]]:
    """EER in percent after each epoch (E,), on the test list, by seed."""
    run(project, "-m", "stages.train", training.name)
    history = pd.read_csv(project / "artifacts" / "runs" / training.name / "history.csv")
    by_seed = history.sort_values("epoch").groupby("seed")["test_eer"]
    return {int(str(seed)): eers.tolist() for seed, eers in by_seed}


def _write_params(
    project: Path, features: Path, trainings: Sequence[Training], seeds: Sequence[int], epochs: int
) -> None:
    params: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["features"] = {"source": "csv", "folder": str(features.resolve())}
    params["manifest"].update(
        media=str(features.resolve()), identities=str(ROOT / "data/no_identities.csv"), columns={}
    )
    params["protocol"]["validation_ratio"] = 0.0  # the official code trains on every row
    params["experiments"] = {training.name: _run(training, seeds, epochs) for training in trainings}
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def _run(training: Training, seeds: Sequence[int], epochs: int) -> dict[str, object]:
    run: dict[str, object] = {"recipe": "official", "method": training.method, "loss": training.loss, "epochs": epochs}
    run |= {"seeds": list(seeds)} | ({"order": training.order} if training.order else {})
    return run | ({"learning_rate": float(training.rate)} if training.rate else {})
