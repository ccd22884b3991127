"""Held-out speakers, crops, alterations and trials."""

from pathlib import Path

import numpy as np
import pytest
import torch

from extractors.voices.aggregator_network import untrained
from pipeline.errors import ScoreError
from pipeline.metrics import equal_error_rate
from tools.voice_encoder.alterations import alter, microphone, noise, room, telephone
from tools.voice_encoder.channels import Channel
from tools.voice_encoder.crops import Voices, batch, crop
from tools.voice_encoder.hints import HOP
from tools.voice_encoder.recipe import load_recipe
from tools.voice_encoder.rooms import Rooms
from tools.voice_encoder.speakers import draw, held_out, part, utterances
from tools.voice_encoder.trials import (
    Segment,
    altered,
    by_telephone,
    cut,
    embedder,
    error_rate,
    pairs,
    require_trials,
    scores,
    through_channels,
)

RECIPE = load_recipe()
CROPS = RECIPE.crops.model_copy(
    update={"seconds": (0.49, 0.5), "decay_seconds": (0.82, 0.9), "batch_seconds": 1.5, "altered": 0.5}
)
CHANNEL = Channel(RECIPE.channels, Rooms((np.ones(1, np.float32),)))
SPEECH = np.random.default_rng(0).standard_normal(16000).astype(np.float32) * 0.1


def test_at_least_forty_speakers_are_only_tested_on() -> None:
    parts = list(held_out().values())
    assert parts.count("test") >= 40
    assert parts.count("validation") >= 5


def test_the_list_is_what_the_seed_draws_and_parts_are_disjoint(shared: Path) -> None:
    recordings = utterances(shared / "data" / "librispeech")
    assert draw(recordings, RECIPE) == held_out()
    speakers = [{one.speaker for one in part(recordings, name)} for name in ("train", "validation", "test")]
    assert sum(map(len, speakers)) == len(set.union(*speakers)) == 251


def voices() -> Voices:
    waveforms = (np.concatenate([SPEECH, SPEECH[:9000], SPEECH]) * 32767).astype(np.int16)
    vectors = torch.nn.functional.normalize(torch.randn(3, 4), dim=1)
    hints = np.arange(18, dtype=np.float16)[:, None]  # 7, 4 and 7 of them
    return Voices(waveforms, np.array([16000, 25000, 41000]), vectors, hints, np.array([7, 11, 18]))


def test_a_voice_gives_back_its_own_samples_and_hints() -> None:
    assert [len(voices().waveform(index)) for index in range(3)] == [16000, 9000, 16000]
    assert voices().hints_of(1)[:, 0].tolist() == [7, 8, 9, 10]


def test_short_voices_are_repeated_and_crops_have_the_length_asked_for() -> None:
    short = np.arange(1, 11, dtype=np.int16)
    found, start = crop(short, 20, np.random.default_rng(0))
    np.testing.assert_allclose(found * 32768, np.resize(short, 20))
    assert start == 0


def test_crops_begin_at_a_hint() -> None:
    ramp = np.arange(4 * HOP, dtype=np.int16)
    starts = set()
    for seed in range(80):
        found, start = crop(ramp, HOP, np.random.default_rng(seed))
        assert found[0] * 32768 == start * HOP
        starts.add(start)
    assert starts == {0, 1, 2, 3}


def test_of_two_crops_the_louder_is_taken() -> None:
    half_silent = np.concatenate([np.zeros(10 * HOP, np.int16), np.full(10 * HOP, 100, np.int16)])
    levels = [np.square(crop(half_silent, 100, np.random.default_rng(seed))[0]).mean() > 0 for seed in range(40)]
    assert sum(levels) > 24  # one draw would find sound in about 20 of 40, the louder of two in 30


def test_a_step_draws_the_same_batch_again() -> None:
    first, again = (batch(voices(), CROPS, CHANNEL, False, np.random.default_rng([0, 7])) for _ in range(2))
    assert torch.equal(first.spectrograms, again.spectrograms)
    assert torch.equal(first.hints, again.hints)
    assert sorted(first.voice.tolist()) == [0, 1, 2]


def test_the_student_has_a_frame_for_every_hint() -> None:
    drawn = batch(voices(), CROPS, CHANNEL, False, np.random.default_rng(0))
    features, _ = untrained(0).frames(drawn.spectrograms)
    assert drawn.spectrograms.shape == (3, 1, 257, 48)
    assert drawn.hints.shape == (3, features.shape[2], 1)


def test_batches_of_the_decay_have_fewer_and_longer_crops() -> None:
    drawn = batch(voices(), CROPS, CHANNEL, True, np.random.default_rng(0))
    assert drawn.spectrograms.shape == (2, 1, 257, 80)


def test_altered_is_the_share_of_crops_that_pass_a_channel() -> None:
    never = CROPS.model_copy(update={"altered": 0.0})
    clean = batch(voices(), never, CHANNEL, False, np.random.default_rng(0)).spectrograms
    silenced = Channel(RECIPE.channels, Rooms((np.zeros(1, np.float32),)))
    assert torch.equal(batch(voices(), never, silenced, False, np.random.default_rng(0)).spectrograms, clean)
    always = CROPS.model_copy(update={"altered": 1.0})
    changed = batch(voices(), always, CHANNEL, False, np.random.default_rng(0)).spectrograms
    assert all(not torch.equal(one, other) for one in changed for other in clean)


