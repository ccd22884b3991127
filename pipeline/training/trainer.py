"""What changes while one seed trains: the method, its loss, its optimisers, and the snapshot of its best epoch."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.errors import CheckpointError, ConfigError
from pipeline.losses import build_loss
from pipeline.methods import Method, build_method
from pipeline.methods.adam import Adam
from pipeline.methods.base import loss_sizes
from pipeline.settings import RunSettings
from pipeline.training.data import TrainingData

# Keep dropout and first values apart from the order, which is of [seed, epoch], and the loss's from the method's.
_STEPS_STREAM, _START_STREAM, _LOSS_STREAM = 1, 2, 3


class Trainer:
    """One seed of a run: it depends on that seed alone."""

    def __init__(self, settings: RunSettings, data: TrainingData, seed: int) -> None:
        self.settings, self.data, self.seed = settings, data, seed
        # Built on the CPU, so that a seed begins with the same values everywhere; each from the seed afresh. Layers of
        # torch begin by its global generator: a method that leaves them so is of its seed all the same.
        with self._seeded(_START_STREAM):
            self._build()
        self.snapshot = _copies(self.method.state_dict())

    def _build(self) -> None:
        settings, data, seed = self.settings, self.data, self.seed
        self.method: Method = build_method(settings, data.sizes, torch.Generator().manual_seed(seed)).to(data.device)
        self.modules: dict[str, nn.Module] = {"method": self.method}
        self.optimisers: dict[str, Adam] = {}
        if not self.method.epochless:
            sizes, generator = loss_sizes(self.method), torch.Generator().manual_seed(_word(seed, _LOSS_STREAM))
            self.loss = build_loss(settings.loss, settings.loss_options, sizes, generator).to(data.device)
            self.optimisers = self.method.optimisers(self.loss, settings)
            self.modules["loss"] = self.loss

    def epoch(self, epoch: int, learning_rate: float) -> float:
        """Train epoch `epoch` (from 0); mean loss of its batches. Raises ConfigError if that is not finite."""
        if self.method.epochless:
            with self._seeded(epoch, _STEPS_STREAM):
                self.method.fit(self.data.whole(self.method))
            return 0.0
        for optimiser in self.optimisers.values():
            optimiser.learning_rate = learning_rate
        for module in self.modules.values():
            module.train()
        with self._seeded(epoch, _STEPS_STREAM):
            batches = self.data.batches(self.method, epoch, self.seed)
            losses = [self.method.training_step(batch, self.loss, self.optimisers) for batch in batches]
        loss = float(torch.stack(losses).double().cumsum(0)[-1]) / len(losses)  # one after another, as they came
        if not np.isfinite(loss):
            raise ConfigError(
                f"the loss of seed {self.seed} is not finite in epoch {epoch + 1}: lower train.learning_rate or the "
                f"weights in losses.{self.settings.loss}"
            )
        return loss

    @contextmanager
    def _seeded(self, *stream: int) -> Iterator[None]:
        """torch's global generators hold what the seed and the stream say, and then what they held before."""
        devices = [self.data.device] if self.data.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(_word(self.seed, *stream))
            yield

    def take_snapshot(self) -> None:
        """Remember the method as it is now as the best."""
        self.snapshot = _copies(self.method.state_dict())

    def best(self) -> Method:
        """The method of the snapshot, in evaluation mode."""
        self.method.load_state_dict(self.snapshot)
        return self.method.eval()

    def state(self) -> dict[str, Tensor]:
        """Everything that a next epoch depends on, and the snapshot."""
        tensors = {f"snapshot.{name}": value for name, value in self.snapshot.items()}
        for kind, module in self.modules.items():
            tensors |= {f"{kind}.{name}": value for name, value in module.state_dict().items()}
        for kind, optimiser in self.optimisers.items():
            tensors |= {f"optimiser.{kind}.{name}": value for name, value in optimiser.state().items()}
        return tensors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave; raises CheckpointError if it is of another network."""
        try:
            for kind, module in self.modules.items():
                module.load_state_dict(_part(tensors, f"{kind}."))
            for kind, optimiser in self.optimisers.items():
                optimiser.restore(_part(tensors, f"optimiser.{kind}."))
        except (KeyError, RuntimeError) as error:
            raise CheckpointError(f"the state of the training is of another network: {error}") from error
        self.snapshot = _part(tensors, "snapshot.")


def _word(seed: int, *stream: int) -> int:
    """A seed of torch's generators for one stream of a seed of ours."""
    return int(np.random.SeedSequence([seed, *stream]).generate_state(1, np.uint64)[0])


def _copies(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in state.items()}


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
