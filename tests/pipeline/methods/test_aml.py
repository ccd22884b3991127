"""The adversarial-metric network against its equations, and its two optimisers."""

import pytest
import torch

from pipeline.losses import LossSizes, build_loss
from pipeline.methods.aml import AML, lifted_structure
from pipeline.methods.encoders import other_people
from tests.pipeline.methods.rivals import SIZES, assert_solves, batch_of_pairs, built, settings


def network(**changes: object) -> AML:
    method = built("aml", **changes)
    assert isinstance(method, AML)
    return method


def test_lifted_structure_is_the_plain_loop() -> None:
    rng = torch.Generator().manual_seed(0)
    anchor, positive = (torch.randn(6, 4, generator=rng) for _ in range(2))
    negatives = torch.randn(6, 3, 4, generator=rng)
    total = 0.0
    for f, v, others in zip(anchor, positive, negatives, strict=True):
        pushed = sum(float((1.5 - (side - n).norm()).exp()) for n in others for side in (f, v))
        total += max(0.0, float(torch.tensor(pushed).log() + (f - v).norm()))
    assert float(lifted_structure(anchor, positive, negatives, 1.5)) == pytest.approx(total / 12, rel=1e-4)


def test_one_generator_maps_both_modalities() -> None:
    method, batch = network().eval(), batch_of_pairs()
    _, first, _, _, second, _ = method.generator
    hidden = torch.cat([batch.voices, torch.zeros(12, 2)], dim=1) @ first.weight.T + first.bias
    hidden = torch.where(hidden > 0, hidden, 0.2 * hidden)
    torch.testing.assert_close(method.embed("voice", batch.voices), torch.tanh(hidden @ second.weight.T + second.bias))


def test_generator_is_paid_for_what_the_discriminator_is_fined_for() -> None:
    method, batch = network(), batch_of_pairs()
    face, voice = method.embed("face", batch.faces), method.embed("voice", batch.voices)
    logits = method.discriminator(torch.cat([face, voice]))
    log_p = logits - logits.logsumexp(dim=1, keepdim=True)
    torch.testing.assert_close(
        method.modality_loss(face, voice, deceived=False), -(log_p[:12, 0].sum() + log_p[12:, 1].sum()) / 24
    )
    torch.testing.assert_close(
        method.modality_loss(face, voice, deceived=True), -(log_p[:12, 1].sum() + log_p[12:, 0].sum()) / 24
    )


def test_classifier_names_the_place_of_the_right_voice() -> None:
    method, batch = network(), batch_of_pairs()
    with torch.no_grad():  # a classifier that looks whether the first voice is the face itself
        method.classifier[1].weight.zero_()
        method.classifier[1].bias.copy_(torch.tensor([0.0, 100.0]))
    face = method.embed("face", batch.faces)
    torch.manual_seed(0)
    first = float((torch.randint(2, (12,)) == 0).float().mean())
    torch.manual_seed(0)
    assert float(method.triplet_loss(face, face, -face)) == pytest.approx(100.0 * first, rel=1e-5)


def test_discriminator_moves_in_every_third_step_and_the_generator_in_all() -> None:
    method, batch = network(discriminator_every=3), batch_of_pairs()
    loss = build_loss("own", {}, LossSizes(method.width, SIZES.classes), torch.Generator())
    optimisers = method.optimisers(loss, settings("aml", "own"))
    for optimiser in optimisers.values():
        optimiser.learning_rate = 0.01
    moved = []
    for _ in range(6):
        before = method.discriminator[1].weight.clone(), method.generator[1].weight.clone()
        method.training_step(batch, loss, optimisers)
        after = method.discriminator[1].weight, method.generator[1].weight
        moved.append(tuple(not old.equal(new) for old, new in zip(before, after, strict=True)))
    assert moved == [(True, True), (False, True), (False, True)] * 2


def test_others_are_other_people() -> None:
    labels = batch_of_pairs().labels
    rows, others = other_people(labels, 50)
    assert rows.tolist() == list(range(12))
    assert (labels[others] != labels[:, None]).all()
    assert {int(row) for row in others[0]} == {row for row in range(12) if labels[row] != labels[0]}
    assert [part.shape[0] for part in other_people(torch.zeros(4, dtype=torch.long), 3)] == [0, 0]


def test_solves_the_planted_world_and_not_the_shuffled_one() -> None:
    assert_solves(settings("aml", "own"))
