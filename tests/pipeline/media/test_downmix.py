"""Several channels to one, and channels that cancel each other."""

import numpy as np
import pytest

from pipeline.media.downmix import Downmix


def channels(count: int, samples: int = 4000, seed: int = 0) -> np.ndarray:
    """Independent noise (C, n) float32."""
    return np.random.default_rng(seed).standard_normal((count, samples)).astype(np.float32) * 0.1


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_channels_become_their_mean(count: int) -> None:
    planes = channels(count)
    np.testing.assert_allclose(Downmix()(planes), planes.astype(np.float64).mean(axis=0), atol=1e-7)


def test_the_mean_leaves_the_low_frequency_channel_out() -> None:
    planes = channels(6)
    planes[3] *= 10
    kept = np.stack([plane for number, plane in enumerate(planes) if number != 3])
    np.testing.assert_allclose(Downmix()(planes, 3), kept.astype(np.float64).mean(axis=0), atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("block", [1000, 4000])
@pytest.mark.parametrize("louder", [0, 1])
def test_a_channel_and_its_negative_cancel_and_the_louder_one_is_named(block: int, louder: int, dtype: type) -> None:
    voice = channels(1)[0] + np.float32(0.01)
    planes = np.stack([voice, -voice]).astype(dtype)
    planes[louder] *= 1.2
    mix = Downmix()
    for start in range(0, planes.shape[1], block):
        mix(planes[:, start : start + block])
    assert mix.loudest_of_cancelled == louder
    np.testing.assert_array_equal(Downmix(louder)(planes), planes[louder].astype(np.float32))


def test_the_loudest_of_cancelled_channels_is_never_the_low_frequency_one() -> None:
    voice, rumble = channels(1)[0], channels(1, seed=1)[0]
    mix = Downmix()
    mix(np.stack([voice, -1.1 * voice, 10 * rumble]), 2)
    assert mix.loudest_of_cancelled == 1


@pytest.mark.parametrize(
    "mixed",
    [
        lambda left, right: [left, right],  # independent
        lambda left, right: [left, left],
        lambda left, right: [left, 0 * left],  # one microphone of two
        lambda left, right: [0 * left, 0 * left, left, 0 * left, 0 * left],  # the centre of five
        lambda left, right: [left, -0.4 * left + right],  # mostly another sound
        lambda left, right: [left + right, left - right],  # the middle and the side of one recording
        lambda left, right: [left, np.roll(left, 40) + 0.5 * right],  # microphones at a distance
        lambda left, right: [0 * left, 0 * left],
        lambda left, right: [left],
    ],
)
def test_what_leaves_its_sound_in_the_mean_does_not_cancel(mixed) -> None:
    mix = Downmix()
    mix(np.stack(mixed(channels(1)[0], channels(1, seed=1)[0])))
    assert mix.loudest_of_cancelled is None


@pytest.mark.parametrize("decibels", [-6, -9, -12, -20])
@pytest.mark.parametrize("hum", [True, False])
def test_a_noise_that_both_channels_share_does_not_hide_that_the_voice_cancels(decibels: int, hum: bool) -> None:
    voice, noise = channels(2, 16000)
    if hum:
        noise = np.float32(0.1 * 2**0.5) * np.sin(np.arange(16000) * 2 * np.pi * 50 / 16000, dtype=np.float32)
    noise *= np.float32(10 ** (decibels / 20))
    mix = Downmix()
    mix(np.stack([voice + noise, -1.01 * voice + noise]))
    assert mix.loudest_of_cancelled is not None
    heard = Downmix(mix.loudest_of_cancelled)(np.stack([voice + noise, -1.01 * voice + noise]))
    assert abs(np.corrcoef(heard, voice)[0, 1]) > 0.85


@pytest.mark.parametrize("room", [0.0, 0.1, 1.0, 3.0, 10.0])
def test_ordinary_stereo_is_averaged_however_loud_its_room(room: float) -> None:
    voice, left, right = channels(3, 16000)
    mix = Downmix()
    mix(np.stack([voice + np.float32(room) * left, 0.7 * voice + np.float32(room) * right]))
    assert mix.loudest_of_cancelled is None


def test_of_a_voice_and_its_weaker_negative_the_louder_is_heard() -> None:
    voice = channels(1)[0]
    mix = Downmix()
    mix(np.stack([-0.5 * voice, voice]))
    assert mix.loudest_of_cancelled == 1


def test_a_stream_whose_channels_change_goes_on() -> None:
    mix = Downmix()
    voice = channels(1)[0]
    for planes in (np.stack([voice, -voice]), voice[None], channels(6)):
        assert mix(planes).shape == voice.shape
    assert mix.loudest_of_cancelled == 0
