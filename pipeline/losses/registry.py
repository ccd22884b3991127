"""Losses by their name in params.yaml; a new one is a file with `@register(...)` and its name in settings.Train."""

from collections.abc import Callable
from typing import Literal, Protocol, TypeVar

from torch import Tensor

from pipeline.settings import TrainSettings


class Output(Protocol):
    """What a loss may look at; SingleOutput and TwoOutput are such."""

    @property
    def embedding(self) -> Tensor:
        """(..., B, E) embedding, or the fusion of two."""
        ...

    @property
    def logits(self) -> Tensor:
        """(..., B, C)."""
        ...


class Loss(Protocol):
    """A loss made of a run's settings."""

    def __init__(self, settings: TrainSettings) -> None:
        """Take what the loss needs of the run's settings."""
        ...

    @property
    def centres_on(self) -> Literal["embedding", "logits"] | None:
        """The vectors whose class centres it needs."""
        ...

    def __call__(self, output: Output, labels: Tensor, centres: Tensor | None) -> Tensor:
        """Loss (...) of a batch with labels (..., B) and centres (..., C, D), which get no gradient."""
        ...


LossType = TypeVar("LossType", bound=type[Loss])
_LOSSES: dict[str, type[Loss]] = {}


def register(name: str) -> Callable[[LossType], LossType]:
    """Class decorator: make a loss known under `name`."""

    def add(loss: LossType) -> LossType:
        _LOSSES[name] = loss
        return loss

    return add


def build_loss(settings: TrainSettings) -> Loss:
    """The loss that `settings.loss` names."""
    return _LOSSES[settings.loss](settings)
