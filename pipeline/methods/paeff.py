"""PAEFF: branches aligned in hyperbolic space, then a gated fusion (Hannan et al. 2025, https://arxiv.org/abs/2505.17002).

Each branch is linear-BN-ReLU-dropout-linear to unit norm. With g the GELU and conv a convolution of one kernel of 5
along the values, the fusion is tanh(W (f a + (1 - a) v)) with a = sigmoid(conv(g(f) g(v))), and

    L = .35 CE + .35 OPL + .30 InfoNCE(P(f), P(v)),

CE and the orthogonality constraint of FOP (its official form) of the fusion, and, at temperature .07, the symmetric
contrast of the pairs of a batch after the map P(x) = tanh(sqrt(c) |x|) x / (sqrt(c) |x|) to the Poincare ball of
curvature -c, c = .05. Backwards, the gradient at P(x) is the Riemannian one, (1 - c |P(x)|^2)^2 / 4 of the Euclidean,
which is .23 of it for unit vectors (`ToPoincare` of hannabdul/paeff `src/nn.py`, with its default `riemannian`; the
factor is in `src/pmath.py`). As in its `src/retrieval_model.py`, g(f) and g(v) are compared, by their distance. Of that
code's contrast, another pair of the same person is an impostor; here it is left out, as a small corpus has many such.

Departures: the optimiser is the run's (theirs: AdamW 2e-5, decoupled decay .01, a cosine to 1e-8, batches of 1024 in
which each identity has its share), and so are the rows of a batch.
"""

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.losses.base import Loss
from pipeline.losses.fop import official_constraint
from pipeline.losses.own import require_own
from pipeline.methods.adam import Adam
from pipeline.methods.base import Batch, Method, Sizes, register, step
from pipeline.methods.encoders import impostors, pairs_of
from pipeline.methods.layers import Dense, initialise
from pipeline.settings import Count, Positive, RunSettings, Section

_KERNEL = 5  # values that the gate sees at once
Weight = Annotated[float, Field(ge=0.0)]


def to_poincare_ball(vectors: Tensor, curvature: float) -> Tensor:
    """P of vectors (B, E), the exponential map at the origin of the ball of radius 1 / sqrt(c); curvature is c.

    What flows back is scaled to the Riemannian gradient at P(x), the inverse of the ball's metric times the Euclidean
    one (`RiemannianGradient` of the authors' `src/pmath.py`).
    """
    scaled = curvature**0.5 * vectors.norm(dim=-1, keepdim=True).clamp_min(1e-5)
    mapped: Tensor = torch.tanh(scaled) * vectors / scaled
    fixed = mapped.detach()
    metric_inverse = (1.0 - curvature * fixed.square().sum(dim=-1, keepdim=True)).square() / 4.0
    return fixed + metric_inverse * (mapped - fixed)  # forwards P(x) to the bit


def contrast(face: Tensor, voice: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Symmetric InfoNCE () of pairs (B, E) of people `labels` (B,), inner products over the temperature."""
    logits = face @ voice.T / temperature
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    logits = logits.masked_fill(~(impostors(labels) | itself), -torch.inf)
    target = torch.arange(len(labels), device=labels.device)
    return 0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target))


class Fusion(nn.Module):
    """The gated fusion of unit faces and voices."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Conv1d(1, 1, _KERNEL, padding=_KERNEL // 2)
        self.mix = nn.Linear(width, width)

    def forward(self, face: Tensor, voice: Tensor) -> Tensor:
        """(B, E) twice to (B, E)."""
        product = F.gelu(face) * F.gelu(voice)
        attention = torch.sigmoid(self.gate(product[:, None])[:, 0])
        return torch.tanh(self.mix(face * attention + (1.0 - attention) * voice))


@register("paeff")
class PAEFF(Method):
    """Two branches, aligned and fused."""

    class Options(Section):
        """`methods.paeff:`."""

        embedding: Count
        dropout: Annotated[float, Field(ge=0.0, lt=1.0)]
        batch_norm_momentum: Annotated[float, Field(gt=0.0, le=1.0)]  # weight of the newest batch
        cross_entropy: Weight
        orthogonality: Weight
        alignment: Weight
        temperature: Positive
        curvature: Positive  # c

    takes = "pairs"

    def __init__(self, options: Options, sizes: Sizes, modality: str, generator: torch.Generator) -> None:
        super().__init__(options, sizes, modality, generator)
        self.options = options
        self.face, self.voice = self._branch(sizes.face), self._branch(sizes.voice)
        self.fusion = Fusion(options.embedding)
        self.classifier = nn.Linear(options.embedding, sizes.classes)
        initialise(self, generator, 0.0)
        bound = _KERNEL**-0.5  # PyTorch's own start of a convolution, from the seed's generator
        for parameter in self.fusion.gate.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def _branch(self, inputs: int) -> nn.Sequential:
        width, momentum = self.options.embedding, self.options.batch_norm_momentum
        dense = Dense(inputs, width, norm=True, momentum=momentum, dropout=self.options.dropout)
        return nn.Sequential(dense, nn.Linear(width, width))

    @property
    def width(self) -> int:
        """E."""
        return self.options.embedding

    def optimisers(self, loss: Loss, settings: RunSettings) -> dict[str, Adam]:
        """One Adam; raises ConfigError for a run that names another loss."""
        require_own(settings)
        return super().optimisers(loss, settings)

    def training_step(self, batch: Batch, loss: Loss, optimisers: Mapping[str, Adam]) -> Tensor:
        """One step of the own loss."""
        return step(self.own_loss(batch), optimisers)

    def own_loss(self, batch: Batch) -> Tensor:
        """L () of a batch of pairs."""
        faces, voices = pairs_of(batch)
        face, voice = F.normalize(self.face(faces), dim=-1), F.normalize(self.voice(voices), dim=-1)
        fused, options = self.fusion(face, voice), self.options
        aligned = contrast(
            to_poincare_ball(face, options.curvature),
            to_poincare_ball(voice, options.curvature),
            batch.labels,
            options.temperature,
        )
        return (
            options.cross_entropy * F.cross_entropy(self.classifier(fused), batch.labels)
            + options.orthogonality * official_constraint(fused, batch.labels)
            + options.alignment * aligned
        )

    def embed(self, modality: str, vectors: Tensor) -> Tensor:
        """(N, D) to the GELU of its branch (N, E)."""
        branch = self.face if modality == "face" else self.voice
        return F.gelu(F.normalize(branch(vectors), dim=-1))
