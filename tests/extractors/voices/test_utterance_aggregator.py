"""The voice network against the published one's outputs, and its parts against loops."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from extractors.voices.aggregator_network import GhostVLAD, UtteranceAggregator, folded, untrained
from extractors.voices.aggregator_weights import aggregator_weights
from extractors.voices.utterance_aggregator import (
    AggregatedVoice,
    frame_spectrogram,
    load_keras_weights,
    spectrogram,
)
from extractors.voices.voice import windows
from pipeline.errors import MediaError
from tests.oracles import inputs, stored

ROOT = Path(__file__).resolve().parents[3]


def settings(**changes: object) -> AggregatedVoice.Options:
    options = {"weights": "untrained", "seed": 0, "max_seconds": 20.0, "precision": "float32"}
    return AggregatedVoice.Options.model_validate(options | changes)


def tone(seconds: float, hertz: float = 150.0) -> NDArray[np.float32]:
    time = np.arange(round(seconds * 16000)) / 16000
    wave = sum(np.sin(2 * np.pi * hertz * k * time + k) / k for k in range(1, 20))
    return (0.1 * np.asarray(wave) + 0.01 * np.random.default_rng(0).standard_normal(len(time))).astype(np.float32)


@pytest.fixture(scope="module")
def extractor() -> AggregatedVoice:
    return AggregatedVoice(settings(), torch.device("cpu"))


def with_trained_norms(seed: int) -> UtteranceAggregator:
    """An untrained network whose batch norms have statistics and scales as if it had been trained."""
    network, generator = untrained(seed), torch.Generator().manual_seed(seed)
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            for tensor in (part.running_mean, part.bias.data):
                tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))
            for tensor in (part.running_var, part.weight.data):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
    return network


@pytest.mark.parametrize("index", [0, 1])
def test_spectrogram_equals_the_official_one(index: int) -> None:
    found = spectrogram(inputs.waveforms()[index])[:, :: inputs.SPECTROGRAM_STEPS[index]]
    np.testing.assert_allclose(found, stored("aggregator")[f"spectrogram{index}"], atol=1e-5)


@pytest.mark.parametrize("index", [0, 1])
def test_embedding_equals_the_official_networks(keras_weights: Path, index: int) -> None:
    network = load_keras_weights(keras_weights)
    with torch.inference_mode():
        embedding = network(torch.from_numpy(spectrogram(inputs.waveforms()[index]))[None, None])[0].numpy()
    np.testing.assert_allclose(embedding, stored("aggregator")[f"embedding{index}"], atol=1e-5)


def test_official_weights_through_the_extractor(keras_weights: Path) -> None:
    """Its batch norms are folded into the convolutions, and it takes each waveform by itself."""
    embeddings = AggregatedVoice(settings(weights=str(keras_weights)), torch.device("cpu"))(inputs.waveforms())
    expected = [stored("aggregator")[f"embedding{index}"] for index in (0, 1)]
    np.testing.assert_allclose(embeddings, np.stack(expected), atol=1e-5)


def test_spectrogram_frames_are_windowed_fourier_magnitudes() -> None:
    waveform = np.random.default_rng(1).standard_normal(1600).astype(np.float32)
    both = np.concatenate([waveform, waveform[::-1]])
    padded = np.pad(both, 256, mode="reflect")
    window = np.zeros(512)
    window[56:456] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    result = spectrogram(waveform)
    assert result.shape == (257, 1 + len(both) // 160)
    for frame in range(result.shape[1]):
        magnitude = np.abs(np.fft.rfft(padded[frame * 160 : frame * 160 + 512] * window))
        expected = (magnitude - magnitude.mean()) / (magnitude.std() + 1e-5)
        np.testing.assert_allclose(result[:, frame], expected, atol=1e-4)


def test_spectrogram_of_a_batch_is_that_of_each() -> None:
    waveforms = torch.randn(3, 4000, generator=torch.Generator().manual_seed(0))
    together = frame_spectrogram(waveforms)
    for row in range(3):
        torch.testing.assert_close(together[row], frame_spectrogram(waveforms[row : row + 1])[0])


def test_ghostvlad_equals_the_loop_over_frames_and_clusters() -> None:
    generator = torch.Generator().manual_seed(0)
    pool = GhostVLAD(5, clusters=3, ghosts=2)
    features, scores = torch.randn(2, 5, 7, generator=generator), torch.randn(2, 5, 7, generator=generator)
    expected = torch.zeros(2, 3, 5)
    for item in range(2):
        for time in range(7):
            weights = torch.exp(scores[item, :, time]) / torch.exp(scores[item, :, time]).sum()
            for cluster in range(3):
                expected[item, cluster] += weights[cluster] * (features[item, :, time] - pool.centres[cluster])
    torch.testing.assert_close(pool.residuals(features, scores), expected)
    for cluster in range(3):
        block = pool.normalise(expected)[:, cluster * 5 : (cluster + 1) * 5]
        torch.testing.assert_close(block, expected[:, cluster] / expected[:, cluster].norm(dim=1, keepdim=True))


def test_ghosts_take_what_the_clusters_lose() -> None:
    pool = GhostVLAD(4, clusters=2, ghosts=1)
    features = torch.randn(1, 4, 6, generator=torch.Generator().manual_seed(0))
    scores = torch.tensor([0.0, 0.0, 40.0]).view(1, 3, 1).expand(1, 3, 6)  # every frame belongs to the ghost
    assert pool.residuals(features, scores).abs().max() < 1e-6


def test_network_has_the_published_size_and_gives_unit_non_negative_vectors() -> None:
    network = UtteranceAggregator().eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == 7_664_394
    with torch.inference_mode():
        embedding = network(torch.randn(2, 1, 257, 90))
    assert embedding.shape == (2, 512)
    assert embedding.min() >= 0
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(2))


def test_vectors_are_unit_finite_float32(extractor: AggregatedVoice) -> None:
    embeddings = np.array(extractor([tone(1.5), tone(2.0, 220.0)]))
    assert embeddings.shape == (2, extractor.dimension)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1.0, atol=1e-5)


def test_bytes_do_not_depend_on_the_rest_of_the_batch(extractor: AggregatedVoice) -> None:
    first, second = tone(1.2), tone(1.7, 200.0)
    together = extractor([first, second])
    assert together[0].tobytes() == extractor([first])[0].tobytes()
    assert together[1].tobytes() == extractor([second])[0].tobytes()


def test_untrained_network_tells_voices_apart(extractor: AggregatedVoice) -> None:
    low, low_again, high = extractor([tone(1.5, 110.0), tone(2.5, 110.0), tone(1.5, 240.0)])
    assert low @ low_again > low @ high


def test_long_utterance_is_cut_into_equal_windows_that_cover_it() -> None:
    waveform = np.arange(50_000, dtype=np.float32)
    parts = windows(waveform, 16_000, 20_000)
    assert [len(part) for part in parts] == [16667, 16667, 16666]
    np.testing.assert_array_equal(np.concatenate(parts), waveform)
    assert len(windows(waveform, 16_000, 50_000)) == 1


def test_windows_add_up_to_nearly_the_whole() -> None:
    utterance = tone(6.0)
    whole = AggregatedVoice(settings(max_seconds=20.0), torch.device("cpu"))([utterance])[0]
    parts = AggregatedVoice(settings(max_seconds=2.0), torch.device("cpu"))([utterance])[0]
    assert whole @ parts > 0.99  # only the frames next to a seam differ


def test_windows_memory_does_not_grow_with_the_utterance(monkeypatch: pytest.MonkeyPatch) -> None:
    extractor = AggregatedVoice(settings(max_seconds=1.0), torch.device("cpu"))
    seen: list[int] = []
    residuals = extractor._residuals

    class Counted:
        lanes = residuals.lanes

        def __call__(self, inputs: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
            seen.append(inputs.shape[3])
            return residuals(inputs)

    monkeypatch.setattr(extractor, "_residuals", Counted())
    extractor([tone(4.5)])
    assert len(seen) == 5
    assert max(seen) <= 1 + 2 * 16000 // 160


_MANY_LENGTHS = """
import time, numpy, psutil, torch
from extractors.voices.utterance_aggregator import AggregatedVoice
options = {"weights": "untrained", "seed": 0, "max_seconds": 20.0, "precision": "bfloat16"}
extractor = AggregatedVoice(AggregatedVoice.Options(**options), torch.device("cpu"))
noise = numpy.random.default_rng(0).standard_normal(2 * 16000).astype(numpy.float32)
extractor([noise, noise])  # of the longest: what an inference needs
before = psutil.Process().memory_info().rss
extractor([noise[: 16000 + 53 * number] for number in range(300)])
until = time.monotonic() + 30
while psutil.Process().memory_info().rss - before > 150e6 and time.monotonic() < until:
    time.sleep(0.5)  # OpenVINO's allocator gives back what it does not need some ten seconds later
