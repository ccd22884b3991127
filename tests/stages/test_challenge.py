"""MAV-Celeb's challenges through the stages: planted vectors to the table and a submission; media by `dvc repro`."""

import json
import logging
import re
import sys
import zipfile
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.metrics import roc_curve

import stages.evaluate
import stages.fuse
import stages.protocol
import stages.report
import stages.settings
import stages.submit
import stages.train
import stages.trials
from pipeline.config import load_params
from pipeline.errors import CheckpointError, ConfigError, ProtocolError, ScoreError
from pipeline.evaluation.challenge import scored
from pipeline.media import decode_audio, sample_frames
from pipeline.store import read_store, write_store
from stages.common import Artifacts
from stages.export import export_onnx
from tests.faults.repository import Repository, copy_pipeline
from tests.media_factory import write_sound
from tests.pipeline.protocol.corpora import PARAMS, write_whole_manifest
from tests.pipeline.protocol.sources.mavceleb import LANGUAGES, TRIALS, Released, corpus_of, write_lists
from tests.stages.project import DEMO

pytestmark = pytest.mark.stage

WIDTH, LATENT = 24, 4
SEEN = re.compile(r"(\w+): own (\w+) trials, (\w+), (\w+) \((\w+)\): \d+ trials, EER ([\d.]+) %")


def planted(released: Released, heard_only: bool, folder: Path) -> None:
    """Stores of a corpus in which a person's face and voice share a latent vector.

    The voice shows it through one map in all languages or, with `heard_only`, through another in each.
    """
    parts, rng = corpus_of(released), np.random.default_rng(0)
    people = {name: rng.normal(size=LATENT) for name in sorted(set(released.media.values()))}
    maps = {
        name: rng.normal(size=(LATENT, WIDTH)) for name in ("face", "all", *sorted(set(parts.manifest["language"])))
    }
    language = parts.manifest.set_index("item")["language"]
    for index, sort in ((parts.faces, "face"), (parts.voices, "voice")):
        shown = [maps["face" if sort == "face" else language[item] if heard_only else "all"] for item in index["item"]]
        clean = np.stack([people[released.media[item]] @ one for item, one in zip(index["item"], shown, strict=True)])
        vectors = clean + 0.2 * rng.normal(size=clean.shape)
        provenance = {"extractor": f"planted-{sort}", "dimension": WIDTH, "trained_on": [], "description": "planted"}
        provenance |= {"fingerprint": f"planted-{sort}", "stand_in": False}
        unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        write_store(folder / "artifacts" / f"{sort}s", unit, index, provenance)
        (folder / "artifacts" / f"{sort}s" / "skipped.csv").write_text("item,stage,reason\n")
    write_whole_manifest(folder / "artifacts/manifest.parquet", parts.manifest)


def go_through(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    heard_only: bool = False,
    truth: bool = True,
    more: Mapping[str, object] = MappingProxyType({}),
    fusions: Mapping[str, list[str]] = MappingProxyType({}),
    test_ratio: float = 0.3,
) -> Path:
    """Protocol to report with a run a language, `more` runs and fusions; returns the folder of the artifacts."""
    released = write_lists(folder / "lists", version, truth=truth, people=48)
    planted(released, heard_only, folder)
    params = yaml.safe_load(PARAMS.read_text())
    params["protocol"].update(source="mavceleb_lists", lists="lists", trials=400, galleries=20, test_ratio=test_ratio)
    params["train"].update(seeds=[0, 1], epochs=40, learning_rate=5e-3)
    params["recipes"] = {params["train"]["recipe"]: {}}
    runs = LANGUAGES[version][: 1 if version == "v4" else 2]
    params["experiments"] = {f"fop_{name}": {"loss": "fop", "language": name} for name in runs} | dict(more)
    params["fusions"] = dict(fusions)
    params["evaluate"].update(bootstrap=40, matching_sizes=[2])
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SBNET_HOME", str(folder / "home"))
    read = load_params(Path("params.yaml"))
    for stage in (stages.protocol, stages.settings):
        stage.main(read, Artifacts(), Artifacts())
    for name in params["experiments"]:
        for stage in (stages.train, stages.evaluate):
            stage.main(read, Artifacts(), Artifacts(), name)
    for name in fusions:
        stages.fuse.main(read, Artifacts(), Artifacts(), name)
    stages.report.main(read, Artifacts(), Artifacts())
    return folder / "artifacts"


