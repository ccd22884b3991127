"""How a loss is found and what is refused."""

import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.losses import LossSizes, build_loss, loss_class
from tests.pipeline.losses.batch import make_batch, make_pairs
from tests.pipeline.settings_for_training import shipped


def test_unknown_loss_is_a_config_error_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="arcface, ce, center, fop, git, multi_similarity, ntxent"):
        loss_class("fob")


@pytest.mark.parametrize("name", sorted(shipped().losses))
def test_every_section_of_params_yaml_is_a_loss_that_takes_its_options(name: str) -> None:
    assert isinstance(build_loss(name, shipped().losses[name], LossSizes(5, 4), torch.Generator()), loss_class(name))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"alpha": -1.0}, "alpha"), ({"form": "neither"}, "form"), ({"beta": 1.0}, "beta: unknown key"), ({}, None)],
)
def test_refused_options_name_the_loss_and_the_key(options: dict[str, object], message: str | None) -> None:
    given = {**shipped().losses["fop"], **options} if message else {"form": "printed"}
    with pytest.raises(ConfigError, match=message or "alpha: missing") as caught:
        build_loss("fop", given, LossSizes(5, 4), torch.Generator())
    assert "losses.fop" in str(caught.value)


def test_sides_are_the_samples_of_each_modality_or_the_halves_of_pairs() -> None:
    batch = make_batch()
    faces, shown, voices, heard = batch.sides()
    assert torch.equal(faces, batch.embedding[[0, 2, 4]])
    assert torch.equal(voices, batch.embedding[[1, 3, 5, 6]])
    assert (shown.tolist(), heard.tolist()) == ([0, 2, 1], [1, 0, 0, 2])
    pairs = make_pairs()
    faces, shown, voices, heard = pairs.sides()
    assert torch.equal(faces, pairs.face) and torch.equal(voices, pairs.voice)
    assert torch.equal(shown, pairs.labels) and torch.equal(heard, pairs.labels)
