"""What the teacher heard, brought to the student's frames."""

import numpy as np
import pytest

from tools.voice_encoder.hints import HOP, at_student_rate, of_crop, principal_axes


def test_a_hint_is_the_mean_around_the_centre_of_the_students_frame() -> None:
    frames = np.arange(20, dtype=np.float32)[:, None]
    found = at_student_rate(frames)[:, 0]
    assert found.tolist() == pytest.approx([np.mean([0, 1, 2, 3]), np.mean(range(4, 12)), np.mean(range(12, 20))])


def test_axes_are_the_principal_ones_at_unit_mean_variance() -> None:
    rng = np.random.default_rng(0)
    frames = (rng.standard_normal((4000, 3)) * [1.0, 5.0, 0.1] + [7.0, 0.0, 0.0]).astype(np.float32)
    mean, axes = principal_axes(frames, 2)
    assert mean[0] == pytest.approx(7.0, abs=0.1)
    variances = ((frames - mean) @ axes).var(axis=0)
    assert variances.mean() == pytest.approx(1.0, abs=0.01)
    assert variances[0] / variances[1] == pytest.approx(25.0, rel=0.1)


HINTS = np.arange(9, dtype=np.float16)[:, None]


def test_a_crop_gets_the_hints_from_its_start_on() -> None:
    assert of_crop(HINTS, 2, 3 * HOP, reverse=False)[:, 0].tolist() == [2, 3, 4]


def test_a_crop_played_backwards_gets_them_in_the_order_in_which_it_is_heard() -> None:
    assert of_crop(HINTS, 2, 3 * HOP, reverse=True)[:, 0].tolist() == [5, 4, 3]


def test_past_the_end_the_last_hint_stays() -> None:
    assert of_crop(HINTS, 7, 4 * HOP, reverse=False)[:, 0].tolist() == [7, 8, 8, 8]