def submit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What `python -m stages.submit` prints."""
    monkeypatch.setattr(sys, "argv", ["submit.py", *arguments])
    capsys.readouterr()
    stages.submit.main()
    return capsys.readouterr().out


def their_score(lines: list[str], truth: dict[str, int]) -> float:
    """EER in percent as the organisers take it: brentq on the interpolated ROC of the negated scores."""
    read = {line.split(" ")[0]: float(line.split(" ")[1]) for line in lines}
    rates = roc_curve(list(truth.values()), -np.array([read[key] for key in truth]))
    curve = interp1d(rates[0], rates[1])
    return 100.0 * float(brentq(lambda x: 1.0 - x - curve(x), 0.0, 1.0))


@pytest.mark.parametrize("heard_only", [True, False])
def test_heard_languages_score_better_than_unheard_where_that_is_planted_and_alike_where_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], heard_only: bool
) -> None:
    artifacts = go_through(tmp_path, monkeypatch, "v1", heard_only)
    table = pd.read_csv(artifacts / "report/tables/challenge.csv").set_index(["run", "trials", "track"])
    rates = {}
    for heard, unheard in (("English", "Urdu"), ("Urdu", "English")):
        row = table.loc[(f"fop_{heard}", "own test people", "any impostor")]
        rates[heard] = row[f"{heard.lower()}_test"], row[f"{unheard.lower()}_test"]
        figures = json.loads((artifacts / f"runs/fop_{heard}/metrics.json").read_text())["challenge"]["test"]
        assert figures["no_gender"][heard]["eer"] == pytest.approx(rates[heard][0], abs=1e-6)
        for track, language in product(("no_gender", "gender"), (heard, unheard)):
            cell = figures[track][language]
            assert 0 <= cell["eer_low"] <= cell["eer"] <= cell["eer_high"] <= 100 and cell["identities"] > 2
    at_home, abroad = np.mean(list(rates.values()), axis=0)  # fourteen people a cell
    assert at_home < 20
    assert abroad > at_home + 15 if heard_only else abs(abroad - at_home) < 10
    whole = table.loc[("fop_English + fop_Urdu", "own test people", "mean of 4 cells, any impostor"), "mean"]
    assert whole == pytest.approx(np.mean([*rates["English"], *rates["Urdu"]]))
    published = pd.read_csv(artifacts / "report/tables/challenge.csv").set_index("run").filter(like="HLT", axis=0)
    assert published["mean"].tolist() == [19.91]
    assert "heard and unheard languages" in (artifacts / "report/report.html").read_text()


def test_a_submission_to_the_fourth_version_is_read_by_a_scorer_written_as_theirs_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    go_through(tmp_path, monkeypatch, "v4")
    said = submit(monkeypatch, capsys, "fop_English", "--out", "ours.zip")
    with zipfile.ZipFile("ours.zip") as archive:
        assert archive.namelist() == [
            "gender/sub_score_v4_Bangla_unheard.txt",
            "gender/sub_score_v4_English_heard.txt",
            "no_gender/sub_score_v4_Bangla_unheard.txt",
            "no_gender/sub_score_v4_English_heard.txt",
        ]
        files = {name: archive.read(name).decode().splitlines() for name in archive.namelist()}
    for name, lines in files.items():
        track, language = name.split("/")[0], name.split("_")[-2]
        listed = Path(f"lists/v4/{track}/{language}_test.txt").read_text().splitlines()
        assert [line.split(" ")[0] for line in lines] == [line.split()[0] for line in listed]
        truth_file = Path(f"lists/v4/ground_truth/{language}_test_{track}.txt").read_text().splitlines()
        truth = {line.split()[0]: int(line.split()[1]) for line in truth_file}
        theirs = their_score(lines, truth)
        assert scored("\n".join(lines), truth) == pytest.approx(theirs, abs=1e-6)
        assert f"{name}: {TRIALS} trials in {language}" in said and f"EER {theirs:.2f} %" in said
        assert theirs < 50, "lower must mean the same person"
    again = Path("ours.zip").read_bytes()
    submit(monkeypatch, capsys, "fop_English", "--out", "ours.zip")
    assert Path("ours.zip").read_bytes() == again


def test_a_submission_of_one_run_a_language_has_four_files_and_of_one_says_what_is_absent(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    go_through(tmp_path, monkeypatch, "v2", truth=False)
    said = submit(monkeypatch, capsys, "fop_English", "fop_Hindi")
    regimes = [f"sub_score_{heard}_{regime}.txt" for heard in ("English", "Hindi") for regime in ("heard", "unheard")]
    with zipfile.ZipFile("submission.zip") as archive:
        assert archive.namelist() == regimes
        heard = archive.read("sub_score_Hindi_heard.txt").decode()
    assert heard.startswith("hi00000 ") and "EER" not in said
    caplog.set_level(logging.WARNING)
    submit(monkeypatch, capsys, "fop_Hindi", "--pattern", "{version}/{test}_{regime}.txt")
    assert "a whole submission to v2 has the files of a run that trains on English, too" in caplog.text
    with zipfile.ZipFile("submission.zip") as archive:
        assert archive.namelist() == ["v2/English_unheard.txt", "v2/Hindi_heard.txt"]
    for wrong, message in (
        ("{nobody}.txt", "is none of track"),
        ("same.txt", "two files of the submission are called"),
    ):
        with pytest.raises(ConfigError, match=message):
            submit(monkeypatch, capsys, "fop_Hindi", "--pattern", wrong)


@pytest.mark.slow
def test_fusions_ensembles_and_methods_without_embeddings_are_submitted_as_other_runs_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    floor = {"method": "cca", "loss": "own", "epochs": 30, "seeds": [0]}
    more: dict[str, dict[str, object]] = {
        "one_English": {"loss": "ce", "language": "English", "ensemble": "seeds"},
        "floor_English": {**floor, "language": "English"},
        "floor_Urdu": {**floor, "language": "Urdu"},
        "pairs_English": {"method": "vfdn", "loss": "own", "language": "English", "learning_rate": 1e-3},
        "galleries": {"method": "svhf", "loss": "own", "language": "English", "selection": "last"},
        "voices": {"loss": "ce", "language": "English", "modality": "voice"},
    }
    fusions = {f"both_{name}": [f"fop_{name}", f"floor_{name}"] for name in ("English", "Urdu")}
    artifacts = go_through(tmp_path, monkeypatch, "v1", more=more, fusions=fusions)
    table = pd.read_csv(artifacts / "report/tables/challenge.csv")
    assert table["run"].eq("both_English + both_Urdu").sum() == 2 * 2 + 1  # own trials on two tracks, released ones
    trials = pd.read_parquet(artifacts / "protocol/challenge.parquet").query("origin == 'own' and track == 'no_gender'")
    people = trials.query("subset == 'validation' and language == 'English'")["left_identity"].nunique()
    metrics = json.loads((artifacts / "runs/one_English/metrics.json").read_text())
    reason = metrics["calibration"]["cross_modal"].get("reason", "")
    assert metrics["calibration"]["cross_modal"].get("people") == people or f"holds {people} people" in reason
    lines = Path("lists/v1/ground_truth/English_test.txt").read_text().splitlines()
    truth = {line.split()[0]: int(line.split()[1]) for line in lines}
    for run in ("one_English", "floor_English", "pairs_English", "both_English"):
        submit(monkeypatch, capsys, run, "fop_Urdu")
        with zipfile.ZipFile("submission.zip") as archive:
            assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o644}, "unpacked, they can be read"
            heard, unheard = (archive.read(f"sub_score_English_{one}.txt").decode() for one in ("heard", "unheard"))
        assert [{line[:2] for line in one.splitlines()} for one in (heard, unheard)] == [{"en"}, {"ur"}]
        assert len({line.split(" ")[1] for line in heard.splitlines()}) > TRIALS // 2
        figures = json.loads((artifacts / f"runs/{run}/metrics.json").read_text())["challenge"]["released"]
        if run in ("one_English", "floor_English"):  # of one score a pair; of others the figures are means of rates
            assert scored(heard, truth) == pytest.approx(figures["no_gender"]["English"]["eer"])
    said = submit(monkeypatch, capsys, "both_English", "both_Urdu", "--dry-run")
    rates = [float(eer) for _, kind, track, _, _, eer in SEEN.findall(said) if (kind, track) == ("test", "no_gender")]
    assert f"mean of 4 cells of own test trials, no_gender: EER {np.mean(rates):.2f} %" in said and len(rates) == 4
    for run, message in (
        ("galleries", "gives a voice and a face no score of their own"),
        ("voices", "run voices was trained on voices alone"),
    ):
        with pytest.raises(ConfigError, match=message):
            submit(monkeypatch, capsys, run)


def test_a_dry_run_scores_own_trials_as_evaluation_does_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    artifacts = go_through(tmp_path, monkeypatch, "v3", truth=False)
    said = SEEN.findall(submit(monkeypatch, capsys, "fop_German", "--dry-run"))
    assert not Path("submission.zip").exists()
    figures = json.loads((artifacts / "runs/fop_German/metrics.json").read_text())["challenge"]
    assert "released" not in figures and len(said) == sum(
        len(track) for kind in figures.values() for track in kind.values()
    )
    for run, kind, track, language, regime, eer in said:
        assert run == "fop_German" and regime == ("heard" if language == "German" else "unheard")
        assert abs(float(eer) - figures[kind][track][language]["eer"]) < 6  # a mean of scores, not of two networks' EER
    twice = submit(monkeypatch, capsys, "fop_German", "fop_German", "--dry-run")
    assert "no mean: runs that heard the same are several systems" in twice and "mean of" not in twice
    read = load_params(Path("params.yaml"))
    coarse = read.model_copy(update={"evaluate": read.evaluate.model_copy(update={"rates": "official_grid"})})
    stages.evaluate.main(coarse, Artifacts(), Artifacts(), "fop_German")
    again = json.loads((artifacts / "runs/fop_German/metrics.json").read_text())
    assert "eer_exact" in again["verification"]["cross_modal"]["random"]
    assert again["challenge"] == figures, "the organisers' scorer knows no grid of thresholds"


def test_a_protocol_of_other_stores_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """New media came, were extracted, and the protocol was not made again: all rows after them moved."""
    artifacts = go_through(tmp_path, monkeypatch, "v3", truth=False)
    for name in ("faces", "voices"):
        store = read_store(artifacts / name)
        more = pd.concat([store.index.iloc[:2], store.index], ignore_index=True)
        write_store(artifacts / name, np.concatenate([store.matrix[:2], store.matrix]), more, store.provenance)
    with pytest.raises(ProtocolError, match="the protocol was made for other stores: run `dvc repro protocol`"):
        submit(monkeypatch, capsys, "fop_German")
    assert not Path("submission.zip").exists()


def test_models_of_another_protocol_are_not_submitted_exported_evaluated_nor_fused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the protocol was made again, with another seed: people whom the models trained on are test people now."""
    floor = {"floor_German": {"method": "cca", "loss": "own", "epochs": 30, "seeds": [0], "language": "German"}}
    fusions = {"both": ["fop_German", "floor_German"]}
    go_through(tmp_path, monkeypatch, "v3", truth=False, more=floor, fusions=fusions)
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["protocol"]["seed"] = 5
    Path("params.yaml").write_text(yaml.safe_dump(params))
    read, artifacts = load_params(Path("params.yaml")), Artifacts()
    stages.protocol.main(read, artifacts, artifacts)
    commands: list[tuple[str, Callable[[], object]]] = [
        ("train@fop_German", lambda: submit(monkeypatch, capsys, "fop_German", "--dry-run")),
        ("train@fop_German", lambda: submit(monkeypatch, capsys, "fop_German")),
        ("fuse@both", lambda: submit(monkeypatch, capsys, "both", "--dry-run")),
        ("train@fop_German", lambda: stages.evaluate.main(read, artifacts, artifacts, "fop_German")),
        ("fuse@both", lambda: stages.fuse.main(read, artifacts, artifacts, "both")),
        ("train@fop_German", lambda: export_onnx(read, artifacts, tmp_path / "onnx", "fop_German", False)),
    ]
    for stage, command in commands:
        with pytest.raises(CheckpointError, match=rf"under another protocol .*: run `dvc repro {stage}`$"):
            command()
    assert not Path("submission.zip").exists() and not (tmp_path / "onnx").exists()


