"""dvc.yaml names the data of a stage: with nothing else in the folder it gives the same files, and no others.

A file that is read and not named would leave old results standing when it changes; one that is written and not named
would be missing from every clone.
"""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.media_factory import noise, write_image, write_sound
from tests.pipeline.protocol.sources.feature_files import write_features
from tests.stages.project import ROOT, Project, make_project

pytestmark = pytest.mark.stage

STAGES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
RUN, OTHER, FUSION = "short", "other", "both"
# Seconds and not values: two runs of a stage have other ones.
TIMES = f"artifacts/runs/{RUN}/cost.json"
# Read through the manifest, whose rows carry the digest of every file: as a dependency it would be hashed once a stage.
# The stage `media` looks at the folder in DVC's place, at every repro.
READS_MEDIA = ("media", "detect_faces", "embed_faces", "embed_voices", "trials")
FEW = {
    "protocol": {"validation_ratio": 0.25, "test_ratio": 0.35, "trials": 40, "galleries": 10, "gallery_size": 2},
    "train": {"epochs": 2, "batch_size": 4, "seeds": [0]},
    "evaluate": {"matching_sizes": [2], "bootstrap": 40},
}


def short_runs(project: Project) -> Project:
    """Two runs and their fusion, and tables that lie in the project."""
    path = project.folder / "params.yaml"
    raw = yaml.safe_load(path.read_text())
    raw["experiments"] = {RUN: {"loss": "fop"}, OTHER: {"loss": "git"}}
    raw["fusions"] = {FUSION: [RUN, OTHER]}
    raw["manifest"].update(identities="people.csv", table="items.csv")
    path.write_text(yaml.safe_dump(raw, sort_keys=False))
    return project


def from_media(folder: Path) -> Project:
    """Twelve people, two pictures and two sounds each; every picture is a face."""
    few = FEW | {"detect_faces": {"detector": "none"}, "embed_voices": {"weights": "untrained"}}
    project = short_runs(make_project(folder, {}, in_process=True, **few))
    for person in range(12):
        for number in range(2):
            write_image(project.media / f"id{person}" / f"{number}.png", 2 * person + number, 48, 48)
            write_sound(project.media / f"id{person}" / f"{number}.wav", noise(0.3, 16000, 2 * person + number))
    people = "".join(f"id{person},{'mf'[person % 2]}\n" for person in range(12))
    (folder / "people.csv").write_text(f"identity,gender\n{people}")
    (folder / "items.csv").write_text("path,identity\n")
    return project


def from_features(folder: Path) -> Project:
    """The authors' feature files with their released lists."""
    project = make_project(folder, {}, in_process=True, **FEW, features={"source": "csv", "folder": "features"})
    write_features(folder / "features", lists=True)
    return short_runs(project)


@pytest.fixture(scope="module", params=[from_media, from_features])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which every stage has run."""
    project: Project = request.param(tmp_path_factory.mktemp(request.param.__name__))
    for stage in STAGES:
        project.run(stage, *arguments(stage))
        if arguments(stage) == [RUN]:
            project.run(stage, OTHER)
    return project


def arguments(stage: str) -> list[str]:
    """What a stage takes: a run, a fusion, or nothing."""
    return {"${experiments}": [RUN], "${fusions}": [FUSION]}.get(STAGES[stage].get("foreach", ""), [])


def named(stage: str, params: dict[str, Any], *fields: str) -> list[str]:
    """Paths of a stage's entry in dvc.yaml, code left out, with the values of params.yaml in them."""

    def value(match: re.Match[str]) -> str:
        if match[1] in (known := {"item[0]": RUN, "item[1]": OTHER}):
            return known[match[1]]
        if match[1] == "key":
            return arguments(stage)[0]
        section, key = match[1].split(".")
        return str(params[section][key])

    entry = STAGES[stage].get("do", STAGES[stage])
    listed = [item for field in fields for item in entry.get(field, [])]
    paths = [item if isinstance(item, str) else next(iter(item)) for item in listed]
    return [re.sub(r"\$\{(.+?)\}", value, path) for path in paths if not path.endswith(".py") and not is_code(path)]


def is_code(path: str) -> bool:
    return path.startswith(("pipeline/", "extractors/", "stages/"))


def carry(path: str, source: Path, target: Path) -> None:
    """Copy a file or folder; what the project lacks, such as released lists that nobody has, is carried as nothing."""
    (target / path).parent.mkdir(parents=True, exist_ok=True)
    if (source / path).is_dir():
        shutil.copytree(source / path, target / path)
    elif (source / path).exists():
        shutil.copy2(source / path, target / path)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("stage", STAGES)
def test_stage_reads_and_writes_the_data_that_dvc_yaml_names_and_no_other(
    whole: Project, tmp_path: Path, stage: str
) -> None:
    params = yaml.safe_load((whole.folder / "params.yaml").read_text())
    for path in ["params.yaml", *named(stage, params, "deps"), *(["media"] if stage in READS_MEDIA else [])]:
        carry(path, whole.folder, tmp_path)
    before = files_of(tmp_path)
    bare = Project(tmp_path, in_process=True)
    bare.home.mkdir()
    (bare.home / "weights").symlink_to(whole.home / "weights")
    bare.run_alone(stage, *arguments(stage))
    shutil.rmtree(bare.home)
    written = {name: data for name, data in files_of(tmp_path).items() if before.get(name) != data}
    outs = named(stage, params, "outs", "metrics", "plots")
    expected = {
        name: data
        for name, data in files_of(whole.folder).items()
        if any(name == out or name.startswith(f"{out}/") for out in outs)
    }
    assert set(written) == set(expected)
    assert all((tmp_path / out).exists() for out in outs)
    assert [name for name in written if written[name] != expected[name] and name != TIMES] == []
