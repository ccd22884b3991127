"""Center loss and the movement of centres against loops over their equations."""

import pytest
import torch

from pipeline.losses import LossSizes, build_loss
from pipeline.losses.center import initial_centres, moved_centres, official_center, printed_center
from pipeline.resolved import resolved
from tests.oracles import inputs, stored
from tests.pipeline.losses import naive
from tests.pipeline.losses.batch import make_batch, make_centres, make_loss
from tests.pipeline.settings_for_training import shipped

FORMS = {"printed": printed_center, "official": official_center}


@pytest.mark.parametrize("form", FORMS)
def test_loss_is_the_loop_over_the_batch(form: str) -> None:
    batch, centres = make_batch(), make_centres()
    expected = naive.center(batch.embedding, batch.labels, centres, form)
    assert abs(float(FORMS[form](batch.embedding, batch.labels, centres)) - expected) < 1e-9


def test_official_form_meets_the_official_output() -> None:
    features, labels, centres = (torch.from_numpy(array) for array in inputs.centre_batch())
    assert abs(float(official_center(features, labels, centres)) - float(stored("centres")["center"])) < 1e-5


@pytest.mark.parametrize("form", FORMS)
def test_gradient_is_that_of_the_formula(form: str) -> None:
    batch, centres = make_batch(), make_centres()
    vectors = batch.embedding.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda values: FORMS[form](values, batch.labels, centres), (vectors,))


def test_centres_move_as_the_loop_says_and_absent_classes_stay() -> None:
    batch, centres = make_batch(), make_centres()
    found = moved_centres(centres, batch.embedding, batch.labels, 0.5)
    expected = naive.moved(centres, batch.embedding, batch.labels, 0.5)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
    assert torch.equal(found[3], centres[3])  # no sample of class 3


def test_a_centre_comes_to_rest_at_the_mean_of_its_class() -> None:
    vectors = torch.tensor([[1.0, 3.0], [3.0, 5.0]])
    centres, labels = torch.zeros(1, 2), torch.zeros(2, dtype=torch.int64)
    for _ in range(60):
        centres = moved_centres(centres, vectors, labels, 0.5)
    torch.testing.assert_close(centres, torch.tensor([[2.0, 4.0]]))


def test_initial_centres_are_xavier_uniform_and_of_their_generator() -> None:
    one, again = (initial_centres(300, 100, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one, again)
    bound = (6.0 / (300 + 100)) ** 0.5
    assert float(one.abs().max()) <= bound
    assert abs(float(one.std()) - bound / 3**0.5) < 0.002


@pytest.mark.parametrize("place", ["embedding", "logits"])
@pytest.mark.parametrize("form", FORMS)
def test_loss_adds_alpha_times_the_pull_to_the_centres_where_they_are(form: str, place: str) -> None:
    batch = make_batch()
    loss = make_loss("center", form=form, acts_on=place, alpha=0.3)
    vectors = batch.logits if place == "logits" else batch.embedding
    expected = naive.cross_entropy(batch.logits, batch.labels)
    expected += 0.3 * naive.center(vectors, batch.labels, loss.centres, form)
    assert abs(float(loss(batch)) - expected) < 1e-9


@pytest.mark.parametrize(("centres", "moves"), [("moving", True), ("frozen", False)])
def test_centres_move_in_training_only_and_only_where_they_shall(centres: str, moves: bool) -> None:
    batch = make_batch()
    loss = make_loss("center", centres=centres, centre_rate=0.5)
    before = loss.centres.clone()
    value = loss(batch)
    assert torch.equal(loss.centres, before)  # not in evaluation
    assert torch.equal(loss.train()(batch), value)  # the loss is of the centres that the batch met
    expected = (
        torch.tensor(naive.moved(before, batch.embedding, batch.labels, 0.5), dtype=torch.float64) if moves else before
    )
    torch.testing.assert_close(loss.centres, expected)


@pytest.mark.parametrize(
    ("recipe", "method", "place"),
    [
        ("paper", "sbnet", "embedding"),
        ("official", "sbnet", "logits"),
        ("official", "two_branch", "embedding"),
        ("honest", "two_branch", "embedding"),
    ],
)
def test_centres_are_where_the_paper_or_the_official_code_has_them(recipe: str, method: str, place: str) -> None:
    own = {"run": {"recipe": recipe, "method": method, "loss": "center"}}
    settings = resolved(shipped().model_copy(update={"experiments": own}), "run")
    loss = build_loss("center", settings.loss_options, LossSizes(5, 4), torch.Generator().manual_seed(0))
    assert loss.centres.shape == ((4, 4) if place == "logits" else (4, 5))
