"""Extraction on a Ray cluster: actors on its nodes extract chunks of items; this process gives them out and collects.

RAY_ADDRESS names the cluster. The actors are as many as its nodes have room for, with SBNET_ACTOR_CPUS cores each and,
where SBNET_GPU_SHARE is set, that share of a GPU; one more waits, which a cluster that grows takes for a wish. What an
actor had in hand when it died, or its node, is given out again. Nothing is written here: the loop of the stage, which
takes the outcomes, is the one writer (docs/cluster.md).
"""

import logging
import math
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pipeline.errors import ConfigError, ExtractionError, GoneError, MediaError, PipelineError
from pipeline.extraction.executors.actor import PROJECT, ExtractionActor, Place, Report, surroundings
from pipeline.extraction.executors.chunks import Chunk, Chunks
from pipeline.extraction.limits import SLICE, Clock
from pipeline.extraction.tasks import Task
from pipeline.extraction.work import Outcome, Spent, Work
from pipeline.runtime.workspace import home

PayloadT = TypeVar("PayloadT")

_ACTOR_CPUS = 4.0  # cores of an actor: decode workers and one copy of the model; fewer where no node has as many
_IN_FLIGHT = 2  # chunks of an actor: one in hand, one that it can begin at once
_CONNECT_SECONDS = 5.0  # s for the cluster's first sign of life; Ray by itself tries for minutes
_NODE_SECONDS = "15"  # s to find that this machine is no node of the cluster, where Ray takes a minute
_START_SECONDS = 600.0  # s for an actor's imports and model; slow on a loaded machine or a network disk
_RECRUIT_EVERY = 2.0  # s between two looks at the cluster's nodes
_COMPLAIN_AFTER = 20.0  # s without room for any actor until a warning
_SHOWN = 300  # characters of Ray's own words in a message
_NO_IMPORT = "failed to import on the worker"  # Ray's words, where a node lacks code
_FAILED_STARTS = 5  # in a row: then the fault is no node's

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Crew:
    """How many actors are wanted, and what each takes."""

    cpus: float | None  # None: _ACTOR_CPUS, or what the largest node has
    gpus: float  # of an actor; below 1 several share a GPU
    actors: int | None  # None: as many as there is room for, and one more

    @classmethod
    def of_environment(cls) -> "Crew":
        """What SBNET_ACTOR_CPUS, SBNET_GPU_SHARE and SBNET_ACTORS say; raises ConfigError for what they cannot."""
        cpus, gpus, actors = (_number(f"SBNET_{name}") for name in ("ACTOR_CPUS", "GPU_SHARE", "ACTORS"))
        if cpus == 0 or (cpus or 1) % 1:
            raise ConfigError(f"SBNET_ACTOR_CPUS={cpus:g}: an actor takes a whole number of cores, 1 or more")
        if gpus is not None and gpus > 1 and gpus % 1:
            raise ConfigError(f"SBNET_GPU_SHARE={gpus:g}: use a share up to 1, or a whole number of GPUs")
        if actors == 0 or (actors or 1) % 1:
            raise ConfigError(f"SBNET_ACTORS={actors:g}: use a whole number of actors, 1 or more, or unset it")
        if os.environ.get("SBNET_DEVICE") == "cuda" and not gpus:
            raise ConfigError("SBNET_DEVICE=cuda: say by SBNET_GPU_SHARE what share of a GPU an actor takes, such as 1")
        return cls(cpus, gpus or 0.0, None if actors is None else int(actors))

    def cpus_on(self, nodes: Sequence[Mapping[str, float]]) -> float:
        """Cores of an actor, where the nodes have these resources."""
        largest = max((node.get("CPU", 0.0) for node in nodes), default=0.0)
        return self.cpus or (min(_ACTOR_CPUS, largest) if largest >= 1 else _ACTOR_CPUS)

    def room(self, nodes: Sequence[Mapping[str, float]]) -> int:
        """How many actors the nodes can hold; a share of a GPU is all of one card."""
        cpus = self.cpus_on(nodes)
        on_cpus = [int(node.get("CPU", 0.0) // cpus) for node in nodes]
        if not self.gpus:
            return sum(on_cpus)
        cards = [int(node.get("GPU", 0.0)) for node in nodes]
        share = self.gpus
        on_gpus = [count * int(1 / share + 1e-9) if share <= 1 else int(count // share) for count in cards]
        return sum(map(min, on_cpus, on_gpus))

    def environment(self, cpus: float) -> dict[str, str]:
        """Variables of an actor: the stage's own of SBNET, and what its resources imply."""
        own = {name: value for name, value in os.environ.items() if name.startswith("SBNET_")}
        device = "cuda" if self.gpus else "cpu"
        return {**own, "SBNET_HOME": str(home()), "SBNET_DEVICE": device, "SBNET_CORES": f"{cpus:g}"}


def _number(variable: str) -> float | None:
    text = os.environ.get(variable, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ConfigError(f"{variable} must be a number of 0 or more, found {text!r}")
    return value


class RayExecutor:
    """Actors on the cluster that RAY_ADDRESS names."""

    def __init__(self) -> None:
        self.spent = Spent()

    def run(self, work: Work[PayloadT], tasks: Iterable[Task[PayloadT]]) -> Iterator[list[Outcome]]:
        """See Executor; raises ConfigError for a cluster that is not there or that would give other results."""
        if work.describe is None:
            raise ExtractionError(f"{work.stage} has no description that could be sent to a cluster")
        crew, describe = Crew.of_environment(), work.describe()
        with _connected() as ray:
            extraction = _Extraction(ray, crew, work.stage, describe, tasks, self.spent)
            try:
                yield from extraction.outcomes()
            finally:
                extraction.dismiss()
        if (backends := extraction.backends - {None}) and backends != {work.backend}:
            work.ran_in(" | ".join(sorted(map(str, backends))))


@contextmanager
def _connected() -> Iterator[Any]:
    """The package `ray`, connected to the cluster; raises ConfigError where it is not installed or not reached."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_gcs_server_request_timeout_seconds", _NODE_SECONDS)
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            f"SBNET_EXECUTOR=ray needs Ray ({error}): pip install -r requirements-cluster.txt, on every node"
        ) from error
    if ray.is_initialized():
        yield ray
        return
    address = _address()
    try:
        # The node's own PYTHONPATH stays behind the project.
        environment = {"PYTHONPATH": f"{PROJECT}{os.pathsep}${{PYTHONPATH}}"}
        ray.init(address=address, logging_level=logging.WARNING, runtime_env={"env_vars": environment})
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"RAY_ADDRESS={address}: {error}\nThis machine must be a node of the cluster (`ray start --address "
            f"{address}`), with the same Ray and Python"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _address() -> str:
    """RAY_ADDRESS, where something answers; raises ConfigError otherwise."""
    address = os.environ.get("RAY_ADDRESS", "")
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise ConfigError(
            f"SBNET_EXECUTOR=ray needs RAY_ADDRESS=host:port, as `ray start --head` prints it, found {address!r}. On "
            "one machine SBNET_EXECUTOR=local uses all cores, without a cluster"
        )
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        raise ConfigError(
            f"RAY_ADDRESS={address}: no cluster answers there ({error}): start one (`ray start --head`), or correct "
            "the address"
        ) from error
    return address


@dataclass(eq=False)
class _Actor:
    """One actor as the stage knows it."""

    handle: Any
    answer: Any  # reference to what it was asked last while it starts; None: it takes chunks
    place: Place | None = None  # None: no node has room for it yet
    chunks: deque[tuple[Any, Chunk]] = field(default_factory=deque)  # what it has, with the stream of its outcomes
    begun: float = 0.0  # when it came to the chunk in hand, which had so many items then
    items: int = 0
    deadline: float = math.inf

    @property
    def node(self) -> str:
        """Name of its node, for messages."""
        return self.place.node if self.place else "a node"

    @property
    def ready(self) -> bool:
        """Whether it takes chunks."""
        return self.answer is None

    @property
    def awaited(self) -> Any:
        """What to wait for: an answer, or the stream of the chunk in hand; None if it has nothing to do."""
        if not self.ready:
            return self.answer
        return self.chunks[0][0] if self.chunks else None


class _Extraction:
    """The actors of one extraction, and its items."""

    def __init__(
        self,
        ray: Any,
        crew: Crew,
        stage: str,
        describe: Callable[[], Work[Any]],
        tasks: Iterable[Task[Any]],
        spent: Spent,
    ) -> None:
        self.backends: set[str | None] = set()  # that actors' models ran in
        self._ray, self._crew, self._stage, self._describe, self._spent = ray, crew, stage, describe, spent
        self._kind = ray.remote(ExtractionActor)
        self._chunks = Chunks(tasks)
        self._here = surroundings()
        self._actors: list[_Actor] = []
        self._clock = Clock()
        self._next_look = 0.0
        self._patience_ends = _COMPLAIN_AFTER
        self._failed_starts = 0
        self._arrived = self._died = 0
        self._processors: set[str] = set()

    def outcomes(self) -> Iterator[list[Outcome]]:
        """Lists of outcomes, as they come, until every item has one."""
        while not self._chunks.finished:
            self._recruit()
            self._give_out()
            for actor in self._heard():
                if outcomes := self._hear(actor):
                    yield outcomes
            for actor in [actor for actor in self._actors if self._clock.now() > actor.deadline]:
                if outcomes := self._overdue(actor):
                    yield outcomes
        logger.info("%s: %d actor(s) on the cluster, %d of them lost", self._stage, self._arrived, self._died)

    def dismiss(self) -> None:
        """End every actor, and with it its decode workers."""
        for actor in tuple(self._actors):
            self._remove(actor)

    def _recruit(self) -> None:
        """Start actors where nodes have room, and end those for which nothing is left."""
        now = self._clock.now()
        if now < self._next_look:
            return
        self._next_look = now + _RECRUIT_EVERY
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        wanted = self._crew.actors or self._crew.room(nodes) + 1
        busy = sum(bool(actor.chunks) for actor in self._actors)
        wanted = min(wanted, busy + self._chunks.waiting(wanted))
        idle = [actor for actor in self._actors if not actor.chunks]
        idle.sort(key=lambda actor: (actor.ready, actor.place is not None))  # those that only wait for a node go first
        for actor in idle[: max(0, len(self._actors) - wanted)]:
            self._remove(actor)
        cpus = self._crew.cpus_on(nodes)
        while len(self._actors) < wanted:
            self._actors.append(self._start(cpus))
        self._complain(nodes, cpus)

    def _complain(self, nodes: Sequence[Mapping[str, float]], cpus: float) -> None:
        """Say that no node has room for any actor, once it has been so for a while."""
        now = self._clock.now()
        if any(actor.place for actor in self._actors):
            self._patience_ends = now + _COMPLAIN_AFTER
        if now > self._patience_ends:
            self._patience_ends = now + 3 * _COMPLAIN_AFTER
            gpus = f" and {self._crew.gpus:g} GPU" if self._crew.gpus else ""
            logger.warning(
                "%s: waits for a node with room for an actor, which takes %g CPU%s (SBNET_ACTOR_CPUS, "
                "SBNET_GPU_SHARE); the cluster has %s",
                *(self._stage, cpus, gpus, _described(nodes)),
            )

    def _start(self, cpus: float) -> _Actor:
        resources = {"num_cpus": cpus, "num_gpus": self._crew.gpus}
        handle = self._kind.options(max_restarts=0, max_task_retries=0, **resources).remote()
        return _Actor(handle, handle.arrive.remote(self._here, self._crew.environment(cpus), str(Path.cwd())))

    def _give_out(self) -> None:
        for held in range(_IN_FLIGHT):  # a chunk each, before anyone has a second
            # Not the last items, while an actor that is about to be ready has none: they may be long.
            kept = sum(actor.place is not None and not actor.chunks for actor in self._actors) if held else 0
            for actor in self._actors:
                if actor.ready and len(actor.chunks) == held and self._chunks.waiting(kept + 1) > kept:
                    self._give(actor, self._chunks.take())

    def _give(self, actor: _Actor, chunk: Chunk) -> None:
        tasks = [replace(task, path=task.path.absolute()) for task in chunk.unfinished.values()]
        actor.chunks.append((actor.handle.run.options(num_returns="streaming").remote(tasks), chunk))
        if len(actor.chunks) == 1:
            self._begin(actor)

    def _begin(self, actor: _Actor) -> None:
        """The actor comes to its next chunk, if it has one."""
        actor.begun = self._clock.now()
        actor.items = len(actor.chunks[0][1].unfinished) if actor.chunks else 0
        self._set_deadline(actor)

    def _set_deadline(self, actor: _Actor) -> None:
        seconds = actor.chunks[0][1].seconds() if actor.chunks else math.inf
        actor.deadline = self._clock.now() + seconds

    def _heard(self) -> list[_Actor]:
        """Actors that have something to say; waits for one, a while."""
        awaited = {actor.awaited: actor for actor in self._actors if actor.awaited is not None}
        if not awaited:
            time.sleep(SLICE)
            return []
        self._ray.wait(list(awaited), num_returns=1, timeout=SLICE)
        ready, _ = self._ray.wait(list(awaited), num_returns=len(awaited), timeout=0)
        return [awaited[reference] for reference in ready]

    def _hear(self, actor: _Actor) -> list[Outcome]:
        try:
            if not actor.ready:
                self._answered(actor, self._ray.get(actor.answer))
                return []
            stream, chunk = actor.chunks[0]
            if (report := next(stream, None)) is None:
                self._ended(actor, chunk)
                return []
            return self._reported(actor, chunk, self._ray.get(report))
        except self._ray.exceptions.RayTaskError as error:
            raise self._fault(actor, error) from None
        except self._ray.exceptions.RayError as error:
            if _NO_IMPORT in str(error):
                raise ConfigError(
                    f"a node cannot import the project ({_reason(error)}): {PROJECT} must be there at the same path, "
                    "and `ray start` must be that of an environment with requirements.txt"
                ) from None
            return self._lost(actor, _reason(error))

    def _reported(self, actor: _Actor, chunk: Chunk, report: Report) -> list[Outcome]:
        self._spent.add(report.spent)
        outcomes = self._chunks.settle(chunk, dict(report.outcomes))
        self._set_deadline(actor)
        return [self._seen_from_here(actor, *outcome) for outcome in outcomes]

    def _ended(self, actor: _Actor, chunk: Chunk) -> None:
        if chunk.unfinished:
            raise ExtractionError(f"{self._stage}: an actor ended a chunk without all of its items")
        self._chunks.measure((self._clock.now() - actor.begun) / actor.items)
        actor.chunks.popleft()
        self._begin(actor)

    def _answered(self, actor: _Actor, answer: Place | str | None) -> None:
        """An actor has arrived on a node, or loaded its model, which runs in what it answers."""
        if isinstance(answer, Place):
            actor.place = answer
            self._arrived += 1
            actor.answer = actor.handle.load.remote(self._describe)
            actor.deadline = self._clock.now() + _START_SECONDS
            self._warn_of(answer.processor)
        else:
            self.backends.add(answer)
            actor.answer, actor.deadline, self._failed_starts = None, math.inf, 0

    def _warn_of(self, processor: str) -> None:
        self._processors.add(processor)
        if len(self._processors) == 2 and not self._crew.gpus:
            logger.warning(
                "%s: nodes have different processors (%s): vectors may differ between them in the last digits",
                *(self._stage, ", ".join(sorted(self._processors))),
            )

    def _seen_from_here(self, actor: _Actor, task: Task[Any], outcome: Any) -> Outcome:
        """The outcome; that of a medium that is gone says who sees it so."""
        if isinstance(outcome, GoneError):
            here = f"; here is a file {task.path.absolute()}, of a disk that every node must mount there"
            outcome = GoneError(f"{outcome} (as node {actor.node} sees it{here if task.path.exists() else ''})")
        return task, outcome

    def _fault(self, actor: _Actor, error: Any) -> PipelineError:
        """What to raise where an actor's call failed, with its actor alive."""
        if isinstance(error.cause, PipelineError) and not isinstance(error.cause, MediaError):
            return error.cause
        return ExtractionError(f"{self._stage}: an actor on {actor.node} failed unexpectedly:\n{error}")

    def _overdue(self, actor: _Actor) -> list[Outcome]:
        if actor.ready:
            return self._lost(actor, "it gave no outcome for longer than its items may take, and was stopped")
        return self._lost(actor, f"it did not start in {_START_SECONDS:g} s")

    def _lost(self, actor: _Actor, reason: str) -> list[Outcome]:
        """Forget an actor that is gone; its items are given out again, or have an outcome for want of hope."""
        self._remove(actor)
        self._next_look = 0.0
        self._died += actor.place is not None
        if not actor.ready:
            self._failed_starts += 1
            if self._failed_starts >= _FAILED_STARTS:
                raise ExtractionError(f"{self._stage}: {_FAILED_STARTS} actors died while they started: {reason}")
        items = sum(len(chunk.unfinished) for _, chunk in actor.chunks)
        logger.warning(
            "%s: an actor on %s is lost (%s); its %d item(s) are given out again",
            *(self._stage, actor.node, reason, items),
        )
        outcomes = []
        for position, (_, chunk) in enumerate(actor.chunks):
            outcomes += self._chunks.lost(chunk, begun=position == 0)
        return outcomes

    def _remove(self, actor: _Actor) -> None:
        self._actors.remove(actor)
        self._ray.kill(actor.handle)


def _described(nodes: Sequence[Mapping[str, float]]) -> str:
    """Resources of the nodes, for a message."""
    parts = [f"{node.get('CPU', 0):g} CPU, {node.get('GPU', 0):g} GPU" for node in nodes]
    return "; ".join(parts) or "no nodes"


def _reason(error: Exception) -> str:
    """What Ray's account of a death says of its cause, without its advice."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].partition("Some common causes")[0].strip()[:_SHOWN] if lines else type(error).__name__