print(psutil.Process().memory_info().rss - before)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_lengths() -> None:
    command = [sys.executable, "-c", _MANY_LENGTHS]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert int(done.stdout) < 150e6  # bytes; seen: 100e6, and 217e6 where code for every length was kept


def test_short_utterance_is_repeated_to_a_second(extractor: AggregatedVoice) -> None:
    short = tone(0.3)
    repeated = np.concatenate([short] * 4)[:16000]
    np.testing.assert_array_equal(extractor([short]), extractor([repeated]))


@pytest.mark.parametrize(("precision", "least"), [("float32", 0.9999999), ("bfloat16", 0.9995)])
def test_vectors_are_those_of_the_whole_network_in_torch(precision: str, least: float) -> None:
    waveforms = [tone(1.3), tone(2.1, 220.0), tone(1.0, 330.0)]
    extractor = AggregatedVoice(settings(weights="distilled", precision=precision), torch.device("cpu"))
    network = aggregator_weights("distilled", 0)[1]()
    with torch.inference_mode():
        inputs = [frame_spectrogram(torch.from_numpy(np.concatenate([one, one[::-1]]))[None]) for one in waveforms]
        reference = np.stack([network(one[None])[0].numpy() for one in inputs]).astype(np.float64)
    given = np.array(extractor(waveforms)).astype(np.float64)
    norms = np.linalg.norm(given, axis=1) * np.linalg.norm(reference, axis=1)
    assert ((given * reference).sum(axis=1) / norms).min() > least


