"""Read the checkpoints that the authors released (github.com/msaadsaeed/SBNet), without running what is in them."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile

import torch
from torch import Tensor

from pipeline.errors import CheckpointError
from pipeline.methods.base import Method, Sizes, method_class
from pipeline.methods.sbnet import SingleBranch
from pipeline.methods.states import not_finite
from pipeline.methods.two_branch import LinearFusion, TwoBranch

# Official name -> ours, longest first where one begins another.
_SINGLE = {
    "embed_branch.fc1.0": "first.linear",
    "embed_branch.fc1.1": "first.norm",
    "embed_branch.fc2.0": "second.linear",
    "embed_branch.fc2.1": "second.norm",
    "logits_layer": "classifier",
}
_TWO = {
    "voice_branch.fc1.0": "voice.linear",
    "voice_branch.fc1.1": "voice.norm",
    "face_branch.fc1.0": "face.linear",
    "face_branch.fc1.1": "face.norm",
    "fusion_layer.attention.0.block.0": "fusion.hidden.linear",
    "fusion_layer.attention.0.block.1": "fusion.hidden.norm",
    "fusion_layer.attention.1": "fusion.gate",
    "logits_layer": "classifier",
}
_LINEAR_FUSION = {"fusion_layer.weight1": "fusion.face.weight", "fusion_layer.weight2": "fusion.voice.weight"}
_DROPOUT, _MOMENTUM = 0.5, 0.1  # of the official PyTorch half; neither matters in evaluation


def load_official_checkpoint(path: Path) -> SingleBranch | TwoBranch:
    """A released single- or two-branch checkpoint (.pth.tar) as our network, on the CPU, in evaluation mode.

    Raises CheckpointError for a file that is damaged, holds more than tensors, or is of another network.
    """
    state = _read_state(Path(path))
    try:
        network = _network_of(state)
        network.load_state_dict({_renamed(name): value for name, value in state.items()})
    except (KeyError, ValueError, RuntimeError, IndexError) as error:
        raise CheckpointError(f"{path} is of no network that SBNet's authors released: {error}") from error
    if poisoned := not_finite(state):
        raise CheckpointError(f"{path} holds values that are not finite in {poisoned}: fetch it again")
    return network.eval()


def official_method(path: Path, modality: str) -> tuple[str, dict[str, object], Method]:
    """A released checkpoint as a method of this house: its name, its options and itself, in evaluation mode.

    `modality` both | face | voice is what it was trained on, which the file does not say.
    """
    network = load_official_checkpoint(path)
    embedding, classes = network.classifier.in_features, network.classifier.out_features
    common: dict[str, object] = {"batch_norm_momentum": _MOMENTUM, "initial_bias": 0.0, "dropout": _DROPOUT}
    common |= {"embedding": embedding}
    if isinstance(network, SingleBranch):
        inputs = network.first.linear.in_features
        name, sizes, options = "sbnet", Sizes(inputs, inputs, classes), common | {"batch_norm": "both"}
    else:
        name, fusion = "two_branch", "linear" if isinstance(network.fusion, LinearFusion) else "gated"
        sizes = Sizes(network.face.linear.in_features, network.voice.linear.in_features, classes)
        options = common | {"fusion": fusion}
    kind = method_class(name)
    method = kind(kind.Options.model_validate(options), sizes, modality, torch.Generator())
    method.load_state_dict({f"network.{part}": value for part, value in network.state_dict().items()})
    return name, options, method.eval()


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} does not exist: give the path of a released .pth.tar file") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, BadZipFile, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or holds more than tensors, so it is not loaded: {error}") from error
    state = content.get("state_dict") if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{path} holds no `state_dict` of tensors, so it is no checkpoint of the official code")
    return dict(state)


def _network_of(state: Mapping[str, Tensor]) -> SingleBranch | TwoBranch:
    classes, embedding = state["logits_layer.weight"].shape
    if "embed_branch.fc1.0.weight" in state:
        inputs = state["embed_branch.fc1.0.weight"].shape[1]
        return SingleBranch(inputs, embedding, classes, batch_norm="both", dropout=_DROPOUT, momentum=_MOMENTUM)
    faces, voices = state["face_branch.fc1.0.weight"].shape[1], state["voice_branch.fc1.0.weight"].shape[1]
    fusion = "linear" if "fusion_layer.weight1" in state else "gated"
    return TwoBranch(faces, voices, embedding, classes, fusion=fusion, dropout=_DROPOUT, momentum=_MOMENTUM)


def _renamed(name: str) -> str:
    if name in _LINEAR_FUSION:
        return _LINEAR_FUSION[name]
    layer, _, leaf = name.rpartition(".")
    return f"{(_SINGLE | _TWO)[layer]}.{leaf}"