def test_a_run_of_one_language_is_exported_where_not_everybody_speaks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifacts = go_through(tmp_path, monkeypatch, "v3", truth=False)
    pairs = pd.read_parquet(artifacts / "protocol/train_pairs.parquet")
    silent = (pairs["class_index"] == 0) & (pairs["language"] == "German")
    pairs[~silent].to_parquet(artifacts / "protocol/train_pairs.parquet", index=False)
    read = load_params(Path("params.yaml"))
    for stage in (stages.train, stages.evaluate):
        stage.main(read, Artifacts(), Artifacts(), "fop_German")
    people = pairs["class_index"].nunique()
    export_onnx(read, Artifacts(), tmp_path / "onnx", "fop_German", False)
    assert f"{people - 1} training identities" in (tmp_path / "onnx/README.md").read_text()


def test_without_own_test_people_runs_are_trained_reported_and_submitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    artifacts = go_through(tmp_path, monkeypatch, "v4", truth=False, test_ratio=0.0)
    read = load_params(Path("params.yaml"))
    without_media = read.model_copy(update={"trials": read.trials.model_copy(update={"media": False})})
    stages.trials.main(without_media, Artifacts(), Artifacts())
    table = pd.read_csv(artifacts / "report/tables/challenge.csv")
    assert set(table["trials"]) == {"own validation people", "released list"}
    assert submit(monkeypatch, capsys, "fop_English").count("trials in") == 4
    said = submit(monkeypatch, capsys, "fop_English", "--dry-run")
    assert "mean of 2 cells of own validation trials, both tracks" in said and "own test" not in said


