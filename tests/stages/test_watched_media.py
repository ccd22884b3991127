"""A large media folder that stages.media watches in DVC's place, through real DVC."""

from pathlib import Path

import pytest

from tests import media_factory as make
from tests.faults.repository import Repository, copy_pipeline
from tests.stages.project import Project, make_project

pytestmark = [pytest.mark.stage, pytest.mark.slow]

WATCHED = {"media": "artifacts/media.json", "listed": {"corpus": "media"}}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A project with two clips whose manifest is made."""
    repository = copy_pipeline(tmp_path_factory.mktemp("watched"))
    for number, person in enumerate(("ann", "bob")):
        make.write_video(repository.folder / "media" / person / "talk.mp4", 0.4, seed=number)
    repository.params(manifest=WATCHED)
    repository.git("add", ".")
    repository.git("commit", "--quiet", "-m", "Two clips")
    assert set(repository.dvc("repro", "manifest").ran) == {"import_features", "media@corpus", "manifest"}
    return repository


def test_new_changed_and_removed_media_are_noticed_and_nothing_else_runs_the_manifest(made: Repository) -> None:
    clip = made.folder / "media" / "ann" / "new.mp4"
    assert made.dvc("repro", "manifest").ran == ["media@corpus"]
    make.write_video(clip, 0.4, seed=7)
    assert made.dvc("repro", "manifest").ran == ["media@corpus", "manifest"]
    clip.write_bytes(clip.read_bytes() + b"more")
    assert made.dvc("repro", "manifest").ran == ["media@corpus", "manifest"]
    clip.unlink()
    assert "manifest" in made.dvc("repro", "--no-run-cache", "manifest").ran
    clip.with_name("talk.mp4").touch()
    assert made.dvc("repro", "manifest").ran == ["media@corpus"]


def test_machine_without_the_media_takes_them_to_be_those_of_the_last_run(made: Repository) -> None:
    media = made.folder / "media"
    media.rename(made.folder / "away")
    try:
        outcome = made.dvc("repro", "manifest")
        assert outcome.ran == ["media@corpus"]
    finally:
        (made.folder / "away").rename(media)


def test_a_file_that_came_after_the_list_was_made_is_in_no_manifest_of_that_list(made: Repository) -> None:
    project = Project(made.folder)
    project.run("media")
    late = made.folder / "media" / "bob" / "late.mp4"
    make.write_video(late, 0.4, seed=9)
    before = made.output("manifest.parquet")
    assert "have changed since artifacts/media.json was made: run `dvc repro` again" in project.run(
        "manifest", fails=True
    )
    assert made.output("manifest.parquet") == before
    assert "manifest" in made.dvc("repro", "manifest").ran
    late.unlink()


@pytest.mark.parametrize("settings", [{"media": "artifacts/media.json"}, {"listed": {"corpus": "media"}}], ids=str)
def test_one_key_without_the_other_is_refused(tmp_path: Path, settings: dict[str, object]) -> None:
    """Else the folder that is read would not be the one that DVC watches."""
    project = make_project(tmp_path, {}, in_process=True, manifest=settings)
    assert "media must be artifacts/media.json where listed names a folder" in project.run("manifest", fails=True)
