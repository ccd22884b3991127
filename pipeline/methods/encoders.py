"""What the rivals share on frozen vectors: an encoder for each modality, compared by cosine.

Their papers put whole convolutional networks where the vectors of ours come out. So that heads are compared and nothing
else, all take the same encoder in their place: dropout, linear, ReLU, linear, as in the best comparison in public
(my-yy/vfal-eva `models/my_model.py`), with weights that begin as the official SBNet's do.
"""

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.losses.base import Loss, LossInput
from pipeline.losses.own import require_own
from pipeline.methods.adam import Adam
from pipeline.methods.base import Batch, Method, Sizes, step
from pipeline.methods.layers import initialise
from pipeline.settings import Count, RunSettings, Section


class EncoderOptions(Section):
    """Options of an encoder, the same for both modalities."""

    hidden: Count
    embedding: Count
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)]  # of the vectors that go in


def encoder(inputs: int, options: EncoderOptions) -> nn.Sequential:
    """(B, inputs) to (B, E), of any length and sign."""
    return nn.Sequential(
        nn.Dropout(options.dropout),
        nn.Linear(inputs, options.hidden),
        nn.ReLU(),
        nn.Linear(options.hidden, options.embedding),
    )


class TwoEncoders(Method):
    """Encoders of faces and voices without shared weights, trained on pairs, and one classifier of both.

    A loss sees 2B samples, the faces and then the voices, so that cross entropy is the mean over both modalities. What
    is compared is of unit norm.
    """

    takes = "pairs"

    def __init__(self, options: EncoderOptions, sizes: Sizes, modality: str, generator: torch.Generator) -> None:
        super().__init__(options, sizes, modality, generator)
        self.face, self.voice = encoder(sizes.face, options), encoder(sizes.voice, options)
        self.classifier = nn.Linear(options.embedding, sizes.classes)
        initialise(self, generator, 0.0)

    @property
    def width(self) -> int:
        """E."""
        return self.classifier.in_features

    def encoded(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Faces and voices of the pairs, (B, E) each, before they are brought to unit norm."""
        faces, voices = pairs_of(batch)
        return self.face(faces), self.voice(voices)

    def see(self, batch: Batch) -> LossInput:
        """Pairs to the embeddings of their faces and then their voices."""
        return stacked(*self.encoded(batch), self.classifier, batch.labels)

    def embed(self, modality: str, vectors: Tensor) -> Tensor:
        """(N, D) to (N, E) of unit norm."""
        branch = self.face if modality == "face" else self.voice
        return F.normalize(branch(vectors), dim=-1)


class OwnLoss(TwoEncoders):
    """Two encoders under a loss of their own, without a classifier."""

    def __init__(self, options: EncoderOptions, sizes: Sizes, modality: str, generator: torch.Generator) -> None:
        super().__init__(options, sizes, modality, generator)
        self.embedding = options.embedding
        del self.classifier

    @property
    def width(self) -> int:
        """E."""
        return self.embedding

    def own_loss(self, face: Tensor, voice: Tensor, labels: Tensor) -> Tensor:
        """Loss () of faces and voices of pairs (B, E), of unit norm, with labels (B,)."""
        raise NotImplementedError(f"{type(self).__name__} has no loss")

    def optimisers(self, loss: Loss, settings: RunSettings) -> dict[str, Adam]:
        """One Adam; raises ConfigError for a run that names another loss."""
        require_own(settings)
        return super().optimisers(loss, settings)

    def training_step(self, batch: Batch, loss: Loss, optimisers: Mapping[str, Adam]) -> Tensor:
        """One step of the own loss."""
        face, voice = (F.normalize(side, dim=-1) for side in self.encoded(batch))
        return step(self.own_loss(face, voice, batch.labels), optimisers)


def pairs_of(batch: Batch) -> tuple[Tensor, Tensor]:
    """Faces (B, D) and voices (B, D) of a batch of pairs."""
    assert batch.faces is not None and batch.voices is not None, "the method takes pairs"
    return batch.faces, batch.voices


def stacked(face: Tensor, voice: Tensor, classifier: nn.Module, labels: Tensor) -> LossInput:
    """Faces (B, E) and voices (B, E) of people `labels` (B,) as 2B samples, and the logits of one classifier."""
    samples = torch.cat([face, voice])
    is_voice = torch.arange(len(samples), device=labels.device) >= len(face)
    return LossInput(samples, classifier(samples), torch.cat([labels, labels]), is_voice)


def impostors(labels: Tensor) -> Tensor:
    """Whether row and column are different people, (B, B)."""
    return labels[:, None] != labels


def other_people(labels: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """For each row of a batch `count` rows of other people by chance, by torch's global generator.

    Labels (B,) to the rows that have any (M,) and what they got (M, count). A batch of one person gives none.
    """
    stranger = impostors(labels)
    rows = stranger.any(dim=1).nonzero().flatten()
    if not len(rows):
        return rows, rows.new_zeros((0, count))
    return rows, torch.multinomial(stranger[rows].float(), count, replacement=True)
