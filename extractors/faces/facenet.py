"""FaceNet: face crops in, one 512-d vector of each face out.

Schroff et al., "FaceNet: A Unified Embedding for Face Recognition and Clustering" (2015), as InceptionResnetV1 of
facenet-pytorch.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from extractors.base import ExtractorOptions, Weights
from extractors.faces.crop import SquareCrop
from extractors.faces.face import FACE_EXTRACTORS, FaceExtractor
from extractors.faces.facenet_weights import facenet_weights, read_facenet
from extractors.inference import Precision, kept_network, side_by_side
from extractors.pretrained import load_into, require_unchanged
from pipeline.errors import ExtractionError
from pipeline.runtime.compat import import_facenet_pytorch

SIZE = 160  # px, sides of its input
_MEAN, _SCALE = 127.5, 128.0  # of the pixels: fixed_image_standardization of facenet-pytorch
_GPU_BATCH = 256  # crops; fills a GPU, and bounds memory whatever one call brings


class FromPixels(nn.Module):
    """Crops (B, 160, 160, 3) RGB uint8 -> vectors (B, 512) of unit norm."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> Tensor:
        vectors: Tensor = self.network((crops.permute(0, 3, 1, 2).float() - _MEAN) / _SCALE)
        return vectors


@FACE_EXTRACTORS.register("facenet")
class FaceNet(FaceExtractor):
    """Face crops (160, 160, 3) RGB uint8 -> vectors (512,) float32 of unit norm."""

    version = 2
    independent = True
    dimension = 512

    class Options(ExtractorOptions):
        """Its keys of `embed_faces:`."""

        weights: str  # casia-webface | vggface2 | path
        margin: Annotated[int, Field(ge=0, lt=SIZE)]  # px of the 160 px crop, facenet-pytorch's meaning
        precision: Precision

    options: Options

    def load(self) -> Weights:
        """Fetches the weights if they are not there yet; raises WeightsError where that fails or they do not fit."""
        weights, self._file = facenet_weights(self.options.weights)
        self._digest = weights.digest
        example, identity = torch.zeros(1, SIZE, SIZE, 3, dtype=torch.uint8), self.identity(weights)
        run = kept_network("facenet", identity, lambda: self.module, example, self.device, self.options.precision)
        self._network, self.backend = run, run.backend
        return weights

    @cached_property
    def module(self) -> FromPixels:
        """The network in torch."""
        network = import_facenet_pytorch().InceptionResnetV1(pretrained=None)
        load_into(network, read_facenet(self._file), f"embed_faces.weights: {self.options.weights}")
        require_unchanged(self._file, self._digest)
        return FromPixels(network).eval()

    def preparer(self) -> SquareCrop:
        """The box and its margin, resized to 160 px."""
        return SquareCrop(SIZE, self.options.margin)

    def __call__(self, batch: Sequence[np.ndarray]) -> list[np.ndarray]:
        """One vector (512,) of each crop; raises ExtractionError for crops of another shape or type."""
        size = 1 if self._network.alone else _GPU_BATCH
        parts = [batch[start : start + size] for start in range(0, len(batch), size)]
        return [vector for part in side_by_side(self._embed, parts, self._network.lanes) for vector in part]

    def _embed(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        pixels = np.stack(crops)  # (B, 160, 160, 3)
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (SIZE, SIZE, 3):
            raise ExtractionError(f"face crops must be uint8 (160, 160, 3), not {pixels.dtype} {pixels.shape[1:]}")
        (vectors,) = self._network(pixels)
        if self.options.precision == "bfloat16":  # in torch on a CPU the norm is a bfloat16, too: off by up to .003
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors
