"""The losses against loops, and the codes' geometry."""

import math

import pytest
import torch
from torch.nn import functional as F

from voice_encoder.losses import codes, similarity_loss, total_loss, vector_loss, voice_loss
from voice_encoder.recipe import load_recipe

GENERATOR = torch.Generator().manual_seed(0)
EMBEDDING = F.normalize(torch.rand(4, 6, generator=GENERATOR), dim=1)
CODES = F.normalize(torch.rand(5, 6, generator=GENERATOR), dim=1)
VOICE = torch.tensor([3, 0, 0, 4])


def test_vector_loss_is_one_minus_the_mean_cosine() -> None:
    expected = sum(1 - float(EMBEDDING[i] @ CODES[VOICE[i]]) for i in range(4)) / 4
    assert vector_loss(EMBEDDING, CODES[VOICE]).item() == pytest.approx(expected, abs=1e-6)


def test_similarity_loss_visits_every_pair_but_the_diagonal() -> None:
    target = CODES[VOICE]
    pairs = [(i, j) for i in range(4) for j in range(4) if i != j]
    errors = [float(EMBEDDING[i] @ EMBEDDING[j] - target[i] @ target[j]) ** 2 for i, j in pairs]
    assert similarity_loss(EMBEDDING, target).item() == pytest.approx(sum(errors) / len(errors), abs=1e-6)


def test_voice_loss_takes_the_margin_off_the_right_voice_only() -> None:
    expected = 0.0
    for i in range(4):
        logits = [8.0 * (float(EMBEDDING[i] @ CODES[v]) - (0.2 if v == VOICE[i] else 0.0)) for v in range(5)]
        expected += (math.log(sum(map(math.exp, logits))) - logits[VOICE[i]]) / 4
    assert voice_loss(EMBEDDING, CODES, VOICE, 8.0, 0.2).item() == pytest.approx(expected, abs=1e-5)


def test_total_is_the_weighted_sum() -> None:
    settings = load_recipe().loss
    parts = total_loss(EMBEDDING, VOICE, CODES, settings)
    expected = (
        settings.vector * parts["vector"]
        + settings.similarity * parts["similarity"]
        + settings.classes * parts["classes"]
    )
    torch.testing.assert_close(parts["total"], expected)


def lifted(axes: torch.Tensor, lift: float) -> torch.Tensor:
    return torch.cat([(axes + lift).relu(), (lift - axes).relu()], dim=1)


def test_codes_find_the_linear_map_from_teacher_to_student() -> None:
    generator = torch.Generator().manual_seed(1)
    vectors = F.normalize(torch.randn(40, 5, generator=generator), dim=1)
    axes = vectors @ torch.randn(5, 8, generator=generator)
    axes = axes / axes.std()
    voice = torch.arange(40).repeat(2)
    exact = codes(vectors, lifted(axes, 0.0)[voice], voice, ridge=1e-6, lift=0.5)
    torch.testing.assert_close(exact, F.normalize(lifted(axes, 0.5), dim=1), atol=1e-3, rtol=0)


def test_codes_are_unit_and_never_negative_and_count_each_voice_once() -> None:
    generator = torch.Generator().manual_seed(2)
    vectors = F.normalize(torch.randn(10, 4, generator=generator), dim=1)
    embeddings = torch.rand(10, 6, generator=generator)
    voice = torch.arange(10)
    once = codes(vectors, embeddings, voice, 0.1, 0.6)
    weighted = codes(vectors, torch.cat([embeddings, embeddings[:3]]), torch.cat([voice, voice[:3]]), 0.1, 0.6)
    torch.testing.assert_close(once, weighted)
    assert once.min() >= 0
    torch.testing.assert_close(once.norm(dim=1), torch.ones(10))
