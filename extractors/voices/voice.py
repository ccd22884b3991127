"""Who embeds voices: the contract of every voice extractor, and how one is found by its name."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from extractors.base import Extractor
from extractors.registry import Registry
from pipeline.errors import MediaError
from pipeline.extraction.decoding import PrepareVoice
from pipeline.settings import EmbedVoicesSettings

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class WholeUtterance:
    """The waveform as it is: its features are made beside the model."""

    version: ClassVar[int] = 1

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        """(T,) as it came."""
        return waveform


class VoiceExtractor(Extractor):
    """Utterances in, unit vectors out."""

    sample_rate: int  # Hz, of the waveforms that it takes
    dimension: int

    def preparer(self) -> PrepareVoice:
        """What a decode worker makes of the waveform (T,) float32 at `sample_rate`; by default nothing."""
        return WholeUtterance()

    @abstractmethod
    def __call__(self, batch: Sequence[np.ndarray]) -> Sequence[np.ndarray | MediaError]:
        """The vector (dimension,), of unit norm, of each input, or the MediaError that says why it has none."""


VOICE_EXTRACTORS: Registry[VoiceExtractor] = Registry("extractors.voices", "embed_voices", "extractor")


def voice_extractor(settings: EmbedVoicesSettings, device: "torch.device") -> VoiceExtractor:
    """The extractor that `embed_voices.extractor` names; raises ConfigError as Registry.build does."""
    return VOICE_EXTRACTORS.build(settings.extractor, settings.options, device)


def windows(waveform: NDArray[np.float32], shortest: int, longest: int) -> list[NDArray[np.float32]]:
    """(T,) -> equal windows of at most `longest` samples that cover it, or a short utterance repeated to `shortest`."""
    if len(waveform) < shortest:
        return [np.resize(waveform, shortest)]
    return np.array_split(waveform, -(-len(waveform) // max(longest, shortest)))


def silence(waveform: NDArray[np.float32]) -> MediaError | None:
    """The error of a waveform that holds no sound, or values that are not finite; None for a sound one."""
    if np.any(waveform) and np.isfinite(waveform).all():
        return None
    return MediaError("it is silent (or not finite): nothing to embed")
