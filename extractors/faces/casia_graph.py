"""FaceNet's published TensorFlow graph to the tensors of facenet_pytorch's InceptionResnetV1.

The graph is frozen and its batch norms are folded into kernels and offsets. OpenCV's reader parses it and hands out
every layer's blobs, so no TensorFlow is needed. Layer names are those of github.com/davidsandberg/facenet,
src/models/inception_resnet_v1.py.
"""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from pipeline.errors import WeightsError

_SCOPE = "InceptionResnetV1/"
_FOLDED_VARIANCE_EPSILON = 1e-3  # of every batch norm of the network
_STAGES = {"Repeat": "repeat_1", "Repeat_1": "repeat_2", "Repeat_2": "repeat_3"}  # TensorFlow numbers from nothing
_BRANCH_DEPTH = 2  # a name's parts within a branch: Branch_0/Conv2d_0a_1x1


def read_casia_graph(path: Path) -> dict[str, np.ndarray]:
    """Tensors of InceptionResnetV1 by its own parameter names, float32, from the frozen graph at `path`.

    Raises WeightsError if OpenCV cannot read the graph or it is not FaceNet's.
    """
    blobs = _layer_blobs(path)
    convolutions = [name for name in blobs if name.endswith("/Conv2D")]
    if not convolutions or f"{_SCOPE}Bottleneck/MatMul" not in blobs:
        raise WeightsError(f"{path}: not the frozen graph of FaceNet; it has no {_SCOPE} layers")
    tensors: dict[str, np.ndarray] = {}
    for name, target in _targets(convolutions).items():
        kernel, offset = blobs[name]  # (out, in, height, width), (out,)
        tensors |= _projection(target, kernel, offset) if target.endswith("conv2d") else _block(target, kernel, offset)
    tensors["last_linear.weight"] = blobs[f"{_SCOPE}Bottleneck/MatMul"][0]  # (512, 1792)
    mean, variance, offset = blobs[f"{_SCOPE}Bottleneck/BatchNorm/cond/FusedBatchNorm_1"]  # (512,) each, no scale
    return tensors | _batch_norm("last_bn", np.ones_like(mean), offset, mean, variance)


def _layer_blobs(path: Path) -> dict[str, list[np.ndarray]]:
    """Blobs of every layer that has any, flattened where they are vectors."""
    try:
        network = cv2.dnn.readNetFromTensorflow(str(path))
    except cv2.error as error:
        raise WeightsError(f"{path}: OpenCV cannot read it as a TensorFlow graph ({error})") from error
    layers = {name: network.getLayer(name).blobs for name in network.getLayerNames()}
    return {name: [np.array(blob, np.float32) for blob in found] for name, found in layers.items() if found}


def _targets(names: Iterable[str]) -> dict[str, str]:
    """Module of InceptionResnetV1 that each convolution belongs to.

    In a branch of one convolution the module is the branch itself, else its n-th child in the order of the layers'
    names (0a, 0b, 0c, 1a).
    """
    siblings: dict[str, list[str]] = {}
    for name in sorted(names):
        siblings.setdefault(name.removesuffix("/Conv2D").rpartition("/")[0], []).append(name)
    targets = {}
    for scope, members in siblings.items():
        parts = scope.removeprefix(_SCOPE).split("/")
        for position, name in enumerate(members):
            layer = name.split("/")[-_BRANCH_DEPTH]
            if parts[-1].startswith("Branch_"):
                ending = [parts[-1].lower().replace("_", "")] + ([str(position)] if len(members) > 1 else [])
                targets[name] = ".".join([*_module(parts[:-1]), *ending])
            elif scope == _SCOPE.rstrip("/"):
                targets[name] = "_".join(layer.lower().split("_")[:2])  # Conv2d_1a_3x3 -> conv2d_1a
            else:
                targets[name] = ".".join([*_module(parts), "conv2d"])
    return targets


def _module(parts: list[str]) -> list[str]:
    """Repeat_1/block17_3 -> repeat_2, 2; Mixed_6a -> mixed_6a."""
    if parts[0] not in _STAGES:
        return [parts[0].lower()]
    return [_STAGES[parts[0]], str(int(parts[1].rpartition("_")[2]) - 1)]


def _projection(target: str, kernel: np.ndarray, offset: np.ndarray) -> dict[str, np.ndarray]:
    return {f"{target}.weight": kernel, f"{target}.bias": offset}


def _block(target: str, kernel: np.ndarray, offset: np.ndarray) -> dict[str, np.ndarray]:
    """Convolution and a batch norm that only adds the offset: its scale undoes the division by sqrt(1 + epsilon)."""
    scale = np.full_like(offset, np.sqrt(1.0 + _FOLDED_VARIANCE_EPSILON))
    norm = _batch_norm(f"{target}.bn", scale, offset, np.zeros_like(offset), np.ones_like(offset))
    return {f"{target}.conv.weight": kernel} | norm


def _batch_norm(
    target: str, weight: np.ndarray, bias: np.ndarray, mean: np.ndarray, variance: np.ndarray
) -> dict[str, np.ndarray]:
    named = {"weight": weight, "bias": bias, "running_mean": mean, "running_var": variance}
    return {f"{target}.{key}": value.reshape(-1) for key, value in named.items()}
