"""A batch of three networks' outputs, in float64, for the tests of the losses."""

from typing import NamedTuple

import torch

STACK, BATCH, WIDTH, CLASSES = 3, 7, 5, 4


class Batch(NamedTuple):
    """What a loss sees, and the labels and centres beside it."""

    embedding: torch.Tensor  # (3, 7, 5)
    logits: torch.Tensor  # (3, 7, 4)
    labels: torch.Tensor  # (3, 7), class 3 never among them
    centres: torch.Tensor  # (3, 4, 5)
    logit_centres: torch.Tensor  # (3, 4, 4)


def make_batch() -> Batch:
    """Labels differ between the networks: one shared by accident would hide a mixed-up axis."""
    source = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=source, dtype=torch.float64)

    labels = torch.tensor([[0, 1, 2, 0, 1, 0, 2], [2, 2, 1, 0, 0, 1, 2], [1, 0, 0, 0, 0, 1, 1]])
    return Batch(
        draw(STACK, BATCH, WIDTH),
        draw(STACK, BATCH, CLASSES),
        labels,
        draw(STACK, CLASSES, WIDTH),
        draw(STACK, CLASSES, CLASSES),
    )
