"""Covariates: which are used, and their losses against a plain loop."""

import logging

import numpy as np
import pytest
import torch

from pipeline.losses import LossSizes, build_loss
from pipeline.methods import Sizes, build_method
from tests.pipeline.methods.rivals import SIZES, assert_solves, batch_of_pairs, built, settings


def test_losses_are_the_plain_loop_over_known_values() -> None:
    method, batch = built("dimnet", "ce", gender=0.5, nationality=0.25), batch_of_pairs()
    seen = method.see(batch)
    expected = 0.0
    for name, weight in (("gender", 0.5), ("nationality", 0.25)):
        layer, values = method.covariates[name], torch.cat([batch.traits[name]] * 2)
        logits = seen.embedding @ layer.weight.T + layer.bias
        terms = [row.exp().sum().log() - row[v] for row, v in zip(logits, values, strict=True) if v >= 0]
        assert len(terms) < len(values)
        expected = expected + weight * sum(terms) / len(terms)
    torch.testing.assert_close(method.covariate_losses(seen, batch.traits), expected)


def test_identity_is_the_loss_of_the_run_and_both_are_stepped_on() -> None:
    method, batch = built("dimnet", "ce"), batch_of_pairs()
    run = settings("dimnet", "ce")
    loss = build_loss("ce", {}, LossSizes(method.width, SIZES.classes), torch.Generator())
    optimisers = method.optimisers(loss, run)
    seen = method.see(batch)
    expected = (loss(seen) + method.covariate_losses(seen, batch.traits)).detach()
    optimisers["adam"].learning_rate = 0.01
    before = {name: value.clone() for name, value in method.state_dict().items()}
    torch.testing.assert_close(method.training_step(batch, loss, optimisers), expected)
    assert all(not before[name].equal(value) for name, value in method.state_dict().items())


def test_a_batch_in_which_nothing_is_known_adds_nothing() -> None:
    method, batch = built("dimnet", "ce"), batch_of_pairs()
    unknown = {name: torch.full_like(values, -1) for name, values in batch.traits.items()}
    assert float(method.covariate_losses(method.see(batch), unknown)) == 0.0


@pytest.mark.parametrize(
    ("traits", "said"),
    [
        ({"gender": 2, "nationality": 4}, "identity, gender, nationality"),
        ({"gender": 2, "nationality": 1}, "identity, gender"),  # of one nationality there is nothing to learn
        ({}, "identity alone"),
    ],
)
def test_covariates_are_those_that_the_metadata_have(
    traits: dict[str, int], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    run = settings("dimnet", "ce")
    method = build_method(run, Sizes(12, 10, 5, traits), torch.Generator())
    loss = build_loss("ce", {}, LossSizes(method.width, 5), torch.Generator())
    with caplog.at_level(logging.INFO):
        method.optimisers(loss, run)
    assert caplog.messages == [f"dimnet: trained on {said}"]
    assert set(method.covariates) == {name for name, values in traits.items() if values > 1}


def test_solves_the_planted_world_and_not_the_shuffled_one() -> None:
    rng = np.random.default_rng(0)
    traits = {"gender": rng.integers(0, 2, 60), "nationality": rng.integers(-1, 5, 60)}
    assert_solves(settings("dimnet", "ce"), traits=traits)
