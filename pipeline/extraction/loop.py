"""The loop of every extraction stage: results come from the cache; an executor makes the rest; this alone writes."""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pipeline.errors import ExtractionError, GoneError, LimitError, MediaError, StoreError, first_of
from pipeline.extraction.executors import chosen_executor
from pipeline.extraction.item_cache import Arrays, ItemCache
from pipeline.extraction.rows import batched
from pipeline.extraction.skips import Skip
from pipeline.extraction.tasks import Task
from pipeline.extraction.work import Outcome, Work
from pipeline.runtime.progress import progress

PayloadT = TypeVar("PayloadT")

_SHOWN = 5  # of the media that are not what the manifest says
_PART = 512  # results read at a time
_TRANSACTION = 0.02  # s of results that are written together; a model that takes longer has each item written at once

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Extraction:
    """The items whose results are in the item cache, and those that have none."""

    keys: dict[str, str]  # item: key in the cache, sorted by item
    skips: list[Skip]

    @property
    def attempted(self) -> int:
        """How many items there were."""
        return len(self.keys) + len(self.skips)

    def results(self, cache: ItemCache) -> Iterator[tuple[str, str, Arrays]]:
        """Item, key and result of each item that has one, a part of them at a time in memory.

        Raises StoreError for one that is in the cache no longer.
        """
        for part in batched(self.keys.items(), _PART):
            found = cache.get(key for _, key in part)
            for item, key in part:
                if key not in found:
                    raise StoreError(
                        f"{item}: its result is gone from the item cache {cache.path}, which was pruned or damaged "
                        "meanwhile; run again, and what is gone is extracted again"
                    )
                yield item, key, found[key]


def extract(
    work: Work[PayloadT],
    tasks: Iterable[Task[PayloadT]],
    cache: ItemCache,
    prefill: Callable[[ItemCache, Collection[str]], None] | None = None,
) -> Extraction:
    """See that the result of every task is in the cache; what is not, an executor makes.

    The tasks are gone through twice: no list of them needs to be in memory (pipeline.extraction.tasks.Tasks). Results
    are written as they come, those of some milliseconds together: that much a kill loses, beside what is in the model.
    Items of the same key, which have the same bytes, are extracted once. `prefill` may add results of the keys that it
    is given, which the cache lacks, from elsewhere. Raises ExtractionError for media that are no longer what the
    manifest says, once all others are in the cache: a stage that succeeded would not be run again.
    """
    keys = {task.item: task.key for task in tasks}
    lacking = cache.lacking(keys.values())
    if prefill is not None and lacking:
        prefill(cache, lacking)
        lacking = cache.lacking(lacking)
    cached, fresh = sum(key not in lacking for key in keys.values()), len(lacking)
    failures: dict[str, MediaError] = {}  # by key
    shown = {"desc": work.stage, "unit": "item", "delay": work.delay, "disable": not keys}
    # Cached ones are the bar's start, which its rate and the time left do not count.
    with progress(total=cached + fresh, initial=cached, **shown) as bar:
        bar.set_postfix(cached=cached, skipped=0, refresh=not work.delay)
        for outcomes in _fresh(work, tasks, lacking, cache):
            failed_now = {task.key: outcome for task, outcome in outcomes if isinstance(outcome, MediaError)}
            failures.update(failed_now)
            if failed_now:
                bar.set_postfix(cached=cached, skipped=len(failures), refresh=not work.delay)
            bar.update(len(outcomes))
    failed = {item: failures[key] for item, key in keys.items() if key in failures} if failures else {}
    done = fresh - len(failures)
    counts = (len(keys), done, len(keys) - done - len(failed), len(failed))
    logger.info("%s: %d items: %d extracted, %d cached, %d skipped", work.stage, *counts)
    _refuse_gone(work.stage, failed)
    _warn_of_limits(work.stage, failed)
    skips = [Skip(item, work.stage, str(reason)) for item, reason in failed.items()]
    return Extraction({item: keys[item] for item in sorted(keys) if item not in failed}, skips)


def _fresh(
    work: Work[PayloadT], tasks: Iterable[Task[PayloadT]], lacking: set[str], cache: ItemCache
) -> Iterator[list[Outcome]]:
    """Outcomes of the tasks whose results are `lacking`, as an executor finishes them; written before the end."""
    if not lacking:
        return
    executor, start = chosen_executor(), time.monotonic()
    writer = _Writer(cache)
    try:
        for outcomes in executor.run(work, _once(tasks, lacking)):
            writer.add(outcomes)
            yield outcomes
    finally:  # whatever stops the run
        writer.write()
    logger.info("%s: %s", work.stage, executor.spent.described(time.monotonic() - start, writer.seconds))


def _once(tasks: Iterable[Task[PayloadT]], lacking: set[str]) -> Iterator[Task[PayloadT]]:
    """The tasks of these keys, one of each; the keys are used up."""
    for task in tasks:
        if task.key in lacking:
            lacking.remove(task.key)
            yield task


class _Writer:
    """Puts results into the item cache, those of some milliseconds in one transaction."""

    def __init__(self, cache: ItemCache) -> None:
        self.seconds = 0.0  # s spent writing
        self._cache = cache
        self._waiting: dict[str, Arrays] = {}
        self._written = time.monotonic()

    def add(self, outcomes: Sequence[Outcome]) -> None:
        for task, outcome in outcomes:
            if not isinstance(outcome, MediaError):
                self._waiting[task.key] = outcome
        if time.monotonic() - self._written >= _TRANSACTION:
            self.write()

    def write(self) -> None:
        waiting, self._waiting = self._waiting, {}
        start = time.monotonic()
        if waiting:
            self._cache.put(waiting)
        self._written = time.monotonic()
        self.seconds += self._written - start


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
