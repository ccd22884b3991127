"""What a loss is. A new one is a file in this folder and a section of its options under `losses:` in params.yaml.

@register("mine")
class Mine(Loss):
    class Options(Section):
        alpha: Annotated[float, Field(ge=0.0)]

    def __init__(self, options: Options, sizes: LossSizes, generator: torch.Generator) -> None:
        super().__init__()
        self.alpha = options.alpha

    def forward(self, batch: LossInput) -> Tensor:
        return cross_entropy(batch.logits, batch.labels) + self.alpha * ...
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from pipeline.config import validate
from pipeline.registry import Registry
from pipeline.settings import Section


@dataclass(frozen=True)
class LossSizes:
    """What the data and the method decide of a loss."""

    embedding: int  # E, width of what the loss acts on
    classes: int  # C, training identities


@dataclass(frozen=True)
class LossInput:
    """What a method makes of a batch. Row i is a sample of one modality or, of methods that fuse, a pair of both."""

    embedding: Tensor  # (B, E) embedding of a sample, or fusion of a pair
    logits: Tensor  # (B, C)
    labels: Tensor  # (B,) number of the identity, 0 to C - 1
    is_voice: Tensor | None = None  # (B,) bool, of samples
    face: Tensor | None = None  # (B, E) what is compared of the face, of pairs
    voice: Tensor | None = None  # (B, E) what is compared of the voice, of pairs

    def sides(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Faces (F, E), their labels (F,), voices (V, E), their labels (V,)."""
        if self.is_voice is None:
            assert self.face is not None and self.voice is not None, "of pairs, both sides are there"
            return self.face, self.labels, self.voice, self.labels
        voice = self.is_voice
        return self.embedding[~voice], self.labels[~voice], self.embedding[voice], self.labels[voice]


class Loss(nn.Module, ABC):
    """A loss of one network. Its parameters are trained with the network's, and saved with the state of a training.

    What changes without a gradient, as Center's centres do, is a buffer that `forward` moves in training mode, as
    batch normalisation moves its statistics.
    """

    Options: ClassVar[type[Section]]  # its section of params.yaml

    @abstractmethod
    def __init__(self, options: Section, sizes: LossSizes, generator: torch.Generator) -> None:
        """Parameters come from `generator` alone, which is the seed's."""
        super().__init__()

    @abstractmethod
    def forward(self, batch: LossInput) -> Tensor:
        """Loss () of a batch."""


LOSSES: Registry[type[Loss]] = Registry("pipeline.losses", "train.loss")
LossT = TypeVar("LossT", bound=type[Loss])


def register(name: str) -> Callable[[LossT], LossT]:
    """Class decorator: make a loss known under `name`, which its file is called, too."""

    def add(loss: LossT) -> LossT:
        LOSSES.add(name, loss, loss)
        return loss

    return add


def loss_class(name: str) -> type[Loss]:
    """The loss under `name`; raises ConfigError that lists the known ones."""
    return LOSSES.find(name)


def build_loss(name: str, options: Mapping[str, object], sizes: LossSizes, generator: torch.Generator) -> Loss:
    """The loss under `name`; raises ConfigError for an unknown name and for options that it refuses."""
    loss = loss_class(name)
    return loss(validate(loss.Options, options, f"losses.{name}"), sizes, generator)


def across_modalities(loss: Callable[..., Tensor], batch: LossInput) -> Tensor:
    """A loss of pytorch-metric-learning between modalities: mean of faces against voices and voices against faces.

    Pairs within a modality do not count, so that what is learnt is to match across. Batches of one modality, as in
    runs of one or in halved orders, have no other side: their samples are compared among themselves.
    """
    faces, shown, voices, heard = batch.sides()
    if not len(faces) or not len(voices):
        return loss(batch.embedding, batch.labels)
    # Where labels and reference labels are one object, the library takes the references for the anchors themselves and
    # drops the pairs (i, i): of a method that takes pairs, just the faces and voices that belong together.
    heard = heard.clone()
    to_voices = loss(faces, shown, ref_emb=voices, ref_labels=heard)
    return 0.5 * (to_voices + loss(voices, heard, ref_emb=faces, ref_labels=shown))
