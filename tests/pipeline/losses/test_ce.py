"""Cross entropy against a loop."""

import torch

from pipeline.losses.ce import cross_entropy
from tests.pipeline.losses import naive
from tests.pipeline.losses.batch import make_batch, make_loss


def test_loss_is_the_loop_over_the_batch() -> None:
    batch = make_batch()
    assert (
        abs(float(cross_entropy(batch.logits, batch.labels)) - naive.cross_entropy(batch.logits, batch.labels)) < 1e-12
    )


def test_uniform_logits_cost_the_logarithm_of_the_classes() -> None:
    loss = cross_entropy(torch.zeros(6, 4), torch.zeros(6, dtype=torch.int64))
    torch.testing.assert_close(loss, torch.tensor(4.0).log())


def test_gradient_is_that_of_the_formula() -> None:
    batch = make_batch()
    logits = batch.logits.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda values: cross_entropy(values, batch.labels), (logits,))


def test_loss_ce_is_cross_entropy_and_holds_nothing() -> None:
    loss, batch = make_loss("ce"), make_batch()
    assert not loss.state_dict()
    torch.testing.assert_close(loss(batch), cross_entropy(batch.logits, batch.labels))
