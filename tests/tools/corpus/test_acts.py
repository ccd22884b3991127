"""Acts: the mouth opens with the sound, eyes blink, heads stay up."""

import numpy as np
import pytest

from tools.corpus.acts import blinks, frame_count, loudness, perform
from tools.corpus.streams import stream
from tools.corpus.waveforms import RATE


@pytest.fixture
def waveform() -> np.ndarray:
    """A second of noise, a second of silence, a second of noise."""
    noise = stream(0, "test speech").standard_normal(3 * RATE) * 0.1
    noise[RATE : 2 * RATE] = 0
    return noise


def test_there_is_one_act_a_frame_to_the_end_of_the_sound(waveform: np.ndarray) -> None:
    assert len(perform(waveform, 12, 0.0, stream(0, "acts"))) == 36
    assert frame_count(np.zeros(RATE + 1), 12) == 13


def test_the_jaw_is_open_in_speech_and_shut_in_silence(waveform: np.ndarray) -> None:
    jaw = np.array([act.units["jawOpen"] for act in perform(waveform, 12, 0.0, stream(0, "acts"))])
    assert jaw[2:10].min() > 0.2
    assert jaw[15:21].max() < 0.02


def test_loudness_matches_a_plain_loop(waveform: np.ndarray) -> None:
    level = []
    for frame in range(36):
        start = int(frame * RATE / 12) - 1200
        window = waveform[max(0, start) : start + 2400]
        level.append(np.sqrt(sum(float(x) ** 2 for x in window) / len(window) + 1e-9))
    np.testing.assert_allclose(loudness(waveform, 12), np.array(level) / np.percentile(level, 95), rtol=1e-9)


def test_eyes_blink_and_open_again() -> None:
    closure = blinks(np.arange(120) / 12, stream(0, "blinks"))
    assert closure.max() > 0.5
    assert (closure == 0).mean() > 0.7


def test_both_sides_move_alike_and_units_stay_in_range(waveform: np.ndarray) -> None:
    for act in perform(waveform, 12, 0.4, stream(3, "acts")):
        assert act.units["mouthSmileLeft"] == act.units["mouthSmileRight"] == 0.4
        assert act.units["eyeBlinkLeft"] == act.units["eyeBlinkRight"]
        assert all(0 <= amount <= 1 for amount in act.units.values())
        assert max(abs(act.yaw), abs(act.pitch), abs(act.roll)) < 0.1


def test_the_same_stream_acts_the_same(waveform: np.ndarray) -> None:
    assert perform(waveform, 12, 0.1, stream(0, "acts")) == perform(waveform, 12, 0.1, stream(0, "acts"))
