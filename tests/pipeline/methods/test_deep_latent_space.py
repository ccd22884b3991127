"""One encoder for both modalities, and centre loss."""

import numpy as np
import torch
from torch.nn import functional as F

from pipeline.losses import LossSizes, build_loss
from pipeline.methods import Batch
from tests.pipeline.methods.rivals import SIZES, assert_solves, batch_of_pairs, built, settings


def batch_of_samples() -> Batch:
    pairs = batch_of_pairs()
    samples = torch.cat([pairs.faces, F.pad(pairs.voices, (0, 2))])
    return Batch(pairs.labels.repeat(2), samples, torch.arange(24) >= 12, None, None, {})


def test_loss_is_cross_entropy_and_half_the_squared_distances_to_the_own_centre() -> None:
    method, batch = built("deep_latent_space", "center"), batch_of_samples()
    options = {"form": "printed", "alpha": 0.3, "acts_on": "embedding", "centres": "moving", "centre_rate": 0.5}
    loss = build_loss("center", options, LossSizes(method.width, SIZES.classes), torch.Generator().manual_seed(0))
    (_, first, _, second), expected = method.encoder, 0.0
    for row, label in zip(batch.samples, batch.labels, strict=True):
        x = second.weight @ (first.weight @ row + first.bias).clamp_min(0.0) + second.bias
        logits = method.classifier.weight @ x + method.classifier.bias
        expected = expected + (logits.exp().sum().log() - logits[label]) / len(batch.labels)
        expected = expected + 0.3 / 2.0 * (x - loss.centres[label]).square().sum()
    torch.testing.assert_close(loss(method.see(batch)), expected)


def test_a_voice_is_embedded_as_the_padded_sample_was_seen() -> None:
    method, pairs, samples = built("deep_latent_space", "center").eval(), batch_of_pairs(), batch_of_samples()
    seen = F.normalize(method.see(samples).embedding)
    torch.testing.assert_close(
        torch.cat([method.embed("face", pairs.faces), method.embed("voice", pairs.voices)]), seen
    )
    assert not np.allclose(seen[:12].detach(), seen[12:].detach())


def test_solves_the_planted_world_and_not_the_shuffled_one() -> None:
    assert_solves(settings("deep_latent_space", "center", order="random", batch_size=72))
