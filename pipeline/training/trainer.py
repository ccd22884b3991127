"""S networks, their centres and their optimiser: one epoch of training."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import CheckpointError, ConfigError
from pipeline.losses import build_loss
from pipeline.losses.centres import initial_centres, moved_centres
from pipeline.methods import Network, stacked_network
from pipeline.settings import TrainSettings
from pipeline.training.adam import Adam
from pipeline.training.feed import Feed

_DROPOUT_STREAM = 1  # keeps an epoch's dropout apart from its order, which is drawn from [seed, epoch]


class Trainer:
    """What changes while S networks train."""

    def __init__(self, settings: TrainSettings, feed: Feed, device: torch.device) -> None:
        self.settings, self.feed = settings, feed
        self.generators = [torch.Generator(device) for _ in settings.seeds]
        self.network: Network = stacked_network(settings, feed.sizes, self.generators).to(device)
        self.parameters = dict(self.network.named_parameters())
        self.adam = Adam(self.parameters, settings.weight_decay)
        self.loss = build_loss(settings)
        self.centres: Tensor | None = self._first_centres(device)
        self.kept = {name: value.clone() for name, value in self.network.state_dict().items()}

    def epoch(self, epoch: int, learning_rate: float) -> list[float]:
        """Train epoch `epoch` (from 0); mean loss of each seed's batches. Raises ConfigError if one is not finite."""
        self.network.train()
        for generator, seed in zip(self.generators, self.settings.seeds, strict=True):
            words = np.random.SeedSequence([seed, epoch, _DROPOUT_STREAM]).generate_state(1, np.uint64)
            generator.manual_seed(int(words[0]))
        steps = self.feed.start_epoch(epoch)
        total = sum((self._step(step, learning_rate) for step in range(steps)), torch.zeros(()))
        losses: list[float] = (total.double() / steps).tolist()
        if not np.isfinite(losses).all():
            raise ConfigError(f"the loss of epoch {epoch + 1} is not finite: lower train.learning_rate or the alphas")
        return losses

    def _step(self, step: int, learning_rate: float) -> Tensor:  # (S,)
        output = self.network(*self.feed.batch(step))
        labels = self.feed.labels[:, step]
        losses = self.loss(output, labels, self.centres)
        # The networks share no parameter, so the gradient of the sum is each one's own.
        gradients = torch.autograd.grad(losses.sum(), list(self.parameters.values()))
        self.adam.step(list(gradients), learning_rate)
        if self.centres is not None and self.settings.centres == "moving":
            vectors = (output.logits if self.loss.centres_on == "logits" else output.embedding).detach()
            self.centres = moved_centres(self.centres, vectors, labels, self.settings.centre_rate)
        return losses.detach()

    def _first_centres(self, device: torch.device) -> Tensor | None:
        if self.loss.centres_on is None:
            return None
        classes = self.feed.sizes.classes
        width = classes if self.loss.centres_on == "logits" else self.settings.embedding
        return initial_centres(self.settings.seeds, classes, width).to(device)

    def keep(self, index: int) -> None:
        """Take network `index` as it is now for the best of its seed."""
        for name, value in self.network.state_dict().items():
            self.kept[name][index].copy_(value[index])

    def best(self) -> Network:
        """The networks that were kept, in evaluation mode."""
        self.network.load_state_dict(self.kept)
        return self.network.eval()

    def state(self) -> dict[str, Tensor]:
        """Everything that a next epoch depends on, and the networks kept so far."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"kept.{name}": value for name, value in self.kept.items()}
        tensors |= {f"adam.{name}": value for name, value in self.adam.state().items()}
        return tensors if self.centres is None else tensors | {"centres": self.centres}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave; raises CheckpointError if it is of another network."""
        try:
            self.network.load_state_dict(_part(tensors, "network."))
            self.adam.restore(_part(tensors, "adam."))
            for name, value in _part(tensors, "kept.").items():
                self.kept[name].copy_(value)
            if self.centres is not None:
                self.centres = tensors["centres"].to(self.centres.device)
        except (KeyError, RuntimeError) as error:
            raise CheckpointError(f"the state of the training is of another network: {error}") from error


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