def test_runs_that_cannot_be_submitted_are_refused_with_what_to_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    go_through(tmp_path, monkeypatch, "v4")
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["experiments"] |= {"both": {"loss": "fop"}, "bangla": {"loss": "fop", "language": "Bangla"}}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    read = load_params(Path("params.yaml"))
    stages.settings.main(read, Artifacts(), Artifacts())
    stages.train.main(read, Artifacts(), Artifacts(), "both")
    with pytest.raises(
        ConfigError, match=r"trains on one language: give it `language:`, one of \['Bangla', 'English'\]"
    ):
        submit(monkeypatch, capsys, "both")
    with pytest.raises(
        ProtocolError, match=r"language 'Bangla': training pairs of 0 people.*languages of the training pairs: English"
    ):
        stages.train.main(read, Artifacts(), Artifacts(), "bangla")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a 1\nb x\n", "line 2 is not `key distance`: 'b x'"),
        ("a 1\na 2\n", "line 2: key 'a' is there twice"),
        ("a 1\nc 2\n", "2 keys are not both in the file and in the truth, such as 'b'"),
    ],
)
def test_files_that_the_organisers_could_not_score_are_refused(text: str, message: str) -> None:
    with pytest.raises(ScoreError, match=re.escape(message)):
        scored(text, {"a": 1, "b": 0})


