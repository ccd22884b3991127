"""A backbone set by hand, so that training starts from spectral shape instead of noise.

The stem measures the spectrum (smoothed, and its slopes in frequency and time) against a ladder of thresholds; the
blocks only move and smooth what it measured. Before each subsampling, the first block of a stage copies some channels
one step up in frequency, so that what lay between the kept bins survives in other channels; the later blocks average
over time. All of it is non-negative, so the rectifiers let it pass.
"""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from extractors.thin_resnet import Bottleneck, ConvNorm, ThinResNet

_LEVEL_LADDER = (0.03, 0.2, 0.4, 0.55, 0.7, 0.8, 0.9, 0.95, 0.98)  # quantiles of a smoothed magnitude
_SLOPE_LADDER = (0.3, 0.6, 0.8, 0.9, 0.95, 0.98)  # quantiles of a slope
_STEP_UP = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.25, 0.5, 0.25))  # (frequency, time): the next bin up, smoothed
_NEIGHBOURS = ((0.0, 0.0, 0.0), (0.5, 0.0, 0.5), (0.0, 0.0, 0.0))  # with the shortcut: a mean of three frames
_NOISE = 0.02  # deviation of kernels that are silent at the start, so that their gains have something to wake
_SPARSE = 37  # every which value decides a quantile


def _blob(height: float, width: float) -> NDArray[np.float64]:
    """A (7, 7) Gaussian over (frequency, time) of these deviations in bins and frames."""
    frequency, time = np.mgrid[-3:4, -3:4]
    kernel = np.exp(-((frequency / height) ** 2 + (time / width) ** 2) / 2)
    return np.asarray(kernel / kernel.sum())


def stem_channels() -> list[tuple[NDArray[np.float64], float]]:
    """64 pairs of a (7, 7) kernel and the quantile of its output at which it is cut; the first few come twice."""
    frequency, time = np.mgrid[-3:4, -3:4]
    levels = [_blob(0.4, 1.0), _blob(1.0, 0.7), _blob(1.8, 1.5)]
    rise, onset = _blob(1.2, 1.2) * frequency, _blob(1.2, 1.2) * time
    comb = _blob(0.5, 1.2) - _blob(1.8, 1.2)  # a harmonic against its surroundings
    slopes = [rise, -rise, onset, -onset, comb, -comb]
    channels = [(kernel, cut) for kernel in levels for cut in _LEVEL_LADDER]
    channels += [(kernel, cut) for kernel in slopes for cut in _SLOPE_LADDER]
    return (channels + channels)[:64]


def _let_pass(part: ConvNorm, sources: list[int], targets: list[int], tap: Tensor) -> None:
    """Let channel `targets[i]` be channel `sources[i]` seen through the (k, k) kernel `tap`; the rest is silent."""
    nn.init.normal_(part.conv.weight, std=_NOISE)
    nn.init.zeros_(part.norm.weight)
    for source, target in zip(sources, targets, strict=True):
        part.conv.weight[target] = 0
        part.conv.weight[target, source] = tap
        part.norm.weight[target] = 1


def _set_block(block: Bottleneck, random: np.random.Generator, turn: int) -> None:
    """The first block of a stage copies channels one step up; later ones average over time, half of them each."""
    inputs, width = block.reduce.conv.in_channels, block.reduce.conv.out_channels
    outputs = block.increase.conv.out_channels
    one = torch.ones(1, 1)
    if isinstance(block.shortcut, ConvNorm):
        _let_pass(block.shortcut, list(range(inputs)), list(range(inputs)), one)
        moved = sorted(random.permutation(inputs)[: min(outputs - inputs, width)].tolist())
        targets, tap = list(range(inputs, inputs + len(moved))), torch.tensor(_STEP_UP)
    else:
        moved = list(range(width)) if turn % 2 else list(range(outputs - width, outputs))
        targets, tap = moved, torch.tensor(_NEIGHBOURS)
    lanes = list(range(len(moved)))
    _let_pass(block.reduce, moved, lanes, one)
    _let_pass(block.middle, lanes, lanes, tap)
    _let_pass(block.increase, lanes, targets, one)


def _measure(cuts: list[float] | None, norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Before a batch norm runs: scale its channels to unit deviation; zero stays zero, or goes to the `cuts`."""
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    values = inputs[0].float()
    variance, mean = torch.var_mean(values, dim=(0, 2, 3), correction=0)
    zero = torch.zeros_like(mean)
    for channel, cut in enumerate(cuts or []):
        zero[channel] = values[:, channel].flatten()[::_SPARSE].quantile(cut)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.bias.copy_(norm.weight * (mean - zero) / (variance + norm.eps).sqrt())


@torch.no_grad()
def set_passing(backbone: ThinResNet, spectrograms: Tensor, random: np.random.Generator) -> None:
    """Set kernels and batch norms; (B, 1, 257, T) speech says what is usual."""
    channels = stem_channels()
    kernels = np.stack([kernel for kernel, _ in channels])[:, None]
    backbone.stem.conv.weight.copy_(torch.from_numpy(kernels))
    for blocks in backbone.stages.children():
        for turn, block in enumerate(blocks.children()):
            assert isinstance(block, Bottleneck)
            _set_block(block, random, turn)
    handles = []
    for part in backbone.modules():
        if isinstance(part, nn.BatchNorm2d):
            cuts = [cut for _, cut in channels] if part is backbone.stem.norm else None
            handles.append(part.register_forward_pre_hook(partial(_measure, cuts)))
    backbone.eval()(spectrograms)
    for handle in handles:
        handle.remove()
