"""The aggregator's input: magnitudes of a short-time Fourier transform, normalised frame by frame."""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

SAMPLE_RATE = 16000  # Hz
FFT = 512  # samples
WINDOW = 400  # samples, Hann
HOP = 160  # samples
BINS = FFT // 2 + 1
NORM_EPSILON = 1e-5


@cache
def _hann(device: torch.device) -> Tensor:
    return torch.hann_window(WINDOW, device=device)


def frame_spectrogram(waveforms: Tensor) -> Tensor:
    """(B, S) float32 at 16 kHz -> (B, 257, 1 + S // 160), zero mean and unit deviation over each frame's bins.

    Reflect padding is librosa's of the time of the published weights; its default has since become zeros.
    Source: WeidiXie/VGG-Speaker-Recognition, src/utils.py.
    """
    padded = F.pad(waveforms[:, None], (FFT // 2, FFT // 2), mode="reflect")[:, 0]
    spectrum = torch.stft(padded, FFT, HOP, WINDOW, window=_hann(waveforms.device), center=False, return_complex=True)
    magnitude = spectrum.abs()  # (B, 257, T)
    deviation, mean = torch.std_mean(magnitude, dim=1, keepdim=True, correction=0)
    return (magnitude - mean) / (deviation + NORM_EPSILON)


def spectrogram(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Evaluation input of one utterance: (S,) float32 at 16 kHz -> (257, T) of the utterance and then its reverse.

    Source: WeidiXie/VGG-Speaker-Recognition, src/utils.py (mode `eval`).
    """
    both = np.concatenate([waveform, waveform[::-1]]).astype(np.float32, copy=False)
    normalised: NDArray[np.float32] = frame_spectrogram(torch.from_numpy(both)[None])[0].numpy()
    return normalised
