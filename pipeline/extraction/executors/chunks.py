"""Which items of an extraction wait, which are out in chunks, and which come back from whoever died over them."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import ExtractionError, LimitError, MediaError
from pipeline.extraction.item_cache import Arrays
from pipeline.extraction.limits import item_seconds
from pipeline.extraction.tasks import Task
from pipeline.extraction.work import Outcome

_FIRST = 4  # items of a chunk before any was seen
_MOST_ITEMS = 256  # of a chunk
_MOST_MINUTES = 15.0  # of media in a chunk, unless one item alone has more
_SECONDS = 2.0  # s of work in a chunk: that much a death costs, and that much sooner one actor may end than another
_LOSSES = 3  # of an item: a node may die under it twice by bad luck
_HOPELESS = (
    f"{_LOSSES} actors died or hung while they extracted it, perhaps because memory ran out: the stage's log says how"
)
_GRACE_SECONDS = 60.0  # s beside what items may take: a decoder that was stopped has a successor, which must start
_AT_ONCE = 16  # items that may have to be ready before one of them has an outcome: a batch of the model

AnyTask = Task[Any]


@dataclass
class Chunk:
    """Items that one actor has; `unfinished` shrinks as outcomes come."""

    unfinished: dict[str, AnyTask] = field(default_factory=dict)  # by key

    def seconds(self) -> float:
        """How long no outcome may come of it before its actor is taken to hang."""
        longest = sorted((task.minutes for task in self.unfinished.values()), reverse=True)[:_AT_ONCE]
        return _GRACE_SECONDS + 2 * item_seconds() * sum(1.0 + minutes for minutes in longest)


class Chunks:
    """The items of one extraction on their way to their outcomes.

    Tasks are taken as they are needed, and an item is in one chunk at a time. What comes back from a dead actor is
    given out again: what it had begun item by item, so that the one that kills actors is found, and becomes a skip,
    without costing another its place.
    """

    def __init__(self, tasks: Iterable[AnyTask]) -> None:
        """`tasks` have different keys."""
        self._new = iter(tasks)
        self._waiting: deque[AnyTask] = deque()
        self._alone: deque[AnyTask] = deque()
        self._out = 0  # items in chunks
        self._losses: Counter[str] = Counter()
        self._item_seconds = 0.0  # of late; 0: none was seen

    def waiting(self, most: int) -> int:
        """Number of items that no actor has, `most` if there are more."""
        self._look_ahead(most)
        return min(most, len(self._waiting) + len(self._alone))

    @property
    def finished(self) -> bool:
        """Whether every item has its outcome."""
        return not self._out and not self.waiting(1)

    def take(self) -> Chunk:
        """The next chunk; empty if nothing waits."""
        chunk, minutes = Chunk(), 0.0
        most = 1 if self._alone else self._size()
        self._look_ahead(most)
        source = self._alone or self._waiting
        while source and len(chunk.unfinished) < most:
            minutes += source[0].minutes
            if chunk.unfinished and minutes > _MOST_MINUTES:
                break
            task = source.popleft()
            chunk.unfinished[task.key] = task
        self._out += len(chunk.unfinished)
        return chunk

    def settle(self, chunk: Chunk, outcomes: Mapping[str, Arrays | MediaError]) -> list[Outcome]:
        """Outcomes (key -> result) of a chunk's items, each with its task; raises ExtractionError for others."""
        if foreign := [key for key in outcomes if key not in chunk.unfinished]:
            raise ExtractionError(f"an actor gave an outcome that it was not asked for: {foreign[0]}")
        self._out -= len(outcomes)
        return [(chunk.unfinished.pop(key), outcome) for key, outcome in outcomes.items()]

    def measure(self, seconds: float) -> None:
        """Adapt the size of chunks to the seconds that an item of the last one took its actor."""
        self._item_seconds = max(seconds, 0.8 * self._item_seconds + 0.2 * seconds)

    def lost(self, chunk: Chunk, begun: bool) -> list[Outcome]:
        """Take back a chunk whose actor is gone; returns the outcomes of items that have now cost too many actors.

        `begun` says whether the actor had started with it; one that had not tells nothing about its items.
        """
        tasks = list(chunk.unfinished.values())
        chunk.unfinished.clear()
        self._out -= len(tasks)
        if not begun:
            self._waiting.extendleft(reversed(tasks))
            return []
        self._losses.update(task.key for task in tasks)
        self._alone.extend(task for task in tasks if self._losses[task.key] < _LOSSES)
        return [(task, LimitError(_HOPELESS)) for task in tasks if self._losses[task.key] >= _LOSSES]

    def _size(self) -> int:
        return max(1, min(_MOST_ITEMS, int(_SECONDS / self._item_seconds))) if self._item_seconds else _FIRST

    def _look_ahead(self, most: int) -> None:
        while len(self._waiting) < most and (task := next(self._new, None)) is not None:
            self._waiting.append(task)
