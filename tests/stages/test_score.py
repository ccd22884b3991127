"""The scoring command: sentences for people, JSON for machines, exit codes, and reasons for all it cannot do."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from stages import score
from stages.common import run_command
from tests.media_factory import write_image, write_sound
from tests.pipeline.scoring.runs import write_run
from tests.stages.project import ROOT, Project, make_project
from tests.stages.test_extraction_stages import demo_clips

pytestmark = pytest.mark.stage

FACE, OTHER = "media/id0001/0.mp4", "media/id0002/0.mp4"
VOICE = "media/id0001/1.mp4"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two demo people with two clips each, extracted by the stages, and five runs."""
    made = make_project(tmp_path_factory.mktemp("demo"), demo_clips(2, 2), in_process=True)
    made.extract()
    runs = made.folder / "artifacts" / "runs"
    origin = {side: made.store(f"{side}s").provenance for side in ("face", "voice")}
    write_run(runs, origin)
    write_run(runs, origin, name="uncalibrated", calibrations={})
    write_run(runs, origin, name="galleries", method="svhf", loss="own", calibrations={})
    write_run(runs, {**origin, "voice": {**origin["voice"], "fingerprint": "c" * 64}}, name="foreign")
    poisoned = write_run(runs, origin, name="poisoned")
    with safe_open(poisoned, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(poisoned)
    tensors["1.network.classifier.bias"].fill_(float("nan"))
    save_file(tensors, poisoned, metadata=metadata)
    return made


@pytest.fixture(autouse=True)
def here(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("SBNET_HOME", str(project.home))
    monkeypatch.setenv("SBNET_WORKERS", "0")
    monkeypatch.setenv("SBNET_DEVICE", "cpu")
    yield


class Said:
    """What a call of the command wrote, and its exit code."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: object, run: str = "mine") -> None:
        command, *rest = map(str, arguments)
        self.code = 0
        try:
            run_command(lambda: score.main([command, "--run", run, *rest]), logging.WARNING)
        except SystemExit as ended:
            self.code = int(ended.code or 0)
        self.out, self.err = capsys.readouterr()
        assert "Traceback" not in self.err

    @property
    def json(self) -> dict[str, Any]:
        assert self.out.count("\n") == 1  # one line, nothing else
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


def test_verify_says_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(capsys, "verify", "--face", FACE, "--voice", VOICE)
    assert said.code == 0 and said.err == ""
    assert said.out.startswith(f"The voice of {VOICE} and the face of {FACE} are ")
    assert "of one person (similarity -" in said.out and "at the equal error rate" in said.out
    assert "probability" in said.out and "where 50% of pairs are of one person" in said.out


def test_verify_in_json_has_all_that_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(capsys, "verify", "--face", FACE, OTHER, "--voice", VOICE, "--json", "--threshold", "far_1").json
    assert set(said) == {
        *("run", "model", "left", "right", "similarity", "scores", "log_likelihood_ratio", "probability", "prior"),
        *("same", "threshold", "threshold_name", "reason"),
    }
    assert (said["run"], said["model"]) == ("mine", "artifacts/runs/mine/model.safetensors")
    assert said["right"] == {"modality": "face", "files": [FACE, OTHER]}
    assert said["similarity"] == pytest.approx(np.mean(said["scores"])) and len(said["scores"]) == 2
    assert isinstance(said["same"], bool) and 0.0 < said["probability"] < 1.0 and said["prior"] == 0.5
    assert said["threshold"] == -1.09 and said["threshold_name"] == "far_1" and said["reason"] == ""


@pytest.mark.parametrize(("sure", "words"), [(-9.0, " are of one person"), (9.0, " are not of one person")])
def test_threshold_decides_the_sentence(capsys: pytest.CaptureFixture[str], sure: float, words: str) -> None:
    said = Said(capsys, "verify", "--voice", VOICE, "--other-voice", OTHER, "--threshold", sure)
    assert words in said.out and f"threshold {sure:.3f}" in said.out and said.code == 0


@pytest.mark.parametrize("number", ["-1e-3", "-1.5E+0", "-2"])
def test_a_threshold_may_be_written_as_any_negative_number(capsys: pytest.CaptureFixture[str], number: str) -> None:
    said = Said(capsys, "verify", "--face", FACE, "--voice", VOICE, "--threshold", number, "--json").json
    assert said["threshold"] == float(number) and said["threshold_name"] == "given"


def test_run_without_calibration_scores_and_says_what_it_cannot_say(capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(capsys, "verify", "--face", FACE, "--other-face", OTHER, run="uncalibrated")
    assert said.code == 0 and "cannot be said (similarity -" in said.out and "Not calibrated: the model" in said.out
    found = Said(capsys, "verify", "--face", FACE, "--other-face", OTHER, "--json", run="uncalibrated").json
    assert found["same"] is found["probability"] is found["threshold"] is found["log_likelihood_ratio"] is None
    assert "no calibration" in found["reason"]


def test_match_lists_candidates_best_first(capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(capsys, "match", "--voice", VOICE, "--faces", FACE, OTHER)
    assert said.code == 0 and said.out.startswith(f"Of 2 faces, the nearest to the voice of {VOICE}:\n   1. media/")
    found = Said(capsys, "match", "--face", FACE, "--voices", VOICE, OTHER, "--json").json
    assert [one["rank"] for one in found["candidates"]] == [1, 2] and found["modality"] == "voice"
    assert sum(one["probability"] for one in found["candidates"]) == pytest.approx(1.0)
    assert {"medium", "similarity", "log_likelihood_ratio", "rank", "probability"} == set(found["candidates"][0])


def test_option_given_twice_adds_its_files(capsys: pytest.CaptureFixture[str]) -> None:
    together = Said(capsys, "verify", "--face", FACE, OTHER, "--voice", VOICE, "--json").json
    assert Said(capsys, "verify", "--face", FACE, "--face", OTHER, "--voice", VOICE, "--json").json == together
    found = Said(capsys, "match", "--voice", VOICE, "--faces", FACE, "--faces", OTHER, "--json").json
    assert {one["medium"] for one in found["candidates"]} == {FACE, OTHER}


def test_sentence_says_that_threshold_and_probability_disagree(capsys: pytest.CaptureFixture[str]) -> None:
    for threshold, prior in ((-9.0, 1e-6), (9.0, 1 - 1e-6)):
        said = Said(capsys, "verify", "--face", FACE, "--voice", VOICE, "--threshold", threshold, "--prior", prior)
        assert "The threshold and the probability disagree" in said.out
    said = Said(capsys, "verify", "--face", FACE, "--voice", VOICE, "--threshold", -9.0, "--prior", 1 - 1e-6)
    assert "disagree" not in said.out


def test_path_that_is_no_text_is_escaped(capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path) -> None:
    face = tmp_path / os.fsdecode(b"\xff.mp4")
    face.write_bytes(Path(FACE).read_bytes())
    score.main(["verify", "--run", "mine", "--face", str(face), "--voice", VOICE])
    assert rb"\udcff.mp4" in capfdbinary.readouterr().out


def test_model_that_is_a_link_has_the_name_of_its_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """As DVC makes them with cache.type symlink."""
    (tmp_path / "linked").mkdir()
    link = tmp_path / "linked" / "model.safetensors"
    link.symlink_to(Path("artifacts/runs/mine/model.safetensors").resolve())
    score.main(["verify", "--model", str(link), "--face", FACE, "--voice", VOICE, "--json"])
    assert json.loads(capsys.readouterr().out)["run"] == "linked"


def test_index_then_retrieve(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    store = tmp_path / "store"
    said = Said(capsys, "index", "media", "--out", store)
    assert said.code == 0 and said.out == f"{store} holds 4 faces and 4 voices; skipped: 0\n"
    found = Said(capsys, "retrieve", "--voice", VOICE, "--store", store, "--top", 3, "--json").json
    assert len(found["candidates"]) == 3 and found["modality"] == "face"
    verdict = Said(capsys, "verify", "--voice", VOICE, "--face", f"media/{found['candidates'][0]['medium']}", "--json")
    assert verdict.json["similarity"] == pytest.approx(found["candidates"][0]["similarity"], abs=1e-6)
    said = Said(capsys, "retrieve", "--face", FACE, "--store", store, "--top", 1, "--among", "face")
    assert "   1. id0001/0.mp4 (similarity 0.000" in said.out
    said = Said(capsys, "retrieve", "--face", FACE, "--store", store, "--top", 1, run="uncalibrated")
    assert said.code == 1 and "indexed by run mine" in said.err


def test_pairs_are_written_whole_and_missing_scores_are_exit_code_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    table, out = tmp_path / "pairs.csv", tmp_path / "scores.csv"
    rows = [("id0001/0.mp4", "id0001/1.mp4"), ("id0002/0.mp4", "id0001/1.mp4"), ("id0009/0.mp4", "id0001/1.mp4")]
    pd.DataFrame(rows[:2], columns=["face", "voice"]).to_csv(table, index=False)
    said = Said(capsys, "pairs", table, "--out", out, "--media", "media")
    assert (said.code, said.out) == (0, f"{out}: 2 of 2 pairs scored\n")
    pd.DataFrame(rows, columns=["face", "voice"]).to_csv(table, index=False)
    said = Said(capsys, "pairs", table, "--out", out, "--media", "media", "--json")
    assert said.code == 1 and {"pairs": 3, "scored": 2, "failed": 1}.items() <= said.json.items()
    assert "1 of 3 pairs could not be scored" in said.err and "row 3: id0009/0.mp4: does not exist" in said.err
    assert pd.read_csv(out)["similarity"].notna().tolist() == [True, True, False]


def test_everything_that_cannot_be_scored_is_exit_code_1_and_a_reason(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    faceless = write_image(tmp_path / "faceless.jpg")
    silent = write_sound(tmp_path / "silent.wav", np.zeros(16000, np.float32))
    (table := tmp_path / "pairs.csv").write_text(f"face,voice\n{FACE},{VOICE}\n")
    good = ["--face", FACE, "--voice", VOICE]
    refused: list[tuple[str, list[object], str]] = [
        ("mine", ["verify", "--face", faceless, "--voice", VOICE], "faceless.jpg: no face in 1 sampled frame"),
        ("mine", ["verify", "--face", FACE, "--voice", silent], "silent.wav"),
        ("mine", ["verify", "--face", "nothing.jpg", "--voice", VOICE], "nothing.jpg: does not exist"),
        ("mine", ["verify", "--face", FACE], "verify takes face and voice"),
        ("mine", ["verify", *good, "--threshold", "far_3"], "threshold 'far_3'"),
        ("mine", ["verify", *good, "--threshold", "nan"], "threshold nan: give a finite similarity"),
        ("mine", ["verify", *good, "--threshold", "inf"], "threshold inf: give a finite similarity"),
        ("uncalibrated", ["verify", *good, "--prior", "nan"], "prior nan"),
        ("uncalibrated", ["verify", *good, "--prior", "7"], "prior 7.0"),
        ("mine", ["verify", "--face", "n" * 300, "--voice", VOICE], "File name too long"),
        ("mine", ["verify", "--face", "", "--voice", VOICE], "an empty path: is no file"),
        ("mine", ["index", "media", "--out", faceless], "faceless.jpg: cannot be written to"),
        ("mine", ["pairs", table, "--out", tmp_path], "is a folder"),
        ("mine", ["pairs", table, "--out", faceless / "scores.csv"], "faceless.jpg: cannot be written to"),
        ("mine", ["match", "--voice", VOICE, "--faces", FACE], "two candidates"),
        (
            "mine",
            ["index", tmp_path / "no folder", "--out", tmp_path / "store"],
            "no folder' does not exist; name the folder",
        ),
        ("mine", ["retrieve", "--voice", VOICE, "--store", tmp_path, "--top", 1], "holds no faces"),
        ("mine", ["pairs", faceless, "--out", tmp_path / "scores.csv"], "cannot be read as a CSV table"),
        ("foreign", ["verify", *good], "trained on voice vectors of utterance_aggregator"),
        ("poisoned", ["verify", *good], "not finite"),
        ("absent", ["verify", *good], "trained runs: foreign, galleries, mine, poisoned, uncalibrated"),
        ("galleries", ["verify", *good], "no pairs: use match"),
        ("galleries", ["index", "media", "--out", tmp_path / "store"], "cannot fill a store"),
    ]
    for run, arguments, words in refused:
        said = Said(capsys, *arguments, run=run)
        assert said.code == 1 and words in said.err and said.out == "", arguments
        answer = Said(capsys, *arguments, "--json", run=run)
        assert answer.code == 1 and words in answer.json["error"] and answer.json["kind"].endswith("Error"), arguments


def test_model_file_is_found_by_its_path_from_anywhere(project: Project, tmp_path: Path) -> None:
    """In a process of its own, with decode workers, away from params.yaml."""
    model = tmp_path / "handed_over" / "model.safetensors"
    model.parent.mkdir()
    model.write_bytes((project.folder / "artifacts" / "runs" / "mine" / "model.safetensors").read_bytes())
    command = [sys.executable, "-m", "stages.score", "verify", "--model", "handed_over/model.safetensors", "--json"]
    media = ["--face", str(project.media / "id0001" / "0.mp4"), "--voice", str(project.media / "id0001" / "1.mp4")]
    environment = {"PYTHONPATH": str(ROOT), "SBNET_WORKERS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, *media], cwd=tmp_path, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run"] == "handed_over" and "INFO" not in done.stderr


@pytest.mark.parametrize("command", ["", "verify", "match", "index", "retrieve", "pairs"])
def test_help_needs_no_run(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        score.main([*([command] if command else []), "--help"])
    assert ended.value.code == 0 and "--help" in capsys.readouterr().out
