"""The loss that a method brings along: `loss: own` in a run of a rival that was published with a loss of its own."""

import torch
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.losses.base import Loss, LossInput, LossSizes, register
from pipeline.settings import RunSettings, Section


@register("own")
class Own(Loss):
    """Stands in `loss:` so that no table says FOP of a run that never sees it."""

    class Options(Section):
        """It has none: they are the method's."""

    def __init__(self, options: Options, sizes: LossSizes, generator: torch.Generator) -> None:
        super().__init__(options, sizes, generator)

    def forward(self, batch: LossInput) -> Tensor:
        """Raise ConfigError: only a method that takes a loss calls one."""
        raise ConfigError("loss own: this method has none of its own; give the run a loss of losses: in params.yaml")


def require_own(settings: RunSettings) -> None:
    """Raise ConfigError where a run of a method with a loss of its own names another, which would never be used."""
    if settings.loss != "own":
        raise ConfigError(
            f"method {settings.method} has a loss of its own and would not use {settings.loss}: give the run loss: own"
        )
