"""Read a Keras weight file of the aggregator (HDF5, as published) as the torch network's state."""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extractors.voices.thin_resnet import STAGES
from pipeline.errors import WeightsError

_CONVOLUTIONS = {"reduce": "1x1_reduce", "middle": "3x3", "increase": "1x1_increase", "shortcut": "1x1_proj"}
_NORMS = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def _convolution_names() -> Iterator[tuple[str, str]]:
    """Our name and Keras's for each convolution with batch normalisation."""
    yield "backbone.stem", "conv1_1/3x3_s1"
    for stage, (blocks, _, _) in STAGES.items():
        for block in blocks:
            for ours, theirs in _CONVOLUTIONS.items():
                if ours != "shortcut" or block == "a":
                    yield f"backbone.stages.{stage}.{block}.{ours}", f"conv{stage}_{block}_{theirs}"


def keras_names() -> dict[str, tuple[str, str]]:
    """Our parameter's name -> (Keras layer, weight of it)."""
    names = {"pool.centres": ("gvlad_pool", "centers")}
    for ours, theirs in _convolution_names():
        names[f"{ours}.conv.weight"] = (theirs, "kernel")
        names |= {f"{ours}.norm.{mine}": (f"{theirs}/bn", weight) for mine, weight in _NORMS.items()}
    for ours, theirs in (("features", "x_fc"), ("assignment", "gvlad_center_assignment"), ("embedding", "fc6")):
        names[f"{ours}.weight"] = (theirs, "kernel")
        names[f"{ours}.bias"] = (theirs, "bias")
    return names


def _layer_weights(path: Path) -> dict[tuple[str, str], NDArray[np.float32]]:
    """(layer, weight) -> array, for every layer that the file names."""
    weights = {}
    with h5py.File(path, "r") as file:
        root = file.get("model_weights", file)  # a whole saved model keeps its weights one level down
        for name in root.attrs["layer_names"]:
            layer = name.decode() if isinstance(name, bytes) else str(name)
            group = root[layer]
            for entry in group.attrs["weight_names"]:
                dataset = entry.decode() if isinstance(entry, bytes) else str(entry)
                kind = dataset.rsplit("/", 1)[-1].split(":")[0]
                weights[layer, kind] = np.asarray(group[dataset], np.float32)
    return weights


def _to_torch(array: NDArray[np.float32]) -> Tensor:
    """Keras's kernels are (height, width, in, out) and (in, out); torch's start with `out`."""
    order = {4: (3, 2, 0, 1), 2: (1, 0)}.get(array.ndim)
    return torch.from_numpy(np.ascontiguousarray(array.transpose(order) if order else array))


def read_keras_state(path: Path) -> dict[str, Tensor]:
    """The weights of a Keras file under our parameters' names; raises WeightsError where one is absent."""
    try:
        weights = _layer_weights(path)
    except (OSError, KeyError) as error:
        raise WeightsError(
            f"{path} is no readable Keras weight file ({error}): name another in voice weights"
        ) from error
    state = {}
    for ours, (layer, kind) in keras_names().items():
        if (layer, kind) not in weights:
            raise WeightsError(f"{path} has no `{kind}` of layer `{layer}`: it belongs to another network")
        array = weights[layer, kind]
        state[ours] = torch.from_numpy(array) if ours == "pool.centres" else _to_torch(array)
    return state
