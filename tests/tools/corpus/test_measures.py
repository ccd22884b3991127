"""Measures of a corpus against plain loops."""

import numpy as np
import pytest

from pipeline.metrics import equal_error_rate
from tools.corpus.measures import Figure, across_clip_eer, format_table, levels, pause_share, sound_figures
from tools.corpus.streams import stream

RATE = 16_000


def test_across_clip_eer_matches_a_plain_loop() -> None:
    rng = stream(0, "test measures")
    identities, clips = np.repeat(np.arange(8), 6), np.tile(np.repeat(np.arange(3), 2), 8)
    groups = identities % 2
    embeddings = rng.standard_normal((8, 5))[identities] + 0.8 * rng.standard_normal((48, 5))
    scores, labels = [], []
    for i in range(48):
        for j in range(i):
            same = identities[i] == identities[j]
            if groups[i] != groups[j] or (same and clips[i] == clips[j]):
                continue
            a, b = embeddings[i], embeddings[j]
            scores.append(float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)))
            labels.append(same)
    expected = equal_error_rate(np.array(scores), np.array(labels))
    assert across_clip_eer(embeddings, identities, clips, groups) == pytest.approx(expected, abs=1e-9)
    assert 0 < expected < 50


def test_frames_of_one_clip_do_not_count_as_recognition() -> None:
    rng = stream(1, "test measures")
    identities, clips = np.repeat(np.arange(10), 4), np.tile([0, 0, 1, 1], 10)
    by_clip = rng.standard_normal((20, 16)).repeat(2, axis=0)  # a clip's frames alike, a person's clips not
    assert across_clip_eer(by_clip, identities, clips, np.zeros(40)) > 30


def test_level_of_a_full_scale_sine_is_three_decibels_down() -> None:
    tone = np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE)
    np.testing.assert_allclose(levels(tone, RATE), -3.01, atol=0.01)


def test_pause_share_is_the_quiet_share() -> None:
    noise = stream(2, "test measures").standard_normal(RATE)
    noise[: RATE // 5] *= 1e-3
    assert pause_share(noise, RATE) == pytest.approx(0.2)


def _verdicts(waveforms: list[np.ndarray]) -> dict[str, bool]:
    return {figure.name: figure.kept for figure in sound_figures(waveforms, RATE)}


def test_a_clipped_a_silent_and_an_empty_clip_are_each_found() -> None:
    good = 0.2 * stream(3, "test measures").standard_normal(int(3.5 * RATE)).clip(-3, 3)
    assert all(_verdicts([good, good]).values())
    assert not _verdicts([good, np.clip(4 * good, -1, 1)])["most clipped samples of a clip, %"]
    assert not _verdicts([good, 1e-4 * good])["quietest clip, dB of full scale"]
    assert not _verdicts([good, good[:1000]])["shortest clip, s"]


def test_the_table_names_what_is_outside() -> None:
    text = format_table([Figure("a", 5.0, 0, 4), Figure("b", 3.0, 0, 4), Figure("c", 1.0)])
    a, b, c = text.splitlines()
    assert a.endswith("OUTSIDE")
    assert b.endswith("ok")
    assert c.split() == ["c", "1.000"]
