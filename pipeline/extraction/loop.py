"""The loop of every extraction stage: results come from the cache; the rest is decoded, inferred and cached."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pipeline.errors import ExtractionError, GoneError, LimitError, MediaError, first_of
from pipeline.extraction.executors import chosen_executor
from pipeline.extraction.item_cache import Arrays, ItemCache
from pipeline.extraction.skips import Skip
from pipeline.extraction.tasks import Task, prepared
from pipeline.runtime.progress import progress

PayloadT = TypeVar("PayloadT")

_SHOWN = 5  # of the media that are not what the manifest says
_GPU_BATCH = 16  # items; a clip has a few faces, so FaceNet sees some 64 crops

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work(Generic[PayloadT]):
    """What a stage does with the payloads of its tasks.

    `infer` turns the payloads of several items into as many results, or into the MediaError of an item whose result is
    unusable. It gets `batch` items at a time: 1 on a CPU, so that an item's bytes cannot depend on its neighbours. It
    is picklable, so that an executor may run it elsewhere.
    """

    stage: str
    infer: Callable[[Sequence[PayloadT]], Sequence[Arrays | MediaError]]
    batch: int
    delay: float = 0.0  # s before the bar shows


@dataclass(frozen=True)
class Extraction:
    """Results by item, and the items that have none."""

    results: dict[str, Arrays]
    skips: list[Skip]


def items_at_once(device_type: str) -> int:
    """How many items go through the model together: one on a CPU (see Work), more on a GPU, to fill it."""
    return 1 if device_type == "cpu" else _GPU_BATCH


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
        for task, outcome in _fresh(work, list(pending.values()), cache):
            if isinstance(outcome, MediaError):
                failures[task.key] = outcome
                bar.set_postfix(cached=cached, skipped=len(failures), refresh=not work.delay)
            else:
                results[task.key] = outcome
            bar.update()
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


def _fresh(
    work: Work[PayloadT], pending: Sequence[Task[PayloadT]], cache: ItemCache
) -> Iterator[tuple[Task[PayloadT], Arrays | MediaError]]:
    if not pending:
        return
    batch: list[tuple[Task[PayloadT], PayloadT]] = []
    for task, payload in chosen_executor().map(prepared, pending, lambda task: task.minutes):
        if isinstance(payload, MediaError):
            yield task, payload
            continue
        batch.append((task, payload))
        if len(batch) == work.batch:
            yield from _infer(work, batch, cache)
            batch = []
    if batch:
        yield from _infer(work, batch, cache)


def _infer(
    work: Work[PayloadT], batch: Sequence[tuple[Task[PayloadT], PayloadT]], cache: ItemCache
) -> list[tuple[Task[PayloadT], Arrays | MediaError]]:
    try:
        outcomes = work.infer([payload for _, payload in batch])
        if len(outcomes) != len(batch):
            raise ExtractionError(f"the extractor gave {len(outcomes)} results for {len(batch)} item(s)")
    except MediaError as error:  # raised, not returned: then of which item is only seen by asking one by one
        if len(batch) > 1:
            return [pair for one in batch for pair in _infer(work, [one], cache)]
        outcomes = [error]
    except ExtractionError as error:
        items = ", ".join(task.item for task, _ in batch)
        raise ExtractionError(f"{work.stage}, item {items}: {error}; nothing of it is cached") from error
    pairs = [(task, outcome) for (task, _), outcome in zip(batch, outcomes, strict=True)]
    cache.put({task.key: outcome for task, outcome in pairs if not isinstance(outcome, MediaError)})
    return pairs
