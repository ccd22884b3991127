"""PAEFF's parts against their equations."""

import math
from typing import Any

import torch
from torch.nn import functional as F

from pipeline.losses.fop import official_constraint
from pipeline.methods.paeff import PAEFF, contrast, to_poincare_ball
from tests.pipeline.methods.rivals import assert_solves, batch_of_pairs, built, settings


def network(**changes: object) -> PAEFF:
    method = built("paeff", **changes)
    assert isinstance(method, PAEFF)
    return method


def unit_sides(method: PAEFF) -> tuple[torch.Tensor, torch.Tensor]:
    batch = batch_of_pairs()
    return F.normalize(method.face(batch.faces)), F.normalize(method.voice(batch.voices))


def test_fusion_is_written_out() -> None:
    method = network()
    face, voice = unit_sides(method)
    product = F.gelu(face) * F.gelu(voice)
    kernel, bias = method.fusion.gate.weight[0, 0], method.fusion.gate.bias
    padded = F.pad(product, (2, 2))
    attention = torch.stack([(padded[:, i : i + 5] * kernel).sum(1) for i in range(16)], dim=1) + bias
    attention = 1.0 / (1.0 + (-attention).exp())
    mixed = (face * attention + (1.0 - attention) * voice) @ method.fusion.mix.weight.T + method.fusion.mix.bias
    torch.testing.assert_close(method.fusion(face, voice), torch.tanh(mixed))


def test_map_to_the_ball_keeps_directions_and_stays_inside() -> None:
    vectors = torch.randn(20, 6, generator=torch.Generator().manual_seed(0)) * 30.0
    mapped = to_poincare_ball(vectors, 0.05)
    torch.testing.assert_close(F.cosine_similarity(mapped, vectors), torch.ones(20))
    lengths = [math.tanh(math.sqrt(0.05) * float(x.norm())) / math.sqrt(0.05) for x in vectors]
    torch.testing.assert_close(mapped.norm(dim=1), torch.tensor(lengths))
    assert to_poincare_ball(torch.zeros(1, 6), 0.05).equal(torch.zeros(1, 6))


class RiemannianGradient(torch.autograd.Function):
    """The authors' correction of a gradient on the ball of curvature -c: their equation, written anew."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, c: float) -> torch.Tensor:
        ctx.save_for_backward(x)
        ctx.c = c
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (x,) = ctx.saved_tensors
        rows = [(1.0 - ctx.c * float(row @ row)) ** 2 / 4.0 for row in x]
        return torch.stack([scale * row for scale, row in zip(rows, gradients[0], strict=True)]), None


def test_gradient_of_the_map_is_the_riemannian_one() -> None:
    rng = torch.Generator().manual_seed(0)
    vectors, weights = torch.randn(7, 6, generator=rng), torch.randn(7, 6, generator=rng)
    ours, theirs = vectors.clone().requires_grad_(), vectors.clone().requires_grad_()
    length = math.sqrt(0.05) * theirs.norm(dim=1, keepdim=True)
    mapped = RiemannianGradient.apply(torch.tanh(length) * theirs / length, 0.05)
    found = to_poincare_ball(ours, 0.05)
    torch.testing.assert_close(found, mapped)
    (weights * found.square()).sum().backward()
    (weights * mapped.square()).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_contrast_is_the_plain_loop_without_other_pairs_of_the_same_person() -> None:
    batch = batch_of_pairs()
    face, voice, labels = batch.faces[:, :10], batch.voices, batch.labels
    total = 0.0
    for anchors, others in ((face, voice), (voice, face)):
        for i in range(12):
            near = math.exp(float(anchors[i] @ others[i]) / 0.3)
            far = sum(math.exp(float(anchors[i] @ others[j]) / 0.3) for j in range(12) if labels[j] != labels[i])
            total -= math.log(near / (near + far)) / 24
    torch.testing.assert_close(contrast(face, voice, labels, 0.3), torch.tensor(total))


def test_loss_is_the_weighted_sum_of_its_parts() -> None:
    method, batch = network(cross_entropy=0.5, orthogonality=0.2, alignment=0.1, dropout=0.0), batch_of_pairs()
    face, voice = unit_sides(method)
    fused = method.fusion(face, voice)
    expected = (
        0.5 * F.cross_entropy(method.classifier(fused), batch.labels)
        + 0.2 * official_constraint(fused, batch.labels)
        + 0.1 * contrast(to_poincare_ball(face, 0.05), to_poincare_ball(voice, 0.05), batch.labels, 0.07)
    )
    torch.testing.assert_close(method.own_loss(batch), expected)


def test_compared_are_the_gelus() -> None:
    method = network().eval()
    face, voice = unit_sides(method)
    batch = batch_of_pairs()
    torch.testing.assert_close(method.embed("face", batch.faces), F.gelu(face))
    torch.testing.assert_close(method.embed("voice", batch.voices), F.gelu(voice))


def test_seed_decides_the_gate_too() -> None:
    torch.manual_seed(1)
    first = network().fusion.gate.weight
    torch.manual_seed(2)
    assert first.equal(network().fusion.gate.weight)


def test_solves_the_planted_world_and_not_the_shuffled_one() -> None:
    assert_solves(settings("paeff", "own"))
