"""SVHF, seeing voices and hearing faces: forced choice (Nagrani et al. 2018, https://arxiv.org/abs/1804.00326).

Which of two faces is the voice's? A stream for each of the three (linear, batch normalisation, ReLU; both candidates by
the same weights), concatenated, then linear-BN-ReLU, linear-BN-ReLU and two logits; the cross entropy with the place of
the right candidate, which is by chance. A second network of the same kind answers which of two voices is a face's.

It gives no score of a pair, so that there is no verification: matching alone is measured. Of a gallery of N the
published network has N streams and one training a size; whether and how one network answers for all sizes is open. The
reading taken here is pairwise: a candidate's score is the mean of its probabilities to win against each other one,
either order of the two being asked. For N = 2 that is the network itself. The right candidate of a pair comes from the
batch, the wrong one from another person in it. Inputs are frozen vectors, as in rudman-dmitry/Voice-Face-matching
`train_VFTC_model.py`; the streams take the place of two VGG networks. The paper's streams and first layer are 1024
wide, its second 512.
"""

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.errors import ScoreError
from pipeline.losses.base import Loss
from pipeline.losses.own import require_own
from pipeline.methods.adam import Adam
from pipeline.methods.base import Batch, Method, Sizes, register, step
from pipeline.methods.encoders import other_people, pairs_of
from pipeline.methods.layers import Dense, initialise
from pipeline.settings import Count, RunSettings, Section

_FEWEST = 2  # rows that batch normalisation needs


class Choice(nn.Module):
    """Which of two candidates belongs to a probe."""

    def __init__(self, probe: int, candidate: int, options: "SVHF.Options") -> None:
        super().__init__()
        stream = options.stream

        def layer(inputs: int, outputs: int) -> Dense:
            return Dense(inputs, outputs, norm=True, momentum=options.batch_norm_momentum, dropout=options.dropout)

        self.probe, self.candidate = layer(probe, stream), layer(candidate, stream)
        self.layers = nn.Sequential(layer(3 * stream, options.hidden), layer(options.hidden, options.last))
        self.logits = nn.Linear(options.last, 2)

    def compare(self, first: Tensor, second: Tensor, probe: Tensor) -> Tensor:
        """Logits (P, 2), that the first one and that the second one is the probe's, of their streams (P, stream)."""
        logits: Tensor = self.logits(self.layers(torch.cat([first, second, probe], dim=1)))
        return logits

    def loss(self, probes: Tensor, right: Tensor, wrong: Tensor) -> Tensor:
        """Cross entropy () of the place of the right candidate, for probes, right and wrong ones (B, D)."""
        place = torch.randint(2, (len(probes),), device=probes.device)
        swap = place[:, None].bool()
        # Both in one batch, so that normalisation sees what it sees of a gallery.
        first, second = self.candidate(torch.cat([wrong.where(swap, right), right.where(swap, wrong)])).chunk(2)
        return F.cross_entropy(self.compare(first, second, self.probe(probes)), place)

    def wins(self, probes: Tensor, candidates: Tensor) -> Tensor:
        """Mean probability (P, G) of each of candidates (P, G, D) to win against each other one for probes (P, D)."""
        asked, shown = self.probe(probes), self.candidate(candidates.flatten(0, 1)).unflatten(0, candidates.shape[:2])
        size = shown.shape[1]
        total = shown.new_zeros(shown.shape[:2])
        for one in range(size):
            for other in range(one):
                first, second = shown[:, one], shown[:, other]
                forward = self.compare(first, second, asked).softmax(dim=1)
                backward = self.compare(second, first, asked).softmax(dim=1)
                total[:, one] += 0.5 * (forward[:, 0] + backward[:, 1])
                total[:, other] += 0.5 * (forward[:, 1] + backward[:, 0])
        wins: Tensor = total / max(1, size - 1)
        return wins


@register("svhf")
class SVHF(Method):
    """A network for each direction, both trained on the same pairs."""

    class Options(Section):
        """`methods.svhf:`."""

        stream: Count
        hidden: Count
        last: Count
        dropout: Annotated[float, Field(ge=0.0, lt=1.0)]
        batch_norm_momentum: Annotated[float, Field(gt=0.0, le=1.0)]  # weight of the newest batch

    takes = "pairs"
    compares = "galleries"

    def __init__(self, options: Options, sizes: Sizes, modality: str, generator: torch.Generator) -> None:
        super().__init__(options, sizes, modality, generator)
        self.last = options.last
        self.of_voice = Choice(sizes.voice, sizes.face, options)  # which face is a voice's
        self.of_face = Choice(sizes.face, sizes.voice, options)
        initialise(self, generator, 0.0)

    @property
    def width(self) -> int:
        """E."""
        return self.last

    @property
    def remark(self) -> str:
        """Why it is in no table of verification."""
        return "matching only: it gives no score of a pair"

    def optimisers(self, loss: Loss, settings: RunSettings) -> dict[str, Adam]:
        """One Adam; raises ConfigError for a run that names another loss."""
        require_own(settings)
        return super().optimisers(loss, settings)

    def training_step(self, batch: Batch, loss: Loss, optimisers: Mapping[str, Adam]) -> Tensor:
        """One step of both networks."""
        rows, others = other_people(batch.labels, 1)
        if len(rows) < _FEWEST:
            return batch.labels.new_zeros((), dtype=torch.float32)
        (faces, voices), wrong = pairs_of(batch), others[:, 0]
        of_voices = self.of_voice.loss(voices[rows], faces[rows], faces[wrong])
        of_faces = self.of_face.loss(faces[rows], voices[rows], voices[wrong])
        return step(of_voices + of_faces, optimisers)

    def score(self, left: str, probes: Tensor, right: str, candidates: Tensor) -> Tensor:
        """Wins (P, G) of candidates (P, G, D) of the other modality for probes (P, D)."""
        if left == right:
            raise ScoreError(f"svhf compares faces with voices: it has no answer for a {left} among {right}s")
        return (self.of_voice if left == "voice" else self.of_face).wins(probes, candidates)
