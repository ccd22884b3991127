"""Copies with another pitch and another tract: what moves, what stays, and that a copy is the same again."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter

from pipeline.errors import ManifestError
from tests.tools.voice_encoder.recordings import write
from tools.voice_encoder import warp
from tools.voice_encoder.recipe import load_recipe
from tools.voice_encoder.speakers import part, utterances
from tools.voice_encoder.trials import read

RATE = 16000
needs_world = pytest.mark.skipif(
    importlib.util.find_spec("pyworld") is None, reason="needs pyworld (tools/voice_encoder/requirements.txt)"
)


def vowel(pitch: float, formant: float, seconds: float = 1.5) -> np.ndarray:
    """Pulses through one resonance."""
    pulses = (np.arange(round(seconds * RATE)) % round(RATE / pitch) == 0).astype(float)
    radius, angle = np.exp(-np.pi * 120 / RATE), 2 * np.pi * formant / RATE
    sound = lfilter([1.0], [1.0, -2 * radius * np.cos(angle), radius**2], pulses)
    return (sound / np.abs(sound).max() * 0.5).astype(np.float32)


def pitch_of(sound: np.ndarray) -> float:
    """By the autocorrelation, 90 to 180 Hz."""
    middle = sound[RATE // 2 : RATE].astype(float)
    found = np.correlate(middle, middle, "full")[len(middle) - 1 :]
    shortest = RATE // 180
    return RATE / (shortest + int(np.argmax(found[shortest : RATE // 90])))


def formant_of(sound: np.ndarray) -> float:
    """Where most power lies, of a spectrum smoothed over 300 Hz."""
    power = np.abs(np.fft.rfft(sound[RATE // 2 : RATE])) ** 2
    smooth = np.convolve(power, np.hanning(150), "same")
    return float(np.argmax(smooth) * 2)


def test_spectra_are_stretched_along_frequency() -> None:
    spectrum = np.exp(-((np.arange(513) - 100) ** 2) / 50)[None]
    assert np.argmax(warp.stretched(spectrum, 1.2)) == 120 and np.argmax(warp.stretched(spectrum, 0.8)) == 80
    np.testing.assert_allclose(warp.stretched(spectrum, 1.0), spectrum)
    ramp = np.arange(513.0)[None]
    np.testing.assert_allclose(warp.stretched(ramp, 0.5)[0, 256:], 512.0)
    np.testing.assert_allclose(warp.stretched(ramp, 2.0)[0], np.arange(513) / 2)


def test_factors_are_a_recordings_own_and_within_the_recipes_bounds() -> None:
    bounds = load_recipe().warps
    found = [warp.drawn(bounds, digest * 32, copy) for digest in ("0f", "a7") for copy in range(1, 200)]
    for factors, (low, high) in zip(zip(*found, strict=True), bounds.model_dump().values(), strict=True):
        assert low <= min(factors) < low * 1.05 and high / 1.05 < max(factors) <= high
    assert len(set(found)) == len(found) and warp.drawn(bounds, "ab" * 32, 3) == warp.drawn(bounds, "ab" * 32, 3)


@needs_world
@pytest.mark.parametrize(("pitch", "tract"), [(1.3, 1.0), (1.0, 1.15), (0.8, 0.87)])
def test_pitch_and_formants_move_apart_from_each_other(pitch: float, tract: float) -> None:
    sound = vowel(125.0, 1000.0)
    made = warp.warped(warp.analysed(sound), pitch, tract, 1.0)
    assert len(made) == len(sound) and made.dtype == np.float32
    assert pitch_of(made) == pytest.approx(125.0 * pitch, rel=0.02)
    assert formant_of(made) == pytest.approx(1000.0 * tract, rel=0.06)


@needs_world
def test_held_out_speakers_are_never_warped_and_copies_are_made_once(
    speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    other = write(tmp_path / "others" / "anna.wav", 2.0)
    warp.warp(tmp_path / "made", speech, [other.parent], 2)
    training = {one.path.stem for one in part(utterances(speech), "train")}
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "made").iterdir()}
    assert {path.stem.rsplit("-", 2)[0] for path in made} == training | {"anna"}
    assert len(made) == 2 * (len(training) + 1)
    first, second = (read(path) for path in sorted(made)[-2:])
    assert len(first) == len(second) and not np.array_equal(first, second)
    warp.warp(tmp_path / "made", speech, [other.parent], 2)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "made").iterdir()} == made


def test_nothing_to_warp_is_said(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="give --speech, --others or both"):
        warp.warp(tmp_path / "made", None, [], 1)
