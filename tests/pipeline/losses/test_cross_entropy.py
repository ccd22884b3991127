"""Cross entropy against a loop."""

import torch

from pipeline.losses import build_loss
from pipeline.losses.cross_entropy import cross_entropy
from tests.pipeline.losses import naive
from tests.pipeline.losses.batch import make_batch
from tests.pipeline.settings_for_training import train_settings


def test_each_network_gets_its_own_mean() -> None:
    batch = make_batch()
    expected = [naive.cross_entropy(*pair) for pair in zip(batch.logits, batch.labels, strict=True)]
    torch.testing.assert_close(cross_entropy(batch.logits, batch.labels), torch.tensor(expected, dtype=torch.float64))


def test_one_network_needs_no_leading_axis() -> None:
    batch = make_batch()
    one = cross_entropy(batch.logits[1], batch.labels[1])
    assert one.shape == ()
    torch.testing.assert_close(one, cross_entropy(batch.logits, batch.labels)[1])


def test_uniform_logits_cost_the_logarithm_of_the_classes() -> None:
    loss = cross_entropy(torch.zeros(2, 6, 4), torch.zeros(2, 6, dtype=torch.int64))
    torch.testing.assert_close(loss, torch.full((2,), 4.0).log())


def test_gradient_is_that_of_the_formula() -> None:
    batch = make_batch()
    logits = batch.logits.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda values: cross_entropy(values, batch.labels), (logits,))


def test_loss_ce_is_cross_entropy_and_holds_no_centres() -> None:
    loss, batch = build_loss(train_settings(loss="ce")), make_batch()
    assert loss.centres_on is None
    torch.testing.assert_close(loss(batch, batch.labels, None), cross_entropy(batch.logits, batch.labels))
