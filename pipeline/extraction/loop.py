"""The loop of every extraction stage: results come from the cache; an executor makes the rest; this alone writes."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pipeline.errors import ExtractionError, GoneError, LimitError, MediaError, first_of
from pipeline.extraction.executors import chosen_executor
from pipeline.extraction.item_cache import Arrays, ItemCache
from pipeline.extraction.skips import Skip
from pipeline.extraction.tasks import Task
from pipeline.extraction.work import Outcome, Work
from pipeline.runtime.progress import progress

PayloadT = TypeVar("PayloadT")

_SHOWN = 5  # of the media that are not what the manifest says

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Extraction:
    """Results by item, and the items that have none."""

    results: dict[str, Arrays]
    skips: list[Skip]


def extract(work: Work[PayloadT], tasks: Sequence[Task[PayloadT]], cache: ItemCache) -> Extraction:
    """Result of every task, from the cache or fresh; fresh ones are cached batch by batch: a kill loses one batch.

    Items of the same key, which have the same bytes, are extracted once. Raises ExtractionError for media that are no
    longer what the manifest says, once all others are in the cache: a stage that succeeded would not be run again.
    """
    results = cache.get(task.key for task in tasks)
    pending = {task.key: task for task in tasks if task.key not in results}
    cached = sum(task.key not in pending for task in tasks)
    failures: dict[str, MediaError] = {}  # by key
    shown = {"desc": work.stage, "unit": "item", "delay": work.delay, "disable": not tasks}
    with progress(total=len(tasks), initial=cached, **shown) as bar:
        bar.set_postfix(cached=cached, skipped=0, refresh=not work.delay)
        for outcomes in _fresh(work, list(pending.values()), cache):
            for task, outcome in outcomes:
                if isinstance(outcome, MediaError):
                    failures[task.key] = outcome
                    bar.set_postfix(cached=cached, skipped=len(failures), refresh=not work.delay)
                else:
                    results[task.key] = outcome
            bar.update(len(outcomes))
    failed = {task.item: failures[task.key] for task in tasks if task.key in failures}
    done = len(pending) - len(failures)
    counts = (len(tasks), done, len(tasks) - done - len(failed), len(failed))
    logger.info("%s: %d items: %d extracted, %d cached, %d skipped", work.stage, *counts)
    _refuse_gone(work.stage, failed)
    _warn_of_limits(work.stage, failed)
    skips = [Skip(item, work.stage, str(reason)) for item, reason in failed.items()]
    return Extraction({task.item: results[task.key] for task in tasks if task.key in results}, skips)


def _refuse_gone(stage: str, failed: Mapping[str, MediaError]) -> None:
    gone = [f"{item}: {reason}" for item, reason in failed.items() if isinstance(reason, GoneError)]
    if gone:
        raise ExtractionError(
            f"{stage}: {len(gone)} media are not what the manifest says:\n  "
            + "\n  ".join(first_of(gone, _SHOWN))
            + "\nRestore them, or leave them as they are; then run `dvc repro` again. All others are in the item cache."
        )


def _warn_of_limits(stage: str, failed: Mapping[str, MediaError]) -> None:
    items = [item for item, reason in failed.items() if isinstance(reason, LimitError)]
    if items:
        logger.warning(
            "%s: %d item(s) were skipped for want of time or memory, first: %s. DVC takes that for a result: once "
            "there is more of it, `dvc repro --single-item --force %s` tries them again",
            *(stage, len(items), items[0], stage),
        )


def _fresh(work: Work[PayloadT], pending: Sequence[Task[PayloadT]], cache: ItemCache) -> Iterator[list[Outcome]]:
    """Outcomes as an executor finishes them; results are cached before they are counted."""
    if not pending:
        return
    for outcomes in chosen_executor().run(work, pending):
        cache.put({task.key: outcome for task, outcome in outcomes if not isinstance(outcome, MediaError)})
        yield outcomes
