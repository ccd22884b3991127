"""Center loss and the movement of centres against loops over their equations."""

import pytest
import torch

from pipeline.losses import build_loss
from pipeline.losses.center import official_center, printed_center
from pipeline.losses.centres import initial_centres, moved_centres
from tests.oracles import inputs, stored
from tests.pipeline.losses import naive
from tests.pipeline.losses.batch import make_batch
from tests.pipeline.settings_for_training import train_settings

FORMS = {"printed": printed_center, "official": official_center}


@pytest.mark.parametrize("form", FORMS)
def test_loss_is_the_loop_over_the_batch(form: str) -> None:
    batch = make_batch()
    rows = zip(batch.embedding, batch.labels, batch.centres, strict=True)
    expected = [naive.center(*row, form) for row in rows]
    found = FORMS[form](batch.embedding, batch.labels, batch.centres)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_official_form_meets_the_official_output() -> None:
    features, labels, centres = (torch.from_numpy(array) for array in inputs.centre_batch())
    assert abs(float(official_center(features, labels, centres)) - float(stored("centres")["center"])) < 1e-5


@pytest.mark.parametrize("form", FORMS)
def test_gradient_is_that_of_the_formula(form: str) -> None:
    batch = make_batch()
    vectors = batch.embedding.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda values: FORMS[form](values, batch.labels, batch.centres), (vectors,))


def test_centres_move_as_the_loop_says_and_absent_classes_stay() -> None:
    batch = make_batch()
    found = moved_centres(batch.centres, batch.embedding, batch.labels, 0.5)
    for index in range(3):
        expected = naive.moved(batch.centres[index], batch.embedding[index], batch.labels[index], 0.5)
        torch.testing.assert_close(found[index], torch.tensor(expected, dtype=torch.float64))
    assert torch.equal(found[:, 3], batch.centres[:, 3])  # no sample of class 3


def test_a_centre_comes_to_rest_at_the_mean_of_its_class() -> None:
    vectors = torch.tensor([[[1.0, 3.0], [3.0, 5.0]]])
    centres, labels = torch.zeros(1, 1, 2), torch.zeros(1, 2, dtype=torch.int64)
    for _ in range(60):
        centres = moved_centres(centres, vectors, labels, 0.5)
    torch.testing.assert_close(centres, torch.tensor([[[2.0, 4.0]]]))


def test_initial_centres_are_xavier_uniform_and_of_their_own_seed() -> None:
    three, one = initial_centres([4, 5, 6], 300, 100), initial_centres([5], 300, 100)
    assert torch.equal(three[1], one[0])
    bound = (6.0 / (300 + 100)) ** 0.5
    assert float(three.abs().max()) <= bound
    assert abs(float(three.std()) - bound / 3**0.5) < 0.002


@pytest.mark.parametrize(
    ("form", "branch", "place"),
    [
        ("printed", "single", "embedding"),
        ("official", "single", "logits"),
        ("official", "two", "embedding"),
        ("printed", "two", "embedding"),
    ],
)
def test_centres_are_where_the_paper_or_the_official_code_has_them(form: str, branch: str, place: str) -> None:
    batch = make_batch()
    loss = build_loss(train_settings(loss="center", loss_form=form, branch=branch, alpha_center=0.3))
    assert loss.centres_on == place
    vectors, centres = (batch.logits, batch.logit_centres) if place == "logits" else (batch.embedding, batch.centres)
    expected = [
        naive.cross_entropy(batch.logits[s], batch.labels[s])
        + 0.3 * naive.center(vectors[s], batch.labels[s], centres[s], form)
        for s in range(3)
    ]
    found = loss(batch, batch.labels, centres)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
