"""Thin ResNet-34: the backbone of the utterance-level aggregator (Xie et al. 2019, arXiv 1902.10107, table 2)."""

from torch import Tensor, nn
from torch.nn import functional as F

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