def test_noise_comes_at_the_level_asked_for() -> None:
    added = noise(SPEECH, 10.0, np.random.default_rng(0)) - SPEECH
    assert 10 * np.log10(np.mean(SPEECH**2) / np.mean(added**2)) == pytest.approx(10.0, abs=0.1)


def test_alterations_keep_length_type_and_finiteness() -> None:
    for change in (room, microphone, telephone):
        changed = change(SPEECH, np.random.default_rng(1))
        assert changed.shape == SPEECH.shape
        assert changed.dtype == np.float32
        assert np.isfinite(changed).all()
        assert not np.allclose(changed, SPEECH, atol=1e-3)


def test_every_alteration_is_drawn() -> None:
    results = {alter(SPEECH, SPEECH[::-1], (10.0, 20.0), np.random.default_rng(seed)).tobytes() for seed in range(25)}
    assert len(results) == 25


def test_segments_are_disjoint_and_the_rest_is_dropped() -> None:
    pieces = cut("a", np.arange(40_000, dtype=np.float32), 1.0)
    assert [piece.waveform[0] for piece in pieces] == [0, 16000]
    assert all(len(piece.waveform) == 16000 for piece in pieces)


def test_trials_are_all_pairs() -> None:
    vectors = {1.0: [1.0, 0.0], 2.0: [0.8, 0.6], 3.0: [0.0, 1.0]}
    segments = [
        Segment("a", np.full(4, 1.0, "f")),
        Segment("a", np.full(4, 2.0, "f")),
        Segment("b", np.full(4, 3.0, "f")),
    ]

    def embed(waveform: np.ndarray) -> np.ndarray:
        return np.array(vectors[float(waveform[0])], np.float32)

    values, labels = scores(segments, embed)
    np.testing.assert_allclose(values, [0.8, 0.0, 0.6], atol=1e-6)
    assert labels.tolist() == [True, False, False]
    assert error_rate(segments, embed) == equal_error_rate([0.8, 0.0, 0.6], [1, 0, 0])


def test_segments_through_channels_keep_their_speakers_and_depend_on_the_seed_alone() -> None:
    clean = cut("a", np.tile(SPEECH, 3), 1.0)
    first, again, other = (through_channels(clean, seed, CHANNEL) for seed in (0, 0, 1))
    assert [one.speaker for one in first] == ["a"] * 3
    for one, same, different in zip(first, again, other, strict=True):
        assert np.array_equal(one.waveform, same.waveform)
        assert not np.array_equal(one.waveform, different.waveform)


def test_pairs_of_one_speaker_within_a_session_are_no_trials() -> None:
    named = [("a", "a/1"), ("a", "a/1"), ("a", "a/2"), ("b", "b/1"), ("b", None), ("b", None)]
    trial_segments = [Segment(speaker, SPEECH, session) for speaker, session in named]
    left, right, genuine = pairs(trial_segments)
    expected = [
        (i, j, named[i][0] == named[j][0])
        for i in range(6)
        for j in range(i + 1, 6)
        if named[i][0] != named[j][0] or named[i][1] is None or named[i][1] != named[j][1]
    ]
    assert list(zip(left.tolist(), right.tolist(), genuine.tolist(), strict=True)) == expected


def test_one_session_a_speaker_gives_no_genuine_trial() -> None:
    recorded = [Segment("a", SPEECH, "a/1"), Segment("a", SPEECH, "a/1"), Segment("b", SPEECH, "b/1")]
    with pytest.raises(ScoreError, match="of two sessions where sessions are named"):
        require_trials(recorded, "this corpus")


def test_a_telephone_leaves_its_band_alone_and_keeps_speakers_and_sessions() -> None:
    time = np.arange(16000) / 16000
    clean = [
        Segment("a", np.sin(2 * np.pi * pitch * time).astype(np.float32) + 0.5 * SPEECH, f"a/{pitch}")
        for pitch in (500, 1000, 2000)
    ]
    found = by_telephone(clean, 0, RECIPE.telephone)
    assert [(one.speaker, one.session) for one in found] == [("a", f"a/{pitch}") for pitch in (500, 1000, 2000)]
    for one, pitch in zip(found, (500, 1000, 2000), strict=True):
        spectrum = np.abs(np.fft.rfft(one.waveform)) ** 2
        assert np.argmax(spectrum) == pytest.approx(pitch, abs=2)
        assert spectrum[4200:].sum() < 0.001 * spectrum.sum()


def test_altered_trials_change_every_segment_and_no_speaker() -> None:
    clean = cut("a", np.tile(SPEECH, 3), 1.0)
    changed = altered(clean, 0, (8.0, 30.0))
    assert [one.speaker for one in changed] == ["a"] * 3
    assert all(not np.array_equal(old.waveform, new.waveform) for old, new in zip(clean, changed, strict=True))


def test_a_look_in_bfloat16_hears_nearly_the_same() -> None:
    network = untrained(0)
    exact, fast = embedder(network)(SPEECH), embedder(network, bfloat16=True)(SPEECH)
    assert exact @ fast > 0.999
    assert not np.array_equal(exact, fast)
