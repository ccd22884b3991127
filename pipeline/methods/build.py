"""Networks from settings: one of them, S of them stacked, and slice s of a stack."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipeline.errors import StoreError
from pipeline.methods.layers import Layers, PlainLayers, Scale
from pipeline.methods.single_branch import SingleBranch
from pipeline.methods.stacked import StackedLayers
from pipeline.methods.two_branch import TwoBranch
from pipeline.settings import TrainSettings

Network = SingleBranch | TwoBranch


@dataclass(frozen=True)
class Sizes:
    """What the data decide of a network."""

    face: int  # width of a face vector
    voice: int  # width of a voice vector
    classes: int  # training identities


def build_network(settings: TrainSettings, sizes: Sizes, layers: Layers | None = None) -> Network:
    """The network of a run, not initialised; raises StoreError if one branch cannot take both modalities."""
    if settings.branch == "two":
        return TwoBranch(
            sizes.face,
            sizes.voice,
            settings.embedding,
            sizes.classes,
            fusion=settings.fusion,
            dropout=settings.dropout,
            momentum=settings.batch_norm_momentum,
            layers=layers,
        )
    inputs = sizes.voice if settings.modality == "voice" else sizes.face
    if settings.modality == "both" and sizes.face != sizes.voice:
        raise StoreError(
            f"a single branch needs faces and voices of one width, found {sizes.face} and {sizes.voice}: "
            "choose extractors of the same dimension or train.branch: two"
        )
    return SingleBranch(
        inputs,
        settings.embedding,
        sizes.classes,
        batch_norm=settings.batch_norm,
        dropout=settings.dropout,
        momentum=settings.batch_norm_momentum,
        layers=layers,
    )


def initialise(network: nn.Module, generator: torch.Generator, bias: float) -> None:
    """Xavier-uniform weights and constant biases, as the official code draws them; fusion scalars uniform in [0, 1).

    So its PyTorch half draws these scalars (torch.rand); its TensorFlow half, from +-sqrt(3), is not followed.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            nn.init.constant_(module.bias, bias)
        elif isinstance(module, Scale):
            nn.init.uniform_(module.weight, generator=generator)


def stacked_network(settings: TrainSettings, sizes: Sizes, generators: Sequence[torch.Generator]) -> Network:
    """S networks at once, network s initialised from `settings.seeds[s]` alone; `generators` (S) feed its dropout."""
    states: list[dict[str, Tensor]] = []
    for seed in settings.seeds:
        network = build_network(settings, sizes, PlainLayers())
        initialise(network, torch.Generator().manual_seed(seed), settings.initial_bias)
        states.append(network.state_dict())
    stacked = build_network(settings, sizes, StackedLayers(generators))
    stacked.load_state_dict({name: torch.stack([state[name] for state in states]) for name in stacked.state_dict()})
    return stacked


def unstacked(stacked: Network, settings: TrainSettings, sizes: Sizes, index: int) -> Network:
    """Network `index` of a stack as plain torch layers, in evaluation mode."""
    plain = build_network(settings, sizes, PlainLayers())
    # Plain batch normalisation also counts its batches, which nothing reads.
    plain.load_state_dict(plain.state_dict() | {name: part[index] for name, part in stacked.state_dict().items()})
    return plain.eval()
