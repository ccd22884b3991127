"""docs/extending.md runs: its code, dropped into a copy of the project, goes from media to report by `dvc repro`."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from pipeline.store import read_store
from tests.faults.repository import DEMO, Outcome, Repository, copy_pipeline
from tests.stages.project import ROOT

pytestmark = [pytest.mark.stage, pytest.mark.slow]

PAGE = ROOT / "docs" / "extending.md"
BLOCK = re.compile(r"```(python|yaml)\n# ([\w/.]+)(: (\w+))?\n(.*?)```", re.DOTALL)  # language, file, place in it, text
PEOPLE = 24

Blocks = list[tuple[str, str, str]]  # file, place in it (empty: the whole file), text


def blocks(language: str) -> Blocks:
    """The page's blocks of one language, in order."""
    found = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    return [(file, place, text) for kind, file, _, place, text in found if kind == language]


def add_code(folder: Path) -> None:
    """Do what the page says: write new files, and put an entry behind the last of the tuple or mapping it names."""
    for file, place, text in blocks("python"):
        path = folder / file
        if not place:
            assert not path.exists(), f"{file} is there already"
            path.write_text(text, encoding="utf-8")
            continue
        before, start, after = path.read_text(encoding="utf-8").partition(f"\n{place}: ")
        entries, end, rest = after.partition("\n    )\n")
        path.write_text(f"{before}{start}{entries}\n{text.rstrip()}{end}{rest}", encoding="utf-8")


def set_params(folder: Path) -> None:
    """Put the page's keys into params.yaml, with its run as the only one, and numbers for a small corpus."""
    path = folder / "params.yaml"
    raw: dict[str, Any] = yaml.safe_load(path.read_text())
    raw["experiments"] = {}
    raw["manifest"].update(identities="identities.csv", columns={"nationality": "region"})
    raw["protocol"].update(age_bin=100.0)  # years: on so few people, all are of one age
    for _, _, text in blocks("yaml"):
        for section, keys in yaml.safe_load(text).items():
            raw[section].update(keys)
    path.write_text(yaml.safe_dump(raw, sort_keys=False))


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Repository, Outcome]:
    """A project with all six extensions, after `dvc repro`."""
    repository = copy_pipeline(tmp_path_factory.mktemp("extended"))
    (repository.folder / "media").mkdir()
    for person in sorted(DEMO.glob("id*"))[:PEOPLE]:
        for clip in sorted(person.glob("*.mp4"))[:2]:
            shutil.copy(clip, repository.folder / "media" / f"{person.name}_{clip.name}")
    shutil.copy(DEMO / "identities.csv", repository.folder)
    add_code(repository.folder)
    set_params(repository.folder)
    return repository, repository.dvc("repro")


def metrics(repository: Repository) -> dict[str, Any]:
    """The figures of the page's run."""
    found: dict[str, Any] = json.loads(repository.output("runs/mine/metrics.json"))
    return found


def test_no_file_of_ours_is_edited_but_params_and_the_entry_of_the_criterion(
    extended: tuple[Repository, Outcome],
) -> None:
    folder = extended[0].folder
    ours = [
        path.relative_to(ROOT) for room in ("pipeline", "extractors", "stages") for path in (ROOT / room).rglob("*.py")
    ]
    changed = [str(path) for path in ours if (folder / path).read_bytes() != (ROOT / path).read_bytes()]
    assert changed == ["pipeline/protocol/vocabulary.py"]
    assert (folder / "dvc.yaml").read_bytes() == (ROOT / "dvc.yaml").read_bytes()
    assert len([file for file, place, _ in blocks("python") if not place]) == 5


def test_a_layout_says_whose_each_file_is(extended: tuple[Repository, Outcome]) -> None:
    manifest = pd.read_parquet(extended[0].folder / "artifacts/manifest.parquet")
    assert len(manifest) == 2 * PEOPLE and manifest["identity"].nunique() == PEOPLE
    assert list(manifest["clip"]) == [Path(item).stem.replace("_", "/") for item in manifest["item"]]


@pytest.mark.parametrize(("modality", "extractor", "width"), [("faces", "thumbnail", 64), ("voices", "spectrum", 129)])
def test_an_extractor_fills_a_store_of_its_own_width(
    extended: tuple[Repository, Outcome], modality: str, extractor: str, width: int
) -> None:
    store = read_store(extended[0].folder / "artifacts" / modality)
    assert store.provenance["extractor"] == extractor
    assert store.matrix.shape[1] == width and store.index["identity"].nunique() == PEOPLE


def test_a_criterion_has_its_list_and_its_figures(extended: tuple[Repository, Outcome]) -> None:
    lists = metrics(extended[0])["verification"]["cross_modal"]
    assert set(lists) == {"random", "G", "GA"}
    trials = pd.read_parquet(extended[0].folder / "artifacts/protocol/verification.parquet")
    people = pd.read_parquet(extended[0].folder / "artifacts/protocol/identities.parquet").set_index("identity")
    alike = trials[trials["criterion"] == "GA"]
    genders = [people.loc[alike[f"{side}_identity"], "gender"].to_numpy() for side in ("left", "right")]
    assert len(alike) and (genders[0] == genders[1]).all()


def test_a_method_and_a_loss_train_a_run_that_the_report_shows(extended: tuple[Repository, Outcome]) -> None:
    repository, outcome = extended
    assert "train@mine" in outcome.ran and "evaluate@mine" in outcome.ran
    settings = json.loads(repository.output("settings/mine.json"))
    assert "triplet" in json.dumps(settings) and "linear" in json.dumps(settings)
    assert 0.0 <= metrics(repository)["verification"]["cross_modal"]["random"]["eer"] <= 100.0
    assert b"mine" in repository.output("report/report.html")


def test_one_option_of_the_voice_extractor_runs_no_face_stage(extended: tuple[Repository, Outcome]) -> None:
    repository, _ = extended
    repository.params(embed_voices={"floor": 1.0e-6})
    again = repository.dvc("repro", "embed_faces", "embed_voices")
    assert again.ran == ["embed_voices"]
    assert again.counts["embed_voices"].startswith(f"{2 * PEOPLE} extracted, 0 cached")
