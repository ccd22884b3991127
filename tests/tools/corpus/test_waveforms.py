"""Sound after the voice: trimmed, tilted, recorded without clipping."""

import numpy as np
import pytest

from tools.corpus.streams import stream
from tools.corpus.waveforms import LEAD, RATE, TAIL, recorded, tilted, trim


def _tone(frequency: float, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)


def test_trim_leaves_the_stated_silence_on_both_sides() -> None:
    silence = np.zeros(RATE)
    speech = np.ones(RATE // 2)
    trimmed = trim(np.concatenate([silence, speech, silence]))
    assert len(trimmed) == len(speech) - 1 + int(LEAD * RATE) + int(TAIL * RATE)
    assert np.flatnonzero(trimmed)[0] == int(LEAD * RATE)


def test_trim_does_not_read_before_the_start() -> None:
    speech = np.ones(100)
    np.testing.assert_array_equal(trim(speech), speech)


@pytest.mark.parametrize(("frequency", "octaves"), [(500, -1), (1000, 0), (2000, 1), (4000, 2)])
def test_tilt_is_so_many_decibels_an_octave_around_one_kilohertz(frequency: float, octaves: int) -> None:
    gain = np.sqrt((tilted(_tone(frequency), 3.0) ** 2).mean() / (_tone(frequency) ** 2).mean())
    assert 20 * np.log10(gain) == pytest.approx(3.0 * octaves, abs=0.01)


def test_tilt_and_its_opposite_cancel() -> None:
    noise = stream(0, "test noise").standard_normal(5001)  # odd length
    np.testing.assert_allclose(tilted(tilted(noise, 2.5), -2.5)[:5001], noise, atol=1e-9)


def test_a_recording_never_clips_and_is_never_silent() -> None:
    for clip in range(200):
        waveform = recorded(_tone(200, 0.5) * 40, stream(1, "test recording", 1, clip))
        assert waveform.dtype == np.float32
        assert 0.3 < np.abs(waveform).max() < 0.999
