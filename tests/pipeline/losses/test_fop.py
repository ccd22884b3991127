"""FOP's constraint against a loop over its pairs and against the official code's output."""

import pytest
import torch

from pipeline.losses.fop import official_constraint, printed_constraint
from tests.oracles import inputs, stored
from tests.pipeline.losses import naive
from tests.pipeline.losses.batch import make_batch, make_loss

FORMS = {"printed": printed_constraint, "official": official_constraint}


@pytest.mark.parametrize("form", FORMS)
def test_constraint_is_the_loop_over_all_pairs(form: str) -> None:
    batch = make_batch()
    expected = naive.constraint(batch.embedding, batch.labels, form)
    assert abs(float(FORMS[form](batch.embedding, batch.labels)) - expected) < 1e-9


def test_official_form_meets_the_official_output() -> None:
    features, labels = (torch.from_numpy(array) for array in inputs.loss_batch())
    oracle = stored("fop")
    assert abs(float(official_constraint(features, labels)) - float(oracle["loss/total"])) < 1e-5
    parts = 1.0 - oracle["loss/positive"] + 0.7 * oracle["loss/negative"]
    assert abs(float(oracle["loss/total"]) - float(parts)) < 1e-6


@pytest.mark.parametrize("form", FORMS)
def test_gradient_is_that_of_the_formula(form: str) -> None:
    batch = make_batch()
    features = batch.embedding.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda values: FORMS[form](values, batch.labels), (features,))


@pytest.mark.parametrize("form", FORMS)
def test_scaling_an_embedding_changes_nothing(form: str) -> None:
    batch = make_batch()
    scaled = batch.embedding * torch.linspace(0.5, 4.0, len(batch.embedding))[:, None]
    torch.testing.assert_close(FORMS[form](scaled, batch.labels), FORMS[form](batch.embedding, batch.labels))


def test_orthogonal_classes_of_equal_members_cost_nothing_officially() -> None:
    features, labels = torch.eye(3).repeat_interleave(4, dim=0), torch.arange(3).repeat_interleave(4)
    assert abs(float(official_constraint(features, labels))) < 1e-6


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_batches_without_positives_or_without_negatives_stay_finite(form: str, labels: list[int]) -> None:
    features = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = FORMS[form](features, torch.tensor(labels))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(features.grad).all()


def test_printed_takes_one_absolute_value_around_the_sum_and_official_one_a_pair() -> None:
    features = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.6, 0.8]])  # cosines -1, 0.6 and -0.6
    labels = torch.tensor([0, 1, 2])
    torch.testing.assert_close(printed_constraint(features, labels), torch.tensor(1.0 + 2.0))
    torch.testing.assert_close(official_constraint(features, labels), torch.tensor(1.0 + 0.7 * 4.4 / 6.0))


@pytest.mark.parametrize("form", FORMS)
def test_loss_adds_alpha_times_the_constraint(form: str) -> None:
    batch = make_batch()
    loss = make_loss("fop", form=form, alpha=0.3)
    assert not loss.state_dict()
    expected = naive.cross_entropy(batch.logits, batch.labels)
    expected += 0.3 * naive.constraint(batch.embedding, batch.labels, form)
    assert abs(float(loss(batch)) - expected) < 1e-9
