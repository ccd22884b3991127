"""The network of utterance-level aggregation (Xie et al. 2019, arXiv 1902.10107)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from extractors.voices.ghostvlad import GhostVLAD
from extractors.voices.thin_resnet import FEATURES, Bottleneck, ThinResNet
from pipeline.errors import WeightsError

DIMENSION = 512
CLUSTERS, GHOSTS = 8, 2
_SHOWN = 3  # misfits written out, of the 200 that another network's file has
_FRESH_BRANCH_GAIN = 0.5  # else the activations of a fresh network double from block to block


class UtteranceAggregator(nn.Module):
    """(B, 1, 257, T) spectrograms -> (B, 512) embeddings, of unit norm and never negative.

    Source: WeidiXie/VGG-Speaker-Recognition, src/model.py (resnet34s, gvlad, 8 clusters, 2 ghosts).
    """

    def __init__(self) -> None:
        super().__init__()
        self.backbone = ThinResNet()
        self.features = nn.Conv2d(FEATURES, DIMENSION, (7, 1))
        self.assignment = nn.Conv2d(FEATURES, CLUSTERS + GHOSTS, (7, 1))
        self.pool = GhostVLAD(DIMENSION, CLUSTERS, GHOSTS)
        self.embedding = nn.Linear(CLUSTERS * DIMENSION, DIMENSION)

    def frames(self, spectrogram: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, 257, T) -> features (B, 512, ceil(T / 16)) and assignment scores (B, 10, ceil(T / 16))."""
        maps = self.backbone(spectrogram)  # (B, 512, 7, T')
        return F.relu(self.features(maps))[:, :, 0], self.assignment(maps)[:, :, 0]

    def residuals(self, spectrogram: Tensor) -> Tensor:
        """(B, 1, 257, T) -> (B, 8, 512) residuals summed over time; those of an utterance's windows may be added."""
        summed: Tensor = self.pool.residuals(*self.frames(spectrogram))
        return summed

    def embed(self, residuals: Tensor) -> Tensor:
        """(B, 8, 512) summed residuals -> (B, 512) of unit norm."""
        return F.normalize(F.relu(self.embedding(self.pool.normalise(residuals))), dim=1, eps=1e-6)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """(B, 1, 257, T) -> (B, 512)."""
        return self.embed(self.residuals(spectrogram))


def untrained(seed: int) -> UtteranceAggregator:
    """A fresh network, in eval mode: Kaiming weights drawn from `seed` alone, whatever was drawn before.

    Fresh batch norms pass their input on, so it is a random projection of the spectrogram that keeps its scale.
    """
    network = UtteranceAggregator()
    generator = torch.Generator().manual_seed(seed)
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu", generator=generator)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, Bottleneck):
            nn.init.constant_(part.increase.norm.weight, _FRESH_BRANCH_GAIN)
        elif isinstance(part, GhostVLAD):
            nn.init.orthogonal_(part.centres, generator=generator)
    return network.eval()


def load_state(state: dict[str, Tensor], origin: str) -> UtteranceAggregator:
    """The network with `state`, float32, in eval mode; raises WeightsError naming `origin` where it does not fit
    or holds values that are not finite.

    Batch norm's counters of batches matter to training alone, so a state may leave them out.
    """
    network = UtteranceAggregator()
    own = network.state_dict()
    full = {name: value for name, value in own.items() if name.endswith("num_batches_tracked")} | state
    if problems := _misfits(own, full):
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise WeightsError(
            f"{origin} does not fit the utterance aggregator: {'; '.join(problems[:_SHOWN])}{more}. Name a file of "
            "this network's weights"
        )
    if broken := [name for name, value in full.items() if not torch.isfinite(value).all()]:
        raise WeightsError(
            f"{origin} holds NaN or infinite values in {broken[0]} ({len(broken)} of its tensors): name a whole file"
        )
    network.load_state_dict(full)
    return network.eval()


def _misfits(own: dict[str, Tensor], state: dict[str, Tensor]) -> list[str]:
    """What of `state` the network cannot take: absent, foreign and otherwise shaped tensors."""
    absent = [f"it lacks {name}" for name in own if name not in state]
    foreign = [f"the network has no {name}" for name in state if name not in own]
    shaped = [
        f"{name} is {tuple(state[name].shape)}, not {tuple(value.shape)}"
        for name, value in own.items()
        if name in state and state[name].shape != value.shape
    ]
    return absent + foreign + shaped
