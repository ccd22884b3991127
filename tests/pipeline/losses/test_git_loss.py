"""Git loss against a loop over its equation."""

import pytest
import torch

from pipeline.losses import build_loss
from pipeline.losses.center import official_center
from pipeline.losses.git_loss import official_git, printed_git
from tests.oracles import inputs, stored
from tests.pipeline.losses import naive
from tests.pipeline.losses.batch import make_batch
from tests.pipeline.settings_for_training import train_settings

FORMS = {"printed": printed_git, "official": official_git}


@pytest.mark.parametrize("form", FORMS)
def test_push_is_the_loop_over_samples_and_centres(form: str) -> None:
    batch = make_batch()
    rows = zip(batch.embedding, batch.labels, batch.centres, strict=True)
    expected = [naive.git(*row, form) for row in rows]
    found = FORMS[form](batch.embedding, batch.labels, batch.centres)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_official_pull_and_push_together_meet_the_official_output() -> None:
    batch = tuple(torch.from_numpy(array) for array in inputs.centre_batch())
    found = official_center(*batch) + official_git(*batch)
    assert abs(float(found) - float(stored("centres")["git"])) < 1e-5


@pytest.mark.parametrize("form", FORMS)
def test_gradient_is_that_of_the_formula(form: str) -> None:
    batch = make_batch()
    vectors = batch.embedding.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda values: FORMS[form](values, batch.labels, batch.centres), (vectors,))


def test_official_push_is_the_official_expression() -> None:
    """ssnet_cent_git/retrieval_model.py masks the differences, so that the diagonal counts 1 a value."""
    batch = make_batch()
    vectors, own = batch.embedding[0], batch.centres[0][batch.labels[0]]
    differences = (vectors[:, None] - own[None]) * (1.0 - torch.eye(len(own)))[:, :, None]
    expected = (1.0 / (1.0 + differences.square())).mean()
    torch.testing.assert_close(official_git(vectors, batch.labels[0], batch.centres[0]), expected)


@pytest.mark.parametrize("form", FORMS)
def test_push_falls_as_samples_leave_the_centres_of_others(form: str) -> None:
    labels, centres = torch.tensor([0, 1]), torch.zeros(2, 3)
    near, far = torch.full((2, 3), 0.1), torch.full((2, 3), 2.0)
    assert FORMS[form](far, labels, centres) < FORMS[form](near, labels, centres)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("branch", ["single", "two"])
def test_loss_adds_pull_and_push_with_their_weights(form: str, branch: str) -> None:
    batch = make_batch()
    loss = build_loss(train_settings(loss="git", loss_form=form, branch=branch, alpha_center=0.3, alpha_git=0.2))
    assert loss.centres_on == "embedding"
    expected = []
    for features, logits, labels, centres in zip(
        batch.embedding, batch.logits, batch.labels, batch.centres, strict=True
    ):
        pull, push = naive.center(features, labels, centres, form), naive.git(features, labels, centres, form)
        expected.append(naive.cross_entropy(logits, labels) + 0.3 * pull + 0.2 * push)
    found = loss(batch, batch.labels, batch.centres)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
