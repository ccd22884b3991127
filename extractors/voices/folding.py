"""Batch normalisation folded into the convolutions before it: the same function, fewer passes over memory."""

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from extractors.voices.aggregator_network import UtteranceAggregator
from extractors.voices.thin_resnet import ConvNorm


def folded(network: UtteranceAggregator) -> UtteranceAggregator:
    """A copy for inference of a network in eval mode; its outputs equal the network's to float32's rounding.

    In eval mode a batch norm is one scale and one shift a channel, which the convolution's kernel and bias can take.
    Kernels lie channels last: so the maps do, and no convolution on a CPU has to reorder them.
    """
    copied = copy.deepcopy(network)
    for part in copied.modules():
        if isinstance(part, ConvNorm):
            part.conv = fuse_conv_bn_eval(part.conv, part.norm)
            part.register_module("norm", nn.Identity())
    for part in copied.modules():
        if isinstance(part, nn.Conv2d):
            part.weight = nn.Parameter(part.weight.detach().clone(memory_format=torch.channels_last))
    return copied
