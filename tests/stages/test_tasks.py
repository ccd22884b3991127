"""A manifest's row as the stages hand it to their decode workers."""

import pandas as pd
import pytest

from pipeline.config import load_params
from pipeline.extraction.loop import Task
from pipeline.settings import Params
from stages.tasks import task_of
from tests.stages.project import ROOT


@pytest.fixture
def params() -> Params:
    return load_params(ROOT / "params.yaml")


def rows(**changes: object) -> list[object]:
    """Two rows: a film of two hours, and a medium of unknown duration that takes a minute at 50 kB a second."""
    columns = {"item": ["a/film.mp4", "b/0.mp4"], "path": ["a/film.mp4", "b/0.mp4"], "digest": ["d1", "d2"]}
    manifest = pd.DataFrame({**columns, "duration": [7200.0, None], "size": [900_000_000, 3_000_000], **changes})
    return list(manifest.astype({"duration": "Float64", "size": "Int64"}).itertuples(index=False))


def tasks(params: Params, *made_by: str, **changes: object) -> list[Task]:
    return [task_of(params, row, "detail", *made_by) for row in rows(**changes)]


def test_item_is_given_the_minutes_of_its_row(params: Params) -> None:
    assert [task.minutes for task in tasks(params, "extractor")] == [120.0, 1.0]


def test_key_follows_the_bytes_and_whatever_made_the_result(params: Params) -> None:
    first, second = tasks(params, "extractor", "2 frames")
    assert first.key != second.key
    assert first.key == tasks(params, "extractor", "2 frames", path=["moved.mp4", "b/0.mp4"])[0].key
    for other in (tasks(params, "extractor", "3 frames"), tasks(params, "another", "2 frames")):
        assert other[0].key != first.key


def test_path_lies_in_the_media_folder(params: Params) -> None:
    assert tasks(params, "extractor")[0].path.as_posix().endswith(f"{params.manifest.media}/a/film.mp4")
