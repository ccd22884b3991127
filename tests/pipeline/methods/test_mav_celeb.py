"""The ranking loss against a plain loop."""

import pytest
import torch
from torch.nn import functional as F

from pipeline.errors import ConfigError
from pipeline.methods.mav_celeb import ranking_loss
from tests.pipeline.methods.rivals import assert_solves, batch_of_pairs, planted, settings


def naive(face: torch.Tensor, voice: torch.Tensor, labels: torch.Tensor, margin: float, violations: int) -> float:
    total = 0.0
    for anchors, others in ((face, voice), (voice, face)):
        hinges = []
        for i, anchor in enumerate(anchors):
            genuine = (anchor - others[i]).norm()
            own = [
                max(0.0, float(margin + genuine - (anchor - other).norm()))
                for j, other in enumerate(others)
                if labels[j] != labels[i]
            ]
            hinges += sorted(own, reverse=True)[:violations]
        total += sum(hinges) / len(hinges)
    return total


@pytest.mark.parametrize("violations", [1, 3, 100])
def test_loss_is_the_plain_loop(violations: int) -> None:
    batch = batch_of_pairs()
    face, voice = batch.faces[:, :6], batch.voices[:, :6]
    face, voice = F.normalize(face), F.normalize(voice)
    found = ranking_loss(face, voice, batch.labels, 0.2, violations)
    assert float(found) == pytest.approx(naive(face, voice, batch.labels, 0.2, violations), rel=1e-5)


def test_a_batch_of_one_person_has_no_impostor() -> None:
    unit = F.normalize(torch.randn(4, 3, generator=torch.Generator().manual_seed(0)))
    assert float(ranking_loss(unit, unit.flip(0), torch.zeros(4, dtype=torch.long), 0.2, 10)) == 0.0


def test_solves_the_planted_world_and_not_the_shuffled_one() -> None:
    assert_solves(settings("mav_celeb", "own"))


def test_a_run_that_names_another_loss_is_refused() -> None:
    with pytest.raises(ConfigError, match="loss: own"):
        planted().train(settings("mav_celeb", "fop", epochs=1))
