"""Train, evaluate and report on planted embeddings."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import yaml

from pipeline.metrics import official_rates
from pipeline.scoring import load_model
from pipeline.store import write_store
from tests.oracles.seeded import single_branch_state
from tests.pipeline.protocol.corpora import tables, write_whole_manifest
from tests.pipeline.scoring.test_released import checkpoint
from tests.stages.project import ROOT, Project

pytestmark = pytest.mark.stage

RUN = "single_fop"
FILES = ("metrics.json", "summary.json", "scores.parquet", "roc.csv", "det.csv", "matching.csv", "reliability.csv")


def planted(index: pd.DataFrame, seed: int) -> np.ndarray:
    """A vector of each person's own plus noise, of unit norm, for every row of an index."""
    rng = np.random.default_rng(0)
    people, codes = np.unique(index["identity"].to_numpy(dtype=str), return_inverse=True)
    own = rng.normal(size=(len(people), 512))
    vectors = own[codes] + np.random.default_rng(seed).normal(size=(len(codes), 512))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Forty planted people, and one run that was trained for two epochs."""
    made = Project(tmp_path_factory.mktemp("project"), in_process=True)
    made.params(
        train={"epochs": 2, "seeds": [0, 1]},
        protocol={"pairs_per_identity": 8, "trials": 400, "galleries": 100},
        evaluate={"bootstrap": 40},
    )
    parts = tables(people=40)
    for number, (name, index) in enumerate((("faces", parts.faces), ("voices", parts.voices))):
        index = index.assign(**{column: "00" for column in ("digest", "key") if column not in index})
        write_store(
            made.folder / "artifacts" / name,
            planted(index, number),
            index,
            {"weights": {"description": "untrained", "trained_on": [], "stand_in": True}},
        )
    write_whole_manifest(made.folder / "artifacts" / "manifest.parquet", parts.manifest)
    made.run("protocol")
    made.run("train", RUN)
    made.run("evaluate", RUN)
    return made


def metrics(project: Project, run: str = RUN) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    found = json.loads((project.folder / "artifacts" / "runs" / run / "metrics.json").read_text())
    assert isinstance(found, dict)
    return found


def test_metrics_hold_what_was_agreed_on(project: Project) -> None:
    figures = metrics(project)["verification"]["cross_modal"]["random"]
    assert 0.0 <= figures["eer_low"] <= figures["eer"] <= figures["eer_high"] <= 100.0
    assert 0.0 <= figures["auc_low"] <= figures["auc"] <= figures["auc_high"] <= 100.0
    assert set(metrics(project)) >= {"verification", "seen_heard", "matching", "retrieval", "selection"}
    assert metrics(project)["selection"]["rule"] == "validation"
    assert set(metrics(project)["selection"]["epochs"]) == {"0", "1"}


def test_run_must_be_known(project: Project) -> None:
    assert "did you mean 'single_fop'" in project.run("evaluate", "single_fob", fails=True)


def test_model_of_other_settings_is_not_measured_under_a_runs_name(project: Project) -> None:
    runs = project.folder / "artifacts" / "runs"
    (runs / "single_git").mkdir(exist_ok=True)
    shutil.copy(runs / RUN / "model.safetensors", runs / "single_git" / "model.safetensors")
    assert "CheckpointError" in (answer := project.run("evaluate", "single_git", fails=True))
    assert "dvc repro train@single_git" in answer
    assert not (runs / "single_git" / "metrics.json").exists()


def test_report_shows_the_run_and_says_what_was_not_run(project: Project) -> None:
    project.run("report")
    report = project.folder / "artifacts" / "report"
    figures = metrics(project)["verification"]["cross_modal"]["random"]
    html = (report / "report.html").read_text(encoding="utf-8")
    assert f"{figures['eer']:.1f} / {figures['auc']:.1f}" in html
    assert "STAND-IN weights" in html
    table = pd.read_csv(report / "tables" / "table1.csv")
    # Three losses and a floor, single and two branches, voice and face alone, an EER and an AUC of each; one run was.
    assert (table["run"] == "not run").sum() == (3 + 1) * 4 * 2 - 2
    assert Path(report / "figures" / "figure3_fop.svg").exists()


def test_figures_of_other_settings_are_not_reported_under_a_runs_name(project: Project) -> None:
    path = project.folder / "params.yaml"
    shipped = path.read_text()
    raw = yaml.safe_load(shipped)
    raw["experiments"][RUN]["loss"] = "center"
    path.write_text(yaml.safe_dump(raw, sort_keys=False))
    said = project.run("report", fails=True)
    assert f"other settings than params.yaml now gives run '{RUN}': run `dvc repro evaluate@{RUN}`" in said
    path.write_text(shipped)


def test_last_lines_say_how_it_went(project: Project) -> None:
    assert f"train {RUN}: epoch " in (said := project.run("train", RUN)) and "of 2, chosen on validation" in said
    figures = metrics(project)["verification"]["cross_modal"]["random"]
    said = project.run("evaluate", RUN)
    assert f"evaluate {RUN}: EER {figures['eer']:.1f} ± {figures['eer_std']:.1f} %" in said
    assert "report: artifacts/report/report.html" in project.run("report")


def test_curves_that_dvc_plots_are_of_what_each_run_was_trained_for(project: Project) -> None:
    project.run("train", "voice_only_fop")
    project.run("evaluate", "voice_only_fop")
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["evaluate"]["do"]["plots"]
    axes = {Path(path).name: shown for plot in plots for path, shown in plot.items()}
    shown = {RUN: ("cross_modal.random", "v2f"), "voice_only_fop": ("voice.random", "v2v")}
    for run, (trials, direction) in shown.items():
        own = {"roc.csv": ("list", trials), "det.csv": ("list", trials), "matching.csv": ("task", direction)}
        for name, (column, value) in own.items():
            table = project.table(f"runs/{run}/{name}")
            assert table[[axes[name]["x"], axes[name]["y"]]].notna().all(axis=None)
            assert set(table[column]) == {value}
    shutil.rmtree(project.folder / "artifacts" / "runs" / "voice_only_fop")


def test_folder_of_a_run_that_is_no_more_is_named(project: Project) -> None:
    assert "does not name" not in project.run("report")
    left = project.folder / "artifacts" / "runs" / "tried_once"
    left.mkdir()
    assert "artifacts/runs holds 1 run(s) that params.yaml does not name: tried_once" in project.run("report")
    left.rmdir()


def test_official_grid_is_an_option_and_going_back_gives_the_same_bytes(project: Project) -> None:
    folder = project.folder / "artifacts" / "runs" / RUN
    before = {name: (folder / name).read_bytes() for name in FILES}
    path = project.folder / "params.yaml"
    shipped = path.read_text()
    raw = yaml.safe_load(shipped)
    raw["evaluate"]["rates"] = "official_grid"
    path.write_text(yaml.safe_dump(raw, sort_keys=False))
    project.run("evaluate", RUN)
    figures = metrics(project)["verification"]["cross_modal"]["random"]
    scores = pd.read_parquet(folder / "scores.parquet")
    trials = scores.query("regime == 'unseen_unheard' and task == 'cross_modal' and criterion == 'random'")
    grid = [official_rates(-trials[f"score_{seed}"], trials["label"]) for seed in (0, 1)]
    for rate in ("eer", "auc", "accuracy"):
        assert figures[rate] == pytest.approx(np.mean([getattr(one, rate) for one in grid]), abs=1e-5)
    path.write_text(shipped)
    project.run("evaluate", RUN)
    assert {name: (folder / name).read_bytes() for name in FILES} == before


def test_released_checkpoint_is_measured_and_labelled_and_fills_no_cell_of_the_paper(
    project: Project, tmp_path: Path
) -> None:
    path = checkpoint(tmp_path / "theirs.pth.tar", single_branch_state())
    params = project.folder / "params.yaml"
    shipped = params.read_text()
    raw = yaml.safe_load(shipped)
    raw["experiments"]["official_vfvf"] = {"checkpoint": str(path)}
    params.write_text(yaml.safe_dump(raw, sort_keys=False))
    for stage, arguments in (("train", ["official_vfvf"]), ("evaluate", ["official_vfvf"]), ("report", [])):
        project.run(stage, *arguments)
    figures = metrics(project, "official_vfvf")
    assert 0.0 <= figures["verification"]["cross_modal"]["random"]["eer"] <= 100.0
    assert "trained on the authors' features" in figures["model"]["released"]
    report = project.folder / "artifacts" / "report"
    html = (report / "report.html").read_text(encoding="utf-8")
    assert "released checkpoints, trained by their authors on features of their own extractors" in html
    others = pd.read_csv(report / "tables" / "other_runs.csv").set_index("run")
    assert others.loc["official_vfvf", "recipe"] == "released checkpoint"
    assert (pd.read_csv(report / "tables" / "table1.csv")["run"] != "official_vfvf").all()
    params.write_text(shipped)
    shutil.rmtree(project.folder / "artifacts" / "runs" / "official_vfvf")


def test_a_released_checkpoint_of_faces_stands_beside_voices_of_another_width(project: Project, tmp_path: Path) -> None:
    own = project.copy(tmp_path / "copy")
    voices = own.store("voices")
    narrow = voices.matrix[:, :192] / np.linalg.norm(voices.matrix[:, :192], axis=1, keepdims=True)
    write_store(own.folder / "artifacts" / "voices", narrow, voices.index, voices.provenance)
    path = checkpoint(tmp_path / "theirs.pth.tar", single_branch_state())
    raw = yaml.safe_load((own.folder / "params.yaml").read_text())
    raw["experiments"] = {"theirs": {"checkpoint": str(path), "modality": "face"}}
    (own.folder / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    own.run("train", "theirs")
    own.run("evaluate", "theirs")
    assert set(metrics(own, "theirs")["verification"]) == {"face"}


def test_model_of_other_extractors_is_refused_by_name(project: Project) -> None:
    folder = project.folder / "artifacts" / "voices"
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    store = project.store("voices")
    write_store(folder, store.matrix, store.index, {"extractor": "campplus", "fingerprint": "f" * 64})
    answer = project.run("evaluate", RUN, fails=True)
    assert "was trained on voice vectors of" in answer and "these are of campplus, fingerprint ffffffffffff" in answer
    for name, content in kept.items():
        (folder / name).write_bytes(content)


def test_run_is_exported_with_a_card_that_has_its_figures(project: Project, tmp_path: Path) -> None:
    out = tmp_path / "onnx"
    assert "face.onnx, voice.onnx and README.md" in project.run("export", RUN, "--to", "onnx", "--out", str(out))
    model = load_model(project.folder / "artifacts" / "runs" / RUN / "model.safetensors")
    vectors = project.store("faces").matrix[:5]
    session = onnxruntime.InferenceSession(str(out / "face.onnx"))
    (embeddings,) = session.run(None, {"vectors": vectors})
    assert np.abs(embeddings - model.embed("face", vectors)).max() <= 1e-5
    figures = metrics(project)["verification"]["cross_modal"]["random"]
    assert f"| {figures['eer']:.1f} [{figures['eer_low']:.1f}, " in (card := (out / "README.md").read_text())
    assert card.startswith(f"# Model card: {RUN}\n") and "STAND-IN weights" in card


def test_closed_form_is_exported_although_keys_of_training_do_nothing_in_it(project: Project, tmp_path: Path) -> None:
    """And before it is evaluated."""
    project.run("train", "best")
    project.run("export", "best", "--to", "onnx", "--out", str(tmp_path / "onnx"))
    model = load_model(project.folder / "artifacts" / "runs" / "best" / "model.safetensors")
    vectors = project.store("voices").matrix[:5]
    session = onnxruntime.InferenceSession(str(tmp_path / "onnx" / "voice.onnx"))
    (embeddings,) = session.run(None, {"vectors": vectors})
    assert np.abs(embeddings - model.embed("voice", vectors)).max() <= 1e-5
    assert "None: the run was not evaluated" in (tmp_path / "onnx" / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["single_fob", "--to", "onnx"], "did you mean 'single_fop'"),
        (["--to", "onnx"], "takes the name of a run"),
        ([RUN, "--to", "authors-csv"], "authors-csv takes none"),
        (["--to", "authors-csv", "--with-extractors"], "--with-extractors belongs to --to onnx"),
        ([RUN, "--to", "onnx", "--with-extractors"], "face extractors facenet alone can be exported"),
    ],
)
def test_export_that_cannot_be_is_refused(project: Project, arguments: list[str], said: str, tmp_path: Path) -> None:
    assert said in project.run("export", *arguments, "--out", str(tmp_path / "out"), fails=True)
    assert not (tmp_path / "out").exists()
