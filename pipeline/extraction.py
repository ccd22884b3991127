"""The loop that every extraction stage runs: what the cache has is taken, the rest is decoded, inferred and cached."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pipeline.decode_limits import worker_count
from pipeline.decode_pool import decode_all
from pipeline.errors import ExtractionError, MediaError
from pipeline.files import sha256_of
from pipeline.item_cache import Arrays, ItemCache
from pipeline.progress import progress
from pipeline.skips import Skip

PayloadT = TypeVar("PayloadT")

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
    """Raise MediaError where the medium's bytes are not the ones that the manifest saw."""
    try:
        changed = bool(task.digest) and sha256_of(task.path) != task.digest
    except OSError as error:
        raise MediaError(f"{task.path.name}: went away while it was read ({error.strerror})") from error
    if changed:
        raise MediaError(f"{task.path.name}: has changed since the manifest was made; run `dvc repro` again")


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
    """Result of every task, from the cache or fresh; fresh ones are cached batch by batch: a kill loses one batch."""
    found = cache.get(task.key for task in tasks)
    results = {task.item: found[task.key] for task in tasks if task.key in found}
    pending = [task for task in tasks if task.key not in found]
    skips: list[Skip] = []
    with progress(total=len(tasks), initial=len(results), desc=work.stage, unit="item", disable=not tasks) as bar:
        bar.set_postfix(cached=len(results), skipped=0)
        for task, outcome in _fresh(work, pending, cache):
            if isinstance(outcome, MediaError):
                skips.append(Skip(task.item, work.stage, str(outcome)))
                bar.set_postfix(cached=len(found), skipped=len(skips))
            else:
                results[task.item] = outcome
            bar.update()
    done = len(pending) - len(skips)
    cached = len(tasks) - len(pending)
    logger.info("%s: %d items: %d extracted, %d cached, %d skipped", work.stage, len(tasks), done, cached, len(skips))
    return Extraction(results, skips)


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
