"""Where items are extracted. The environment says, so that the cache does not split by machine.

SBNET_EXECUTOR names it: `local` (the default), worker processes on this machine; `ray`, actors on a cluster.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pipeline.errors import ConfigError, MediaError
from pipeline.extraction.executors.local import Pool
from pipeline.extraction.limits import worker_count
from pipeline.extraction.tasks import Task, prepared
from pipeline.extraction.work import MOST_HELD, Outcome, Spent, Work, inferred, payload_bytes

if TYPE_CHECKING:
    import torch

PayloadT = TypeVar("PayloadT")

VARIABLE = "SBNET_EXECUTOR"


class Executor(Protocol):
    """Takes tasks to their results somewhere."""

    @property
    def spent(self) -> Spent:
        """Where its time went."""
        ...

    def run(self, work: Work[PayloadT], tasks: Iterable[Task[PayloadT]]) -> Iterator[list[Outcome]]:
        """Every task once, with its result or the MediaError that says why it has none: lists of them as they come.

        Tasks are taken as they are needed. The order of outcomes is free, their bytes are the same wherever they are
        made. Nothing is written: the loop that takes them caches them (pipeline.extraction.loop). Raises
        ExtractionError for what is no matter of one item.
        """
        ...


class LocalExecutor:
    """Decode workers on this machine, as many as SBNET_WORKERS says; the model is in the stage's own process."""

    def __init__(self) -> None:
        self.spent = Spent()

    def run(self, work: Work[PayloadT], tasks: Iterable[Task[PayloadT]]) -> Iterator[list[Outcome]]:
        """See Executor."""
        with closing(self.workers()) as workers:
            yield from self.extract(work, workers.run(tasks))

    def workers(self) -> Pool[Task[Any], Any]:
        """Decode workers for `extract`; who asks for them closes them."""
        return Pool(prepared, worker_count(), lambda task: task.minutes, self._count_decoding)

    def extract(
        self, work: Work[PayloadT], decoded: Iterable[tuple[Task[PayloadT], PayloadT | MediaError]]
    ) -> Iterator[list[Outcome]]:
        """Decoded items through the model, in batches of the work's size, smaller ones where they are large."""
        batch: list[tuple[Task[PayloadT], PayloadT]] = []
        held = 0  # bytes
        for task, payload in self._timed(decoded):
            if isinstance(payload, MediaError):
                yield [(task, payload)]
                continue
            batch.append((task, payload))
            held += payload_bytes(payload)
            if len(batch) == work.batch or held >= MOST_HELD:
                yield self._inferred(work, batch)
                batch, held = [], 0
        if batch:
            yield self._inferred(work, batch)

    def _timed(
        self, decoded: Iterable[tuple[Task[PayloadT], PayloadT | MediaError]]
    ) -> Iterator[tuple[Task[PayloadT], PayloadT | MediaError]]:
        stream = iter(decoded)
        while True:
            start = time.perf_counter()
            found = next(stream, None)
            self.spent.waiting += time.perf_counter() - start
            if found is None:
                return
            yield found

    def _count_decoding(self, seconds: float) -> None:
        self.spent.decoding += seconds

    def _inferred(self, work: Work[PayloadT], batch: Sequence[tuple[Task[PayloadT], PayloadT]]) -> list[Outcome]:
        start = time.perf_counter()
        outcomes = inferred(work, batch)
        self.spent.model += time.perf_counter() - start
        return outcomes


def _ray() -> Executor:
    from pipeline.extraction.executors.ray import RayExecutor  # an extra: not for who extracts here

    return RayExecutor()


_EXECUTORS: dict[str, Callable[[], Executor]] = {"local": LocalExecutor, "ray": _ray}


def chosen_executor() -> Executor:
    """The executor that SBNET_EXECUTOR names; raises ConfigError for an unknown one."""
    name = os.environ.get(VARIABLE) or "local"
    if name not in _EXECUTORS:
        raise ConfigError(f"{VARIABLE}={name!r} is not known: use {' or '.join(sorted(_EXECUTORS))}, or unset it")
    return _EXECUTORS[name]()


def device_here() -> "torch.device":
    """Where a stage's own networks are: as SBNET_DEVICE says, but on the CPU beside a cluster's actors.

    Those have networks of their own. A second set would take memory of the GPU that Ray gave one of them alone.
    """
    import torch  # not where tasks are only decoded

    from pipeline.runtime.device import select_device

    return torch.device("cpu") if os.environ.get(VARIABLE) == "ray" else select_device()
