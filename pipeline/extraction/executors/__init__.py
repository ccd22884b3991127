"""Where the items of an extraction are prepared. The environment says, so that the cache does not split by machine.

SBNET_EXECUTOR names it: `local` (the default), worker processes on this machine.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from pipeline.errors import ConfigError, MediaError
from pipeline.extraction.executors.local import decode_all
from pipeline.extraction.limits import worker_count

TaskT = TypeVar("TaskT")
PayloadT = TypeVar("PayloadT")

VARIABLE = "SBNET_EXECUTOR"


class Executor(Protocol):
    """Runs a function on many tasks somewhere."""

    def map(
        self, function: Callable[[TaskT], PayloadT], tasks: Sequence[TaskT], minutes: Callable[[TaskT], float]
    ) -> Iterator[tuple[TaskT, PayloadT | MediaError]]:
        """Each task with its payload, or with the MediaError that says why there is none, in the order of the tasks.

        `function` and tasks are picklable; `minutes` says how long a task's medium lasts, by which its time limit
        grows. The payloads are the same, wherever it runs.
        """
        ...


class LocalExecutor:
    """Worker processes on this machine, as many as SBNET_WORKERS says."""

    def map(
        self, function: Callable[[TaskT], PayloadT], tasks: Sequence[TaskT], minutes: Callable[[TaskT], float]
    ) -> Iterator[tuple[TaskT, PayloadT | MediaError]]:
        """See Executor."""
        return decode_all(tasks, function, worker_count(), minutes)


_EXECUTORS: dict[str, Callable[[], Executor]] = {"local": LocalExecutor}


def chosen_executor() -> Executor:
    """The executor that SBNET_EXECUTOR names; raises ConfigError for an unknown one."""
    name = os.environ.get(VARIABLE) or "local"
    if name not in _EXECUTORS:
        raise ConfigError(f"{VARIABLE}={name!r} is not known: use {' or '.join(sorted(_EXECUTORS))}, or unset it")
    return _EXECUTORS[name]()
