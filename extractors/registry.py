"""Extractors by the name that params.yaml uses: a new one is one file and one line here.

The classes are imported only when asked for: model families drag in libraries that other stages do not need.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Protocol, TypeVar, cast

import numpy as np
import torch

from extractors.faces.face import Detection
from pipeline.errors import ConfigError
from pipeline.settings import DetectFacesSettings, EmbedFacesSettings, EmbedVoicesSettings, Section


class Detector(Protocol):
    """Frames in, the chosen face of each out."""

    name: str

    def fingerprint(self) -> str:
        """Hex digest of everything that decides the result but the frame: code version, weights, numbers."""
        ...

    def __call__(self, frames: Sequence[np.ndarray]) -> list[Detection | None]:
        """Face of each RGB uint8 frame (H, W, 3), in px of that frame; None where there is none."""
        ...


class Embedder(Protocol):
    """Face crops (160, 160, 3) uint8, or waveforms (T,) float32, in; unit vectors out."""

    name: str
    dimension: int
    weights_label: str  # what the report says of the weights

    def fingerprint(self) -> str:
        """Hex digest of everything that decides the result but the medium."""
        ...

    def __call__(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        """Embeddings (B, dimension), float32, finite, of unit norm."""
        ...


class VoiceEmbedder(Embedder, Protocol):
    """An embedder of waveforms."""

    sample_rate: int  # Hz


DETECTORS = {"mtcnn": "extractors.faces.mtcnn:FaceDetector", "none": "extractors.faces.whole_image:WholeImage"}
FACE_EMBEDDERS = {"facenet": "extractors.faces.facenet:FaceNet"}
VOICE_EMBEDDERS = {"utterance_aggregator": "extractors.voices.utterance_aggregator:VoiceExtractor"}

SectionT = TypeVar("SectionT", bound=Section)


def face_detector(settings: DetectFacesSettings, device: torch.device) -> Detector:
    """The detector that `detect_faces.detector` names."""
    return cast(Detector, _build(DETECTORS, "detect_faces.detector", settings.detector, settings, device))


def face_embedder(settings: EmbedFacesSettings, device: torch.device) -> Embedder:
    """The face extractor that `embed_faces.extractor` names; raises ConfigError for an unknown one."""
    return cast(Embedder, _build(FACE_EMBEDDERS, "embed_faces.extractor", settings.extractor, settings, device))


def voice_embedder(settings: EmbedVoicesSettings, device: torch.device) -> VoiceEmbedder:
    """The voice extractor that `embed_voices.extractor` names; raises ConfigError for an unknown one."""
    return cast(VoiceEmbedder, _build(VOICE_EMBEDDERS, "embed_voices.extractor", settings.extractor, settings, device))


def _build(known: dict[str, str], key: str, name: str, settings: SectionT, device: torch.device) -> object:
    if name not in known:
        raise ConfigError(f"{key}: no extractor {name!r}; known are {', '.join(sorted(known))}")
    module, _, attribute = known[name].partition(":")
    build: Callable[[SectionT, torch.device], object] = getattr(import_module(module), attribute)
    return build(settings, device)