def write_media(folder: Path, released: Released) -> None:
    """Clips of the shipped corpus's people under the paths that the lists name."""
    actors = sorted(path for path in DEMO.glob("id*") if (path / "2.mp4").exists())
    who = dict(zip(dict.fromkeys(released.media.values()), actors, strict=False))
    for number, (path, name) in enumerate(released.media.items()):
        source, target = who[name] / f"{number % 3}.mp4", folder / path
        if path.endswith(".wav"):
            write_sound(target, decode_audio(source, 16_000))
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(next(iter(sample_frames(source, 1.0, 1))).image).save(target, quality=95)


def repro(repository: Repository, version: str, writes: Callable[[Path, Released], None]) -> list[str]:
    """The stages that `dvc repro` runs on a version's lists and media."""
    released = write_lists(repository.folder / "lists", version, people=8)
    writes(repository.folder / "media", released)
    raw = yaml.safe_load((repository.folder / "params.yaml").read_text())
    raw["experiments"] = {"fop_English": {"loss": "fop", "language": "English"}}
    (repository.folder / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    repository.params(
        manifest={"layout": "mavceleb"}, protocol={"source": "mavceleb_lists", "lists": f"lists/{version}"}
    )
    return repository.dvc("repro").ran


@pytest.mark.slow
def test_media_in_the_fourth_versions_folders_go_to_the_table_and_a_submission(tmp_path: Path) -> None:
    repository = copy_pipeline(tmp_path / "sbnet")
    assert "report" in repro(repository, "v4", write_media)
    table = pd.read_csv(repository.folder / "artifacts/report/tables/challenge.csv")
    assert {"english_test", "bangla_test"} < set(table) and "fop_English" in set(table["run"])
    assert not repository.dvc("repro").ran
