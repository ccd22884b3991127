"""The network of utterance-level aggregation (Xie et al. 2019, arXiv 1902.10107): thin ResNet-34, then GhostVLAD.

The backbone is the paper's table 2. GhostVLAD makes one descriptor of any number of frames; its ghosts swallow noise
(Zhong et al. 2018, arXiv 1810.09951).
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

DIMENSION = 512
CLUSTERS, GHOSTS = 8, 2
_FRESH_BRANCH_GAIN = 0.5  # else the activations of a fresh network double from block to block
BATCH_NORM_EPSILON = 1e-3  # Keras's default, with which the published weights were trained
FEATURES = 512  # channels of the last stage

# stage: (blocks, (reduce, 3x3, increase) channels, stride of the stage's first 1x1)
STAGES: dict[int, tuple[str, tuple[int, int, int], int]] = {
    2: ("ab", (48, 48, 96), 1),
    3: ("abc", (96, 96, 128), 2),
    4: ("abc", (128, 128, 256), 2),
    5: ("abc", (256, 256, 512), 2),
}


class ConvNorm(nn.Module):
    """Convolution without bias, then batch normalisation; padded to keep the size that stride leaves."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=BATCH_NORM_EPSILON)

    def forward(self, maps: Tensor) -> Tensor:
        normalised: Tensor = self.norm(self.conv(maps))
        return normalised


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 with a shortcut, which is projected in the first block of a stage."""

    def __init__(self, inputs: int, widths: tuple[int, int, int], stride: int, project: bool) -> None:
        super().__init__()
        reduce, middle, increase = widths
        self.reduce = ConvNorm(inputs, reduce, 1, stride)
        self.middle = ConvNorm(reduce, middle, 3)
        self.increase = ConvNorm(middle, increase, 1)
        self.shortcut = ConvNorm(inputs, increase, 1, stride) if project else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        residual = F.relu(self.reduce(maps), inplace=True)
        residual = F.relu(self.middle(residual), inplace=True)
        return F.relu(self.increase(residual) + self.shortcut(maps), inplace=True)


class ThinResNet(nn.Module):
    """(B, 1, 257, T) normalised magnitudes -> (B, 512, 7, ceil(T / 16)), which the heads' 7x1 kernels close over."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvNorm(1, 64, 7)
        self.stages = nn.ModuleDict()
        channels = 64
        for stage, (names, widths, stride) in STAGES.items():
            blocks = nn.ModuleDict()
            for index, name in enumerate(names):
                blocks[name] = Bottleneck(channels, widths, stride if index == 0 else 1, project=index == 0)
                channels = widths[-1]
            self.stages[str(stage)] = blocks

    def forward(self, spectrogram: Tensor) -> Tensor:
        maps = F.max_pool2d(F.relu(self.stem(spectrogram), inplace=True), 2)  # (B, 64, 128, T/2)
        for blocks in self.stages.children():
            for block in blocks.children():
                maps = block(maps)
        return F.max_pool2d(maps, (3, 1), (2, 1))  # (B, 512, 7, T/16)


class GhostVLAD(nn.Module):
    """Soft-assigns each frame to K + G centres and sums its residuals; the G ghost centres are thrown away.

    The sum runs over time, so the residuals of two windows add up to those of both: `residuals` may be called
    window by window, `normalise` once at the end.
    """

    def __init__(self, features: int, clusters: int, ghosts: int) -> None:
        super().__init__()
        self.clusters = clusters
        self.centres = nn.Parameter(torch.empty(clusters + ghosts, features))
        nn.init.orthogonal_(self.centres)

    def residuals(self, features: Tensor, scores: Tensor) -> Tensor:
        """(B, D, T) features and (B, K + G, T) assignment scores -> (B, K, D) residuals summed over time."""
        assignment = scores.softmax(dim=1)[:, : self.clusters]  # (B, K, T)
        weighted = assignment @ features.transpose(1, 2)  # (B, K, D)
        return weighted - assignment.sum(dim=2, keepdim=True) * self.centres[: self.clusters]

    def normalise(self, residuals: Tensor) -> Tensor:
        """(B, K, D) residuals -> (B, K * D), each cluster of unit length (and not the whole, as published)."""
        return F.normalize(residuals, dim=2, eps=1e-6).flatten(1)


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


def folded(network: UtteranceAggregator) -> UtteranceAggregator:
    """A copy for inference of a network in eval mode; its outputs equal the network's to float32's rounding.

    In eval mode a batch norm is one scale and one shift a channel, which the convolution's kernel and bias can take.
    """
    copied = copy.deepcopy(network)
    for part in copied.modules():
        if isinstance(part, ConvNorm):
            part.conv = fuse_conv_bn_eval(part.conv, part.norm)
            part.register_module("norm", nn.Identity())
    return copied


class Residuals(nn.Module):
    """Spectrograms (B, 1, 257, T) to residuals (B, 8, 512), which add up over the windows of an utterance."""

    def __init__(self, network: UtteranceAggregator) -> None:
        super().__init__()
        self.network = network

    def forward(self, spectrograms: Tensor) -> Tensor:
        return self.network.residuals(spectrograms)


class Embedding(nn.Module):
    """Residuals (B, 8, 512) to vectors (B, 512) of unit norm."""

    def __init__(self, network: UtteranceAggregator) -> None:
        super().__init__()
        self.network = network

    def forward(self, residuals: Tensor) -> Tensor:
        return self.network.embed(residuals)
