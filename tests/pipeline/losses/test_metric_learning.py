"""The losses of metric learning against loops over their equations, the library's, and across modalities."""

import pytest
import torch
from pytorch_metric_learning.losses import NTXentLoss

from pipeline.losses import LossInput
from pipeline.losses.base import across_modalities
from tests.pipeline.losses import naive
from tests.pipeline.losses.batch import make_batch, make_loss, make_pairs

OPTIONS = {
    "ntxent": {"temperature": 0.3},
    "multi_similarity": {"genuine_scale": 2.0, "impostor_scale": 5.0, "base": 0.2},
}
LOOPS = {"ntxent": naive.ntxent, "multi_similarity": naive.multi_similarity}


def across(name: str, batch: LossInput) -> float:
    """The loop from faces to voices and back."""
    faces, shown, voices, heard = batch.sides()
    numbers = OPTIONS[name].values()
    there, back = LOOPS[name](faces, shown, voices, heard, *numbers), LOOPS[name](voices, heard, faces, shown, *numbers)
    return 0.5 * (there + back)


@pytest.mark.parametrize("make", [make_batch, make_pairs])
@pytest.mark.parametrize("name", OPTIONS)
def test_loss_is_the_loop_over_faces_and_voices(name: str, make) -> None:
    batch = make()
    loss = make_loss(name, alpha=0.3, alpha_ce=0.7, **OPTIONS[name])
    expected = 0.7 * naive.cross_entropy(batch.logits, batch.labels) + 0.3 * across(name, batch)
    assert abs(float(loss(batch)) - expected) < 1e-6


@pytest.mark.parametrize("one_modality", [False, True], ids=["both", "faces"])
@pytest.mark.parametrize("temperature", [0.07, 1.0])
@pytest.mark.parametrize("make", [make_batch, make_pairs])
def test_ntxent_and_its_gradient_are_those_of_the_library(make, temperature: float, one_modality: bool) -> None:
    batch, loss = make(), make_loss("ntxent", alpha_ce=0.0, temperature=temperature)
    if one_modality:
        batch = LossInput(batch.embedding, batch.logits, batch.labels, torch.zeros(len(batch.labels), dtype=torch.bool))

    def with_gradient(value) -> tuple[torch.Tensor, torch.Tensor]:
        sides = [side if side is None else side.clone().requires_grad_() for side in (batch.face, batch.voice)]
        embedding = batch.embedding.clone().requires_grad_()
        found = value(LossInput(embedding, batch.logits, batch.labels, batch.is_voice, *sides))
        leaves = [embedding] if sides[0] is None or one_modality else sides
        return found.detach(), torch.cat(torch.autograd.grad(found, leaves))

    own = with_gradient(loss)
    theirs = with_gradient(lambda seen: across_modalities(NTXentLoss(temperature), seen))
    for ours, expected in zip(own, theirs, strict=True):
        assert torch.allclose(ours, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3]], ids=["no impostor", "no genuine pair"])
def test_ntxent_without_one_kind_of_pair_is_0_and_so_is_its_gradient(labels: list[int]) -> None:
    vectors = make_batch().embedding[:4].clone().requires_grad_()
    is_voice = torch.tensor([False, False, True, True])
    found = make_loss("ntxent", alpha_ce=0.0)(LossInput(vectors, torch.zeros(4, 4), torch.tensor(labels), is_voice))
    found.backward()
    assert float(found.detach()) == 0.0
    assert not vectors.grad.any()


@pytest.mark.parametrize("name", OPTIONS)
def test_pairs_within_a_modality_do_not_count(name: str) -> None:
    """Faces that turn together, away from all voices or towards them, change the loss by the angle to voices alone."""
    faces = torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    voices = torch.tensor([[0.0, 1.0], [0.0, -1.0]], dtype=torch.float64)
    labels = torch.tensor([0, 1])
    loss = make_loss(name, alpha_ce=0.0, **OPTIONS[name])

    def value(second: list[float]) -> float:
        shown = torch.stack([faces[0], torch.tensor(second, dtype=torch.float64)])
        batch = LossInput(
            torch.cat([shown, voices]), torch.zeros(4, 2), labels.repeat(2), torch.tensor([False, False, True, True])
        )
        return float(loss(batch))

    # The second face stands at a right angle to every voice either way: beside the first face, or opposite to it.
    assert value([1.0, 0.0]) == pytest.approx(value([-1.0, 0.0]), abs=1e-9)


@pytest.mark.parametrize("name", OPTIONS)
def test_batches_of_one_modality_are_compared_among_themselves(name: str) -> None:
    batch = make_batch()
    faces = LossInput(batch.embedding, batch.logits, batch.labels, torch.zeros(7, dtype=torch.bool))
    loss = make_loss(name, alpha_ce=0.0, **OPTIONS[name])
    vectors = batch.embedding.clone().requires_grad_()
    found = loss(LossInput(vectors, batch.logits, batch.labels, faces.is_voice))
    found.backward()
    assert float(found.detach()) > 0.0
    assert bool((vectors.grad.abs().sum(dim=1) > 0).all())


@pytest.mark.parametrize("name", [*OPTIONS, "arcface"])
def test_gradient_is_that_of_the_formula(name: str) -> None:
    batch = make_batch()
    loss = make_loss(name, **OPTIONS.get(name, {"scale": 4.0}))
    vectors = batch.embedding.clone().requires_grad_()

    def value(embedding: torch.Tensor) -> torch.Tensor:
        return loss(LossInput(embedding, batch.logits, batch.labels, batch.is_voice))

    assert torch.autograd.gradcheck(value, (vectors,))


def test_arcface_is_the_loop_over_samples_of_both_modalities() -> None:
    batch, loss = make_batch(), make_loss("arcface", margin=20.0, scale=8.0)
    weights = loss.arcface.W.detach().T
    expected = naive.arcface(batch.embedding, batch.labels, weights, 20.0, 8.0)
    assert abs(float(loss(batch).detach()) - expected) < 1e-9


def test_arcface_of_pairs_counts_both_sides() -> None:
    batch, loss = make_pairs(), make_loss("arcface", margin=20.0, scale=8.0)
    weights = loss.arcface.W.detach().T
    sides = [naive.arcface(side, batch.labels, weights, 20.0, 8.0) for side in (batch.face, batch.voice)]
    assert abs(float(loss(batch).detach()) - sum(sides) / 2) < 1e-9


def test_arcface_weights_come_from_the_seed_alone() -> None:
    torch.manual_seed(1)
    one = make_loss("arcface", seed=3)
    torch.manual_seed(2)
    assert torch.equal(one.arcface.W, make_loss("arcface", seed=3).arcface.W)
    assert not torch.equal(one.arcface.W, make_loss("arcface", seed=4).arcface.W)
