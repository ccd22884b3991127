"""Same or different: the loss against the paper's softmax, pair by pair."""

import math

import pytest
import torch

from pipeline.methods.vfdn import discriminative_loss
from tests.pipeline.methods.rivals import assert_solves, batch_of_pairs, settings


def test_loss_is_the_plain_loop_over_softmax_probabilities() -> None:
    batch = batch_of_pairs()
    cosines = batch.faces[:, :10] @ batch.voices.T
    same, different = [], []
    for i, row in enumerate(cosines.tolist()):
        for j, cosine in enumerate(row):
            probability = math.exp(cosine) / (math.exp(cosine) + math.exp(1.0 - cosine))
            if i == j:
                same.append(-math.log(probability))
            elif batch.labels[i] != batch.labels[j]:
                different.append(-math.log(1.0 - probability))
    expected = 0.5 * (sum(same) / len(same) + sum(different) / len(different))
    assert float(discriminative_loss(cosines, batch.labels)) == pytest.approx(expected, rel=1e-5)


def test_a_batch_of_one_person_has_no_impostor() -> None:
    loss = discriminative_loss(torch.full((3, 3), 0.5), torch.zeros(3, dtype=torch.long))
    assert float(loss) == pytest.approx(0.5 * math.log(2.0))


def test_solves_the_planted_world_and_not_the_shuffled_one() -> None:
    assert_solves(settings("vfdn", "own"))
