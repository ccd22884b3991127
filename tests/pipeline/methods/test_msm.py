"""The simplex, and the two branches before it."""

import pytest
import torch

from pipeline.methods.msm import MSM, simplex
from tests.pipeline.methods.rivals import assert_solves, batch_of_pairs, built, settings


@pytest.mark.parametrize("classes", [2, 3, 5, 60])
def test_corners_are_of_unit_norm_and_as_far_apart_as_they_can_be(classes: int) -> None:
    corners = simplex(classes)
    assert corners.shape == (classes, classes - 1)
    expected = torch.full((classes, classes), -1.0 / (classes - 1)).fill_diagonal_(1.0)
    torch.testing.assert_close(corners @ corners.T, expected, atol=1e-5, rtol=0.0)


def test_classifier_is_fixed_and_saved() -> None:
    method = built("msm", "fop")
    assert isinstance(method, MSM)
    assert not [name for name, _ in method.named_parameters() if "classifier" in name]
    assert method.state_dict()["network.classifier.weight"].equal(simplex(5))


def test_logits_are_cosines_with_the_corners_times_the_length_of_the_fusion() -> None:
    seen = built("msm", "fop").see(batch_of_pairs())
    for row, logits in zip(seen.embedding, seen.logits, strict=True):
        for corner, logit in zip(simplex(5), logits, strict=True):
            torch.testing.assert_close(logit, torch.cosine_similarity(row, corner, dim=0) * row.norm())


def test_solves_the_planted_world_and_not_the_shuffled_one() -> None:
    assert_solves(settings("msm", "fop"), solved=80.0)
