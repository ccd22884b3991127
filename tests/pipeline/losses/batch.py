"""A batch in float64, for the tests of the losses, and losses of the shipped options."""

import torch
from torch import Tensor

from pipeline.losses import Loss, LossInput, LossSizes, build_loss
from tests.pipeline.settings_for_training import shipped

BATCH, WIDTH, CLASSES = 7, 5, 4
SIZES = LossSizes(WIDTH, CLASSES)


def make_batch(seed: int = 0) -> LossInput:
    """Samples of faces and voices; class 3 is never among the labels."""
    source = torch.Generator().manual_seed(seed)
    labels = torch.tensor([0, 1, 2, 0, 1, 0, 2])
    is_voice = torch.tensor([False, True, False, True, False, True, True])
    return LossInput(draw(source, BATCH, WIDTH), draw(source, BATCH, CLASSES), labels, is_voice)


def make_pairs(seed: int = 0) -> LossInput:
    """Pairs of a face and a voice with their fusion."""
    source = torch.Generator().manual_seed(seed)
    labels = torch.tensor([0, 1, 2, 0, 1, 0, 2])
    fused, face, voice = (draw(source, BATCH, WIDTH) for _ in range(3))
    return LossInput(fused, draw(source, BATCH, CLASSES), labels, face=face, voice=voice)


def make_centres(width: int = WIDTH) -> Tensor:
    return draw(torch.Generator().manual_seed(9), CLASSES, width)


def draw(source: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=source, dtype=torch.float64)


def make_loss(name: str, seed: int = 0, **options: object) -> Loss:
    """A loss of params.yaml with these options, in float64 and evaluation mode."""
    loss = build_loss(name, {**shipped().losses[name], **options}, SIZES, torch.Generator().manual_seed(seed))
    return loss.double().eval()
