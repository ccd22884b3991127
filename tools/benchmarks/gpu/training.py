"""Training steps of VoxCeleb1's size: one by one, as CUDA graphs, and of several seeds at once.

A step here is some hundred kernels of a few microseconds: a GPU waits for Python to start them. A CUDA graph starts
them all at once; networks that are stacked make each of them larger.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from itertools import cycle, islice

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state

from pipeline.losses import LossInput
from pipeline.methods import Batch
from pipeline.methods.adam import Adam
from pipeline.methods.base import step
from pipeline.resolved import resolved
from pipeline.settings import RunSettings
from pipeline.training.data import TrainingData
from pipeline.training.lists import TrainingLists, Trials
from pipeline.training.loop import train_run
from pipeline.training.trainer import Trainer
from tools.benchmarks.gpu.bench import Bench, Row, SkippedError
from tools.benchmarks.gpu.networks import CPU, params
from tools.benchmarks.training.features import Size, random_lists, random_vectors

_SEEDS = (1, 4, 16)  # networks at once
_CHECKED = 20  # steps, after which two ways must have the same weights
_TOLERANCE = 1e-3  # between weights of two ways, beside weights of some .1
_POINTS = 3.0  # EER of a run on two devices: rounding leads to other networks


class CapturedStep:
    """A whole step, forward, backward and Adam, as one CUDA graph; its learning rate is that of the capture."""

    def __init__(self, trainer: Trainer, example: Batch) -> None:
        self.given = _copied(example)
        self.stream = torch.cuda.Stream(example.labels.device)
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            for _ in range(3):  # before the capture, so that libraries have made what they keep
                trainer.method.training_step(self.given, trainer.loss, trainer.optimisers)
        torch.cuda.current_stream().wait_stream(self.stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, stream=self.stream):
            self.value = trainer.method.training_step(self.given, trainer.loss, trainer.optimisers)

    def __call__(self, batch: Batch) -> None:
        """Start a step on its own stream."""
        self.stream.wait_stream(torch.cuda.current_stream())  # the batch is made there
        with torch.cuda.stream(self.stream):
            for own, given in zip(_tensors(self.given), _tensors(batch), strict=True):
                own.copy_(given)
                given.record_stream(self.stream)
            self.graph.replay()


class Stacked:
    """Networks of several seeds as one: every parameter has one dimension more, and vmap runs over it.

    For a single branch whose loss owns nothing. Each network's step is its own, by its own batch.
    """

    def __init__(self, trainers: Sequence[Trainer]) -> None:
        first = trainers[0]
        self.network, self.loss = first.method.network, first.loss
        self.parameters, self.buffers = stack_module_state([trainer.method.network for trainer in trainers])
        adam = first.optimisers["adam"]
        self.optimisers = {"adam": Adam(self.parameters, adam.weight_decay, adam.learning_rate)}

    def __call__(self, samples: Tensor, labels: Tensor, is_voice: Tensor) -> Tensor:
        """A step of all S networks on batches (S, B, D), (S, B) and (S, B); the sum of the losses."""

        def loss_of(parameters: dict[str, Tensor], buffers: dict[str, Tensor], *batch: Tensor) -> Tensor:
            embedding, logits = functional_call(self.network, (parameters, buffers), (batch[0],))
            loss: Tensor = self.loss(LossInput(embedding, logits, batch[1], batch[2]))
            return loss

        losses = torch.vmap(loss_of, randomness="different")(self.parameters, self.buffers, samples, labels, is_voice)
        return step(losses.sum(), self.optimisers)


def steps(bench: Bench) -> list[Row]:
    """Steps a second under recipe official: eager, captured, and several seeds either way."""
    data = _data(bench, _settings("single_fop"))
    rows = [_eager(bench, run) for run in ("single_fop", "two_fop", "single_git")]
    alone = rows[0].value or 1.0
    for count in _SEEDS if bench.cuda else _SEEDS[:2]:
        rows.append(_of_stacked(bench, data, count, alone))
        if bench.cuda:
            rows.append(_of_graphs(bench, data, count, alone))
    if not bench.cuda:
        rows.append(Row("steps as CUDA graphs", None, "", "a CPU has none"))
    rows.append(_checked(bench, data))
    return rows


def _size(bench: Bench) -> Size:
    return Size() if bench.cuda else Size(people=60, pairs_a_person=40, trials=200)


def _settings(run: str, **changes: object) -> RunSettings:
    entry = params().experiments[run] | {"recipe": "official"}
    return resolved(params().model_copy(update={"experiments": {run: entry}}), run).model_copy(update=changes)


def _data(bench: Bench, settings: RunSettings) -> TrainingData:
    lists, faces, voices = random_lists(_size(bench))
    return TrainingData(settings, lists, faces, voices, bench.device)


def _trainer(data: TrainingData, seed: int) -> Trainer:
    trainer = Trainer(data.settings, data, seed)
    for optimiser in trainer.optimisers.values():
        optimiser.learning_rate = data.settings.learning_rate
    for module in trainer.modules.values():
        module.train()
    return trainer


def _batches(data: TrainingData, trainer: Trainer, count: int) -> list[Batch]:
    return list(islice(data.batches(trainer.method, 0, trainer.seed), count))


def _eager(bench: Bench, run: str) -> Row:
    """As training does it today, batches included."""
    data = _data(bench, _settings(run))
    trainer = _trainer(data, 0)
    epochs = (batch for epoch in cycle(range(2)) for batch in data.batches(trainer.method, epoch, 0))
    seconds = bench.seconds(
        lambda: trainer.method.training_step(next(epochs), trainer.loss, trainer.optimisers), 2.0 if bench.cuda else 0.6
    )
    epoch = seconds * sum(1 for _ in trainer.method.plan(data.settings, data.lists.classes, 0, 0).pair)
    return Row(f"{run}, step by step", 1.0 / seconds, "steps/s", f"an epoch in {epoch:.2f} s")


def _of_graphs(bench: Bench, data: TrainingData, count: int, alone: float) -> Row:
    """Steps of `count` seeds, a graph and a stream each."""
    trainers = [_trainer(data, seed) for seed in range(count)]
    batches = [_batches(data, trainer, 8) for trainer in trainers]
    graphs = [CapturedStep(trainer, own[0]) for trainer, own in zip(trainers, batches, strict=True)]
    turns = cycle(range(8))

    def all_of_them() -> None:
        turn = next(turns)
        for graph, own in zip(graphs, batches, strict=True):
            graph(own[turn])

    return _row(f"single_fop, {count} networks as CUDA graphs", count / bench.seconds(all_of_them, 2.0), alone)


def _of_stacked(bench: Bench, data: TrainingData, count: int, alone: float) -> Row:
    """Steps of `count` seeds in one, itself a graph on a GPU."""
    trainers = [_trainer(data, seed) for seed in range(count)]
    samples, labels, voices = _stacked_batches([_batches(data, trainer, 1)[0] for trainer in trainers])
    stacked = Stacked(trainers)
    call: Callable[[], object] = lambda: stacked(samples, labels, voices)  # noqa: E731
    if bench.cuda:
        stream, graph = torch.cuda.Stream(bench.device), torch.cuda.CUDAGraph()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                call()
        torch.cuda.current_stream().wait_stream(stream)
        with torch.cuda.graph(graph, stream=stream):
            call()
        call = graph.replay
    words = "stacked, as one CUDA graph" if bench.cuda else "stacked"
    seconds = bench.seconds(call, 2.0 if bench.cuda else 0.6)
    return _row(f"single_fop, {count} networks {words}", count / seconds, alone)


def _row(what: str, rate: float, alone: float) -> Row:
    return Row(what, rate, "steps/s of one network", f"{rate / alone:.2f} times step by step")


def _checked(bench: Bench, data: TrainingData) -> Row:
    """Largest difference of weights after some steps without dropout, between step by step and the ways above."""
    options = data.settings.method_options | {"dropout": 0.0}
    data.settings = data.settings.model_copy(update={"method_options": options, "learning_rate": 1e-3})
    plain = [_trainer(data, seed) for seed in range(2)]
    batches = [_batches(data, trainer, _CHECKED) for trainer in plain]
    for trainer, own in zip(plain, batches, strict=True):
        for batch in own:
            trainer.method.training_step(batch, trainer.loss, trainer.optimisers)
    wanted = [trainer.method.state_dict() for trainer in plain]
    stacked = Stacked([_trainer(data, seed) for seed in range(2)])
    for both in zip(*batches, strict=True):
        stacked(*_stacked_batches(both))
    found = [
        {f"network.{name}": value[seed] for name, value in (stacked.parameters | stacked.buffers).items()}
        for seed in range(2)
    ]
    differences = [_apart(one, other) for one, other in zip(found, wanted, strict=True)]
    ways = "stacked"
    if bench.cuda:
        ways = "stacked and captured"
        captured = _trainer(data, 0)
        start = {name: value.clone() for name, value in captured.state().items()}
        graph = CapturedStep(captured, batches[0][0])
        for name, value in captured.state().items():  # as before the steps of the capture
            value.copy_(start[name])
        for batch in batches[0]:
            graph(batch)
        bench.synchronise()
        differences.append(_apart(captured.method.state_dict(), wanted[0]))
    verdict = "" if max(differences) < _TOLERANCE else f"ABOVE {_TOLERANCE}"
    what = f"largest difference of weights after {_CHECKED} steps, {ways} beside step by step"
    return Row(what, max(differences), "", verdict)


def _apart(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return max(float((value.detach().float() - other[name].float()).abs().max()) for name, value in one.items())


def _stacked_batches(batches: Sequence[Batch]) -> tuple[Tensor, Tensor, Tensor]:
    samples, labels, voices = (
        torch.stack([getattr(batch, name) for batch in batches]) for name in ("samples", "labels", "is_voice")
    )
    return samples, labels, voices


def _tensors(batch: Batch) -> list[Tensor]:
    own = [getattr(batch, part.name) for part in fields(batch) if part.name != "traits"]
    return [value for value in (*own, *batch.traits.values()) if value is not None]


def _copied(batch: Batch) -> Batch:
    own = {part.name: getattr(batch, part.name) for part in fields(batch) if part.name != "traits"}
    copies = {name: None if value is None else value.clone() for name, value in own.items()}
    return replace(batch, **copies, traits={name: value.clone() for name, value in batch.traits.items()})


def figures(bench: Bench) -> list[Row]:
    """A small run, trained on the device and on a CPU: its EER on people that it has not seen."""
    if not bench.cuda:
        raise SkippedError("a run on a CPU beside a run on a CPU shows nothing")
    settings = resolved(params(), "single_fop").model_copy(update={"epochs": 5})
    lists, faces, voices = _world()
    eers = [
        float(train_run(settings, lists, faces, voices, device).history.groupby("seed")["validation_eer"].min().mean())
        for device in (bench.device, CPU)
    ]
    verdict = "" if abs(eers[0] - eers[1]) <= _POINTS else f"MORE than {_POINTS} points apart"
    return [Row("EER of a small run, mean over its seeds", eers[0], "%", verdict or f"on a CPU {eers[1]:.2f} %")]


def _world() -> tuple[TrainingLists, np.ndarray, np.ndarray]:
    """Faces and voices that share half of what they show of a person: 80 people train, 20 are tried."""
    people, rows = 100, 16
    rng = np.random.default_rng(0)
    shared = random_vectors(people, 1)
    sides = [
        np.repeat(shared + random_vectors(people, seed), rows, axis=0) + 2.0 * random_vectors(people * rows, seed + 10)
        for seed in (2, 3)
    ]
    faces, voices = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in sides)
    trained = np.arange(80 * rows)
    left = rng.integers(80, people, 4000)
    label = np.arange(4000) % 2
    right = np.where(label == 1, left, 80 + (left - 80 + rng.integers(1, 20, 4000)) % 20)
    voice, face = (side * rows + rng.integers(0, rows, 4000) for side in (left, right))
    trials = Trials(voice, face, label, ("voice", "face"), left - 80, right - 80)
    return TrainingLists(trained, trained, trained // rows, trials, None), faces, voices
