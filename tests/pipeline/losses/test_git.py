"""Git loss against a loop over its equation."""

import pytest
import torch

from pipeline.losses.center import official_center
from pipeline.losses.git import official_git, printed_git
from tests.oracles import inputs, stored
from tests.pipeline.losses import naive
from tests.pipeline.losses.batch import make_batch, make_centres, make_loss

FORMS = {"printed": printed_git, "official": official_git}


@pytest.mark.parametrize("form", FORMS)
def test_push_is_the_loop_over_samples_and_centres(form: str) -> None:
    batch, centres = make_batch(), make_centres()
    expected = naive.git(batch.embedding, batch.labels, centres, form)
    assert abs(float(FORMS[form](batch.embedding, batch.labels, centres)) - expected) < 1e-9


def test_official_pull_and_push_together_meet_the_official_output() -> None:
    batch = tuple(torch.from_numpy(array) for array in inputs.centre_batch())
    found = official_center(*batch) + official_git(*batch)
    assert abs(float(found) - float(stored("centres")["git"])) < 1e-5


@pytest.mark.parametrize("form", FORMS)
def test_gradient_is_that_of_the_formula(form: str) -> None:
    batch, centres = make_batch(), make_centres()
    vectors = batch.embedding.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda values: FORMS[form](values, batch.labels, centres), (vectors,))


def test_official_push_is_the_official_expression() -> None:
    """ssnet_cent_git/retrieval_model.py masks the differences, so that the diagonal counts 1 a value."""
    batch, centres = make_batch(), make_centres()
    vectors, own = batch.embedding, centres[batch.labels]
    differences = (vectors[:, None] - own[None]) * (1.0 - torch.eye(len(own)))[:, :, None]
    expected = (1.0 / (1.0 + differences.square())).mean()
    torch.testing.assert_close(official_git(vectors, batch.labels, centres), expected)


@pytest.mark.parametrize("form", FORMS)
def test_push_falls_as_samples_leave_the_centres_of_others(form: str) -> None:
    labels, centres = torch.tensor([0, 1]), torch.zeros(2, 3)
    near, far = torch.full((2, 3), 0.1), torch.full((2, 3), 2.0)
    assert FORMS[form](far, labels, centres) < FORMS[form](near, labels, centres)


@pytest.mark.parametrize("form", FORMS)
def test_loss_adds_pull_and_push_with_their_weights(form: str) -> None:
    batch = make_batch()
    loss = make_loss("git", form=form, alpha_center=0.3, alpha_git=0.2)
    expected = naive.cross_entropy(batch.logits, batch.labels)
    expected += 0.3 * naive.center(batch.embedding, batch.labels, loss.centres, form)
    expected += 0.2 * naive.git(batch.embedding, batch.labels, loss.centres, form)
    assert abs(float(loss(batch)) - expected) < 1e-9


def test_centres_move_after_a_batch_in_training() -> None:
    batch, loss = make_batch(), make_loss("git", centre_rate=0.5)
    expected = naive.moved(loss.centres, batch.embedding, batch.labels, 0.5)
    loss.train()(batch)
    torch.testing.assert_close(loss.centres, torch.tensor(expected, dtype=torch.float64))