def test_spectrogram_of_an_utterance_is_that_of_a_batch_in_torch() -> None:
    waveform = tone(1.7)
    both = torch.from_numpy(np.concatenate([waveform, waveform[::-1]]))
    found = spectrogram(waveform)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, frame_spectrogram(both[None])[0].numpy(), atol=1e-4)


@pytest.mark.parametrize("waveform", [np.zeros(16000, np.float32), np.zeros(0, np.float32), np.full(9, np.nan, "f")])
def test_silent_empty_or_broken_audio_costs_its_item_alone(
    extractor: AggregatedVoice, waveform: NDArray[np.float32]
) -> None:
    sound, error = extractor([tone(1.0), waveform])
    assert isinstance(sound, np.ndarray) and isinstance(error, MediaError)


def test_real_voices_become_unit_vectors(shared: Path, extractor: AggregatedVoice) -> None:
    soundfile = pytest.importorskip("soundfile")
    paths = sorted((shared / "data" / "librispeech").glob("*.flac"))[:3]
    embeddings = np.array(extractor([soundfile.read(path, dtype="float32", stop=64000)[0] for path in paths]))
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1.0, atol=1e-5)
    assert len({row.tobytes() for row in embeddings}) == 3


def test_untrained_activations_stay_sane() -> None:
    with torch.inference_mode():
        maps = untrained(0).backbone(torch.from_numpy(spectrogram(tone(2.0)))[None, None])
    assert 0.05 < maps.std() < 50


def test_folded_network_equals_the_network_to_rounding() -> None:
    network = with_trained_norms(5)
    spectrograms = torch.randn(2, 1, 257, 120, generator=torch.Generator().manual_seed(6))
    fast = folded(network)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in fast.modules())
    assert any(isinstance(part, torch.nn.BatchNorm2d) for part in network.modules())  # the original stays
    with torch.inference_mode():
        torch.testing.assert_close(fast(spectrograms), network(spectrograms), rtol=0, atol=1e-6)
