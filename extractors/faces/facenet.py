"""FaceNet: face crops in, one 512-d vector of each face out.

Schroff et al., "FaceNet: A Unified Embedding for Face Recognition and Clustering" (2015), as InceptionResnetV1 of
facenet-pytorch.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from extractors.deterministic import exact_inference
from extractors.faces.crop import CROP_SIZE, CROP_VERSION
from extractors.faces.facenet_weights import facenet_weights
from extractors.fingerprints import fingerprint_of
from pipeline.errors import ExtractionError, WeightsError
from pipeline.runtime.compat import import_facenet_pytorch
from pipeline.settings import EmbedFacesSettings

_VERSION = 1  # raise it when the same weights would give other vectors
_MEAN, _SCALE = 127.5, 128.0  # of the pixels: fixed_image_standardization of facenet-pytorch
_AT_ONCE = 64  # crops; bounds memory whatever one call brings
_NORM_TOLERANCE = 1e-3


class FaceNet:
    """Face crops (160, 160, 3) RGB uint8 -> (B, 512) float32 of unit norm."""

    name = "facenet"
    dimension = 512
    image_size = CROP_SIZE  # px

    def __init__(self, settings: EmbedFacesSettings, device: torch.device) -> None:
        """Fetches the weights if they are not there yet; raises WeightsError where that fails or they do not fit."""
        weights = facenet_weights(settings.weights)
        network = import_facenet_pytorch().InceptionResnetV1(pretrained=None).eval()
        try:
            network.load_state_dict(weights.tensors)
        except RuntimeError as error:
            raise WeightsError(f"embed_faces.weights: {settings.weights} is no InceptionResnetV1: {error}") from error
        self.weights_label = weights.label
        self._digest = weights.digest
        self._margin = settings.margin
        self._device = device
        self._network: nn.Module = network.to(device=device, memory_format=torch.channels_last)

    def fingerprint(self) -> str:
        """Hex digest of code versions, weights and every number of crop and normalisation."""
        return fingerprint_of(
            {
                "name": self.name,
                "version": _VERSION,
                "weights": self._digest,
                "crop": {"version": CROP_VERSION, "size": CROP_SIZE, "margin": self._margin},
                "normalisation": [_MEAN, _SCALE],
            }
        )

    def __call__(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """Embeddings (B, 512) of B crops; raises ExtractionError if one has no direction (NaN, infinite or zero)."""
        parts = [crops[start : start + _AT_ONCE] for start in range(0, len(crops), _AT_ONCE)]
        vectors = np.concatenate([np.zeros((0, self.dimension), np.float32), *map(self._embed, parts)])
        broken = np.flatnonzero(~(np.abs(np.linalg.norm(vectors, axis=1) - 1) < _NORM_TOLERANCE))
        if broken.size:
            raise ExtractionError(
                f"FaceNet gave no unit vector for crop {broken[0]} of {len(crops)}: check its weights"
            )
        return vectors

    def _embed(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        pixels = np.stack(crops)  # (B, 160, 160, 3)
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (CROP_SIZE, CROP_SIZE, 3):
            raise ExtractionError(f"face crops must be uint8 (160, 160, 3), not {pixels.dtype} {pixels.shape[1:]}")
        with exact_inference():
            images = (
                torch.from_numpy(pixels).to(self._device).permute(0, 3, 1, 2)
            )  # channels last, as it lies in memory
            vectors: np.ndarray = self._network((images.float() - _MEAN) / _SCALE).cpu().numpy()
        return vectors
