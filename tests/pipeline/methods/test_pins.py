"""The contrastive loss, and which impostors of a batch it sees, against plain loops."""

import pytest
import torch
from torch.nn import functional as F

from pipeline.methods.pins import chosen_impostors, contrastive_loss
from tests.pipeline.methods.rivals import assert_solves, batch_of_pairs, built, settings


def sides() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    batch = batch_of_pairs()
    return F.normalize(batch.faces[:, :6]), F.normalize(batch.voices[:, :6]), batch.labels


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8, 1.0])
def test_impostors_are_the_furthest_voices_that_are_further_than_the_genuine_one(share: float) -> None:
    face, voice, labels = sides()
    distances = torch.cdist(face, voice)
    chosen = chosen_impostors(distances, labels, share)
    for i in range(len(labels)):
        expected = set()
        for j in sorted(range(len(labels)), key=lambda j: -float(distances[i, j]))[: int(share * len(labels))]:
            if j == i:
                break
            if labels[j] != labels[i]:
                expected.add(j)
        assert set(chosen[i].nonzero().flatten().tolist()) == expected


def test_loss_is_the_plain_loop() -> None:
    face, voice, labels = sides()
    distances = torch.cdist(face, voice)
    chosen = chosen_impostors(distances, labels, 1.0)
    genuine = sum(float((f - v).square().sum()) for f, v in zip(face, voice, strict=True)) / len(face)
    near = [
        max(0.0, 1.4 - float((face[i] - voice[j]).norm())) ** 2
        for i in range(len(face))
        for j in range(len(face))
        if chosen[i, j]
    ]
    expected = genuine + sum(near) / len(near)
    assert float(contrastive_loss(distances, chosen, 1.4)) == pytest.approx(expected, rel=1e-5)


def test_loss_of_a_batch_without_impostors_is_its_genuine_part() -> None:
    distances = torch.tensor([[0.5, 0.1], [0.1, 0.5]])
    chosen = chosen_impostors(distances, torch.tensor([0, 0]), 1.0)
    assert float(contrastive_loss(distances, chosen, 0.6)) == pytest.approx(0.25)


def test_the_share_rises_from_the_first_epoch_to_the_last() -> None:
    method, run = built("pins"), settings("pins", "own", epochs=6)
    shares = []
    for epoch in range(6):
        method.plan(run, batch_of_pairs().labels.numpy(), epoch, 0)
        shares.append(method.share)
    assert shares == pytest.approx([0.3, 0.4, 0.5, 0.6, 0.7, 0.8])


def test_solves_the_planted_world_and_not_the_shuffled_one() -> None:
    assert_solves(settings("pins", "own"))
