"""Where items are extracted. The environment says, so that the cache does not split by machine.

SBNET_EXECUTOR names it: `local` (the default), worker processes on this machine.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from pipeline.errors import ConfigError, MediaError
from pipeline.extraction.executors.local import decode_all
from pipeline.extraction.limits import worker_count
from pipeline.extraction.tasks import Task, prepared
from pipeline.extraction.work import Outcome, Work, inferred

PayloadT = TypeVar("PayloadT")

VARIABLE = "SBNET_EXECUTOR"


class Executor(Protocol):
    """Takes tasks to their results somewhere."""

    def run(self, work: Work[PayloadT], tasks: Sequence[Task[PayloadT]]) -> Iterator[list[Outcome]]:
        """Every task once, with its result or the MediaError that says why it has none: lists of them as they come.

        Their order is free, their bytes are the same wherever they are made. Nothing is written: the loop that takes
        them caches them (pipeline.extraction.loop). Raises ExtractionError for what is no matter of one item.
        """
        ...


class LocalExecutor:
    """Decode workers on this machine, as many as SBNET_WORKERS says; the model is in the stage's own process."""

    def run(self, work: Work[PayloadT], tasks: Sequence[Task[PayloadT]]) -> Iterator[list[Outcome]]:
        """See Executor."""
        batch: list[tuple[Task[PayloadT], PayloadT]] = []
        for task, payload in decode_all(tasks, prepared, worker_count(), lambda task: task.minutes):
            if isinstance(payload, MediaError):
                yield [(task, payload)]
                continue
            batch.append((task, payload))
            if len(batch) == work.batch:
                yield inferred(work, batch)
                batch = []
        if batch:
            yield inferred(work, batch)


_EXECUTORS: dict[str, Callable[[], Executor]] = {"local": LocalExecutor}


def chosen_executor() -> Executor:
    """The executor that SBNET_EXECUTOR names; raises ConfigError for an unknown one."""
    name = os.environ.get(VARIABLE) or "local"
    if name not in _EXECUTORS:
        raise ConfigError(f"{VARIABLE}={name!r} is not known: use {' or '.join(sorted(_EXECUTORS))}, or unset it")
    return _EXECUTORS[name]()
