"""From the authors' feature files to scores and a report: every stage after extraction runs as it is."""

import importlib
import json
import sys
from pathlib import Path

import pytest
import yaml

from tests.pipeline.feature_files import write_features
from tests.pipeline.protocol.corpora import PARAMS


def test_feature_files_go_through_to_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = yaml.safe_load(PARAMS.read_text())
    params["features"] = {"source": "csv", "folder": "features"}
    params["protocol"].update(trials=40, galleries=20)
    params["train"].update(seeds=[0], epochs=2)
    params["recipes"] = {params["train"]["recipe"]: {}}
    params["experiments"] = {"single_fop": {"loss": "fop"}}
    params["evaluate"]["bootstrap"] = 10
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    write_features(tmp_path / "features")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SBNET_HOME", str(tmp_path / "home"))
    for stage in ("embed_faces", "embed_voices", "protocol", "train", "evaluate", "report"):
        monkeypatch.setattr(sys, "argv", [stage, *(["single_fop"] if stage in ("train", "evaluate") else [])])
        importlib.import_module(f"stages.{stage}").main()
    metrics = json.loads(Path("artifacts/runs/single_fop/metrics.json").read_text())
    lists = metrics["verification"]["cross_modal"]
    assert set(lists) == {"random", "N"}
    assert all(0.0 <= lists[name][rate] <= 100.0 for name in lists for rate in ("eer", "auc"))
    assert "f2v" in metrics["matching"]
    assert json.loads(Path("artifacts/protocol/summary.json").read_text())["source"] == "csv_features"
    assert Path("artifacts/faces/skipped.csv").read_text() == "item,stage,reason\n"
    assert Path("artifacts/report/report.html").stat().st_size > 10_000
