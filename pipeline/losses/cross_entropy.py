"""Cross entropy of the identity classifier."""

from torch import Tensor
from torch.nn import functional as F

from pipeline.losses.registry import Output, register
from pipeline.settings import TrainSettings


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over the batch of -log softmax(logits)[label]: logits (..., B, C) and labels (..., B) to (...)."""
    classes = logits.shape[-1]
    each = F.cross_entropy(logits.reshape(-1, classes), labels.reshape(-1), reduction="none")
    return each.view(labels.shape).mean(dim=-1)


@register("ce")
class CrossEntropy:
    """Cross entropy alone."""

    centres_on = None

    def __init__(self, settings: TrainSettings) -> None:
        pass

    def __call__(self, output: Output, labels: Tensor, centres: Tensor | None) -> Tensor:
        """Loss (...)."""
        return cross_entropy(output.logits, labels)
