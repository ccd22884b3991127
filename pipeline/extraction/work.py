"""What a stage does with its items, wherever an executor runs it: prepared inputs through the model to results."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from pipeline.errors import ExtractionError, LimitError, MediaError
from pipeline.extraction.decoding import Prepared
from pipeline.extraction.item_cache import Arrays
from pipeline.extraction.limits import cores
from pipeline.extraction.tasks import Task
from pipeline.media import SampledFrame

PayloadT = TypeVar("PayloadT")

Outcome = tuple[Task[Any], Arrays | MediaError]  # a finished item: its result, or why it has none

_PER_CORE = 4  # items; they take unequal times, and the cores wait for the last one
_AT_ONCE = 16  # items; a clip has a few faces, so FaceNet sees some 64 crops

_NO_GPU_MEMORY = "OutOfMemoryError"  # torch's, by its name: torch is not imported where tasks are only decoded
_NO_MEMORY = (
    "its network takes more memory for it than there is; lower detect_faces.max_side or embed_voices.max_seconds, give "
    "an actor more of a GPU (SBNET_GPU_SHARE), or run on the CPU (SBNET_DEVICE=cpu)"
)

MOST_HELD = 256_000_000  # bytes of inputs from which on no further item joins a batch: a waveform of an hour is 230 MB


@dataclass(frozen=True)
class Work(Generic[PayloadT]):
    """What a stage does with the payloads of its tasks.

    `infer` turns the payloads of several items into as many results, or into the MediaError of an item whose result is
    unusable. It gets `batch` items at a time: 1 where an item's bytes could depend on its neighbours. A model cannot be
    sent to another machine: `describe` gives what can, a picklable function that makes the same work there.
    """

    stage: str
    infer: Callable[[Sequence[PayloadT]], Sequence[Arrays | MediaError]]
    batch: int
    delay: float = 0.0  # s before the bar shows
    describe: "Callable[[], Callable[[], Work[Any]]] | None" = None  # None: it cannot run elsewhere
    backend: str | None = None  # what its model runs in
    ran_in: Callable[[str | None], None] = lambda backend: None  # is told of another one, where it ran elsewhere


@dataclass
class Spent:
    """Where an executor's time goes, s; it adds up while it runs."""

    decoding: float = 0.0  # of all that decode, together
    model: float = 0.0  # of all that hold a model, together
    waiting: float = 0.0  # of these for something to be decoded

    def add(self, other: "Spent") -> None:
        """Count what another process has spent."""
        self.decoding += other.decoding
        self.model += other.model
        self.waiting += other.waiting

    def described(self, whole: float, writing: float) -> str:
        """One line that says what took the time, and what would make it less."""
        if self.waiting > self.model:
            neck = "the decoders are the neck: more cores, or more SBNET_WORKERS, would help"
        else:
            neck = "the model is the neck: a faster device would help"
        parts = f"model {self.model:.1f}, waiting for decoders {self.waiting:.1f}, writing {writing:.1f}"
        return f"{whole:.1f} s: {parts}; decoders worked {self.decoding:.1f} s; {neck}"


def items_at_once(device_type: str, independent: bool) -> int:
    """How many items go through a model together.

    One on a CPU, unless what it gives of an item has the same bytes whatever else is in the call: then as many as keep
    our cores busy, and no more, because a kill loses them. Sixteen on a GPU, to fill it.
    """
    if device_type != "cpu":
        return _AT_ONCE
    return min(_AT_ONCE, _PER_CORE * cores()) if independent else 1


def payload_bytes(payload: object) -> int:
    """Bytes of the arrays that an item has as its model's input: of its crops, its waveform or its sampled frames."""
    parts = payload.inputs if isinstance(payload, Prepared) else payload if isinstance(payload, list) else [payload]
    arrays = (part.image if isinstance(part, SampledFrame) else part for part in parts)
    return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))


def inferred(work: Work[PayloadT], batch: Sequence[tuple[Task[PayloadT], PayloadT]]) -> list[Outcome]:
    """The outcomes of prepared items; raises ExtractionError, naming the items, where the model breaks its promise.

    Items for which memory does not suffice together go through one by one; one alone for which it does not, of the
    device or of the machine, is a LimitError.
    """
    outcomes: Sequence[Arrays | MediaError] = []
    try:
        outcomes = work.infer([payload for _, payload in batch])
        if len(outcomes) != len(batch):
            raise ExtractionError(f"the extractor gave {len(outcomes)} results for {len(batch)} item(s)")
    except (MediaError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and type(error).__name__ != _NO_GPU_MEMORY:
            raise
        if len(batch) == 1:
            outcomes = [error if isinstance(error, MediaError) else LimitError(_NO_MEMORY)]
    except ExtractionError as error:
        items = ", ".join(task.item for task, _ in batch)
        raise ExtractionError(f"{work.stage}, item {items}: {error}; nothing of it is cached") from error
    if not outcomes and len(batch) > 1:
        # Raised, not returned: of which item is only seen by asking one by one. Not above: an exception holds what its
        # call had in memory as long as it is handled.
        return [outcome for one in batch for outcome in inferred(work, [one])]
    return [(task, outcome) for (task, _), outcome in zip(batch, outcomes, strict=True)]
