"""From the authors' feature files to scores and a report: every stage after extraction runs as it is."""

import importlib
import json
import logging
from pathlib import Path

import pandas as pd
import pytest
import yaml

from pipeline.config import load_params
from pipeline.manifest.schema import read_manifest
from stages.common import Artifacts
from tests.pipeline.protocol.corpora import PARAMS
from tests.pipeline.protocol.sources.feature_files import write_features

pytestmark = pytest.mark.stage


def go_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lists: bool) -> None:
    """Every stage in turn, on features with or without their released lists, working in `tmp_path`."""
    params = yaml.safe_load(PARAMS.read_text())
    params["features"] = {"source": "csv", "folder": "features"}
    params["manifest"].update(media="no/such/media", identities="no/such.csv", table="no/such/table.csv")
    params["protocol"].update(trials=40, galleries=20)
    params["train"].update(seeds=[0], epochs=2)
    params["recipes"] = {params["train"]["recipe"]: {}}
    params["experiments"] = {"single_fop": {"loss": "fop"}}
    params["evaluate"]["bootstrap"] = 40
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    write_features(tmp_path / "features", lists)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SBNET_HOME", str(tmp_path / "home"))
    stages = (
        "import_features",
        "manifest",
        "detect_faces",
        "embed_faces",
        "embed_voices",
        "protocol",
        "settings",
        "train",
        "evaluate",
        "report",
        "trials",
    )
    read = load_params(Path("params.yaml"))
    for stage in stages:
        run = ["single_fop"] if stage in ("train", "evaluate") else []
        importlib.import_module(f"stages.{stage}").main(read, Artifacts(), Artifacts(), *run)


def test_feature_files_go_through_to_the_report_and_no_medium_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    go_through(tmp_path, monkeypatch, lists=True)
    assert not len(read_manifest(Path("artifacts/manifest.parquet")))
    assert not len(pd.read_parquet("artifacts/faces/detections.parquet"))
    for files in ("manifest.parquet", "faces/detections.parquet, faces/detect_skipped.csv"):
        assert f"{files}: of the feature files in features; no medium was read" in caplog.messages
    metrics = json.loads(Path("artifacts/runs/single_fop/metrics.json").read_text())
    lists = metrics["verification"]["cross_modal"]
    assert set(lists) == {"random", "N"}
    assert all(0.0 <= lists[name][rate] <= 100.0 for name in lists for rate in ("eer", "auc"))
    assert "f2v" in metrics["matching"]
    assert json.loads(Path("artifacts/protocol/summary.json").read_text())["source"] == "csv_features"
    assert Path("artifacts/faces/skipped.csv").read_text() == "item,stage,reason\n"
    assert Path("artifacts/report/report.html").stat().st_size > 10_000
    assert "there are no media" in (page := Path("artifacts/report/trials.html").read_text(encoding="utf-8"))
    assert "data:image" not in page and '<article class="card"' in page


def test_without_the_released_lists_no_count_of_people_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody is named then: each trial has people of its own in the tables, whose number says nothing."""
    caplog.set_level(logging.INFO)
    go_through(tmp_path, monkeypatch, lists=False)
    assert any("identities unknown, because no list names them" in message for message in caplog.messages)
    assert any(message.endswith("on people unknown") for message in caplog.messages)
    run = Path("artifacts/runs/single_fop")
    assert "identities" not in (run / "metrics.json").read_text() + (run / "summary.json").read_text()
    header = Path("artifacts/report/report.html").read_text(encoding="utf-8").split("<table")[0]
    assert "people unknown, because no released list beside the features names them" in header
    assert "N unknown, random unknown" in header
    assert "treat every trial as of its own people and so are too narrow" in header
    assert "identities (" not in header
