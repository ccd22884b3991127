"""Adversarial-Metric learning, AML (Zheng et al. 2021, https://doi.org/10.1109/TMM.2021.3050089).

As MLanHu/AML `network.py` and `metric.py` have it, one generator G (dropout, linear, LeakyReLU .2, dropout, linear,
tanh) maps faces and voices alike. A row is a face f, a voice v of the same person and a voice n of another one.

    L_D = CE(D(G(x)), modality of x), by which the discriminator D (dropout, linear) learns to tell faces from voices;
    L_G = a CE(D(G(x)), the other modality) + b J + c CE(C([f, v1, v2]), which of v1, v2 is v).

C (dropout, linear) sees the two voices in an order of chance. J = sum max(0, log sum_k (e^(m - |f - n_k|) +
e^(m - |v - n_k|)) + |f - v|) / 2B is the lifted structure over K voices n_k of others, not squared, as in that code.

There is no training loop in it. The readings taken here: D moves in every 5th step and G in all (its dis_every); its
weights lambd 1, beta 3 and gamma 2 are a, b and c; G has D take faces for voices rather than maximise L_D, which has no
bound. Both move with the run's learning rate. Inputs are frozen vectors in the place of two convolutional networks, the
narrower modality padded with zeros so that G takes both. What is compared is the distance of what G gives.
"""

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.losses.base import Loss
from pipeline.losses.own import require_own
from pipeline.methods.adam import Adam
from pipeline.methods.base import Batch, Method, Sizes, register
from pipeline.methods.encoders import other_people, pairs_of
from pipeline.methods.layers import initialise
from pipeline.settings import Count, Positive, RunSettings, Section

_SLOPE = 0.2  # of the generator below zero
Dropout = Annotated[float, Field(ge=0.0, lt=1.0)]
Weight = Annotated[float, Field(ge=0.0)]


def lifted_structure(anchor: Tensor, positive: Tensor, negatives: Tensor, margin: float) -> Tensor:
    """J () of anchors (B, E), positives (B, E) and negatives (B, K, E)."""
    to_others = [
        margin - F.pairwise_distance(side[:, None].expand_as(negatives), negatives) for side in (anchor, positive)
    ]
    values = torch.cat(to_others, dim=1).logsumexp(dim=1) + F.pairwise_distance(anchor, positive)
    return values.clamp_min(0.0).sum() / (2 * len(anchor))


@register("aml")
class AML(Method):
    """A generator against a modality discriminator, with a metric and a classifier of triplets."""

    class Options(Section):
        """`methods.aml:`."""

        hidden: Count
        embedding: Count
        dropout: Dropout  # of the generator, twice, and of the classifier
        discriminator_dropout: Dropout
        discriminator_every: Count  # steps of the generator to one of the discriminator
        adversarial: Weight  # a
        metric: Weight  # b
        classification: Weight  # c
        margin: Positive  # m
        negatives: Count  # K

    takes = "pairs"
    steps: Tensor  # () of the generator so far

    def __init__(self, options: Options, sizes: Sizes, modality: str, generator: torch.Generator) -> None:
        super().__init__(options, sizes, modality, generator)
        self.options = options
        self.generator = nn.Sequential(
            nn.Dropout(options.dropout),
            nn.Linear(sizes.padded, options.hidden),
            nn.LeakyReLU(_SLOPE),
            nn.Dropout(options.dropout),
            nn.Linear(options.hidden, options.embedding),
            nn.Tanh(),
        )
        self.classifier = nn.Sequential(nn.Dropout(options.dropout), nn.Linear(3 * options.embedding, 2))
        self.discriminator = nn.Sequential(nn.Dropout(options.discriminator_dropout), nn.Linear(options.embedding, 2))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        initialise(self, generator, 0.0)

    @property
    def width(self) -> int:
        """E."""
        return self.options.embedding

    def optimisers(self, loss: Loss, settings: RunSettings) -> dict[str, Adam]:
        """One for generator and classifier, one for the discriminator; raises ConfigError for another loss than own."""
        require_own(settings)
        named = dict(self.named_parameters())
        theirs = {name: value for name, value in named.items() if name.startswith("discriminator")}
        ours = {name: value for name, value in named.items() if name not in theirs}
        return {
            "generator": Adam(ours, settings.weight_decay),
            "discriminator": Adam(theirs, settings.weight_decay),
        }

    def training_step(self, batch: Batch, loss: Loss, optimisers: Mapping[str, Adam]) -> Tensor:
        """A step of the generator and, every so often, one of the discriminator before it."""
        faces, voices = pairs_of(batch)
        face, voice = self.embed("face", faces), self.embed("voice", voices)
        if int(self.steps) % self.options.discriminator_every == 0:
            seen = self.modality_loss(face.detach(), voice.detach(), deceived=False)
            optimisers["discriminator"].zero_grad()
            seen.backward()  # type: ignore[no-untyped-call]  # torch leaves it without types
            optimisers["discriminator"].step()
        self.steps += 1
        value = self.generator_loss(face, voice, batch.labels)
        optimisers["generator"].zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimisers["generator"].step()
        return value.detach()

    def modality_loss(self, face: Tensor, voice: Tensor, *, deceived: bool) -> Tensor:
        """Cross entropy () of the discriminator with the modality of faces and voices (B, E); deceived, the other."""
        modality = torch.arange(2, device=face.device).repeat_interleave(len(face))
        return F.cross_entropy(self.discriminator(torch.cat([face, voice])), 1 - modality if deceived else modality)

    def generator_loss(self, face: Tensor, voice: Tensor, labels: Tensor) -> Tensor:
        """L_G () of faces and voices (B, E) of people `labels` (B,)."""
        value = self.options.adversarial * self.modality_loss(face, voice, deceived=True)
        rows, others = other_people(labels, self.options.negatives)
        if len(rows):
            metric = lifted_structure(face[rows], voice[rows], voice[others], self.options.margin)
            choice = self.triplet_loss(face[rows], voice[rows], voice[others[:, 0]])
            value = value + self.options.metric * metric + self.options.classification * choice
        return value

    def triplet_loss(self, face: Tensor, voice: Tensor, other: Tensor) -> Tensor:
        """Cross entropy () of which voice is the face's; faces, their voices and other voices are (B, E)."""
        second = torch.randint(2, (len(face),), device=face.device)
        swap = second[:, None].bool()
        triplet = torch.cat([face, other.where(swap, voice), voice.where(swap, other)], dim=1)
        return F.cross_entropy(self.classifier(triplet), second)

    def embed(self, modality: str, vectors: Tensor) -> Tensor:
        """(N, D) to (N, E), between -1 and 1."""
        mapped: Tensor = self.generator(F.pad(vectors, (0, self.sizes.padded - vectors.shape[1])))
        return mapped
