"""What a run costs: values of its network, seconds of its training, microseconds of a score.

Seconds vary, so that their file, alone of all that training writes, holds other bytes when the same run is trained
again. It is an output all the same, beside model and history: a figure of that training, which a clone pulls with it.
No stage but the report reads it. On a CPU they are the processor's, which other processes hardly change, on a GPU the
clock's.
"""

from dataclasses import dataclass
from statistics import median

import numpy as np

from pipeline.protocol.judged import judged_on
from pipeline.scoring.model import Model
from pipeline.scoring.similarity import Matrix, similarity
from pipeline.training.loop import TrainedRun, clock

_SCORES, _GALLERY = 2000, 10  # scores at once; candidates of a probe, of a method that scores galleries
_REPEATS = 5


@dataclass(frozen=True)
class Cost:
    """Of one run."""

    parameters: int  # values that a network learnt or keeps, its classifier included
    seconds: tuple[float, ...]  # of each seed, in its epochs: training and validation; none for a released checkpoint
    microseconds: float  # a score of two vectors, both embedded for it, among 2,000 at once
    device: str


def cost_of(trained: TrainedRun, faces: Matrix, voices: Matrix, device: str) -> Cost:
    """The cost of a run; its scores are timed on faces (F, D) and voices (V, D), of the kind that it is judged on."""
    model = trained.model
    parameters = sum(value.numel() for value in model.methods[0].state_dict().values() if value.is_floating_point())
    task = judged_on(str(model.settings["modality"]))
    stores = {"face": faces, "voice": voices}
    left, right = (_resized(stores[side], _SCORES) for side in task.sides)
    microseconds = _microseconds(model, task.left, left, task.right, right, device)
    return Cost(parameters, trained.seconds, microseconds, device)


def _resized(vectors: Matrix, count: int) -> Matrix:
    return np.ascontiguousarray(vectors[np.resize(np.arange(len(vectors)), count)])


def _microseconds(model: Model, left: str, probes: Matrix, right: str, others: Matrix, device: str) -> float:
    """Median over some repeats of the time of all scores, over their number."""
    taken = []
    for _ in range(_REPEATS):
        started = clock(device)
        if model.compares == "embeddings":
            scores = similarity(model.embed(left, probes), model.embed(right, others))
        else:
            width = _GALLERY if model.compares == "galleries" else 1
            scores = model.score(left, probes[::width], right, others.reshape(-1, width, others.shape[1]))
        taken.append(1e6 * (clock(device) - started) / scores.size)
    return median(taken)
