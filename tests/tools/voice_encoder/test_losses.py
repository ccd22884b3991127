"""The losses against loops, and the codes' geometry."""

import math

import pytest
import torch
from torch.nn import functional as F

from tools.voice_encoder.losses import (
    codes,
    hint_loss,
    similarity_loss,
    sounds_alike,
    total_loss,
    vector_loss,
    voice_loss,
)
from tools.voice_encoder.recipe import load_recipe

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


def test_voices_that_sound_alike_are_no_rivals() -> None:
    vectors = F.normalize(torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 1.0], [-1.0, 0.0]]), dim=1)
    same = sounds_alike(vectors, VOICE, 0.6)
    assert same.tolist()[:2] == [[False, False, True, True, False], [True, True, False, False, False]]
    expected = 0.0
    for i in range(4):
        rivals = [v for v in range(5) if v == VOICE[i] or not same[i, v]]
        logits = {v: 8.0 * (float(EMBEDDING[i] @ CODES[v]) - (0.2 if v == VOICE[i] else 0.0)) for v in rivals}
        expected += (math.log(sum(map(math.exp, logits.values()))) - logits[int(VOICE[i])]) / 4
    assert voice_loss(EMBEDDING, CODES, VOICE, 8.0, 0.2, same).item() == pytest.approx(expected, abs=1e-5)


def test_hint_loss_is_the_mean_square_over_every_element() -> None:
    predicted, hints = torch.rand(2, 3, 4, generator=GENERATOR), torch.rand(2, 3, 4, generator=GENERATOR)
    errors = [(a - b) ** 2 for a, b in zip(predicted.flatten().tolist(), hints.flatten().tolist(), strict=True)]
    assert hint_loss(predicted, hints).item() == pytest.approx(sum(errors) / 24, abs=1e-6)


def test_total_is_the_weighted_sum() -> None:
    settings = load_recipe().loss
    parts = total_loss(
        EMBEDDING, VOICE, CODES, torch.eye(5)[VOICE] > 0, torch.zeros(4, 2, 3), torch.ones(4, 2, 3), settings
    )
    weights = {name: getattr(settings, name) for name in ("vector", "similarity", "classes", "hints")}
    torch.testing.assert_close(parts["total"], sum(weight * parts[name] for name, weight in weights.items()))


def teacher_vectors(count: int) -> torch.Tensor:
    return F.normalize(torch.randn(count, 192, generator=torch.Generator().manual_seed(1)), dim=1)


def test_codes_are_unit_never_negative_and_the_same_for_the_same_seed() -> None:
    found = codes(teacher_vectors(10), lift=0.6, seed=3)
    assert found.shape == (10, 512)
    assert found.min() >= 0
    torch.testing.assert_close(found.norm(dim=1), torch.ones(10))
    assert torch.equal(found, codes(teacher_vectors(10), lift=0.6, seed=3))
    assert not torch.equal(found, codes(teacher_vectors(10), lift=0.6, seed=4))


def test_codes_keep_the_order_of_the_teachers_similarities() -> None:
    vectors = teacher_vectors(30)
    found = codes(vectors, lift=0.6, seed=0)
    above = torch.ones(30, 30).triu(1).bool()
    pairs = torch.stack([(vectors @ vectors.T)[above], (found @ found.T)[above]])
    assert torch.corrcoef(pairs)[0, 1] > 0.9
