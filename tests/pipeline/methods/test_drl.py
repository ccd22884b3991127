"""Shared and own parts against their equations."""

import pytest
import torch
from torch.nn import functional as F

from pipeline.losses import LossSizes, build_loss
from pipeline.methods.drl import DRL, orthogonality
from tests.pipeline.methods.rivals import SIZES, assert_solves, batch_of_pairs, built, settings


def network(**changes: object) -> DRL:
    method = built("drl", "ce", **changes)
    assert isinstance(method, DRL)
    return method


def test_loss_is_the_plain_loop() -> None:
    method, batch = network(reconstruction=0.7, orthogonality=0.3), batch_of_pairs()
    shared, own = method.parts(batch)
    expected = 0.0
    for i in range(12):
        for side, vectors in (("face", batch.faces), ("voice", batch.voices)):
            for other in ("face", "voice"):
                parts = shared[other][i] + own[side][i]
                first, _, last = method.decoders[side].layers
                made = last.weight @ torch.tanh(first.weight @ (parts / parts.norm()) + first.bias) + last.bias
                expected = expected + 0.7 * (vectors[i] - made).square().sum() / 12
            cosine = shared[side][i] @ own[side][i] / (shared[side][i].norm() * own[side][i].norm())
            expected = expected + 0.3 * cosine.square() / 12
    torch.testing.assert_close(method.disentangling_loss(batch, shared, own), expected)


def test_parts_that_share_no_value_are_orthogonal() -> None:
    left, right = torch.tensor([[1.0, 2.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 3.0, 1.0]])
    assert float(orthogonality(left, right)) == 0.0
    assert float(orthogonality(left, 5.0 * left)) == pytest.approx(1.0)


def test_identity_is_the_mean_of_the_cross_entropies_of_both_shared_parts() -> None:
    method, batch = network(), batch_of_pairs()
    loss = build_loss("ce", {}, LossSizes(method.width, SIZES.classes), torch.Generator())
    halves = [F.cross_entropy(method.classifier(part), batch.labels) for part in method.parts(batch)[0].values()]
    torch.testing.assert_close(loss(method.see(batch)), torch.stack(halves).mean())


def test_identity_is_the_loss_of_the_run_and_every_part_is_stepped_on() -> None:
    method, batch = network(), batch_of_pairs()
    loss = build_loss("ce", {}, LossSizes(method.width, SIZES.classes), torch.Generator())
    optimisers = method.optimisers(loss, settings("drl", "ce"))
    optimisers["adam"].learning_rate = 0.01
    expected = (loss(method.see(batch)) + method.disentangling_loss(batch, *method.parts(batch))).detach()
    before = {name: value.clone() for name, value in method.named_parameters()}
    torch.testing.assert_close(method.training_step(batch, loss, optimisers), expected)
    assert all(not before[name].equal(value) for name, value in method.named_parameters())


def test_the_shared_part_is_compared() -> None:
    method, batch = network().eval(), batch_of_pairs()
    expected = F.normalize(method.parts(batch)[0]["voice"])
    torch.testing.assert_close(method.embed("voice", batch.voices), expected)


def test_solves_the_planted_world_and_not_the_shuffled_one() -> None:
    assert_solves(settings("drl", "ce"))
