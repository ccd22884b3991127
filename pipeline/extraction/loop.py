"""The loop that every extraction stage runs: what the cache has is taken, the rest is decoded, inferred and cached."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pipeline.errors import ExtractionError, GoneError, LimitError, MediaError
from pipeline.extraction.executors.local import decode_all
from pipeline.extraction.item_cache import Arrays, ItemCache
from pipeline.extraction.limits import worker_count
from pipeline.extraction.skips import Skip
from pipeline.files import sha256_of
from pipeline.runtime.progress import progress

PayloadT = TypeVar("PayloadT")

_SHOWN = 5  # of the media that are not what the manifest says
_GPU_BATCH = 16  # items; a clip has a few faces, so FaceNet sees some 64 crops

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """One item to extract: its medium, the key of its result, and whatever its decoding needs besides.

    The key stands for the bytes that the manifest saw. So a decoder calls `check_unchanged` once it is done: what was
    made of other bytes must not be cached under that key, where it would be found as long as the cache lives.
    """

    item: str
    path: Path
    key: str
    detail: object = None
    digest: str = ""  # SHA-256 of the medium as the manifest saw it; empty: not checked
    minutes: float = 0.0  # that its medium lasts, by which its time limit grows (decode_limits.minutes_of)


def check_unchanged(task: Task) -> None:
    """Raise GoneError where the medium's bytes are not the ones that the manifest saw."""
    try:
        changed = bool(task.digest) and sha256_of(task.path) != task.digest
    except OSError as error:
        raise GoneError(f"{task.path.name}: went away while it was read ({error.strerror})") from error
    if changed:
        raise GoneError(f"{task.path.name}: has changed since the manifest was made")


@dataclass(frozen=True)
class Work(Generic[PayloadT]):
    """What a stage does with a task.

    `decode` runs in worker processes and must be importable by name. `infer` turns the payloads of several items into
    as many results, or into the MediaError of an item whose result is unusable; it gets `batch` items at a time: 1 on a
    CPU, so that an item's bytes cannot depend on its neighbours.
    """

    stage: str
    decode: Callable[[Task], PayloadT]
    infer: Callable[[Sequence[PayloadT]], Sequence[Arrays | MediaError]]
    batch: int


@dataclass(frozen=True)
class Extraction:
    """Results by item, and the items that have none."""

    results: dict[str, Arrays]
    skips: list[Skip]


def items_at_once(device_type: str) -> int:
    """How many items go through the model together: one on a CPU (see Work), more where a GPU wants filling."""
    return 1 if device_type == "cpu" else _GPU_BATCH


def extract(work: Work[PayloadT], tasks: Sequence[Task], cache: ItemCache) -> Extraction:
    """Result of every task, from the cache or fresh; fresh ones are cached batch by batch: a kill loses one batch.

    Items of the same key, which have the same bytes, are extracted once. Raises ExtractionError for media that are no
    longer what the manifest says, once all others are in the cache: a stage that succeeded would not be run again.
    """
    results = cache.get(task.key for task in tasks)
    pending = {task.key: task for task in tasks if task.key not in results}
    cached = sum(task.key not in pending for task in tasks)
    failures: dict[str, MediaError] = {}  # by key
    with progress(total=len(tasks), initial=cached, desc=work.stage, unit="item", disable=not tasks) as bar:
        bar.set_postfix(cached=cached, skipped=0)
        for task, outcome in _fresh(work, list(pending.values()), cache):
            if isinstance(outcome, MediaError):
                failures[task.key] = outcome
                bar.set_postfix(cached=cached, skipped=len(failures))
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
    gone = [f"  {item}: {reason}" for item, reason in failed.items() if isinstance(reason, GoneError)]
    if gone:
        more = [f"  ... and {len(gone) - _SHOWN} more"] if len(gone) > _SHOWN else []
        raise ExtractionError(
            "\n".join([f"{stage}: {len(gone)} media are not what the manifest says:", *gone[:_SHOWN], *more])
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
    work: Work[PayloadT], pending: Sequence[Task], cache: ItemCache
) -> Iterator[tuple[Task, Arrays | MediaError]]:
    if not pending:
        return
    batch: list[tuple[Task, PayloadT]] = []
    for task, payload in decode_all(pending, work.decode, worker_count(), lambda task: task.minutes):
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
    work: Work[PayloadT], batch: Sequence[tuple[Task, PayloadT]], cache: ItemCache
) -> list[tuple[Task, Arrays | MediaError]]:
    try:
        outcomes = work.infer([payload for _, payload in batch])
        if len(outcomes) != len(batch):
            raise ExtractionError(f"the extractor gave {len(outcomes)} results for {len(batch)} item(s)")
    except ExtractionError as error:
        items = ", ".join(task.item for task, _ in batch)
        raise ExtractionError(f"{work.stage}, item {items}: {error}; nothing of it is kept") from error
    pairs = [(task, outcome) for (task, _), outcome in zip(batch, outcomes, strict=True)]
    cache.put({task.key: outcome for task, outcome in pairs if not isinstance(outcome, MediaError)})
    return pairs
