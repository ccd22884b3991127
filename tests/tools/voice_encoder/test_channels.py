"""Rooms, noise, microphones, lines and codecs: each does what its name and its numbers say."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import StoreError
from tools.voice_encoder import channels
from tools.voice_encoder.alterations import mix
from tools.voice_encoder.channels import Channel
from tools.voice_encoder.codecs import CODECS, through_codec
from tools.voice_encoder.recipe import ChannelSettings, load_recipe
from tools.voice_encoder.rooms import Rooms, load_rooms, save_rooms

RECIPE = load_recipe()
PARTS = ("room", "far_field", "noise", "talker", "microphone", "clipping", "line", "codec")
SPEECH = np.random.default_rng(0).standard_normal(16000).astype(np.float32) * 0.1
OTHERS = [np.random.default_rng(seed).standard_normal(16000).astype(np.float32) for seed in range(1, 5)]
TIME = np.arange(16000) / 16000
ECHO = Rooms((np.array([1.0, 0.0, 0.5], np.float32),))


def only(part: str | None) -> ChannelSettings:
    """The recipe's channels with one part for certain and the others never."""
    return RECIPE.channels.model_copy(update={name: float(name == part) for name in PARTS})


def tone(frequency: float) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency * TIME)).astype(np.float32)


def level(waveform: np.ndarray) -> float:
    """Power in dB."""
    return float(10 * np.log10(np.mean(np.square(waveform, dtype=np.float64)) + 1e-20))


def test_a_seed_gives_one_channel_and_other_seeds_others() -> None:
    channel = Channel(RECIPE.channels, ECHO)
    heard = {channel(SPEECH, OTHERS, np.random.default_rng(seed)).tobytes() for seed in range(20)}
    assert len(heard) == 20
    for seed in range(20):
        assert channel(SPEECH, OTHERS, np.random.default_rng(seed)).tobytes() in heard


def test_length_type_and_finiteness_stay_also_for_silence() -> None:
    channel = Channel(RECIPE.channels, ECHO)
    for seed in range(40):
        for waveform in (SPEECH, np.zeros(16000, np.float32)):
            found = channel(waveform, OTHERS, np.random.default_rng(seed))
            assert found.shape == waveform.shape
            assert found.dtype == np.float32
            assert np.isfinite(found).all()


@pytest.mark.parametrize("part", PARTS)
def test_each_part_alone_changes_more_than_the_level(part: str) -> None:
    found = Channel(only(part), ECHO)(SPEECH, OTHERS, np.random.default_rng(3))
    assert abs(np.corrcoef(found, SPEECH)[0, 1]) < 0.9999


def test_without_parts_only_the_level_changes() -> None:
    found = Channel(only(None), ECHO)(SPEECH, OTHERS, np.random.default_rng(3))
    low, high = RECIPE.channels.level
    assert low <= 20 * np.log10(np.abs(found).max()) <= high
    np.testing.assert_allclose(found / np.abs(found).max(), SPEECH / np.abs(SPEECH).max(), atol=1e-6)


def test_noise_is_as_far_below_the_speech_as_the_recipe_says() -> None:
    low, high = RECIPE.channels.snr
    channel = Channel(only("noise"), ECHO)
    found = []
    for seed in range(12):
        heard = channel(SPEECH, OTHERS, np.random.default_rng(seed)).astype(np.float64)
        # speech and noise are uncorrelated but for the seconds being few: the projection gives back the speech
        speech = SPEECH * (heard @ SPEECH) / (SPEECH @ SPEECH)
        found.append(level(speech) - level(heard - speech))
    assert low - 1 <= min(found) < max(found) <= high + 1
    assert level(SPEECH) - level(mix(SPEECH, OTHERS[0], 7.0) - SPEECH) == pytest.approx(7.0, abs=1e-3)


def test_a_line_passes_its_band_and_nothing_else() -> None:
    gain = channels.band(16000, 300.0, 3400.0)
    assert level(channels.filtered(tone(1000), gain)) == pytest.approx(level(tone(1000)), abs=1e-3)
    for outside in (100, 4000, 7000):
        assert level(channels.filtered(tone(outside), gain)) < -80


