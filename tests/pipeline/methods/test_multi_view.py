"""Two encoders and one classifier against their equations."""

import pytest
import torch
from torch.nn import functional as F

from pipeline.errors import ConfigError
from pipeline.losses import LossSizes, build_loss
from tests.pipeline.methods.rivals import SIZES, assert_solves, batch_of_pairs, built, planted, settings


def test_loss_is_the_mean_of_both_cross_entropies_by_one_classifier() -> None:
    method, batch = built("multi_view", "ce"), batch_of_pairs()
    loss = build_loss("ce", {}, LossSizes(method.width, SIZES.classes), torch.Generator())
    total = 0.0
    for side, vectors in ((method.face, batch.faces), (method.voice, batch.voices)):
        (_, first, _, second) = side
        hidden = (vectors @ first.weight.T + first.bias).clamp_min(0.0)
        logits = (hidden @ second.weight.T + second.bias) @ method.classifier.weight.T + method.classifier.bias
        for row, label in zip(logits, batch.labels, strict=True):
            total = total - row[label] + row.exp().sum().log()
    torch.testing.assert_close(loss(method.see(batch)), total / (2 * len(batch.labels)))


def test_a_loss_sees_which_sample_is_a_voice() -> None:
    method, batch = built("multi_view", "ce"), batch_of_pairs()
    faces, shown, voices, heard = method.see(batch).sides()
    torch.testing.assert_close(faces, method.face(batch.faces))
    torch.testing.assert_close(voices, method.voice(batch.voices))
    assert shown.equal(batch.labels)
    assert heard.equal(batch.labels)


def test_what_is_compared_is_of_unit_norm() -> None:
    method, batch = built("multi_view", "ce").eval(), batch_of_pairs()
    torch.testing.assert_close(method.embed("voice", batch.voices), F.normalize(method.voice(batch.voices)))


def test_solves_the_planted_world_and_not_the_shuffled_one() -> None:
    assert_solves(settings("multi_view", "ce"))


def test_loss_own_is_refused_by_a_method_that_has_none() -> None:
    with pytest.raises(ConfigError, match="has none of its own"):
        planted().train(settings("multi_view", "own", epochs=1))
