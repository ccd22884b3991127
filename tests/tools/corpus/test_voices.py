"""Where voices lie: blends of neighbours, by gender, never by ancestry."""

from dataclasses import replace

import numpy as np
import pytest

from tools.corpus.association import Association
from tools.corpus.ingredients import CACHE, KOKORO_JS
from tools.corpus.latents import draw_latents
from tools.corpus.streams import stream
from tools.corpus.voices import anchors, blend_weights, draw_voice, voice_names

FULL = Association(age=1, size=1, s1=1, s2=1)


@pytest.fixture(scope="module")
def matrices() -> np.ndarray:
    """Random style matrices of nine voices, (9, 510, 256)."""
    rng = stream(0, "test voices")
    return rng.standard_normal((9, 1, 256)) + 0.1 * rng.standard_normal((9, 510, 256))


@pytest.fixture
def model_voices() -> None:
    if not (CACHE / KOKORO_JS).exists():
        pytest.skip("the speech model's voices are not here: run `python -m tools.corpus.fetch`")


def test_each_axis_of_the_anchors_is_normal_by_rank(matrices: np.ndarray) -> None:
    places = anchors(matrices)
    assert places.shape == (9, 4)
    for axis in places.T:
        np.testing.assert_allclose(np.sort(axis), -np.sort(axis)[::-1], atol=1e-12)
        assert len(set(axis)) == 9


def test_anchors_do_not_depend_on_the_sign_a_decomposition_picks(matrices: np.ndarray) -> None:
    mirrored = 2 * matrices.mean(axis=0) - matrices  # the same voices, reflected: every axis must turn round
    np.testing.assert_allclose(anchors(mirrored), -anchors(matrices), atol=1e-9)


def test_blend_weights_match_a_plain_loop() -> None:
    around = stream(1, "test places").standard_normal((7, 4))
    place, own = np.array([0.3, -0.2, 0.1, 0.0]), 4
    near = [np.exp(-sum((a - b) ** 2 for a, b in zip(row, place, strict=True)) / (2 * 0.55**2)) for row in around]
    expected = [0.9 * weight / sum(near) + 0.1 * (k == own) for k, weight in enumerate(near)]
    np.testing.assert_allclose(blend_weights(place, around, own), expected, rtol=1e-9)


def test_blend_weights_stay_finite_far_from_every_voice() -> None:
    weights = blend_weights(np.full(4, 1e3), np.zeros((5, 4)), 0)
    assert np.isfinite(weights).all()
    assert weights.sum() == pytest.approx(1)


@pytest.mark.usefixtures("model_voices")
def test_voices_of_both_genders_are_known() -> None:
    assert len(voice_names("f")) == 29
    assert len(voice_names("m")) == 25


@pytest.mark.usefixtures("model_voices")
def test_a_voice_is_the_same_whatever_the_ancestry() -> None:
    who = draw_latents(3, 8)
    voice = draw_voice(3, 8, who, FULL)
    other = draw_voice(3, 8, replace(who, ancestry=(0.0, 0.0, 1.0), region="elsewhere"), FULL)
    np.testing.assert_array_equal(voice.styles, other.styles)
    assert (voice.warp, voice.tilt, voice.pace) == (other.warp, other.tilt, other.pace)


@pytest.mark.usefixtures("model_voices")
def test_each_latent_moves_the_voice() -> None:
    who = draw_latents(3, 8)
    voice = draw_voice(3, 8, who, FULL)
    for changed in (replace(who, s1=-who.s1), replace(who, s2=-who.s2), replace(who, years=who.years + 9)):
        assert np.abs(draw_voice(3, 8, changed, FULL).weights - voice.weights).max() > 0.01
    assert draw_voice(3, 8, replace(who, size=1 - who.size), FULL).warp != voice.warp
