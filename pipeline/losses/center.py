"""Center loss: samples are drawn to the centre of their class.

Wen et al. 2016: https://doi.org/10.1007/978-3-319-46478-7_31
"""

from typing import Literal

from torch import Tensor

from pipeline.losses.centres import of_labels
from pipeline.losses.cross_entropy import cross_entropy
from pipeline.losses.registry import Output, register
from pipeline.settings import TrainSettings


def printed_center(vectors: Tensor, labels: Tensor, centres: Tensor) -> Tensor:
    """The paper's eq. 4: half the sum over the batch of squared distances to the own centre.

    Vectors (..., B, D), labels (..., B), centres (..., C, D) to (...).
    """
    return 0.5 * (vectors - of_labels(centres, labels)).square().sum(dim=(-2, -1))


def official_center(vectors: Tensor, labels: Tensor, centres: Tensor) -> Tensor:
    """The official code (ssnet_cent_git/retrieval_model.py): mean of the squared differences, over values as well."""
    return (vectors - of_labels(centres, labels)).square().mean(dim=(-2, -1))


@register("center")
class Center:
    """CE + alpha_center * Center, on the embedding; the official single branch holds centres of the logits instead."""

    def __init__(self, settings: TrainSettings) -> None:
        self.alpha = settings.alpha_center
        official = settings.loss_form == "official"
        self.center = official_center if official else printed_center
        self.centres_on: Literal["embedding", "logits"] = (
            "logits" if official and settings.branch == "single" else "embedding"
        )

    def __call__(self, output: Output, labels: Tensor, centres: Tensor | None) -> Tensor:
        """Loss (...)."""
        assert centres is not None, "Center loss needs centres"
        vectors = output.logits if self.centres_on == "logits" else output.embedding
        return cross_entropy(output.logits, labels) + self.alpha * self.center(vectors, labels, centres)