def test_treble_falls_by_the_slope_from_the_edge_on() -> None:
    gain = channels.low_pass(16000, 1000.0, 6.0)
    lost = [level(tone(pitch)) - level(channels.filtered(tone(pitch), gain)) for pitch in (500, 1000, 2000, 4000)]
    assert lost == pytest.approx([0.0, 0.0, 6.0, 12.0], abs=1e-3)


def test_a_microphone_stays_within_its_gain_above_its_cut() -> None:
    for seed in range(10):
        gain = channels.microphone(16000, 8.0, np.random.default_rng(seed))
        decibels = 20 * np.log10(gain[channels.frequencies(16000) > 1000])
        assert np.abs(decibels).max() <= 8.0 + 0.35  # what a cut at 200 Hz still takes at 1000
        assert gain[0] < 0.9


def test_noise_falls_with_frequency_by_its_slope() -> None:
    white, brown = (channels.coloured(16000, slope, np.random.default_rng(0)) for slope in (0.0, 1.0))
    for waveform, drop in ((white, 0.0), (brown, 20.0)):
        low, high = (level(channels.filtered(waveform, channels.band(16000, edge, 2 * edge))) for edge in (300, 3000))
        assert low - high + 10 == pytest.approx(drop, abs=1.0)  # the upper band is ten times as wide


def test_hum_lies_on_the_mains_and_its_overtones() -> None:
    spectrum = np.abs(np.fft.rfft(channels.hum(16000, 50.0, np.random.default_rng(0))))
    assert set(np.argsort(spectrum)[-4:] % 50) == {0}


def test_babble_holds_every_voice_equally_loud() -> None:
    voices = [tone(pitch) * share for pitch, share in ((300, 1.0), (500, 0.1))]
    spectrum = np.abs(np.fft.rfft(channels.babble(voices)))
    assert spectrum[300] == pytest.approx(spectrum[500], rel=1e-3)


def test_overload_cuts_the_share_that_it_is_given() -> None:
    found = channels.clipped(SPEECH, 0.05)
    assert np.mean(np.abs(found) == np.abs(found).max()) == pytest.approx(0.05, abs=0.002)


@pytest.mark.parametrize("codec", CODECS)
def test_codecs_keep_time_and_length_and_are_heard(codec: str) -> None:
    rate = max(RECIPE.channels.codecs[codec])  # type: ignore[index]
    # bursts of a tone that every band passes: where they lie is what must stay
    bursts = tone(700) * (np.sin(2 * np.pi * 3 * TIME) > 0)
    found = through_codec(bursts, codec, rate)
    assert found.shape == bursts.shape
    assert found.dtype == np.float32
    assert not np.array_equal(found, bursts)
    envelopes = [np.convolve(np.abs(one), np.ones(800) / 800, "same") for one in (bursts, found)]
    assert np.corrcoef(*envelopes)[0, 1] > 0.97
    np.testing.assert_array_equal(through_codec(bursts, codec, rate), found)


@pytest.mark.parametrize("codec", ["mu-law", "gsm", "amr", "g726"])
def test_telephone_codecs_lose_what_lies_above_4_khz(codec: str) -> None:
    found = through_codec(tone(1000) + tone(6000), codec, max(RECIPE.channels.codecs[codec]))  # type: ignore[index]
    above = channels.filtered(found, channels.band(16000, 4200, 8000))
    assert level(above) < level(found) - 30


def test_the_recipe_has_rates_for_every_codec() -> None:
    assert set(RECIPE.channels.codecs) == set(CODECS)


def test_a_room_is_the_convolution_with_its_response() -> None:
    found = ECHO.reverberated(SPEECH, np.random.default_rng(0))
    np.testing.assert_allclose(found, np.convolve(SPEECH, [1.0, 0.0, 0.5])[:16000], atol=1e-5)


def test_rooms_come_back_as_they_were_written(tmp_path: Path) -> None:
    responses = [np.arange(1, length, dtype=np.float32) for length in (4, 9, 2)]
    save_rooms(tmp_path / "rooms.safetensors", responses)
    for found, expected in zip(load_rooms(tmp_path / "rooms.safetensors").responses, responses, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_file_that_holds_no_rooms_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "rooms.safetensors").write_bytes(b"none")
    with pytest.raises(StoreError, match=r"rooms.safetensors holds no rooms .*tools.voice_encoder.rooms"):
        load_rooms(tmp_path / "rooms.safetensors")
