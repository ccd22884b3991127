"""A manifest's row as a task: path, cache key and time limit made alike in every extraction stage."""

from typing import Any

from pipeline.extraction.item_cache import item_key
from pipeline.extraction.limits import minutes_of
from pipeline.extraction.loop import Task
from pipeline.media import MEDIA_VERSION
from pipeline.settings import Params
from stages.common import media_path


def task_of(params: Params, row: Any, detail: object, *made_by: str) -> Task:
    """The task of a manifest's row, as `itertuples` gives it; `made_by`: all that decides the result but the medium."""
    key = item_key(row.digest, MEDIA_VERSION, *made_by)
    duration = row.duration if isinstance(row.duration, float) else None  # unknown: NA
    return Task(row.item, media_path(params, row.path), key, detail, row.digest, minutes_of(duration, row.size))
